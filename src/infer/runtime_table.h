/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The entries of ONNX Runtime's function table that we use. The table only ever grows at its end, so an entry's place
 * is part of its binary interface; all of these have been there since the table's first three versions. Handles of the
 * library are void * here. A function that returns void * without being asked for a value returns a status: NULL is
 * well, anything else is to be read and released.
 *
 *     X(place, result, name, parameters)
 */
#ifndef VMAFX_INFER_RUNTIME_TABLE_H
#define VMAFX_INFER_RUNTIME_TABLE_H

#include <stddef.h>
#include <stdint.h>

#define ORT_API_WANTED 11 /* of release 1.11; later ones give it too */

/* Values of the library's enumerations. */
enum {
    ORT_LOG_FATAL = 4,
    ORT_MODE_SEQUENTIAL = 0,
    ORT_OPTIMIZE_ALL = 99,
    ORT_TYPE_TENSOR = 1,
    ORT_ELEMENT_FLOAT = 1,
    ORT_ALLOCATOR_DEVICE = 0,
    ORT_MEMORY_DEFAULT = 0,
};

/* What the library would print. */
typedef void (*OrtLogged)(void *ctx, int severity, const char *category, const char *id, const char *place,
                          const char *message);

#define ORT_ENTRIES(X)                                                                                                 \
    X(2, const char *, GetErrorMessage, (const void *status))                                                          \
    X(4, void *, CreateEnvWithCustomLogger, (OrtLogged fn, void *ctx, int severity, const char *id, void **ret_env))   \
    X(8, void *, CreateSessionFromArray,                                                                               \
      (const void *env, const void *data, size_t len, const void *options, void **ret_session))                        \
    X(9, void *, Run,                                                                                                  \
      (void *session, const void *run_options, const char *const *input_names, const void *const *inputs,              \
       size_t n_inputs, const char *const *output_names, size_t n_outputs, void **outputs))                            \
    X(10, void *, CreateSessionOptions, (void **ret_options))                                                          \
    X(13, void *, SetSessionExecutionMode, (void *options, int mode))                                                  \
    X(17, void *, DisableMemPattern, (void *options))                                                                  \
    X(19, void *, DisableCpuMemArena, (void *options))                                                                 \
    X(22, void *, SetSessionLogSeverityLevel, (void *options, int level))                                              \
    X(23, void *, SetSessionGraphOptimizationLevel, (void *options, int level))                                        \
    X(24, void *, SetIntraOpNumThreads, (void *options, int n))                                                        \
    X(25, void *, SetInterOpNumThreads, (void *options, int n))                                                        \
    X(30, void *, SessionGetInputCount, (const void *session, size_t *ret_n))                                          \
    X(31, void *, SessionGetOutputCount, (const void *session, size_t *ret_n))                                         \
    X(33, void *, SessionGetInputTypeInfo, (const void *session, size_t index, void **ret_type))                       \
    X(34, void *, SessionGetOutputTypeInfo, (const void *session, size_t index, void **ret_type))                      \
    X(36, void *, SessionGetInputName, (const void *session, size_t index, void *allocator, char **ret_name))          \
    X(37, void *, SessionGetOutputName, (const void *session, size_t index, void *allocator, char **ret_name))         \
    X(49, void *, CreateTensorWithDataAsOrtValue,                                                                      \
      (const void *memory, void *data, size_t len, const int64_t *shape, size_t n_dims, int type, void **ret_value))   \
    X(51, void *, GetTensorMutableData, (void *value, void **ret_data))                                                \
    X(55, void *, CastTypeInfoToTensorInfo, (const void *type, const void **ret_shape))                                \
    X(56, void *, GetOnnxTypeFromTypeInfo, (const void *type, int *ret_type))                                          \
    X(60, void *, GetTensorElementType, (const void *shape, int *ret_type))                                            \
    X(61, void *, GetDimensionsCount, (const void *shape, size_t *ret_n))                                              \
    X(62, void *, GetDimensions, (const void *shape, int64_t *ret_dims, size_t n))                                     \
    X(65, void *, GetTensorTypeAndShape, (const void *value, void **ret_shape))                                        \
    X(69, void *, CreateCpuMemoryInfo, (int allocator, int memory, void **ret_memory))                                 \
    X(76, void *, AllocatorFree, (void *allocator, void *ptr))                                                         \
    X(78, void *, GetAllocatorWithDefaultOptions, (void **ret_allocator))                                              \
    X(92, void, ReleaseEnv, (void *env))                                                                               \
    X(93, void, ReleaseStatus, (void *status))                                                                         \
    X(94, void, ReleaseMemoryInfo, (void *memory))                                                                     \
    X(95, void, ReleaseSession, (void *session))                                                                       \
    X(96, void, ReleaseValue, (void *value))                                                                           \
    X(98, void, ReleaseTypeInfo, (void *type))                                                                         \
    X(99, void, ReleaseTensorTypeAndShapeInfo, (void *shape))                                                          \
    X(100, void, ReleaseSessionOptions, (void *options))

/** The functions, each with its type. */
typedef struct OrtFunctions {
#define ORT_MEMBER(place, result, name, parameters) result(*name) parameters;
    ORT_ENTRIES(ORT_MEMBER)
#undef ORT_MEMBER
} OrtFunctions;
#endif

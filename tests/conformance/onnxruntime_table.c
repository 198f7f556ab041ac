/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Our view of ONNX Runtime's function table against its own header, where that is installed (libonnxruntime-dev): each
 * entry stands where we say, and the values of enumerations are those. That it compiles is the test.
 */

#include <assert.h>
#include <stddef.h>

#include <onnxruntime_c_api.h>

#include "infer/runtime_table.h"

#define SAME_PLACE(place, result, name, parameters)                                                                    \
    static_assert(offsetof(OrtApi, name) == (place) * sizeof(void *), #name " stands elsewhere");
ORT_ENTRIES(SAME_PLACE)

static_assert(offsetof(OrtApiBase, GetApi) == 0 && offsetof(OrtApiBase, GetVersionString) == sizeof(void *),
              "OrtApiBase");
static_assert(ORT_API_VERSION >= ORT_API_WANTED, "this header is older than what we ask for");
static_assert((int)ORT_LOG_FATAL == (int)ORT_LOGGING_LEVEL_FATAL, "log level");
static_assert((int)ORT_MODE_SEQUENTIAL == (int)ORT_SEQUENTIAL, "execution mode");
static_assert((int)ORT_OPTIMIZE_ALL == (int)ORT_ENABLE_ALL, "optimization level");
static_assert((int)ORT_TYPE_TENSOR == (int)ONNX_TYPE_TENSOR, "type");
static_assert((int)ORT_ELEMENT_FLOAT == (int)ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, "element type");
static_assert((int)ORT_ALLOCATOR_DEVICE == (int)OrtDeviceAllocator, "allocator");
static_assert((int)ORT_MEMORY_DEFAULT == (int)OrtMemTypeDefault, "memory");

int main(void)
{
    return 0;
}

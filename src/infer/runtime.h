/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* ONNX Runtime as a library of this process: found, and its functions. */
#ifndef VMAFX_INFER_RUNTIME_H
#define VMAFX_INFER_RUNTIME_H

#include <vmafx/error.h>

#include "infer/runtime_table.h"

/** A loaded library, by value. It is never unloaded: what it has registered with the process must stay. */
typedef struct OrtRuntime {
    OrtFunctions f;
    void *env;
    char version[32]; /* "1.21.0" */
} OrtRuntime;

/**
 * Loads the library that VMAFX_ONNXRUNTIME names (in the environment or the settings file), else the first that is
 * there of libonnxruntime.so.1 and libonnxruntime.so.1.21 (Debian's), as the system's loader looks for them. Cheap when
 * it is loaded already. Any thread.
 * @return VMAFX_ERR_UNSUPPORTED with what to do: missing, no ONNX Runtime, or too old; VMAFX_ERR_NOMEM
 */
VMAFX_CHECK VmafxErr infer_runtime_open(OrtRuntime *ret, VmafxErrInfo *reterr);
/** A zeroed one may be done. */
void infer_runtime_done(OrtRuntime *runtime);

/**
 * Releases a status and says what it was: "what: the library's words", on one line. NULL is VMAFX_OK.
 * @return VMAFX_ERR_NOMEM where the library says that memory was short, else VMAFX_ERR_MODEL
 */
VMAFX_CHECK VmafxErr infer_status(const OrtRuntime *runtime, void *status, const char *what, VmafxErrInfo *reterr);
#endif

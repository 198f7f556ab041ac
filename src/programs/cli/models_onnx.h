/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* ONNX models as `vmafx models` shows them. */
#ifndef VMAFX_CLI_MODELS_ONNX_H
#define VMAFX_CLI_MODELS_ONNX_H

#include "base/digest.h"
#include "infer/infer.h"

/** An ONNX file as it lies on disk. Zeroed: done. */
typedef struct OnnxLoaded {
    VmafxOnnxFile file;
    char sha256[VMAFX_SHA256_TEXT];
    int w, h;         /* of its pictures; 0: of any size */
    char runtime[32]; /* "": it cannot be run */
    bool usable;
    char reason[VMAFX_ERR_MESSAGE_MAX]; /* why it is not */
} OnnxLoaded;

/** Reads a file and tries whether it runs here. */
VMAFX_CHECK VmafxErr onnx_load(const char *path, OnnxLoaded *ret, VmafxErrInfo *reterr);
void onnx_loaded_done(OnnxLoaded *loaded);

/** Values or pictures of a frame that go in. */
size_t onnx_inputs(const OnnxLoaded *loaded);
void onnx_show_text(const char *path, const OnnxLoaded *loaded);
void onnx_show_json(const char *path, const OnnxLoaded *loaded);
#endif

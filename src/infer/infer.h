/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * An ONNX model that gives a score per frame, run by ONNX Runtime on the CPU.
 *
 * What goes in and what comes out (N is the batch, which the model leaves open, or 1):
 *
 *     features    one input, float32 [N, F]: the values of its F features
 *     luma        one input, float32 [N, 1, H, W]
 *     luma_pair   two of those, named "reference" and "distorted"
 *     all         one output, float32, N values: [N], [N, 1] …
 *
 * H and W are left open, or fixed; then only such pictures are taken. Luma is sample / (2^bits - 1) * peak.
 */
#ifndef VMAFX_INFER_INFER_H
#define VMAFX_INFER_INFER_H

#include "infer/onnx_file.h"

#define VMAFX_INFER_BATCH_MAX 1024 /* frames in one call */

/** Immutable once made; any thread may run it, several at a time, and a child made by fork too. */
typedef struct VmafxInferModel VmafxInferModel;

/**
 * Reads a model file's bytes, loads ONNX Runtime (VMAFX_ONNXRUNTIME names another one than the system's), and makes a
 * session that computes in its callers' threads.
 * @param data borrowed for the call
 * @return VMAFX_ERR_SYNTAX, VMAFX_ERR_LIMIT as vmafx_onnx_read; VMAFX_ERR_MODEL too when the runtime refuses the model
 * (an operator it does not have, shapes that do not fit), or when inputs and outputs are others than above;
 * VMAFX_ERR_UNSUPPORTED there is no runtime; VMAFX_ERR_NOMEM. The sentence does not name the file.
 */
VMAFX_CHECK VmafxErr vmafx_infer_model_new(const void *data, size_t len, VmafxInferModel **ret, VmafxErrInfo *reterr);
void vmafx_infer_model_free(VmafxInferModel **model);

/** What the file says of itself; lives as long as the model. */
const VmafxOnnxFile *vmafx_infer_model_file(const VmafxInferModel *model);
/** The release of ONNX Runtime that runs it, "1.21.0". */
const char *vmafx_infer_model_runtime(const VmafxInferModel *model);
/** The pictures it takes; 0x0: of any size, and for models of features. */
void vmafx_infer_model_size(const VmafxInferModel *model, int *ret_w, int *ret_h);

/** Some frames, one after the other. Borrowed for the call. */
typedef struct VmafxInferBatch {
    size_t n; /* 1 … VMAFX_INFER_BATCH_MAX */
    int w, h; /* of the pictures */
    /* features: values, n rows of them; luma_pair: n pictures of the reference, n of the distorted video; luma: those
       of the distorted video in [0] */
    const float *inputs[2];
    uint32_t first, step; /* frame i of the batch is the clip's first + i * step; for messages and the span */
    bool unclipped;       /* as if the file had no range */

    const char *model, *sha256; /* for signals: the model's version, and its file's digest */
    bool traced;                /* with a span vmafx.onnx.inference */
} VmafxInferBatch;

/**
 * Runs a batch.
 * @param ret_scores  n finite values
 * @return VMAFX_ERR_MISMATCH pictures of another size than the model takes; VMAFX_ERR_MODEL the runtime fails, or a
 * score is no number; VMAFX_ERR_NOMEM
 */
VMAFX_CHECK VmafxErr vmafx_infer_run(const VmafxInferModel *model, const VmafxInferBatch *batch, double *ret_scores,
                                     VmafxErrInfo *reterr);

/** Measures inferences as vmafx.inference.duration, one value each. */
void vmafx_infer_measure(const char *model, const double *seconds, size_t n);

/**
 * Is there an ONNX Runtime?
 * @param ret_version  "1.21.0", at least 32 bytes
 * @return as vmafx_infer_model_new
 */
VMAFX_CHECK VmafxErr vmafx_infer_runtime_version(char ret_version[32], VmafxErrInfo *reterr);
#endif

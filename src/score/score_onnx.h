/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * ONNX models in a scoring. One of features is a guest of the engine that predicts when its features are final; one of
 * luma gets each pair of pictures as it is pushed, gathers a batch of them, and gives the engine the scores.
 */
#ifndef VMAFX_SCORE_SCORE_ONNX_H
#define VMAFX_SCORE_SCORE_ONNX_H

#include "infer/infer.h"
#include "score/score.h"

#define SCORE_ONNX_SUFFIX ".onnx"

/** One model at work. */
typedef struct ScoreOnnx ScoreOnnx;

/** Does a path name an ONNX file? */
bool score_onnx_is_file(const char *path);

/** Reads a model file. @param ret_sha256 of it */
VMAFX_CHECK VmafxErr score_onnx_load(const char *path, VmafxInferModel **ret, char ret_sha256[VMAFX_SHA256_TEXT],
                                     VmafxErrInfo *reterr);

/**
 * Adds the model, whose names are settled, to the result's engine.
 * @param live  frames are told as they come: pictures do not wait for others to make a batch
 */
VMAFX_CHECK VmafxErr score_onnx_add(VmafxResult *result, VmafxScoredModel *model, const VmafxModelRequest *request,
                                    bool live, VmafxErrInfo *reterr);
void score_onnx_done(ScoreOnnx **onnx);

/** A pair has been pushed as frame `frame`; the planes are borrowed for the call. Nothing without models of luma. */
VMAFX_CHECK VmafxErr score_onnx_frame(VmafxResult *result, uint32_t frame, const VmafxPlane *ref, const VmafxPlane *dis,
                                      VmafxErrInfo *reterr);
/** No further pair comes: what still waits for a batch is run. Before the engine is finished. */
VMAFX_CHECK VmafxErr score_onnx_end(VmafxResult *result, VmafxErrInfo *reterr);

/** How long each inference took, in seconds, the first VMAFX_SCORE_INFERENCES_MAX of them; as long as the model. */
const double *score_onnx_seconds(const ScoreOnnx *onnx, size_t *ret_n);
#endif

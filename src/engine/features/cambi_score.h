/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The score of one picture, once options have become numbers. */
#ifndef VMAFX_ENGINE_FEATURES_CAMBI_SCORE_H
#define VMAFX_ENGINE_FEATURES_CAMBI_SCORE_H

#include "engine/extractor.h"
#include "engine/features/cambi_heatmaps.h"
#include "engine/features/cambi_model.h"

/** How much the largest of n steps counts; n is 1 … CAMBI_CONTRASTS_MAX. */
int cambi_weight(int n);

/** The options of an instance, worked out for pictures of a shape. Sizes: of the distorted and the reference picture.
 */
typedef struct CambiSettings {
    int w[2], h[2], window[2];
    bool antidither, halved;
    int n_contrasts, visible_to[CAMBI_CONTRASTS_MAX], dark;
    int code_min, code_max; /* that are looked at */
    double topk;
} CambiSettings;

/** Scratch memory for pictures of up to a size. */
typedef struct CambiScratch {
    const VmafxCambiKernels *k;
    float *reciprocals; /* of 0 … VMAFX_CAMBI_SUM_MAX */
    size_t stride;      /* of the next two */
    uint16_t *picture;
    uint8_t *mask;
    float *contrasts; /* rows of the scale's width */
    uint16_t *counts; /* by code, by column */
    uint16_t *none;   /* a row of zeros */
    uint16_t *rows[3];
    uint8_t *flat[8]; /* rows by number modulo 8 */
    uint8_t *sums;    /* of the last seven, by column; three zeros before and after */
} CambiScratch;

/** VMAFX_ERR_NOMEM leaves something that can be done. @param codes  the most that are looked at */
VMAFX_CHECK VmafxErr cambi_scratch_init(CambiScratch *scratch, const VmafxCambiKernels *k, size_t w, size_t h,
                                        size_t codes);
void cambi_scratch_done(CambiScratch *scratch);

/**
 * @param side   which of the settings' sizes counts
 * @param maps   where the place-th heat map goes; NULL: nowhere
 * @return VMAFX_ERR_IO with a sentence
 */
VMAFX_CHECK VmafxErr cambi_score(CambiScratch *scratch, const CambiSettings *s, const VmafxPlane *plane, int side,
                                 CambiHeatmaps *maps, uint32_t place, double *ret_score, VmafxErrInfo *reterr);
#endif

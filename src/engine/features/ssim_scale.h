/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * What SSIM and MS-SSIM share: pictures as binary32 samples on the scale of 8 bits, low-pass and decimation, and the
 * mean similarity of two pictures of one size. Formulas: Wang et al., "Image quality assessment: from error visibility
 * to structural similarity", 2004, and "Multiscale structural similarity", 2003; widths and orders of sums are those
 * of the reference.
 */
#ifndef VMAFX_ENGINE_FEATURES_SSIM_SCALE_H
#define VMAFX_ENGINE_FEATURES_SSIM_SCALE_H

#include "engine/extractor.h"

/** A picture: either a plane of samples, or floats of a smaller scale in rows without padding. */
typedef struct SsimImage {
    const VmafxPlane *plane; /* NULL: data */
    float *data;
    int w, h;
} SsimImage;

/** Scratch rows for pictures of up to that size. Zeroed, it can be done. */
typedef struct SsimRows {
    const VmafxSsimKernels *k;
    VmafxSsimConstants constants;
    int pad;                            /* samples beside the first row: more than half of the longest low-pass */
    float *source[2], *product;         /* rows that come; padded */
    float *blurred[5][VMAFX_SSIM_TAPS]; /* x, y, xx, yy, xy: the last eleven rows */
    float *moments[5];
    double *similarity[3], *sum;
} SsimRows;

/** Means of similarity over all places of the window; of the whole and of its three parts. */
typedef struct SsimMeans {
    float score, l, c, s;
} SsimMeans;

/** Half of a side, or whatever the step makes of it: not rounded, but one more where the side is odd. */
int vmafx_ssim_decimated(int side, int step);

VMAFX_CHECK VmafxErr vmafx_ssim_rows_init(SsimRows *rows, const VmafxSsimKernels *k, int w, int pad);
void vmafx_ssim_rows_done(SsimRows *rows);

/** Low-pass with a table of taps × taps, every step-th sample of it; to has room for the result. */
void vmafx_ssim_decimate(SsimRows *rows, const SsimImage *from, int step, const float *table, int taps, SsimImage *to);
/** Of two pictures of one size, 11 x 11 or more. */
SsimMeans vmafx_ssim_means(SsimRows *rows, const SsimImage *ref, const SsimImage *dis);

/** −10 · log10(1 − score), no more than what one wrong sample in two pictures would give when clip is set. */
double vmafx_ssim_db(double score, bool clip, const VmafxPassSetup *setup);
#endif

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Row kernels of SSIM and MS-SSIM. Products are binary32, sums are binary64 in the order of the taps: that order, not
 * the instruction set, is what the numbers depend on.
 */
#ifndef VMAFX_ENGINE_KERNELS_SSIM_H
#define VMAFX_ENGINE_KERNELS_SSIM_H

#define VMAFX_SSIM_TAPS 11 /* of the window */

/** Constants that keep quotients finite. */
typedef struct VmafxSsimConstants {
    float c1, c2, c3;
} VmafxSsimConstants;

/** Local moments of two pictures, a row of each. */
typedef struct VmafxSsimMoments {
    const float *x, *y;        /* means */
    const float *xx, *yy, *xy; /* means of products */
} VmafxSsimMoments;

typedef struct VmafxSsimKernels {
    /** ret[x] = Σ in[x + t] · g[t] over the window's taps t; n results from n + 10 samples. */
    void (*blur_row)(const float *in, int n, float *ret);
    /** The same down 11 rows. */
    void (*blur_column)(const float *const *rows, int n, float *ret);
    /** acc[x] += Σ in[x · step + t] · k[t], t < taps, one after the other. */
    void (*decimate)(const float *in, const float *k, int taps, int step, int n, double *acc);
    /** Luminance, contrast and structure of n places. */
    void (*similarity)(const VmafxSsimMoments *m, const VmafxSsimConstants *c, int n, double *ret_l, double *ret_c,
                       double *ret_s);
} VmafxSsimKernels;

void vmafx_ssim_kernels_init(VmafxSsimKernels *k, unsigned cpu);
#endif

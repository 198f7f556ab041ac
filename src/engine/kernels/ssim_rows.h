/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The loops of ssim.h, in plain C. Included once for the baseline and once for AVX2, where the compiler makes wider
 * vectors of the same operations: nothing is fused or reordered, so both give the same bits.
 */
#ifndef VMAFX_ENGINE_KERNELS_SSIM_ROWS_H
#define VMAFX_ENGINE_KERNELS_SSIM_ROWS_H

#include <math.h>

#include "engine/kernels/ssim.h"

/* The taps of the window; they do not add up to 1, and are not meant to. */
static const float window[VMAFX_SSIM_TAPS] = { 0.001028F, 0.007599F, 0.036001F, 0.109361F, 0.213006F, 0.266012F,
                                               0.213006F, 0.109361F, 0.036001F, 0.007599F, 0.001028F };

static void blur_row(const float *restrict in, int n, float *restrict ret)
{
    for (int x = 0; x < n; x++) {
        double sum = 0;

        for (int t = 0; t < VMAFX_SSIM_TAPS; t++)
            sum += (double)(in[x + t] * window[t]);
        ret[x] = (float)sum;
    }
}

static void blur_column(const float *const *rows, int n, float *restrict ret)
{
    const float *r0 = rows[0], *r1 = rows[1], *r2 = rows[2], *r3 = rows[3], *r4 = rows[4], *r5 = rows[5];
    const float *r6 = rows[6], *r7 = rows[7], *r8 = rows[8], *r9 = rows[9], *r10 = rows[10];

    for (int x = 0; x < n; x++) {
        double sum = (double)(r0[x] * window[0]);

        sum += (double)(r1[x] * window[1]);
        sum += (double)(r2[x] * window[2]);
        sum += (double)(r3[x] * window[3]);
        sum += (double)(r4[x] * window[4]);
        sum += (double)(r5[x] * window[5]);
        sum += (double)(r6[x] * window[6]);
        sum += (double)(r7[x] * window[7]);
        sum += (double)(r8[x] * window[8]);
        sum += (double)(r9[x] * window[9]);
        sum += (double)(r10[x] * window[10]);
        ret[x] = (float)sum;
    }
}

static void decimate(const float *restrict in, const float *restrict k, int taps, int step, int n, double *restrict acc)
{
    if (taps == 9 && step == 2) { /* MS-SSIM */
        for (int x = 0; x < n; x++) {
            double sum = acc[x];

            for (int t = 0; t < 9; t++)
                sum += (double)(in[2 * x + t] * k[t]);
            acc[x] = sum;
        }
        return;
    }
    for (int x = 0; x < n; x++) {
        double sum = acc[x];

        for (int t = 0; t < taps; t++)
            sum += (double)(in[x * step + t] * k[t]);
        acc[x] = sum;
    }
}

static void similarity(const VmafxSsimMoments *m, const VmafxSsimConstants *k, int n, double *restrict ret_l,
                       double *restrict ret_c, double *restrict ret_s)
{
    const float *restrict x = m->x, *restrict y = m->y, *restrict xx = m->xx, *restrict yy = m->yy,
                          *restrict xy = m->xy;
    const float c1 = k->c1, c2 = k->c2, c3 = k->c3;

    for (int i = 0; i < n; i++) {
        float vx = xx[i] - x[i] * x[i], vy = yy[i] - y[i] * y[i], vxy = xy[i] - x[i] * y[i];

        vx = vx > 0 ? vx : 0;
        vy = vy > 0 ? vy : 0;
        float sd = (float)sqrt((double)(vx * vy));
        float q = vxy < 0 && sd <= 0 ? 0 : vxy;
        ret_l[i] = (2.0 * (double)x[i] * (double)y[i] + (double)c1) / (double)(x[i] * x[i] + y[i] * y[i] + c1);
        ret_c[i] = (2.0 * (double)sd + (double)c2) / (double)(vx + vy + c2);
        ret_s[i] = (double)((q + c3) / (sd + c3));
    }
}

static const VmafxSsimKernels kernels = {
    .blur_row = blur_row, .blur_column = blur_column, .decimate = decimate, .similarity = similarity
};
#endif

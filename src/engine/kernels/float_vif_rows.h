/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The loops of float_vif.h, in plain C. Included once for each instruction set, where the compiler makes wider vectors
 * of the same operations: nothing is fused or reordered, so all give the same bits.
 */
#ifndef VMAFX_ENGINE_KERNELS_FLOAT_VIF_ROWS_H
#define VMAFX_ENGINE_KERNELS_FLOAT_VIF_ROWS_H

#include <stdint.h>
#include <string.h>

#include "engine/kernels/float_vif.h"

static void add(const float *restrict in, float tap, int w, float *restrict ret)
{
    for (int j = 0; j < w; j++)
        ret[j] = ret[j] + tap * in[j];
}

static void add_moments(const float *restrict x, const float *restrict y, float tap, int w,
                        float *const ret[VMAFX_FLOAT_VIF_MOMENTS])
{
    float *restrict m0 = ret[0], *restrict m1 = ret[1], *restrict m2 = ret[2], *restrict m3 = ret[3],
                    *restrict m4 = ret[4];

    for (int j = 0; j < w; j++) {
        m0[j] = m0[j] + tap * x[j];
        m1[j] = m1[j] + tap * y[j];
        m2[j] = m2[j] + tap * (x[j] * x[j]);
        m3[j] = m3[j] + tap * (y[j] * y[j]);
        m4[j] = m4[j] + tap * (x[j] * y[j]);
    }
}

static void along(const float *in, const float *taps, int n_taps, int step, int n, float *restrict ret)
{
    for (int x = 0; x < n; x++)
        ret[x] = 0;
    for (int t = 0; t < n_taps; t++) {
        const float *from = in + t - n_taps / 2;

        if (step == 1)
            add(from, taps[t], n, ret);
        else
            for (int x = 0; x < n; x++)
                ret[x] = ret[x] + taps[t] * from[2 * x];
    }
}

/* An approximation of log2 by a polynomial over the mantissa. */
static inline float log2_of(float v)
{
    uint32_t bits, mantissa;
    float z;

    memcpy(&bits, &v, sizeof bits);
    mantissa = (bits & 0x7fffff) | 0x3f800000;
    memcpy(&z, &mantissa, sizeof z);
    z = z - 1;
    float p = -0.012671635276421F;
    p = p * z + 0.064841182402670F;
    p = p * z + -0.157048836463065F;
    p = p * z + 0.257167726303123F;
    p = p * z + -0.353800560300520F;
    p = p * z + 0.480131410397451F;
    p = p * z + -0.721314327952201F;
    p = p * z + 1.442694803896991F;
    p = p * z + 0;
    return (float)((int)(bits >> 23) - 127) + p;
}

static void information(const float *const m[VMAFX_FLOAT_VIF_MOMENTS], const VmafxFloatVifNoise *noise, int n,
                        float *restrict ret_num, float *restrict ret_den)
{
    const float *restrict mu1 = m[0], *restrict mu2 = m[1], *restrict xx = m[2], *restrict yy = m[3],
                          *restrict xy = m[4];
    const double variance = noise->variance;
    const float least = 1e-10F, limit = noise->gain_max, k = noise->k;

    for (int i = 0; i < n; i++) {
        float v1 = xx[i] - mu1[i] * mu1[i], v2 = yy[i] - mu2[i] * mu2[i], v12 = xy[i] - mu1[i] * mu2[i];

        v1 = v1 > 0 ? v1 : 0;
        v2 = v2 > 0 ? v2 : 0;
        float g = v12 / (v1 + least), sv = v2 - g * v12;
        if (v1 < least) {
            g = 0;
            sv = v2;
            v1 = 0;
        }
        if (v2 < least) {
            g = 0;
            sv = 0;
        }
        if (g < 0) {
            sv = v2;
            g = 0;
        }
        sv = sv > least ? sv : least;
        g = g < limit ? g : limit;
        float num = log2_of((float)(1 + (double)(g * g * v1) / ((double)sv + variance)));
        float den = log2_of((float)(1 + (double)v1 / variance));
        if (v12 < 0)
            num = 0;
        if ((double)v1 < variance) {
            num = 1 - v2 * k;
            den = 1;
        }
        ret_num[i] = num;
        ret_den[i] = den;
    }
}

static const VmafxFloatVifKernels kernels = {
    .add = add, .add_moments = add_moments, .along = along, .information = information
};
#endif

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

/* What fits one register. */
#if defined(__AVX512F__)
#define LANES 16
#elif defined(__AVX2__)
#define LANES 8
#else
#define LANES 4
#endif
typedef float Lanes __attribute__((vector_size(LANES * sizeof(float))));

static void moments(const float *const *x, const float *const *y, const float *taps, int n_taps, int w,
                    float *const ret[VMAFX_FLOAT_VIF_MOMENTS])
{
    for (int j = 0; j < w; j += LANES) {
        Lanes m0 = { 0 }, m1 = { 0 }, m2 = { 0 }, m3 = { 0 }, m4 = { 0 };

        for (int t = 0; t < n_taps; t++) {
            Lanes xs, ys;

            memcpy(&xs, x[t] + j, sizeof xs);
            memcpy(&ys, y[t] + j, sizeof ys);
            m0 += taps[t] * xs;
            m1 += taps[t] * ys;
            m2 += taps[t] * (xs * xs);
            m3 += taps[t] * (ys * ys);
            m4 += taps[t] * (xs * ys);
        }
        memcpy(ret[0] + j, &m0, sizeof m0);
        memcpy(ret[1] + j, &m1, sizeof m1);
        memcpy(ret[2] + j, &m2, sizeof m2);
        memcpy(ret[3] + j, &m3, sizeof m3);
        memcpy(ret[4] + j, &m4, sizeof m4);
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

static const VmafxFloatVifKernels kernels = { .moments = moments, .information = information };
#endif

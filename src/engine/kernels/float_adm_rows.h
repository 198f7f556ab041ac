/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The loops of float_adm.h, in plain C. Included once for each instruction set, where the compiler makes wider vectors
 * of the same operations: nothing is fused or reordered, so all give the same bits.
 */
#ifndef VMAFX_ENGINE_KERNELS_FLOAT_ADM_ROWS_H
#define VMAFX_ENGINE_KERNELS_FLOAT_ADM_ROWS_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "engine/kernels/float_adm.h"

#define BANDS VMAFX_FLOAT_ADM_BANDS
#define TAPS  VMAFX_FLOAT_ADM_TAPS

static const float low_taps[TAPS] = { 0.482962913144690F, 0.836516303737469F, 0.224143868041857F, -0.129409522550921F };
static const float high_taps[TAPS] = { -0.129409522550921F, -0.224143868041857F, 0.836516303737469F,
                                       -0.482962913144690F };

static inline float filtered(const float taps[TAPS], float a, float b, float c, float d)
{
    return (((0 + taps[0] * a) + taps[1] * b) + taps[2] * c) + taps[3] * d;
}

static void wavelet_down(const float *const rows[TAPS], int n, float *restrict lo, float *restrict hi)
{
    const float *restrict a = rows[0], *restrict b = rows[1], *restrict c = rows[2], *restrict d = rows[3];

    for (int x = 0; x < n; x++) {
        lo[x] = filtered(low_taps, a[x], b[x], c[x], d[x]);
        hi[x] = filtered(high_taps, a[x], b[x], c[x], d[x]);
    }
}

static inline void both_along(const float *restrict in, int n, float *restrict low, float *restrict high)
{
    for (int x = 0; x < n; x++) {
        low[x] = filtered(low_taps, in[2 * x - 1], in[2 * x], in[2 * x + 1], in[2 * x + 2]);
        high[x] = filtered(high_taps, in[2 * x - 1], in[2 * x], in[2 * x + 1], in[2 * x + 2]);
    }
}

static void wavelet_along(const float *lo, const float *hi, int n, float *low, float *const bands[BANDS])
{
    both_along(lo, n, low, bands[1]);
    both_along(hi, n, bands[0], bands[2]);
}

/* Whether the change at a place is one of contrast only: less than a degree in the plane of H and V. */
static inline bool is_aligned(float o_h, float o_v, float t_h, float t_v)
{
    const float cos_1deg_squared = 0x1.ffd814p-1F;
    float p = o_h * t_h + o_v * t_v, o = o_h * o_h + o_v * o_v, t = t_h * t_h + t_v * t_v;

    return (p >= 0) & (p * p >= (cos_1deg_squared * o) * t);
}

static inline float restored(float o, float t, bool aligned, double limit)
{
    float k = t / (o + 1e-30F);

    k = k < 0 ? 0 : k > 1 ? 1 : k;
    float r = k * o, most = (float)((double)r * limit);
    /* rounded before it is compared with t: that gives what rounding the smaller, or larger, of both would */
    float bounded = r > 0 ? (most < t ? most : t) : (most > t ? most : t);
    return (aligned & (r != 0)) ? bounded : r;
}

static inline float spread_of(float weight)
{
    return (float)(0.0333333351 * (double)weight);
}

/* Rows are taken in pieces of so many values. What the bands of a piece have in common lies on the stack. */
#define PIECE 256
/* A loop for one band, which the compiler is not to merge with those of other bands: it makes no vectors of that. */
#define OF_BAND static __attribute__((noinline)) void

static inline int piece_of(int from, int n)
{
    return n - from < PIECE ? n - from : PIECE;
}

OF_BAND find_aligned(const float *restrict o_h, const float *restrict o_v, const float *restrict t_h,
                     const float *restrict t_v, int n, int32_t *restrict ret)
{
    for (int x = 0; x < n; x++)
        ret[x] = is_aligned(o_h[x], o_v[x], t_h[x], t_v[x]);
}

OF_BAND split_band(const float *restrict o, const float *restrict t, const int32_t *restrict aligned, int n, float gain,
                   double limit, float *restrict r_weight, float *restrict r_spread, float *restrict a_weight,
                   float *restrict a_spread)
{
    for (int x = 0; x < n; x++) {
        float r = restored(o[x], t[x], aligned[x], limit), a = t[x] - r;

        r_weight[x] = fabsf(gain * r);
        r_spread[x] = spread_of(fabsf(gain * r));
        a_weight[x] = fabsf(gain * a);
        a_spread[x] = spread_of(fabsf(gain * a));
    }
}

static void split(const float *const o[BANDS], const float *const t[BANDS], int n, const VmafxFloatAdmGains *gains,
                  const VmafxFloatAdmSplit *r, const VmafxFloatAdmSplit *a)
{
    int32_t aligned[PIECE];

    for (int from = 0; from < n; from += PIECE) {
        const int m = piece_of(from, n);

        find_aligned(o[0] + from, o[1] + from, t[0] + from, t[1] + from, m, aligned);
        for (int b = 0; b < BANDS; b++)
            split_band(o[b] + from, t[b] + from, aligned, m, gains->bands[b], gains->limit, r->weight[b] + from,
                       r->spread[b] + from, a->weight[b] + from, a->spread[b] + from);
    }
}

/* What one band of the masker hides. */
OF_BAND add_hidden(const float *restrict above, const float *restrict here, const float *restrict below,
                   const float *restrict weight, int n, float *restrict threshold)
{
    for (int x = 0; x < n; x++) {
        float hidden = above[x - 1] + above[x] + above[x + 1] + here[x - 1];

        hidden = (float)((double)hidden + 0.0666666701 * (double)weight[x]);
        threshold[x] = threshold[x] + (hidden + here[x + 1] + below[x - 1] + below[x] + below[x + 1]);
    }
}

OF_BAND leave_visible(const float *restrict weight, const float *restrict threshold, int n, bool cubed,
                      float *restrict ret)
{
    for (int x = 0; x < n; x++) {
        float m = weight[x] - threshold[x];

        m = m > 0 ? m : 0;
        ret[x] = cubed ? m * m * m : m;
    }
}

static void visible(const VmafxFloatAdmSplit *const masker[3], const float *const weight[BANDS], int n, bool cubed,
                    float *const ret[BANDS])
{
    float threshold[PIECE];

    for (int from = 0; from < n; from += PIECE) {
        const int m = piece_of(from, n);

        memset(threshold, 0, sizeof threshold);
        for (int b = 0; b < BANDS; b++)
            add_hidden(masker[0]->spread[b] + from, masker[1]->spread[b] + from, masker[2]->spread[b] + from,
                       masker[1]->weight[b] + from, m, threshold);
        for (int b = 0; b < BANDS; b++)
            leave_visible(weight[b] + from, threshold, m, cubed, ret[b] + from);
    }
}

static void magnitude(const float *restrict in, float gain, int n, bool cubed, float *restrict ret)
{
    for (int x = 0; x < n; x++) {
        float m = fabsf(gain * in[x]);

        ret[x] = cubed ? m * m * m : m;
    }
}

static const VmafxFloatAdmKernels kernels = { .wavelet_down = wavelet_down,
                                              .wavelet_along = wavelet_along,
                                              .split = split,
                                              .visible = visible,
                                              .magnitude = magnitude };
#endif

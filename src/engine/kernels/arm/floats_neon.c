/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Filtering of binary32 with NEON: compilers do not see that sums can stay in registers. */

#include "engine/kernels/arm/arm.h"
#include "engine/kernels/arm/floats.h"
#include "engine/kernels/floats_rows.h"

#define BLOCK 4

/* 4 · n places in sequence, n being known where this is compiled into. */
static inline void filter(const float *from, const float *taps, int n_taps, int n, float *ret)
{
    float32x4_t sums[4] = { vdupq_n_f32(0), vdupq_n_f32(0), vdupq_n_f32(0), vdupq_n_f32(0) };

    for (int t = 0; t < n_taps; t++)
        for (int i = 0; i < n; i++)
            sums[i] = vaddq_f32(sums[i], vmulq_n_f32(vld1q_f32(from + t + (ptrdiff_t)i * BLOCK), taps[t]));
    for (int i = 0; i < n; i++)
        vst1q_f32(ret + (ptrdiff_t)i * BLOCK, sums[i]);
}

/* The same of every second place: a load takes what two taps need. */
static inline void filter_halving(const float *from, const float *taps, int n_taps, int n, float *ret)
{
    float32x4_t sums[4] = { vdupq_n_f32(0), vdupq_n_f32(0), vdupq_n_f32(0), vdupq_n_f32(0) };
    int t = 0;

    for (; t + 2 <= n_taps; t += 2)
        for (int i = 0; i < n; i++) {
            float32x4x2_t v = vld2q_f32(from + t + (ptrdiff_t)i * 2 * BLOCK);

            sums[i] = vaddq_f32(sums[i], vmulq_n_f32(v.val[0], taps[t]));
            sums[i] = vaddq_f32(sums[i], vmulq_n_f32(v.val[1], taps[t + 1]));
        }
    for (int i = 0; i < n; i++, from += 2 * BLOCK) {
        if (t < n_taps)
            sums[i] = vaddq_f32(sums[i],
                                vmulq_n_f32((float32x4_t){ from[t], from[t + 2], from[t + 4], from[t + 6] }, taps[t]));
        vst1q_f32(ret + (ptrdiff_t)i * BLOCK, sums[i]);
    }
}

/* Whole blocks, which there is room for. */
static void along_neon(const float *in, const float *taps, int n_taps, int step, int n, float *ret)
{
    const float *from = in - n_taps / 2;
    int x = 0;

    if (step == 1) {
        for (; x + 4 * BLOCK <= n; x += 4 * BLOCK)
            filter(from + x, taps, n_taps, 4, ret + x);
        for (; x < n; x += BLOCK)
            filter(from + x, taps, n_taps, 1, ret + x);
    } else {
        for (; x + 4 * BLOCK <= n; x += 4 * BLOCK)
            filter_halving(from + 2 * (ptrdiff_t)x, taps, n_taps, 4, ret + x);
        for (; x < n; x += BLOCK)
            filter_halving(from + 2 * (ptrdiff_t)x, taps, n_taps, 1, ret + x);
    }
}

void vmafx_floats_kernels_init_neon(VmafxFloatsKernels *k)
{
    *k = kernels;
    k->along = along_neon;
}

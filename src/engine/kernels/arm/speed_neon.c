/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* SpEED's statistics with NEON, where compilers leave lanes empty; the rest is what they make of speed_rows.h. */

#include <arm_neon.h>
#include <stdbool.h>

#include "engine/kernels/arm/arm.h"
#include "engine/kernels/speed_rows.h"

/* Four sums of a block's row are a vector, the fifth is alone; five rows at once, so that ten additions overlap. */
static void sum_row_neon(const float *const *rows, int n, float *sums)
{
    const float *row[SIDE];
    float32x4_t s[SIDE];
    float fifth[SIDE];

    for (int i = 0; i < SIDE; i++) {
        row[i] = rows[i];
        s[i] = vld1q_f32(sums + (ptrdiff_t)i * SIDE);
        fifth[i] = sums[i * SIDE + 4];
    }
    for (int j = 0; j < n; j++)
        for (int i = 0; i < SIDE; i++) {
            s[i] = vaddq_f32(s[i], vld1q_f32(row[i] + j));
            fifth[i] += row[i][j + 4];
        }
    for (int i = 0; i < SIDE; i++) {
        vst1q_f32(sums + (ptrdiff_t)i * SIDE, s[i]);
        sums[i * SIDE + 4] = fifth[i];
    }
}

#define PAIRS 3 /* of a block's row: its five places, and one that means nothing */

typedef double Block[SIDE][WIDE];

/* Pairs of the places of block row i with those of block row k, which is the same where `diagonal`. */
static inline void covary_block_rows(const Block *d, int n, int i, int k, bool diagonal, VmafxSpeedSums sums)
{
    float64x2_t s[SIDE][PAIRS], in[PAIRS];

    for (int c = 0; c < SIDE; c++)
        for (int p = 0; p < PAIRS; p++)
            s[c][p] = vld1q_f64(&sums[i * SIDE + c][k * WIDE + 2 * p]);
    for (int j = 0; j < n; j++) {
        for (int p = 0; p < PAIRS; p++)
            in[p] = vld1q_f64(&d[j][k][2 * p]);
        for (int c = 0; c < SIDE; c++)
            for (int p = 0; p < (diagonal ? c / 2 + 1 : PAIRS); p++)
                s[c][p] = vaddq_f64(s[c][p], vmulq_n_f64(in[p], d[j][i][c]));
    }
    for (int c = 0; c < SIDE; c++)
        for (int p = 0; p < PAIRS; p++)
            vst1q_f64(&sums[i * SIDE + c][k * WIDE + 2 * p], s[c][p]);
}

static void covary_row_neon(const float *const *rows, int n, const float *means, VmafxSpeedSums sums)
{
    Block d[AT_A_TIME], mean;

    spread(means, mean);
    for (int from = 0; from < n; from += AT_A_TIME) {
        const int m = n - from < AT_A_TIME ? n - from : AT_A_TIME;

        for (int j = 0; j < m; j++)
            for (int i = 0; i < SIDE; i++)
                for (int p = 0; p < PAIRS; p++) {
                    float64x2_t v = vcvt_f64_f32(vld1_f32(rows[i] + from + j + 2 * p));
                    vst1q_f64(&d[j][i][2 * p], vsubq_f64(v, vld1q_f64(&mean[i][2 * p])));
                }
        for (int i = 0; i < SIDE; i++) {
            for (int k = 0; k < i; k++)
                covary_block_rows(d, m, i, k, false, sums);
            covary_block_rows(d, m, i, i, true, sums);
        }
    }
}

void vmafx_speed_kernels_init_neon(VmafxSpeedKernels *k)
{
    *k = kernels;
    k->sum_row = sum_row_neon;
    k->covary_row = covary_row_neon;
}

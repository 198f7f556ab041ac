/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The loops of floats.h, in plain C. Included once for each instruction set, where the compiler makes wider vectors of
 * the same operations: nothing is fused or reordered, so all give the same bits.
 */
#ifndef VMAFX_ENGINE_KERNELS_FLOATS_ROWS_H
#define VMAFX_ENGINE_KERNELS_FLOATS_ROWS_H

#include <math.h>
#include <stddef.h>
#include <string.h>

#include "engine/kernels/floats.h"

/* What fits one register. */
#if defined(__AVX512F__)
#define LANES 16
#define EVEN  0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30
#elif defined(__AVX2__)
#define LANES 8
#define EVEN  0, 2, 4, 6, 8, 10, 12, 14
#else
#define LANES 4
#define EVEN  0, 2, 4, 6
#endif
typedef float Lanes __attribute__((vector_size(LANES * sizeof(float))));

static void convert8(const uint8_t *restrict in, int n, float *restrict ret)
{
    for (int x = 0; x < n; x++)
        ret[x] = (float)in[x] - 128.0F;
}

static void convert16(const uint16_t *restrict in, float scale, int n, float *restrict ret)
{
    for (int x = 0; x < n; x++)
        ret[x] = (float)in[x] * scale - 128.0F;
}

static inline Lanes lanes_at(const float *at)
{
    Lanes v;

    memcpy(&v, at, sizeof v);
    return v;
}

static void down(const float *const *rows, const float *taps, int n_taps, int n, float *restrict ret)
{
    for (int x = 0; x < n; x += 2 * LANES) {
        Lanes s0 = { 0 }, s1 = { 0 };

        for (int t = 0; t < n_taps; t++) {
            s0 += taps[t] * lanes_at(rows[t] + x);
            s1 += taps[t] * lanes_at(rows[t] + x + LANES);
        }
        memcpy(ret + x, &s0, sizeof s0);
        memcpy(ret + x + LANES, &s1, sizeof s1);
    }
}

static void along_each(const float *in, const float *taps, int n_taps, int n, float *restrict ret)
{
    for (int x = 0; x < n; x += 2 * LANES) {
        Lanes s0 = { 0 }, s1 = { 0 };

        for (int t = 0; t < n_taps; t++) {
            s0 += taps[t] * lanes_at(in + x + t);
            s1 += taps[t] * lanes_at(in + x + t + LANES);
        }
        memcpy(ret + x, &s0, sizeof s0);
        memcpy(ret + x + LANES, &s1, sizeof s1);
    }
}

static void along_every_second(const float *in, const float *taps, int n_taps, int n, float *restrict ret)
{
    for (int x = 0; x < n; x += LANES) {
        Lanes s = { 0 };

        for (int t = 0; t < n_taps; t++) {
            const float *at = in + (ptrdiff_t)2 * x + t;
            s += taps[t] * __builtin_shufflevector(lanes_at(at), lanes_at(at + LANES), EVEN);
        }
        memcpy(ret + x, &s, sizeof s);
    }
}

static void along(const float *in, const float *taps, int n_taps, int step, int n, float *ret)
{
    if (step == 1)
        along_each(in - n_taps / 2, taps, n_taps, n, ret);
    else
        along_every_second(in - n_taps / 2, taps, n_taps, n, ret);
}

static void difference(const float *restrict a, const float *restrict b, int n, float *restrict ret)
{
    for (int x = 0; x < n; x++)
        ret[x] = fabsf(a[x] - b[x]);
}

#define FOUR  4
#define FOURS (VMAFX_FLOATS_SUMS_MAX / FOUR)
typedef float Four __attribute__((vector_size(FOUR * sizeof(float))));

/* The sums of four rows, one in each lane, become those with the next four values. */
static inline Four add_columns(Four sums, const float *const row[FOUR], int x)
{
    Four in[FOUR];

    for (int r = 0; r < FOUR; r++)
        memcpy(&in[r], row[r] + x, sizeof *in);
    const Four low01 = __builtin_shufflevector(in[0], in[1], 0, 4, 1, 5),
               low23 = __builtin_shufflevector(in[2], in[3], 0, 4, 1, 5);
    const Four high01 = __builtin_shufflevector(in[0], in[1], 2, 6, 3, 7),
               high23 = __builtin_shufflevector(in[2], in[3], 2, 6, 3, 7);

    sums += __builtin_shufflevector(low01, low23, 0, 1, 4, 5);
    sums += __builtin_shufflevector(low01, low23, 2, 3, 6, 7);
    sums += __builtin_shufflevector(high01, high23, 0, 1, 4, 5);
    sums += __builtin_shufflevector(high01, high23, 2, 3, 6, 7);
    return sums;
}

/* Several at once, so that their additions overlap. */
static inline __attribute__((always_inline)) void sum_fours(const float *const (*rows)[FOUR], const int n_fours, int n,
                                                            Four *ret)
{
    Four sums[FOURS] = { { 0 } };
    int x = 0;

    for (; x + FOUR <= n; x += FOUR)
        for (int i = 0; i < n_fours; i++)
            sums[i] = add_columns(sums[i], rows[i], x);
    for (; x < n; x++)
        for (int i = 0; i < n_fours; i++)
            sums[i] += (Four){ rows[i][0][x], rows[i][1][x], rows[i][2][x], rows[i][3][x] };
    for (int i = 0; i < n_fours; i++)
        ret[i] = sums[i];
}

static void sum(const float *const *rows, int n_rows, int n, float *ret)
{
    const float *all[FOURS][FOUR];
    Four sums[FOURS];

    for (int r = 0; r < VMAFX_FLOATS_SUMS_MAX; r++)
        all[r / FOUR][r % FOUR] = rows[r < n_rows ? r : 0];
    if (n_rows > 2 * FOUR)
        sum_fours(all, 3, n, sums);
    else if (n_rows > FOUR)
        sum_fours(all, 2, n, sums);
    else
        sum_fours(all, 1, n, sums);
    memcpy(ret, sums, (size_t)n_rows * sizeof *ret);
}

static const VmafxFloatsKernels kernels = {
    .convert8 = convert8, .convert16 = convert16, .down = down, .along = along, .difference = difference, .sum = sum
};
#endif

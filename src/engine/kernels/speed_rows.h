/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The loops of speed.h, in plain C. Included once for the baseline and once for every wider instruction set, where the
 * compiler makes wider vectors of the same operations: nothing is fused or reordered, so all give the same bits.
 */
#ifndef VMAFX_ENGINE_KERNELS_SPEED_ROWS_H
#define VMAFX_ENGINE_KERNELS_SPEED_ROWS_H

#include "engine/kernels/speed.h"

#define N     VMAFX_SPEED_N
#define SIDE  VMAFX_SPEED_SIDE
#define PITCH VMAFX_SPEED_PITCH

static void add_scaled(const float *restrict in, float f, int n, float *restrict acc)
{
    for (int x = 0; x < n; x++)
        acc[x] += f * in[x];
}

static void subtract_scaled(const float *restrict in, float f, int n, float *restrict acc)
{
    for (int x = 0; x < n; x++)
        acc[x] -= in[x] * f;
}

static void sum_row(const float *const *rows, int n, float *restrict sums)
{
    for (int i = 0; i < SIDE; i++) {
        const float *restrict row = rows[i];
        float *restrict s = sums + (ptrdiff_t)i * SIDE;
        float s0 = s[0], s1 = s[1], s2 = s[2], s3 = s[3], s4 = s[4]; /* five sums, so that five additions overlap */

        for (int j = 0; j < n; j++) {
            s0 += row[j];
            s1 += row[j + 1];
            s2 += row[j + 2];
            s3 += row[j + 3];
            s4 += row[j + 4];
        }
        s[0] = s0;
        s[1] = s1;
        s[2] = s2;
        s[3] = s3;
        s[4] = s4;
    }
}

/* Pairs of the places of block row i with those of this row and of the ones before, in whole vectors. */
#define COVARY(i, upto)                                                                                                \
    for (int a = (i)*SIDE; a < ((i) + 1) * SIDE; a++)                                                                  \
        for (int b = 0; b < (upto); b++)                                                                               \
    sums[a][b] += d[a] * d[b]

static void covary_row(const float *const *rows, int n, const float *means, double (*restrict sums)[PITCH])
{
    double d[PITCH] = { 0 };

    for (int j = 0; j < n; j++) {
        for (int i = 0; i < SIDE; i++)
            for (int c = 0; c < SIDE; c++)
                d[i * SIDE + c] = (double)rows[i][j + c] - (double)means[i * SIDE + c];
        COVARY(0, 8);
        COVARY(1, 16);
        COVARY(2, 16);
        COVARY(3, 24);
        COVARY(4, 32);
    }
}

static void multiply(const VmafxSpeedMatrix a, const float *b, size_t b_pitch, int from, int first, int n, float *ret,
                     size_t ret_pitch)
{
    for (int i = from; i < N; i++) {
        float *restrict out = ret + (size_t)i * ret_pitch;

        for (int j = first; j < n; j++)
            out[j] = 0;
        for (int m = from; m < N; m++) {
            const float *restrict in = b + (size_t)m * b_pitch;
            const float f = a[i][m];

            for (int j = first; j < n; j++)
                out[j] += f * in[j];
        }
    }
}

static void block_energy(const float *x, const float *y, size_t pitch, int n, float *restrict ret)
{
    for (int j = 0; j < n; j++)
        ret[j] = x[j] * y[j] / (float)N;
    for (size_t a = 1; a < N; a++) {
        const float *restrict xa = x + a * pitch, *restrict ya = y + a * pitch;

        for (int j = 0; j < n; j++)
            ret[j] += xa[j] * ya[j] / (float)N;
    }
}

static const VmafxSpeedKernels kernels = { .add_scaled = add_scaled,
                                           .subtract_scaled = subtract_scaled,
                                           .sum_row = sum_row,
                                           .covary_row = covary_row,
                                           .multiply = multiply,
                                           .block_energy = block_energy };
#endif

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The loops of speed.h, in plain C. Included once for the baseline and once for every wider instruction set, where the
 * compiler makes wider vectors of the same operations: nothing is fused or reordered, so all give the same bits.
 */
#ifndef VMAFX_ENGINE_KERNELS_SPEED_ROWS_H
#define VMAFX_ENGINE_KERNELS_SPEED_ROWS_H

#include <string.h>

#include "engine/kernels/speed.h"

#define N       VMAFX_SPEED_N
#define SIDE    VMAFX_SPEED_SIDE
#define WIDE    VMAFX_SPEED_WIDE
#define COLUMNS VMAFX_SPEED_COLUMNS

/* Sums that are added to at once: what fits one or two registers; two would make gcc 12 for arm64 use memory. */
#ifdef __AVX512F__
#define LANES 8
#elif defined(__aarch64__)
#define LANES 2
#else
#define LANES 4
#endif
#define NARROW (2 * LANES)
typedef double Lanes __attribute__((vector_size(LANES * sizeof(double))));
typedef float Narrow __attribute__((vector_size(NARROW * sizeof(float))));

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

/* Pairs of a place of block row i with those in the lanes from a column on, over n places of the window. */
static void covary_lanes(const double (*d)[WIDE], int n, int i, int column, VmafxSpeedSums sums)
{
    Lanes s[SIDE], in;

    for (int c = 0; c < SIDE; c++)
        memcpy(&s[c], &sums[i * SIDE + c][column], sizeof *s);
    for (int j = 0; j < n; j++) {
        const double *at = d[j * SIDE + i];

        memcpy(&in, (const double *)d[j * SIDE] + column, sizeof in);
        s[0] += at[0] * in;
        s[1] += at[1] * in;
        s[2] += at[2] * in;
        s[3] += at[3] * in;
        s[4] += at[4] * in;
    }
    for (int c = 0; c < SIDE; c++)
        memcpy(&sums[i * SIDE + c][column], &s[c], sizeof *s);
}

#define AT_A_TIME 32

static void spread(const float *values, double ret[SIDE][WIDE])
{
    for (int i = 0; i < SIDE; i++)
        for (int c = 0; c < WIDE; c++)
            ret[i][c] = c < SIDE ? (double)values[i * SIDE + c] : 0;
}

static void covary_row(const float *const *rows, int n, const float *means, VmafxSpeedSums sums)
{
    double d[AT_A_TIME * SIDE][WIDE], mean[SIDE][WIDE];

    spread(means, mean);
    for (int from = 0; from < n; from += AT_A_TIME) {
        const int m = n - from < AT_A_TIME ? n - from : AT_A_TIME;

        for (int j = 0; j < m; j++)
            for (int i = 0; i < SIDE; i++)
                for (int c = 0; c < WIDE; c++)
                    d[j * SIDE + i][c] = (double)rows[i][from + j + c] - mean[i][c];
        for (int i = 0; i < SIDE; i++)
            for (int column = 0; column < (i + 1) * WIDE; column += LANES)
                covary_lanes(d, m, i, column, sums);
    }
}

/* Four rows of a product, or fewer, in the lanes from a column on; m from 0, a and b begin where the sums do. */
static void multiply_lanes(const float *const *a, const float *b, size_t b_pitch, int n_terms, float *const *ret)
{
    Narrow s0 = { 0 }, s1 = { 0 }, s2 = { 0 }, s3 = { 0 }, in;

    for (int m = 0; m < n_terms; m++) {
        memcpy(&in, b + (size_t)m * b_pitch, sizeof in);
        s0 += a[0][m] * in;
        s1 += a[1][m] * in;
        s2 += a[2][m] * in;
        s3 += a[3][m] * in;
    }
    memcpy(ret[3], &s3, sizeof s3); /* where rows are fewer than four, the last ones are the first one again */
    memcpy(ret[2], &s2, sizeof s2);
    memcpy(ret[1], &s1, sizeof s1);
    memcpy(ret[0], &s0, sizeof s0);
}

static void multiply(const VmafxSpeedMatrix a, const float *b, size_t b_pitch, int from, int first, int n, float *ret,
                     size_t ret_pitch)
{
    for (int i = from; i < N; i += 4)
        for (int j = first / COLUMNS * COLUMNS; j < n; j += NARROW) {
            const float *a_rows[4];
            float *ret_rows[4];

            for (int r = 0; r < 4; r++) {
                const int row = i + r < N ? i + r : i;
                a_rows[r] = a[row] + from;
                ret_rows[r] = ret + (size_t)row * ret_pitch + j;
            }
            multiply_lanes(a_rows, b + (size_t)from * b_pitch + j, b_pitch, N - from, ret_rows);
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

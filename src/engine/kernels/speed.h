/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Row kernels of SpEED. What a sum depends on is the order of its terms, so every lane of a vector adds up a sum of its
 * own: lanes are columns, or pairs of offsets, never parts of one sum.
 */
#ifndef VMAFX_ENGINE_KERNELS_SPEED_H
#define VMAFX_ENGINE_KERNELS_SPEED_H

#include <stddef.h>
#include <stdint.h>

#define VMAFX_SPEED_SIDE    5  /* of a block */
#define VMAFX_SPEED_N       25 /* places in a block; index a is the one in row a / 5, column a % 5 */
#define VMAFX_SPEED_PITCH   32 /* from one row of a small matrix to the next, in values */
#define VMAFX_SPEED_COLUMNS 16 /* of matrices that are computed together */
#define VMAFX_SPEED_SLACK   3  /* values beyond a row of residuals that kernels read, and that mean nothing */
#define VMAFX_SPEED_WIDE    8  /* lanes of a block's row: its 5, and the slack */

/** 25 x 25; what lies beyond column 24 means nothing. */
typedef float VmafxSpeedMatrix[VMAFX_SPEED_N][VMAFX_SPEED_PITCH];
/** Place b of a block is in column 8 · (b / 5) + b % 5; the other columns mean nothing. */
typedef double VmafxSpeedSums[VMAFX_SPEED_N][VMAFX_SPEED_SIDE * VMAFX_SPEED_WIDE];

typedef struct VmafxSpeedKernels {
    /** acc[x] += f · in[x], x < n. */
    void (*add_scaled)(const float *in, float f, int n, float *acc);
    /** acc[x] −= in[x] · f, x < n. */
    void (*subtract_scaled)(const float *in, float f, int n, float *acc);
    /** sums[a] += rows[a / 5][j + a % 5], j = 0 … n − 1, one after the other. */
    void (*sum_row)(const float *const *rows, int n, float *sums);
    /**
     * sums[a][column of b] += (rows[a / 5][j + a % 5] − means[a]) · (the same of b), j = 0 … n − 1, one after the
     * other, for b <= a; others may be written. Reads n + 7 values of each row.
     */
    void (*covary_row)(const float *const *rows, int n, const float *means, VmafxSpeedSums sums);
    /**
     * ret[i][j] = Σ a[i][m] · b[m][j] from 0, m ascending; i and m = from … 24. Columns go in groups of
     * VMAFX_SPEED_COLUMNS: j = from the group of `first` to that of n − 1, and pitches have room for whole groups.
     */
    void (*multiply)(const VmafxSpeedMatrix a, const float *b, size_t b_pitch, int from, int first, int n, float *ret,
                     size_t ret_pitch);
    /** ret[j] = Σ (x[a][j] · y[a][j]) / 25, a ascending from the first term; rows of both are `pitch` apart. */
    void (*block_energy)(const float *x, const float *y, size_t pitch, int n, float *ret);
} VmafxSpeedKernels;

void vmafx_speed_kernels_init(VmafxSpeedKernels *k, unsigned cpu);
#endif

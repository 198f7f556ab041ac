/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Row kernels that the features in binary32 have in common. Every sum is one of binary32 in the order given here, from
 * +0: lanes of a vector are sums of their own, never parts of one.
 */
#ifndef VMAFX_ENGINE_KERNELS_FLOATS_H
#define VMAFX_ENGINE_KERNELS_FLOATS_H

#include <stdint.h>

#define VMAFX_FLOATS_GROUP    32 /* values that are computed together; a power of two */
#define VMAFX_FLOATS_SUMS_MAX 12

/** Room for n values in whole groups. */
#define VMAFX_FLOATS_ROOM(n) (((size_t)(n) + VMAFX_FLOATS_GROUP - 1) / VMAFX_FLOATS_GROUP * VMAFX_FLOATS_GROUP)

typedef struct VmafxFloatsKernels {
    /** ret[x] = in[x] − 128, x < n. */
    void (*convert8)(const uint8_t *in, int n, float *ret);
    /** ret[x] = in[x] · scale − 128, x < n. */
    void (*convert16)(const uint16_t *in, float scale, int n, float *ret);
    /** ret[x] = Σ taps[t] · rows[t][x], t ascending, x < n; reads and may write whole groups. */
    void (*down)(const float *const *rows, const float *taps, int n_taps, int n, float *ret);
    /**
     * ret[x] = Σ taps[t] · in[x · step + t − half], half = n_taps div 2, t ascending, step 1 or 2, x < n; computes
     * whole groups, for which it reads from in[−half] to in[step · room + half − 1]. in is mirrored beyond its ends as
     * far as the n values need.
     */
    void (*along)(const float *in, const float *taps, int n_taps, int step, int n, float *ret);
    /** ret[x] = |a[x] − b[x]|, x < n. */
    void (*difference)(const float *a, const float *b, int n, float *ret);
    /** ret[r] = Σ rows[r][x], x ascending, x < n, r < n_rows, which is 1 … VMAFX_FLOATS_SUMS_MAX. */
    void (*sum)(const float *const *rows, int n_rows, int n, float *ret);
} VmafxFloatsKernels;

void vmafx_floats_kernels_init(VmafxFloatsKernels *k, unsigned cpu);
#endif

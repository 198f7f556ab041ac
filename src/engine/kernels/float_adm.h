/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Row kernels of ADM in binary32. Bands are H, V, D; a sum is one of binary32, in the order given here. */
#ifndef VMAFX_ENGINE_KERNELS_FLOAT_ADM_H
#define VMAFX_ENGINE_KERNELS_FLOAT_ADM_H

#include <stdbool.h>

#define VMAFX_FLOAT_ADM_BANDS 3
#define VMAFX_FLOAT_ADM_TAPS  4

typedef struct VmafxFloatAdmGains {
    float bands[VMAFX_FLOAT_ADM_BANDS]; /* of contrast sensitivity */
    double limit;                       /* of enhancement */
} VmafxFloatAdmGains;

/** What the split leaves of a band. */
typedef struct VmafxFloatAdmSplit {
    float *weight[VMAFX_FLOAT_ADM_BANDS]; /* its magnitude after contrast sensitivity */
    float *spread[VMAFX_FLOAT_ADM_BANDS]; /* weight / 30: what it hides in each of the eight places around */
} VmafxFloatAdmSplit;

typedef struct VmafxFloatAdmKernels {
    /** lo[x], hi[x] = Σ taps[t] · rows[t][x], t ascending from +0, x < n, with the taps of low-pass and high-pass. */
    void (*wavelet_down)(const float *const rows[VMAFX_FLOAT_ADM_TAPS], int n, float *lo, float *hi);
    /**
     * The same along rows, at every second place: sums over lo or hi[2 · x − 1 + t], x < n. low is low-pass of lo, the
     * bands are low-pass of hi, high-pass of lo, high-pass of hi.
     */
    void (*wavelet_along)(const float *lo, const float *hi, int n, float *low,
                          float *const bands[VMAFX_FLOAT_ADM_BANDS]);
    /**
     * Splits n places of the distorted picture's bands t, beside the reference's o, into what is restored, r, and the
     * rest, t − r:
     *
     *     r = k · o,  k = t / (o + 1e−30) within 0 … 1;
     *     where (o_H, o_V) and (t_H, t_V) are less than a degree apart, r · limit in its stead, but not beyond t
     */
    void (*split)(const float *const o[VMAFX_FLOAT_ADM_BANDS], const float *const t[VMAFX_FLOAT_ADM_BANDS], int n,
                  const VmafxFloatAdmGains *gains, const VmafxFloatAdmSplit *restored, const VmafxFloatAdmSplit *rest);
    /**
     * What remains visible at n places: ret[b] = max(0, weight[b] − threshold), cubed where that is asked for. The
     * threshold is the sum over bands of what the masker hides: the spread of the eight places around, with its weight
     * / 15 at the place itself, by rows from the top left. masker: the rows above, of the place, and below; their
     * spread is read at −1 and n, too.
     */
    void (*visible)(const VmafxFloatAdmSplit *const masker[3], const float *const weight[VMAFX_FLOAT_ADM_BANDS], int n,
                    bool cubed, float *const ret[VMAFX_FLOAT_ADM_BANDS]);
    /** ret[x] = |gain · in[x]|, cubed where that is asked for, x < n. */
    void (*magnitude)(const float *in, float gain, int n, bool cubed, float *ret);
} VmafxFloatAdmKernels;

void vmafx_float_adm_kernels_init(VmafxFloatAdmKernels *k, unsigned cpu);
#endif

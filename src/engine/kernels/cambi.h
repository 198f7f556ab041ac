/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Row kernels of CAMBI. Codes are of 10 bits (0 … 1024). Rows of counts have VMAFX_CAMBI_SLACK elements after their
 * last one that kernels may read and write, without meaning; so have rows of results where it says so.
 */
#ifndef VMAFX_ENGINE_KERNELS_CAMBI_H
#define VMAFX_ENGINE_KERNELS_CAMBI_H

#include <stddef.h>
#include <stdint.h>

#define VMAFX_CAMBI_SLACK         32
#define VMAFX_CAMBI_CONTRASTS_MAX 32
#define VMAFX_CAMBI_WINDOW_MAX    65
#define VMAFX_CAMBI_SUM_MAX       (2 * VMAFX_CAMBI_WINDOW_MAX * VMAFX_CAMBI_WINDOW_MAX)

/** What places of one code are compared with: counts of that code and of those a few codes off, from one column on. */
typedef struct VmafxCambiLook {
    const uint16_t *same;
    int n; /* 0 … VMAFX_CAMBI_CONTRASTS_MAX */
    struct {
        const uint16_t *above, *below;
        int weight; /* 1 … 9 */
    } other[VMAFX_CAMBI_CONTRASTS_MAX];
    const float *reciprocals; /* of 0 … VMAFX_CAMBI_SUM_MAX */
} VmafxCambiLook;

typedef struct VmafxCambiKernels {
    /** ret[x] = in[x] << 2 */
    void (*widen8)(const uint8_t *in, int w, uint16_t *ret);
    /** ret[x] = 1 where row[x] equals row[x + 1] and below[x], else 0; the last column has no right neighbour. */
    void (*flat)(const uint16_t *row, const uint16_t *below, int w, uint8_t *ret);
    /** sums[x] += come[x] − go[x] */
    void (*slide)(const uint8_t *come, const uint8_t *go, int w, uint8_t *sums);
    /** ret[x] = Σ sums[x − 3 … x + 3] > threshold; three zeros lie before and after sums, and each is at most 7. */
    void (*mask)(const uint8_t *sums, int w, int threshold, uint8_t *ret);
    /** Whichever of a, b, c comes twice, else the least; ret is none of them, or a row of its own. */
    void (*mode)(const uint16_t *a, const uint16_t *b, const uint16_t *c, int n, uint16_t *ret);
    /** Every second one, in place or not. */
    void (*halve)(const uint16_t *codes, const uint8_t *mask, int n, uint16_t *ret_codes, uint8_t *ret_mask);
    /** counts[x] += sign · the number of first … last that are at most radius away from x, for all x < w; modulo 2^16
     */
    void (*count)(uint16_t *counts, int w, int first, int last, int radius, int sign);
    /** ret[x] = max over d of weight · same · max(above, below) · reciprocal(same + max); has slack. */
    void (*contrast)(const VmafxCambiLook *look, int n, float *ret);
    /**
     * The mean of the m largest of n contrasts, each 0 or 0.5 … 9 · 65² / 4, 1 ≤ m ≤ n, added in binary64 in the order
     * in which the reference's way of finding them leaves them; a is reordered.
     */
    double (*pool)(float *a, size_t n, size_t m);
} VmafxCambiKernels;

extern const VmafxCambiKernels vmafx_cambi_kernels_c;

void vmafx_cambi_kernels_init(VmafxCambiKernels *k, unsigned cpu);
#endif

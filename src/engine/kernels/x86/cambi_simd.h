/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * CAMBI with vectors of whatever width; cambi_avx2.c and cambi_avx512.c include it after they have said what a vector
 * is: VEC, V(an intrinsic without its prefix), LANES 16-bit ones, load, put, ascending16, and for half as many columns
 * in 32 bits widen16, any, FLOATS, and strongest(most, weight, same, other, reciprocals).
 */

#define all16         V(set1_epi16)
#define add16         V(add_epi16)
#define add16_clamped V(adds_epi16)
#define sub16         V(sub_epi16)
#define min16         V(min_epi16)
#define max16         V(max_epi16)

static void contrast_fast(const VmafxCambiLook *look, int n, float *ret)
{
    for (int x = 0; x < n; x += LANES / 2) {
        VEC same = widen16(look->same + x);
        FLOATS most = no_contrast();

        for (int d = 0; d < look->n; d++) {
            VEC other = V(max_epu16)(widen16(look->other[d].above + x), widen16(look->other[d].below + x));

            if (any(other))
                most = strongest(most, look->other[d].weight, same, other, look->reciprocals);
        }
        put_floats(ret + x, most);
    }
}

static double total(const float *a, size_t n, size_t *ret_positive)
{
    double sums[8] = { 0 }, sum = 0;
    size_t counts[8] = { 0 }, positive = 0, i = 0;

    for (; i + 8 <= n; i += 8)
        for (int k = 0; k < 8; k++) {
            sums[k] += (double)a[i + (size_t)k];
            counts[k] += a[i + (size_t)k] > 0;
        }
    for (; i < n; i++) {
        sum += (double)a[i];
        positive += a[i] > 0;
    }
    for (int k = 0; k < 8; k++) {
        sum += sums[k];
        positive += counts[k];
    }
    *ret_positive = positive;
    return sum;
}

#include "engine/kernels/cambi_simd.h"

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * CAMBI's rows with vectors of whatever width; cambi_avx2.c and cambi_avx512.c include it after they have said what a
 * vector is: VEC, V(an intrinsic without its prefix), LANES 16-bit ones, load, put, ascending16, and for half as many
 * columns in 32 bits widen16, any, FLOATS, and strongest(most, weight, same, other, reciprocals).
 *
 * Two things are done in another way than in plain C:
 *
 * A run of equal codes adds a trapezoid to the counts: up, as far as the shorter of run and window, and down.
 *
 * Every contrast is 0 or at least 0.5 (1 · 1 · 1/2 is the least), so a multiple of 2^-24. As long as a sum stays below
 * 2^29 it is exact in binary64 whatever its order; so the largest can be found by histogram and added as they come.
 */

#include <string.h>

#define WIDTH_MAX 32000 /* so that columns and a window fit 15 bits */

static void count_fast(uint16_t *counts, int w, int first, int last, int radius, int sign)
{
    int from = first < radius ? 0 : first - radius, to = last + radius < w - 1 ? last + radius : w - 1;
    int top = last - first < 2 * radius ? last - first + 1 : 2 * radius + 1;
    const VEC most = V(set1_epi16)((int16_t)top), none = V(set1_epi16)(0), step = V(set1_epi16)(LANES);
    VEC up = V(add_epi16)(ascending16(), V(set1_epi16)((int16_t)(from - first + radius + 1)));
    VEC down = V(sub_epi16)(V(set1_epi16)((int16_t)(last + radius - from + 1)), ascending16());

    if (w > WIDTH_MAX) {
        vmafx_cambi_kernels_c.count(counts, w, first, last, radius, sign);
        return;
    }
    for (int x = from; x <= to; x += LANES) {
        VEC add = V(max_epi16)(V(min_epi16)(V(min_epi16)(up, down), most), none);
        VEC old = load(counts + x);

        put(counts + x, sign > 0 ? V(add_epi16)(old, add) : V(sub_epi16)(old, add));
        up = V(adds_epi16)(up, step);
        down = V(sub_epi16)(down, step);
    }
}

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

/* ---- Pooling ---- */

#define LEAST_BITS 0x3f000000u /* of 0.5 */
#define FINE       14          /* bits */
#define COARSE     8192
#define EXACT_MAX  536870912.0 /* 2^29 */

/* Where a contrast lies among bins that ascend; what is 0 is left out before. */
static inline uint32_t place_of(float v)
{
    uint32_t bits;

    memcpy(&bits, &v, sizeof bits);
    return bits - LEAST_BITS;
}

/* The sum of those beyond a bin, and of the largest of that bin, `wanted` in all. */
static double sum_largest(const float *a, size_t n, size_t wanted)
{
    static_assert((14u << 23) >> FINE <= COARSE, "9 · 65² / 4 is below 2^14");
    uint32_t coarse[COARSE] = { 0 }, fine[1 << FINE] = { 0 };
    size_t left = wanted, bin = COARSE, value = (size_t)1 << FINE;
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        if (a[i] > 0)
            coarse[place_of(a[i]) >> FINE]++;
    while (coarse[bin - 1] < left)
        left -= coarse[--bin];
    bin--;
    for (size_t i = 0; i < n; i++) {
        uint32_t place = place_of(a[i]);

        if (a[i] > 0 && place >> FINE == bin)
            fine[place & ((1u << FINE) - 1)]++;
        else
            sum += a[i] > 0 && place >> FINE > bin ? (double)a[i] : 0;
    }
    while (left) {
        size_t some = fine[--value] < left ? fine[value] : left;
        uint32_t bits = LEAST_BITS + (uint32_t)(bin << FINE | value);
        float v;

        memcpy(&v, &bits, sizeof v);
        sum += (double)some * (double)v;
        left -= some;
    }
    return sum;
}

static double pool_fast(float *a, size_t n, size_t m)
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
    if (!(sum < EXACT_MAX))
        return vmafx_cambi_kernels_c.pool(a, n, m);
    return (positive <= m ? sum : sum_largest(a, n, m)) / (double)m;
}

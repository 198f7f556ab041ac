/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * CAMBI's rows with vectors of whatever instruction set and width; what includes it, once, has said before what a
 * vector is: VEC of LANES signed 16-bit numbers, load, put, all16, ascending16, add16 and add16_clamped, sub16, min16,
 * max16; and has a contrast_fast.
 *
 * Two things are done in another way than in plain C:
 *
 * A run of equal codes adds a trapezoid to the counts: up, as far as the shorter of run and window, and down.
 *
 * Every contrast is 0 or at least 0.5 (1 · 1 · 1/2 is the least), so a multiple of 2^-24. As long as a sum stays below
 * 2^29 it is exact in binary64 whatever its order; so the largest can be found by histogram and added as they come.
 */

#include <assert.h>
#include <string.h>

#define WIDTH_MAX 32000 /* so that columns and a window fit 15 bits */

static void count_fast(uint16_t *counts, int w, int first, int last, int radius, int sign)
{
    int from = first < radius ? 0 : first - radius, to = last + radius < w - 1 ? last + radius : w - 1;
    int top = last - first < 2 * radius ? last - first + 1 : 2 * radius + 1;
    const VEC most = all16((int16_t)top), none = all16(0), step = all16(LANES);
    VEC up = add16(ascending16(), all16((int16_t)(from - first + radius + 1)));
    VEC down = sub16(all16((int16_t)(last + radius - from + 1)), ascending16());

    if (w > WIDTH_MAX) {
        vmafx_cambi_kernels_c.count(counts, w, first, last, radius, sign);
        return;
    }
    for (int x = from; x <= to; x += LANES) {
        VEC add = max16(min16(min16(up, down), most), none);
        VEC old = load(counts + x);

        put(counts + x, sign > 0 ? add16(old, add) : sub16(old, add));
        up = add16_clamped(up, step);
        down = sub16(down, step);
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
    size_t positive;
    double sum = total(a, n, &positive);

    if (!(sum < EXACT_MAX))
        return vmafx_cambi_kernels_c.pool(a, n, m);
    return (positive <= m ? sum : sum_largest(a, n, m)) / (double)m;
}

static const VmafxCambiKernels kernels_fast = { .widen8 = widen8,
                                                .flat = flat,
                                                .slide = slide,
                                                .mask = mask,
                                                .mode = mode,
                                                .halve = halve,
                                                .count = count_fast,
                                                .contrast = contrast_fast,
                                                .pool = pool_fast };

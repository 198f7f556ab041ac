/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Squared differences with vectors of whatever width; sse_avx2.c and sse_avx512.c include it after they have said what
 * a vector is: VEC, BITS, V(an intrinsic without its prefix), WHOLE(one that ends with the width), load, total64.
 *
 * Differences are squared and added in pairs in 32 bits; those sums go into 64 bits before they can overflow.
 */

#define BYTES (BITS / 8)

static inline VEC apart8(VEC a, VEC b)
{
    return WHOLE(or)(V(subs_epu8)(a, b), V(subs_epu8)(b, a));
}

static inline VEC apart16(VEC a, VEC b)
{
    return WHOLE(or)(V(subs_epu16)(a, b), V(subs_epu16)(b, a));
}

/* The low and the high halves of all pairs of 32 bits, added in 64. */
static inline VEC add_wide(VEC sum, VEC v)
{
    VEC low = WHOLE(and)(v, V(set1_epi64x)(0xffffffff));

    return V(add_epi64)(sum, V(add_epi64)(low, V(srli_epi64)(v, 32)));
}

/* A lane takes 4 · 255² a turn, and the longest row has 2048 turns: below 2^30. */
static uint64_t row8(const uint8_t *a, const uint8_t *b, int n)
{
    const VEC none = WHOLE(setzero)();
    VEC sum = none;
    int x = 0;

    for (; x + BYTES <= n; x += BYTES) {
        VEC d = apart8(load(a + x), load(b + x));
        VEC lo = V(unpacklo_epi8)(d, none), hi = V(unpackhi_epi8)(d, none);

        sum = V(add_epi32)(sum, V(add_epi32)(V(madd_epi16)(lo, lo), V(madd_epi16)(hi, hi)));
    }
    return total64(add_wide(none, sum)) + vmafx_sse_kernels_c.row8(a + x, b + x, n - x);
}

/* A lane takes 2 · 4095² a turn: 64 of them stay below 2^31. */
static uint64_t row12(const uint16_t *a, const uint16_t *b, int n)
{
    enum { STEP = BYTES / 2, TURNS = 64 };
    VEC sum = WHOLE(setzero)();
    int x = 0;

    while (x + STEP <= n) {
        VEC part = WHOLE(setzero)();

        for (int turn = 0; turn < TURNS && x + STEP <= n; turn++, x += STEP) {
            VEC d = V(sub_epi16)(load(a + x), load(b + x));
            part = V(add_epi32)(part, V(madd_epi16)(d, d));
        }
        sum = add_wide(sum, part);
    }
    return total64(sum) + vmafx_sse_kernels_c.row12(a + x, b + x, n - x);
}

static uint64_t row16(const uint16_t *a, const uint16_t *b, int n)
{
    enum { STEP = BYTES / 2 };
    const VEC low = V(set1_epi64x)(0xffff);
    VEC sum = WHOLE(setzero)();
    int x = 0;

    for (; x + STEP <= n; x += STEP) {
        VEC d = apart16(load(a + x), load(b + x));
        VEC d0 = WHOLE(and)(d, low), d1 = WHOLE(and)(V(srli_epi64)(d, 16), low);
        VEC d2 = WHOLE(and)(V(srli_epi64)(d, 32), low), d3 = V(srli_epi64)(d, 48);

        sum = V(add_epi64)(sum, V(add_epi64)(V(mul_epu32)(d0, d0), V(mul_epu32)(d1, d1)));
        sum = V(add_epi64)(sum, V(add_epi64)(V(mul_epu32)(d2, d2), V(mul_epu32)(d3, d3)));
    }
    return total64(sum) + vmafx_sse_kernels_c.row16(a + x, b + x, n - x);
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Integer motion with vectors of whatever width, equal to the C kernels to the bit; motion_avx2.c and motion_avx512.c
 * include it after they have said what a vector is: VEC, V(an intrinsic without its prefix), BLOCK 16-bit lanes, load,
 * put, zero, both (bitwise and), widen (BLOCK bytes), tap_pair, dot, Sums with sums_all, unpacked and dots, total_u32.
 *
 * The vertical filter is symmetric, so rows at equal distance from the middle are added first: their differences of up
 * to 14 bits leave room for that in 16. Deeper samples are left to the C kernel. Horizontally even and odd columns use
 * the same pairs of samples with different taps.
 */

#define OUTER 3571
#define INNER 16004
#define MIDST 26386

static inline VEC difference8(const uint8_t *earlier, const uint8_t *current)
{
    return V(sub_epi16)(widen(earlier), widen(current));
}

static inline VEC difference16(const uint16_t *earlier, const uint16_t *current)
{
    return V(sub_epi16)(load(earlier), load(current));
}

static inline void filter_rows(const VEC d[VMAFX_MOTION_TAPS], int bpc, int16_t *ret_half, int16_t *ret_bit)
{
    const __m128i shift = _mm_cvtsi32_si128(bpc), shift_half = _mm_cvtsi32_si128(bpc + 1);
    const VEC one = V(set1_epi32)(1);
    Sums sums = sums_all(1 << (bpc - 1));

    sums = dots(sums, unpacked(V(add_epi16)(d[0], d[4]), V(add_epi16)(d[1], d[3])), tap_pair(OUTER, INNER));
    sums = dots(sums, unpacked(d[2], zero()), tap_pair(MIDST, 0));
    put(ret_half, V(packs_epi32)(V(sra_epi32)(sums.lo, shift_half), V(sra_epi32)(sums.hi, shift_half)));
    put(ret_bit, V(packs_epi32)(both(V(sra_epi32)(sums.lo, shift), one), both(V(sra_epi32)(sums.hi, shift), one)));
}

static void vert8(const uint8_t *const *earlier, const uint8_t *const *current, int w, int16_t *ret_half,
                  int16_t *ret_bit)
{
    if (w < BLOCK) {
        vmafx_motion_kernels_c.vert8(earlier, current, w, ret_half, ret_bit);
        return;
    }
    for (int at = 0; at < w; at += BLOCK) {
        int x = at + BLOCK <= w ? at : w - BLOCK;
        VEC d[VMAFX_MOTION_TAPS];

        for (int k = 0; k < VMAFX_MOTION_TAPS; k++)
            d[k] = difference8(earlier[k] + x, current[k] + x);
        filter_rows(d, 8, ret_half + x, ret_bit + x);
    }
}

static void vert16(const uint16_t *const *earlier, const uint16_t *const *current, int bpc, int w, int16_t *ret_half,
                   int16_t *ret_bit)
{
    if (w < BLOCK || bpc > 14) {
        vmafx_motion_kernels_c.vert16(earlier, current, bpc, w, ret_half, ret_bit);
        return;
    }
    for (int at = 0; at < w; at += BLOCK) {
        int x = at + BLOCK <= w ? at : w - BLOCK;
        VEC d[VMAFX_MOTION_TAPS];

        for (int k = 0; k < VMAFX_MOTION_TAPS; k++)
            d[k] = difference16(earlier[k] + x, current[k] + x);
        filter_rows(d, bpc, ret_half + x, ret_bit + x);
    }
}

/* round + Σ G·v at columns x, x + 2, … and x + 1, x + 3, … */
static inline Sums filtered_columns(const int16_t *row, int32_t round)
{
    VEC a = load(row - 2), b = load(row), c = load(row + 2);
    VEC even = dot(V(set1_epi32)(round), a, tap_pair(OUTER, INNER));
    VEC odd = dot(V(set1_epi32)(round), a, tap_pair(0, OUTER));

    even = dot(dot(even, b, tap_pair(MIDST, INNER)), c, tap_pair(OUTER, 0));
    odd = dot(dot(odd, b, tap_pair(INNER, MIDST)), c, tap_pair(INNER, OUTER));
    return (Sums){ even, odd };
}

/* |(2·half + bit) >> 16| of the filtered row's two parts. */
static inline VEC magnitude(VEC half, VEC bit)
{
    return V(abs_epi32)(V(srai_epi32)(V(add_epi32)(half, V(srli_epi32)(bit, 1)), 15));
}

static uint64_t horz_sad(const int16_t *half, const int16_t *bit, int w)
{
    VEC sum = zero(); /* magnitudes have 16 bits, and a lane takes at most 2^13 of them */
    int x = 0;

    for (; x + BLOCK <= w; x += BLOCK) {
        Sums h = filtered_columns(half + x, 0), b = filtered_columns(bit + x, 32768);
        sum = V(add_epi32)(sum, V(add_epi32)(magnitude(h.lo, b.lo), magnitude(h.hi, b.hi)));
    }
    return total_u32(sum) + vmafx_motion_kernels_c.horz_sad(half + x, bit + x, w - x);
}

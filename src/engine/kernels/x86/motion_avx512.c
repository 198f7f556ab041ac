/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Integer motion with AVX-512, equal to the C kernels to the bit.
 *
 * The vertical filter is symmetric, so rows at equal distance from the middle are added first: their differences of up
 * to 14 bits leave room for that in 16. Deeper samples are left to the C kernel. Horizontally even and odd columns use
 * the same pairs of samples with different taps.
 */

#include "engine/kernels/x86/x86.h"

#include <stddef.h>

#include "engine/kernels/x86/avx512.h"

#define BLOCK 32
#define OUTER 3571
#define INNER 16004
#define MIDST 26386

static inline __m512i difference8(const uint8_t *earlier, const uint8_t *current)
{
    return _mm512_sub_epi16(_mm512_cvtepu8_epi16(_mm256_loadu_si256((const __m256i *)earlier)),
                            _mm512_cvtepu8_epi16(_mm256_loadu_si256((const __m256i *)current)));
}

static inline __m512i difference16(const uint16_t *earlier, const uint16_t *current)
{
    return _mm512_sub_epi16(_mm512_loadu_si512(earlier), _mm512_loadu_si512(current));
}

static inline void filter_rows(const __m512i d[VMAFX_MOTION_TAPS], int bpc, int16_t *ret_half, int16_t *ret_bit)
{
    const __m128i shift = _mm_cvtsi32_si128(bpc), shift_half = _mm_cvtsi32_si128(bpc + 1);
    const __m512i one = _mm512_set1_epi32(1);
    Sums sums = sums_all(1 << (bpc - 1));

    sums = dots(sums, unpacked(_mm512_add_epi16(d[0], d[4]), _mm512_add_epi16(d[1], d[3])), tap_pair(OUTER, INNER));
    sums = dots(sums, unpacked(d[2], _mm512_setzero_si512()), tap_pair(MIDST, 0));
    put512(ret_half, _mm512_packs_epi32(_mm512_sra_epi32(sums.lo, shift_half), _mm512_sra_epi32(sums.hi, shift_half)));
    put512(ret_bit, _mm512_packs_epi32(_mm512_and_si512(_mm512_sra_epi32(sums.lo, shift), one),
                                       _mm512_and_si512(_mm512_sra_epi32(sums.hi, shift), one)));
}

static void vert8_avx512(const uint8_t *const *earlier, const uint8_t *const *current, int w, int16_t *ret_half,
                         int16_t *ret_bit)
{
    if (w < BLOCK) {
        vmafx_motion_kernels_c.vert8(earlier, current, w, ret_half, ret_bit);
        return;
    }
    for (int at = 0; at < w; at += BLOCK) {
        int x = at + BLOCK <= w ? at : w - BLOCK;
        __m512i d[VMAFX_MOTION_TAPS];

        for (int k = 0; k < VMAFX_MOTION_TAPS; k++)
            d[k] = difference8(earlier[k] + x, current[k] + x);
        filter_rows(d, 8, ret_half + x, ret_bit + x);
    }
}

static void vert16_avx512(const uint16_t *const *earlier, const uint16_t *const *current, int bpc, int w,
                          int16_t *ret_half, int16_t *ret_bit)
{
    if (w < BLOCK || bpc > 14) {
        vmafx_motion_kernels_c.vert16(earlier, current, bpc, w, ret_half, ret_bit);
        return;
    }
    for (int at = 0; at < w; at += BLOCK) {
        int x = at + BLOCK <= w ? at : w - BLOCK;
        __m512i d[VMAFX_MOTION_TAPS];

        for (int k = 0; k < VMAFX_MOTION_TAPS; k++)
            d[k] = difference16(earlier[k] + x, current[k] + x);
        filter_rows(d, bpc, ret_half + x, ret_bit + x);
    }
}

/* round + Σ G·v at columns x, x + 2, … and x + 1, x + 3, … */
static inline Sums filtered_columns(const int16_t *row, int32_t round)
{
    __m512i a = _mm512_loadu_si512(row - 2), b = _mm512_loadu_si512(row), c = _mm512_loadu_si512(row + 2);
    __m512i even = dot(_mm512_set1_epi32(round), a, tap_pair(OUTER, INNER));
    __m512i odd = dot(_mm512_set1_epi32(round), a, tap_pair(0, OUTER));

    even = dot(dot(even, b, tap_pair(MIDST, INNER)), c, tap_pair(OUTER, 0));
    odd = dot(dot(odd, b, tap_pair(INNER, MIDST)), c, tap_pair(INNER, OUTER));
    return (Sums){ even, odd };
}

/* |(2·half + bit) >> 16| of the filtered row's two parts. */
static inline __m512i magnitude(__m512i half, __m512i bit)
{
    return _mm512_abs_epi32(_mm512_srai_epi32(_mm512_add_epi32(half, _mm512_srli_epi32(bit, 1)), 15));
}

static uint64_t horz_sad_avx512(const int16_t *half, const int16_t *bit, int w)
{
    __m512i sum = _mm512_setzero_si512(); /* magnitudes have 16 bits, and a lane takes at most 2^12 of them */
    int x = 0;

    for (; x + BLOCK <= w; x += BLOCK) {
        Sums h = filtered_columns(half + x, 0), b = filtered_columns(bit + x, 32768);
        sum = _mm512_add_epi32(sum, _mm512_add_epi32(magnitude(h.lo, b.lo), magnitude(h.hi, b.hi)));
    }
    return total_u32(sum) + vmafx_motion_kernels_c.horz_sad(half + x, bit + x, w - x);
}

void vmafx_motion_kernels_init_avx512(VmafxMotionKernels *k)
{
    *k = (VmafxMotionKernels){ .vert8 = vert8_avx512, .vert16 = vert16_avx512, .horz_sad = horz_sad_avx512 };
}

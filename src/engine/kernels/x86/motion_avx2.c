/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Integer motion with AVX2, equal to the C kernels to the bit.
 *
 * The vertical filter is symmetric, so rows at equal distance from the middle are added first: their differences of up
 * to 14 bits leave room for that in 16. Deeper samples are left to the C kernel. Horizontally even and odd columns use
 * the same pairs of samples with different taps.
 */

#include "engine/kernels/x86/x86.h"

#include <immintrin.h>
#include <stddef.h>

#define BLOCK 16
#define OUTER 3571
#define INNER 16004
#define MIDST 26386

static inline __m256i load(const void *p)
{
    return _mm256_loadu_si256((const __m256i *)p);
}

static inline void put(void *p, __m256i v)
{
    _mm256_storeu_si256((__m256i *)p, v);
}

static inline __m256i tap_pair(int32_t first, int32_t second)
{
    return _mm256_set1_epi32((int32_t)((uint32_t)first | (uint32_t)second << 16));
}

/* sum + Σ pairs·taps */
static inline __m256i dot(__m256i sum, __m256i pairs, __m256i taps)
{
    return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, taps));
}

/* 32-bit values of 16 columns, as unpacking 16-bit ones leaves them; packing restores the order. */
typedef struct Sums {
    __m256i lo, hi;
} Sums;

static inline Sums sums_all(int32_t v)
{
    return (Sums){ _mm256_set1_epi32(v), _mm256_set1_epi32(v) };
}

static inline Sums unpacked(__m256i a, __m256i b)
{
    return (Sums){ _mm256_unpacklo_epi16(a, b), _mm256_unpackhi_epi16(a, b) };
}

static inline Sums dots(Sums sums, Sums pairs, __m256i taps)
{
    return (Sums){ dot(sums.lo, pairs.lo, taps), dot(sums.hi, pairs.hi, taps) };
}

/* The sum of 8 unsigned 32-bit values. */
static inline uint64_t total_u32(__m256i v)
{
    uint32_t lanes[8];
    uint64_t sum = 0;

    put(lanes, v);
    for (int i = 0; i < 8; i++)
        sum += lanes[i];
    return sum;
}

static inline __m256i difference8(const uint8_t *earlier, const uint8_t *current)
{
    return _mm256_sub_epi16(_mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)earlier)),
                            _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)current)));
}

static inline __m256i difference16(const uint16_t *earlier, const uint16_t *current)
{
    return _mm256_sub_epi16(load(earlier), load(current));
}

static inline void filter_rows(const __m256i d[VMAFX_MOTION_TAPS], int bpc, int16_t *ret_half, int16_t *ret_bit)
{
    const __m128i shift = _mm_cvtsi32_si128(bpc), shift_half = _mm_cvtsi32_si128(bpc + 1);
    const __m256i one = _mm256_set1_epi32(1);
    Sums sums = sums_all(1 << (bpc - 1));

    sums = dots(sums, unpacked(_mm256_add_epi16(d[0], d[4]), _mm256_add_epi16(d[1], d[3])), tap_pair(OUTER, INNER));
    sums = dots(sums, unpacked(d[2], _mm256_setzero_si256()), tap_pair(MIDST, 0));
    put(ret_half, _mm256_packs_epi32(_mm256_sra_epi32(sums.lo, shift_half), _mm256_sra_epi32(sums.hi, shift_half)));
    put(ret_bit, _mm256_packs_epi32(_mm256_and_si256(_mm256_sra_epi32(sums.lo, shift), one),
                                    _mm256_and_si256(_mm256_sra_epi32(sums.hi, shift), one)));
}

static void vert8_avx2(const uint8_t *const *earlier, const uint8_t *const *current, int w, int16_t *ret_half,
                       int16_t *ret_bit)
{
    if (w < BLOCK) {
        vmafx_motion_kernels_c.vert8(earlier, current, w, ret_half, ret_bit);
        return;
    }
    for (int at = 0; at < w; at += BLOCK) {
        int x = at + BLOCK <= w ? at : w - BLOCK;
        __m256i d[VMAFX_MOTION_TAPS];

        for (int k = 0; k < VMAFX_MOTION_TAPS; k++)
            d[k] = difference8(earlier[k] + x, current[k] + x);
        filter_rows(d, 8, ret_half + x, ret_bit + x);
    }
}

static void vert16_avx2(const uint16_t *const *earlier, const uint16_t *const *current, int bpc, int w,
                        int16_t *ret_half, int16_t *ret_bit)
{
    if (w < BLOCK || bpc > 14) {
        vmafx_motion_kernels_c.vert16(earlier, current, bpc, w, ret_half, ret_bit);
        return;
    }
    for (int at = 0; at < w; at += BLOCK) {
        int x = at + BLOCK <= w ? at : w - BLOCK;
        __m256i d[VMAFX_MOTION_TAPS];

        for (int k = 0; k < VMAFX_MOTION_TAPS; k++)
            d[k] = difference16(earlier[k] + x, current[k] + x);
        filter_rows(d, bpc, ret_half + x, ret_bit + x);
    }
}

/* round + Σ G·v at columns x, x + 2, … and x + 1, x + 3, … */
static inline Sums filtered_columns(const int16_t *row, int32_t round)
{
    __m256i a = load(row - 2), b = load(row), c = load(row + 2);
    __m256i even = dot(_mm256_set1_epi32(round), a, tap_pair(OUTER, INNER));
    __m256i odd = dot(_mm256_set1_epi32(round), a, tap_pair(0, OUTER));

    even = dot(dot(even, b, tap_pair(MIDST, INNER)), c, tap_pair(OUTER, 0));
    odd = dot(dot(odd, b, tap_pair(INNER, MIDST)), c, tap_pair(INNER, OUTER));
    return (Sums){ even, odd };
}

/* |(2·half + bit) >> 16| of the filtered row's two parts. */
static inline __m256i magnitude(__m256i half, __m256i bit)
{
    return _mm256_abs_epi32(_mm256_srai_epi32(_mm256_add_epi32(half, _mm256_srli_epi32(bit, 1)), 15));
}

static uint64_t horz_sad_avx2(const int16_t *half, const int16_t *bit, int w)
{
    __m256i sum = _mm256_setzero_si256(); /* magnitudes have 16 bits, and a lane takes at most 2^13 of them */
    int x = 0;

    for (; x + BLOCK <= w; x += BLOCK) {
        Sums h = filtered_columns(half + x, 0), b = filtered_columns(bit + x, 32768);
        sum = _mm256_add_epi32(sum, _mm256_add_epi32(magnitude(h.lo, b.lo), magnitude(h.hi, b.hi)));
    }
    return total_u32(sum) + vmafx_motion_kernels_c.horz_sad(half + x, bit + x, w - x);
}

void vmafx_motion_kernels_init_avx2(VmafxMotionKernels *k)
{
    *k = (VmafxMotionKernels){ .vert8 = vert8_avx2, .vert16 = vert16_avx2, .horz_sad = horz_sad_avx2 };
}

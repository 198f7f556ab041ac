/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Integer motion with AVX2. */

#include "engine/kernels/x86/x86.h"

#include <immintrin.h>
#include <stddef.h>

#define BLOCK 16
#define VEC   __m256i
#define V(op) _mm256_##op

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

static inline __m256i zero(void)
{
    return _mm256_setzero_si256();
}

static inline __m256i both(__m256i a, __m256i b)
{
    return _mm256_and_si256(a, b);
}

static inline __m256i widen(const uint8_t *p)
{
    return _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)p));
}

#include "engine/kernels/x86/motion_simd.h"

void vmafx_motion_kernels_init_avx2(VmafxMotionKernels *k)
{
    *k = (VmafxMotionKernels){ .vert8 = vert8, .vert16 = vert16, .horz_sad = horz_sad };
}

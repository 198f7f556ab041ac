/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What the AVX2 kernels of ADM share: 64-bit products of eight columns, the even and the odd ones apart. */
#ifndef VMAFX_ENGINE_KERNELS_X86_ADM_AVX2_H
#define VMAFX_ENGINE_KERNELS_X86_ADM_AVX2_H

#include <immintrin.h>
#include <stdint.h>

static inline __m256i load(const int32_t *p)
{
    return _mm256_loadu_si256((const __m256i *)p);
}

static inline void put(int32_t *p, __m256i v)
{
    _mm256_storeu_si256((__m256i *)p, v);
}

static inline __m256i all(int32_t v)
{
    return _mm256_set1_epi32(v);
}

/* 64-bit values of 8 columns: the even ones and the odd ones. */
typedef struct Wide {
    __m256i even, odd;
} Wide;

static inline __m256i odd_columns(__m256i v)
{
    return _mm256_srli_epi64(v, 32);
}

static inline Wide times_signed(__m256i a, __m256i b)
{
    return (Wide){ _mm256_mul_epi32(a, b), _mm256_mul_epi32(odd_columns(a), odd_columns(b)) };
}

static inline Wide times(__m256i a, __m256i b)
{
    return (Wide){ _mm256_mul_epu32(a, b), _mm256_mul_epu32(odd_columns(a), odd_columns(b)) };
}

static inline Wide plus(Wide a, Wide b)
{
    return (Wide){ _mm256_add_epi64(a.even, b.even), _mm256_add_epi64(a.odd, b.odd) };
}

static inline Wide plus_all(Wide a, int64_t v)
{
    __m256i c = _mm256_set1_epi64x(v);

    return (Wide){ _mm256_add_epi64(a.even, c), _mm256_add_epi64(a.odd, c) };
}

/* Logical; the low 32 bits of the result are those of an arithmetic shift by up to 32 too. */
static inline Wide shifted(Wide a, int n)
{
    __m128i count = _mm_cvtsi32_si128(n);

    return (Wide){ _mm256_srl_epi64(a.even, count), _mm256_srl_epi64(a.odd, count) };
}

static inline Wide rounded(Wide a, int n)
{
    return n ? shifted(plus_all(a, 1ll << (n - 1)), n) : a;
}

static inline __m256i low_words(Wide a)
{
    return _mm256_blend_epi32(a.even, _mm256_slli_epi64(a.odd, 32), 0xaa);
}

static inline __m256i high_words(Wide a)
{
    return _mm256_blend_epi32(odd_columns(a.even), a.odd, 0xaa);
}
#endif

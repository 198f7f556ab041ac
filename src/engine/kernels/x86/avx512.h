/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What the AVX-512 kernels share. They need F, BW, DQ, VL and VNNI: Ice Lake, Zen 4 and later. */
#ifndef VMAFX_ENGINE_KERNELS_X86_AVX512_H
#define VMAFX_ENGINE_KERNELS_X86_AVX512_H

#include <immintrin.h>
#include <stdint.h>

/* For helpers whose constant arguments unroll their loops. */
#define VMAFX_UNROLLED static inline __attribute__((always_inline))

/* Before such a loop: gcc leaves larger ones as they are, and then moves sums to memory and back. */
#ifdef __clang__
#define UNROLL _Pragma("unroll")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

static inline void put512(void *p, __m512i v)
{
    _mm512_storeu_si512(p, v);
}

/* Two signed 16-bit taps for each pair of 16-bit samples. */
static inline __m512i tap_pair(int32_t first, int32_t second)
{
    return _mm512_set1_epi32((int32_t)((uint32_t)(uint16_t)first | (uint32_t)second << 16));
}

/* sum + Σ pairs·taps, modulo 2^32 */
static inline __m512i dot(__m512i sum, __m512i pairs, __m512i taps)
{
    return _mm512_dpwssd_epi32(sum, pairs, taps);
}

/* 32-bit values of 32 columns, as unpacking 16-bit ones leaves them; packing restores the order. */
typedef struct Sums {
    __m512i lo, hi;
} Sums;

static inline Sums sums_all(int32_t v)
{
    return (Sums){ _mm512_set1_epi32(v), _mm512_set1_epi32(v) };
}

static inline Sums unpacked(__m512i a, __m512i b)
{
    return (Sums){ _mm512_unpacklo_epi16(a, b), _mm512_unpackhi_epi16(a, b) };
}

static inline Sums dots(Sums sums, Sums pairs, __m512i taps)
{
    return (Sums){ dot(sums.lo, pairs.lo, taps), dot(sums.hi, pairs.hi, taps) };
}

/* The sum of 16 unsigned 32-bit values. */
static inline uint64_t total_u32(__m512i v)
{
    __m512i low = _mm512_cvtepu32_epi64(_mm512_castsi512_si256(v));

    return (uint64_t)_mm512_reduce_add_epi64(
        _mm512_add_epi64(low, _mm512_cvtepu32_epi64(_mm512_extracti64x4_epi64(v, 1))));
}
#endif

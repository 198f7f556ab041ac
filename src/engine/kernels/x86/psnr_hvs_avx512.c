/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* PSNR-HVS-M with AVX-512: 32 blocks at a time. */

#include <immintrin.h>

#include "engine/kernels/x86/x86.h"

#define BLOCKS 32
#define VEC    __m512i
#define FLOATS __m512
#define V(op)  _mm512_##op

static inline __m512i get(const void *p)
{
    return _mm512_loadu_si512(p);
}

static inline void put(void *p, __m512i v)
{
    _mm512_storeu_si512(p, v);
}

static inline __m512i both(__m512i a, __m512i b)
{
    return _mm512_and_si512(a, b);
}

static inline __m512i four(const void *p, const void *q, const void *r, const void *s)
{
    __m512i v = _mm512_castsi128_si512(_mm_loadu_si128(p));

    v = _mm512_inserti32x4(v, _mm_loadu_si128(q), 1);
    v = _mm512_inserti32x4(v, _mm_loadu_si128(r), 2);
    return _mm512_inserti32x4(v, _mm_loadu_si128(s), 3);
}

static inline __m512i pairs(const uint8_t *p)
{
    const __m512i kept = _mm512_broadcast_i32x4(_mm_setr_epi8(0, 1, 2, 3, 4, 5, 6, 7, 7, 8, 9, 10, 11, 12, 13, 14));

    return _mm512_shuffle_epi8(four(p, p + 56, p + 112, p + 168), kept);
}

static inline __m512i eights(const uint16_t *p)
{
    return four(p, p + 56, p + 112, p + 168);
}

static inline __m512 floats(const void *p)
{
    return _mm512_cvtepi32_ps(_mm512_cvtepi16_epi32(_mm256_loadu_si256(p)));
}

static inline __m512 whole_floats(const void *p)
{
    return _mm512_cvtepi32_ps(_mm512_cvtepu16_epi32(_mm256_loadu_si256(p)));
}

static inline __m512 rounded(__m512 v)
{
    return _mm512_roundscale_ps(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

static inline __m512 magnitude(__m512 v)
{
    return _mm512_abs_ps(v);
}

static inline __m512 quotient(__m512 a, __m512 b)
{
    return _mm512_maskz_div_ps(_mm512_cmp_ps_mask(b, _mm512_setzero_ps(), _CMP_GT_OQ), a, b);
}

#include "engine/kernels/x86/psnr_hvs_simd.h"

void vmafx_hvs_kernels_init_avx512(VmafxHvsKernels *k)
{
    *k = (VmafxHvsKernels){ .row8 = row8_fast, .row16 = row16_fast };
}

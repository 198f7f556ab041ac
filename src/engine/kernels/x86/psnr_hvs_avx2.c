/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* PSNR-HVS-M with AVX2: 16 blocks at a time. */

#include <immintrin.h>

#include "engine/kernels/x86/x86.h"

#define BLOCKS 16
#define VEC    __m256i
#define FLOATS __m256
#define V(op)  _mm256_##op

static inline __m256i get(const void *p)
{
    return _mm256_loadu_si256(p);
}

static inline void put(void *p, __m256i v)
{
    _mm256_storeu_si256(p, v);
}

static inline __m256i both(__m256i a, __m256i b)
{
    return _mm256_and_si256(a, b);
}

static inline __m256i two(const void *p, const void *q)
{
    return _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128(p)), _mm_loadu_si128(q), 1);
}

static inline __m256i pairs(const uint8_t *p)
{
    const __m256i kept =
        _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 1, 2, 3, 4, 5, 6, 7, 7, 8, 9, 10, 11, 12, 13, 14));

    return _mm256_shuffle_epi8(two(p, p + 56), kept);
}

static inline __m256i eights(const uint16_t *p)
{
    return two(p, p + 56);
}

static inline __m256 floats(const void *p)
{
    return _mm256_cvtepi32_ps(_mm256_cvtepi16_epi32(_mm_loadu_si128(p)));
}

static inline __m256 whole_floats(const void *p)
{
    return _mm256_cvtepi32_ps(_mm256_cvtepu16_epi32(_mm_loadu_si128(p)));
}

static inline __m256 rounded(__m256 v)
{
    return _mm256_round_ps(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

static inline __m256 magnitude(__m256 v)
{
    return _mm256_andnot_ps(_mm256_set1_ps(-0.0F), v);
}

static inline __m256 quotient(__m256 a, __m256 b)
{
    return _mm256_and_ps(_mm256_div_ps(a, b), _mm256_cmp_ps(b, _mm256_setzero_ps(), _CMP_GT_OQ));
}

#include "engine/kernels/x86/psnr_hvs_simd.h"

void vmafx_hvs_kernels_init_avx2(VmafxHvsKernels *k)
{
    *k = (VmafxHvsKernels){ .row8 = row8_fast, .row16 = row16_fast };
}

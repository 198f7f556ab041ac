/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* CAMBI with AVX2. */

#include <immintrin.h>

#include "engine/kernels/cambi_rows.h"
#include "engine/kernels/x86/x86.h"

#define LANES  16
#define VEC    __m256i
#define FLOATS __m256
#define V(op)  _mm256_##op

static inline __m256i load(const void *p)
{
    return _mm256_loadu_si256((const __m256i *)p);
}

static inline void put(void *p, __m256i v)
{
    _mm256_storeu_si256((__m256i *)p, v);
}

static inline __m256i ascending16(void)
{
    return _mm256_setr_epi16(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
}

static inline __m256i widen16(const uint16_t *p)
{
    return _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)p));
}

static inline int any(__m256i v)
{
    return !_mm256_testz_si256(v, v);
}

static inline __m256 no_contrast(void)
{
    return _mm256_setzero_ps();
}

static inline void put_floats(float *p, __m256 v)
{
    _mm256_storeu_ps(p, v);
}

static inline __m256 strongest(__m256 most, int weight, __m256i same, __m256i other, const float *reciprocals)
{
    __m256i product = _mm256_mullo_epi32(_mm256_mullo_epi32(_mm256_set1_epi32(weight), same), other);
    __m256 quotient =
        _mm256_mul_ps(_mm256_cvtepi32_ps(product), _mm256_i32gather_ps(reciprocals, _mm256_add_epi32(same, other), 4));

    return _mm256_max_ps(quotient, most);
}

#include "engine/kernels/x86/cambi_simd.h"

void vmafx_cambi_kernels_init_avx2(VmafxCambiKernels *k)
{
    *k = kernels_fast;
}

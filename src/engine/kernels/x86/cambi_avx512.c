/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* CAMBI with AVX-512. */

#include <immintrin.h>

#include "engine/kernels/cambi_rows.h"
#include "engine/kernels/x86/x86.h"

#define LANES  32
#define VEC    __m512i
#define FLOATS __m512
#define V(op)  _mm512_##op

static inline __m512i load(const void *p)
{
    return _mm512_loadu_si512(p);
}

static inline void put(void *p, __m512i v)
{
    _mm512_storeu_si512(p, v);
}

static inline __m512i ascending16(void)
{
    static const int16_t numbers[LANES] = { 0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15,
                                            16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31 };

    return _mm512_loadu_si512(numbers);
}

static inline __m512i widen16(const uint16_t *p)
{
    return _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)p));
}

static inline int any(__m512i v)
{
    return _mm512_test_epi32_mask(v, v) != 0;
}

static inline __m512 no_contrast(void)
{
    return _mm512_setzero_ps();
}

static inline void put_floats(float *p, __m512 v)
{
    _mm512_storeu_ps(p, v);
}

static inline __m512 strongest(__m512 most, int weight, __m512i same, __m512i other, const float *reciprocals)
{
    __m512i product = _mm512_mullo_epi32(_mm512_mullo_epi32(_mm512_set1_epi32(weight), same), other);
    __m512 quotient =
        _mm512_mul_ps(_mm512_cvtepi32_ps(product), _mm512_i32gather_ps(_mm512_add_epi32(same, other), reciprocals, 4));

    return _mm512_max_ps(quotient, most);
}

#include "engine/kernels/x86/cambi_simd.h"

void vmafx_cambi_kernels_init_avx512(VmafxCambiKernels *k)
{
    *k = kernels_fast;
}

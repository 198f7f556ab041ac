/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* CIEDE2000 with AVX-512. */

#include <immintrin.h>

#include "engine/kernels/x86/x86.h"

#define LANES   8
#define DOUBLES __m512d
#define FLOATS  __m256
#define MASK    __mmask8
#define D(op)   _mm512_##op
#define F(op)   _mm256_##op

static inline __m512d samples(const uint16_t *p)
{
    return _mm512_cvtepi32_pd(_mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)p)));
}

static inline __m512d mul_add(__m512d a, __m512d b, __m512d c)
{
    return _mm512_fmadd_pd(a, b, c);
}

static inline __m512d magnitude(__m512d a)
{
    return _mm512_abs_pd(a);
}

static inline __m512d nearest(__m512d a)
{
    return _mm512_roundscale_pd(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

static inline __mmask8 above(__m512d a, __m512d b)
{
    return _mm512_cmp_pd_mask(a, b, _CMP_GT_OQ);
}

static inline __m512d choose(__mmask8 m, __m512d a, __m512d b)
{
    return _mm512_mask_blend_pd(m, b, a);
}

static inline __m512d mantissa(__m512d a)
{
    return _mm512_getmant_pd(a, _MM_MANT_NORM_1_2, _MM_MANT_SIGN_src);
}

static inline __m512d at_exponent(const double *table, __m512d a)
{
    return _mm512_permutex2var_pd(_mm512_loadu_pd(table), _mm512_srli_epi64(_mm512_castpd_si512(a), 52),
                                  _mm512_loadu_pd(table + 8));
}

static inline __m512d scaled(__m512d a, __m512d n)
{
    return _mm512_scalef_pd(a, n);
}

#include "engine/kernels/x86/ciede_simd.h"

void vmafx_ciede_kernels_init_avx512(VmafxCiedeKernels *k)
{
    k->row = row_fast;
}

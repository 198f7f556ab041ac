/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* CIEDE2000 with AVX2. */

#include <immintrin.h>

#include "engine/kernels/x86/x86.h"

#define LANES   4
#define DOUBLES __m256d
#define FLOATS  __m128
#define MASK    __m256d
#define D(op)   _mm256_##op
#define F(op)   _mm_##op

static inline __m256d samples(const uint16_t *p)
{
    return _mm256_cvtepi32_pd(_mm_cvtepu16_epi32(_mm_loadl_epi64((const __m128i *)p)));
}

static inline __m256d mul_add(__m256d a, __m256d b, __m256d c)
{
    return a * b + c;
}

static inline __m256d magnitude(__m256d a)
{
    return _mm256_andnot_pd(_mm256_set1_pd(-0.0), a);
}

static inline __m256d nearest(__m256d a)
{
    return _mm256_round_pd(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

static inline __m256d above(__m256d a, __m256d b)
{
    return _mm256_cmp_pd(a, b, _CMP_GT_OQ);
}

static inline __m256d choose(__m256d m, __m256d a, __m256d b)
{
    return _mm256_blendv_pd(b, a, m);
}

static inline __m256d mantissa(__m256d a)
{
    const __m256d one = _mm256_set1_pd(1), fraction = _mm256_castsi256_pd(_mm256_set1_epi64x(0xfffffffffffff));

    return _mm256_or_pd(_mm256_and_pd(a, fraction), one);
}

static inline __m256d at_exponent(const double *table, __m256d a)
{
    __m256i place = _mm256_srli_epi64(_mm256_slli_epi64(_mm256_castpd_si256(a), 8), 60);

    return _mm256_i64gather_pd(table, place, 8);
}

static inline __m256d scaled(__m256d a, __m256d n)
{
    __m256i bits = _mm256_castpd_si256(n + 0x1.8p52); /* n in the lowest ones */

    return _mm256_castsi256_pd(_mm256_add_epi64(_mm256_castpd_si256(a), _mm256_slli_epi64(bits, 52)));
}

#include "engine/kernels/x86/ciede_simd.h"

void vmafx_ciede_kernels_init_avx2(VmafxCiedeKernels *k)
{
    k->row = row_fast;
}

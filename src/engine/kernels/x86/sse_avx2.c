/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Squared differences with AVX2. */

#include <immintrin.h>

#include "engine/kernels/x86/x86.h"

#define BITS      256
#define VEC       __m256i
#define V(op)     _mm256_##op
#define WHOLE(op) _mm256_##op##_si256

static inline __m256i load(const void *p)
{
    return _mm256_loadu_si256((const __m256i *)p);
}

static inline uint64_t total64(__m256i v)
{
    __m128i half = _mm_add_epi64(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));

    return (uint64_t)_mm_cvtsi128_si64(half) + (uint64_t)_mm_extract_epi64(half, 1);
}

#include "engine/kernels/x86/sse_simd.h"

void vmafx_sse_kernels_init_avx2(VmafxSseKernels *k)
{
    *k = (VmafxSseKernels){ .row8 = row8, .row12 = row12, .row16 = row16 };
}

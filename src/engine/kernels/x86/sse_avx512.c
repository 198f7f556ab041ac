/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Squared differences with AVX-512. */

#include <immintrin.h>

#include "engine/kernels/x86/x86.h"

#define BITS               512
#define VEC                __m512i
#define V(op)              _mm512_##op
#define WHOLE(op)          _mm512_##op##_si512
#define _mm512_set1_epi64x _mm512_set1_epi64 /* the other widths' name for it */

static inline __m512i load(const void *p)
{
    return _mm512_loadu_si512(p);
}

static inline uint64_t total64(__m512i v)
{
    return (uint64_t)_mm512_reduce_add_epi64(v);
}

#include "engine/kernels/x86/sse_simd.h"

void vmafx_sse_kernels_init_avx512(VmafxSseKernels *k)
{
    *k = (VmafxSseKernels){ .row8 = row8, .row12 = row12, .row16 = row16 };
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Integer motion with AVX-512. */

#include "engine/kernels/x86/x86.h"

#include <stddef.h>

#include "engine/kernels/x86/avx512.h"

#define BLOCK 32
#define VEC   __m512i
#define V(op) _mm512_##op

static inline __m512i load(const void *p)
{
    return _mm512_loadu_si512(p);
}

static inline void put(void *p, __m512i v)
{
    put512(p, v);
}

static inline __m512i zero(void)
{
    return _mm512_setzero_si512();
}

static inline __m512i both(__m512i a, __m512i b)
{
    return _mm512_and_si512(a, b);
}

static inline __m512i widen(const uint8_t *p)
{
    return _mm512_cvtepu8_epi16(_mm256_loadu_si256((const __m256i *)p));
}

#include "engine/kernels/x86/motion_simd.h"

void vmafx_motion_kernels_init_avx512(VmafxMotionKernels *k)
{
    *k = (VmafxMotionKernels){ .vert8 = vert8, .vert16 = vert16, .horz_sad = horz_sad };
}

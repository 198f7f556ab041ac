/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * PSNR-HVS-M with vectors of whatever width; psnr_hvs_avx2.c and psnr_hvs_avx512.c include it after they have said what
 * a vector is: BLOCKS, VEC, FLOATS, V(an intrinsic without its prefix), and what has another name in each width.
 */

#define all16      V(set1_epi16)
#define add16      V(add_epi16)
#define sub16      V(sub_epi16)
#define max16      V(max_epi16)
#define firsts16   V(unpacklo_epi16)
#define seconds16  V(unpackhi_epi16)
#define firsts32   V(unpacklo_epi32)
#define seconds32  V(unpackhi_epi32)
#define firsts64   V(unpacklo_epi64)
#define seconds64  V(unpackhi_epi64)
#define all_floats V(set1_ps)
#define get_floats V(loadu_ps)
#define put_floats V(storeu_ps)
#define larger     V(max_ps)
#define root       V(sqrt_ps)

static inline VEC half16(VEC v)
{
    return V(srai_epi16)(add16(v, V(srli_epi16)(v, 15)), 1);
}

static inline VEC scaled16(VEC v, int16_t factor)
{
    return V(mulhrs_epi16)(v, all16(factor));
}

static inline VEC low_bytes(VEC v)
{
    return both(v, all16(255));
}

static inline VEC high_bytes(VEC v)
{
    return V(srli_epi16)(v, 8);
}

static inline FLOATS apart(const void *p, const void *q)
{
    return magnitude(floats(p) - floats(q));
}

#include "engine/kernels/psnr_hvs_simd.h"

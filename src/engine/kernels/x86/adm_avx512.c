/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The split of ADM's coarser scales with AVX-512 (F, BW, DQ, VL), equal to the C kernel to the bit. It is this
 * instruction set that converts 64-bit integers to binary32 in one rounding, which the angle needs.
 */

#include "engine/kernels/x86/x86.h"

#include <immintrin.h>

#define BLOCK 8 /* one 64-bit lane per column */

static inline __m512i widened(const int32_t *p)
{
    return _mm512_cvtepi32_epi64(_mm256_loadu_si256((const __m256i *)p));
}

static inline __m512d rounded_to_float(__m512i v)
{
    return _mm512_cvtps_pd(_mm512_cvtepi64_ps(v));
}

static inline __mmask8 same_angle(__m512i o_h, __m512i o_v, __m512i t_h, __m512i t_v)
{
    __m512i dot = _mm512_add_epi64(_mm512_mul_epi32(o_h, t_h), _mm512_mul_epi32(o_v, t_v));
    __m512d o_sq = rounded_to_float(_mm512_add_epi64(_mm512_mul_epi32(o_h, o_h), _mm512_mul_epi32(o_v, o_v)));
    __m512d t_sq = rounded_to_float(_mm512_add_epi64(_mm512_mul_epi32(t_h, t_h), _mm512_mul_epi32(t_v, t_v)));
    __m512d p = rounded_to_float(dot);
    __m512d bound = _mm512_mul_pd(_mm512_mul_pd(_mm512_set1_pd(0x1.ffd814p-1), o_sq), t_sq);

    return _mm512_mask_cmp_pd_mask(_mm512_cmpge_epi64_mask(dot, _mm512_setzero_si512()), _mm512_mul_pd(p, p), bound,
                                   _CMP_GE_OQ);
}

/*
 * clamp((sgn(o)·floor(2^30 / n)·t + 2^(14 + e)) >> (15 + e), 0, 32768), where n = |o| brought to at most 15 bits by a
 * rounded shift by e; 32768 where o is 0. The quotient is that of binary64 numbers, exact for all such n.
 */
static inline __m512i ratio(__m512i o, __m512i t)
{
    const __m512i zero = _mm512_setzero_si512(), one = _mm512_set1_epi64(1);
    __mmask8 o_zero = _mm512_cmpeq_epi64_mask(o, zero);
    __m512i m = _mm512_mask_mov_epi64(_mm512_abs_epi64(o), o_zero, one);
    __m512d as_double = _mm512_cvtepi64_pd(m);
    __m512i length = _mm512_sub_epi64(_mm512_srli_epi64(_mm512_castpd_si512(as_double), 52), _mm512_set1_epi64(1022));
    __m512i e = _mm512_max_epi64(_mm512_sub_epi64(length, _mm512_set1_epi64(15)), zero);
    __m512i half = _mm512_srli_epi64(_mm512_sllv_epi64(one, e), 1); /* 0 where e is 0 */
    __m512i n = _mm512_srlv_epi64(_mm512_add_epi64(m, half), e);
    __m512i reciprocal = _mm512_cvttpd_epi64(_mm512_div_pd(_mm512_set1_pd(0x1p30), _mm512_cvtepi64_pd(n)));
    __m512i along = _mm512_mask_sub_epi64(t, _mm512_cmplt_epi64_mask(o, zero), zero, t);
    __m512i round = _mm512_sllv_epi64(one, _mm512_add_epi64(e, _mm512_set1_epi64(14)));
    __m512i k = _mm512_srav_epi64(_mm512_add_epi64(_mm512_mullo_epi64(reciprocal, along), round),
                                  _mm512_add_epi64(e, _mm512_set1_epi64(15)));
    const __m512i whole = _mm512_set1_epi64(32768);

    return _mm512_mask_mov_epi64(_mm512_min_epi64(_mm512_max_epi64(k, zero), whole), o_zero, whole);
}

static inline __m512i restored(__m512i o, __m512i t, __mmask8 same, __m512d gain_limit)
{
    const __m512i zero = _mm512_setzero_si512();
    __m512i k = ratio(o, t);
    __m512i r = _mm512_srai_epi64(_mm512_add_epi64(_mm512_mullo_epi64(k, o), _mm512_set1_epi64(16384)), 15);
    __m512d gained = _mm512_mul_pd(_mm512_cvtepi64_pd(r), gain_limit), wanted = _mm512_cvtepi64_pd(t);
    __mmask8 applies = _mm512_mask_cmpgt_epi64_mask(same, k, zero);

    r = _mm512_mask_cvttpd_epi64(r, _mm512_mask_cmpgt_epi64_mask(applies, o, zero), _mm512_min_pd(gained, wanted));
    return _mm512_mask_cvttpd_epi64(r, _mm512_mask_cmplt_epi64_mask(applies, o, zero), _mm512_max_pd(gained, wanted));
}

static void decouple_coarse_avx512(const int32_t *const o[VMAFX_ADM_BANDS], const int32_t *const t[VMAFX_ADM_BANDS],
                                   int n, double gain_limit, int32_t *const ret_r[VMAFX_ADM_BANDS],
                                   int32_t *const ret_a[VMAFX_ADM_BANDS])
{
    const __m512d limit = _mm512_set1_pd(gain_limit);

    if (n < BLOCK) {
        vmafx_adm_kernels_c.decouple[1](o, t, n, gain_limit, ret_r, ret_a);
        return;
    }
    for (int at = 0; at < n; at += BLOCK) {
        int x = at + BLOCK <= n ? at : n - BLOCK;
        __mmask8 same = same_angle(widened(o[VMAFX_ADM_H] + x), widened(o[VMAFX_ADM_V] + x),
                                   widened(t[VMAFX_ADM_H] + x), widened(t[VMAFX_ADM_V] + x));

        for (int b = 0; b < VMAFX_ADM_BANDS; b++) {
            __m512i tv = widened(t[b] + x), r = restored(widened(o[b] + x), tv, same, limit);
            _mm256_storeu_si256((__m256i *)(ret_r[b] + x), _mm512_cvtepi64_epi32(r));
            _mm256_storeu_si256((__m256i *)(ret_a[b] + x), _mm512_cvtepi64_epi32(_mm512_sub_epi64(tv, r)));
        }
    }
}

void vmafx_adm_kernels_init_avx512(VmafxAdmKernels *k)
{
    k->decouple[1] = decouple_coarse_avx512;
}

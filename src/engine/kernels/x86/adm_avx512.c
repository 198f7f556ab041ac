/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The split and the masking of ADM's coarser scales with AVX-512 (F, BW, DQ, VL), equal to the C kernels to the bit. It
 * is this instruction set that converts 64-bit integers to binary32 in one rounding, which the angle needs.
 */

#include "engine/kernels/x86/x86.h"

#include <stdbool.h>

#include "engine/kernels/x86/adm_avx512.h"

#define BLOCK   8 /* one 64-bit lane per column */
#define BLOCK32 16

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

/* ---- Masking and numerators, 16 columns ---- */

/* (gain·v + 2^27) >> 28, low 32 bits; the gain is below 2^31. */
static inline __m512i weighted(__m512i v, uint32_t gain)
{
    const __m512i g = _mm512_set1_epi32((int32_t)gain), round = _mm512_set1_epi64(1 << 27);
    __m512i even = _mm512_add_epi64(_mm512_mul_epi32(v, g), round);
    __m512i odd = _mm512_add_epi64(_mm512_mul_epi32(_mm512_srli_epi64(v, 32), g), round);

    return _mm512_mask_blend_epi32(0xaaaa, _mm512_srli_epi64(even, 28), _mm512_slli_epi64(odd, 4));
}

/* (factor·c − 2^31) >> 32 */
static inline __m512i weight(__m512i c, int32_t factor)
{
    const __m512i f = _mm512_set1_epi32(factor), round = _mm512_set1_epi64(-(1ll << 31));
    __m512i even = _mm512_add_epi64(_mm512_mul_epu32(c, f), round);
    __m512i odd = _mm512_add_epi64(_mm512_mul_epu32(_mm512_srli_epi64(c, 32), f), round);

    return _mm512_mask_blend_epi32(0xaaaa, _mm512_srli_epi64(even, 32), odd);
}

static bool gains_fit(const VmafxAdmGains *gains)
{
    return gains->r[0] <= INT32_MAX && gains->r[1] <= INT32_MAX && gains->r[2] <= INT32_MAX;
}

static void weigh_coarse_avx512(const int32_t *const y[VMAFX_ADM_BANDS], int n, const VmafxAdmGains *gains,
                                int32_t *ret_n, int32_t *ret_z_minus_n)
{
    if (n < BLOCK32 || !gains_fit(gains)) {
        vmafx_adm_kernels_c.weigh[1](y, n, gains, ret_n, ret_z_minus_n);
        return;
    }
    for (int at = 0; at < n; at += BLOCK32) {
        int x = at + BLOCK32 <= n ? at : n - BLOCK32;
        __m512i sum_n = _mm512_setzero_si512(), sum_z = sum_n;

        for (int b = 0; b < VMAFX_ADM_BANDS; b++) {
            __m512i c = _mm512_abs_epi32(weighted(_mm512_loadu_si512(y[b] + x), gains->r[b]));
            sum_n = _mm512_add_epi32(sum_n, weight(c, 143165577));
            sum_z = _mm512_add_epi32(sum_z, weight(c, 286331153));
        }
        put512(ret_n + x, sum_n);
        put512(ret_z_minus_n + x, _mm512_sub_epi32(sum_z, sum_n));
    }
}

static void numerator_coarse_avx512(const int32_t *const x[VMAFX_ADM_BANDS], const int32_t *const n_rows[3],
                                    const int32_t *z_minus_n, int n, const VmafxAdmGains *gains,
                                    int64_t sums[VMAFX_ADM_BANDS])
{
    const __m512i zero = _mm512_setzero_si512();
    __m512i acc[VMAFX_ADM_BANDS] = { zero, zero, zero };
    int i = 0;

    for (; i + BLOCK32 <= n && gains_fit(gains); i += BLOCK32) {
        __m512i thr = adm_threshold(n_rows, z_minus_n, i), beyond = zero, trial[VMAFX_ADM_BANDS];

        for (int b = 0; b < VMAFX_ADM_BANDS; b++) {
            __m512i size = _mm512_abs_epi32(weighted(_mm512_loadu_si512(x[b] + i), gains->r[b]));
            __m512i m = _mm512_max_epi32(_mm512_sub_epi32(size, thr), zero); /* modulo 2^32, as the definition has it */

            trial[b] = adm_cubes(acc[b], m, 30, gains->cube_shift[b], &beyond);
            /* −2^31 has no absolute value in 32 bits */
            beyond = _mm512_mask_mov_epi32(beyond, _mm512_movepi32_mask(size), _mm512_set1_epi32(-1));
        }
        if (__builtin_expect(!adm_cubes_fit(beyond), 0)) {
            adm_numerator_c(1, x, n_rows, z_minus_n, i, BLOCK32, gains, sums);
            continue;
        }
        for (int b = 0; b < VMAFX_ADM_BANDS; b++)
            acc[b] = trial[b];
    }
    for (int b = 0; b < VMAFX_ADM_BANDS; b++)
        sums[b] = (int64_t)((uint64_t)sums[b] + (uint64_t)_mm512_reduce_add_epi64(acc[b]));
    adm_numerator_c(1, x, n_rows, z_minus_n, i, n - i, gains, sums);
}

void vmafx_adm_kernels_init_avx512(VmafxAdmKernels *k)
{
    k->decouple[1] = decouple_coarse_avx512;
    k->weigh[1] = weigh_coarse_avx512;
    k->numerator[1] = numerator_coarse_avx512;
    vmafx_adm_kernels_init_fine_avx512(k);
    vmafx_adm_kernels_init_wavelet_avx512(k);
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * ADM's finest scale with AVX-512, equal to the C kernels to the bit. Coefficients have 16 bits there, so 32-bit lanes
 * hold their products: 16 columns at a time. The last block of a row overlaps the one before, or leaves out the columns
 * that it has counted.
 */

#include "engine/kernels/x86/x86.h"

#include <stdbool.h>
#include <stddef.h>

#include "engine/kernels/x86/adm_avx512.h"

#define BLOCK 16

static inline __m512i load(const int32_t *p)
{
    return _mm512_loadu_si512(p);
}

static inline __m512i all(int32_t v)
{
    return _mm512_set1_epi32(v);
}

/* ---- Decoupling ---- */

static inline __m512i products(__m512i a_h, __m512i b_h, __m512i a_v, __m512i b_v)
{
    return _mm512_add_epi32(_mm512_mullo_epi32(a_h, b_h), _mm512_mullo_epi32(a_v, b_v));
}

static inline __mmask8 exact_angle8(__m256 dot, __m256 o_sq, __m256 t_sq)
{
    __m512d p = _mm512_cvtps_pd(dot), o = _mm512_cvtps_pd(o_sq), t = _mm512_cvtps_pd(t_sq);

    return _mm512_cmp_pd_mask(_mm512_mul_pd(p, p), _mm512_mul_pd(_mm512_mul_pd(_mm512_set1_pd(0x1.ffd814p-1), o), t),
                              _CMP_GE_OQ);
}

static __mmask16 exact_angle(__m512 dot, __m512 o_sq, __m512 t_sq)
{
    return (__mmask16)(exact_angle8(_mm512_castps512_ps256(dot), _mm512_castps512_ps256(o_sq),
                                    _mm512_castps512_ps256(t_sq)) |
                       exact_angle8(_mm512_extractf32x8_ps(dot, 1), _mm512_extractf32x8_ps(o_sq, 1),
                                    _mm512_extractf32x8_ps(t_sq, 1))
                           << 8);
}

/* dot² ≥ cos²·o²·t². The three sums have 32 bits here, so that converting them rounds once. Both sides as binary32 are
   within four roundings, 2^-22, of what they stand for: binary64 has to decide only where they are closer than that.
   Where o or t is 0 both sides are, and the answer is yes. */
static inline __mmask16 same_angle(__m512i o_h, __m512i o_v, __m512i t_h, __m512i t_v)
{
    __m512i dot_i = products(o_h, t_h, o_v, t_v);
    __m512 dot = _mm512_cvtepi32_ps(dot_i), o_sq = _mm512_cvtepi32_ps(products(o_h, o_h, o_v, o_v)),
           t_sq = _mm512_cvtepi32_ps(products(t_h, t_h, t_v, t_v));
    __m512 left = _mm512_mul_ps(dot, dot), right = _mm512_mul_ps(o_sq, t_sq);
    __mmask16 forward = _mm512_cmpge_epi32_mask(dot_i, _mm512_setzero_si512());
    __mmask16 sure = _mm512_cmp_ps_mask(left, _mm512_mul_ps(right, _mm512_set1_ps(0x1.ffd9p-1f)), _CMP_GE_OQ);
    __mmask16 possible = _mm512_cmp_ps_mask(left, _mm512_mul_ps(right, _mm512_set1_ps(0x1.ffd7p-1f)), _CMP_GE_OQ);

    if (__builtin_expect((possible & ~sure & forward) != 0, 0))
        sure = exact_angle(dot, o_sq, t_sq);
    return sure & forward;
}

/*
 * floor(2^30 / m), 1 ≤ m < 2^15. The first quotient comes from a reciprocal with an error below 2^-22; the division of
 * what it leaves over, which has few bits, brings it within one half of the true one.
 */
static inline __m512i reciprocal(__m512i m)
{
    __m512 m_f = _mm512_cvtepi32_ps(m), r = _mm512_rcp14_ps(m_f);
    const __m512i one = all(1 << 30);

    r = _mm512_fmadd_ps(r, _mm512_fnmadd_ps(m_f, r, _mm512_set1_ps(1)), r);
    __m512i q = _mm512_cvtps_epi32(_mm512_mul_ps(r, _mm512_set1_ps(0x1p30f)));
    __m512i rest = _mm512_sub_epi32(one, _mm512_mullo_epi32(q, m));
    q = _mm512_add_epi32(q, _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_cvtepi32_ps(rest), r)));
    rest = _mm512_sub_epi32(one, _mm512_mullo_epi32(q, m));
    return _mm512_add_epi32(q, _mm512_srai_epi32(rest, 31)); /* one less where it is too large */
}

/*
 * min(32768, (floor(2^30 / m)·a + 2^14) >> 15) with m = |o| and a = t with the sign of o, 0 if negative; 32768 where o
 * is 0. For a > m it is 32768, because the reciprocal is larger than what the division leaves over; else the product
 * is at most 2^30.
 */
static inline __m512i ratio(__m512i o, __m512i t)
{
    const __m512i zero = _mm512_setzero_si512();
    __m512i m = _mm512_abs_epi32(o);
    __m512i a = _mm512_max_epi32(_mm512_mask_sub_epi32(t, _mm512_movepi32_mask(o), zero, t), zero);
    __mmask16 whole = _mm512_cmpgt_epi32_mask(a, m) | _mm512_testn_epi32_mask(o, o);
    __m512i product = _mm512_mullo_epi32(reciprocal(_mm512_max_epi32(m, all(1))), a);

    return _mm512_mask_mov_epi32(_mm512_srli_epi32(_mm512_add_epi32(product, all(1 << 14)), 15), whole, all(32768));
}

/* r·gain limited by t, in the direction of o, where `applies`. A gain that is an integer needs no binary64. */
static inline __m512i limited_whole(__m512i r, __m512i t, __m512i gain, __mmask16 up, __mmask16 down)
{
    __m512i gained = _mm512_mullo_epi32(r, gain);

    r = _mm512_mask_min_epi32(r, up, gained, t);
    return _mm512_mask_max_epi32(r, down, gained, t);
}

static inline __m256i limited8(__m256i r, __m256i t, __m512d gain, __mmask8 up, __mmask8 down)
{
    __m512d gained = _mm512_mul_pd(_mm512_cvtepi32_pd(r), gain), t_d = _mm512_cvtepi32_pd(t);

    r = _mm512_mask_cvttpd_epi32(r, up, _mm512_min_pd(gained, t_d));
    return _mm512_mask_cvttpd_epi32(r, down, _mm512_max_pd(gained, t_d));
}

static inline __m512i limited(__m512i r, __m512i t, __m512d gain, __mmask16 up, __mmask16 down)
{
    __m256i low = limited8(_mm512_castsi512_si256(r), _mm512_castsi512_si256(t), gain, (__mmask8)up, (__mmask8)down);
    __m256i high = limited8(_mm512_extracti64x4_epi64(r, 1), _mm512_extracti64x4_epi64(t, 1), gain, (__mmask8)(up >> 8),
                            (__mmask8)(down >> 8));

    return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
}

VMAFX_UNROLLED void decouple_row(const int32_t *const o[VMAFX_ADM_BANDS], const int32_t *const t[VMAFX_ADM_BANDS],
                                 int n, double gain_limit, int32_t *const ret_r[VMAFX_ADM_BANDS],
                                 int32_t *const ret_a[VMAFX_ADM_BANDS], bool whole_gain)
{
    const __m512d gain = _mm512_set1_pd(gain_limit);
    const __m512i gain_i = all((int32_t)gain_limit);

    for (int at = 0; at < n; at += BLOCK) {
        int x = at + BLOCK <= n ? at : n - BLOCK;
        __m512i tv[VMAFX_ADM_BANDS], ov[VMAFX_ADM_BANDS];

        for (int b = 0; b < VMAFX_ADM_BANDS; b++) {
            ov[b] = load(o[b] + x);
            tv[b] = load(t[b] + x);
        }
        __mmask16 same = same_angle(ov[VMAFX_ADM_H], ov[VMAFX_ADM_V], tv[VMAFX_ADM_H], tv[VMAFX_ADM_V]);

        for (int b = 0; b < VMAFX_ADM_BANDS; b++) {
            const __m512i zero = _mm512_setzero_si512();
            __m512i k = ratio(ov[b], tv[b]);
            __m512i r = _mm512_srai_epi32(_mm512_add_epi32(_mm512_mullo_epi32(k, ov[b]), all(16384)), 15);
            __mmask16 applies = _mm512_mask_test_epi32_mask(same, k, k);
            __mmask16 up = _mm512_mask_cmpgt_epi32_mask(applies, ov[b], zero);
            __mmask16 down = _mm512_mask_cmplt_epi32_mask(applies, ov[b], zero);

            r = whole_gain ? limited_whole(r, tv[b], gain_i, up, down) : limited(r, tv[b], gain, up, down);
            put512(ret_r[b] + x, r);
            put512(ret_a[b] + x, _mm512_sub_epi32(tv[b], r));
        }
    }
}

static void decouple_avx512(const int32_t *const o[VMAFX_ADM_BANDS], const int32_t *const t[VMAFX_ADM_BANDS], int n,
                            double gain_limit, int32_t *const ret_r[VMAFX_ADM_BANDS],
                            int32_t *const ret_a[VMAFX_ADM_BANDS])
{
    if (n < BLOCK)
        vmafx_adm_kernels_c.decouple[0](o, t, n, gain_limit, ret_r, ret_a);
    else if (gain_limit == (double)(int)gain_limit)
        decouple_row(o, t, n, gain_limit, ret_r, ret_a, true);
    else
        decouple_row(o, t, n, gain_limit, ret_r, ret_a, false);
}

/* ---- Masking ---- */

static inline __m512i wrap16(__m512i v)
{
    return _mm512_srai_epi32(_mm512_slli_epi32(v, 16), 16);
}

static inline __m512i weight(__m512i c, int factor)
{
    return wrap16(_mm512_srai_epi32(_mm512_add_epi32(_mm512_mullo_epi32(c, all(factor)), all(2048)), 12));
}

static inline __m512i weighted(__m512i y, uint32_t gain, bool diagonal)
{
    __m512i product = _mm512_mullo_epi32(y, all((int32_t)gain));

    return wrap16(_mm512_srai_epi32(_mm512_add_epi32(product, all(diagonal ? 65535 : 16384)), diagonal ? 17 : 15));
}

static void weigh_avx512(const int32_t *const y[VMAFX_ADM_BANDS], int n, const VmafxAdmGains *gains, int32_t *ret_n,
                         int32_t *ret_z_minus_n)
{
    if (n < BLOCK) {
        vmafx_adm_kernels_c.weigh[0](y, n, gains, ret_n, ret_z_minus_n);
        return;
    }
    for (int at = 0; at < n; at += BLOCK) {
        int x = at + BLOCK <= n ? at : n - BLOCK;
        __m512i sum_n = _mm512_setzero_si512(), sum_z = sum_n;

        for (int b = 0; b < VMAFX_ADM_BANDS; b++) {
            __m512i c = _mm512_abs_epi32(weighted(load(y[b] + x), gains->r[b], b == VMAFX_ADM_D));
            sum_n = _mm512_add_epi32(sum_n, weight(c, 4369));
            sum_z = _mm512_add_epi32(sum_z, weight(c, 8738));
        }
        put512(ret_n + x, sum_n);
        put512(ret_z_minus_n + x, _mm512_sub_epi32(sum_z, sum_n));
    }
}

/* ---- Numerator ---- */

/* max(0, |R·x| − (thr << L)); more than 31 bits where the threshold has wrapped. */
static inline __m512i masked(__m512i x, uint32_t gain, __m512i thr, unsigned scale_shift)
{
    __m512i signal = _mm512_abs_epi32(_mm512_mullo_epi32(x, all((int32_t)gain)));
    __m512i mask = _mm512_slli_epi32(thr, scale_shift);

    return _mm512_maskz_sub_epi32(_mm512_cmpgt_epi32_mask(signal, mask), signal, mask);
}

static void numerator_avx512(const int32_t *const x[VMAFX_ADM_BANDS], const int32_t *const n_rows[3],
                             const int32_t *z_minus_n, int n, const VmafxAdmGains *gains, int64_t sums[VMAFX_ADM_BANDS])
{
    __m512i acc[VMAFX_ADM_BANDS] = { _mm512_setzero_si512(), _mm512_setzero_si512(), _mm512_setzero_si512() };
    int i = 0;

    for (; i + BLOCK <= n; i += BLOCK) {
        __m512i thr = adm_threshold(n_rows, z_minus_n, i), beyond = _mm512_setzero_si512(), trial[VMAFX_ADM_BANDS];

        for (int b = 0; b < VMAFX_ADM_BANDS; b++) {
            bool diagonal = b == VMAFX_ADM_D;
            __m512i m = masked(load(x[b] + i), gains->r[b], thr, diagonal ? 12 : 10);
            trial[b] = adm_cubes(acc[b], m, diagonal ? 30 : 29, gains->cube_shift[b], &beyond);
        }
        if (__builtin_expect(!adm_cubes_fit(beyond), 0)) {
            adm_numerator_c(0, x, n_rows, z_minus_n, i, BLOCK, gains, sums);
            continue;
        }
        for (int b = 0; b < VMAFX_ADM_BANDS; b++)
            acc[b] = trial[b];
    }
    for (int b = 0; b < VMAFX_ADM_BANDS; b++)
        sums[b] = (int64_t)((uint64_t)sums[b] + (uint64_t)_mm512_reduce_add_epi64(acc[b]));
    adm_numerator_c(0, x, n_rows, z_minus_n, i, n - i, gains, sums);
}

void vmafx_adm_kernels_init_fine_avx512(VmafxAdmKernels *k)
{
    k->decouple[0] = decouple_avx512;
    k->weigh[0] = weigh_avx512;
    k->numerator[0] = numerator_avx512;
}

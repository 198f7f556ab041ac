/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What the AVX-512 kernels of ADM's finest scale and of the others share: masking and the sums of cubes. */
#ifndef VMAFX_ENGINE_KERNELS_X86_ADM_AVX512_H
#define VMAFX_ENGINE_KERNELS_X86_ADM_AVX512_H

#include <stdbool.h>

#include "engine/kernels/adm.h"
#include "engine/kernels/x86/avx512.h"

/* The threshold of 16 columns: nine weights and Z − N. */
static inline __m512i adm_threshold(const int32_t *const n_rows[3], const int32_t *z_minus_n, int x)
{
    __m512i sum = _mm512_loadu_si512(z_minus_n + x);

    for (int j = 0; j < 3; j++)
        sum = _mm512_add_epi32(
            _mm512_add_epi32(sum, _mm512_loadu_si512(n_rows[j] + x)),
            _mm512_add_epi32(_mm512_loadu_si512(n_rows[j] + x - 1), _mm512_loadu_si512(n_rows[j] + x + 1)));
    return sum;
}

static inline __m512i adm_rounded(__m512i v, int n)
{
    return _mm512_srl_epi64(_mm512_add_epi64(v, _mm512_set1_epi64(n ? 1ll << (n - 1) : 0)), _mm_cvtsi32_si128(n));
}

/*
 * sum + the rounded q·m of 16 columns, q the rounded square of m. What has gone into `beyond` tells afterwards whether
 * every q and m had 31 bits, as it must for the result to be right.
 */
static inline __m512i adm_cubes(__m512i sum, __m512i m, int square_shift, int cube_shift, __m512i *beyond)
{
    __m512i odd = _mm512_srli_epi64(m, 32);
    __m512i q_even = adm_rounded(_mm512_mul_epu32(m, m), square_shift);
    __m512i q_odd = adm_rounded(_mm512_mul_epu32(odd, odd), square_shift);

    *beyond = _mm512_ternarylogic_epi64(*beyond, q_even, q_odd, 0xfe); /* or */
    sum = _mm512_add_epi64(sum, adm_rounded(_mm512_mul_epu32(q_even, m), cube_shift));
    return _mm512_add_epi64(sum, adm_rounded(_mm512_mul_epu32(q_odd, odd), cube_shift));
}

/* A square of more than 62 bits leaves more than 31 after the shift by at most 30, so m need not be looked at. */
static inline bool adm_cubes_fit(__m512i beyond)
{
    return !_mm512_test_epi64_mask(beyond, _mm512_set1_epi64((long long)~0x7fffffffull));
}

/* The C kernel for n columns from x on. */
static inline void adm_numerator_c(int coarse, const int32_t *const bands[VMAFX_ADM_BANDS],
                                   const int32_t *const n_rows[3], const int32_t *z_minus_n, int x, int n,
                                   const VmafxAdmGains *gains, int64_t sums[VMAFX_ADM_BANDS])
{
    const int32_t *from[VMAFX_ADM_BANDS] = { bands[0] + x, bands[1] + x, bands[2] + x };
    const int32_t *weights[3] = { n_rows[0] + x, n_rows[1] + x, n_rows[2] + x };

    vmafx_adm_kernels_c.numerator[coarse](from, weights, z_minus_n + x, n, gains, sums);
}
#endif

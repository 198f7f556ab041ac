/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The wavelet of ADM with AVX-512, equal to the C kernels to the bit. The finest scale is made of 16-bit pairs. At the
 * others a sum has less than 48 bits, which binary64 holds exactly: with the taps divided by 2^shift and one half added
 * it has fraction bits, and rounding it down is the rounded shift.
 */

#include "engine/kernels/x86/x86.h"

#include <stddef.h>

#include "engine/kernels/x86/avx512.h"

#define BLOCK 32 /* columns of a vertical filter */

static const int16_t lo_taps[4] = { 15826, 27411, 7345, -4240 };
static const int16_t hi_taps[4] = { -4240, -7345, 27411, -15826 };

/* ---- Finest scale ---- */

/* Four rows of 32 columns, as the pairs of the filter: rows 0 and 1, rows 2 and 3. */
static inline void filter_rows(Sums pairs01, Sums pairs23, const int16_t taps[4], int bpc, int16_t *ret)
{
    const __m128i shift = _mm_cvtsi32_si128(bpc);
    Sums sum = dots(sums_all(1 << (bpc - 1)), pairs01, tap_pair(taps[0], taps[1]));

    sum = dots(sum, pairs23, tap_pair(taps[2], taps[3]));
    put512(ret, _mm512_packs_epi32(_mm512_sra_epi32(sum.lo, shift), _mm512_sra_epi32(sum.hi, shift)));
}

static inline void filter_both(const __m512i v[4], int bpc, int16_t *ret_lo, int16_t *ret_hi)
{
    Sums pairs01 = unpacked(v[0], v[1]), pairs23 = unpacked(v[2], v[3]);

    filter_rows(pairs01, pairs23, lo_taps, bpc, ret_lo);
    filter_rows(pairs01, pairs23, hi_taps, bpc, ret_hi);
}

static void dwt_vert8_avx512(const uint8_t *const rows[4], int w, int16_t *ret_lo, int16_t *ret_hi)
{
    if (w < BLOCK) {
        vmafx_adm_kernels_c.dwt_vert8(rows, w, ret_lo, ret_hi);
        return;
    }
    for (int at = 0; at < w; at += BLOCK) {
        int x = at + BLOCK <= w ? at : w - BLOCK;
        __m512i v[4];

        for (int k = 0; k < 4; k++)
            v[k] = _mm512_sub_epi16(_mm512_cvtepu8_epi16(_mm256_loadu_si256((const __m256i *)(rows[k] + x))),
                                    _mm512_set1_epi16(128));
        filter_both(v, 8, ret_lo + x, ret_hi + x);
    }
}

static void dwt_vert16_avx512(const uint16_t *const rows[4], int bpc, int w, int16_t *ret_lo, int16_t *ret_hi)
{
    if (w < BLOCK) {
        vmafx_adm_kernels_c.dwt_vert16(rows, bpc, w, ret_lo, ret_hi);
        return;
    }
    for (int at = 0; at < w; at += BLOCK) {
        int x = at + BLOCK <= w ? at : w - BLOCK;
        __m512i v[4];

        for (int k = 0; k < 4; k++)
            v[k] = _mm512_sub_epi16(_mm512_loadu_si512(rows[k] + x), _mm512_set1_epi16((int16_t)(1 << (bpc - 1))));
        filter_both(v, bpc, ret_lo + x, ret_hi + x);
    }
}

#define FINE_OUT 16

static inline __m512i filter_pairs(__m512i first, __m512i second, const int16_t taps[4])
{
    __m512i sum = dot(_mm512_set1_epi32(32768), first, tap_pair(taps[0], taps[1]));

    return _mm512_srai_epi32(dot(sum, second, tap_pair(taps[2], taps[3])), 16);
}

static void dwt_horz_fine_avx512(const int16_t *lo, const int16_t *hi, int n, int16_t *ret_a,
                                 int32_t *const ret_bands[VMAFX_ADM_BANDS])
{
    if (n < FINE_OUT) {
        vmafx_adm_kernels_c.dwt_horz_fine(lo, hi, n, ret_a, ret_bands);
        return;
    }
    for (int at = 0; at < n; at += FINE_OUT) {
        int x = at + FINE_OUT <= n ? at : n - FINE_OUT;
        const int16_t *l = lo + 2 * (ptrdiff_t)x, *h = hi + 2 * (ptrdiff_t)x;
        __m512i l0 = _mm512_loadu_si512(l - 1), l1 = _mm512_loadu_si512(l + 1);
        __m512i h0 = _mm512_loadu_si512(h - 1), h1 = _mm512_loadu_si512(h + 1);

        _mm256_storeu_si256((__m256i *)(ret_a + x), _mm512_cvtepi32_epi16(filter_pairs(l0, l1, lo_taps)));
        put512(ret_bands[VMAFX_ADM_V] + x, filter_pairs(l0, l1, hi_taps));
        put512(ret_bands[VMAFX_ADM_H] + x, filter_pairs(h0, h1, lo_taps));
        put512(ret_bands[VMAFX_ADM_D] + x, filter_pairs(h0, h1, hi_taps));
    }
}

/* ---- Between the finest scale and the next ---- */

/* As filter_rows, without rounding: 32 sums in the order of columns. */
static inline void put_sums(Sums pairs01, Sums pairs23, const int16_t taps[4], int32_t *ret)
{
    const __m512i first = _mm512_set_epi64(11, 10, 3, 2, 9, 8, 1, 0),
                  second = _mm512_set_epi64(15, 14, 7, 6, 13, 12, 5, 4);
    Sums sum = dots(sums_all(0), pairs01, tap_pair(taps[0], taps[1]));

    sum = dots(sum, pairs23, tap_pair(taps[2], taps[3]));
    put512(ret, _mm512_permutex2var_epi64(sum.lo, first, sum.hi));
    put512(ret + 16, _mm512_permutex2var_epi64(sum.lo, second, sum.hi));
}

static void dwt_vert_second_avx512(const int16_t *const rows[4], int w, int32_t *ret_lo, int32_t *ret_hi)
{
    if (w < BLOCK) {
        vmafx_adm_kernels_c.dwt_vert_second(rows, w, ret_lo, ret_hi);
        return;
    }
    for (int at = 0; at < w; at += BLOCK) {
        int x = at + BLOCK <= w ? at : w - BLOCK;
        Sums pairs01 = unpacked(_mm512_loadu_si512(rows[0] + x), _mm512_loadu_si512(rows[1] + x));
        Sums pairs23 = unpacked(_mm512_loadu_si512(rows[2] + x), _mm512_loadu_si512(rows[3] + x));

        put_sums(pairs01, pairs23, lo_taps, ret_lo + x);
        put_sums(pairs01, pairs23, hi_taps, ret_hi + x);
    }
}

/* ---- The others ---- */

#define OUT 8 /* a 64-bit lane per column */

typedef struct Taps {
    __m512d v[4], half;
} Taps;

/* Of a filter followed by a rounded shift. */
static inline Taps taps_of(const int16_t taps[4], int shift)
{
    const double unit = 1.0 / (1ll << shift);
    Taps t = { .half = _mm512_set1_pd(0.5) };

    for (int k = 0; k < 4; k++)
        t.v[k] = _mm512_set1_pd(taps[k] * unit);
    return t;
}

static inline void filter_doubles(const __m512d v[4], const Taps *taps, int32_t *ret)
{
    __m512d sum = _mm512_fmadd_pd(v[0], taps->v[0], taps->half);

    for (int k = 1; k < 4; k++)
        sum = _mm512_fmadd_pd(v[k], taps->v[k], sum);
    _mm256_storeu_si256((__m256i *)ret, _mm512_cvt_roundpd_epi32(sum, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC));
}

static void dwt_vert_avx512(const int32_t *const rows[4], int w, int32_t *ret_lo, int32_t *ret_hi)
{
    const Taps lo = taps_of(lo_taps, 16), hi = taps_of(hi_taps, 16);

    if (w < OUT) {
        vmafx_adm_kernels_c.dwt_vert(rows, w, ret_lo, ret_hi);
        return;
    }
    for (int at = 0; at < w; at += OUT) {
        int x = at + OUT <= w ? at : w - OUT;
        __m512d v[4];

        for (int k = 0; k < 4; k++)
            v[k] = _mm512_cvtepi32_pd(_mm256_loadu_si256((const __m256i *)(rows[k] + x)));
        filter_doubles(v, &lo, ret_lo + x);
        filter_doubles(v, &hi, ret_hi + x);
    }
}

/* Columns 2x − 1, 2x, 2x + 1, 2x + 2 for 8 values of x. */
static inline void split_columns(const int32_t *row, int x, __m512d ret[4])
{
    for (int i = 0; i < 2; i++) {
        __m512i v = _mm512_loadu_si512(row + 2 * (ptrdiff_t)x - 1 + 2 * i);
        ret[2 * i] = _mm512_cvtepi32_pd(_mm512_cvtepi64_epi32(v));
        ret[2 * i + 1] = _mm512_cvtepi64_pd(_mm512_srai_epi64(v, 32));
    }
}

static void dwt_horz_avx512(const int32_t *lo, const int32_t *hi, int shift, int n, int32_t *ret_a,
                            int32_t *const ret_bands[VMAFX_ADM_BANDS])
{
    const Taps low = taps_of(lo_taps, shift), high = taps_of(hi_taps, shift);

    if (n < OUT) {
        vmafx_adm_kernels_c.dwt_horz(lo, hi, shift, n, ret_a, ret_bands);
        return;
    }
    for (int at = 0; at < n; at += OUT) {
        int x = at + OUT <= n ? at : n - OUT;
        __m512d l[4], h[4];

        split_columns(lo, x, l);
        split_columns(hi, x, h);
        filter_doubles(l, &low, ret_a + x);
        filter_doubles(l, &high, ret_bands[VMAFX_ADM_V] + x);
        filter_doubles(h, &low, ret_bands[VMAFX_ADM_H] + x);
        filter_doubles(h, &high, ret_bands[VMAFX_ADM_D] + x);
    }
}

void vmafx_adm_kernels_init_wavelet_avx512(VmafxAdmKernels *k)
{
    k->dwt_vert8 = dwt_vert8_avx512;
    k->dwt_vert16 = dwt_vert16_avx512;
    k->dwt_vert_second = dwt_vert_second_avx512;
    k->dwt_vert = dwt_vert_avx512;
    k->dwt_horz_fine = dwt_horz_fine_avx512;
    k->dwt_horz = dwt_horz_avx512;
}

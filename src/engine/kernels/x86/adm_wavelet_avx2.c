/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The wavelet of ADM with AVX2, equal to the C kernels to the bit. adm_avx2.c says how blocks and ranges are dealt
 * with. */

#include "engine/kernels/x86/x86.h"

#include <stddef.h>

#include "engine/kernels/x86/adm_avx2.h"

#define BLOCK 8

#define LO0 15826
#define LO1 27411
#define LO2 7345
#define LO3 (-4240)
#define HI0 (-4240)
#define HI1 (-7345)
#define HI2 27411
#define HI3 (-15826)

static inline __m256i taps_pair(int first, int second)
{
    return all((int32_t)((uint32_t)(uint16_t)first | (uint32_t)second << 16));
}

/* Samples minus their middle as signed 16-bit numbers. */
static inline __m256i centred8(const uint8_t *p)
{
    return _mm256_sub_epi16(_mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)p)), _mm256_set1_epi16(128));
}

static inline __m256i centred16(const uint16_t *p, __m256i middle)
{
    return _mm256_sub_epi16(_mm256_loadu_si256((const __m256i *)p), middle);
}

/* Four rows of 16 columns → 16 columns of one filtered row. */
static inline void filter_rows(const __m256i v[4], __m256i taps01, __m256i taps23, int32_t round, __m128i shift,
                               int16_t *ret)
{
    __m256i lo = _mm256_add_epi32(_mm256_madd_epi16(_mm256_unpacklo_epi16(v[0], v[1]), taps01),
                                  _mm256_madd_epi16(_mm256_unpacklo_epi16(v[2], v[3]), taps23));
    __m256i hi = _mm256_add_epi32(_mm256_madd_epi16(_mm256_unpackhi_epi16(v[0], v[1]), taps01),
                                  _mm256_madd_epi16(_mm256_unpackhi_epi16(v[2], v[3]), taps23));

    lo = _mm256_sra_epi32(_mm256_add_epi32(lo, all(round)), shift);
    hi = _mm256_sra_epi32(_mm256_add_epi32(hi, all(round)), shift);
    _mm256_storeu_si256((__m256i *)ret, _mm256_packs_epi32(lo, hi)); /* undoes the unpacking */
}

static inline void filter_both(const __m256i v[4], int bpc, int x, int16_t *ret_lo, int16_t *ret_hi)
{
    __m128i shift = _mm_cvtsi32_si128(bpc);
    int32_t round = 1 << (bpc - 1);

    filter_rows(v, taps_pair(LO0, LO1), taps_pair(LO2, LO3), round, shift, ret_lo + x);
    filter_rows(v, taps_pair(HI0, HI1), taps_pair(HI2, HI3), round, shift, ret_hi + x);
}

static void dwt_vert8_avx2(const uint8_t *const rows[4], int w, int16_t *ret_lo, int16_t *ret_hi)
{
    if (w < 16) {
        vmafx_adm_kernels_c.dwt_vert8(rows, w, ret_lo, ret_hi);
        return;
    }
    for (int at = 0; at < w; at += 16) {
        int x = at + 16 <= w ? at : w - 16;
        __m256i v[4] = { centred8(rows[0] + x), centred8(rows[1] + x), centred8(rows[2] + x), centred8(rows[3] + x) };
        filter_both(v, 8, x, ret_lo, ret_hi);
    }
}

static void dwt_vert16_avx2(const uint16_t *const rows[4], int bpc, int w, int16_t *ret_lo, int16_t *ret_hi)
{
    const __m256i middle = _mm256_set1_epi16((int16_t)(1 << (bpc - 1)));

    if (w < 16) {
        vmafx_adm_kernels_c.dwt_vert16(rows, bpc, w, ret_lo, ret_hi);
        return;
    }
    for (int at = 0; at < w; at += 16) {
        int x = at + 16 <= w ? at : w - 16;
        __m256i v[4] = { centred16(rows[0] + x, middle), centred16(rows[1] + x, middle), centred16(rows[2] + x, middle),
                         centred16(rows[3] + x, middle) };
        filter_both(v, bpc, x, ret_lo, ret_hi);
    }
}

/* Σ taps·v of four vectors, rounded and shifted, as 32-bit values. */
static inline __m256i filter_wide(const __m256i v[4], int t0, int t1, int t2, int t3, int shift)
{
    Wide sum = plus(plus(times_signed(v[0], all(t0)), times_signed(v[1], all(t1))),
                    plus(times_signed(v[2], all(t2)), times_signed(v[3], all(t3))));

    return low_words(rounded(sum, shift));
}

static inline __m256i words(const int16_t *p)
{
    return _mm256_loadu_si256((const __m256i *)p);
}

/* Four rows of 16 columns → 16 sums. */
static inline void put_sums(const __m256i v[4], __m256i taps01, __m256i taps23, int32_t *ret)
{
    __m256i lo = _mm256_add_epi32(_mm256_madd_epi16(_mm256_unpacklo_epi16(v[0], v[1]), taps01),
                                  _mm256_madd_epi16(_mm256_unpacklo_epi16(v[2], v[3]), taps23));
    __m256i hi = _mm256_add_epi32(_mm256_madd_epi16(_mm256_unpackhi_epi16(v[0], v[1]), taps01),
                                  _mm256_madd_epi16(_mm256_unpackhi_epi16(v[2], v[3]), taps23));

    put(ret, _mm256_permute2x128_si256(lo, hi, 0x20));
    put(ret + 8, _mm256_permute2x128_si256(lo, hi, 0x31));
}

static void dwt_vert_second_avx2(const int16_t *const rows[4], int w, int32_t *ret_lo, int32_t *ret_hi)
{
    if (w < 16) {
        vmafx_adm_kernels_c.dwt_vert_second(rows, w, ret_lo, ret_hi);
        return;
    }
    for (int at = 0; at < w; at += 16) {
        int x = at + 16 <= w ? at : w - 16;
        __m256i v[4] = { words(rows[0] + x), words(rows[1] + x), words(rows[2] + x), words(rows[3] + x) };

        put_sums(v, taps_pair(LO0, LO1), taps_pair(LO2, LO3), ret_lo + x);
        put_sums(v, taps_pair(HI0, HI1), taps_pair(HI2, HI3), ret_hi + x);
    }
}

static void dwt_vert_avx2(const int32_t *const rows[4], int w, int32_t *ret_lo, int32_t *ret_hi)
{
    if (w < BLOCK) {
        vmafx_adm_kernels_c.dwt_vert(rows, w, ret_lo, ret_hi);
        return;
    }
    for (int at = 0; at < w; at += BLOCK) {
        int x = at + BLOCK <= w ? at : w - BLOCK;
        __m256i v[4] = { load(rows[0] + x), load(rows[1] + x), load(rows[2] + x), load(rows[3] + x) };

        put(ret_lo + x, filter_wide(v, LO0, LO1, LO2, LO3, 16));
        put(ret_hi + x, filter_wide(v, HI0, HI1, HI2, HI3, 16));
    }
}

/* Columns 2x − 1, 2x, 2x + 1, 2x + 2 for 8 values of x. */
static inline void split_columns(const int32_t *row, int x, __m256i ret[4])
{
    for (int i = 0; i < 2; i++) {
        const int32_t *p = row + 2 * (ptrdiff_t)x - 1 + 2 * i;
        __m256 a = _mm256_loadu_ps((const float *)(const void *)p);
        __m256 b = _mm256_loadu_ps((const float *)(const void *)(p + 8));
        __m256i even = _mm256_castps_si256(_mm256_shuffle_ps(a, b, 0x88));
        __m256i odd = _mm256_castps_si256(_mm256_shuffle_ps(a, b, 0xdd));

        ret[2 * i] = _mm256_permute4x64_epi64(even, 0xd8);
        ret[2 * i + 1] = _mm256_permute4x64_epi64(odd, 0xd8);
    }
}

/* (Σ taps·v + 32768) >> 16 at 8 columns: a load of 16-bit values is a row of pairs. */
static inline __m256i filter_pairs(__m256i first, __m256i second, __m256i taps01, __m256i taps23)
{
    __m256i sum = _mm256_add_epi32(_mm256_madd_epi16(first, taps01), _mm256_madd_epi16(second, taps23));

    return _mm256_srai_epi32(_mm256_add_epi32(sum, all(32768)), 16);
}

static void dwt_horz_fine_avx2(const int16_t *lo, const int16_t *hi, int n, int16_t *ret_a,
                               int32_t *const ret_bands[VMAFX_ADM_BANDS])
{
    const __m256i lo01 = taps_pair(LO0, LO1), lo23 = taps_pair(LO2, LO3), hi01 = taps_pair(HI0, HI1),
                  hi23 = taps_pair(HI2, HI3);

    if (n < BLOCK) {
        vmafx_adm_kernels_c.dwt_horz_fine(lo, hi, n, ret_a, ret_bands);
        return;
    }
    for (int at = 0; at < n; at += BLOCK) {
        int x = at + BLOCK <= n ? at : n - BLOCK;
        const int16_t *l = lo + 2 * (ptrdiff_t)x, *h = hi + 2 * (ptrdiff_t)x;
        __m256i lv = words(l - 1), lv2 = words(l + 1), hv = words(h - 1), hv2 = words(h + 1);

        __m256i a = filter_pairs(lv, lv2, lo01, lo23);

        a = _mm256_permute4x64_epi64(_mm256_packs_epi32(a, a), 0xd8);
        _mm_storeu_si128((__m128i *)(ret_a + x), _mm256_castsi256_si128(a));
        put(ret_bands[VMAFX_ADM_V] + x, filter_pairs(lv, lv2, hi01, hi23));
        put(ret_bands[VMAFX_ADM_H] + x, filter_pairs(hv, hv2, lo01, lo23));
        put(ret_bands[VMAFX_ADM_D] + x, filter_pairs(hv, hv2, hi01, hi23));
    }
}

static void dwt_horz_avx2(const int32_t *lo, const int32_t *hi, int shift, int n, int32_t *ret_a,
                          int32_t *const ret_bands[VMAFX_ADM_BANDS])
{
    if (n < BLOCK) {
        vmafx_adm_kernels_c.dwt_horz(lo, hi, shift, n, ret_a, ret_bands);
        return;
    }
    for (int at = 0; at < n; at += BLOCK) {
        int x = at + BLOCK <= n ? at : n - BLOCK;
        __m256i l[4], h[4];

        split_columns(lo, x, l);
        split_columns(hi, x, h);
        put(ret_a + x, filter_wide(l, LO0, LO1, LO2, LO3, shift));
        put(ret_bands[VMAFX_ADM_V] + x, filter_wide(l, HI0, HI1, HI2, HI3, shift));
        put(ret_bands[VMAFX_ADM_H] + x, filter_wide(h, LO0, LO1, LO2, LO3, shift));
        put(ret_bands[VMAFX_ADM_D] + x, filter_wide(h, HI0, HI1, HI2, HI3, shift));
    }
}

void vmafx_adm_kernels_init_wavelet_avx2(VmafxAdmKernels *k)
{
    k->dwt_vert8 = dwt_vert8_avx2;
    k->dwt_vert16 = dwt_vert16_avx2;
    k->dwt_vert_second = dwt_vert_second_avx2;
    k->dwt_vert = dwt_vert_avx2;
    k->dwt_horz_fine = dwt_horz_fine_avx2;
    k->dwt_horz = dwt_horz_avx2;
}

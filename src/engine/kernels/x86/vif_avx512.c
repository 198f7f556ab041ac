/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Integer VIF with AVX-512 (F, BW, DQ, VL): the three kernels that take most of the time. vif_avx2.c explains the
 * arithmetic; here it runs on registers of twice the width. Rows shorter than a block go to the AVX2 kernels.
 */

#include "engine/kernels/x86/x86.h"

#include <immintrin.h>
#include <stddef.h>

#define BLOCK     32
#define PAIRS_MAX ((VMAFX_VIF_TAPS_MAX + 1) / 2)

typedef struct Pairs {
    int n;
    int first[PAIRS_MAX];
    __m512i taps[PAIRS_MAX];
} Pairs;

static __m512i pair(int32_t first, int32_t second)
{
    return _mm512_set1_epi32((int32_t)((uint32_t)first | (uint32_t)second << 16));
}

static Pairs pairs_of(const VmafxVifFilter *filter)
{
    Pairs pairs = { .n = 0 };

    if (filter->n == 3) { /* the middle tap needs 16 unsigned bits: half of it in each pair */
        int32_t half = filter->taps[1] / 2;
        pairs = (Pairs){ 2, { 0, 1 }, { pair(filter->taps[0], half), pair(half, filter->taps[2]) } };
        return pairs;
    }
    for (int k = 0; k < filter->n; k += 2) {
        pairs.first[pairs.n] = k;
        pairs.taps[pairs.n++] = pair(filter->taps[k], k + 1 < filter->n ? filter->taps[k + 1] : 0);
    }
    return pairs;
}

static inline void put(void *p, __m512i v)
{
    _mm512_storeu_si512(p, v);
}

/* ---- Vertical, 8 bits ---- */

typedef struct Sums {
    __m512i lo, hi; /* as unpacking leaves them; packing restores the order */
} Sums;

static inline Sums add_pair(Sums sums, __m512i a, __m512i b, __m512i taps)
{
    sums.lo = _mm512_add_epi32(sums.lo, _mm512_madd_epi16(_mm512_unpacklo_epi16(a, b), taps));
    sums.hi = _mm512_add_epi32(sums.hi, _mm512_madd_epi16(_mm512_unpackhi_epi16(a, b), taps));
    return sums;
}

static inline Sums add_all(Sums sums, int32_t v)
{
    __m512i c = _mm512_set1_epi32(v);

    return (Sums){ _mm512_add_epi32(sums.lo, c), _mm512_add_epi32(sums.hi, c) };
}

static inline Sums add_scaled(Sums sums, Sums more, unsigned shift)
{
    return (Sums){ _mm512_add_epi32(sums.lo, _mm512_slli_epi32(more.lo, shift)),
                   _mm512_add_epi32(sums.hi, _mm512_slli_epi32(more.hi, shift)) };
}

static inline void put_means(uint16_t *p, Sums m)
{
    m = add_all(m, (1 << 23) + 128);
    put(p, _mm512_packus_epi32(_mm512_srli_epi32(m.lo, 8), _mm512_srli_epi32(m.hi, 8)));
}

static inline void put_halves(const VmafxVifMoments *ret, int which, int x, Sums e)
{
    const __m512i low = _mm512_set1_epi32(0xffff);

    e = add_all(e, 1 << 30);
    put(ret->row[which] + x, _mm512_packus_epi32(_mm512_and_si512(e.lo, low), _mm512_and_si512(e.hi, low)));
    put(ret->row[which + 1] + x, _mm512_packus_epi32(_mm512_srli_epi32(e.lo, 16), _mm512_srli_epi32(e.hi, 16)));
}

static inline __m512i bytes_minus_128(const uint8_t *p)
{
    return _mm512_sub_epi16(_mm512_cvtepu8_epi16(_mm256_loadu_si256((const __m256i *)p)), _mm512_set1_epi16(128));
}

static inline void vert8_block(const uint8_t *const *ref, const uint8_t *const *dis, const VmafxVifFilter *filter,
                               const Pairs *pairs, int x, const VmafxVifMoments *ret)
{
    Sums m1 = { _mm512_setzero_si512(), _mm512_setzero_si512() }, m2 = m1, rr = m1, dd = m1, rd = m1;

    for (int p = 0; p < pairs->n; p++) {
        int k = pairs->first[p], next = k + 1 < filter->n ? k + 1 : k; /* its tap is 0 then */
        __m512i r0 = bytes_minus_128(ref[k] + x), r1 = bytes_minus_128(ref[next] + x);
        __m512i d0 = bytes_minus_128(dis[k] + x), d1 = bytes_minus_128(dis[next] + x);
        __m512i taps = pairs->taps[p];

        m1 = add_pair(m1, r0, r1, taps);
        m2 = add_pair(m2, d0, d1, taps);
        rr = add_pair(rr, _mm512_mullo_epi16(r0, r0), _mm512_mullo_epi16(r1, r1), taps);
        dd = add_pair(dd, _mm512_mullo_epi16(d0, d0), _mm512_mullo_epi16(d1, d1), taps);
        rd = add_pair(rd, _mm512_mullo_epi16(r0, d0), _mm512_mullo_epi16(r1, d1), taps);
    }
    put_means(ret->row[VMAFX_VIF_M1] + x, m1);
    put_means(ret->row[VMAFX_VIF_M2] + x, m2);
    put_halves(ret, VMAFX_VIF_E11_LO, x, add_scaled(rr, m1, 8));
    put_halves(ret, VMAFX_VIF_E22_LO, x, add_scaled(dd, m2, 8));
    put_halves(ret, VMAFX_VIF_E12_LO, x, add_scaled(add_scaled(rd, m1, 7), m2, 7));
}

static void vert8_avx512(const uint8_t *const *ref, const uint8_t *const *dis, const VmafxVifFilter *filter, int w,
                         const VmafxVifMoments *ret)
{
    Pairs pairs = pairs_of(filter);

    if (w < BLOCK) {
        vmafx_vif_vert8_avx2(ref, dis, filter, w, ret);
        return;
    }
    for (int x = 0; x + BLOCK <= w; x += BLOCK)
        vert8_block(ref, dis, filter, &pairs, x, ret);
    if (w % BLOCK)
        vert8_block(ref, dis, filter, &pairs, w - BLOCK, ret);
}

/* ---- Horizontal ---- */

/* Σ f·v + 2^31 at columns x, x + 2, … x + 30. */
static inline __m512i filtered_columns(const uint16_t *row, const VmafxVifFilter *filter, const Pairs *pairs,
                                       ptrdiff_t x)
{
    const __m512i sign = _mm512_set1_epi16((int16_t)0x8000);
    __m512i sum = _mm512_set1_epi32((int32_t)0x80000000u);

    for (int p = 0; p < pairs->n; p++) {
        __m512i v = _mm512_loadu_si512(row + x + pairs->first[p] - filter->n / 2);
        sum = _mm512_add_epi32(sum, _mm512_madd_epi16(_mm512_xor_si512(v, sign), pairs->taps[p]));
    }
    return sum;
}

/* (a·b + 2^31) >> 32 of 16 unsigned pairs. */
static inline __m512i product_high(__m512i a, __m512i b)
{
    const __m512i half = _mm512_set1_epi64(1ll << 31);
    __m512i even = _mm512_add_epi64(_mm512_mul_epu32(a, b), half);
    __m512i odd = _mm512_add_epi64(_mm512_mul_epu32(_mm512_srli_epi64(a, 32), _mm512_srli_epi64(b, 32)), half);

    return _mm512_mask_blend_epi32(0xaaaa, _mm512_srli_epi64(even, 32), odd);
}

static inline void central16(const VmafxVifMoments *in, const VmafxVifFilter *filter, const Pairs *pairs, int x,
                             __m512i ret[3])
{
    __m512i m1 = filtered_columns(in->row[VMAFX_VIF_M1], filter, pairs, x);
    __m512i m2 = filtered_columns(in->row[VMAFX_VIF_M2], filter, pairs, x);
    __m512i product[3] = { product_high(m1, m1), product_high(m2, m2), product_high(m1, m2) };

    for (int i = 0; i < 3; i++) {
        __m512i lo = filtered_columns(in->row[VMAFX_VIF_E11_LO + 2 * i], filter, pairs, x);
        __m512i hi = filtered_columns(in->row[VMAFX_VIF_E11_HI + 2 * i], filter, pairs, x);

        lo = _mm512_srli_epi32(_mm512_add_epi32(lo, _mm512_set1_epi32(32768)), 16);
        ret[i] = _mm512_sub_epi32(_mm512_add_epi32(hi, lo), product[i]);
    }
}

static inline void put_interleaved(int32_t *p, __m512i even, __m512i odd)
{
    const __m512i first = _mm512_set_epi64(11, 10, 3, 2, 9, 8, 1, 0),
                  second = _mm512_set_epi64(15, 14, 7, 6, 13, 12, 5, 4);
    __m512i lo = _mm512_unpacklo_epi32(even, odd), hi = _mm512_unpackhi_epi32(even, odd);

    put(p, _mm512_permutex2var_epi64(lo, first, hi));
    put(p + 16, _mm512_permutex2var_epi64(lo, second, hi));
}

static inline void horz_block(const VmafxVifMoments *in, const VmafxVifFilter *filter, const Pairs *pairs, int x,
                              int32_t *const ret[3])
{
    __m512i even[3], odd[3];

    central16(in, filter, pairs, x, even);
    central16(in, filter, pairs, x + 1, odd);
    for (int i = 0; i < 3; i++)
        put_interleaved(ret[i] + x, even[i], odd[i]);
}

static void horz_avx512(const VmafxVifMoments *in, const VmafxVifFilter *filter, int w, int32_t *ret_s1,
                        int32_t *ret_s2, int32_t *ret_s12)
{
    Pairs pairs = pairs_of(filter);
    int32_t *const ret[3] = { ret_s1, ret_s2, ret_s12 };

    if (w < BLOCK) {
        vmafx_vif_horz_avx2(in, filter, w, ret_s1, ret_s2, ret_s12);
        return;
    }
    for (int x = 0; x + BLOCK <= w; x += BLOCK)
        horz_block(in, filter, &pairs, x, ret);
    if (w % BLOCK)
        horz_block(in, filter, &pairs, w - BLOCK, ret);
}

/* ---- Score ---- */

static inline __m512i log2_fixed(const uint16_t *table, __m512d v)
{
    __m512i bits = _mm512_castpd_si512(v);
    __m512i index = _mm512_and_si512(_mm512_srli_epi64(bits, 37), _mm512_set1_epi64(32767));
    __m512i exponent = _mm512_sub_epi64(_mm512_srli_epi64(bits, 52), _mm512_set1_epi64(1023 + 15));
    __m512i entry = _mm512_i64gather_epi64(index, (const void *)table, 2);

    return _mm512_add_epi64(_mm512_and_si512(entry, _mm512_set1_epi64(0xffff)), _mm512_slli_epi64(exponent, 11));
}

static inline __m512d truncated(__m512d v)
{
    return _mm512_roundscale_pd(v, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC);
}

typedef struct RowSums {
    __m512i denlog, nonlog;
    int64_t cnt;
} RowSums;

/* Eight columns, or the first of them where `columns` says so. */
static inline void score_block(__m256i s1, __m256i s2, __m256i s12, __mmask8 columns, const uint16_t *table,
                               const double *limits, int n_limits, RowSums *sums, __m512i *numlog)
{
    const __m256i zero = _mm256_setzero_si256();
    const __m512d nsq = _mm512_set1_pd(VMAFX_VIF_NSQ);
    __mmask8 flat = _mm256_mask_cmplt_epi32_mask(columns, s1, _mm256_set1_epi32(VMAFX_VIF_NSQ));
    __mmask8 textured = (__mmask8)(columns & ~flat);
    __m512d s1_d = _mm512_cvtepi32_pd(s1);

    s2 = _mm256_max_epi32(s2, zero);
    sums->nonlog = _mm512_mask_add_epi64(sums->nonlog, flat, sums->nonlog, _mm512_cvtepu32_epi64(s2));
    sums->cnt += __builtin_popcount(flat);
    if (!textured)
        return;
    __m512i den = _mm512_sub_epi64(log2_fixed(table, _mm512_add_pd(nsq, s1_d)), _mm512_set1_epi64(17 * 2048));
    sums->denlog = _mm512_mask_add_epi64(sums->denlog, textured, sums->denlog, den);

    __mmask8 active = _mm256_mask_cmpgt_epi32_mask(_mm256_mask_cmpgt_epi32_mask(textured, s12, zero), s2, zero);
    if (!active)
        return;
    __m512d s12_d = _mm512_cvtepi32_pd(s12), s2_d = _mm512_cvtepi32_pd(s2);
    __m512d gain = _mm512_div_pd(s12_d, _mm512_add_pd(s1_d, _mm512_set1_pd(65536 * 1e-10)));
    __m512d noise = _mm512_max_pd(_mm512_sub_pd(s2_d, _mm512_mul_pd(gain, s12_d)), _mm512_setzero_pd());

    noise = _mm512_add_pd(truncated(noise), nsq);
    __m512i log_noise = log2_fixed(table, noise);
    for (int i = 0; i < n_limits; i++) {
        __m512d g = _mm512_min_pd(gain, _mm512_set1_pd(limits[i]));
        __m512d signal = _mm512_add_pd(noise, truncated(_mm512_mul_pd(_mm512_mul_pd(g, g), s1_d)));
        __m512i difference = _mm512_sub_epi64(log2_fixed(table, signal), log_noise);

        numlog[i] = _mm512_mask_add_epi64(numlog[i], active, numlog[i], difference);
    }
}

#define LIMITS_MAX 8 /* more at a time are left to the C kernel */

static void score_avx512(const int32_t *s1, const int32_t *s2, const int32_t *s12, int w, const uint16_t *log2_table,
                         const double *limits, int n_limits, VmafxVifSums *sums, int64_t *numlog)
{
    RowSums row = { _mm512_setzero_si512(), _mm512_setzero_si512(), 0 };
    __m512i num[LIMITS_MAX];

    if (n_limits > LIMITS_MAX) {
        vmafx_vif_kernels_c.score(s1, s2, s12, w, log2_table, limits, n_limits, sums, numlog);
        return;
    }
    for (int i = 0; i < n_limits; i++)
        num[i] = _mm512_setzero_si512();
    for (int x = 0; x < w; x += 8) {
        __mmask8 columns = (__mmask8)(w - x >= 8 ? 0xff : (1 << (w - x)) - 1);

        score_block(_mm256_maskz_loadu_epi32(columns, s1 + x), _mm256_maskz_loadu_epi32(columns, s2 + x),
                    _mm256_maskz_loadu_epi32(columns, s12 + x), columns, log2_table, limits, n_limits, &row, num);
    }
    sums->denlog += _mm512_reduce_add_epi64(row.denlog);
    sums->nonlog += _mm512_reduce_add_epi64(row.nonlog);
    sums->cnt += row.cnt;
    for (int i = 0; i < n_limits; i++)
        numlog[i] += _mm512_reduce_add_epi64(num[i]);
}

void vmafx_vif_kernels_init_avx512(VmafxVifKernels *k)
{
    k->vert8 = vert8_avx512;
    k->horz = horz_avx512;
    k->score = score_avx512;
}

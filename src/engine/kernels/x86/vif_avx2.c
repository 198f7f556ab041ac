/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Integer VIF with AVX2, equal to the C kernels to the bit.
 *
 * Everything 16 bits wide goes through _mm256_madd_epi16, which multiplies signed 16-bit pairs and adds the two
 * products. Unsigned samples are made signed by subtracting 2^15 (2^7 for bytes); because the taps sum to 2^16 the
 * difference is a constant, added back at the end, all of it modulo 2^32, in which the true results lie.
 *
 * Columns are done in blocks of 16; the last block of a row overlaps the one before. Rows shorter than a block are left
 * to the C kernel.
 */

#include "engine/kernels/x86/x86.h"

#include <immintrin.h>
#include <stddef.h>

#define BLOCK     16
#define PAIRS_MAX ((VMAFX_VIF_TAPS_MAX + 1) / 2)

/* The taps as pairs of signed 16-bit numbers, and the index of each pair's first tap. */
typedef struct Pairs {
    int n;
    int first[PAIRS_MAX];
    __m256i taps[PAIRS_MAX];
} Pairs;

static __m256i pair(int32_t first, int32_t second)
{
    return _mm256_set1_epi32((int32_t)((uint32_t)first | (uint32_t)second << 16));
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

static __m256i load(const void *p)
{
    return _mm256_loadu_si256((const __m256i *)p);
}

static void put(void *p, __m256i v)
{
    _mm256_storeu_si256((__m256i *)p, v);
}

/* Sums of 16 columns: `lo` holds columns 0-3 and 8-11, `hi` 4-7 and 12-15, as unpacking leaves them. */
typedef struct Sums {
    __m256i lo, hi;
} Sums;

static inline Sums add_pair(Sums sums, __m256i a, __m256i b, __m256i taps)
{
    sums.lo = _mm256_add_epi32(sums.lo, _mm256_madd_epi16(_mm256_unpacklo_epi16(a, b), taps));
    sums.hi = _mm256_add_epi32(sums.hi, _mm256_madd_epi16(_mm256_unpackhi_epi16(a, b), taps));
    return sums;
}

static inline Sums add_all(Sums sums, __m256i v)
{
    return (Sums){ _mm256_add_epi32(sums.lo, v), _mm256_add_epi32(sums.hi, v) };
}

static inline Sums add_scaled(Sums sums, Sums more, int shift)
{
    return (Sums){ _mm256_add_epi32(sums.lo, _mm256_slli_epi32(more.lo, shift)),
                   _mm256_add_epi32(sums.hi, _mm256_slli_epi32(more.hi, shift)) };
}

static inline __m256i packed(__m256i lo, __m256i hi)
{
    return _mm256_packus_epi32(lo, hi);
}

/* (sum + round) >> shift as 16 columns of 16 bits. */
static inline __m256i shifted(Sums sums, uint32_t round, __m128i shift)
{
    sums = add_all(sums, _mm256_set1_epi32((int32_t)round));
    return packed(_mm256_srl_epi32(sums.lo, shift), _mm256_srl_epi32(sums.hi, shift));
}

static inline void put_halves(const VmafxVifMoments *ret, int which, int x, Sums e)
{
    __m256i low = _mm256_set1_epi32(0xffff);

    put(ret->row[which] + x, packed(_mm256_and_si256(e.lo, low), _mm256_and_si256(e.hi, low)));
    put(ret->row[which + 1] + x, packed(_mm256_srli_epi32(e.lo, 16), _mm256_srli_epi32(e.hi, 16)));
}

/* ---- Vertical, 8 bits ---- */

static inline __m256i bytes_minus_128(const uint8_t *p)
{
    return _mm256_sub_epi16(_mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)p)), _mm256_set1_epi16(128));
}

/*
 * With r' = r − 128 and d' = d − 128, whose products fit 16 signed bits:
 *     Σ f·r  = Σ f·r'  + 2^7·2^16
 *     Σ f·r² = Σ f·r'² + 2^8 Σ f·r' + 2^14·2^16          Σ f·r·d = Σ f·r'd' + 2^7 (Σ f·r' + Σ f·d') + 2^14·2^16
 */
static inline void vert8_block(const uint8_t *const *ref, const uint8_t *const *dis, const VmafxVifFilter *filter,
                               const Pairs *pairs, int x, const VmafxVifMoments *ret)
{
    Sums m1 = { _mm256_setzero_si256(), _mm256_setzero_si256() }, m2 = m1, rr = m1, dd = m1, rd = m1;
    const __m256i square = _mm256_set1_epi32(1 << 30);
    const __m128i eight = _mm_cvtsi32_si128(8);

    for (int p = 0; p < pairs->n; p++) {
        int k = pairs->first[p], next = k + 1 < filter->n ? k + 1 : k; /* its tap is 0 then */
        __m256i r0 = bytes_minus_128(ref[k] + x), r1 = bytes_minus_128(ref[next] + x);
        __m256i d0 = bytes_minus_128(dis[k] + x), d1 = bytes_minus_128(dis[next] + x);
        __m256i taps = pairs->taps[p];

        m1 = add_pair(m1, r0, r1, taps);
        m2 = add_pair(m2, d0, d1, taps);
        rr = add_pair(rr, _mm256_mullo_epi16(r0, r0), _mm256_mullo_epi16(r1, r1), taps);
        dd = add_pair(dd, _mm256_mullo_epi16(d0, d0), _mm256_mullo_epi16(d1, d1), taps);
        rd = add_pair(rd, _mm256_mullo_epi16(r0, d0), _mm256_mullo_epi16(r1, d1), taps);
    }
    put(ret->row[VMAFX_VIF_M1] + x, shifted(m1, (1u << 23) + 128, eight));
    put(ret->row[VMAFX_VIF_M2] + x, shifted(m2, (1u << 23) + 128, eight));
    put_halves(ret, VMAFX_VIF_E11_LO, x, add_all(add_scaled(rr, m1, 8), square));
    put_halves(ret, VMAFX_VIF_E22_LO, x, add_all(add_scaled(dd, m2, 8), square));
    put_halves(ret, VMAFX_VIF_E12_LO, x, add_all(add_scaled(add_scaled(rd, m1, 7), m2, 7), square));
}

static void vert8_avx2(const uint8_t *const *ref, const uint8_t *const *dis, const VmafxVifFilter *filter, int w,
                       int n_rows, const VmafxVifMoments *ret)
{
    Pairs pairs = pairs_of(filter);

    if (w < BLOCK) {
        vmafx_vif_kernels_c.vert8(ref, dis, filter, w, n_rows, ret);
        return;
    }
    for (int i = 0; i < n_rows; i++)
        for (int at = 0; at < w; at += BLOCK)
            vert8_block(ref + i, dis + i, filter, &pairs, at + BLOCK <= w ? at : w - BLOCK, &ret[i]);
}

/* ---- Vertical, 16 bits ---- */

/* 64-bit sums of 8 columns: the even ones and the odd ones. */
typedef struct Sums64 {
    __m256i even, odd;
} Sums64;

static inline Sums64 add_products(Sums64 sums, __m256i a, __m256i b)
{
    sums.even = _mm256_add_epi64(sums.even, _mm256_mul_epu32(a, b));
    sums.odd = _mm256_add_epi64(sums.odd, _mm256_mul_epu32(_mm256_srli_epi64(a, 32), _mm256_srli_epi64(b, 32)));
    return sums;
}

static inline __m256i rounded64(Sums64 sums, __m256i round, __m128i shift)
{
    __m256i even = _mm256_srl_epi64(_mm256_add_epi64(sums.even, round), shift);
    __m256i odd = _mm256_srl_epi64(_mm256_add_epi64(sums.odd, round), shift);

    return _mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xaa);
}

static inline __m256i words(const uint16_t *p)
{
    return _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)p));
}

typedef struct SquareRounding {
    __m256i round;
    __m128i shift;
} SquareRounding;

/* Second moments of 8 columns, as 32-bit values in order. */
static inline void squares8(const uint16_t *const *ref, const uint16_t *const *dis, const VmafxVifFilter *filter, int x,
                            const SquareRounding *rounding, __m256i ret[3])
{
    Sums64 rr = { _mm256_setzero_si256(), _mm256_setzero_si256() }, dd = rr, rd = rr;

    for (int k = 0; k < filter->n; k++) {
        __m256i f = _mm256_set1_epi32(filter->taps[k]), r = words(ref[k] + x), d = words(dis[k] + x);
        __m256i fr = _mm256_mullo_epi32(f, r), fd = _mm256_mullo_epi32(f, d);

        rr = add_products(rr, fr, r);
        dd = add_products(dd, fd, d);
        rd = add_products(rd, fr, d);
    }
    ret[0] = rounded64(rr, rounding->round, rounding->shift);
    ret[1] = rounded64(dd, rounding->round, rounding->shift);
    ret[2] = rounded64(rd, rounding->round, rounding->shift);
}

static inline __m256i signed_words(const uint16_t *p)
{
    return _mm256_xor_si256(load(p), _mm256_set1_epi16((int16_t)0x8000));
}

/* Σ f·v + 2^31 of 16 columns of one picture. */
static inline Sums filtered_words(const uint16_t *const *rows, const VmafxVifFilter *filter, const Pairs *pairs, int x)
{
    Sums sums = { _mm256_set1_epi32((int32_t)0x80000000u), _mm256_set1_epi32((int32_t)0x80000000u) };

    for (int p = 0; p < pairs->n; p++) {
        int k = pairs->first[p], next = k + 1 < filter->n ? k + 1 : k;
        sums = add_pair(sums, signed_words(rows[k] + x), signed_words(rows[next] + x), pairs->taps[p]);
    }
    return sums;
}

static inline void vert16_block(const uint16_t *const *ref, const uint16_t *const *dis, const VmafxVifFilter *filter,
                                const Pairs *pairs, int mean_shift, const SquareRounding *rounding, int x,
                                const VmafxVifMoments *ret)
{
    const __m256i low = _mm256_set1_epi32(0xffff);
    const __m128i shift = _mm_cvtsi32_si128(mean_shift);
    uint32_t round = 1u << (mean_shift - 1);
    __m256i first[3], second[3];

    put(ret->row[VMAFX_VIF_M1] + x, shifted(filtered_words(ref, filter, pairs, x), round, shift));
    put(ret->row[VMAFX_VIF_M2] + x, shifted(filtered_words(dis, filter, pairs, x), round, shift));
    squares8(ref, dis, filter, x, rounding, first);
    squares8(ref, dis, filter, x + 8, rounding, second);
    for (int i = 0; i < 3; i++) {
        __m256i lo = packed(_mm256_and_si256(first[i], low), _mm256_and_si256(second[i], low));
        __m256i hi = packed(_mm256_srli_epi32(first[i], 16), _mm256_srli_epi32(second[i], 16));

        put(ret->row[VMAFX_VIF_E11_LO + 2 * i] + x, _mm256_permute4x64_epi64(lo, 0xd8));
        put(ret->row[VMAFX_VIF_E11_HI + 2 * i] + x, _mm256_permute4x64_epi64(hi, 0xd8));
    }
}

static void vert16_avx2(const uint16_t *const *ref, const uint16_t *const *dis, const VmafxVifFilter *filter,
                        int mean_shift, int square_shift, int w, int n_rows, const VmafxVifMoments *ret)
{
    Pairs pairs = pairs_of(filter);
    SquareRounding rounding = { _mm256_set1_epi64x(square_shift ? 1ll << (square_shift - 1) : 0),
                                _mm_cvtsi32_si128(square_shift) };

    if (w < BLOCK) {
        vmafx_vif_kernels_c.vert16(ref, dis, filter, mean_shift, square_shift, w, n_rows, ret);
        return;
    }
    for (int i = 0; i < n_rows; i++)
        for (int at = 0; at < w; at += BLOCK)
            vert16_block(ref + i, dis + i, filter, &pairs, mean_shift, &rounding, at + BLOCK <= w ? at : w - BLOCK,
                         &ret[i]);
}

/* ---- Horizontal ---- */

/* Σ f·v + 2^31 at columns x, x + 2, … x + 14: a load of 16-bit samples is a row of pairs already. */
static inline __m256i filtered_columns(const uint16_t *row, const VmafxVifFilter *filter, const Pairs *pairs,
                                       ptrdiff_t x)
{
    __m256i sum = _mm256_set1_epi32((int32_t)0x80000000u);

    for (int p = 0; p < pairs->n; p++)
        sum = _mm256_add_epi32(
            sum, _mm256_madd_epi16(signed_words(row + x + pairs->first[p] - filter->n / 2), pairs->taps[p]));
    return sum;
}

/* (a·b + 2^31) >> 32 of 8 unsigned pairs. */
static inline __m256i product_high(__m256i a, __m256i b)
{
    const __m256i half = _mm256_set1_epi64x(1ll << 31);
    __m256i even = _mm256_add_epi64(_mm256_mul_epu32(a, b), half);
    __m256i odd = _mm256_add_epi64(_mm256_mul_epu32(_mm256_srli_epi64(a, 32), _mm256_srli_epi64(b, 32)), half);

    return _mm256_blend_epi32(_mm256_srli_epi64(even, 32), odd, 0xaa);
}

/* The three central moments of 8 columns two apart. With e = 2^16·h + l: (Σ f·e + 2^15) >> 16 is
   Σ f·h + ((Σ f·l + 2^15) >> 16), and both sums fit 32 bits. */
static inline void central8(const VmafxVifMoments *in, const VmafxVifFilter *filter, const Pairs *pairs, int x,
                            __m256i ret[3])
{
    __m256i m1 = filtered_columns(in->row[VMAFX_VIF_M1], filter, pairs, x);
    __m256i m2 = filtered_columns(in->row[VMAFX_VIF_M2], filter, pairs, x);
    __m256i product[3] = { product_high(m1, m1), product_high(m2, m2), product_high(m1, m2) };

    for (int i = 0; i < 3; i++) {
        __m256i lo = filtered_columns(in->row[VMAFX_VIF_E11_LO + 2 * i], filter, pairs, x);
        __m256i hi = filtered_columns(in->row[VMAFX_VIF_E11_HI + 2 * i], filter, pairs, x);

        lo = _mm256_srli_epi32(_mm256_add_epi32(lo, _mm256_set1_epi32(32768)), 16);
        ret[i] = _mm256_sub_epi32(_mm256_add_epi32(hi, lo), product[i]);
    }
}

static inline void put_interleaved(int32_t *p, __m256i even, __m256i odd)
{
    __m256i lo = _mm256_unpacklo_epi32(even, odd), hi = _mm256_unpackhi_epi32(even, odd);

    put(p, _mm256_permute2x128_si256(lo, hi, 0x20));
    put(p + 8, _mm256_permute2x128_si256(lo, hi, 0x31));
}

static inline void horz_block(const VmafxVifMoments *in, const VmafxVifFilter *filter, const Pairs *pairs, int x,
                              int32_t *const ret[3])
{
    __m256i even[3], odd[3];

    central8(in, filter, pairs, x, even);
    central8(in, filter, pairs, x + 1, odd);
    for (int i = 0; i < 3; i++)
        put_interleaved(ret[i] + x, even[i], odd[i]);
}

static void horz_avx2(const VmafxVifMoments *in, const VmafxVifFilter *filter, int w, int32_t *ret_s1, int32_t *ret_s2,
                      int32_t *ret_s12)
{
    Pairs pairs = pairs_of(filter);
    int32_t *const ret[3] = { ret_s1, ret_s2, ret_s12 };

    if (w < BLOCK) {
        vmafx_vif_kernels_c.horz(in, filter, w, ret_s1, ret_s2, ret_s12);
        return;
    }
    for (int x = 0; x + BLOCK <= w; x += BLOCK)
        horz_block(in, filter, &pairs, x, ret);
    if (w % BLOCK)
        horz_block(in, filter, &pairs, w - BLOCK, ret);
}

/* ---- Score ---- */

/*
 * 2048·log2 of integers below 2^52 held as binary64: the first 15 bits of the mantissa index the table, the exponent
 * counts the powers of two.
 */
static inline __m256i log2_fixed(const uint16_t *table, __m256d v)
{
    __m256i bits = _mm256_castpd_si256(v);
    __m256i index = _mm256_and_si256(_mm256_srli_epi64(bits, 37), _mm256_set1_epi64x(32767));
    __m256i exponent = _mm256_sub_epi64(_mm256_srli_epi64(bits, 52), _mm256_set1_epi64x(1023 + 15));
    __m256i entry = _mm256_i64gather_epi64((const long long *)(const void *)table, index, 2);

    return _mm256_add_epi64(_mm256_and_si256(entry, _mm256_set1_epi64x(0xffff)), _mm256_slli_epi64(exponent, 11));
}

static inline __m256i wide_mask(__m128i mask)
{
    return _mm256_cvtepi32_epi64(mask);
}

static int64_t horizontal_sum(__m256i v)
{
    int64_t lanes[4];

    put(lanes, v);
    return lanes[0] + lanes[1] + lanes[2] + lanes[3];
}

typedef struct RowSums {
    __m256i denlog, nonlog, cnt;
} RowSums;

static inline void score_block(const int32_t *s1_row, const int32_t *s2_row, const int32_t *s12_row,
                               const uint16_t *table, const double *limits, int n_limits, RowSums *sums,
                               __m256i *numlog)
{
    const __m128i nsq = _mm_set1_epi32(VMAFX_VIF_NSQ), zero = _mm_setzero_si128();
    const __m256d nsq_d = _mm256_set1_pd(VMAFX_VIF_NSQ);
    __m128i s1 = _mm_loadu_si128((const __m128i *)s1_row), s12 = _mm_loadu_si128((const __m128i *)s12_row);
    __m128i s2 = _mm_max_epi32(_mm_loadu_si128((const __m128i *)s2_row), zero);
    __m128i flat = _mm_cmplt_epi32(s1, nsq);
    __m256i flat_wide = wide_mask(flat);
    __m256d s1_d = _mm256_cvtepi32_pd(s1);

    sums->nonlog = _mm256_add_epi64(sums->nonlog, _mm256_cvtepu32_epi64(_mm_and_si128(s2, flat)));
    sums->cnt = _mm256_sub_epi64(sums->cnt, flat_wide);
    __m256i den = _mm256_sub_epi64(log2_fixed(table, _mm256_add_pd(nsq_d, s1_d)), _mm256_set1_epi64x(17 * 2048));
    sums->denlog = _mm256_add_epi64(sums->denlog, _mm256_andnot_si256(flat_wide, den));

    __m128i active = _mm_andnot_si128(flat, _mm_and_si128(_mm_cmpgt_epi32(s12, zero), _mm_cmpgt_epi32(s2, zero)));
    if (_mm_testz_si128(active, active))
        return;
    __m256i active_wide = wide_mask(active);
    __m256d s12_d = _mm256_cvtepi32_pd(s12), s2_d = _mm256_cvtepi32_pd(s2);
    __m256d gain = _mm256_div_pd(s12_d, _mm256_add_pd(s1_d, _mm256_set1_pd(65536 * 1e-10)));
    __m256d noise = _mm256_max_pd(_mm256_sub_pd(s2_d, _mm256_mul_pd(gain, s12_d)), _mm256_setzero_pd());

    noise = _mm256_add_pd(_mm256_round_pd(noise, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC), nsq_d);
    __m256i log_noise = log2_fixed(table, noise);
    for (int i = 0; i < n_limits; i++) {
        __m256d g = _mm256_min_pd(gain, _mm256_set1_pd(limits[i]));
        __m256d signal = _mm256_mul_pd(_mm256_mul_pd(g, g), s1_d);

        signal = _mm256_add_pd(noise, _mm256_round_pd(signal, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC));
        __m256i difference = _mm256_sub_epi64(log2_fixed(table, signal), log_noise);
        numlog[i] = _mm256_add_epi64(numlog[i], _mm256_and_si256(active_wide, difference));
    }
}

#define LIMITS_MAX 8 /* more at a time are left to the C kernel */

static void score_avx2(const int32_t *s1, const int32_t *s2, const int32_t *s12, int w, const uint16_t *log2_table,
                       const double *limits, int n_limits, VmafxVifSums *sums, int64_t *numlog)
{
    RowSums row = { _mm256_setzero_si256(), _mm256_setzero_si256(), _mm256_setzero_si256() };
    __m256i num[LIMITS_MAX];
    int x = 0;

    if (n_limits > LIMITS_MAX) {
        vmafx_vif_kernels_c.score(s1, s2, s12, w, log2_table, limits, n_limits, sums, numlog);
        return;
    }
    for (int i = 0; i < n_limits; i++)
        num[i] = _mm256_setzero_si256();
    for (; x + 4 <= w; x += 4)
        score_block(s1 + x, s2 + x, s12 + x, log2_table, limits, n_limits, &row, num);
    sums->denlog += horizontal_sum(row.denlog);
    sums->nonlog += horizontal_sum(row.nonlog);
    sums->cnt += horizontal_sum(row.cnt);
    for (int i = 0; i < n_limits; i++)
        numlog[i] += horizontal_sum(num[i]);
    if (x < w)
        vmafx_vif_kernels_c.score(s1 + x, s2 + x, s12 + x, w - x, log2_table, limits, n_limits, sums, numlog);
}

VMAFX_VIF_MEASURE(measure_avx2, horz_avx2, score_avx2)

/* ---- The step to the next scale ---- */

static void down_vert8_avx2(const uint8_t *const *rows, const VmafxVifFilter *filter, int w, uint16_t *ret)
{
    Pairs pairs = pairs_of(filter);
    const __m128i eight = _mm_cvtsi32_si128(8);

    if (w < BLOCK) {
        vmafx_vif_kernels_c.down_vert8(rows, filter, w, ret);
        return;
    }
    for (int at = 0; at < w; at += BLOCK) {
        int x = at + BLOCK <= w ? at : w - BLOCK;
        Sums sums = { _mm256_setzero_si256(), _mm256_setzero_si256() };

        for (int p = 0; p < pairs.n; p++) {
            int k = pairs.first[p], next = k + 1 < filter->n ? k + 1 : k;
            sums = add_pair(sums, bytes_minus_128(rows[k] + x), bytes_minus_128(rows[next] + x), pairs.taps[p]);
        }
        put(ret + x, shifted(sums, (1u << 23) + 128, eight));
    }
}

static void down_vert16_avx2(const uint16_t *const *rows, const VmafxVifFilter *filter, int shift, int w, uint16_t *ret)
{
    Pairs pairs = pairs_of(filter);
    const __m128i count = _mm_cvtsi32_si128(shift);

    if (w < BLOCK) {
        vmafx_vif_kernels_c.down_vert16(rows, filter, shift, w, ret);
        return;
    }
    for (int at = 0; at < w; at += BLOCK) {
        int x = at + BLOCK <= w ? at : w - BLOCK;
        put(ret + x, shifted(filtered_words(rows, filter, &pairs, x), 1u << (shift - 1), count));
    }
}

static void down_horz_avx2(const uint16_t *row, const VmafxVifFilter *filter, int w_out, uint16_t *ret)
{
    Pairs pairs = pairs_of(filter);
    const __m256i round = _mm256_set1_epi32(32768);

    if (w_out < BLOCK) {
        vmafx_vif_kernels_c.down_horz(row, filter, w_out, ret);
        return;
    }
    for (int at = 0; at < w_out; at += BLOCK) {
        int x = at + BLOCK <= w_out ? at : w_out - BLOCK;
        __m256i first = filtered_columns(row, filter, &pairs, 2 * (ptrdiff_t)x);
        __m256i second = filtered_columns(row, filter, &pairs, 2 * (ptrdiff_t)x + 16);

        first = _mm256_srli_epi32(_mm256_add_epi32(first, round), 16);
        second = _mm256_srli_epi32(_mm256_add_epi32(second, round), 16);
        put(ret + x, _mm256_permute4x64_epi64(packed(first, second), 0xd8));
    }
}

void vmafx_vif_kernels_init_avx2(VmafxVifKernels *k)
{
    *k = (VmafxVifKernels){
        .vert8 = vert8_avx2,
        .vert16 = vert16_avx2,
        .horz = horz_avx2,
        .score = score_avx2,
        .measure = measure_avx2,
        .down_vert8 = down_vert8_avx2,
        .down_vert16 = down_vert16_avx2,
        .down_horz = down_horz_avx2,
    };
}

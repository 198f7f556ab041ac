/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * VIF from rows of moments to sums with AVX-512, equal to the C kernels to the bit: horizontal filters, central
 * moments, gain, logarithms. Even and odd columns stay apart, 16 of each; the sums do not mind.
 */

#include "engine/kernels/x86/x86.h"

#include <stddef.h>

#include "base/base.h"
#include "engine/kernels/x86/vif_avx512.h"

#define BLOCK   32
#define TO_ZERO (_MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC)

/* ---- Horizontal ---- */

/* 32 columns: the even ones and the odd ones. */
typedef struct Columns {
    __m512i even, odd;
} Columns;

VMAFX_UNROLLED Columns add_pairs(Columns sum, __m512i v, const VifTaps *taps, int p)
{
    return (Columns){ dot(sum.even, v, taps->first[p]), dot(sum.odd, v, taps->second[p]) };
}

/* Pair p is that of 64 samples, v and next; p is an immediate of the instruction. */
#define ADD_PAIR(p)                                                                                                    \
    if ((p) < n_pairs(n_taps))                                                                                         \
    sum = add_pairs(sum, _mm512_alignr_epi32(next, v, p), taps, p)

VMAFX_UNROLLED Columns filtered_columns(const uint16_t *row, const VifTaps *taps, ptrdiff_t x, int n_taps)
{
    const uint16_t *from = row + x - n_taps / 2;
    Columns sum = { _mm512_set1_epi32(SIGNED_BIAS), _mm512_set1_epi32(SIGNED_BIAS) };
    __m512i v = signed_words(from), next = signed_words(from + BLOCK);

    if (n_taps == 3) { /* its pairs overlap */
        sum = add_pairs(sum, v, taps, 0);
        sum = add_pairs(sum, signed_words(from + 1), taps, 1);
        return add_pairs(sum, _mm512_alignr_epi32(next, v, 1), taps, 2);
    }
    ADD_PAIR(0);
    ADD_PAIR(1);
    ADD_PAIR(2);
    ADD_PAIR(3);
    ADD_PAIR(4);
    ADD_PAIR(5);
    ADD_PAIR(6);
    ADD_PAIR(7);
    ADD_PAIR(8);
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

/* With e = 2^16·h + l: (Σ f·e + 2^15) >> 16 is Σ f·h + ((Σ f·l + 2^15) >> 16), and both sums fit 32 bits. */
static inline __m512i central(__m512i h, __m512i l, __m512i m1, __m512i m2)
{
    l = _mm512_srli_epi32(_mm512_add_epi32(l, _mm512_set1_epi32(32768)), 16);
    return _mm512_sub_epi32(_mm512_add_epi32(h, l), product_high(m1, m2));
}

VMAFX_UNROLLED void central_moments(const VmafxVifMoments *in, const VifTaps *taps, ptrdiff_t x, Columns ret[3],
                                    int n_taps)
{
    Columns m1 = filtered_columns(in->row[VMAFX_VIF_M1], taps, x, n_taps);
    Columns m2 = filtered_columns(in->row[VMAFX_VIF_M2], taps, x, n_taps);

    for (int i = 0; i < 3; i++) {
        Columns l = filtered_columns(in->row[VMAFX_VIF_E11_LO + 2 * i], taps, x, n_taps);
        Columns h = filtered_columns(in->row[VMAFX_VIF_E11_HI + 2 * i], taps, x, n_taps);
        Columns a = i == 1 ? m2 : m1, b = i == 0 ? m1 : m2;

        ret[i] = (Columns){ central(h.even, l.even, a.even, b.even), central(h.odd, l.odd, a.odd, b.odd) };
    }
}

static inline void put_interleaved(int32_t *p, Columns v)
{
    const __m512i first = _mm512_set_epi64(11, 10, 3, 2, 9, 8, 1, 0),
                  second = _mm512_set_epi64(15, 14, 7, 6, 13, 12, 5, 4);
    __m512i lo = _mm512_unpacklo_epi32(v.even, v.odd), hi = _mm512_unpackhi_epi32(v.even, v.odd);

    put512(p, _mm512_permutex2var_epi64(lo, first, hi));
    put512(p + 16, _mm512_permutex2var_epi64(lo, second, hi));
}

VMAFX_UNROLLED void horz_row(const VmafxVifMoments *in, const VifTaps *taps, int w, int32_t *const ret[3], int n_taps)
{
    for (int at = 0; at < w; at += BLOCK) {
        int x = at + BLOCK <= w ? at : w - BLOCK;
        Columns s[3];

        central_moments(in, taps, x, s, n_taps);
        for (int i = 0; i < 3; i++)
            put_interleaved(ret[i] + x, s[i]);
    }
}

static void horz_avx512(const VmafxVifMoments *in, const VmafxVifFilter *filter, int w, int32_t *ret_s1,
                        int32_t *ret_s2, int32_t *ret_s12)
{
    VifTaps taps = vif_taps(filter);
    int32_t *const ret[3] = { ret_s1, ret_s2, ret_s12 };

    if (w < BLOCK)
        vmafx_vif_kernels_c.horz(in, filter, w, ret_s1, ret_s2, ret_s12);
    else
        WITH_TAPS(filter->n, horz_row, in, &taps, w, ret);
}

/* ---- Score ---- */

/*
 * The table of logarithms without the table: T[i] − T[32768] is floor(2048·log2(i / 2^15) + 1/2 + 2^−10), where the
 * last term stands for the table's step over binary32. i / 2^15 in 1 … 2 is brought near 1 by one of 32 factors f of
 * eight bits; 2048·log2 of the quotient r + 1 is a polynomial in r, which binary32 holds exactly. Numbers have 20
 * fraction bits. tests/unit/test_kernels.c compares all 32768 values.
 */
static const float log2_factors[32] = {
    0x1.f8p-1, 0x1.eap-1, 0x1.dap-1, 0x1.cep-1, 0x1.c0p-1, 0x1.b4p-1, 0x1.aap-1, 0x1.9ep-1,
    0x1.94p-1, 0x1.8ap-1, 0x1.82p-1, 0x1.78p-1, 0x1.70p-1, 0x1.68p-1, 0x1.60p-1, 0x1.58p-1,
    0x1.52p-1, 0x1.4ap-1, 0x1.44p-1, 0x1.3ep-1, 0x1.38p-1, 0x1.32p-1, 0x1.2cp-1, 0x1.28p-1,
    0x1.22p-1, 0x1.1cp-1, 0x1.18p-1, 0x1.14p-1, 0x1.0ep-1, 0x1.0ap-1, 0x1.06p-1, 0x1.02p-1,
};

/* round(2^20·(−2048·log2(f) + 1/2 + 2^−10)) */
static const uint32_t log2_bases[32] = {
    0x02f081d1, 0x0824437e, 0x0e45ad46, 0x1301e72d, 0x18b09c0b, 0x1db426d4, 0x21fd0d01, 0x2743d5c3,
    0x2bc7bde4, 0x30689f22, 0x34326228, 0x390b3f86, 0x3d03effd, 0x4112f92e, 0x45395c40, 0x49782c12,
    0x4cb7ff8e, 0x51245e8b, 0x5487cf8c, 0x57fb778a, 0x5b7ff4aa, 0x5f15ee49, 0x62be15b4, 0x6538a5d2,
    0x6900c12b, 0x6cdd1a1e, 0x6f7bab73, 0x7223e2e0, 0x7632ec11, 0x78f48552, 0x7bc0cf8b, 0x7e981ef5,
};

/* Of the polynomial, from r to r^4: 2^31 / ln 2 · (1, −1/2, 1/3, −1/4), adjusted to the range of r. */
static const float log2_terms[4] = { 0x1.715476p+31f, -0x1.715478p+30f, 0x1.ec8a98p+29f, -0x1.712748p+29f };

/*
 * 2048·log2 of 32 integers, each given by the high half of it as binary64: of those 32 bits eleven are the exponent, 20
 * the first of the fraction. Two vectors of the same, so that what is done to one does not wait for the other.
 * L is this less a constant, the same for all.
 */
static inline Columns log2_fixed(Columns high)
{
    __m512i v[2] = { high.even, high.odd }, base[2];
    __m512 r[2], p[2];

    for (int i = 0; i < 2; i++) {
        __m512i which = _mm512_srli_epi32(v[i], 15); /* five bits of it count */
        __m512 factor =
            _mm512_permutex2var_ps(_mm512_loadu_ps(log2_factors), which, _mm512_loadu_ps(log2_factors + 16));
        __m512i mantissa = _mm512_ternarylogic_epi32(_mm512_slli_epi32(v[i], 3), _mm512_set1_epi32(0x007fff00),
                                                     _mm512_set1_epi32(0x3f800000), 0xea); /* and, or */
        base[i] = _mm512_permutex2var_epi32(_mm512_loadu_si512(log2_bases), which, _mm512_loadu_si512(log2_bases + 16));
        r[i] = _mm512_fmsub_ps(_mm512_castsi512_ps(mantissa), factor, _mm512_set1_ps(1));
    }
    for (int i = 0; i < 2; i++)
        p[i] = _mm512_fmadd_ps(r[i], _mm512_set1_ps(log2_terms[3]), _mm512_set1_ps(log2_terms[2]));
    for (int i = 0; i < 2; i++)
        p[i] = _mm512_fmadd_ps(r[i], p[i], _mm512_set1_ps(log2_terms[1]));
    for (int i = 0; i < 2; i++)
        p[i] = _mm512_fmadd_ps(r[i], p[i], _mm512_set1_ps(log2_terms[0]));
    for (int i = 0; i < 2; i++) {
        __m512i fraction = _mm512_add_epi32(base[i], _mm512_cvtps_epi32(_mm512_mul_ps(r[i], p[i])));
        __m512i exponent = _mm512_and_si512(_mm512_srli_epi32(v[i], 9), _mm512_set1_epi32(~2047));
        v[i] = _mm512_add_epi32(_mm512_srli_epi32(fraction, 20), exponent);
    }
    return (Columns){ v[0], v[1] };
}

#define LOG2_OF_NSQ (2048 * (1023 + 17)) /* as log2_fixed has it */

/* 32 columns as binary64, eight at a time, in the order in which unpacking leaves them. */
typedef struct Doubles {
    __m512d v[4];
} Doubles;

/* Of numbers that are not negative; a negative one becomes another number. As the low half of 2^52 + v. */
static inline Doubles doubles(Columns c)
{
    const __m512i top = _mm512_set1_epi32(0x43300000);
    const __m512d offset = _mm512_set1_pd(0x1p52);

    return (Doubles){ { _mm512_sub_pd(_mm512_castsi512_pd(_mm512_unpacklo_epi32(c.even, top)), offset),
                        _mm512_sub_pd(_mm512_castsi512_pd(_mm512_unpackhi_epi32(c.even, top)), offset),
                        _mm512_sub_pd(_mm512_castsi512_pd(_mm512_unpacklo_epi32(c.odd, top)), offset),
                        _mm512_sub_pd(_mm512_castsi512_pd(_mm512_unpackhi_epi32(c.odd, top)), offset) } };
}

/* The high halves, in the order of columns. */
static inline Columns high_halves(Doubles d)
{
    __m512 even = _mm512_shuffle_ps(_mm512_castpd_ps(d.v[0]), _mm512_castpd_ps(d.v[1]), 0xdd);
    __m512 odd = _mm512_shuffle_ps(_mm512_castpd_ps(d.v[2]), _mm512_castpd_ps(d.v[3]), 0xdd);

    return (Columns){ _mm512_castps_si512(even), _mm512_castps_si512(odd) };
}

/* Sums of a row. Those of logarithms fit 32 bits: a lane takes at most 2^12 of them, each below 2^17. */
typedef struct RowSums {
    __m512i denlog, nonlog;
    int64_t cnt;
} RowSums;

static inline void add_flat(RowSums *sums, __m512i s2, __mmask16 flat)
{
    __m512i non = _mm512_maskz_mov_epi32(flat, s2);

    sums->nonlog = _mm512_add_epi64(sums->nonlog, _mm512_cvtepu32_epi64(_mm512_castsi512_si256(non)));
    sums->nonlog = _mm512_add_epi64(sums->nonlog, _mm512_cvtepu32_epi64(_mm512_extracti64x4_epi64(non, 1)));
    sums->cnt += __builtin_popcount(flat);
}

typedef struct Masks {
    __mmask16 even, odd;
} Masks;

/* Those of 32 columns that `columns` names. */
static inline void score_columns(Columns s1, Columns s2, Columns s12, Masks columns, const double *limits, int n_limits,
                                 RowSums *sums, __m512i *numlog)
{
    const __m512i zero = _mm512_setzero_si512(), nsq = _mm512_set1_epi32(VMAFX_VIF_NSQ),
                  of_nsq = _mm512_set1_epi32(LOG2_OF_NSQ);
    Masks flat = { _mm512_mask_cmplt_epi32_mask(columns.even, s1.even, nsq),
                   _mm512_mask_cmplt_epi32_mask(columns.odd, s1.odd, nsq) };
    Masks textured = { (__mmask16)(columns.even & ~flat.even), (__mmask16)(columns.odd & ~flat.odd) };

    s2 = (Columns){ _mm512_max_epi32(s2.even, zero), _mm512_max_epi32(s2.odd, zero) };
    if (flat.even | flat.odd) {
        add_flat(sums, s2.even, flat.even);
        add_flat(sums, s2.odd, flat.odd);
        if (!(textured.even | textured.odd))
            return;
    }

    Doubles s1_d = doubles(s1), s12_d = doubles(s12), gain, noise, s2_d = doubles(s2);
    for (int i = 0; i < 4; i++)
        gain.v[i] = _mm512_div_pd(s12_d.v[i], _mm512_add_pd(s1_d.v[i], _mm512_set1_pd(65536 * 1e-10)));

    Doubles variance;
    for (int i = 0; i < 4; i++)
        variance.v[i] = _mm512_add_pd(s1_d.v[i], _mm512_set1_pd(VMAFX_VIF_NSQ));
    Columns den = log2_fixed(high_halves(variance));
    sums->denlog = _mm512_mask_add_epi32(sums->denlog, textured.even, sums->denlog, _mm512_sub_epi32(den.even, of_nsq));
    sums->denlog = _mm512_mask_add_epi32(sums->denlog, textured.odd, sums->denlog, _mm512_sub_epi32(den.odd, of_nsq));

    Masks active = {
        _mm512_mask_cmpgt_epi32_mask(_mm512_mask_cmpgt_epi32_mask(textured.even, s12.even, zero), s2.even, zero),
        _mm512_mask_cmpgt_epi32_mask(_mm512_mask_cmpgt_epi32_mask(textured.odd, s12.odd, zero), s2.odd, zero)
    };
    for (int i = 0; i < 4; i++) {
        noise.v[i] = _mm512_max_pd(_mm512_sub_pd(s2_d.v[i], _mm512_mul_pd(gain.v[i], s12_d.v[i])), _mm512_setzero_pd());
        noise.v[i] = _mm512_add_pd(_mm512_roundscale_pd(noise.v[i], TO_ZERO), _mm512_set1_pd(VMAFX_VIF_NSQ));
    }
    Columns log_noise = log2_fixed(high_halves(noise));

    for (int i = 0; i < n_limits; i++) {
        Doubles signal;

        /* Only the first 16 bits will count: rounding down once is as good as before the sum. */
        for (int j = 0; j < 4; j++) {
            __m512d g = _mm512_min_pd(gain.v[j], _mm512_set1_pd(limits[i]));
            signal.v[j] = _mm512_add_round_pd(noise.v[j], _mm512_mul_pd(_mm512_mul_pd(g, g), s1_d.v[j]), TO_ZERO);
        }
        Columns log_signal = log2_fixed(high_halves(signal));
        numlog[i] =
            _mm512_mask_add_epi32(numlog[i], active.even, numlog[i], _mm512_sub_epi32(log_signal.even, log_noise.even));
        numlog[i] =
            _mm512_mask_add_epi32(numlog[i], active.odd, numlog[i], _mm512_sub_epi32(log_signal.odd, log_noise.odd));
    }
}

#define LIMITS_MAX 8 /* more at a time are left to the C kernel */

static inline RowSums row_sums_start(__m512i numlog[LIMITS_MAX], int n_limits)
{
    for (int i = 0; i < n_limits; i++)
        numlog[i] = _mm512_setzero_si512();
    return (RowSums){ _mm512_setzero_si512(), _mm512_setzero_si512(), 0 };
}

static inline int64_t total_i32(__m512i v)
{
    __m512i low = _mm512_cvtepi32_epi64(_mm512_castsi512_si256(v));

    return _mm512_reduce_add_epi64(_mm512_add_epi64(low, _mm512_cvtepi32_epi64(_mm512_extracti64x4_epi64(v, 1))));
}

static inline void row_sums_add(const RowSums *row, const __m512i *row_numlog, int n_limits, VmafxVifSums *sums,
                                int64_t *numlog)
{
    sums->denlog += total_i32(row->denlog);
    sums->nonlog += _mm512_reduce_add_epi64(row->nonlog);
    sums->cnt += row->cnt;
    for (int i = 0; i < n_limits; i++)
        numlog[i] += total_i32(row_numlog[i]);
}

static inline Columns masked_columns(const int32_t *p, uint32_t columns)
{
    return (Columns){ _mm512_maskz_loadu_epi32((__mmask16)columns, p),
                      _mm512_maskz_loadu_epi32((__mmask16)(columns >> 16), p + 16) };
}

static void score_avx512(const int32_t *s1, const int32_t *s2, const int32_t *s12, int w, const uint16_t *log2_table,
                         const double *limits, int n_limits, VmafxVifSums *sums, int64_t *numlog)
{
    __m512i row_numlog[LIMITS_MAX];

    if (n_limits > LIMITS_MAX) {
        vmafx_vif_kernels_c.score(s1, s2, s12, w, log2_table, limits, n_limits, sums, numlog);
        return;
    }
    RowSums row = row_sums_start(row_numlog, n_limits);
    for (int x = 0; x < w; x += BLOCK) {
        uint32_t columns = w - x >= BLOCK ? 0xffffffff : (1u << (w - x)) - 1;

        score_columns(masked_columns(s1 + x, columns), masked_columns(s2 + x, columns),
                      masked_columns(s12 + x, columns), (Masks){ (__mmask16)columns, (__mmask16)(columns >> 16) },
                      limits, n_limits, &row, row_numlog);
    }
    row_sums_add(&row, row_numlog, n_limits, sums, numlog);
}

/* Some blocks are filtered, then measured: both together would need more registers than there are. */
VMAFX_UNROLLED void measure_row(const VmafxVifMoments *in, const VifTaps *taps, int w, const double *limits,
                                int n_limits, RowSums *row, __m512i *row_numlog, int n_taps)
{
    enum { AT_ONCE = 8 };
    Columns s[AT_ONCE][3];

    for (int start = 0; start < w; start += AT_ONCE * BLOCK) {
        int n = VMAFX_MIN((w - start + BLOCK - 1) / BLOCK, AT_ONCE), past = start + n * BLOCK - w;

        for (int i = 0; i < n; i++)
            central_moments(in, taps, VMAFX_MIN(start + i * BLOCK, w - BLOCK), s[i], n_taps);
        for (int i = 0; i < n; i++) {
            int known = i == n - 1 && past > 0 ? past : 0; /* columns that the block before has counted */
            Masks columns = { (__mmask16)(0xffffu << (known + 1) / 2), (__mmask16)(0xffffu << known / 2) };

            score_columns(s[i][0], s[i][1], s[i][2], columns, limits, n_limits, row, row_numlog);
        }
    }
}

static void measure_avx512(const VmafxVifMoments *in, const VmafxVifFilter *filter, int w, const uint16_t *log2_table,
                           const double *limits, int n_limits, VmafxVifSums *sums, int64_t *numlog)
{
    VifTaps taps = vif_taps(filter);
    __m512i row_numlog[LIMITS_MAX];

    if (n_limits > LIMITS_MAX || w < BLOCK) {
        vmafx_vif_kernels_c.measure(in, filter, w, log2_table, limits, n_limits, sums, numlog);
        return;
    }
    RowSums row = row_sums_start(row_numlog, n_limits);
    WITH_TAPS(filter->n, measure_row, in, &taps, w, limits, n_limits, &row, row_numlog);
    row_sums_add(&row, row_numlog, n_limits, sums, numlog);
}

void vmafx_vif_kernels_init_measure_avx512(VmafxVifKernels *k)
{
    k->horz = horz_avx512;
    k->score = score_avx512;
    k->measure = measure_avx512;
}

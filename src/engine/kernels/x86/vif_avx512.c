/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Vertical filters of VIF, and the step to the next scale, with AVX-512, equal to the C kernels to the bit.
 * vif_avx2.c explains the arithmetic of 8-bit samples. Columns are done in blocks of 32, the last of which overlaps
 * the one before; shorter rows are left to the C kernels.
 */

#include "engine/kernels/x86/x86.h"

#include <stdbool.h>
#include <stddef.h>

#include "engine/kernels/x86/vif_avx512.h"

#define BLOCK 32

static inline void put_words(uint16_t *p, Sums v)
{
    put512(p, _mm512_packus_epi32(v.lo, v.hi));
}

static inline Sums sums_plus(Sums a, Sums b)
{
    return (Sums){ _mm512_add_epi32(a.lo, b.lo), _mm512_add_epi32(a.hi, b.hi) };
}

static inline Sums up(Sums v, int n)
{
    __m128i count = _mm_cvtsi32_si128(n);

    return (Sums){ _mm512_sll_epi32(v.lo, count), _mm512_sll_epi32(v.hi, count) };
}

static inline Sums down(Sums v, int n)
{
    __m128i count = _mm_cvtsi32_si128(n);

    return (Sums){ _mm512_srl_epi32(v.lo, count), _mm512_srl_epi32(v.hi, count) };
}

/* The two halves of a moment into their rows. */
static inline void put_halves(const VmafxVifMoments *ret, int which, int x, Sums e)
{
    const __m512i low = _mm512_set1_epi32(0xffff);

    put_words(ret->row[which] + x, (Sums){ _mm512_and_si512(e.lo, low), _mm512_and_si512(e.hi, low) });
    put_words(ret->row[which + 1] + x, down(e, 16));
}

/* ---- 8 bits ---- */

static inline __m512i bytes_minus_128(const uint8_t *p)
{
    return _mm512_sub_epi16(_mm512_cvtepu8_epi16(_mm256_loadu_si256((const __m256i *)p)), _mm512_set1_epi16(128));
}

/* Sums of samples minus 128 and of their products, for one output row. */
typedef struct ByteSums {
    Sums m1, m2, rr, dd, rd;
} ByteSums;

static inline void put_byte_sums(const ByteSums *s, int x, const VmafxVifMoments *ret)
{
    put_words(ret->row[VMAFX_VIF_M1] + x, down(sums_plus(s->m1, sums_all((1 << 23) + 128)), 8));
    put_words(ret->row[VMAFX_VIF_M2] + x, down(sums_plus(s->m2, sums_all((1 << 23) + 128)), 8));
    put_halves(ret, VMAFX_VIF_E11_LO, x, sums_plus(s->rr, up(s->m1, 8)));
    put_halves(ret, VMAFX_VIF_E22_LO, x, sums_plus(s->dd, up(s->m2, 8)));
    put_halves(ret, VMAFX_VIF_E12_LO, x, sums_plus(s->rd, up(sums_plus(s->m1, s->m2), 7)));
}

VMAFX_UNROLLED void vert8_row(const uint8_t *const *ref, const uint8_t *const *dis, const VifTaps *taps, int w,
                              bool both, const VmafxVifMoments *ret, int n_taps)
{
    for (int at = 0; at < w; at += BLOCK) {
        int x = at + BLOCK <= w ? at : w - BLOCK;
        ByteSums first = { sums_all(0), sums_all(0), sums_all(1 << 30), sums_all(1 << 30), sums_all(1 << 30) };
        ByteSums second = first;

        UNROLL
        for (int p = 0; p < n_pairs(n_taps); p++) {
            int k = pair_at(n_taps, p), next = both || k + 1 < n_taps ? k + 1 : k; /* its tap is 0 then */
            __m512i r0 = bytes_minus_128(ref[k] + x), r1 = bytes_minus_128(ref[next] + x);
            __m512i d0 = bytes_minus_128(dis[k] + x), d1 = bytes_minus_128(dis[next] + x);
            Sums r = unpacked(r0, r1), d = unpacked(d0, d1);
            Sums rr = unpacked(_mm512_mullo_epi16(r0, r0), _mm512_mullo_epi16(r1, r1));
            Sums dd = unpacked(_mm512_mullo_epi16(d0, d0), _mm512_mullo_epi16(d1, d1));
            Sums rd = unpacked(_mm512_mullo_epi16(r0, d0), _mm512_mullo_epi16(r1, d1));

            first = (ByteSums){ dots(first.m1, r, taps->first[p]), dots(first.m2, d, taps->first[p]),
                                dots(first.rr, rr, taps->first[p]), dots(first.dd, dd, taps->first[p]),
                                dots(first.rd, rd, taps->first[p]) };
            if (both)
                second = (ByteSums){ dots(second.m1, r, taps->second[p]), dots(second.m2, d, taps->second[p]),
                                     dots(second.rr, rr, taps->second[p]), dots(second.dd, dd, taps->second[p]),
                                     dots(second.rd, rd, taps->second[p]) };
        }
        put_byte_sums(&first, x, &ret[0]);
        if (both)
            put_byte_sums(&second, x, &ret[1]);
    }
}

static void vert8_avx512(const uint8_t *const *ref, const uint8_t *const *dis, const VmafxVifFilter *filter, int w,
                         int n_rows, const VmafxVifMoments *ret)
{
    VifTaps taps = vif_taps(filter);

    if (w < BLOCK) {
        vmafx_vif_kernels_c.vert8(ref, dis, filter, w, n_rows, ret);
        return;
    }
    if (n_rows == 2)
        WITH_TAPS(filter->n, vert8_row, ref, dis, &taps, w, true, ret);
    else
        WITH_TAPS(filter->n, vert8_row, ref, dis, &taps, w, false, ret);
}

/* ---- 16 bits ---- */

/*
 * A product has 32 bits, h·2^16 + l. With 2 ≤ q ≤ 16,
 *     (Σ f·(h·2^16 + l) + 2^(q−1)) >> q = (Σ f·h) << (16 − q) + ((Σ f·l + 2^(q−1)) >> q)     modulo 2^32
 */
typedef struct ProductSums {
    Sums h, l;
} ProductSums;

typedef struct Words {
    __m512i r0, r1, d0, d1; /* a pair of rows of either picture */
} Words;

static inline Words words_at(const uint16_t *const *ref, const uint16_t *const *dis, int k, int next, int x)
{
    return (Words){ _mm512_loadu_si512(ref[k] + x), _mm512_loadu_si512(ref[next] + x), _mm512_loadu_si512(dis[k] + x),
                    _mm512_loadu_si512(dis[next] + x) };
}

static inline __m512i made_signed(__m512i v)
{
    return _mm512_xor_si512(v, _mm512_set1_epi16((int16_t)0x8000));
}

static inline ProductSums products(__m512i a0, __m512i a1, __m512i b0, __m512i b1)
{
    return (ProductSums){
        unpacked(made_signed(_mm512_mulhi_epu16(a0, b0)), made_signed(_mm512_mulhi_epu16(a1, b1))),
        unpacked(made_signed(_mm512_mullo_epi16(a0, b0)), made_signed(_mm512_mullo_epi16(a1, b1))),
    };
}

static inline ProductSums product_dots(ProductSums s, ProductSums v, __m512i taps)
{
    return (ProductSums){ dots(s.h, v.h, taps), dots(s.l, v.l, taps) };
}

static inline void put_products(const VmafxVifMoments *ret, int which, int x, ProductSums s, int square_shift)
{
    Sums low = sums_plus(s.l, sums_all(square_shift ? 1 << (square_shift - 1) : 0));

    put_halves(ret, which, x, sums_plus(up(s.h, 16 - square_shift), down(low, square_shift)));
}

typedef struct WordShifts {
    int mean, square;
} WordShifts;

/* Both means and the reference's square; the other two moments. Together they would need more registers than there
   are. */
VMAFX_UNROLLED void vert16_means(const uint16_t *const *ref, const uint16_t *const *dis, const VifTaps *taps,
                                 WordShifts shifts, int x, bool both, const VmafxVifMoments *ret, int n_taps)
{
    const Sums bias = sums_all(SIGNED_BIAS);
    Sums m1[2] = { bias, bias }, m2[2] = { bias, bias };
    ProductSums rr[2] = { { bias, bias }, { bias, bias } };

    UNROLL
    for (int p = 0; p < n_pairs(n_taps); p++) {
        int k = pair_at(n_taps, p), next = both || k + 1 < n_taps ? k + 1 : k;
        Words v = words_at(ref, dis, k, next, x);
        Sums r = unpacked(made_signed(v.r0), made_signed(v.r1)), d = unpacked(made_signed(v.d0), made_signed(v.d1));
        ProductSums square = products(v.r0, v.r1, v.r0, v.r1);

        for (int i = 0; i < 1 + both; i++) {
            __m512i t = i ? taps->second[p] : taps->first[p];
            m1[i] = dots(m1[i], r, t);
            m2[i] = dots(m2[i], d, t);
            rr[i] = product_dots(rr[i], square, t);
        }
    }
    for (int i = 0; i < 1 + both; i++) {
        Sums round = sums_all(1 << (shifts.mean - 1));
        put_words(ret[i].row[VMAFX_VIF_M1] + x, down(sums_plus(m1[i], round), shifts.mean));
        put_words(ret[i].row[VMAFX_VIF_M2] + x, down(sums_plus(m2[i], round), shifts.mean));
        put_products(&ret[i], VMAFX_VIF_E11_LO, x, rr[i], shifts.square);
    }
}

VMAFX_UNROLLED void vert16_products(const uint16_t *const *ref, const uint16_t *const *dis, const VifTaps *taps,
                                    WordShifts shifts, int x, bool both, const VmafxVifMoments *ret, int n_taps)
{
    const Sums bias = sums_all(SIGNED_BIAS);
    ProductSums dd[2] = { { bias, bias }, { bias, bias } }, rd[2] = { { bias, bias }, { bias, bias } };

    UNROLL
    for (int p = 0; p < n_pairs(n_taps); p++) {
        int k = pair_at(n_taps, p), next = both || k + 1 < n_taps ? k + 1 : k;
        Words v = words_at(ref, dis, k, next, x);
        ProductSums square = products(v.d0, v.d1, v.d0, v.d1), cross = products(v.r0, v.r1, v.d0, v.d1);

        for (int i = 0; i < 1 + both; i++) {
            __m512i t = i ? taps->second[p] : taps->first[p];
            dd[i] = product_dots(dd[i], square, t);
            rd[i] = product_dots(rd[i], cross, t);
        }
    }
    for (int i = 0; i < 1 + both; i++) {
        put_products(&ret[i], VMAFX_VIF_E22_LO, x, dd[i], shifts.square);
        put_products(&ret[i], VMAFX_VIF_E12_LO, x, rd[i], shifts.square);
    }
}

VMAFX_UNROLLED void vert16_row(const uint16_t *const *ref, const uint16_t *const *dis, const VifTaps *taps,
                               WordShifts shifts, int w, bool both, const VmafxVifMoments *ret, int n_taps)
{
    for (int at = 0; at < w; at += BLOCK) {
        int x = at + BLOCK <= w ? at : w - BLOCK;
        vert16_means(ref, dis, taps, shifts, x, both, ret, n_taps);
        vert16_products(ref, dis, taps, shifts, x, both, ret, n_taps);
    }
}

static void vert16_avx512(const uint16_t *const *ref, const uint16_t *const *dis, const VmafxVifFilter *filter,
                          int mean_shift, int square_shift, int w, int n_rows, const VmafxVifMoments *ret)
{
    VifTaps taps = vif_taps(filter);
    WordShifts shifts = { mean_shift, square_shift };

    if (w < BLOCK) {
        vmafx_vif_kernels_c.vert16(ref, dis, filter, mean_shift, square_shift, w, n_rows, ret);
        return;
    }
    if (n_rows == 2)
        WITH_TAPS(filter->n, vert16_row, ref, dis, &taps, shifts, w, true, ret);
    else
        WITH_TAPS(filter->n, vert16_row, ref, dis, &taps, shifts, w, false, ret);
}

/* ---- The step to the next scale ---- */

static void down_vert8_avx512(const uint8_t *const *rows, const VmafxVifFilter *filter, int w, uint16_t *ret)
{
    VifTaps taps = vif_taps(filter);

    if (w < BLOCK) {
        vmafx_vif_kernels_c.down_vert8(rows, filter, w, ret);
        return;
    }
    for (int at = 0; at < w; at += BLOCK) {
        int x = at + BLOCK <= w ? at : w - BLOCK;
        Sums sums = sums_all((1 << 23) + 128);

        for (int p = 0; p < n_pairs(filter->n); p++) {
            int k = pair_at(filter->n, p), next = k + 1 < filter->n ? k + 1 : k; /* its tap is 0 then */
            sums = dots(sums, unpacked(bytes_minus_128(rows[k] + x), bytes_minus_128(rows[next] + x)), taps.first[p]);
        }
        put_words(ret + x, down(sums, 8));
    }
}

static void down_vert16_avx512(const uint16_t *const *rows, const VmafxVifFilter *filter, int shift, int w,
                               uint16_t *ret)
{
    VifTaps taps = vif_taps(filter);

    if (w < BLOCK) {
        vmafx_vif_kernels_c.down_vert16(rows, filter, shift, w, ret);
        return;
    }
    for (int at = 0; at < w; at += BLOCK) {
        int x = at + BLOCK <= w ? at : w - BLOCK;
        Sums sums = sums_plus(sums_all(SIGNED_BIAS), sums_all(1 << (shift - 1)));

        for (int p = 0; p < n_pairs(filter->n); p++) {
            int k = pair_at(filter->n, p), next = k + 1 < filter->n ? k + 1 : k;
            sums = dots(sums, unpacked(signed_words(rows[k] + x), signed_words(rows[next] + x)), taps.first[p]);
        }
        put_words(ret + x, down(sums, shift));
    }
}

#define BLOCK_OUT 16

static void down_horz_avx512(const uint16_t *row, const VmafxVifFilter *filter, int w_out, uint16_t *ret)
{
    VifTaps taps = vif_taps(filter);

    if (w_out < BLOCK_OUT) {
        vmafx_vif_kernels_c.down_horz(row, filter, w_out, ret);
        return;
    }
    for (int at = 0; at < w_out; at += BLOCK_OUT) {
        int x = at + BLOCK_OUT <= w_out ? at : w_out - BLOCK_OUT;
        const uint16_t *from = row + 2 * (ptrdiff_t)x - filter->n / 2;
        __m512i sum = _mm512_set1_epi32(SIGNED_BIAS + 32768);

        for (int p = 0; p < n_pairs(filter->n); p++)
            sum = dot(sum, signed_words(from + pair_at(filter->n, p)), taps.first[p]);
        _mm256_storeu_si256((__m256i *)(ret + x), _mm512_cvtepi32_epi16(_mm512_srli_epi32(sum, 16)));
    }
}

void vmafx_vif_kernels_init_avx512(VmafxVifKernels *k)
{
    k->vert8 = vert8_avx512;
    k->vert16 = vert16_avx512;
    k->down_vert8 = down_vert8_avx512;
    k->down_vert16 = down_vert16_avx512;
    k->down_horz = down_horz_avx512;
    vmafx_vif_kernels_init_measure_avx512(k);
}

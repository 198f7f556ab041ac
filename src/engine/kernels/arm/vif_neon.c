/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Integer VIF with NEON, equal to the C kernels to the bit. Products of unsigned 16-bit samples and taps
 * are added up in 32 bits: the taps sum to 2^16, so every sum fits.
 *
 * Eight columns at a time; the last block of a row overlaps the one before. Rows shorter than a block are left to the C
 * kernel.
 */

#include "engine/kernels/arm/arm.h"

#include <arm_neon.h>
#include <stddef.h>

#define BLOCK 8

/* Sums of columns 0-3 and 4-7. */
typedef struct Sums {
    uint32x4_t lo, hi;
} Sums;

static inline Sums zero(void)
{
    return (Sums){ vdupq_n_u32(0), vdupq_n_u32(0) };
}

static inline Sums add_tap(Sums sums, uint16x8_t v, uint16_t tap)
{
    return (Sums){ vmlal_n_u16(sums.lo, vget_low_u16(v), tap), vmlal_high_n_u16(sums.hi, v, tap) };
}

/* (sum + 2^(n−1)) >> n of each, n = −shift, as 16 bits; as it is where n is 0. */
static inline uint16x8_t shifted(Sums sums, int32x4_t shift)
{
    return vmovn_high_u32(vmovn_u32(vrshlq_u32(sums.lo, shift)), vrshlq_u32(sums.hi, shift));
}

static inline void put_halves(const VmafxVifMoments *ret, int which, int x, Sums e)
{
    uint16x8_t lo = vreinterpretq_u16_u32(e.lo), hi = vreinterpretq_u16_u32(e.hi);

    vst1q_u16(ret->row[which] + x, vuzp1q_u16(lo, hi));
    vst1q_u16(ret->row[which + 1] + x, vuzp2q_u16(lo, hi));
}

/* ---- Vertical, 8 bits ---- */

static inline void vert8_block(const uint8_t *const *ref, const uint8_t *const *dis, const VmafxVifFilter *filter,
                               int x, const VmafxVifMoments *ret)
{
    Sums m1 = zero(), m2 = zero(), rr = zero(), dd = zero(), rd = zero();

    for (int k = 0; k < filter->n; k++) {
        uint8x8_t r = vld1_u8(ref[k] + x), d = vld1_u8(dis[k] + x);
        uint16_t tap = filter->taps[k];

        m1 = add_tap(m1, vmovl_u8(r), tap);
        m2 = add_tap(m2, vmovl_u8(d), tap);
        rr = add_tap(rr, vmull_u8(r, r), tap);
        dd = add_tap(dd, vmull_u8(d, d), tap);
        rd = add_tap(rd, vmull_u8(r, d), tap);
    }
    vst1q_u16(ret->row[VMAFX_VIF_M1] + x, shifted(m1, vdupq_n_s32(-8)));
    vst1q_u16(ret->row[VMAFX_VIF_M2] + x, shifted(m2, vdupq_n_s32(-8)));
    put_halves(ret, VMAFX_VIF_E11_LO, x, rr);
    put_halves(ret, VMAFX_VIF_E22_LO, x, dd);
    put_halves(ret, VMAFX_VIF_E12_LO, x, rd);
}

static void vert8_neon(const uint8_t *const *ref, const uint8_t *const *dis, const VmafxVifFilter *filter, int w,
                       int n_rows, const VmafxVifMoments *ret)
{
    if (w < BLOCK) {
        vmafx_vif_kernels_c.vert8(ref, dis, filter, w, n_rows, ret);
        return;
    }
    for (int i = 0; i < n_rows; i++)
        for (int at = 0; at < w; at += BLOCK)
            vert8_block(ref + i, dis + i, filter, at + BLOCK <= w ? at : w - BLOCK, &ret[i]);
}

/* ---- Vertical, 16 bits ---- */

/* 64-bit sums of 4 columns. */
typedef struct Sums64 {
    uint64x2_t lo, hi;
} Sums64;

static inline Sums64 add_products(Sums64 sums, uint32x4_t a, uint32x4_t b)
{
    return (Sums64){ vmlal_u32(sums.lo, vget_low_u32(a), vget_low_u32(b)), vmlal_high_u32(sums.hi, a, b) };
}

static inline uint32x4_t rounded64(Sums64 sums, int64x2_t shift)
{
    return vmovn_high_u64(vmovn_u64(vrshlq_u64(sums.lo, shift)), vrshlq_u64(sums.hi, shift));
}

/* Second moments of 4 columns. */
static inline void squares4(const uint16_t *const *ref, const uint16_t *const *dis, const VmafxVifFilter *filter, int x,
                            int64x2_t shift, uint32x4_t ret[3])
{
    Sums64 rr = { vdupq_n_u64(0), vdupq_n_u64(0) }, dd = rr, rd = rr;

    for (int k = 0; k < filter->n; k++) {
        uint16x4_t r = vld1_u16(ref[k] + x), d = vld1_u16(dis[k] + x);
        uint32x4_t fr = vmull_n_u16(r, filter->taps[k]), fd = vmull_n_u16(d, filter->taps[k]);

        rr = add_products(rr, fr, vmovl_u16(r));
        dd = add_products(dd, fd, vmovl_u16(d));
        rd = add_products(rd, fr, vmovl_u16(d));
    }
    ret[0] = rounded64(rr, shift);
    ret[1] = rounded64(dd, shift);
    ret[2] = rounded64(rd, shift);
}

/* Σ f·v of 8 columns of one picture. */
static inline Sums filtered_words(const uint16_t *const *rows, const VmafxVifFilter *filter, int x)
{
    Sums sums = zero();

    for (int k = 0; k < filter->n; k++)
        sums = add_tap(sums, vld1q_u16(rows[k] + x), filter->taps[k]);
    return sums;
}

static inline void vert16_block(const uint16_t *const *ref, const uint16_t *const *dis, const VmafxVifFilter *filter,
                                int mean_shift, int square_shift, int x, const VmafxVifMoments *ret)
{
    const int32x4_t shift = vdupq_n_s32(-mean_shift);
    const int64x2_t shift64 = vdupq_n_s64(-square_shift);
    uint32x4_t first[3], second[3];

    vst1q_u16(ret->row[VMAFX_VIF_M1] + x, shifted(filtered_words(ref, filter, x), shift));
    vst1q_u16(ret->row[VMAFX_VIF_M2] + x, shifted(filtered_words(dis, filter, x), shift));
    squares4(ref, dis, filter, x, shift64, first);
    squares4(ref, dis, filter, x + 4, shift64, second);
    for (int i = 0; i < 3; i++)
        put_halves(ret, VMAFX_VIF_E11_LO + 2 * i, x, (Sums){ first[i], second[i] });
}

static void vert16_neon(const uint16_t *const *ref, const uint16_t *const *dis, const VmafxVifFilter *filter,
                        int mean_shift, int square_shift, int w, int n_rows, const VmafxVifMoments *ret)
{
    if (w < BLOCK) {
        vmafx_vif_kernels_c.vert16(ref, dis, filter, mean_shift, square_shift, w, n_rows, ret);
        return;
    }
    for (int i = 0; i < n_rows; i++)
        for (int at = 0; at < w; at += BLOCK)
            vert16_block(ref + i, dis + i, filter, mean_shift, square_shift, at + BLOCK <= w ? at : w - BLOCK, &ret[i]);
}

/* ---- Horizontal ---- */

/* (a·b + 2^31) >> 32 */
static inline uint32x4_t product_high(uint32x4_t a, uint32x4_t b)
{
    uint64x2_t lo = vmull_u32(vget_low_u32(a), vget_low_u32(b)), hi = vmull_high_u32(a, b);

    return vrshrn_high_n_u64(vrshrn_n_u64(lo, 32), hi, 32);
}

static inline Sums means_multiplied(Sums a, Sums b)
{
    return (Sums){ product_high(a.lo, b.lo), product_high(a.hi, b.hi) };
}

/* With e = 2^16·h + l: (Σ f·e + 2^15) >> 16 is Σ f·h + ((Σ f·l + 2^15) >> 16), modulo 2^32. */
static inline int32x4_t central(uint32x4_t lo, uint32x4_t hi, uint32x4_t product)
{
    return vreinterpretq_s32_u32(vsubq_u32(vrsraq_n_u32(hi, lo, 16), product));
}

static inline void horz_block(const VmafxVifMoments *in, const VmafxVifFilter *filter, int x, int32_t *const ret[3])
{
    Sums sums[VMAFX_VIF_MOMENTS];

    for (int i = 0; i < VMAFX_VIF_MOMENTS; i++)
        sums[i] = zero();
    for (int k = 0; k < filter->n; k++) {
        ptrdiff_t at = (ptrdiff_t)x + k - filter->n / 2;
        uint16_t tap = filter->taps[k];

        for (int i = 0; i < VMAFX_VIF_MOMENTS; i++)
            sums[i] = add_tap(sums[i], vld1q_u16(in->row[i] + at), tap);
    }
    const Sums *m1 = &sums[VMAFX_VIF_M1], *m2 = &sums[VMAFX_VIF_M2];
    Sums products[3] = { means_multiplied(*m1, *m1), means_multiplied(*m2, *m2), means_multiplied(*m1, *m2) };

    for (int i = 0; i < 3; i++) {
        const Sums *lo = &sums[VMAFX_VIF_E11_LO + 2 * i], *hi = &sums[VMAFX_VIF_E11_HI + 2 * i];

        vst1q_s32(ret[i] + x, central(lo->lo, hi->lo, products[i].lo));
        vst1q_s32(ret[i] + x + 4, central(lo->hi, hi->hi, products[i].hi));
    }
}

static void horz_neon(const VmafxVifMoments *in, const VmafxVifFilter *filter, int w, int32_t *ret_s1, int32_t *ret_s2,
                      int32_t *ret_s12)
{
    int32_t *const ret[3] = { ret_s1, ret_s2, ret_s12 };

    if (w < BLOCK) {
        vmafx_vif_kernels_c.horz(in, filter, w, ret_s1, ret_s2, ret_s12);
        return;
    }
    for (int at = 0; at < w; at += BLOCK)
        horz_block(in, filter, at + BLOCK <= w ? at : w - BLOCK, ret);
}

/* ---- Score ---- */

/*
 * 2048·log2 of integers below 2^52 held as binary64: the first 15 bits of the mantissa index the table, the exponent
 * counts the powers of two.
 */
static inline int64x2_t log2_fixed(const uint16_t *table, float64x2_t v)
{
    uint64x2_t bits = vreinterpretq_u64_f64(v), index = vandq_u64(vshrq_n_u64(bits, 37), vdupq_n_u64(32767));
    int64x2_t exponent = vsubq_s64(vreinterpretq_s64_u64(vshrq_n_u64(bits, 52)), vdupq_n_s64(1023 + 15));
    int64x2_t entry = { table[vgetq_lane_u64(index, 0)], table[vgetq_lane_u64(index, 1)] };

    return vaddq_s64(entry, vshlq_n_s64(exponent, 11));
}

static inline int64x2_t where(uint64x2_t mask, int64x2_t v)
{
    return vandq_s64(v, vreinterpretq_s64_u64(mask));
}

typedef struct RowSums {
    int64x2_t denlog, nonlog, cnt;
} RowSums;

/* Two columns. */
static inline void score_block(const int32_t *s1_row, const int32_t *s2_row, const int32_t *s12_row,
                               const uint16_t *table, const double *limits, int n_limits, RowSums *sums,
                               int64x2_t *numlog)
{
    const float64x2_t nsq = vdupq_n_f64(VMAFX_VIF_NSQ);
    int64x2_t s1 = vmovl_s32(vld1_s32(s1_row)), s12 = vmovl_s32(vld1_s32(s12_row));
    int64x2_t s2 = vmovl_s32(vmax_s32(vld1_s32(s2_row), vdup_n_s32(0)));
    uint64x2_t flat = vcltq_s64(s1, vdupq_n_s64(VMAFX_VIF_NSQ));
    float64x2_t s1_d = vcvtq_f64_s64(s1);

    sums->nonlog = vaddq_s64(sums->nonlog, where(flat, s2));
    sums->cnt = vsubq_s64(sums->cnt, vreinterpretq_s64_u64(flat));
    int64x2_t den = vsubq_s64(log2_fixed(table, vaddq_f64(nsq, s1_d)), vdupq_n_s64(17 * 2048));
    sums->denlog = vaddq_s64(sums->denlog, vbicq_s64(den, vreinterpretq_s64_u64(flat)));

    uint64x2_t active = vbicq_u64(vandq_u64(vcgtzq_s64(s12), vcgtzq_s64(s2)), flat);
    if (!vmaxvq_u32(vreinterpretq_u32_u64(active)))
        return;
    float64x2_t s12_d = vcvtq_f64_s64(s12), s2_d = vcvtq_f64_s64(s2);
    float64x2_t gain = vdivq_f64(s12_d, vaddq_f64(s1_d, vdupq_n_f64(65536 * 1e-10)));
    float64x2_t noise = vmaxq_f64(vsubq_f64(s2_d, vmulq_f64(gain, s12_d)), vdupq_n_f64(0));

    noise = vaddq_f64(vrndq_f64(noise), nsq);
    int64x2_t log_noise = log2_fixed(table, noise);
    for (int i = 0; i < n_limits; i++) {
        float64x2_t g = vminq_f64(gain, vdupq_n_f64(limits[i]));
        float64x2_t signal = vaddq_f64(noise, vrndq_f64(vmulq_f64(vmulq_f64(g, g), s1_d)));

        numlog[i] = vaddq_s64(numlog[i], where(active, vsubq_s64(log2_fixed(table, signal), log_noise)));
    }
}

#define LIMITS_MAX 8 /* more at a time are left to the C kernel */

static void score_neon(const int32_t *s1, const int32_t *s2, const int32_t *s12, int w, const uint16_t *log2_table,
                       const double *limits, int n_limits, VmafxVifSums *sums, int64_t *numlog)
{
    RowSums row = { vdupq_n_s64(0), vdupq_n_s64(0), vdupq_n_s64(0) };
    int64x2_t num[LIMITS_MAX];
    int x = 0;

    if (n_limits > LIMITS_MAX) {
        vmafx_vif_kernels_c.score(s1, s2, s12, w, log2_table, limits, n_limits, sums, numlog);
        return;
    }
    for (int i = 0; i < n_limits; i++)
        num[i] = vdupq_n_s64(0);
    for (; x + 2 <= w; x += 2)
        score_block(s1 + x, s2 + x, s12 + x, log2_table, limits, n_limits, &row, num);
    sums->denlog += vaddvq_s64(row.denlog);
    sums->nonlog += vaddvq_s64(row.nonlog);
    sums->cnt += vaddvq_s64(row.cnt);
    for (int i = 0; i < n_limits; i++)
        numlog[i] += vaddvq_s64(num[i]);
    if (x < w)
        vmafx_vif_kernels_c.score(s1 + x, s2 + x, s12 + x, w - x, log2_table, limits, n_limits, sums, numlog);
}

VMAFX_VIF_MEASURE(measure_neon, horz_neon, score_neon)

/* ---- The step to the next scale ---- */

static void down_vert8_neon(const uint8_t *const *rows, const VmafxVifFilter *filter, int w, uint16_t *ret)
{
    if (w < BLOCK) {
        vmafx_vif_kernels_c.down_vert8(rows, filter, w, ret);
        return;
    }
    for (int at = 0; at < w; at += BLOCK) {
        int x = at + BLOCK <= w ? at : w - BLOCK;
        Sums sums = zero();

        for (int k = 0; k < filter->n; k++)
            sums = add_tap(sums, vmovl_u8(vld1_u8(rows[k] + x)), filter->taps[k]);
        vst1q_u16(ret + x, shifted(sums, vdupq_n_s32(-8)));
    }
}

static void down_vert16_neon(const uint16_t *const *rows, const VmafxVifFilter *filter, int shift, int w, uint16_t *ret)
{
    if (w < BLOCK) {
        vmafx_vif_kernels_c.down_vert16(rows, filter, shift, w, ret);
        return;
    }
    for (int at = 0; at < w; at += BLOCK) {
        int x = at + BLOCK <= w ? at : w - BLOCK;
        vst1q_u16(ret + x, shifted(filtered_words(rows, filter, x), vdupq_n_s32(-shift)));
    }
}

static void down_horz_neon(const uint16_t *row, const VmafxVifFilter *filter, int w_out, uint16_t *ret)
{
    if (w_out < BLOCK) {
        vmafx_vif_kernels_c.down_horz(row, filter, w_out, ret);
        return;
    }
    for (int at = 0; at < w_out; at += BLOCK) {
        int x = at + BLOCK <= w_out ? at : w_out - BLOCK;
        const uint16_t *from = row + 2 * (ptrdiff_t)x - filter->n / 2;
        Sums sums = zero();

        for (int k = 0; k < filter->n - 1; k += 2) {
            uint16x8x2_t v = vld2q_u16(from + k); /* for this tap and the next */
            sums = add_tap(add_tap(sums, v.val[0], filter->taps[k]), v.val[1], filter->taps[k + 1]);
        }
        sums = add_tap(sums, vld2q_u16(from + filter->n - 1).val[0], filter->taps[filter->n - 1]);
        vst1q_u16(ret + x, shifted(sums, vdupq_n_s32(-16)));
    }
}

void vmafx_vif_kernels_init_neon(VmafxVifKernels *k)
{
    *k = (VmafxVifKernels){
        .vert8 = vert8_neon,
        .vert16 = vert16_neon,
        .horz = horz_neon,
        .score = score_neon,
        .measure = measure_neon,
        .down_vert8 = down_vert8_neon,
        .down_vert16 = down_vert16_neon,
        .down_horz = down_horz_neon,
    };
}

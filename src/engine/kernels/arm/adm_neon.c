/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Integer ADM with NEON, equal to the C kernels to the bit. Four or eight columns at a time. Where a kernel writes rows
 * the last block overlaps the one before, where it adds up the C kernel has what is left over; it also has rows shorter
 * than a block, and the rare block whose values leave the range in which 32-bit registers suffice.
 *
 * The finest scale's values fit 16 bits, so its products fit 32. Splitting the coarser scales is left to the C kernel:
 * it rounds 64-bit integers once to binary32, for which NEON has no vector instruction.
 */

#include "engine/kernels/arm/arm.h"

#include <arm_neon.h>
#include <stdbool.h>
#include <stddef.h>

#define BLOCK 4

/* ---- Decoupling, finest scale ---- */

/* A value per column as binary64: columns 0-1 and 2-3. */
typedef struct Doubles {
    float64x2_t low, high;
} Doubles;

static inline Doubles doubles(int32x4_t v)
{
    return (Doubles){ vcvtq_f64_s64(vmovl_s32(vget_low_s32(v))), vcvtq_f64_s64(vmovl_high_s32(v)) };
}

static inline Doubles floats_widened(int32x4_t v)
{
    float32x4_t f = vcvtq_f32_s32(v); /* rounds once, as the conversion of the same value from 64 bits does */

    return (Doubles){ vcvt_f64_f32(vget_low_f32(f)), vcvt_high_f64_f32(f) };
}

/* Towards zero. */
static inline int32x4_t integers(Doubles v)
{
    return vmovn_high_s64(vmovn_s64(vcvtq_s64_f64(v.low)), vcvtq_s64_f64(v.high));
}

static inline uint64x2_t within(float64x2_t dot, float64x2_t o_sq, float64x2_t t_sq)
{
    return vcgeq_f64(vmulq_f64(dot, dot), vmulq_f64(vmulq_f64(vdupq_n_f64(0x1.ffd814p-1), o_sq), t_sq));
}

static inline uint32x4_t same_angle(int32x4_t o_h, int32x4_t o_v, int32x4_t t_h, int32x4_t t_v)
{
    int32x4_t dot = vmlaq_s32(vmulq_s32(o_h, t_h), o_v, t_v);
    Doubles p = floats_widened(dot), o = floats_widened(vmlaq_s32(vmulq_s32(o_h, o_h), o_v, o_v));
    Doubles t = floats_widened(vmlaq_s32(vmulq_s32(t_h, t_h), t_v, t_v));
    uint32x4_t near = vmovn_high_u64(vmovn_u64(within(p.low, o.low, t.low)), within(p.high, o.high, t.high));

    return vandq_u32(near, vcgezq_s32(dot));
}

/* min(32768, floor((floor(2^30 / m)·t + 2^14) / 2^15)), m positive, t not negative: every step is exact. */
static inline float64x2_t ratio2(float64x2_t m, float64x2_t t)
{
    float64x2_t reciprocal = vrndq_f64(vdivq_f64(vdupq_n_f64(0x1p30), m));
    float64x2_t k = vmulq_f64(vaddq_f64(vmulq_f64(reciprocal, t), vdupq_n_f64(0x1p14)), vdupq_n_f64(0x1p-15));

    return vminq_f64(k, vdupq_n_f64(32768));
}

static inline int32x4_t ratio(int32x4_t o, int32x4_t t)
{
    int32x4_t sign = vshrq_n_s32(o, 31), along = vsubq_s32(veorq_s32(t, sign), sign); /* t with the sign of o */
    uint32x4_t o_zero = vceqzq_s32(o);
    Doubles m = doubles(vsubq_s32(vabsq_s32(o), vreinterpretq_s32_u32(o_zero))); /* 1 in place of 0 */
    Doubles a = doubles(vmaxq_s32(along, vdupq_n_s32(0)));
    int32x4_t k = integers((Doubles){ ratio2(m.low, a.low), ratio2(m.high, a.high) });

    return vbslq_s32(o_zero, vdupq_n_s32(32768), k);
}

static inline int32x4_t limited(int32x4_t r, int32x4_t t, float64x2_t gain_limit, uint32x4_t negative)
{
    Doubles rd = doubles(r), td = doubles(t);
    Doubles g = { vmulq_f64(rd.low, gain_limit), vmulq_f64(rd.high, gain_limit) };
    int32x4_t smaller = integers((Doubles){ vminq_f64(g.low, td.low), vminq_f64(g.high, td.high) });
    int32x4_t larger = integers((Doubles){ vmaxq_f64(g.low, td.low), vmaxq_f64(g.high, td.high) });

    return vbslq_s32(negative, larger, smaller);
}

static inline int32x4_t restored(int32x4_t o, int32x4_t t, uint32x4_t same, float64x2_t gain_limit)
{
    int32x4_t k = ratio(o, t), r = vrshrq_n_s32(vmulq_s32(k, o), 15);
    uint32x4_t applies = vandq_u32(same, vandq_u32(vtstq_s32(o, o), vcgtzq_s32(k)));

    return vbslq_s32(applies, limited(r, t, gain_limit, vcltzq_s32(o)), r);
}

static void decouple_fine_neon(const int32_t *const o[VMAFX_ADM_BANDS], const int32_t *const t[VMAFX_ADM_BANDS], int n,
                               double gain_limit, int32_t *const ret_r[VMAFX_ADM_BANDS],
                               int32_t *const ret_a[VMAFX_ADM_BANDS])
{
    const float64x2_t limit = vdupq_n_f64(gain_limit);

    if (n < BLOCK) {
        vmafx_adm_kernels_c.decouple[0](o, t, n, gain_limit, ret_r, ret_a);
        return;
    }
    for (int at = 0; at < n; at += BLOCK) {
        int x = at + BLOCK <= n ? at : n - BLOCK;
        uint32x4_t same = same_angle(vld1q_s32(o[VMAFX_ADM_H] + x), vld1q_s32(o[VMAFX_ADM_V] + x),
                                     vld1q_s32(t[VMAFX_ADM_H] + x), vld1q_s32(t[VMAFX_ADM_V] + x));

        for (int b = 0; b < VMAFX_ADM_BANDS; b++) {
            int32x4_t tv = vld1q_s32(t[b] + x), r = restored(vld1q_s32(o[b] + x), tv, same, limit);
            vst1q_s32(ret_r[b] + x, r);
            vst1q_s32(ret_a[b] + x, vsubq_s32(tv, r));
        }
    }
}

/* ---- Masking ---- */

static inline int32x4_t wrap16(int32x4_t v)
{
    return vmovl_s16(vmovn_s32(v));
}

static inline int32x4_t weight_fine(int32x4_t c, int factor)
{
    return wrap16(vrshrq_n_s32(vmulq_n_s32(c, factor), 12));
}

static inline int32x4_t weighted_fine(const int32_t *y, uint32_t gain, int band)
{
    int32x4_t product = vmulq_n_s32(vld1q_s32(y), (int32_t)gain);

    if (band == VMAFX_ADM_D)
        return wrap16(vshrq_n_s32(vaddq_s32(product, vdupq_n_s32(65535)), 17));
    return wrap16(vrshrq_n_s32(product, 15));
}

static void weigh_fine_neon(const int32_t *const y[VMAFX_ADM_BANDS], int n, const VmafxAdmGains *gains, int32_t *ret_n,
                            int32_t *ret_z_minus_n)
{
    if (n < BLOCK) {
        vmafx_adm_kernels_c.weigh[0](y, n, gains, ret_n, ret_z_minus_n);
        return;
    }
    for (int at = 0; at < n; at += BLOCK) {
        int x = at + BLOCK <= n ? at : n - BLOCK;
        int32x4_t sum_n = vdupq_n_s32(0), sum_z = sum_n;

        for (int b = 0; b < VMAFX_ADM_BANDS; b++) {
            int32x4_t c = vabsq_s32(weighted_fine(y[b] + x, gains->r[b], b));
            sum_n = vaddq_s32(sum_n, weight_fine(c, 4369));
            sum_z = vaddq_s32(sum_z, weight_fine(c, 8738));
        }
        vst1q_s32(ret_n + x, sum_n);
        vst1q_s32(ret_z_minus_n + x, vsubq_s32(sum_z, sum_n));
    }
}

/* (gain·v + 2^27) >> 28, low 32 bits; the gain is below 2^31. */
static inline int32x4_t weighted_coarse(int32x4_t v, uint32_t gain)
{
    int64x2_t lo = vmull_n_s32(vget_low_s32(v), (int32_t)gain), hi = vmull_high_n_s32(v, (int32_t)gain);

    return vrshrn_high_n_s64(vrshrn_n_s64(lo, 28), hi, 28);
}

/* (factor·c − 2^31) >> 32 */
static inline int32x4_t weight_coarse(uint32x4_t c, uint32_t factor)
{
    uint64x2_t lo = vmull_n_u32(vget_low_u32(c), factor), hi = vmull_high_n_u32(c, factor);
    const uint64x2_t half = vdupq_n_u64(1ull << 31);

    return vreinterpretq_s32_u32(vshrn_high_n_u64(vshrn_n_u64(vsubq_u64(lo, half), 32), vsubq_u64(hi, half), 32));
}

static bool gains_fit(const VmafxAdmGains *gains)
{
    for (int b = 0; b < VMAFX_ADM_BANDS; b++)
        if (gains->r[b] > INT32_MAX)
            return false;
    return true;
}

static void weigh_coarse_neon(const int32_t *const y[VMAFX_ADM_BANDS], int n, const VmafxAdmGains *gains,
                              int32_t *ret_n, int32_t *ret_z_minus_n)
{
    if (n < BLOCK || !gains_fit(gains)) {
        vmafx_adm_kernels_c.weigh[1](y, n, gains, ret_n, ret_z_minus_n);
        return;
    }
    for (int at = 0; at < n; at += BLOCK) {
        int x = at + BLOCK <= n ? at : n - BLOCK;
        int32x4_t sum_n = vdupq_n_s32(0), sum_z = sum_n;

        for (int b = 0; b < VMAFX_ADM_BANDS; b++) {
            uint32x4_t c = vreinterpretq_u32_s32(vabsq_s32(weighted_coarse(vld1q_s32(y[b] + x), gains->r[b])));
            sum_n = vaddq_s32(sum_n, weight_coarse(c, 143165577));
            sum_z = vaddq_s32(sum_z, weight_coarse(c, 286331153));
        }
        vst1q_s32(ret_n + x, sum_n);
        vst1q_s32(ret_z_minus_n + x, vsubq_s32(sum_z, sum_n));
    }
}

/* ---- Numerators ---- */

static inline int32x4_t threshold(const int32_t *const n_rows[3], const int32_t *z_minus_n, int x)
{
    int32x4_t sum = vld1q_s32(z_minus_n + x);

    for (int j = 0; j < 3; j++)
        sum = vaddq_s32(vaddq_s32(sum, vld1q_s32(n_rows[j] + x)),
                        vaddq_s32(vld1q_s32(n_rows[j] + x - 1), vld1q_s32(n_rows[j] + x + 1)));
    return sum;
}

/* Rounded (m²·m) of one band's columns, for sums of what fits: false when a value needs more than 31 bits. */
static inline bool cubes(uint32x4_t m, int square_shift, int cube_shift, uint64x2_t *sum)
{
    const int64x2_t by_square = vdupq_n_s64(-square_shift), by_cube = vdupq_n_s64(-cube_shift);
    uint64x2_t lo = vrshlq_u64(vmull_u32(vget_low_u32(m), vget_low_u32(m)), by_square);
    uint64x2_t hi = vrshlq_u64(vmull_high_u32(m, m), by_square);
    uint64x2_t beyond = vshrq_n_u64(vorrq_u64(lo, hi), 31);
    uint32x4_t q = vmovn_high_u64(vmovn_u64(lo), hi);

    if (vmaxvq_u32(vorrq_u32(vreinterpretq_u32_u64(beyond), vshrq_n_u32(m, 31))))
        return false;
    lo = vrshlq_u64(vmull_u32(vget_low_u32(q), vget_low_u32(m)), by_cube);
    hi = vrshlq_u64(vmull_high_u32(q, m), by_cube);
    *sum = vaddq_u64(*sum, vaddq_u64(lo, hi));
    return true;
}

/* Adds sums of the blocks that fit. */
static void add_sums(const uint64x2_t acc[VMAFX_ADM_BANDS], int64_t sums[VMAFX_ADM_BANDS])
{
    for (int b = 0; b < VMAFX_ADM_BANDS; b++)
        sums[b] = (int64_t)((uint64_t)sums[b] + vaddvq_u64(acc[b]));
}

/* The C kernel, for n columns from x on. */
static void numerator_c(int coarse, const int32_t *const x[VMAFX_ADM_BANDS], const int32_t *const n_rows[3],
                        const int32_t *z_minus_n, int from, int n, const VmafxAdmGains *gains,
                        int64_t sums[VMAFX_ADM_BANDS])
{
    const int32_t *bands[] = { x[0] + from, x[1] + from, x[2] + from };
    const int32_t *rows[] = { n_rows[0] + from, n_rows[1] + from, n_rows[2] + from };

    vmafx_adm_kernels_c.numerator[coarse](bands, rows, z_minus_n + from, n, gains, sums);
}

/* The masked signal of one band at the finest scale: max(0, |R·x| − (thr << L)). */
static inline uint32x4_t masked_fine(const int32_t *x, uint32_t gain, int32x4_t thr, int32x4_t scale_shift)
{
    int32x4_t signal = vabsq_s32(vmulq_n_s32(vld1q_s32(x), (int32_t)gain)), mask = vshlq_s32(thr, scale_shift);

    return vandq_u32(vcgtq_s32(signal, mask), vreinterpretq_u32_s32(vsubq_s32(signal, mask)));
}

static void numerator_fine_neon(const int32_t *const x[VMAFX_ADM_BANDS], const int32_t *const n_rows[3],
                                const int32_t *z_minus_n, int n, const VmafxAdmGains *gains,
                                int64_t sums[VMAFX_ADM_BANDS])
{
    uint64x2_t acc[VMAFX_ADM_BANDS] = { vdupq_n_u64(0), vdupq_n_u64(0), vdupq_n_u64(0) };
    int i = 0;

    for (; i + BLOCK <= n; i += BLOCK) {
        int32x4_t thr = threshold(n_rows, z_minus_n, i);
        uint64x2_t trial[VMAFX_ADM_BANDS] = { acc[0], acc[1], acc[2] };
        bool fits = true;

        for (int b = 0; b < VMAFX_ADM_BANDS; b++) {
            bool diagonal = b == VMAFX_ADM_D;
            uint32x4_t m = masked_fine(x[b] + i, gains->r[b], thr, vdupq_n_s32(diagonal ? 12 : 10));
            fits &= cubes(m, diagonal ? 30 : 29, gains->cube_shift[b], &trial[b]);
        }
        if (!fits) {
            numerator_c(0, x, n_rows, z_minus_n, i, BLOCK, gains, sums);
            continue;
        }
        for (int b = 0; b < VMAFX_ADM_BANDS; b++)
            acc[b] = trial[b];
    }
    add_sums(acc, sums);
    numerator_c(0, x, n_rows, z_minus_n, i, n - i, gains, sums);
}

static void numerator_coarse_neon(const int32_t *const x[VMAFX_ADM_BANDS], const int32_t *const n_rows[3],
                                  const int32_t *z_minus_n, int n, const VmafxAdmGains *gains,
                                  int64_t sums[VMAFX_ADM_BANDS])
{
    uint64x2_t acc[VMAFX_ADM_BANDS] = { vdupq_n_u64(0), vdupq_n_u64(0), vdupq_n_u64(0) };
    int i = 0;

    if (!gains_fit(gains)) {
        vmafx_adm_kernels_c.numerator[1](x, n_rows, z_minus_n, n, gains, sums);
        return;
    }
    for (; i + BLOCK <= n; i += BLOCK) {
        int32x4_t thr = threshold(n_rows, z_minus_n, i);
        uint64x2_t trial[VMAFX_ADM_BANDS] = { acc[0], acc[1], acc[2] };
        bool fits = true;

        for (int b = 0; b < VMAFX_ADM_BANDS; b++) {
            int32x4_t weighted = weighted_coarse(vld1q_s32(x[b] + i), gains->r[b]);
            int32x4_t m = vsubq_s32(vabsq_s32(weighted), thr); /* modulo 2^32, as the definition has it */

            fits &= vminvq_s32(weighted) != INT32_MIN;
            m = vmaxq_s32(m, vdupq_n_s32(0));
            fits &= cubes(vreinterpretq_u32_s32(m), 30, gains->cube_shift[b], &trial[b]);
        }
        if (!fits) {
            numerator_c(1, x, n_rows, z_minus_n, i, BLOCK, gains, sums);
            continue;
        }
        for (int b = 0; b < VMAFX_ADM_BANDS; b++)
            acc[b] = trial[b];
    }
    add_sums(acc, sums);
    numerator_c(1, x, n_rows, z_minus_n, i, n - i, gains, sums);
}

/* ---- Denominators ---- */

static inline uint32x4_t magnitude(const int32_t *o)
{
    return vreinterpretq_u32_s32(vabsq_s32(vld1q_s32(o)));
}

static void denominator_rest(int coarse, const int32_t *const o[VMAFX_ADM_BANDS], int from, int n, int square_shift,
                             int cube_shift, uint64_t sums[VMAFX_ADM_BANDS])
{
    const int32_t *rest[VMAFX_ADM_BANDS] = { o[0] + from, o[1] + from, o[2] + from };

    vmafx_adm_kernels_c.denominator[coarse](rest, n - from, square_shift, cube_shift, sums);
}

static void denominator_fine_neon(const int32_t *const o[VMAFX_ADM_BANDS], int n, int square_shift, int cube_shift,
                                  uint64_t sums[VMAFX_ADM_BANDS])
{
    int whole = n / BLOCK * BLOCK;

    for (int b = 0; b < VMAFX_ADM_BANDS; b++) {
        uint64x2_t acc = vdupq_n_u64(0);

        for (int x = 0; x < whole; x += BLOCK) {
            uint32x4_t m = magnitude(o[b] + x), square = vmulq_u32(m, m);
            acc = vmlal_u32(acc, vget_low_u32(square), vget_low_u32(m));
            acc = vmlal_high_u32(acc, square, m);
        }
        sums[b] += vaddvq_u64(acc);
    }
    denominator_rest(0, o, whole, n, square_shift, cube_shift, sums);
}

static void denominator_coarse_neon(const int32_t *const o[VMAFX_ADM_BANDS], int n, int square_shift, int cube_shift,
                                    uint64_t sums[VMAFX_ADM_BANDS])
{
    const uint64x2_t round = vdupq_n_u64(1ull << square_shift);
    const int64x2_t by_square = vdupq_n_s64(-square_shift), by_cube = vdupq_n_s64(-cube_shift);
    int whole = n / BLOCK * BLOCK;

    for (int b = 0; b < VMAFX_ADM_BANDS; b++) {
        uint64x2_t acc = vdupq_n_u64(0);

        for (int x = 0; x < whole; x += BLOCK) {
            uint32x4_t m = magnitude(o[b] + x);
            uint64x2_t lo = vshlq_u64(vmlal_u32(round, vget_low_u32(m), vget_low_u32(m)), by_square);
            uint64x2_t hi = vshlq_u64(vmlal_high_u32(round, m, m), by_square);
            uint32x4_t q = vmovn_high_u64(vmovn_u64(lo), hi);

            acc = vaddq_u64(acc, vrshlq_u64(vmull_u32(vget_low_u32(q), vget_low_u32(m)), by_cube));
            acc = vaddq_u64(acc, vrshlq_u64(vmull_high_u32(q, m), by_cube));
        }
        sums[b] += vaddvq_u64(acc);
    }
    denominator_rest(1, o, whole, n, square_shift, cube_shift, sums);
}

void vmafx_adm_kernels_init_neon(VmafxAdmKernels *k)
{
    vmafx_adm_kernels_init_wavelet_neon(k);
    k->decouple[0] = decouple_fine_neon;
    k->weigh[0] = weigh_fine_neon;
    k->weigh[1] = weigh_coarse_neon;
    k->numerator[0] = numerator_fine_neon;
    k->numerator[1] = numerator_coarse_neon;
    k->denominator[0] = denominator_fine_neon;
    k->denominator[1] = denominator_coarse_neon;
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The wavelet of ADM with NEON, equal to the C kernels to the bit. adm_neon.c says how blocks are dealt with. */

#include "engine/kernels/arm/arm.h"

#include <arm_neon.h>
#include <stddef.h>

static const int16_t lo_taps[4] = { 15826, 27411, 7345, -4240 };
static const int16_t hi_taps[4] = { -4240, -7345, 27411, -15826 };

/* ---- 16-bit values, eight columns at a time ---- */

#define BLOCK 8

/* Sums of columns 0-3 and 4-7. */
typedef struct Sums {
    int32x4_t lo, hi;
} Sums;

static inline Sums filtered(const int16x8_t v[4], const int16_t taps[4])
{
    Sums sums = { vmull_n_s16(vget_low_s16(v[0]), taps[0]), vmull_high_n_s16(v[0], taps[0]) };

    for (int k = 1; k < 4; k++) {
        sums.lo = vmlal_n_s16(sums.lo, vget_low_s16(v[k]), taps[k]);
        sums.hi = vmlal_high_n_s16(sums.hi, v[k], taps[k]);
    }
    return sums;
}

/* (sum + 2^(n−1)) >> n as 16 bits, n = −shift */
static inline int16x8_t shifted(Sums sums, int32x4_t shift)
{
    return vmovn_high_s32(vmovn_s32(vrshlq_s32(sums.lo, shift)), vrshlq_s32(sums.hi, shift));
}

static void dwt_vert8_neon(const uint8_t *const rows[4], int w, int16_t *ret_lo, int16_t *ret_hi)
{
    const int32x4_t shift = vdupq_n_s32(-8);

    if (w < BLOCK) {
        vmafx_adm_kernels_c.dwt_vert8(rows, w, ret_lo, ret_hi);
        return;
    }
    for (int at = 0; at < w; at += BLOCK) {
        int x = at + BLOCK <= w ? at : w - BLOCK;
        int16x8_t v[4];

        for (int k = 0; k < 4; k++)
            v[k] = vreinterpretq_s16_u16(vsubl_u8(vld1_u8(rows[k] + x), vdup_n_u8(128)));
        vst1q_s16(ret_lo + x, shifted(filtered(v, lo_taps), shift));
        vst1q_s16(ret_hi + x, shifted(filtered(v, hi_taps), shift));
    }
}

static void dwt_vert16_neon(const uint16_t *const rows[4], int bpc, int w, int16_t *ret_lo, int16_t *ret_hi)
{
    const uint16x8_t middle = vdupq_n_u16((uint16_t)(1 << (bpc - 1)));
    const int32x4_t shift = vdupq_n_s32(-bpc);

    if (w < BLOCK) {
        vmafx_adm_kernels_c.dwt_vert16(rows, bpc, w, ret_lo, ret_hi);
        return;
    }
    for (int at = 0; at < w; at += BLOCK) {
        int x = at + BLOCK <= w ? at : w - BLOCK;
        int16x8_t v[4];

        for (int k = 0; k < 4; k++)
            v[k] = vreinterpretq_s16_u16(vsubq_u16(vld1q_u16(rows[k] + x), middle));
        vst1q_s16(ret_lo + x, shifted(filtered(v, lo_taps), shift));
        vst1q_s16(ret_hi + x, shifted(filtered(v, hi_taps), shift));
    }
}

static inline void put_sums(int32_t *ret, Sums sums)
{
    vst1q_s32(ret, sums.lo);
    vst1q_s32(ret + 4, sums.hi);
}

static void dwt_vert_second_neon(const int16_t *const rows[4], int w, int32_t *ret_lo, int32_t *ret_hi)
{
    if (w < BLOCK) {
        vmafx_adm_kernels_c.dwt_vert_second(rows, w, ret_lo, ret_hi);
        return;
    }
    for (int at = 0; at < w; at += BLOCK) {
        int x = at + BLOCK <= w ? at : w - BLOCK;
        int16x8_t v[4] = { vld1q_s16(rows[0] + x), vld1q_s16(rows[1] + x), vld1q_s16(rows[2] + x),
                           vld1q_s16(rows[3] + x) };

        put_sums(ret_lo + x, filtered(v, lo_taps));
        put_sums(ret_hi + x, filtered(v, hi_taps));
    }
}

static inline Sums rounded16(Sums sums)
{
    return (Sums){ vrshrq_n_s32(sums.lo, 16), vrshrq_n_s32(sums.hi, 16) };
}

/* Columns 2x − 1, 2x, 2x + 1, 2x + 2 for 8 values of x. */
static inline void split_words(const int16_t *row, ptrdiff_t x, int16x8_t ret[4])
{
    int16x8x2_t before = vld2q_s16(row + 2 * x - 1), after = vld2q_s16(row + 2 * x + 1);

    ret[0] = before.val[0];
    ret[1] = before.val[1];
    ret[2] = after.val[0];
    ret[3] = after.val[1];
}

static void dwt_horz_fine_neon(const int16_t *lo, const int16_t *hi, int n, int16_t *ret_a,
                               int32_t *const ret_bands[VMAFX_ADM_BANDS])
{
    if (n < BLOCK) {
        vmafx_adm_kernels_c.dwt_horz_fine(lo, hi, n, ret_a, ret_bands);
        return;
    }
    for (int at = 0; at < n; at += BLOCK) {
        int x = at + BLOCK <= n ? at : n - BLOCK;
        int16x8_t l[4], h[4];

        split_words(lo, x, l);
        split_words(hi, x, h);
        vst1q_s16(ret_a + x, shifted(filtered(l, lo_taps), vdupq_n_s32(-16)));
        put_sums(ret_bands[VMAFX_ADM_V] + x, rounded16(filtered(l, hi_taps)));
        put_sums(ret_bands[VMAFX_ADM_H] + x, rounded16(filtered(h, lo_taps)));
        put_sums(ret_bands[VMAFX_ADM_D] + x, rounded16(filtered(h, hi_taps)));
    }
}

/* ---- 32-bit values, four columns at a time ---- */

#define WIDE_BLOCK 4

/* Σ taps·v, rounded, as 32 bits; shift is negative. */
static inline int32x4_t filtered_wide(const int32x4_t v[4], const int16_t taps[4], int64x2_t shift)
{
    int64x2_t lo = vmull_n_s32(vget_low_s32(v[0]), taps[0]), hi = vmull_high_n_s32(v[0], taps[0]);

    for (int k = 1; k < 4; k++) {
        lo = vmlal_n_s32(lo, vget_low_s32(v[k]), taps[k]);
        hi = vmlal_high_n_s32(hi, v[k], taps[k]);
    }
    return vmovn_high_s64(vmovn_s64(vrshlq_s64(lo, shift)), vrshlq_s64(hi, shift));
}

static void dwt_vert_neon(const int32_t *const rows[4], int w, int32_t *ret_lo, int32_t *ret_hi)
{
    const int64x2_t shift = vdupq_n_s64(-16);

    if (w < WIDE_BLOCK) {
        vmafx_adm_kernels_c.dwt_vert(rows, w, ret_lo, ret_hi);
        return;
    }
    for (int at = 0; at < w; at += WIDE_BLOCK) {
        int x = at + WIDE_BLOCK <= w ? at : w - WIDE_BLOCK;
        int32x4_t v[4] = { vld1q_s32(rows[0] + x), vld1q_s32(rows[1] + x), vld1q_s32(rows[2] + x),
                           vld1q_s32(rows[3] + x) };

        vst1q_s32(ret_lo + x, filtered_wide(v, lo_taps, shift));
        vst1q_s32(ret_hi + x, filtered_wide(v, hi_taps, shift));
    }
}

/* Columns 2x − 1, 2x, 2x + 1, 2x + 2 for 4 values of x. */
static inline void split_columns(const int32_t *row, ptrdiff_t x, int32x4_t ret[4])
{
    int32x4x2_t before = vld2q_s32(row + 2 * x - 1), after = vld2q_s32(row + 2 * x + 1);

    ret[0] = before.val[0];
    ret[1] = before.val[1];
    ret[2] = after.val[0];
    ret[3] = after.val[1];
}

static void dwt_horz_neon(const int32_t *lo, const int32_t *hi, int shift, int n, int32_t *ret_a,
                          int32_t *const ret_bands[VMAFX_ADM_BANDS])
{
    const int64x2_t by = vdupq_n_s64(-shift);

    if (n < WIDE_BLOCK) {
        vmafx_adm_kernels_c.dwt_horz(lo, hi, shift, n, ret_a, ret_bands);
        return;
    }
    for (int at = 0; at < n; at += WIDE_BLOCK) {
        int x = at + WIDE_BLOCK <= n ? at : n - WIDE_BLOCK;
        int32x4_t l[4], h[4];

        split_columns(lo, x, l);
        split_columns(hi, x, h);
        vst1q_s32(ret_a + x, filtered_wide(l, lo_taps, by));
        vst1q_s32(ret_bands[VMAFX_ADM_V] + x, filtered_wide(l, hi_taps, by));
        vst1q_s32(ret_bands[VMAFX_ADM_H] + x, filtered_wide(h, lo_taps, by));
        vst1q_s32(ret_bands[VMAFX_ADM_D] + x, filtered_wide(h, hi_taps, by));
    }
}

void vmafx_adm_kernels_init_wavelet_neon(VmafxAdmKernels *k)
{
    k->dwt_vert8 = dwt_vert8_neon;
    k->dwt_vert16 = dwt_vert16_neon;
    k->dwt_vert_second = dwt_vert_second_neon;
    k->dwt_vert = dwt_vert_neon;
    k->dwt_horz_fine = dwt_horz_fine_neon;
    k->dwt_horz = dwt_horz_neon;
}

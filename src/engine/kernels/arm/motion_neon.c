/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Integer motion with NEON, equal to the C kernels to the bit. Eight columns at a time; the last block of a row
 * overlaps the one before, and rows shorter than a block are left to the C kernel.
 */

#include "engine/kernels/arm/arm.h"

#include <arm_neon.h>

#define BLOCK 8
#define OUTER 3571
#define INNER 16004
#define MIDST 26386

static const uint16_t taps[VMAFX_MOTION_TAPS] = { OUTER, INNER, MIDST, INNER, OUTER };

/* ---- Vertical, 8 bits: the filter is symmetric, so differences at equal distance from the middle are added first ----
 */

static inline int16x8_t difference8(const uint8_t *earlier, const uint8_t *current)
{
    return vreinterpretq_s16_u16(vsubl_u8(vld1_u8(earlier), vld1_u8(current)));
}

static void vert8_neon(const uint8_t *const *earlier, const uint8_t *const *current, int w, int16_t *ret_half,
                       int16_t *ret_bit)
{
    if (w < BLOCK) {
        vmafx_motion_kernels_c.vert8(earlier, current, w, ret_half, ret_bit);
        return;
    }
    for (int at = 0; at < w; at += BLOCK) {
        int x = at + BLOCK <= w ? at : w - BLOCK;
        int16x8_t d[VMAFX_MOTION_TAPS];

        for (int k = 0; k < VMAFX_MOTION_TAPS; k++)
            d[k] = difference8(earlier[k] + x, current[k] + x);
        int16x8_t outer = vaddq_s16(d[0], d[4]), inner = vaddq_s16(d[1], d[3]);
        int32x4_t lo = vdupq_n_s32(128), hi = lo;

        lo = vmlal_n_s16(lo, vget_low_s16(outer), OUTER);
        hi = vmlal_high_n_s16(hi, outer, OUTER);
        lo = vmlal_n_s16(lo, vget_low_s16(inner), INNER);
        hi = vmlal_high_n_s16(hi, inner, INNER);
        lo = vmlal_n_s16(lo, vget_low_s16(d[2]), MIDST);
        hi = vmlal_high_n_s16(hi, d[2], MIDST);
        vst1q_s16(ret_half + x, vshrn_high_n_s32(vshrn_n_s32(lo, 9), hi, 9));
        vst1q_s16(ret_bit + x, vandq_s16(vshrn_high_n_s32(vshrn_n_s32(lo, 8), hi, 8), vdupq_n_s16(1)));
    }
}

/* ---- Vertical, up to 16 bits ---- */

/* Σ G·v of columns x … x + 7, below 2^32. */
static inline void filtered_rows(const uint16_t *const *rows, int x, uint32x4_t ret[2])
{
    ret[0] = ret[1] = vdupq_n_u32(0);
    for (int k = 0; k < VMAFX_MOTION_TAPS; k++) {
        uint16x8_t v = vld1q_u16(rows[k] + x);

        ret[0] = vmlal_n_u16(ret[0], vget_low_u16(v), taps[k]);
        ret[1] = vmlal_high_n_u16(ret[1], v, taps[k]);
    }
}

/* Differences of two sums need 33 bits, but half of one fits 32, and the rounding constant is even:
   v = (h + 2^(bpc−2)) >> (bpc−1), its lowest bit being `bit`. */
static void vert16_neon(const uint16_t *const *earlier, const uint16_t *const *current, int bpc, int w,
                        int16_t *ret_half, int16_t *ret_bit)
{
    const int32x4_t round = vdupq_n_s32(1 << (bpc - 2)), shift_half = vdupq_n_s32(-bpc), shift = vdupq_n_s32(1 - bpc);

    if (w < BLOCK) {
        vmafx_motion_kernels_c.vert16(earlier, current, bpc, w, ret_half, ret_bit);
        return;
    }
    for (int at = 0; at < w; at += BLOCK) {
        int x = at + BLOCK <= w ? at : w - BLOCK;
        uint32x4_t e[2], c[2];
        int16x4_t half[2], bit[2];

        filtered_rows(earlier, x, e);
        filtered_rows(current, x, c);
        for (int i = 0; i < 2; i++) {
            int32x4_t h = vaddq_s32(vreinterpretq_s32_u32(vhsubq_u32(e[i], c[i])), round);
            half[i] = vmovn_s32(vshlq_s32(h, shift_half));
            bit[i] = vmovn_s32(vshlq_s32(h, shift));
        }
        vst1q_s16(ret_half + x, vcombine_s16(half[0], half[1]));
        vst1q_s16(ret_bit + x, vandq_s16(vcombine_s16(bit[0], bit[1]), vdupq_n_s16(1)));
    }
}

/* ---- Horizontal ---- */

/* |(2·half + bit) >> 16| of the filtered row's two parts. */
static inline uint32x4_t magnitude(int32x4_t half, int32x4_t bit)
{
    return vreinterpretq_u32_s32(vabsq_s32(vshrq_n_s32(vsraq_n_s32(half, bit, 1), 15)));
}

static uint64_t horz_sad_neon(const int16_t *half, const int16_t *bit, int w)
{
    uint32x4_t sum = vdupq_n_u32(0); /* magnitudes are at most 2^16, and a lane takes at most 2^15 of them */
    int x = 0;

    for (; x + BLOCK <= w; x += BLOCK) {
        int32x4_t h[2] = { vdupq_n_s32(0), vdupq_n_s32(0) }, b[2] = { vdupq_n_s32(32768), vdupq_n_s32(32768) };

        for (int k = 0; k < VMAFX_MOTION_TAPS; k++) {
            int16x8_t hv = vld1q_s16(half + x + k - VMAFX_MOTION_PAD), bv = vld1q_s16(bit + x + k - VMAFX_MOTION_PAD);
            int16_t tap = (int16_t)taps[k];

            h[0] = vmlal_n_s16(h[0], vget_low_s16(hv), tap);
            h[1] = vmlal_high_n_s16(h[1], hv, tap);
            b[0] = vmlal_n_s16(b[0], vget_low_s16(bv), tap);
            b[1] = vmlal_high_n_s16(b[1], bv, tap);
        }
        sum = vaddq_u32(sum, vaddq_u32(magnitude(h[0], b[0]), magnitude(h[1], b[1])));
    }
    return vaddlvq_u32(sum) + vmafx_motion_kernels_c.horz_sad(half + x, bit + x, w - x);
}

void vmafx_motion_kernels_init_neon(VmafxMotionKernels *k)
{
    *k = (VmafxMotionKernels){ .vert8 = vert8_neon, .vert16 = vert16_neon, .horz_sad = horz_sad_neon };
}

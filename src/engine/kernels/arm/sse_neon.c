/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Squared differences with NEON. What is left over at the end of a row is for the C kernels. */

#include "engine/kernels/arm/arm.h"

#include <arm_neon.h>

/* A lane takes 4 · 255² a turn, and the longest row has 4096 turns: below 2^31. */
static uint64_t row8(const uint8_t *a, const uint8_t *b, int n)
{
    uint32x4_t sum = vdupq_n_u32(0);
    int x = 0;

    for (; x + 16 <= n; x += 16) {
        uint8x16_t d = vabdq_u8(vld1q_u8(a + x), vld1q_u8(b + x));

        sum = vpadalq_u16(sum, vmull_u8(vget_low_u8(d), vget_low_u8(d)));
        sum = vpadalq_u16(sum, vmull_high_u8(d, d));
    }
    return vaddlvq_u32(sum) + vmafx_sse_kernels_c.row8(a + x, b + x, n - x);
}

/* A lane takes 2 · 4095² a turn: 64 of them stay below 2^32. */
static uint64_t row12(const uint16_t *a, const uint16_t *b, int n)
{
    enum { STEP = 8, TURNS = 64 };
    uint64x2_t sum = vdupq_n_u64(0);
    int x = 0;

    while (x + STEP <= n) {
        uint32x4_t part = vdupq_n_u32(0);

        for (int turn = 0; turn < TURNS && x + STEP <= n; turn++, x += STEP) {
            uint16x8_t d = vabdq_u16(vld1q_u16(a + x), vld1q_u16(b + x));

            part = vmlal_u16(part, vget_low_u16(d), vget_low_u16(d));
            part = vmlal_high_u16(part, d, d);
        }
        sum = vpadalq_u32(sum, part);
    }
    return vaddvq_u64(sum) + vmafx_sse_kernels_c.row12(a + x, b + x, n - x);
}

static uint64_t row16(const uint16_t *a, const uint16_t *b, int n)
{
    enum { STEP = 8 };
    uint64x2_t sum = vdupq_n_u64(0);
    int x = 0;

    for (; x + STEP <= n; x += STEP) {
        uint16x8_t d = vabdq_u16(vld1q_u16(a + x), vld1q_u16(b + x));

        sum = vpadalq_u32(sum, vmull_u16(vget_low_u16(d), vget_low_u16(d)));
        sum = vpadalq_u32(sum, vmull_high_u16(d, d));
    }
    return vaddvq_u64(sum) + vmafx_sse_kernels_c.row16(a + x, b + x, n - x);
}

void vmafx_sse_kernels_init_neon(VmafxSseKernels *k)
{
    *k = (VmafxSseKernels){ .row8 = row8, .row12 = row12, .row16 = row16 };
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Eight lanes of 16 bits. */
#ifndef VMAFX_ENGINE_KERNELS_ARM_WORDS_H
#define VMAFX_ENGINE_KERNELS_ARM_WORDS_H

#include <arm_neon.h>

#define all16 vdupq_n_s16
#define max16 vmaxq_s16

/* Modulo 2^16, of which signed numbers have no promise. */
static inline int16x8_t add16(int16x8_t a, int16x8_t b)
{
    return vreinterpretq_s16_u16(vaddq_u16(vreinterpretq_u16_s16(a), vreinterpretq_u16_s16(b)));
}

static inline int16x8_t sub16(int16x8_t a, int16x8_t b)
{
    return vreinterpretq_s16_u16(vsubq_u16(vreinterpretq_u16_s16(a), vreinterpretq_u16_s16(b)));
}
#endif

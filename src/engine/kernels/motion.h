/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Row kernels of integer motion: the five-tap blur of a frame difference, and the sum of its absolute values. */
#ifndef VMAFX_ENGINE_KERNELS_MOTION_H
#define VMAFX_ENGINE_KERNELS_MOTION_H

#include <stdint.h>

#define VMAFX_MOTION_TAPS 5
#define VMAFX_MOTION_PAD  2

/**
 * A vertically filtered row v has 17 bits with its sign. It is kept as two rows, half = v >> 1 and bit = v & 1: then
 * 16-bit multiplications can filter it horizontally.
 */
typedef struct VmafxMotionKernels {
    /** Vertical blur of earlier − current over five rows each: v = (Σ G·d + 2^(bpc−1)) >> bpc, floor. */
    void (*vert8)(const uint8_t *const *earlier, const uint8_t *const *current, int w, int16_t *ret_half,
                  int16_t *ret_bit);
    void (*vert16)(const uint16_t *const *earlier, const uint16_t *const *current, int bpc, int w, int16_t *ret_half,
                   int16_t *ret_bit);
    /** Σ |(Σ G·v + 32768) >> 16| over w columns; both rows have two valid values on either side. */
    uint64_t (*horz_sad)(const int16_t *half, const int16_t *bit, int w);
} VmafxMotionKernels;

/** The definition; faster kernels leave to it what does not fit them. */
extern const VmafxMotionKernels vmafx_motion_kernels_c;

void vmafx_motion_kernels_init(VmafxMotionKernels *k, unsigned cpu);
#endif

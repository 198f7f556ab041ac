/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Row kernels of integer motion: the five-tap blur of a frame difference, and the sum of its absolute values. */
#ifndef VMAFX_ENGINE_KERNELS_MOTION_H
#define VMAFX_ENGINE_KERNELS_MOTION_H

#include <stdint.h>

#define VMAFX_MOTION_TAPS 5
#define VMAFX_MOTION_PAD  2

typedef struct VmafxMotionKernels {
    /** Vertical blur of earlier − current over five rows each: (Σ G·d + 2^(bpc−1)) >> bpc, floor. */
    void (*vert8)(const uint8_t *const *earlier, const uint8_t *const *current, int w, int32_t *ret);
    void (*vert16)(const uint16_t *const *earlier, const uint16_t *const *current, int bpc, int w, int32_t *ret);
    /** Σ |(Σ G·v + 32768) >> 16| over w columns; row has two valid values on either side. */
    uint64_t (*horz_sad)(const int32_t *row, int w);
} VmafxMotionKernels;

void vmafx_motion_kernels_init(VmafxMotionKernels *k, unsigned cpu);
#endif

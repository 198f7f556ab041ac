/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Row kernels of PSNR: squared differences, exactly. */
#ifndef VMAFX_ENGINE_KERNELS_SSE_H
#define VMAFX_ENGINE_KERNELS_SSE_H

#include <stdint.h>

/** Σ (a − b)² over n samples, 0 ≤ n ≤ VMAFX_DIMENSION_MAX. No alignment; no sample past n is read. */
typedef struct VmafxSseKernels {
    uint64_t (*row8)(const uint8_t *a, const uint8_t *b, int n);
    uint64_t (*row12)(const uint16_t *a, const uint16_t *b, int n); /* values of at most 12 bits */
    uint64_t (*row16)(const uint16_t *a, const uint16_t *b, int n); /* any value */
} VmafxSseKernels;

extern const VmafxSseKernels vmafx_sse_kernels_c;

void vmafx_sse_kernels_init(VmafxSseKernels *k, unsigned cpu);
#endif

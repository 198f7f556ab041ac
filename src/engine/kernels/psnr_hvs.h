/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The kernels of PSNR-HVS-M: a row of blocks of 8 x 8, of which each begins where the one before has its last column.
 */
#ifndef VMAFX_ENGINE_KERNELS_PSNR_HVS_H
#define VMAFX_ENGINE_KERNELS_PSNR_HVS_H

#include <stdint.h>

#define VMAFX_HVS_SIDE    8
#define VMAFX_HVS_STEP    7
#define VMAFX_HVS_BPC_MAX 12

/** By vertical and horizontal frequency; both tables are symmetric, and their numbers are positive. */
typedef struct VmafxHvsTables {
    float seen[VMAFX_HVS_SIDE][VMAFX_HVS_SIDE];  /* how well a difference is */
    float masks[VMAFX_HVS_SIDE][VMAFX_HVS_SIDE]; /* how much the block's energy there hides */
} VmafxHvsTables;

/**
 * What n blocks differ by, n ≥ 0, added to so_far, which is 0 or positive: in binary32, coefficient after coefficient
 * from the top left, block after block. The rows are 8, of 7 · n + 1 samples each.
 */
typedef struct VmafxHvsKernels {
    float (*row8)(const uint8_t *const *ref, const uint8_t *const *dis, int n, const VmafxHvsTables *tables,
                  float so_far);
    float (*row16)(const uint16_t *const *ref, const uint16_t *const *dis, int n, const VmafxHvsTables *tables,
                   float so_far); /* samples of up to 12 bits */
} VmafxHvsKernels;

extern const VmafxHvsKernels vmafx_hvs_kernels_c;

/** The integer transform of a block, in place: rows of samples in, vertical by horizontal frequency out. */
void vmafx_hvs_transform(int32_t block[VMAFX_HVS_SIDE][VMAFX_HVS_SIDE]);

void vmafx_hvs_kernels_init(VmafxHvsKernels *k, unsigned cpu);
#endif

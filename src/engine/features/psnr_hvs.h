/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The part of PSNR-HVS that can be looked at on its own. */
#ifndef VMAFX_ENGINE_FEATURES_PSNR_HVS_H
#define VMAFX_ENGINE_FEATURES_PSNR_HVS_H

#include <stdint.h>

#define VMAFX_HVS_BLOCK 8

/** The integer transform of a block, in place: rows of samples of up to 12 bits in, vertical by horizontal frequency
 * out. */
void vmafx_psnr_hvs_transform(int32_t block[VMAFX_HVS_BLOCK][VMAFX_HVS_BLOCK]);
#endif

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Faster kernels for arm64: each of these replaces what it has in a table that holds the C ones. NEON belongs to the
 * architecture, so ssim_rows.h and speed_rows.h, which the compiler vectorises, are compiled for it already. */
#ifndef VMAFX_ENGINE_KERNELS_ARM_ARM_H
#define VMAFX_ENGINE_KERNELS_ARM_ARM_H

#include "engine/kernels/adm.h"
#include "engine/kernels/motion.h"
#include "engine/kernels/sse.h"
#include "engine/kernels/vif.h"

void vmafx_adm_kernels_init_neon(VmafxAdmKernels *k);
void vmafx_adm_kernels_init_wavelet_neon(VmafxAdmKernels *k); /* a part of the one before */
void vmafx_motion_kernels_init_neon(VmafxMotionKernels *k);
void vmafx_sse_kernels_init_neon(VmafxSseKernels *k);
void vmafx_vif_kernels_init_neon(VmafxVifKernels *k);
#endif

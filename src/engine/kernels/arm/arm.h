/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Faster kernels for arm64: each of these replaces what it has in a table that holds the C ones. NEON belongs to the
 * architecture, so what the compiler makes of NAME_rows.h is for it already; where that is good, it stays. */
#ifndef VMAFX_ENGINE_KERNELS_ARM_ARM_H
#define VMAFX_ENGINE_KERNELS_ARM_ARM_H

#include "engine/kernels/adm.h"
#include "engine/kernels/cambi.h"
#include "engine/kernels/ciede.h"
#include "engine/kernels/float_vif.h"
#include "engine/kernels/floats.h"
#include "engine/kernels/motion.h"
#include "engine/kernels/psnr_hvs.h"
#include "engine/kernels/speed.h"
#include "engine/kernels/sse.h"
#include "engine/kernels/ssim.h"
#include "engine/kernels/vif.h"

void vmafx_adm_kernels_init_neon(VmafxAdmKernels *k);
void vmafx_adm_kernels_init_wavelet_neon(VmafxAdmKernels *k); /* a part of the one before */
void vmafx_cambi_kernels_init_neon(VmafxCambiKernels *k);
void vmafx_ciede_kernels_init_neon(VmafxCiedeKernels *k);
void vmafx_float_vif_kernels_init_neon(VmafxFloatVifKernels *k);
void vmafx_floats_kernels_init_neon(VmafxFloatsKernels *k);
void vmafx_hvs_kernels_init_neon(VmafxHvsKernels *k);
void vmafx_motion_kernels_init_neon(VmafxMotionKernels *k);
void vmafx_speed_kernels_init_neon(VmafxSpeedKernels *k);
void vmafx_sse_kernels_init_neon(VmafxSseKernels *k);
void vmafx_ssim_kernels_init_neon(VmafxSsimKernels *k);
void vmafx_vif_kernels_init_neon(VmafxVifKernels *k);
#endif

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Faster kernels for x86-64: each of these replaces what it has in a table that holds the C ones. */
#ifndef VMAFX_ENGINE_KERNELS_X86_X86_H
#define VMAFX_ENGINE_KERNELS_X86_X86_H

#include "engine/kernels/adm.h"
#include "engine/kernels/cambi.h"
#include "engine/kernels/ciede.h"
#include "engine/kernels/float_adm.h"
#include "engine/kernels/float_vif.h"
#include "engine/kernels/floats.h"
#include "engine/kernels/motion.h"
#include "engine/kernels/psnr_hvs.h"
#include "engine/kernels/sse.h"
#include "engine/kernels/speed.h"
#include "engine/kernels/ssim.h"
#include "engine/kernels/vif.h"

void vmafx_adm_kernels_init_avx2(VmafxAdmKernels *k);
void vmafx_adm_kernels_init_wavelet_avx2(VmafxAdmKernels *k); /* a part of the one before */
void vmafx_adm_kernels_init_avx512(VmafxAdmKernels *k);
/* Parts of the one before. */
void vmafx_adm_kernels_init_fine_avx512(VmafxAdmKernels *k);
void vmafx_adm_kernels_init_wavelet_avx512(VmafxAdmKernels *k);
void vmafx_cambi_kernels_init_avx2(VmafxCambiKernels *k);
void vmafx_cambi_kernels_init_avx512(VmafxCambiKernels *k);
void vmafx_ciede_kernels_init_avx2(VmafxCiedeKernels *k);
void vmafx_ciede_kernels_init_avx512(VmafxCiedeKernels *k);
void vmafx_floats_kernels_init_avx2(VmafxFloatsKernels *k);
void vmafx_floats_kernels_init_avx512(VmafxFloatsKernels *k);
void vmafx_float_adm_kernels_init_avx2(VmafxFloatAdmKernels *k);
void vmafx_float_adm_kernels_init_avx512(VmafxFloatAdmKernels *k);
void vmafx_float_vif_kernels_init_avx2(VmafxFloatVifKernels *k);
void vmafx_float_vif_kernels_init_avx512(VmafxFloatVifKernels *k);
void vmafx_hvs_kernels_init_avx2(VmafxHvsKernels *k);
void vmafx_hvs_kernels_init_avx512(VmafxHvsKernels *k);
void vmafx_motion_kernels_init_avx2(VmafxMotionKernels *k);
void vmafx_motion_kernels_init_avx512(VmafxMotionKernels *k);
void vmafx_sse_kernels_init_avx2(VmafxSseKernels *k);
void vmafx_sse_kernels_init_avx512(VmafxSseKernels *k);
void vmafx_speed_kernels_init_avx2(VmafxSpeedKernels *k);
void vmafx_speed_kernels_init_avx512(VmafxSpeedKernels *k);
void vmafx_ssim_kernels_init_avx2(VmafxSsimKernels *k);
void vmafx_ssim_kernels_init_avx512(VmafxSsimKernels *k);
void vmafx_vif_kernels_init_avx2(VmafxVifKernels *k);
void vmafx_vif_kernels_init_avx512(VmafxVifKernels *k);
void vmafx_vif_kernels_init_measure_avx512(VmafxVifKernels *k); /* a part of the one before */
#endif

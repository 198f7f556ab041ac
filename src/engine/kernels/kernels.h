/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Every kernel the engine uses, chosen once from the CPU flags that are passed in. */
#ifndef VMAFX_ENGINE_KERNELS_KERNELS_H
#define VMAFX_ENGINE_KERNELS_KERNELS_H

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

typedef struct VmafxKernels {
    VmafxVifKernels vif;
    VmafxAdmKernels adm;
    VmafxMotionKernels motion;
    VmafxCambiKernels cambi;
    VmafxCiedeKernels ciede;
    VmafxFloatsKernels floats;
    VmafxFloatAdmKernels float_adm;
    VmafxFloatVifKernels float_vif;
    VmafxHvsKernels hvs;
    VmafxSseKernels sse;
    VmafxSpeedKernels speed;
    VmafxSsimKernels ssim;
} VmafxKernels;

/** cpu: flags of what the machine can do; 0 gives the plain C kernels. */
void vmafx_kernels_init(VmafxKernels *k, unsigned cpu);
#endif

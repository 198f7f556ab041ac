/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The kernel table. */

#include "engine/kernels/kernels.h"

void vmafx_kernels_init(VmafxKernels *k, unsigned cpu)
{
    vmafx_vif_kernels_init(&k->vif, cpu);
    vmafx_adm_kernels_init(&k->adm, cpu);
    vmafx_motion_kernels_init(&k->motion, cpu);
    vmafx_cambi_kernels_init(&k->cambi, cpu);
    vmafx_ciede_kernels_init(&k->ciede, cpu);
    vmafx_floats_kernels_init(&k->floats, cpu);
    vmafx_float_adm_kernels_init(&k->float_adm, cpu);
    vmafx_float_vif_kernels_init(&k->float_vif, cpu);
    vmafx_hvs_kernels_init(&k->hvs, cpu);
    vmafx_sse_kernels_init(&k->sse, cpu);
    vmafx_speed_kernels_init(&k->speed, cpu);
    vmafx_ssim_kernels_init(&k->ssim, cpu);
}

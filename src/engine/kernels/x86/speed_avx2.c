/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* SpEED's rows, compiled for AVX2. */

#include "engine/kernels/speed_rows.h"
#include "engine/kernels/x86/x86.h"

void vmafx_speed_kernels_init_avx2(VmafxSpeedKernels *k)
{
    *k = kernels;
}

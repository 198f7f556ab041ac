/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The rows of ADM in binary32, compiled for AVX2. */

#include "engine/kernels/float_adm_rows.h"
#include "engine/kernels/x86/x86.h"

void vmafx_float_adm_kernels_init_avx2(VmafxFloatAdmKernels *k)
{
    *k = kernels;
}

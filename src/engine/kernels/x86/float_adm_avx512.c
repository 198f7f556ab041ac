/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The rows of ADM in binary32, compiled for AVX-512. */

#include "engine/kernels/float_adm_rows.h"
#include "engine/kernels/x86/x86.h"

void vmafx_float_adm_kernels_init_avx512(VmafxFloatAdmKernels *k)
{
    *k = kernels;
}

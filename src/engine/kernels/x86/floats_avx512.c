/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What the features in binary32 have in common, compiled for AVX-512. */

#include "engine/kernels/floats_rows.h"
#include "engine/kernels/x86/x86.h"

void vmafx_floats_kernels_init_avx512(VmafxFloatsKernels *k)
{
    *k = kernels;
}

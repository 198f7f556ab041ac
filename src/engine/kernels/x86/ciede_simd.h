/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * CIEDE2000 with vectors of whatever width; ciede_avx2.c and ciede_avx512.c include it after they have said what a
 * vector is: LANES, DOUBLES, FLOATS, MASK, D(op) and F(op), an intrinsic on DOUBLES, on FLOATS, without its prefix, and
 * what is done in another way in each width.
 */

#define all         D(set1_pd)
#define all_floats  F(set1_ps)
#define get         F(loadu_ps)
#define put         F(storeu_ps)
#define widen       D(cvtps_pd)
#define narrow      D(cvtpd_ps)
#define square_root D(sqrt_pd)
#define min_doubles D(min_pd)
#define max_doubles D(max_pd)
#define min_floats  F(min_ps)

static inline uint64_t less(FLOATS a, FLOATS b)
{
    return (uint64_t)F(movemask_ps)(F(cmp_ps)(a, b, _CMP_LT_OQ));
}

static inline uint64_t differ(FLOATS a, FLOATS b)
{
    return (uint64_t)F(movemask_ps)(F(cmp_ps)(a, b, _CMP_NEQ_UQ));
}

#include "engine/kernels/ciede_simd.h"

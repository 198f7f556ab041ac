/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* CIEDE2000 with NEON. */

#include <arm_neon.h>
#include <string.h>

#include "engine/kernels/arm/arm.h"

#define LANES       2
#define DOUBLES     float64x2_t
#define FLOATS      float32x2_t
#define MASK        uint64x2_t
#define all         vdupq_n_f64
#define all_floats  vdup_n_f32
#define get         vld1_f32
#define put         vst1_f32
#define widen       vcvt_f64_f32
#define narrow      vcvt_f32_f64
#define square_root vsqrtq_f64
#define min_doubles vminnmq_f64
#define max_doubles vmaxnmq_f64
#define min_floats  vminnm_f32
#define magnitude   vabsq_f64
#define nearest     vrndnq_f64
#define above       vcgtq_f64
#define choose      vbslq_f64

static inline float64x2_t samples(const uint16_t *p)
{
    return (float64x2_t){ p[0], p[1] };
}

static inline float64x2_t mul_add(float64x2_t a, float64x2_t b, float64x2_t c)
{
    return vfmaq_f64(c, a, b);
}

static inline uint64_t bits_of(uint32x2_t m)
{
    const uint32x2_t each = { 1, 2 };

    return vaddv_u32(vand_u32(m, each));
}

static inline uint64_t less(float32x2_t a, float32x2_t b)
{
    return bits_of(vclt_f32(a, b));
}

static inline uint64_t differ(float32x2_t a, float32x2_t b)
{
    return bits_of(vmvn_u32(vceq_f32(a, b)));
}

static inline float64x2_t mantissa(float64x2_t a)
{
    const uint64x2_t fraction = vdupq_n_u64(0xfffffffffffff);

    return vbslq_f64(fraction, a, all(1));
}

static inline float64x2_t at_exponent(const double *table, float64x2_t a)
{
    const uint64x2_t e = vreinterpretq_u64_f64(a);

    return (float64x2_t){ table[vgetq_lane_u64(e, 0) >> 52 & 15], table[vgetq_lane_u64(e, 1) >> 52 & 15] };
}

static inline float64x2_t scaled(float64x2_t a, float64x2_t n)
{
    return vreinterpretq_f64_s64(vaddq_s64(vreinterpretq_s64_f64(a), vshlq_n_s64(vcvtq_s64_f64(n), 52)));
}

#include "engine/kernels/ciede_simd.h"

void vmafx_ciede_kernels_init_neon(VmafxCiedeKernels *k)
{
    k->row = row_fast;
}

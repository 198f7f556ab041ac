/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Four columns in binary32, and the same in binary64. */
#ifndef VMAFX_ENGINE_KERNELS_ARM_FLOATS_H
#define VMAFX_ENGINE_KERNELS_ARM_FLOATS_H

#include <arm_neon.h>

/* Also 0 where v is NaN. */
static inline float32x4_t positive_or_0(float32x4_t v)
{
    return vreinterpretq_f32_u32(vandq_u32(vcgtzq_f32(v), vreinterpretq_u32_f32(v)));
}

static inline float32x4_t zero_where(uint32x4_t mask, float32x4_t v)
{
    return vreinterpretq_f32_u32(vbicq_u32(vreinterpretq_u32_f32(v), mask));
}

typedef struct Doubles {
    float64x2_t lo, hi;
} Doubles;

static inline Doubles widened(float32x4_t v)
{
    return (Doubles){ vcvt_f64_f32(vget_low_f32(v)), vcvt_high_f64_f32(v) };
}

static inline float32x4_t narrowed(Doubles v)
{
    return vcvt_high_f32_f64(vcvt_f32_f64(v.lo), v.hi);
}

static inline Doubles all_doubles(double v)
{
    return (Doubles){ vdupq_n_f64(v), vdupq_n_f64(v) };
}

static inline Doubles load_doubles(const double *p)
{
    return (Doubles){ vld1q_f64(p), vld1q_f64(p + 2) };
}

static inline void put_doubles(double *p, Doubles v)
{
    vst1q_f64(p, v.lo);
    vst1q_f64(p + 2, v.hi);
}

static inline Doubles added(Doubles a, Doubles b)
{
    return (Doubles){ vaddq_f64(a.lo, b.lo), vaddq_f64(a.hi, b.hi) };
}

static inline Doubles multiplied(Doubles a, Doubles b)
{
    return (Doubles){ vmulq_f64(a.lo, b.lo), vmulq_f64(a.hi, b.hi) };
}

static inline Doubles divided(Doubles a, Doubles b)
{
    return (Doubles){ vdivq_f64(a.lo, b.lo), vdivq_f64(a.hi, b.hi) };
}
#endif

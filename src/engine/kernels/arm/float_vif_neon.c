/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * VIF in binary32 with NEON, where compilers find no vectors in float_vif_rows.h.
 */

#include "base/base.h"
#include "engine/kernels/arm/arm.h"
#include "engine/kernels/arm/floats.h"
#include "engine/kernels/float_vif_rows.h"

#define BLOCK 4

/* p · z + c */
static inline float32x4_t step_of_horner(float32x4_t p, float32x4_t z, float c)
{
    return vaddq_f32(vmulq_f32(p, z), vdupq_n_f32(c));
}

/* log2_of, but for its last step: what 0 added to p changes, p added to the exponent does not show. */
static inline float32x4_t log2_of_four(float32x4_t v)
{
    const uint32x4_t bits = vreinterpretq_u32_f32(v), one = vdupq_n_u32(0x3f800000);
    const int32x4_t exponent = vsubq_s32(vreinterpretq_s32_u32(vshrq_n_u32(bits, 23)), vdupq_n_s32(127));
    const float32x4_t z = vsubq_f32(vreinterpretq_f32_u32(vbslq_u32(vdupq_n_u32(0x7fffff), bits, one)), vdupq_n_f32(1));
    float32x4_t p = vdupq_n_f32(-0.012671635276421F);

    p = step_of_horner(p, z, 0.064841182402670F);
    p = step_of_horner(p, z, -0.157048836463065F);
    p = step_of_horner(p, z, 0.257167726303123F);
    p = step_of_horner(p, z, -0.353800560300520F);
    p = step_of_horner(p, z, 0.480131410397451F);
    p = step_of_horner(p, z, -0.721314327952201F);
    p = step_of_horner(p, z, 1.442694803896991F);
    return vaddq_f32(vcvtq_f32_s32(exponent), vmulq_f32(p, z));
}

/* log2(1 + a / b), b in binary64 */
static inline float32x4_t log2_of_1_and(Doubles a, Doubles b)
{
    return log2_of_four(narrowed(added(all_doubles(1), divided(a, b))));
}

static void information_neon(const float *const m[VMAFX_FLOAT_VIF_MOMENTS], const VmafxFloatVifNoise *noise, int n,
                             float *ret_num, float *ret_den)
{
    const Doubles variance = all_doubles(noise->variance);
    const float32x4_t least = vdupq_n_f32(1e-10F), limit = vdupq_n_f32(noise->gain_max), one = vdupq_n_f32(1);

    if (n < BLOCK) {
        information(m, noise, n, ret_num, ret_den);
        return;
    }
    for (int at = 0; at < n; at += BLOCK) { /* the last block overlaps the one before */
        int i = VMAFX_MIN(at, n - BLOCK);
        float32x4_t mu1 = vld1q_f32(m[0] + i), mu2 = vld1q_f32(m[1] + i);
        float32x4_t v1 = positive_or_0(vsubq_f32(vld1q_f32(m[2] + i), vmulq_f32(mu1, mu1)));
        float32x4_t v2 = positive_or_0(vsubq_f32(vld1q_f32(m[3] + i), vmulq_f32(mu2, mu2)));
        float32x4_t v12 = vsubq_f32(vld1q_f32(m[4] + i), vmulq_f32(mu1, mu2));
        float32x4_t g = vdivq_f32(v12, vaddq_f32(v1, least)), sv = vsubq_f32(v2, vmulq_f32(g, v12));
        const uint32x4_t none1 = vcltq_f32(v1, least), none2 = vcltq_f32(v2, least);

        g = zero_where(vorrq_u32(none1, none2), g);
        v1 = zero_where(none1, v1);
        uint32x4_t against = vcltzq_f32(g);
        sv = zero_where(none2, vbslq_f32(vorrq_u32(none1, against), v2, sv));
        g = zero_where(against, g);
        sv = vmaxnmq_f32(sv, least);
        g = vminnmq_f32(g, limit);

        const Doubles wide = widened(v1);
        const uint32x4_t below = vuzp1q_u32(vreinterpretq_u32_u64(vcltq_f64(wide.lo, variance.lo)),
                                            vreinterpretq_u32_u64(vcltq_f64(wide.hi, variance.hi)));
        float32x4_t gain = vmulq_f32(vmulq_f32(g, g), v1);
        float32x4_t num = zero_where(vcltzq_f32(v12), log2_of_1_and(widened(gain), added(widened(sv), variance)));

        vst1q_f32(ret_num + i, vbslq_f32(below, vsubq_f32(one, vmulq_n_f32(v2, noise->k)), num));
        vst1q_f32(ret_den + i, vbslq_f32(below, one, log2_of_1_and(wide, variance)));
    }
}

void vmafx_float_vif_kernels_init_neon(VmafxFloatVifKernels *k)
{
    *k = kernels;
    k->information = information_neon;
}

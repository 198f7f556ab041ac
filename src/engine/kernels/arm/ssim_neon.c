/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * SSIM with NEON, where compilers find no vectors in ssim_rows.h: their blurs are as good as any. Four columns at a
 * time.
 */

#include "base/base.h"
#include "engine/kernels/arm/arm.h"
#include "engine/kernels/arm/floats.h"
#include "engine/kernels/ssim_rows.h"

#define BLOCK 4

/* Of two taps at one place. */
static inline float64x2_t products_of(const float *in, float32x2_t k)
{
    return vcvt_f64_f32(vmul_f32(vld1_f32(in), k));
}

/* Lanes are places; samples that are neighbours meet in one load nevertheless, as they are multiplied before they
 * change lanes. */
static void decimate_neon(const float *in, const float *k, int taps, int step, int n, double *acc)
{
    int x = 0;

    if (taps == 9 && step == 2) { /* compilers do well */
        decimate(in, k, taps, step, n, acc);
        return;
    }
    for (; x + BLOCK <= n; x += BLOCK) {
        const float *in0 = in + (ptrdiff_t)x * step, *in1 = in0 + step, *in2 = in1 + step, *in3 = in2 + step;
        Doubles sum = load_doubles(acc + x);
        int t = 0;

        for (; t + 2 <= taps; t += 2) {
            float32x2_t pair = vld1_f32(k + t);
            float64x2_t p0 = products_of(in0 + t, pair), p1 = products_of(in1 + t, pair);
            float64x2_t p2 = products_of(in2 + t, pair), p3 = products_of(in3 + t, pair);

            sum = added(sum, (Doubles){ vtrn1q_f64(p0, p1), vtrn1q_f64(p2, p3) });
            sum = added(sum, (Doubles){ vtrn2q_f64(p0, p1), vtrn2q_f64(p2, p3) });
        }
        if (t < taps)
            sum = added(sum, widened(vmulq_n_f32((float32x4_t){ in0[t], in1[t], in2[t], in3[t] }, k[t])));
        put_doubles(acc + x, sum);
    }
    decimate(in + (ptrdiff_t)x * step, k, taps, step, n - x, acc + x);
}

/* (2ab + c) / d, the numerator in binary64. */
static inline Doubles ratio(Doubles a, Doubles b, Doubles c, float32x4_t d)
{
    return divided(added(multiplied(added(a, a), b), c), widened(d));
}

/* A root taken in binary64 and rounded to binary32 is the correctly rounded one: 53 digits are 2 · 24 + 2 and more. */
static void similarity_neon(const VmafxSsimMoments *m, const VmafxSsimConstants *k, int n, double *ret_l, double *ret_c,
                            double *ret_s)
{
    const float32x4_t c1 = vdupq_n_f32(k->c1), c2 = vdupq_n_f32(k->c2), c3 = vdupq_n_f32(k->c3);
    const Doubles wide_c1 = widened(c1), wide_c2 = widened(c2);

    if (n < BLOCK) {
        similarity(m, k, n, ret_l, ret_c, ret_s);
        return;
    }
    for (int at = 0; at < n; at += BLOCK) {
        int i = VMAFX_MIN(at, n - BLOCK);
        float32x4_t x = vld1q_f32(m->x + i), y = vld1q_f32(m->y + i);
        float32x4_t x2 = vmulq_f32(x, x), y2 = vmulq_f32(y, y);
        float32x4_t vx = positive_or_0(vsubq_f32(vld1q_f32(m->xx + i), x2));
        float32x4_t vy = positive_or_0(vsubq_f32(vld1q_f32(m->yy + i), y2));
        float32x4_t vxy = vsubq_f32(vld1q_f32(m->xy + i), vmulq_f32(x, y));
        float32x4_t sd = vsqrtq_f32(vmulq_f32(vx, vy));
        float32x4_t q = zero_where(vandq_u32(vcltzq_f32(vxy), vclezq_f32(sd)), vxy);

        put_doubles(ret_l + i, ratio(widened(x), widened(y), wide_c1, vaddq_f32(vaddq_f32(x2, y2), c1)));
        put_doubles(ret_c + i, ratio(widened(sd), all_doubles(1), wide_c2, vaddq_f32(vaddq_f32(vx, vy), c2)));
        put_doubles(ret_s + i, widened(vdivq_f32(vaddq_f32(q, c3), vaddq_f32(sd, c3))));
    }
}

void vmafx_ssim_kernels_init_neon(VmafxSsimKernels *k)
{
    *k = kernels;
    k->decimate = decimate_neon;
    k->similarity = similarity_neon;
}

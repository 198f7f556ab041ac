/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* CAMBI with NEON. */

#include "engine/kernels/arm/arm.h"
#include "engine/kernels/arm/floats.h"
#include "engine/kernels/arm/words.h"
#include "engine/kernels/cambi_rows.h"

#define LANES         8
#define VEC           int16x8_t
#define add16_clamped vqaddq_s16
#define min16         vminq_s16

static inline int16x8_t load(const uint16_t *p)
{
    return vreinterpretq_s16_u16(vld1q_u16(p));
}

static inline void put(uint16_t *p, int16x8_t v)
{
    vst1q_u16(p, vreinterpretq_u16_s16(v));
}

static inline int16x8_t ascending16(void)
{
    static const int16_t numbers[LANES] = { 0, 1, 2, 3, 4, 5, 6, 7 };

    return vld1q_s16(numbers);
}

/* What the weaker ones leave of four columns; no contrast is NaN, and what is not above 0 counts for nothing. */
static inline float32x4_t strongest(float32x4_t most, int weight, uint16x4_t same, uint16x4_t other,
                                    const float *reciprocals)
{
    const uint16x4_t sum = vadd_u16(same, other);
    const float32x4_t by = { reciprocals[vget_lane_u16(sum, 0)], reciprocals[vget_lane_u16(sum, 1)],
                             reciprocals[vget_lane_u16(sum, 2)], reciprocals[vget_lane_u16(sum, 3)] };
    float32x4_t product = vcvtq_f32_u32(vmulq_n_u32(vmull_u16(same, other), (uint32_t)weight));

    return vmaxnmq_f32(most, vmulq_f32(product, by));
}

static void contrast_fast(const VmafxCambiLook *look, int n, float *ret)
{
    for (int x = 0; x < n; x += LANES) {
        uint16x8_t same = vld1q_u16(look->same + x);
        float32x4_t lo = vdupq_n_f32(0), hi = lo;

        for (int d = 0; d < look->n; d++) {
            uint16x8_t other = vmaxq_u16(vld1q_u16(look->other[d].above + x), vld1q_u16(look->other[d].below + x));

            if (!vmaxvq_u16(other))
                continue;
            lo = strongest(lo, look->other[d].weight, vget_low_u16(same), vget_low_u16(other), look->reciprocals);
            hi = strongest(hi, look->other[d].weight, vget_high_u16(same), vget_high_u16(other), look->reciprocals);
        }
        vst1q_f32(ret + x, lo);
        vst1q_f32(ret + x + LANES / 2, hi);
    }
}

static double total(const float *a, size_t n, size_t *ret_positive)
{
    Doubles sum = all_doubles(0);
    uint32x4_t positive = vdupq_n_u32(0);
    size_t i = 0, rest = 0;

    for (; i + 4 <= n; i += 4) {
        float32x4_t v = vld1q_f32(a + i);

        sum = added(sum, widened(v));
        positive = vsubq_u32(positive, vcgtzq_f32(v));
    }
    double all = vaddvq_f64(vaddq_f64(sum.lo, sum.hi));
    for (; i < n; i++) {
        all += (double)a[i];
        rest += a[i] > 0;
    }
    *ret_positive = rest + vaddlvq_u32(positive);
    return all;
}

#include "engine/kernels/cambi_simd.h"

void vmafx_cambi_kernels_init_neon(VmafxCambiKernels *k)
{
    *k = kernels_fast;
}

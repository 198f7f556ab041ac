/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Integer motion in plain C: the definition. */

#include "engine/kernels/motion.h"

static const int32_t taps[VMAFX_MOTION_TAPS] = { 3571, 16004, 26386, 16004, 3571 };

static void vert8_c(const uint8_t *const *earlier, const uint8_t *const *current, int w, int32_t *ret)
{
    for (int x = 0; x < w; x++) {
        int32_t sum = 128;

        for (int k = 0; k < VMAFX_MOTION_TAPS; k++)
            sum += taps[k] * (earlier[k][x] - current[k][x]);
        ret[x] = sum >> 8;
    }
}

static void vert16_c(const uint16_t *const *earlier, const uint16_t *const *current, int bpc, int w, int32_t *ret)
{
    for (int x = 0; x < w; x++) {
        int64_t sum = 1ll << (bpc - 1);

        for (int k = 0; k < VMAFX_MOTION_TAPS; k++)
            sum += (int64_t)taps[k] * (earlier[k][x] - current[k][x]);
        ret[x] = (int32_t)(sum >> bpc);
    }
}

static uint64_t horz_sad_c(const int32_t *row, int w)
{
    uint64_t sad = 0;

    for (int x = 0; x < w; x++) {
        int64_t sum = 32768;

        for (int k = 0; k < VMAFX_MOTION_TAPS; k++)
            sum += (int64_t)taps[k] * row[x + k - VMAFX_MOTION_PAD];
        sum >>= 16;
        sad += (uint64_t)(sum < 0 ? -sum : sum);
    }
    return sad;
}

void vmafx_motion_kernels_init(VmafxMotionKernels *k, unsigned cpu)
{
    (void)cpu;
    *k = (VmafxMotionKernels){ .vert8 = vert8_c, .vert16 = vert16_c, .horz_sad = horz_sad_c };
}

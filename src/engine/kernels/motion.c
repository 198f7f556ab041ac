/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Integer motion in plain C: the definition. */

#include "engine/kernels/motion.h"

#include "engine/kernels/arm/arm.h"
#include "engine/kernels/cpu.h"
#include "engine/kernels/x86/x86.h"

static const int32_t taps[VMAFX_MOTION_TAPS] = { 3571, 16004, 26386, 16004, 3571 };

static void store(int32_t v, int x, int16_t *ret_half, int16_t *ret_bit)
{
    ret_half[x] = (int16_t)(v >> 1);
    ret_bit[x] = (int16_t)(v & 1);
}

static void vert8_c(const uint8_t *const *earlier, const uint8_t *const *current, int w, int16_t *ret_half,
                    int16_t *ret_bit)
{
    for (int x = 0; x < w; x++) {
        int32_t sum = 128;

        for (int k = 0; k < VMAFX_MOTION_TAPS; k++)
            sum += taps[k] * (earlier[k][x] - current[k][x]);
        store(sum >> 8, x, ret_half, ret_bit);
    }
}

static void vert16_c(const uint16_t *const *earlier, const uint16_t *const *current, int bpc, int w, int16_t *ret_half,
                     int16_t *ret_bit)
{
    for (int x = 0; x < w; x++) {
        int64_t sum = 1ll << (bpc - 1);

        for (int k = 0; k < VMAFX_MOTION_TAPS; k++)
            sum += (int64_t)taps[k] * (earlier[k][x] - current[k][x]);
        store((int32_t)(sum >> bpc), x, ret_half, ret_bit);
    }
}

static uint64_t horz_sad_c(const int16_t *half, const int16_t *bit, int w)
{
    uint64_t sad = 0;

    for (int x = 0; x < w; x++) {
        int64_t sum = 32768;

        for (int k = 0; k < VMAFX_MOTION_TAPS; k++) {
            int at = x + k - VMAFX_MOTION_PAD;
            sum += (int64_t)taps[k] * (2 * half[at] + bit[at]);
        }
        sum >>= 16;
        sad += (uint64_t)(sum < 0 ? -sum : sum);
    }
    return sad;
}

const VmafxMotionKernels vmafx_motion_kernels_c = { .vert8 = vert8_c, .vert16 = vert16_c, .horz_sad = horz_sad_c };

void vmafx_motion_kernels_init(VmafxMotionKernels *k, unsigned cpu)
{
    *k = vmafx_motion_kernels_c;
#if VMAFX_ARCH_X86
    if (cpu & VMAFX_CPU_AVX2)
        vmafx_motion_kernels_init_avx2(k);
    if (cpu & VMAFX_CPU_AVX512)
        vmafx_motion_kernels_init_avx512(k);
#elif VMAFX_ARCH_ARM64
    if (cpu & VMAFX_CPU_NEON)
        vmafx_motion_kernels_init_neon(k);
#endif
}

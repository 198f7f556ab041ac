/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* CAMBI's rows in plain C: the definition. */

#include "engine/kernels/cambi.h"

#include "base/base.h"
#include "engine/kernels/arm/arm.h"
#include "engine/kernels/cambi_rows.h"
#include "engine/kernels/cpu.h"
#if VMAFX_ARCH_X86
#include "engine/kernels/x86/x86.h"
#endif

static void count(uint16_t *counts, int w, int first, int last, int radius, int sign)
{
    for (int place = first; place <= last; place++)
        for (int x = VMAFX_MAX(place - radius, 0); x <= VMAFX_MIN(place + radius, w - 1); x++)
            counts[x] = (uint16_t)(counts[x] + sign);
}

static void contrast(const VmafxCambiLook *look, int n, float *ret)
{
    for (int x = 0; x < n; x++) {
        float most = 0;

        for (int d = 0; d < look->n; d++) {
            int same = look->same[x], other = VMAFX_MAX(look->other[d].above[x], look->other[d].below[x]);
            float v = (float)(look->other[d].weight * same * other) * look->reciprocals[other + same];

            most = v > most ? v : most;
        }
        ret[x] = most;
    }
}

static double pool(float *a, size_t size, size_t most)
{
    ptrdiff_t n = (ptrdiff_t)size, m = (ptrdiff_t)most, left = 0, right = n - 1;
    double sum = 0;

    while (m < n && left < right) {
        float pivot = a[m];
        ptrdiff_t i = left, j = right;

        do {
            while (a[i] > pivot)
                i++;
            while (a[j] < pivot)
                j--;
            if (i <= j) {
                float t = a[i];
                a[i++] = a[j];
                a[j--] = t;
            }
        } while (i <= j);
        if (j < m)
            left = i;
        if (m < i)
            right = j;
    }
    for (ptrdiff_t i = 0; i < m; i++)
        sum += (double)a[i];
    return sum / (double)m;
}

const VmafxCambiKernels vmafx_cambi_kernels_c = { .widen8 = widen8,
                                                  .flat = flat,
                                                  .slide = slide,
                                                  .mask = mask,
                                                  .mode = mode,
                                                  .halve = halve,
                                                  .count = count,
                                                  .contrast = contrast,
                                                  .pool = pool };

void vmafx_cambi_kernels_init(VmafxCambiKernels *k, unsigned cpu)
{
    *k = vmafx_cambi_kernels_c;
#if VMAFX_ARCH_X86
    if (cpu & VMAFX_CPU_AVX2)
        vmafx_cambi_kernels_init_avx2(k);
    if (cpu & VMAFX_CPU_AVX512)
        vmafx_cambi_kernels_init_avx512(k);
#elif VMAFX_ARCH_ARM64
    if (cpu & VMAFX_CPU_NEON)
        vmafx_cambi_kernels_init_neon(k);
#endif
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* PSNR's rows in plain C: the definition. */

#include "engine/kernels/sse.h"

#include "base/base.h"
#include "engine/kernels/arm/arm.h"
#include "engine/kernels/cpu.h"
#if VMAFX_ARCH_X86
#include "engine/kernels/x86/x86.h"
#endif

/* Fits 32 bits: 65536 · 255² < 2^32. */
static uint64_t row8(const uint8_t *a, const uint8_t *b, int n)
{
    uint32_t sum = 0;

    for (int i = 0; i < n; i++) {
        int d = a[i] - b[i];
        sum += (uint32_t)(d * d);
    }
    return sum;
}

/* So do 256 samples of up to 12 bits. */
static uint64_t row12(const uint16_t *a, const uint16_t *b, int n)
{
    uint64_t sum = 0;

    for (int from = 0; from < n; from += 256) {
        int to = VMAFX_MIN(from + 256, n);
        uint32_t part = 0;

        for (int i = from; i < to; i++) {
            int d = a[i] - b[i];
            part += (uint32_t)(d * d);
        }
        sum += part;
    }
    return sum;
}

static uint64_t row16(const uint16_t *a, const uint16_t *b, int n)
{
    uint64_t sum = 0;

    for (int i = 0; i < n; i++) {
        uint32_t d = (uint32_t)(a[i] > b[i] ? a[i] - b[i] : b[i] - a[i]);
        sum += d * d;
    }
    return sum;
}

const VmafxSseKernels vmafx_sse_kernels_c = { .row8 = row8, .row12 = row12, .row16 = row16 };

void vmafx_sse_kernels_init(VmafxSseKernels *k, unsigned cpu)
{
    *k = vmafx_sse_kernels_c;
#if VMAFX_ARCH_X86
    if (cpu & VMAFX_CPU_AVX2)
        vmafx_sse_kernels_init_avx2(k);
    if (cpu & VMAFX_CPU_AVX512)
        vmafx_sse_kernels_init_avx512(k);
#elif VMAFX_ARCH_ARM64
    if (cpu & VMAFX_CPU_NEON)
        vmafx_sse_kernels_init_neon(k);
#endif
}

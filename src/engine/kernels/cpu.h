/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What the CPU can do, as far as kernels care. Passed in, so that a test can ask for any mix. */
#ifndef VMAFX_ENGINE_KERNELS_CPU_H
#define VMAFX_ENGINE_KERNELS_CPU_H

#include <vmafx/engine.h>

#if defined(__x86_64__)
#define VMAFX_ARCH_X86 1
#else
#define VMAFX_ARCH_X86 0
#endif
#if defined(__aarch64__)
#define VMAFX_ARCH_ARM64 1
#else
#define VMAFX_ARCH_ARM64 0
#endif

/** Flags of this machine. */
unsigned vmafx_cpu_detect(void);

/** The name of a level in reports: "c", "avx2", "avx512", "neon". */
const char *vmafx_cpu_name(unsigned cpu);
#endif

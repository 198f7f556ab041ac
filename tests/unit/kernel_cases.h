/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What tests of kernels share: rows that end where one more read would fault, what is in them, and the variants. */
#ifndef VMAFX_TESTS_UNIT_KERNEL_CASES_H
#define VMAFX_TESTS_UNIT_KERNEL_CASES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base.h"
#include "engine/kernels/cpu.h"
#include "engine/kernels/kernels.h"

enum { WIDTH_MAX = 2 * 64 + 5, N_FILLS = 5 };

static uint32_t lcg_state;

static inline uint32_t next_random(void)
{
    lcg_state = lcg_state * 1664525u + 1013904223u;
    return lcg_state >> 8;
}

/* Random, all zero, all maximum, alternating extremes, small steps around the middle. */
static inline uint32_t fill(int kind, int i, uint32_t max)
{
    switch (kind) {
    case 0:
        return next_random() % (max + 1u);
    case 1:
        return 0;
    case 2:
        return max;
    case 3:
        return i & 1 ? max : 0;
    default:
        return max / 2 + next_random() % 3;
    }
}

/* A row of n elements whose end is the end of a page that may be read. */
static inline void *guarded(size_t bytes)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), room = (bytes + page - 1) / page * page;
    char *map = mmap(NULL, room + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    assert_ptr_not_equal(map, MAP_FAILED);
    assert_int_equal(mprotect(map + room, page, PROT_NONE), 0);
    return map + room - bytes;
}

static inline void release(const void *p)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    uintptr_t start = (uintptr_t)p & ~(uintptr_t)(page - 1);

    munmap((void *)start, 2 * page); /* one page of data in these tests, and the guard behind it */
}

/* The variants of this machine besides the plain one. */
static inline size_t variants(unsigned ret[3])
{
    static const unsigned levels[] = { VMAFX_CPU_AVX2, VMAFX_CPU_AVX2 | VMAFX_CPU_AVX512, VMAFX_CPU_NEON };
    unsigned machine = vmafx_cpu_detect();
    size_t n = 0;

    for (size_t i = 0; i < VMAFX_LEN(levels); i++)
        if ((levels[i] & machine) == levels[i])
            ret[n++] = levels[i];
    if (!n) {
        print_message("this machine has no faster kernels than the plain ones\n");
        skip();
    }
    return n;
}

#define EACH_CASE(k, w, kind)                                                                                          \
    unsigned levels_[3];                                                                                               \
    size_t n_levels_ = variants(levels_);                                                                              \
    VmafxKernels c, k;                                                                                                 \
    vmafx_kernels_init(&c, 0);                                                                                         \
    for (size_t l_ = 0; l_ < n_levels_; l_++)                                                                          \
        for (int once_ = (vmafx_kernels_init(&k, levels_[l_]), 1); once_; once_ = 0)                                   \
            for (int w = 1; w <= WIDTH_MAX; w++)                                                                       \
                for (int kind = 0; kind < N_FILLS; kind++)
#endif

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * What tests of kernels have in common: the variants this machine can run, rows that end where one more read would
 * fault, and what they are filled with. For cmocka tests; included once in a program.
 */
#ifndef VMAFX_TESTS_KERNEL_CASES_H
#define VMAFX_TESTS_KERNEL_CASES_H

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

/* A row of n elements whose end is the end of a page that may be read. */
static inline void *guarded(size_t bytes)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), room = (bytes + page - 1) / page * page;
    char *map = mmap(NULL, room + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    assert_ptr_not_equal(map, MAP_FAILED);
    assert_int_equal(mprotect(map + room, page, PROT_NONE), 0);
    return map + room - bytes;
}

enum { WIDTH_MAX = 2 * 64 + 5, ROWS = VMAFX_VIF_TAPS_MAX + 1, MARGIN = 40, N_FILLS = 5 };

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

/* Rows that end where one more read would fault; an odd width puts their beginning at an odd place. */
static inline void make_rows8(const uint8_t **rows, int w, int kind)
{
    for (int k = 0; k < ROWS; k++) {
        uint8_t *row = guarded((size_t)w);
        for (int i = 0; i < w; i++)
            row[i] = (uint8_t)fill(kind, i + k, 255);
        rows[k] = row;
    }
}

static inline void make_rows16(const uint16_t **rows, int w, int kind, uint32_t max)
{
    for (int k = 0; k < ROWS; k++) {
        uint16_t *row = guarded(2 * (size_t)w);
        for (int i = 0; i < w; i++)
            row[i] = (uint16_t)fill(kind, i + k, max);
        rows[k] = row;
    }
}

static inline void release(const void *p)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    uintptr_t start = (uintptr_t)p & ~(uintptr_t)(page - 1);

    munmap((void *)start, 2 * page); /* one page of data in these tests, and the guard behind it */
}

static inline void release_rows(const void *const *rows)
{
    for (int k = 0; k < ROWS; k++)
        release(rows[k]);
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

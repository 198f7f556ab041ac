/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The clock that never jumps. Logic is handed its readings; only the edges (threads, deadlines) ask. */
#ifndef VMAFX_BASE_CLOCK_H
#define VMAFX_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

/** CLOCK_MONOTONIC in nanoseconds. Any thread, also after a fork. */
static inline uint64_t vmafx_monotonic_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}
#endif

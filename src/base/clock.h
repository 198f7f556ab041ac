/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The clock that never jumps, for deadlines and durations, and the one of the wall, for people and wire formats. Logic
 * is handed their readings; only the edges (threads, deadlines, senders) ask.
 */
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

/** CLOCK_REALTIME in nanoseconds since 1970; jumps when somebody sets it. Any thread, also after a fork. */
static inline uint64_t vmafx_wall_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}
#endif

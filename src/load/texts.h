/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * What the kernel writes into /proc, control groups and /sys, as numbers. Pure functions of texts that end with a zero;
 * whatever is in them, they end, and what is not as proc(5) and the kernel's cgroup documents have it is false. On
 * false nothing is written. Any thread.
 */
#ifndef VMAFX_LOAD_TEXTS_H
#define VMAFX_LOAD_TEXTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Time since the start of the machine, of all its CPUs together, in ticks of 1/sysconf(_SC_CLK_TCK) s. */
typedef struct VmafxCpuTimes {
    uint64_t user, nice, system, idle, iowait, interrupt, steal;
    int cpus; /* those that have a line of their own; at least 1 */
} VmafxCpuTimes;
/** /proc/stat */
bool vmafx_load_parse_stat(const char *text, VmafxCpuTimes *ret);

/** Bytes. */
typedef struct VmafxMemoryUse {
    int64_t total, available;      /* 0 <= available <= total; total above 0 */
    int64_t free, buffers, cached; /* together at most total */
} VmafxMemoryUse;
/** /proc/meminfo; of a kernel without MemAvailable (before 3.14) it is free, buffers and cached together. */
bool vmafx_load_parse_meminfo(const char *text, VmafxMemoryUse *ret);

typedef struct VmafxProcessUse {
    uint64_t ticks;          /* CPU time of the process, user and system */
    uint64_t children_ticks; /* of its children that have ended and were waited for, with theirs */
    uint64_t rss_pages;
} VmafxProcessUse;
/** /proc/PID/stat. The name in it may hold anything, blanks and brackets too. */
bool vmafx_load_parse_process(const char *text, VmafxProcessUse *ret);

/** Process ids, as /proc/PID/task/TID/children has them. What is no id ends the list. @return how many, at most max */
size_t vmafx_load_parse_pids(const char *text, int *ret, size_t max);

/** A whole number, 0 … INT64_MAX, and nothing but white space behind it. "max" and "-1" are none. */
bool vmafx_load_parse_number(const char *text, int64_t *ret);
/** "0x1002": at most 32 bits. */
bool vmafx_load_parse_hex(const char *text, uint32_t *ret);
/** The number in the line "KEY NUMBER", as cpu.stat and memory.stat have it. */
bool vmafx_load_parse_member(const char *text, const char *key, int64_t *ret);
/** What follows KEY= in a uevent's line, cut to size bytes, 1 or more. */
bool vmafx_load_parse_variable(const char *text, const char *key, char *ret, size_t size);
/** CPUs that cpu.max allows, "150000 100000": 1.5. "max …" is false. */
bool vmafx_load_parse_cpu_max(const char *text, double *ret);
#endif

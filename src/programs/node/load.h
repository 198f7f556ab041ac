/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* How busy this machine is, from /proc. One thread. */
#ifndef VMAFX_PROGRAMS_NODE_LOAD_H
#define VMAFX_PROGRAMS_NODE_LOAD_H

#include <stdint.h>

/** Zeroed before the first use; remembers the last reading. */
typedef struct LoadMeter {
    uint64_t busy, all; /* CPU time so far, in the kernel's ticks */
} LoadMeter;

typedef struct MachineLoad {
    double cpu;                        /* 0 … 1, of all CPUs, since the last reading; 0 the first time */
    int64_t memory_used, memory_total; /* bytes; 0: unknown. In a container with a limit, that limit */
} MachineLoad;

void load_read(LoadMeter *meter, MachineLoad *ret);
#endif

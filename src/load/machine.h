/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * CPU and memory: of the machine, of what this process may use of it, of the process itself and of those it has
 * started.
 *
 * What a process may use is the machine, or less where a control group on the way up from its own says so: the smallest
 * CPU quota and the smallest memory limit count (cpu.max and memory.max of version 2; cpu.cfs_quota_us and
 * memory.limit_in_bytes of version 1), and use is then that of the group that has it. Memory in use leaves out what the
 * kernel gives back when it is asked for: MemTotal − MemAvailable, or the group's use less its inactive_file.
 *
 * Use of CPU is over the time since the last reading, so the first has none.
 */
#ifndef VMAFX_LOAD_MACHINE_H
#define VMAFX_LOAD_MACHINE_H

#include "load/load.h"
#include "load/texts.h"

#define VMAFX_LOAD_PROCESSES_MAX 4096 /* that are looked at; more are left out */

typedef struct VmafxMachine {
    const char *proc, *cgroups; /* "/proc", VMAFX_CGROUPS_MOUNT; borrowed */
    int pid;                    /* of the process in question; 0: this one */
    int cpus;                   /* that it may use, as affinity has it; 0: all */

    uint64_t read_ns; /* of the last reading; 0: none. This and the rest is the reader's */
    VmafxCpuTimes times;
    bool has_group;
    int64_t group_ns; /* CPU time of the limiting group */
    bool has_process;
    uint64_t own_ticks, started_ticks;
} VmafxMachine;

/**
 * Reads everything anew. What cannot be read is unknown, as VmafxMachineLoad has it.
 * @param machine  the places set, the rest zero before the first call
 * @param now_ns   monotonic, above 0
 */
void vmafx_machine_read(VmafxMachine *machine, uint64_t now_ns, VmafxMachineLoad *ret);
#endif

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * How busy a machine and its devices are, looked at every few seconds. Each source has a thread of its own: the machine
 * (/proc and control groups), devices in /sys, NVIDIA's library. Drivers hang; then that source's values grow old, are
 * dropped, and nobody waits: asking takes what there is. A source that has nothing to look at looks again once a
 * minute.
 *
 *     vmafx_load_start(&(VmafxLoadConfig){ .nvml = "libnvidia-ml.so.1" }, &meter);
 *     vmafx_load_now(meter, vmafx_monotonic_ns(), &load);
 *     vmafx_load_stop(&meter);
 */
#ifndef VMAFX_LOAD_LOAD_H
#define VMAFX_LOAD_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <vmafx/error.h>

#define VMAFX_LOAD_DEVICES_MAX 16

/** A process, or several together. */
typedef struct VmafxProcessLoad {
    double cpu;           /* 0 … 1, of the CPUs that may be used; below 0: unknown */
    int64_t memory_bytes; /* resident; pages that several share count for each */
    int processes;
} VmafxProcessLoad;

typedef struct VmafxMachineLoad {
    double cpus;                       /* that may be used: 1.5 for a quota of 150 ms in 100; 0: unknown */
    double cpu;                        /* use of them, 0 … 1; below 0: unknown */
    int64_t memory_used, memory_total; /* bytes, of what may be used; total 0: unknown */

    /* The machine as a whole, whatever of it may be used. */
    int machine_cpus; /* 0: unknown, as then are the next */
    bool has_modes;   /* fractions of the time of all CPUs; their sum is 1 */
    struct {
        double user, nice, system, idle, iowait, interrupt, steal;
    } modes;
    struct {
        int64_t total, used, free, cached, buffers; /* bytes; the other four make up the total; total 0: unknown */
    } memory;

    VmafxProcessLoad own;     /* the process */
    VmafxProcessLoad started; /* those it has started, with all below them */
} VmafxMachineLoad;

/** A GPU, or what counts as one. Texts are UTF-8 without control characters. */
typedef struct VmafxDeviceLoad {
    char id[64];     /* unique on the machine: NVIDIA's UUID, "GPU-…"; else the unique_id that a driver gives, or the
                        PCI address. Never "" */
    char name[32];   /* "nvidia0", "card1" */
    char model[64];  /* "NVIDIA H100 80GB HBM3"; "" unknown */
    char vendor[16]; /* "NVIDIA", "AMD", "Intel" */
    char pci[16];    /* "0000:65:00.0"; "" unknown */
    int index;       /* within its vendor's numbering: nvidia-smi's, or the card's */
    double utilization; /* fractions of time, 0 … 1; below 0: unknown */
    double encoder, decoder;
    int64_t memory_used, memory_total;    /* bytes, used <= total; total 0: unknown */
    int frequency_mhz, frequency_max_mhz; /* 0: unknown */
} VmafxDeviceLoad;

/** Sources, as bits. */
enum { VMAFX_LOAD_OF_MACHINE = 1, VMAFX_LOAD_OF_SYS = 2, VMAFX_LOAD_OF_NVML = 4 };

typedef struct VmafxLoad {
    bool has_machine; /* false: machine is all zero */
    VmafxMachineLoad machine;
    VmafxDeviceLoad devices[VMAFX_LOAD_DEVICES_MAX]; /* no id twice */
    size_t n_devices;
    unsigned silent; /* sources that have been looked at for too long without an answer */
} VmafxLoad;

typedef struct VmafxLoadConfig {
    const char *proc, *cgroups, *sys; /* NULL: "/proc", "/sys/fs/cgroup", "/sys" */
    const char *nvml;                 /* NVIDIA's library, a name for dlopen or a path; NULL: is not asked */
    int pid;                          /* whose processes; 0: this one's */
    int cpus;                         /* that may be used, as affinity has it; 0: as this process's */
    uint32_t period_ms;               /* 0: 5000 */
    uint32_t absent_ms;               /* when to look again where nothing was; 0: 60 000 */
    uint32_t stale_ms;                /* values older than this are dropped; 0: three periods and a second */
} VmafxLoadConfig;

typedef struct VmafxLoadMeter VmafxLoadMeter;

/** Starts to look; texts are copied. VMAFX_ERR_NOMEM (also: no threads) */
VMAFX_CHECK VmafxErr vmafx_load_start(const VmafxLoadConfig *config, VmafxLoadMeter **ret);

/** What is known; waits for nothing. Any thread. now_ns: monotonic */
void vmafx_load_now(VmafxLoadMeter *meter, uint64_t now_ns, VmafxLoad *ret);

/**
 * Waits until each source has been looked at since the call, or has hung for timeout_ms. For tests, and for whoever
 * needs values at once.
 * @return true: all have been
 */
bool vmafx_load_look(VmafxLoadMeter *meter, uint32_t timeout_ms);

/** Ends its threads. One that hangs is left behind with what it uses (vmafx_keep), after half a second. */
void vmafx_load_stop(VmafxLoadMeter **meter);

/** "machine", "devices", "NVIDIA": for a person, of one bit. */
const char *vmafx_load_source_name(unsigned source);
#endif

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Devices of AMD and Intel in /sys/class/drm: what their drivers write there. NVIDIA's are nvml.h's.
 *
 *     AMD (amdgpu)       device/gpu_busy_percent, device/mem_info_vram_used, …_total, device/unique_id,
 * device/product_name Intel (i915, xe)   device/gpu_busy_percent where there is one; else the time it was not asleep: 1
 * − Δ residency of RC6 / Δ time, above which its use cannot be; gt frequencies. No memory.
 *
 * A device that sleeps (power/runtime_status) is not woken: it is in use to 0, and of its memory nothing is known.
 */
#ifndef VMAFX_LOAD_SYSFS_H
#define VMAFX_LOAD_SYSFS_H

#include "load/load.h"

typedef struct VmafxSysDevices {
    const char *sys; /* "/sys"; borrowed */

    struct VmafxSysIdle { /* the reader's: where residencies stood; a card's of no name is free */
        char name[32];
        int64_t idle_ms;
        uint64_t read_ns;
    } idle[VMAFX_LOAD_DEVICES_MAX];
} VmafxSysDevices;

/** Reads all anew. @param ret room for VMAFX_LOAD_DEVICES_MAX  @return how many, by their names */
size_t vmafx_sys_devices_read(VmafxSysDevices *devices, uint64_t now_ns, VmafxDeviceLoad *ret);
#endif

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * NVIDIA's devices by its management library (NVML), opened at run time: machines without it lack nothing, and nothing
 * of it is linked. Types and numbers are those of its reference manual.
 *
 * What it says is not believed: fractions above one, texts without an end, more devices than there may be. It may hang,
 * too, wherever it is called; whoever calls is prepared for that. One thread.
 */
#ifndef VMAFX_LOAD_NVML_H
#define VMAFX_LOAD_NVML_H

#include "load/load.h"

typedef struct VmafxNvml VmafxNvml;

/**
 * Opens and starts the library.
 * @param path  a name for dlopen, or a path
 * @return VMAFX_ERR_NOT_FOUND there is no such library; VMAFX_ERR_UNSUPPORTED it lacks a function, or does not start
 * (no driver, or another version's); VMAFX_ERR_NOMEM
 */
VMAFX_CHECK VmafxErr vmafx_nvml_open(const char *path, VmafxNvml **ret, VmafxErrInfo *reterr);
void vmafx_nvml_close(VmafxNvml **nvml);

/**
 * Reads all devices anew; one that gives no id is left out, what else one does not tell is unknown.
 * @param ret    room for VMAFX_LOAD_DEVICES_MAX
 * @return VMAFX_ERR_UNREACHABLE: the driver has gone (reloaded, say); close, and open anew later
 */
VMAFX_CHECK VmafxErr vmafx_nvml_read(VmafxNvml *nvml, VmafxDeviceLoad *ret, size_t *ret_n);
#endif

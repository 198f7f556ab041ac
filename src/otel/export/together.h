/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Waiting for several things at the same time, within one deadline. */
#ifndef VMAFX_OTEL_EXPORT_TOGETHER_H
#define VMAFX_OTEL_EXPORT_TOGETHER_H

#include <stddef.h>
#include <stdint.h>

#include "otel/sdk/data.h"

typedef struct VmafxWait {
    VmafxExportResult (*wait)(void *of, uint64_t deadline_ns); /* keeps its deadline; CLOCK_MONOTONIC nanoseconds */
    void *of;                                                  /* NULL: nothing to wait for */
} VmafxWait;

/**
 * All but the last run at once, each on a thread of its own. The last one runs on the caller's, as soon as the others
 * are done or half of the time has passed, so that it can tell of them and still has time. Without a thread they run
 * one after the other. Returns when all are over: the worst result.
 */
VmafxExportResult vmafx_wait_together(const VmafxWait *waits, size_t n, uint64_t deadline_ns);
#endif

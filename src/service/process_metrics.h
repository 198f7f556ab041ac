/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* process.* metrics of this process, read from /proc and getrusage when they are collected. */
#ifndef VMAFX_SERVICE_PROCESS_METRICS_H
#define VMAFX_SERVICE_PROCESS_METRICS_H

typedef struct VmafxProcessMetrics VmafxProcessMetrics;

/** NULL on no memory: there are none then. */
VmafxProcessMetrics *vmafx_process_metrics_new(const char *version);
void vmafx_process_metrics_free(VmafxProcessMetrics **metrics);
#endif

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Metrics of the machine (system.*), of its devices (hw.gpu.*) and of the processes that measure (vmafx.scorers.*),
 * taken from a meter when they are collected. What is unknown has no value.
 */
#ifndef VMAFX_PROGRAMS_NODE_TELEMETRY_H
#define VMAFX_PROGRAMS_NODE_TELEMETRY_H

#include "load/load.h"

typedef struct NodeTelemetry NodeTelemetry;

/** NULL on no memory: there are none then. The meter has to outlive it. */
NodeTelemetry *node_telemetry_new(VmafxLoadMeter *meter, const char *version);
void node_telemetry_free(NodeTelemetry **telemetry);
#endif

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The load as metrics, by the semantic conventions where they have one. */

#include "programs/node/telemetry.h"

#include <stdlib.h>

#include "base/base.h"
#include "base/clock.h"
#include "otel/api/metrics.h"
#include "signals/instruments.h"

struct NodeTelemetry {
    VmafxLoadMeter *meter;
    VmafxObservable *cpu, *cpus, *memory, *memory_limit;
    VmafxObservable *scorers_cpu, *scorers_memory, *scorers;
    VmafxObservable *gpu, *gpu_memory, *gpu_memory_limit, *gpu_memory_use;
    VmafxCallback *callback;
};

static void observe_system(NodeTelemetry *t, VmafxObserver *observer, const VmafxMachineLoad *load)
{
    const struct {
        const char *mode;
        double share;
    } modes[] = { { "user", load->modes.user },     { "nice", load->modes.nice },
                  { "system", load->modes.system }, { "idle", load->modes.idle },
                  { "iowait", load->modes.iowait }, { "interrupt", load->modes.interrupt },
                  { "steal", load->modes.steal } };
    const struct {
        const char *state;
        int64_t bytes;
    } states[] = { { "used", load->memory.used },
                   { "free", load->memory.free },
                   { "buffers", load->memory.buffers },
                   { "cached", load->memory.cached } };

    if (load->machine_cpus)
        vmafx_observe_int(observer, t->cpus, load->machine_cpus, VMAFX_NO_ATTRS);
    for (size_t i = 0; load->has_modes && i < VMAFX_LEN(modes); i++)
        vmafx_observe_double(observer, t->cpu, modes[i].share,
                             VMAFX_ATTRS(VMAFX_ATTR_STR(VMAFX_KEY_CPU_MODE, modes[i].mode)));
    if (!load->memory.total)
        return;
    vmafx_observe_int(observer, t->memory_limit, load->memory.total, VMAFX_NO_ATTRS);
    for (size_t i = 0; i < VMAFX_LEN(states); i++)
        vmafx_observe_int(observer, t->memory, states[i].bytes,
                          VMAFX_ATTRS(VMAFX_ATTR_STR(VMAFX_KEY_SYSTEM_MEMORY_STATE, states[i].state)));
}

static void observe_scorers(NodeTelemetry *t, VmafxObserver *observer, const VmafxProcessLoad *load)
{
    if (load->cpu >= 0)
        vmafx_observe_double(observer, t->scorers_cpu, load->cpu, VMAFX_NO_ATTRS);
    vmafx_observe_int(observer, t->scorers_memory, load->memory_bytes, VMAFX_NO_ATTRS);
    vmafx_observe_int(observer, t->scorers, load->processes, VMAFX_NO_ATTRS);
}

enum { DEVICE_ATTRS = 4 };

static void observe_part(NodeTelemetry *t, VmafxObserver *observer, const VmafxAttr device[DEVICE_ATTRS], size_t n,
                         const char *task, double utilization)
{
    VmafxAttr attrs[DEVICE_ATTRS + 1];

    if (utilization < 0)
        return;
    for (size_t i = 0; i < n; i++)
        attrs[i] = device[i];
    attrs[n] = VMAFX_ATTR_STR(VMAFX_KEY_HW_GPU_TASK, task);
    vmafx_observe_double(observer, t->gpu, utilization, (VmafxAttrs){ attrs, n + 1 });
}

static void observe_device(NodeTelemetry *t, VmafxObserver *observer, const VmafxDeviceLoad *load)
{
    VmafxAttr device[DEVICE_ATTRS] = { VMAFX_ATTR_STR(VMAFX_KEY_HW_ID, load->id),
                                       VMAFX_ATTR_STR(VMAFX_KEY_HW_NAME, load->name),
                                       VMAFX_ATTR_STR(VMAFX_KEY_HW_VENDOR, load->vendor) };
    size_t n = 3;

    if (*load->model)
        device[n++] = VMAFX_ATTR_STR(VMAFX_KEY_HW_MODEL, load->model);
    observe_part(t, observer, device, n, "general", load->utilization);
    observe_part(t, observer, device, n, "encoder", load->encoder);
    observe_part(t, observer, device, n, "decoder", load->decoder);
    if (!load->memory_total)
        return;
    VmafxAttrs attrs = { device, n };
    vmafx_observe_int(observer, t->gpu_memory, load->memory_used, attrs);
    vmafx_observe_int(observer, t->gpu_memory_limit, load->memory_total, attrs);
    vmafx_observe_double(observer, t->gpu_memory_use, (double)load->memory_used / (double)load->memory_total, attrs);
}

static void observe(VmafxObserver *observer, VmafxObservable *self, void *state)
{
    NodeTelemetry *t = state;
    VMAFX_AUTO(vmafx_free_p) VmafxLoad *load = calloc(1, sizeof *load);

    if (!load)
        return;
    vmafx_load_now(t->meter, vmafx_monotonic_ns(), load);
    if (load->has_machine) {
        observe_system(t, observer, &load->machine);
        if (load->machine.own.processes) /* /proc could be read */
            observe_scorers(t, observer, &load->machine.started);
    }
    for (size_t i = 0; i < load->n_devices; i++)
        observe_device(t, observer, &load->devices[i]);
}

NodeTelemetry *node_telemetry_new(VmafxLoadMeter *load_meter, const char *version)
{
    NodeTelemetry *t = calloc(1, sizeof *t);
    VmafxMeter *meter = vmafx_meter_get(VMAFX_SCOPE_NAME_LOAD, version, "", VMAFX_NO_ATTRS);

    if (!t)
        return NULL;
    t->meter = load_meter;
    t->cpu = vmafx_signal_observable_double(meter, VMAFX_METRIC_ID_SYSTEM_CPU_UTILIZATION);
    t->cpus = vmafx_signal_observable(meter, VMAFX_METRIC_ID_SYSTEM_CPU_COUNT);
    t->memory = vmafx_signal_observable(meter, VMAFX_METRIC_ID_SYSTEM_MEMORY_USAGE);
    t->memory_limit = vmafx_signal_observable(meter, VMAFX_METRIC_ID_SYSTEM_MEMORY_LIMIT);
    t->scorers_cpu = vmafx_signal_observable_double(meter, VMAFX_METRIC_ID_SCORERS_CPU_UTILIZATION);
    t->scorers_memory = vmafx_signal_observable(meter, VMAFX_METRIC_ID_SCORERS_MEMORY_USAGE);
    t->scorers = vmafx_signal_observable(meter, VMAFX_METRIC_ID_SCORERS_PROCESSES);
    t->gpu = vmafx_signal_observable_double(meter, VMAFX_METRIC_ID_GPU_UTILIZATION);
    t->gpu_memory = vmafx_signal_observable(meter, VMAFX_METRIC_ID_GPU_MEMORY_USAGE);
    t->gpu_memory_limit = vmafx_signal_observable(meter, VMAFX_METRIC_ID_GPU_MEMORY_LIMIT);
    t->gpu_memory_use = vmafx_signal_observable_double(meter, VMAFX_METRIC_ID_GPU_MEMORY_UTILIZATION);
    t->callback = vmafx_meter_callback(meter, observe, t);
    return t;
}

void node_telemetry_free(NodeTelemetry **telemetry)
{
    if (*telemetry)
        vmafx_callback_remove(&(*telemetry)->callback);
    free(*telemetry);
    *telemetry = NULL;
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* process.* metrics by the semantic conventions. What cannot be read has no value. */

#include "service/process_metrics.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/base.h"
#include "base/clock.h"
#include "base/cpus.h"
#include "otel/api/metrics.h"
#include "signals/instruments.h"

struct VmafxProcessMetrics {
    uint64_t start_ns;
    double last_user, last_system; /* at the last collection, for the utilization since */
    uint64_t last_ns;
    VmafxObservable *cpu_time, *cpu_use, *resident, *virtual_memory, *disk, *threads, *fds, *switches, *faults, *uptime;
    VmafxCallback *callback;
};

static double seconds(struct timeval tv)
{
    return (double)tv.tv_sec + (double)tv.tv_usec / 1e6;
}

static void observe_cpu(VmafxProcessMetrics *m, VmafxObserver *observer, const struct rusage *usage)
{
    double user = seconds(usage->ru_utime), system = seconds(usage->ru_stime);
    uint64_t now = vmafx_monotonic_ns();
    double elapsed = (double)(now - m->last_ns) / 1e9 * vmafx_cpus_allowed();
    VmafxAttr user_mode = VMAFX_ATTR_STR(VMAFX_KEY_CPU_MODE, "user");
    VmafxAttr system_mode = VMAFX_ATTR_STR(VMAFX_KEY_CPU_MODE, "system");

    vmafx_observe_double(observer, m->cpu_time, user, (VmafxAttrs){ &user_mode, 1 });
    vmafx_observe_double(observer, m->cpu_time, system, (VmafxAttrs){ &system_mode, 1 });
    if (elapsed > 0) {
        vmafx_observe_double(observer, m->cpu_use, (user - m->last_user) / elapsed, (VmafxAttrs){ &user_mode, 1 });
        vmafx_observe_double(observer, m->cpu_use, (system - m->last_system) / elapsed,
                             (VmafxAttrs){ &system_mode, 1 });
    }
    m->last_user = user;
    m->last_system = system;
    m->last_ns = now;
}

static void observe_pair(VmafxObserver *observer, VmafxObservable *instrument, const char *key, const char *first,
                         int64_t first_value, const char *second, int64_t second_value)
{
    vmafx_observe_int(observer, instrument, first_value, VMAFX_ATTRS(VMAFX_ATTR_STR(key, first)));
    vmafx_observe_int(observer, instrument, second_value, VMAFX_ATTRS(VMAFX_ATTR_STR(key, second)));
}

static void observe_memory(VmafxProcessMetrics *m, VmafxObserver *observer)
{
    VMAFX_AUTO(vmafx_fclose_p) FILE *f = fopen("/proc/self/statm", "re");
    long long pages, resident;

    if (!f || fscanf(f, "%lld %lld", &pages, &resident) != 2)
        return;
    vmafx_observe_int(observer, m->virtual_memory, pages * sysconf(_SC_PAGESIZE), VMAFX_NO_ATTRS);
    vmafx_observe_int(observer, m->resident, resident * sysconf(_SC_PAGESIZE), VMAFX_NO_ATTRS);
}

static void observe_disk(VmafxProcessMetrics *m, VmafxObserver *observer)
{
    VMAFX_AUTO(vmafx_fclose_p) FILE *f = fopen("/proc/self/io", "re");
    char line[128];
    int64_t n, read = -1, written = -1;

    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "read_bytes: %" SCNd64, &n) == 1)
            read = n;
        else if (sscanf(line, "write_bytes: %" SCNd64, &n) == 1)
            written = n;
    if (read >= 0 && written >= 0)
        observe_pair(observer, m->disk, VMAFX_KEY_DISK_IO_DIRECTION, "read", read, "write", written);
}

static void observe_entries(VmafxObserver *observer, VmafxObservable *instrument, const char *path)
{
    DIR *dir = opendir(path);
    int64_t n = 0;

    if (!dir)
        return;
    for (struct dirent *entry; (entry = readdir(dir));)
        n += entry->d_name[0] != '.';
    closedir(dir);
    vmafx_observe_int(observer, instrument, n, VMAFX_NO_ATTRS);
}

static void observe(VmafxObserver *observer, VmafxObservable *self, void *state)
{
    VmafxProcessMetrics *m = state;
    struct rusage usage;

    if (!getrusage(RUSAGE_SELF, &usage)) {
        observe_cpu(m, observer, &usage);
        observe_pair(observer, m->switches, VMAFX_KEY_CONTEXT_SWITCH_TYPE, "voluntary", usage.ru_nvcsw, "involuntary",
                     usage.ru_nivcsw);
        observe_pair(observer, m->faults, VMAFX_KEY_PAGING_FAULT_TYPE, "major", usage.ru_majflt, "minor",
                     usage.ru_minflt);
    }
    observe_memory(m, observer);
    observe_disk(m, observer);
    observe_entries(observer, m->threads, "/proc/self/task");
    observe_entries(observer, m->fds, "/proc/self/fd");
    vmafx_observe_double(observer, m->uptime, (double)(vmafx_monotonic_ns() - m->start_ns) / 1e9, VMAFX_NO_ATTRS);
}

VmafxProcessMetrics *vmafx_process_metrics_new(const char *version)
{
    VmafxProcessMetrics *m = calloc(1, sizeof *m);
    VmafxMeter *meter = vmafx_meter_get("vmafx.process", version, "", VMAFX_NO_ATTRS);

    if (!m)
        return NULL;
    m->start_ns = m->last_ns = vmafx_monotonic_ns();
    m->cpu_time = vmafx_signal_observable_double(meter, VMAFX_METRIC_ID_PROCESS_CPU_TIME);
    m->cpu_use = vmafx_signal_observable_double(meter, VMAFX_METRIC_ID_PROCESS_CPU_UTILIZATION);
    m->resident = vmafx_signal_observable(meter, VMAFX_METRIC_ID_PROCESS_MEMORY_USAGE);
    m->virtual_memory = vmafx_signal_observable(meter, VMAFX_METRIC_ID_PROCESS_MEMORY_VIRTUAL);
    m->disk = vmafx_signal_observable(meter, VMAFX_METRIC_ID_PROCESS_DISK_IO);
    m->threads = vmafx_signal_observable(meter, VMAFX_METRIC_ID_PROCESS_THREADS);
    m->fds = vmafx_signal_observable(meter, VMAFX_METRIC_ID_PROCESS_FDS);
    m->switches = vmafx_signal_observable(meter, VMAFX_METRIC_ID_PROCESS_CONTEXT_SWITCHES);
    m->faults = vmafx_signal_observable(meter, VMAFX_METRIC_ID_PROCESS_PAGING_FAULTS);
    m->uptime = vmafx_signal_observable_double(meter, VMAFX_METRIC_ID_PROCESS_UPTIME);
    m->callback = vmafx_meter_callback(meter, observe, m);
    return m;
}

void vmafx_process_metrics_free(VmafxProcessMetrics **metrics)
{
    if (*metrics)
        vmafx_callback_remove(&(*metrics)->callback);
    free(*metrics);
    *metrics = NULL;
}

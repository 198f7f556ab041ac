/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* CPU and memory from /proc and from control groups; rates are differences of counters between two readings. */

#include "load/machine.h"

#include <dirent.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"
#include "base/cgroups.h"

#define STAT_BYTES_MAX  ((size_t)4 << 20) /* thousands of CPUs and interrupts */
#define SMALL_BYTES_MAX ((size_t)64 << 10)
#define DEPTH_MAX       32 /* of processes below processes */

static char *text_of(const char *path, size_t max)
{
    char *text = NULL;
    size_t len;

    VMAFX_IGNORE(path && vmafx_read_file(path, max, &text, &len, NULL)); /* what cannot be read is unknown */
    return text;
}

static char *proc_text(const VmafxMachine *machine, const char *name, size_t max)
{
    VMAFX_AUTO(vmafx_free_p) char *path = vmafx_sprintf("%s/%s", machine->proc, name);

    return text_of(path, max);
}

static double fraction(double part, double whole)
{
    return whole > 0 ? VMAFX_MIN(VMAFX_MAX(part / whole, 0), 1) : -1;
}

/* ---- The machine ---- */

static uint64_t sum(const VmafxCpuTimes *t)
{
    return t->user + t->nice + t->system + t->idle + t->iowait + t->interrupt + t->steal;
}

/* Counters of the kernel may go back a little (iowait does). */
static uint64_t since(uint64_t before, uint64_t now)
{
    return now > before ? now - before : 0;
}

static void take_modes(const VmafxCpuTimes *before, const VmafxCpuTimes *now, VmafxMachineLoad *ret)
{
    VmafxCpuTimes d = {
        .user = since(before->user, now->user),
        .nice = since(before->nice, now->nice),
        .system = since(before->system, now->system),
        .idle = since(before->idle, now->idle),
        .iowait = since(before->iowait, now->iowait),
        .interrupt = since(before->interrupt, now->interrupt),
        .steal = since(before->steal, now->steal),
    };
    double all = (double)sum(&d);

    if (all <= 0)
        return;
    ret->has_modes = true;
    ret->modes.user = (double)d.user / all;
    ret->modes.nice = (double)d.nice / all;
    ret->modes.system = (double)d.system / all;
    ret->modes.idle = (double)d.idle / all;
    ret->modes.iowait = (double)d.iowait / all;
    ret->modes.interrupt = (double)d.interrupt / all;
    ret->modes.steal = (double)d.steal / all;
    ret->cpu = fraction(all - (double)d.idle - (double)d.iowait, all);
}

static void read_cpus(VmafxMachine *machine, bool has_before, VmafxMachineLoad *ret)
{
    VMAFX_AUTO(vmafx_free_p) char *text = proc_text(machine, "stat", STAT_BYTES_MAX);
    VmafxCpuTimes times;

    if (!text || !vmafx_load_parse_stat(text, &times)) {
        machine->times = (VmafxCpuTimes){ 0 };
        return;
    }
    if (has_before && machine->times.cpus)
        take_modes(&machine->times, &times, ret);
    machine->times = times;
    ret->machine_cpus = times.cpus;
    ret->cpus = machine->cpus > 0 ? VMAFX_MIN(machine->cpus, times.cpus) : times.cpus;
}

static void read_memory(const VmafxMachine *machine, VmafxMachineLoad *ret)
{
    VMAFX_AUTO(vmafx_free_p) char *text = proc_text(machine, "meminfo", SMALL_BYTES_MAX);
    VmafxMemoryUse use;

    if (!text || !vmafx_load_parse_meminfo(text, &use))
        return;
    ret->memory_total = ret->memory.total = use.total;
    ret->memory_used = use.total - use.available;
    ret->memory.used = use.total - use.free - use.buffers - use.cached;
    ret->memory.free = use.free;
    ret->memory.buffers = use.buffers;
    ret->memory.cached = use.cached;
}

/* ---- Control groups ---- */

typedef struct Limits {
    double cpus;       /* the smallest quota; 0: none */
    int64_t cpu_ns;    /* used so far by the group that has it; below 0: unknown */
    int64_t memory;    /* the smallest limit; 0: none */
    int64_t memory_in; /* in use there; below 0: unknown */
} Limits;

static bool group_number(const char *folder, const char *name, int64_t *ret)
{
    VMAFX_AUTO(vmafx_free_p) char *text = vmafx_cgroup_text(folder, name);

    return text && vmafx_load_parse_number(text, ret);
}

static bool group_line(const char *folder, const char *name, const char *key, int64_t *ret)
{
    VMAFX_AUTO(vmafx_free_p) char *text = vmafx_cgroup_text(folder, name);

    return text && vmafx_load_parse_member(text, key, ret);
}

static bool group_quota(const char *folder, bool v2, double *ret)
{
    int64_t quota, period;

    if (v2) {
        VMAFX_AUTO(vmafx_free_p) char *max = vmafx_cgroup_text(folder, "cpu.max");
        return max && vmafx_load_parse_cpu_max(max, ret);
    }
    if (!group_number(folder, "cpu.cfs_quota_us", &quota) || !group_number(folder, "cpu.cfs_period_us", &period) ||
        !quota || !period)
        return false;
    *ret = (double)quota / (double)period;
    return true;
}

static void take_cpu(void *ctx, const char *folder, bool v2)
{
    Limits *limits = ctx;
    double cpus;
    int64_t used;

    if (!group_quota(folder, v2, &cpus) || (limits->cpus > 0 && limits->cpus <= cpus))
        return;
    limits->cpus = cpus;
    limits->cpu_ns = -1;
    if (!v2)
        limits->cpu_ns = group_number(folder, "cpuacct.usage", &used) ? used : -1;
    else if (group_line(folder, "cpu.stat", "usage_usec", &used) && used <= INT64_MAX / 1000)
        limits->cpu_ns = used * 1000;
}

static void take_memory(void *ctx, const char *folder, bool v2)
{
    Limits *limits = ctx;
    int64_t limit, used, inactive = 0;

    if (!group_number(folder, v2 ? "memory.max" : "memory.limit_in_bytes", &limit) || !limit ||
        (limits->memory > 0 && limits->memory <= limit))
        return;
    limits->memory = limit;
    limits->memory_in = -1;
    if (!group_number(folder, v2 ? "memory.current" : "memory.usage_in_bytes", &used))
        return;
    VMAFX_IGNORE(group_line(folder, "memory.stat", v2 ? "inactive_file" : "total_inactive_file", &inactive));
    limits->memory_in = VMAFX_MAX(used - inactive, 0);
}

/* Where a group limits, its numbers take the place of the machine's. */
static void read_groups(VmafxMachine *machine, double elapsed_s, int pid, VmafxMachineLoad *ret)
{
    VMAFX_AUTO(vmafx_free_p) char *path = vmafx_sprintf("%s/%d/cgroup", machine->proc, pid);
    VMAFX_AUTO(vmafx_free_p) char *text = text_of(path, VMAFX_CGROUP_BYTES_MAX);
    Limits limits = { .cpu_ns = -1, .memory_in = -1 };

    if (text) {
        vmafx_cgroups_visit(text, machine->cgroups, "cpu", take_cpu, &limits);
        vmafx_cgroups_visit(text, machine->cgroups, "memory", take_memory, &limits);
    }
    if (limits.memory > 0 && (!ret->memory_total || limits.memory < ret->memory_total) && limits.memory_in >= 0) {
        ret->memory_total = limits.memory;
        ret->memory_used = VMAFX_MIN(limits.memory_in, limits.memory);
    }
    bool limited = limits.cpus > 0 && (ret->cpus <= 0 || limits.cpus < ret->cpus);
    bool known = limited && limits.cpu_ns >= 0;
    if (limited)
        ret->cpus = limits.cpus;
    if (known)
        ret->cpu =
            machine->has_group && elapsed_s > 0
                ? fraction((double)VMAFX_MAX(limits.cpu_ns - machine->group_ns, 0) / 1e9, limits.cpus * elapsed_s)
                : -1;
    machine->has_group = known;
    machine->group_ns = limits.cpu_ns;
}

/* ---- Processes ---- */

typedef struct Walk {
    const VmafxMachine *machine;
    int seen;
    VmafxProcessUse all; /* of those below the one in question */
    int processes;
} Walk;

static bool read_process(const VmafxMachine *machine, int pid, VmafxProcessUse *ret)
{
    VMAFX_AUTO(vmafx_free_p) char *path = vmafx_sprintf("%s/%d/stat", machine->proc, pid);
    VMAFX_AUTO(vmafx_free_p) char *text = text_of(path, SMALL_BYTES_MAX);

    return text && vmafx_load_parse_process(text, ret);
}

static void closedir_p(DIR **dir)
{
    if (*dir)
        closedir(*dir);
}

static void walk_children(Walk *walk, int pid, int depth);

static void walk_thread(Walk *walk, int pid, const char *thread, int depth)
{
    VMAFX_AUTO(vmafx_free_p) char *path = vmafx_sprintf("%s/%d/task/%s/children", walk->machine->proc, pid, thread);
    VMAFX_AUTO(vmafx_free_p) char *text = text_of(path, SMALL_BYTES_MAX);
    int pids[256];
    size_t n = text ? vmafx_load_parse_pids(text, pids, VMAFX_LEN(pids)) : 0;

    for (size_t i = 0; i < n && walk->seen < VMAFX_LOAD_PROCESSES_MAX; i++) {
        VmafxProcessUse use;
        walk->seen++;
        if (!read_process(walk->machine, pids[i], &use))
            continue; /* it has ended meanwhile */
        walk->all.ticks += use.ticks;
        walk->all.children_ticks += use.children_ticks;
        walk->all.rss_pages += use.rss_pages;
        walk->processes++;
        walk_children(walk, pids[i], depth + 1);
    }
}

/* A child belongs to the thread that forked it. */
static void walk_children(Walk *walk, int pid, int depth)
{
    VMAFX_AUTO(vmafx_free_p) char *path = vmafx_sprintf("%s/%d/task", walk->machine->proc, pid);
    VMAFX_AUTO(closedir_p) DIR *dir = path && depth < DEPTH_MAX ? opendir(path) : NULL;

    for (struct dirent *entry; dir && walk->seen < VMAFX_LOAD_PROCESSES_MAX && (entry = readdir(dir));)
        if (entry->d_name[0] != '.')
            walk_thread(walk, pid, entry->d_name, depth);
}

static double use_of(uint64_t before, uint64_t now, double elapsed_s, double cpus)
{
    return fraction((double)since(before, now) / (double)sysconf(_SC_CLK_TCK), elapsed_s * cpus);
}

static int64_t bytes_of(uint64_t pages)
{
    int64_t bytes;

    return __builtin_mul_overflow(pages, (uint64_t)sysconf(_SC_PAGESIZE), &bytes) ? INT64_MAX : bytes;
}

/*
 * What those below have used so far is the sum over the living and, of each, its children that have ended: their time
 * goes to whoever waited for them, so nothing gets lost when a task's process ends.
 */
static void read_processes(VmafxMachine *machine, double elapsed_s, int pid, VmafxMachineLoad *ret)
{
    Walk walk = { .machine = machine };
    VmafxProcessUse own;

    if (!read_process(machine, pid, &own)) {
        machine->has_process = false;
        return;
    }
    walk_children(&walk, pid, 0);
    uint64_t started = own.children_ticks + walk.all.ticks + walk.all.children_ticks;
    if (machine->has_process && ret->cpus > 0) {
        ret->own.cpu = use_of(machine->own_ticks, own.ticks, elapsed_s, ret->cpus);
        ret->started.cpu = use_of(machine->started_ticks, started, elapsed_s, ret->cpus);
    }
    ret->own.memory_bytes = bytes_of(own.rss_pages);
    ret->own.processes = 1;
    ret->started.memory_bytes = bytes_of(walk.all.rss_pages);
    ret->started.processes = walk.processes;
    machine->has_process = true;
    machine->own_ticks = own.ticks;
    machine->started_ticks = started;
}

void vmafx_machine_read(VmafxMachine *machine, uint64_t now_ns, VmafxMachineLoad *ret)
{
    int pid = machine->pid ? machine->pid : (int)getpid();
    bool has_before = machine->read_ns && now_ns > machine->read_ns;
    double elapsed_s = has_before ? (double)(now_ns - machine->read_ns) / 1e9 : 0;

    *ret = (VmafxMachineLoad){ .cpu = -1, .own.cpu = -1, .started.cpu = -1 };
    read_cpus(machine, has_before, ret);
    read_memory(machine, ret);
    read_groups(machine, elapsed_s, pid, ret);
    read_processes(machine, elapsed_s, pid, ret);
    machine->read_ns = now_ns;
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Affinity from the kernel, quotas from the control groups' files. What cannot be read limits nothing. */

#include "base/cpus.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"
#include "base/cgroups.h"

#define CPUS_MAX (1 << 16) /* the largest affinity mask that is asked for */

/* ---- texts ---- */

/* A whole number with nothing but white space after it; -1 for anything else. *end may be NULL. */
static long long number(const char *text, const char **ret_end)
{
    char *end;

    errno = 0;
    long long v = strtoll(text, &end, 10);
    if (end == text || errno || v < 0)
        return -1;
    if (ret_end)
        *ret_end = end;
    else if (end[strspn(end, " \t\n")])
        return -1;
    return v;
}

static int rounded_up(long long quota, long long period)
{
    if (quota < 0 || period <= 0)
        return 0;
    long long cpus = quota / period + (quota % period != 0);
    return (int)VMAFX_MIN(VMAFX_MAX(cpus, 1ll), (long long)INT_MAX);
}

int vmafx_cpus_of_cpu_max(const char *text)
{
    const char *rest = NULL;
    long long quota = number(text, &rest);

    return quota < 0 ? 0 : rounded_up(quota, number(rest, NULL));
}

int vmafx_cpus_of_cfs(const char *quota, const char *period)
{
    return rounded_up(number(quota, NULL), number(period, NULL));
}

/* ---- control groups ---- */

static int limit_in(const char *folder, bool v2)
{
    if (v2) {
        VMAFX_AUTO(vmafx_free_p) char *max = vmafx_cgroup_text(folder, "cpu.max");

        return max ? vmafx_cpus_of_cpu_max(max) : 0;
    }
    VMAFX_AUTO(vmafx_free_p) char *quota = vmafx_cgroup_text(folder, "cpu.cfs_quota_us");
    VMAFX_AUTO(vmafx_free_p) char *period = vmafx_cgroup_text(folder, "cpu.cfs_period_us");

    return quota && period ? vmafx_cpus_of_cfs(quota, period) : 0;
}

static int smaller(int a, int b)
{
    return a && b ? VMAFX_MIN(a, b) : a + b;
}

static void take_limit(void *ctx, const char *folder, bool v2)
{
    int *limit = ctx;

    *limit = smaller(*limit, limit_in(folder, v2));
}

int vmafx_cpus_of_cgroups(const char *cgroup, const char *mount)
{
    int limit = 0;

    vmafx_cgroups_visit(cgroup, mount, "cpu", take_limit, &limit);
    return limit;
}

/* ---- the process ---- */

/* 0 when the kernel does not tell. */
static int cpus_of_affinity(void)
{
    for (int n = 1024; n <= CPUS_MAX; n *= 2) {
        cpu_set_t *set = CPU_ALLOC((size_t)n);
        size_t size = CPU_ALLOC_SIZE((size_t)n);

        if (!set)
            return 0;
        int failed = sched_getaffinity(0, size, set);
        bool too_small = failed && errno == EINVAL;
        int count = failed ? 0 : CPU_COUNT_S(size, set);
        CPU_FREE(set);
        if (!too_small)
            return count;
    }
    return 0;
}

int vmafx_cpus_allowed(void)
{
    VMAFX_AUTO(vmafx_free_p) char *cgroup = NULL;
    size_t len;
    int n = cpus_of_affinity();

    if (n < 1)
        n = (int)sysconf(_SC_NPROCESSORS_ONLN);
    if (!vmafx_read_file("/proc/self/cgroup", VMAFX_CGROUP_BYTES_MAX, &cgroup, &len, NULL))
        n = smaller(VMAFX_MAX(n, 0), vmafx_cpus_of_cgroups(cgroup, VMAFX_CGROUPS_MOUNT));
    return VMAFX_MAX(n, 1);
}

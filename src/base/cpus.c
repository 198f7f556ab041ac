/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Affinity from the kernel, quotas from the control groups' files. What cannot be read limits nothing. */

#include "base/cpus.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"

#define CPUS_MAX       (1 << 16) /* the largest affinity mask that is asked for */
#define PROC_BYTES_MAX 65536
#define FILE_BYTES_MAX 256

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

/* The group in one line of /proc/PID/cgroup, "ID:CONTROLLERS:/path"; version 2 has no controllers. NULL: not a line. */
static const char *group_of(const char *line, size_t len, bool *ret_v2, bool *ret_cpu, size_t *ret_len)
{
    const char *end = line + len;
    const char *controllers = memchr(line, ':', len);
    const char *path = controllers ? memchr(controllers + 1, ':', (size_t)(end - controllers - 1)) : NULL;

    if (!path)
        return NULL;
    controllers++;
    *ret_v2 = controllers == path;
    *ret_cpu = false;
    while (controllers < path) {
        size_t n = 0;

        while (controllers + n < path && controllers[n] != ',')
            n++;
        *ret_cpu = *ret_cpu || (n == 3 && !memcmp(controllers, "cpu", 3));
        controllers += n + 1;
    }
    *ret_len = (size_t)(end - path - 1);
    return path + 1;
}

/* A small file's text, or NULL. */
static char *text_of(const char *folder, const char *name)
{
    VMAFX_AUTO(vmafx_free_p) char *path = vmafx_sprintf("%s/%s", folder, name);
    char *text = NULL;
    size_t len;

    if (path)
        VMAFX_IGNORE(vmafx_read_file(path, FILE_BYTES_MAX, &text, &len, NULL)); /* not there: no limit */
    return text;
}

static int limit_in(const char *folder, bool v2)
{
    if (v2) {
        VMAFX_AUTO(vmafx_free_p) char *max = text_of(folder, "cpu.max");

        return max ? vmafx_cpus_of_cpu_max(max) : 0;
    }
    VMAFX_AUTO(vmafx_free_p) char *quota = text_of(folder, "cpu.cfs_quota_us");
    VMAFX_AUTO(vmafx_free_p) char *period = text_of(folder, "cpu.cfs_period_us");

    return quota && period ? vmafx_cpus_of_cfs(quota, period) : 0;
}

static int smaller(int a, int b)
{
    return a && b ? VMAFX_MIN(a, b) : a + b;
}

/* The smallest limit from a group up to the root of its tree. */
static int limit_on_the_way(const char *root, const char *group, size_t len, bool v2)
{
    VMAFX_AUTO(vmafx_free_p) char *folder = vmafx_sprintf("%s%.*s", root, (int)VMAFX_MIN(len, (size_t)PATH_MAX), group);
    size_t root_len = strlen(root);
    int limit = 0;

    if (!folder)
        return 0;
    if (strstr(folder + root_len, "/..")) /* outside of what this container sees */
        folder[root_len] = 0;
    for (;;) {
        char *slash = strrchr(folder + root_len, '/');

        limit = smaller(limit, limit_in(folder, v2));
        if (!slash)
            return limit;
        *slash = 0;
    }
}

int vmafx_cpus_of_cgroups(const char *cgroup, const char *mount)
{
    static const char *const v1_trees[] = { "cpu", "cpu,cpuacct" };
    int limit = 0;

    while (*cgroup) {
        size_t len = strcspn(cgroup, "\n"), group_len = 0;
        bool v2 = false, cpu = false;
        const char *group = group_of(cgroup, len, &v2, &cpu, &group_len);

        if (group && v2)
            limit = smaller(limit, limit_on_the_way(mount, group, group_len, true));
        for (size_t i = 0; group && cpu && i < VMAFX_LEN(v1_trees); i++) {
            VMAFX_AUTO(vmafx_free_p) char *root = vmafx_sprintf("%s/%s", mount, v1_trees[i]);

            if (root)
                limit = smaller(limit, limit_on_the_way(root, group, group_len, false));
        }
        cgroup += len + (cgroup[len] == '\n');
    }
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
    if (!vmafx_read_file("/proc/self/cgroup", PROC_BYTES_MAX, &cgroup, &len, NULL))
        n = smaller(VMAFX_MAX(n, 0), vmafx_cpus_of_cgroups(cgroup, "/sys/fs/cgroup"));
    return VMAFX_MAX(n, 1);
}

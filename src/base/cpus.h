/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* How many threads are worth starting: CPUs of the machine, less what affinity and control groups take away. */
#ifndef VMAFX_BASE_CPUS_H
#define VMAFX_BASE_CPUS_H

/** CPUs this process may keep busy, at least 1: the affinity mask and the CPU quotas of its control groups. Any thread.
 */
int vmafx_cpus_allowed(void);

/**
 * The smallest CPU quota on the way from a process's control groups up to their roots, rounded up to whole CPUs.
 * Version 2 (cpu.max) and version 1 (cpu.cfs_quota_us) are looked at, whichever lists the process.
 * @param cgroup  text of /proc/PID/cgroup
 * @param mount   where control groups are mounted, "/sys/fs/cgroup"
 * @return 1 or more; 0 when nothing limits
 */
int vmafx_cpus_of_cgroups(const char *cgroup, const char *mount);

/** CPUs in the text of cpu.max ("150000 100000" is 2), rounded up; 0 for "max" and for anything else. */
int vmafx_cpus_of_cpu_max(const char *text);
/** The same for the texts of cpu.cfs_quota_us ("-1": no limit) and cpu.cfs_period_us. */
int vmafx_cpus_of_cfs(const char *quota, const char *period);
#endif

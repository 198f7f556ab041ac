/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Where a process's control groups lie, in version 1 and version 2, from the group itself up to the root of its tree.
 */
#ifndef VMAFX_BASE_CGROUPS_H
#define VMAFX_BASE_CGROUPS_H

#include <stdbool.h>

#define VMAFX_CGROUPS_MOUNT    "/sys/fs/cgroup"
#define VMAFX_CGROUP_BYTES_MAX 65536 /* of /proc/PID/cgroup */

/** A group's folder; borrowed. It need not exist: what is mounted elsewhere is not there. */
typedef void (*VmafxCgroupVisit)(void *ctx, const char *folder, bool v2);

/**
 * Visits the groups that limit a process: of version 2 its group, of version 1 the one that `controller` has it in,
 * each with those above it. The root of a tree is visited too; there a container finds its own limits. A group outside
 * of what this container sees counts as the root. Any thread.
 * @param cgroup      text of /proc/PID/cgroup; lines that are none are passed over
 * @param mount       where control groups are mounted, VMAFX_CGROUPS_MOUNT
 * @param controller  "cpu", "memory"
 */
void vmafx_cgroups_visit(const char *cgroup, const char *mount, const char *controller, VmafxCgroupVisit visit,
                         void *ctx);

/** A small file of a group as text, to be freed; NULL: not there, or above 64 KiB. */
char *vmafx_cgroup_text(const char *folder, const char *name);
#endif

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* How busy this machine is. */

#include "programs/node/load.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/base.h"

static double read_cpu(LoadMeter *meter)
{
    VMAFX_AUTO(vmafx_fclose_p) FILE *f = fopen("/proc/stat", "re");
    uint64_t t[8] = { 0 }, all = 0;

    if (!f ||
        fscanf(f, "cpu %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64,
               &t[0], &t[1], &t[2], &t[3], &t[4], &t[5], &t[6], &t[7]) < 4)
        return 0;
    for (size_t i = 0; i < VMAFX_LEN(t); i++)
        all += t[i];
    uint64_t busy = all - t[3] - t[4]; /* less idle and waiting for disks */
    double use = meter->all && all > meter->all ? (double)(busy - meter->busy) / (double)(all - meter->all) : 0;
    *meter = (LoadMeter){ busy, all };
    return VMAFX_MIN(VMAFX_MAX(use, 0), 1);
}

static bool read_number(const char *path, int64_t *ret)
{
    VMAFX_AUTO(vmafx_fclose_p) FILE *f = fopen(path, "re");

    return f && fscanf(f, "%" SCNd64, ret) == 1;
}

void load_read(LoadMeter *meter, MachineLoad *ret)
{
    VMAFX_AUTO(vmafx_fclose_p) FILE *f = fopen("/proc/meminfo", "re");
    char line[128];
    int64_t n, total = 0, available = 0, limit, used;

    *ret = (MachineLoad){ .cpu = read_cpu(meter) };
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "MemTotal: %" SCNd64, &n) == 1)
            total = n * 1024;
        else if (sscanf(line, "MemAvailable: %" SCNd64, &n) == 1)
            available = n * 1024;
    ret->memory_total = total;
    ret->memory_used = total - available;
    if (read_number("/sys/fs/cgroup/memory.max", &limit) && limit > 0 && limit < total &&
        read_number("/sys/fs/cgroup/memory.current", &used)) {
        ret->memory_total = limit;
        ret->memory_used = used;
    }
}

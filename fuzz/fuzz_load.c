/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What the kernel writes about load: every parser gets every text. */

#include <limits.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "load/texts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool good)
{
    if (!good)
        abort();
}

static void check_machine(const char *text)
{
    VmafxCpuTimes times;
    VmafxMemoryUse memory;
    VmafxProcessUse process;

    if (vmafx_load_parse_stat(text, &times)) {
        const uint64_t all[] = { times.user,   times.nice,      times.system, times.idle,
                                 times.iowait, times.interrupt, times.steal };
        uint64_t sum = 0;
        for (size_t i = 0; i < VMAFX_LEN(all); i++)
            check(!__builtin_add_overflow(sum, all[i], &sum));
        check(times.cpus >= 1);
    }
    if (vmafx_load_parse_meminfo(text, &memory)) {
        check(memory.total > 0 && memory.available >= 0 && memory.available <= memory.total);
        check(memory.free >= 0 && memory.buffers >= 0 && memory.cached >= 0);
        check(memory.free + memory.buffers + memory.cached <= memory.total);
    }
    if (vmafx_load_parse_process(text, &process))
        check(process.ticks <= UINT64_MAX / 4 && process.children_ticks <= UINT64_MAX / 4);
}

static void check_small(const char *text)
{
    int64_t number;
    uint32_t hex;
    double cpus;
    int pids[8];
    char value[8];
    size_t n = vmafx_load_parse_pids(text, pids, VMAFX_LEN(pids));

    check(n <= VMAFX_LEN(pids));
    for (size_t i = 0; i < n; i++)
        check(pids[i] > 0);
    if (vmafx_load_parse_number(text, &number))
        check(number >= 0);
    if (vmafx_load_parse_member(text, "usage_usec", &number))
        check(number >= 0);
    if (vmafx_load_parse_variable(text, "PCI_SLOT_NAME", value, sizeof value))
        check(strlen(value) < sizeof value && !strchr(value, '\n'));
    if (vmafx_load_parse_cpu_max(text, &cpus))
        check(cpus > 0);
    VMAFX_IGNORE(vmafx_load_parse_hex(text, &hex)); /* any 32 bits will do */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    VMAFX_AUTO(vmafx_free_p) char *text = malloc(size + 1);

    if (!text)
        abort();
    if (size)
        memcpy(text, data, size);
    text[size] = 0;
    check_machine(text);
    check_small(text);
    return 0;
}

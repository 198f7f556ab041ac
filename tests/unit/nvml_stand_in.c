/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * A library in the place of NVIDIA's NVML, for tests. What it says is in the file that NVML_STAND_IN names, read anew
 * with each call, a line each:
 *
 *     devices N            how many; 1 when there is no file
 *     error FUNCTION CODE  it fails
 *     hang FUNCTION        it does not come back as long as the line is there
 *     lie WHAT             utilization (4000 %), memory (more in use than there is), name (no end, no UTF-8), uuid (one
 * for all), count (four thousand millions), pci (no numbers that there are)
 *
 * Device i has 10 (i + 1) % of its time in use, 1 GiB of 80 for each number.
 */

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define GIB (1ull << 30)

typedef struct Utilization {
    unsigned gpu, memory;
} Utilization;
typedef struct Memory {
    unsigned long long total, free, used;
} Memory;
typedef struct Pci {
    char bus_id_legacy[16];
    unsigned domain, bus, device, device_id, subsystem_id;
    char bus_id[32];
} Pci;

int nvmlInit_v2(void);
int nvmlShutdown(void);
int nvmlDeviceGetCount_v2(unsigned *ret);
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **ret);
int nvmlDeviceGetUUID(void *device, char *ret, unsigned size);
int nvmlDeviceGetName(void *device, char *ret, unsigned size);
int nvmlDeviceGetPciInfo_v3(void *device, Pci *ret);
int nvmlDeviceGetUtilizationRates(void *device, Utilization *ret);
int nvmlDeviceGetMemoryInfo(void *device, Memory *ret);
int nvmlDeviceGetEncoderUtilization(void *device, unsigned *ret, unsigned *ret_period);
int nvmlDeviceGetDecoderUtilization(void *device, unsigned *ret, unsigned *ret_period);

/* The number behind "WORD NAME" (or behind WORD alone); -1: there is no such line. */
static long said(const char *word, const char *name)
{
    const char *path = getenv("NVML_STAND_IN");
    FILE *f = path ? fopen(path, "re") : NULL;
    char line[160], one[40], two[80];
    long value = -1, number;

    while (f && fgets(line, sizeof line, f)) {
        int n = name ? sscanf(line, "%39s %79s %ld", one, two, &number) : sscanf(line, "%39s %ld", one, &number);
        if (n >= 1 && !strcmp(one, word) && (!name || (n >= 2 && !strcmp(two, name))))
            value = n == (name ? 3 : 2) ? number : 0;
    }
    if (f)
        fclose(f);
    return value;
}

static bool lies(const char *what)
{
    return said("lie", what) >= 0;
}

/* Hangs, or gives the code to fail with; 0: go on. */
static int entered(const char *function)
{
    while (said("hang", function) >= 0)
        nanosleep(&(struct timespec){ .tv_nsec = 5000000 }, NULL);
    long code = said("error", function);
    return code > 0 ? (int)code : 0;
}

static unsigned index_of(const void *device)
{
    return (unsigned)(unsigned long)device - 1;
}

int nvmlInit_v2(void)
{
    return entered(__func__);
}

int nvmlShutdown(void)
{
    return entered(__func__);
}

int nvmlDeviceGetCount_v2(unsigned *ret)
{
    int code = entered(__func__);
    long n = said("devices", NULL);

    *ret = lies("count") ? 4000000000u : n >= 0 ? (unsigned)n : 1;
    return code;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **ret)
{
    *ret = (void *)(unsigned long)(index + 1);
    return entered(__func__);
}

int nvmlDeviceGetUUID(void *device, char *ret, unsigned size)
{
    int code = entered(__func__);

    if (!code)
        snprintf(ret, size, "GPU-00000000-0000-0000-0000-%012x", lies("uuid") ? 7 : index_of(device));
    return code;
}

int nvmlDeviceGetName(void *device, char *ret, unsigned size)
{
    int code = entered(__func__);

    if (lies("name"))
        memset(ret, 0xff, size);
    else if (!code)
        snprintf(ret, size, "NVIDIA Stand-in %u", index_of(device));
    return code;
}

int nvmlDeviceGetPciInfo_v3(void *device, Pci *ret)
{
    memset(ret, lies("pci") ? 0xff : 0, sizeof *ret);
    if (!lies("pci"))
        ret->bus = 0x10 + index_of(device);
    return entered(__func__);
}

int nvmlDeviceGetUtilizationRates(void *device, Utilization *ret)
{
    int code = entered(__func__);

    if (!code)
        *ret = (Utilization){ lies("utilization") ? 4000 : 10 * (index_of(device) + 1), 0 };
    return code;
}

int nvmlDeviceGetMemoryInfo(void *device, Memory *ret)
{
    int code = entered(__func__);

    if (!code)
        *ret = (Memory){ .total = 80 * GIB, .used = lies("memory") ? ~0ull : (index_of(device) + 1) * GIB };
    return code;
}

int nvmlDeviceGetEncoderUtilization(void *device, unsigned *ret, unsigned *ret_period)
{
    int code = entered(__func__);

    if (!code)
        *ret = lies("utilization") ? 101 : 5;
    return code;
}

int nvmlDeviceGetDecoderUtilization(void *device, unsigned *ret, unsigned *ret_period)
{
    int code = entered(__func__);

    if (!code)
        *ret = lies("utilization") ? ~0u : 0;
    return code;
}

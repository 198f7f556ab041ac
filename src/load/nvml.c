/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The few functions of NVML that are needed, by our own declarations of them. */

#include "load/nvml.h"

#include <dlfcn.h>
#include <string.h>

#include "base/base.h"
#include "base/text.h"

typedef int NvmlReturn; /* 0: success */
typedef void *NvmlDevice;

typedef struct NvmlUtilization {
    unsigned gpu, memory; /* percent of the last sample period */
} NvmlUtilization;

typedef struct NvmlMemory {
    unsigned long long total, free, used; /* bytes */
} NvmlMemory;

typedef struct NvmlPci {
    char bus_id_legacy[16];
    unsigned domain, bus, device, device_id, subsystem_id;
    char bus_id[32];
} NvmlPci;

/* Those it has to have, and those whose absence leaves something unknown. */
#define FUNCTIONS(F)                                                                                                   \
    F(init, "nvmlInit_v2", true, NvmlReturn (*)(void))                                                                 \
    F(shutdown, "nvmlShutdown", true, NvmlReturn (*)(void))                                                            \
    F(count, "nvmlDeviceGetCount_v2", true, NvmlReturn (*)(unsigned *))                                                \
    F(handle, "nvmlDeviceGetHandleByIndex_v2", true, NvmlReturn (*)(unsigned, NvmlDevice *))                           \
    F(uuid, "nvmlDeviceGetUUID", true, NvmlReturn (*)(NvmlDevice, char *, unsigned))                                   \
    F(name, "nvmlDeviceGetName", false, NvmlReturn (*)(NvmlDevice, char *, unsigned))                                  \
    F(pci, "nvmlDeviceGetPciInfo_v3", false, NvmlReturn (*)(NvmlDevice, NvmlPci *))                                    \
    F(utilization, "nvmlDeviceGetUtilizationRates", false, NvmlReturn (*)(NvmlDevice, NvmlUtilization *))              \
    F(memory, "nvmlDeviceGetMemoryInfo", false, NvmlReturn (*)(NvmlDevice, NvmlMemory *))                              \
    F(encoder, "nvmlDeviceGetEncoderUtilization", false, NvmlReturn (*)(NvmlDevice, unsigned *, unsigned *))           \
    F(decoder, "nvmlDeviceGetDecoderUtilization", false, NvmlReturn (*)(NvmlDevice, unsigned *, unsigned *))

#define MEMBER(member, symbol, needed, type) __typeof__((type)0) member;
struct VmafxNvml {
    void *library;
    FUNCTIONS(MEMBER)
};

#define UUID_BYTES 96 /* NVML_DEVICE_UUID_V2_BUFFER_SIZE */
#define NAME_BYTES 96 /* NVML_DEVICE_NAME_V2_BUFFER_SIZE */

/* POSIX wants a function's address to fit into a pointer to data; ISO C has no cast for it. */
static bool find(VmafxNvml *nvml, const char *symbol, bool needed, void *to)
{
    void *address = dlsym(nvml->library, symbol);

    memcpy(to, &address, sizeof address);
    return address || !needed;
}

VmafxErr vmafx_nvml_open(const char *path, VmafxNvml **ret, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(vmafx_free_p) VmafxNvml *nvml = calloc(1, sizeof *nvml);

    if (!nvml)
        return VMAFX_ERR_NOMEM;
    nvml->library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!nvml->library)
        return vmafx_fail(reterr, VMAFX_ERR_NOT_FOUND, "cannot open '%.200s'", path);

#define FIND(member, symbol, needed, type)                                                                             \
    if (!missing && !find(nvml, symbol, needed, &nvml->member))                                                        \
        missing = symbol;
    const char *missing = NULL;
    FUNCTIONS(FIND)
    NvmlReturn code = missing ? 0 : nvml->init();
    if (missing || code) {
        dlclose(nvml->library);
        return missing
                   ? vmafx_fail(reterr, VMAFX_ERR_UNSUPPORTED, "'%.200s' has no %s", path, missing)
                   : vmafx_fail(reterr, VMAFX_ERR_UNSUPPORTED, "'%.200s' does not start: NVML's error %d", path, code);
    }
    *ret = VMAFX_TAKE(nvml);
    return VMAFX_OK;
}

void vmafx_nvml_close(VmafxNvml **at)
{
    VmafxNvml *nvml = VMAFX_TAKE(*at);

    if (!nvml)
        return;
    nvml->shutdown();
    dlclose(nvml->library);
    free(nvml);
}

/* ---- One device ---- */

static double percent(unsigned value)
{
    return value <= 100 ? value / 100.0 : -1;
}

/* A text that may lack its end. */
static void take_text(char *from, size_t from_size, char *ret, size_t size)
{
    from[from_size - 1] = 0;
    vmafx_text_copy(ret, size, from);
    vmafx_text_clean(ret);
}

static void read_names(const VmafxNvml *nvml, NvmlDevice device, VmafxDeviceLoad *ret)
{
    char name[NAME_BYTES] = "";
    NvmlPci pci = { 0 };

    if (nvml->name && !nvml->name(device, name, sizeof name))
        take_text(name, sizeof name, ret->model, sizeof ret->model);
    if (nvml->pci && !nvml->pci(device, &pci) && pci.domain <= 0xffff && pci.bus <= 0xff && pci.device <= 0x1f)
        snprintf(ret->pci, sizeof ret->pci, "%04x:%02x:%02x.0", pci.domain, pci.bus, pci.device);
}

static void read_use(const VmafxNvml *nvml, NvmlDevice device, VmafxDeviceLoad *ret)
{
    NvmlUtilization use = { 0 };
    NvmlMemory memory = { 0 };
    unsigned value = 0, period_us = 0;

    if (nvml->utilization && !nvml->utilization(device, &use))
        ret->utilization = percent(use.gpu);
    if (nvml->encoder && !nvml->encoder(device, &value, &period_us))
        ret->encoder = percent(value);
    value = 0;
    if (nvml->decoder && !nvml->decoder(device, &value, &period_us))
        ret->decoder = percent(value);
    if (nvml->memory && !nvml->memory(device, &memory) && memory.total && memory.total <= INT64_MAX) {
        ret->memory_total = (int64_t)memory.total;
        ret->memory_used = (int64_t)VMAFX_MIN(memory.used, memory.total);
    }
}

static bool read_device(const VmafxNvml *nvml, unsigned index, VmafxDeviceLoad *ret)
{
    char uuid[UUID_BYTES] = "";
    NvmlDevice device = NULL;

    *ret =
        (VmafxDeviceLoad){ .vendor = "NVIDIA", .index = (int)index, .utilization = -1, .encoder = -1, .decoder = -1 };
    if (nvml->handle(index, &device) || nvml->uuid(device, uuid, sizeof uuid))
        return false;
    take_text(uuid, sizeof uuid, ret->id, sizeof ret->id);
    snprintf(ret->name, sizeof ret->name, "nvidia%u", index);
    read_names(nvml, device, ret);
    read_use(nvml, device, ret);
    return *ret->id;
}

VmafxErr vmafx_nvml_read(VmafxNvml *nvml, VmafxDeviceLoad *ret, size_t *ret_n)
{
    unsigned count = 0;
    size_t n = 0;

    if (nvml->count(&count))
        return VMAFX_ERR_UNREACHABLE;
    for (unsigned i = 0; i < VMAFX_MIN(count, (unsigned)VMAFX_LOAD_DEVICES_MAX); i++)
        n += read_device(nvml, i, &ret[n]);
    *ret_n = n;
    return VMAFX_OK;
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Cards of /sys/class/drm. Every file is small, may be missing, and may say anything. */

#include "load/sysfs.h"

#include <dirent.h>
#include <string.h>

#include "base/base.h"
#include "base/text.h"
#include "load/texts.h"

#define FILE_BYTES_MAX 8192
#define MHZ_MAX        100000
#define CARDS_MAX      256 /* folders that are looked at: displays have theirs beside the cards */

enum { VENDOR_AMD = 0x1002, VENDOR_INTEL = 0x8086 };

static char *text_of(const char *card, const char *name)
{
    VMAFX_AUTO(vmafx_free_p) char *path = vmafx_sprintf("%s/%s", card, name);
    char *text = NULL;
    size_t len;

    VMAFX_IGNORE(path && vmafx_read_file(path, FILE_BYTES_MAX, &text, &len, NULL)); /* then it is unknown */
    return text;
}

static bool number_of(const char *card, const char *name, int64_t *ret)
{
    VMAFX_AUTO(vmafx_free_p) char *text = text_of(card, name);

    return text && vmafx_load_parse_number(text, ret);
}

static bool hex_of(const char *card, const char *name, uint32_t *ret)
{
    VMAFX_AUTO(vmafx_free_p) char *text = text_of(card, name);

    return text && vmafx_load_parse_hex(text, ret);
}

/* The file's first line; "" where there is none. */
static void line_of(const char *card, const char *name, char *ret, size_t size)
{
    VMAFX_AUTO(vmafx_free_p) char *text = text_of(card, name);

    if (text)
        text[strcspn(text, "\r\n")] = 0;
    vmafx_text_copy(ret, size, text);
    vmafx_text_clean(ret);
}

/* The first of several places, as drivers differ. */
static bool first_number(const char *card, const char *const *names, size_t n, int64_t *ret)
{
    for (size_t i = 0; i < n; i++)
        if (number_of(card, names[i], ret))
            return true;
    return false;
}

static void read_busy(const char *card, VmafxDeviceLoad *ret)
{
    int64_t percent;

    if (number_of(card, "device/gpu_busy_percent", &percent) && percent <= 100)
        ret->utilization = (double)percent / 100;
}

static void read_amd(const char *card, VmafxDeviceLoad *ret)
{
    int64_t used, total;

    read_busy(card, ret);
    if (number_of(card, "device/mem_info_vram_total", &total) && total > 0 &&
        number_of(card, "device/mem_info_vram_used", &used)) {
        ret->memory_total = total;
        ret->memory_used = VMAFX_MIN(used, total);
    }
}

static int mhz_of(const char *card, const char *const *names, size_t n)
{
    int64_t mhz;

    return first_number(card, names, n, &mhz) && mhz <= MHZ_MAX ? (int)mhz : 0;
}

/* This card's place among the residencies; NULL: there are too many. */
static struct VmafxSysIdle *idle_of(VmafxSysDevices *devices, const char *name)
{
    for (size_t i = 0; i < VMAFX_LEN(devices->idle); i++)
        if (!devices->idle[i].name[0] || !strcmp(devices->idle[i].name, name)) {
            vmafx_text_copy(devices->idle[i].name, sizeof devices->idle[i].name, name);
            return &devices->idle[i];
        }
    return NULL;
}

static void read_awake(VmafxSysDevices *devices, const char *card, uint64_t now_ns, VmafxDeviceLoad *ret)
{
    static const char *const names[] = { "gt/gt0/rc6_residency_ms", "power/rc6_residency_ms",
                                         "device/tile0/gt0/gtidle/idle_residency_ms" };
    struct VmafxSysIdle *idle = idle_of(devices, ret->name);
    int64_t ms;

    if (!idle || !first_number(card, names, VMAFX_LEN(names), &ms))
        return;
    if (idle->read_ns && now_ns > idle->read_ns && ms >= idle->idle_ms) {
        double slept = (double)(ms - idle->idle_ms) * 1e6 / (double)(now_ns - idle->read_ns);
        ret->utilization = 1 - VMAFX_MIN(slept, 1);
    }
    idle->idle_ms = ms;
    idle->read_ns = now_ns;
}

static void read_intel(VmafxSysDevices *devices, const char *card, uint64_t now_ns, VmafxDeviceLoad *ret)
{
    static const char *const now[] = { "gt/gt0/rps_act_freq_mhz", "gt_act_freq_mhz",
                                       "device/tile0/gt0/freq0/act_freq" };
    static const char *const most[] = { "gt/gt0/rps_max_freq_mhz", "gt_max_freq_mhz",
                                        "device/tile0/gt0/freq0/max_freq" };

    read_busy(card, ret);
    if (ret->utilization < 0)
        read_awake(devices, card, now_ns, ret);
    ret->frequency_mhz = mhz_of(card, now, VMAFX_LEN(now));
    ret->frequency_max_mhz = mhz_of(card, most, VMAFX_LEN(most));
}

static bool sleeps(const char *card)
{
    char status[16];

    line_of(card, "device/power/runtime_status", status, sizeof status);
    return !strcmp(status, "suspended");
}

static void read_names(const char *card, VmafxDeviceLoad *ret)
{
    VMAFX_AUTO(vmafx_free_p) char *uevent = text_of(card, "device/uevent");
    char slot[sizeof ret->pci] = "";
    uint32_t device = 0;

    if (uevent && vmafx_load_parse_variable(uevent, "PCI_SLOT_NAME", slot, sizeof slot)) {
        vmafx_text_copy(ret->pci, sizeof ret->pci, slot);
        vmafx_text_clean(ret->pci);
    }
    line_of(card, "device/unique_id", ret->id, sizeof ret->id);
    if (!*ret->id)
        vmafx_text_copy(ret->id, sizeof ret->id, *ret->pci ? ret->pci : ret->name);
    line_of(card, "device/product_name", ret->model, sizeof ret->model);
    if (!*ret->model && hex_of(card, "device/device", &device))
        snprintf(ret->model, sizeof ret->model, "%s %04x", ret->vendor, device);
}

/* False: no device of these makers. */
static bool read_card(VmafxSysDevices *devices, const char *name, uint64_t now_ns, VmafxDeviceLoad *ret)
{
    VMAFX_AUTO(vmafx_free_p) char *card = vmafx_sprintf("%s/class/drm/%s", devices->sys, name);
    uint32_t vendor;

    if (!card || !hex_of(card, "device/vendor", &vendor) || (vendor != VENDOR_AMD && vendor != VENDOR_INTEL))
        return false;
    *ret = (VmafxDeviceLoad){ .utilization = -1, .encoder = -1, .decoder = -1, .index = atoi(name + strlen("card")) };
    vmafx_text_copy(ret->name, sizeof ret->name, name);
    vmafx_text_copy(ret->vendor, sizeof ret->vendor, vendor == VENDOR_AMD ? "AMD" : "Intel");
    read_names(card, ret);
    if (sleeps(card))
        ret->utilization = 0;
    else if (vendor == VENDOR_AMD)
        read_amd(card, ret);
    else
        read_intel(devices, card, now_ns, ret);
    return true;
}

/* card0, not card0-HDMI-A-1. */
static bool is_card(const char *name)
{
    size_t n = strlen("card"), digits = strncmp(name, "card", n) ? 0 : strspn(name + n, "0123456789");

    return digits && digits < 6 && !name[n + digits];
}

static int by_index(const void *a, const void *b)
{
    const VmafxDeviceLoad *x = a, *y = b;

    return (x->index > y->index) - (x->index < y->index);
}

size_t vmafx_sys_devices_read(VmafxSysDevices *devices, uint64_t now_ns, VmafxDeviceLoad *ret)
{
    VMAFX_AUTO(vmafx_free_p) char *folder = vmafx_sprintf("%s/class/drm", devices->sys);
    DIR *dir = folder ? opendir(folder) : NULL;
    size_t n = 0, seen = 0;

    if (!dir)
        return 0;
    for (struct dirent *entry; n < VMAFX_LOAD_DEVICES_MAX && (entry = readdir(dir));)
        if (is_card(entry->d_name) && seen++ < CARDS_MAX)
            n += read_card(devices, entry->d_name, now_ns, &ret[n]);
    closedir(dir);
    qsort(ret, n, sizeof *ret, by_index);
    return n;
}

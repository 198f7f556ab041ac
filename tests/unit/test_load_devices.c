/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Devices that are made up: /sys trees, and a library in the place of NVIDIA's (nvml_stand_in.c) that lies, fails and
 * hangs. And the threads that look at them: what hangs holds up nobody.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <unistd.h>

#include <cmocka.h>

#include "base/base.h"
#include "base/clock.h"
#include "load/load.h"
#include "load/nvml.h"
#include "load/sysfs.h"
#include "tree_fixture.h"

#define SECOND   UINT64_C(1000000000)
#define MINUTE   60000u
#define GIB      ((int64_t)1 << 30)
#define STAND_IN getenv("VMAFX_NVML_STAND_IN")

#define assert_near(a, b)                                                                                              \
    do {                                                                                                               \
        double a_ = (a), b_ = (b);                                                                                     \
        if (!(a_ > b_ - 1e-9 && a_ < b_ + 1e-9))                                                                       \
            fail_msg("%s is %g, not %g", #a, a_, b_);                                                                  \
    } while (0)

/* What the library is to say is in a file of the tree; one setenv, before there are threads. */
static int set_up(void **state)
{
    int failed = make_tree(state);

    return failed ? failed : setenv("NVML_STAND_IN", in_tree("nvml"), 1);
}

/* ---- /sys ---- */

static void put_amd(const char *card, const char *slot)
{
    char name[96], text[64];

    snprintf(name, sizeof name, "sys/class/drm/%s/device/vendor", card);
    put(name, "0x1002\n");
    snprintf(name, sizeof name, "sys/class/drm/%s/device/device", card);
    put(name, "0x744c\n");
    snprintf(name, sizeof name, "sys/class/drm/%s/device/uevent", card);
    snprintf(text, sizeof text, "DRIVER=amdgpu\nPCI_SLOT_NAME=%s\n", slot);
    put(name, text);
}

static size_t look(VmafxDeviceLoad ret[VMAFX_LOAD_DEVICES_MAX])
{
    VmafxSysDevices devices = { .sys = in_tree("sys") };

    return vmafx_sys_devices_read(&devices, SECOND, ret);
}

static void an_amd_card_tells_its_use_and_its_memory(void **state)
{
    VmafxDeviceLoad d[VMAFX_LOAD_DEVICES_MAX];

    put_amd("card1", "0000:03:00.0");
    put("sys/class/drm/card1/device/gpu_busy_percent", "37\n");
    put("sys/class/drm/card1/device/mem_info_vram_used", "1073741824\n");
    put("sys/class/drm/card1/device/mem_info_vram_total", "21474836480\n");
    put("sys/class/drm/card1/device/unique_id", "d4b1a52e5e2fb9e0\n");
    put("sys/class/drm/card1/device/product_name", "Radeon Pro W7900\n");
    put("sys/class/drm/card1-HDMI-A-1/status", "connected\n");
    put("sys/class/drm/renderD128/device/vendor", "0x1002\n");
    put("sys/class/drm/version", "drm 1.1.0\n");
    assert_int_equal(look(d), 1);
    assert_string_equal(d[0].id, "d4b1a52e5e2fb9e0");
    assert_string_equal(d[0].name, "card1");
    assert_string_equal(d[0].model, "Radeon Pro W7900");
    assert_string_equal(d[0].vendor, "AMD");
    assert_string_equal(d[0].pci, "0000:03:00.0");
    assert_int_equal(d[0].index, 1);
    assert_near(d[0].utilization, 0.37);
    assert_int_equal(d[0].memory_used, GIB);
    assert_int_equal(d[0].memory_total, 20 * GIB);
}

static void a_card_that_says_little_is_there_all_the_same(void **state)
{
    VmafxDeviceLoad d[VMAFX_LOAD_DEVICES_MAX];

    put_amd("card0", "0000:03:00.0");
    assert_int_equal(look(d), 1);
    assert_string_equal(d[0].id, "0000:03:00.0");
    assert_string_equal(d[0].model, "AMD 744c");
    assert_true(d[0].utilization < 0);
    assert_int_equal(d[0].memory_total, 0);
    put("sys/class/drm/card0/device/uevent", NULL);
    assert_int_equal(look(d), 1);
    assert_string_equal(d[0].id, "card0");
}

static void broken_files_leave_something_unknown(void **state)
{
    static const char *const broken[] = { "", "\n", "101\n", "-1\n", "x", "99999999999999999999\n", "50 50\n", "\xff" };
    VmafxDeviceLoad d[VMAFX_LOAD_DEVICES_MAX];

    put_amd("card0", "0000:03:00.0\x1b[2J and much more than an address");
    put("sys/class/drm/card0/device/mem_info_vram_total", "1000\n");
    put("sys/class/drm/card0/device/product_name", "\xff\xfe\x1b[2J\n");
    for (size_t i = 0; i < VMAFX_LEN(broken); i++) {
        put("sys/class/drm/card0/device/gpu_busy_percent", broken[i]);
        put("sys/class/drm/card0/device/mem_info_vram_used", i == 2 ? "x" : broken[i]);
        assert_int_equal(look(d), 1);
        assert_true(d[0].utilization < 0);
        assert_int_equal(d[0].memory_total, 0);
        for (const char *c = d[0].model; *c; c++)
            assert_true(*c >= ' ' && *c <= '~');
    }
    put("sys/class/drm/card0/device/mem_info_vram_used", "2000\n"); /* more than there is */
    assert_int_equal(look(d), 1);
    assert_int_equal(d[0].memory_used, 1000);
    put("sys/class/drm/card0/device/vendor", "AMD\n");
    assert_int_equal(look(d), 0);
}

static void cards_of_others_are_left_to_others(void **state)
{
    VmafxDeviceLoad d[VMAFX_LOAD_DEVICES_MAX];

    assert_int_equal(look(d), 0); /* no /sys/class/drm at all */
    put("sys/class/drm/card0/device/vendor", "0x10de\n");
    put("sys/class/drm/card1/device/vendor", "0x1a03\n"); /* a server's graphics, which measure nothing */
    put("sys/class/drm/card2/dev", "226:2\n");
    assert_int_equal(look(d), 0);
}

static void cards_come_by_number_and_no_more_than_there_may_be(void **state)
{
    VmafxDeviceLoad d[VMAFX_LOAD_DEVICES_MAX];

    for (int i = 0; i < VMAFX_LOAD_DEVICES_MAX + 4; i++) {
        char card[16], slot[16];
        snprintf(card, sizeof card, "card%d", i);
        snprintf(slot, sizeof slot, "0000:%02x:00.0", i);
        put_amd(card, slot);
    }
    assert_int_equal(look(d), VMAFX_LOAD_DEVICES_MAX);
    for (size_t i = 1; i < VMAFX_LOAD_DEVICES_MAX; i++)
        assert_true(d[i].index > d[i - 1].index);
}

static void a_card_that_sleeps_is_not_woken(void **state)
{
    VmafxDeviceLoad d[VMAFX_LOAD_DEVICES_MAX];

    put_amd("card0", "0000:03:00.0");
    put("sys/class/drm/card0/device/power/runtime_status", "suspended\n");
    put("sys/class/drm/card0/device/gpu_busy_percent", "50\n"); /* reading it would wake it */
    assert_int_equal(look(d), 1);
    assert_near(d[0].utilization, 0);
}

static void an_intel_card_is_busy_while_it_does_not_sleep(void **state)
{
    VMAFX_AUTO(vmafx_free_p) char *sys = vmafx_strdup(in_tree("sys"));
    VmafxSysDevices devices = { .sys = sys };
    VmafxDeviceLoad d[VMAFX_LOAD_DEVICES_MAX];

    put("sys/class/drm/card0/device/vendor", "0x8086\n");
    put("sys/class/drm/card0/device/device", "0x56c0\n");
    put("sys/class/drm/card0/gt/gt0/rc6_residency_ms", "1000\n");
    put("sys/class/drm/card0/gt/gt0/rps_act_freq_mhz", "1200\n");
    put("sys/class/drm/card0/gt/gt0/rps_max_freq_mhz", "2050\n");
    assert_int_equal(vmafx_sys_devices_read(&devices, SECOND, d), 1);
    assert_true(d[0].utilization < 0);
    assert_int_equal(d[0].frequency_mhz, 1200);
    assert_int_equal(d[0].frequency_max_mhz, 2050);
    put("sys/class/drm/card0/gt/gt0/rc6_residency_ms", "2500\n");
    assert_int_equal(vmafx_sys_devices_read(&devices, 3 * SECOND, d), 1);
    assert_near(d[0].utilization, 0.25);                          /* 1.5 of 2 s asleep */
    put("sys/class/drm/card0/gt/gt0/rc6_residency_ms", "9500\n"); /* more than has passed */
    assert_int_equal(vmafx_sys_devices_read(&devices, 4 * SECOND, d), 1);
    assert_near(d[0].utilization, 0);
    put("sys/class/drm/card0/gt/gt0/rc6_residency_ms", "3\n"); /* begun anew */
    assert_int_equal(vmafx_sys_devices_read(&devices, 5 * SECOND, d), 1);
    assert_true(d[0].utilization < 0);
    put("sys/class/drm/card0/device/gpu_busy_percent", "80\n"); /* a driver that knows it better */
    put("sys/class/drm/card0/gt/gt0/rps_act_freq_mhz", "99999999\n");
    assert_int_equal(vmafx_sys_devices_read(&devices, 6 * SECOND, d), 1);
    assert_near(d[0].utilization, 0.8);
    assert_int_equal(d[0].frequency_mhz, 0);
}

/* ---- NVML ---- */

static size_t nvml_look(VmafxDeviceLoad ret[VMAFX_LOAD_DEVICES_MAX])
{
    VmafxNvml *nvml = NULL;
    size_t n = 0;

    assert_int_equal(vmafx_nvml_open(STAND_IN, &nvml, NULL), VMAFX_OK);
    assert_int_equal(vmafx_nvml_read(nvml, ret, &n), VMAFX_OK);
    vmafx_nvml_close(&nvml);
    return n;
}

static void the_library_tells_of_none_one_and_nine(void **state)
{
    static const char *const said[] = { "devices 0\n", "devices 1\n", "devices 9\n" };
    static const size_t n[] = { 0, 1, 9 };

    for (size_t k = 0; k < VMAFX_LEN(said); k++) {
        VmafxDeviceLoad d[VMAFX_LOAD_DEVICES_MAX];
        char id[64], pci[16];
        put("nvml", said[k]);
        assert_int_equal(nvml_look(d), n[k]);
        for (size_t i = 0; i < n[k]; i++) {
            snprintf(id, sizeof id, "GPU-00000000-0000-0000-0000-%012zx", i);
            snprintf(pci, sizeof pci, "0000:%02zx:00.0", 0x10 + i);
            assert_string_equal(d[i].id, id);
            assert_string_equal(d[i].pci, pci);
            assert_string_equal(d[i].vendor, "NVIDIA");
            assert_near(d[i].utilization, (double)(i + 1) / 10);
            assert_near(d[i].encoder, 0.05);
            assert_near(d[i].decoder, 0);
            assert_int_equal(d[i].memory_used, (int64_t)(i + 1) * GIB);
            assert_int_equal(d[i].memory_total, 80 * GIB);
        }
    }
}

static void a_library_that_lies_is_not_believed(void **state)
{
    VmafxDeviceLoad d[VMAFX_LOAD_DEVICES_MAX];

    put("nvml", "lie count\nlie utilization\nlie memory\nlie name\nlie pci\n");
    assert_int_equal(nvml_look(d), VMAFX_LOAD_DEVICES_MAX);
    for (size_t i = 0; i < VMAFX_LOAD_DEVICES_MAX; i++) {
        assert_true(d[i].utilization < 0 && d[i].encoder < 0 && d[i].decoder < 0);
        assert_int_equal(d[i].memory_used, d[i].memory_total);
        assert_string_equal(d[i].pci, "");
        for (const char *c = d[i].model; *c; c++)
            assert_true(*c >= ' ' && *c <= '~');
        assert_true(strlen(d[i].model) < sizeof d[i].model);
    }
}

static void what_a_device_does_not_tell_is_unknown(void **state)
{
    VmafxDeviceLoad d[VMAFX_LOAD_DEVICES_MAX];

    put("nvml",
        "devices 2\nerror nvmlDeviceGetUtilizationRates 3\nerror nvmlDeviceGetMemoryInfo 3\n"
        "error nvmlDeviceGetName 999\nerror nvmlDeviceGetPciInfo_v3 999\nerror nvmlDeviceGetEncoderUtilization 3\n"
        "error nvmlDeviceGetDecoderUtilization 3\n");
    assert_int_equal(nvml_look(d), 2);
    assert_true(d[1].utilization < 0 && d[1].encoder < 0 && d[1].decoder < 0);
    assert_int_equal(d[1].memory_total, 0);
    assert_string_equal(d[1].model, "");
    assert_string_equal(d[1].pci, "");
    put("nvml", "devices 2\nerror nvmlDeviceGetUUID 15\n"); /* lost: a device without a name cannot be counted on */
    assert_int_equal(nvml_look(d), 0);
    put("nvml", "devices 2\nerror nvmlDeviceGetHandleByIndex_v2 15\n");
    assert_int_equal(nvml_look(d), 0);
}

static void a_library_that_is_none_is_said_to_be_none(void **state)
{
    VmafxNvml *nvml = NULL;
    VmafxErrInfo info = { 0 };
    VmafxDeviceLoad d[VMAFX_LOAD_DEVICES_MAX];
    size_t n;

    assert_int_equal(vmafx_nvml_open(in_tree("nowhere.so"), &nvml, &info), VMAFX_ERR_NOT_FOUND);
    put("text.so", "no library");
    assert_int_equal(vmafx_nvml_open(in_tree("text.so"), &nvml, &info), VMAFX_ERR_NOT_FOUND);
    assert_int_equal(vmafx_nvml_open("libm.so.6", &nvml, &info), VMAFX_ERR_UNSUPPORTED);
    assert_non_null(strstr(info.message, "nvmlInit_v2"));
    put("nvml", "error nvmlInit_v2 9\n");
    assert_int_equal(vmafx_nvml_open(STAND_IN, &nvml, &info), VMAFX_ERR_UNSUPPORTED);
    assert_non_null(strstr(info.message, "error 9"));
    assert_null(nvml);

    put("nvml", "error nvmlDeviceGetCount_v2 1\n");
    assert_int_equal(vmafx_nvml_open(STAND_IN, &nvml, &info), VMAFX_OK);
    assert_int_equal(vmafx_nvml_read(nvml, d, &n), VMAFX_ERR_UNREACHABLE);
    vmafx_nvml_close(&nvml);
}

/* ---- The threads ---- */

/* Nothing is looked at by itself: a period is an hour. */
static VmafxLoadMeter *start(const char *nvml)
{
    VmafxLoadMeter *meter = NULL;

    put("proc/stat", "cpu  0 0 0 100\ncpu0 1 1 1 1\n");
    assert_int_equal(vmafx_load_start(&(VmafxLoadConfig){ .proc = in_tree("proc"),
                                                          .cgroups = in_tree("cg"),
                                                          .sys = in_tree("sys"),
                                                          .nvml = nvml,
                                                          .period_ms = 60 * MINUTE,
                                                          .absent_ms = 60 * MINUTE,
                                                          .stale_ms = 10000 },
                                      &meter),
                     VMAFX_OK);
    return meter;
}

static VmafxLoad now(VmafxLoadMeter *meter)
{
    VmafxLoad load;

    vmafx_load_now(meter, vmafx_monotonic_ns(), &load);
    return load;
}

static void all_sources_add_up(void **state)
{
    put("nvml", "devices 2\n");
    put_amd("card0", "0000:03:00.0");
    VmafxLoadMeter *meter = start(STAND_IN);
    assert_true(vmafx_load_look(meter, MINUTE));
    VmafxLoad load = now(meter);
    assert_true(load.has_machine);
    assert_int_equal(load.machine.machine_cpus, 1);
    assert_int_equal(load.n_devices, 3);
    assert_string_equal(load.devices[0].vendor, "NVIDIA");
    assert_string_equal(load.devices[2].vendor, "AMD");
    assert_int_equal(load.silent, 0);
    vmafx_load_stop(&meter);
    assert_null(meter);
    vmafx_load_stop(&meter);
}

static void a_machine_without_devices_has_none(void **state)
{
    VmafxLoadMeter *meter = start(in_tree("nowhere.so"));

    assert_true(vmafx_load_look(meter, MINUTE));
    VmafxLoad load = now(meter);
    assert_int_equal(load.n_devices, 0);
    assert_int_equal(load.silent, 0);
    vmafx_load_stop(&meter);
    meter = start(NULL); /* not asked at all */
    assert_true(vmafx_load_look(meter, MINUTE));
    vmafx_load_stop(&meter);
}

static void two_devices_of_one_id_count_once(void **state)
{
    put("nvml", "devices 3\nlie uuid\n");
    VmafxLoadMeter *meter = start(STAND_IN);
    assert_true(vmafx_load_look(meter, MINUTE));
    assert_int_equal(now(meter).n_devices, 1);
    vmafx_load_stop(&meter);
}

static void values_that_are_too_old_are_dropped(void **state)
{
    VmafxLoad load;

    put("nvml", "devices 1\n");
    VmafxLoadMeter *meter = start(STAND_IN);
    assert_true(vmafx_load_look(meter, MINUTE));
    vmafx_load_now(meter, vmafx_monotonic_ns() + 11 * SECOND, &load);
    assert_false(load.has_machine);
    assert_int_equal(load.n_devices, 0);
    assert_int_equal(load.silent, 0); /* nobody hangs: nobody was asked */
    vmafx_load_stop(&meter);
}

static void a_driver_that_comes_and_goes_is_followed(void **state)
{
    put("nvml", "error nvmlInit_v2 9\n");
    VmafxLoadMeter *meter = start(STAND_IN);
    assert_true(vmafx_load_look(meter, MINUTE));
    assert_int_equal(now(meter).n_devices, 0);
    put("nvml", "devices 2\n");
    assert_true(vmafx_load_look(meter, MINUTE));
    assert_int_equal(now(meter).n_devices, 2);
    put("nvml", "devices 2\nerror nvmlDeviceGetCount_v2 15\n");
    assert_true(vmafx_load_look(meter, MINUTE));
    assert_int_equal(now(meter).n_devices, 0);
    vmafx_load_stop(&meter);
}

static void a_library_that_hangs_holds_up_nobody(void **state)
{
    VmafxLoad load;

    put("nvml", "devices 2\n");
    put_amd("card0", "0000:03:00.0");
    VmafxLoadMeter *meter = start(STAND_IN);
    assert_true(vmafx_load_look(meter, MINUTE));
    put("nvml", "devices 2\nhang nvmlDeviceGetUtilizationRates\n");
    assert_false(vmafx_load_look(meter, 200)); /* the others have been looked at */
    assert_int_equal(now(meter).n_devices, 3); /* as of the last look */
    vmafx_load_now(meter, vmafx_monotonic_ns() + 11 * SECOND, &load);
    assert_int_equal(load.n_devices, 0);
    assert_int_equal(load.silent, VMAFX_LOAD_OF_NVML);

    put("nvml", "devices 1\n"); /* it comes back */
    assert_true(vmafx_load_look(meter, MINUTE));
    load = now(meter);
    assert_int_equal(load.silent, 0);
    assert_int_equal(load.n_devices, 2);
    vmafx_load_stop(&meter);
}

static void a_file_that_hangs_holds_up_nobody(void **state)
{
    VmafxLoad load;

    put_amd("card0", "0000:03:00.0");
    const char *path = in_tree("sys/class/drm/card0/device/gpu_busy_percent");
    assert_int_equal(mkfifo(path, 0600), 0); /* whoever opens it waits for a writer */
    put("nvml", "devices 1\n");
    VmafxLoadMeter *meter = start(STAND_IN);
    assert_false(vmafx_load_look(meter, 200));
    for (load = now(meter); !load.has_machine || load.n_devices != 1; load = now(meter)) /* the others go on */
        usleep(5000);
    vmafx_load_now(meter, vmafx_monotonic_ns() + 11 * SECOND, &load);
    assert_int_equal(load.silent, VMAFX_LOAD_OF_SYS);
    FILE *f = fopen(in_tree("sys/class/drm/card0/device/gpu_busy_percent"), "w"); /* lets it go on */
    assert_non_null(f);
    put("sys/class/drm/card0/device/power/runtime_status", "suspended\n"); /* and not hang again */
    fclose(f);
    assert_true(vmafx_load_look(meter, MINUTE));
    vmafx_load_stop(&meter);
}

/* Last: its thread stays. */
static void the_end_does_not_wait_for_what_hangs(void **state)
{
    put("nvml", "hang nvmlDeviceGetCount_v2\n");
    VmafxLoadMeter *meter = start(STAND_IN);
    assert_false(vmafx_load_look(meter, 100));
    vmafx_load_stop(&meter);
    assert_null(meter);
}

#define IN_TREE(test) cmocka_unit_test_setup_teardown(test, set_up, remove_tree)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_TREE(an_amd_card_tells_its_use_and_its_memory),
        IN_TREE(a_card_that_says_little_is_there_all_the_same),
        IN_TREE(broken_files_leave_something_unknown),
        IN_TREE(cards_of_others_are_left_to_others),
        IN_TREE(cards_come_by_number_and_no_more_than_there_may_be),
        IN_TREE(a_card_that_sleeps_is_not_woken),
        IN_TREE(an_intel_card_is_busy_while_it_does_not_sleep),
        IN_TREE(the_library_tells_of_none_one_and_nine),
        IN_TREE(a_library_that_lies_is_not_believed),
        IN_TREE(what_a_device_does_not_tell_is_unknown),
        IN_TREE(a_library_that_is_none_is_said_to_be_none),
        IN_TREE(all_sources_add_up),
        IN_TREE(a_machine_without_devices_has_none),
        IN_TREE(two_devices_of_one_id_count_once),
        IN_TREE(values_that_are_too_old_are_dropped),
        IN_TREE(a_driver_that_comes_and_goes_is_followed),
        IN_TREE(a_library_that_hangs_holds_up_nobody),
        IN_TREE(a_file_that_hangs_holds_up_nobody),
        IN_TREE(the_end_does_not_wait_for_what_hangs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

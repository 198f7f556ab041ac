/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* CPU and memory of machines that are made up: their /proc and control groups, whole and broken. */

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
#include "load/machine.h"
#include "tree_fixture.h"

#define SECOND UINT64_C(1000000000)
#define MIB    ((int64_t)1 << 20)

#define assert_near(a, b)                                                                                              \
    do {                                                                                                               \
        double a_ = (a), b_ = (b);                                                                                     \
        if (!(a_ > b_ - 1e-9 && a_ < b_ + 1e-9))                                                                       \
            fail_msg("%s is %g, not %g", #a, a_, b_);                                                                  \
    } while (0)

/* ---- Texts ---- */

static void times_of_all_cpus_are_read_in_whatever_age_of_the_kernel(void **state)
{
    static const struct {
        const char *why, *text;
        bool good;
        uint64_t user, idle, steal;
        int cpus;
    } cases[] = {
        { "now", "cpu  1 2 3 4 5 6 7 8 9 10\ncpu0 1 2 3 4\ncpu1 1 2 3 4\nintr 5\n", true, 1, 4, 8, 2 },
        { "Linux 2.4", "cpu  1 2 3 4\ncpu0 1 2 3 4\n", true, 1, 4, 0, 1 },
        { "no line for each", "cpu  1 2 3 4\n", true, 1, 4, 0, 1 },
        { "no sum", "cpu0 1 2 3 4\n", false, 0, 0, 0, 0 },
        { "too few", "cpu  1 2 3\n", false, 0, 0, 0, 0 },
        { "empty", "", false, 0, 0, 0, 0 },
        { "no number", "cpu  a b c d\n", false, 0, 0, 0, 0 },
        { "beyond 64 bits", "cpu  99999999999999999999 2 3 4\n", false, 0, 0, 0, 0 },
        { "beyond sense", "cpu  9223372036854775807 9223372036854775807 9223372036854775807 1\n", false, 0, 0, 0, 0 },
        { "cut", "cpu  1 2 3 4", true, 1, 4, 0, 1 },
    };

    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        VmafxCpuTimes times = { 0 };
        if (vmafx_load_parse_stat(cases[i].text, &times) != cases[i].good)
            fail_msg("%s", cases[i].why);
        if (cases[i].good && (times.user != cases[i].user || times.idle != cases[i].idle ||
                              times.steal != cases[i].steal || times.cpus != cases[i].cpus))
            fail_msg("%s: other numbers", cases[i].why);
    }
}

static void memory_is_never_more_than_there_is(void **state)
{
    static const struct {
        const char *why, *text;
        bool good;
        int64_t total, available, free, cached;
    } cases[] = {
        { "now", "MemTotal: 1000 kB\nMemFree: 100 kB\nMemAvailable: 600 kB\nBuffers: 50 kB\nCached: 500 kB\n", true,
          1000, 600, 100, 500 },
        { "before 3.14", "MemTotal: 1000 kB\nMemFree: 100 kB\nBuffers: 50 kB\nCached: 500 kB\n", true, 1000, 650, 100,
          500 },
        { "parts above the whole", "MemTotal: 1000 kB\nMemFree: 900 kB\nMemAvailable: 5000 kB\nCached: 9000 kB\n", true,
          1000, 1000, 900, 100 },
        { "no total", "MemFree: 100 kB\n", false, 0, 0, 0, 0 },
        { "nothing", "MemTotal: 0 kB\n", false, 0, 0, 0, 0 },
        { "beyond 63 bits", "MemTotal: 18446744073709551615 kB\n", false, 0, 0, 0, 0 },
        { "empty", "", false, 0, 0, 0, 0 },
    };

    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        VmafxMemoryUse use = { 0 };
        if (vmafx_load_parse_meminfo(cases[i].text, &use) != cases[i].good)
            fail_msg("%s", cases[i].why);
        if (cases[i].good && (use.total != cases[i].total * 1024 || use.available != cases[i].available * 1024 ||
                              use.free != cases[i].free * 1024 || use.cached != cases[i].cached * 1024))
            fail_msg("%s: other numbers", cases[i].why);
    }
}

#define STAT(name)                                                                                                     \
    "7 (" name ") S 1 7 7 0 -1 4194560 1 2 3 4 10 20 30 40 20 0 1 0 99 1000000 500 18446744073709551615 1\n"

static void a_process_may_have_any_name(void **state)
{
    static const char *const good[] = { STAT("vmafx-scorer"), STAT("a b"), STAT(") R 1 (x"), STAT("\n") };
    static const char *const bad[] = { "",
                                       "7",
                                       "7 (x",
                                       "7 (x)",
                                       "7 (x) S 1 2 3",
                                       "7 (x) S 1 7 7 0 -1 4 1 2 3 4 a 20 30 40 20 0 1 0 9 1 5",
                                       "7 (x) S 1 7 7 0 -1 4 1 2 3 4 10 -1 30 40 20 0 1 0 9 1 5",
                                       "7 (x) S 1 7 7 0 -1 4 1 2 3 4 10 20 30 40 20 0 1 0 9 1 99999999999999999999" };
    VmafxProcessUse use;

    for (size_t i = 0; i < VMAFX_LEN(good); i++) {
        assert_true(vmafx_load_parse_process(good[i], &use));
        assert_int_equal(use.ticks, 30);
        assert_int_equal(use.children_ticks, 70);
        assert_int_equal(use.rss_pages, 500);
    }
    for (size_t i = 0; i < VMAFX_LEN(bad); i++)
        if (vmafx_load_parse_process(bad[i], &use))
            fail_msg("'%s' is no process", bad[i]);
}

static void small_files_hold_one_number_and_nothing_else(void **state)
{
    static const char *const no_number[] = { "", "max\n", "-1\n", " ", "1 2\n", "9223372036854775808", "0x10", "1.5" };
    static const char *const no_hex[] = { "", "0x", "1002", "0x1002 x", "0x123456789", "0xg" };
    int64_t n = 0;
    uint32_t hex = 0;
    double cpus = 0;

    assert_true(vmafx_load_parse_number("9223372036854775807\n", &n) && n == INT64_MAX);
    assert_true(vmafx_load_parse_number("0", &n) && n == 0);
    for (size_t i = 0; i < VMAFX_LEN(no_number); i++)
        if (vmafx_load_parse_number(no_number[i], &n))
            fail_msg("'%s' is no number", no_number[i]);
    assert_true(vmafx_load_parse_hex("0x10De\n", &hex) && hex == 0x10de);
    for (size_t i = 0; i < VMAFX_LEN(no_hex); i++)
        if (vmafx_load_parse_hex(no_hex[i], &hex))
            fail_msg("'%s' is no hexadecimal number", no_hex[i]);
    assert_true(vmafx_load_parse_cpu_max("150000 100000\n", &cpus));
    assert_near(cpus, 1.5);
    assert_false(vmafx_load_parse_cpu_max("max 100000\n", &cpus));
    assert_false(vmafx_load_parse_cpu_max("1 0\n", &cpus));
    assert_false(vmafx_load_parse_cpu_max("0 100000\n", &cpus));
}

static void lines_are_found_by_their_whole_key(void **state)
{
    int64_t n;
    char slot[8];

    assert_true(vmafx_load_parse_member("inactive_file_x 1\ninactive_file 2\n", "inactive_file", &n) && n == 2);
    assert_false(vmafx_load_parse_member("inactive_file\nactive 1\n", "inactive_file", &n));
    assert_false(vmafx_load_parse_member("k 1x\n", "k", &n));
    assert_true(vmafx_load_parse_variable("A=1\nSLOT=0000:03:00.0\n", "SLOT", slot, sizeof slot));
    assert_string_equal(slot, "0000:03"); /* cut */
    assert_false(vmafx_load_parse_variable("SLOT\n", "SLOT", slot, sizeof slot));
}

/* ---- A machine ---- */

static VmafxMachine machine(void)
{
    static char proc[96], groups[96];

    snprintf(proc, sizeof proc, "%s/proc", tree);
    snprintf(groups, sizeof groups, "%s/cg", tree);
    return (VmafxMachine){ .proc = proc, .cgroups = groups, .pid = 7 };
}

static VmafxMachineLoad look(VmafxMachine *m, uint64_t second)
{
    VmafxMachineLoad load;

    vmafx_machine_read(m, second * SECOND, &load);
    return load;
}

#define MEMINFO                                                                                                        \
    "MemTotal: 8388608 kB\nMemFree: 1048576 kB\nMemAvailable: 6291456 kB\nBuffers: 0 kB\nCached: 4194304 kB\n"

static void a_machine_is_busy_by_what_changed_since_the_last_look(void **state)
{
    VmafxMachine m = machine();

    put("proc/stat", "cpu  100 0 100 800 0 0 0 0\ncpu0 1 1 1 1\ncpu1 1 1 1 1\n");
    put("proc/meminfo", MEMINFO);
    VmafxMachineLoad load = look(&m, 1);
    assert_true(load.cpu < 0); /* not known yet */
    assert_false(load.has_modes);
    assert_near(load.cpus, 2);
    assert_int_equal(load.memory_total, 8192 * MIB);
    assert_int_equal(load.memory_used, 2048 * MIB);
    assert_int_equal(load.memory.used + load.memory.free + load.memory.cached + load.memory.buffers, load.memory.total);

    put("proc/stat", "cpu  150 0 100 820 10 0 0 20\ncpu0 1 1 1 1\ncpu1 1 1 1 1\n");
    load = look(&m, 2);
    assert_near(load.cpu, 0.7);
    assert_true(load.has_modes);
    assert_near(load.modes.user, 0.5);
    assert_near(load.modes.iowait, 0.1);
    assert_near(load.modes.steal, 0.2);

    load = look(&m, 3); /* nothing has changed: no time has passed for the kernel */
    assert_true(load.cpu < 0);
    put("proc/stat", "garbage");
    load = look(&m, 4);
    assert_true(load.cpu < 0);
    assert_int_equal(load.machine_cpus, 0);
    put("proc/stat", "cpu  200 0 100 820 10 0 0 20\ncpu0 1 1 1 1\n");
    load = look(&m, 5);
    assert_true(load.cpu < 0); /* there was nothing to compare it with */
    put("proc/stat", "cpu  300 0 100 820 0 0 0 20\ncpu0 1 1 1 1\n");
    load = look(&m, 6);
    assert_near(load.cpu, 1); /* a counter that goes back counts as one that stands */
}

static void affinity_limits_what_may_be_used(void **state)
{
    VmafxMachine m = machine();

    m.cpus = 1;
    put("proc/stat", "cpu  1 0 0 1\ncpu0 1 1 1 1\ncpu1 1 1 1 1\n");
    VmafxMachineLoad load = look(&m, 1);
    assert_near(load.cpus, 1);
    assert_int_equal(load.machine_cpus, 2);
}

static void a_machine_of_which_nothing_can_be_read_is_unknown(void **state)
{
    VmafxMachine m = machine();

    look(&m, 1);
    VmafxMachineLoad load = look(&m, 2);
    assert_true(load.cpu < 0 && load.own.cpu < 0 && load.started.cpu < 0);
    assert_near(load.cpus, 0);
    assert_int_equal(load.memory_total, 0);
    assert_int_equal(load.own.processes, 0);
}

static void groups_of_version_2_take_the_place_of_the_machine(void **state)
{
    VmafxMachine m = machine();

    put("proc/stat", "cpu  0 0 0 100\ncpu0 1 1 1 1\ncpu1 1 1 1 1\n");
    put("proc/meminfo", MEMINFO);
    put("proc/7/cgroup", "0::/pod/box\n");
    put("cg/pod/cpu.max", "150000 100000\n"); /* smaller than what the box has of its own */
    put("cg/pod/cpu.stat", "usage_usec 1000000\nuser_usec 1\n");
    put("cg/pod/box/cpu.max", "max 100000\n");
    put("cg/pod/box/cpu.stat", "usage_usec 5\n");
    put("cg/pod/memory.max", "4294967296\n");
    put("cg/pod/memory.current", "1\n");
    put("cg/pod/box/memory.max", "1073741824\n");
    put("cg/pod/box/memory.current", "943718400\n");
    put("cg/pod/box/memory.stat", "anon 1\ninactive_file 419430400\n");
    VmafxMachineLoad load = look(&m, 1);
    assert_near(load.cpus, 1.5);
    assert_true(load.cpu < 0);
    assert_int_equal(load.memory_total, 1024 * MIB);
    assert_int_equal(load.memory_used, 500 * MIB);
    assert_int_equal(load.memory.total, 8192 * MIB);

    put("cg/pod/cpu.stat", "usage_usec 2500000\n");
    put("proc/stat", "cpu  100 0 0 100\ncpu0 1 1 1 1\ncpu1 1 1 1 1\n");
    load = look(&m, 3);
    assert_near(load.cpu, 0.5); /* 1.5 s of 3 */
    assert_near(load.modes.user, 1);
}

static void groups_of_version_1_do_so_too(void **state)
{
    VmafxMachine m = machine();

    put("proc/stat", "cpu  0 0 0 100\ncpu0 1 1 1 1\ncpu1 1 1 1 1\n");
    put("proc/meminfo", MEMINFO);
    put("proc/7/cgroup", "9:memory:/box\n4:cpu,cpuacct:/box\n");
    put("cg/cpu,cpuacct/box/cpu.cfs_quota_us", "50000\n");
    put("cg/cpu,cpuacct/box/cpu.cfs_period_us", "100000\n");
    put("cg/cpu,cpuacct/box/cpuacct.usage", "1000000000\n");
    put("cg/memory/memory.limit_in_bytes", "9223372036854771712\n"); /* none */
    put("cg/memory/box/memory.limit_in_bytes", "104857600\n");
    put("cg/memory/box/memory.usage_in_bytes", "209715200\n"); /* more than it may */
    put("cg/memory/box/memory.stat", "total_inactive_file 52428800\n");
    VmafxMachineLoad load = look(&m, 1);
    assert_near(load.cpus, 0.5);
    assert_int_equal(load.memory_total, 100 * MIB);
    assert_int_equal(load.memory_used, 100 * MIB);
    put("cg/cpu,cpuacct/box/cpuacct.usage", "1250000000\n");
    load = look(&m, 2);
    assert_near(load.cpu, 0.5);
}

static void broken_groups_limit_nothing(void **state)
{
    static const char *const broken[] = {
        "", "0 100000", "-1 100000", "100000", "max", "\xff\xfe", "99999999999999999999 1"
    };
    VmafxMachine m = machine();

    put("proc/stat", "cpu  0 0 0 100\ncpu0 1 1 1 1\ncpu1 1 1 1 1\n");
    put("proc/meminfo", MEMINFO);
    put("proc/7/cgroup", "nonsense\n0::/box\n0::/../x\n5:memory:\n");
    for (size_t i = 0; i < VMAFX_LEN(broken); i++) {
        put("cg/box/cpu.max", broken[i]);
        put("cg/box/memory.max", broken[i]);
        VmafxMachineLoad load = look(&m, i + 1);
        assert_near(load.cpus, 2);
        assert_int_equal(load.memory_total, 8192 * MIB);
    }
    put("cg/box/memory.max", "1048576\n"); /* a limit, and nobody says what is in use */
    assert_int_equal(look(&m, 20).memory_total, 8192 * MIB);
}

/* ---- Processes ---- */

static void put_process(int pid, int ticks, int children_ticks, int pages, const char *children)
{
    char name[64], text[256];

    snprintf(name, sizeof name, "proc/%d/stat", pid);
    snprintf(text, sizeof text, "%d (x) S 1 1 1 0 -1 4 1 2 3 4 %d 0 %d 0 20 0 1 0 9 1 %d\n", pid, ticks, children_ticks,
             pages);
    put(name, text);
    snprintf(name, sizeof name, "proc/%d/task/%d/children", pid, pid);
    put(name, children);
}

static void the_scorers_use_what_their_ended_children_have_used_too(void **state)
{
    int64_t page = sysconf(_SC_PAGESIZE);
    int hz = (int)sysconf(_SC_CLK_TCK);
    VmafxMachine m = machine();

    put("proc/stat", "cpu  0 0 0 100\ncpu0 1 1 1 1\ncpu1 1 1 1 1\n");
    put_process(7, 0, 0, 10, "8 ");
    put_process(8, 0, 0, 20, "9 10 ");
    put_process(9, 0, 0, 30, "");
    put_process(10, 0, 0, 40, "");
    VmafxMachineLoad load = look(&m, 1);
    assert_int_equal(load.own.memory_bytes, 10 * page);
    assert_int_equal(load.started.memory_bytes, 90 * page);
    assert_int_equal(load.started.processes, 3);
    assert_true(load.started.cpu < 0);

    put_process(7, hz, 0, 10, "8 ");
    put_process(8, 0, hz, 20, "10 11 "); /* 9 has ended, with a second of CPU; 11 is gone before it can be read */
    put_process(10, hz, 0, 40, "");
    load = look(&m, 3);
    assert_near(load.own.cpu, 0.25);    /* 1 s of 4 */
    assert_near(load.started.cpu, 0.5); /* 2 s of 4 */
    assert_int_equal(load.started.processes, 2);

    put_process(7, hz, 2 * hz, 10, ""); /* all have ended */
    load = look(&m, 5);
    assert_near(load.started.cpu, 0);
    assert_int_equal(load.started.processes, 0);
}

static void processes_that_lead_in_a_circle_end(void **state)
{
    VmafxMachine m = machine();

    put("proc/stat", "cpu  0 0 0 100\ncpu0 1 1 1 1\n");
    put_process(7, 1, 0, 1, "8 8");
    put_process(8, 1, 0, 1, "7 8 x");
    assert_true(look(&m, 1).started.processes <= VMAFX_LOAD_PROCESSES_MAX);
}

static void this_machine_can_be_read(void **state)
{
    VmafxMachine m = { .proc = "/proc", .cgroups = "/sys/fs/cgroup" };
    VmafxMachineLoad load = look(&m, 1);

    assert_true(load.machine_cpus >= 1 && load.cpus > 0);
    assert_true(load.memory_total > 0 && load.memory_used >= 0 && load.memory_used <= load.memory_total);
    assert_int_equal(load.own.processes, 1);
    assert_true(load.own.memory_bytes > 0);
}

#define IN_TREE(test) cmocka_unit_test_setup_teardown(test, make_tree, remove_tree)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times_of_all_cpus_are_read_in_whatever_age_of_the_kernel),
        cmocka_unit_test(memory_is_never_more_than_there_is),
        cmocka_unit_test(a_process_may_have_any_name),
        cmocka_unit_test(small_files_hold_one_number_and_nothing_else),
        cmocka_unit_test(lines_are_found_by_their_whole_key),
        IN_TREE(a_machine_is_busy_by_what_changed_since_the_last_look),
        IN_TREE(affinity_limits_what_may_be_used),
        IN_TREE(a_machine_of_which_nothing_can_be_read_is_unknown),
        IN_TREE(groups_of_version_2_take_the_place_of_the_machine),
        IN_TREE(groups_of_version_1_do_so_too),
        IN_TREE(broken_groups_limit_nothing),
        IN_TREE(the_scorers_use_what_their_ended_children_have_used_too),
        IN_TREE(processes_that_lead_in_a_circle_end),
        cmocka_unit_test(this_machine_can_be_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

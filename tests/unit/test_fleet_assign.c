/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Which node gets tasks, what fits, what to make of a node that comes back, and when leases may be taken away. */

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"
#include "fleet/assign.h"
#include "fleet/sweep.h"

static VmafxNodeView idle_node(uint32_t slots)
{
    return (VmafxNodeView){ .name = "n", .ready = true, .slots = slots, .slots_free = slots };
}

static void room_is_what_both_sides_agree_on(void **s)
{
    static const struct {
        const char *why;
        VmafxNodeView view;
        uint32_t room;
    } rows[] = {
        { "idle", { .ready = true, .slots = 4, .slots_free = 4 }, 4 },
        { "not welcomed yet", { .slots = 4, .slots_free = 4 }, 0 },
        { "draining", { .ready = true, .draining = true, .slots = 4, .slots_free = 4 }, 0 },
        { "assigned since the heartbeat", { .ready = true, .slots = 4, .slots_free = 4, .held = 3 }, 1 },
        { "its spool is full", { .ready = true, .slots = 4, .slots_free = 0 }, 0 },
        { "under way", { .ready = true, .slots = 4, .slots_free = 4, .held = 1, .asked = 3 }, 0 },
        { "more than it has", { .ready = true, .slots = 4, .slots_free = 4, .held = 9 }, 0 },
        { "numbers too large to be added",
          { .ready = true, .slots = 4, .slots_free = 4, .held = UINT32_MAX, .asked = UINT32_MAX },
          0 },
        { "nobody", { .ready = false }, 0 },
    };

    for (size_t i = 0; i < VMAFX_LEN(rows); i++)
        if (vmafx_node_room(&rows[i].view) != rows[i].room)
            fail_msg("%s", rows[i].why);
}

static void free_memory_is_never_below_zero_and_unknown_is_unlimited(void **s)
{
    VmafxNodeView view = { .memory_mib = 100, .memory_held_mib = 30 };

    assert_int_equal(vmafx_node_memory_free(&view), 70);
    view.memory_held_mib = 130;
    assert_int_equal(vmafx_node_memory_free(&view), 0);
    view.memory_mib = 0;
    assert_true(vmafx_node_memory_free(&view) == INT64_MAX);
}

/* What each node is asked for, by its index. */
static void plan(const VmafxNodeView *nodes, size_t n, uint64_t waiting, size_t *cursor, uint32_t *ret)
{
    VmafxAsk asks[64];
    size_t n_asks = vmafx_assign_plan(nodes, n, waiting, cursor, asks);

    assert_true(n_asks <= n && n_asks <= waiting);
    memset(ret, 0, n * sizeof *ret);
    for (size_t i = 0; i < n_asks; i++) {
        assert_true(asks[i].slots > 0);
        assert_int_equal(ret[asks[i].node], 0);
        ret[asks[i].node] = asks[i].slots;
        assert_true(asks[i].memory_free_mib == vmafx_node_memory_free(&nodes[asks[i].node]));
    }
}

static void tasks_spread_over_nodes_by_size(void **s)
{
    static const struct {
        const char *why;
        uint32_t slots[4], held[4];
        uint64_t waiting;
        uint32_t want[4];
    } rows[] = {
        { "one each", { 4, 4, 4, 4 }, { 0 }, 4, { 1, 1, 1, 1 } },
        { "all there is", { 4, 4, 4, 4 }, { 0 }, 99, { 4, 4, 4, 4 } },
        { "nothing waits", { 4, 4, 4, 4 }, { 0 }, 0, { 0 } },
        { "twice as large takes twice as much", { 8, 4, 4, 0 }, { 0 }, 8, { 4, 2, 2, 0 } },
        { "the busy one last", { 4, 4, 4, 4 }, { 3, 0, 0, 0 }, 6, { 0, 2, 2, 2 } },
        { "only where there is room", { 1, 1, 1, 8 }, { 1, 1, 1, 7 }, 5, { 0, 0, 0, 1 } },
        { "the idle one before the larger half busy one", { 2, 16, 0, 0 }, { 0, 1, 0, 0 }, 1, { 1, 0, 0, 0 } },
    };

    for (size_t i = 0; i < VMAFX_LEN(rows); i++) {
        VmafxNodeView nodes[4];
        uint32_t got[4];
        size_t cursor = 0;

        for (int n = 0; n < 4; n++) {
            nodes[n] = idle_node(rows[i].slots[n]);
            nodes[n].held = rows[i].held[n];
        }
        plan(nodes, 4, rows[i].waiting, &cursor, got);
        if (memcmp(got, rows[i].want, sizeof got))
            fail_msg("%s: %u %u %u %u", rows[i].why, got[0], got[1], got[2], got[3]);
    }
}

static void single_tasks_go_round_among_equals(void **s)
{
    VmafxNodeView nodes[3] = { idle_node(2), idle_node(2), idle_node(2) };
    size_t cursor = 0;

    for (int i = 0; i < 9; i++) {
        uint32_t got[3];

        plan(nodes, 3, 1, &cursor, got);
        assert_int_equal(got[i % 3], 1);
    }
    cursor = 1000; /* of a table that was longer */
    uint32_t got[3];
    plan(nodes, 3, 3, &cursor, got);
    assert_int_equal(got[0] + got[1] + got[2], 3);
}

static void among_equals_memory_and_then_load_decide(void **s)
{
    VmafxNodeView nodes[3] = { idle_node(2), idle_node(2), idle_node(2) };
    uint32_t got[3];
    size_t cursor = 0;

    nodes[0].memory_mib = 10;
    nodes[1].memory_mib = 20;
    nodes[2].memory_mib = 20;
    nodes[1].load = 0.9;
    nodes[2].load = 0.1;
    plan(nodes, 3, 1, &cursor, got);
    assert_int_equal(got[2], 1);
    nodes[2].load = NAN; /* from outside, and believed by nobody */
    cursor = 0;
    plan(nodes, 3, 1, &cursor, got);
    assert_int_equal(got[1], 1);
}

static void a_node_with_an_operation_under_way_is_passed_over(void **s)
{
    VmafxNodeView nodes[2] = { idle_node(8), idle_node(1) };
    uint32_t got[2];
    size_t cursor = 0;

    nodes[0].asked = 1;
    plan(nodes, 2, 5, &cursor, got);
    assert_int_equal(got[0], 0);
    assert_int_equal(got[1], 1);
    assert_int_equal(vmafx_assign_plan(NULL, 0, 5, &cursor, NULL), 0);
}

/* Against doing it one by one the slow way. */
static void the_plan_is_as_even_as_can_be(void **s)
{
    uint32_t random = 7;

    for (int round = 0; round < 2000; round++) {
        VmafxNodeView nodes[12];
        uint32_t got[12], room = 0, given = 0;
        size_t n = 1 + (size_t)round % 12, cursor = 0;
        double least_next = INFINITY, most_before = 0;

        for (size_t i = 0; i < n; i++) {
            random = random * 1664525u + 1013904223u;
            nodes[i] = idle_node((random >> 8) % 7);
            nodes[i].held = (random >> 16) % 4;
            room += vmafx_node_room(&nodes[i]);
        }
        uint32_t waiting = (random >> 20) % 30;
        plan(nodes, n, waiting, &cursor, got);
        for (size_t i = 0; i < n; i++) {
            double busy = (double)(nodes[i].held + got[i]) / nodes[i].slots, one = 1.0 / nodes[i].slots;

            given += got[i];
            assert_true(got[i] <= vmafx_node_room(&nodes[i]));
            if (got[i])
                most_before = fmax(most_before, busy - one); /* how busy it was when it got its last one */
            if (got[i] < vmafx_node_room(&nodes[i]))
                least_next = fmin(least_next, busy);
        }
        assert_int_equal(given, VMAFX_MIN(room, waiting));
        assert_true(most_before <= least_next + 1e-9);
    }
}

static void what_a_node_lacks_is_named(void **s)
{
    static const char *const encoders[] = { "libx264", "libx265" }, *const models[] = { "vmaf_v0.6.1" };
    static const char *const other[] = { "vmaf_v0.6.1", "vmaf_4k_v0.6.1" };
    static const struct {
        const char *why;
        VmafxNeeds needs;
        VmafxFailure failure;
        const char *lacks;
    } rows[] = {
        { "nothing special", { 0 }, 0, NULL },
        { "all that it has", { 64, "libx265", "hevc", models, 1 }, 0, NULL },
        { "an encoder", { 0, "libaom", NULL, models, 1 }, VMAFX_FAILURE_ENCODER, "libaom" },
        { "part of a name", { 0, "libx26", NULL, models, 1 }, VMAFX_FAILURE_ENCODER, "libx26" },
        { "any encoder of a codec", { 0, NULL, "h264", models, 1 }, 0, NULL },
        { "a codec", { 0, NULL, "av1", models, 1 }, VMAFX_FAILURE_ENCODER, "av1" },
        { "an encoder of another codec", { 0, "libx264", "hevc", models, 1 }, VMAFX_FAILURE_ENCODER, "libx264" },
        { "the second model", { .models = other, .n_models = 2 }, VMAFX_FAILURE_MODEL, "vmaf_4k_v0.6.1" },
        { "memory", { .memory_mib = 65 }, VMAFX_FAILURE_RESOURCE, "memory" },
    };
    VmafxNodeView node = { .encoders = encoders, .n_encoders = 2, .models = models, .n_models = 1, .memory_mib = 64 };

    for (size_t i = 0; i < VMAFX_LEN(rows); i++) {
        VmafxFailure failure = VMAFX_FAILURE_NONE;
        const char *lacks = NULL;

        print_message("%s\n", rows[i].why);
        assert_int_equal(vmafx_node_fits(&node, &rows[i].needs, &failure, &lacks),
                         rows[i].failure ? VMAFX_ERR_UNSUPPORTED : VMAFX_OK);
        assert_int_equal(failure, rows[i].failure);
        if (rows[i].lacks)
            assert_string_equal(lacks, rows[i].lacks);
    }
}

static void a_misfit_is_tried_again_only_where_another_node_could(void **s)
{
    static const char *const encoders[] = { "libx265" };
    VmafxNodeView nodes[2] = { idle_node(1), idle_node(1) };
    VmafxNeeds needs = { .encoder = "libx265" };
    VmafxAttemptReport report;
    const char *lacks;

    assert_true(vmafx_assign_misfit(nodes, 2, 0, &needs, &report, &lacks));
    assert_int_equal(report.outcome, VMAFX_OUTCOME_FAILED);
    assert_int_equal(report.failure, VMAFX_FAILURE_ENCODER);
    assert_false(report.may_pass);
    assert_string_equal(lacks, "libx265");
    nodes[1].encoders = encoders;
    nodes[1].n_encoders = 1;
    assert_true(vmafx_assign_misfit(nodes, 2, 0, &needs, &report, &lacks));
    assert_true(report.may_pass);
    nodes[1].ready = false;
    assert_true(vmafx_assign_misfit(nodes, 2, 0, &needs, &report, &lacks));
    assert_false(report.may_pass);
    assert_false(vmafx_assign_misfit(nodes, 2, 1, &needs, &report, &lacks));
}

static void a_job_that_nobody_can_do_is_told_by_what_the_best_node_lacks(void **s)
{
    static const char *const x264[] = { "libx264" }, *const model[] = { "vmaf_v0.6.1" }, *const other[] = { "other" };
    const VmafxNodeView whole = { .ready = true,
                                  .slots = 1,
                                  .held = 1,
                                  .memory_mib = 64,
                                  .encoders = x264,
                                  .n_encoders = 1,
                                  .models = model,
                                  .n_models = 1 };
    VmafxNodeView lost = whole, draining = whole, small = whole, silent = whole, poor = whole, later = whole;
    const VmafxNeeds all = { 64, "libx264", NULL, model, 1 };

    lost.ready = false;
    draining.draining = true;
    small.memory_mib = 32;
    silent.n_models = 0; /* does not say which it has */
    poor.n_encoders = 0;
    later.n_encoders = 0;
    later.encoders_later = true;
    const struct {
        const char *why;
        VmafxNodeView nodes[3];
        size_t n;
        VmafxNeeds needs;
        VmafxObstacle obstacle;
        const char *name;
    } rows[] = {
        { "one that is busy can", { whole }, 1, all, VMAFX_OBSTACLE_NONE, "" },
        { "nobody is there", { lost }, 1, all, VMAFX_OBSTACLE_NO_NODE, "no_node" },
        { "nobody at all", { lost }, 0, all, VMAFX_OBSTACLE_NO_NODE, "no_node" },
        { "one of several can", { small, poor, whole }, 3, all, VMAFX_OBSTACLE_NONE, "" },
        { "the one that could is leaving", { small, draining, poor }, 3, all, VMAFX_OBSTACLE_DRAINING, "draining" },
        { "memory", { poor, small }, 2, all, VMAFX_OBSTACLE_MEMORY, "memory" },
        { "memory, by one that is leaving", { draining }, 1, { .memory_mib = 65 }, VMAFX_OBSTACLE_MEMORY, "memory" },
        { "an encoder", { whole }, 1, { .codec = "av1" }, VMAFX_OBSTACLE_ENCODER, "encoder" },
        { "any encoder, perhaps", { later }, 1, { .codec = "av1" }, VMAFX_OBSTACLE_NONE, "" },
        { "a model", { whole, poor }, 2, { .models = other, .n_models = 1 }, VMAFX_OBSTACLE_MODEL, "model" },
        { "a model, perhaps", { whole, silent }, 2, { .models = other, .n_models = 1 }, VMAFX_OBSTACLE_NONE, "" },
        { "no memory said is any memory",
          { { .ready = true } },
          1,
          { .memory_mib = 1 << 30 },
          VMAFX_OBSTACLE_NONE,
          "" },
    };

    for (size_t i = 0; i < VMAFX_LEN(rows); i++) {
        print_message("%s\n", rows[i].why);
        assert_int_equal(vmafx_assign_obstacle(rows[i].nodes, rows[i].n, &rows[i].needs), rows[i].obstacle);
        assert_string_equal(vmafx_obstacle_name(rows[i].obstacle), rows[i].name);
    }
}

static void a_node_that_does_not_know_its_encoders_yet_may_have_any(void **s)
{
    VmafxNodeView nodes[2] = { idle_node(1), idle_node(1) };
    VmafxNeeds needs = { .codec = "av1" };
    VmafxAttemptReport report;
    const char *lacks;

    nodes[1].encoders_later = true;
    assert_false(vmafx_assign_misfit(nodes, 2, 1, &needs, &report, &lacks));
    assert_true(vmafx_assign_misfit(nodes, 2, 0, &needs, &report, &lacks));
    assert_true(report.may_pass);
    assert_string_equal(lacks, "av1");
}

static void a_node_that_comes_back_is_compared_with_the_store(void **s)
{
    VmafxAttemptRef said[] = { { { { 1 } }, 1 }, { { { 2 } }, 1 }, { { { 2 } }, 1 }, { { { 3 } }, 1 } };
    VmafxAttemptRef stored[] = { { { { 4 } }, 1 }, { { { 3 } }, 2 }, { { { 1 } }, 1 } };
    static const struct {
        uint8_t job;
        int32_t attempt;
        VmafxReturnVerdict verdict;
    } want[] = {
        { 1, 1, VMAFX_RETURN_KEPT },    { 2, 1, VMAFX_RETURN_LOST },    { 3, 1, VMAFX_RETURN_LOST },
        { 4, 1, VMAFX_RETURN_MISSING }, { 3, 2, VMAFX_RETURN_MISSING },
    };
    VmafxReturn got[VMAFX_LEN(said) + VMAFX_LEN(stored)];
    size_t n = vmafx_node_return(said, VMAFX_LEN(said), stored, VMAFX_LEN(stored), got);

    assert_int_equal(n, VMAFX_LEN(want));
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(got[i].ref.job.bytes[0], want[i].job);
        assert_int_equal(got[i].ref.attempt, want[i].attempt);
        assert_int_equal(got[i].verdict, want[i].verdict);
    }
    assert_int_equal(vmafx_node_return(NULL, 0, NULL, 0, NULL), 0);
}

static void leases_end_only_after_a_grace_that_is_on_disk(void **s)
{
    enum { T, A, F }; /* tick; the last GRACE is answered, 1: on disk; the store has failed */
    static const struct {
        const char *why;
        int what;
        int64_t arg; /* time, or the answer */
        VmafxSweepDo want;
    } rows[] = {
        { "just started", T, 1000, VMAFX_SWEEP_GRACE },
        { "it is under way", T, 1005, VMAFX_SWEEP_NOTHING },
        { "could not be written", A, 0, 0 },
        { "so again", T, 1010, VMAFX_SWEEP_GRACE },
        { "on disk", A, 1, 0 },
        { "from now on", T, 1020, VMAFX_SWEEP_EXPIRE },
        { "a third of a lease is no stall", T, 1030, VMAFX_SWEEP_EXPIRE },
        { "more is", T, 1041, VMAFX_SWEEP_GRACE },
        { "stood still while it was under way", T, 1060, VMAFX_SWEEP_GRACE },
        { "the answer to the new one", A, 1, 0 },
        { "granted", T, 1061, VMAFX_SWEEP_EXPIRE },
        { "nobody could renew", F, 0, 0 },
        { "grace first", T, 1062, VMAFX_SWEEP_GRACE },
    };
    VmafxFleetRules rules = { .lease_us = 30 };
    VmafxSweep sweep = { 0 };
    int64_t asked = 0;

    for (size_t i = 0; i < VMAFX_LEN(rows); i++) {
        VmafxSweepDo got = VMAFX_SWEEP_NOTHING;

        if (rows[i].what == T)
            got = vmafx_sweep_tick(&sweep, &rules, rows[i].arg);
        else if (rows[i].what == A)
            vmafx_sweep_answered(&sweep, asked, rows[i].arg);
        else
            vmafx_sweep_store_failed(&sweep);
        if (got != rows[i].want)
            fail_msg("%s: %d", rows[i].why, (int)got);
        if (got == VMAFX_SWEEP_GRACE)
            asked = rows[i].arg;
    }
}

static void the_answer_to_a_grace_from_before_a_stall_does_not_count(void **s)
{
    VmafxFleetRules rules = { .lease_us = 30 };
    VmafxSweep sweep = { 0 };

    assert_int_equal(vmafx_sweep_tick(&sweep, &rules, 1000), VMAFX_SWEEP_GRACE);
    assert_int_equal(vmafx_sweep_tick(&sweep, &rules, 1060), VMAFX_SWEEP_GRACE);
    vmafx_sweep_answered(&sweep, 1000, true);
    assert_int_equal(vmafx_sweep_tick(&sweep, &rules, 1061), VMAFX_SWEEP_NOTHING);
    vmafx_sweep_answered(&sweep, 1060, true);
    assert_int_equal(vmafx_sweep_tick(&sweep, &rules, 1062), VMAFX_SWEEP_EXPIRE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(room_is_what_both_sides_agree_on),
        cmocka_unit_test(free_memory_is_never_below_zero_and_unknown_is_unlimited),
        cmocka_unit_test(tasks_spread_over_nodes_by_size),
        cmocka_unit_test(single_tasks_go_round_among_equals),
        cmocka_unit_test(among_equals_memory_and_then_load_decide),
        cmocka_unit_test(a_node_with_an_operation_under_way_is_passed_over),
        cmocka_unit_test(the_plan_is_as_even_as_can_be),
        cmocka_unit_test(what_a_node_lacks_is_named),
        cmocka_unit_test(a_misfit_is_tried_again_only_where_another_node_could),
        cmocka_unit_test(a_job_that_nobody_can_do_is_told_by_what_the_best_node_lacks),
        cmocka_unit_test(a_node_that_does_not_know_its_encoders_yet_may_have_any),
        cmocka_unit_test(a_node_that_comes_back_is_compared_with_the_store),
        cmocka_unit_test(leases_end_only_after_a_grace_that_is_on_disk),
        cmocka_unit_test(the_answer_to_a_grace_from_before_a_stall_does_not_count),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

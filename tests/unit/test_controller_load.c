/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What nodes say of their load, as the controller takes it. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <math.h>

#include <cmocka.h>

#include "base/base.h"
#include "base/clock.h"
#include "programs/controller/connect_internal.h"

static NodeTable *make_table(void)
{
    NodeTable *table = node_table_new(&(NodeTableConfig){ .lease_ms = 60000 });

    assert_non_null(table);
    return table;
}

static Session *add_node(NodeTable *table, const char *name)
{
    Session *session = calloc(1, sizeof *session);

    assert_non_null(session);
    session->table = table;
    session->refs = 1;
    session->ready = session->listed = true;
    session->seen_ns = vmafx_monotonic_ns();
    snprintf(session->name, sizeof session->name, "%s", name);
    table->sessions[table->n_sessions++] = session;
    return session;
}

static void a_load_is_held_to_its_ranges_whatever_is_said(void **state)
{
    NodeTable *table = make_table();
    Session *node = add_node(table, "a");
    Vmafx__V1__GpuLoad gpus[4], *list[4];
    Vmafx__V1__ProcessLoad scorers = VMAFX__V1__PROCESS_LOAD__INIT;
    Vmafx__V1__Load load = VMAFX__V1__LOAD__INIT;
    char long_id[200];

    memset(long_id, 'x', sizeof long_id - 1);
    long_id[sizeof long_id - 1] = 0;
    for (size_t i = 0; i < VMAFX_LEN(gpus); i++) {
        vmafx__v1__gpu_load__init(&gpus[i]);
        list[i] = &gpus[i];
    }
    gpus[0].id = long_id;
    gpus[0].utilization = 40;
    gpus[0].memory_total_bytes = 5;
    gpus[0].memory_used_bytes = 7;
    gpus[1].id = (char *)""; /* none */
    gpus[2].id = long_id;    /* the same as the first, when cut and when not */
    gpus[3].id = (char *)"b";
    gpus[3].utilization = -3;
    gpus[3].memory_total_bytes = gpus[3].memory_used_bytes = INT64_MIN;
    gpus[3].index = gpus[3].frequency_mhz = INT32_MIN;
    scorers.cpu = 1e300;
    scorers.memory_bytes = -1;
    scorers.processes = -1;
    load.cpu = load.cpus = (double)NAN;
    load.memory_used_bytes = 9;
    load.memory_total_bytes = 8;
    load.scorers = &scorers;
    load.gpus = list;
    load.n_gpus = VMAFX_LEN(gpus);
    connect_load(node, &load);
    assert_true(node->cpu >= 0 && node->cpu <= 0 && node->cpus >= 0 && node->cpus <= 0);
    assert_int_equal(node->memory_used, 8);
    assert_true(node->scorers.cpu >= 1 && node->scorers.cpu <= 1);
    assert_int_equal(node->scorers.memory, 0);
    assert_int_equal(node->scorers.n, 0);
    assert_int_equal(node->n_gpus, 2);
    assert_int_equal(strlen(node->gpus[0].id), NODE_GPU_ID_MAX - 1);
    assert_true(node->gpus[0].utilization >= 1 && node->gpus[0].utilization <= 1);
    assert_int_equal(node->gpus[0].memory_used, 5);
    assert_true(node->gpus[1].utilization < 0 && node->gpus[1].utilization >= -1);
    assert_int_equal(node->gpus[1].memory_total, 0);
    assert_int_equal(node->gpus[1].memory_used, 0);
    assert_int_equal(node->gpus[1].index, 0);

    NodeLoad seen[2];
    assert_int_equal(node_table_loads(table, seen, VMAFX_LEN(seen)), 1);
    assert_int_equal(seen[0].n_gpus, 2);
    assert_int_equal(seen[0].gpus[0].used, 5);
    node_table_free(&table);
}

static void more_devices_than_there_may_be_are_left_out(void **state)
{
    enum { SAID = 3 * NODE_GPUS_MAX };
    NodeTable *table = make_table();
    Session *node = add_node(table, "a");
    Vmafx__V1__GpuLoad gpus[SAID], *list[SAID];
    Vmafx__V1__Load load = VMAFX__V1__LOAD__INIT;
    char ids[SAID][8];

    for (int i = 0; i < SAID; i++) {
        vmafx__v1__gpu_load__init(&gpus[i]);
        snprintf(ids[i], sizeof ids[i], "%d", i);
        gpus[i].id = ids[i];
        list[i] = &gpus[i];
    }
    load.gpus = list;
    load.n_gpus = SAID;
    connect_load(node, &load);
    assert_int_equal(node->n_gpus, NODE_GPUS_MAX);
    load.n_gpus = 0;
    connect_load(node, &load);
    assert_int_equal(node->n_gpus, 0);
    node_table_free(&table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_load_is_held_to_its_ranges_whatever_is_said),
        cmocka_unit_test(more_devices_than_there_may_be_are_left_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

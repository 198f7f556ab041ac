/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The fixture of the suite: clock, database, and operations that are done at once. See store_suite.h. */

#include "store_suite.h"

#include <math.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"

/* ---- the fixture ---- */

static const StoreSuite *suite;
static VmafxStore *store;
static VmafxStoreConfig config;
static _Atomic int64_t wall, monotonic;

static VmafxWall read_wall(void *ctx)
{
    return wall;
}

static int64_t read_monotonic(void *ctx)
{
    return monotonic;
}

static const VmafxStoreClock test_clock = { read_wall, read_monotonic, NULL };

void suite_open(void)
{
    VmafxErrInfo info = { 0 };

    if (suite->open(&config, &store, &info))
        fail_msg("%s", info.message);
}

int suite_setup(void **state)
{
    wall = SUITE_EPOCH;
    monotonic = 5 * (int64_t)SUITE_SECOND;
    config =
        (VmafxStoreConfig){ .durability = VMAFX_DURABILITY_NORMAL, .rules = VMAFX_FLEET_RULES, .clock = &test_clock };
    suite->renew();
    suite_open();
    return 0;
}

int suite_teardown(void **state)
{
    suite->fail_writes(false); /* the test may have failed in between */
    vmafx_store_close(&store);
    return 0;
}

VmafxStore *suite_store(void)
{
    return store;
}

VmafxStoreConfig *suite_config(void)
{
    return &config;
}

void suite_close(void)
{
    vmafx_store_close(&store);
}

void suite_reopen(void)
{
    suite_close();
    suite_open();
}

void suite_pass(int64_t us)
{
    wall += us;
    monotonic += us;
}

void suite_set_clock(int64_t by_us)
{
    wall += by_us;
}

void suite_fail_writes(bool on)
{
    suite->fail_writes(on);
}

void suite_break_row(uint32_t number)
{
    VmafxJobId id = suite_id(number);

    suite_close();
    suite->break_row(&id);
    suite_open();
}

/* ---- the writer held ---- */

static sem_t stands, go_on;
static VmafxStoreOp holding;

static void hold(VmafxStoreOp *op)
{
    sem_post(&stands);
    sem_wait(&go_on);
}

void suite_hold_writer(void)
{
    sem_init(&stands, 0, 0);
    sem_init(&go_on, 0, 0);
    holding = (VmafxStoreOp){ .kind = VMAFX_STORE_DELETE, .job = suite_id(UINT32_MAX), .done = hold };
    vmafx_store_submit_op(store, &holding); /* of a job that is not there: it changes nothing */
    sem_wait(&stands);
}

void suite_let_writer_go(void)
{
    sem_post(&go_on);
    suite_wait_for_writer();
}

void suite_wait_for_writer(void)
{
    assert_int_equal(suite_delete(UINT32_MAX), VMAFX_ERR_NOT_FOUND); /* answers come in order */
}

void suite_ignore_done(VmafxStoreOp *op)
{
}

VmafxJobId suite_id(uint32_t number)
{
    VmafxJobId id = { .bytes = { 1, 0x97 } };

    for (int i = 0; i < 4; i++)
        id.bytes[12 + i] = (uint8_t)(number >> (8 * (3 - i)));
    id.bytes[6] = 0x70;
    id.bytes[8] = 0x80;
    return id;
}

VmafxSubmission suite_submission(uint32_t number)
{
    static _Thread_local char specs[1024][24];
    char *spec = specs[number % VMAFX_LEN(specs)];
    VmafxSubmission s = { .job = { .id = suite_id(number),
                                   .timeout_us = (int64_t)3600 * SUITE_SECOND,
                                   .attempt_limit = 3,
                                   .submitter = "alice",
                                   .trace = { .trace_id = { 1, 2, 3 }, .job_span_id = { 4 }, .flags = 1 } } };

    snprintf(spec, sizeof *specs, "spec %u", number);
    s.spec = spec;
    s.spec_len = strlen(spec);
    s.spec_sha256[0] = 7;
    return s;
}

VmafxErr suite_take_item(VmafxStoreOp *op, VmafxJob *ret)
{
    VmafxErr err = op->err;

    if (op->n_items && ret)
        *ret = op->items[0].job;
    if (!err && op->n_items)
        err = op->items[0].err;
    vmafx_store_op_done(op);
    return err;
}

static VmafxErr run(VmafxStoreOp *op, VmafxJob *ret)
{
    VMAFX_IGNORE(vmafx_store_wait(store, op)); /* stands in the operation */
    return suite_take_item(op, ret);
}

VmafxErr suite_submit(const VmafxSubmission *submission, VmafxJob *ret)
{
    VmafxStoreOp op = { .kind = VMAFX_STORE_SUBMIT, .submissions = submission, .n_submissions = 1 };

    return run(&op, ret);
}

VmafxErr suite_lease(const char *node, VmafxJob *ret)
{
    static const uint8_t span[8] = { 9, 9 };
    VmafxStoreOp op = { .kind = VMAFX_STORE_LEASE, .capacity = { node, 1, 1 << 20 }, .random = span };
    VmafxErr err = vmafx_store_wait(store, &op);

    if (!err && !op.n_items)
        err = VMAFX_ERR_NOT_FOUND;
    if (!err && (op.items[0].spec_len < 5 || memcmp(op.items[0].spec, "spec ", 5) != 0))
        fail_msg("a lease without its request");
    VmafxErr item = suite_take_item(&op, ret);
    return err ? err : item;
}

VmafxErr suite_renew(const char *node, uint32_t number, int32_t attempt)
{
    VmafxAttemptRef held = { suite_id(number), attempt };
    VmafxStoreOp op = { .kind = VMAFX_STORE_RENEW, .node = node, .held = &held, .n_held = 1 };

    return run(&op, NULL);
}

VmafxErr suite_end(const VmafxAttemptReport *report, uint32_t number, const char *result, VmafxJob *ret)
{
    VmafxStoreOp op = { .kind = VMAFX_STORE_END, .job = suite_id(number), .report = *report };

    if (!result && report->has_result)
        result = "r";
    if (result) {
        op.result = (VmafxStoreBlob){ result, strlen(result) };
        op.report.has_result = true;
    }
    return run(&op, ret);
}

VmafxErr suite_cancel(uint32_t number, VmafxJob *ret)
{
    VmafxStoreOp op = { .kind = VMAFX_STORE_CANCEL, .job = suite_id(number), .reason = "changed my mind" };

    return run(&op, ret);
}

VmafxErr suite_delete(uint32_t number)
{
    VmafxStoreOp op = { .kind = VMAFX_STORE_DELETE, .job = suite_id(number) };

    return run(&op, NULL);
}

size_t suite_expire(void)
{
    VmafxStoreOp op = { .kind = VMAFX_STORE_EXPIRE, .limit = 1000 };

    assert_int_equal(vmafx_store_wait(store, &op), VMAFX_OK);
    size_t n = op.n_done;
    assert_int_equal(n, op.n_items);
    vmafx_store_op_done(&op);
    return n;
}

VmafxAttemptReport suite_success(const char *node, int32_t attempt)
{
    return (VmafxAttemptReport){
        .node = node, .attempt = attempt, .outcome = VMAFX_OUTCOME_SUCCEEDED, .complete = true, .has_result = true
    };
}

VmafxAttemptReport suite_failure(const char *node, int32_t attempt, VmafxFailure failure)
{
    return (VmafxAttemptReport){
        .node = node, .attempt = attempt, .outcome = VMAFX_OUTCOME_FAILED, .failure = failure, .message = "it broke"
    };
}

VmafxJob suite_get(uint32_t number)
{
    VmafxJobId id = suite_id(number);
    VmafxStoredJob stored;
    VmafxErr err = vmafx_store_get(store, &id, &stored);

    if (err)
        fail_msg("job %u: %s", number, vmafx_err_name(err));
    VmafxJob job = stored.job;
    vmafx_stored_job_done(&stored);
    return job;
}

VmafxStoreCounts suite_counts(void)
{
    VmafxStoreCounts counts;

    assert_int_equal(vmafx_store_counts(store, &counts), VMAFX_OK);
    return counts;
}

#define DIFFERS(field)                                                                                                 \
    if (a->field != b->field)                                                                                          \
    return #field
#define DIFFERS_TEXT(field)                                                                                            \
    if (strcmp(a->field, b->field) != 0)                                                                               \
    return #field
#define DIFFERS_BYTES(field)                                                                                           \
    if (memcmp(&a->field, &b->field, sizeof a->field) != 0)                                                            \
    return #field

const char *suite_job_differs(const VmafxJob *a, const VmafxJob *b)
{
    DIFFERS_BYTES(id);
    DIFFERS(state);
    DIFFERS(failure);
    DIFFERS(priority);
    DIFFERS(turn);
    DIFFERS(created);
    DIFFERS(started);
    DIFFERS(ended);
    DIFFERS(deadline);
    DIFFERS(timeout_us);
    DIFFERS(attempt_limit);
    DIFFERS(need_memory_mib);
    DIFFERS(complete);
    DIFFERS(has_result);
    DIFFERS(has_score);
    if (!(isnan(a->score) && isnan(b->score)))
        DIFFERS(score);
    DIFFERS_BYTES(retry_of);
    DIFFERS_TEXT(submitter);
    DIFFERS_TEXT(message);
    DIFFERS_BYTES(trace.trace_id);
    DIFFERS_BYTES(trace.parent_span_id);
    DIFFERS_BYTES(trace.job_span_id);
    DIFFERS(trace.flags);
    DIFFERS_TEXT(trace.state);
    DIFFERS(task.attempt);
    DIFFERS(task.failures);
    DIFFERS(task.queued_since);
    DIFFERS(task.not_before);
    DIFFERS_TEXT(task.node);
    DIFFERS(task.lease_until);
    DIFFERS(task.leased_at);
    DIFFERS_BYTES(task.span_id);
    DIFFERS_BYTES(task.previous_span_id);
    return NULL;
}

const char *suite_event_differs(const VmafxEvent *a, const VmafxEvent *b)
{
    DIFFERS_BYTES(job);
    DIFFERS(time);
    DIFFERS(kind);
    DIFFERS(state);
    DIFFERS(attempt);
    DIFFERS(outcome);
    DIFFERS(failure);
    DIFFERS(since);
    DIFFERS(not_before);
    DIFFERS_BYTES(span_id);
    DIFFERS_BYTES(previous_span_id);
    DIFFERS_TEXT(node);
    DIFFERS_TEXT(message);
    return NULL;
}

void suite_submit_plain(uint32_t number)
{
    VmafxSubmission s = suite_submission(number);

    assert_int_equal(suite_submit(&s, NULL), VMAFX_OK);
}

void suite_assert_leased(const char *node, uint32_t number)
{
    VmafxJobId id = suite_id(number);
    VmafxJob job = { 0 };

    assert_int_equal(suite_lease(node, &job), VMAFX_OK);
    if (memcmp(&job.id, &id, sizeof id) != 0)
        fail_msg("leased %d instead of %u", job.id.bytes[15], number);
}

int store_suite_run(const StoreSuite *with)
{
    suite = with;
    return store_suite_work() + store_suite_faults() + store_suite_ends() + store_suite_reads() + store_suite_threads();
}

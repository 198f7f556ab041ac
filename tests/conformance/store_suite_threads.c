/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What every store does: telling of events, and many callers at once. */

#include "store_suite.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"

/* ---- events for the rest of the program ---- */

typedef struct Told {
    VmafxEvent events[64];
    VmafxJobState states[64];
    size_t n;
} Told;

static void keep_told(void *ctx, const VmafxEvent *events, const VmafxJob *const *jobs, size_t n)
{
    Told *told = ctx;

    for (size_t i = 0; i < n && told->n < VMAFX_LEN(told->events); i++) {
        assert_memory_equal(&events[i].job, &jobs[i]->id, sizeof jobs[i]->id);
        told->states[told->n] = jobs[i]->state;
        told->events[told->n++] = events[i];
    }
}

static void every_event_is_told_once_with_its_row_before_the_answer(void **state)
{
    Told told = { 0 };
    VmafxStoredEvents events;
    VmafxAttemptReport failure = suite_failure("n", 1, VMAFX_FAILURE_NODE);

    suite_config()->on_events = keep_told;
    suite_config()->on_events_ctx = &told;
    suite_reopen();
    suite_submit_plain(1);
    assert_int_equal(told.n, 1);
    suite_assert_leased("n", 1);
    assert_int_equal(suite_end(&failure, 1, NULL, NULL), VMAFX_OK);
    assert_int_equal(suite_end(&failure, 1, NULL, NULL), VMAFX_ERR_LEASE_LOST);
    assert_int_equal(suite_cancel(1, NULL), VMAFX_OK);
    assert_int_equal(vmafx_store_events(suite_store(), NULL, 0, 100, &events), VMAFX_OK);
    assert_int_equal(events.n, told.n);
    for (size_t i = 0; i < told.n; i++) {
        assert_null(suite_event_differs(&events.items[i], &told.events[i]));
        assert_int_equal(events.items[i].sequence, told.events[i].sequence);
        assert_int_equal(told.states[i], told.events[i].state);
    }
    vmafx_stored_events_done(&events);
}

static void *wait_for_news(void *arg)
{
    int64_t *newest = arg;

    if (vmafx_store_wait_events(suite_store(), *newest, 60000, newest))
        *newest = -1;
    return NULL;
}

static void who_waits_for_events_is_woken_by_the_next(void **state)
{
    pthread_t thread;
    int64_t newest = 0, seen;

    suite_submit_plain(1);
    assert_int_equal(vmafx_store_wait_events(suite_store(), 0, 60000, &newest), VMAFX_OK);
    assert_true(newest > 0);
    seen = newest;
    assert_int_equal(vmafx_store_wait_events(suite_store(), newest, 1, &newest), VMAFX_OK); /* the time is up */
    assert_int_equal(newest, seen);
    assert_int_equal(pthread_create(&thread, NULL, wait_for_news, &newest), 0);
    suite_submit_plain(2);
    pthread_join(thread, NULL);
    assert_int_equal(newest, seen + 1);
}

/* ---- many at once ---- */

typedef struct Chain {
    VmafxStoreOp first, second;
    VmafxSubmission submissions[2];
    _Atomic int done;
} Chain;

static void second_done(VmafxStoreOp *op)
{
    ((Chain *)op->ctx)->done = op->err ? -1 : 1;
}

static void first_done(VmafxStoreOp *op)
{
    Chain *chain = op->ctx;

    chain->second = (VmafxStoreOp){ .kind = VMAFX_STORE_SUBMIT,
                                    .submissions = &chain->submissions[1],
                                    .n_submissions = 1,
                                    .done = second_done,
                                    .ctx = chain };
    vmafx_store_submit_op(suite_store(), &chain->second);
}

static void a_callback_may_hand_over_the_next_operation(void **state)
{
    Chain chain = { .submissions = { suite_submission(1), suite_submission(2) } };
    VmafxStoreOp last = { .kind = VMAFX_STORE_GRACE };

    chain.first = (VmafxStoreOp){ .kind = VMAFX_STORE_SUBMIT,
                                  .submissions = chain.submissions,
                                  .n_submissions = 1,
                                  .done = first_done,
                                  .ctx = &chain };
    vmafx_store_submit_op(suite_store(), &chain.first);
    while (!chain.done) /* each goes through the writer after what waits there already */
        assert_int_equal(vmafx_store_wait(suite_store(), &last), VMAFX_OK);
    assert_int_equal(chain.done, 1);
    vmafx_store_op_done(&chain.first);
    vmafx_store_op_done(&chain.second);
    assert_int_equal(suite_counts().queued, 2);
}

enum { WORKERS = 8, JOBS_EACH = 40 };

typedef struct Worker {
    pthread_t thread;
    uint32_t number;
    uint32_t submitted, leased, lost;
} Worker;

static _Atomic uint32_t ended;

static VmafxErr worker_submit(Worker *w)
{
    VmafxSubmission s = suite_submission(0);
    VmafxStoreOp op = { .kind = VMAFX_STORE_SUBMIT, .submissions = &s, .n_submissions = 1 };

    s.job.id = suite_id(w->number * 1000 + w->submitted + 1);
    s.spec = "spec";
    s.spec_len = 4;
    snprintf(s.job.submitter, sizeof s.job.submitter, "worker %u", w->number);
    VMAFX_IGNORE(vmafx_store_wait(suite_store(), &op));
    return suite_take_item(&op, NULL);
}

/* Submits its share, and works for all until everything has ended. */
static void *work(void *arg)
{
    Worker *w = arg;
    char node[16];
    uint8_t span[8] = { (uint8_t)(w->number + 1) };

    snprintf(node, sizeof node, "node-%u", w->number);
    while (ended < WORKERS * JOBS_EACH) {
        if (w->submitted < JOBS_EACH) {
            if (worker_submit(w))
                return NULL;
            w->submitted++;
        }
        VmafxStoreOp lease = { .kind = VMAFX_STORE_LEASE, .capacity = { node, 1, 1000 }, .random = span };
        if (vmafx_store_wait(suite_store(), &lease))
            return NULL;
        if (lease.n_items) {
            VmafxStoreOp end = { .kind = VMAFX_STORE_END,
                                 .job = lease.items[0].job.id,
                                 .report = suite_success(node, lease.items[0].job.task.attempt),
                                 .result = { "r", 1 } };

            w->leased++;
            if (vmafx_store_wait(suite_store(), &end))
                w->lost++;
            vmafx_store_op_done(&end);
            ended++;
        }
        vmafx_store_op_done(&lease);
    }
    return NULL;
}

static void many_threads_submit_and_work_and_nothing_is_done_twice_or_lost(void **state)
{
    Worker workers[WORKERS];
    uint32_t leased = 0, lost = 0;

    ended = 0;
    for (uint32_t i = 0; i < WORKERS; i++) {
        workers[i] = (Worker){ .number = i };
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    for (uint32_t i = 0; i < WORKERS; i++) {
        pthread_join(workers[i].thread, NULL);
        leased += workers[i].leased;
        lost += workers[i].lost;
    }
    assert_int_equal(lost, 0);
    assert_int_equal(leased, WORKERS * JOBS_EACH);
    VmafxStoreCounts counts = suite_counts();
    assert_int_equal(counts.succeeded, WORKERS * JOBS_EACH);
    assert_int_equal(counts.queued + counts.running + counts.failed + counts.cancelled, 0);
}

typedef struct Flood {
    VmafxStoreOp op;
    _Atomic int *answered, *refused;
} Flood;

static void flood_done(VmafxStoreOp *op)
{
    Flood *flood = op->ctx;

    if (op->err == VMAFX_ERR_LIMIT)
        ++*flood->refused;
    else
        assert_int_equal(op->err, VMAFX_OK);
    ++*flood->answered;
}

static void too_many_that_wait_are_refused_and_a_close_carries_out_the_rest(void **state)
{
    enum { N = 5000 };
    Flood *flood = calloc(N, sizeof *flood);
    _Atomic int answered = 0, refused = 0;

    assert_non_null(flood);
    suite_config()->pending_max = 10;
    suite_reopen();
    for (int i = 0; i < N; i++) {
        flood[i] = (Flood){ .op = { .kind = VMAFX_STORE_GRACE, .done = flood_done },
                            .answered = &answered,
                            .refused = &refused };
        flood[i].op.ctx = &flood[i];
        vmafx_store_submit_op(suite_store(), &flood[i].op);
    }
    suite_close();
    assert_int_equal(answered, N);
    assert_true(refused > 0);
    assert_true(answered - refused >= 10);
    free(flood);
    suite_open();
}

int store_suite_threads(void)
{
    const struct CMUnitTest tests[] = {
        SUITE_CASE(every_event_is_told_once_with_its_row_before_the_answer),
        SUITE_CASE(who_waits_for_events_is_woken_by_the_next),
        SUITE_CASE(a_callback_may_hand_over_the_next_operation),
        SUITE_CASE(many_threads_submit_and_work_and_nothing_is_done_twice_or_lost),
        SUITE_CASE(too_many_that_wait_are_refused_and_a_close_carries_out_the_rest),
        SUITE_CASE(random_operations_do_to_the_store_what_they_do_to_a_plain_model),
    };

    return cmocka_run_group_tests_name("store: threads", tests, NULL, NULL);
}

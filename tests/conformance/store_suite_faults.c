/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What every store does when its disk is slow, or full, or has changed a row. */

#include "store_suite.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"

/* ---- a disk that is slow ---- */

static void a_renewal_that_waits_behind_an_expiry_is_not_late(void **state)
{
    int64_t lease_us = suite_config()->rules.lease_us;
    VmafxAttemptRef held = { suite_id(1), 1 };
    VmafxStoreOp expire = { .kind = VMAFX_STORE_EXPIRE, .limit = 10, .done = suite_ignore_done };
    VmafxStoreOp renew = {
        .kind = VMAFX_STORE_RENEW, .node = "n", .held = &held, .n_held = 1, .done = suite_ignore_done
    };

    suite_submit_plain(1);
    suite_submit_plain(2);
    suite_assert_leased("n", 1);
    suite_pass(lease_us - 1);
    suite_assert_leased("n", 2);
    suite_hold_writer();
    vmafx_store_submit_op(suite_store(), &expire); /* nothing is due yet */
    suite_pass(2 * lease_us);
    vmafx_store_submit_op(suite_store(), &renew);
    suite_let_writer_go();
    assert_int_equal(expire.err, VMAFX_OK);
    assert_int_equal(expire.n_done, 0);
    assert_int_equal(renew.items[0].err, VMAFX_OK);
    assert_int_equal(suite_get(2).state, VMAFX_JOB_RUNNING);
    vmafx_store_op_done(&expire);
    vmafx_store_op_done(&renew);
    assert_int_equal(suite_expire(), 1); /* who did not renew has lost it now */
    assert_int_equal(suite_get(1).state, VMAFX_JOB_RUNNING);
}

static void an_expiry_that_waited_says_when_it_was_asked_for(void **state)
{
    int64_t lease_us = suite_config()->rules.lease_us;
    VmafxStoreOp expire = { .kind = VMAFX_STORE_EXPIRE, .limit = 10, .done = suite_ignore_done };
    VmafxJob job;

    suite_submit_plain(1);
    suite_assert_leased("n", 1);
    suite_pass(lease_us);
    suite_hold_writer();
    vmafx_store_submit_op(suite_store(), &expire);
    suite_pass(7 * SUITE_SECOND);
    suite_let_writer_go();
    assert_int_equal(expire.n_done, 1);
    vmafx_store_op_done(&expire);
    job = suite_get(1);
    assert_int_equal(job.task.queued_since, SUITE_EPOCH + lease_us);
}

/* ---- a disk that cannot be written ---- */

static void submit_in_vain(uint32_t number)
{
    VmafxSubmission s = suite_submission(number);

    suite_fail_writes(true);
    assert_int_equal(suite_submit(&s, NULL), VMAFX_ERR_IO);
    suite_fail_writes(false);
}

static uint64_t grace(void)
{
    VmafxStoreOp op = { .kind = VMAFX_STORE_GRACE };

    assert_int_equal(vmafx_store_wait(suite_store(), &op), VMAFX_OK);
    uint64_t n = op.n_done;
    vmafx_store_op_done(&op);
    return n;
}

static void no_lease_ends_after_a_group_that_was_not_written_before_all_had_a_grace(void **state)
{
    int64_t lease_us = suite_config()->rules.lease_us;

    suite_submit_plain(1);
    suite_assert_leased("n", 1);
    suite_fail_writes(true);
    assert_int_equal(suite_renew("n", 1, 1), VMAFX_ERR_IO);
    suite_pass(lease_us);
    suite_fail_writes(false);
    assert_int_equal(suite_expire(), 0);
    assert_int_equal(suite_get(1).task.lease_until, SUITE_EPOCH + 2 * lease_us);
    suite_pass(lease_us - 1);
    assert_int_equal(suite_expire(), 0);
    suite_pass(1);
    assert_int_equal(suite_expire(), 1); /* one grace for one fault */
}

static void an_expiry_that_was_handed_over_before_the_fault_gives_the_grace_too(void **state)
{
    int64_t lease_us = suite_config()->rules.lease_us;
    VmafxSubmission s = suite_submission(2);
    VmafxStoreOp submit = {
        .kind = VMAFX_STORE_SUBMIT, .submissions = &s, .n_submissions = 1, .done = suite_ignore_done
    };
    VmafxStoreOp expire = { .kind = VMAFX_STORE_EXPIRE, .limit = 10, .done = suite_ignore_done };

    suite_submit_plain(1);
    suite_assert_leased("n", 1);
    submit_in_vain(3);
    suite_pass(lease_us);
    suite_hold_writer();
    vmafx_store_submit_op(suite_store(), &expire);
    vmafx_store_submit_op(suite_store(), &submit);
    suite_let_writer_go();
    assert_int_equal(expire.n_done, 0);
    assert_int_equal(submit.err, VMAFX_OK);
    vmafx_store_op_done(&expire);
    vmafx_store_op_done(&submit);
    assert_int_equal(suite_get(1).state, VMAFX_JOB_RUNNING);
}

static void a_grace_that_is_not_written_either_is_still_owed(void **state)
{
    int64_t lease_us = suite_config()->rules.lease_us;
    VmafxStoreOp expire = { .kind = VMAFX_STORE_EXPIRE, .limit = 10 };

    suite_submit_plain(1);
    suite_assert_leased("n", 1);
    submit_in_vain(2);
    suite_pass(lease_us);
    suite_fail_writes(true);
    assert_int_equal(vmafx_store_wait(suite_store(), &expire), VMAFX_ERR_IO);
    suite_fail_writes(false);
    vmafx_store_op_done(&expire);
    assert_int_equal(suite_get(1).task.lease_until, SUITE_EPOCH + lease_us);
    assert_int_equal(suite_expire(), 0);
    suite_pass(lease_us);
    assert_int_equal(suite_expire(), 1);
}

static void a_grace_on_disk_settles_it_and_deadlines_know_no_grace(void **state)
{
    int64_t lease_us = suite_config()->rules.lease_us;
    VmafxSubmission s = suite_submission(2);

    s.job.deadline = SUITE_EPOCH + SUITE_SECOND;
    s.job.priority = 1;
    suite_submit_plain(1);
    assert_int_equal(suite_submit(&s, NULL), VMAFX_OK);
    suite_assert_leased("n", 2);
    submit_in_vain(3);
    assert_int_equal(grace(), 1);
    submit_in_vain(3);
    suite_pass(SUITE_SECOND);
    assert_int_equal(suite_expire(), 1);
    assert_int_equal(suite_get(2).failure, VMAFX_FAILURE_TIMEOUT);
    suite_assert_leased("n", 1);
    submit_in_vain(3);
    assert_int_equal(grace(), 1);
    suite_pass(lease_us);
    assert_int_equal(suite_expire(), 1);
}

/* ---- rows that have changed ---- */

typedef struct Aside {
    VmafxJobId jobs[8];
    size_t n;
} Aside;

static void keep_aside(void *ctx, const VmafxJobId *job, const char *why)
{
    Aside *aside = ctx;

    assert_true(why[0]);
    if (aside->n < VMAFX_LEN(aside->jobs))
        aside->jobs[aside->n] = *job;
    aside->n++;
}

static void listen_for_asides(Aside *aside)
{
    suite_config()->on_set_aside = keep_aside;
    suite_config()->on_set_aside_ctx = aside;
}

static void assert_one_aside(Aside *aside, uint32_t number)
{
    VmafxJobId id = suite_id(number);
    VmafxStoreFilter filter = { .limit = 100 };
    VmafxStoredJobs jobs;
    VmafxStoredJob stored;

    assert_int_equal(aside->n, 1);
    assert_memory_equal(&aside->jobs[0], &id, sizeof id);
    aside->n = 0;
    assert_int_equal(suite_counts().set_aside, 1);
    assert_int_equal(vmafx_store_get(suite_store(), &id, &stored), VMAFX_ERR_CORRUPT); /* it is there, and no job */
    assert_int_equal(vmafx_store_list(suite_store(), &filter, &jobs), VMAFX_OK);
    for (size_t i = 0; i < jobs.n; i++)
        assert_memory_not_equal(&jobs.items[i].job.id, &id, sizeof id);
    vmafx_stored_jobs_done(&jobs);
}

static void a_row_that_breaks_a_rule_is_set_aside_and_the_next_is_leased(void **state)
{
    static const VmafxStoreLabel label = { "k", "v" };
    VmafxStoreFilter by_label = { .labels = &label, .n_labels = 1, .limit = 10 };
    VmafxSubmission s = suite_submission(1);
    VmafxStoredJobs jobs;
    Aside aside = { 0 };

    s.labels = &label;
    s.n_labels = 1;
    s.idempotency_key = "key";
    assert_int_equal(suite_submit(&s, NULL), VMAFX_OK);
    suite_submit_plain(2);
    suite_submit_plain(3);
    listen_for_asides(&aside);
    suite_break_row(1);
    suite_assert_leased("n", 2);
    assert_one_aside(&aside, 1);
    suite_assert_leased("n", 3);
    assert_int_equal(suite_counts().queued, 0);
    assert_int_equal(suite_counts().oldest_queued, 0);
    assert_int_equal(vmafx_store_list(suite_store(), &by_label, &jobs), VMAFX_OK);
    assert_int_equal(jobs.n, 0);
    vmafx_stored_jobs_done(&jobs);
    suite_reopen();
    assert_int_equal(suite_lease("n", NULL), VMAFX_ERR_NOT_FOUND);
    assert_int_equal(aside.n, 0); /* told once */

    s.job.id = suite_id(4); /* its key is free for another try */
    assert_int_equal(suite_submit(&s, NULL), VMAFX_OK);
    assert_int_equal(suite_cancel(1, NULL), VMAFX_ERR_CORRUPT);
    assert_int_equal(suite_delete(1), VMAFX_OK);
    assert_int_equal(suite_delete(1), VMAFX_ERR_NOT_FOUND);
    assert_int_equal(suite_counts().set_aside, 0);
    assert_int_equal(suite_counts().queued, 1);
}

static void its_submitter_comes_across_it_by_the_key(void **state)
{
    VmafxSubmission s = suite_submission(1);
    Aside aside = { 0 };

    s.idempotency_key = "key";
    assert_int_equal(suite_submit(&s, NULL), VMAFX_OK);
    listen_for_asides(&aside);
    suite_break_row(1);
    s.job.id = suite_id(2);
    assert_int_equal(suite_submit(&s, NULL), VMAFX_OK);
    assert_one_aside(&aside, 1);
    suite_assert_leased("n", 2);
}

static void one_that_is_due_keeps_no_other_from_expiring(void **state)
{
    Aside aside = { 0 };

    suite_submit_plain(1);
    suite_submit_plain(2);
    suite_assert_leased("n", 1);
    suite_assert_leased("n", 2);
    listen_for_asides(&aside);
    suite_break_row(1);
    suite_pass(suite_config()->rules.lease_us);
    assert_int_equal(suite_expire(), 1);
    assert_one_aside(&aside, 1);
    assert_int_equal(suite_get(2).state, VMAFX_JOB_QUEUED);
    assert_int_equal(suite_counts().running, 0);
}

static void one_that_runs_keeps_no_other_from_its_grace_or_renewal(void **state)
{
    VmafxAttemptRef held[] = { { suite_id(1), 1 }, { suite_id(2), 1 } };
    VmafxStoreOp renew = { .kind = VMAFX_STORE_RENEW, .node = "n", .held = held, .n_held = VMAFX_LEN(held) };
    Aside aside = { 0 };

    for (uint32_t i = 1; i <= 4; i++) {
        suite_submit_plain(i);
        suite_assert_leased("n", i);
    }
    listen_for_asides(&aside);
    suite_break_row(1);
    assert_int_equal(vmafx_store_wait(suite_store(), &renew), VMAFX_OK);
    assert_int_equal(renew.items[0].err, VMAFX_ERR_LEASE_LOST);
    assert_int_equal(renew.items[1].err, VMAFX_OK);
    vmafx_store_op_done(&renew);
    assert_one_aside(&aside, 1);
    assert_int_equal(suite_renew("n", 1, 1), VMAFX_ERR_LEASE_LOST); /* and again */
    assert_int_equal(aside.n, 0);
    assert_int_equal(suite_delete(1), VMAFX_OK);

    suite_break_row(2);
    assert_int_equal(grace(), 2);
    assert_one_aside(&aside, 2);
    assert_int_equal(suite_delete(2), VMAFX_OK);

    suite_config()->rules.lease_us /= 2; /* what runs is looked through when it opens */
    suite_break_row(3);
    assert_one_aside(&aside, 3);
    assert_int_equal(suite_renew("n", 4, 1), VMAFX_OK);
}

static void one_whose_end_comes_is_fenced_off_and_its_node_need_not_come_again(void **state)
{
    VmafxAttemptReport report = suite_success("n", 1);
    Aside aside = { 0 };

    suite_submit_plain(1);
    suite_assert_leased("n", 1);
    listen_for_asides(&aside);
    suite_break_row(1);
    assert_int_equal(suite_end(&report, 1, "a result", NULL), VMAFX_ERR_LEASE_LOST);
    assert_one_aside(&aside, 1);
    assert_int_equal(suite_end(&report, 1, "a result", NULL), VMAFX_ERR_LEASE_LOST); /* and again */
    assert_int_equal(aside.n, 0);
    assert_int_equal(suite_delete(1), VMAFX_OK);
}

static void what_was_set_aside_in_a_group_that_is_lost_is_told_of_when_it_is_on_disk(void **state)
{
    VmafxStoreOp lease = { .kind = VMAFX_STORE_LEASE,
                           .capacity = { "n", 1, 10 },
                           .random = (const uint8_t *)"12345678" };
    Aside aside = { 0 };

    suite_submit_plain(1);
    suite_submit_plain(2);
    listen_for_asides(&aside);
    suite_break_row(1);
    suite_fail_writes(true);
    assert_int_equal(vmafx_store_wait(suite_store(), &lease), VMAFX_ERR_IO);
    suite_fail_writes(false);
    vmafx_store_op_done(&lease);
    assert_int_equal(aside.n, 0);
    suite_assert_leased("n", 2);
    assert_one_aside(&aside, 1);
}

int store_suite_faults(void)
{
    const struct CMUnitTest tests[] = {
        SUITE_CASE(a_renewal_that_waits_behind_an_expiry_is_not_late),
        SUITE_CASE(an_expiry_that_waited_says_when_it_was_asked_for),
        SUITE_CASE(no_lease_ends_after_a_group_that_was_not_written_before_all_had_a_grace),
        SUITE_CASE(an_expiry_that_was_handed_over_before_the_fault_gives_the_grace_too),
        SUITE_CASE(a_grace_that_is_not_written_either_is_still_owed),
        SUITE_CASE(a_grace_on_disk_settles_it_and_deadlines_know_no_grace),
        SUITE_CASE(a_row_that_breaks_a_rule_is_set_aside_and_the_next_is_leased),
        SUITE_CASE(its_submitter_comes_across_it_by_the_key),
        SUITE_CASE(one_that_is_due_keeps_no_other_from_expiring),
        SUITE_CASE(one_that_runs_keeps_no_other_from_its_grace_or_renewal),
        SUITE_CASE(one_whose_end_comes_is_fenced_off_and_its_node_need_not_come_again),
        SUITE_CASE(what_was_set_aside_in_a_group_that_is_lost_is_told_of_when_it_is_on_disk),
    };

    return cmocka_run_group_tests_name("store: faults", tests, NULL, NULL);
}

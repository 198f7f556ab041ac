/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What every store does: submitting, the order of work, leases. */

#include "store_suite.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"

/* ---- submitting ---- */

static void a_submitted_job_comes_back_as_it_went_in(void **state)
{
    VmafxSubmission s = suite_submission(1);
    VmafxStoredJob stored;
    VmafxJob job;

    s.job.priority = -7;
    s.job.deadline = SUITE_EPOCH + 99 * (int64_t)SUITE_SECOND;
    s.job.need_memory_mib = 1234;
    s.job.retry_of = suite_id(77);
    memset(s.job.trace.state, 'x', sizeof s.job.trace.state - 1);
    memset(s.job.trace.parent_span_id, 5, sizeof s.job.trace.parent_span_id);
    s.spec = "spec \0with a zero";
    s.spec_len = 17;
    assert_int_equal(suite_submit(&s, &job), VMAFX_OK);
    assert_int_equal(job.state, VMAFX_JOB_QUEUED);
    assert_int_equal(job.created, SUITE_EPOCH);
    assert_int_equal(vmafx_store_get(suite_store(), &s.job.id, &stored), VMAFX_OK);
    assert_null(suite_job_differs(&job, &stored.job));
    assert_int_equal(stored.spec_len, 17);
    assert_memory_equal(stored.spec, s.spec, 17);
    assert_int_equal(job.priority, -7);
    assert_string_equal(job.trace.state, s.job.trace.state);
    assert_memory_equal(&job.retry_of, &s.job.retry_of, sizeof job.retry_of);
    vmafx_stored_job_done(&stored);
}

static void jobs_of_one_operation_are_accepted_and_refused_each_on_its_own(void **state)
{
    static const VmafxStoreLabel twice[] = { { "a", "1" }, { "a", "2" } };
    VmafxSubmission s[6];

    for (uint32_t i = 0; i < VMAFX_LEN(s); i++)
        s[i] = suite_submission(i + 1);
    s[1].job.attempt_limit = 0;
    s[2].job.id = s[0].job.id;
    s[3].labels = twice;
    s[3].n_labels = 2;
    s[4].idempotency_key = "";
    VmafxStoreOp op = { .kind = VMAFX_STORE_SUBMIT, .submissions = s, .n_submissions = VMAFX_LEN(s) };
    assert_int_equal(vmafx_store_wait(suite_store(), &op), VMAFX_OK);
    assert_int_equal(op.n_items, VMAFX_LEN(s));
    static const VmafxErr expected[] = { VMAFX_OK,          VMAFX_ERR_INVALID, VMAFX_ERR_CONFLICT,
                                         VMAFX_ERR_INVALID, VMAFX_ERR_INVALID, VMAFX_OK };
    for (size_t i = 0; i < VMAFX_LEN(s); i++)
        assert_int_equal(op.items[i].err, expected[i]);
    vmafx_store_op_done(&op);
    assert_int_equal(suite_counts().queued, 2);
}

static VmafxErr submit_with_key(uint32_t number, const char *submitter, uint8_t digest, bool *ret_existed,
                                VmafxJob *ret)
{
    VmafxSubmission s = suite_submission(number);

    strcpy(s.job.submitter, submitter);
    s.idempotency_key = "key";
    s.spec_sha256[31] = digest;
    VmafxStoreOp op = { .kind = VMAFX_STORE_SUBMIT, .submissions = &s, .n_submissions = 1 };
    assert_int_equal(vmafx_store_wait(suite_store(), &op), VMAFX_OK);
    *ret_existed = op.items[0].existed;
    return suite_take_item(&op, ret);
}

static void the_same_key_and_request_give_the_same_job_and_another_request_a_conflict(void **state)
{
    VmafxJob first, second;
    bool existed;

    assert_int_equal(submit_with_key(1, "alice", 1, &existed, &first), VMAFX_OK);
    assert_false(existed);
    assert_int_equal(submit_with_key(2, "alice", 1, &existed, &second), VMAFX_OK);
    assert_true(existed);
    assert_null(suite_job_differs(&first, &second));
    assert_int_equal(submit_with_key(3, "alice", 2, &existed, &second), VMAFX_ERR_CONFLICT);
    assert_false(existed);
    assert_null(suite_job_differs(&first, &second)); /* which one stands in the way */
    assert_int_equal(submit_with_key(4, "bob", 2, &existed, &second), VMAFX_OK);
    assert_int_equal(suite_counts().queued, 2);
}

static void a_failed_or_cancelled_job_frees_its_key_and_a_successful_one_keeps_it(void **state)
{
    VmafxAttemptReport failure = suite_failure("n", 1, VMAFX_FAILURE_INPUT), success = suite_success("n", 1);
    VmafxJob job;
    bool existed;

    assert_int_equal(submit_with_key(1, "alice", 1, &existed, NULL), VMAFX_OK);
    assert_int_equal(suite_cancel(1, NULL), VMAFX_OK);
    assert_int_equal(submit_with_key(2, "alice", 2, &existed, NULL), VMAFX_OK);
    assert_false(existed);
    suite_assert_leased("n", 2);
    assert_int_equal(suite_end(&failure, 2, NULL, NULL), VMAFX_OK);
    assert_int_equal(submit_with_key(3, "alice", 3, &existed, NULL), VMAFX_OK);
    assert_false(existed);
    suite_assert_leased("n", 3);
    assert_int_equal(suite_end(&success, 3, NULL, NULL), VMAFX_OK);
    assert_int_equal(submit_with_key(4, "alice", 3, &existed, &job), VMAFX_OK);
    assert_true(existed);
    assert_int_equal(job.state, VMAFX_JOB_SUCCEEDED);
    assert_int_equal(suite_delete(3), VMAFX_OK);
    assert_int_equal(submit_with_key(5, "alice", 9, &existed, NULL), VMAFX_OK);
    assert_false(existed);
}

static void a_full_queue_says_busy_until_there_is_room(void **state)
{
    VmafxSubmission s = suite_submission(3);

    suite_config()->queued_max = 2;
    suite_reopen();
    suite_submit_plain(1);
    suite_submit_plain(2);
    assert_int_equal(suite_submit(&s, NULL), VMAFX_ERR_BUSY);
    suite_assert_leased("n", 1);
    assert_int_equal(suite_submit(&s, NULL), VMAFX_OK);
}

static void inputs_outside_their_range_are_refused_with_a_sentence(void **state)
{
    static const struct {
        const char *why;
        VmafxStoreOp op;
    } bad[] = {
        { "no such kind", { .kind = (VmafxStoreOpKind)99 } },
        { "nothing submitted", { .kind = VMAFX_STORE_SUBMIT } },
        { "not a node", { .kind = VMAFX_STORE_LEASE, .capacity = { "no such/node", 0, 0 } } },
        { "slots without random", { .kind = VMAFX_STORE_LEASE, .capacity = { "n", 1, 1 } } },
        { "no node", { .kind = VMAFX_STORE_RENEW } },
        { "a report of a result without one",
          { .kind = VMAFX_STORE_END,
            .report = { .node = "n", .outcome = VMAFX_OUTCOME_SUCCEEDED, .has_result = true } } },
        { "a result the report does not know",
          { .kind = VMAFX_STORE_END,
            .report = { .node = "n", .outcome = VMAFX_OUTCOME_SUCCEEDED },
            .result = { "x", 1 } } },
        { "no limit", { .kind = VMAFX_STORE_EXPIRE } },
        { "too large a limit", { .kind = VMAFX_STORE_RETAIN, .limit = VMAFX_STORE_LIMIT_MAX + 1 } },
        { "a negative age", { .kind = VMAFX_STORE_RETAIN, .limit = 1, .age_us = -1 } },
    };

    for (size_t i = 0; i < VMAFX_LEN(bad); i++) {
        VmafxStoreOp op = bad[i].op;

        if (vmafx_store_wait(suite_store(), &op) != VMAFX_ERR_INVALID || !op.why.message[0])
            fail_msg("%s", bad[i].why);
    }
}

/* ---- the order of work ---- */

static void work_goes_by_priority_then_turn_then_deadline_then_age(void **state)
{
    VmafxSubmission s;

    suite_submit_plain(1); /* alice's first */
    suite_submit_plain(2); /* alice's second: a later turn */
    s = suite_submission(3);
    strcpy(s.job.submitter, "bob"); /* the turn of alice's first, but younger */
    assert_int_equal(suite_submit(&s, NULL), VMAFX_OK);
    s = suite_submission(4);
    strcpy(s.job.submitter, "carol"); /* the same turn again, and a deadline */
    s.job.deadline = SUITE_EPOCH + 3600 * (int64_t)SUITE_SECOND;
    assert_int_equal(suite_submit(&s, NULL), VMAFX_OK);
    s = suite_submission(5);
    s.job.priority = 1;
    assert_int_equal(suite_submit(&s, NULL), VMAFX_OK);
    s = suite_submission(6);
    s.job.priority = -1;
    strcpy(s.job.submitter, "dave");
    assert_int_equal(suite_submit(&s, NULL), VMAFX_OK);

    static const uint32_t order[] = { 5, 4, 1, 3, 2, 6 };
    for (size_t i = 0; i < VMAFX_LEN(order); i++)
        suite_assert_leased("n", order[i]);
    assert_int_equal(suite_lease("n", NULL), VMAFX_ERR_NOT_FOUND);
}

static void one_who_submits_many_does_not_keep_one_waiting_who_submits_his_first(void **state)
{
    for (uint32_t i = 1; i <= 50; i++)
        suite_submit_plain(i);
    for (uint32_t i = 1; i <= 10; i++)
        suite_assert_leased("n", i);
    VmafxSubmission s = suite_submission(100);
    strcpy(s.job.submitter, "bob");
    assert_int_equal(suite_submit(&s, NULL), VMAFX_OK);
    suite_assert_leased("n", 100); /* its turn is that of the job leased last, and alice's next is later */
    suite_reopen();
    s = suite_submission(101);
    strcpy(s.job.submitter, "carol");
    assert_int_equal(suite_submit(&s, NULL), VMAFX_OK);
    suite_assert_leased("n", 101); /* turns are on disk */
    suite_assert_leased("n", 11);
}

static void jobs_that_were_taken_back_do_not_count_against_their_submitter(void **state)
{
    VmafxSubmission s;

    for (uint32_t i = 1; i <= 20; i++)
        suite_submit_plain(i);
    for (uint32_t i = 3; i <= 20; i++)
        assert_int_equal(suite_cancel(i, NULL), VMAFX_OK);
    suite_submit_plain(21); /* two still wait: their turns, and those in between, are spent */
    assert_int_equal(suite_get(21).turn, 20 * VMAFX_TURN_COST);
    suite_assert_leased("n", 1);
    suite_assert_leased("n", 2);
    assert_int_equal(suite_cancel(21, NULL), VMAFX_OK);

    for (uint32_t i = 31; i <= 33; i++) { /* bob's: now, and two later turns */
        s = suite_submission(i);
        strcpy(s.job.submitter, "bob");
        assert_int_equal(suite_submit(&s, NULL), VMAFX_OK);
    }
    suite_submit_plain(22); /* nothing of alice's waits any more: she goes on from where work is being done */
    assert_int_equal(suite_get(22).turn, 2 * VMAFX_TURN_COST);
    suite_submit_plain(23);
    assert_int_equal(suite_get(23).turn, 3 * VMAFX_TURN_COST);
    static const uint32_t order[] = { 31, 22, 32, 23, 33 };
    for (size_t i = 0; i < VMAFX_LEN(order); i++)
        suite_assert_leased("n", order[i]);
}

static void a_job_of_another_priority_or_one_that_came_back_does_not_keep_turns_spent(void **state)
{
    VmafxAttemptReport back = { .node = "n", .attempt = 1, .outcome = VMAFX_OUTCOME_HANDED_BACK };
    VmafxSubmission s = suite_submission(50);

    s.job.priority = -1;
    assert_int_equal(suite_submit(&s, NULL), VMAFX_OK);
    for (uint32_t i = 1; i <= 10; i++)
        suite_submit_plain(i);
    suite_assert_leased("n", 1);
    assert_int_equal(suite_end(&back, 1, NULL, NULL), VMAFX_OK); /* queued again, with the turn it had */
    for (uint32_t i = 2; i <= 10; i++)
        assert_int_equal(suite_cancel(i, NULL), VMAFX_OK);
    suite_submit_plain(11);
    assert_int_equal(suite_get(11).turn, VMAFX_TURN_COST);
}

static void leases_stay_within_slots_and_free_memory(void **state)
{
    static const int32_t needs[] = { 500, 400, 300, 100 };
    uint8_t random[8 * 4];
    VmafxJobId expected[] = { suite_id(1), suite_id(2), suite_id(4) }; /* the third needs more than is left */

    for (uint32_t i = 0; i < VMAFX_LEN(needs); i++) {
        VmafxSubmission s = suite_submission(i + 1);

        s.job.need_memory_mib = needs[i];
        assert_int_equal(suite_submit(&s, NULL), VMAFX_OK);
    }
    for (size_t i = 0; i < sizeof random; i++)
        random[i] = (uint8_t)(i + 1);
    VmafxStoreOp op = { .kind = VMAFX_STORE_LEASE, .capacity = { "n", 4, 1000 }, .random = random };
    assert_int_equal(vmafx_store_wait(suite_store(), &op), VMAFX_OK);
    assert_int_equal(op.n_items, VMAFX_LEN(expected));
    for (size_t i = 0; i < op.n_items; i++) {
        assert_memory_equal(&op.items[i].job.id, &expected[i], sizeof *expected);
        assert_memory_equal(op.items[i].job.task.span_id, random + 8 * i, 8);
        assert_string_equal(op.items[i].job.task.node, "n");
    }
    vmafx_store_op_done(&op);
    VmafxStoreOp none = { .kind = VMAFX_STORE_LEASE, .capacity = { "n", 0, 1000 } };
    assert_int_equal(vmafx_store_wait(suite_store(), &none), VMAFX_OK);
    assert_int_equal(none.n_items, 0);
    vmafx_store_op_done(&none);
}

static void a_job_that_waits_to_be_tried_again_does_not_stand_in_the_way(void **state)
{
    VmafxAttemptReport failure = suite_failure("n", 1, VMAFX_FAILURE_NODE);
    VmafxJob job;

    suite_submit_plain(1);
    suite_submit_plain(2);
    suite_assert_leased("n", 1);
    assert_int_equal(suite_end(&failure, 1, NULL, &job), VMAFX_OK);
    assert_int_equal(job.state, VMAFX_JOB_QUEUED);
    assert_true(job.task.not_before > SUITE_EPOCH);
    suite_assert_leased("n", 2);
    assert_int_equal(suite_lease("n", NULL), VMAFX_ERR_NOT_FOUND);
    suite_pass(job.task.not_before - SUITE_EPOCH - 1);
    assert_int_equal(suite_lease("n", NULL), VMAFX_ERR_NOT_FOUND);
    suite_pass(1);
    suite_assert_leased("n", 1);
    assert_int_equal(suite_get(1).task.attempt, 2);
}

/* ---- leases ---- */

static void only_the_holder_of_the_current_attempt_renews_and_reports(void **state)
{
    VmafxAttemptReport report = suite_success("n", 1);
    VmafxJob job;

    suite_submit_plain(1);
    assert_int_equal(suite_renew("n", 1, 1), VMAFX_ERR_LEASE_LOST);
    suite_assert_leased("n", 1);
    suite_pass(10 * SUITE_SECOND);
    assert_int_equal(suite_renew("n", 1, 1), VMAFX_OK);
    assert_int_equal(suite_get(1).task.lease_until, SUITE_EPOCH + 10 * SUITE_SECOND + suite_config()->rules.lease_us);
    assert_int_equal(suite_renew("m", 1, 1), VMAFX_ERR_LEASE_LOST);
    assert_int_equal(suite_renew("n", 1, 2), VMAFX_ERR_LEASE_LOST);
    assert_int_equal(suite_renew("n", 9, 1), VMAFX_ERR_LEASE_LOST);

    report.attempt = 2;
    assert_int_equal(suite_end(&report, 1, NULL, &job), VMAFX_ERR_LEASE_LOST);
    assert_int_equal(job.state, VMAFX_JOB_RUNNING); /* the row as it is */
    assert_int_equal(suite_end(&report, 9, NULL, NULL), VMAFX_ERR_NOT_FOUND);
    report.attempt = 1;
    assert_int_equal(suite_end(&report, 1, NULL, &job), VMAFX_OK);
    assert_int_equal(job.state, VMAFX_JOB_SUCCEEDED);
    assert_int_equal(suite_end(&report, 1, NULL, NULL), VMAFX_ERR_LEASE_LOST); /* the first report counts */
}

static void what_is_due_is_found_by_its_time_and_only_then(void **state)
{
    VmafxSubmission s = suite_submission(2);
    VmafxJob job;

    suite_submit_plain(1);
    s.job.deadline = SUITE_EPOCH + 100 * (int64_t)SUITE_SECOND;
    assert_int_equal(suite_submit(&s, NULL), VMAFX_OK);
    suite_assert_leased("n", 1);
    suite_pass(suite_config()->rules.lease_us - 1);
    assert_int_equal(suite_expire(), 0);
    suite_pass(1);
    assert_int_equal(suite_expire(), 1);
    job = suite_get(1);
    assert_int_equal(job.state, VMAFX_JOB_QUEUED);
    assert_int_equal(job.task.failures, 1);
    assert_int_equal(suite_expire(), 0);
    suite_pass(70 * SUITE_SECOND);
    assert_int_equal(suite_expire(), 1);
    job = suite_get(2);
    assert_int_equal(job.state, VMAFX_JOB_FAILED);
    assert_int_equal(job.failure, VMAFX_FAILURE_TIMEOUT);
    assert_int_equal(suite_counts().failed, 1);
}

static void expiry_stays_within_its_limit_and_begins_with_what_is_due_longest(void **state)
{
    VmafxStoreOp op = { .kind = VMAFX_STORE_EXPIRE, .limit = 2 };

    for (uint32_t i = 1; i <= 3; i++) {
        VmafxSubmission s = suite_submission(i);

        s.job.deadline = SUITE_EPOCH + (10 - (int64_t)i) * SUITE_SECOND;
        assert_int_equal(suite_submit(&s, NULL), VMAFX_OK);
    }
    suite_pass(20 * SUITE_SECOND);
    assert_int_equal(vmafx_store_wait(suite_store(), &op), VMAFX_OK);
    assert_int_equal(op.n_items, 2);
    assert_int_equal(op.items[0].job.id.bytes[15], 3);
    assert_int_equal(op.items[1].job.id.bytes[15], 2);
    vmafx_store_op_done(&op);
    assert_int_equal(suite_expire(), 1);
}

static void a_job_whose_deadline_has_passed_ends_instead_of_being_leased(void **state)
{
    VmafxSubmission s = suite_submission(1);

    s.job.deadline = SUITE_EPOCH + SUITE_SECOND;
    assert_int_equal(suite_submit(&s, NULL), VMAFX_OK);
    suite_submit_plain(2);
    suite_pass(SUITE_SECOND);
    suite_assert_leased("n", 2);
    assert_int_equal(suite_get(1).state, VMAFX_JOB_FAILED);
}

static void grace_gives_every_lease_a_full_term(void **state)
{
    VmafxStoreOp op = { .kind = VMAFX_STORE_GRACE };

    for (uint32_t i = 1; i <= 3; i++)
        suite_submit_plain(i);
    suite_assert_leased("n", 1);
    suite_assert_leased("m", 2);
    suite_pass(suite_config()->rules.lease_us + 5);
    assert_int_equal(vmafx_store_wait(suite_store(), &op), VMAFX_OK);
    assert_int_equal(op.n_done, 2);
    assert_int_equal(suite_expire(), 0);
    assert_int_equal(suite_get(2).task.lease_until, SUITE_EPOCH + 2 * suite_config()->rules.lease_us + 5);
    suite_pass(suite_config()->rules.lease_us);
    assert_int_equal(suite_expire(), 2);
}

static void other_rules_after_a_restart_hold_for_the_leases_that_run(void **state)
{
    VmafxSubmission s = suite_submission(1);

    s.job.timeout_us = 10 * SUITE_SECOND;
    assert_int_equal(suite_submit(&s, NULL), VMAFX_OK);
    suite_assert_leased("n", 1);
    assert_int_equal(suite_renew("n", 1, 1), VMAFX_OK);
    suite_config()->rules.lease_us = 5 * SUITE_SECOND; /* due is timeout + a lease: 15 s instead of 40 */
    suite_reopen();
    suite_pass(15 * SUITE_SECOND);
    assert_int_equal(suite_expire(), 1);
    assert_int_equal(suite_get(1).failure, VMAFX_FAILURE_TIMEOUT);
}

int store_suite_work(void)
{
    const struct CMUnitTest tests[] = {
        SUITE_CASE(a_submitted_job_comes_back_as_it_went_in),
        SUITE_CASE(jobs_of_one_operation_are_accepted_and_refused_each_on_its_own),
        SUITE_CASE(the_same_key_and_request_give_the_same_job_and_another_request_a_conflict),
        SUITE_CASE(a_failed_or_cancelled_job_frees_its_key_and_a_successful_one_keeps_it),
        SUITE_CASE(a_full_queue_says_busy_until_there_is_room),
        SUITE_CASE(inputs_outside_their_range_are_refused_with_a_sentence),
        SUITE_CASE(work_goes_by_priority_then_turn_then_deadline_then_age),
        SUITE_CASE(one_who_submits_many_does_not_keep_one_waiting_who_submits_his_first),
        SUITE_CASE(jobs_that_were_taken_back_do_not_count_against_their_submitter),
        SUITE_CASE(a_job_of_another_priority_or_one_that_came_back_does_not_keep_turns_spent),
        SUITE_CASE(leases_stay_within_slots_and_free_memory),
        SUITE_CASE(a_job_that_waits_to_be_tried_again_does_not_stand_in_the_way),
        SUITE_CASE(only_the_holder_of_the_current_attempt_renews_and_reports),
        SUITE_CASE(what_is_due_is_found_by_its_time_and_only_then),
        SUITE_CASE(expiry_stays_within_its_limit_and_begins_with_what_is_due_longest),
        SUITE_CASE(a_job_whose_deadline_has_passed_ends_instead_of_being_leased),
        SUITE_CASE(grace_gives_every_lease_a_full_term),
        SUITE_CASE(other_rules_after_a_restart_hold_for_the_leases_that_run),
    };

    return cmocka_run_group_tests_name("store: work", tests, NULL, NULL);
}

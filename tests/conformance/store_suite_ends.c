/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What every store does: its clock, how jobs end, and what remains of them. */

#include "store_suite.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"

/* ---- the clock ---- */

static void the_clock_passes_with_the_machine_and_never_goes_back_over_a_restart(void **state)
{
    assert_int_equal(vmafx_store_now(suite_store()), SUITE_EPOCH);
    suite_pass(10 * SUITE_SECOND);
    assert_int_equal(vmafx_store_now(suite_store()), SUITE_EPOCH + 10 * SUITE_SECOND);
    suite_submit_plain(1);
    suite_close();
    suite_set_clock(-3600 * (int64_t)SUITE_SECOND);
    suite_open();
    assert_int_equal(vmafx_store_now(suite_store()), SUITE_EPOCH + 10 * SUITE_SECOND);
    assert_false(vmafx_store_clock_jumped(suite_store(), NULL)); /* a start has its own grace */
}

static void a_small_step_of_the_machines_clock_is_followed_slowly(void **state)
{
    VmafxWall start = vmafx_store_now(suite_store()), last = start;

    suite_set_clock(SUITE_SECOND / 2);
    assert_int_equal(vmafx_store_now(suite_store()), start);
    suite_pass(SUITE_SECOND);
    assert_int_equal(vmafx_store_now(suite_store()), start + SUITE_SECOND + SUITE_SECOND / 20);
    suite_pass(60 * SUITE_SECOND);
    assert_int_equal(vmafx_store_now(suite_store()), start + 61 * SUITE_SECOND + SUITE_SECOND / 2);
    suite_set_clock(-SUITE_SECOND / 2);
    for (int i = 0; i < 1000; i++) { /* also in steps smaller than what can be followed */
        suite_pass(7);
        assert_true(vmafx_store_now(suite_store()) >= last);
        last = vmafx_store_now(suite_store());
    }
    suite_pass(60 * SUITE_SECOND);
    assert_int_equal(vmafx_store_now(suite_store()), start + 121 * SUITE_SECOND + 7000);
    assert_false(vmafx_store_clock_jumped(suite_store(), NULL));
}

static void a_large_step_forward_is_taken_reported_and_costs_nobody_a_lease(void **state)
{
    int64_t step = 0;

    suite_submit_plain(1);
    suite_assert_leased("n", 1);
    suite_set_clock(3000 * (int64_t)SUITE_SECOND);
    assert_int_equal(vmafx_store_now(suite_store()), SUITE_EPOCH + 3000 * (int64_t)SUITE_SECOND);
    assert_int_equal(suite_expire(), 0); /* the grace was given by itself */
    assert_int_equal(suite_get(1).task.lease_until,
                     SUITE_EPOCH + 3000 * (int64_t)SUITE_SECOND + suite_config()->rules.lease_us);
    assert_true(vmafx_store_clock_jumped(suite_store(), &step));
    assert_int_equal(step, 3000 * (int64_t)SUITE_SECOND);
    assert_false(vmafx_store_clock_jumped(suite_store(), NULL));
    suite_pass(suite_config()->rules.lease_us);
    assert_int_equal(suite_expire(), 1);
}

static void time_that_passed_while_the_store_was_closed_counts_into_no_attempts_timeout(void **state)
{
    suite_submit_plain(1);
    suite_assert_leased("n", 1);
    suite_close();
    suite_pass(10 * suite_submission(1).job.timeout_us);
    suite_open();
    assert_int_equal(suite_expire(), 0); /* nor is the lease over: nobody could renew it */
    suite_pass(suite_config()->rules.lease_us);
    assert_int_equal(suite_expire(), 1);
    assert_int_equal(suite_get(1).state, VMAFX_JOB_QUEUED); /* its node is not there: lost, and tried again */
}

static void a_large_step_backward_is_reported_and_time_goes_on(void **state)
{
    VmafxWall now = vmafx_store_now(suite_store());

    suite_set_clock(-3600 * (int64_t)SUITE_SECOND);
    assert_true(vmafx_store_clock_jumped(suite_store(), NULL));
    suite_pass(20 * SUITE_SECOND);
    assert_int_equal(vmafx_store_now(suite_store()), now + 19 * SUITE_SECOND);
    assert_false(vmafx_store_clock_jumped(suite_store(), NULL));
}

/* ---- ends ---- */

static uint64_t retain(int64_t age_us, uint64_t count, uint32_t limit)
{
    VmafxStoreOp op = { .kind = VMAFX_STORE_RETAIN, .age_us = age_us, .count = count, .limit = limit };

    assert_int_equal(vmafx_store_wait(suite_store(), &op), VMAFX_OK);
    uint64_t n = op.n_done;
    vmafx_store_op_done(&op);
    return n;
}

static void a_result_is_kept_with_the_end_and_comes_back_byte_for_byte(void **state)
{
    VmafxAttemptReport report = suite_success("n", 1);
    VmafxJobId id = suite_id(1), other = suite_id(2);
    VmafxJob job;
    void *data = NULL;
    size_t len = 0;

    suite_submit_plain(1);
    suite_submit_plain(2);
    suite_assert_leased("n", 1);
    report.has_score = true;
    report.score = 93.25;
    assert_int_equal(suite_end(&report, 1, "the result", &job), VMAFX_OK);
    assert_true(job.has_result && job.has_score && job.score == 93.25);
    assert_int_equal(vmafx_store_result(suite_store(), &id, &data, &len), VMAFX_OK);
    assert_int_equal(len, 10);
    assert_memory_equal(data, "the result", 10);
    free(data);
    assert_int_equal(vmafx_store_result(suite_store(), &other, &data, &len), VMAFX_ERR_NOT_FOUND);
    VmafxJob again = suite_get(1);
    assert_null(suite_job_differs(&job, &again));
}

static void a_large_result_comes_back_byte_for_byte(void **state)
{
    size_t len = (size_t)9 << 20, back = 0;
    char *large = malloc(len + 1);
    void *data = NULL;
    VmafxJobId id = suite_id(1);
    VmafxAttemptReport report = suite_success("n", 1);

    assert_non_null(large);
    for (size_t i = 0; i < len; i++)
        large[i] = (char)('a' + i * i % 23);
    large[len] = 0;
    suite_submit_plain(1);
    suite_assert_leased("n", 1);
    assert_int_equal(suite_end(&report, 1, large, NULL), VMAFX_OK);
    assert_int_equal(vmafx_store_result(suite_store(), &id, &data, &back), VMAFX_OK);
    assert_int_equal(back, len);
    assert_memory_equal(data, large, len);
    free(data);
    free(large);
}

static void a_partial_result_is_kept_when_the_job_ends_and_dropped_when_it_is_tried_again(void **state)
{
    VmafxAttemptReport again = suite_failure("n", 1, VMAFX_FAILURE_NODE),
                       final = suite_failure("n", 2, VMAFX_FAILURE_INPUT);
    VmafxJobId id = suite_id(1);
    void *data = NULL;
    size_t len;
    VmafxJob job;

    suite_submit_plain(1);
    suite_assert_leased("n", 1);
    assert_int_equal(suite_end(&again, 1, "half", &job), VMAFX_OK);
    assert_false(job.has_result);
    assert_int_equal(vmafx_store_result(suite_store(), &id, &data, &len), VMAFX_ERR_NOT_FOUND);
    suite_pass(120 * SUITE_SECOND);
    suite_assert_leased("n", 1);
    assert_int_equal(suite_end(&final, 1, "prefix", &job), VMAFX_OK);
    assert_int_equal(job.state, VMAFX_JOB_FAILED);
    assert_true(job.has_result && !job.complete);
    assert_int_equal(vmafx_store_result(suite_store(), &id, &data, &len), VMAFX_OK);
    assert_int_equal(len, 6);
    free(data);
}

static void a_score_that_is_no_number_is_kept_too(void **state)
{
    VmafxAttemptReport report = suite_success("n", 1);
    VmafxJob job;

    report.has_score = true;
    report.score = NAN;
    suite_submit_plain(1);
    suite_assert_leased("n", 1);
    VmafxErr err = suite_end(&report, 1, NULL, NULL);
    job = suite_get(1);
    if (!err) /* the rules may refuse it; a store that was given it gives it back */
        assert_true(!job.has_score || isnan(job.score));
}

static void cancelling_ends_a_job_once_and_says_so_twice(void **state)
{
    VmafxAttemptReport report = suite_success("n", 1);
    VmafxJob job;

    suite_submit_plain(1);
    suite_submit_plain(2);
    suite_assert_leased("n", 1);
    assert_int_equal(suite_cancel(1, &job), VMAFX_OK);
    assert_int_equal(job.state, VMAFX_JOB_CANCELLED);
    assert_string_equal(job.message, "changed my mind");
    assert_int_equal(suite_cancel(1, &job), VMAFX_OK);
    assert_int_equal(suite_end(&report, 1, NULL, NULL), VMAFX_ERR_LEASE_LOST);
    suite_assert_leased("n", 2);
    assert_int_equal(suite_end(&report, 2, NULL, NULL), VMAFX_OK);
    assert_int_equal(suite_cancel(2, &job), VMAFX_ERR_STATE);
    assert_int_equal(job.state, VMAFX_JOB_SUCCEEDED);
    assert_int_equal(suite_cancel(3, NULL), VMAFX_ERR_NOT_FOUND);
}

static void a_deleted_job_takes_everything_with_it(void **state)
{
    static const VmafxStoreLabel label = { "k", "v" };
    VmafxSubmission s = suite_submission(1);
    VmafxStoreFilter filter = { .labels = &label, .n_labels = 1, .limit = 10 };
    VmafxStoredEvents events;
    VmafxStoredJobs jobs;
    void *data;
    size_t len;
    VmafxStoredJob stored;
    VmafxAttemptReport report = suite_success("n", 1);

    s.labels = &label;
    s.n_labels = 1;
    assert_int_equal(suite_submit(&s, NULL), VMAFX_OK);
    assert_int_equal(suite_delete(1), VMAFX_ERR_STATE);
    suite_assert_leased("n", 1);
    assert_int_equal(suite_delete(1), VMAFX_ERR_STATE);
    assert_int_equal(suite_end(&report, 1, "result", NULL), VMAFX_OK);
    assert_int_equal(suite_delete(1), VMAFX_OK);
    assert_int_equal(suite_delete(1), VMAFX_ERR_NOT_FOUND);
    assert_int_equal(vmafx_store_get(suite_store(), &s.job.id, &stored), VMAFX_ERR_NOT_FOUND);
    assert_int_equal(vmafx_store_result(suite_store(), &s.job.id, &data, &len), VMAFX_ERR_NOT_FOUND);
    assert_int_equal(vmafx_store_events(suite_store(), NULL, 0, 100, &events), VMAFX_OK);
    assert_int_equal(events.n, 0);
    vmafx_stored_events_done(&events);
    assert_int_equal(vmafx_store_list(suite_store(), &filter, &jobs), VMAFX_OK);
    assert_int_equal(jobs.n, 0);
    vmafx_stored_jobs_done(&jobs);
    assert_int_equal(suite_counts().succeeded, 0);
    int64_t newest = 0;
    assert_int_equal(vmafx_store_wait_events(suite_store(), 0, 0, &newest), VMAFX_OK);
    assert_true(newest >= 3); /* numbers that were given are not given again */
}

static void retention_goes_by_age_and_number_oldest_first_and_spares_what_has_not_ended(void **state)
{
    VmafxStoredJob stored;
    VmafxJobId id;

    for (uint32_t i = 1; i <= 12; i++)
        suite_submit_plain(i);
    for (uint32_t i = 1; i <= 10; i++) {
        assert_int_equal(suite_cancel(i, NULL), VMAFX_OK);
        suite_pass(SUITE_SECOND);
    }
    assert_int_equal(retain(0, 0, 100), 0);
    assert_int_equal(retain(8 * SUITE_SECOND, 0, 100), 2); /* ended 10 and 9 s ago; 8 is not older than 8 */
    id = suite_id(2);
    assert_int_equal(vmafx_store_get(suite_store(), &id, &stored), VMAFX_ERR_NOT_FOUND);
    assert_int_equal(suite_get(3).state, VMAFX_JOB_CANCELLED);
    assert_int_equal(retain(0, 5, 2), 2); /* three too many, but two at a time */
    assert_int_equal(retain(0, 5, 2), 1);
    assert_int_equal(retain(0, 5, 2), 0);
    assert_int_equal(suite_get(6).state, VMAFX_JOB_CANCELLED);
    assert_int_equal(suite_counts().cancelled, 5);
    assert_int_equal(suite_counts().queued, 2);
}

int store_suite_ends(void)
{
    const struct CMUnitTest tests[] = {
        SUITE_CASE(the_clock_passes_with_the_machine_and_never_goes_back_over_a_restart),
        SUITE_CASE(a_small_step_of_the_machines_clock_is_followed_slowly),
        SUITE_CASE(a_large_step_forward_is_taken_reported_and_costs_nobody_a_lease),
        SUITE_CASE(time_that_passed_while_the_store_was_closed_counts_into_no_attempts_timeout),
        SUITE_CASE(a_large_step_backward_is_reported_and_time_goes_on),
        SUITE_CASE(a_result_is_kept_with_the_end_and_comes_back_byte_for_byte),
        SUITE_CASE(a_large_result_comes_back_byte_for_byte),
        SUITE_CASE(a_partial_result_is_kept_when_the_job_ends_and_dropped_when_it_is_tried_again),
        SUITE_CASE(a_score_that_is_no_number_is_kept_too),
        SUITE_CASE(cancelling_ends_a_job_once_and_says_so_twice),
        SUITE_CASE(a_deleted_job_takes_everything_with_it),
        SUITE_CASE(retention_goes_by_age_and_number_oldest_first_and_spares_what_has_not_ended),
    };

    return cmocka_run_group_tests_name("store: clock and ends", tests, NULL, NULL);
}

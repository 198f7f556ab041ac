/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* A job's steps: each transition, each refusal; the order of work, turns, ids and names. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"
#include "fleet/fleet.h"

#define T0 1000000

static const VmafxFleetRules rules = { .lease_us = 30, .backoff_us = 10, .backoff_max_us = 35 };
static const uint8_t span[8] = { 1 };

static VmafxJob submitted(void)
{
    VmafxJob job = { .id = { { 7 } }, .deadline = T0 + 1000, .timeout_us = 200, .attempt_limit = 2, .submitter = "s" };
    VmafxStep step;

    assert_int_equal(vmafx_job_submit(&job, T0, &step), VMAFX_OK);
    assert_null(vmafx_job_check(&job));
    return job;
}

static VmafxJob running(void)
{
    VmafxJob job = submitted();
    VmafxStep step;

    assert_int_equal(vmafx_job_lease(&job, &rules, "n", span, T0 + 5, &step), VMAFX_OK);
    assert_null(vmafx_job_check(&job));
    return job;
}

static VmafxJob in_state(VmafxJobState state)
{
    VmafxJob job = state == VMAFX_JOB_QUEUED ? submitted() : running();
    VmafxAttemptReport good = {
        .node = "n", .attempt = 1, .outcome = VMAFX_OUTCOME_SUCCEEDED, .complete = true, .has_result = true
    };
    VmafxAttemptReport bad = {
        .node = "n", .attempt = 1, .outcome = VMAFX_OUTCOME_FAILED, .failure = VMAFX_FAILURE_INPUT
    };
    VmafxStep step;

    if (state == VMAFX_JOB_SUCCEEDED)
        assert_int_equal(vmafx_job_end_attempt(&job, &rules, &good, T0 + 9, &step), VMAFX_OK);
    if (state == VMAFX_JOB_FAILED)
        assert_int_equal(vmafx_job_end_attempt(&job, &rules, &bad, T0 + 9, &step), VMAFX_OK);
    if (state == VMAFX_JOB_CANCELLED)
        assert_int_equal(vmafx_job_cancel(&job, "why not", T0 + 9, &step), VMAFX_OK);
    assert_int_equal(job.state, state);
    assert_null(vmafx_job_check(&job));
    return job;
}

static void submit_refuses_what_is_out_of_range(void **s)
{
    static const struct {
        const char *why;
        int32_t limit, memory;
        int64_t timeout;
        VmafxWall deadline, now;
        uint8_t id;
        const char *submitter;
    } bad[] = {
        { "no attempts", 0, 0, 1, 0, T0, 1, "s" },
        { "more attempts than anybody needs", 101, 0, 1, 0, T0, 1, "s" },
        { "no time", 1, 0, 0, 0, T0, 1, "s" },
        { "less than no memory", 1, -1, 1, 0, T0, 1, "s" },
        { "a deadline before all time", 1, 0, 1, -1, T0, 1, "s" },
        { "a clock that was never set", 1, 0, 1, 0, 0, 1, "s" },
        { "no id", 1, 0, 1, 0, T0, 0, "s" },
        { "nobody's", 1, 0, 1, 0, T0, 1, "" },
    };

    for (size_t i = 0; i < VMAFX_LEN(bad); i++) {
        VmafxJob job = { .id = { { bad[i].id } },
                         .attempt_limit = bad[i].limit,
                         .need_memory_mib = bad[i].memory,
                         .timeout_us = bad[i].timeout,
                         .deadline = bad[i].deadline };
        VmafxStep step = { .n = 99 };

        snprintf(job.submitter, sizeof job.submitter, "%s", bad[i].submitter);
        VmafxJob before = job;
        if (vmafx_job_submit(&job, bad[i].now, &step) != VMAFX_ERR_INVALID)
            fail_msg("taken: %s", bad[i].why);
        assert_memory_equal(&job, &before, sizeof job);
        assert_int_equal(step.n, 99);
    }
}

static void submit_forgets_whatever_else_was_in_the_row(void **s)
{
    VmafxJob job = in_state(VMAFX_JOB_FAILED);
    VmafxStep step;

    assert_int_equal(vmafx_job_submit(&job, T0 + 50, &step), VMAFX_OK);
    assert_null(vmafx_job_check(&job));
    assert_int_equal(job.created, T0 + 50);
    assert_int_equal(job.task.attempt, 0);
    assert_int_equal(step.n, 1);
    assert_int_equal(step.events[0].kind, VMAFX_EVENT_SUBMITTED);
    assert_int_equal(step.events[0].state, VMAFX_JOB_QUEUED);
}

/* Which step is possible in which state, with an attempt that fits. */
static void each_state_takes_its_steps_and_no_others(void **s)
{
    enum { LEASE, RENEW, GRACE, END, CANCEL, EXPIRE, STEPS };
    static const VmafxErr want[][STEPS] = {
        [VMAFX_JOB_QUEUED] = { VMAFX_OK, VMAFX_ERR_LEASE_LOST, VMAFX_ERR_STATE, VMAFX_ERR_LEASE_LOST, VMAFX_OK,
                               VMAFX_ERR_STATE },
        [VMAFX_JOB_RUNNING] = { VMAFX_ERR_STATE, VMAFX_OK, VMAFX_OK, VMAFX_OK, VMAFX_OK, VMAFX_ERR_STATE },
        [VMAFX_JOB_SUCCEEDED] = { VMAFX_ERR_STATE, VMAFX_ERR_LEASE_LOST, VMAFX_ERR_STATE, VMAFX_ERR_LEASE_LOST,
                                  VMAFX_ERR_STATE, VMAFX_ERR_STATE },
        [VMAFX_JOB_FAILED] = { VMAFX_ERR_STATE, VMAFX_ERR_LEASE_LOST, VMAFX_ERR_STATE, VMAFX_ERR_LEASE_LOST,
                               VMAFX_ERR_STATE, VMAFX_ERR_STATE },
        [VMAFX_JOB_CANCELLED] = { VMAFX_ERR_STATE, VMAFX_ERR_LEASE_LOST, VMAFX_ERR_STATE, VMAFX_ERR_LEASE_LOST,
                                  VMAFX_ERR_STATE, VMAFX_ERR_STATE },
    };
    VmafxAttemptReport report = { .node = "n", .attempt = 1, .outcome = VMAFX_OUTCOME_TIMEOUT };

    for (unsigned state = VMAFX_JOB_QUEUED; state <= VMAFX_JOB_CANCELLED; state++)
        for (int what = 0; what < STEPS; what++) {
            VmafxJob job = in_state((VmafxJobState)state), before = job;
            VmafxStep step = { .n = 99 };
            VmafxErr err = what == LEASE    ? vmafx_job_lease(&job, &rules, "n", span, T0 + 10, &step)
                           : what == RENEW  ? vmafx_job_renew(&job, &rules, "n", 1, T0 + 10)
                           : what == GRACE  ? vmafx_job_grace(&job, &rules, 0, T0 + 10)
                           : what == END    ? vmafx_job_end_attempt(&job, &rules, &report, T0 + 10, &step)
                           : what == CANCEL ? vmafx_job_cancel(&job, "x", T0 + 10, &step)
                                            : vmafx_job_expire(&job, &rules, T0 + 10, &step);

            if (err != want[state][what])
                fail_msg("%s, step %d: %s", vmafx_job_state_name((VmafxJobState)state), what, vmafx_err_name(err));
            assert_null(vmafx_job_check(&job));
            if (!err)
                continue;
            assert_memory_equal(&job, &before, sizeof job);
            assert_int_equal(step.n, 99);
        }
}

static void a_lease_numbers_the_attempt_and_tells_how_long_the_job_waited(void **s)
{
    VmafxJob job = submitted();
    VmafxStep step;

    assert_int_equal(vmafx_job_lease(&job, &rules, "node-1", span, T0 + 5, &step), VMAFX_OK);
    assert_int_equal(job.task.attempt, 1);
    assert_int_equal(job.started, T0 + 5);
    assert_int_equal(job.task.lease_until, T0 + 35);
    assert_int_equal(step.n, 1);
    assert_int_equal(step.events[0].kind, VMAFX_EVENT_LEASED);
    assert_int_equal(step.events[0].since, T0);
    assert_int_equal(step.events[0].time, T0 + 5);
    assert_string_equal(step.events[0].node, "node-1");
    assert_memory_equal(step.events[0].span_id, span, 8);
}

static void a_lease_is_refused_early_late_and_to_nobody(void **s)
{
    VmafxJob job = running();
    VmafxAttemptReport lost = {
        .node = "n", .attempt = 1, .outcome = VMAFX_OUTCOME_FAILED, .failure = VMAFX_FAILURE_NODE
    };
    VmafxStep step;

    assert_int_equal(vmafx_job_end_attempt(&job, &rules, &lost, T0 + 20, &step), VMAFX_OK);
    assert_int_equal(job.task.not_before, T0 + 30);
    assert_int_equal(vmafx_job_lease(&job, &rules, "n", span, T0 + 29, &step), VMAFX_ERR_TOO_EARLY);
    assert_int_equal(vmafx_job_lease(&job, &rules, "n", span, T0 + 1000, &step), VMAFX_ERR_DEADLINE);
    assert_int_equal(vmafx_job_lease(&job, &rules, "", span, T0 + 30, &step), VMAFX_ERR_INVALID);
    assert_int_equal(vmafx_job_lease(&job, &rules, "n", span, T0 + 30, &step), VMAFX_OK);
    assert_int_equal(job.task.attempt, 2);
    assert_memory_equal(job.task.previous_span_id, span, 8);
}

static void only_the_holder_of_the_current_attempt_is_heard(void **s)
{
    static const struct {
        const char *why, *node;
        int32_t attempt;
    } strangers[] = {
        { "another node", "m", 1 },
        { "an attempt before", "n", 0 },
        { "an attempt to come", "n", 2 },
        { "a longer name", "nn", 1 },
    };

    for (size_t i = 0; i < VMAFX_LEN(strangers); i++) {
        VmafxJob job = running(), before = job;
        VmafxAttemptReport report = { .node = strangers[i].node,
                                      .attempt = strangers[i].attempt,
                                      .outcome = VMAFX_OUTCOME_SUCCEEDED,
                                      .complete = true,
                                      .has_result = true };
        VmafxStep step;

        if (vmafx_job_renew(&job, &rules, report.node, report.attempt, T0 + 20) != VMAFX_ERR_LEASE_LOST)
            fail_msg("renewed by %s", strangers[i].why);
        if (vmafx_job_end_attempt(&job, &rules, &report, T0 + 20, &step) != VMAFX_ERR_LEASE_LOST)
            fail_msg("ended by %s", strangers[i].why);
        assert_memory_equal(&job, &before, sizeof job);
    }
}

static void a_lease_never_gets_shorter(void **s)
{
    VmafxFleetRules shorter = { .lease_us = 1, .backoff_us = 1, .backoff_max_us = 1 };
    VmafxJob job = running();

    assert_int_equal(vmafx_job_renew(&job, &shorter, "n", 1, T0 + 6), VMAFX_OK);
    assert_int_equal(job.task.lease_until, T0 + 35);
    assert_int_equal(vmafx_job_renew(&job, &rules, "n", 1, T0 - 500), VMAFX_OK);
    assert_int_equal(job.task.lease_until, T0 + 35);
    assert_int_equal(vmafx_job_renew(&job, &rules, "n", 1, T0 + 60), VMAFX_OK); /* had run out, was not taken away */
    assert_int_equal(job.task.lease_until, T0 + 90);
}

/* What becomes of a job whose first of two attempts (or last: limit 1) ends like that. */
static void each_outcome_leads_where_the_table_says(void **s)
{
    static const struct {
        const char *why;
        int32_t limit;
        VmafxOutcome outcome;
        VmafxFailure failure;
        bool may_pass, has_result;
        VmafxJobState state;
        VmafxFailure job_failure;
        VmafxOutcome told;
        int32_t failures;
        VmafxWall not_before;
        bool kept;
    } rows[] = {
        { "success", 2, VMAFX_OUTCOME_SUCCEEDED, 0, false, true, VMAFX_JOB_SUCCEEDED, 0, VMAFX_OUTCOME_SUCCEEDED, 0, 0,
          true },
        { "a bad input stays bad", 2, VMAFX_OUTCOME_FAILED, VMAFX_FAILURE_INPUT, false, false, VMAFX_JOB_FAILED,
          VMAFX_FAILURE_INPUT, VMAFX_OUTCOME_FAILED, 1, 0, false },
        { "a cut input leaves a partial result", 2, VMAFX_OUTCOME_FAILED, VMAFX_FAILURE_INPUT, false, true,
          VMAFX_JOB_FAILED, VMAFX_FAILURE_INPUT, VMAFX_OUTCOME_FAILED, 1, 0, true },
        { "an input out of reach may come back", 2, VMAFX_OUTCOME_FAILED, VMAFX_FAILURE_INPUT, true, false,
          VMAFX_JOB_QUEUED, 0, VMAFX_OUTCOME_FAILED, 1, T0 + 30, false },
        { "what is tried again keeps no result", 2, VMAFX_OUTCOME_FAILED, VMAFX_FAILURE_INPUT, true, true,
          VMAFX_JOB_QUEUED, 0, VMAFX_OUTCOME_FAILED, 1, T0 + 30, false },
        { "mismatch", 2, VMAFX_OUTCOME_FAILED, VMAFX_FAILURE_MISMATCH, false, false, VMAFX_JOB_FAILED,
          VMAFX_FAILURE_MISMATCH, VMAFX_OUTCOME_FAILED, 1, 0, false },
        { "model", 2, VMAFX_OUTCOME_FAILED, VMAFX_FAILURE_MODEL, false, false, VMAFX_JOB_FAILED, VMAFX_FAILURE_MODEL,
          VMAFX_OUTCOME_FAILED, 1, 0, false },
        { "a defect of ours does not pass", 2, VMAFX_OUTCOME_FAILED, VMAFX_FAILURE_INTERNAL, false, false,
          VMAFX_JOB_FAILED, VMAFX_FAILURE_INTERNAL, VMAFX_OUTCOME_FAILED, 1, 0, false },
        { "a full disk may pass", 2, VMAFX_OUTCOME_FAILED, VMAFX_FAILURE_RESOURCE, false, false, VMAFX_JOB_QUEUED, 0,
          VMAFX_OUTCOME_FAILED, 1, T0 + 30, false },
        { "a dead scorer may pass", 2, VMAFX_OUTCOME_FAILED, VMAFX_FAILURE_NODE, false, false, VMAFX_JOB_QUEUED, 0,
          VMAFX_OUTCOME_FAILED, 1, T0 + 30, false },
        { "but not beyond the last attempt", 1, VMAFX_OUTCOME_FAILED, VMAFX_FAILURE_NODE, false, false,
          VMAFX_JOB_FAILED, VMAFX_FAILURE_NODE, VMAFX_OUTCOME_FAILED, 1, 0, false },
        { "the node's operator killed it", 2, VMAFX_OUTCOME_CANCELLED, 0, false, false, VMAFX_JOB_QUEUED, 0,
          VMAFX_OUTCOME_FAILED, 1, T0 + 30, false },
        { "the node's operator killed the last one", 1, VMAFX_OUTCOME_CANCELLED, 0, false, false, VMAFX_JOB_FAILED,
          VMAFX_FAILURE_NODE, VMAFX_OUTCOME_FAILED, 1, 0, false },
        { "timeout is final", 2, VMAFX_OUTCOME_TIMEOUT, 0, true, false, VMAFX_JOB_FAILED, VMAFX_FAILURE_TIMEOUT,
          VMAFX_OUTCOME_TIMEOUT, 1, 0, false },
        { "handing back counts for nothing", 1, VMAFX_OUTCOME_HANDED_BACK, 0, false, false, VMAFX_JOB_QUEUED, 0,
          VMAFX_OUTCOME_HANDED_BACK, 0, 0, false },
    };

    for (size_t i = 0; i < VMAFX_LEN(rows); i++) {
        VmafxJob job = running();
        VmafxAttemptReport report = { .node = "n",
                                      .attempt = 1,
                                      .outcome = rows[i].outcome,
                                      .failure = rows[i].failure,
                                      .may_pass = rows[i].may_pass,
                                      .complete = rows[i].outcome == VMAFX_OUTCOME_SUCCEEDED,
                                      .has_result = rows[i].has_result,
                                      .has_score = rows[i].has_result,
                                      .score = 94.5 };
        VmafxStep step;

        print_message("%s\n", rows[i].why);
        job.attempt_limit = rows[i].limit;
        assert_int_equal(vmafx_job_end_attempt(&job, &rules, &report, T0 + 20, &step), VMAFX_OK);
        assert_null(vmafx_job_check(&job));
        assert_int_equal(job.state, rows[i].state);
        assert_int_equal(job.failure, rows[i].job_failure);
        assert_int_equal(job.task.failures, rows[i].failures);
        assert_int_equal(job.task.not_before, rows[i].not_before);
        assert_int_equal(job.has_result, rows[i].kept);
        assert_int_equal(job.has_score, rows[i].kept);
        assert_int_equal(step.n, 2);
        assert_int_equal(step.events[0].kind, VMAFX_EVENT_ATTEMPT_ENDED);
        assert_int_equal(step.events[0].outcome, rows[i].told);
        assert_int_equal(step.events[0].since, T0 + 5);
        assert_int_equal(step.events[0].state, rows[i].state);
        assert_int_equal(step.events[1].kind,
                         rows[i].state == VMAFX_JOB_QUEUED ? VMAFX_EVENT_QUEUED : VMAFX_EVENT_ENDED);
        assert_int_equal(step.events[1].not_before, rows[i].not_before);
        assert_int_equal(step.events[1].failure, rows[i].job_failure);
    }
}

static void reports_that_make_no_sense_are_refused(void **s)
{
    static const struct {
        const char *why;
        VmafxAttemptReport report;
    } bad[] = {
        { "no outcome", { .outcome = VMAFX_OUTCOME_NONE } },
        { "lost is for the controller to say", { .outcome = VMAFX_OUTCOME_LOST } },
        { "no such outcome", { .outcome = (VmafxOutcome)77 } },
        { "failed for no reason", { .outcome = VMAFX_OUTCOME_FAILED } },
        { "no such class", { .outcome = VMAFX_OUTCOME_FAILED, .failure = (VmafxFailure)9 } },
        { "success without a result", { .outcome = VMAFX_OUTCOME_SUCCEEDED, .complete = true } },
        { "success with half a result", { .outcome = VMAFX_OUTCOME_SUCCEEDED, .has_result = true } },
    };

    for (size_t i = 0; i < VMAFX_LEN(bad); i++) {
        VmafxJob job = running(), before = job;
        VmafxAttemptReport report = bad[i].report;
        VmafxStep step;

        report.node = "n";
        report.attempt = 1;
        if (vmafx_job_end_attempt(&job, &rules, &report, T0 + 20, &step) != VMAFX_ERR_INVALID)
            fail_msg("taken: %s", bad[i].why);
        assert_memory_equal(&job, &before, sizeof job);
    }
}

static void backoff_doubles_up_to_its_limit(void **s)
{
    static const int64_t want[] = { 10, 20, 35, 35 };
    VmafxJob job = submitted();
    VmafxStep step;
    VmafxWall now = T0;

    job.attempt_limit = 5;
    for (int32_t i = 0; i < 4; i++) {
        VmafxAttemptReport report = {
            .node = "n", .attempt = i + 1, .outcome = VMAFX_OUTCOME_FAILED, .failure = VMAFX_FAILURE_NODE
        };

        assert_int_equal(vmafx_job_lease(&job, &rules, "n", span, now, &step), VMAFX_OK);
        assert_int_equal(vmafx_job_end_attempt(&job, &rules, &report, now, &step), VMAFX_OK);
        assert_int_equal(job.task.not_before - now, want[i]);
        now = job.task.not_before;
    }
}

static void handing_back_cannot_go_on_for_ever(void **s)
{
    VmafxJob job = submitted();
    VmafxStep step;

    job.deadline = 0;
    while (job.state == VMAFX_JOB_QUEUED) {
        assert_int_equal(vmafx_job_lease(&job, &rules, "n", span, T0, &step), VMAFX_OK);
        VmafxAttemptReport back = { .node = "n", .attempt = job.task.attempt, .outcome = VMAFX_OUTCOME_HANDED_BACK };
        assert_int_equal(vmafx_job_end_attempt(&job, &rules, &back, T0, &step), VMAFX_OK);
    }
    assert_null(vmafx_job_check(&job));
    assert_int_equal(job.state, VMAFX_JOB_FAILED);
    assert_int_equal(job.failure, VMAFX_FAILURE_NODE);
    assert_int_equal(job.task.attempt, VMAFX_ATTEMPTS_MAX);
}

/* Times: leased at 5, lease until 35; timeout at 205 and its grace until 235; deadline at 1000. */
static void expire_does_what_is_due_and_nothing_else(void **s)
{
    static const struct {
        const char *why;
        VmafxJobState state;
        VmafxWall lease_until, at;
        VmafxErr err;
        VmafxJobState after;
        VmafxFailure failure;
        VmafxOutcome outcome;
    } rows[] = {
        { "queued, before the deadline", VMAFX_JOB_QUEUED, 0, 999, VMAFX_ERR_STATE, VMAFX_JOB_QUEUED, 0, 0 },
        { "queued, at the deadline", VMAFX_JOB_QUEUED, 0, 1000, VMAFX_OK, VMAFX_JOB_FAILED, VMAFX_FAILURE_TIMEOUT, 0 },
        { "leased", VMAFX_JOB_RUNNING, 35, 34, VMAFX_ERR_STATE, VMAFX_JOB_RUNNING, 0, 0 },
        { "lease out", VMAFX_JOB_RUNNING, 35, 35, VMAFX_OK, VMAFX_JOB_QUEUED, 0, VMAFX_OUTCOME_LOST },
        { "timeout, but the node may still say so", VMAFX_JOB_RUNNING, 900, 234, VMAFX_ERR_STATE, VMAFX_JOB_RUNNING, 0,
          0 },
        { "timeout", VMAFX_JOB_RUNNING, 900, 235, VMAFX_OK, VMAFX_JOB_FAILED, VMAFX_FAILURE_TIMEOUT,
          VMAFX_OUTCOME_TIMEOUT },
        { "timeout and lease: the timeout", VMAFX_JOB_RUNNING, 235, 235, VMAFX_OK, VMAFX_JOB_FAILED,
          VMAFX_FAILURE_TIMEOUT, VMAFX_OUTCOME_TIMEOUT },
        { "all at once: the deadline", VMAFX_JOB_RUNNING, 35, 1000, VMAFX_OK, VMAFX_JOB_FAILED, VMAFX_FAILURE_TIMEOUT,
          VMAFX_OUTCOME_TIMEOUT },
    };

    for (size_t i = 0; i < VMAFX_LEN(rows); i++) {
        VmafxJob job = in_state(rows[i].state);
        VmafxStep step;

        print_message("%s\n", rows[i].why);
        if (rows[i].lease_until)
            job.task.lease_until = T0 + rows[i].lease_until;
        assert_int_equal(vmafx_job_due(&job, &rules) > T0 + rows[i].at, rows[i].err == VMAFX_ERR_STATE);
        assert_int_equal(vmafx_job_expire(&job, &rules, T0 + rows[i].at, &step), rows[i].err);
        assert_null(vmafx_job_check(&job));
        assert_int_equal(job.state, rows[i].after);
        assert_int_equal(job.failure, rows[i].failure);
        if (rows[i].outcome)
            assert_int_equal(step.events[0].outcome, rows[i].outcome);
    }
}

static void a_lease_that_ran_out_counts_until_it_is_taken_away(void **s)
{
    VmafxJob job = running();
    VmafxAttemptReport good = {
        .node = "n", .attempt = 1, .outcome = VMAFX_OUTCOME_SUCCEEDED, .complete = true, .has_result = true
    };
    VmafxStep step;

    assert_int_equal(vmafx_job_end_attempt(&job, &rules, &good, T0 + 300, &step), VMAFX_OK);
    assert_int_equal(job.state, VMAFX_JOB_SUCCEEDED);
    assert_int_equal(vmafx_job_end_attempt(&job, &rules, &good, T0 + 301, &step), VMAFX_ERR_LEASE_LOST);
}

static void after_the_deadline_every_report_ends_the_job_like_the_deadline_does(void **s)
{
    static const VmafxOutcome outcomes[] = { VMAFX_OUTCOME_SUCCEEDED, VMAFX_OUTCOME_FAILED, VMAFX_OUTCOME_CANCELLED,
                                             VMAFX_OUTCOME_TIMEOUT, VMAFX_OUTCOME_HANDED_BACK };
    VmafxJob expired = running();
    VmafxStep want;

    assert_int_equal(vmafx_job_expire(&expired, &rules, T0 + 1000, &want), VMAFX_OK);
    for (size_t i = 0; i < VMAFX_LEN(outcomes); i++) {
        VmafxJob job = running();
        VmafxAttemptReport report = { .node = "n",
                                      .attempt = 1,
                                      .outcome = outcomes[i],
                                      .failure = VMAFX_FAILURE_NODE,
                                      .complete = true,
                                      .has_result = true };
        VmafxStep step;

        assert_int_equal(vmafx_job_end_attempt(&job, &rules, &report, T0 + 1000, &step), VMAFX_OK);
        assert_memory_equal(&job, &expired, sizeof job);
        assert_memory_equal(&step, &want, sizeof step);
    }
}

static void grace_gives_a_term_and_jumps_do_not_count_as_work(void **s)
{
    VmafxJob job = running();

    assert_int_equal(vmafx_job_grace(&job, &rules, -1, T0 + 5000), VMAFX_ERR_INVALID);
    assert_int_equal(vmafx_job_grace(&job, &rules, 4000, T0 + 4100), VMAFX_OK);
    assert_int_equal(job.task.lease_until, T0 + 4130);
    job.deadline = 0;
    job.task.lease_until = T0 + 90000;
    assert_int_equal(vmafx_job_due(&job, &rules), T0 + 5 + 200 + 4000 + 30);
    assert_null(vmafx_job_check(&job));

    job = running(); /* leased after the jump: nothing of it was this attempt's */
    assert_int_equal(vmafx_job_grace(&job, &rules, 4000, T0 + 7), VMAFX_OK);
    assert_int_equal(job.task.paused_us, 2);
}

static void cancel_ends_the_attempt_and_the_job(void **s)
{
    VmafxJob job = running();
    VmafxStep step;

    assert_int_equal(vmafx_job_cancel(&job, "not needed", T0 + 9, &step), VMAFX_OK);
    assert_int_equal(step.n, 2);
    assert_int_equal(step.events[0].outcome, VMAFX_OUTCOME_CANCELLED);
    assert_int_equal(step.events[1].kind, VMAFX_EVENT_ENDED);
    assert_int_equal(step.events[1].since, 0);
    assert_string_equal(job.message, "not needed");
    assert_int_equal(job.failure, VMAFX_FAILURE_NONE);

    job = submitted();
    assert_int_equal(vmafx_job_cancel(&job, NULL, T0 + 5000, &step), VMAFX_OK); /* and wins over the deadline */
    assert_int_equal(job.state, VMAFX_JOB_CANCELLED);
    assert_int_equal(step.n, 1);
    assert_int_equal(step.events[0].since, T0);
}

static void time_never_goes_back_in_a_row(void **s)
{
    VmafxJob job = submitted();
    VmafxStep step;

    assert_int_equal(vmafx_job_lease(&job, &rules, "n", span, T0 - 900, &step), VMAFX_OK);
    assert_int_equal(step.events[0].time, T0);
    assert_int_equal(vmafx_job_cancel(&job, "x", 1, &step), VMAFX_OK);
    assert_int_equal(job.ended, T0);
    assert_null(vmafx_job_check(&job));
}

static void long_messages_are_cut_between_characters(void **s)
{
    char text[VMAFX_JOB_MESSAGE_MAX + 10];
    VmafxJob job = submitted();
    VmafxStep step;

    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = 0;
    memcpy(text + VMAFX_JOB_MESSAGE_MAX - 3, "\xe2\x82\xac", 3); /* three bytes, of which two would fit */
    assert_int_equal(vmafx_job_cancel(&job, text, T0, &step), VMAFX_OK);
    assert_int_equal(strlen(job.message), VMAFX_JOB_MESSAGE_MAX - 3);
    assert_string_equal(step.events[0].message, job.message);
}

static void numbers_at_the_end_of_time_do_not_overflow(void **s)
{
    VmafxFleetRules wide = { .lease_us = INT64_MAX, .backoff_us = INT64_MAX, .backoff_max_us = INT64_MAX };
    VmafxJob job = submitted();
    VmafxAttemptReport lost = {
        .node = "n", .attempt = 1, .outcome = VMAFX_OUTCOME_FAILED, .failure = VMAFX_FAILURE_NODE
    };
    VmafxStep step;

    job.timeout_us = INT64_MAX;
    job.deadline = 0;
    assert_int_equal(vmafx_job_lease(&job, &wide, "n", span, T0, &step), VMAFX_OK);
    assert_int_equal(vmafx_job_due(&job, &wide), INT64_MAX);
    assert_int_equal(vmafx_job_grace(&job, &wide, INT64_MAX, T0 + 1), VMAFX_OK);
    assert_int_equal(vmafx_job_end_attempt(&job, &wide, &lost, T0 + 1, &step), VMAFX_OK);
    assert_int_equal(job.task.not_before, INT64_MAX);
    assert_null(vmafx_job_check(&job));
}

static void check_finds_rows_that_no_step_makes(void **s)
{
    enum { ROWS = 14 };

    for (int i = 0; i < ROWS; i++) {
        VmafxJob job = i < 6 ? running() : in_state(i < 9 ? VMAFX_JOB_QUEUED : VMAFX_JOB_SUCCEEDED);
        VmafxJob good = job;

        switch (i) {
        case 0:
            job.task.lease_until = 0;
            break;
        case 1:
            job.task.node[0] = 0;
            break;
        case 2:
            job.task.queued_since = T0;
            break;
        case 3:
            job.ended = T0 + 9;
            break;
        case 4:
            memset(job.message, 'x', sizeof job.message);
            break;
        case 5:
            job.task.failures = 2;
            break;
        case 6:
            job.task.queued_since = 0;
            break;
        case 7:
            job.task.attempt = 1;
            break;
        case 8:
            job.failure = VMAFX_FAILURE_NODE;
            break;
        case 9:
            job.has_result = false;
            break;
        case 10:
            job.ended = T0 + 1;
            break;
        case 11:
            job.task.lease_until = T0 + 1;
            break;
        case 12:
            job.complete = false;
            break;
        default:
            job.state = (VmafxJobState)6;
        }
        assert_null(vmafx_job_check(&good));
        if (!vmafx_job_check(&job))
            fail_msg("row %d was taken for good", i);
    }
}

/* ---- Order and turns ---- */

static void work_goes_by_priority_turn_deadline_and_age(void **s)
{
    static const struct {
        const char *why;
        VmafxJob first, second;
    } rows[] = {
        { "priority before all", { .priority = 1, .turn = 9 }, { .turn = 1 } },
        { "then turn", { .turn = 1 }, { .turn = 2, .deadline = 1 } },
        { "then deadline", { .deadline = 5, .created = 2 }, { .deadline = 6, .created = 1 } },
        { "no deadline is the last one", { .deadline = INT64_MAX - 1, .created = 2 }, { .created = 1 } },
        { "then age", { .created = 1, .id = { { 2 } } }, { .created = 2, .id = { { 1 } } } },
        { "then anything that is always the same", { .id = { { 1 } } }, { .id = { { 2 } } } },
    };

    for (size_t i = 0; i < VMAFX_LEN(rows); i++) {
        if (!vmafx_job_goes_before(&rows[i].first, &rows[i].second) ||
            vmafx_job_goes_before(&rows[i].second, &rows[i].first))
            fail_msg("%s", rows[i].why);
        assert_false(vmafx_job_goes_before(&rows[i].first, &rows[i].first));
    }
}

/* Two submitters; the first has a thousand jobs waiting when the second comes. */
static void a_first_job_does_not_wait_for_a_thousand_others(void **s)
{
    int64_t last_a = 0, last_b = 0, virtual_turn = 0, turn_a = 0;
    int64_t turns_a[1000];

    for (int i = 0; i < 1000; i++)
        turns_a[i] = vmafx_turn_next(virtual_turn, last_a, &last_a);
    for (int i = 0; i < 300; i++)
        virtual_turn = vmafx_turn_leased(virtual_turn, turns_a[i]);
    int64_t turn_b = vmafx_turn_next(virtual_turn, last_b, &last_b);
    turn_a = turns_a[300];
    assert_true(turn_b < turn_a);
    assert_true(vmafx_turn_next(virtual_turn, last_b, &last_b) <= turn_a); /* from then on, in turn */
}

static void turns_stay_in_range_and_settle(void **s)
{
    int64_t last;

    assert_true(vmafx_turn_next(INT64_MAX - 1, 0, &last) == INT64_MAX - 1 && last == INT64_MAX);
    assert_true(vmafx_turn_next(7, INT64_MAX, &last) == INT64_MAX && last == INT64_MAX);
    assert_int_equal(vmafx_turn_leased(8, 5), 8);                               /* an old job that comes back */
    assert_int_equal(vmafx_turn_settled(4000, 900000), 4000 + VMAFX_TURN_COST); /* took its queue back */
    assert_int_equal(vmafx_turn_settled(4000, 4500), 4500);
    assert_int_equal(vmafx_turn_settled(4000, 0), 0);
}

/* ---- Ids and names ---- */

static void ids_are_uuids_of_version_7_that_order_by_time(void **s)
{
    uint8_t ones[10], zeros[10] = { 0 };
    char text[VMAFX_JOB_ID_TEXT];
    VmafxJobId early, late, back;

    memset(ones, 0xff, sizeof ones);
    vmafx_job_id_make(1700000000123456, ones, &early);
    vmafx_job_id_make(1700000000124000, zeros, &late);
    assert_true(memcmp(&early, &late, sizeof early) < 0);
    vmafx_job_id_text(&early, text);
    assert_string_equal(text, "018bcfe5-687b-7fff-bfff-ffffffffffff");
    assert_int_equal(vmafx_job_id_parse(text, &back), VMAFX_OK);
    assert_memory_equal(&back, &early, sizeof back);
    assert_int_equal(vmafx_job_id_parse("018BCFE5-687B-7FFF-BFFF-FFFFFFFFFFFF", &back), VMAFX_OK);
    assert_memory_equal(&back, &early, sizeof back);
    assert_false(vmafx_job_id_is_zero(&early));
    assert_true(vmafx_job_id_is_zero(&(VmafxJobId){ { 0 } }));
    vmafx_job_id_make(-5, zeros, &early);
    assert_int_equal(early.bytes[0] | early.bytes[5], 0);
}

static void texts_that_are_no_ids_are_refused(void **s)
{
    static const char *const bad[] = { "",
                                       "-",
                                       "018bcfe5",
                                       "018bcfe5-687b-7fff-bfff-fffffffffff",
                                       "018bcfe5-687b-7fff-bfff-fffffffffffff",
                                       "018bcfe5687b7fffbfffffffffffffffffff",
                                       "018bcfe5-687b-7fff-bfff-ffffffffff g",
                                       "018bcfe5-687b-7fff-bfff_ffffffffffff",
                                       "{018bcfe5-687b-7fff-bfff-ffffffffffff}" };
    VmafxJobId id = { { 9 } };

    for (size_t i = 0; i < VMAFX_LEN(bad); i++)
        if (vmafx_job_id_parse(bad[i], &id) != VMAFX_ERR_SYNTAX)
            fail_msg("taken: %s", bad[i]);
    assert_int_equal(id.bytes[0], 9);
}

static void names_are_those_of_the_signals(void **s)
{
    assert_string_equal(vmafx_job_state_name(VMAFX_JOB_CANCELLED), "cancelled");
    assert_string_equal(vmafx_failure_name(VMAFX_FAILURE_INTERNAL), "internal");
    assert_string_equal(vmafx_outcome_name(VMAFX_OUTCOME_HANDED_BACK), "handed_back");
    assert_string_equal(vmafx_event_kind_name(VMAFX_EVENT_ENDED), "ended");
    assert_string_equal(vmafx_job_state_name((VmafxJobState)77), "unknown");
    assert_string_equal(vmafx_failure_name((VmafxFailure)-1), "unknown");
    assert_int_equal(vmafx_job_state_find("queued"), VMAFX_JOB_QUEUED);
    assert_int_equal(vmafx_job_state_find("unknown"), 0);
    assert_int_equal(vmafx_job_state_find(""), 0);
}

static void node_names_are_short_and_plain(void **s)
{
    char longest[65];

    memset(longest, 'n', 64);
    longest[64] = 0;
    assert_false(vmafx_node_name_is_valid(longest));
    longest[63] = 0;
    assert_true(vmafx_node_name_is_valid(longest));
    assert_true(vmafx_node_name_is_valid("A-z_0.9"));
    assert_false(vmafx_node_name_is_valid(""));
    assert_false(vmafx_node_name_is_valid("a b"));
    assert_false(vmafx_node_name_is_valid("a/b"));
    assert_false(vmafx_node_name_is_valid("n\xc3\xa4"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(submit_refuses_what_is_out_of_range),
        cmocka_unit_test(submit_forgets_whatever_else_was_in_the_row),
        cmocka_unit_test(each_state_takes_its_steps_and_no_others),
        cmocka_unit_test(a_lease_numbers_the_attempt_and_tells_how_long_the_job_waited),
        cmocka_unit_test(a_lease_is_refused_early_late_and_to_nobody),
        cmocka_unit_test(only_the_holder_of_the_current_attempt_is_heard),
        cmocka_unit_test(a_lease_never_gets_shorter),
        cmocka_unit_test(each_outcome_leads_where_the_table_says),
        cmocka_unit_test(reports_that_make_no_sense_are_refused),
        cmocka_unit_test(backoff_doubles_up_to_its_limit),
        cmocka_unit_test(handing_back_cannot_go_on_for_ever),
        cmocka_unit_test(expire_does_what_is_due_and_nothing_else),
        cmocka_unit_test(a_lease_that_ran_out_counts_until_it_is_taken_away),
        cmocka_unit_test(after_the_deadline_every_report_ends_the_job_like_the_deadline_does),
        cmocka_unit_test(grace_gives_a_term_and_jumps_do_not_count_as_work),
        cmocka_unit_test(cancel_ends_the_attempt_and_the_job),
        cmocka_unit_test(time_never_goes_back_in_a_row),
        cmocka_unit_test(long_messages_are_cut_between_characters),
        cmocka_unit_test(numbers_at_the_end_of_time_do_not_overflow),
        cmocka_unit_test(check_finds_rows_that_no_step_makes),
        cmocka_unit_test(work_goes_by_priority_turn_deadline_and_age),
        cmocka_unit_test(a_first_job_does_not_wait_for_a_thousand_others),
        cmocka_unit_test(turns_stay_in_range_and_settle),
        cmocka_unit_test(ids_are_uuids_of_version_7_that_order_by_time),
        cmocka_unit_test(texts_that_are_no_ids_are_refused),
        cmocka_unit_test(names_are_those_of_the_signals),
        cmocka_unit_test(node_names_are_short_and_plain),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

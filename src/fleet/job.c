/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * A job's steps. Every step has the same form: refuse or go on; write down what ended (an attempt, a stay in the
 * queue); then say where the job is now. end_attempt_as, enter_queue and enter_end are the only places that move it.
 */

#include "fleet/fleet.h"

#include <string.h>

#include "base/base.h"
#include "base/text.h"

static int64_t add_saturated(int64_t a, int64_t b)
{
    int64_t sum;

    return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum;
}

/* Time never goes back in a row; see the header. */
static VmafxWall not_before_row(const VmafxJob *job, VmafxWall now)
{
    now = VMAFX_MAX(now, job->created);
    now = VMAFX_MAX(now, job->task.queued_since);
    return VMAFX_MAX(now, job->task.leased_at);
}

static bool deadline_passed(const VmafxJob *job, VmafxWall now)
{
    return job->deadline && now >= job->deadline;
}

/* With a grace of one lease for the node to say so itself. */
static VmafxWall timeout_due(const VmafxJob *job, const VmafxFleetRules *rules)
{
    VmafxWall due = add_saturated(job->task.leased_at, job->timeout_us);

    return add_saturated(add_saturated(due, job->task.paused_us), rules->lease_us);
}

/* ---- Events ---- */

static VmafxEvent *add_event(VmafxStep *step, const VmafxJob *job, VmafxEventKind kind, VmafxWall now)
{
    VmafxEvent *event = &step->events[step->n++];

    *event = (VmafxEvent){ .job = job->id, .time = now, .kind = kind, .attempt = job->task.attempt };
    memcpy(event->node, job->task.node, sizeof event->node);
    return event;
}

/* The state in each event is the one after the whole step. */
static void finish(VmafxStep *step, const VmafxJob *job)
{
    for (size_t i = 0; i < step->n; i++)
        step->events[i].state = job->state;
}

/* ---- What every step is made of ---- */

typedef struct End {
    VmafxOutcome outcome;
    VmafxFailure failure;
    const char *message;
} End;

static void end_attempt_as(VmafxJob *job, const End *end, VmafxWall now, VmafxStep *step)
{
    VmafxEvent *event = add_event(step, job, VMAFX_EVENT_ATTEMPT_ENDED, now);

    event->outcome = end->outcome;
    event->failure = end->failure;
    event->since = job->task.leased_at;
    memcpy(event->span_id, job->task.span_id, sizeof event->span_id);
    memcpy(event->previous_span_id, job->task.previous_span_id, sizeof event->previous_span_id);
    vmafx_text_copy(event->message, sizeof event->message, end->message);
    job->task.lease_until = 0;
    job->task.paused_us = 0;
    if (end->failure)
        job->task.failures++;
}

static void enter_queue(VmafxJob *job, int64_t backoff_us, VmafxWall now, VmafxStep *step)
{
    job->state = VMAFX_JOB_QUEUED;
    job->task.queued_since = now;
    job->task.not_before = backoff_us ? add_saturated(now, backoff_us) : 0;
    add_event(step, job, VMAFX_EVENT_QUEUED, now)->not_before = job->task.not_before;
}

static void enter_end(VmafxJob *job, VmafxJobState state, VmafxFailure failure, const char *message, VmafxWall now,
                      VmafxStep *step)
{
    VmafxEvent *event = add_event(step, job, VMAFX_EVENT_ENDED, now);

    vmafx_text_copy(job->message, sizeof job->message, message);
    memcpy(event->message, job->message, sizeof event->message);
    event->failure = failure;
    event->since = job->task.queued_since; /* 0 unless it ends out of the queue */
    job->state = state;
    job->failure = failure;
    job->ended = now;
    job->task.queued_since = 0;
    job->task.not_before = 0;
}

static int64_t backoff(const VmafxFleetRules *rules, int32_t failures)
{
    int64_t us = rules->backoff_us;

    for (int32_t i = 1; i < failures && us < rules->backoff_max_us; i++)
        us = add_saturated(us, us);
    return VMAFX_MIN(us, rules->backoff_max_us);
}

static void end_for_good(VmafxJob *job, const End *end, VmafxJobState state, VmafxWall now, VmafxStep *step)
{
    end_attempt_as(job, end, now, step);
    enter_end(job, state, end->failure, end->message, now, step);
}

/* It failed in a way that may pass: again, while attempts remain. */
static void try_again(VmafxJob *job, const VmafxFleetRules *rules, const End *end, VmafxWall now, VmafxStep *step)
{
    end_attempt_as(job, end, now, step);
    if (job->task.failures >= job->attempt_limit || job->task.attempt >= VMAFX_ATTEMPTS_MAX)
        enter_end(job, VMAFX_JOB_FAILED, end->failure, end->message, now, step);
    else
        enter_queue(job, backoff(rules, job->task.failures), now, step);
}

/* ---- Steps ---- */

VmafxErr vmafx_job_submit(VmafxJob *job, VmafxWall now, VmafxStep *step)
{
    if (job->attempt_limit < 1 || job->attempt_limit > VMAFX_ATTEMPT_LIMIT_MAX || job->timeout_us <= 0 ||
        job->need_memory_mib < 0 || job->deadline < 0 || now <= 0)
        return VMAFX_ERR_INVALID;
    if (vmafx_job_id_is_zero(&job->id) || !job->submitter[0] || !memchr(job->submitter, 0, sizeof job->submitter))
        return VMAFX_ERR_INVALID;

    *step = (VmafxStep){ 0 };
    job->state = VMAFX_JOB_QUEUED;
    job->failure = VMAFX_FAILURE_NONE;
    job->created = now;
    job->started = job->ended = 0;
    job->complete = job->has_result = job->has_score = false;
    job->score = 0;
    memset(job->message, 0, sizeof job->message);
    job->task = (VmafxTask){ .queued_since = now };
    add_event(step, job, VMAFX_EVENT_SUBMITTED, now);
    finish(step, job);
    return VMAFX_OK;
}

VmafxErr vmafx_job_lease(VmafxJob *job, const VmafxFleetRules *rules, const char *node, const uint8_t span_id[8],
                         VmafxWall now, VmafxStep *step)
{
    VmafxTask *task = &job->task;

    if (!vmafx_node_name_is_valid(node))
        return VMAFX_ERR_INVALID;
    if (job->state != VMAFX_JOB_QUEUED)
        return VMAFX_ERR_STATE;
    now = not_before_row(job, now);
    if (deadline_passed(job, now))
        return VMAFX_ERR_DEADLINE;
    if (now < task->not_before)
        return VMAFX_ERR_TOO_EARLY;

    *step = (VmafxStep){ 0 };
    VmafxWall since = task->queued_since;
    job->state = VMAFX_JOB_RUNNING;
    if (!job->started)
        job->started = now;
    if (task->attempt)
        memcpy(task->previous_span_id, task->span_id, sizeof task->previous_span_id);
    memcpy(task->span_id, span_id, sizeof task->span_id);
    task->attempt++;
    task->queued_since = task->not_before = 0;
    task->paused_us = 0;
    task->leased_at = now;
    task->lease_until = add_saturated(now, rules->lease_us);
    memset(task->node, 0, sizeof task->node);
    vmafx_text_copy(task->node, sizeof task->node, node);

    VmafxEvent *event = add_event(step, job, VMAFX_EVENT_LEASED, now);
    event->since = since;
    memcpy(event->span_id, task->span_id, sizeof event->span_id);
    finish(step, job);
    return VMAFX_OK;
}

static bool is_holder(const VmafxJob *job, const char *node, int32_t attempt)
{
    return job->state == VMAFX_JOB_RUNNING && job->task.attempt == attempt && !strcmp(job->task.node, node);
}

VmafxErr vmafx_job_renew(VmafxJob *job, const VmafxFleetRules *rules, const char *node, int32_t attempt, VmafxWall now)
{
    if (!is_holder(job, node, attempt))
        return VMAFX_ERR_LEASE_LOST;
    job->task.lease_until = VMAFX_MAX(job->task.lease_until, add_saturated(not_before_row(job, now), rules->lease_us));
    return VMAFX_OK;
}

VmafxErr vmafx_job_grace(VmafxJob *job, const VmafxFleetRules *rules, int64_t jump_us, VmafxWall now)
{
    if (jump_us < 0)
        return VMAFX_ERR_INVALID;
    if (job->state != VMAFX_JOB_RUNNING)
        return VMAFX_ERR_STATE;
    /* No attempt stood still for longer than it seems to have run: one that began after the jump did not at all. */
    job->task.paused_us =
        VMAFX_MIN(add_saturated(job->task.paused_us, jump_us), not_before_row(job, now) - job->task.leased_at);
    return vmafx_job_renew(job, rules, job->task.node, job->task.attempt, now);
}

static bool is_reportable(const VmafxAttemptReport *report)
{
    switch (report->outcome) {
    case VMAFX_OUTCOME_SUCCEEDED:
        return report->complete && report->has_result;
    case VMAFX_OUTCOME_FAILED:
        return report->failure > VMAFX_FAILURE_NONE && report->failure <= VMAFX_FAILURE_INTERNAL;
    case VMAFX_OUTCOME_CANCELLED:
    case VMAFX_OUTCOME_TIMEOUT:
    case VMAFX_OUTCOME_HANDED_BACK:
        return true;
    default:
        return false; /* NONE, LOST and what is none: not a node's to say */
    }
}

static const char *text_or(const char *text, const char *otherwise)
{
    return text && text[0] ? text : otherwise;
}

/* What this report makes of the attempt, and whether the attempt may be tried again. */
static End end_of(const VmafxAttemptReport *report, bool *ret_again)
{
    End end = { .outcome = report->outcome, .message = report->message };

    *ret_again = false;
    switch (report->outcome) {
    case VMAFX_OUTCOME_FAILED:
        end.failure = report->failure;
        end.message = text_or(report->message, "the attempt failed");
        *ret_again =
            report->may_pass || report->failure == VMAFX_FAILURE_NODE || report->failure == VMAFX_FAILURE_RESOURCE;
        break;
    case VMAFX_OUTCOME_CANCELLED: /* not the submitter's doing: somebody ended it on the node */
        end.outcome = VMAFX_OUTCOME_FAILED;
        end.failure = VMAFX_FAILURE_NODE;
        end.message = text_or(report->message, "the attempt was ended on its node");
        *ret_again = true;
        break;
    case VMAFX_OUTCOME_TIMEOUT:
        end.failure = VMAFX_FAILURE_TIMEOUT;
        end.message = text_or(report->message, "the attempt took longer than its timeout allows");
        break;
    default:
        break;
    }
    return end;
}

/* What is kept when the job ends with this report. */
static void keep_result(VmafxJob *job, const VmafxAttemptReport *report)
{
    job->complete = report->outcome == VMAFX_OUTCOME_SUCCEEDED;
    job->has_result = report->has_result;
    job->has_score = report->has_result && report->has_score;
    job->score = job->has_score ? report->score : 0;
}

static void end_at_deadline(VmafxJob *job, VmafxWall now, VmafxStep *step)
{
    static const End end = { VMAFX_OUTCOME_TIMEOUT, VMAFX_FAILURE_TIMEOUT, "the job's deadline passed while it ran" };

    end_for_good(job, &end, VMAFX_JOB_FAILED, now, step);
}

VmafxErr vmafx_job_end_attempt(VmafxJob *job, const VmafxFleetRules *rules, const VmafxAttemptReport *report,
                               VmafxWall now, VmafxStep *step)
{
    bool again;

    if (!is_reportable(report))
        return VMAFX_ERR_INVALID;
    if (!is_holder(job, report->node, report->attempt))
        return VMAFX_ERR_LEASE_LOST;

    *step = (VmafxStep){ 0 };
    now = not_before_row(job, now);
    End end = end_of(report, &again);
    if (deadline_passed(job, now)) {
        end_at_deadline(job, now, step);
    } else if (report->outcome == VMAFX_OUTCOME_SUCCEEDED) {
        end_for_good(job, &end, VMAFX_JOB_SUCCEEDED, now, step);
    } else if (report->outcome == VMAFX_OUTCOME_HANDED_BACK && job->task.attempt < VMAFX_ATTEMPTS_MAX) {
        end_attempt_as(job, &end, now, step);
        enter_queue(job, 0, now, step);
    } else if (report->outcome == VMAFX_OUTCOME_HANDED_BACK) {
        end = (End){ VMAFX_OUTCOME_HANDED_BACK, VMAFX_FAILURE_NODE, "nodes kept handing it back" };
        end_for_good(job, &end, VMAFX_JOB_FAILED, now, step);
    } else if (again) {
        try_again(job, rules, &end, now, step);
    } else {
        end_for_good(job, &end, VMAFX_JOB_FAILED, now, step);
    }
    if (vmafx_job_has_ended(job) && !deadline_passed(job, now))
        keep_result(job, report);
    finish(step, job);
    return VMAFX_OK;
}

VmafxErr vmafx_job_expire(VmafxJob *job, const VmafxFleetRules *rules, VmafxWall now, VmafxStep *step)
{
    static const End timeout = { VMAFX_OUTCOME_TIMEOUT, VMAFX_FAILURE_TIMEOUT,
                                 "the attempt took longer than its timeout allows" };
    static const End lost = { VMAFX_OUTCOME_LOST, VMAFX_FAILURE_NODE,
                              "the node was not heard of until its lease had run out" };

    now = not_before_row(job, now);
    if (vmafx_job_due(job, rules) > now)
        return VMAFX_ERR_STATE;

    *step = (VmafxStep){ 0 };
    if (job->state == VMAFX_JOB_QUEUED)
        enter_end(job, VMAFX_JOB_FAILED, VMAFX_FAILURE_TIMEOUT, "the job's deadline passed while it was queued", now,
                  step);
    else if (deadline_passed(job, now))
        end_at_deadline(job, now, step);
    else if (timeout_due(job, rules) <= now)
        end_for_good(job, &timeout, VMAFX_JOB_FAILED, now, step);
    else
        try_again(job, rules, &lost, now, step);
    finish(step, job);
    return VMAFX_OK;
}

VmafxErr vmafx_job_cancel(VmafxJob *job, const char *reason, VmafxWall now, VmafxStep *step)
{
    if (job->state != VMAFX_JOB_QUEUED && job->state != VMAFX_JOB_RUNNING)
        return VMAFX_ERR_STATE;

    End end = { VMAFX_OUTCOME_CANCELLED, VMAFX_FAILURE_NONE, reason };
    *step = (VmafxStep){ 0 };
    now = not_before_row(job, now);
    if (job->state == VMAFX_JOB_RUNNING)
        end_attempt_as(job, &end, now, step);
    enter_end(job, VMAFX_JOB_CANCELLED, VMAFX_FAILURE_NONE, reason, now, step);
    finish(step, job);
    return VMAFX_OK;
}

bool vmafx_job_has_ended(const VmafxJob *job)
{
    return job->state >= VMAFX_JOB_SUCCEEDED;
}

VmafxWall vmafx_job_due(const VmafxJob *job, const VmafxFleetRules *rules)
{
    VmafxWall due = job->deadline ? job->deadline : INT64_MAX;

    if (job->state == VMAFX_JOB_QUEUED)
        return due;
    if (job->state != VMAFX_JOB_RUNNING)
        return INT64_MAX;
    due = VMAFX_MIN(due, timeout_due(job, rules));
    return VMAFX_MIN(due, job->task.lease_until);
}

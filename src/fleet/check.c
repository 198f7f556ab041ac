/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What holds for every job's row, in whatever order things happened to it. */

#include "fleet/fleet.h"

#include <string.h>

#include "base/base.h"

static bool is_text(const char *text, size_t max)
{
    return memchr(text, 0, max) != NULL;
}

static const char *check_head(const VmafxJob *job)
{
    if (vmafx_job_id_is_zero(&job->id))
        return "a job has an id";
    if (job->state < VMAFX_JOB_QUEUED || job->state > VMAFX_JOB_CANCELLED)
        return "no such state";
    if (job->failure < VMAFX_FAILURE_NONE || job->failure > VMAFX_FAILURE_INTERNAL)
        return "no such failure class";
    if (!is_text(job->submitter, sizeof job->submitter) || !is_text(job->message, sizeof job->message) ||
        !is_text(job->task.node, sizeof job->task.node) || !is_text(job->trace.state, sizeof job->trace.state))
        return "a text is not terminated";
    if (!job->submitter[0])
        return "a job has a submitter";
    if (job->attempt_limit < 1 || job->attempt_limit > VMAFX_ATTEMPT_LIMIT_MAX || job->timeout_us <= 0 ||
        job->need_memory_mib < 0 || job->deadline < 0)
        return "a limit is out of range";
    return NULL;
}

static const char *check_times(const VmafxJob *job)
{
    const VmafxTask *task = &job->task;

    if (job->created <= 0)
        return "a job was created at some time";
    if (!job->started != !task->attempt)
        return "a job has started exactly if it had an attempt";
    if (job->started && job->started < job->created)
        return "a job starts after it is created";
    if (task->leased_at < job->started || !task->leased_at != !task->attempt)
        return "the last lease is not before the first";
    if (task->attempt == 1 && task->leased_at != job->started)
        return "the first lease starts the job";
    if (job->ended && (job->ended < job->created || job->ended < task->leased_at))
        return "a job ends after all that happened to it";
    if (!job->ended != !vmafx_job_has_ended(job))
        return "a job has a time of its end exactly if it has ended";
    return NULL;
}

static const char *check_task(const VmafxJob *job)
{
    const VmafxTask *task = &job->task;
    bool queued = job->state == VMAFX_JOB_QUEUED, running = job->state == VMAFX_JOB_RUNNING;

    if (task->attempt < 0 || task->attempt > VMAFX_ATTEMPTS_MAX || task->failures < 0 ||
        task->failures > task->attempt || task->failures > job->attempt_limit)
        return "attempts or failures are out of range";
    if ((queued || running) && task->failures >= job->attempt_limit)
        return "no attempt is left, yet the job goes on";
    if (running && !task->attempt)
        return "a running job has an attempt";
    if (!!task->attempt != vmafx_node_name_is_valid(task->node))
        return "an attempt has a node, and none has none";
    if (queued ? task->queued_since < VMAFX_MAX(job->created, task->leased_at) : task->queued_since != 0)
        return "a stay in the queue begins after what was before it, and only while queued";
    if (task->not_before && (!queued || task->not_before < task->queued_since))
        return "backoff is for the queued, and begins with the stay";
    if (running ? task->lease_until < task->leased_at : task->lease_until != 0)
        return "exactly a running job is leased";
    if (task->paused_us < 0 || (!running && task->paused_us))
        return "only a running attempt's time is paused";
    return NULL;
}

static const char *check_end(const VmafxJob *job)
{
    if ((job->state == VMAFX_JOB_FAILED) != (job->failure != VMAFX_FAILURE_NONE))
        return "exactly a failed job has a failure class";
    if (job->state == VMAFX_JOB_FAILED && !job->message[0])
        return "a failed job says why";
    if (job->complete != (job->state == VMAFX_JOB_SUCCEEDED))
        return "exactly a job that succeeded is complete";
    if (job->state == VMAFX_JOB_SUCCEEDED && !job->has_result)
        return "a job that succeeded has a result";
    if (job->has_result && job->state != VMAFX_JOB_SUCCEEDED && job->state != VMAFX_JOB_FAILED)
        return "only a job that succeeded or failed has a result";
    if (job->has_score && !job->has_result)
        return "a score comes with a result";
    return NULL;
}

const char *vmafx_job_check(const VmafxJob *job)
{
    const char *wrong = check_head(job);

    if (!wrong)
        wrong = check_times(job);
    if (!wrong)
        wrong = check_task(job);
    return wrong ? wrong : check_end(job);
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Alone: inputs are opened here, below the roots, and scored by a vmafx-scorer of our own, which is started by the
 * first scoring. Nothing is decoded in this process.
 */

#include <pthread.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"
#include "base/kept_file.h"
#include "base/cpus.h"
#include "inputs/inputs.h"
#include "programs/mcp/backend.h"
#include "programs/mcp/local_jobs.h"
#include "rpc/spec_check.h"
#include "score/models.h"
#include "score/runner.h"
#include "signals/signals.h"

#define THREADS_MAX 16

typedef struct Alone {
    Backend base;
    VmafxInputs *inputs;
    LocalJobs *jobs;
    VmafxTracer *tracer;
    VmafxLogger *log;
    int threads, slots;
    int64_t timeout_ms, memory_bytes;

    pthread_mutex_t lock; /* covers the start of the runner, which then stays */
    VmafxRunner *runner;
} Alone;

/** What the callbacks of one scoring need; lives as long as its run. */
typedef struct Run {
    Alone *alone;
    LocalJob *job;
    VmafxSpanContext span; /* of the tool call that asked for it */
} Run;

static VmafxErr the_runner(Alone *alone, VmafxRunner **ret, VmafxErrInfo *reterr)
{
    VmafxErr err = VMAFX_OK;

    pthread_mutex_lock(&alone->lock);
    if (!alone->runner)
        err = vmafx_runner_start(&(VmafxRunnerConfig){ .tasks_max = alone->slots, .frames_max = LOCAL_RESULT_MAX / 2 },
                                 &alone->runner, reterr);
    *ret = alone->runner;
    pthread_mutex_unlock(&alone->lock);
    return err;
}

/* ---- One scoring ---- */

static void end_with(LocalJob *job, Vmafx__V1__FailureClass failure, VmafxErr err, const VmafxErrInfo *info)
{
    bool cancelled = err == VMAFX_ERR_CANCELLED;

    local_job_end(job,
                  &(LocalEnd){ .state = cancelled ? VMAFX__V1__JOB_STATE__JOB_STATE_CANCELLED
                                                  : VMAFX__V1__JOB_STATE__JOB_STATE_FAILED,
                               .failure = cancelled ? VMAFX__V1__FAILURE_CLASS__FAILURE_CLASS_UNSPECIFIED : failure,
                               .message = cancelled        ? ""
                                          : *info->message ? info->message
                                                           : vmafx_err_text(err) });
}

static Vmafx__V1__FailureClass failure_of(VmafxErr err)
{
    switch (err) {
    case VMAFX_ERR_NOMEM:
    case VMAFX_ERR_BUSY:
        return VMAFX__V1__FAILURE_CLASS__FAILURE_CLASS_RESOURCE;
    case VMAFX_ERR_DEADLINE:
        return VMAFX__V1__FAILURE_CLASS__FAILURE_CLASS_TIMEOUT;
    default:
        return VMAFX__V1__FAILURE_CLASS__FAILURE_CLASS_INPUT;
    }
}

static VmafxErr open_input(const Run *run, const char *role, const Vmafx__V1__Input *from, VmafxInput *ret,
                           VmafxErrInfo *reterr)
{
    VmafxSpanOptions options = { .parent = local_job_context(run->job),
                                 .attrs = VMAFX_ATTRS(VMAFX_ATTR_STR(VMAFX_KEY_INPUT_ROLE, role)) };
    VMAFX_AUTO(vmafx_span_end)
    VmafxSpan *span = vmafx_span_start_with(run->alone->tracer, VMAFX_SPAN_NAME_INPUT_OPEN, &options);
    VMAFX_AUTO(vmafx_span_detach) VmafxContextToken token = vmafx_span_attach(span);
    VmafxInputWait wait = { .stop = local_job_stop_flag(run->job) };
    VmafxErr err = vmafx_inputs_get(run->alone->inputs, from->uri, &wait, ret, reterr);

    if (!err && ret->size >= 0)
        vmafx_span_set_int(span, VMAFX_KEY_INPUT_SIZE, ret->size);
    if (err) {
        vmafx_span_set_str(span, VMAFX_KEY_ERROR_TYPE, vmafx_err_name(err));
        vmafx_span_set_status(span, VMAFX_STATUS_ERROR, vmafx_err_text(err));
    }
    return err;
}

static void on_progress(void *ctx, uint64_t tag, const Vmafx__Scorer__V1__ChildProgress *progress)
{
    local_job_progress(((Run *)ctx)->job, progress->frames, progress->frames_total, progress->frame_rate);
}

static void on_span(void *ctx, uint64_t tag, const Vmafx__Scorer__V1__SpanRecord *span)
{
    vmafx_run_span_emit(((Run *)ctx)->alone->tracer, &((Run *)ctx)->span, span);
}

static void on_log(void *ctx, uint64_t tag, const Vmafx__Scorer__V1__LogRecord *record)
{
    vmafx_run_log_emit(((Run *)ctx)->alone->log, &((Run *)ctx)->span, record);
}

static void on_ended(void *ctx, uint64_t tag, const VmafxRunEnd *end)
{
    Run *run = ctx;
    const Vmafx__V1__SeriesSummary *verdict = end->result ? result_verdict(end->result) : NULL;
    Vmafx__V1__JobState state = VMAFX__V1__JOB_STATE__JOB_STATE_FAILED;

    if (end->outcome == VMAFX__V1__ATTEMPT_OUTCOME__ATTEMPT_OUTCOME_SUCCEEDED)
        state = VMAFX__V1__JOB_STATE__JOB_STATE_SUCCEEDED;
    else if (end->outcome == VMAFX__V1__ATTEMPT_OUTCOME__ATTEMPT_OUTCOME_CANCELLED)
        state = VMAFX__V1__JOB_STATE__JOB_STATE_CANCELLED;
    vmafx_run_measure(&run->span, end, true);
    local_job_end(run->job, &(LocalEnd){ .state = state,
                                         .failure = end->failure,
                                         .message = end->message,
                                         .result = end->result,
                                         .frames = end->frames,
                                         .frames_len = end->frames_len,
                                         .has_score = verdict != NULL,
                                         .score = verdict ? verdict->mean : 0 });
}

static VmafxErr hand_over(Run *run, VmafxRunner *runner, VmafxInput inputs[2], VmafxErrInfo *reterr)
{
    const Vmafx__V1__JobSpec *spec = local_job_spec(run->job);
    const Vmafx__V1__Input *distorted = vmafx_spec_distorted(spec);
    char names[2][256], parent[VMAFX_TRACEPARENT_SIZE];
    bool traced = vmafx_traceparent_format(&run->span, parent);

    vmafx_uri_name(spec->reference->uri, names[0], sizeof names[0]);
    vmafx_uri_name((distorted ? distorted : spec->reference)->uri, names[1], sizeof names[1]);
    VmafxRunTask task = {
        .tag = local_job_tag(run->job),
        .spec = spec,
        .fds = { inputs[0].fd, inputs[1].fd },
        .names = { names[0], names[1] },
        .threads = run->alone->threads,
        .traceparent = traced ? parent : NULL,
        .tracestate = traced && run->span.state ? vmafx_tracestate_text(run->span.state) : NULL,
        .nested = true,
        .limits = { .address_space_bytes = run->alone->memory_bytes,
                    .wall_ms = spec->timeout_ms ? spec->timeout_ms : run->alone->timeout_ms },
        .events = { .progress = on_progress, .span = on_span, .log = on_log, .ended = on_ended, .ctx = run },
    };
    inputs[0].fd = inputs[1].fd = -1;
    return vmafx_runner_run(runner, &task, reterr);
}

/* The reference once more, for whoever encodes it. */
static VmafxErr open_again(const VmafxInput *reference, VmafxInput *ret, VmafxErrInfo *reterr)
{
    ret->fd = vmafx_reopen(reference->fd);
    return ret->fd < 0 ? vmafx_fail(reterr, VMAFX_ERR_INPUT,
                                    "the reference cannot be read twice, as an encode does (%s): it has to be a file",
                                    strerror(errno))
                       : VMAFX_OK;
}

static void run_job(void *ctx, LocalJob *job)
{
    const Vmafx__V1__JobSpec *spec = local_job_spec(job);
    Run run = { .alone = ctx, .job = job };
    VmafxInput inputs[2] = { { .fd = -1 }, { .fd = -1 } };
    VmafxRunner *runner = NULL;
    VmafxErrInfo info = { 0 };
    VmafxErr err = local_job_stopped(job) ? VMAFX_ERR_CANCELLED : VMAFX_OK;
    Vmafx__V1__FailureClass failure;

    vmafx_context_span(local_job_context(job), &run.span);
    if (!err)
        err = open_input(&run, "reference", spec->reference, &inputs[0], &info);
    if (!err && vmafx_spec_recipe(spec))
        err = open_again(&inputs[0], &inputs[1], &info);
    else if (!err)
        err = open_input(&run, "distorted", spec->distorted, &inputs[1], &info);
    failure = failure_of(err);
    if (!err) {
        err = the_runner(run.alone, &runner, &info);
        failure = VMAFX__V1__FAILURE_CLASS__FAILURE_CLASS_NODE;
    }
    if (!err)
        err = hand_over(&run, runner, inputs, &info);
    vmafx_input_done(&inputs[0]);
    vmafx_input_done(&inputs[1]);
    if (err) {
        end_with(job, failure, err, &info);
        return;
    }
    if (local_job_stopped(job)) /* it may have been said before there was something to stop */
        vmafx_runner_stop_task(runner, local_job_tag(job));
    local_job_wait_end(job);
}

static void stop_job(void *ctx, LocalJob *job)
{
    Alone *alone = ctx;

    pthread_mutex_lock(&alone->lock);
    VmafxRunner *runner = alone->runner;
    pthread_mutex_unlock(&alone->lock);
    if (runner)
        vmafx_runner_stop_task(runner, local_job_tag(job));
}

/* ---- The interface ---- */

static VmafxErr submit(Backend *b, const Vmafx__V1__JobSpec *spec, char ret_id[JOB_ID_TEXT], VmafxErrInfo *reterr)
{
    return local_jobs_submit(((Alone *)b)->jobs, spec, ret_id, reterr);
}

static VmafxErr get(Backend *b, const char *id, JobView *ret, VmafxErrInfo *reterr)
{
    return local_jobs_get(((Alone *)b)->jobs, id, ret, reterr);
}

static VmafxErr wait(Backend *b, const char *id, const JobWait *waiting, JobView *ret, VmafxErrInfo *reterr)
{
    return local_jobs_wait(((Alone *)b)->jobs, id, waiting, ret, reterr);
}

static VmafxErr list(Backend *b, const JobListQuery *query, JobList *ret, VmafxErrInfo *reterr)
{
    return local_jobs_list(((Alone *)b)->jobs, query, ret, reterr);
}

static VmafxErr cancel(Backend *b, const char *id, const char *reason, JobView *ret, VmafxErrInfo *reterr)
{
    return local_jobs_cancel(((Alone *)b)->jobs, id, ret, reterr);
}

static VmafxErr result(Backend *b, const char *id, bool frames, JobResult *ret, VmafxErrInfo *reterr)
{
    return local_jobs_result(((Alone *)b)->jobs, id, frames, ret, reterr);
}

static VmafxErr models(Backend *b, json_t *array, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(vmafx_models_done) VmafxModelFiles files = { 0 };
    VmafxErr err = vmafx_models_list(&files);

    for (size_t i = 0; i < files.n && !err; i++)
        err = json_array_append_new(array, json_string(files.items[i].version)) ? VMAFX_ERR_NOMEM : VMAFX_OK;
    return err;
}

static VmafxErr nodes(Backend *b, json_t *array, VmafxErrInfo *reterr)
{
    Alone *alone = (Alone *)b;
    int queued, running;

    local_jobs_counts(alone->jobs, &queued, &running);
    json_t *node = json_pack("{s:s, s:s, s:i, s:i}", "name", "local", "state",
                             running < alone->slots ? "ready" : "busy", "slots", alone->slots, "busy", running);
    return json_array_append_new(array, node) ? VMAFX_ERR_NOMEM : VMAFX_OK;
}

static void check_models(json_t *checks)
{
    VMAFX_AUTO(vmafx_free_p) char *path = NULL;
    VmafxErrInfo info = { 0 };

    if (vmafx_model_find("vmaf_v0.6.1", &path, &info))
        health_check(checks, "models", "fail", "%s", info.message);
    else
        health_check(checks, "models", "ok", "the default model vmaf_v0.6.1 is installed");
}

static void check_scorer(Alone *alone, json_t *facts, json_t *checks)
{
    VmafxErrInfo info = { 0 };
    VmafxRunner *runner = NULL;

    if (the_runner(alone, &runner, &info)) {
        health_check(checks, "scorer", "fail", "%s", info.message);
        return;
    }
    const VmafxRunnerFacts *said = vmafx_runner_facts(runner);
    health_check(checks, "scorer", vmafx_runner_is_ready(runner) ? "ok" : "warn",
                 vmafx_runner_is_ready(runner) ? "vmafx-scorer runs, with %zu models"
                                               : "vmafx-scorer starts anew, with %zu models",
                 said->n_models);
    health_check(checks, "sandbox", said->n_sandbox_layers ? "ok" : "warn",
                 said->n_sandbox_layers ? "%zu layers of the sandbox around decoders take hold"
                                        : "no layer (%zu) of the sandbox around decoders takes hold here",
                 said->n_sandbox_layers);
    VMAFX_IGNORE(json_object_set_new(facts, "kernel_level", json_string(said->kernel_level)));
}

static void health(Backend *b, bool thorough, json_t *facts, json_t *checks)
{
    Alone *alone = (Alone *)b;
    int queued, running;

    local_jobs_counts(alone->jobs, &queued, &running);
    VMAFX_IGNORE(json_object_set_new(facts, "jobs_queued", json_integer(queued)));
    VMAFX_IGNORE(json_object_set_new(facts, "jobs_running", json_integer(running)));
    check_models(checks);
    if (thorough)
        check_scorer(alone, facts, checks);
}

static void close_alone(Backend **at)
{
    Alone *alone = (Alone *)VMAFX_TAKE(*at);

    if (!alone)
        return;
    local_jobs_free(&alone->jobs);
    if (alone->runner)
        vmafx_runner_stop(&alone->runner);
    if (alone->inputs)
        vmafx_inputs_close(&alone->inputs);
    pthread_mutex_destroy(&alone->lock);
    free(alone);
}

static const BackendOps ops = { "alone", submit, get, wait, list, cancel, result, models, nodes, health, close_alone };

VmafxErr backend_alone_open(const AloneConfig *config, Backend **ret, VmafxErrInfo *reterr)
{
    Alone *alone = calloc(1, sizeof *alone);
    int threads = config->threads ? config->threads : vmafx_cpus_allowed();

    if (!alone)
        return VMAFX_ERR_NOMEM;
    alone->base.ops = &ops;
    pthread_mutex_init(&alone->lock, NULL);
    alone->tracer = vmafx_tracer_get(VMAFX_SCOPE_NAME_MCP, "");
    alone->log = config->log;
    alone->threads = VMAFX_MIN(threads, THREADS_MAX);
    alone->slots = config->slots;
    alone->timeout_ms = config->timeout_ms;
    alone->memory_bytes = config->memory_bytes;
    VmafxErr err = vmafx_inputs_open(config->inputs, &alone->inputs, reterr);
    if (!err)
        err = local_jobs_new(alone->slots, run_job, stop_job, alone, &alone->jobs);
    Backend *base = &alone->base;
    if (err)
        close_alone(&base);
    else
        *ret = base;
    return err;
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Jobs that come in: one, many at once, one again. Each is checked, gets its trace, and is on disk before the answer.
 */

#include <inttypes.h>
#include <string.h>

#include "base/base.h"
#include "base/digest.h"
#include "otel/api/trace.h"
#include "programs/controller/convert.h"
#include "programs/controller/jobs.h"
#include "programs/controller/telemetry.h"
#include "programs/controller/uploads_rpc.h"
#include "rpc/spec_check.h"
#include "signals/signals.h"

#define SUBMIT_MAX 1000

#define MEMORY_BASE_MIB  192 /* decoders, models, code */
#define MEMORY_GUESS_MIB 320 /* where nothing says how large the pictures are */
#define FRAMES_IN_FLIGHT 40  /* of both inputs together, generously */
/* With a recipe, besides: what encoders hold back, with their chroma, and their threads and tables. */
#define ENCODER_FRAMES    150
#define ENCODER_BASE_MIB  256
#define ENCODER_GUESS_MIB 512

static void audit(const JobsApi *jobs, const ApiCall *call, const char *action, const VmafxJobId *job)
{
    char id[VMAFX_JOB_ID_TEXT];

    vmafx_job_id_text(job, id);
    jobs->api->audit(jobs->api->ctx, &call->caller, action, id);
}

/** A submission under way: the row, and what its pointers point to. */
typedef struct Draft {
    VmafxSubmission submission;
    VmafxStoreLabel labels[VMAFX_SPEC_LABELS_MAX];
    uint8_t *spec;
    VmafxErr err;
    VmafxErrInfo info;
} Draft;

static void draft_done(Draft *draft)
{
    free(draft->spec);
    draft->spec = NULL;
}

static int64_t picture_mib(const Vmafx__V1__Input *input)
{
    if (!input || !input->raw)
        return 0;
    return (int64_t)input->raw->width * input->raw->height * (input->raw->bit_depth > 8 ? 2 : 1) / (1 << 20) + 1;
}

/** What a node must have free. Where the inputs do not say, the scorer's own limit decides later. */
static int32_t memory_need(const Vmafx__V1__JobSpec *spec)
{
    int64_t picture = picture_mib(spec->reference);
    bool encodes = vmafx_spec_recipe(spec);
    int64_t frames = FRAMES_IN_FLIGHT + (encodes ? ENCODER_FRAMES : 0);
    int64_t base = MEMORY_BASE_MIB + (encodes ? ENCODER_BASE_MIB : 0);

    if (!picture)
        return MEMORY_GUESS_MIB + (encodes ? ENCODER_GUESS_MIB : 0);
    return (int32_t)VMAFX_MIN(base + frames * picture, INT32_MAX);
}

static VmafxErr pack_spec(const Vmafx__V1__JobSpec *spec, Draft *draft, VmafxErrInfo *reterr)
{
    size_t len;
    VmafxErr err = vmafx_message_pack(&spec->base, &draft->spec, &len);

    if (err)
        return err;
    if (len > VMAFX_SPEC_BYTES_MAX)
        return vmafx_fail(reterr, VMAFX_ERR_LIMIT, "job: %zu bytes, more than the %d that a job may have", len,
                          VMAFX_SPEC_BYTES_MAX);
    draft->submission.spec = draft->spec;
    draft->submission.spec_len = len;
    vmafx_sha256(draft->spec, len, draft->submission.spec_sha256);
    return VMAFX_OK;
}

/** An upload that a job names is there, and the submitter's own. Looking is a use: it stays until the job is stored. */
static VmafxErr check_upload(JobsApi *jobs, const Vmafx__V1__Input *input, const char *path, const char *field,
                             const char *submitter, VmafxErrInfo *reterr)
{
    const char *digest = input ? vmafx_uri_upload_digest(input->uri) : NULL;
    UploadFacts facts;

    if (!digest)
        return VMAFX_OK;
    if (!jobs->uploads)
        return uploads_none(reterr);
    if (!uploads_find(jobs->uploads, submitter, digest, &facts))
        return VMAFX_OK;
    return vmafx_fail(
        reterr, VMAFX_ERR_NOT_FOUND,
        "%s.%s.uri: '%s' has no upload %.12s… here, or it is not kept any more; send the video (again) with "
        "`vmafx submit --upload` or POST /v1/uploads, then submit",
        path, field, submitter, digest);
}

static VmafxErr check_uploads(JobsApi *jobs, const Vmafx__V1__JobSpec *spec, const char *path, const char *submitter,
                              VmafxErrInfo *reterr)
{
    VmafxErr err = check_upload(jobs, spec->reference, path, "reference", submitter, reterr);

    if (!err && spec->distorted_source_case == VMAFX__V1__JOB_SPEC__DISTORTED_SOURCE_DISTORTED)
        err = check_upload(jobs, spec->distorted, path, "distorted", submitter, reterr);
    return err;
}

static VmafxErr draft_init(JobsApi *jobs, const Vmafx__V1__JobSpec *spec, const char *path, const char *submitter,
                           Draft *draft, VmafxErrInfo *reterr)
{
    VmafxSubmission *submission = &draft->submission;
    VmafxJob *job = &submission->job;
    VmafxWall now = vmafx_store_now(jobs->store);
    uint8_t random[10];
    VmafxErr err =
        spec ? vmafx_spec_check(spec, path, reterr) : vmafx_fail(reterr, VMAFX_ERR_INVALID, "%s: missing", path);

    if (!err)
        err = check_uploads(jobs, spec, path, submitter, reterr);
    if (!err)
        err = pack_spec(spec, draft, reterr);
    if (err)
        return err;
    if (spec->deadline_unix_us && spec->deadline_unix_us <= now)
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "%s.deadline_unix_us: %" PRId64 " has passed", path,
                          spec->deadline_unix_us);
    random_bytes(random, sizeof random);
    vmafx_job_id_make(now, random, &job->id);
    job->priority = spec->priority;
    job->deadline = spec->deadline_unix_us;
    job->timeout_us = spec->timeout_ms ? spec->timeout_ms * 1000 : jobs->timeout_us;
    job->attempt_limit = spec->attempt_limit ? spec->attempt_limit : jobs->attempt_limit;
    job->need_memory_mib = memory_need(spec);
    snprintf(job->submitter, sizeof job->submitter, "%s", submitter);
    submission->idempotency_key = spec->idempotency_key && *spec->idempotency_key ? spec->idempotency_key : NULL;
    for (size_t i = 0; i < spec->n_labels; i++)
        draft->labels[i] = (VmafxStoreLabel){ spec->labels[i]->key, spec->labels[i]->value };
    submission->labels = draft->labels;
    submission->n_labels = spec->n_labels;
    return VMAFX_OK;
}

static VmafxErr refused(const VmafxStoreItem *item, VmafxErr err, VmafxErrInfo *reterr)
{
    char id[VMAFX_JOB_ID_TEXT];

    vmafx_job_id_text(&item->job.id, id);
    if (err == VMAFX_ERR_CONFLICT)
        return vmafx_fail(reterr, err, "job.idempotency_key: job %s has it, with another request", id);
    if (err == VMAFX_ERR_BUSY)
        return vmafx_fail(reterr, err, "the queue is full; try again later");
    return vmafx_fail(reterr, err, "the job could not be stored: %s", vmafx_err_text(err));
}

/** A job alone: its parent is the submitter's span, or the one of this call. */
static void trace_alone(const ApiCall *call, VmafxJobTrace *ret)
{
    VmafxSpanContext context;
    VmafxContext *remote = call->caller.remote;
    bool has =
        (remote && vmafx_context_span(remote, &context)) || vmafx_context_span(vmafx_context_current(), &context);

    job_trace_make(has ? &context : NULL, ret);
}

VmafxErr submit_job(void *ctx, const ApiCall *call, const void *message, VmafxErrInfo *reterr)
{
    JobsApi *jobs = ctx;
    const Vmafx__V1__SubmitJobRequest *request = message;
    VMAFX_AUTO(draft_done) Draft draft = { 0 };
    VMAFX_AUTO(vmafx_store_op_done) VmafxStoreOp op = { .kind = VMAFX_STORE_SUBMIT };
    VMAFX_AUTO(job_view_done) JobView view = { 0 };
    Vmafx__V1__SubmitJobResponse response = VMAFX__V1__SUBMIT_JOB_RESPONSE__INIT;
    char id[VMAFX_JOB_ID_TEXT];
    VmafxTracer *tracer = vmafx_tracer_get("vmafx.controller", "");
    VMAFX_AUTO(vmafx_span_end) VmafxSpan *span = vmafx_span_start(tracer, VMAFX_SPAN_NAME_JOB_SUBMIT);
    VMAFX_AUTO(vmafx_span_detach) VmafxContextToken token = vmafx_span_attach(span);

    VmafxErr err = draft_init(jobs, request->job, "job", caller_submitter(&call->caller), &draft, reterr);
    if (!err) {
        trace_alone(call, &draft.submission.job.trace);
        op.submissions = &draft.submission;
        op.n_submissions = 1;
        err = vmafx_store_wait(jobs->store, &op);
        if (!err)
            err = op.items[0].err;
        if (err)
            err = refused(op.n_items ? &op.items[0] : &(VmafxStoreItem){ 0 }, err, reterr);
    }
    if (err) {
        vmafx_span_set_str(span, VMAFX_KEY_ERROR_TYPE, vmafx_err_name(err));
        vmafx_span_set_status(span, VMAFX_STATUS_ERROR, vmafx_err_text(err));
        return err;
    }
    if (!op.items[0].existed)
        audit(jobs, call, "job.submit", &op.items[0].job.id);
    vmafx_job_id_text(&op.items[0].job.id, id);
    vmafx_span_set_str(span, VMAFX_KEY_JOB_ID, id);
    vmafx_span_set_int(span, VMAFX_KEY_JOB_PRIORITY, op.items[0].job.priority);
    err = job_view_init(&view, &op.items[0].job, draft.spec, draft.submission.spec_len, reterr);
    if (err)
        return err;
    response.job = &view.message;
    response.already_there = op.items[0].existed;
    return call->answer(call->ctx, &response.base);
}

/** Many jobs in one call: each has a trace of its own, linked to the call. */
static void submit_span(Draft *draft, VmafxTracer *tracer, const VmafxSpanContext *caller)
{
    char id[VMAFX_JOB_ID_TEXT];
    VmafxSpanLink link = { .context = *caller };
    VmafxSpanContext context;

    vmafx_job_id_text(&draft->submission.job.id, id);
    VMAFX_AUTO(vmafx_span_end)
    VmafxSpan *span =
        vmafx_span_start_with(tracer, VMAFX_SPAN_NAME_JOB_SUBMIT,
                              &(VmafxSpanOptions){ .root = true,
                                                   .attrs = VMAFX_ATTRS(VMAFX_ATTR_STR(VMAFX_KEY_JOB_ID, id)),
                                                   .links = &link,
                                                   .n_links = vmafx_span_context_valid(caller) });
    bool has = vmafx_span_context(span, &context);
    job_trace_make(has ? &context : NULL, &draft->submission.job.trace);
}

static VmafxErr submit_drafts(JobsApi *jobs, Draft *drafts, size_t n, VmafxStoreOp *op, size_t *places)
{
    VMAFX_AUTO(vmafx_free_p) VmafxSubmission *submissions = calloc(n, sizeof *submissions);
    size_t n_good = 0;

    if (!submissions)
        return VMAFX_ERR_NOMEM;
    for (size_t i = 0; i < n; i++)
        if (!drafts[i].err) {
            places[i] = n_good;
            submissions[n_good++] = drafts[i].submission;
        }
    if (!n_good)
        return VMAFX_OK;
    op->submissions = submissions;
    op->n_submissions = n_good;
    return vmafx_store_wait(jobs->store, op);
}

static void drafts_free(Draft *drafts, size_t n)
{
    for (size_t i = 0; drafts && i < n; i++)
        draft_done(&drafts[i]);
    free(drafts);
}

/** Views and outcomes of a batch, freed together. */
typedef struct Outcomes {
    Vmafx__V1__SubmitOutcome *messages;
    Vmafx__V1__SubmitOutcome **list;
    JobView *views;
    size_t n;
} Outcomes;

static void outcomes_done(Outcomes *outcomes)
{
    for (size_t i = 0; outcomes->views && i < outcomes->n; i++)
        job_view_done(&outcomes->views[i]);
    free(outcomes->messages);
    free(outcomes->list);
    free(outcomes->views);
}

static VmafxErr outcomes_fill(Outcomes *outcomes, Draft *drafts, const VmafxStoreOp *op, const size_t *places)
{
    for (size_t i = 0; i < outcomes->n; i++) {
        Vmafx__V1__SubmitOutcome *outcome = outcomes->list[i] = &outcomes->messages[i];
        Draft *draft = &drafts[i];
        const VmafxStoreItem *item = draft->err ? NULL : &op->items[places[i]];

        vmafx__v1__submit_outcome__init(outcome);
        if (item && item->err)
            draft->err = refused(item, item->err, &draft->info);
        if (draft->err) {
            outcome->error = (char *)vmafx_err_name(draft->err);
            outcome->message = draft->info.message;
            continue;
        }
        VmafxErr err = job_view_init(&outcomes->views[i], &item->job, NULL, 0, NULL);
        if (err)
            return err;
        outcome->job = &outcomes->views[i].message;
        outcome->already_there = item->existed;
    }
    return VMAFX_OK;
}

VmafxErr submit_jobs(void *ctx, const ApiCall *call, const void *message, VmafxErrInfo *reterr)
{
    JobsApi *jobs = ctx;
    const Vmafx__V1__SubmitJobsRequest *request = message;
    size_t n = request->n_jobs;
    if (n < 1 || n > SUBMIT_MAX)
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "jobs: %zu of them; 1 to %d go into one call", n, SUBMIT_MAX);

    VMAFX_AUTO(vmafx_free_p) size_t *places = calloc(n, sizeof *places);
    VMAFX_AUTO(vmafx_store_op_done) VmafxStoreOp op = { .kind = VMAFX_STORE_SUBMIT };
    VMAFX_AUTO(outcomes_done) Outcomes outcomes = { .n = n };
    Vmafx__V1__SubmitJobsResponse response = VMAFX__V1__SUBMIT_JOBS_RESPONSE__INIT;
    char path[32];
    Draft *drafts = calloc(n, sizeof *drafts);
    VmafxSpanContext caller = { 0 };
    VmafxTracer *tracer = vmafx_tracer_get("vmafx.controller", "");

    outcomes.messages = calloc(n, sizeof *outcomes.messages);
    outcomes.list = calloc(n, sizeof(Vmafx__V1__SubmitOutcome *));
    outcomes.views = calloc(n, sizeof *outcomes.views);
    if (!places || !drafts || !outcomes.messages || !outcomes.list || !outcomes.views) {
        free(drafts);
        return VMAFX_ERR_NOMEM;
    }
    vmafx_context_span(vmafx_context_current(), &caller);
    for (size_t i = 0; i < n; i++) {
        snprintf(path, sizeof path, "jobs[%zu]", i);
        drafts[i].err =
            draft_init(jobs, request->jobs[i], path, caller_submitter(&call->caller), &drafts[i], &drafts[i].info);
        if (!drafts[i].err)
            submit_span(&drafts[i], tracer, &caller);
        drafts[i].submission.labels = drafts[i].labels;
    }
    VmafxErr err = submit_drafts(jobs, drafts, n, &op, places);
    if (err)
        err = vmafx_fail(reterr, err, "the jobs could not be stored: %s", vmafx_err_text(err));
    if (!err)
        err = outcomes_fill(&outcomes, drafts, &op, places);
    for (size_t i = 0; !err && i < n; i++)
        if (!drafts[i].err && !op.items[places[i]].existed)
            audit(jobs, call, "job.submit", &op.items[places[i]].job.id);
    response.n_outcomes = n;
    response.outcomes = outcomes.list;
    if (!err)
        err = call->answer(call->ctx, &response.base);
    drafts_free(drafts, n);
    return err;
}

/** Who may try another's job again gets what that one has uploaded for it; what is not there, the check finds. */
static void share_uploads(JobsApi *jobs, const char *from, const char *to, const Vmafx__V1__JobSpec *spec)
{
    const Vmafx__V1__Input *inputs[] = { spec->reference, spec->distorted };
    size_t n = spec->distorted_source_case == VMAFX__V1__JOB_SPEC__DISTORTED_SOURCE_DISTORTED ? 2 : 1;

    for (size_t i = 0; i < n && jobs->uploads && strcmp(from, to) != 0; i++) {
        const char *digest = inputs[i] ? vmafx_uri_upload_digest(inputs[i]->uri) : NULL;

        if (digest)
            VMAFX_IGNORE(uploads_share(jobs->uploads, from, to, digest));
    }
}

/** stored: the old request; outlives the draft, whose labels point into it. */
static VmafxErr retry_draft(JobsApi *jobs, const ApiCall *call, const VmafxJobId *old, const Vmafx__V1__JobSpec *stored,
                            Draft *draft, VmafxErrInfo *reterr)
{
    /* The key went free with the failure and may be another job's by now; a deadline in the past would end it. */
    Vmafx__V1__JobSpec spec = *stored;

    spec.idempotency_key = (char *)"";
    spec.deadline_unix_us = spec.deadline_unix_us > vmafx_store_now(jobs->store) ? spec.deadline_unix_us : 0;
    VmafxErr err = draft_init(jobs, &spec, "job", caller_submitter(&call->caller), draft, reterr);
    draft->submission.job.retry_of = *old;
    return err;
}

VmafxErr retry_job(void *ctx, const ApiCall *call, const void *message, VmafxErrInfo *reterr)
{
    JobsApi *jobs = ctx;
    const Vmafx__V1__RetryJobRequest *request = message;
    VMAFX_AUTO(vmafx_message_free) VmafxMessage *spec = NULL;
    VMAFX_AUTO(vmafx_stored_job_done) VmafxStoredJob old = { 0 };
    VMAFX_AUTO(draft_done) Draft draft = { 0 };
    VMAFX_AUTO(vmafx_store_op_done) VmafxStoreOp op = { .kind = VMAFX_STORE_SUBMIT };
    VMAFX_AUTO(job_view_done) JobView view = { 0 };
    Vmafx__V1__RetryJobResponse response = VMAFX__V1__RETRY_JOB_RESPONSE__INIT;
    VmafxErr err = job_read(jobs->store, &call->caller, request->id, &old, reterr);

    if (err)
        return err;
    if (old.job.state != VMAFX_JOB_FAILED && old.job.state != VMAFX_JOB_CANCELLED)
        return vmafx_fail(reterr, VMAFX_ERR_STATE, "job %s is %s; only failed and cancelled jobs are tried again",
                          request->id, vmafx_job_state_name(old.job.state));
    err = vmafx_message_unpack(&vmafx__v1__job_spec__descriptor, old.spec, old.spec_len, 0, &spec, reterr);
    if (!err)
        share_uploads(jobs, old.job.submitter, caller_submitter(&call->caller), vmafx_message_get(spec));
    if (!err)
        err = retry_draft(jobs, call, &old.job.id, vmafx_message_get(spec), &draft, reterr);
    if (err)
        return err;

    VmafxSpanLink link = { 0 };
    memcpy(link.context.trace_id, old.job.trace.trace_id, sizeof link.context.trace_id);
    memcpy(link.context.span_id, old.job.trace.job_span_id, sizeof link.context.span_id);
    link.context.flags = old.job.trace.flags;
    VMAFX_AUTO(vmafx_span_end)
    VmafxSpan *span = vmafx_span_start_with(vmafx_tracer_get("vmafx.controller", ""), VMAFX_SPAN_NAME_JOB_SUBMIT,
                                            &(VmafxSpanOptions){ .links = &link, .n_links = 1 });
    trace_alone(call, &draft.submission.job.trace);
    op.submissions = &draft.submission;
    op.n_submissions = 1;
    err = vmafx_store_wait(jobs->store, &op);
    if (!err)
        err = op.items[0].err;
    if (err)
        return refused(op.n_items ? &op.items[0] : &(VmafxStoreItem){ 0 }, err, reterr);
    audit(jobs, call, "job.retry", &op.items[0].job.id);
    err = job_view_init(&view, &op.items[0].job, draft.spec, draft.submission.spec_len, reterr);
    if (err)
        return err;
    response.job = &view.message;
    return call->answer(call->ctx, &response.base);
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The service vmafx.v1.Jobs: unary calls. Each unpacks, asks the store, packs; what a job is, fleet knows. */

#include "programs/controller/jobs.h"

#include <inttypes.h>
#include <string.h>

#include "base/base.h"
#include "base/digest.h"
#include "otel/api/trace.h"
#include "programs/controller/convert.h"
#include "programs/controller/telemetry.h"
#include "rpc/spec_check.h"
#include "signals/signals.h"

#define SUBMIT_MAX   1000
#define PAGE_DEFAULT 50
#define PAGE_MAX     1000
#define REASON_MAX   255

#define MEMORY_BASE_MIB  192 /* decoders, models, code */
#define MEMORY_GUESS_MIB 320 /* where nothing says how large the pictures are */
#define FRAMES_IN_FLIGHT 40  /* of both inputs together, generously */

VmafxErr job_id_from(const char *text, VmafxJobId *ret, VmafxErrInfo *reterr)
{
    if (!vmafx_job_id_parse(text, ret))
        return VMAFX_OK;
    return vmafx_fail(reterr, VMAFX_ERR_SYNTAX,
                      "id: '%.64s' is not the id of a job; one looks like "
                      "0192f0c1-7b1c-7d3e-8a55-3f1b2c4d5e6f",
                      text);
}

static VmafxErr no_such_job(const char *id, VmafxErr err, VmafxErrInfo *reterr)
{
    if (err == VMAFX_ERR_NOT_FOUND)
        return vmafx_fail(reterr, err, "there is no job %s", id);
    return vmafx_fail(reterr, err, "job %s: %s", id, vmafx_err_text(err));
}

static VmafxErr answer(const void *message, VmafxRpcAnswer *ret)
{
    return vmafx_message_pack(message, &ret->body, &ret->len);
}

/* ---- Audit: who changed what ---- */

static void audit(JobsApi *api, VmafxRpcCall *call, const char *action, const VmafxJobId *job)
{
    char id[VMAFX_JOB_ID_TEXT];

    vmafx_job_id_text(job, id);
    api->audit(api->identity_ctx, vmafx_rpc_call_peer(call), action, id);
}

/* ---- Submit ---- */

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

    return picture ? (int32_t)VMAFX_MIN(MEMORY_BASE_MIB + FRAMES_IN_FLIGHT * picture, INT32_MAX) : MEMORY_GUESS_MIB;
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

static VmafxErr draft_init(JobsApi *api, const Vmafx__V1__JobSpec *spec, const char *path, const char *submitter,
                           Draft *draft, VmafxErrInfo *reterr)
{
    VmafxSubmission *submission = &draft->submission;
    VmafxJob *job = &submission->job;
    VmafxWall now = vmafx_store_now(api->store);
    uint8_t random[10];
    VmafxErr err =
        spec ? vmafx_spec_check(spec, path, reterr) : vmafx_fail(reterr, VMAFX_ERR_INVALID, "%s: missing", path);

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
    job->timeout_us = spec->timeout_ms ? spec->timeout_ms * 1000 : api->timeout_us;
    job->attempt_limit = spec->attempt_limit ? spec->attempt_limit : api->attempt_limit;
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
static void trace_alone(VmafxRpcCall *call, VmafxJobTrace *ret)
{
    VmafxSpanContext context;
    VmafxContext *remote = vmafx_rpc_call_remote_context(call);
    bool has =
        (remote && vmafx_context_span(remote, &context)) || vmafx_context_span(vmafx_context_current(), &context);

    job_trace_make(has ? &context : NULL, ret);
}

static VmafxErr submit_job(void *ctx, VmafxRpcCall *call, const void *data, size_t len, VmafxRpcAnswer *ret,
                           VmafxErrInfo *reterr)
{
    JobsApi *api = ctx;
    VMAFX_AUTO(vmafx_message_free) VmafxMessage *message = NULL;
    VmafxErr err = vmafx_message_unpack(&vmafx__v1__submit_job_request__descriptor, data, len, 0, &message, reterr);
    if (err)
        return err;

    const Vmafx__V1__SubmitJobRequest *request = vmafx_message_get(message);
    VMAFX_AUTO(draft_done) Draft draft = { 0 };
    VMAFX_AUTO(vmafx_store_op_done) VmafxStoreOp op = { .kind = VMAFX_STORE_SUBMIT };
    VMAFX_AUTO(job_view_done) JobView view = { 0 };
    Vmafx__V1__SubmitJobResponse response = VMAFX__V1__SUBMIT_JOB_RESPONSE__INIT;
    char id[VMAFX_JOB_ID_TEXT];
    VmafxIdentity who = { 0 };
    VmafxTracer *tracer = vmafx_tracer_get("vmafx.controller", "");
    VMAFX_AUTO(vmafx_span_end) VmafxSpan *span = vmafx_span_start(tracer, VMAFX_SPAN_NAME_JOB_SUBMIT);
    VMAFX_AUTO(vmafx_span_detach) VmafxContextToken token = vmafx_span_attach(span);

    api->identity(api->identity_ctx, vmafx_rpc_call_peer(call), &who);
    err = draft_init(api, request->job, "job", who.name, &draft, reterr);
    if (!err) {
        trace_alone(call, &draft.submission.job.trace);
        op.submissions = &draft.submission;
        op.n_submissions = 1;
        err = vmafx_store_wait(api->store, &op);
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
        audit(api, call, "job.submit", &op.items[0].job.id);
    vmafx_job_id_text(&op.items[0].job.id, id);
    vmafx_span_set_str(span, VMAFX_KEY_JOB_ID, id);
    vmafx_span_set_int(span, VMAFX_KEY_JOB_PRIORITY, op.items[0].job.priority);
    err = job_view_init(&view, &op.items[0].job, draft.spec, draft.submission.spec_len, reterr);
    if (err)
        return err;
    response.job = &view.message;
    response.already_there = op.items[0].existed;
    return answer(&response, ret);
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

static VmafxErr submit_drafts(JobsApi *api, Draft *drafts, size_t n, VmafxStoreOp *op, size_t *places)
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
    return vmafx_store_wait(api->store, op);
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

static VmafxErr submit_jobs(void *ctx, VmafxRpcCall *call, const void *data, size_t len, VmafxRpcAnswer *ret,
                            VmafxErrInfo *reterr)
{
    JobsApi *api = ctx;
    VMAFX_AUTO(vmafx_message_free) VmafxMessage *message = NULL;
    VmafxErr err = vmafx_message_unpack(&vmafx__v1__submit_jobs_request__descriptor, data, len,
                                        4 * VMAFX_MESSAGE_BUDGET, &message, reterr);
    if (err)
        return err;

    const Vmafx__V1__SubmitJobsRequest *request = vmafx_message_get(message);
    size_t n = request->n_jobs;
    if (n < 1 || n > SUBMIT_MAX)
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "jobs: %zu of them; 1 to %d go into one call", n, SUBMIT_MAX);

    VMAFX_AUTO(vmafx_free_p) size_t *places = calloc(n, sizeof *places);
    VMAFX_AUTO(vmafx_store_op_done) VmafxStoreOp op = { .kind = VMAFX_STORE_SUBMIT };
    VMAFX_AUTO(outcomes_done) Outcomes outcomes = { .n = n };
    Vmafx__V1__SubmitJobsResponse response = VMAFX__V1__SUBMIT_JOBS_RESPONSE__INIT;
    VmafxIdentity who = { 0 };
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
    api->identity(api->identity_ctx, vmafx_rpc_call_peer(call), &who);
    vmafx_context_span(vmafx_context_current(), &caller);
    for (size_t i = 0; i < n; i++) {
        snprintf(path, sizeof path, "jobs[%zu]", i);
        drafts[i].err = draft_init(api, request->jobs[i], path, who.name, &drafts[i], &drafts[i].info);
        if (!drafts[i].err)
            submit_span(&drafts[i], tracer, &caller);
        drafts[i].submission.labels = drafts[i].labels;
    }
    err = submit_drafts(api, drafts, n, &op, places);
    if (err)
        err = vmafx_fail(reterr, err, "the jobs could not be stored: %s", vmafx_err_text(err));
    if (!err)
        err = outcomes_fill(&outcomes, drafts, &op, places);
    for (size_t i = 0; !err && i < n; i++)
        if (!drafts[i].err && !op.items[places[i]].existed)
            audit(api, call, "job.submit", &op.items[places[i]].job.id);
    response.n_outcomes = n;
    response.outcomes = outcomes.list;
    if (!err)
        err = answer(&response, ret);
    drafts_free(drafts, n);
    return err;
}

/* ---- Reading ---- */

static VmafxErr read_job(JobsApi *api, const char *text, VmafxStoredJob *ret, VmafxErrInfo *reterr)
{
    VmafxJobId id;
    VmafxErr err = job_id_from(text, &id, reterr);

    if (err)
        return err;
    err = vmafx_store_get(api->store, &id, ret);
    return err ? no_such_job(text, err, reterr) : VMAFX_OK;
}

static VmafxErr view_of(JobsApi *api, JobView *view, const VmafxStoredJob *stored, VmafxErrInfo *reterr)
{
    VmafxErr err = job_view_init(view, &stored->job, stored->spec, stored->spec_len, reterr);

    if (!err && stored->job.state == VMAFX_JOB_RUNNING && api->progress) {
        vmafx__v1__progress__init(&view->progress);
        if (api->progress(api->progress_ctx, &stored->job.id, &view->progress))
            view->message.progress = &view->progress;
    }
    return err;
}

static VmafxErr get_job(void *ctx, VmafxRpcCall *call, const void *data, size_t len, VmafxRpcAnswer *ret,
                        VmafxErrInfo *reterr)
{
    VMAFX_AUTO(vmafx_message_free) VmafxMessage *message = NULL;
    VMAFX_AUTO(vmafx_stored_job_done) VmafxStoredJob stored = { 0 };
    VMAFX_AUTO(job_view_done) JobView view = { 0 };
    Vmafx__V1__GetJobResponse response = VMAFX__V1__GET_JOB_RESPONSE__INIT;
    VmafxErr err = vmafx_message_unpack(&vmafx__v1__get_job_request__descriptor, data, len, 0, &message, reterr);

    if (!err)
        err = read_job(ctx, ((const Vmafx__V1__GetJobRequest *)vmafx_message_get(message))->id, &stored, reterr);
    if (!err)
        err = view_of(ctx, &view, &stored, reterr);
    if (err)
        return err;
    response.job = &view.message;
    return answer(&response, ret);
}

static VmafxErr list_filter(const Vmafx__V1__ListJobsRequest *request, VmafxStoreFilter *filter,
                            VmafxStoreLabel *labels, VmafxErrInfo *reterr)
{
    if (request->page_size < 0 || request->page_size > PAGE_MAX)
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "page_size: %d is not within 1 and %d", request->page_size,
                          PAGE_MAX);
    if (request->n_labels > VMAFX_SPEC_LABELS_MAX)
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "labels: more than %d", VMAFX_SPEC_LABELS_MAX);
    for (size_t i = 0; i < request->n_states; i++) {
        if (request->states[i] < VMAFX__V1__JOB_STATE__JOB_STATE_QUEUED ||
            request->states[i] > VMAFX__V1__JOB_STATE__JOB_STATE_CANCELLED)
            return vmafx_fail(reterr, VMAFX_ERR_INVALID, "states[%zu]: %d is no state", i, (int)request->states[i]);
        filter->states |= 1u << request->states[i];
    }
    for (size_t i = 0; i < request->n_labels; i++)
        labels[i] = (VmafxStoreLabel){ request->labels[i]->key, request->labels[i]->value };
    filter->labels = labels;
    filter->n_labels = request->n_labels;
    filter->submitter = *request->submitter ? request->submitter : NULL;
    filter->created_from = request->created_from_unix_us;
    filter->created_before = request->created_before_unix_us;
    filter->limit = request->page_size ? (uint32_t)request->page_size : PAGE_DEFAULT;
    if (*request->page_token && vmafx_job_id_parse(request->page_token, &filter->before))
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "page_token: not one that this service gave");
    return VMAFX_OK;
}

typedef struct JobPage {
    JobView *views;
    Vmafx__V1__Job **list;
    size_t n;
} JobPage;

static void job_page_done(JobPage *page)
{
    for (size_t i = 0; page->views && i < page->n; i++)
        job_view_done(&page->views[i]);
    free(page->views);
    free(page->list);
}

static VmafxErr list_jobs(void *ctx, VmafxRpcCall *call, const void *data, size_t len, VmafxRpcAnswer *ret,
                          VmafxErrInfo *reterr)
{
    JobsApi *api = ctx;
    VMAFX_AUTO(vmafx_message_free) VmafxMessage *message = NULL;
    VMAFX_AUTO(vmafx_stored_jobs_done) VmafxStoredJobs stored = { 0 };
    VMAFX_AUTO(job_page_done) JobPage page = { 0 };
    Vmafx__V1__ListJobsResponse response = VMAFX__V1__LIST_JOBS_RESPONSE__INIT;
    VmafxStoreLabel labels[VMAFX_SPEC_LABELS_MAX];
    VmafxStoreFilter filter = { 0 };
    VmafxErr err = vmafx_message_unpack(&vmafx__v1__list_jobs_request__descriptor, data, len, 0, &message, reterr);

    if (!err)
        err = list_filter(vmafx_message_get(message), &filter, labels, reterr);
    if (!err)
        err = vmafx_store_list(api->store, &filter, &stored);
    if (err)
        return err;
    page.n = stored.n;
    page.views = calloc(stored.n + 1, sizeof *page.views);
    page.list = calloc(stored.n + 1, sizeof(Vmafx__V1__Job *));
    if (!page.views || !page.list)
        return VMAFX_ERR_NOMEM;
    for (size_t i = 0; !err && i < stored.n; i++) {
        err = view_of(api, &page.views[i], &stored.items[i], reterr);
        page.list[i] = &page.views[i].message;
    }
    if (err)
        return err;
    response.n_jobs = stored.n;
    response.jobs = page.list;
    if (stored.more && stored.n)
        response.next_page_token = page.views[stored.n - 1].id;
    return answer(&response, ret);
}

static VmafxErr get_job_events(void *ctx, VmafxRpcCall *call, const void *data, size_t len, VmafxRpcAnswer *ret,
                               VmafxErrInfo *reterr)
{
    JobsApi *api = ctx;
    VMAFX_AUTO(vmafx_message_free) VmafxMessage *message = NULL;
    VMAFX_AUTO(vmafx_stored_job_done) VmafxStoredJob stored = { 0 };
    VMAFX_AUTO(vmafx_stored_events_done) VmafxStoredEvents events = { 0 };
    VMAFX_AUTO(job_view_done) JobView view = { 0 };
    VMAFX_AUTO(vmafx_free_p) Vmafx__V1__Event *views = NULL;
    VMAFX_AUTO(vmafx_free_p) Vmafx__V1__Event **list = NULL;
    Vmafx__V1__GetJobEventsResponse response = VMAFX__V1__GET_JOB_EVENTS_RESPONSE__INIT;
    VmafxErr err = vmafx_message_unpack(&vmafx__v1__get_job_events_request__descriptor, data, len, 0, &message, reterr);

    if (!err)
        err = read_job(api, ((const Vmafx__V1__GetJobEventsRequest *)vmafx_message_get(message))->id, &stored, reterr);
    if (!err)
        err = vmafx_store_events(api->store, &stored.job.id, 0, VMAFX_STORE_PAGE_MAX, &events);
    if (!err)
        err = view_of(api, &view, &stored, reterr);
    if (err)
        return err;
    views = calloc(events.n + 1, sizeof *views);
    list = calloc(events.n + 1, sizeof(Vmafx__V1__Event *));
    if (!views || !list)
        return VMAFX_ERR_NOMEM;
    for (size_t i = 0; i < events.n; i++) {
        event_view_init(&views[i], &events.items[i]);
        list[i] = &views[i];
    }
    response.job = &view.message;
    response.n_events = events.n;
    response.events = list;
    return answer(&response, ret);
}

/* ---- Changing ---- */

static VmafxErr job_operation(JobsApi *api, VmafxStoreOp *op, const char *id, VmafxErrInfo *reterr)
{
    VmafxErr err = job_id_from(id, &op->job, reterr);

    if (err)
        return err;
    err = vmafx_store_wait(api->store, op);
    if (!err && op->n_items)
        err = op->items[0].err;
    if (err == VMAFX_ERR_STATE && op->n_items)
        return vmafx_fail(reterr, err,
                          op->kind == VMAFX_STORE_CANCEL ? "job %s has ended already: %s"
                                                         : "job %s has not ended: it is %s; cancel it first",
                          id, vmafx_job_state_name(op->items[0].job.state));
    return err ? no_such_job(id, err, reterr) : VMAFX_OK;
}

static VmafxErr cancel_job(void *ctx, VmafxRpcCall *call, const void *data, size_t len, VmafxRpcAnswer *ret,
                           VmafxErrInfo *reterr)
{
    VMAFX_AUTO(vmafx_message_free) VmafxMessage *message = NULL;
    VMAFX_AUTO(vmafx_store_op_done) VmafxStoreOp op = { .kind = VMAFX_STORE_CANCEL };
    VMAFX_AUTO(job_view_done) JobView view = { 0 };
    Vmafx__V1__CancelJobResponse response = VMAFX__V1__CANCEL_JOB_RESPONSE__INIT;
    VmafxErr err = vmafx_message_unpack(&vmafx__v1__cancel_job_request__descriptor, data, len, 0, &message, reterr);

    if (err)
        return err;
    const Vmafx__V1__CancelJobRequest *request = vmafx_message_get(message);
    if (strlen(request->reason) > REASON_MAX)
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "reason: longer than %d bytes", REASON_MAX);
    if (text_has_controls(request->reason))
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "reason: has a line break or another control character");
    op.reason = *request->reason ? request->reason : "cancelled on request";
    err = job_operation(ctx, &op, request->id, reterr);
    if (!err)
        err = job_view_init(&view, &op.items[0].job, NULL, 0, reterr);
    if (err)
        return err;
    audit(ctx, call, "job.cancel", &op.items[0].job.id);
    response.job = &view.message;
    return answer(&response, ret);
}

static VmafxErr delete_job(void *ctx, VmafxRpcCall *call, const void *data, size_t len, VmafxRpcAnswer *ret,
                           VmafxErrInfo *reterr)
{
    VMAFX_AUTO(vmafx_message_free) VmafxMessage *message = NULL;
    VMAFX_AUTO(vmafx_store_op_done) VmafxStoreOp op = { .kind = VMAFX_STORE_DELETE };
    Vmafx__V1__DeleteJobResponse response = VMAFX__V1__DELETE_JOB_RESPONSE__INIT;
    VmafxErr err = vmafx_message_unpack(&vmafx__v1__delete_job_request__descriptor, data, len, 0, &message, reterr);

    if (!err)
        err = job_operation(ctx, &op, ((const Vmafx__V1__DeleteJobRequest *)vmafx_message_get(message))->id, reterr);
    if (err)
        return err;
    audit(ctx, call, "job.delete", &op.job);
    return answer(&response, ret);
}

/** stored: the old request; outlives the draft, whose labels point into it. */
static VmafxErr retry_draft(JobsApi *api, VmafxRpcCall *call, const VmafxJobId *old, const Vmafx__V1__JobSpec *stored,
                            Draft *draft, VmafxErrInfo *reterr)
{
    /* The key went free with the failure and may be another job's by now; a deadline in the past would end it. */
    Vmafx__V1__JobSpec spec = *stored;
    VmafxIdentity who = { 0 };

    spec.idempotency_key = (char *)"";
    spec.deadline_unix_us = spec.deadline_unix_us > vmafx_store_now(api->store) ? spec.deadline_unix_us : 0;
    api->identity(api->identity_ctx, vmafx_rpc_call_peer(call), &who);
    VmafxErr err = draft_init(api, &spec, "job", who.name, draft, reterr);
    draft->submission.job.retry_of = *old;
    return err;
}

static VmafxErr retry_job(void *ctx, VmafxRpcCall *call, const void *data, size_t len, VmafxRpcAnswer *ret,
                          VmafxErrInfo *reterr)
{
    JobsApi *api = ctx;
    VMAFX_AUTO(vmafx_message_free) VmafxMessage *message = NULL, *spec = NULL;
    VMAFX_AUTO(vmafx_stored_job_done) VmafxStoredJob old = { 0 };
    VMAFX_AUTO(draft_done) Draft draft = { 0 };
    VMAFX_AUTO(vmafx_store_op_done) VmafxStoreOp op = { .kind = VMAFX_STORE_SUBMIT };
    VMAFX_AUTO(job_view_done) JobView view = { 0 };
    Vmafx__V1__RetryJobResponse response = VMAFX__V1__RETRY_JOB_RESPONSE__INIT;
    VmafxErr err = vmafx_message_unpack(&vmafx__v1__retry_job_request__descriptor, data, len, 0, &message, reterr);

    if (err)
        return err;
    const Vmafx__V1__RetryJobRequest *request = vmafx_message_get(message);
    err = read_job(api, request->id, &old, reterr);
    if (err)
        return err;
    if (old.job.state != VMAFX_JOB_FAILED && old.job.state != VMAFX_JOB_CANCELLED)
        return vmafx_fail(reterr, VMAFX_ERR_STATE, "job %s is %s; only failed and cancelled jobs are tried again",
                          request->id, vmafx_job_state_name(old.job.state));
    err = vmafx_message_unpack(&vmafx__v1__job_spec__descriptor, old.spec, old.spec_len, 0, &spec, reterr);
    if (!err)
        err = retry_draft(api, call, &old.job.id, vmafx_message_get(spec), &draft, reterr);
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
    err = vmafx_store_wait(api->store, &op);
    if (!err)
        err = op.items[0].err;
    if (err)
        return refused(op.n_items ? &op.items[0] : &(VmafxStoreItem){ 0 }, err, reterr);
    audit(api, call, "job.retry", &op.items[0].job.id);
    err = job_view_init(&view, &op.items[0].job, draft.spec, draft.submission.spec_len, reterr);
    if (err)
        return err;
    response.job = &view.message;
    return answer(&response, ret);
}

/* ---- The table ---- */

size_t jobs_methods(JobsApi *api, VmafxRpcMethod *ret, size_t max)
{
    const VmafxRpcMethod methods[] = {
        { .path = "/vmafx.v1.Jobs/SubmitJob", .unary = submit_job, .ctx = api },
        { .path = "/vmafx.v1.Jobs/SubmitJobs", .unary = submit_jobs, .ctx = api },
        { .path = "/vmafx.v1.Jobs/GetJob", .unary = get_job, .ctx = api },
        { .path = "/vmafx.v1.Jobs/ListJobs", .unary = list_jobs, .ctx = api },
        { .path = "/vmafx.v1.Jobs/GetJobEvents", .unary = get_job_events, .ctx = api },
        { .path = "/vmafx.v1.Jobs/CancelJob", .unary = cancel_job, .ctx = api },
        { .path = "/vmafx.v1.Jobs/RetryJob", .unary = retry_job, .ctx = api },
        { .path = "/vmafx.v1.Jobs/DeleteJob", .unary = delete_job, .ctx = api },
    };
    size_t n = VMAFX_MIN(max, VMAFX_LEN(methods));

    memcpy(ret, methods, n * sizeof *methods);
    return n;
}

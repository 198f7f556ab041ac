/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The service vmafx.v1.Jobs, what reads and what ends: ask the store, answer. What a job is, fleet knows. */

#include "programs/controller/jobs.h"

#include <inttypes.h>
#include <string.h>

#include "base/base.h"
#include "programs/controller/convert.h"
#include "rpc/spec_check.h"

#define PAGE_DEFAULT  50
#define PAGE_MAX      1000
#define REASON_MAX    255
#define SUBMIT_BUDGET (4 * VMAFX_MESSAGE_BUDGET) /* a thousand jobs in one request */

VmafxErr job_id_from(const char *text, VmafxJobId *ret, VmafxErrInfo *reterr)
{
    if (!vmafx_job_id_parse(text, ret))
        return VMAFX_OK;
    return vmafx_fail(reterr, VMAFX_ERR_SYNTAX,
                      "id: '%.64s' is not the id of a job; one looks like "
                      "0192f0c1-7b1c-7d3e-8a55-3f1b2c4d5e6f",
                      text);
}

VmafxErr job_no_such(const char *id, VmafxErr err, VmafxErrInfo *reterr)
{
    if (err == VMAFX_ERR_NOT_FOUND)
        return vmafx_fail(reterr, err, "there is no job %s", id);
    return vmafx_fail(reterr, err, "job %s: %s", id, vmafx_err_text(err));
}

VmafxErr job_read(VmafxStore *store, const Caller *caller, const char *text, VmafxStoredJob *ret, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(vmafx_stored_job_done) VmafxStoredJob stored = { 0 };
    VmafxJobId id;
    VmafxErr err = job_id_from(text, &id, reterr);

    if (err)
        return err;
    err = vmafx_store_get(store, &id, &stored);
    if (!err && !caller_sees(caller, &stored.job))
        err = VMAFX_ERR_NOT_FOUND;
    if (err)
        return job_no_such(text, err, reterr);
    *ret = stored;
    stored = (VmafxStoredJob){ 0 };
    return VMAFX_OK;
}

/* ---- Reading ---- */

/* A job that asks for more than any node has is never leased, and nothing else would say so. */
static void tell_why_it_waits(const JobsApi *jobs, JobView *view, const VmafxJob *job)
{
    FleetCounts nodes;

    if (job->state != VMAFX_JOB_QUEUED || !jobs->nodes)
        return;
    jobs->nodes(jobs->nodes_ctx, &nodes);
    if (!nodes.memory_max_mib || job->need_memory_mib <= nodes.memory_max_mib)
        return;
    snprintf(view->waits, sizeof view->waits,
             "waits: it needs %" PRId32 " MiB, and the largest connected node has %" PRId64 " MiB",
             job->need_memory_mib, nodes.memory_max_mib);
    view->message.message = view->waits;
}

static VmafxErr view_of(JobsApi *jobs, JobView *view, const VmafxStoredJob *stored, VmafxErrInfo *reterr)
{
    VmafxErr err = job_view_init(view, &stored->job, stored->spec, stored->spec_len, reterr);

    if (!err && stored->job.state == VMAFX_JOB_RUNNING && jobs->progress) {
        vmafx__v1__progress__init(&view->progress);
        if (jobs->progress(jobs->progress_ctx, &stored->job.id, &view->progress))
            view->message.progress = &view->progress;
    }
    if (!err)
        tell_why_it_waits(jobs, view, &stored->job);
    return err;
}

static VmafxErr get_job(void *ctx, const ApiCall *call, const void *message, VmafxErrInfo *reterr)
{
    JobsApi *jobs = ctx;
    const Vmafx__V1__GetJobRequest *request = message;
    VMAFX_AUTO(vmafx_stored_job_done) VmafxStoredJob stored = { 0 };
    VMAFX_AUTO(job_view_done) JobView view = { 0 };
    Vmafx__V1__GetJobResponse response = VMAFX__V1__GET_JOB_RESPONSE__INIT;
    VmafxErr err = job_read(jobs->store, &call->caller, request->id, &stored, reterr);

    if (!err)
        err = view_of(jobs, &view, &stored, reterr);
    if (err)
        return err;
    response.job = &view.message;
    return call->answer(call->ctx, &response.base);
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

static VmafxErr list_jobs(void *ctx, const ApiCall *call, const void *message, VmafxErrInfo *reterr)
{
    JobsApi *jobs = ctx;
    VMAFX_AUTO(vmafx_stored_jobs_done) VmafxStoredJobs stored = { 0 };
    VMAFX_AUTO(job_page_done) JobPage page = { 0 };
    Vmafx__V1__ListJobsResponse response = VMAFX__V1__LIST_JOBS_RESPONSE__INIT;
    VmafxStoreLabel labels[VMAFX_SPEC_LABELS_MAX];
    VmafxStoreFilter filter = { 0 };
    const char *tenant = caller_tenant(&call->caller);
    VmafxErr err = list_filter(message, &filter, labels, reterr);
    bool others = tenant && filter.submitter && strcmp(tenant, filter.submitter) != 0;

    if (tenant)
        filter.submitter = tenant;
    if (!err && !others) /* of others a tenant sees none */
        err = vmafx_store_list(jobs->store, &filter, &stored);
    if (err)
        return err;
    page.n = stored.n;
    page.views = calloc(stored.n + 1, sizeof *page.views);
    page.list = calloc(stored.n + 1, sizeof(Vmafx__V1__Job *));
    if (!page.views || !page.list)
        return VMAFX_ERR_NOMEM;
    for (size_t i = 0; !err && i < stored.n; i++) {
        err = view_of(jobs, &page.views[i], &stored.items[i], reterr);
        page.list[i] = &page.views[i].message;
    }
    if (err)
        return err;
    response.n_jobs = stored.n;
    response.jobs = page.list;
    if (stored.more && stored.n)
        response.next_page_token = page.views[stored.n - 1].id;
    return call->answer(call->ctx, &response.base);
}

static VmafxErr get_job_events(void *ctx, const ApiCall *call, const void *message, VmafxErrInfo *reterr)
{
    JobsApi *jobs = ctx;
    const Vmafx__V1__GetJobEventsRequest *request = message;
    VMAFX_AUTO(vmafx_stored_job_done) VmafxStoredJob stored = { 0 };
    VMAFX_AUTO(vmafx_stored_events_done) VmafxStoredEvents events = { 0 };
    VMAFX_AUTO(job_view_done) JobView view = { 0 };
    VMAFX_AUTO(vmafx_free_p) Vmafx__V1__Event *views = NULL;
    VMAFX_AUTO(vmafx_free_p) Vmafx__V1__Event **list = NULL;
    Vmafx__V1__GetJobEventsResponse response = VMAFX__V1__GET_JOB_EVENTS_RESPONSE__INIT;
    VmafxErr err = job_read(jobs->store, &call->caller, request->id, &stored, reterr);

    if (!err)
        err = vmafx_store_events(jobs->store, &stored.job.id, 0, VMAFX_STORE_PAGE_MAX, &events);
    if (!err)
        err = view_of(jobs, &view, &stored, reterr);
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
    return call->answer(call->ctx, &response.base);
}

/* ---- Ending ---- */

static void audit(const JobsApi *jobs, const ApiCall *call, const char *action, const VmafxJobId *job)
{
    char id[VMAFX_JOB_ID_TEXT];

    vmafx_job_id_text(job, id);
    jobs->api->audit(jobs->api->ctx, &call->caller, action, id);
}

/** Whose job it is never changes, so it is looked at before the operation. */
static VmafxErr job_operation(JobsApi *jobs, const ApiCall *call, VmafxStoreOp *op, const char *id,
                              VmafxErrInfo *reterr)
{
    VmafxErr err = job_id_from(id, &op->job, reterr);

    if (err)
        return err;
    if (caller_tenant(&call->caller)) {
        VMAFX_AUTO(vmafx_stored_job_done) VmafxStoredJob stored = { 0 };
        err = job_read(jobs->store, &call->caller, id, &stored, reterr);
        if (err)
            return err;
    }
    err = vmafx_store_wait(jobs->store, op);
    if (!err && op->n_items)
        err = op->items[0].err;
    if (err == VMAFX_ERR_STATE && op->n_items)
        return vmafx_fail(reterr, err,
                          op->kind == VMAFX_STORE_CANCEL ? "job %s has ended already: %s"
                                                         : "job %s has not ended: it is %s; cancel it first",
                          id, vmafx_job_state_name(op->items[0].job.state));
    return err ? job_no_such(id, err, reterr) : VMAFX_OK;
}

static VmafxErr cancel_job(void *ctx, const ApiCall *call, const void *message, VmafxErrInfo *reterr)
{
    JobsApi *jobs = ctx;
    const Vmafx__V1__CancelJobRequest *request = message;
    VMAFX_AUTO(vmafx_store_op_done) VmafxStoreOp op = { .kind = VMAFX_STORE_CANCEL };
    VMAFX_AUTO(job_view_done) JobView view = { 0 };
    Vmafx__V1__CancelJobResponse response = VMAFX__V1__CANCEL_JOB_RESPONSE__INIT;

    if (strlen(request->reason) > REASON_MAX)
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "reason: longer than %d bytes", REASON_MAX);
    if (text_has_controls(request->reason))
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "reason: has a line break or another control character");
    op.reason = *request->reason ? request->reason : "cancelled on request";
    VmafxErr err = job_operation(jobs, call, &op, request->id, reterr);
    if (!err)
        err = job_view_init(&view, &op.items[0].job, NULL, 0, reterr);
    if (err)
        return err;
    audit(jobs, call, "job.cancel", &op.items[0].job.id);
    response.job = &view.message;
    return call->answer(call->ctx, &response.base);
}

static VmafxErr delete_job(void *ctx, const ApiCall *call, const void *message, VmafxErrInfo *reterr)
{
    JobsApi *jobs = ctx;
    VMAFX_AUTO(vmafx_store_op_done) VmafxStoreOp op = { .kind = VMAFX_STORE_DELETE };
    Vmafx__V1__DeleteJobResponse response = VMAFX__V1__DELETE_JOB_RESPONSE__INIT;
    VmafxErr err = job_operation(jobs, call, &op, ((const Vmafx__V1__DeleteJobRequest *)message)->id, reterr);

    if (err)
        return err;
    audit(jobs, call, "job.delete", &op.job);
    return call->answer(call->ctx, &response.base);
}

/* ---- The table ---- */

void jobs_methods(JobsApi *jobs, Api *api)
{
    const ApiMethod methods[] = {
        { "/vmafx.v1.Jobs/SubmitJob", &vmafx__v1__submit_job_request__descriptor, submit_job, jobs, 0, NULL },
        { "/vmafx.v1.Jobs/SubmitJobs", &vmafx__v1__submit_jobs_request__descriptor, submit_jobs, jobs, SUBMIT_BUDGET,
          NULL },
        { "/vmafx.v1.Jobs/GetJob", &vmafx__v1__get_job_request__descriptor, get_job, jobs, 0, NULL },
        { "/vmafx.v1.Jobs/ListJobs", &vmafx__v1__list_jobs_request__descriptor, list_jobs, jobs, 0, NULL },
        { "/vmafx.v1.Jobs/GetJobEvents", &vmafx__v1__get_job_events_request__descriptor, get_job_events, jobs, 0,
          NULL },
        { "/vmafx.v1.Jobs/CancelJob", &vmafx__v1__cancel_job_request__descriptor, cancel_job, jobs, 0, NULL },
        { "/vmafx.v1.Jobs/RetryJob", &vmafx__v1__retry_job_request__descriptor, retry_job, jobs, 0, NULL },
        { "/vmafx.v1.Jobs/DeleteJob", &vmafx__v1__delete_job_request__descriptor, delete_job, jobs, 0, NULL },
    };

    jobs->api = api;
    api_add(api, methods, VMAFX_LEN(methods));
}

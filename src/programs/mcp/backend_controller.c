/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* A controller: jobs live in its store, its nodes open the inputs. */

#include <string.h>

#include "base/base.h"
#include "base/clock.h"
#include "client/client.h"
#include "inputs/inputs.h"
#include "programs/mcp/backend.h"
#include "rpc/spec_check.h"

#define FRAME_VALUES_MAX ((uint64_t)16 << 20) /* doubles: 128 MiB */
#define GIVEN_UP_MS      200                  /* how often those who wait are asked whether they still do */

typedef struct Controller {
    Backend base;
    VmafxClient *client;
} Controller;

static VmafxErr call(Backend *b, VmafxCall which, const ProtobufCMessage *request, VmafxMessage **ret,
                     VmafxErrInfo *reterr)
{
    return vmafx_client_call(((Controller *)b)->client, which, request, ret, reterr);
}

static void copy_input(const Vmafx__V1__Input *input, char *ret, size_t size)
{
    if (input)
        vmafx_url_redact(input->uri, ret, size);
}

static void view_of(const Vmafx__V1__Job *job, JobView *ret)
{
    *ret = (JobView){
        .state = job->state,
        .failure = job->failure_class,
        .created_us = job->created_unix_us,
        .started_us = job->started_unix_us,
        .ended_us = job->ended_unix_us,
        .has_result = job->has_result,
        .complete = job->complete,
        .has_score = job->has_score_case == VMAFX__V1__JOB__HAS_SCORE_SCORE,
        .score = job->score,
    };
    snprintf(ret->id, sizeof ret->id, "%s", job->id);
    snprintf(ret->message, sizeof ret->message, "%s", job->message);
    snprintf(ret->node, sizeof ret->node, "%s", job->node);
    snprintf(ret->trace_id, sizeof ret->trace_id, "%s", job->trace_id);
    if (job->spec) {
        copy_input(job->spec->reference, ret->reference, sizeof ret->reference);
        if (vmafx_spec_distorted(job->spec))
            copy_input(job->spec->distorted, ret->distorted, sizeof ret->distorted);
        else if (vmafx_spec_recipe(job->spec))
            job_view_encode(ret, vmafx_spec_recipe(job->spec));
    }
    if (job->progress) {
        ret->frames = job->progress->frames;
        ret->frames_total = job->progress->frames_total;
        ret->frame_rate = job->progress->frame_rate;
    }
}

static VmafxErr no_job(VmafxErrInfo *reterr)
{
    return vmafx_fail(reterr, VMAFX_ERR_SYNTAX, "the controller's answer has no job");
}

static VmafxErr submit(Backend *b, const Vmafx__V1__JobSpec *spec, char ret_id[JOB_ID_TEXT], VmafxErrInfo *reterr)
{
    VMAFX_AUTO(vmafx_message_free) VmafxMessage *answer = NULL;
    Vmafx__V1__SubmitJobRequest request = VMAFX__V1__SUBMIT_JOB_REQUEST__INIT;

    request.job = (Vmafx__V1__JobSpec *)spec;
    VmafxErr err = call(b, VMAFX_CALL_SUBMIT_JOB, &request.base, &answer, reterr);
    if (err)
        return err;
    const Vmafx__V1__SubmitJobResponse *response = vmafx_message_get(answer);
    if (!response->job)
        return no_job(reterr);
    snprintf(ret_id, JOB_ID_TEXT, "%s", response->job->id);
    return VMAFX_OK;
}

static VmafxErr get(Backend *b, const char *id, JobView *ret, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(vmafx_message_free) VmafxMessage *answer = NULL;
    Vmafx__V1__GetJobRequest request = VMAFX__V1__GET_JOB_REQUEST__INIT;

    request.id = (char *)id;
    VmafxErr err = call(b, VMAFX_CALL_GET_JOB, &request.base, &answer, reterr);
    if (err)
        return err;
    const Vmafx__V1__GetJobResponse *response = vmafx_message_get(answer);
    if (!response->job)
        return no_job(reterr);
    view_of(response->job, ret);
    return VMAFX_OK;
}

/** Later messages of a watch say nothing of the request: names stay what they were. */
static void update(const Vmafx__V1__Job *job, JobView *view)
{
    JobView before = *view;

    view_of(job, view);
    if (!job->spec) {
        memcpy(view->reference, before.reference, sizeof view->reference);
        memcpy(view->distorted, before.distorted, sizeof view->distorted);
    }
}

static VmafxErr wait(Backend *b, const char *id, const JobWait *waiting, JobView *ret, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(vmafx_client_read_close) VmafxClientReading *reading = NULL;
    Vmafx__V1__WatchJobRequest request = VMAFX__V1__WATCH_JOB_REQUEST__INIT;
    VmafxErr err = get(b, id, ret, reterr);

    if (err || job_has_ended(ret))
        return err;
    request.id = (char *)id;
    err = vmafx_client_read(((Controller *)b)->client, VMAFX_CALL_WATCH_JOB, &request.base, &reading, reterr);
    while (!err && !waiting->given_up(waiting->ctx)) {
        VMAFX_AUTO(vmafx_message_free) VmafxMessage *message = NULL;
        uint64_t now = vmafx_monotonic_ns();
        if (now >= waiting->until_ns)
            break;
        uint64_t left_ms = (waiting->until_ns - now) / 1000000u + 1;
        err = vmafx_client_read_next(reading, (uint32_t)VMAFX_MIN(left_ms, GIVEN_UP_MS), &message, reterr);
        if (err == VMAFX_ERR_DEADLINE) {
            err = VMAFX_OK;
            continue;
        }
        if (err || !message)
            break;
        const Vmafx__V1__WatchJobResponse *response = vmafx_message_get(message);
        if (!response->job)
            continue;
        update(response->job, ret);
        if (waiting->changed)
            waiting->changed(waiting->ctx, ret);
        if (job_has_ended(ret))
            break;
    }
    return err;
}

static VmafxErr list(Backend *b, const JobListQuery *query, JobList *ret, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(vmafx_message_free) VmafxMessage *answer = NULL;
    Vmafx__V1__ListJobsRequest request = VMAFX__V1__LIST_JOBS_REQUEST__INIT;
    Vmafx__V1__JobState states[VMAFX_LEN(query->states)];

    request.states = states;
    for (size_t i = 1; i < VMAFX_LEN(query->states); i++)
        if (query->states[i])
            states[request.n_states++] = (Vmafx__V1__JobState)i;
    request.page_size = query->limit;
    if (query->cursor)
        request.page_token = (char *)query->cursor;
    VmafxErr err = call(b, VMAFX_CALL_LIST_JOBS, &request.base, &answer, reterr);
    if (err)
        return err;
    const Vmafx__V1__ListJobsResponse *response = vmafx_message_get(answer);
    *ret = (JobList){ .jobs = calloc(response->n_jobs + 1, sizeof *ret->jobs) };
    if (!ret->jobs)
        return VMAFX_ERR_NOMEM;
    for (size_t i = 0; i < response->n_jobs; i++)
        view_of(response->jobs[i], &ret->jobs[ret->n++]);
    if (*response->next_page_token)
        ret->next = vmafx_strdup(response->next_page_token);
    return VMAFX_OK;
}

static VmafxErr cancel(Backend *b, const char *id, const char *reason, JobView *ret, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(vmafx_message_free) VmafxMessage *answer = NULL;
    Vmafx__V1__CancelJobRequest request = VMAFX__V1__CANCEL_JOB_REQUEST__INIT;
    VmafxErr err = get(b, id, ret, reterr); /* for the names, which the answer does not have */

    request.id = (char *)id;
    if (reason)
        request.reason = (char *)reason;
    if (!err)
        err = call(b, VMAFX_CALL_CANCEL_JOB, &request.base, &answer, reterr);
    if (err)
        return err;
    const Vmafx__V1__CancelJobResponse *response = vmafx_message_get(answer);
    if (!response->job)
        return no_job(reterr);
    update(response->job, ret);
    return VMAFX_OK;
}

/* ---- Results ---- */

static VmafxErr take_frames(JobResult *r, uint64_t *room, const Vmafx__V1__Frames *frames, VmafxErrInfo *reterr)
{
    size_t n = frames->n_columns ? frames->columns[0]->n_values : 0;

    if (frames->n_columns != r->n_columns || frames->first != (int64_t)r->n_rows)
        return vmafx_fail(reterr, VMAFX_ERR_SYNTAX, "the controller sent frames that do not fit together");
    if ((r->n_rows + n) * r->n_columns > FRAME_VALUES_MAX)
        return vmafx_fail(reterr, VMAFX_ERR_LIMIT,
                          "the job has too many frames for this program; `vmafx result ID --output FILE` writes them");
    if (r->n_rows + n > *room) { /* columns move apart: row major while it grows, turned at the end */
        uint64_t more = VMAFX_MAX(2 * *room, VMAFX_MAX(r->n_rows + n, 1024));
        double *values = realloc(r->values, more * r->n_columns * sizeof *values);
        if (!values)
            return VMAFX_ERR_NOMEM;
        r->values = values;
        *room = more;
    }
    for (size_t c = 0; c < r->n_columns; c++) {
        if (frames->columns[c]->n_values != n)
            return vmafx_fail(reterr, VMAFX_ERR_SYNTAX, "the controller sent columns of different lengths");
        for (size_t i = 0; i < n; i++)
            r->values[(r->n_rows + i) * r->n_columns + c] = frames->columns[c]->values[i];
    }
    r->n_rows += n;
    return VMAFX_OK;
}

static VmafxErr turn(JobResult *r)
{
    double *values = malloc(VMAFX_MAX(r->n_rows * r->n_columns * sizeof *values, (size_t)1));

    if (!values)
        return VMAFX_ERR_NOMEM;
    for (uint64_t row = 0; row < r->n_rows; row++)
        for (size_t c = 0; c < r->n_columns; c++)
            values[c * r->n_rows + row] = r->values[row * r->n_columns + c];
    free(r->values);
    r->values = values;
    return VMAFX_OK;
}

static VmafxErr result(Backend *b, const char *id, bool frames, JobResult *ret, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(vmafx_client_read_close) VmafxClientReading *reading = NULL;
    VMAFX_AUTO(job_result_done) JobResult r = { 0 };
    Vmafx__V1__GetResultRequest request = VMAFX__V1__GET_RESULT_REQUEST__INIT;
    uint64_t room = 0;

    request.id = (char *)id;
    request.summary_only = !frames;
    VmafxErr err = vmafx_client_read(((Controller *)b)->client, VMAFX_CALL_GET_RESULT, &request.base, &reading, reterr);
    while (!err) {
        VMAFX_AUTO(vmafx_message_free) VmafxMessage *message = NULL;
        err = vmafx_client_read_next(reading, 30000, &message, reterr);
        if (err || !message)
            break;
        const Vmafx__V1__GetResultResponse *response = vmafx_message_get(message);
        if (response->part_case == VMAFX__V1__GET_RESULT_RESPONSE__PART_SUMMARY && !r.summary) {
            r.summary = response->summary;
            r.n_columns = response->summary->n_series;
            r.message = VMAFX_TAKE(message);
        } else if (response->part_case == VMAFX__V1__GET_RESULT_RESPONSE__PART_FRAMES && r.summary)
            err = take_frames(&r, &room, response->frames, reterr);
    }
    if (!err && !r.summary)
        err = vmafx_fail(reterr, VMAFX_ERR_SYNTAX, "the controller sent no result");
    if (!err && r.n_rows)
        err = turn(&r);
    if (err)
        return err;
    *ret = r;
    r = (JobResult){ 0 };
    return VMAFX_OK;
}

/* ---- The fleet ---- */

static const char *node_state(Vmafx__V1__NodeState state)
{
    static const char *const names[] = { "unknown", "ready", "busy", "draining", "lost" };

    return (size_t)state < VMAFX_LEN(names) ? names[state] : "unknown";
}

static VmafxErr list_nodes(Backend *b, VmafxMessage **ret, VmafxErrInfo *reterr)
{
    Vmafx__V1__ListNodesRequest request = VMAFX__V1__LIST_NODES_REQUEST__INIT;

    return call(b, VMAFX_CALL_LIST_NODES, &request.base, ret, reterr);
}

/** A controller does not know which models its nodes have. */
static VmafxErr models(Backend *b, json_t *array, VmafxErrInfo *reterr)
{
    return VMAFX_OK;
}

static VmafxErr nodes(Backend *b, json_t *array, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(vmafx_message_free) VmafxMessage *answer = NULL;
    VmafxErr err = list_nodes(b, &answer, reterr);

    if (err)
        return err;
    const Vmafx__V1__ListNodesResponse *response = vmafx_message_get(answer);
    for (size_t i = 0; i < response->n_nodes; i++) {
        const Vmafx__V1__Node *node = response->nodes[i];
        json_t *one =
            json_pack("{s:s, s:s, s:s, s:i, s:i, s:s}", "name", node->name, "state", node_state(node->state), "version",
                      node->version, "slots", node->slots, "busy", node->slots_busy, "cpu_level", node->cpu_level);
        if (json_array_append_new(array, one))
            return VMAFX_ERR_NOMEM;
    }
    return VMAFX_OK;
}

static void health(Backend *b, bool thorough, json_t *facts, json_t *checks)
{
    VMAFX_AUTO(vmafx_message_free) VmafxMessage *answer = NULL;
    VmafxErrInfo info = { 0 };
    int ready = 0, slots = 0, busy = 0;
    VmafxErr err = list_nodes(b, &answer, &info);

    if (err) {
        health_check(checks, "controller", "fail", "%s", *info.message ? info.message : vmafx_err_text(err));
        return;
    }
    const Vmafx__V1__ListNodesResponse *response = vmafx_message_get(answer);
    for (size_t i = 0; i < response->n_nodes; i++) {
        const Vmafx__V1__Node *node = response->nodes[i];
        ready += node->state == VMAFX__V1__NODE_STATE__NODE_STATE_READY ||
                 node->state == VMAFX__V1__NODE_STATE__NODE_STATE_BUSY;
        slots += node->slots;
        busy += node->slots_busy;
    }
    health_check(checks, "controller", "ok", "the controller answers");
    if (ready)
        health_check(checks, "nodes", "ok", "%d of %zu nodes take work; %d of %d slots are busy", ready,
                     response->n_nodes, busy, slots);
    else
        health_check(checks, "nodes", "fail", "no node takes work: jobs wait until one is started (vmafx-node)");
    VMAFX_IGNORE(json_object_set_new(facts, "nodes_ready", json_integer(ready)));
    VMAFX_IGNORE(json_object_set_new(facts, "slots", json_integer(slots)));
    VMAFX_IGNORE(json_object_set_new(facts, "slots_busy", json_integer(busy)));
}

static void close_controller(Backend **at)
{
    Controller *controller = (Controller *)VMAFX_TAKE(*at);

    if (controller)
        vmafx_client_close(&controller->client);
    free(controller);
}

static const BackendOps ops = { "controller", submit,          get, wait, list, cancel, result, models, nodes,
                                health,       close_controller };

VmafxErr backend_controller_open(const RemoteConfig *config, Backend **ret, VmafxErrInfo *reterr)
{
    Controller *controller = calloc(1, sizeof *controller);

    if (!controller)
        return VMAFX_ERR_NOMEM;
    controller->base.ops = &ops;
    VmafxErr err = vmafx_client_open(
        &(VmafxClientConfig){
            .address = config->address,
            .cert_file = config->cert_file,
            .key_file = config->key_file,
            .ca_file = config->ca_file,
            .server_name = config->server_name,
        },
        &controller->client, reterr);
    if (err)
        free(controller);
    else
        *ret = &controller->base;
    return err;
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * A vmafx-server: it scores what a call asks for while that call lasts and remembers nothing, so the calls are held
 * here, by a few threads, and what they found out is kept in this process.
 */

#include <math.h>
#include <string.h>

#include "base/base.h"
#include "base/columns.h"
#include "client/client.h"
#include "programs/mcp/backend.h"
#include "programs/mcp/local_jobs.h"
#include "rpc/spec_check.h"

#define FRAME_VALUES_MAX ((uint64_t)8 << 20)
#define STOP_CHECK_MS    200

typedef struct Server {
    Backend base;
    VmafxClient *client;
    LocalJobs *jobs;
    int slots;
} Server;

/** What one call has said so far. */
typedef struct Heard {
    VmafxMessage *outcome; /* the event that has it */
    double *values;        /* frame by frame */
    uint64_t n_rows, room;
    size_t n_columns;
} Heard;

static void heard_done(Heard *heard)
{
    vmafx_message_free(&heard->outcome);
    free(heard->values);
}

static VmafxErr take_frames(Heard *heard, const Vmafx__V1__Frames *frames, VmafxErrInfo *reterr)
{
    size_t n = frames->n_columns ? frames->columns[0]->n_values : 0;

    heard->n_columns = heard->n_rows ? heard->n_columns : frames->n_columns;
    if (frames->n_columns != heard->n_columns || frames->first != (int64_t)heard->n_rows)
        return vmafx_fail(reterr, VMAFX_ERR_SYNTAX, "the server sent frames that do not fit together");
    if ((heard->n_rows + n) * heard->n_columns > FRAME_VALUES_MAX)
        return vmafx_fail(reterr, VMAFX_ERR_LIMIT, "the videos have too many frames for this program");
    if (heard->n_rows + n > heard->room) {
        uint64_t room = VMAFX_MAX(2 * heard->room, VMAFX_MAX(heard->n_rows + n, 1024));
        double *values = realloc(heard->values, room * heard->n_columns * sizeof *values);
        if (!values)
            return VMAFX_ERR_NOMEM;
        heard->values = values;
        heard->room = room;
    }
    for (size_t c = 0; c < heard->n_columns; c++) {
        if (frames->columns[c]->n_values != n)
            return vmafx_fail(reterr, VMAFX_ERR_SYNTAX, "the server sent columns of different lengths");
        for (size_t i = 0; i < n; i++)
            heard->values[(heard->n_rows + i) * heard->n_columns + c] = frames->columns[c]->values[i];
    }
    heard->n_rows += n;
    return VMAFX_OK;
}

static VmafxErr pack_frames(const Heard *heard, uint8_t **ret, size_t *ret_len)
{
    VMAFX_AUTO(vmafx_free_p) double *turned = malloc(VMAFX_MAX(heard->n_rows * heard->n_columns * sizeof(double), 1ul));
    VMAFX_AUTO(vmafx_free_p) const double **columns = calloc(heard->n_columns + 1, sizeof *columns);

    if (!turned || !columns)
        return VMAFX_ERR_NOMEM;
    for (size_t c = 0; c < heard->n_columns; c++) {
        columns[c] = turned + c * heard->n_rows;
        for (uint64_t row = 0; row < heard->n_rows; row++)
            turned[c * heard->n_rows + row] = heard->values[row * heard->n_columns + c];
    }
    return vmafx_columns_pack(columns, heard->n_columns, heard->n_rows, ret, ret_len);
}

static VmafxErr take(Heard *heard, LocalJob *job, VmafxMessage **message, VmafxErrInfo *reterr)
{
    const Vmafx__V1__ScoreEvent *event = vmafx_message_get(*message);

    switch (event->kind_case) {
    case VMAFX__V1__SCORE_EVENT__KIND_PROGRESS:
        local_job_progress(job, event->progress->frames, event->progress->frames_total, event->progress->frame_rate);
        return VMAFX_OK;
    case VMAFX__V1__SCORE_EVENT__KIND_FRAMES:
        return take_frames(heard, event->frames, reterr);
    case VMAFX__V1__SCORE_EVENT__KIND_OUTCOME:
        vmafx_message_free(&heard->outcome);
        heard->outcome = VMAFX_TAKE(*message);
        return VMAFX_OK;
    default:
        return VMAFX_OK;
    }
}

static VmafxErr listen_to(Server *server, LocalJob *job, Heard *heard, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(vmafx_client_read_close) VmafxClientReading *reading = NULL;
    const Vmafx__V1__JobSpec *spec = local_job_spec(job);
    Vmafx__V1__ScoreRequest request = VMAFX__V1__SCORE_REQUEST__INIT;

    request.reference = spec->reference;
    request.distorted = (Vmafx__V1__Input *)(uintptr_t)vmafx_spec_distorted(spec);
    request.encode = (Vmafx__V1__EncodeRecipe *)(uintptr_t)vmafx_spec_recipe(spec);
    request.n_models = spec->n_models;
    request.models = spec->models;
    request.n_features = spec->n_features;
    request.features = spec->features;
    request.comparison = spec->comparison;
    request.timeout_ms = spec->timeout_ms;
    request.progress = request.frames = true;
    VmafxErr err = vmafx_client_read(server->client, VMAFX_CALL_SCORE, &request.base, &reading, reterr);
    while (!err) {
        VMAFX_AUTO(vmafx_message_free) VmafxMessage *message = NULL;
        if (local_job_stopped(job))
            return VMAFX_ERR_CANCELLED; /* leaving is how a call is cancelled */
        err = vmafx_client_read_next(reading, STOP_CHECK_MS, &message, reterr);
        if (err == VMAFX_ERR_DEADLINE) {
            err = VMAFX_OK;
            continue;
        }
        if (err || !message)
            break;
        err = take(heard, job, &message, reterr);
    }
    if (!err && !heard->outcome)
        err = vmafx_fail(reterr, VMAFX_ERR_SYNTAX, "the server ended the call without an outcome");
    return err;
}

static Vmafx__V1__FailureClass failure_of(VmafxErr err)
{
    switch (err) {
    case VMAFX_ERR_INPUT:
    case VMAFX_ERR_NOT_FOUND:
    case VMAFX_ERR_FORBIDDEN:
    case VMAFX_ERR_INVALID:
        return VMAFX__V1__FAILURE_CLASS__FAILURE_CLASS_INPUT;
    case VMAFX_ERR_DEADLINE:
        return VMAFX__V1__FAILURE_CLASS__FAILURE_CLASS_TIMEOUT;
    case VMAFX_ERR_BUSY:
    case VMAFX_ERR_NOMEM:
    case VMAFX_ERR_LIMIT:
        return VMAFX__V1__FAILURE_CLASS__FAILURE_CLASS_RESOURCE;
    default:
        return VMAFX__V1__FAILURE_CLASS__FAILURE_CLASS_NODE;
    }
}

static void run_job(void *ctx, LocalJob *job)
{
    VmafxContextToken token = vmafx_context_attach(local_job_context(job));
    VMAFX_AUTO(heard_done) Heard heard = { 0 };
    VMAFX_AUTO(vmafx_free_p) uint8_t *frames = NULL;
    VmafxErrInfo info = { 0 };
    LocalEnd end = { .state = VMAFX__V1__JOB_STATE__JOB_STATE_SUCCEEDED, .message = "" };
    VmafxErr err = local_job_stopped(job) ? VMAFX_ERR_CANCELLED : listen_to(ctx, job, &heard, &info);

    VMAFX_IGNORE(!vmafx_context_detach(token)); /* the order is right */
    if (!err && heard.n_rows)
        err = pack_frames(&heard, &frames, &end.frames_len);
    if (err == VMAFX_ERR_CANCELLED)
        end.state = VMAFX__V1__JOB_STATE__JOB_STATE_CANCELLED;
    else if (err) {
        end.state = VMAFX__V1__JOB_STATE__JOB_STATE_FAILED;
        end.failure = failure_of(err);
        end.message = *info.message ? info.message : vmafx_err_text(err);
        end.frames_len = 0;
    } else {
        const Vmafx__V1__ScoreOutcome *outcome =
            ((const Vmafx__V1__ScoreEvent *)vmafx_message_get(heard.outcome))->outcome;
        if (outcome->failure_class)
            end.state = VMAFX__V1__JOB_STATE__JOB_STATE_FAILED;
        end.failure = outcome->failure_class;
        end.message = outcome->message;
        end.result = outcome->result;
        end.frames = frames;
        end.has_score = outcome->has_score_case == VMAFX__V1__SCORE_OUTCOME__HAS_SCORE_SCORE;
        end.score = outcome->score;
    }
    local_job_end(job, &end);
}

/* ---- The interface ---- */

static VmafxErr submit(Backend *b, const Vmafx__V1__JobSpec *spec, char ret_id[JOB_ID_TEXT], VmafxErrInfo *reterr)
{
    return local_jobs_submit(((Server *)b)->jobs, spec, ret_id, reterr);
}

static VmafxErr get(Backend *b, const char *id, JobView *ret, VmafxErrInfo *reterr)
{
    return local_jobs_get(((Server *)b)->jobs, id, ret, reterr);
}

static VmafxErr wait(Backend *b, const char *id, const JobWait *waiting, JobView *ret, VmafxErrInfo *reterr)
{
    return local_jobs_wait(((Server *)b)->jobs, id, waiting, ret, reterr);
}

static VmafxErr list(Backend *b, const JobListQuery *query, JobList *ret, VmafxErrInfo *reterr)
{
    return local_jobs_list(((Server *)b)->jobs, query, ret, reterr);
}

static VmafxErr cancel(Backend *b, const char *id, const char *reason, JobView *ret, VmafxErrInfo *reterr)
{
    return local_jobs_cancel(((Server *)b)->jobs, id, ret, reterr);
}

static VmafxErr result(Backend *b, const char *id, bool frames, JobResult *ret, VmafxErrInfo *reterr)
{
    return local_jobs_result(((Server *)b)->jobs, id, frames, ret, reterr);
}

static VmafxErr models(Backend *b, json_t *array, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(vmafx_message_free) VmafxMessage *answer = NULL;
    Vmafx__V1__ListModelsRequest request = VMAFX__V1__LIST_MODELS_REQUEST__INIT;
    VmafxErr err = vmafx_client_call(((Server *)b)->client, VMAFX_CALL_LIST_MODELS, &request.base, &answer, reterr);

    if (err)
        return err;
    const Vmafx__V1__ListModelsResponse *response = vmafx_message_get(answer);
    for (size_t i = 0; i < response->n_versions && !err; i++)
        err = json_array_append_new(array, json_string(response->versions[i])) ? VMAFX_ERR_NOMEM : VMAFX_OK;
    return err;
}

static VmafxErr capabilities(Backend *b, VmafxMessage **ret, VmafxErrInfo *reterr)
{
    Vmafx__V1__GetCapabilitiesRequest request = VMAFX__V1__GET_CAPABILITIES_REQUEST__INIT;

    return vmafx_client_call(((Server *)b)->client, VMAFX_CALL_GET_CAPABILITIES, &request.base, ret, reterr);
}

static VmafxErr nodes(Backend *b, json_t *array, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(vmafx_message_free) VmafxMessage *answer = NULL;
    VmafxErr err = capabilities(b, &answer, reterr);
    int queued, running;

    if (err)
        return err;
    const Vmafx__V1__GetCapabilitiesResponse *response = vmafx_message_get(answer);
    local_jobs_counts(((Server *)b)->jobs, &queued, &running);
    json_t *node = json_pack("{s:s, s:s, s:s, s:i, s:i, s:s}", "name", "server", "state",
                             running < response->slots ? "ready" : "busy", "version", response->version, "slots",
                             response->slots, "busy", running, "cpu_level", response->kernel_level);
    return json_array_append_new(array, node) ? VMAFX_ERR_NOMEM : VMAFX_OK;
}

static void health(Backend *b, bool thorough, json_t *facts, json_t *checks)
{
    VMAFX_AUTO(vmafx_message_free) VmafxMessage *answer = NULL;
    VmafxErrInfo info = { 0 };
    VmafxErr err = capabilities(b, &answer, &info);
    int queued, running;

    local_jobs_counts(((Server *)b)->jobs, &queued, &running);
    VMAFX_IGNORE(json_object_set_new(facts, "jobs_queued", json_integer(queued)));
    VMAFX_IGNORE(json_object_set_new(facts, "jobs_running", json_integer(running)));
    if (err) {
        health_check(checks, "server", "fail", "%s", *info.message ? info.message : vmafx_err_text(err));
        return;
    }
    const Vmafx__V1__GetCapabilitiesResponse *response = vmafx_message_get(answer);
    health_check(checks, "server", "ok", "vmafx-server %s answers; %d scorings at a time", response->version,
                 response->slots);
    if (!response->paths && !response->urls)
        health_check(checks, "inputs", "fail",
                     "the server opens neither paths nor URLs; its roots or hosts must be set");
    VMAFX_IGNORE(json_object_set_new(facts, "kernel_level", json_string(response->kernel_level)));
    VMAFX_IGNORE(json_object_set_new(facts, "slots", json_integer(response->slots)));
}

static void close_server(Backend **at)
{
    Server *server = (Server *)VMAFX_TAKE(*at);

    if (!server)
        return;
    local_jobs_free(&server->jobs);
    vmafx_client_close(&server->client);
    free(server);
}

static const BackendOps ops = {
    "server", submit, get, wait, list, cancel, result, models, nodes, health, close_server
};

VmafxErr backend_server_open(const RemoteConfig *config, int slots, Backend **ret, VmafxErrInfo *reterr)
{
    Server *server = calloc(1, sizeof *server);

    if (!server)
        return VMAFX_ERR_NOMEM;
    server->base.ops = &ops;
    server->slots = slots;
    VmafxErr err = vmafx_client_open(
        &(VmafxClientConfig){
            .address = config->address,
            .cert_file = config->cert_file,
            .key_file = config->key_file,
            .ca_file = config->ca_file,
            .server_name = config->server_name,
            .kind = "vmafx-server",
        },
        &server->client, reterr);
    if (!err)
        err = local_jobs_new(slots, run_job, NULL, server, &server->jobs);
    Backend *base = &server->base;
    if (err)
        close_server(&base);
    else
        *ret = base;
    return err;
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Tools that start jobs, follow and end them. None waits longer than its bound. */

#include <inttypes.h>
#include <string.h>

#include "base/base.h"
#include "base/clock.h"
#include "programs/mcp/document.h"
#include "programs/mcp/request.h"
#include "programs/mcp/tools.h"

#define WAIT_DEFAULT_S 25
#define ENCODES_MAX    20
#define NEARLY_BEST    2.0 /* points that no viewer notices */

static const char *text_of(const json_t *arguments, const char *key)
{
    return json_string_value(json_object_get(arguments, key));
}

static double number_of(const json_t *arguments, const char *key, double otherwise)
{
    const json_t *value = json_object_get(arguments, key);

    return value ? json_number_value(value) : otherwise;
}

static Backend *backend_of(const Call *call)
{
    return call->program->backend;
}

static void remember(Call *call, const char *id)
{
    snprintf(call->job_id, sizeof call->job_id, "%s", id);
}

/* ---- Waiting ---- */

static bool given_up(void *ctx)
{
    return call_given_up(ctx);
}

/** Progress only grows, as the protocol wants it. */
static void tell(Call *call, double progress, double total, const char *message)
{
    if (!call->progress_token || !call->notify || progress <= call->progress)
        return;
    call->progress = progress;
    json_t *params =
        json_pack("{s:O, s:f, s:s}", "progressToken", call->progress_token, "progress", progress, "message", message);
    if (params && total > 0)
        VMAFX_IGNORE(json_object_set_new(params, "total", json_real(total)));
    json_t *notification = params ? jsonrpc_notification("notifications/progress", params) : NULL;
    if (notification)
        call->notify(call->notify_ctx, notification);
}

static void changed(void *ctx, const JobView *job)
{
    char message[128];

    snprintf(message, sizeof message, "%s, %" PRId64 " frames", state_name(job->state), job->frames);
    tell(ctx, (double)job->frames, (double)job->frames_total, message);
}

static uint64_t deadline(const json_t *arguments)
{
    return vmafx_monotonic_ns() + (uint64_t)(number_of(arguments, "wait_seconds", WAIT_DEFAULT_S) * 1e9);
}

static VmafxErr wait_for(Call *call, const char *id, uint64_t until_ns, JobView *ret, VmafxErrInfo *reterr)
{
    JobWait wait = { .until_ns = until_ns, .given_up = given_up, .changed = changed, .ctx = call };
    Backend *b = backend_of(call);
    VmafxErr err = b->ops->wait(b, id, &wait, ret, reterr);

    if (!err)
        changed(call, ret); /* how far it came at last, also where it was quicker than we looked */
    return err;
}

/** What is known of a job as a measurement, with its result if there is one. */
static VmafxErr give_measurement(Call *call, const JobView *job, ToolOutput *ret, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(job_result_done) JobResult result = { 0 };
    const Catalogue *catalogue = &call->program->catalogue;
    Backend *b = backend_of(call);
    VmafxErr err = job->has_result ? b->ops->result(b, job->id, false, &result, reterr) : VMAFX_OK;

    if (err)
        return err;
    ret->value = measurement_document(catalogue, job, result.summary);
    ret->text = measurement_text(catalogue, job, result.summary);
    return ret->value && ret->text ? VMAFX_OK : VMAFX_ERR_NOMEM;
}

static VmafxErr give_job(Call *call, const JobView *job, ToolOutput *ret)
{
    ret->value = job_document(&call->program->catalogue, job);
    ret->text = job_text(&call->program->catalogue, job);
    return ret->value && ret->text ? VMAFX_OK : VMAFX_ERR_NOMEM;
}

/** A job that failed without any scores is an error of the tool that waited for it. */
static VmafxErr failed(const JobView *job, VmafxErrInfo *reterr)
{
    if (job->state != VMAFX__V1__JOB_STATE__JOB_STATE_FAILED || job->has_result)
        return VMAFX_OK;
    return vmafx_fail(reterr, VMAFX_ERR_STATE, "the measurement failed (%s): %.380s (job %s)",
                      failure_name(job->failure), job->message, job->id);
}

/* ---- Starting ---- */

static VmafxErr start(Call *call, const char *reference, const char *distorted, const json_t *arguments,
                      char ret_id[JOB_ID_TEXT], VmafxErrInfo *reterr)
{
    VMAFX_AUTO(vmafx_free_p) Request *request = malloc(sizeof *request); /* too large for a stack */
    RequestPlace place = { call->program->roots, call->program->folder };
    Backend *b = backend_of(call);

    if (!request)
        return VMAFX_ERR_NOMEM;
    VmafxErr err = request_init(request, &place, reference, distorted, arguments, reterr);
    return err ? err : b->ops->submit(b, &request->spec, ret_id, reterr);
}

VmafxErr tool_score_videos(Call *call, const json_t *arguments, ToolOutput *ret, VmafxErrInfo *reterr)
{
    uint64_t until_ns = deadline(arguments);
    char id[JOB_ID_TEXT];
    JobView job;
    VmafxErr err = start(call, text_of(arguments, "reference"), text_of(arguments, "distorted"), arguments, id, reterr);

    if (err)
        return err;
    remember(call, id);
    err = wait_for(call, id, until_ns, &job, reterr);
    if (!err && atomic_load(&call->cancelled) &&
        !job_has_ended(&job)) { /* who asked for it does not want it any more */
        Backend *b = backend_of(call);
        VMAFX_IGNORE(b->ops->cancel(b, id, "the call was cancelled", &job, NULL)); /* it may have ended just now */
    }
    if (!err)
        err = failed(&job, reterr);
    return err ? err : give_measurement(call, &job, ret, reterr);
}

VmafxErr tool_start_job(Call *call, const json_t *arguments, ToolOutput *ret, VmafxErrInfo *reterr)
{
    Backend *b = backend_of(call);
    char id[JOB_ID_TEXT];
    JobView job;
    VmafxErr err = start(call, text_of(arguments, "reference"), text_of(arguments, "distorted"), arguments, id, reterr);

    if (!err) {
        remember(call, id);
        err = b->ops->get(b, id, &job, reterr);
    }
    return err ? err : give_job(call, &job, ret);
}

/* ---- Following ---- */

VmafxErr tool_job_status(Call *call, const json_t *arguments, ToolOutput *ret, VmafxErrInfo *reterr)
{
    Backend *b = backend_of(call);
    JobView job;

    remember(call, text_of(arguments, "job_id"));
    VmafxErr err = b->ops->get(b, call->job_id, &job, reterr);
    return err ? err : give_job(call, &job, ret);
}

VmafxErr tool_wait_for_job(Call *call, const json_t *arguments, ToolOutput *ret, VmafxErrInfo *reterr)
{
    JobView job;

    remember(call, text_of(arguments, "job_id"));
    VmafxErr err = wait_for(call, call->job_id, deadline(arguments), &job, reterr);
    if (!err)
        err = failed(&job, reterr);
    return err ? err : give_measurement(call, &job, ret, reterr);
}

VmafxErr tool_job_result(Call *call, const json_t *arguments, ToolOutput *ret, VmafxErrInfo *reterr)
{
    Backend *b = backend_of(call);
    JobView job;

    remember(call, text_of(arguments, "job_id"));
    VmafxErr err = b->ops->get(b, call->job_id, &job, reterr);
    if (!err)
        err = failed(&job, reterr);
    if (!err && !job.has_result)
        return vmafx_fail(reterr, VMAFX_ERR_STATE, "the job has no result: it is %s. %s", state_name(job.state),
                          job_has_ended(&job) ? "" : "wait_for_job waits for its end");
    return err ? err : give_measurement(call, &job, ret, reterr);
}

VmafxErr tool_cancel_job(Call *call, const json_t *arguments, ToolOutput *ret, VmafxErrInfo *reterr)
{
    Backend *b = backend_of(call);
    JobView job;

    remember(call, text_of(arguments, "job_id"));
    VmafxErr err = b->ops->cancel(b, call->job_id, text_of(arguments, "reason"), &job, reterr);
    /* One that runs ends a moment later: a short wait spares the caller another question. */
    if (!err && !job_has_ended(&job))
        err = wait_for(call, call->job_id, vmafx_monotonic_ns() + 5000000000u, &job, reterr);
    return err ? err : give_job(call, &job, ret);
}

VmafxErr tool_list_jobs(Call *call, const json_t *arguments, ToolOutput *ret, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(job_list_done) JobList list = { 0 };
    JobListQuery query = { .limit = (int)number_of(arguments, "limit", 20), .cursor = text_of(arguments, "cursor") };
    Backend *b = backend_of(call);
    json_t *jobs = json_array();
    const json_t *state;
    size_t i;

    json_array_foreach(json_object_get(arguments, "states"), i, state)
        query.states[state_parse(json_string_value(state))] = true;
    VmafxErr err = b->ops->list(b, &query, &list, reterr);
    for (i = 0; i < list.n && !err; i++)
        err = json_array_append_new(jobs, job_document(&call->program->catalogue, &list.jobs[i])) ? VMAFX_ERR_NOMEM
                                                                                                  : VMAFX_OK;
    if (err) {
        json_decref(jobs);
        return err;
    }
    ret->value = json_pack("{s:o, s:s*}", "jobs", jobs, "next_cursor", list.next);
    ret->text = vmafx_sprintf("%zu jobs%s.", list.n, list.next ? "; there are more" : "");
    return ret->value && ret->text ? VMAFX_OK : VMAFX_ERR_NOMEM;
}

/* ---- Comparing ---- */

typedef struct Encode {
    JobView job;
    double harmonic_mean, min, p5;
    int64_t size_bytes, bit_rate;
    bool has_result;
} Encode;

static VmafxErr begin_encodes(Call *call, const json_t *arguments, char ids[][JOB_ID_TEXT], size_t *ret_n,
                              VmafxErrInfo *reterr)
{
    const json_t *distorted = json_object_get(arguments, "distorted"), *known = json_object_get(arguments, "job_ids");
    const char *reference = text_of(arguments, "reference");
    Backend *b = backend_of(call);
    size_t n = json_array_size(known ? known : distorted);

    if (known ? reference || distorted : !reference || !distorted)
        return vmafx_fail(reterr, VMAFX_ERR_INVALID,
                          "give either reference and distorted (to start), or job_ids (to go on with an earlier call)");
    for (size_t i = 0; i < n; i++) {
        VmafxErr err = VMAFX_OK;
        if (known)
            snprintf(ids[i], JOB_ID_TEXT, "%s", json_string_value(json_array_get(known, i)));
        else
            err = start(call, reference, json_string_value(json_array_get(distorted, i)), arguments, ids[i], reterr);
        for (size_t k = 0; err && k < i; k++) { /* all of them or none: half a comparison helps nobody */
            JobView job;
            VMAFX_IGNORE(b->ops->cancel(b, ids[k], "another encode was refused", &job, NULL)); /* it may have ended */
        }
        if (err)
            return err;
    }
    *ret_n = n;
    return VMAFX_OK;
}

static VmafxErr look_at(Call *call, const char *id, uint64_t until_ns, Encode *ret, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(job_result_done) JobResult result = { 0 };
    JobWait wait = { .until_ns = until_ns, .given_up = given_up, .ctx = call };
    Backend *b = backend_of(call);
    VmafxErr err = b->ops->wait(b, id, &wait, &ret->job, reterr);

    if (!err && ret->job.has_result)
        err = b->ops->result(b, id, false, &result, reterr);
    if (err || !result.summary)
        return err;
    const Vmafx__V1__SeriesSummary *verdict = result_verdict(result.summary);
    if (!verdict)
        return VMAFX_OK;
    ret->has_result = true;
    ret->job.score = verdict->mean;
    ret->harmonic_mean = verdict->harmonic_mean;
    ret->min = verdict->min;
    ret->p5 = verdict->p5;
    if (result.summary->n_inputs > 1) {
        ret->size_bytes = result.summary->inputs[1]->size_bytes;
        ret->bit_rate = input_bit_rate(result.summary->inputs[1]);
    }
    return VMAFX_OK;
}

/** Best first; what has no score last, in the order it came. */
static int better_first(const void *a, const void *b)
{
    const Encode *x = a, *y = b;

    if (x->has_result != y->has_result)
        return y->has_result - x->has_result;
    return !x->has_result ? strcmp(x->job.id, y->job.id)
                          : (x->job.score < y->job.score) - (x->job.score > y->job.score);
}

static json_t *encode_document(const Call *call, const Encode *e)
{
    json_t *d = json_pack("{s:s, s:s}", "job_id", e->job.id, "state", state_name(e->job.state));

    set_text(d, "distorted", e->job.distorted);
    set_text(d, "message", e->job.message);
    if (!e->has_result)
        return d;
    set_text(d, "rating", catalogue_rating(&call->program->catalogue, e->job.score, NULL));
    json_t *numbers =
        json_pack("{s:o, s:o, s:o, s:o}", "score", number_or_null(e->job.score), "harmonic_mean",
                  number_or_null(e->harmonic_mean), "min", number_or_null(e->min), "p5", number_or_null(e->p5));
    VMAFX_IGNORE(json_object_update_new(d, numbers)); /* without memory there are fewer of them */
    if (e->size_bytes)
        VMAFX_IGNORE(json_object_set_new(d, "size_bytes", json_integer(e->size_bytes)));
    if (e->bit_rate)
        VMAFX_IGNORE(json_object_set_new(d, "bits_per_second", json_integer(e->bit_rate)));
    return d;
}

static const Encode *smallest_of_the_best(const Encode *encodes, size_t n)
{
    const Encode *found = n && encodes[0].has_result ? &encodes[0] : NULL;

    for (size_t i = 1; found && i < n && encodes[i].has_result; i++)
        if (encodes[i].job.score >= encodes[0].job.score - NEARLY_BEST && encodes[i].size_bytes &&
            encodes[i].size_bytes < found->size_bytes)
            found = &encodes[i];
    return found;
}

static char *table(const Call *call, const Encode *encodes, size_t n)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    if (!out)
        return NULL;
    fputs("score     p5    min       bit/s  encode\n", out);
    for (size_t i = 0; i < n; i++) {
        const Encode *e = &encodes[i];
        if (e->has_result)
            fprintf(out, "%5.2f  %5.2f  %5.2f  %10" PRId64 "  %s (%s)\n", e->job.score, e->p5, e->min, e->bit_rate,
                    e->job.distorted, catalogue_rating(&call->program->catalogue, e->job.score, NULL));
        else
            fprintf(out, "%-12s %s %s\n", state_name(e->job.state), e->job.distorted, e->job.message);
    }
    return fclose(out) ? NULL : text;
}

static VmafxErr give_comparison(const Call *call, Encode *encodes, size_t n, ToolOutput *ret)
{
    json_t *list = json_array(), *ids = json_array();
    bool done = true;

    for (size_t i = 0; i < n; i++)
        VMAFX_IGNORE(json_array_append_new(ids, json_string(encodes[i].job.id)));
    qsort(encodes, n, sizeof *encodes, better_first);
    for (size_t i = 0; i < n; i++) {
        done = done && job_has_ended(&encodes[i].job);
        VMAFX_IGNORE(json_array_append_new(list, encode_document(call, &encodes[i])));
    }
    const Encode *recommended = done ? smallest_of_the_best(encodes, n) : NULL;
    ret->value =
        json_pack("{s:b, s:o, s:o, s:s*, s:s*}", "done", done, "job_ids", ids, "encodes", list, "best",
                  recommended ? encodes[0].job.id : NULL, "recommended", recommended ? recommended->job.id : NULL);
    ret->text = table(call, encodes, n);
    return ret->value && ret->text ? VMAFX_OK : VMAFX_ERR_NOMEM;
}

VmafxErr tool_compare_encodes(Call *call, const json_t *arguments, ToolOutput *ret, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(vmafx_free_p) Encode *encodes = calloc(ENCODES_MAX, sizeof *encodes);
    char ids[ENCODES_MAX][JOB_ID_TEXT], message[64];
    uint64_t until_ns = deadline(arguments);
    size_t n = 0;
    VmafxErr err = encodes ? begin_encodes(call, arguments, ids, &n, reterr) : VMAFX_ERR_NOMEM;

    for (size_t i = 0; i < n && !err; i++) {
        err = look_at(call, ids[i], until_ns, &encodes[i], reterr);
        snprintf(message, sizeof message, "%zu of %zu encodes", i + 1, n);
        if (!err && job_has_ended(&encodes[i].job))
            tell(call, (double)(i + 1), (double)n, message);
    }
    return err ? err : give_comparison(call, encodes, n, ret);
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Jobs and results as the JSON that tools give, and as texts for people. */

#include "programs/mcp/document.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <time.h>

#include "base/base.h"

static const char *const states[] = { "unspecified", "queued", "running", "succeeded", "failed", "cancelled" };
static const char *const failures[] = { "",         "input", "mismatch", "model",   "encoder",
                                        "resource", "node",  "timeout",  "internal" };

const char *state_name(Vmafx__V1__JobState state)
{
    return (size_t)state < VMAFX_LEN(states) ? states[state] : states[0];
}

Vmafx__V1__JobState state_parse(const char *name)
{
    for (size_t i = 1; i < VMAFX_LEN(states); i++)
        if (!strcmp(states[i], name))
            return (Vmafx__V1__JobState)i;
    return VMAFX__V1__JOB_STATE__JOB_STATE_UNSPECIFIED;
}

const char *failure_name(Vmafx__V1__FailureClass failure)
{
    return (size_t)failure < VMAFX_LEN(failures) ? failures[failure] : "";
}

json_t *number_or_null(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

/* A member that could not be set for want of memory is missing; the whole is then refused by its reader at worst. */
static void set(json_t *object, const char *key, json_t *value)
{
    VMAFX_IGNORE(json_object_set_new(object, key, value));
}

void set_text(json_t *object, const char *key, const char *text)
{
    if (text && *text)
        set(object, key, json_string(text));
}

static void set_number(json_t *object, const char *key, double value)
{
    if (isfinite(value))
        set(object, key, json_real(value));
}

static void set_time(json_t *object, const char *key, int64_t us)
{
    time_t seconds = (time_t)(us / 1000000);
    struct tm parts;
    char text[64];

    if (us && gmtime_r(&seconds, &parts) && strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts))
        set_text(object, key, text);
}

/* ---- Jobs ---- */

json_t *job_document(const Catalogue *catalogue, const JobView *job)
{
    json_t *d = json_pack("{s:s, s:s}", "job_id", job->id, "state", state_name(job->state));

    if (!d)
        return NULL;
    set_text(d, "reference", job->reference);
    set_text(d, "distorted", job->distorted);
    if (job->frames)
        set(d, "frames", json_integer(job->frames));
    if (job->frames_total)
        set(d, "frames_total", json_integer(job->frames_total));
    if (job->state == VMAFX__V1__JOB_STATE__JOB_STATE_RUNNING && job->frame_rate > 0) {
        set_number(d, "frames_per_second", job->frame_rate);
        if (job->frames_total > job->frames)
            set_number(d, "seconds_left", (double)(job->frames_total - job->frames) / job->frame_rate);
    }
    if (job->has_score) {
        set_number(d, "score", job->score);
        set_text(d, "rating", catalogue_rating(catalogue, job->score, NULL));
    }
    set_text(d, "failure", failure_name(job->failure));
    set_text(d, "message", job->message);
    set_text(d, "node", job->node);
    set_text(d, "trace_id", job->trace_id);
    set_time(d, "created", job->created_us);
    set_time(d, "started", job->started_us);
    set_time(d, "ended", job->ended_us);
    return d;
}

char *job_text(const Catalogue *catalogue, const JobView *job)
{
    switch (job->state) {
    case VMAFX__V1__JOB_STATE__JOB_STATE_QUEUED:
        return vmafx_sprintf("Job %s waits for its turn. Call wait_for_job to follow it.", job->id);
    case VMAFX__V1__JOB_STATE__JOB_STATE_RUNNING:
        if (job->frames_total)
            return vmafx_sprintf("Job %s is running: %" PRId64 " of %" PRId64 " frames, %.1f frames/s.", job->id,
                                 job->frames, job->frames_total, job->frame_rate);
        return vmafx_sprintf("Job %s is running: %" PRId64 " frames so far.", job->id, job->frames);
    case VMAFX__V1__JOB_STATE__JOB_STATE_SUCCEEDED:
        return vmafx_sprintf("Job %s is done: VMAF %.2f, %s.", job->id, job->score,
                             catalogue_rating(catalogue, job->score, NULL));
    case VMAFX__V1__JOB_STATE__JOB_STATE_FAILED:
        return vmafx_sprintf("Job %s failed (%s): %s", job->id, failure_name(job->failure), job->message);
    default:
        return vmafx_sprintf("Job %s was cancelled.", job->id);
    }
}

/* ---- Results ---- */

static json_t *pooled(const Vmafx__V1__SeriesSummary *s)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "mean", number_or_null(s->mean), "harmonic_mean",
                     number_or_null(s->harmonic_mean), "min", number_or_null(s->min), "max", number_or_null(s->max),
                     "p1", number_or_null(s->p1), "p5", number_or_null(s->p5));
}

int64_t input_bit_rate(const Vmafx__V1__InputFacts *input)
{
    if (input->frames <= 0 || input->size_bytes <= 0 || input->rate_num <= 0 || input->rate_den <= 0)
        return 0;
    return (int64_t)llround((double)input->size_bytes * 8 * input->rate_num / input->rate_den / (double)input->frames);
}

static json_t *inputs_document(const Vmafx__V1__Result *result)
{
    json_t *array = json_array();

    for (size_t i = 0; i < result->n_inputs; i++) {
        const Vmafx__V1__InputFacts *in = result->inputs[i];
        json_t *d = json_pack("{s:s, s:s, s:i, s:i, s:i}", "role", i ? "distorted" : "reference", "name", in->uri,
                              "width", in->width, "height", in->height, "bit_depth", in->bit_depth);
        set_text(d, "codec", in->codec);
        set_text(d, "container", in->container);
        set_text(d, "sha256", in->sha256);
        if (in->rate_num > 0 && in->rate_den > 0)
            set_number(d, "frame_rate", (double)in->rate_num / in->rate_den);
        if (in->frames > 0)
            set(d, "frames", json_integer(in->frames));
        if (in->size_bytes > 0)
            set(d, "size_bytes", json_integer(in->size_bytes));
        if (input_bit_rate(in))
            set(d, "bits_per_second", json_integer(input_bit_rate(in)));
        VMAFX_IGNORE(json_array_append_new(array, d));
    }
    return array;
}

static json_t *encode_document(const Vmafx__V1__EncodeFacts *e)
{
    json_t *options = json_array();
    json_t *d =
        json_pack("{s:s, s:s, s:i, s:i, s:I, s:I}", "encoder", e->encoder, "codec", e->codec, "width", e->width,
                  "height", e->height, "frames", (json_int_t)e->frames, "size_bytes", (json_int_t)e->size_bytes);

    set_text(d, "version", e->encoder_version);
    set_text(d, "reason", e->reason);
    set_text(d, "preset", e->preset);
    set_text(d, "pixel_format", e->pixel_format);
    set_text(d, "kept", e->kept);
    if (e->bit_rate > 0)
        set(d, "bits_per_second", json_integer((json_int_t)llround(e->bit_rate)));
    set_number(d, "seconds", e->seconds);
    if (e->frame_rate > 0)
        set_number(d, "frames_per_second", e->frame_rate);
    for (size_t i = 0; i < e->n_options; i++) {
        VMAFX_AUTO(vmafx_free_p) char *text = vmafx_sprintf("%s=%s", e->options[i]->key, e->options[i]->value);

        VMAFX_IGNORE(json_array_append_new(options, json_string(text ? text : "")));
    }
    set(d, "options", options);
    return d;
}

static json_t *texts(char **from, size_t n)
{
    json_t *array = json_array();

    for (size_t i = 0; i < n; i++)
        VMAFX_IGNORE(json_array_append_new(array, json_string(from[i])));
    return array;
}

static void add_result(const Catalogue *catalogue, json_t *d, const Vmafx__V1__Result *r)
{
    const Vmafx__V1__SeriesSummary *verdict = result_verdict(r);
    json_t *scores = json_object(), *features = json_object(), *spread = json_object(), *aggregates = json_object();

    set(d, "complete", json_boolean(r->complete));
    set_text(d, "incomplete_reason", r->incomplete_reason);
    set(d, "frames", json_integer(r->frames));
    set(d, "width", json_integer(r->width));
    set(d, "height", json_integer(r->height));
    set(d, "bit_depth", json_integer(r->bit_depth));
    if (verdict) {
        set_number(d, "score", verdict->mean);
        set_text(d, "rating", catalogue_rating(catalogue, verdict->mean, NULL));
        set(d, "pooled", pooled(verdict));
    }
    if (r->n_models)
        set_text(d, "model", r->models[0]->version);
    for (size_t i = 0; i < r->n_series; i++) {
        const Vmafx__V1__SeriesSummary *s = r->series[i];
        if (!s->n)
            continue;
        if (s->kind != VMAFX__V1__SERIES_KIND__SERIES_KIND_FEATURE) {
            set(scores, s->name, pooled(s));
            continue;
        }
        set_number(features, s->name, s->mean);
        set(spread, s->name, pooled(s));
    }
    for (size_t i = 0; i < r->n_aggregates; i++)
        set_number(aggregates, r->aggregates[i]->name, r->aggregates[i]->value);
    set(d, "scores", scores);
    set(d, "features", features);
    set(d, "features_pooled", spread);
    set(d, "aggregates", aggregates);
    set(d, "inputs", inputs_document(r));
    if (r->encode)
        set(d, "encode", encode_document(r->encode));
    set(d, "adaptations", texts(r->adaptations, r->n_adaptations));
    set(d, "warnings", texts(r->warnings, r->n_warnings));
}

json_t *measurement_document(const Catalogue *catalogue, const JobView *job, const Vmafx__V1__Result *result)
{
    json_t *d = json_pack("{s:s, s:s, s:b, s:o}", "job_id", job->id, "state", state_name(job->state), "done",
                          job_has_ended(job), "job", job_document(catalogue, job));

    if (d && result)
        add_result(catalogue, d, result);
    return d;
}

char *measurement_text(const Catalogue *catalogue, const JobView *job, const Vmafx__V1__Result *result)
{
    const Vmafx__V1__SeriesSummary *verdict = result ? result_verdict(result) : NULL;
    const char *meaning = "";

    if (!verdict)
        return job_text(catalogue, job);
    const char *word = catalogue_rating(catalogue, verdict->mean, &meaning);
    return vmafx_sprintf("VMAF %.2f (%s: %s), model %s. Over %" PRId64
                         " frames: harmonic mean %.2f, worst frame %.2f, 5 %% of "
                         "the frames below %.2f.%s%s Job %s.",
                         verdict->mean, word, meaning, result->n_models ? result->models[0]->version : "?",
                         result->frames, verdict->harmonic_mean, verdict->min, verdict->p5,
                         result->complete ? "" : " INCOMPLETE, the scores cover the beginning only: ",
                         result->complete ? "" : result->incomplete_reason, job->id);
}

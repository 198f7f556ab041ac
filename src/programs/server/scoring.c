/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Threads: whoever starts, those that open inputs, the runner's, and whoever cancels. `lock` decides between them: the
 * state says whose turn it is to end the scoring, and exactly one does.
 */

#include "programs/server/scoring.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"
#include "base/clock.h"
#include "base/kept_file.h"
#include "programs/server/scoring_check.h"
#include "rpc/spec_check.h"
#include "signals/signals.h"

#define NAME_MAX_BYTES               256
#define OUTCOME_BUDGET               ((size_t)16 << 20) /* a child's summary is below 1 MiB encoded */
#define CONTAINER(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

typedef enum State { WAITING, OPENING, RUNNING, ENDED } State;

struct Scoring {
    Server *server;
    atomic_int refs; /* one is its own, until it has ended */
    uint64_t tag;
    SlotTicket ticket;
    RpcTask task; /* on the pool of openers */

    /* the request; borrowed until the end */
    Vmafx__V1__JobSpec spec;
    Vmafx__V1__Input inputs[2];
    bool progress, keep_frames;
    int64_t timeout_ms;
    int fds[2];
    char names[2][NAME_MAX_BYTES];
    ScoringSink sink;

    VmafxContext *context;
    VmafxSpanContext span; /* of the context; zero: nobody traces */
    char traceparent[VMAFX_TRACEPARENT_SIZE];
    uint64_t deadline_ns;
    atomic_bool stop; /* for those who wait for an input */

    pthread_mutex_t lock; /* covers everything below */
    State state;
    VmafxErr stop_err; /* of the first who wanted it to end; VMAFX_OK: nobody did */
    char stop_message[VMAFX_ERR_MESSAGE_MAX];

    /* the end; written by whoever ends it before `ended` is called, read after */
    ScoringEnd end;
    char end_message[VMAFX_ERR_MESSAGE_MAX];
    VmafxMessage *outcome;
    uint8_t *frames;
};

/* ---- the end ---- */

static void close_inputs(Scoring *scoring)
{
    for (int i = 0; i < 2; i++)
        if (scoring->fds[i] >= 0) {
            close(scoring->fds[i]);
            scoring->fds[i] = -1;
        }
}

Scoring *scoring_ref(Scoring *scoring)
{
    atomic_fetch_add_explicit(&scoring->refs, 1, memory_order_relaxed);
    return scoring;
}

void scoring_unref(Scoring **at)
{
    Scoring *scoring = VMAFX_TAKE(*at);

    if (!scoring || atomic_fetch_sub_explicit(&scoring->refs, 1, memory_order_acq_rel) > 1)
        return;
    close_inputs(scoring);
    vmafx_context_unref(&scoring->context);
    vmafx_message_free(&scoring->outcome);
    free(scoring->frames);
    pthread_mutex_destroy(&scoring->lock);
    free(scoring);
}

static void set_error(Scoring *scoring, VmafxErr err, const char *message)
{
    snprintf(scoring->end_message, sizeof scoring->end_message, "%s",
             message && *message ? message : vmafx_err_text(err));
    scoring->end = (ScoringEnd){ .err = err, .message = scoring->end_message };
}

/* Whoever brought the state to ENDED, once. The slot is free before anybody hears of the end: they may ask again. */
static void tell_end(Scoring *scoring)
{
    close_inputs(scoring);
    slots_give_back(&scoring->server->slots, &scoring->ticket, vmafx_monotonic_ns());
    scoring->sink.ended(scoring->sink.ctx, scoring);
    scoring_unref(&scoring);
}

/* True: the scoring was in that state, and the caller is the one who ends it. */
static bool enter_end(Scoring *scoring, State from)
{
    pthread_mutex_lock(&scoring->lock);
    bool mine = scoring->state == from;
    if (mine)
        scoring->state = ENDED;
    pthread_mutex_unlock(&scoring->lock);
    return mine;
}

static bool was_stopped(Scoring *scoring, VmafxErr *ret_err)
{
    pthread_mutex_lock(&scoring->lock);
    *ret_err = scoring->stop_err;
    pthread_mutex_unlock(&scoring->lock);
    return *ret_err != VMAFX_OK;
}

VmafxErr scoring_err_of(Vmafx__V1__FailureClass failure)
{
    static const VmafxErr errors[] = {
        [VMAFX__V1__FAILURE_CLASS__FAILURE_CLASS_INPUT] = VMAFX_ERR_INPUT,
        [VMAFX__V1__FAILURE_CLASS__FAILURE_CLASS_MISMATCH] = VMAFX_ERR_MISMATCH,
        [VMAFX__V1__FAILURE_CLASS__FAILURE_CLASS_MODEL] = VMAFX_ERR_MODEL,
        [VMAFX__V1__FAILURE_CLASS__FAILURE_CLASS_ENCODER] = VMAFX_ERR_ENCODER,
        [VMAFX__V1__FAILURE_CLASS__FAILURE_CLASS_RESOURCE] = VMAFX_ERR_NOMEM,
        [VMAFX__V1__FAILURE_CLASS__FAILURE_CLASS_NODE] = VMAFX_ERR_UNREACHABLE,
        [VMAFX__V1__FAILURE_CLASS__FAILURE_CLASS_TIMEOUT] = VMAFX_ERR_DEADLINE,
        [VMAFX__V1__FAILURE_CLASS__FAILURE_CLASS_INTERNAL] = VMAFX_ERR_INTERNAL,
    };

    if (failure == VMAFX__V1__FAILURE_CLASS__FAILURE_CLASS_UNSPECIFIED)
        return VMAFX_OK;
    return (size_t)failure < VMAFX_LEN(errors) ? errors[failure] : VMAFX_ERR_INTERNAL;
}

static void set_score(Vmafx__V1__ScoreOutcome *outcome, const Vmafx__V1__Result *result)
{
    for (size_t i = 0; result && i < result->n_series; i++) {
        const Vmafx__V1__SeriesSummary *series = result->series[i];

        if (series->kind != VMAFX__V1__SERIES_KIND__SERIES_KIND_SCORE || !series->n || !isfinite(series->mean))
            continue;
        outcome->has_score_case = VMAFX__V1__SCORE_OUTCOME__HAS_SCORE_SCORE;
        outcome->score = series->mean;
        return;
    }
}

/* A copy that outlives the runner's callback. */
static VmafxErr keep_outcome(Scoring *scoring, const VmafxRunEnd *run_end)
{
    VMAFX_AUTO(vmafx_free_p) uint8_t *packed = NULL;
    Vmafx__V1__ScoreOutcome outcome = VMAFX__V1__SCORE_OUTCOME__INIT;
    Vmafx__V1__Result result;
    size_t len;

    if (run_end->result) {
        result = *run_end->result; /* to add what only we know */
        result.node = scoring->server->name;
        outcome.result = &result;
    }
    outcome.failure_class = run_end->failure;
    outcome.message = (char *)run_end->message;
    set_score(&outcome, run_end->result);
    VmafxErr err = vmafx_message_pack(&outcome.base, &packed, &len);
    if (!err)
        err = vmafx_message_unpack(&vmafx__v1__score_outcome__descriptor, packed, len, OUTCOME_BUDGET,
                                   &scoring->outcome, NULL);
    if (!err && scoring->keep_frames && run_end->frames) {
        scoring->frames = malloc(run_end->frames_len);
        if (!scoring->frames)
            return VMAFX_ERR_NOMEM;
        memcpy(scoring->frames, run_end->frames, run_end->frames_len);
    }
    return err;
}

static void set_too_long(Scoring *scoring)
{
    char text[VMAFX_ERR_MESSAGE_MAX];

    snprintf(text, sizeof text,
             "the videos have more than %" PRId64 " frames, the most that this server scores at a time; "
             "comparison.frame_count asks for fewer",
             scoring->server->limits.frames);
    set_error(scoring, VMAFX_ERR_LIMIT, text);
}

static void set_outcome(Scoring *scoring, const VmafxRunEnd *run_end)
{
    int64_t frames_max = scoring->server->limits.frames;

    if (run_end->result && frames_max && run_end->result->frames > frames_max) {
        set_too_long(scoring);
        return;
    }
    VmafxErr err = keep_outcome(scoring, run_end);
    if (err) {
        set_error(scoring, err, "there is no memory for the result");
        return;
    }
    scoring->end = (ScoringEnd){ .message = "",
                                 .outcome = vmafx_message_get(scoring->outcome),
                                 .frames = scoring->frames,
                                 .frames_len = scoring->frames ? run_end->frames_len : 0 };
}

/* ---- the runner's thread ---- */

static void on_progress(void *ctx, uint64_t tag, const Vmafx__Scorer__V1__ChildProgress *from)
{
    Scoring *scoring = ctx;
    Vmafx__V1__Progress progress = VMAFX__V1__PROGRESS__INIT;
    int64_t frames_max = scoring->server->limits.frames;

    if (frames_max && (from->frames > frames_max || from->frames_total > frames_max)) {
        scoring_fail(scoring, VMAFX_ERR_LIMIT, NULL); /* on_ended says it at length */
        return;
    }
    if (!scoring->progress || !scoring->sink.progress)
        return;
    progress.frames = from->frames;
    progress.frames_total = from->frames_total;
    progress.frame_rate = from->frame_rate;
    scoring->sink.progress(scoring->sink.ctx, scoring, &progress);
}

static void on_series(void *ctx, uint64_t tag, const Vmafx__V1__SeriesNames *names)
{
    Scoring *scoring = ctx;

    scoring->sink.series(scoring->sink.ctx, scoring, (Vmafx__V1__SeriesNames *)(uintptr_t)names);
}

static void on_frames(void *ctx, uint64_t tag, const Vmafx__V1__Frames *frames)
{
    Scoring *scoring = ctx;

    scoring->sink.frames(scoring->sink.ctx, scoring, (Vmafx__V1__Frames *)(uintptr_t)frames);
}

static void on_span(void *ctx, uint64_t tag, const Vmafx__Scorer__V1__SpanRecord *span)
{
    Scoring *scoring = ctx;

    vmafx_run_span_emit(scoring->server->tracer, &scoring->span, span);
}

static void on_log(void *ctx, uint64_t tag, const Vmafx__Scorer__V1__LogRecord *record)
{
    Scoring *scoring = ctx;

    vmafx_run_log_emit(scoring->server->log, &scoring->span, record);
}

static void on_ended(void *ctx, uint64_t tag, const VmafxRunEnd *run_end)
{
    Scoring *scoring = ctx;
    VmafxErr stop_err;

    vmafx_run_measure(scoring->traceparent[0] ? &scoring->span : NULL, run_end, true);
    if (!enter_end(scoring, RUNNING))
        return; /* cannot be: the end comes once, and only after it ran */
    bool stopped = was_stopped(scoring, &stop_err);
    if (stopped && stop_err == VMAFX_ERR_LIMIT && !scoring->stop_message[0])
        set_too_long(scoring);
    else if (stopped && run_end->outcome != VMAFX__V1__ATTEMPT_OUTCOME__ATTEMPT_OUTCOME_SUCCEEDED)
        set_error(scoring, stop_err, scoring->stop_message);
    else if (run_end->outcome == VMAFX__V1__ATTEMPT_OUTCOME__ATTEMPT_OUTCOME_CANCELLED)
        set_error(scoring, VMAFX_ERR_STOPPED, "the server is stopping");
    else
        set_outcome(scoring, run_end);
    tell_end(scoring);
}

/* ---- a thread that may wait ---- */

static VmafxErr open_one(Scoring *scoring, int i, VmafxErrInfo *reterr)
{
    static const char *const roles[] = { "reference", "distorted" };
    const char *uri = scoring->inputs[i].uri;
    VmafxSpanOptions options = { .parent = scoring->context,
                                 .root = !scoring->context,
                                 .attrs = VMAFX_ATTRS(VMAFX_ATTR_STR(VMAFX_KEY_INPUT_ROLE, roles[i])) };
    VMAFX_AUTO(vmafx_span_end)
    VmafxSpan *span = vmafx_span_start_with(scoring->server->tracer, VMAFX_SPAN_NAME_INPUT_OPEN, &options);
    VmafxInput input = { .fd = -1 };
    VmafxErrInfo info = { 0 };
    VmafxErr err;

    {
        VMAFX_AUTO(vmafx_span_detach) VmafxContextToken token = vmafx_span_attach(span);
        err = vmafx_inputs_get(scoring->server->inputs, uri,
                               &(VmafxInputWait){ .stop = &scoring->stop, .deadline_ns = scoring->deadline_ns }, &input,
                               &info);
    }
    if (err) {
        vmafx_span_set_str(span, VMAFX_KEY_ERROR_TYPE, vmafx_err_name(err));
        vmafx_span_set_status(span, VMAFX_STATUS_ERROR, vmafx_err_text(err));
        return vmafx_fail(reterr, err, "%s: %s", roles[i], *info.message ? info.message : vmafx_err_text(err));
    }
    if (input.size >= 0)
        vmafx_span_set_int(span, VMAFX_KEY_INPUT_SIZE, input.size);
    if (input.fetched)
        vmafx_span_set_bool(span, VMAFX_KEY_INPUT_CACHED, input.cached);
    scoring->fds[i] = input.fd;
    input.fd = -1;
    vmafx_input_done(&input);
    vmafx_uri_name(uri, scoring->names[i], sizeof scoring->names[i]);
    return VMAFX_OK;
}

static VmafxErr open_inputs(Scoring *scoring, VmafxErrInfo *reterr)
{
    bool encodes = vmafx_spec_recipe(&scoring->spec);
    VmafxErr err = VMAFX_OK;

    for (int i = 0; i < (encodes ? 1 : 2) && !err; i++)
        if (scoring->fds[i] < 0)
            err = open_one(scoring, i, reterr);
    if (err || !encodes)
        return err;
    scoring->fds[1] = vmafx_reopen(scoring->fds[0]);
    if (scoring->fds[1] < 0)
        err =
            vmafx_fail(reterr, VMAFX_ERR_INPUT,
                       "reference: cannot be read twice, as an encode does (%s): it has to be a file", strerror(errno));
    return err;
}

static VmafxErr run(Scoring *scoring, VmafxErrInfo *reterr)
{
    const ServerLimits *limits = &scoring->server->limits;
    uint64_t now = vmafx_monotonic_ns();
    int64_t left_ms = scoring->deadline_ns > now ? (int64_t)((scoring->deadline_ns - now) / 1000000u) : 0;
    int fds[2] = { scoring->fds[0], scoring->fds[1] };

    scoring->fds[0] = scoring->fds[1] = -1;
    return vmafx_runner_run(scoring->server->runner,
                            &(VmafxRunTask){
                                .tag = scoring->tag,
                                .spec = &scoring->spec,
                                .fds = { fds[0], fds[1] },
                                .names = { scoring->names[0], scoring->names[1] },
                                .threads = limits->threads,
                                .traceparent = scoring->traceparent[0] ? scoring->traceparent : NULL,
                                .tracestate = scoring->span.state ? vmafx_tracestate_text(scoring->span.state) : NULL,
                                .nested = true,
                                .frames_live = scoring->sink.frames != NULL,
                                .limits = { .address_space_bytes = limits->address_space_bytes,
                                            .wall_ms = VMAFX_MAX(left_ms, (int64_t)1),
                                            .pixels = limits->pixels },
                                .events = { .progress = on_progress,
                                            .series = scoring->sink.series ? on_series : NULL,
                                            .frames = scoring->sink.frames ? on_frames : NULL,
                                            .span = on_span,
                                            .log = on_log,
                                            .ended = on_ended,
                                            .ctx = scoring },
                            },
                            reterr);
}

/* From the pool: with its slot, until the child runs. */
static void work(RpcTask *task)
{
    Scoring *scoring = CONTAINER(task, Scoring, task);
    VmafxErrInfo info = { 0 };
    VmafxErr stop_err, err;

    scoring_ref(scoring); /* the end may come before this returns */
    scoring->deadline_ns = vmafx_monotonic_ns() + (uint64_t)scoring->timeout_ms * 1000000u;
    err = was_stopped(scoring, &stop_err) ? VMAFX_ERR_CANCELLED : open_inputs(scoring, &info);
    if (!err) {
        pthread_mutex_lock(&scoring->lock);
        scoring->state = RUNNING; /* before it does, as its end may come at once */
        pthread_mutex_unlock(&scoring->lock);
        err = run(scoring, &info);
        if (!err && was_stopped(scoring, &stop_err)) /* before the runner knew of it */
            vmafx_runner_stop_task(scoring->server->runner, scoring->tag);
    }
    if (err) {
        pthread_mutex_lock(&scoring->lock);
        scoring->state = ENDED;
        pthread_mutex_unlock(&scoring->lock);
        if (was_stopped(scoring, &stop_err))
            set_error(scoring, stop_err, scoring->stop_message);
        else
            set_error(scoring, err, info.message);
        tell_end(scoring);
    }
    scoring_unref(&scoring);
}

static void on_granted(SlotTicket *ticket)
{
    Scoring *scoring = CONTAINER(ticket, Scoring, ticket);

    pthread_mutex_lock(&scoring->lock);
    scoring->state = OPENING;
    pthread_mutex_unlock(&scoring->lock);
    vmafx_histogram_record_with(scoring->server->waited, (double)(ticket->granted_ns - ticket->asked_ns) / 1e9,
                                VMAFX_NO_ATTRS, scoring->context);
    rpc_pool_submit(&scoring->server->openers, &scoring->task);
}

/* ---- starting ---- */

static void fill_trace(Scoring *scoring, VmafxContext *context)
{
    if (!context)
        return;
    scoring->context = vmafx_context_ref(context);
    if (vmafx_context_span(context, &scoring->span))
        vmafx_traceparent_format(&scoring->span, scoring->traceparent);
}

static Scoring *new_scoring(Server *server, const ScoringStart *start)
{
    Scoring *scoring = calloc(1, sizeof *scoring);

    if (!scoring) {
        for (int i = 0; i < 2; i++)
            if (start->fds[i] >= 0)
                close(start->fds[i]);
        return NULL;
    }
    scoring->server = server;
    atomic_init(&scoring->refs, 1);
    scoring->tag = atomic_fetch_add(&server->last_tag, 1) + 1;
    scoring->ticket.granted = on_granted;
    scoring->task.run = work;
    pthread_mutex_init(&scoring->lock, NULL);
    scoring->progress = start->request->progress;
    scoring->keep_frames = start->keep_frames;
    scoring->sink = start->sink;
    scoring->timeout_ms = start->request->timeout_ms ? start->request->timeout_ms : server->limits.timeout_ms;
    for (int i = 0; i < 2; i++) {
        scoring->fds[i] = start->fds[i];
        snprintf(scoring->names[i], NAME_MAX_BYTES, "%s",
                 start->names[i] && *start->names[i] ? start->names[i]
                 : i                                 ? "distorted"
                                                     : "reference");
    }
    scoring_spec(start->request, scoring->inputs, &scoring->spec);
    fill_trace(scoring, start->context);
    return scoring;
}

VmafxErr scoring_start(Server *server, const ScoringStart *start, Scoring **ret, uint32_t *ret_retry_ms,
                       VmafxErrInfo *reterr)
{
    VMAFX_AUTO(scoring_unref) Scoring *scoring = new_scoring(server, start);

    if (!scoring)
        return VMAFX_ERR_NOMEM;
    VmafxErr err = scoring_check(&server->limits, start->request, start->fds, &scoring->spec, start->path, reterr);
    if (err)
        return err;
    scoring_ref(scoring); /* its own, until the end */
    *ret = scoring_ref(scoring);
    err = slots_ask(&server->slots, &scoring->ticket, start->who, vmafx_monotonic_ns(), ret_retry_ms, reterr);
    if (!err)
        return VMAFX_OK;
    atomic_fetch_sub(&scoring->refs, 2); /* neither of the two came to be */
    *ret = NULL;
    return err;
}

/* ---- stopping ---- */

void scoring_fail(Scoring *scoring, VmafxErr err, const char *message)
{
    bool left = slots_leave(&scoring->server->slots, &scoring->ticket);

    pthread_mutex_lock(&scoring->lock);
    State state = scoring->state;
    if (scoring->stop_err == VMAFX_OK && state != ENDED) {
        scoring->stop_err = err;
        snprintf(scoring->stop_message, sizeof scoring->stop_message, "%s", message ? message : "");
    }
    if (left) {
        scoring->state = ENDED;
        set_error(scoring, scoring->stop_err, scoring->stop_message);
    }
    pthread_mutex_unlock(&scoring->lock);
    atomic_store(&scoring->stop, true);
    if (left)
        tell_end(scoring);
    else if (state == RUNNING)
        vmafx_runner_stop_task(scoring->server->runner, scoring->tag);
}

void scoring_cancel(Scoring *scoring)
{
    scoring_fail(scoring, VMAFX_ERR_CANCELLED, "cancelled");
}

bool scoring_is_running(Scoring *scoring)
{
    pthread_mutex_lock(&scoring->lock);
    bool running = scoring->state == OPENING || scoring->state == RUNNING;
    pthread_mutex_unlock(&scoring->lock);
    return running;
}

const ScoringEnd *scoring_end(const Scoring *scoring)
{
    return &scoring->end;
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * ScoreStream: what the peer sends goes into two pipes that a child reads (pump.h), and what the child finds out goes
 * back as it becomes final. When a window is full the stream is held, so that HTTP/2's flow control has the peer wait.
 *
 * Who holds a Stream: the library's stream until closed, the scoring until it has ended, the feed until it is gone.
 */

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"
#include "programs/server/pump.h"
#include "programs/server/scoring.h"
#include "rpc/call_span.h"

#define METHOD    "vmafx.v1.Scoring/ScoreStream"
#define DATA_MAX  ((size_t)1 << 20)
#define SETUP_MAX ((size_t)1 << 20) /* of memory */

typedef Vmafx__V1__ScoreStreamRequest Request;

typedef struct Stream {
    Server *server;
    VmafxRpcStream *stream; /* a reference */
    atomic_int refs;
    char who[SLOTS_WHO_MAX];
    VmafxRpcCallSpan span;
    atomic_bool over; /* finished: what still comes is passed over */

    /* the strand's, until the scoring has ended what points to it */
    VmafxMessage *setup;
    Vmafx__V1__Input inputs[2];
    int64_t bytes[2];

    pthread_mutex_t lock; /* covers everything below */
    Scoring *scoring;
    Feed *feed;
} Stream;

static void stream_unref(Stream *s)
{
    if (atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) > 1)
        return;
    scoring_unref(&s->scoring);
    vmafx_rpc_call_span_end(&s->span, VMAFX_ERR_CANCELLED, NULL);
    vmafx_message_free(&s->setup);
    vmafx_rpc_stream_unref(&s->stream);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

static Stream *stream_ref(Stream *s)
{
    atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    return s;
}

static void finish(Stream *s, VmafxErr err, const char *message, uint32_t retry_ms)
{
    const char *text = err && (!message || !*message) ? vmafx_err_text(err) : message;

    if (atomic_exchange(&s->over, true))
        return;
    if (err == VMAFX_ERR_BUSY)
        vmafx_rpc_stream_finish_later(s->stream, err, text, retry_ms);
    else
        vmafx_rpc_stream_finish(s->stream, err, text);
    vmafx_rpc_call_span_end(&s->span, err, text);
}

/* A reference, or NULL. */
static Scoring *scoring_of(Stream *s)
{
    pthread_mutex_lock(&s->lock);
    Scoring *scoring = s->scoring ? scoring_ref(s->scoring) : NULL;
    pthread_mutex_unlock(&s->lock);
    return scoring;
}

static void fail(Stream *s, VmafxErr err, const char *message)
{
    Scoring *scoring = scoring_of(s);

    if (scoring)
        scoring_fail(scoring, err, message);
    scoring_unref(&scoring);
    finish(s, err, message, 0);
}

static void close_feed(Stream *s)
{
    pthread_mutex_lock(&s->lock);
    Feed *feed = VMAFX_TAKE(s->feed);
    pthread_mutex_unlock(&s->lock);
    feed_close(&feed);
}

/* ---- what the scoring says ---- */

static void send(Stream *s, const Vmafx__V1__ScoreEvent *event)
{
    VMAFX_AUTO(vmafx_free_p) uint8_t *data = NULL;
    size_t len;
    VmafxErr err = vmafx_message_pack(&event->base, &data, &len);

    if (!err)
        err = vmafx_rpc_stream_send(s->stream, data, len);
    if (!err || atomic_load(&s->over))
        return;
    Scoring *scoring = scoring_of(s); /* a peer that is gone or does not read needs no more of it */
    if (scoring)
        scoring_cancel(scoring);
    scoring_unref(&scoring);
}

static void on_progress(void *ctx, Scoring *scoring, Vmafx__V1__Progress *progress)
{
    Vmafx__V1__ScoreEvent event = VMAFX__V1__SCORE_EVENT__INIT;

    event.kind_case = VMAFX__V1__SCORE_EVENT__KIND_PROGRESS;
    event.progress = progress;
    send(ctx, &event);
}

static void on_series(void *ctx, Scoring *scoring, Vmafx__V1__SeriesNames *series)
{
    Vmafx__V1__ScoreEvent event = VMAFX__V1__SCORE_EVENT__INIT;

    event.kind_case = VMAFX__V1__SCORE_EVENT__KIND_SERIES;
    event.series = series;
    send(ctx, &event);
}

static void on_frames(void *ctx, Scoring *scoring, Vmafx__V1__Frames *frames)
{
    Vmafx__V1__ScoreEvent event = VMAFX__V1__SCORE_EVENT__INIT;

    event.kind_case = VMAFX__V1__SCORE_EVENT__KIND_FRAMES;
    event.frames = frames;
    send(ctx, &event);
}

static void on_ended(void *ctx, Scoring *scoring)
{
    Stream *s = ctx;
    const ScoringEnd *end = scoring_end(scoring);
    Vmafx__V1__ScoreEvent event = VMAFX__V1__SCORE_EVENT__INIT;

    if (!end->err) {
        event.kind_case = VMAFX__V1__SCORE_EVENT__KIND_OUTCOME;
        event.outcome = (Vmafx__V1__ScoreOutcome *)(uintptr_t)end->outcome;
        send(s, &event);
    }
    finish(s, end->err, end->message, 0);
    close_feed(s);
    stream_unref(s);
}

/* ---- what the feed says ---- */

static bool feed_active(void *ctx)
{
    Scoring *scoring = scoring_of(ctx);
    bool active = scoring && scoring_is_running(scoring);

    scoring_unref(&scoring);
    return active;
}

static void feed_room(void *ctx)
{
    vmafx_rpc_stream_release(((Stream *)ctx)->stream);
}

static void feed_stuck(void *ctx, FeedTrouble trouble)
{
    Stream *s = ctx;
    char text[VMAFX_ERR_MESSAGE_MAX];

    if (trouble == FEED_STARVED) {
        snprintf(text, sizeof text,
                 "%" PRId64 " MiB of one video wait here while nothing is left of the other one: send both in turns, "
                 "about as many frames of one as of the other",
                 s->server->limits.window_bytes >> 20);
        fail(s, VMAFX_ERR_INVALID, text);
    } else {
        snprintf(text, sizeof text, "nothing came for %u ms, and the videos have not ended", s->server->limits.idle_ms);
        fail(s, VMAFX_ERR_DEADLINE, text);
    }
}

static void feed_release(void *ctx)
{
    stream_unref(ctx);
}

/* ---- what the peer says ---- */

static void request_of(Stream *s, const Vmafx__V1__ScoreStreamSetup *setup, Vmafx__V1__ScoreRequest *ret)
{
    vmafx__v1__score_request__init(ret);
    for (int i = 0; i < 2; i++)
        vmafx__v1__input__init(&s->inputs[i]);
    s->inputs[0].raw = setup->raw_reference;
    s->inputs[1].raw = setup->raw_distorted;
    ret->reference = &s->inputs[0];
    ret->distorted = &s->inputs[1];
    ret->n_models = setup->n_models;
    ret->models = setup->models;
    ret->n_features = setup->n_features;
    ret->features = setup->features;
    ret->comparison = setup->comparison;
    ret->timeout_ms = setup->timeout_ms;
    ret->progress = setup->progress;
}

static VmafxErr check_name(const char *field, const char *name, VmafxErrInfo *reterr)
{
    size_t len = strlen(name);

    if (len > 255)
        return vmafx_fail(reterr, VMAFX_ERR_LIMIT, "setup.%s: %zu bytes, at most 255 are taken", field, len);
    for (const char *c = name; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            return vmafx_fail(reterr, VMAFX_ERR_INVALID, "setup.%s: has a control character", field);
    return VMAFX_OK;
}

static VmafxErr begin(Stream *s, VmafxMessage **message, uint32_t *ret_retry_ms, VmafxErrInfo *reterr)
{
    const Request *first = vmafx_message_get(*message);
    const Vmafx__V1__ScoreStreamSetup *setup = first->setup;
    Vmafx__V1__ScoreRequest request;
    Scoring *scoring = NULL;
    Feed *feed = NULL;
    int fds[2];

    if (s->setup)
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "setup: there is one already");
    s->setup = VMAFX_TAKE(*message);
    VmafxErr err = check_name("reference_name", setup->reference_name, reterr);
    if (!err)
        err = check_name("distorted_name", setup->distorted_name, reterr);
    if (err)
        return err;
    request_of(s, setup, &request);
    err = feed_open(s->server->pump,
                    &(FeedConfig){ .window_bytes = (size_t)s->server->limits.window_bytes,
                                   .idle_ms = s->server->limits.idle_ms,
                                   .active = feed_active,
                                   .room = feed_room,
                                   .stuck = feed_stuck,
                                   .release = feed_release,
                                   .ctx = stream_ref(s) },
                    &feed, fds, reterr);
    if (err) {
        stream_unref(s);
        return err;
    }
    pthread_mutex_lock(&s->lock);
    s->feed = feed;
    pthread_mutex_unlock(&s->lock);
    stream_ref(s); /* the scoring's */
    err = scoring_start(s->server,
                        &(ScoringStart){ .path = "setup",
                                         .who = s->who,
                                         .request = &request,
                                         .fds = { fds[0], fds[1] },
                                         .names = { setup->reference_name, setup->distorted_name },
                                         .context = s->span.context,
                                         .sink = { .progress = on_progress,
                                                   .series = on_series,
                                                   .frames = on_frames,
                                                   .ended = on_ended,
                                                   .ctx = s } },
                        &scoring, ret_retry_ms, reterr);
    if (err) {
        close_feed(s);
        stream_unref(s);
        return err;
    }
    pthread_mutex_lock(&s->lock);
    s->scoring = scoring;
    pthread_mutex_unlock(&s->lock);
    return VMAFX_OK;
}

static VmafxErr take_data(Stream *s, int i, const ProtobufCBinaryData *data, VmafxErrInfo *reterr)
{
    static const char *const names[] = { "reference", "distorted" };
    bool full = false;
    VmafxErr err = VMAFX_OK;

    if (data->len > DATA_MAX)
        return vmafx_fail(reterr, VMAFX_ERR_LIMIT, "%s: %zu bytes in one message, at most %zu are taken", names[i],
                          data->len, DATA_MAX);
    s->bytes[i] += (int64_t)data->len;
    if (s->bytes[i] > s->server->limits.upload_bytes)
        return vmafx_fail(reterr, VMAFX_ERR_LIMIT,
                          "%s: more than the %" PRId64 " bytes that this server takes of a video", names[i],
                          s->server->limits.upload_bytes);
    vmafx_rpc_stream_hold(s->stream); /* before the feed could release it again */
    pthread_mutex_lock(&s->lock);     /* the feed goes when the scoring ends, and nothing is called from within write */
    if (s->feed)
        err = feed_write(s->feed, i, data->data, data->len, &full);
    pthread_mutex_unlock(&s->lock);
    if (!full)
        vmafx_rpc_stream_release(s->stream);
    if (err == VMAFX_ERR_STATE)
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "%s: data after its end", names[i]);
    return err;
}

static void end_inputs(Stream *s, bool reference, bool distorted)
{
    pthread_mutex_lock(&s->lock);
    if (s->feed && reference)
        feed_end(s->feed, 0);
    if (s->feed && distorted)
        feed_end(s->feed, 1);
    pthread_mutex_unlock(&s->lock);
}

static VmafxErr take(Stream *s, VmafxMessage **message, uint32_t *ret_retry_ms, VmafxErrInfo *reterr)
{
    const Request *request = vmafx_message_get(*message);

    if (request->kind_case == VMAFX__V1__SCORE_STREAM_REQUEST__KIND_SETUP)
        return begin(s, message, ret_retry_ms, reterr);
    if (!s->setup)
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "setup: has to be the first message");
    switch (request->kind_case) {
    case VMAFX__V1__SCORE_STREAM_REQUEST__KIND_REFERENCE:
        return take_data(s, 0, &request->reference, reterr);
    case VMAFX__V1__SCORE_STREAM_REQUEST__KIND_DISTORTED:
        return take_data(s, 1, &request->distorted, reterr);
    case VMAFX__V1__SCORE_STREAM_REQUEST__KIND_END:
        if (!request->end->reference && !request->end->distorted)
            return vmafx_fail(reterr, VMAFX_ERR_INVALID, "end: of neither video");
        end_inputs(s, request->end->reference, request->end->distorted);
        return VMAFX_OK;
    default:
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "a message without setup, data or end");
    }
}

static VmafxErr stream_open(void *ctx, VmafxRpcStream *stream, void **ret_state, VmafxErrInfo *reterr)
{
    Stream *s = calloc(1, sizeof *s);

    if (!s)
        return VMAFX_ERR_NOMEM;
    s->server = ctx;
    s->stream = vmafx_rpc_stream_ref(stream);
    atomic_init(&s->refs, 1);
    pthread_mutex_init(&s->lock, NULL);
    server_who_rpc(s->server, vmafx_rpc_stream_peer(stream), "/" METHOD, s->who);
    vmafx_rpc_call_span_begin(&s->span, stream, METHOD);
    *ret_state = s;
    return VMAFX_OK;
}

static void stream_message(void *state, VmafxRpcStream *stream, const void *data, size_t len)
{
    Stream *s = state;
    VMAFX_AUTO(vmafx_message_free) VmafxMessage *message = NULL;
    VmafxErrInfo info = { 0 };
    uint32_t retry_ms = 0;

    if (atomic_load(&s->over))
        return;
    VmafxErr err = vmafx_message_unpack(&vmafx__v1__score_stream_request__descriptor, data, len, DATA_MAX + SETUP_MAX,
                                        &message, &info);
    if (!err)
        err = take(s, &message, &retry_ms, &info);
    if (err == VMAFX_ERR_BUSY)
        finish(s, err, info.message, retry_ms);
    else if (err)
        fail(s, err, info.message);
}

static void stream_half_closed(void *state, VmafxRpcStream *stream)
{
    Stream *s = state;

    if (!s->setup)
        finish(s, VMAFX_ERR_INVALID, "setup: has to be the first message", 0);
    end_inputs(s, true, true);
}

static void stream_closed(void *state, VmafxRpcStream *stream)
{
    Stream *s = state;
    Scoring *scoring = scoring_of(s);

    atomic_store(&s->over, true);
    if (scoring)
        scoring_cancel(scoring); /* before its inputs seem to end */
    scoring_unref(&scoring);
    close_feed(s);
    stream_unref(s);
}

VmafxRpcMethod stream_method(Server *server)
{
    return (VmafxRpcMethod){ .path = "/" METHOD,
                             .open = stream_open,
                             .message = stream_message,
                             .half_closed = stream_half_closed,
                             .closed = stream_closed,
                             .ctx = server };
}

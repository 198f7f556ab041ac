/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Score, ScoreBatch, ListModels and GetCapabilities. Events go out as they come; frames after a result go out as fast
 * as the peer reads, one pair's after the other's, from the stream's strand.
 */

#include <string.h>

#include "base/base.h"
#include "programs/server/batch.h"
#include "rpc/call_span.h"
#include "rpc/frames.h"

#define REQUEST_BUDGET ((size_t)16 << 20)
#define WAITING_MAX    ((size_t)4 << 20) /* above it the peer has to read before more frames are unpacked */

/* Frames of one pair that wait to be sent. */
typedef struct Sending {
    struct Sending *next;
    size_t index;
    Scoring *scoring; /* keeps the packed values */
} Sending;

typedef struct Call {
    Server *server;
    VmafxRpcStream *stream; /* a reference */
    atomic_int refs;        /* the stream's, until closed; the batch's, until done */
    bool batch;
    char who[SLOTS_WHO_MAX];
    bool asked; /* strand only */
    VmafxMessage *message;
    Vmafx__V1__ScoreRequest *one[1];
    VmafxRpcCallSpan span;

    pthread_mutex_t lock; /* covers everything below */
    Batch *run;
    Sending *first, **last;
    bool done, closed;
    VmafxErr err; /* of a call of one */
    char text[VMAFX_ERR_MESSAGE_MAX];

    /* what is being sent; strand only */
    Sending *sending;
    VmafxColumns columns;
    uint64_t row;
} Call;

static void sending_free(Sending *sending)
{
    scoring_unref(&sending->scoring);
    free(sending);
}

static void call_unref(Call *call)
{
    if (atomic_fetch_sub_explicit(&call->refs, 1, memory_order_acq_rel) > 1)
        return;
    for (Sending *at = call->first, *next; at; at = next) {
        next = at->next;
        sending_free(at);
    }
    if (call->sending)
        sending_free(call->sending);
    vmafx_columns_done(&call->columns);
    vmafx_rpc_call_span_end(&call->span, VMAFX_ERR_CANCELLED, NULL);
    vmafx_message_free(&call->message);
    batch_unref(&call->run);
    vmafx_rpc_stream_unref(&call->stream);
    pthread_mutex_destroy(&call->lock);
    free(call);
}

static void finish(Call *call, VmafxErr err, const char *message, uint32_t retry_ms)
{
    const char *text = err && (!message || !*message) ? vmafx_err_text(err) : message;

    if (err == VMAFX_ERR_BUSY)
        vmafx_rpc_stream_finish_later(call->stream, err, text, retry_ms);
    else
        vmafx_rpc_stream_finish(call->stream, err, text);
    vmafx_rpc_call_span_end(&call->span, err, text);
}

/* ---- events ---- */

/* A peer that is gone or does not read needs no more of it. */
static VmafxErr send_event(Call *call, size_t index, const Vmafx__V1__ScoreEvent *event, VmafxErr err,
                           const char *message)
{
    VMAFX_AUTO(vmafx_free_p) uint8_t *data = NULL;
    Vmafx__V1__ScoreBatchEvent wrapped = VMAFX__V1__SCORE_BATCH_EVENT__INIT;
    size_t len;

    wrapped.index = (int32_t)index;
    wrapped.event = (Vmafx__V1__ScoreEvent *)(uintptr_t)event;
    if (err) {
        wrapped.error = (char *)(uintptr_t)vmafx_err_name(err);
        wrapped.message = (char *)(uintptr_t)message;
    }
    VmafxErr failed = vmafx_message_pack(call->batch ? &wrapped.base : &event->base, &data, &len);
    return failed ? failed : vmafx_rpc_stream_send(call->stream, data, len);
}

static void cancel(Call *call)
{
    pthread_mutex_lock(&call->lock);
    Batch *run = call->run;
    pthread_mutex_unlock(&call->lock);
    if (run)
        batch_cancel(run);
}

static void on_event(void *ctx, size_t index, const Vmafx__V1__ScoreEvent *event)
{
    Call *call = ctx;

    if (send_event(call, index, event, VMAFX_OK, NULL))
        cancel(call);
}

static void send_more(void *ctx, VmafxRpcStream *stream);

static void send_outcome(Call *call, size_t index, const ScoringEnd *end)
{
    Vmafx__V1__ScoreEvent event = VMAFX__V1__SCORE_EVENT__INIT;

    event.kind_case = VMAFX__V1__SCORE_EVENT__KIND_OUTCOME;
    event.outcome = (Vmafx__V1__ScoreOutcome *)(uintptr_t)end->outcome;
    on_event(call, index, &event);
}

static void on_ended(void *ctx, size_t index, Scoring *scoring, VmafxErr err, const char *message)
{
    Call *call = ctx;
    const ScoringEnd *end = scoring ? scoring_end(scoring) : NULL;
    Sending *sending = !err && end->frames ? calloc(1, sizeof *sending) : NULL;

    if (!err)
        send_outcome(call, index, end);
    else if (call->batch)
        VMAFX_IGNORE(send_event(call, index, NULL, err, message)); /* the stream's closed will be heard of */
    if (!err && end->frames && !sending)
        err = VMAFX_ERR_NOMEM;
    pthread_mutex_lock(&call->lock);
    if (err && !call->batch) {
        call->err = err;
        snprintf(call->text, sizeof call->text, "%s", message ? message : "");
    }
    if (sending) {
        sending->index = index;
        sending->scoring = scoring_ref(scoring);
        *call->last = sending;
        call->last = &sending->next;
    }
    pthread_mutex_unlock(&call->lock);
}

static void on_done(void *ctx)
{
    Call *call = ctx;

    pthread_mutex_lock(&call->lock);
    call->done = true;
    pthread_mutex_unlock(&call->lock);
    VMAFX_IGNORE(!vmafx_rpc_stream_post(call->stream, send_more, call)); /* closed: nobody reads */
    call_unref(call);
}

/* ---- frames; on the strand ---- */

static VmafxErr send_run(void *ctx, Vmafx__V1__Frames *frames)
{
    Call *call = ctx;
    Vmafx__V1__ScoreEvent event = VMAFX__V1__SCORE_EVENT__INIT;

    event.kind_case = VMAFX__V1__SCORE_EVENT__KIND_FRAMES;
    event.frames = frames;
    return send_event(call, call->sending->index, &event, VMAFX_OK, NULL);
}

/* False: nothing to send (yet), or it went wrong, which has been said. */
static bool take_sending(Call *call)
{
    pthread_mutex_lock(&call->lock);
    if (!call->sending && call->first) {
        call->sending = call->first;
        call->first = call->first->next;
        if (!call->first)
            call->last = &call->first;
    }
    bool finished = !call->sending && call->done;
    VmafxErr err = call->err;
    pthread_mutex_unlock(&call->lock);
    if (finished)
        finish(call, err, call->text, 0);
    if (!call->sending || call->columns.n)
        return call->sending;
    const ScoringEnd *end = scoring_end(call->sending->scoring);
    call->row = 0;
    err = vmafx_columns_unpack(end->frames, end->frames_len, 0, &call->columns, NULL);
    if (err)
        finish(call, err == VMAFX_ERR_NOMEM ? err : VMAFX_ERR_INTERNAL, "the frames cannot be unpacked", 0);
    return !err;
}

static void send_more(void *ctx, VmafxRpcStream *stream)
{
    Call *call = ctx;

    while (take_sending(call)) {
        const VmafxColumns *columns = &call->columns;

        for (uint64_t n; call->row < columns->n_rows; call->row += n) {
            if (vmafx_rpc_stream_waiting(stream) > WAITING_MAX) {
                vmafx_rpc_stream_on_writable(stream, WAITING_MAX / 2, send_more, call);
                return;
            }
            n = VMAFX_MIN(vmafx_frames_rows(columns), columns->n_rows - call->row);
            VmafxErr err = vmafx_frames_use(columns, call->row, n, send_run, call);
            if (err) {
                finish(call, err, NULL, 0);
                return;
            }
        }
        vmafx_columns_done(&call->columns);
        call->columns = (VmafxColumns){ 0 };
        sending_free(VMAFX_TAKE(call->sending));
    }
}

/* ---- the call ---- */

static VmafxErr begin(Call *call, Vmafx__V1__ScoreRequest *const *requests, size_t n, uint32_t *ret_retry_ms,
                      VmafxErrInfo *reterr)
{
    Batch *run = NULL;

    if (!n || n > SERVER_PAIRS_MAX)
        return vmafx_fail(reterr, VMAFX_ERR_LIMIT, "pairs: %zu of them, a call has 1 … %d", n, SERVER_PAIRS_MAX);
    atomic_fetch_add(&call->refs, 1);
    VmafxErr err =
        batch_start(call->server,
                    &(BatchStart){ .requests = requests,
                                   .n = n,
                                   .one = !call->batch,
                                   .who = call->who,
                                   .context = call->span.context,
                                   .fds = { -1, -1 },
                                   .keep_frames = true,
                                   .sink = { .event = on_event, .ended = on_ended, .done = on_done, .ctx = call } },
                    &run, ret_retry_ms, reterr);
    if (err) {
        call_unref(call);
        return err;
    }
    pthread_mutex_lock(&call->lock);
    call->run = run;
    pthread_mutex_unlock(&call->lock);
    return VMAFX_OK;
}

static VmafxErr open_call(Server *server, VmafxRpcStream *stream, bool batch, const char *method, void **ret)
{
    Call *call = calloc(1, sizeof *call);
    char path[96];

    if (!call)
        return VMAFX_ERR_NOMEM;
    call->server = server;
    call->stream = vmafx_rpc_stream_ref(stream);
    atomic_init(&call->refs, 1);
    call->batch = batch;
    call->last = &call->first;
    pthread_mutex_init(&call->lock, NULL);
    snprintf(path, sizeof path, "/%s", method);
    server_who_rpc(server, vmafx_rpc_stream_peer(stream), path, call->who);
    vmafx_rpc_call_span_begin(&call->span, stream, method);
    *ret = call;
    return VMAFX_OK;
}

static VmafxErr score_open(void *ctx, VmafxRpcStream *stream, void **ret_state, VmafxErrInfo *reterr)
{
    return open_call(ctx, stream, false, "vmafx.v1.Scoring/Score", ret_state);
}

static VmafxErr batch_open(void *ctx, VmafxRpcStream *stream, void **ret_state, VmafxErrInfo *reterr)
{
    return open_call(ctx, stream, true, "vmafx.v1.Scoring/ScoreBatch", ret_state);
}

static void call_message(void *state, VmafxRpcStream *stream, const void *data, size_t len)
{
    Call *call = state;
    VmafxErrInfo info = { 0 };
    uint32_t retry_ms = 0;
    VmafxErr err = call->asked ? vmafx_fail(&info, VMAFX_ERR_INVALID, "one request opens this stream") : VMAFX_OK;

    call->asked = true;
    if (!err)
        err = vmafx_message_unpack(call->batch ? &vmafx__v1__score_batch_request__descriptor
                                               : &vmafx__v1__score_request__descriptor,
                                   data, len, REQUEST_BUDGET, &call->message, &info);
    if (!err && call->batch) {
        const Vmafx__V1__ScoreBatchRequest *request = vmafx_message_get(call->message);
        err = begin(call, request->pairs, request->n_pairs, &retry_ms, &info);
    } else if (!err) {
        call->one[0] = (Vmafx__V1__ScoreRequest *)(uintptr_t)vmafx_message_get(call->message);
        err = begin(call, call->one, 1, &retry_ms, &info);
    }
    if (err)
        finish(call, err, info.message, retry_ms);
}

static void call_half_closed(void *state, VmafxRpcStream *stream)
{
    Call *call = state;

    if (!call->asked)
        finish(call, VMAFX_ERR_INVALID, "there is no request", 0);
}

static void call_closed(void *state, VmafxRpcStream *stream)
{
    cancel(state);
    call_unref(state);
}

/* ---- unary ---- */

static VmafxErr answer(const ProtobufCMessage *message, VmafxRpcAnswer *ret)
{
    return vmafx_message_pack(message, &ret->body, &ret->len);
}

static VmafxErr list_models(void *ctx, VmafxRpcCall *call, const void *data, size_t len, VmafxRpcAnswer *ret,
                            VmafxErrInfo *reterr)
{
    ServerInfo info;

    info_fill(ctx, &info);
    return answer(&info.models.base, ret);
}

static VmafxErr get_capabilities(void *ctx, VmafxRpcCall *call, const void *data, size_t len, VmafxRpcAnswer *ret,
                                 VmafxErrInfo *reterr)
{
    ServerInfo info;

    info_fill(ctx, &info);
    return answer(&info.capabilities.base, ret);
}

size_t grpc_methods(Server *server, VmafxRpcMethod *ret)
{
    size_t n = 0;

    ret[n++] = (VmafxRpcMethod){ .path = "/vmafx.v1.Scoring/Score",
                                 .open = score_open,
                                 .message = call_message,
                                 .half_closed = call_half_closed,
                                 .closed = call_closed,
                                 .ctx = server };
    ret[n++] = (VmafxRpcMethod){ .path = "/vmafx.v1.Scoring/ScoreBatch",
                                 .open = batch_open,
                                 .message = call_message,
                                 .half_closed = call_half_closed,
                                 .closed = call_closed,
                                 .ctx = server };
    ret[n++] = stream_method(server);
    ret[n++] = (VmafxRpcMethod){ .path = "/vmafx.v1.Scoring/ListModels", .unary = list_models, .ctx = server };
    ret[n++] =
        (VmafxRpcMethod){ .path = "/vmafx.v1.Scoring/GetCapabilities", .unary = get_capabilities, .ctx = server };
    return n;
}

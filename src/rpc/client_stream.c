/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Streams of a channel. A read, a write and the status may be under way at a time; when the status is there, the last
 * message has been read and nothing is being written, the stream is closed: the library's call is given back, closed is
 * called, and what is left is memory that vmafx_rpc_client_stream_free gives back.
 */

#include <string.h>

#include "base/base.h"
#include "base/text.h"
#include "rpc/client_internal.h"
#include "rpc/outbox.h"

struct VmafxRpcClientStream {
    VmafxRpcChannel *channel; /* not after it is closed */
    grpc_call *call;          /* nor this */
    VmafxRpcClientStreamEvents events;
    bool by_hand;
    RpcOp received_op, sent_op, status_op;
    RpcMetadata metadata; /* lives until it is sent */
    grpc_metadata_array initial, trailing;
    grpc_byte_buffer *received;
    grpc_status_code status;
    grpc_slice status_message;
    VmafxRpcClientStream *next, **at; /* the channel's list, under its lock */

    pthread_mutex_t lock; /* covers everything below */
    pthread_cond_t change;
    RpcOutbox outbox;
    bool begun, busy; /* busy: a write is under way */
    bool half_close, half_closed, broken;
    bool reading, read_all, wanted; /* wanted: by hand, the next message may be read */
    bool abandoned;                 /* by hand, and nobody will ask for one any more */
    bool has_status, closing, closed;
};

/* ---- the end ---- */

/* With the lock held: true once, for the one who then has to call close_stream. */
static bool is_end(VmafxRpcClientStream *stream)
{
    if (!stream->has_status || stream->busy || stream->reading || stream->closing ||
        (!stream->read_all && !stream->abandoned))
        return false;
    stream->closing = true;
    return true;
}

static void close_stream(VmafxRpcClientStream *stream)
{
    VmafxRpcChannel *channel = stream->channel;
    char message[VMAFX_ERR_MESSAGE_MAX];
    VmafxErr err = rpc_status_err((int)stream->status);

    snprintf(message, sizeof message, "%.*s", (int)GRPC_SLICE_LENGTH(stream->status_message),
             (const char *)GRPC_SLICE_START_PTR(stream->status_message));
    vmafx_text_mend(message);
    rpc_outbox_done(&stream->outbox); /* nobody adds to it now */
    if (stream->received)
        grpc_byte_buffer_destroy(VMAFX_TAKE(stream->received));
    rpc_metadata_done(&stream->metadata);
    grpc_metadata_array_destroy(&stream->initial);
    grpc_metadata_array_destroy(&stream->trailing);
    grpc_slice_unref(stream->status_message);
    grpc_call_unref(VMAFX_TAKE(stream->call));
    if (stream->events.closed)
        stream->events.closed(stream->events.ctx, stream, err, message[0] || !err ? message : vmafx_err_text(err));
    /* The channel first: its close waits for the list, and the stream may be freed as soon as it says closed. */
    pthread_mutex_lock(&channel->lock);
    *stream->at = stream->next;
    if (stream->next)
        stream->next->at = stream->at;
    channel->n_streams--;
    pthread_mutex_lock(&stream->lock);
    stream->closed = true;
    pthread_cond_broadcast(&stream->change);
    pthread_mutex_unlock(&stream->lock);
    pthread_cond_broadcast(&channel->change);
    pthread_mutex_unlock(&channel->lock);
}

/* ---- writing ---- */

/* Starts the next write, if there is something to write and none is under way. */
static void pump(VmafxRpcClientStream *stream)
{
    grpc_op ops[3];
    size_t n = 0;

    pthread_mutex_lock(&stream->lock);
    bool last = stream->half_close && !stream->half_closed;
    if (!stream->busy && !stream->has_status && !stream->broken && (!stream->begun || stream->outbox.first || last)) {
        if (!stream->begun)
            ops[n++] = (grpc_op){ .op = GRPC_OP_SEND_INITIAL_METADATA,
                                  .data.send_initial_metadata = { .count = stream->metadata.n,
                                                                  .metadata = stream->metadata.items } };
        stream->begun = true;
        if (stream->outbox.first)
            ops[n++] = rpc_outbox_next(&stream->outbox);
        if (last && !stream->outbox.first) {
            stream->half_closed = true;
            ops[n++] = (grpc_op){ .op = GRPC_OP_SEND_CLOSE_FROM_CLIENT };
        }
        stream->busy = true; /* which keeps the call alive */
    }
    pthread_mutex_unlock(&stream->lock);
    if (n)
        rpc_batch(stream->call, ops, n, &stream->sent_op);
}

static void on_sent(RpcOp *op, bool ok)
{
    VmafxRpcClientStream *stream = RPC_CONTAINER(op, VmafxRpcClientStream, sent_op);

    pthread_mutex_lock(&stream->lock);
    grpc_byte_buffer *sent = rpc_outbox_sent(&stream->outbox);
    stream->busy = false;
    stream->broken |= !ok;
    bool end = is_end(stream);
    bool more = !end && !stream->broken && !stream->has_status;
    pthread_mutex_unlock(&stream->lock);
    grpc_byte_buffer_destroy(sent);
    if (end)
        close_stream(stream);
    else if (more)
        pump(stream); /* on the channel's thread, where alone a status could come: the stream is still there */
}

VmafxErr vmafx_rpc_client_stream_send(VmafxRpcClientStream *stream, const void *data, size_t len)
{
    VmafxErr err = VMAFX_OK;

    pthread_mutex_lock(&stream->lock);
    if (stream->has_status || stream->broken || stream->half_close || stream->closing) {
        err = VMAFX_ERR_STOPPED;
    } else if (!rpc_outbox_has_room(&stream->outbox, len, RPC_CLIENT_QUEUE_MAX)) {
        err = VMAFX_ERR_LIMIT;
    } else {
        err = rpc_outbox_add(&stream->outbox, data, len);
    }
    pthread_mutex_unlock(&stream->lock);
    if (!err)
        pump(stream);
    return err;
}

size_t vmafx_rpc_client_stream_waiting(const VmafxRpcClientStream *stream)
{
    pthread_mutex_t *lock = (pthread_mutex_t *)&stream->lock;

    pthread_mutex_lock(lock);
    size_t waiting = stream->outbox.waiting;
    pthread_mutex_unlock(lock);
    return waiting;
}

void vmafx_rpc_client_stream_half_close(VmafxRpcClientStream *stream)
{
    pthread_mutex_lock(&stream->lock);
    stream->half_close = true;
    pthread_mutex_unlock(&stream->lock);
    pump(stream);
}

/* ---- reading ---- */

/* `reading` is set, which keeps the call alive. */
static void start_read(VmafxRpcClientStream *stream, bool first)
{
    const grpc_op ops[] = {
        { .op = GRPC_OP_RECV_MESSAGE, .data.recv_message.recv_message = &stream->received },
        { .op = GRPC_OP_RECV_INITIAL_METADATA, .data.recv_initial_metadata.recv_initial_metadata = &stream->initial },
    };

    rpc_batch(stream->call, ops, first ? 2 : 1, &stream->received_op);
}

static void on_received(RpcOp *op, bool ok)
{
    VmafxRpcClientStream *stream = RPC_CONTAINER(op, VmafxRpcClientStream, received_op);
    grpc_slice message;

    /* Still `reading` during the callback, so that nobody closes the stream meanwhile. */
    bool got = stream->received && rpc_buffer_take(&stream->received, &message);
    if (got) {
        stream->events.message(stream->events.ctx, stream, GRPC_SLICE_START_PTR(message), GRPC_SLICE_LENGTH(message));
        grpc_slice_unref(message);
    }
    pthread_mutex_lock(&stream->lock);
    bool again = got && !stream->abandoned && (!stream->by_hand || stream->wanted);
    stream->reading = again;
    stream->wanted = false;
    stream->read_all |= !got;
    bool end = is_end(stream);
    pthread_mutex_unlock(&stream->lock);
    if (end)
        close_stream(stream);
    else if (again)
        start_read(stream, false);
}

void rpc_client_stream_more(VmafxRpcClientStream *stream)
{
    pthread_mutex_lock(&stream->lock);
    bool start = !stream->reading && !stream->read_all && !stream->closing && !stream->abandoned;
    stream->wanted = !start;
    stream->reading |= start;
    pthread_mutex_unlock(&stream->lock);
    if (start)
        start_read(stream, false);
}

/* ---- beginning, cancelling, giving back ---- */

static void on_status(RpcOp *op, bool ok)
{
    VmafxRpcClientStream *stream = RPC_CONTAINER(op, VmafxRpcClientStream, status_op);

    pthread_mutex_lock(&stream->lock);
    stream->has_status = true;
    bool end = is_end(stream);
    pthread_mutex_unlock(&stream->lock);
    if (end)
        close_stream(stream);
}

VmafxErr rpc_client_stream_begin(VmafxRpcChannel *channel, const char *path, const VmafxRpcClientStreamEvents *events,
                                 bool by_hand, const void *request, size_t len, VmafxRpcClientStream **ret,
                                 VmafxErrInfo *reterr)
{
    VmafxRpcClientStream *stream = calloc(1, sizeof *stream);

    if (!stream)
        return vmafx_fail(reterr, VMAFX_ERR_NOMEM, "no memory for a stream");
    stream->channel = channel;
    stream->events = *events;
    stream->by_hand = by_hand;
    stream->received_op.done = on_received;
    stream->sent_op.done = on_sent;
    stream->status_op.done = on_status;
    stream->status = GRPC_STATUS_INTERNAL;
    stream->status_message = grpc_empty_slice();
    rpc_outbox_init(&stream->outbox);
    grpc_metadata_array_init(&stream->initial);
    grpc_metadata_array_init(&stream->trailing);
    pthread_mutex_init(&stream->lock, NULL);
    pthread_cond_init(&stream->change, NULL);
    rpc_metadata_inject(&stream->metadata, vmafx_context_current());
    stream->call = rpc_channel_call(channel, path, gpr_inf_future(GPR_CLOCK_MONOTONIC));
    if (by_hand) {
        VMAFX_IGNORE(rpc_outbox_add(&stream->outbox, request, len)); /* without it the server misses it, and says so */
        stream->half_close = true;
    }
    pthread_mutex_lock(&channel->lock);
    stream->next = channel->streams;
    stream->at = &channel->streams;
    if (stream->next)
        stream->next->at = &stream->next;
    channel->streams = stream;
    channel->n_streams++;
    pthread_mutex_unlock(&channel->lock);
    *ret = stream; /* callbacks may come from here on */

    const grpc_op status = { .op = GRPC_OP_RECV_STATUS_ON_CLIENT,
                             .data.recv_status_on_client = { .trailing_metadata = &stream->trailing,
                                                             .status = &stream->status,
                                                             .status_details = &stream->status_message } };
    /* The status is asked for last, so that the stream cannot be closed in between. */
    stream->reading = true;
    pump(stream);
    start_read(stream, true);
    rpc_batch(stream->call, &status, 1, &stream->status_op);
    return VMAFX_OK;
}

VmafxErr vmafx_rpc_stream_open(VmafxRpcChannel *channel, const char *path, const VmafxRpcClientStreamEvents *events,
                               VmafxRpcClientStream **ret, VmafxErrInfo *reterr)
{
    return rpc_client_stream_begin(channel, path, events, false, NULL, 0, ret, reterr);
}

void vmafx_rpc_client_stream_cancel(VmafxRpcClientStream *stream)
{
    pthread_mutex_lock(&stream->lock);
    if (!stream->closing) /* returns at once, and calls nothing of ours */
        grpc_call_cancel(stream->call, NULL);
    stream->abandoned |= stream->by_hand;
    bool end = is_end(stream);
    pthread_mutex_unlock(&stream->lock);
    if (end)
        close_stream(stream);
}

void vmafx_rpc_client_stream_free(VmafxRpcClientStream **stream)
{
    VmafxRpcClientStream *gone = VMAFX_TAKE(*stream);

    if (!gone)
        return;
    vmafx_rpc_client_stream_cancel(gone);
    pthread_mutex_lock(&gone->lock);
    while (!gone->closed)
        pthread_cond_wait(&gone->change, &gone->lock);
    pthread_mutex_unlock(&gone->lock);
    pthread_cond_destroy(&gone->change);
    pthread_mutex_destroy(&gone->lock);
    free(gone);
}

/* With the channel's lock held: one that has to be closed here, because nobody reads it. */
static VmafxRpcClientStream *cancel_all(VmafxRpcChannel *channel)
{
    VmafxRpcClientStream *ended = NULL;

    for (VmafxRpcClientStream *stream = channel->streams; stream && !ended; stream = stream->next) {
        pthread_mutex_lock(&stream->lock);
        if (!stream->closing)
            grpc_call_cancel(stream->call, NULL);
        stream->abandoned |= stream->by_hand;
        if (is_end(stream))
            ended = stream;
        pthread_mutex_unlock(&stream->lock);
    }
    return ended;
}

void rpc_client_streams_end(VmafxRpcChannel *channel)
{
    pthread_mutex_lock(&channel->lock);
    for (VmafxRpcClientStream *ended; (ended = cancel_all(channel));) {
        pthread_mutex_unlock(&channel->lock);
        close_stream(ended);
        pthread_mutex_lock(&channel->lock);
    }
    while (channel->n_streams)
        pthread_cond_wait(&channel->change, &channel->lock);
    pthread_mutex_unlock(&channel->lock);
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Streams. Three things of the library may be under way at a time: a read, a write, and the op that tells of the end
 * (closed_op). What they bring becomes tasks on the strand: a list that at most one pool thread works on.
 *
 *   read done   ──► message or half_closed on the strand ──► next read   (a slow callback slows the peer down, and so
 *                                                            does a hold: then the last release is what starts it)
 *   write done  ──► next message of the queue, at last the status        (pump)
 *   end         ──► once neither read nor write is under way: closed on the strand, the last task ever    (settle)
 *
 * The library and its call are only touched while the stream has not `ended`; references may outlive that, and the
 * server too.
 */

#include <stdatomic.h>
#include <string.h>

#include "base/base.h"
#include "rpc/outbox.h"
#include "rpc/server_internal.h"

enum { TASKS_AT_ONCE = 32 }; /* before another strand gets the thread */

typedef struct Post {
    RpcTask task;
    VmafxRpcStream *stream; /* the strand has a reference */
    void (*run)(void *arg, VmafxRpcStream *stream);
    void *arg;
} Post;

struct VmafxRpcStream {
    RpcIncoming incoming; /* server and call: not after it has ended */
    atomic_int refs;      /* one is the library's, until closed has run; one the strand's while it is scheduled */
    void *state;          /* of the method; strand only */
    bool opened;          /* so closed must be called; strand only */
    int library_cancelled;
    RpcOp closed_op, received_op, sent_op;
    RpcTask strand; /* on the pool */
    RpcTask open_task, message_task, half_task, writable_task, closed_task;
    grpc_byte_buffer *received; /* the library's while reading, then the strand's */
    grpc_slice status_message;  /* lives until the status is out */
    char retry_after[16];       /* milliseconds, for the trailing metadata; "": none */
    grpc_metadata trailer;

    pthread_mutex_t lock; /* covers everything below */
    RpcTask *first, **last;
    bool scheduled;

    bool open_done, gone, ended; /* gone: closed_op came; ended: closed is on the strand */
    bool reading, no_more;
    bool read_due;  /* the strand is ready for the next message */
    unsigned holds; /* which is not read while there are any */

    RpcOutbox outbox;
    bool busy; /* a write is under way */
    bool want_headers, headers_sent, broken;
    bool finishing, status_sent;
    int status;

    void (*writable)(void *ctx, VmafxRpcStream *stream);
    void *writable_ctx;
    size_t writable_below;
    bool writable_queued;
};

/* ---- the strand ---- */

VmafxRpcStream *vmafx_rpc_stream_ref(VmafxRpcStream *stream)
{
    atomic_fetch_add_explicit(&stream->refs, 1, memory_order_relaxed);
    return stream;
}

void vmafx_rpc_stream_unref(VmafxRpcStream **stream)
{
    VmafxRpcStream *gone = VMAFX_TAKE(*stream);

    if (!gone || atomic_fetch_sub_explicit(&gone->refs, 1, memory_order_acq_rel) > 1)
        return;
    pthread_mutex_destroy(&gone->lock);
    rpc_incoming_done(&gone->incoming);
    free(gone);
}

/* With the lock held. */
static void push(VmafxRpcStream *stream, RpcTask *task)
{
    task->next = NULL;
    *stream->last = task;
    stream->last = &task->next;
    if (stream->scheduled)
        return;
    stream->scheduled = true;
    rpc_pool_submit(&stream->incoming.server->stream_pool, &vmafx_rpc_stream_ref(stream)->strand);
}

static void run_strand(RpcTask *strand)
{
    VmafxRpcStream *stream = RPC_CONTAINER(strand, VmafxRpcStream, strand);
    RpcPool *pool = &stream->incoming.server->stream_pool; /* there until its threads have ended */

    for (int i = 0;; i++) {
        pthread_mutex_lock(&stream->lock);
        RpcTask *task = stream->first;
        if (!task || i == TASKS_AT_ONCE) {
            stream->scheduled = task;
            pthread_mutex_unlock(&stream->lock);
            if (task)
                rpc_pool_submit(pool, strand);
            else
                vmafx_rpc_stream_unref(&stream);
            return;
        }
        stream->first = task->next;
        if (!stream->first)
            stream->last = &stream->first;
        pthread_mutex_unlock(&stream->lock);
        task->run(task);
    }
}

/* With the lock held: is this the end? Then closed is the last task. */
static void settle(VmafxRpcStream *stream)
{
    if (!stream->gone || stream->busy || stream->reading || !stream->open_done || stream->ended)
        return;
    stream->ended = true;
    push(stream, &stream->closed_task);
}

static void on_closed_task(RpcTask *task)
{
    VmafxRpcStream *stream = RPC_CONTAINER(task, VmafxRpcStream, closed_task);
    const VmafxRpcMethod *method = &stream->incoming.entry->method;

    if (stream->opened && method->closed)
        method->closed(stream->state, stream);
    pthread_mutex_lock(&stream->lock); /* the last write's end may still look */
    rpc_outbox_done(&stream->outbox);
    pthread_mutex_unlock(&stream->lock);
    if (stream->received)
        grpc_byte_buffer_destroy(stream->received);
    grpc_slice_unref(stream->status_message);
    rpc_incoming_leave(&stream->incoming);
    vmafx_rpc_stream_unref(&stream);
}

/* ---- writing ---- */

/* With the lock held. */
static void look_whether_writable(VmafxRpcStream *stream)
{
    if (!stream->writable || stream->writable_queued || stream->ended ||
        stream->outbox.waiting > stream->writable_below)
        return;
    stream->writable_queued = true;
    push(stream, &stream->writable_task);
}

static void on_writable_task(RpcTask *task)
{
    VmafxRpcStream *stream = RPC_CONTAINER(task, VmafxRpcStream, writable_task);
    void (*writable)(void *, VmafxRpcStream *) = NULL;

    pthread_mutex_lock(&stream->lock);
    void *ctx = stream->writable_ctx;
    stream->writable_queued = false;
    if (stream->outbox.waiting <= stream->writable_below) /* it may have been replaced since */
        writable = VMAFX_TAKE(stream->writable);
    pthread_mutex_unlock(&stream->lock);
    if (writable)
        writable(ctx, stream);
}

/* Starts the next write, if there is something to write and none is under way. */
static void pump(VmafxRpcStream *stream)
{
    grpc_op ops[2];
    size_t n = 0;

    pthread_mutex_lock(&stream->lock);
    bool last = !stream->outbox.first && stream->finishing && !stream->status_sent;
    if (!stream->busy && !stream->gone && !stream->broken &&
        (stream->outbox.first || last || (stream->want_headers && !stream->headers_sent))) {
        if (!stream->headers_sent)
            ops[n++] = (grpc_op){ .op = GRPC_OP_SEND_INITIAL_METADATA };
        stream->headers_sent = true;
        if (stream->outbox.first) {
            ops[n++] = rpc_outbox_next(&stream->outbox);
        } else if (last) {
            stream->status_sent = true;
            ops[n++] = (grpc_op){ .op = GRPC_OP_SEND_STATUS_FROM_SERVER,
                                  .data.send_status_from_server = { .status = (grpc_status_code)stream->status,
                                                                    .status_details = &stream->status_message,
                                                                    .trailing_metadata = &stream->trailer,
                                                                    .trailing_metadata_count =
                                                                        stream->retry_after[0] ? 1 : 0 } };
        }
        stream->busy = true; /* which keeps the call alive */
    }
    pthread_mutex_unlock(&stream->lock);
    if (n)
        rpc_batch(stream->incoming.call, ops, n, &stream->sent_op);
}

static void on_sent(RpcOp *op, bool ok)
{
    VmafxRpcStream *stream = RPC_CONTAINER(op, VmafxRpcStream, sent_op);

    vmafx_rpc_stream_ref(stream); /* settle may be the end of the library's */
    pthread_mutex_lock(&stream->lock);
    grpc_byte_buffer *sent = rpc_outbox_sent(&stream->outbox);
    stream->busy = false;
    stream->broken |= !ok;
    look_whether_writable(stream);
    settle(stream);
    pthread_mutex_unlock(&stream->lock);
    grpc_byte_buffer_destroy(sent);
    pump(stream);
    vmafx_rpc_stream_unref(&stream);
}

/* Not after it has ended. */
static size_t queue_max(const VmafxRpcStream *stream)
{
    size_t of_method = stream->incoming.entry->method.queue_max_bytes;

    return of_method ? of_method : stream->incoming.server->queue_max;
}

VmafxErr vmafx_rpc_stream_send(VmafxRpcStream *stream, const void *data, size_t len)
{
    VmafxErr err = VMAFX_OK;

    pthread_mutex_lock(&stream->lock);
    if (stream->gone || stream->broken || stream->finishing || stream->ended) {
        err = VMAFX_ERR_STOPPED;
    } else if (!rpc_outbox_has_room(&stream->outbox, len, queue_max(stream))) {
        /* A status could not overtake the message that the peer does not read, so the call is cut off. */
        err = VMAFX_ERR_LIMIT;
        stream->broken = true;
        grpc_call_cancel_with_status(stream->incoming.call, GRPC_STATUS_RESOURCE_EXHAUSTED,
                                     "the messages of this stream are not read fast enough", NULL);
    } else {
        err = rpc_outbox_add(&stream->outbox, data, len);
    }
    pthread_mutex_unlock(&stream->lock);
    if (!err)
        pump(stream);
    return err;
}

size_t vmafx_rpc_stream_waiting(const VmafxRpcStream *stream)
{
    pthread_mutex_t *lock = (pthread_mutex_t *)&stream->lock;

    pthread_mutex_lock(lock);
    size_t waiting = stream->outbox.waiting;
    pthread_mutex_unlock(lock);
    return waiting;
}

void vmafx_rpc_stream_on_writable(VmafxRpcStream *stream, size_t below, void (*writable)(void *ctx, VmafxRpcStream *),
                                  void *ctx)
{
    pthread_mutex_lock(&stream->lock);
    stream->writable = writable;
    stream->writable_ctx = ctx;
    stream->writable_below = below;
    look_whether_writable(stream);
    pthread_mutex_unlock(&stream->lock);
}

static void finish(VmafxRpcStream *stream, int status, const char *message, const uint32_t *retry_after_ms)
{
    pthread_mutex_lock(&stream->lock);
    bool first = !stream->finishing && !stream->gone && !stream->ended;
    if (first) {
        stream->finishing = true;
        stream->status = status;
        stream->status_message = grpc_slice_from_copied_string(message ? message : "");
        if (retry_after_ms) {
            snprintf(stream->retry_after, sizeof stream->retry_after, "%u", *retry_after_ms);
            stream->trailer.key = grpc_slice_from_static_string("retry-after-ms");
            stream->trailer.value = grpc_slice_from_copied_string(stream->retry_after); /* short: has no memory */
        }
    }
    pthread_mutex_unlock(&stream->lock);
    if (first)
        pump(stream);
}

void vmafx_rpc_stream_finish(VmafxRpcStream *stream, VmafxErr err, const char *message)
{
    finish(stream, vmafx_err_grpc(err), message || !err ? message : vmafx_err_text(err), NULL);
}

void vmafx_rpc_stream_finish_later(VmafxRpcStream *stream, VmafxErr err, const char *message, uint32_t retry_after_ms)
{
    finish(stream, vmafx_err_grpc(err), message || !err ? message : vmafx_err_text(err), &retry_after_ms);
}

/* ---- reading ---- */

/* Starts the next read, if one is due and nobody holds it back. due: it is from now on. */
static void read_next(VmafxRpcStream *stream, bool due)
{
    pthread_mutex_lock(&stream->lock);
    stream->read_due |= due;
    bool start =
        stream->read_due && !stream->holds && !stream->reading && !stream->no_more && !stream->gone && !stream->broken;
    if (start) {
        stream->read_due = false;
        stream->reading = true; /* which keeps the call alive */
    }
    pthread_mutex_unlock(&stream->lock);
    if (start) {
        const grpc_op receive = { .op = GRPC_OP_RECV_MESSAGE, .data.recv_message.recv_message = &stream->received };

        rpc_batch(stream->incoming.call, &receive, 1, &stream->received_op);
    }
}

void vmafx_rpc_stream_hold(VmafxRpcStream *stream)
{
    pthread_mutex_lock(&stream->lock);
    stream->holds++;
    pthread_mutex_unlock(&stream->lock);
}

void vmafx_rpc_stream_release(VmafxRpcStream *stream)
{
    pthread_mutex_lock(&stream->lock);
    stream->holds -= stream->holds > 0;
    pthread_mutex_unlock(&stream->lock);
    read_next(stream, false);
}

static void on_received(RpcOp *op, bool ok)
{
    VmafxRpcStream *stream = RPC_CONTAINER(op, VmafxRpcStream, received_op);

    pthread_mutex_lock(&stream->lock);
    stream->reading = false;
    if (stream->received) {
        push(stream, &stream->message_task);
    } else {
        stream->no_more = true;
        if (ok && !stream->gone)
            push(stream, &stream->half_task);
    }
    settle(stream);
    pthread_mutex_unlock(&stream->lock);
}

static void on_message_task(RpcTask *task)
{
    VmafxRpcStream *stream = RPC_CONTAINER(task, VmafxRpcStream, message_task);
    const VmafxRpcMethod *method = &stream->incoming.entry->method;
    VmafxErrInfo info = { "" };
    grpc_slice message;

    if (!stream->opened)
        return;
    VmafxErr err = rpc_buffer_unpack(&stream->received, stream->incoming.server->message_max, &message, &info);
    if (err) {
        vmafx_rpc_stream_finish(stream, err, info.message);
        return;
    }
    method->message(stream->state, stream, GRPC_SLICE_START_PTR(message), GRPC_SLICE_LENGTH(message));
    grpc_slice_unref(message);
    read_next(stream, true);
}

static void on_half_task(RpcTask *task)
{
    VmafxRpcStream *stream = RPC_CONTAINER(task, VmafxRpcStream, half_task);
    const VmafxRpcMethod *method = &stream->incoming.entry->method;

    if (stream->opened && method->half_closed)
        method->half_closed(stream->state, stream);
}

/* ---- beginning and end ---- */

static void on_open_task(RpcTask *task)
{
    VmafxRpcStream *stream = RPC_CONTAINER(task, VmafxRpcStream, open_task);
    const VmafxRpcMethod *method = &stream->incoming.entry->method;
    VmafxErrInfo info = { "" };

    pthread_mutex_lock(&stream->lock);
    bool gone = stream->gone;
    pthread_mutex_unlock(&stream->lock);
    VmafxErr err = gone ? VMAFX_ERR_CANCELLED : rpc_authorize(&stream->incoming, &info);
    if (!err)
        err = method->open(method->ctx, stream, &stream->state, &info);
    stream->opened = !err;
    if (err)
        vmafx_rpc_stream_finish(stream, err, info.message[0] ? info.message : NULL);
    else
        read_next(stream, true);
    pthread_mutex_lock(&stream->lock);
    stream->want_headers = !err; /* so that the peer knows that it was let in */
    stream->open_done = true;
    settle(stream);
    pthread_mutex_unlock(&stream->lock);
    pump(stream);
}

static void on_closed(RpcOp *op, bool ok)
{
    VmafxRpcStream *stream = RPC_CONTAINER(op, VmafxRpcStream, closed_op);

    pthread_mutex_lock(&stream->lock);
    stream->gone = true;
    settle(stream);
    pthread_mutex_unlock(&stream->lock);
}

static void on_post(RpcTask *task)
{
    Post *post = RPC_CONTAINER(task, Post, task);

    post->run(post->arg, post->stream);
    free(post);
}

bool vmafx_rpc_stream_post(VmafxRpcStream *stream, void (*run)(void *arg, VmafxRpcStream *stream), void *arg)
{
    Post *post = malloc(sizeof *post);

    if (!post)
        return false;
    *post = (Post){ .task = { .run = on_post }, .stream = stream, .run = run, .arg = arg };
    pthread_mutex_lock(&stream->lock);
    bool open = !stream->ended;
    if (open)
        push(stream, &post->task);
    pthread_mutex_unlock(&stream->lock);
    if (!open)
        free(post);
    return open;
}

void rpc_stream_stop(RpcIncoming *incoming)
{
    VmafxRpcStream *stream = RPC_CONTAINER(incoming, VmafxRpcStream, incoming);

    vmafx_rpc_stream_finish(stream, VMAFX_ERR_STOPPED, NULL);
}

bool rpc_stream_begin(const RpcIncoming *incoming)
{
    VmafxRpcStream *stream = calloc(1, sizeof *stream);

    if (!stream)
        return false;
    stream->incoming = *incoming;
    stream->status_message = grpc_empty_slice();
    stream->closed_op.done = on_closed;
    stream->received_op.done = on_received;
    stream->sent_op.done = on_sent;
    stream->strand.run = run_strand;
    stream->open_task.run = on_open_task;
    stream->message_task.run = on_message_task;
    stream->half_task.run = on_half_task;
    stream->writable_task.run = on_writable_task;
    stream->closed_task.run = on_closed_task;
    stream->last = &stream->first;
    rpc_outbox_init(&stream->outbox);
    atomic_init(&stream->refs, 1);
    pthread_mutex_init(&stream->lock, NULL);
    rpc_live_add(&stream->incoming);

    pthread_mutex_lock(&stream->lock);
    push(stream, &stream->open_task);
    pthread_mutex_unlock(&stream->lock);
    const grpc_op closed = { .op = GRPC_OP_RECV_CLOSE_ON_SERVER,
                             .data.recv_close_on_server.cancelled = &stream->library_cancelled };
    rpc_batch(incoming->call, &closed, 1, &stream->closed_op);
    return true;
}

const VmafxRpcPeer *vmafx_rpc_stream_peer(const VmafxRpcStream *stream)
{
    return &stream->incoming.peer;
}

const char *vmafx_rpc_stream_metadata(const VmafxRpcStream *stream, const char *key)
{
    return rpc_incoming_header(&stream->incoming, key);
}

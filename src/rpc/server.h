/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * A gRPC server: bytes in, bytes out, no type of the gRPC library. Unary calls run on a pool of threads and may wait.
 * Streams are driven by events: each has a strand, so that its callbacks come one at a time, in order, on pool threads,
 * and hold no thread in between; a thousand idle streams cost memory only. Their threads are others than those of unary
 * calls, and few: stream callbacks must not wait. The next message is read when the callback of one has returned.
 *
 * Limits: message size in, metadata size, calls at a time on a connection, connections' ping rate, bytes waiting to be
 * sent on a stream, unary calls that wait for a thread (1024; then RESOURCE_EXHAUSTED). Messages may
 * be compressed (gzip, deflate), and the limit holds for what is in them; answers are not. Server spans and
 * rpc.server.call.duration by the semantic conventions for unary calls; streams get neither. gRPC health (per service,
 * and "") and reflection (v1alpha and v1, from the descriptor set) are served by it.
 */
#ifndef VMAFX_RPC_SERVER_H
#define VMAFX_RPC_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <vmafx/error.h>

#include "otel/api/context.h"

typedef struct VmafxRpcServer VmafxRpcServer;
typedef struct VmafxRpcCall VmafxRpcCall;     /* a unary call; lives during its handler */
typedef struct VmafxRpcStream VmafxRpcStream; /* counted; see ref */

/** Who is at the other end. Lives as long as its call or stream. */
typedef struct VmafxRpcPeer {
    const char *address;      /* "ipv4:127.0.0.1:4711", "unix:" */
    bool loopback;            /* loopback address or unix socket */
    bool authenticated;       /* by a certificate that the server's CA signed */
    const char *const *names; /* DNS and URI SANs of the certificate, else its CN; n_names is 0 unless authenticated */
    size_t n_names;
} VmafxRpcPeer;

/** An answer. A handler sets body (malloc'ed, taken over) and returns VMAFX_OK, or returns an error and a sentence. */
typedef struct VmafxRpcAnswer {
    uint8_t *body;
    size_t len;
} VmafxRpcAnswer;

typedef struct VmafxRpcMethod {
    const char *path; /* "/vmafx.v1.Jobs/SubmitJob" */
    /**
     * Unary: called on a pool thread with the server span current. An error becomes its gRPC status by the table of
     * errors, with reterr's sentence as message.
     */
    VmafxErr (*unary)(void *ctx, VmafxRpcCall *call, const void *data, size_t len, VmafxRpcAnswer *ret,
                      VmafxErrInfo *reterr);
    /**
     * Stream (unary NULL). open: an error refuses it with that status. *ret_state is handed to the others. message:
     * one from the peer. half_closed: the peer will send no more (may be NULL). closed: always the last one, exactly
     * once for each open that said OK, whatever happened; the state is freed there.
     */
    VmafxErr (*open)(void *ctx, VmafxRpcStream *stream, void **ret_state, VmafxErrInfo *reterr);
    void (*message)(void *state, VmafxRpcStream *stream, const void *data, size_t len);
    void (*half_closed)(void *state, VmafxRpcStream *stream);
    void (*closed)(void *state, VmafxRpcStream *stream);
    size_t queue_max_bytes; /* waiting to be sent on one of its streams; 0: the server's stream_queue_max_bytes */
    void *ctx;
} VmafxRpcMethod;

typedef struct VmafxRpcServerConfig {
    const char *address; /* "127.0.0.1:7801", "[::1]:0", "unix:/path"; port 0: any free one */
    const char *cert_file, *key_file,
        *ca_file;                  /* PEM; all three: mutual TLS, renewed files are picked up; none: plain */
    const VmafxRpcMethod *methods; /* borrowed while the server lives */
    size_t n_methods;
    /** Asked before any handler, also for health and reflection. NULL: everything is allowed. On pool threads. */
    VmafxErr (*authorize)(void *ctx, const VmafxRpcPeer *peer, const char *path, VmafxErrInfo *reterr);
    void *authorize_ctx;
    const uint8_t *descriptor_set; /* FileDescriptorSet for reflection; NULL: no reflection */
    size_t descriptor_set_len;
    int threads_max;                /* of the pool; 0: 32 */
    size_t message_max_bytes;       /* 0: 4 MiB */
    size_t stream_queue_max_bytes;  /* waiting to be sent on one stream; 0: 16 MiB */
    int streams_per_connection_max; /* calls of any kind at a time; 0: 1024 */
} VmafxRpcServerConfig;

/** @return VMAFX_ERR_IO (address in use or not ours), VMAFX_ERR_NOT_FOUND (files), VMAFX_ERR_INVALID, VMAFX_ERR_NOMEM
 */
VMAFX_CHECK VmafxErr vmafx_rpc_server_start(const VmafxRpcServerConfig *config, VmafxRpcServer **ret,
                                            VmafxErrInfo *reterr);
int vmafx_rpc_server_port(const VmafxRpcServer *server);
/**
 * For grpc.health.v1: "" is the server as a whole. That and the services of the methods are serving from the start,
 * until told otherwise; at most 256 names. When the server stops none is. Any thread.
 */
void vmafx_rpc_server_set_serving(VmafxRpcServer *server, const char *service, bool serving);
/**
 * Refuses new calls, lets running ones end within grace_ms, then cancels them; all callbacks have returned. Waits for
 * handlers for as long as they take, so they should look at vmafx_rpc_call_cancelled. Not from a handler or callback.
 */
void vmafx_rpc_server_stop(VmafxRpcServer **server, uint32_t grace_ms);

/* ---- Unary calls, from their handler ---- */
const VmafxRpcPeer *vmafx_rpc_call_peer(const VmafxRpcCall *call);
const char *vmafx_rpc_call_metadata(const VmafxRpcCall *call, const char *key); /* NULL: absent */
/** What the peer's traceparent said; NULL when it sent none that is valid. Borrowed. */
VmafxContext *vmafx_rpc_call_remote_context(const VmafxRpcCall *call);
bool vmafx_rpc_call_cancelled(const VmafxRpcCall *call);
uint64_t vmafx_rpc_call_deadline_ns(const VmafxRpcCall *call); /* CLOCK_MONOTONIC; UINT64_MAX: none */

/* ---- Streams ---- */
const VmafxRpcPeer *vmafx_rpc_stream_peer(const VmafxRpcStream *stream);
const char *vmafx_rpc_stream_metadata(const VmafxRpcStream *stream, const char *key);
/** The first message of a server-streaming call arrives by `message`, followed by half_closed. */
/**
 * Queues a message. Any thread, any time between open and the last unref; never waits.
 * @return VMAFX_ERR_STOPPED closed already; VMAFX_ERR_LIMIT the peer does not read: the stream is then being ended with
 * RESOURCE_EXHAUSTED; VMAFX_ERR_NOMEM
 */
VmafxErr vmafx_rpc_stream_send(VmafxRpcStream *stream, const void *data, size_t len);
/**
 * Stops reading: no further message is read, and so none comes, until as many releases as holds have been called.
 * HTTP/2's flow control then makes the peer wait; what it sends meanwhile is bounded by its window, and other streams
 * of its connection go on. From the stream's own callbacks: a message that has come already is that of the callback,
 * and the next one is read after it at the earliest. half_closed comes after the messages that were held back, closed
 * whenever the stream ends, held or not.
 */
void vmafx_rpc_stream_hold(VmafxRpcStream *stream);
/** Takes one hold back; without one it is nothing. Any thread, any time between open and the last unref. */
void vmafx_rpc_stream_release(VmafxRpcStream *stream);
/** Bytes that wait to be sent: for those who can slow down. */
size_t vmafx_rpc_stream_waiting(const VmafxRpcStream *stream);
/** Has `writable` called once on the strand when no more than `below` bytes wait; replaces an earlier one. */
void vmafx_rpc_stream_on_writable(VmafxRpcStream *stream, size_t below, void (*writable)(void *ctx, VmafxRpcStream *),
                                  void *ctx);
/** Ends it after what is queued, with the status of err. Any thread; the first one counts. */
void vmafx_rpc_stream_finish(VmafxRpcStream *stream, VmafxErr err, const char *message);
/** The same, with `retry-after-ms` in the trailing metadata. */
void vmafx_rpc_stream_finish_later(VmafxRpcStream *stream, VmafxErr err, const char *message, uint32_t retry_after_ms);
/** Runs a function on the strand, after what waits there; not once it is closed (false). */
bool vmafx_rpc_stream_post(VmafxRpcStream *stream, void (*run)(void *arg, VmafxRpcStream *stream), void *arg);
VmafxRpcStream *vmafx_rpc_stream_ref(VmafxRpcStream *stream);
void vmafx_rpc_stream_unref(VmafxRpcStream **stream);
#endif

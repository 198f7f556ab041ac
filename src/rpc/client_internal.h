/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The channel's parts: one thread in the library's queue moves unary calls, streams and readings. */
#ifndef VMAFX_RPC_CLIENT_INTERNAL_H
#define VMAFX_RPC_CLIENT_INTERNAL_H

#include "otel/api/metrics.h"
#include "otel/api/trace.h"
#include "rpc/client.h"
#include "rpc/library.h"
#include "rpc/telemetry.h"

enum {
    RPC_UNARY_TIMEOUT_MS = 30000,
    RPC_CLIENT_QUEUE_MAX = 64 << 20, /* bytes that may wait to be sent on a stream */
};

struct VmafxRpcChannel {
    char *target, *server_name; /* server_name: NULL without TLS, or where the target's own is meant */
    int message_max;
    grpc_channel_credentials *credentials;
    grpc_completion_queue *queue;
    pthread_mutex_t renewal; /* covers grpc */
    grpc_channel *grpc;      /* replaced after a failure to connect */
    pthread_t thread;
    bool has_thread;
    VmafxTracer *tracer;
    VmafxHistogram *duration;
    char host[RPC_HOST_MAX]; /* of the target, for telemetry; "" when unknown */
    int port;

    pthread_mutex_t lock; /* covers everything below, and `done` of unary calls */
    pthread_cond_t change;
    VmafxRpcClientStream *streams; /* those that have not been closed */
    size_t n_streams;
};

/** Trace context as metadata. Zeroed: none. */
typedef struct RpcMetadata {
    grpc_metadata items[VMAFX_PROPAGATE_FIELDS_MAX];
    size_t n;
} RpcMetadata;
void rpc_metadata_inject(RpcMetadata *metadata, const VmafxContext *context);
void rpc_metadata_done(RpcMetadata *metadata);

/** A call; the library aborts where it has no memory for one. */
grpc_call *rpc_channel_call(VmafxRpcChannel *channel, const char *path, gpr_timespec deadline);

/* client_stream.c */

/**
 * A stream that may be read by hand: with `by_hand` the next message is only read after rpc_client_stream_more. With a
 * request it is sent, and nothing more.
 */
VmafxErr rpc_client_stream_begin(VmafxRpcChannel *channel, const char *path, const VmafxRpcClientStreamEvents *events,
                                 bool by_hand, const void *request, size_t len, VmafxRpcClientStream **ret,
                                 VmafxErrInfo *reterr);
void rpc_client_stream_more(VmafxRpcClientStream *stream);
/** Cancels every stream of a channel and waits until they are closed. */
void rpc_client_streams_end(VmafxRpcChannel *channel);
#endif

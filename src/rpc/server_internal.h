/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The server's parts and how they hang together.
 *
 *   library's queue ── pollers (2) ──► server.c        a call arrives, its method is looked up
 *                                      server_unary.c  ── read, then ──► pool of unary calls: authorize, handler,
 * answer server_stream.c ── events ─────► strand on the pool of streams: callbacks
 *
 * Pollers never wait and never run a handler, so the library always has a thread of ours to poll its sockets with.
 */
#ifndef VMAFX_RPC_SERVER_INTERNAL_H
#define VMAFX_RPC_SERVER_INTERNAL_H

#include "otel/api/metrics.h"
#include "otel/api/trace.h"
#include "rpc/library.h"
#include "rpc/pool.h"
#include "rpc/server.h"
#include "rpc/wire.h"

enum {
    RPC_POLLERS = 2,
    RPC_SLOTS = 32, /* calls that may arrive before the first of them is looked at */
    RPC_THREADS_DEFAULT = 32,
    RPC_STREAM_THREADS_MAX = 8, /* stream callbacks do not wait, so a few threads do; unary ones cannot take them */
    RPC_UNARY_WAITING_MAX = 1024,
    RPC_QUEUE_MAX_DEFAULT = 16 << 20,
    RPC_CALLS_MAX_DEFAULT = 1024,
    RPC_INTERNAL_METHODS = 4, /* health Check and Watch, reflection v1alpha and v1 */
    RPC_SERVICES_MAX = 256,   /* names that health knows */
};

/** A method of the table. Ours are `internal`: no telemetry, and they end when the server stops. */
typedef struct RpcEntry {
    VmafxRpcMethod method;
    bool internal;
} RpcEntry;

typedef struct RpcHeader {
    const char *key, *value;
    size_t len; /* of the value; there is a zero behind it */
} RpcHeader;

/** What unary calls and streams have in common: who calls what. Written before anyone else sees it. */
typedef struct RpcIncoming {
    VmafxRpcServer *server;
    grpc_call *call;
    const RpcEntry *entry; /* NULL: no such method */
    char *path, *host;     /* host: what the peer calls us, ":authority" */
    uint64_t deadline_ns;
    VmafxRpcPeer peer;
    RpcHeader *headers;
    size_t n_headers;
    struct RpcIncoming *next, **at; /* the server's list of live ones */
} RpcIncoming;

typedef struct RpcTelemetry {
    VmafxTracer *tracer;
    VmafxHistogram *duration;
} RpcTelemetry;

typedef struct RpcWatch RpcWatch;
typedef struct RpcHealth {
    pthread_mutex_t lock; /* covers everything below; messages are queued with it held, so that they go in order */
    struct {
        char *name;
        bool serving;
    } * services;
    size_t n_services;
    RpcWatch *watches;
} RpcHealth;

typedef struct RpcSlot RpcSlot;

struct VmafxRpcServer {
    grpc_server *grpc;
    size_t message_max; /* bytes, unpacked */
    grpc_completion_queue *queue;
    pthread_t pollers[RPC_POLLERS];
    int n_pollers;
    int port;
    bool started; /* calls have been asked for */

    RpcEntry *entries; /* sorted by path */
    size_t n_entries;
    VmafxErr (*authorize)(void *ctx, const VmafxRpcPeer *peer, const char *path, VmafxErrInfo *reterr);
    void *authorize_ctx;
    size_t queue_max; /* bytes that may wait on one stream */
    RpcPool unary_pool, stream_pool;
    RpcTelemetry telemetry;
    RpcHealth health;
    RpcBytes descriptor_set; /* borrowed */

    pthread_mutex_t lock; /* covers everything below */
    pthread_cond_t change;
    bool stopping;     /* calls are refused */
    bool shut_down;    /* the library says that it has no call any more */
    RpcOp shutdown_op; /* says so */
    RpcIncoming *live;
};

/* server.c */
const RpcEntry *rpc_entry_find(const VmafxRpcServer *server, const char *path);
/** Asks the server's authorize, unless it stops. Pool threads only. */
VmafxErr rpc_authorize(const RpcIncoming *incoming, VmafxErrInfo *reterr);
/** Off the list of live ones, and the library's call given back. */
void rpc_incoming_leave(RpcIncoming *incoming);

/* server_incoming.c */
/** Copies what is needed of a call; false on no memory, with nothing to free. Takes the call over when true. */
bool rpc_incoming_init(RpcIncoming *incoming, VmafxRpcServer *server, grpc_call *call, const grpc_call_details *details,
                       const grpc_metadata_array *metadata);
void rpc_incoming_done(RpcIncoming *incoming);
const char *rpc_incoming_header(const RpcIncoming *incoming, const char *key);
/** What traceparent, tracestate and baggage say; a new reference, or NULL. */
VmafxContext *rpc_incoming_context(RpcIncoming *incoming);

/* server_unary.c, server_stream.c. They take the incoming over by value; false on no memory, and it is the caller's. */
bool rpc_unary_begin(const RpcIncoming *incoming);
bool rpc_stream_begin(const RpcIncoming *incoming);
/** Of a stream's incoming: ends it because the server stops. */
void rpc_stream_stop(RpcIncoming *incoming);
void rpc_live_add(RpcIncoming *incoming);

/* server_telemetry.c */
typedef struct RpcMeasure {
    VmafxSpan *span;
    VmafxContext *remote; /* from the peer; may be NULL */
    VmafxContextToken token;
    uint64_t began_ns;
} RpcMeasure;
void rpc_telemetry_init(RpcTelemetry *telemetry);
/** Begins span and clock, and makes the span current on this thread, until rpc_measure_end on the same thread. */
void rpc_measure_begin(RpcMeasure *measure, RpcIncoming *incoming);
void rpc_measure_end(RpcMeasure *measure, const RpcIncoming *incoming, int status, const char *message);

/* server_health.c */
bool rpc_health_init(RpcHealth *health);
void rpc_health_done(RpcHealth *health);
bool rpc_health_set(RpcHealth *health, const char *service, bool serving);
void rpc_health_stop(RpcHealth *health); /* nothing is serving any more */
void rpc_health_methods(VmafxRpcServer *server, VmafxRpcMethod ret[2]);

/* server_reflection.c */
void rpc_reflection_methods(VmafxRpcServer *server, VmafxRpcMethod ret[2]);
#endif

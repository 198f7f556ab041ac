/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The server as a whole: start, arrival of calls, stop. */

#include <string.h>
#include <time.h>

#include "base/base.h"
#include "base/clock.h"
#include "rpc/server_internal.h"

enum { HANDSHAKE_TIMEOUT_MS = 10000 };

/* Where a call arrives. It is asked for again as soon as the call has been copied out of it. */
struct RpcSlot {
    RpcOp op;
    VmafxRpcServer *server;
    grpc_call *call;
    grpc_call_details details;
    grpc_metadata_array metadata;
};

/* ---- methods ---- */

static int by_path(const void *a, const void *b)
{
    return strcmp(((const RpcEntry *)a)->method.path, ((const RpcEntry *)b)->method.path);
}

const RpcEntry *rpc_entry_find(const VmafxRpcServer *server, const char *path)
{
    const RpcEntry key = { .method.path = path };

    return bsearch(&key, server->entries, server->n_entries, sizeof key, by_path);
}

static VmafxErr take_methods(VmafxRpcServer *server, const VmafxRpcServerConfig *config, VmafxErrInfo *reterr)
{
    VmafxRpcMethod ours[RPC_INTERNAL_METHODS];

    server->entries = calloc(config->n_methods + RPC_INTERNAL_METHODS, sizeof *server->entries);
    if (!server->entries)
        return vmafx_fail(reterr, VMAFX_ERR_NOMEM, "no memory for the methods");
    for (size_t i = 0; i < config->n_methods; i++) {
        const VmafxRpcMethod *method = &config->methods[i];
        const char *slash = method->path && method->path[0] == '/' ? strchr(method->path + 1, '/') : NULL;

        if (!slash || slash == method->path + 1 || !slash[1] || (!method->unary && (!method->open || !method->message)))
            return vmafx_fail(reterr, VMAFX_ERR_INVALID, "method %zu ('%s') has no path of two parts, or no handler", i,
                              method->path ? method->path : "");
        server->entries[server->n_entries++] = (RpcEntry){ .method = *method };
        VMAFX_AUTO(vmafx_free_p) char *service = strndup(method->path + 1, (size_t)(slash - method->path - 1));
        if (!service || !rpc_health_set(&server->health, service, true))
            return vmafx_fail(reterr, VMAFX_ERR_NOMEM, "no memory for the methods");
    }
    rpc_health_methods(server, ours);
    rpc_reflection_methods(server, ours + 2);
    for (size_t i = 0; i < (server->descriptor_set.len ? 4 : 2); i++)
        server->entries[server->n_entries++] = (RpcEntry){ .method = ours[i], .internal = true };
    qsort(server->entries, server->n_entries, sizeof *server->entries, by_path);
    for (size_t i = 1; i < server->n_entries; i++)
        if (!by_path(&server->entries[i - 1], &server->entries[i]))
            return vmafx_fail(reterr, VMAFX_ERR_INVALID, "the method '%s' is there twice",
                              server->entries[i].method.path);
    return VMAFX_OK;
}

VmafxErr rpc_authorize(const RpcIncoming *incoming, VmafxErrInfo *reterr)
{
    VmafxRpcServer *server = incoming->server;

    pthread_mutex_lock(&server->lock);
    bool stopping = server->stopping;
    pthread_mutex_unlock(&server->lock);
    if (stopping)
        return vmafx_fail(reterr, VMAFX_ERR_STOPPED, "%s", vmafx_err_text(VMAFX_ERR_STOPPED));
    return server->authorize ? server->authorize(server->authorize_ctx, &incoming->peer, incoming->path, reterr)
                             : VMAFX_OK;
}

/* ---- live calls ---- */

void rpc_live_add(RpcIncoming *incoming)
{
    VmafxRpcServer *server = incoming->server;

    pthread_mutex_lock(&server->lock);
    incoming->next = server->live;
    incoming->at = &server->live;
    if (server->live)
        server->live->at = &incoming->next;
    server->live = incoming;
    pthread_mutex_unlock(&server->lock);
}

void rpc_incoming_leave(RpcIncoming *incoming)
{
    VmafxRpcServer *server = incoming->server;

    grpc_call_unref(VMAFX_TAKE(incoming->call));
    pthread_mutex_lock(&server->lock);
    *incoming->at = incoming->next;
    if (incoming->next)
        incoming->next->at = incoming->at;
    pthread_cond_broadcast(&server->change);
    pthread_mutex_unlock(&server->lock);
}

/* ---- arrival ---- */

static void slot_free(RpcSlot *slot)
{
    grpc_call_details_destroy(&slot->details);
    grpc_metadata_array_destroy(&slot->metadata);
    free(slot);
}

static void slot_arm(RpcSlot *slot)
{
    VmafxRpcServer *server = slot->server;

    slot->call = NULL;
    grpc_call_details_init(&slot->details);
    grpc_metadata_array_init(&slot->metadata);
    rpc_op_hand_over(&slot->op);
    if (grpc_server_request_call(server->grpc, &slot->call, &slot->details, &slot->metadata, server->queue,
                                 server->queue, &slot->op) != GRPC_CALL_OK)
        slot_free(slot); /* only while the server is being shut down */
}

static void on_arrival(RpcOp *op, bool ok)
{
    RpcSlot *slot = RPC_CONTAINER(op, RpcSlot, op);
    grpc_call *call = slot->call;
    RpcIncoming incoming;

    if (!ok) { /* the server stops */
        slot_free(slot);
        return;
    }
    bool copied = rpc_incoming_init(&incoming, slot->server, call, &slot->details, &slot->metadata);
    grpc_call_details_destroy(&slot->details);
    grpc_metadata_array_destroy(&slot->metadata);
    slot_arm(slot);
    bool stream = copied && incoming.entry && !incoming.entry->method.unary;
    if (copied && (stream ? rpc_stream_begin(&incoming) : rpc_unary_begin(&incoming)))
        return;
    if (copied)
        rpc_incoming_done(&incoming);
    grpc_call_cancel_with_status(call, GRPC_STATUS_RESOURCE_EXHAUSTED, "out of memory", NULL);
    grpc_call_unref(call);
}

static void *poll_queue(void *arg)
{
    rpc_queue_run(((VmafxRpcServer *)arg)->queue);
    return NULL;
}

/* ---- start ---- */

static grpc_server *server_new(const VmafxRpcServerConfig *config)
{
    int calls = config->streams_per_connection_max ? config->streams_per_connection_max : RPC_CALLS_MAX_DEFAULT;
    grpc_arg args[] = {
        rpc_arg(GRPC_ARG_ALLOW_REUSEPORT, 0), /* else two daemons on one port would share the calls */
        rpc_arg(GRPC_ARG_MAX_CONCURRENT_STREAMS, calls),
        rpc_arg(GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, rpc_size_arg(config->message_max_bytes, RPC_MESSAGE_MAX_DEFAULT)),
        rpc_arg(GRPC_ARG_MAX_SEND_MESSAGE_LENGTH, -1),
        rpc_arg(GRPC_ARG_MAX_METADATA_SIZE, RPC_METADATA_MAX),
        rpc_arg(GRPC_ARG_KEEPALIVE_TIME_MS, RPC_KEEPALIVE_MS),
        rpc_arg(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, RPC_KEEPALIVE_TIMEOUT_MS),
        rpc_arg(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1),
        rpc_arg(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0),
        rpc_arg(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, RPC_PING_INTERVAL_MIN_MS),
        rpc_arg(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, HANDSHAKE_TIMEOUT_MS),
        /* The library would hold the limit of a message against its compressed form only: we unpack ourselves. */
        rpc_arg(GRPC_ARG_ENABLE_PER_MESSAGE_DECOMPRESSION, 0),
        rpc_arg(GRPC_COMPRESSION_CHANNEL_ENABLED_ALGORITHMS_BITSET,
                1 << GRPC_COMPRESS_NONE | 1 << GRPC_COMPRESS_DEFLATE | 1 << GRPC_COMPRESS_GZIP),
    };
    grpc_channel_args list = { VMAFX_LEN(args), args };

    return grpc_server_create(&list, NULL);
}

static VmafxErr listen_on(VmafxRpcServer *server, const VmafxRpcServerConfig *config, VmafxErrInfo *reterr)
{
    grpc_server_credentials *credentials;

    if (config->cert_file) {
        grpc_tls_credentials_options *options = rpc_tls_options(config->cert_file, config->key_file, config->ca_file);

        grpc_tls_credentials_options_set_cert_request_type(options,
                                                           GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
        credentials = grpc_tls_server_credentials_create(options);
    } else {
        credentials = grpc_insecure_server_credentials_create();
    }
    server->port = credentials ? grpc_server_add_http2_port(server->grpc, config->address, credentials) : 0;
    grpc_server_credentials_release(credentials);
    return server->port ? VMAFX_OK
                        : vmafx_fail(reterr, VMAFX_ERR_IO,
                                     "cannot listen on '%s': another program may be using it, or it is not an address "
                                     "of this machine",
                                     config->address);
}

static void on_shut_down(RpcOp *op, bool ok)
{
    VmafxRpcServer *server = RPC_CONTAINER(op, VmafxRpcServer, shutdown_op);

    pthread_mutex_lock(&server->lock);
    server->shut_down = true;
    pthread_cond_broadcast(&server->change);
    pthread_mutex_unlock(&server->lock);
}

static VmafxErr server_open(VmafxRpcServer *server, const VmafxRpcServerConfig *config, VmafxErrInfo *reterr)
{
    int threads = config->threads_max > 0 ? config->threads_max : RPC_THREADS_DEFAULT;
    VmafxErr err = take_methods(server, config, reterr);

    if (err)
        return err;
    if (!rpc_pool_init(&server->unary_pool, threads) ||
        !rpc_pool_init(&server->stream_pool, VMAFX_MIN(threads, (int)RPC_STREAM_THREADS_MAX)))
        return vmafx_fail(reterr, VMAFX_ERR_NOMEM, "no threads for the gRPC server");
    server->queue = grpc_completion_queue_create_for_next(NULL);
    server->message_max = (size_t)rpc_size_arg(config->message_max_bytes, RPC_MESSAGE_MAX_DEFAULT);
    server->grpc = server_new(config);
    if (!server->grpc || !server->queue)
        return vmafx_fail(reterr, VMAFX_ERR_NOMEM, "no gRPC server");
    grpc_server_register_completion_queue(server->grpc, server->queue, NULL);
    for (; server->n_pollers < RPC_POLLERS; server->n_pollers++)
        if (!rpc_thread_start(&server->pollers[server->n_pollers], poll_queue, server))
            return vmafx_fail(reterr, VMAFX_ERR_NOMEM, "no threads for the gRPC server");
    err = listen_on(server, config, reterr);
    if (err)
        return err;
    grpc_server_start(server->grpc);
    server->started = true;
    for (int i = 0; i < RPC_SLOTS; i++) {
        RpcSlot *slot = calloc(1, sizeof *slot);

        if (!slot)
            return vmafx_fail(reterr, VMAFX_ERR_NOMEM, "no memory for the gRPC server");
        *slot = (RpcSlot){ .op.done = on_arrival, .server = server };
        slot_arm(slot);
    }
    return VMAFX_OK;
}

VmafxErr vmafx_rpc_server_start(const VmafxRpcServerConfig *config, VmafxRpcServer **ret, VmafxErrInfo *reterr)
{
    VmafxRpcServer *server;
    VmafxErr err;

    if (!config->address)
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "the gRPC server has no address to listen on");
    err = rpc_tls_check(config->cert_file, config->key_file, config->ca_file, reterr);
    if (err)
        return err;
    server = calloc(1, sizeof *server);
    if (!server)
        return vmafx_fail(reterr, VMAFX_ERR_NOMEM, "no memory for the gRPC server");
    rpc_library_init();
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&server->change, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&server->lock, NULL);
    server->shutdown_op.done = on_shut_down;
    server->authorize = config->authorize;
    server->authorize_ctx = config->authorize_ctx;
    server->queue_max = config->stream_queue_max_bytes ? config->stream_queue_max_bytes : RPC_QUEUE_MAX_DEFAULT;
    server->descriptor_set = (RpcBytes){ config->descriptor_set, config->descriptor_set_len };
    rpc_telemetry_init(&server->telemetry);
    err = rpc_health_init(&server->health) ? server_open(server, config, reterr)
                                           : vmafx_fail(reterr, VMAFX_ERR_NOMEM, "no memory for the gRPC server");
    if (err)
        vmafx_rpc_server_stop(&server, 0);
    else
        *ret = server;
    return err;
}

int vmafx_rpc_server_port(const VmafxRpcServer *server)
{
    return server->port;
}

void vmafx_rpc_server_set_serving(VmafxRpcServer *server, const char *service, bool serving)
{
    VMAFX_IGNORE(!rpc_health_set(&server->health, service, serving)); /* a name too many stays unknown, which is said */
}

/* ---- stop ---- */

static bool over(const VmafxRpcServer *server)
{
    return server->shut_down && !server->live;
}

static void wait_for_calls(VmafxRpcServer *server, uint32_t grace_ms)
{
    uint64_t until = vmafx_monotonic_ns() + (uint64_t)grace_ms * 1000000;
    const struct timespec at = { .tv_sec = (time_t)(until / 1000000000), .tv_nsec = (long)(until % 1000000000) };
    int timed_out = 0;

    pthread_mutex_lock(&server->lock);
    while (!over(server) && !timed_out)
        timed_out = pthread_cond_timedwait(&server->change, &server->lock, &at);
    pthread_mutex_unlock(&server->lock);
    if (timed_out)
        grpc_server_cancel_all_calls(server->grpc);
    pthread_mutex_lock(&server->lock);
    while (!over(server))
        pthread_cond_wait(&server->change, &server->lock);
    pthread_mutex_unlock(&server->lock);
}

/* Probes and reflection would use up the grace, as they wait for our end. */
static void end_internal(VmafxRpcServer *server)
{
    pthread_mutex_lock(&server->lock);
    server->stopping = true;
    for (RpcIncoming *incoming = server->live; incoming; incoming = incoming->next)
        if (incoming->entry && incoming->entry->internal && !incoming->entry->method.unary)
            rpc_stream_stop(incoming);
    pthread_mutex_unlock(&server->lock);
}

void vmafx_rpc_server_stop(VmafxRpcServer **server, uint32_t grace_ms)
{
    VmafxRpcServer *gone = VMAFX_TAKE(*server);

    if (!gone)
        return;
    rpc_health_stop(&gone->health);
    if (gone->grpc && gone->n_pollers) {
        rpc_op_hand_over(&gone->shutdown_op);
        grpc_server_shutdown_and_notify(gone->grpc, gone->queue, &gone->shutdown_op);
        end_internal(gone);
        wait_for_calls(gone, grace_ms);
    }
    /* A server whose pollers could not be started is left to the system: the library can only free one shut down. */
    if (gone->grpc && gone->n_pollers)
        grpc_server_destroy(gone->grpc);
    if (gone->queue)
        grpc_completion_queue_shutdown(gone->queue);
    for (int i = 0; i < gone->n_pollers; i++)
        pthread_join(gone->pollers[i], NULL);
    if (gone->queue && (gone->n_pollers || !gone->grpc))
        grpc_completion_queue_destroy(gone->queue);
    rpc_pool_done(&gone->unary_pool);
    rpc_pool_done(&gone->stream_pool);
    rpc_health_done(&gone->health);
    free(gone->entries);
    pthread_cond_destroy(&gone->change);
    pthread_mutex_destroy(&gone->lock);
    free(gone);
    rpc_library_done();
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* A channel: its connection, its thread, and unary calls, which wait for that thread. */

#include <string.h>

#include "base/base.h"
#include "base/clock.h"
#include "rpc/client_internal.h"
#include "signals/signals.h"

enum { CONNECT_WITHIN_MS = 10000 };

/* ---- channels ---- */

static grpc_channel_credentials *credentials_new(const VmafxRpcChannelConfig *config)
{
    if (!config->cert_file)
        return grpc_insecure_credentials_create();
    return grpc_tls_credentials_create(rpc_tls_options(config->cert_file, config->key_file, config->ca_file));
}

static grpc_channel *channel_new(const VmafxRpcChannel *channel)
{
    grpc_arg args[] = {
        rpc_arg(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1), /* a connection of our own */
        rpc_arg(GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, channel->message_max),
        rpc_arg(GRPC_ARG_MAX_SEND_MESSAGE_LENGTH, -1),
        rpc_arg(GRPC_ARG_MAX_METADATA_SIZE, RPC_METADATA_MAX),
        rpc_arg(GRPC_ARG_ENABLE_RETRIES, 0), /* who calls decides about that */
        rpc_arg(GRPC_ARG_ENABLE_HTTP_PROXY, 0),
        rpc_arg(GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION, 1),
        rpc_arg(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, CONNECT_WITHIN_MS), /* in spite of its name */
        rpc_arg(GRPC_ARG_KEEPALIVE_TIME_MS, RPC_KEEPALIVE_MS),
        rpc_arg(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, RPC_KEEPALIVE_TIMEOUT_MS),
        rpc_arg(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1),
        rpc_arg(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0),
        rpc_arg(GRPC_COMPRESSION_CHANNEL_ENABLED_ALGORITHMS_BITSET, 1 << GRPC_COMPRESS_NONE),
        { .type = GRPC_ARG_STRING, .key = (char *)GRPC_ARG_PRIMARY_USER_AGENT_STRING, .value.string = (char *)"vmafx" },
        { .type = GRPC_ARG_STRING,
          .key = (char *)GRPC_SSL_TARGET_NAME_OVERRIDE_ARG,
          .value.string = channel->server_name },
    };
    grpc_channel_args list = { VMAFX_LEN(args) - (channel->server_name ? 0 : 1), args };

    return grpc_channel_create(channel->target, channel->credentials, &list);
}

/*
 * After a failure to connect the library fails calls with that old news, and tries again when its own backoff is over,
 * which would stack upon ours. A channel that stands there is replaced: every call of ours finds out anew. Calls of the
 * old one that are under way have failed already, and end as they would have.
 */
static void renew_if_failed(VmafxRpcChannel *channel)
{
    if (grpc_channel_check_connectivity_state(channel->grpc, 0) != GRPC_CHANNEL_TRANSIENT_FAILURE)
        return;
    grpc_channel *fresh = channel_new(channel);
    if (!fresh)
        return;
    grpc_channel_destroy(channel->grpc);
    channel->grpc = fresh;
}

static void *poll_queue(void *arg)
{
    rpc_queue_run(((VmafxRpcChannel *)arg)->queue);
    return NULL;
}

VmafxErr vmafx_rpc_channel_open(const VmafxRpcChannelConfig *config, VmafxRpcChannel **ret, VmafxErrInfo *reterr)
{
    VmafxRpcChannel *channel;
    VmafxErr err;

    if (!config->target || !*config->target)
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "there is no address to connect to");
    err = rpc_tls_check(config->cert_file, config->key_file, config->ca_file, reterr);
    if (err)
        return err;
    channel = calloc(1, sizeof *channel);
    if (!channel)
        return vmafx_fail(reterr, VMAFX_ERR_NOMEM, "no memory for a gRPC channel");
    rpc_library_init();
    pthread_mutex_init(&channel->lock, NULL);
    pthread_mutex_init(&channel->renewal, NULL);
    pthread_cond_init(&channel->change, NULL);
    channel->tracer = vmafx_tracer_get(RPC_SCOPE, "");
    channel->duration = rpc_histogram(VMAFX_METRIC_ID_RPC_CLIENT_DURATION);
    if (!rpc_host_split(config->target, channel->host, &channel->port))
        channel->host[0] = 0;
    channel->message_max = rpc_size_arg(config->message_max_bytes, RPC_MESSAGE_MAX_DEFAULT);
    channel->target = vmafx_strdup(config->target);
    channel->server_name = vmafx_strdup(config->cert_file ? config->server_name : NULL);
    channel->credentials = credentials_new(config);
    channel->grpc = channel->credentials && channel->target ? channel_new(channel) : NULL;
    channel->queue = grpc_completion_queue_create_for_next(NULL);
    channel->has_thread = channel->grpc && channel->queue && rpc_thread_start(&channel->thread, poll_queue, channel);
    if (!channel->has_thread) {
        vmafx_rpc_channel_close(&channel);
        return vmafx_fail(reterr, VMAFX_ERR_NOMEM, "no gRPC channel to '%s'", config->target);
    }
    *ret = channel;
    return VMAFX_OK;
}

void vmafx_rpc_channel_close(VmafxRpcChannel **channel)
{
    VmafxRpcChannel *gone = VMAFX_TAKE(*channel);

    if (!gone)
        return;
    if (gone->has_thread)
        rpc_client_streams_end(gone);
    if (gone->queue)
        grpc_completion_queue_shutdown(gone->queue);
    if (gone->has_thread)
        pthread_join(gone->thread, NULL);
    if (gone->queue)
        grpc_completion_queue_destroy(gone->queue);
    if (gone->grpc)
        grpc_channel_destroy(gone->grpc);
    if (gone->credentials)
        grpc_channel_credentials_release(gone->credentials);
    free(gone->target);
    free(gone->server_name);
    pthread_cond_destroy(&gone->change);
    pthread_mutex_destroy(&gone->renewal);
    pthread_mutex_destroy(&gone->lock);
    free(gone);
    rpc_library_done();
}

grpc_call *rpc_channel_call(VmafxRpcChannel *channel, const char *path, gpr_timespec deadline)
{
    grpc_slice method = grpc_slice_from_copied_string(path);

    pthread_mutex_lock(&channel->renewal);
    renew_if_failed(channel);
    grpc_call *call = grpc_channel_create_call(channel->grpc, NULL, GRPC_PROPAGATE_DEFAULTS, channel->queue, method,
                                               NULL, deadline, NULL);
    pthread_mutex_unlock(&channel->renewal);
    grpc_slice_unref(method);
    return call;
}

/* ---- trace context ---- */

static void set(void *carrier, const char *name, const char *value)
{
    RpcMetadata *metadata = carrier;
    grpc_slice key = grpc_slice_from_copied_string(name), text = grpc_slice_from_copied_string(value);

    if (metadata->n < VMAFX_LEN(metadata->items) && grpc_header_key_is_legal(key) &&
        grpc_header_nonbin_value_is_legal(text)) {
        metadata->items[metadata->n++] = (grpc_metadata){ .key = key, .value = text };
        return;
    }
    grpc_slice_unref(key);
    grpc_slice_unref(text);
}

void rpc_metadata_inject(RpcMetadata *metadata, const VmafxContext *context)
{
    static const VmafxCarrierSetter setter = { set };

    vmafx_context_inject(context, &setter, metadata);
}

void rpc_metadata_done(RpcMetadata *metadata)
{
    for (size_t i = 0; i < metadata->n; i++) {
        grpc_slice_unref(metadata->items[i].key);
        grpc_slice_unref(metadata->items[i].value);
    }
    metadata->n = 0;
}

/* ---- unary calls ---- */

/* On the stack of whoever waits. */
typedef struct Unary {
    RpcOp op;
    VmafxRpcChannel *channel;
    pthread_cond_t change;
    bool done; /* under the channel's lock */

    bool good;
    grpc_metadata_array initial, trailing;
    grpc_byte_buffer *request, *response;
    grpc_status_code status;
    grpc_slice message;
} Unary;

static void on_done(RpcOp *op, bool ok)
{
    Unary *unary = RPC_CONTAINER(op, Unary, op);
    pthread_mutex_t *lock = &unary->channel->lock; /* unary may be gone once it is unlocked */

    pthread_mutex_lock(lock);
    unary->good = ok;
    unary->done = true;
    pthread_cond_signal(&unary->change);
    pthread_mutex_unlock(lock);
}

static void exchange(Unary *unary, grpc_call *call, RpcMetadata *metadata)
{
    const grpc_op ops[] = {
        { .op = GRPC_OP_SEND_INITIAL_METADATA,
          .data.send_initial_metadata = { .count = metadata->n, .metadata = metadata->items } },
        { .op = GRPC_OP_SEND_MESSAGE, .data.send_message.send_message = unary->request },
        { .op = GRPC_OP_SEND_CLOSE_FROM_CLIENT },
        { .op = GRPC_OP_RECV_INITIAL_METADATA, .data.recv_initial_metadata.recv_initial_metadata = &unary->initial },
        { .op = GRPC_OP_RECV_MESSAGE, .data.recv_message.recv_message = &unary->response },
        { .op = GRPC_OP_RECV_STATUS_ON_CLIENT,
          .data.recv_status_on_client = { .trailing_metadata = &unary->trailing,
                                          .status = &unary->status,
                                          .status_details = &unary->message } },
    };

    rpc_batch(call, ops, VMAFX_LEN(ops), &unary->op);
    pthread_mutex_lock(&unary->channel->lock);
    while (!unary->done)
        pthread_cond_wait(&unary->change, &unary->channel->lock);
    pthread_mutex_unlock(&unary->channel->lock);
}

static VmafxErr take_answer(Unary *unary, uint8_t **ret, size_t *ret_len, VmafxErrInfo *reterr)
{
    grpc_slice body;

    if (unary->status != GRPC_STATUS_OK)
        return vmafx_fail(reterr, rpc_status_err((int)unary->status), "%.*s", (int)GRPC_SLICE_LENGTH(unary->message),
                          (const char *)GRPC_SLICE_START_PTR(unary->message));
    if (!unary->response || !rpc_buffer_take(&unary->response, &body))
        return vmafx_fail(reterr, VMAFX_ERR_INTERNAL, "the answer is missing or cannot be unpacked");
    uint8_t *copy = malloc(VMAFX_MAX(GRPC_SLICE_LENGTH(body), (size_t)1));
    if (copy) {
        memcpy(copy, GRPC_SLICE_START_PTR(body), GRPC_SLICE_LENGTH(body));
        *ret = copy;
        *ret_len = GRPC_SLICE_LENGTH(body);
    }
    grpc_slice_unref(body);
    return copy ? VMAFX_OK : vmafx_fail(reterr, VMAFX_ERR_NOMEM, "no memory for the answer");
}

static VmafxErr call_once(VmafxRpcChannel *channel, const char *path, const void *data, size_t len, uint32_t timeout_ms,
                          RpcMetadata *metadata, uint8_t **ret, size_t *ret_len, int *ret_status, VmafxErrInfo *reterr)
{
    gpr_timespec deadline = gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_millis(timeout_ms, GPR_TIMESPAN));
    Unary unary = { .op.done = on_done,
                    .channel = channel,
                    .status = GRPC_STATUS_INTERNAL,
                    .message = grpc_empty_slice(),
                    .request = rpc_buffer_new(data, len) };
    grpc_call *call = rpc_channel_call(channel, path, deadline);

    pthread_cond_init(&unary.change, NULL);
    grpc_metadata_array_init(&unary.initial);
    grpc_metadata_array_init(&unary.trailing);
    exchange(&unary, call, metadata);
    VmafxErr err = take_answer(&unary, ret, ret_len, reterr);
    *ret_status = (int)unary.status;
    grpc_call_unref(call);
    grpc_slice_unref(unary.message);
    grpc_metadata_array_destroy(&unary.initial);
    grpc_metadata_array_destroy(&unary.trailing);
    grpc_byte_buffer_destroy(unary.request);
    if (unary.response)
        grpc_byte_buffer_destroy(unary.response);
    pthread_cond_destroy(&unary.change);
    return err;
}

VmafxErr vmafx_rpc_unary(VmafxRpcChannel *channel, const char *path, const void *data, size_t len, uint32_t timeout_ms,
                         uint8_t **ret, size_t *ret_len, VmafxErrInfo *reterr)
{
    const char *name = rpc_method_name(path);
    VmafxErrInfo info = { "" };
    RpcMetadata metadata = { .n = 0 };
    VmafxAttr attrs[4];
    size_t n = 0;
    int status;

    attrs[n++] = VMAFX_ATTR_STR(VMAFX_KEY_RPC_SYSTEM, "grpc");
    attrs[n++] = VMAFX_ATTR_STR(VMAFX_KEY_RPC_METHOD, name);
    if (channel->host[0])
        attrs[n++] = VMAFX_ATTR_STR(VMAFX_KEY_SERVER_ADDRESS, channel->host);
    if (channel->host[0] && channel->port)
        attrs[n++] = VMAFX_ATTR_INT(VMAFX_KEY_SERVER_PORT, channel->port);
    uint64_t began_ns = vmafx_monotonic_ns();
    VMAFX_AUTO(vmafx_span_end)
    VmafxSpan *span = vmafx_span_start_with(channel->tracer, name,
                                            &(VmafxSpanOptions){ .kind = VMAFX_SPAN_CLIENT, .attrs = { attrs, n } });
    VMAFX_AUTO(vmafx_context_unref) VmafxContext *context = vmafx_span_to_context(span, vmafx_context_current());

    rpc_metadata_inject(&metadata, context);
    VmafxErr err = call_once(channel, path, data, len, timeout_ms ? timeout_ms : RPC_UNARY_TIMEOUT_MS, &metadata, ret,
                             ret_len, &status, &info);
    rpc_metadata_done(&metadata);
    rpc_measure_result(span, channel->duration, began_ns, status, status != GRPC_STATUS_OK, info.message, attrs, n);
    return err ? vmafx_fail(reterr, err, "%s", info.message[0] ? info.message : vmafx_err_text(err)) : VMAFX_OK;
}

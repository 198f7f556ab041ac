/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Unary calls over gRPC core's C interface: one batch of six operations, plucked from a queue of the client's own.
 * The library polls its sockets from the thread that plucks; nothing moves while no thread does.
 */

#include "rpc/unary_client.h"

#include <ctype.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include <grpc/byte_buffer.h>
#include <grpc/byte_buffer_reader.h>
#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <grpc/slice.h>
#include <grpc/support/alloc.h>
#include <grpc/support/log.h>
#include <grpc/support/time.h>

#include "base/base.h"

enum {
    PEM_MAX = 4 << 20,
    RESPONSE_MAX_DEFAULT = 4 << 20,
    METADATA_MAX = 64,
    DETAILS_MAX = 64 << 10,
    CONNECT_WITHIN_MS = 10000,
};

static pthread_once_t quiet_once = PTHREAD_ONCE_INIT;

struct VmafxRpcClient {
    char *target, *user_agent;
    size_t response_max;
    bool gzip;
    grpc_channel_credentials *credentials;
    grpc_channel *channel; /* the calling thread's alone */
    grpc_completion_queue *queue;

    pthread_mutex_t lock; /* covers what follows */
    grpc_call *call;      /* under way, or NULL */
    bool cancelled;
};

/* ---- making one ---- */

/* What the library would print about a peer's bytes is left to the status of the call, which says it too. */
static void no_log(gpr_log_func_args *args)
{
}

static void library_quiet(void)
{
    gpr_set_log_function(no_log);
}

static VmafxErr credentials_new(const VmafxRpcClientConfig *config, grpc_channel_credentials **ret,
                                VmafxErrInfo *reterr)
{
    VMAFX_AUTO(vmafx_free_p) char *ca = NULL, *cert = NULL, *key = NULL;
    size_t len;
    VmafxErr err = VMAFX_OK;

    if (!config->cert_file != !config->key_file)
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "a client certificate needs its key, and a key its certificate");
    if (config->ca_file)
        err = vmafx_read_file(config->ca_file, PEM_MAX, &ca, &len, reterr);
    if (!err && config->cert_file)
        err = vmafx_read_file(config->cert_file, PEM_MAX, &cert, &len, reterr);
    if (!err && config->key_file)
        err = vmafx_read_file(config->key_file, PEM_MAX, &key, &len, reterr);
    if (err)
        return err;
    if (config->tls) {
        grpc_ssl_pem_key_cert_pair pair = { key, cert };

        *ret = grpc_ssl_credentials_create_ex(ca, cert ? &pair : NULL, NULL, NULL);
    } else {
        *ret = grpc_insecure_credentials_create();
    }
    return *ret ? VMAFX_OK : vmafx_fail(reterr, VMAFX_ERR_NOMEM, "no gRPC credentials");
}

static grpc_arg int_arg(const char *key, int value)
{
    return (grpc_arg){ .type = GRPC_ARG_INTEGER, .key = (char *)key, .value.integer = value };
}

static grpc_channel *channel_new(const VmafxRpcClient *client)
{
    grpc_arg args[] = {
        int_arg(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1), /* a connection of our own */
        int_arg(GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, (int)VMAFX_MIN(client->response_max, (size_t)INT32_MAX)),
        int_arg(GRPC_ARG_MAX_SEND_MESSAGE_LENGTH, -1),
        int_arg(GRPC_ARG_MAX_METADATA_SIZE, DETAILS_MAX),
        int_arg(GRPC_ARG_ENABLE_RETRIES, 0), /* who calls decides about that */
        int_arg(GRPC_ARG_ENABLE_HTTP_PROXY, 0),
        int_arg(GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION, 1),
        int_arg(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, CONNECT_WITHIN_MS), /* in spite of its name */
        int_arg(GRPC_COMPRESSION_CHANNEL_DEFAULT_ALGORITHM, client->gzip ? GRPC_COMPRESS_GZIP : GRPC_COMPRESS_NONE),
        { .type = GRPC_ARG_STRING,
          .key = (char *)GRPC_ARG_PRIMARY_USER_AGENT_STRING,
          .value.string = client->user_agent },
    };
    grpc_channel_args list = { VMAFX_LEN(args), args };

    return grpc_channel_create(client->target, client->credentials, &list);
}

/*
 * After a failure to connect the library fails calls with that old news until its own backoff is over. A channel that
 * stands there is replaced, so that every call of ours finds out anew.
 */
static void renew_if_failed(VmafxRpcClient *client)
{
    if (grpc_channel_check_connectivity_state(client->channel, 0) != GRPC_CHANNEL_TRANSIENT_FAILURE)
        return;
    grpc_channel *fresh = channel_new(client);
    if (!fresh)
        return;
    grpc_channel_destroy(client->channel);
    client->channel = fresh;
}

VmafxErr vmafx_rpc_client_new(const VmafxRpcClientConfig *config, VmafxRpcClient **ret, VmafxErrInfo *reterr)
{
    VmafxRpcClient *client = calloc(1, sizeof *client);

    if (!client || !config->target) {
        free(client);
        return vmafx_fail(reterr, client ? VMAFX_ERR_INVALID : VMAFX_ERR_NOMEM, "no gRPC target, or no memory");
    }
    pthread_once(&quiet_once, library_quiet);
    grpc_init();
    pthread_mutex_init(&client->lock, NULL);
    client->target = vmafx_strdup(config->target);
    client->user_agent = vmafx_strdup(config->user_agent ? config->user_agent : "vmafx");
    client->response_max = config->response_max_bytes ? config->response_max_bytes : RESPONSE_MAX_DEFAULT;
    client->gzip = config->gzip;
    VmafxErr err = credentials_new(config, &client->credentials, reterr);
    if (!err) {
        client->channel = client->target && client->user_agent ? channel_new(client) : NULL;
        client->queue = grpc_completion_queue_create_for_pluck(NULL);
        if (!client->channel || !client->queue)
            err = vmafx_fail(reterr, VMAFX_ERR_NOMEM, "no gRPC channel");
    }
    if (err)
        vmafx_rpc_client_free(&client);
    else
        *ret = client;
    return err;
}

void vmafx_rpc_client_free(VmafxRpcClient **client)
{
    VmafxRpcClient *gone = VMAFX_TAKE(*client);

    if (!gone)
        return;
    if (gone->queue) { /* a pluck queue with nothing in it is drained by shutting it down */
        grpc_completion_queue_shutdown(gone->queue);
        grpc_completion_queue_destroy(gone->queue);
    }
    if (gone->channel)
        grpc_channel_destroy(gone->channel);
    if (gone->credentials)
        grpc_channel_credentials_release(gone->credentials);
    free(gone->target);
    free(gone->user_agent);
    pthread_mutex_destroy(&gone->lock);
    free(gone);
    grpc_shutdown();
}

void vmafx_rpc_response_done(VmafxRpcResponse *response)
{
    free(response->body);
    free(response->details);
    *response = (VmafxRpcResponse){ 0 };
}

void vmafx_rpc_client_cancel(VmafxRpcClient *client)
{
    if (!client)
        return;
    pthread_mutex_lock(&client->lock);
    client->cancelled = true;
    if (client->call) /* returns at once; the thread that plucks sees the end */
        grpc_call_cancel(client->call, NULL);
    pthread_mutex_unlock(&client->lock);
}

/* ---- one call ---- */

static size_t metadata_put(grpc_metadata out[METADATA_MAX], const VmafxRpcMetadata *metadata, size_t n)
{
    size_t put = 0;

    for (size_t i = 0; i < n && put < METADATA_MAX; i++) {
        char key[256];
        size_t len = strlen(metadata[i].key);

        if (!len || len >= sizeof key)
            continue;
        for (size_t c = 0; c <= len; c++)
            key[c] = (char)tolower((unsigned char)metadata[i].key[c]);
        grpc_slice name = grpc_slice_from_copied_string(key);
        grpc_slice value = grpc_slice_from_copied_string(metadata[i].value ? metadata[i].value : "");
        if (key[0] == ':' || strncmp(key, "grpc-", 5) == 0 || !grpc_header_key_is_legal(name) ||
            (!grpc_is_binary_header(name) && !grpc_header_nonbin_value_is_legal(value))) {
            grpc_slice_unref(name);
            grpc_slice_unref(value);
            continue;
        }
        out[put++] = (grpc_metadata){ .key = name, .value = value };
    }
    return put;
}

static uint8_t *copy_bytes(const void *bytes, size_t len)
{
    uint8_t *copy = len ? malloc(len) : NULL;

    if (copy)
        memcpy(copy, bytes, len);
    return copy;
}

/* The received message, unpacked by the library and within its limit; false on no memory or a broken packing. */
static bool take_body(grpc_byte_buffer *buffer, VmafxRpcResponse *ret)
{
    grpc_byte_buffer_reader reader;

    if (!buffer)
        return true;
    if (!grpc_byte_buffer_reader_init(&reader, buffer))
        return false;
    grpc_slice all = grpc_byte_buffer_reader_readall(&reader);
    grpc_byte_buffer_reader_destroy(&reader);
    size_t len = GRPC_SLICE_LENGTH(all);
    ret->body = copy_bytes(GRPC_SLICE_START_PTR(all), len);
    ret->len = ret->body ? len : 0;
    grpc_slice_unref(all);
    return !len || ret->body;
}

static void take_details(const grpc_metadata_array *trailing, VmafxRpcResponse *ret)
{
    for (size_t i = 0; i < trailing->count && !ret->details; i++) {
        const grpc_metadata *item = &trailing->metadata[i];
        size_t len = GRPC_SLICE_LENGTH(item->value);

        if (grpc_slice_str_cmp(item->key, "grpc-status-details-bin") != 0 || len > DETAILS_MAX)
            continue;
        ret->details = copy_bytes(GRPC_SLICE_START_PTR(item->value), len);
        ret->details_len = ret->details ? len : 0;
    }
}

static void take_text(grpc_slice text, char *ret, size_t size)
{
    size_t len = VMAFX_MIN(GRPC_SLICE_LENGTH(text), size - 1);

    memcpy(ret, GRPC_SLICE_START_PTR(text), len);
    ret[len] = 0;
}

static gpr_timespec deadline_of(uint64_t deadline_ns)
{
    int64_t seconds = (int64_t)VMAFX_MIN(deadline_ns / 1000000000, (uint64_t)INT32_MAX);

    return (gpr_timespec){ .tv_sec = seconds,
                           .tv_nsec = (int32_t)(deadline_ns % 1000000000),
                           .clock_type = GPR_CLOCK_MONOTONIC };
}

/* Makes the call known to cancel(); NULL when that came first. */
static grpc_call *begin(VmafxRpcClient *client, const char *method, gpr_timespec deadline)
{
    grpc_slice path = grpc_slice_from_copied_string(method);

    pthread_mutex_lock(&client->lock);
    if (!client->cancelled)
        client->call = grpc_channel_create_call(client->channel, NULL, GRPC_PROPAGATE_DEFAULTS, client->queue, path,
                                                NULL, deadline, NULL);
    grpc_call *call = client->call;
    pthread_mutex_unlock(&client->lock);
    grpc_slice_unref(path);
    return call;
}

static void end(VmafxRpcClient *client)
{
    pthread_mutex_lock(&client->lock);
    grpc_call *call = VMAFX_TAKE(client->call);
    pthread_mutex_unlock(&client->lock);
    grpc_call_unref(call);
}

/* Waits for the batch. The library ends it by the call's deadline; should it not, we cancel and wait for that. */
static void pluck(VmafxRpcClient *client, grpc_call *call, gpr_timespec deadline)
{
    grpc_event event = grpc_completion_queue_pluck(client->queue, call, deadline, NULL);

    if (event.type == GRPC_OP_COMPLETE)
        return;
    grpc_call_cancel_with_status(call, GRPC_STATUS_DEADLINE_EXCEEDED, "deadline exceeded", NULL);
    grpc_completion_queue_pluck(client->queue, call, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
}

static void run(VmafxRpcClient *client, grpc_call *call, grpc_metadata *metadata, size_t n_metadata, const void *body,
                size_t len, gpr_timespec deadline, VmafxRpcResponse *ret)
{
    grpc_slice payload = grpc_slice_from_copied_buffer(body ? body : "", body ? len : 0);
    grpc_byte_buffer *request = grpc_raw_byte_buffer_create(&payload, 1), *response = NULL;
    grpc_metadata_array initial, trailing;
    grpc_status_code status = GRPC_STATUS_UNKNOWN;
    grpc_slice message = grpc_empty_slice();

    grpc_metadata_array_init(&initial);
    grpc_metadata_array_init(&trailing);
    grpc_op ops[] = {
        { .op = GRPC_OP_SEND_INITIAL_METADATA,
          .data.send_initial_metadata = { .count = n_metadata, .metadata = metadata } },
        { .op = GRPC_OP_SEND_MESSAGE, .data.send_message.send_message = request },
        { .op = GRPC_OP_SEND_CLOSE_FROM_CLIENT },
        { .op = GRPC_OP_RECV_INITIAL_METADATA, .data.recv_initial_metadata.recv_initial_metadata = &initial },
        { .op = GRPC_OP_RECV_MESSAGE, .data.recv_message.recv_message = &response },
        { .op = GRPC_OP_RECV_STATUS_ON_CLIENT,
          .data.recv_status_on_client = { .trailing_metadata = &trailing,
                                          .status = &status,
                                          .status_details = &message } },
    };
    if (grpc_call_start_batch(call, ops, VMAFX_LEN(ops), call, NULL) == GRPC_CALL_OK) {
        pluck(client, call, deadline);
        ret->status = (int)status;
        take_text(message, ret->message, sizeof ret->message);
        take_details(&trailing, ret);
        if (!take_body(response, ret)) {
            ret->status = GRPC_STATUS_RESOURCE_EXHAUSTED;
            snprintf(ret->message, sizeof ret->message, "no memory for the answer");
        }
    }
    grpc_slice_unref(message);
    grpc_metadata_array_destroy(&initial);
    grpc_metadata_array_destroy(&trailing);
    grpc_byte_buffer_destroy(request);
    if (response)
        grpc_byte_buffer_destroy(response);
    grpc_slice_unref(payload);
}

void vmafx_rpc_call(VmafxRpcClient *client, const char *method, const VmafxRpcMetadata *metadata, size_t n_metadata,
                    const void *body, size_t len, uint64_t deadline_ns, VmafxRpcResponse *ret)
{
    grpc_metadata list[METADATA_MAX];
    gpr_timespec deadline = deadline_of(deadline_ns);

    vmafx_rpc_response_done(ret);
    ret->status = GRPC_STATUS_INTERNAL;
    snprintf(ret->message, sizeof ret->message, "the call could not be made");
    renew_if_failed(client);
    grpc_call *call = begin(client, method, deadline);
    if (!call) {
        ret->status = GRPC_STATUS_CANCELLED;
        snprintf(ret->message, sizeof ret->message, "cancelled");
        return;
    }
    size_t n = metadata_put(list, metadata, n_metadata);
    run(client, call, list, n, body, len, deadline, ret);
    end(client);
    /* Who answers UNAVAILABLE is there, and so is the connection. */
    ret->unreached = ret->status == GRPC_STATUS_UNAVAILABLE &&
                     grpc_channel_check_connectivity_state(client->channel, 0) == GRPC_CHANNEL_TRANSIENT_FAILURE;
    for (size_t i = 0; i < n; i++) {
        grpc_slice_unref(list[i].key);
        grpc_slice_unref(list[i].value);
    }
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What the tests of gRPC's server and client share; the header says what there is. */

#include "rpc_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/base.h"
#include "base/clock.h"
#include "otel/api/trace.h"
#include "rpc/message.h"

/* ---- something to wait for ---- */

void count_one(Count *count)
{
    pthread_mutex_lock(&count->lock);
    count->n++;
    pthread_cond_broadcast(&count->change);
    pthread_mutex_unlock(&count->lock);
}

void await_count(Count *count, int n)
{
    pthread_mutex_lock(&count->lock);
    while (count->n < n)
        pthread_cond_wait(&count->change, &count->lock);
    count->n = 0;
    pthread_mutex_unlock(&count->lock);
}

#define COUNT                                                                                                          \
    {                                                                                                                  \
        PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0                                                         \
    }

Echo echo = { .entered = COUNT, .opened = COUNT, .closed = COUNT, .limited = COUNT, .writable = COUNT };

/* ---- the service ---- */

static VmafxErr reply(VmafxRpcAnswer *ret, const void *data, size_t len)
{
    ret->body = malloc(VMAFX_MAX(len, (size_t)1));
    assert_non_null(ret->body);
    memcpy(ret->body, data, len);
    ret->len = len;
    return VMAFX_OK;
}

bool bytes_are(const void *data, size_t len, const char *text)
{
    return len == strlen(text) && !memcmp(data, text, len);
}

VmafxErr echo_say(void *ctx, VmafxRpcCall *call, const void *data, size_t len, VmafxRpcAnswer *ret,
                  VmafxErrInfo *reterr)
{
    VMAFX_AUTO(vmafx_span_end) VmafxSpan *span = vmafx_span_start(vmafx_tracer_get("test", ""), "inside");
    static const struct timespec a_little = { .tv_nsec = 1000000 };

    if (bytes_are(data, len, "wait")) {
        count_one(&echo.entered);
        while (!vmafx_rpc_call_cancelled(call))
            nanosleep(&a_little, NULL);
        count_one(&echo.closed);
        return vmafx_fail(reterr, VMAFX_ERR_CANCELLED, "nobody waits for it");
    }
    if (bytes_are(data, len, "peer"))
        return reply(ret, vmafx_rpc_call_peer(call)->address, strlen(vmafx_rpc_call_peer(call)->address));
    if (bytes_are(data, len, "names")) {
        const VmafxRpcPeer *peer = vmafx_rpc_call_peer(call);
        char text[256];
        int n = snprintf(text, sizeof text, "%d:", peer->authenticated);

        for (size_t i = 0; i < peer->n_names; i++)
            n += snprintf(text + n, sizeof text - (size_t)n, "%s,", peer->names[i]);
        return reply(ret, text, strlen(text));
    }
    if (bytes_are(data, len, "deadline")) {
        uint64_t deadline = vmafx_rpc_call_deadline_ns(call), now = vmafx_monotonic_ns();
        bool soon = deadline > now && deadline - now < 60 * (uint64_t)1000000000;

        return reply(ret, soon ? "soon" : "never", soon ? 4 : 5);
    }
    if (bytes_are(data, len, "agent")) {
        const char *agent = vmafx_rpc_call_metadata(call, "User-Agent");

        return reply(ret, agent ? agent : "", agent ? strlen(agent) : 0);
    }
    return reply(ret, data, len);
}

/* Fails as it is told: "7" is the error of that number. */
static VmafxErr fail_as_told(void *ctx, VmafxRpcCall *call, const void *data, size_t len, VmafxRpcAnswer *ret,
                             VmafxErrInfo *reterr)
{
    char text[8] = "";

    memcpy(text, data, VMAFX_MIN(len, sizeof text - 1));
    return vmafx_fail(reterr, (VmafxErr)atoi(text), "as told: %s, ünd more", text);
}

static VmafxErr check_spec(void *ctx, VmafxRpcCall *call, const void *data, size_t len, VmafxRpcAnswer *ret,
                           VmafxErrInfo *reterr)
{
    VMAFX_AUTO(vmafx_message_free) VmafxMessage *message = NULL;

    return vmafx_message_unpack(&vmafx__v1__job_spec__descriptor, data, len, 0, &message, reterr);
}

/* Echoes; "open" is refused by metadata only, see refuse_open. */
static VmafxErr chat_open(void *ctx, VmafxRpcStream *stream, void **ret_state, VmafxErrInfo *reterr)
{
    count_one(&echo.opened);
    return VMAFX_OK;
}

static void on_writable(void *ctx, VmafxRpcStream *stream)
{
    count_one(&echo.writable);
}

/* Sends until the queue is full. */
static void flood(void *arg, VmafxRpcStream *stream)
{
    static const char block[65536];
    VmafxErr err;

    echo.most = 0;
    do {
        err = vmafx_rpc_stream_send(stream, block, sizeof block);
        size_t waiting = vmafx_rpc_stream_waiting(stream);
        echo.most = VMAFX_MAX(echo.most, waiting);
    } while (!err);
    assert_int_equal(err, VMAFX_ERR_LIMIT);
    assert_int_equal(vmafx_rpc_stream_send(stream, "", 0), VMAFX_ERR_STOPPED);
    count_one(&echo.limited);
}

static void chat_message(void *state, VmafxRpcStream *stream, const void *data, size_t len)
{
    char text[32] = "";

    if (bytes_are(data, len, "flood")) {
        assert_true(vmafx_rpc_stream_post(stream, flood, NULL));
        return;
    }
    if (bytes_are(data, len, "bye")) {
        vmafx_rpc_stream_send(stream, "last words", 10);
        vmafx_rpc_stream_finish(stream, VMAFX_ERR_CONFLICT, "that was all");
        vmafx_rpc_stream_finish(stream, VMAFX_OK, NULL); /* too late */
        assert_int_equal(vmafx_rpc_stream_send(stream, "more", 4), VMAFX_ERR_STOPPED);
        return;
    }
    memcpy(text, data, VMAFX_MIN(len, sizeof text - 1));
    if (!strncmp(text, "count ", 6)) {
        for (int i = 1, n = atoi(text + 6); i <= n; i++) {
            char number[16];
            int digits = snprintf(number, sizeof number, "%d", i);

            assert_int_equal(vmafx_rpc_stream_send(stream, number, (size_t)digits), VMAFX_OK);
        }
        vmafx_rpc_stream_on_writable(stream, 0, on_writable, NULL);
        return;
    }
    vmafx_rpc_stream_send(stream, data, len); /* an error only when the stream is over */
}

static void chat_half_closed(void *state, VmafxRpcStream *stream)
{
    vmafx_rpc_stream_finish(stream, VMAFX_OK, NULL);
}

static void chat_closed(void *state, VmafxRpcStream *stream)
{
    assert_int_equal(vmafx_rpc_stream_send(stream, "too late", 8), VMAFX_ERR_STOPPED);
    count_one(&echo.closed);
}

static VmafxErr refuse_open(void *ctx, VmafxRpcStream *stream, void **ret_state, VmafxErrInfo *reterr)
{
    return vmafx_fail(reterr, VMAFX_ERR_TOO_EARLY, "come back later");
}

static VmafxErr hold_open(void *ctx, VmafxRpcStream *stream, void **ret_state, VmafxErrInfo *reterr)
{
    echo.held = vmafx_rpc_stream_ref(stream);
    count_one(&echo.opened);
    return VMAFX_OK;
}

const VmafxRpcMethod echo_methods[ECHO_METHODS] = {
    { .path = "/test.Echo/Say", .unary = echo_say },
    { .path = "/test.Echo/Fail", .unary = fail_as_told },
    { .path = "/vmafx.v1.Jobs/SubmitJob", .unary = check_spec },
    { .path = "/test.Echo/Chat",
      .open = chat_open,
      .message = chat_message,
      .half_closed = chat_half_closed,
      .closed = chat_closed },
    { .path = "/test.Echo/Tight",
      .open = chat_open,
      .message = chat_message,
      .half_closed = chat_half_closed,
      .closed = chat_closed,
      .queue_max_bytes = ECHO_TIGHT_MAX },
    { .path = "/test.Echo/Refused", .open = refuse_open, .message = chat_message, .closed = chat_closed },
    { .path = "/test.Echo/Hold", .open = hold_open, .message = chat_message, .closed = chat_closed },
};

/* ---- both ends ---- */

void ends_open_with(Ends *ends, VmafxRpcServerConfig config)
{
    VmafxErrInfo info = { "" };

    config.address = config.address ? config.address : "127.0.0.1:0";
    if (!config.methods) {
        config.methods = echo_methods;
        config.n_methods = ECHO_METHODS;
    }
    config.stream_queue_max_bytes = ECHO_QUEUE_MAX;
    *ends = (Ends){ 0 };
    if (vmafx_rpc_server_start(&config, &ends->server, &info))
        fail_msg("%s", info.message);
    snprintf(ends->target, sizeof ends->target, "127.0.0.1:%d", vmafx_rpc_server_port(ends->server));
}

VmafxRpcChannel *connect_to(VmafxRpcChannelConfig config)
{
    VmafxRpcChannel *channel = NULL;
    VmafxErrInfo info = { "" };

    if (vmafx_rpc_channel_open(&config, &channel, &info))
        fail_msg("%s", info.message);
    return channel;
}

void ends_open(Ends *ends)
{
    ends_open_with(ends, (VmafxRpcServerConfig){ 0 });
    ends->channel = connect_to((VmafxRpcChannelConfig){ .target = ends->target });
}

void ends_close(Ends *ends)
{
    vmafx_rpc_channel_close(&ends->channel);
    vmafx_rpc_server_stop(&ends->server, 10000);
}

VmafxErr call(VmafxRpcChannel *channel, const char *path, const char *text, char ret[256], VmafxErrInfo *info)
{
    VMAFX_AUTO(vmafx_free_p) uint8_t *body = NULL;
    size_t len = 0;

    *info = (VmafxErrInfo){ "" };
    ret[0] = 0;
    VmafxErr err = vmafx_rpc_unary(channel, path, text, strlen(text), 20000, &body, &len, info);
    if (!err) {
        assert_in_range(len, 0, 255);
        memcpy(ret, body, len);
        ret[len] = 0;
    }
    return err;
}

void assert_says(VmafxRpcChannel *channel, const char *text, const char *expected)
{
    VmafxErrInfo info;
    char answer[256];

    if (call(channel, "/test.Echo/Say", text, answer, &info))
        fail_msg("%s", info.message);
    assert_string_equal(answer, expected);
}

void *call_and_wait(void *arg)
{
    Caller *caller = arg;
    VMAFX_AUTO(vmafx_free_p) uint8_t *body = NULL;
    size_t len;

    caller->err = vmafx_rpc_unary(caller->channel, "/test.Echo/Say", "wait", 4, 60000, &body, &len, NULL);
    return NULL;
}

/* ---- one end of a stream ---- */

static void talk_message(void *ctx, VmafxRpcClientStream *stream, const void *data, size_t len)
{
    Talk *talk = ctx;

    pthread_mutex_lock(&talk->lock);
    talk->n++;
    memset(talk->last, 0, sizeof talk->last);
    memcpy(talk->last, data, VMAFX_MIN(len, sizeof talk->last - 1));
    pthread_cond_broadcast(&talk->change);
    while (talk->block)
        pthread_cond_wait(&talk->change, &talk->lock);
    pthread_mutex_unlock(&talk->lock);
}

static void talk_closed(void *ctx, VmafxRpcClientStream *stream, VmafxErr err, const char *message)
{
    Talk *talk = ctx;

    pthread_mutex_lock(&talk->lock);
    talk->n_closed++;
    talk->err = err;
    snprintf(talk->message, sizeof talk->message, "%s", message);
    pthread_cond_broadcast(&talk->change);
    pthread_mutex_unlock(&talk->lock);
}

void talk_begin(Talk *talk, VmafxRpcChannel *channel, const char *path)
{
    const VmafxRpcClientStreamEvents events = { talk_message, talk_closed, talk };

    *talk = (Talk){ .lock = PTHREAD_MUTEX_INITIALIZER, .change = PTHREAD_COND_INITIALIZER };
    assert_int_equal(vmafx_rpc_stream_open(channel, path, &events, &talk->stream, NULL), VMAFX_OK);
}

void talk_tell(Talk *talk, const char *text)
{
    assert_int_equal(vmafx_rpc_client_stream_send(talk->stream, text, strlen(text)), VMAFX_OK);
}

void talk_await_messages(Talk *talk, int n)
{
    pthread_mutex_lock(&talk->lock);
    while (talk->n < n && !talk->n_closed)
        pthread_cond_wait(&talk->change, &talk->lock);
    assert_int_equal(talk->n, n);
    pthread_mutex_unlock(&talk->lock);
}

void talk_await_closed(Talk *talk)
{
    pthread_mutex_lock(&talk->lock);
    while (!talk->n_closed)
        pthread_cond_wait(&talk->change, &talk->lock);
    pthread_mutex_unlock(&talk->lock);
}

void talk_end(Talk *talk)
{
    vmafx_rpc_client_stream_free(&talk->stream);
    assert_int_equal(talk->n_closed, 1);
}

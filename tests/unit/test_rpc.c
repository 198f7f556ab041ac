/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* gRPC's server and client with each other: calls, streams, limits, ends. tests/conformance has foreign clients. */

#include <dirent.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base.h"
#include "base/clock.h"
#include "otel/sdk/trace_provider.h"
#include "rpc/client.h"
#include "rpc/descriptors.h"
#include "rpc/message.h"
#include "rpc/server.h"
#include "rpc/unary_client.h"
#include "rpc/wire.h"
#include "signals/signals.h"

#define WAIT_NS UINT64_C(60000000000)

enum { KEPT_MAX = 16, MANY_STREAMS = 100, IDLE_STREAMS = 1000, QUEUE_MAX = 1 << 20 };

/* ---- a processor that keeps what ends ---- */

typedef struct Keeper {
    VmafxSpanProcessor base;
    pthread_mutex_t lock; /* covers the following */
    pthread_cond_t more;
    VmafxFinishedSpan *spans[KEPT_MAX];
    size_t n;
} Keeper;

static Keeper keeper = { .lock = PTHREAD_MUTEX_INITIALIZER, .more = PTHREAD_COND_INITIALIZER };

static void keep(VmafxSpanProcessor *processor, VmafxFinishedSpan *span, unsigned lane)
{
    pthread_mutex_lock(&keeper.lock);
    if (keeper.n < KEPT_MAX)
        keeper.spans[keeper.n++] = VMAFX_TAKE(span);
    pthread_cond_broadcast(&keeper.more);
    pthread_mutex_unlock(&keeper.lock);
    vmafx_finished_span_unref(&span);
}

static VmafxExportResult nothing_to_do(VmafxSpanProcessor *processor, uint64_t deadline_ns)
{
    return VMAFX_EXPORT_OK;
}

static bool drop_all(VmafxSpanProcessor *processor)
{
    while (keeper.n)
        vmafx_finished_span_unref(&keeper.spans[--keeper.n]);
    return true;
}

/* The span of this name and kind that ended; waits for it. */
static const VmafxSpanData *kept(const char *name, VmafxSpanKind kind)
{
    const VmafxSpanData *found = NULL;

    pthread_mutex_lock(&keeper.lock);
    while (!found) {
        for (size_t i = 0; i < keeper.n && !found; i++) {
            const VmafxSpanData *data = vmafx_finished_span_data(keeper.spans[i]);

            if (!strcmp(data->name, name) && data->kind == kind)
                found = data;
        }
        if (!found)
            pthread_cond_wait(&keeper.more, &keeper.lock);
    }
    pthread_mutex_unlock(&keeper.lock);
    return found;
}

static VmafxTraceProvider *trace(void)
{
    VmafxTraceProviderConfig config = VMAFX_TRACE_PROVIDER_DEFAULT;

    keeper.base = (VmafxSpanProcessor){ NULL, keep, nothing_to_do, nothing_to_do, drop_all };
    config.processors[config.n_processors++] = &keeper.base;
    VmafxTraceProvider *provider = vmafx_trace_provider_new(&config);
    assert_non_null(provider);
    vmafx_tracer_provider_set(vmafx_trace_provider_api(provider));
    return provider;
}

static void end_trace(VmafxTraceProvider **provider)
{
    vmafx_tracer_provider_set(NULL);
    vmafx_trace_provider_free(provider);
}

/* ---- something to wait for ---- */

typedef struct Count {
    pthread_mutex_t lock; /* covers the following */
    pthread_cond_t change;
    int n;
} Count;

#define COUNT                                                                                                          \
    {                                                                                                                  \
        PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0                                                         \
    }

static void count_one(Count *count)
{
    pthread_mutex_lock(&count->lock);
    count->n++;
    pthread_cond_broadcast(&count->change);
    pthread_mutex_unlock(&count->lock);
}

/* Waits until it has counted up to n, and begins from 0. */
static void await_count(Count *count, int n)
{
    pthread_mutex_lock(&count->lock);
    while (count->n < n)
        pthread_cond_wait(&count->change, &count->lock);
    count->n = 0;
    pthread_mutex_unlock(&count->lock);
}

static Count entered = COUNT, opened = COUNT, closed = COUNT, limited = COUNT, writable = COUNT;

/* ---- a service ---- */

static VmafxErr reply(VmafxRpcAnswer *ret, const void *data, size_t len)
{
    ret->body = malloc(VMAFX_MAX(len, (size_t)1));
    assert_non_null(ret->body);
    memcpy(ret->body, data, len);
    ret->len = len;
    return VMAFX_OK;
}

static bool is(const void *data, size_t len, const char *text)
{
    return len == strlen(text) && !memcmp(data, text, len);
}

/* Says what it was told, except for a few words. */
static VmafxErr say(void *ctx, VmafxRpcCall *call, const void *data, size_t len, VmafxRpcAnswer *ret,
                    VmafxErrInfo *reterr)
{
    VMAFX_AUTO(vmafx_span_end) VmafxSpan *span = vmafx_span_start(vmafx_tracer_get("test", ""), "inside");
    static const struct timespec a_little = { .tv_nsec = 1000000 };

    if (is(data, len, "wait")) {
        count_one(&entered);
        while (!vmafx_rpc_call_cancelled(call))
            nanosleep(&a_little, NULL);
        count_one(&closed);
        return vmafx_fail(reterr, VMAFX_ERR_CANCELLED, "nobody waits for it");
    }
    if (is(data, len, "peer"))
        return reply(ret, vmafx_rpc_call_peer(call)->address, strlen(vmafx_rpc_call_peer(call)->address));
    if (is(data, len, "names")) {
        const VmafxRpcPeer *peer = vmafx_rpc_call_peer(call);
        char text[256];
        int n = snprintf(text, sizeof text, "%d:", peer->authenticated);

        for (size_t i = 0; i < peer->n_names; i++)
            n += snprintf(text + n, sizeof text - (size_t)n, "%s,", peer->names[i]);
        return reply(ret, text, strlen(text));
    }
    if (is(data, len, "deadline")) {
        uint64_t deadline = vmafx_rpc_call_deadline_ns(call), now = vmafx_monotonic_ns();
        bool soon = deadline > now && deadline - now < 60 * (uint64_t)1000000000;

        return reply(ret, soon ? "soon" : "never", soon ? 4 : 5);
    }
    if (is(data, len, "agent")) {
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
    count_one(&opened);
    return VMAFX_OK;
}

static void on_writable(void *ctx, VmafxRpcStream *stream)
{
    count_one(&writable);
}

/* Sends until the queue is full. */
static void flood(void *arg, VmafxRpcStream *stream)
{
    static const char block[65536];
    VmafxErr err;

    do {
        err = vmafx_rpc_stream_send(stream, block, sizeof block);
        assert_in_range(vmafx_rpc_stream_waiting(stream), 0, QUEUE_MAX);
    } while (!err);
    assert_int_equal(err, VMAFX_ERR_LIMIT);
    assert_int_equal(vmafx_rpc_stream_send(stream, "", 0), VMAFX_ERR_STOPPED);
    count_one(&limited);
}

static void chat_message(void *state, VmafxRpcStream *stream, const void *data, size_t len)
{
    char text[32] = "";

    if (is(data, len, "flood")) {
        assert_true(vmafx_rpc_stream_post(stream, flood, NULL));
        return;
    }
    if (is(data, len, "bye")) {
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
    count_one(&closed);
}

static VmafxErr refuse_open(void *ctx, VmafxRpcStream *stream, void **ret_state, VmafxErrInfo *reterr)
{
    return vmafx_fail(reterr, VMAFX_ERR_TOO_EARLY, "come back later");
}

/* Keeps the stream beyond its end. */
static VmafxRpcStream *held;

static VmafxErr hold_open(void *ctx, VmafxRpcStream *stream, void **ret_state, VmafxErrInfo *reterr)
{
    held = vmafx_rpc_stream_ref(stream);
    count_one(&opened);
    return VMAFX_OK;
}

static const VmafxRpcMethod methods[] = {
    { .path = "/test.Echo/Say", .unary = say },
    { .path = "/test.Echo/Fail", .unary = fail_as_told },
    { .path = "/vmafx.v1.Jobs/SubmitJob", .unary = check_spec },
    { .path = "/test.Echo/Chat",
      .open = chat_open,
      .message = chat_message,
      .half_closed = chat_half_closed,
      .closed = chat_closed },
    { .path = "/test.Echo/Refused", .open = refuse_open, .message = chat_message, .closed = chat_closed },
    { .path = "/test.Echo/Hold", .open = hold_open, .message = chat_message, .closed = chat_closed },
};

/* ---- both ends ---- */

typedef struct Ends {
    VmafxRpcServer *server;
    VmafxRpcChannel *channel;
    char target[64];
} Ends;

static void begin_with(Ends *ends, VmafxRpcServerConfig config)
{
    VmafxErrInfo info = { "" };

    config.address = config.address ? config.address : "127.0.0.1:0";
    config.methods = methods;
    config.n_methods = VMAFX_LEN(methods);
    config.stream_queue_max_bytes = QUEUE_MAX;
    *ends = (Ends){ 0 };
    if (vmafx_rpc_server_start(&config, &ends->server, &info))
        fail_msg("%s", info.message);
    snprintf(ends->target, sizeof ends->target, "127.0.0.1:%d", vmafx_rpc_server_port(ends->server));
}

static VmafxRpcChannel *connect_to(VmafxRpcChannelConfig config)
{
    VmafxRpcChannel *channel = NULL;
    VmafxErrInfo info = { "" };

    if (vmafx_rpc_channel_open(&config, &channel, &info))
        fail_msg("%s", info.message);
    return channel;
}

static void begin(Ends *ends)
{
    begin_with(ends, (VmafxRpcServerConfig){ 0 });
    ends->channel = connect_to((VmafxRpcChannelConfig){ .target = ends->target });
}

static void end(Ends *ends)
{
    vmafx_rpc_channel_close(&ends->channel);
    vmafx_rpc_server_stop(&ends->server, 10000);
}

static VmafxErr call(VmafxRpcChannel *channel, const char *path, const char *text, char ret[256], VmafxErrInfo *info)
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

static void assert_says(VmafxRpcChannel *channel, const char *text, const char *expected)
{
    VmafxErrInfo info;
    char answer[256];

    if (call(channel, "/test.Echo/Say", text, answer, &info))
        fail_msg("%s", info.message);
    assert_string_equal(answer, expected);
}

/* One end of a stream. */
typedef struct Talk {
    pthread_mutex_t lock; /* covers the following */
    pthread_cond_t change;
    char last[32];
    int n, n_closed;
    bool block; /* inside message, so that nothing more is read */
    VmafxErr err;
    char message[256];
    VmafxRpcClientStream *stream;
} Talk;

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

static void talk_begin(Talk *talk, VmafxRpcChannel *channel, const char *path)
{
    const VmafxRpcClientStreamEvents events = { talk_message, talk_closed, talk };

    *talk = (Talk){ .lock = PTHREAD_MUTEX_INITIALIZER, .change = PTHREAD_COND_INITIALIZER };
    assert_int_equal(vmafx_rpc_stream_open(channel, path, &events, &talk->stream, NULL), VMAFX_OK);
}

static void tell(Talk *talk, const char *text)
{
    assert_int_equal(vmafx_rpc_client_stream_send(talk->stream, text, strlen(text)), VMAFX_OK);
}

static void await_messages(Talk *talk, int n)
{
    pthread_mutex_lock(&talk->lock);
    while (talk->n < n && !talk->n_closed)
        pthread_cond_wait(&talk->change, &talk->lock);
    assert_int_equal(talk->n, n);
    pthread_mutex_unlock(&talk->lock);
}

static void await_closed(Talk *talk)
{
    pthread_mutex_lock(&talk->lock);
    while (!talk->n_closed)
        pthread_cond_wait(&talk->change, &talk->lock);
    pthread_mutex_unlock(&talk->lock);
}

static void talk_end(Talk *talk)
{
    vmafx_rpc_client_stream_free(&talk->stream);
    assert_int_equal(talk->n_closed, 1);
}

/* ---- unary calls ---- */

static void a_call_gets_its_answer(void **state)
{
    Ends ends;

    begin(&ends);
    assert_says(ends.channel, "hello", "hello");
    assert_says(ends.channel, "", "");
    assert_says(ends.channel, "deadline", "soon");
    VmafxErrInfo info;
    char answer[256];
    assert_int_equal(call(ends.channel, "/test.Echo/Say", "peer", answer, &info), VMAFX_OK);
    assert_memory_equal(answer, "ipv4:127.0.0.1:", 15);
    assert_int_equal(call(ends.channel, "/test.Echo/Say", "agent", answer, &info), VMAFX_OK);
    assert_memory_equal(answer, "vmafx ", 6);
    assert_says(ends.channel, "names", "0:");
    end(&ends);
}

/* Every error of the table arrives as one whose gRPC status is the same, with its sentence. */
static void errors_arrive_with_their_status_and_sentence(void **state)
{
    Ends ends;

    begin(&ends);
    for (int err = 1; err < VMAFX_ERR_COUNT; err++) {
        char text[8], answer[256], sentence[64];
        VmafxErrInfo info;

        snprintf(text, sizeof text, "%d", err);
        snprintf(sentence, sizeof sentence, "as told: %d, ünd more", err);
        VmafxErr got = call(ends.channel, "/test.Echo/Fail", text, answer, &info);
        if (vmafx_err_grpc(got) != vmafx_err_grpc((VmafxErr)err))
            fail_msg("%s became %s", vmafx_err_name((VmafxErr)err), vmafx_err_name(got));
        assert_string_equal(info.message, sentence);
    }
    end(&ends);
}

static void statuses_are_read_as_the_error_that_says_it_best(void **state)
{
    static const struct {
        VmafxErr told, read;
    } cases[] = {
        { VMAFX_ERR_INVALID, VMAFX_ERR_INVALID },
        { VMAFX_ERR_SYNTAX, VMAFX_ERR_INVALID },
        { VMAFX_ERR_NOT_FOUND, VMAFX_ERR_NOT_FOUND },
        { VMAFX_ERR_IO, VMAFX_ERR_UNREACHABLE },
        { VMAFX_ERR_STOPPED, VMAFX_ERR_UNREACHABLE },
        { VMAFX_ERR_CONFLICT, VMAFX_ERR_CONFLICT },
        { VMAFX_ERR_LEASE_LOST, VMAFX_ERR_LEASE_LOST },
        { VMAFX_ERR_BUSY, VMAFX_ERR_BUSY },
        { VMAFX_ERR_FORBIDDEN, VMAFX_ERR_FORBIDDEN },
        { VMAFX_ERR_UNAUTHENTICATED, VMAFX_ERR_UNAUTHENTICATED },
        { VMAFX_ERR_UNSUPPORTED, VMAFX_ERR_UNSUPPORTED },
        { VMAFX_ERR_CORRUPT, VMAFX_ERR_CORRUPT },
        { VMAFX_ERR_STATE, VMAFX_ERR_STATE },
        { VMAFX_ERR_INTERNAL, VMAFX_ERR_INTERNAL },
    };
    Ends ends;

    begin(&ends);
    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        char text[8], answer[256];
        VmafxErrInfo info;

        snprintf(text, sizeof text, "%d", cases[i].told);
        assert_int_equal(call(ends.channel, "/test.Echo/Fail", text, answer, &info), cases[i].read);
    }
    end(&ends);
}

static void an_unknown_method_is_unsupported(void **state)
{
    VmafxErrInfo info;
    char answer[256];
    Ends ends;

    begin(&ends);
    assert_int_equal(call(ends.channel, "/test.Echo/Shout", "x", answer, &info), VMAFX_ERR_UNSUPPORTED);
    assert_int_equal(call(ends.channel, "/test.Other/Say", "x", answer, &info), VMAFX_ERR_UNSUPPORTED);
    assert_says(ends.channel, "still there", "still there");
    end(&ends);
}

static void a_malformed_message_is_refused_by_its_handler(void **state)
{
    VmafxErrInfo info;
    char answer[256];
    Ends ends;

    begin(&ends);
    assert_int_equal(call(ends.channel, "/vmafx.v1.Jobs/SubmitJob", "\x0a\x02\x0a\x05", answer, &info),
                     VMAFX_ERR_INVALID);
    assert_non_null(strstr(info.message, "reference"));
    assert_int_equal(call(ends.channel, "/vmafx.v1.Jobs/SubmitJob", "\x38\x01", answer, &info), VMAFX_OK);
    end(&ends);
}

static void a_message_over_the_limit_is_refused_both_ways(void **state)
{
    size_t len = (4 << 20) + 1, got;
    VMAFX_AUTO(vmafx_free_p) uint8_t *large = calloc(1, len);
    uint8_t *body = NULL;
    Ends ends;

    begin(&ends);
    assert_non_null(large);
    assert_int_equal(vmafx_rpc_unary(ends.channel, "/test.Echo/Say", large, len, 0, &body, &got, NULL), VMAFX_ERR_BUSY);
    assert_int_equal(vmafx_rpc_unary(ends.channel, "/test.Echo/Say", large, len - 1, 0, &body, &got, NULL), VMAFX_OK);
    assert_int_equal(got, len - 1);
    free(VMAFX_TAKE(body));
    VmafxRpcChannel *narrow = connect_to((VmafxRpcChannelConfig){ .target = ends.target, .message_max_bytes = 1000 });
    assert_int_equal(vmafx_rpc_unary(narrow, "/test.Echo/Say", large, 1000, 0, &body, &got, NULL), VMAFX_OK);
    free(VMAFX_TAKE(body));
    assert_int_equal(vmafx_rpc_unary(narrow, "/test.Echo/Say", large, 1001, 0, &body, &got, NULL), VMAFX_ERR_BUSY);
    vmafx_rpc_channel_close(&narrow);
    end(&ends);
}

static void compressed_messages_are_taken_and_limited_as_what_is_in_them(void **state)
{
    static const struct {
        const char *why;
        size_t len;
        int status;
    } cases[] = {
        { "an empty one", 0, 0 },
        { "a small one", 1000, 0 },
        { "one that fits exactly", 4 << 20, 0 },
        { "a byte more", (4 << 20) + 1, 8 },
        { "a bomb: 64 MiB in 64 KiB", 64 << 20, 8 },
        { "and the server still answers", 1000, 0 },
    };
    VMAFX_AUTO(vmafx_free_p) uint8_t *zeros = calloc(1, 64 << 20);
    VmafxRpcClient *client = NULL;
    VmafxRpcResponse response = { 0 };
    Ends ends;

    begin(&ends);
    assert_non_null(zeros);
    VmafxRpcClientConfig config = { .target = ends.target, .gzip = true, .response_max_bytes = 8 << 20 };
    assert_int_equal(vmafx_rpc_client_new(&config, &client, NULL), VMAFX_OK);
    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        vmafx_rpc_call(client, "/test.Echo/Say", NULL, 0, zeros, cases[i].len, vmafx_monotonic_ns() + WAIT_NS,
                       &response);
        if (response.status != cases[i].status)
            print_message("%s: %s\n", cases[i].why, response.message);
        assert_int_equal(response.status, cases[i].status);
        assert_int_equal(response.len, cases[i].status ? 0 : cases[i].len);
    }
    vmafx_rpc_response_done(&response);
    vmafx_rpc_client_free(&client);
    end(&ends);
}

static void the_deadline_ends_a_call_on_both_sides(void **state)
{
    uint8_t *body = NULL;
    size_t len;
    Ends ends;

    begin(&ends);
    assert_says(ends.channel, "connected", "connected"); /* else the time may be up before there is a connection */
    assert_int_equal(vmafx_rpc_unary(ends.channel, "/test.Echo/Say", "wait", 4, 200, &body, &len, NULL),
                     VMAFX_ERR_DEADLINE);
    await_count(&closed, 1); /* the handler saw it */
    await_count(&entered, 1);
    end(&ends);
}

static void nobody_listening_is_unreachable(void **state)
{
    VmafxRpcChannel *channel = connect_to((VmafxRpcChannelConfig){ .target = "127.0.0.1:1" });
    VmafxErrInfo info;
    char answer[256];

    assert_int_equal(call(channel, "/test.Echo/Say", "x", answer, &info), VMAFX_ERR_UNREACHABLE);
    assert_true(info.message[0]);
    vmafx_rpc_channel_close(&channel);
}

typedef struct Caller {
    pthread_t thread;
    VmafxRpcChannel *channel;
    VmafxErr err;
} Caller;

static void *call_and_wait(void *arg)
{
    Caller *caller = arg;
    VMAFX_AUTO(vmafx_free_p) uint8_t *body = NULL;
    size_t len;

    caller->err = vmafx_rpc_unary(caller->channel, "/test.Echo/Say", "wait", 4, 60000, &body, &len, NULL);
    return NULL;
}

static void handlers_that_wait_do_not_keep_streams_from_moving(void **state)
{
    enum { N = 4 };
    Caller callers[N];
    Talk talk;
    Ends ends;

    begin_with(&ends, (VmafxRpcServerConfig){ .threads_max = N });
    ends.channel = connect_to((VmafxRpcChannelConfig){ .target = ends.target });
    for (int i = 0; i < N; i++) {
        callers[i].channel = ends.channel;
        pthread_create(&callers[i].thread, NULL, call_and_wait, &callers[i]);
    }
    await_count(&entered, N);
    talk_begin(&talk, ends.channel, "/test.Echo/Chat");
    tell(&talk, "are you there?");
    await_messages(&talk, 1);
    talk_end(&talk);
    vmafx_rpc_server_stop(&ends.server, 0); /* cancels them */
    for (int i = 0; i < N; i++) {
        pthread_join(callers[i].thread, NULL);
        assert_int_not_equal(callers[i].err, VMAFX_OK);
    }
    await_count(&closed, N + 1);
    await_count(&opened, 1);
    end(&ends);
}

/* ---- streams ---- */

static void a_server_stream_is_read_to_its_end(void **state)
{
    VmafxRpcReading *reading = NULL;
    VmafxErrInfo info = { "" };
    Ends ends;

    begin(&ends);
    assert_int_equal(vmafx_rpc_read_open(ends.channel, "/test.Echo/Chat", "count 250", 9, &reading, &info), VMAFX_OK);
    for (int i = 1; i <= 250; i++) {
        VMAFX_AUTO(vmafx_free_p) uint8_t *body = NULL;
        char expected[16];
        size_t len;

        snprintf(expected, sizeof expected, "%d", i);
        assert_int_equal(vmafx_rpc_read_next(reading, 20000, &body, &len, &info), VMAFX_OK);
        assert_non_null(body);
        assert_true(is(body, len, expected));
    }
    uint8_t *body = (uint8_t *)"";
    size_t len;
    assert_int_equal(vmafx_rpc_read_next(reading, 0, &body, &len, &info), VMAFX_OK);
    assert_null(body);
    assert_int_equal(vmafx_rpc_read_next(reading, 0, &body, &len, &info), VMAFX_OK); /* and stays there */
    assert_null(body);
    vmafx_rpc_read_close(&reading);
    await_count(&closed, 1);
    await_count(&opened, 1);
    end(&ends);
}

static void reading_waits_no_longer_than_asked_and_goes_on(void **state)
{
    VmafxRpcReading *reading = NULL;
    VmafxErrInfo info = { "" };
    uint8_t *body;
    size_t len;
    Ends ends;

    begin(&ends);
    assert_int_equal(vmafx_rpc_read_open(ends.channel, "/test.Echo/Hold", "", 0, &reading, &info), VMAFX_OK);
    await_count(&opened, 1);
    assert_int_equal(vmafx_rpc_read_next(reading, 20000, &body, &len, &info), VMAFX_OK); /* the echo */
    free(body);
    assert_int_equal(vmafx_rpc_read_next(reading, 20, &body, &len, &info), VMAFX_ERR_DEADLINE);
    assert_int_equal(vmafx_rpc_stream_send(held, "late", 4), VMAFX_OK);
    assert_int_equal(vmafx_rpc_read_next(reading, 20000, &body, &len, &info), VMAFX_OK);
    assert_true(is(body, len, "late"));
    free(body);
    assert_int_equal(vmafx_rpc_stream_send(held, "never read", 10), VMAFX_OK);
    vmafx_rpc_read_close(&reading); /* in the middle */
    await_count(&closed, 1);
    vmafx_rpc_stream_unref(&held);
    end(&ends);
}

static void a_reading_may_outlive_its_channel(void **state)
{
    VmafxRpcReading *reading = NULL;
    Ends ends;

    begin(&ends);
    assert_int_equal(vmafx_rpc_read_open(ends.channel, "/test.Echo/Chat", "hello", 5, &reading, NULL), VMAFX_OK);
    await_count(&opened, 1);
    end(&ends);
    vmafx_rpc_read_close(&reading);
    await_count(&closed, 1);
}

static void many_streams_talk_at_the_same_time(void **state)
{
    static Talk talks[MANY_STREAMS];
    Ends ends;

    begin(&ends);
    for (int i = 0; i < MANY_STREAMS; i++)
        talk_begin(&talks[i], ends.channel, "/test.Echo/Chat");
    for (int round = 0; round < 20; round++)
        for (int i = 0; i < MANY_STREAMS; i++) {
            char text[32];

            snprintf(text, sizeof text, "%d %d", i, round);
            tell(&talks[i], text);
        }
    for (int i = 0; i < MANY_STREAMS; i++) {
        char text[32];

        await_messages(&talks[i], 20);
        snprintf(text, sizeof text, "%d 19", i);
        assert_string_equal(talks[i].last, text);
        vmafx_rpc_client_stream_half_close(talks[i].stream);
        assert_int_equal(vmafx_rpc_client_stream_send(talks[i].stream, "", 0), VMAFX_ERR_STOPPED);
    }
    for (int i = 0; i < MANY_STREAMS; i++) {
        await_closed(&talks[i]);
        assert_int_equal(talks[i].err, VMAFX_OK);
        talk_end(&talks[i]);
    }
    await_count(&closed, MANY_STREAMS);
    await_count(&opened, MANY_STREAMS);
    end(&ends);
}

static int threads_now(void)
{
    DIR *dir = opendir("/proc/self/task");
    int n = 0;

    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir));)
        n += entry->d_name[0] != '.';
    closedir(dir);
    return n;
}

static void a_thousand_idle_streams_take_no_threads(void **state)
{
    static Talk talks[IDLE_STREAMS];
    Ends ends;

    begin(&ends);
    assert_says(ends.channel, "x", "x");
    int before = threads_now();
    for (int i = 0; i < IDLE_STREAMS; i++)
        talk_begin(&talks[i], ends.channel, "/test.Echo/Chat");
    await_count(&opened, IDLE_STREAMS);
    assert_in_range(threads_now(), 1, before + 8 + 4); /* the pool of streams, and a few that the library may add */
    assert_says(ends.channel, "still quick", "still quick");
    tell(&talks[IDLE_STREAMS - 1], "you too");
    await_messages(&talks[IDLE_STREAMS - 1], 1);
    for (int i = 0; i < IDLE_STREAMS; i++)
        talk_end(&talks[i]);
    await_count(&closed, IDLE_STREAMS);
    end(&ends);
}

static void what_is_queued_is_sent_before_the_status(void **state)
{
    Talk talk;
    Ends ends;

    begin(&ends);
    talk_begin(&talk, ends.channel, "/test.Echo/Chat");
    tell(&talk, "bye");
    await_closed(&talk);
    assert_int_equal(talk.n, 1);
    assert_string_equal(talk.last, "last words");
    assert_int_equal(talk.err, VMAFX_ERR_CONFLICT);
    assert_string_equal(talk.message, "that was all");
    talk_end(&talk);
    await_count(&closed, 1);
    await_count(&opened, 1);
    end(&ends);
}

static void a_refused_stream_is_closed_with_the_reason_and_never_opened(void **state)
{
    Talk talk;
    Ends ends;

    begin(&ends);
    talk_begin(&talk, ends.channel, "/test.Echo/Refused");
    await_closed(&talk);
    assert_int_equal(talk.err, VMAFX_ERR_STATE); /* FAILED_PRECONDITION */
    assert_string_equal(talk.message, "come back later");
    talk_end(&talk);
    end(&ends);
    assert_int_equal(closed.n, 0);
}

static void a_peer_that_does_not_read_is_cut_off(void **state)
{
    Talk talk;
    Ends ends;

    begin(&ends);
    talk_begin(&talk, ends.channel, "/test.Echo/Chat");
    pthread_mutex_lock(&talk.lock);
    talk.block = true;
    pthread_mutex_unlock(&talk.lock);
    tell(&talk, "flood");
    await_count(&limited, 1);
    await_count(&closed, 1); /* the server's end is closed, although the peer is still busy */
    pthread_mutex_lock(&talk.lock);
    talk.block = false;
    pthread_cond_broadcast(&talk.change);
    pthread_mutex_unlock(&talk.lock);
    await_closed(&talk);
    assert_int_equal(talk.err, VMAFX_ERR_BUSY); /* RESOURCE_EXHAUSTED */
    talk_end(&talk);
    await_count(&opened, 1);
    end(&ends);
}

static void a_cancelled_stream_is_closed_on_both_sides(void **state)
{
    Talk talk;
    Ends ends;

    begin(&ends);
    talk_begin(&talk, ends.channel, "/test.Echo/Chat");
    tell(&talk, "hello");
    await_messages(&talk, 1);
    vmafx_rpc_client_stream_cancel(talk.stream);
    await_closed(&talk);
    assert_int_equal(talk.err, VMAFX_ERR_CANCELLED);
    assert_int_equal(vmafx_rpc_client_stream_send(talk.stream, "", 0), VMAFX_ERR_STOPPED);
    talk_end(&talk);
    await_count(&closed, 1);
    await_count(&opened, 1);
    end(&ends);
}

static void never_run(void *arg, VmafxRpcStream *stream)
{
    abort();
}

static void a_reference_outlives_stream_and_server(void **state)
{
    Talk talk;
    Ends ends;

    begin(&ends);
    talk_begin(&talk, ends.channel, "/test.Echo/Hold");
    await_count(&opened, 1);
    talk_end(&talk);
    await_count(&closed, 1);
    end(&ends);
    assert_int_equal(vmafx_rpc_stream_send(held, "x", 1), VMAFX_ERR_STOPPED);
    assert_false(vmafx_rpc_stream_post(held, never_run, NULL));
    vmafx_rpc_stream_on_writable(held, 0, on_writable, NULL);
    vmafx_rpc_stream_finish(held, VMAFX_OK, NULL);
    assert_memory_equal(vmafx_rpc_stream_peer(held)->address, "ipv4:", 5);
    vmafx_rpc_stream_unref(&held);
    writable.n = 0;
}

static void writable_is_called_once_all_has_gone_out(void **state)
{
    Talk talk;
    Ends ends;

    begin(&ends);
    writable.n = 0;
    talk_begin(&talk, ends.channel, "/test.Echo/Chat");
    tell(&talk, "count 50");
    await_count(&writable, 1);
    await_messages(&talk, 50);
    talk_end(&talk);
    await_count(&closed, 1);
    await_count(&opened, 1);
    end(&ends);
}

/* ---- stop ---- */

static void stopping_ends_calls_and_streams(void **state)
{
    Caller caller;
    Talk talk;
    Ends ends;

    begin(&ends);
    caller.channel = ends.channel;
    talk_begin(&talk, ends.channel, "/test.Echo/Chat");
    await_count(&opened, 1);
    pthread_create(&caller.thread, NULL, call_and_wait, &caller);
    await_count(&entered, 1);
    vmafx_rpc_server_stop(&ends.server, 50);
    await_count(&closed, 2); /* the handler's and the stream's; both had returned */
    pthread_join(caller.thread, NULL);
    assert_int_not_equal(caller.err, VMAFX_OK);
    await_closed(&talk);
    assert_int_not_equal(talk.err, VMAFX_OK);
    talk_end(&talk);
    VmafxErrInfo info;
    char answer[256];
    assert_int_equal(call(ends.channel, "/test.Echo/Say", "x", answer, &info), VMAFX_ERR_UNREACHABLE);
    end(&ends);
}

static void a_channel_finds_its_server_with_the_first_call_after_it_is_back(void **state)
{
    VmafxErrInfo info;
    char answer[256], address[64];
    Ends ends;

    begin(&ends);
    assert_says(ends.channel, "once", "once");
    snprintf(address, sizeof address, "%s", ends.target);
    VmafxRpcChannel *channel = VMAFX_TAKE(ends.channel);
    end(&ends);
    for (int i = 0; i < 20; i++) /* were there a backoff, it would be a long one now */
        assert_int_equal(call(channel, "/test.Echo/Say", "nobody", answer, &info), VMAFX_ERR_UNREACHABLE);
    begin_with(&ends, (VmafxRpcServerConfig){ .address = address });
    assert_int_equal(call(channel, "/test.Echo/Say", "again", answer, &info), VMAFX_OK); /* the first one */
    assert_string_equal(answer, "again");
    vmafx_rpc_channel_close(&channel);
    end(&ends);
}

static void a_port_in_use_is_an_error_that_says_so(void **state)
{
    VmafxRpcServer *second = NULL;
    VmafxErrInfo info = { "" };
    Ends ends;

    begin(&ends);
    VmafxRpcServerConfig config = { .address = ends.target, .methods = methods, .n_methods = VMAFX_LEN(methods) };
    assert_int_equal(vmafx_rpc_server_start(&config, &second, &info), VMAFX_ERR_IO);
    assert_non_null(strstr(info.message, ends.target));
    assert_null(second);
    end(&ends);
}

static void bad_settings_are_named(void **state)
{
    static const VmafxRpcMethod twice[] = { { .path = "/a.B/C", .unary = say }, { .path = "/a.B/C", .unary = say } };
    static const VmafxRpcMethod no_path[] = { { .path = "C", .unary = say } };
    static const VmafxRpcMethod no_handler[] = { { .path = "/a.B/C" } };
    static const struct {
        const char *why;
        VmafxRpcServerConfig config;
        VmafxErr err;
        const char *says;
    } bad[] = {
        { "no address", { 0 }, VMAFX_ERR_INVALID, "address" },
        { "key without certificate", { .address = "127.0.0.1:0", .key_file = "k" }, VMAFX_ERR_INVALID, "certificate" },
        { "no such file",
          { .address = "127.0.0.1:0", .cert_file = "/no/c", .key_file = "/no/k", .ca_file = "/no/a" },
          VMAFX_ERR_NOT_FOUND,
          "/no/c" },
        { "no PEM",
          { .address = "127.0.0.1:0", .cert_file = "/proc/self/stat", .key_file = "k", .ca_file = "a" },
          VMAFX_ERR_INVALID,
          "PEM" },
        { "a method twice",
          { .address = "127.0.0.1:0", .methods = twice, .n_methods = 2 },
          VMAFX_ERR_INVALID,
          "twice" },
        { "no path", { .address = "127.0.0.1:0", .methods = no_path, .n_methods = 1 }, VMAFX_ERR_INVALID, "'C'" },
        { "no handler",
          { .address = "127.0.0.1:0", .methods = no_handler, .n_methods = 1 },
          VMAFX_ERR_INVALID,
          "/a.B/C" },
        { "not an address of ours", { .address = "192.0.2.1:0" }, VMAFX_ERR_IO, "192.0.2.1" },
    };

    for (size_t i = 0; i < VMAFX_LEN(bad); i++) {
        VmafxRpcServer *server = NULL;
        VmafxErrInfo info = { "" };
        VmafxErr err = vmafx_rpc_server_start(&bad[i].config, &server, &info);

        if (err != bad[i].err || !strstr(info.message, bad[i].says))
            fail_msg("%s: %s '%s'", bad[i].why, vmafx_err_name(err), info.message);
    }
}

static void unix_sockets_are_loopback(void **state)
{
    char folder[] = "/tmp/rpc-XXXXXX", path[64];
    VmafxRpcServer *server = NULL;

    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "unix:%s/s", folder);
    VmafxRpcServerConfig config = { .address = path, .methods = methods, .n_methods = VMAFX_LEN(methods) };
    assert_int_equal(vmafx_rpc_server_start(&config, &server, NULL), VMAFX_OK);
    VmafxRpcChannel *channel = connect_to((VmafxRpcChannelConfig){ .target = path });
    VmafxErrInfo info;
    char answer[256];
    assert_int_equal(call(channel, "/test.Echo/Say", "peer", answer, &info), VMAFX_OK);
    assert_memory_equal(answer, "unix:", 5);
    vmafx_rpc_channel_close(&channel);
    vmafx_rpc_server_stop(&server, 1000);
    unlink(path + 5);
    rmdir(folder);
}

/* ---- who may ---- */

static VmafxErr only_say(void *ctx, const VmafxRpcPeer *peer, const char *path, VmafxErrInfo *reterr)
{
    assert_true(peer->loopback);
    assert_false(peer->authenticated);
    return !strcmp(path, "/test.Echo/Say") ? VMAFX_OK : vmafx_fail(reterr, VMAFX_ERR_FORBIDDEN, "not %s", path);
}

static void what_is_not_allowed_reaches_no_handler(void **state)
{
    static const char *const paths[] = { "/test.Echo/Fail", "/grpc.health.v1.Health/Check" };
    VmafxErrInfo info;
    char answer[256];
    Talk talk;
    Ends ends;

    begin_with(&ends, (VmafxRpcServerConfig){ .authorize = only_say });
    ends.channel = connect_to((VmafxRpcChannelConfig){ .target = ends.target });
    assert_says(ends.channel, "may I?", "may I?");
    for (size_t i = 0; i < VMAFX_LEN(paths); i++) {
        assert_int_equal(call(ends.channel, paths[i], "", answer, &info), VMAFX_ERR_FORBIDDEN);
        assert_non_null(strstr(info.message, paths[i]));
    }
    talk_begin(&talk, ends.channel, "/test.Echo/Chat");
    await_closed(&talk);
    assert_int_equal(talk.err, VMAFX_ERR_FORBIDDEN);
    talk_end(&talk);
    end(&ends);
    assert_int_equal(opened.n, 0);
    assert_int_equal(closed.n, 0);
}

/* A CA, certificates of the server and of a client, one of a client of another CA, and one with nothing but a CN. */
static const char make_certificates[] =
    "cd %s && exec >log 2>&1 && "
    "ca() { openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -keyout $1.key -out "
    "$1.pem "
    "-subj /CN=$1 -addext basicConstraints=critical,CA:TRUE; } && "
    "cert() { openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout $1.key -out $1.csr "
    "-subj /CN=$1-cn && echo \"$3\" >ext && openssl x509 -req -in $1.csr -CA $2.pem -CAkey $2.key -CAcreateserial "
    "-days 2 -extfile ext -out $1.pem; } && "
    "ca ca && ca other && cert server ca subjectAltName=DNS:controller,IP:127.0.0.1 && "
    "cert renewed ca subjectAltName=DNS:renewed && "
    "cert node ca subjectAltName=DNS:node-1,URI:spiffe://vmafx/node-1 && cert stranger other subjectAltName=DNS:node-1 "
    "&& "
    "cert plain ca basicConstraints=CA:FALSE";

static VmafxRpcChannelConfig client_of(char paths[3][64], const char *folder, const char *name, const char *target)
{
    snprintf(paths[0], 64, "%s/%s.pem", folder, name);
    snprintf(paths[1], 64, "%s/%s.key", folder, name);
    snprintf(paths[2], 64, "%s/ca.pem", folder);
    return (VmafxRpcChannelConfig){
        .target = target, .cert_file = paths[0], .key_file = paths[1], .ca_file = paths[2], .server_name = "controller"
    };
}

static void mutual_tls_tells_who_is_there_and_follows_renewed_files(void **state)
{
    char folder[] = "/tmp/rpc-XXXXXX", command[2048], paths[3][64], server_paths[3][64], answer[256];
    VmafxErrInfo info;
    Ends ends;

    if (system("openssl version >/dev/null 2>&1")) {
        print_message("the program openssl is missing\n");
        skip();
    }
    assert_non_null(mkdtemp(folder));
    snprintf(command, sizeof command, make_certificates, folder);
    assert_int_equal(system(command), 0);
    VmafxRpcChannelConfig files = client_of(server_paths, folder, "server", NULL);
    begin_with(&ends, (VmafxRpcServerConfig){
                          .cert_file = files.cert_file, .key_file = files.key_file, .ca_file = files.ca_file });

    VmafxRpcChannelConfig config = client_of(paths, folder, "node", ends.target);
    VmafxRpcChannel *channel = connect_to(config);
    assert_says(channel, "names", "1:node-1,spiffe://vmafx/node-1,");
    vmafx_rpc_channel_close(&channel);
    config.server_name = NULL; /* the target's address, which the certificate names too */
    channel = connect_to(config);
    assert_says(channel, "hello", "hello");
    vmafx_rpc_channel_close(&channel);
    channel = connect_to(client_of(paths, folder, "plain", ends.target));
    assert_says(channel, "names", "1:plain-cn,");
    vmafx_rpc_channel_close(&channel);

    config = client_of(paths, folder, "node", ends.target);
    config.server_name = "somebody-else";
    channel = connect_to(config);
    assert_int_equal(call(channel, "/test.Echo/Say", "x", answer, &info), VMAFX_ERR_UNREACHABLE);
    vmafx_rpc_channel_close(&channel);
    channel = connect_to(client_of(paths, folder, "stranger", ends.target));
    assert_int_equal(call(channel, "/test.Echo/Say", "x", answer, &info), VMAFX_ERR_UNREACHABLE);
    vmafx_rpc_channel_close(&channel);
    channel = connect_to((VmafxRpcChannelConfig){ .target = ends.target }); /* no TLS at all */
    assert_int_equal(call(channel, "/test.Echo/Say", "x", answer, &info), VMAFX_ERR_UNREACHABLE);
    vmafx_rpc_channel_close(&channel);

    snprintf(command, sizeof command, "cd %s && mv renewed.key server.key && mv renewed.pem server.pem", folder);
    assert_int_equal(system(command), 0);
    VmafxErr err;
    do { /* until the server has looked at its files again */
        config = client_of(paths, folder, "node", ends.target);
        config.server_name = "renewed";
        channel = connect_to(config);
        err = call(channel, "/test.Echo/Say", "x", answer, &info);
        vmafx_rpc_channel_close(&channel);
        if (err)
            nanosleep(&(struct timespec){ .tv_nsec = 50000000 }, NULL);
    } while (err);
    end(&ends);
    snprintf(command, sizeof command, "rm -r %s", folder);
    assert_int_equal(system(command), 0);
}

/* ---- telemetry ---- */

static void assert_attr(const VmafxSpanData *span, const char *key, const char *text)
{
    for (size_t i = 0; i < span->attrs.n; i++)
        if (!strcmp(span->attrs.items[i].key, key)) {
            const VmafxValue *value = &span->attrs.items[i].value;

            if (!text)
                fail_msg("there is a %s", key);
            assert_int_equal(value->type, VMAFX_VALUE_STR);
            assert_int_equal(value->str.len, strlen(text));
            assert_memory_equal(value->str.ptr, text, value->str.len);
            return;
        }
    if (text)
        fail_msg("no %s", key);
}

static void a_call_is_a_span_on_both_sides_in_the_callers_trace(void **state)
{
    static const char header[] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    VmafxSpanContext remote;
    VmafxErrInfo info;
    char answer[256], text[8];
    Ends ends;

    VmafxTraceProvider *provider = trace();
    begin(&ends);
    assert_true(vmafx_traceparent_parse(header, sizeof header - 1, &remote));
    VmafxContext *context = vmafx_context_with_span(NULL, &remote);
    VmafxContextToken token = vmafx_context_attach(context);
    assert_says(ends.channel, "hello", "hello");
    assert_int_equal(call(ends.channel, "/test.Echo/Shout", "", answer, &info), VMAFX_ERR_UNSUPPORTED);
    snprintf(text, sizeof text, "%d", VMAFX_ERR_NOT_FOUND);
    assert_int_equal(call(ends.channel, "/test.Echo/Fail", text, answer, &info), VMAFX_ERR_NOT_FOUND);
    assert_int_equal(call(ends.channel, "/grpc.health.v1.Health/Check", "", answer, &info), VMAFX_OK);
    vmafx_context_detach(token);
    vmafx_context_unref(&context);

    const VmafxSpanData *client = kept("test.Echo/Say", VMAFX_SPAN_CLIENT);
    const VmafxSpanData *server = kept("test.Echo/Say", VMAFX_SPAN_SERVER);
    const VmafxSpanData *inside = kept("inside", VMAFX_SPAN_INTERNAL);
    assert_memory_equal(server->trace_id, remote.trace_id, VMAFX_TRACE_ID_BYTES);
    assert_memory_equal(client->parent_span_id, remote.span_id, VMAFX_SPAN_ID_BYTES);
    assert_memory_equal(server->parent_span_id, client->span_id, VMAFX_SPAN_ID_BYTES);
    assert_memory_equal(inside->parent_span_id, server->span_id, VMAFX_SPAN_ID_BYTES);
    for (int i = 0; i < 2; i++) {
        const VmafxSpanData *span = i ? client : server;
        const char *key;

        assert_attr(span, VMAFX_KEY_RPC_SYSTEM, "grpc");
        assert_attr(span, VMAFX_KEY_RPC_METHOD, "test.Echo/Say");
        assert_attr(span, VMAFX_KEY_RPC_STATUS_CODE, "OK");
        assert_attr(span, VMAFX_KEY_ERROR_TYPE, NULL);
        assert_attr(span, VMAFX_KEY_SERVER_ADDRESS, "127.0.0.1");
        assert_int_equal(span->status, VMAFX_STATUS_UNSET);
        assert_null(vmafx_span_check(span->name, (int)span->kind, span->attrs, &key));
    }
    assert_attr(server, VMAFX_KEY_CLIENT_ADDRESS, "127.0.0.1");

    const VmafxSpanData *other = kept("_OTHER", VMAFX_SPAN_SERVER);
    assert_attr(other, VMAFX_KEY_RPC_METHOD_ORIGINAL, "test.Echo/Shout");
    assert_attr(other, VMAFX_KEY_ERROR_TYPE, "UNIMPLEMENTED");
    assert_int_equal(other->status, VMAFX_STATUS_ERROR);
    const VmafxSpanData *told = kept("test.Echo/Fail", VMAFX_SPAN_SERVER),
                        *heard = kept("test.Echo/Fail", VMAFX_SPAN_CLIENT);
    assert_attr(told, VMAFX_KEY_ERROR_TYPE, NULL); /* a question about what is not there is no failure of the server */
    assert_attr(heard, VMAFX_KEY_ERROR_TYPE, "NOT_FOUND");
    for (size_t i = 0; i < keeper.n; i++) { /* a probe is none */
        const VmafxSpanData *span = vmafx_finished_span_data(keeper.spans[i]);

        assert_false(span->kind == VMAFX_SPAN_SERVER && strstr(span->name, "Health"));
    }
    end(&ends);
    end_trace(&provider);
}

/* ---- health and reflection ---- */

static int health(VmafxRpcChannel *channel, const char *service)
{
    VMAFX_AUTO(vmafx_free_p) uint8_t *body = NULL;
    RpcOut request = { 0 };
    size_t len;

    rpc_wire_put_text(&request, 1, service);
    VmafxErr err =
        vmafx_rpc_unary(channel, "/grpc.health.v1.Health/Check", request.ptr, request.len, 0, &body, &len, NULL);
    free(request.ptr);
    if (err)
        return -(int)err;
    assert_int_equal(len, 2);
    return body[1];
}

static int watched(VmafxRpcReading *reading)
{
    VMAFX_AUTO(vmafx_free_p) uint8_t *body = NULL;
    size_t len;

    assert_int_equal(vmafx_rpc_read_next(reading, 20000, &body, &len, NULL), VMAFX_OK);
    assert_non_null(body);
    assert_int_equal(len, 2);
    return body[1];
}

static void health_is_told_and_watched(void **state)
{
    enum { SERVING = 1, NOT_SERVING, UNKNOWN };
    VmafxRpcReading *all = NULL, *later = NULL;
    Ends ends;

    begin(&ends);
    assert_int_equal(health(ends.channel, ""), SERVING);
    assert_int_equal(health(ends.channel, "test.Echo"), SERVING);
    assert_int_equal(health(ends.channel, "later"), -VMAFX_ERR_NOT_FOUND);
    assert_int_equal(vmafx_rpc_read_open(ends.channel, "/grpc.health.v1.Health/Watch", "", 0, &all, NULL), VMAFX_OK);
    assert_int_equal(
        vmafx_rpc_read_open(ends.channel, "/grpc.health.v1.Health/Watch", "\x0a\x05later", 7, &later, NULL), VMAFX_OK);
    assert_int_equal(watched(all), SERVING);
    assert_int_equal(watched(later), UNKNOWN);
    vmafx_rpc_server_set_serving(ends.server, "", false);
    vmafx_rpc_server_set_serving(ends.server, "later", true);
    assert_int_equal(watched(all), NOT_SERVING);
    assert_int_equal(watched(later), SERVING);
    assert_int_equal(health(ends.channel, ""), NOT_SERVING);
    assert_int_equal(health(ends.channel, "test.Echo"), SERVING);
    vmafx_rpc_server_stop(&ends.server, 60000); /* which does not wait for those who watch */
    assert_int_equal(watched(later), NOT_SERVING);
    uint8_t *body;
    size_t len;
    assert_int_equal(vmafx_rpc_read_next(later, 20000, &body, &len, NULL), VMAFX_ERR_UNREACHABLE);
    vmafx_rpc_read_close(&all);
    vmafx_rpc_read_close(&later);
    end(&ends);
}

static void reflect(VmafxRpcChannel *channel, const char *version, uint32_t field, const char *what, RpcOut *ret)
{
    VMAFX_AUTO(vmafx_free_p) uint8_t *body = NULL;
    VmafxRpcReading *reading = NULL;
    RpcOut request = { 0 };
    char path[96];
    size_t len;

    snprintf(path, sizeof path, "/grpc.reflection.%s.ServerReflection/ServerReflectionInfo", version);
    rpc_wire_put_text(&request, field, what);
    assert_int_equal(vmafx_rpc_read_open(channel, path, request.ptr, request.len, &reading, NULL), VMAFX_OK);
    assert_int_equal(vmafx_rpc_read_next(reading, 20000, &body, &len, NULL), VMAFX_OK);
    assert_non_null(body);
    rpc_out_bytes(ret, body, len);
    vmafx_rpc_read_close(&reading);
    free(request.ptr);
}

static void reflection_lists_services_and_finds_files_by_name_and_symbol(void **state)
{
    enum { FILE_BY_NAME = 3, FILE_BY_SYMBOL = 4, EXTENSION = 5, LIST = 7 };
    static const struct {
        const char *why;
        uint32_t field;
        const char *what;
        const char *file; /* NULL: not found */
    } cases[] = {
        { "a file", FILE_BY_NAME, "vmafx/v1/jobs.proto", "vmafx/v1/jobs.proto" },
        { "no such file", FILE_BY_NAME, "vmafx/v1/job.proto", NULL },
        { "a service", FILE_BY_SYMBOL, "vmafx.v1.Jobs", "vmafx/v1/jobs.proto" },
        { "a method", FILE_BY_SYMBOL, "vmafx.v1.Fleet.Connect", "vmafx/v1/fleet.proto" },
        { "a message", FILE_BY_SYMBOL, "vmafx.v1.Hello", "vmafx/v1/fleet.proto" },
        { "a field", FILE_BY_SYMBOL, "vmafx.v1.Job.state", "vmafx/v1/jobs.proto" },
        { "a oneof", FILE_BY_SYMBOL, "vmafx.v1.NodeMessage.kind", "vmafx/v1/fleet.proto" },
        { "an enum", FILE_BY_SYMBOL, "vmafx.v1.Scaling", "vmafx/v1/jobs.proto" },
        { "the beginning of a name", FILE_BY_SYMBOL, "vmafx.v1.Job.stat", NULL },
        { "no such method", FILE_BY_SYMBOL, "vmafx.v1.Jobs.Nothing", NULL },
        { "a package alone", FILE_BY_SYMBOL, "vmafx.v1", NULL },
        { "nothing", FILE_BY_SYMBOL, "", NULL },
    };
    static const char *const versions[] = { "v1alpha", "v1" };
    Ends ends;

    begin_with(&ends, (VmafxRpcServerConfig){ .descriptor_set = vmafx_descriptors,
                                              .descriptor_set_len = vmafx_descriptors_len });
    ends.channel = connect_to((VmafxRpcChannelConfig){ .target = ends.target });
    for (size_t v = 0; v < VMAFX_LEN(versions); v++) {
        RpcOut list = { 0 };

        reflect(ends.channel, versions[v], LIST, "", &list);
        RpcBytes services = rpc_wire_find((RpcBytes){ list.ptr, list.len }, 6);
        assert_true(rpc_bytes_are(rpc_wire_find(rpc_wire_find(services, 1), 1), "vmafx.v1.Jobs")); /* the only one */
        free(list.ptr);
        for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
            RpcOut out = { 0 };

            reflect(ends.channel, versions[v], cases[i].field, cases[i].what, &out);
            RpcBytes file = rpc_wire_find(rpc_wire_find((RpcBytes){ out.ptr, out.len }, 4), 1);
            RpcBytes error = rpc_wire_find((RpcBytes){ out.ptr, out.len }, 7);
            if (cases[i].file ? !rpc_bytes_are(rpc_wire_find(file, 1), cases[i].file) : !error.len || file.len)
                fail_msg("%s", cases[i].why);
            free(out.ptr);
        }
    }
    end(&ends);
}

static void closing_a_channel_ends_its_streams(void **state)
{
    Talk talks[3];
    Ends ends;

    begin(&ends);
    for (size_t i = 0; i < VMAFX_LEN(talks); i++)
        talk_begin(&talks[i], ends.channel, "/test.Echo/Chat");
    await_count(&opened, 3);
    vmafx_rpc_channel_close(&ends.channel);
    for (size_t i = 0; i < VMAFX_LEN(talks); i++) {
        assert_int_equal(talks[i].n_closed, 1);
        assert_int_equal(talks[i].err, VMAFX_ERR_CANCELLED);
        talk_end(&talks[i]);
    }
    end(&ends);
    await_count(&closed, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_gets_its_answer),
        cmocka_unit_test(errors_arrive_with_their_status_and_sentence),
        cmocka_unit_test(statuses_are_read_as_the_error_that_says_it_best),
        cmocka_unit_test(an_unknown_method_is_unsupported),
        cmocka_unit_test(a_malformed_message_is_refused_by_its_handler),
        cmocka_unit_test(a_message_over_the_limit_is_refused_both_ways),
        cmocka_unit_test(compressed_messages_are_taken_and_limited_as_what_is_in_them),
        cmocka_unit_test(the_deadline_ends_a_call_on_both_sides),
        cmocka_unit_test(nobody_listening_is_unreachable),
        cmocka_unit_test(handlers_that_wait_do_not_keep_streams_from_moving),
        cmocka_unit_test(a_server_stream_is_read_to_its_end),
        cmocka_unit_test(reading_waits_no_longer_than_asked_and_goes_on),
        cmocka_unit_test(a_reading_may_outlive_its_channel),
        cmocka_unit_test(many_streams_talk_at_the_same_time),
        cmocka_unit_test(a_thousand_idle_streams_take_no_threads),
        cmocka_unit_test(what_is_queued_is_sent_before_the_status),
        cmocka_unit_test(a_refused_stream_is_closed_with_the_reason_and_never_opened),
        cmocka_unit_test(a_peer_that_does_not_read_is_cut_off),
        cmocka_unit_test(a_cancelled_stream_is_closed_on_both_sides),
        cmocka_unit_test(a_reference_outlives_stream_and_server),
        cmocka_unit_test(writable_is_called_once_all_has_gone_out),
        cmocka_unit_test(stopping_ends_calls_and_streams),
        cmocka_unit_test(a_channel_finds_its_server_with_the_first_call_after_it_is_back),
        cmocka_unit_test(a_port_in_use_is_an_error_that_says_so),
        cmocka_unit_test(bad_settings_are_named),
        cmocka_unit_test(unix_sockets_are_loopback),
        cmocka_unit_test(what_is_not_allowed_reaches_no_handler),
        cmocka_unit_test(mutual_tls_tells_who_is_there_and_follows_renewed_files),
        cmocka_unit_test(a_call_is_a_span_on_both_sides_in_the_callers_trace),
        cmocka_unit_test(health_is_told_and_watched),
        cmocka_unit_test(reflection_lists_services_and_finds_files_by_name_and_symbol),
        cmocka_unit_test(closing_a_channel_ends_its_streams),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

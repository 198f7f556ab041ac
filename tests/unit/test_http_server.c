/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The HTTP server within a program: routes, spans, event streams, probes. tests/system has the view from outside. */

#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "auth/auth.h"
#include "base/base.h"
#include "base/clock.h"
#include "http/probes.h"
#include "http/server.h"
#include "signals/signals.h"
#include "spans.h"

enum { ANSWER_MAX = 65536, STOP_MS = 10000 };

/* ---- a client ---- */

static int dial(const VmafxHttpServer *server)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)vmafx_http_server_port(server)) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

static void say(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

/* Reads on until the text is there, or to the end when it is NULL. */
static void hear(int fd, char answer[ANSWER_MAX], const char *text)
{
    size_t at = strlen(answer);

    while (!text || !strstr(answer, text)) {
        ssize_t n = recv(fd, answer + at, ANSWER_MAX - 1 - at, 0);

        if (n <= 0) {
            if (text)
                fail_msg("the connection ended before '%s': %s", text, answer);
            return;
        }
        at += (size_t)n;
        answer[at] = 0;
    }
}

/* One request on a connection of its own; headers may be "". */
static const char *ask(const VmafxHttpServer *server, const char *line, const char *headers, char answer[ANSWER_MAX])
{
    VMAFX_AUTO(vmafx_free_p)
    char *request = vmafx_sprintf("%s HTTP/1.1\r\nHost: localhost:80\r\nConnection: close\r\n%s\r\n", line, headers);
    int fd = dial(server);

    *answer = 0;
    say(fd, request);
    hear(fd, answer, NULL);
    close(fd);
    return answer;
}

#define ASSERT_IN(text, word)                                                                                          \
    do {                                                                                                               \
        if (!strstr(text, word))                                                                                       \
            fail_msg("no '%s' in: %s", word, text);                                                                    \
    } while (0)

/* ---- handlers ---- */

static VmafxErr hello(void *ctx, VmafxHttpCall *call, VmafxHttpAnswer *answer, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(vmafx_span_end) VmafxSpan *span = vmafx_span_start(vmafx_tracer_get("test", ""), "inside");

    return vmafx_http_answer_text(answer, 200, "text/plain", "hello");
}

static VmafxErr fails(void *ctx, VmafxHttpCall *call, VmafxHttpAnswer *answer, VmafxErrInfo *reterr)
{
    answer->body = vmafx_strdup("not this");
    return VMAFX_ERR_INTERNAL;
}

static VmafxErr odd_status(void *ctx, VmafxHttpCall *call, VmafxHttpAnswer *answer, VmafxErrInfo *reterr)
{
    answer->status = 42;
    return VMAFX_OK;
}

static VmafxErr headers(void *ctx, VmafxHttpCall *call, VmafxHttpAnswer *answer, VmafxErrInfo *reterr)
{
    bool *refused = ctx;

    *refused = !vmafx_http_answer_header(answer, "X-Bad", "a\r\nX-Injected: yes") &&
               !vmafx_http_answer_header(answer, "X Bad", "a") && !vmafx_http_answer_header(answer, "", "a");
    vmafx_http_answer_header(answer, "Cache-Control", "max-age=5");
    while (vmafx_http_answer_header(answer, "X-Many", "a"))
        ;
    return VMAFX_OK;
}

typedef struct Stream {
    pthread_mutex_t lock; /* covers the following */
    pthread_cond_t changed;
    VmafxHttpEvents *events;
    bool closed;
    VmafxErr second; /* what opening another one said */
    bool fail_after;
} Stream;

static void stream_closed(void *ctx, VmafxHttpEvents *events)
{
    Stream *stream = ctx;

    pthread_mutex_lock(&stream->lock);
    stream->closed = true;
    pthread_cond_broadcast(&stream->changed);
    pthread_mutex_unlock(&stream->lock);
}

static VmafxErr open_stream(void *ctx, VmafxHttpCall *call, VmafxHttpAnswer *answer, VmafxErrInfo *reterr)
{
    Stream *stream = ctx;
    VmafxHttpEventsConfig config = { .queue_max_bytes = 100, .closed = stream_closed, .ctx = stream };
    VmafxHttpEvents *other = NULL;
    VmafxErr err = vmafx_http_call_events(call, &config, &stream->events, reterr);

    if (err)
        return err;
    stream->second = vmafx_http_call_events(call, &config, &other, NULL);
    return stream->fail_after ? vmafx_fail(reterr, VMAFX_ERR_NOT_FOUND, "after all, no") : VMAFX_OK;
}

static void wait_closed(Stream *stream)
{
    pthread_mutex_lock(&stream->lock);
    while (!stream->closed)
        pthread_cond_wait(&stream->changed, &stream->lock);
    pthread_mutex_unlock(&stream->lock);
}

static VmafxHttpServer *serve(const VmafxHttpRoute *routes, size_t n)
{
    VmafxHttpServerConfig config = { .address = "127.0.0.1:0", .routes = routes, .n_routes = n, .version = "1" };
    VmafxHttpServer *server = NULL;
    VmafxErrInfo info = { 0 };

    if (vmafx_http_server_start(&config, &server, &info))
        fail_msg("%s", info.message);
    return server;
}

/* ---- tests ---- */

static void a_request_is_a_span_below_the_callers_and_above_the_handlers(void **state)
{
    static const VmafxHttpRoute routes[] = { { .method = "GET", .pattern = "/v1/jobs/{id}", .handle = hello } };
    VmafxTraceProvider *provider = spans_begin();
    VmafxHttpServer *server = serve(routes, 1);
    char answer[ANSWER_MAX];
    static const uint8_t trace_id[] = { 0x0a, 0xf7, 0x65, 0x19, 0x16, 0xcd, 0x43, 0xdd,
                                        0x84, 0x48, 0xeb, 0x21, 0x1c, 0x80, 0x31, 0x9c };

    (void)state;
    ask(server, "GET /v1/jobs/7?a=1&sig=secret",
        "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\nUser-Agent: test/1\r\n", answer);
    ASSERT_IN(answer, "hello");

    const VmafxSpanData *inside = spans_at(0), *span = spans_at(1);
    assert_string_equal(span->name, "GET /v1/jobs/{id}");
    assert_int_equal(span->kind, VMAFX_SPAN_SERVER);
    assert_memory_equal(span->trace_id, trace_id, sizeof trace_id);
    assert_int_equal(span->parent_span_id[0], 0xb7);
    assert_memory_equal(inside->parent_span_id, span->span_id, VMAFX_SPAN_ID_BYTES);
    assert_text(span, VMAFX_KEY_HTTP_REQUEST_METHOD, "GET");
    assert_text(span, VMAFX_KEY_HTTP_ROUTE, "/v1/jobs/{id}");
    assert_text(span, VMAFX_KEY_URL_PATH, "/v1/jobs/7");
    assert_text(span, VMAFX_KEY_URL_QUERY, "a=1&sig=REDACTED");
    assert_text(span, VMAFX_KEY_URL_SCHEME, "http");
    assert_text(span, VMAFX_KEY_USER_AGENT, "test/1");
    assert_text(span, VMAFX_KEY_CLIENT_ADDRESS, "127.0.0.1");
    assert_text(span, VMAFX_KEY_SERVER_ADDRESS, "localhost");
    assert_number(span, VMAFX_KEY_SERVER_PORT, 80);
    assert_text(span, VMAFX_KEY_NETWORK_PROTOCOL_VERSION, "1.1");
    assert_number(span, VMAFX_KEY_HTTP_RESPONSE_STATUS_CODE, 200);
    assert_int_equal(span->status, VMAFX_STATUS_UNSET);
    assert_null(span_attr(span, VMAFX_KEY_ERROR_TYPE));
    const char *key = NULL;
    assert_null(vmafx_span_check(span->name, (int)span->kind, span->attrs, &key));

    vmafx_http_server_stop(&server, STOP_MS);
    spans_end(&provider);
}

static void only_what_is_the_servers_fault_is_an_error_and_probes_leave_no_span(void **state)
{
    static const VmafxProbes probes;
    VmafxHttpRoute routes[1 + VMAFX_PROBE_ROUTES] = { { .method = "GET", .pattern = "/fails", .handle = fails } };
    VmafxTraceProvider *provider = spans_begin();
    vmafx_probe_routes(&probes, routes + 1);
    VmafxHttpServer *server = serve(routes, VMAFX_LEN(routes));
    char answer[ANSWER_MAX];

    (void)state;
    ask(server, "GET /livez", "", answer);
    ASSERT_IN(answer, "alive");
    ask(server, "BREW /secret/path/42", "", answer);
    ASSERT_IN(answer, "404");
    ask(server, "GET /fails", "traceparent: not one\r\n", answer);
    ASSERT_IN(answer, "500");
    assert_null(strstr(answer, "not this"));
    ASSERT_IN(answer, "a defect of ours");

    const VmafxSpanData *unknown = spans_at(0), *failed = spans_at(1);
    assert_string_equal(unknown->name, "HTTP");
    assert_text(unknown, VMAFX_KEY_HTTP_REQUEST_METHOD, "_OTHER");
    assert_text(unknown, VMAFX_KEY_HTTP_REQUEST_METHOD_ORIGINAL, "BREW");
    assert_null(span_attr(unknown, VMAFX_KEY_HTTP_ROUTE));
    assert_number(unknown, VMAFX_KEY_HTTP_RESPONSE_STATUS_CODE, 404);
    assert_int_equal(unknown->status, VMAFX_STATUS_UNSET);
    assert_int_equal(failed->status, VMAFX_STATUS_ERROR);
    assert_text(failed, VMAFX_KEY_ERROR_TYPE, "500");
    vmafx_http_server_stop(&server, STOP_MS);
    assert_int_equal(spans_n(), 2);
    spans_end(&provider);
}

static void a_status_that_is_none_is_a_defect_and_headers_cannot_be_broken(void **state)
{
    bool refused = false;
    VmafxHttpRoute routes[] = { { .method = "GET", .pattern = "/odd", .handle = odd_status },
                                { .method = "GET", .pattern = "/headers", .handle = headers, .ctx = &refused } };
    VmafxHttpServer *server = serve(routes, VMAFX_LEN(routes));
    char answer[ANSWER_MAX];

    (void)state;
    ASSERT_IN(ask(server, "GET /odd", "", answer), "HTTP/1.1 500");
    ASSERT_IN(ask(server, "GET /headers", "", answer), "HTTP/1.1 200");
    assert_true(refused);
    assert_null(strstr(answer, "Injected"));
    ASSERT_IN(answer, "Cache-Control: max-age=5\r\n");
    assert_null(strstr(answer, "no-store"));
    vmafx_http_server_stop(&server, STOP_MS);
    assert_null(server);
    vmafx_http_server_stop(&server, STOP_MS); /* content with NULL */
}

static void routes_that_are_none_are_refused_at_the_start(void **state)
{
    static const struct {
        const char *why;
        VmafxHttpRoute routes[2];
        size_t n;
    } bad[] = {
        { "no method", { { .method = "", .pattern = "/a", .handle = hello } }, 1 },
        { "lower case", { { .method = "get", .pattern = "/a", .handle = hello } }, 1 },
        { "HEAD comes by itself", { { .method = "HEAD", .pattern = "/a", .handle = hello } }, 1 },
        { "no pattern", { { .method = "GET", .pattern = "a", .handle = hello } }, 1 },
        { "an upload on the thread of input and output",
          { { .method = "PUT", .pattern = "/a", .handle = hello, .flags = VMAFX_HTTP_FILE_BODY | VMAFX_HTTP_INLINE } },
          1 },
        { "an upload of two kinds",
          { { .method = "PUT", .pattern = "/a", .handle = hello, .flags = VMAFX_HTTP_FILE_BODY | VMAFX_HTTP_PARTS } },
          1 },
        { "no handler", { { .method = "GET", .pattern = "/a" } }, 1 },
        { "twice",
          { { .method = "GET", .pattern = "/a", .handle = hello },
            { .method = "GET", .pattern = "/a", .handle = fails } },
          2 },
    };

    (void)state;
    for (size_t i = 0; i < VMAFX_LEN(bad); i++) {
        VmafxHttpServerConfig config = { .address = "127.0.0.1:0", .routes = bad[i].routes, .n_routes = bad[i].n };
        VmafxHttpServer *server = NULL;
        VmafxErrInfo info = { 0 };

        if (vmafx_http_server_start(&config, &server, &info) != VMAFX_ERR_INVALID || !info.message[0])
            fail_msg("%s", bad[i].why);
        assert_null(server);
    }
}

static void an_event_stream_outlives_its_handler_and_its_connection(void **state)
{
    Stream stream = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };
    VmafxHttpRoute routes[] = { { .method = "GET", .pattern = "/events", .handle = open_stream, .ctx = &stream } };
    VmafxHttpServer *server = serve(routes, 1);
    char answer[ANSWER_MAX] = "";
    int fd = dial(server);

    (void)state;
    say(fd, "GET /events HTTP/1.1\r\nHost: a\r\n\r\n");
    hear(fd, answer, ":\n\n"); /* open: the handler has returned */
    assert_int_equal(stream.second, VMAFX_ERR_STATE);
    assert_int_equal(vmafx_http_events_send(stream.events, "1", "state", "a\r\nb"), VMAFX_OK);
    hear(fd, answer, "id: 1\nevent: state\ndata: a\ndata: b\n\n");
    assert_int_equal(vmafx_http_events_send(stream.events, "1\n", NULL, ""), VMAFX_ERR_INVALID);
    assert_int_equal(vmafx_http_events_send(stream.events, NULL, "a\rb", ""), VMAFX_ERR_INVALID);
    close(fd);
    while (vmafx_http_events_send(stream.events, NULL, NULL, "are you there?") != VMAFX_ERR_STOPPED)
        usleep(1000); /* the server learns it at a write */
    wait_closed(&stream);
    vmafx_http_server_stop(&server, STOP_MS);
    assert_int_equal(vmafx_http_events_send(stream.events, NULL, NULL, "nobody"), VMAFX_ERR_STOPPED);
    vmafx_http_events_finish(stream.events);
    vmafx_http_events_unref(&stream.events);
    assert_null(stream.events);
}

static void a_stream_whose_handler_fails_in_the_end_is_closed_and_the_answer_is_the_error(void **state)
{
    Stream stream = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER, .fail_after = true };
    VmafxHttpRoute routes[] = { { .method = "GET", .pattern = "/events", .handle = open_stream, .ctx = &stream } };
    VmafxHttpServer *server = serve(routes, 1);
    char answer[ANSWER_MAX];

    (void)state;
    ASSERT_IN(ask(server, "GET /events", "", answer), "HTTP/1.1 404");
    ASSERT_IN(answer, "after all, no");
    wait_closed(&stream);
    assert_int_equal(vmafx_http_events_send(stream.events, NULL, NULL, "nobody"), VMAFX_ERR_STOPPED);
    vmafx_http_events_unref(&stream.events);
    vmafx_http_server_stop(&server, STOP_MS);
}

static void an_event_longer_than_the_queue_cuts_the_stream(void **state)
{
    Stream stream = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };
    VmafxHttpRoute routes[] = { { .method = "GET", .pattern = "/events", .handle = open_stream, .ctx = &stream } };
    VmafxHttpServer *server = serve(routes, 1);
    char answer[ANSWER_MAX] = "", text[200];
    int fd = dial(server);

    (void)state;
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = 0;
    say(fd, "GET /events HTTP/1.1\r\nHost: a\r\n\r\n");
    hear(fd, answer, ":\n\n");
    assert_int_equal(vmafx_http_events_send(stream.events, NULL, NULL, text), VMAFX_ERR_LIMIT);
    hear(fd, answer, NULL);
    assert_null(strstr(answer, "xxx"));
    wait_closed(&stream);
    vmafx_http_events_unref(&stream.events);
    close(fd);
    vmafx_http_server_stop(&server, STOP_MS);
}

static void every_probe_is_in_the_table_of_permissions(void **state)
{
    static const VmafxProbes probes;
    VmafxHttpRoute routes[VMAFX_PROBE_ROUTES];
    const char *hosts[] = { "localhost:7800", "[::1]:7800" };

    (void)state;
    for (size_t i = 0; i < vmafx_probe_routes(&probes, routes); i++) {
        VMAFX_AUTO(vmafx_free_p) char *method = vmafx_sprintf("%s %s", routes[i].method, routes[i].pattern);
        VmafxAuthPeer peer = { .loopback = true, .host = hosts[i % 2] };
        VmafxIdentity identity;

        assert_true(routes[i].flags & VMAFX_HTTP_QUIET);
        assert_int_equal(vmafx_auth_decide(&(VmafxAuthPolicy){ 0 }, &peer, method, &identity, NULL), VMAFX_OK);
    }
}

static void errors_have_the_statuses_of_the_table(void **state)
{
    VmafxHttpAnswer answer = { 0 };

    (void)state;
    assert_int_equal(vmafx_http_status_of(VMAFX_OK), 200);
    assert_int_equal(vmafx_http_status_of(VMAFX_ERR_NOT_FOUND), 404);
    assert_int_equal(vmafx_http_status_of(VMAFX_ERR_BUSY), 429);
    assert_int_equal(vmafx_http_status_of(VMAFX_ERR_INTERNAL), 500);
    assert_int_equal(vmafx_http_status_of(VMAFX_ERR_COUNT), 500);
    assert_int_equal(vmafx_http_answer_problem(&answer, 404, "no \\ \"job\"\x01"), VMAFX_OK);
    assert_string_equal(answer.body, "{\"type\":\"about:blank\",\"title\":\"Not Found\",\"status\":404,"
                                     "\"detail\":\"no \\\\ \\\"job\\\"\\u0001\",\"error\":\"NOT_FOUND\"}\n");
    assert_int_equal(answer.len, strlen(answer.body));
    assert_int_equal(vmafx_http_answer_problem(&answer, 418, NULL), VMAFX_OK);
    assert_string_equal(answer.body, "{\"type\":\"about:blank\",\"title\":\"Error\",\"status\":418,"
                                     "\"error\":\"INVALID\"}\n");
    assert_int_equal(vmafx_http_answer_error(&answer, VMAFX_ERR_LEASE_LOST, NULL), VMAFX_OK);
    assert_int_equal(answer.status, 409);
    assert_non_null(strstr(answer.body, "\"detail\":\"the lease has passed to another attempt\""));
    assert_non_null(strstr(answer.body, "\"error\":\"LEASE_LOST\""));
    free(answer.body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_a_span_below_the_callers_and_above_the_handlers),
        cmocka_unit_test(only_what_is_the_servers_fault_is_an_error_and_probes_leave_no_span),
        cmocka_unit_test(a_status_that_is_none_is_a_defect_and_headers_cannot_be_broken),
        cmocka_unit_test(routes_that_are_none_are_refused_at_the_start),
        cmocka_unit_test(an_event_stream_outlives_its_handler_and_its_connection),
        cmocka_unit_test(a_stream_whose_handler_fails_in_the_end_is_closed_and_the_answer_is_the_error),
        cmocka_unit_test(an_event_longer_than_the_queue_cuts_the_stream),
        cmocka_unit_test(every_probe_is_in_the_table_of_permissions),
        cmocka_unit_test(errors_have_the_statuses_of_the_table),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * OTLP/HTTP against a peer that follows a script: what is counted, what is attempted again, what is told. The peer
 * speaks from its own thread; the tests wait for calls to return and for nothing else.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <zlib.h>

#include "base/base.h"
#include "otel/export/otlp_encode.h"
#include "otel/export/otlp_http.h"

#define MS UINT64_C(1000000)

enum { REQUEST_MAX = 65536, STEPS_MAX = 8, LONG_MS = 20000, SHORT_MS = 150 };

/* ---- the peer ---- */

typedef enum Act {
    ACT_END = 0,
    ACT_SAY,         /* status, headers and body of the step */
    ACT_SAY_HUGE,    /* 200 with more than the limit */
    ACT_NOT_HTTP,    /* bytes that are no HTTP */
    ACT_CLOSE,       /* read the request, close */
    ACT_CLOSE_EARLY, /* close in the middle of the request */
    ACT_CUT_BODY,    /* an answer shorter than it says */
    ACT_SILENT,      /* read the request, then nothing until the client goes away */
    ACT_TRICKLE,     /* an answer without end, a byte at a time */
} Act;

typedef struct Step {
    Act act;
    int status;
    const char *headers;
    const char *body;
    size_t len;
} Step;

typedef struct Peer {
    int listener;
    uint16_t port;
    pthread_t thread;
    bool stopped;
    const Step *steps; /* ends with ACT_END; after it everything is accepted */

    pthread_mutex_t lock; /* covers what follows */
    pthread_cond_t changed;
    unsigned requests, connections;
    char head[8192];
    uint8_t body[REQUEST_MAX];
    size_t body_len;
} Peer;

static void put(int fd, const void *bytes, size_t len)
{
    const char *at = bytes;

    while (len) {
        ssize_t n = send(fd, at, len, MSG_NOSIGNAL);
        if (n <= 0)
            return;
        at += n;
        len -= (size_t)n;
    }
}

/* A whole request, or false at the end of the connection. */
static bool take_request(Peer *peer, int fd, Act act)
{
    static _Thread_local char text[REQUEST_MAX];
    size_t len = 0, head = 0, body = 0;

    for (;;) {
        ssize_t n = recv(fd, text + len, sizeof text - 1 - len, 0);
        if (n <= 0)
            return false;
        len += (size_t)n;
        text[len] = 0;
        char *end = strstr(text, "\r\n\r\n"), *length = strcasestr(text, "\r\nContent-Length:");
        if (!end)
            continue;
        head = (size_t)(end + 4 - text);
        body = length ? (size_t)strtoul(length + 17, NULL, 10) : 0;
        if (act == ACT_CLOSE_EARLY || len >= head + body)
            break;
    }
    pthread_mutex_lock(&peer->lock);
    peer->requests++;
    snprintf(peer->head, sizeof peer->head, "%.*s", (int)VMAFX_MIN(head, sizeof peer->head - 1), text);
    peer->body_len = VMAFX_MIN(body, len - head);
    memcpy(peer->body, text + head, peer->body_len);
    pthread_cond_broadcast(&peer->changed);
    pthread_mutex_unlock(&peer->lock);
    return true;
}

static void wait_gone(int fd)
{
    char byte;

    while (recv(fd, &byte, 1, 0) > 0)
        ;
}

static void trickle(int fd)
{
    static const char head[] = "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n";

    put(fd, head, sizeof head - 1);
    for (;;) {
        struct pollfd gone = { .fd = fd, .events = POLLIN };

        if (poll(&gone, 1, 1) > 0) /* the client says nothing more: this is its end */
            return;
        put(fd, "x", 1);
    }
}

/* True to go on with this connection. */
static bool play(int fd, const Step *step)
{
    char head[512];
    static const char zeros[65536];

    switch (step->act) {
    case ACT_END:
        put(fd, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 38);
        return true;
    case ACT_SAY:
        snprintf(head, sizeof head, "HTTP/1.1 %d X\r\n%sContent-Length: %zu\r\n\r\n", step->status,
                 step->headers ? step->headers : "", step->len);
        put(fd, head, strlen(head));
        put(fd, step->body, step->len);
        return true;
    case ACT_SAY_HUGE:
        put(fd, "HTTP/1.1 200 OK\r\nContent-Length: 65536\r\n\r\n", 42);
        put(fd, zeros, sizeof zeros);
        return false;
    case ACT_NOT_HTTP:
        put(fd, "\x16\x03\x01 SSH-2.0 nonsense\r\n\r\n", 24);
        return false;
    case ACT_CUT_BODY:
        put(fd, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc", 43);
        return false;
    case ACT_SILENT:
        wait_gone(fd);
        return false;
    case ACT_TRICKLE:
        trickle(fd);
        return false;
    default:
        return false;
    }
}

static void *peer_main(void *ctx)
{
    Peer *peer = ctx;
    const Step *step = peer->steps;
    int fd;

    while ((fd = accept(peer->listener, NULL, NULL)) >= 0) {
        pthread_mutex_lock(&peer->lock);
        peer->connections++;
        pthread_mutex_unlock(&peer->lock);
        for (bool more = true; more && take_request(peer, fd, step->act);) {
            more = play(fd, step);
            if (step->act != ACT_END)
                step++;
        }
        close(fd);
    }
    return NULL;
}

static int listen_local(uint16_t *ret_port)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
    assert_int_equal(listen(fd, 8), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    *ret_port = ntohs(address.sin_port);
    return fd;
}

static Peer *peer_open(const Step *steps)
{
    Peer *peer = calloc(1, sizeof *peer);

    assert_non_null(peer);
    peer->steps = steps;
    peer->listener = listen_local(&peer->port);
    pthread_mutex_init(&peer->lock, NULL);
    pthread_cond_init(&peer->changed, NULL);
    assert_int_equal(pthread_create(&peer->thread, NULL, peer_main, peer), 0);
    return peer;
}

/* The exporter has to be gone: the peer waits for the end of its connection. What it saw may then be read. */
static void peer_stop(Peer *peer)
{
    if (peer->stopped)
        return;
    shutdown(peer->listener, SHUT_RDWR);
    pthread_join(peer->thread, NULL);
    close(peer->listener);
    peer->stopped = true;
}

static void peer_close(Peer **peer)
{
    peer_stop(*peer);
    pthread_mutex_destroy(&(*peer)->lock);
    pthread_cond_destroy(&(*peer)->changed);
    free(*peer);
    *peer = NULL;
}

/* ---- what is exported ---- */

static uint64_t in_ms(uint64_t ms)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 * MS + (uint64_t)now.tv_nsec + ms * MS;
}

typedef struct Told {
    unsigned lines;
    char last[512];
} Told;

static void on_error(void *ctx, int severity, const char *message)
{
    Told *told = ctx;

    told->lines++;
    snprintf(told->last, sizeof told->last, "%s", message);
}

static VmafxOtlpConfig config_for(uint16_t port, Told *told)
{
    VmafxOtlpConfig config = { .signal = VMAFX_SIGNAL_TRACES,
                               .timeout_ms = LONG_MS,
                               .version = "9.9",
                               .response_max_bytes = 4096,
                               .retry = { MS, 2 * MS, 150, 20, 5 },
                               .random_seed = 1,
                               .on_error = on_error,
                               .on_error_ctx = told };
    char text[64];

    snprintf(text, sizeof text, "http://127.0.0.1:%u", (unsigned)port);
    assert_int_equal(vmafx_endpoint_parse(text, strlen(text), VMAFX_OTLP_HTTP, VMAFX_SIGNAL_TRACES, false,
                                          VMAFX_INSECURE_UNSET, &config.endpoint, NULL),
                     VMAFX_OK);
    return config;
}

static const VmafxScope scope = { "room", "1", "", { NULL, 0 } };
static const VmafxResource resource = { { NULL, 0 }, "" };
static const VmafxSpanData span = { .trace_id = { 1 }, .span_id = { 2 }, .scope = &scope, .name = "work", .kind = 1 };
static const VmafxSpanData *const spans[3] = { &span, &span, &span };
static const VmafxBatch batch = { VMAFX_SIGNAL_TRACES, &resource, spans, NULL, NULL, 3 };

static VmafxExportResult export_once(VmafxOtlpConfig *config, uint64_t ms, VmafxOtlpCounts *ret)
{
    VmafxExporter *exporter = vmafx_otlp_http_exporter_new(config);
    VmafxExportResult result = exporter->export_batch(exporter, &batch, in_ms(ms));

    vmafx_otlp_exporter_counts(exporter, ret);
    exporter->free(exporter);
    return result;
}

/* ---- tests ---- */

#define SAY(status, headers, body)                                                                                     \
    {                                                                                                                  \
        ACT_SAY, status, headers, body, sizeof(body) - 1                                                               \
    }
#define PARTIAL_ONE  "\x0a\x06\x08\x01\x12\x02no"
#define PARTIAL_WARN "\x0a\x04\x12\x02hm"
#define RPC_STATUS                                                                                                     \
    "\x08\x03\x12\x03"                                                                                                 \
    "bad"

static void every_answer_is_counted_once_and_attempted_as_the_table_says(void **state)
{
    static const struct {
        const char *why;
        Step steps[STEPS_MAX];
        uint64_t deadline_ms;
        VmafxExportResult result;
        uint64_t exported, rejected, failed, timed_out, attempts, warnings;
        const char *told; /* a part of the last line, NULL: no line */
    } cases[] = {
        { "accepted", { { 0 } }, LONG_MS, VMAFX_EXPORT_OK, 3, 0, 0, 0, 1, 0, NULL },
        { "partial success is not attempted again",
          { SAY(200, NULL, PARTIAL_ONE) },
          LONG_MS,
          VMAFX_EXPORT_OK,
          2,
          1,
          0,
          0,
          1,
          0,
          "no" },
        { "a message alone is a warning",
          { SAY(200, NULL, PARTIAL_WARN) },
          LONG_MS,
          VMAFX_EXPORT_OK,
          3,
          0,
          0,
          0,
          1,
          1,
          "hm" },
        { "200 with garbage was still accepted",
          { SAY(200, NULL, "<html>") },
          LONG_MS,
          VMAFX_EXPORT_OK,
          3,
          0,
          0,
          0,
          1,
          1,
          "cannot be read" },
        { "429 with a Retry-After of 0",
          { SAY(429, "Retry-After: 0\r\n", "") },
          LONG_MS,
          VMAFX_EXPORT_OK,
          3,
          0,
          0,
          0,
          2,
          0,
          "429" },
        { "a Retry-After beyond the deadline",
          { SAY(429, "Retry-After: 3600\r\n", "") },
          LONG_MS,
          VMAFX_EXPORT_FAILED,
          0,
          0,
          3,
          0,
          1,
          0,
          "429" },
        { "503 twice", { SAY(503, NULL, ""), SAY(503, NULL, "") }, LONG_MS, VMAFX_EXPORT_OK, 3, 0, 0, 0, 3, 0, "503" },
        { "502 and 504",
          { SAY(502, NULL, ""), SAY(504, NULL, "") },
          LONG_MS,
          VMAFX_EXPORT_OK,
          3,
          0,
          0,
          0,
          3,
          0,
          "502" },
        { "503 for ever",
          { SAY(503, NULL, ""), SAY(503, NULL, ""), SAY(503, NULL, ""), SAY(503, NULL, ""), SAY(503, NULL, "") },
          LONG_MS,
          VMAFX_EXPORT_FAILED,
          0,
          0,
          3,
          0,
          5,
          0,
          "503" },
        { "400 with a Status", { SAY(400, NULL, RPC_STATUS) }, LONG_MS, VMAFX_EXPORT_FAILED, 0, 0, 3, 0, 1, 0, "bad" },
        { "500 is final", { SAY(500, NULL, "oops") }, LONG_MS, VMAFX_EXPORT_FAILED, 0, 0, 3, 0, 1, 0, "500" },
        { "404 is final", { SAY(404, NULL, "") }, LONG_MS, VMAFX_EXPORT_FAILED, 0, 0, 3, 0, 1, 0, "404" },
        { "a redirect is not followed",
          { SAY(302, "Location: /elsewhere\r\n", "") },
          LONG_MS,
          VMAFX_EXPORT_FAILED,
          0,
          0,
          3,
          0,
          1,
          0,
          "302" },
        { "not HTTP: nothing to hope for",
          { { ACT_NOT_HTTP, 0, NULL, NULL, 0 } },
          LONG_MS,
          VMAFX_EXPORT_FAILED,
          0,
          0,
          3,
          0,
          1,
          0,
          "" },
        { "closed without an answer",
          { { ACT_CLOSE, 0, NULL, NULL, 0 } },
          LONG_MS,
          VMAFX_EXPORT_OK,
          3,
          0,
          0,
          0,
          2,
          0,
          "" },
        { "closed inside the request",
          { { ACT_CLOSE_EARLY, 0, NULL, NULL, 0 } },
          LONG_MS,
          VMAFX_EXPORT_OK,
          3,
          0,
          0,
          0,
          2,
          0,
          "" },
        { "an answer cut short",
          { { ACT_CUT_BODY, 0, NULL, NULL, 0 } },
          LONG_MS,
          VMAFX_EXPORT_OK,
          3,
          0,
          0,
          0,
          2,
          0,
          "" },
        { "an answer over its limit",
          { { ACT_SAY_HUGE, 0, NULL, NULL, 0 } },
          LONG_MS,
          VMAFX_EXPORT_FAILED,
          0,
          0,
          3,
          0,
          1,
          0,
          "limit" },
        { "no answer",
          { { ACT_SILENT, 0, NULL, NULL, 0 } },
          SHORT_MS,
          VMAFX_EXPORT_TIMEOUT,
          0,
          0,
          0,
          3,
          1,
          0,
          "deadline" },
        { "an answer without end",
          { { ACT_TRICKLE, 0, NULL, NULL, 0 } },
          SHORT_MS,
          VMAFX_EXPORT_TIMEOUT,
          0,
          0,
          0,
          3,
          1,
          0,
          "deadline" },
    };

    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        Told told = { 0 };
        VmafxOtlpCounts counts;
        Peer *peer = peer_open(cases[i].steps);
        VmafxOtlpConfig config = config_for(peer->port, &told);

        VmafxExportResult result = export_once(&config, cases[i].deadline_ms, &counts);
        peer_stop(peer);
        unsigned requests = peer->requests;
        peer_close(&peer);

        if (result != cases[i].result)
            print_message("%s: %s\n", cases[i].why, told.last);
        assert_int_equal(result, cases[i].result);
        assert_int_equal(counts.exported, cases[i].exported);
        assert_int_equal(counts.rejected, cases[i].rejected);
        assert_int_equal(counts.failed, cases[i].failed);
        assert_int_equal(counts.timed_out, cases[i].timed_out);
        assert_int_equal(counts.attempts, cases[i].attempts);
        assert_int_equal(counts.retries, cases[i].attempts - 1);
        assert_int_equal(counts.warnings, cases[i].warnings);
        assert_int_equal(counts.requests, 1);
        assert_int_equal(requests, cases[i].attempts);
        assert_int_equal(told.lines, cases[i].told ? 1 : 0); /* the first line of a bad state, and no more */
        assert_true(!cases[i].told || strstr(told.last, cases[i].told));
    }
}

static void an_absent_collector_is_attempted_and_told_once(void **state)
{
    Told told = { 0 };
    VmafxOtlpCounts counts;
    uint16_t port;

    close(listen_local(&port)); /* nobody listens there now */
    VmafxOtlpConfig config = config_for(port, &told);
    VmafxExporter *exporter = vmafx_otlp_http_exporter_new(&config);
    for (int i = 0; i < 3; i++)
        assert_int_equal(exporter->export_batch(exporter, &batch, in_ms(LONG_MS)), VMAFX_EXPORT_FAILED);
    vmafx_otlp_exporter_counts(exporter, &counts);
    exporter->free(exporter);
    assert_int_equal(counts.attempts, 15);
    assert_int_equal(counts.failed, 9);
    assert_int_equal(told.lines, 1);
}

static void a_listener_that_never_accepts_costs_the_deadline_and_no_more(void **state)
{
    Told told = { 0 };
    VmafxOtlpCounts counts;
    uint16_t port;
    int listener = listen_local(&port);
    VmafxOtlpConfig config = config_for(port, &told);

    config.timeout_ms = SHORT_MS; /* the exporter's own limit is the shorter one */
    assert_int_equal(export_once(&config, LONG_MS * 10, &counts), VMAFX_EXPORT_TIMEOUT);
    close(listener);
    assert_int_equal(counts.timed_out, 3);
}

static size_t gunzip(const uint8_t *in, size_t len, uint8_t *out, size_t room)
{
    z_stream stream = { .next_in = (Bytef *)in, .avail_in = (uInt)len, .next_out = out, .avail_out = (uInt)room };

    assert_int_equal(inflateInit2(&stream, 15 + 16), Z_OK);
    assert_int_equal(inflate(&stream, Z_FINISH), Z_STREAM_END);
    inflateEnd(&stream);
    return stream.total_out;
}

static void the_request_is_what_otlp_says_gzipped_or_not(void **state)
{
    static const VmafxOtlpHeader headers[] = { { "api-key", "s3cret" }, { "empty", "" }, { "evil", "a\r\nb: c" } };
    VmafxOtlpEncoder encoder;

    vmafx_otlp_encoder_init(&encoder, &batch, 0, 0);
    assert_true(vmafx_otlp_encoder_next(&encoder));
    for (int gzip = 0; gzip < 2; gzip++) {
        static const Step accept_all[] = { { 0 } };
        Told told = { 0 };
        VmafxOtlpCounts counts;
        uint8_t plain[4096];
        Peer *peer = peer_open(accept_all);
        VmafxOtlpConfig config = config_for(peer->port, &told);

        config.gzip = gzip;
        config.product = "vmafx/1";
        config.headers = headers;
        config.n_headers = VMAFX_LEN(headers);
        assert_int_equal(export_once(&config, LONG_MS, &counts), VMAFX_EXPORT_OK);
        peer_stop(peer);
        assert_non_null(strstr(peer->head, "POST /v1/traces HTTP/1.1\r\n"));
        assert_non_null(strstr(peer->head, "\r\nContent-Type: application/x-protobuf\r\n"));
        assert_non_null(strstr(peer->head, "\r\nUser-Agent: vmafx/1 OTel-OTLP-Exporter-C/9.9\r\n"));
        assert_non_null(strstr(peer->head, "\r\napi-key: s3cret\r\n"));
        assert_non_null(strstr(peer->head, "\r\nempty:"));
        assert_null(strstr(peer->head, "evil"));
        assert_null(strstr(peer->head, "Expect"));
        assert_int_equal(!strstr(peer->head, "\r\nContent-Encoding: gzip\r\n"), !gzip);
        size_t len = peer->body_len;
        if (gzip)
            len = gunzip(peer->body, peer->body_len, plain, sizeof plain);
        else
            memcpy(plain, peer->body, len);
        peer_close(&peer);
        assert_int_equal(len, encoder.wire.len);
        assert_memory_equal(plain, encoder.wire.bytes, len);
    }
    vmafx_otlp_encoder_done(&encoder);
}

static void one_connection_serves_many_batches(void **state)
{
    static const Step accept_all[] = { { 0 } };
    Told told = { 0 };
    Peer *peer = peer_open(accept_all);
    VmafxOtlpConfig config = config_for(peer->port, &told);
    VmafxExporter *exporter = vmafx_otlp_http_exporter_new(&config);

    for (int i = 0; i < 5; i++)
        assert_int_equal(exporter->export_batch(exporter, &batch, in_ms(LONG_MS)), VMAFX_EXPORT_OK);
    assert_int_equal(exporter->force_flush(exporter, in_ms(LONG_MS)), VMAFX_EXPORT_OK);
    exporter->free(exporter);
    peer_stop(peer);
    assert_int_equal(peer->requests, 5);
    assert_int_equal(peer->connections, 1);
    peer_close(&peer);
}

static void a_gzipped_answer_is_limited_after_it_is_unpacked(void **state)
{
    static uint8_t zeros[1 << 20], packed[4096];
    z_stream stream = { .next_in = zeros, .avail_in = sizeof zeros, .next_out = packed, .avail_out = sizeof packed };
    Told told = { 0 };
    VmafxOtlpCounts counts;

    assert_int_equal(deflateInit2(&stream, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
    deflateEnd(&stream);
    Step steps[] = { { ACT_SAY, 200, "Content-Encoding: gzip\r\n", (char *)packed, stream.total_out }, { 0 } };
    Peer *peer = peer_open(steps);
    VmafxOtlpConfig config = config_for(peer->port, &told);
    assert_int_equal(export_once(&config, LONG_MS, &counts), VMAFX_EXPORT_FAILED);
    peer_close(&peer);
    assert_int_equal(counts.failed, 3);
    assert_int_equal(counts.attempts, 1);
}

/* ---- shutdown ---- */

typedef struct Export {
    VmafxExporter *exporter;
    VmafxExportResult result;
} Export;

static void *export_main(void *ctx)
{
    Export *job = ctx;

    job->result = job->exporter->export_batch(job->exporter, &batch, in_ms(LONG_MS * 10));
    return NULL;
}

static void wait_for_request(Peer *peer)
{
    pthread_mutex_lock(&peer->lock);
    while (!peer->requests)
        pthread_cond_wait(&peer->changed, &peer->lock);
    pthread_mutex_unlock(&peer->lock);
}

static void shutdown_cancels_an_export_at_its_own_deadline(void **state)
{
    static const Step silent[] = { { ACT_SILENT, 0, NULL, NULL, 0 }, { 0 } };
    Told told = { 0 };
    VmafxOtlpCounts counts;
    Peer *peer = peer_open(silent);
    VmafxOtlpConfig config = config_for(peer->port, &told);
    Export job = { .exporter = vmafx_otlp_http_exporter_new(&config) };
    pthread_t thread;

    config.timeout_ms = 0;
    assert_int_equal(pthread_create(&thread, NULL, export_main, &job), 0);
    wait_for_request(peer);
    assert_int_equal(job.exporter->force_flush(job.exporter, in_ms(1)), VMAFX_EXPORT_TIMEOUT);
    assert_int_equal(job.exporter->shutdown(job.exporter, in_ms(1)), VMAFX_EXPORT_TIMEOUT);
    pthread_join(thread, NULL);
    assert_int_equal(job.result, VMAFX_EXPORT_TIMEOUT);
    assert_int_equal(job.exporter->export_batch(job.exporter, &batch, in_ms(LONG_MS)), VMAFX_EXPORT_FAILED);
    assert_int_equal(job.exporter->shutdown(job.exporter, in_ms(1)), VMAFX_EXPORT_FAILED);
    vmafx_otlp_exporter_counts(job.exporter, &counts);
    assert_int_equal(counts.timed_out, 3);
    assert_int_equal(counts.failed, 3);
    assert_int_equal(counts.attempts, 1);
    job.exporter->free(job.exporter);
    peer_close(&peer);
}

static void shutdown_ends_a_backoff_and_leaves_one_last_attempt(void **state)
{
    static const Step busy[] = { SAY(503, "Retry-After: 15\r\n", ""), { 0 } };
    Told told = { 0 };
    VmafxOtlpCounts counts;
    Peer *peer = peer_open(busy);
    VmafxOtlpConfig config = config_for(peer->port, &told);
    Export job = { .exporter = vmafx_otlp_http_exporter_new(&config) };
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, export_main, &job), 0);
    wait_for_request(peer);
    assert_int_equal(job.exporter->shutdown(job.exporter, in_ms(LONG_MS / 2)), VMAFX_EXPORT_OK);
    pthread_join(thread, NULL);
    assert_int_equal(job.result, VMAFX_EXPORT_OK);
    vmafx_otlp_exporter_counts(job.exporter, &counts);
    assert_int_equal(counts.attempts, 2);
    assert_int_equal(counts.exported, 3);
    job.exporter->free(job.exporter);
    peer_close(&peer);
}

static void what_cannot_be_used_is_told_and_drops_everything(void **state)
{
    static const struct {
        const char *why, *ca, *cert, *key;
    } cases[] = {
        { "a certificate without its key", NULL, "/dev/null", NULL },
        { "a key without its certificate", NULL, NULL, "/dev/null" },
        { "a certificate that is not there", "/nowhere/ca.pem", NULL, NULL },
    };

    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        Told told = { 0 };
        VmafxOtlpCounts counts;
        VmafxOtlpConfig config = config_for(1, &told);

        config.ca_file = cases[i].ca;
        config.cert_file = cases[i].cert;
        config.key_file = cases[i].key;
        assert_int_equal(export_once(&config, LONG_MS, &counts), VMAFX_EXPORT_FAILED);
        assert_int_equal(told.lines, 1);
        assert_int_equal(counts.attempts, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_answer_is_counted_once_and_attempted_as_the_table_says),
        cmocka_unit_test(an_absent_collector_is_attempted_and_told_once),
        cmocka_unit_test(a_listener_that_never_accepts_costs_the_deadline_and_no_more),
        cmocka_unit_test(the_request_is_what_otlp_says_gzipped_or_not),
        cmocka_unit_test(one_connection_serves_many_batches),
        cmocka_unit_test(a_gzipped_answer_is_limited_after_it_is_unpacked),
        cmocka_unit_test(shutdown_cancels_an_export_at_its_own_deadline),
        cmocka_unit_test(shutdown_ends_a_backoff_and_leaves_one_last_attempt),
        cmocka_unit_test(what_cannot_be_used_is_told_and_drops_everything),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

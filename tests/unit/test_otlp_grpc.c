/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * OTLP/gRPC against a peer that follows a script and speaks just enough HTTP/2 (RFC 9113) for it: frames are read,
 * headers are written as HPACK literals (RFC 7541, 6.2.2), and what the client sends is looked at as it is on the wire.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pthread.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base.h"
#include "otel/export/otlp_encode.h"
#include "otel/export/otlp_grpc.h"
#include "peer.h"

enum { SHORT_MS = 200 };
enum {
    DATA = 0,
    HEADERS = 1,
    RST_STREAM = 3,
    SETTINGS = 4,
    PING = 6,
    GOAWAY = 7,
    ACK = 1,
    END_STREAM = 1,
    END_HEADERS = 4
};

/* ---- the peer ---- */

static bool get(int fd, void *bytes, size_t len)
{
    return !len || recv(fd, bytes, len, MSG_WAITALL) == (ssize_t)len;
}

static void frame(int fd, uint8_t type, uint8_t flags, uint32_t stream, const void *payload, size_t len)
{
    uint8_t out[4096] = {
        (uint8_t)(len >> 16),    (uint8_t)(len >> 8),     (uint8_t)len,           type,           flags,
        (uint8_t)(stream >> 24), (uint8_t)(stream >> 16), (uint8_t)(stream >> 8), (uint8_t)stream
    };

    memcpy(out + 9, payload, len);
    if (send(fd, out, len + 9, MSG_NOSIGNAL) < 0)
        return;
}

static size_t literal(uint8_t *out, const char *name, const char *value)
{
    size_t n = strlen(name), v = strlen(value);

    out[0] = 0;
    out[1] = (uint8_t)n;
    memcpy(out + 2, name, n);
    out[2 + n] = (uint8_t)v; /* below 127 */
    memcpy(out + 3 + n, value, v);
    return 3 + n + v;
}

static void say(int fd, uint32_t stream, const PeerStep *step)
{
    uint8_t out[1024] = { 0x88 }; /* :status 200 */
    char code[16];

    frame(fd, HEADERS, END_HEADERS, stream, out, 1 + literal(out + 1, "content-type", "application/grpc"));
    if (step->act == ACT_END || step->status == 0) {
        memset(out, 0, 5);
        out[4] = (uint8_t)step->len;
        if (step->len)
            memcpy(out + 5, step->body, step->len);
        frame(fd, DATA, 0, stream, out, step->len + 5);
    }
    snprintf(code, sizeof code, "%d", step->act == ACT_END ? 0 : step->status);
    size_t len = literal(out, "grpc-status", code);
    len += literal(out + len, "grpc-message", "peer%20says%0ano");
    if (step->headers)
        len += literal(out + len, "grpc-status-details-bin", step->headers);
    frame(fd, HEADERS, END_HEADERS | END_STREAM, stream, out, len);
}

/* True to go on with this connection. */
static bool play(int fd, uint32_t stream, const PeerStep *step)
{
    uint8_t out[64] = { 0 };

    switch (step->act) {
    case ACT_END:
    case ACT_SAY:
        say(fd, stream, step);
        return true;
    case ACT_HTTP:
        out[0] = 8; /* :status, a literal value */
        out[1] = 3;
        snprintf((char *)out + 2, 8, "%d", step->status);
        frame(fd, HEADERS, END_HEADERS | END_STREAM, stream, out, 5 + literal(out + 5, "content-type", "text/html"));
        return true;
    case ACT_RESET:
        out[3] = (uint8_t)step->status;
        frame(fd, RST_STREAM, 0, stream, out, 4);
        return true;
    case ACT_GOAWAY:
        frame(fd, GOAWAY, 0, 0, out, 8); /* last stream 0, NO_ERROR */
        return false;
    case ACT_GARBAGE:
        send(fd, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 12, MSG_NOSIGNAL);
        return false;
    case ACT_SILENT:
        return true;
    default:
        return false;
    }
}

static bool one_frame(Peer *peer, int fd)
{
    static _Thread_local uint8_t payload[1 << 17];
    uint8_t head[9];

    if (!get(fd, head, sizeof head))
        return false;
    size_t len = (size_t)head[0] << 16 | (size_t)head[1] << 8 | head[2];
    uint32_t stream = (uint32_t)head[5] << 24 | (uint32_t)head[6] << 16 | (uint32_t)head[7] << 8 | head[8];
    if (len > sizeof payload || !get(fd, payload, len))
        return false;
    if ((head[3] == SETTINGS || head[3] == PING) && !(head[4] & ACK))
        frame(fd, head[3], ACK, 0, payload, head[3] == PING ? len : 0);
    if (head[3] != HEADERS && head[3] != DATA)
        return true;
    pthread_mutex_lock(&peer->lock);
    if (head[3] == HEADERS) {
        peer->head_len = VMAFX_MIN(len, sizeof peer->head);
        memcpy(peer->head, payload, peer->head_len);
        peer->body_len = 0;
    } else if (len <= sizeof peer->body - peer->body_len) {
        memcpy(peer->body + peer->body_len, payload, len);
        peer->body_len += len;
    }
    bool whole = head[4] & END_STREAM;
    const PeerStep *step = peer_step(peer, peer->requests);
    peer->requests += whole;
    pthread_cond_broadcast(&peer->changed);
    pthread_mutex_unlock(&peer->lock);
    if (!whole)
        return true;
    return play(fd, stream, step);
}

static void serve(Peer *peer, int fd)
{
    char preface[24];

    if (!get(fd, preface, sizeof preface))
        return;
    frame(fd, SETTINGS, 0, 0, "", 0);
    while (one_frame(peer, fd))
        ;
}

static VmafxOtlpConfig config_for(uint16_t port, Told *told)
{
    return peer_config(VMAFX_OTLP_GRPC, port, told);
}

/* ---- tests ---- */

#define SAY(code, details)                                                                                             \
    {                                                                                                                  \
        ACT_SAY, code, details, NULL, 0                                                                                \
    }
/* google.rpc.Status { code 8, details: Any { RetryInfo { retry_delay: 1 ms } } } */
#define RETRY_SOON "CAgaMgoodHlwZS5nb29nbGVhcGlzLmNvbS9nb29nbGUucnBjLlJldHJ5SW5mbxIGCgQQwIQ9"

static void every_status_is_counted_once_and_attempted_as_the_table_says(void **state)
{
    static const struct {
        const char *why;
        PeerStep steps[PEER_STEPS_MAX];
        uint64_t deadline_ms;
        VmafxExportResult result;
        uint64_t exported, rejected, failed, timed_out, attempts;
    } cases[] = {
        { "accepted", { { 0 } }, LONG_MS, VMAFX_EXPORT_OK, 3, 0, 0, 0, 1 },
        { "partial success",
          { { ACT_SAY, 0, NULL, "\x0a\x06\x08\x01\x12\x02no", 8 } },
          LONG_MS,
          VMAFX_EXPORT_OK,
          2,
          1,
          0,
          0,
          1 },
        { "garbage in the answer",
          { { ACT_SAY, 0, NULL, "\xff\xff\xff", 3 } },
          LONG_MS,
          VMAFX_EXPORT_OK,
          3,
          0,
          0,
          0,
          1 },
        { "UNAVAILABLE twice", { SAY(14, NULL), SAY(14, NULL) }, LONG_MS, VMAFX_EXPORT_OK, 3, 0, 0, 0, 3 },
        { "CANCELLED by the server", { SAY(1, NULL) }, LONG_MS, VMAFX_EXPORT_OK, 3, 0, 0, 0, 2 },
        { "DEADLINE_EXCEEDED by the server", { SAY(4, NULL) }, LONG_MS, VMAFX_EXPORT_OK, 3, 0, 0, 0, 2 },
        { "ABORTED, OUT_OF_RANGE, DATA_LOSS",
          { SAY(10, NULL), SAY(11, NULL), SAY(15, NULL) },
          LONG_MS,
          VMAFX_EXPORT_OK,
          3,
          0,
          0,
          0,
          4 },
        { "RESOURCE_EXHAUSTED alone is final", { SAY(8, NULL) }, LONG_MS, VMAFX_EXPORT_FAILED, 0, 0, 3, 0, 1 },
        { "RESOURCE_EXHAUSTED with RetryInfo", { SAY(8, RETRY_SOON) }, LONG_MS, VMAFX_EXPORT_OK, 3, 0, 0, 0, 2 },
        { "RESOURCE_EXHAUSTED with broken details", { SAY(8, "////") }, LONG_MS, VMAFX_EXPORT_FAILED, 0, 0, 3, 0, 1 },
        { "UNAUTHENTICATED is final", { SAY(16, NULL) }, LONG_MS, VMAFX_EXPORT_FAILED, 0, 0, 3, 0, 1 },
        { "UNIMPLEMENTED is final", { SAY(12, NULL) }, LONG_MS, VMAFX_EXPORT_FAILED, 0, 0, 3, 0, 1 },
        { "HTTP 503 is UNAVAILABLE", { { ACT_HTTP, 503, NULL, NULL, 0 } }, LONG_MS, VMAFX_EXPORT_OK, 3, 0, 0, 0, 2 },
        { "HTTP 404 is UNIMPLEMENTED",
          { { ACT_HTTP, 404, NULL, NULL, 0 } },
          LONG_MS,
          VMAFX_EXPORT_FAILED,
          0,
          0,
          3,
          0,
          1 },
        { "RST_STREAM CANCEL", { { ACT_RESET, 8, NULL, NULL, 0 } }, LONG_MS, VMAFX_EXPORT_OK, 3, 0, 0, 0, 2 },
        { "RST_STREAM INTERNAL_ERROR",
          { { ACT_RESET, 2, NULL, NULL, 0 } },
          LONG_MS,
          VMAFX_EXPORT_FAILED,
          0,
          0,
          3,
          0,
          1 },
        { "silence", { { ACT_SILENT, 0, NULL, NULL, 0 } }, SHORT_MS, VMAFX_EXPORT_TIMEOUT, 0, 0, 0, 3, 1 },
    };

    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        Told told = { 0 };
        VmafxOtlpCounts counts;
        Peer *peer = peer_open(serve, cases[i].steps);
        VmafxOtlpConfig config = config_for(peer->port, &told);
        VmafxExporter *exporter = vmafx_otlp_grpc_exporter_new(&config);
        VmafxExportResult result = exporter->export_batch(exporter, &peer_batch, in_ms(cases[i].deadline_ms));

        vmafx_otlp_exporter_counts(exporter, &counts);
        exporter->free(exporter);
        peer_close(&peer);
        if (result != cases[i].result || counts.attempts != cases[i].attempts)
            print_message("%s: %d after %d attempts: %s\n", cases[i].why, result, (int)counts.attempts, told.last);
        assert_int_equal(result, cases[i].result);
        assert_int_equal(counts.exported, cases[i].exported);
        assert_int_equal(counts.rejected, cases[i].rejected);
        assert_int_equal(counts.failed, cases[i].failed);
        assert_int_equal(counts.timed_out, cases[i].timed_out);
        assert_int_equal(counts.attempts, cases[i].attempts);
    }
}

/* How often is the library's business: it reconnects when it thinks fit. That all is counted once is ours. */
static void a_connection_that_dies_is_counted_and_survived(void **state)
{
    static const struct {
        PeerStep steps[2];
        bool may_fail;
    } cases[] = {
        { { { ACT_CLOSE, 0, NULL, NULL, 0 }, { 0 } }, false },
        { { { ACT_GOAWAY, 0, NULL, NULL, 0 }, { 0 } }, false },
        { { { ACT_GARBAGE, 0, NULL, NULL, 0 }, { 0 } }, true }, /* UNKNOWN or UNAVAILABLE, as the library sees it */
    };

    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        Told told = { 0 };
        VmafxOtlpCounts counts;
        Peer *peer = peer_open(serve, cases[i].steps);
        VmafxOtlpConfig config = config_for(peer->port, &told);

        config.retry.attempts_max = 1000;
        config.retry.first_ns = config.retry.cap_ns = 20 * MS;
        VmafxExporter *exporter = vmafx_otlp_grpc_exporter_new(&config);
        VmafxExportResult first = exporter->export_batch(exporter, &peer_batch, in_ms(LONG_MS));
        assert_true(first == VMAFX_EXPORT_OK || (cases[i].may_fail && first == VMAFX_EXPORT_FAILED));
        assert_int_equal(exporter->export_batch(exporter, &peer_batch, in_ms(LONG_MS)), VMAFX_EXPORT_OK);
        vmafx_otlp_exporter_counts(exporter, &counts);
        assert_int_equal(counts.exported, first ? 3 : 6);
        assert_int_equal(counts.failed, first ? 3 : 0);
        assert_int_equal(counts.timed_out, 0);
        exporter->free(exporter);
        peer_close(&peer);
    }
}

static void an_absent_collector_is_attempted_and_told_once(void **state)
{
    Told told = { 0 };
    VmafxOtlpCounts counts;
    uint16_t port;

    close(peer_listen(&port)); /* nobody listens there now */
    VmafxOtlpConfig config = config_for(port, &told);
    VmafxExporter *exporter = vmafx_otlp_grpc_exporter_new(&config);
    for (int i = 0; i < 2; i++)
        assert_int_equal(exporter->export_batch(exporter, &peer_batch, in_ms(LONG_MS)), VMAFX_EXPORT_FAILED);
    vmafx_otlp_exporter_counts(exporter, &counts);
    exporter->free(exporter);
    assert_int_equal(counts.attempts, 10);
    assert_int_equal(counts.failed, 6);
    assert_int_equal(told.lines, 2);
    assert_non_null(strstr(told.first, "will try again"));
    assert_non_null(strstr(told.last, "gave up on a batch"));
}

static bool head_has(const Peer *peer, const char *text)
{
    return memmem(peer->head, peer->head_len, text, strlen(text)) != NULL;
}

static void the_request_is_what_otlp_says_gzipped_or_not(void **state)
{
    static const VmafxOtlpHeader headers[] = { { "API-Key", "s3cret" }, { "evil", "a\r\nb" }, { "grpc-status", "0" } };
    VmafxOtlpEncoder encoder;

    vmafx_otlp_encoder_init(&encoder, &peer_batch, 0, 0);
    assert_true(vmafx_otlp_encoder_next(&encoder));
    for (int gzip = 0; gzip < 2; gzip++) {
        static const PeerStep accept_all[] = { { 0 } };
        Told told = { 0 };
        Peer *peer = peer_open(serve, accept_all);
        VmafxOtlpConfig config = config_for(peer->port, &told);

        config.gzip = gzip;
        config.headers = headers;
        config.n_headers = VMAFX_LEN(headers);
        VmafxExporter *exporter = vmafx_otlp_grpc_exporter_new(&config);
        assert_int_equal(exporter->export_batch(exporter, &peer_batch, in_ms(LONG_MS)), VMAFX_EXPORT_OK);
        exporter->free(exporter);
        peer_stop(peer);
        assert_true(head_has(peer, "/opentelemetry.proto.collector.trace.v1.TraceService/Export"));
        assert_true(head_has(peer, "OTel-OTLP-Exporter-C/9.9"));
        assert_true(head_has(peer, "application/grpc"));
        assert_true(head_has(peer, "grpc-timeout"));
        assert_true(head_has(peer, "api-key"));
        assert_true(head_has(peer, "s3cret"));
        assert_false(head_has(peer, "evil"));
        assert_int_equal(peer->body[0], gzip);
        if (!gzip) {
            assert_int_equal(peer->body_len, encoder.wire.len + 5);
            assert_memory_equal(peer->body + 5, encoder.wire.bytes, encoder.wire.len);
        }
        peer_close(&peer);
    }
    vmafx_otlp_encoder_done(&encoder);
}

static void shutdown_cancels_a_call_at_its_own_deadline(void **state)
{
    static const PeerStep silent[] = { { ACT_SILENT, 0, NULL, NULL, 0 }, { 0 } };
    Told told = { 0 };
    VmafxOtlpCounts counts;
    Peer *peer = peer_open(serve, silent);
    VmafxOtlpConfig config = config_for(peer->port, &told);
    PeerExport job;

    peer_export_begin(&job, vmafx_otlp_grpc_exporter_new(&config));
    peer_wait_for_requests(peer, 1);
    assert_int_equal(job.exporter->shutdown(job.exporter, in_ms(1)), VMAFX_EXPORT_TIMEOUT);
    assert_int_equal(peer_export_end(&job), VMAFX_EXPORT_TIMEOUT);
    vmafx_otlp_exporter_counts(job.exporter, &counts);
    assert_int_equal(counts.timed_out, 3);
    job.exporter->free(job.exporter);
    peer_close(&peer);
}

static void at_the_end_nobody_is_attempted_once_for_all_that_is_left(void **state)
{
    Told told = { 0 };
    VmafxOtlpCounts counts;
    uint16_t port;

    close(peer_listen(&port)); /* nobody listens there now */
    VmafxOtlpConfig config = config_for(port, &told);
    VmafxExporter *exporter = vmafx_otlp_grpc_exporter_new(&config);
    vmafx_otlp_exporter_hurry(exporter);
    for (int i = 0; i < 3; i++)
        assert_int_equal(exporter->export_batch(exporter, &peer_batch, in_ms(LONG_MS)), VMAFX_EXPORT_FAILED);
    vmafx_otlp_exporter_counts(exporter, &counts);
    exporter->free(exporter);
    assert_int_equal(counts.attempts, 1);
    assert_int_equal(counts.retries, 0);
    assert_int_equal(counts.failed, 9);
    assert_int_equal(told.lines, 1);
    assert_non_null(strstr(told.last, "gave up on a batch"));
}

static void the_end_turns_a_backoff_for_nobody_into_one_last_attempt(void **state)
{
    Told told = { 0 };
    VmafxOtlpCounts counts = { 0 };
    uint16_t port;
    PeerExport job;

    close(peer_listen(&port));
    VmafxOtlpConfig config = config_for(port, &told);
    config.retry = (VmafxRetryPolicy){ .first_ns = LONG_MS / 2 * MS, .cap_ns = LONG_MS * MS, .attempts_max = 5 };
    peer_export_begin(&job, vmafx_otlp_grpc_exporter_new(&config));
    while (!counts.attempts) {
        usleep(1000);
        vmafx_otlp_exporter_counts(job.exporter, &counts);
    }
    vmafx_otlp_exporter_hurry(job.exporter);
    assert_int_equal(peer_export_end(&job), VMAFX_EXPORT_FAILED);
    vmafx_otlp_exporter_counts(job.exporter, &counts);
    assert_in_range(counts.attempts, 1, 2); /* one, when the first began after the hurry */
    assert_int_equal(counts.failed, 3);
    job.exporter->free(job.exporter);
}

static void a_forked_child_is_told_that_grpc_is_gone(void **state)
{
    Told told = { 0 };
    Peer *peer = peer_open(serve, NULL);
    VmafxOtlpConfig config = config_for(peer->port, &told);
    VmafxExporter *exporter = vmafx_otlp_grpc_exporter_new(&config);
    int status;

    assert_int_equal(exporter->export_batch(exporter, &peer_batch, in_ms(LONG_MS)), VMAFX_EXPORT_OK);
    pid_t child = fork();
    assert_true(child >= 0);
    if (!child) {
        VmafxExporter *mine = vmafx_otlp_grpc_exporter_new(&config);
        VmafxExportResult result = mine->export_batch(mine, &peer_batch, in_ms(LONG_MS));
        _exit(result == VMAFX_EXPORT_FAILED && strstr(told.last, "http/protobuf") ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(exporter->export_batch(exporter, &peer_batch, in_ms(LONG_MS)), VMAFX_EXPORT_OK);
    exporter->free(exporter);
    peer_close(&peer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_status_is_counted_once_and_attempted_as_the_table_says),
        cmocka_unit_test(a_connection_that_dies_is_counted_and_survived),
        cmocka_unit_test(an_absent_collector_is_attempted_and_told_once),
        cmocka_unit_test(the_request_is_what_otlp_says_gzipped_or_not),
        cmocka_unit_test(shutdown_cancels_a_call_at_its_own_deadline),
        cmocka_unit_test(at_the_end_nobody_is_attempted_once_for_all_that_is_left),
        cmocka_unit_test(the_end_turns_a_backoff_for_nobody_into_one_last_attempt),
        cmocka_unit_test(a_forked_child_is_told_that_grpc_is_gone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

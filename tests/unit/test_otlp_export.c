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

#include <pthread.h>
#include <unistd.h>

#include <cmocka.h>
#include <zlib.h>

#include "base/base.h"
#include "otel/export/otlp_encode.h"
#include "otel/export/otlp_http.h"
#include "peer.h"

enum { SHORT_MS = 150 };

static VmafxOtlpConfig config_for(uint16_t port, Told *told)
{
    return peer_config(VMAFX_OTLP_HTTP, port, told);
}

static VmafxExportResult export_once(VmafxOtlpConfig *config, uint64_t ms, VmafxOtlpCounts *ret)
{
    VmafxExporter *exporter = vmafx_otlp_http_exporter_new(config);
    VmafxExportResult result = exporter->export_batch(exporter, &peer_batch, in_ms(ms));

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
        PeerStep steps[PEER_STEPS_MAX];
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
        Peer *peer = peer_open(peer_serve_http, cases[i].steps);
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
        if (counts.timed_out) /* on a busy machine before the peer has looked */
            assert_true(requests <= cases[i].attempts);
        else
            assert_int_equal(requests, cases[i].attempts);
        /* of each kind one line, and no more: that it is tried again, and how it ended */
        assert_int_equal(told.lines, (cases[i].told != NULL) + (result && cases[i].attempts > 1));
        assert_true(!cases[i].told || strstr(told.first, cases[i].told));
    }
}

static void an_absent_collector_is_attempted_and_told_once(void **state)
{
    Told told = { 0 };
    VmafxOtlpCounts counts;
    uint16_t port;

    close(peer_listen(&port)); /* nobody listens there now */
    VmafxOtlpConfig config = config_for(port, &told);
    VmafxExporter *exporter = vmafx_otlp_http_exporter_new(&config);
    for (int i = 0; i < 3; i++)
        assert_int_equal(exporter->export_batch(exporter, &peer_batch, in_ms(LONG_MS)), VMAFX_EXPORT_FAILED);
    vmafx_otlp_exporter_counts(exporter, &counts);
    exporter->free(exporter);
    assert_int_equal(counts.attempts, 15);
    assert_int_equal(counts.failed, 9);
    assert_int_equal(told.lines, 2);
    assert_non_null(strstr(told.first, "will try again"));
    assert_non_null(strstr(told.last, "gave up on a batch"));
}

static void a_listener_that_never_accepts_costs_the_deadline_and_no_more(void **state)
{
    Told told = { 0 };
    VmafxOtlpCounts counts;
    uint16_t port;
    int listener = peer_listen(&port);
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

    vmafx_otlp_encoder_init(&encoder, &peer_batch, 0, 0);
    assert_true(vmafx_otlp_encoder_next(&encoder));
    for (int gzip = 0; gzip < 2; gzip++) {
        static const PeerStep accept_all[] = { { 0 } };
        Told told = { 0 };
        VmafxOtlpCounts counts;
        uint8_t plain[4096];
        Peer *peer = peer_open(peer_serve_http, accept_all);
        VmafxOtlpConfig config = config_for(peer->port, &told);

        config.gzip = gzip;
        config.product = "vmafx/1";
        config.headers = headers;
        config.n_headers = VMAFX_LEN(headers);
        assert_int_equal(export_once(&config, LONG_MS, &counts), VMAFX_EXPORT_OK);
        peer_stop(peer);
        assert_non_null(strstr((char *)peer->head, "POST /v1/traces HTTP/1.1\r\n"));
        assert_non_null(strstr((char *)peer->head, "\r\nContent-Type: application/x-protobuf\r\n"));
        assert_non_null(strstr((char *)peer->head, "\r\nUser-Agent: vmafx/1 OTel-OTLP-Exporter-C/9.9\r\n"));
        assert_non_null(strstr((char *)peer->head, "\r\napi-key: s3cret\r\n"));
        assert_non_null(strstr((char *)peer->head, "\r\nempty:"));
        assert_null(strstr((char *)peer->head, "evil"));
        assert_null(strstr((char *)peer->head, "Expect"));
        assert_int_equal(!strstr((char *)peer->head, "\r\nContent-Encoding: gzip\r\n"), !gzip);
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
    static const PeerStep accept_all[] = { { 0 } };
    Told told = { 0 };
    Peer *peer = peer_open(peer_serve_http, accept_all);
    VmafxOtlpConfig config = config_for(peer->port, &told);
    VmafxExporter *exporter = vmafx_otlp_http_exporter_new(&config);

    for (int i = 0; i < 5; i++)
        assert_int_equal(exporter->export_batch(exporter, &peer_batch, in_ms(LONG_MS)), VMAFX_EXPORT_OK);
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
    PeerStep steps[] = { { ACT_SAY, 200, "Content-Encoding: gzip\r\n", (char *)packed, stream.total_out }, { 0 } };
    Peer *peer = peer_open(peer_serve_http, steps);
    VmafxOtlpConfig config = config_for(peer->port, &told);
    assert_int_equal(export_once(&config, LONG_MS, &counts), VMAFX_EXPORT_FAILED);
    peer_close(&peer);
    assert_int_equal(counts.failed, 3);
    assert_int_equal(counts.attempts, 1);
}

/* ---- shutdown ---- */

static void shutdown_cancels_an_export_at_its_own_deadline(void **state)
{
    static const PeerStep silent[] = { { ACT_SILENT, 0, NULL, NULL, 0 }, { 0 } };
    Told told = { 0 };
    VmafxOtlpCounts counts;
    Peer *peer = peer_open(peer_serve_http, silent);
    VmafxOtlpConfig config = config_for(peer->port, &told);
    PeerExport job;

    config.timeout_ms = 0;
    peer_export_begin(&job, vmafx_otlp_http_exporter_new(&config));
    peer_wait_for_requests(peer, 1);
    assert_int_equal(job.exporter->force_flush(job.exporter, in_ms(1)), VMAFX_EXPORT_TIMEOUT);
    assert_int_equal(job.exporter->shutdown(job.exporter, in_ms(1)), VMAFX_EXPORT_TIMEOUT);
    assert_int_equal(peer_export_end(&job), VMAFX_EXPORT_TIMEOUT);
    assert_int_equal(job.exporter->export_batch(job.exporter, &peer_batch, in_ms(LONG_MS)), VMAFX_EXPORT_FAILED);
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
    static const PeerStep busy[] = { SAY(503, "Retry-After: 15\r\n", ""), { 0 } };
    Told told = { 0 };
    VmafxOtlpCounts counts;
    Peer *peer = peer_open(peer_serve_http, busy);
    VmafxOtlpConfig config = config_for(peer->port, &told);
    PeerExport job;

    peer_export_begin(&job, vmafx_otlp_http_exporter_new(&config));
    peer_wait_for_requests(peer, 1);
    assert_int_equal(job.exporter->shutdown(job.exporter, in_ms(LONG_MS / 2)), VMAFX_EXPORT_OK);
    assert_int_equal(peer_export_end(&job), VMAFX_EXPORT_OK);
    vmafx_otlp_exporter_counts(job.exporter, &counts);
    assert_int_equal(counts.attempts, 2);
    assert_int_equal(counts.exported, 3);
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
    VmafxExporter *exporter = vmafx_otlp_http_exporter_new(&config);
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
    peer_export_begin(&job, vmafx_otlp_http_exporter_new(&config));
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
        cmocka_unit_test(at_the_end_nobody_is_attempted_once_for_all_that_is_left),
        cmocka_unit_test(the_end_turns_a_backoff_for_nobody_into_one_last_attempt),
        cmocka_unit_test(what_cannot_be_used_is_told_and_drops_everything),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

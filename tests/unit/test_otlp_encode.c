/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * OTLP bytes: small messages to the byte, whole ones against protoc and the official .proto files where both are there
 * (protoc in PATH, VMAFX_OTEL_PROTO naming the folder that holds opentelemetry/proto/…), and the pure rules around
 * them: answers, endpoints, retries.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base.h"
#include "otel/export/console.h"
#include "otel/export/endpoint.h"
#include "otel/export/otlp_encode.h"
#include "otel/export/otlp_response.h"
#include "otel/export/retry.h"

static const VmafxResource no_resource = { { NULL, 0 }, "" };
static const VmafxScope scope_a = { "a", "1", "", { NULL, 0 } }, scope_a2 = { "a", "1", "", { NULL, 0 } },
                        scope_b = { "b", "", "http://s", { NULL, 0 } };

static void bytes_are(const VmafxWire *wire, const void *expected, size_t len)
{
    assert_int_equal(wire->err, VMAFX_OK);
    assert_int_equal(wire->len, len);
    assert_memory_equal(wire->bytes, expected, len);
}

#define BYTES_ARE(wire, text) bytes_are(wire, text, sizeof(text) - 1)

/* ---- wire ---- */

static void numbers_take_the_fewest_bytes(void **state)
{
    VmafxWire wire;

    vmafx_wire_init(&wire, 1000);
    vmafx_wire_varint(&wire, 1, 0);
    vmafx_wire_varint(&wire, 1, 127);
    vmafx_wire_varint(&wire, 1, 128);
    vmafx_wire_varint(&wire, 16, (uint64_t)-1);
    BYTES_ARE(&wire, "\x08\x00\x08\x7f\x08\x80\x01\x80\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01");
    vmafx_wire_reset(&wire);
    vmafx_wire_sint32(&wire, 1, -1);
    vmafx_wire_sint32(&wire, 1, 1);
    vmafx_wire_sint32(&wire, 1, INT32_MIN);
    BYTES_ARE(&wire, "\x08\x01\x08\x02\x08\xff\xff\xff\xff\x0f");
    vmafx_wire_reset(&wire);
    vmafx_wire_fixed32(&wire, 2, 0x01020304);
    vmafx_wire_fixed64(&wire, 2, 5);
    vmafx_wire_double(&wire, 3, 1.0);
    BYTES_ARE(&wire, "\x15\x04\x03\x02\x01\x11\x05\0\0\0\0\0\0\0\x19\0\0\0\0\0\0\xf0\x3f");
    vmafx_wire_done(&wire);
}

static void a_message_of_any_length_is_patched_in_place(void **state)
{
    static const size_t lens[] = { 0, 1, 125, 126, 127, 128, 16381, 16384, 100000 };

    for (size_t i = 0; i < VMAFX_LEN(lens); i++) {
        VMAFX_AUTO(vmafx_free_p) char *text = malloc(lens[i] + 1);
        VmafxWire wire;
        VmafxWireReader outer, inner;
        VmafxWireField field;

        memset(text, 'x', lens[i]);
        vmafx_wire_init(&wire, 1 << 20);
        size_t a = vmafx_wire_begin(&wire, 3), b = vmafx_wire_begin(&wire, 4);
        vmafx_wire_text(&wire, 1, text, lens[i]);
        vmafx_wire_end(&wire, b);
        vmafx_wire_end(&wire, a);
        vmafx_wire_reader_init(&outer, wire.bytes, wire.len);
        assert_true(vmafx_wire_next(&outer, &field) && field.number == 3);
        assert_true(vmafx_wire_enter(&outer, &field, &inner));
        assert_true(vmafx_wire_next(&inner, &field) && field.number == 4);
        assert_true(vmafx_wire_enter(&inner, &field, &outer));
        assert_true(vmafx_wire_next(&outer, &field) && field.number == 1 && field.len == lens[i]);
        assert_false(vmafx_wire_next(&outer, &field));
        assert_false(outer.bad);
        vmafx_wire_done(&wire);
    }
}

static void the_limit_stops_a_writer_and_a_rewind_revives_it(void **state)
{
    VmafxWire wire;

    vmafx_wire_init(&wire, 8);
    vmafx_wire_bytes(&wire, 1, "abcd", 4);
    vmafx_wire_bytes(&wire, 1, "abcd", 4);
    assert_int_equal(wire.err, VMAFX_ERR_LIMIT);
    vmafx_wire_rewind(&wire, 6);
    vmafx_wire_varint(&wire, 1, 1);
    BYTES_ARE(&wire, "\x0a\x04"
                     "abcd\x08\x01");
    vmafx_wire_done(&wire);
}

static void text_that_is_not_utf8_is_mended(void **state)
{
    static const struct {
        const char *why, *in, *out;
    } cases[] = {
        { "fine as it is", "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x8e\xac", "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x8e\xac" },
        { "a lone continuation", "a\x80z", "a\xef\xbf\xbdz" },
        { "cut at the end", "a\xe2\x82", "a\xef\xbf\xbd" },
        { "overlong slash: two pieces", "\xc0\xaf", "\xef\xbf\xbd\xef\xbf\xbd" },
        { "a surrogate: three pieces", "\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
        { "beyond U+10FFFF", "\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
        { "cut inside, then text: one piece", "\xf0\x9f\x8ez", "\xef\xbf\xbdz" },
    };

    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        VmafxWire wire;

        vmafx_wire_init(&wire, 1000);
        vmafx_wire_text(&wire, 1, cases[i].in, strlen(cases[i].in));
        assert_int_equal(wire.len, strlen(cases[i].out) + 2);
        assert_memory_equal(wire.bytes + 2, cases[i].out, wire.len - 2);
        vmafx_wire_done(&wire);
    }
}

static void malformed_bytes_are_told_from_the_end(void **state)
{
    static const struct {
        const char *why, *bytes;
        size_t len;
        bool bad;
    } cases[] = {
        { "nothing", "", 0, false },
        { "an unknown group is skipped", "\x0b\x08\x01\x0c", 4, false },
        { "field number 0", "\x00\x01", 2, true },
        { "wire type 7", "\x0f", 1, true },
        { "a varint of 11 bytes", "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12, true },
        { "a varint over 64 bits", "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 11, true },
        { "a length beyond the end",
          "\x0a\x05"
          "ab",
          4, true },
        { "a huge length", "\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11, true },
        { "a cut fixed64", "\x09\x01", 2, true },
        { "a group that does not end", "\x0b\x08\x01", 3, true },
        { "a group that ends another", "\x0b\x14", 2, true },
    };

    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        VmafxWireReader reader;
        VmafxWireField field;

        vmafx_wire_reader_init(&reader, cases[i].bytes, cases[i].len);
        while (vmafx_wire_next(&reader, &field))
            ;
        assert_int_equal(reader.bad, cases[i].bad);
    }
}

/* ---- batches ---- */

static void a_span_is_these_bytes(void **state)
{
    VmafxSpanData span = { .trace_id = { 1 },
                           .span_id = { 2 },
                           .scope = &scope_a,
                           .name = "n",
                           .kind = 1,
                           .flags = 1,
                           .start_ns = 1,
                           .end_ns = 2,
                           .status = VMAFX_STATUS_ERROR,
                           .status_description = "x",
                           .attrs = VMAFX_ATTRS(VMAFX_ATTR_INT("i", -1)) };
    const VmafxSpanData *spans[] = { &span };
    VmafxBatch batch = { VMAFX_SIGNAL_TRACES, &no_resource, spans, NULL, NULL, 1 };
    VmafxOtlpEncoder encoder;

    vmafx_otlp_encoder_init(&encoder, &batch, 0, 0);
    assert_true(vmafx_otlp_encoder_next(&encoder));
    BYTES_ARE(&encoder.wire, "\x0a\x60\x0a\x00\x12\x5c\x0a\x06\x0a\x01"
                             "a\x12\x01"
                             "1\x12\x52"
                             "\x0a\x10\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x12\x08\x02\0\0\0\0\0\0\0"
                             "\x2a\x01n\x30\x01\x39\x01\0\0\0\0\0\0\0\x41\x02\0\0\0\0\0\0\0"
                             "\x4a\x10\x0a\x01i\x12\x0b\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"
                             "\x7a\x05\x12\x01x\x18\x02\x85\x01\x01\x01\0\0");
    assert_false(vmafx_otlp_encoder_next(&encoder));
    vmafx_otlp_encoder_done(&encoder);
}

static void items_are_grouped_by_scope_in_order_of_appearance(void **state)
{
    VmafxSpanData spans[4] = { { .scope = &scope_b, .name = "1" },
                               { .scope = &scope_a, .name = "2" },
                               { .scope = &scope_b, .name = "3" },
                               { .scope = &scope_a2, .name = "4" } };
    const VmafxSpanData *list[] = { &spans[0], &spans[1], NULL, &spans[2], &spans[3] };
    VmafxBatch batch = { VMAFX_SIGNAL_TRACES, NULL, list, NULL, NULL, 5 };
    VmafxOtlpEncoder encoder;

    vmafx_otlp_encoder_init(&encoder, &batch, 0, 0);
    assert_true(vmafx_otlp_encoder_next(&encoder));
    assert_int_equal(encoder.items, 4);
#define SPAN(n) "\x12\x09\x2a\x01" n "\x85\x01\x00\x01\0\0"
    BYTES_ARE(&encoder.wire, "\x0a\x49\x0a\x00"
                             "\x12\x25\x0a\x03\x0a\x01"
                             "b" SPAN("1") SPAN("3") "\x1a\x08http://s"
                                                     "\x12\x1e\x0a\x06\x0a\x01"
                                                     "a\x12\x01"
                                                     "1" SPAN("2") SPAN("4"));
    vmafx_otlp_encoder_done(&encoder);
}

static void a_batch_is_cut_at_the_target_and_nothing_is_lost(void **state)
{
    enum { N = 200, BIG = 7 };
    static char text[3000];
    VmafxSpanData spans[N];
    const VmafxSpanData *list[N];

    memset(text, 'x', sizeof text - 1);
    for (size_t i = 0; i < N; i++) {
        spans[i] = (VmafxSpanData){ .scope = i % 2 ? &scope_a : &scope_b, .name = text + sizeof text - 101 };
        list[i] = &spans[i];
    }
    for (int big = 0; big < 2; big++) {
        spans[BIG].name = big ? text : "";
        for (size_t max = 3000; max <= 5000; max += 1000) {
            VmafxBatch batch = { VMAFX_SIGNAL_TRACES, &no_resource, list, NULL, NULL, N };
            VmafxOtlpEncoder encoder;
            uint64_t items = 0, requests = 0, over = 0;

            vmafx_otlp_encoder_init(&encoder, &batch, 1000, max);
            while (vmafx_otlp_encoder_next(&encoder)) {
                items += encoder.items;
                requests++;
                over += encoder.wire.len > 1000;
                assert_true(encoder.wire.len <= max);
                assert_true(encoder.items == 1 || encoder.wire.len <= 1000);
            }
            assert_int_equal(items + encoder.dropped, N);
            assert_int_equal(encoder.dropped, big && max == 3000 ? 1 : 0);
            assert_int_equal(over, big && max > 3000 ? 1 : 0);
            assert_true(requests > 20 && requests < 60);
            vmafx_otlp_encoder_done(&encoder);
        }
    }
}

static void odd_batches_make_no_request_and_no_harm(void **state)
{
    VmafxValue deep[40] = { 0 };
    const VmafxSpanData *nothing[] = { NULL };
    VmafxMetricData pointless = { .scope = &scope_a, .name = "m" };
    const VmafxBatch batches[] = { { VMAFX_SIGNAL_TRACES, NULL, NULL, NULL, NULL, 3 },
                                   { VMAFX_SIGNAL_TRACES, NULL, nothing, NULL, NULL, 1 },
                                   { VMAFX_SIGNAL_METRICS, NULL, NULL, &pointless, NULL, 1 },
                                   { VMAFX_SIGNAL_LOGS, NULL, NULL, NULL, NULL, 0 } };
    VmafxOtlpEncoder encoder;

    for (size_t i = 0; i < VMAFX_LEN(batches); i++) {
        vmafx_otlp_encoder_init(&encoder, &batches[i], 0, 0);
        assert_false(vmafx_otlp_encoder_next(&encoder));
        vmafx_otlp_encoder_done(&encoder);
    }
    vmafx_otlp_encoder_init(&encoder, NULL, 0, 0);
    assert_false(vmafx_otlp_encoder_next(&encoder));
    vmafx_otlp_encoder_done(&encoder);
    for (size_t i = 0; i + 1 < VMAFX_LEN(deep); i++) {
        deep[i].type = VMAFX_VALUE_ARRAY;
        deep[i].array.items = &deep[i + 1];
        deep[i].array.n = 1;
    }
    VmafxWire wire;
    vmafx_wire_init(&wire, 1000);
    vmafx_otlp_put_value(&wire, 1, &deep[0]);
    assert_int_equal(wire.len, 2 + 4 * VMAFX_OTLP_VALUE_DEPTH); /* 16 arrays around an empty value */
    vmafx_wire_done(&wire);
}

/* ---- against protoc ---- */

typedef struct Whole {
    const char *message, *file; /* protoc's names */
    const VmafxBatch *batch;
    const char *text;
} Whole;

static const VmafxValue items[] = { { .type = VMAFX_VALUE_INT, .i = 1 }, { .type = VMAFX_VALUE_EMPTY } };
static const VmafxAttr pairs[] = { { "in", { .type = VMAFX_VALUE_BOOL, .b = false } } };
static const VmafxAttr all_values[] = {
    { "s", { .type = VMAFX_VALUE_STR, .str = { "text", 4 } } },
    { "e", { .type = VMAFX_VALUE_STR, .str = { "", 0 } } },
    { "b", { .type = VMAFX_VALUE_BOOL, .b = true } },
    { "i", { .type = VMAFX_VALUE_INT, .i = INT64_MIN } },
    { "d", { .type = VMAFX_VALUE_DOUBLE, .d = 0.25 } },
    { "x", { .type = VMAFX_VALUE_BYTES, .str = { "\1\2", 2 } } },
    { "a", { .type = VMAFX_VALUE_ARRAY, .array = { items, 2 } } },
    { "m", { .type = VMAFX_VALUE_MAP, .map = { pairs, 1 } } },
};
static const VmafxAttr one_attr[] = { { "k", { .type = VMAFX_VALUE_INT, .i = 0 } } };
static const VmafxResource whole_resource = { { one_attr, 1 }, "http://r" };
static const VmafxScope whole_scope = { "room", "1", "http://s", { one_attr, 1 } };

#define ONE_ATTR                                                                                                       \
    {                                                                                                                  \
        one_attr, 1                                                                                                    \
    }
#define TRACE_ID                                                                                                       \
    {                                                                                                                  \
        'T', 'T', 'T', 'T', 'T', 'T', 'T', 'T', 'T', 'T', 'T', 'T', 'T', 'T', 'T', 'T'                                 \
    }
#define SPAN_ID                                                                                                        \
    {                                                                                                                  \
        'S', 'S', 'S', 'S', 'S', 'S', 'S', 'S'                                                                         \
    }

static const VmafxEventData whole_events[] = { { 3, "event", ONE_ATTR, 4 } };
static const VmafxLinkData whole_links[] = { { TRACE_ID, SPAN_ID, 1, true, "l=1", ONE_ATTR, 5 } };
static const VmafxSpanData whole_span = { .trace_id = TRACE_ID,
                                          .span_id = SPAN_ID,
                                          .parent_span_id = { 'P', 'P', 'P', 'P', 'P', 'P', 'P', 'P' },
                                          .flags = 3,
                                          .parent_remote = true,
                                          .trace_state = "a=b",
                                          .scope = &whole_scope,
                                          .name = "work",
                                          .kind = VMAFX_SPAN_CONSUMER,
                                          .start_ns = 1,
                                          .end_ns = 2,
                                          .attrs = { all_values, 8 },
                                          .dropped_attrs = 6,
                                          .events = whole_events,
                                          .n_events = 1,
                                          .dropped_events = 7,
                                          .links = whole_links,
                                          .n_links = 1,
                                          .dropped_links = 8,
                                          .status = VMAFX_STATUS_ERROR,
                                          .status_description = "why" };
static const VmafxSpanData *const whole_spans[] = { &whole_span };
static const VmafxLogData whole_log = { .time_ns = 1,
                                        .observed_ns = 2,
                                        .severity = 17,
                                        .severity_text = "ERROR",
                                        .event_name = "ev",
                                        .body = { .type = VMAFX_VALUE_STR, .str = { "body", 4 } },
                                        .attrs = ONE_ATTR,
                                        .dropped_attrs = 3,
                                        .trace_id = TRACE_ID,
                                        .span_id = SPAN_ID,
                                        .flags = 1,
                                        .scope = &whole_scope };
static const VmafxLogData *const whole_logs[] = { &whole_log };

static const VmafxExemplar exemplars[] = { { 9, true, -2, 0, TRACE_ID, SPAN_ID, ONE_ATTR },
                                           { 9, false, 0, 0, { 0 }, { 0 }, { NULL, 0 } } };
static const double bounds[] = { 0.5, 2 };
static const uint64_t counts[] = { 1, 0, 300 };
static const VmafxPointData gauge[] = { { .time_ns = 2, .d = 0 }, { .time_ns = 2, .flags = 1 } };
static const VmafxPointData sum[] = { { .attrs = ONE_ATTR,
                                        .start_ns = 1,
                                        .time_ns = 2,
                                        .exemplars = exemplars,
                                        .n_exemplars = 2,
                                        .is_int = true,
                                        .i = -7 } };
static const VmafxPointData histogram[] = { { .attrs = ONE_ATTR,
                                              .start_ns = 1,
                                              .time_ns = 2,
                                              .exemplars = exemplars,
                                              .n_exemplars = 1,
                                              .count = 301,
                                              .has_sum = true,
                                              .sum = 0,
                                              .has_min_max = true,
                                              .min = 0,
                                              .max = 4,
                                              .bounds = bounds,
                                              .n_bounds = 2,
                                              .counts = counts,
                                              .flags = 0 } };
static const VmafxPointData exponential[] = { { .attrs = ONE_ATTR,
                                                .start_ns = 1,
                                                .time_ns = 2,
                                                .exemplars = exemplars + 1,
                                                .n_exemplars = 1,
                                                .count = 310,
                                                .has_sum = true,
                                                .sum = -1,
                                                .has_min_max = true,
                                                .min = -4,
                                                .max = 4,
                                                .scale = -3,
                                                .zero_count = 9,
                                                .zero_threshold = 1e-9,
                                                .positive = { -2, counts, 3 },
                                                .negative = { 5, counts, 1 } } };
static const VmafxMetricData whole_metrics[] = {
    { &whole_scope, "g", "about g", "s", VMAFX_METRIC_GAUGE, false, false, gauge, 2 },
    { &whole_scope, "c", "", "1", VMAFX_METRIC_SUM, true, true, sum, 1 },
    { &whole_scope, "h", "", "s", VMAFX_METRIC_HISTOGRAM, false, false, histogram, 1 },
    { &whole_scope, "e", "", "s", VMAFX_METRIC_EXP_HISTOGRAM, true, false, exponential, 1 },
};

static const VmafxBatch whole_batches[] = {
    { VMAFX_SIGNAL_TRACES, &whole_resource, whole_spans, NULL, NULL, 1 },
    { VMAFX_SIGNAL_METRICS, &whole_resource, NULL, whole_metrics, NULL, 4 },
    { VMAFX_SIGNAL_LOGS, &whole_resource, NULL, NULL, whole_logs, 1 },
};

/* What protoc makes of the bytes; blanks and line ends are left out. */
static void protoc_text(const char *proto, const Whole *whole, const VmafxWire *wire, char *ret, size_t size)
{
    char path[] = "/tmp/vmafx_otlp_XXXXXX";
    int fd = mkstemp(path);
    size_t len = 0;
    int c;

    assert_true(fd >= 0);
    assert_int_equal(write(fd, wire->bytes, wire->len), wire->len);
    close(fd);
    VMAFX_AUTO(vmafx_free_p)
    char *command =
        vmafx_sprintf("protoc -I '%s' --decode=%s '%s/%s' < %s", proto, whole->message, proto, whole->file, path);
    FILE *out = popen(command, "r");
    assert_non_null(out);
    while ((c = fgetc(out)) != EOF)
        if (c != ' ' && c != '\n' && len + 1 < size)
            ret[len++] = (char)c;
    ret[len] = 0;
    assert_int_equal(pclose(out), 0);
    unlink(path);
}

static void protoc_reads_every_field_as_it_was_meant(void **state)
{
    static const Whole wholes[] = {
#define COLLECTOR(x, X) "opentelemetry.proto.collector." x ".v1.Export" X "ServiceRequest"
#define FILE_OF(x)      "opentelemetry/proto/collector/" x "/v1/" x "_service.proto"
        { COLLECTOR("trace", "Trace"), FILE_OF("trace"), &whole_batches[0],
          "resource_spans{resource{attributes{key:\"k\"value{int_value:0}}}scope_spans{scope{"
          "name:\"room\"version:\"1\"attributes{key:\"k\"value{int_value:0}}}spans{"
          "trace_id:\"TTTTTTTTTTTTTTTT\"span_id:\"SSSSSSSS\"trace_state:\"a=b\"parent_span_id:\"PPPPPPPP\"name:"
          "\"work\"kind:SPAN_KIND_CONSUMERstart_time_unix_nano:1end_time_unix_nano:2attributes{"
          "key:\"s\"value{string_value:\"text\"}}attributes{key:\"e\"value{string_value:\"\"}}"
          "attributes{key:\"b\"value{bool_value:true}}attributes{key:\"i\"value{"
          "int_value:-9223372036854775808}}attributes{key:\"d\"value{double_value:0.25}}"
          "attributes{key:\"x\"value{bytes_value:\"\\001\\002\"}}attributes{key:\"a\"value{array_value{"
          "values{int_value:1}values{}}}}attributes{key:\"m\"value{kvlist_value{values{"
          "key:\"in\"value{bool_value:false}}}}}dropped_attributes_count:6events{"
          "time_unix_nano:3name:\"event\"attributes{key:\"k\"value{int_value:0}}"
          "dropped_attributes_count:4}dropped_events_count:7links{"
          "trace_id:\"TTTTTTTTTTTTTTTT\"span_id:\"SSSSSSSS\"trace_state:\"l=1\"attributes{"
          "key:\"k\"value{int_value:0}}dropped_attributes_count:5flags:769}"
          "dropped_links_count:8status{message:\"why\"code:STATUS_CODE_ERROR}flags:771}"
          "schema_url:\"http://s\"}schema_url:\"http://r\"}" },
        { COLLECTOR("metrics", "Metrics"), FILE_OF("metrics"), &whole_batches[1],
          "resource_metrics{resource{attributes{key:\"k\"value{int_value:0}}}scope_metrics{scope{"
          "name:\"room\"version:\"1\"attributes{key:\"k\"value{int_value:0}}}metrics{"
          "name:\"g\"description:\"aboutg\"unit:\"s\"gauge{data_points{time_unix_nano:2as_double:0}"
          "data_points{time_unix_nano:2flags:1}}}metrics{name:\"c\"unit:\"1\"sum{data_points{"
          "start_time_unix_nano:1time_unix_nano:2exemplars{"
          "time_unix_nano:9span_id:\"SSSSSSSS\"trace_id:\"TTTTTTTTTTTTTTTT\"as_int:-2filtered_attributes{"
          "key:\"k\"value{int_value:0}}}exemplars{time_unix_nano:9as_double:0}as_int:-7attributes{"
          "key:\"k\"value{int_value:0}}}"
          "aggregation_temporality:AGGREGATION_TEMPORALITY_DELTAis_monotonic:true}}metrics{"
          "name:\"h\"unit:\"s\"histogram{data_points{"
          "start_time_unix_nano:1time_unix_nano:2count:301sum:0bucket_counts:1bucket_counts:0bucket_counts:300explicit_"
          "bounds:0.5explicit_bounds:2exemplars{"
          "time_unix_nano:9span_id:\"SSSSSSSS\"trace_id:\"TTTTTTTTTTTTTTTT\"as_int:-2filtered_attributes{"
          "key:\"k\"value{int_value:0}}}attributes{key:\"k\"value{int_value:0}}min:0max:4}"
          "aggregation_temporality:AGGREGATION_TEMPORALITY_CUMULATIVE}}metrics{"
          "name:\"e\"unit:\"s\"exponential_histogram{data_points{attributes{key:\"k\"value{"
          "int_value:0}}"
          "start_time_unix_nano:1time_unix_nano:2count:310sum:-1scale:-3zero_count:9positive{"
          "offset:-2bucket_counts:1bucket_counts:0bucket_counts:300}negative{"
          "offset:5bucket_counts:1}exemplars{time_unix_nano:9as_double:0}"
          "min:-4max:4zero_threshold:1e-09}"
          "aggregation_temporality:AGGREGATION_TEMPORALITY_DELTA}}schema_url:\"http://s\"}"
          "schema_url:\"http://r\"}" },
        { COLLECTOR("logs", "Logs"), FILE_OF("logs"), &whole_batches[2],
          "resource_logs{resource{attributes{key:\"k\"value{int_value:0}}}scope_logs{scope{"
          "name:\"room\"version:\"1\"attributes{key:\"k\"value{int_value:0}}}log_records{"
          "time_unix_nano:1severity_number:SEVERITY_NUMBER_ERRORseverity_text:\"ERROR\"body{"
          "string_value:\"body\"}attributes{key:\"k\"value{int_value:0}}"
          "dropped_attributes_count:3flags:1trace_id:\"TTTTTTTTTTTTTTTT\"span_id:\"SSSSSSSS\"observed_time_unix_nano:"
          "2event_name:\"ev\"}"
          "schema_url:\"http://s\"}schema_url:\"http://r\"}" },
    };
    const char *proto = getenv("VMAFX_OTEL_PROTO");

    if (!proto || system("protoc --version > /dev/null 2>&1") != 0) {
        print_message("skipped: VMAFX_OTEL_PROTO is not set or there is no protoc\n");
        skip();
    }
    for (size_t i = 0; i < VMAFX_LEN(wholes); i++) {
        static char text[16384];
        VmafxOtlpEncoder encoder;

        vmafx_otlp_encoder_init(&encoder, wholes[i].batch, 0, 0);
        assert_true(vmafx_otlp_encoder_next(&encoder));
        protoc_text(proto, &wholes[i], &encoder.wire, text, sizeof text);
        if (strcmp(text, wholes[i].text) != 0)
            puts(text);
        assert_string_equal(text, wholes[i].text);
        vmafx_otlp_encoder_done(&encoder);
    }
}

/* ---- answers, endpoints, retries ---- */

static void answers_are_read_as_far_as_they_can_be(void **state)
{
    VmafxOtlpPartial partial;
    VmafxRpcStatus status;

    assert_int_equal(vmafx_otlp_partial_parse("", 0, &partial), VMAFX_OK);
    assert_false(partial.present);
    assert_int_equal(vmafx_otlp_partial_parse("\x0a\x00", 2, &partial), VMAFX_OK);
    assert_false(partial.present);
    assert_int_equal(vmafx_otlp_partial_parse("\x0a\x0a\x08\x05\x12\x06"
                                              "a\n\x1b[\xff"
                                              "b",
                                              12, &partial),
                     VMAFX_OK);
    assert_int_equal(partial.rejected, 5);
    assert_string_equal(partial.message, "a??[?b");
    assert_int_equal(vmafx_otlp_partial_parse("\x0a\x0b\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 13, &partial),
                     VMAFX_OK);
    assert_int_equal(partial.rejected, 0); /* −1 */
    assert_int_equal(vmafx_otlp_partial_parse("\x0a\x05\x08", 3, &partial), VMAFX_ERR_TRUNCATED);
    VmafxWire wire;
    vmafx_wire_init(&wire, 1000);
    vmafx_wire_varint(&wire, 1, 8);
    size_t any = vmafx_wire_begin(&wire, 3);
    vmafx_wire_text(&wire, 1, "type.googleapis.com/google.rpc.RetryInfo", 40);
    size_t info = vmafx_wire_begin(&wire, 2), delay = vmafx_wire_begin(&wire, 1);
    vmafx_wire_varint(&wire, 1, 2);
    vmafx_wire_varint(&wire, 2, 5);
    vmafx_wire_end(&wire, delay);
    vmafx_wire_end(&wire, info);
    vmafx_wire_end(&wire, any);
    assert_int_equal(vmafx_rpc_status_parse(wire.bytes, wire.len, &status), VMAFX_OK);
    assert_int_equal(status.code, 8);
    assert_true(status.has_retry_delay);
    assert_int_equal(status.retry_delay_ns, 2000000005);
    vmafx_wire_done(&wire);
}

static void an_endpoint_becomes_what_the_table_says(void **state)
{
    static const struct {
        const char *text;
        VmafxOtlpProtocol protocol;
        bool own;
        VmafxInsecure insecure;
        const char *target; /* NULL: refused */
        bool tls, warns;
    } cases[] = {
        { "http://h:4318", VMAFX_OTLP_HTTP, false, 0, "http://h:4318/v1/traces", false, false },
        { "http://h:4318/", VMAFX_OTLP_HTTP, false, 0, "http://h:4318/v1/traces", false, false },
        { "http://h:4318/x/", VMAFX_OTLP_HTTP, false, 0, "http://h:4318/x/v1/traces", false, false },
        { "http://h:4318/x", VMAFX_OTLP_HTTP, false, 0, "http://h:4318/x/v1/traces", false, false },
        { "http://h:4318", VMAFX_OTLP_HTTP, true, 0, "http://h:4318/", false, false },
        { "http://h:4318/x?k=v#f", VMAFX_OTLP_HTTP, true, 0, "http://h:4318/x?k=v", false, false },
        { "http://h/x?k=v", VMAFX_OTLP_HTTP, false, 0, "http://h:80/x/v1/traces?k=v", false, false },
        { "HTTPS://h", VMAFX_OTLP_HTTP, false, 0, "https://h:443/v1/traces", true, false },
        { "https://[::1]:9", VMAFX_OTLP_HTTP, true, 0, "https://[::1]:9/", true, false },
        { "h:4318", VMAFX_OTLP_HTTP, false, 0, "http://h:4318/v1/traces", false, true },
        { "h", VMAFX_OTLP_HTTP, false, 0, "http://h:4318/v1/traces", false, true },
        { "http://h:4317", VMAFX_OTLP_GRPC, false, 0, "dns:///h:4317", false, false },
        { "http://h:4317", VMAFX_OTLP_GRPC, false, VMAFX_INSECURE_FALSE, "dns:///h:4317", false, false },
        { "https://h:4317", VMAFX_OTLP_GRPC, false, VMAFX_INSECURE_TRUE, "dns:///h:4317", true, false },
        { "https://h/path", VMAFX_OTLP_GRPC, false, 0, "dns:///h:443", true, true },
        { "http://[::1]:4317/", VMAFX_OTLP_GRPC, false, 0, "ipv6:[::1]:4317", false, false },
        { "h:4317", VMAFX_OTLP_GRPC, false, 0, "dns:///h:4317", false, true },
        { "h:4317", VMAFX_OTLP_GRPC, false, VMAFX_INSECURE_TRUE, "dns:///h:4317", false, true },
        { "h:4317", VMAFX_OTLP_GRPC, false, VMAFX_INSECURE_FALSE, "dns:///h:4317", true, false },
        { "unix:/run/x.sock", VMAFX_OTLP_GRPC, false, 0, "unix:/run/x.sock", false, false },
        { "unix:/run/x.sock", VMAFX_OTLP_HTTP, false, 0, NULL, false, false },
        { "", VMAFX_OTLP_HTTP, false, 0, NULL, false, false },
        { "http://", VMAFX_OTLP_HTTP, false, 0, NULL, false, false },
        { "http://u:p@h", VMAFX_OTLP_HTTP, false, 0, NULL, false, false },
        { "http://h:0", VMAFX_OTLP_HTTP, false, 0, NULL, false, false },
        { "http://h:65536", VMAFX_OTLP_HTTP, false, 0, NULL, false, false },
        { "http://h:4x", VMAFX_OTLP_HTTP, false, 0, NULL, false, false },
        { "http://a b", VMAFX_OTLP_HTTP, false, 0, NULL, false, false },
        { "http://h\r\n", VMAFX_OTLP_HTTP, false, 0, NULL, false, false },
        { "http://[::g]:1", VMAFX_OTLP_HTTP, false, 0, NULL, false, false },
        { "ftp://h", VMAFX_OTLP_HTTP, false, 0, NULL, false, false },
    };

    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        VmafxEndpoint endpoint;
        VmafxErr err = vmafx_endpoint_parse(cases[i].text, strlen(cases[i].text), cases[i].protocol,
                                            VMAFX_SIGNAL_TRACES, cases[i].own, cases[i].insecure, &endpoint, NULL);

        if (!cases[i].target != (err == VMAFX_ERR_SYNTAX))
            print_message("%s\n", cases[i].text);
        assert_int_equal(err, cases[i].target ? VMAFX_OK : VMAFX_ERR_SYNTAX);
        if (!cases[i].target)
            continue;
        assert_string_equal(endpoint.target, cases[i].target);
        assert_int_equal(endpoint.tls, cases[i].tls);
        assert_int_equal(endpoint.warning != NULL, cases[i].warns);
    }
}

static void retry_after_is_seconds_or_a_date(void **state)
{
    static const struct {
        const char *text;
        bool ok;
        uint64_t s;
    } cases[] = {
        { "0", true, 0 },
        { " 120 ", true, 120 },
        { "99999999999999999999", true, 1000000000 },
        { "Sun, 06 Nov 1994 08:49:37 GMT", true, 7 },
        { "Sun, 06 Nov 1994 08:49:00 GMT", true, 0 },
        { "Sun, 06 Foo 1994 08:49:37 GMT", false, 0 },
        { "-1", false, 0 },
        { "1.5", false, 0 },
        { "", false, 0 },
        { "soon", false, 0 },
    };

    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        uint64_t delay = 0;

        assert_int_equal(
            vmafx_retry_after(cases[i].text, strlen(cases[i].text), UINT64_C(784111770) * 1000000000, &delay),
            cases[i].ok);
        assert_int_equal(delay, cases[i].s * 1000000000);
    }
}

static void codes_are_worth_another_attempt_as_otlp_says(void **state)
{
    for (int code = 0; code < 16; code++)
        assert_int_equal(vmafx_retry_grpc(code, false),
                         code == 1 || code == 4 || code == 10 || code == 11 || code == 14 || code == 15);
    assert_true(vmafx_retry_grpc(8, true));
    assert_false(vmafx_retry_grpc(16, true));
    for (int status = 100; status < 600; status++)
        assert_int_equal(vmafx_retry_http(status), status == 429 || status == 502 || status == 503 || status == 504);
}

static void backoff_grows_to_its_cap_and_keeps_to_the_deadline(void **state)
{
    static const uint64_t expected_ms[] = { 1000, 1500, 2250, 3375, 5000, 5000 };
    VmafxRetryPolicy policy = VMAFX_RETRY_POLICY_DEFAULT;
    uint64_t random = 7, wait;
    VmafxBackoff backoff;

    policy.attempts_max = 7;
    vmafx_backoff_init(&backoff, &policy, &random);
    for (size_t i = 0; i < VMAFX_LEN(expected_ms); i++) {
        assert_true(vmafx_backoff_next(&backoff, 0, 0, UINT64_MAX, &wait));
        assert_in_range(wait, expected_ms[i] * 800000 - 100, expected_ms[i] * 1200000 + 100);
    }
    assert_false(vmafx_backoff_next(&backoff, 0, 0, UINT64_MAX, &wait)); /* the attempts are used up */
    vmafx_backoff_init(&backoff, &policy, &random);
    assert_false(vmafx_backoff_next(&backoff, 0, 100, 100 + 799999999, &wait));
    vmafx_backoff_init(&backoff, &policy, &random);
    assert_false(vmafx_backoff_next(&backoff, 5000000000, 0, 5000000000, &wait));
    vmafx_backoff_init(&backoff, &policy, &random);
    assert_true(vmafx_backoff_next(&backoff, 8000000000, 0, UINT64_MAX, &wait));
    assert_int_equal(wait, 8000000000);
    assert_true(vmafx_backoff_next(&backoff, 0, 0, UINT64_MAX, &wait));
    assert_in_range(wait, 6399999999, 9600000001); /* from the server's delay on, and not below it by much */
}

static void the_console_writes_a_line_an_item(void **state)
{
    VMAFX_AUTO(vmafx_free_p) char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    VmafxSpanData span = { .scope = &scope_a,
                           .name = "n\x1b[31m",
                           .kind = 2,
                           .start_ns = 1000000000,
                           .end_ns = 1500000000,
                           .attrs = VMAFX_ATTRS(VMAFX_ATTR_STR("k", "v"), VMAFX_ATTR_BOOL("b", true)) };
    VmafxLogData log = { .scope = &scope_b, .severity = 13, .body = vmafx_value_str("hello") };
    VmafxPointData points[2] = { { .is_int = true, .i = 3 }, { .d = 0.5 } };
    VmafxMetricData metric = {
        .scope = &scope_a, .name = "m", .unit = "s", .type = VMAFX_METRIC_SUM, .points = points, .n_points = 2
    };
    const VmafxSpanData *spans[] = { &span };
    const VmafxLogData *logs[] = { &log };
    const VmafxBatch batches[] = { { VMAFX_SIGNAL_TRACES, NULL, spans, NULL, NULL, 1 },
                                   { VMAFX_SIGNAL_METRICS, NULL, NULL, &metric, NULL, 1 },
                                   { VMAFX_SIGNAL_LOGS, NULL, NULL, NULL, logs, 1 } };
    VmafxExporter *exporter = vmafx_console_exporter_new(VMAFX_SIGNAL_TRACES, out);

    for (size_t i = 0; i < VMAFX_LEN(batches); i++)
        assert_int_equal(exporter->export_batch(exporter, &batches[i], 0), VMAFX_EXPORT_OK);
    exporter->free(exporter);
    fclose(out);
    assert_string_equal(text, "span 1970-01-01T00:00:01.000000Z a \"n?[31m\" server 0.500000s "
                              "00000000000000000000000000000000/0000000000000000 k=\"v\" b=true\n"
                              "metric 1970-01-01T00:00:00.000000Z a m 3 s\n"
                              "metric 1970-01-01T00:00:00.000000Z a m 0.5 s\n"
                              "log 1970-01-01T00:00:00.000000Z warn b \"hello\"\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_take_the_fewest_bytes),
        cmocka_unit_test(a_message_of_any_length_is_patched_in_place),
        cmocka_unit_test(the_limit_stops_a_writer_and_a_rewind_revives_it),
        cmocka_unit_test(text_that_is_not_utf8_is_mended),
        cmocka_unit_test(malformed_bytes_are_told_from_the_end),
        cmocka_unit_test(a_span_is_these_bytes),
        cmocka_unit_test(items_are_grouped_by_scope_in_order_of_appearance),
        cmocka_unit_test(a_batch_is_cut_at_the_target_and_nothing_is_lost),
        cmocka_unit_test(odd_batches_make_no_request_and_no_harm),
        cmocka_unit_test(protoc_reads_every_field_as_it_was_meant),
        cmocka_unit_test(answers_are_read_as_far_as_they_can_be),
        cmocka_unit_test(an_endpoint_becomes_what_the_table_says),
        cmocka_unit_test(retry_after_is_seconds_or_a_date),
        cmocka_unit_test(codes_are_worth_another_attempt_as_otlp_says),
        cmocka_unit_test(backoff_grows_to_its_cap_and_keeps_to_the_deadline),
        cmocka_unit_test(the_console_writes_a_line_an_item),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

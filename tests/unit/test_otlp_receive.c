/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The receiving end of OTLP: what comes in, what is kept of it, what goes when there is no room. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <zlib.h>

#include "base/base.h"
#include "otel/export/otlp_response.h"
#include "otel/receive/receiver.h"

/* ---- requests ---- */

static void put_id(VmafxWire *wire, uint32_t field, size_t len, uint64_t n)
{
    uint8_t id[16] = { 0 };

    for (size_t i = 0; i < 8; i++)
        id[len - 1 - i] = (uint8_t)(n >> (8 * i));
    vmafx_wire_bytes(wire, field, id, len);
}

static void put_text_attribute(VmafxWire *wire, uint32_t field, const char *key, const char *value)
{
    size_t pair = vmafx_wire_begin(wire, field);
    vmafx_wire_bytes(wire, 1, key, strlen(key));
    size_t any = vmafx_wire_begin(wire, 2);
    vmafx_wire_bytes(wire, 1, value, strlen(value));
    vmafx_wire_end(wire, any);
    vmafx_wire_end(wire, pair);
}

static void put_span(VmafxWire *wire, uint64_t trace, uint64_t id, uint64_t parent, const char *name, int n_attributes)
{
    size_t span = vmafx_wire_begin(wire, 2);

    put_id(wire, 1, 16, trace);
    put_id(wire, 2, 8, id);
    if (parent)
        put_id(wire, 4, 8, parent);
    vmafx_wire_bytes(wire, 5, name, strlen(name));
    vmafx_wire_varint(wire, 6, 1);
    vmafx_wire_fixed64(wire, 7, 1000);
    vmafx_wire_fixed64(wire, 8, 3000);
    for (int i = 0; i < n_attributes; i++) {
        char key[16];
        snprintf(key, sizeof key, "key.%d", i);
        put_text_attribute(wire, 9, key, "value");
    }
    vmafx_wire_end(wire, span);
}

/* Opens a request of one resource and scope; marks are closed by end_request. */
static void begin_request(VmafxWire *wire, size_t marks[2])
{
    vmafx_wire_init(wire, 16 << 20);
    marks[0] = vmafx_wire_begin(wire, 1);
    size_t resource = vmafx_wire_begin(wire, 1);
    put_text_attribute(wire, 1, "service.name", "vmafx-node");
    vmafx_wire_end(wire, resource);
    marks[1] = vmafx_wire_begin(wire, 2);
}

static void end_request(VmafxWire *wire, const size_t marks[2])
{
    vmafx_wire_end(wire, marks[1]);
    vmafx_wire_end(wire, marks[0]);
    assert_int_equal(wire->err, VMAFX_OK);
}

static VmafxOtlpPartial exported(VmafxReceiver *receiver, VmafxWire *wire)
{
    VMAFX_AUTO(vmafx_free_p) uint8_t *answer = NULL;
    VmafxErrInfo info = { 0 };
    VmafxOtlpPartial partial;
    size_t len;
    VmafxErr err = vmafx_receiver_export(receiver, VMAFX_RECEIVER_TRACES, wire->bytes, wire->len, &answer, &len, &info);

    if (err)
        fail_msg("%s", info.message);
    assert_int_equal(vmafx_otlp_partial_parse(answer, len, &partial), VMAFX_OK);
    vmafx_wire_done(wire);
    return partial;
}

static VmafxOtlpPartial export_one(VmafxReceiver *receiver, uint64_t trace, uint64_t id, const char *name,
                                   int n_attributes)
{
    VmafxWire wire;
    size_t marks[2];

    begin_request(&wire, marks);
    put_span(&wire, trace, id, 0, name, n_attributes);
    end_request(&wire, marks);
    return exported(receiver, &wire);
}

static VmafxErr get(VmafxReceiver *receiver, uint8_t trace, VmafxKeptSpans *ret)
{
    uint8_t id[16] = { 0 };

    id[15] = trace;
    return vmafx_receiver_trace(receiver, id, 0, SIZE_MAX, ret);
}

/* ---- what is kept ---- */

static void a_span_comes_back_as_it_was_sent(void **state)
{
    VMAFX_AUTO(vmafx_receiver_free) VmafxReceiver *receiver = vmafx_receiver_new(NULL);
    VMAFX_AUTO(vmafx_kept_spans_done) VmafxKeptSpans kept = { 0 };
    VmafxWire wire;
    size_t marks[2];

    (void)state;
    begin_request(&wire, marks);
    put_span(&wire, 7, 1, 0, "root", 0);
    put_span(&wire, 7, 2, 1, "child", 2);
    end_request(&wire, marks);
    VmafxOtlpPartial partial = exported(receiver, &wire);
    assert_false(partial.present);

    assert_int_equal(get(receiver, 7, &kept), VMAFX_OK);
    assert_int_equal(kept.n, 2);
    assert_int_equal(kept.total, 2);
    const VmafxKeptSpan *child = kept.spans[1];
    assert_string_equal(child->name, "child");
    assert_string_equal(child->service, "vmafx-node");
    assert_int_equal(child->span_id[7], 2);
    assert_int_equal(child->parent_id[7], 1);
    assert_int_equal(child->start_ns, 1000);
    assert_int_equal(child->end_ns, 3000);
    assert_int_equal(child->kind, 1);
    assert_int_equal(child->n_attributes, 2);
    assert_string_equal(child->attributes[1].key, "key.1");
    assert_string_equal(child->attributes[1].value, "value");
}

static void a_resource_counts_wherever_it_stands_among_its_scopes(void **state)
{
    VMAFX_AUTO(vmafx_receiver_free) VmafxReceiver *receiver = vmafx_receiver_new(NULL);
    VMAFX_AUTO(vmafx_kept_spans_done) VmafxKeptSpans kept = { 0 };
    VmafxWire wire;

    (void)state;
    vmafx_wire_init(&wire, 4096);
    size_t all = vmafx_wire_begin(&wire, 1);
    size_t scope = vmafx_wire_begin(&wire, 2);
    put_span(&wire, 1, 1, 0, "early", 0);
    vmafx_wire_end(&wire, scope);
    size_t resource = vmafx_wire_begin(&wire, 1);
    put_text_attribute(&wire, 1, "service.name", "late");
    vmafx_wire_end(&wire, resource);
    vmafx_wire_end(&wire, all);
    exported(receiver, &wire);
    assert_int_equal(get(receiver, 1, &kept), VMAFX_OK);
    assert_string_equal(kept.spans[0]->service, "late");
}

static void a_sender_that_tries_again_leaves_one_span(void **state)
{
    VMAFX_AUTO(vmafx_receiver_free) VmafxReceiver *receiver = vmafx_receiver_new(NULL);
    VMAFX_AUTO(vmafx_kept_spans_done) VmafxKeptSpans kept = { 0 };

    (void)state;
    for (int i = 0; i < 3; i++)
        assert_false(export_one(receiver, 1, 5, "once", 0).present);
    assert_int_equal(get(receiver, 1, &kept), VMAFX_OK);
    assert_int_equal(kept.n, 1);
}

static void spans_with_ids_that_are_not_valid_are_counted_and_the_rest_kept(void **state)
{
    VMAFX_AUTO(vmafx_receiver_free) VmafxReceiver *receiver = vmafx_receiver_new(NULL);
    VMAFX_AUTO(vmafx_kept_spans_done) VmafxKeptSpans kept = { 0 };
    VmafxWire wire;
    size_t marks[2];

    (void)state;
    begin_request(&wire, marks);
    put_span(&wire, 0, 1, 0, "trace id is zero", 0);
    put_span(&wire, 1, 0, 0, "span id is zero", 0);
    size_t span = vmafx_wire_begin(&wire, 2);
    put_id(&wire, 1, 8, 1); /* too short */
    put_id(&wire, 2, 8, 1);
    vmafx_wire_end(&wire, span);
    put_span(&wire, 1, 1, 0, "good", 0);
    end_request(&wire, marks);
    VmafxOtlpPartial partial = exported(receiver, &wire);
    assert_int_equal(partial.rejected, 3);
    assert_non_null(strstr(partial.message, "ids that are not valid"));
    assert_int_equal(get(receiver, 1, &kept), VMAFX_OK);
    assert_int_equal(kept.n, 1);
}

static void values_of_any_kind_become_text(void **state)
{
    static const uint8_t any[] = { 0x0a, 1, 'x' };
    static const uint8_t text_in_list[] = { 0x2a, 7, 0x0a, 2, 0x18, 1, 0x0a, 1, 0 }; /* [1, malformed] */
    static const uint8_t list[] = { 0x2a, 9, 0x0a, 2, 0x18, 1, 0x0a, 3, 0x0a, 1, 'a' };
    static const uint8_t map[] = { 0x32, 9, 0x0a, 7, 0x0a, 1, 'k', 0x12, 2, 0x10, 1 };
    static const uint8_t keyless[] = { 0x32, 2, 0x0a, 0 };
    static const uint8_t minus[] = { 0x18, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1 };
    static const uint8_t half[] = { 0x21, 0, 0, 0, 0, 0, 0, 0xe0, 0x3f };
    static const uint8_t raw[] = { 0x3a, 2, 0xde, 0xad };
    static const uint8_t escape[] = { 0x0a, 4, 0x1b, '[', '2', 'J' };
    static const uint8_t twice[] = { 0x0a, 1, 'x', 0x10, 1 };
    static const uint8_t wrong[] = { 0x08, 1 };
    static const struct {
        const char *why;
        const uint8_t *bytes;
        size_t len;
        const char *text; /* NULL: malformed */
    } cases[] = {
        { "a string", any, sizeof any, "x" },
        { "an empty value", any, 0, "" },
        { "a list", list, sizeof list, "[1, \"a\"]" },
        { "a map", map, sizeof map, "{\"k\": true}" },
        { "a pair without key and value", keyless, sizeof keyless, "{\"\": }" },
        { "a negative integer", minus, sizeof minus, "-1" },
        { "a double", half, sizeof half, "0.5" },
        { "bytes", raw, sizeof raw, "dead" },
        { "a terminal's escape sequence", escape, sizeof escape, "?[2J" },
        { "a oneof that came twice counts as the last", twice, sizeof twice, "true" },
        { "a string that is a number on the wire", wrong, sizeof wrong, NULL },
        { "a list with a malformed member", text_in_list, sizeof text_in_list, NULL },
    };

    (void)state;
    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        VmafxOtlpAttribute attribute = { .value = { .bytes = cases[i].bytes, .len = cases[i].len } };
        char text[64];
        bool good = vmafx_otlp_attribute_text(&attribute, text, sizeof text);
        if (good != (cases[i].text != NULL) || (good && strcmp(text, cases[i].text)))
            fail_msg("%s: %d '%s'", cases[i].why, good, text);
    }
}

static void texts_are_cut_at_a_character_and_attributes_beyond_64_are_counted(void **state)
{
    VMAFX_AUTO(vmafx_receiver_free) VmafxReceiver *receiver = vmafx_receiver_new(NULL);
    VMAFX_AUTO(vmafx_kept_spans_done) VmafxKeptSpans kept = { 0 };
    char name[1001] = "";

    (void)state;
    for (int i = 0; i < 500; i++)
        memcpy(name + 2 * i, "\xc3\xa9", 2);
    export_one(receiver, 1, 1, name, 70);
    assert_int_equal(get(receiver, 1, &kept), VMAFX_OK);
    assert_int_equal(strlen(kept.spans[0]->name), 254); /* 255 would cut one in half */
    assert_int_equal(kept.spans[0]->n_attributes, VMAFX_KEPT_ATTRIBUTES_MAX);
    assert_int_equal(kept.spans[0]->dropped_attributes, 6);
}

/* An event with attributes, or a link. */
static void put_event(VmafxWire *wire, const char *name, uint64_t time_ns, int n_attributes)
{
    size_t event = vmafx_wire_begin(wire, 11);

    vmafx_wire_fixed64(wire, 1, time_ns);
    vmafx_wire_bytes(wire, 2, name, strlen(name));
    for (int i = 0; i < n_attributes; i++) {
        char value[600];
        memset(value, 'a' + i, sizeof value - 1);
        value[sizeof value - 1] = 0;
        put_text_attribute(wire, 3, "exception.message", value);
    }
    vmafx_wire_end(wire, event);
}

static void put_link(VmafxWire *wire, uint64_t trace, uint64_t id)
{
    size_t link = vmafx_wire_begin(wire, 13);

    put_id(wire, 1, 16, trace);
    put_id(wire, 2, 8, id);
    vmafx_wire_end(wire, link);
}

static void events_and_links_are_kept_within_limits_and_the_rest_is_counted(void **state)
{
    VMAFX_AUTO(vmafx_receiver_free) VmafxReceiver *receiver = vmafx_receiver_new(NULL);
    VMAFX_AUTO(vmafx_kept_spans_done) VmafxKeptSpans kept = { 0 };
    VmafxWire wire;
    size_t marks[2];

    (void)state;
    begin_request(&wire, marks);
    size_t span = vmafx_wire_begin(&wire, 2);
    put_id(&wire, 1, 16, 1);
    put_id(&wire, 2, 8, 1);
    put_text_attribute(&wire, 9, "of the span", "yes");
    vmafx_wire_varint(&wire, 12, 5); /* the sender dropped some too */
    for (int i = 0; i < 20; i++)
        put_event(&wire, i ? "later" : "exception", 1000 + (uint64_t)i, i ? 1 : 10);
    put_link(&wire, 0, 7); /* no trace has that id */
    for (uint64_t i = 1; i <= 20; i++)
        put_link(&wire, 9, i);
    vmafx_wire_end(&wire, span);
    end_request(&wire, marks);
    assert_false(exported(receiver, &wire).present);
    assert_int_equal(get(receiver, 1, &kept), VMAFX_OK);

    const VmafxKeptSpan *got = kept.spans[0];
    assert_int_equal(got->n_attributes, 1);
    assert_string_equal(got->attributes[0].key, "of the span");
    assert_int_equal(got->n_events, VMAFX_KEPT_EVENTS_MAX);
    assert_int_equal(got->dropped_events, 5 + 20 - VMAFX_KEPT_EVENTS_MAX);
    assert_string_equal(got->events[0].name, "exception");
    assert_int_equal(got->events[0].n_attributes, VMAFX_KEPT_EVENT_ATTRIBUTES_MAX);
    assert_int_equal(strlen(got->events[0].attributes[7].value), VMAFX_KEPT_VALUE_SIZE - 1);
    assert_int_equal(got->events[0].attributes[7].value[0], 'h');
    assert_int_equal(got->events[15].time_ns, 1015);
    assert_int_equal(got->events[15].n_attributes, 1);
    assert_int_equal(got->events[15].attributes[0].value[0], 'a');
    assert_int_equal(got->n_links, VMAFX_KEPT_LINKS_MAX);
    assert_int_equal(got->dropped_links, 21 - VMAFX_KEPT_LINKS_MAX);
    assert_int_equal(got->links[0].span_id[7], 1);
    assert_int_equal(got->links[15].span_id[7], 16);
    assert_int_equal(got->links[15].trace_id[15], 9);
}

static void a_malformed_event_or_link_refuses_the_request(void **state)
{
    static const struct {
        const char *why;
        uint32_t field;
        uint8_t bytes[8];
        size_t len;
    } cases[] = {
        { "an event that is cut", 11, { 0x12, 0x05, 'a' }, 3 },
        { "an event with a malformed attribute", 11, { 0x1a, 0x04, 0x12, 0x02, 0x08, 0x01 }, 6 },
        { "a link that is cut", 13, { 0x0a, 0x10, 0x01 }, 3 },
        { "a link with a malformed attribute", 13, { 0x22, 0x04, 0x12, 0x02, 0x08, 0x01 }, 6 },
    };
    VMAFX_AUTO(vmafx_receiver_free) VmafxReceiver *receiver = vmafx_receiver_new(NULL);

    (void)state;
    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        uint8_t *answer = NULL;
        VmafxWire wire;
        size_t marks[2], len;

        begin_request(&wire, marks);
        size_t span = vmafx_wire_begin(&wire, 2);
        put_id(&wire, 1, 16, 1);
        put_id(&wire, 2, 8, 1);
        vmafx_wire_bytes(&wire, cases[i].field, cases[i].bytes, cases[i].len);
        vmafx_wire_end(&wire, span);
        end_request(&wire, marks);
        if (vmafx_receiver_export(receiver, VMAFX_RECEIVER_TRACES, wire.bytes, wire.len, &answer, &len, NULL) !=
            VMAFX_ERR_SYNTAX)
            fail_msg("%s", cases[i].why);
        vmafx_wire_done(&wire);
    }
    assert_int_equal(vmafx_receiver_counts(receiver).kept.spans, 0);
}

/* ---- limits ---- */

static void a_full_trace_takes_no_more_and_says_so(void **state)
{
    VMAFX_AUTO(vmafx_receiver_free)
    VmafxReceiver *receiver = vmafx_receiver_new(&(VmafxTraceLimits){ .spans_per_trace = 40 });
    VMAFX_AUTO(vmafx_kept_spans_done) VmafxKeptSpans kept = { 0 };

    (void)state;
    for (uint64_t i = 1; i <= 40; i++)
        assert_false(export_one(receiver, 1, i, "fits", 1).present);
    VmafxOtlpPartial partial = export_one(receiver, 1, 41, "does not", 1);
    assert_int_equal(partial.rejected, 1);
    assert_non_null(strstr(partial.message, "beyond the limits"));
    assert_int_equal(get(receiver, 1, &kept), VMAFX_OK);
    assert_int_equal(kept.n, 40);
    assert_int_equal(kept.dropped, 1);
}

static void the_trace_that_got_no_span_for_longest_makes_room(void **state)
{
    VMAFX_AUTO(vmafx_receiver_free) VmafxReceiver *receiver = vmafx_receiver_new(&(VmafxTraceLimits){ .traces = 3 });
    VMAFX_AUTO(vmafx_kept_spans_done) VmafxKeptSpans kept = { 0 };

    (void)state;
    export_one(receiver, 1, 1, "a", 0);
    export_one(receiver, 2, 1, "b", 0);
    export_one(receiver, 3, 1, "c", 0);
    export_one(receiver, 1, 2, "a again", 0);
    export_one(receiver, 4, 1, "d", 0);
    assert_int_equal(get(receiver, 2, &kept), VMAFX_ERR_NOT_FOUND);
    assert_int_equal(get(receiver, 1, &kept), VMAFX_OK);
    assert_int_equal(kept.n, 2);
    assert_int_equal(vmafx_receiver_counts(receiver).kept.evicted, 1);
}

static void memory_stays_within_its_limit_whatever_comes(void **state)
{
    const size_t limit = 50000;
    VMAFX_AUTO(vmafx_receiver_free) VmafxReceiver *receiver = vmafx_receiver_new(&(VmafxTraceLimits){ .bytes = limit });
    VMAFX_AUTO(vmafx_kept_spans_done) VmafxKeptSpans first = { 0 };
    uint64_t rejected = 0;

    (void)state;
    export_one(receiver, 200, 1, "seen", 3);
    assert_int_equal(get(receiver, 200, &first), VMAFX_OK);
    for (uint64_t trace = 1; trace <= 30; trace++)
        for (uint64_t id = 1; id <= 100; id++) {
            rejected += export_one(receiver, trace, id, "span", 20).rejected;
            assert_true(vmafx_receiver_counts(receiver).kept.bytes <= limit);
        }
    VmafxReceiverCounts counts = vmafx_receiver_counts(receiver);
    assert_true(counts.kept.evicted >= 29);
    assert_true(rejected > 0); /* one trace alone has more than the limit */
    assert_int_equal(counts.rejected, rejected);
    assert_int_equal(counts.items[VMAFX_RECEIVER_TRACES], 3001);
    assert_string_equal(first.spans[0]->name, "seen"); /* what was handed out outlives its trace */
}

static void a_long_trace_is_read_in_pages(void **state)
{
    VMAFX_AUTO(vmafx_receiver_free) VmafxReceiver *receiver = vmafx_receiver_new(NULL);
    uint8_t id[16] = { [15] = 1 };
    size_t n = 0, pages = 0;
    VmafxWire wire;
    size_t marks[2];

    (void)state;
    begin_request(&wire, marks);
    for (uint64_t i = 1; i <= 10000; i++)
        put_span(&wire, 1, i, 1, "one of many", 0);
    end_request(&wire, marks);
    assert_false(exported(receiver, &wire).present);
    for (;; pages++) {
        VMAFX_AUTO(vmafx_kept_spans_done) VmafxKeptSpans kept = { 0 };
        assert_int_equal(vmafx_receiver_trace(receiver, id, n, 100000, &kept), VMAFX_OK);
        assert_int_equal(kept.total, 10000);
        if (!kept.n)
            break;
        for (size_t i = 0; i < kept.n; i++)
            assert_int_equal((kept.spans[i]->span_id[6] << 8) + kept.spans[i]->span_id[7], n + i + 1);
        n += kept.n;
    }
    assert_int_equal(n, 10000);
    assert_true(pages > 5);
}

/* ---- what is refused ---- */

static void a_request_that_is_not_well_formed_leaves_nothing_behind(void **state)
{
    VMAFX_AUTO(vmafx_receiver_free) VmafxReceiver *receiver = vmafx_receiver_new(NULL);
    VmafxKeptSpans kept;
    VmafxErrInfo info = { 0 };
    VmafxWire wire;
    size_t marks[2], len;
    uint8_t *answer;

    (void)state;
    begin_request(&wire, marks);
    put_span(&wire, 1, 1, 0, "good", 0);
    size_t bad = vmafx_wire_begin(&wire, 2);
    put_id(&wire, 1, 16, 1);
    size_t pair = vmafx_wire_begin(&wire, 9);
    vmafx_wire_varint(&wire, 2, 1); /* an attribute's value that is no message */
    vmafx_wire_end(&wire, pair);
    vmafx_wire_end(&wire, bad);
    end_request(&wire, marks);
    assert_int_equal(vmafx_receiver_export(receiver, VMAFX_RECEIVER_TRACES, wire.bytes, wire.len, &answer, &len, &info),
                     VMAFX_ERR_SYNTAX);
    assert_int_equal(
        vmafx_receiver_export(receiver, VMAFX_RECEIVER_TRACES, wire.bytes, wire.len - 1, &answer, &len, &info),
        VMAFX_ERR_SYNTAX);
    vmafx_wire_done(&wire);
    assert_int_equal(get(receiver, 1, &kept), VMAFX_ERR_NOT_FOUND);
    assert_int_equal(vmafx_receiver_counts(receiver).items[0], 0);
}

static void lists_nested_beyond_the_limit_are_refused_and_not_followed(void **state)
{
    VMAFX_AUTO(vmafx_receiver_free) VmafxReceiver *receiver = vmafx_receiver_new(NULL);

    (void)state;
    for (int depth = 5; depth <= 2000; depth += 5) {
        VMAFX_AUTO(vmafx_free_p) uint8_t *answer = NULL;
        VMAFX_AUTO(vmafx_free_p) size_t *opened = calloc((size_t)depth * 2, sizeof *opened);
        VmafxErrInfo info = { 0 };
        VmafxWire wire;
        size_t marks[2], len;

        begin_request(&wire, marks);
        size_t span = vmafx_wire_begin(&wire, 2);
        size_t pair = vmafx_wire_begin(&wire, 9);
        size_t value = vmafx_wire_begin(&wire, 2);
        for (int i = 0; i < depth; i++) {
            opened[2 * i] = vmafx_wire_begin(&wire, 5);
            opened[2 * i + 1] = vmafx_wire_begin(&wire, 1);
        }
        for (int i = 2 * depth; i--;)
            vmafx_wire_end(&wire, opened[i]);
        vmafx_wire_end(&wire, value);
        vmafx_wire_end(&wire, pair);
        vmafx_wire_end(&wire, span);
        end_request(&wire, marks);
        VmafxErr err =
            vmafx_receiver_export(receiver, VMAFX_RECEIVER_TRACES, wire.bytes, wire.len, &answer, &len, &info);
        assert_int_equal(err, depth <= 10 ? VMAFX_OK : depth >= 20 ? VMAFX_ERR_SYNTAX : err);
        vmafx_wire_done(&wire);
    }
}

static void metrics_and_logs_are_counted_and_dropped(void **state)
{
    VMAFX_AUTO(vmafx_receiver_free) VmafxReceiver *receiver = vmafx_receiver_new(NULL);
    VmafxErrInfo info = { 0 };
    VmafxWire wire;
    size_t marks[2];

    (void)state;
    begin_request(&wire, marks);
    for (int i = 0; i < 3; i++) {
        size_t item = vmafx_wire_begin(&wire, 2);
        vmafx_wire_bytes(&wire, 1, "vmafx.frames", 12);
        vmafx_wire_end(&wire, item);
    }
    end_request(&wire, marks);
    for (int signal = VMAFX_RECEIVER_METRICS; signal <= VMAFX_RECEIVER_LOGS; signal++) {
        VMAFX_AUTO(vmafx_free_p) uint8_t *answer = NULL;
        size_t len;
        assert_int_equal(
            vmafx_receiver_export(receiver, (VmafxReceiverSignal)signal, wire.bytes, wire.len, &answer, &len, &info),
            VMAFX_OK);
        assert_int_equal(len, 0);
    }
    vmafx_wire_done(&wire);
    VmafxReceiverCounts counts = vmafx_receiver_counts(receiver);
    assert_int_equal(counts.items[VMAFX_RECEIVER_METRICS], 3);
    assert_int_equal(counts.requests[VMAFX_RECEIVER_LOGS], 1);
    assert_int_equal(counts.kept.spans, 0);
}

/* ---- gzip ---- */

static size_t gzip(const void *data, size_t len, uint8_t *ret, size_t room)
{
    z_stream stream = { .next_in = (Bytef *)data, .avail_in = (uInt)len, .next_out = ret, .avail_out = (uInt)room };

    assert_int_equal(deflateInit2(&stream, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
    deflateEnd(&stream);
    return stream.total_out;
}

static void a_gzip_body_is_unpacked_up_to_the_limit(void **state)
{
    static const struct {
        const char *why;
        size_t len, cut;
        VmafxErr err;
    } cases[] = {
        { "nothing", 0, 0, VMAFX_OK },
        { "a little", 1000, 0, VMAFX_OK },
        { "as much as may be", VMAFX_RECEIVER_MESSAGE_MAX, 0, VMAFX_OK },
        { "a byte more", VMAFX_RECEIVER_MESSAGE_MAX + 1, 0, VMAFX_ERR_LIMIT },
        { "a bomb", 64 << 20, 0, VMAFX_ERR_LIMIT },
        { "cut", 1000, 1, VMAFX_ERR_SYNTAX },
    };
    size_t room = 1 << 20;
    VMAFX_AUTO(vmafx_free_p) uint8_t *zeroes = calloc(64, 1 << 20), *packed = malloc(room);

    (void)state;
    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        VMAFX_AUTO(vmafx_free_p) uint8_t *got = NULL;
        VmafxErrInfo info = { 0 };
        size_t len = 0, n = gzip(zeroes, cases[i].len, packed, room) - cases[i].cut;
        VmafxErr err = vmafx_receiver_gunzip(packed, n, &got, &len, &info);
        if (err != cases[i].err || (!err && len != cases[i].len))
            fail_msg("%s: %s, %zu bytes", cases[i].why, vmafx_err_name(err), len);
    }
}

static void what_is_not_gzip_or_has_more_behind_it_is_refused(void **state)
{
    uint8_t packed[100], *got = NULL;
    VmafxErrInfo info = { 0 };
    size_t len, n = gzip("abc", 3, packed, sizeof packed);

    (void)state;
    packed[n] = 0;
    assert_int_equal(vmafx_receiver_gunzip(packed, n + 1, &got, &len, &info), VMAFX_ERR_SYNTAX);
    assert_int_equal(vmafx_receiver_gunzip("plain text", 10, &got, &len, &info), VMAFX_ERR_SYNTAX);
    assert_int_equal(vmafx_receiver_gunzip("", 0, &got, &len, &info), VMAFX_ERR_SYNTAX);
    assert_null(got);
}

static void an_error_over_http_is_a_status_message(void **state)
{
    VMAFX_AUTO(vmafx_free_p) uint8_t *bytes = NULL;
    VmafxRpcStatus status;
    size_t len;

    (void)state;
    assert_int_equal(vmafx_receiver_status(VMAFX_ERR_SYNTAX, "not a request", &bytes, &len), VMAFX_OK);
    assert_int_equal(vmafx_rpc_status_parse(bytes, len, &status), VMAFX_OK);
    assert_int_equal(status.code, 3);
    assert_string_equal(status.message, "not a request");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_span_comes_back_as_it_was_sent),
        cmocka_unit_test(a_resource_counts_wherever_it_stands_among_its_scopes),
        cmocka_unit_test(a_sender_that_tries_again_leaves_one_span),
        cmocka_unit_test(spans_with_ids_that_are_not_valid_are_counted_and_the_rest_kept),
        cmocka_unit_test(values_of_any_kind_become_text),
        cmocka_unit_test(texts_are_cut_at_a_character_and_attributes_beyond_64_are_counted),
        cmocka_unit_test(events_and_links_are_kept_within_limits_and_the_rest_is_counted),
        cmocka_unit_test(a_malformed_event_or_link_refuses_the_request),
        cmocka_unit_test(a_full_trace_takes_no_more_and_says_so),
        cmocka_unit_test(the_trace_that_got_no_span_for_longest_makes_room),
        cmocka_unit_test(memory_stays_within_its_limit_whatever_comes),
        cmocka_unit_test(a_long_trace_is_read_in_pages),
        cmocka_unit_test(a_request_that_is_not_well_formed_leaves_nothing_behind),
        cmocka_unit_test(lists_nested_beyond_the_limit_are_refused_and_not_followed),
        cmocka_unit_test(metrics_and_logs_are_counted_and_dropped),
        cmocka_unit_test(a_gzip_body_is_unpacked_up_to_the_limit),
        cmocka_unit_test(what_is_not_gzip_or_has_more_behind_it_is_refused),
        cmocka_unit_test(an_error_over_http_is_a_status_message),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

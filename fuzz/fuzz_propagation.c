/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Headers from anyone: the first byte chooses traceparent, tracestate or baggage, the rest is the header. Whatever is
 * taken is within its limits, safe to send, and the same when it is read again.
 */

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "otel/api/context.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

/* No byte that could begin another header. */
static void check_printable(const char *text)
{
    for (; *text; text++)
        must(*text == '\t' || (*text >= 0x20 && *text <= 0x7e));
}

static void traceparent(const char *text, size_t len)
{
    VmafxSpanContext span, again;
    char sent[VMAFX_TRACEPARENT_SIZE], sent_again[VMAFX_TRACEPARENT_SIZE];

    if (!vmafx_traceparent_parse(text, len, &span)) {
        must(!vmafx_span_context_valid(&span) && !vmafx_traceparent_format(&span, sent) && !*sent);
        return;
    }
    must(span.remote && !span.state && !(span.flags & ~3) && vmafx_traceparent_format(&span, sent));
    must(strlen(sent) == VMAFX_TRACEPARENT_SIZE - 1);
    must(vmafx_traceparent_parse(sent, strlen(sent), &again) && vmafx_traceparent_format(&again, sent_again));
    must(strcmp(sent, sent_again) == 0);
    must(memcmp(span.trace_id, again.trace_id, sizeof span.trace_id) == 0);
    must(memcmp(span.span_id, again.span_id, sizeof span.span_id) == 0 && span.flags == again.flags);
}

static size_t members(const char *text)
{
    size_t n = *text != 0;

    for (; *text; text++)
        n += *text == ',';
    return n;
}

static void check_same_state(VmafxTraceState *state)
{
    const char *text = vmafx_tracestate_text(state);
    VMAFX_AUTO(vmafx_tracestate_unref) VmafxTraceState *again = vmafx_tracestate_parse(text, strlen(text));

    check_printable(text);
    must(members(text) <= VMAFX_TRACESTATE_MEMBERS_MAX);
    must(strcmp(vmafx_tracestate_text(again), text) == 0);
}

static void tracestate(const char *text, size_t len)
{
    VMAFX_AUTO(vmafx_tracestate_unref) VmafxTraceState *state = vmafx_tracestate_parse(text, len);
    VMAFX_AUTO(vmafx_tracestate_unref) VmafxTraceState *set = vmafx_tracestate_set(state, "ot", "th:8");
    VMAFX_AUTO(vmafx_tracestate_unref) VmafxTraceState *removed = vmafx_tracestate_set(set, "ot", NULL);
    VMAFX_AUTO(vmafx_tracestate_unref) VmafxTraceState *shorter = vmafx_tracestate_shorten(state, len / 2);
    VMAFX_AUTO(vmafx_free_p) char *copy = strndup(text, len);
    char value[8];

    check_same_state(state);
    check_same_state(set);
    check_same_state(removed);
    check_same_state(shorter);
    must(strlen(vmafx_tracestate_text(shorter)) <= len / 2);
    must(vmafx_tracestate_get(set, "ot", value, sizeof value) && strcmp(value, "th:8") == 0);
    must(!vmafx_tracestate_get(removed, "ot", value, sizeof value));

    /* any text as a value: taken and safe, or refused */
    VMAFX_AUTO(vmafx_tracestate_unref) VmafxTraceState *any = vmafx_tracestate_set(state, "any", copy);
    check_same_state(any);
}

/* Both hold the same; the second came out of the first's header. */
static void check_same_baggage(const VmafxBaggage *a, const VmafxBaggage *b)
{
    must(vmafx_baggage_count(a) == vmafx_baggage_count(b));
    for (size_t i = 0; i < vmafx_baggage_count(a); i++) {
        const char *name_a, *value_a, *metadata_a, *name_b, *value_b, *metadata_b;
        vmafx_baggage_at(a, i, &name_a, &value_a, &metadata_a);
        vmafx_baggage_at(b, i, &name_b, &value_b, &metadata_b);
        must(strcmp(name_a, name_b) == 0 && strcmp(value_a, value_b) == 0 && strcmp(metadata_a, metadata_b) == 0);
        must(vmafx_baggage_get(a, name_a) == value_a);
    }
}

static void check_round_trip(const VmafxBaggage *baggage)
{
    VMAFX_AUTO(vmafx_free_p) char *text = vmafx_baggage_format(baggage);

    if (!text)
        return;
    check_printable(text);
    must(strlen(text) <= VMAFX_BAGGAGE_BYTES_MAX && members(text) <= VMAFX_BAGGAGE_MEMBERS_MAX);
    VMAFX_AUTO(vmafx_baggage_unref) VmafxBaggage *again = vmafx_baggage_parse(text, strlen(text));
    VMAFX_AUTO(vmafx_free_p) char *text_again = vmafx_baggage_format(again);
    must(text_again && strcmp(text, text_again) == 0);
    if (members(text) == vmafx_baggage_count(baggage)) /* encoding may have made it too long for some */
        check_same_baggage(baggage, again);
}

static void baggage(const char *text, size_t len)
{
    VMAFX_AUTO(vmafx_baggage_unref) VmafxBaggage *parsed = vmafx_baggage_parse(text, len);
    VMAFX_AUTO(vmafx_free_p) char *copy = strndup(text, len);

    must(!parsed || vmafx_baggage_count(parsed) > 0);
    check_round_trip(parsed);

    /* any text as a name, a value or metadata: taken and safe, or refused */
    VMAFX_AUTO(vmafx_baggage_unref) VmafxBaggage *value = vmafx_baggage_set(parsed, "any", copy, copy);
    VMAFX_AUTO(vmafx_baggage_unref) VmafxBaggage *name = vmafx_baggage_set(value, copy, "1", NULL);
    check_round_trip(value);
    check_round_trip(name);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const headers[])(const char *text, size_t len) = { traceparent, tracestate, baggage };

    if (size)
        headers[data[0] % VMAFX_LEN(headers)]((const char *)data + 1, size - 1);
    return 0;
}

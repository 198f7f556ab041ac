/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* OTLP requests from batches: values, spans, log records, and the grouping and cutting. Metrics: otlp_metrics.c. */

#include "otel/export/otlp_encode.h"

#include <stdlib.h>
#include <string.h>

#include "base/base.h"

enum {
    FLAG_REMOTE_KNOWN = 0x100,
    FLAG_REMOTE = 0x200,
    LENGTHS_SLACK = 64, /* what the lengths of three open messages and two schema URLs' tags may still need */
};

/* ---- values ---- */

static bool all_zero(const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (bytes[i])
            return false;
    return true;
}

void vmafx_otlp_put_str(VmafxWire *wire, uint32_t field, const char *text)
{
    if (text && *text)
        vmafx_wire_text(wire, field, text, strlen(text));
}

void vmafx_otlp_put_id(VmafxWire *wire, uint32_t field, const uint8_t *id, size_t len)
{
    if (!all_zero(id, len))
        vmafx_wire_bytes(wire, field, id, len);
}

static void put_count(VmafxWire *wire, uint32_t field, uint64_t count)
{
    if (count)
        vmafx_wire_varint(wire, field, count);
}

static void put_time(VmafxWire *wire, uint32_t field, uint64_t ns)
{
    if (ns)
        vmafx_wire_fixed64(wire, field, ns);
}

static void put_value(VmafxWire *wire, uint32_t field, const VmafxValue *value, unsigned depth);

static void put_attr(VmafxWire *wire, uint32_t field, const VmafxAttr *attr, unsigned depth)
{
    if (!attr->key)
        return;
    size_t mark = vmafx_wire_begin(wire, field);
    vmafx_otlp_put_str(wire, 1, attr->key);
    put_value(wire, 2, &attr->value, depth);
    vmafx_wire_end(wire, mark);
}

static void put_value(VmafxWire *wire, uint32_t field, const VmafxValue *value, unsigned depth)
{
    size_t mark = vmafx_wire_begin(wire, field), list;

    switch (depth < VMAFX_OTLP_VALUE_DEPTH ? value->type : VMAFX_VALUE_EMPTY) {
    case VMAFX_VALUE_STR:
        vmafx_wire_text(wire, 1, value->str.ptr ? value->str.ptr : "", value->str.ptr ? value->str.len : 0);
        break;
    case VMAFX_VALUE_BOOL:
        vmafx_wire_varint(wire, 2, value->b);
        break;
    case VMAFX_VALUE_INT:
        vmafx_wire_varint(wire, 3, (uint64_t)value->i);
        break;
    case VMAFX_VALUE_DOUBLE:
        vmafx_wire_double(wire, 4, value->d);
        break;
    case VMAFX_VALUE_ARRAY:
        list = vmafx_wire_begin(wire, 5);
        for (size_t i = 0; value->array.items && i < value->array.n; i++)
            put_value(wire, 1, &value->array.items[i], depth + 1);
        vmafx_wire_end(wire, list);
        break;
    case VMAFX_VALUE_MAP:
        list = vmafx_wire_begin(wire, 6);
        for (size_t i = 0; value->map.items && i < value->map.n; i++)
            put_attr(wire, 1, &value->map.items[i], depth + 1);
        vmafx_wire_end(wire, list);
        break;
    case VMAFX_VALUE_BYTES:
        vmafx_wire_bytes(wire, 7, value->str.ptr, value->str.ptr ? value->str.len : 0);
        break;
    case VMAFX_VALUE_EMPTY:
    default:
        break;
    }
    vmafx_wire_end(wire, mark);
}

void vmafx_otlp_put_value(VmafxWire *wire, uint32_t field, const VmafxValue *value)
{
    put_value(wire, field, value, 0);
}

void vmafx_otlp_put_attrs(VmafxWire *wire, uint32_t field, VmafxAttrs attrs)
{
    for (size_t i = 0; attrs.items && i < attrs.n; i++)
        put_attr(wire, field, &attrs.items[i], 0);
}

/* ---- spans and log records ---- */

static void put_event(VmafxWire *wire, const VmafxEventData *event)
{
    size_t mark = vmafx_wire_begin(wire, 11);

    put_time(wire, 1, event->time_ns);
    vmafx_otlp_put_str(wire, 2, event->name);
    vmafx_otlp_put_attrs(wire, 3, event->attrs);
    put_count(wire, 4, event->dropped_attrs);
    vmafx_wire_end(wire, mark);
}

static uint32_t span_flags(uint8_t flags, bool remote)
{
    return flags | FLAG_REMOTE_KNOWN | (remote ? FLAG_REMOTE : 0);
}

static void put_link(VmafxWire *wire, const VmafxLinkData *link)
{
    size_t mark = vmafx_wire_begin(wire, 13);

    vmafx_otlp_put_id(wire, 1, link->trace_id, sizeof link->trace_id);
    vmafx_otlp_put_id(wire, 2, link->span_id, sizeof link->span_id);
    vmafx_otlp_put_str(wire, 3, link->trace_state);
    vmafx_otlp_put_attrs(wire, 4, link->attrs);
    put_count(wire, 5, link->dropped_attrs);
    vmafx_wire_fixed32(wire, 6, span_flags(link->flags, link->remote));
    vmafx_wire_end(wire, mark);
}

static void put_span(VmafxWire *wire, const VmafxSpanData *span)
{
    size_t mark = vmafx_wire_begin(wire, 2);

    vmafx_otlp_put_id(wire, 1, span->trace_id, sizeof span->trace_id);
    vmafx_otlp_put_id(wire, 2, span->span_id, sizeof span->span_id);
    vmafx_otlp_put_str(wire, 3, span->trace_state);
    vmafx_otlp_put_id(wire, 4, span->parent_span_id, sizeof span->parent_span_id);
    vmafx_otlp_put_str(wire, 5, span->name);
    put_count(wire, 6, span->kind);
    put_time(wire, 7, span->start_ns);
    put_time(wire, 8, span->end_ns);
    vmafx_otlp_put_attrs(wire, 9, span->attrs);
    put_count(wire, 10, span->dropped_attrs);
    for (size_t i = 0; span->events && i < span->n_events; i++)
        put_event(wire, &span->events[i]);
    put_count(wire, 12, span->dropped_events);
    for (size_t i = 0; span->links && i < span->n_links; i++)
        put_link(wire, &span->links[i]);
    put_count(wire, 14, span->dropped_links);
    if (span->status != VMAFX_STATUS_UNSET) {
        size_t status = vmafx_wire_begin(wire, 15);

        if (span->status == VMAFX_STATUS_ERROR)
            vmafx_otlp_put_str(wire, 2, span->status_description);
        put_count(wire, 3, span->status);
        vmafx_wire_end(wire, status);
    }
    vmafx_wire_fixed32(wire, 16, span_flags(span->flags, span->parent_remote));
    vmafx_wire_end(wire, mark);
}

static void put_log(VmafxWire *wire, const VmafxLogData *log)
{
    size_t mark = vmafx_wire_begin(wire, 2);

    put_time(wire, 1, log->time_ns);
    if (log->severity > 0)
        vmafx_wire_varint(wire, 2, (uint64_t)log->severity);
    vmafx_otlp_put_str(wire, 3, log->severity_text);
    if (log->body.type != VMAFX_VALUE_EMPTY)
        vmafx_otlp_put_value(wire, 5, &log->body);
    vmafx_otlp_put_attrs(wire, 6, log->attrs);
    put_count(wire, 7, log->dropped_attrs);
    if (log->flags)
        vmafx_wire_fixed32(wire, 8, log->flags);
    vmafx_otlp_put_id(wire, 9, log->trace_id, sizeof log->trace_id);
    vmafx_otlp_put_id(wire, 10, log->span_id, sizeof log->span_id);
    put_time(wire, 11, log->observed_ns);
    vmafx_otlp_put_str(wire, 12, log->event_name);
    vmafx_wire_end(wire, mark);
}

/* ---- batches ---- */

static bool has_item(const VmafxBatch *batch, size_t i)
{
    switch (batch->signal) {
    case VMAFX_SIGNAL_TRACES:
        return batch->spans && batch->spans[i];
    case VMAFX_SIGNAL_METRICS: /* an instrument without points is an empty envelope */
        return batch->metrics && batch->metrics[i].points && batch->metrics[i].n_points;
    case VMAFX_SIGNAL_LOGS:
        return batch->logs && batch->logs[i];
    default:
        return false;
    }
}

static const VmafxScope *scope_of(const VmafxBatch *batch, size_t i)
{
    static const VmafxScope none = { "", "", "", { NULL, 0 } };
    const VmafxScope *scope = batch->signal == VMAFX_SIGNAL_TRACES    ? batch->spans[i]->scope
                              : batch->signal == VMAFX_SIGNAL_METRICS ? batch->metrics[i].scope
                                                                      : batch->logs[i]->scope;

    return scope ? scope : &none;
}

static uint64_t items_of(const VmafxBatch *batch, size_t i)
{
    return batch->signal == VMAFX_SIGNAL_METRICS ? batch->metrics[i].n_points : 1;
}

static void put_item(VmafxWire *wire, const VmafxBatch *batch, size_t i)
{
    if (batch->signal == VMAFX_SIGNAL_TRACES)
        put_span(wire, batch->spans[i]);
    else if (batch->signal == VMAFX_SIGNAL_METRICS)
        vmafx_otlp_put_metric(wire, 2, &batch->metrics[i]);
    else
        put_log(wire, batch->logs[i]);
}

uint64_t vmafx_otlp_batch_items(const VmafxBatch *batch)
{
    uint64_t items = 0;

    for (size_t i = 0; batch && i < batch->n; i++)
        if (has_item(batch, i))
            items += items_of(batch, i);
    return items;
}

static bool text_equal(const char *a, const char *b)
{
    return strcmp(a ? a : "", b ? b : "") == 0;
}

/* Scopes with attributes are one only when they are the same object; two groups of equal scopes are legal OTLP. */
static bool scope_equal(const VmafxScope *a, const VmafxScope *b)
{
    return a == b || (!a->attrs.n && !b->attrs.n && text_equal(a->name, b->name) &&
                      text_equal(a->version, b->version) && text_equal(a->schema_url, b->schema_url));
}

/*
 * The items' indices, scope after scope. `group` numbers the scopes as they appear, and a counting sort by it keeps
 * the order within each. The last scope is tried first: batches come in runs.
 */
static bool order_by_scope(VmafxOtlpEncoder *encoder)
{
    const VmafxBatch *batch = encoder->batch;
    VMAFX_AUTO(vmafx_free_p) size_t *group = calloc(batch->n, sizeof *group);
    VMAFX_AUTO(vmafx_free_p) size_t *first = calloc(batch->n, sizeof *first); /* an item of each group */
    VMAFX_AUTO(vmafx_free_p) size_t *start = calloc(batch->n + 1, sizeof *start);
    size_t n_groups = 0, last = 0;

    encoder->order = calloc(batch->n, sizeof *encoder->order);
    if (!group || !first || !start || !encoder->order)
        return false;
    for (size_t i = 0; i < batch->n; i++) {
        if (!has_item(batch, i))
            continue;
        const VmafxScope *scope = scope_of(batch, i);
        size_t g = last;
        if (!n_groups || !scope_equal(scope, scope_of(batch, first[g])))
            for (g = 0; g < n_groups && !scope_equal(scope, scope_of(batch, first[g])); g++)
                ;
        if (g == n_groups)
            first[n_groups++] = i;
        group[i] = last = g;
        start[g + 1]++;
        encoder->n_order++;
    }
    for (size_t g = 0; g < n_groups; g++)
        start[g + 1] += start[g];
    for (size_t i = 0; i < batch->n; i++)
        if (has_item(batch, i))
            encoder->order[start[group[i]]++] = i;
    return true;
}

void vmafx_otlp_encoder_init(VmafxOtlpEncoder *encoder, const VmafxBatch *batch, size_t target, size_t max)
{
    *encoder = (VmafxOtlpEncoder){ .batch = batch };
    encoder->max = max ? max : VMAFX_OTLP_REQUEST_MAX;
    encoder->target = VMAFX_MIN(target ? target : VMAFX_OTLP_TARGET_BYTES, encoder->max);
    vmafx_wire_init(&encoder->wire, encoder->max);
    if (!batch || !batch->n)
        return;
    if (!order_by_scope(encoder)) {
        encoder->dropped = vmafx_otlp_batch_items(batch);
        encoder->n_order = 0;
    }
}

void vmafx_otlp_encoder_done(VmafxOtlpEncoder *encoder)
{
    vmafx_wire_done(&encoder->wire);
    free(encoder->order);
    *encoder = (VmafxOtlpEncoder){ 0 };
}

static size_t put_scope(VmafxWire *wire, const VmafxScope *scope)
{
    size_t mark = vmafx_wire_begin(wire, 2), inner = vmafx_wire_begin(wire, 1);

    vmafx_otlp_put_str(wire, 1, scope->name);
    vmafx_otlp_put_str(wire, 2, scope->version);
    vmafx_otlp_put_attrs(wire, 3, scope->attrs);
    vmafx_wire_end(wire, inner);
    return mark;
}

/* Three bytes for every byte of text at most: that is what mending does to text that is all wrong. */
static size_t tail_bytes(const VmafxResource *resource, const VmafxScope *scope)
{
    return LENGTHS_SLACK + 3 * (resource && resource->schema_url ? strlen(resource->schema_url) : 0) +
           3 * (scope->schema_url ? strlen(scope->schema_url) : 0);
}

static void close_scope(VmafxWire *wire, const VmafxScope *scope, size_t mark)
{
    vmafx_otlp_put_str(wire, 3, scope->schema_url);
    vmafx_wire_end(wire, mark);
}

/* Items from `at` on, until one does not fit. What is too large alone is dropped here. */
static void fill(VmafxOtlpEncoder *encoder)
{
    VmafxWire *wire = &encoder->wire;
    const VmafxScope *open = NULL;
    size_t group = 0;

    for (; encoder->at < encoder->n_order; encoder->at++) {
        size_t i = encoder->order[encoder->at];
        const VmafxScope *scope = scope_of(encoder->batch, i);
        bool fresh = !open || !scope_equal(scope, open);

        if (fresh && open) {
            close_scope(wire, open, group);
            open = NULL;
        }
        size_t before = wire->len; /* up to here the request is good without this item */
        if (fresh)
            group = put_scope(wire, scope);
        put_item(wire, encoder->batch, i);

        size_t needed = wire->len + tail_bytes(encoder->batch->resource, scope);
        if (!wire->err && needed <= (encoder->items ? encoder->target : encoder->max)) {
            encoder->items += items_of(encoder->batch, i);
            open = scope;
            continue;
        }
        vmafx_wire_rewind(wire, before);
        if (encoder->items)
            break;
        encoder->dropped += items_of(encoder->batch, i);
    }
    if (open)
        close_scope(wire, open, group);
}

static void one_request(VmafxOtlpEncoder *encoder)
{
    VmafxWire *wire = &encoder->wire;
    const VmafxResource *resource = encoder->batch->resource;

    vmafx_wire_reset(wire);
    size_t outer = vmafx_wire_begin(wire, 1), inner = vmafx_wire_begin(wire, 1);
    if (resource)
        vmafx_otlp_put_attrs(wire, 1, resource->attrs);
    vmafx_wire_end(wire, inner);
    if (wire->err) { /* not even the resource fits */
        for (; encoder->at < encoder->n_order; encoder->at++)
            encoder->dropped += items_of(encoder->batch, encoder->order[encoder->at]);
        return;
    }
    fill(encoder);
    if (resource)
        vmafx_otlp_put_str(wire, 3, resource->schema_url);
    vmafx_wire_end(wire, outer);
    if (wire->err) { /* no memory for the last bytes */
        encoder->dropped += encoder->items;
        encoder->items = 0;
    }
}

bool vmafx_otlp_encoder_next(VmafxOtlpEncoder *encoder)
{
    encoder->items = 0;
    while (!encoder->items && encoder->at < encoder->n_order)
        one_request(encoder);
    return encoder->items > 0;
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Export requests, walked field by field: resource → scope → item, and below a span its attributes. */

#include "otel/receive/otlp_read.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "otel/export/otlp_response.h"

enum { TRACE_ID_BYTES = 16, SPAN_ID_BYTES = 8 };

/* Field numbers; the three signals agree in those of the request, its resources and scopes. */
enum {
    REQUEST_RESOURCES = 1,
    RESOURCE_ITEMS_RESOURCE = 1,
    RESOURCE_ITEMS_SCOPES = 2,
    SCOPE_ITEMS = 2,
    KEY_VALUE_KEY = 1,
    KEY_VALUE_VALUE = 2,
    STATUS_MESSAGE = 2,
    STATUS_CODE = 3,
    SPAN_EVENTS = 11,
    SPAN_LINKS = 13,
};

enum { ANY_STRING = 1, ANY_BOOL, ANY_INT, ANY_DOUBLE, ANY_ARRAY, ANY_KVLIST, ANY_BYTES };

static VmafxOtlpBytes bytes_of(const VmafxWireField *field)
{
    return (VmafxOtlpBytes){ field->bytes, field->len };
}

/* ---- values as text ---- */

/* Text that is being put together; what does not fit is left out, but the reading goes on, as it is the check too. */
typedef struct Text {
    char *at;
    size_t left; /* without the terminating zero */
} Text;

static void put(Text *text, const char *more)
{
    size_t n = strlen(more);

    if (n > text->left) {
        text->left = 0; /* nothing may follow a gap */
        return;
    }
    memcpy(text->at, more, n + 1);
    text->at += n;
    text->left -= n;
}

static void put_string(Text *text, const VmafxWireField *field, bool quoted)
{
    if (quoted)
        put(text, "\"");
    vmafx_otlp_printable(field->bytes, field->len, text->at, text->left + 1);
    size_t n = strlen(text->at);
    text->at += n;
    text->left = n < field->len ? 0 : text->left - n; /* cut: see put */
    if (quoted)
        put(text, "\"");
}

static void put_hex(Text *text, const VmafxWireField *field)
{
    char two[3];

    for (size_t i = 0; i < field->len && text->left; i++) {
        snprintf(two, sizeof two, "%02x", field->bytes[i]);
        put(text, two);
    }
}

static void put_number(Text *text, const VmafxWireField *field)
{
    char digits[40];
    double number;

    if (field->number == ANY_BOOL) {
        put(text, field->value ? "true" : "false");
        return;
    }
    memcpy(&number, &field->value, sizeof number);
    if (field->number == ANY_INT)
        snprintf(digits, sizeof digits, "%" PRId64, (int64_t)field->value);
    else
        snprintf(digits, sizeof digits, "%.15g", number);
    put(text, digits);
}

static bool put_value(Text *text, VmafxWireReader *any, bool quoted);

/* A KeyValue of a KeyValueList. */
static bool put_pair(Text *text, VmafxWireReader *list, const VmafxWireField *pair)
{
    VmafxWireReader one, any;
    VmafxWireField field, key = { 0 }, value = { 0 };

    if (!vmafx_wire_enter(list, pair, &one))
        return false;
    while (vmafx_wire_next(&one, &field))
        if (field.number == KEY_VALUE_KEY && field.type == VMAFX_WIRE_BYTES)
            key = field;
        else if (field.number == KEY_VALUE_VALUE)
            value = field;
    put_string(text, &key, true);
    put(text, ": ");
    return !one.bad && (!value.number || (vmafx_wire_enter(&one, &value, &any) && put_value(text, &any, true)));
}

/* ArrayValue and KeyValueList: repeated field 1. As deep as the wire reader lets it be. */
static bool put_list(Text *text, VmafxWireReader *list, bool keyed)
{
    VmafxWireField field;
    VmafxWireReader inner;
    bool first = true;

    put(text, keyed ? "{" : "[");
    while (vmafx_wire_next(list, &field)) {
        if (field.number != 1)
            continue;
        if (!first)
            put(text, ", ");
        first = false;
        if (keyed) {
            if (!put_pair(text, list, &field))
                return false;
        } else if (!vmafx_wire_enter(list, &field, &inner) || !put_value(text, &inner, true)) {
            return false;
        }
    }
    put(text, keyed ? "}" : "]");
    return !list->bad;
}

/* An AnyValue. A oneof that came more than once counts as its last; a sender that does that gets what it asked for. */
static bool put_value(Text *text, VmafxWireReader *any, bool quoted)
{
    VmafxWireField field, last = { 0 };
    VmafxWireReader list;

    while (vmafx_wire_next(any, &field))
        if (field.number >= ANY_STRING && field.number <= ANY_BYTES)
            last = field;
    if (any->bad)
        return false;
    switch (last.number) {
    case ANY_STRING:
        if (last.type != VMAFX_WIRE_BYTES)
            return false;
        put_string(text, &last, quoted);
        return true;
    case ANY_BYTES:
        if (last.type != VMAFX_WIRE_BYTES)
            return false;
        put_hex(text, &last);
        return true;
    case ANY_BOOL:
    case ANY_INT:
        if (last.type != VMAFX_WIRE_VARINT)
            return false;
        put_number(text, &last);
        return true;
    case ANY_DOUBLE:
        if (last.type != VMAFX_WIRE_FIXED64)
            return false;
        put_number(text, &last);
        return true;
    case ANY_ARRAY:
    case ANY_KVLIST:
        return vmafx_wire_enter(any, &last, &list) && put_list(text, &list, last.number == ANY_KVLIST);
    default:
        return true; /* an empty value */
    }
}

bool vmafx_otlp_attribute_text(const VmafxOtlpAttribute *attribute, char *ret, size_t size)
{
    VmafxWireReader any = { .at = attribute->value.bytes,
                            .end = attribute->value.bytes ? attribute->value.bytes + attribute->value.len : NULL,
                            .depth = attribute->depth };
    Text text = { ret, size - 1 };

    ret[0] = 0;
    return put_value(&text, &any, false);
}

bool vmafx_otlp_attribute_next(VmafxWireReader *fields, uint32_t number, VmafxOtlpAttribute *ret)
{
    VmafxWireField field;
    VmafxWireReader one, value;

    while (vmafx_wire_next(fields, &field)) {
        if (field.number != number)
            continue;
        if (!vmafx_wire_enter(fields, &field, &one))
            return false;
        *ret = (VmafxOtlpAttribute){ .depth = one.depth + 1 };
        while (vmafx_wire_next(&one, &field))
            if (field.number == KEY_VALUE_KEY && field.type == VMAFX_WIRE_BYTES)
                ret->key = bytes_of(&field);
            else if (field.number == KEY_VALUE_VALUE && vmafx_wire_enter(&one, &field, &value))
                ret->value = field;
        fields->bad |= one.bad;
        return !one.bad;
    }
    return false;
}

/* ---- events and links ---- */

/* Enters the next message in the field of that number. */
static bool enter_next(VmafxWireReader *fields, uint32_t number, VmafxWireReader *ret)
{
    VmafxWireField field;

    while (vmafx_wire_next(fields, &field))
        if (field.number == number)
            return vmafx_wire_enter(fields, &field, ret);
    return false;
}

bool vmafx_otlp_event_next(VmafxWireReader *fields, VmafxOtlpEvent *ret)
{
    VmafxWireReader event;
    VmafxWireField field;

    if (!enter_next(fields, SPAN_EVENTS, &event))
        return false;
    *ret = (VmafxOtlpEvent){ .fields = event };
    while (vmafx_wire_next(&event, &field))
        if (field.number == 1)
            ret->time_ns = field.value;
        else if (field.number == 2 && field.type == VMAFX_WIRE_BYTES)
            ret->name = bytes_of(&field);
    fields->bad |= event.bad;
    return !event.bad;
}

bool vmafx_otlp_link_next(VmafxWireReader *fields, VmafxOtlpLink *ret)
{
    VmafxWireReader link;
    VmafxWireField field;

    if (!enter_next(fields, SPAN_LINKS, &link))
        return false;
    *ret = (VmafxOtlpLink){ .fields = link };
    while (vmafx_wire_next(&link, &field))
        if (field.number == 1 && field.type == VMAFX_WIRE_BYTES)
            ret->trace_id = bytes_of(&field);
        else if (field.number == 2 && field.type == VMAFX_WIRE_BYTES)
            ret->span_id = bytes_of(&field);
    fields->bad |= link.bad;
    return !link.bad;
}

/* ---- spans ---- */

static bool status_of(VmafxWireReader *fields, const VmafxWireField *status, VmafxOtlpSpan *ret)
{
    VmafxWireReader inner;
    VmafxWireField field;

    if (!vmafx_wire_enter(fields, status, &inner))
        return false;
    while (vmafx_wire_next(&inner, &field))
        if (field.number == STATUS_MESSAGE && field.type == VMAFX_WIRE_BYTES)
            ret->status_message = bytes_of(&field);
        else if (field.number == STATUS_CODE && field.type == VMAFX_WIRE_VARINT)
            ret->status = (uint32_t)field.value;
    return !inner.bad;
}

static bool span_of(VmafxWireReader fields, const VmafxWireReader *resource, VmafxOtlpSpan *ret)
{
    VmafxWireField field;

    *ret = (VmafxOtlpSpan){ .fields = fields, .resource = *resource };
    while (vmafx_wire_next(&fields, &field)) {
        if (field.type == VMAFX_WIRE_BYTES) {
            if (field.number == 1)
                ret->trace_id = bytes_of(&field);
            else if (field.number == 2)
                ret->span_id = bytes_of(&field);
            else if (field.number == 4)
                ret->parent_id = bytes_of(&field);
            else if (field.number == 5)
                ret->name = bytes_of(&field);
            else if (field.number == 15 && !status_of(&fields, &field, ret))
                return false;
        } else if (field.number == 6) {
            ret->kind = (uint32_t)field.value;
        } else if (field.number == 7) {
            ret->start_ns = field.value;
        } else if (field.number == 8) {
            ret->end_ns = field.value;
        } else if (field.number == 10) {
            ret->dropped_attributes = (uint32_t)field.value;
        } else if (field.number == 12) {
            ret->dropped_events = (uint32_t)field.value;
        } else if (field.number == 14) {
            ret->dropped_links = (uint32_t)field.value;
        }
    }
    return !fields.bad;
}

static bool attributes_good(VmafxWireReader fields, uint32_t number)
{
    VmafxOtlpAttribute attribute;
    char none[1];

    while (vmafx_otlp_attribute_next(&fields, number, &attribute))
        if (!vmafx_otlp_attribute_text(&attribute, none, sizeof none))
            return false;
    return !fields.bad;
}

static bool span_good(VmafxWireReader fields)
{
    VmafxWireReader events = fields, links = fields;
    VmafxOtlpEvent event;
    VmafxOtlpLink link;

    while (vmafx_otlp_event_next(&events, &event))
        if (!attributes_good(event.fields, VMAFX_OTLP_EVENT_ATTRIBUTES))
            return false;
    while (vmafx_otlp_link_next(&links, &link))
        if (!attributes_good(link.fields, VMAFX_OTLP_LINK_ATTRIBUTES))
            return false;
    return !events.bad && !links.bad && attributes_good(fields, VMAFX_OTLP_SPAN_ATTRIBUTES);
}

/* ---- the request ---- */

typedef struct Walk {
    bool traces, check;
    void (*span)(void *ctx, const VmafxOtlpSpan *span);
    void *ctx;
    uint64_t items;
} Walk;

static bool walk_item(Walk *walk, VmafxWireReader *scope, const VmafxWireField *item, const VmafxWireReader *resource)
{
    VmafxWireReader fields;
    VmafxOtlpSpan span;

    if (!vmafx_wire_enter(scope, item, &fields))
        return false;
    walk->items++;
    if (!walk->traces)
        return true;
    if (!span_of(fields, resource, &span) || (walk->check && !span_good(fields)))
        return false;
    if (!walk->check)
        walk->span(walk->ctx, &span);
    return true;
}

static bool walk_scope(Walk *walk, VmafxWireReader *scope, const VmafxWireReader *resource)
{
    VmafxWireField field;

    while (vmafx_wire_next(scope, &field))
        if (field.number == SCOPE_ITEMS && !walk_item(walk, scope, &field, resource))
            return false;
    return !scope->bad;
}

/* The resource counts for all of its scopes, wherever it stands among them. */
static bool find_resource(VmafxWireReader fields, VmafxWireReader *ret)
{
    VmafxWireField field;

    *ret = (VmafxWireReader){ .depth = fields.depth + 1 };
    while (vmafx_wire_next(&fields, &field))
        if (field.number == RESOURCE_ITEMS_RESOURCE && !vmafx_wire_enter(&fields, &field, ret))
            return false;
    return !fields.bad;
}

static bool walk_resource(Walk *walk, VmafxWireReader *fields)
{
    VmafxWireReader resource, scope;
    VmafxWireField field;

    if (!find_resource(*fields, &resource) ||
        (walk->check && walk->traces && !attributes_good(resource, VMAFX_OTLP_RESOURCE_ATTRIBUTES)))
        return false;
    while (vmafx_wire_next(fields, &field))
        if (field.number == RESOURCE_ITEMS_SCOPES &&
            (!vmafx_wire_enter(fields, &field, &scope) || !walk_scope(walk, &scope, &resource)))
            return false;
    return !fields->bad;
}

static bool walk_request(Walk *walk, const void *data, size_t len)
{
    VmafxWireReader request, resource;
    VmafxWireField field;

    vmafx_wire_reader_init(&request, data, len);
    while (vmafx_wire_next(&request, &field))
        if (field.number == REQUEST_RESOURCES &&
            (!vmafx_wire_enter(&request, &field, &resource) || !walk_resource(walk, &resource)))
            return false;
    return !request.bad;
}

VmafxErr vmafx_otlp_check_spans(const void *data, size_t len, VmafxErrInfo *reterr)
{
    Walk walk = { .traces = true, .check = true };

    return walk_request(&walk, data, len)
               ? VMAFX_OK
               : vmafx_fail(reterr, VMAFX_ERR_SYNTAX, "the request is not an ExportTraceServiceRequest");
}

void vmafx_otlp_each_span(const void *data, size_t len, void (*span)(void *ctx, const VmafxOtlpSpan *span), void *ctx)
{
    Walk walk = { .traces = true, .span = span, .ctx = ctx };

    if (!walk_request(&walk, data, len))
        return; /* was not checked: what came before the fault has been handed out */
}

VmafxErr vmafx_otlp_count_items(const void *data, size_t len, uint64_t *ret_items, VmafxErrInfo *reterr)
{
    Walk walk = { .check = true };

    if (!walk_request(&walk, data, len))
        return vmafx_fail(reterr, VMAFX_ERR_SYNTAX, "the request is not an OTLP export request");
    *ret_items = walk.items;
    return VMAFX_OK;
}

static bool is_id(VmafxOtlpBytes id, size_t len)
{
    static const uint8_t zero[TRACE_ID_BYTES];

    return id.len == len && memcmp(id.ptr, zero, len) != 0;
}

bool vmafx_otlp_span_valid(const VmafxOtlpSpan *span)
{
    return is_id(span->trace_id, TRACE_ID_BYTES) && is_id(span->span_id, SPAN_ID_BYTES) &&
           (!span->parent_id.len || span->parent_id.len == SPAN_ID_BYTES);
}

bool vmafx_otlp_link_valid(const VmafxOtlpLink *link)
{
    return is_id(link->trace_id, TRACE_ID_BYTES) && is_id(link->span_id, SPAN_ID_BYTES);
}

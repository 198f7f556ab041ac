/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * What a recording span keeps: attributes, events, links and its status, copied into the record and held to the
 * provider's limits. The record is open, or nobody else knows it yet.
 */

#include "otel/sdk/span.h"

#include <string.h>

#include "base/base.h"

/* Texts are allocated in eights: how long a new one may be to stand where one of this length does. */
static size_t text_room(size_t len)
{
    return ((len + 8) & ~(size_t)7) - 1;
}

/* A copy of text, where the old copy stands when it fits; the old one when there is no memory. "" is never ours. */
const char *vmafx_record_replace_text(SpanRecording *record, const char *old, const char *text)
{
    size_t len = strlen(text);

    if (!len)
        return "";
    if (*old && len <= text_room(strlen(old)))
        return memcpy((char *)(uintptr_t)old, text, len + 1);

    const char *copy = vmafx_record_text(record, text, len);

    return copy ? copy : old;
}

static void put_attr(SpanRecording *record, const VmafxAttr *attr)
{
    VmafxSpanData *data = &record->data;
    size_t at = 0, n = data->attrs.n, len;

    if (!attr->key || !*attr->key)
        return;
    len = strlen(attr->key);

    uint8_t tag = (uint8_t)(len * 31 + (uint8_t)attr->key[len - 1] * 7 + (uint8_t)attr->key[len / 2]);

    for (; at < n; at++)
        if ((at >= ATTR_TAGS || record->tags[at] == tag) && !strcmp(data->attrs.items[at].key, attr->key))
            break;

    VmafxAttr *attrs = (VmafxAttr *)(uintptr_t)data->attrs.items;
    size_t value_limit = record->handle.provider->limits.value_length;

    if (at < n) {
        VmafxValue *old = &attrs[at].value, value;

        /* In place where it fits, so that a text that is set again and again does not grow the span. */
        if (attr->value.type == VMAFX_VALUE_STR && old->type == VMAFX_VALUE_STR && attr->value.str.ptr &&
            attr->value.str.len <= VMAFX_MIN(text_room(old->str.len), value_limit)) {
            char *text = (char *)(uintptr_t)old->str.ptr;

            memmove(text, attr->value.str.ptr, attr->value.str.len);
            text[attr->value.str.len] = 0;
            old->str.len = attr->value.str.len;
        } else if (vmafx_record_value(record, &attr->value, &value)) {
            *old = value;
        } else {
            data->dropped_attrs++;
        }
        return;
    }

    const void *items = attrs;

    if (n >= record->room_attrs || n >= record->handle.provider->limits.attrs) {
        if (!vmafx_record_grow(record, &items, n, &record->room_attrs, sizeof *attrs,
                               record->handle.provider->limits.attrs)) {
            data->dropped_attrs++;
            return;
        }
        data->attrs.items = items;
    }

    VmafxAttr *made = (VmafxAttr *)(uintptr_t)items + n;

    made->key = vmafx_record_text(record, attr->key, len);
    if (!made->key || !vmafx_record_value(record, &attr->value, &made->value)) {
        data->dropped_attrs++;
        return;
    }
    if (n < ATTR_TAGS)
        record->tags[n] = tag;
    data->attrs.n = n + 1;
}

void vmafx_record_put_attrs(SpanRecording *record, VmafxAttrs attrs)
{
    for (size_t i = 0; attrs.items && i < attrs.n; i++)
        put_attr(record, &attrs.items[i]);
}

void vmafx_record_put_event(SpanRecording *record, const char *name, VmafxAttrs attrs, uint64_t time_ns)
{
    VmafxSpanData *data = &record->data;
    const VmafxSpanLimits *limits = &record->handle.provider->limits;
    const void *items = data->events;
    VmafxEventData event = { .time_ns = time_ns };

    if (!vmafx_record_grow(record, &items, data->n_events, &record->room_events, sizeof event, limits->events) ||
        !(event.name = vmafx_record_text(record, name, strlen(name)))) {
        data->dropped_events++;
    } else {
        event.attrs = vmafx_record_attrs(record, attrs, limits->event_attrs, &event.dropped_attrs);
        ((VmafxEventData *)(uintptr_t)items)[data->n_events++] = event;
    }
    data->events = items;
}

void vmafx_record_put_link(SpanRecording *record, const VmafxSpanContext *context, VmafxAttrs attrs)
{
    VmafxSpanData *data = &record->data;
    const VmafxSpanLimits *limits = &record->handle.provider->limits;
    const void *items = data->links;
    const char *state = vmafx_tracestate_text(context->state);
    VmafxLinkData link = { .flags = context->flags, .remote = context->remote, .trace_state = "" };

    if (!vmafx_span_context_valid(context) && !(attrs.items && attrs.n) && !*state)
        return;
    if (!vmafx_record_grow(record, &items, data->n_links, &record->room_links, sizeof link, limits->links) ||
        (*state && !(link.trace_state = vmafx_record_text(record, state, strlen(state))))) {
        data->dropped_links++;
    } else {
        memcpy(link.trace_id, context->trace_id, sizeof link.trace_id);
        memcpy(link.span_id, context->span_id, sizeof link.span_id);
        link.attrs = vmafx_record_attrs(record, attrs, limits->link_attrs, &link.dropped_attrs);
        ((VmafxLinkData *)(uintptr_t)items)[data->n_links++] = link;
    }
    data->links = items;
}

void vmafx_record_put_status(SpanRecording *record, VmafxSpanStatus status, const char *description)
{
    VmafxSpanData *data = &record->data;

    if (data->status == VMAFX_STATUS_OK || (status != VMAFX_STATUS_OK && status != VMAFX_STATUS_ERROR))
        return;
    data->status = status;
    data->status_description =
        status == VMAFX_STATUS_ERROR ? vmafx_record_replace_text(record, data->status_description, description) : "";
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Traces in a list from the one touched last to the oldest: spans come in runs of one trace, so the search mostly ends
 * at the first. A trace has its spans in an array and a hash table over their ids.
 */

#include "otel/receive/trace_store.h"

#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

#include "base/base.h"
#include "otel/export/otlp_response.h"

enum {
    TRACES_MAX = 1000,
    SPANS_MAX = 10000,
    BYTES_MAX = 64 << 20,
    BLOCK_OVERHEAD = 32, /* what the allocator may need beside a block */
    SPANS_FIRST = 16,
    ATTRIBUTES_MAX = VMAFX_KEPT_ATTRIBUTES_MAX + VMAFX_KEPT_EVENTS_MAX * VMAFX_KEPT_EVENT_ATTRIBUTES_MAX,
    TEXTS_SIZE = VMAFX_KEPT_NAME_SIZE + VMAFX_KEPT_SERVICE_SIZE + VMAFX_KEPT_MESSAGE_SIZE +
                 ATTRIBUTES_MAX * (VMAFX_KEPT_KEY_SIZE + VMAFX_KEPT_VALUE_SIZE) +
                 VMAFX_KEPT_EVENTS_MAX * VMAFX_KEPT_NAME_SIZE,
};

/* A span and what it is counted by, in one block. */
typedef struct Kept {
    atomic_uint refs;
    size_t bytes;
    VmafxKeptSpan span; /* last: it has a flexible end */
} Kept;

typedef struct Trace {
    struct Trace *newer, *older;
    uint8_t id[16];
    Kept **spans;
    size_t n, room;  /* room is a power of two, or 0 */
    uint32_t *table; /* 2 * room slots: index of a span + 1, or 0 */
    uint64_t dropped;
} Trace;

struct VmafxTraceStore {
    VmafxTraceLimits limits;
    Trace *newest, *oldest;
    VmafxTraceCounts counts;
    char texts[TEXTS_SIZE]; /* of the span that is being added */
};

static Kept *kept_of(const VmafxKeptSpan *span)
{
    return (Kept *)((char *)span - offsetof(Kept, span));
}

static void kept_unref(Kept *kept)
{
    /* Release, so that our reads are over; acquire, so that everyone's are before the memory goes. */
    if (atomic_fetch_sub_explicit(&kept->refs, 1, memory_order_acq_rel) == 1)
        free(kept);
}

static size_t arrays_bytes(size_t room)
{
    return room ? room * (sizeof(Kept *) + 2 * sizeof(uint32_t)) + 2 * (size_t)BLOCK_OVERHEAD : 0;
}

/* ---- the list of traces ---- */

static void unlink_trace(VmafxTraceStore *store, Trace *trace)
{
    *(trace->newer ? &trace->newer->older : &store->newest) = trace->older;
    *(trace->older ? &trace->older->newer : &store->oldest) = trace->newer;
    trace->newer = trace->older = NULL;
}

static void link_newest(VmafxTraceStore *store, Trace *trace)
{
    trace->older = store->newest;
    *(store->newest ? &store->newest->newer : &store->oldest) = trace;
    store->newest = trace;
}

static void drop_trace(VmafxTraceStore *store, Trace *trace)
{
    unlink_trace(store, trace);
    for (size_t i = 0; i < trace->n; i++) {
        store->counts.bytes -= trace->spans[i]->bytes;
        kept_unref(trace->spans[i]);
    }
    store->counts.spans -= trace->n;
    store->counts.bytes -= arrays_bytes(trace->room) + sizeof *trace + BLOCK_OVERHEAD;
    store->counts.traces--;
    free(trace->spans);
    free(trace->table);
    free(trace);
}

static Trace *find_trace(const VmafxTraceStore *store, const uint8_t *id)
{
    Trace *trace = store->newest;

    while (trace && memcmp(trace->id, id, sizeof trace->id) != 0)
        trace = trace->older;
    return trace;
}

/* The trace as the newest of all, made if it must be. NULL: no memory. */
static Trace *touch_trace(VmafxTraceStore *store, const uint8_t *id)
{
    Trace *trace = find_trace(store, id);

    if (trace) {
        unlink_trace(store, trace);
    } else {
        if (store->counts.traces >= store->limits.traces) {
            drop_trace(store, store->oldest);
            store->counts.evicted++;
        }
        trace = calloc(1, sizeof *trace);
        if (!trace)
            return NULL;
        memcpy(trace->id, id, sizeof trace->id);
        store->counts.traces++;
        store->counts.bytes += sizeof *trace + BLOCK_OVERHEAD;
    }
    link_newest(store, trace);
    return trace;
}

/* Whether so many bytes more fit, once older traces than this one went. */
static bool make_room(VmafxTraceStore *store, const Trace *trace, size_t bytes)
{
    while (store->counts.bytes + bytes > store->limits.bytes && store->oldest != trace) {
        drop_trace(store, store->oldest);
        store->counts.evicted++;
    }
    return store->counts.bytes + bytes <= store->limits.bytes;
}

/* ---- spans of a trace ---- */

static size_t hash_of(const uint8_t *id)
{
    uint64_t h;

    memcpy(&h, id, sizeof h);
    h *= UINT64_C(0x9e3779b97f4a7c15); /* 2^64 / golden ratio: ids of counting senders spread too */
    return (size_t)(h >> 32);
}

/* The slot where a span of that id is, or would go. */
static uint32_t *slot_of(const Trace *trace, const uint8_t *id)
{
    size_t mask = 2 * trace->room - 1;

    for (size_t i = hash_of(id) & mask;; i = (i + 1) & mask) {
        uint32_t *slot = &trace->table[i];

        if (!*slot || !memcmp(trace->spans[*slot - 1]->span.span_id, id, 8))
            return slot;
    }
}

/* Room for one more span; the table is at most half full. */
static VmafxErr grow(VmafxTraceStore *store, Trace *trace)
{
    size_t room = trace->room ? 2 * trace->room : SPANS_FIRST;
    size_t more = arrays_bytes(room) - arrays_bytes(trace->room);

    if (trace->n < trace->room)
        return VMAFX_OK;
    if (!make_room(store, trace, more))
        return VMAFX_ERR_LIMIT;
    Kept **spans = realloc(trace->spans, room * sizeof *spans);
    if (!spans)
        return VMAFX_ERR_NOMEM;
    trace->spans = spans;
    uint32_t *table = calloc(2 * room, sizeof *table);
    if (!table)
        return VMAFX_ERR_NOMEM;
    free(trace->table);
    trace->table = table;
    trace->room = room;
    store->counts.bytes += more;
    for (size_t i = 0; i < trace->n; i++)
        *slot_of(trace, trace->spans[i]->span.span_id) = (uint32_t)i + 1;
    return VMAFX_OK;
}

/* ---- making a kept span ---- */

/* Texts one after the other in the store's scratch; offsets now, pointers once they have their place. */
typedef struct Draft {
    char *texts;
    size_t len;
    size_t name, service, message;
    struct {
        size_t key, value;
    } attributes[ATTRIBUTES_MAX]; /* the span's, then those of its events */
    struct {
        uint64_t time_ns;
        size_t name;
        uint32_t n_attributes;
    } events[VMAFX_KEPT_EVENTS_MAX];
    VmafxKeptLink links[VMAFX_KEPT_LINKS_MAX];
    uint32_t n_attributes, dropped, n_all_attributes;
    uint32_t n_events, dropped_events, n_links, dropped_links;
} Draft;

static size_t draft_text(Draft *draft, VmafxOtlpBytes text, size_t size)
{
    size_t at = draft->len;

    vmafx_otlp_printable(text.ptr, text.len, draft->texts + at, size);
    draft->len += strlen(draft->texts + at) + 1;
    return at;
}

static size_t draft_value(Draft *draft, const VmafxOtlpAttribute *attribute, size_t size)
{
    size_t at = draft->len;

    if (!vmafx_otlp_attribute_text(attribute, draft->texts + at, size))
        draft->texts[at] = 0; /* was checked when the request came in */
    draft->len += strlen(draft->texts + at) + 1;
    return at;
}

static bool key_is(const VmafxOtlpAttribute *attribute, const char *name)
{
    return attribute->key.len == strlen(name) && !memcmp(attribute->key.ptr, name, attribute->key.len);
}

static size_t draft_service(Draft *draft, VmafxWireReader resource)
{
    VmafxOtlpAttribute attribute;

    while (vmafx_otlp_attribute_next(&resource, VMAFX_OTLP_RESOURCE_ATTRIBUTES, &attribute))
        if (attribute.key.len && key_is(&attribute, "service.name"))
            return draft_value(draft, &attribute, VMAFX_KEPT_SERVICE_SIZE);
    return draft_text(draft, (VmafxOtlpBytes){ 0 }, VMAFX_KEPT_SERVICE_SIZE);
}

/* Attributes of one message, behind those that the draft has; how many of them were kept. */
static uint32_t draft_attributes(Draft *draft, VmafxWireReader fields, uint32_t number, uint32_t max,
                                 uint32_t *ret_dropped)
{
    VmafxOtlpAttribute attribute;
    uint32_t n = 0;

    while (vmafx_otlp_attribute_next(&fields, number, &attribute)) {
        if (n == max) {
            *ret_dropped += *ret_dropped < UINT32_MAX;
            continue;
        }
        uint32_t i = draft->n_all_attributes++;
        draft->attributes[i].key = draft_text(draft, attribute.key, VMAFX_KEPT_KEY_SIZE);
        draft->attributes[i].value = draft_value(draft, &attribute, VMAFX_KEPT_VALUE_SIZE);
        n++;
    }
    return n;
}

static void draft_events(Draft *draft, VmafxWireReader fields)
{
    VmafxOtlpEvent event;
    uint32_t left_out = 0; /* attributes of events: of no interest to anyone */

    while (vmafx_otlp_event_next(&fields, &event)) {
        if (draft->n_events == VMAFX_KEPT_EVENTS_MAX) {
            draft->dropped_events += draft->dropped_events < UINT32_MAX;
            continue;
        }
        uint32_t i = draft->n_events++;
        draft->events[i].time_ns = event.time_ns;
        draft->events[i].name = draft_text(draft, event.name, VMAFX_KEPT_NAME_SIZE);
        draft->events[i].n_attributes = draft_attributes(draft, event.fields, VMAFX_OTLP_EVENT_ATTRIBUTES,
                                                         VMAFX_KEPT_EVENT_ATTRIBUTES_MAX, &left_out);
    }
}

static void draft_links(Draft *draft, VmafxWireReader fields)
{
    VmafxOtlpLink link;

    while (vmafx_otlp_link_next(&fields, &link)) {
        if (draft->n_links == VMAFX_KEPT_LINKS_MAX || !vmafx_otlp_link_valid(&link)) {
            draft->dropped_links += draft->dropped_links < UINT32_MAX;
            continue;
        }
        VmafxKeptLink *kept = &draft->links[draft->n_links++];
        memcpy(kept->trace_id, link.trace_id.ptr, sizeof kept->trace_id);
        memcpy(kept->span_id, link.span_id.ptr, sizeof kept->span_id);
    }
}

static void draft_of(Draft *draft, const VmafxOtlpSpan *span)
{
    draft->name = draft_text(draft, span->name, VMAFX_KEPT_NAME_SIZE);
    draft->message = draft_text(draft, span->status_message, VMAFX_KEPT_MESSAGE_SIZE);
    draft->service = draft_service(draft, span->resource);
    draft->dropped = span->dropped_attributes;
    draft->dropped_events = span->dropped_events;
    draft->dropped_links = span->dropped_links;
    draft->n_attributes =
        draft_attributes(draft, span->fields, VMAFX_OTLP_SPAN_ATTRIBUTES, VMAFX_KEPT_ATTRIBUTES_MAX, &draft->dropped);
    draft_events(draft, span->fields);
    draft_links(draft, span->fields);
}

static size_t draft_bytes(const Draft *draft)
{
    return sizeof(Kept) + draft->n_all_attributes * sizeof(VmafxKeptAttribute) +
           draft->n_events * sizeof(VmafxKeptEvent) + draft->n_links * sizeof(VmafxKeptLink) + draft->len +
           BLOCK_OVERHEAD;
}

static Kept *kept_new(const Draft *draft, const VmafxOtlpSpan *span)
{
    size_t bytes = draft_bytes(draft);
    Kept *kept = malloc(bytes - BLOCK_OVERHEAD);

    if (!kept)
        return NULL;
    /* In one block: attributes, events, links, texts; the alignment never grows. */
    VmafxKeptEvent *events = (VmafxKeptEvent *)&kept->span.attributes[draft->n_all_attributes];
    VmafxKeptLink *links = (VmafxKeptLink *)&events[draft->n_events];
    char *texts = (char *)&links[draft->n_links];
    memcpy(texts, draft->texts, draft->len);
    atomic_init(&kept->refs, 1);
    kept->bytes = bytes;
    kept->span = (VmafxKeptSpan){
        .start_ns = span->start_ns,
        .end_ns = span->end_ns,
        .kind = span->kind <= 5 ? (uint8_t)span->kind : 0,
        .status = span->status <= 2 ? (uint8_t)span->status : 0,
        .n_attributes = draft->n_attributes,
        .dropped_attributes = draft->dropped,
        .n_events = draft->n_events,
        .dropped_events = draft->dropped_events,
        .n_links = draft->n_links,
        .dropped_links = draft->dropped_links,
        .events = events,
        .links = links,
        .name = texts + draft->name,
        .service = texts + draft->service,
        .status_message = texts + draft->message,
    };
    memcpy(kept->span.span_id, span->span_id.ptr, sizeof kept->span.span_id);
    if (span->parent_id.len)
        memcpy(kept->span.parent_id, span->parent_id.ptr, sizeof kept->span.parent_id);
    for (uint32_t i = 0; i < draft->n_all_attributes; i++)
        kept->span.attributes[i] =
            (VmafxKeptAttribute){ texts + draft->attributes[i].key, texts + draft->attributes[i].value };
    memcpy(links, draft->links, draft->n_links * sizeof *links);
    for (uint32_t i = 0, at = draft->n_attributes; i < draft->n_events; at += draft->events[i++].n_attributes)
        events[i] = (VmafxKeptEvent){ .time_ns = draft->events[i].time_ns,
                                      .name = texts + draft->events[i].name,
                                      .attributes = &kept->span.attributes[at],
                                      .n_attributes = draft->events[i].n_attributes };
    return kept;
}

/* ---- the contract ---- */

VmafxTraceStore *vmafx_trace_store_new(const VmafxTraceLimits *limits)
{
    VmafxTraceStore *store = calloc(1, sizeof *store);

    if (!store)
        return NULL;
    store->limits = (VmafxTraceLimits){
        .traces = limits && limits->traces ? limits->traces : TRACES_MAX,
        .spans_per_trace = limits && limits->spans_per_trace ? limits->spans_per_trace : SPANS_MAX,
        .bytes = limits && limits->bytes ? limits->bytes : BYTES_MAX,
    };
    return store;
}

void vmafx_trace_store_free(VmafxTraceStore **store)
{
    if (!*store)
        return;
    while ((*store)->oldest)
        drop_trace(*store, (*store)->oldest);
    free(*store);
    *store = NULL;
}

static VmafxErr add_to(VmafxTraceStore *store, Trace *trace, const VmafxOtlpSpan *span)
{
    Draft draft = { .texts = store->texts };

    if (trace->room && *slot_of(trace, span->span_id.ptr))
        return VMAFX_OK;
    if (trace->n >= store->limits.spans_per_trace)
        return VMAFX_ERR_LIMIT;
    VmafxErr err = grow(store, trace);
    if (err)
        return err;
    draft_of(&draft, span);
    if (!make_room(store, trace, draft_bytes(&draft)))
        return VMAFX_ERR_LIMIT;
    Kept *kept = kept_new(&draft, span);
    if (!kept)
        return VMAFX_ERR_NOMEM;
    uint32_t *slot = slot_of(trace, span->span_id.ptr);
    trace->spans[trace->n++] = kept;
    *slot = (uint32_t)trace->n;
    store->counts.bytes += kept->bytes;
    store->counts.spans++;
    return VMAFX_OK;
}

VmafxErr vmafx_trace_store_add(VmafxTraceStore *store, const VmafxOtlpSpan *span)
{
    if (!vmafx_otlp_span_valid(span))
        return VMAFX_ERR_INVALID;
    Trace *trace = touch_trace(store, span->trace_id.ptr);
    if (!trace)
        return VMAFX_ERR_NOMEM;
    VmafxErr err = add_to(store, trace, span);
    trace->dropped += err != VMAFX_OK;
    if (!trace->n) /* nothing to remember it for */
        drop_trace(store, trace);
    return err;
}

VmafxErr vmafx_trace_store_get(const VmafxTraceStore *store, const uint8_t trace_id[16], size_t start, size_t max_bytes,
                               VmafxKeptSpans *ret)
{
    const Trace *trace = find_trace(store, trace_id);
    size_t n = 0, bytes = 0;

    *ret = (VmafxKeptSpans){ 0 };
    if (!trace)
        return VMAFX_ERR_NOT_FOUND;
    start = VMAFX_MIN(start, trace->n);
    while (start + n < trace->n && (!n || bytes < max_bytes))
        bytes += trace->spans[start + n++]->bytes;
    if (n) {
        ret->spans = malloc(n * sizeof *ret->spans);
        if (!ret->spans)
            return VMAFX_ERR_NOMEM;
    }
    for (size_t i = 0; i < n; i++) {
        Kept *kept = trace->spans[start + i];

        atomic_fetch_add_explicit(&kept->refs, 1, memory_order_relaxed); /* the store holds one meanwhile */
        ret->spans[i] = &kept->span;
    }
    ret->n = n;
    ret->total = trace->n;
    ret->dropped = trace->dropped;
    return VMAFX_OK;
}

void vmafx_kept_spans_done(VmafxKeptSpans *spans)
{
    for (size_t i = 0; i < spans->n; i++)
        kept_unref(kept_of(spans->spans[i]));
    free(spans->spans);
    *spans = (VmafxKeptSpans){ 0 };
}

VmafxTraceCounts vmafx_trace_store_counts(const VmafxTraceStore *store)
{
    return store->counts;
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * What the provider, its spans and their memory share; for those files only.
 *
 *     provider ── lanes[] ── lane (one thread at a time)
 *                             ├── records: slabs of SpanRecording, 2 KiB each
 *                             ├── handles: slabs of SpanHandle, for spans that are not recorded
 *                             └── counters, clock anchor
 *
 * A slot is free in its home lane's local list (that thread only) or on its `returned` stack (anyone pushes, the thread
 * takes all at once, so there is no ABA).
 */
#ifndef VMAFX_OTEL_SDK_SPAN_H
#define VMAFX_OTEL_SDK_SPAN_H

#include "otel/sdk/trace_provider.h"

#include <stdatomic.h>
#include <string.h>

enum {
    RECORD_BYTES = 2048,
    INLINE_ATTRS = 12,
    INLINE_EVENTS = 3,
    INLINE_LINKS = 2,
    ATTR_TAGS = 64, /* attributes found by tag before by name */
    ANCHORS = 256,  /* a power of two */
};

typedef struct TraceLane TraceLane;

/** What both kinds of spans begin with. */
typedef struct SpanHandle {
    VmafxSpan span;
    VmafxTraceProvider *provider;
    TraceLane *home;
    struct SpanHandle *next_free;
    atomic_uint refs;         /* handles and finished references; acq_rel, so that the last one sees all writes */
    VmafxSpanContext context; /* the state is a reference of ours */
} SpanHandle;

typedef struct SpanChunk {
    struct SpanChunk *next;
} SpanChunk;

typedef struct SpanRecording {
    SpanHandle handle;
    VmafxSamplingDecision decision;
    atomic_bool ended;          /* written under the lock; read without it by is_recording */
    atomic_uchar lock;          /* covers data and memory until the span has ended; never held while calling out */
    uint64_t wall_less_mono_ns; /* the anchor: Unix time = CLOCK_MONOTONIC + this, modulo 2^64 */
    VmafxSpanData data;
    size_t room_attrs, room_events, room_links;
    char *text_at, *text_end; /* free bytes for copies */
    SpanChunk *chunks;
    size_t chunk_bytes;
    uint8_t tags[ATTR_TAGS]; /* a byte of each key, so that most comparisons are of one byte */
    VmafxAttr attrs[INLINE_ATTRS];
    VmafxEventData events[INLINE_EVENTS];
    VmafxLinkData links[INLINE_LINKS];
    char text[];
} SpanRecording;

_Static_assert(sizeof(SpanRecording) + 256 <= RECORD_BYTES, "a record has room for the text of a usual span");

typedef struct SpanSlab {
    struct SpanSlab *next;
} SpanSlab;

typedef struct SpanPool {
    SpanHandle *free;               /* the lane's thread only */
    _Atomic(SpanHandle *) returned; /* pushed with release, taken with acquire */
    SpanSlab *slabs;                /* the lane's thread only; the last owner frees */
    size_t slots;
} SpanPool;

enum { LANE_ORPHAN, LANE_OWNED, LANE_CLOSED };

/** Single-writer counters: the lane's thread adds, anyone reads. */
typedef struct LaneCounts {
    atomic_uint_least64_t started[3][3], ended[3], attrs, events, links;
} LaneCounts;

struct TraceLane {
    _Alignas(64) atomic_int state; /* a hand-over is an exchange with acq_rel */
    unsigned index;
    VmafxTraceProvider *provider;
    TraceLane *next; /* this thread's lanes */
    SpanPool records, handles;
    LaneCounts counts;
    uint64_t anchor_tag, anchor_ns;          /* of the last trace */
    uint64_t anchor_read, wall_less_mono_ns; /* the last reading of the wall clock, and when it was */
};

/** Anchors of local roots, for children on other threads. Two racing writers may mix: both are true readings. */
typedef struct SpanAnchor {
    atomic_uint_least64_t tag, ns;
} SpanAnchor;

typedef struct SdkTracer {
    VmafxTracerSdk sdk;
    VmafxTracer api; /* bound to this provider for good */
    VmafxTraceProvider *provider;
    struct SdkTracer *next;
    VmafxScope scope;
} SdkTracer;

struct VmafxTraceProvider {
    VmafxTracerProvider api;
    unsigned generation; /* of forks */
    atomic_bool down;
    VmafxOtelErrorHandler error;
    void *error_ctx;
    VmafxSampler *sampler;
    VmafxSpanLimits limits;
    VmafxSpanProcessor *processors[VMAFX_TRACE_PROCESSORS_MAX];
    size_t n_processors;
    const VmafxIdGenerator *ids;
    size_t records_max;
    _Atomic(SdkTracer *) tracers; /* only grows */
    atomic_uint n_tracers;
    SdkTracer unnamed;
    _Alignas(64) atomic_size_t records; /* in all slabs; and handles, which are bounded alike */
    atomic_size_t handles;
    atomic_uint_least64_t dropped_memory;
    atomic_uint n_lanes;
    _Atomic(TraceLane *) lanes[VMAFX_TRACE_LANES_MAX];
    SpanAnchor anchors[ANCHORS];
};

/** Whether the provider still works in this process. */
static inline bool vmafx_trace_alive(const VmafxTraceProvider *provider)
{
    return !atomic_load_explicit(&provider->down, memory_order_relaxed) &&
           provider->generation == vmafx_fork_generation();
}

static inline void vmafx_lane_count(atomic_uint_least64_t *counter, uint64_t n)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n, memory_order_relaxed);
}

/* ---- span_store.c ---- */

/** This thread's lane of the provider, made when needed; NULL when there can be none. */
TraceLane *vmafx_lane_get_slow(VmafxTraceProvider *provider);
extern _Thread_local TraceLane *vmafx_lane_last __attribute__((tls_model("initial-exec")));

static inline TraceLane *vmafx_lane_get(VmafxTraceProvider *provider)
{
    TraceLane *lane = vmafx_lane_last;

    if (lane && lane->provider == provider && atomic_load_explicit(&lane->state, memory_order_relaxed) == LANE_OWNED)
        return lane;
    return vmafx_lane_get_slow(provider);
}

/** Makes the pool's free list non-empty; false on no memory or over the limit. */
bool vmafx_pool_fill(TraceLane *lane, SpanPool *pool);
/** Puts a slot on its home's stack. */
void vmafx_slot_return(SpanHandle *handle, SpanPool *pool);

/** A slot of the lane, in which only provider and home are set; NULL on no memory or over the limit. */
static inline SpanHandle *vmafx_slot_take(TraceLane *lane, SpanPool *pool)
{
    if (!pool->free && !vmafx_pool_fill(lane, pool))
        return NULL;

    SpanHandle *handle = pool->free;

    pool->free = handle->next_free;
    return handle;
}

/** Any thread; the last reference is gone. pool is the one at home it came from. */
static inline void vmafx_slot_give(SpanHandle *handle, SpanPool *pool)
{
    if (handle->context.state)
        vmafx_tracestate_unref(&handle->context.state);
    if (handle->home == vmafx_lane_last) {
        handle->next_free = pool->free;
        pool->free = handle;
    } else {
        vmafx_slot_return(handle, pool);
    }
}

/** The same for a record, and what it had beyond itself. */
void vmafx_record_give(SpanRecording *record);

/** Frees the lanes of a provider and all slots; false, and nothing freed, while a slot is in use. */
bool vmafx_lanes_free(VmafxTraceProvider *provider);

/* Copies into a record's memory; the lock is held or nobody else knows the record. */

void *vmafx_record_alloc_slow(SpanRecording *record, size_t size);

/** Aligned to 8; NULL over the limit. */
static inline void *vmafx_record_alloc(SpanRecording *record, size_t size)
{
    char *memory = record->text_at;

    if (__builtin_expect(size > (size_t)(record->text_end - memory), 0))
        return vmafx_record_alloc_slow(record, size);
    record->text_at = memory + ((size + 7) & ~(size_t)7); /* the end is a multiple of 8, so this stays below it */
    return memory;
}

/** A terminated copy; NULL over the limit. */
static inline const char *vmafx_record_text(SpanRecording *record, const char *ptr, size_t len)
{
    char *text = len < SIZE_MAX ? vmafx_record_alloc(record, len + 1) : NULL;

    if (text) {
        memcpy(text, ptr, len);
        text[len] = 0;
    }
    return text;
}

bool vmafx_record_value_slow(SpanRecording *record, const VmafxValue *from, VmafxValue *to);

/**
 * A deep copy with the provider's length limit; false over the memory limit. Scalars go member by member: a copy of the
 * whole would wait for the stores of its parts to leave the store buffer.
 */
static inline bool vmafx_record_value(SpanRecording *record, const VmafxValue *from, VmafxValue *to)
{
    switch (from->type) {
    case VMAFX_VALUE_STR:
        if (!from->str.ptr || from->str.len > record->handle.provider->limits.value_length)
            return vmafx_record_value_slow(record, from, to);
        to->type = VMAFX_VALUE_STR;
        to->str.len = from->str.len;
        to->str.ptr = vmafx_record_text(record, from->str.ptr, from->str.len);
        return to->str.ptr;
    case VMAFX_VALUE_BOOL:
        to->type = VMAFX_VALUE_BOOL;
        to->b = from->b;
        return true;
    case VMAFX_VALUE_INT:
        to->type = VMAFX_VALUE_INT;
        to->i = from->i;
        return true;
    case VMAFX_VALUE_DOUBLE:
        to->type = VMAFX_VALUE_DOUBLE;
        to->d = from->d;
        return true;
    default:
        return vmafx_record_value_slow(record, from, to);
    }
}

/** A list of its own with unique keys, at most limit of them. */
VmafxAttrs vmafx_record_attrs(SpanRecording *record, VmafxAttrs from, size_t limit, uint32_t *dropped);
/** As much room for a growing list: the array to use from now on, or the old one and false. */
bool vmafx_record_grow(SpanRecording *record, const void **items, size_t n, size_t *room, size_t size, size_t limit);

/* ---- span_content.c; the record is open, or nobody else knows it ---- */

void vmafx_record_put_attrs(SpanRecording *record, VmafxAttrs attrs);
void vmafx_record_put_event(SpanRecording *record, const char *name, VmafxAttrs attrs, uint64_t time_ns);
void vmafx_record_put_link(SpanRecording *record, const VmafxSpanContext *context, VmafxAttrs attrs);
void vmafx_record_put_status(SpanRecording *record, VmafxSpanStatus status, const char *description);
/** A copy of text, where the old copy stands when it fits; the old one when there is no memory. "" is never a copy. */
const char *vmafx_record_replace_text(SpanRecording *record, const char *old, const char *text);

/* ---- trace_provider.c ---- */

void vmafx_trace_provider_warn(const VmafxTraceProvider *provider, const char *message);

/* ---- span.c ---- */

VmafxSpan *vmafx_sdk_span_start(VmafxTracerSdk *tracer, const char *name, const VmafxSpanOptions *options);
void vmafx_sdk_span_record(VmafxTracerSdk *tracer, const VmafxSpanRecord *record);
#endif

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Spans: how one starts (the standard's order: parent, sampler, ids, record, processors), what can be done to it, and
 * how it ends.
 *
 * One byte per span is its lock, taken for the length of a small copy. A span that ends through its only reference is
 * nobody else's, so ending needs no lock, and with one processor not even a count: the reference is handed on.
 */

#include "otel/sdk/span.h"

#include <sched.h>
#include <string.h>

#include "base/base.h"
#include "base/clock.h"

enum { ANCHOR_NS = 1000000 }; /* how long a reading of the wall clock is good for new traces */

static const VmafxSpanOps record_ops, handle_ops;

/* ---- time ---- */

static uint64_t record_now(const SpanRecording *record)
{
    return vmafx_monotonic_ns() + record->wall_less_mono_ns;
}

/*
 * A child of a local parent goes by its trace's clock, found on this thread or in the provider's table. Roots that
 * follow each other closely on a thread share a reading of the wall clock; after a step of the clock that is the old
 * time for ANCHOR_NS at most.
 */
static uint64_t anchor(VmafxTraceProvider *provider, TraceLane *lane, const uint8_t trace_id[16], bool local_parent,
                       uint64_t mono)
{
    uint64_t tag, found;

    memcpy(&tag, trace_id + 8, 8);

    SpanAnchor *entry = &provider->anchors[(tag ^ tag >> 32) % ANCHORS];

    if (local_parent) {
        if (lane->anchor_tag == tag)
            return lane->anchor_ns;
        if (atomic_load_explicit(&entry->tag, memory_order_acquire) == tag) {
            found = atomic_load_explicit(&entry->ns, memory_order_relaxed);
            lane->anchor_tag = tag;
            return lane->anchor_ns = found;
        }
    }
    lane->anchor_tag = tag;
    if (mono - lane->anchor_read >= ANCHOR_NS || !lane->anchor_read) {
        lane->anchor_read = mono;
        lane->wall_less_mono_ns = vmafx_wall_ns() - mono;
    }
    lane->anchor_ns = lane->wall_less_mono_ns;
    atomic_store_explicit(&entry->ns, lane->anchor_ns, memory_order_relaxed);
    atomic_store_explicit(&entry->tag, tag, memory_order_release); /* pairs with the load above */
    return lane->anchor_ns;
}

/* ---- the lock ---- */

/* False where nothing may be done: after the end, and in a forked child, whose locks may be held by no one. */
static inline bool open_record(SpanRecording *record)
{
    if (record->handle.provider->generation != vmafx_fork_generation())
        return false;
    for (unsigned spins = 0; atomic_exchange_explicit(&record->lock, 1, memory_order_acquire); spins++)
        if (spins > 64)
            sched_yield(); /* its holder is in the middle of a copy and was put aside */
    if (!atomic_load_explicit(&record->ended, memory_order_relaxed))
        return true;
    atomic_store_explicit(&record->lock, 0, memory_order_release);
    return false;
}

static inline void close_record(SpanRecording *record)
{
    atomic_store_explicit(&record->lock, 0, memory_order_release);
}

/* ---- starting ---- */

static bool all_zero(const uint8_t *bytes, size_t n)
{
    uint8_t any = 0;

    while (n)
        any |= bytes[--n];
    return !any;
}

static VmafxSpanKind known_kind(VmafxSpanKind kind)
{
    return kind >= VMAFX_SPAN_INTERNAL && kind <= VMAFX_SPAN_CONSUMER ? kind : VMAFX_SPAN_INTERNAL;
}

static VmafxParentOrigin origin_of(bool has_parent, bool remote)
{
    return !has_parent ? VMAFX_PARENT_NONE : remote ? VMAFX_PARENT_REMOTE : VMAFX_PARENT_LOCAL;
}

/* In halves, as the generator has just written them: a load of the whole would wait for both stores. */
static inline void copy_trace_id(uint8_t to[16], const uint8_t from[16])
{
    uint64_t high, low;

    memcpy(&high, from, sizeof high);
    memcpy(&low, from + sizeof high, sizeof low);
    memcpy(to, &high, sizeof high);
    memcpy(to + sizeof high, &low, sizeof low);
}

/* Member by member, see vmafx_record_value. */
static inline void handle_init(SpanHandle *handle, const VmafxSpanOps *ops, const VmafxSpanContext *context)
{
    handle->span.ops = ops;
    atomic_store_explicit(&handle->refs, 1, memory_order_relaxed);
    copy_trace_id(handle->context.trace_id, context->trace_id);
    memcpy(handle->context.span_id, context->span_id, sizeof context->span_id);
    handle->context.flags = context->flags;
    handle->context.remote = false;
    handle->context.state = context->state;
    if (context->state)
        vmafx_tracestate_ref(context->state);
}

/* A record ready for content. */
static void record_init(SpanRecording *record, const SdkTracer *tracer, const VmafxSpanContext *context,
                        const char *name, VmafxSpanKind kind)
{
    VmafxSpanData *data = &record->data;

    handle_init(&record->handle, &record_ops, context);
    atomic_store_explicit(&record->ended, false, memory_order_relaxed);
    atomic_store_explicit(&record->lock, 0, memory_order_relaxed);
    record->wall_less_mono_ns = 0;
    record->room_attrs = INLINE_ATTRS;
    record->room_events = INLINE_EVENTS;
    record->room_links = INLINE_LINKS;
    record->text_at = record->text;
    record->text_end = (char *)record + RECORD_BYTES;
    record->chunks = NULL;
    record->chunk_bytes = 0;
    *data = (VmafxSpanData){
        .flags = context->flags,
        .trace_state = vmafx_tracestate_text(context->state),
        .scope = &tracer->scope,
        .kind = kind,
        .attrs = { record->attrs, 0 },
        .events = record->events,
        .links = record->links,
        .status_description = "",
    };
    copy_trace_id(data->trace_id, context->trace_id);
    memcpy(data->span_id, context->span_id, sizeof data->span_id);
    data->name = vmafx_record_replace_text(record, "", name);
}

static void count_no_memory(VmafxTraceProvider *provider)
{
    atomic_fetch_add_explicit(&provider->dropped_memory, 1, memory_order_relaxed);
}

static VmafxSpan *no_op(const VmafxSpanOptions *options)
{
    return options->root ? vmafx_span_none() : vmafx_span_passthrough(options->parent);
}

/* The trace's id, new or the parent's, the span's, and the flags but for the sampled one. */
static void choose_ids(const VmafxTraceProvider *provider, const VmafxSpanContext *parent, VmafxSpanContext *context)
{
    const VmafxIdGenerator *ids = provider->ids;

    if (parent) {
        memcpy(context->trace_id, parent->trace_id, sizeof context->trace_id);
        context->flags = parent->flags & VMAFX_TRACE_FLAG_RANDOM;
    } else {
        context->flags = ids->random ? VMAFX_TRACE_FLAG_RANDOM : 0;
    }
    if (ids != &vmafx_ids_random) {
        if (!parent)
            ids->trace_id(ids, context->trace_id);
        ids->span_id(ids, context->span_id);
    } else if (parent) {
        vmafx_ids_span(context->span_id);
    } else {
        vmafx_ids_new(context->trace_id, context->span_id);
    }
}

static VmafxSpan *start_idle(TraceLane *lane, const VmafxSpanContext *context, const VmafxSpanOptions *options)
{
    SpanHandle *handle = vmafx_slot_take(lane, &lane->handles);

    if (!handle)
        return no_op(options);
    handle_init(handle, &handle_ops, context);
    return vmafx_span_idle(&handle->span);
}

static VmafxSpan *start_record(SpanRecording *record, const SdkTracer *tracer, TraceLane *lane, const char *name,
                               const VmafxSpanContext *context, const VmafxSpanContext *parent,
                               const VmafxSamplingResult *sampling, const VmafxSpanOptions *options)
{
    VmafxTraceProvider *provider = tracer->provider;

    record_init(record, tracer, context, name, known_kind(options->kind));
    record->decision = sampling->decision;
    if (parent) {
        record->data.parent_remote = parent->remote;
        memcpy(record->data.parent_span_id, parent->span_id, sizeof parent->span_id);
    }

    uint64_t mono = vmafx_monotonic_ns();

    record->wall_less_mono_ns = anchor(provider, lane, context->trace_id, parent && !parent->remote, mono);
    record->data.start_ns = options->start_ns ? options->start_ns : mono + record->wall_less_mono_ns;
    vmafx_record_put_attrs(record, options->attrs);
    vmafx_record_put_attrs(record, sampling->attrs);
    for (size_t i = 0; options->links && i < options->n_links; i++)
        vmafx_record_put_link(record, &options->links[i].context, options->links[i].attrs);

    for (size_t i = 0; i < provider->n_processors; i++)
        if (provider->processors[i]->on_start)
            provider->processors[i]->on_start(provider->processors[i], &record->handle.span,
                                              options->parent ? options->parent : vmafx_context_current());
    return &record->handle.span;
}

VmafxSpan *vmafx_sdk_span_start(VmafxTracerSdk *sdk, const char *name, const VmafxSpanOptions *options)
{
    SdkTracer *tracer = (SdkTracer *)sdk;
    VmafxTraceProvider *provider = tracer->provider;

    if (!vmafx_trace_alive(provider) || !provider->n_processors)
        return no_op(options);

    TraceLane *lane = vmafx_lane_get(provider);

    if (!lane) {
        count_no_memory(provider);
        return no_op(options);
    }

    const VmafxContext *around = options->parent ? options->parent : vmafx_context_current();
    const VmafxSpanContext *parent = around && !options->root ? vmafx_context_span_at(around) : NULL;
    VmafxSpanContext context;

    choose_ids(provider, parent, &context);

    VmafxSamplingResult sampling = { .state = parent ? parent->state : NULL };
    VmafxSamplingInput input = {
        .parent = parent,
        .trace_id = context.trace_id,
        .name = name,
        .kind = known_kind(options->kind),
        .attrs = options->attrs,
        .links = options->links,
        .n_links = options->n_links,
    };

    provider->sampler->sample(provider->sampler, &input, &sampling);
    context.state = sampling.state;
    if (__builtin_expect(sampling.warning != NULL, 0))
        vmafx_trace_provider_warn(provider, sampling.warning);

    SpanRecording *record = NULL;

    if (sampling.decision == VMAFX_SAMPLE_RECORD_ONLY || sampling.decision == VMAFX_SAMPLE_RECORD_AND_SAMPLE) {
        record = (SpanRecording *)vmafx_slot_take(lane, &lane->records);
        if (!record)
            count_no_memory(provider);
    }
    if (!record)
        sampling.decision = VMAFX_SAMPLE_DROP;
    else if (sampling.decision == VMAFX_SAMPLE_RECORD_AND_SAMPLE)
        context.flags |= VMAFX_TRACE_FLAG_SAMPLED;
    vmafx_lane_count(&lane->counts.started[origin_of(parent, parent && parent->remote)][sampling.decision], 1);

    VmafxSpan *span = record ? start_record(record, tracer, lane, name, &context, parent, &sampling, options)
                             : start_idle(lane, &context, options);

    if (__builtin_expect(sampling.made != NULL, 0))
        vmafx_tracestate_unref(&sampling.made);
    return span;
}

/* ---- ending ---- */

static void count_end(SpanRecording *record, TraceLane *lane)
{
    const VmafxSpanData *data = &record->data;

    if (!lane)
        return;
    vmafx_lane_count(&lane->counts.ended[record->decision], 1);
    if (data->dropped_attrs)
        vmafx_lane_count(&lane->counts.attrs, data->dropped_attrs);
    if (data->dropped_events)
        vmafx_lane_count(&lane->counts.events, data->dropped_events);
    if (data->dropped_links)
        vmafx_lane_count(&lane->counts.links, data->dropped_links);
}

static void record_drop(SpanRecording *record)
{
    if (atomic_load_explicit(&record->handle.refs, memory_order_acquire) == 1 ||
        atomic_fetch_sub_explicit(&record->handle.refs, 1, memory_order_acq_rel) == 1)
        vmafx_record_give(record);
}

/* To every processor, each with a reference of its own. With release ours is given up too. */
static void deliver(SpanRecording *record, TraceLane *lane, bool release)
{
    VmafxTraceProvider *provider = record->handle.provider;
    size_t n = provider->n_processors;

    if (!lane || atomic_load_explicit(&provider->down, memory_order_relaxed)) {
        if (!lane)
            count_no_memory(provider);
        if (release)
            record_drop(record);
        return;
    }
    if (release && atomic_load_explicit(&record->handle.refs, memory_order_acquire) == 1) {
        if (n != 1)
            atomic_store_explicit(&record->handle.refs, (unsigned)n, memory_order_relaxed);
        release = false;
    } else {
        atomic_fetch_add_explicit(&record->handle.refs, (unsigned)n, memory_order_relaxed);
    }
    for (size_t i = 0; i < n; i++)
        provider->processors[i]->on_end(provider->processors[i], (VmafxFinishedSpan *)record, lane->index);
    if (release)
        record_drop(record);
}

static void record_end(VmafxSpan *span, uint64_t end_ns, bool release)
{
    SpanRecording *record = (SpanRecording *)span;
    VmafxTraceProvider *provider = record->handle.provider;

    if (provider->generation != vmafx_fork_generation())
        return; /* the parent has the original */

    bool alone = release && atomic_load_explicit(&record->handle.refs, memory_order_acquire) == 1;

    if (alone ? atomic_load_explicit(&record->ended, memory_order_relaxed) : !open_record(record)) {
        if (release)
            record_drop(record);
        return;
    }
    record->data.end_ns = end_ns ? end_ns : record_now(record);
    atomic_store_explicit(&record->ended, true, memory_order_relaxed);
    if (!alone)
        close_record(record);

    TraceLane *lane = vmafx_lane_get(provider);

    count_end(record, lane);
    deliver(record, lane, release);
}

void vmafx_sdk_span_record(VmafxTracerSdk *sdk, const VmafxSpanRecord *given)
{
    SdkTracer *tracer = (SdkTracer *)sdk;
    VmafxTraceProvider *provider = tracer->provider;

    if (!vmafx_trace_alive(provider) || !provider->n_processors)
        return;

    TraceLane *lane = vmafx_lane_get(provider);
    SpanRecording *record = lane ? (SpanRecording *)vmafx_slot_take(lane, &lane->records) : NULL;

    if (!record) {
        count_no_memory(provider);
        return;
    }
    record_init(record, tracer, &given->context, given->name ? given->name : "", known_kind(given->kind));

    VmafxSpanData *data = &record->data;
    bool has_parent = !all_zero(given->parent_span_id, sizeof given->parent_span_id);

    record->decision =
        given->context.flags & VMAFX_TRACE_FLAG_SAMPLED ? VMAFX_SAMPLE_RECORD_AND_SAMPLE : VMAFX_SAMPLE_RECORD_ONLY;
    memcpy(data->parent_span_id, given->parent_span_id, sizeof data->parent_span_id);
    data->parent_remote = has_parent && given->parent_remote;
    data->start_ns = given->start_ns;
    data->end_ns = given->end_ns;
    vmafx_record_put_attrs(record, given->attrs);
    for (size_t i = 0; given->events && i < given->n_events; i++)
        vmafx_record_put_event(record, given->events[i].name ? given->events[i].name : "", given->events[i].attrs,
                               given->events[i].time_ns);
    for (size_t i = 0; given->links && i < given->n_links; i++)
        vmafx_record_put_link(record, &given->links[i].context, given->links[i].attrs);
    vmafx_record_put_status(record, given->status, given->status_description ? given->status_description : "");
    atomic_store_explicit(&record->ended, true, memory_order_relaxed);

    vmafx_lane_count(&lane->counts.started[origin_of(has_parent, data->parent_remote)][record->decision], 1);
    count_end(record, lane);
    deliver(record, lane, true);
}

/* ---- what can be done to a recording span ---- */

static void record_set_attrs(VmafxSpan *span, VmafxAttrs attrs)
{
    SpanRecording *record = (SpanRecording *)span;

    if (!open_record(record))
        return;
    vmafx_record_put_attrs(record, attrs);
    close_record(record);
}

static void record_add_event(VmafxSpan *span, const char *name, VmafxAttrs attrs, uint64_t time_ns)
{
    SpanRecording *record = (SpanRecording *)span;

    if (!open_record(record))
        return;
    vmafx_record_put_event(record, name, attrs, time_ns ? time_ns : record_now(record));
    close_record(record);
}

static void record_add_link(VmafxSpan *span, const VmafxSpanContext *context, VmafxAttrs attrs)
{
    SpanRecording *record = (SpanRecording *)span;

    if (!open_record(record))
        return;
    vmafx_record_put_link(record, context, attrs);
    close_record(record);
}

static void record_set_status(VmafxSpan *span, VmafxSpanStatus status, const char *description)
{
    SpanRecording *record = (SpanRecording *)span;

    if (!open_record(record))
        return;
    vmafx_record_put_status(record, status, description);
    close_record(record);
}

static void record_update_name(VmafxSpan *span, const char *name)
{
    SpanRecording *record = (SpanRecording *)span;

    if (!open_record(record))
        return;
    record->data.name = vmafx_record_replace_text(record, record->data.name, name);
    close_record(record);
}

static void any_ref(VmafxSpan *span)
{
    atomic_fetch_add_explicit(&((SpanHandle *)span)->refs, 1, memory_order_relaxed);
}

static void record_unref(VmafxSpan *span)
{
    SpanRecording *record = (SpanRecording *)span;
    VmafxTraceProvider *provider = record->handle.provider;

    if (provider->generation != vmafx_fork_generation())
        return;
    /* Whoever finds itself the last with a span that never ended takes it off the live ones. */
    if (atomic_fetch_sub_explicit(&record->handle.refs, 1, memory_order_acq_rel) > 1)
        return;
    if (!atomic_load_explicit(&record->ended, memory_order_relaxed))
        count_end(record, vmafx_lane_get(provider));
    vmafx_record_give(record);
}

static bool any_context(const VmafxSpan *span, VmafxSpanContext *ret)
{
    *ret = ((const SpanHandle *)span)->context;
    return true;
}

static bool record_is_recording(const VmafxSpan *span)
{
    const SpanRecording *record = (const SpanRecording *)span;

    return !atomic_load_explicit(&record->ended, memory_order_relaxed) &&
           record->handle.provider->generation == vmafx_fork_generation();
}

static const VmafxSpanOps record_ops = {
    .set_attrs = record_set_attrs,
    .add_event = record_add_event,
    .add_link = record_add_link,
    .set_status = record_set_status,
    .update_name = record_update_name,
    .end = record_end,
    .ref = any_ref,
    .unref = record_unref,
    .context = any_context,
    .is_recording = record_is_recording,
};

/* ---- and to one that only has ids ---- */

static void handle_unref(VmafxSpan *span)
{
    SpanHandle *handle = (SpanHandle *)span;

    if (atomic_load_explicit(&handle->refs, memory_order_acquire) == 1 ||
        atomic_fetch_sub_explicit(&handle->refs, 1, memory_order_acq_rel) == 1)
        vmafx_slot_give(handle, &handle->home->handles);
}

static void handle_end(VmafxSpan *span, uint64_t end_ns, bool release)
{
    if (release)
        handle_unref(span);
}

static const VmafxSpanOps handle_ops = {
    .end = handle_end,
    .ref = any_ref,
    .unref = handle_unref,
    .context = any_context,
};

/* ---- finished ones ---- */

const VmafxSpanData *vmafx_finished_span_data(const VmafxFinishedSpan *span)
{
    return &((const SpanRecording *)span)->data;
}

void vmafx_finished_span_unref(VmafxFinishedSpan **span)
{
    if (span && *span)
        record_drop((SpanRecording *)VMAFX_TAKE(*span));
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Exemplars: a few measurements kept whole, with the span they were made under. One reservoir belongs to one series.
 *
 * An offer never waits and never allocates: when another thread is offering, or a reader is collecting, the offer is
 * passed over, which sampling allows. Rules: OpenTelemetry Metrics SDK, "Exemplar".
 */
#ifndef VMAFX_OTEL_SDK_EXEMPLAR_H
#define VMAFX_OTEL_SDK_EXEMPLAR_H

#include "otel/api/context.h"
#include "otel/sdk/aggregation.h"
#include "otel/sdk/data.h"

typedef enum VmafxExemplarFilter {
    VMAFX_EXEMPLARS_TRACE_BASED = 0, /* under a sampled span */
    VMAFX_EXEMPLARS_ALWAYS_ON,
    VMAFX_EXEMPLARS_ALWAYS_OFF,
} VmafxExemplarFilter;

/** Attributes that a view took off the series, at most 8 in 256 bytes of keys and texts; what does not fit is left out.
 *  Arrays and maps are left out too. */
#define VMAFX_EXEMPLAR_ATTRS 8
#define VMAFX_EXEMPLAR_BYTES 256

typedef struct VmafxExemplarAttrs {
    uint16_t n, used;
    struct {
        uint16_t key, text, text_len; /* offsets into bytes */
        VmafxValueType type;
        int64_t i; /* BOOL too */
        double d;
    } items[VMAFX_EXEMPLAR_ATTRS];
    char bytes[VMAFX_EXEMPLAR_BYTES];
} VmafxExemplarAttrs;

typedef struct VmafxExemplarSlot {
    bool set;
    uint64_t time_ns;
    VmafxNumber value;
    uint8_t trace_id[VMAFX_TRACE_ID_BYTES], span_id[VMAFX_SPAN_ID_BYTES]; /* all zero: none */
} VmafxExemplarSlot;

typedef struct VmafxReservoir VmafxReservoir;

/**
 * How many slots the default reservoir of an aggregation has: one per bucket of an explicit histogram (the last
 * measurement of each bucket stays), min(20, buckets) for an exponential one and 1 for others (a uniform sample).
 */
size_t vmafx_reservoir_slots(const VmafxAggConfig *config);

/** filtered: keep room for attributes that a view drops. config is borrowed. NULL on no memory. */
VmafxReservoir *vmafx_reservoir_new(const VmafxAggConfig *config, bool filtered, uint64_t seed);
void vmafx_reservoir_free(VmafxReservoir **reservoir);

/** Whether the filter lets a measurement in this context (NULL: the current one) be offered; gives its span. */
bool vmafx_exemplar_eligible(VmafxExemplarFilter filter, const VmafxContext *context, VmafxSpanContext *ret_span);

/**
 * Offers a measurement; NULL reservoir: nothing. dropped are the attributes not on the series. Any thread.
 * now is asked for the time only when the measurement is kept.
 */
void vmafx_reservoir_offer(VmafxReservoir *reservoir, VmafxNumber value, const VmafxSpanContext *span,
                           VmafxAttrs dropped, uint64_t (*now)(void *ctx), void *now_ctx);

/**
 * Takes everything kept since the last call and starts anew. slots has room for all slots of the reservoir and
 * attrs too (NULL when not filtered); slots that hold nothing new are left as they are, so that several takes add up.
 * Readers only: it waits for an offer in flight, for a bounded time, and takes nothing then.
 */
void vmafx_reservoir_take(VmafxReservoir *reservoir, VmafxExemplarSlot *slots, VmafxExemplarAttrs *attrs);
#endif

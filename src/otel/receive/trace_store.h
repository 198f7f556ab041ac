/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Recent traces, in memory, within limits. A trace that gets no more spans grows old; when there is no room the oldest
 * goes. Texts are cut to the sizes below, so that one span has a size too.
 *
 * The store is used by one thread at a time (the receiver has a lock); kept spans are read only and counted, so what
 * was handed out stays good whatever happens to the store.
 */
#ifndef VMAFX_OTEL_RECEIVE_TRACE_STORE_H
#define VMAFX_OTEL_RECEIVE_TRACE_STORE_H

#include <stddef.h>
#include <stdint.h>

#include <vmafx/error.h>

#include "otel/receive/otlp_read.h"

/* Limits of one span, with the terminating zero; what is longer is cut at a character. */
#define VMAFX_KEPT_NAME_SIZE            256
#define VMAFX_KEPT_SERVICE_SIZE         128
#define VMAFX_KEPT_MESSAGE_SIZE         512
#define VMAFX_KEPT_KEY_SIZE             128
#define VMAFX_KEPT_VALUE_SIZE           512
#define VMAFX_KEPT_ATTRIBUTES_MAX       64
#define VMAFX_KEPT_EVENTS_MAX           16
#define VMAFX_KEPT_LINKS_MAX            16
#define VMAFX_KEPT_EVENT_ATTRIBUTES_MAX 8 /* of one event; the rest is left out */

typedef struct VmafxKeptAttribute {
    const char *key, *value;
} VmafxKeptAttribute;

typedef struct VmafxKeptEvent {
    uint64_t time_ns; /* since 1970 */
    const char *name;
    const VmafxKeptAttribute *attributes;
    uint32_t n_attributes;
} VmafxKeptEvent;

typedef struct VmafxKeptLink {
    uint8_t trace_id[16], span_id[8];
} VmafxKeptLink;

/** A span as it is kept: the first events and links of many; texts are printable UTF-8 without control characters. */
typedef struct VmafxKeptSpan {
    uint8_t span_id[8], parent_id[8]; /* parent all zero: none */
    uint64_t start_ns, end_ns;        /* since 1970 */
    uint8_t kind;                     /* 0 … 5, as OTLP numbers them */
    uint8_t status;                   /* 0 unset 1 ok 2 error */
    uint32_t n_attributes, dropped_attributes;
    uint32_t n_events, dropped_events;
    uint32_t n_links, dropped_links;
    const VmafxKeptEvent *events;
    const VmafxKeptLink *links;
    const char *name, *service, *status_message; /* never NULL */
    VmafxKeptAttribute attributes[];             /* n_attributes of the span, then those of its events */
} VmafxKeptSpan;

typedef struct VmafxTraceLimits {
    size_t traces;          /* 0: 1000 */
    size_t spans_per_trace; /* 0: 10 000 */
    size_t bytes;           /* of everything kept; 0: 64 MiB */
} VmafxTraceLimits;

typedef struct VmafxTraceStore VmafxTraceStore;

/** NULL: no memory. */
VmafxTraceStore *vmafx_trace_store_new(const VmafxTraceLimits *limits);
void vmafx_trace_store_free(VmafxTraceStore **store);

/**
 * Keeps a span; one that is there already (a sender that tried again) stays as it was.
 * @return VMAFX_ERR_INVALID not vmafx_otlp_span_valid; VMAFX_ERR_LIMIT its trace is full, and it is counted there;
 * VMAFX_ERR_NOMEM
 */
VMAFX_CHECK VmafxErr vmafx_trace_store_add(VmafxTraceStore *store, const VmafxOtlpSpan *span);

/** Spans of one trace, in the order in which they came. Zeroed: none. */
typedef struct VmafxKeptSpans {
    const VmafxKeptSpan **spans; /* a reference each */
    size_t n;
    size_t total;     /* of the trace */
    uint64_t dropped; /* beyond its limit */
} VmafxKeptSpans;

/**
 * A part of a trace: spans from the start-th on, as many as have about max_bytes together (at least one).
 * @return VMAFX_ERR_NOT_FOUND no such trace, or no longer; VMAFX_ERR_NOMEM
 */
VMAFX_CHECK VmafxErr vmafx_trace_store_get(const VmafxTraceStore *store, const uint8_t trace_id[16], size_t start,
                                           size_t max_bytes, VmafxKeptSpans *ret);
/** Gives the references back; any thread. */
void vmafx_kept_spans_done(VmafxKeptSpans *spans);

typedef struct VmafxTraceCounts {
    size_t traces, spans, bytes;
    uint64_t evicted; /* traces that went to make room */
} VmafxTraceCounts;

VmafxTraceCounts vmafx_trace_store_counts(const VmafxTraceStore *store);
#endif

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The provider: samplers, limits and processors behind the API's tracers. Several may live side by side; one is the
 * global one (vmafx_tracer_provider_set). Any thread may call anything but free.
 *
 * Memory: a span is a record of fixed size from a slab of the thread that starts it; only an unusually large one takes
 * more, at most limits.span_bytes. Whoever drops the last reference to a record gives it back to that thread. What a
 * thread owns is called a lane; lanes of threads that are gone are taken over by new ones, with all they hold.
 *
 * Fork: in the child a provider and everything it made are silent and nothing waits; make a new one there.
 */
#ifndef VMAFX_OTEL_SDK_TRACE_PROVIDER_H
#define VMAFX_OTEL_SDK_TRACE_PROVIDER_H

#include "otel/sdk/data.h"

#include "otel/api/trace.h"
#include "otel/sdk/ids.h"
#include "otel/sdk/sampler.h"

#define VMAFX_TRACE_PROCESSORS_MAX 4
#define VMAFX_TRACE_LANES_MAX      4096 /* threads that trace at one time; the others' spans are dropped and counted */

/* ---- Processors ---- */

/** A span that has ended: immutable, shared by references, of any thread. */
typedef struct VmafxFinishedSpan VmafxFinishedSpan;

const VmafxSpanData *vmafx_finished_span_data(const VmafxFinishedSpan *span); /* lives as long as the reference */
void vmafx_finished_span_unref(VmafxFinishedSpan **span);

typedef struct VmafxSpanProcessor VmafxSpanProcessor;
struct VmafxSpanProcessor {
    /** A recording span has started; NULL: not interested. On the starting thread; must not block. */
    void (*on_start)(VmafxSpanProcessor *processor, VmafxSpan *span, const VmafxContext *parent);
    /**
     * It has ended. Takes over the reference. On the ending thread; must not block. No two threads are ever inside with
     * the same lane, and what one did with a lane is visible to the next; lanes count from 0.
     */
    void (*on_end)(VmafxSpanProcessor *processor, VmafxFinishedSpan *span, unsigned lane);
    VmafxExportResult (*force_flush)(VmafxSpanProcessor *processor, uint64_t deadline_ns);
    VmafxExportResult (*shutdown)(VmafxSpanProcessor *processor, uint64_t deadline_ns);
    /** False: a thread of it could not be stopped, so nothing it may still use was freed, and spans must stay too. */
    bool (*free)(VmafxSpanProcessor *processor);
};

/* ---- Provider ---- */

/** Counts per collection; beyond one the new item is dropped and counted. 0 is a limit like any other. */
typedef struct VmafxSpanLimits {
    size_t attrs, events, links, event_attrs, link_attrs;
    size_t value_length; /* characters of a string, bytes of a byte array; SIZE_MAX: none */
    size_t span_bytes;   /* of one span's copies beyond its record; what does not fit is dropped and counted */
} VmafxSpanLimits;

#define VMAFX_SPAN_LIMITS_DEFAULT ((VmafxSpanLimits){ 128, 128, 128, 128, 128, SIZE_MAX, 1 << 20 })

typedef struct VmafxTraceProviderConfig {
    VmafxSampler *sampler; /* taken over; NULL: parent-based, root always on */
    VmafxSpanLimits limits;
    VmafxSpanProcessor *processors[VMAFX_TRACE_PROCESSORS_MAX]; /* taken over; called in this order */
    size_t n_processors;
    const VmafxIdGenerator *ids; /* NULL: random; must outlive the provider */
    size_t records_max; /* spans in memory at one time, of about 2 KiB; beyond it they are dropped and counted */
    VmafxOtelErrorHandler error; /* what samplers have to say; NULL: a line on stderr. On threads that start spans */
    void *error_ctx;
} VmafxTraceProviderConfig;

#define VMAFX_TRACE_PROVIDER_DEFAULT                                                                                   \
    ((VmafxTraceProviderConfig){ .limits = VMAFX_SPAN_LIMITS_DEFAULT, .records_max = 16384 })

typedef struct VmafxTraceProvider VmafxTraceProvider;

/** NULL on no memory; the sampler and processors are freed then. */
VmafxTraceProvider *vmafx_trace_provider_new(const VmafxTraceProviderConfig *config);

/** What vmafx_tracer_provider_set takes; lives as long as the provider. */
VmafxTracerProvider *vmafx_trace_provider_api(VmafxTraceProvider *provider);

/** A tracer of this provider, global or not; lives as long as it. Identity is all four. Never NULL. */
VmafxTracer *vmafx_trace_provider_tracer(VmafxTraceProvider *provider, const char *name, const char *version,
                                         const char *schema_url, VmafxAttrs attrs);

/** All processors, one after the other, within one deadline; the worst of their answers. */
VmafxExportResult vmafx_trace_provider_force_flush(VmafxTraceProvider *provider, uint64_t deadline_ns);

/** Once; FAILED for every later call. Spans started later are no-ops, those that end later are ignored. */
VmafxExportResult vmafx_trace_provider_shutdown(VmafxTraceProvider *provider, uint64_t deadline_ns);

/**
 * Shuts down within a second, unless that was done, and frees. No thread may be inside a call to one of
 * its tracers or spans. While a span is still held, or an export cannot be stopped, its memory is left alone. In a
 * forked child everything is left alone.
 */
void vmafx_trace_provider_free(VmafxTraceProvider **provider);

/* ---- Counts ---- */

typedef enum VmafxParentOrigin { VMAFX_PARENT_NONE, VMAFX_PARENT_LOCAL, VMAFX_PARENT_REMOTE } VmafxParentOrigin;

/** otel.sdk.span.*; since the provider was made. */
typedef struct VmafxTraceCounts {
    uint64_t started[3][3];  /* [VmafxParentOrigin][VmafxSamplingDecision] */
    int64_t live[3];         /* [VmafxSamplingDecision]; recording ones */
    uint64_t dropped_memory; /* spans that could not be recorded: no memory, records_max, lanes */
    uint64_t dropped_attrs, dropped_events, dropped_links; /* over a limit, all spans */
} VmafxTraceCounts;

void vmafx_trace_provider_counts(const VmafxTraceProvider *provider, VmafxTraceCounts *ret);
#endif

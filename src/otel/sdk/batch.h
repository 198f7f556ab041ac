/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Span processors that export: in batches on a thread of their own, or one by one for tests.
 *
 *     lane 0 ring ─┐
 *     lane 1 ring ─┼─▶ worker ─▶ exporter            one bound over all rings: max_queue
 *     lane 2 ring ─┘
 *
 * A thread that ends a span puts a pointer into its lane's ring and never waits; with the queue full the new span is
 * dropped and counted. The worker exports when a batch is full, when the delay has passed, for a flush and for
 * shutdown. Deadlines are CLOCK_MONOTONIC nanoseconds. Rules: OpenTelemetry Trace SDK, "Batching processor".
 */
#ifndef VMAFX_OTEL_SDK_BATCH_H
#define VMAFX_OTEL_SDK_BATCH_H

#include "otel/sdk/data.h"
#include "otel/sdk/trace_provider.h"

typedef struct VmafxBatchConfig {
    VmafxExporter *exporter;       /* taken over */
    const VmafxResource *resource; /* copied; NULL: an empty one */
    size_t max_queue;              /* spans; 1 … 65536, and sensibly below the provider's records_max */
    size_t max_batch;              /* 1 … max_queue */
    uint64_t delay_ms;             /* between exports; 0 counts as 1 */
    uint64_t export_timeout_ms;    /* of one batch; 0: none */
    VmafxOtelErrorHandler error;   /* NULL: one line on stderr; called on the worker only */
    void *error_ctx;
} VmafxBatchConfig;

#define VMAFX_BATCH_DEFAULT                                                                                            \
    ((VmafxBatchConfig){ .max_queue = 2048, .max_batch = 512, .delay_ms = 5000, .export_timeout_ms = 30000 })

/** Values out of range are brought into it. NULL on no memory (or exporter NULL); the exporter is freed then. */
VmafxSpanProcessor *vmafx_batch_processor_new(const VmafxBatchConfig *config);

/** otel.sdk.processor.span.* and .exporter.span.*; since it was made. Any thread. */
typedef struct VmafxBatchCounts {
    uint64_t queue_size, queue_capacity;
    uint64_t processed;        /* handed to the exporter */
    uint64_t dropped_full;     /* error.type = queue_full */
    uint64_t dropped_shutdown; /* error.type = already_shutdown */
    uint64_t dropped_memory;   /* a lane without a ring */
    uint64_t exported, failed, timed_out, inflight;
    uint64_t batches;
} VmafxBatchCounts;

/** Zeroes for a processor of another kind. */
void vmafx_batch_counts(const VmafxSpanProcessor *processor, VmafxBatchCounts *ret);

/** Exports each sampled span when it ends, on the ending thread, which may wait: for tests and debugging. */
VmafxSpanProcessor *vmafx_simple_processor_new(VmafxExporter *exporter, const VmafxResource *resource);
#endif

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The SDK about itself: otel.sdk.* metrics (OpenTelemetry semantic conventions 1.44, "SDK metrics"), read from the
 * counters that its parts keep anyway, once per collection; durations are measured (timed.h). What the counters do not
 * tell is not made up: there is no inflight of metric data points.
 *
 *     otel.sdk.span.started, .span.live, .log.created               providers
 *     otel.sdk.processor.{span,log}.queue.size, .queue.capacity     batching processors
 *     otel.sdk.processor.{span,log}.processed                       error.type: queue_full, already_shutdown, no_memory
 *     otel.sdk.exporter.{span,log}.inflight                         server.address, server.port where there is a server
 *     otel.sdk.exporter.{span,log,metric_data_point}.exported       error.type: rejected, timeout, too_large, _OTHER
 *     otel.sdk.exporter.operation.duration                          one export_batch; the same, and the answer's status
 *     otel.sdk.metric_reader.collection.duration                    one collection, the program's callbacks included
 *
 * Series begin at 0, failures too, so that the first of them is seen as an increase.
 */
#ifndef VMAFX_OTEL_EXPORT_SELF_H
#define VMAFX_OTEL_EXPORT_SELF_H

#include "otel/export/endpoint.h"
#include "otel/export/otel.h"
#include "otel/export/timed.h"
#include "otel/sdk/batch.h"
#include "otel/sdk/log_provider.h"
#include "otel/sdk/meter_provider.h"
#include "otel/sdk/trace_provider.h"

#define VMAFX_SELF_METER       "vmafx.otel"
#define VMAFX_OTEL_EXPORTERS   2 /* of one signal: OTLP and console */
#define VMAFX_OTEL_WAYS        (3 * VMAFX_OTEL_EXPORTERS)
#define VMAFX_SELF_ADDRESS_MAX 255

/** One way out: an exporter, and the processor in front of it (metrics: a reader, which counts nothing itself). */
typedef struct VmafxOtelWay {
    VmafxSignal signal;
    VmafxExporter *exporter;
    bool otlp;                                /* it counts its items itself */
    char address[VMAFX_SELF_ADDRESS_MAX + 1]; /* host or socket; "": no server */
    uint16_t port;                            /* 0: none */
    VmafxSpanProcessor *spans;                /* TRACES: a batching one */
    VmafxLogProcessor *logs;                  /* LOGS: a batching one */
    VmafxTimedBoth *timed;                    /* of the exporter, and of the reader; NULL: not timed */
} VmafxOtelWay;

/** What telemetry is made of. Borrowed: everything lives until after vmafx_self_free. */
typedef struct VmafxOtelParts {
    VmafxTraceProvider *traces; /* each NULL where the signal is off */
    VmafxMeterProvider *metrics;
    VmafxLogProvider *logs;
    VmafxOtelWay ways[VMAFX_OTEL_WAYS];
    size_t n_ways;
    VmafxTimed page; /* of collections for the Prometheus page */
    bool has_page;
} VmafxOtelParts;

typedef struct VmafxSelf VmafxSelf;

/** Begins to publish through parts->metrics; parts must not change any more. NULL without metrics or memory. */
VmafxSelf *vmafx_self_new(VmafxOtelParts *parts, const char *version);

/**
 * Ends it. Once this returns nothing reads the parts any more, whatever the readers are doing; it waits for a callback
 * that runs. Before the parts are freed, and after the last collection, which shall see everything.
 */
void vmafx_self_free(VmafxSelf **self);

/** The totals, whether anything is published or not. Any thread. */
void vmafx_self_counts(const VmafxOtelParts *parts, VmafxOtelCounts *ret);
#endif

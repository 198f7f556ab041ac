/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Readers: who collects, when, and in which form. A pull reader (no exporter) is collected by calling it: a Prometheus
 * page. A periodic reader has a thread that collects and exports at an interval, start to start.
 *
 * A reader is made from options and given to one provider, which owns it from then on and stops it.
 */
#ifndef VMAFX_OTEL_SDK_READER_H
#define VMAFX_OTEL_SDK_READER_H

#include "otel/api/metrics.h"
#include "otel/sdk/aggregation.h"
#include "otel/sdk/data.h"
#include "otel/sdk/metric_snapshot.h"

#define VMAFX_READER_INTERVAL_MS 60000
#define VMAFX_READER_TIMEOUT_MS  30000

/** OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE. Gauges have none. */
typedef enum VmafxTemporality {
    VMAFX_TEMPORALITY_CUMULATIVE = 0, /* all */
    VMAFX_TEMPORALITY_DELTA,          /* counters and histograms; up-down counters stay cumulative */
    VMAFX_TEMPORALITY_LOWMEMORY,      /* synchronous counters and histograms */
} VmafxTemporality;

typedef struct VmafxReaderOptions {
    VmafxExporter *exporter; /* taken over, also on failure; NULL: a pull reader */
    uint32_t interval_ms;    /* 0: 60000 */
    uint32_t timeout_ms;     /* of one collection and export; 0: 30000 */
    VmafxTemporality temporality;
    VmafxAggregation aggregation[VMAFX_KINDS]; /* by kind; DEFAULT: the specification's */
    uint32_t cardinality_limit[VMAFX_KINDS];   /* by kind; 0: 2000 */
    /** After each collection, on the collecting thread and without a lock: how long it took. NULL: nobody. */
    void (*collected)(void *ctx, uint64_t took_ns, bool ok);
    void *collected_ctx;
} VmafxReaderOptions;

typedef struct VmafxMetricReader VmafxMetricReader;
typedef struct VmafxMeterProvider VmafxMeterProvider;

/** Boundaries in options are copied. NULL on no memory. */
VmafxMetricReader *vmafx_metric_reader_new(const VmafxReaderOptions *options);

/**
 * Collects now. NULL without a provider, after shutdown, inside a callback, in a forked child and on no memory. The
 * snapshot is the caller's, and must be freed before the provider is. Calls of one reader queue up.
 */
VmafxMetricSnapshot *vmafx_metric_reader_collect(VmafxMetricReader *reader);

/** Collects and exports what was measured before the call. A pull reader: OK at once. */
VmafxExportResult vmafx_metric_reader_flush(VmafxMetricReader *reader, uint64_t deadline_ns);

/** The final collection and export, then the end of thread and exporter, all by the deadline. A second call FAILs. */
VmafxExportResult vmafx_metric_reader_shutdown(VmafxMetricReader *reader, uint64_t deadline_ns);

/* ---- For the provider ---- */

/** Frees a reader that was shut down or never started. False: its thread is stuck, and everything it may touch must be
 *  left alone. */
bool vmafx_metric_reader_free(VmafxMetricReader **reader);
/** Gives it to a provider as its reader `index`, and starts its thread. A reader is started once. */
void vmafx_metric_reader_start(VmafxMetricReader *reader, VmafxMeterProvider *provider, unsigned index);
const VmafxReaderOptions *vmafx_metric_reader_options(const VmafxMetricReader *reader);
bool vmafx_metric_reader_delta(const VmafxMetricReader *reader, VmafxInstrumentKind kind);
#endif

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Finished telemetry, as the SDK hands it to exporters: plain, immutable, borrowed for one export call. And the
 * exporters' interface. Times are Unix nanoseconds unless they are called deadlines, which are CLOCK_MONOTONIC
 * nanoseconds.
 */
#ifndef VMAFX_OTEL_SDK_DATA_H
#define VMAFX_OTEL_SDK_DATA_H

#include "otel/api/attr.h"
#include "otel/api/trace.h"

typedef struct VmafxResource {
    VmafxAttrs attrs;
    const char *schema_url; /* "" when none */
} VmafxResource;

typedef struct VmafxScope {
    const char *name, *version, *schema_url; /* "" when none */
    VmafxAttrs attrs;
} VmafxScope;

/* ---- Traces ---- */

typedef struct VmafxEventData {
    uint64_t time_ns;
    const char *name;
    VmafxAttrs attrs;
    uint32_t dropped_attrs;
} VmafxEventData;

typedef struct VmafxLinkData {
    uint8_t trace_id[16], span_id[8];
    uint8_t flags;
    bool remote;
    const char *trace_state; /* "" when empty */
    VmafxAttrs attrs;
    uint32_t dropped_attrs;
} VmafxLinkData;

typedef struct VmafxSpanData {
    uint8_t trace_id[16], span_id[8], parent_span_id[8]; /* parent all zero: a root */
    uint8_t flags;
    bool parent_remote;
    const char *trace_state; /* "" when empty */
    const VmafxScope *scope;
    const char *name;
    VmafxSpanKind kind;
    uint64_t start_ns, end_ns;
    VmafxAttrs attrs;
    uint32_t dropped_attrs;
    const VmafxEventData *events;
    size_t n_events;
    uint32_t dropped_events;
    const VmafxLinkData *links;
    size_t n_links;
    uint32_t dropped_links;
    VmafxSpanStatus status;
    const char *status_description; /* "" when none */
} VmafxSpanData;

/* ---- Logs ---- */

typedef struct VmafxLogData {
    uint64_t time_ns, observed_ns; /* time 0: not known */
    int severity;                  /* 0 unset, 1 … 24 */
    const char *severity_text, *event_name;
    VmafxValue body;
    VmafxAttrs attrs;
    uint32_t dropped_attrs;
    uint8_t trace_id[16], span_id[8]; /* all zero: none */
    uint8_t flags;
    const VmafxScope *scope;
} VmafxLogData;

/* ---- Metrics ---- */

typedef struct VmafxExemplar {
    uint64_t time_ns;
    bool is_int;
    int64_t i;
    double d;
    uint8_t trace_id[16], span_id[8]; /* all zero: none */
    VmafxAttrs filtered;
} VmafxExemplar;

typedef struct VmafxExpBuckets {
    int32_t offset;
    const uint64_t *counts;
    size_t n;
} VmafxExpBuckets;

typedef enum VmafxMetricType {
    VMAFX_METRIC_GAUGE,
    VMAFX_METRIC_SUM,
    VMAFX_METRIC_HISTOGRAM,
    VMAFX_METRIC_EXP_HISTOGRAM,
} VmafxMetricType;

typedef struct VmafxPointData {
    VmafxAttrs attrs;
    uint64_t start_ns, time_ns;
    uint32_t flags; /* 1: no recorded value */
    const VmafxExemplar *exemplars;
    size_t n_exemplars;
    /* gauge, sum */
    bool is_int;
    int64_t i;
    double d;
    /* histograms */
    uint64_t count;
    bool has_sum, has_min_max;
    double sum, min, max;
    const double *bounds; /* explicit: n_bounds, and n_bounds + 1 counts */
    size_t n_bounds;
    const uint64_t *counts;
    int32_t scale; /* exponential */
    uint64_t zero_count;
    double zero_threshold;
    VmafxExpBuckets positive, negative;
} VmafxPointData;

typedef struct VmafxMetricData {
    const VmafxScope *scope;
    const char *name, *description, *unit; /* "" when none */
    VmafxMetricType type;
    bool delta;     /* sum, histograms: temporality; else cumulative */
    bool monotonic; /* sum */
    const VmafxPointData *points;
    size_t n_points;
} VmafxMetricData;

/* ---- Exporters ---- */

typedef enum VmafxExportResult {
    VMAFX_EXPORT_OK = 0,
    VMAFX_EXPORT_FAILED,  /* given up on; dropped */
    VMAFX_EXPORT_TIMEOUT, /* the deadline passed */
} VmafxExportResult;

typedef enum VmafxSignal { VMAFX_SIGNAL_TRACES, VMAFX_SIGNAL_METRICS, VMAFX_SIGNAL_LOGS } VmafxSignal;

/** One batch of one signal; the other two lists are empty. n counts spans, metrics or records. */
typedef struct VmafxBatch {
    VmafxSignal signal;
    const VmafxResource *resource;
    const VmafxSpanData *const *spans;
    const VmafxMetricData *metrics;
    const VmafxLogData *const *logs;
    size_t n;
} VmafxBatch;

/**
 * An exporter. export_batch is never called concurrently with itself; the others may come from any thread at any time.
 * Every call is over by its deadline, whatever the peer does. Deadlines may be shortened by shutdown.
 */
typedef struct VmafxExporter VmafxExporter;
struct VmafxExporter {
    const char *component_type; /* "otlp_grpc_span_exporter" */
    VmafxExportResult (*export_batch)(VmafxExporter *exporter, const VmafxBatch *batch, uint64_t deadline_ns);
    VmafxExportResult (*force_flush)(VmafxExporter *exporter, uint64_t deadline_ns);
    VmafxExportResult (*shutdown)(VmafxExporter *exporter, uint64_t deadline_ns); /* interrupts export_batch */
    void (*free)(VmafxExporter *exporter);
};

/** Where the SDK's own complaints go: one line, already rate limited. The default writes to stderr. */
typedef void (*VmafxOtelErrorHandler)(void *ctx, int severity, const char *message);
#endif

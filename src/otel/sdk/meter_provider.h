/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The metrics SDK: instruments, views, readers. A provider is made with everything it will ever have (readers, views);
 * meters and instruments come later through the API's calls.
 *
 *     VmafxMeterProviderOptions options = { .resource = &resource, .readers = readers, .n_readers = 2 };
 *     VmafxMeterProvider *provider = vmafx_meter_provider_new(&options);
 *
 *     vmafx_metrics_sdk_set(vmafx_meter_provider_sdk(provider));
 *     …
 *     vmafx_metrics_sdk_set(NULL);
 *     vmafx_meter_provider_shutdown(provider, deadline);
 *     vmafx_meter_provider_free(&provider);           once no thread measures any more
 *
 * In a forked child a provider is silent, gives out nothing new, and free only forgets it; make a new one there.
 *
 * Rules: OpenTelemetry Metrics SDK. Where they leave a choice: series of synchronous instruments stay for ever, within
 * the limit, with delta temporality too; observable ones make room when they were not observed in a reader's latest
 * collection and the limit is reached; values that are not finite are ignored everywhere.
 */
#ifndef VMAFX_OTEL_SDK_METER_PROVIDER_H
#define VMAFX_OTEL_SDK_METER_PROVIDER_H

#include "otel/api/metrics.h"
#include "otel/sdk/aggregation.h"
#include "otel/sdk/data.h"
#include "otel/sdk/exemplar.h"
#include "otel/sdk/metric_series.h"
#include "otel/sdk/reader.h"

#define VMAFX_CARDINALITY_DEFAULT 2000
#define VMAFX_VIEWS_MAX           256

/** Which instruments, and what becomes of them. NULL and zero: any, or as it was. Copied by the provider. */
typedef struct VmafxView {
    /* criteria; all must match */
    const char *instrument_name; /* '*' any text, '?' any character; ASCII case does not matter */
    VmafxInstrumentKind kind;
    const char *unit, *meter_name, *meter_version, *meter_schema_url;
    /* the stream */
    const char *name, *description;
    bool filter_attributes; /* attribute_keys say what stays, or with exclude what goes */
    bool exclude;
    const char *const *attribute_keys;
    size_t n_attribute_keys;
    VmafxAggregation aggregation;
    uint32_t cardinality_limit; /* 0: the reader's */
} VmafxView;

/** Everything is borrowed for the call, but the readers, which the provider takes over (also when it fails). */
typedef struct VmafxMeterProviderOptions {
    const VmafxResource *resource; /* copied; NULL: an empty one */
    VmafxMetricReader *const *readers;
    size_t n_readers; /* at most 8; more are freed and reported */
    const VmafxView *views;
    size_t n_views;
    VmafxExemplarFilter exemplars;
    VmafxOtelErrorHandler
        error_handler; /* called by collecting threads only, with no lock held; NULL: no one is told */
    void *error_ctx;
    uint64_t (*now)(void *ctx); /* Unix ns; NULL: CLOCK_REALTIME */
    void *now_ctx;
} VmafxMeterProviderOptions;

typedef struct VmafxMeterProvider VmafxMeterProvider;

/** NULL on no memory; all functions accept that. */
VmafxMeterProvider *vmafx_meter_provider_new(const VmafxMeterProviderOptions *options);
/** Frees it with readers and handles. Shut it down first; what could not be stopped by then is left alone, not freed.
 */
void vmafx_meter_provider_free(VmafxMeterProvider **provider);

/** The table for vmafx_metrics_sdk_set; lives as long as the provider. NULL for NULL. */
const VmafxMetricsSdk *vmafx_meter_provider_sdk(VmafxMeterProvider *provider);

/** A meter of this provider, without the global slot; the same arguments give the same meter. NULL after shutdown. */
VmafxMeter *vmafx_meter_provider_meter(VmafxMeterProvider *provider, const char *name, const char *version,
                                       const char *schema_url, VmafxAttrs attrs);

/** Collects and exports on every reader; the first result that is not OK. Deadlines are CLOCK_MONOTONIC ns. */
VmafxExportResult vmafx_meter_provider_flush(VmafxMeterProvider *provider, uint64_t deadline_ns);
/** Flushes and stops every reader by the deadline. Only the first call does; later ones FAIL. */
VmafxExportResult vmafx_meter_provider_shutdown(VmafxMeterProvider *provider, uint64_t deadline_ns);

/** A copy of the counters. Any thread. */
void vmafx_meter_provider_counts(VmafxMeterProvider *provider, VmafxMetricCounts *ret);

/* ---- For readers ---- */

/** Runs the callbacks and collects for reader `index`; NULL on no memory. One call at a time for each reader. */
VmafxMetricSnapshot *vmafx_meter_provider_collect(VmafxMeterProvider *provider, unsigned index);
/** This thread is inside a callback, where collecting would wait for itself. */
bool vmafx_meter_provider_in_callback(void);
VmafxMetricCounters *vmafx_meter_provider_counters(VmafxMeterProvider *provider);
void vmafx_meter_provider_report(VmafxMeterProvider *provider, int severity, const char *message);
#endif

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Logs, the SDK's side (OpenTelemetry specification 1.60, "Logs SDK"): a provider completes records, applies limits,
 * and hands them to its processors in order. Deadlines are CLOCK_MONOTONIC nanoseconds.
 */
#ifndef VMAFX_OTEL_SDK_LOG_PROVIDER_H
#define VMAFX_OTEL_SDK_LOG_PROVIDER_H

#include "otel/api/log.h"
#include "otel/sdk/data.h"
#include "otel/sdk/env.h"

/* ---- Processors ---- */

/**
 * What happens to records. on_emit is called from any thread, concurrently, and must not block; the record and all it
 * points to is borrowed for the call, and the record itself (not what it points to) may be changed for the processors
 * after it. free is called once nobody else calls.
 */
typedef struct VmafxLogProcessor VmafxLogProcessor;
struct VmafxLogProcessor {
    bool (*enabled)(VmafxLogProcessor *processor, int severity, const char *event_name); /* NULL: always */
    void (*on_emit)(VmafxLogProcessor *processor, VmafxLogData *record);
    VmafxExportResult (*force_flush)(VmafxLogProcessor *processor, uint64_t deadline_ns);
    VmafxExportResult (*shutdown)(VmafxLogProcessor *processor, uint64_t deadline_ns); /* includes a flush */
    void (*free)(VmafxLogProcessor *processor);
};

/** Exports each record at once, on the caller's thread: for tests and debugging. Takes the exporter over. */
VmafxLogProcessor *vmafx_log_simple_new(const VmafxResource *resource, VmafxExporter *exporter);

typedef struct VmafxLogBatchSettings {
    VmafxBatchSettings batch; /* values outside their ranges become the nearest inside; zeroes the defaults */
    size_t queue_bytes;       /* memory of queued records at most; 0: 16 MiB */
} VmafxLogBatchSettings;

/**
 * Queues copies; a thread of its own exports them: when a batch is full, when the schedule delay has passed since the
 * first queued record, on flush and on shutdown. A full queue drops the newest record and counts it. Batches are never
 * larger than batch_size; a failed one is given up, since retrying is the exporter's business.
 *
 * Shutdown keeps its deadline whatever the exporter does; a thread that is stuck in it then is left alone with its
 * memory, and ends by itself. In a forked child everything is silent, and free only forgets.
 *
 * @param resource  copied
 * @param exporter  taken over, also when NULL is returned
 * @return NULL when there is no memory or no thread; a provider accepts that
 */
VmafxLogProcessor *vmafx_log_batch_new(const VmafxResource *resource, VmafxExporter *exporter,
                                       const VmafxLogBatchSettings *settings);

typedef struct VmafxLogBatchCounts {
    uint64_t accepted, exported, failed; /* records; failed: given to the exporter in vain */
    uint64_t dropped_full, dropped_late; /* queue full (or no memory), after shutdown */
    uint64_t queued, queue_capacity;     /* records: now, and at most */
} VmafxLogBatchCounts;

/** Any thread; zeroes for anything but a batching processor. */
VmafxLogBatchCounts vmafx_log_batch_counts(VmafxLogProcessor *processor);

/* ---- Provider ---- */

#define VMAFX_LOG_SCOPES_MAX     1024 /* distinct loggers; later ones share a scope without a name */
#define VMAFX_LOG_PROCESSORS_MAX 8

typedef struct VmafxLogProviderSettings {
    VmafxAttrLimits limits; /* of attributes; the body is exempt. Both zero: 128 attributes of any length */
    int minimum_severity;   /* records below are dropped; those without a severity pass */
    bool trace_based;       /* drop records of traces that are not sampled */
} VmafxLogProviderSettings;

/**
 * A provider of these processors, taken over also on failure; NULL ones are left out. NULL when there is no memory.
 * Pass it to vmafx_log_provider_set or vmafx_logger_new_in.
 */
VmafxLogProvider *vmafx_log_provider_new(const VmafxLogProviderSettings *settings, VmafxLogProcessor *const *processors,
                                         size_t n);
/** In order, each until the deadline; the first result that is not OK. */
VmafxExportResult vmafx_log_provider_flush(VmafxLogProvider *provider, uint64_t deadline_ns);
/** Once; later calls fail. Records that come afterwards are ignored. */
VmafxExportResult vmafx_log_provider_shutdown(VmafxLogProvider *provider, uint64_t deadline_ns);
/** Nobody may be calling in. Without a shutdown before, what is queued is lost. */
void vmafx_log_provider_free(VmafxLogProvider **provider);

/** Records emitted so far (otel.sdk.log.created), and those that could not be, for want of memory. */
void vmafx_log_provider_counts(VmafxLogProvider *provider, uint64_t *ret_created, uint64_t *ret_lost);
#endif

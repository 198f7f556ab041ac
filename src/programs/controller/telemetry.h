/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * What a controller tells of its jobs. Spans and counters are made from the events that were stored, and only after
 * that: no path into a state escapes them, and nothing is told that did not happen.
 */
#ifndef VMAFX_PROGRAMS_CONTROLLER_TELEMETRY_H
#define VMAFX_PROGRAMS_CONTROLLER_TELEMETRY_H

#include "fleet/assign.h"
#include "otel/api/trace.h"
#include "report/scored.h"
#include "store/store.h"

typedef struct JobTelemetry JobTelemetry;

/** What the fleet looks like now, for gauges. */
typedef struct FleetCounts {
    uint64_t ready, busy, draining, lost; /* nodes */
    uint64_t slots_free, slots_busy;
    int64_t memory_max_mib; /* the most that a node which takes tasks has; INT64_MAX: one that did not say; 0: none is
                               there */
    uint64_t unplaceable[VMAFX_OBSTACLES]; /* waiting jobs, by what is in their way; of NONE: 0 */
} FleetCounts;

#define NODE_LOAD_GPUS_MAX 16

/** How a node fares, as its last heartbeat said. */
typedef struct NodeLoad {
    char name[VMAFX_NODE_NAME_MAX];
    double cpu;                        /* 0 … 1 */
    int64_t memory_used, memory_total; /* bytes */
    size_t n_gpus;
    struct {
        char id[64];
        double utilization;  /* below 0: not known */
        int64_t used, total; /* total 0: not known */
    } gpus[NODE_LOAD_GPUS_MAX];
} NodeLoad;

/** Whom to ask about nodes; called when metrics are collected. */
typedef struct FleetView {
    void (*counts)(void *ctx, FleetCounts *ret);
    size_t (*loads)(void *ctx, NodeLoad *ret, size_t max);
    void *ctx;
} FleetView;

/**
 * Observes the store, and the fleet through its view, when metrics are collected.
 * @return NULL on no memory: nothing is told then
 */
JobTelemetry *job_telemetry_new(VmafxStore *store, const FleetView *fleet);
/** Stops observing the store; before that is closed. Events may still come. */
void job_telemetry_quiet(JobTelemetry *telemetry);
void job_telemetry_free(JobTelemetry **telemetry);

/** Events of one group, as vmafx_store's on_events has them. Does not wait. */
void job_telemetry_events(JobTelemetry *telemetry, const VmafxEvent *events, const VmafxJob *const *jobs, size_t n);

/** A report was refused because its attempt is over. */
void job_telemetry_fenced(JobTelemetry *telemetry);

/** The span vmafx.result.store: from the report's arrival to the disk. Times: Unix nanoseconds. */
void job_telemetry_stored(JobTelemetry *telemetry, const VmafxJob *job, size_t size, uint64_t start_ns, uint64_t end_ns,
                          VmafxErr err);

/** The pooled values of a result that was kept. */
void job_telemetry_scored(JobTelemetry *telemetry, const VmafxJob *job, const VmafxScoredList *scored);

/** Makes trace and span ids for a job: below `context` if that holds a span, else a trace of its own. */
void job_trace_make(const VmafxSpanContext *context, VmafxJobTrace *ret);

uint64_t wall_now_ns(void);
void random_bytes(void *ret, size_t n);
#endif

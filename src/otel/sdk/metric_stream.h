/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * One stream: an instrument seen through one view by one or more readers. It has a table of series that threads search
 * without a lock, a limit on their number, and for every reader what that reader has not been told yet.
 */
#ifndef VMAFX_OTEL_SDK_METRIC_STREAM_H
#define VMAFX_OTEL_SDK_METRIC_STREAM_H

#include "otel/sdk/metric_series.h"
#include "otel/sdk/metric_snapshot.h"

/** Which attributes stay on a series. Keys are terminated and borrowed as long as the stream lives. */
typedef struct VmafxAttrFilter {
    bool on;
    bool exclude; /* keys are the ones to drop; else the only ones to keep */
    const char *const *keys;
    size_t n;
} VmafxAttrFilter;

bool vmafx_attr_filter_keeps(const VmafxAttrFilter *filter, const char *key);

typedef struct VmafxStream VmafxStream;

/** What a stream is made of; texts and bounds are borrowed as long as it lives. */
typedef struct VmafxStreamInfo {
    const VmafxScope *scope;
    const char *name, *description, *unit;
    VmafxAggConfig config;
    bool observable, monotonic;
    VmafxAttrFilter filter;
    uint32_t limit;   /* distinct sets; one more series takes the overflow */
    unsigned readers; /* a bit for each */
    unsigned delta;   /* of those, the ones that want deltas */
} VmafxStreamInfo;

VmafxStream *vmafx_stream_new(VmafxMetricEnv *env, const VmafxStreamInfo *info); /* NULL on no memory */
void vmafx_stream_free(VmafxStream **stream);
const VmafxStreamInfo *vmafx_stream_info(const VmafxStream *stream);

/** Another reader joins, before anything was measured. */
void vmafx_stream_add_reader(VmafxStream *stream, unsigned reader, bool delta);

/** The series of a set after filtering, made when it is new: itself, the overflow series, or NULL on no memory.
 *  Any thread; locks only when the set is new. Synchronous streams only. */
VmafxSeries *vmafx_stream_series(VmafxStream *stream, VmafxAttrs attrs);

/** Offers an exemplar for a measurement that was recorded on series. */
void vmafx_stream_exemplar(VmafxStream *stream, VmafxSeries *series, VmafxNumber value, VmafxAttrs attrs,
                           const VmafxContext *context);

/** An observation in the given round of a reader's collections (1, 2, …). */
void vmafx_stream_observe(VmafxStream *stream, unsigned reader, uint64_t round, VmafxNumber value, VmafxAttrs attrs);

/** What this reader gets, as one metric of the snapshot, when there are points. False: something is missing. */
bool vmafx_stream_collect(VmafxStream *stream, unsigned reader, uint64_t round, uint64_t now_ns,
                          VmafxMetricSnapshot *snapshot);

/** True once after the stream has met its first set too many. */
bool vmafx_stream_overflow_to_report(VmafxStream *stream);
#endif

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * How long exports and collections take: an exporter around an exporter, and what a reader calls after collecting.
 * Each records one histogram (otel.sdk.exporter.operation.duration, otel.sdk.metric_reader.collection.duration) from
 * `begin` until `end`; before and after it passes everything on, and records nothing.
 */
#ifndef VMAFX_OTEL_EXPORT_TIMED_H
#define VMAFX_OTEL_EXPORT_TIMED_H

#include "otel/api/metrics.h"
#include "otel/export/gate.h"
#include "otel/sdk/data.h"

#define VMAFX_TIMED_ATTRS_MAX 4 /* of our own; what became of it is added: error.type, and the status of the answer */

/** What is recorded, and with what. Zero, but for the gate, which has to be shut: vmafx_timed_init. */
typedef struct VmafxTimed {
    VmafxGate gate; /* shut while there is nothing to record with; guards what follows */
    VmafxHistogram *histogram;
    VmafxAttr attrs[VMAFX_TIMED_ATTRS_MAX];
    size_t n_attrs;
} VmafxTimed;

void vmafx_timed_init(VmafxTimed *timed);
/** Records from now on. The strings in attrs are borrowed until end. */
void vmafx_timed_begin(VmafxTimed *timed, VmafxHistogram *histogram, VmafxAttrs attrs);
/** Nobody uses the histogram or the strings any more when this returns, not even threads that were left behind. */
void vmafx_timed_end(VmafxTimed *timed);
/** Seconds of an export or a collection; error NULL when it went well; more: two attributes at most. */
void vmafx_timed_record(VmafxTimed *timed, double seconds, const char *error, VmafxAttrs more);

/** A reader's `collected`; ctx is a VmafxTimed, which lives as long as the reader. */
void vmafx_timed_collected(void *ctx, uint64_t took_ns, bool ok);

/** What is measured of an exporter, and of the reader that owns it; lives as long as the exporter. */
typedef struct VmafxTimedBoth {
    VmafxTimed exports, collections;
} VmafxTimedBoth;

/**
 * Times each export_batch of an exporter, which is taken over. Without memory the result is the exporter itself, and
 * *ret_timed is NULL.
 */
VmafxExporter *vmafx_timed_exporter_new(VmafxExporter *exporter, VmafxTimedBoth **ret_timed);
#endif

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The result of one collection: metrics with their points, in memory of their own. Attribute sets of synchronous
 * series, names and scopes are borrowed from the provider, which must outlive the snapshot.
 */
#ifndef VMAFX_OTEL_SDK_METRIC_SNAPSHOT_H
#define VMAFX_OTEL_SDK_METRIC_SNAPSHOT_H

#include "otel/sdk/data.h"

typedef struct VmafxSnapshotChunk VmafxSnapshotChunk;

typedef struct VmafxMetricSnapshot {
    VmafxMetricData *metrics;
    size_t n, room;
    size_t n_points;
    const VmafxResource *resource; /* the provider's */
    bool partial;                  /* something is missing: no memory, or a callback ran too long */
    VmafxSnapshotChunk *chunks;
} VmafxMetricSnapshot;

/** room is the most metrics there will be. NULL on no memory. */
VmafxMetricSnapshot *vmafx_snapshot_new(size_t room, const VmafxResource *resource);
void vmafx_snapshot_free(VmafxMetricSnapshot **snapshot);

/** n · size zeroed bytes, aligned to 16, that live as long as the snapshot. NULL on no memory or overflow. */
void *vmafx_snapshot_alloc(VmafxMetricSnapshot *snapshot, size_t n, size_t size);

/** A deep copy of a set that lives as long as the snapshot; empty on no memory. */
bool vmafx_snapshot_attrs(VmafxMetricSnapshot *snapshot, VmafxAttrs attrs, VmafxAttrs *ret);
#endif

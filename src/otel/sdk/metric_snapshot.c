/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Snapshots: an arena of chunks that are freed together. */

#include "otel/sdk/metric_snapshot.h"

#include <stdalign.h>
#include <stdlib.h>

#include "otel/api/attr_set.h"

enum { CHUNK = 16 * 1024 };

struct VmafxSnapshotChunk {
    VmafxSnapshotChunk *next;
    void *owned; /* a block from elsewhere that goes with the snapshot */
    size_t used, size;
    alignas(16) char bytes[];
};

VmafxMetricSnapshot *vmafx_snapshot_new(size_t room, const VmafxResource *resource)
{
    VmafxMetricSnapshot *snapshot = calloc(1, sizeof *snapshot);

    if (!snapshot)
        return NULL;
    snapshot->resource = resource;
    snapshot->room = room;
    snapshot->metrics = calloc(room ? room : 1, sizeof *snapshot->metrics);
    if (!snapshot->metrics)
        vmafx_snapshot_free(&snapshot);
    return snapshot;
}

void vmafx_snapshot_free(VmafxMetricSnapshot **snapshot)
{
    VmafxMetricSnapshot *s = snapshot ? *snapshot : NULL;

    if (!s)
        return;
    while (s->chunks) {
        VmafxSnapshotChunk *chunk = s->chunks;

        s->chunks = chunk->next;
        free(chunk->owned);
        free(chunk);
    }
    free(s->metrics);
    free(s);
    *snapshot = NULL;
}

static VmafxSnapshotChunk *chunk_add(VmafxMetricSnapshot *snapshot, size_t size)
{
    VmafxSnapshotChunk *chunk = calloc(1, sizeof *chunk + size);

    if (chunk) {
        chunk->size = size;
        chunk->next = snapshot->chunks;
        snapshot->chunks = chunk;
    }
    return chunk;
}

void *vmafx_snapshot_alloc(VmafxMetricSnapshot *snapshot, size_t n, size_t size)
{
    size_t bytes;

    if (__builtin_mul_overflow(n, size, &bytes) || bytes > SIZE_MAX / 2)
        return NULL;
    bytes = (bytes + 15) & ~(size_t)15;

    VmafxSnapshotChunk *chunk = snapshot->chunks;
    if (!chunk || chunk->size - chunk->used < bytes)
        chunk = chunk_add(snapshot, bytes > CHUNK ? bytes : CHUNK);
    if (!chunk)
        return NULL;
    void *p = chunk->bytes + chunk->used;
    chunk->used += bytes;
    return p;
}

bool vmafx_snapshot_attrs(VmafxMetricSnapshot *snapshot, VmafxAttrs attrs, VmafxAttrs *ret)
{
    if (!vmafx_attr_set_copy(attrs, ret))
        return false;
    if (!ret->n)
        return true;
    VmafxSnapshotChunk *chunk = chunk_add(snapshot, 0);
    if (!chunk) {
        free((void *)ret->items);
        *ret = VMAFX_NO_ATTRS;
        return false;
    }
    chunk->owned = (void *)ret->items;
    return true;
}

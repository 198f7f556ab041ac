/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What the features in binary32 begin with: rows of samples on the scale of 8 bits, around 0, kept while a filter needs
   them. */
#ifndef VMAFX_ENGINE_FEATURES_FLOAT_ROWS_H
#define VMAFX_ENGINE_FEATURES_FLOAT_ROWS_H

#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "engine/features/rows.h"
#include "engine/kernels/floats.h"

#define VMAFX_FLOAT_RING_MAX 69 /* rows: the longest filter there is */

/** ret[x] = sample / 2^(bpc − 8) − 128, rounded to binary32; exact up to 12 bits. */
static inline void vmafx_float_row(const VmafxFloatsKernels *k, const VmafxPlane *plane, int y, float *ret)
{
    const void *row = vmafx_plane_row(plane, y);

    if (plane->bpc == 8)
        k->convert8(row, plane->w, ret);
    else
        k->convert16(row, 1.0F / (float)(1 << (plane->bpc - 8)), plane->w, ret);
}

/** A plane's rows by number modulo n. */
typedef struct VmafxFloatRing {
    const VmafxFloatsKernels *kernels;
    const VmafxPlane *plane;
    int n;
    int held[VMAFX_FLOAT_RING_MAX]; /* which row is in the slot; −1: none */
    float *data;
    size_t stride; /* whole groups (VMAFX_FLOATS_GROUP) */
} VmafxFloatRing;

/** Room for n_max rows of w_max samples. @return false: out of memory; vmafx_float_ring_done all the same */
static inline bool vmafx_float_ring_init(VmafxFloatRing *ring, const VmafxFloatsKernels *kernels, int w_max, int n_max)
{
    *ring = (VmafxFloatRing){ .kernels = kernels, .stride = VMAFX_FLOATS_ROOM(w_max) };
    ring->data = vmafx_alloc_aligned(ring->stride * (size_t)n_max, sizeof(float));
    return ring->data != NULL;
}

static inline void vmafx_float_ring_done(VmafxFloatRing *ring)
{
    free(ring->data);
    ring->data = NULL;
}

/** Empties it, for n rows of another plane, which is borrowed. */
static inline void vmafx_float_ring_begin(VmafxFloatRing *ring, const VmafxPlane *plane, int n)
{
    ring->plane = plane;
    ring->n = n;
    memset(ring->held, 0xff, sizeof ring->held);
}

/** Row y; stays until one that is a multiple of n away is asked for. */
static inline const float *vmafx_float_ring_row(VmafxFloatRing *ring, int y)
{
    const int slot = y % ring->n;
    float *row = ring->data + (size_t)slot * ring->stride;

    if (ring->held[slot] != y) {
        vmafx_float_row(ring->kernels, ring->plane, y, row);
        ring->held[slot] = y;
    }
    return row;
}
#endif

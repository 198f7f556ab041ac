/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Result series: a table with one row per frame and one column per series. Rows never move, so workers fill the
 * rows of different frames at the same time without a lock.
 */
#ifndef VMAFX_ENGINE_SERIES_H
#define VMAFX_ENGINE_SERIES_H

#include <vmafx/engine.h>

#define VMAFX_SERIES_MAX 4096

typedef struct VmafxSeries {
    char **names;
    size_t n, room;
    size_t n_hidden; /* columns without a name, after the others */
    double **chunks; /* of VMAFX_SERIES_CHUNK rows of n values */
    size_t n_chunks, chunk_room;
} VmafxSeries;

void vmafx_series_done(VmafxSeries *series);

/** Adds a column, before the first row. @return VMAFX_ERR_INVALID when the name exists already */
VMAFX_CHECK VmafxErr vmafx_series_add(VmafxSeries *series, const char *name, size_t *ret_index, VmafxErrInfo *reterr);

/** A column that has no name, after all that have one. */
size_t vmafx_series_add_hidden(VmafxSeries *series);

/** The row of a frame, its values absent at first; rows are made in ascending order. NULL: no memory. */
double *vmafx_series_row_new(VmafxSeries *series, uint32_t frame);
double *vmafx_series_row(const VmafxSeries *series, uint32_t frame);

/** Column of that name, or SIZE_MAX. */
size_t vmafx_series_find(const VmafxSeries *series, const char *name);

/** Whether a value was ever written. */
bool vmafx_series_present(double v);
#endif

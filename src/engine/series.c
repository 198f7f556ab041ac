/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The table of results. */

#include "engine/series.h"

#include <string.h>

#include "base/base.h"

#define CHUNK 256 /* rows */

/* An absent value is one particular NaN, which no arithmetic on finite numbers produces. */
static const uint64_t absent_bits = 0x7ff4a65e7be6a65eull;

static double absent(void)
{
    double v;

    memcpy(&v, &absent_bits, sizeof v);
    return v;
}

bool vmafx_series_present(double v)
{
    return memcmp(&v, &absent_bits, sizeof v) != 0;
}

void vmafx_series_done(VmafxSeries *series)
{
    for (size_t i = 0; i < series->n; i++)
        free(series->names[i]);
    for (size_t i = 0; i < series->n_chunks; i++)
        free(series->chunks[i]);
    free(series->names);
    free(series->chunks);
    *series = (VmafxSeries){ 0 };
}

size_t vmafx_series_find(const VmafxSeries *series, const char *name)
{
    for (size_t i = 0; i < series->n; i++)
        if (!strcmp(series->names[i], name))
            return i;
    return SIZE_MAX;
}

/* Makes room for one more pointer in a list. */
static bool grow(void *list, size_t n, size_t *room)
{
    if (n < *room)
        return true;
    size_t more = *room ? 2 * *room : 32;
    void *bigger = realloc(*(void **)list, more * sizeof(void *));
    if (!bigger)
        return false;
    *(void **)list = bigger;
    *room = more;
    return true;
}

VmafxErr vmafx_series_add(VmafxSeries *series, const char *name, size_t *ret_index, VmafxErrInfo *reterr)
{
    if (vmafx_series_find(series, name) != SIZE_MAX)
        return vmafx_fail(reterr, VMAFX_ERR_INVALID,
                          "two results would have the name '%s'; give the model another name", name);
    if (series->n == VMAFX_SERIES_MAX)
        return vmafx_fail(reterr, VMAFX_ERR_LIMIT, "more than %d results per frame", VMAFX_SERIES_MAX);
    if (!grow(&series->names, series->n, &series->room))
        return VMAFX_ERR_NOMEM;
    series->names[series->n] = vmafx_strdup(name);
    if (!series->names[series->n])
        return VMAFX_ERR_NOMEM;
    *ret_index = series->n++;
    return VMAFX_OK;
}

size_t vmafx_series_add_hidden(VmafxSeries *series)
{
    return series->n + series->n_hidden++;
}

static size_t width(const VmafxSeries *series)
{
    return series->n + series->n_hidden;
}

double *vmafx_series_row(const VmafxSeries *series, uint32_t frame)
{
    return series->chunks[frame / CHUNK] + (size_t)(frame % CHUNK) * width(series);
}

double *vmafx_series_row_new(VmafxSeries *series, uint32_t frame)
{
    if (frame / CHUNK == series->n_chunks) {
        if (!grow(&series->chunks, series->n_chunks, &series->chunk_room))
            return NULL;
        double *chunk = malloc(CHUNK * VMAFX_MAX(width(series), (size_t)1) * sizeof *chunk);
        if (!chunk)
            return NULL;
        series->chunks[series->n_chunks++] = chunk;
    }
    double *row = vmafx_series_row(series, frame);
    for (size_t i = 0; i < width(series); i++)
        row[i] = absent();
    return row;
}

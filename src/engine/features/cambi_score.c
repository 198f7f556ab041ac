/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * A picture of 10 bits is halved four times. At each scale a flat place counts by how many places in its window have
 * its code, and how many one a few codes off: many of both make a band's edge. The strongest places are averaged.
 *
 * Counts are kept per code and column, already summed over the window's width, and slide down the picture. Flat places
 * of one code lie beside each other, so rows are gone through in runs: a run that comes adds to the columns around it,
 * one that goes takes away, and the contrasts of a run look at the same few rows of counts.
 */

#include "engine/features/cambi_score.h"

#include <assert.h>
#include <string.h>

#include "base/base.h"
#include "engine/features/rows.h"

#define MASK_RADIUS 3

/* How much steps of 1, 2 … codes count. */
static const uint8_t weights[CAMBI_CONTRASTS_MAX] = { 1, 2, 3, 4, 4, 5, 5, 6, 6, 6, 6, 7, 7, 7, 7, 8,
                                                      8, 8, 8, 8, 8, 8, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9 };

static_assert(CAMBI_CONTRASTS_MAX == VMAFX_CAMBI_CONTRASTS_MAX && CAMBI_WINDOW_MAX == VMAFX_CAMBI_WINDOW_MAX,
              "the kernels' limits are the feature's");

int cambi_weight(int n)
{
    return weights[n - 1];
}

/* The reference's table was printed with nine digits, and that is what its reciprocals are. */
static void fill_reciprocals(float *ret)
{
    for (int i = 1; i <= VMAFX_CAMBI_SUM_MAX; i++) {
        char text[32];

        snprintf(text, sizeof text, "%.9g", 1.0 / i);
        ret[i] = strtof(text, NULL); /* by the locale that printed it */
    }
}

static size_t count_stride(size_t w)
{
    return (w + 31) / 32 * 32 + VMAFX_CAMBI_SLACK;
}

VmafxErr cambi_scratch_init(CambiScratch *scratch, const VmafxCambiKernels *k, size_t w, size_t h, size_t codes)
{
    scratch->k = k;
    scratch->stride = w;
    scratch->reciprocals = calloc(VMAFX_CAMBI_SUM_MAX + 1, sizeof *scratch->reciprocals);
    scratch->picture = vmafx_alloc_aligned(w * h, sizeof *scratch->picture);
    scratch->mask = vmafx_alloc_aligned(w * h, sizeof *scratch->mask);
    scratch->contrasts = vmafx_alloc_aligned(w * h + VMAFX_CAMBI_SLACK, sizeof *scratch->contrasts);
    scratch->counts = vmafx_alloc_aligned(codes * count_stride(w), sizeof *scratch->counts);
    scratch->none = calloc(count_stride(w), sizeof *scratch->none);
    scratch->sums = calloc(w + 2 * MASK_RADIUS, sizeof *scratch->sums);
    bool made = scratch->reciprocals && scratch->picture && scratch->mask && scratch->contrasts && scratch->counts &&
                scratch->none && scratch->sums;
    for (int i = 0; i < 3; i++)
        made = (scratch->rows[i] = vmafx_alloc_aligned(w, sizeof *scratch->rows[i])) && made;
    for (int i = 0; i < 8; i++)
        made = (scratch->flat[i] = vmafx_alloc_aligned(w, sizeof *scratch->flat[i])) && made;
    if (!made)
        return VMAFX_ERR_NOMEM;
    fill_reciprocals(scratch->reciprocals);
    return VMAFX_OK;
}

void cambi_scratch_done(CambiScratch *scratch)
{
    free(scratch->reciprocals);
    free(scratch->picture);
    free(scratch->mask);
    free(scratch->contrasts);
    free(scratch->counts);
    free(scratch->none);
    free(scratch->sums);
    for (int i = 0; i < 3; i++)
        free(scratch->rows[i]);
    for (int i = 0; i < 8; i++)
        free(scratch->flat[i]);
}

/* ---- Preparing a picture ---- */

static uint16_t to_10_bits(const void *row, int x, int bpc)
{
    if (bpc == 8)
        return (uint16_t)(((const uint8_t *)row)[x] << 2);
    unsigned v = ((const uint16_t *)row)[x];
    return (uint16_t)(bpc > 10 ? (v + (1u << (bpc - 11))) >> (bpc - 10) : v);
}

static void convert(const CambiScratch *scratch, const VmafxPlane *from)
{
    for (int y = 0; y < from->h; y++) {
        const void *row = vmafx_plane_row(from, y);
        uint16_t *to = scratch->picture + (size_t)y * scratch->stride;

        if (from->bpc == 8)
            scratch->k->widen8(row, from->w, to);
        for (int x = 0; from->bpc > 8 && x < from->w; x++)
            to[x] = to_10_bits(row, x, from->bpc);
    }
}

/* The nearest samples; positions are added up in binary32, as the reference does. */
static void resize(CambiScratch *scratch, const VmafxPlane *from, int w, int h)
{
    float step_x = (float)from->w / (float)w, step_y = (float)from->h / (float)h;
    float at_y = (float)((double)(step_y / 2) - 0.5);

    if (from->w == w && from->h == h) {
        convert(scratch, from);
        return;
    }
    for (int y = 0; y < h; y++, at_y = at_y + step_y) {
        const void *row = vmafx_plane_row(from, VMAFX_MIN((int)((double)at_y + 0.5), from->h - 1));
        uint16_t *to = scratch->picture + (size_t)y * scratch->stride;
        float at_x = (float)((double)(step_x / 2) - 0.5);

        for (int x = 0; x < w; x++, at_x = at_x + step_x)
            to[x] = to_10_bits(row, VMAFX_MIN((int)((double)at_x + 0.5), from->w - 1), from->bpc);
    }
}

/* Means of 2 x 2; each place needs only those right and below of it, so it can be done in place. */
static void undither(CambiScratch *scratch, int w, int h)
{
    for (int y = 0; y < h; y++) {
        uint16_t *row = scratch->picture + (size_t)y * scratch->stride, *below = row + scratch->stride;

        if (y + 1 == h) {
            for (int x = 0; x + 1 < w; x++)
                row[x] = (uint16_t)((row[x] + row[x + 1]) >> 1);
            break;
        }
        for (int x = 0; x + 1 < w; x++)
            row[x] = (uint16_t)((row[x] + row[x + 1] + below[x] + below[x + 1]) >> 2);
        row[w - 1] = (uint16_t)((row[w - 1] + below[w - 1]) >> 1);
    }
}

/* Where row y, if there is such a row, equals its right and lower neighbours. */
static const uint8_t *flat_row(CambiScratch *scratch, int w, int h, int y)
{
    const uint16_t *row = scratch->picture + (size_t)y * scratch->stride;

    if (y >= h)
        return (const uint8_t *)scratch->none;
    scratch->k->flat(row, y + 1 < h ? row + scratch->stride : row, w, scratch->flat[y % 8]);
    return scratch->flat[y % 8];
}

static void make_mask(CambiScratch *scratch, int w, int h)
{
    const int threshold = cambi_mask_threshold(w, h);
    const uint8_t *none = (const uint8_t *)scratch->none;
    uint8_t *sums = scratch->sums + MASK_RADIUS;

    memset(scratch->sums, 0, (size_t)w + 2 * MASK_RADIUS);
    for (int y = -MASK_RADIUS; y < h; y++) {
        const uint8_t *go = y > MASK_RADIUS ? scratch->flat[(y - MASK_RADIUS - 1) % 8] : none;

        scratch->k->slide(flat_row(scratch, w, h, y + MASK_RADIUS), go, w, sums);
        if (y >= 0)
            scratch->k->mask(sums, w, threshold, scratch->mask + (size_t)y * scratch->stride);
    }
}

/* ---- A scale ---- */

static void halve(CambiScratch *scratch, int w, int h)
{
    for (int y = 0; y < h; y++) {
        size_t from = 2 * (size_t)y * scratch->stride, to = (size_t)y * scratch->stride;

        scratch->k->halve(scratch->picture + from, scratch->mask + from, w, scratch->picture + to, scratch->mask + to);
    }
}

/* The first and the last one stay. */
static void modes_along(const CambiScratch *scratch, const uint16_t *row, int w, uint16_t *ret)
{
    ret[0] = row[0];
    if (w > 2)
        scratch->k->mode(row, row + 1, row + 2, w - 2, ret + 1);
    ret[w - 1] = row[w - 1];
}

/* Along the rows, then down them; the first and the last row stay. */
static void filter_modes(CambiScratch *scratch, int w, int h)
{
    uint16_t *const *rows = scratch->rows;

    if (h < 3)
        return;
    modes_along(scratch, scratch->picture, w, rows[0]);
    modes_along(scratch, scratch->picture + scratch->stride, w, rows[1]);
    for (int y = 1; y + 1 < h; y++) {
        uint16_t *row = scratch->picture + (size_t)y * scratch->stride;

        modes_along(scratch, row + scratch->stride, w, rows[(y + 1) % 3]);
        scratch->k->mode(rows[(y - 1) % 3], rows[y % 3], rows[(y + 1) % 3], w, row);
    }
}

/* Flat places of one code that lie beside each other. */
typedef struct Run {
    int first, last, code;
} Run;

/* The next one from column x on. */
static bool next_run(const CambiScratch *scratch, int w, int y, int x, Run *ret)
{
    const uint16_t *row = scratch->picture + (size_t)y * scratch->stride;
    const uint8_t *mask = scratch->mask + (size_t)y * scratch->stride;
    const uint8_t *begin = x < w ? memchr(mask + x, 1, (size_t)(w - x)) : NULL;

    if (!begin)
        return false;
    *ret = (Run){ (int)(begin - mask), (int)(begin - mask), row[begin - mask] };
    while (ret->last + 1 < w && mask[ret->last + 1] && row[ret->last + 1] == ret->code)
        ret->last++;
    return true;
}

static uint16_t *counts_of(const CambiScratch *scratch, const CambiSettings *s, int w, int code)
{
    return code < s->code_min || code > s->code_max
               ? scratch->none
               : scratch->counts + (size_t)(code - s->code_min) * count_stride((size_t)w);
}

static void count_row(CambiScratch *scratch, const CambiSettings *s, int w, int y, int radius, int sign)
{
    Run run;

    for (int x = 0; next_run(scratch, w, y, x, &run); x = run.last + 1)
        if (run.code >= s->code_min && run.code <= s->code_max)
            scratch->k->count(counts_of(scratch, s, w, run.code), w, run.first, run.last, radius, sign);
}

static void look_at(const CambiScratch *scratch, const CambiSettings *s, int w, const Run *run, VmafxCambiLook *ret)
{
    int first = run->first, code = run->code;

    ret->same = counts_of(scratch, s, w, code) + first;
    ret->reciprocals = scratch->reciprocals;
    ret->n = 0;
    for (int d = 1; d <= s->n_contrasts; d++) {
        if (code > s->visible_to[d - 1] || code + s->n_contrasts + d <= s->dark)
            continue;
        ret->other[ret->n].above = counts_of(scratch, s, w, code + d) + first;
        ret->other[ret->n].below = counts_of(scratch, s, w, code - d) + first;
        ret->other[ret->n++].weight = weights[d - 1];
    }
}

/* What kernels write beyond a run is written over by what comes after it. */
static void contrast_row(CambiScratch *scratch, const CambiSettings *s, int w, int y)
{
    float *contrasts = scratch->contrasts + (size_t)y * (size_t)w;
    VmafxCambiLook look;
    int done = 0;
    Run run;

    while (next_run(scratch, w, y, done, &run)) {
        memset(contrasts + done, 0, (size_t)(run.first - done) * sizeof *contrasts);
        look_at(scratch, s, w, &run, &look);
        scratch->k->contrast(&look, run.last - run.first + 1, contrasts + run.first);
        done = run.last + 1;
    }
    memset(contrasts + done, 0, (size_t)(w - done) * sizeof *contrasts);
}

static void measure_contrasts(CambiScratch *scratch, const CambiSettings *s, int w, int h, int window)
{
    int radius = window / 2;

    memset(scratch->counts, 0,
           (size_t)(s->code_max - s->code_min + 1) * count_stride((size_t)w) * sizeof *scratch->counts);
    for (int y = 0; y < VMAFX_MIN(radius, h); y++)
        count_row(scratch, s, w, y, radius, 1);
    for (int y = 0; y < h; y++) {
        if (y + radius < h)
            count_row(scratch, s, w, y + radius, radius, 1);
        if (y > radius)
            count_row(scratch, s, w, y - radius - 1, radius, -1);
        contrast_row(scratch, s, w, y);
    }
}

VmafxErr cambi_score(CambiScratch *scratch, const CambiSettings *s, const VmafxPlane *plane, int side,
                     CambiHeatmaps *maps, uint32_t place, double *ret_score, VmafxErrInfo *reterr)
{
    int w = s->w[side], h = s->h[side], window = s->window[side];
    double sum = 0;

    resize(scratch, plane, w, h);
    if (s->antidither)
        undither(scratch, w, h);
    make_mask(scratch, w, h);
    for (int k = 0; k < CAMBI_SCALES; k++) {
        if (k > 0 || s->halved) {
            w = (w + 1) / 2;
            h = (h + 1) / 2;
            halve(scratch, w, h);
        }
        size_t n = (size_t)w * (size_t)h, most = (size_t)(s->topk * (double)n);

        filter_modes(scratch, w, h);
        measure_contrasts(scratch, s, w, h, window);
        VmafxErr err = maps ? cambi_heatmaps_write(maps, k, place, scratch->contrasts, n, reterr) : VMAFX_OK;
        if (err)
            return err;
        sum += (1 << (CAMBI_SCALES - 1 - k)) * scratch->k->pool(scratch->contrasts, n, VMAFX_MAX(most, (size_t)1));
    }
    *ret_score = sum / (window * window);
    return VMAFX_OK;
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * A ladder as a picture: quality over the logarithm of the rate, a colour and a marker for each series, a line through
 * the points of each group of it, the hull of all, the target. One drawing, as SVG or as PNG; this room is cairo's
 * door.
 *
 * 900 x 600; a PNG has twice as many pixels each way. The ground is opaque, so that it reads on light and dark pages;
 * the colours are those of Okabe and Ito that most kinds of colour blindness tell apart. Letters in the SVG are
 * outlines.
 *
 * Any thread.
 */
#ifndef VMAFX_LADDER_PLOT_H
#define VMAFX_LADDER_PLOT_H

#include <stdio.h>

#include <vmafx/error.h>

#include "ladder/points.h"

#define VMAFX_LADDER_SERIES_MAX 8 /* as many as there are colours */
#define VMAFX_LADDER_GROUPS_MAX 8 /* and ways of dashing a line */

typedef enum VmafxLadderPlotFormat { VMAFX_LADDER_SVG = 0, VMAFX_LADDER_PNG } VmafxLadderPlotFormat;

/** Everything is borrowed for the call. Texts may be any bytes: what is not UTF-8 is shown as '?', long ones are cut.
 */
typedef struct VmafxLadderPlot {
    const char *title;         /* NULL: none */
    const char *score_label;   /* of the axis */
    const char *const *series; /* names; 1 … VMAFX_LADDER_SERIES_MAX */
    size_t n_series;
    const char *const *groups; /* names; 1 … VMAFX_LADDER_GROUPS_MAX; the legend has them when there are several */
    size_t n_groups;
    const VmafxLadderPoint *points; /* sorted; series and groups are below the numbers above */
    size_t n;
    bool has_target;
    double target;
    const char *found; /* what to write beside the point found_recipe, which gets a ring; NULL: none does */
    size_t found_recipe;
} VmafxLadderPlot;

/** By the ending of a file's name, .svg or .png in either case; false: another one. */
bool vmafx_ladder_plot_format_find(const char *name, VmafxLadderPlotFormat *ret);

/**
 * Draws and writes; the stream is flushed and stays open.
 * @return VMAFX_ERR_INVALID no points, or they are not as said above; VMAFX_ERR_IO with errno; VMAFX_ERR_NOMEM;
 * VMAFX_ERR_INTERNAL cairo has another complaint, with its sentence
 */
VMAFX_CHECK VmafxErr vmafx_ladder_plot_write(FILE *out, VmafxLadderPlotFormat format, const VmafxLadderPlot *plot,
                                             VmafxErrInfo *reterr);
#endif

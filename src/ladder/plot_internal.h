/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Between what writes a picture and what draws it. */
#ifndef VMAFX_LADDER_PLOT_INTERNAL_H
#define VMAFX_LADDER_PLOT_INTERNAL_H

#include <cairo.h>

#include "ladder/plot.h"
#include "ladder/plot_text.h"

#define PLOT_W 900
#define PLOT_H 600

/** Draws on a ground of PLOT_W x PLOT_H. Errors stay in the context. The hull has room for plot->n points. */
void plot_draw(cairo_t *c, const VmafxLadderPlot *plot, VmafxLadderPoint *hull);

/* ---- axes ---- */

#define PLOT_TICKS_MAX 24

typedef struct PlotAxis {
    double from, to; /* as values: of the rates' axis not yet logarithms */
    bool logarithmic;
    double at0, at1; /* where from and to lie in the picture */
    double ticks[PLOT_TICKS_MAX];
    int n_ticks;
} PlotAxis;

/** An axis that has room for values lo … hi, equal ones too, and its ticks. */
PlotAxis plot_axis_rates(double lo, double hi, double at0, double at1);
PlotAxis plot_axis_scores(double lo, double hi, double at0, double at1);
/** Where a value lies in the picture. */
double plot_at(const PlotAxis *axis, double v);

/** "500 kbit/s", "2.5 Mbit/s", of few digits. */
void plot_rate_text(double rate, char *ret, size_t size);
#endif

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Where things lie in a picture: axes, and the legend among what is drawn. */
#ifndef VMAFX_LADDER_PLOT_AXIS_H
#define VMAFX_LADDER_PLOT_AXIS_H

#include "ladder/plot.h"

#define PLOT_MARKER 5.0 /* half of its width */

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

/* ---- legend ---- */

typedef struct PlotBox {
    double x, y, w, h; /* of the upper left corner, and its size */
} PlotBox;

/** Where a legend of that size goes, between the axes: the lower right corner, unless it covers less elsewhere. */
PlotBox plot_place_legend(const VmafxLadderPlot *plot, const PlotAxis *rates, const PlotAxis *scores, double w,
                          double h);

/** "500 kbit/s", "2.5 Mbit/s", of few digits. */
void plot_rate_text(double rate, char *ret, size_t size);
#endif

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Between what writes a picture and what draws it. */
#ifndef VMAFX_LADDER_PLOT_INTERNAL_H
#define VMAFX_LADDER_PLOT_INTERNAL_H

#include <cairo.h>

#include "ladder/plot_axis.h"
#include "ladder/plot_text.h"

#define PLOT_W 900
#define PLOT_H 600

/** Draws on a ground of PLOT_W x PLOT_H. Errors stay in the context. The hull has room for plot->n points. */
void plot_draw(cairo_t *c, const VmafxLadderPlot *plot, VmafxLadderPoint *hull);
#endif

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Axes: how far they go, and where their ticks are. */

#include "ladder/plot_axis.h"

#include <math.h>

#include "base/base.h"

#define TICKS_WANTED 4
#define SCORE_TOP    100.0 /* of nearly all models; where nothing is above, no tick is */

static void add_tick(PlotAxis *axis, double v)
{
    double slack = (axis->to - axis->from) * 1e-9;

    if (v >= axis->from - slack && v <= axis->to + slack && axis->n_ticks < PLOT_TICKS_MAX)
        axis->ticks[axis->n_ticks++] = v;
}

/* Every 1, 2 or 5 times a power of ten, so that there are some four to ten. */
static void even_ticks(PlotAxis *axis)
{
    double rough = (axis->to - axis->from) / 6, power = pow(10, floor(log10(rough))), step = power;

    axis->n_ticks = 0;
    if (rough > 1.5 * power)
        step = rough > 3.5 * power ? rough > 7.5 * power ? 10 * power : 5 * power : 2 * power;
    for (double k = ceil(axis->from / step - 1e-9); k * step <= axis->to + step * 1e-9; k++)
        add_tick(axis, k * step);
}

/* In every decade; the coarsest set of them that gives enough. */
static bool decade_ticks(PlotAxis *axis)
{
    static const double sets[][8] = { { 1 }, { 1, 2, 5 }, { 1, 1.5, 2, 3, 4, 6 } };
    int from = (int)floor(log10(axis->from)), to = (int)floor(log10(axis->to));

    for (size_t set = 0; set < VMAFX_LEN(sets); set++) {
        axis->n_ticks = 0;
        for (int decade = from; decade <= to; decade++)
            for (int i = 0; i < 8 && sets[set][i] > 0; i++)
                add_tick(axis, sets[set][i] * pow(10, decade));
        if (axis->n_ticks >= TICKS_WANTED)
            return true;
    }
    return false;
}

PlotAxis plot_axis_rates(double lo, double hi, double at0, double at1)
{
    double pad = hi > lo * 1.05 ? pow(hi / lo, 0.06) : 1.5;
    PlotAxis axis = { .from = lo / pad, .to = hi * pad, .logarithmic = true, .at0 = at0, .at1 = at1 };

    if (!decade_ticks(&axis))
        even_ticks(&axis);
    return axis;
}

PlotAxis plot_axis_scores(double lo, double hi, double at0, double at1)
{
    double pad = hi - lo > 0.01 ? (hi - lo) * 0.06 : 1;
    PlotAxis axis = { .from = lo - pad, .to = hi + pad, .at0 = at0, .at1 = at1 };

    if (hi <= SCORE_TOP) /* the point at the top stays clear of the edge */
        axis.to = fmin(axis.to, SCORE_TOP + (axis.to - axis.from) * 0.06);
    even_ticks(&axis);
    while (hi <= SCORE_TOP && axis.n_ticks && axis.ticks[axis.n_ticks - 1] > SCORE_TOP * (1 + 1e-9))
        axis.n_ticks--;
    return axis;
}

double plot_at(const PlotAxis *axis, double v)
{
    double share = axis->logarithmic ? log(v / axis->from) / log(axis->to / axis->from)
                                     : (v - axis->from) / (axis->to - axis->from);

    return axis->at0 + share * (axis->at1 - axis->at0);
}

void plot_rate_text(double rate, char *ret, size_t size)
{
    static const struct {
        double factor;
        const char *unit;
    } units[] = { { 1e9, "Gbit/s" }, { 1e6, "Mbit/s" }, { 1e3, "kbit/s" }, { 1, "bit/s" } };
    size_t i = 0;

    while (i + 1 < VMAFX_LEN(units) && rate < units[i].factor * 0.9999)
        i++;
    snprintf(ret, size, "%.3g %s", rate / units[i].factor, units[i].unit);
}

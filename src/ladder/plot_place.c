/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Where the legend goes: of the corners and the middles of both sides the first in which it covers least. */

#include <math.h>
#include <string.h>

#include "base/base.h"
#include "ladder/plot_axis.h"

#define GAP         12.0 /* between the legend and the axes */
#define PLACES      16   /* along a line, that are looked at */
#define TARGET_TEXT 18.0 /* above and below the target's line, for its text */

typedef struct View {
    const VmafxLadderPlot *plot;
    const PlotAxis *rates, *scores;
} View;

/* Is a place in the box, or so near to it? */
static bool covers(const PlotBox *box, double x, double y, double around)
{
    return x > box->x - around && x < box->x + box->w + around && y > box->y - around && y < box->y + box->h + around;
}

/* How much of what is drawn would lie under a box: points, and places along the curves; the target's line. */
static size_t covered(const View *v, const PlotBox *box)
{
    struct {
        bool begun;
        double x, y;
    } last[VMAFX_LADDER_SERIES_MAX][VMAFX_LADDER_GROUPS_MAX];
    size_t n = 0;

    memset(last, 0, sizeof last);
    for (size_t i = 0; i < v->plot->n; i++) {
        const VmafxLadderPoint *point = &v->plot->points[i];
        double x = plot_at(v->rates, point->rate), y = plot_at(v->scores, point->score);
        double x0 = last[point->series][point->group].x, y0 = last[point->series][point->group].y;

        n += PLACES * covers(box, x, y, PLOT_MARKER);
        for (int k = 1; k < PLACES && last[point->series][point->group].begun; k++)
            n += covers(box, x0 + (x - x0) * k / PLACES, y0 + (y - y0) * k / PLACES, 0);
        last[point->series][point->group].begun = true;
        last[point->series][point->group].x = x;
        last[point->series][point->group].y = y;
    }
    if (v->plot->has_target)
        n += PLACES / 2 * covers(box, box->x + box->w / 2, plot_at(v->scores, v->plot->target), TARGET_TEXT);
    return n;
}

PlotBox plot_place_legend(const VmafxLadderPlot *plot, const PlotAxis *rates, const PlotAxis *scores, double w,
                          double h)
{
    const View view = { plot, rates, scores };
    const double left = round(rates->at0 + GAP), right = round(rates->at1 - w - GAP);
    const double top = round(scores->at1 + GAP), bottom = round(scores->at0 - h - GAP);
    const double middle = round((top + bottom) / 2);
    const PlotBox places[] = { { right, bottom, w, h }, { left, top, w, h },     { left, bottom, w, h },
                               { right, top, w, h },    { right, middle, w, h }, { left, middle, w, h } };
    size_t best = 0, least = SIZE_MAX;

    for (size_t i = 0; i < VMAFX_LEN(places); i++) {
        size_t n = covered(&view, &places[i]);

        if (n < least) {
            least = n;
            best = i;
        }
    }
    return places[best];
}

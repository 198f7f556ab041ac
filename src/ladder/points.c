/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Order, Pareto front and hull of points of rate and quality. */

#include "ladder/points.h"

#include <math.h>
#include <stdlib.h>

bool vmafx_ladder_point_ok(const VmafxLadderPoint *point)
{
    return point->rate >= VMAFX_LADDER_RATE_MIN && point->rate <= VMAFX_LADDER_RATE_MAX &&
           fabs(point->score) <= VMAFX_LADDER_SCORE_MAX;
}

static int compare(const void *a, const void *b)
{
    const VmafxLadderPoint *x = a, *y = b;

    if (x->rate != y->rate)
        return x->rate < y->rate ? -1 : 1;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    return x->recipe < y->recipe ? -1 : x->recipe > y->recipe;
}

void vmafx_ladder_sort(VmafxLadderPoint *points, size_t n)
{
    if (n > 1)
        qsort(points, n, sizeof *points, compare);
}

size_t vmafx_ladder_pareto(VmafxLadderPoint *points, size_t n)
{
    size_t kept = 0;

    for (size_t i = 0; i < n; i++)
        if (!kept || points[i].score > points[kept - 1].score)
            points[kept++] = points[i];
    return kept;
}

/* Does b lie below the line from a to c, or on it? */
static bool is_below(const VmafxLadderPoint *a, const VmafxLadderPoint *b, const VmafxLadderPoint *c)
{
    double to_b = log(b->rate) - log(a->rate), to_c = log(c->rate) - log(a->rate);

    return (b->score - a->score) * to_c <= (c->score - a->score) * to_b;
}

size_t vmafx_ladder_hull(VmafxLadderPoint *points, size_t n)
{
    size_t front = vmafx_ladder_pareto(points, n), kept = 0;

    for (size_t i = 0; i < front; i++) {
        VmafxLadderPoint next = points[i];

        while (kept >= 2 && is_below(&points[kept - 2], &points[kept - 1], &next))
            kept--;
        points[kept++] = next;
    }
    return kept;
}

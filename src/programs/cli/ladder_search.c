/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The cheapest recipe that reaches a target: each codec at each size is a line of the search (ladder/search.h). */

#include "ladder/search.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/base.h"
#include "programs/cli/ladder.h"

#define LINES_MAX (VMAFX_LADDER_SERIES_MAX * VMAFX_LADDER_GROUPS_MAX)

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

/*
 * Before anything is measured: quality is near its best over the first third of the crf and falls ever faster. Bitrates
 * are put on the same curve by their logarithm.
 */
static double guess(const LadderSeries *series, size_t step)
{
    const VmafxLadderNumbers *steps = &series->steps;
    double t;

    if (series->bitrates)
        t = steps->n > 1
                ? 1 - log(steps->values[step] / steps->values[0]) / log(steps->values[steps->n - 1] / steps->values[0])
                : 0.5;
    else
        t = steps->values[step] / 64;
    return 99.9 - 99.7 * t * t * t - 0.1 * t;
}

/* In units of its own: crf halve about every six. */
static double rate_guess(const LadderSeries *series, size_t step)
{
    return series->bitrates ? series->steps.values[step] : exp(-0.115 * series->steps.values[step]);
}

/* Cheapest first: crf falling, bitrates rising. */
static void order_steps(LadderSeries *series)
{
    VmafxLadderNumbers *steps = &series->steps;

    qsort(steps->values, steps->n, sizeof steps->values[0], by_value);
    for (size_t i = 0; !series->bitrates && i < steps->n / 2; i++) {
        double swapped = steps->values[i];
        steps->values[i] = steps->values[steps->n - 1 - i];
        steps->values[steps->n - 1 - i] = swapped;
    }
}

/* The lines are codec by codec, size by size. */
static VmafxErr search_of(Ladder *l, VmafxLadderSearch **ret)
{
    double guesses[VMAFX_LADDER_SERIES_MAX][VMAFX_LADDER_VALUES_MAX];
    double rates[VMAFX_LADDER_SERIES_MAX][VMAFX_LADDER_VALUES_MAX];
    VmafxLadderLine lines[LINES_MAX];
    size_t n = 0;

    for (size_t i = 0; i < l->n_series; i++) {
        order_steps(&l->series[i]);
        for (size_t k = 0; k < l->series[i].steps.n; k++) {
            guesses[i][k] = guess(&l->series[i], k);
            rates[i][k] = rate_guess(&l->series[i], k);
        }
        for (size_t group = 0; group < ladder_groups(l); group++)
            lines[n++] = (VmafxLadderLine){ guesses[i], rates[i], l->series[i].steps.n };
    }
    return vmafx_ladder_search_new(lines, n, l->target, ret);
}

static void tell(VmafxLadderSearch *search, VmafxLadderTry what, const LadderOutcome *outcome)
{
    if (outcome->state == LADDER_SCORED)
        vmafx_ladder_search_tell(search, what, outcome->rate, outcome->score);
    else
        vmafx_ladder_search_failed(search, what);
}

/* Here one try at a time; a fleet may have the first ones of all lines at once. */
static size_t next_tries(Ladder *l, VmafxLadderSearch *search, VmafxLadderTry tries[LINES_MAX], size_t which[LINES_MAX])
{
    size_t n = 0, most = l->fleet ? LINES_MAX : 1;

    while (n < most && l->n < VMAFX_LADDER_RECIPES_MAX && vmafx_ladder_search_next(search, &tries[n])) {
        size_t series = tries[n].line / ladder_groups(l), group = tries[n].line % ladder_groups(l);

        l->recipes[l->n] = (LadderRecipe){ series, group, l->series[series].steps.values[tries[n].step] };
        which[n++] = l->n++;
    }
    return n;
}

static void keep_best(Ladder *l, const VmafxLadderSearch *search)
{
    VmafxLadderTry best;

    l->found = vmafx_ladder_search_best(search, &best);
    for (size_t i = 0; l->found && i < l->n; i++) {
        const LadderRecipe *r = &l->recipes[i];

        if (r->series * ladder_groups(l) + r->group == best.line &&
            r->step == l->series[r->series].steps.values[best.step])
            l->best = i;
    }
}

int ladder_search(Ladder *l)
{
    VMAFX_AUTO(vmafx_ladder_search_free) VmafxLadderSearch *search = NULL;
    VmafxLadderTry tries[LINES_MAX];
    size_t which[LINES_MAX], n;
    VmafxErr err = search_of(l, &search);
    int code = EXIT_COMPLETE;

    if (err) {
        fprintf(stderr, "vmafx ladder: %s\n", vmafx_err_text(err));
        return EXIT_DEFECT;
    }
    while (!code && (n = next_tries(l, search, tries, which)) > 0) {
        code = ladder_run(l, which, n);
        for (size_t i = 0; i < n; i++)
            tell(search, tries[i], &l->outcomes[which[i]]);
    }
    if (!code && l->n == VMAFX_LADDER_RECIPES_MAX)
        fprintf(stderr, "vmafx ladder: the search ends after %d encodes; there may be a cheaper recipe\n",
                VMAFX_LADDER_RECIPES_MAX);
    keep_best(l, search);
    return code;
}

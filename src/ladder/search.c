/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The cheapest recipe that reaches a score: brackets in each line, guesses inside them, bounds between the lines. */

#include "ladder/search.h"

#include <math.h>

#include "base/base.h"

#define SCORE_MAX     100.0
#define SHORTFALL_MIN 1.0 /* nearer to the best score it says nothing any more */

typedef struct Known {
    size_t step;
    double rate, score;
} Known;

typedef struct Line {
    double *guesses, *ln_rates;
    size_t n;
    bool has_low, has_high; /* the dearest step below the target; the cheapest that reaches it */
    Known low, high;
    bool tried, under_way, given_up;
    int slow; /* tries in a row that left more than half of what was open */
} Line;

struct VmafxLadderSearch {
    double target;
    size_t n;
    Line lines[];
};

static bool is_line(const VmafxLadderLine *line)
{
    if (line->n == 0 || line->n > VMAFX_LADDER_STEPS_MAX)
        return false;
    for (size_t i = 0; i < line->n; i++) {
        if (!(line->guesses[i] < SCORE_MAX) || !isfinite(line->guesses[i]) || !(line->rates[i] > 0) ||
            !isfinite(line->rates[i]))
            return false;
        if (i && (line->guesses[i] <= line->guesses[i - 1] || line->rates[i] <= line->rates[i - 1]))
            return false;
    }
    return true;
}

VmafxErr vmafx_ladder_search_new(const VmafxLadderLine *lines, size_t n, double target, VmafxLadderSearch **ret)
{
    VMAFX_AUTO(vmafx_ladder_search_free) VmafxLadderSearch *search = NULL;

    if (n == 0 || n > VMAFX_LADDER_LINES_MAX || !isfinite(target))
        return VMAFX_ERR_INVALID;
    for (size_t i = 0; i < n; i++)
        if (!is_line(&lines[i]))
            return VMAFX_ERR_INVALID;
    search = calloc(1, sizeof *search + n * sizeof search->lines[0]);
    if (!search)
        return VMAFX_ERR_NOMEM;
    search->target = target;
    for (; search->n < n; search->n++) {
        Line *line = &search->lines[search->n];

        line->n = lines[search->n].n;
        line->guesses = malloc(2 * line->n * sizeof *line->guesses);
        if (!line->guesses)
            return VMAFX_ERR_NOMEM;
        line->ln_rates = line->guesses + line->n;
        for (size_t i = 0; i < line->n; i++) {
            line->guesses[i] = lines[search->n].guesses[i];
            line->ln_rates[i] = log(lines[search->n].rates[i]);
        }
    }
    *ret = VMAFX_TAKE(search);
    return VMAFX_OK;
}

void vmafx_ladder_search_free(VmafxLadderSearch **search)
{
    if (!*search)
        return;
    for (size_t i = 0; i < (*search)->n; i++)
        free((*search)->lines[i].guesses);
    free(*search);
    *search = NULL;
}

/* ---- what is open ---- */

/* Steps that may still be the line's answer, short of the one that is known to reach the target: first … end − 1. */
static size_t open_first(const Line *line)
{
    return line->has_low ? line->low.step + 1 : 0;
}

static size_t open_end(const Line *line)
{
    return line->has_high ? line->high.step : line->n;
}

bool vmafx_ladder_search_best(const VmafxLadderSearch *search, VmafxLadderTry *ret)
{
    const Known *best = NULL;

    for (size_t i = 0; i < search->n; i++) {
        const Line *line = &search->lines[i];

        if (!line->has_high || (best && best->rate <= line->high.rate))
            continue;
        best = &line->high;
        *ret = (VmafxLadderTry){ i, best->step };
    }
    return best != NULL;
}

/* May it have a cheaper answer than all that is known? */
static bool is_open(const VmafxLadderSearch *search, const Line *line)
{
    VmafxLadderTry best;

    if (line->given_up || open_first(line) >= open_end(line))
        return false;
    return !line->has_low || !vmafx_ladder_search_best(search, &best) ||
           line->low.rate < search->lines[best.line].high.rate;
}

/* ---- where to look ---- */

/* ln of how far a score is from the best there is. By it the guesses and what real encoders do are nearly in
   proportion: a shortfall of twice or half as much everywhere, or one that grows faster, is still a straight line. */
static double shortfall(double score)
{
    return log(fmax(SCORE_MAX - score, SHORTFALL_MIN));
}

/* The shortfall that the guess of the wanted step has. */
static double wanted_shortfall(const VmafxLadderSearch *search, const Line *line)
{
    double wanted = log(fmax(SCORE_MAX - search->target, SHORTFALL_MIN / 2));

    if (!line->has_low && !line->has_high)
        return wanted;
    const Known *low = line->has_low ? &line->low : &line->high, *high = line->has_high ? &line->high : &line->low;
    double guess = log(SCORE_MAX - line->guesses[low->step]), known = shortfall(low->score);

    if (known <= shortfall(high->score)) /* one point, or two that say nothing of what lies between */
        return guess + wanted - known;
    double share = (known - wanted) / (known - shortfall(high->score));
    return guess + share * (log(SCORE_MAX - line->guesses[high->step]) - guess);
}

/* The cheapest open step that is guessed to be as good; the dearest one when none is. */
static size_t step_for(const VmafxLadderSearch *search, const Line *line)
{
    double guess = SCORE_MAX - exp(wanted_shortfall(search, line));
    size_t step = open_first(line);

    while (step + 1 < open_end(line) && line->guesses[step] < guess)
        step++;
    return step;
}

/* ln of the rate of a step, where something of its line is known. */
static double ln_rate(const Line *line, size_t step)
{
    const Known *low = line->has_low ? &line->low : &line->high, *high = line->has_high ? &line->high : &line->low;
    const Known *near = step <= low->step ? low : high;

    if (low == high || step <= low->step || step >= high->step)
        return log(near->rate) + line->ln_rates[step] - line->ln_rates[near->step];
    double share =
        (line->ln_rates[step] - line->ln_rates[low->step]) / (line->ln_rates[high->step] - line->ln_rates[low->step]);
    return log(low->rate) + share * (log(high->rate) - log(low->rate));
}

/* ln of what its answer may cost; a line of which nothing is known comes first. */
static double promise(const VmafxLadderSearch *search, const Line *line)
{
    if (!line->has_low && !line->has_high)
        return -INFINITY;
    return ln_rate(line, step_for(search, line));
}

static size_t next_step(const VmafxLadderSearch *search, const Line *line)
{
    size_t first = open_first(line), end = open_end(line), step = first;
    VmafxLadderTry best;

    if (line->slow >= 2)
        return first + (end - first - 1) / 2;
    if (line->tried && vmafx_ladder_search_best(search, &best)) {
        double bound = log(search->lines[best.line].high.rate);

        if (&search->lines[best.line] != line && promise(search, line) >= bound) {
            while (step + 1 < end && ln_rate(line, step) < bound)
                step++;
            return step;
        }
    }
    return step_for(search, line);
}

bool vmafx_ladder_search_next(VmafxLadderSearch *search, VmafxLadderTry *ret)
{
    Line *chosen = NULL;
    bool busy = false;

    for (size_t i = 0; i < search->n; i++) {
        Line *line = &search->lines[i];

        busy = busy || line->under_way;
        if (line->under_way || !is_open(search, line))
            continue;
        if (!chosen || promise(search, line) < promise(search, chosen))
            chosen = line;
    }
    if (!chosen || (busy && chosen->tried))
        return false;
    *ret = (VmafxLadderTry){ (size_t)(chosen - search->lines), next_step(search, chosen) };
    chosen->tried = chosen->under_way = true;
    return true;
}

void vmafx_ladder_search_tell(VmafxLadderSearch *search, VmafxLadderTry what, double rate, double score)
{
    Line *line = &search->lines[what.line];
    Known known = { what.step, rate, score };
    size_t before = open_end(line) - open_first(line);

    line->under_way = false;
    if (score >= search->target) {
        line->has_high = true;
        line->high = known;
    } else {
        line->has_low = true;
        line->low = known;
    }
    size_t after = open_end(line) > open_first(line) ? open_end(line) - open_first(line) : 0;
    line->slow = 2 * after > before ? line->slow + 1 : 0;
}

void vmafx_ladder_search_failed(VmafxLadderSearch *search, VmafxLadderTry what)
{
    search->lines[what.line].under_way = false;
    search->lines[what.line].given_up = true;
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The cheapest recipe that reaches a score, in few encodes. Recipes stand in lines (a codec at a size), and in a line
 * from the cheapest step to the dearest: crf 51, 50, 49 …, or bitrates rising. Wanted is the step of least rate whose
 * score is not below the target.
 *
 *     while (vmafx_ladder_search_next(search, &try))
 *         encode, score, vmafx_ladder_search_tell(search, try, rate, score);
 *     found = vmafx_ladder_search_best(search, &try);
 *
 * What is relied on: in a line a dearer step has more rate and scores no worse. Then a step below the target says that
 * all cheaper ones are too, one that reaches it that no dearer one is wanted, and a line whose steps below the target
 * cost as much already as a step elsewhere that reaches it can be left. Where real encoders break this in small ways,
 * what is found reaches the target all the same, for it was tried, and the next cheaper step was tried and did not.
 *
 * Where to try next is guessed. Lines bring a guess of every step's score and rate; what was measured bends it: the
 * shortfall from 100 is scaled by the nearest measurement, and between two measurements the guess is only the shape in
 * between. A line that promises nothing cheaper than what is known is tried where that would show: at the same rate.
 * Where two tries have not halved what is open, the next one does. Nothing is tried twice.
 *
 * Pure but for its memory; one thread at a time.
 */
#ifndef VMAFX_LADDER_SEARCH_H
#define VMAFX_LADDER_SEARCH_H

#include <stdbool.h>
#include <stddef.h>

#include <vmafx/error.h>

#define VMAFX_LADDER_LINES_MAX 64
#define VMAFX_LADDER_STEPS_MAX 256

typedef struct VmafxLadderSearch VmafxLadderSearch;

/** One line. Borrowed for the call that makes the search. */
typedef struct VmafxLadderLine {
    const double *guesses; /* of the scores, cheapest step first, rising strictly, below 100 */
    const double *rates;   /* likewise, above 0, in any unit */
    size_t n;              /* 1 … VMAFX_LADDER_STEPS_MAX */
} VmafxLadderLine;

typedef struct VmafxLadderTry {
    size_t line, step;
} VmafxLadderTry;

/** @return VMAFX_ERR_INVALID lines, steps or guesses as they must not be; VMAFX_ERR_NOMEM */
VMAFX_CHECK VmafxErr vmafx_ladder_search_new(const VmafxLadderLine *lines, size_t n, double target,
                                             VmafxLadderSearch **ret);
void vmafx_ladder_search_free(VmafxLadderSearch **search);

/**
 * What to try next. Until it has been told, or has failed, it is under way; as long as something is, only first tries
 * of other lines are given, which are needed in any case and may go on beside each other.
 * @return false: nothing, now; when nothing is under way the search is over
 */
bool vmafx_ladder_search_next(VmafxLadderSearch *search, VmafxLadderTry *ret);

/** What a try that was given came to. Rate and score are finite. */
void vmafx_ladder_search_tell(VmafxLadderSearch *search, VmafxLadderTry what, double rate, double score);
/** It failed: nothing of this line is tried any more. What it had reached still counts. */
void vmafx_ladder_search_failed(VmafxLadderSearch *search, VmafxLadderTry what);

/** The cheapest step, so far, that reaches the target; false: none does. */
bool vmafx_ladder_search_best(const VmafxLadderSearch *search, VmafxLadderTry *ret);
#endif

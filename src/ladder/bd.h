/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Bjøntegaard's deltas: how two curves of rate and quality differ on average where both of them have something to say.
 *
 *     BD-rate    = 10 ^ ( 1/(q1 − q0) · ∫ (lt(q) − la(q)) dq ) − 1      l = log10 of the rate over quality,
 *     BD-quality =        1/(r1 − r0) · ∫ (qt(r) − qa(r)) dr            q = quality over log10 of the rate
 *
 * of the curve under test (t) against the anchor (a), over the overlap of what they cover. A BD-rate of −20 % says: a
 * fifth less rate at the same quality.
 *
 *  - VMAFX_BD_PIECEWISE, what the spreadsheets of JCT-VC and JVET do (JCTVC-L1100, JVET-T2010): a cubic Hermite
 *    polynomial between each pair of neighbours, with slopes by Fritsch and Butland (1984), which does not overshoot.
 *    2 points or more.
 *  - VMAFX_BD_CUBIC, the first one (G. Bjøntegaard, VCEG-M33, 2001): one polynomial of third degree, through 4 points,
 *    or nearest to more by least squares. It may swing between points that are far from each other.
 *
 * Pure; any thread.
 */
#ifndef VMAFX_LADDER_BD_H
#define VMAFX_LADDER_BD_H

#include <vmafx/error.h>

#include "ladder/points.h"

typedef enum VmafxBdMethod { VMAFX_BD_PIECEWISE = 0, VMAFX_BD_CUBIC } VmafxBdMethod;

typedef struct VmafxBd {
    double rate;      /* in percent */
    bool has_quality; /* the curves have rates in common, not only scores */
    double quality;   /* in units of the score; 0 without */
    double from, to;  /* scores between which the BD-rate holds */
    double overlap;   /* how much of the scores that either curve covers both do: 0 … 1 */
} VmafxBd;

/**
 * Compares two curves.
 * @param anchor, test  points whose rates and scores rise strictly together, as vmafx_ladder_pareto leaves them
 * @return VMAFX_ERR_INVALID too few points, or they do not rise; VMAFX_ERR_MISMATCH the curves have no score in
 * common; VMAFX_ERR_LIMIT the polynomial runs away; VMAFX_ERR_NOMEM; each with a sentence. What is set is finite.
 */
VMAFX_CHECK VmafxErr vmafx_bd(VmafxBdMethod method, const VmafxLadderPoint *anchor, size_t n_anchor,
                              const VmafxLadderPoint *test, size_t n_test, VmafxBd *ret, VmafxErrInfo *reterr);
#endif

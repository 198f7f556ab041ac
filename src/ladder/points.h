/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * What encodes came to, as points of rate and quality, and which of them are worth having. Rates are compared by their
 * logarithm, as viewers and networks do: from 1 to 2 Mbit/s is as far as from 2 to 4.
 *
 * Pure; any thread.
 */
#ifndef VMAFX_LADDER_POINTS_H
#define VMAFX_LADDER_POINTS_H

#include <stdbool.h>
#include <stddef.h>

#define VMAFX_LADDER_RECIPES_MAX 256 /* of one ladder */
#define VMAFX_LADDER_RATE_MIN    1e-3
#define VMAFX_LADDER_RATE_MAX    1e15
#define VMAFX_LADDER_SCORE_MAX   1e6

/** One encode. */
typedef struct VmafxLadderPoint {
    double rate;   /* bits per second; VMAFX_LADDER_RATE_MIN … VMAFX_LADDER_RATE_MAX */
    double score;  /* more is better; at most VMAFX_LADDER_SCORE_MAX from 0 */
    size_t series; /* what is compared with what: the codec's number */
    size_t group;  /* of a series, what makes one curve: the size's number */
    size_t recipe; /* the caller's own number */
} VmafxLadderPoint;

/** Both numbers are ones, and in their ranges: what everything in this room asks of every point. */
bool vmafx_ladder_point_ok(const VmafxLadderPoint *point);

/** By rate, rising; of equal rates the better first; of equal ones in the order of their recipes. */
void vmafx_ladder_sort(VmafxLadderPoint *points, size_t n);

/**
 * The Pareto front: points for which no other one is at least as good at no more rate.
 * @param points  sorted as above; those of the front are moved to the beginning, in their order, the others are lost
 * @return how many they are; with n above 0 at least one. Their rates and scores rise strictly.
 */
size_t vmafx_ladder_pareto(VmafxLadderPoint *points, size_t n);

/**
 * The upper left part of the convex hull, over log rate: from the cheapest point to the best one, no point above a line
 * between two neighbours, and each steeper than the next. What lies on such a line is not in it.
 * @param points  sorted as above; treated as above
 * @return how many they are; with n above 0 at least one
 */
size_t vmafx_ladder_hull(VmafxLadderPoint *points, size_t n);
#endif

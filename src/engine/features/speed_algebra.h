/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The linear algebra of SpEED, in binary32: eigenvalues of a symmetric 25 x 25 matrix and the solution of a system with
 * it. Both are badly conditioned by nature (few samples, many unknowns), so the order of operations is the definition:
 * another one, or wider numbers, would give other scores and now and then another answer to "singular or not".
 */
#ifndef VMAFX_ENGINE_FEATURES_SPEED_ALGEBRA_H
#define VMAFX_ENGINE_FEATURES_SPEED_ALGEBRA_H

#include <stdbool.h>

#include "engine/kernels/speed.h"

/** The tridiagonal matrix before and after the iteration. */
typedef struct VmafxSpeedEigen {
    float diagonal[VMAFX_SPEED_N], beside[VMAFX_SPEED_N - 1];
    float values[VMAFX_SPEED_N]; /* eigenvalues, in no order */
    int steps;                   /* that the iteration took; 500 at most */
} VmafxSpeedEigen;

/** Householder reduction, then QR steps with Wilkinson's shift. Only K's first 25 columns are read. */
void vmafx_speed_eigen(const VmafxSpeedMatrix k, VmafxSpeedEigen *ret);

/** Room for a solution; freed by whoever made it. */
typedef struct VmafxSpeedSystem {
    int n;        /* right-hand sides */
    size_t pitch; /* n rounded up to VMAFX_SPEED_COLUMNS, or more */
    float *y, *t, *x;
    VmafxSpeedMatrix q, r;
} VmafxSpeedSystem;

/**
 * Solves K X = Y by reflections. On success X is filled; t is Q · Y, r is Q · K.
 * @return false when a pivot is too small: the system is singular, and X means nothing
 */
bool vmafx_speed_solve(const VmafxSpeedKernels *kernels, const VmafxSpeedMatrix k, VmafxSpeedSystem *system);
#endif

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * What of a result is counted in the histogram vmafx.score: the mean of every model's score, and of every feature that
 * judges the distorted video by itself (base/features.h). Labels come from closed sets: versions of models that are
 * installed, "score" and names of features.def.
 */
#ifndef VMAFX_REPORT_SCORED_H
#define VMAFX_REPORT_SCORED_H

#include "rpc/message.h"

#define VMAFX_SCORED_MAX   32      /* 16 models, and more features than there are that judge */
#define VMAFX_SCORED_MODEL "score" /* the metric of a model */

typedef struct VmafxScored {
    char model[64];     /* its version, cut; "": of a feature */
    const char *metric; /* static */
    double value;       /* finite */
} VmafxScored;

/** Zeroed at first. */
typedef struct VmafxScoredList {
    VmafxScored items[VMAFX_SCORED_MAX];
    size_t n;
} VmafxScoredList;

/**
 * The metric that a feature's series is counted as: of several with different options only the first. NULL: it is not
 * counted.
 */
const char *vmafx_scored_metric(const VmafxScoredList *list, const char *series);
/** Leaves out what is no number or infinite, and what is beyond the limit. @param model  NULL: of a feature */
void vmafx_scored_add(VmafxScoredList *list, const char *model, const char *metric, double value);
/** All of a result that is whole; nothing of another. */
void vmafx_scored_of_result(const Vmafx__V1__Result *result, VmafxScoredList *ret);
#endif

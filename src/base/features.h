/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * What can be measured (features.def), for those who tell of it and have no engine in them. Closed sets, so a name that
 * is in them may be the label of a metric. Everything is static; any thread.
 */
#ifndef VMAFX_BASE_FEATURES_H
#define VMAFX_BASE_FEATURES_H

#include <stddef.h>

typedef enum VmafxResultUse {
    VMAFX_RESULT_QUALITY = 0, /* judges the distorted video by itself */
    VMAFX_RESULT_PART,        /* a plane, a scale, an input of models */
    VMAFX_RESULT_FACT,        /* something else, such as how much moves */
} VmafxResultUse;

typedef enum VmafxBetter { VMAFX_BETTER_NEITHER = 0, VMAFX_BETTER_UP, VMAFX_BETTER_DOWN } VmafxBetter;

/** By which number a feature is known in arrays. */
typedef enum VmafxFeatureId {
#define VMAFX_FEATURE(name, NAME, what, good_for, misleads) VMAFX_FEATURE_##NAME,
#include "base/features.def"
    VMAFX_FEATURES_N
} VmafxFeatureId;

typedef struct VmafxFeatureFacts {
    const char *name; /* as it is asked for */
    const char *what, *good_for, *misleads;
} VmafxFeatureFacts;

/** One of its results. */
typedef struct VmafxResultFacts {
    const char *name; /* as reports print it, without options */
    VmafxFeatureId feature;
    VmafxResultUse use;
    VmafxBetter better;
    const char *range, *what;
} VmafxResultFacts;

/** All of them: VMAFX_FEATURES_N, sorted, by VmafxFeatureId. */
extern const char *const vmafx_feature_names[VMAFX_FEATURES_N];
extern const VmafxFeatureFacts vmafx_feature_facts[VMAFX_FEATURES_N];

/** All results, by feature. */
const VmafxResultFacts *vmafx_result_facts(size_t *ret_n);
/**
 * What a series of a report is: the result of that name, or of the name before options ("cambi_eotf_pq" is cambi).
 * NULL: none, such as a model's score.
 */
const VmafxResultFacts *vmafx_result_facts_of(const char *series);
#endif

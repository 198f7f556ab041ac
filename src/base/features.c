/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* features.def as tables. */

#include "base/features.h"

#include <string.h>

#include "base/base.h"

const char *const vmafx_feature_names[VMAFX_FEATURES_N] = {
#define VMAFX_FEATURE(name, NAME, what, good_for, misleads) #name,
#include "base/features.def"
};

const VmafxFeatureFacts vmafx_feature_facts[VMAFX_FEATURES_N] = {
#define VMAFX_FEATURE(name, NAME, what, good_for, misleads) { #name, what, good_for, misleads },
#include "base/features.def"
};

/* The feature of a result is written in lower case there. */
enum {
#define VMAFX_FEATURE(name, NAME, what, good_for, misleads) id_##name = VMAFX_FEATURE_##NAME,
#include "base/features.def"
};

static const VmafxResultFacts results[] = {
#define VMAFX_RESULT(name, feature, kind, better, range, what)                                                         \
    { #name, (VmafxFeatureId)id_##feature, VMAFX_RESULT_##kind, VMAFX_BETTER_##better, range, what },
#include "base/features.def"
};

const VmafxResultFacts *vmafx_result_facts(size_t *ret_n)
{
    *ret_n = VMAFX_LEN(results);
    return results;
}

const VmafxResultFacts *vmafx_result_facts_of(const char *series)
{
    const VmafxResultFacts *best = NULL;
    size_t longest = 0;

    for (size_t i = 0; i < VMAFX_LEN(results); i++) {
        size_t len = strlen(results[i].name);

        if (len > longest && !strncmp(series, results[i].name, len) && (!series[len] || series[len] == '_')) {
            best = &results[i];
            longest = len;
        }
    }
    return best;
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The register of feature extractors. */

#include "engine/extractor.h"

#include <string.h>

#include "base/base.h"
#include "base/features.h"

static const VmafxExtractor *const available[] = {
#define VMAFX_FEATURE(name, NAME, what, good_for, misleads) &vmafx_extractor_##name,
#include "base/features.def"
};

/* Extractors of the reference that this version does not have, with the beginnings of the names models know them by. */
static const struct {
    const char *name, *stored_prefix, *because;
} later[] = {
    { "float_ansnr", NULL, "its filters are described nowhere to the bit" },
    { "ssim", NULL, "the reference does not build it either; float_ssim is there" },
};

const char *const *vmafx_engine_features(size_t *ret_n)
{
    *ret_n = VMAFX_FEATURES_N;
    return vmafx_feature_names;
}

static VmafxErr unknown(const char *name, VmafxErrInfo *reterr)
{
    char known[sizeof((VmafxErrInfo *)0)->message] = "";
    size_t used = 0;

    for (size_t i = 0; i < VMAFX_FEATURES_N && used < sizeof known; i++)
        used += (size_t)snprintf(known + used, sizeof known - used, "%s%s", i ? ", " : "", vmafx_feature_names[i]);
    return vmafx_fail(reterr, VMAFX_ERR_FEATURE, "there is no feature '%s'; this version has %s", name, known);
}

VmafxErr vmafx_extractor_find(const char *name, const VmafxExtractor **ret_extractor, VmafxErrInfo *reterr)
{
    for (size_t i = 0; i < VMAFX_LEN(available); i++)
        if (!strcmp(available[i]->name, name)) {
            *ret_extractor = available[i];
            return VMAFX_OK;
        }
    for (size_t i = 0; i < VMAFX_LEN(later); i++)
        if (!strcmp(later[i].name, name))
            return vmafx_fail(reterr, VMAFX_ERR_UNSUPPORTED,
                              "feature '%s' is not available in this version, because %s", name, later[i].because);
    return unknown(name, reterr);
}

VmafxErr vmafx_extractor_for_feature(const char *stored, const VmafxExtractor **ret_extractor, size_t *ret_feature,
                                     VmafxErrInfo *reterr)
{
    for (size_t i = 0; i < VMAFX_LEN(available); i++)
        for (size_t j = 0; j < available[i]->n_features; j++)
            if (!strcmp(available[i]->features[j].stored, stored)) {
                *ret_extractor = available[i];
                *ret_feature = j;
                return VMAFX_OK;
            }
    for (size_t i = 0; i < VMAFX_LEN(later); i++)
        if (later[i].stored_prefix && !strncmp(stored, later[i].stored_prefix, strlen(later[i].stored_prefix)))
            return vmafx_fail(reterr, VMAFX_ERR_UNSUPPORTED,
                              "the model input '%s' needs feature '%s', which is not available in this version", stored,
                              later[i].name);
    return vmafx_fail(reterr, VMAFX_ERR_FEATURE, "no feature gives the model input '%s'", stored);
}

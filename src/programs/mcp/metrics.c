/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What can be measured, told to assistants. */

#include "programs/mcp/metrics.h"

#include <string.h>

#include "base/base.h"
#include "programs/mcp/tools.h"

json_t *metric_document(const VmafxResultFacts *facts)
{
    static const char *const kinds[] = {
        [VMAFX_RESULT_QUALITY] = "quality", [VMAFX_RESULT_PART] = "part", [VMAFX_RESULT_FACT] = "fact"
    };
    static const char *const better[] = {
        [VMAFX_BETTER_NEITHER] = "neither", [VMAFX_BETTER_UP] = "higher", [VMAFX_BETTER_DOWN] = "lower"
    };

    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "metric", facts->name, "feature",
                     vmafx_feature_names[facts->feature], "kind", kinds[facts->use], "better", better[facts->better],
                     "range", facts->range, "what", facts->what);
}

json_t *feature_document(const VmafxFeatureFacts *facts)
{
    return json_pack("{s:s, s:s, s:s, s:s}", "feature", facts->name, "what", facts->what, "good_for", facts->good_for,
                     "misleads", facts->misleads);
}

static bool is_feature(const char *name)
{
    for (size_t i = 0; i < VMAFX_FEATURES_N; i++)
        if (!strcmp(vmafx_feature_names[i], name))
            return true;
    return false;
}

static bool is_wanted(const json_t *wanted, const char *feature)
{
    const json_t *name;
    size_t i;

    json_array_foreach(wanted, i, name) if (!strcmp(json_string_value(name), feature)) return true;
    return !wanted;
}

VmafxErr tool_list_metrics(Call *call, const json_t *arguments, ToolOutput *ret, VmafxErrInfo *reterr)
{
    const json_t *wanted = json_object_get(arguments, "features"), *name;
    json_t *features = json_array(), *metrics = json_array();
    size_t i, n;
    const VmafxResultFacts *results = vmafx_result_facts(&n);
    VmafxErr err = VMAFX_OK;

    json_array_foreach(wanted, i, name) if (!err && !is_feature(json_string_value(name))) err = vmafx_fail(
        reterr, VMAFX_ERR_INVALID, "there is no feature '%.64s'; leave out the argument for a list of all of them",
        json_string_value(name));
    for (i = 0; !err && i < VMAFX_FEATURES_N; i++)
        if (is_wanted(wanted, vmafx_feature_names[i]))
            VMAFX_IGNORE(json_array_append_new(features, feature_document(&vmafx_feature_facts[i])));
    for (i = 0; !err && i < n; i++)
        if (is_wanted(wanted, vmafx_feature_names[results[i].feature]))
            VMAFX_IGNORE(json_array_append_new(metrics, metric_document(&results[i])));
    if (!err) {
        ret->text =
            vmafx_sprintf("%zu features with %zu metrics.", json_array_size(features), json_array_size(metrics));
        ret->value = json_pack("{s:O, s:O}", "features", features, "metrics", metrics);
        err = ret->value && ret->text ? VMAFX_OK : VMAFX_ERR_NOMEM;
    }
    json_decref(features);
    json_decref(metrics);
    return err;
}

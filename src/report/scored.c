/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What of a result is counted. */

#include "report/scored.h"

#include <math.h>
#include <string.h>

#include "base/base.h"
#include "base/features.h"
#include "base/text.h"

const char *vmafx_scored_metric(const VmafxScoredList *list, const char *series)
{
    const VmafxResultFacts *facts = vmafx_result_facts_of(series);

    if (!facts || facts->use != VMAFX_RESULT_QUALITY)
        return NULL;
    for (size_t i = 0; i < list->n; i++)
        if (list->items[i].metric == facts->name)
            return NULL;
    return facts->name;
}

void vmafx_scored_add(VmafxScoredList *list, const char *model, const char *metric, double value)
{
    if (!isfinite(value) || list->n == VMAFX_SCORED_MAX)
        return;
    VmafxScored *scored = &list->items[list->n++];
    vmafx_text_copy(scored->model, sizeof scored->model, model ? model : "");
    scored->metric = metric;
    scored->value = value;
}

/* The model's score series. NULL: it has no pooled value. */
static const Vmafx__V1__SeriesSummary *score_of(const Vmafx__V1__Result *result, const Vmafx__V1__ModelFacts *model)
{
    for (size_t i = 0; i < result->n_series; i++) {
        const Vmafx__V1__SeriesSummary *s = result->series[i];

        if (s->kind == VMAFX__V1__SERIES_KIND__SERIES_KIND_SCORE && s->n && !strcmp(s->name, model->name))
            return s;
    }
    return NULL;
}

void vmafx_scored_of_result(const Vmafx__V1__Result *result, VmafxScoredList *ret)
{
    *ret = (VmafxScoredList){ .n = 0 };
    if (!result->complete)
        return;
    for (size_t i = 0; i < result->n_models; i++) {
        const Vmafx__V1__SeriesSummary *score = score_of(result, result->models[i]);

        if (score)
            vmafx_scored_add(ret, result->models[i]->version, VMAFX_SCORED_MODEL, score->mean);
    }
    for (size_t i = 0; i < result->n_series; i++) {
        const Vmafx__V1__SeriesSummary *s = result->series[i];
        bool counts = s->kind == VMAFX__V1__SERIES_KIND__SERIES_KIND_FEATURE && s->n;
        const char *metric = counts ? vmafx_scored_metric(ret, s->name) : NULL;

        if (metric)
            vmafx_scored_add(ret, NULL, metric, s->mean);
    }
}

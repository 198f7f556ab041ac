/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What all backends share. */

#include "programs/mcp/backend.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"

void job_view_encode(JobView *job, const Vmafx__V1__EncodeRecipe *recipe)
{
    snprintf(job->distorted, sizeof job->distorted, "the reference, encoded by %.64s",
             *recipe->encoder ? recipe->encoder : recipe->codec);
}

void job_result_done(JobResult *result)
{
    vmafx_message_free(&result->message);
    free(result->values);
    *result = (JobResult){ 0 };
}

const Vmafx__V1__SeriesSummary *result_verdict(const Vmafx__V1__Result *summary)
{
    const Vmafx__V1__SeriesSummary *first = NULL;

    for (size_t i = 0; i < summary->n_series; i++) {
        const Vmafx__V1__SeriesSummary *series = summary->series[i];
        if (series->kind != VMAFX__V1__SERIES_KIND__SERIES_KIND_SCORE || !series->n)
            continue;
        if (summary->n_models && !strcmp(series->name, summary->models[0]->name))
            return series;
        first = first ? first : series;
    }
    return first;
}

void job_list_done(JobList *list)
{
    free(list->jobs);
    free(list->next);
    *list = (JobList){ 0 };
}

void health_check(json_t *checks, const char *check, const char *verdict, const char *fmt, ...)
{
    char text[VMAFX_ERR_MESSAGE_MAX];
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    VMAFX_IGNORE(json_array_append_new(checks, json_pack("{s:s, s:s, s:s}", "check", check, "verdict", verdict, "text",
                                                         text))); /* without memory there are more urgent findings */
}

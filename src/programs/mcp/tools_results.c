/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The worst frames of a result. */

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/base.h"
#include "base/features.h"
#include "programs/mcp/document.h"
#include "programs/mcp/tools.h"

#define WORST_MAX 100

VmafxErr tool_fetch(Call *call, const json_t *arguments, bool frames, JobResult *ret, VmafxErrInfo *reterr)
{
    Backend *b = call->program->backend;

    snprintf(call->job_id, sizeof call->job_id, "%s", json_string_value(json_object_get(arguments, "job_id")));
    return b->ops->result(b, call->job_id, frames, ret, reterr);
}

static const Vmafx__V1__SeriesSummary *series_named(const Vmafx__V1__Result *summary, const char *name,
                                                    size_t *ret_index)
{
    for (size_t i = 0; i < summary->n_series; i++)
        if (!strcmp(summary->series[i]->name, name)) {
            *ret_index = i;
            return summary->series[i];
        }
    return NULL;
}

/* ---- The worst frames ---- */

typedef struct Picked {
    uint64_t rows[WORST_MAX];
    size_t n;
} Picked;

static bool near_a_picked_one(const Picked *picked, uint64_t row, double gap_rows)
{
    for (size_t i = 0; i < picked->n; i++)
        if (fabs((double)picked->rows[i] - (double)row) < gap_rows)
            return true;
    return false;
}

/** The worst ones, one after the other; each may be no nearer to those before than the gap. */
static void pick(const double *values, uint64_t n_rows, size_t count, double gap_rows, bool high, Picked *ret)
{
    while (ret->n < count) {
        uint64_t best = n_rows;
        for (uint64_t row = 0; row < n_rows; row++)
            if (isfinite(values[row]) &&
                (best == n_rows || (high ? values[row] > values[best] : values[row] < values[best])) &&
                !near_a_picked_one(ret, row, VMAFX_MAX(gap_rows, 1)))
                best = row;
        if (best == n_rows)
            return;
        ret->rows[ret->n++] = best;
    }
}

static json_t *frame_document(const Vmafx__V1__Result *s, uint64_t row, double value)
{
    int64_t frame = s->first_frame + (int64_t)row;
    json_t *d = json_pack("{s:I, s:f}", "frame", (json_int_t)frame, "value", value);

    if (d && s->rate_num > 0 && s->rate_den > 0) {
        double seconds = (double)(frame + s->skip_reference) * s->rate_den / s->rate_num;
        char text[32];
        int64_t ms = (int64_t)floor(seconds * 1000 + 0.5);
        snprintf(text, sizeof text, "%" PRId64 ":%02d:%02d.%03d", ms / 3600000, (int)(ms / 60000 % 60),
                 (int)(ms / 1000 % 60), (int)(ms % 1000));
        VMAFX_IGNORE(json_object_set_new(d, "seconds", json_real(seconds)));
        set_text(d, "time", text);
    }
    return d;
}

VmafxErr tool_worst_frames(Call *call, const json_t *arguments, ToolOutput *ret, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(job_result_done) JobResult result = { 0 };
    const json_t *count = json_object_get(arguments, "count");
    double gap_s = json_number_value(json_object_get(arguments, "min_gap_seconds"));
    Picked picked = { .n = 0 };
    size_t index = 0;
    VmafxErr err = tool_fetch(call, arguments, true, &result, reterr);

    if (err)
        return err;
    const Vmafx__V1__Result *s = result.summary;
    const Vmafx__V1__SeriesSummary *verdict = result_verdict(s);
    const char *name = json_string_value(json_object_get(arguments, "series"));
    name = name ? name : verdict ? verdict->name : "vmaf";
    const Vmafx__V1__SeriesSummary *series = series_named(s, name, &index);
    if (!series)
        return vmafx_fail(reterr, VMAFX_ERR_INVALID,
                          "the job has no series '%.64s'; job_result names its scores and features", name);
    if (index >= result.n_columns || !result.n_rows)
        return vmafx_fail(reterr, VMAFX_ERR_STATE, "the job has no values of frames");
    const double *values = result.values + index * result.n_rows;
    double gap_rows = s->rate_num > 0 && s->rate_den > 0 ? gap_s * s->rate_num / s->rate_den : gap_s * 25;
    const VmafxResultFacts *facts = vmafx_result_facts_of(name);
    bool high =
        series->kind == VMAFX__V1__SERIES_KIND__SERIES_KIND_FEATURE && facts && facts->better == VMAFX_BETTER_DOWN;
    pick(values, result.n_rows, count ? (size_t)json_number_value(count) : 5, gap_rows, high, &picked);

    json_t *frames = json_array();
    for (size_t i = 0; i < picked.n; i++)
        VMAFX_IGNORE(json_array_append_new(frames, frame_document(s, picked.rows[i], values[picked.rows[i]])));
    ret->value = json_pack("{s:s, s:s, s:o, s:o}", "job_id", call->job_id, "series", name, "mean",
                           number_or_null(series->mean), "frames", frames);
    ret->text = picked.n ? vmafx_sprintf("The worst frame has %s %.2f (frame %" PRId64 "); the mean is %.2f.", name,
                                         values[picked.rows[0]], s->first_frame + (int64_t)picked.rows[0], series->mean)
                         : vmafx_strdup("No frame has a value.");
    return ret->value && ret->text ? VMAFX_OK : VMAFX_ERR_NOMEM;
}

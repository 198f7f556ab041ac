/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Tools that look into a result: the worst frames, and why a score is what it is. */

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>

#include "base/base.h"
#include "programs/mcp/document.h"
#include "programs/mcp/tools.h"

#define WORST_MAX 100

static VmafxErr fetch(Call *call, const json_t *arguments, bool frames, JobResult *ret, VmafxErrInfo *reterr)
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

/** The lowest ones, one after the other; each may be no nearer to those before than the gap. */
static void pick(const double *values, uint64_t n_rows, size_t count, double gap_rows, Picked *ret)
{
    while (ret->n < count) {
        uint64_t best = n_rows;
        for (uint64_t row = 0; row < n_rows; row++)
            if (isfinite(values[row]) && (best == n_rows || values[row] < values[best]) &&
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
    VmafxErr err = fetch(call, arguments, true, &result, reterr);

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
    pick(values, result.n_rows, count ? (size_t)json_number_value(count) : 5, gap_rows, &picked);

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

/* ---- Why ---- */

/**
 * Typical values are ranges that encodes of that quality had: [from, low, high], best quality first. The one of a score
 * is the first whose `from` it reaches.
 */
static void typical(const json_t *feature, double score, double *ret_low, double *ret_high)
{
    const json_t *range = NULL;
    size_t i;

    json_array_foreach(json_object_get(feature, "typical"), i,
                       range) if (score >= json_number_value(json_array_get(range, 0))) break;
    if (i == json_array_size(json_object_get(feature, "typical"))) /* below the lowest: that one all the same */
        range = json_array_get(json_object_get(feature, "typical"), i - 1);
    *ret_low = json_number_value(json_array_get(range, 1));
    *ret_high = json_number_value(json_array_get(range, 2));
}

typedef struct Explanation {
    double score;
    json_t *features, *findings;
    double worst_gap; /* how far the worst feature is below the best encodes, in widths of their range */
    const json_t *worst;
    double lowest_coarse; /* of the coarsest scale; NaN: not there */
    int below;            /* features lower than in very good encodes */
} Explanation;

static void find(Explanation *e, const char *fmt, ...) VMAFX_PRINTF(2, 3);

static void find(Explanation *e, const char *fmt, ...)
{
    char text[512];
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    VMAFX_IGNORE(json_array_append_new(e->findings, json_string(text)));
}

static void look_at(Explanation *e, const json_t *feature, double value)
{
    double low, high, good_low, good_high;
    const char *verdict;

    typical(feature, e->score, &low, &high);
    typical(feature, 100, &good_low, &good_high);
    if (value < low)
        verdict = "lower than usual at this score";
    else if (value > high && value < good_low)
        verdict = "higher than usual at this score";
    else
        verdict = value < good_low ? "lower than in very good encodes" : "as in very good encodes";
    double gap = (good_low - value) / VMAFX_MAX(good_high - good_low, 1e-3);
    if (value < good_low) {
        e->below++;
        if (gap > e->worst_gap) {
            e->worst_gap = gap;
            e->worst = feature;
        }
    }
    const char *name = json_string_value(json_object_get(feature, "series"));
    if (!strcmp(name, "integer_vif_scale3"))
        e->lowest_coarse = value;
    VMAFX_IGNORE(json_array_append_new(e->features,
                                       json_pack("{s:s, s:O, s:f, s:f, s:f, s:f, s:f, s:s, s:O}", "name", name, "title",
                                                 json_object_get(feature, "title"), "value", value, "typical_low", low,
                                                 "typical_high", high, "good_low", good_low, "good_high", good_high,
                                                 "verdict", verdict, "text", json_object_get(feature, "text"))));
}

/** How even the quality is says the spread between the mean and the worst of the frames. */
static void look_at_spread(Explanation *e, const Vmafx__V1__SeriesSummary *verdict)
{
    if (verdict->n < 2)
        return;
    if (verdict->mean - verdict->p5 > 10)
        find(e,
             "The quality is uneven: 5 %% of the frames are below %.1f while the mean is %.1f. Some places are much "
             "worse "
             "than the rest; worst_frames says where.",
             verdict->p5, verdict->mean);
    else if (verdict->mean < 88)
        find(e,
             "The quality is even (5 %% of the frames are below %.1f): it is low all over, not in places. A higher bit "
             "rate or a better preset would lift all of it.",
             verdict->p5);
}

static void look_at_motion(Explanation *e, const json_t *motion, const Vmafx__V1__Result *s)
{
    const json_t *name;
    size_t i, index;

    json_array_foreach(json_object_get(motion, "series"), i, name)
    {
        const Vmafx__V1__SeriesSummary *series = series_named(s, json_string_value(name), &index);
        if (!series || !series->n)
            continue;
        if (series->mean < 1)
            find(e, "There is hardly any motion (%.2f), so viewers see every flaw and the model is strict.",
                 series->mean);
        else if (series->mean > 8)
            find(e, "There is a lot of motion (%.2f): hard to encode, and flaws are seen less.", series->mean);
        return;
    }
}

static void conclude(Explanation *e, const Vmafx__V1__Result *s)
{
    if (!e->below)
        find(e, "All features are as in very good encodes.");
    else if (e->worst)
        find(e, "Furthest from very good encodes is %s: %s.", json_string_value(json_object_get(e->worst, "title")),
             json_string_value(json_object_get(e->worst, "low")));
    if (e->lowest_coarse < 0.5 && e->score < 40)
        find(
            e,
            "Even large structures do not fit (VIF at an eighth of the resolution is %.2f). Before blaming the encoder "
            "make sure that the videos belong together: same content, no offset of frames (try frames.skip_reference "
            "or "
            "frames.skip_distorted), same crop, same brightness range.",
            e->lowest_coarse);
    for (size_t i = 0; i < s->n_warnings; i++)
        find(e, "Warning of the measurement: %s", s->warnings[i]);
    for (size_t i = 0; i < s->n_adaptations; i++)
        find(e, "The videos were adapted, which may cost points: %s", s->adaptations[i]);
    if (!s->complete)
        find(e, "The scores cover the beginning only: %s", s->incomplete_reason);
}

static char *sentences(const char *head, const json_t *findings)
{
    char *text = NULL;
    size_t size, i;
    const json_t *one;
    FILE *out = open_memstream(&text, &size);

    if (!out)
        return NULL;
    fputs(head, out);
    json_array_foreach(findings, i, one) fprintf(out, "\n- %s", json_string_value(one));
    return fclose(out) ? NULL : text;
}

VmafxErr tool_explain_score(Call *call, const json_t *arguments, ToolOutput *ret, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(job_result_done) JobResult result = { 0 };
    const Catalogue *catalogue = &call->program->catalogue;
    const char *meaning;
    const json_t *feature;
    char head[256];
    size_t i, index;
    VmafxErr err = fetch(call, arguments, false, &result, reterr);

    if (err)
        return err;
    const Vmafx__V1__SeriesSummary *verdict = result_verdict(result.summary);
    if (!verdict)
        return vmafx_fail(reterr, VMAFX_ERR_STATE, "the job has no score to explain, only features");
    const char *word = catalogue_rating(catalogue, verdict->mean, &meaning);
    Explanation e = {
        .score = verdict->mean, .features = json_array(), .findings = json_array(), .lowest_coarse = NAN
    };
    json_array_foreach(json_object_get(catalogue->root, "features"), i, feature)
    {
        const Vmafx__V1__SeriesSummary *series =
            series_named(result.summary, json_string_value(json_object_get(feature, "series")), &index);
        if (series && series->n)
            look_at(&e, feature, series->mean);
    }
    look_at_spread(&e, verdict);
    look_at_motion(&e, json_object_get(catalogue->root, "motion"), result.summary);
    conclude(&e, result.summary);
    snprintf(head, sizeof head, "VMAF %.2f is %s: %s.", verdict->mean, word, meaning);
    ret->text = sentences(head, e.findings);
    ret->value =
        json_pack("{s:s, s:o, s:s, s:s, s:o, s:o}", "job_id", call->job_id, "score", number_or_null(verdict->mean),
                  "rating", word, "meaning", meaning, "features", e.features, "findings", e.findings);
    return ret->value && ret->text ? VMAFX_OK : VMAFX_ERR_NOMEM;
}

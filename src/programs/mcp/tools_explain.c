/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Why a score is what it is, by the ranges that encodes of that quality had and by every metric that was measured. */

#include <math.h>
#include <stdarg.h>
#include <string.h>

#include "base/base.h"
#include "base/features.h"
#include "programs/mcp/document.h"
#include "programs/mcp/metrics.h"
#include "programs/mcp/tools.h"

#define CAMBI_ANNOYS     5  /* "slightly annoying" and */
#define CAMBI_UNWATCHED  24 /* "unwatchable", as its authors put it */
#define CHROMA_BELOW_DB  3
#define SSIM_SATURATES   0.995
#define FINDING_TEXT_MAX 768

typedef struct Explanation {
    double score;
    json_t *features, *findings, *metrics;
    bool asked[VMAFX_FEATURES_N]; /* features of which there are results */
    double worst_gap;             /* how far the worst feature is below the best encodes, in widths of their range */
    const json_t *worst;
    double lowest_coarse; /* of the coarsest scale; NaN: not there */
    int below;            /* features lower than in very good encodes */
} Explanation;

static void find(Explanation *e, const char *fmt, ...) VMAFX_PRINTF(2, 3);

static void find(Explanation *e, const char *fmt, ...)
{
    char text[FINDING_TEXT_MAX];
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    VMAFX_IGNORE(json_array_append_new(e->findings, json_string(text)));
}

/* A feature's series that has a mean: of that name, or the first of that name with options. */
static const Vmafx__V1__SeriesSummary *series_of(const Vmafx__V1__Result *summary, const char *name)
{
    const Vmafx__V1__SeriesSummary *found = NULL;

    for (size_t i = 0; i < summary->n_series; i++) {
        const Vmafx__V1__SeriesSummary *s = summary->series[i];
        const VmafxResultFacts *facts = vmafx_result_facts_of(s->name);

        if (s->kind != VMAFX__V1__SERIES_KIND__SERIES_KIND_FEATURE || !s->n || !facts || strcmp(facts->name, name) != 0)
            continue;
        if (!strcmp(s->name, name))
            return s;
        found = found ? found : s;
    }
    return found;
}

/* ---- Ranges that encodes had ---- */

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

/* The ranges are those of VMAF v0.6.1: its scores in four bands. Scores of v1 and of ONNX models say something else. */
static bool ranges_apply(const Vmafx__V1__Result *summary)
{
    static const char *const families[] = { "vmaf_v0.", "vmaf_b_v0.", "vmaf_4k_v0." };
    const char *version = summary->n_models ? summary->models[0]->version : "";

    for (size_t i = 0; i < VMAFX_LEN(families); i++)
        if (!strncmp(version, families[i], strlen(families[i])))
            return true;
    return false;
}

static void look_at_ranges(Explanation *e, const Catalogue *catalogue, const Vmafx__V1__Result *summary)
{
    const json_t *feature;
    size_t i;

    json_array_foreach(json_object_get(catalogue->root, "features"), i, feature)
    {
        const Vmafx__V1__SeriesSummary *series =
            series_of(summary, json_string_value(json_object_get(feature, "series")));
        if (series)
            look_at(e, feature, series->mean);
    }
}

/* ---- Every metric that was measured ---- */

static void list_metrics(Explanation *e, const Vmafx__V1__Result *summary)
{
    for (size_t i = 0; i < summary->n_series; i++) {
        const Vmafx__V1__SeriesSummary *s = summary->series[i];
        bool is_feature = s->kind == VMAFX__V1__SERIES_KIND__SERIES_KIND_FEATURE && s->n;
        const VmafxResultFacts *facts = is_feature ? vmafx_result_facts_of(s->name) : NULL;

        if (!facts)
            continue;
        json_t *d = metric_document(facts);
        VMAFX_IGNORE(json_object_set_new(d, "series", json_string(s->name)));
        VMAFX_IGNORE(json_object_set_new(d, "mean", number_or_null(s->mean)));
        VMAFX_IGNORE(json_object_set_new(d, "min", number_or_null(s->min)));
        VMAFX_IGNORE(json_object_set_new(d, "max", number_or_null(s->max)));
        VMAFX_IGNORE(json_array_append_new(e->metrics, d));
        e->asked[facts->feature] = true;
        if (facts->use == VMAFX_RESULT_QUALITY && !isfinite(s->mean))
            find(e, "%s has no finite mean: frames are equal in both videos, or too small to be measured.", s->name);
    }
}

static json_t *about(const Explanation *e)
{
    json_t *array = json_array();

    for (size_t i = 0; i < VMAFX_FEATURES_N; i++)
        if (e->asked[i])
            VMAFX_IGNORE(json_array_append_new(array, feature_document(&vmafx_feature_facts[i])));
    return array;
}

static void look_at_banding(Explanation *e, const Vmafx__V1__Result *summary)
{
    const Vmafx__V1__SeriesSummary *cambi = series_of(summary, "cambi");

    if (!cambi || !isfinite(cambi->mean))
        return;
    if (cambi->mean >= CAMBI_ANNOYS)
        find(e,
             "There is banding (CAMBI %.1f; %d is slightly annoying, %d unwatchable)%s. More bits in flat places, 10 "
             "bits "
             "per sample or some grain or dither help. It may be in the source already: cambi=full_ref=true tells.",
             cambi->mean, CAMBI_ANNOYS, CAMBI_UNWATCHED,
             e->score >= 88 && ranges_apply(summary)
                 ? ", which this model hardly sees: viewers like it less than its score"
                 : "");
    else if (cambi->max >= CAMBI_ANNOYS)
        find(
            e,
            "There is banding in places (CAMBI %.1f in the mean, %.1f in the worst frame): worst_frames with series %s "
            "says where.",
            cambi->mean, cambi->max, cambi->name);
    else
        find(e, "There is no banding to speak of (CAMBI %.1f in the mean, %.1f in the worst frame).", cambi->mean,
             cambi->max);
}

static void look_at_chroma(Explanation *e, const Vmafx__V1__Result *summary)
{
    const Vmafx__V1__SeriesSummary *speed = series_of(summary, "speed_chroma_uv"), *y = series_of(summary, "psnr_y");
    static const char *const planes[] = { "psnr_cb", "psnr_cr" };

    if (speed && speed->max == 0)
        find(e, "Chroma had nothing to measure (speed_chroma_uv is 0 in every frame): it is constant, too small, or "
                "all lost; VMAF "
                "v1 takes a value from adm3 in its place. Pictures of 320 rows and more have enough of it.");
    for (size_t i = 0; y && i < VMAFX_LEN(planes); i++) {
        const Vmafx__V1__SeriesSummary *plane = series_of(summary, planes[i]);
        if (plane && y->mean - plane->mean > CHROMA_BELOW_DB)
            find(e,
                 "%s (%.1f dB) is well below psnr_y (%.1f dB), while chroma, being smoother, mostly fares better: look "
                 "for another "
                 "matrix or range, or chroma that was placed or scaled otherwise.",
                 planes[i], plane->mean, y->mean);
    }
}

static void look_at_added(Explanation *e, const Vmafx__V1__Result *summary)
{
    const Vmafx__V1__SeriesSummary *kept = series_of(summary, "integer_adm2"),
                                   *added = series_of(summary, "integer_aim");

    if (!kept || !added || ranges_apply(summary))
        return; /* there the ranges say more */
    find(e,
         1 - kept->mean >= added->mean
             ? "Of what ADM sees, lost detail (adm2 is %.3f, 1 is none) weighs more than what was added (aim "
               "is %.3f, 0 is none): blur and coarse quantisation rather than noise."
             : "Of what ADM sees, lost detail (adm2 is %.3f, 1 is none) weighs less than what was added (aim "
               "is %.3f, 0 is none): noise, ringing or blocking rather than blur.",
         kept->mean, added->mean);
}

static void look_at_similarity(Explanation *e, const Vmafx__V1__Result *summary)
{
    static const char *const names[] = { "float_ssim", "float_ms_ssim" };

    for (size_t i = 0; i < VMAFX_LEN(names); i++) {
        const Vmafx__V1__SeriesSummary *s = series_of(summary, names[i]);
        if (s && s->mean > SSIM_SATURATES && s->mean < 1)
            find(e, "%s is so near to 1 (%.4f) that differences hardly show; %s=enable_db=true has it in decibels.",
                 names[i], s->mean, names[i]);
    }
}

/* ---- What it comes to ---- */

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
    size_t i;

    json_array_foreach(json_object_get(motion, "series"), i, name)
    {
        const Vmafx__V1__SeriesSummary *series = series_of(s, json_string_value(name));
        if (!series)
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
    bool compared = json_array_size(e->features);

    if (compared && !e->below)
        find(e, "All features are as in very good encodes.");
    else if (e->worst)
        find(e, "Furthest from very good encodes is %s: %s.", json_string_value(json_object_get(e->worst, "title")),
             json_string_value(json_object_get(e->worst, "low")));
    else if (!compared)
        find(e, "What encodes of this quality typically show is known for the models vmaf_v0.6.1 only, so features are "
                "listed without it.");
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
    char head[256];
    VmafxErr err = tool_fetch(call, arguments, false, &result, reterr);

    if (err)
        return err;
    const Vmafx__V1__Result *s = result.summary;
    const Vmafx__V1__SeriesSummary *verdict = result_verdict(s);
    if (!verdict)
        return vmafx_fail(reterr, VMAFX_ERR_STATE, "the job has no score to explain, only features");
    const char *word = catalogue_rating(catalogue, verdict->mean, &meaning);
    Explanation e = { .score = verdict->mean,
                      .features = json_array(),
                      .findings = json_array(),
                      .metrics = json_array(),
                      .lowest_coarse = NAN };
    if (ranges_apply(s))
        look_at_ranges(&e, catalogue, s);
    look_at_spread(&e, verdict);
    look_at_motion(&e, json_object_get(catalogue->root, "motion"), s);
    list_metrics(&e, s);
    look_at_banding(&e, s);
    look_at_chroma(&e, s);
    look_at_added(&e, s);
    look_at_similarity(&e, s);
    conclude(&e, s);
    snprintf(head, sizeof head, "VMAF %.2f is %s: %s.", verdict->mean, word, meaning);
    ret->text = sentences(head, e.findings);
    ret->value = json_pack("{s:s, s:o, s:s, s:s, s:o, s:o, s:o, s:o}", "job_id", call->job_id, "score",
                           number_or_null(verdict->mean), "rating", word, "meaning", meaning, "features", e.features,
                           "metrics", e.metrics, "about", about(&e), "findings", e.findings);
    return ret->value && ret->text ? VMAFX_OK : VMAFX_ERR_NOMEM;
}

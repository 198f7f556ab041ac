/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* A result as people read it: the verdict, how it was encoded, a table, the worst frames, notes. */

#include <math.h>
#include <string.h>

#include "base/base.h"
#include "programs/cli/score_run.h"

#define WORST_FRAMES 5

static void print_verdict(const VmafxReportData *data)
{
    const VmafxReportModel *m = data->n_models ? &data->models[0] : NULL;
    VmafxSeriesPooled p;

    if (!m)
        printf("features only, %u frame%s", data->frames, data->frames == 1 ? "" : "s");
    else if (vmafx_report_pool(data, vmafx_report_find(data, m->name), &p))
        printf("%s unknown  %s, %u frames", m->onnx ? "score" : "VMAF", m->version, data->frames);
    else
        printf("%s %.2f  %s, %u frame%s", m->onnx ? "score" : "VMAF", p.mean, m->version, p.n, p.n == 1 ? "" : "s");
    puts(data->complete ? "" : ", INCOMPLETE");
}

/* Intermediate values that only people who asked for details want to see are in the reports. */
static bool is_main_series(const VmafxReportSeries *series)
{
    static const char *const details[] = { "VMAF_", "_num", "_den", "adm_scale", "_aim", "adm3", "motion3", NULL };
    static const char *const v1_details[] = { "VMAF_", "_num",    "_den",      "adm_scale", "_aim",
                                              "adm2",  "motion2", "chroma_u_", "chroma_v_", NULL };
    /* With options that only the v1 models set, their inputs are the others. */
    bool v1 = strstr(series->name, "_dlmw_") || strstr(series->name, "_mmxv_") || strstr(series->name, "_mxv_");

    if (series->kind != VMAFX_SERIES_FEATURE)
        return series->kind == VMAFX_SERIES_SCORE;
    for (const char *const *detail = v1 ? v1_details : details; *detail; detail++)
        if (strstr(series->name, *detail))
            return false;
    return true;
}

static void print_rows(const VmafxReportData *data, VmafxSeriesKind kind, int width)
{
    for (size_t s = 0; s < data->n_series; s++) {
        VmafxSeriesPooled p;
        int digits = kind == VMAFX_SERIES_SCORE ? 2 : 4;

        if (data->series[s].kind != kind || !is_main_series(&data->series[s]) || vmafx_report_pool(data, s, &p))
            continue;
        printf("  %-*s %10.*f %10.*f %10.*f %10.*f %10.*f\n", width, data->series[s].name, digits, p.mean, digits,
               p.harmonic_mean, digits, p.min, digits, p.p5, digits, p.p1);
    }
}

static bool pooled_mean(const VmafxReportData *data, const char *name, const char *suffix, double *ret)
{
    VMAFX_AUTO(vmafx_free_p) char *series = vmafx_sprintf("%s%s", name, suffix);
    VmafxSeriesPooled p;

    if (!series || vmafx_report_pool(data, vmafx_report_find(data, series), &p))
        return false;
    *ret = p.mean;
    return true;
}

static void print_table(const VmafxReportData *data)
{
    int width = 8;

    for (size_t s = 0; s < data->n_series; s++)
        if (is_main_series(&data->series[s]))
            width = VMAFX_MAX(width, (int)strlen(data->series[s].name));
    printf("\n  %-*s %10s %10s %10s %10s %10s\n", width, "", "mean", "harmonic", "min", "p5", "p1");
    print_rows(data, VMAFX_SERIES_SCORE, width);
    print_rows(data, VMAFX_SERIES_FEATURE, width);
    for (size_t i = 0; i < data->n_aggregates; i++)
        printf("  %-*s %10.4f\n", width, data->aggregates[i].name, data->aggregates[i].value);
    for (size_t i = 0; i < data->n_models; i++) {
        double lo, hi, stddev;

        if (data->models[i].collection && pooled_mean(data, data->models[i].name, "_ci_p95_lo", &lo) &&
            pooled_mean(data, data->models[i].name, "_ci_p95_hi", &hi) &&
            pooled_mean(data, data->models[i].name, "_stddev", &stddev))
            printf("\n  %s: 95 %% confidence interval %.2f to %.2f, standard deviation %.2f\n", data->models[i].name,
                   lo, hi, stddev);
    }
}

typedef struct Worst {
    uint32_t frame;
    double score;
} Worst;

static size_t worst_frames(const VmafxReportData *data, size_t series, Worst ret[WORST_FRAMES])
{
    size_t n = 0;

    for (uint32_t i = 0; i < data->frames; i++) {
        double v;

        if (!vmafx_report_has_frame(data, i) || !data->value(data->ctx, series, i, &v) || isnan(v))
            continue;
        size_t at = n < WORST_FRAMES ? n++ : WORST_FRAMES;
        while (at > 0 && v < ret[at - 1].score) {
            if (at < WORST_FRAMES)
                ret[at] = ret[at - 1];
            at--;
        }
        if (at < WORST_FRAMES)
            ret[at] = (Worst){ .frame = i, .score = v };
    }
    return n;
}

static void print_worst(const VmafxReportData *data)
{
    Worst worst[WORST_FRAMES];
    size_t series = data->n_models ? vmafx_report_find(data, data->models[0].name) : SIZE_MAX;
    size_t n = series == SIZE_MAX ? 0 : worst_frames(data, series, worst);

    if (n)
        printf("\n  worst frames\n");
    for (size_t i = 0; i < n; i++) {
        double seconds;

        printf("  %10u", data->first_frame + worst[i].frame);
        if (vmafx_report_time(data, worst[i].frame, &seconds)) {
            long long ms = llround(seconds * 1000);

            printf("  %02lld:%02lld:%02lld.%03lld", ms / 3600000, ms / 60000 % 60, ms / 1000 % 60, ms % 1000);
        }
        printf("  %6.2f\n", worst[i].score);
    }
}

/* Two lines: what made it, and what it came to. */
static void print_encode(const VmafxReportEncode *e)
{
    printf("encoded by %s, %s, %dx%d", e->encoder, e->pixel_format, e->w, e->h);
    for (size_t i = 0; i < e->n_options; i++)
        printf("%s %s=%s", i ? "," : ":", e->options[i].key, e->options[i].value);
    printf("\n%lld frames, %lld bytes", (long long)e->frames, (long long)e->size_bytes);
    if (e->bit_rate > 0)
        printf(", %.1f kbit/s", e->bit_rate / 1000);
    printf(", %.2f s in the encoder", e->seconds);
    if (e->frame_rate > 0)
        printf(", %.1f frames/s", e->frame_rate);
    putchar('\n');
    if (e->kept)
        printf("kept as %s\n", e->kept);
}

/* Where the time went: reading and features in seconds of all threads together. */
static void print_timing(const VmafxReportData *data)
{
    if (!(data->wall_s > 0))
        return;
    printf("\ntook %.2f s: %.1f frames/s, %.1f CPUs busy", data->wall_s, data->frames / data->wall_s,
           data->cpu_s / data->wall_s);
    if (data->decode_s > 0 || data->extraction_s > 0)
        printf("; reading %.2f s, features %.2f s", data->decode_s, data->extraction_s);
    putchar('\n');
}

static void print_notes(const char *what, const char *const *notes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        printf("%s%s: %s\n", i ? "" : "\n", what, notes[i]);
}

void score_print(const VmafxReportData *data, bool quiet)
{
    print_verdict(data);
    if (quiet)
        return;
    if (!data->complete)
        printf("incomplete: %s\n", data->incomplete_reason);
    if (data->encode)
        print_encode(data->encode);
    print_table(data);
    print_worst(data);
    print_timing(data);
    print_notes("adapted", data->adaptations, data->n_adaptations);
    print_notes("warning", data->warnings, data->n_warnings);
}

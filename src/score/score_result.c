/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The result of a scoring: the notes on it, its end, and what report writers see of it. */

#include "score/score_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "score/score_onnx.h"

VmafxErr score_note(VmafxNotes *notes, const char *fmt, ...)
{
    char **more = realloc(notes->items, (notes->n + 1) * sizeof *more);
    va_list args;

    if (!more)
        return VMAFX_ERR_NOMEM;
    notes->items = more;
    va_start(args, fmt);
    int length = vasprintf(&notes->items[notes->n], fmt, args);
    va_end(args);
    if (length < 0)
        return VMAFX_ERR_NOMEM;
    notes->n++;
    return VMAFX_OK;
}

static void notes_done(VmafxNotes *notes)
{
    for (size_t i = 0; i < notes->n; i++)
        free(notes->items[i]);
    free(notes->items);
    *notes = (VmafxNotes){ 0 };
}

void vmafx_result_done(VmafxResult *result)
{
    vmafx_engine_free(&result->engine); /* borrows the models */
    for (size_t i = 0; i < result->n_models; i++)
        score_model_done(&result->models[i]);
    free(result->models);
    for (size_t i = 0; i < 2; i++)
        free(result->inputs[i].path);
    for (size_t i = 0; i < result->n_options; i++)
        free((char *)(uintptr_t)result->options[i].value);
    free(result->options);
    notes_done(&result->adaptations);
    notes_done(&result->warnings);
    free(result->incomplete_reason);
    free(result->encode);
    free(result->report_series);
    free(result->report_models);
    free(result->report_aggregates);
    *result = (VmafxResult){ 0 };
}

/* ---- the writers' view ---- */

static bool engine_value(const void *ctx, size_t series, uint32_t frame, double *ret)
{
    return vmafx_engine_value(ctx, series, frame, ret);
}

/* What follows the name of a collection in the names of its members' and its statistics' series. */
static bool is_member_suffix(const char *suffix)
{
    static const char *const statistics[] = { "_bagging", "_stddev", "_ci_p95_lo", "_ci_p95_hi" };

    for (size_t i = 0; i < VMAFX_LEN(statistics); i++)
        if (!strcmp(suffix, statistics[i]))
            return true;
    return strlen(suffix) == 5 && *suffix == '_' && strspn(suffix + 1, "0123456789") == 4;
}

static bool is_collection(const VmafxScoredModel *m)
{
    return m->model && vmafx_model_is_collection(m->model);
}

static VmafxSeriesKind kind_of(const VmafxResult *result, const char *series)
{
    for (size_t i = 0; i < result->n_models; i++) {
        const char *name = result->models[i].name;
        size_t len = strlen(name);

        if (!strcmp(series, name))
            return VMAFX_SERIES_SCORE;
        if (is_collection(&result->models[i]) && !strncmp(series, name, len) && is_member_suffix(series + len))
            return VMAFX_SERIES_MEMBER;
    }
    return VMAFX_SERIES_FEATURE;
}

static VmafxReportVideo video_of(const VmafxVideoInfo *info)
{
    static const char *const formats[] = {
        [VMAFX_PIX_420] = "420", [VMAFX_PIX_422] = "422", [VMAFX_PIX_444] = "444", [VMAFX_PIX_400] = "400"
    };

    return (VmafxReportVideo){
        .w = info->w,
        .h = info->h,
        .bpc = info->bpc,
        .pixel_format = (size_t)info->pix < VMAFX_LEN(formats) ? formats[info->pix] : "",
        .rate_num = info->rate_num,
        .rate_den = info->rate_den,
        .start_s = info->start_s,
        .frames = info->frames,
        .range = info->range,
        .matrix = info->matrix,
        .transfer = info->transfer,
        .primaries = info->primaries,
        .container = info->container,
        .codec = info->codec,
    };
}

VmafxSeriesKind vmafx_result_series_kind(const VmafxResult *result, size_t series)
{
    return kind_of(result, vmafx_engine_series_name(result->engine, series));
}

const double *vmafx_result_inferences(const VmafxResult *result, size_t model, size_t *ret_n)
{
    *ret_n = 0;
    return result->models[model].run ? score_onnx_seconds(result->models[model].run, ret_n) : NULL;
}

VmafxErr vmafx_result_report(VmafxResult *result, VmafxReportData *ret)
{
    size_t n = vmafx_engine_series(result->engine);
    VmafxReportSeries *series = calloc(n ? n : 1, sizeof *series);
    VmafxReportModel *models = calloc(result->n_models ? result->n_models : 1, sizeof *models);

    free(result->report_series);
    size_t n_aggregates = vmafx_engine_aggregates(result->engine);
    VmafxReportAggregate *aggregates = calloc(n_aggregates ? n_aggregates : 1, sizeof *aggregates);

    free(result->report_models);
    free(result->report_aggregates);
    result->report_aggregates = aggregates;
    result->report_series = series;
    result->report_models = models;
    if (!series || !models || !aggregates)
        return VMAFX_ERR_NOMEM;

    for (size_t i = 0; i < n_aggregates; i++) {
        aggregates[i].name = vmafx_engine_aggregate_name(result->engine, i);
        aggregates[i].value = vmafx_engine_aggregate(result->engine, i);
    }
    for (size_t i = 0; i < n; i++) {
        series[i].name = vmafx_engine_series_name(result->engine, i);
        series[i].kind = kind_of(result, series[i].name);
    }
    for (size_t i = 0; i < result->n_models; i++) {
        const VmafxScoredModel *m = &result->models[i];

        models[i] = (VmafxReportModel){ .name = m->name,
                                        .version = m->version,
                                        .path = m->path,
                                        .sha256 = m->sha256,
                                        .collection = is_collection(m),
                                        .onnx = m->onnx != NULL };
    }
    const VmafxVideoInfo *ref = &result->inputs[REF].info;
    *ret = (VmafxReportData){
        .version = VMAFX_ENGINE_VERSION,
        .kernels = vmafx_engine_kernels(result->engine),
        .fps = result->frames / result->cpu_s,
        .w = result->w,
        .h = result->h,
        .frames = result->frames,
        .subsample = result->subsample,
        .series = series,
        .n_series = n,
        .value = engine_value,
        .ctx = result->engine,
        .aggregates = aggregates,
        .n_aggregates = n_aggregates,
        .complete = result->complete,
        .incomplete_reason = result->incomplete_reason,
        .first_frame = (uint32_t)result->first,
        .time_offset_frames = result->skip_ref,
        .rate_num = ref->rate_num,
        .rate_den = ref->rate_den,
        .encode = result->encode,
        .models = models,
        .n_models = result->n_models,
        .options = result->options,
        .n_options = result->n_options,
        .adaptations = (const char *const *)result->adaptations.items,
        .n_adaptations = result->adaptations.n,
        .warnings = (const char *const *)result->warnings.items,
        .n_warnings = result->warnings.n,
        .wall_s = result->wall_s,
        .cpu_s = result->cpu_s,
        .decode_s = result->decode_s,
        .extraction_s = result->extraction_s,
    };
    for (size_t i = 0; i < 2; i++)
        ret->inputs[i] = (VmafxReportInput){ .path = result->inputs[i].path,
                                             .known = result->inputs[i].known,
                                             .video = video_of(&result->inputs[i].info),
                                             .sha256 = *result->inputs[i].sha256 ? result->inputs[i].sha256 : NULL };
    return VMAFX_OK;
}

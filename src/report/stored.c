/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Result, the message, as the writers' view. */

#include "report/stored.h"

#include <math.h>
#include <string.h>

#include "base/base.h"

static bool value_at(const void *ctx, size_t series, uint32_t frame, double *ret)
{
    const VmafxStoredReport *report = ctx;

    if (series >= report->n_columns || frame >= report->n_rows || isnan(report->columns[series][frame]))
        return false;
    *ret = report->columns[series][frame];
    return true;
}

static VmafxReportInput input_of(const Vmafx__V1__InputFacts *facts)
{
    return (VmafxReportInput){
        .path = facts->uri,
        .known = true,
        .video =
            (VmafxReportVideo){
                .w = facts->width,
                .h = facts->height,
                .bpc = facts->bit_depth,
                .pixel_format = facts->pixel_format,
                .rate_num = facts->rate_num,
                .rate_den = facts->rate_den,
                .start_s = facts->start_seconds,
                .frames = facts->frames,
                .range = facts->range,
                .matrix = facts->matrix,
                .transfer = facts->transfer,
                .primaries = facts->primaries,
                .container = facts->container,
                .codec = facts->codec,
            },
        .sha256 = *facts->sha256 ? facts->sha256 : NULL,
    };
}

static VmafxErr fill_lists(VmafxStoredReport *report, const Vmafx__V1__Result *s)
{
    report->series = calloc(s->n_series + 1, sizeof *report->series);
    report->models = calloc(s->n_models + 1, sizeof *report->models);
    report->options = calloc(s->n_options + 1, sizeof *report->options);
    report->aggregates = calloc(s->n_aggregates + 1, sizeof *report->aggregates);
    if (!report->series || !report->models || !report->options || !report->aggregates)
        return VMAFX_ERR_NOMEM;
    for (size_t i = 0; i < s->n_series; i++)
        report->series[i] = (VmafxReportSeries){ s->series[i]->name, (VmafxSeriesKind)s->series[i]->kind };
    for (size_t i = 0; i < s->n_models; i++) {
        const Vmafx__V1__ModelFacts *model = s->models[i];

        report->models[i] = (VmafxReportModel){ .name = *model->name ? model->name : "vmaf",
                                                .version = model->version,
                                                .sha256 = model->sha256,
                                                .collection = model->collection };
    }
    for (size_t i = 0; i < s->n_options; i++)
        report->options[i] = (VmafxReportOption){ .key = s->options[i]->key, .value = s->options[i]->value };
    for (size_t i = 0; i < s->n_aggregates; i++)
        report->aggregates[i] = (VmafxReportAggregate){ s->aggregates[i]->name, s->aggregates[i]->value };
    return VMAFX_OK;
}

/* What the distorted video was made with. */
static VmafxErr fill_encode(VmafxStoredReport *report, const Vmafx__V1__EncodeFacts *facts)
{
    report->encode_options = calloc(facts->n_options + 1, sizeof *report->encode_options);
    if (!report->encode_options)
        return VMAFX_ERR_NOMEM;
    for (size_t i = 0; i < facts->n_options; i++)
        report->encode_options[i] =
            (VmafxReportOption){ .key = facts->options[i]->key, .value = facts->options[i]->value };
    report->encode = (VmafxReportEncode){
        .encoder = facts->encoder,
        .codec = facts->codec,
        .version = facts->encoder_version,
        .reason = facts->reason,
        .preset = facts->preset,
        .pixel_format = facts->pixel_format,
        .w = facts->width,
        .h = facts->height,
        .frames = facts->frames,
        .size_bytes = facts->size_bytes,
        .bit_rate = facts->bit_rate,
        .seconds = facts->seconds,
        .frame_rate = facts->frame_rate,
        .kept = *facts->kept ? facts->kept : NULL,
        .options = report->encode_options,
        .n_options = facts->n_options,
    };
    report->data.encode = &report->encode;
    return VMAFX_OK;
}

VmafxErr vmafx_stored_report_init(VmafxStoredReport *report, const Vmafx__V1__Result *s, const double *const *columns,
                                  size_t n_columns, uint64_t n_rows)
{
    *report = (VmafxStoredReport){ .columns = columns, .n_columns = n_columns, .n_rows = n_columns ? n_rows : 0 };
    if ((n_columns && n_columns != s->n_series) || n_rows > UINT32_MAX)
        return VMAFX_ERR_SYNTAX;
    VmafxErr err = fill_lists(report, s);
    if (err)
        return err;
    report->data = (VmafxReportData){
        .version = s->engine_version,
        .kernels = s->kernel_level,
        .fps = s->cpu_seconds > 0 ? (double)s->frames / s->cpu_seconds : NAN,
        .w = s->width,
        .h = s->height,
        .frames = (uint32_t)report->n_rows,
        .subsample = s->subsample,
        .series = report->series,
        .n_series = s->n_series,
        .value = value_at,
        .ctx = report,
        .aggregates = report->aggregates,
        .n_aggregates = s->n_aggregates,
        .complete = s->complete,
        .incomplete_reason = s->complete ? NULL : s->incomplete_reason,
        .first_frame = (uint32_t)s->first_frame,
        .time_offset_frames = s->skip_reference,
        .rate_num = s->rate_num,
        .rate_den = s->rate_den,
        .models = report->models,
        .n_models = s->n_models,
        .options = report->options,
        .n_options = s->n_options,
        .adaptations = (const char *const *)s->adaptations,
        .n_adaptations = s->n_adaptations,
        .warnings = (const char *const *)s->warnings,
        .n_warnings = s->n_warnings,
        .wall_s = s->wall_seconds,
        .cpu_s = s->cpu_seconds,
        .decode_s = s->decode_seconds,
        .extraction_s = s->extraction_seconds,
    };
    for (size_t i = 0; i < s->n_inputs && i < VMAFX_LEN(report->data.inputs); i++)
        report->data.inputs[i] = input_of(s->inputs[i]);
    return s->encode ? fill_encode(report, s->encode) : VMAFX_OK;
}

void vmafx_stored_report_done(VmafxStoredReport *report)
{
    free(report->series);
    free(report->models);
    free(report->options);
    free(report->encode_options);
    free(report->aggregates);
    *report = (VmafxStoredReport){ 0 };
}

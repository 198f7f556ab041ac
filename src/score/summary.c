/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Everything a message points to is a piece in one list; a message that is half made is released as a whole one is. */

#include "score/summary.h"

#include <math.h>
#include <string.h>

#include "base/base.h"
#include "base/columns.h"
#include "base/text.h"

typedef struct VmafxSummaryPiece {
    struct VmafxSummaryPiece *next;
    max_align_t bytes[];
} VmafxSummaryPiece;

/* ---- memory ---- */

/* Zeroed, or NULL. n 0 is one. */
static void *piece(VmafxSummary *summary, size_t n, size_t size)
{
    VmafxSummaryPiece *p = n < SIZE_MAX / 2 / size ? calloc(1, sizeof *p + VMAFX_MAX(n, (size_t)1) * size) : NULL;

    if (!p)
        return NULL;
    p->next = summary->pieces;
    summary->pieces = p;
    return p->bytes;
}

/* A clean copy; "" for NULL. False on no memory. */
static bool put_text(VmafxSummary *summary, const char *text, char **ret)
{
    size_t size = text ? strlen(text) + 1 : 1;
    char *copy = piece(summary, size, 1);

    if (!copy)
        return false;
    if (text)
        memcpy(copy, text, size);
    vmafx_text_clean(copy);
    *ret = copy;
    return true;
}

static bool put_texts(VmafxSummary *summary, const char *const *texts, size_t n, char ***ret, size_t *ret_n)
{
    *ret = piece(summary, n, sizeof **ret);
    *ret_n = 0;
    for (size_t i = 0; *ret && i < n; i++) {
        if (!put_text(summary, texts[i], &(*ret)[i]))
            return false;
        (*ret_n)++;
    }
    return *ret;
}

/* ---- parts ---- */

static bool put_series(VmafxSummary *summary, const VmafxReportData *data)
{
    static const Vmafx__V1__SeriesKind kinds[] = {
        [VMAFX_SERIES_FEATURE] = VMAFX__V1__SERIES_KIND__SERIES_KIND_FEATURE,
        [VMAFX_SERIES_SCORE] = VMAFX__V1__SERIES_KIND__SERIES_KIND_SCORE,
        [VMAFX_SERIES_MEMBER] = VMAFX__V1__SERIES_KIND__SERIES_KIND_MEMBER,
    };
    Vmafx__V1__SeriesSummary *items = piece(summary, data->n_series, sizeof *items);
    Vmafx__V1__SeriesSummary **list = piece(summary, data->n_series, sizeof *list);

    if (!items || !list)
        return false;
    for (size_t i = 0; i < data->n_series; i++) {
        VmafxSeriesPooled p;
        VmafxErr err = vmafx_report_pool(data, i, &p);

        list[i] = &items[i];
        items[i] = (Vmafx__V1__SeriesSummary)VMAFX__V1__SERIES_SUMMARY__INIT;
        items[i].kind = kinds[data->series[i].kind];
        if (err == VMAFX_ERR_NOMEM || !put_text(summary, data->series[i].name, &items[i].name))
            return false;
        if (err)
            continue; /* some frame has no value: n stays 0 */
        items[i].n = p.n;
        items[i].mean = p.mean;
        items[i].harmonic_mean = p.harmonic_mean;
        items[i].min = p.min;
        items[i].max = p.max;
        items[i].p1 = p.p1;
        items[i].p5 = p.p5;
    }
    summary->message.series = list;
    summary->message.n_series = data->n_series;
    return true;
}

static bool put_aggregates(VmafxSummary *summary, const VmafxReportData *data)
{
    Vmafx__V1__Aggregate *items = piece(summary, data->n_aggregates, sizeof *items);
    Vmafx__V1__Aggregate **list = piece(summary, data->n_aggregates, sizeof *list);

    if (!items || !list)
        return false;
    for (size_t i = 0; i < data->n_aggregates; i++) {
        list[i] = &items[i];
        items[i] = (Vmafx__V1__Aggregate)VMAFX__V1__AGGREGATE__INIT;
        items[i].value = data->aggregates[i].value;
        if (!put_text(summary, data->aggregates[i].name, &items[i].name))
            return false;
    }
    summary->message.aggregates = list;
    summary->message.n_aggregates = data->n_aggregates;
    return true;
}

static bool put_video(VmafxSummary *summary, Vmafx__V1__InputFacts *facts, const VmafxReportVideo *video)
{
    facts->width = video->w;
    facts->height = video->h;
    facts->bit_depth = video->bpc;
    facts->rate_num = video->rate_num;
    facts->rate_den = video->rate_den;
    facts->start_seconds = video->start_s;
    facts->frames = video->frames;
    return put_text(summary, video->pixel_format, &facts->pixel_format) &&
           put_text(summary, video->container, &facts->container) && put_text(summary, video->codec, &facts->codec) &&
           put_text(summary, video->range, &facts->range) && put_text(summary, video->matrix, &facts->matrix) &&
           put_text(summary, video->transfer, &facts->transfer) &&
           put_text(summary, video->primaries, &facts->primaries);
}

static bool put_inputs(VmafxSummary *summary, const VmafxReportData *data, const VmafxSummaryFacts *more)
{
    Vmafx__V1__InputFacts *items = piece(summary, 2, sizeof *items);
    Vmafx__V1__InputFacts **list = piece(summary, 2, sizeof *list);

    if (!items || !list)
        return false;
    for (size_t i = 0; i < 2; i++) {
        list[i] = &items[i];
        items[i] = (Vmafx__V1__InputFacts)VMAFX__V1__INPUT_FACTS__INIT;
        items[i].size_bytes = more->input_bytes[i];
        if (!put_text(summary, data->inputs[i].path, &items[i].uri) ||
            !put_text(summary, data->inputs[i].sha256, &items[i].sha256))
            return false;
        if (data->inputs[i].known && !put_video(summary, &items[i], &data->inputs[i].video))
            return false;
    }
    summary->message.inputs = list;
    summary->message.n_inputs = 2;
    return true;
}

static bool put_models(VmafxSummary *summary, const VmafxReportData *data)
{
    Vmafx__V1__ModelFacts *items = piece(summary, data->n_models, sizeof *items);
    Vmafx__V1__ModelFacts **list = piece(summary, data->n_models, sizeof *list);

    if (!items || !list)
        return false;
    for (size_t i = 0; i < data->n_models; i++) {
        const VmafxReportModel *m = &data->models[i];

        list[i] = &items[i];
        items[i] = (Vmafx__V1__ModelFacts)VMAFX__V1__MODEL_FACTS__INIT;
        items[i].collection = m->collection;
        if (!put_text(summary, m->name, &items[i].name) || !put_text(summary, m->version, &items[i].version) ||
            !put_text(summary, m->sha256, &items[i].sha256))
            return false;
    }
    summary->message.models = list;
    summary->message.n_models = data->n_models;
    return true;
}

static bool put_options(VmafxSummary *summary, const VmafxReportOption *options, size_t n, Vmafx__V1__KeyValue ***ret,
                        size_t *ret_n)
{
    Vmafx__V1__KeyValue *items = piece(summary, n, sizeof *items);
    Vmafx__V1__KeyValue **list = piece(summary, n, sizeof *list);

    if (!items || !list)
        return false;
    for (size_t i = 0; i < n; i++) {
        list[i] = &items[i];
        items[i] = (Vmafx__V1__KeyValue)VMAFX__V1__KEY_VALUE__INIT;
        if (!put_text(summary, options[i].key, &items[i].key) || !put_text(summary, options[i].value, &items[i].value))
            return false;
    }
    *ret = list;
    *ret_n = n;
    return true;
}

static bool put_encode(VmafxSummary *summary, const VmafxReportEncode *e)
{
    Vmafx__V1__EncodeFacts *facts = e ? piece(summary, 1, sizeof *facts) : NULL;

    if (!facts)
        return !e;
    *facts = (Vmafx__V1__EncodeFacts)VMAFX__V1__ENCODE_FACTS__INIT;
    facts->width = e->w;
    facts->height = e->h;
    facts->frames = e->frames;
    facts->size_bytes = e->size_bytes;
    facts->bit_rate = e->bit_rate;
    facts->seconds = e->seconds;
    facts->frame_rate = e->frame_rate;
    summary->message.encode = facts;
    return put_text(summary, e->encoder, &facts->encoder) && put_text(summary, e->codec, &facts->codec) &&
           put_text(summary, e->version, &facts->encoder_version) && put_text(summary, e->reason, &facts->reason) &&
           put_text(summary, e->preset, &facts->preset) && put_text(summary, e->pixel_format, &facts->pixel_format) &&
           put_text(summary, e->kept, &facts->kept) &&
           put_options(summary, e->options, e->n_options, &facts->options, &facts->n_options);
}

static void put_numbers(Vmafx__V1__Result *m, const VmafxReportData *data)
{
    m->complete = data->complete;
    m->frames = data->frames;
    m->width = data->w;
    m->height = data->h;
    m->wall_seconds = data->wall_s;
    m->cpu_seconds = data->cpu_s;
    m->decode_seconds = data->decode_s;
    m->extraction_seconds = data->extraction_s;
    m->subsample = VMAFX_MAX(data->subsample, 1);
    m->first_frame = data->first_frame;
    m->rate_num = data->rate_num;
    m->rate_den = data->rate_den;
    m->skip_reference = data->time_offset_frames;
}

static bool fill(VmafxSummary *summary, const VmafxReportData *data, const VmafxSummaryFacts *facts)
{
    Vmafx__V1__Result *m = &summary->message;

    put_numbers(m, data);
    return put_series(summary, data) && put_aggregates(summary, data) && put_inputs(summary, data, facts) &&
           put_models(summary, data) &&
           put_options(summary, data->options, data->n_options, &m->options, &m->n_options) &&
           put_encode(summary, data->encode) && put_text(summary, data->incomplete_reason, &m->incomplete_reason) &&
           put_text(summary, data->kernels, &m->kernel_level) && put_text(summary, data->version, &m->engine_version) &&
           put_text(summary, facts->decoder_versions, &m->decoder_versions) &&
           put_texts(summary, data->adaptations, data->n_adaptations, &m->adaptations, &m->n_adaptations) &&
           put_texts(summary, data->warnings, data->n_warnings, &m->warnings, &m->n_warnings) &&
           put_texts(summary, facts->sandbox_layers, facts->n_sandbox_layers, &m->sandbox_layers, &m->n_sandbox_layers);
}

VmafxErr vmafx_summary_init(VmafxSummary *ret, VmafxResult *result, const VmafxSummaryFacts *facts)
{
    VmafxReportData data;
    VmafxErr err = vmafx_result_report(result, &data);

    *ret = (VmafxSummary){ .message = VMAFX__V1__RESULT__INIT };
    if (err)
        return err;
    ret->message.bit_depth = result->bpc;
    if (fill(ret, &data, facts))
        return VMAFX_OK;
    vmafx_summary_done(ret);
    return VMAFX_ERR_NOMEM;
}

void vmafx_summary_done(VmafxSummary *summary)
{
    while (summary->pieces) {
        VmafxSummaryPiece *next = summary->pieces->next;

        free(summary->pieces);
        summary->pieces = next;
    }
    *summary = (VmafxSummary){ 0 };
}

VmafxErr vmafx_summary_frames(VmafxResult *result, uint8_t **ret, size_t *ret_len)
{
    size_t n = vmafx_engine_series(result->engine), rows = result->frames;
    VMAFX_AUTO(vmafx_free_p) double *values = vmafx_alloc_aligned(VMAFX_MAX(n * rows, (size_t)1), sizeof *values);
    VMAFX_AUTO(vmafx_free_p) const double **columns = calloc(VMAFX_MAX(n, (size_t)1), sizeof *columns);

    if (!values || !columns)
        return VMAFX_ERR_NOMEM;
    for (size_t c = 0; c < n; c++) {
        columns[c] = values + c * rows;
        for (size_t r = 0; r < rows; r++)
            if (!vmafx_engine_value(result->engine, c, (uint32_t)r, &values[c * rows + r]))
                values[c * rows + r] = NAN;
    }
    return vmafx_columns_pack(columns, n, rows, ret, ret_len);
}

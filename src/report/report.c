/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Report writers. The four "reference" formats are the reference tool's, oddities included, because other people's
 * parsers were written against them; the rest is ours and says more.
 */

#include "report/report.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <string.h>

#include "base/atomic_file.h"
#include "base/base.h"
#include "base/text.h"

#define NUMBER_MAX 400 /* %.16f of the largest double has 309 digits before the point */

/* ---- numbers and strings ---- */

/* Reports are read by machines: for as long as one is written this thread's numbers are those of the C locale. */
typedef struct PlainNumbers {
    locale_t plain, before;
} PlainNumbers;

static void plain_numbers_end(PlainNumbers *numbers)
{
    if (!numbers->plain)
        return;
    uselocale(numbers->before);
    freelocale(numbers->plain);
    numbers->plain = (locale_t)0;
}

static bool plain_numbers_begin(PlainNumbers *numbers)
{
    numbers->plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (!numbers->plain)
        return false;
    numbers->before = uselocale(numbers->plain);
    return true;
}

void vmafx_reference_number(double v, char *ret, size_t size)
{
    double whole, fraction = fabs(modf(v, &whole));
    int zeros = 0;

    if (!isfinite(v))
        fraction = 0;
    for (; fraction != 0 && fraction < 1; fraction *= 10)
        zeros++;
    snprintf(ret, size, zeros <= 6 ? "%.6f" : "%.16f", v);
}

void vmafx_json_string(FILE *out, const char *text)
{
    const unsigned char *s = (const unsigned char *)text;

    putc('"', out);
    for (size_t left = strlen(text); left;) {
        size_t n = vmafx_utf8_length((const char *)s, left), step = n ? n : 1;

        if (n == 0)
            fputs("\\ufffd", out);
        else if (*s == '"' || *s == '\\')
            fprintf(out, "\\%c", *s);
        else if (*s == '\n')
            fputs("\\n", out);
        else if (*s < 0x20 || *s == 0x7F)
            fprintf(out, "\\u%04x", *s);
        else
            fwrite(s, 1, n, out);
        s += step;
        left -= step;
    }
    putc('"', out);
}

static void json_string_or_null(FILE *out, const char *text)
{
    if (text)
        vmafx_json_string(out, text);
    else
        fputs("null", out);
}

static void json_number(FILE *out, double v)
{
    if (isfinite(v))
        fprintf(out, "%.17g", v);
    else
        fputs("null", out);
}

static void xml_attribute_text(FILE *out, const char *text)
{
    for (; *text; text++)
        switch (*text) {
        case '&':
            fputs("&amp;", out);
            break;
        case '<':
            fputs("&lt;", out);
            break;
        case '"':
            fputs("&quot;", out);
            break;
        default:
            putc(*text, out);
        }
}

static void csv_field(FILE *out, const char *text)
{
    if (!strpbrk(text, ",\"\r\n")) {
        fputs(text, out);
        return;
    }
    putc('"', out);
    for (; *text; text++) {
        if (*text == '"')
            putc('"', out);
        putc(*text, out);
    }
    putc('"', out);
}

/* ---- the view ---- */

static uint32_t step(const VmafxReportData *data)
{
    return data->subsample > 1 ? (uint32_t)data->subsample : 1;
}

static uint32_t frame_number(const VmafxReportData *data, uint32_t frame)
{
    return data->first_frame + frame;
}

double vmafx_percentile(const double *z, size_t n, double p)
{
    double r = p * (double)(n - 1) / 100.0;
    double l = floor(r), u = ceil(r);

    if (l == u)
        return z[(size_t)l];
    return z[(size_t)l] * (u - r) + z[(size_t)u] * (r - l);
}

/* Ascending; values that are no numbers come last. */
static int by_value(const void *pa, const void *pb)
{
    double a = *(const double *)pa, b = *(const double *)pb;

    if (isnan(a) || isnan(b))
        return isnan(a) - isnan(b);
    return (a > b) - (a < b);
}

VmafxErr vmafx_report_pool(const VmafxReportData *data, size_t series, VmafxSeriesPooled *ret)
{
    VmafxSeriesPooled p = { 0 };
    double sum = 0.0, inverse_sum = 0.0;

    if (series >= data->n_series || data->frames == 0)
        return VMAFX_ERR_INVALID;

    size_t n_max = (data->frames - 1) / step(data) + 1;
    VMAFX_AUTO(vmafx_free_p) double *values = vmafx_alloc_aligned(n_max, sizeof *values);
    if (!values)
        return VMAFX_ERR_NOMEM;

    for (uint32_t i = 0; p.n < n_max; i += step(data)) {
        double v;

        if (!data->value(data->ctx, series, i, &v))
            return VMAFX_ERR_MISSING;
        if (p.n == 0 || v < p.min)
            p.min = v;
        if (p.n == 0 || v > p.max)
            p.max = v;
        sum += v;
        inverse_sum += 1.0 / (v + 1.0);
        values[p.n++] = v;
    }
    p.mean = sum / p.n;
    p.harmonic_mean = p.n / inverse_sum - 1.0;
    qsort(values, p.n, sizeof *values, by_value);
    p.p1 = vmafx_percentile(values, p.n, 1);
    p.p5 = vmafx_percentile(values, p.n, 5);
    *ret = p;
    return VMAFX_OK;
}

size_t vmafx_report_find(const VmafxReportData *data, const char *name)
{
    for (size_t s = 0; s < data->n_series; s++)
        if (!strcmp(data->series[s].name, name))
            return s;
    return SIZE_MAX;
}

bool vmafx_report_has_frame(const VmafxReportData *data, uint32_t frame)
{
    double ignored;

    if (frame >= data->frames || frame % step(data))
        return false;
    for (size_t s = 0; s < data->n_series; s++)
        if (data->value(data->ctx, s, frame, &ignored))
            return true;
    return false;
}

bool vmafx_report_time(const VmafxReportData *data, uint32_t frame, double *ret_seconds)
{
    if (data->rate_num <= 0 || data->rate_den <= 0)
        return false;
    *ret_seconds =
        ((double)frame_number(data, frame) + (double)data->time_offset_frames) * data->rate_den / data->rate_num;
    return true;
}

/* ---- the reference tool's formats ---- */

/* `"name": value` and the end of the line. A value that is not finite is null and, as in the reference tool, is not
   followed by a newline when the value belongs to a frame. */
static void reference_json_member(FILE *out, const char *indent, const char *name, double v, bool last, bool of_frame)
{
    char number[NUMBER_MAX] = "null";

    if (isfinite(v))
        vmafx_reference_number(v, number, sizeof number);
    fputs(indent, out);
    vmafx_json_string(out, name);
    fprintf(out, ": %s%s%s", number, last ? "" : ",", isfinite(v) || !of_frame ? "\n" : "");
}

static void reference_json_frame(FILE *out, const VmafxReportData *data, uint32_t frame)
{
    size_t present = 0, written = 0;
    double v;

    for (size_t s = 0; s < data->n_series; s++)
        present += data->value(data->ctx, s, frame, &v);

    fprintf(out, "    {\n      \"frameNum\": %u,\n      \"metrics\": {\n", frame);
    for (size_t s = 0; s < data->n_series; s++)
        if (data->value(data->ctx, s, frame, &v))
            reference_json_member(out, "        ", data->series[s].name, v, ++written == present, true);
    fputs("      }\n    }", out);
}

/* A series that cannot be pooled keeps its place with an empty object. */
static VmafxErr reference_json_pooled(FILE *out, const VmafxReportData *data, size_t s)
{
    VmafxSeriesPooled p;
    VmafxErr err = vmafx_report_pool(data, s, &p);

    if (err == VMAFX_ERR_NOMEM)
        return err;
    fputs("    ", out);
    vmafx_json_string(out, data->series[s].name);
    fputs(": {\n", out);
    if (!err) {
        reference_json_member(out, "      ", "min", p.min, false, false);
        reference_json_member(out, "      ", "max", p.max, false, false);
        reference_json_member(out, "      ", "mean", p.mean, false, false);
        reference_json_member(out, "      ", "harmonic_mean", p.harmonic_mean, true, false);
    }
    fprintf(out, "    }%s\n", s + 1 < data->n_series ? "," : "");
    return VMAFX_OK;
}

static VmafxErr reference_json(FILE *out, const VmafxReportData *data)
{
    bool any = false;

    fputs("{\n  \"version\": ", out);
    vmafx_json_string(out, data->version);
    if (isfinite(data->fps))
        fprintf(out, ",\n  \"fps\": %.2f,\n", data->fps);
    else
        fputs(",\n  \"fps\": null,\n", out);
    fputs("  \"frames\": [", out);
    for (uint32_t i = 0; i < data->frames; i++) {
        if (!vmafx_report_has_frame(data, i))
            continue;
        fputs(any ? ",\n" : "\n", out);
        any = true;
        reference_json_frame(out, data, i);
    }
    fputs("\n  ],\n  \"pooled_metrics\": {\n", out);
    for (size_t s = 0; s < data->n_series; s++) {
        VmafxErr err = reference_json_pooled(out, data, s);
        if (err)
            return err;
    }
    fputs("  },\n  \"aggregate_metrics\": {\n", out);
    for (size_t a = 0; a < data->n_aggregates; a++)
        reference_json_member(out, "    ", data->aggregates[a].name, data->aggregates[a].value,
                              a + 1 == data->n_aggregates, false);
    fputs("  }\n}\n", out);
    return VMAFX_OK;
}

/* `name="value" `: lists of attributes have one blank between them and one before the slash. */
static void xml_attribute(FILE *out, const char *name, double v)
{
    char number[NUMBER_MAX];

    vmafx_reference_number(v, number, sizeof number);
    fprintf(out, "%s=\"%s\" ", name, number);
}

static VmafxErr reference_xml_pooled(FILE *out, const VmafxReportData *data, size_t s)
{
    VmafxSeriesPooled p;
    VmafxErr err = vmafx_report_pool(data, s, &p);

    if (err == VMAFX_ERR_NOMEM)
        return err;
    fputs("    <metric name=\"", out);
    xml_attribute_text(out, data->series[s].name);
    fputs("\" ", out);
    if (!err) {
        xml_attribute(out, "min", p.min);
        xml_attribute(out, "max", p.max);
        xml_attribute(out, "mean", p.mean);
        xml_attribute(out, "harmonic_mean", p.harmonic_mean);
    }
    fputs("/>\n", out);
    return VMAFX_OK;
}

static VmafxErr reference_xml(FILE *out, const VmafxReportData *data)
{
    double v;

    fputs("<VMAF version=\"", out);
    xml_attribute_text(out, data->version);
    fprintf(out, "\">\n  <params qualityWidth=\"%d\" qualityHeight=\"%d\" />\n", data->w, data->h);
    fprintf(out, "  <fyi fps=\"%.2f\" />\n  <frames>\n", data->fps);
    for (uint32_t i = 0; i < data->frames; i++) {
        if (!vmafx_report_has_frame(data, i))
            continue;
        fprintf(out, "    <frame frameNum=\"%u\" ", i);
        for (size_t s = 0; s < data->n_series; s++)
            if (data->value(data->ctx, s, i, &v))
                xml_attribute(out, data->series[s].name, v);
        fputs("/>\n", out);
    }
    fputs("  </frames>\n  <pooled_metrics>\n", out);
    for (size_t s = 0; s < data->n_series; s++) {
        VmafxErr err = reference_xml_pooled(out, data, s);
        if (err)
            return err;
    }
    fputs("  </pooled_metrics>\n  <aggregate_metrics ", out);
    for (size_t a = 0; a < data->n_aggregates; a++)
        xml_attribute(out, data->aggregates[a].name, data->aggregates[a].value);
    fputs("/>\n</VMAF>\n", out);
    return VMAFX_OK;
}

static VmafxErr reference_csv(FILE *out, const VmafxReportData *data)
{
    char number[NUMBER_MAX];
    double v;

    fputs("Frame,", out);
    for (size_t s = 0; s < data->n_series; s++)
        fprintf(out, "%s,", data->series[s].name);
    putc('\n', out);
    for (uint32_t i = 0; i < data->frames; i++) {
        if (!vmafx_report_has_frame(data, i))
            continue;
        fprintf(out, "%u,", i);
        for (size_t s = 0; s < data->n_series; s++)
            if (data->value(data->ctx, s, i, &v)) {
                vmafx_reference_number(v, number, sizeof number);
                fprintf(out, "%s,", number);
            }
        putc('\n', out);
    }
    return VMAFX_OK;
}

static VmafxErr reference_sub(FILE *out, const VmafxReportData *data)
{
    char number[NUMBER_MAX];
    double v;

    for (uint32_t i = 0; i < data->frames; i++) {
        if (!vmafx_report_has_frame(data, i))
            continue;
        fprintf(out, "{%u}{%u}frame: %u|", i, i + 1, i);
        for (size_t s = 0; s < data->n_series; s++)
            if (data->value(data->ctx, s, i, &v)) {
                vmafx_reference_number(v, number, sizeof number);
                fprintf(out, "%s: %s|", data->series[s].name, number);
            }
        putc('\n', out);
    }
    return VMAFX_OK;
}

/* ---- our own formats ---- */

static void own_strings(FILE *out, const char *const *items, size_t n)
{
    putc('[', out);
    for (size_t i = 0; i < n; i++) {
        fputs(i ? ", " : "", out);
        vmafx_json_string(out, items[i]);
    }
    putc(']', out);
}

static void own_input(FILE *out, const VmafxReportInput *input)
{
    const VmafxReportVideo *video = &input->video;

    fputs("{\"path\": ", out);
    json_string_or_null(out, input->path);
    fputs(", \"sha256\": ", out);
    json_string_or_null(out, input->sha256);
    if (input->known) {
        const char *layout = video->pixel_format;

        fprintf(out, ", \"width\": %d, \"height\": %d, \"bit_depth\": %d, \"pixel_format\": ", video->w, video->h,
                video->bpc);
        if (layout && strlen(layout) == 3 && strspn(layout, "0123456789") == 3)
            fprintf(out, "\"%c:%c:%c\"", layout[0], layout[1], layout[2]);
        else
            fputs("\"unknown\"", out);
        if (video->rate_num > 0 && video->rate_den > 0)
            fprintf(out, ", \"frame_rate\": \"%d/%d\"", video->rate_num, video->rate_den);
        else
            fputs(", \"frame_rate\": null", out);
        fputs(", \"start\": ", out);
        json_number(out, video->start_s);
        if (video->frames > 0)
            fprintf(out, ", \"frames\": %lld", (long long)video->frames);
        else
            fputs(", \"frames\": null", out);

        const struct {
            const char *key, *value;
        } text[] = {
            { "range", video->range },         { "matrix", video->matrix },       { "transfer", video->transfer },
            { "primaries", video->primaries }, { "container", video->container }, { "codec", video->codec },
        };
        for (size_t i = 0; i < VMAFX_LEN(text); i++) {
            fprintf(out, ", \"%s\": ", text[i].key);
            json_string_or_null(out, text[i].value);
        }
    }
    putc('}', out);
}

static void own_models(FILE *out, const VmafxReportData *data)
{
    putc('[', out);
    for (size_t i = 0; i < data->n_models; i++) {
        const VmafxReportModel *m = &data->models[i];

        fputs(i ? ", {\"name\": " : "{\"name\": ", out);
        vmafx_json_string(out, m->name);
        fputs(", \"version\": ", out);
        json_string_or_null(out, m->version);
        fputs(", \"path\": ", out);
        json_string_or_null(out, m->path);
        fputs(", \"sha256\": ", out);
        json_string_or_null(out, m->sha256);
        putc('}', out);
    }
    putc(']', out);
}

static void own_options(FILE *out, const VmafxReportOption *options, size_t n)
{
    putc('{', out);
    for (size_t i = 0; i < n; i++) {
        fputs(i ? ", " : "", out);
        vmafx_json_string(out, options[i].key);
        fputs(": ", out);
        if (options[i].bare)
            fputs(options[i].value, out);
        else
            vmafx_json_string(out, options[i].value);
    }
    putc('}', out);
}

/* What the encoder was, and what it came to. */
static void own_encode(FILE *out, const VmafxReportEncode *e)
{
    const struct {
        const char *key, *value;
    } texts[] = {
        { "encoder", e->encoder }, { "codec", e->codec },   { "version", e->version },
        { "reason", e->reason },   { "preset", e->preset }, { "pixel_format", e->pixel_format },
        { "kept", e->kept },
    };
    const struct {
        const char *key;
        double v; /* not above 0: unknown */
    } numbers[] = { { "bit_rate", e->bit_rate }, { "frames_per_second", e->frame_rate } };

    for (size_t i = 0; i < VMAFX_LEN(texts); i++) {
        fprintf(out, "%s\"%s\": ", i ? ", " : "{", texts[i].key);
        json_string_or_null(out, texts[i].value && *texts[i].value ? texts[i].value : NULL);
    }
    fprintf(out, ", \"width\": %d, \"height\": %d, \"frames\": %lld, \"size_bytes\": %lld, \"seconds\": ", e->w, e->h,
            (long long)e->frames, (long long)e->size_bytes);
    json_number(out, e->seconds);
    for (size_t i = 0; i < VMAFX_LEN(numbers); i++) {
        fprintf(out, ", \"%s\": ", numbers[i].key);
        json_number(out, numbers[i].v > 0 ? numbers[i].v : NAN);
    }
    fputs(", \"options\": ", out);
    own_options(out, e->options, e->n_options);
    putc('}', out);
}

/* The pooled mean of `NAME` + suffix, or null. */
static VmafxErr own_mean_of(FILE *out, const VmafxReportData *data, const char *name, const char *suffix)
{
    VmafxSeriesPooled p;
    VMAFX_AUTO(vmafx_free_p) char *series = vmafx_sprintf("%s%s", name, suffix);

    if (!series)
        return VMAFX_ERR_NOMEM;
    VmafxErr err = vmafx_report_pool(data, vmafx_report_find(data, series), &p);
    if (err == VMAFX_ERR_NOMEM)
        return err;
    json_number(out, err ? NAN : p.mean);
    return VMAFX_OK;
}

/* The first model's score in one small object; null without a model. */
static VmafxErr own_verdict(FILE *out, const VmafxReportData *data)
{
    VmafxErr err = VMAFX_OK;

    if (data->n_models == 0) {
        fputs("null", out);
        return VMAFX_OK;
    }
    fputs("{\"name\": ", out);
    vmafx_json_string(out, data->models[0].name);
    fputs(", \"model\": ", out);
    json_string_or_null(out, data->models[0].version);
    fputs(", \"score\": ", out);
    err = own_mean_of(out, data, data->models[0].name, "");
    if (!err && data->models[0].collection) {
        fputs(", \"ci_p95\": [", out);
        err = own_mean_of(out, data, data->models[0].name, "_ci_p95_lo");
        fputs(", ", out);
        if (!err)
            err = own_mean_of(out, data, data->models[0].name, "_ci_p95_hi");
        putc(']', out);
    }
    fprintf(out, ", \"frames\": %u}", data->frames);
    return err;
}

static VmafxErr own_pooled(FILE *out, const VmafxReportData *data, const char *separator)
{
    putc('{', out);
    for (size_t s = 0; s < data->n_series; s++) {
        VmafxSeriesPooled p;
        VmafxErr err = vmafx_report_pool(data, s, &p);

        if (err == VMAFX_ERR_NOMEM)
            return err;
        fprintf(out, "%s%s", s ? "," : "", separator);
        vmafx_json_string(out, data->series[s].name);
        if (err) {
            fputs(": null", out);
            continue;
        }
        const struct {
            const char *key;
            double v;
        } members[] = { { "mean", p.mean }, { "harmonic_mean", p.harmonic_mean },
                        { "min", p.min },   { "max", p.max },
                        { "p1", p.p1 },     { "p5", p.p5 } };
        fputs(": {", out);
        for (size_t i = 0; i < VMAFX_LEN(members); i++) {
            fprintf(out, "%s\"%s\": ", i ? ", " : "", members[i].key);
            json_number(out, members[i].v);
        }
        putc('}', out);
    }
    fputs(*separator == '\n' && data->n_series ? "\n  }" : "}", out);
    return VMAFX_OK;
}

/* "frame": 3, "time": 0.12, "metrics": {…} */
static void own_frame(FILE *out, const VmafxReportData *data, uint32_t frame)
{
    bool any = false;
    double v;

    fprintf(out, "\"frame\": %u, \"time\": ", frame_number(data, frame));
    json_number(out, vmafx_report_time(data, frame, &v) ? v : NAN);
    fputs(", \"metrics\": {", out);
    for (size_t s = 0; s < data->n_series; s++)
        if (data->value(data->ctx, s, frame, &v)) {
            fputs(any ? ", " : "", out);
            any = true;
            vmafx_json_string(out, data->series[s].name);
            fputs(": ", out);
            json_number(out, v);
        }
    putc('}', out);
}

/* What was compared, how; the members that json and the header line of ndjson share. */
static void own_provenance(FILE *out, const VmafxReportData *data, const char *separator)
{
    fputs("\"engine\": {\"name\": \"vmafx\", \"version\": ", out);
    vmafx_json_string(out, data->version);
    fputs(", \"kernels\": ", out);
    json_string_or_null(out, data->kernels);
    fprintf(out, "},%s\"inputs\": {\"reference\": ", separator);
    own_input(out, &data->inputs[0]);
    fputs(", \"distorted\": ", out);
    own_input(out, &data->inputs[1]);
    fprintf(out, "},%s\"compared\": {\"width\": %d, \"height\": %d},%s\"models\": ", separator, data->w, data->h,
            separator);
    own_models(out, data);
    fprintf(out, ",%s\"options\": ", separator);
    own_options(out, data->options, data->n_options);
    fprintf(out, ",%s\"adaptations\": ", separator);
    own_strings(out, data->adaptations, data->n_adaptations);
}

/* What came out; the members that json and the summary line of ndjson share. */
static VmafxErr own_outcome(FILE *out, const VmafxReportData *data, const char *separator)
{
    fprintf(out, "\"complete\": %s,%s\"incomplete_reason\": ", data->complete ? "true" : "false", separator);
    json_string_or_null(out, data->complete ? NULL : data->incomplete_reason);
    fprintf(out, ",%s\"verdict\": ", separator);
    VmafxErr err = own_verdict(out, data);
    if (err)
        return err;
    fprintf(out, ",%s\"frames_scored\": %u,%s\"warnings\": ", separator, data->frames, separator);
    own_strings(out, data->warnings, data->n_warnings);
    fprintf(out, ",%s\"timing\": {\"wall_seconds\": ", separator);
    json_number(out, data->wall_s);
    fputs(", \"cpu_seconds\": ", out);
    json_number(out, data->cpu_s);
    fputs(", \"frames_per_second\": ", out);
    json_number(out, data->frames / data->wall_s);
    fputs(", \"parallelism\": ", out);
    json_number(out, data->cpu_s / data->wall_s);
    if (data->decode_s > 0 || data->extraction_s > 0) {
        fputs(", \"decode_seconds\": ", out);
        json_number(out, data->decode_s);
        fputs(", \"extraction_seconds\": ", out);
        json_number(out, data->extraction_s);
    }
    putc('}', out);
    if (data->encode) {
        fprintf(out, ",%s\"encode\": ", separator);
        own_encode(out, data->encode);
    }
    if (data->n_aggregates) {
        fprintf(out, ",%s\"aggregates\": {", separator);
        for (size_t i = 0; i < data->n_aggregates; i++) {
            fputs(i ? ", " : "", out);
            vmafx_json_string(out, data->aggregates[i].name);
            fputs(": ", out);
            json_number(out, data->aggregates[i].value);
        }
        putc('}', out);
    }
    fprintf(out, ",%s\"pooled\": ", separator);
    return own_pooled(out, data, *separator == '\n' ? "\n    " : " ");
}

static VmafxErr own_json(FILE *out, const VmafxReportData *data)
{
    static const char line[] = "\n  ";
    bool any = false;

    fprintf(out, "{\n  \"schema\": \"%s\",\n  \"schema_version\": %d,\n  ", VMAFX_REPORT_SCHEMA,
            VMAFX_REPORT_SCHEMA_VERSION);
    VmafxErr err = own_outcome(out, data, line);
    if (err)
        return err;
    fputs(",\n  ", out);
    own_provenance(out, data, line);
    fputs(",\n  \"frames\": [", out);
    for (uint32_t i = 0; i < data->frames; i++) {
        if (!vmafx_report_has_frame(data, i))
            continue;
        fputs(any ? ",\n    {" : "\n    {", out);
        any = true;
        own_frame(out, data, i);
        putc('}', out);
    }
    fputs(any ? "\n  ]\n}\n" : "]\n}\n", out);
    return VMAFX_OK;
}

static VmafxErr own_ndjson(FILE *out, const VmafxReportData *data)
{
    fprintf(out, "{\"type\": \"header\", \"schema\": \"%s\", \"schema_version\": %d, ", VMAFX_REPORT_SCHEMA,
            VMAFX_REPORT_SCHEMA_VERSION);
    own_provenance(out, data, " ");
    fputs("}\n", out);
    for (uint32_t i = 0; i < data->frames; i++) {
        if (!vmafx_report_has_frame(data, i))
            continue;
        fputs("{\"type\": \"frame\", ", out);
        own_frame(out, data, i);
        fputs("}\n", out);
    }
    fputs("{\"type\": \"summary\", ", out);
    VmafxErr err = own_outcome(out, data, " ");
    fputs("}\n", out);
    return err;
}

static VmafxErr own_csv(FILE *out, const VmafxReportData *data)
{
    double v;

    fputs("frame,time", out);
    for (size_t s = 0; s < data->n_series; s++) {
        putc(',', out);
        csv_field(out, data->series[s].name);
    }
    fputs("\r\n", out);
    for (uint32_t i = 0; i < data->frames; i++) {
        if (!vmafx_report_has_frame(data, i))
            continue;
        fprintf(out, "%u,", frame_number(data, i));
        if (vmafx_report_time(data, i, &v))
            fprintf(out, "%.6f", v);
        for (size_t s = 0; s < data->n_series; s++) {
            putc(',', out);
            if (data->value(data->ctx, s, i, &v))
                fprintf(out, "%.17g", v);
        }
        fputs("\r\n", out);
    }
    return VMAFX_OK;
}

bool vmafx_report_format_find(const char *name, VmafxReportFormat *ret)
{
    static const struct {
        const char *name;
        VmafxReportFormat format;
    } formats[] = {
        { "json", VMAFX_REPORT_JSON },
        { "ndjson", VMAFX_REPORT_NDJSON },
        { "csv", VMAFX_REPORT_CSV },
        { "xml", VMAFX_REPORT_REFERENCE_XML },
    };

    for (size_t i = 0; i < VMAFX_LEN(formats); i++)
        if (!strcmp(name, formats[i].name)) {
            *ret = formats[i].format;
            return true;
        }
    return false;
}

VmafxErr vmafx_report_write(FILE *out, VmafxReportFormat format, const VmafxReportData *data)
{
    static VmafxErr (*const writers[])(FILE *, const VmafxReportData *) = {
        [VMAFX_REPORT_JSON] = own_json,
        [VMAFX_REPORT_NDJSON] = own_ndjson,
        [VMAFX_REPORT_CSV] = own_csv,
        [VMAFX_REPORT_REFERENCE_JSON] = reference_json,
        [VMAFX_REPORT_REFERENCE_XML] = reference_xml,
        [VMAFX_REPORT_REFERENCE_CSV] = reference_csv,
        [VMAFX_REPORT_REFERENCE_SUB] = reference_sub,
    };
    VMAFX_AUTO(plain_numbers_end) PlainNumbers numbers = { 0 };

    if (!plain_numbers_begin(&numbers))
        return VMAFX_ERR_NOMEM;
    errno = 0;
    VmafxErr err = writers[format](out, data);
    if (err)
        return err;
    return fflush(out) || ferror(out) ? VMAFX_ERR_IO : VMAFX_OK;
}

VmafxErr vmafx_report_save(const char *path, VmafxReportFormat format, const VmafxReportData *data,
                           VmafxErrInfo *reterr)
{
    VMAFX_AUTO(vmafx_atomic_file_abort) VmafxAtomicFile *file = NULL;
    VmafxErr err = vmafx_atomic_file_open(path, &file, reterr);

    if (err)
        return err;
    err = vmafx_report_write(vmafx_atomic_file_stream(file), format, data);
    if (err)
        return vmafx_fail(reterr, err, "cannot write the report '%s': %s", path,
                          err == VMAFX_ERR_IO && errno ? strerror(errno) : vmafx_err_text(err));
    return vmafx_atomic_file_commit(&file, reterr);
}

VmafxErr vmafx_report_probe(const char *path, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(vmafx_atomic_file_abort) VmafxAtomicFile *file = NULL;

    return vmafx_atomic_file_open(path, &file, reterr);
}

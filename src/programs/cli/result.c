/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* `vmafx result`: what a job found out, as a table, or with all frames as a report. */

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/atomic_file.h"
#include "base/base.h"
#include "programs/cli/pair.h"
#include "programs/cli/remote.h"
#include "report/stored.h"

enum { O_FORMAT = 1, O_OUTPUT };

static const CliOption result_options[] = {
    { O_OUTPUT, 'o', "output", "FILE", "Write a report with all frames there; '-' is standard output.", NULL },
    { O_FORMAT, 0, "format", "FORMAT", "Of that report; when not given, the ending of its name decides, else json.",
      "json ndjson csv xml" },
    REMOTE_OPTIONS,
    { 0 },
};

typedef struct Arguments {
    const char *output;
    bool has_format;
    VmafxReportFormat format;
} Arguments;

static bool argument(void *ctx, int id, const char *value)
{
    Arguments *a = ctx;

    if (id == O_OUTPUT) {
        a->output = value;
        return true;
    }
    a->has_format = true;
    if (vmafx_report_format_find(value, &a->format))
        return true;
    fprintf(stderr, "vmafx result: --format is json, ndjson, csv or xml, not '%s'\n", value);
    return false;
}

/* ---- Receiving ---- */

/** A result as it arrived: the summary's message, and values in columns. */
typedef struct Received {
    VmafxMessage *first;
    const Vmafx__V1__Result *summary;
    size_t n_columns;
    uint64_t n_rows, room;
    double **columns;
} Received;

static void received_done(Received *r)
{
    vmafx_message_free(&r->first);
    for (size_t i = 0; r->columns && i < r->n_columns; i++)
        free(r->columns[i]);
    free(r->columns);
}

static bool make_room(Received *r, uint64_t n)
{
    if (n <= r->room)
        return true;
    uint64_t room = VMAFX_MAX(2 * r->room, VMAFX_MAX(n, 4096));
    for (size_t c = 0; c < r->n_columns; c++) {
        double *more = realloc(r->columns[c], room * sizeof *more);
        if (!more)
            return false;
        r->columns[c] = more;
    }
    r->room = room;
    return true;
}

static VmafxErr take_frames(Received *r, const Vmafx__V1__Frames *frames, VmafxErrInfo *info)
{
    size_t n = frames->n_columns ? frames->columns[0]->n_values : 0;

    if (frames->n_columns != r->n_columns || frames->first != (int64_t)r->n_rows || n > UINT32_MAX - r->n_rows)
        return vmafx_fail(info, VMAFX_ERR_SYNTAX, "the controller sent frames that do not fit together");
    if (!make_room(r, r->n_rows + n))
        return VMAFX_ERR_NOMEM;
    for (size_t c = 0; c < r->n_columns; c++) {
        if (frames->columns[c]->n_values != n)
            return vmafx_fail(info, VMAFX_ERR_SYNTAX, "the controller sent columns of different lengths");
        memcpy(r->columns[c] + r->n_rows, frames->columns[c]->values, n * sizeof(double));
    }
    r->n_rows += n;
    return VMAFX_OK;
}

static VmafxErr take_summary(Received *r, VmafxMessage **message)
{
    const Vmafx__V1__GetResultResponse *response = vmafx_message_get(*message);

    r->summary = response->summary;
    r->n_columns = response->summary->n_series;
    r->columns = calloc(r->n_columns + 1, sizeof *r->columns);
    r->first = VMAFX_TAKE(*message);
    return r->columns ? VMAFX_OK : VMAFX_ERR_NOMEM;
}

static int receive(Remote *remote, const char *id, bool summary_only, Received *r)
{
    Vmafx__V1__GetResultRequest request = VMAFX__V1__GET_RESULT_REQUEST__INIT;
    VMAFX_AUTO(vmafx_client_read_close) VmafxClientReading *reading = NULL;
    VmafxErrInfo info = { 0 };

    request.id = (char *)id;
    request.summary_only = summary_only;
    VmafxErr err = vmafx_client_read(remote->client, VMAFX_CALL_GET_RESULT, &request.base, &reading, &info);
    while (!err) {
        VMAFX_AUTO(vmafx_message_free) VmafxMessage *message = NULL;
        err = vmafx_client_read_next(reading, 0, &message, &info);
        if (err || !message)
            break;
        const Vmafx__V1__GetResultResponse *response = vmafx_message_get(message);
        if (response->part_case == VMAFX__V1__GET_RESULT_RESPONSE__PART_SUMMARY && !r->summary)
            err = take_summary(r, &message);
        else if (response->part_case == VMAFX__V1__GET_RESULT_RESPONSE__PART_FRAMES && r->summary)
            err = take_frames(r, response->frames, &info);
    }
    if (!err && !r->summary)
        err = vmafx_fail(&info, VMAFX_ERR_SYNTAX, "the controller sent no result");
    return err ? remote_fail(remote, err, &info) : EXIT_COMPLETE;
}

/* ---- Printing ---- */

static void print_encode(const Vmafx__V1__EncodeFacts *e)
{
    printf("  %-12s %s (%s), %s, %dx%d", "encoder", e->encoder, e->encoder_version, e->pixel_format, e->width,
           e->height);
    for (size_t i = 0; i < e->n_options; i++)
        printf("%s %s=%s", i ? "," : ":", e->options[i]->key, e->options[i]->value);
    printf("\n  %-12s %" PRId64 " bytes, %.1f kbit/s, %.2f s, %.1f frames/s\n", "encoded", e->size_bytes,
           e->bit_rate / 1000, e->seconds, e->frame_rate);
    if (*e->kept)
        printf("  %-12s %s\n", "kept", e->kept);
}

static void print_summary(const Vmafx__V1__Result *s)
{
    printf("%" PRId64 " frames of %dx%d, %d bits%s%s\n\n", s->frames, s->width, s->height, s->bit_depth,
           s->complete ? "" : ", INCOMPLETE: ", s->complete ? "" : s->incomplete_reason);
    printf("  %-24s %10s %10s %10s %10s\n", "", "mean", "harmonic", "min", "p5");
    for (int kind = VMAFX__V1__SERIES_KIND__SERIES_KIND_SCORE; kind >= 0; kind--)
        for (size_t i = 0; i < s->n_series; i++) {
            const Vmafx__V1__SeriesSummary *series = s->series[i];
            int digits = kind == VMAFX__V1__SERIES_KIND__SERIES_KIND_SCORE ? 2 : 4;
            if ((int)series->kind == kind && series->n)
                printf("  %-24s %10.*f %10.*f %10.*f %10.*f\n", series->name, digits, series->mean, digits,
                       series->harmonic_mean, digits, series->min, digits, series->p5);
        }
    for (size_t i = 0; i < s->n_aggregates; i++)
        printf("  %-24s %10.4f\n", s->aggregates[i]->name, s->aggregates[i]->value);
    puts("");
    for (size_t i = 0; i < s->n_inputs; i++)
        printf("  %-12s %s  %s\n", i ? "distorted" : "reference", remote_base_name(s->inputs[i]->uri),
               s->inputs[i]->sha256);
    for (size_t i = 0; i < s->n_models; i++)
        printf("  %-12s %s  %s\n", "model", s->models[i]->version, s->models[i]->sha256);
    if (s->encode)
        print_encode(s->encode);
    printf("  %-12s %s, %s, %.1f s\n", "node", s->node, s->kernel_level, s->wall_seconds);
    for (size_t i = 0; i < s->n_adaptations; i++)
        printf("  %-12s %s\n", "adapted", s->adaptations[i]);
    for (size_t i = 0; i < s->n_warnings; i++)
        printf("  %-12s %s\n", "warning", s->warnings[i]);
}

/* ---- Reports, by the same writers as `vmafx score` ---- */

static int write_report(const Arguments *a, const Received *r)
{
    VMAFX_AUTO(vmafx_stored_report_done) VmafxStoredReport report = { 0 };
    VmafxErrInfo info = { 0 };
    VmafxErr err = vmafx_stored_report_init(&report, r->summary, (const double *const *)r->columns,
                                            r->n_rows ? r->n_columns : 0, r->n_rows);

    if (!err)
        err = strcmp(a->output, "-") ? vmafx_report_save(a->output, a->format, &report.data, &info)
                                     : vmafx_report_write(stdout, a->format, &report.data);
    if (!err)
        return EXIT_COMPLETE;
    fprintf(stderr, "vmafx result: %s\n", *info.message ? info.message : vmafx_err_text(err));
    return EXIT_OUTPUT;
}

static int run_result(int argc, char **argv)
{
    VMAFX_AUTO(remote_done) Remote remote = { 0 };
    VMAFX_AUTO(received_done) Received received = { 0 };
    Arguments a = { 0 };
    const char *id;
    size_t n;
    int parsed = remote_ids(&remote, &cli_result, argc, argv, &id, 1, &n, argument, &a);

    if (parsed != CLI_END)
        return parsed == CLI_HELP ? EXIT_COMPLETE : EXIT_USAGE;
    if (a.has_format && !a.output)
        a.output = "-";
    const char *dot = a.output && !a.has_format ? strrchr(a.output, '.') : NULL;
    if (dot)
        VMAFX_IGNORE(!vmafx_report_format_find(dot + 1, &a.format)); /* any other ending means json */
    int code = remote_open(&remote);
    if (!code)
        code = receive(&remote, id, !a.output, &received);
    if (code)
        return code;
    if (a.output)
        code = write_report(&a, &received);
    else if (remote.json)
        code = remote_print_json(&received.summary->base);
    else
        print_summary(received.summary);
    return code ? code : received.summary->complete ? EXIT_COMPLETE : EXIT_PARTIAL;
}

const CliCommand cli_result = {
    .name = "result",
    .summary = "fetch what a job found out",
    .usage = "ID [options]",
    .examples = "# pooled scores and where they come from\n"
                "vmafx result 0192f0c1-7b1c-7d3e-8a55-3f1b2c4d5e6f\n"
                "# every frame\n"
                "vmafx result 0192f0c1-7b1c-7d3e-8a55-3f1b2c4d5e6f --output frames.csv\n",
    .options = result_options,
    .run = run_result,
};

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * `vmafx vmaf`, or a link named vmaf: the command line, the reports and the exit codes of the reference tool, so that
 * scripts written for it go on working. Where that tool crashes or hides a failure this one fails with 255.
 */

#include <math.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"
#include "programs/cli/cli.h"
#include "programs/cli/vmaf_presets.h"
#include "report/report.h"
#include "score/score.h"

#define DEFAULT_MODEL       "version=vmaf_v0.6.1"
#define REQUESTS_MAX        32 /* models, and features, on one command line */
#define FRAMES_MAX          2000000000LL
#define PROGRESS_INTERVAL_S 0.2

/* The reference tool's. */
enum { VMAF_DONE = 0, VMAF_USAGE = 1, VMAF_FAILED = 255 };

enum {
    O_REFERENCE = 1,
    O_DISTORTED,
    O_WIDTH,
    O_HEIGHT,
    O_PIXEL_FORMAT,
    O_BITDEPTH,
    O_MODEL,
    O_OUTPUT,
    O_XML,
    O_JSON,
    O_CSV,
    O_SUB,
    O_FEATURE,
    O_THREADS,
    O_SUBSAMPLE,
    O_FRAME_CNT,
    O_FRAME_SKIP_REF,
    O_FRAME_SKIP_DIST,
    O_CPUMASK,
    O_GPUMASK,
    O_AOM_CTC,
    O_NFLX_CTC,
    O_NO_PREDICTION,
    O_QUIET,
    O_VERSION,
};

static const CliOption vmaf_options[] = {
    { O_REFERENCE, 'r', "reference", "FILE", "The reference video.", NULL },
    { O_DISTORTED, 'd', "distorted", "FILE", "The distorted video.", NULL },
    { O_WIDTH, 'w', "width", "N", "Width of raw video; needs -h, -p and -b too.", NULL },
    { O_HEIGHT, 'h', "height", "N", "Height of raw video.", NULL },
    { O_PIXEL_FORMAT, 'p', "pixel_format", "FORMAT", "Chroma layout of raw video: 420, 422 or 444.", "420 422 444" },
    { O_BITDEPTH, 'b', "bitdepth", "N", "Bits per sample of raw video: 8, 10, 12 or 16.", "8 10 12 16" },
    { O_MODEL, 'm', "model", "MODEL",
      "version=V or path=FILE, then any of :name=N, :disable_clip, :enable_transform, :EXTRACTOR.OPTION=VALUE. May be "
      "repeated.",
      NULL },
    { O_OUTPUT, 'o', "output", "FILE", "Write the report there.", NULL },
    { O_XML, 0, "xml", NULL, "The report is XML (default).", NULL },
    { O_JSON, 0, "json", NULL, "The report is JSON.", NULL },
    { O_CSV, 0, "csv", NULL, "The report is CSV.", NULL },
    { O_SUB, 0, "sub", NULL, "The report is a subtitle file.", NULL },
    { O_FEATURE, 0, "feature", "NAME", "One more extractor: NAME or NAME=OPTION=VALUE:OPTION=VALUE. May be repeated.",
      VMAFX_FEATURE_NAMES },
    { O_THREADS, 0, "threads", "N", "Threads that compute; 0 (default) computes in the main thread.", NULL },
    { O_SUBSAMPLE, 0, "subsample", "N", "Score every N-th frame only.", NULL },
    { O_FRAME_CNT, 0, "frame_cnt", "N", "Score N frames at most.", NULL },
    { O_FRAME_SKIP_REF, 0, "frame_skip_ref", "N", "Drop the first N frames of the reference.", NULL },
    { O_FRAME_SKIP_DIST, 0, "frame_skip_dist", "N", "Drop the first N frames of the distorted video.", NULL },
    { O_CPUMASK, 0, "cpumask", "BITS", "CPU features not to use: AVX2 8, AVX-512 16. The numbers stay the same.",
      NULL },
    { O_GPUMASK, 0, "gpumask", "BITS", "Accepted: no GPU is used.", NULL },
    { O_AOM_CTC, 0, "aom_ctc", "VERSION", "The metrics of the AOM common test conditions.", VMAF_AOM_VERSIONS },
    { O_NFLX_CTC, 0, "nflx_ctc", "VERSION", "The metrics of Netflix's test conditions.", VMAF_NFLX_VERSIONS },
    { O_NO_PREDICTION, 'n', "no_prediction", NULL, "Features only; no default model.", NULL },
    { O_QUIET, 'q', "quiet", NULL, "No progress.", NULL },
    { O_VERSION, 'v', "version", NULL, "Print the version.", NULL },
    { 0 },
};

typedef struct Arguments {
    const char *reference, *distorted, *output;
    VmafxReportFormat format;
    VmafxRawFormat raw;
    bool raw_given[4]; /* width, height, pixel format, bit depth */
    bool no_prediction, quiet;
    VmafxPairOptions pair;
    VmafxModelRequest models[REQUESTS_MAX];
    VmafxFeatureRequest features[REQUESTS_MAX];
} Arguments;

static void arguments_done(Arguments *a)
{
    for (size_t i = 0; i < a->pair.n_models; i++)
        vmafx_model_request_done(&a->models[i]);
    for (size_t i = 0; i < a->pair.n_features; i++)
        vmafx_feature_request_done(&a->features[i]);
}

/* ---- arguments; a step gives -1 to go on, else the exit status ---- */

enum { GO_ON = -1 };

static void usage(FILE *out)
{
    fprintf(out, "usage: vmaf %s\n`vmafx vmaf --help` explains the options\n", cli_vmaf.usage);
}

static int usage_error(const char *fmt, ...) VMAFX_PRINTF(1, 2);

static int usage_error(const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    putc('\n', stderr);
    usage(stderr);
    return VMAF_USAGE;
}

static int number(const char *option, const char *text, long long lo, long long hi, int *ret)
{
    long long v;

    if (!cli_int(option, text, lo, hi, &v)) {
        usage(stderr);
        return VMAF_USAGE;
    }
    *ret = (int)v;
    return GO_ON;
}

static int frame_number(const char *option, const char *text, int64_t *ret)
{
    int v = 0;
    int status = number(option, text, 0, FRAMES_MAX, &v);

    *ret = v;
    return status;
}

static int mask(const char *option, const char *text, unsigned long long *ret)
{
    char *end;

    *ret = strtoull(text, &end, 0);
    return *text && !*end ? GO_ON : usage_error("--%s is a number, not '%s'", option, text);
}

/* The reference tool's bits of instruction sets that must not be used. */
static int cpu_mask(const char *text, unsigned *ret_disabled)
{
    enum { AVX2 = 8, AVX512 = 16 };
    unsigned long long bits = 0;
    int status = mask("cpumask", text, &bits);

    *ret_disabled = (bits & AVX2 ? VMAFX_CPU_AVX2 | VMAFX_CPU_AVX512 : 0) | (bits & AVX512 ? VMAFX_CPU_AVX512 : 0);
    return status;
}

static int pixel_format(const char *text, VmafxPixFmt *ret)
{
    static const char *const names[] = { "420", "422", "444" };

    for (size_t i = 0; i < VMAFX_LEN(names); i++)
        if (!strcmp(text, names[i])) {
            *ret = (VmafxPixFmt)i;
            return GO_ON;
        }
    return usage_error("--pixel_format is 420, 422 or 444, not '%s'", text);
}

static int raw_argument(Arguments *a, int id, const char *value)
{
    a->raw_given[id - O_WIDTH] = true;
    switch (id) {
    case O_WIDTH:
        return number("width", value, 1, VMAFX_DIMENSION_MAX, &a->raw.w);
    case O_HEIGHT:
        return number("height", value, 1, VMAFX_DIMENSION_MAX, &a->raw.h);
    case O_PIXEL_FORMAT:
        return pixel_format(value, &a->raw.pix);
    default:
        if (strcmp(value, "8") && strcmp(value, "10") && strcmp(value, "12") && strcmp(value, "16"))
            return usage_error("--bitdepth is 8, 10, 12 or 16, not '%s'", value);
        return number("bitdepth", value, 8, 16, &a->raw.bpc);
    }
}

static int add_model(Arguments *a, const char *text)
{
    VmafxErrInfo info = { 0 };

    if (a->pair.n_models == REQUESTS_MAX)
        return usage_error("more than %d models", REQUESTS_MAX);
    VmafxModelRequest *m = &a->models[a->pair.n_models];
    VmafxErr err = vmafx_model_request_parse(text, false, m, &info);
    if (err)
        return usage_error("%s", *info.message ? info.message : vmafx_err_text(err));
    a->pair.n_models++;
    if (!m->name)
        m->name = "vmaf";
    for (size_t i = 0; i + 1 < a->pair.n_models; i++)
        if (!strcmp(a->models[i].name, m->name))
            return usage_error("two models have the name '%s': give one of them another with name=NAME", m->name);
    return GO_ON;
}

static int add_feature(Arguments *a, const char *text)
{
    VmafxErrInfo info = { 0 };

    if (a->pair.n_features == REQUESTS_MAX)
        return usage_error("more than %d features", REQUESTS_MAX);
    VmafxErr err = vmafx_feature_request_parse(text, &a->features[a->pair.n_features], &info);
    if (err)
        return usage_error("%s", *info.message ? info.message : vmafx_err_text(err));
    a->pair.n_features++;
    return GO_ON;
}

static int add_preset(Arguments *a, const VmafPreset *preset, const char *option, const char *versions,
                      const char *value)
{
    int status = GO_ON;

    if (!preset)
        return usage_error("--%s is one of %s, not '%s'", option, versions, value);
    for (size_t i = 0; status == GO_ON && preset->features[i]; i++)
        status = add_feature(a, preset->features[i]);
    for (size_t i = 0; status == GO_ON && preset->models[i]; i++)
        status = add_model(a, preset->models[i]);
    a->pair.larger_depth |= preset->larger_depth;
    return status;
}

static int value_argument(Arguments *a, int id, const char *value)
{
    switch (id) {
    case O_REFERENCE:
        a->reference = value;
        return GO_ON;
    case O_DISTORTED:
        a->distorted = value;
        return GO_ON;
    case O_MODEL:
        return add_model(a, value);
    case O_OUTPUT:
        a->output = value;
        return GO_ON;
    case O_FEATURE:
        return add_feature(a, value);
    case O_THREADS:
        return number("threads", value, 0, 1024, &a->pair.threads);
    case O_SUBSAMPLE:
        return number("subsample", value, 0, 1000000, &a->pair.subsample);
    case O_FRAME_CNT:
        return frame_number("frame_cnt", value, &a->pair.count);
    case O_FRAME_SKIP_REF:
        return frame_number("frame_skip_ref", value, &a->pair.skip_ref);
    case O_FRAME_SKIP_DIST:
        return frame_number("frame_skip_dist", value, &a->pair.skip_dis);
    case O_CPUMASK:
        return cpu_mask(value, &a->pair.cpu_disabled);
    case O_GPUMASK:
        return mask("gpumask", value, &(unsigned long long){ 0 }); /* no GPU is used: only the form matters */
    case O_AOM_CTC:
        return add_preset(a, vmaf_preset_aom(value), "aom_ctc", VMAF_AOM_VERSIONS, value);
    case O_NFLX_CTC:
        return add_preset(a, vmaf_preset_nflx(value), "nflx_ctc", VMAF_NFLX_VERSIONS, value);
    default:
        return raw_argument(a, id, value);
    }
}

static int switch_argument(Arguments *a, int id)
{
    switch (id) {
    case O_XML:
        a->format = VMAFX_REPORT_REFERENCE_XML;
        return GO_ON;
    case O_JSON:
        a->format = VMAFX_REPORT_REFERENCE_JSON;
        return GO_ON;
    case O_CSV:
        a->format = VMAFX_REPORT_REFERENCE_CSV;
        return GO_ON;
    case O_SUB:
        a->format = VMAFX_REPORT_REFERENCE_SUB;
        return GO_ON;
    case O_NO_PREDICTION:
        a->no_prediction = true;
        return GO_ON;
    case O_QUIET:
        a->quiet = true;
        return GO_ON;
    default: /* O_VERSION */
        puts(VMAFX_ENGINE_VERSION);
        return VMAF_DONE;
    }
}

/* What can only be seen once all arguments are there. */
static int settle(Arguments *a)
{
    int n_raw = a->raw_given[0] + a->raw_given[1] + a->raw_given[2] + a->raw_given[3];

    if (!a->reference)
        return usage_error("Reference .y4m or .yuv (-r/--reference) is required");
    if (!a->distorted)
        return usage_error("Distorted .y4m or .yuv (-d/--distorted) is required");
    if (n_raw != 0 && n_raw != 4)
        return usage_error("raw video needs --width/-w, --height/-h, --pixel_format/-p and --bitdepth/-b together");
    if (n_raw == 4) {
        a->raw.chroma_down = true;
        a->pair.raw_reference = a->pair.raw_distorted = &a->raw;
    }
    if (a->pair.n_models == 0 && !a->no_prediction) {
        int status = add_model(a, DEFAULT_MODEL);
        if (status != GO_ON)
            return status;
    }
    a->pair.models = a->models;
    a->pair.features = a->features;
    return GO_ON;
}

static int read_arguments(Arguments *a, int argc, char **argv)
{
    CliParser parser;
    const char *value;
    int id;

    cli_parser_init(&parser, &cli_vmaf, argc, argv);
    while ((id = cli_next(&parser, &value)) != CLI_END) {
        int status = GO_ON;

        if (id == CLI_HELP)
            return VMAF_DONE;
        if (id == CLI_ERROR) {
            usage(stderr);
            return VMAF_USAGE;
        }
        if (id == CLI_POSITIONAL)
            status = usage_error("'%s' belongs to no option", value);
        else
            status = value ? value_argument(a, id, value) : switch_argument(a, id);
        if (status != GO_ON)
            return status;
    }
    return settle(a);
}

/* ---- running ---- */

typedef struct Progress {
    bool shown, drawn;
    double last_s;
} Progress;

static bool on_progress(void *ctx, const VmafxProgress *p)
{
    Progress *progress = ctx;

    if (!progress->shown || p->elapsed_s - progress->last_s < PROGRESS_INTERVAL_S || p->frames == 0)
        return true;
    progress->last_s = p->elapsed_s;
    progress->drawn = true;
    fprintf(stderr, "\r%u frames %.2f FPS\033[K", p->frames, p->frames / p->elapsed_s);
    fflush(stderr);
    return true;
}

/* The reference tool's words for inputs that do not fit together. */
static void tell_incompatible(const VmafxResult *result)
{
    for (size_t i = 0; i < result->n_problems; i++)
        switch (result->problems[i].property) {
        case VMAFX_PAIR_SIZE:
            fprintf(stderr, "dimensions do not match: %dx%d, %dx%d\n", result->inputs[0].info.w,
                    result->inputs[0].info.h, result->inputs[1].info.w, result->inputs[1].info.h);
            break;
        case VMAFX_PAIR_PIXEL_FORMAT:
            fputs("pixel formats do not match\n", stderr);
            break;
        case VMAFX_PAIR_DEPTH:
            fprintf(stderr, "bitdepths do not match: %d, %d\n", result->inputs[0].info.bpc, result->inputs[1].info.bpc);
            break;
        default:
            fprintf(stderr, "%s\n", result->problems[i].sentence);
        }
    fprintf(stderr, "videos are incompatible, %zu problem%s.\n", result->n_problems,
            result->n_problems == 1 ? "" : "s");
}

static void tell_failure(const VmafxResult *result, VmafxErr err, const VmafxErrInfo *info)
{
    if (result->n_problems)
        tell_incompatible(result);
    else
        fprintf(stderr, "%s\n", info->message);
    if (err == VMAFX_ERR_INPUT && result->frames == 0 &&
        (result->stage == VMAFX_STAGE_SCORING || (result->stage == VMAFX_STAGE_INPUTS && result->inputs[0].known)))
        fputs("problem flushing context\n", stderr);
    else if (result->stage == VMAFX_STAGE_SCORING)
        fputs(err == VMAFX_ERR_MISSING ? "problem generating pooled VMAF score\n" : "problem reading pictures\n",
              stderr);
}

/* The pooled mean of NAME + suffix; NaN when it cannot be pooled. */
static double mean_of(const VmafxReportData *data, const char *name, const char *suffix)
{
    VMAFX_AUTO(vmafx_free_p) char *series = vmafx_sprintf("%s%s", name, suffix);
    VmafxSeriesPooled p;

    if (!series || vmafx_report_pool(data, vmafx_report_find(data, series), &p))
        return NAN;
    return p.mean;
}

/* False when a score is missing. */
static bool check_scores(const VmafxReportData *data)
{
    for (size_t i = 0; i < data->n_models; i++) {
        VmafxSeriesPooled p;

        if (vmafx_report_pool(data, vmafx_report_find(data, data->models[i].name), &p)) {
            fputs("problem generating pooled VMAF score\n", stderr);
            return false;
        }
    }
    return true;
}

static void print_scores(const VmafxReportData *data)
{
    for (size_t i = 0; i < data->n_models; i++) {
        const VmafxReportModel *m = &data->models[i];

        if (m->collection)
            fprintf(stderr, "%s: %f, ci.p95: [%f, %f], stddev: %f\n", m->version, mean_of(data, m->name, ""),
                    mean_of(data, m->name, "_ci_p95_lo"), mean_of(data, m->name, "_ci_p95_hi"),
                    mean_of(data, m->name, "_stddev"));
        else
            fprintf(stderr, "%s: %f\n", m->version, mean_of(data, m->name, ""));
    }
}

static int present(const Arguments *a, VmafxResult *result)
{
    VmafxReportData data;
    VmafxErrInfo info = { 0 };

    if (result->ending == VMAFX_ENDING_SHORTER)
        fprintf(stderr, "\"%s\" ended before \"%s\".\n", result->inputs[result->ended_first].path,
                result->inputs[!result->ended_first].path);
    if (!result->complete) { /* a report that looks whole must not come of a cut file */
        fprintf(stderr, "%s\n", result->incomplete_reason);
        return VMAF_FAILED;
    }
    VmafxErr err = vmafx_result_report(result, &data);
    if (err) {
        fprintf(stderr, "%s\n", vmafx_err_text(err));
        return VMAF_FAILED;
    }
    if (!check_scores(&data))
        return VMAF_FAILED;
    if (!a->output) {
        if (isatty(STDERR_FILENO))
            print_scores(&data);
        return VMAF_DONE;
    }
    if (vmafx_report_save(a->output, a->format, &data, &info)) {
        fprintf(stderr, "could not open file: %s\n%s\n", a->output, info.message);
        return VMAF_FAILED;
    }
    return VMAF_DONE;
}

static int run_vmaf(int argc, char **argv)
{
    /* Everything but size, pixel format and depth may differ, as it may there. */
    VMAFX_AUTO(arguments_done)
    Arguments a = { .format = VMAFX_REPORT_REFERENCE_XML,
                    .pair = { .accept_shorter = true, .writes_files = true, .strict = false } };
    VMAFX_AUTO(vmafx_result_done) VmafxResult result = { 0 };
    VmafxErrInfo info = { 0 };
    int status = read_arguments(&a, argc, argv);

    if (status != GO_ON)
        return status;
    if (a.output && vmafx_report_probe(a.output, &info)) {
        fprintf(stderr, "could not open file: %s\n%s\n", a.output, info.message);
        return VMAF_FAILED;
    }
    Progress progress = { .shown = !a.quiet && isatty(STDERR_FILENO) };
    a.pair.progress = on_progress;
    a.pair.progress_ctx = &progress;

    VmafxErr err = vmafx_score_pair(a.reference, a.distorted, &a.pair, &result, &info);
    if (progress.drawn)
        fputs("\r\033[K", stderr);
    if (err) {
        tell_failure(&result, err, &info);
        return VMAF_FAILED;
    }
    return present(&a, &result);
}

const CliCommand cli_vmaf = {
    .name = "vmaf",
    .summary = "the command line, reports and exit codes of the reference tool",
    .usage = "--reference FILE --distorted FILE [options]",
    .examples = "# y4m, or anything FFmpeg reads\n"
                "vmafx vmaf -r ref.y4m -d dist.y4m --json -o report.json\n"
                "# raw video\n"
                "vmafx vmaf -r ref.yuv -d dist.yuv -w 1920 -h 1080 -p 420 -b 8 -m version=vmaf_v0.6.1neg\n",
    .notes = "-h is the height here. Without -m the model is vmaf_v0.6.1.\n\n"
             "Exit status: 0 scored, also when one video is shorter; 1 usage; 255 anything else, also an unwritable "
             "report and a cut file.",
    .options = vmaf_options,
    .run = run_vmaf,
};

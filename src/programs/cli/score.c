/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* `vmafx score`: measure one pair here and now; a verdict for people, a report for programs. */

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"
#include "base/config.h"
#include "base/cpus.h"
#include "programs/cli/cli.h"
#include "score/report.h"
#include "score/score.h"

#define WORST_FRAMES        5
#define PROGRESS_INTERVAL_S 0.2
#define STOP_WITHIN_S       3 /* after a signal; a reader may hang on a pipe */
#define FRAMES_MAX          2000000000LL

enum {
    O_REFERENCE = 1,
    O_DISTORTED,
    O_MODEL,
    O_FEATURE,
    O_FORMAT,
    O_OUTPUT,
    O_JSON,
    O_THREADS,
    O_SUBSAMPLE,
    O_FRAMES,
    O_SKIP_REFERENCE,
    O_SKIP_DISTORTED,
    O_ACCEPT_SHORTER,
    O_SCALE,
    O_CONVERT_DEPTH,
    O_CONVERT_RANGE,
    O_IGNORE_PIXEL_FORMAT,
    O_IGNORE_RATE,
    O_IGNORE_START,
    O_IGNORE_COLOUR,
    O_ALLOW_HDR,
    O_WIDTH,
    O_HEIGHT,
    O_PIXEL_FORMAT,
    O_BIT_DEPTH,
    O_NO_DIGEST,
    O_FEATURES_ONLY,
    O_QUIET,
};

static const CliOption score_options[] = {
    { O_REFERENCE, 'r', "reference", "FILE", "The video to compare with; '-' is standard input.", NULL },
    { O_DISTORTED, 'd', "distorted", "FILE", "The video to measure; '-' is standard input.", NULL },
    { O_MODEL, 'm', "model", "MODEL",
      "VERSION or path=FILE, then any of :name=N, :disable_clip, :enable_transform, :extractor.option=value. May be "
      "repeated; VMAFX_MODEL, else vmaf_v0.6.1, when not given.",
      "vmaf_v0.6.1 vmaf_v0.6.1neg vmaf_4k_v0.6.1 vmaf_4k_v0.6.1neg vmaf_b_v0.6.3" },
    { O_FEATURE, 0, "feature", "NAME", "One more extractor: NAME or NAME=option=value:option=value. May be repeated.",
      "adm motion vif" },
    { O_FEATURES_ONLY, 0, "features-only", NULL, "No model: compute just what --feature names.", NULL },
    { O_FORMAT, 0, "format", "FORMAT",
      "Format of the report: json, ndjson, csv or xml. When not given, the ending of the output's name decides, else "
      "json.",
      "json ndjson csv xml" },
    { O_OUTPUT, 'o', "output", "FILE", "Write the report with all frames there; '-' is standard output.", NULL },
    { O_JSON, 0, "json", NULL, "Print the json report on standard output instead of the table.", NULL },
    { O_THREADS, 0, "threads", "N",
      "Threads that compute; VMAFX_THREADS, else as many as there are CPUs, when not given.", NULL },
    { O_SUBSAMPLE, 0, "subsample", "N", "Score every N-th frame only.", NULL },
    { O_FRAMES, 0, "frames", "FIRST:COUNT", "Score COUNT frames from number FIRST (from 0) on; COUNT may be left out.",
      NULL },
    { O_SKIP_REFERENCE, 0, "skip-reference", "N", "Drop the first N frames of the reference.", NULL },
    { O_SKIP_DISTORTED, 0, "skip-distorted", "N", "Drop the first N frames of the distorted video.", NULL },
    { O_ACCEPT_SHORTER, 0, "accept-shorter", NULL, "Let one video have fewer frames than the other.", NULL },
    { O_SCALE, 0, "scale", "SIZE",
      "Scale the distorted video to the size of the 'reference', or both to WxH (bicubic).", "reference" },
    { O_CONVERT_DEPTH, 0, "convert-depth", NULL, "Bring the distorted video to the bit depth of the reference.", NULL },
    { O_CONVERT_RANGE, 0, "convert-range", NULL,
      "Bring the distorted video to the quantisation range (limited or full) of the reference.", NULL },
    { O_IGNORE_PIXEL_FORMAT, 0, "ignore-pixel-format", NULL,
      "Let the chroma layouts differ; the features of this version read luma only.", NULL },
    { O_IGNORE_RATE, 0, "ignore-rate", NULL, "Pair frames by number although the frame rates differ.", NULL },
    { O_IGNORE_START, 0, "ignore-start", NULL, "Pair the first frames although their times differ.", NULL },
    { O_IGNORE_COLOUR, 0, "ignore-colour", NULL, "Let matrix, transfer function and primaries differ.", NULL },
    { O_ALLOW_HDR, 0, "allow-hdr", NULL, "Score PQ and HLG video although the models are made for standard range.",
      NULL },
    { O_WIDTH, 0, "width", "N", "Width of raw planar video; needs --height, --pixel-format and --bit-depth too.",
      NULL },
    { O_HEIGHT, 0, "height", "N", "Height of raw video.", NULL },
    { O_PIXEL_FORMAT, 0, "pixel-format", "FORMAT", "Chroma layout of raw video: 420, 422, 444 or 400.",
      "420 422 444 400" },
    { O_BIT_DEPTH, 0, "bit-depth", "N", "Bits per sample of raw video: 8, 10, 12 or 16.", "8 10 12 16" },
    { O_NO_DIGEST, 0, "no-digest", NULL, "Do not compute the SHA-256 of the inputs.", NULL },
    { O_QUIET, 'q', "quiet", NULL, "No progress; only the verdict line.", NULL },
    { 0 },
};

typedef struct Arguments {
    const char *reference, *distorted, *output;
    bool has_format, json, quiet, features_only;
    VmafxReportFormat format;
    VmafxRawFormat raw;
    bool raw_given[4]; /* width, height, pixel format, bit depth */
    VmafxPairOptions pair;
    VmafxModelRequest *models;
    VmafxFeatureRequest *features;
} Arguments;

static void arguments_done(Arguments *a)
{
    for (size_t i = 0; i < a->pair.n_models; i++)
        vmafx_model_request_done(&a->models[i]);
    for (size_t i = 0; i < a->pair.n_features; i++)
        vmafx_feature_request_done(&a->features[i]);
    free(a->models);
    free(a->features);
}

/* ---- arguments ---- */

static bool usage_error(const char *fmt, ...) VMAFX_PRINTF(1, 2);

static bool usage_error(const char *fmt, ...)
{
    va_list args;

    fputs("vmafx score: ", stderr);
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fputs("; `vmafx score --help` explains the options\n", stderr);
    return false;
}

static bool number(const char *option, const char *text, long long lo, long long hi, int *ret)
{
    long long v;

    if (!cli_int(option, text, lo, hi, &v))
        return false;
    *ret = (int)v;
    return true;
}

static bool frame_number(const char *option, const char *text, int64_t *ret)
{
    long long v;

    if (!cli_int(option, text, 0, FRAMES_MAX, &v))
        return false;
    *ret = v;
    return true;
}

/* FIRST:COUNT, FIRST: or FIRST */
static bool frame_range(const char *text, VmafxPairOptions *pair)
{
    VMAFX_AUTO(vmafx_free_p) char *first = vmafx_strdup(text);
    char *colon = first ? strchr(first, ':') : NULL;
    long long count = 0;

    if (!first)
        return false;
    if (colon)
        *colon = 0;
    if (!frame_number("frames", first, &pair->first))
        return false;
    if (colon && colon[1] && !cli_int("frames", colon + 1, 1, FRAMES_MAX, &count))
        return false;
    pair->count = count;
    return true;
}

static bool scaling(const char *text, VmafxPairOptions *pair)
{
    char after;

    if (!strcmp(text, "reference")) {
        pair->scale = VMAFX_SCALING_REFERENCE;
        return true;
    }
    if (strspn(text, "0123456789x") != strlen(text) || strlen(text) > 11 ||
        sscanf(text, "%dx%d%c", &pair->scale_w, &pair->scale_h, &after) != 2 || pair->scale_w < 1 ||
        pair->scale_h < 1 || pair->scale_w > VMAFX_DIMENSION_MAX || pair->scale_h > VMAFX_DIMENSION_MAX)
        return usage_error("--scale takes 'reference' or a size such as 1920x1080, not '%s'", text);
    pair->scale = VMAFX_SCALING_SIZE;
    return true;
}

static bool report_format(const char *text, VmafxReportFormat *ret)
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
        if (!strcmp(text, formats[i].name)) {
            *ret = formats[i].format;
            return true;
        }
    return false;
}

static bool pixel_format(const char *text, VmafxPixFmt *ret)
{
    static const char *const names[] = { "420", "422", "444", "400" };

    for (size_t i = 0; i < VMAFX_LEN(names); i++)
        if (!strcmp(text, names[i])) {
            *ret = (VmafxPixFmt)i;
            return true;
        }
    return usage_error("--pixel-format is 420, 422, 444 or 400, not '%s'", text);
}

static bool add_model(Arguments *a, const char *text)
{
    VmafxModelRequest *more = realloc(a->models, (a->pair.n_models + 1) * sizeof *more);
    VmafxErrInfo info = { 0 };

    if (!more)
        return usage_error("out of memory");
    a->models = more;
    if (vmafx_model_request_parse(text, true, &a->models[a->pair.n_models], &info))
        return usage_error("%s", *info.message ? info.message : "out of memory");
    a->pair.n_models++;
    return true;
}

static bool add_feature(Arguments *a, const char *text)
{
    VmafxFeatureRequest *more = realloc(a->features, (a->pair.n_features + 1) * sizeof *more);
    VmafxErrInfo info = { 0 };

    if (!more)
        return usage_error("out of memory");
    a->features = more;
    if (vmafx_feature_request_parse(text, &a->features[a->pair.n_features], &info))
        return usage_error("%s", *info.message ? info.message : "out of memory");
    a->pair.n_features++;
    return true;
}

static bool raw_argument(Arguments *a, int id, const char *value)
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
        if (!number("bit-depth", value, 8, 16, &a->raw.bpc))
            return false;
        if (a->raw.bpc != 8 && a->raw.bpc != 10 && a->raw.bpc != 12 && a->raw.bpc != 16)
            return usage_error("--bit-depth is 8, 10, 12 or 16, not %d", a->raw.bpc);
        return true;
    }
}

static bool value_argument(Arguments *a, int id, const char *value)
{
    switch (id) {
    case O_REFERENCE:
        a->reference = value;
        return true;
    case O_DISTORTED:
        a->distorted = value;
        return true;
    case O_MODEL:
        return add_model(a, value);
    case O_FEATURE:
        return add_feature(a, value);
    case O_FORMAT:
        a->has_format = true;
        return report_format(value, &a->format) || usage_error("--format is json, ndjson, csv or xml, not '%s'", value);
    case O_OUTPUT:
        a->output = value;
        return true;
    case O_THREADS:
        return number("threads", value, 0, 1024, &a->pair.threads);
    case O_SUBSAMPLE:
        return number("subsample", value, 1, 1000000, &a->pair.subsample);
    case O_FRAMES:
        return frame_range(value, &a->pair);
    case O_SKIP_REFERENCE:
        return frame_number("skip-reference", value, &a->pair.skip_ref);
    case O_SKIP_DISTORTED:
        return frame_number("skip-distorted", value, &a->pair.skip_dis);
    case O_SCALE:
        return scaling(value, &a->pair);
    default:
        return raw_argument(a, id, value);
    }
}

/* The switch with that id, or NULL. */
static bool *switch_of(Arguments *a, int id)
{
    switch (id) {
    case O_JSON:
        return &a->json;
    case O_QUIET:
        return &a->quiet;
    case O_FEATURES_ONLY:
        return &a->features_only;
    case O_ACCEPT_SHORTER:
        return &a->pair.accept_shorter;
    case O_CONVERT_DEPTH:
        return &a->pair.convert_depth;
    case O_CONVERT_RANGE:
        return &a->pair.convert_range;
    case O_IGNORE_PIXEL_FORMAT:
        return &a->pair.ignore_pixel_format;
    case O_IGNORE_RATE:
        return &a->pair.ignore_rate;
    case O_IGNORE_START:
        return &a->pair.ignore_start;
    case O_IGNORE_COLOUR:
        return &a->pair.ignore_colour;
    case O_ALLOW_HDR:
        return &a->pair.allow_hdr;
    default:
        return NULL;
    }
}

/* What the arguments left open and environment or settings file may say. */
static bool apply_settings(Arguments *a)
{
    VMAFX_AUTO(vmafx_config_free) VmafxConfig *config = NULL;
    VmafxErrInfo info = { 0 };
    VmafxErr err = vmafx_config_load(&config, &info);

    if (err)
        return usage_error("%s", info.message[0] ? info.message : vmafx_err_text(err));
    const char *threads = vmafx_config_get(config, "VMAFX_THREADS", NULL);
    if (a->pair.threads < 0 && threads && !number("VMAFX_THREADS", threads, 0, 1024, &a->pair.threads))
        return false;
    if (a->pair.threads < 0)
        a->pair.threads = vmafx_cpus_allowed();
    if (a->pair.n_models == 0 && !a->features_only && !add_model(a, vmafx_config_get(config, "VMAFX_MODEL", NULL)))
        return false;
    a->pair.models = a->models;
    return true;
}

/* What can only be seen once all arguments are there. */
static bool settle(Arguments *a)
{
    int n_raw = a->raw_given[0] + a->raw_given[1] + a->raw_given[2] + a->raw_given[3];

    if (!a->reference || !a->distorted)
        return usage_error("--%s FILE is missing", a->reference ? "distorted" : "reference");
    if (a->features_only && (a->pair.n_models || !a->pair.n_features))
        return usage_error("--features-only wants at least one --feature and no --model");
    if (!strcmp(a->reference, "-") && !strcmp(a->distorted, "-"))
        return usage_error("only one of the two videos can come from standard input");
    if (n_raw != 0 && n_raw != 4)
        return usage_error("raw video needs --width, --height, --pixel-format and --bit-depth together");
    if (n_raw == 4)
        a->pair.raw_reference = a->pair.raw_distorted = &a->raw;
    if (a->has_format && !a->output) {
        if (a->json && a->format != VMAFX_REPORT_JSON)
            return usage_error(
                "--json and another --format both want standard output: give the report a --output FILE");
        a->output = a->json ? NULL : "-";
    }
    if (a->output && !strcmp(a->output, "-") && a->json)
        return usage_error("--json and --output - both want standard output");
    const char *dot = a->output && !a->has_format ? strrchr(a->output, '.') : NULL;
    if (dot)
        VMAFX_IGNORE(!report_format(dot + 1, &a->format)); /* any other ending means json */
    a->pair.features = a->features;
    return apply_settings(a);
}

/* CLI_END when all is well, else CLI_HELP or CLI_ERROR. */
static int read_arguments(Arguments *a, int argc, char **argv)
{
    CliParser parser;
    const char *value;
    int id;

    cli_parser_init(&parser, &cli_score, argc, argv);
    while ((id = cli_next(&parser, &value)) != CLI_END) {
        bool *on = switch_of(a, id);

        if (id == CLI_HELP || id == CLI_ERROR)
            return id;
        if (id == CLI_POSITIONAL) {
            usage_error("'%s' stands alone: name the videos with --reference and --distorted", value);
            return CLI_ERROR;
        }
        if (on)
            *on = true;
        else if (id == O_NO_DIGEST)
            a->pair.digest = false;
        else if (!value_argument(a, id, value))
            return CLI_ERROR;
    }
    return settle(a) ? CLI_END : CLI_ERROR;
}

/* ---- signals ---- */

static volatile sig_atomic_t stop_asked; /* set by the handler, read by progress */
static volatile sig_atomic_t scoring;    /* nothing is on disk meanwhile, so that leaving at once is clean */
static volatile sig_atomic_t saving;     /* a half-written file is on disk: the report is finished first */

static void leave(int signal_number)
{
    static const char text[] = "\nvmafx score: cancelled, nothing was written\n";

    VMAFX_IGNORE(write(STDERR_FILENO, text, sizeof text - 1) < 0); /* there is nobody left to tell */
    _exit(EXIT_CANCELLED);
}

/* Asks for an orderly end. The second signal, or a few seconds in which a reader does not come back, end it anyway. */
static void ask_to_stop(int signal_number)
{
    if (stop_asked && !saving)
        leave(signal_number);
    stop_asked = 1;
    if (scoring)
        alarm(STOP_WITHIN_S);
}

static void catch_signals(void)
{
    struct sigaction stop = { .sa_handler = ask_to_stop }, end = { .sa_handler = leave };

    sigemptyset(&stop.sa_mask);
    sigemptyset(&end.sa_mask);
    sigaction(SIGINT, &stop, NULL);
    sigaction(SIGTERM, &stop, NULL);
    sigaction(SIGALRM, &end, NULL);
}

/* ---- progress ---- */

typedef struct Progress {
    bool shown;
    double last_s;
    bool drawn;
} Progress;

static bool on_progress(void *ctx, const VmafxProgress *p)
{
    Progress *progress = ctx;

    if (stop_asked)
        return false;
    if (!progress->shown || p->elapsed_s - progress->last_s < PROGRESS_INTERVAL_S || p->frames == 0)
        return true;
    progress->last_s = p->elapsed_s;
    progress->drawn = true;

    double rate = p->frames / p->elapsed_s;
    if (p->total > 0) {
        long long left = (long long)ceil((double)VMAFX_MAX(p->total - (int64_t)p->frames, 0) / rate);

        fprintf(stderr, "\r%u of %lld frames, %.1f frames/s, %lld:%02lld:%02lld left\033[K", p->frames,
                (long long)p->total, rate, left / 3600, left / 60 % 60, left % 60);
    } else {
        fprintf(stderr, "\r%u frames, %.1f frames/s\033[K", p->frames, rate);
    }
    fflush(stderr);
    return true;
}

static void erase_progress(Progress *progress)
{
    if (progress->drawn)
        fputs("\r\033[K", stderr);
    progress->drawn = false;
}

/* ---- what people read ---- */

static void print_verdict(const VmafxReportData *data)
{
    const VmafxReportModel *m = data->n_models ? &data->models[0] : NULL;
    VmafxSeriesPooled p;

    if (!m)
        printf("features only, %u frame%s", data->frames, data->frames == 1 ? "" : "s");
    else if (vmafx_report_pool(data, vmafx_report_find(data, m->name), &p))
        printf("VMAF unknown  %s, %u frames", m->version, data->frames);
    else
        printf("VMAF %.2f  %s, %u frame%s", p.mean, m->version, p.n, p.n == 1 ? "" : "s");
    puts(data->complete ? "" : ", INCOMPLETE");
}

/* Intermediate values that only people who asked for details want to see are in the reports. */
static bool is_main_series(const VmafxReportSeries *series)
{
    static const char *const details[] = { "VMAF_", "_num", "_den", "adm_scale", "_aim", "adm3", "motion3" };

    if (series->kind != VMAFX_SERIES_FEATURE)
        return series->kind == VMAFX_SERIES_SCORE;
    for (size_t i = 0; i < VMAFX_LEN(details); i++)
        if (strstr(series->name, details[i]))
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

static void print_notes(const char *what, const char *const *notes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        printf("%s%s: %s\n", i ? "" : "\n", what, notes[i]);
}

static void print_result(const VmafxReportData *data, bool quiet)
{
    print_verdict(data);
    if (quiet)
        return;
    if (!data->complete)
        printf("incomplete: %s\n", data->incomplete_reason);
    print_table(data);
    print_worst(data);
    print_notes("adapted", data->adaptations, data->n_adaptations);
    print_notes("warning", data->warnings, data->n_warnings);
}

/* ---- the command ---- */

static int exit_for(VmafxStage stage, VmafxErr err)
{
    if (err == VMAFX_ERR_NOMEM || err == VMAFX_ERR_INTERNAL)
        return cli_exit_for(err);
    switch (stage) {
    case VMAFX_STAGE_MODELS:
        return EXIT_MODEL;
    case VMAFX_STAGE_INPUTS:
        return EXIT_INPUT;
    case VMAFX_STAGE_PAIR:
        return EXIT_INCOMPARABLE;
    default:
        break;
    }
    switch (err) {
    case VMAFX_ERR_INPUT:
    case VMAFX_ERR_TRUNCATED:
        return EXIT_INPUT;
    case VMAFX_ERR_INVALID: /* pictures too small for a feature */
    case VMAFX_ERR_MISMATCH:
        return EXIT_INCOMPARABLE;
    case VMAFX_ERR_FEATURE:
    case VMAFX_ERR_MISSING:
    case VMAFX_ERR_MODEL:
    case VMAFX_ERR_UNSUPPORTED:
        return EXIT_MODEL;
    default:
        return cli_exit_for(err);
    }
}

/* Says what went wrong, as text and, when asked for, as an object. */
static int fail(const Arguments *a, int code, const char *error, const char *const *sentences, size_t n)
{
    for (size_t i = 0; i < n; i++)
        fprintf(stderr, "vmafx score: %s\n", sentences[i]);
    if (a->json) {
        printf(
            "{\"schema\": \"%s\", \"schema_version\": %d, \"error\": {\"code\": \"%s\", \"exit\": %d, \"messages\": [",
            VMAFX_REPORT_SCHEMA, VMAFX_REPORT_SCHEMA_VERSION, error, code);
        for (size_t i = 0; i < n; i++) {
            fputs(i ? ", " : "", stdout);
            vmafx_json_string(stdout, sentences[i]);
        }
        puts("]}}");
    }
    return code;
}

static int fail_with(const Arguments *a, int code, VmafxErr err, const char *sentence)
{
    return fail(a, code, vmafx_err_name(err), &sentence, 1);
}

static int fail_scoring(const Arguments *a, const VmafxResult *result, VmafxErr err, const VmafxErrInfo *info)
{
    const char *sentences[VMAFX_PAIR_PROBLEMS_MAX];

    for (size_t i = 0; i < result->n_problems; i++)
        sentences[i] = result->problems[i].sentence;
    if (result->n_problems == 0)
        sentences[0] = info->message;
    return fail(a, exit_for(result->stage, err), vmafx_err_name(err), sentences, VMAFX_MAX(result->n_problems, 1));
}

static bool to_stdout(const Arguments *a)
{
    return a->output && !strcmp(a->output, "-");
}

/* A FIFO or a device may take for ever and has no half-written file to protect. */
static bool is_plain_target(const char *path)
{
    struct stat st;

    return stat(path, &st) || S_ISREG(st.st_mode);
}

/* Report first, then the table: whoever sees the table can rely on the file. */
static int present(const Arguments *a, VmafxResult *result)
{
    VmafxReportData data;
    VmafxErrInfo info = { 0 };
    VmafxErr err = vmafx_result_report(result, &data);

    if (err)
        return fail_with(a, cli_exit_for(err), err, vmafx_err_text(err));
    if (a->output && !to_stdout(a)) {
        saving = is_plain_target(a->output);
        err = vmafx_report_save(a->output, a->format, &data, &info);
        saving = 0;
        if (err)
            return fail_with(a, EXIT_OUTPUT, err, info.message);
    }
    if (a->json || to_stdout(a))
        err = vmafx_report_write(stdout, a->json ? VMAFX_REPORT_JSON : a->format, &data);
    else
        print_result(&data, a->quiet);
    if (err == VMAFX_ERR_NOMEM)
        return fail_with(a, cli_exit_for(err), err, vmafx_err_text(err));
    if (err || fflush(stdout) || ferror(stdout)) {
        fprintf(stderr, "vmafx score: cannot write to standard output: %s\n", strerror(errno));
        return EXIT_OUTPUT;
    }
    if ((a->json || to_stdout(a) || a->quiet) && !result->complete)
        fprintf(stderr, "vmafx score: incomplete: %s\n", result->incomplete_reason);
    return result->complete ? EXIT_COMPLETE : EXIT_PARTIAL;
}

static int score(Arguments *a)
{
    VMAFX_AUTO(vmafx_result_done) VmafxResult result = { 0 };
    VmafxErrInfo info = { 0 };
    Progress progress = { .shown = !a->quiet && isatty(STDERR_FILENO) };

    if (a->output && !to_stdout(a)) {
        VmafxErr err = vmafx_report_probe(a->output, &info);
        if (err)
            return fail_with(a, EXIT_OUTPUT, err, info.message);
    }
    a->pair.progress = on_progress;
    a->pair.progress_ctx = &progress;

    catch_signals();
    scoring = 1;
    VmafxErr err = vmafx_score_pair(a->reference, a->distorted, &a->pair, &result, &info);
    scoring = 0;
    alarm(0);
    erase_progress(&progress);
    if (stop_asked || (!err && result.ending == VMAFX_ENDING_CANCELLED)) {
        const char *sentence = "cancelled, nothing was written";

        return fail(a, EXIT_CANCELLED, "CANCELLED", &sentence, 1);
    }
    return err ? fail_scoring(a, &result, err, &info) : present(a, &result);
}

static int run_score(int argc, char **argv)
{
    VMAFX_AUTO(arguments_done)
    Arguments a = { .pair = { .threads = -1, .strict = true, .digest = true } };

    switch (read_arguments(&a, argc, argv)) {
    case CLI_HELP:
        return EXIT_COMPLETE;
    case CLI_ERROR:
        return EXIT_USAGE;
    default:
        return score(&a);
    }
}

const CliCommand cli_score = {
    .name = "score",
    .summary = "measure the quality of a distorted video against its reference",
    .usage = "--reference FILE --distorted FILE [options]",
    .examples = "# the verdict and a table\n"
                "vmafx score --reference master.mp4 --distorted encode.mp4\n"
                "# every frame as CSV, scaled to the size of the reference\n"
                "vmafx score --reference master.mp4 --distorted small.mp4 --scale reference --output frames.csv\n"
                "# raw 10-bit video, two models\n"
                "vmafx score --reference a.yuv --distorted b.yuv --width 1920 --height 1080 --pixel-format 420 "
                "--bit-depth 10 --model vmaf_v0.6.1 --model vmaf_v0.6.1neg:name=neg\n",
    .notes =
        "Videos that differ in size, pixel format, depth, range, colour, frame rate, start or number of frames are "
        "refused before the first frame; the message names the option that allows it.\n\n"
        "Exit status: 0 complete, 2 usage, 3 input not readable, 4 videos not comparable, 5 model or feature not "
        "usable, 6 output not writable, 7 scores cover only the first part, 10 cancelled.",
    .options = score_options,
    .run = run_score,
};

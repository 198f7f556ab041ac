/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* `vmafx score`: measure one pair here and now; a verdict for people, a report for programs. */

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"
#include "base/config.h"
#include "base/cpus.h"
#include "programs/cli/cli.h"
#include "programs/cli/pair.h"
#include "report/report.h"
#include "score/score.h"

#define WORST_FRAMES        5
#define PROGRESS_INTERVAL_S 0.2
#define STOP_WITHIN_S       3 /* after a signal; a reader may hang on a pipe */

enum {
    O_FORMAT = 1,
    O_OUTPUT,
    O_JSON,
    O_THREADS,
    O_NO_DIGEST,
    O_FEATURES_ONLY,
    O_QUIET,
};

static const CliOption score_options[] = {
    { PAIR_REFERENCE, 'r', "reference", "FILE", "The video to compare with; '-' is standard input.", NULL },
    { PAIR_DISTORTED, 'd', "distorted", "FILE", "The video to measure; '-' is standard input.", NULL },
    PAIR_OPTION_MODEL,
    PAIR_OPTION_FEATURE,
    { O_FEATURES_ONLY, 0, "features-only", NULL, "No model: compute just what --feature names.", NULL },
    { O_FORMAT, 0, "format", "FORMAT",
      "Format of the report: json, ndjson, csv or xml. When not given, the ending of the output's name decides, else "
      "json.",
      "json ndjson csv xml" },
    { O_OUTPUT, 'o', "output", "FILE", "Write the report with all frames there; '-' is standard output.", NULL },
    { O_JSON, 0, "json", NULL, "Print the json report on standard output instead of the table.", NULL },
    { O_THREADS, 0, "threads", "N",
      "Threads that compute; VMAFX_THREADS, else as many as there are CPUs, when not given.", NULL },
    PAIR_OPTIONS_COMPARISON,
    { O_NO_DIGEST, 0, "no-digest", NULL, "Do not compute the SHA-256 of the inputs.", NULL },
    { O_QUIET, 'q', "quiet", NULL, "No progress; only the verdict line.", NULL },
    { 0 },
};

typedef struct Arguments {
    PairArguments what;
    const char *output;
    bool has_format, json, quiet, features_only;
    VmafxReportFormat format;
} Arguments;

static void arguments_done(Arguments *a)
{
    pair_arguments_done(&a->what);
}

/* ---- arguments ---- */

static bool argument(Arguments *a, int id, const char *value)
{
    switch (id) {
    case O_FORMAT:
        a->has_format = true;
        return vmafx_report_format_find(value, &a->format) ||
               pair_usage_error(&a->what, "--format is json, ndjson, csv or xml, not '%s'", value);
    case O_OUTPUT:
        a->output = value;
        return true;
    case O_THREADS:
        return pair_number("threads", value, 0, 1024, &a->what.pair.threads);
    case O_NO_DIGEST:
        a->what.pair.digest = false;
        return true;
    case O_JSON:
        return a->json = true;
    case O_QUIET:
        return a->quiet = true;
    case O_FEATURES_ONLY:
        return a->features_only = true;
    default:
        return pair_argument(&a->what, id, value);
    }
}

/* What the arguments left open and environment or settings file may say. */
static bool apply_settings(Arguments *a)
{
    VMAFX_AUTO(vmafx_config_free) VmafxConfig *config = NULL;
    VmafxErrInfo info = { 0 };
    VmafxErr err = vmafx_config_load(&config, &info);

    if (err)
        return pair_usage_error(&a->what, "%s", info.message[0] ? info.message : vmafx_err_text(err));
    const char *threads = vmafx_config_get(config, "VMAFX_THREADS", NULL);
    if (a->what.pair.threads < 0 && threads && !pair_number("VMAFX_THREADS", threads, 0, 1024, &a->what.pair.threads))
        return false;
    if (a->what.pair.threads < 0)
        a->what.pair.threads = vmafx_cpus_allowed();
    if (a->what.pair.n_models == 0 && !a->features_only &&
        !pair_add_model(&a->what, vmafx_config_get(config, "VMAFX_MODEL", NULL)))
        return false;
    a->what.pair.models = a->what.models;
    return true;
}

/* What can only be seen once all arguments are there. */
static bool settle(Arguments *a)
{
    if (!pair_settle(&a->what))
        return false;
    if (a->features_only && (a->what.pair.n_models || !a->what.pair.n_features))
        return pair_usage_error(&a->what, "--features-only wants at least one --feature and no --model");
    if (!strcmp(a->what.reference, "-") && !strcmp(a->what.distorted, "-"))
        return pair_usage_error(&a->what, "only one of the two videos can come from standard input");
    if (a->has_format && !a->output) {
        if (a->json && a->format != VMAFX_REPORT_JSON)
            return pair_usage_error(
                &a->what, "--json and another --format both want standard output: give the report a --output FILE");
        a->output = a->json ? NULL : "-";
    }
    if (a->output && !strcmp(a->output, "-") && a->json)
        return pair_usage_error(&a->what, "--json and --output - both want standard output");
    const char *dot = a->output && !a->has_format ? strrchr(a->output, '.') : NULL;
    if (dot)
        VMAFX_IGNORE(!vmafx_report_format_find(dot + 1, &a->format)); /* any other ending means json */
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
        if (id == CLI_HELP || id == CLI_ERROR)
            return id;
        if (id == CLI_POSITIONAL) {
            pair_usage_error(&a->what, "'%s' stands alone: name the videos with --reference and --distorted", value);
            return CLI_ERROR;
        }
        if (!argument(a, id, value))
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
    a->what.pair.progress = on_progress;
    a->what.pair.progress_ctx = &progress;

    catch_signals();
    scoring = 1;
    VmafxErr err = vmafx_score_pair(a->what.reference, a->what.distorted, &a->what.pair, &result, &info);
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
    Arguments a = { .what = { .command = "score", .pair = { .threads = -1, .strict = true, .digest = true } } };

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

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* From options to exit codes: settings, signals, progress, the report and the verdict. */

#include "programs/cli/score_run.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"
#include "base/config.h"
#include "base/cpus.h"

#define PROGRESS_INTERVAL_S 0.2
#define STOP_WITHIN_S       3 /* after a signal; a reader may hang on a pipe */

/* ---- arguments ---- */

void score_arguments_done(ScoreArguments *a)
{
    pair_arguments_done(&a->what);
}

bool score_argument(ScoreArguments *a, int id, const char *value)
{
    switch (id) {
    case SCORE_FORMAT:
        a->has_format = true;
        return vmafx_report_format_find(value, &a->format) ||
               pair_usage_error(&a->what, "--format is json, ndjson, csv or xml, not '%s'", value);
    case SCORE_OUTPUT:
        a->output = value;
        return true;
    case SCORE_THREADS:
        return pair_number("threads", value, 0, 1024, &a->what.pair.threads);
    case SCORE_NO_DIGEST:
        a->what.pair.digest = false;
        return true;
    case SCORE_JSON:
        return a->json = true;
    case SCORE_QUIET:
        return a->quiet = true;
    case SCORE_FEATURES_ONLY:
        return a->features_only = true;
    default:
        return pair_argument(&a->what, id, value);
    }
}

/* What the arguments left open and environment or settings file may say. */
static bool apply_settings(ScoreArguments *a)
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
    a->what.pair.writes_files = true;
    return true;
}

bool score_same_file(const char *a, const char *b)
{
    struct stat sa, sb;
    int no_a = stat(a, &sa), no_b = stat(b, &sb);

    if (no_a || no_b)
        return no_a && no_b && !strcmp(a, b);
    return S_ISREG(sa.st_mode) && sa.st_dev == sb.st_dev && sa.st_ino == sb.st_ino;
}

bool score_settle(ScoreArguments *a)
{
    const char *videos[] = { a->what.reference, a->what.distorted };

    for (size_t i = 0; a->output && i < VMAFX_LEN(videos); i++)
        if (strcmp(a->output, "-") && score_same_file(a->output, videos[i]))
            return pair_usage_error(&a->what, "--output %s would replace the video '%s'", a->output, videos[i]);
    if (a->features_only && (a->what.pair.n_models || !a->what.pair.n_features))
        return pair_usage_error(&a->what, "--features-only wants at least one --feature and no --model");
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

/* ---- signals ---- */

static volatile sig_atomic_t stop_asked; /* set by the handler, read by progress */
static volatile sig_atomic_t scoring;    /* nothing is on disk meanwhile, so that leaving at once is clean */
static volatile sig_atomic_t saving;     /* a half-written file is on disk: the report is finished first */

static void leave(int signal_number)
{
    static const char text[] = "\nvmafx: cancelled, nothing was written\n";

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

void score_catch_signals(void)
{
    struct sigaction stop = { .sa_handler = ask_to_stop }, end = { .sa_handler = leave };

    sigemptyset(&stop.sa_mask);
    sigemptyset(&end.sa_mask);
    sigaction(SIGINT, &stop, NULL);
    sigaction(SIGTERM, &stop, NULL);
    sigaction(SIGALRM, &end, NULL);
}

bool score_was_stopped(void)
{
    return stop_asked;
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

/* ---- scoring ---- */

int score_exit_for(VmafxStage stage, VmafxErr err)
{
    if (err == VMAFX_ERR_NOMEM || err == VMAFX_ERR_INTERNAL || err == VMAFX_ERR_ENCODER)
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
static int fail(const ScoreArguments *a, int code, const char *error, const char *const *sentences, size_t n)
{
    for (size_t i = 0; i < n; i++)
        fprintf(stderr, "vmafx %s: %s\n", a->what.command, sentences[i]);
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

int score_fail(const ScoreArguments *a, int code, VmafxErr err, const char *sentence)
{
    return fail(a, code, vmafx_err_name(err), &sentence, 1);
}

static int fail_scoring(const ScoreArguments *a, const VmafxResult *result, VmafxErr err, const VmafxErrInfo *info)
{
    const char *sentences[VMAFX_PAIR_PROBLEMS_MAX];

    for (size_t i = 0; i < result->n_problems; i++)
        sentences[i] = result->problems[i].sentence;
    if (result->n_problems == 0)
        sentences[0] = info->message;
    int code = result->keep_failed ? EXIT_OUTPUT : score_exit_for(result->stage, err);
    return fail(a, code, vmafx_err_name(err), sentences, VMAFX_MAX(result->n_problems, 1));
}

static bool to_stdout(const ScoreArguments *a)
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
static int present(const ScoreArguments *a, VmafxResult *result)
{
    VmafxReportData data;
    VmafxErrInfo info = { 0 };
    VmafxErr err = vmafx_result_report(result, &data);

    if (err)
        return score_fail(a, cli_exit_for(err), err, vmafx_err_text(err));
    if (a->output && !to_stdout(a)) {
        saving = is_plain_target(a->output);
        err = vmafx_report_save(a->output, a->format, &data, &info);
        saving = 0;
        if (err)
            return score_fail(a, EXIT_OUTPUT, err, info.message);
    }
    if (a->json || to_stdout(a))
        err = vmafx_report_write(stdout, a->json ? VMAFX_REPORT_JSON : a->format, &data);
    else
        score_print(&data, a->quiet);
    if (err == VMAFX_ERR_NOMEM)
        return score_fail(a, cli_exit_for(err), err, vmafx_err_text(err));
    if (err || fflush(stdout) || ferror(stdout)) {
        fprintf(stderr, "vmafx %s: cannot write to standard output: %s\n", a->what.command, strerror(errno));
        return EXIT_OUTPUT;
    }
    if ((a->json || to_stdout(a) || a->quiet) && !result->complete)
        fprintf(stderr, "vmafx %s: incomplete: %s\n", a->what.command, result->incomplete_reason);
    return result->complete ? EXIT_COMPLETE : EXIT_PARTIAL;
}

int score_run(ScoreArguments *a, VmafxErr (*keep)(void *ctx, VmafxResult *result, VmafxErrInfo *reterr), void *ctx)
{
    VMAFX_AUTO(vmafx_result_done) VmafxResult result = { 0 };
    VmafxErrInfo info = { 0 };
    Progress progress = { .shown = !a->quiet && isatty(STDERR_FILENO) };

    if (a->output && !to_stdout(a)) {
        VmafxErr err = vmafx_report_probe(a->output, &info);
        if (err)
            return score_fail(a, EXIT_OUTPUT, err, info.message);
    }
    a->what.pair.progress = on_progress;
    a->what.pair.progress_ctx = &progress;

    scoring = 1;
    VmafxErr err = vmafx_score_pair(a->what.reference, a->what.distorted, &a->what.pair, &result, &info);
    scoring = 0;
    alarm(0);
    erase_progress(&progress);
    if (stop_asked || (!err && result.ending == VMAFX_ENDING_CANCELLED)) {
        const char *sentence = "cancelled, nothing was written";

        return fail(a, EXIT_CANCELLED, "CANCELLED", &sentence, 1);
    }
    if (err)
        return fail_scoring(a, &result, err, &info);
    if (keep) {
        err = keep(ctx, &result, &info);
        if (err)
            return score_fail(a, EXIT_OUTPUT, err, info.message);
    }
    return present(a, &result);
}

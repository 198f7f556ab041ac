/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Scoring here and now: what `vmafx score` and `vmafx encode-score` have in common, from their options to exit codes.
 */
#ifndef VMAFX_PROGRAMS_CLI_SCORE_RUN_H
#define VMAFX_PROGRAMS_CLI_SCORE_RUN_H

#include "programs/cli/pair.h"
#include "report/report.h"

/* A command's own options have ids below this one. */
enum {
    SCORE_FORMAT = 50,
    SCORE_OUTPUT,
    SCORE_JSON,
    SCORE_THREADS,
    SCORE_NO_DIGEST,
    SCORE_FEATURES_ONLY,
    SCORE_QUIET,
};

/* Rows for a command's table of options: all but which videos. */
#define SCORE_OPTIONS                                                                                                     \
    PAIR_OPTION_MODEL, PAIR_OPTION_FEATURE,                                                                               \
        { SCORE_FEATURES_ONLY, 0, "features-only", NULL, "No model: compute just what --feature names.", NULL },          \
        { SCORE_FORMAT,                                                                                                   \
          0,                                                                                                              \
          "format",                                                                                                       \
          "FORMAT",                                                                                                       \
          "Format of the report: json, ndjson, csv or xml. When not given, the ending of the output's name decides, "     \
          "else json.",                                                                                                   \
          "json ndjson csv xml" },                                                                                        \
        { SCORE_OUTPUT, 'o', "output", "FILE", "Write the report with all frames there; '-' is standard output.", NULL }, \
        { SCORE_JSON, 0, "json", NULL, "Print the json report on standard output instead of the table.", NULL },          \
        { SCORE_THREADS,                                                                                                  \
          0,                                                                                                              \
          "threads",                                                                                                      \
          "N",                                                                                                            \
          "Threads that compute; VMAFX_THREADS, else as many as there are CPUs, when not given.",                         \
          NULL },                                                                                                         \
        PAIR_OPTIONS_COMPARISON,                                                                                          \
        { SCORE_NO_DIGEST, 0, "no-digest", NULL, "Do not compute the SHA-256 of the inputs.", NULL },                     \
    {                                                                                                                     \
        SCORE_QUIET, 'q', "quiet", NULL, "No progress; only the verdict line.", NULL                                      \
    }

typedef struct ScoreArguments {
    PairArguments what;
    const char *output;
    bool has_format, json, quiet, features_only;
    VmafxReportFormat format;
} ScoreArguments;

/** Before the first option; a zeroed one is not it. */
#define SCORE_ARGUMENTS(name)                                                                                          \
    {                                                                                                                  \
        .what = {.command = name, .pair = { .threads = -1, .strict = true, .digest = true } }                          \
    }
void score_arguments_done(ScoreArguments *a);

/** Takes an option with one of the ids above, or of pair.h. False: refused, and said why. */
bool score_argument(ScoreArguments *a, int id, const char *value);
/** What can only be seen once all arguments are there, and what settings say instead. False: refused, and said why. */
bool score_settle(ScoreArguments *a);

/** Are two paths one plain file, or would they be? Writing one would then replace the other. */
bool score_same_file(const char *a, const char *b);

/** Signals end what score_run does, and what else asks score_was_stopped. Once, before anything is written. */
void score_catch_signals(void);
bool score_was_stopped(void);

/** Says on stderr, and as an object when --json was given, what went wrong. @return code */
int score_fail(const ScoreArguments *a, int code, VmafxErr err, const char *sentence);

/**
 * Scores and presents. `keep`, when there is one, is called between the two, once all of it went well: what has to be
 * done before anybody is told. @return the exit code
 */
int score_run(ScoreArguments *a, VmafxErr (*keep)(void *ctx, VmafxResult *result, VmafxErrInfo *reterr), void *ctx);

/** The exit code for an error of a scoring that got so far. */
int score_exit_for(VmafxStage stage, VmafxErr err);

/** score_print.c: a result for people; quiet: the verdict alone. */
void score_print(const VmafxReportData *data, bool quiet);
#endif

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* `vmafx ladder`: its parts. ladder_args.c reads what is wanted, ladder_local.c and ladder_remote.c have recipes
   encoded and scored, ladder_search.c looks for the cheapest that is good enough, ladder_print.c and ladder_write.c
   tell. */
#ifndef VMAFX_PROGRAMS_CLI_LADDER_H
#define VMAFX_PROGRAMS_CLI_LADDER_H

#include "ladder/bd.h"
#include "ladder/lists.h"
#include "ladder/plot.h"
#include "programs/cli/remote.h"
#include "programs/cli/score_run.h"

#define LADDER_PLOTS_MAX 8
#define LADDER_NAME_MAX  96 /* of a recipe: "libsvtav1 1920x1080 2500000 bit/s" */

/** One codec of the command line, and what goes with it. */
typedef struct LadderSeries {
    const char *name;   /* a codec or an encoder */
    const char *preset; /* NULL: its default */
    bool bitrates;      /* steps are bits per second, else crf */
    VmafxLadderNumbers steps;
} LadderSeries;

typedef struct LadderRecipe {
    size_t series, group;
    double step; /* crf or bits per second */
} LadderRecipe;

typedef enum LadderState { LADDER_WAITING = 0, LADDER_SCORED, LADDER_FAILED, LADDER_CANCELLED } LadderState;

/** What became of a recipe. Texts are owned. */
typedef struct LadderOutcome {
    LadderState state;
    int code;      /* FAILED: the exit code of its failure */
    char *message; /* FAILED: why */
    double score, rate, seconds;
    int64_t bytes, frames;
    int w, h; /* of what was encoded */
    char *encoder, *version, *job;
} LadderOutcome;

typedef struct Ladder {
    ScoreArguments score;
    Remote remote;
    bool fleet; /* --controller was given */
    bool upload;
    const char *labels[32];
    size_t n_labels;
    char label[24]; /* value of the label `ladder` of all jobs; "" before the first */

    VmafxLadderWords names;
    LadderSeries series[VMAFX_LADDER_SERIES_MAX];
    size_t n_series;
    VmafxLadderSizes sizes; /* n 0: the reference's alone */
    int gop, encoder_threads;
    VmafxBdMethod method;
    bool has_target;
    double target;
    const char *plots[LADDER_PLOTS_MAX];
    size_t n_plots;
    bool csv; /* the output's format, else JSON */

    LadderRecipe recipes[VMAFX_LADDER_RECIPES_MAX]; /* that were or will be tried, and what became of them */
    LadderOutcome outcomes[VMAFX_LADDER_RECIPES_MAX];
    size_t n;
    bool found; /* a target was reached, by recipe number `best` */
    size_t best;
    char *model; /* the verdict's, once it is known */
} Ladder;

/** CLI_END when all is there, else CLI_HELP or CLI_ERROR. */
int ladder_read_arguments(Ladder *ladder, int argc, char **argv);
extern const CliOption ladder_options[];

/** How many sizes there are, and their names: "1280x720"; the reference's own has none: "". */
size_t ladder_groups(const Ladder *ladder);
void ladder_group_name(const Ladder *ladder, size_t group, char *ret, size_t size);
/** "h264 1280x720 crf 23" */
void ladder_recipe_name(const Ladder *ladder, const LadderRecipe *recipe, char ret[LADDER_NAME_MAX]);

/** As whoever encodes wants it; its texts are the ladder's. */
VmafxRecipe ladder_recipe(const Ladder *ladder, const LadderRecipe *recipe);

/**
 * Has some of the ladder's recipes encoded and scored, and sets their outcomes, here or on a fleet.
 * @return EXIT_COMPLETE when all of them have ended, well or not; else an exit code, said why: nothing more can come
 */
int ladder_run(Ladder *ladder, const size_t *which, size_t n);
int ladder_run_local(Ladder *ladder, const size_t *which, size_t n);
int ladder_run_remote(Ladder *ladder, const size_t *which, size_t n);

/** Sets an outcome that failed. */
void ladder_fail(LadderOutcome *outcome, int code, const char *message);
/** Settles one whose rate and score are there: scored, or failed when they are none that can be compared. */
void ladder_scored(LadderOutcome *outcome);

/** Tries recipes until the cheapest is known that reaches the target. As ladder_run. */
int ladder_search(Ladder *ladder);

/** The points of a series, or of all with SIZE_MAX, sorted. @return how many */
size_t ladder_points(const Ladder *ladder, size_t series, VmafxLadderPoint ret[VMAFX_LADDER_RECIPES_MAX]);
/** A series against the first one, by the Pareto fronts of both. What vmafx_bd says. */
VMAFX_CHECK VmafxErr ladder_bd(const Ladder *ladder, size_t series, VmafxBd *ret, VmafxErrInfo *reterr);
/** Marks the recipes of the hull of all points. */
void ladder_mark_hull(const Ladder *ladder, bool ret[VMAFX_LADDER_RECIPES_MAX]);

void ladder_print(const Ladder *ladder);
/** To a stream; VMAFX_ERR_IO when it cannot be written. */
VMAFX_CHECK VmafxErr ladder_write(const Ladder *ladder, bool csv, FILE *out);
/** Output and plots, each whole or not at all. EXIT_COMPLETE or EXIT_OUTPUT, said why. */
int ladder_save(const Ladder *ladder);
#endif

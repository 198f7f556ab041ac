/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* `vmafx ladder`: many recipes side by side, what their curves say, and the cheapest one that is good enough. */

#include "programs/cli/ladder.h"

#include <string.h>
#include <unistd.h>

#include "base/base.h"
#include "base/encoders.h"

static void outcome_done(LadderOutcome *outcome)
{
    free(outcome->message);
    free(outcome->encoder);
    free(outcome->version);
    free(outcome->job);
    *outcome = (LadderOutcome){ 0 };
}

static void ladder_free(Ladder **at)
{
    Ladder *l = *at;

    if (!l)
        return;
    for (size_t i = 0; i < l->n; i++)
        outcome_done(&l->outcomes[i]);
    score_arguments_done(&l->score);
    remote_done(&l->remote);
    free(l->model);
    free(l);
    *at = NULL;
}

size_t ladder_groups(const Ladder *l)
{
    return VMAFX_MAX(l->sizes.n, (size_t)1);
}

void ladder_group_name(const Ladder *l, size_t group, char *ret, size_t size)
{
    if (l->sizes.n)
        snprintf(ret, size, "%dx%d", l->sizes.values[group].w, l->sizes.values[group].h);
    else
        *ret = 0;
}

void ladder_recipe_name(const Ladder *l, const LadderRecipe *recipe, char ret[LADDER_NAME_MAX])
{
    const LadderSeries *series = &l->series[recipe->series];
    char size[32], step[32];

    ladder_group_name(l, recipe->group, size, sizeof size);
    snprintf(step, sizeof step, series->bitrates ? "%.0f bit/s" : "crf %g", recipe->step);
    snprintf(ret, LADDER_NAME_MAX, "%s%s%s %s", series->name, *size ? " " : "", size, step);
}

VmafxRecipe ladder_recipe(const Ladder *l, const LadderRecipe *r)
{
    const LadderSeries *series = &l->series[r->series];
    bool by_encoder = vmafx_encoder_name_find(series->name) != NULL;

    return (VmafxRecipe){
        .codec = by_encoder ? NULL : series->name,
        .encoder = by_encoder ? series->name : NULL,
        .preset = series->preset,
        .has_crf = !series->bitrates,
        .crf = series->bitrates ? 0 : r->step,
        .bitrate = series->bitrates ? (int64_t)r->step : 0,
        .gop = l->gop,
        .w = l->sizes.n ? l->sizes.values[r->group].w : 0,
        .h = l->sizes.n ? l->sizes.values[r->group].h : 0,
    };
}

void ladder_fail(LadderOutcome *outcome, int code, const char *message)
{
    outcome->state = LADDER_FAILED;
    outcome->code = code;
    free(outcome->message);
    outcome->message = vmafx_strdup(message && *message ? message : "it failed");
}

void ladder_scored(LadderOutcome *outcome)
{
    const VmafxLadderPoint point = { .rate = outcome->rate, .score = outcome->score };

    if (vmafx_ladder_point_ok(&point))
        outcome->state = LADDER_SCORED;
    else if (outcome->rate == 0)
        ladder_fail(outcome, EXIT_INPUT, "the reference does not say its frame rate, so there is no bitrate");
    else
        ladder_fail(outcome, EXIT_DEFECT, "its bitrate or its score is no number to compare");
}

int ladder_run(Ladder *l, const size_t *which, size_t n)
{
    return l->fleet ? ladder_run_remote(l, which, n) : ladder_run_local(l, which, n);
}

/* ---- what the points say ---- */

size_t ladder_points(const Ladder *l, size_t series, VmafxLadderPoint ret[VMAFX_LADDER_RECIPES_MAX])
{
    size_t n = 0;

    for (size_t i = 0; i < l->n; i++) {
        VmafxLadderPoint point = { l->outcomes[i].rate, l->outcomes[i].score, l->recipes[i].series, l->recipes[i].group,
                                   i };

        if (l->outcomes[i].state == LADDER_SCORED && (series == SIZE_MAX || series == point.series))
            ret[n++] = point;
    }
    vmafx_ladder_sort(ret, n);
    return n;
}

VmafxErr ladder_bd(const Ladder *l, size_t series, VmafxBd *ret, VmafxErrInfo *reterr)
{
    VmafxLadderPoint anchor[VMAFX_LADDER_RECIPES_MAX], test[VMAFX_LADDER_RECIPES_MAX];
    size_t n_anchor = vmafx_ladder_pareto(anchor, ladder_points(l, 0, anchor));
    size_t n_test = vmafx_ladder_pareto(test, ladder_points(l, series, test));

    return vmafx_bd(l->method, anchor, n_anchor, test, n_test, ret, reterr);
}

void ladder_mark_hull(const Ladder *l, bool ret[VMAFX_LADDER_RECIPES_MAX])
{
    VmafxLadderPoint points[VMAFX_LADDER_RECIPES_MAX];
    size_t n = vmafx_ladder_hull(points, ladder_points(l, SIZE_MAX, points));

    memset(ret, 0, VMAFX_LADDER_RECIPES_MAX * sizeof *ret);
    for (size_t i = 0; i < n; i++)
        ret[points[i].recipe] = true;
}

/* ---- the command ---- */

static int run_all(Ladder *l)
{
    size_t which[VMAFX_LADDER_RECIPES_MAX];

    for (size_t i = 0; i < l->n; i++)
        which[i] = i;
    return ladder_run(l, which, l->n);
}

/* Where it will be written, so that hours of encoding do not end at a folder that is not there. */
static int probe_outputs(const Ladder *l)
{
    VmafxErrInfo info = { 0 };

    for (size_t i = 0; i <= l->n_plots; i++) {
        const char *path = i < l->n_plots ? l->plots[i] : l->score.output;

        if (!path || !strcmp(path, "-") || !vmafx_report_probe(path, &info))
            continue;
        fprintf(stderr, "vmafx ladder: %s\n", info.message);
        return EXIT_OUTPUT;
    }
    return EXIT_COMPLETE;
}

/* Of all that has failed, when nothing was scored, the first one's. */
static int exit_for(const Ladder *l)
{
    int code = EXIT_COMPLETE;

    for (size_t i = 0; i < l->n; i++) {
        if (l->outcomes[i].state == LADDER_SCORED)
            return l->has_target && !l->found ? EXIT_TARGET : EXIT_COMPLETE;
        if (!code && l->outcomes[i].state == LADDER_FAILED)
            code = l->outcomes[i].code;
    }
    return code;
}

static int present(const Ladder *l)
{
    const char *output = l->score.output;
    bool to_stdout = output && !strcmp(output, "-");
    int code = ladder_save(l);

    if (to_stdout || l->score.json)
        VMAFX_IGNORE(ladder_write(l, to_stdout && l->csv, stdout)); /* a full disk shows when stdout is closed */
    else
        ladder_print(l);
    return code;
}

static int make(Ladder *l)
{
    int code = probe_outputs(l);

    if (!code && l->fleet)
        code = remote_open(&l->remote);
    if (code)
        return code;
    score_catch_signals();
    code = l->has_target ? ladder_search(l) : run_all(l);
    if (code == EXIT_CANCELLED) { /* what there is may have taken hours: it is told, but no file says it is all */
        fputs("vmafx ladder: cancelled, no file was written\n", stderr);
        if (!l->score.json && !l->score.output)
            ladder_print(l);
    }
    if (code)
        return code;
    code = present(l);
    return code ? code : exit_for(l);
}

static int run_ladder(int argc, char **argv)
{
    VMAFX_AUTO(ladder_free) Ladder *l = calloc(1, sizeof *l);

    if (!l)
        return EXIT_DEFECT;
    l->score = (ScoreArguments)SCORE_ARGUMENTS("ladder");
    l->remote.command = "ladder";
    vmafx_encoders_prepare();
    switch (ladder_read_arguments(l, argc, argv)) {
    case CLI_HELP:
        return EXIT_COMPLETE;
    case CLI_ERROR:
        return EXIT_USAGE;
    default:
        return make(l);
    }
}

const CliCommand cli_ladder = {
    .name = "ladder",
    .summary = "compare codecs, bitrates and sizes, or find the cheapest good one",
    .usage = "--reference FILE --codec LIST --crf LIST [options]",
    .examples = "# three codecs over a range of qualities, a table, BD-rates and a picture\n"
                "vmafx ladder --reference master.mp4 --codec h264,hevc,av1 --crf 20-40:4 --plot curves.svg\n"
                "# which bitrates are best spent at which size?\n"
                "vmafx ladder --reference master.mp4 --codec h264 --bitrate 500k,1M,2M,4M --size "
                "1920x1080,1280x720,960x540\n"
                "# the cheapest AV1 or HEVC that scores 93\n"
                "vmafx ladder --reference master.mp4 --codec av1,hevc --preset av1=8 --target-vmaf 93\n"
                "# the same on a fleet\n"
                "vmafx ladder --reference /media/master.mp4 --codec av1,hevc --target-vmaf 93 --controller "
                "controller.example:7801\n",
    .notes = "Recipes that fail are listed with the reason, and do not end the others. Ctrl-C cancels what is under "
             "way, on a fleet its jobs; no file is written then.\n\n"
             "Exit status: 0 when at least one recipe was scored and the target, if any, reached; 12 when no recipe "
             "reaches it; when none could be scored that of the first failure: 11 the encoder, 3, 4 and 5 as of `vmafx "
             "score`, 9 a job otherwise; 6 when a file could not be written; 8 the controller; 10 cancelled.",
    .options = ladder_options,
    .run = run_ladder,
};

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Recipes one after the other on this machine. */

#include <string.h>
#include <unistd.h>

#include "base/base.h"
#include "programs/cli/ladder.h"

#define PROGRESS_INTERVAL_S 0.2

typedef struct Progress {
    bool shown, drawn;
    double last_s;
    char what[LADDER_NAME_MAX + 64]; /* "3 of 12: h264 crf 23" */
} Progress;

static bool on_progress(void *ctx, const VmafxProgress *p)
{
    Progress *progress = ctx;

    if (score_was_stopped())
        return false;
    if (!progress->shown || p->elapsed_s - progress->last_s < PROGRESS_INTERVAL_S || p->frames == 0)
        return true;
    progress->last_s = p->elapsed_s;
    progress->drawn = true;
    fprintf(stderr, "\r%s, %u", progress->what, p->frames);
    if (p->total > 0)
        fprintf(stderr, " of %lld", (long long)p->total);
    fprintf(stderr, " frames, %.1f frames/s\033[K", p->frames / p->elapsed_s);
    fflush(stderr);
    return true;
}

/* The verdict model's mean; false: a frame has no value. */
static bool mean_score(const VmafxReportData *data, double *ret)
{
    VmafxSeriesPooled pooled;

    if (!data->n_models || vmafx_report_pool(data, vmafx_report_find(data, data->models[0].name), &pooled))
        return false;
    *ret = pooled.mean;
    return true;
}

static void take_result(Ladder *l, VmafxResult *result, LadderOutcome *outcome)
{
    VmafxReportData data;

    if (!result->complete) {
        ladder_fail(outcome, EXIT_PARTIAL, result->incomplete_reason);
        return;
    }
    if (vmafx_result_report(result, &data) || !data.encode || !mean_score(&data, &outcome->score)) {
        ladder_fail(outcome, EXIT_DEFECT, "there is no score");
        return;
    }
    outcome->rate = data.encode->bit_rate;
    outcome->bytes = data.encode->size_bytes;
    outcome->frames = data.encode->frames;
    outcome->seconds = data.encode->seconds;
    outcome->w = data.encode->w;
    outcome->h = data.encode->h;
    outcome->encoder = vmafx_strdup(data.encode->encoder);
    outcome->version = vmafx_strdup(data.encode->version);
    if (!l->model)
        l->model = vmafx_strdup(data.models[0].version);
    ladder_scored(outcome);
}

static int run_one(Ladder *l, size_t i, Progress *progress)
{
    VMAFX_AUTO(vmafx_result_done) VmafxResult result = { 0 };
    VmafxPairOptions options = l->score.what.pair;
    VmafxPairEncode encode = {
        .recipe = ladder_recipe(l, &l->recipes[i]),
        .threads = l->encoder_threads > 0 ? l->encoder_threads : options.threads,
        .keep_fd = -1,
    };
    VmafxErrInfo info = { 0 };

    options.encode = &encode;
    options.progress = on_progress;
    options.progress_ctx = progress;
    VmafxErr err = vmafx_score_pair(l->score.what.reference, l->score.what.reference, &options, &result, &info);
    if (progress->drawn)
        fputs("\r\033[K", stderr);
    progress->drawn = false;
    progress->last_s = 0;
    if (score_was_stopped() || (!err && result.ending == VMAFX_ENDING_CANCELLED)) {
        l->outcomes[i].state = LADDER_CANCELLED;
        return EXIT_CANCELLED;
    }
    if (err)
        ladder_fail(&l->outcomes[i], score_exit_for(result.stage, err),
                    result.n_problems ? result.problems[0].sentence : info.message);
    else
        take_result(l, &result, &l->outcomes[i]);
    return EXIT_COMPLETE;
}

/* What is wrong with the reference or a model is wrong with every recipe; encoders and sizes differ. */
static bool spoils_all(const Ladder *l, const LadderOutcome *outcome)
{
    if (outcome->state != LADDER_FAILED || outcome->code == EXIT_ENCODER)
        return false;
    for (size_t i = 0; i < l->n; i++)
        if (l->outcomes[i].state == LADDER_SCORED)
            return false;
    return true;
}

int ladder_run_local(Ladder *l, const size_t *which, size_t n)
{
    Progress progress = { .shown = !l->score.quiet && isatty(STDERR_FILENO) };
    int code = EXIT_COMPLETE;

    for (size_t i = 0; i < n && !code; i++) {
        const LadderOutcome *outcome = &l->outcomes[which[i]];
        char name[LADDER_NAME_MAX];

        ladder_recipe_name(l, &l->recipes[which[i]], name);
        if (l->has_target)
            snprintf(progress.what, sizeof progress.what, "try %zu: %s", which[i] + 1, name);
        else
            snprintf(progress.what, sizeof progress.what, "%zu of %zu: %s", i + 1, n, name);
        code = run_one(l, which[i], &progress);
        if (!code && spoils_all(l, outcome)) {
            fprintf(stderr, "vmafx ladder: %s\n", outcome->message ? outcome->message : "out of memory");
            return outcome->code;
        }
    }
    return code;
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Recipes as one batch of jobs of a controller, watched until all have ended. */

#include <inttypes.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "auth/auth.h"
#include "base/base.h"
#include "base/clock.h"
#include "programs/cli/ladder.h"
#include "programs/cli/submit_spec.h"
#include "programs/cli/submit_upload.h"

#define LOOK_MS   500 /* how often we look whether we were stopped */
#define TRIES_MAX 60  /* seconds without a controller */

/* One batch: the jobs of which[0 … n − 1]. */
typedef struct Batch {
    Ladder *ladder;
    const size_t *which;
    size_t n, ended;
    SubmitSpec specs[VMAFX_LADDER_RECIPES_MAX];
    Vmafx__V1__JobSpec *list[VMAFX_LADDER_RECIPES_MAX];
    Uploader uploader;
    bool shown, drawn;
} Batch;

static void batch_free(Batch **at)
{
    Batch *b = *at;

    if (!b)
        return;
    for (size_t i = 0; i < b->n; i++)
        submit_spec_done(&b->specs[i]);
    free(b);
    *at = NULL;
}

static LadderOutcome *outcome_of(const Batch *b, size_t i)
{
    return &b->ladder->outcomes[b->which[i]];
}

/* ---- submitting ---- */

static bool add_labels(const Ladder *l, const LadderRecipe *recipe, SubmitSpec *spec)
{
    char name[LADDER_NAME_MAX], label[LADDER_NAME_MAX + 16];

    ladder_recipe_name(l, recipe, name);
    snprintf(label, sizeof label, "recipe=%s", name);
    bool ok = submit_spec_label(spec, label);
    snprintf(label, sizeof label, "ladder=%s", l->label);
    ok = ok && submit_spec_label(spec, label);
    for (size_t i = 0; ok && i < l->n_labels; i++)
        ok = submit_spec_label(spec, l->labels[i]);
    return ok;
}

/* A relative path means nothing to the nodes of a controller elsewhere; as `vmafx submit` has it. */
static bool leads_nowhere(const Ladder *l)
{
    const char *path = l->score.what.reference, *controller = l->remote.config.address;

    if (l->upload || path[0] == '/' || strstr(path, "://") || vmafx_auth_target_is_loopback(controller))
        return false;
    pair_usage_error(&l->score.what,
                     "'%s' is a file of this machine, and the controller is on another (%s): --upload sends it along; "
                     "if the nodes see it too, give its path from the root as they know it",
                     path, controller);
    return true;
}

static int make_spec(Batch *b, size_t i)
{
    const Ladder *l = b->ladder;
    const LadderRecipe *recipe = &l->recipes[b->which[i]];
    const VmafxRecipe what = ladder_recipe(l, recipe);
    SubmitSpec *spec = &b->specs[i];
    VmafxErrInfo info = { 0 };

    vmafx__v1__job_spec__init(&spec->message);
    b->n = i + 1;
    if (submit_spec_from(spec, &l->score.what, &what, false, &info)) {
        pair_usage_error(&l->score.what, "%s", info.message);
        return EXIT_USAGE;
    }
    if (!add_labels(l, recipe, spec)) {
        pair_usage_error(&l->score.what, "--label takes KEY=VALUE, at most %zu of them", VMAFX_LEN(l->labels) - 2);
        return EXIT_USAGE;
    }
    b->list[i] = &spec->message;
    return l->upload ? uploader_send(&b->uploader, spec, "") : EXIT_COMPLETE;
}

static int submit(Batch *b)
{
    VMAFX_AUTO(vmafx_message_free) VmafxMessage *answer = NULL;
    Vmafx__V1__SubmitJobsRequest request = VMAFX__V1__SUBMIT_JOBS_REQUEST__INIT;

    request.jobs = b->list;
    request.n_jobs = b->n;
    int code = remote_call(&b->ladder->remote, VMAFX_CALL_SUBMIT_JOBS, &request.base, &answer);
    if (code)
        return code;
    const Vmafx__V1__SubmitJobsResponse *response = vmafx_message_get(answer);
    if (response->n_outcomes != b->n) {
        fprintf(stderr, "vmafx ladder: the controller answered for %zu jobs of %zu\n", response->n_outcomes, b->n);
        return EXIT_REMOTE;
    }
    for (size_t i = 0; i < b->n; i++) {
        const Vmafx__V1__SubmitOutcome *from = response->outcomes[i];
        LadderOutcome *to = outcome_of(b, i);

        if (!from->job)
            ladder_fail(to, !strcmp(from->error, "ENCODER") ? EXIT_ENCODER : EXIT_REMOTE, from->message);
        else if (!(to->job = vmafx_strdup(from->job->id)))
            return EXIT_DEFECT;
    }
    return EXIT_COMPLETE;
}

/* ---- results ---- */

static void take_facts(const Vmafx__V1__EncodeFacts *facts, LadderOutcome *to)
{
    to->rate = facts->bit_rate;
    to->bytes = facts->size_bytes;
    to->frames = facts->frames;
    to->seconds = facts->seconds;
    to->w = facts->width;
    to->h = facts->height;
    to->encoder = vmafx_strdup(facts->encoder);
    to->version = vmafx_strdup(facts->encoder_version);
}

static int fetch(Batch *b, const Vmafx__V1__Job *job, LadderOutcome *to)
{
    Vmafx__V1__GetResultRequest request = VMAFX__V1__GET_RESULT_REQUEST__INIT;
    VMAFX_AUTO(vmafx_client_read_close) VmafxClientReading *reading = NULL;
    VMAFX_AUTO(vmafx_message_free) VmafxMessage *message = NULL;
    Ladder *l = b->ladder;
    VmafxErrInfo info = { 0 };

    request.id = job->id;
    request.summary_only = true;
    VmafxErr err = vmafx_client_read(l->remote.client, VMAFX_CALL_GET_RESULT, &request.base, &reading, &info);
    if (!err)
        err = vmafx_client_read_next(reading, 30000, &message, &info);
    if (err)
        return remote_fail(&l->remote, err, &info);
    const Vmafx__V1__GetResultResponse *response = message ? vmafx_message_get(message) : NULL;
    if (!response || response->part_case != VMAFX__V1__GET_RESULT_RESPONSE__PART_SUMMARY ||
        !response->summary->encode || job->has_score_case != VMAFX__V1__JOB__HAS_SCORE_SCORE) {
        ladder_fail(to, EXIT_REMOTE, "the controller has no score of it");
        return EXIT_COMPLETE;
    }
    take_facts(response->summary->encode, to);
    to->score = job->score;
    if (!l->model && response->summary->n_models)
        l->model = vmafx_strdup(response->summary->models[0]->version);
    ladder_scored(to);
    return EXIT_COMPLETE;
}

static int take_end(Batch *b, const Vmafx__V1__Job *job, LadderOutcome *to)
{
    switch (job->state) {
    case VMAFX__V1__JOB_STATE__JOB_STATE_SUCCEEDED:
        return fetch(b, job, to);
    case VMAFX__V1__JOB_STATE__JOB_STATE_FAILED:
        ladder_fail(to, remote_exit_for(job), job->message);
        return EXIT_COMPLETE;
    case VMAFX__V1__JOB_STATE__JOB_STATE_CANCELLED:
        ladder_fail(to, EXIT_CANCELLED, *job->message ? job->message : "the job was cancelled");
        return EXIT_COMPLETE;
    default:
        return EXIT_REMOTE; /* its stream has ended before it: we ask again */
    }
}

/* ---- watching ---- */

static void draw(Batch *b, const Vmafx__V1__Job *job, size_t i)
{
    char name[LADDER_NAME_MAX];

    if (!b->shown)
        return;
    ladder_recipe_name(b->ladder, &b->ladder->recipes[b->which[i]], name);
    fprintf(stderr, "\r%zu of %zu ended; %s: %s", b->ended, b->n, name, remote_state_name(job->state));
    if (job->state == VMAFX__V1__JOB_STATE__JOB_STATE_RUNNING && *job->node)
        fprintf(stderr, " on %s", job->node);
    if (job->progress)
        fprintf(stderr, ", %" PRId64 " frames", job->progress->frames);
    fputs("\033[K", stderr);
    fflush(stderr);
    b->drawn = true;
}

/* Follows one job's stream to its end. EXIT_REMOTE with *ret_again: the controller went away, the job goes on. */
static int follow(Batch *b, size_t i, VmafxMessage **ret_last, bool *ret_again)
{
    Vmafx__V1__WatchJobRequest request = VMAFX__V1__WATCH_JOB_REQUEST__INIT;
    VMAFX_AUTO(vmafx_client_read_close) VmafxClientReading *reading = NULL;
    Remote *remote = &b->ladder->remote;
    VmafxErrInfo info = { 0 };

    request.id = outcome_of(b, i)->job;
    VmafxErr err = vmafx_client_read(remote->client, VMAFX_CALL_WATCH_JOB, &request.base, &reading, &info);
    while (!err) {
        VMAFX_AUTO(vmafx_message_free) VmafxMessage *message = NULL;

        if (score_was_stopped())
            return EXIT_CANCELLED;
        err = vmafx_client_read_next(reading, LOOK_MS, &message, &info);
        if (err == VMAFX_ERR_DEADLINE) {
            err = VMAFX_OK;
            continue;
        }
        if (err || !message)
            break;
        const Vmafx__V1__WatchJobResponse *response = vmafx_message_get(message);
        if (!response->job)
            continue;
        draw(b, response->job, i);
        vmafx_message_free(ret_last);
        *ret_last = VMAFX_TAKE(message);
    }
    *ret_again = err == VMAFX_ERR_UNREACHABLE || err == VMAFX_ERR_STOPPED;
    return *ret_again ? EXIT_REMOTE : err ? remote_fail(remote, err, &info) : EXIT_COMPLETE;
}

static int watch(Batch *b, size_t i)
{
    VMAFX_AUTO(vmafx_message_free) VmafxMessage *last = NULL;
    bool again = true;
    int code = EXIT_REMOTE;

    for (int tries = 0; again && tries < TRIES_MAX && !score_was_stopped(); tries++) {
        if (tries)
            nanosleep(&(struct timespec){ .tv_sec = 1 }, NULL);
        code = follow(b, i, &last, &again);
        if (code == EXIT_CANCELLED)
            return code;
    }
    if (score_was_stopped())
        return EXIT_CANCELLED;
    if (again)
        fprintf(stderr, "%svmafx ladder: lost the controller at %s; the jobs go on there\n", b->drawn ? "\r\033[K" : "",
                b->ladder->remote.config.address);
    if (code)
        return code;
    const Vmafx__V1__WatchJobResponse *response = last ? vmafx_message_get(last) : NULL;
    return response ? take_end(b, response->job, outcome_of(b, i)) : EXIT_REMOTE;
}

/* What has not ended is not wanted any more; one that ends at the same moment is no failure. */
static void cancel_all(Batch *b)
{
    for (size_t i = 0; i < b->n; i++) {
        VMAFX_AUTO(vmafx_message_free) VmafxMessage *answer = NULL;
        Vmafx__V1__CancelJobRequest request = VMAFX__V1__CANCEL_JOB_REQUEST__INIT;
        LadderOutcome *outcome = outcome_of(b, i);
        VmafxErrInfo info = { 0 };

        if (outcome->state != LADDER_WAITING || !outcome->job)
            continue;
        outcome->state = LADDER_CANCELLED;
        request.id = outcome->job;
        request.reason = (char *)"the ladder it belongs to was cancelled";
        VmafxErr err =
            vmafx_client_call(b->ladder->remote.client, VMAFX_CALL_CANCEL_JOB, &request.base, &answer, &info);
        if (err && err != VMAFX_ERR_STATE)
            fprintf(stderr, "vmafx ladder: job %s could not be cancelled: %s\n", outcome->job, info.message);
    }
}

static int run_batch(Batch *b, size_t n)
{
    int code = leads_nowhere(b->ladder) ? EXIT_USAGE : EXIT_COMPLETE;

    for (size_t i = 0; i < n && !code; i++)
        code = make_spec(b, i);
    if (!code)
        code = score_was_stopped() ? EXIT_CANCELLED : submit(b);
    for (size_t i = 0; i < n && !code; i++) {
        if (outcome_of(b, i)->state == LADDER_WAITING)
            code = watch(b, i);
        b->ended++;
    }
    if (b->drawn)
        fputs("\r\033[K", stderr);
    if (code == EXIT_CANCELLED)
        cancel_all(b);
    return code;
}

int ladder_run_remote(Ladder *l, const size_t *which, size_t n)
{
    VMAFX_AUTO(batch_free) Batch *b = calloc(1, sizeof *b);

    if (!b)
        return EXIT_DEFECT;
    b->ladder = l;
    b->which = which;
    b->shown = !l->score.quiet && isatty(STDERR_FILENO);
    uploader_init(&b->uploader, &l->remote, NULL, b->shown);
    if (!*l->label) {
        snprintf(l->label, sizeof l->label, "%" PRIx64, vmafx_wall_ns() / 1000);
        if (!l->score.quiet)
            fprintf(stderr, "the jobs have the label ladder=%s\n", l->label);
    }
    return run_batch(b, n);
}

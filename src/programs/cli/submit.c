/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* `vmafx submit`: a job for a controller, or many from a file. */

#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "auth/auth.h"
#include "base/base.h"
#include "base/clock.h"
#include "programs/cli/pair.h"
#include "programs/cli/recipe.h"
#include "programs/cli/remote.h"
#include "programs/cli/submit_spec.h"
#include "programs/cli/submit_upload.h"

#define BATCH          200
#define LINE_BYTES_MAX 65536
#define JOBS_MAX       1000000

enum {
    O_PRIORITY = 1,
    O_TIMEOUT,
    O_DEADLINE,
    O_ATTEMPTS,
    O_LABEL,
    O_KEY,
    O_WAIT,
    O_FROM,
    O_QUIET,
    O_UPLOAD,
    O_KEEP,
};

static const CliOption submit_options[] = {
    { PAIR_REFERENCE, 'r', "reference", "FILE",
      "The video to compare with, as the nodes see it; with --upload, as we do.", NULL },
    { PAIR_DISTORTED, 'd', "distorted", "FILE", "The video to measure, as the nodes see it; with --upload, as we do.",
      NULL },
    { O_FROM, 0, "from", "FILE",
      "Submit a job for each line of this file, a JSON object with the members of JobSpec; '-' is standard input.",
      NULL },
    { O_UPLOAD, 'u', "upload", NULL,
      "Send the files to the controller first, which keeps them for the nodes; what it has already is not sent again.",
      NULL },
    { O_WAIT, 'w', "wait", NULL, "Wait for the end, with progress; the exit code tells how it ended.", NULL },
    { O_PRIORITY, 'p', "priority", "N", "-100 to 100; higher goes first.", NULL },
    { O_TIMEOUT, 0, "timeout", "SECONDS", "Of each attempt.", NULL },
    { O_DEADLINE, 0, "deadline", "SECONDS", "From now; what has not ended by then fails.", NULL },
    { O_ATTEMPTS, 0, "attempts", "N", "How often it is tried when a node is lost, 1 to 20.", NULL },
    { O_LABEL, 'l', "label", "KEY=VALUE", "A label to find it by. May be repeated.", NULL },
    { O_KEY, 0, "idempotency-key", "KEY",
      "The same key and request again give the same job, so that submitting twice is harmless.", NULL },
    RECIPE_OPTIONS,
    { O_KEEP, 'k', "keep", NULL, "Keep the encoded video on the node, where it keeps such (VMAFX_NODE_KEEP).", NULL },
    PAIR_OPTION_MODEL,
    PAIR_OPTION_FEATURE,
    PAIR_OPTIONS_COMPARISON,
    REMOTE_OPTIONS,
    { O_QUIET, 'q', "quiet", NULL, "Print the id only, and no progress.", NULL },
    { 0 },
};

typedef struct Arguments {
    PairArguments what;
    RecipeArguments recipe;
    Remote remote;
    SubmitSpec spec;
    const char *from;
    bool wait, quiet, upload, keep;
    Uploader uploader;
} Arguments;

static void arguments_done(Arguments *a)
{
    pair_arguments_done(&a->what);
    recipe_arguments_done(&a->recipe);
    remote_done(&a->remote);
    submit_spec_done(&a->spec);
}

static bool argument(Arguments *a, int id, const char *value)
{
    long long v;

    if (is_recipe_option(id))
        return recipe_argument(&a->recipe, &a->what, id, value);
    switch (id) {
    case O_KEEP:
        return a->keep = true;
    case O_FROM:
        a->from = value;
        return true;
    case O_WAIT:
        return a->wait = true;
    case O_UPLOAD:
        return a->upload = true;
    case O_QUIET:
        return a->quiet = true;
    case O_PRIORITY:
        if (!cli_int("priority", value, -100, 100, &v))
            return false;
        a->spec.message.priority = (int32_t)v;
        return true;
    case O_TIMEOUT:
        if (!cli_int("timeout", value, 1, 604800, &v))
            return false;
        a->spec.message.timeout_ms = v * 1000;
        return true;
    case O_DEADLINE:
        if (!cli_int("deadline", value, 1, 31536000, &v))
            return false;
        a->spec.message.deadline_unix_us = (int64_t)(vmafx_wall_ns() / 1000) + v * 1000000;
        return true;
    case O_ATTEMPTS:
        if (!cli_int("attempts", value, 1, 20, &v))
            return false;
        a->spec.message.attempt_limit = (int32_t)v;
        return true;
    case O_KEY:
        a->spec.message.idempotency_key = (char *)value;
        return true;
    case O_LABEL:
        return submit_spec_label(&a->spec, value) ||
               pair_usage_error(&a->what, "--label takes KEY=VALUE, at most 32 of them, not '%s'", value);
    default:
        return remote_argument(&a->remote, id, value) || pair_argument(&a->what, id, value);
    }
}

/* What can only be seen once all arguments are there: two videos, or one and how the other is made of it. */
static bool settle(Arguments *a)
{
    bool encodes = recipe_is_given(&a->recipe) || a->keep;

    if (a->from && (a->what.reference || a->what.distorted || encodes))
        return pair_usage_error(&a->what, "--from and --reference, --distorted or --codec exclude each other");
    if (a->from)
        return true;
    if (encodes && a->what.distorted)
        return pair_usage_error(&a->what, "--distorted and --codec exclude each other: the one is made by the other");
    if (encodes && !recipe_settle(&a->recipe, &a->what))
        return false;
    if (encodes)
        a->what.distorted = a->what.reference; /* nobody looks at it */
    return pair_settle(&a->what);
}

static int read_arguments(Arguments *a, int argc, char **argv)
{
    CliParser parser;
    const char *value;
    int id;

    cli_parser_init(&parser, &cli_submit, argc, argv);
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

/* ---- One job ---- */

/** A path that says where it lies by where we stand means nothing on another machine. */
static bool leads_nowhere(const Arguments *a, const char *path)
{
    const char *controller = a->remote.config.address;

    if (a->upload || path[0] == '/' || strstr(path, "://") || !controller || vmafx_auth_target_is_loopback(controller))
        return false;
    pair_usage_error(&a->what,
                     "'%s' is a file of this machine, and the controller is on another (%s): --upload sends it along; "
                     "if the nodes see it too, give its path from the root as they know it",
                     path, controller);
    return true;
}

static int submit_one(Arguments *a)
{
    VMAFX_AUTO(vmafx_message_free) VmafxMessage *answer = NULL;
    Vmafx__V1__SubmitJobRequest request = VMAFX__V1__SUBMIT_JOB_REQUEST__INIT;
    VmafxErrInfo info = { 0 };

    const VmafxRecipe *recipe = a->recipe.recipe.codec || a->recipe.recipe.encoder ? &a->recipe.recipe : NULL;
    if (submit_spec_from(&a->spec, &a->what, recipe, a->keep, &info)) {
        pair_usage_error(&a->what, "%s", info.message);
        return EXIT_USAGE;
    }
    request.job = &a->spec.message;
    int code = remote_open(&a->remote);
    if (!code && (leads_nowhere(a, a->what.reference) || leads_nowhere(a, a->what.distorted)))
        code = EXIT_USAGE;
    if (!code && a->upload)
        code = uploader_send(&a->uploader, &a->spec, "");
    if (!code)
        code = remote_call(&a->remote, VMAFX_CALL_SUBMIT_JOB, &request.base, &answer);
    if (code)
        return code;

    const Vmafx__V1__SubmitJobResponse *response = vmafx_message_get(answer);
    const char *id = response->job ? response->job->id : "";
    if (!a->wait) {
        if (a->remote.json)
            return remote_print_json(&response->base);
        puts(id);
        return EXIT_COMPLETE;
    }
    if (!a->remote.json && !a->quiet)
        fprintf(stderr, "job %s%s\n", id, response->already_there ? " (it was there already)" : "");
    return remote_wait(&a->remote, &id, 1, !a->quiet);
}

/* ---- Many, from a file ---- */

typedef struct Batch {
    SubmitSpec specs[BATCH];
    Vmafx__V1__JobSpec *list[BATCH];
    unsigned long lines[BATCH];
    size_t n;
    char **ids;
    size_t n_ids, ids_room;
    size_t refused;
} Batch;

static void batch_reset(Batch *batch)
{
    for (size_t i = 0; i < batch->n; i++)
        submit_spec_done(&batch->specs[i]);
    batch->n = 0;
}

static void batch_done(Batch **batch)
{
    batch_reset(*batch);
    for (size_t i = 0; i < (*batch)->n_ids; i++)
        free((*batch)->ids[i]);
    free((*batch)->ids);
    free(*batch);
}

static bool keep_id(Batch *batch, const char *id)
{
    if (batch->n_ids == batch->ids_room) {
        size_t room = batch->ids_room ? 2 * batch->ids_room : 64;
        char **more = realloc(batch->ids, room * sizeof *more);
        if (!more)
            return false;
        batch->ids = more;
        batch->ids_room = room;
    }
    batch->ids[batch->n_ids] = vmafx_strdup(id);
    return batch->ids[batch->n_ids] && ++batch->n_ids;
}

static int send_batch(Arguments *a, Batch *batch)
{
    VMAFX_AUTO(vmafx_message_free) VmafxMessage *answer = NULL;
    Vmafx__V1__SubmitJobsRequest request = VMAFX__V1__SUBMIT_JOBS_REQUEST__INIT;

    if (!batch->n)
        return EXIT_COMPLETE;
    request.jobs = batch->list;
    request.n_jobs = batch->n;
    int code = remote_call(&a->remote, VMAFX_CALL_SUBMIT_JOBS, &request.base, &answer);
    if (code)
        return code;
    const Vmafx__V1__SubmitJobsResponse *response = vmafx_message_get(answer);
    for (size_t i = 0; i < response->n_outcomes && i < batch->n; i++) {
        const Vmafx__V1__SubmitOutcome *outcome = response->outcomes[i];
        if (!outcome->job) {
            fprintf(stderr, "vmafx submit: '%s' line %lu: %s\n", a->from, batch->lines[i], outcome->message);
            batch->refused++;
            continue;
        }
        if (!keep_id(batch, outcome->job->id))
            return EXIT_DEFECT;
        if (a->remote.json && !a->wait)
            VMAFX_IGNORE(remote_print_json(&outcome->job->base)); /* a full disk shows when stdout is closed */
        else if (!a->wait)
            puts(outcome->job->id);
    }
    batch_reset(batch);
    return EXIT_COMPLETE;
}

static int read_line(Arguments *a, Batch *batch, const char *line, size_t len, unsigned long number)
{
    VmafxErrInfo info = { 0 };

    if (strspn(line, " \t\r\n") == len)
        return EXIT_COMPLETE;
    if (submit_spec_from_json(&batch->specs[batch->n], line, len, &info)) {
        submit_spec_done(&batch->specs[batch->n]);
        fprintf(stderr, "vmafx submit: '%s' line %lu: %s\n", a->from, number, info.message);
        batch->refused++;
        return EXIT_COMPLETE;
    }
    if (a->upload) {
        char where[64];

        snprintf(where, sizeof where, " line %lu", number);
        int code = uploader_send(&a->uploader, &batch->specs[batch->n], where);
        if (code)
            submit_spec_done(&batch->specs[batch->n]);
        if (code && code != EXIT_INPUT)
            return code;
        if (code) {
            batch->refused++;
            return EXIT_COMPLETE;
        }
    }
    batch->list[batch->n] = &batch->specs[batch->n].message;
    batch->lines[batch->n++] = number;
    return batch->n == BATCH ? send_batch(a, batch) : EXIT_COMPLETE;
}

static int submit_file(Arguments *a)
{
    VMAFX_AUTO(vmafx_fclose_p) FILE *f = !strcmp(a->from, "-") ? fdopen(dup(STDIN_FILENO), "r") : fopen(a->from, "re");
    VMAFX_AUTO(vmafx_free_p) char *line = NULL;
    VMAFX_AUTO(batch_done) Batch *batch = calloc(1, sizeof *batch);
    size_t room = 0;
    ssize_t len;
    unsigned long number = 0;

    if (!f) {
        fprintf(stderr, "vmafx submit: cannot open '%s': %s\n", a->from, strerror(errno));
        return EXIT_INPUT;
    }
    if (!batch)
        return EXIT_DEFECT;
    int code = remote_open(&a->remote);
    while (!code && (len = getline(&line, &room, f)) >= 0) {
        if (++number > JOBS_MAX || len > LINE_BYTES_MAX) {
            fprintf(stderr, "vmafx submit: '%s' line %lu: more than %d %s\n", a->from, number,
                    len > LINE_BYTES_MAX ? LINE_BYTES_MAX : JOBS_MAX, len > LINE_BYTES_MAX ? "bytes" : "lines");
            return EXIT_USAGE;
        }
        code = read_line(a, batch, line, (size_t)len, number);
    }
    if (!code && ferror(f)) {
        fprintf(stderr, "vmafx submit: cannot read '%s': %s\n", a->from, strerror(errno));
        return EXIT_INPUT;
    }
    if (!code)
        code = send_batch(a, batch);
    if (!a->quiet)
        fprintf(stderr, "%zu submitted, %zu refused\n", batch->n_ids, batch->refused);
    if (!code && a->wait)
        code = remote_wait(&a->remote, (const char *const *)batch->ids, batch->n_ids, !a->quiet);
    return code ? code : batch->refused ? EXIT_USAGE : EXIT_COMPLETE;
}

static int run_submit(int argc, char **argv)
{
    VMAFX_AUTO(arguments_done)
    Arguments a = { .what = { .command = "submit" }, .remote = { .command = "submit" } };

    vmafx__v1__job_spec__init(&a.spec.message);
    int parsed = read_arguments(&a, argc, argv);
    if (parsed != CLI_END)
        return parsed == CLI_HELP ? EXIT_COMPLETE : EXIT_USAGE;
    uploader_init(&a.uploader, &a.remote, a.from, !a.quiet && !a.remote.json);
    return a.from ? submit_file(&a) : submit_one(&a);
}

const CliCommand cli_submit = {
    .name = "submit",
    .summary = "give a controller a job to do",
    .usage = "--reference FILE (--distorted FILE | --codec CODEC) [options]",
    .examples = "# submit and go on; prints the job's id\n"
                "vmafx submit --reference /media/master.mp4 --distorted /media/encode.mp4\n"
                "# submit and wait for the score\n"
                "vmafx submit --reference /media/master.mp4 --distorted /media/encode.mp4 --wait\n"
                "# the files are here, and the nodes elsewhere\n"
                "vmafx submit --upload --reference master.mp4 --distorted encode.mp4 --wait\n"
                "# let the node make the distorted video\n"
                "vmafx submit --reference /media/master.mp4 --codec hevc --preset medium --crf 24 --wait\n"
                "# many at once\n"
                "vmafx submit --from jobs.ndjson --wait\n",
    .notes =
        "A line of jobs.ndjson is a JSON object with the members of JobSpec (docs/api.md), such as\n"
        "{\"reference\": {\"uri\": \"/media/master.mp4\"}, \"distorted\": {\"uri\": \"/media/a.mp4\"}}.\n"
        "Relative paths of --reference and --distorted are made absolute; those in a file must be. The nodes open "
        "files below the roots they allow, and fetch https://, http:// and s3:// from the hosts they allow. With "
        "--upload paths are ours, those in a file relative to its folder: the controller keeps what is sent, within "
        "its limits, and the nodes fetch it from there.\n",
    .options = submit_options,
    .run = run_submit,
};

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* `vmafx jobs`, `job`, `watch`, `cancel`, `retry`, `delete`: what a controller has, and what to do with it. */

#include <inttypes.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/base.h"
#include "fleet/fleet.h"
#include "programs/cli/remote.h"
#include "rpc/spec_check.h"

#define IDS_MAX    1000
#define PAGE       200
#define JOBS_SHOWN 20

static int usage_code(int parsed)
{
    return parsed == CLI_HELP ? EXIT_COMPLETE : EXIT_USAGE;
}

/* ---- jobs ---- */

enum { O_STATE = 1, O_SUBMITTER, O_LABEL, O_LIMIT, O_ALL };

static const CliOption jobs_options[] = {
    { O_STATE, 's', "state", "STATE", "Only jobs in this state. May be repeated.",
      "queued running succeeded failed cancelled" },
    { O_SUBMITTER, 0, "submitter", "NAME", "Only jobs of this submitter.", NULL },
    { O_LABEL, 'l', "label", "KEY=VALUE", "Only jobs with this label. May be repeated.", NULL },
    { O_LIMIT, 'n', "limit", "N", "At most that many; 20 when not given.", NULL },
    { O_ALL, 'a', "all", NULL, "All of them.", NULL },
    REMOTE_OPTIONS,
    { 0 },
};

typedef struct JobsFilter {
    Vmafx__V1__ListJobsRequest request;
    Vmafx__V1__JobState states[8];
    Vmafx__V1__KeyValue labels[32];
    Vmafx__V1__KeyValue *label_list[32];
    char *texts[32];
    long long limit;
} JobsFilter;

static void filter_done(JobsFilter *filter)
{
    for (size_t i = 0; i < VMAFX_LEN(filter->texts); i++)
        free(filter->texts[i]);
}

static bool add_state(JobsFilter *filter, const char *text)
{
    VmafxJobState state = vmafx_job_state_find(text);

    if (state) {
        if (filter->request.n_states < VMAFX_LEN(filter->states))
            filter->states[filter->request.n_states++] = (Vmafx__V1__JobState)state; /* the numbers are the same */
        return true;
    }
    fprintf(stderr, "vmafx jobs: --state is queued, running, succeeded, failed or cancelled, not '%s'\n", text);
    return false;
}

static bool add_label(JobsFilter *filter, const char *text)
{
    size_t n = filter->request.n_labels;
    char *copy = n < VMAFX_LEN(filter->texts) ? vmafx_strdup(text) : NULL;
    char *equals = copy ? strchr(copy, '=') : NULL;

    if (!equals) {
        free(copy);
        fprintf(stderr, "vmafx jobs: --label takes KEY=VALUE, not '%s'\n", text);
        return false;
    }
    *equals = 0;
    filter->texts[n] = copy;
    vmafx__v1__key_value__init(&filter->labels[n]);
    filter->labels[n].key = copy;
    filter->labels[n].value = equals + 1;
    filter->label_list[n] = &filter->labels[n];
    filter->request.n_labels++;
    return true;
}

static bool jobs_argument(void *ctx, int id, const char *value)
{
    JobsFilter *filter = ctx;

    switch (id) {
    case O_STATE:
        return add_state(filter, value);
    case O_LABEL:
        return add_label(filter, value);
    case O_SUBMITTER:
        filter->request.submitter = (char *)value;
        return true;
    case O_LIMIT:
        return cli_int("limit", value, 1, 1000000, &filter->limit);
    default:
        filter->limit = INT64_MAX;
        return true;
    }
}

/* "libx264 fast crf 23 960x540" */
static void recipe_text(const Vmafx__V1__EncodeRecipe *recipe, char *ret, size_t size)
{
    char rate[32] = "", pixels[32] = "";

    if (recipe->rate_case == VMAFX__V1__ENCODE_RECIPE__RATE_CRF)
        snprintf(rate, sizeof rate, " crf %g", recipe->crf);
    else if (recipe->rate_case == VMAFX__V1__ENCODE_RECIPE__RATE_BITRATE)
        snprintf(rate, sizeof rate, " %g kbit/s", (double)recipe->bitrate / 1000);
    if (recipe->width)
        snprintf(pixels, sizeof pixels, " %dx%d", recipe->width, recipe->height);
    snprintf(ret, size, "%.64s%s%.64s%s%s", *recipe->encoder ? recipe->encoder : recipe->codec,
             *recipe->preset ? " " : "", recipe->preset, rate, pixels);
}

static void print_row(const Vmafx__V1__Job *job)
{
    char created[32], took[32] = "", score[32] = "", distorted[256] = "";
    const Vmafx__V1__JobSpec *spec = job->spec;

    remote_time(job->created_unix_us, created, sizeof created);
    if (job->ended_unix_us)
        remote_duration(job->ended_unix_us - job->created_unix_us, took, sizeof took);
    if (job->has_score_case == VMAFX__V1__JOB__HAS_SCORE_SCORE)
        snprintf(score, sizeof score, "%.2f", job->score);
    else if (job->progress && job->progress->frames_total)
        snprintf(score, sizeof score, "%d %%", (int)(100 * job->progress->frames / job->progress->frames_total));
    else if (job->failure_class)
        snprintf(score, sizeof score, "%s", remote_failure_name(job->failure_class));
    if (spec && vmafx_spec_distorted(spec))
        snprintf(distorted, sizeof distorted, "%s", remote_base_name(vmafx_spec_distorted(spec)->uri));
    else if (spec && vmafx_spec_recipe(spec))
        recipe_text(vmafx_spec_recipe(spec), distorted, sizeof distorted);
    printf("%-36s  %-9s  %8s  %-19s  %8s  %s\n", job->id, remote_state_name(job->state), score, created, took,
           distorted);
}

static int print_page(const Remote *remote, const VmafxMessage *message, long long *left, bool *ret_more)
{
    const Vmafx__V1__ListJobsResponse *response = vmafx_message_get(message);

    for (size_t i = 0; i<response->n_jobs && * left> 0; i++, --*left)
        if (remote->json)
            VMAFX_IGNORE(remote_print_json(&response->jobs[i]->base)); /* a full disk shows when stdout is closed */
        else
            print_row(response->jobs[i]);
    *ret_more = *response->next_page_token != 0;
    return EXIT_COMPLETE;
}

static int run_jobs(int argc, char **argv)
{
    VMAFX_AUTO(remote_done) Remote remote = { 0 };
    VMAFX_AUTO(filter_done) JobsFilter filter = { .limit = JOBS_SHOWN };
    VMAFX_AUTO(vmafx_message_free) VmafxMessage *page = NULL;
    bool more = true, first = true;
    size_t n;

    vmafx__v1__list_jobs_request__init(&filter.request);
    filter.request.states = filter.states;
    filter.request.labels = filter.label_list;
    int parsed = remote_words(&remote, &cli_jobs, argc, argv, NULL, 0, 0, &n, jobs_argument, &filter);
    if (parsed != CLI_END)
        return usage_code(parsed);
    int code = remote_open(&remote);
    while (!code && more && filter.limit > 0) {
        VmafxMessage *next = NULL;
        filter.request.page_size = (int32_t)VMAFX_MIN(filter.limit, PAGE);
        code = remote_call(&remote, VMAFX_CALL_LIST_JOBS, &filter.request.base, &next);
        if (code)
            break;
        vmafx_message_free(&page); /* the token of the request pointed into it */
        page = next;
        const Vmafx__V1__ListJobsResponse *response = vmafx_message_get(page);
        if (first && !remote.json && !response->n_jobs)
            puts("no jobs");
        else if (first && !remote.json)
            printf("%-36s  %-9s  %8s  %-19s  %8s  %s\n", "JOB", "STATE", "SCORE", "SUBMITTED", "TOOK", "DISTORTED");
        first = false;
        code = print_page(&remote, page, &filter.limit, &more);
        filter.request.page_token = response->next_page_token;
    }
    if (!code && more && !remote.json)
        fprintf(stderr, "there are more; --all shows them\n");
    return code;
}

const CliCommand cli_jobs = {
    .name = "jobs",
    .summary = "list the jobs of a controller, newest first",
    .usage = "[options]",
    .examples = "# what is running?\n"
                "vmafx jobs --state running\n"
                "# ids of all that failed\n"
                "vmafx jobs --state failed --all --json | jq -r .id\n",
    .options = jobs_options,
    .run = run_jobs,
};

/* ---- job ---- */

static const CliOption plain_options[] = { REMOTE_OPTIONS, { 0 } };

static void print_field(const char *name, const char *value)
{
    if (value && *value)
        printf("  %-12s %s\n", name, value);
}

static void print_spec(const Vmafx__V1__JobSpec *spec)
{
    if (!spec)
        return;
    print_field("reference", spec->reference ? spec->reference->uri : NULL);
    if (vmafx_spec_distorted(spec))
        print_field("distorted", vmafx_spec_distorted(spec)->uri);
    if (vmafx_spec_recipe(spec)) {
        char recipe[256];

        recipe_text(vmafx_spec_recipe(spec), recipe, sizeof recipe);
        print_field("encode", recipe);
    }
    for (size_t i = 0; i < spec->n_models; i++)
        print_field(i ? "" : "model", spec->models[i]->version);
    for (size_t i = 0; i < spec->n_features; i++)
        print_field(i ? "" : "feature", spec->features[i]->name);
    for (size_t i = 0; i < spec->n_labels; i++)
        printf("  %-12s %s=%s\n", i ? "" : "label", spec->labels[i]->key, spec->labels[i]->value);
}

static void print_event(const Vmafx__V1__Event *event, int64_t start)
{
    static const char *const kinds[] = { "?", "submitted", "leased", "attempt ended", "queued again", "ended" };
    static const char *const outcomes[] = {
        "", "succeeded", "failed", "cancelled", "lost", "timed out", "handed back"
    };
    char at[32];

    remote_duration(event->time_unix_us - start, at, sizeof at);
    printf("  %10s  %s", at, (size_t)event->kind < VMAFX_LEN(kinds) ? kinds[event->kind] : "?");
    if (event->attempt && event->kind != VMAFX__V1__EVENT_KIND__EVENT_KIND_ENDED)
        printf("  attempt %d", event->attempt);
    if (event->kind == VMAFX__V1__EVENT_KIND__EVENT_KIND_LEASED)
        printf(" to %s", event->node);
    if (event->outcome)
        printf(": %s", (size_t)event->outcome < VMAFX_LEN(outcomes) ? outcomes[event->outcome] : "?");
    if (event->kind == VMAFX__V1__EVENT_KIND__EVENT_KIND_ENDED)
        printf("  %s", remote_state_name(event->state));
    if (*event->message)
        printf("  (%s)", event->message);
    puts("");
}

static void print_details(const Vmafx__V1__GetJobEventsResponse *response)
{
    const Vmafx__V1__Job *job = response->job;
    char text[64];

    remote_print_job(job);
    remote_time(job->created_unix_us, text, sizeof text);
    print_field("submitted", text);
    print_field("submitter", job->submitter);
    print_field("trace", job->trace_id);
    print_field("retry of", job->retry_of);
    print_spec(job->spec);
    puts("");
    for (size_t i = 0; i < response->n_events; i++)
        print_event(response->events[i], job->created_unix_us);
}

static int run_job(int argc, char **argv)
{
    VMAFX_AUTO(remote_done) Remote remote = { 0 };
    VMAFX_AUTO(vmafx_message_free) VmafxMessage *answer = NULL;
    Vmafx__V1__GetJobEventsRequest request = VMAFX__V1__GET_JOB_EVENTS_REQUEST__INIT;
    const char *id;
    size_t n;
    int parsed = remote_ids(&remote, &cli_job, argc, argv, &id, 1, &n, NULL, NULL);

    if (parsed != CLI_END)
        return usage_code(parsed);
    request.id = (char *)id;
    int code = remote_open(&remote);
    if (!code)
        code = remote_call(&remote, VMAFX_CALL_GET_JOB_EVENTS, &request.base, &answer);
    if (code)
        return code;
    const Vmafx__V1__GetJobEventsResponse *response = vmafx_message_get(answer);
    if (remote.json)
        return remote_print_json(&response->base);
    if (response->job)
        print_details(response);
    return EXIT_COMPLETE;
}

const CliCommand cli_job = {
    .name = "job",
    .summary = "show one job and everything that happened to it",
    .usage = "ID [options]",
    .examples = "# what became of it?\n"
                "vmafx job 0192f0c1-7b1c-7d3e-8a55-3f1b2c4d5e6f\n",
    .options = plain_options,
    .run = run_job,
};

/* ---- watch ---- */

static int run_watch(int argc, char **argv)
{
    VMAFX_AUTO(remote_done) Remote remote = { 0 };
    const char *ids[IDS_MAX];
    size_t n;
    int parsed = remote_ids(&remote, &cli_watch, argc, argv, ids, IDS_MAX, &n, NULL, NULL);

    if (parsed != CLI_END)
        return usage_code(parsed);
    int code = remote_open(&remote);
    return code ? code : remote_wait(&remote, ids, n, true);
}

const CliCommand cli_watch = {
    .name = "watch",
    .summary = "follow jobs to their end",
    .usage = "ID [ID …] [options]",
    .examples = "# wait for the end, with progress\n"
                "vmafx watch 0192f0c1-7b1c-7d3e-8a55-3f1b2c4d5e6f\n",
    .notes = "Progress is drawn on stderr when that is a terminal; a line for each job that ended goes to stdout.\n"
             "The exit code is that of the first job that did not succeed: 3 input, 4 not comparable, 5 model,\n"
             "7 partial, 10 cancelled or timed out, 9 any other failure.\n",
    .options = plain_options,
    .run = run_watch,
};

/* ---- cancel, retry, delete ---- */

enum { O_REASON = 1 };

static const CliOption cancel_options[] = {
    { O_REASON, 0, "reason", "TEXT", "Why, kept with the job.", NULL },
    REMOTE_OPTIONS,
    { 0 },
};

static bool cancel_argument(void *ctx, int id, const char *value)
{
    *(const char **)ctx = value;
    return true;
}

/** One after the other; the first failure's code counts, the others are tried all the same. */
static int for_each(Remote *remote, const char *const *ids, size_t n,
                    int (*one)(Remote *remote, const char *id, const char *reason), const char *reason)
{
    int code = remote_open(remote);

    if (code)
        return code;
    for (size_t i = 0; i < n; i++) {
        int own = one(remote, ids[i], reason);
        code = code ? code : own;
    }
    return code;
}

static int print_answer(const Remote *remote, const Vmafx__V1__Job *job)
{
    if (remote->json)
        return remote_print_json(&job->base);
    remote_print_job(job);
    return EXIT_COMPLETE;
}

static int cancel_one(Remote *remote, const char *id, const char *reason)
{
    VMAFX_AUTO(vmafx_message_free) VmafxMessage *answer = NULL;
    Vmafx__V1__CancelJobRequest request = VMAFX__V1__CANCEL_JOB_REQUEST__INIT;

    request.id = (char *)id;
    request.reason = (char *)(reason ? reason : "");
    int code = remote_call(remote, VMAFX_CALL_CANCEL_JOB, &request.base, &answer);
    return code ? code : print_answer(remote, ((const Vmafx__V1__CancelJobResponse *)vmafx_message_get(answer))->job);
}

static int run_cancel(int argc, char **argv)
{
    VMAFX_AUTO(remote_done) Remote remote = { 0 };
    const char *ids[IDS_MAX], *reason = NULL;
    size_t n;
    int parsed = remote_ids(&remote, &cli_cancel, argc, argv, ids, IDS_MAX, &n, cancel_argument, &reason);

    return parsed == CLI_END ? for_each(&remote, ids, n, cancel_one, reason) : usage_code(parsed);
}

const CliCommand cli_cancel = {
    .name = "cancel",
    .summary = "cancel jobs that have not ended",
    .usage = "ID [ID …] [options]",
    .examples = "# no longer wanted\n"
                "vmafx cancel 0192f0c1-7b1c-7d3e-8a55-3f1b2c4d5e6f\n",
    .options = cancel_options,
    .run = run_cancel,
};

static int retry_one(Remote *remote, const char *id, const char *reason)
{
    VMAFX_AUTO(vmafx_message_free) VmafxMessage *answer = NULL;
    Vmafx__V1__RetryJobRequest request = VMAFX__V1__RETRY_JOB_REQUEST__INIT;

    request.id = (char *)id;
    int code = remote_call(remote, VMAFX_CALL_RETRY_JOB, &request.base, &answer);
    return code ? code : print_answer(remote, ((const Vmafx__V1__RetryJobResponse *)vmafx_message_get(answer))->job);
}

static int run_retry(int argc, char **argv)
{
    VMAFX_AUTO(remote_done) Remote remote = { 0 };
    const char *ids[IDS_MAX];
    size_t n;
    int parsed = remote_ids(&remote, &cli_retry, argc, argv, ids, IDS_MAX, &n, NULL, NULL);

    return parsed == CLI_END ? for_each(&remote, ids, n, retry_one, NULL) : usage_code(parsed);
}

const CliCommand cli_retry = {
    .name = "retry",
    .summary = "submit failed or cancelled jobs again, as new jobs",
    .usage = "ID [ID …] [options]",
    .examples = "# the same again\n"
                "vmafx retry 0192f0c1-7b1c-7d3e-8a55-3f1b2c4d5e6f\n",
    .options = plain_options,
    .run = run_retry,
};

static int delete_one(Remote *remote, const char *id, const char *reason)
{
    VMAFX_AUTO(vmafx_message_free) VmafxMessage *answer = NULL;
    Vmafx__V1__DeleteJobRequest request = VMAFX__V1__DELETE_JOB_REQUEST__INIT;

    request.id = (char *)id;
    int code = remote_call(remote, VMAFX_CALL_DELETE_JOB, &request.base, &answer);
    if (!code && !remote->json)
        printf("%s  deleted\n", id);
    return code;
}

static int run_delete(int argc, char **argv)
{
    VMAFX_AUTO(remote_done) Remote remote = { 0 };
    const char *ids[IDS_MAX];
    size_t n;
    int parsed = remote_ids(&remote, &cli_delete, argc, argv, ids, IDS_MAX, &n, NULL, NULL);

    return parsed == CLI_END ? for_each(&remote, ids, n, delete_one, NULL) : usage_code(parsed);
}

const CliCommand cli_delete = {
    .name = "delete",
    .summary = "remove ended jobs with their results",
    .usage = "ID [ID …] [options]",
    .examples = "# with its result\n"
                "vmafx delete 0192f0c1-7b1c-7d3e-8a55-3f1b2c4d5e6f\n",
    .options = plain_options,
    .run = run_delete,
};

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What the commands that talk to a controller share. */

#include "programs/cli/remote.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/base.h"
#include "fleet/fleet.h"

bool remote_argument(Remote *remote, int id, const char *value)
{
    switch (id) {
    case REMOTE_CONTROLLER:
        remote->config.address = value;
        return true;
    case REMOTE_TLS_CERT:
        remote->config.cert_file = value;
        return true;
    case REMOTE_TLS_KEY:
        remote->config.key_file = value;
        return true;
    case REMOTE_TLS_CA:
        remote->config.ca_file = value;
        return true;
    case REMOTE_JSON:
        return remote->json = true;
    default:
        return false;
    }
}

int remote_open(Remote *remote)
{
    VmafxClientConfig found;
    VmafxErrInfo info = { 0 };

    if (vmafx_config_load(&remote->settings, &info)) {
        fprintf(stderr, "vmafx %s: %s\n", remote->command, info.message);
        return EXIT_USAGE;
    }
    vmafx_client_config_from(remote->settings, &found);
    VmafxClientConfig *config = &remote->config;
    config->address = config->address ? config->address : found.address;
    config->cert_file = config->cert_file ? config->cert_file : found.cert_file;
    config->key_file = config->key_file ? config->key_file : found.key_file;
    config->ca_file = config->ca_file ? config->ca_file : found.ca_file;
    config->server_name = found.server_name;

    VmafxErr err = vmafx_client_open(config, &remote->client, &info);
    if (!err)
        return EXIT_COMPLETE;
    fprintf(stderr, "vmafx %s: %s\n", remote->command, *info.message ? info.message : vmafx_err_text(err));
    return EXIT_USAGE;
}

void remote_done(Remote *remote)
{
    vmafx_client_close(&remote->client);
    vmafx_config_free(&remote->settings);
}

int remote_fail(const Remote *remote, VmafxErr err, const VmafxErrInfo *info)
{
    fprintf(stderr, "vmafx %s: %s\n", remote->command, *info->message ? info->message : vmafx_err_text(err));
    switch (err) {
    case VMAFX_ERR_INVALID:
    case VMAFX_ERR_SYNTAX:
    case VMAFX_ERR_LIMIT:
        return EXIT_USAGE;
    case VMAFX_ERR_MODEL:
    case VMAFX_ERR_FEATURE:
        return EXIT_MODEL;
    case VMAFX_ERR_IO:
        return EXIT_OUTPUT;
    case VMAFX_ERR_INTERNAL:
        return EXIT_DEFECT;
    default:
        return EXIT_REMOTE;
    }
}

int remote_call(Remote *remote, VmafxCall call, const ProtobufCMessage *request, VmafxMessage **ret)
{
    VmafxErrInfo info = { 0 };
    VmafxErr err = vmafx_client_call(remote->client, call, request, ret, &info);

    if (err == VMAFX_ERR_IO) /* theirs, not ours */
        err = VMAFX_ERR_UNREACHABLE;
    return err ? remote_fail(remote, err, &info) : EXIT_COMPLETE;
}

int remote_print_json(const ProtobufCMessage *message)
{
    VMAFX_AUTO(vmafx_free_p) char *json = vmafx_message_json(message);

    if (!json)
        return EXIT_DEFECT;
    puts(json);
    return EXIT_COMPLETE;
}

int remote_exit_for(const Vmafx__V1__Job *job)
{
    if (job->state == VMAFX__V1__JOB_STATE__JOB_STATE_SUCCEEDED)
        return EXIT_COMPLETE;
    if (job->state == VMAFX__V1__JOB_STATE__JOB_STATE_CANCELLED)
        return EXIT_CANCELLED;
    if (job->has_result)
        return EXIT_PARTIAL;
    switch (job->failure_class) {
    case VMAFX__V1__FAILURE_CLASS__FAILURE_CLASS_INPUT:
        return EXIT_INPUT;
    case VMAFX__V1__FAILURE_CLASS__FAILURE_CLASS_MISMATCH:
        return EXIT_INCOMPARABLE;
    case VMAFX__V1__FAILURE_CLASS__FAILURE_CLASS_MODEL:
        return EXIT_MODEL;
    case VMAFX__V1__FAILURE_CLASS__FAILURE_CLASS_ENCODER:
        return EXIT_ENCODER;
    case VMAFX__V1__FAILURE_CLASS__FAILURE_CLASS_TIMEOUT:
        return EXIT_CANCELLED;
    default:
        return EXIT_JOB_FAILED;
    }
}

/* ---- For people ---- */

const char *remote_state_name(Vmafx__V1__JobState state)
{
    return vmafx_job_state_name((VmafxJobState)state); /* the numbers are the same */
}

const char *remote_failure_name(Vmafx__V1__FailureClass failure)
{
    return failure ? vmafx_failure_name((VmafxFailure)failure) : "";
}

void remote_time(int64_t unix_us, char *ret, size_t size)
{
    time_t seconds = (time_t)(unix_us / 1000000);
    struct tm parts;

    if (!unix_us || !localtime_r(&seconds, &parts) || !strftime(ret, size, "%Y-%m-%d %H:%M:%S", &parts))
        snprintf(ret, size, "-");
}

void remote_duration(int64_t us, char *ret, size_t size)
{
    int64_t s = us / 1000000;

    if (us < 0)
        snprintf(ret, size, "-");
    else if (us < 1000000)
        snprintf(ret, size, "%" PRId64 " ms", us / 1000);
    else if (s < 60)
        snprintf(ret, size, "%.1f s", (double)us / 1e6);
    else if (s < 3600)
        snprintf(ret, size, "%" PRId64 "m %02" PRId64 "s", s / 60, s % 60);
    else
        snprintf(ret, size, "%" PRId64 "h %02" PRId64 "m", s / 3600, s / 60 % 60);
}

const char *remote_base_name(const char *uri)
{
    const char *slash = uri ? strrchr(uri, '/') : NULL;

    return slash && slash[1] ? slash + 1 : uri ? uri : "";
}

void remote_print_job(const Vmafx__V1__Job *job)
{
    char took[32];

    remote_duration(job->ended_unix_us ? job->ended_unix_us - job->created_unix_us : -1, took, sizeof took);
    printf("%s  %-9s", job->id, remote_state_name(job->state));
    if (job->has_score_case == VMAFX__V1__JOB__HAS_SCORE_SCORE)
        printf("  VMAF %.2f", job->score);
    if (job->ended_unix_us)
        printf("  after %s", took);
    if (*job->message)
        printf("  %s%s%s", remote_failure_name(job->failure_class), job->failure_class ? ": " : "", job->message);
    puts("");
}

/* ---- Waiting ---- */

typedef struct Line {
    bool wanted, drawn;
    size_t index, n;
} Line;

static void draw(Line *line, const Vmafx__V1__Job *job)
{
    const Vmafx__V1__Progress *p = job->progress;

    if (!line->wanted)
        return;
    line->drawn = true;
    fputs("\r", stderr);
    if (line->n > 1)
        fprintf(stderr, "%zu of %zu: ", line->index + 1, line->n);
    fprintf(stderr, "%s", remote_state_name(job->state));
    if (job->state == VMAFX__V1__JOB_STATE__JOB_STATE_RUNNING && *job->node)
        fprintf(stderr, " on %s", job->node);
    if (p && p->frames_total)
        fprintf(stderr, ", %" PRId64 " of %" PRId64 " frames, %.1f frames/s", p->frames, p->frames_total,
                p->frame_rate);
    else if (p)
        fprintf(stderr, ", %" PRId64 " frames, %.1f frames/s", p->frames, p->frame_rate);
    fputs("\033[K", stderr);
    fflush(stderr);
}

static void erase(Line *line)
{
    if (line->drawn)
        fputs("\r\033[K", stderr);
    line->drawn = false;
}

/** A controller that restarts ends the stream; the job goes on, so we ask again. */
static int wait_once(Remote *remote, const char *id, Line *line, VmafxMessage **ret_last, bool *ret_again)
{
    Vmafx__V1__WatchJobRequest request = VMAFX__V1__WATCH_JOB_REQUEST__INIT;
    VMAFX_AUTO(vmafx_client_read_close) VmafxClientReading *reading = NULL;
    VmafxErrInfo info = { 0 };

    request.id = (char *)id;
    VmafxErr err = vmafx_client_read(remote->client, VMAFX_CALL_WATCH_JOB, &request.base, &reading, &info);
    while (!err) {
        VMAFX_AUTO(vmafx_message_free) VmafxMessage *message = NULL;
        err = vmafx_client_read_next(reading, 0, &message, &info);
        if (err || !message)
            break;
        const Vmafx__V1__WatchJobResponse *response = vmafx_message_get(message);
        if (!response->job)
            continue;
        draw(line, response->job);
        vmafx_message_free(ret_last);
        *ret_last = VMAFX_TAKE(message);
    }
    *ret_again = err == VMAFX_ERR_UNREACHABLE || err == VMAFX_ERR_STOPPED;
    return err ? (*ret_again ? EXIT_REMOTE : remote_fail(remote, err, &info)) : EXIT_COMPLETE;
}

#define TRIES_MAX 60 /* seconds without a controller */

static int wait_for(Remote *remote, const char *id, Line *line)
{
    VMAFX_AUTO(vmafx_message_free) VmafxMessage *last = NULL;
    bool again = true;
    int code = EXIT_COMPLETE;

    for (int tries = 0; again && tries < TRIES_MAX; tries++) {
        if (tries)
            nanosleep(&(struct timespec){ .tv_sec = 1 }, NULL);
        code = wait_once(remote, id, line, &last, &again);
    }
    erase(line);
    if (again)
        fprintf(stderr, "vmafx %s: lost the controller at %s; the job goes on there\n", remote->command,
                remote->config.address ? remote->config.address : VMAFX_CONTROLLER_ADDRESS);
    if (code)
        return code;
    if (!last)
        return EXIT_REMOTE;

    const Vmafx__V1__Job *job = ((const Vmafx__V1__WatchJobResponse *)vmafx_message_get(last))->job;
    if (remote->json)
        VMAFX_IGNORE(remote_print_json(&job->base)); /* the job's own outcome is what matters */
    else
        remote_print_job(job);
    return remote_exit_for(job);
}

int remote_wait(Remote *remote, const char *const *ids, size_t n, bool progress)
{
    Line line = { .wanted = progress && isatty(STDERR_FILENO), .n = n };
    int code = EXIT_COMPLETE;

    for (size_t i = 0; i < n; i++) {
        line.index = i;
        int own = wait_for(remote, ids[i], &line);
        code = code ? code : own;
    }
    return code;
}

/* ---- Arguments ---- */

int remote_words(Remote *remote, const CliCommand *command, int argc, char **argv, const char **words, size_t min,
                 size_t max, size_t *ret_n, bool (*own)(void *ctx, int id, const char *value), void *ctx)
{
    CliParser parser;
    const char *value;
    size_t n = 0;
    int id;

    remote->command = command->name;
    cli_parser_init(&parser, command, argc, argv);
    while ((id = cli_next(&parser, &value)) != CLI_END) {
        if (id == CLI_HELP)
            return CLI_HELP;
        if (id == CLI_ERROR)
            return CLI_ERROR;
        if (id == CLI_POSITIONAL && n < max) {
            words[n++] = value;
            continue;
        }
        if (id == CLI_POSITIONAL) {
            fprintf(stderr, "vmafx %s: '%s' is too much; `vmafx %s --help` explains the arguments\n", command->name,
                    value, command->name);
            return CLI_ERROR;
        }
        if (!remote_argument(remote, id, value) && own && !own(ctx, id, value))
            return CLI_ERROR;
    }
    if (n < min) {
        fprintf(stderr, "vmafx %s: usage: vmafx %s %s\n", command->name, command->name, command->usage);
        return CLI_ERROR;
    }
    *ret_n = n;
    return CLI_END;
}

bool remote_is_id(const CliCommand *command, const char *text)
{
    VmafxJobId id;

    if (vmafx_job_id_parse(text, &id) == VMAFX_OK)
        return true;
    fprintf(stderr,
            "vmafx %s: '%.64s' is no id of a job; one looks like 0192f0c1-7b1c-7d3e-8a55-3f1b2c4d5e6f, and "
            "`vmafx jobs --all` lists them\n",
            command->name, text);
    return false;
}

int remote_ids(Remote *remote, const CliCommand *command, int argc, char **argv, const char **ids, size_t max,
               size_t *ret_n, bool (*own)(void *ctx, int id, const char *value), void *ctx)
{
    int parsed = remote_words(remote, command, argc, argv, ids, 1, max, ret_n, own, ctx);

    for (size_t i = 0; parsed == CLI_END && i < *ret_n; i++)
        if (!remote_is_id(command, ids[i]))
            return CLI_ERROR;
    return parsed;
}

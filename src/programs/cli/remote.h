/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What the commands that talk to a controller share: its options, the connection, exit codes, printing. */
#ifndef VMAFX_PROGRAMS_CLI_REMOTE_H
#define VMAFX_PROGRAMS_CLI_REMOTE_H

#include "client/client.h"
#include "programs/cli/cli.h"

/* A command's own options have ids below this one. */
enum {
    REMOTE_CONTROLLER = 200,
    REMOTE_TLS_CERT,
    REMOTE_TLS_KEY,
    REMOTE_TLS_CA,
    REMOTE_JSON,
};

#define REMOTE_OPTIONS                                                                                                  \
    {                                                                                                                   \
        REMOTE_CONTROLLER, 'c', "controller", "ADDRESS", "The controller; VMAFX_CONTROLLER, else 127.0.0.1:7801.", NULL \
    },                                                                                                                  \
        { REMOTE_TLS_CERT, 0, "tls-cert", "FILE", "Our certificate (VMAFX_TLS_CERT), for mutual TLS.", NULL },          \
        { REMOTE_TLS_KEY, 0, "tls-key", "FILE", "Its key (VMAFX_TLS_KEY).", NULL },                                     \
        { REMOTE_TLS_CA, 0, "tls-ca", "FILE", "Who signs the controller's certificate (VMAFX_TLS_CA).", NULL },         \
    {                                                                                                                   \
        REMOTE_JSON, 0, "json", NULL, "Print JSON.", NULL                                                               \
    }

typedef struct Remote {
    const char *command; /* for messages: "jobs" */
    VmafxClientConfig config;
    bool json;
    VmafxConfig *settings;
    VmafxClient *client;
} Remote;

/** Takes an option with one of the ids above; false: it has another. */
bool remote_argument(Remote *remote, int id, const char *value);

/** Settings for what the arguments left open, then the connection. EXIT_COMPLETE, or an exit code: said why. */
int remote_open(Remote *remote);
void remote_done(Remote *remote);

/** Says what failed on stderr, and gives the exit code for it. */
int remote_fail(const Remote *remote, VmafxErr err, const VmafxErrInfo *info);

/** A call; EXIT_COMPLETE with the answer, or an exit code: said why. */
int remote_call(Remote *remote, VmafxCall call, const ProtobufCMessage *request, VmafxMessage **ret);

/** Prints a message as JSON and a line end. */
int remote_print_json(const ProtobufCMessage *message);

/** What scripts see of a job that has ended. */
int remote_exit_for(const Vmafx__V1__Job *job);

/* Words and numbers for people. */
const char *remote_state_name(Vmafx__V1__JobState state);
const char *remote_failure_name(Vmafx__V1__FailureClass failure);
/** "2026-11-25 14:03:07", local time; "-" for 0. */
void remote_time(int64_t unix_us, char *ret, size_t size);
/** "230 ms", "4.2 s", "3m 05s", "2h 10m", from microseconds. */
void remote_duration(int64_t us, char *ret, size_t size);
/** The last part of a URI or path; never NULL. */
const char *remote_base_name(const char *uri);

/** A line for one job: state, score or message. */
void remote_print_job(const Vmafx__V1__Job *job);

/**
 * Follows jobs to their end. progress: draw a line on stderr.
 * @return the exit code of the first job that did not succeed, else EXIT_COMPLETE
 */
int remote_wait(Remote *remote, const char *const *ids, size_t n, bool progress);

/** Reads an answer of arguments that are only options of REMOTE_OPTIONS and at most max words. Fewer than min: says so.
 */
int remote_words(Remote *remote, const CliCommand *command, int argc, char **argv, const char **words, size_t min,
                 size_t max, size_t *ret_n, bool (*own)(void *ctx, int id, const char *value), void *ctx);
/** The same where the words are ids of jobs: nobody is asked about what cannot be one. */
int remote_ids(Remote *remote, const CliCommand *command, int argc, char **argv, const char **ids, size_t max,
               size_t *ret_n, bool (*own)(void *ctx, int id, const char *value), void *ctx);
/** Whether it has the form of a job's id; says so if not. */
bool remote_is_id(const CliCommand *command, const char *text);
#endif

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What the files of the runner share, and nobody else needs. */
#ifndef VMAFX_SCORE_RUNNER_INTERNAL_H
#define VMAFX_SCORE_RUNNER_INTERNAL_H

#include <pthread.h>
#include <sys/types.h>

#include "score/child_reader.h"
#include "score/runner.h"

/* ---- The scorer as a process (runner_scorer.c); the runner's thread only ---- */

typedef struct Scorer {
    pid_t pid;  /* 0: none */
    int socket; /* -1: none; does not block */
    bool ready;
    uint64_t started_ns;
} Scorer;

/** VMAFX_ERR_NOT_FOUND, VMAFX_ERR_IO, VMAFX_ERR_NOMEM */
VMAFX_CHECK VmafxErr runner_scorer_start(Scorer *scorer, const char *program, VmafxErrInfo *reterr);
/** Kills it unless it has ended, and its children with it; says how it ended. Nothing when there is none. */
void runner_scorer_end(Scorer *scorer, VmafxErrInfo *ret_how);
/** The program's path in fresh memory, or NULL. */
char *runner_scorer_path(const char *given);

#define RUNNER_FDS_MAX 4 /* of one packet */

typedef enum RunnerSend { RUNNER_SENT, RUNNER_SEND_LATER, RUNNER_SEND_FAILED } RunnerSend;

/** A whole packet, with descriptors (n_fds 0: none). */
RunnerSend runner_scorer_send(const Scorer *scorer, const uint8_t *packet, size_t len, const int *fds, size_t n_fds);
/** An event; *ret NULL when none waits. VMAFX_ERR_IO: the connection is over; VMAFX_ERR_SYNTAX and others: nonsense. */
VMAFX_CHECK VmafxErr runner_scorer_receive(const Scorer *scorer, uint8_t *buffer, size_t size, VmafxMessage **ret,
                                           VmafxErrInfo *reterr);
/** A request with its length before it, in fresh memory. VMAFX_ERR_NOMEM, VMAFX_ERR_LIMIT */
VMAFX_CHECK VmafxErr runner_pack_request(const Vmafx__Scorer__V1__ScorerRequest *request, uint8_t **ret,
                                         size_t *ret_len);

/* ---- A task (runner_task.c) ---- */

/** Once it is in the runner's list all but stop_wanted is the thread's. */
typedef struct RunnerTask {
    uint64_t tag;
    VmafxRunEvents events;
    VmafxRunLimits limits;
    bool nested, frames_live, encodes;
    size_t frames_max;

    uint8_t *packet; /* the Start; NULL once it was sent */
    size_t packet_len;
    int fds[RUNNER_FDS_MAX]; /* reference, distorted, writing end of the pipe, file to keep; -1: none, or sent */
    int pipe;                /* reading end; -1: closed */
    VmafxChildReader *reader;

    bool stop_wanted; /* under the runner's lock */
    bool stop_sent;
    VmafxErr spoilt; /* what the child said cannot be used: NOMEM, or why else; wrong is the sentence */
    VmafxErrInfo wrong;
    uint64_t overdue_ns; /* the scorer does not do its duty if the task is still there then; UINT64_MAX: never */
} RunnerTask;

VMAFX_CHECK VmafxErr runner_task_new(const VmafxRunTask *given, size_t frames_max, RunnerTask **ret,
                                     VmafxErrInfo *reterr);
void runner_task_free(RunnerTask **task);

/** The Start was sent: descriptors go, time runs. */
void runner_task_started(RunnerTask *task, uint64_t now_ns);
bool runner_task_is_started(const RunnerTask *task);
/** Reads what there is, at most about `most` bytes, and calls the task's events. */
void runner_task_read(RunnerTask *task, uint8_t *buffer, size_t size, size_t most);

/**
 * The end as the child's exit tells it; exited NULL: the scorer has gone, and scorer_end is the sentence for that.
 * *ret points into the task and message.
 */
void runner_task_end(const RunnerTask *task, const Vmafx__Scorer__V1__Exited *exited, const char *scorer_end,
                     VmafxErrInfo *message, VmafxRunEnd *ret);
#endif

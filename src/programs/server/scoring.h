/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * One scoring: waits for a slot, opens its inputs on a thread that may wait, has a child score them, tells its sink.
 *
 *     start ──► waiting ──► opening ──► running ──► ended
 *                  └───────────┴─── cancel ──┴──────► ended (CANCELLED)
 *
 * A sink must not wait: its callbacks come one at a time from the runner's thread, `ended` also from the threads that
 * open inputs and from whoever cancels. They may cancel any scoring and start others. Nothing of the request is touched
 * once `ended` is called, so its memory may be given back then.
 */
#ifndef VMAFX_PROGRAMS_SERVER_SCORING_H
#define VMAFX_PROGRAMS_SERVER_SCORING_H

#include "base/columns.h"
#include "programs/server/server.h"

typedef struct Scoring Scoring; /* counted */

/** NULL: not wanted. Messages are borrowed for the call. */
typedef struct ScoringSink {
    void (*progress)(void *ctx, Scoring *scoring, Vmafx__V1__Progress *progress); /* at most four a second */
    void (*series)(void *ctx, Scoring *scoring, Vmafx__V1__SeriesNames *series);  /* once, before the first frames */
    void (*frames)(void *ctx, Scoring *scoring, Vmafx__V1__Frames *frames);       /* as they become final, in order */
    void (*ended)(void *ctx, Scoring *scoring);                                   /* once, the last; never NULL */
    void *ctx;
} ScoringSink;

/** Borrowed until `ended` but for what is said to be taken over. */
typedef struct ScoringStart {
    const char *path;                       /* what the request is called in sentences: "request", "pairs[3]" */
    const char *who;                        /* whose turn it is (server_who) */
    const Vmafx__V1__ScoreRequest *request; /* inputs without uri where there are descriptors; may lie on the stack,
                                               what it points to may not */
    int fds[2];                             /* taken over, closed on failure too; -1: opened by the input's uri */
    const char *names[2];                   /* of those with a descriptor, for messages and provenance; copied */
    VmafxContext *context;                  /* parent of the spans; NULL: none */
    bool keep_frames;                       /* packed values are wanted at the end */
    ScoringSink sink;
} ScoringStart;

/** How it ended: from the call of `ended` on, as long as the scoring lives. */
typedef struct ScoringEnd {
    VmafxErr err;                           /* VMAFX_OK: outcome says it. Else it was not scored, or not to be of use */
    const char *message;                    /* of err */
    const Vmafx__V1__ScoreOutcome *outcome; /* NULL with err */
    const uint8_t *frames;                  /* packed (base/columns.h); NULL: none, or not kept */
    size_t frames_len;
} ScoringEnd;

/**
 * Checks the request against the contract and the server's limits, and asks for a slot.
 * @param ret           a reference of the caller's
 * @param ret_retry_ms  with BUSY: when it may be worth another try
 * @return VMAFX_ERR_BUSY, VMAFX_ERR_STOPPED, what vmafx_spec_check says, VMAFX_ERR_LIMIT, VMAFX_ERR_NOMEM, with a
 * sentence; `ended` does not come then
 */
VMAFX_CHECK VmafxErr scoring_start(Server *server, const ScoringStart *start, Scoring **ret, uint32_t *ret_retry_ms,
                                   VmafxErrInfo *reterr);
/** Ends it, unless it has; the child is killed. `ended` comes, now or soon. Any thread. */
void scoring_cancel(Scoring *scoring);
/** The same with an error of one's own instead of CANCELLED; the first one counts. */
void scoring_fail(Scoring *scoring, VmafxErr err, const char *message);
/** Has it got a slot? For those who watch that it is used. */
bool scoring_is_running(Scoring *scoring);
const ScoringEnd *scoring_end(const Scoring *scoring);
Scoring *scoring_ref(Scoring *scoring);
void scoring_unref(Scoring **scoring);

/** What a failure class is in the table of errors. */
VmafxErr scoring_err_of(Vmafx__V1__FailureClass failure);
#endif

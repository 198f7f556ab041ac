/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The scorings of one call: one, or the pairs of a batch, of which a few have or want a slot at a time; as one ends the
 * next begins. A pair that fails stops no other. Callbacks as those of scoring.h: they must not wait, and those of one
 * pair come in order; different pairs may speak at the same time, from different threads.
 */
#ifndef VMAFX_PROGRAMS_SERVER_BATCH_H
#define VMAFX_PROGRAMS_SERVER_BATCH_H

#include "programs/server/scoring.h"

typedef struct Batch Batch; /* counted */

/** NULL: not wanted. index is the pair's place. */
typedef struct BatchSink {
    /* progress; with `live` series and frames: what is set of the event is borrowed for the call */
    void (*event)(void *ctx, size_t index, const Vmafx__V1__ScoreEvent *event);
    /* Once for each pair: how it ended. scoring NULL: it was not even begun, err and message say why. */
    void (*ended)(void *ctx, size_t index, Scoring *scoring, VmafxErr err, const char *message);
    void (*done)(void *ctx); /* once, the last: all of them have ended */
    void *ctx;
} BatchSink;

/** Borrowed until `done`. */
typedef struct BatchStart {
    Vmafx__V1__ScoreRequest *const *requests; /* 1 … SERVER_PAIRS_MAX */
    size_t n;
    bool one; /* a call of one: what keeps it from beginning is the call's own error */
    const char *who;
    VmafxContext *context;
    int fds[2];           /* of a call of one: taken over; -1: opened by uri */
    const char *names[2]; /* of those */
    bool live;            /* frames as they become final, of requests that ask for frames */
    bool keep_frames;     /* frames at the end, of requests that ask for frames */
    BatchSink sink;
} BatchStart;

/**
 * @return with `one` all errors of scoring_start; else VMAFX_ERR_BUSY when not even the first could wait,
 * VMAFX_ERR_STOPPED, VMAFX_ERR_NOMEM. No callback comes then
 */
VMAFX_CHECK VmafxErr batch_start(Server *server, const BatchStart *start, Batch **ret, uint32_t *ret_retry_ms,
                                 VmafxErrInfo *reterr);
/** Ends what runs and begins nothing more. `done` comes, now or soon. Any thread. */
void batch_cancel(Batch *batch);
void batch_unref(Batch **batch);
#endif

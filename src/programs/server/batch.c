/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Pairs begin in order, from whichever thread has room for one: `advancing` lets only one of them do it at a time, and
 * `again` has it look once more. Nothing is called with the lock held.
 */

#include "programs/server/batch.h"

#include <string.h>

#include "base/base.h"

typedef struct Pair {
    Batch *batch;
    size_t index;
    bool deliver_series;
    Scoring *scoring; /* while it has not ended; covered by the batch's lock */
    bool ended;
} Pair;

struct Batch {
    Server *server;
    atomic_int refs;
    BatchStart start;
    char who[SLOTS_WHO_MAX];
    VmafxContext *context;

    pthread_mutex_t lock; /* covers everything below */
    size_t next;          /* the first that has not begun */
    int n_live, n_ended;
    bool advancing, again, cancelled, done;
    Pair pairs[];
};

void batch_unref(Batch **at)
{
    Batch *batch = VMAFX_TAKE(*at);

    if (!batch || atomic_fetch_sub_explicit(&batch->refs, 1, memory_order_acq_rel) > 1)
        return;
    vmafx_context_unref(&batch->context);
    pthread_mutex_destroy(&batch->lock);
    free(batch);
}

static VmafxErr advance(Batch *batch, bool first, uint32_t *ret_retry_ms, VmafxErrInfo *reterr);

static void tell_ended(Batch *batch, size_t index, Scoring *scoring, VmafxErr err, const char *message)
{
    batch->start.sink.ended(batch->start.sink.ctx, index, scoring, err, message);
}

/* ---- what pairs say ---- */

static void tell(Pair *pair, Vmafx__V1__ScoreEvent *event)
{
    if (pair->batch->start.sink.event)
        pair->batch->start.sink.event(pair->batch->start.sink.ctx, pair->index, event);
}

static void on_progress(void *ctx, Scoring *scoring, Vmafx__V1__Progress *progress)
{
    Vmafx__V1__ScoreEvent event = VMAFX__V1__SCORE_EVENT__INIT;

    event.kind_case = VMAFX__V1__SCORE_EVENT__KIND_PROGRESS;
    event.progress = progress;
    tell(ctx, &event);
}

static void on_series(void *ctx, Scoring *scoring, Vmafx__V1__SeriesNames *series)
{
    Vmafx__V1__ScoreEvent event = VMAFX__V1__SCORE_EVENT__INIT;

    event.kind_case = VMAFX__V1__SCORE_EVENT__KIND_SERIES;
    event.series = series;
    tell(ctx, &event);
}

static void on_frames(void *ctx, Scoring *scoring, Vmafx__V1__Frames *frames)
{
    Vmafx__V1__ScoreEvent event = VMAFX__V1__SCORE_EVENT__INIT;

    event.kind_case = VMAFX__V1__SCORE_EVENT__KIND_FRAMES;
    event.frames = frames;
    tell(ctx, &event);
}

static void on_ended(void *ctx, Scoring *scoring)
{
    Pair *pair = ctx;
    Batch *batch = pair->batch;
    const ScoringEnd *end = scoring_end(scoring);

    tell_ended(batch, pair->index, scoring, end->err, end->message);
    pthread_mutex_lock(&batch->lock);
    Scoring *held = VMAFX_TAKE(pair->scoring); /* NULL: it ended before its start had returned */
    pair->ended = true;
    batch->n_live--;
    batch->n_ended++;
    batch->again |= batch->advancing; /* whoever finds no room right now is to try again */
    pthread_mutex_unlock(&batch->lock);
    scoring_unref(&held);
    VMAFX_IGNORE(advance(batch, false, NULL, NULL)); /* only the first beginning can fail a call */
}

/* ---- beginning ---- */

static VmafxErr begin(Batch *batch, size_t index, uint32_t *ret_retry_ms, VmafxErrInfo *reterr)
{
    const BatchStart *start = &batch->start;
    const Vmafx__V1__ScoreRequest *request = start->requests[index];
    Pair *pair = &batch->pairs[index];
    Scoring *scoring = NULL;
    char path[32];

    if (start->one)
        snprintf(path, sizeof path, "request");
    else
        snprintf(path, sizeof path, "pairs[%zu]", index);
    bool live = start->live && request->frames;
    VmafxErr err =
        scoring_start(batch->server,
                      &(ScoringStart){ .path = path,
                                       .who = batch->who,
                                       .request = request,
                                       .fds = { start->one ? start->fds[0] : -1, start->one ? start->fds[1] : -1 },
                                       .names = { start->names[0], start->names[1] },
                                       .context = batch->context,
                                       .keep_frames = start->keep_frames && request->frames,
                                       .sink = { .progress = on_progress,
                                                 .series = live ? on_series : NULL,
                                                 .frames = live ? on_frames : NULL,
                                                 .ended = on_ended,
                                                 .ctx = pair } },
                      &scoring, ret_retry_ms, reterr);
    if (err)
        return err;
    pthread_mutex_lock(&batch->lock);
    if (!pair->ended)
        pair->scoring = VMAFX_TAKE(scoring);
    bool cancel = batch->cancelled && pair->scoring;
    Scoring *cancelled = cancel ? scoring_ref(pair->scoring) : NULL;
    pthread_mutex_unlock(&batch->lock);
    if (cancelled)
        scoring_cancel(cancelled);
    scoring_unref(&cancelled);
    scoring_unref(&scoring);
    return VMAFX_OK;
}

/* What a pair that could not begin says instead of an end. */
static void skip(Batch *batch, size_t index, VmafxErr err, const char *message)
{
    tell_ended(batch, index, NULL, err, message && *message ? message : vmafx_err_text(err));
    pthread_mutex_lock(&batch->lock);
    batch->n_live--;
    batch->n_ended++;
    pthread_mutex_unlock(&batch->lock);
}

/* The next to begin, counted as living; false: nothing to do now. */
static bool take_next(Batch *batch, size_t *ret_index, bool *ret_cancelled)
{
    int most = batch->start.one ? 1 : batch->server->limits.batch_at_once;

    pthread_mutex_lock(&batch->lock);
    bool take = batch->next < batch->start.n && (batch->n_live < most || batch->cancelled);
    *ret_cancelled = batch->cancelled;
    if (take) {
        *ret_index = batch->next++;
        batch->n_live++;
    } else if (batch->again) {
        batch->again = false;
        take = true;
        *ret_index = SIZE_MAX; /* look again */
    } else {
        batch->advancing = false;
    }
    pthread_mutex_unlock(&batch->lock);
    return take;
}

/*
 * There was no room for it. True: one of ours that ends will make room and come here, so it waits without a place.
 * *ret_go_on: one has ended meanwhile.
 */
static bool put_back(Batch *batch, size_t index, bool *ret_go_on)
{
    pthread_mutex_lock(&batch->lock);
    bool back = batch->n_live > 1 || batch->again;
    if (back) {
        batch->next = index;
        batch->n_live--;
        *ret_go_on = batch->again;
        batch->advancing = batch->again;
        batch->again = false;
    }
    pthread_mutex_unlock(&batch->lock);
    return back;
}

static void finish_if_done(Batch *batch)
{
    pthread_mutex_lock(&batch->lock);
    bool done = !batch->done && (size_t)batch->n_ended == batch->start.n;
    batch->done |= done;
    pthread_mutex_unlock(&batch->lock);
    if (!done)
        return;
    batch->start.sink.done(batch->start.sink.ctx);
    batch_unref(&batch);
}

/* Begins as many as may be. first: an error of the first pair may be that of the call. */
static VmafxErr advance(Batch *batch, bool first, uint32_t *ret_retry_ms, VmafxErrInfo *reterr)
{
    VmafxErr err = VMAFX_OK;
    size_t index;
    bool cancelled, go_on;

    pthread_mutex_lock(&batch->lock);
    bool mine = !batch->advancing;
    batch->again = !mine;
    batch->advancing = true;
    pthread_mutex_unlock(&batch->lock);
    if (!mine)
        return VMAFX_OK;
    atomic_fetch_add(&batch->refs, 1);
    while (take_next(batch, &index, &cancelled)) {
        VmafxErrInfo info = { 0 };
        uint32_t retry_ms = 0;

        if (index == SIZE_MAX)
            continue;
        err = cancelled ? VMAFX_ERR_CANCELLED : begin(batch, index, &retry_ms, &info);
        if (err && first && (batch->start.one || err == VMAFX_ERR_BUSY || err == VMAFX_ERR_STOPPED)) {
            *ret_retry_ms = retry_ms;
            if (reterr)
                *reterr = info;
            break; /* there is no batch then */
        }
        if (err == VMAFX_ERR_BUSY && put_back(batch, index, &go_on)) {
            err = VMAFX_OK;
            if (!go_on)
                break;
            continue;
        }
        if (err)
            skip(batch, index, err, info.message);
        err = VMAFX_OK;
        first = false;
    }
    if (!err)
        finish_if_done(batch);
    batch_unref(&batch);
    return err;
}

VmafxErr batch_start(Server *server, const BatchStart *start, Batch **ret, uint32_t *ret_retry_ms, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(batch_unref) Batch *batch = calloc(1, sizeof *batch + start->n * sizeof(Pair));

    if (!batch)
        return VMAFX_ERR_NOMEM;
    batch->server = server;
    atomic_init(&batch->refs, 1);
    batch->start = *start;
    snprintf(batch->who, sizeof batch->who, "%s", start->who);
    batch->context = vmafx_context_ref(start->context);
    pthread_mutex_init(&batch->lock, NULL);
    for (size_t i = 0; i < start->n; i++)
        batch->pairs[i] = (Pair){ .batch = batch, .index = i };
    atomic_fetch_add(&batch->refs, 1); /* its own, until done */
    VmafxErr err = advance(batch, true, ret_retry_ms, reterr);
    if (err) {
        atomic_fetch_sub(&batch->refs, 1);
        return err;
    }
    *ret = VMAFX_TAKE(batch);
    return VMAFX_OK;
}

void batch_cancel(Batch *batch)
{
    Scoring *live[SERVER_PAIRS_MAX];
    size_t n = 0;

    pthread_mutex_lock(&batch->lock);
    batch->cancelled = true;
    for (size_t i = 0; i < batch->start.n; i++)
        if (batch->pairs[i].scoring)
            live[n++] = scoring_ref(batch->pairs[i].scoring);
    pthread_mutex_unlock(&batch->lock);
    for (size_t i = 0; i < n; i++) {
        scoring_cancel(live[i]);
        scoring_unref(&live[i]);
    }
    VMAFX_IGNORE(advance(batch, false, NULL, NULL)); /* those that had not begun are told of as cancelled */
}

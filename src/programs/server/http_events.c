/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Answers that are an event stream: progress, series, frames and outcome as they come, each as the JSON of its message
 * (of ScoreBatchEvent for a batch); `error` where there is no outcome. A peer that does not read is cut, and what
 * leaves is not scored for.
 */

#include <string.h>

#include "base/base.h"
#include "programs/server/http_internal.h"

/* Held by the connection until it is over, by the batch until it is done, and by the handler while it works. */
typedef struct Told {
    atomic_int refs;
    HttpAsked *asked;
    VmafxHttpEvents *events;

    pthread_mutex_t lock; /* covers everything below */
    Batch *batch;
    bool closed;
} Told;

static void told_unref(Told *told)
{
    if (atomic_fetch_sub_explicit(&told->refs, 1, memory_order_acq_rel) > 1)
        return;
    if (told->asked)
        http_asked_done(told->asked);
    free(told->asked);
    batch_unref(&told->batch);
    vmafx_http_events_unref(&told->events);
    pthread_mutex_destroy(&told->lock);
    free(told);
}

static void cancel(Told *told)
{
    pthread_mutex_lock(&told->lock);
    Batch *batch = told->batch;
    told->closed = true;
    pthread_mutex_unlock(&told->lock);
    if (batch)
        batch_cancel(batch);
}

static void send(Told *told, const char *name, const ProtobufCMessage *message)
{
    VMAFX_AUTO(vmafx_free_p) char *json = vmafx_message_json(message);

    if (!json || vmafx_http_events_send(told->events, NULL, name, json))
        cancel(told); /* gone, or does not read */
}

static void send_event(Told *told, size_t index, const char *name, const Vmafx__V1__ScoreEvent *event,
                       const ProtobufCMessage *inner)
{
    Vmafx__V1__ScoreBatchEvent line = VMAFX__V1__SCORE_BATCH_EVENT__INIT;

    line.index = (int32_t)index;
    line.event = (Vmafx__V1__ScoreEvent *)(uintptr_t)event;
    send(told, name, told->asked->batch ? &line.base : inner);
}

static void on_event(void *ctx, size_t index, const Vmafx__V1__ScoreEvent *event)
{
    switch (event->kind_case) {
    case VMAFX__V1__SCORE_EVENT__KIND_PROGRESS:
        send_event(ctx, index, "progress", event, &event->progress->base);
        break;
    case VMAFX__V1__SCORE_EVENT__KIND_SERIES:
        send_event(ctx, index, "series", event, &event->series->base);
        break;
    case VMAFX__V1__SCORE_EVENT__KIND_FRAMES:
        send_event(ctx, index, "frames", event, &event->frames->base);
        break;
    default:
        break;
    }
}

static void on_ended(void *ctx, size_t index, Scoring *scoring, VmafxErr err, const char *message)
{
    Told *told = ctx;
    Vmafx__V1__ScoreEvent event = VMAFX__V1__SCORE_EVENT__INIT;
    Vmafx__V1__ScoreBatchEvent line = VMAFX__V1__SCORE_BATCH_EVENT__INIT;

    if (!err) {
        event.kind_case = VMAFX__V1__SCORE_EVENT__KIND_OUTCOME;
        event.outcome = (Vmafx__V1__ScoreOutcome *)(uintptr_t)scoring_end(scoring)->outcome;
        send_event(told, index, "outcome", &event, &event.outcome->base);
        return;
    }
    line.index = (int32_t)index; /* a call of one has index 0 there */
    line.error = (char *)(uintptr_t)vmafx_err_name(err);
    line.message = (char *)(uintptr_t)(message ? message : "");
    send(told, "error", &line.base);
}

static void on_done(void *ctx)
{
    Told *told = ctx;

    vmafx_http_events_finish(told->events);
    told_unref(told);
}

static void on_closed(void *ctx, VmafxHttpEvents *events)
{
    cancel(ctx);
    told_unref(ctx);
}

VmafxErr http_answer_events(HttpAsked **asked, VmafxHttpCall *call, VmafxHttpAnswer *answer, VmafxErrInfo *reterr)
{
    Told *told = calloc(1, sizeof *told);
    Batch *batch = NULL;

    if (!told)
        return VMAFX_ERR_NOMEM;
    atomic_init(&told->refs, 3);
    pthread_mutex_init(&told->lock, NULL);
    VmafxErr err = vmafx_http_call_events(
        call,
        &(VmafxHttpEventsConfig){
            .queue_max_bytes = (*asked)->server->limits.events_bytes, .closed = on_closed, .ctx = told },
        &told->events, reterr);
    if (err) {
        atomic_store(&told->refs, 1);
        told_unref(told);
        return err;
    }
    told->asked = VMAFX_TAKE(*asked);
    err = http_begin(told->asked, true,
                     &(BatchSink){ .event = on_event, .ended = on_ended, .done = on_done, .ctx = told },
                     vmafx_context_current(), &batch, answer, reterr);
    if (err) {
        atomic_fetch_sub(&told->refs, 1); /* the batch that is not there */
        told_unref(told);
        return err; /* closed comes, as the handler fails */
    }
    pthread_mutex_lock(&told->lock);
    told->batch = batch;
    bool closed = told->closed;
    pthread_mutex_unlock(&told->lock);
    if (closed)
        batch_cancel(batch);
    told_unref(told);
    return VMAFX_OK;
}

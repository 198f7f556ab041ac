/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Followers of jobs. A table of topics by job id: each holds its watchers and the job's last progress. A topic lives
 * while someone watches or the job runs.
 *
 * No change is missed: a watcher joins its topic before the job is read, under the topic's lock, so what happens later
 * is sent later. What happened just before may be told twice: once in the first message, once as an event.
 */

#include "programs/controller/watch.h"

#include <pthread.h>
#include <string.h>

#include "base/base.h"
#include "programs/controller/convert.h"
#include "programs/controller/jobs.h"

#define BUCKETS         4096 /* a power of two */
#define PROGRESS_GAP_NS 250000000u

typedef struct Watcher {
    WatchHub *hub;
    struct Topic *topic; /* NULL: not joined, or left */
    VmafxRpcStream *stream;
    struct Watcher *next;
} Watcher;

typedef struct Topic {
    VmafxJobId id;
    Watcher *watchers;
    VmafxJob job; /* RUNNING: the row of the last event, for progress */
    bool running;
    Vmafx__V1__Progress progress;
    bool has_progress;
    uint64_t told_at;
    struct Topic *next;
} Topic;

struct WatchHub {
    VmafxStore *store;

    pthread_mutex_t lock; /* covers everything below; sending on a stream does not wait, so it is done under it */
    Topic *buckets[BUCKETS];
    size_t n_watchers;
};

static size_t bucket_of(const VmafxJobId *id)
{
    return (((size_t)id->bytes[14] << 8) | id->bytes[15]) & (BUCKETS - 1); /* the last bytes of an id are random */
}

static Topic **find(WatchHub *hub, const VmafxJobId *id)
{
    Topic **at = &hub->buckets[bucket_of(id)];

    while (*at && memcmp((*at)->id.bytes, id->bytes, sizeof id->bytes) != 0)
        at = &(*at)->next;
    return at;
}

static Topic *find_or_make(WatchHub *hub, const VmafxJobId *id)
{
    Topic **at = find(hub, id);

    if (!*at && (*at = calloc(1, sizeof **at)))
        (*at)->id = *id;
    return *at;
}

static void drop_if_unused(WatchHub *hub, const VmafxJobId *id)
{
    Topic **at = find(hub, id), *topic = *at;

    if (!topic || topic->watchers || topic->running)
        return;
    *at = topic->next;
    free(topic);
}

/* ---- Sending ---- */

static void send_message(VmafxRpcStream *stream, const Vmafx__V1__WatchJobResponse *response)
{
    VMAFX_AUTO(vmafx_free_p) uint8_t *data = NULL;
    size_t len;

    if (vmafx_message_pack(&response->base, &data, &len))
        vmafx_rpc_stream_finish(stream, VMAFX_ERR_NOMEM, vmafx_err_text(VMAFX_ERR_NOMEM));
    else
        VMAFX_IGNORE(vmafx_rpc_stream_send(stream, data, len)); /* it is closing then, which closed() will tell */
}

/** To all watchers of a topic: packed once. */
static void publish(Topic *topic, const VmafxJob *job, const VmafxEvent *event, Vmafx__V1__Progress *progress)
{
    VMAFX_AUTO(vmafx_free_p) uint8_t *data = NULL;
    Vmafx__V1__WatchJobResponse response = VMAFX__V1__WATCH_JOB_RESPONSE__INIT;
    Vmafx__V1__Event event_view;
    JobView view;
    size_t len;
    VmafxErr err = job_view_init(&view, job, NULL, 0, NULL);

    view.message.progress = progress;
    response.job = &view.message;
    if (event) {
        event_view_init(&event_view, event);
        response.event = &event_view;
    }
    if (!err)
        err = vmafx_message_pack(&response.base, &data, &len);
    for (Watcher *w = topic->watchers; w; w = w->next) {
        if (err)
            vmafx_rpc_stream_finish(w->stream, err, vmafx_err_text(err));
        else
            VMAFX_IGNORE(vmafx_rpc_stream_send(w->stream, data, len));
        if (event && event->kind == VMAFX_EVENT_ENDED) /* the events before it carry the same row */
            vmafx_rpc_stream_finish(w->stream, VMAFX_OK, NULL);
    }
}

void watch_hub_events(WatchHub *hub, const VmafxEvent *events, const VmafxJob *const *jobs, size_t n)
{
    pthread_mutex_lock(&hub->lock);
    for (size_t i = 0; i < n; i++) {
        bool starts = events[i].kind == VMAFX_EVENT_LEASED;
        Topic *topic = starts ? find_or_make(hub, &events[i].job) : *find(hub, &events[i].job);
        if (!topic)
            continue;
        topic->running = jobs[i]->state == VMAFX_JOB_RUNNING;
        topic->job = *jobs[i];
        if (events[i].kind != VMAFX_EVENT_SUBMITTED && !starts)
            topic->has_progress = topic->has_progress && topic->running;
        if (topic->watchers)
            publish(topic, jobs[i], &events[i], NULL);
        drop_if_unused(hub, &events[i].job);
    }
    pthread_mutex_unlock(&hub->lock);
}

void watch_hub_progress(WatchHub *hub, const VmafxJobId *id, const Vmafx__V1__Progress *progress, uint64_t now)
{
    pthread_mutex_lock(&hub->lock);
    Topic *topic = *find(hub, id);
    if (topic && topic->running) {
        vmafx__v1__progress__init(&topic->progress);
        topic->progress.frames = progress->frames;
        topic->progress.frames_total = progress->frames_total;
        topic->progress.frame_rate = progress->frame_rate;
        topic->has_progress = true;
        if (topic->watchers && now - topic->told_at >= PROGRESS_GAP_NS) {
            topic->told_at = now;
            publish(topic, &topic->job, NULL, &topic->progress);
        }
    }
    pthread_mutex_unlock(&hub->lock);
}

bool watch_hub_progress_get(WatchHub *hub, const VmafxJobId *id, Vmafx__V1__Progress *ret)
{
    pthread_mutex_lock(&hub->lock);
    Topic *topic = *find(hub, id);
    bool has = topic && topic->has_progress;
    if (has)
        *ret = topic->progress;
    pthread_mutex_unlock(&hub->lock);
    return has;
}

/* ---- The stream ---- */

static VmafxErr watch_open(void *ctx, VmafxRpcStream *stream, void **ret_state, VmafxErrInfo *reterr)
{
    WatchHub *hub = ctx;
    Watcher *watcher = calloc(1, sizeof *watcher);

    if (!watcher)
        return VMAFX_ERR_NOMEM;
    pthread_mutex_lock(&hub->lock);
    bool full = hub->n_watchers >= WATCHERS_MAX;
    hub->n_watchers += !full;
    pthread_mutex_unlock(&hub->lock);
    if (full) {
        free(watcher);
        return vmafx_fail(reterr, VMAFX_ERR_BUSY, "%d streams watch already", WATCHERS_MAX);
    }
    watcher->hub = hub;
    watcher->stream = vmafx_rpc_stream_ref(stream);
    *ret_state = watcher;
    return VMAFX_OK;
}

static void leave(Watcher *watcher)
{
    Topic *topic = watcher->topic;

    if (!topic)
        return;
    for (Watcher **at = &topic->watchers; *at; at = &(*at)->next)
        if (*at == watcher) {
            *at = watcher->next;
            break;
        }
    watcher->topic = NULL;
    drop_if_unused(watcher->hub, &topic->id);
}

/** With the lock held: reading one row takes microseconds, and nothing can happen in between. */
static VmafxErr join(Watcher *watcher, const VmafxJobId *id, const char *text, VmafxErrInfo *reterr)
{
    WatchHub *hub = watcher->hub;
    VMAFX_AUTO(vmafx_stored_job_done) VmafxStoredJob stored = { 0 };
    VMAFX_AUTO(job_view_done) JobView view = { 0 };
    Vmafx__V1__WatchJobResponse response = VMAFX__V1__WATCH_JOB_RESPONSE__INIT;
    VmafxErr err = vmafx_store_get(hub->store, id, &stored);

    if (err == VMAFX_ERR_NOT_FOUND)
        return vmafx_fail(reterr, err, "there is no job %s", text);
    if (!err)
        err = job_view_init(&view, &stored.job, stored.spec, stored.spec_len, reterr);
    if (err)
        return err;
    bool ended = vmafx_job_has_ended(&stored.job);
    Topic *topic = ended ? NULL : find_or_make(hub, id);
    if (!topic && !ended)
        return VMAFX_ERR_NOMEM;
    if (topic) {
        topic->job = stored.job;
        topic->running = stored.job.state == VMAFX_JOB_RUNNING;
        watcher->topic = topic;
        watcher->next = topic->watchers;
        topic->watchers = watcher;
        if (topic->has_progress)
            view.message.progress = &topic->progress;
    }
    response.job = &view.message;
    send_message(watcher->stream, &response);
    if (ended)
        vmafx_rpc_stream_finish(watcher->stream, VMAFX_OK, NULL);
    return VMAFX_OK;
}

static void watch_message(void *state, VmafxRpcStream *stream, const void *data, size_t len)
{
    Watcher *watcher = state;
    VMAFX_AUTO(vmafx_message_free) VmafxMessage *message = NULL;
    VmafxErrInfo info = { 0 };
    VmafxJobId id;
    VmafxErr err = vmafx_message_unpack(&vmafx__v1__watch_job_request__descriptor, data, len, 0, &message, &info);

    if (!err && watcher->topic)
        err = vmafx_fail(&info, VMAFX_ERR_INVALID, "one request opens this stream");
    if (!err) {
        const char *text = ((const Vmafx__V1__WatchJobRequest *)vmafx_message_get(message))->id;
        err = job_id_from(text, &id, &info);
        if (!err) {
            pthread_mutex_lock(&watcher->hub->lock);
            err = join(watcher, &id, text, &info);
            pthread_mutex_unlock(&watcher->hub->lock);
        }
    }
    if (err)
        vmafx_rpc_stream_finish(stream, err, info.message);
}

static void watch_closed(void *state, VmafxRpcStream *stream)
{
    Watcher *watcher = state;
    WatchHub *hub = watcher->hub;

    pthread_mutex_lock(&hub->lock);
    leave(watcher);
    hub->n_watchers--;
    pthread_mutex_unlock(&hub->lock);
    vmafx_rpc_stream_unref(&watcher->stream);
    free(watcher);
}

VmafxRpcMethod watch_method(WatchHub *hub)
{
    return (VmafxRpcMethod){
        .path = "/vmafx.v1.Jobs/WatchJob",
        .open = watch_open,
        .message = watch_message,
        .closed = watch_closed,
        .ctx = hub,
    };
}

/* ---- The hub ---- */

WatchHub *watch_hub_new(VmafxStore *store)
{
    WatchHub *hub = calloc(1, sizeof *hub);

    if (!hub)
        return NULL;
    hub->store = store;
    pthread_mutex_init(&hub->lock, NULL);
    return hub;
}

void watch_hub_free(WatchHub **hub)
{
    if (*hub) {
        for (size_t i = 0; i < BUCKETS; i++)
            while ((*hub)->buckets[i]) {
                Topic *topic = (*hub)->buckets[i];
                (*hub)->buckets[i] = topic->next;
                free(topic);
            }
        pthread_mutex_destroy(&(*hub)->lock);
    }
    free(*hub);
    *hub = NULL;
}

void watch_hub_stop(WatchHub *hub)
{
    pthread_mutex_lock(&hub->lock);
    for (size_t i = 0; i < BUCKETS; i++)
        for (Topic *topic = hub->buckets[i]; topic; topic = topic->next)
            for (Watcher *w = topic->watchers; w; w = w->next)
                vmafx_rpc_stream_finish(w->stream, VMAFX_ERR_STOPPED, "the controller is stopping");
    pthread_mutex_unlock(&hub->lock);
}

size_t watch_hub_count(WatchHub *hub)
{
    pthread_mutex_lock(&hub->lock);
    size_t n = hub->n_watchers;
    pthread_mutex_unlock(&hub->lock);
    return n;
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Followers of jobs. A table of topics by job id: each holds its followers and the job's last progress. A topic lives
 * while someone follows or the job runs.
 *
 * No change is missed and none is told twice: a follower joins its topic under the lock, with the number of the last
 * event that it has read from the store, and is told later ones only. What is on disk before is read, what gets there
 * later is published under the same lock.
 */

#include "programs/controller/watch.h"

#include <pthread.h>
#include <string.h>

#include "base/base.h"
#include "programs/controller/convert.h"
#include "programs/controller/jobs.h"

#define BUCKETS         4096 /* a power of two */
#define PROGRESS_GAP_NS 250000000u

typedef struct Topic {
    VmafxJobId id;
    Follower *followers;
    VmafxJob job; /* RUNNING: the row of the last event, for progress */
    bool running;
    Vmafx__V1__Progress progress;
    bool has_progress;
    uint64_t told_at;
    struct Topic *next;
} Topic;

struct WatchHub {
    VmafxStore *store;

    pthread_mutex_t lock; /* covers everything below; telling a follower does not wait, so it is done under it */
    Topic *buckets[BUCKETS];
    size_t n_followers;
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

    if (!topic || topic->followers || topic->running)
        return;
    *at = topic->next;
    free(topic);
}

/* ---- Telling ---- */

struct WatchNews {
    const Vmafx__V1__WatchJobResponse *message;
    const char *kind;
    int64_t sequence;
    uint8_t *packed;
    size_t packed_len;
    char *json;
};

static void news_done(WatchNews *news)
{
    free(news->packed);
    free(news->json);
}

const uint8_t *watch_news_packed(WatchNews *news, size_t *ret_len)
{
    if (!news->packed && vmafx_message_pack(&news->message->base, &news->packed, &news->packed_len))
        return NULL;
    *ret_len = news->packed_len;
    return news->packed;
}

const char *watch_news_json(WatchNews *news)
{
    if (!news->json)
        news->json = vmafx_message_json(&news->message->base);
    return news->json;
}

const char *watch_news_kind(const WatchNews *news)
{
    return news->kind;
}

int64_t watch_news_sequence(const WatchNews *news)
{
    return news->sequence;
}

/** To all followers of a topic who do not know it yet; progress only to those who keep up. */
static void publish(Topic *topic, const VmafxJob *job, const VmafxEvent *event, Vmafx__V1__Progress *progress)
{
    Vmafx__V1__WatchJobResponse response = VMAFX__V1__WATCH_JOB_RESPONSE__INIT;
    VMAFX_AUTO(news_done)
    WatchNews news = { .message = &response,
                       .kind = event ? "change" : "progress",
                       .sequence = event ? event->sequence : 0 };
    Vmafx__V1__Event event_view;
    JobView view;

    VMAFX_IGNORE(job_view_init(&view, job, NULL, 0, NULL)); /* without a request there is nothing to fail */
    view.message.progress = progress;
    response.job = &view.message;
    if (event) {
        event_view_init(&event_view, event);
        response.event = &event_view;
    }
    for (Follower *f = topic->followers; f; f = f->next) {
        if (event ? event->sequence <= f->seen : f->door->waiting(f) > WATCH_LAG_BYTES)
            continue;
        if (event)
            f->seen = event->sequence;
        f->door->tell(f, &news);
        if (event && event->kind == VMAFX_EVENT_ENDED) /* the events before it carry the same row */
            f->door->end(f, VMAFX_OK, NULL);
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
        if (topic->followers)
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
        if (topic->followers && now - topic->told_at >= PROGRESS_GAP_NS) {
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

/* ---- Followers ---- */

VmafxErr watch_hub_enter(WatchHub *hub, const FollowerDoor *door, Follower *follower, VmafxErrInfo *reterr)
{
    pthread_mutex_lock(&hub->lock);
    bool full = hub->n_followers >= WATCHERS_MAX;
    hub->n_followers += !full;
    pthread_mutex_unlock(&hub->lock);
    if (full)
        return vmafx_fail(reterr, VMAFX_ERR_BUSY, "%d streams watch already", WATCHERS_MAX);
    follower->hub = hub;
    follower->door = door;
    return VMAFX_OK;
}

void watch_hub_leave(Follower *follower)
{
    WatchHub *hub = follower->hub;

    pthread_mutex_lock(&hub->lock);
    Topic *topic = follower->topic;
    for (Follower **at = topic ? &topic->followers : NULL; at && *at; at = &(*at)->next)
        if (*at == follower) {
            *at = follower->next;
            break;
        }
    follower->topic = NULL;
    if (topic)
        drop_if_unused(hub, &topic->id);
    hub->n_followers--;
    pthread_mutex_unlock(&hub->lock);
}

static void tell_event(Follower *follower, const VmafxEvent *event)
{
    Vmafx__V1__WatchJobResponse response = VMAFX__V1__WATCH_JOB_RESPONSE__INIT;
    VMAFX_AUTO(news_done)
    WatchNews news = { .message = &response, .kind = "change", .sequence = event->sequence };
    Vmafx__V1__Event view;

    event_view_init(&view, event);
    response.event = &view;
    follower->door->tell(follower, &news);
}

static VmafxErr tell_job(Follower *follower, const VmafxStoredJob *stored, Vmafx__V1__Progress *progress,
                         int64_t sequence, VmafxErrInfo *reterr)
{
    Vmafx__V1__WatchJobResponse response = VMAFX__V1__WATCH_JOB_RESPONSE__INIT;
    VMAFX_AUTO(news_done) WatchNews news = { .message = &response, .kind = "job", .sequence = sequence };
    VMAFX_AUTO(job_view_done) JobView view = { 0 };
    VmafxErr err = job_view_init(&view, &stored->job, stored->spec, stored->spec_len, reterr);

    if (err)
        return err;
    view.message.progress = progress;
    response.job = &view.message;
    follower->door->tell(follower, &news);
    return VMAFX_OK;
}

/** Reads the events after `seen`, and tells them where the follower resumes. */
static VmafxErr catch_up(Follower *follower, const VmafxJobId *id, bool resumes, bool *ret_ended)
{
    size_t n;

    do {
        VMAFX_AUTO(vmafx_stored_events_done) VmafxStoredEvents events = { 0 };
        VmafxErr err = vmafx_store_events(follower->hub->store, id, follower->seen, VMAFX_STORE_PAGE_MAX, &events);

        if (err)
            return err;
        n = events.n;
        for (size_t i = 0; i < n; i++) {
            if (resumes)
                tell_event(follower, &events.items[i]);
            *ret_ended |= events.items[i].kind == VMAFX_EVENT_ENDED;
            follower->seen = events.items[i].sequence;
        }
    } while (n == VMAFX_STORE_PAGE_MAX);
    return VMAFX_OK;
}

static VmafxErr enter_topic(Follower *follower, const VmafxJob *job)
{
    Topic *topic = find_or_make(follower->hub, &job->id);

    if (!topic)
        return VMAFX_ERR_NOMEM;
    topic->job = *job;
    topic->running = job->state == VMAFX_JOB_RUNNING;
    follower->topic = topic;
    follower->next = topic->followers;
    topic->followers = follower;
    return VMAFX_OK;
}

/**
 * With the lock held: what is left to read is what happened in the last moments, and nothing can happen in between. The
 * row is read after the events and is no older than they are; only where it resumes, and has been told the job, before
 * them, so that an end in the row is among the events.
 */
static VmafxErr join_locked(Follower *follower, const Caller *caller, const char *text, const VmafxJobId *id,
                            bool resumes, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(vmafx_stored_job_done) VmafxStoredJob stored = { 0 };
    Topic *topic = *find(follower->hub, id);
    bool ended = false;
    VmafxErr err = resumes ? job_read(follower->hub->store, caller, text, &stored, reterr) : VMAFX_OK;

    if (!err)
        err = catch_up(follower, id, resumes, &ended);
    if (!err && !resumes)
        err = job_read(follower->hub->store, caller, text, &stored, reterr);
    if (!err && !resumes)
        err =
            tell_job(follower, &stored, topic && topic->has_progress ? &topic->progress : NULL, follower->seen, reterr);
    if (err)
        return err;
    if (!ended && !vmafx_job_has_ended(&stored.job))
        return enter_topic(follower, &stored.job);
    follower->door->end(follower, VMAFX_OK, NULL);
    return VMAFX_OK;
}

VmafxErr watch_hub_join(Follower *follower, const Caller *caller, const char *text, int64_t after, VmafxErrInfo *reterr)
{
    WatchHub *hub = follower->hub;
    VMAFX_AUTO(vmafx_stored_job_done) VmafxStoredJob stored = { 0 };
    bool resumes = after >= 0, ended = false;
    VmafxErr err = job_read(hub->store, caller, text, &stored, reterr);

    if (err)
        return err;
    follower->seen = resumes ? after : 0;
    if (resumes) /* without a number: where the connection breaks before the rest came, it is asked for again */
        err = tell_job(follower, &stored, NULL, 0, reterr);
    if (!err) /* most of it without the lock */
        err = catch_up(follower, &stored.job.id, resumes, &ended);
    if (!err && resumes && ended) {
        follower->door->end(follower, VMAFX_OK, NULL);
        return VMAFX_OK;
    }
    if (err)
        return err;
    pthread_mutex_lock(&hub->lock);
    err = join_locked(follower, caller, text, &stored.job.id, resumes, reterr);
    pthread_mutex_unlock(&hub->lock);
    return err;
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
            for (Follower *f = topic->followers; f; f = f->next)
                f->door->end(f, VMAFX_ERR_STOPPED, "the controller is stopping");
    pthread_mutex_unlock(&hub->lock);
}

size_t watch_hub_count(WatchHub *hub)
{
    pthread_mutex_lock(&hub->lock);
    size_t n = hub->n_followers;
    pthread_mutex_unlock(&hub->lock);
    return n;
}

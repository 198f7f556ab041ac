/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Jobs that live in this process: one list, newest last, under one lock. */

#include "programs/mcp/local_jobs.h"
#include "rpc/spec_check.h"

#include <pthread.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "base/base.h"
#include "base/clock.h"
#include "base/columns.h"
#include "inputs/inputs.h"

#define GIVEN_UP_CHECK_NS 100000000u /* how often those who wait are asked whether they still do */
#define MESSAGE_BUDGET    ((size_t)16 << 20)

/** A packed StoredResult, shared by the job and those who read it. */
typedef struct Blob {
    atomic_int refs;
    size_t len;
    uint8_t data[];
} Blob;

struct LocalJob {
    LocalJobs *owner;
    VmafxMessage *message; /* the request, a copy */
    VmafxContext *context;
    uint64_t tag;
    atomic_bool stop;

    /* Covered by the owner's lock */
    JobView view;
    Blob *result;
    bool taken; /* a thread has it: not dropped */
    LocalJob *next;
};

struct LocalJobs {
    void (*run)(void *ctx, LocalJob *job);
    void (*stop)(void *ctx, LocalJob *job);
    void *ctx;
    int slots;

    pthread_mutex_t lock;  /* covers everything below */
    pthread_cond_t change; /* by CLOCK_MONOTONIC; any job, or stopping */
    LocalJob *first;       /* oldest first */
    int n_jobs, n_threads;
    size_t result_bytes;
    uint64_t last_tag;
    bool stopping;
    pthread_t threads[LOCAL_SLOTS_MAX];
};

static void blob_unref(Blob **blob)
{
    if (*blob && atomic_fetch_sub(&(*blob)->refs, 1) == 1)
        free(*blob);
    *blob = NULL;
}

static int64_t now_us(void)
{
    return (int64_t)vmafx_wall_ns() / 1000;
}

/** A UUID of version 7 (RFC 9562, section 5.7). */
static void make_id(int64_t us, char ret[JOB_ID_TEXT])
{
    uint8_t b[16];
    uint64_t ms = (uint64_t)us / 1000;

    for (int i = 0; i < 6; i++)
        b[i] = (uint8_t)(ms >> (40 - 8 * i));
    if (getrandom(b + 6, 10, 0) != 10)
        memset(b + 6, 0, 10); /* cannot be: the pool is ready and the request small */
    b[6] = (uint8_t)(0x70 | (b[6] & 0x0f));
    b[8] = (uint8_t)(0x80 | (b[8] & 0x3f));
    snprintf(ret, JOB_ID_TEXT, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1], b[2],
             b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
}

static void job_free(LocalJob *job)
{
    vmafx_message_free(&job->message);
    vmafx_context_unref(&job->context);
    blob_unref(&job->result);
    free(job);
}

/* ---- The list; the lock is held ---- */

static LocalJob *find(const LocalJobs *jobs, const char *id)
{
    for (LocalJob *job = jobs->first; job; job = job->next)
        if (!strcmp(job->view.id, id))
            return job;
    return NULL;
}

static VmafxErr unknown(const char *id, VmafxErrInfo *reterr)
{
    return vmafx_fail(reterr, VMAFX_ERR_NOT_FOUND,
                      "there is no job '%.64s' here. Jobs are remembered while this program runs, the last %d of them",
                      id, LOCAL_JOBS_MAX);
}

static void drop_result(LocalJobs *jobs, LocalJob *job)
{
    if (!job->result)
        return;
    jobs->result_bytes -= job->result->len;
    blob_unref(&job->result);
    job->view.has_result = false;
}

/** Makes room for one more; false: everything there still runs or waits. */
static bool make_room(LocalJobs *jobs)
{
    if (jobs->n_jobs < LOCAL_JOBS_MAX)
        return true;
    for (LocalJob **at = &jobs->first; *at; at = &(*at)->next) {
        LocalJob *job = *at;
        if (!job_has_ended(&job->view) || job->taken)
            continue;
        *at = job->next;
        jobs->n_jobs--;
        drop_result(jobs, job);
        job_free(job);
        return true;
    }
    return false;
}

static LocalJob *next_queued(LocalJobs *jobs)
{
    for (LocalJob *job = jobs->first; job; job = job->next)
        if (job->view.state == VMAFX__V1__JOB_STATE__JOB_STATE_QUEUED)
            return job;
    return NULL;
}

static void end_as_cancelled(LocalJob *job)
{
    job->view.state = VMAFX__V1__JOB_STATE__JOB_STATE_CANCELLED;
    job->view.ended_us = now_us();
}

/* ---- Threads ---- */

static void *work(void *arg)
{
    LocalJobs *jobs = arg;

    pthread_mutex_lock(&jobs->lock);
    while (!jobs->stopping) {
        LocalJob *job = next_queued(jobs);
        if (!job) {
            pthread_cond_wait(&jobs->change, &jobs->lock);
            continue;
        }
        job->taken = true;
        job->view.state = VMAFX__V1__JOB_STATE__JOB_STATE_RUNNING;
        job->view.started_us = now_us();
        pthread_cond_broadcast(&jobs->change);
        pthread_mutex_unlock(&jobs->lock);
        jobs->run(jobs->ctx, job);
        pthread_mutex_lock(&jobs->lock);
        job->taken = false;
    }
    pthread_mutex_unlock(&jobs->lock);
    return NULL;
}

/** With the lock held: one more thread for what was just queued, up to the slots. */
static VmafxErr start_thread(LocalJobs *jobs)
{
    if (jobs->n_threads == jobs->slots)
        return VMAFX_OK;
    if (pthread_create(&jobs->threads[jobs->n_threads], NULL, work, jobs))
        return jobs->n_threads ? VMAFX_OK : VMAFX_ERR_NOMEM;
    jobs->n_threads++;
    return VMAFX_OK;
}

VmafxErr local_jobs_new(int slots, void (*run)(void *ctx, LocalJob *job), void (*stop)(void *ctx, LocalJob *job),
                        void *ctx, LocalJobs **ret)
{
    LocalJobs *jobs = calloc(1, sizeof *jobs);
    pthread_condattr_t monotonic;

    if (!jobs)
        return VMAFX_ERR_NOMEM;
    jobs->run = run;
    jobs->stop = stop;
    jobs->ctx = ctx;
    jobs->slots = VMAFX_MIN(VMAFX_MAX(slots, 1), LOCAL_SLOTS_MAX);
    pthread_mutex_init(&jobs->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&jobs->change, &monotonic);
    pthread_condattr_destroy(&monotonic);
    *ret = jobs;
    return VMAFX_OK;
}

void local_jobs_free(LocalJobs **at)
{
    LocalJobs *jobs = VMAFX_TAKE(*at);

    if (!jobs)
        return;
    pthread_mutex_lock(&jobs->lock);
    jobs->stopping = true;
    for (LocalJob *job = jobs->first; job; job = job->next) {
        if (job->view.state == VMAFX__V1__JOB_STATE__JOB_STATE_QUEUED)
            end_as_cancelled(job);
        atomic_store(&job->stop, true);
    }
    pthread_cond_broadcast(&jobs->change);
    pthread_mutex_unlock(&jobs->lock);
    /* Jobs are freed below only, so the list may be walked without the lock, which stop must not find held. */
    for (LocalJob *job = jobs->first; job && jobs->stop; job = job->next)
        jobs->stop(jobs->ctx, job);
    for (int i = 0; i < jobs->n_threads; i++)
        pthread_join(jobs->threads[i], NULL);
    while (jobs->first) {
        LocalJob *job = jobs->first;
        jobs->first = job->next;
        job_free(job);
    }
    pthread_cond_destroy(&jobs->change);
    pthread_mutex_destroy(&jobs->lock);
    free(jobs);
}

/* ---- Submitting ---- */

static VmafxErr copy_spec(const Vmafx__V1__JobSpec *spec, VmafxMessage **ret, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(vmafx_free_p) uint8_t *data = NULL;
    size_t len;
    VmafxErr err = vmafx_message_pack(&spec->base, &data, &len);

    return err ? err : vmafx_message_unpack(&vmafx__v1__job_spec__descriptor, data, len, 0, ret, reterr);
}

static void fill_view(LocalJob *job)
{
    const Vmafx__V1__JobSpec *spec = local_job_spec(job);
    VmafxSpanContext span;

    job->view.state = VMAFX__V1__JOB_STATE__JOB_STATE_QUEUED;
    job->view.created_us = now_us();
    make_id(job->view.created_us, job->view.id);
    vmafx_url_redact(spec->reference->uri, job->view.reference, sizeof job->view.reference);
    if (vmafx_spec_distorted(spec))
        vmafx_url_redact(spec->distorted->uri, job->view.distorted, sizeof job->view.distorted);
    else if (vmafx_spec_recipe(spec))
        job_view_encode(&job->view, vmafx_spec_recipe(spec));
    if (vmafx_context_span(job->context, &span))
        for (int i = 0; i < VMAFX_TRACE_ID_BYTES; i++)
            snprintf(job->view.trace_id + 2 * i, 3, "%02x", span.trace_id[i]);
}

VmafxErr local_jobs_submit(LocalJobs *jobs, const Vmafx__V1__JobSpec *spec, char ret_id[JOB_ID_TEXT],
                           VmafxErrInfo *reterr)
{
    LocalJob *job = calloc(1, sizeof *job);
    VmafxErr err = job ? copy_spec(spec, &job->message, reterr) : VMAFX_ERR_NOMEM;

    if (err) {
        free(job);
        return err;
    }
    job->owner = jobs;
    job->context = vmafx_context_ref(vmafx_context_current());
    fill_view(job);

    pthread_mutex_lock(&jobs->lock);
    if (jobs->stopping)
        err = VMAFX_ERR_STOPPED;
    else if (!make_room(jobs))
        err = vmafx_fail(reterr, VMAFX_ERR_BUSY, "%d jobs run or wait already; wait for some or cancel some",
                         jobs->n_jobs);
    else
        err = start_thread(jobs);
    if (!err) {
        LocalJob **at = &jobs->first;
        while (*at)
            at = &(*at)->next;
        *at = job;
        job->tag = ++jobs->last_tag;
        jobs->n_jobs++;
        memcpy(ret_id, job->view.id, JOB_ID_TEXT);
        pthread_cond_broadcast(&jobs->change);
    }
    pthread_mutex_unlock(&jobs->lock);
    if (err)
        job_free(job);
    return err;
}

/* ---- Asking ---- */

VmafxErr local_jobs_get(LocalJobs *jobs, const char *id, JobView *ret, VmafxErrInfo *reterr)
{
    pthread_mutex_lock(&jobs->lock);
    const LocalJob *job = find(jobs, id);
    if (job)
        *ret = job->view;
    pthread_mutex_unlock(&jobs->lock);
    return job ? VMAFX_OK : unknown(id, reterr);
}

static bool same_progress(const JobView *a, const JobView *b)
{
    return a->state == b->state && a->frames == b->frames;
}

VmafxErr local_jobs_wait(LocalJobs *jobs, const char *id, const JobWait *wait, JobView *ret, VmafxErrInfo *reterr)
{
    JobView told = { 0 };

    for (;;) {
        VmafxErr err = local_jobs_get(jobs, id, ret, reterr);
        if (err)
            return err;
        if (wait->changed && !same_progress(&told, ret))
            wait->changed(wait->ctx, ret);
        told = *ret;
        uint64_t now = vmafx_monotonic_ns();
        if (job_has_ended(ret) || now >= wait->until_ns || wait->given_up(wait->ctx))
            return VMAFX_OK;

        uint64_t until = VMAFX_MIN(wait->until_ns, now + GIVEN_UP_CHECK_NS);
        struct timespec at = { (time_t)(until / 1000000000u), (long)(until % 1000000000u) };
        pthread_mutex_lock(&jobs->lock);
        const LocalJob *job = find(jobs, id);
        if (job && same_progress(&job->view, ret))
            pthread_cond_timedwait(&jobs->change, &jobs->lock, &at);
        pthread_mutex_unlock(&jobs->lock);
    }
}

/** The cursor is the tag below which the next page begins. */
VmafxErr local_jobs_list(LocalJobs *jobs, const JobListQuery *query, JobList *ret, VmafxErrInfo *reterr)
{
    uint64_t below = query->cursor ? strtoull(query->cursor, NULL, 10) : UINT64_MAX, last = 0;
    bool all = true, more = false;

    for (size_t i = 0; i < VMAFX_LEN(query->states); i++)
        all = all && !query->states[i];
    *ret = (JobList){ .jobs = calloc((size_t)query->limit + 1, sizeof *ret->jobs) };
    if (!ret->jobs)
        return VMAFX_ERR_NOMEM;
    pthread_mutex_lock(&jobs->lock);
    /* The list is oldest first and short: it is walked once for each that is found. */
    for (;;) {
        const LocalJob *best = NULL;
        for (const LocalJob *job = jobs->first; job; job = job->next)
            if (job->tag < below && (all || query->states[job->view.state]) && (!best || job->tag > best->tag))
                best = job;
        if (!best || (more = ret->n == (size_t)query->limit))
            break;
        ret->jobs[ret->n++] = best->view;
        below = last = best->tag;
    }
    pthread_mutex_unlock(&jobs->lock);
    if (more)
        ret->next = vmafx_sprintf("%llu", (unsigned long long)last);
    return VMAFX_OK;
}

VmafxErr local_jobs_cancel(LocalJobs *jobs, const char *id, JobView *ret, VmafxErrInfo *reterr)
{
    VmafxErr err = VMAFX_OK;
    bool stop = false;

    pthread_mutex_lock(&jobs->lock);
    LocalJob *job = find(jobs, id);
    if (!job)
        err = unknown(id, reterr);
    else if (job->view.state == VMAFX__V1__JOB_STATE__JOB_STATE_QUEUED)
        end_as_cancelled(job);
    else if (job->view.state == VMAFX__V1__JOB_STATE__JOB_STATE_RUNNING)
        stop = true;
    else if (job->view.state != VMAFX__V1__JOB_STATE__JOB_STATE_CANCELLED)
        err = vmafx_fail(reterr, VMAFX_ERR_STATE, "the job has ended already; its result stays");
    bool was_taken = stop && job->taken;
    if (stop)
        atomic_store(&job->stop, true);
    if (!err)
        *ret = job->view;
    pthread_cond_broadcast(&jobs->change);
    if (stop && was_taken && jobs->stop)
        jobs->stop(jobs->ctx, job); /* under the lock, so that the job is there; stop only sends a word */
    pthread_mutex_unlock(&jobs->lock);
    return err;
}

static VmafxErr unpack_frames(const Vmafx__V1__StoredResult *stored, JobResult *ret, VmafxErrInfo *reterr)
{
    VmafxColumns columns = { 0 };

    if (!stored->frames.len)
        return VMAFX_OK;
    VmafxErr err = vmafx_columns_unpack(stored->frames.data, stored->frames.len, 0, &columns, reterr);
    if (err)
        return err;
    ret->n_columns = columns.n;
    ret->n_rows = columns.n_rows;
    ret->values = VMAFX_TAKE(columns.values);
    vmafx_columns_done(&columns);
    return VMAFX_OK;
}

VmafxErr local_jobs_result(LocalJobs *jobs, const char *id, bool frames, JobResult *ret, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(blob_unref) Blob *blob = NULL;
    VMAFX_AUTO(job_result_done) JobResult result = { 0 };
    VmafxErr err = VMAFX_OK;

    pthread_mutex_lock(&jobs->lock);
    const LocalJob *job = find(jobs, id);
    if (!job)
        err = unknown(id, reterr);
    else if (!job->result && !job_has_ended(&job->view))
        err = vmafx_fail(reterr, VMAFX_ERR_STATE, "the job has not ended yet; wait_for_job waits for it");
    else if (!job->result)
        err =
            vmafx_fail(reterr, VMAFX_ERR_STATE, "the job has no result: %.300s",
                       *job->view.message ? job->view.message : "it was cancelled, or its result made room for others");
    else {
        blob = job->result;
        atomic_fetch_add(&blob->refs, 1);
    }
    pthread_mutex_unlock(&jobs->lock);
    if (!err)
        err = vmafx_message_unpack(&vmafx__v1__stored_result__descriptor, blob->data, blob->len,
                                   LOCAL_RESULT_MAX + MESSAGE_BUDGET, &result.message, reterr);
    if (err)
        return err;
    const Vmafx__V1__StoredResult *stored = vmafx_message_get(result.message);
    result.summary = stored->summary;
    if (!result.summary)
        return vmafx_fail(reterr, VMAFX_ERR_INTERNAL, "the result has no summary");
    if (frames)
        err = unpack_frames(stored, &result, reterr);
    if (err)
        return err;
    *ret = result;
    result = (JobResult){ 0 };
    return VMAFX_OK;
}

void local_jobs_counts(LocalJobs *jobs, int *ret_queued, int *ret_running)
{
    *ret_queued = *ret_running = 0;
    pthread_mutex_lock(&jobs->lock);
    for (const LocalJob *job = jobs->first; job; job = job->next) {
        *ret_queued += job->view.state == VMAFX__V1__JOB_STATE__JOB_STATE_QUEUED;
        *ret_running += job->view.state == VMAFX__V1__JOB_STATE__JOB_STATE_RUNNING;
    }
    pthread_mutex_unlock(&jobs->lock);
}

/* ---- For run ---- */

const Vmafx__V1__JobSpec *local_job_spec(const LocalJob *job)
{
    return vmafx_message_get(job->message);
}

const char *local_job_id(const LocalJob *job)
{
    return job->view.id; /* set once */
}

uint64_t local_job_tag(const LocalJob *job)
{
    return job->tag;
}

VmafxContext *local_job_context(const LocalJob *job)
{
    return job->context;
}

bool local_job_stopped(const LocalJob *job)
{
    return atomic_load(&job->stop);
}

const atomic_bool *local_job_stop_flag(const LocalJob *job)
{
    return &job->stop;
}

void local_job_progress(LocalJob *job, int64_t frames, int64_t total, double rate)
{
    LocalJobs *jobs = job->owner;

    pthread_mutex_lock(&jobs->lock);
    job->view.frames = frames;
    job->view.frames_total = total;
    job->view.frame_rate = rate;
    pthread_cond_broadcast(&jobs->change);
    pthread_mutex_unlock(&jobs->lock);
}

static Blob *pack(const LocalEnd *end)
{
    Vmafx__V1__StoredResult stored = VMAFX__V1__STORED_RESULT__INIT;
    VMAFX_AUTO(vmafx_free_p) uint8_t *data = NULL;
    size_t len;

    if (!end->result)
        return NULL;
    stored.summary = (Vmafx__V1__Result *)end->result;
    stored.frames = (ProtobufCBinaryData){ end->frames_len, (uint8_t *)end->frames };
    if (vmafx_message_pack(&stored.base, &data, &len) || len > LOCAL_RESULT_MAX)
        return NULL;
    Blob *blob = malloc(sizeof *blob + len);
    if (!blob)
        return NULL;
    atomic_init(&blob->refs, 1);
    blob->len = len;
    memcpy(blob->data, data, len);
    return blob;
}

void local_job_end(LocalJob *job, const LocalEnd *end)
{
    LocalJobs *jobs = job->owner;
    Blob *blob = pack(end);
    JobView *view = &job->view;

    pthread_mutex_lock(&jobs->lock);
    view->state = end->state;
    view->failure = end->failure;
    snprintf(view->message, sizeof view->message, "%s", end->message);
    view->has_score = end->has_score;
    view->score = end->score;
    view->complete = end->result && end->result->complete;
    view->has_result = blob != NULL;
    if (end->result && !blob) {
        view->state = VMAFX__V1__JOB_STATE__JOB_STATE_FAILED;
        view->failure = VMAFX__V1__FAILURE_CLASS__FAILURE_CLASS_RESOURCE;
        snprintf(view->message, sizeof view->message, "the result is too large to be kept here");
    }
    if (end->result)
        view->frames = view->frames_total = end->result->frames;
    view->ended_us = now_us();
    job->result = blob;
    jobs->result_bytes += blob ? blob->len : 0;
    for (LocalJob *old = jobs->first; old && jobs->result_bytes > LOCAL_RESULTS_MAX; old = old->next)
        if (old != job)
            drop_result(jobs, old);
    pthread_cond_broadcast(&jobs->change);
    pthread_mutex_unlock(&jobs->lock);
}

void local_job_wait_end(LocalJob *job)
{
    LocalJobs *jobs = job->owner;

    pthread_mutex_lock(&jobs->lock);
    while (!job_has_ended(&job->view))
        pthread_cond_wait(&jobs->change, &jobs->lock);
    pthread_mutex_unlock(&jobs->lock);
}

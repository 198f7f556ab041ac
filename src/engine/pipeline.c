/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Workers, their queue and their pictures. */

#include "engine/pipeline.h"

#include <pthread.h>
#include <string.h>

#include "base/base.h"

#define IDLE UINT32_MAX

typedef struct Picture {
    VmafxPlane planes[3];
    void *storage[3]; /* NULL: the planes are lent */
    VmafxLoan loan;
    int refs;
    struct Picture *next; /* in a free list */
} Picture;

/* Loans that end: they are collected with the lock held, and given back without it. */
typedef struct Ended {
    VmafxLoan loans[5];
    int n;
} Ended;

typedef struct Job {
    uint32_t index;
    Picture *ref, *dis, *earlier[2], *earlier_dis;
    double *row;
    int next, left; /* part to begin next; parts that are not done, 0: a place for another frame */
} Job;

struct VmafxPipeline {
    VmafxPipelineSetup setup;
    int n_threads, depth; /* depth: frames that may be under way */
    uint32_t n_pushed;    /* the caller's thread only */
    pthread_t *threads;
    Picture *history[2]; /* the reference of the two pushes before; the caller's thread only */
    Picture *last_dis;   /* the distorted picture of the push before, if anyone reads it; likewise */

    pthread_mutex_t lock; /* covers everything below */
    pthread_cond_t has_job, has_room;
    Picture *free_pictures, *free_lent; /* with storage, and without */
    Job *jobs;                          /* depth places for frames under way */
    Job **queue;                        /* ring of those with parts to begin, in the order of their frames */
    int queue_head, n_queued, n_under_way;
    uint32_t *working; /* by worker: index of the frame it is at, or IDLE */
    bool stopping;
    VmafxErr err; /* the first one */
    VmafxErrInfo err_info;
};

typedef struct WorkerStart {
    VmafxPipeline *pipeline;
    int worker;
} WorkerStart;

static void picture_free(Picture *picture)
{
    for (size_t i = 0; picture && i < VMAFX_LEN(picture->storage); i++)
        free(picture->storage[i]);
    free(picture);
}

static Picture *picture_new(const VmafxShape *shape)
{
    Picture *picture = calloc(1, sizeof *picture);

    for (int i = 0; picture && i < (shape->chroma ? 3 : 1); i++) {
        VmafxPlane *plane = &picture->planes[i];

        vmafx_shape_plane(shape, i, &plane->w, &plane->h);
        plane->bpc = shape->bpc;
        plane->stride = ((ptrdiff_t)plane->w * (shape->bpc > 8 ? 2 : 1) + 63) / 64 * 64;
        picture->storage[i] = vmafx_alloc_aligned((size_t)plane->stride, (size_t)VMAFX_MAX(plane->h, 1));
        plane->data = picture->storage[i];
        if (!plane->data) {
            picture_free(picture);
            return NULL;
        }
    }
    return picture;
}

/* With the lock held. */
static void unref(VmafxPipeline *pipeline, Picture *picture, Ended *ended)
{
    if (!picture || --picture->refs)
        return;
    Picture **list = picture->storage[0] ? &pipeline->free_pictures : &pipeline->free_lent;
    if (picture->loan.release)
        ended->loans[ended->n++] = picture->loan;
    picture->loan = (VmafxLoan){ 0 };
    picture->next = *list;
    *list = picture;
}

static void give_back(const Ended *ended)
{
    for (int i = 0; i < ended->n; i++)
        ended->loans[i].release(ended->loans[i].owner);
}

/* As much of it as there is room for. */
static void copy_plane(const VmafxPlane *from, const VmafxPlane *to, void *storage)
{
    const uint16_t peak = (uint16_t)((1u << from->bpc) - 1);

    for (int y = 0; y < to->h; y++) {
        const void *in = (const char *)from->data + y * from->stride;
        void *out = (char *)storage + y * to->stride;

        if (from->bpc == 8 || from->bpc == 16) {
            memcpy(out, in, (size_t)to->w * (from->bpc / 8));
            continue;
        }
        for (int x = 0; x < to->w; x++)
            ((uint16_t *)out)[x] = VMAFX_MIN(((const uint16_t *)in)[x], peak);
    }
}

static void copy_picture(const VmafxPicture *from, Picture *to)
{
    for (int i = 0; i < 3 && to->storage[i]; i++)
        copy_plane(&from->planes[i], &to->planes[i], to->storage[i]);
}

static VmafxErr run(VmafxPipeline *pipeline, int worker, const Job *job, int part, VmafxErrInfo *reterr)
{
    VmafxFrameInput input = {
        .index = job->index,
        .ref = job->ref->planes,
        .dis = job->dis->planes,
        .earlier = { job->earlier[0] ? job->earlier[0]->planes : NULL,
                     job->earlier[1] ? job->earlier[1]->planes : NULL },
        .earlier_dis = job->earlier_dis ? job->earlier_dis->planes : NULL,
    };

    return pipeline->setup.work(pipeline->setup.ctx, worker, part, &input, job->row, reterr);
}

/* With the lock held. */
static void note_error(VmafxPipeline *pipeline, VmafxErr err, const VmafxErrInfo *info)
{
    if (err && !pipeline->err) {
        pipeline->err = err;
        pipeline->err_info = *info;
    }
}

/* With the lock held; leave() follows once the loans have been given back, so that drain waits for that too. */
static void unref_pictures(VmafxPipeline *pipeline, const Job *job, Ended *ended)
{
    unref(pipeline, job->ref, ended);
    unref(pipeline, job->dis, ended);
    unref(pipeline, job->earlier[0], ended);
    unref(pipeline, job->earlier[1], ended);
    unref(pipeline, job->earlier_dis, ended);
}

/* With the lock held. */
static void leave(VmafxPipeline *pipeline)
{
    pipeline->n_under_way--;
    pthread_cond_signal(&pipeline->has_room);
}

/* The next part of the oldest frame that has one; with the lock held, and something in the queue. */
static Job *take_part(VmafxPipeline *pipeline, int *ret_part)
{
    Job *job = pipeline->queue[pipeline->queue_head];

    *ret_part = job->next++;
    if (job->next == pipeline->setup.parts) {
        pipeline->queue_head = (pipeline->queue_head + 1) % pipeline->depth;
        pipeline->n_queued--;
    }
    return job;
}

/* With the lock held, which it lets go of meanwhile. */
static void end_frame(VmafxPipeline *pipeline, const Job *job)
{
    Ended ended = { 0 };

    if (pipeline->setup.frame_done) {
        pthread_mutex_unlock(&pipeline->lock);
        pipeline->setup.frame_done(pipeline->setup.frame_done_ctx); /* before drain can come back */
        pthread_mutex_lock(&pipeline->lock);
    }
    unref_pictures(pipeline, job, &ended);
    pthread_mutex_unlock(&pipeline->lock);
    give_back(&ended);
    pthread_mutex_lock(&pipeline->lock);
    leave(pipeline);
}

static void *worker_main(void *opaque)
{
    WorkerStart start = *(WorkerStart *)opaque;
    VmafxPipeline *pipeline = start.pipeline;
    int part;

    free(opaque);
    pthread_mutex_lock(&pipeline->lock);
    for (;;) {
        while (!pipeline->n_queued && !pipeline->stopping)
            pthread_cond_wait(&pipeline->has_job, &pipeline->lock);
        if (!pipeline->n_queued)
            break;
        Job *job = take_part(pipeline, &part);
        pipeline->working[start.worker] = job->index;
        pthread_mutex_unlock(&pipeline->lock);

        VmafxErrInfo info = { 0 };
        VmafxErr err = run(pipeline, start.worker, job, part, &info);

        pthread_mutex_lock(&pipeline->lock);
        pipeline->working[start.worker] = IDLE;
        note_error(pipeline, err, &info);
        if (--job->left == 0) {
            Job done = *job; /* its place may be taken by another frame from now on */
            end_frame(pipeline, &done);
        }
    }
    pthread_mutex_unlock(&pipeline->lock);
    return NULL;
}

static VmafxErr start_worker(VmafxPipeline *pipeline)
{
    WorkerStart *start = malloc(sizeof *start);

    if (!start)
        return VMAFX_ERR_NOMEM;
    *start = (WorkerStart){ pipeline, pipeline->n_threads };
    if (pthread_create(&pipeline->threads[pipeline->n_threads], NULL, worker_main, start)) {
        free(start);
        return VMAFX_ERR_NOMEM;
    }
    pipeline->n_threads++;
    return VMAFX_OK;
}

VmafxErr vmafx_pipeline_new(const VmafxPipelineSetup *setup, VmafxPipeline **ret_pipeline)
{
    VMAFX_AUTO(vmafx_pipeline_free) VmafxPipeline *pipeline = calloc(1, sizeof *pipeline);
    size_t threads = (size_t)setup->threads;

    if (!pipeline)
        return VMAFX_ERR_NOMEM;
    pthread_mutex_init(&pipeline->lock, NULL);
    pthread_cond_init(&pipeline->has_job, NULL);
    pthread_cond_init(&pipeline->has_room, NULL);
    pipeline->setup = *setup;
    pipeline->depth = setup->threads + 2;
    pipeline->jobs = calloc(threads + 2, sizeof *pipeline->jobs);
    pipeline->queue = calloc(threads + 2, sizeof(Job *));
    pipeline->threads = calloc(threads + 1, sizeof *pipeline->threads);
    pipeline->working = calloc(threads + 1, sizeof *pipeline->working);
    if (!pipeline->jobs || !pipeline->queue || !pipeline->threads || !pipeline->working)
        return VMAFX_ERR_NOMEM;
    for (size_t i = 0; i < threads; i++)
        pipeline->working[i] = IDLE;
    for (size_t i = 0; i < threads; i++) {
        VmafxErr err = start_worker(pipeline);
        if (err)
            return err;
    }
    *ret_pipeline = VMAFX_TAKE(pipeline);
    return VMAFX_OK;
}

static void forget_history(VmafxPipeline *pipeline)
{
    Ended ended = { 0 };

    pthread_mutex_lock(&pipeline->lock);
    for (int i = 0; i < 2; i++)
        unref(pipeline, VMAFX_TAKE(pipeline->history[i]), &ended);
    unref(pipeline, VMAFX_TAKE(pipeline->last_dis), &ended);
    pthread_mutex_unlock(&pipeline->lock);
    give_back(&ended);
}

static void free_list(Picture *list)
{
    while (list) {
        Picture *picture = list;
        list = picture->next;
        picture_free(picture);
    }
}

void vmafx_pipeline_free(VmafxPipeline **pipeline_p)
{
    VmafxPipeline *pipeline = *pipeline_p;

    if (!pipeline)
        return;
    pthread_mutex_lock(&pipeline->lock);
    pipeline->stopping = true;
    pthread_cond_broadcast(&pipeline->has_job);
    pthread_mutex_unlock(&pipeline->lock);
    for (int i = 0; i < pipeline->n_threads; i++)
        pthread_join(pipeline->threads[i], NULL);

    forget_history(pipeline);
    free_list(pipeline->free_pictures);
    free_list(pipeline->free_lent);
    pthread_cond_destroy(&pipeline->has_room);
    pthread_cond_destroy(&pipeline->has_job);
    pthread_mutex_destroy(&pipeline->lock);
    free(pipeline->jobs);
    free(pipeline->queue);
    free(pipeline->threads);
    free(pipeline->working);
    free(pipeline);
    *pipeline_p = NULL;
}

/* Whether kernels can read a picture where it is. */
static bool can_be_lent(const VmafxShape *shape, const VmafxPicture *picture)
{
    for (int i = 0; i < (shape->chroma ? 3 : 1); i++)
        if ((uintptr_t)picture->planes[i].data % 64 || picture->planes[i].stride % 64)
            return false;
    return true;
}

static void lend(const VmafxShape *shape, const VmafxPicture *from, Picture *to)
{
    for (int i = 0; i < (shape->chroma ? 3 : 1); i++) {
        to->planes[i] = from->planes[i];
        vmafx_shape_plane(shape, i, &to->planes[i].w, &to->planes[i].h); /* chroma may be larger */
    }
}

/* A picture with one reference, whose loan it becomes; with the lock held. */
static Picture *take_picture(VmafxPipeline *pipeline, bool lent, VmafxLoan loan)
{
    Picture **list = lent ? &pipeline->free_lent : &pipeline->free_pictures, *picture = *list;

    if (picture)
        *list = picture->next;
    else
        picture = lent ? calloc(1, sizeof *picture) : picture_new(&pipeline->setup.shape);
    if (picture) {
        picture->refs = 1;
        picture->loan = lent ? loan : (VmafxLoan){ 0 };
    }
    return picture;
}

/* Waits for room, then claims it and two pictures. With the lock held. */
static VmafxErr claim(VmafxPipeline *pipeline, const bool lent[2], const VmafxLoan loans[2], Job *job, Ended *ended,
                      VmafxErrInfo *reterr)
{
    while (pipeline->n_under_way == pipeline->depth && !pipeline->err)
        pthread_cond_wait(&pipeline->has_room, &pipeline->lock);
    if (pipeline->err)
        return vmafx_fail(reterr, pipeline->err, "%s", pipeline->err_info.message);

    job->ref = take_picture(pipeline, lent[0], loans[0]);
    job->dis = job->ref ? take_picture(pipeline, lent[1], loans[1]) : NULL;
    if (!job->dis) {
        if (job->ref)
            job->ref->loan = (VmafxLoan){ 0 }; /* push gives it back */
        unref(pipeline, job->ref, ended);
        return vmafx_fail(reterr, VMAFX_ERR_NOMEM, "no memory for frame %u", job->index);
    }
    for (int i = 0; i < 2; i++) {
        job->earlier[i] = pipeline->history[i];
        if (job->earlier[i])
            job->earlier[i]->refs++;
    }
    unref(pipeline, pipeline->history[1], ended);
    pipeline->history[1] = pipeline->history[0];
    pipeline->history[0] = job->ref;
    job->ref->refs++;
    if (pipeline->setup.keeps_dis) {
        job->earlier_dis = pipeline->last_dis; /* whose reference goes over to the job */
        pipeline->last_dis = job->dis;
        job->dis->refs++;
    }
    pipeline->n_under_way++;
    return VMAFX_OK;
}

/* Once a frame has its place: what it is to be computed from. */
static void fill(const VmafxShape *shape, const VmafxPicture *from, bool lent, VmafxLoan loan, Picture *to)
{
    if (lent) {
        lend(shape, from, to);
        return;
    }
    copy_picture(from, to);
    if (loan.release)
        loan.release(loan.owner);
}

/* With the lock held, and the frame counted as under way: there is a place for it. */
static void enqueue(VmafxPipeline *pipeline, const Job *job)
{
    Job *place = pipeline->jobs;

    while (place->left)
        place++;
    *place = *job;
    place->next = 0;
    place->left = pipeline->setup.parts;
    pipeline->queue[(pipeline->queue_head + pipeline->n_queued++) % pipeline->depth] = place;
    pthread_cond_broadcast(&pipeline->has_job);
}

VmafxErr vmafx_pipeline_push(VmafxPipeline *pipeline, const VmafxPicture *ref, const VmafxPicture *dis,
                             const VmafxLoan loans[2], uint32_t index, double *row, VmafxErrInfo *reterr)
{
    static const VmafxLoan none[2];
    const VmafxShape *shape = &pipeline->setup.shape;
    Job job = { .index = index, .row = row };
    VmafxErrInfo info = { 0 };
    Ended ended = { 0 };

    loans = loans ? loans : none;
    const bool lent[2] = { loans[0].release && can_be_lent(shape, ref), loans[1].release && can_be_lent(shape, dis) };
    pthread_mutex_lock(&pipeline->lock);
    VmafxErr err = claim(pipeline, lent, loans, &job, &ended, reterr);
    pthread_mutex_unlock(&pipeline->lock);
    give_back(&ended);
    if (err) {
        vmafx_loans_end(loans);
        return err;
    }

    fill(shape, ref, lent[0], loans[0], job.ref);
    fill(shape, dis, lent[1], loans[1], job.dis);
    for (int part = 0; !pipeline->n_threads && !err && part < pipeline->setup.parts; part++)
        err = run(pipeline, 0, &job, part, &info);

    ended.n = 0;
    pthread_mutex_lock(&pipeline->lock);
    if (pipeline->n_threads) {
        enqueue(pipeline, &job);
    } else {
        note_error(pipeline, err, &info);
        unref_pictures(pipeline, &job, &ended);
        leave(pipeline);
    }
    pthread_mutex_unlock(&pipeline->lock);
    give_back(&ended);
    pipeline->n_pushed++;
    if (!pipeline->n_threads && pipeline->setup.frame_done)
        pipeline->setup.frame_done(pipeline->setup.frame_done_ctx);
    return err ? vmafx_fail(reterr, err, "%s", info.message) : VMAFX_OK;
}

void vmafx_loans_end(const VmafxLoan loans[2])
{
    for (int i = 0; loans && i < 2; i++)
        if (loans[i].release)
            loans[i].release(loans[i].owner);
}

VmafxErr vmafx_pipeline_done(VmafxPipeline *pipeline, uint32_t *ret_done, VmafxErrInfo *reterr)
{
    uint32_t done = pipeline->n_pushed;

    pthread_mutex_lock(&pipeline->lock);
    VmafxErr err = pipeline->err;
    if (err)
        VMAFX_IGNORE(vmafx_fail(reterr, err, "%s", pipeline->err_info.message)); /* only fills in the message */
    if (pipeline->n_queued)
        done = pipeline->queue[pipeline->queue_head]->index;
    for (int i = 0; i < pipeline->n_threads; i++)
        done = VMAFX_MIN(done, pipeline->working[i]);
    pthread_mutex_unlock(&pipeline->lock);
    *ret_done = done;
    return err;
}

VmafxErr vmafx_pipeline_drain(VmafxPipeline *pipeline, VmafxErrInfo *reterr)
{
    pthread_mutex_lock(&pipeline->lock);
    while (pipeline->n_under_way)
        pthread_cond_wait(&pipeline->has_room, &pipeline->lock);
    VmafxErr err = pipeline->err;
    if (err)
        VMAFX_IGNORE(vmafx_fail(reterr, err, "%s", pipeline->err_info.message)); /* only fills in the message */
    pthread_mutex_unlock(&pipeline->lock);
    forget_history(pipeline);
    return err;
}

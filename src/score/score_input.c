/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * One input while it is read: a thread decodes and converts into pictures that are allocated once, and queues them. The
 * engine reads them where they are, and gives them back. The thread waits while the queue is full, and ends at the end
 * of the video, at an error, or when it is told to.
 */

#include "score/score_internal.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/base.h"
#include "media/convert.h"

VmafxErr score_input_read(ScoreInput *in, VmafxPicture *ret, bool *ret_more, VmafxErrInfo *reterr)
{
    struct timespec start;

    *ret = (VmafxPicture){ 0 };
    clock_gettime(CLOCK_MONOTONIC, &start);
    VmafxErr err = vmafx_reader_next(in->reader, &ret->planes[0], ret_more, reterr);
    if (!err && *ret_more && score_reads_chroma(in->pair))
        err = vmafx_reader_picture(in->reader, ret, reterr);
    double decode_s = score_seconds_since(&start, CLOCK_MONOTONIC) - score_encode_seconds(in);
    atomic_fetch_add_explicit(&in->decode_ns, (uint64_t)(VMAFX_MAX(decode_s, 0.0) * 1e9), memory_order_relaxed);
    return err;
}

/* What no sample of that depth can be, and a file may have all the same, becomes the largest. */
static void limit_samples(uint16_t *row, int w, int bpc)
{
    const uint16_t peak = (uint16_t)((1u << bpc) - 1);
    uint16_t seen = 0;

    for (int x = 0; x < w; x++)
        seen |= row[x];
    for (int x = 0; x < w && seen > peak; x++)
        row[x] = VMAFX_MIN(row[x], peak);
}

/* As much of it as there is room for: chroma is rounded down. Nothing to copy where the reader has read into it. */
static void copy_plane(const VmafxPlane *to, const VmafxPlane *from)
{
    size_t bytes = (size_t)to->w * (to->bpc > 8 ? 2 : 1);
    bool limited = to->bpc > 8 && to->bpc < 16, there = to->data == from->data;

    for (int y = 0; y < to->h && (limited || !there); y++) {
        void *row = (char *)(uintptr_t)to->data + y * to->stride;

        if (!there)
            memcpy(row, (const char *)from->data + y * from->stride, bytes);
        if (limited)
            limit_samples(row, to->w, to->bpc);
    }
}

/* The next frame that is to be scored, converted. At the end *ret_more is false. */
static VmafxErr next_frame(ScoreInput *in, VmafxPicture *ret, bool *ret_more, VmafxErrInfo *reterr)
{
    VmafxErr err = VMAFX_OK;

    *ret_more = true;
    *ret = in->pending;
    if (!ret->planes[0].data) {
        err = score_input_read(in, ret, ret_more, reterr);
        if (err || !*ret_more)
            return err;
    }
    in->pending = (VmafxPicture){ 0 };
    for (int p = 0; !err && in->to_skip == 0 && p < 3; p++) {
        const VmafxPlane plane = ret->planes[p];
        if (in->converters[p])
            err = vmafx_converter_run(in->converters[p], &plane, &ret->planes[p]);
    }
    return err ? vmafx_fail(reterr, err, "cannot convert a frame of '%s': %s", in->path, vmafx_err_text(err)) : err;
}

/* The slots' pictures have that shape; chroma may be larger. */
static bool fits(const VmafxPicture *slot, const VmafxPicture *picture)
{
    const VmafxPlane *a = &slot->planes[0], *b = &picture->planes[0];
    bool fits = a->w == b->w && a->h == b->h && slot->chroma == picture->chroma;

    for (int p = 0; p < (slot->chroma ? 3 : 1); p++)
        fits = fits && slot->planes[p].w <= picture->planes[p].w && slot->planes[p].h <= picture->planes[p].h &&
               slot->planes[p].bpc == picture->planes[p].bpc;
    return fits;
}

static VmafxErr make_slot(ScoreInput *in, ScoreSlot *slot)
{
    const VmafxResult *result = in->pair->result;
    VmafxPicture *picture = &slot->picture;

    slot->input = in;
    picture->chroma = result->chroma;
    for (int p = 0; p < (picture->chroma ? 3 : 1); p++) {
        int w = p && picture->chroma != VMAFX_CHROMA_444 ? result->w / 2 : result->w;
        int h = p && picture->chroma == VMAFX_CHROMA_420 ? result->h / 2 : result->h;
        size_t stride = ((size_t)w * (result->bpc > 8 ? 2 : 1) + 63) / 64 * 64;

        slot->memory[p] = vmafx_alloc_aligned((size_t)VMAFX_MAX(h, 1), VMAFX_MAX(stride, (size_t)64));
        if (!slot->memory[p])
            return VMAFX_ERR_NOMEM;
        picture->planes[p] =
            (VmafxPlane){ .data = slot->memory[p], .stride = (ptrdiff_t)stride, .w = w, .h = h, .bpc = result->bpc };
    }
    return VMAFX_OK;
}

/* Waits for room in the queue and a slot that nobody uses; *ret NULL: nobody wants more. VMAFX_ERR_NOMEM */
static VmafxErr wait_for_room(ScoreInput *in, ScoreSlot **ret)
{
    ScoreSlot *slot = NULL;

    pthread_mutex_lock(&in->sync.lock);
    while ((in->filled == SCORE_QUEUE_FRAMES || (!in->free && in->n_made == in->n_slots)) && !in->stop)
        pthread_cond_wait(&in->sync.changed, &in->sync.lock);
    if (!in->stop && in->free) {
        slot = in->free;
        in->free = slot->next;
    } else if (!in->stop)
        slot = &in->slots[in->n_made++];
    pthread_mutex_unlock(&in->sync.lock);
    *ret = slot;
    return slot && !slot->input ? make_slot(in, slot) : VMAFX_OK;
}

void score_slot_release(void *opaque)
{
    ScoreSlot *slot = opaque;
    ScoreInput *in = slot->input;

    pthread_mutex_lock(&in->sync.lock);
    if (--slot->users == 0) {
        bool scarce = !in->free && in->n_made == in->n_slots;

        slot->next = in->free;
        in->free = slot;
        if (scarce)
            pthread_cond_broadcast(&in->sync.changed);
    }
    pthread_mutex_unlock(&in->sync.lock);
}

void score_nudge(void *ctx)
{
    ScorePair *pair = ctx;

    for (size_t i = 0; i < VMAFX_LEN(pair->inputs); i++) {
        ScoreInput *in = &pair->inputs[i];

        pthread_mutex_lock(&in->sync.lock);
        in->nudged = true;
        pthread_cond_broadcast(&in->sync.changed);
        pthread_mutex_unlock(&in->sync.lock);
    }
}

/* Users: who takes it from the queue, and the engine. */
static void enqueue(ScoreInput *in, ScoreSlot *slot)
{
    pthread_mutex_lock(&in->sync.lock);
    slot->users = 2;
    in->queue[(in->head + in->filled++) % SCORE_QUEUE_FRAMES] = slot;
    pthread_cond_broadcast(&in->sync.changed);
    pthread_mutex_unlock(&in->sync.lock);
}

/* *ret_more false: the video has ended. */
static VmafxErr fill_slot(ScoreInput *in, ScoreSlot *slot, bool *ret_more, VmafxErrInfo *reterr)
{
    do {
        VmafxPicture picture;

        if (!in->converters[0] && !slot->picture.chroma)
            vmafx_reader_into(in->reader, &slot->picture.planes[0]);
        VmafxErr err = next_frame(in, &picture, ret_more, reterr);
        if (!err && *ret_more && in->to_skip == 0 && !fits(&slot->picture, &picture))
            err = vmafx_fail(reterr, VMAFX_ERR_MISMATCH, "the size or depth of '%s' changes midway", in->path);
        if (err || !*ret_more)
            return err;
        for (int p = 0; in->to_skip == 0 && p < (picture.chroma ? 3 : 1); p++)
            copy_plane(&slot->picture.planes[p], &picture.planes[p]);
    } while (in->to_skip > 0 && in->to_skip--);
    return VMAFX_OK;
}

static void *read_frames(void *arg)
{
    ScoreInput *in = arg;
    VmafxErrInfo info = { 0 };
    VmafxErr err = VMAFX_OK;
    bool more = true;

    while (in->to_give != 0) {
        ScoreSlot *slot;

        err = wait_for_room(in, &slot);
        if (!err && slot)
            err = fill_slot(in, slot, &more, &info);
        if (err || !slot || !more)
            break;
        in->to_give -= in->to_give > 0;
        enqueue(in, slot);
    }
    if (in == &in->pair->inputs[DIS])
        score_encode_ended(in->pair, err, !more);
    pthread_mutex_lock(&in->sync.lock);
    in->ended = true;
    in->err = err;
    in->info = info;
    pthread_cond_broadcast(&in->sync.changed);
    pthread_mutex_unlock(&in->sync.lock);
    if (err)
        score_nudge(in->pair);
    return NULL;
}

int64_t score_frames_before(const VmafxPairOptions *o, int which)
{
    return (which == REF ? o->skip_ref : o->skip_dis) + o->first;
}

VmafxErr score_input_start(ScorePair *pair, int which)
{
    ScoreInput *in = &pair->inputs[which];

    in->to_skip = score_frames_before(pair->options, which);
    in->to_give = pair->options->count > 0 ? pair->options->count : -1;
    in->n_slots = SCORE_QUEUE_FRAMES + VMAFX_LENT_ENOUGH((size_t)pair->options->threads);
    in->slots = calloc(in->n_slots, sizeof *in->slots);
    if (!in->slots || pthread_create(&in->thread, NULL, read_frames, in))
        return VMAFX_ERR_NOMEM;
    in->running = true;
    return VMAFX_OK;
}

bool score_input_is_broken(ScoreInput *in)
{
    pthread_mutex_lock(&in->sync.lock);
    bool broken = in->ended && in->err && in->filled == 0;
    pthread_mutex_unlock(&in->sync.lock);
    return broken;
}

void score_input_release(ScoreInput *in)
{
    pthread_mutex_lock(&in->sync.lock);
    ScoreSlot *slot = in->queue[in->head];
    in->head = (in->head + 1) % SCORE_QUEUE_FRAMES;
    in->filled--;
    pthread_cond_broadcast(&in->sync.changed);
    pthread_mutex_unlock(&in->sync.lock);
    score_slot_release(slot);
}

VmafxErr score_input_ending(ScoreInput *in, VmafxErrInfo *ret)
{
    pthread_mutex_lock(&in->sync.lock);
    VmafxErr err = in->err;
    *ret = in->info;
    pthread_mutex_unlock(&in->sync.lock);
    return err;
}

void score_input_stop(ScoreInput *in)
{
    if (!in->running)
        return;
    pthread_mutex_lock(&in->sync.lock);
    in->stop = true;
    pthread_cond_broadcast(&in->sync.changed);
    pthread_mutex_unlock(&in->sync.lock);
    pthread_join(in->thread, NULL);
    in->running = false;
}

void score_input_done(ScoreInput *in)
{
    score_sync_done(&in->sync);
    for (int p = 0; p < 3; p++)
        vmafx_converter_free(&in->converters[p]);
    vmafx_reader_close(&in->reader);
    for (size_t i = 0; i < in->n_made; i++)
        for (int p = 0; p < 3; p++)
            free(in->slots[i].memory[p]);
    free(in->slots);
}

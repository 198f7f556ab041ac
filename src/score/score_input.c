/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * One input while it is read: a thread decodes, converts and copies into a queue of luma planes that are allocated
 * once. It waits while the queue is full, and ends at the end of the video, at an error, or when it is told to.
 */

#include "score/score_internal.h"

#include <string.h>
#include <time.h>

#include "base/base.h"
#include "media/convert.h"

VmafxErr score_input_read(ScoreInput *in, VmafxPlane *ret_luma, bool *ret_more, VmafxErrInfo *reterr)
{
    struct timespec start;

    clock_gettime(CLOCK_MONOTONIC, &start);
    VmafxErr err = vmafx_reader_next(in->reader, ret_luma, ret_more, reterr);
    double decode_s = score_seconds_since(&start, CLOCK_MONOTONIC) - score_encode_seconds(in);
    atomic_fetch_add_explicit(&in->decode_ns, (uint64_t)(VMAFX_MAX(decode_s, 0.0) * 1e9), memory_order_relaxed);
    return err;
}

static void copy_plane(const VmafxPlane *to, const VmafxPlane *from)
{
    size_t bytes = (size_t)from->w * (from->bpc > 8 ? 2 : 1);

    for (int y = 0; y < from->h; y++)
        memcpy((char *)(uintptr_t)to->data + y * to->stride, (const char *)from->data + y * from->stride, bytes);
}

/* The next frame that is to be scored, converted. At the end *ret_more is false. */
static VmafxErr next_frame(ScoreInput *in, VmafxPlane *ret, bool *ret_more, VmafxErrInfo *reterr)
{
    VmafxPlane luma = in->pending;

    *ret_more = true;
    if (!luma.data) {
        VmafxErr err = score_input_read(in, &luma, ret_more, reterr);
        if (err || !*ret_more)
            return err;
    }
    in->pending = (VmafxPlane){ 0 };
    *ret = luma;
    if (!in->converter || in->to_skip > 0)
        return VMAFX_OK;
    VmafxErr err = vmafx_converter_run(in->converter, &luma, ret);
    return err ? vmafx_fail(reterr, err, "cannot convert a frame of '%s': %s", in->path, vmafx_err_text(err)) : err;
}

/* Waits for room. False when nobody wants more. */
static bool wait_for_room(ScoreInput *in, unsigned *ret_slot)
{
    pthread_mutex_lock(&in->sync.lock);
    while (in->filled == SCORE_QUEUE_FRAMES && !in->stop)
        pthread_cond_wait(&in->sync.changed, &in->sync.lock);
    bool go_on = !in->stop;
    *ret_slot = (in->head + in->filled) % SCORE_QUEUE_FRAMES;
    pthread_mutex_unlock(&in->sync.lock);
    return go_on;
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

static void *read_frames(void *arg)
{
    ScoreInput *in = arg;
    VmafxErrInfo info = { 0 };
    VmafxErr err = VMAFX_OK;
    bool more = true;
    unsigned slot;

    while (in->to_give != 0 && wait_for_room(in, &slot)) {
        VmafxPlane luma;

        err = next_frame(in, &luma, &more, &info);
        if (!err && more && in->to_skip == 0 &&
            (luma.w != in->slots[0].w || luma.h != in->slots[0].h || luma.bpc != in->slots[0].bpc))
            err = vmafx_fail(&info, VMAFX_ERR_MISMATCH, "the size or depth of '%s' changes midway", in->path);
        if (err || !more)
            break;
        if (in->to_skip > 0) {
            in->to_skip--;
            continue;
        }
        copy_plane(&in->slots[slot], &luma);
        in->to_give -= in->to_give > 0;
        pthread_mutex_lock(&in->sync.lock);
        in->filled++;
        pthread_cond_broadcast(&in->sync.changed);
        pthread_mutex_unlock(&in->sync.lock);
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
    const VmafxResult *result = pair->result;
    size_t stride = ((size_t)result->w * (result->bpc > 8 ? 2 : 1) + 63) / 64 * 64;

    in->pair = pair;
    in->to_skip = score_frames_before(pair->options, which);
    in->to_give = pair->options->count > 0 ? pair->options->count : -1;
    for (size_t i = 0; i < SCORE_QUEUE_FRAMES; i++) {
        in->memory[i] = vmafx_alloc_aligned((size_t)result->h, stride);
        if (!in->memory[i])
            return VMAFX_ERR_NOMEM;
        in->slots[i] = (VmafxPlane){
            .data = in->memory[i], .stride = (ptrdiff_t)stride, .w = result->w, .h = result->h, .bpc = result->bpc
        };
    }
    if (pthread_create(&in->thread, NULL, read_frames, in))
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
    in->head = (in->head + 1) % SCORE_QUEUE_FRAMES;
    in->filled--;
    pthread_cond_broadcast(&in->sync.changed);
    pthread_mutex_unlock(&in->sync.lock);
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
    vmafx_converter_free(&in->converter);
    vmafx_reader_close(&in->reader);
    for (size_t i = 0; i < SCORE_QUEUE_FRAMES; i++)
        vmafx_free_p(&in->memory[i]);
}

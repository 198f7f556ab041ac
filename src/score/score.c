/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Scoring one pair, from the first look at the options to how it ended. Three or four threads meet here (inputs that
 * are pipes are opened in two more, before that):
 *
 *     reader (reference) ── queue ──┐
 *                                   ├── caller: push into the engine, progress, final frames ── engine's workers
 *     reader (distorted) ── queue ──┘
 *     digests, of the input files, beside all that
 *
 * score_internal.h says which file does what.
 */

#include "score/score.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/base.h"
#include "base/features.h"
#include "score/score_internal.h"
#include "score/score_onnx.h"

#define TELL_MS     10 /* frames that are final wait so long for others, */
#define TELL_FRAMES 64 /* unless there are as many as that */

const char *const score_input_name[2] = { "reference", "distorted" };
static const char *const input_phrase[] = { "reference", "distorted video" }; /* in sentences */

static void pair_done(ScorePair *pair)
{
    atomic_store(&pair->stop, true);
    score_sync_done(&pair->opening);
    score_digests_done(&pair->digests);
    score_input_stop(&pair->inputs[REF]); /* both, before either's lock goes: they nudge at both */
    score_input_stop(&pair->inputs[DIS]);
    vmafx_engine_recall(pair->result->engine); /* when it broke off, workers still read what the inputs own */
    score_input_done(&pair->inputs[REF]);
    score_input_done(&pair->inputs[DIS]);
}

/* ---- the caller's side while frames come ---- */

void score_tell(ScorePair *pair)
{
    VmafxProgress progress = { .frames = pair->result->frames,
                               .total = pair->total,
                               .elapsed_s = score_seconds_since(&pair->started, CLOCK_MONOTONIC) };

    if (pair->options->progress && !pair->options->progress(pair->options->progress_ctx, &progress))
        pair->cancelled = true;
}

/* Hands over the frames that are final; all: those too that would wait for others a moment longer. Returns for how many
   milliseconds they may wait. An error of a frame is left for the next push, or for finish, to say. */
static long tell_scored(ScorePair *pair, bool all)
{
    const VmafxPairOptions *o = pair->options;
    uint32_t final;

    if (!o->scored || vmafx_engine_settle(pair->result->engine, &final, NULL) || final == pair->told)
        return SCORE_PROGRESS_MS;
    double now_s = score_seconds_since(&pair->started, CLOCK_MONOTONIC);
    double due_ms = TELL_MS - (now_s - pair->told_at_s) * 1e3;
    uint32_t first = pair->told;
    if (!all && pair->told && due_ms > 0 && final - first < TELL_FRAMES)
        return (long)due_ms + 1;
    pair->told = final;
    pair->told_at_s = now_s;
    if (!o->scored(o->scored_ctx, pair->result->engine, first, final - first))
        pair->cancelled = true;
    return SCORE_PROGRESS_MS;
}

/* Waits for the next frame of an input; NULL at its end, when the other one has failed, and when cancelled. */
static ScoreSlot *wait_for_frame(ScorePair *pair, ScoreInput *in)
{
    ScoreInput *other = &pair->inputs[in == &pair->inputs[REF] ? DIS : REF];
    ScoreSlot *frame = NULL;

    for (;;) {
        long ms = tell_scored(pair, false);
        const struct timespec until = score_in_ms(ms);
        bool in_time = true, enough = pair->cancelled || score_input_is_broken(other);

        pthread_mutex_lock(&in->sync.lock);
        while (in->filled == 0 && !in->ended && !in->nudged && !enough && in_time)
            in_time = score_sync_wait_until(&in->sync, &until);
        enough |= in->ended;
        if (in->filled > 0)
            frame = in->queue[in->head];
        in->nudged = false;
        pthread_mutex_unlock(&in->sync.lock);
        if (frame || enough)
            return pair->cancelled ? NULL : frame;
        if (!in_time && ms == SCORE_PROGRESS_MS)
            score_tell(pair);
    }
}

/* ---- how a pair ends ---- */

/* One input has ended cleanly, the other goes on. */
static VmafxErr end_shorter(ScorePair *pair, int first)
{
    VmafxResult *result = pair->result;

    result->ending = VMAFX_ENDING_SHORTER;
    result->ended_first = first;
    if (pair->options->accept_shorter)
        return score_note(&result->adaptations, "%s trimmed to the %u frames that the %s has", score_input_name[!first],
                          result->frames, score_input_name[first]);
    result->incomplete_reason =
        vmafx_sprintf("the %s '%s' ended after %u frames, the %s '%s' goes on: --accept-shorter takes that as complete",
                      input_phrase[first], result->inputs[first].path, result->frames, input_phrase[!first],
                      result->inputs[!first].path);
    return result->incomplete_reason ? VMAFX_OK : VMAFX_ERR_NOMEM;
}

static VmafxErr end_broken(ScorePair *pair, int which, VmafxErr why, const VmafxErrInfo *info, VmafxErrInfo *reterr)
{
    VmafxResult *result = pair->result;
    const char *message = *info->message ? info->message : vmafx_err_text(why);

    /* An encode that fails leaves no distorted video that anybody has asked for, unlike one that ends where its source
       is cut. */
    bool encoder = pair->options->encode && which == DIS && why != VMAFX_ERR_TRUNCATED;
    if (result->frames == 0 || why == VMAFX_ERR_NOMEM || why == VMAFX_ERR_INTERNAL || encoder)
        return vmafx_fail(reterr, why, "%s", message);
    result->ending = VMAFX_ENDING_BROKEN;
    result->ended_first = which;
    result->incomplete_reason =
        vmafx_sprintf("the %s broke off after %u frames: %s", input_phrase[which], result->frames, message);
    return result->incomplete_reason ? VMAFX_OK : VMAFX_ERR_NOMEM;
}

/* Both are at their last frame, or one is: says how the pair ended. */
static VmafxErr end_pair(ScorePair *pair, const ScoreSlot *ref, const ScoreSlot *dis, VmafxErrInfo *reterr)
{
    const bool ended[2] = { !ref, !dis };
    VmafxResult *result = pair->result;

    for (int i = 0; i < 2; i++) {
        VmafxErrInfo info;
        VmafxErr why = ended[i] ? score_input_ending(&pair->inputs[i], &info) : VMAFX_OK;

        if (why)
            return end_broken(pair, i, why, &info, reterr);
    }
    if (result->frames == 0)
        return vmafx_fail(reterr, VMAFX_ERR_INPUT, "no frame to score: '%s' has none left%s",
                          result->inputs[ended[REF] ? REF : DIS].path,
                          score_frames_before(pair->options, ended[REF] ? REF : DIS) ? " after skipping" : "");
    if (ended[REF] != ended[DIS])
        return end_shorter(pair, ended[REF] ? REF : DIS);
    result->ending = VMAFX_ENDING_TOGETHER;
    if (pair->options->count > 0 && result->frames < pair->options->count)
        return score_note(&result->warnings, "%lld frames were asked for, the inputs have %u",
                          (long long)pair->options->count, result->frames);
    return VMAFX_OK;
}

static VmafxErr end_cancelled(VmafxResult *result)
{
    free(result->incomplete_reason);
    result->ending = VMAFX_ENDING_CANCELLED;
    result->incomplete_reason = vmafx_sprintf("cancelled after %u frames", result->frames);
    return result->incomplete_reason ? VMAFX_OK : VMAFX_ERR_NOMEM;
}

/* ---- the run ---- */

/* What the decoding threads and the engine's workers have spent. */
static VmafxScoreTimes times_of(ScorePair *pair)
{
    const VmafxEngine *engine = pair->result->engine;
    uint64_t decode_ns = atomic_load_explicit(&pair->inputs[REF].decode_ns, memory_order_relaxed) +
                         atomic_load_explicit(&pair->inputs[DIS].decode_ns, memory_order_relaxed);

    VmafxScoreTimes times = { .decode_s = (double)decode_ns / 1e9 };

    for (size_t i = 0; engine && i < VMAFX_FEATURES_N; i++)
        times.feature_s[i] = vmafx_engine_seconds(engine, vmafx_feature_names[i]);
    return times;
}

static VmafxErr score_frames(ScorePair *pair, VmafxErrInfo *reterr)
{
    VmafxResult *result = pair->result;

    for (;;) {
        ScoreSlot *ref = wait_for_frame(pair, &pair->inputs[REF]);
        ScoreSlot *dis = wait_for_frame(pair, &pair->inputs[DIS]);

        if (pair->cancelled)
            return VMAFX_OK;
        if (!ref || !dis)
            return end_pair(pair, ref, dis, reterr);
        VmafxScoreTimes times = times_of(pair);
        vmafx_score_trace_frame(&pair->trace, result->frames, score_seconds_since(&pair->started, CLOCK_MONOTONIC),
                                &times);
        const VmafxLoan loans[2] = { { score_slot_release, ref }, { score_slot_release, dis } };
        VmafxErr err = vmafx_engine_push_lent(result->engine, &ref->picture, &dis->picture, loans, reterr);
        if (!err)
            err = score_onnx_frame(result, result->frames, &ref->picture.planes[0], &dis->picture.planes[0], reterr);
        if (err)
            return err;
        score_input_release(&pair->inputs[REF]);
        score_input_release(&pair->inputs[DIS]);
        result->frames++;
        score_tell(pair);
    }
}

static VmafxErr finish_frames(ScorePair *pair, VmafxErrInfo *reterr)
{
    VmafxErr err = score_onnx_end(pair->result, reterr);

    if (!err)
        err = vmafx_engine_finish(pair->result->engine, reterr);
    if (!err)
        tell_scored(pair, true);
    return err;
}

static int64_t expected_frames(const ScorePair *pair)
{
    int64_t total = pair->options->count;

    for (int i = 0; i < 2; i++) {
        int64_t n = pair->result->inputs[i].info.frames_estimate - score_frames_before(pair->options, i);

        if (n > 0)
            total = total ? VMAFX_MIN(total, n) : n;
    }
    return total;
}

static VmafxErr start_threads(ScorePair *pair, VmafxErrInfo *reterr)
{
    bool made = score_sync_init(&pair->inputs[REF].sync) && score_sync_init(&pair->inputs[DIS].sync);
    VmafxErr err = made ? score_input_start(pair, REF) : VMAFX_ERR_NOMEM;

    if (!err)
        err = score_input_start(pair, DIS);
    if (!err && pair->options->digest)
        err = score_digests_start(pair);
    pair->total = expected_frames(pair);
    return err ? vmafx_fail(reterr, err, "cannot start reading: %s", vmafx_err_text(err)) : err;
}

static VmafxErr run_pair(ScorePair *pair, VmafxErrInfo *reterr)
{
    VmafxResult *result = pair->result;
    struct timespec cpu;
    VmafxErr err;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu); /* opening an encode may encode a good part of a short clip */
    result->stage = VMAFX_STAGE_INPUTS;
    err = score_encode_check(pair, reterr);
    if (!err) {
        if (pair->options->encode)
            vmafx_score_trace_encode(&pair->trace, &pair->options->encode->recipe);
        err = score_open_inputs(pair, reterr);
    }
    vmafx_score_trace_opened(&pair->trace, score_seconds_since(&pair->started, CLOCK_MONOTONIC));
    if (err)
        return err;
    if (pair->cancelled)
        return end_cancelled(result);
    err = score_check_pixels(result, pair->options->pixels_max, reterr);
    if (err)
        return err;
    if (score_engine_waits(pair->options)) {
        result->stage = VMAFX_STAGE_MODELS;
        err = score_engine_fill(result, pair->options, reterr);
        if (err)
            return err;
    }
    result->stage = VMAFX_STAGE_PAIR;
    err = score_check_pair(result, pair->options, reterr);
    if (!err)
        err = score_adapt_pair(pair, reterr);
    if (err)
        return err;

    result->stage = VMAFX_STAGE_SCORING;
    err = start_threads(pair, reterr);
    if (!err)
        err = score_frames(pair, reterr);
    if (!err && !pair->cancelled)
        err = finish_frames(pair, reterr);
    else if (pair->options->scored)
        VMAFX_IGNORE(vmafx_engine_finish(result->engine, NULL)); /* its workers must not call us any more */
    result->wall_s = score_seconds_since(&pair->started, CLOCK_MONOTONIC);
    result->cpu_s = score_seconds_since(&cpu, CLOCK_PROCESS_CPUTIME_ID);
    const VmafxScoreTimes times = times_of(pair);
    result->decode_s = times.decode_s;
    for (size_t i = 0; i < VMAFX_FEATURES_N; i++)
        result->extraction_s += times.feature_s[i];
    if (err)
        return err;
    score_digests_wait(pair);
    score_digests_take(pair);
    if (pair->cancelled)
        err = end_cancelled(result);
    if (err)
        return err;
    result->complete = !result->incomplete_reason;
    result->stage = VMAFX_STAGE_DONE;
    return VMAFX_OK;
}

/* Frame numbers are 32 bits wide from the engine up; sums of these stay far from the edge of 64. */
static bool options_make_sense(const VmafxPairOptions *o)
{
    const int64_t numbers[] = { o->first, o->count, o->skip_ref, o->skip_dis };

    for (size_t i = 0; i < VMAFX_LEN(numbers); i++)
        if (numbers[i] < 0 || numbers[i] > UINT32_MAX)
            return false;
    if (o->first + o->count > UINT32_MAX || o->threads < 0 || o->subsample < 0)
        return false;
    return o->scale != VMAFX_SCALING_SIZE ||
           (o->scale_w > 0 && o->scale_w <= VMAFX_DIMENSION_MAX && o->scale_h > 0 && o->scale_h <= VMAFX_DIMENSION_MAX);
}

/* Whatever was encoded ends with the scoring; its thread has not, when the scoring broke off. */
static void end_encode(ScorePair *pair, VmafxErr err)
{
    if (!pair->options->encode)
        return;
    atomic_store(&pair->stop, true);
    score_input_stop(&pair->inputs[REF]);
    score_input_stop(&pair->inputs[DIS]);
    score_encode_ended(pair, err, false);
}

/* As vmafx_scored_of_result, of what the engine has. */
static void list_scored(const VmafxResult *result, VmafxScoredList *ret)
{
    const VmafxEngine *engine = result->engine;
    VmafxPooled pooled;

    for (size_t i = 0; i < result->n_models; i++) {
        const VmafxScoredModel *model = &result->models[i];

        if (!vmafx_engine_pool(engine, vmafx_engine_find(engine, model->name), 0, result->frames - 1, &pooled))
            vmafx_scored_add(ret, model->version ? model->version : model->name, VMAFX_SCORED_MODEL, pooled.mean);
    }
    for (size_t i = 0; i < vmafx_engine_series(engine); i++) {
        bool feature = vmafx_result_series_kind(result, i) == VMAFX_SERIES_FEATURE;
        const char *metric = feature ? vmafx_scored_metric(ret, vmafx_engine_series_name(engine, i)) : NULL;

        if (metric && !vmafx_engine_pool(engine, i, 0, result->frames - 1, &pooled))
            vmafx_scored_add(ret, NULL, metric, pooled.mean);
    }
}

static void end_trace(ScorePair *pair, VmafxErr err)
{
    const VmafxResult *result = pair->result;
    const VmafxScoredModel *model = result->n_models ? &result->models[0] : NULL;
    VmafxScoreEnd end = { .err = err,
                          .kernels = result->engine ? vmafx_engine_kernels(result->engine) : NULL,
                          .frames = result->frames,
                          .elapsed_s = score_seconds_since(&pair->started, CLOCK_MONOTONIC),
                          .times = times_of(pair),
                          .complete = result->complete,
                          .ending = result->ending };
    VmafxPooled pooled;

    if (result->ending == VMAFX_ENDING_SHORTER || result->ending == VMAFX_ENDING_BROKEN)
        end.ended_first = score_input_name[result->ended_first];
    if (result->encode) {
        end.encoder = result->encode->encoder;
        end.encoded_frames = result->encode->frames;
        end.encoded_bytes = result->encode->size_bytes;
    }
    if (model) {
        end.model = model->version ? model->version : model->name;
        end.model_sha256 = model->sha256;
    }
    if (model && result->stage == VMAFX_STAGE_DONE && result->frames &&
        !vmafx_engine_pool(result->engine, vmafx_engine_find(result->engine, model->name), 0, result->frames - 1,
                           &pooled)) {
        end.has_score = true;
        end.score = pooled.mean;
    }
    if (result->complete && result->stage == VMAFX_STAGE_DONE && result->frames)
        list_scored(result, &end.scored);
    vmafx_score_trace_end(&pair->trace, &end);
}

/* "master.mp4, encoded by libx264" */
static char *encoded_name(const char *reference, const VmafxPairEncode *encode)
{
    const VmafxRecipe *recipe = &encode->recipe;
    const char *encoder = recipe->encoder && *recipe->encoder ? recipe->encoder : recipe->codec;

    return vmafx_sprintf("%s, encoded by %s", reference, encoder ? encoder : "nothing");
}

VmafxErr vmafx_score_pair(const char *reference, const char *distorted, const VmafxPairOptions *options,
                          VmafxResult *result, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(pair_done) ScorePair pair = { .options = options, .result = result };
    VmafxErrInfo info = { 0 };

    clock_gettime(CLOCK_MONOTONIC, &pair.started);
    *result = (VmafxResult){ .subsample = options->subsample, .first = options->first, .skip_ref = options->skip_ref };
    pair.inputs[REF].pair = pair.inputs[DIS].pair = &pair;
    pair.inputs[REF].path = reference;
    pair.inputs[DIS].path = options->encode ? reference : distorted;
    result->inputs[REF].path = vmafx_strdup(reference);
    result->inputs[DIS].path = options->encode ? encoded_name(reference, options->encode) : vmafx_strdup(distorted);

    if (options->flat_trace)
        vmafx_score_trace_begin_flat(&pair.trace);
    else
        vmafx_score_trace_begin(&pair.trace);
    VmafxErr err = result->inputs[REF].path && result->inputs[DIS].path ? VMAFX_OK : VMAFX_ERR_NOMEM;
    if (!err && !options_make_sense(options))
        err = vmafx_fail(&info, VMAFX_ERR_INVALID, "a frame number, a thread count or a size is outside its range");
    if (!err)
        err = score_engine_set_up(result, options, score_nudge, &pair, &info);
    if (!err)
        err = run_pair(&pair, &info);
    end_encode(&pair, err);
    end_trace(&pair, err);
    if (err)
        return vmafx_fail(reterr, err, "%s", *info.message ? info.message : vmafx_err_text(err));
    return VMAFX_OK;
}

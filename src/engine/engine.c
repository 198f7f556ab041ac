/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The engine: frames in, and their values and scores out when they are final: at the end of the clip, or on the way
 * for those who ask.
 *
 *     add_model, add_feature ─► instances, each configuration once                                        (asked.c)
 *     first push             ─► series in report order, who works                                         (begin.c)
 *     push                   ─► pipeline ─► workers: passes fill the frame's row
 *     settle, finish         ─► motion2, motion3; predictions, row by row, of the frames that are final now
 *                            ─► values, pooled and one by one                                             (results.c)
 */

#include "engine/kernels/cpu.h"
#include "engine/state.h"

VmafxErr vmafx_engine_new(const VmafxEngineSettings *settings, VmafxEngine **ret_engine)
{
    if (settings->threads < 0 || settings->threads > VMAFX_THREADS_MAX || settings->subsample < 0)
        return VMAFX_ERR_INVALID;

    VmafxEngine *engine = calloc(1, sizeof *engine);
    if (!engine)
        return VMAFX_ERR_NOMEM;
    engine->settings = *settings;
    engine->settings.subsample = VMAFX_MAX(settings->subsample, 1);
    engine->cpu = vmafx_cpu_detect() & ~settings->cpu_disabled;
    vmafx_kernels_init(&engine->kernels, engine->cpu);
    *ret_engine = engine;
    return VMAFX_OK;
}

void vmafx_engine_free(VmafxEngine **engine_p)
{
    VmafxEngine *engine = *engine_p;

    if (!engine)
        return;
    vmafx_pipeline_free(&engine->pipeline);
    for (size_t i = 0; i < engine->n_groups; i++) {
        Group *group = &engine->groups[i];
        for (int j = 0; group->passes && j < vmafx_engine_workers(engine); j++)
            if (group->passes[j])
                group->extractor->pass_free(group->passes[j]);
        free(group->passes);
    }
    for (size_t i = 0; i < engine->n_models; i++)
        free(engine->models[i].name);
    for (size_t i = 0; i < engine->n_instances; i++) {
        VmafxInstance *instance = &engine->instances[i];
        if (instance->output)
            VMAFX_IGNORE(instance->extractor->end(instance, false, NULL)); /* dropping cannot fail */
        free(instance->path);
    }
    vmafx_guests_done(&engine->guests);
    vmafx_series_done(&engine->series);
    free(engine);
    *engine_p = NULL;
}

/* ---- Frames ---- */

static VmafxErr check_pair(VmafxEngine *engine, const VmafxPicture *ref, const VmafxPicture *dis, VmafxErrInfo *reterr)
{
    const VmafxShape shape = vmafx_shape_of(ref);
    VmafxErr err = vmafx_shape_check_same(&shape, dis, "the distorted picture", engine->n_frames, reterr);

    if (!err)
        err = vmafx_shape_check_planes(ref, "reference", engine->n_frames, reterr);
    if (!err)
        err = vmafx_shape_check_planes(dis, "distorted", engine->n_frames, reterr);
    if (!err && engine->pipeline)
        err = vmafx_shape_check_same(&engine->shape, ref, "the picture", engine->n_frames, reterr);
    return err;
}

VmafxErr vmafx_engine_push(VmafxEngine *engine, const VmafxPlane *ref, const VmafxPlane *dis, VmafxErrInfo *reterr)
{
    return vmafx_engine_push_pictures(engine, ref ? &(VmafxPicture){ .planes = { *ref } } : NULL,
                                      dis ? &(VmafxPicture){ .planes = { *dis } } : NULL, reterr);
}

/* Whether the pair can be the next frame, for which its row is made. */
static VmafxErr begin_frame(VmafxEngine *engine, const VmafxPicture *ref, const VmafxPicture *dis, double **ret_row,
                            VmafxErrInfo *reterr)
{
    if (engine->finished || engine->recalled)
        return vmafx_fail(reterr, VMAFX_ERR_FINISHED, "a frame after the end of the clip");
    if (!ref || !dis || !ref->planes[0].data || !dis->planes[0].data)
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "a frame without %s",
                          ref && ref->planes[0].data ? "distorted" : "reference");

    VmafxErr err = check_pair(engine, ref, dis, reterr);
    if (!err && !engine->pipeline)
        err = vmafx_engine_begin(engine, ref, reterr);
    if (err) {
        engine->finished |= !engine->pipeline && engine->series.n; /* a beginning that failed cannot be begun again */
        return err;
    }
    if (engine->n_frames == UINT32_MAX)
        return vmafx_fail(reterr, VMAFX_ERR_LIMIT, "more than %u frames", UINT32_MAX - 1);

    *ret_row = vmafx_series_row_new(&engine->series, engine->n_frames);
    if (!*ret_row)
        return vmafx_fail(reterr, VMAFX_ERR_NOMEM, "no memory for the values of frame %u", engine->n_frames);
    return VMAFX_OK;
}

VmafxErr vmafx_engine_push_pictures(VmafxEngine *engine, const VmafxPicture *ref, const VmafxPicture *dis,
                                    VmafxErrInfo *reterr)
{
    return vmafx_engine_push_lent(engine, ref, dis, NULL, reterr);
}

VmafxErr vmafx_engine_push_lent(VmafxEngine *engine, const VmafxPicture *ref, const VmafxPicture *dis,
                                const VmafxLoan loans[2], VmafxErrInfo *reterr)
{
    double *row;
    VmafxErr err = begin_frame(engine, ref, dis, &row, reterr);

    if (err) {
        vmafx_loans_end(loans);
        return err;
    }
    err = vmafx_pipeline_push(engine->pipeline, ref, dis, loans, engine->n_frames, row, reterr);
    if (!err)
        engine->n_frames++;
    return err;
}

void vmafx_engine_recall(VmafxEngine *engine)
{
    if (!engine)
        return;
    engine->recalled = true;
    if (engine->pipeline)
        VMAFX_IGNORE(vmafx_pipeline_drain(engine->pipeline, NULL)); /* finish says it */
}

/* ---- Final values ---- */

static VmafxErr predict_frame(const VmafxEngine *engine, const ModelSlot *slot, uint32_t frame, VmafxErrInfo *reterr)
{
    double *row = vmafx_series_row(&engine->series, frame);
    double inputs[VMAFX_MODEL_FEATURES_MAX], raw[VMAFX_MODEL_MEMBERS_MAX];
    size_t n_inputs = vmafx_model_inputs(slot->model, 0), members = vmafx_model_members(slot->model);

    for (size_t i = 0; i < n_inputs; i++) {
        InputSource source = slot->inputs[i];
        inputs[i] = row[engine->instances[source.instance].series[source.feature]];
        if (!vmafx_series_present(inputs[i]))
            return vmafx_fail(reterr, VMAFX_ERR_MISSING, "no feature '%s' at frame %u for model '%s'",
                              vmafx_model_input_feature(slot->model, 0, i), frame, slot->name);
    }
    for (size_t m = 0; m < members; m++) {
        row[slot->first_series + m] = vmafx_model_predict(slot->model, m, inputs, slot->flags);
        if (m > 0)
            raw[m - 1] =
                vmafx_model_predict(slot->model, m, inputs, VMAFX_MODEL_DISABLE_CLIP | VMAFX_MODEL_DISABLE_TRANSFORM);
    }
    if (vmafx_engine_has_interval(slot)) {
        VmafxConfidence confidence;
        double *out = row + slot->first_series + members;

        vmafx_model_confidence(slot->model, raw, slot->flags, &confidence);
        out[0] = confidence.bagging;
        out[1] = confidence.stddev;
        out[2] = confidence.ci_p95_lo;
        out[3] = confidence.ci_p95_hi;
    }
    return VMAFX_OK;
}

/* Brings frames up to `to` into their final state. n: as derive takes it. */
static VmafxErr settle_frames(VmafxEngine *engine, uint32_t to, uint32_t n, VmafxErrInfo *reterr)
{
    for (size_t i = 0; i < engine->n_instances; i++) {
        const VmafxInstance *instance = &engine->instances[i];
        if (instance->extractor->derive)
            instance->extractor->derive(instance, &engine->series, engine->n_settled, to, n);
    }
    for (uint32_t frame = engine->n_settled; frame < to; frame++)
        for (size_t i = 0; frame % (uint32_t)engine->settings.subsample == 0 && i < engine->n_models; i++) {
            VmafxErr err = predict_frame(engine, &engine->models[i], frame, reterr);
            if (err)
                return err;
        }
    VmafxErr err = vmafx_guests_settle(&engine->guests, &engine->series, engine->n_settled, to,
                                       (uint32_t)engine->settings.subsample, reterr);
    if (!err)
        engine->n_settled = to;
    return err;
}

static void gather_aggregates(VmafxEngine *engine)
{
    for (size_t i = 0; i < engine->n_groups; i++) {
        Group *group = &engine->groups[i];
        size_t n_passes = 0;

        for (int j = 0; j < vmafx_engine_workers(engine); j++) /* a worker that never had a frame has none */
            if (group->passes[j]) {
                void *pass = VMAFX_TAKE(group->passes[j]);
                group->passes[n_passes++] = pass;
            }
        for (size_t j = 0; group->extractor->aggregate && j < group->n_instances; j++) {
            double values[VMAFX_AGGREGATES_MAX];
            size_t n = group->extractor->aggregate(group->passes, n_passes, j, values);

            for (size_t k = 0; k < n; k++) {
                engine->aggregates[engine->n_aggregates].name = group->extractor->aggregate_names[k];
                engine->aggregates[engine->n_aggregates++].value = values[k];
            }
        }
    }
}

static VmafxErr keep_outputs(VmafxEngine *engine, VmafxErrInfo *reterr)
{
    VmafxErr err = VMAFX_OK;

    for (size_t i = 0; i < engine->n_instances && !err; i++)
        if (engine->instances[i].output)
            err = engine->instances[i].extractor->end(&engine->instances[i], true, reterr);
    return err;
}

VmafxErr vmafx_engine_finish(VmafxEngine *engine, VmafxErrInfo *reterr)
{
    if (engine->finished)
        return vmafx_fail(reterr, VMAFX_ERR_FINISHED, "the clip has already ended");
    engine->finished = true;
    if (!engine->n_frames)
        return vmafx_fail(reterr, VMAFX_ERR_MISSING, "the clip has no frame");

    VmafxErr err = vmafx_pipeline_drain(engine->pipeline, reterr);
    if (!err)
        err = settle_frames(engine, engine->n_frames, engine->n_frames, reterr);
    if (!err)
        gather_aggregates(engine);
    return err ? err : keep_outputs(engine, reterr);
}

VmafxErr vmafx_engine_settle(VmafxEngine *engine, uint32_t *ret_frames, VmafxErrInfo *reterr)
{
    uint32_t done = 0;
    VmafxErr err = VMAFX_OK;

    if (engine->pipeline && !engine->finished) {
        err = vmafx_pipeline_done(engine->pipeline, &done, reterr);
        uint32_t to = done;
        for (size_t i = 0; i < engine->n_instances; i++)
            if (engine->instances[i].extractor->settled)
                to = VMAFX_MIN(to, engine->instances[i].extractor->settled(&engine->instances[i], done));
        to = vmafx_guests_given(&engine->guests, to);
        if (!err && to > engine->n_settled)
            err = settle_frames(engine, to, done, reterr);
    }
    if (!err)
        *ret_frames = engine->n_settled;
    return err;
}

/* ---- Segments ---- */

static uint32_t frames_before(const VmafxEngine *engine)
{
    uint32_t before = 0;

    for (size_t i = 0; i < engine->n_instances; i++)
        if (engine->instances[i].extractor->context)
            before = VMAFX_MAX(before, engine->instances[i].extractor->context(&engine->instances[i]));
    return before;
}

/* Whether `last` is settled when so many frames are done. */
static bool is_settled(const VmafxEngine *engine, uint32_t last, uint32_t done)
{
    for (size_t i = 0; i < engine->n_instances; i++)
        if (engine->instances[i].extractor->settled &&
            engine->instances[i].extractor->settled(&engine->instances[i], done) <= last)
            return false;
    return true;
}

VmafxSegment vmafx_engine_segment(const VmafxEngine *engine, uint32_t first, uint32_t last)
{
    uint32_t before = frames_before(engine), step = (uint32_t)engine->settings.subsample;
    VmafxSegment segment = { .from = (first > before ? first - before : 0) / step * step, .to = last };

    while (segment.to < UINT32_MAX - 1 && !is_settled(engine, last - segment.from, segment.to - segment.from + 1))
        segment.to++;
    return segment;
}

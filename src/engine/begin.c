/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The first frame: names of series, what extractors need, and who works. */

#include <string.h>

#include "base/clock.h"
#include "engine/state.h"

static bool wants_debug(const VmafxInstance *instance)
{
    for (size_t i = 0; i < instance->extractor->n_options; i++)
        if (!strcmp(instance->extractor->options[i].name, "debug"))
            return instance->values[i] != 0;
    return false;
}

static VmafxErr name_features(VmafxEngine *engine, VmafxInstance *instance, bool derived, VmafxErrInfo *reterr)
{
    const VmafxExtractor *extractor = instance->extractor;
    VMAFX_AUTO(vmafx_free_p)
    char *suffix = vmafx_options_suffix(extractor->options, extractor->n_options, instance->values);

    if (!suffix)
        return VMAFX_ERR_NOMEM;
    for (size_t i = 0; i < extractor->n_features; i++) {
        const VmafxFeatureSpec *feature = &extractor->features[i];

        if (feature->derived != derived)
            continue;
        instance->series[i] = SIZE_MAX;
        if (feature->hidden || (feature->debug && !wants_debug(instance)) ||
            (extractor->gives && !extractor->gives(instance, &engine->shape, i)))
            continue;
        VMAFX_AUTO(vmafx_free_p) char *name = vmafx_sprintf("%s%s", feature->report, feature->plain ? "" : suffix);
        if (!name)
            return VMAFX_ERR_NOMEM;
        VmafxErr err = vmafx_series_add(&engine->series, name, &instance->series[i], reterr);
        if (err)
            return err;
    }
    return VMAFX_OK;
}

static VmafxErr add_named(VmafxEngine *engine, const char *name, const char *ending, VmafxErrInfo *reterr)
{
    size_t index;
    VMAFX_AUTO(vmafx_free_p) char *full = vmafx_sprintf("%s%s", name, ending);

    return full ? vmafx_series_add(&engine->series, full, &index, reterr) : VMAFX_ERR_NOMEM;
}

static VmafxErr name_scores(VmafxEngine *engine, ModelSlot *slot, VmafxErrInfo *reterr)
{
    static const char *const interval[] = { "_bagging", "_stddev", "_ci_p95_lo", "_ci_p95_hi" };

    slot->first_series = engine->series.n;
    VmafxErr err = add_named(engine, slot->name, "", reterr);
    for (size_t i = 1; !err && i < vmafx_model_members(slot->model); i++) {
        char ending[32];
        snprintf(ending, sizeof ending, "_%04zu", i);
        err = add_named(engine, slot->name, ending, reterr);
    }
    for (size_t i = 0; !err && vmafx_engine_has_interval(slot) && i < VMAFX_LEN(interval); i++)
        err = add_named(engine, slot->name, interval[i], reterr);
    return err;
}

static VmafxErr name_series(VmafxEngine *engine, VmafxErrInfo *reterr)
{
    VmafxErr err = VMAFX_OK;

    for (int derived = 0; derived < 2; derived++)
        for (size_t i = 0; !err && i < engine->n_instances; i++)
            err = name_features(engine, &engine->instances[i], derived, reterr);
    for (int collections = 0; collections < 2; collections++)
        for (size_t i = 0; !err && i < engine->n_models; i++)
            if (vmafx_model_is_collection(engine->models[i].model) == collections)
                err = name_scores(engine, &engine->models[i], reterr);
    for (size_t i = 0; !err && i < engine->guests.n; i++)
        err = vmafx_series_add(&engine->series, engine->guests.slots[i].name, &engine->guests.slots[i].series, reterr);
    for (size_t i = 0; !err && i < engine->n_instances; i++)
        for (size_t j = 0; j < engine->instances[i].extractor->n_features; j++)
            if (engine->instances[i].extractor->features[j].hidden)
                engine->instances[i].series[j] = vmafx_series_add_hidden(&engine->series);
    return err;
}

static Group *group_of(VmafxEngine *engine, const VmafxExtractor *extractor)
{
    for (size_t i = 0; i < engine->n_groups; i++)
        if (engine->groups[i].extractor == extractor)
            return &engine->groups[i];
    engine->groups[engine->n_groups].extractor = extractor;
    return &engine->groups[engine->n_groups++];
}

static VmafxErr make_groups(VmafxEngine *engine)
{
    for (size_t i = 0; i < engine->n_instances; i++) {
        Group *group = group_of(engine, engine->instances[i].extractor);
        group->instances[group->n_instances++] = &engine->instances[i];
    }
    for (size_t i = 0; i < engine->n_groups; i++) {
        engine->groups[i].passes = calloc((size_t)vmafx_engine_workers(engine), sizeof *engine->groups[i].passes);
        if (!engine->groups[i].passes)
            return VMAFX_ERR_NOMEM;
    }
    return VMAFX_OK;
}

static VmafxErr no_memory(const VmafxEngine *engine, VmafxErrInfo *reterr)
{
    return vmafx_fail(reterr, VMAFX_ERR_NOMEM, "no memory or threads to score pictures of %dx%d with %d threads",
                      engine->shape.w, engine->shape.h, engine->settings.threads);
}

/* Each worker makes its own, when it has something to do: beside the others, and in memory near its CPU. */
static VmafxErr make_pass(const VmafxEngine *engine, Group *group, int worker, VmafxErrInfo *reterr)
{
    const VmafxPassSetup setup = { .instances = group->instances,
                                   .n_instances = group->n_instances,
                                   .kernels = &engine->kernels,
                                   .w = engine->shape.w,
                                   .h = engine->shape.h,
                                   .bpc = engine->shape.bpc,
                                   .chroma = engine->shape.chroma,
                                   .subsample = engine->settings.subsample };
    VmafxErr err = group->extractor->pass_new(&setup, &group->passes[worker]);

    if (err && group->passes[worker])
        group->extractor->pass_free(VMAFX_TAKE(group->passes[worker]));
    return err == VMAFX_ERR_NOMEM ? no_memory(engine, reterr) : err;
}

static VmafxErr run_group(Group *group, int worker, const VmafxFrameInput *input, double *row)
{
    VmafxFeatureValues values[VMAFX_INSTANCES_MAX];
    uint64_t start_ns = vmafx_monotonic_ns();
    VmafxErr err = group->extractor->frame(group->passes[worker], input, values);

    atomic_fetch_add_explicit(&group->spent_ns, vmafx_monotonic_ns() - start_ns, memory_order_relaxed);

    for (size_t i = 0; !err && i < group->n_instances; i++)
        for (size_t j = 0; j < group->extractor->n_features; j++)
            if (!group->extractor->features[j].derived && group->instances[i]->series[j] != SIZE_MAX)
                row[group->instances[i]->series[j]] = values[i][j];
    return err;
}

/* A frame's part is what one extractor does. */
static VmafxErr frame_work(void *opaque, int worker, int part, const VmafxFrameInput *input, double *row,
                           VmafxErrInfo *reterr)
{
    VmafxEngine *engine = opaque;
    Group *group = &engine->groups[part];
    VmafxErrInfo info = { 0 };
    VmafxFrameInput with_info = *input;

    if (!group->extractor || (input->index % (uint32_t)engine->settings.subsample != 0 && !group->extractor->temporal))
        return VMAFX_OK; /* without any, the frames are there for scores from elsewhere */
    with_info.reterr = &info;
    VmafxErr err = group->passes[worker] ? VMAFX_OK : make_pass(engine, group, worker, &info);
    if (!err)
        err = run_group(group, worker, &with_info, row);
    if (!err)
        return VMAFX_OK;
    if (*info.message)
        return vmafx_fail(reterr, err, "%s", info.message);
    return vmafx_fail(reterr, err, "feature '%s' failed at frame %u: %s", group->extractor->name, input->index,
                      vmafx_err_text(err));
}

static VmafxErr check_shape(const VmafxEngine *engine, const VmafxShape *shape, VmafxErrInfo *reterr)
{
    bool usual = shape->bpc == 8 || shape->bpc == 10 || shape->bpc == 12 || shape->bpc == 16;
    VmafxErr err = VMAFX_OK;

    for (size_t i = 0; !err && i < engine->n_instances; i++) {
        const VmafxExtractor *extractor = engine->instances[i].extractor;
        if (shape->w < extractor->size_min || shape->h < extractor->size_min)
            return vmafx_fail(reterr, VMAFX_ERR_INVALID, "feature '%s' needs pictures of at least %dx%d, not %dx%d",
                              extractor->name, extractor->size_min, extractor->size_min, shape->w, shape->h);
        if (!usual && !extractor->wide)
            return vmafx_fail(reterr, VMAFX_ERR_INVALID,
                              "feature '%s' is defined for 8, 10, 12 and 16 bits per sample, not for %d",
                              extractor->name, shape->bpc);
        if (extractor->check_shape)
            err = extractor->check_shape(&engine->instances[i], shape, reterr);
    }
    return err;
}

bool vmafx_engine_reads_chroma(const VmafxEngine *engine)
{
    for (size_t i = 0; i < engine->n_instances; i++)
        if (engine->instances[i].extractor->reads_chroma &&
            engine->instances[i].extractor->reads_chroma(&engine->instances[i]))
            return true;
    return false;
}

static VmafxErr check_inputs_given(const VmafxEngine *engine, VmafxErrInfo *reterr)
{
    for (size_t i = 0; i < engine->n_models; i++)
        for (size_t j = 0; j < vmafx_model_inputs(engine->models[i].model, 0); j++) {
            InputSource source = engine->models[i].inputs[j];
            if (engine->instances[source.instance].series[source.feature] == SIZE_MAX)
                return vmafx_fail(reterr, VMAFX_ERR_FEATURE,
                                  "model '%s' needs '%s', which is given only with other options",
                                  engine->models[i].name, vmafx_model_input_feature(engine->models[i].model, 0, j));
        }
    return VMAFX_OK;
}

/* Where the guests' inputs are; the same check. */
static VmafxErr place_guests(VmafxEngine *engine, VmafxErrInfo *reterr)
{
    for (size_t i = 0; i < engine->guests.n; i++)
        for (size_t j = 0; j < engine->guests.slots[i].n_inputs; j++) {
            VmafxGuestInput *input = &engine->guests.slots[i].inputs[j];
            const VmafxInstance *instance = &engine->instances[input->instance];

            input->series = instance->series[input->feature];
            if (input->series == SIZE_MAX)
                return vmafx_fail(reterr, VMAFX_ERR_FEATURE,
                                  "model '%s' needs '%s', which is given only with other options",
                                  engine->guests.slots[i].name, instance->extractor->features[input->feature].stored);
        }
    return VMAFX_OK;
}

/* Files that are written beside the results. */
static VmafxErr begin_outputs(VmafxEngine *engine, VmafxErrInfo *reterr)
{
    VmafxErr err = VMAFX_OK;

    for (size_t i = 0; i < engine->n_instances && !err; i++)
        if (engine->instances[i].path)
            err = engine->instances[i].extractor->begin(&engine->instances[i], &engine->shape, reterr);
    return err;
}

static VmafxErr start_pipeline(VmafxEngine *engine)
{
    VmafxShape shape = engine->shape;
    if (!vmafx_engine_reads_chroma(engine))
        shape.chroma = VMAFX_CHROMA_400;
    bool keeps_dis = false;
    for (size_t i = 0; i < engine->n_groups; i++)
        keeps_dis |= engine->groups[i].extractor->reads_earlier_dis;
    const VmafxPipelineSetup setup = { .threads = engine->settings.threads,
                                       .parts = (int)VMAFX_MAX(engine->n_groups, (size_t)1),
                                       .shape = shape,
                                       .keeps_dis = keeps_dis,
                                       .work = frame_work,
                                       .ctx = engine,
                                       .frame_done = engine->settings.frame_done,
                                       .frame_done_ctx = engine->settings.frame_done_ctx };

    return vmafx_pipeline_new(&setup, &engine->pipeline);
}

VmafxErr vmafx_engine_begin(VmafxEngine *engine, const VmafxPicture *picture, VmafxErrInfo *reterr)
{
    const VmafxShape shape = vmafx_shape_of(picture);
    VmafxErr err = vmafx_shape_check(&shape, reterr);

    if (!err && !engine->n_instances && !engine->guests.n)
        err = vmafx_fail(reterr, VMAFX_ERR_INVALID, "neither a model nor a feature was asked for");
    if (!err)
        err = check_shape(engine, &shape, reterr);
    if (err)
        return err;
    engine->shape = shape;
    err = name_series(engine, reterr);
    if (!err)
        err = check_inputs_given(engine, reterr);
    if (!err)
        err = place_guests(engine, reterr);
    if (!err)
        err = begin_outputs(engine, reterr);
    if (!err)
        err = make_groups(engine);
    if (!err)
        err = start_pipeline(engine);
    return err == VMAFX_ERR_NOMEM ? no_memory(engine, reterr) : err;
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The engine: which extractor instances are wanted, running them on every frame, and turning their values into
 * scores when they are final: at the end of the clip, or on the way for those who ask.
 *
 *     add_model, add_feature ─► instances (each configuration once)
 *     first push             ─► series in report order, one pass per worker and extractor, the pipeline
 *     push                   ─► pipeline ─► workers: passes fill the frame's row
 *     settle, finish         ─► motion2, motion3; predictions, row by row, of the frames that are final now
 */

#include <vmafx/engine.h>

#include <math.h>
#include <stdatomic.h>
#include <string.h>

#include "base/base.h"
#include "base/clock.h"
#include "engine/engine_internal.h"
#include "engine/extractor.h"
#include "engine/guests.h"
#include "engine/kernels/cpu.h"
#include "engine/pipeline.h"
#include "engine/series.h"
#include "engine/shape.h"

#define MODELS_MAX 64

/* Where a model finds one of its inputs. */
typedef struct InputSource {
    size_t instance, feature;
} InputSource;

typedef struct ModelSlot {
    const VmafxModel *model;
    char *name;
    unsigned flags;
    InputSource inputs[VMAFX_MODEL_FEATURES_MAX];
    size_t first_series; /* of members, then of the confidence interval */
} ModelSlot;

/* All instances of one extractor: what one pass computes. */
typedef struct Group {
    const VmafxExtractor *extractor;
    const VmafxInstance *instances[VMAFX_INSTANCES_MAX];
    size_t n_instances;
    void **passes;                 /* by worker */
    atomic_uint_fast64_t spent_ns; /* a plain counter */
} Group;

struct VmafxEngine {
    VmafxEngineSettings settings;
    unsigned cpu; /* VMAFX_CPU_… in use */
    VmafxKernels kernels;

    VmafxInstance instances[VMAFX_INSTANCES_MAX];
    size_t n_instances;
    ModelSlot models[MODELS_MAX];
    size_t n_models;
    VmafxGuests guests;

    Group groups[VMAFX_INSTANCES_MAX];
    size_t n_groups;
    VmafxSeries series;
    VmafxPipeline *pipeline; /* from the first push on */
    VmafxShape shape;        /* of every frame */
    struct {
        const char *name; /* the extractor's */
        double value;
    } aggregates[VMAFX_INSTANCES_MAX * VMAFX_AGGREGATES_MAX];
    size_t n_aggregates;
    uint32_t n_frames;
    uint32_t n_settled; /* from the first: derived and predicted */
    bool finished, recalled;
};

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

static int n_workers(const VmafxEngine *engine)
{
    return VMAFX_MAX(engine->settings.threads, 1);
}

void vmafx_engine_free(VmafxEngine **engine_p)
{
    VmafxEngine *engine = *engine_p;

    if (!engine)
        return;
    vmafx_pipeline_free(&engine->pipeline);
    for (size_t i = 0; i < engine->n_groups; i++) {
        Group *group = &engine->groups[i];
        for (int j = 0; group->passes && j < n_workers(engine); j++)
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

/* Two of one name may differ in what they give for debugging only. */
static bool same_values(const VmafxInstance *a, const VmafxInstance *b)
{
    if (a->path && b->path && strcmp(a->path, b->path) != 0)
        return false;
    for (size_t i = 0; i < a->extractor->n_options; i++)
        if (a->values[i] != b->values[i] && strcmp(a->extractor->options[i].name, "debug") != 0)
            return false;
    return true;
}

/* Paths come from whoever called, never from a model file, and only where the engine may write. */
static VmafxErr check_path(const VmafxEngine *engine, const VmafxInstance *instance, VmafxErrInfo *reterr)
{
    const VmafxExtractor *extractor = instance->extractor;

    if (!instance->path)
        return VMAFX_OK;
    for (size_t i = 0; i < extractor->n_options; i++)
        if (extractor->options[i].type == VMAFX_OPTION_PATH && !engine->settings.writes_files)
            return vmafx_fail(reterr, VMAFX_ERR_FEATURE,
                              "option '%s' of feature '%s' writes files: 'vmafx score' and 'vmafx vmaf' take it on the "
                              "machine where they run, jobs and servers do not",
                              extractor->options[i].name, extractor->name);
    for (size_t i = 0; i < engine->n_instances; i++)
        if (engine->instances[i].path && !strcmp(engine->instances[i].path, instance->path) &&
            !vmafx_options_same(extractor->options, extractor->n_options, engine->instances[i].values,
                                instance->values))
            return vmafx_fail(
                reterr, VMAFX_ERR_FEATURE,
                "two configurations of feature '%s' would write the same files in '%s'; give each a folder "
                "of its own",
                extractor->name, instance->path);
    return VMAFX_OK;
}

VmafxErr vmafx_engine_add_instance(VmafxEngine *engine, const VmafxExtractor *extractor, const VmafxOptions *options,
                                   bool strict, size_t *ret_instance, VmafxErrInfo *reterr)
{
    VmafxInstance instance = { .extractor = extractor,
                               .path = (char *)vmafx_options_path(extractor->options, extractor->n_options, options) };

    if (engine->n_frames)
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "features and models must be added before the first frame");
    VmafxErr err = vmafx_options_read(extractor->name, extractor->options, extractor->n_options, options, strict,
                                      instance.values, reterr);
    if (!err)
        err = check_path(engine, &instance, reterr);
    if (!err && extractor->check)
        err = extractor->check(&instance, reterr);
    if (err)
        return err;

    for (size_t i = 0; i < engine->n_instances; i++)
        if (engine->instances[i].extractor == extractor &&
            vmafx_options_same(extractor->options, extractor->n_options, engine->instances[i].values,
                               instance.values)) {
            if (!same_values(&engine->instances[i], &instance))
                return vmafx_fail(reterr, VMAFX_ERR_FEATURE,
                                  "feature '%s' is asked for twice with different options that its results do not have "
                                  "in their names; ask for it once",
                                  extractor->name);
            *ret_instance = i;
            return VMAFX_OK;
        }
    if (engine->n_instances == VMAFX_INSTANCES_MAX)
        return vmafx_fail(reterr, VMAFX_ERR_LIMIT, "more than %d feature configurations", VMAFX_INSTANCES_MAX);
    if (instance.path && !(instance.path = vmafx_strdup(instance.path)))
        return VMAFX_ERR_NOMEM;
    *ret_instance = engine->n_instances;
    engine->instances[engine->n_instances++] = instance;
    return VMAFX_OK;
}

VmafxErr vmafx_engine_add_feature(VmafxEngine *engine, const char *name, const VmafxOptions *options, bool strict,
                                  VmafxErrInfo *reterr)
{
    const VmafxExtractor *extractor;
    size_t instance;
    VmafxErr err = vmafx_extractor_find(name, &extractor, reterr);

    return err ? err : vmafx_engine_add_instance(engine, extractor, options, strict, &instance, reterr);
}

/* The model's own options for an input, with those of `use` that concern the extractor in their place or after them.
   Nothing is copied: only the list itself has to be freed. */
static VmafxErr merged_options(const VmafxExtractor *extractor, const VmafxOptions *own, const VmafxOptions *overloads,
                               VmafxOptions *ret_options)
{
    size_t n_own = own ? own->n : 0, n_more = overloads ? overloads->n : 0, prefix = strlen(extractor->name);
    VmafxOption *items = calloc(n_own + n_more + 1, sizeof *items);

    if (!items)
        return VMAFX_ERR_NOMEM;
    for (size_t i = 0; i < n_own; i++)
        items[i] = own->items[i];
    *ret_options = (VmafxOptions){ items, n_own };
    for (size_t i = 0; i < n_more; i++) {
        const char *key = overloads->items[i].key;
        if (!strncmp(key, extractor->name, prefix) && key[prefix] == '.') /* a later one replaces an equal key */
            items[ret_options->n++] = (VmafxOption){ overloads->items[i].key + prefix + 1, overloads->items[i].value };
    }
    return VMAFX_OK;
}

/* Adds the instance that gives a stored feature. */
static VmafxErr find_input(VmafxEngine *engine, const char *stored, const VmafxOptions *own,
                           const VmafxOptions *overloads, InputSource *ret_source, VmafxErrInfo *reterr)
{
    VmafxOptions options = { 0 };
    const VmafxExtractor *extractor;
    VmafxErr err = vmafx_extractor_for_feature(stored, &extractor, &ret_source->feature, reterr);

    if (!err)
        err = merged_options(extractor, own, overloads, &options);
    if (!err && vmafx_options_path(extractor->options, extractor->n_options, &options))
        err = vmafx_fail(reterr, VMAFX_ERR_FEATURE,
                         "a model cannot have feature '%s' write files; ask for it by itself", extractor->name);
    if (!err)
        err = vmafx_engine_add_instance(engine, extractor, &options, false, &ret_source->instance, reterr);
    free(options.items);
    return err;
}

/* An overload that names no extractor would be lost without a word. */
static VmafxErr check_overloads(const VmafxOptions *overloads, VmafxErrInfo *reterr)
{
    for (size_t i = 0; overloads && i < overloads->n; i++) {
        const char *key = overloads->items[i].key, *dot = strchr(key, '.');
        const VmafxExtractor *extractor;
        VMAFX_AUTO(vmafx_free_p) char *name = dot ? strndup(key, (size_t)(dot - key)) : vmafx_strdup(key);

        if (!name)
            return VMAFX_ERR_NOMEM;
        if (!dot)
            return vmafx_fail(reterr, VMAFX_ERR_FEATURE, "'%s' is not of the form FEATURE.OPTION", key);
        VmafxErr err = vmafx_extractor_find(name, &extractor, reterr);
        if (err)
            return err;
    }
    return VMAFX_OK;
}

VmafxErr vmafx_engine_add_model(VmafxEngine *engine, const VmafxModel *model, const VmafxModelUse *use,
                                VmafxErrInfo *reterr)
{
    const char *name = use->name ? use->name : "vmaf";

    if (engine->n_models == MODELS_MAX)
        return vmafx_fail(reterr, VMAFX_ERR_LIMIT, "more than %d models", MODELS_MAX);
    for (size_t i = 0; i < engine->n_models; i++)
        if (!strcmp(engine->models[i].name, name))
            return vmafx_fail(reterr, VMAFX_ERR_INVALID, "two models have the name '%s'; give one of them another name",
                              name);

    ModelSlot *slot = &engine->models[engine->n_models];
    VmafxErr err = check_overloads(use->overloads, reterr);
    for (size_t i = 0; !err && i < vmafx_model_inputs(model, 0); i++)
        err = find_input(engine, vmafx_model_input_feature(model, 0, i), vmafx_model_input_options(model, 0, i),
                         use->overloads, &slot->inputs[i], reterr);
    if (err)
        return err;
    slot->model = model;
    slot->flags = use->flags;
    slot->name = vmafx_strdup(name);
    if (!slot->name)
        return VMAFX_ERR_NOMEM;
    engine->n_models++;
    return VMAFX_OK;
}

VmafxErr vmafx_engine_add_guest(VmafxEngine *engine, const VmafxGuest *guest, size_t *ret_guest, VmafxErrInfo *reterr)
{
    VmafxGuestInput inputs[VMAFX_MODEL_FEATURES_MAX];
    VmafxErr err = VMAFX_OK;

    if (engine->n_frames)
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "features and models must be added before the first frame");
    if (guest->n_features > VMAFX_MODEL_FEATURES_MAX || (guest->n_features && !guest->predict))
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "'%s' has more than %d inputs, or nobody who predicts",
                          guest->name, VMAFX_MODEL_FEATURES_MAX);
    for (size_t i = 0; !err && i < guest->n_features; i++) {
        InputSource source;

        err = find_input(engine, guest->features[i], &guest->options[i], NULL, &source, reterr);
        if (!err)
            inputs[i] = (VmafxGuestInput){ source.instance, source.feature, SIZE_MAX };
    }
    return err ? err : vmafx_guests_add(&engine->guests, guest, inputs, ret_guest, reterr);
}

VmafxErr vmafx_engine_give(VmafxEngine *engine, size_t guest, const double *values, size_t n, VmafxErrInfo *reterr)
{
    if (engine->finished)
        return vmafx_fail(reterr, VMAFX_ERR_FINISHED, "a value after the end of the clip");
    return vmafx_guests_give(&engine->guests, guest, &engine->series, engine->n_frames,
                             (uint32_t)engine->settings.subsample, values, n, reterr);
}

/* ---- The first push ---- */

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

static bool has_interval(const ModelSlot *slot)
{
    return vmafx_model_is_collection(slot->model) && vmafx_model_members(slot->model) > 1;
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
    for (size_t i = 0; !err && has_interval(slot) && i < VMAFX_LEN(interval); i++)
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
        engine->groups[i].passes = calloc((size_t)n_workers(engine), sizeof *engine->groups[i].passes);
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
    VmafxErr err = group->passes[worker] ? VMAFX_OK : group->extractor->pass_new(&setup, &group->passes[worker]);

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
    VmafxErr err = make_pass(engine, group, worker, &info);
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

static VmafxErr keep_outputs(VmafxEngine *engine, VmafxErrInfo *reterr)
{
    VmafxErr err = VMAFX_OK;

    for (size_t i = 0; i < engine->n_instances && !err; i++)
        if (engine->instances[i].output)
            err = engine->instances[i].extractor->end(&engine->instances[i], true, reterr);
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

static VmafxErr begin(VmafxEngine *engine, const VmafxPicture *picture, VmafxErrInfo *reterr)
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
        err = begin(engine, ref, reterr);
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
    if (has_interval(slot)) {
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

        for (int j = 0; j < n_workers(engine); j++) /* a worker that never had a frame has none */
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

/* ---- Results ---- */

double vmafx_engine_seconds(const VmafxEngine *engine, const char *extractor)
{
    for (size_t i = 0; i < engine->n_groups; i++)
        if (!strcmp(engine->groups[i].extractor->name, extractor))
            return (double)atomic_load_explicit(&engine->groups[i].spent_ns, memory_order_relaxed) / 1e9;
    return 0;
}

const char *vmafx_engine_kernels(const VmafxEngine *engine)
{
    return vmafx_cpu_name(engine->cpu);
}

uint32_t vmafx_engine_frames(const VmafxEngine *engine)
{
    return engine->n_frames;
}

size_t vmafx_engine_series(const VmafxEngine *engine)
{
    return engine->series.n;
}

const char *vmafx_engine_series_name(const VmafxEngine *engine, size_t series)
{
    return engine->series.names[series];
}

bool vmafx_engine_value(const VmafxEngine *engine, size_t series, uint32_t frame, double *ret_value)
{
    if (series >= engine->series.n || frame >= (engine->finished ? engine->n_frames : engine->n_settled))
        return false; /* a worker may be writing into the rows of others */
    double v = vmafx_series_row(&engine->series, frame)[series];
    if (!vmafx_series_present(v))
        return false;
    *ret_value = v;
    return true;
}

size_t vmafx_engine_aggregates(const VmafxEngine *engine)
{
    return engine->n_aggregates;
}

const char *vmafx_engine_aggregate_name(const VmafxEngine *engine, size_t aggregate)
{
    return engine->aggregates[aggregate].name;
}

double vmafx_engine_aggregate(const VmafxEngine *engine, size_t aggregate)
{
    return engine->aggregates[aggregate].value;
}

size_t vmafx_engine_find(const VmafxEngine *engine, const char *name)
{
    return vmafx_series_find(&engine->series, name);
}

VmafxErr vmafx_engine_pool(const VmafxEngine *engine, size_t series, uint32_t lo, uint32_t hi, VmafxPooled *ret_pooled)
{
    uint32_t step = (uint32_t)engine->settings.subsample;
    VmafxPooled pooled = { 0 };
    double sum = 0, inverse_sum = 0;

    if (lo > hi || hi >= engine->n_frames || series >= engine->series.n)
        return VMAFX_ERR_INVALID;
    for (uint64_t i = ((uint64_t)lo + step - 1) / step * step; i <= hi; i += step) {
        double v;
        if (!vmafx_engine_value(engine, series, (uint32_t)i, &v))
            return VMAFX_ERR_MISSING;
        if (pooled.n == 0 || v < pooled.min)
            pooled.min = v;
        if (pooled.n == 0 || v > pooled.max)
            pooled.max = v;
        sum += v;
        inverse_sum += 1.0 / (v + 1.0);
        pooled.n++;
    }
    pooled.mean = sum / pooled.n;
    pooled.harmonic_mean = pooled.n / inverse_sum - 1.0;
    *ret_pooled = pooled;
    return VMAFX_OK;
}

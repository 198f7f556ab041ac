/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What an engine is asked for: features, models and scores from elsewhere, each configuration of a feature once. */

#include <string.h>

#include "engine/engine_internal.h"
#include "engine/state.h"

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

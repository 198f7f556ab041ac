/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What an engine consists of, for the files that make it up. */
#ifndef VMAFX_ENGINE_STATE_H
#define VMAFX_ENGINE_STATE_H

#include <vmafx/engine.h>

#include <stdatomic.h>

#include "base/base.h"
#include "engine/extractor.h"
#include "engine/guests.h"
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

/* How many passes each extractor may have. */
static inline int vmafx_engine_workers(const VmafxEngine *engine)
{
    return VMAFX_MAX(engine->settings.threads, 1);
}

/* Whether a model gives a confidence interval besides the scores of its members. */
static inline bool vmafx_engine_has_interval(const ModelSlot *slot)
{
    return vmafx_model_is_collection(slot->model) && vmafx_model_members(slot->model) > 1;
}

/** What the first frame decides: series and their names, sizes, files beside the results, the pipeline. */
VMAFX_CHECK VmafxErr vmafx_engine_begin(VmafxEngine *engine, const VmafxPicture *picture, VmafxErrInfo *reterr);
#endif

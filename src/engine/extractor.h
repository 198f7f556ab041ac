/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Feature extractors: how one describes itself, and how the engine runs it.
 *
 * An *instance* is an extractor with one set of option values. All instances of an extractor are computed by one
 * *pass* over a pair of frames, so that what they have in common is computed once. Every worker has a pass of its
 * own for each extractor: that is where scratch memory lives.
 */
#ifndef VMAFX_ENGINE_EXTRACTOR_H
#define VMAFX_ENGINE_EXTRACTOR_H

#include <vmafx/engine.h>

#include "engine/kernels/kernels.h"
#include "engine/options.h"
#include "engine/series.h"
#include "engine/shape.h"

#define VMAFX_EXTRACTOR_FEATURES_MAX 24
#define VMAFX_INSTANCES_MAX          64 /* of all extractors of one engine */
#define VMAFX_AGGREGATES_MAX         4  /* of one extractor */

/** One value per frame that an extractor gives. */
typedef struct VmafxFeatureSpec {
    const char *stored; /* the name models ask for */
    const char *report; /* the name reports print, and to which option suffixes are added */
    bool debug;         /* only with the option debug=true */
    bool derived;       /* from the others, of this frame and of its neighbours */
    bool plain;         /* never with the suffix of options */
    bool hidden;        /* in no report: for others to be derived from */
} VmafxFeatureSpec;

typedef struct VmafxExtractor VmafxExtractor;

/** An extractor with its option values. */
typedef struct VmafxInstance {
    const VmafxExtractor *extractor;
    double values[VMAFX_OPTIONS_MAX];            /* by the extractor's option table */
    size_t series[VMAFX_EXTRACTOR_FEATURES_MAX]; /* where each feature is stored; SIZE_MAX: not given */
    char *path;                                  /* the option of that type; NULL: not given */
    void *output;                                /* what begin made; all passes write to it */
} VmafxInstance;

/** What a pass is made for. Borrowed for the pass's life. */
typedef struct VmafxPassSetup {
    const VmafxInstance *const *instances;
    size_t n_instances;
    const VmafxKernels *kernels;
    int w, h, bpc;
    VmafxChroma chroma;
    int subsample; /* only frames whose index is a multiple of it are looked at */
} VmafxPassSetup;

typedef struct VmafxFrameInput {
    uint32_t index;
    const VmafxPlane *ref, *dis;   /* three planes each; Cb and Cr are empty unless an extractor reads chroma */
    const VmafxPlane *earlier[2];  /* the reference one and two frames before; NULL before the first */
    const VmafxPlane *earlier_dis; /* the distorted picture one frame before, when an extractor reads it */
    VmafxErrInfo *reterr;          /* for a sentence, where there is one to say */
} VmafxFrameInput;

/** Values of one frame: by instance of the pass, by feature of the extractor. */
typedef double VmafxFeatureValues[VMAFX_EXTRACTOR_FEATURES_MAX];

struct VmafxExtractor {
    const char *name;
    const VmafxOptionSpec *options;
    size_t n_options;
    const VmafxFeatureSpec *features; /* in the order of reports */
    size_t n_features;
    int size_min;           /* smallest width and height with defined results */
    bool temporal;          /* wants every frame, whatever the subsampling */
    bool reads_earlier_dis; /* the distorted picture of the frame before, too */
    bool wide;              /* takes every depth from 8 to 16; else 8, 10, 12 and 16 only */

    /** Refuses combinations of options. May be NULL. */
    VmafxErr (*check)(const VmafxInstance *instance, VmafxErrInfo *reterr);
    /** Refuses pictures, beyond what size_min and wide say. May be NULL. */
    VmafxErr (*check_shape)(const VmafxInstance *instance, const VmafxShape *shape, VmafxErrInfo *reterr);
    /** Whether the instance reads Cb and Cr where there are some. NULL: no. */
    bool (*reads_chroma)(const VmafxInstance *instance);
    /** Whether the instance gives a feature that is not for debugging. NULL: all of them. */
    bool (*gives)(const VmafxInstance *instance, const VmafxShape *shape, size_t feature);
    /** On failure *ret_pass is NULL or half built; pass_free takes both. */
    VmafxErr (*pass_new)(const VmafxPassSetup *setup, void **ret_pass);
    void (*pass_free)(void *pass);
    /** One frame; one thread at a time per pass. */
    VmafxErr (*frame)(void *pass, const VmafxFrameInput *input, VmafxFeatureValues *ret_values);
    /**
     * Derived features; both functions NULL: there are none. settled: of how many frames, from the first, they are
     * known when the others are of `done` frames and more frames may come. derive: writes those of frames from … to − 1
     * into their rows; n is the number of frames in the clip, or, while it goes on, of those that are done: then
     * to <= settled(done), and the result is the same whatever n.
     */
    uint32_t (*settled)(const VmafxInstance *instance, uint32_t done);
    void (*derive)(const VmafxInstance *instance, const VmafxSeries *series, uint32_t from, uint32_t to, uint32_t n);

    /** How many frames before a frame, on either side, its values depend on; NULL: none. What comes after it, settled
        tells. */
    uint32_t (*context)(const VmafxInstance *instance);

    /**
     * What an instance with a path writes; both NULL: nothing. begin: before the first frame, once for all passes.
     * end: after the last one; keep: all of it is there, else it is to be dropped. output is NULL afterwards.
     */
    VmafxErr (*begin)(VmafxInstance *instance, const VmafxShape *shape, VmafxErrInfo *reterr);
    VmafxErr (*end)(VmafxInstance *instance, bool keep, VmafxErrInfo *reterr);

    /**
     * Values of the whole clip, from what the passes of all workers gathered; NULL: none. Called once, at its end.
     * i: the instance's place in the passes. @return how many of aggregate_names it gives: all or none
     */
    size_t (*aggregate)(void *const *passes, size_t n_passes, size_t i, double *ret_values);
    const char *const *aggregate_names; /* at most VMAFX_AGGREGATES_MAX */
};

/* vmafx_extractor_NAME of every feature there is. */
#define VMAFX_FEATURE(name, NAME, what, good_for, misleads) extern const VmafxExtractor vmafx_extractor_##name;
#include "base/features.def"

/** By name. VMAFX_ERR_UNSUPPORTED: a later version will have it; VMAFX_ERR_FEATURE: nobody knows it. */
VMAFX_CHECK VmafxErr vmafx_extractor_find(const char *name, const VmafxExtractor **ret_extractor, VmafxErrInfo *reterr);
/** The one that gives a stored feature name; errors as above. */
VMAFX_CHECK VmafxErr vmafx_extractor_for_feature(const char *stored, const VmafxExtractor **ret_extractor,
                                                 size_t *ret_feature, VmafxErrInfo *reterr);
#endif

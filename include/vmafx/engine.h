/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The measuring engine: pairs of frames go in, feature values and model scores per frame come out.
 *
 *     VmafxEngine *engine = NULL;
 *     vmafx_engine_new(&(VmafxEngineSettings){ .threads = 4 }, &engine);
 *     vmafx_engine_add_model(engine, model, &(VmafxModelUse){ .name = "vmaf" }, &info);
 *     while (two frames) vmafx_engine_push(engine, &ref, &dis, &info);
 *     vmafx_engine_finish(engine, &info);
 *     vmafx_engine_pool(engine, "vmaf", 0, n - 1, &pooled);
 *     vmafx_engine_free(&engine);
 *
 * An engine belongs to one thread at a time; any number of engines may live side by side. Results do not
 * depend on the number of threads.
 */
#ifndef VMAFX_ENGINE_H
#define VMAFX_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <vmafx/error.h>

#ifdef __cplusplus
extern "C" {
#endif

#define VMAFX_ENGINE_VERSION     "0.1.0"
#define VMAFX_DIMENSION_MAX      65536 /* width and height of a picture */
#define VMAFX_MODEL_FEATURES_MAX 64    /* inputs of one model */
#define VMAFX_MODEL_MEMBERS_MAX  256   /* models of one collection */

/**
 * One plane of a picture. Row y begins at data + y * stride and holds w samples: uint8_t when bpc is 8,
 * else uint16_t in the machine's byte order with the value in the low bpc bits. The bytes after them, up to
 * stride, mean nothing.
 */
typedef struct VmafxPlane {
    const void *data; /* aligned to the sample */
    ptrdiff_t stride; /* bytes from one row to the next; may be negative */
    int w, h;         /* samples, 1 … VMAFX_DIMENSION_MAX */
    int bpc;          /* bits per sample, 8 … 16 */
} VmafxPlane;

typedef enum VmafxChroma { VMAFX_CHROMA_400 = 0, VMAFX_CHROMA_420, VMAFX_CHROMA_422, VMAFX_CHROMA_444 } VmafxChroma;

/**
 * A picture: luma, and Cb and Cr unless chroma is 4:0:0. All planes have the same depth. Where chroma has half the
 * luma's width or height, that is half of it rounded down, as in the reference: a chroma plane may have one column or
 * row more, which no feature sees.
 */
typedef struct VmafxPicture {
    VmafxPlane planes[3];
    VmafxChroma chroma;
} VmafxPicture;

/** key=value, both terminated strings. */
typedef struct VmafxOption {
    char *key, *value;
} VmafxOption;

typedef struct VmafxOptions {
    VmafxOption *items;
    size_t n;
} VmafxOptions;

typedef struct VmafxModel VmafxModel;
typedef struct VmafxEngine VmafxEngine;

/* ---- Models: the published JSON files, single or collection. Immutable once loaded; any thread may use one. ---- */

/**
 * Parses a model file. @param json UTF-8 text, borrowed for the call, at most 64 MiB
 * @return VMAFX_OK; VMAFX_ERR_SYNTAX not JSON; VMAFX_ERR_MODEL something in it cannot be used; VMAFX_ERR_LIMIT;
 * VMAFX_ERR_NOMEM
 */
VMAFX_CHECK VmafxErr vmafx_model_parse(const char *json, size_t json_len, VmafxModel **ret_model, VmafxErrInfo *reterr);
/** Reads and parses a file; VMAFX_ERR_NOT_FOUND when it does not exist, VMAFX_ERR_IO when it cannot be read. */
VMAFX_CHECK VmafxErr vmafx_model_load(const char *path, VmafxModel **ret_model, VmafxErrInfo *reterr);
void vmafx_model_free(VmafxModel **model);

/** 1 for a single model, else the members of the collection (member 0 is the full model). */
size_t vmafx_model_members(const VmafxModel *model);
/** True for a file in collection form, even with one member. */
bool vmafx_model_is_collection(const VmafxModel *model);
/** Number of inputs of a member; the i-th input's stored feature name and options live as long as the model. */
size_t vmafx_model_inputs(const VmafxModel *model, size_t member);
const char *vmafx_model_input_feature(const VmafxModel *model, size_t member, size_t input);
const VmafxOptions *vmafx_model_input_options(const VmafxModel *model, size_t member, size_t input);

enum {
    VMAFX_MODEL_DISABLE_CLIP = 1u,      /* as if the file had no score_clip */
    VMAFX_MODEL_ENABLE_TRANSFORM = 2u,  /* as if score_transform.enabled were true */
    VMAFX_MODEL_DISABLE_TRANSFORM = 4u, /* skip the transform */
};

/**
 * The score of one frame: linear rescaling, ν-SVR with an RBF kernel, denormalisation, transform, clip.
 * @param inputs one value per input of the member, in its order
 */
double vmafx_model_predict(const VmafxModel *model, size_t member, const double *inputs, unsigned flags);

/** Bootstrap statistics of one frame. */
typedef struct VmafxConfidence {
    double bagging, stddev, ci_p95_lo, ci_p95_hi;
} VmafxConfidence;

/**
 * The confidence interval of a collection for one frame.
 * @param raw  members − 1 predictions of members 1 … without transform and clip; sorted in place
 */
void vmafx_model_confidence(const VmafxModel *model, double *raw, unsigned flags, VmafxConfidence *ret);

/* ---- The engine ---- */

/** Instruction sets that kernels may use; all give the same results. */
enum {
    VMAFX_CPU_AVX2 = 1u,
    VMAFX_CPU_AVX512 = 2u, /* F, BW, DQ, VL and VNNI */
    VMAFX_CPU_NEON = 4u,
};

typedef struct VmafxEngineSettings {
    int threads;           /* workers; 0 computes in the calling thread */
    int subsample;         /* N > 1: only frames whose index is a multiple of N, but for motion and psnr; 0 means 1 */
    unsigned cpu_disabled; /* VMAFX_CPU_… that must not be used although the machine has them */
    bool writes_files;     /* features may write where their options say (cambi=heatmaps_path=FOLDER) */
    /* Called after the features of each frame, so that whoever waits knows when vmafx_engine_settle is worth a call:
       from any worker, or from within push when there are none; not any more once finish has come back. It must be
       quick and not call the engine. NULL: not wanted. */
    void (*frame_done)(void *ctx);
    void *frame_done_ctx;
} VmafxEngineSettings;

VMAFX_CHECK VmafxErr vmafx_engine_new(const VmafxEngineSettings *settings, VmafxEngine **ret_engine);
void vmafx_engine_free(VmafxEngine **engine);

/** How a model takes part. */
typedef struct VmafxModelUse {
    const char *name;              /* of the score series; NULL means "vmaf"; copied */
    unsigned flags;                /* VMAFX_MODEL_… */
    const VmafxOptions *overloads; /* keys "extractor.option"; NULL for none; copied */
} VmafxModelUse;

/** Borrows the model until the engine is freed. VMAFX_ERR_FEATURE, VMAFX_ERR_INVALID for a name used twice. */
VMAFX_CHECK VmafxErr vmafx_engine_add_model(VmafxEngine *engine, const VmafxModel *model, const VmafxModelUse *use,
                                            VmafxErrInfo *reterr);

/**
 * A guest: a score per frame that somebody else computes, from values of features, or from whatever else they see. It
 * is a series of its own after those of models, is final when theirs are, and is pooled like them. Frames between those
 * that are multiples of the subsampling have none.
 */
typedef struct VmafxGuest {
    const char *name; /* of the series; copied */
    /* What it is computed from, by the names that model files store, each with its options; copied. 0: values are given
       with vmafx_engine_give. */
    const char *const *features;
    const VmafxOptions *options;
    size_t n_features; /* 0 … VMAFX_MODEL_FEATURES_MAX */
    /* The scores of frames first + i * step: n rows of features in, n values out, at most VMAFX_GUEST_ROWS at a time,
       in order and each once. Called from within settle and finish. */
    VmafxErr (*predict)(void *ctx, uint32_t first, uint32_t step, size_t n, const double *rows, double *ret_scores,
                        VmafxErrInfo *reterr);
    void *ctx; /* lives as long as the engine */
} VmafxGuest;

#define VMAFX_GUEST_ROWS 1024

/**
 * Before the first frame.
 * @param ret_guest  for vmafx_engine_give; may be NULL
 * @return VMAFX_ERR_FEATURE, VMAFX_ERR_INVALID, VMAFX_ERR_LIMIT, VMAFX_ERR_NOMEM
 */
VMAFX_CHECK VmafxErr vmafx_engine_add_guest(VmafxEngine *engine, const VmafxGuest *guest, size_t *ret_guest,
                                            VmafxErrInfo *reterr);
/**
 * The next n values of a guest without features: of the frames that are multiples of the subsampling, from the first.
 * A frame is final only when it has its value; finish fails with VMAFX_ERR_MISSING when one lacks it.
 * @return VMAFX_ERR_INVALID no such guest, or frames that were not pushed yet; VMAFX_ERR_FINISHED
 */
VMAFX_CHECK VmafxErr vmafx_engine_give(VmafxEngine *engine, size_t guest, const double *values, size_t n,
                                       VmafxErrInfo *reterr);

#define VMAFX_FEATURE_NAMES                                                                                            \
    "adm cambi ciede float_adm float_moment float_motion float_ms_ssim float_psnr float_ssim float_vif motion psnr "   \
    "psnr_hvs speed_chroma speed_temporal vif"

/**
 * The extractors that can be added, sorted by name: VMAFX_FEATURE_NAMES. Names are static. docs/features.md says what
 * each measures.
 * @param ret_n  how many
 */
const char *const *vmafx_engine_features(size_t *ret_n);

/**
 * Adds an extractor by name. Before the first frame. A second one whose values would have the same names must have the
 * same options.
 * @return VMAFX_ERR_UNSUPPORTED for extractors that come with a later version, VMAFX_ERR_FEATURE for an unknown
 *         one or an option value out of range. Unknown option names are an error when strict, else ignored.
 */
VMAFX_CHECK VmafxErr vmafx_engine_add_feature(VmafxEngine *engine, const char *extractor, const VmafxOptions *options,
                                              bool strict, VmafxErrInfo *reterr);

/**
 * One pair of luma planes, the next of the clip. The planes are copied before the call returns; it waits while
 * as many frames as there are workers (plus two) are under way. The first error of any worker is returned by the next
 * push or by finish.
 * @return VMAFX_ERR_MISMATCH, VMAFX_ERR_FINISHED, VMAFX_ERR_INVALID (size below the features' minimum), VMAFX_ERR_NOMEM
 */
VMAFX_CHECK VmafxErr vmafx_engine_push(VmafxEngine *engine, const VmafxPlane *ref, const VmafxPlane *dis,
                                       VmafxErrInfo *reterr);
/**
 * The same for whole pictures, which the features psnr, psnr_hvs and ciede want: to psnr a luma plane alone is a grey
 * picture, to the others an error. Chroma is copied only when a feature reads it.
 */
VMAFX_CHECK VmafxErr vmafx_engine_push_pictures(VmafxEngine *engine, const VmafxPicture *ref, const VmafxPicture *dis,
                                                VmafxErrInfo *reterr);
/**
 * A picture that stays its owner's and is read where it is. The engine calls release once, when it has read the picture
 * for the last time: from any thread, from within any call, and not after recall, finish or free have come back. It
 * must be quick and not call the engine.
 */
typedef struct VmafxLoan {
    void (*release)(void *owner); /* NULL: not lent, but copied */
    void *owner;
} VmafxLoan;

/**
 * Of one input so many pictures are lent at a time while workers keep step; one that lags keeps three more. Who has
 * fewer waits for those that come back; three of the reference are the least that gets on.
 */
#define VMAFX_LENT_ENOUGH(threads) ((threads) + 4)

/**
 * The same without a copy: rows begin at multiples of 64 bytes (else it is copied all the same), may be read up to the
 * next such multiple, and no sample is above 2^bpc − 1. Both pictures are given back on failure too.
 * @param loans  of the reference and the distorted picture; NULL: as vmafx_engine_push_pictures
 */
VMAFX_CHECK VmafxErr vmafx_engine_push_lent(VmafxEngine *engine, const VmafxPicture *ref, const VmafxPicture *dis,
                                            const VmafxLoan loans[2], VmafxErrInfo *reterr);
/** For whoever gives up before finish: has everything given back that is lent, once the workers are done with it. The
    clip then has no further frame. NULL is fine. */
void vmafx_engine_recall(VmafxEngine *engine);

/** Whether a feature that was added reads chroma. */
bool vmafx_engine_reads_chroma(const VmafxEngine *engine);

/** Ends the clip: waits for the workers, derives motion2 and motion3, predicts the scores. */
VMAFX_CHECK VmafxErr vmafx_engine_finish(VmafxEngine *engine, VmafxErrInfo *reterr);

/**
 * Between pushes: derives whatever can be final by now, and says of how many frames, from the first, every value is.
 * Those can be read with vmafx_engine_value while pushing goes on, and are to the bit what finish gives. Never waits
 * for a worker; costs nothing to those who do not call it. The count never falls.
 *
 * A frame is final when its own features and those of all frames before it are done, and with motion among the
 * extractors (as every VMAF model has it) those of the next frame too, because motion2 and motion3 need it or need to
 * know that there is one: a lag of one frame. The first two frames of a five-frame window are final with the third.
 * What the lag holds back at the end of the clip is final with finish.
 *
 * @param ret_frames  0 before the first push; all frames after finish
 * @return the first error any frame has had, as push and finish; VMAFX_ERR_MISSING
 */
VMAFX_CHECK VmafxErr vmafx_engine_settle(VmafxEngine *engine, uint32_t *ret_frames, VmafxErrInfo *reterr);

/** Frames of a clip, both inclusive, that an engine of its own is given. */
typedef struct VmafxSegment {
    uint32_t from, to;
} VmafxSegment;

/**
 * A clip may be scored in segments, each by an engine of its own with the same models and features: frames
 * from … to of what this returns are pushed (to the clip's last frame at most), and the values of first … last, which
 * the engine has as frames first − from … last − from, are to the bit those of the whole clip. The few frames around
 * are context: motion looks at neighbours. Of those only the reference's luma matters, but for speed_temporal.
 *
 * Values of the whole clip (vmafx_engine_aggregate) cannot be put together like that, and pooled values are pooled from
 * the frames of all segments. Guests that are given values, or whose own memory reaches further, are not looked at.
 *
 * At most 4 frames before and 1 after with the features there are; 1 and 1 with vmaf_v0.6.1. With subsampling, `from`
 * is a multiple of it. Models and features have been added.
 * @param first, last  first <= last
 */
VmafxSegment vmafx_engine_segment(const VmafxEngine *engine, uint32_t first, uint32_t last);

/** The best instruction set in use: "c", "avx2", "avx512" or "neon". A static string. */
const char *vmafx_engine_kernels(const VmafxEngine *engine);

/** Seconds that all workers together have spent in an extractor so far; 0 for one that does not run. Any thread. */
double vmafx_engine_seconds(const VmafxEngine *engine, const char *extractor);

/** Frames pushed. */
uint32_t vmafx_engine_frames(const VmafxEngine *engine);

/** Result series, in report order, known after the first push. Names live as long as the engine. */
size_t vmafx_engine_series(const VmafxEngine *engine);
/** The name as reports print it (integer_vif_scale0). */
const char *vmafx_engine_series_name(const VmafxEngine *engine, size_t series);
/** False when the frame has no value in this series, and before finish for frames that settle has not counted. */
bool vmafx_engine_value(const VmafxEngine *engine, size_t series, uint32_t frame, double *ret_value);
/** The series with that report name or model name, or SIZE_MAX. */
size_t vmafx_engine_find(const VmafxEngine *engine, const char *name);

typedef struct VmafxPooled {
    double min, max, mean, harmonic_mean;
    uint32_t n; /* frames used */
} VmafxPooled;

/**
 * Pools frames lo … hi (inclusive, those that are multiples of the subsampling):
 *     mean = Σ v / n        harmonic_mean = n / Σ 1/(v + 1) − 1
 * @return VMAFX_ERR_INVALID lo > hi or no such series; VMAFX_ERR_MISSING a frame has no value
 */
VMAFX_CHECK VmafxErr vmafx_engine_pool(const VmafxEngine *engine, size_t series, uint32_t lo, uint32_t hi,
                                       VmafxPooled *ret_pooled);

/** Values of the whole clip that no frame has (apsnr_y), in report order; known after finish, before that there are 0.
 */
size_t vmafx_engine_aggregates(const VmafxEngine *engine);
/** As vmafx_engine_series_name. */
const char *vmafx_engine_aggregate_name(const VmafxEngine *engine, size_t aggregate);
double vmafx_engine_aggregate(const VmafxEngine *engine, size_t aggregate);

#ifdef __cplusplus
}
#endif
#endif

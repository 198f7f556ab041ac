/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * A pair of videos → a result: open, check that they can be compared, adapt what the user allowed to be adapted,
 * decode both beside each other, extract, predict. What was computed before an input broke off is kept and marked.
 *
 *     VmafxResult result = { 0 };
 *     err = vmafx_score_pair("ref.mp4", "dist.mp4", &options, &result, &info);
 *     if (!err && !vmafx_result_report(&result, &data))
 *         err = vmafx_report_write(stdout, VMAFX_REPORT_JSON, &data);
 *     vmafx_result_done(&result);
 */
#ifndef VMAFX_SCORE_SCORE_H
#define VMAFX_SCORE_SCORE_H

#include <vmafx/engine.h>

#include "base/digest.h"
#include "media/encode.h"
#include "media/reader.h"
#include "report/report.h"
#include "score/registry.h"

#define VMAFX_PAIR_PROBLEMS_MAX    12
#define VMAFX_SCORE_INFERENCES_MAX 4096 /* of one ONNX model, whose times are kept */

/** A model to score with. Borrowed for the call. */
typedef struct VmafxModelRequest {
    char *text;          /* what the strings below point into, when it was parsed; else NULL */
    const char *version; /* looked for in the model folders, or VMAFX_MODEL_AUTO; NULL when path is given */
    const char *path;    /* a model file; NULL when version is given */
    bool onnx;           /* path is an ONNX file, whatever its name; one that ends in .onnx is one anyway */
    const char *name; /* of the score series; NULL: "vmaf", or its version where that is taken, and for ONNX models */
    unsigned flags;   /* VMAFX_MODEL_… */
    VmafxOptions overloads;
} VmafxModelRequest;

/** An extractor to run besides those that the models need. Borrowed for the call. */
typedef struct VmafxFeatureRequest {
    char *text; /* as above */
    const char *name;
    VmafxOptions options;
} VmafxFeatureRequest;

/**
 * Reads a model as command lines give it: items between colons, each "version=V", "path=FILE", "name=N", "disable_clip"
 * or "enable_transform" (bare, "=true" or "=false"), or "extractor.option=value". "\\:" is a colon inside a value.
 * "onnx" as the first item says that the file, which path then has to name, is an ONNX model.
 * @param bare_version  the first item may be the version alone
 * @return VMAFX_ERR_SYNTAX with a sentence; VMAFX_ERR_NOMEM
 */
VMAFX_CHECK VmafxErr vmafx_model_request_parse(const char *text, bool bare_version, VmafxModelRequest *ret,
                                               VmafxErrInfo *reterr);
void vmafx_model_request_done(VmafxModelRequest *request);

/** Reads "NAME" or "NAME=option=value:option=value". VMAFX_ERR_SYNTAX, VMAFX_ERR_NOMEM */
VMAFX_CHECK VmafxErr vmafx_feature_request_parse(const char *text, VmafxFeatureRequest *ret, VmafxErrInfo *reterr);
void vmafx_feature_request_done(VmafxFeatureRequest *request);

/** The distorted video is made of the reference. Borrowed for the call. */
typedef struct VmafxPairEncode {
    VmafxRecipe recipe;
    int threads;      /* of the encoder; 0: one */
    int keep_fd;      /* what is encoded is written there too, as Matroska; -1: it is not kept */
    int64_t keep_max; /* bytes of that */
    const char *kept; /* where that is, for the report; NULL: not said */
} VmafxPairEncode;

typedef enum VmafxScaling {
    VMAFX_SCALING_NONE = 0,
    VMAFX_SCALING_REFERENCE, /* distorted to the size of the reference */
    VMAFX_SCALING_SIZE,      /* both to scale_w x scale_h */
} VmafxScaling;

typedef struct VmafxProgress {
    uint32_t frames; /* scored so far */
    int64_t total;   /* expected; 0: unknown */
    double elapsed_s;
} VmafxProgress;

/** What to compare and what may differ. Zeroed it compares everything strictly as the reference tool does not. */
typedef struct VmafxPairOptions {
    const VmafxRawFormat *raw_reference, *raw_distorted; /* NULL: the file says what it is */
    const VmafxModelRequest *models;
    size_t n_models;
    const VmafxFeatureRequest *features;
    size_t n_features;
    int threads;           /* workers of the engine; 0: none */
    int subsample;         /* N > 1: only every N-th frame is scored; 0 means 1 */
    unsigned cpu_disabled; /* VMAFX_CPU_… not to be used */
    bool writes_files;     /* features may write files that their options name; for who asks and who runs are one */
    int64_t first, count;  /* frames of the pair, after the skips; count 0: all */
    int64_t skip_ref, skip_dis; /* frames to drop at the start of each */

    bool accept_shorter; /* one input may have fewer frames; a cut or corrupt one is incomplete all the same */
    VmafxScaling scale;
    int scale_w, scale_h;
    bool convert_depth;       /* the distorted video to the depth of the reference */
    bool larger_depth;        /* the one with fewer bits per sample to the depth of the other */
    bool convert_range;       /* the distorted video to the range of the reference */
    bool ignore_pixel_format; /* chroma layout, for features that read luma only */
    bool ignore_rate, ignore_start;
    bool ignore_colour; /* matrix, transfer, primaries */
    bool allow_hdr;     /* PQ and HLG */
    /* True: as described here. False: as the reference tool does: unknown feature options are passed over, and only
       size, pixel format and bit depth are compared. */
    bool strict;
    int64_t pixels_max; /* of one picture of an input; 0: any number */
    bool digest;        /* SHA-256 of the inputs: of regular files, and of pipes that were read to their end */

    /* How the distorted video is made; NULL: it is there. The reference is then opened a second time, under its name or
       as fds[1], which has to be an open file of its own (with a position of its own). Its name as the distorted
       video's and raw_distorted mean nothing. A reference that can be read only once is refused. */
    const VmafxPairEncode *encode;

    /* Descriptors of the two inputs, open at their start, borrowed: then their names are only for messages, and no file
       is opened. NULL: the names are opened. */
    const int *fds;
    /* Models that were loaded already; no file is looked for then, and one by path is refused. NULL: the folders. */
    const VmafxModelRegistry *registry;
    /* True: all spans are siblings below the caller's current one. False: inputs and runs are below vmafx.scoring. */
    bool flat_trace;

    /* Called from the calling thread after each frame and at least about ten times a second; false cancels. */
    bool (*progress)(void *ctx, const VmafxProgress *progress);
    void *progress_ctx;

    /* Called from the calling thread as frames become final (vmafx_engine_settle): frames first … first + n − 1, n at
       least 1, in order and each once, the last ones after the inputs have ended or one has broken off. Frames that
       come slowly are told at once, fast ones together: after 10 ms, or when 64 wait. Values are read with
       vmafx_engine_value, kinds of series with vmafx_result_series_kind. False cancels. NULL: not wanted. */
    bool (*scored)(void *ctx, const VmafxEngine *engine, uint32_t first, uint32_t n);
    void *scored_ctx;
} VmafxPairOptions;

typedef enum VmafxPairProperty {
    VMAFX_PAIR_SIZE = 0,
    VMAFX_PAIR_PIXEL_FORMAT,
    VMAFX_PAIR_DEPTH,
    VMAFX_PAIR_RANGE,
    VMAFX_PAIR_MATRIX,
    VMAFX_PAIR_TRANSFER,
    VMAFX_PAIR_PRIMARIES,
    VMAFX_PAIR_HDR,
    VMAFX_PAIR_RATE,
    VMAFX_PAIR_START,
    VMAFX_PAIR_FRAMES,
} VmafxPairProperty;

/** One reason why two videos are not compared. */
typedef struct VmafxProblem {
    VmafxPairProperty property;
    char sentence[256]; /* both values, and the option that allows it */
} VmafxProblem;

/**
 * Compares what two videos say of themselves. A property that one of them does not know is compatible with anything.
 * Rates agree within 1 in 10 000 (containers round 24000/1001), starts within half a frame of the reference, or 20 ms
 * when its rate is unknown. Frame counts are compared after the skips, as far as the frame range reaches. A start is
 * known only from containers that have one: not from y4m and raw video.
 * @return how many properties differ that the options do not allow; their sentences are in problems
 */
size_t vmafx_pair_check(const VmafxVideoInfo *ref, const VmafxVideoInfo *dis, const VmafxPairOptions *options,
                        VmafxProblem problems[VMAFX_PAIR_PROBLEMS_MAX]);

/** How far a scoring got; tells what an error is about. */
typedef enum VmafxStage {
    VMAFX_STAGE_MODELS = 0, /* models and features */
    VMAFX_STAGE_INPUTS,     /* opening, decoding the first frame */
    VMAFX_STAGE_PAIR,       /* comparing, preparing conversions */
    VMAFX_STAGE_SCORING,
    VMAFX_STAGE_DONE,
} VmafxStage;

typedef enum VmafxEnding {
    VMAFX_ENDING_NONE = 0,
    VMAFX_ENDING_TOGETHER,  /* both inputs, or the frame range, ended */
    VMAFX_ENDING_SHORTER,   /* one input ended before the other */
    VMAFX_ENDING_BROKEN,    /* one input is cut or corrupt */
    VMAFX_ENDING_CANCELLED, /* the progress callback said so; there are no scores */
} VmafxEnding;

typedef struct VmafxScoredInput {
    char *path;
    bool known; /* info is set */
    VmafxVideoInfo info;
    char sha256[VMAFX_SHA256_TEXT]; /* "" when not computed */
} VmafxScoredInput;

typedef struct VmafxScoredModel {
    char *name, *version, *path;
    char sha256[VMAFX_SHA256_TEXT];
    const VmafxModel *model; /* NULL: it is an ONNX model */
    VmafxModel *owned;       /* the same, unless it is a registry's */
    const struct VmafxInferModel *onnx;
    struct VmafxInferModel *onnx_owned; /* the same, unless it is a registry's */
    struct ScoreOnnx *run;              /* the ONNX model at work */
} VmafxScoredModel;

/** A list of sentences. */
typedef struct VmafxNotes {
    char **items;
    size_t n;
} VmafxNotes;

/** What came out. The caller owns the storage; a zeroed one may be done. After a failure it holds what was learned. */
typedef struct VmafxResult {
    VmafxStage stage;
    VmafxEngine *engine;
    VmafxScoredInput inputs[2]; /* reference, distorted */
    VmafxScoredModel *models;   /* in the order of the request */
    size_t n_models;
    VmafxProblem problems[VMAFX_PAIR_PROBLEMS_MAX]; /* when the pair was refused */
    size_t n_problems;
    VmafxNotes adaptations, warnings;
    int w, h, bpc;      /* of the pictures that were compared */
    VmafxChroma chroma; /* of those; 4:0:0 when no feature reads chroma */
    VmafxEnding ending;
    int ended_first; /* index of the input that ended, or broke, first; meaningful for SHORTER and BROKEN */
    bool complete;
    char *incomplete_reason;       /* a sentence; NULL when complete */
    uint32_t frames;               /* pairs scored */
    double wall_s, cpu_s;          /* of the scoring; CPU time of the whole process */
    double decode_s, extraction_s; /* what reading and features took, over all threads */
    VmafxReportEncode *encode;     /* how the distorted video was made, as far as that came; NULL: it was there */
    bool keep_failed;              /* the error is about keeping the encoded video, not about reading or encoding */

    /* for reports */
    int subsample;
    int64_t first, skip_ref;
    VmafxReportOption *options; /* keys are static, values are owned */
    size_t n_options;
    VmafxReportSeries *report_series; /* made by vmafx_result_report */
    VmafxReportModel *report_models;
    VmafxReportAggregate *report_aggregates;
} VmafxResult;

/**
 * Scores a pair. Each input is decoded by a thread of its own into a queue of a few luma planes, so memory does not
 * grow with the length. Pipes and sockets are opened and read beside each other. When one input has failed the other
 * is not waited for; when one has ended the other is until its next frame, or its end. All threads have ended when the
 * call returns.
 *
 * A difference that shows only at the end (one input shorter, cut or corrupt) is VMAFX_OK with complete == false,
 * and so is a cancellation.
 *
 * @param distorted  not looked at when the options have an encode
 * @return VMAFX_ERR_MISMATCH with problems in the result; VMAFX_ERR_INPUT no frame to score; VMAFX_ERR_INVALID;
 * VMAFX_ERR_ENCODER whatever the encoder cannot do; else what models, readers, converter and engine say, result->stage
 * telling who
 */
VMAFX_CHECK VmafxErr vmafx_score_pair(const char *reference, const char *distorted, const VmafxPairOptions *options,
                                      VmafxResult *result, VmafxErrInfo *reterr);
void vmafx_result_done(VmafxResult *result);

/** What a series of the result's engine is. From the first call of `scored` on. */
VmafxSeriesKind vmafx_result_series_kind(const VmafxResult *result, size_t series);

/**
 * How long each inference of an ONNX model took, in seconds, the first VMAFX_SCORE_INFERENCES_MAX of them; NULL for a
 * model that is none. Lives as long as the result.
 */
const double *vmafx_result_inferences(const VmafxResult *result, size_t model, size_t *ret_n);

/** Fills the writers' view; it borrows from the result. Only for a result with frames. VMAFX_ERR_NOMEM */
VMAFX_CHECK VmafxErr vmafx_result_report(VmafxResult *result, VmafxReportData *ret);
#endif

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * What a scoring tells an operator: the span vmafx.scoring with a child for each input that is opened, for an encode
 * and for each run of frames (closed at least every five seconds), and the metrics of frames, time and score. Without
 * an SDK all of it is next to nothing.
 *
 * Names of people's files are in none of it: which input is at fault is said by its role, why by a class and a text of
 * few variants (signals.h, vmafx_status_check). The sentence with the path is in the result.
 */
#ifndef VMAFX_SCORE_TELEMETRY_H
#define VMAFX_SCORE_TELEMETRY_H

#include "base/features.h"
#include "media/reader.h"
#include "otel/api/trace.h"
#include "report/scored.h"
#include "score/score.h"

#define VMAFX_SCORE_RUN_S 5.0

/** Seconds spent so far, in all threads together. */
typedef struct VmafxScoreTimes {
    double decode_s, feature_s[VMAFX_FEATURES_N]; /* 0: it does not run */
} VmafxScoreTimes;

/** One scoring. The storage is the caller's; used by one thread. */
typedef struct VmafxScoreTrace {
    VmafxSpan *scoring, *run, *encode;
    VmafxContextToken token;
    bool flat;
    uint32_t run_first;
    double run_started_s;
    VmafxScoreTimes run_times; /* at its start */
} VmafxScoreTrace;

/** Starts vmafx.scoring, as a child of the thread's current context, and makes it current. */
void vmafx_score_trace_begin(VmafxScoreTrace *trace);
/**
 * The same, but the current context stays as it is, so that runs stand beside vmafx.scoring, and there are no spans of
 * inputs: whoever has the attempt makes them.
 */
void vmafx_score_trace_begin_flat(VmafxScoreTrace *trace);

/** Both inputs are open, or one is not to be, so many seconds after begin. */
void vmafx_score_trace_opened(VmafxScoreTrace *trace, double elapsed_s);
/** Around opening an input; info is what is known of it then (NULL: nothing). Sets *span NULL. Any one thread. */
VmafxSpan *vmafx_score_trace_input(const VmafxScoreTrace *trace, const char *role);
void vmafx_score_trace_input_done(VmafxSpan **span, const VmafxVideoInfo *info, VmafxErr err);

/** Starts vmafx.encoder.dispatch: an encoder is chosen and encodes. */
void vmafx_score_trace_encode(VmafxScoreTrace *trace, const VmafxRecipe *recipe);
/** Ends it. facts NULL: it came to nothing. Any one thread. */
void vmafx_score_trace_encoded(VmafxScoreTrace *trace, const VmafxReportEncode *facts, VmafxErr err);

/** A frame has been taken on: `frames` so far, `elapsed_s` since begin. Opens and closes runs. */
void vmafx_score_trace_frame(VmafxScoreTrace *trace, uint32_t frames, double elapsed_s, const VmafxScoreTimes *times);

/** Everything about the end; NULL and zero where it is not known. */
typedef struct VmafxScoreEnd {
    VmafxErr err;
    const char *model, *model_sha256, *kernels;
    bool has_score; /* of the first model */
    double score;
    VmafxScoredList scored; /* what the histogram has to count */
    uint32_t frames;
    double elapsed_s;
    VmafxScoreTimes times;
    bool complete;
    VmafxEnding ending;
    const char *encoder; /* that made the distorted video, one of base/encoders.h; NULL: none did */
    int64_t encoded_frames, encoded_bytes;
    const char *ended_first; /* the input that made it SHORTER or BROKEN: "reference", "distorted"; else NULL */
} VmafxScoreEnd;

/** Ends the last run and vmafx.scoring, and measures. */
void vmafx_score_trace_end(VmafxScoreTrace *trace, const VmafxScoreEnd *end);

/** Only the metrics, in the current context: for a scoring that another process did. */
void vmafx_score_measure(const VmafxScoreEnd *end);
#endif

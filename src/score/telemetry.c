/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Spans and metrics of a scoring. */

#include "score/telemetry.h"

#include <vmafx/engine.h>

#include "base/encoders.h"
#include "otel/api/metrics.h"
#include "signals/instruments.h"

#define SCOPE VMAFX_SCOPE_NAME_SCORE

static VmafxTracer *tracer(void)
{
    return vmafx_tracer_get(SCOPE, VMAFX_ENGINE_VERSION);
}

static void set_error(VmafxSpan *span, VmafxErr err, const char *text)
{
    vmafx_span_set_str(span, VMAFX_KEY_ERROR_TYPE, vmafx_err_name(err));
    vmafx_span_set_status(span, VMAFX_STATUS_ERROR, text);
}

void vmafx_score_trace_begin_flat(VmafxScoreTrace *trace)
{
    *trace = (VmafxScoreTrace){ .scoring = vmafx_span_start(tracer(), VMAFX_SPAN_NAME_SCORING), .flat = true };
}

void vmafx_score_trace_begin(VmafxScoreTrace *trace)
{
    vmafx_score_trace_begin_flat(trace);
    trace->flat = false;
    trace->token = vmafx_span_attach(trace->scoring);
}

void vmafx_score_trace_opened(VmafxScoreTrace *trace, double elapsed_s)
{
    vmafx_span_set_double(trace->scoring, VMAFX_KEY_OPEN_TIME, elapsed_s);
}

VmafxSpan *vmafx_score_trace_input(const VmafxScoreTrace *trace, const char *role)
{
    if (trace->flat)
        return NULL;
    VmafxSpan *span = vmafx_span_start(tracer(), VMAFX_SPAN_NAME_INPUT_OPEN);

    vmafx_span_set_str(span, VMAFX_KEY_INPUT_ROLE, role);
    return span;
}

void vmafx_score_trace_input_done(VmafxSpan **span, const VmafxVideoInfo *info, VmafxErr err)
{
    if (info) {
        vmafx_span_set_int(*span, VMAFX_KEY_INPUT_WIDTH, info->w);
        vmafx_span_set_int(*span, VMAFX_KEY_INPUT_HEIGHT, info->h);
        vmafx_span_set_int(*span, VMAFX_KEY_INPUT_BIT_DEPTH, info->bpc);
        vmafx_span_set_str(*span, VMAFX_KEY_INPUT_CODEC, info->codec);
    }
    if (err)
        set_error(*span, err, vmafx_err_text(err));
    vmafx_span_end(span);
}

void vmafx_score_trace_encode(VmafxScoreTrace *trace, const VmafxRecipe *recipe)
{
    VmafxSpan *span = vmafx_span_start(tracer(), VMAFX_SPAN_NAME_ENCODER_DISPATCH);

    trace->encode = span;
    if (recipe->codec && vmafx_codec_is_known(recipe->codec))
        vmafx_span_set_str(span, VMAFX_KEY_ENCODER_CODEC, recipe->codec);
    if (recipe->encoder && vmafx_encoder_name_find(recipe->encoder))
        vmafx_span_set_str(span, VMAFX_KEY_ENCODER_NAME, recipe->encoder);
    if (recipe->preset && *recipe->preset)
        vmafx_span_set_str(span, VMAFX_KEY_ENCODER_PRESET, recipe->preset);
    if (recipe->has_crf)
        vmafx_span_set_double(span, VMAFX_KEY_ENCODER_CRF, recipe->crf);
    if (recipe->bitrate)
        vmafx_span_set_int(span, VMAFX_KEY_ENCODER_BIT_RATE, recipe->bitrate);
}

void vmafx_score_trace_encoded(VmafxScoreTrace *trace, const VmafxReportEncode *facts, VmafxErr err)
{
    VmafxSpan *span = trace->encode;

    if (facts) {
        vmafx_span_set_str(span, VMAFX_KEY_ENCODER_CODEC, facts->codec);
        vmafx_span_set_str(span, VMAFX_KEY_ENCODER_NAME, facts->encoder);
        vmafx_span_set_str(span, VMAFX_KEY_ENCODER_REASON, facts->reason);
        vmafx_span_set_int(span, VMAFX_KEY_ENCODER_SIZE, facts->size_bytes);
        vmafx_span_set_double(span, VMAFX_KEY_ENCODER_TIME, facts->seconds);
        vmafx_span_set_int(span, VMAFX_KEY_FRAME_COUNT, facts->frames);
    }
    if (err)
        set_error(span, err, vmafx_err_text(err));
    vmafx_span_end(&trace->encode);
}

static const char *const feature_keys[VMAFX_FEATURES_N] = {
#define VMAFX_FEATURE(name, NAME, what, good_for, misleads) VMAFX_KEY_##NAME##_TIME,
#include "base/features.def"
};

static void end_run(VmafxScoreTrace *trace, uint32_t frames, double elapsed_s, const VmafxScoreTimes *now)
{
    const VmafxScoreTimes *then = &trace->run_times;
    uint32_t n = frames - trace->run_first;
    double seconds = elapsed_s - trace->run_started_s;

    if (!trace->run)
        return;
    vmafx_span_set_int(trace->run, VMAFX_KEY_FRAME_COUNT, n);
    if (seconds > 0)
        vmafx_span_set_double(trace->run, VMAFX_KEY_FRAME_RATE, n / seconds);
    vmafx_span_set_double(trace->run, VMAFX_KEY_DECODE_TIME, now->decode_s - then->decode_s);
    for (size_t i = 0; i < VMAFX_FEATURES_N; i++)
        if (now->feature_s[i] > 0)
            vmafx_span_set_double(trace->run, feature_keys[i], now->feature_s[i] - then->feature_s[i]);
    vmafx_span_end(&trace->run);
}

void vmafx_score_trace_frame(VmafxScoreTrace *trace, uint32_t frames, double elapsed_s, const VmafxScoreTimes *times)
{
    if (trace->run && elapsed_s - trace->run_started_s >= VMAFX_SCORE_RUN_S)
        end_run(trace, frames, elapsed_s, times);
    if (trace->run)
        return;
    trace->run = vmafx_span_start(tracer(), VMAFX_SPAN_NAME_FRAME_EXTRACTION);
    trace->run_first = frames;
    trace->run_started_s = elapsed_s;
    trace->run_times = *times;
    vmafx_span_set_int(trace->run, VMAFX_KEY_FRAME_FIRST, frames);
}

/* How a pair ended, by VmafxEnding: the word for it, and what it is where that makes the result incomplete. */
static const struct {
    const char *word, *text;
    VmafxErr err;
} endings[] = {
    [VMAFX_ENDING_NONE] = { NULL, "incomplete", VMAFX_ERR_INTERNAL },
    [VMAFX_ENDING_TOGETHER] = { "together", "incomplete", VMAFX_ERR_INTERNAL },
    [VMAFX_ENDING_SHORTER] = { "shorter", "one input ended before the other", VMAFX_ERR_MISMATCH },
    [VMAFX_ENDING_BROKEN] = { "broken", "an input broke off", VMAFX_ERR_TRUNCATED },
    [VMAFX_ENDING_CANCELLED] = { "cancelled", "cancelled", VMAFX_ERR_CANCELLED },
};

/* One class for span and metric; VMAFX_OK when all went well. */
static VmafxErr failure_of(const VmafxScoreEnd *end)
{
    return end->err || end->complete ? end->err : endings[end->ending].err;
}

static void measure_scored(VmafxMeter *meter, const VmafxScoredList *scored)
{
    for (size_t i = 0; i < scored->n; i++) {
        const VmafxScored *one = &scored->items[i];
        VmafxAttr attrs[2] = { VMAFX_ATTR_STR(VMAFX_KEY_METRIC_NAME, one->metric),
                               VMAFX_ATTR_STR(VMAFX_KEY_MODEL_NAME, one->model) };

        vmafx_histogram_record_with(vmafx_signal_histogram(meter, VMAFX_METRIC_ID_SCORE), one->value,
                                    (VmafxAttrs){ attrs, *one->model ? 2 : 1 }, NULL);
    }
}

void vmafx_score_measure(const VmafxScoreEnd *end)
{
    VmafxMeter *meter = vmafx_meter_get(SCOPE, VMAFX_ENGINE_VERSION, "", VMAFX_NO_ATTRS);
    VmafxAttr attrs[2] = { VMAFX_ATTR_STR(VMAFX_KEY_MODEL_NAME, end->model),
                           VMAFX_ATTR_STR(VMAFX_KEY_ERROR_TYPE, vmafx_err_name(failure_of(end))) };
    size_t first = end->model ? 0 : 1, last = failure_of(end) ? 2 : 1;

    vmafx_counter_add(vmafx_signal_counter(meter, VMAFX_METRIC_ID_FRAMES), end->frames);
    vmafx_histogram_record_with(vmafx_signal_histogram(meter, VMAFX_METRIC_ID_SCORE_DURATION), end->elapsed_s,
                                (VmafxAttrs){ attrs + first, last - first }, NULL);
    if (end->frames && end->elapsed_s > 0)
        vmafx_histogram_record(vmafx_signal_histogram(meter, VMAFX_METRIC_ID_FRAME_RATE), end->frames / end->elapsed_s);
    if (end->encoder) {
        const VmafxAttr encoder = VMAFX_ATTR_STR(VMAFX_KEY_ENCODER_NAME, end->encoder);

        vmafx_counter_add_with(vmafx_signal_counter(meter, VMAFX_METRIC_ID_ENCODER_FRAMES), end->encoded_frames,
                               (VmafxAttrs){ &encoder, 1 }, NULL);
        vmafx_counter_add_with(vmafx_signal_counter(meter, VMAFX_METRIC_ID_ENCODER_IO), end->encoded_bytes,
                               (VmafxAttrs){ &encoder, 1 }, NULL);
    }
    measure_scored(meter, &end->scored);
}

void vmafx_score_trace_end(VmafxScoreTrace *trace, const VmafxScoreEnd *end)
{
    VmafxSpan *span = trace->scoring;

    end_run(trace, end->frames, end->elapsed_s, &end->times);
    vmafx_span_set_int(span, VMAFX_KEY_FRAME_COUNT, end->frames);
    vmafx_span_set_bool(span, VMAFX_KEY_JOB_COMPLETE, end->complete);
    if (end->kernels)
        vmafx_span_set_str(span, VMAFX_KEY_KERNEL_LEVEL, end->kernels);
    if (end->model)
        vmafx_span_set_str(span, VMAFX_KEY_MODEL_NAME, end->model);
    if (end->model_sha256)
        vmafx_span_set_str(span, VMAFX_KEY_MODEL_SHA256, end->model_sha256);
    if (end->has_score)
        vmafx_span_set_double(span, VMAFX_KEY_SCORE_VALUE, end->score);
    if (endings[end->ending].word)
        vmafx_span_set_str(span, VMAFX_KEY_SCORE_ENDING, endings[end->ending].word);
    if (end->ended_first)
        vmafx_span_set_str(span, VMAFX_KEY_INPUT_ROLE, end->ended_first);
    if (failure_of(end))
        set_error(span, failure_of(end), end->err ? vmafx_err_text(end->err) : endings[end->ending].text);
    vmafx_score_measure(end); /* under the span, so that exemplars lead to it */
    vmafx_span_detach(&trace->token);
    vmafx_span_end(&trace->scoring);
}

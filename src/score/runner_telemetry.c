/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Spans, log records and numbers of a child, as if they had been made here. */

#include "score/runner.h"

#include <string.h>

#include "base/base.h"
#include "score/child_reader.h"
#include "score/telemetry.h"

void vmafx_run_span_emit(VmafxTracer *tracer, const VmafxSpanContext *attempt,
                         const Vmafx__Scorer__V1__SpanRecord *span)
{
    VmafxChildAttrs room;
    const ProtobufCBinaryData *parent = &span->parent_span_id;
    VmafxSpanRecord record = {
        .context = *attempt,
        .parent_remote = parent->len != VMAFX_SPAN_ID_BYTES,
        .name = span->name,
        .kind = (VmafxSpanKind)span->kind,
        .start_ns = span->start_unix_ns,
        .end_ns = span->end_unix_ns,
        .attrs = vmafx_child_attrs(span->attributes, span->n_attributes, &room),
        .status = (VmafxSpanStatus)span->status,
        .status_description = span->status_message,
    };

    if (span->span_id.len != VMAFX_SPAN_ID_BYTES)
        return;
    memcpy(record.context.span_id, span->span_id.data, VMAFX_SPAN_ID_BYTES);
    memcpy(record.parent_span_id, record.parent_remote ? attempt->span_id : parent->data, VMAFX_SPAN_ID_BYTES);
    record.context.remote = false;
    vmafx_span_record(tracer, &record);
}

void vmafx_run_log_emit(VmafxLogger *logger, const VmafxSpanContext *attempt,
                        const Vmafx__Scorer__V1__LogRecord *record)
{
    VmafxChildAttrs room;
    VMAFX_AUTO(vmafx_context_unref) VmafxContext *context = vmafx_context_with_span(NULL, attempt);

    vmafx_logger_emit(logger, &(VmafxLogRecord){
                                  .time_ns = record->time_unix_ns,
                                  .severity = record->severity,
                                  .body = vmafx_value_str(record->body),
                                  .attrs = vmafx_child_attrs(record->attributes, record->n_attributes, &room),
                                  .context = context,
                              });
}

/* The class of a failure in the words of error.type. */
static VmafxErr error_of(const VmafxRunEnd *end)
{
    static const VmafxErr errors[] = {
        [VMAFX__V1__FAILURE_CLASS__FAILURE_CLASS_INPUT] = VMAFX_ERR_INPUT,
        [VMAFX__V1__FAILURE_CLASS__FAILURE_CLASS_MISMATCH] = VMAFX_ERR_MISMATCH,
        [VMAFX__V1__FAILURE_CLASS__FAILURE_CLASS_MODEL] = VMAFX_ERR_MODEL,
        [VMAFX__V1__FAILURE_CLASS__FAILURE_CLASS_ENCODER] = VMAFX_ERR_ENCODER,
        [VMAFX__V1__FAILURE_CLASS__FAILURE_CLASS_RESOURCE] = VMAFX_ERR_NOMEM,
        [VMAFX__V1__FAILURE_CLASS__FAILURE_CLASS_NODE] = VMAFX_ERR_STOPPED,
        [VMAFX__V1__FAILURE_CLASS__FAILURE_CLASS_TIMEOUT] = VMAFX_ERR_DEADLINE,
        [VMAFX__V1__FAILURE_CLASS__FAILURE_CLASS_INTERNAL] = VMAFX_ERR_INTERNAL,
    };

    if (end->outcome == VMAFX__V1__ATTEMPT_OUTCOME__ATTEMPT_OUTCOME_CANCELLED)
        return VMAFX_ERR_CANCELLED;
    return (size_t)end->failure < VMAFX_LEN(errors) ? errors[end->failure] : VMAFX_ERR_INTERNAL;
}

void vmafx_run_measure(const VmafxSpanContext *attempt, const VmafxRunEnd *end, bool counts_score)
{
    const Vmafx__V1__Result *result = end->result;
    VmafxScoreEnd measured = { .err = error_of(end), .complete = !error_of(end) };
    VMAFX_AUTO(vmafx_context_unref) VmafxContext *context = attempt ? vmafx_context_with_span(NULL, attempt) : NULL;

    if (!result)
        return; /* how long it took is not known here, and no frame was measured to the end */
    measured.frames = (uint32_t)result->frames;
    measured.elapsed_s = result->wall_seconds;
    if (result->encode) {
        measured.encoder = result->encode->encoder; /* child_reader.h: one of the known */
        measured.encoded_frames = result->encode->frames;
        measured.encoded_bytes = result->encode->size_bytes;
    }
    measured.model = result->n_models ? result->models[0]->version : NULL;
    if (counts_score)
        vmafx_scored_of_result(result, &measured.scored);
    VmafxContextToken token = vmafx_context_attach(context);
    vmafx_score_measure(&measured);
    vmafx_context_detach(token);
}

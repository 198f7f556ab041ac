/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* A span processor and a log provider that turn what they are given into messages. What does not fit is left out. */

#include "programs/scorer/child_telemetry.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"
#include "base/clock.h"
#include "base/text.h"
#include "otel/api/log.h"
#include "signals/signals.h"

#define ATTRS_MAX     32
#define TEXT_MAX      1024
#define LOGS_MAX      900
#define SPANS_MAX     1000 /* of which the last ones are kept for what is neither a run of frames nor an inference */
#define RUN_SPANS_MAX 900

VmafxErr child_send(ChildPipe *pipe, Vmafx__Scorer__V1__ChildMessage *message)
{
    pthread_mutex_lock(&pipe->lock);
    VmafxErr err = channel_write(pipe->fd, pipe->buffer, &message->base);
    pthread_mutex_unlock(&pipe->lock);
    if (err == VMAFX_ERR_IO)
        _exit(1); /* nobody wants to know any more */
    return err;
}

/* Room for the attributes of one message. */
typedef struct Attributes {
    Vmafx__Scorer__V1__Attribute items[ATTRS_MAX], *list[ATTRS_MAX];
    char texts[ATTRS_MAX][TEXT_MAX];
    size_t n;
} Attributes;

static bool fill_attribute(Vmafx__Scorer__V1__Attribute *to, const VmafxAttr *from, char *text)
{
    *to = (Vmafx__Scorer__V1__Attribute)VMAFX__SCORER__V1__ATTRIBUTE__INIT;
    to->key = (char *)(uintptr_t)from->key;
    switch (from->value.type) {
    case VMAFX_VALUE_STR:
        snprintf(text, TEXT_MAX, "%.*s", (int)VMAFX_MIN(from->value.str.len, (size_t)TEXT_MAX), from->value.str.ptr);
        vmafx_text_clean(text);
        to->value_case = VMAFX__SCORER__V1__ATTRIBUTE__VALUE_STRING_VALUE;
        to->string_value = text;
        return true;
    case VMAFX_VALUE_INT:
        to->value_case = VMAFX__SCORER__V1__ATTRIBUTE__VALUE_INT_VALUE;
        to->int_value = from->value.i;
        return true;
    case VMAFX_VALUE_DOUBLE:
        to->value_case = VMAFX__SCORER__V1__ATTRIBUTE__VALUE_DOUBLE_VALUE;
        to->double_value = from->value.d;
        return true;
    case VMAFX_VALUE_BOOL:
        to->value_case = VMAFX__SCORER__V1__ATTRIBUTE__VALUE_BOOL_VALUE;
        to->bool_value = from->value.b;
        return true;
    default:
        return false;
    }
}

static void fill_attributes(Attributes *to, VmafxAttrs from)
{
    to->n = 0;
    for (size_t i = 0; i < from.n && to->n < ATTRS_MAX; i++)
        if (fill_attribute(&to->items[to->n], &from.items[i], to->texts[to->n])) {
            to->list[to->n] = &to->items[to->n];
            to->n++;
        }
}

/* ---- spans ---- */

/* What the scoring itself does not know: where it runs. */
static void add_layers(const ChildTelemetry *t, Attributes *to, Vmafx__Scorer__V1__Texts *room)
{
    Vmafx__Scorer__V1__Attribute *attribute = &to->items[to->n];

    if (to->n == ATTRS_MAX || !t->n_layers)
        return;
    *room = (Vmafx__Scorer__V1__Texts)VMAFX__SCORER__V1__TEXTS__INIT;
    room->items = (char **)(uintptr_t)t->layers;
    room->n_items = t->n_layers;
    *attribute = (Vmafx__Scorer__V1__Attribute)VMAFX__SCORER__V1__ATTRIBUTE__INIT;
    attribute->key = (char *)(uintptr_t)VMAFX_KEY_SANDBOX_LAYERS;
    attribute->value_case = VMAFX__SCORER__V1__ATTRIBUTE__VALUE_TEXTS_VALUE;
    attribute->texts_value = room;
    to->list[to->n++] = attribute;
}

static bool may_send_span(ChildTelemetry *t, const VmafxSpanData *data)
{
    bool of_many =
        !strcmp(data->name, VMAFX_SPAN_NAME_FRAME_EXTRACTION) || !strcmp(data->name, VMAFX_SPAN_NAME_ONNX_INFERENCE);
    size_t max = of_many ? RUN_SPANS_MAX : SPANS_MAX;

    pthread_mutex_lock(&t->pipe->lock);
    bool may = data->flags & VMAFX_TRACE_FLAG_SAMPLED && t->n_spans < max;
    t->n_spans += may;
    pthread_mutex_unlock(&t->pipe->lock);
    return may;
}

static void send_span(ChildTelemetry *t, const VmafxSpanData *data)
{
    Vmafx__Scorer__V1__ChildMessage message = VMAFX__SCORER__V1__CHILD_MESSAGE__INIT;
    Vmafx__Scorer__V1__SpanRecord span = VMAFX__SCORER__V1__SPAN_RECORD__INIT;
    VMAFX_AUTO(vmafx_free_p) Attributes *attributes = malloc(sizeof *attributes);
    Vmafx__Scorer__V1__Texts layers;
    char status[TEXT_MAX];

    if (!attributes)
        return;
    fill_attributes(attributes, data->attrs);
    if (!strcmp(data->name, VMAFX_SPAN_NAME_SCORING))
        add_layers(t, attributes, &layers);
    span.attributes = attributes->list;
    span.n_attributes = attributes->n;
    span.span_id = (ProtobufCBinaryData){ sizeof data->span_id, (uint8_t *)(uintptr_t)data->span_id };
    if (memcmp(data->parent_span_id, t->parent.span_id, sizeof data->parent_span_id) != 0)
        span.parent_span_id =
            (ProtobufCBinaryData){ sizeof data->parent_span_id, (uint8_t *)(uintptr_t)data->parent_span_id };
    span.name = (char *)(uintptr_t)data->name;
    span.kind = (int32_t)data->kind;
    span.start_unix_ns = data->start_ns;
    span.end_unix_ns = data->end_ns;
    span.status = (int32_t)data->status;
    snprintf(status, sizeof status, "%s", data->status_description ? data->status_description : "");
    vmafx_text_clean(status);
    span.status_message = status;
    message.kind_case = VMAFX__SCORER__V1__CHILD_MESSAGE__KIND_SPAN;
    message.span = &span;
    VMAFX_IGNORE(child_send(t->pipe, &message)); /* far below the limit */
}

static void on_end(VmafxSpanProcessor *processor, VmafxFinishedSpan *span, unsigned lane)
{
    ChildTelemetry *t = (ChildTelemetry *)processor;
    const VmafxSpanData *data = vmafx_finished_span_data(span);

    if (may_send_span(t, data))
        send_span(t, data);
    vmafx_finished_span_unref(&span);
}

static VmafxExportResult nothing_waits(VmafxSpanProcessor *processor, uint64_t deadline_ns)
{
    return VMAFX_EXPORT_OK;
}

static bool nothing_to_free(VmafxSpanProcessor *processor)
{
    return true;
}

/* ---- log records ---- */

static bool log_enabled(VmafxLogProvider *provider, const VmafxLogger *logger, int severity, const char *event_name)
{
    return severity >= VMAFX_INFO;
}

static void emit_log(VmafxLogProvider *provider, const VmafxLogger *logger, const VmafxLogRecord *record)
{
    ChildTelemetry *t = (ChildTelemetry *)((char *)provider - offsetof(ChildTelemetry, logs));
    Vmafx__Scorer__V1__ChildMessage message = VMAFX__SCORER__V1__CHILD_MESSAGE__INIT;
    Vmafx__Scorer__V1__LogRecord log = VMAFX__SCORER__V1__LOG_RECORD__INIT;
    VMAFX_AUTO(vmafx_free_p) Attributes *attributes = malloc(sizeof *attributes);
    char body[TEXT_MAX];

    pthread_mutex_lock(&t->pipe->lock);
    bool full = t->n_logs >= LOGS_MAX;
    t->n_logs += !full;
    pthread_mutex_unlock(&t->pipe->lock);
    if (full || !attributes || record->body.type != VMAFX_VALUE_STR)
        return;
    snprintf(body, sizeof body, "%.*s", (int)VMAFX_MIN(record->body.str.len, sizeof body), record->body.str.ptr);
    vmafx_text_clean(body);
    fill_attributes(attributes, record->attrs);
    log.attributes = attributes->list;
    log.n_attributes = attributes->n;
    log.time_unix_ns = record->time_ns ? record->time_ns : vmafx_wall_ns();
    log.severity = VMAFX_MAX(record->severity, 1);
    log.body = body;
    message.kind_case = VMAFX__SCORER__V1__CHILD_MESSAGE__KIND_LOG;
    message.log = &log;
    VMAFX_IGNORE(child_send(t->pipe, &message)); /* far below the limit */
}

/* ---- both ---- */

void child_telemetry_start(ChildTelemetry *telemetry, const ChildTelemetryStart *start)
{
    VmafxTraceProviderConfig config = VMAFX_TRACE_PROVIDER_DEFAULT;

    *telemetry = (ChildTelemetry){ .processor = { .on_end = on_end,
                                                  .force_flush = nothing_waits,
                                                  .shutdown = nothing_waits,
                                                  .free = nothing_to_free },
                                   .logs = { .enabled = log_enabled, .emit = emit_log },
                                   .pipe = start->pipe,
                                   .layers = start->layers,
                                   .n_layers = start->n_layers };
    vmafx_log_provider_set(&telemetry->logs);
    if (!vmafx_traceparent_parse(start->traceparent, strlen(start->traceparent), &telemetry->parent))
        return;
    config.processors[0] = &telemetry->processor;
    config.n_processors = 1;
    config.records_max = 64; /* few are open at a time */
    VmafxTraceProvider *provider = vmafx_trace_provider_new(&config);
    if (!provider)
        return;
    vmafx_tracer_provider_set(vmafx_trace_provider_api(provider));
    telemetry->parent.state = vmafx_tracestate_parse(start->tracestate, strlen(start->tracestate));
    vmafx_context_attach(vmafx_context_with_span(NULL, &telemetry->parent)); /* for ever */
}

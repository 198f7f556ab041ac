/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Our own SDK, measured; see bench.h. */

#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "otel/api/context.h"
#include "otel/api/metrics.h"
#include "otel/export/otel.h"
#include "otel/export/otlp_encode.h"
#include "otel/export/otlp_grpc.h"
#include "otel/export/otlp_http.h"
#include "otel/sdk/batch.h"
#include "otel/sdk/meter_provider.h"
#include "otel/sdk/trace_provider.h"

static VmafxTraceProvider *provider;
static VmafxSpanProcessor *processor;
static VmafxTracer *tracer;
static VmafxCounter *counter;
static VmafxHistogram *histogram;
static VmafxBound *bound_counter, *bound_histogram;
static VmafxOtel *program;

static void need(const void *what)
{
    if (!what)
        abort();
}

/* ---- Spans ---- */

void bench_span(uint64_t i)
{
    VmafxSpan *span = vmafx_span_start(tracer, BENCH_SPAN);

    vmafx_span_set_str(span, BENCH_KEY_ID, BENCH_ID);
    vmafx_span_set_str(span, BENCH_KEY_CODEC, BENCH_CODEC);
    vmafx_span_set_int(span, BENCH_KEY_FRAME, (int64_t)i);
    vmafx_span_set_double(span, BENCH_KEY_SCORE, BENCH_SCORE);
    vmafx_span_end(&span);
}

static void spans(uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        bench_span(i);
}

static void open_provider(VmafxExporter *exporter, VmafxSampler *sampler)
{
    VmafxBatchConfig batch = VMAFX_BATCH_DEFAULT;
    VmafxTraceProviderConfig config = VMAFX_TRACE_PROVIDER_DEFAULT;

    batch.exporter = exporter;
    batch.max_queue = BENCH_QUEUE;
    batch.max_batch = BENCH_BATCH;
    batch.delay_ms = BENCH_DELAY_MS;
    config.sampler = sampler;
    config.processors[0] = processor = vmafx_batch_processor_new(&batch);
    config.n_processors = 1;
    config.records_max = 2 * BENCH_QUEUE;
    need(processor);
    need(provider = vmafx_trace_provider_new(&config));
    vmafx_tracer_provider_set(vmafx_trace_provider_api(provider));
    tracer = vmafx_tracer_get("bench", "1");
}

static void close_provider(void)
{
    vmafx_tracer_provider_set(NULL);
    if (provider)
        vmafx_trace_provider_free(&provider);
    processor = NULL;
}

static VmafxExportResult ignore_batch(VmafxExporter *exporter, const VmafxBatch *batch, uint64_t deadline_ns)
{
    return VMAFX_EXPORT_OK;
}

static VmafxExportResult ignore(VmafxExporter *exporter, uint64_t deadline_ns)
{
    return VMAFX_EXPORT_OK;
}

static void no_free(VmafxExporter *exporter)
{
}

static VmafxExporter none = { "none", ignore_batch, ignore, ignore, no_free };

static void setup_sampled(void)
{
    close_provider();
    open_provider(&none, vmafx_sampler_always_on());
}

static void setup_unsampled(void)
{
    close_provider();
    open_provider(&none, vmafx_sampler_always_off());
}

static void setup_no_sdk(void)
{
    close_provider();
    tracer = vmafx_tracer_get("bench", "1");
}

void bench_settle(void)
{
    if (provider)
        VMAFX_IGNORE(vmafx_trace_provider_force_flush(provider, UINT64_MAX)); /* the exporter of nothing cannot fail */
}

/* ---- Metrics ---- */

static void setup_metrics(void)
{
    static VmafxMeterProvider *meters; /* lives to the end of the process */

    close_provider();
    if (meters)
        return;
    VmafxMetricReader *reader = vmafx_metric_reader_new(NULL);
    meters = vmafx_meter_provider_new(&(VmafxMeterProviderOptions){ .readers = &reader, .n_readers = 1 });
    VmafxMeter *meter = vmafx_meter_provider_meter(meters, "bench", "", "", VMAFX_NO_ATTRS);
    VmafxAttrs attrs = VMAFX_ATTRS(VMAFX_ATTR_STR("rpc.method", "Score"), VMAFX_ATTR_STR("rpc.status", "OK"));

    counter = vmafx_counter(meter, "counter", "", "");
    histogram = vmafx_histogram(meter, "histogram", "", "");
    bound_counter = vmafx_counter_bind(counter, attrs);
    bound_histogram = vmafx_histogram_bind(histogram, attrs);
}

static void counter_adds(uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        vmafx_counter_add_with(
            counter, 1, VMAFX_ATTRS(VMAFX_ATTR_STR("rpc.method", "Score"), VMAFX_ATTR_STR("rpc.status", "OK")), NULL);
}

static void histogram_records(uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        vmafx_histogram_record_with(
            histogram, (double)(i & 1023),
            VMAFX_ATTRS(VMAFX_ATTR_STR("rpc.method", "Score"), VMAFX_ATTR_STR("rpc.status", "OK")), NULL);
}

static void bound_counter_adds(uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        vmafx_bound_int(bound_counter, 1);
}

static void bound_histogram_records(uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        vmafx_bound_double(bound_histogram, (double)(i & 1023));
}

/* ---- Propagation ---- */

static volatile uint64_t kept; /* so that nothing is computed in vain */

static void parses(uint64_t n)
{
    VmafxSpanContext context;

    for (uint64_t i = 0; i < n; i++) {
        vmafx_traceparent_parse(BENCH_TRACEPARENT, sizeof BENCH_TRACEPARENT - 1, &context);
        kept += context.span_id[0];
    }
}

static VmafxSpanContext some_context(void)
{
    VmafxSpanContext context;

    if (!vmafx_traceparent_parse(BENCH_TRACEPARENT, sizeof BENCH_TRACEPARENT - 1, &context))
        abort();
    return context;
}

static void formats(uint64_t n)
{
    VmafxSpanContext context = some_context();
    char text[VMAFX_TRACEPARENT_SIZE];

    for (uint64_t i = 0; i < n; i++) {
        context.span_id[7] = (uint8_t)(i | 1);
        vmafx_traceparent_format(&context, text);
        kept += (uint8_t)text[54];
    }
}

static void get_header(void *carrier, const char *name, void (*each)(void *ctx, const char *value, size_t len),
                       void *ctx)
{
    if (!strcmp(name, "traceparent"))
        each(ctx, BENCH_TRACEPARENT, sizeof BENCH_TRACEPARENT - 1);
}

static void set_header(void *carrier, const char *name, const char *value)
{
    kept += (uint8_t)value[0];
}

static void setup_propagation(void)
{
    close_provider();
    vmafx_propagators_set(VMAFX_PROPAGATE_TRACECONTEXT);
}

static void extracts(uint64_t n)
{
    static const VmafxCarrierGetter getter = { get_header };

    for (uint64_t i = 0; i < n; i++) {
        VmafxContext *context = vmafx_context_extract(NULL, &getter, NULL);
        kept += context != NULL;
        vmafx_context_unref(&context);
    }
}

static void injects(uint64_t n)
{
    static const VmafxCarrierSetter setter = { set_header };
    VmafxSpanContext span = some_context();
    VmafxContext *context = vmafx_context_with_span(NULL, &span);

    for (uint64_t i = 0; i < n; i++)
        vmafx_context_inject(context, &setter, NULL);
    vmafx_context_unref(&context);
}

/* ---- Encoding ---- */

/* Batches of 512 equal spans, from the data that exporters get to the bytes that are sent. */
static void encodes(uint64_t n)
{
    static const VmafxScope scope = { "bench", "1", "", { NULL, 0 } };
    static const VmafxResource resource = { { NULL, 0 }, "" };
    VmafxAttrs attrs =
        VMAFX_ATTRS(VMAFX_ATTR_STR(BENCH_KEY_ID, BENCH_ID), VMAFX_ATTR_STR(BENCH_KEY_CODEC, BENCH_CODEC),
                    VMAFX_ATTR_INT(BENCH_KEY_FRAME, 240), VMAFX_ATTR_DOUBLE(BENCH_KEY_SCORE, BENCH_SCORE));
    VmafxSpanData span = { .trace_id = { 1, 2, 3 },
                           .span_id = { 4, 5 },
                           .flags = 1,
                           .trace_state = "",
                           .scope = &scope,
                           .name = BENCH_SPAN,
                           .kind = VMAFX_SPAN_INTERNAL,
                           .start_ns = UINT64_C(1700000000000000000),
                           .end_ns = UINT64_C(1700000000000001000),
                           .attrs = attrs,
                           .status_description = "" };
    const VmafxSpanData *list[BENCH_BATCH];
    VmafxBatch batch = { VMAFX_SIGNAL_TRACES, &resource, list, NULL, NULL, 0 };

    for (size_t i = 0; i < BENCH_BATCH; i++)
        list[i] = &span;
    for (uint64_t left = n; left; left -= batch.n) {
        VmafxOtlpEncoder encoder;

        batch.n = VMAFX_MIN(left, (uint64_t)BENCH_BATCH);
        vmafx_otlp_encoder_init(&encoder, &batch, 0, 0);
        while (vmafx_otlp_encoder_next(&encoder))
            kept += encoder.wire.len;
        vmafx_otlp_encoder_done(&encoder);
    }
}

const BenchCase bench_cases[] = {
    { "no-sdk", setup_no_sdk, spans, 10000, 2 },
    { "unsampled", setup_unsampled, spans, 10000, 2 },
    { "span", setup_sampled, spans, 1000, 2 },
    { "counter", setup_metrics, counter_adds, 10000, 2 },
    { "bound-counter", setup_metrics, bound_counter_adds, 100000, 2 },
    { "histogram", setup_metrics, histogram_records, 10000, 2 },
    { "bound-histogram", setup_metrics, bound_histogram_records, 100000, 2 },
    { "extract", setup_propagation, extracts, 10000, 1 },
    { "inject", setup_propagation, injects, 10000, 1 },
    { "parse", setup_propagation, parses, 10000, 1 },
    { "format", setup_propagation, formats, 10000, 1 },
    { "encode", setup_propagation, encodes, 20 * BENCH_BATCH, 1 },
    { NULL, NULL, NULL, 0, 0 },
};

/* ---- To a collector ---- */

void bench_program_start(bool grpc, unsigned port)
{
    char endpoint[80];
    char protocol[] = "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf", metrics[] = "OTEL_METRICS_EXPORTER=none",
         logs[] = "OTEL_LOGS_EXPORTER=none";
    char *environment[] = { endpoint, protocol, metrics, logs, NULL };

    snprintf(endpoint, sizeof endpoint, "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:%u", port);
    if (grpc)
        memcpy(strchr(protocol, '=') + 1, "grpc", 5);
    need(program =
             vmafx_otel_start(&(VmafxOtelStart){ .service = "bench", .version = "1", .environment = environment }));
    tracer = vmafx_tracer_get("bench", "1");
}

void bench_program_stop(void)
{
    if (vmafx_otel_stop(&program, VMAFX_OTEL_STOP_MS) != VMAFX_EXPORT_OK)
        exit(1);
}

static void say(void *ctx, int severity, const char *message)
{
    fprintf(stderr, "bench: %s\n", message);
}

void bench_export_open(bool grpc, unsigned port)
{
    VmafxOtlpConfig config = { .signal = VMAFX_SIGNAL_TRACES, .version = "1", .on_error = say };
    char text[64];

    snprintf(text, sizeof text, "http://127.0.0.1:%u", port);
    if (vmafx_endpoint_parse(text, strlen(text), grpc ? VMAFX_OTLP_GRPC : VMAFX_OTLP_HTTP, VMAFX_SIGNAL_TRACES, false,
                             VMAFX_INSECURE_UNSET, &config.endpoint, NULL))
        abort();
    open_provider(grpc ? vmafx_otlp_grpc_exporter_new(&config) : vmafx_otlp_http_exporter_new(&config),
                  vmafx_sampler_always_on());
}

static VmafxBatchCounts counts(void)
{
    VmafxBatchCounts counts;

    vmafx_batch_counts(processor, &counts);
    return counts;
}

uint64_t bench_exported(void)
{
    return counts().exported;
}

uint64_t bench_lost(void)
{
    VmafxBatchCounts c = counts();
    VmafxTraceCounts t;

    vmafx_trace_provider_counts(provider, &t);
    return c.failed + c.timed_out + c.dropped_full + c.dropped_shutdown + c.dropped_memory + t.dropped_memory;
}

void bench_flush(void)
{
    if (vmafx_trace_provider_force_flush(provider, UINT64_MAX) != VMAFX_EXPORT_OK)
        fprintf(stderr, "bench: the flush failed\n");
}

void bench_export_close(void)
{
    close_provider();
}

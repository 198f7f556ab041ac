/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* From variables to providers: settings, resource, exporters, processors and readers, the global slots. */

#include "otel/export/otel.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/base.h"
#include "otel/api/log.h"
#include "otel/api/metrics.h"
#include "otel/api/trace.h"
#include "otel/export/console.h"
#include "otel/export/otlp_grpc.h"
#include "otel/export/otlp_http.h"
#include "otel/sdk/batch.h"
#include "otel/sdk/env.h"
#include "otel/sdk/log_provider.h"
#include "otel/sdk/meter_provider.h"
#include "otel/sdk/resource.h"
#include "otel/sdk/trace_provider.h"

#define EXPORTERS_MAX 2 /* of one signal: OTLP and console */

struct VmafxOtel {
    VmafxOtelSettings settings;
    VmafxOtelErrorHandler on_error;
    void *on_error_ctx;
    char *version;
    VmafxResource *resource;
    VmafxTraceProvider *traces;
    VmafxMeterProvider *metrics;
    VmafxLogProvider *logs;
};

static void print_error(void *ctx, int severity, const char *message)
{
    const VmafxOtel *otel = ctx;

    if (severity >= otel->settings.log_level)
        fprintf(stderr, "telemetry: %s\n", message);
}

static void complain(VmafxOtel *otel, const char *message)
{
    otel->on_error(otel->on_error_ctx, VMAFX_WARN, message);
}

/* ---- Exporters ---- */

/* The exporters of a signal that somebody wants. */
static unsigned wanted(const VmafxOtelSettings *settings, VmafxSignal signal, bool only_when_asked)
{
    unsigned which = settings->exporters[signal] & (VMAFX_EXPORT_TO_OTLP | VMAFX_EXPORT_TO_CONSOLE);

    if (only_when_asked && settings->otlp[signal].endpoint_from == VMAFX_FROM_DEFAULT)
        which &= ~(unsigned)VMAFX_EXPORT_TO_OTLP;
    return settings->disabled ? 0 : which;
}

static VmafxExporter *otlp_exporter(VmafxOtel *otel, VmafxSignal signal)
{
    const VmafxOtlpSettings *s = &otel->settings.otlp[signal];
    VmafxOtlpProtocol protocol = s->protocol == VMAFX_PROTOCOL_GRPC ? VMAFX_OTLP_GRPC : VMAFX_OTLP_HTTP;
    VMAFX_AUTO(vmafx_free_p) VmafxOtlpHeader *headers = calloc(s->headers.n + 1, sizeof *headers);
    VmafxErrInfo info = { 0 };
    VmafxOtlpConfig config = { .signal = signal,
                               .headers = headers,
                               .n_headers = headers ? s->headers.n : 0,
                               .gzip = s->gzip,
                               .timeout_ms = (uint32_t)s->timeout_ms,
                               .ca_file = s->certificate,
                               .cert_file = s->client_certificate,
                               .key_file = s->client_key,
                               .version = otel->version,
                               .on_error = otel->on_error,
                               .on_error_ctx = otel->on_error_ctx };

    if (s->protocol == VMAFX_PROTOCOL_HTTP_JSON)
        complain(otel, "OTLP as JSON is not available in this version; protobuf over HTTP is used");
    for (size_t i = 0; i < config.n_headers; i++)
        headers[i] = (VmafxOtlpHeader){ s->headers.items[i].key, s->headers.items[i].value };
    if (!s->endpoint ||
        vmafx_endpoint_parse(s->endpoint, strlen(s->endpoint), protocol, signal, s->endpoint_from == VMAFX_FROM_SIGNAL,
                             VMAFX_INSECURE_UNSET, &config.endpoint, &info)) {
        complain(otel, info.message[0] ? info.message : "no memory for an OTLP exporter");
        return NULL;
    }
    return protocol == VMAFX_OTLP_GRPC ? vmafx_otlp_grpc_exporter_new(&config) : vmafx_otlp_http_exporter_new(&config);
}

static size_t make_exporters(VmafxOtel *otel, VmafxSignal signal, unsigned which, VmafxExporter *ret[EXPORTERS_MAX])
{
    size_t n = 0;

    if (which & VMAFX_EXPORT_TO_OTLP && (ret[n] = otlp_exporter(otel, signal)))
        n++;
    if (which & VMAFX_EXPORT_TO_CONSOLE && (ret[n] = vmafx_console_exporter_new(signal, stderr)))
        n++;
    return n;
}

/* ---- Providers ---- */

static size_t limit(int32_t v)
{
    return v == VMAFX_OTEL_UNLIMITED ? SIZE_MAX : (size_t)v;
}

static VmafxSampler *sampler_of(const VmafxOtelSettings *settings)
{
    VmafxSampler *root = settings->sampler == VMAFX_SAMPLER_ALWAYS_OFF ? vmafx_sampler_always_off()
                         : settings->sampler == VMAFX_SAMPLER_RATIO
                             ? vmafx_sampler_trace_id_ratio(settings->sampler_ratio)
                             : vmafx_sampler_always_on();

    return settings->sampler_parent_based ? vmafx_sampler_parent_based(&(VmafxParentBased){ .root = root }) : root;
}

static void start_traces(VmafxOtel *otel, unsigned which)
{
    const VmafxOtelSettings *s = &otel->settings;
    VmafxTraceProviderConfig config = VMAFX_TRACE_PROVIDER_DEFAULT;
    VmafxExporter *exporters[EXPORTERS_MAX];
    size_t n = make_exporters(otel, VMAFX_SIGNAL_TRACES, which, exporters);

    if (!n)
        return;
    config.sampler = sampler_of(s);
    config.limits.attrs = limit(s->span_limits.count);
    config.limits.value_length = limit(s->span_limits.value_length);
    config.limits.events = limit(s->span_events);
    config.limits.links = limit(s->span_links);
    config.limits.event_attrs = limit(s->event_attributes);
    config.limits.link_attrs = limit(s->link_attributes);
    config.records_max = VMAFX_MAX(config.records_max, 2 * (size_t)s->span_batch.queue_size);
    for (size_t i = 0; i < n; i++) {
        VmafxBatchConfig batch = { .exporter = exporters[i],
                                   .resource = otel->resource,
                                   .max_queue = (size_t)s->span_batch.queue_size,
                                   .max_batch = (size_t)s->span_batch.batch_size,
                                   .delay_ms = (uint64_t)s->span_batch.schedule_delay_ms,
                                   .export_timeout_ms = (uint64_t)s->span_batch.export_timeout_ms,
                                   .error = otel->on_error,
                                   .error_ctx = otel->on_error_ctx };
        VmafxSpanProcessor *processor = vmafx_batch_processor_new(&batch);
        if (processor)
            config.processors[config.n_processors++] = processor;
    }
    otel->traces = vmafx_trace_provider_new(&config);
    if (otel->traces)
        vmafx_tracer_provider_set(vmafx_trace_provider_api(otel->traces));
}

static void start_metrics(VmafxOtel *otel, unsigned which)
{
    const VmafxOtelSettings *s = &otel->settings;
    VmafxExporter *exporters[EXPORTERS_MAX];
    VmafxMetricReader *readers[EXPORTERS_MAX];
    size_t n = make_exporters(otel, VMAFX_SIGNAL_METRICS, which, exporters), n_readers = 0;

    for (size_t i = 0; i < n; i++) {
        VmafxReaderOptions options = { .exporter = exporters[i],
                                       .interval_ms = (uint32_t)s->metric_interval_ms,
                                       .timeout_ms = (uint32_t)s->metric_timeout_ms,
                                       .temporality = s->temporality };
        if (s->exponential_histograms)
            options.aggregation[VMAFX_KIND_HISTOGRAM].kind = VMAFX_AGG_EXP_HISTOGRAM;
        readers[n_readers] = vmafx_metric_reader_new(&options);
        n_readers += readers[n_readers] != NULL;
    }
    if (!n_readers)
        return;
    otel->metrics = vmafx_meter_provider_new(&(VmafxMeterProviderOptions){ .resource = otel->resource,
                                                                           .readers = readers,
                                                                           .n_readers = n_readers,
                                                                           .exemplars = s->exemplars,
                                                                           .error_handler = otel->on_error,
                                                                           .error_ctx = otel->on_error_ctx });
    vmafx_metrics_sdk_set(vmafx_meter_provider_sdk(otel->metrics));
}

static void start_logs(VmafxOtel *otel, unsigned which)
{
    const VmafxOtelSettings *s = &otel->settings;
    VmafxExporter *exporters[EXPORTERS_MAX];
    VmafxLogProcessor *processors[EXPORTERS_MAX];
    size_t n = make_exporters(otel, VMAFX_SIGNAL_LOGS, which, exporters);

    for (size_t i = 0; i < n; i++)
        processors[i] =
            vmafx_log_batch_new(otel->resource, exporters[i], &(VmafxLogBatchSettings){ .batch = s->log_batch });
    if (!n)
        return;
    otel->logs = vmafx_log_provider_new(&(VmafxLogProviderSettings){ .limits = s->log_limits }, processors, n);
    if (otel->logs)
        vmafx_log_provider_set(otel->logs);
}

/* ---- Start and stop ---- */

static void free_otel(VmafxOtel *otel)
{
    vmafx_trace_provider_free(&otel->traces);
    vmafx_meter_provider_free(&otel->metrics);
    vmafx_log_provider_free(&otel->logs);
    vmafx_resource_free(&otel->resource);
    vmafx_otel_settings_done(&otel->settings);
    free(otel->version);
    free(otel);
}

static void report_warnings(VmafxOtel *otel, const VmafxOtelWarnings *warnings)
{
    for (size_t i = 0; i < warnings->n; i++)
        complain(otel, warnings->text[i]);
}

VmafxOtel *vmafx_otel_start(const VmafxOtelStart *start)
{
    VMAFX_AUTO(vmafx_free_p) VmafxOtelWarnings *warnings = calloc(1, sizeof *warnings);
    VmafxOtel *otel = calloc(1, sizeof *otel);
    VmafxAttr service = VMAFX_ATTR_STR("service.name", start->service);
    unsigned which[3], any = 0;

    if (!otel || !warnings) {
        free(otel);
        return NULL;
    }
    vmafx_otel_settings_init(&otel->settings, start->environment ? start->environment : environ, warnings);
    otel->on_error = start->on_error ? start->on_error : print_error;
    otel->on_error_ctx = start->on_error ? start->on_error_ctx : otel;
    otel->version = vmafx_strdup(start->version);
    vmafx_propagators_set(otel->settings.propagators);
    for (int i = 0; i < 3; i++)
        any |= which[i] = wanted(&otel->settings, (VmafxSignal)i, start->only_when_asked);
    if (!any) {
        free_otel(otel);
        return NULL;
    }

    bool named = otel->settings.service_name != NULL;
    for (size_t i = 0; i < otel->settings.resource_attributes.n; i++)
        named |= !strcmp(otel->settings.resource_attributes.items[i].key, "service.name");
    VmafxResourceInput input = { .settings = &otel->settings, .service_version = start->version };
    if (!named && start->service)
        input.attrs = (VmafxAttrs){ &service, 1 };
    otel->resource = vmafx_resource_detect(&input, warnings);
    report_warnings(otel, warnings);
    start_traces(otel, which[VMAFX_SIGNAL_TRACES]);
    start_metrics(otel, which[VMAFX_SIGNAL_METRICS]);
    start_logs(otel, which[VMAFX_SIGNAL_LOGS]);
    return otel;
}

static uint64_t monotonic_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

VmafxExportResult vmafx_otel_stop(VmafxOtel **otel_p, uint64_t within_ms)
{
    VmafxOtel *otel = *otel_p;
    uint64_t deadline = monotonic_ns() + within_ms * 1000000u;

    if (!otel)
        return VMAFX_EXPORT_OK;
    *otel_p = NULL;
    vmafx_tracer_provider_set(NULL);
    vmafx_metrics_sdk_set(NULL);
    vmafx_log_provider_set(NULL);

    VmafxExportResult traces = otel->traces ? vmafx_trace_provider_shutdown(otel->traces, deadline) : VMAFX_EXPORT_OK;
    VmafxExportResult metrics =
        otel->metrics ? vmafx_meter_provider_shutdown(otel->metrics, deadline) : VMAFX_EXPORT_OK;
    VmafxExportResult logs = otel->logs ? vmafx_log_provider_shutdown(otel->logs, deadline) : VMAFX_EXPORT_OK;
    free_otel(otel);
    return VMAFX_MAX(traces, VMAFX_MAX(metrics, logs));
}

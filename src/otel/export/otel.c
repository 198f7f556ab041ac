/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* From variables to providers: settings, resource, exporters, processors and readers, the global slots. */

#include "otel/export/otel.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/base.h"
#include "base/clock.h"
#include "otel/api/log.h"
#include "otel/api/metrics.h"
#include "otel/api/trace.h"
#include "otel/export/console.h"
#include "otel/export/otel_lines.h"
#include "otel/export/otlp_grpc.h"
#include "otel/export/otlp_http.h"
#include "otel/export/prometheus.h"
#include "otel/export/self.h"
#include "otel/export/together.h"
#include "otel/export/signals_check.h"
#include "otel/sdk/batch.h"
#include "otel/sdk/env.h"
#include "otel/sdk/ids.h"
#include "otel/sdk/log_provider.h"
#include "otel/sdk/meter_provider.h"
#include "otel/sdk/resource.h"
#include "otel/sdk/trace_provider.h"

enum { LOG_QUEUE_MAX = 1 << 22 };

#define LINES_NS UINT64_C(100000000) /* of a stop's or a flush's time, at most: what is left for lines */

struct VmafxOtel {
    unsigned generation; /* of forks */
    VmafxOtelSettings settings;
    VmafxOtelErrorHandler on_error;
    void *on_error_ctx;
    char *version;
    VmafxResource *resource;
    VmafxOtelParts parts;    /* owns the providers, which own the rest */
    VmafxMetricReader *page; /* for Prometheus; the meter provider's; NULL: none */
    bool has_lines;
    atomic_bool page_complained;
    VmafxSelf *self;
    VmafxSignalsCheck *check; /* NULL: signals are not checked */
};

/* ctx is the lowest severity: threads that stop could not end may come here when there is no VmafxOtel any more. */
static void print_error(void *ctx, int severity, const char *message)
{
    if (severity >= (int)(intptr_t)ctx)
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

    if (signal == VMAFX_SIGNAL_METRICS)
        which |= settings->exporters[signal] & VMAFX_EXPORT_TO_PROMETHEUS;
    if (only_when_asked && settings->otlp[signal].endpoint_from == VMAFX_FROM_DEFAULT)
        which &= ~(unsigned)VMAFX_EXPORT_TO_OTLP;
    return settings->disabled ? 0 : which;
}

/* The host, or the path of a socket. */
static void note_server(VmafxOtelWay *way, const VmafxEndpoint *endpoint)
{
    static const char scheme[] = "unix:";
    const char *socket = strncmp(endpoint->target, scheme, strlen(scheme)) ? "" : endpoint->target + strlen(scheme);

    snprintf(way->address, sizeof way->address, "%.*s", VMAFX_SELF_ADDRESS_MAX,
             endpoint->host[0] ? endpoint->host : socket);
    way->port = endpoint->port;
}

static bool otlp_exporter(VmafxOtel *otel, VmafxSignal signal, VmafxOtelWay *ret)
{
    const VmafxOtlpSettings *s = &otel->settings.otlp[signal];
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

    for (size_t i = 0; i < config.n_headers; i++)
        headers[i] = (VmafxOtlpHeader){ s->headers.items[i].key, s->headers.items[i].value };
    if (!s->endpoint ||
        vmafx_endpoint_parse(s->endpoint, strlen(s->endpoint), s->protocol, signal,
                             s->endpoint_from == VMAFX_FROM_SIGNAL, VMAFX_INSECURE_UNSET, &config.endpoint, &info)) {
        complain(otel, info.message[0] ? info.message : "no memory for an OTLP exporter");
        return false;
    }
    if (config.endpoint.warning)
        complain(otel, config.endpoint.warning);
    *ret = (VmafxOtelWay){ .signal = signal, .otlp = true };
    ret->exporter =
        s->protocol == VMAFX_OTLP_GRPC ? vmafx_otlp_grpc_exporter_new(&config) : vmafx_otlp_http_exporter_new(&config);
    note_server(ret, &config.endpoint);
    return ret->exporter != vmafx_otlp_exporter_none(); /* that has complained itself */
}

/* The console first: it is quick, and at the end of the program the other may take all the time there is. */
static size_t make_exporters(VmafxOtel *otel, VmafxSignal signal, unsigned which,
                             VmafxOtelWay ret[VMAFX_OTEL_EXPORTERS])
{
    size_t n = 0;

    if (which & VMAFX_EXPORT_TO_CONSOLE)
        ret[n++] = (VmafxOtelWay){ .signal = signal, .exporter = vmafx_console_exporter_new(signal, stderr) };
    if (which & VMAFX_EXPORT_TO_OTLP && otlp_exporter(otel, signal, &ret[n]))
        n++;
    return n;
}

/* What a processor or reader takes over: the exporter, timed. */
static VmafxExporter *timed(VmafxOtelWay *way)
{
    return vmafx_timed_exporter_new(way->exporter, &way->timed);
}

/* Only what has found an owner: the others are freed already. */
static void note_way(VmafxOtel *otel, const VmafxOtelWay *way)
{
    otel->parts.ways[otel->parts.n_ways++] = *way;
}

/* The provider could not be made, and has freed what it was given. */
static void forget_ways(VmafxOtel *otel, VmafxSignal signal)
{
    while (otel->parts.n_ways && otel->parts.ways[otel->parts.n_ways - 1].signal == signal)
        otel->parts.n_ways--;
}

/* ---- Providers ---- */

static size_t limit(int32_t v)
{
    return v == VMAFX_OTEL_UNLIMITED ? SIZE_MAX : (size_t)v;
}

static VmafxSampler *sampler_of(const VmafxOtelSettings *settings)
{
    if (settings->sampler == VMAFX_SAMPLER_PROBABILITY)
        return settings->sampler_parent_based ? vmafx_sampler_parent_probability(settings->sampler_ratio)
                                              : vmafx_sampler_probability(settings->sampler_ratio);

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
    VmafxOtelWay ways[VMAFX_OTEL_EXPORTERS];
    size_t n = make_exporters(otel, VMAFX_SIGNAL_TRACES, which, ways);

    if (!n)
        return;
    config.sampler = sampler_of(s);
    config.error = otel->on_error;
    config.error_ctx = otel->on_error_ctx;
    config.limits.attrs = limit(s->span_limits.count);
    config.limits.value_length = limit(s->span_limits.value_length);
    config.limits.events = limit(s->span_events);
    config.limits.links = limit(s->span_links);
    config.limits.event_attrs = limit(s->event_attributes);
    config.limits.link_attrs = limit(s->link_attributes);
    config.records_max = VMAFX_MAX(config.records_max, 2 * (size_t)s->span_batch.queue_size);
    for (size_t i = 0; i < n; i++) {
        VmafxBatchConfig batch = { .exporter = timed(&ways[i]),
                                   .resource = otel->resource,
                                   .max_queue = (size_t)s->span_batch.queue_size,
                                   .max_batch = (size_t)s->span_batch.batch_size,
                                   .delay_ms = (uint64_t)s->span_batch.schedule_delay_ms,
                                   .export_timeout_ms = (uint64_t)s->span_batch.export_timeout_ms,
                                   .error = otel->on_error,
                                   .error_ctx = otel->on_error_ctx };
        ways[i].spans = vmafx_batch_processor_new(&batch);
        if (!ways[i].spans)
            continue;
        config.processors[config.n_processors++] = ways[i].spans;
        note_way(otel, &ways[i]);
    }
    vmafx_signals_check_traces(otel->check, &config);
    otel->parts.traces = vmafx_trace_provider_new(&config);
    if (otel->parts.traces)
        vmafx_tracer_provider_set(vmafx_trace_provider_api(otel->parts.traces));
    else
        forget_ways(otel, VMAFX_SIGNAL_TRACES);
}

static void start_metrics(VmafxOtel *otel, unsigned which)
{
    const VmafxOtelSettings *s = &otel->settings;
    VmafxOtelWay ways[VMAFX_OTEL_EXPORTERS];
    VmafxMetricReader *readers[VMAFX_OTEL_EXPORTERS + 1];
    size_t n = make_exporters(otel, VMAFX_SIGNAL_METRICS, which, ways), n_readers = 0;

    for (size_t i = 0; i < n; i++) {
        VmafxReaderOptions options = { .exporter = timed(&ways[i]),
                                       .interval_ms = (uint32_t)s->metric_interval_ms,
                                       .timeout_ms = (uint32_t)s->metric_timeout_ms,
                                       .temporality = s->temporality };
        if (s->exponential_histograms)
            options.aggregation[VMAFX_KIND_HISTOGRAM].kind = VMAFX_AGG_EXP_HISTOGRAM;
        if (ways[i].timed) {
            options.collected = vmafx_timed_collected;
            options.collected_ctx = &ways[i].timed->collections;
        }
        readers[n_readers] = vmafx_metric_reader_new(&options);
        if (!readers[n_readers])
            continue;
        n_readers++;
        note_way(otel, &ways[i]);
    }
    if (which & VMAFX_EXPORT_TO_PROMETHEUS) /* cumulative, with explicit buckets: a text page knows nothing else */
        otel->page = vmafx_metric_reader_new(
            &(VmafxReaderOptions){ .collected = vmafx_timed_collected, .collected_ctx = &otel->parts.page });
    if (otel->page)
        readers[n_readers++] = otel->page;
    otel->parts.has_page = otel->page != NULL;
    if (!n_readers)
        return;
    otel->parts.metrics = vmafx_meter_provider_new(&(VmafxMeterProviderOptions){ .resource = otel->resource,
                                                                                 .readers = readers,
                                                                                 .n_readers = n_readers,
                                                                                 .exemplars = s->exemplars,
                                                                                 .error_handler = otel->on_error,
                                                                                 .error_ctx = otel->on_error_ctx });
    if (!otel->parts.metrics) {
        forget_ways(otel, VMAFX_SIGNAL_METRICS);
        otel->page = NULL;
        otel->parts.has_page = false;
        return;
    }
    vmafx_metrics_sdk_set(vmafx_signals_check_metrics(otel->check, vmafx_meter_provider_sdk(otel->parts.metrics)));
}

static void start_logs(VmafxOtel *otel, unsigned which)
{
    const VmafxOtelSettings *s = &otel->settings;
    VmafxOtelWay ways[VMAFX_OTEL_EXPORTERS];
    VmafxLogProcessor *processors[VMAFX_OTEL_EXPORTERS + 2];
    size_t n = make_exporters(otel, VMAFX_SIGNAL_LOGS, which, ways), n_processors = 0;
    VmafxLogBatchSettings batch = { .batch = s->log_batch };

    batch.batch.queue_size = VMAFX_MIN(batch.batch.queue_size, LOG_QUEUE_MAX);
    for (size_t i = 0; i < n; i++) {
        ways[i].logs = vmafx_log_batch_new(otel->resource, timed(&ways[i]), &batch);
        if (!ways[i].logs)
            continue;
        processors[n_processors++] = ways[i].logs;
        note_way(otel, &ways[i]);
    }
    if (otel->has_lines)
        processors[n_processors++] = vmafx_otel_lines_processor();
    if (!n_processors)
        return;
    n_processors = vmafx_signals_check_logs(otel->check, processors, n_processors);
    otel->parts.logs =
        vmafx_log_provider_new(&(VmafxLogProviderSettings){ .limits = s->log_limits }, processors, n_processors);
    if (otel->parts.logs)
        vmafx_log_provider_set(otel->parts.logs);
    else
        forget_ways(otel, VMAFX_SIGNAL_LOGS);
}

/* ---- Start and stop ---- */

static void free_otel(VmafxOtel *otel)
{
    vmafx_self_free(&otel->self); /* before what it reads */
    vmafx_trace_provider_free(&otel->parts.traces);
    vmafx_meter_provider_free(&otel->parts.metrics);
    vmafx_log_provider_free(&otel->parts.logs);
    vmafx_signals_check_free(&otel->check);
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

/* Settings that are understood, but that this version cannot follow. */
static void warn_of_unavailable(const VmafxOtelSettings *settings, VmafxOtelWarnings *warnings)
{
    bool json = false, to_stdout = false;

    for (int i = 0; i < 3; i++) {
        json |= settings->otlp[i].protocol == VMAFX_OTLP_HTTP_JSON;
        to_stdout |= (settings->exporters[i] & VMAFX_EXPORT_TO_OTLP_STDOUT) != 0;
    }
    if (json)
        vmafx_otel_warn(warnings, "OTLP as JSON is not available in this version; protobuf over HTTP is used");
    if (to_stdout)
        vmafx_otel_warn(warnings, "the exporter otlp/stdout is not available in this version; it is left out");
}

VmafxOtel *vmafx_otel_start(const VmafxOtelStart *start)
{
    VMAFX_AUTO(vmafx_free_p) VmafxOtelWarnings *warnings = calloc(1, sizeof *warnings);
    VmafxOtel *otel = calloc(1, sizeof *otel);
    VmafxAttr service = VMAFX_ATTR_STR("service.name", start->service);
    unsigned which[3], any = start->log_lines;

    if (!otel || !warnings) {
        free(otel);
        return NULL;
    }
    vmafx_fork_watch();
    otel->generation = vmafx_fork_generation();
    vmafx_timed_init(&otel->parts.page);
    vmafx_otel_settings_init(&otel->settings, start->environment ? start->environment : environ, warnings);
    otel->on_error = start->on_error ? start->on_error : print_error;
    otel->on_error_ctx = start->on_error ? start->on_error_ctx : (void *)(intptr_t)otel->settings.log_level;
    otel->has_lines = start->log_lines;
    if (start->log_lines && !start->on_error)
        otel->on_error = vmafx_otel_lines_complain;
    otel->version = vmafx_strdup(start->version);
    vmafx_propagators_set(otel->settings.propagators);
    for (int i = 0; i < 3; i++)
        any |= which[i] = wanted(&otel->settings, (VmafxSignal)i, start->only_when_asked);
    if (start->prometheus_page && !otel->settings.disabled)
        any |= which[VMAFX_SIGNAL_METRICS] |= VMAFX_EXPORT_TO_PROMETHEUS;
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
    if (start->log_lines && !vmafx_otel_lines_open(&otel->settings))
        vmafx_otel_warn(warnings, "no memory or no thread for log lines; log records are not written to stderr");
    otel->resource = vmafx_resource_detect(&input, warnings);
    warn_of_unavailable(&otel->settings, warnings);
    report_warnings(otel, warnings);
    otel->check =
        vmafx_signals_check_new(start->environment ? start->environment : environ, otel->on_error, otel->on_error_ctx);
    start_traces(otel, which[VMAFX_SIGNAL_TRACES]);
    start_metrics(otel, which[VMAFX_SIGNAL_METRICS]);
    start_logs(otel, which[VMAFX_SIGNAL_LOGS]);
    otel->self = vmafx_self_new(&otel->parts, otel->version);
    return otel;
}

VmafxOtel *vmafx_otel_start_in_child(VmafxOtel **parents, const VmafxOtelStart *start)
{
    VmafxOtel *parent = *parents;

    *parents = NULL;
    if (parent && parent->generation == vmafx_fork_generation())
        return parent; /* no child: it goes on as it is */
    vmafx_tracer_provider_set(NULL);
    vmafx_log_provider_set(NULL);
    return vmafx_otel_start(start);
}

/* ---- Flush and stop ---- */

static VmafxExportResult flush_traces(void *of, uint64_t deadline_ns)
{
    return vmafx_trace_provider_force_flush(of, deadline_ns);
}

static VmafxExportResult flush_logs(void *of, uint64_t deadline_ns)
{
    return vmafx_log_provider_flush(of, deadline_ns);
}

static VmafxExportResult flush_metrics(void *of, uint64_t deadline_ns)
{
    return vmafx_meter_provider_flush(of, deadline_ns);
}

static VmafxExportResult stop_traces(void *of, uint64_t deadline_ns)
{
    return vmafx_trace_provider_shutdown(of, deadline_ns);
}

static VmafxExportResult stop_logs(void *of, uint64_t deadline_ns)
{
    return vmafx_log_provider_shutdown(of, deadline_ns);
}

static VmafxExportResult stop_metrics(void *of, uint64_t deadline_ns)
{
    return vmafx_meter_provider_shutdown(of, deadline_ns);
}

/* Lines are last, since the others may have something to say. */
static uint64_t before_lines(const VmafxOtel *otel, uint64_t last_ns)
{
    uint64_t now = vmafx_monotonic_ns();

    return otel->has_lines && last_ns > now ? last_ns - VMAFX_MIN((last_ns - now) / 4, LINES_NS) : last_ns;
}

static uint64_t deadline_after(uint64_t ms)
{
    return vmafx_monotonic_ns() + VMAFX_MIN(ms, (uint64_t)INT32_MAX) * 1000000u;
}

void vmafx_otel_ending(VmafxOtel *otel)
{
    for (size_t i = 0; otel && i < otel->parts.n_ways && otel->generation == vmafx_fork_generation(); i++)
        vmafx_otlp_exporter_hurry(otel->parts.ways[i].exporter);
}

VmafxExportResult vmafx_otel_flush(VmafxOtel *otel, uint64_t within_ms)
{
    uint64_t last = deadline_after(within_ms);

    if (!otel)
        return VMAFX_EXPORT_OK;
    if (otel->generation != vmafx_fork_generation())
        return VMAFX_EXPORT_FAILED;

    const VmafxWait waits[] = { { flush_traces, otel->parts.traces },
                                { flush_logs, otel->parts.logs },
                                { flush_metrics, otel->parts.metrics } };
    VmafxExportResult result = vmafx_wait_together(waits, VMAFX_LEN(waits), before_lines(otel, last));
    VmafxExportResult lines = otel->has_lines ? vmafx_otel_lines_flush(last) : VMAFX_EXPORT_OK;

    return VMAFX_MAX(result, lines);
}

VmafxExportResult vmafx_otel_stop(VmafxOtel **otel_p, uint64_t within_ms)
{
    VmafxOtel *otel = *otel_p;
    uint64_t last = deadline_after(within_ms);

    if (!otel)
        return VMAFX_EXPORT_OK;
    *otel_p = NULL;
    vmafx_tracer_provider_set(NULL);
    vmafx_log_provider_set(NULL);
    if (otel->generation != vmafx_fork_generation())
        return VMAFX_EXPORT_FAILED; /* a forked child: all of it is left alone */
    vmafx_otel_ending(otel);

    const VmafxWait waits[] = { { stop_traces, otel->parts.traces },
                                { stop_logs, otel->parts.logs },
                                { stop_metrics, otel->parts.metrics } };
    VmafxExportResult result = vmafx_wait_together(waits, VMAFX_LEN(waits), before_lines(otel, last)), lines;

    vmafx_metrics_sdk_set(NULL); /* only now: the last collection runs the program's callbacks once more */
    bool has_lines = otel->has_lines;
    free_otel(otel);
    lines = has_lines ? vmafx_otel_lines_close(last) : VMAFX_EXPORT_OK;
    return VMAFX_MAX(result, lines);
}

/* ---- Questions ---- */

void vmafx_otel_counts(const VmafxOtel *otel, VmafxOtelCounts *ret)
{
    *ret = (VmafxOtelCounts){ .spans = { 0 } };
    if (otel)
        vmafx_self_counts(&otel->parts, ret);
}

char *vmafx_otel_prometheus_page(VmafxOtel *otel, const char *accept, size_t *ret_len, const char **ret_content_type)
{
    VmafxPrometheusOptions options = { .format = vmafx_prometheus_negotiate(accept, accept ? strlen(accept) : 0) };
    VMAFX_AUTO(vmafx_snapshot_free)
    VmafxMetricSnapshot *snapshot = otel ? vmafx_metric_reader_collect(otel->page) : NULL;
    VmafxPrometheusPage page = { 0 };

    *ret_len = 0;
    *ret_content_type = vmafx_prometheus_content_type(options.format);
    if (!snapshot)
        return NULL;
    vmafx_prometheus_write(&options, snapshot->resource, snapshot->metrics, snapshot->n, &page);
    if ((page.dropped_metrics || page.dropped_points || page.truncated) &&
        !atomic_exchange(&otel->page_complained, true))
        complain(otel, page.truncated ? "the Prometheus page is too large, metrics are missing"
                                      : "metrics that contradict others are not on the Prometheus page");
    *ret_len = page.len;
    return page.data;
}

bool vmafx_otel_set_log_level(VmafxOtel *otel, const char *word)
{
    int severity = vmafx_otel_level(word);

    if (severity && otel && otel->has_lines)
        vmafx_otel_lines_set_level(severity);
    return severity != 0;
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * OTEL_… variables. Most rows are tables: a name, where its value goes, and which values it takes. What remains are
 * lists, the OTLP rows, which exist once in general and once for each signal, and the few rows that look at others.
 */

#include "otel/sdk/env.h"

#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/base.h"
#include "otel/sdk/env_values.h"

/* ---- OTLP: each row in general, and for one signal ---- */

static const char *const signal_names[] = { "TRACES", "METRICS", "LOGS" };

static void otlp_name(char ret[96], int signal, const char *row)
{
    if (signal < 0)
        snprintf(ret, 96, "OTEL_EXPORTER_OTLP_%s", row);
    else
        snprintf(ret, 96, "OTEL_EXPORTER_OTLP_%s_%s", signal_names[signal], row);
}

/* Calls read(r, name, …) for the signal's row, then for the general one; which of them had a usable value. */
#define OTLP_READ(r, signal, row, read, ...)                                                                           \
    ({                                                                                                                 \
        char name_[96];                                                                                                \
        VmafxOtelSource from_ = VMAFX_FROM_SIGNAL;                                                                     \
        otlp_name(name_, (signal), (row));                                                                             \
        if (!read((r), name_, __VA_ARGS__)) {                                                                          \
            from_ = VMAFX_FROM_GENERAL;                                                                                \
            otlp_name(name_, -1, (row));                                                                               \
            if (!read((r), name_, __VA_ARGS__))                                                                        \
                from_ = VMAFX_FROM_DEFAULT;                                                                            \
        }                                                                                                              \
        from_;                                                                                                         \
    })

static bool read_path(const VmafxEnvReader *r, const char *name, char **ret)
{
    *ret = vmafx_env_string(r, name);
    return *ret;
}

/* Is it host:port, [v6]:port, or a host alone? */
static bool bare_host(const char *text)
{
    size_t host = *text == '[' ? strspn(text + 1, "0123456789abcdefABCDEF:.%") + 2 : strcspn(text, ":/");

    if (!host || (*text == '[' && (strlen(text) < host || text[host - 1] != ']')))
        return false;
    if (*text != '[' && host != strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._"))
        return false;
    text += host;
    if (*text == ':') {
        size_t digits = strspn(text + 1, "0123456789");
        if (!digits || digits > 5)
            return false;
        text += 1 + digits;
    }
    return !*text || *text == '/';
}

static bool url(const char *text)
{
    size_t scheme = !strncasecmp(text, "http://", 7) ? 7 : !strncasecmp(text, "https://", 8) ? 8 : 0;
    const char *at = strchr(text, '@'); /* user:password before the host are not looked at */

    if (!scheme)
        return !strncasecmp(text, "unix:", 5) && text[5];
    text += scheme;
    return bare_host(at && at < text + strcspn(text, "/") ? at + 1 : text);
}

static bool read_endpoint(const VmafxEnvReader *r, const char *name, bool secure, const char *default_port, char **ret)
{
    VMAFX_AUTO(vmafx_free_p) char *text = vmafx_env_string(r, name);

    if (!text)
        return false;
    for (const char *c = text; *c; c++)
        if ((unsigned char)*c <= ' ' || *c == 127) {
            vmafx_otel_warn(r->warnings, "%s: a URL has no blanks or control characters, ignored", name);
            return false;
        }
    if (!strstr(text, "://") && strncasecmp(text, "unix:", 5) != 0 && bare_host(text)) {
        const char *scheme = secure ? "https" : "http", *bracket = strchr(text, ']');
        int host = (int)strcspn(text, "/");
        bool has_port = memchr(bracket ? bracket : text, ':', strcspn(bracket ? bracket : text, "/"));

        *ret = vmafx_sprintf("%s://%.*s%s%s", scheme, host, text, has_port ? "" : default_port, text + host);
        vmafx_otel_warn(r->warnings, "%s: '%.100s' has no scheme, taken as %s://", name, text, scheme);
        return *ret;
    }
    if (!url(text)) {
        vmafx_otel_warn(r->warnings, "%s: not a URL of http, https or unix, ignored", name);
        return false;
    }
    *ret = VMAFX_TAKE(text);
    return true;
}

static void read_otlp(const VmafxEnvReader *r, int signal, VmafxOtlpSettings *s)
{
    static const VmafxEnvChoice protocols[] = { { "grpc", VMAFX_OTLP_GRPC },
                                                { "http/protobuf", VMAFX_OTLP_HTTP },
                                                { "http/json", VMAFX_OTLP_HTTP_JSON },
                                                { NULL, 0 } };
    static const VmafxEnvChoice compressions[] = { { "none", 0 }, { "gzip", 1 }, { NULL, 0 } };
    int protocol = VMAFX_OTLP_GRPC, gzip = 0;

    s->timeout_ms = 10000;
    OTLP_READ(r, signal, "PROTOCOL", vmafx_env_choice, protocols, &protocol);
    OTLP_READ(r, signal, "COMPRESSION", vmafx_env_choice, compressions, &gzip);
    OTLP_READ(r, signal, "TIMEOUT", vmafx_env_timeout, &s->timeout_ms);
    OTLP_READ(r, signal, "HEADERS", vmafx_env_headers, &s->headers);
    OTLP_READ(r, signal, "CERTIFICATE", read_path, &s->certificate);
    OTLP_READ(r, signal, "CLIENT_CERTIFICATE", read_path, &s->client_certificate);
    OTLP_READ(r, signal, "CLIENT_KEY", read_path, &s->client_key);
    s->protocol = (VmafxOtlpProtocol)protocol;
    s->gzip = gzip;

    bool insecure_set = OTLP_READ(r, signal, "INSECURE", vmafx_env_bool, &s->insecure) != VMAFX_FROM_DEFAULT;
    s->endpoint_from = OTLP_READ(r, signal, "ENDPOINT", read_endpoint, insecure_set && !s->insecure,
                                 s->protocol == VMAFX_OTLP_GRPC ? ":4317" : ":4318", &s->endpoint);
    if (!s->endpoint) {
        s->endpoint_from = VMAFX_FROM_DEFAULT;
        s->endpoint = vmafx_strdup(s->protocol == VMAFX_OTLP_GRPC ? "http://localhost:4317" : "http://localhost:4318");
    }
    if (!s->client_certificate != !s->client_key) {
        vmafx_otel_warn(r->warnings, "OTLP %s: client certificate and key need each other, ignored",
                        signal_names[signal]);
        vmafx_free_p(&s->client_certificate);
        vmafx_free_p(&s->client_key);
    }
}

/* ---- Rows that look at others ---- */

static bool parse_ratio(const char *text, double *ret)
{
    size_t digits = strspn(text, "0123456789.eE+-");
    locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0); /* the program's locale may use a comma */
    char *end = NULL;

    if (!c)
        return false;
    double value = strtod_l(text, &end, c);
    freelocale(c);
    if (!digits || text[digits] || end != text + digits || !(value >= 0 && value <= 1))
        return false;
    *ret = value;
    return true;
}

static void read_sampler(const VmafxEnvReader *r, VmafxOtelSettings *s)
{
    enum { PARENT = 16 };
    static const VmafxEnvChoice samplers[] = { { "always_on", VMAFX_SAMPLER_ALWAYS_ON },
                                               { "always_off", VMAFX_SAMPLER_ALWAYS_OFF },
                                               { "traceidratio", VMAFX_SAMPLER_RATIO },
                                               { "vmafx_probability", VMAFX_SAMPLER_PROBABILITY },
                                               { "parentbased_always_on", PARENT | VMAFX_SAMPLER_ALWAYS_ON },
                                               { "parentbased_always_off", PARENT | VMAFX_SAMPLER_ALWAYS_OFF },
                                               { "parentbased_traceidratio", PARENT | VMAFX_SAMPLER_RATIO },
                                               { "parentbased_vmafx_probability", PARENT | VMAFX_SAMPLER_PROBABILITY },
                                               { NULL, 0 } };
    int sampler = PARENT | VMAFX_SAMPLER_ALWAYS_ON;
    bool set = vmafx_env_choice(r, "OTEL_TRACES_SAMPLER", samplers, &sampler);

    s->sampler = (VmafxOtelSampler)(sampler & (PARENT - 1));
    s->sampler_parent_based = sampler & PARENT;
    s->sampler_ratio = 1;
    if (!set || (s->sampler != VMAFX_SAMPLER_RATIO && s->sampler != VMAFX_SAMPLER_PROBABILITY))
        return; /* the argument is not looked at */

    VMAFX_AUTO(vmafx_free_p) char *arg = vmafx_env_string(r, "OTEL_TRACES_SAMPLER_ARG");
    if (arg && !parse_ratio(arg, &s->sampler_ratio))
        vmafx_otel_warn(r->warnings, "OTEL_TRACES_SAMPLER_ARG: '%.100s' is not a number from 0 to 1, ignored", arg);
}

static void clamp_batch(const VmafxEnvReader *r, const char *name, VmafxBatchSettings *batch)
{
    if (batch->batch_size <= batch->queue_size)
        return;
    vmafx_otel_warn(r->warnings, "%s: %d is more than the queue holds, taken as %d", name, (int)batch->batch_size,
                    (int)batch->queue_size);
    batch->batch_size = batch->queue_size;
}

static void read_methods(const VmafxEnvReader *r, VmafxOtelSettings *s)
{
    VMAFX_AUTO(vmafx_free_p) char *text = vmafx_env_string(r, "OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS");
    const char *member;
    size_t len;

    if (!text)
        return;
    for (const char *at = text; vmafx_env_next_member(&at, text + strlen(text), &member, &len);) {
        if (!len || s->n_http_known_methods >= VMAFX_OTEL_PAIRS_MAX)
            continue;
        char **more = realloc(s->http_known_methods, (s->n_http_known_methods + 1) * sizeof *more);
        if (!more)
            return;
        s->http_known_methods = more;
        more[s->n_http_known_methods] = strndup(member, len);
        if (more[s->n_http_known_methods])
            s->n_http_known_methods++;
    }
}

/* ---- All of it ---- */

static void read_numbers(const VmafxEnvReader *r, VmafxOtelSettings *s)
{
    enum { ANY = 0, POSITIVE = 1, TIMEOUT = 2 };
    const struct {
        const char *name;
        int kind;
        int32_t *to;
        int32_t value; /* the default */
    } rows[] = {
        { "OTEL_BSP_SCHEDULE_DELAY", ANY, &s->span_batch.schedule_delay_ms, 5000 },
        { "OTEL_BSP_EXPORT_TIMEOUT", TIMEOUT, &s->span_batch.export_timeout_ms, 30000 },
        { "OTEL_BSP_MAX_QUEUE_SIZE", POSITIVE, &s->span_batch.queue_size, 2048 },
        { "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", POSITIVE, &s->span_batch.batch_size, 512 },
        { "OTEL_BLRP_SCHEDULE_DELAY", ANY, &s->log_batch.schedule_delay_ms, 1000 },
        { "OTEL_BLRP_EXPORT_TIMEOUT", TIMEOUT, &s->log_batch.export_timeout_ms, 30000 },
        { "OTEL_BLRP_MAX_QUEUE_SIZE", POSITIVE, &s->log_batch.queue_size, 2048 },
        { "OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", POSITIVE, &s->log_batch.batch_size, 512 },
        { "OTEL_SPAN_EVENT_COUNT_LIMIT", ANY, &s->span_events, 128 },
        { "OTEL_SPAN_LINK_COUNT_LIMIT", ANY, &s->span_links, 128 },
        { "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", ANY, &s->event_attributes, 128 },
        { "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", ANY, &s->link_attributes, 128 },
        { "OTEL_METRIC_EXPORT_INTERVAL", ANY, &s->metric_interval_ms, 60000 },
        { "OTEL_METRIC_EXPORT_TIMEOUT", TIMEOUT, &s->metric_timeout_ms, 30000 },
    };
    VmafxAttrLimits general = { VMAFX_OTEL_UNLIMITED, 128 };

    for (size_t i = 0; i < VMAFX_LEN(rows); i++) {
        *rows[i].to = rows[i].value;
        if (rows[i].kind == TIMEOUT)
            vmafx_env_timeout(r, rows[i].name, rows[i].to);
        else
            vmafx_env_int(r, rows[i].name, rows[i].kind == POSITIVE, INT32_MAX, rows[i].to);
    }
    clamp_batch(r, "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", &s->span_batch);
    clamp_batch(r, "OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", &s->log_batch);

    vmafx_env_int(r, "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", 0, INT32_MAX, &general.value_length);
    vmafx_env_int(r, "OTEL_ATTRIBUTE_COUNT_LIMIT", 0, INT32_MAX, &general.count);
    s->span_limits = s->log_limits = general;
    vmafx_env_int(r, "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", 0, INT32_MAX, &s->span_limits.value_length);
    vmafx_env_int(r, "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", 0, INT32_MAX, &s->span_limits.count);
    vmafx_env_int(r, "OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT", 0, INT32_MAX, &s->log_limits.value_length);
    vmafx_env_int(r, "OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT", 0, INT32_MAX, &s->log_limits.count);
}

static void read_exporters(const VmafxEnvReader *r, VmafxOtelSettings *s)
{
    static const VmafxEnvChoice some[] = { { "otlp", VMAFX_EXPORT_TO_OTLP },
                                           { "console", VMAFX_EXPORT_TO_CONSOLE },
                                           { "otlp/stdout", VMAFX_EXPORT_TO_OTLP_STDOUT },
                                           { "none", 0 },
                                           { NULL, 0 } };
    static const VmafxEnvChoice of_metrics[] = { { "otlp", VMAFX_EXPORT_TO_OTLP },
                                                 { "console", VMAFX_EXPORT_TO_CONSOLE },
                                                 { "otlp/stdout", VMAFX_EXPORT_TO_OTLP_STDOUT },
                                                 { "prometheus", VMAFX_EXPORT_TO_PROMETHEUS },
                                                 { "none", 0 },
                                                 { NULL, 0 } };

    for (int i = 0; i < 3; i++) {
        char name[48];

        s->exporters[i] = VMAFX_EXPORT_TO_OTLP;
        snprintf(name, sizeof name, "OTEL_%s_EXPORTER", signal_names[i]);
        vmafx_env_bits(r, name, i == VMAFX_SIGNAL_METRICS ? of_metrics : some, &s->exporters[i]);
        read_otlp(r, i, &s->otlp[i]);
    }
}

static void read_metrics(const VmafxEnvReader *r, VmafxOtelSettings *s)
{
    static const VmafxEnvChoice filters[] = { { "trace_based", VMAFX_EXEMPLARS_TRACE_BASED },
                                              { "always_on", VMAFX_EXEMPLARS_ALWAYS_ON },
                                              { "always_off", VMAFX_EXEMPLARS_ALWAYS_OFF },
                                              { NULL, 0 } };
    static const VmafxEnvChoice temporalities[] = { { "cumulative", VMAFX_TEMPORALITY_CUMULATIVE },
                                                    { "delta", VMAFX_TEMPORALITY_DELTA },
                                                    { "lowmemory", VMAFX_TEMPORALITY_LOWMEMORY },
                                                    { NULL, 0 } };
    static const VmafxEnvChoice aggregations[] = { { "explicit_bucket_histogram", 0 },
                                                   { "base2_exponential_bucket_histogram", 1 },
                                                   { NULL, 0 } };
    int exemplars = VMAFX_EXEMPLARS_TRACE_BASED, temporality = VMAFX_TEMPORALITY_CUMULATIVE, exponential = 0;

    vmafx_env_choice(r, "OTEL_METRICS_EXEMPLAR_FILTER", filters, &exemplars);
    vmafx_env_choice(r, "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", temporalities, &temporality);
    vmafx_env_choice(r, "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", aggregations, &exponential);
    s->exemplars = exemplars;
    s->temporality = temporality;
    s->exponential_histograms = exponential;

    s->prometheus_port = 9464;
    vmafx_env_int(r, "OTEL_EXPORTER_PROMETHEUS_PORT", 0, 65535, &s->prometheus_port);
    s->prometheus_host = vmafx_env_string(r, "OTEL_EXPORTER_PROMETHEUS_HOST");
    if (!s->prometheus_host)
        s->prometheus_host = vmafx_strdup("localhost");
}

static const VmafxEnvChoice levels[] = { { "trace", 1 },  { "verbose", 1 }, { "all", 1 },      { "debug", 5 },
                                         { "info", 9 },   { "warn", 13 },   { "warning", 13 }, { "error", 17 },
                                         { "fatal", 21 }, { "none", 25 },   { NULL, 0 } };

int vmafx_otel_level(const char *word)
{
    for (const VmafxEnvChoice *level = levels; level->name; level++)
        if (!strcasecmp(word, level->name))
            return level->value;
    return 0;
}

void vmafx_otel_settings_init(VmafxOtelSettings *ret, char *const *environment, VmafxOtelWarnings *warnings)
{
    static const VmafxEnvChoice propagators[] = { { "tracecontext", VMAFX_PROPAGATE_TRACECONTEXT },
                                                  { "baggage", VMAFX_PROPAGATE_BAGGAGE },
                                                  { "none", 0 },
                                                  { NULL, 0 } };
    static const VmafxEnvChoice formats[] = { { "logfmt", 0 }, { "json", 1 }, { NULL, 0 } };
    const VmafxEnvReader r = { environment, warnings };
    int json = 0;
    const char *text;
    size_t len;

    *ret = (VmafxOtelSettings){ .log_level = 9,
                                .lines_level = 9,
                                .propagators = VMAFX_PROPAGATE_TRACECONTEXT | VMAFX_PROPAGATE_BAGGAGE };
    if (vmafx_env_lookup(&r, "OTEL_CONFIG_FILE", &text, &len))
        vmafx_otel_warn(warnings, "OTEL_CONFIG_FILE: not supported yet; the other variables count");
    vmafx_env_bool(&r, "OTEL_SDK_DISABLED", &ret->disabled);
    vmafx_env_choice(&r, "OTEL_LOG_LEVEL", levels, &ret->log_level);
    vmafx_env_choice(&r, "VMAFX_LOG_LEVEL", levels, &ret->lines_level);
    vmafx_env_choice(&r, "VMAFX_LOG_FORMAT", formats, &json);
    ret->lines_json = json;
    ret->service_name = vmafx_env_string(&r, "OTEL_SERVICE_NAME");
    vmafx_env_pairs(&r, "OTEL_RESOURCE_ATTRIBUTES", &ret->resource_attributes);
    vmafx_env_bits(&r, "OTEL_PROPAGATORS", propagators, &ret->propagators);
    read_sampler(&r, ret);
    read_numbers(&r, ret);
    read_exporters(&r, ret);
    read_metrics(&r, ret);
    read_methods(&r, ret);
}

void vmafx_otel_settings_done(VmafxOtelSettings *settings)
{
    if (!settings)
        return;
    free(settings->service_name);
    free(settings->prometheus_host);
    vmafx_otel_pairs_done(&settings->resource_attributes);
    for (size_t i = 0; i < VMAFX_LEN(settings->otlp); i++) {
        VmafxOtlpSettings *otlp = &settings->otlp[i];

        free(otlp->endpoint);
        free(otlp->certificate);
        free(otlp->client_certificate);
        free(otlp->client_key);
        vmafx_otel_pairs_done(&otlp->headers);
    }
    for (size_t i = 0; i < settings->n_http_known_methods; i++)
        free(settings->http_known_methods[i]);
    free(settings->http_known_methods);
    *settings = (VmafxOtelSettings){ 0 };
}

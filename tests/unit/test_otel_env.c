/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* OTEL_… variables: every row unset, empty, valid, at its borders and with junk. */

#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"
#include "otel/sdk/env.h"

/* Settings of a few variables, with what was warned of. */
typedef struct Read {
    VmafxOtelSettings s;
    VmafxOtelWarnings w;
} Read;

#define READ(r, ...) read_all((r), (char *const[]){ __VA_ARGS__, NULL })

static void read_all(Read *r, char *const *environment)
{
    memset(&r->w, 0, sizeof r->w);
    vmafx_otel_settings_init(&r->s, environment, &r->w);
}

static void read_one(Read *r, const char *name, const char *value)
{
    char text[512];

    snprintf(text, sizeof text, "%s=%s", name, value);
    READ(r, text);
}

static void done(Read *r)
{
    vmafx_otel_settings_done(&r->s);
}

#define AT(field) offsetof(VmafxOtelSettings, field)

/* ---- Integers ---- */

static const struct {
    const char *name;
    size_t at;
    int32_t unset, min, max;
    bool timeout;
} integers[] = {
    { "OTEL_BSP_SCHEDULE_DELAY", AT(span_batch.schedule_delay_ms), 5000, 0, INT32_MAX, false },
    { "OTEL_BSP_EXPORT_TIMEOUT", AT(span_batch.export_timeout_ms), 30000, 0, INT32_MAX, true },
    { "OTEL_BSP_MAX_QUEUE_SIZE", AT(span_batch.queue_size), 2048, 1, INT32_MAX, false },
    { "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", AT(span_batch.batch_size), 512, 1, 2048, false },
    { "OTEL_BLRP_SCHEDULE_DELAY", AT(log_batch.schedule_delay_ms), 1000, 0, INT32_MAX, false },
    { "OTEL_BLRP_EXPORT_TIMEOUT", AT(log_batch.export_timeout_ms), 30000, 0, INT32_MAX, true },
    { "OTEL_BLRP_MAX_QUEUE_SIZE", AT(log_batch.queue_size), 2048, 1, INT32_MAX, false },
    { "OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", AT(log_batch.batch_size), 512, 1, 2048, false },
    { "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", AT(span_limits.value_length), INT32_MAX, 0, INT32_MAX, false },
    { "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", AT(log_limits.value_length), INT32_MAX, 0, INT32_MAX, false },
    { "OTEL_ATTRIBUTE_COUNT_LIMIT", AT(span_limits.count), 128, 0, INT32_MAX, false },
    { "OTEL_ATTRIBUTE_COUNT_LIMIT", AT(log_limits.count), 128, 0, INT32_MAX, false },
    { "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", AT(span_limits.value_length), INT32_MAX, 0, INT32_MAX, false },
    { "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", AT(span_limits.count), 128, 0, INT32_MAX, false },
    { "OTEL_SPAN_EVENT_COUNT_LIMIT", AT(span_events), 128, 0, INT32_MAX, false },
    { "OTEL_SPAN_LINK_COUNT_LIMIT", AT(span_links), 128, 0, INT32_MAX, false },
    { "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", AT(event_attributes), 128, 0, INT32_MAX, false },
    { "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", AT(link_attributes), 128, 0, INT32_MAX, false },
    { "OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT", AT(log_limits.value_length), INT32_MAX, 0, INT32_MAX, false },
    { "OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT", AT(log_limits.count), 128, 0, INT32_MAX, false },
    { "OTEL_METRIC_EXPORT_INTERVAL", AT(metric_interval_ms), 60000, 0, INT32_MAX, false },
    { "OTEL_METRIC_EXPORT_TIMEOUT", AT(metric_timeout_ms), 30000, 0, INT32_MAX, true },
    { "OTEL_EXPORTER_PROMETHEUS_PORT", AT(prometheus_port), 9464, 0, 65535, false },
    { "OTEL_EXPORTER_OTLP_TIMEOUT", AT(otlp[0].timeout_ms), 10000, 0, INT32_MAX, true },
    { "OTEL_EXPORTER_OTLP_TIMEOUT", AT(otlp[1].timeout_ms), 10000, 0, INT32_MAX, true },
    { "OTEL_EXPORTER_OTLP_TIMEOUT", AT(otlp[2].timeout_ms), 10000, 0, INT32_MAX, true },
    { "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", AT(otlp[0].timeout_ms), 10000, 0, INT32_MAX, true },
    { "OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", AT(otlp[1].timeout_ms), 10000, 0, INT32_MAX, true },
    { "OTEL_EXPORTER_OTLP_LOGS_TIMEOUT", AT(otlp[2].timeout_ms), 10000, 0, INT32_MAX, true },
};

static int32_t int_at(const Read *r, size_t at)
{
    int32_t value;

    memcpy(&value, (const char *)&r->s + at, sizeof value);
    return value;
}

static void every_integer_is_read_within_its_borders_and_keeps_its_default_otherwise(void **state)
{
    static const char *const junk[] = {
        "x", "-1", "1x", "0x10", "1.5", "+1", "1e3", "1 2", "∞", "none", "true", "2147483648", "99999999999999999999999"
    };
    char text[32];
    Read r;

    (void)state;
    for (size_t i = 0; i < VMAFX_LEN(integers); i++) {
        const char *name = integers[i].name;

        read_one(&r, "UNRELATED", "1");
        assert_int_equal(int_at(&r, integers[i].at), integers[i].unset);
        assert_int_equal(r.w.n, 0);
        done(&r);
        for (int k = 0; k < 2; k++) {
            read_one(&r, name, k ? " \t" : "");
            assert_int_equal(int_at(&r, integers[i].at), integers[i].unset);
            assert_int_equal(r.w.n, 0);
            done(&r);
        }
        for (int k = 0; k < 4; k++) {
            int32_t value = k == 0 ? integers[i].min : k == 1 ? integers[i].min + 1 : k == 2 ? 37 : integers[i].max;
            int32_t want = integers[i].timeout && !value ? VMAFX_OTEL_UNLIMITED : value;

            snprintf(text, sizeof text, k == 2 ? " %d\t" : "%d", (int)value);
            read_one(&r, name, text);
            if (int_at(&r, integers[i].at) != want)
                fail_msg("%s=%s gave %d", name, text, (int)int_at(&r, integers[i].at));
            done(&r);
        }
        for (size_t k = 0; k < VMAFX_LEN(junk); k++) {
            read_one(&r, name, junk[k]);
            if (int_at(&r, integers[i].at) != integers[i].unset || r.w.n != 1 || !strstr(r.w.text[0], name))
                fail_msg("%s=%s gave %d and %zu warnings", name, junk[k], (int)int_at(&r, integers[i].at), r.w.n);
            done(&r);
        }
        if (integers[i].min > 0) {
            read_one(&r, name, "0");
            assert_int_equal(int_at(&r, integers[i].at), integers[i].unset);
            assert_int_equal(r.w.n, 1);
            done(&r);
        }
    }
}

static void a_port_beyond_65535_is_junk(void **state)
{
    Read r;

    (void)state;
    read_one(&r, "OTEL_EXPORTER_PROMETHEUS_PORT", "65536");
    assert_int_equal(r.s.prometheus_port, 9464);
    assert_int_equal(r.w.n, 1);
    done(&r);
}

static void a_batch_larger_than_its_queue_is_clamped_with_a_warning(void **state)
{
    Read r;

    (void)state;
    READ(&r, "OTEL_BSP_MAX_QUEUE_SIZE=100", "OTEL_BLRP_MAX_QUEUE_SIZE=7", "OTEL_BLRP_MAX_EXPORT_BATCH_SIZE=8");
    assert_int_equal(r.s.span_batch.batch_size, 100); /* the default batch no longer fits */
    assert_int_equal(r.s.log_batch.batch_size, 7);
    assert_int_equal(r.w.n, 2);
    done(&r);
    READ(&r, "OTEL_BLRP_MAX_QUEUE_SIZE=8", "OTEL_BLRP_MAX_EXPORT_BATCH_SIZE=8");
    assert_int_equal(r.s.log_batch.batch_size, 8);
    assert_int_equal(r.w.n, 0);
    done(&r);
}

static void limits_of_a_model_win_over_the_general_ones_which_win_over_defaults(void **state)
{
    Read r;

    (void)state;
    READ(&r, "OTEL_ATTRIBUTE_COUNT_LIMIT=10", "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT=20",
         "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT=0", "OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT=5");
    assert_int_equal(r.s.span_limits.count, 0);
    assert_int_equal(r.s.span_limits.value_length, 20);
    assert_int_equal(r.s.log_limits.count, 10);
    assert_int_equal(r.s.log_limits.value_length, 5);
    assert_int_equal(r.s.event_attributes, 128);
    assert_int_equal(r.s.link_attributes, 128);
    assert_int_equal(r.w.n, 0);
    done(&r);
}

/* ---- Booleans ---- */

static void only_the_word_true_is_true(void **state)
{
    static const struct {
        const char *text;
        bool want;
        size_t warnings;
    } cases[] = {
        { "true", true, 0 },   { "TRUE", true, 0 }, { "tRuE", true, 0 }, { " true ", true, 0 }, { "false", false, 0 },
        { "False", false, 0 }, { "", false, 0 },    { "1", false, 1 },   { "yes", false, 1 },   { "on", false, 1 },
        { "truee", false, 1 }, { "tru", false, 1 }, { "0", false, 1 },
    };
    Read r;

    (void)state;
    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        read_one(&r, "OTEL_SDK_DISABLED", cases[i].text);
        if (r.s.disabled != cases[i].want || r.w.n != cases[i].warnings)
            fail_msg("OTEL_SDK_DISABLED=%s", cases[i].text);
        assert_int_equal(r.s.propagators, VMAFX_PROPAGATE_TRACECONTEXT | VMAFX_PROPAGATE_BAGGAGE);
        done(&r);
        read_one(&r, "OTEL_EXPORTER_OTLP_INSECURE", cases[i].text);
        for (int k = 0; k < 3; k++)
            assert_int_equal(r.s.otlp[k].insecure, cases[i].want);
        assert_int_equal(r.w.n, cases[i].warnings); /* once, although three signals read it */
        done(&r);
        read_one(&r, "OTEL_EXPORTER_OTLP_METRICS_INSECURE", cases[i].text);
        assert_int_equal(r.s.otlp[1].insecure, cases[i].want);
        assert_false(r.s.otlp[0].insecure || r.s.otlp[2].insecure);
        done(&r);
    }
    READ(&r, "OTEL_EXPORTER_OTLP_INSECURE=true", "OTEL_EXPORTER_OTLP_LOGS_INSECURE=false");
    assert_true(r.s.otlp[0].insecure && r.s.otlp[1].insecure && !r.s.otlp[2].insecure);
    done(&r);
}

/* ---- One of a set ---- */

typedef int (*Get)(const VmafxOtelSettings *s);

#define GETTER(name, field)                                                                                            \
    static int name(const VmafxOtelSettings *s)                                                                        \
    {                                                                                                                  \
        return (int)(s->field);                                                                                        \
    }
GETTER(get_level, log_level)
GETTER(get_exemplars, exemplars)
GETTER(get_temporality, temporality)
GETTER(get_exponential, exponential_histograms)
GETTER(get_propagators, propagators)
GETTER(get_traces, exporters[VMAFX_SIGNAL_TRACES])
GETTER(get_metrics, exporters[VMAFX_SIGNAL_METRICS])
GETTER(get_logs, exporters[VMAFX_SIGNAL_LOGS])
GETTER(get_protocol, otlp[0].protocol)
GETTER(get_protocol_metrics, otlp[1].protocol)
GETTER(get_protocol_logs, otlp[2].protocol)
GETTER(get_gzip, otlp[0].gzip)
GETTER(get_gzip_metrics, otlp[1].gzip)
GETTER(get_gzip_logs, otlp[2].gzip)

static int get_sampler(const VmafxOtelSettings *s)
{
    return (int)s->sampler + (s->sampler_parent_based ? 100 : 0);
}

static void words_of_closed_sets_are_read_in_any_case_and_unknown_ones_are_quoted(void **state)
{
    enum { T = VMAFX_PROPAGATE_TRACECONTEXT, B = VMAFX_PROPAGATE_BAGGAGE };
    enum { OTLP = VMAFX_EXPORT_TO_OTLP, CON = VMAFX_EXPORT_TO_CONSOLE, PROM = VMAFX_EXPORT_TO_PROMETHEUS };
    static const struct {
        const char *name, *text;
        Get get;
        int want;
        size_t warnings;
    } cases[] = {
        { "OTEL_LOG_LEVEL", "", get_level, 9, 0 },
        { "OTEL_LOG_LEVEL", "DEBUG", get_level, 5, 0 },
        { "OTEL_LOG_LEVEL", "trace", get_level, 1, 0 },
        { "OTEL_LOG_LEVEL", "warn", get_level, 13, 0 },
        { "OTEL_LOG_LEVEL", "error", get_level, 17, 0 },
        { "OTEL_LOG_LEVEL", "none", get_level, 25, 0 },
        { "OTEL_LOG_LEVEL", "loud", get_level, 9, 1 },
        { "OTEL_PROPAGATORS", "", get_propagators, T | B, 0 },
        { "OTEL_PROPAGATORS", "tracecontext", get_propagators, T, 0 },
        { "OTEL_PROPAGATORS", " Baggage ,baggage,tracecontext", get_propagators, T | B, 0 },
        { "OTEL_PROPAGATORS", "none", get_propagators, 0, 0 },
        { "OTEL_PROPAGATORS", "none,baggage", get_propagators, 0, 1 },
        { "OTEL_PROPAGATORS", "b3,baggage", get_propagators, B, 1 },
        { "OTEL_PROPAGATORS", "jaeger,xray", get_propagators, T | B, 2 },
        { "OTEL_PROPAGATORS", ",", get_propagators, T | B, 0 },
        { "OTEL_TRACES_SAMPLER", "", get_sampler, 100, 0 },
        { "OTEL_TRACES_SAMPLER", "always_on", get_sampler, VMAFX_SAMPLER_ALWAYS_ON, 0 },
        { "OTEL_TRACES_SAMPLER", "ALWAYS_OFF", get_sampler, VMAFX_SAMPLER_ALWAYS_OFF, 0 },
        { "OTEL_TRACES_SAMPLER", "traceidratio", get_sampler, VMAFX_SAMPLER_RATIO, 0 },
        { "OTEL_TRACES_SAMPLER", "parentbased_always_on", get_sampler, 100, 0 },
        { "OTEL_TRACES_SAMPLER", "parentbased_always_off", get_sampler, 100 + VMAFX_SAMPLER_ALWAYS_OFF, 0 },
        { "OTEL_TRACES_SAMPLER", "parentbased_traceidratio", get_sampler, 100 + VMAFX_SAMPLER_RATIO, 0 },
        { "OTEL_TRACES_SAMPLER", "vmafx_probability", get_sampler, VMAFX_SAMPLER_PROBABILITY, 0 },
        { "OTEL_TRACES_SAMPLER", "parentbased_vmafx_probability", get_sampler, 100 + VMAFX_SAMPLER_PROBABILITY, 0 },
        { "OTEL_TRACES_SAMPLER", "jaeger_remote", get_sampler, 100, 1 },
        { "OTEL_TRACES_SAMPLER", "xray", get_sampler, 100, 1 },
        { "OTEL_TRACES_EXPORTER", "", get_traces, OTLP, 0 },
        { "OTEL_TRACES_EXPORTER", "none", get_traces, 0, 0 },
        { "OTEL_TRACES_EXPORTER", "Console", get_traces, CON, 0 },
        { "OTEL_TRACES_EXPORTER", "otlp,console", get_traces, OTLP | CON, 0 },
        { "OTEL_TRACES_EXPORTER", "otlp/stdout", get_traces, VMAFX_EXPORT_TO_OTLP_STDOUT, 0 },
        { "OTEL_TRACES_EXPORTER", "zipkin", get_traces, OTLP, 1 },
        { "OTEL_TRACES_EXPORTER", "prometheus", get_traces, OTLP, 1 },
        { "OTEL_TRACES_EXPORTER", "logging", get_traces, OTLP, 1 },
        { "OTEL_METRICS_EXPORTER", "", get_metrics, OTLP, 0 },
        { "OTEL_METRICS_EXPORTER", "otlp, prometheus", get_metrics, OTLP | PROM, 0 },
        { "OTEL_METRICS_EXPORTER", "none", get_metrics, 0, 0 },
        { "OTEL_METRICS_EXPORTER", "statsd,prometheus", get_metrics, PROM, 1 },
        { "OTEL_LOGS_EXPORTER", "", get_logs, OTLP, 0 },
        { "OTEL_LOGS_EXPORTER", "none", get_logs, 0, 0 },
        { "OTEL_LOGS_EXPORTER", "console", get_logs, CON, 0 },
        { "OTEL_LOGS_EXPORTER", "files", get_logs, OTLP, 1 },
        { "OTEL_METRICS_EXEMPLAR_FILTER", "", get_exemplars, VMAFX_EXEMPLARS_TRACE_BASED, 0 },
        { "OTEL_METRICS_EXEMPLAR_FILTER", "always_on", get_exemplars, VMAFX_EXEMPLARS_ALWAYS_ON, 0 },
        { "OTEL_METRICS_EXEMPLAR_FILTER", "Always_Off", get_exemplars, VMAFX_EXEMPLARS_ALWAYS_OFF, 0 },
        { "OTEL_METRICS_EXEMPLAR_FILTER", "sometimes", get_exemplars, VMAFX_EXEMPLARS_TRACE_BASED, 1 },
        { "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "", get_temporality, 0, 0 },
        { "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "Delta", get_temporality, VMAFX_TEMPORALITY_DELTA, 0 },
        { "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "lowmemory", get_temporality,
          VMAFX_TEMPORALITY_LOWMEMORY, 0 },
        { "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "x", get_temporality, 0, 1 },
        { "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", "", get_exponential, 0, 0 },
        { "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", "base2_exponential_bucket_histogram",
          get_exponential, 1, 0 },
        { "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", "explicit_bucket_histogram", get_exponential, 0,
          0 },
        { "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", "summary", get_exponential, 0, 1 },
        { "OTEL_EXPORTER_OTLP_PROTOCOL", "", get_protocol, VMAFX_OTLP_GRPC, 0 },
        { "OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf", get_protocol, VMAFX_OTLP_HTTP, 0 },
        { "OTEL_EXPORTER_OTLP_PROTOCOL", "HTTP/JSON", get_protocol_logs, VMAFX_OTLP_HTTP_JSON, 0 },
        { "OTEL_EXPORTER_OTLP_PROTOCOL", "thrift", get_protocol, VMAFX_OTLP_GRPC, 1 },
        { "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json", get_protocol, VMAFX_OTLP_HTTP_JSON, 0 },
        { "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json", get_protocol_metrics, VMAFX_OTLP_GRPC, 0 },
        { "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "http/json", get_protocol_metrics, VMAFX_OTLP_HTTP_JSON, 0 },
        { "OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "http/json", get_protocol_logs, VMAFX_OTLP_HTTP_JSON, 0 },
        { "OTEL_EXPORTER_OTLP_COMPRESSION", "", get_gzip, 0, 0 },
        { "OTEL_EXPORTER_OTLP_COMPRESSION", "none", get_gzip, 0, 0 },
        { "OTEL_EXPORTER_OTLP_COMPRESSION", "GZIP", get_gzip_logs, 1, 0 },
        { "OTEL_EXPORTER_OTLP_COMPRESSION", "zstd", get_gzip, 0, 1 },
        { "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "gzip", get_gzip, 1, 0 },
        { "OTEL_EXPORTER_OTLP_METRICS_COMPRESSION", "gzip", get_gzip_metrics, 1, 0 },
        { "OTEL_EXPORTER_OTLP_METRICS_COMPRESSION", "gzip", get_gzip, 0, 0 },
        { "OTEL_EXPORTER_OTLP_LOGS_COMPRESSION", "gzip", get_gzip_logs, 1, 0 },
    };
    Read r;

    (void)state;
    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        read_one(&r, cases[i].name, cases[i].text);
        if (cases[i].get(&r.s) != cases[i].want || r.w.n != cases[i].warnings)
            fail_msg("%s=%s gave %d and %zu warnings", cases[i].name, cases[i].text, cases[i].get(&r.s), r.w.n);
        if (cases[i].warnings)
            assert_non_null(strstr(r.w.text[0], cases[i].name));
        done(&r);
    }
}

static void junk_of_a_signal_leaves_the_general_value_in_force(void **state)
{
    Read r;

    (void)state;
    READ(&r, "OTEL_EXPORTER_OTLP_PROTOCOL=http/json", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL=carrier-pigeon",
         "OTEL_EXPORTER_OTLP_TIMEOUT=5", "OTEL_EXPORTER_OTLP_LOGS_TIMEOUT=-5", "OTEL_EXPORTER_OTLP_METRICS_TIMEOUT=6");
    assert_int_equal(r.s.otlp[0].protocol, VMAFX_OTLP_HTTP_JSON);
    assert_int_equal(r.s.otlp[1].timeout_ms, 6);
    assert_int_equal(r.s.otlp[2].timeout_ms, 5);
    assert_int_equal(r.w.n, 2);
    done(&r);
}

/* ---- Sampler argument ---- */

static void a_sampling_ratio_is_a_number_from_0_to_1(void **state)
{
    static const struct {
        const char *text;
        double want;
        size_t warnings;
    } cases[] = {
        { "", 1, 0 },       { "0", 0, 0 },    { "1", 1, 0 },     { "0.25", 0.25, 0 }, { "1e-3", 1e-3, 0 },
        { "1.0001", 1, 1 }, { "-0.1", 1, 1 }, { "nan", 1, 1 },   { "inf", 1, 1 },     { "0x1p-1", 1, 1 },
        { "half", 1, 1 },   { "0,5", 1, 1 },  { "0.5.5", 1, 1 }, { ".", 1, 1 },       { "50%", 1, 1 },
    };
    char arg[64];
    Read r;

    (void)state;
    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        snprintf(arg, sizeof arg, "OTEL_TRACES_SAMPLER_ARG=%s", cases[i].text);
        READ(&r, "OTEL_TRACES_SAMPLER=traceidratio", arg);
        if (r.s.sampler_ratio < cases[i].want || r.s.sampler_ratio > cases[i].want || r.w.n != cases[i].warnings)
            fail_msg("%s gave %g", arg, r.s.sampler_ratio);
        done(&r);
    }
    READ(&r, "OTEL_TRACES_SAMPLER_ARG=junk"); /* not looked at without a sampler */
    assert_int_equal(r.w.n, 0);
    done(&r);
    READ(&r, "OTEL_TRACES_SAMPLER=always_on", "OTEL_TRACES_SAMPLER_ARG=0.5");
    assert_true(r.s.sampler_ratio >= 1);
    done(&r);
}

/* ---- Texts ---- */

static void texts_are_kept_without_blanks_around_them_and_empty_is_unset(void **state)
{
    Read r;

    (void)state;
    READ(&r, "OTEL_SERVICE_NAME= my service ", "OTEL_EXPORTER_PROMETHEUS_HOST=::", "OTEL_SERVICE_NAME=second");
    assert_string_equal(r.s.service_name, "my service");
    assert_string_equal(r.s.prometheus_host, "::");
    done(&r);
    READ(&r, "OTEL_SERVICE_NAME=", "OTEL_EXPORTER_PROMETHEUS_HOST=");
    assert_null(r.s.service_name);
    assert_string_equal(r.s.prometheus_host, "localhost");
    done(&r);
    READ(&r, "OTEL_CONFIG_FILE=/etc/otel.yaml", "OTEL_SERVICE_NAME=kept");
    assert_int_equal(r.w.n, 1);
    assert_string_equal(r.s.service_name, "kept");
    done(&r);
    READ(&r, "OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS=GET, get,,PURGE");
    assert_int_equal(r.s.n_http_known_methods, 3);
    assert_string_equal(r.s.http_known_methods[1], "get");
    assert_string_equal(r.s.http_known_methods[2], "PURGE");
    done(&r);
}

static void certificates_are_read_for_each_signal_and_a_key_needs_its_certificate(void **state)
{
    Read r;

    (void)state;
    READ(&r, "OTEL_EXPORTER_OTLP_CERTIFICATE=/ca", "OTEL_EXPORTER_OTLP_LOGS_CERTIFICATE=/logs-ca",
         "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE=/crt", "OTEL_EXPORTER_OTLP_CLIENT_KEY=/key",
         "OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY=/traces-key");
    assert_string_equal(r.s.otlp[0].certificate, "/ca");
    assert_string_equal(r.s.otlp[2].certificate, "/logs-ca");
    assert_string_equal(r.s.otlp[0].client_key, "/traces-key");
    assert_string_equal(r.s.otlp[1].client_key, "/key");
    assert_string_equal(r.s.otlp[1].client_certificate, "/crt");
    assert_int_equal(r.w.n, 0);
    done(&r);
    READ(&r, "OTEL_EXPORTER_OTLP_METRICS_CLIENT_KEY=/key");
    assert_null(r.s.otlp[1].client_key);
    assert_int_equal(r.w.n, 1);
    done(&r);
}

static void endpoints_are_urls_and_a_bare_host_gets_a_scheme(void **state)
{
    static const struct {
        const char *why, *text, *extra, *want;
        size_t warnings;
    } cases[] = {
        { "the default", "", "", "http://localhost:4317", 0 },
        { "a URL", "https://collector:4317", "", "https://collector:4317", 0 },
        { "a path", "http://h:4318/x/", "", "http://h:4318/x/", 0 },
        { "IPv6", "http://[::1]:4317", "", "http://[::1]:4317", 0 },
        { "the scheme in upper case", "HTTP://h", "", "HTTP://h", 0 },
        { "a socket", "unix:/run/otel.sock", "", "unix:/run/otel.sock", 0 },
        { "host and port", "collector:4317", "", "http://collector:4317", 1 },
        { "a host alone", "collector", "", "http://collector:4317", 1 },
        { "IPv6 without scheme", "[::1]:4317", "", "http://[::1]:4317", 1 },
        { "secure was asked for", "c:1", "OTEL_EXPORTER_OTLP_INSECURE=false", "https://c:1", 1 },
        { "insecure was asked for", "c:1", "OTEL_EXPORTER_OTLP_INSECURE=true", "http://c:1", 1 },
        { "the scheme beats INSECURE", "http://c:1", "OTEL_EXPORTER_OTLP_INSECURE=false", "http://c:1", 0 },
        { "http has its own default", "", "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf", "http://localhost:4318", 0 },
        { "another scheme", "ftp://h", "", "http://localhost:4317", 1 },
        { "blanks inside", "http://a b", "", "http://localhost:4317", 1 },
        { "no host", "http://", "", "http://localhost:4317", 1 },
        { "a word for a port", "http://h:port", "", "http://localhost:4317", 1 },
        { "an open bracket", "http://[::1", "", "http://localhost:4317", 1 },
        { "unix and nothing", "unix:", "", "http://localhost:4317", 1 },
        { "a colon alone", ":", "", "http://localhost:4317", 1 },
    };
    char text[128];
    Read r;

    (void)state;
    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        snprintf(text, sizeof text, "OTEL_EXPORTER_OTLP_ENDPOINT=%s", cases[i].text);
        READ(&r, text, (char *)cases[i].extra);
        for (int k = 0; k < 3; k++)
            if (strcmp(r.s.otlp[k].endpoint, cases[i].want) != 0 || r.w.n != cases[i].warnings)
                fail_msg("%s: %s, %zu warnings", cases[i].why, r.s.otlp[k].endpoint, r.w.n);
        done(&r);
    }
    READ(&r, "OTEL_EXPORTER_OTLP_ENDPOINT=http://g:1", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=http://m:2",
         "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT=junk://x");
    assert_string_equal(r.s.otlp[1].endpoint, "http://m:2");
    assert_int_equal(r.s.otlp[0].endpoint_from, VMAFX_FROM_GENERAL);
    assert_int_equal(r.s.otlp[1].endpoint_from, VMAFX_FROM_SIGNAL);
    assert_string_equal(r.s.otlp[2].endpoint, "http://g:1"); /* never silently the default */
    assert_int_equal(r.w.n, 1);
    done(&r);
}

/* ---- Lists ---- */

static void key_value_lists_are_decoded_or_discarded_as_a_whole(void **state)
{
    static const struct {
        const char *why, *text, *want; /* NULL: refused */
    } cases[] = {
        { "two members", "a=1,b=2", "a:1;b:2;" },
        { "blanks around", " a = 1 ,\tb = 2 ", "a:1;b:2;" },
        { "escapes in key and value", "a%2Cb=c%3dd%25", "a,b:c=d%;" },
        { "an escaped blank is no blank around", "a=%20x%20", "a: x ;" },
        { "an empty value", "a=", "a:;" },
        { "a second '=' belongs to the value", "a=b=c==", "a:b=c==;" },
        { "the last of equal keys wins", "a=1,b=2,a=3", "a:3;b:2;" },
        { "UTF-8", "a=\xc3\xa4", "a:\xc3\xa4;" },
        { "a semicolon is part of the value", "a=b;c=d", "a:b;c=d;" },
        { "no '='", "a=1,b", NULL },
        { "an empty key", "a=1,=2", NULL },
        { "a blank key", "a=1, =2", NULL },
        { "an empty member", "a=1,,b=2", NULL },
        { "a comma at the end", "a=1,", NULL },
        { "an escape without digits", "a=1,b=%zz", NULL },
        { "an escape with one digit", "a=%2", NULL },
        { "a percent sign at the end", "a=%", NULL },
        { "a zero byte", "a=%00", NULL },
        { "a bad escape in a key", "%g1=1", NULL },
    };
    Read r;

    (void)state;
    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        char got[128] = "";

        read_one(&r, "OTEL_RESOURCE_ATTRIBUTES", cases[i].text);
        for (size_t k = 0; k < r.s.resource_attributes.n; k++) {
            size_t len = strlen(got);

            snprintf(got + len, sizeof got - len, "%s:%s;", r.s.resource_attributes.items[k].key,
                     r.s.resource_attributes.items[k].value);
        }
        if (strcmp(got, cases[i].want ? cases[i].want : "") != 0 || r.w.n != !cases[i].want)
            fail_msg("%s: '%s', %zu warnings", cases[i].why, got, r.w.n);
        done(&r);
    }
}

static void headers_are_lower_case_safe_and_secret(void **state)
{
    Read r;

    (void)state;
    READ(&r, "OTEL_EXPORTER_OTLP_HEADERS=Authorization=Basic%20dTpw==,X-Tenant=a",
         "OTEL_EXPORTER_OTLP_LOGS_HEADERS=k=v,K=w");
    assert_int_equal(r.s.otlp[0].headers.n, 2);
    assert_string_equal(r.s.otlp[0].headers.items[0].key, "authorization");
    assert_string_equal(r.s.otlp[0].headers.items[0].value, "Basic dTpw==");
    assert_int_equal(r.s.otlp[2].headers.n, 1); /* the signal's list replaces the general one */
    assert_string_equal(r.s.otlp[2].headers.items[0].value, "w");
    assert_int_equal(r.w.n, 0);
    done(&r);
    static const char *const bad[] = { "a=sesame%0d%0aevil: 1", "a b=sesame", "a=sesame,b", "a%3a=sesame" };
    for (size_t i = 0; i < VMAFX_LEN(bad); i++) {
        read_one(&r, "OTEL_EXPORTER_OTLP_HEADERS", bad[i]);
        assert_int_equal(r.s.otlp[0].headers.n, 0);
        assert_int_equal(r.w.n, 1);
        assert_null(strstr(r.w.text[0], "sesame"));
        done(&r);
    }
}

static void a_list_of_more_than_1024_members_is_discarded(void **state)
{
    Read r;

    (void)state;
    for (size_t n = VMAFX_OTEL_PAIRS_MAX; n <= VMAFX_OTEL_PAIRS_MAX + 1; n++) {
        VMAFX_AUTO(vmafx_free_p) char *text = NULL;
        size_t len;
        FILE *f = open_memstream(&text, &len);

        fprintf(f, "OTEL_RESOURCE_ATTRIBUTES=k=0");
        for (size_t i = 1; i < n; i++)
            fprintf(f, ",k%zu=v", i);
        fclose(f);
        READ(&r, text);
        assert_int_equal(r.s.resource_attributes.n, n > VMAFX_OTEL_PAIRS_MAX ? 0 : n);
        done(&r);
    }
}

/* ---- Warnings and the whole ---- */

static void warnings_are_bounded_printable_and_counted_beyond(void **state)
{
    VmafxOtelWarnings w = { 0 };

    (void)state;
    for (int i = 0; i < VMAFX_OTEL_WARNINGS_MAX + 5; i++)
        vmafx_otel_warn(&w, "number %d", i);
    assert_int_equal(w.n, VMAFX_OTEL_WARNINGS_MAX);
    assert_int_equal(w.dropped, 5);
    vmafx_otel_warn(NULL, "nobody listens");

    Read r;
    read_one(&r, "OTEL_LOG_LEVEL", "\033[31mred\nline");
    assert_null(strpbrk(r.w.text[0], "\033\n"));
    done(&r);
}

static void no_environment_at_all_gives_the_defaults(void **state)
{
    VmafxOtelSettings s;

    (void)state;
    vmafx_otel_settings_init(&s, NULL, NULL);
    assert_false(s.disabled);
    assert_int_equal(s.span_batch.queue_size, 2048);
    assert_int_equal(s.otlp[0].endpoint_from, VMAFX_FROM_DEFAULT);
    assert_int_equal(s.resource_attributes.n, 0);
    vmafx_otel_settings_done(&s);
    vmafx_otel_settings_done(&s);
    vmafx_otel_settings_done(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_integer_is_read_within_its_borders_and_keeps_its_default_otherwise),
        cmocka_unit_test(a_port_beyond_65535_is_junk),
        cmocka_unit_test(a_batch_larger_than_its_queue_is_clamped_with_a_warning),
        cmocka_unit_test(limits_of_a_model_win_over_the_general_ones_which_win_over_defaults),
        cmocka_unit_test(only_the_word_true_is_true),
        cmocka_unit_test(words_of_closed_sets_are_read_in_any_case_and_unknown_ones_are_quoted),
        cmocka_unit_test(junk_of_a_signal_leaves_the_general_value_in_force),
        cmocka_unit_test(a_sampling_ratio_is_a_number_from_0_to_1),
        cmocka_unit_test(texts_are_kept_without_blanks_around_them_and_empty_is_unset),
        cmocka_unit_test(certificates_are_read_for_each_signal_and_a_key_needs_its_certificate),
        cmocka_unit_test(endpoints_are_urls_and_a_bare_host_gets_a_scheme),
        cmocka_unit_test(key_value_lists_are_decoded_or_discarded_as_a_whole),
        cmocka_unit_test(headers_are_lower_case_safe_and_secret),
        cmocka_unit_test(a_list_of_more_than_1024_members_is_discarded),
        cmocka_unit_test(warnings_are_bounded_printable_and_counted_beyond),
        cmocka_unit_test(no_environment_at_all_gives_the_defaults),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

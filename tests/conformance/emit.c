/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Emits one known set of telemetry through the SDK, as any program would: expected.py says what must arrive. Where to
 * and how comes from the OTEL_… variables. `emit` sends everything, `emit limits` one span and one record with five of
 * everything, for limits to cut. Exit status: 0, or 1 when not everything was delivered.
 *
 * Metrics are measured in two rounds with a collection in between, for which it waits: that takes an
 * OTEL_METRIC_EXPORT_INTERVAL of a fraction of a second.
 */

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/base.h"
#include "otel/api/context.h"
#include "otel/api/log.h"
#include "otel/api/metrics.h"
#include "otel/api/trace.h"
#include "otel/export/otel.h"

#define SECOND UINT64_C(1000000000)
#define START  (UINT64_C(1700000000) * SECOND)
#define TRACEID                                                                                                        \
    {                                                                                                                  \
        0x0a, 0xf7, 0x65, 0x19, 0x16, 0xcd, 0x43, 0xdd, 0x84, 0x48, 0xeb, 0x21, 0x1c, 0x80, 0x31, 0x9c                 \
    }

static const VmafxValue numbers[] = { { .type = VMAFX_VALUE_INT, .i = INT64_MIN },
                                      { .type = VMAFX_VALUE_INT, .i = 0 },
                                      { .type = VMAFX_VALUE_INT, .i = INT64_MAX } };
static const VmafxAttr inner[] = { { "deep", { .type = VMAFX_VALUE_ARRAY, .array = { numbers, 3 } } },
                                   { "text", { .type = VMAFX_VALUE_STR, .str = { "grüße ☃", 11 } } } };
static const VmafxAttr all_types[] = {
    { "str", { .type = VMAFX_VALUE_STR, .str = { "a \"quoted\"\n\\line", 16 } } },
    { "str.empty", { .type = VMAFX_VALUE_STR, .str = { "", 0 } } },
    { "bool.true", { .type = VMAFX_VALUE_BOOL, .b = true } },
    { "bool.false", { .type = VMAFX_VALUE_BOOL, .b = false } },
    { "int.min", { .type = VMAFX_VALUE_INT, .i = INT64_MIN } },
    { "int.zero", { .type = VMAFX_VALUE_INT, .i = 0 } },
    { "double", { .type = VMAFX_VALUE_DOUBLE, .d = -1.0 / 3.0 } },
    { "double.zero", { .type = VMAFX_VALUE_DOUBLE, .d = 0.0 } },
    { "bytes", { .type = VMAFX_VALUE_BYTES, .str = { "\x00\xff\x7f\x80", 4 } } },
    { "array", { .type = VMAFX_VALUE_ARRAY, .array = { numbers, 3 } } },
    { "array.empty", { .type = VMAFX_VALUE_ARRAY, .array = { NULL, 0 } } },
    { "map", { .type = VMAFX_VALUE_MAP, .map = { inner, 2 } } },
    { "empty", { .type = VMAFX_VALUE_EMPTY } },
};
static const VmafxAttrs everything = { all_types, sizeof all_types / sizeof *all_types };

/* gRPC and OpenSSL are not built for the race detector, which sees races in them that are none. */
const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void)
{
    return "race:libgrpc.so\nrace:libgpr.so\nrace:libabsl_\nmutex:libabsl_\nmutex:libgrpc.so\n"
           "deadlock:libgrpc.so\ndeadlock:libabsl_\nrace:libssl.so\nrace:libcrypto.so\n";
}

/* ---- Traces ---- */

static void record_full_span(VmafxTracer *tracer)
{
    VmafxTraceState *state = vmafx_tracestate_parse("vmafx=1,other=a:b", 17);
    VmafxTraceState *link_state = vmafx_tracestate_parse("linked=yes", 10);
    const VmafxSpanEvent events[] = { { "first", START + 10, VMAFX_ATTRS(VMAFX_ATTR_INT("n", 1)) },
                                      { "second", START + 20, everything } };
    const VmafxSpanLink links[] = {
        { { .trace_id = { 0xaa, [15] = 0x01 },
            .span_id = { 0xbb, [7] = 0x02 },
            .flags = 3,
            .remote = true,
            .state = link_state },
          VMAFX_ATTRS(VMAFX_ATTR_STR("why", "remote")) },
        { { .trace_id = { 0xcc, [15] = 0x03 }, .span_id = { 0xdd, [7] = 0x04 } }, VMAFX_NO_ATTRS },
    };

    vmafx_span_record(tracer,
                      &(VmafxSpanRecord){ .context = { .trace_id = TRACEID,
                                                       .span_id = { 0x11, [7] = 0x18 },
                                                       .flags = VMAFX_TRACE_FLAG_SAMPLED | VMAFX_TRACE_FLAG_RANDOM,
                                                       .state = state },
                                          .parent_span_id = { 0x21, [7] = 0x28 },
                                          .parent_remote = true,
                                          .name = "full",
                                          .kind = VMAFX_SPAN_PRODUCER,
                                          .start_ns = START,
                                          .end_ns = START + 5 * SECOND + 7,
                                          .attrs = everything,
                                          .events = events,
                                          .n_events = 2,
                                          .links = links,
                                          .n_links = 2,
                                          .status = VMAFX_STATUS_ERROR,
                                          .status_description = "it broke" });
    vmafx_span_record(tracer, &(VmafxSpanRecord){ .context = { .trace_id = { 0x77, [15] = 0x01 },
                                                               .span_id = { 0x77, [7] = 0x02 },
                                                               .flags = VMAFX_TRACE_FLAG_SAMPLED },
                                                  .name = "bare",
                                                  .start_ns = START,
                                                  .end_ns = START,
                                                  .status = VMAFX_STATUS_OK });
    vmafx_tracestate_unref(&state);
    vmafx_tracestate_unref(&link_state);
}

static void live_spans(VmafxTracer *tracer, VmafxContext *remote)
{
    VmafxSpan *client = vmafx_span_start_with(
        tracer, "to be renamed",
        &(VmafxSpanOptions){ .kind = VMAFX_SPAN_CLIENT,
                             .parent = remote,
                             .start_ns = START + SECOND,
                             .attrs = VMAFX_ATTRS(VMAFX_ATTR_STR("at", "start"), VMAFX_ATTR_INT("n", 1)) });
    const VmafxSpanContext linked = { .trace_id = { 0xee, [15] = 0x05 }, .span_id = { 0xff, [7] = 0x06 }, .flags = 1 };

    vmafx_span_update_name(client, "client");
    vmafx_span_set_int(client, "n", 2);
    vmafx_span_set_attrs(client, everything);
    vmafx_span_add_event_at(client, "happened", VMAFX_ATTRS(VMAFX_ATTR_DOUBLE("d", 0.1)), START + SECOND + 1);
    vmafx_span_record_exception(client, "NOT_FOUND", "no such file", "here\nthere", VMAFX_NO_ATTRS);
    vmafx_span_add_link(client, &linked, VMAFX_ATTRS(VMAFX_ATTR_BOOL("late", true)));
    vmafx_span_set_status(client, VMAFX_STATUS_ERROR, "not found");

    VmafxContextToken token = vmafx_span_attach(client);
    VmafxSpan *server = vmafx_span_start_with(
        tracer, "server", &(VmafxSpanOptions){ .kind = VMAFX_SPAN_SERVER, .start_ns = START + 2 * SECOND });
    VmafxSpan *consumer = vmafx_span_start_with(
        tracer, "consumer", &(VmafxSpanOptions){ .kind = VMAFX_SPAN_CONSUMER, .start_ns = START + 2 * SECOND });
    vmafx_span_detach(&token);
    vmafx_span_end_at(server, START + 3 * SECOND);
    vmafx_span_end_at(consumer, START + 3 * SECOND + 1);
    vmafx_span_end_at(client, START + 4 * SECOND);
    vmafx_span_end(&server);
    vmafx_span_end(&consumer);
    vmafx_span_end(&client);
}

/* ---- Logs ---- */

static void logs(VmafxContext *remote)
{
    static const VmafxAttr scope[] = { { "scope.kind", { .type = VMAFX_VALUE_STR, .str = { "log", 3 } } } };
    VmafxLogger *logger =
        vmafx_logger_new("conformance.log", "3.0", "https://schema.example/log", (VmafxAttrs){ scope, 1 });

    vmafx_logger_emit(logger, &(VmafxLogRecord){ .time_ns = START + 1,
                                                 .observed_ns = START + 2,
                                                 .severity = VMAFX_CRITICAL,
                                                 .severity_text = "crit",
                                                 .event_name = "conformance.event",
                                                 .body = { .type = VMAFX_VALUE_MAP, .map = { inner, 2 } },
                                                 .attrs = everything,
                                                 .context = remote,
                                                 .exception_type = "LIMIT",
                                                 .exception_message = "too much" });
    vmafx_logger_emit(logger, &(VmafxLogRecord){ .observed_ns = START + 3 });

    VmafxContextToken token = vmafx_context_attach(remote);
    vmafx_log(logger, VMAFX_WARN, "a message", VMAFX_ATTR_INT("log.attempt", 3));
    vmafx_context_detach(token);
    vmafx_logger_free(&logger);
}

/* ---- Metrics ---- */

typedef struct Collections {
    pthread_mutex_t lock;
    pthread_cond_t one_more;
    unsigned n;
} Collections;

static Collections collections = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0 };

static void observe_nine(VmafxObserver *observer, VmafxObservable *self, void *state)
{
    vmafx_observe_int(observer, self, 9, VMAFX_ATTRS(VMAFX_ATTR_STR("device", "gpu")));
}

static void observe_fraction(VmafxObserver *observer, VmafxObservable *self, void *state)
{
    vmafx_observe_double(observer, self, -0.5, VMAFX_NO_ATTRS);
}

static void observe_quarter(VmafxObserver *observer, VmafxObservable *self, void *state)
{
    vmafx_observe_double(observer, self, 0.25, VMAFX_NO_ATTRS);
}

static void observe_collections(VmafxObserver *observer, VmafxObservable *self, void *state)
{
    pthread_mutex_lock(&collections.lock);
    collections.n++;
    pthread_cond_broadcast(&collections.one_more);
    pthread_mutex_unlock(&collections.lock);
    vmafx_observe_int(observer, self, -9, VMAFX_NO_ATTRS);
}

/* Two beginnings: the collection between them began after this call and is over. */
static void wait_for_collection(void)
{
    pthread_mutex_lock(&collections.lock);
    for (unsigned until = collections.n + 2; collections.n < until;)
        pthread_cond_wait(&collections.one_more, &collections.lock);
    pthread_mutex_unlock(&collections.lock);
}

static void metrics(VmafxContext *remote)
{
    VmafxMeter *meter = vmafx_meter_get("conformance.metrics", "2.0", "https://schema.example/metrics",
                                        VMAFX_ATTRS(VMAFX_ATTR_INT("scope.number", 1)));
    VmafxCounter *counter = vmafx_counter(meter, "c.int", "{frame}", "frames, counted");
    VmafxCounterDouble *counter_double = vmafx_counter_double(meter, "c.double", "s", "");
    VmafxUpDownCounter *up_down = vmafx_up_down_counter(meter, "u.int", "", "");
    VmafxUpDownCounterDouble *up_down_double = vmafx_up_down_counter_double(meter, "u.double", "By", "");
    VmafxGauge *gauge = vmafx_gauge(meter, "g.int", "", "");
    VmafxGaugeDouble *gauge_double = vmafx_gauge_double(meter, "g.double", "", "");
    VmafxHistogram *histogram = vmafx_histogram(meter, "h.default", "ms", "");
    VmafxHistogram *bounded =
        vmafx_histogram_bounds(meter, "h.bounds", "s", "with advice", (const double[]){ 0.1, 1, 10 }, 3);
    VmafxHistogramInt *histogram_int = vmafx_histogram_int(meter, "h.int", "", "");
    VmafxBound *bound = vmafx_counter_bind(counter, VMAFX_ATTRS(VMAFX_ATTR_STR("device", "gpu")));

    vmafx_observable_counter(meter, "oc.int", "", "", observe_nine, NULL);
    vmafx_observable_counter_double(meter, "oc.double", "", "", observe_quarter, NULL);
    vmafx_observable_up_down_counter(meter, "ou.int", "", "", observe_collections, NULL);
    vmafx_observable_up_down_counter_double(meter, "ou.double", "", "", observe_fraction, NULL);
    vmafx_observable_gauge(meter, "og.int", "{thing}", "", observe_nine, NULL);
    vmafx_observable_gauge_double(meter, "og.double", "", "", observe_fraction, NULL);
    for (int round = 0; round < 2; round++) {
        VmafxContextToken token = vmafx_context_attach(remote); /* exemplars come of it */
        vmafx_counter_add_with(counter, 5, everything, NULL);
        vmafx_counter_double_add(counter_double, 0.25);
        vmafx_histogram_record_with(bounded, 0.5, VMAFX_ATTRS(VMAFX_ATTR_BOOL("ok", true)), NULL);
        vmafx_context_detach(token);
        vmafx_histogram_record_with(bounded, 1, VMAFX_ATTRS(VMAFX_ATTR_BOOL("ok", true)), NULL);
        vmafx_histogram_record_with(bounded, 100, VMAFX_ATTRS(VMAFX_ATTR_BOOL("ok", true)), NULL);
        vmafx_bound_int(bound, 7);
        vmafx_up_down_counter_add(up_down, round ? -4 : 1);
        vmafx_up_down_counter_double_add(up_down_double, -1.5);
        vmafx_gauge_record(gauge, round ? INT64_MAX : INT64_MIN);
        vmafx_gauge_double_record(gauge_double, round ? 1e308 : -1e-308);
        vmafx_histogram_record(histogram, 0);
        vmafx_histogram_record(histogram, 30);
        vmafx_histogram_record(histogram, 20000);
        vmafx_histogram_int_record(histogram_int, 3);
        if (!round && vmafx_counter_enabled(counter))
            wait_for_collection();
    }
}

/* ---- Limits ---- */

static void over_the_limits(VmafxTracer *tracer)
{
    static const char *const names[] = { "a", "b", "c", "d", "e" };
    const VmafxAttr five[] = { VMAFX_ATTR_STR("a", "äöüß"), VMAFX_ATTR_INT("b", 1), VMAFX_ATTR_INT("c", 2),
                               VMAFX_ATTR_INT("d", 3), VMAFX_ATTR_INT("e", 4) };
    VmafxSpan *span = vmafx_span_start_with(
        tracer, "limits", &(VmafxSpanOptions){ .root = true, .start_ns = START, .attrs = { five, 5 } });
    VmafxLogger *logger = vmafx_logger_new("conformance.log", NULL, NULL, VMAFX_NO_ATTRS);

    for (uint8_t i = 0; i < 5; i++) {
        const VmafxSpanContext context = { .trace_id = { [15] = i + 1 }, .span_id = { [7] = i + 1 } };
        vmafx_span_add_event_at(span, names[i], (VmafxAttrs){ five, 5 }, START + i);
        vmafx_span_add_link(span, &context, (VmafxAttrs){ five, 5 });
    }
    vmafx_span_end(&span);
    vmafx_logger_emit(logger, &(VmafxLogRecord){ .observed_ns = START, .attrs = { five, 5 } });
    vmafx_logger_free(&logger);
}

static bool limits_asked(int argc, char **argv)
{
    return argc == 2 && strcmp(argv[1], "limits") == 0;
}

int main(int argc, char **argv)
{
    static const VmafxSpanContext parent = {
        .trace_id = TRACEID, .span_id = { 0x31, [7] = 0x38 }, .flags = VMAFX_TRACE_FLAG_SAMPLED, .remote = true
    };

    if (argc != 1 && !limits_asked(argc, argv)) {
        fprintf(stderr, "usage: emit [limits]\n");
        return 2;
    }
    VmafxOtel *otel = vmafx_otel_start(&(VmafxOtelStart){ .service = "emit", .version = "9.8.7" });
    VmafxTracer *tracer = vmafx_tracer_get("conformance.trace", "1.0");
    VmafxContext *remote = vmafx_context_with_span(NULL, &parent);

    if (limits_asked(argc, argv)) {
        over_the_limits(tracer);
    } else {
        record_full_span(tracer);
        live_spans(tracer, remote);
        logs(remote);
        metrics(remote);
    }
    vmafx_context_unref(&remote);
    return vmafx_otel_stop(&otel, 20000) == VMAFX_EXPORT_OK ? 0 : 1;
}

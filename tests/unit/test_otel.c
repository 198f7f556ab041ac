/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Starting and stopping telemetry from an environment. */

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base.h"
#include "otel/api/log.h"
#include "otel/api/metrics.h"
#include "otel/export/otel.h"

/* gRPC's library is not built for the race detector, which sees races in it that are none. */
#ifndef __has_feature
#define __has_feature(x) 0
#endif
#if defined(__SANITIZE_THREAD__) || __has_feature(thread_sanitizer)
#define PROTOCOL "http/protobuf"
#else
#define PROTOCOL "grpc"
#endif

typedef struct Said {
    int n;
    char last[512];
} Said;

static pthread_mutex_t hearing = PTHREAD_MUTEX_INITIALIZER;

static void hear(void *ctx, int severity, const char *message)
{
    Said *said = ctx;

    (void)severity;
    pthread_mutex_lock(&hearing);
    said->n++;
    if (!said->last[0])
        snprintf(said->last, sizeof said->last, "%s", message);
    pthread_mutex_unlock(&hearing);
}

static VmafxOtel *start(char *const *environment, bool only_when_asked, Said *said)
{
    return vmafx_otel_start(&(VmafxOtelStart){ .service = "test",
                                               .version = "1",
                                               .environment = environment,
                                               .only_when_asked = only_when_asked,
                                               .on_error = hear,
                                               .on_error_ctx = said });
}

/* Whatever the state of telemetry, instrumented code runs. */
static void instrumented_code(void)
{
    VMAFX_AUTO(vmafx_span_end) VmafxSpan *span = vmafx_span_start(vmafx_tracer_get("test", "1"), "work");
    VmafxMeter *meter = vmafx_meter_get("test", "1", "", VMAFX_NO_ATTRS);

    vmafx_span_set_int(span, "n", 1);
    vmafx_counter_add(vmafx_counter(meter, "test.count", "{thing}", "things counted"), 1);
}

static void nothing_is_exported_where_nobody_asked(void **state)
{
    char *environments[][2] = { { NULL }, { (char *)"OTEL_SDK_DISABLED=true" }, { (char *)"OTEL_SERVICE_NAME=x" } };

    (void)state;
    for (size_t i = 0; i < VMAFX_LEN(environments); i++) {
        Said said = { 0 };
        assert_null(start(environments[i], true, &said));
        instrumented_code();
    }
}

static void disabled_is_disabled_for_daemons_too(void **state)
{
    char *environment[] = { (char *)"OTEL_SDK_DISABLED=true", NULL };
    Said said = { 0 };

    (void)state;
    assert_null(start(environment, false, &said));
    assert_int_equal(said.n, 0);
}

static void every_signal_can_be_none(void **state)
{
    char *environment[] = { (char *)"OTEL_TRACES_EXPORTER=none", (char *)"OTEL_METRICS_EXPORTER=none",
                            (char *)"OTEL_LOGS_EXPORTER=none", NULL };
    Said said = { 0 };

    (void)state;
    assert_null(start(environment, false, &said));
}

static void a_bad_setting_is_told_and_the_rest_works(void **state)
{
    char *environment[] = { (char *)"OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1",
                            (char *)"OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf", (char *)"OTEL_BSP_MAX_QUEUE_SIZE=many",
                            (char *)"OTEL_LOGS_EXPORTER=none", NULL };
    Said said = { 0 };
    VmafxOtel *otel = start(environment, true, &said);

    (void)state;
    assert_non_null(otel);
    assert_non_null(strstr(said.last, "OTEL_BSP_MAX_QUEUE_SIZE"));
    instrumented_code();
    (void)vmafx_otel_stop(&otel, 100);
    assert_null(otel);
    instrumented_code();
}

static void what_this_version_cannot_do_is_told(void **state)
{
    static const struct {
        const char *setting, *word;
    } cases[] = {
        { "OTEL_EXPORTER_OTLP_PROTOCOL=http/json", "JSON" },
        { "OTEL_METRICS_EXPORTER=otlp/stdout", "otlp/stdout" },
        { "OTEL_TRACES_EXPORTER=otlp/stdout,otlp", "otlp/stdout" },
        { "OTEL_CONFIG_FILE=/etc/otel.yaml", "OTEL_CONFIG_FILE" },
        { "OTEL_PROPAGATORS=b3,tracecontext", "b3" },
        { "OTEL_PROPAGATORS=tracecontext,b3multi", "b3multi" },
        { "OTEL_PROPAGATORS=jaeger", "jaeger" },
        { "OTEL_PROPAGATORS=xray", "xray" },
        { "OTEL_LOGS_EXPORTER=zipkin", "zipkin" },
        { "VMAFX_LOG_LEVEL=loud", "VMAFX_LOG_LEVEL" },
        { "VMAFX_LOG_FORMAT=xml", "VMAFX_LOG_FORMAT" },
    };

    (void)state;
    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        char *environment[] = { (char *)cases[i].setting,
                                (char *)"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://127.0.0.1:1",
                                (char *)"OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf", NULL };
        Said said = { 0 };
        VmafxOtel *otel = start(environment, true, &said);

        assert_non_null(otel);
        if (!strstr(said.last, cases[i].word))
            fail_msg("%s: '%s'", cases[i].setting, said.last);
        (void)vmafx_otel_stop(&otel, 50);
    }
}

static void an_endpoint_that_is_none_leaves_a_running_program(void **state)
{
    char *environment[] = { (char *)"OTEL_EXPORTER_OTLP_ENDPOINT=http://user:secret@127.0.0.1:1", NULL };
    Said said = { 0 };
    VmafxOtel *otel = start(environment, true, &said);

    (void)state;
    assert_true(said.n > 0);
    assert_null(strstr(said.last, "secret"));
    instrumented_code();
    (void)vmafx_otel_stop(&otel, 100);
}

static void telemetry_can_be_started_again(void **state)
{
    char *environment[] = { (char *)"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://127.0.0.1:1",
                            (char *)"OTEL_EXPORTER_OTLP_PROTOCOL=" PROTOCOL, NULL };

    (void)state;
    for (int i = 0; i < 3; i++) {
        Said said = { 0 };
        VmafxOtel *otel = start(environment, true, &said);
        assert_non_null(otel);
        instrumented_code();
        (void)vmafx_otel_stop(&otel, 50);
    }
}

/* ---- What it says of itself ---- */

/* Enough for every thread to end, so that what is left in memory is a leak. */
enum { SOON_MS = 500 };

static char *page_of(VmafxOtel *otel, const char *accept)
{
    const char *type;
    size_t len;
    char *page = vmafx_otel_prometheus_page(otel, accept, &len, &type);

    assert_non_null(type);
    assert_int_equal(len, page ? strlen(page) : 0);
    return page;
}

static void assert_on_page(const char *page, const char *line)
{
    if (!strstr(page, line))
        fail_msg("no %s in\n%s", line, page);
}

/* A collector that is not there and a queue of one: whatever is not queued or tried in vain is dropped. */
static void drops_are_counted_while_the_collector_is_absent(void **state)
{
    enum { N = 500 };
    char *environment[] = { (char *)"OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1",
                            (char *)"OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf",
                            (char *)"OTEL_BSP_MAX_QUEUE_SIZE=1",
                            (char *)"OTEL_BSP_MAX_EXPORT_BATCH_SIZE=1",
                            (char *)"OTEL_BLRP_MAX_QUEUE_SIZE=1",
                            (char *)"OTEL_BLRP_MAX_EXPORT_BATCH_SIZE=1",
                            (char *)"OTEL_METRICS_EXPORTER=prometheus",
                            NULL };
    Said said = { 0 };
    VmafxOtel *otel = start(environment, false, &said);
    VMAFX_AUTO(vmafx_logger_free) VmafxLogger *logger = vmafx_logger_new("test", "1", "", VMAFX_NO_ATTRS);
    VmafxOtelCounts counts;

    (void)state;
    assert_non_null(otel);
    for (int i = 0; i < N; i++) {
        instrumented_code();
        vmafx_log(logger, VMAFX_INFO, "line");
    }
    vmafx_otel_counts(otel, &counts);
    assert_int_equal(counts.spans.started, N);
    assert_int_equal(counts.logs.started, N);
    assert_int_equal(counts.spans.exported + counts.logs.exported, 0);
    /* one in the queue, and some that were tried in the meantime */
    assert_in_range(counts.spans.dropped, 1, N - 1);
    assert_in_range(counts.logs.dropped, 1, N - 1);
    assert_true(counts.spans.dropped + counts.spans.failed <= N);
    assert_true(counts.logs.dropped + counts.logs.failed <= N);

    VMAFX_AUTO(vmafx_free_p) char *page = page_of(otel, NULL);
    assert_non_null(page);
    char line[256];
    snprintf(line, sizeof line,
             "otel_sdk_span_started_total{otel_scope_name=\"vmafx.otel\",otel_scope_version=\"1\","
             "otel_span_parent_origin=\"none\",otel_span_sampling_result=\"RECORD_AND_SAMPLE\"} %d\n",
             N);
    assert_on_page(page, line);
    snprintf(line, sizeof line,
             "otel_sdk_processor_span_processed_total{error_type=\"queue_full\","
             "otel_component_name=\"batching_span_processor/0\",otel_component_type=\"batching_span_processor\","
             "otel_scope_name=\"vmafx.otel\",otel_scope_version=\"1\"} %llu\n",
             (unsigned long long)counts.spans.dropped);
    assert_on_page(page, line);
    snprintf(line, sizeof line,
             "otel_sdk_log_created_total{otel_scope_name=\"vmafx.otel\",otel_scope_version=\"1\"} %d\n", N);
    assert_on_page(page, line);
    assert_on_page(page, "otel_sdk_processor_log_queue_capacity{otel_component_name=\"batching_log_processor/0\","
                         "otel_component_type=\"batching_log_processor\",otel_scope_name=\"vmafx.otel\","
                         "otel_scope_version=\"1\"} 1\n");
    assert_on_page(page, "otel_sdk_exporter_span_exported_total{error_type=\"timeout\","
                         "otel_component_name=\"otlp_http_span_exporter/0\","
                         "otel_component_type=\"otlp_http_span_exporter\",otel_scope_name=\"vmafx.otel\","
                         "otel_scope_version=\"1\",server_address=\"127.0.0.1\",server_port=\"1\"}");
    assert_on_page(page, "otel_sdk_exporter_log_inflight{otel_component_name=\"otlp_http_log_exporter/0\"");
    assert_on_page(page, "# TYPE otel_sdk_span_live gauge\n");
    assert_null(strstr(page, "metric_data_point")); /* nobody exports any */
    (void)vmafx_otel_stop(&otel, SOON_MS);
}

/* With an exporter of each kind, indices and series of both are there, and points are counted by item. */
static void two_exporters_have_series_of_their_own(void **state)
{
    char *environment[] = {
        (char *)"OTEL_EXPORTER_OTLP_ENDPOINT=http://[::1]:1", (char *)"OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf",
        (char *)"OTEL_TRACES_EXPORTER=otlp,console",          (char *)"OTEL_LOGS_EXPORTER=none",
        (char *)"OTEL_METRICS_EXPORTER=otlp,prometheus",      NULL
    };
    Said said = { 0 };
    VmafxOtel *otel = start(environment, false, &said);

    (void)state;
    assert_non_null(otel);
    VMAFX_AUTO(vmafx_free_p) char *page = page_of(otel, "application/openmetrics-text;version=1.0.0");
    assert_non_null(page);
    assert_on_page(page, "otel_component_name=\"batching_span_processor/0\"");
    assert_on_page(page, "otel_component_name=\"batching_span_processor/1\"");
    assert_on_page(page, "otel_component_name=\"console_span_exporter/0\"");
    assert_on_page(page, "otel_component_name=\"otlp_http_span_exporter/0\"");
    assert_on_page(page, "server_address=\"::1\",server_port=\"1\"");
    assert_on_page(page, "otel_sdk_exporter_metric_data_point_exported_total{error_type=\"_OTHER\"");
    assert_on_page(page, "# EOF\n");
    assert_null(strstr(page, "otel_sdk_log"));
    (void)vmafx_otel_stop(&otel, SOON_MS);
}

static void without_prometheus_there_is_no_page(void **state)
{
    char *environment[] = { (char *)"OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1",
                            (char *)"OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf", NULL };
    Said said = { 0 };
    VmafxOtel *otel = start(environment, true, &said);
    VmafxOtelCounts counts;

    (void)state;
    assert_non_null(otel);
    assert_null(page_of(otel, NULL));
    assert_null(page_of(NULL, NULL));
    (void)vmafx_otel_stop(&otel, SOON_MS);
    vmafx_otel_counts(NULL, &counts);
    assert_int_equal(counts.spans.started + counts.logs.started + counts.points.started, 0);
}

static void a_page_is_asking_enough_for_a_command(void **state)
{
    char *environment[] = { (char *)"OTEL_METRICS_EXPORTER=prometheus", NULL };
    Said said = { 0 };
    VmafxOtel *otel = start(environment, true, &said);

    (void)state;
    assert_non_null(otel);
    instrumented_code();
    VMAFX_AUTO(vmafx_free_p) char *page = page_of(otel, NULL);
    assert_non_null(page);
    assert_on_page(page, "test_count_total{otel_scope_name=\"test\",otel_scope_version=\"1\"} 1\n");
    assert_on_page(page, "# TYPE target_info gauge\n");
    assert_int_equal(vmafx_otel_stop(&otel, 5000), VMAFX_EXPORT_OK);
    assert_int_equal(said.n, 0);
}

static void promtool_has_no_complaints(void **state)
{
    char *environment[] = { (char *)"OTEL_METRICS_EXPORTER=prometheus",
                            (char *)"OTEL_TRACES_EXPORTER=otlp",
                            (char *)"OTEL_LOGS_EXPORTER=otlp",
                            (char *)"OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1",
                            (char *)"OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf",
                            NULL };
    Said said = { 0 };
    VmafxOtel *otel;

    (void)state;
    if (system("command -v promtool >/dev/null 2>&1")) {
        print_message("the program promtool is missing; install prometheus\n");
        skip();
    }
    otel = start(environment, false, &said);
    instrumented_code();
    VMAFX_AUTO(vmafx_free_p) char *page = page_of(otel, NULL);
    (void)vmafx_otel_stop(&otel, SOON_MS);
    assert_non_null(page);
    FILE *promtool = popen("promtool check metrics", "w");
    assert_non_null(promtool);
    fputs(page, promtool);
    assert_int_equal(pclose(promtool), 0);
}

/* What the last collection tells includes how the spans' and logs' end went, and the program's own callbacks run in it.
 */
static void observe_seven(VmafxObserver *observer, VmafxObservable *self, void *state)
{
    vmafx_observe_int(observer, self, 7, VMAFX_NO_ATTRS);
    __atomic_fetch_add((int *)state, 1, __ATOMIC_RELAXED);
}

static void the_last_collection_runs_callbacks_and_none_runs_later(void **state)
{
    static int calls; /* a callback of a global meter is for the whole process */
    char *environment[] = { (char *)"OTEL_METRICS_EXPORTER=otlp",
                            (char *)"OTEL_TRACES_EXPORTER=none",
                            (char *)"OTEL_LOGS_EXPORTER=none",
                            (char *)"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=http://127.0.0.1:1",
                            (char *)"OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf",
                            NULL };
    Said said = { 0 };
    VmafxOtel *otel = start(environment, true, &said);

    (void)state;
    vmafx_observable_gauge(vmafx_meter_get("test", "1", "", VMAFX_NO_ATTRS), "test.seven", "", "always seven",
                           observe_seven, &calls);
    (void)vmafx_otel_stop(&otel, 2000);
    int after = __atomic_load_n(&calls, __ATOMIC_RELAXED);
    assert_int_equal(after, 1);

    VmafxOtel *again = start((char *[]){ (char *)"OTEL_METRICS_EXPORTER=prometheus", NULL }, true, &said);
    VMAFX_AUTO(vmafx_free_p) char *page = page_of(again, NULL);
    assert_on_page(page, "test_seven{otel_scope_name=\"test\",otel_scope_version=\"1\"} 7\n");
    (void)vmafx_otel_stop(&again, SOON_MS);
}

static const struct {
    const char *why, *traces, *metrics, *logs;
} mixtures[] = {
    { "only the page", "none", "prometheus", "none" },
    { "only traces: no metrics to publish through", "otlp", "none", "none" },
    { "only logs", "none", "none", "otlp" },
    { "only pushed metrics", "none", "otlp", "none" },
    { "two exporters each, and the page", "otlp,console", "otlp,console,prometheus", "otlp,console" },
    { "console", "console", "console", "console" },
};

/* Starts and stops each mixture, fresh and used. The name of one that goes wrong, or NULL. */
static const char *stop_mixtures(uint64_t within_ms)
{
    static Said said; /* a thread that could not be ended in time may still speak */

    for (size_t i = 0; i < 2 * VMAFX_LEN(mixtures); i++) {
        char text[3][64];
        char *environment[] = { text[0],
                                text[1],
                                text[2],
                                (char *)"OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1",
                                (char *)"OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf",
                                NULL };
        VmafxOtelCounts counts;

        snprintf(text[0], sizeof text[0], "OTEL_TRACES_EXPORTER=%s", mixtures[i / 2].traces);
        snprintf(text[1], sizeof text[1], "OTEL_METRICS_EXPORTER=%s", mixtures[i / 2].metrics);
        snprintf(text[2], sizeof text[2], "OTEL_LOGS_EXPORTER=%s", mixtures[i / 2].logs);
        VmafxOtel *otel = start(environment, false, &said);
        if (!otel)
            return mixtures[i / 2].why;
        if (i % 2) {
            instrumented_code();
            free(page_of(otel, NULL));
            vmafx_otel_counts(otel, &counts);
        }
        (void)vmafx_otel_stop(&otel, within_ms);
        if (otel || vmafx_otel_stop(&otel, within_ms) != VMAFX_EXPORT_OK)
            return mixtures[i / 2].why;
    }
    return NULL;
}

static void it_can_be_stopped_in_every_state(void **state)
{
    (void)state;
    assert_null(stop_mixtures(SOON_MS));
}

/* In a child, because threads that cannot end in no time are left alone, with what they need. */
static void it_can_be_stopped_in_no_time(void **state)
{
    int status;

    (void)state;
    pid_t child = fork();
    assert_true(child >= 0);
    if (!child)
        _exit(stop_mixtures(0) || stop_mixtures(1) ? 1 : 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void a_forked_child_can_stop_it(void **state)
{
    char *environment[] = { (char *)"OTEL_METRICS_EXPORTER=prometheus,otlp",
                            (char *)"OTEL_TRACES_EXPORTER=otlp",
                            (char *)"OTEL_LOGS_EXPORTER=otlp",
                            (char *)"OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1",
                            (char *)"OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf",
                            NULL };
    Said said = { 0 };
    VmafxOtel *otel = start(environment, false, &said);
    int status;

    (void)state;
    pid_t child = fork();
    assert_true(child >= 0);
    if (!child) {
        instrumented_code();
        bool silent = page_of(otel, NULL) == NULL;
        (void)vmafx_otel_stop(&otel, 5000);
        _exit(silent ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    (void)vmafx_otel_stop(&otel, SOON_MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_exported_where_nobody_asked),
        cmocka_unit_test(disabled_is_disabled_for_daemons_too),
        cmocka_unit_test(every_signal_can_be_none),
        cmocka_unit_test(a_bad_setting_is_told_and_the_rest_works),
        cmocka_unit_test(what_this_version_cannot_do_is_told),
        cmocka_unit_test(an_endpoint_that_is_none_leaves_a_running_program),
        cmocka_unit_test(telemetry_can_be_started_again),
        cmocka_unit_test(drops_are_counted_while_the_collector_is_absent),
        cmocka_unit_test(two_exporters_have_series_of_their_own),
        cmocka_unit_test(without_prometheus_there_is_no_page),
        cmocka_unit_test(a_page_is_asking_enough_for_a_command),
        cmocka_unit_test(promtool_has_no_complaints),
        cmocka_unit_test(the_last_collection_runs_callbacks_and_none_runs_later),
        cmocka_unit_test(it_can_be_stopped_in_every_state),
        cmocka_unit_test(it_can_be_stopped_in_no_time),
        cmocka_unit_test(a_forked_child_can_stop_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

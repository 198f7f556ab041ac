/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Starting and stopping telemetry from an environment. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"
#include "otel/api/log.h"
#include "otel/api/metrics.h"
#include "otel/export/otel.h"

typedef struct Said {
    int n;
    char last[512];
} Said;

static void hear(void *ctx, int severity, const char *message)
{
    Said *said = ctx;

    (void)severity;
    __atomic_fetch_add(&said->n, 1, __ATOMIC_RELAXED);
    if (!said->last[0])
        snprintf(said->last, sizeof said->last, "%s", message);
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
    vmafx_counter_add(vmafx_counter(meter, "test.count", "{thing}", ""), 1);
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
    char *environment[] = { (char *)"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://127.0.0.1:1", NULL };

    (void)state;
    for (int i = 0; i < 3; i++) {
        Said said = { 0 };
        VmafxOtel *otel = start(environment, true, &said);
        assert_non_null(otel);
        instrumented_code();
        (void)vmafx_otel_stop(&otel, 50);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_exported_where_nobody_asked),
        cmocka_unit_test(disabled_is_disabled_for_daemons_too),
        cmocka_unit_test(every_signal_can_be_none),
        cmocka_unit_test(a_bad_setting_is_told_and_the_rest_works),
        cmocka_unit_test(an_endpoint_that_is_none_leaves_a_running_program),
        cmocka_unit_test(telemetry_can_be_started_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

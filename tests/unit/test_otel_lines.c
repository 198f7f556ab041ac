/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What a daemon with log_lines writes to stderr, which is a pipe here. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base.h"
#include "otel/api/log.h"
#include "otel/api/trace.h"
#include "otel/export/otel.h"
#include "otel/export/otel_lines.h"
#include "peer.h"

enum { TEXT_MAX = 1 << 16 };

/* stderr goes to a file while a test runs. */
typedef struct Caught {
    int real, file;
    char text[TEXT_MAX];
} Caught;

static void catch_begin(Caught *caught)
{
    caught->real = dup(2);
    caught->file = memfd_create("stderr", MFD_CLOEXEC);
    assert_true(caught->real >= 0 && caught->file >= 0);
    dup2(caught->file, 2);
}

static const char *catch_end(Caught *caught)
{
    ssize_t n;

    dup2(caught->real, 2);
    close(caught->real);
    n = pread(caught->file, caught->text, sizeof caught->text - 1, 0);
    close(caught->file);
    assert_true(n >= 0);
    caught->text[n] = 0;
    return caught->text;
}

static VmafxOtel *start(char **environment)
{
    return vmafx_otel_start(
        &(VmafxOtelStart){ .service = "test", .version = "1", .environment = environment, .log_lines = true });
}

static void assert_has(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("no '%s' in:\n%s", part, text);
}

static void assert_has_not(const char *text, const char *part)
{
    if (strstr(text, part))
        fail_msg("'%s' in:\n%s", part, text);
}

static void a_record_in_a_span(const char *message)
{
    VMAFX_AUTO(vmafx_logger_free) VmafxLogger *logger = vmafx_logger_new("test.part", "1", "", VMAFX_NO_ATTRS);
    VMAFX_AUTO(vmafx_span_end) VmafxSpan *span = vmafx_span_start(vmafx_tracer_get("test", "1"), "work");
    VMAFX_AUTO(vmafx_span_detach) VmafxContextToken token = vmafx_span_attach(span);

    vmafx_log(logger, VMAFX_WARN, message, VMAFX_ATTR_INT("n", 7));
    vmafx_log(logger, VMAFX_DEBUG, "too little to say");
}

static void records_are_lines_and_exported_too(void **state)
{
    static Caught caught;
    char endpoint[64];
    Peer *peer = peer_open(peer_serve_http, NULL);
    char *environment[] = { endpoint, (char *)"OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf", NULL };

    snprintf(endpoint, sizeof endpoint, "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:%u", (unsigned)peer->port);
    catch_begin(&caught);
    VmafxOtel *otel = start(environment);
    a_record_in_a_span("lease lost");
    VmafxExportResult flushed = vmafx_otel_flush(otel, LONG_MS), stopped = vmafx_otel_stop(&otel, LONG_MS);
    const char *text = catch_end(&caught);

    assert_int_equal(flushed, VMAFX_EXPORT_OK);
    assert_int_equal(stopped, VMAFX_EXPORT_OK);
    assert_has(text, " level=warn msg=\"lease lost\" logger=test.part n=7 trace_id=");
    assert_has(text, " span_id=");
    assert_has_not(text, "too little");
    assert_true(peer_kept(peer, "lease lost"));
    peer_close(&peer);
}

static void lines_do_not_need_an_exporter(void **state)
{
    static const struct {
        const char *why, *settings[3], *has, *has_not;
    } cases[] = {
        { "disabled", { "OTEL_SDK_DISABLED=true" }, "msg=\"a record\"", "debug" },
        { "as JSON", { "OTEL_SDK_DISABLED=true", "VMAFX_LOG_FORMAT=json" }, "\"message\":\"a record\"", "msg=" },
        { "everything", { "OTEL_SDK_DISABLED=true", "VMAFX_LOG_LEVEL=debug" }, "too little to say", "json" },
        { "errors only", { "OTEL_SDK_DISABLED=true", "VMAFX_LOG_LEVEL=error" }, "", "a record" },
        { "nothing", { "OTEL_SDK_DISABLED=true", "VMAFX_LOG_LEVEL=none" }, "", "a record" },
        { "a bad value is told, in a line",
          { "OTEL_SDK_DISABLED=1", "VMAFX_LOG_FORMAT=xml" },
          "VMAFX_LOG_FORMAT: 'xml'",
          "telemetry:" },
    };

    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        static Caught caught;
        char *environment[] = { (char *)cases[i].settings[0],
                                (char *)(cases[i].settings[1] ? cases[i].settings[1] : "X=x"),
                                (char *)"OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1",
                                (char *)"OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf", NULL };

        catch_begin(&caught);
        VmafxOtel *otel = start(environment);
        a_record_in_a_span("a record");
        (void)vmafx_otel_stop(&otel, LONG_MS);
        const char *text = catch_end(&caught);
        assert_has(text, cases[i].has);
        assert_has_not(text, cases[i].has_not);
    }
}

static void the_sdk_complains_in_lines_to_the_very_end(void **state)
{
    static Caught caught;
    char *environment[] = { (char *)"OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1",
                            (char *)"OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf",
                            (char *)"OTEL_METRICS_EXPORTER=none",
                            (char *)"OTEL_TRACES_EXPORTER=none",
                            (char *)"OTEL_BSP_MAX_QUEUE_SIZE=many",
                            NULL };

    catch_begin(&caught);
    VmafxOtel *otel = start(environment);
    a_record_in_a_span("a record");
    (void)vmafx_otel_stop(&otel, 1000);
    vmafx_otel_lines_complain(NULL, VMAFX_WARN, "from a thread that was left behind");
    const char *text = catch_end(&caught);
    assert_has(text, "level=warn msg=\"OTEL_BSP_MAX_QUEUE_SIZE: ");
    assert_has(text, "logger=vmafx.otel");
    assert_has(text, "msg=\"otlp_http_log_exporter: gave up on a batch: ");
    assert_has(text, "msg=\"from a thread that was left behind\"");
    assert_has_not(text, "telemetry: ");
}

static void repeats_are_left_out_and_counted(void **state)
{
    static Caught caught;
    char *environment[] = { (char *)"OTEL_SDK_DISABLED=true", NULL };
    int lines = 0;

    catch_begin(&caught);
    VmafxOtel *otel = start(environment);
    VMAFX_AUTO(vmafx_logger_free) VmafxLogger *logger = vmafx_logger_new("test.part", "1", "", VMAFX_NO_ATTRS);
    for (int i = 0; i < 1000; i++)
        vmafx_log(logger, VMAFX_WARN, "again");
    (void)vmafx_otel_stop(&otel, LONG_MS);
    for (const char *at = catch_end(&caught); (at = strstr(at, "msg=again")); at++)
        lines++;
    assert_in_range(lines, 1, 500);
    assert_has(caught.text, "left out");
}

static void a_forked_child_has_lines_of_its_own(void **state)
{
    static Caught caught;
    char *environment[] = { (char *)"OTEL_SDK_DISABLED=true", (char *)"VMAFX_LOG_FORMAT=json", NULL };

    if (UNDER_TSAN) {
        print_message("the race detector starts no threads in a forked child\n");
        skip();
    }
    catch_begin(&caught);
    VmafxOtel *otel = start(environment);
    a_record_in_a_span("as JSON");
    int status = -1;
    pid_t child = fork();
    if (!child) {
        VmafxOtel *mine = vmafx_otel_start_in_child(
            &otel, &(VmafxOtelStart){ .service = "test", .environment = environment, .log_lines = true });
        a_record_in_a_span("the child's");
        _exit(vmafx_otel_stop(&mine, LONG_MS) == VMAFX_EXPORT_OK ? 0 : 1);
    }
    waitpid(child, &status, 0);
    a_record_in_a_span("the parent's");
    VmafxExportResult stopped = vmafx_otel_stop(&otel, LONG_MS);
    const char *text = catch_end(&caught);
    assert_int_equal(status, 0);
    assert_int_equal(stopped, VMAFX_EXPORT_OK);
    assert_has(text, "the child's");
    assert_has(text, "the parent's");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_are_lines_and_exported_too),
        cmocka_unit_test(lines_do_not_need_an_exporter),
        cmocka_unit_test(the_sdk_complains_in_lines_to_the_very_end),
        cmocka_unit_test(repeats_are_left_out_and_counted),
        cmocka_unit_test(a_forked_child_has_lines_of_its_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

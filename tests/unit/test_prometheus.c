/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The Prometheus page: exact text in both formats, names and units, conflicts, limits, content negotiation. */

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "base/base.h"
#include "otel/export/prometheus.h"
#include "otel/export/prometheus_text.h"

static const VmafxScope node = { .name = "vmafx.node", .version = "3.1", .schema_url = "" };
static const VmafxScope bare = { .name = "", .version = "", .schema_url = "" };

#define ONE(p) .points = &(p), .n_points = 1
#define NO_TARGET                                                                                                      \
    {                                                                                                                  \
        .no_target_info = true                                                                                         \
    }
#define OM_NO_TARGET                                                                                                   \
    {                                                                                                                  \
        .format = VMAFX_PROMETHEUS_OPENMETRICS, .no_target_info = true                                                 \
    }
#define START_NS    1700000000250000000u
#define EXEMPLAR_NS 1700000100125000000u
#define T           VMAFX_PROMETHEUS_TEXT
#define O           VMAFX_PROMETHEUS_OPENMETRICS
#define A_PAGE(p)   VMAFX_AUTO(page_done) VmafxPrometheusPage p = { 0 }

static void page_done(VmafxPrometheusPage *page)
{
    free(page->data);
}

static void check_page(VmafxPrometheusOptions options, const VmafxMetricData *metrics, size_t n, const char *want)
{
    A_PAGE(page);

    vmafx_prometheus_write(&options, NULL, metrics, n, &page);
    assert_string_equal(page.data, want);
    assert_int_equal(page.len, strlen(want));
}

static void a_counter_has_unit_and_total_in_its_name(void **unused)
{
    VmafxPointData point = {
        .attrs = VMAFX_ATTRS(VMAFX_ATTR_STR("disk.io.direction", "read")), .is_int = true, .i = 42, .start_ns = START_NS
    };
    VmafxMetricData m = { .scope = &node,
                          .name = "process.disk.io",
                          .description = "bytes \"moved\"\nby disk \\ all",
                          .unit = "By",
                          .type = VMAFX_METRIC_SUM,
                          .monotonic = true,
                          ONE(point) };

    check_page((VmafxPrometheusOptions)NO_TARGET, &m, 1,
               "# HELP process_disk_io_bytes_total bytes \"moved\"\\nby disk \\\\ all\n"
               "# TYPE process_disk_io_bytes_total counter\n"
               "process_disk_io_bytes_total{disk_io_direction=\"read\",otel_scope_name=\"vmafx.node\","
               "otel_scope_version=\"3.1\"} 42\n");
    check_page((VmafxPrometheusOptions)OM_NO_TARGET, &m, 1,
               "# TYPE process_disk_io_bytes counter\n"
               "# UNIT process_disk_io_bytes bytes\n"
               "# HELP process_disk_io_bytes bytes \\\"moved\\\"\\nby disk \\\\ all\n"
               "process_disk_io_bytes_total{disk_io_direction=\"read\",otel_scope_name=\"vmafx.node\","
               "otel_scope_version=\"3.1\"} 42\n"
               "process_disk_io_bytes_created{disk_io_direction=\"read\",otel_scope_name=\"vmafx.node\","
               "otel_scope_version=\"3.1\"} 1700000000.250\n"
               "# EOF\n");
}

static void a_histogram_has_cumulative_buckets_and_exemplars(void **unused)
{
    static const double bounds[] = { 0.5, 5 };
    static const uint64_t counts[] = { 1, 2, 3 };
    VmafxExemplar exemplars[] = {
        { .time_ns = EXEMPLAR_NS - 1000000000, .d = 4 },
        { .time_ns = EXEMPLAR_NS,
          .d = 5,
          .trace_id = { 0x0a, 0xf7, 0x65, [15] = 0x9c },
          .span_id = { 0xb7, [7] = 0x31 },
          .filtered = VMAFX_ATTRS(VMAFX_ATTR_STR("job.id", "7\""), VMAFX_ATTR_STR("trace_id", "mine"),
                                  VMAFX_ATTR_STR("too.long", "0123456789012345678901234567890123456789"
                                                             "0123456789012345678901234567890123456789")) },
    };
    VmafxPointData point = { .count = 6,
                             .has_sum = true,
                             .sum = 30.5,
                             .bounds = bounds,
                             .n_bounds = 2,
                             .counts = counts,
                             .exemplars = exemplars,
                             .n_exemplars = 2 };
    VmafxMetricData m = { .scope = &bare,
                          .name = "vmafx.score.duration",
                          .description = "time",
                          .unit = "s",
                          .type = VMAFX_METRIC_HISTOGRAM,
                          ONE(point) };

    check_page((VmafxPrometheusOptions)NO_TARGET, &m, 1,
               "# HELP vmafx_score_duration_seconds time\n"
               "# TYPE vmafx_score_duration_seconds histogram\n"
               "vmafx_score_duration_seconds_bucket{le=\"0.5\"} 1\n"
               "vmafx_score_duration_seconds_bucket{le=\"5\"} 3\n"
               "vmafx_score_duration_seconds_bucket{le=\"+Inf\"} 6\n"
               "vmafx_score_duration_seconds_count 6\n"
               "vmafx_score_duration_seconds_sum 30.5\n");
    check_page((VmafxPrometheusOptions)OM_NO_TARGET, &m, 1,
               "# TYPE vmafx_score_duration_seconds histogram\n"
               "# UNIT vmafx_score_duration_seconds seconds\n"
               "# HELP vmafx_score_duration_seconds time\n"
               "vmafx_score_duration_seconds_bucket{le=\"0.5\"} 1\n"
               "vmafx_score_duration_seconds_bucket{le=\"5.0\"} 3 # {trace_id=\"0af7650000000000000000000000009c\","
               "span_id=\"b700000000000031\",job_id=\"7\\\"\"} 5.0 1700000100.125\n"
               "vmafx_score_duration_seconds_bucket{le=\"+Inf\"} 6\n"
               "vmafx_score_duration_seconds_count 6\n"
               "vmafx_score_duration_seconds_sum 30.5\n"
               "# EOF\n");
}

static void an_exponential_histogram_becomes_explicit_buckets(void **unused)
{
    static const uint64_t counts[] = { 1, 2, 3, 4 }, negative[] = { 5 };
    VmafxPointData point = {
        .count = 17, .zero_count = 2, .scale = 0, .positive = { -1, counts, 4 }, .negative = { 1, negative, 1 }
    };
    VmafxMetricData m = { .scope = &bare, .name = "e", .type = VMAFX_METRIC_EXP_HISTOGRAM, ONE(point) };

    check_page((VmafxPrometheusOptions)NO_TARGET, &m, 1,
               "# TYPE e histogram\n"
               "e_bucket{le=\"-2\"} 5\n"
               "e_bucket{le=\"0\"} 7\n"
               "e_bucket{le=\"1\"} 8\n"
               "e_bucket{le=\"2\"} 10\n"
               "e_bucket{le=\"4\"} 13\n"
               "e_bucket{le=\"8\"} 17\n"
               "e_bucket{le=\"+Inf\"} 17\n"
               "e_count 17\n");
}

static void many_exponential_buckets_become_at_most_twenty(void **unused)
{
    uint64_t counts[160];
    VmafxPointData point = { .scale = 20, .positive = { 7, counts, VMAFX_LEN(counts) } };
    VmafxMetricData m = { .scope = &bare, .name = "e", .type = VMAFX_METRIC_EXP_HISTOGRAM, ONE(point) };
    size_t buckets = 0;
    A_PAGE(page);

    for (size_t i = 0; i < VMAFX_LEN(counts); i++)
        counts[i] = 1;
    vmafx_prometheus_write(NULL, NULL, &m, 1, &page);
    for (const char *p = page.data; (p = strstr(p, "_bucket{")); p++)
        buckets++;
    assert_in_range(buckets, 10, 21);
    assert_non_null(strstr(page.data, "e_bucket{le=\"+Inf\"} 160\n"));
}

static void names_and_units_are_translated(void **unused)
{
    static const struct {
        const char *name, *unit;
        bool counter;
        const char *want;
    } cases[] = {
        { "http.server.duration", "s", false, "http_server_duration_seconds" },
        { "http.server.duration", "ms", false, "http_server_duration_milliseconds" },
        { "already_seconds", "s", false, "already_seconds" },
        { "done_total", "", true, "done_total" },
        { "time_seconds_total", "s", true, "time_seconds_total" },
        { "a..b--c", "", false, "a_b_c" },
        { "1st", "", false, "_1st" },
        { "speed", "m/s", false, "speed_meters_per_second" },
        { "rate", "By/s", false, "rate_bytes_per_second" },
        { "rate", "1/s", false, "rate_per_second" },
        { "rate", "{frame}/s", false, "rate_per_second" },
        { "frames", "{frame}", true, "frames_total" },
        { "used", "1", false, "used_ratio" },
        { "used_ratio", "1", false, "used_ratio" },
        { "count", "1", true, "count_total" },
        { "hw.temperature", "Cel", false, "hw_temperature_celsius" },
        { "load", "%", false, "load_percent" },
        { "odd", "foo bar!", false, "odd_foobar" },
        { "clock", "GHz", false, "clock_GHz" },
        { "r\xc3\xa9sum\xc3\xa9", "", false, "r_sum_" },
        { "ns:x", "", false, "ns:x" },
        { "trailing_", "By", false, "trailing_bytes" },
    };

    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        VmafxPointData point = { .is_int = true, .i = 1 };
        VmafxMetricData m = { .scope = &bare,
                              .name = cases[i].name,
                              .unit = cases[i].unit,
                              .type = VMAFX_METRIC_SUM,
                              .monotonic = cases[i].counter,
                              ONE(point) };
        VMAFX_AUTO(vmafx_free_p)
        char *want =
            vmafx_sprintf("# TYPE %s %s\n%s 1\n", cases[i].want, cases[i].counter ? "counter" : "gauge", cases[i].want);

        check_page((VmafxPrometheusOptions)NO_TARGET, &m, 1, want);
    }
}

static void suffixes_can_be_left_out(void **unused)
{
    VmafxPointData point = { .is_int = true, .i = 1 };
    VmafxMetricData m = {
        .scope = &bare, .name = "a_total", .unit = "By", .type = VMAFX_METRIC_SUM, .monotonic = true, ONE(point)
    };

    check_page((VmafxPrometheusOptions){ .no_suffixes = true }, &m, 1, "# TYPE a_total counter\na_total 1\n");
}

static void values_become_label_text(void **unused)
{
    static const VmafxValue items[] = { { .type = VMAFX_VALUE_INT, .i = 1 },
                                        { .type = VMAFX_VALUE_DOUBLE, .d = NAN },
                                        { .type = VMAFX_VALUE_EMPTY } };
    VmafxAttr attrs[] = {
        VMAFX_ATTR_STR("z", "last"),
        VMAFX_ATTR_BOOL("bool", true),
        VMAFX_ATTR_DOUBLE("double", -INFINITY),
        VMAFX_ATTR_STR("empty", ""),
        VMAFX_ATTR_STR("esc", "a\\b\"c\nd"),
        VMAFX_ATTR_INT("int", -5),
        { "list", { .type = VMAFX_VALUE_ARRAY, .array = { items, 3 } } },
        { "bytes", { .type = VMAFX_VALUE_BYTES, .str = { "\x01\x02", 2 } } },
        VMAFX_ATTR_STR("utf8", "\xc3\xa9\xff"),
        VMAFX_ATTR_STR("a.b", "one"),
        VMAFX_ATTR_STR("a_b", "two"),
        VMAFX_ATTR_STR("0x", "digit"),
    };
    VmafxPointData point = { .attrs = { attrs, VMAFX_LEN(attrs) }, .d = 0.1 };
    VmafxMetricData m = { .scope = &bare, .name = "g", .type = VMAFX_METRIC_GAUGE, ONE(point) };

    check_page((VmafxPrometheusOptions)NO_TARGET, &m, 1,
               "# TYPE g gauge\n"
               "g{_0x=\"digit\",a_b=\"one;two\",bool=\"true\",bytes=\"AQI=\",double=\"-Infinity\","
               "esc=\"a\\\\b\\\"c\\nd\",int=\"-5\",list=\"[1,\\\"NaN\\\",null]\",utf8=\"\xc3\xa9\xef\xbf\xbd\","
               "z=\"last\"} 0.1\n");
}

static void numbers_are_the_shortest_that_read_back(void **unused)
{
    static const struct {
        double v;
        const char *text, *open;
    } cases[] = {
        { 0, "0", "0.0" },
        { 1, "1", "1.0" },
        { -2.5, "-2.5", "-2.5" },
        { 0.1, "0.1", "0.1" },
        { 1.0 / 3, "0.3333333333333333", "0.3333333333333333" },
        { 100000, "100000", "100000.0" },
        { 123456789012345680.0, "123456789012345680", "123456789012345680.0" },
        { 1e21, "1e+21", "1e+21" },
        { 1.5e300, "1.5e+300", "1.5e+300" },
        { 0.0001, "0.0001", "0.0001" },
        { 0.00001, "1e-05", "1e-05" },
        { 5e-324, "5e-324", "5e-324" },
        { INFINITY, "+Inf", "+Inf" },
        { -INFINITY, "-Inf", "-Inf" },
        { NAN, "NaN", "NaN" },
    };

    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        VmafxText t = { .limit = 100 };

        vmafx_text_double(&t, cases[i].v, false);
        assert_string_equal(t.data, cases[i].text);
        vmafx_text_cut(&t, 0);
        vmafx_text_double(&t, cases[i].v, true);
        assert_string_equal(t.data, cases[i].open);
        free(t.data);
    }
}

static void one_family_from_two_scopes_is_written_in_one_piece(void **unused)
{
    VmafxScope other = { .name = "b",
                         .version = "",
                         .schema_url = "https://x/1",
                         .attrs = VMAFX_ATTRS(VMAFX_ATTR_STR("name", "hidden"), VMAFX_ATTR_INT("shard", 2)) };
    VmafxPointData one = { .is_int = true, .i = 1 }, two = { .is_int = true, .i = 2 }, x = { .is_int = true, .i = 3 };
    VmafxMetricData m[] = {
        { .scope = &node, .name = "jobs", .description = "first", .type = VMAFX_METRIC_GAUGE, ONE(one) },
        { .scope = &node, .name = "a", .type = VMAFX_METRIC_GAUGE, ONE(x) },
        { .scope = &other, .name = "jobs", .description = "second", .type = VMAFX_METRIC_GAUGE, ONE(two) },
    };

    check_page((VmafxPrometheusOptions)NO_TARGET, m, 3,
               "# TYPE a gauge\n"
               "a{otel_scope_name=\"vmafx.node\",otel_scope_version=\"3.1\"} 3\n"
               "# HELP jobs first\n"
               "# TYPE jobs gauge\n"
               "jobs{otel_scope_name=\"vmafx.node\",otel_scope_version=\"3.1\"} 1\n"
               "jobs{otel_scope_name=\"b\",otel_scope_schema_url=\"https://x/1\",otel_scope_shard=\"2\"} 2\n");
}

static void what_contradicts_an_earlier_metric_is_dropped_and_counted(void **unused)
{
    VmafxPointData p = { .is_int = true, .i = 1 };
    VmafxMetricData m[] = {
        { .scope = &bare, .name = "x", .type = VMAFX_METRIC_SUM, .monotonic = true, ONE(p) },
        { .scope = &bare, .name = "x", .type = VMAFX_METRIC_GAUGE, ONE(p) },              /* type */
        { .scope = &bare, .name = "x_total", .type = VMAFX_METRIC_GAUGE, ONE(p) },        /* its sample */
        { .scope = &bare, .name = "target_info", .type = VMAFX_METRIC_GAUGE, ONE(p) },    /* ours */
        { .scope = &bare, .name = "d", .type = VMAFX_METRIC_SUM, .delta = true, ONE(p) }, /* delta */
        { .scope = &bare, .name = "", .type = VMAFX_METRIC_GAUGE, ONE(p) },               /* no name */
        { .scope = &bare, .name = "x", .unit = "", .type = VMAFX_METRIC_SUM, .monotonic = true, ONE(p) }, /* point */
    };
    VmafxPrometheusOptions options = { 0 };
    A_PAGE(page);

    vmafx_prometheus_write(&options, NULL, m, VMAFX_LEN(m), &page);
    assert_string_equal(page.data, "# TYPE x_total counter\nx_total 1\n");
    assert_int_equal(page.dropped_metrics, 5);
    assert_int_equal(page.dropped_points, 1);
    assert_false(page.truncated);
}

static void the_resource_is_one_target_info(void **unused)
{
    VmafxResource resource = {
        .attrs = VMAFX_ATTRS(VMAFX_ATTR_STR("service.name", "node"), VMAFX_ATTR_INT("process.pid", 7)), .schema_url = ""
    };
    VmafxResource empty = { .schema_url = "" };
    VmafxPrometheusOptions om = { .format = VMAFX_PROMETHEUS_OPENMETRICS };
    A_PAGE(page);

    vmafx_prometheus_write(NULL, &resource, NULL, 0, &page);
    assert_string_equal(page.data, "# HELP target_info Target metadata\n# TYPE target_info gauge\n"
                                   "target_info{process_pid=\"7\",service_name=\"node\"} 1\n");
    vmafx_prometheus_write(&om, &resource, NULL, 0, &page);
    assert_string_equal(page.data, "# TYPE target info\n# HELP target Target metadata\n"
                                   "target_info{process_pid=\"7\",service_name=\"node\"} 1\n# EOF\n");
    vmafx_prometheus_write(NULL, &empty, NULL, 0, &page);
    assert_string_equal(page.data, "");
}

static void a_label_called_le_does_not_meet_the_buckets(void **unused)
{
    static const uint64_t counts[] = { 1 };
    VmafxPointData point = { .attrs = VMAFX_ATTRS(VMAFX_ATTR_STR("le", "x")), .count = 1, .counts = counts };
    VmafxMetricData m = { .scope = &bare, .name = "h", .type = VMAFX_METRIC_HISTOGRAM, ONE(point) };

    check_page((VmafxPrometheusOptions)NO_TARGET, &m, 1,
               "# TYPE h histogram\nh_bucket{exported_le=\"x\",le=\"+Inf\"} 1\nh_count{exported_le=\"x\"} 1\n");
}

static void a_full_page_leaves_whole_families_out(void **unused)
{
    VmafxPointData p = { .is_int = true, .i = 1 };
    VmafxMetricData m[] = {
        { .scope = &bare, .name = "a_name_that_takes_much_room_on_the_page", .type = VMAFX_METRIC_GAUGE, ONE(p) },
        { .scope = &bare, .name = "b", .type = VMAFX_METRIC_GAUGE, ONE(p) },
    };
    VmafxPrometheusOptions om = OM_NO_TARGET;
    A_PAGE(page);

    page.limit = strlen("# TYPE b gauge\nb 1\n# EOF\n");
    vmafx_prometheus_write(&om, NULL, m, 2, &page);
    assert_string_equal(page.data, "# TYPE b gauge\nb 1\n# EOF\n");
    assert_true(page.truncated);
}

static void accept_chooses_the_format(void **unused)
{
    static const struct {
        const char *why, *accept;
        VmafxPrometheusFormat want;
    } cases[] = {
        { "nothing asked for", "", T },
        { "anything", "*/*", T },
        { "openmetrics", "application/openmetrics-text", O },
        { "with version", "application/openmetrics-text; version=1.0.0; charset=utf-8", O },
        { "another version", "application/openmetrics-text;version=0.0.1", T },
        { "Prometheus 2.42",
          "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
          "text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
          O },
        { "protobuf first",
          "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited,"
          "application/openmetrics-text;version=1.0.0;q=0.8,text/plain;version=0.0.4;q=0.5",
          O },
        { "text preferred", "application/openmetrics-text;q=0.5, text/plain;q=0.9", T },
        { "not wanted", "application/openmetrics-text;q=0", T },
        { "first of equals", "text/plain, application/openmetrics-text", T },
        { "browser", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", T },
        { "letter case and blanks", " Application/OpenMetrics-Text ;Q=1.000 ", O },
        { "malformed quality", "application/openmetrics-text;q=high", T },
        { "quality above one", "application/openmetrics-text;q=1.5", T },
        { "empty members", ",,;,application/openmetrics-text,", O },
    };

    assert_int_equal(vmafx_prometheus_negotiate(NULL, 0), T);
    for (size_t i = 0; i < VMAFX_LEN(cases); i++)
        assert_int_equal(vmafx_prometheus_negotiate(cases[i].accept, strlen(cases[i].accept)), cases[i].want);
    assert_string_equal(vmafx_prometheus_content_type(T), "text/plain; version=0.0.4; charset=utf-8");
    assert_string_equal(vmafx_prometheus_content_type(O), "application/openmetrics-text; version=1.0.0; charset=utf-8");
}

static void promtool_accepts_the_page(void **unused)
{
    static const double bounds[] = { 0.1, 1 };
    static const uint64_t counts[] = { 1, 2, 3 };
    VmafxPointData counter = { .is_int = true, .i = 3, .attrs = VMAFX_ATTRS(VMAFX_ATTR_STR("a", "q\"\\\n\xff")) };
    VmafxPointData gauge = { .d = NAN };
    VmafxPointData histogram = {
        .count = 6, .has_sum = true, .sum = 2, .bounds = bounds, .n_bounds = 2, .counts = counts
    };
    VmafxPointData exponential = { .scale = 3, .has_sum = true, .positive = { -4, counts, 3 }, .zero_count = 1 };
    VmafxMetricData m[] = {
        { .scope = &node,
          .name = "jobs.done",
          .description = "jobs",
          .type = VMAFX_METRIC_SUM,
          .monotonic = true,
          ONE(counter) },
        { .scope = &node,
          .name = "memory.used",
          .description = "me\\mo\nry",
          .unit = "By",
          .type = VMAFX_METRIC_GAUGE,
          ONE(gauge) },
        { .scope = &node,
          .name = "score.duration",
          .description = "time",
          .unit = "s",
          .type = VMAFX_METRIC_HISTOGRAM,
          ONE(histogram) },
        { .scope = &node,
          .name = "wait.duration",
          .description = "time",
          .unit = "s",
          .type = VMAFX_METRIC_EXP_HISTOGRAM,
          ONE(exponential) },
    };
    VmafxResource resource = { .attrs = VMAFX_ATTRS(VMAFX_ATTR_STR("service.name", "node")), .schema_url = "" };
    A_PAGE(page);

    if (system("command -v promtool >/dev/null 2>&1") != 0) {
        print_message("promtool is not in PATH\n");
        skip();
    }
    vmafx_prometheus_write(NULL, &resource, m, VMAFX_LEN(m), &page);
    FILE *tool = popen("promtool check metrics", "w");
    assert_non_null(tool);
    assert_int_equal(fwrite(page.data, 1, page.len, tool), page.len);
    int status = pclose(tool);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_counter_has_unit_and_total_in_its_name),
        cmocka_unit_test(a_histogram_has_cumulative_buckets_and_exemplars),
        cmocka_unit_test(an_exponential_histogram_becomes_explicit_buckets),
        cmocka_unit_test(many_exponential_buckets_become_at_most_twenty),
        cmocka_unit_test(names_and_units_are_translated),
        cmocka_unit_test(suffixes_can_be_left_out),
        cmocka_unit_test(values_become_label_text),
        cmocka_unit_test(numbers_are_the_shortest_that_read_back),
        cmocka_unit_test(one_family_from_two_scopes_is_written_in_one_piece),
        cmocka_unit_test(what_contradicts_an_earlier_metric_is_dropped_and_counted),
        cmocka_unit_test(the_resource_is_one_target_info),
        cmocka_unit_test(a_label_called_le_does_not_meet_the_buckets),
        cmocka_unit_test(a_full_page_leaves_whole_families_out),
        cmocka_unit_test(accept_chooses_the_format),
        cmocka_unit_test(promtool_accepts_the_page),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Report writers: the exact text of every format for a small result that is filled by hand. */

#include <locale.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"
#include "report/report.h"

enum { N_SERIES = 3, N_FRAMES = 3 };

/* NaN stands for "absent" in the table; a value that is not a number is written as infinity. */
typedef double Values[N_FRAMES][N_SERIES];

static bool value(const void *ctx, size_t series, uint32_t frame, double *ret)
{
    const Values *values = ctx;

    if (isnan((*values)[frame][series]))
        return false;
    *ret = (*values)[frame][series];
    return true;
}

static const VmafxReportSeries series[N_SERIES] = {
    { "integer_motion2", VMAFX_SERIES_FEATURE },
    { "a,\"b\"", VMAFX_SERIES_FEATURE },
    { "vmaf", VMAFX_SERIES_SCORE },
};

/* motion2 whole; the second one lacks frame 1; frame 2's score is not finite */
static const Values values = {
    { 0.0, 0.5, 90.0 },
    { 3.0000004, NAN, 80.25 },
    { 1.5, 2.0, INFINITY },
};

static VmafxReportData small_result(void)
{
    return (VmafxReportData){ .version = "1.2 \"x\"",
                              .fps = 12.345,
                              .w = 64,
                              .h = 48,
                              .frames = N_FRAMES,
                              .series = series,
                              .n_series = N_SERIES,
                              .value = value,
                              .ctx = &values,
                              .complete = true,
                              .rate_num = 25,
                              .rate_den = 1,
                              .wall_s = 0.5,
                              .cpu_s = 0.25 };
}

static void check_text(VmafxReportFormat format, const VmafxReportData *data, const char *expected)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    assert_non_null(out);
    assert_int_equal(vmafx_report_write(out, format, data), VMAFX_OK);
    fclose(out);
    assert_string_equal(text, expected);
    free(text);
}

static void numbers_get_six_digits_or_sixteen(void **state)
{
    static const struct {
        const char *why;
        double v;
        const char *text;
    } cases[] = {
        { "zero", 0, "0.000000" },
        { "whole", 100, "100.000000" },
        { "half", 0.5, "0.500000" },
        { "negative", -2.25, "-2.250000" },
        { "sixth digit", 0.000001, "0.000001" },
        { "sixth digit after a whole part", 3.000004, "3.000004" },
        { "seventh digit", 0.0000004, "0.0000004000000000" },
        { "seventh digit after a whole part", 3.0000004, "3.0000003999999998" },
        { "negative, seventh digit", -0.0000004, "-0.0000004000000000" },
        { "smaller than any digit", 1e-300, "0.0000000000000000" },
        { "infinite", INFINITY, "inf" },
        { "no number", NAN, "nan" },
    };

    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        char text[400];

        vmafx_reference_number(cases[i].v, text, sizeof text);
        if (strcmp(text, cases[i].text))
            fail_msg("%s: %s, not %s", cases[i].why, text, cases[i].text);
    }
}

static void percentiles_lie_between_order_statistics(void **state)
{
    static const double z[] = { 1, 2, 4, 8, 16 };

    assert_true(vmafx_percentile(z, 5, 0) == 1);
    assert_true(vmafx_percentile(z, 5, 50) == 4);
    assert_true(vmafx_percentile(z, 5, 100) == 16);
    assert_true(vmafx_percentile(z, 5, 5) == 1 * (1 - 0.2) + 2 * (0.2 - 0)); /* r = 0.2 */
    assert_true(vmafx_percentile(z, 5, 62.5) == 4 * 0.5 + 8 * 0.5);          /* r = 2.5 */
    assert_true(vmafx_percentile(z, 1, 5) == 1);
}

static void pooling_wants_a_value_for_every_frame(void **state)
{
    VmafxReportData data = small_result();
    VmafxSeriesPooled p;

    assert_int_equal(vmafx_report_pool(&data, 0, &p), VMAFX_OK);
    assert_true(p.n == 3 && p.min == 0 && p.max == 3.0000004 && p.mean == (0 + 3.0000004 + 1.5) / 3);
    assert_true(p.harmonic_mean == 3 / (1.0 + 1 / (3.0000004 + 1) + 1 / 2.5) - 1);
    assert_int_equal(vmafx_report_pool(&data, 1, &p), VMAFX_ERR_MISSING);
    assert_int_equal(vmafx_report_pool(&data, 7, &p), VMAFX_ERR_INVALID);

    data.subsample = 2; /* frames 0 and 2: the gap is not seen */
    assert_int_equal(vmafx_report_pool(&data, 1, &p), VMAFX_OK);
    assert_true(p.n == 2 && p.mean == 1.25 && p.p5 == 0.5 * (1 - 0.05) + 2.0 * 0.05);

    data.frames = 0;
    assert_int_equal(vmafx_report_pool(&data, 0, &p), VMAFX_ERR_INVALID);
}

static void reference_json_is_the_reference_tools(void **state)
{
    VmafxReportData data = small_result();

    /* The infinite score of frame 2 is null without a newline after it; the second series cannot be pooled. */
    check_text(VMAFX_REPORT_REFERENCE_JSON, &data,
               "{\n"
               "  \"version\": \"1.2 \\\"x\\\"\",\n"
               "  \"fps\": 12.35,\n"
               "  \"frames\": [\n"
               "    {\n"
               "      \"frameNum\": 0,\n"
               "      \"metrics\": {\n"
               "        \"integer_motion2\": 0.000000,\n"
               "        \"a,\\\"b\\\"\": 0.500000,\n"
               "        \"vmaf\": 90.000000\n"
               "      }\n"
               "    },\n"
               "    {\n"
               "      \"frameNum\": 1,\n"
               "      \"metrics\": {\n"
               "        \"integer_motion2\": 3.0000003999999998,\n"
               "        \"vmaf\": 80.250000\n"
               "      }\n"
               "    },\n"
               "    {\n"
               "      \"frameNum\": 2,\n"
               "      \"metrics\": {\n"
               "        \"integer_motion2\": 1.500000,\n"
               "        \"a,\\\"b\\\"\": 2.000000,\n"
               "        \"vmaf\": null      }\n"
               "    }\n"
               "  ],\n"
               "  \"pooled_metrics\": {\n"
               "    \"integer_motion2\": {\n"
               "      \"min\": 0.000000,\n"
               "      \"max\": 3.0000003999999998,\n"
               "      \"mean\": 1.500000,\n"
               "      \"harmonic_mean\": 0.818182\n"
               "    },\n"
               "    \"a,\\\"b\\\"\": {\n"
               "    },\n"
               "    \"vmaf\": {\n"
               "      \"min\": 80.250000,\n"
               "      \"max\": null,\n"
               "      \"mean\": null,\n"
               "      \"harmonic_mean\": 127.773585\n"
               "    }\n"
               "  },\n"
               "  \"aggregate_metrics\": {\n"
               "  }\n"
               "}\n");
}

static void reference_json_has_null_for_no_rate_and_lists_aggregates(void **state)
{
    static const VmafxReportAggregate aggregates[] = { { "apsnr_y", 40.5 }, { "apsnr_cb", 41 } };
    VmafxReportData data = small_result();

    data.fps = INFINITY;
    data.frames = 1;
    data.n_series = 1;
    data.aggregates = aggregates;
    data.n_aggregates = 2;
    check_text(VMAFX_REPORT_REFERENCE_JSON, &data,
               "{\n"
               "  \"version\": \"1.2 \\\"x\\\"\",\n"
               "  \"fps\": null,\n"
               "  \"frames\": [\n"
               "    {\n"
               "      \"frameNum\": 0,\n"
               "      \"metrics\": {\n"
               "        \"integer_motion2\": 0.000000\n"
               "      }\n"
               "    }\n"
               "  ],\n"
               "  \"pooled_metrics\": {\n"
               "    \"integer_motion2\": {\n"
               "      \"min\": 0.000000,\n"
               "      \"max\": 0.000000,\n"
               "      \"mean\": 0.000000,\n"
               "      \"harmonic_mean\": 0.000000\n"
               "    }\n"
               "  },\n"
               "  \"aggregate_metrics\": {\n"
               "    \"apsnr_y\": 40.500000,\n"
               "    \"apsnr_cb\": 41.000000\n"
               "  }\n"
               "}\n");
}

static void reference_xml_is_the_reference_tools(void **state)
{
    static const VmafxReportSeries plain[] = { { "integer_motion2", VMAFX_SERIES_FEATURE },
                                               { "gap", VMAFX_SERIES_FEATURE },
                                               { "vmaf", VMAFX_SERIES_SCORE } };
    VmafxReportData data = small_result();

    data.series = plain;
    check_text(VMAFX_REPORT_REFERENCE_XML, &data,
               "<VMAF version=\"1.2 &quot;x&quot;\">\n"
               "  <params qualityWidth=\"64\" qualityHeight=\"48\" />\n"
               "  <fyi fps=\"12.35\" />\n"
               "  <frames>\n"
               "    <frame frameNum=\"0\" integer_motion2=\"0.000000\" gap=\"0.500000\" vmaf=\"90.000000\" />\n"
               "    <frame frameNum=\"1\" integer_motion2=\"3.0000003999999998\" vmaf=\"80.250000\" />\n"
               "    <frame frameNum=\"2\" integer_motion2=\"1.500000\" gap=\"2.000000\" vmaf=\"inf\" />\n"
               "  </frames>\n"
               "  <pooled_metrics>\n"
               "    <metric name=\"integer_motion2\" min=\"0.000000\" max=\"3.0000003999999998\" mean=\"1.500000\" "
               "harmonic_mean=\"0.818182\" />\n"
               "    <metric name=\"gap\" />\n"
               "    <metric name=\"vmaf\" min=\"80.250000\" max=\"inf\" mean=\"inf\" harmonic_mean=\"127.773585\" />\n"
               "  </pooled_metrics>\n"
               "  <aggregate_metrics />\n"
               "</VMAF>\n");
}

static void reference_csv_shifts_columns_where_a_value_is_absent(void **state)
{
    static const VmafxReportSeries plain[] = { { "m", VMAFX_SERIES_FEATURE },
                                               { "gap", VMAFX_SERIES_FEATURE },
                                               { "vmaf", VMAFX_SERIES_SCORE } };
    VmafxReportData data = small_result();

    data.series = plain;
    check_text(VMAFX_REPORT_REFERENCE_CSV, &data,
               "Frame,m,gap,vmaf,\n"
               "0,0.000000,0.500000,90.000000,\n"
               "1,3.0000003999999998,80.250000,\n"
               "2,1.500000,2.000000,inf,\n");
    data.subsample = 2;
    check_text(VMAFX_REPORT_REFERENCE_CSV, &data,
               "Frame,m,gap,vmaf,\n"
               "0,0.000000,0.500000,90.000000,\n"
               "2,1.500000,2.000000,inf,\n");
}

static void reference_sub_is_the_reference_tools(void **state)
{
    VmafxReportData data = small_result();

    data.n_series = 1;
    check_text(VMAFX_REPORT_REFERENCE_SUB, &data,
               "{0}{1}frame: 0|integer_motion2: 0.000000|\n"
               "{1}{2}frame: 1|integer_motion2: 3.0000003999999998|\n"
               "{2}{3}frame: 2|integer_motion2: 1.500000|\n");
}

static void own_csv_keeps_every_column(void **state)
{
    VmafxReportData data = small_result();

    data.first_frame = 10;
    data.time_offset_frames = 1;
    check_text(VMAFX_REPORT_CSV, &data,
               "frame,time,integer_motion2,\"a,\"\"b\"\"\",vmaf\r\n"
               "10,0.440000,0,0.5,90\r\n"
               "11,0.480000,3.0000003999999998,,80.25\r\n"
               "12,0.520000,1.5,2,inf\r\n");
    data.rate_num = 0; /* no rate, no time */
    data.frames = 1;
    check_text(VMAFX_REPORT_CSV, &data,
               "frame,time,integer_motion2,\"a,\"\"b\"\"\",vmaf\r\n"
               "10,,0,0.5,90\r\n");
}

static const char *const adaptations[] = { "distorted scaled from 32x24 to 64x48 (bicubic)" };
static const char *const warnings[] = { "model vmaf_4k_v0.6.1 is \"large\"" };
static const VmafxReportModel models[] = {
    { .name = "vmaf", .version = "vmaf_v0.6.1", .path = "m.json", .sha256 = "ab12" },
};
static const VmafxReportOption options[] = {
    { .key = "threads", .value = "2", .bare = true },
    { .key = "scale", .value = "reference" },
};
static const VmafxReportVideo facts = { .w = 64,
                                        .h = 48,
                                        .bpc = 8,
                                        .pixel_format = "420",
                                        .rate_num = 25,
                                        .rate_den = 1,
                                        .frames = 2,
                                        .range = "tv",
                                        .matrix = "bt709",
                                        .transfer = "unknown",
                                        .primaries = "unknown",
                                        .container = "y4m",
                                        .codec = "rawvideo" };

static VmafxReportData partial_result(void)
{
    VmafxReportData data = small_result();

    data.version = "0.1.0";
    data.frames = 2;
    data.complete = false;
    data.incomplete_reason = "the distorted video broke off";
    data.inputs[0] = (VmafxReportInput){ .path = "r\xff.y4m", .known = true, .video = facts, .sha256 = "00ff" };
    data.inputs[1] = (VmafxReportInput){ .path = "-" };
    data.models = models;
    data.n_models = 1;
    data.options = options;
    data.n_options = 2;
    data.adaptations = adaptations;
    data.n_adaptations = 1;
    data.warnings = warnings;
    data.n_warnings = 1;
    return data;
}

static const char reference_facts[] =
    "{\"path\": \"r\\ufffd.y4m\", \"sha256\": \"00ff\", \"width\": 64, \"height\": 48, \"bit_depth\": 8, "
    "\"pixel_format\": \"4:2:0\", \"frame_rate\": \"25/1\", \"start\": 0, \"frames\": 2, \"range\": \"tv\", "
    "\"matrix\": \"bt709\", \"transfer\": \"unknown\", \"primaries\": \"unknown\", \"container\": \"y4m\", "
    "\"codec\": \"rawvideo\"}";

static void own_json_says_what_was_compared_and_how(void **state)
{
    VmafxReportData data = partial_result();
    VMAFX_AUTO(vmafx_free_p)
    char *expected = vmafx_sprintf(
        "{\n"
        "  \"schema\": \"vmafx.score\",\n"
        "  \"schema_version\": 1,\n"
        "  \"complete\": false,\n"
        "  \"incomplete_reason\": \"the distorted video broke off\",\n"
        "  \"verdict\": {\"name\": \"vmaf\", \"model\": \"vmaf_v0.6.1\", \"score\": 85.125, \"frames\": 2},\n"
        "  \"frames_scored\": 2,\n"
        "  \"warnings\": [\"model vmaf_4k_v0.6.1 is \\\"large\\\"\"],\n"
        "  \"timing\": {\"wall_seconds\": 0.5, \"cpu_seconds\": 0.25, \"frames_per_second\": 4, \"parallelism\": "
        "0.5},\n"
        "  \"pooled\": {\n"
        "    \"integer_motion2\": {\"mean\": 1.5000001999999999, \"harmonic_mean\": 0.60000003199999741, \"min\": 0, "
        "\"max\": 3.0000003999999998, \"p1\": 0.030000004, \"p5\": 0.15000002000000001},\n"
        "    \"a,\\\"b\\\"\": null,\n"
        "    \"vmaf\": {\"mean\": 85.125, \"harmonic_mean\": 84.84905660377359, \"min\": 80.25, \"max\": 90, "
        "\"p1\": 80.347500000000011, \"p5\": 80.737499999999997}\n"
        "  },\n"
        "  \"engine\": {\"name\": \"vmafx\", \"version\": \"0.1.0\", \"kernels\": null},\n"
        "  \"inputs\": {\"reference\": %s, \"distorted\": {\"path\": \"-\", \"sha256\": null}},\n"
        "  \"compared\": {\"width\": 64, \"height\": 48},\n"
        "  \"models\": [{\"name\": \"vmaf\", \"version\": \"vmaf_v0.6.1\", \"path\": \"m.json\", \"sha256\": "
        "\"ab12\"}],\n"
        "  \"options\": {\"threads\": 2, \"scale\": \"reference\"},\n"
        "  \"adaptations\": [\"distorted scaled from 32x24 to 64x48 (bicubic)\"],\n"
        "  \"frames\": [\n"
        "    {\"frame\": 0, \"time\": 0, \"metrics\": {\"integer_motion2\": 0, \"a,\\\"b\\\"\": 0.5, \"vmaf\": 90}},\n"
        "    {\"frame\": 1, \"time\": 0.040000000000000001, \"metrics\": {\"integer_motion2\": 3.0000003999999998, "
        "\"vmaf\": 80.25}}\n"
        "  ]\n"
        "}\n",
        reference_facts);

    assert_non_null(expected);
    check_text(VMAFX_REPORT_JSON, &data, expected);
}

static void ndjson_has_header_frames_and_summary(void **state)
{
    VmafxReportData data = partial_result();
    VMAFX_AUTO(vmafx_free_p)
    char *expected = vmafx_sprintf(
        "{\"type\": \"header\", \"schema\": \"vmafx.score\", \"schema_version\": 1, \"engine\": {\"name\": \"vmafx\", "
        "\"version\": \"0.1.0\", \"kernels\": null}, \"inputs\": {\"reference\": %s, \"distorted\": {\"path\": \"-\", "
        "\"sha256\": null}}, "
        "\"compared\": {\"width\": 64, \"height\": 48}, \"models\": [{\"name\": \"vmaf\", \"version\": "
        "\"vmaf_v0.6.1\", \"path\": \"m.json\", \"sha256\": \"ab12\"}], \"options\": {\"threads\": 2, \"scale\": "
        "\"reference\"}, \"adaptations\": [\"distorted scaled from 32x24 to 64x48 (bicubic)\"]}\n"
        "{\"type\": \"frame\", \"frame\": 0, \"time\": 0, \"metrics\": {\"integer_motion2\": 0}}\n"
        "{\"type\": \"frame\", \"frame\": 1, \"time\": 0.040000000000000001, \"metrics\": {\"integer_motion2\": "
        "3.0000003999999998}}\n"
        "{\"type\": \"summary\", \"complete\": false, \"incomplete_reason\": \"the distorted video broke off\", "
        "\"verdict\": {\"name\": \"vmaf\", \"model\": \"vmaf_v0.6.1\", \"score\": null, \"frames\": 2}, "
        "\"frames_scored\": 2, \"warnings\": [\"model vmaf_4k_v0.6.1 is \\\"large\\\"\"], \"timing\": "
        "{\"wall_seconds\": 0.5, \"cpu_seconds\": 0.25, \"frames_per_second\": 4, \"parallelism\": 0.5}, \"pooled\": { "
        "\"integer_motion2\": {\"mean\": 1.5000001999999999, \"harmonic_mean\": 0.60000003199999741, \"min\": 0, "
        "\"max\": 3.0000003999999998, \"p1\": 0.030000004, \"p5\": 0.15000002000000001}}}\n",
        reference_facts);

    assert_non_null(expected);
    data.n_series = 1;
    check_text(VMAFX_REPORT_NDJSON, &data, expected);
}

static void frames_without_any_value_are_left_out(void **state)
{
    static const Values holes = { { 1, 2, 3 }, { NAN, NAN, NAN }, { NAN, 4, NAN } };
    VmafxReportData data = small_result();

    data.ctx = &holes;
    assert_true(vmafx_report_has_frame(&data, 0) && vmafx_report_has_frame(&data, 2));
    assert_false(vmafx_report_has_frame(&data, 1));
    assert_false(vmafx_report_has_frame(&data, 3));
    check_text(VMAFX_REPORT_CSV, &data,
               "frame,time,integer_motion2,\"a,\"\"b\"\"\",vmaf\r\n"
               "0,0.000000,1,2,3\r\n"
               "2,0.080000,,4,\r\n");
}

static void json_strings_are_valid_whatever_the_bytes(void **state)
{
    static const struct {
        const char *why, *in, *out;
    } cases[] = {
        { "plain", "a/b c", "\"a/b c\"" },
        { "quote and backslash", "\"\\", "\"\\\"\\\\\"" },
        { "control characters", "\n\t\x01\x7f", "\"\\n\\u0009\\u0001\\u007f\"" },
        { "two, three and four bytes", "\xc3\xa9\xe2\x82\xac\xf0\x9f\x8e\xac",
          "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x8e\xac\"" },
        { "stray continuation", "a\x80z", "\"a\\ufffdz\"" },
        { "overlong slash", "\xc0\xaf", "\"\\ufffd\\ufffd\"" },
        { "overlong three bytes", "\xe0\x80\xaf", "\"\\ufffd\\ufffd\\ufffd\"" },
        { "surrogate", "\xed\xa0\x80", "\"\\ufffd\\ufffd\\ufffd\"" },
        { "above U+10FFFF", "\xf4\x90\x80\x80", "\"\\ufffd\\ufffd\\ufffd\\ufffd\"" },
        { "cut at the end", "\xe2\x82", "\"\\ufffd\\ufffd\"" },
        { "latin-1", "caf\xe9.y4m", "\"caf\\ufffd.y4m\"" },
    };

    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        char *text = NULL;
        size_t len = 0;
        FILE *out = open_memstream(&text, &len);

        assert_non_null(out);
        vmafx_json_string(out, cases[i].in);
        fclose(out);
        if (strcmp(text, cases[i].out))
            fail_msg("%s: %s, not %s", cases[i].why, text, cases[i].out);
        free(text);
    }
}

static void numbers_have_a_point_in_every_locale(void **state)
{
    static const char *const commas[] = { "de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "de_DE" };
    VmafxReportData data = small_result();
    bool found = false;

    for (size_t i = 0; i < VMAFX_LEN(commas) && !found; i++)
        found = setlocale(LC_ALL, commas[i]);
    if (!found)
        skip();
    data.n_series = 1;
    data.frames = 1;
    check_text(VMAFX_REPORT_REFERENCE_SUB, &data, "{0}{1}frame: 0|integer_motion2: 0.000000|\n");
    setlocale(LC_ALL, "C");
}

static void a_full_disk_is_an_error(void **state)
{
    VmafxReportData data = small_result();
    FILE *full = fopen("/dev/full", "we");

    if (!full)
        skip();
    assert_int_equal(vmafx_report_write(full, VMAFX_REPORT_JSON, &data), VMAFX_ERR_IO);
    fclose(full);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_get_six_digits_or_sixteen),
        cmocka_unit_test(percentiles_lie_between_order_statistics),
        cmocka_unit_test(pooling_wants_a_value_for_every_frame),
        cmocka_unit_test(reference_json_is_the_reference_tools),
        cmocka_unit_test(reference_json_has_null_for_no_rate_and_lists_aggregates),
        cmocka_unit_test(reference_xml_is_the_reference_tools),
        cmocka_unit_test(reference_csv_shifts_columns_where_a_value_is_absent),
        cmocka_unit_test(reference_sub_is_the_reference_tools),
        cmocka_unit_test(own_csv_keeps_every_column),
        cmocka_unit_test(own_json_says_what_was_compared_and_how),
        cmocka_unit_test(ndjson_has_header_frames_and_summary),
        cmocka_unit_test(frames_without_any_value_are_left_out),
        cmocka_unit_test(json_strings_are_valid_whatever_the_bytes),
        cmocka_unit_test(numbers_have_a_point_in_every_locale),
        cmocka_unit_test(a_full_disk_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* JSON to messages: what is let in, what is refused and by what sentence, and that what we write can be read. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"
#include "rpc/message.h"

#define SPEC (&vmafx__v1__job_spec__descriptor)

static VmafxErr read_as(const ProtobufCMessageDescriptor *type, const char *text, size_t budget, const char *path,
                        VmafxMessage **ret, VmafxErrInfo *info)
{
    *info = (VmafxErrInfo){ "" };
    return vmafx_message_from_json(type, text, strlen(text), budget, path, ret, info);
}

static void a_job_is_read_with_all_that_it_can_have(void **state)
{
    static const char text[] =
        "{\"reference\":{\"uri\":\"/clips/a.yuv\",\"raw\":{\"width\":16,\"height\":8,\"bit_depth\":10,"
        "\"pixel_format\":\"420\"}},\"encode\":{\"encoder\":\"libx264\",\"crf\":23},"
        "\"models\":[{\"version\":\"v\",\"overloads\":[{\"key\":\"k\",\"value\":\"Größe\"}]},{\"disable_clip\":true}],"
        "\"comparison\":{\"scaling\":\"SCALING_SIZE\",\"first_frame\":\"9007199254740993\"},\"priority\":-7}";
    VMAFX_AUTO(vmafx_message_free) VmafxMessage *message = NULL;
    VmafxErrInfo info;

    assert_int_equal(read_as(SPEC, text, 0, "", &message, &info), VMAFX_OK);
    const Vmafx__V1__JobSpec *spec = vmafx_message_get(message);
    assert_string_equal(spec->reference->uri, "/clips/a.yuv");
    assert_int_equal(spec->reference->raw->bit_depth, 10);
    assert_int_equal(spec->distorted_source_case, VMAFX__V1__JOB_SPEC__DISTORTED_SOURCE_ENCODE);
    assert_int_equal(spec->encode->rate_case, VMAFX__V1__ENCODE_RECIPE__RATE_CRF);
    assert_true(spec->encode->crf == 23);
    assert_string_equal(spec->encode->preset, "");
    assert_int_equal(spec->n_models, 2);
    assert_string_equal(spec->models[0]->overloads[0]->value, "Größe");
    assert_true(spec->models[1]->disable_clip);
    assert_int_equal(spec->comparison->scaling, VMAFX__V1__SCALING__SCALING_SIZE);
    assert_true(spec->comparison->first_frame == 9007199254740993);
    assert_int_equal(spec->priority, -7);
}

static void null_and_an_empty_list_leave_a_member_out(void **state)
{
    VMAFX_AUTO(vmafx_message_free) VmafxMessage *message = NULL;
    VmafxErrInfo info;

    assert_int_equal(read_as(SPEC,
                             "{\"distorted\":null,\"encode\":{\"encoder\":\"x\"},\"priority\":null,\"labels\":[],"
                             "\"comparison\":null}",
                             0, "", &message, &info),
                     VMAFX_OK);
    const Vmafx__V1__JobSpec *spec = vmafx_message_get(message);
    assert_int_equal(spec->distorted_source_case, VMAFX__V1__JOB_SPEC__DISTORTED_SOURCE_ENCODE);
    assert_int_equal(spec->n_labels, 0);
    assert_null(spec->comparison);
}

static void what_is_not_the_message_is_refused_by_its_path(void **state)
{
    static const struct {
        const char *why, *text, *sentence;
    } cases[] = {
        { "nothing", "", "not JSON: " },
        { "not an object", "[]", "job: must be an object" },
        { "cut", "{\"priority\":1", "not JSON: " },
        { "something behind it", "{} {}", "not JSON: " },
        { "a member that is not there", "{\"prio\":1}", "job.prio: there is no such member" },
        { "inside a list", "{\"models\":[{},{\"versoin\":\"\"}]}", "job.models[1].versoin: there is no such member" },
        { "a name as protobuf's JSON has it", "{\"timeoutMs\":1}", "job.timeoutMs: there is no such member" },
        { "a member twice", "{\"priority\":1,\"priority\":1}", "not JSON: duplicate object key" },
        { "two of a oneof", "{\"distorted\":{},\"encode\":{}}",
          "job.encode: only one of its kind may be given, and distorted is" },
        { "a text for a number", "{\"priority\":\"1\"}", "job.priority: must be a whole number" },
        { "a fraction", "{\"priority\":1.0}", "job.priority: must be a whole number" },
        { "beyond 32 bits", "{\"priority\":2147483648}", "job.priority: must be a whole number of 32 bits" },
        { "below them", "{\"priority\":-2147483649}", "job.priority: must be a whole number of 32 bits" },
        { "beyond 64 bits", "{\"timeout_ms\":9223372036854775808}", "not JSON: too big integer" },
        { "as a text too", "{\"timeout_ms\":\"9223372036854775808\"}", "job.timeout_ms: must be a whole number of 64" },
        { "a number with a sign in a text", "{\"timeout_ms\":\"+1\"}", "job.timeout_ms: must be a whole number" },
        { "leading zeroes", "{\"timeout_ms\":\"01\"}", "job.timeout_ms: must be a whole number" },
        { "an empty text", "{\"timeout_ms\":\"\"}", "job.timeout_ms: must be a whole number" },
        { "a number for a text", "{\"idempotency_key\":1}", "job.idempotency_key: must be a string" },
        { "a zero in a text", "{\"idempotency_key\":\"a\\u0000b\"}", "not JSON: " },
        { "not UTF-8", "{\"idempotency_key\":\"\xff\"}", "not JSON: " },
        { "1 for true", "{\"comparison\":{\"allow_hdr\":1}}", "job.comparison.allow_hdr: must be true or false" },
        { "an enum's number", "{\"comparison\":{\"scaling\":1}}",
          "job.comparison.scaling: must be one of SCALING_NONE, SCALING_REFERENCE, SCALING_SIZE" },
        { "a word that is none of an enum", "{\"comparison\":{\"scaling\":\"none\"}}",
          "job.comparison.scaling: must be" },
        { "a text for a fraction", "{\"encode\":{\"crf\":\"23\"}}", "job.encode.crf: must be a number" },
        { "a number that no double holds", "{\"encode\":{\"crf\":1e999}}", "not JSON: " },
        { "NaN without quotes", "{\"encode\":{\"crf\":NaN}}", "not JSON: " },
        { "an object for a list", "{\"models\":{}}", "job.models: must be a list" },
        { "null in a list", "{\"models\":[null]}", "job.models[0]: must be an object" },
        { "a list for an object", "{\"comparison\":[]}", "job.comparison: must be an object" },
        { "control characters in a name", "{\"a\\nb\\u001b\":1}", "job.a?b?: there is no such member" },
    };

    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        VMAFX_AUTO(vmafx_message_free) VmafxMessage *message = NULL;
        VmafxErrInfo info;

        if (read_as(SPEC, cases[i].text, 0, "job", &message, &info) != VMAFX_ERR_SYNTAX || message ||
            strncmp(info.message, cases[i].sentence, strlen(cases[i].sentence)) != 0)
            fail_msg("%s: %s", cases[i].why, info.message);
    }
}

static void without_a_name_the_members_stand_for_themselves(void **state)
{
    VMAFX_AUTO(vmafx_message_free) VmafxMessage *message = NULL;
    VmafxErrInfo info;

    assert_int_equal(read_as(SPEC, "{\"priority\":true}", 0, "", &message, &info), VMAFX_ERR_SYNTAX);
    assert_string_equal(info.message, "priority: must be a whole number");
    assert_int_equal(read_as(SPEC, "7", 0, "", &message, &info), VMAFX_ERR_SYNTAX);
    assert_non_null(strstr(info.message, "JSON"));
    assert_int_equal(read_as(SPEC, "[]", 0, "", &message, &info), VMAFX_ERR_SYNTAX);
    assert_string_equal(info.message, "the document: must be an object");
}

static void bytes_are_canonical_base64(void **state)
{
    static const struct {
        const char *why, *text;
        int len; /* −1: refused */
    } cases[] = {
        { "none", "", 0 },
        { "one", "AQ==", 1 },
        { "two", "AQI=", 2 },
        { "three", "AQID", 3 },
        { "four", "AQIDBA==", 4 },
        { "both odd digits", "+/+/", 3 },
        { "no padding", "AQ", -1 },
        { "stray bits", "AR==", -1 },
        { "stray bits of two", "AQJ=", -1 },
        { "all padding", "====", -1 },
        { "padding inside", "A=Q=", -1 },
        { "three pads", "A===", -1 },
        { "a blank", "AQ I", -1 },
        { "digits of addresses", "-_-_", -1 },
    };

    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        VMAFX_AUTO(vmafx_message_free) VmafxMessage *message = NULL;
        VmafxErrInfo info;
        char text[64];

        snprintf(text, sizeof text, "{\"data\":\"%s\"}", cases[i].text);
        VmafxErr err = read_as(&vmafx__v1__result_chunk__descriptor, text, 0, "", &message, &info);
        if (err != (cases[i].len < 0 ? VMAFX_ERR_SYNTAX : VMAFX_OK))
            fail_msg("%s: %s", cases[i].why, info.message);
        if (!err)
            assert_int_equal(((const Vmafx__V1__ResultChunk *)vmafx_message_get(message))->data.len, cases[i].len);
    }
}

static void what_is_written_can_be_read(void **state)
{
    static const double numbers[] = { 0, -0.0, 0.1, 1e300, 5e-324, 76.66890519623612, 12345678901234568 };
    double weird[] = { 0.0 / 0.0, 1.0 / 0.0, -1.0 / 0.0 };
    Vmafx__V1__Column column = VMAFX__V1__COLUMN__INIT, *columns[] = { &column };
    Vmafx__V1__Frames frames = VMAFX__V1__FRAMES__INIT;
    VMAFX_AUTO(vmafx_message_free) VmafxMessage *message = NULL;
    VmafxErrInfo info;

    frames.first = INT64_MIN;
    frames.n_columns = 1;
    frames.columns = columns;
    column.n_values = VMAFX_LEN(numbers);
    column.values = (double *)numbers;
    VMAFX_AUTO(vmafx_free_p) char *text = vmafx_message_json(&frames.base);
    assert_int_equal(read_as(&vmafx__v1__frames__descriptor, text, 0, "", &message, &info), VMAFX_OK);
    const Vmafx__V1__Frames *got = vmafx_message_get(message);
    assert_true(got->first == INT64_MIN);
    assert_memory_equal(got->columns[0]->values, numbers, sizeof numbers);

    column.n_values = VMAFX_LEN(weird);
    column.values = weird;
    VMAFX_AUTO(vmafx_free_p) char *odd = vmafx_message_json(&frames.base);
    VMAFX_AUTO(vmafx_message_free) VmafxMessage *second = NULL;
    assert_int_equal(read_as(&vmafx__v1__frames__descriptor, odd, 0, "", &second, &info), VMAFX_OK);
    got = vmafx_message_get(second);
    assert_true(got->columns[0]->values[0] != got->columns[0]->values[0]);
    assert_memory_equal(got->columns[0]->values + 1, weird + 1, 2 * sizeof(double));
}

static void memory_and_depth_have_limits(void **state)
{
    enum { N = 100000 };
    VMAFX_AUTO(vmafx_free_p) char *text = calloc(1, 4 * N + 64);
    VMAFX_AUTO(vmafx_message_free) VmafxMessage *message = NULL;
    VmafxErrInfo info;

    strcpy(text, "{\"models\":[{}");
    for (size_t i = 1; i < N; i++)
        memcpy(text + strlen("{\"models\":[{}") + 3 * (i - 1), ",{}", 4);
    strcpy(text + strlen("{\"models\":[{}") + 3 * (N - 1), "]}");
    assert_int_equal(read_as(SPEC, text, 0, "", &message, &info), VMAFX_ERR_LIMIT);
    assert_non_null(strstr(info.message, "16777216"));

    strcpy(text, "{\"idempotency_key\":\"");
    memset(text + strlen(text), 'k', 5000);
    strcpy(text + 5020, "\"}");
    assert_int_equal(read_as(SPEC, text, 4096, "", &message, &info), VMAFX_ERR_LIMIT);
    assert_int_equal(read_as(SPEC, text, 8192, "", &message, &info), VMAFX_OK);

    memset(text, '[', N);
    text[N] = 0;
    assert_int_equal(read_as(SPEC, text, 0, "", &message, &info), VMAFX_ERR_LIMIT);
    assert_string_equal(info.message, "the JSON is nested deeper than 64 levels");
}

static void a_long_path_is_cut_and_stays_a_text(void **state)
{
    char text[600];
    VMAFX_AUTO(vmafx_message_free) VmafxMessage *message = NULL;
    VmafxErrInfo info;

    strcpy(text, "{\"");
    for (size_t i = 0; i < 100; i++)
        strcpy(text + 2 + 3 * i, "€");
    strcpy(text + 302, "\":1}");
    assert_int_equal(read_as(SPEC, text, 0, "job", &message, &info), VMAFX_ERR_SYNTAX);
    assert_int_equal(strlen(info.message), 4 + 63 + strlen(": there is no such member"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_job_is_read_with_all_that_it_can_have),
        cmocka_unit_test(null_and_an_empty_list_leave_a_member_out),
        cmocka_unit_test(what_is_not_the_message_is_refused_by_its_path),
        cmocka_unit_test(without_a_name_the_members_stand_for_themselves),
        cmocka_unit_test(bytes_are_canonical_base64),
        cmocka_unit_test(what_is_written_can_be_read),
        cmocka_unit_test(memory_and_depth_have_limits),
        cmocka_unit_test(a_long_path_is_cut_and_stays_a_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

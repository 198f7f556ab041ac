/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Messages: what is let in, what is refused and how it is named, and how they look as JSON. */

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

/* The bytes of a literal, zeroes inside it too. */
#define BYTES(text) text, sizeof(text) - 1

static VmafxErr unpack(const ProtobufCMessageDescriptor *type, const void *data, size_t len, size_t budget,
                       VmafxErrInfo *info)
{
    VMAFX_AUTO(vmafx_message_free) VmafxMessage *message = NULL;

    *info = (VmafxErrInfo){ "" };
    return vmafx_message_unpack(type, data, len, budget, &message, info);
}

static void a_message_comes_back_as_it_went_out(void **state)
{
    Vmafx__V1__KeyValue label = VMAFX__V1__KEY_VALUE__INIT, *labels[] = { &label };
    Vmafx__V1__Input reference = VMAFX__V1__INPUT__INIT;
    Vmafx__V1__JobSpec spec = VMAFX__V1__JOB_SPEC__INIT;
    VMAFX_AUTO(vmafx_message_free) VmafxMessage *message = NULL;
    VMAFX_AUTO(vmafx_free_p) uint8_t *bytes = NULL;
    size_t len;

    label.key = (char *)"kind";
    label.value = (char *)"Größe 🎬";
    reference.uri = (char *)"/clips/a.y4m";
    spec.reference = &reference;
    spec.labels = labels;
    spec.n_labels = 1;
    spec.priority = -7;
    assert_int_equal(vmafx_message_pack(&spec.base, &bytes, &len), VMAFX_OK);
    assert_int_equal(vmafx_message_unpack(SPEC, bytes, len, 0, &message, NULL), VMAFX_OK);
    const Vmafx__V1__JobSpec *got = vmafx_message_get(message);
    assert_string_equal(got->reference->uri, "/clips/a.y4m");
    assert_string_equal(got->labels[0]->value, "Größe 🎬");
    assert_int_equal(got->priority, -7);
}

static void an_empty_message_is_one(void **state)
{
    VMAFX_AUTO(vmafx_message_free) VmafxMessage *message = NULL;

    assert_int_equal(vmafx_message_unpack(SPEC, NULL, 0, 0, &message, NULL), VMAFX_OK);
    assert_int_equal(((const Vmafx__V1__JobSpec *)vmafx_message_get(message))->n_models, 0);
}

static void texts_are_utf8_without_a_zero_and_the_error_names_the_field(void **state)
{
    static const struct {
        const char *why, *text;
        size_t len;
        bool good;
    } texts[] = {
        { "ASCII", BYTES("plain"), true },
        { "empty", BYTES(""), true },
        { "two, three and four bytes", BYTES("\xc3\xa4\xe2\x82\xac\xf0\x9f\x8e\xac"), true },
        { "the last code point", BYTES("\xf4\x8f\xbf\xbf"), true },
        { "the last before the surrogates", BYTES("\xed\x9f\xbf"), true },
        { "a zero byte, where C would cut", BYTES("a\0b"), false },
        { "nothing but a zero byte", BYTES("\0"), false },
        { "a lone continuation", BYTES("\x80"), false },
        { "cut in the middle", BYTES("\xe2\x82"), false },
        { "a longer form of '/'", BYTES("\xc0\xaf"), false },
        { "a longer form of three bytes", BYTES("\xe0\x80\xaf"), false },
        { "a longer form of four bytes", BYTES("\xf0\x80\x80\xaf"), false },
        { "a surrogate", BYTES("\xed\xa0\x80"), false },
        { "beyond U+10FFFF", BYTES("\xf4\x90\x80\x80"), false },
        { "a byte that never occurs", BYTES("\xff"), false },
    };

    for (size_t i = 0; i < VMAFX_LEN(texts); i++) {
        /* labels (11) with one that is fine, and one whose value (2) is the text */
        uint8_t bytes[64] = { 0x5a, 3, 0x0a, 1, 'k', 0x5a, (uint8_t)(2 + texts[i].len), 0x12, (uint8_t)texts[i].len };
        VmafxErrInfo info;

        memcpy(bytes + 9, texts[i].text, texts[i].len);
        VmafxErr err = unpack(SPEC, bytes, 9 + texts[i].len, 0, &info);
        if (err != (texts[i].good ? VMAFX_OK : VMAFX_ERR_SYNTAX))
            fail_msg("%s: %s", texts[i].why, vmafx_err_name(err));
        if (err && !strstr(info.message, "labels[1].value"))
            fail_msg("%s: '%s' does not name the field", texts[i].why, info.message);
    }
}

static void what_is_not_the_message_is_refused(void **state)
{
    static const struct {
        const char *why;
        const char *data;
        size_t len;
        const char *says;
    } bad[] = {
        { "no field has number 0", BYTES("\x00\x01"), "byte 0" },
        { "a number without an end", BYTES("\x38\xff"), "byte 0" },
        { "a number of eleven bytes", BYTES("\x38\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), "byte 0" },
        { "longer than the message", BYTES("\x62\x05hi"), "byte 0" },
        { "longer than memory", BYTES("\x62\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01hi"), "byte 0" },
        { "a group", BYTES("\x7b\x7c"), "byte 0" },
        { "a second field that is none", BYTES("\x38\x01\x3f"), "byte 2" },
        { "a broken one inside", BYTES("\x0a\x02\x0a\x05"), "reference" },
        { "a number where a text belongs", BYTES("\x60\x01"), "JobSpec" },
        { "a text where a number belongs", BYTES("\x3a\x01x"), "JobSpec" },
    };

    for (size_t i = 0; i < VMAFX_LEN(bad); i++) {
        VmafxErrInfo info;
        VmafxErr err = unpack(SPEC, bad[i].data, bad[i].len, 0, &info);

        if (err != VMAFX_ERR_SYNTAX || !strstr(info.message, bad[i].says))
            fail_msg("%s: %s '%s'", bad[i].why, vmafx_err_name(err), info.message);
    }
}

static void a_small_message_cannot_take_a_lot_of_memory(void **state)
{
    enum { N = 1 << 20 };
    VMAFX_AUTO(vmafx_free_p) uint8_t *bytes = malloc(2 * N);
    VmafxErrInfo info;

    assert_non_null(bytes);
    for (size_t i = 0; i < N; i++) { /* empty labels: 2 bytes each, 40 and more in memory */
        bytes[2 * i] = 0x5a;
        bytes[2 * i + 1] = 0;
    }
    assert_int_equal(unpack(SPEC, bytes, 2 * N, 0, &info), VMAFX_ERR_LIMIT);
    assert_non_null(strstr(info.message, "16777216"));
    assert_int_equal(unpack(SPEC, bytes, 200, 0, &info), VMAFX_OK);
}

static void every_budget_is_enough_or_is_refused(void **state)
{
    static const char bytes[] = "\x0a\x0e\x0a\x0c/clips/a.y4m\x5a\x06\x0a\x01k\x12\x01v\x5a\x06\x0a\x01l\x12\x01w";
    bool passed = false;

    for (size_t budget = 1; budget < 4000; budget++) {
        VmafxErrInfo info;
        VmafxErr err = unpack(SPEC, bytes, sizeof bytes - 1, budget, &info);

        if (err && (err != VMAFX_ERR_LIMIT || passed))
            fail_msg("budget %zu: %s", budget, vmafx_err_name(err));
        passed |= !err;
    }
    assert_true(passed);
}

/* protobuf-c reads messages by recursion, and so do we: the depth has to be that of the types. */
static int depth_of(const ProtobufCMessageDescriptor *type, int limit)
{
    int deepest = 0;

    if (!limit)
        fail_msg("%s is in a circle", type->name);
    for (unsigned i = 0; i < type->n_fields; i++)
        if (type->fields[i].type == PROTOBUF_C_TYPE_MESSAGE)
            deepest = VMAFX_MAX(deepest, depth_of(type->fields[i].descriptor, limit - 1));
    return deepest + 1;
}

static void none_of_our_messages_contains_itself(void **state)
{
    static const ProtobufCMessageDescriptor *const roots[] = {
        &vmafx__v1__node_message__descriptor,
        &vmafx__v1__controller_message__descriptor,
        &vmafx__v1__job__descriptor,
        &vmafx__v1__stored_result__descriptor,
        &vmafx__v1__submit_jobs_request__descriptor,
        &vmafx__v1__submit_jobs_response__descriptor,
        &vmafx__v1__get_result_response__descriptor,
        &vmafx__v1__watch_job_response__descriptor,
        &vmafx__scorer__v1__scorer_request__descriptor,
        &vmafx__scorer__v1__scorer_event__descriptor,
        &vmafx__scorer__v1__child_message__descriptor,
    };

    for (size_t i = 0; i < VMAFX_LEN(roots); i++)
        assert_in_range(depth_of(roots[i], 20), 1, 19);
}

/* ---- JSON ---- */

static void assert_json(const ProtobufCMessage *message, const char *expected)
{
    VMAFX_AUTO(vmafx_free_p) char *json = vmafx_message_json(message);

    assert_non_null(json);
    assert_string_equal(json, expected);
}

static void json_has_names_as_in_the_files_and_all_plain_fields(void **state)
{
    Vmafx__V1__Progress progress = VMAFX__V1__PROGRESS__INIT;
    Vmafx__V1__KeyValue pair = VMAFX__V1__KEY_VALUE__INIT;
    Vmafx__V1__EncodeRecipe recipe = VMAFX__V1__ENCODE_RECIPE__INIT;
    Vmafx__V1__ResultChunk chunk = VMAFX__V1__RESULT_CHUNK__INIT;
    Vmafx__V1__AttemptRef attempt = VMAFX__V1__ATTEMPT_REF__INIT;

    progress.frames = 12;
    progress.frame_rate = 29.97;
    assert_json(&progress.base, "{\"frames\":12,\"frames_total\":0,\"frame_rate\":29.97}");
    progress.frames = ((int64_t)1 << 53) + 1;
    progress.frames_total = -((int64_t)1 << 53);
    progress.frame_rate = 1.0 / 0.0;
    assert_json(&progress.base, "{\"frames\":\"9007199254740993\",\"frames_total\":-9007199254740992,"
                                "\"frame_rate\":\"Infinity\"}");
    pair.key = (char *)"a\"b\\c";
    pair.value = (char *)"tab\t, line\n, bell\x07, ä";
    assert_json(&pair.base, "{\"key\":\"a\\\"b\\\\c\",\"value\":\"tab\\u0009, line\\n, bell\\u0007, ä\"}");
    recipe.encoder = (char *)"libx264";
#define REST ",\"options\":[],\"codec\":\"\",\"gop\":0,\"pixel_format\":\"\",\"width\":0,\"height\":0,\"keep\":false}"
    assert_json(&recipe.base, "{\"encoder\":\"libx264\",\"preset\":\"\"" REST);
    recipe.rate_case = VMAFX__V1__ENCODE_RECIPE__RATE_CRF; /* of a oneof, zero is a value */
    assert_json(&recipe.base, "{\"encoder\":\"libx264\",\"preset\":\"\",\"crf\":0" REST);
    attempt.job_id = (char *)"j";
    chunk.attempt = &attempt;
    static const char *const base64[] = { "", "AP8=", "AP8Q" };
    static const size_t lengths[] = { 0, 2, 3 };
    for (size_t i = 0; i < VMAFX_LEN(base64); i++) {
        char expected[128];

        chunk.data = (ProtobufCBinaryData){ lengths[i], (uint8_t *)"\x00\xff\x10" };
        snprintf(expected, sizeof expected,
                 "{\"attempt\":{\"job_id\":\"j\",\"attempt\":0},\"offset\":0,\"data\":\"%s\"}", base64[i]);
        assert_json(&chunk.base, expected);
    }
}

static void json_has_enums_by_name_and_those_of_newer_peers_by_number(void **state)
{
    Vmafx__V1__Comparison comparison = VMAFX__V1__COMPARISON__INIT;

    comparison.scaling = VMAFX__V1__SCALING__SCALING_SIZE;
    VMAFX_AUTO(vmafx_free_p) char *named = vmafx_message_json(&comparison.base);
    assert_non_null(strstr(named, "\"scaling\":\"SCALING_SIZE\""));
    assert_non_null(strstr(named, "\"allow_hdr\":false"));
    comparison.scaling = (Vmafx__V1__Scaling)99;
    VMAFX_AUTO(vmafx_free_p) char *numbered = vmafx_message_json(&comparison.base);
    assert_non_null(strstr(numbered, "\"scaling\":99"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_comes_back_as_it_went_out),
        cmocka_unit_test(an_empty_message_is_one),
        cmocka_unit_test(texts_are_utf8_without_a_zero_and_the_error_names_the_field),
        cmocka_unit_test(what_is_not_the_message_is_refused),
        cmocka_unit_test(a_small_message_cannot_take_a_lot_of_memory),
        cmocka_unit_test(every_budget_is_enough_or_is_refused),
        cmocka_unit_test(none_of_our_messages_contains_itself),
        cmocka_unit_test(json_has_names_as_in_the_files_and_all_plain_fields),
        cmocka_unit_test(json_has_enums_by_name_and_those_of_newer_peers_by_number),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

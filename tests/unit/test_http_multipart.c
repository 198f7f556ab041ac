/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* multipart/form-data, taken apart while it arrives. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"
#include "http/multipart.h"
#include "http/target.h"

#define TYPE "multipart/form-data; boundary=b"
/* A part with this disposition behind form-data, and this data. */
#define PART(rest, data) "--b\r\nContent-Disposition: form-data" rest "\r\n\r\n" data "\r\n"
#define END              "--b--\r\n"

/* What came out, as text: one line a part, "name|filename or -|type or -|data". */
typedef struct Got {
    char text[8192];
    size_t len;
    VmafxErr fail_with; /* what the data callback answers */
} Got;

static void put(Got *got, const char *data, size_t len)
{
    assert_true(got->len + len < sizeof got->text);
    memcpy(got->text + got->len, data, len);
    got->len += len;
    got->text[got->len] = 0;
}

static VmafxErr on_begin(void *ctx, const VmafxMultipartHead *head, VmafxErrInfo *reterr)
{
    char line[1024];
    int n = snprintf(line, sizeof line, "%s|%s|%s|", head->name, head->has_filename ? head->filename : "-",
                     head->has_type ? head->type : "-");

    put(ctx, line, (size_t)n);
    return VMAFX_OK;
}

static VmafxErr on_data(void *ctx, const char *data, size_t len, VmafxErrInfo *reterr)
{
    Got *got = ctx;

    assert_true(len > 0);
    if (got->fail_with)
        return vmafx_fail(reterr, got->fail_with, "no room");
    put(ctx, data, len);
    return VMAFX_OK;
}

static VmafxErr on_end(void *ctx, VmafxErrInfo *reterr)
{
    put(ctx, "\n", 1);
    return VMAFX_OK;
}

static VmafxErr start(VmafxMultipart *m, const char *type, int parts_max, Got *got, VmafxErrInfo *info)
{
    return vmafx_multipart_init(m, type, parts_max, (VmafxMultipartSink){ on_begin, on_data, on_end, got }, info);
}

static VmafxErr read_in_pieces(const char *type, const char *body, size_t len, size_t step, Got *got,
                               VmafxErrInfo *info)
{
    VmafxMultipart m;
    VmafxErr err = start(&m, type, 4, got, info);

    for (size_t at = 0; !err && at < len; at += step)
        err = vmafx_multipart_add(&m, body + at, VMAFX_MIN(step, len - at), info);
    return err ? err : vmafx_multipart_end(&m, info);
}

static void a_body_comes_apart_into_its_parts(void **state)
{
    static const struct {
        const char *why, *type, *body, *expected;
    } cases[] = {
        { "one field", TYPE, PART("; name=\"a\"", "1") END, "a|-|-|1\n" },
        { "no line end behind the last boundary", TYPE, PART("; name=a", "1") "--b--", "a|-|-|1\n" },
        { "empty data", TYPE, PART("; name=a", "") END, "a|-|-|\n" },
        { "a file with a type", TYPE,
          "--b\r\ncontent-type:video/mp4 \r\nCONTENT-DISPOSITION:  Form-Data ;name=v; filename=\"x.mp4\"\r\n\r\n"
          "data\r\n" END,
          "v|x.mp4|video/mp4|data\n" },
        { "a file that was not chosen", TYPE, PART("; name=v; filename=\"\"", "") END, "v||-|\n" },
        { "the same name twice", TYPE, PART("; name=a", "1") PART("; name=a", "2") END, "a|-|-|1\na|-|-|2\n" },
        { "almost a boundary", TYPE, PART("; name=a", "\r\r\n-\r\n--\r\n-\r\r\n--c\r") END,
          "a|-|-|\r\r\n-\r\n--\r\n-\r\r\n--c\r\n" },
        { "data like a boundary without its line", TYPE, PART("; name=a", "-x--b--y") END, "a|-|-|-x--b--y\n" },
        { "a boundary in quotes, another parameter", "Multipart/Form-Data; charset=utf-8; boundary=\"b c\"",
          "--b c\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n--b c--", "a|-|-|1\n" },
        { "quotes in names", TYPE, PART("; name=\"a\\\"b\\\\\"; filename=\"x\\\"y\"", "1") END, "a\"b\\|x\"y|-|1\n" },
        { "a path is no part of a filename", TYPE, PART("; name=a; filename=\"../../etc/passwd\"", "1") END,
          "a|passwd|-|1\n" },
        { "nor is one of Windows", TYPE, PART("; name=a; filename=\"C:\\dir\\clip.y4m\"", "1") END,
          "a|clip.y4m|-|1\n" },
        { "nor one of both", TYPE, PART("; name=a; filename=\"a\\b/..\\\\\"", "1") END, "a||-|1\n" },
        { "not ASCII", TYPE, PART("; name=\"\xC3\xA4\"", "\xFF") END, "\xC3\xA4|-|-|\xFF\n" },
        { "a coding that changes nothing, and a header nobody knows", TYPE,
          "--b\r\nX-A:\r\nContent-Transfer-Encoding: BINARY\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n" END,
          "a|-|-|1\n" },
    };

    (void)state;
    for (size_t i = 0; i < VMAFX_LEN(cases); i++)
        for (size_t step = 1; step <= strlen(cases[i].body); step++) {
            Got got = { 0 };
            VmafxErrInfo info = { 0 };

            if (read_in_pieces(cases[i].type, cases[i].body, strlen(cases[i].body), step, &got, &info))
                fail_msg("%s, in pieces of %zu: %s", cases[i].why, step, info.message);
            if (strcmp(got.text, cases[i].expected) != 0)
                fail_msg("%s, in pieces of %zu: %s", cases[i].why, step, got.text);
        }
}

static void a_body_that_two_readers_could_read_differently_is_refused_however_it_is_cut(void **state)
{
#define FIELD "Content-Disposition: form-data; name=a\r\n"
    static const struct {
        const char *why, *body;
        VmafxErr err;
    } bad[] = {
        { "empty", "", VMAFX_ERR_TRUNCATED },
        { "no part", "--b--\r\n", VMAFX_ERR_SYNTAX },
        { "another boundary", "--c\r\n" FIELD "\r\n1\r\n--c--", VMAFX_ERR_SYNTAX },
        { "a preamble", "hello\r\n" PART("; name=a", "1") END, VMAFX_ERR_SYNTAX },
        { "an empty line before", "\r\n" PART("; name=a", "1") END, VMAFX_ERR_SYNTAX },
        { "an epilogue", PART("; name=a", "1") END "x", VMAFX_ERR_SYNTAX },
        { "a second body behind", PART("; name=a", "1") END PART("; name=b", "1") END, VMAFX_ERR_SYNTAX },
        { "half a line end behind it", PART("; name=a", "1") "--b--\r", VMAFX_ERR_TRUNCATED },
        { "the last boundary cut", PART("; name=a", "1") "--b-", VMAFX_ERR_TRUNCATED },
        { "no last boundary", PART("; name=a", "1"), VMAFX_ERR_TRUNCATED },
        { "cut in the headers", "--b\r\nContent-Disp", VMAFX_ERR_TRUNCATED },
        { "blanks behind a boundary", "--b \r\n" FIELD "\r\n1\r\n" END, VMAFX_ERR_SYNTAX },
        { "a longer boundary", "--b\r\n" FIELD "\r\n1\r\n--bc\r\n", VMAFX_ERR_SYNTAX },
        { "line feeds alone", "--b\nContent-Disposition: form-data; name=a\n\n1\n--b--", VMAFX_ERR_SYNTAX },
        { "a bare LF in the headers", "--b\r\nA: b\n" FIELD "\r\n1\r\n" END, VMAFX_ERR_SYNTAX },
        { "a bare CR in the headers", "--b\r\nA: b\rc\r\n" FIELD "\r\n1\r\n" END, VMAFX_ERR_SYNTAX },
        { "a folded header", "--b\r\n" FIELD " ; filename=x\r\n\r\n1\r\n" END, VMAFX_ERR_SYNTAX },
        { "blanks before the colon", "--b\r\nContent-Disposition : form-data; name=a\r\n\r\n1\r\n" END,
          VMAFX_ERR_SYNTAX },
        { "no colon", "--b\r\nhello\r\n\r\n1\r\n" END, VMAFX_ERR_SYNTAX },
        { "no disposition", "--b\r\nContent-Type: text/plain\r\n\r\n1\r\n" END, VMAFX_ERR_SYNTAX },
        { "no headers", "--b\r\n\r\n1\r\n" END, VMAFX_ERR_SYNTAX },
        { "a boundary instead of data", "--b\r\n" FIELD "\r\n--b--\r\n", VMAFX_ERR_SYNTAX },
        { "two dispositions", "--b\r\n" FIELD FIELD "\r\n1\r\n" END, VMAFX_ERR_SYNTAX },
        { "another disposition", "--b\r\nContent-Disposition: attachment; name=a\r\n\r\n1\r\n" END, VMAFX_ERR_SYNTAX },
        { "one like it", "--b\r\nContent-Disposition: form-database; name=a\r\n\r\n1\r\n" END, VMAFX_ERR_SYNTAX },
        { "no name", PART("; filename=x", "1") END, VMAFX_ERR_SYNTAX },
        { "an empty name", PART("; name=\"\"", "1") END, VMAFX_ERR_SYNTAX },
        { "two names", PART("; name=a; NAME=b", "1") END, VMAFX_ERR_SYNTAX },
        { "two filenames", PART("; name=a; filename=b; filename=c", "1") END, VMAFX_ERR_SYNTAX },
        { "filename*", PART("; name=a; filename*=UTF-8''x", "1") END, VMAFX_ERR_SYNTAX },
        { "a quote that does not end", PART("; name=\"a", "1") END, VMAFX_ERR_SYNTAX },
        { "an escaped last quote", PART("; name=\"a\\\"", "1") END, VMAFX_ERR_SYNTAX },
        { "something behind the quote", PART("; name=\"a\"b", "1") END, VMAFX_ERR_SYNTAX },
        { "a parameter without value", PART("; name", "1") END, VMAFX_ERR_SYNTAX },
        { "a semicolon at the end", PART("; name=a;", "1") END, VMAFX_ERR_SYNTAX },
        { "not UTF-8", PART("; name=\"\xFF\"", "1") END, VMAFX_ERR_SYNTAX },
        { "a control character in a filename", PART("; name=a; filename=\"x\x01\"", "1") END, VMAFX_ERR_SYNTAX },
        { "two types", "--b\r\nContent-Type: a/b\r\nContent-Type: a/b\r\n" FIELD "\r\n1\r\n" END, VMAFX_ERR_SYNTAX },
        { "two codings",
          "--b\r\nContent-Transfer-Encoding: 8bit\r\nContent-Transfer-Encoding: 7bit\r\n" FIELD "\r\n1\r\n" END,
          VMAFX_ERR_SYNTAX },
        { "a multipart within", "--b\r\nContent-Type: Multipart/mixed; boundary=c\r\n" FIELD "\r\n1\r\n" END,
          VMAFX_ERR_UNSUPPORTED },
        { "base64", "--b\r\nContent-Transfer-Encoding: base64\r\n" FIELD "\r\n1\r\n" END, VMAFX_ERR_UNSUPPORTED },
        { "five parts where four are allowed",
          PART("; name=a", "1") PART("; name=a", "1") PART("; name=a", "1") PART("; name=a", "1") PART("; name=a", "1")
              END,
          VMAFX_ERR_LIMIT },
        { "17 headers",
          "--b\r\na:\r\na:\r\na:\r\na:\r\na:\r\na:\r\na:\r\na:\r\na:\r\na:\r\na:\r\na:\r\na:\r\na:\r\na:\r\na:"
          "\r\n" FIELD "\r\n1\r\n" END,
          VMAFX_ERR_LIMIT },
    };

    (void)state;
    for (size_t i = 0; i < VMAFX_LEN(bad); i++)
        for (size_t step = 1; step <= strlen(bad[i].body) + 1; step++) {
            Got got = { 0 };
            VmafxErrInfo info = { 0 };
            VmafxErr err = read_in_pieces(TYPE, bad[i].body, strlen(bad[i].body), step, &got, &info);

            if (err != bad[i].err || !*info.message)
                fail_msg("%s, in pieces of %zu: %s '%s'", bad[i].why, step, vmafx_err_name(err), info.message);
        }
}

static void a_boundary_is_what_rfc_2046_allows(void **state)
{
#define TEN "0123456789"
    static const struct {
        const char *why, *type;
        bool good;
    } cases[] = {
        { "every allowed character", "multipart/form-data; boundary=\"aZ09'()+_,-./:=? x\"", true },
        { "70 of them", "multipart/form-data; boundary=" TEN TEN TEN TEN TEN TEN TEN, true },
        { "71", "multipart/form-data; boundary=" TEN TEN TEN TEN TEN TEN TEN "x", false },
        { "none", "multipart/form-data", false },
        { "an empty one", "multipart/form-data; boundary=\"\"", false },
        { "two", "multipart/form-data; boundary=a; boundary=a", false },
        { "a blank at its end", "multipart/form-data; boundary=\"a \"", false },
        { "a character outside", "multipart/form-data; boundary=\"a@\"", false },
        { "a line break", "multipart/form-data; boundary=\"a\nb\"", false },
        { "a comma instead of a semicolon", "multipart/form-data, boundary=a", false },
        { "another type", "multipart/mixed; boundary=a", false },
        { "a type like it", "multipart/form-data2; boundary=a", false },
        { "no type", NULL, false },
    };

    (void)state;
    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        VmafxMultipart m;
        Got got = { 0 };
        VmafxErrInfo info = { 0 };
        VmafxErr err = start(&m, cases[i].type, 4, &got, &info);

        if (err != (cases[i].good ? VMAFX_OK : VMAFX_ERR_SYNTAX) || (err && !*info.message))
            fail_msg("%s: %s", cases[i].why, vmafx_err_name(err));
    }
    assert_true(vmafx_multipart_is("Multipart/Form-Data"));
    assert_true(vmafx_multipart_is(" multipart/form-data;"));
    assert_false(vmafx_multipart_is("multipart/form-datax"));
    assert_false(vmafx_multipart_is("application/json"));
    assert_false(vmafx_multipart_is(NULL));
}

/* A body of one part whose name, filename, type or line has this many bytes. */
static VmafxErr read_sized(const char *before, size_t n, const char *after)
{
    char body[VMAFX_MULTIPART_LINE_MAX * 2], many[VMAFX_MULTIPART_LINE_MAX + 1] = { 0 };
    Got got = { 0 };
    VmafxErrInfo info = { 0 };

    memset(many, 'x', n);
    int len = snprintf(body, sizeof body, "--b\r\n%s%s%s\r\n\r\n1\r\n--b--", before, many, after);
    return read_in_pieces(TYPE, body, (size_t)len, 7, &got, &info);
}

static void texts_of_a_part_have_limits(void **state)
{
#define LINE "Content-Disposition: form-data; name=a\r\nX: "
    static const struct {
        const char *before, *after;
        size_t max;
    } cases[] = {
        { "Content-Disposition: form-data; name=", "", VMAFX_MULTIPART_NAME_MAX },
        { "Content-Disposition: form-data; name=a; filename=", "", VMAFX_MULTIPART_FILENAME_MAX },
        { "Content-Type: ", "\r\nContent-Disposition: form-data; name=a", VMAFX_MULTIPART_TYPE_MAX },
        { LINE, "", VMAFX_MULTIPART_LINE_MAX - 1 - 3 },
    };

    (void)state;
    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        assert_int_equal(read_sized(cases[i].before, cases[i].max, cases[i].after), VMAFX_OK);
        assert_int_equal(read_sized(cases[i].before, cases[i].max + 1, cases[i].after), VMAFX_ERR_LIMIT);
    }
}

static void what_a_callback_answers_ends_the_reading(void **state)
{
    static const char body[] = PART("; name=a", "1") PART("; name=b", "2") END;
    VmafxMultipart m;
    Got got = { .fail_with = VMAFX_ERR_NOMEM };
    VmafxErrInfo info = { 0 };

    (void)state;
    assert_int_equal(start(&m, TYPE, 4, &got, &info), VMAFX_OK);
    assert_int_equal(vmafx_multipart_add(&m, body, sizeof body - 1, &info), VMAFX_ERR_NOMEM);
    assert_string_equal(info.message, "no room");
    assert_string_equal(got.text, "a|-|-|");
    assert_int_equal(vmafx_multipart_add(&m, body, sizeof body - 1, &info), VMAFX_ERR_NOMEM);
    assert_int_equal(vmafx_multipart_end(&m, &info), VMAFX_ERR_NOMEM);
    assert_string_equal(got.text, "a|-|-|");
}

/* Bodies of random pieces that look like delimiters, cut in two at every place and in three at random. */
static void where_a_body_is_cut_makes_no_difference(void **state)
{
    static const char *const bits[] = { "\r\n", "--b", "-", "\r", "b", "--", "\r\n--", "x", "\n", "\r\n--b" };
    static const char head[] = "--b\r\nContent-Disposition: form-data; name=a\r\n\r\n";
    uint32_t seed = 1;

    (void)state;
    for (int round = 0; round < 300; round++) {
        char body[512];
        size_t len = sizeof head - 1;

        memcpy(body, head, len);
        for (int i = 0; i < 12; i++) {
            seed = seed * 1664525 + 1013904223;
            const char *bit = bits[(seed >> 16) % VMAFX_LEN(bits)];
            memcpy(body + len, bit, strlen(bit));
            len += strlen(bit);
        }
        memcpy(body + len, "\r\n--b--", 7);
        len += 7;
        Got whole = { 0 };
        VmafxErrInfo info = { 0 };
        VmafxErr err = read_in_pieces(TYPE, body, len, len, &whole, &info);
        for (size_t cut = 0; cut <= len; cut++) {
            VmafxMultipart m;
            Got got = { 0 };
            size_t second = cut + (len - cut) / 2;

            assert_int_equal(start(&m, TYPE, 4, &got, &info), VMAFX_OK);
            VmafxErr other = vmafx_multipart_add(&m, body, cut, &info);
            other = other ? other : vmafx_multipart_add(&m, body + cut, second - cut, &info);
            other = other ? other : vmafx_multipart_add(&m, body + second, len - second, &info);
            other = other ? other : vmafx_multipart_end(&m, &info);
            if (other != err || strcmp(got.text, whole.text) != 0)
                fail_msg("round %d, cut at %zu and %zu", round, cut, second);
        }
    }
}

static void utf8_is_what_unicode_says(void **state)
{
    (void)state;
    assert_true(vmafx_http_is_utf8("\xF4\x8F\xBF\xBF"));
    assert_false(vmafx_http_is_utf8("\xF4\x90\x80\x80"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_body_comes_apart_into_its_parts),
        cmocka_unit_test(a_body_that_two_readers_could_read_differently_is_refused_however_it_is_cut),
        cmocka_unit_test(a_boundary_is_what_rfc_2046_allows),
        cmocka_unit_test(texts_of_a_part_have_limits),
        cmocka_unit_test(what_a_callback_answers_ends_the_reading),
        cmocka_unit_test(where_a_body_is_cut_makes_no_difference),
        cmocka_unit_test(utf8_is_what_unicode_says),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

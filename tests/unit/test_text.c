/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Text stays UTF-8, however it is shortened and wherever it came from. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"
#include "base/text.h"

#define UMLAUT "\xc3\xa4"
#define EURO   "\xe2\x82\xac"
#define CLEF   "\xf0\x9d\x84\x9e"

static void a_characters_length_is_known_and_what_is_none_has_none(void **state)
{
    static const struct {
        const char *why, *text;
        size_t n, length;
    } cases[] = {
        { "ASCII", "a", 1, 1 },
        { "a zero byte", "", 1, 1 },
        { "two bytes", UMLAUT, 2, 2 },
        { "three", EURO "x", 4, 3 },
        { "four", CLEF, 4, 4 },
        { "the last one of Unicode", "\xf4\x8f\xbf\xbf", 4, 4 },
        { "nothing", "a", 0, 0 },
        { "two bytes of three", EURO, 2, 0 },
        { "a byte that begins none", "\x80", 1, 0 },
        { "one that never occurs", "\xff", 1, 0 },
        { "longer than it need be", "\xc0\xaf", 2, 0 },
        { "three bytes for two", "\xe0\x9f\xbf", 3, 0 },
        { "four bytes for three", "\xf0\x8f\xbf\xbf", 4, 0 },
        { "a surrogate", "\xed\xa0\x80", 3, 0 },
        { "beyond Unicode", "\xf4\x90\x80\x80", 4, 0 },
        { "another character within it", "\xe2\x82z", 3, 0 },
    };

    for (size_t i = 0; i < VMAFX_LEN(cases); i++)
        if (vmafx_utf8_length(cases[i].text, cases[i].n) != cases[i].length)
            fail_msg("%s: %zu", cases[i].why, vmafx_utf8_length(cases[i].text, cases[i].n));
}

static void what_is_not_utf_8_becomes_question_marks(void **state)
{
    static const struct {
        const char *why, *raw, *mended, *clean;
    } cases[] = {
        { "plain", "abc", "abc", "abc" },
        { "empty", "", "", "" },
        { "umlaut, euro, clef", UMLAUT EURO CLEF, UMLAUT EURO CLEF, UMLAUT EURO CLEF },
        { "a lone byte", "a\xffz", "a?z", "a?z" },
        { "a lone byte at the end", "a\xff", "a?", "a?" },
        { "a character that is cut by the end", "a\xe2\x82", "a", "a" },
        { "one that is cut in the middle", "a\xe2\x82z", "a??z", "a??z" },
        { "longer than it need be", "\xc0\xaf", "??", "??" },
        { "a surrogate", "\xed\xa0\x80", "???", "???" },
        { "beyond Unicode", "\xf4\x90\x80\x80", "????", "????" },
        { "control characters", "a\x1b[2J\nb\x7f", "a\x1b[2J\nb\x7f", "a?[2J?b?" },
    };

    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        char mended[32], clean[32];

        snprintf(mended, sizeof mended, "%s", cases[i].raw);
        snprintf(clean, sizeof clean, "%s", cases[i].raw);
        vmafx_text_mend(mended);
        vmafx_text_clean(clean);
        if (strcmp(mended, cases[i].mended) != 0 || strcmp(clean, cases[i].clean) != 0)
            fail_msg("%s: '%s', '%s'", cases[i].why, mended, clean);
    }
}

static void a_copy_is_cut_between_characters(void **state)
{
    static const struct {
        size_t size;
        const char *copy;
    } cases[] = {
        { 1, "" }, { 2, "a" }, { 3, "a" }, { 4, "a" }, { 5, "a" EURO }, { 6, "a" EURO "b" }, { 99, "a" EURO "b" },
    };
    char copy[128];

    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        memset(copy, 'x', sizeof copy);
        vmafx_text_copy(copy, cases[i].size, "a" EURO "b");
        if (strcmp(copy, cases[i].copy) != 0)
            fail_msg("%zu bytes: '%s'", cases[i].size, copy);
    }
    vmafx_text_copy(copy, sizeof copy, NULL);
    assert_string_equal(copy, "");
}

/** Each number of bytes before the umlauts puts another part of one at the end of the room. */
static void a_sentence_that_is_too_long_is_cut_between_characters(void **state)
{
    char umlauts[2 * VMAFX_ERR_MESSAGE_MAX + 1] = "";

    for (size_t i = 0; i < VMAFX_ERR_MESSAGE_MAX; i++)
        memcpy(umlauts + 2 * i, UMLAUT, 3);
    for (int before = 0; before < 2; before++) {
        VmafxErrInfo info = { "" };

        assert_int_equal(vmafx_fail(&info, VMAFX_ERR_IO, "%.*s%s", before, "x", umlauts), VMAFX_ERR_IO);
        size_t len = strlen(info.message), good = 0;
        for (size_t n; good < len && (n = vmafx_utf8_length(info.message + good, len - good)); good += n)
            continue;
        assert_int_equal(good, len);
        assert_true(len >= VMAFX_ERR_MESSAGE_MAX - 2);
    }
    VmafxErrInfo info = { "" };
    VMAFX_IGNORE(vmafx_fail(&info, VMAFX_ERR_IO, "'%.2s' is none", EURO)); /* a precision counts bytes */
    assert_string_equal(info.message, "'?" "?' is none");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_characters_length_is_known_and_what_is_none_has_none),
        cmocka_unit_test(what_is_not_utf_8_becomes_question_marks),
        cmocka_unit_test(a_copy_is_cut_between_characters),
        cmocka_unit_test(a_sentence_that_is_too_long_is_cut_between_characters),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

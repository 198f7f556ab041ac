/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* tracestate: what W3C's grammar takes and refuses, and how lists change. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"
#include "otel/api/context.h"

static VmafxTraceState *parse(const char *text)
{
    return vmafx_tracestate_parse(text, strlen(text));
}

static void check_text(VmafxTraceState *state, const char *want)
{
    assert_string_equal(vmafx_tracestate_text(state), want);
}

/* A run of one character, terminated; good until the next four. */
static const char *run(char c, int n)
{
    static char texts[4][600];
    static unsigned turn;
    char *text = texts[turn++ % 4];

    memset(text, c, (size_t)n);
    text[n] = 0;
    return text;
}

/* "k00=v,k01=v,…" of n members. */
static char *many(int n)
{
    char *text = calloc(1, (size_t)n * 8 + 1);

    for (int i = 0; i < n; i++)
        sprintf(text + strlen(text), "%sk%02d=v", i ? "," : "", i);
    return text;
}

static void lists_are_read_as_w3c_says(void **state)
{
    static const struct {
        const char *why, *text, *kept;
    } good[] = {
        { "empty", "", "" },
        { "blanks only", " \t ", "" },
        { "empty members only", ",,, ,\t,", "" },
        { "one", "foo=1", "foo=1" },
        { "two", "foo=1,bar=2", "foo=1,bar=2" },
        { "empty members are skipped", ",foo=1,,bar=2, ,", "foo=1,bar=2" },
        { "blanks around members", "foo=1 \t , \t bar=2, \t baz=3", "foo=1,bar=2,baz=3" },
        { "blanks around the list", "\t foo=1,bar=2 \t", "foo=1,bar=2" },
        { "of a duplicate key the first is kept", "foo=1,foo=1", "foo=1" },
        { "with another value too", "foo=1,bar=2,foo=3", "foo=1,bar=2" },
        { "all legal characters of a key", "abcdefghijklmnopqrstuvwxyz0123456789_-*/@=1",
          "abcdefghijklmnopqrstuvwxyz0123456789_-*/@=1" },
        { "a key begins with a digit", "0foo=1", "0foo=1" },
        { "a key of one character", "a=1", "a=1" },
        { "@ at the end of a key", "foo@=1", "foo@=1" },
        { "two @ in a key", "foo@@bar=1", "foo@@bar=1" },
        { "@ between tenant and system", "foo@bar=1,bar@foo=2", "foo@bar=1,bar@foo=2" },
        { "all legal characters of a value",
          "a=!\"#$%&'()*+-./0123456789:;<>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~",
          "a=!\"#$%&'()*+-./0123456789:;<>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~" },
        { "blanks at the front of a value belong to it", "foo=  1", "foo=  1" },
        { "blanks inside a value", "foo=bar baz", "foo=bar baz" },
        { "blanks at its end do not", "foo=1  ,bar=2\t", "foo=1,bar=2" },
    };

    for (size_t i = 0; i < VMAFX_LEN(good); i++) {
        VMAFX_AUTO(vmafx_tracestate_unref) VmafxTraceState *list = parse(good[i].text);
        print_message("  %s\n", good[i].why);
        check_text(list, good[i].kept);
    }
}

static void one_malformed_member_spoils_the_list(void **state)
{
    static const struct {
        const char *why, *text;
    } bad[] = {
        { "a blank before the equals sign", "foo =1" },
        { "a tab there", "foo\t=1" },
        { "upper case", "FOO=1" },
        { "a dot in the key", "foo.bar=1" },
        { "@ at the front", "@foo=1" },
        { "@ alone", "@=1" },
        { "an underscore at the front", "_foo=1" },
        { "another at the front", "-foo=1" },
        { "no key", "=1" },
        { "no equals sign", "foo" },
        { "an empty value", "foo=" },
        { "a value of blanks", "foo=  " },
        { "a second equals sign", "foo=bar=baz" },
        { "two of them", "foo==" },
        { "a tab in the value", "foo=a\tb" },
        { "a control character", "foo=a\x01" },
        { "DEL", "foo=\x7f" },
        { "not ASCII", "foo=\xc3\xa9" },
        { "not ASCII in the key", "f\xc3\xb6=1" },
        { "a line end", "foo=1\r\n" },
        { "the last of three", "foo=1,bar=2,baz" },
        { "the first of three", "Foo=1,bar=2,baz=3" },
        { "a duplicate", "foo=1,foo=" },
    };
    uint64_t before = vmafx_context_drops(VMAFX_CONTEXT_DROP_TRACESTATE);

    for (size_t i = 0; i < VMAFX_LEN(bad); i++) {
        print_message("  %s\n", bad[i].why);
        assert_null(parse(bad[i].text));
    }
    assert_null(vmafx_tracestate_parse("foo=1\0", 6));
    assert_null(vmafx_tracestate_parse("f\0o=1", 5));
    assert_int_equal(vmafx_context_drops(VMAFX_CONTEXT_DROP_TRACESTATE) - before, VMAFX_LEN(bad) + 2);
    assert_null(vmafx_tracestate_parse(NULL, 5));
    assert_null(vmafx_tracestate_parse("foo=1", 0));
}

static void limits_hold_at_n_and_n_plus_one(void **state)
{
    VMAFX_AUTO(vmafx_free_p) char *members_32 = many(32);
    VMAFX_AUTO(vmafx_free_p) char *members_33 = many(33);
    VMAFX_AUTO(vmafx_free_p) char *long_text = malloc(VMAFX_TRACESTATE_LOOK_MAX + 1);
    char text[1200];

    VMAFX_AUTO(vmafx_tracestate_unref) VmafxTraceState *full = parse(members_32);
    check_text(full, members_32);
    assert_null(parse(members_33));
    snprintf(text, sizeof text, "%s,k00=v", members_32);
    assert_null(parse(text)); /* a duplicate counts */
    snprintf(text, sizeof text, "%s,,", members_32);
    VMAFX_AUTO(vmafx_tracestate_unref) VmafxTraceState *full_too = parse(text); /* an empty member does not */
    check_text(full_too, members_32);

    snprintf(text, sizeof text, "%s=%s", run('k', 256), run('v', 256));
    VMAFX_AUTO(vmafx_tracestate_unref) VmafxTraceState *longest = parse(text);
    check_text(longest, text);
    snprintf(text, sizeof text, "%s=v", run('k', 257));
    assert_null(parse(text));
    snprintf(text, sizeof text, "k=%s", run('v', 257));
    assert_null(parse(text));
    snprintf(text, sizeof text, "k=%s   ", run('v', 256)); /* blanks at the end are not part of it */
    VMAFX_AUTO(vmafx_tracestate_unref) VmafxTraceState *trimmed = parse(text);
    assert_int_equal(strlen(vmafx_tracestate_text(trimmed)), 258);

    memset(long_text, ',', VMAFX_TRACESTATE_LOOK_MAX + 1);
    memcpy(long_text, "a=1", 3);
    VMAFX_AUTO(vmafx_tracestate_unref)
    VmafxTraceState *padded = vmafx_tracestate_parse(long_text, VMAFX_TRACESTATE_LOOK_MAX);
    check_text(padded, "a=1");
    assert_null(vmafx_tracestate_parse(long_text, VMAFX_TRACESTATE_LOOK_MAX + 1));
}

static void a_value_is_copied_when_it_fits(void **state)
{
    VMAFX_AUTO(vmafx_tracestate_unref) VmafxTraceState *list = parse("foo=12345,ot=th:8;rv:1,oo=3");
    char value[6] = "x";

    assert_true(vmafx_tracestate_get(list, "foo", value, 6));
    assert_string_equal(value, "12345");
    assert_false(vmafx_tracestate_get(list, "foo", value, 5));
    assert_string_equal(value, "");
    assert_true(vmafx_tracestate_get(list, "oo", value, 2));
    assert_string_equal(value, "3");
    assert_false(vmafx_tracestate_get(list, "o", value, 6));
    assert_false(vmafx_tracestate_get(list, "fo", value, 6));
    assert_false(vmafx_tracestate_get(list, "", value, 6));
    assert_false(vmafx_tracestate_get(list, NULL, value, 6));
    assert_false(vmafx_tracestate_get(list, "foo", NULL, 6));
    assert_false(vmafx_tracestate_get(list, "foo", value, 0));
    assert_false(vmafx_tracestate_get(NULL, "foo", value, 6));
}

static void setting_puts_the_key_at_the_left(void **state)
{
    static const struct {
        const char *why, *before, *key, *value, *after;
    } cases[] = {
        { "the first", "", "a", "1", "a=1" },
        { "a new one", "a=1,b=2", "c", "3", "c=3,a=1,b=2" },
        { "an old one moves", "a=1,b=2,c=3", "b", "9", "b=9,a=1,c=3" },
        { "the leftmost stays", "a=1,b=2", "a", "9", "a=9,b=2" },
        { "removed", "a=1,b=2,c=3", "b", NULL, "a=1,c=3" },
        { "the last one removed", "a=1", "a", NULL, "" },
        { "removing what is not there", "a=1", "b", NULL, "a=1" },
        { "removing from the empty one", "", "b", NULL, "" },
        { "a blank at the front of the value", "", "a", " 1", "a= 1" },
        { "refused: upper case", "a=1", "B", "2", "a=1" },
        { "refused: no key", "a=1", "", "2", "a=1" },
        { "refused: NULL key", "a=1", NULL, "2", "a=1" },
        { "refused: empty value", "a=1", "b", "", "a=1" },
        { "refused: blank at the end of the value", "a=1", "b", "2 ", "a=1" },
        { "refused: comma", "a=1", "b", "2,c=3", "a=1" },
        { "refused: equals sign", "a=1", "b", "2=3", "a=1" },
        { "refused: a header of one's own", "a=1", "b", "2\r\nx: y", "a=1" },
        { "refused: removing what is no key", "a=1", "A", NULL, "a=1" },
    };

    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        VMAFX_AUTO(vmafx_tracestate_unref) VmafxTraceState *before = parse(cases[i].before);
        VMAFX_AUTO(vmafx_tracestate_unref)
        VmafxTraceState *after = vmafx_tracestate_set(before, cases[i].key, cases[i].value);
        print_message("  %s\n", cases[i].why);
        check_text(after, cases[i].after);
        check_text(before, cases[i].before);
    }
    VMAFX_AUTO(vmafx_tracestate_unref) VmafxTraceState *longest = vmafx_tracestate_set(NULL, "k", run('v', 256));
    assert_int_equal(strlen(vmafx_tracestate_text(longest)), 258);
    assert_null(vmafx_tracestate_set(NULL, "k", run('v', 257)));
    assert_null(vmafx_tracestate_set(NULL, run('k', 257), "v"));
}

static void a_33rd_member_pushes_the_rightmost_out(void **state)
{
    VMAFX_AUTO(vmafx_free_p) char *text = many(32);
    VMAFX_AUTO(vmafx_tracestate_unref) VmafxTraceState *full = parse(text);
    uint64_t before = vmafx_context_drops(VMAFX_CONTEXT_DROP_TRACESTATE_MEMBER);
    VMAFX_AUTO(vmafx_tracestate_unref) VmafxTraceState *changed = vmafx_tracestate_set(full, "k31", "w");
    char value[4];

    assert_int_equal(vmafx_context_drops(VMAFX_CONTEXT_DROP_TRACESTATE_MEMBER), before);
    assert_true(vmafx_tracestate_get(changed, "k30", value, sizeof value));
    VMAFX_AUTO(vmafx_tracestate_unref) VmafxTraceState *pushed = vmafx_tracestate_set(full, "new", "1");
    assert_int_equal(vmafx_context_drops(VMAFX_CONTEXT_DROP_TRACESTATE_MEMBER), before + 1);
    assert_memory_equal(vmafx_tracestate_text(pushed), "new=1,k00=v", strlen("new=1,k00=v"));
    assert_true(vmafx_tracestate_get(pushed, "k30", value, sizeof value));
    assert_false(vmafx_tracestate_get(pushed, "k31", value, sizeof value));
}

static void shortening_drops_long_members_first(void **state)
{
    char text[600], without_l[400], without_c[400];
    const char *long_value = run('v', 127), *limit_value = run('v', 126); /* members of 129 and of 128 characters */

    snprintf(text, sizeof text, "a=12,l=%s,b=34,m=%s,c=1", long_value, limit_value);
    snprintf(without_l, sizeof without_l, "a=12,b=34,m=%s,c=1", limit_value);
    snprintf(without_c, sizeof without_c, "a=12,b=34,m=%s", limit_value);
    const struct {
        const char *why;
        size_t max;
        const char *kept;
    } cases[] = {
        { "it fits", strlen(text), text },
        { "one byte too long: the long member goes", strlen(text) - 1, without_l },
        { "that is just enough", strlen(without_l), without_l },
        { "one less: now from the right", strlen(without_l) - 1, without_c },
        { "that is just enough", strlen(without_c), without_c },
        { "one less", strlen(without_c) - 1, "a=12,b=34" },
        { "the right one of two", 8, "a=12" },
        { "not even one", 3, "" },
        { "nothing at all", 0, "" },
    };
    VMAFX_AUTO(vmafx_tracestate_unref) VmafxTraceState *list = parse(text);

    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        VMAFX_AUTO(vmafx_tracestate_unref) VmafxTraceState *shorter = vmafx_tracestate_shorten(list, cases[i].max);
        print_message("  %s\n", cases[i].why);
        check_text(shorter, cases[i].kept);
    }
    assert_null(vmafx_tracestate_shorten(NULL, 0));
}

static void every_function_takes_null(void **state)
{
    VmafxTraceState *none = NULL;

    assert_null(vmafx_tracestate_ref(NULL));
    vmafx_tracestate_unref(NULL);
    vmafx_tracestate_unref(&none);
    assert_string_equal(vmafx_tracestate_text(NULL), "");
    assert_null(vmafx_tracestate_set(NULL, NULL, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_are_read_as_w3c_says),          cmocka_unit_test(one_malformed_member_spoils_the_list),
        cmocka_unit_test(limits_hold_at_n_and_n_plus_one),     cmocka_unit_test(a_value_is_copied_when_it_fits),
        cmocka_unit_test(setting_puts_the_key_at_the_left),    cmocka_unit_test(a_33rd_member_pushes_the_rightmost_out),
        cmocka_unit_test(shortening_drops_long_members_first), cmocka_unit_test(every_function_takes_null),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

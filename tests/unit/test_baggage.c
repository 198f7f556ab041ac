/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Baggage: a set of names and values, and the header it travels in. */

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

#define FFFD "\xef\xbf\xbd"

static VmafxBaggage *parse(const char *text)
{
    return vmafx_baggage_parse(text, strlen(text));
}

/* The header that goes out; "" for none. */
static void check_sent(const VmafxBaggage *baggage, const char *want)
{
    VMAFX_AUTO(vmafx_free_p) char *text = vmafx_baggage_format(baggage);

    assert_string_equal(text ? text : "", want);
}

/* In place of the old one, as callers write it. */
static void set(VmafxBaggage **baggage, const char *name, const char *value, const char *metadata)
{
    VmafxBaggage *made = vmafx_baggage_set(*baggage, name, value, metadata);

    vmafx_baggage_unref(baggage);
    *baggage = made;
}

/* A run of one character after a prefix, on the heap. */
static char *run(const char *prefix, char c, size_t n)
{
    size_t len = strlen(prefix);
    char *text = malloc(len + n + 1);

    memcpy(text, prefix, len);
    memset(text + len, c, n);
    text[len + n] = 0;
    return text;
}

/* ---- the header ---- */

static void headers_are_read_as_w3c_says(void **state)
{
    static const struct {
        const char *why, *text, *sent; /* sent: what is made of it again */
    } cases[] = {
        { "empty", "", "" },
        { "blanks only", " \t ", "" },
        { "empty members only", ",, ,", "" },
        { "one", "a=1", "a=1" },
        { "an empty value", "a=", "a=" },
        { "several", "a=1,b=2,c=3", "a=1,b=2,c=3" },
        { "blanks everywhere they may be", " a \t=  1 , b = 2 ; p = 3 ,c=3", "a=1,b=2;p = 3,c=3" },
        { "equals signs in a value", "a=b=c==", "a=b=c==" },
        { "names keep their case", "Ab=1,aB=2", "Ab=1,aB=2" },
        { "the last of one name counts", "a=1,b=2,a=3", "a=3,b=2" },
        { "with its properties", "a=1;p,a=2", "a=2" },
        { "every character of a name", "!#$%&'*+-.^_`|~09azAZ=1", "!#$%&'*+-.^_`|~09azAZ=1" },
        { "names are not decoded", "%41=1,A=2", "%41=1,A=2" },
        { "every character of a value", "a=!#$&'()*+-./0123456789:<=>?@ABCXYZ[]^_`abcxyz{|}~",
          "a=!#$&'()*+-./0123456789:<=>?@ABCXYZ[]^_`abcxyz{|}~" },
        { "what needed no encoding loses it", "a=%41%62%7E", "a=Ab~" },
        { "what needs it is in upper case", "a=%c3%a9%20%2c%3b%22%5c%25%7f", "a=%C3%A9%20%2C%3B%22%5C%25%7F" },
        { "a percent sign of its own", "a=100%", "a=100%25" },
        { "half an encoding", "a=%4,b=%,c=%zz,d=%4g,e=%%41", "a=%254,b=%25,c=%25zz,d=%254g,e=%25A" },
        { "properties are kept as they are", "a=1;p;q=2; r = %41 ", "a=1;p;q=2; r = %41" },
        { "a property without a name", "a=1;;p,b=2;", "a=1;;p,b=2" },
        { "a quoted property", "a=1;p=\"x\"", "a=1;p=\"x\"" },
        { "no equals sign: skipped", "a,b=2", "b=2" },
        { "only in a property: skipped", "a;p=1,b=2", "b=2" },
        { "no name: skipped", "=1,b=2", "b=2" },
        { "a blank inside a name: skipped", "a b=1,b=2", "b=2" },
        { "a name that is no token: skipped", "a(b)=1,a/b=2,b=2", "b=2" },
        { "a blank inside a value: skipped", "a=1 2,b=2", "b=2" },
        { "a quote in a value: skipped", "a=\"1\",b=2", "b=2" },
        { "a backslash in a value: skipped", "a=\\,b=2", "b=2" },
        { "not ASCII in a value: skipped", "a=\xc3\xa9,b=2", "b=2" },
        { "not ASCII in a name: skipped", "\xc3\xa9=1,b=2", "b=2" },
        { "not ASCII in a property: skipped", "a=1;\xc3\xa9,b=2", "b=2" },
        { "a control character: skipped", "a=\x01,b=2,c=\x7f,d=1;\r\nx", "b=2" },
        { "none survives", "a,b,c", "" },
    };

    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        VMAFX_AUTO(vmafx_baggage_unref) VmafxBaggage *baggage = parse(cases[i].text);
        print_message("  %s\n", cases[i].why);
        assert_int_equal(baggage != NULL, *cases[i].sent != 0);
        check_sent(baggage, cases[i].sent);
        VMAFX_AUTO(vmafx_baggage_unref) VmafxBaggage *again = parse(cases[i].sent);
        check_sent(again, cases[i].sent);
    }
    assert_null(vmafx_baggage_parse(NULL, 5));
    assert_null(vmafx_baggage_parse("a=\0,", 4));
}

static void what_is_not_utf8_is_replaced(void **state)
{
    static const struct {
        const char *why, *encoded, *value;
    } cases[] = {
        { "two bytes", "%C3%A9", "\xc3\xa9" },
        { "three bytes", "%E2%82%AC", "\xe2\x82\xac" },
        { "four bytes", "%F0%9F%98%80", "\xf0\x9f\x98\x80" },
        { "the last code point", "%F4%8F%BF%BF", "\xf4\x8f\xbf\xbf" },
        { "the last before the surrogates", "%ED%9F%BF", "\xed\x9f\xbf" },
        { "never a byte of UTF-8", "a%FFb", "a" FFFD "b" },
        { "a continuation alone", "%80", FFFD },
        { "two of them", "%80%BF", FFFD FFFD },
        { "cut short at the end", "%E2%82", FFFD },
        { "cut short by a letter", "%E2%82x", FFFD "x" },
        { "cut short by a beginning", "%F0%9F%C3%A9", FFFD "\xc3\xa9" },
        { "overlong in two bytes", "%C0%AF", FFFD FFFD },
        { "overlong in three", "%E0%80%AF", FFFD FFFD FFFD },
        { "overlong in four", "%F0%80%80%AF", FFFD FFFD FFFD FFFD },
        { "a surrogate", "%ED%A0%80", FFFD FFFD FFFD },
        { "beyond the last code point", "%F4%90%80%80", FFFD FFFD FFFD FFFD },
        { "five bytes", "%F8%88%80%80%80", FFFD FFFD FFFD FFFD FFFD },
        { "a zero byte would end the text", "a%00b", "a" FFFD "b" },
    };

    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        VMAFX_AUTO(vmafx_free_p) char *text = vmafx_sprintf("k=%s", cases[i].encoded);
        VMAFX_AUTO(vmafx_baggage_unref) VmafxBaggage *baggage = parse(text);
        print_message("  %s\n", cases[i].why);
        assert_string_equal(vmafx_baggage_get(baggage, "k"), cases[i].value);
        VMAFX_AUTO(vmafx_free_p) char *sent = vmafx_baggage_format(baggage);
        VMAFX_AUTO(vmafx_baggage_unref) VmafxBaggage *again = parse(sent);
        assert_string_equal(vmafx_baggage_get(again, "k"), cases[i].value);
    }
}

static void sixty_four_members_are_read_and_no_more(void **state)
{
    char text[70 * 6] = "", value[4];
    uint64_t before = vmafx_context_drops(VMAFX_CONTEXT_DROP_BAGGAGE_LIMIT);

    for (int i = 0; i < 64; i++)
        sprintf(text + strlen(text), "%sk%02d=v", i ? "," : "", i);
    VMAFX_AUTO(vmafx_baggage_unref) VmafxBaggage *full = parse(text);
    assert_int_equal(vmafx_baggage_count(full), 64);
    check_sent(full, text);
    assert_int_equal(vmafx_context_drops(VMAFX_CONTEXT_DROP_BAGGAGE_LIMIT), before);

    strcat(text, ",k64=v,k00=w");
    VMAFX_AUTO(vmafx_baggage_unref) VmafxBaggage *over = parse(text);
    assert_int_equal(vmafx_baggage_count(over), 64);
    assert_null(vmafx_baggage_get(over, "k64"));
    assert_string_equal(vmafx_baggage_get(over, "k00"), "w"); /* replacing needs no room */
    assert_int_equal(vmafx_context_drops(VMAFX_CONTEXT_DROP_BAGGAGE_LIMIT), before + 1);

    set(&full, "k64", "v", NULL);
    assert_null(vmafx_baggage_get(full, "k64"));
    assert_int_equal(vmafx_context_drops(VMAFX_CONTEXT_DROP_BAGGAGE_LIMIT), before + 2);
    set(&full, "k63", "new", NULL);
    snprintf(value, sizeof value, "%s", vmafx_baggage_get(full, "k63"));
    assert_string_equal(value, "new");
}

static void members_that_end_within_8192_bytes_are_read(void **state)
{
    static const struct {
        const char *why;
        size_t run; /* "a=1,b=vvv…", of 6 + run bytes */
        const char *tail;
        size_t count;
    } cases[] = {
        { "exactly 8192", 8186, "", 2 },
        { "one more byte of the last member", 8187, "", 1 },
        { "8192, then another member", 8186, ",c=1", 2 },
        { "8192, then an empty member", 8186, ",", 2 },
        { "8192, then a blank, which might go on", 8186, " ", 1 },
        { "the third just fits", 8182, ",c=1", 3 },
        { "the third is cut", 8182, ",c=12", 2 },
    };

    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        VMAFX_AUTO(vmafx_free_p) char *head = run("a=1,b=", 'v', cases[i].run);
        VMAFX_AUTO(vmafx_free_p) char *text = vmafx_sprintf("%s%s", head, cases[i].tail);
        VMAFX_AUTO(vmafx_baggage_unref) VmafxBaggage *baggage = parse(text);
        print_message("  %s\n", cases[i].why);
        assert_int_equal(vmafx_baggage_count(baggage), cases[i].count);
    }
    VMAFX_AUTO(vmafx_free_p) char *one_huge = run("a=", 'v', 100000);
    assert_null(parse(one_huge));
}

static void a_header_of_8192_bytes_is_sent_and_no_more(void **state)
{
    VMAFX_AUTO(vmafx_baggage_unref) VmafxBaggage *baggage = NULL;
    VMAFX_AUTO(vmafx_free_p) char *blanks = run("", ' ', 2728); /* "a=" and 3 * 2728 bytes: 8186 */
    VMAFX_AUTO(vmafx_free_p) char *fits = NULL, *without = NULL;
    uint64_t before = vmafx_context_drops(VMAFX_CONTEXT_DROP_BAGGAGE_LIMIT);

    set(&baggage, "a", blanks, NULL);
    set(&baggage, "b", "123", NULL);
    set(&baggage, "z", "", NULL);
    without = vmafx_baggage_format(baggage); /* ",b=123" fits exactly, ",z=" does not */
    assert_int_equal(strlen(without), 8192);
    assert_string_equal(without + 8186, ",b=123");
    assert_int_equal(vmafx_context_drops(VMAFX_CONTEXT_DROP_BAGGAGE_LIMIT), before + 1);

    set(&baggage, "b", "1234", NULL); /* too long now; a smaller one behind it may go */
    fits = vmafx_baggage_format(baggage);
    assert_int_equal(strlen(fits), 8189);
    assert_string_equal(fits + 8186, ",z=");
}

/* ---- the set ---- */

static void any_utf8_may_be_set_but_tokens_only_are_sent(void **state)
{
    VMAFX_AUTO(vmafx_baggage_unref) VmafxBaggage *baggage = NULL;
    uint64_t before = vmafx_context_drops(VMAFX_CONTEXT_DROP_BAGGAGE);

    set(&baggage,
        "gr\xc3\xb6\xc3\x9f"
        "e",
        "1", NULL);
    set(&baggage, "two words", "2", NULL);
    set(&baggage, "plain", "\xc3\xa9 \n,;\"\\%", "p = 1");
    assert_int_equal(vmafx_baggage_count(baggage), 3);
    assert_string_equal(vmafx_baggage_get(baggage, "two words"), "2");
    assert_string_equal(vmafx_baggage_get(baggage, "gr\xc3\xb6\xc3\x9f"
                                                   "e"),
                        "1");
    assert_int_equal(vmafx_context_drops(VMAFX_CONTEXT_DROP_BAGGAGE), before);
    check_sent(baggage, "plain=%C3%A9%20%0A%2C%3B%22%5C%25;p = 1");
    assert_int_equal(vmafx_context_drops(VMAFX_CONTEXT_DROP_BAGGAGE), before + 2);
}

static void setting_replaces_and_removes(void **state)
{
    VMAFX_AUTO(vmafx_baggage_unref) VmafxBaggage *one = vmafx_baggage_set(NULL, "a", "1", "p");
    VMAFX_AUTO(vmafx_baggage_unref) VmafxBaggage *two = vmafx_baggage_set(one, "b", "2", NULL);
    VMAFX_AUTO(vmafx_baggage_unref) VmafxBaggage *changed = vmafx_baggage_set(two, "a", "3", NULL);
    VMAFX_AUTO(vmafx_baggage_unref) VmafxBaggage *removed = vmafx_baggage_set(two, "a", NULL, NULL);
    VMAFX_AUTO(vmafx_baggage_unref) VmafxBaggage *same = vmafx_baggage_set(two, "c", NULL, NULL);

    check_sent(one, "a=1;p");
    check_sent(two, "a=1;p,b=2");
    check_sent(changed, "a=3,b=2");
    check_sent(removed, "b=2");
    assert_ptr_equal(same, two);
    assert_null(vmafx_baggage_set(removed, "b", NULL, NULL));
}

static void a_bad_set_leaves_the_old_one(void **state)
{
    VMAFX_AUTO(vmafx_free_p) char *long_value = run("", 'v', 8191), *longer = run("", 'v', 8192);
    const struct {
        const char *why, *name, *value;
    } bad[] = {
        { "no name", "", "1" },
        { "NULL name", NULL, "1" },
        { "name not UTF-8", "\xff", "1" },
        { "value not UTF-8", "b", "\xc3" },
        { "value far too long", "b", longer },
        { "too long with what is there", "b", long_value },
    };
    VMAFX_AUTO(vmafx_baggage_unref) VmafxBaggage *old = vmafx_baggage_set(NULL, "a", "1", NULL);

    for (size_t i = 0; i < VMAFX_LEN(bad); i++) {
        VMAFX_AUTO(vmafx_baggage_unref) VmafxBaggage *same = vmafx_baggage_set(old, bad[i].name, bad[i].value, NULL);
        print_message("  %s\n", bad[i].why);
        assert_ptr_equal(same, old);
    }
    VMAFX_AUTO(vmafx_baggage_unref) VmafxBaggage *fits = vmafx_baggage_set(NULL, "b", long_value, NULL);
    assert_int_equal(vmafx_baggage_count(fits), 1);
}

static void bad_metadata_is_left_out(void **state)
{
    static const struct {
        const char *why, *metadata, *sent;
    } cases[] = {
        { "none", NULL, "a=1" },
        { "empty", "", "a=1" },
        { "blanks only", " \t", "a=1" },
        { "trimmed", " p=1\t;q ", "a=1;p=1\t;q" },
        { "a comma would begin a member", "p,b=2", "a=1" },
        { "a line end would begin a header", "p\r\nx: y", "a=1" },
        { "not ASCII", "\xc3\xa9", "a=1" },
    };

    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        VMAFX_AUTO(vmafx_baggage_unref) VmafxBaggage *baggage = vmafx_baggage_set(NULL, "a", "1", cases[i].metadata);
        print_message("  %s\n", cases[i].why);
        check_sent(baggage, cases[i].sent);
    }
}

static void members_are_listed_in_order(void **state)
{
    VMAFX_AUTO(vmafx_baggage_unref) VmafxBaggage *baggage = parse("a=1;p,b=%20");
    const char *name, *value, *metadata;

    assert_int_equal(vmafx_baggage_count(baggage), 2);
    vmafx_baggage_at(baggage, 0, &name, &value, &metadata);
    assert_string_equal(name, "a");
    assert_string_equal(value, "1");
    assert_string_equal(metadata, "p");
    vmafx_baggage_at(baggage, 1, &name, &value, &metadata);
    assert_string_equal(name, "b");
    assert_string_equal(value, " ");
    assert_string_equal(metadata, "");
    vmafx_baggage_at(baggage, 2, &name, &value, &metadata);
    assert_null(name);
    assert_null(value);
    assert_null(metadata);
    vmafx_baggage_at(baggage, 0, NULL, NULL, NULL);
}

static void every_function_takes_null(void **state)
{
    VmafxBaggage *none = NULL;
    const char *name = "x";

    assert_null(vmafx_baggage_ref(NULL));
    vmafx_baggage_unref(NULL);
    vmafx_baggage_unref(&none);
    assert_null(vmafx_baggage_get(NULL, "a"));
    assert_null(vmafx_baggage_get(NULL, NULL));
    assert_int_equal(vmafx_baggage_count(NULL), 0);
    vmafx_baggage_at(NULL, 0, &name, NULL, NULL);
    assert_null(name);
    assert_null(vmafx_baggage_format(NULL));
    assert_null(vmafx_baggage_set(NULL, NULL, NULL, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers_are_read_as_w3c_says),
        cmocka_unit_test(what_is_not_utf8_is_replaced),
        cmocka_unit_test(sixty_four_members_are_read_and_no_more),
        cmocka_unit_test(members_that_end_within_8192_bytes_are_read),
        cmocka_unit_test(a_header_of_8192_bytes_is_sent_and_no_more),
        cmocka_unit_test(any_utf8_may_be_set_but_tokens_only_are_sent),
        cmocka_unit_test(setting_replaces_and_removes),
        cmocka_unit_test(a_bad_set_leaves_the_old_one),
        cmocka_unit_test(bad_metadata_is_left_out),
        cmocka_unit_test(members_are_listed_in_order),
        cmocka_unit_test(every_function_takes_null),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

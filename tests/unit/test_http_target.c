/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Request targets and patterns of routes. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"
#include "http/target.h"

static VmafxHttpTarget parsed(const char *text)
{
    VmafxHttpTarget target = { 0 };
    VmafxErrInfo info = { 0 };

    if (vmafx_http_target_parse(text, strlen(text), &target, &info))
        fail_msg("%s: %s", text, info.message);
    return target;
}

static void a_target_comes_apart_into_decoded_segments_and_members(void **state)
{
    VmafxHttpTarget t = parsed("/v1/a%20b/%C3%A4?x=1&y=a+b%26c&flag&&x=2");

    (void)state;
    assert_int_equal(t.n_segments, 3);
    assert_string_equal(t.segments[1], "a b");
    assert_string_equal(t.segments[2], "\xC3\xA4");
    assert_int_equal(t.n_query, 4);
    assert_string_equal(vmafx_http_target_query(&t, "x"), "1");
    assert_string_equal(vmafx_http_target_query(&t, "y"), "a b&c");
    assert_string_equal(vmafx_http_target_query(&t, "flag"), "");
    assert_null(vmafx_http_target_query(&t, "z"));
    assert_string_equal(t.raw_path, "/v1/a%20b/%C3%A4");
    assert_string_equal(t.raw_query, "x=1&y=a+b%26c&flag&&x=2");
    vmafx_http_target_done(&t);
}

static void a_plus_in_a_path_stays_one_and_a_proxys_absolute_form_is_understood(void **state)
{
    VmafxHttpTarget t = parsed("HTTP://example:80/a+b/?q=1");

    (void)state;
    assert_int_equal(t.n_segments, 2);
    assert_string_equal(t.segments[0], "a+b");
    assert_string_equal(t.segments[1], "");
    assert_string_equal(vmafx_http_target_query(&t, "q"), "1");
    vmafx_http_target_done(&t);
}

static void a_target_that_two_readers_could_read_differently_is_refused(void **state)
{
    static const struct {
        const char *why, *text;
        VmafxErr err;
    } bad[] = {
        { "empty", "", VMAFX_ERR_SYNTAX },
        { "no path", "*", VMAFX_ERR_SYNTAX },
        { "an authority alone", "http://example", VMAFX_ERR_SYNTAX },
        { "a relative path", "v1/jobs", VMAFX_ERR_SYNTAX },
        { "upward", "/a/../b", VMAFX_ERR_SYNTAX },
        { "upward, escaped", "/a/%2e%2E/b", VMAFX_ERR_SYNTAX },
        { "here", "/a/./b", VMAFX_ERR_SYNTAX },
        { "an escaped slash", "/a%2Fb", VMAFX_ERR_SYNTAX },
        { "an escape of one digit", "/a%2", VMAFX_ERR_SYNTAX },
        { "an escape without digits", "/a%", VMAFX_ERR_SYNTAX },
        { "not hexadecimal", "/a%zz", VMAFX_ERR_SYNTAX },
        { "a zero byte", "/a%00b", VMAFX_ERR_SYNTAX },
        { "a line break", "/a%0d%0ab", VMAFX_ERR_SYNTAX },
        { "not UTF-8", "/a%ff", VMAFX_ERR_SYNTAX },
        { "overlong UTF-8", "/%C0%AF", VMAFX_ERR_SYNTAX },
        { "a surrogate", "/%ED%A0%80", VMAFX_ERR_SYNTAX },
        { "UTF-8 that ends early", "/%E2%82", VMAFX_ERR_SYNTAX },
        { "a control character in the query", "/a?b=%01", VMAFX_ERR_SYNTAX },
        { "a fragment", "/a#b", VMAFX_ERR_SYNTAX },
    };

    (void)state;
    for (size_t i = 0; i < VMAFX_LEN(bad); i++) {
        VmafxHttpTarget target = { 0 };
        VmafxErrInfo info = { 0 };

        if (vmafx_http_target_parse(bad[i].text, strlen(bad[i].text), &target, &info) != bad[i].err)
            fail_msg("%s", bad[i].why);
        assert_true(info.message[0]);
        assert_null(target.text);
    }
}

static void every_count_has_its_limit_and_one_less_is_fine(void **state)
{
    static char text[3 * VMAFX_HTTP_TARGET_MAX];
    VmafxHttpTarget target = { 0 };

    (void)state;
    for (int over = 0; over <= 1; over++) {
        VmafxErr expected = over ? VMAFX_ERR_LIMIT : VMAFX_OK;
        size_t at = 0;

        memset(text, 'a', VMAFX_HTTP_TARGET_MAX + 1);
        text[0] = '/';
        assert_int_equal(vmafx_http_target_parse(text, (size_t)(VMAFX_HTTP_TARGET_MAX + over), &target, NULL),
                         expected);
        vmafx_http_target_done(&target);
        for (int i = 0; i < VMAFX_HTTP_SEGMENTS_MAX + over; i++, at += 2)
            memcpy(text + at, "/a", 2);
        assert_int_equal(vmafx_http_target_parse(text, at, &target, NULL), expected);
        vmafx_http_target_done(&target);
        at = 0;
        text[at++] = '/';
        text[at++] = '?';
        for (int i = 0; i < VMAFX_HTTP_QUERY_MAX + over; i++, at += 2)
            memcpy(text + at, "a&", 2);
        assert_int_equal(vmafx_http_target_parse(text, at, &target, NULL), expected);
        vmafx_http_target_done(&target);
    }
}

static void patterns_fit_what_they_say(void **state)
{
    static const struct {
        const char *pattern, *target;
        bool fits;
        const char *id;
    } cases[] = {
        { "/", "/", true, NULL },
        { "/", "/a", false, NULL },
        { "/v1/jobs", "/v1/jobs", true, NULL },
        { "/v1/jobs", "/v1/jobs/", false, NULL }, /* another path */
        { "/v1/jobs", "/v1/job", false, NULL },
        { "/v1/jobs", "/v1/jobs2", false, NULL },
        { "/v1/jobs/{id}", "/v1/jobs/7", true, "7" },
        { "/v1/jobs/{id}", "/v1/jobs/", false, NULL }, /* {id} takes no empty segment */
        { "/v1/jobs/{id}", "/v1/jobs/7/events", false, NULL },
        { "/v1/jobs/{id}/events", "/v1/jobs/a%20b/events", true, "a b" },
        { "/{a}/{id}", "/x/y", true, "y" },
        { "/v1/jobs/{id}", "/v1/%6Aobs/7", true, "7" }, /* the same path by RFC 3986 */
    };

    (void)state;
    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        VmafxHttpTarget target = parsed(cases[i].target);

        assert_true(vmafx_http_pattern_valid(cases[i].pattern));
        if (vmafx_http_pattern_match(cases[i].pattern, &target) != cases[i].fits)
            fail_msg("%s and %s", cases[i].pattern, cases[i].target);
        const char *id = cases[i].fits ? vmafx_http_pattern_param(cases[i].pattern, &target, "id") : NULL;
        assert_int_equal(!id, !cases[i].id);
        if (id)
            assert_string_equal(id, cases[i].id);
        vmafx_http_target_done(&target);
    }
}

static void patterns_that_are_none_are_told(void **state)
{
    static const char *const bad[] = { "",
                                       "v1",
                                       "/{id",
                                       "/id}",
                                       "/a{id}",
                                       "/{}",
                                       "/{ID}",
                                       "/{id}/{id}",
                                       "/a b",
                                       "/%20",
                                       "/{a-b}",
                                       "/a?b",
                                       "/{a}/{b}/{c}/{d}/{e}" };

    (void)state;
    for (size_t i = 0; i < VMAFX_LEN(bad); i++)
        if (vmafx_http_pattern_valid(bad[i]))
            fail_msg("%s", bad[i]);
}

static void secrets_in_a_query_are_not_shown_and_nothing_is_written_beyond_the_end(void **state)
{
    char text[256], small[8];

    (void)state;
    vmafx_http_query_redact("a=1&X-Amz-Signature=abc&TOKEN=x=y&sig&b=2&signature=", text, sizeof text);
    assert_string_equal(text, "a=1&X-Amz-Signature=REDACTED&TOKEN=REDACTED&sig&b=2&signature=REDACTED");
    vmafx_http_query_redact("token=abcdefgh", small, sizeof small);
    assert_string_equal(small, "token=R");
    vmafx_http_query_redact("", small, sizeof small);
    assert_string_equal(small, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_target_comes_apart_into_decoded_segments_and_members),
        cmocka_unit_test(a_plus_in_a_path_stays_one_and_a_proxys_absolute_form_is_understood),
        cmocka_unit_test(a_target_that_two_readers_could_read_differently_is_refused),
        cmocka_unit_test(every_count_has_its_limit_and_one_less_is_fine),
        cmocka_unit_test(patterns_fit_what_they_say),
        cmocka_unit_test(patterns_that_are_none_are_told),
        cmocka_unit_test(secrets_in_a_query_are_not_shown_and_nothing_is_written_beyond_the_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

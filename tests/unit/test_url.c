/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* URLs taken apart and shown. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"
#include "base/url.h"

#define E "\xe2\x80\xa6"

static void what_is_secret_is_not_shown(void **state)
{
    static const struct {
        const char *why, *uri, *shown;
    } cases[] = {
        { "nothing to hide", "https://h.example/a/b.mp4", "https://h.example/a/b.mp4" },
        { "a query", "https://h/a.mp4?X-Amz-Signature=SECRET", "https://h/a.mp4?" E },
        { "an empty query is one", "https://h/a?", "https://h/a?" E },
        { "a fragment", "https://h/a#SECRET", "https://h/a" },
        { "a query in a fragment", "https://h/a#x?SECRET", "https://h/a" },
        { "a user and a password", "https://user:SECRET@h/a", "https://h/a" },
        { "an at sign in a password", "https://u:SEC@RET@h/a", "https://h/a" },
        { "a password with a slash, which is none of a URL", "https://u:SEC/RET@h/a", "https://" E },
        { "a password with a question mark", "https://u:SEC?RET@h/a", "https://" E },
        { "no path", "https://h?SECRET", "https://h?" E },
        { "a port stays", "http://h:8080/a?b", "http://h:8080/a?" E },
        { "an IPv6 address stays", "http://[::1]:80/a?b", "http://[::1]:80/a?" E },
        { "an at sign in a path is part of a name", "https://h/@user/a", "https://h/@user/a" },
        { "an unknown scheme is treated alike", "ftp://u:SECRET@h/a?b", "ftp://h/a?" E },
        { "a backslash ends the host, as browsers have it", "https://u:SECRET@h\\a?b", "https://h\\a?" E },
        { "a blank in front", " https://u:SECRET@h/a?b", " https://h/a?" E },
        { "a scheme within a query", "x?u=https://SECRET", "x?" E },
        { "no scheme at all", "u:SECRET@h/a?b", "h/a?" E },
        { "an object", "s3://bucket/key", "s3://bucket/key" },
        { "a path is as it is", "/media/a?b#c@d", "/media/a?b#c@d" },
        { "so is a file's", "file:///media/a?b", "file:///media/a?b" },
        { "an upload is as it is", "upload:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
          "upload:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef" },
        { "what only begins like one", "upload:SECRET@h/a?b", "h/a?" E },
        { "a slash was forgotten", "https:/u:SECRET@h/a?b", "https:" E },
        { "both were", "http:u:SECRET@h/a?b", "http:" E },
        { "nothing", "", "" },
    };

    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        char shown[256], in_place[256];

        vmafx_url_redact(cases[i].uri, shown, sizeof shown);
        if (strcmp(shown, cases[i].shown) != 0)
            fail_msg("%s: '%s' is shown as '%s'", cases[i].why, cases[i].uri, shown);
        strcpy(in_place, cases[i].uri);
        vmafx_url_redact(in_place, in_place, strlen(cases[i].uri) + 1);
        assert_memory_equal(in_place, cases[i].shown, strlen(in_place)); /* perhaps cut: it may be longer */
        assert_null(strstr(in_place, "SECRET"));
    }
}

static void urls_within_sentences_are_shown_without_what_is_secret(void **state)
{
    static const struct {
        const char *why, *text, *shown;
    } cases[] = {
        { "none", "cannot open 'a/b': 5:/ is no time", "cannot open 'a/b': 5:/ is no time" },
        { "in quotes", "cannot open 'https://u:SECRET@h/a?SECRET': gone", "cannot open 'https://h/a?" E "': gone" },
        { "in quotes of another kind", "near \"http://u:SECRET@h/a?SECRET\"", "near \"http://h/a?" E "\"" },
        { "without quotes, up to a blank", "no http://u:SECRET@h/a?b=SECRET there", "no http://h/a?" E " there" },
        { "a blank within quotes", "'http://h/a b?SECRET' is bad", "'http://h/a b?" E "' is bad" },
        { "a quote within quotes", "'http://h/a?it's=SECRET' is bad", "'http://h/a?" E "' is bad" },
        { "no closing quote", "'http://u:SECRET@h/a?SECRET and so on", "'http://h/a?" E },
        { "two", "http://u:SECRET@h/a or s3://b/k?SECRET", "http://h/a or s3://b/k?" E },
        { "behind something", "--reference=https://u:SECRET@h/a is", "--reference=https://h/a is" },
        { "a slash was forgotten", "'https:/u:SECRET@h/a?SECRET' is", "'https:/" E "' is" },
        { "and a member's name comes first", "job.https:/u:SECRET@h/a: there is", "job.https:/" E " there is" },
        { "the scheme was cut off", "'//u:SECRET@h/a' lacks its value", "'//" E "' lacks its value" },
        { "too short for an ellipsis", "'//a'", "'//'" },
        { "shown already", "'https://h/a?" E "' is", "'https://h/a?" E "' is" },
        { "a file's", "'file:///media/a?b' is", "'file:///media/a?b' is" },
        { "at the end", "u://", "u://" },
        { "nothing", "", "" },
    };

    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        char text[256];
        VmafxErrInfo info;

        strcpy(text, cases[i].text);
        vmafx_urls_hide(text);
        if (strcmp(text, cases[i].shown) != 0)
            fail_msg("%s: '%s' is shown as '%s'", cases[i].why, cases[i].text, text);
        assert_int_equal(vmafx_fail(&info, VMAFX_ERR_INPUT, "%s", cases[i].text), VMAFX_ERR_INPUT);
        assert_string_equal(info.message, cases[i].shown);
    }
}

static void an_upload_is_named_by_sixty_four_small_digits(void **state)
{
#define D60 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789ab"
    static const struct {
        const char *why, *uri;
        bool is_one;
    } cases[] = {
        { "one", "upload:" D60 "cdef", true },
        { "a digit too few", "upload:" D60 "cde", false },
        { "a digit too many", "upload:" D60 "cdef0", false },
        { "a capital letter", "upload:" D60 "cdeF", false },
        { "no digit", "upload:" D60 "cdeg", false },
        { "a path behind it", "upload:" D60 "cdef/..", false },
        { "slashes", "upload://" D60 "cdef", false },
        { "a capital scheme", "Upload:" D60 "cdef", false },
        { "nothing behind it", "upload:", false },
        { "nothing", "", false },
    };

    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        const char *digest = vmafx_uri_upload_digest(cases[i].uri);

        if (digest ? !cases[i].is_one || digest != cases[i].uri + 7 : cases[i].is_one)
            fail_msg("%s", cases[i].why);
    }
}

static void what_is_shown_is_cut_between_characters(void **state)
{
    for (size_t size = 1; size < 24; size++) {
        char shown[32];

        memset(shown, 'x', sizeof shown);
        vmafx_url_redact("https://h/\xc3\xa4?b", shown, size);
        size_t len = strlen(shown);
        assert_true(len < size);
        assert_true(len == 0 || (unsigned char)shown[len - 1] < 0x80 || len == 12 || len == 16);
    }
}

static void the_name_of_an_input_is_the_last_part_of_its_path(void **state)
{
    static const struct {
        const char *uri, *name;
    } cases[] = {
        { "/media/a.mp4", "a.mp4" },
        { "file:///media/a.mp4", "a.mp4" },
        { "https://h/x/a.mp4?sig=/SECRET", "a.mp4" },
        { "s3://bucket/dir/a b.mp4", "a b.mp4" },
        { "https://h", "https://h" },
        { "https://h/?q", "https://h/?" E },
        { "a.mp4", "a.mp4" },
        { "/media/odd?name", "odd?name" },
    };

    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        char name[64];

        vmafx_uri_name(cases[i].uri, name, sizeof name);
        assert_string_equal(name, cases[i].name);
    }
}

static void a_url_is_taken_apart(void **state)
{
    VmafxUrl url;
    char text[64];

    assert_int_equal(vmafx_url_parse("HTTPS://u:p@Media.Example.:8443/a/b?c=d#e", &url, NULL), VMAFX_OK);
    assert_true(url.tls);
    assert_string_equal(url.host, "media.example");
    assert_int_equal(url.port, 8443);
    assert_memory_equal(url.user, "u:p", url.user_len);
    assert_memory_equal(url.target, "/a/b?c=d", url.target_len);
    assert_int_equal(url.target_len, 8);
    assert_int_equal(vmafx_url_print(&url, text, sizeof text), VMAFX_OK);
    assert_string_equal(text, "https://media.example:8443/a/b?c=d");

    assert_int_equal(vmafx_url_parse("http://[2001:DB8::1]", &url, NULL), VMAFX_OK);
    assert_true(url.ipv6);
    assert_string_equal(url.host, "2001:db8::1");
    assert_int_equal(url.port, 80);
    assert_int_equal(vmafx_url_print(&url, text, sizeof text), VMAFX_OK);
    assert_string_equal(text, "http://[2001:db8::1]/");
    assert_int_equal(vmafx_url_print(&url, text, 10), VMAFX_ERR_LIMIT);
}

static void a_url_that_may_be_read_in_two_ways_is_refused(void **state)
{
    static const char *const bad[] = {
        "ftp://h/",           "https:/h",        "https://",         "https:///a",      "https://h:0/",
        "https://h:65536/",   "https://h:8x/",   "https://h\\@x/",   "https://h /",     "https://h/\n",
        "https://h%2e/",      "https://[::1",    "https://[::1]x/",  "https://[g::1]/", "https://\xc3\xa4/",
        "https://h/\xc3\xa4", "https://user@/a", "https://.h/",      "https://h/\x7f",  "https://h,x/",
        "https://a../",       "https://a..b/",   "https://a@b\\@c/", "//h/a",           "",
    };

    for (size_t i = 0; i < VMAFX_LEN(bad); i++) {
        VmafxErrInfo info = { 0 };
        VmafxUrl url;

        if (vmafx_url_parse(bad[i], &url, &info) != VMAFX_ERR_INPUT)
            fail_msg("'%s' was taken", bad[i]);
        assert_true(info.message[0]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_secret_is_not_shown),
        cmocka_unit_test(urls_within_sentences_are_shown_without_what_is_secret),
        cmocka_unit_test(an_upload_is_named_by_sixty_four_small_digits),
        cmocka_unit_test(what_is_shown_is_cut_between_characters),
        cmocka_unit_test(the_name_of_an_input_is_the_last_part_of_its_path),
        cmocka_unit_test(a_url_is_taken_apart),
        cmocka_unit_test(a_url_that_may_be_read_in_two_ways_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

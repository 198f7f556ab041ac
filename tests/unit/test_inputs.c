/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The pure parts of remote inputs: policy, headers, signatures, what is kept under which name. */

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base.h"
#include "inputs/cache_folder.h"
#include "inputs/headers.h"
#include "inputs/policy.h"
#include "inputs/s3.h"

/* ---- Policy ---- */

static void a_host_is_allowed_by_name_by_domain_or_by_all(void **state)
{
    static const struct {
        const char *list, *url;
        bool allowed;
    } cases[] = {
        { NULL, "https://a.example/", false },
        { "", "https://a.example/", false },
        { "a.example", "https://a.example/", true },
        { "A.Example", "https://a.EXAMPLE./", true },
        { "a.example.", "https://a.example/", true },
        { "a.example", "https://b.a.example/", false },
        { "a.example", "https://xa.example/", false },
        { "*.example", "https://a.example/", true },
        { "*.example", "https://a.b.example/", true },
        { "*.example", "https://example/", false },
        { "*.a.example", "https://xa.example/", false },
        { "b, a.example ,c", "https://a.example:8443/", true },
        { "*", "http://127.0.0.1/", true },
        { "*", "http://[::1]/", true },
        { "[::1]", "http://[::1]/", true },
        { "[::1]", "http://[::2]/", false },
        { "10.0.0.1", "http://10.0.0.1/", true },
        { "10.0.0.1", "http://10.0.0.10/", false },
    };

    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        HostList list;
        VmafxUrl url;

        assert_int_equal(host_list_init(&list, cases[i].list, NULL), VMAFX_OK);
        assert_int_equal(vmafx_url_parse(cases[i].url, &url, NULL), VMAFX_OK);
        if (host_list_allows(&list, &url) != cases[i].allowed)
            fail_msg("'%s' with '%s'", cases[i].list, cases[i].url);
        host_list_done(&list);
    }
}

static void a_list_of_hosts_with_something_else_in_it_is_refused(void **state)
{
    static const char *const bad[] = {
        "https://a.example", "a.example/path", "a.*.example", "**", "u@a", "a:443", "a b/", "*."
    };

    for (size_t i = 0; i < VMAFX_LEN(bad); i++) {
        HostList list;

        if (host_list_init(&list, bad[i], NULL) != VMAFX_ERR_INVALID)
            fail_msg("'%s' was taken", bad[i]);
        host_list_done(&list);
    }
}

static void addresses_that_are_not_public_are_known_in_every_guise(void **state)
{
    static const struct {
        const char *text;
        bool public;
    } cases[] = {
        { "1.1.1.1", true },
        { "8.8.8.8", true },
        { "0.0.0.0", false },
        { "0.1.2.3", false },
        { "10.0.0.1", false },
        { "10.255.255.255", false },
        { "11.0.0.0", true },
        { "100.63.255.255", true },
        { "100.64.0.0", false },
        { "100.127.255.255", false },
        { "100.128.0.0", true },
        { "127.0.0.1", false },
        { "127.255.0.1", false },
        { "128.0.0.1", true },
        { "169.254.169.254", false },
        { "169.255.0.1", true },
        { "172.15.255.255", true },
        { "172.16.0.1", false },
        { "172.31.255.255", false },
        { "172.32.0.0", true },
        { "192.0.0.8", false },
        { "192.0.2.1", false },
        { "192.168.1.1", false },
        { "192.169.0.1", true },
        { "198.18.0.1", false },
        { "198.19.255.255", false },
        { "198.20.0.0", true },
        { "198.51.100.1", false },
        { "203.0.113.1", false },
        { "223.255.255.255", true },
        { "224.0.0.1", false },
        { "239.1.1.1", false },
        { "240.0.0.1", false },
        { "255.255.255.255", false },
        { "::", false },
        { "::1", false },
        { "::ffff:127.0.0.1", false },
        { "::ffff:8.8.8.8", true },
        { "::7f00:1", false },
        { "::8.8.8.8", true },
        { "64:ff9b::a00:1", false },
        { "64:ff9b::808:808", true },
        { "64:ff9b:1::808:808", false },
        { "2002:7f00:1::", false },
        { "2002:808:808::", true },
        { "fc00::1", false },
        { "fdff::1", false },
        { "fe80::1", false },
        { "fec0::1", false },
        { "ff02::1", false },
        { "100::1", false },
        { "2001::1", false },
        { "2001:db8::1", false },
        { "2001:4860:4860::8888", true },
        { "2606:4700::1111", true },
        { "3fff::1", false },
        { "4000::1", false },
        { "5f00::1", false },
    };

    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        struct sockaddr_in v4 = { .sin_family = AF_INET };
        struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };
        bool is_v4 = inet_pton(AF_INET, cases[i].text, &v4.sin_addr) == 1;

        assert_true(is_v4 || inet_pton(AF_INET6, cases[i].text, &v6.sin6_addr) == 1);
        if (address_is_public(is_v4 ? (struct sockaddr *)&v4 : (struct sockaddr *)&v6) != cases[i].public)
            fail_msg("%s", cases[i].text);
    }
    assert_false(address_is_public(&(struct sockaddr){ .sa_family = AF_UNIX }));
}

/* ---- Headers ---- */

static void a_content_range_is_read_or_refused(void **state)
{
    static const struct {
        const char *text;
        bool good;
        int64_t first, last, total;
    } cases[] = {
        { "bytes 5-9/10", true, 5, 9, 10 },
        { "Bytes  0-0/1", true, 0, 0, 1 },
        { "bytes 5-9/*", true, 5, 9, -1 },
        { "bytes 9-5/10", false, 0, 0, 0 },
        { "bytes 5-10/10", false, 0, 0, 0 },
        { "bytes */10", false, 0, 0, 0 },
        { "bytes 5-9", false, 0, 0, 0 },
        { "bytes=5-9/10", false, 0, 0, 0 },
        { "bytes 5-9/10 ", false, 0, 0, 0 },
        { "bytes -5-9/10", false, 0, 0, 0 },
        { "items 5-9/10", false, 0, 0, 0 },
        { "bytes 5-99999999999999999999/9", false, 0, 0, 0 },
        { "", false, 0, 0, 0 },
        { "bytes", false, 0, 0, 0 },
    };

    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        ContentRange range;

        if (content_range_parse(cases[i].text, &range) != cases[i].good)
            fail_msg("'%s'", cases[i].text);
        if (cases[i].good) {
            assert_int_equal(range.first, cases[i].first);
            assert_int_equal(range.last, cases[i].last);
            assert_int_equal(range.total, cases[i].total);
        }
    }
}

static void cache_control_says_how_long_nobody_needs_to_ask(void **state)
{
    static const struct {
        const char *text;
        int64_t max_age_s;
        bool no_store;
    } cases[] = {
        { "", 0, false },
        { "max-age=60", 60, false },
        { "public, MAX-AGE=60 , immutable", 60, false },
        { "max-age=\"60\"", 60, false },
        { "max-age=60, s-maxage=5", 5, false },
        { "max-age=60, no-cache", 0, false },
        { "max-age=60, private", 0, false },
        { "private=\"a, max-age=9\", max-age=60", 0, false },
        { "x=\"max-age=9\", max-age=60", 60, false },
        { "x=\"unclosed, max-age=60", 0, false },
        { "no-store, max-age=60", 0, true },
        { "immutable", 0, false }, /* only within a lifetime, RFC 8246 */
        { "max-age=-1", 0, false },
        { "max-age", 0, false },
        { "max-age=99999999999999999999", 0, false },
        { "max-age=9999999999", CACHE_AGE_MAX_S, false },
        { "xmax-age=60", 0, false },
        { ",,, ,max-age=60", 60, false },
    };

    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        CacheControl control = cache_control_parse(cases[i].text);

        if (control.max_age_s != cases[i].max_age_s || control.no_store != cases[i].no_store)
            fail_msg("'%s': %lld", cases[i].text, (long long)control.max_age_s);
    }
}

static void retry_after_is_a_number_or_a_date(void **state)
{
    assert_int_equal(http_date_parse("Sun, 06 Nov 1994 08:49:37 GMT"), 784111777);
    assert_int_equal(http_date_parse("Sun, 06 Nov 1994 08:49:37 CET"), -1);
    assert_int_equal(http_date_parse("Sun, 06 Foo 1994 08:49:37 GMT"), -1);
    assert_int_equal(http_date_parse("Sunday, 06-Nov-94 08:49:37 GMT"), -1);
    assert_int_equal(http_date_parse("Sun, 06 Nov 1994 25:49:37 GMT"), -1);
    assert_int_equal(retry_after_parse("7", 0), 7);
    assert_int_equal(retry_after_parse("Sun, 06 Nov 1994 08:49:37 GMT", 784111770), 7);
    assert_int_equal(retry_after_parse("Sun, 06 Nov 1994 08:49:37 GMT", 784111780), 0);
    assert_int_equal(retry_after_parse("soon", 0), 0);
    assert_int_equal(retry_after_parse("", 0), 0);
}

static void only_a_strong_validator_proves_that_bytes_are_the_same(void **state)
{
    assert_true(etag_is_strong("\"a\""));
    assert_true(etag_is_strong("\"\""));
    assert_false(etag_is_strong("W/\"a\""));
    assert_true(etag_is_usable("W/\"a\""));
    assert_false(etag_is_usable("a"));
    assert_false(etag_is_usable("\"a"));
    assert_false(etag_is_usable("\"a\"b\""));
    assert_false(etag_is_usable("\"a\nb\""));
    assert_false(etag_is_usable(""));
}

/* ---- Objects ---- */

/** "Authenticating Requests: Using the Authorization Header", Amazon S3 API reference, example "GET Object". */
static void a_signature_is_the_one_of_the_aws_documents(void **state)
{
    S3Config config = { .region = (char *)"us-east-1",
                        .access_key = (char *)"AKIAIOSFODNN7EXAMPLE",
                        .secret_key = (char *)"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY" };
    S3Signature s;
    VmafxUrl url;

    assert_int_equal(vmafx_url_parse("https://examplebucket.s3.amazonaws.com/test.txt", &url, NULL), VMAFX_OK);
    s3_sign(&config, &url, "bytes=0-9", 1369353600, &s);
    assert_string_equal(s.date, "20130524T000000Z");
    assert_string_equal(s.authorization,
                        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"
                        "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,"
                        "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
}

static void an_object_has_a_url(void **state)
{
    static const struct {
        const char *endpoint, *uri, *url;
    } cases[] = {
        { NULL, "s3://bucket/a.mp4", "https://bucket.s3.eu-west-1.amazonaws.com/a.mp4" },
        { NULL, "S3://my.bucket/a", "https://s3.eu-west-1.amazonaws.com/my.bucket/a" },
        { "http://minio:9000", "s3://bucket/dir/a b+c.mp4", "http://minio:9000/bucket/dir/a%20b%2Bc.mp4" },
        { "http://minio:9000/x", "s3://bucket/a%20?~*'\xc3\xa4", "http://minio:9000/x/bucket/a%2520%3F~%2A%27%C3%A4" },
        { NULL, "s3://bucket/../a//b", "https://bucket.s3.eu-west-1.amazonaws.com/../a//b" },
        { NULL, "s3://bucket", NULL },
        { NULL, "s3://bucket/", NULL },
        { NULL, "s3://b/a", NULL },
        { NULL, "s3://-bucket/a", NULL },
        { NULL, "s3://buc@ket/a", NULL },
    };

    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        S3Config config = { .region = (char *)"eu-west-1", .endpoint = (char *)(uintptr_t)cases[i].endpoint };
        char url[VMAFX_URL_MAX];
        VmafxErr err = s3_url(&config, cases[i].uri, url, NULL);

        assert_int_equal(err, cases[i].url ? VMAFX_OK : VMAFX_ERR_INPUT);
        if (cases[i].url)
            assert_string_equal(url, cases[i].url);
    }
}

/* ---- What is kept ---- */

static void a_url_is_kept_under_one_name_however_it_is_signed(void **state)
{
    static const struct {
        const char *why, *a, *b;
        bool same;
    } cases[] = {
        { "AWS", "https://h/a?X-Amz-Date=1&X-Amz-Signature=2&versionId=3", "https://h/a?versionId=3&x-amz-date=9",
          true },
        { "Google", "https://h/a?X-Goog-Signature=2", "https://h/a", true },
        { "CloudFront", "https://h/a?Expires=1&Signature=2&Key-Pair-Id=3", "https://h/a?Signature=5", true },
        { "a parameter counts", "https://h/a?id=1", "https://h/a?id=2", false },
        { "a fragment does not", "https://h/a#b", "https://h/a", true },
        { "a user counts", "https://u@h/a", "https://h/a", false },
        { "a question mark in a key counts", "s3://b/a?Signature=1", "s3://b/a", false },
        { "part of a name does not sign", "https://h/a?MySignature=1", "https://h/a", false },
    };

    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        char a[VMAFX_SHA256_TEXT], b[VMAFX_SHA256_TEXT];

        cache_key(cases[i].a, a);
        cache_key(cases[i].b, b);
        if (cases[i].same != !strcmp(a, b))
            fail_msg("%s", cases[i].why);
    }
}

static CacheMeta some_meta(void)
{
    CacheMeta meta = { .size = 5, .changed_ns = 7, .checked_ns = 100, .fresh_ns = 200 };

    memset(meta.url_sha256, 'a', 64);
    memset(meta.sha256, 'b', 64);
    snprintf(meta.etag, sizeof meta.etag, "\"x\"");
    return meta;
}

static void what_is_known_of_an_entry_is_read_as_it_was_written_or_not_at_all(void **state)
{
    CacheMeta meta = some_meta(), read;
    char text[CACHE_META_MAX], other[CACHE_META_MAX];

    assert_true(cache_meta_print(&meta, text, sizeof text));
    size_t len = strlen(text);
    assert_true(cache_meta_parse(text, len, &read));
    assert_memory_equal(&read, &meta, sizeof meta);
    for (size_t n = 0; n < len; n++)
        assert_false(cache_meta_parse(text, n, &read));
    for (size_t i = 0; i < len; i++) { /* whatever is taken says the same when it is written again */
        memcpy(other, text, len);
        other[i] ^= 1;
        if (cache_meta_parse(other, len, &read)) {
            char again[CACHE_META_MAX];
            assert_true(cache_meta_print(&read, again, sizeof again));
            assert_true(strlen(again) == len && !memcmp(again, other, len));
        }
    }
}

static void an_entry_needs_no_question_only_while_it_is_fresh_and_for_the_same_url(void **state)
{
    CacheMeta meta = some_meta();

    assert_true(cache_meta_is_fresh(&meta, meta.url_sha256, 100));
    assert_true(cache_meta_is_fresh(&meta, meta.url_sha256, 199));
    assert_false(cache_meta_is_fresh(&meta, meta.url_sha256, 200));
    assert_false(cache_meta_is_fresh(&meta, meta.url_sha256, 99)); /* the clock went back */
    assert_false(cache_meta_is_fresh(&meta, meta.sha256, 150));
}

/* Puts, uses, holds and makes room at random; the folder must do as a simple model does. */
enum { KEYS = 6, STEPS = 2000, ROOM = 100 };

typedef struct Model {
    int64_t size[KEYS]; /* 0: not there */
    int held[KEYS];     /* a descriptor; -1 */
    int64_t held_size[KEYS];
} Model;

static void key_of(int k, char ret[VMAFX_SHA256_TEXT])
{
    char name[8];

    snprintf(name, sizeof name, "%d", k);
    vmafx_sha256_hex(name, strlen(name), ret);
}

static int64_t bytes_of(const Model *m)
{
    int64_t sum = 0;

    for (int k = 0; k < KEYS; k++)
        sum += m->size[k];
    return sum;
}

static void put(int folder, Model *m, int k, int64_t size)
{
    char key[VMAFX_SHA256_TEXT];
    CacheTemp temp = { .fd = -1 };
    CacheMeta meta = some_meta();

    key_of(k, key);
    assert_true(cache_temp_open(folder, &temp));
    assert_int_equal(ftruncate(temp.fd, size), 0);
    int fd = cache_put(folder, key, &temp, &meta);
    assert_true(fd >= 0);
    cache_temp_drop(folder, &temp);
    close(fd);
    m->size[k] = size;
}

static void the_folder_keeps_to_its_size_and_to_what_is_held(void **state)
{
    char path[] = "/tmp/test_inputs_XXXXXX", command[64];
    Model m = { 0 };
    int folder;

    assert_non_null(mkdtemp(path));
    assert_int_equal(cache_folder_open(path, &folder, NULL), VMAFX_OK);
    for (int k = 0; k < KEYS; k++)
        m.held[k] = -1;
    srand(5);
    for (int step = 0; step < STEPS; step++) {
        int k = rand() % KEYS, what = rand() % 4;
        char key[VMAFX_SHA256_TEXT];
        CacheMeta meta;
        int fd;

        key_of(k, key);
        bool there = cache_find(folder, key, &meta, &fd);
        assert_int_equal(there, m.size[k] > 0);
        if (there)
            assert_int_equal(meta.size, m.size[k]);
        if (what == 0 && there && m.held[k] < 0) {
            m.held[k] = fd;
            continue;
        }
        if (there)
            close(fd);
        if (what == 1 && m.held[k] >= 0) {
            close(m.held[k]);
            m.held[k] = -1;
        } else if (what >= 2 && m.held[k] < 0) {
            int64_t size = 1 + rand() % 60, held = 0;
            bool room = cache_make_room(folder, size, ROOM);

            for (int j = 0; j < KEYS; j++) { /* what is held is there; the rest is as it was, or gone */
                char other[VMAFX_SHA256_TEXT];

                key_of(j, other);
                bool left = cache_find(folder, other, &meta, &fd);
                if (left)
                    close(fd);
                if (m.held[j] >= 0) {
                    assert_true(left);
                    held += m.size[j];
                }
                if (!left)
                    m.size[j] = 0;
            }
            assert_int_equal(room, held + size <= ROOM);
            if (room)
                put(folder, &m, k, size);
        }
        assert_true(bytes_of(&m) <= ROOM);
    }
    for (int k = 0; k < KEYS; k++)
        if (m.held[k] >= 0)
            close(m.held[k]);
    close(folder);
    snprintf(command, sizeof command, "rm -r %s", path);
    assert_int_equal(system(command), 0);
}

static void leftovers_of_those_who_died_are_removed_and_those_of_the_living_stay(void **state)
{
    char path[] = "/tmp/test_inputs_XXXXXX", command[64], key[VMAFX_SHA256_TEXT];
    CacheTemp alive = { .fd = -1 };
    int folder, again;
    Model m = { 0 };

    key_of(1, key);
    assert_non_null(mkdtemp(path));
    assert_int_equal(cache_folder_open(path, &folder, NULL), VMAFX_OK);
    assert_true(cache_temp_open(folder, &alive));
    int lock = cache_lock(folder, key);
    assert_true(lock >= 0);
    put(folder, &m, 0, 5);
    snprintf(command, sizeof command, "touch %s/tmp-dead %s/x.lock", path, path);
    assert_int_equal(system(command), 0);

    assert_int_equal(cache_folder_open(path, &again, NULL), VMAFX_OK);
    snprintf(command, sizeof command, "test $(ls %s | wc -l) = 4", path);
    assert_int_equal(system(command), 0); /* the living's temp and lock, data and meta */
    assert_int_equal(cache_lock(again, key), -1);
    cache_unlock(folder, key, &lock);
    lock = cache_lock(again, key);
    assert_true(lock >= 0);
    cache_unlock(again, key, &lock);
    cache_temp_drop(folder, &alive);
    close(folder);
    close(again);
    snprintf(command, sizeof command, "rm -r %s", path);
    assert_int_equal(system(command), 0);
}

static void a_folder_that_everybody_may_write_to_is_refused(void **state)
{
    char path[] = "/tmp/test_inputs_XXXXXX";
    int folder;

    assert_non_null(mkdtemp(path));
    assert_int_equal(chmod(path, 0777), 0);
    assert_int_equal(cache_folder_open(path, &folder, NULL), VMAFX_ERR_INVALID);
    rmdir(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_host_is_allowed_by_name_by_domain_or_by_all),
        cmocka_unit_test(a_list_of_hosts_with_something_else_in_it_is_refused),
        cmocka_unit_test(addresses_that_are_not_public_are_known_in_every_guise),
        cmocka_unit_test(a_content_range_is_read_or_refused),
        cmocka_unit_test(cache_control_says_how_long_nobody_needs_to_ask),
        cmocka_unit_test(retry_after_is_a_number_or_a_date),
        cmocka_unit_test(only_a_strong_validator_proves_that_bytes_are_the_same),
        cmocka_unit_test(a_signature_is_the_one_of_the_aws_documents),
        cmocka_unit_test(an_object_has_a_url),
        cmocka_unit_test(a_url_is_kept_under_one_name_however_it_is_signed),
        cmocka_unit_test(what_is_known_of_an_entry_is_read_as_it_was_written_or_not_at_all),
        cmocka_unit_test(an_entry_needs_no_question_only_while_it_is_fresh_and_for_the_same_url),
        cmocka_unit_test(the_folder_keeps_to_its_size_and_to_what_is_held),
        cmocka_unit_test(leftovers_of_those_who_died_are_removed_and_those_of_the_living_stay),
        cmocka_unit_test(a_folder_that_everybody_may_write_to_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

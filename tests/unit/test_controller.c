/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The controller's pure parts: whose jobs somebody sees, and texts of requests. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"
#include "programs/controller/disk.h"
#include "programs/controller/rest_internal.h"

/* ---- Tenants ---- */

static Caller caller_named(const char *name, const char *tenant)
{
    Caller caller = { .who = { .role = VMAFX_ROLE_ADMIN } };

    snprintf(caller.who.name, sizeof caller.who.name, "%s", name);
    snprintf(caller.who.tenant, sizeof caller.who.tenant, "%s", tenant);
    return caller;
}

static void a_tenant_sees_its_own_jobs_and_no_others(void **state)
{
    static const struct {
        const char *why, *name, *tenant, *submitter;
        bool sees;
    } cases[] = {
        { "its own", "ci", "studio", "studio", true },
        { "another tenant's", "ci", "studio", "archive", false },
        { "one that its own identity submitted before it had a tenant", "ci", "studio", "ci", false },
        { "a longer name", "ci", "studio", "studio2", false },
        { "a shorter name", "ci", "studio", "stud", false },
        { "without a tenant everybody's", "alice", "", "studio", true },
        { "without a tenant its own", "alice", "", "alice", true },
    };

    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        Caller caller = caller_named(cases[i].name, cases[i].tenant);
        VmafxJob job = { .priority = 0 };

        snprintf(job.submitter, sizeof job.submitter, "%s", cases[i].submitter);
        if (caller_sees(&caller, &job) != cases[i].sees)
            fail_msg("%s", cases[i].why);
    }
}

static void a_tenant_submits_as_that_tenant_and_operates_nothing(void **state)
{
    Caller tenant = caller_named("ci", "studio"), other = caller_named("alice", "");
    VmafxErrInfo info = { "" };

    assert_string_equal(caller_submitter(&tenant), "studio");
    assert_string_equal(caller_submitter(&other), "alice");
    assert_string_equal(caller_tenant(&tenant), "studio");
    assert_null(caller_tenant(&other));
    assert_int_equal(caller_may_operate(&tenant, &info), VMAFX_ERR_FORBIDDEN);
    assert_non_null(strstr(info.message, "studio"));
    assert_int_equal(caller_may_operate(&other, &info), VMAFX_OK);
}

/* ---- Times ---- */

static void times_are_rfc_3339_or_microseconds(void **state)
{
    static const struct {
        const char *why, *text;
        int64_t us; /* 0: refused */
    } cases[] = {
        { "UTC", "2026-01-31T12:00:00Z", 1769860800000000 },
        { "small letters", "2026-01-31t12:00:00z", 1769860800000000 },
        { "a fraction", "2026-01-31T12:00:00.25Z", 1769860800250000 },
        { "more digits than there are microseconds", "2026-01-31T12:00:00.1234567Z", 1769860800123456 },
        { "east", "2026-01-31T13:30:00+01:30", 1769860800000000 },
        { "west", "2026-01-31T07:00:00-05:00", 1769860800000000 },
        { "a leap day", "2024-02-29T00:00:00Z", 1709164800000000 },
        { "a leap second is the next", "2016-12-31T23:59:60Z", 1483228800000000 },
        { "the first second", "1970-01-01T00:00:01Z", 1000000 },
        { "microseconds", "1769860800000001", 1769860800000001 },
        { "nothing", "", 0 },
        { "zero", "0", 0 },
        { "the epoch, which would mean none", "1970-01-01T00:00:00Z", 0 },
        { "before it", "1969-12-31T23:59:59Z", 0 },
        { "negative", "-1", 0 },
        { "more than 64 bits", "99999999999999999999", 0 },
        { "a date alone", "2026-01-31", 0 },
        { "no zone", "2026-01-31T12:00:00", 0 },
        { "a blank, as an unescaped plus becomes", "2026-01-31T13:30:00 01:30", 0 },
        { "no such day", "2026-02-29T00:00:00Z", 0 },
        { "no such day in a century", "2100-02-29T00:00:00Z", 0 },
        { "month 0", "2026-00-01T00:00:00Z", 0 },
        { "month 13", "2026-13-01T00:00:00Z", 0 },
        { "hour 24", "2026-01-31T24:00:00Z", 0 },
        { "second 61", "2026-01-31T12:00:61Z", 0 },
        { "a point without digits", "2026-01-31T12:00:00.Z", 0 },
        { "an offset without a colon", "2026-01-31T12:00:00+0100", 0 },
        { "an offset of a day", "2026-01-31T12:00:00+24:00", 0 },
        { "something behind it", "2026-01-31T12:00:00Zx", 0 },
        { "year 0", "0000-01-01T00:00:00Z", 0 },
        { "the last year", "9999-12-31T23:59:59Z", 253402300799000000 },
    };

    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        VmafxErrInfo info = { "" };
        int64_t us = 0;
        VmafxErr err = rest_time("created_from", cases[i].text, &us, &info);

        if (err != (cases[i].us ? VMAFX_OK : VMAFX_ERR_INVALID) || us != cases[i].us)
            fail_msg("%s: %s, %lld", cases[i].why, vmafx_err_name(err), (long long)us);
        if (err && strncmp(info.message, "created_from: ", 14) != 0)
            fail_msg("%s: '%s'", cases[i].why, info.message);
    }
}

/* ---- Media types ---- */

static void the_media_type_is_what_accept_likes_best(void **state)
{
    static const char *const types[] = { "application/json", "text/csv", "application/xml" };
    static const struct {
        const char *why, *accept, *chosen;
    } cases[] = {
        { "no header", NULL, "application/json" },
        { "everything", "*/*", "application/json" },
        { "one of ours", "text/csv", "text/csv" },
        { "whatever its letters", "TEXT/CSV", "text/csv" },
        { "a range", "text/*", "text/csv" },
        { "the heavier one", "application/json;q=0.5, text/csv;q=0.9", "text/csv" },
        { "of equals ours first", "text/csv, application/json", "application/json" },
        { "the exact one counts, not the range", "*/*, application/json;q=0", "text/csv" },
        { "a range that excludes", "application/*;q=0, */*;q=0.1", "text/csv" },
        { "a browser", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "application/xml" },
        { "with parameters", "text/csv;charset=utf-8;q=1", "text/csv" },
        { "blanks", "  text/csv ; q=0.7 ,image/png", "text/csv" },
        { "none of ours", "image/png", NULL },
        { "nothing at all", "", NULL },
        { "weight 0", "text/csv;q=0", NULL },
        { "a weight that is none", "text/csv;q=x", NULL },
        { "nonsense", ";;;,/,*", NULL },
    };

    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        const char *chosen = rest_accept(cases[i].accept, types, VMAFX_LEN(types));

        if (!chosen != !cases[i].chosen || (chosen && strcmp(chosen, cases[i].chosen) != 0))
            fail_msg("%s: %s", cases[i].why, chosen ? chosen : "none");
    }
    assert_true(rest_is_json("application/json"));
    assert_true(rest_is_json(" Application/JSON ; charset=utf-8"));
    assert_false(rest_is_json("application/json-patch+json"));
    assert_false(rest_is_json("text/json"));
    assert_false(rest_is_json(""));
    assert_false(rest_is_json(NULL));
}

/* ---- Digests ---- */

static void a_content_digest_is_the_one_of_sha_256_or_refused(void **state)
{
#define EMPTY "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
    static const char empty[] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    static const struct {
        const char *why, *header, *hex; /* NULL: refused */
    } cases[] = {
        { "alone", "sha-256=:" EMPTY ":", empty },
        { "capital letters", "SHA-256=:" EMPTY ":", empty },
        { "behind another", "sha-512=:AAAA:, sha-256=:" EMPTY ":", empty },
        { "before another, with blanks", " sha-256=:" EMPTY ": ,sha-512=:AAAA:", empty },
        { "only another", "sha-512=:AAAA:", "" },
        { "one whose name is longer", "sha-2567=:AAAA:", "" },
        { "nothing", "", "" },
        { "no colons, as in the old Digest header", "sha-256=" EMPTY, NULL },
        { "a colon is missing", "sha-256=:" EMPTY, NULL },
        { "too short", "sha-256=:AAAA:", NULL },
        { "too long", "sha-256=:A" EMPTY ":", NULL },
        { "a character that is none", "sha-256=:*7DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:", NULL },
        { "bits behind the last byte", "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFV=:", NULL },
        { "not filled up", "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFUA:", NULL },
        { "nothing behind it", "sha-256=", NULL },
        { "parameters, which it has none of", "sha-256=:" EMPTY ":;a=1", NULL },
    };

    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        char hex[VMAFX_SHA256_TEXT] = "";
        VmafxErrInfo info = { "" };
        VmafxErr err = rest_content_digest(cases[i].header, hex, &info);

        if (err != (cases[i].hex ? VMAFX_OK : VMAFX_ERR_INVALID) || (!err && strcmp(hex, cases[i].hex) != 0))
            fail_msg("%s: %s '%s'", cases[i].why, vmafx_err_name(err), hex);
    }
}

/* ---- The disk of the store ---- */

static void write_bytes(const char *path, size_t n)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(fputc('x', file), 'x');
    assert_int_equal(fclose(file), 0);
}

static void the_disk_of_the_store_is_told_with_what_sqlite_keeps_beside_it(void **state)
{
    char folder[] = "/tmp/vmafx-test-XXXXXX";
    VMAFX_AUTO(vmafx_free_p) char *store = NULL, *wal = NULL;
    StoreDiskBytes bytes = { .usage = 7 };

    assert_non_null(mkdtemp(folder));
    store = vmafx_sprintf("%s/jobs.db", folder);
    wal = vmafx_sprintf("%s/jobs.db-wal", folder);
    assert_false(store_disk_read(store, &bytes));
    assert_int_equal(bytes.usage, 7); /* untouched */

    write_bytes(store, 100);
    assert_true(store_disk_read(store, &bytes));
    assert_int_equal(bytes.usage, 100);
    assert_true(bytes.free > 0 && bytes.free <= bytes.limit);
    write_bytes(wal, 30);
    assert_true(store_disk_read(store, &bytes));
    assert_int_equal(bytes.usage, 130);

    remove(store);
    remove(wal);
    remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tenant_sees_its_own_jobs_and_no_others),
        cmocka_unit_test(a_tenant_submits_as_that_tenant_and_operates_nothing),
        cmocka_unit_test(times_are_rfc_3339_or_microseconds),
        cmocka_unit_test(the_media_type_is_what_accept_likes_best),
        cmocka_unit_test(a_content_digest_is_the_one_of_sha_256_or_refused),
        cmocka_unit_test(the_disk_of_the_store_is_told_with_what_sqlite_keeps_beside_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

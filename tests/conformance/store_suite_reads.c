/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What every store does: what readers see. */

#include "store_suite.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"

/* ---- reads ---- */

/* The numbers of a list, as text. */
static const char *listed(const VmafxStoreFilter *filter, bool expect_more)
{
    static char text[256];
    VmafxStoredJobs jobs;
    size_t len = 0;

    assert_int_equal(vmafx_store_list(suite_store(), filter, &jobs), VMAFX_OK);
    text[0] = 0;
    for (size_t i = 0; i < jobs.n; i++) {
        char spec[24];

        snprintf(spec, sizeof spec, "spec %d", jobs.items[i].job.id.bytes[15]);
        assert_int_equal(jobs.items[i].spec_len, strlen(spec));
        assert_memory_equal(jobs.items[i].spec, spec, strlen(spec));
        len += (size_t)snprintf(text + len, sizeof text - len, "%s%d", i ? " " : "", jobs.items[i].job.id.bytes[15]);
    }
    assert_int_equal(jobs.more, expect_more);
    vmafx_stored_jobs_done(&jobs);
    return text;
}

/* Jobs 1 … 8, a second apart: odd ones are alice's, even ones bob's; 1 2 cancelled, 3 running. */
static void submit_a_crowd(void)
{
    static const VmafxStoreLabel labels[] = { { "show", "a" }, { "codec", "av1" }, { "show", "b" } };

    for (uint32_t i = 1; i <= 8; i++) {
        VmafxSubmission s = suite_submission(i);

        strcpy(s.job.submitter, i % 2 ? "alice" : "bob");
        s.labels = i <= 4 ? labels : labels + 1;
        s.n_labels = i <= 2 ? 1 : 2;
        assert_int_equal(suite_submit(&s, NULL), VMAFX_OK);
        suite_pass(SUITE_SECOND);
    }
    assert_int_equal(suite_cancel(1, NULL), VMAFX_OK);
    assert_int_equal(suite_cancel(2, NULL), VMAFX_OK);
    suite_assert_leased("n", 3);
}

static void lists_are_newest_first_and_every_filter_narrows_them(void **state)
{
    static const VmafxStoreLabel a = { "show", "a" }, b_av1[] = { { "show", "b" }, { "codec", "av1" } },
                                 both[] = { { "show", "a" }, { "codec", "av1" } }, none = { "show", "c" };
    const unsigned queued = 1u << VMAFX_JOB_QUEUED, cancelled = 1u << VMAFX_JOB_CANCELLED;
    static const VmafxWall at = SUITE_EPOCH;
    const struct {
        const char *why, *expected;
        VmafxStoreFilter filter;
    } cases[] = {
        { "nothing asked", "8 7 6 5 4 3 2 1", { .limit = 10 } },
        { "before one", "3 2 1", { .before = suite_id(4), .limit = 10 } },
        { "one state", "8 7 6 5 4", { .states = queued, .limit = 10 } },
        { "two states", "8 7 6 5 4 2 1", { .states = queued | cancelled, .limit = 10 } },
        { "a state that does not exist", "", { .states = 1u << 9, .limit = 10 } },
        { "a submitter", "7 5 3 1", { .submitter = "alice", .limit = 10 } },
        { "a submitter and a state", "8 6 4", { .submitter = "bob", .states = queued, .limit = 10 } },
        { "a submitter, a state, before",
          "4",
          { .submitter = "bob", .states = queued, .before = suite_id(6), .limit = 10 } },
        { "an unknown submitter", "", { .submitter = "eve", .limit = 10 } },
        { "a label", "4 3 2 1", { .labels = &a, .n_labels = 1, .limit = 10 } },
        { "two labels", "8 7 6 5", { .labels = b_av1, .n_labels = 2, .limit = 10 } },
        { "two labels, before", "6 5", { .labels = b_av1, .n_labels = 2, .before = suite_id(7), .limit = 10 } },
        { "two other labels", "4 3", { .labels = both, .n_labels = 2, .limit = 10 } },
        { "a label nobody has", "", { .labels = &none, .n_labels = 1, .limit = 10 } },
        { "a label, a state", "2 1", { .labels = &a, .n_labels = 1, .states = cancelled, .limit = 10 } },
        { "a label, a submitter", "4 2", { .labels = &a, .n_labels = 1, .submitter = "bob", .limit = 10 } },
        { "made from", "8 7", { .created_from = at + 6 * SUITE_SECOND, .limit = 10 } },
        { "made before", "2 1", { .created_before = at + 2 * SUITE_SECOND, .limit = 10 } },
        { "made in between, a label",
          "4 3",
          { .created_from = at + 2 * SUITE_SECOND,
            .created_before = at + 7 * SUITE_SECOND,
            .labels = &a,
            .n_labels = 1,
            .limit = 10 } },
        { "made in between, a state",
          "5 4",
          { .created_from = at + 2 * SUITE_SECOND,
            .created_before = at + 5 * SUITE_SECOND,
            .states = queued,
            .limit = 10 } },
    };

    submit_a_crowd();
    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        const char *got = listed(&cases[i].filter, false);

        if (strcmp(got, cases[i].expected) != 0)
            fail_msg("%s: %s instead of %s", cases[i].why, got, cases[i].expected);
    }
}

/* A job whose id says that it was made at another time than its row. */
static void submit_with_id_of(uint32_t number, int64_t off_us)
{
    const uint8_t random[10] = { [9] = (uint8_t)number };
    VmafxSubmission s = suite_submission(number);

    vmafx_job_id_make(vmafx_store_now(suite_store()) + off_us, random, &s.job.id);
    assert_int_equal(suite_submit(&s, NULL), VMAFX_OK);
}

static void a_list_by_time_goes_by_the_rows_however_far_their_ids_are_from_it(void **state)
{
    static const int64_t off[] = { -1, 0, 30 * SUITE_SECOND, -50 * (int64_t)SUITE_SECOND, 0 }; /* of jobs 1 … 5 */
    static const struct {
        const char *why, *expected;
        VmafxStoreFilter filter;
    } cases[] = {
        { "all", "3 5 2 1 4", { .limit = 10 } },
        { "from the very time", "3 5 4", { .created_from = SUITE_EPOCH + 20 * SUITE_SECOND, .limit = 10 } },
        { "an id from the future", "3 2 1", { .created_before = SUITE_EPOCH + 20 * SUITE_SECOND + 2, .limit = 10 } },
        { "an id from the past", "5 4", { .created_from = SUITE_EPOCH + 30 * SUITE_SECOND, .limit = 10 } },
        { "a span without any",
          "",
          { .created_from = SUITE_EPOCH + 41 * SUITE_SECOND,
            .created_before = SUITE_EPOCH + 99 * SUITE_SECOND,
            .limit = 10 } },
        { "as late as can be", "3 5 2 1 4", { .created_from = 1, .created_before = INT64_MAX, .limit = 10 } },
        { "later than can be", "", { .created_from = INT64_MAX, .limit = 10 } },
        { "before there was time", "", { .created_before = INT64_MIN, .limit = 10 } },
        { "since before there was time", "3 5 2 1 4", { .created_from = INT64_MIN, .limit = 10 } },
    };

    for (uint32_t i = 0; i < VMAFX_LEN(off); i++) {
        submit_with_id_of(i + 1, off[i]);
        suite_pass(10 * SUITE_SECOND);
    }
    suite_reopen();
    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        const char *got = listed(&cases[i].filter, false);

        if (strcmp(got, cases[i].expected) != 0)
            fail_msg("%s: %s instead of %s", cases[i].why, got, cases[i].expected);
    }
}

static void pages_follow_each_other_and_the_last_says_so(void **state)
{
    VmafxStoreFilter filter = { .limit = 3 };
    VmafxStoredJobs jobs;

    submit_a_crowd();
    assert_string_equal(listed(&filter, true), "8 7 6");
    filter.before = suite_id(6);
    assert_string_equal(listed(&filter, true), "5 4 3");
    filter.before = suite_id(3);
    assert_string_equal(listed(&filter, false), "2 1");
    filter.before = suite_id(1);
    assert_string_equal(listed(&filter, false), "");
    filter.limit = 0;
    assert_int_equal(vmafx_store_list(suite_store(), &filter, &jobs), VMAFX_ERR_INVALID);
    filter.limit = VMAFX_STORE_PAGE_MAX + 1;
    assert_int_equal(vmafx_store_list(suite_store(), &filter, &jobs), VMAFX_ERR_INVALID);
}

static void events_tell_what_happened_in_order(void **state)
{
    static const VmafxEventKind expected[] = { VMAFX_EVENT_SUBMITTED, VMAFX_EVENT_LEASED, VMAFX_EVENT_ATTEMPT_ENDED,
                                               VMAFX_EVENT_QUEUED };
    VmafxAttemptReport failure = suite_failure("n", 1, VMAFX_FAILURE_NODE);
    VmafxJobId id = suite_id(1), other = suite_id(3);
    VmafxStoredEvents events;
    int64_t last = 0;

    suite_submit_plain(1);
    suite_submit_plain(2);
    suite_assert_leased("n", 1);
    assert_int_equal(suite_end(&failure, 1, NULL, NULL), VMAFX_OK);
    assert_int_equal(vmafx_store_events(suite_store(), &id, 0, 100, &events), VMAFX_OK);
    assert_int_equal(events.n, VMAFX_LEN(expected));
    for (size_t i = 0; i < events.n; i++) {
        assert_int_equal(events.items[i].kind, expected[i]);
        assert_true(events.items[i].sequence > last);
        assert_memory_equal(&events.items[i].job, &id, sizeof id);
        last = events.items[i].sequence;
    }
    assert_string_equal(events.items[2].message, "it broke");
    assert_string_equal(events.items[2].node, "n");
    int64_t third = events.items[2].sequence;
    vmafx_stored_events_done(&events);

    assert_int_equal(vmafx_store_events(suite_store(), &id, third, 100, &events), VMAFX_OK);
    assert_int_equal(events.n, 1);
    vmafx_stored_events_done(&events);
    assert_int_equal(vmafx_store_events(suite_store(), NULL, 0, 3, &events), VMAFX_OK);
    assert_int_equal(events.n, 3);
    assert_int_equal(events.items[1].job.bytes[15], 2);
    vmafx_stored_events_done(&events);
    assert_int_equal(vmafx_store_events(suite_store(), &other, 0, 3, &events), VMAFX_OK);
    assert_int_equal(events.n, 0);
    vmafx_stored_events_done(&events);
    assert_int_equal(vmafx_store_events(suite_store(), NULL, 0, 0, &events), VMAFX_ERR_INVALID);
}

static void a_node_that_comes_back_learns_what_it_holds(void **state)
{
    VmafxStoredJobs jobs;
    VmafxAttemptReport success = suite_success("n", 1);

    for (uint32_t i = 1; i <= 4; i++)
        suite_submit_plain(i);
    suite_assert_leased("n", 1);
    suite_assert_leased("m", 2);
    suite_assert_leased("n", 3);
    suite_assert_leased("n", 4);
    assert_int_equal(suite_end(&success, 3, NULL, NULL), VMAFX_OK);
    assert_int_equal(vmafx_store_held(suite_store(), "n", &jobs), VMAFX_OK);
    assert_int_equal(jobs.n, 2);
    assert_int_equal(jobs.items[0].job.id.bytes[15], 1);
    assert_int_equal(jobs.items[1].job.id.bytes[15], 4);
    assert_memory_equal(jobs.items[1].spec, "spec 4", 6);
    vmafx_stored_jobs_done(&jobs);
    assert_int_equal(vmafx_store_held(suite_store(), "nobody", &jobs), VMAFX_OK);
    assert_int_equal(jobs.n, 0);
    vmafx_stored_jobs_done(&jobs);
}

static void counts_follow_every_change(void **state)
{
    VmafxAttemptReport success = suite_success("n", 1), failure = suite_failure("n", 1, VMAFX_FAILURE_MODEL);
    VmafxStoreCounts counts = suite_counts();

    assert_int_equal(counts.queued + counts.running + counts.succeeded + counts.failed + counts.cancelled, 0);
    assert_int_equal(counts.oldest_queued, 0);
    assert_true(counts.bytes > 0);
    for (uint32_t i = 1; i <= 5; i++) {
        suite_submit_plain(i);
        suite_pass(SUITE_SECOND);
    }
    assert_int_equal(suite_counts().oldest_queued, SUITE_EPOCH);
    suite_assert_leased("n", 1);
    suite_assert_leased("n", 2);
    suite_assert_leased("n", 3);
    assert_int_equal(suite_end(&success, 1, NULL, NULL), VMAFX_OK);
    assert_int_equal(suite_end(&failure, 2, NULL, NULL), VMAFX_OK);
    assert_int_equal(suite_cancel(4, NULL), VMAFX_OK);
    counts = suite_counts();
    assert_int_equal(counts.queued, 1);
    assert_int_equal(counts.running, 1);
    assert_int_equal(counts.succeeded, 1);
    assert_int_equal(counts.failed, 1);
    assert_int_equal(counts.cancelled, 1);
    assert_int_equal(counts.oldest_queued, SUITE_EPOCH + 4 * SUITE_SECOND);
    assert_int_equal(suite_delete(1), VMAFX_OK);
    assert_int_equal(suite_counts().succeeded, 0);
}

static void everything_is_there_after_a_restart(void **state)
{
    VmafxJob before[3];
    VmafxAttemptReport success = suite_success("n", 1);
    int64_t newest = 0, again = 0;

    for (uint32_t i = 1; i <= 3; i++)
        suite_submit_plain(i);
    suite_assert_leased("n", 1);
    suite_assert_leased("n", 2);
    assert_int_equal(suite_end(&success, 1, "r", NULL), VMAFX_OK);
    for (uint32_t i = 0; i < 3; i++)
        before[i] = suite_get(i + 1);
    VmafxStoreCounts counts = suite_counts();
    assert_int_equal(vmafx_store_wait_events(suite_store(), 0, 0, &newest), VMAFX_OK);
    suite_reopen();
    for (uint32_t i = 0; i < 3; i++) {
        VmafxJob job = suite_get(i + 1);

        assert_null(suite_job_differs(&before[i], &job));
    }
    assert_int_equal(suite_counts().running, counts.running);
    assert_int_equal(suite_counts().succeeded, counts.succeeded);
    assert_int_equal(vmafx_store_wait_events(suite_store(), 0, 0, &again), VMAFX_OK);
    assert_int_equal(again, newest);
    assert_int_equal(suite_renew("n", 2, 1), VMAFX_OK);
}

static void it_is_ready_until_it_stops(void **state)
{
    VmafxErrInfo info = { 0 };
    int64_t newest;
    VmafxSubmission s = suite_submission(1);

    assert_int_equal(vmafx_store_ready(suite_store(), &info), VMAFX_OK);
    assert_int_equal(vmafx_store_ready(suite_store(), NULL), VMAFX_OK);
    vmafx_store_stop(suite_store());
    assert_int_equal(vmafx_store_ready(suite_store(), &info), VMAFX_ERR_STOPPED);
    assert_int_equal(suite_submit(&s, NULL), VMAFX_ERR_STOPPED);
    assert_int_equal(vmafx_store_wait_events(suite_store(), 0, 60000, &newest), VMAFX_ERR_STOPPED);
}

int store_suite_reads(void)
{
    const struct CMUnitTest tests[] = {
        SUITE_CASE(lists_are_newest_first_and_every_filter_narrows_them),
        SUITE_CASE(a_list_by_time_goes_by_the_rows_however_far_their_ids_are_from_it),
        SUITE_CASE(pages_follow_each_other_and_the_last_says_so),
        SUITE_CASE(events_tell_what_happened_in_order),
        SUITE_CASE(a_node_that_comes_back_learns_what_it_holds),
        SUITE_CASE(counts_follow_every_change),
        SUITE_CASE(everything_is_there_after_a_restart),
        SUITE_CASE(it_is_ready_until_it_stops),
    };

    return cmocka_run_group_tests_name("store: reads", tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* How many refusals are written down. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/base.h"
#include "service/audit.h"

#define S UINT64_C(1000000000)

static void after_a_burst_so_many_a_second_are_written_and_the_rest_is_counted(void **state)
{
    AuditLimit limit = { .lock = PTHREAD_MUTEX_INITIALIZER };
    uint64_t now = 1000 * S, left_out = 0;

    (void)state;
    for (int i = 0; i < AUDIT_BURST; i++) {
        assert_true(audit_limit_take(&limit, false, now, &left_out));
        assert_int_equal(left_out, 0);
    }
    for (int i = 0; i < 7; i++)
        assert_false(audit_limit_take(&limit, false, now, &left_out));
    assert_false(audit_limit_take(&limit, false, now + S / AUDIT_PER_SECOND - 1, &left_out));
    assert_true(audit_limit_take(&limit, false, now + S / AUDIT_PER_SECOND, &left_out));
    assert_int_equal(left_out, 8);
    assert_false(audit_limit_take(&limit, false, now + S / AUDIT_PER_SECOND, &left_out));

    int written = 0;
    for (int i = 0; i < 1000; i++) /* a thousand a second, for a second */
        written += audit_limit_take(&limit, false, now + 2 * S + (uint64_t)i * S / 1000, &left_out);
    assert_int_equal(written, AUDIT_PER_SECOND);
}

static void quiet_time_fills_the_budget_up_to_a_burst_and_no_further(void **state)
{
    AuditLimit limit = { .lock = PTHREAD_MUTEX_INITIALIZER };
    uint64_t left_out;
    int written = 0;

    (void)state;
    while (audit_limit_take(&limit, false, 5 * S, &left_out))
        written++;
    assert_int_equal(written, AUDIT_BURST);
    for (written = 0; audit_limit_take(&limit, false, 100000 * S, &left_out);)
        written++;
    assert_int_equal(written, AUDIT_BURST);
}

static void strangers_do_not_use_up_the_lines_of_those_we_know(void **state)
{
    AuditLimit limit = { .lock = PTHREAD_MUTEX_INITIALIZER };
    uint64_t left_out;

    (void)state;
    while (audit_limit_take(&limit, false, S, &left_out))
        ;
    assert_true(audit_limit_take(&limit, true, S, &left_out));
    assert_int_equal(left_out, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(after_a_burst_so_many_a_second_are_written_and_the_rest_is_counted),
        cmocka_unit_test(quiet_time_fills_the_budget_up_to_a_burst_and_no_further),
        cmocka_unit_test(strangers_do_not_use_up_the_lines_of_those_we_know),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

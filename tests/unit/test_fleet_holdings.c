/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What a node does with what it holds. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"
#include "fleet/holdings.h"

#define MAX 4

typedef struct Node {
    VmafxHoldings h;
    VmafxHolding items[MAX];
    char text[400];
} Node;

static Node *new_node(uint32_t slots)
{
    Node *node = calloc(1, sizeof *node);

    assert_non_null(node);
    assert_int_equal(vmafx_holdings_init(&node->h, node->items, MAX, slots), VMAFX_OK);
    vmafx_holdings_welcome(&node->h, NULL, 0);
    return node;
}

/* Attempt a of job j. */
static const VmafxAttemptRef *ref(uint8_t j, int32_t a)
{
    static VmafxAttemptRef refs[8];
    static unsigned turn;
    VmafxAttemptRef *ret = &refs[turn++ % VMAFX_LEN(refs)];

    *ret = (VmafxAttemptRef){ .job = { { j } }, .attempt = a };
    return ret;
}

/* Everything there is to do now, as text: "start 1.1, send 2.1 succeeded". */
static const char *todo(Node *node)
{
    static const char *const words[] = { "", "drop", "stop", "send", "start" };
    VmafxHoldingAction action;

    node->text[0] = 0;
    while (vmafx_holdings_next(&node->h, &action)) {
        size_t n = strlen(node->text);
        snprintf(node->text + n, sizeof node->text - n, "%s%s %u.%d%s%s", n ? ", " : "", words[action.what],
                 action.ref.job.bytes[0], action.ref.attempt, action.what == VMAFX_DO_SEND ? " " : "",
                 action.what == VMAFX_DO_SEND ? vmafx_outcome_name(action.outcome) : "");
        assert_null(vmafx_holdings_check(&node->h));
    }
    return node->text;
}

static void assign(Node *node, uint8_t j, int32_t a)
{
    assert_int_equal(vmafx_holdings_assign(&node->h, ref(j, a)), VMAFX_OK);
}

static VmafxOutcome ended(Node *node, uint8_t j, int32_t a, VmafxOutcome outcome)
{
    VmafxOutcome reported = VMAFX_OUTCOME_NONE;

    assert_int_equal(vmafx_holdings_ended(&node->h, ref(j, a), outcome, &reported), VMAFX_OK);
    return reported;
}

static void an_attempt_goes_from_assigned_to_acknowledged(void **s)
{
    Node *node = new_node(1);

    assign(node, 1, 1);
    assert_string_equal(todo(node), "start 1.1");
    assert_true(vmafx_holdings_wants_progress(&node->h, ref(1, 1)));
    assert_int_equal(vmafx_holdings_slots_free(&node->h), 0);
    assert_int_equal(ended(node, 1, 1, VMAFX_OUTCOME_SUCCEEDED), VMAFX_OUTCOME_SUCCEEDED);
    assert_false(vmafx_holdings_wants_progress(&node->h, ref(1, 1)));
    assert_string_equal(todo(node), "send 1.1 succeeded");
    assert_string_equal(todo(node), "");
    assert_int_equal(vmafx_holdings_slots_free(&node->h), 1);
    vmafx_holdings_ack(&node->h, ref(1, 1), false);
    assert_string_equal(todo(node), "drop 1.1");
    assert_int_equal(node->h.n, 0);
    free(node);
}

static void what_comes_over_the_slots_waits_and_starts_in_order(void **s)
{
    Node *node = new_node(1);

    assign(node, 1, 1);
    assign(node, 2, 1);
    assign(node, 3, 1);
    assert_string_equal(todo(node), "start 1.1");
    ended(node, 1, 1, VMAFX_OUTCOME_FAILED);
    assert_string_equal(todo(node), "send 1.1 failed, start 2.1");
    free(node);
}

static void an_assignment_that_comes_twice_or_too_late_changes_nothing(void **s)
{
    Node *node = new_node(2);

    assign(node, 1, 2);
    assert_string_equal(todo(node), "start 1.2");
    assign(node, 1, 2);
    assign(node, 1, 1);
    assert_string_equal(todo(node), "");
    ended(node, 1, 2, VMAFX_OUTCOME_SUCCEEDED);
    assign(node, 1, 2);
    assert_string_equal(todo(node), "send 1.2 succeeded");
    assert_int_equal(vmafx_holdings_assign(&node->h, ref(1, 0)), VMAFX_ERR_INVALID);
    free(node);
}

static void a_newer_attempt_puts_the_older_one_out_of_use(void **s)
{
    Node *node = new_node(2);

    assign(node, 1, 1);
    assert_string_equal(todo(node), "start 1.1");
    assign(node, 1, 2);
    assert_string_equal(todo(node), "stop 1.1, start 1.2");
    assert_int_equal(ended(node, 1, 1, VMAFX_OUTCOME_SUCCEEDED), VMAFX_OUTCOME_NONE);
    assert_string_equal(todo(node), "drop 1.1");
    ended(node, 1, 2, VMAFX_OUTCOME_SUCCEEDED);
    assign(node, 1, 3); /* while the end of the second is in the spool */
    assert_string_equal(todo(node), "drop 1.2, start 1.3");
    free(node);
}

static void ends_are_sent_again_after_each_welcome_until_they_are_acknowledged(void **s)
{
    Node *node = new_node(2);

    assign(node, 1, 1);
    assign(node, 2, 1);
    todo(node);
    ended(node, 1, 1, VMAFX_OUTCOME_SUCCEEDED);
    assert_string_equal(todo(node), "send 1.1 succeeded");
    vmafx_holdings_disconnect(&node->h);
    ended(node, 2, 1, VMAFX_OUTCOME_FAILED);
    assert_string_equal(todo(node), "");
    vmafx_holdings_welcome(&node->h, NULL, 0);
    assert_string_equal(todo(node), "send 1.1 succeeded, send 2.1 failed");
    vmafx_holdings_ack(&node->h, ref(2, 1), true); /* bytes were missing */
    assert_string_equal(todo(node), "send 2.1 failed");
    vmafx_holdings_ack(&node->h, ref(1, 1), false);
    vmafx_holdings_ack(&node->h, ref(2, 1), false);
    vmafx_holdings_ack(&node->h, ref(2, 1), false);
    assert_string_equal(todo(node), "drop 1.1, drop 2.1");
    free(node);
}

static void a_lost_connection_stops_no_work(void **s)
{
    Node *node = new_node(1);
    VmafxAttemptRef held[MAX];

    assign(node, 1, 1);
    assign(node, 2, 1);
    todo(node);
    vmafx_holdings_disconnect(&node->h);
    assert_false(vmafx_holdings_wants_progress(&node->h, ref(1, 1)));
    assert_int_equal(vmafx_holdings_held(&node->h, held), 2);
    ended(node, 1, 1, VMAFX_OUTCOME_SUCCEEDED);
    assert_string_equal(todo(node), "start 2.1");
    free(node);
}

static void what_a_welcome_calls_lost_is_stopped_or_dropped(void **s)
{
    Node *node = new_node(1);
    VmafxAttemptRef lost[] = { *ref(1, 1), *ref(2, 1), *ref(3, 1), *ref(9, 9) };
    VmafxAttemptRef held[MAX];

    assign(node, 1, 1);
    todo(node);
    ended(node, 1, 1, VMAFX_OUTCOME_SUCCEEDED);
    assign(node, 2, 1);
    assign(node, 3, 1);
    todo(node);
    vmafx_holdings_disconnect(&node->h);
    vmafx_holdings_welcome(&node->h, lost, VMAFX_LEN(lost));
    assert_int_equal(vmafx_holdings_held(&node->h, held), 0); /* of use to nobody */
    assert_string_equal(todo(node), "drop 1.1, drop 3.1, stop 2.1");
    assert_int_equal(vmafx_holdings_slots_free(&node->h), 0); /* until its process is gone */
    ended(node, 2, 1, VMAFX_OUTCOME_FAILED);
    assert_string_equal(todo(node), "drop 2.1");
    free(node);
}

static void cancel_sends_no_end(void **s)
{
    Node *node = new_node(1);

    assign(node, 1, 1);
    assert_string_equal(todo(node), "start 1.1");
    vmafx_holdings_cancel(&node->h, ref(1, 2)); /* another attempt */
    assert_string_equal(todo(node), "");
    vmafx_holdings_cancel(&node->h, ref(1, 1));
    vmafx_holdings_cancel(&node->h, ref(1, 1));
    assert_string_equal(todo(node), "stop 1.1");
    assert_int_equal(ended(node, 1, 1, VMAFX_OUTCOME_SUCCEEDED), VMAFX_OUTCOME_NONE);
    assert_string_equal(todo(node), "drop 1.1");
    free(node);
}

static void an_attempt_that_ends_before_its_stop_is_not_stopped(void **s)
{
    Node *node = new_node(1);

    assign(node, 1, 1);
    todo(node);
    vmafx_holdings_cancel(&node->h, ref(1, 1));
    ended(node, 1, 1, VMAFX_OUTCOME_FAILED);
    assert_string_equal(todo(node), "drop 1.1");
    free(node);
}

static void a_timeout_is_reported_unless_the_work_got_done(void **s)
{
    static const struct {
        const char *why;
        VmafxOutcome ended, reported;
    } rows[] = {
        { "killed", VMAFX_OUTCOME_FAILED, VMAFX_OUTCOME_TIMEOUT },
        { "done at the last moment", VMAFX_OUTCOME_SUCCEEDED, VMAFX_OUTCOME_SUCCEEDED },
    };

    for (size_t i = 0; i < VMAFX_LEN(rows); i++) {
        Node *node = new_node(1);

        assign(node, 1, 1);
        todo(node);
        vmafx_holdings_timeout(&node->h, ref(1, 1));
        assert_string_equal(todo(node), "stop 1.1");
        if (ended(node, 1, 1, rows[i].ended) != rows[i].reported)
            fail_msg("%s", rows[i].why);
        free(node);
    }
}

static void a_cancel_overrides_a_timeout_that_is_under_way(void **s)
{
    Node *node = new_node(1);

    assign(node, 1, 1);
    todo(node);
    vmafx_holdings_timeout(&node->h, ref(1, 1));
    assert_string_equal(todo(node), "stop 1.1");
    vmafx_holdings_cancel(&node->h, ref(1, 1));
    assert_string_equal(todo(node), ""); /* it was told to stop already */
    assert_int_equal(ended(node, 1, 1, VMAFX_OUTCOME_FAILED), VMAFX_OUTCOME_NONE);
    free(node);
}

static void a_gentle_drain_finishes_and_a_hard_one_hands_back(void **s)
{
    Node *node = new_node(1);

    assign(node, 1, 1);
    assign(node, 2, 1);
    todo(node);
    vmafx_holdings_drain(&node->h, true);
    assert_string_equal(todo(node), "");
    assert_int_equal(vmafx_holdings_slots_free(&node->h), 0);
    assign(node, 3, 1); /* was under way */
    assert_string_equal(todo(node), "send 3.1 handed_back");
    vmafx_holdings_drain(&node->h, false);
    assert_string_equal(todo(node), "stop 1.1, send 2.1 handed_back");
    vmafx_holdings_drain(&node->h, true); /* does not soften */
    assert_int_equal(ended(node, 1, 1, VMAFX_OUTCOME_FAILED), VMAFX_OUTCOME_HANDED_BACK);
    assert_string_equal(todo(node), "send 1.1 handed_back");
    for (uint8_t j = 1; j <= 3; j++)
        vmafx_holdings_ack(&node->h, ref(j, 1), false);
    todo(node);
    assert_int_equal(node->h.n, 0);
    free(node);
}

static void a_full_spool_leaves_no_slot_free(void **s)
{
    Node *node = new_node(2);

    for (uint8_t j = 1; j <= 3; j++) {
        assign(node, j, 1);
        todo(node);
        ended(node, j, 1, VMAFX_OUTCOME_SUCCEEDED);
    }
    assert_int_equal(vmafx_holdings_slots_free(&node->h), 1);
    assign(node, 4, 1);
    assert_int_equal(vmafx_holdings_slots_free(&node->h), 0);
    assert_int_equal(vmafx_holdings_assign(&node->h, ref(5, 1)), VMAFX_ERR_BUSY);
    assert_int_equal(node->h.n, MAX);
    assert_null(vmafx_holdings_check(&node->h));
    free(node);
}

static void the_spool_is_taken_up_after_a_crash(void **s)
{
    Node *node = new_node(1);
    VmafxAttemptRef held[MAX];

    vmafx_holdings_disconnect(&node->h);
    assert_int_equal(vmafx_holdings_restore(&node->h, ref(1, 2), VMAFX_OUTCOME_SUCCEEDED), VMAFX_OK);
    assert_int_equal(vmafx_holdings_restore(&node->h, ref(1, 1), VMAFX_OUTCOME_FAILED), VMAFX_ERR_CONFLICT);
    assert_int_equal(vmafx_holdings_restore(&node->h, ref(2, 0), VMAFX_OUTCOME_FAILED), VMAFX_ERR_INVALID);
    assert_int_equal(vmafx_holdings_restore(&node->h, ref(2, 1), VMAFX_OUTCOME_LOST), VMAFX_ERR_INVALID);
    for (uint8_t j = 2; j <= MAX; j++)
        assert_int_equal(vmafx_holdings_restore(&node->h, ref(j, 1), VMAFX_OUTCOME_FAILED), VMAFX_OK);
    assert_int_equal(vmafx_holdings_restore(&node->h, ref(9, 1), VMAFX_OUTCOME_FAILED), VMAFX_ERR_LIMIT);
    assert_int_equal(vmafx_holdings_held(&node->h, held), MAX);
    assert_string_equal(todo(node), "");
    vmafx_holdings_welcome(&node->h, ref(2, 1), 1);
    assert_string_equal(todo(node), "drop 2.1, send 1.2 succeeded, send 3.1 failed, send 4.1 failed");
    free(node);
}

static void what_is_unknown_or_makes_no_sense_is_refused(void **s)
{
    Node *node = new_node(1);
    VmafxOutcome reported;
    VmafxHoldings h;

    assert_int_equal(vmafx_holdings_ended(&node->h, ref(1, 1), VMAFX_OUTCOME_FAILED, &reported), VMAFX_ERR_NOT_FOUND);
    assign(node, 1, 1);
    assert_int_equal(vmafx_holdings_ended(&node->h, ref(1, 1), VMAFX_OUTCOME_FAILED, &reported), VMAFX_ERR_NOT_FOUND);
    todo(node);
    assert_int_equal(vmafx_holdings_ended(&node->h, ref(1, 1), VMAFX_OUTCOME_LOST, &reported), VMAFX_ERR_INVALID);
    vmafx_holdings_ack(&node->h, ref(1, 1), false); /* for one that runs: not to be believed */
    assert_string_equal(todo(node), "");
    assert_int_equal(vmafx_holdings_init(&h, node->items, MAX, 0), VMAFX_ERR_INVALID);
    assert_int_equal(vmafx_holdings_init(&h, node->items, MAX, MAX), VMAFX_ERR_INVALID);
    assert_int_equal(vmafx_holdings_init(&h, node->items, VMAFX_HOLDINGS_MAX + 1, 1), VMAFX_ERR_INVALID);
    assert_int_equal(vmafx_holdings_init(&h, node->items, 1000, VMAFX_NODE_SLOTS_MAX + 1), VMAFX_ERR_INVALID);
    free(node);
}

/* Whatever comes in whatever order, with few ids so that they meet. */
static void any_order_of_steps_keeps_the_rules(void **s)
{
    uint32_t random = 1;

    for (int round = 0; round < 3000; round++) {
        Node *node = new_node(1 + (uint32_t)round % 3);

        for (int step = 0; step < 60; step++) {
            random = random * 1664525u + 1013904223u;
            VmafxAttemptRef one = *ref((uint8_t)(1 + (random >> 8) % 5), (int32_t)(1 + (random >> 12) % 3));
            VmafxOutcome reported, outcome = (VmafxOutcome)((random >> 16) % 8);

            switch ((random >> 24) % 12) {
            case 0:
                vmafx_holdings_welcome(&node->h, &one, (random >> 20) % 2);
                break;
            case 1:
                vmafx_holdings_disconnect(&node->h);
                break;
            case 2:
                vmafx_holdings_cancel(&node->h, &one);
                break;
            case 3:
                vmafx_holdings_ack(&node->h, &one, (random >> 20) % 2);
                break;
            case 4:
                vmafx_holdings_timeout(&node->h, &one);
                break;
            case 5:
            case 6:
                VMAFX_IGNORE(vmafx_holdings_ended(&node->h, &one, outcome, &reported)); /* either is fine here */
                break;
            case 7:
                if (step > 40)
                    vmafx_holdings_drain(&node->h, (random >> 20) % 2);
                break;
            case 8:
                todo(node);
                break;
            default:
                VMAFX_IGNORE(vmafx_holdings_assign(&node->h, &one)); /* it may be full */
            }
            const char *wrong = vmafx_holdings_check(&node->h);
            if (wrong)
                fail_msg("round %d, step %d: %s", round, step, wrong);
        }
        free(node);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_attempt_goes_from_assigned_to_acknowledged),
        cmocka_unit_test(what_comes_over_the_slots_waits_and_starts_in_order),
        cmocka_unit_test(an_assignment_that_comes_twice_or_too_late_changes_nothing),
        cmocka_unit_test(a_newer_attempt_puts_the_older_one_out_of_use),
        cmocka_unit_test(ends_are_sent_again_after_each_welcome_until_they_are_acknowledged),
        cmocka_unit_test(a_lost_connection_stops_no_work),
        cmocka_unit_test(what_a_welcome_calls_lost_is_stopped_or_dropped),
        cmocka_unit_test(cancel_sends_no_end),
        cmocka_unit_test(an_attempt_that_ends_before_its_stop_is_not_stopped),
        cmocka_unit_test(a_timeout_is_reported_unless_the_work_got_done),
        cmocka_unit_test(a_cancel_overrides_a_timeout_that_is_under_way),
        cmocka_unit_test(a_gentle_drain_finishes_and_a_hard_one_hands_back),
        cmocka_unit_test(a_full_spool_leaves_no_slot_free),
        cmocka_unit_test(the_spool_is_taken_up_after_a_crash),
        cmocka_unit_test(what_is_unknown_or_makes_no_sense_is_refused),
        cmocka_unit_test(any_order_of_steps_keeps_the_rules),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Who may score and who waits: every order of coming, leaving and giving back, and whose turn it is. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"
#include "programs/server/slots.h"

#define MS    ((uint64_t)1000000)
#define CALLS 5

typedef struct Caller {
    SlotTicket ticket; /* the first, so that one is the other */
    bool granted;
    int order; /* of being granted, from 1 */
} Caller;

static int n_granted;

static void on_granted(SlotTicket *ticket)
{
    Caller *caller = (Caller *)ticket;

    assert_false(caller->granted);
    caller->granted = true;
    caller->order = ++n_granted;
}

static VmafxErr ask(Slots *slots, Caller *caller, const char *who, uint64_t now)
{
    uint32_t retry_ms = 0;

    *caller = (Caller){ .ticket.granted = on_granted };
    VmafxErrInfo info = { 0 };
    VmafxErr err = slots_ask(slots, &caller->ticket, who, now, &retry_ms, &info);
    assert_int_equal(!*info.message, !err);
    if (err == VMAFX_ERR_BUSY)
        assert_in_range(retry_ms, SLOTS_RETRY_MIN_MS, SLOTS_RETRY_MAX_MS);
    return err;
}

static void who_comes_first_is_served_and_who_finds_no_place_is_refused(void **state)
{
    Slots slots;
    Caller a, b, c;

    slots_init(&slots, 1, 1);
    assert_int_equal(ask(&slots, &a, "x", 0), VMAFX_OK);
    assert_true(a.granted);
    assert_int_equal(ask(&slots, &b, "x", 0), VMAFX_OK);
    assert_false(b.granted);
    assert_int_equal(ask(&slots, &c, "y", 0), VMAFX_ERR_BUSY);
    assert_int_equal(slots_counts(&slots).refused, 1);
    slots_give_back(&slots, &a.ticket, 5 * MS);
    assert_true(b.granted);
    slots_give_back(&slots, &a.ticket, 6 * MS); /* once counts */
    assert_int_equal(slots_counts(&slots).busy, 1);
    slots_give_back(&slots, &b.ticket, 7 * MS);
    assert_int_equal(slots_counts(&slots).free, 1);
    slots_done(&slots);
}

static void without_places_to_wait_a_call_is_served_or_refused(void **state)
{
    Slots slots;
    Caller a, b;

    slots_init(&slots, 1, 0);
    assert_int_equal(ask(&slots, &a, "x", 0), VMAFX_OK);
    assert_true(a.granted);
    assert_int_equal(ask(&slots, &b, "x", 0), VMAFX_ERR_BUSY);
    slots_give_back(&slots, &a.ticket, MS);
    assert_int_equal(ask(&slots, &b, "x", MS), VMAFX_OK);
    assert_true(b.granted);
    slots_give_back(&slots, &b.ticket, 2 * MS);
    slots_done(&slots);
}

static void who_asks_for_many_gets_one_while_each_other_gets_one(void **state)
{
    static const char *const names[] = { "many", "many", "many", "many", "one", "two", "one" };
    static const int expected[] = { 1, 2, 5, 7, 3, 4, 6 }; /* turns: many one two, many one, many */
    Caller callers[VMAFX_LEN(names)];
    Slots slots;

    n_granted = 0;
    slots_init(&slots, 1, 100);
    for (size_t i = 0; i < VMAFX_LEN(names); i++)
        assert_int_equal(ask(&slots, &callers[i], names[i], 0), VMAFX_OK);
    for (int done = 1; done <= (int)VMAFX_LEN(names); done++)
        for (size_t i = 0; i < VMAFX_LEN(names); i++)
            if (callers[i].order == done)
                slots_give_back(&slots, &callers[i].ticket, (uint64_t)done * MS);
    for (size_t i = 0; i < VMAFX_LEN(names); i++)
        if (callers[i].order != expected[i])
            fail_msg("the %zuth call, of '%s', was served as number %d, not %d", i, names[i], callers[i].order,
                     expected[i]);
    slots_done(&slots);
}

static void nobody_waits_longer_than_a_turn_of_all_names(void **state)
{
    enum { FLOOD = 50 };
    Caller flood[FLOOD], holder, late;
    Slots slots;

    n_granted = 0;
    slots_init(&slots, 1, 100);
    assert_int_equal(ask(&slots, &holder, "flood", 0), VMAFX_OK);
    for (int i = 0; i < FLOOD; i++)
        assert_int_equal(ask(&slots, &flood[i], "flood", 0), VMAFX_OK);
    assert_int_equal(ask(&slots, &late, "late", 0), VMAFX_OK);
    slots_give_back(&slots, &holder.ticket, MS);
    assert_true(flood[0].granted);
    slots_give_back(&slots, &flood[0].ticket, 2 * MS);
    assert_true(late.granted);
    for (int i = 1; i < FLOOD; i++)
        assert_true(slots_leave(&slots, &flood[i].ticket));
    slots_give_back(&slots, &late.ticket, 3 * MS);
    assert_int_equal(slots_counts(&slots).free, 1);
    slots_done(&slots);
}

static void nobody_has_more_than_half_of_the_places_to_wait(void **state)
{
    static const struct {
        int waiting_max;
        const char *who;
        int share;
    } cases[] = { { 1, "x", 1 }, { 2, "x", 1 }, { 3, "x", 2 }, { 8, "x", 4 }, { 8, "", 8 } };

    (void)state;
    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        Caller holder, callers[8], refused, other;
        VmafxErrInfo info = { 0 };
        uint32_t retry_ms;
        Slots slots;
        int n = cases[i].share, max = cases[i].waiting_max;

        slots_init(&slots, 1, max);
        assert_int_equal(ask(&slots, &holder, cases[i].who, 0), VMAFX_OK); /* what scores is no place to wait */
        for (int k = 0; k < n; k++)
            assert_int_equal(ask(&slots, &callers[k], cases[i].who, 0), VMAFX_OK);
        refused = (Caller){ .ticket.granted = on_granted };
        assert_int_equal(slots_ask(&slots, &refused.ticket, cases[i].who, 0, &retry_ms, &info), VMAFX_ERR_BUSY);
        assert_int_equal(!!strstr(info.message, "half of the"), n < max);
        assert_int_equal(ask(&slots, &other, "y", 0), n < max ? VMAFX_OK : VMAFX_ERR_BUSY);
        if (n < max)
            assert_true(slots_leave(&slots, &other.ticket));
        assert_true(slots_leave(&slots, &callers[0].ticket));
        assert_int_equal(ask(&slots, &callers[0], cases[i].who, 0),
                         VMAFX_OK); /* a place that was left is there again */
        for (int k = 0; k < n; k++)
            assert_true(slots_leave(&slots, &callers[k].ticket));
        slots_give_back(&slots, &holder.ticket, MS);
        slots_done(&slots);
    }
}

static void the_advice_when_to_come_again_follows_what_scorings_take(void **state)
{
    Slots slots;
    Caller a, b, c;
    uint32_t retry_ms = 0;

    slots_init(&slots, 2, 0);
    for (int i = 0; i < 50; i++) { /* each takes 4 s */
        assert_int_equal(ask(&slots, &a, "x", 0), VMAFX_OK);
        slots_give_back(&slots, &a.ticket, 4000 * MS);
    }
    assert_int_equal(ask(&slots, &a, "x", 0), VMAFX_OK);
    assert_int_equal(ask(&slots, &b, "x", 0), VMAFX_OK);
    c = (Caller){ .ticket.granted = on_granted };
    assert_int_equal(slots_ask(&slots, &c.ticket, "x", 0, &retry_ms, NULL), VMAFX_ERR_BUSY);
    assert_int_equal(retry_ms, 2000); /* of two slots one is free every 2 s */
    slots_give_back(&slots, &a.ticket, MS);
    slots_give_back(&slots, &b.ticket, MS);
    slots_done(&slots);
}

static void closed_it_serves_those_who_wait_and_nobody_else(void **state)
{
    Slots slots;
    Caller a, b, c;

    slots_init(&slots, 1, 5);
    assert_int_equal(ask(&slots, &a, "x", 0), VMAFX_OK);
    assert_int_equal(ask(&slots, &b, "x", 0), VMAFX_OK);
    slots_close(&slots);
    assert_int_equal(ask(&slots, &c, "x", 0), VMAFX_ERR_STOPPED);
    slots_give_back(&slots, &a.ticket, MS);
    assert_true(b.granted);
    slots_give_back(&slots, &b.ticket, MS);
    slots_done(&slots);
}

/* ---- every order ---- */

typedef enum What { COME, LEAVE, GIVE_BACK } What;

/* A model of one line: who waits, in order of turns, is not asked here; that counts add up and that nothing idles is.
 */
static void check(Slots *slots, const Caller *callers, const bool *in)
{
    SlotCounts counts = slots_counts(slots);
    int busy = 0, waiting = 0;

    for (int i = 0; i < CALLS; i++) {
        busy += in[i] && callers[i].granted;
        waiting += in[i] && !callers[i].granted;
    }
    assert_int_equal(counts.busy, busy);
    assert_int_equal(counts.waiting, waiting);
    assert_int_equal(counts.free, slots->slots - busy);
    assert_true(!waiting || !counts.free);
}

/* Step numbers are digits of a number: whom, and what happens to them. What makes no sense is passed over. */
static void play(int n_slots, int waiting_max, uint32_t script, int steps)
{
    Caller callers[CALLS] = { 0 };
    bool in[CALLS] = { 0 };
    Slots slots;

    slots_init(&slots, n_slots, waiting_max);
    for (int step = 0; step < steps; step++, script /= CALLS * 3) {
        int i = (int)(script % CALLS);
        What what = (What)(script / CALLS % 3);

        if (what == COME && !in[i]) {
            SlotCounts before = slots_counts(&slots);
            int alike = 0;
            for (int k = i % 2; k < CALLS; k += 2)
                alike += in[k] && !callers[k].granted;
            bool room = before.waiting < waiting_max && alike < (waiting_max + 1) / 2;
            VmafxErr err = ask(&slots, &callers[i], i % 2 ? "odd" : "even", (uint64_t)step * MS);
            assert_int_equal(err, before.free || room ? VMAFX_OK : VMAFX_ERR_BUSY);
            in[i] = !err;
        } else if (what == LEAVE && in[i]) {
            bool granted = callers[i].granted;
            assert_int_equal(slots_leave(&slots, &callers[i].ticket), !granted);
            in[i] = granted;
        } else if (what == GIVE_BACK && in[i] && callers[i].granted) {
            slots_give_back(&slots, &callers[i].ticket, (uint64_t)step * MS);
            in[i] = false;
        }
        check(&slots, callers, in);
    }
    for (int i = 0; i < CALLS; i++)
        if (in[i] && !callers[i].granted)
            assert_true(slots_leave(&slots, &callers[i].ticket));
    for (int i = 0; i < CALLS; i++)
        slots_give_back(&slots, &callers[i].ticket, 1000 * MS);
    assert_int_equal(slots_counts(&slots).free, n_slots);
    slots_done(&slots);
}

static void in_every_order_counts_add_up_and_no_slot_is_free_while_somebody_waits(void **state)
{
    enum { STEPS = 5 };
    uint32_t scripts = 1;

    for (int i = 0; i < STEPS; i++)
        scripts *= CALLS * 3;
    for (int n_slots = 1; n_slots <= 2; n_slots++)
        for (int waiting_max = 0; waiting_max <= 2; waiting_max++)
            for (uint32_t script = 0; script < scripts; script++)
                play(n_slots, waiting_max, script, STEPS);
}

static void in_long_random_orders_too(void **state)
{
    uint64_t random = 1;

    for (int round = 0; round < 200000; round++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        play(1 + round % 3, round % 4, (uint32_t)(random >> 32), 8);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_comes_first_is_served_and_who_finds_no_place_is_refused),
        cmocka_unit_test(without_places_to_wait_a_call_is_served_or_refused),
        cmocka_unit_test(who_asks_for_many_gets_one_while_each_other_gets_one),
        cmocka_unit_test(nobody_waits_longer_than_a_turn_of_all_names),
        cmocka_unit_test(nobody_has_more_than_half_of_the_places_to_wait),
        cmocka_unit_test(the_advice_when_to_come_again_follows_what_scorings_take),
        cmocka_unit_test(closed_it_serves_those_who_wait_and_nobody_else),
        cmocka_unit_test(in_every_order_counts_add_up_and_no_slot_is_free_while_somebody_waits),
        cmocka_unit_test(in_long_random_orders_too),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

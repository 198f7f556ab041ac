/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* A node's attempts. Entries keep the order in which they came, so the first that waits is the first to start. */

#include "fleet/holdings.h"

#include <string.h>

#include "base/base.h"

static bool same_job(const VmafxHolding *item, const VmafxAttemptRef *ref)
{
    return !memcmp(&item->ref.job, &ref->job, sizeof ref->job);
}

static VmafxHolding *find(const VmafxHoldings *h, const VmafxAttemptRef *ref)
{
    for (size_t i = 0; i < h->n; i++)
        if (vmafx_attempt_same(&h->items[i].ref, ref))
            return &h->items[i];
    return NULL;
}

static bool is_reportable(VmafxOutcome outcome)
{
    return outcome == VMAFX_OUTCOME_SUCCEEDED || outcome == VMAFX_OUTCOME_FAILED ||
           outcome == VMAFX_OUTCOME_CANCELLED || outcome == VMAFX_OUTCOME_TIMEOUT ||
           outcome == VMAFX_OUTCOME_HANDED_BACK;
}

/* Of no use to anybody any more. */
static bool is_out_of_use(const VmafxHolding *item)
{
    return item->state == VMAFX_HOLDING_DROPPED ||
           (item->state == VMAFX_HOLDING_STOPPING && item->outcome == VMAFX_OUTCOME_NONE);
}

static size_t count(const VmafxHoldings *h, unsigned states)
{
    size_t n = 0;

    for (size_t i = 0; i < h->n; i++)
        n += states >> h->items[i].state & 1;
    return n;
}

#define TAKES_SLOT (1u << VMAFX_HOLDING_RUNNING | 1u << VMAFX_HOLDING_STOPPING)

static void set_ended(VmafxHolding *item, VmafxOutcome outcome)
{
    item->state = VMAFX_HOLDING_ENDED;
    item->outcome = outcome;
    item->due = true;
}

static void set_stopping(VmafxHolding *item, VmafxOutcome outcome)
{
    item->due = item->state != VMAFX_HOLDING_STOPPING || item->due;
    item->state = VMAFX_HOLDING_STOPPING;
    item->outcome = outcome;
}

/* Cancelled, lost or overtaken: nobody wants its end. */
static void give_up(VmafxHolding *item)
{
    if (item->state == VMAFX_HOLDING_RUNNING || item->state == VMAFX_HOLDING_STOPPING)
        set_stopping(item, VMAFX_OUTCOME_NONE);
    else
        *item = (VmafxHolding){ .ref = item->ref, .state = VMAFX_HOLDING_DROPPED };
}

VmafxErr vmafx_holdings_init(VmafxHoldings *h, VmafxHolding *items, size_t max, uint32_t slots)
{
    if (slots < 1 || slots > VMAFX_NODE_SLOTS_MAX || max <= slots || max > VMAFX_HOLDINGS_MAX)
        return VMAFX_ERR_INVALID;
    *h = (VmafxHoldings){ .items = items, .max = max, .slots = slots };
    return VMAFX_OK;
}

VmafxErr vmafx_holdings_restore(VmafxHoldings *h, const VmafxAttemptRef *ref, VmafxOutcome outcome)
{
    if (ref->attempt < 1 || !is_reportable(outcome))
        return VMAFX_ERR_INVALID;
    for (size_t i = 0; i < h->n; i++)
        if (same_job(&h->items[i], ref))
            return VMAFX_ERR_CONFLICT;
    if (h->n == h->max)
        return VMAFX_ERR_LIMIT;
    h->items[h->n] = (VmafxHolding){ .ref = *ref };
    set_ended(&h->items[h->n++], outcome);
    return VMAFX_OK;
}

/* ---- What to do now ---- */

static VmafxHolding *first_due(const VmafxHoldings *h, VmafxHoldingState state)
{
    for (size_t i = 0; i < h->n; i++)
        if (h->items[i].state == state && (h->items[i].due || state == VMAFX_HOLDING_DROPPED))
            return &h->items[i];
    return NULL;
}

static VmafxHolding *first_to_start(const VmafxHoldings *h)
{
    if (count(h, TAKES_SLOT) >= h->slots)
        return NULL;
    for (size_t i = 0; i < h->n; i++)
        if (h->items[i].state == VMAFX_HOLDING_WAITING)
            return &h->items[i];
    return NULL;
}

static void forget(VmafxHoldings *h, VmafxHolding *item)
{
    size_t i = (size_t)(item - h->items);

    memmove(item, item + 1, (--h->n - i) * sizeof *item);
}

bool vmafx_holdings_next(VmafxHoldings *h, VmafxHoldingAction *ret)
{
    VmafxHolding *item;

    if ((item = first_due(h, VMAFX_HOLDING_DROPPED))) {
        *ret = (VmafxHoldingAction){ .what = VMAFX_DO_DROP, .ref = item->ref };
        forget(h, item);
        return true;
    }
    if ((item = first_due(h, VMAFX_HOLDING_STOPPING))) {
        *ret = (VmafxHoldingAction){ .what = VMAFX_DO_STOP, .ref = item->ref };
        item->due = false;
        return true;
    }
    if (h->connected && (item = first_due(h, VMAFX_HOLDING_ENDED))) {
        *ret = (VmafxHoldingAction){ .what = VMAFX_DO_SEND, .ref = item->ref, .outcome = item->outcome };
        item->due = false;
        return true;
    }
    if ((item = first_to_start(h))) {
        *ret = (VmafxHoldingAction){ .what = VMAFX_DO_START, .ref = item->ref };
        item->state = VMAFX_HOLDING_RUNNING;
        return true;
    }
    return false;
}

/* ---- The stream ---- */

size_t vmafx_holdings_held(const VmafxHoldings *h, VmafxAttemptRef *ret)
{
    size_t n = 0;

    for (size_t i = 0; i < h->n; i++)
        if (!is_out_of_use(&h->items[i]))
            ret[n++] = h->items[i].ref;
    return n;
}

uint32_t vmafx_holdings_slots_free(const VmafxHoldings *h)
{
    size_t taken = count(h, TAKES_SLOT | 1u << VMAFX_HOLDING_WAITING);

    if (h->draining || taken >= h->slots)
        return 0;
    return (uint32_t)VMAFX_MIN(h->slots - taken, h->max - h->n);
}

void vmafx_holdings_welcome(VmafxHoldings *h, const VmafxAttemptRef *lost, size_t n_lost)
{
    h->connected = true;
    for (size_t i = 0; i < n_lost; i++)
        vmafx_holdings_cancel(h, &lost[i]);
    for (size_t i = 0; i < h->n; i++)
        if (h->items[i].state == VMAFX_HOLDING_ENDED)
            h->items[i].due = true;
}

void vmafx_holdings_disconnect(VmafxHoldings *h)
{
    h->connected = false;
}

VmafxErr vmafx_holdings_assign(VmafxHoldings *h, const VmafxAttemptRef *ref)
{
    if (ref->attempt < 1)
        return VMAFX_ERR_INVALID;
    for (size_t i = 0; i < h->n; i++)
        if (same_job(&h->items[i], ref) && h->items[i].ref.attempt >= ref->attempt)
            return VMAFX_OK;
    for (size_t i = 0; i < h->n; i++)
        if (same_job(&h->items[i], ref))
            give_up(&h->items[i]); /* the store has given the job out again: nobody waits for this one's end */
    if (h->n == h->max)
        return VMAFX_ERR_BUSY;

    VmafxHolding *item = &h->items[h->n++];
    *item = (VmafxHolding){ .ref = *ref, .state = VMAFX_HOLDING_WAITING };
    if (h->draining)
        set_ended(item, VMAFX_OUTCOME_HANDED_BACK);
    return VMAFX_OK;
}

void vmafx_holdings_cancel(VmafxHoldings *h, const VmafxAttemptRef *ref)
{
    VmafxHolding *item = find(h, ref);

    if (item)
        give_up(item);
}

void vmafx_holdings_ack(VmafxHoldings *h, const VmafxAttemptRef *ref, bool resend)
{
    VmafxHolding *item = find(h, ref);

    if (!item || item->state != VMAFX_HOLDING_ENDED)
        return;
    if (resend)
        item->due = true;
    else
        give_up(item);
}

void vmafx_holdings_drain(VmafxHoldings *h, bool finish)
{
    h->draining = true;
    if (finish)
        return;
    for (size_t i = 0; i < h->n; i++) {
        VmafxHolding *item = &h->items[i];

        if (item->state == VMAFX_HOLDING_WAITING)
            set_ended(item, VMAFX_OUTCOME_HANDED_BACK);
        else if (item->state == VMAFX_HOLDING_RUNNING)
            set_stopping(item, VMAFX_OUTCOME_HANDED_BACK);
    }
}

/* ---- The work ---- */

bool vmafx_holdings_wants_progress(const VmafxHoldings *h, const VmafxAttemptRef *ref)
{
    const VmafxHolding *item = find(h, ref);

    return h->connected && item && item->state == VMAFX_HOLDING_RUNNING;
}

void vmafx_holdings_timeout(VmafxHoldings *h, const VmafxAttemptRef *ref)
{
    VmafxHolding *item = find(h, ref);

    if (item && item->state == VMAFX_HOLDING_RUNNING)
        set_stopping(item, VMAFX_OUTCOME_TIMEOUT);
}

VmafxErr vmafx_holdings_ended(VmafxHoldings *h, const VmafxAttemptRef *ref, VmafxOutcome outcome,
                              VmafxOutcome *ret_reported)
{
    VmafxHolding *item = find(h, ref);

    if (!is_reportable(outcome))
        return VMAFX_ERR_INVALID;
    if (!item || (item->state != VMAFX_HOLDING_RUNNING && item->state != VMAFX_HOLDING_STOPPING))
        return VMAFX_ERR_NOT_FOUND;
    if (is_out_of_use(item)) {
        *item = (VmafxHolding){ .ref = item->ref, .state = VMAFX_HOLDING_DROPPED };
        *ret_reported = VMAFX_OUTCOME_NONE;
        return VMAFX_OK;
    }
    if (item->state == VMAFX_HOLDING_STOPPING && outcome != VMAFX_OUTCOME_SUCCEEDED)
        outcome = item->outcome;
    set_ended(item, outcome);
    *ret_reported = outcome;
    return VMAFX_OK;
}

const VmafxHolding *vmafx_holdings_find(const VmafxHoldings *h, const VmafxAttemptRef *ref)
{
    return find(h, ref);
}

static const char *check_item(const VmafxHoldings *h, const VmafxHolding *item)
{
    if (item->state < VMAFX_HOLDING_WAITING || item->state > VMAFX_HOLDING_DROPPED || item->ref.attempt < 1)
        return "no such state or attempt";
    if ((item->state == VMAFX_HOLDING_WAITING || item->state == VMAFX_HOLDING_RUNNING ||
         item->state == VMAFX_HOLDING_DROPPED) &&
        (item->outcome || item->due))
        return "what has not ended has no outcome, and nothing is due for it";
    if (item->state == VMAFX_HOLDING_STOPPING && item->outcome && item->outcome != VMAFX_OUTCOME_TIMEOUT &&
        item->outcome != VMAFX_OUTCOME_HANDED_BACK)
        return "what is stopped is reported as timed out, handed back or not at all";
    if (item->state == VMAFX_HOLDING_ENDED && !is_reportable(item->outcome))
        return "what has ended has an outcome";
    for (const VmafxHolding *other = item + 1; other < h->items + h->n; other++) {
        if (!same_job(other, &item->ref))
            continue;
        if (other->ref.attempt == item->ref.attempt)
            return "an attempt is there once";
        if (!is_out_of_use(item) && !is_out_of_use(other))
            return "of a job's attempts one at most is of use";
    }
    return NULL;
}

const char *vmafx_holdings_check(const VmafxHoldings *h)
{
    if (h->n > h->max)
        return "the array is overrun";
    if (count(h, TAKES_SLOT) > h->slots)
        return "more run than there are slots";
    for (size_t i = 0; i < h->n; i++) {
        const char *wrong = check_item(h, &h->items[i]);

        if (wrong)
            return wrong;
    }
    return NULL;
}

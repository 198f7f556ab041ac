/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Turns: a ticket gets the number after the highest of those that wait under the same name, or after the last one
 * granted, whichever is more. The lowest goes first. So everybody who waits has one ticket in the next turn, however
 * many tickets they have.
 */

#include "programs/server/slots.h"

#include <stdio.h>
#include <string.h>

#include "base/base.h"

#define DURATION_FIRST_NS ((uint64_t)1000 * 1000000) /* a guess, until the first has ended */

void slots_init(Slots *slots, int n, int waiting_max)
{
    *slots = (Slots){ .slots = n, .waiting_max = waiting_max };
    pthread_mutex_init(&slots->lock, NULL);
}

void slots_done(Slots *slots)
{
    if (slots->slots)
        pthread_mutex_destroy(&slots->lock);
    *slots = (Slots){ 0 };
}

/* With the lock held: those who wait and this one, at the pace of late. */
static uint32_t retry_ms(const Slots *slots)
{
    uint64_t each_ms = (slots->duration_ns ? slots->duration_ns : DURATION_FIRST_NS) / 1000000u;
    uint64_t ms = each_ms * ((uint64_t)slots->n_waiting + 1) / (uint64_t)slots->slots;

    return (uint32_t)VMAFX_MIN(VMAFX_MAX(ms, (uint64_t)SLOTS_RETRY_MIN_MS), (uint64_t)SLOTS_RETRY_MAX_MS);
}

/* With the lock held. */
static void enqueue(Slots *slots, SlotTicket *ticket)
{
    SlotTicket **at = &slots->first;

    ticket->turn = slots->turn + 1;
    for (const SlotTicket *other = slots->first; other; other = other->next)
        if (other->turn >= ticket->turn && !strcmp(other->who, ticket->who))
            ticket->turn = other->turn + 1;
    while (*at && (*at)->turn <= ticket->turn)
        at = &(*at)->next;
    ticket->next = *at;
    *at = ticket;
    ticket->waiting = true;
    slots->n_waiting++;
}

/* With the lock held: the next one, if there is room for it. */
static SlotTicket *grant(Slots *slots, uint64_t now_ns)
{
    SlotTicket *ticket = slots->first;

    if (!ticket || slots->n_held >= slots->slots)
        return NULL;
    slots->first = ticket->next;
    ticket->next = NULL;
    ticket->waiting = false;
    slots->n_waiting--;
    ticket->held = true;
    ticket->granted_ns = now_ns;
    slots->n_held++;
    slots->turn = VMAFX_MAX(slots->turn, ticket->turn);
    return ticket;
}

/* With the lock held: of the places to wait, has this one as many as it may? */
static bool has_its_share(const Slots *slots, const char *who)
{
    int n = 0;

    for (const SlotTicket *other = slots->first; other && *who; other = other->next)
        n += !strcmp(other->who, who);
    return *who && n >= (slots->waiting_max + 1) / 2;
}

/* With the lock held. */
static VmafxErr check_places(Slots *slots, const char *who, uint32_t *ret_retry_ms, VmafxErrInfo *reterr)
{
    if (slots->closed)
        return vmafx_fail(reterr, VMAFX_ERR_STOPPED, "the server is stopping");
    if (slots->n_held < slots->slots)
        return VMAFX_OK;
    bool full = slots->n_waiting >= slots->waiting_max;
    if (!full && !has_its_share(slots, who))
        return VMAFX_OK;
    slots->n_refused++;
    *ret_retry_ms = retry_ms(slots);
    if (full)
        return vmafx_fail(reterr, VMAFX_ERR_BUSY, "all %d slots are busy and %d calls wait already; try again in %u ms",
                          slots->slots, slots->waiting_max, *ret_retry_ms);
    return vmafx_fail(reterr, VMAFX_ERR_BUSY,
                      "all %d slots are busy and half of the %d places to wait are yours already; try again in %u ms",
                      slots->slots, slots->waiting_max, *ret_retry_ms);
}

VmafxErr slots_ask(Slots *slots, SlotTicket *ticket, const char *who, uint64_t now_ns, uint32_t *ret_retry_ms,
                   VmafxErrInfo *reterr)
{
    SlotTicket *granted = NULL;

    snprintf(ticket->who, sizeof ticket->who, "%s", who);
    pthread_mutex_lock(&slots->lock);
    VmafxErr err = check_places(slots, ticket->who, ret_retry_ms, reterr);
    if (!err) {
        ticket->asked_ns = now_ns;
        enqueue(slots, ticket);
        granted = grant(slots, now_ns); /* nobody waits while a slot is free, so it is this one or none */
    }
    pthread_mutex_unlock(&slots->lock);
    if (granted)
        granted->granted(granted);
    return err;
}

bool slots_leave(Slots *slots, SlotTicket *ticket)
{
    bool waited;

    pthread_mutex_lock(&slots->lock);
    waited = ticket->waiting;
    for (SlotTicket **at = &slots->first; waited && *at; at = &(*at)->next)
        if (*at == ticket) {
            *at = ticket->next;
            ticket->next = NULL;
            ticket->waiting = false;
            slots->n_waiting--;
            break;
        }
    pthread_mutex_unlock(&slots->lock);
    return waited;
}

void slots_give_back(Slots *slots, SlotTicket *ticket, uint64_t now_ns)
{
    SlotTicket *granted = NULL;

    pthread_mutex_lock(&slots->lock);
    if (ticket->held) {
        uint64_t took = now_ns - ticket->granted_ns;
        ticket->held = false;
        slots->n_held--;
        slots->duration_ns = slots->duration_ns ? slots->duration_ns - slots->duration_ns / 8 + took / 8 : took;
        granted = grant(slots, now_ns);
    }
    pthread_mutex_unlock(&slots->lock);
    if (granted)
        granted->granted(granted);
}

void slots_close(Slots *slots)
{
    pthread_mutex_lock(&slots->lock);
    slots->closed = true;
    pthread_mutex_unlock(&slots->lock);
}

SlotCounts slots_counts(Slots *slots)
{
    pthread_mutex_lock(&slots->lock);
    SlotCounts counts = { .waiting = slots->n_waiting,
                          .busy = slots->n_held,
                          .free = slots->slots - slots->n_held,
                          .refused = slots->n_refused };
    pthread_mutex_unlock(&slots->lock);
    return counts;
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Who may score now, and who waits. There are `slots` places to score and `waiting_max` to wait; whoever comes when
 * both are taken is refused with a guess of when to try again. Waiting is in turns (start-time fair queueing): somebody
 * who asks for a hundred gets one, then everybody else who waits gets one, then they get their second. And nobody has
 * more than half of the places to wait, lest the others find none.
 *
 *     asked ──► waiting ──► granted ──► given back
 *        └── refused   └── left
 *
 * No memory of its own for those who wait, no clock: a ticket is the caller's, and `now` comes in. Any thread;
 * `granted` is called without the lock, from whichever call made room, and may call back in.
 */
#ifndef VMAFX_PROGRAMS_SERVER_SLOTS_H
#define VMAFX_PROGRAMS_SERVER_SLOTS_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <vmafx/error.h>

#define SLOTS_WHO_MAX      192 /* bytes of a name, with its zero; longer ones are cut, and share */
#define SLOTS_RETRY_MIN_MS 100
#define SLOTS_RETRY_MAX_MS 60000

typedef struct SlotTicket {
    void (*granted)(struct SlotTicket *ticket); /* set by the caller: the slot is its own until it is given back */

    /* the queue's */
    struct SlotTicket *next;
    char who[SLOTS_WHO_MAX];
    uint64_t turn, asked_ns, granted_ns;
    bool waiting, held;
} SlotTicket;

/** Zeroed but for the first two it is ready after slots_init. */
typedef struct Slots {
    int slots;       /* 1 or more; set once */
    int waiting_max; /* 0: whoever cannot be served at once is refused; set once */

    pthread_mutex_t lock; /* covers everything below */
    SlotTicket *first;    /* by turn, then by age */
    int n_waiting, n_held;
    uint64_t turn;        /* of the last that was granted */
    uint64_t duration_ns; /* moving mean of how long a slot is held; 0: nobody knows yet */
    uint64_t n_refused;
    bool closed;
} Slots;

typedef struct SlotCounts {
    int waiting, busy, free;
    uint64_t refused; /* since the start */
} SlotCounts;

void slots_init(Slots *slots, int n, int waiting_max);
/** Nobody may hold or wait any more. */
void slots_done(Slots *slots);

/**
 * Asks for a slot: granted comes, from within this call or later.
 * @param who           whose turn it is: those of one name share one. "": of all who have no name, who may have every
 *                      place
 * @param ret_retry_ms  with BUSY: when it may be worth another try
 * @return VMAFX_ERR_BUSY everything is taken, or as much as one may have; VMAFX_ERR_STOPPED closed. granted does not
 * come then
 */
VMAFX_CHECK VmafxErr slots_ask(Slots *slots, SlotTicket *ticket, const char *who, uint64_t now_ns,
                               uint32_t *ret_retry_ms, VmafxErrInfo *reterr);
/** Stops waiting. False: it does not wait (any more): granted has been called or is being called. */
bool slots_leave(Slots *slots, SlotTicket *ticket);
/** Ends what granted began; whoever is next gets the slot. */
void slots_give_back(Slots *slots, SlotTicket *ticket, uint64_t now_ns);
/** From now on whoever asks is refused; those who wait still get their turn. */
void slots_close(Slots *slots);
SlotCounts slots_counts(Slots *slots);
#endif

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * What a node holds: its attempts, from the controller's assignment until the controller has said that their end is on
 * disk. Decides what to start, stop, send and drop; the node does it. No I/O, no clock, no memory: the caller owns the
 * array of entries, and a limit is a limit.
 *
 *               START                ended                  acknowledged, lost
 *     WAITING ─────────► RUNNING ─────────────► ENDED ──────────────────────────► DROPPED ──► gone
 *        │                  │ cancel, lost,       ▲  its report is in the spool and    ▲ DROP
 *        │                  │ timeout, drain      │  is sent again after each welcome  │
 *        │                  ▼                     │                                    │
 *        │              STOPPING ─────────────────┴────────────────────────────────────┤
 *        │                ended: reported if timed out or handed back, else dropped    │
 *        └─ drain: ENDED (handed back); cancel, lost ──────────────────────────────────┘
 *
 * Every call is a step; afterwards the caller asks vmafx_holdings_next until there is nothing more to do. Nothing is
 * forgotten by a lost connection: attempts go on, ends stay in the spool, and the next welcome says which are lost.
 * Not thread-safe; one thread of the node owns it.
 */
#ifndef VMAFX_FLEET_HOLDINGS_H
#define VMAFX_FLEET_HOLDINGS_H

#include "fleet/fleet.h"

#define VMAFX_NODE_SLOTS_MAX 256
#define VMAFX_HOLDINGS_MAX   4096 /* attempts of one node, those in the spool included */

typedef enum VmafxHoldingState {
    VMAFX_HOLDING_WAITING = 1, /* assigned; starts as soon as a slot is free, first come first */
    VMAFX_HOLDING_RUNNING,
    VMAFX_HOLDING_STOPPING, /* to be stopped; takes its slot until vmafx_holdings_ended */
    VMAFX_HOLDING_ENDED,    /* its report (and result) is in the spool, not acknowledged yet */
    VMAFX_HOLDING_DROPPED,  /* of no use any more; goes with its DROP */
} VmafxHoldingState;

/** Read it, do not write it. */
typedef struct VmafxHolding {
    VmafxAttemptRef ref;
    VmafxHoldingState state;
    VmafxOutcome outcome; /* ENDED: as reported. STOPPING: how its end will be reported; NONE: not at all */
    bool due;             /* STOPPING, ENDED: its STOP or SEND has yet to be handed out */
} VmafxHolding;

/** Attempts in the order in which they came. */
typedef struct VmafxHoldings {
    VmafxHolding *items; /* the caller's, max of them */
    size_t n, max;
    uint32_t slots;
    bool connected; /* welcomed */
    bool draining;
} VmafxHoldings;

typedef enum VmafxHoldingDo {
    VMAFX_DO_DROP = 1, /* forget it: spooled report and result, and what else the node keeps for it */
    VMAFX_DO_STOP,     /* kill its scorer's child; then vmafx_holdings_ended */
    VMAFX_DO_SEND,     /* result chunks, then the end with `outcome`, on the stream that stands now */
    VMAFX_DO_START,    /* run it; then vmafx_holdings_ended */
} VmafxHoldingDo;

typedef struct VmafxHoldingAction {
    VmafxHoldingDo what;
    VmafxAttemptRef ref;
    VmafxOutcome outcome; /* SEND. HANDED_BACK has nothing in the spool */
} VmafxHoldingAction;

/**
 * @param items  borrowed until the end
 * @param max    at least slots + 1, at most VMAFX_HOLDINGS_MAX: what is above the slots is room for the spool. While it
 *               is used up, no slot counts as free
 * @param slots  1 … VMAFX_NODE_SLOTS_MAX
 * @return VMAFX_ERR_INVALID
 */
VMAFX_CHECK VmafxErr vmafx_holdings_init(VmafxHoldings *h, VmafxHolding *items, size_t max, uint32_t slots);

/**
 * At start-up, before the first Hello: a report that was found in the spool.
 * @return VMAFX_ERR_LIMIT no room; VMAFX_ERR_CONFLICT an attempt of this job is there; of two, call it for the higher
 * number first and delete the other; VMAFX_ERR_INVALID a number below 1, or not an outcome a node reports
 */
VMAFX_CHECK VmafxErr vmafx_holdings_restore(VmafxHoldings *h, const VmafxAttemptRef *ref, VmafxOutcome outcome);

/* ---- What to do now ---- */

/** The next thing to do: DROP before STOP before SEND before START. Handed out once; false: nothing more for now. */
bool vmafx_holdings_next(VmafxHoldings *h, VmafxHoldingAction *ret);

/* ---- The stream ---- */

/**
 * Hello.held and Heartbeat.held: all whose end the controller has not acknowledged and that are of use, also those
 * that wait or are in the spool.
 * @param ret  room for h->max
 * @return how many
 */
size_t vmafx_holdings_held(const VmafxHoldings *h, VmafxAttemptRef *ret);
/** Heartbeat.slots_free: slots not taken, as far as there is room for their ends; 0 while draining. */
uint32_t vmafx_holdings_slots_free(const VmafxHoldings *h);

/** Welcome: those of Hello.held that are lost are stopped or dropped; then every end in the spool is due again. */
void vmafx_holdings_welcome(VmafxHoldings *h, const VmafxAttemptRef *lost, size_t n_lost);
/** The stream is gone. Attempts go on; nothing is sent until the next welcome. */
void vmafx_holdings_disconnect(VmafxHoldings *h);

/**
 * Assign. The same attempt again is VMAFX_OK and changes nothing, and so is an older one than is held. A newer attempt
 * of a job puts an older one out of use, which is stopped or dropped. While draining it is handed back.
 * @return VMAFX_ERR_BUSY: no room. The caller answers with an end, HANDED_BACK, and keeps nothing; should that get
 * lost, the lease runs out. VMAFX_ERR_INVALID: a number below 1
 */
VMAFX_CHECK VmafxErr vmafx_holdings_assign(VmafxHoldings *h, const VmafxAttemptRef *ref);

/** Cancel, whatever its reason, and HeartbeatAck.lost: stopped without a report, or dropped. Unknown ones are ignored.
 */
void vmafx_holdings_cancel(VmafxHoldings *h, const VmafxAttemptRef *ref);

/**
 * EndAck. resend: the end is due again; else the spool may go. Ignored for an attempt that is not in the spool.
 */
void vmafx_holdings_ack(VmafxHoldings *h, const VmafxAttemptRef *ref, bool resend);

/**
 * Drain, asked for by the controller or by the node's own operator. No further attempts are taken. finish: those there
 * are go on; else those that wait are handed back, those that run are stopped and then handed back. Drained when
 * h->n is 0. Asked for again with finish = false it hardens; it never softens.
 */
void vmafx_holdings_drain(VmafxHoldings *h, bool finish);

/* ---- The work ---- */

/** Whether progress of this attempt is worth sending now: it runs, and there is a stream. */
bool vmafx_holdings_wants_progress(const VmafxHoldings *h, const VmafxAttemptRef *ref);

/** Its time is up (by the node's clock): stopped, then reported as TIMEOUT. Ignored unless it runs. */
void vmafx_holdings_timeout(VmafxHoldings *h, const VmafxAttemptRef *ref);

/**
 * Its process has ended. What was being stopped with an outcome is reported with that one, unless it got done in time
 * after all (SUCCEEDED); what was stopped for good is dropped. The caller spools the report with *ret_reported and then
 * goes on to vmafx_holdings_next, which says SEND; NONE: nothing is to be spooled.
 * @return VMAFX_ERR_NOT_FOUND: neither running nor stopping; VMAFX_ERR_INVALID: not an outcome a node reports
 */
VMAFX_CHECK VmafxErr vmafx_holdings_ended(VmafxHoldings *h, const VmafxAttemptRef *ref, VmafxOutcome outcome,
                                          VmafxOutcome *ret_reported);

/** The entry of an attempt, or NULL; good until the next step. */
const VmafxHolding *vmafx_holdings_find(const VmafxHoldings *h, const VmafxAttemptRef *ref);
/** NULL, or a sentence: which rule is broken. For tests. */
const char *vmafx_holdings_check(const VmafxHoldings *h);
#endif

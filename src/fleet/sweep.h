/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * When a controller may take leases away: each tick of its timer asks whether to hand EXPIRE to the store, GRACE first,
 * or nothing. After a start, after standing still, and after the store could not write, nobody was able to renew; then
 * no lease ends until a GRACE that was asked for afterwards is on disk. An EXPIRE is carried out as of the time at
 * which it was handed over: renewals that came in between are no later than those that a stall of ours held up. Pure;
 * the controller owns one and ticks it from one thread. Times are microseconds of a clock that never jumps; 0 is before
 * all of them.
 */
#ifndef VMAFX_FLEET_SWEEP_H
#define VMAFX_FLEET_SWEEP_H

#include "fleet/fleet.h"

/** Zeroed: has just started. */
typedef struct VmafxSweep {
    int64_t ticked; /* last */
    int64_t asked;  /* when the GRACE that is under way was asked for; 0: none */
    bool granted;
} VmafxSweep;

typedef enum VmafxSweepDo {
    VMAFX_SWEEP_NOTHING = 0, /* GRACE is under way */
    VMAFX_SWEEP_GRACE,       /* keep `now` with the operation, for vmafx_sweep_answered */
    VMAFX_SWEEP_EXPIRE,
} VmafxSweepDo;

/**
 * To be called at least four times in a lease. A gap of more than a third of a lease since the last tick is a stall:
 * what was granted before it does not count, and neither does the answer to a GRACE asked for before it.
 */
VmafxSweepDo vmafx_sweep_tick(VmafxSweep *sweep, const VmafxFleetRules *rules, int64_t now);

/** A GRACE was answered. asked: the `now` of its tick. */
void vmafx_sweep_answered(VmafxSweep *sweep, int64_t asked, bool on_disk);

/**
 * Any operation failed with VMAFX_ERR_IO: renewals may have, too. An EXPIRE may be on its way by then; a store that has
 * failed to write a group therefore gives grace itself before it carries out the next one.
 */
void vmafx_sweep_store_failed(VmafxSweep *sweep);
#endif

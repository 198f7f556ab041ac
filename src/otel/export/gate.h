/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * A gate before something that will be taken away while threads may still come by: exporting threads that a stop could
 * not end in time. Whoever gets in is waited for, so what is done inside must not block. Zero is an open gate.
 *
 *     if (vmafx_gate_enter(&gate)) { use it; vmafx_gate_leave(&gate); }            any thread
 *     vmafx_gate_shut(&gate); take it away;                                        nobody is inside, nobody gets in
 */
#ifndef VMAFX_OTEL_EXPORT_GATE_H
#define VMAFX_OTEL_EXPORT_GATE_H

#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>

typedef struct VmafxGate {
    atomic_uint inside;
    atomic_bool shut;
} VmafxGate;

/* Sequentially consistent on purpose: who enters stores inside and reads shut, who shuts does it the other way round.
 */
static inline bool vmafx_gate_enter(VmafxGate *gate)
{
    atomic_fetch_add(&gate->inside, 1);
    if (!atomic_load(&gate->shut))
        return true;
    atomic_fetch_sub(&gate->inside, 1);
    return false;
}

static inline void vmafx_gate_leave(VmafxGate *gate)
{
    atomic_fetch_sub(&gate->inside, 1);
}

static inline void vmafx_gate_open(VmafxGate *gate)
{
    atomic_store(&gate->shut, false);
}

static inline void vmafx_gate_shut(VmafxGate *gate)
{
    atomic_store(&gate->shut, true);
    while (atomic_load(&gate->inside))
        sched_yield();
}
#endif

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Grace before expiry. */

#include "fleet/sweep.h"

VmafxSweepDo vmafx_sweep_tick(VmafxSweep *sweep, const VmafxFleetRules *rules, int64_t now)
{
    if (now - sweep->ticked > rules->lease_us / 3) {
        sweep->granted = false;
        sweep->asked = 0;
    }
    sweep->ticked = now;
    if (sweep->granted)
        return VMAFX_SWEEP_EXPIRE;
    if (sweep->asked)
        return VMAFX_SWEEP_NOTHING;
    sweep->asked = now;
    return VMAFX_SWEEP_GRACE;
}

void vmafx_sweep_answered(VmafxSweep *sweep, int64_t asked, bool on_disk)
{
    if (asked != sweep->asked)
        return;
    sweep->asked = 0;
    sweep->granted = on_disk;
}

void vmafx_sweep_store_failed(VmafxSweep *sweep)
{
    sweep->granted = false;
}

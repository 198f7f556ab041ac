/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Words for the numbers, as in signals.def, and what a node may be called. */

#include "fleet/fleet.h"

#include <string.h>

#include "base/base.h"

static const char *const states[] = { "unknown", "queued", "running", "succeeded", "failed", "cancelled" };
static const char *const failures[] = { "none",     "input", "mismatch", "model",   "encoder",
                                        "resource", "node",  "timeout",  "internal" };
static const char *const outcomes[] = { "none", "succeeded", "failed", "cancelled", "lost", "timeout", "handed_back" };
static const char *const kinds[] = { "unknown", "submitted", "leased", "attempt_ended", "queued", "ended" };

static const char *name(const char *const *names, size_t n, unsigned value)
{
    return value < n ? names[value] : "unknown";
}

const char *vmafx_job_state_name(VmafxJobState state)
{
    return name(states, VMAFX_LEN(states), (unsigned)state);
}

const char *vmafx_failure_name(VmafxFailure failure)
{
    return name(failures, VMAFX_LEN(failures), (unsigned)failure);
}

const char *vmafx_outcome_name(VmafxOutcome outcome)
{
    return name(outcomes, VMAFX_LEN(outcomes), (unsigned)outcome);
}

const char *vmafx_event_kind_name(VmafxEventKind kind)
{
    return name(kinds, VMAFX_LEN(kinds), (unsigned)kind);
}

VmafxJobState vmafx_job_state_find(const char *text)
{
    for (size_t i = VMAFX_JOB_QUEUED; i < VMAFX_LEN(states); i++)
        if (!strcmp(states[i], text))
            return (VmafxJobState)i;
    return (VmafxJobState)0;
}

bool vmafx_node_name_is_valid(const char *text)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    size_t len = strnlen(text, VMAFX_NODE_NAME_MAX);

    return len > 0 && len < VMAFX_NODE_NAME_MAX && strspn(text, allowed) == len;
}

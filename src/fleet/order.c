/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Who goes first. */

#include "fleet/fleet.h"

#include <string.h>

#include "base/base.h"

bool vmafx_job_goes_before(const VmafxJob *a, const VmafxJob *b)
{
    VmafxWall deadline_a = a->deadline ? a->deadline : INT64_MAX;
    VmafxWall deadline_b = b->deadline ? b->deadline : INT64_MAX;

    if (a->priority != b->priority)
        return a->priority > b->priority;
    if (a->turn != b->turn)
        return a->turn < b->turn;
    if (deadline_a != deadline_b)
        return deadline_a < deadline_b;
    if (a->created != b->created)
        return a->created < b->created;
    return memcmp(a->id.bytes, b->id.bytes, sizeof a->id.bytes) < 0;
}

int64_t vmafx_turn_next(int64_t virtual_turn, int64_t submitter_last, int64_t *ret_submitter_last)
{
    int64_t turn = VMAFX_MAX(virtual_turn, submitter_last);

    /* At the far end (2^63 / 1000 jobs) everybody has the same turn: first come, first served. */
    if (__builtin_add_overflow(turn, VMAFX_TURN_COST, ret_submitter_last))
        *ret_submitter_last = INT64_MAX;
    return turn;
}

int64_t vmafx_turn_settled(int64_t virtual_turn, int64_t submitter_last)
{
    /* Had all been leased, the last one's turn would be the virtual turn now, or lie before it. */
    return submitter_last - VMAFX_TURN_COST > virtual_turn ? virtual_turn + VMAFX_TURN_COST : submitter_last;
}

int64_t vmafx_turn_leased(int64_t virtual_turn, int64_t job_turn)
{
    return VMAFX_MAX(virtual_turn, job_turn);
}

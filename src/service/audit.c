/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* A bucket that fills with time, kept as the time at which it is full. */

#include "service/audit.h"

#include "base/base.h"

#define ONE_NS ((uint64_t)1000000000 / AUDIT_PER_SECOND) /* what one line costs */

bool audit_limit_take(AuditLimit *limit, bool known, uint64_t now_ns, uint64_t *ret_left_out)
{
    pthread_mutex_lock(&limit->lock);
    AuditBudget *budget = known ? &limit->known : &limit->unknown;
    uint64_t full_ns = VMAFX_MAX(budget->full_ns, now_ns) + ONE_NS;
    bool may = full_ns - now_ns <= AUDIT_BURST * ONE_NS;

    if (may) {
        budget->full_ns = full_ns;
        *ret_left_out = budget->left_out;
        budget->left_out = 0;
    } else {
        budget->left_out++;
    }
    pthread_mutex_unlock(&limit->lock);
    return may;
}

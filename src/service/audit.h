/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * How many refusals are written down: who tries tokens all day may not fill a disk, nor hide others' lines among its
 * own. Refusals of peers that we know and of those that we do not have a budget each, of a burst and then so many a
 * second; what went past it is counted, and said with the next line that is written. What was done is always written.
 *
 * Pure but for the lock; time comes in.
 */
#ifndef VMAFX_SERVICE_AUDIT_H
#define VMAFX_SERVICE_AUDIT_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

enum {
    AUDIT_BURST = 20,     /* lines at once */
    AUDIT_PER_SECOND = 1, /* after that */
};

typedef struct AuditBudget {
    uint64_t full_ns; /* when it is, or was, full again */
    uint64_t left_out;
} AuditBudget;

typedef struct AuditLimit {
    pthread_mutex_t lock; /* covers the rest */
    AuditBudget unknown, known;
} AuditLimit;

/**
 * May a refusal be written now?
 * @param known         who was refused is somebody
 * @param ret_left_out  how many of its kind were not, since the last that was
 */
bool audit_limit_take(AuditLimit *limit, bool known, uint64_t now_ns, uint64_t *ret_left_out);
#endif

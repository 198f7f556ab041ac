/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Ends of attempts that the controller has not acknowledged: one file each, written whole or not at all, kept over
 * restarts of the node. One thread.
 *
 *     DIR/JOB.ATTEMPT:  "VXS1"  u32 length of the TaskEnd  TaskEnd  StoredResult (may be empty)      little endian
 */
#ifndef VMAFX_PROGRAMS_NODE_SPOOL_H
#define VMAFX_PROGRAMS_NODE_SPOOL_H

#include "fleet/fleet.h"
#include "rpc/message.h"

#define SPOOL_FILE_MAX ((size_t)520 << 20)

typedef struct Spool Spool;

/** Makes the folder where it is missing; half-written files of an earlier run are removed. VMAFX_ERR_IO */
VMAFX_CHECK VmafxErr spool_open(const char *dir, Spool **ret, VmafxErrInfo *reterr);
void spool_close(Spool **spool);

/** Calls back for each whole file, in no order; a damaged one is removed. */
void spool_each(Spool *spool, void (*found)(void *ctx, const VmafxAttemptRef *ref, const Vmafx__V1__TaskEnd *end),
                void *ctx);

/** Keeps an end; result may be NULL. end's result_bytes and result_sha256 are set here. VMAFX_ERR_IO, VMAFX_ERR_NOMEM
 */
VMAFX_CHECK VmafxErr spool_put(Spool *spool, const VmafxAttemptRef *ref, Vmafx__V1__TaskEnd *end, const void *result,
                               size_t result_len, VmafxErrInfo *reterr);

/** What was kept. Released by spool_entry_done. */
typedef struct SpoolEntry {
    char *file;
    VmafxMessage *message;
    const Vmafx__V1__TaskEnd *end;
    const uint8_t *result;
    size_t result_len;
} SpoolEntry;

/** VMAFX_ERR_NOT_FOUND, VMAFX_ERR_IO, VMAFX_ERR_CORRUPT (also: the result is another one), VMAFX_ERR_NOMEM */
VMAFX_CHECK VmafxErr spool_get(Spool *spool, const VmafxAttemptRef *ref, SpoolEntry *ret, VmafxErrInfo *reterr);
void spool_entry_done(SpoolEntry *entry);

void spool_drop(Spool *spool, const VmafxAttemptRef *ref);
#endif

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Stored results: checked on the way in, taken out of the store for whoever may see them. Jobs.GetResult sends one as a
 * stream, the summary first, then runs of frames as fast as the peer reads (result_rpc.c); rest_result.c as a report.
 */
#ifndef VMAFX_PROGRAMS_CONTROLLER_RESULT_H
#define VMAFX_PROGRAMS_CONTROLLER_RESULT_H

#include <pthread.h>

#include "base/columns.h"
#include "programs/controller/api.h"
#include "report/scored.h"
#include "store/store.h"

/** A result out of the store. */
typedef struct LoadedResult {
    VmafxMessage *message;
    const Vmafx__V1__Result *summary; /* in the message */
    VmafxColumns columns;             /* its frames, in the order of summary->series; none of summary_only */
} LoadedResult;

/** @return VMAFX_ERR_SYNTAX, VMAFX_ERR_NOT_FOUND (the job, or its result), VMAFX_ERR_CORRUPT and those of the store */
VMAFX_CHECK VmafxErr result_load(VmafxStore *store, const Caller *caller, const char *id, bool summary_only,
                                 LoadedResult *ret, VmafxErrInfo *reterr);
void loaded_result_done(LoadedResult *loaded);
/** What its frames take when they are unpacked. */
size_t result_frames_bytes(const LoadedResult *loaded);
/** The frames of one that was loaded without. VMAFX_ERR_CORRUPT, VMAFX_ERR_NOMEM */
VMAFX_CHECK VmafxErr result_unpack(LoadedResult *loaded, VmafxErrInfo *reterr);

/**
 * Jobs.GetResult: the door for gRPC. Frames stay unpacked in memory until their reader has them, so how much of that
 * there is at a time is limited: beyond it a reader is told to come again, unless another one has read nothing for a
 * while; that one then gives way. One reader is always let in.
 */
typedef struct ResultRpc {
    VmafxStore *store;
    const Api *api;
    size_t frames_bytes_max; /* of all readers; 0: 1 GiB */
    uint64_t stall_ns;       /* who has read nothing for so long may have to give way; 0: 30 s */

    pthread_mutex_t lock; /* covers what follows */
    struct Reading *first;
    size_t bytes;
} ResultRpc;
/** The door is zeroed but for what stands above its lock, and stays where it is. */
VmafxRpcMethod result_rpc_method(ResultRpc *door);
void result_rpc_done(ResultRpc *door); /* after the server has stopped */

/**
 * Checks what a node sent before it is kept: a StoredResult whose frames fit its summary.
 * @param ret_has_score  whether the summary has a score; *ret_score is its mean
 * @param ret_scored     what of it is counted
 * @return VMAFX_ERR_SYNTAX, VMAFX_ERR_LIMIT, VMAFX_ERR_NOMEM, with a sentence
 */
VMAFX_CHECK VmafxErr result_check(const void *data, size_t len, bool *ret_complete, bool *ret_has_score,
                                  double *ret_score, VmafxScoredList *ret_scored, VmafxErrInfo *reterr);
#endif

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Stored results: checked on the way in, taken out of the store for whoever may see them. Jobs.GetResult sends one as a
 * stream, the summary first, then runs of frames as fast as the peer reads; rest_result.c as a report.
 */
#ifndef VMAFX_PROGRAMS_CONTROLLER_RESULT_H
#define VMAFX_PROGRAMS_CONTROLLER_RESULT_H

#include "base/columns.h"
#include "programs/controller/api.h"
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

/** Jobs.GetResult: the door for gRPC. */
typedef struct ResultRpc {
    VmafxStore *store;
    const Api *api;
} ResultRpc;
VmafxRpcMethod result_rpc_method(ResultRpc *door);

/**
 * Checks what a node sent before it is kept: a StoredResult whose frames fit its summary.
 * @param ret_has_score  whether the summary has a score; *ret_score is its mean, *ret_model its model's version, cut
 * @return VMAFX_ERR_SYNTAX, VMAFX_ERR_LIMIT, VMAFX_ERR_NOMEM, with a sentence
 */
VMAFX_CHECK VmafxErr result_check(const void *data, size_t len, bool *ret_complete, bool *ret_has_score,
                                  double *ret_score, char *ret_model, size_t model_size, VmafxErrInfo *reterr);
#endif

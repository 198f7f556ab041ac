/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Jobs.GetResult: a stored result as a stream, the summary first, then runs of frames as fast as the peer reads. */
#ifndef VMAFX_PROGRAMS_CONTROLLER_RESULT_H
#define VMAFX_PROGRAMS_CONTROLLER_RESULT_H

#include "rpc/message.h"
#include "rpc/server.h"
#include "store/store.h"

VmafxRpcMethod result_method(VmafxStore *store);

/**
 * Checks what a node sent before it is kept: a StoredResult whose frames fit its summary.
 * @param ret_has_score  whether the summary has a score; *ret_score is its mean, *ret_model its model's version, cut
 * @return VMAFX_ERR_SYNTAX, VMAFX_ERR_LIMIT, VMAFX_ERR_NOMEM, with a sentence
 */
VMAFX_CHECK VmafxErr result_check(const void *data, size_t len, bool *ret_complete, bool *ret_has_score,
                                  double *ret_score, char *ret_model, size_t model_size, VmafxErrInfo *reterr);
#endif

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Encoded videos that jobs want kept: JOB-ATTEMPT.mkv in the folder of the operator's (VMAFX_NODE_KEEP), there once the
 * attempt has succeeded, gone when the controller does not count it. What becomes of them later is the operator's.
 */
#ifndef VMAFX_PROGRAMS_NODE_KEEP_H
#define VMAFX_PROGRAMS_NODE_KEEP_H

#include "base/kept_file.h"
#include "fleet/fleet.h"

/**
 * @param folder  NULL: this node keeps none
 * @return VMAFX_ERR_ENCODER there is no folder; VMAFX_ERR_IO; VMAFX_ERR_NOMEM, each with a sentence
 */
VMAFX_CHECK VmafxErr keep_open(const char *folder, const VmafxAttemptRef *ref, VmafxKeptFile *ret,
                               VmafxErrInfo *reterr);
/** Content with none. */
void keep_remove(const char *folder, const VmafxAttemptRef *ref);
#endif

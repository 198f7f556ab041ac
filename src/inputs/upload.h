/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * An upload into a descriptor: what is named by its digest never changes, so what is kept needs no question, and a
 * broken transfer goes on where it broke, whoever brings the rest. The digest is compared at the end.
 */
#ifndef VMAFX_INPUTS_UPLOAD_H
#define VMAFX_INPUTS_UPLOAD_H

#include "inputs/inputs.h"

#define UPLOAD_FAILURES_MAX   6    /* attempts in a row that bring no new byte */
#define UPLOAD_BACKOFF_MS     200  /* doubled with each failure … */
#define UPLOAD_BACKOFF_MAX_MS 5000 /* … up to this */

typedef struct UploadPlace {
    int folder; /* of the cache; -1: none, what is fetched is dropped after use */
    int64_t folder_bytes_max, bytes_max;
    bool verify;
    uint32_t timeout_ms; /* of all attempts */
} UploadPlace;

/** As vmafx_inputs_get, of an upload. Any thread. */
VMAFX_CHECK VmafxErr upload_get(const UploadPlace *place, const char *uri, const VmafxInputWait *wait, VmafxInput *ret,
                                VmafxErrInfo *reterr);
#endif

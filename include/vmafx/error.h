/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Errors: what every function that can fail returns, and the detail a person can act on. */
#ifndef VMAFX_ERROR_H
#define VMAFX_ERROR_H

#ifdef __cplusplus
extern "C" {
#endif

typedef enum VmafxErr {
    VMAFX_OK = 0,
#define VMAFX_E(name, grpc, http, retry, text) VMAFX_ERR_##name,
#include <vmafx/errors.def>
#undef VMAFX_E
    VMAFX_ERR_COUNT
} VmafxErr;

#if defined(__GNUC__)
#define VMAFX_CHECK             __attribute__((warn_unused_result))
#define VMAFX_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define VMAFX_CHECK
#define VMAFX_PRINTF(fmt, args)
#endif

#define VMAFX_ERR_MESSAGE_MAX 512

/**
 * What went wrong, for a person: the failure, then the subject. Zero it before the first use. Functions that
 * take one as `reterr` accept NULL, and write it on failure only.
 */
typedef struct VmafxErrInfo {
    char message[VMAFX_ERR_MESSAGE_MAX]; /* UTF-8, always terminated; cut between characters when longer */
} VmafxErrInfo;

/** The table's sentence for an error; never NULL. Any thread. */
const char *vmafx_err_text(VmafxErr err);

/** The table's name for an error ("NOMEM"); "OK" for VMAFX_OK; never NULL. Any thread. */
const char *vmafx_err_name(VmafxErr err);

/** The table's gRPC status as its number (0 … 16; INTERNAL's for what is no error of the table). Any thread. */
int vmafx_err_grpc(VmafxErr err);

/** The table's HTTP status (200 for VMAFX_OK; 500 for what is no error of the table). Any thread. */
int vmafx_err_http(VmafxErr err);

/** May it pass by itself, so that trying again is worth it? 1 or 0. Any thread. */
int vmafx_err_retry(VmafxErr err);

/**
 * Writes the message unless reterr is NULL, and gives err back, so that a failure is one line:
 *     return vmafx_fail(reterr, VMAFX_ERR_MODEL, "cannot open model '%s'", path);
 */
VmafxErr vmafx_fail(VmafxErrInfo *reterr, VmafxErr err, const char *fmt, ...) VMAFX_PRINTF(3, 4);

#ifdef __cplusplus
}
#endif
#endif

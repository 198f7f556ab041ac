/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What the files of the HTTP door share. */
#ifndef VMAFX_PROGRAMS_CONTROLLER_REST_INTERNAL_H
#define VMAFX_PROGRAMS_CONTROLLER_REST_INTERNAL_H

#include "base/digest.h"
#include "programs/controller/rest.h"

/** A row of rest_routes.def. */
typedef struct RestRoute {
    const char *name, *method, *pattern, *rpc, *body, *answer;
    int status;
    VmafxErr (*handle)(void *binding, VmafxHttpCall *call, VmafxHttpAnswer *answer, VmafxErrInfo *reterr);
} RestRoute;

/** Who calls. *ret borrows from the call; rest_caller_done frees the rest. */
void rest_caller(VmafxHttpCall *call, Caller *ret);
void rest_caller_done(Caller *caller);

/** Only parameters that the route's rows name, each once unless it is a list. VMAFX_ERR_INVALID */
VMAFX_CHECK VmafxErr rest_check_query(const RestRoute *route, const VmafxHttpCall *call, VmafxErrInfo *reterr);
/** There is none. VMAFX_ERR_INVALID */
VMAFX_CHECK VmafxErr rest_check_no_body(const VmafxHttpCall *call, VmafxErrInfo *reterr);

/** JSON as the answer. text: malloc'ed, taken over; NULL: no memory. */
VMAFX_CHECK VmafxErr rest_answer_json(VmafxHttpAnswer *answer, int status, char *text);

/* ---- rest_text.c: texts of requests; pure ---- */

/** RFC 3339 ("2026-01-31T12:00:00.5Z", with an offset too), or microseconds; above 0. VMAFX_ERR_INVALID */
VMAFX_CHECK VmafxErr rest_time(const char *name, const char *text, int64_t *ret_us, VmafxErrInfo *reterr);
/** Which of the media types an Accept header likes best; the first of equals; NULL: none. NULL accept: the first. */
const char *rest_accept(const char *accept, const char *const *types, size_t n);
/** "application/json", with whatever parameters. */
bool rest_is_json(const char *content_type);
/**
 * The SHA-256 of a Content-Digest header (RFC 9530, "sha-256=:BASE64:", perhaps among others) as digits; "" where it
 * has only others. VMAFX_ERR_INVALID
 */
VMAFX_CHECK VmafxErr rest_content_digest(const char *header, char ret_hex[VMAFX_SHA256_TEXT], VmafxErrInfo *reterr);
/** Appends text, percent-encoded where it is not unreserved (RFC 3986). */
void rest_put_escaped(FILE *out, const char *text);

VmafxErr rest_list(void *binding, VmafxHttpCall *call, VmafxHttpAnswer *answer, VmafxErrInfo *reterr);
VmafxErr rest_result(void *binding, VmafxHttpCall *call, VmafxHttpAnswer *answer, VmafxErrInfo *reterr);
VmafxErr rest_upload(void *binding, VmafxHttpCall *call, VmafxHttpAnswer *answer, VmafxErrInfo *reterr);
VmafxErr rest_events(void *binding, VmafxHttpCall *call, VmafxHttpAnswer *answer, VmafxErrInfo *reterr);
#endif

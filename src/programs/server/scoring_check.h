/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Is a request one that this server takes? Pure: told from the message and the limits alone; any thread. */
#ifndef VMAFX_PROGRAMS_SERVER_SCORING_CHECK_H
#define VMAFX_PROGRAMS_SERVER_SCORING_CHECK_H

#include "programs/server/server.h"

/** The request as a job. *ret and inputs point into the request; inputs that it lacks are empty ones. */
void scoring_spec(const Vmafx__V1__ScoreRequest *request, Vmafx__V1__Input inputs[2], Vmafx__V1__JobSpec *ret);

/**
 * @param fds   reference and distorted as data; -1: by uri
 * @param spec  the request's, by scoring_spec
 * @param path  of the request in sentences: "request", "batch.pairs[3]"
 * @return what vmafx_spec_check says; VMAFX_ERR_INVALID; VMAFX_ERR_LIMIT, with a sentence that begins with the field's
 * path
 */
VMAFX_CHECK VmafxErr scoring_check(const ServerLimits *limits, const Vmafx__V1__ScoreRequest *request, const int fds[2],
                                   const Vmafx__V1__JobSpec *spec, const char *path, VmafxErrInfo *reterr);
#endif

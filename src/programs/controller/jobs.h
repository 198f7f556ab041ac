/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The service vmafx.v1.Jobs: unary calls. Streams of jobs are in watch.h, results in result.h. */
#ifndef VMAFX_PROGRAMS_CONTROLLER_JOBS_H
#define VMAFX_PROGRAMS_CONTROLLER_JOBS_H

#include "auth/auth.h"
#include "rpc/message.h"
#include "rpc/server.h"
#include "store/store.h"

/** What the calls stand on; borrowed, outlives the server. */
typedef struct JobsApi {
    VmafxStore *store;
    int64_t timeout_us; /* of an attempt, where the job names none */
    int32_t attempt_limit;
    /** Progress of a running job, as far as its node told. False: none. Any thread. */
    bool (*progress)(void *ctx, const VmafxJobId *id, Vmafx__V1__Progress *ret);
    void *progress_ctx;
    /** Who calls, for submitter and audit. */
    void (*identity)(void *ctx, const VmafxRpcPeer *peer, VmafxIdentity *ret);
    /** Leaves a line: who changed what. */
    void (*audit)(void *ctx, const VmafxRpcPeer *peer, const char *action, const char *subject);
    void *identity_ctx; /* of both */
} JobsApi;

/** Its methods, for the server's table; at most max of them. */
size_t jobs_methods(JobsApi *api, VmafxRpcMethod *ret, size_t max);

/** For the other services: the job a request names. VMAFX_ERR_SYNTAX, with a sentence */
VMAFX_CHECK VmafxErr job_id_from(const char *text, VmafxJobId *ret, VmafxErrInfo *reterr);
#endif

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The service vmafx.v1.Jobs: what has one answer. Following a job is in watch.h, results in result.h. */
#ifndef VMAFX_PROGRAMS_CONTROLLER_JOBS_H
#define VMAFX_PROGRAMS_CONTROLLER_JOBS_H

#include "programs/controller/api.h"
#include "programs/controller/uploads.h"
#include "programs/controller/telemetry.h"
#include "store/store.h"

/** What the functions stand on; borrowed, outlives the servers. */
typedef struct JobsApi {
    VmafxStore *store;
    Uploads *uploads;   /* NULL: none are taken */
    const Api *api;     /* for the audit */
    int64_t timeout_us; /* of an attempt, where the job names none */
    int32_t attempt_limit;
    /** Progress of a running job, as far as its node told. False: none. Any thread. */
    bool (*progress)(void *ctx, const VmafxJobId *id, Vmafx__V1__Progress *ret);
    void *progress_ctx;
    void (*nodes)(void *ctx, FleetCounts *ret); /* as they are now. Any thread. NULL: nobody knows */
    void *nodes_ctx;
} JobsApi;

/** Adds its methods to the table. */
void jobs_methods(JobsApi *jobs, Api *api);

/** For everyone: the job a request names. VMAFX_ERR_SYNTAX, with a sentence */
VMAFX_CHECK VmafxErr job_id_from(const char *text, VmafxJobId *ret, VmafxErrInfo *reterr);
/** The same with its row, if it is the caller's to see. VMAFX_ERR_NOT_FOUND, and those of the store */
VMAFX_CHECK VmafxErr job_read(VmafxStore *store, const Caller *caller, const char *text, VmafxStoredJob *ret,
                              VmafxErrInfo *reterr);
/** What an error about a job is called. */
VmafxErr job_no_such(const char *id, VmafxErr err, VmafxErrInfo *reterr);

/* submit.c */
VmafxErr submit_job(void *jobs, const ApiCall *call, const void *request, VmafxErrInfo *reterr);
VmafxErr submit_jobs(void *jobs, const ApiCall *call, const void *request, VmafxErrInfo *reterr);
VmafxErr retry_job(void *jobs, const ApiCall *call, const void *request, VmafxErrInfo *reterr);
#endif

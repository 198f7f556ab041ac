/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Jobs that live in this process and die with it: a bounded table, a queue in order of arrival, and a few threads that
 * run what is next. For the backends behind which nobody else remembers jobs.
 *
 * At most LOCAL_JOBS_MAX jobs, of which those that have ended are dropped, oldest first, when a new one comes; when
 * none has ended the new one is refused. Results together take at most LOCAL_RESULTS_MAX bytes; beyond it the oldest
 * lose theirs. Any thread.
 */
#ifndef VMAFX_PROGRAMS_MCP_LOCAL_JOBS_H
#define VMAFX_PROGRAMS_MCP_LOCAL_JOBS_H

#include "programs/mcp/backend.h"

#define LOCAL_JOBS_MAX    256
#define LOCAL_RESULT_MAX  ((size_t)64 << 20)  /* bytes of one packed result */
#define LOCAL_RESULTS_MAX ((size_t)256 << 20) /* of all */
#define LOCAL_SLOTS_MAX   64

typedef struct LocalJobs LocalJobs;
typedef struct LocalJob LocalJob; /* one that runs: it stays until its run returns */

/** How a job ended. Borrowed for the call. */
typedef struct LocalEnd {
    Vmafx__V1__JobState state; /* SUCCEEDED, FAILED or CANCELLED */
    Vmafx__V1__FailureClass failure;
    const char *message;
    const Vmafx__V1__Result *result; /* NULL: none */
    const uint8_t *frames;           /* packed columns */
    size_t frames_len;
    bool has_score;
    double score;
} LocalEnd;

/**
 * @param run  called by one of the threads for each job, until which it is running; it must call local_job_end once,
 * and come back soon after local_job_stopped says so. Threads are started by the first job.
 * @param stop  called, maybe from another thread and more than once, when a running job shall stop; may be NULL
 */
VMAFX_CHECK VmafxErr local_jobs_new(int slots, void (*run)(void *ctx, LocalJob *job),
                                    void (*stop)(void *ctx, LocalJob *job), void *ctx, LocalJobs **ret);
/** Stops what runs and waits for it. */
void local_jobs_free(LocalJobs **jobs);

/** Copies the request. VMAFX_ERR_BUSY, VMAFX_ERR_STOPPED, VMAFX_ERR_NOMEM */
VMAFX_CHECK VmafxErr local_jobs_submit(LocalJobs *jobs, const Vmafx__V1__JobSpec *spec, char ret_id[JOB_ID_TEXT],
                                       VmafxErrInfo *reterr);

/* As in BackendOps. */
VMAFX_CHECK VmafxErr local_jobs_get(LocalJobs *jobs, const char *id, JobView *ret, VmafxErrInfo *reterr);
VMAFX_CHECK VmafxErr local_jobs_wait(LocalJobs *jobs, const char *id, const JobWait *wait, JobView *ret,
                                     VmafxErrInfo *reterr);
VMAFX_CHECK VmafxErr local_jobs_list(LocalJobs *jobs, const JobListQuery *query, JobList *ret, VmafxErrInfo *reterr);
VMAFX_CHECK VmafxErr local_jobs_cancel(LocalJobs *jobs, const char *id, JobView *ret, VmafxErrInfo *reterr);
VMAFX_CHECK VmafxErr local_jobs_result(LocalJobs *jobs, const char *id, bool frames, JobResult *ret,
                                       VmafxErrInfo *reterr);
void local_jobs_counts(LocalJobs *jobs, int *ret_queued, int *ret_running);

/* For run. */
const Vmafx__V1__JobSpec *local_job_spec(const LocalJob *job);
const char *local_job_id(const LocalJob *job);
uint64_t local_job_tag(const LocalJob *job);          /* a number of its own */
VmafxContext *local_job_context(const LocalJob *job); /* of the submitter; borrowed */
bool local_job_stopped(const LocalJob *job);
const atomic_bool *local_job_stop_flag(const LocalJob *job);
void local_job_progress(LocalJob *job, int64_t frames, int64_t total, double rate);
void local_job_end(LocalJob *job, const LocalEnd *end);
/** Waits, for a callback to have called local_job_end. */
void local_job_wait_end(LocalJob *job);
#endif

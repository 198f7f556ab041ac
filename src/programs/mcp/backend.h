/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Where scorings run, as the tools see it: a controller, a vmafx-server, or this machine alone. Each gives ids to what
 * it is asked to do and can be asked about them later.
 *
 * Any thread may call, several at a time; a call may wait for the network, wait() until its end. Errors come with a
 * sentence that says what, where and what to do. The thread's current context is the parent of what a job's spans are.
 */
#ifndef VMAFX_PROGRAMS_MCP_BACKEND_H
#define VMAFX_PROGRAMS_MCP_BACKEND_H

#include <stdatomic.h>

#include <jansson.h>

#include "inputs/inputs.h"
#include "otel/api/log.h"
#include "otel/api/trace.h"
#include "rpc/message.h"

#define JOB_ID_TEXT 37 /* with the terminating zero */
#define JOB_URI_MAX 512

/** A job as it is now. Texts are cut when longer. Times are Unix microseconds, 0: not yet. */
typedef struct JobView {
    char id[JOB_ID_TEXT];
    Vmafx__V1__JobState state;
    Vmafx__V1__FailureClass failure;
    char message[VMAFX_ERR_MESSAGE_MAX];
    char reference[JOB_URI_MAX], distorted[JOB_URI_MAX]; /* without secrets of URLs */
    char node[64];
    char trace_id[33];
    int64_t created_us, started_us, ended_us;
    int64_t frames, frames_total; /* total 0: not known */
    double frame_rate;
    bool has_result, complete, has_score;
    double score; /* mean of the first model */
} JobView;

static inline bool job_has_ended(const JobView *job)
{
    return job->state >= VMAFX__V1__JOB_STATE__JOB_STATE_SUCCEEDED;
}

/** What stands for the distorted video where a recipe makes it: "the reference, encoded by libx264". */
void job_view_encode(JobView *job, const Vmafx__V1__EncodeRecipe *recipe);

/** What a job found out. values[c * n_rows + r]: series c of the summary, frame r; NaN: absent. */
typedef struct JobResult {
    VmafxMessage *message;
    const Vmafx__V1__Result *summary; /* of the message */
    double *values;
    size_t n_columns;
    uint64_t n_rows; /* 0 when frames were not asked for */
} JobResult;

void job_result_done(JobResult *result);

/** The series of the first model, else the first score, else NULL. */
const Vmafx__V1__SeriesSummary *result_verdict(const Vmafx__V1__Result *summary);

typedef struct JobListQuery {
    bool states[6];     /* by JobState; none: all */
    int limit;          /* 1 … 100 */
    const char *cursor; /* NULL: from the newest on */
} JobListQuery;

typedef struct JobList {
    JobView *jobs; /* newest first */
    size_t n;
    char *next; /* cursor of the next page, or NULL */
} JobList;

void job_list_done(JobList *list);

/** Who waits for a job. */
typedef struct JobWait {
    uint64_t until_ns;                              /* CLOCK_MONOTONIC */
    bool (*given_up)(void *ctx);                    /* asked several times a second: nobody waits any more */
    void (*changed)(void *ctx, const JobView *job); /* from the waiting thread; NULL: not wanted */
    void *ctx;
} JobWait;

typedef struct Backend Backend;

typedef struct BackendOps {
    const char *kind; /* "controller", "server", "alone" */
    /** What vmafx_spec_check lets pass. VMAFX_ERR_BUSY too much waits already. */
    VmafxErr (*submit)(Backend *b, const Vmafx__V1__JobSpec *spec, char ret_id[JOB_ID_TEXT], VmafxErrInfo *reterr);
    VmafxErr (*get)(Backend *b, const char *id, JobView *ret, VmafxErrInfo *reterr);
    /** Until the job has ended, the time is over or nobody waits; all of these are OK. */
    VmafxErr (*wait)(Backend *b, const char *id, const JobWait *wait, JobView *ret, VmafxErrInfo *reterr);
    VmafxErr (*list)(Backend *b, const JobListQuery *query, JobList *ret, VmafxErrInfo *reterr);
    VmafxErr (*cancel)(Backend *b, const char *id, const char *reason, JobView *ret, VmafxErrInfo *reterr);
    /** VMAFX_ERR_NOT_FOUND, VMAFX_ERR_STATE (none yet), VMAFX_ERR_LIMIT (too many frames) */
    VmafxErr (*result)(Backend *b, const char *id, bool frames, JobResult *ret, VmafxErrInfo *reterr);
    /** Appends model versions as texts. */
    VmafxErr (*models)(Backend *b, json_t *array, VmafxErrInfo *reterr);
    /** Appends objects {name, state, slots, busy, version, …}. */
    VmafxErr (*nodes)(Backend *b, json_t *array, VmafxErrInfo *reterr);
    /** Adds members to an object of facts, and appends checks {check, verdict, text}; quick unless thorough. */
    void (*health)(Backend *b, bool thorough, json_t *facts, json_t *checks);
    /** No call may be under way. What still runs is stopped. */
    void (*close)(Backend **b);
} BackendOps;

struct Backend {
    const BackendOps *ops;
};

/** Appends {check, verdict: "ok", "warn" or "fail", text}. */
void health_check(json_t *checks, const char *check, const char *verdict, const char *fmt, ...) VMAFX_PRINTF(4, 5);

typedef struct RemoteConfig {
    const char *address, *cert_file, *key_file, *ca_file, *server_name;
} RemoteConfig;

typedef struct AloneConfig {
    const VmafxInputsConfig *inputs; /* borrowed for the call */
    int slots, threads;
    int64_t timeout_ms; /* of one scoring; 0: none */
    int64_t memory_bytes;
    VmafxLogger *log;
} AloneConfig;

/** None of them connects or starts anything yet. */
VMAFX_CHECK VmafxErr backend_controller_open(const RemoteConfig *config, Backend **ret, VmafxErrInfo *reterr);
VMAFX_CHECK VmafxErr backend_server_open(const RemoteConfig *config, int slots, Backend **ret, VmafxErrInfo *reterr);
VMAFX_CHECK VmafxErr backend_alone_open(const AloneConfig *config, Backend **ret, VmafxErrInfo *reterr);
#endif

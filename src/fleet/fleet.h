/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Jobs, attempts and leases as pure step functions: (stored row, what happened, now) → (new row, events). No I/O, no
 * clock, no memory, no randomness: time and fresh ids come in. A store loads a row, steps it, and writes row and events
 * in one transaction; a simulation does the same with an array. Everything about a job is in its row.
 *
 *                 lease                      end: succeeded
 *     QUEUED ──────────────────► RUNNING ────────────────────────► SUCCEEDED
 *       ▲  │                      │ │ │  end: failed for good, or the last attempt
 *       │  │ cancel, deadline     │ │ └──────────────────────────► FAILED
 *       │  └──────────────────┐   │ └── cancel ──────────────────► CANCELLED
 *       └─────────────────────┼───┘
 *         lost, handed back,  └────► CANCELLED | FAILED (timeout)
 *         failed but may pass
 *
 * An attempt is one lease of the job's task to one node, numbered from 1. The number fences: whoever reports about
 * another attempt than the current one is told LEASE_LOST and changes nothing. A job has one task; a job that is split
 * would have a row like `task` below for each segment.
 *
 * Times are microseconds since 1970 UTC by the store's clock (VmafxWall); 0: none. In a row time never goes back: a
 * `now` before what the row has seen already counts as that, so that queue stays and attempts tile the job's life
 * without gap or overlap whatever a clock does.
 */
#ifndef VMAFX_FLEET_FLEET_H
#define VMAFX_FLEET_FLEET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <vmafx/error.h>

typedef int64_t VmafxWall;

#define VMAFX_NODE_NAME_MAX       64  /* with the terminating zero */
#define VMAFX_SUBMITTER_MAX       256 /* with the terminating zero */
#define VMAFX_JOB_MESSAGE_MAX     512 /* with the terminating zero; longer ones are cut between characters, and what is no UTF-8 is mended */
#define VMAFX_TRACESTATE_TEXT_MAX 513
#define VMAFX_STEP_EVENTS_MAX     2
#define VMAFX_ATTEMPT_LIMIT_MAX   100
/* Attempts in all, handed back ones included; the job then fails (node), so that handing back cannot go on for ever. */
#define VMAFX_ATTEMPTS_MAX 10000

/** A UUID of version 7: 48 bits of milliseconds, the rest random. Orders by time of creation. */
typedef struct VmafxJobId {
    uint8_t bytes[16];
} VmafxJobId;
#define VMAFX_JOB_ID_TEXT 37 /* with the terminating zero */

/** Which attempt something is about. The number fences. */
typedef struct VmafxAttemptRef {
    VmafxJobId job;
    int32_t attempt;
} VmafxAttemptRef;

typedef enum VmafxJobState { /* numbers are those of proto/vmafx/v1/jobs.proto; stored */
                             VMAFX_JOB_QUEUED = 1,
                             VMAFX_JOB_RUNNING,
                             VMAFX_JOB_SUCCEEDED,
                             VMAFX_JOB_FAILED,
                             VMAFX_JOB_CANCELLED,
} VmafxJobState;

typedef enum VmafxFailure {
    VMAFX_FAILURE_NONE = 0,
    VMAFX_FAILURE_INPUT,
    VMAFX_FAILURE_MISMATCH,
    VMAFX_FAILURE_MODEL,
    VMAFX_FAILURE_ENCODER,
    VMAFX_FAILURE_RESOURCE,
    VMAFX_FAILURE_NODE,
    VMAFX_FAILURE_TIMEOUT,
    VMAFX_FAILURE_INTERNAL,
} VmafxFailure;

typedef enum VmafxOutcome {
    VMAFX_OUTCOME_NONE = 0,
    VMAFX_OUTCOME_SUCCEEDED,
    VMAFX_OUTCOME_FAILED,
    VMAFX_OUTCOME_CANCELLED,
    VMAFX_OUTCOME_LOST,
    VMAFX_OUTCOME_TIMEOUT,
    VMAFX_OUTCOME_HANDED_BACK,
} VmafxOutcome;

/** Where the job's spans belong. */
typedef struct VmafxJobTrace {
    uint8_t trace_id[16];
    uint8_t parent_span_id[8]; /* the submitter's; zero: the job is the root */
    uint8_t job_span_id[8];    /* minted at submit */
    uint8_t flags;             /* W3C; without the sampled bit no span is exported */
    char state[VMAFX_TRACESTATE_TEXT_MAX];
} VmafxJobTrace;

/** The job's task: where it waits or runs. */
typedef struct VmafxTask {
    int32_t attempt;                /* number of the current or last attempt; 0: none yet */
    int32_t failures;               /* attempts that count against the limit: failed, lost, timed out */
    VmafxWall queued_since;         /* QUEUED: start of this stay; else 0 */
    VmafxWall not_before;           /* QUEUED: backoff; 0: at once; else 0 */
    char node[VMAFX_NODE_NAME_MAX]; /* RUNNING: who holds the lease; else who held the last one */
    VmafxWall lease_until;          /* RUNNING; else 0 */
    VmafxWall leased_at;            /* of the current or last attempt */
    int64_t paused_us;              /* of the current attempt's time, what does not count: jumps of the clock */
    uint8_t span_id[8];             /* vmafx.task.run of the current or last attempt */
    uint8_t previous_span_id[8];    /* of the attempt before; zero: none */
} VmafxTask;

/** A job's row. Zeroed is none. */
typedef struct VmafxJob {
    VmafxJobId id;
    VmafxJobState state;
    VmafxFailure failure;
    int32_t priority;
    int64_t turn; /* start-time fair queueing, fixed at submit; lower goes first */
    VmafxWall created, started, ended;
    VmafxWall deadline; /* 0: none */
    int64_t timeout_us; /* of an attempt */
    int32_t attempt_limit;
    int32_t need_memory_mib; /* what a node must have free */
    bool complete, has_result;
    bool has_score;
    double score;
    VmafxJobId retry_of; /* zero: none */
    char submitter[VMAFX_SUBMITTER_MAX];
    char message[VMAFX_JOB_MESSAGE_MAX];
    VmafxJobTrace trace;
    VmafxTask task;
} VmafxJob;

typedef enum VmafxEventKind { /* stored */
                              VMAFX_EVENT_SUBMITTED = 1,
                              VMAFX_EVENT_LEASED,
                              VMAFX_EVENT_ATTEMPT_ENDED,
                              VMAFX_EVENT_QUEUED,
                              VMAFX_EVENT_ENDED,
} VmafxEventKind;

/** What a step did, to be stored with the row. Also all that spans and metrics of the controller are made from. */
typedef struct VmafxEvent {
    int64_t sequence; /* the store's; 0 before it is stored */
    VmafxJobId job;
    VmafxWall time;
    VmafxEventKind kind;
    VmafxJobState state; /* of the job, after all events of the step */
    int32_t attempt;
    VmafxOutcome outcome; /* ATTEMPT_ENDED */
    VmafxFailure failure;
    VmafxWall
        since; /* LEASED, ENDED out of the queue: start of the stay that ended; ATTEMPT_ENDED: start of the attempt */
    VmafxWall not_before;        /* QUEUED */
    uint8_t span_id[8];          /* LEASED, ATTEMPT_ENDED: the attempt's */
    uint8_t previous_span_id[8]; /* ATTEMPT_ENDED: of the attempt before it; zero: none */
    char node[VMAFX_NODE_NAME_MAX];
    char message[VMAFX_JOB_MESSAGE_MAX];
} VmafxEvent;

/** Events of one step, in order. */
typedef struct VmafxStep {
    VmafxEvent events[VMAFX_STEP_EVENTS_MAX];
    size_t n;
} VmafxStep;

/** Rules that an operator may set. VMAFX_FLEET_RULES are the defaults. */
typedef struct VmafxFleetRules {
    int64_t lease_us;   /* a lease ends this long after it was last renewed; 1 s … 1 h */
    int64_t backoff_us; /* before the second attempt; doubles with each failure */
    int64_t backoff_max_us;
} VmafxFleetRules;
#define VMAFX_FLEET_RULES ((VmafxFleetRules){ .lease_us = 30000000, .backoff_us = 1000000, .backoff_max_us = 60000000 })

/* ---- Steps. Each returns what refuses it and then changes nothing; *step is written on success only. ---- */

/**
 * A new job enters the queue. The caller has set id, priority, turn, deadline, timeout_us, attempt_limit, submitter,
 * retry_of, trace and needs; the rest is set here.
 * @return VMAFX_ERR_INVALID limits out of range (attempt_limit 1 … VMAFX_ATTEMPT_LIMIT_MAX, timeout above 0, memory and
 * deadline not below 0), an id of zeros, no submitter, or now not above 0
 */
VMAFX_CHECK VmafxErr vmafx_job_submit(VmafxJob *job, VmafxWall now, VmafxStep *step);

/**
 * The task goes to a node as the next attempt.
 * @return VMAFX_ERR_INVALID not a node's name; VMAFX_ERR_STATE not queued; VMAFX_ERR_DEADLINE the deadline has passed:
 * vmafx_job_expire first; VMAFX_ERR_TOO_EARLY before not_before
 */
VMAFX_CHECK VmafxErr vmafx_job_lease(VmafxJob *job, const VmafxFleetRules *rules, const char *node,
                                     const uint8_t span_id[8], VmafxWall now, VmafxStep *step);

/** The holder is alive. VMAFX_ERR_LEASE_LOST: not this attempt's, or not running. A lease never gets shorter. */
VMAFX_CHECK VmafxErr vmafx_job_renew(VmafxJob *job, const VmafxFleetRules *rules, const char *node, int32_t attempt,
                                     VmafxWall now);

/**
 * Nobody could renew for a while: the controller was down, or stalled, or the clock jumped. No lease ends for one term
 * from now. jump_us: by how much the clock went forward without time passing; the attempt's timeout, which is about
 * work, does not count it. (A deadline is about the calendar and does.)
 * @return VMAFX_ERR_STATE: not running; VMAFX_ERR_INVALID: jump_us below 0
 */
VMAFX_CHECK VmafxErr vmafx_job_grace(VmafxJob *job, const VmafxFleetRules *rules, int64_t jump_us, VmafxWall now);

/** How an attempt went, as its node says. */
typedef struct VmafxAttemptReport {
    const char *node;
    int32_t attempt;
    VmafxOutcome outcome; /* SUCCEEDED, FAILED, CANCELLED, TIMEOUT, HANDED_BACK */
    VmafxFailure failure; /* FAILED: a class */
    const char *message;
    bool may_pass;   /* an input that is out of reach for now */
    bool complete;   /* SUCCEEDED: true. FAILED (input) with a result: false */
    bool has_result; /* SUCCEEDED: true. Kept when the job ends with this report, dropped when it is tried again */
    bool has_score;
    double score;
} VmafxAttemptReport;

/**
 * The attempt has ended; the first report counts. A lease that has run out but was not taken away yet still counts.
 * SUCCEEDED ends the job. FAILED is tried again when its class is NODE or RESOURCE, or may_pass is set, and attempts
 * remain; TIMEOUT and others are final. CANCELLED by the node itself (its operator killed it) counts as FAILED (node).
 * HANDED_BACK queues again at once and counts against nothing, up to VMAFX_ATTEMPTS_MAX.
 * A deadline is absolute: once it has passed, any report of the current attempt does what vmafx_job_expire would have
 * done, so that it does not matter which of the two came first. The job then has no result.
 * @return VMAFX_ERR_LEASE_LOST (fenced off); VMAFX_ERR_INVALID (no outcome that a node may report, FAILED without a
 * class, SUCCEEDED without a complete result)
 */
VMAFX_CHECK VmafxErr vmafx_job_end_attempt(VmafxJob *job, const VmafxFleetRules *rules,
                                           const VmafxAttemptReport *report, VmafxWall now, VmafxStep *step);

/**
 * Time has passed: a deadline (both states), an attempt's timeout with a grace of one lease for the node to say so
 * itself, a lease. VMAFX_ERR_STATE: nothing is due. Several due at once: the first of that list.
 */
VMAFX_CHECK VmafxErr vmafx_job_expire(VmafxJob *job, const VmafxFleetRules *rules, VmafxWall now, VmafxStep *step);

/**
 * Ends it; a running attempt ends as cancelled. Wins over a deadline that has passed but was not acted upon.
 * VMAFX_ERR_STATE: it has ended (a cancelled one too).
 */
VMAFX_CHECK VmafxErr vmafx_job_cancel(VmafxJob *job, const char *reason, VmafxWall now, VmafxStep *step);

bool vmafx_job_has_ended(const VmafxJob *job);

/** The next time at which vmafx_job_expire would do something; INT64_MAX: never. */
VmafxWall vmafx_job_due(const VmafxJob *job, const VmafxFleetRules *rules);

/** NULL, or a sentence: which rule of a well-formed row is broken. For tests and for rows read from a disk. */
const char *vmafx_job_check(const VmafxJob *job);

/* ---- Fairness ---- */

/**
 * The order of work among jobs that may start: priority, turn, deadline (none is last), age, id.
 * A strict order: of two different jobs exactly one goes before the other.
 */
bool vmafx_job_goes_before(const VmafxJob *a, const VmafxJob *b);

/**
 * Start-time fair queueing: a submitter's next job gets the turn max(virtual, last) where `last` is its latest job's
 * turn plus VMAFX_TURN_COST, and `virtual` the turn of the job that was leased last. So one that submits thousands does
 * not keep one waiting that submits its first. (Goyal, Vin, Cheng: Start-time Fair Queuing, 1996.)
 *
 * Both numbers are kept for each priority: turns of one priority are never compared with those of another, and one
 * number for all would let a submitter's urgent job move everybody's virtual turn to the end of that submitter's long
 * queue. The virtual turn never goes back; vmafx_turn_leased says how it moves.
 *
 * Then, of two submitters that both have new jobs of one priority waiting all the time, neither is given more than two
 * jobs more than the other in any span of time; jobs that come back to the queue, and those taken out of it otherwise,
 * come on top.
 */
#define VMAFX_TURN_COST 1000
int64_t vmafx_turn_next(int64_t virtual_turn, int64_t submitter_last, int64_t *ret_submitter_last);
/**
 * `last` of a submitter that has no job of this priority queued, before its next job: what it had in the queue and took
 * out again is not held against it.
 */
int64_t vmafx_turn_settled(int64_t virtual_turn, int64_t submitter_last);
/** The virtual turn after a job with this turn was leased: the larger one. */
int64_t vmafx_turn_leased(int64_t virtual_turn, int64_t job_turn);

/* ---- Ids and names ---- */

/** random: 10 bytes. */
void vmafx_job_id_make(VmafxWall now, const uint8_t random[10], VmafxJobId *ret);
void vmafx_job_id_text(const VmafxJobId *id, char ret[VMAFX_JOB_ID_TEXT]);
/** Lower or upper case; any UUID. VMAFX_ERR_SYNTAX */
VMAFX_CHECK VmafxErr vmafx_job_id_parse(const char *text, VmafxJobId *ret);
bool vmafx_job_id_is_zero(const VmafxJobId *id);
bool vmafx_attempt_same(const VmafxAttemptRef *a, const VmafxAttemptRef *b);

/** As in signals.def: "queued", "input", "succeeded" …; never NULL. */
const char *vmafx_job_state_name(VmafxJobState state);
const char *vmafx_failure_name(VmafxFailure failure);
const char *vmafx_outcome_name(VmafxOutcome outcome);
const char *vmafx_event_kind_name(VmafxEventKind kind);
/** 0 for a name that is none. */
VmafxJobState vmafx_job_state_find(const char *name);

/** [A-Za-z0-9._-]{1,63} */
bool vmafx_node_name_is_valid(const char *name);
#endif

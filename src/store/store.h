/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Keeping jobs, events and results. The database is the queue: a job's row, its lease and the event that tells of it
 * change in one transaction, and any number of controllers may share a store that allows it. SQLite stands behind this
 * header (sqlite/), PostgreSQL will.
 *
 * Changes are operations: handed over from any thread, carried out by the store's writer in groups, one flush to the
 * disk for a group, and only then reported. VMAFX_OK means on disk. The callback runs on the writer's thread, outside
 * any transaction; it must be quick and not wait, but may hand over further operations. vmafx_store_wait is the
 * blocking form for threads that may wait. Reads go beside them through connections of their own, block, and see
 * every change that was reported before they began.
 *
 * A row that breaks a rule (vmafx_job_check) is damage. Where one is named by its id the answer is VMAFX_ERR_CORRUPT;
 * where the writer comes across one while it looks for something else, or is to renew it, it sets it aside in the same
 * transaction, tells on_set_aside, and goes on: one bad row keeps nobody else waiting. A row that was set aside is in
 * no list, order or count but `set_aside`, and VMAFX_STORE_DELETE takes it away.
 *
 * Errors beside those named: VMAFX_ERR_IO (disk full, broken, locked away; nothing was changed; worth trying again),
 * VMAFX_ERR_NOMEM, VMAFX_ERR_LIMIT (too many operations wait), VMAFX_ERR_STOPPED (closing), VMAFX_ERR_CORRUPT.
 */
#ifndef VMAFX_STORE_STORE_H
#define VMAFX_STORE_STORE_H

#include "fleet/fleet.h"

#define VMAFX_STORE_SUBMISSIONS_MAX 1000                /* in one operation */
#define VMAFX_STORE_LEASES_MAX      1000                /* in one operation; a node with more free slots asks again */
#define VMAFX_STORE_LIMIT_MAX       10000               /* of EXPIRE and RETAIN */
#define VMAFX_STORE_PAGE_MAX        1000                /* jobs or events of one read */
#define VMAFX_STORE_LABELS_MAX      32                  /* of a job, and of a filter */
#define VMAFX_STORE_SPEC_MAX        ((size_t)1 << 20)   /* bytes */
#define VMAFX_STORE_RESULT_MAX      ((size_t)256 << 20) /* bytes */
#define VMAFX_STORE_TEXT_MAX        1024                /* bytes of an idempotency key, a label's key or value */

typedef struct VmafxStore VmafxStore;

/** Where the store takes its time from. For tests that live through an hour in a microsecond. Any thread. */
typedef struct VmafxStoreClock {
    VmafxWall (*wall_us)(void *ctx); /* may jump */
    int64_t (*monotonic_us)(void *ctx);
    void *ctx;
} VmafxStoreClock;

typedef enum VmafxDurability {
    VMAFX_DURABILITY_FULL = 0, /* survives a loss of power */
    VMAFX_DURABILITY_NORMAL,   /* survives a loss of the process; a loss of power may take back the last answers */
} VmafxDurability;

typedef struct VmafxStoreConfig {
    const char *url; /* a path, or sqlite:PATH */
    VmafxDurability durability;
    VmafxFleetRules rules;
    uint32_t pending_max; /* operations that may wait; 0: 100 000 */
    uint64_t queued_max;  /* jobs that may be queued; beyond, submit says VMAFX_ERR_BUSY; 0: 1 000 000 */
    /**
     * Called on the writer's thread after each group with all its events, in order, and the rows after them: the one
     * place that spans, metrics and pushes come from. Rows and events are borrowed for the call. May be NULL.
     */
    void (*on_events)(void *ctx, const VmafxEvent *events, const VmafxJob *const *jobs, size_t n);
    void *on_events_ctx;
    /**
     * Called once for each row that was set aside, when that is on disk: on the writer's thread, or from
     * vmafx_store_open. For an operator: the job is lost. why: the rule it breaks. May be NULL.
     */
    void (*on_set_aside)(void *ctx, const VmafxJobId *job, const char *why);
    void *on_set_aside_ctx;
    const VmafxStoreClock *clock; /* NULL: the machine's; copied */
} VmafxStoreConfig;

/**
 * Opens or makes the database, and brings its schema up to date in one transaction.
 * @return VMAFX_ERR_IO (cannot be made, or another process writes it), VMAFX_ERR_CORRUPT, VMAFX_ERR_UNSUPPORTED (made
 * by a newer version), VMAFX_ERR_NOMEM; the sentence says which file
 */
VMAFX_CHECK VmafxErr vmafx_store_open(const VmafxStoreConfig *config, VmafxStore **ret, VmafxErrInfo *reterr);
/** The beginning of the end: operations are refused from here on (VMAFX_ERR_STOPPED) and waiters for events let go. */
void vmafx_store_stop(VmafxStore *store);
/** Stops, carries out what waits, then closes. No other call may be under way. */
void vmafx_store_close(VmafxStore **store);

/**
 * The store's clock: the machine's at the opening, and from there what has passed. Never goes back, also over a
 * restart. Where the machine's clock is set by less than a second it is followed slowly (one part in 20); a step
 * forward of a second or more is taken at once, one backward is followed slowly, and both are reported below.
 */
VmafxWall vmafx_store_now(VmafxStore *store);
/**
 * Has the machine's clock been set by a second or more (or the machine slept) since the last question? For a log line:
 * what runs is given its grace (vmafx_job_grace) by the store itself, before the first operation after the jump, so
 * that no lease is lost to an order of calls. The caller hands over VMAFX_STORE_GRACE after a start and after a stall
 * of its own. (After a group that could not be written the store gives grace itself, see VMAFX_STORE_EXPIRE.)
 * @param ret_step_us  the sum of the steps; may be NULL
 */
bool vmafx_store_clock_jumped(VmafxStore *store, int64_t *ret_step_us);
/** "sqlite" or "postgresql", for db.system.name. */
const char *vmafx_store_system(const VmafxStore *store);

/* ---- Operations ---- */

typedef struct VmafxStoreLabel {
    const char *key, *value;
} VmafxStoreLabel;

/**
 * A job to keep. job: as vmafx_job_submit wants it, but for turn, which the store sets. Its id is made with
 * vmafx_store_now right before: how far ids lie from the times of their jobs is how far a list by time looks too far.
 */
typedef struct VmafxSubmission {
    VmafxJob job;
    const void *spec; /* opaque to the store; given back as it is */
    size_t spec_len;
    const char *idempotency_key; /* NULL: none. Kept for each submitter; freed when the job fails or is cancelled */
    uint8_t spec_sha256[32];     /* same key and same digest: the same job */
    const VmafxStoreLabel *labels;
    size_t n_labels;
} VmafxSubmission;

/** What a node can take. */
typedef struct VmafxCapacity {
    const char *node;
    uint32_t slots;          /* free ones; at most that many leases */
    int64_t memory_free_mib; /* each lease's need is taken off */
} VmafxCapacity;

/** A result to keep with the end of an attempt: opaque bytes. */
typedef struct VmafxStoreBlob {
    const void *data;
    size_t len; /* at most VMAFX_STORE_RESULT_MAX */
} VmafxStoreBlob;

typedef enum VmafxStoreOpKind {
    VMAFX_STORE_SUBMIT = 1, /* submissions → for each: err, job, existed */
    VMAFX_STORE_LEASE,      /* capacity → up to `slots` jobs, in the order of work, leased; their specs */
    VMAFX_STORE_RENEW,      /* node, held → for each: VMAFX_OK or VMAFX_ERR_LEASE_LOST */
    VMAFX_STORE_END,        /* job, report, result → the job; VMAFX_ERR_LEASE_LOST, VMAFX_ERR_NOT_FOUND */
    VMAFX_STORE_CANCEL, /* job, reason → the job; VMAFX_ERR_STATE when it ended otherwise; a cancelled one is OK */
    /**
     * limit → those that were due, at most limit of them. As of the time at which it was handed over: a renewal that
     * waits behind it, because the disk is slow, is not late. When a group could not be written since the last grace,
     * renewals among it, what runs is given one first (vmafx_job_grace, no jump).
     */
    VMAFX_STORE_EXPIRE,
    VMAFX_STORE_GRACE,  /* no lease ends for one term from now: after a start or a stall → how many run */
    VMAFX_STORE_DELETE, /* job → gone; VMAFX_ERR_STATE while it has not ended; one that breaks a rule goes, too */
    VMAFX_STORE_RETAIN, /* age, count, limit → ended jobs beyond either are deleted; how many */
} VmafxStoreOpKind;

/** One answer of an operation. */
typedef struct VmafxStoreItem {
    VmafxErr err;
    bool existed; /* SUBMIT: the job was there already */
    VmafxJob job; /* the row afterwards, where there is one; with an error, the row as it is */
    void *spec;   /* LEASE */
    size_t spec_len;
} VmafxStoreItem;

/**
 * An operation and its answer. The caller sets kind and inputs; inputs are borrowed until done is called (or wait
 * returns), the answer lives in the operation until vmafx_store_op_done. One operation is used once.
 */
typedef struct VmafxStoreOp {
    VmafxStoreOpKind kind;

    const VmafxSubmission *submissions; /* SUBMIT: 1 … 1000 */
    size_t n_submissions;
    VmafxCapacity capacity; /* LEASE */
    const uint8_t *random;  /* LEASE: 8 bytes for each slot, span ids of the attempts; SUBMIT: none */
    const char *node;       /* RENEW */
    const VmafxAttemptRef *held;
    size_t n_held;
    VmafxJobId job;            /* END, CANCEL, DELETE */
    VmafxAttemptReport report; /* END */
    VmafxStoreBlob result;     /* END; data NULL: none, and there is one exactly if the report says so. Kept when the
                                  job ends with it, dropped when it is tried again */
    const char *reason;        /* CANCEL */
    int64_t age_us;            /* RETAIN; 0: any age */
    uint64_t count;            /* RETAIN; 0: any number */
    uint32_t limit;            /* EXPIRE, RETAIN: 1 … 10 000 */

    VmafxErr err;     /* of the operation as a whole; then nothing of it was changed */
    VmafxErrInfo why; /* a sentence where the table's is not enough: what, where, what to do; else "" */
    VmafxStoreItem *items;
    size_t n_items;
    uint64_t n_done; /* EXPIRE, RETAIN */

    void (*done)(struct VmafxStoreOp *op); /* NULL with vmafx_store_wait */
    void *ctx;

    VmafxWall handed_over; /* EXPIRE; this and the rest is the store's */
    struct VmafxStoreOp *next;
    struct VmafxContext *context;
} VmafxStoreOp;

/**
 * Hands it over; done is called in any case, from here when it is refused (VMAFX_ERR_LIMIT, VMAFX_ERR_STOPPED;
 * VMAFX_ERR_INVALID: an input is outside its range). This thread's current span is the parent of the database's.
 */
void vmafx_store_submit_op(VmafxStore *store, VmafxStoreOp *op);
/** Hands it over and waits; never from the writer's thread. @return op->err */
VMAFX_CHECK VmafxErr vmafx_store_wait(VmafxStore *store, VmafxStoreOp *op);
/** Frees the answer. */
void vmafx_store_op_done(VmafxStoreOp *op);

/* ---- Reads ---- */

typedef struct VmafxStoredJob {
    VmafxJob job;
    void *spec;
    size_t spec_len;
} VmafxStoredJob;
void vmafx_stored_job_done(VmafxStoredJob *job);

/** VMAFX_ERR_NOT_FOUND */
VMAFX_CHECK VmafxErr vmafx_store_get(VmafxStore *store, const VmafxJobId *id, VmafxStoredJob *ret);

typedef struct VmafxStoreFilter {
    unsigned states;               /* bits 1 << VmafxJobState; 0: all */
    const char *submitter;         /* NULL: all */
    const VmafxStoreLabel *labels; /* all of them */
    size_t n_labels;
    VmafxWall created_from, created_before; /* 0: open. Sought by the ids' times, whatever lies before or behind */
    VmafxJobId
        before;     /* only those made before this one; zero: from the newest. The page's last id gives the next page */
    uint32_t limit; /* 1 … 1000 */
} VmafxStoreFilter;

typedef struct VmafxStoredJobs {
    VmafxStoredJob *items;
    size_t n;
    bool more;
} VmafxStoredJobs;
void vmafx_stored_jobs_done(VmafxStoredJobs *jobs);
/** Newest first. */
VMAFX_CHECK VmafxErr vmafx_store_list(VmafxStore *store, const VmafxStoreFilter *filter, VmafxStoredJobs *ret);

typedef struct VmafxStoredEvents {
    VmafxEvent *items;
    size_t n;
} VmafxStoredEvents;
void vmafx_stored_events_done(VmafxStoredEvents *events);
/** Events of a job (NULL: of all) after a sequence number, in order, at most limit (1 … VMAFX_STORE_PAGE_MAX). */
VMAFX_CHECK VmafxErr vmafx_store_events(VmafxStore *store, const VmafxJobId *job, int64_t after, uint32_t limit,
                                        VmafxStoredEvents *ret);
/**
 * Waits until there is an event after `after`, from whichever controller, or until timeout_ms have passed.
 * @return VMAFX_OK with the newest sequence number (it may equal `after`: the time is up); VMAFX_ERR_STOPPED
 */
VMAFX_CHECK VmafxErr vmafx_store_wait_events(VmafxStore *store, int64_t after, uint32_t timeout_ms,
                                             int64_t *ret_newest);

/** The bytes of a result; release with free(). VMAFX_ERR_NOT_FOUND; VMAFX_ERR_CORRUPT: the digest differs */
VMAFX_CHECK VmafxErr vmafx_store_result(VmafxStore *store, const VmafxJobId *id, void **ret_data, size_t *ret_len);

/** What a node holds now, for a node that comes back. */
VMAFX_CHECK VmafxErr vmafx_store_held(VmafxStore *store, const char *node, VmafxStoredJobs *ret);

typedef struct VmafxStoreCounts {
    uint64_t queued, running, succeeded, failed, cancelled;
    uint64_t set_aside;      /* rows that break a rule; none of the others counts them */
    VmafxWall oldest_queued; /* start of the longest current stay; 0: none */
    uint64_t bytes;          /* of the database files */
} VmafxStoreCounts;
/** Cheap, whatever the number of jobs. */
VMAFX_CHECK VmafxErr vmafx_store_counts(VmafxStore *store, VmafxStoreCounts *ret);

/**
 * Can it write? For /readyz. A write is tried unless one went well within the last second, and waited for at most two
 * seconds. VMAFX_ERR_IO with a sentence
 */
VMAFX_CHECK VmafxErr vmafx_store_ready(VmafxStore *store, VmafxErrInfo *reterr);
#endif

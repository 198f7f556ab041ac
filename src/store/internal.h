/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * What is behind store.h, for the files of this room.
 *
 *     store.c       open, close, reads, readiness             queue.c   the writer: groups, callbacks, waiters
 *     operations.c  what each operation does to rows          group.c   events, rows set aside, grace for all
 *     clock.c       the store's clock                         telemetry.c  spans and durations
 *     sqlite/       rows on a disk
 *
 * A database is a VmafxStoreBackend: rows, and no knowledge of jobs' rules. Those are fleet's step functions, called by
 * operations.c, which is the same for every database.
 */
#ifndef VMAFX_STORE_INTERNAL_H
#define VMAFX_STORE_INTERNAL_H

#include <pthread.h>

#include "otel/api/context.h"
#include "otel/api/metrics.h"
#include "otel/api/trace.h"
#include "store/store.h"

/** What went wrong in a database: for people, and the database's own code for db.response.status_code. */
typedef struct VmafxStoreFault {
    VmafxErrInfo info;
    char status[24];
} VmafxStoreFault;

/** A job's row and the database's own key of it. */
typedef struct VmafxStoreRow {
    int64_t key;
    const char *wrong; /* with VMAFX_ERR_CORRUPT: the rule that the row breaks, static; then key and job.id are set, as
                          far as they could be read. NULL: the row is sound, or there is none */
    VmafxJob job;
} VmafxStoreRow;

/** What the tables know beside jobs: one row. */
typedef struct VmafxStoreMeta {
    VmafxWall clock;  /* the latest time that was stored */
    int64_t lease_us; /* the rules that the due times of rows were made with */
    /* By how much a job's id was ever older than its row (the id is made before it is handed over), and younger. */
    int64_t id_early_us, id_late_us;
} VmafxStoreMeta;

/**
 * A database. Functions of the first part are called by the writer's thread only (and by open and close), those that
 * touch rows inside begin … commit. Those of the second part: any thread. Every failure fills the fault, but for
 * VMAFX_ERR_NOT_FOUND. A row that is read is checked (vmafx_job_check): VMAFX_ERR_CORRUPT, and see VmafxStoreRow.
 */
typedef struct VmafxStoreBackend {
    const char *system; /* db.system.name */

    VmafxErr (*open)(const char *address, VmafxDurability durability, void **ret, VmafxStoreFault *fault);
    void (*close)(void **db);

    VmafxErr (*begin)(void *db, VmafxStoreFault *fault);
    VmafxErr (*commit)(void *db, VmafxStoreFault *fault);
    void (*rollback)(void *db);
    VmafxErr (*savepoint)(void *db, VmafxStoreFault *fault);
    VmafxErr (*release)(void *db, VmafxStoreFault *fault);
    /** Back to the savepoint, which is then gone. An error: the whole transaction is lost. */
    VmafxErr (*undo)(void *db, VmafxStoreFault *fault);
    bool (*has_changes)(void *db); /* since begin */

    VmafxErr (*meta_get)(void *db, VmafxStoreMeta *ret, VmafxStoreFault *fault);
    VmafxErr (*meta_set)(void *db, const VmafxStoreMeta *meta, VmafxStoreFault *fault);
    VmafxErr (*counts)(void *db, VmafxStoreCounts *ret, VmafxStoreFault *fault); /* without bytes */

    VmafxErr (*load)(void *db, const VmafxJobId *id, VmafxStoreRow *ret, VmafxStoreFault *fault);
    /** VMAFX_ERR_CONFLICT: the id is taken. */
    VmafxErr (*insert)(void *db, const VmafxSubmission *submission, const VmafxJob *job, VmafxWall due,
                       int64_t *ret_key, VmafxStoreFault *fault);
    /** Writes all that a step may change. due: INT64_MAX, never. */
    VmafxErr (*update)(void *db, const VmafxStoreRow *row, VmafxWall due, VmafxStoreFault *fault);
    VmafxErr (*remove)(void *db, int64_t key, VmafxStoreFault *fault);
    VmafxErr (*event_add)(void *db, int64_t key, VmafxEvent *event, VmafxStoreFault *fault); /* sets its sequence */
    /** VMAFX_ERR_NOT_FOUND: it is lost. */
    VmafxErr (*spec_get)(void *db, int64_t key, void **ret, size_t *ret_len, VmafxStoreFault *fault);
    VmafxErr (*result_put)(void *db, int64_t key, const VmafxStoreBlob *blob, VmafxStoreFault *fault);

    /** VMAFX_ERR_NOT_FOUND: the submitter has not used the key. */
    VmafxErr (*key_find)(void *db, const char *submitter, const char *key, VmafxStoreRow *ret, uint8_t ret_sha256[32],
                         VmafxStoreFault *fault);
    VmafxErr (*key_free)(void *db, int64_t key, VmafxStoreFault *fault); /* of this job, if it has one */

    /** A submitter's last turn at a priority, or with "" the virtual turn there; 0 for what is new. See fleet.h. */
    VmafxErr (*turn_get)(void *db, int32_t priority, const char *submitter, int64_t *ret_turn, VmafxStoreFault *fault);
    VmafxErr (*turn_set)(void *db, int32_t priority, const char *submitter, int64_t turn, VmafxStoreFault *fault);
    /** Forgets submitters whose last turn the virtual one has reached: they would be given the same without it. */
    VmafxErr (*turns_prune)(void *db, VmafxStoreFault *fault);
    /** Has the submitter a job queued at this priority that was never leased? */
    VmafxErr (*has_new)(void *db, int32_t priority, const char *submitter, bool *ret, VmafxStoreFault *fault);
    /** Takes a row out of every order, list and count of the live; keeps why. It can still be removed. */
    VmafxErr (*set_aside)(void *db, int64_t key, VmafxWall now, const char *why, VmafxStoreFault *fault);

    /** The first queued job in the order of work that may start now and needs no more than that. VMAFX_ERR_NOT_FOUND */
    VmafxErr (*next_work)(void *db, VmafxWall now, int64_t memory_mib, VmafxStoreRow *ret, VmafxStoreFault *fault);
    /** The row with the earliest due time, when that is not after now. VMAFX_ERR_NOT_FOUND */
    VmafxErr (*next_due)(void *db, VmafxWall now, VmafxStoreRow *ret, VmafxStoreFault *fault);
    /** The running job with the smallest key above `after`. VMAFX_ERR_NOT_FOUND */
    VmafxErr (*next_running)(void *db, int64_t after, VmafxStoreRow *ret, VmafxStoreFault *fault);
    /** Deletes ended jobs, those that ended first before others: at most limit, that ended before a time. */
    VmafxErr (*remove_ended)(void *db, VmafxWall before, uint64_t limit, uint64_t *ret_n, VmafxStoreFault *fault);

    VmafxErr (*get)(void *db, const VmafxJobId *id, VmafxStoredJob *ret, VmafxStoreFault *fault);
    VmafxErr (*list)(void *db, const VmafxStoreFilter *filter, VmafxStoredJobs *ret, VmafxStoreFault *fault);
    VmafxErr (*held)(void *db, const char *node, VmafxStoredJobs *ret, VmafxStoreFault *fault);
    VmafxErr (*events)(void *db, const VmafxJobId *job, int64_t after, uint32_t limit, VmafxStoredEvents *ret,
                       VmafxStoreFault *fault);
    VmafxErr (*newest)(void *db, int64_t *ret, VmafxStoreFault *fault); /* sequence number that was given last */
    VmafxErr (*result)(void *db, const VmafxJobId *id, void **ret, size_t *ret_len, VmafxStoreFault *fault);
    VmafxErr (*read_counts)(void *db, VmafxStoreCounts *ret, VmafxStoreFault *fault);
} VmafxStoreBackend;

extern const VmafxStoreBackend vmafx_store_sqlite;

/* ---- clock.c ---- */

typedef struct VmafxStoreTime {
    VmafxStoreClock source;

    pthread_mutex_t lock; /* covers everything below */
    int64_t offset;       /* the store's time − monotonic */
    int64_t seen;         /* the machine's wall clock − monotonic, at the last reading */
    int64_t read_at;      /* monotonic; up to here the offset was made good */
    bool jumped;          /* not asked for yet */
    int64_t step_us;      /* all steps since then */
    bool ungraced;        /* since the last grace */
    int64_t forward_us;   /* by how much time was skipped since then */
} VmafxStoreTime;

/** source NULL: the machine's clocks. stored: the time it must not fall behind. */
void vmafx_store_time_init(VmafxStoreTime *time, const VmafxStoreClock *source, VmafxWall stored);
void vmafx_store_time_done(VmafxStoreTime *time);
VmafxWall vmafx_store_time_now(VmafxStoreTime *time);
bool vmafx_store_time_jumped(VmafxStoreTime *time, int64_t *ret_step_us);
/** Has it jumped since the last grace, and how far forward? Forgets it. */
bool vmafx_store_time_take_jump(VmafxStoreTime *time, int64_t *ret_forward_us);
void vmafx_store_time_give_jump(VmafxStoreTime *time, int64_t forward_us); /* the grace for it did not reach the disk */

/* ---- group.c ---- */

/** A row that was set aside, and the rule it breaks (static). */
typedef struct VmafxStoreAside {
    VmafxJobId job;
    const char *why;
} VmafxStoreAside;

/** The events of a group and the rows after them; and what it set aside. Zeroed is empty. */
typedef struct VmafxStoreBatch {
    VmafxEvent *events;
    size_t *row_of; /* of each event: index into rows */
    size_t n_events, cap_events;
    VmafxJob *rows;
    size_t n_rows, cap_rows;
    VmafxStoreAside *asides;
    size_t n_asides, cap_asides;
} VmafxStoreBatch;
/** How far a batch has come, to go back to. Zeroed: its beginning. */
typedef struct VmafxStoreMark {
    size_t n_events, n_rows, n_asides;
} VmafxStoreMark;
void vmafx_store_batch_done(VmafxStoreBatch *batch);
/** The events of a step and the row after it. VMAFX_ERR_NOMEM */
VmafxErr vmafx_store_batch_add(VmafxStoreBatch *batch, const VmafxStep *step, const VmafxJob *job);
VmafxStoreMark vmafx_store_batch_mark(const VmafxStoreBatch *batch);
void vmafx_store_batch_cut(VmafxStoreBatch *batch, VmafxStoreMark mark);

/** What a transaction of the writer's knows. */
typedef struct VmafxStoreGroup {
    VmafxWall now;
    VmafxStoreMeta meta;   /* as it will be written before the commit */
    VmafxStoreBatch batch; /* what was done so far */
    bool write;            /* something goes to the disk with the commit */
    bool graced;           /* all that runs was given a grace, and nothing has failed since */
} VmafxStoreGroup;

/** Was a row met that breaks a rule? */
bool vmafx_store_is_broken(VmafxErr err, const VmafxStoreRow *row);
/** Takes it out of everybody's way, in a transaction of the caller's. why: static */
VmafxErr vmafx_store_set_aside(VmafxStore *store, VmafxStoreGroup *group, const VmafxStoreRow *row, const char *why,
                               VmafxStoreFault *fault);
/** Gives every running attempt a grace. In a transaction of the caller's. */
VmafxErr vmafx_store_grace(VmafxStore *store, VmafxStoreGroup *group, int64_t forward_us, uint64_t *ret_n,
                           VmafxStoreFault *fault);
/** After opening: due times made under other rules are made again. In a transaction of the caller's, who has read meta.
 */
VmafxErr vmafx_store_rules_apply(VmafxStore *store, VmafxStoreGroup *group, VmafxStoreFault *fault);

/** Makes an array of *cap elements, which `array` points to, hold `need`. false: no memory, nothing has changed. */
bool vmafx_store_grow(void *array, size_t *cap, size_t size, size_t need);

/* ---- operations.c ---- */

/** VMAFX_OK, or VMAFX_ERR_INVALID and op->why: an input is outside its range. Any thread. */
VmafxErr vmafx_store_op_check(VmafxStoreOp *op);
/** How much an operation does, in rows. */
size_t vmafx_store_op_weight(const VmafxStoreOp *op);
/**
 * Does it, inside a savepoint of the caller's, who undoes it on an error. The operation then has its answer
 * nevertheless (END, CANCEL, DELETE: the row as it is). Errors of the database fill the fault.
 */
VmafxErr vmafx_store_op_run(VmafxStore *store, VmafxStoreOp *op, VmafxStoreGroup *group, VmafxStoreFault *fault);

/* ---- telemetry.c ---- */

/** What is counted and traced: an operation of store.h, or a group of them. */
typedef enum VmafxStoreCall {
    VMAFX_STORE_CALL_SUBMIT = VMAFX_STORE_SUBMIT, /* the writer's are those of VmafxStoreOpKind */
    VMAFX_STORE_CALL_PROBE = VMAFX_STORE_RETAIN + 1,
    VMAFX_STORE_CALL_MIXED,
    VMAFX_STORE_CALL_GET,
    VMAFX_STORE_CALL_LIST,
    VMAFX_STORE_CALL_EVENTS,
    VMAFX_STORE_CALL_RESULT,
    VMAFX_STORE_CALL_HELD,
    VMAFX_STORE_CALL_COUNTS,
    VMAFX_STORE_CALLS
} VmafxStoreCall;

typedef struct VmafxStoreTrace {
    VmafxSpan *span; /* NULL: nobody's */
    VmafxStoreCall call;
    uint64_t started_ns; /* monotonic */
    bool batch;
    const VmafxStore *store;
} VmafxStoreTrace;

/** Looks tracer and instrument up. */
void vmafx_store_trace_init(VmafxStore *store);

/** A read: a span under this thread's current one, none when there is none. */
VmafxStoreTrace vmafx_store_trace_read(const VmafxStore *store, VmafxStoreCall call);
/** A group: a span under the first operation's context that has one; the others' are links. */
VmafxStoreTrace vmafx_store_trace_group(const VmafxStore *store, const VmafxStoreOp *ops, size_t n);
/** fault's status counts when err is the database's. */
void vmafx_store_trace_end(VmafxStoreTrace *trace, VmafxErr err, const VmafxStoreFault *fault);

/* ---- queue.c ---- */

/** The readiness probe, an operation of the store's own. */
#define VMAFX_STORE_PROBE ((VmafxStoreOpKind)VMAFX_STORE_CALL_PROBE)

struct VmafxStore {
    const VmafxStoreBackend *backend;
    void *db;
    VmafxFleetRules rules;
    uint32_t pending_max;
    uint64_t queued_max;
    void (*on_events)(void *ctx, const VmafxEvent *events, const VmafxJob *const *jobs, size_t n);
    void *on_events_ctx;
    void (*on_set_aside)(void *ctx, const VmafxJobId *job, const char *why);
    void *on_set_aside_ctx;
    VmafxStoreTime time;
    VmafxTracer *tracer;
    VmafxHistogram *durations;
    pthread_t writer;
    VmafxStoreGroup group; /* the writer's */
    bool failed;           /* the writer's: renewals may have failed since the last grace; no lease ends before one */

    pthread_mutex_t lock; /* covers everything below; never held while calling out */
    pthread_cond_t work;  /* an operation waits, or stop */
    pthread_cond_t news;  /* newest has grown, a probe has ended, or stop; CLOCK_MONOTONIC */
    VmafxStoreOp *head, *tail;
    uint32_t n_pending; /* handed over, not answered */
    bool stopping;
    int64_t newest; /* sequence number of the last event on disk */
    bool probing;
    uint64_t wrote_ns; /* monotonic: when a commit last went well; 0: the last one failed, or none yet */
    VmafxErr probe_err;
    VmafxErrInfo probe_why;
    VmafxStoreOp probe;
};

/** Starts the writer. @return VMAFX_ERR_NOMEM */
VmafxErr vmafx_store_queue_start(VmafxStore *store);
/** After a commit: tells of the rows that the group set aside. */
void vmafx_store_tell_asides(VmafxStore *store);
/** Lets it finish and joins it. */
void vmafx_store_queue_end(VmafxStore *store);
#endif

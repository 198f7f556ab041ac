/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * SQLite behind the store, for the files of this folder:
 *
 *     open.c     file, lock, connections, statements, errors       schema.c  tables, migrations
 *     rows.c     a job and an event as columns                     write.c   what the writer does
 *     read.c     what readers do                                   backend.c the table of all that
 *
 * One connection writes and belongs to the writer's thread; a few more read, each by one thread at a time. A lock on a
 * file beside the database keeps a second process from writing, for as long as the database is open.
 */
#ifndef VMAFX_STORE_SQLITE_SQLITE_H
#define VMAFX_STORE_SQLITE_SQLITE_H

#include <sqlite3.h>

#include "base/base.h"
#include "base/digest.h"
#include "store/internal.h"

#define VMAFX_SQLITE_READERS 4

/** Statements that are kept prepared; each has its text where it is used. */
typedef enum VmafxSqliteStmt {
    STMT_BEGIN,
    STMT_COMMIT,
    STMT_SAVEPOINT,
    STMT_RELEASE,
    STMT_UNDO,
    STMT_ROLLBACK,
    STMT_META_GET,
    STMT_META_SET,
    STMT_COUNTS,
    STMT_LOAD,
    STMT_INSERT_JOB,
    STMT_INSERT_SPEC,
    STMT_INSERT_KEY,
    STMT_INSERT_LABEL,
    STMT_UPDATE,
    STMT_REMOVE,
    STMT_EVENT_ADD,
    STMT_SPEC_GET,
    STMT_RESULT_PUT,
    STMT_KEY_FIND,
    STMT_KEY_FREE,
    STMT_TURN_GET,
    STMT_TURN_SET,
    STMT_TURNS_PRUNE,
    STMT_HAS_NEW,
    STMT_ASIDE_ADD,
    STMT_ASIDE_MOVE,
    STMT_READY,
    STMT_NEXT_WORK,
    STMT_NEXT_DUE,
    STMT_NEXT_RUNNING,
    STMT_REMOVE_ENDED,
    STMT_ID_RANGE,
    STMT_GET,
    STMT_HELD,
    STMT_EVENTS_OF,
    STMT_EVENTS_ALL,
    STMT_NEWEST,
    STMT_RESULT,
    STMT_READ_COUNTS,
    STMTS
} VmafxSqliteStmt;

typedef struct VmafxSqliteConn {
    sqlite3 *db; /* NULL: not opened */
    sqlite3_stmt *stmts[STMTS];
    bool busy;
} VmafxSqliteConn;

typedef struct VmafxSqlite {
    char *path;
    int lock_fd;
    VmafxSqliteConn writer;
    int changes_before; /* sqlite3_total_changes at begin */

    pthread_mutex_t lock; /* covers everything below */
    pthread_cond_t freed;
    VmafxSqliteConn readers[VMAFX_SQLITE_READERS];
} VmafxSqlite;

/* ---- open.c ---- */

VmafxErr vmafx_sqlite_open(const char *path, VmafxDurability durability, void **ret, VmafxStoreFault *fault);
void vmafx_sqlite_close(void **db);

/** Waits for a reader; opens it at its first use. Give it back. */
VmafxErr vmafx_sqlite_reader_take(VmafxSqlite *s, VmafxSqliteConn **ret, VmafxStoreFault *fault);
void vmafx_sqlite_reader_give(VmafxSqlite *s, VmafxSqliteConn *conn);

/** A statement to bind and step. Its text must be the same each time. NULL: err is in *reterr. vmafx_sqlite_reset it.
 */
sqlite3_stmt *vmafx_sqlite_stmt(VmafxSqliteConn *conn, VmafxSqliteStmt which, const char *sql, VmafxErr *reterr,
                                VmafxStoreFault *fault);
void vmafx_sqlite_reset(sqlite3_stmt **stmt);

/** Our error for SQLite's, and a sentence about the database's file. SQLITE_OK, ROW and DONE give VMAFX_OK. */
VmafxErr vmafx_sqlite_error(sqlite3 *db, int rc, VmafxStoreFault *fault);
/** Steps to the end. VMAFX_OK, or the error. */
VmafxErr vmafx_sqlite_run(sqlite3_stmt *stmt, VmafxStoreFault *fault);
/** Steps once. VMAFX_ERR_NOT_FOUND: no (more) row. */
VmafxErr vmafx_sqlite_row(sqlite3_stmt *stmt, VmafxStoreFault *fault);
/** "the store is damaged: …" */
VmafxErr vmafx_sqlite_corrupt(sqlite3 *db, VmafxStoreFault *fault, const char *what);

/* ---- schema.c ---- */

extern const char *const vmafx_sqlite_schema[]; /* the steps from each version to the next */
extern const size_t vmafx_sqlite_schema_steps;

/**
 * Refuses what is not ours or newer, then brings it from its version to n_steps, in one transaction.
 * @return VMAFX_ERR_UNSUPPORTED, or SQLite's
 */
VmafxErr vmafx_sqlite_schema_check(sqlite3 *db, size_t n_steps, VmafxStoreFault *fault);
VmafxErr vmafx_sqlite_migrate(sqlite3 *db, const char *const *steps, size_t n_steps, VmafxStoreFault *fault);

/* ---- rows.c ---- */

/** Columns of table job (as j), as vmafx_sqlite_read_job wants them, and how many. */
#define JOB_COLUMNS                                                                                                    \
    "j.n, j.id, j.state, j.failure, j.priority, j.turn, j.created, j.started, j.ended, j.deadline, j.timeout_us,"      \
    " j.attempt_limit, j.memory, j.complete, j.has_result, j.has_score, j.score, j.retry_of, j.submitter, j.message,"  \
    " j.trace_id, j.parent_span_id, j.job_span_id, j.trace_flags, j.trace_state, j.attempt, j.failures,"               \
    " j.queued_since, j.not_before, j.node, j.lease_until, j.leased_at, j.paused_us, j.span_id, j.previous_span_id"
#define VMAFX_SQLITE_JOB_COLUMNS 35
/** Reads n and a job, from the first column on, and checks it. VMAFX_ERR_CORRUPT, with ret->wrong */
VmafxErr vmafx_sqlite_read_job(sqlite3_stmt *stmt, VmafxStoreRow *ret, VmafxStoreFault *fault);
/** Columns of table event (as e), and job.id (of j). */
#define EVENT_COLUMNS                                                                                                  \
    "e.sequence, j.id, e.time, e.kind, e.state, e.attempt, e.outcome, e.failure, e.since, e.not_before, e.span_id,"    \
    " e.previous_span_id, e.node, e.message"
VmafxErr vmafx_sqlite_read_event(sqlite3_stmt *stmt, VmafxEvent *ret, VmafxStoreFault *fault);
/** A blob in fresh memory, with a zero byte behind it. */
VmafxErr vmafx_sqlite_read_blob(sqlite3_stmt *stmt, int column, void **ret, size_t *ret_len);

void vmafx_sqlite_bind_id(sqlite3_stmt *stmt, int at, const VmafxJobId *id);
void vmafx_sqlite_bind_text(sqlite3_stmt *stmt, int at, const char *text);
void vmafx_sqlite_bind_bytes(sqlite3_stmt *stmt, int at, const void *data, size_t len);
/** What a step may change, for UPDATE … SET; bind_state binds from ?1 on and returns the next free number. */
#define STATE_SET                                                                                                      \
    "state = ?1, failure = ?2, started = ?3, ended = ?4, complete = ?5, has_result = ?6, has_score = ?7, score = ?8,"  \
    " message = ?9, attempt = ?10, failures = ?11, queued_since = ?12, not_before = ?13, node = ?14,"                  \
    " lease_until = ?15, leased_at = ?16, paused_us = ?17, span_id = ?18, previous_span_id = ?19, ready = ?13 = 0, "   \
    "due = ?20"
int vmafx_sqlite_bind_state(sqlite3_stmt *stmt, const VmafxJob *job, VmafxWall due);

/* ---- write.c, read.c: the functions of VmafxStoreBackend ---- */

VmafxErr vmafx_sqlite_begin(void *db, VmafxStoreFault *fault);
VmafxErr vmafx_sqlite_commit(void *db, VmafxStoreFault *fault);
void vmafx_sqlite_rollback(void *db);
VmafxErr vmafx_sqlite_savepoint(void *db, VmafxStoreFault *fault);
VmafxErr vmafx_sqlite_release(void *db, VmafxStoreFault *fault);
VmafxErr vmafx_sqlite_undo(void *db, VmafxStoreFault *fault);
bool vmafx_sqlite_has_changes(void *db);
VmafxErr vmafx_sqlite_meta_get(void *db, VmafxStoreMeta *ret, VmafxStoreFault *fault);
VmafxErr vmafx_sqlite_meta_set(void *db, const VmafxStoreMeta *meta, VmafxStoreFault *fault);
VmafxErr vmafx_sqlite_counts(void *db, VmafxStoreCounts *ret, VmafxStoreFault *fault);
VmafxErr vmafx_sqlite_load(void *db, const VmafxJobId *id, VmafxStoreRow *ret, VmafxStoreFault *fault);
VmafxErr vmafx_sqlite_insert(void *db, const VmafxSubmission *submission, const VmafxJob *job, VmafxWall due,
                             int64_t *ret_key, VmafxStoreFault *fault);
VmafxErr vmafx_sqlite_update(void *db, const VmafxStoreRow *row, VmafxWall due, VmafxStoreFault *fault);
VmafxErr vmafx_sqlite_remove(void *db, int64_t key, VmafxStoreFault *fault);
VmafxErr vmafx_sqlite_event_add(void *db, int64_t key, VmafxEvent *event, VmafxStoreFault *fault);
VmafxErr vmafx_sqlite_spec_get(void *db, int64_t key, void **ret, size_t *ret_len, VmafxStoreFault *fault);
VmafxErr vmafx_sqlite_result_put(void *db, int64_t key, const VmafxStoreBlob *blob, VmafxStoreFault *fault);
VmafxErr vmafx_sqlite_key_find(void *db, const char *submitter, const char *key, VmafxStoreRow *ret,
                               uint8_t ret_sha256[32], VmafxStoreFault *fault);
VmafxErr vmafx_sqlite_key_free(void *db, int64_t key, VmafxStoreFault *fault);
VmafxErr vmafx_sqlite_turn_get(void *db, int32_t priority, const char *submitter, int64_t *ret_turn,
                               VmafxStoreFault *fault);
VmafxErr vmafx_sqlite_turn_set(void *db, int32_t priority, const char *submitter, int64_t turn, VmafxStoreFault *fault);
VmafxErr vmafx_sqlite_turns_prune(void *db, VmafxStoreFault *fault);
VmafxErr vmafx_sqlite_has_new(void *db, int32_t priority, const char *submitter, bool *ret, VmafxStoreFault *fault);
VmafxErr vmafx_sqlite_set_aside(void *db, int64_t key, VmafxWall now, const char *why, VmafxStoreFault *fault);
VmafxErr vmafx_sqlite_next_work(void *db, VmafxWall now, int64_t memory_mib, VmafxStoreRow *ret,
                                VmafxStoreFault *fault);
VmafxErr vmafx_sqlite_next_due(void *db, VmafxWall now, VmafxStoreRow *ret, VmafxStoreFault *fault);
VmafxErr vmafx_sqlite_next_running(void *db, int64_t after, VmafxStoreRow *ret, VmafxStoreFault *fault);
VmafxErr vmafx_sqlite_remove_ended(void *db, VmafxWall before, uint64_t limit, uint64_t *ret_n, VmafxStoreFault *fault);

VmafxErr vmafx_sqlite_get(void *db, const VmafxJobId *id, VmafxStoredJob *ret, VmafxStoreFault *fault);
VmafxErr vmafx_sqlite_list(void *db, const VmafxStoreFilter *filter, VmafxStoredJobs *ret, VmafxStoreFault *fault);
/** The statement of a list, ready to be stepped; the caller finalizes it, before the filter goes. */
VmafxErr vmafx_sqlite_list_prepare(VmafxSqliteConn *conn, const VmafxStoreFilter *filter, sqlite3_stmt **ret,
                                   VmafxStoreFault *fault);
VmafxErr vmafx_sqlite_held(void *db, const char *node, VmafxStoredJobs *ret, VmafxStoreFault *fault);
VmafxErr vmafx_sqlite_events(void *db, const VmafxJobId *job, int64_t after, uint32_t limit, VmafxStoredEvents *ret,
                             VmafxStoreFault *fault);
VmafxErr vmafx_sqlite_newest(void *db, int64_t *ret, VmafxStoreFault *fault);
VmafxErr vmafx_sqlite_result(void *db, const VmafxJobId *id, void **ret, size_t *ret_len, VmafxStoreFault *fault);
VmafxErr vmafx_sqlite_read_counts(void *db, VmafxStoreCounts *ret, VmafxStoreFault *fault);
#endif

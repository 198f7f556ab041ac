/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What the writer does: its transaction, and rows in it. */

#include "store/sqlite/sqlite.h"

#include <string.h>

/* A statement of the writer, reset at the end of the scope; the function returns where there is none. */
#define STMT(name, which, sql)                                                                                         \
    VmafxSqlite *s = db;                                                                                               \
    VmafxErr err = VMAFX_OK;                                                                                           \
    VMAFX_AUTO(vmafx_sqlite_reset)                                                                                     \
    sqlite3_stmt *name = vmafx_sqlite_stmt(&s->writer, which, sql, &err, fault);                                       \
    if (!name)                                                                                                         \
    return err

#define SELECT_JOB "SELECT " JOB_COLUMNS " FROM job AS j "

/* ---- the transaction ---- */

VmafxErr vmafx_sqlite_begin(void *db, VmafxStoreFault *fault)
{
    STMT(stmt, STMT_BEGIN, "BEGIN IMMEDIATE");
    err = vmafx_sqlite_run(stmt, fault);
    s->changes_before = sqlite3_total_changes(s->writer.db);
    return err;
}

VmafxErr vmafx_sqlite_commit(void *db, VmafxStoreFault *fault)
{
    STMT(stmt, STMT_COMMIT, "COMMIT");
    return vmafx_sqlite_run(stmt, fault);
}

void vmafx_sqlite_rollback(void *db)
{
    VmafxSqlite *s = db;

    if (!sqlite3_get_autocommit(s->writer.db)) { /* some errors have rolled back already */
        sqlite3_step(s->writer.stmts[STMT_ROLLBACK]);
        sqlite3_reset(s->writer.stmts[STMT_ROLLBACK]);
    }
    /* On a full disk it may be the log that cannot grow: once it is in the database it begins anew. */
    sqlite3_wal_checkpoint_v2(s->writer.db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
}

VmafxErr vmafx_sqlite_savepoint(void *db, VmafxStoreFault *fault)
{
    STMT(stmt, STMT_SAVEPOINT, "SAVEPOINT op");
    return vmafx_sqlite_run(stmt, fault);
}

VmafxErr vmafx_sqlite_release(void *db, VmafxStoreFault *fault)
{
    STMT(stmt, STMT_RELEASE, "RELEASE op");
    return vmafx_sqlite_run(stmt, fault);
}

VmafxErr vmafx_sqlite_undo(void *db, VmafxStoreFault *fault)
{
    STMT(stmt, STMT_UNDO, "ROLLBACK TO op");
    err = vmafx_sqlite_run(stmt, fault);
    return err ? err : vmafx_sqlite_release(db, fault);
}

bool vmafx_sqlite_has_changes(void *db)
{
    VmafxSqlite *s = db;

    return sqlite3_total_changes(s->writer.db) != s->changes_before;
}

/* ---- what the tables know beside jobs ---- */

VmafxErr vmafx_sqlite_meta_get(void *db, VmafxStoreMeta *ret, VmafxStoreFault *fault)
{
    STMT(stmt, STMT_META_GET, "SELECT clock, lease_us, id_early_us, id_late_us FROM store WHERE one = 1");
    err = vmafx_sqlite_row(stmt, fault);
    if (err == VMAFX_ERR_NOT_FOUND)
        return vmafx_sqlite_corrupt(s->writer.db, fault, "its table 'store' is empty");
    if (!err)
        *ret = (VmafxStoreMeta){ sqlite3_column_int64(stmt, 0), sqlite3_column_int64(stmt, 1),
                                 sqlite3_column_int64(stmt, 2), sqlite3_column_int64(stmt, 3) };
    return err;
}

VmafxErr vmafx_sqlite_meta_set(void *db, const VmafxStoreMeta *meta, VmafxStoreFault *fault)
{
    STMT(stmt, STMT_META_SET,
         "UPDATE store SET clock = ?1, lease_us = ?2, id_early_us = ?3, id_late_us = ?4 WHERE one = 1");
    sqlite3_bind_int64(stmt, 1, meta->clock);
    sqlite3_bind_int64(stmt, 2, meta->lease_us);
    sqlite3_bind_int64(stmt, 3, meta->id_early_us);
    sqlite3_bind_int64(stmt, 4, meta->id_late_us);
    return vmafx_sqlite_run(stmt, fault);
}

VmafxErr vmafx_sqlite_counts(void *db, VmafxStoreCounts *ret, VmafxStoreFault *fault)
{
    VmafxStoreCounts counts = { 0 };
    uint64_t *const of[] = { &counts.set_aside, &counts.queued, &counts.running,
                             &counts.succeeded, &counts.failed, &counts.cancelled };

    STMT(stmt, STMT_COUNTS, "SELECT state, n FROM count");
    while (!(err = vmafx_sqlite_row(stmt, fault))) {
        int64_t state = sqlite3_column_int64(stmt, 0);

        if (state >= 0 && state < (int64_t)VMAFX_LEN(of))
            *of[state] = (uint64_t)sqlite3_column_int64(stmt, 1);
    }
    if (err != VMAFX_ERR_NOT_FOUND)
        return err;
    *ret = counts;
    return VMAFX_OK;
}

/* ---- jobs ---- */

static VmafxErr one_job(sqlite3_stmt *stmt, VmafxStoreRow *ret, VmafxStoreFault *fault)
{
    VmafxErr err = vmafx_sqlite_row(stmt, fault);

    if (err)
        ret->wrong = NULL;
    return err ? err : vmafx_sqlite_read_job(stmt, ret, fault);
}

VmafxErr vmafx_sqlite_load(void *db, const VmafxJobId *id, VmafxStoreRow *ret, VmafxStoreFault *fault)
{
    STMT(stmt, STMT_LOAD, SELECT_JOB "WHERE j.id = ?1");
    vmafx_sqlite_bind_id(stmt, 1, id);
    return one_job(stmt, ret, fault);
}

static VmafxErr insert_job(void *db, const VmafxJob *job, VmafxWall due, int64_t *ret_key, VmafxStoreFault *fault)
{
    STMT(stmt, STMT_INSERT_JOB,
         "INSERT INTO job (state, failure, started, ended, complete, has_result, has_score, score, message, attempt,"
         " failures, queued_since, not_before, node, lease_until, leased_at, paused_us, span_id, previous_span_id, "
         "ready, due,"
         " id, priority, turn, created, deadline, timeout_us, attempt_limit, memory, retry_of, submitter, trace_id,"
         " parent_span_id, job_span_id, trace_flags, trace_state) VALUES ("
         " ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?13 = 0,"
         " ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27, ?28, ?29, ?30, ?31, ?32, ?33, ?34, ?35"
         ") ON CONFLICT (id) DO NOTHING");
    int at = vmafx_sqlite_bind_state(stmt, job, due);
    vmafx_sqlite_bind_id(stmt, at++, &job->id);
    sqlite3_bind_int(stmt, at++, job->priority);
    sqlite3_bind_int64(stmt, at++, job->turn);
    sqlite3_bind_int64(stmt, at++, job->created);
    sqlite3_bind_int64(stmt, at++, job->deadline ? job->deadline : INT64_MAX);
    sqlite3_bind_int64(stmt, at++, job->timeout_us);
    sqlite3_bind_int(stmt, at++, job->attempt_limit);
    sqlite3_bind_int(stmt, at++, job->need_memory_mib);
    if (!vmafx_job_id_is_zero(&job->retry_of))
        vmafx_sqlite_bind_id(stmt, at, &job->retry_of);
    at++;
    vmafx_sqlite_bind_text(stmt, at++, job->submitter);
    vmafx_sqlite_bind_bytes(stmt, at++, job->trace.trace_id, sizeof job->trace.trace_id);
    vmafx_sqlite_bind_bytes(stmt, at++, job->trace.parent_span_id, sizeof job->trace.parent_span_id);
    vmafx_sqlite_bind_bytes(stmt, at++, job->trace.job_span_id, sizeof job->trace.job_span_id);
    sqlite3_bind_int(stmt, at++, job->trace.flags);
    vmafx_sqlite_bind_text(stmt, at, job->trace.state);
    err = vmafx_sqlite_run(stmt, fault);
    if (!err && sqlite3_changes(s->writer.db) == 0)
        return VMAFX_ERR_CONFLICT;
    if (!err)
        *ret_key = sqlite3_last_insert_rowid(s->writer.db);
    return err;
}

static VmafxErr insert_spec(void *db, int64_t key, const VmafxSubmission *submission, VmafxStoreFault *fault)
{
    STMT(stmt, STMT_INSERT_SPEC, "INSERT INTO spec VALUES (?1, ?2)");
    sqlite3_bind_int64(stmt, 1, key);
    vmafx_sqlite_bind_bytes(stmt, 2, submission->spec, submission->spec_len);
    return vmafx_sqlite_run(stmt, fault);
}

static VmafxErr insert_key(void *db, int64_t key, const VmafxSubmission *submission, VmafxStoreFault *fault)
{
    STMT(stmt, STMT_INSERT_KEY, "INSERT INTO idempotency VALUES (?1, ?2, ?3, ?4)");
    vmafx_sqlite_bind_text(stmt, 1, submission->job.submitter);
    vmafx_sqlite_bind_text(stmt, 2, submission->idempotency_key);
    vmafx_sqlite_bind_bytes(stmt, 3, submission->spec_sha256, sizeof submission->spec_sha256);
    sqlite3_bind_int64(stmt, 4, key);
    return vmafx_sqlite_run(stmt, fault);
}

static VmafxErr insert_label(void *db, int64_t key, const VmafxJobId *id, const VmafxStoreLabel *label,
                             VmafxStoreFault *fault)
{
    STMT(stmt, STMT_INSERT_LABEL, "INSERT INTO label VALUES (?1, ?2, ?3, ?4)");
    vmafx_sqlite_bind_text(stmt, 1, label->key);
    vmafx_sqlite_bind_text(stmt, 2, label->value);
    vmafx_sqlite_bind_id(stmt, 3, id);
    sqlite3_bind_int64(stmt, 4, key);
    return vmafx_sqlite_run(stmt, fault);
}

VmafxErr vmafx_sqlite_insert(void *db, const VmafxSubmission *submission, const VmafxJob *job, VmafxWall due,
                             int64_t *ret_key, VmafxStoreFault *fault)
{
    VmafxErr err = insert_job(db, job, due, ret_key, fault);

    if (!err)
        err = insert_spec(db, *ret_key, submission, fault);
    if (!err && submission->idempotency_key)
        err = insert_key(db, *ret_key, submission, fault);
    for (size_t i = 0; !err && i < submission->n_labels; i++)
        err = insert_label(db, *ret_key, &job->id, &submission->labels[i], fault);
    return err;
}

VmafxErr vmafx_sqlite_update(void *db, const VmafxStoreRow *row, VmafxWall due, VmafxStoreFault *fault)
{
    STMT(stmt, STMT_UPDATE, "UPDATE job SET " STATE_SET " WHERE n = ?21");
    sqlite3_bind_int64(stmt, vmafx_sqlite_bind_state(stmt, &row->job, due), row->key);
    return vmafx_sqlite_run(stmt, fault);
}

VmafxErr vmafx_sqlite_remove(void *db, int64_t key, VmafxStoreFault *fault)
{
    STMT(stmt, STMT_REMOVE, "DELETE FROM job WHERE n = ?1");
    sqlite3_bind_int64(stmt, 1, key);
    return vmafx_sqlite_run(stmt, fault);
}

VmafxErr vmafx_sqlite_event_add(void *db, int64_t key, VmafxEvent *event, VmafxStoreFault *fault)
{
    STMT(stmt, STMT_EVENT_ADD,
         "INSERT INTO event (job, time, kind, state, attempt, outcome, failure, since, not_before, span_id,"
         " previous_span_id, node, message) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)");
    int at = 1;

    sqlite3_bind_int64(stmt, at++, key);
    sqlite3_bind_int64(stmt, at++, event->time);
    sqlite3_bind_int(stmt, at++, (int)event->kind);
    sqlite3_bind_int(stmt, at++, (int)event->state);
    sqlite3_bind_int(stmt, at++, event->attempt);
    sqlite3_bind_int(stmt, at++, (int)event->outcome);
    sqlite3_bind_int(stmt, at++, (int)event->failure);
    sqlite3_bind_int64(stmt, at++, event->since);
    sqlite3_bind_int64(stmt, at++, event->not_before);
    vmafx_sqlite_bind_bytes(stmt, at++, event->span_id, sizeof event->span_id);
    vmafx_sqlite_bind_bytes(stmt, at++, event->previous_span_id, sizeof event->previous_span_id);
    vmafx_sqlite_bind_text(stmt, at++, event->node);
    vmafx_sqlite_bind_text(stmt, at, event->message);
    err = vmafx_sqlite_run(stmt, fault);
    event->sequence = sqlite3_last_insert_rowid(s->writer.db);
    return err;
}

VmafxErr vmafx_sqlite_spec_get(void *db, int64_t key, void **ret, size_t *ret_len, VmafxStoreFault *fault)
{
    STMT(stmt, STMT_SPEC_GET, "SELECT data FROM spec WHERE job = ?1");
    sqlite3_bind_int64(stmt, 1, key);
    err = vmafx_sqlite_row(stmt, fault);
    return err ? err : vmafx_sqlite_read_blob(stmt, 0, ret, ret_len);
}

VmafxErr vmafx_sqlite_result_put(void *db, int64_t key, const VmafxStoreBlob *blob, VmafxStoreFault *fault)
{
    char sha256[VMAFX_SHA256_TEXT];

    STMT(stmt, STMT_RESULT_PUT, "INSERT INTO result VALUES (?1, ?2, ?3)");
    vmafx_sha256_hex(blob->data, blob->len, sha256);
    sqlite3_bind_int64(stmt, 1, key);
    vmafx_sqlite_bind_text(stmt, 2, sha256);
    vmafx_sqlite_bind_bytes(stmt, 3, blob->data, blob->len);
    return vmafx_sqlite_run(stmt, fault);
}

/* ---- keys and turns of submitters ---- */

VmafxErr vmafx_sqlite_key_find(void *db, const char *submitter, const char *key, VmafxStoreRow *ret,
                               uint8_t ret_sha256[32], VmafxStoreFault *fault)
{
    STMT(stmt, STMT_KEY_FIND,
         "SELECT " JOB_COLUMNS ", i.sha256 FROM idempotency AS i JOIN job AS j ON j.n = i.job"
         " WHERE i.submitter = ?1 AND i.key = ?2");
    vmafx_sqlite_bind_text(stmt, 1, submitter);
    vmafx_sqlite_bind_text(stmt, 2, key);
    err = one_job(stmt, ret, fault);
    if (err)
        return err;
    if (sqlite3_column_bytes(stmt, VMAFX_SQLITE_JOB_COLUMNS) != 32)
        return vmafx_sqlite_corrupt(s->writer.db, fault, "the digest of an idempotency key is none");
    memcpy(ret_sha256, sqlite3_column_blob(stmt, VMAFX_SQLITE_JOB_COLUMNS), 32);
    return VMAFX_OK;
}

VmafxErr vmafx_sqlite_key_free(void *db, int64_t key, VmafxStoreFault *fault)
{
    STMT(stmt, STMT_KEY_FREE, "DELETE FROM idempotency WHERE job = ?1");
    sqlite3_bind_int64(stmt, 1, key);
    return vmafx_sqlite_run(stmt, fault);
}

VmafxErr vmafx_sqlite_turn_get(void *db, int32_t priority, const char *submitter, int64_t *ret_turn,
                               VmafxStoreFault *fault)
{
    STMT(stmt, STMT_TURN_GET, "SELECT turn FROM turn WHERE priority = ?1 AND submitter = ?2");
    sqlite3_bind_int(stmt, 1, priority);
    vmafx_sqlite_bind_text(stmt, 2, submitter);
    err = vmafx_sqlite_row(stmt, fault);
    if (err && err != VMAFX_ERR_NOT_FOUND)
        return err;
    *ret_turn = err ? 0 : sqlite3_column_int64(stmt, 0);
    return VMAFX_OK;
}

VmafxErr vmafx_sqlite_turn_set(void *db, int32_t priority, const char *submitter, int64_t turn, VmafxStoreFault *fault)
{
    STMT(stmt, STMT_TURN_SET,
         "INSERT INTO turn VALUES (?1, ?2, ?3) ON CONFLICT (priority, submitter) DO UPDATE SET turn = excluded.turn");
    sqlite3_bind_int(stmt, 1, priority);
    vmafx_sqlite_bind_text(stmt, 2, submitter);
    sqlite3_bind_int64(stmt, 3, turn);
    return vmafx_sqlite_run(stmt, fault);
}

VmafxErr vmafx_sqlite_turns_prune(void *db, VmafxStoreFault *fault)
{
    STMT(stmt, STMT_TURNS_PRUNE,
         "DELETE FROM turn WHERE submitter <> '' AND turn <= (SELECT v.turn FROM turn AS v"
         " WHERE v.priority = turn.priority AND v.submitter = '')");
    return vmafx_sqlite_run(stmt, fault);
}

VmafxErr vmafx_sqlite_has_new(void *db, int32_t priority, const char *submitter, bool *ret, VmafxStoreFault *fault)
{
    STMT(stmt, STMT_HAS_NEW,
         "SELECT 1 FROM job INDEXED BY job_new WHERE state = 1 AND attempt = 0 AND submitter = ?1 AND priority = ?2"
         " LIMIT 1");
    vmafx_sqlite_bind_text(stmt, 1, submitter);
    sqlite3_bind_int(stmt, 2, priority);
    err = vmafx_sqlite_row(stmt, fault);
    if (err && err != VMAFX_ERR_NOT_FOUND)
        return err;
    *ret = !err;
    return VMAFX_OK;
}

/* ---- rows that break a rule ---- */

static VmafxErr aside_add(void *db, int64_t key, VmafxWall now, const char *why, VmafxStoreFault *fault)
{
    STMT(stmt, STMT_ASIDE_ADD, "INSERT OR REPLACE INTO aside SELECT n, state, ?2, ?3 FROM job WHERE n = ?1");
    sqlite3_bind_int64(stmt, 1, key);
    sqlite3_bind_int64(stmt, 2, now);
    vmafx_sqlite_bind_text(stmt, 3, why);
    return vmafx_sqlite_run(stmt, fault);
}

VmafxErr vmafx_sqlite_set_aside(void *db, int64_t key, VmafxWall now, const char *why, VmafxStoreFault *fault)
{
    VmafxErr added = aside_add(db, key, now, why, fault);

    if (added)
        return added;
    STMT(stmt, STMT_ASIDE_MOVE, "UPDATE job SET state = 0, ready = 0, due = NULL WHERE n = ?1");
    sqlite3_bind_int64(stmt, 1, key);
    return vmafx_sqlite_run(stmt, fault);
}

/* ---- what is next. The indexes are named: a plan without them would be a defect, and says so. ---- */

static VmafxErr wake_those_that_waited(void *db, VmafxWall now, VmafxStoreFault *fault)
{
    STMT(stmt, STMT_READY,
         "UPDATE job INDEXED BY job_later SET ready = 1 WHERE state = 1 AND ready = 0 AND not_before <= ?1");
    sqlite3_bind_int64(stmt, 1, now);
    return vmafx_sqlite_run(stmt, fault);
}

VmafxErr vmafx_sqlite_next_work(void *db, VmafxWall now, int64_t memory_mib, VmafxStoreRow *ret, VmafxStoreFault *fault)
{
    STMT(stmt, STMT_NEXT_WORK,
         SELECT_JOB "INDEXED BY job_work WHERE j.state = 1 AND j.ready = 1 AND j.memory <= ?1"
                    " ORDER BY j.priority DESC, j.turn, j.deadline, j.created, j.id LIMIT 1");
    err = wake_those_that_waited(db, now, fault);
    if (err)
        return err;
    sqlite3_bind_int64(stmt, 1, memory_mib);
    return one_job(stmt, ret, fault);
}

VmafxErr vmafx_sqlite_next_due(void *db, VmafxWall now, VmafxStoreRow *ret, VmafxStoreFault *fault)
{
    STMT(stmt, STMT_NEXT_DUE,
         SELECT_JOB "INDEXED BY job_due WHERE j.due IS NOT NULL AND j.due <= ?1 ORDER BY j.due LIMIT 1");
    sqlite3_bind_int64(stmt, 1, now);
    return one_job(stmt, ret, fault);
}

VmafxErr vmafx_sqlite_next_running(void *db, int64_t after, VmafxStoreRow *ret, VmafxStoreFault *fault)
{
    STMT(stmt, STMT_NEXT_RUNNING,
         SELECT_JOB "INDEXED BY job_running WHERE j.state = 2 AND j.n > ?1 ORDER BY j.n LIMIT 1");
    sqlite3_bind_int64(stmt, 1, after);
    return one_job(stmt, ret, fault);
}

VmafxErr vmafx_sqlite_remove_ended(void *db, VmafxWall before, uint64_t limit, uint64_t *ret_n, VmafxStoreFault *fault)
{
    STMT(stmt, STMT_REMOVE_ENDED,
         "DELETE FROM job WHERE n IN (SELECT n FROM job INDEXED BY job_ended WHERE state >= 3 AND ended < ?1"
         " ORDER BY ended, n LIMIT ?2)");
    sqlite3_bind_int64(stmt, 1, before);
    sqlite3_bind_int64(stmt, 2, (int64_t)limit);
    err = vmafx_sqlite_run(stmt, fault);
    *ret_n = err ? 0 : (uint64_t)sqlite3_changes(s->writer.db);
    return err;
}

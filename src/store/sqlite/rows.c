/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* A job and an event as columns. What is read is checked: the file may have been in other hands. */

#include "store/sqlite/sqlite.h"

#include <math.h>
#include <string.h>

#include "base/text.h"

/* ---- reading ---- */

/* Reads columns one after the other; bad is set when one does not fit. */
typedef struct Reader {
    sqlite3_stmt *stmt;
    int at;
    bool bad;
} Reader;

static int64_t next_int64(Reader *r)
{
    return sqlite3_column_int64(r->stmt, r->at++);
}

static int32_t next_int32(Reader *r)
{
    int64_t v = next_int64(r);

    r->bad |= v < INT32_MIN || v > INT32_MAX;
    return (int32_t)v;
}

static void next_text(Reader *r, char *ret, size_t size)
{
    const void *text = sqlite3_column_blob(r->stmt, r->at); /* as it is: no conversion, no look for a zero */
    size_t len = (size_t)sqlite3_column_bytes(r->stmt, r->at++);

    if (len >= size || (!text && len)) {
        r->bad = true;
        len = 0;
    }
    if (len)
        memcpy(ret, text, len);
    ret[len] = 0;
    vmafx_text_mend(ret); /* a message with one bad text is refused as a whole */
}

static void next_bytes(Reader *r, uint8_t *ret, size_t size)
{
    const void *bytes = sqlite3_column_blob(r->stmt, r->at);

    if (bytes && (size_t)sqlite3_column_bytes(r->stmt, r->at) == size)
        memcpy(ret, bytes, size);
    else
        r->bad = true;
    r->at++;
}

/* NULL: zeroes. */
static void next_id(Reader *r, VmafxJobId *ret)
{
    if (sqlite3_column_type(r->stmt, r->at) == SQLITE_NULL)
        r->at++;
    else
        next_bytes(r, ret->bytes, sizeof ret->bytes);
}

static void next_trace(Reader *r, VmafxJobTrace *trace)
{
    next_bytes(r, trace->trace_id, sizeof trace->trace_id);
    next_bytes(r, trace->parent_span_id, sizeof trace->parent_span_id);
    next_bytes(r, trace->job_span_id, sizeof trace->job_span_id);
    trace->flags = (uint8_t)next_int32(r);
    next_text(r, trace->state, sizeof trace->state);
}

static void next_task(Reader *r, VmafxTask *task)
{
    task->attempt = next_int32(r);
    task->failures = next_int32(r);
    task->queued_since = next_int64(r);
    task->not_before = next_int64(r);
    next_text(r, task->node, sizeof task->node);
    task->lease_until = next_int64(r);
    task->leased_at = next_int64(r);
    task->paused_us = next_int64(r);
    next_bytes(r, task->span_id, sizeof task->span_id);
    next_bytes(r, task->previous_span_id, sizeof task->previous_span_id);
}

VmafxErr vmafx_sqlite_read_job(sqlite3_stmt *stmt, VmafxStoreRow *ret, VmafxStoreFault *fault)
{
    VmafxStoreRow row = { 0 };
    VmafxJob *job = &row.job;
    Reader r = { .stmt = stmt };

    row.key = next_int64(&r);
    next_id(&r, &job->id);
    job->state = (VmafxJobState)next_int32(&r);
    job->failure = (VmafxFailure)next_int32(&r);
    job->priority = next_int32(&r);
    job->turn = next_int64(&r);
    job->created = next_int64(&r);
    job->started = next_int64(&r);
    job->ended = next_int64(&r);
    job->deadline = next_int64(&r);
    if (job->deadline == INT64_MAX)
        job->deadline = 0;
    job->timeout_us = next_int64(&r);
    job->attempt_limit = next_int32(&r);
    job->need_memory_mib = next_int32(&r);
    job->complete = next_int32(&r);
    job->has_result = next_int32(&r);
    job->has_score = next_int32(&r);
    bool number = sqlite3_column_type(stmt, r.at) != SQLITE_NULL;
    job->score = number ? sqlite3_column_double(stmt, r.at) : job->has_score ? NAN : 0; /* NaN is kept as NULL */
    r.at++;
    next_id(&r, &job->retry_of);
    next_text(&r, job->submitter, sizeof job->submitter);
    next_text(&r, job->message, sizeof job->message);
    next_trace(&r, &job->trace);
    next_task(&r, &job->task);

    if (sqlite3_errcode(sqlite3_db_handle(stmt)) == SQLITE_NOMEM) /* a column was not handed out; it may be sound */
        return vmafx_sqlite_error(sqlite3_db_handle(stmt), SQLITE_NOMEM, fault);
    row.wrong = r.bad        ? "a column of its row has another size"
                : job->state ? vmafx_job_check(job)
                             : "its row broke a rule and was set aside";
    *ret = row;
    if (row.wrong) {
        char id[VMAFX_JOB_ID_TEXT], what[256];

        vmafx_job_id_text(&job->id, id);
        snprintf(what, sizeof what, "job %s: %s", id, row.wrong);
        return vmafx_sqlite_corrupt(sqlite3_db_handle(stmt), fault, what);
    }
    return VMAFX_OK;
}

VmafxErr vmafx_sqlite_read_event(sqlite3_stmt *stmt, VmafxEvent *ret, VmafxStoreFault *fault)
{
    VmafxEvent event = { 0 };
    Reader r = { .stmt = stmt };

    event.sequence = next_int64(&r);
    next_bytes(&r, event.job.bytes, sizeof event.job.bytes);
    event.time = next_int64(&r);
    event.kind = (VmafxEventKind)next_int32(&r);
    event.state = (VmafxJobState)next_int32(&r);
    event.attempt = next_int32(&r);
    event.outcome = (VmafxOutcome)next_int32(&r);
    event.failure = (VmafxFailure)next_int32(&r);
    event.since = next_int64(&r);
    event.not_before = next_int64(&r);
    next_bytes(&r, event.span_id, sizeof event.span_id);
    next_bytes(&r, event.previous_span_id, sizeof event.previous_span_id);
    next_text(&r, event.node, sizeof event.node);
    next_text(&r, event.message, sizeof event.message);
    if (r.bad || event.kind < VMAFX_EVENT_SUBMITTED || event.kind > VMAFX_EVENT_ENDED)
        return vmafx_sqlite_corrupt(sqlite3_db_handle(stmt), fault, "an event is none");
    *ret = event;
    return VMAFX_OK;
}

VmafxErr vmafx_sqlite_read_blob(sqlite3_stmt *stmt, int column, void **ret, size_t *ret_len)
{
    const void *data = sqlite3_column_blob(stmt, column);
    size_t len = (size_t)sqlite3_column_bytes(stmt, column);
    char *copy = malloc(len + 1);

    if (!copy || (len && !data)) {
        free(copy);
        return VMAFX_ERR_NOMEM;
    }
    if (len)
        memcpy(copy, data, len);
    copy[len] = 0;
    *ret = copy;
    *ret_len = len;
    return VMAFX_OK;
}

/* ---- writing. A failed bind shows as a constraint at the step: every column is NOT NULL or bound by number. ---- */

void vmafx_sqlite_bind_id(sqlite3_stmt *stmt, int at, const VmafxJobId *id)
{
    vmafx_sqlite_bind_bytes(stmt, at, id->bytes, sizeof id->bytes);
}

void vmafx_sqlite_bind_text(sqlite3_stmt *stmt, int at, const char *text)
{
    sqlite3_bind_text(stmt, at, text, -1, SQLITE_STATIC);
}

void vmafx_sqlite_bind_bytes(sqlite3_stmt *stmt, int at, const void *data, size_t len)
{
    sqlite3_bind_blob64(stmt, at, len ? data : "", len, SQLITE_STATIC);
}

int vmafx_sqlite_bind_state(sqlite3_stmt *stmt, const VmafxJob *job, VmafxWall due)
{
    const VmafxTask *task = &job->task;
    int at = 1;

    sqlite3_bind_int(stmt, at++, (int)job->state);
    sqlite3_bind_int(stmt, at++, (int)job->failure);
    sqlite3_bind_int64(stmt, at++, job->started);
    sqlite3_bind_int64(stmt, at++, job->ended);
    sqlite3_bind_int(stmt, at++, job->complete);
    sqlite3_bind_int(stmt, at++, job->has_result);
    sqlite3_bind_int(stmt, at++, job->has_score);
    if (job->has_score)
        sqlite3_bind_double(stmt, at, job->score);
    at++;
    vmafx_sqlite_bind_text(stmt, at++, job->message);
    sqlite3_bind_int(stmt, at++, task->attempt);
    sqlite3_bind_int(stmt, at++, task->failures);
    sqlite3_bind_int64(stmt, at++, task->queued_since);
    sqlite3_bind_int64(stmt, at++, task->not_before);
    vmafx_sqlite_bind_text(stmt, at++, task->node);
    sqlite3_bind_int64(stmt, at++, task->lease_until);
    sqlite3_bind_int64(stmt, at++, task->leased_at);
    sqlite3_bind_int64(stmt, at++, task->paused_us);
    vmafx_sqlite_bind_bytes(stmt, at++, task->span_id, sizeof task->span_id);
    vmafx_sqlite_bind_bytes(stmt, at++, task->previous_span_id, sizeof task->previous_span_id);
    if (due != INT64_MAX)
        sqlite3_bind_int64(stmt, at, due);
    return at + 1;
}

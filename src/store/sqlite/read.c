/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What readers do: each function is one statement, and so one snapshot of the tables. */

#include "store/sqlite/sqlite.h"

#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#define SQL_MAX  8192
#define HELD_MAX 10000

/* A reader and a statement of it; the scope gives both back. */
typedef struct Read {
    VmafxSqlite *s;
    VmafxSqliteConn *conn;
    sqlite3_stmt *stmt;
    bool finalize; /* else it stays prepared */
} Read;

static void read_done(Read *r)
{
    if (r->finalize)
        sqlite3_finalize(r->stmt);
    else
        vmafx_sqlite_reset(&r->stmt);
    if (r->conn)
        vmafx_sqlite_reader_give(r->s, r->conn);
}

static VmafxErr read_begin(Read *r, void *db, VmafxSqliteStmt which, const char *sql, VmafxStoreFault *fault)
{
    r->s = db;
    VmafxErr err = vmafx_sqlite_reader_take(r->s, &r->conn, fault);

    if (!err)
        r->stmt = vmafx_sqlite_stmt(r->conn, which, sql, &err, fault);
    return err;
}

VmafxErr vmafx_sqlite_newest(void *db, int64_t *ret, VmafxStoreFault *fault)
{
    VMAFX_AUTO(read_done) Read r = { 0 };
    VmafxErr err = read_begin(&r, db, STMT_NEWEST, "SELECT seq FROM sqlite_sequence WHERE name = 'event'", fault);

    if (!err)
        err = vmafx_sqlite_row(r.stmt, fault);
    if (err && err != VMAFX_ERR_NOT_FOUND)
        return err;
    *ret = err ? 0 : sqlite3_column_int64(r.stmt, 0);
    return VMAFX_OK;
}

/* A row of job columns and the spec behind them. */
static VmafxErr read_stored(sqlite3_stmt *stmt, VmafxStoredJob *ret, VmafxStoreFault *fault)
{
    VmafxStoreRow row;
    VmafxErr err = vmafx_sqlite_read_job(stmt, &row, fault);

    if (err)
        return err;
    ret->job = row.job;
    return vmafx_sqlite_read_blob(stmt, VMAFX_SQLITE_JOB_COLUMNS, &ret->spec, &ret->spec_len);
}

VmafxErr vmafx_sqlite_get(void *db, const VmafxJobId *id, VmafxStoredJob *ret, VmafxStoreFault *fault)
{
    VMAFX_AUTO(read_done) Read r = { 0 };
    VmafxErr err = read_begin(&r, db, STMT_GET,
                              "SELECT " JOB_COLUMNS ", s.data FROM job AS j JOIN spec AS s ON s.job = j.n"
                              " WHERE j.id = ?1",
                              fault);

    if (err)
        return err;
    vmafx_sqlite_bind_id(r.stmt, 1, id);
    err = vmafx_sqlite_row(r.stmt, fault);
    return err ? err : read_stored(r.stmt, ret, fault);
}

/* All rows of a statement, at most max; more says whether there was another. */
static VmafxErr read_all(sqlite3_stmt *stmt, size_t max, VmafxStoredJobs *ret, VmafxStoreFault *fault)
{
    VMAFX_AUTO(vmafx_stored_jobs_done) VmafxStoredJobs jobs = { 0 };
    size_t cap = 0;
    VmafxErr err;

    while (!(err = vmafx_sqlite_row(stmt, fault))) {
        if (jobs.n == max) {
            jobs.more = true;
            err = VMAFX_ERR_NOT_FOUND;
            break;
        }
        if (jobs.n == cap) {
            size_t n = cap ? 2 * cap : 16;
            VmafxStoredJob *items = realloc(jobs.items, n * sizeof *items);

            if (!items)
                return VMAFX_ERR_NOMEM;
            jobs.items = items;
            cap = n;
        }
        err = read_stored(stmt, &jobs.items[jobs.n], fault);
        if (err)
            return err;
        jobs.n++;
    }
    if (err != VMAFX_ERR_NOT_FOUND)
        return err;
    *ret = jobs;
    jobs = (VmafxStoredJobs){ 0 };
    return VMAFX_OK;
}

VmafxErr vmafx_sqlite_held(void *db, const char *node, VmafxStoredJobs *ret, VmafxStoreFault *fault)
{
    VMAFX_AUTO(read_done) Read r = { 0 };
    VmafxErr err = read_begin(&r, db, STMT_HELD,
                              "SELECT " JOB_COLUMNS ", s.data FROM job AS j INDEXED BY job_node"
                              " JOIN spec AS s ON s.job = j.n WHERE j.state = 2 AND j.node = ?1 ORDER BY j.n",
                              fault);

    if (err)
        return err;
    vmafx_sqlite_bind_text(r.stmt, 1, node);
    return read_all(r.stmt, HELD_MAX, ret, fault);
}

/* ---- lists ---- */

/* Parameters of a list by number; labels follow in pairs. */
enum { AT_LIMIT = 1, AT_FROM, AT_BEFORE, AT_SUBMITTER, AT_CREATED_FROM, AT_CREATED_BEFORE, AT_LABELS };

/*
 * The ids that are in question: from ≤ id < before. An id begins with the time at which it was made, and the store
 * knows how far that ever was from the time of the row, so times give ids that an index is sought by.
 */
typedef struct IdRange {
    VmafxJobId from; /* zero: all */
    VmafxJobId before;
    bool has_before;
} IdRange;

#define ID_MS_MAX ((INT64_C(1) << 48) - 1)

/* The lowest id of a millisecond. */
static VmafxJobId id_at(int64_t ms)
{
    VmafxJobId id = { { 0 } };

    for (int i = 0; ms > 0 && i < 6; i++)
        id.bytes[i] = (uint8_t)(ms >> (40 - 8 * i));
    return id;
}

static IdRange id_range(const VmafxStoreFilter *filter, int64_t early_us, int64_t late_us)
{
    IdRange range = { .before = filter->before, .has_before = !vmafx_job_id_is_zero(&filter->before) };
    int64_t us;

    if (filter->created_from && !__builtin_sub_overflow(filter->created_from, early_us, &us))
        range.from = id_at(VMAFX_MIN(us / 1000, ID_MS_MAX));
    if (filter->created_before && !__builtin_add_overflow(filter->created_before, late_us, &us) &&
        us / 1000 < ID_MS_MAX) {
        VmafxJobId before = id_at(us / 1000 + 1);

        if (!range.has_before || memcmp(&before, &range.before, sizeof before) < 0)
            range.before = before;
        range.has_before = true;
    }
    return range;
}

typedef struct Text {
    char sql[SQL_MAX];
    size_t len;
} Text;

static void add(Text *t, const char *fmt, ...) VMAFX_PRINTF(2, 3);
static void add(Text *t, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    int n = vsnprintf(t->sql + t->len, sizeof t->sql - t->len, fmt, args);
    va_end(args);
    t->len = VMAFX_MIN(t->len + (size_t)VMAFX_MAX(n, 0), sizeof t->sql - 1);
}

static void add_created(Text *t, const VmafxStoreFilter *filter)
{
    if (filter->created_from)
        add(t, " AND j.created >= ?%d", AT_CREATED_FROM);
    if (filter->created_before)
        add(t, " AND j.created < ?%d", AT_CREATED_BEFORE);
}

/* Numbers of the jobs in question, by the rarest thing that is asked for: a label leads its index in list order. */
static void add_by_label(Text *t, const VmafxStoreFilter *filter, bool before)
{
    add(t,
        "SELECT j.n AS n, j.id AS id FROM label AS l CROSS JOIN job AS j ON j.n = l.job WHERE l.key = ?%d AND l.value "
        "= ?%d AND l.id >= ?%d AND j.state > 0",
        AT_LABELS, AT_LABELS + 1, AT_FROM);
    if (before)
        add(t, " AND l.id < ?%d", AT_BEFORE);
    if (filter->submitter)
        add(t, " AND j.submitter = ?%d", AT_SUBMITTER);
    if (filter->states) {
        add(t, " AND j.state IN (0");
        for (int state = VMAFX_JOB_QUEUED; state <= VMAFX_JOB_CANCELLED; state++)
            if (filter->states & (1u << state))
                add(t, ", %d", state);
        add(t, ")");
    }
    for (size_t i = 1; i < filter->n_labels; i++)
        add(t, " AND EXISTS (SELECT 1 FROM label WHERE key = ?%zu AND value = ?%zu AND id = l.id)", AT_LABELS + 2 * i,
            AT_LABELS + 2 * i + 1);
    add_created(t, filter);
    add(t, " ORDER BY l.id DESC LIMIT ?%d", AT_LIMIT);
}

/* One state of one submitter, or of all: an index gives it in list order. */
static void add_by_state(Text *t, const VmafxStoreFilter *filter, bool before, int state)
{
    add(t,
        "SELECT * FROM (SELECT j.n AS n, j.id AS id FROM job AS j INDEXED BY %s WHERE j.state = %d"
        " AND j.id >= ?%d",
        filter->submitter ? "job_submitter" : "job_state", state, AT_FROM);
    if (filter->submitter)
        add(t, " AND j.submitter = ?%d", AT_SUBMITTER);
    if (before)
        add(t, " AND j.id < ?%d", AT_BEFORE);
    add_created(t, filter);
    add(t, " ORDER BY j.id DESC LIMIT ?%d)", AT_LIMIT);
}

static void add_all(Text *t, const VmafxStoreFilter *filter, bool before)
{
    add(t, "SELECT j.n AS n, j.id AS id FROM job AS j WHERE j.id >= ?%d AND j.state > 0", AT_FROM);
    if (before)
        add(t, " AND j.id < ?%d", AT_BEFORE);
    add_created(t, filter);
    add(t, " ORDER BY j.id DESC LIMIT ?%d", AT_LIMIT);
}

static void list_sql(Text *t, const VmafxStoreFilter *filter, bool before)
{
    bool first = true;

    add(t, "SELECT " JOB_COLUMNS ", s.data FROM (");
    if (filter->n_labels)
        add_by_label(t, filter, before);
    else if (!filter->states && !filter->submitter)
        add_all(t, filter, before);
    else
        for (int state = VMAFX_JOB_QUEUED; state <= VMAFX_JOB_CANCELLED; state++) {
            if (filter->states && !(filter->states & (1u << state)))
                continue;
            if (!first)
                add(t, " UNION ALL ");
            add_by_state(t, filter, before, state);
            first = false;
        }
    add(t, ") AS f CROSS JOIN job AS j ON j.n = f.n JOIN spec AS s ON s.job = j.n ORDER BY f.id DESC LIMIT ?%d",
        AT_LIMIT);
}

/* SQLite's code: the range is copied, which may fail, and a parameter that is missing would find nothing. */
static int list_bind(sqlite3_stmt *stmt, const VmafxStoreFilter *filter, const IdRange *range)
{
    /* a parameter that the text does not use is out of range, or unused: no harm in either */
    sqlite3_bind_int64(stmt, AT_LIMIT, (int64_t)filter->limit + 1);
    int rc = sqlite3_bind_blob(stmt, AT_FROM, range->from.bytes, sizeof range->from.bytes, SQLITE_TRANSIENT);
    if (rc == SQLITE_OK && range->has_before)
        rc = sqlite3_bind_blob(stmt, AT_BEFORE, range->before.bytes, sizeof range->before.bytes, SQLITE_TRANSIENT);
    vmafx_sqlite_bind_text(stmt, AT_SUBMITTER, filter->submitter);
    sqlite3_bind_int64(stmt, AT_CREATED_FROM, filter->created_from);
    sqlite3_bind_int64(stmt, AT_CREATED_BEFORE, filter->created_before);
    for (size_t i = 0; i < filter->n_labels; i++) {
        vmafx_sqlite_bind_text(stmt, AT_LABELS + 2 * (int)i, filter->labels[i].key);
        vmafx_sqlite_bind_text(stmt, AT_LABELS + 2 * (int)i + 1, filter->labels[i].value);
    }
    return rc;
}

/* How far ids ever were from their rows' times. Read before the list: what comes later was not reported before. */
static VmafxErr read_id_range(VmafxSqliteConn *conn, const VmafxStoreFilter *filter, IdRange *ret,
                              VmafxStoreFault *fault)
{
    int64_t early_us = 0, late_us = 0;
    VmafxErr err = VMAFX_OK;

    if (filter->created_from || filter->created_before) {
        VMAFX_AUTO(vmafx_sqlite_reset)
        sqlite3_stmt *stmt =
            vmafx_sqlite_stmt(conn, STMT_ID_RANGE, "SELECT id_early_us, id_late_us FROM store", &err, fault);
        if (!err)
            err = vmafx_sqlite_row(stmt, fault);
        if (err == VMAFX_ERR_NOT_FOUND)
            return vmafx_sqlite_corrupt(conn->db, fault, "its table 'store' is empty");
        if (err)
            return err;
        early_us = sqlite3_column_int64(stmt, 0);
        late_us = sqlite3_column_int64(stmt, 1);
    }
    *ret = id_range(filter, early_us, late_us);
    return err;
}

VmafxErr vmafx_sqlite_list_prepare(VmafxSqliteConn *conn, const VmafxStoreFilter *filter, sqlite3_stmt **ret,
                                   VmafxStoreFault *fault)
{
    VMAFX_AUTO(vmafx_free_p) Text *text = calloc(1, sizeof *text);
    IdRange range;
    VmafxErr err = text ? read_id_range(conn, filter, &range, fault) : VMAFX_ERR_NOMEM;

    if (err)
        return err;
    list_sql(text, filter, range.has_before);
    int rc = sqlite3_prepare_v2(conn->db, text->sql, -1, ret, NULL);
    if (rc == SQLITE_OK)
        rc = list_bind(*ret, filter, &range);
    return vmafx_sqlite_error(conn->db, rc, fault);
}

VmafxErr vmafx_sqlite_list(void *db, const VmafxStoreFilter *filter, VmafxStoredJobs *ret, VmafxStoreFault *fault)
{
    VMAFX_AUTO(read_done) Read r = { .s = db, .finalize = true };
    VmafxErr err = vmafx_sqlite_reader_take(r.s, &r.conn, fault);

    if (err)
        return err;
    if (filter->states && !(filter->states & 0x3e)) { /* states that do not exist: nothing has them */
        *ret = (VmafxStoredJobs){ 0 };
        return VMAFX_OK;
    }
    err = vmafx_sqlite_list_prepare(r.conn, filter, &r.stmt, fault);
    return err ? err : read_all(r.stmt, filter->limit, ret, fault);
}

/* ---- events, results, counts ---- */

VmafxErr vmafx_sqlite_events(void *db, const VmafxJobId *job, int64_t after, uint32_t limit, VmafxStoredEvents *ret,
                             VmafxStoreFault *fault)
{
    VMAFX_AUTO(read_done) Read r = { 0 };
    VMAFX_AUTO(vmafx_stored_events_done) VmafxStoredEvents events = { 0 };
    VmafxErr err = job ? read_begin(&r, db, STMT_EVENTS_OF,
                                    "SELECT " EVENT_COLUMNS " FROM job AS j CROSS JOIN event AS e ON e.job = j.n"
                                    " WHERE j.id = ?3 AND e.sequence > ?1 ORDER BY e.sequence LIMIT ?2",
                                    fault)
                       : read_begin(&r, db, STMT_EVENTS_ALL,
                                    "SELECT " EVENT_COLUMNS " FROM event AS e CROSS JOIN job AS j ON j.n = e.job"
                                    " WHERE e.sequence > ?1 ORDER BY e.sequence LIMIT ?2",
                                    fault);

    if (err)
        return err;
    sqlite3_bind_int64(r.stmt, 1, after);
    sqlite3_bind_int64(r.stmt, 2, limit);
    if (job)
        vmafx_sqlite_bind_id(r.stmt, 3, job);
    for (size_t cap = 0; !(err = vmafx_sqlite_row(r.stmt, fault));) {
        if (events.n == cap) {
            cap = cap ? 2 * cap : 16;
            VmafxEvent *items = realloc(events.items, cap * sizeof *items);

            if (!items)
                return VMAFX_ERR_NOMEM;
            events.items = items;
        }
        err = vmafx_sqlite_read_event(r.stmt, &events.items[events.n], fault);
        if (err)
            return err;
        events.n++;
    }
    if (err != VMAFX_ERR_NOT_FOUND)
        return err;
    *ret = events;
    events = (VmafxStoredEvents){ 0 };
    return VMAFX_OK;
}

VmafxErr vmafx_sqlite_result(void *db, const VmafxJobId *id, void **ret, size_t *ret_len, VmafxStoreFault *fault)
{
    VMAFX_AUTO(read_done) Read r = { 0 };
    char sha256[VMAFX_SHA256_TEXT];
    VmafxErr err =
        read_begin(&r, db, STMT_RESULT,
                   "SELECT r.data, r.sha256 FROM job AS j JOIN result AS r ON r.job = j.n WHERE j.id = ?1", fault);

    if (err)
        return err;
    vmafx_sqlite_bind_id(r.stmt, 1, id);
    err = vmafx_sqlite_row(r.stmt, fault);
    if (err)
        return err;
    const char *stored = (const char *)sqlite3_column_text(r.stmt, 1);
    vmafx_sha256_hex(sqlite3_column_blob(r.stmt, 0), (size_t)sqlite3_column_bytes(r.stmt, 0), sha256);
    if (!stored || strcmp(stored, sha256) != 0)
        return vmafx_sqlite_corrupt(r.conn->db, fault, "a result is not what was stored: its digest differs");
    return vmafx_sqlite_read_blob(r.stmt, 0, ret, ret_len);
}

/* Asked by name: a descriptor that is closed here would drop SQLite's locks. */
static uint64_t file_bytes(const char *path, const char *suffix)
{
    VMAFX_AUTO(vmafx_free_p) char *name = vmafx_sprintf("%s%s", path, suffix);
    struct stat st;

    return name && !stat(name, &st) ? (uint64_t)st.st_size : 0;
}

VmafxErr vmafx_sqlite_read_counts(void *db, VmafxStoreCounts *ret, VmafxStoreFault *fault)
{
    VMAFX_AUTO(read_done) Read r = { 0 };
    VmafxErr err = read_begin(&r, db, STMT_READ_COUNTS,
                              "SELECT (SELECT n FROM count WHERE state = 1), (SELECT n FROM count WHERE state = 2),"
                              " (SELECT n FROM count WHERE state = 3), (SELECT n FROM count WHERE state = 4),"
                              " (SELECT n FROM count WHERE state = 5), (SELECT n FROM count WHERE state = 0),"
                              " (SELECT min(queued_since) FROM job INDEXED BY job_queued WHERE state = 1)",
                              fault);

    if (!err)
        err = vmafx_sqlite_row(r.stmt, fault);
    if (err)
        return err;
    *ret = (VmafxStoreCounts){
        .queued = (uint64_t)sqlite3_column_int64(r.stmt, 0),
        .running = (uint64_t)sqlite3_column_int64(r.stmt, 1),
        .succeeded = (uint64_t)sqlite3_column_int64(r.stmt, 2),
        .failed = (uint64_t)sqlite3_column_int64(r.stmt, 3),
        .cancelled = (uint64_t)sqlite3_column_int64(r.stmt, 4),
        .set_aside = (uint64_t)sqlite3_column_int64(r.stmt, 5),
        .oldest_queued = sqlite3_column_int64(r.stmt, 6),
        .bytes = file_bytes(r.s->path, "") + file_bytes(r.s->path, "-wal") + file_bytes(r.s->path, "-shm"),
    };
    return VMAFX_OK;
}

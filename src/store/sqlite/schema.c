/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The tables, and how an older database becomes a newer one. user_version counts the steps that were taken; a step that
 * was ever released is never changed.
 *
 * Times are microseconds; 0: none, as in fleet.h, but for job.deadline (the largest number: none, so that it sorts
 * last) and job.due (NULL: never). job.n is the order of arrival and what other tables refer to; job.id is what the
 * world sees. job.ready says that not_before lies behind us, so that waiting jobs do not stand in the way of those that
 * may start. job.state is 0 for a row that broke a rule and was set aside: no index of work finds it, table aside says
 * what it was. Counts are kept by triggers: no path escapes them.
 */

#include "store/sqlite/sqlite.h"

#include <inttypes.h>

#define APPLICATION_ID 0x564d4658 /* "VMFX" */

static const char step_1[] =
    "CREATE TABLE store ("
    "  one INTEGER PRIMARY KEY CHECK (one = 1),"
    "  clock INTEGER NOT NULL,"
    "  lease_us INTEGER NOT NULL,"
    "  id_early_us INTEGER NOT NULL," /* by how much a job's id was older than its row, at most */
    "  id_late_us INTEGER NOT NULL)"  /* by how much it was younger */
    "  STRICT;"
    "INSERT INTO store VALUES (1, 0, 0, 0, 0);"

    "CREATE TABLE job ("
    "  n INTEGER PRIMARY KEY,"
    "  id BLOB NOT NULL UNIQUE CHECK (length(id) = 16),"
    "  state INTEGER NOT NULL CHECK (state BETWEEN 0 AND 5),"
    "  failure INTEGER NOT NULL,"
    "  priority INTEGER NOT NULL,"
    "  turn INTEGER NOT NULL,"
    "  created INTEGER NOT NULL,"
    "  started INTEGER NOT NULL,"
    "  ended INTEGER NOT NULL,"
    "  deadline INTEGER NOT NULL,"
    "  timeout_us INTEGER NOT NULL,"
    "  attempt_limit INTEGER NOT NULL,"
    "  memory INTEGER NOT NULL,"
    "  complete INTEGER NOT NULL,"
    "  has_result INTEGER NOT NULL,"
    "  has_score INTEGER NOT NULL,"
    "  score REAL," /* NULL: none, or not a number */
    "  retry_of BLOB,"
    "  submitter TEXT NOT NULL,"
    "  message TEXT NOT NULL,"
    "  trace_id BLOB NOT NULL,"
    "  parent_span_id BLOB NOT NULL,"
    "  job_span_id BLOB NOT NULL,"
    "  trace_flags INTEGER NOT NULL,"
    "  trace_state TEXT NOT NULL,"
    "  attempt INTEGER NOT NULL,"
    "  failures INTEGER NOT NULL,"
    "  queued_since INTEGER NOT NULL,"
    "  not_before INTEGER NOT NULL,"
    "  node TEXT NOT NULL,"
    "  lease_until INTEGER NOT NULL,"
    "  leased_at INTEGER NOT NULL,"
    "  paused_us INTEGER NOT NULL,"
    "  span_id BLOB NOT NULL,"
    "  previous_span_id BLOB NOT NULL,"
    "  ready INTEGER NOT NULL,"
    "  due INTEGER) STRICT;"
    "CREATE INDEX job_work ON job (priority DESC, turn, deadline, created, id, memory) WHERE state = 1 AND ready = 1;"
    "CREATE INDEX job_new ON job (submitter, priority) WHERE state = 1 AND attempt = 0;"
    "CREATE INDEX job_later ON job (not_before) WHERE state = 1 AND ready = 0;"
    "CREATE INDEX job_queued ON job (queued_since) WHERE state = 1;"
    "CREATE INDEX job_node ON job (node) WHERE state = 2;"
    "CREATE INDEX job_running ON job (n) WHERE state = 2;"
    "CREATE INDEX job_ended ON job (ended, n) WHERE state >= 3;"
    "CREATE INDEX job_due ON job (due) WHERE due IS NOT NULL;"
    "CREATE INDEX job_state ON job (state, id);"
    "CREATE INDEX job_submitter ON job (submitter, state, id);"

    "CREATE TABLE count ("
    "  state INTEGER PRIMARY KEY,"
    "  n INTEGER NOT NULL CHECK (n >= 0)) STRICT;"
    "INSERT INTO count VALUES (0, 0), (1, 0), (2, 0), (3, 0), (4, 0), (5, 0);"
    "CREATE TRIGGER job_insert AFTER INSERT ON job BEGIN"
    "  UPDATE count SET n = n + 1 WHERE state = NEW.state;"
    "END;"
    "CREATE TRIGGER job_move AFTER UPDATE OF state ON job WHEN NEW.state <> OLD.state BEGIN"
    "  UPDATE count SET n = n - 1 WHERE state = OLD.state;"
    "  UPDATE count SET n = n + 1 WHERE state = NEW.state;"
    "END;"
    "CREATE TRIGGER job_delete AFTER DELETE ON job BEGIN"
    "  UPDATE count SET n = n - 1 WHERE state = OLD.state;"
    "END;"

    "CREATE TABLE aside ("
    "  job INTEGER PRIMARY KEY REFERENCES job (n) ON DELETE CASCADE,"
    "  state INTEGER NOT NULL," /* before */
    "  time INTEGER NOT NULL,"
    "  why TEXT NOT NULL) STRICT;"

    "CREATE TABLE spec ("
    "  job INTEGER PRIMARY KEY REFERENCES job (n) ON DELETE CASCADE,"
    "  data BLOB NOT NULL) STRICT;"

    "CREATE TABLE result ("
    "  job INTEGER PRIMARY KEY REFERENCES job (n) ON DELETE CASCADE,"
    "  sha256 TEXT NOT NULL," /* of data */
    "  data BLOB NOT NULL) STRICT;"

    "CREATE TABLE label ("
    "  key TEXT NOT NULL,"
    "  value TEXT NOT NULL,"
    "  id BLOB NOT NULL," /* the job's, for the order of lists */
    "  job INTEGER NOT NULL REFERENCES job (n) ON DELETE CASCADE,"
    "  PRIMARY KEY (key, value, id)) STRICT, WITHOUT ROWID;"
    "CREATE INDEX label_job ON label (job);"

    "CREATE TABLE idempotency ("
    "  submitter TEXT NOT NULL,"
    "  key TEXT NOT NULL,"
    "  sha256 BLOB NOT NULL," /* of the request */
    "  job INTEGER NOT NULL REFERENCES job (n) ON DELETE CASCADE,"
    "  PRIMARY KEY (submitter, key)) STRICT, WITHOUT ROWID;"
    "CREATE INDEX idempotency_job ON idempotency (job);"

    "CREATE TABLE turn ("
    "  priority INTEGER NOT NULL,"
    "  submitter TEXT NOT NULL," /* '': the virtual turn, of whoever was leased last */
    "  turn INTEGER NOT NULL,"
    "  PRIMARY KEY (priority, submitter)) STRICT, WITHOUT ROWID;"

    "CREATE TABLE event ("
    "  sequence INTEGER PRIMARY KEY AUTOINCREMENT," /* never given twice, whatever is deleted */
    "  job INTEGER NOT NULL REFERENCES job (n) ON DELETE CASCADE,"
    "  time INTEGER NOT NULL,"
    "  kind INTEGER NOT NULL,"
    "  state INTEGER NOT NULL,"
    "  attempt INTEGER NOT NULL,"
    "  outcome INTEGER NOT NULL,"
    "  failure INTEGER NOT NULL,"
    "  since INTEGER NOT NULL,"
    "  not_before INTEGER NOT NULL,"
    "  span_id BLOB NOT NULL,"
    "  previous_span_id BLOB NOT NULL,"
    "  node TEXT NOT NULL,"
    "  message TEXT NOT NULL) STRICT;"
    "CREATE INDEX event_job ON event (job, sequence);";

const char *const vmafx_sqlite_schema[] = { step_1 };
const size_t vmafx_sqlite_schema_steps = VMAFX_LEN(vmafx_sqlite_schema);

static VmafxErr read_number(sqlite3 *db, const char *sql, int64_t *ret, VmafxStoreFault *fault)
{
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);

    if (rc == SQLITE_OK)
        rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW)
        *ret = sqlite3_column_int64(stmt, 0);
    VmafxErr err = vmafx_sqlite_error(db, rc, fault);
    sqlite3_finalize(stmt);
    return err;
}

VmafxErr vmafx_sqlite_schema_check(sqlite3 *db, size_t n_steps, VmafxStoreFault *fault)
{
    const char *path = sqlite3_db_filename(db, "main");
    int64_t version = 0, application = 0, objects = 0;
    VmafxErr err = read_number(db, "PRAGMA user_version", &version, fault);

    if (!err)
        err = read_number(db, "PRAGMA application_id", &application, fault);
    if (!err)
        err = read_number(db, "SELECT count(*) FROM sqlite_schema", &objects, fault);
    if (err)
        return err;
    if (application != APPLICATION_ID && (application || version || objects))
        return vmafx_fail(&fault->info, VMAFX_ERR_UNSUPPORTED,
                          "cannot use '%s': it is the database of another program; name another file", path);
    if (version < 0 || (uint64_t)version > n_steps)
        return vmafx_fail(&fault->info, VMAFX_ERR_UNSUPPORTED,
                          "cannot use '%s': a newer version of this program made it (schema %" PRId64
                          ", this one knows %zu); use that version, or name another file",
                          path, version, n_steps);
    return VMAFX_OK;
}

VmafxErr vmafx_sqlite_migrate(sqlite3 *db, const char *const *steps, size_t n_steps, VmafxStoreFault *fault)
{
    char pragma[96];
    int64_t version = 0;
    VmafxErr err = vmafx_sqlite_schema_check(db, n_steps, fault);

    if (!err)
        err = read_number(db, "PRAGMA user_version", &version, fault);
    if (err || (size_t)version == n_steps)
        return err;
    int rc = sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
    for (size_t i = (size_t)version; rc == SQLITE_OK && i < n_steps; i++)
        rc = sqlite3_exec(db, steps[i], NULL, NULL, NULL);
    snprintf(pragma, sizeof pragma, "PRAGMA application_id = %d; PRAGMA user_version = %zu", APPLICATION_ID, n_steps);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(db, pragma, NULL, NULL, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
    err = vmafx_sqlite_error(db, rc, fault);
    if (err && !sqlite3_get_autocommit(db))
        sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    return err;
}

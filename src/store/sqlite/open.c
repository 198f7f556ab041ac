/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The database's file, who may write it, connections and their statements, and SQLite's errors as ours. */

#include "store/sqlite/sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BUSY_MS 5000

/* ---- errors ---- */

VmafxErr vmafx_sqlite_error(sqlite3 *db, int rc, VmafxStoreFault *fault)
{
    if (rc == SQLITE_OK || rc == SQLITE_ROW || rc == SQLITE_DONE)
        return VMAFX_OK;
    const char *path = db ? sqlite3_db_filename(db, "main") : NULL;
    const char *why = db ? sqlite3_errmsg(db) : sqlite3_errstr(rc);

    if (!path)
        path = "?";
    snprintf(fault->status, sizeof fault->status, "%d", db ? sqlite3_extended_errcode(db) : rc);
    switch (rc & 0xff) {
    case SQLITE_NOMEM:
        return vmafx_fail(&fault->info, VMAFX_ERR_NOMEM, "no memory for the store '%s'", path);
    case SQLITE_FULL:
        return vmafx_fail(&fault->info, VMAFX_ERR_IO,
                          "cannot write the store '%s': no room on its disk; make room, work then goes on by itself",
                          path);
    case SQLITE_IOERR:
        return vmafx_fail(&fault->info, VMAFX_ERR_IO,
                          "cannot read or write the store '%s': %s (code %s); look at its disk and file system", path,
                          why, fault->status);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return vmafx_fail(&fault->info, VMAFX_ERR_CORRUPT,
                          "the store '%s' is damaged: %s; stop the program, keep the file, and bring back a copy", path,
                          why);
    case SQLITE_TOOBIG:
        return vmafx_fail(&fault->info, VMAFX_ERR_LIMIT, "too large for the store '%s'", path);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return vmafx_fail(&fault->info, VMAFX_ERR_IO, "the store '%s' is locked by another program; end that one",
                          path);
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_AUTH:
        return vmafx_fail(&fault->info, VMAFX_ERR_IO,
                          "cannot open or write the store '%s': %s; see to its folder and permissions", path, why);
    default:
        return vmafx_fail(&fault->info, VMAFX_ERR_INTERNAL, "the store '%s': %s", path, why);
    }
}

VmafxErr vmafx_sqlite_corrupt(sqlite3 *db, VmafxStoreFault *fault, const char *what)
{
    snprintf(fault->status, sizeof fault->status, "%d", SQLITE_CORRUPT);
    return vmafx_fail(&fault->info, VMAFX_ERR_CORRUPT,
                      "the store '%s' is damaged: %s; stop the program, keep the file, and bring back a copy",
                      sqlite3_db_filename(db, "main"), what);
}

VmafxErr vmafx_sqlite_run(sqlite3_stmt *stmt, VmafxStoreFault *fault)
{
    int rc;

    do
        rc = sqlite3_step(stmt);
    while (rc == SQLITE_ROW);
    return vmafx_sqlite_error(sqlite3_db_handle(stmt), rc, fault);
}

VmafxErr vmafx_sqlite_row(sqlite3_stmt *stmt, VmafxStoreFault *fault)
{
    int rc = sqlite3_step(stmt);

    return rc == SQLITE_DONE ? VMAFX_ERR_NOT_FOUND : vmafx_sqlite_error(sqlite3_db_handle(stmt), rc, fault);
}

/* ---- statements ---- */

sqlite3_stmt *vmafx_sqlite_stmt(VmafxSqliteConn *conn, VmafxSqliteStmt which, const char *sql, VmafxErr *reterr,
                                VmafxStoreFault *fault)
{
    sqlite3_stmt **stmt = &conn->stmts[which];

    if (!*stmt) {
        int rc = sqlite3_prepare_v3(conn->db, sql, -1, SQLITE_PREPARE_PERSISTENT, stmt, NULL);

        if (rc != SQLITE_OK)
            *reterr = vmafx_sqlite_error(conn->db, rc, fault);
    }
    return *stmt;
}

void vmafx_sqlite_reset(sqlite3_stmt **stmt)
{
    if (*stmt) {
        sqlite3_reset(*stmt);
        sqlite3_clear_bindings(*stmt); /* what was bound is borrowed */
    }
}

/* ---- connections ---- */

static void conn_close(VmafxSqliteConn *conn)
{
    for (size_t i = 0; i < STMTS; i++)
        sqlite3_finalize(conn->stmts[i]);
    sqlite3_close(conn->db);
    *conn = (VmafxSqliteConn){ 0 };
}

static VmafxErr conn_open(VmafxSqliteConn *conn, const char *path, const char *settings, VmafxStoreFault *fault)
{
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    int rc = sqlite3_open_v2(path, &conn->db, flags, NULL);

    if (rc == SQLITE_OK)
        rc = sqlite3_busy_timeout(conn->db, BUSY_MS);
    if (rc == SQLITE_OK)
        rc = sqlite3_db_config(conn->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(conn->db, settings, NULL, NULL, NULL);
    VmafxErr err = vmafx_sqlite_error(conn->db, rc, fault);
    if (err)
        conn_close(conn);
    return err;
}

static const char reader_settings[] =
    "PRAGMA query_only = ON; PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;";

VmafxErr vmafx_sqlite_reader_take(VmafxSqlite *s, VmafxSqliteConn **ret, VmafxStoreFault *fault)
{
    VmafxSqliteConn *conn = NULL;

    pthread_mutex_lock(&s->lock);
    for (;;) {
        for (size_t i = 0; !conn && i < VMAFX_SQLITE_READERS; i++)
            if (!s->readers[i].busy)
                conn = &s->readers[i];
        if (conn)
            break;
        pthread_cond_wait(&s->freed, &s->lock);
    }
    conn->busy = true;
    pthread_mutex_unlock(&s->lock);
    VmafxErr err = conn->db ? VMAFX_OK : conn_open(conn, s->path, reader_settings, fault);
    if (err)
        vmafx_sqlite_reader_give(s, conn);
    else
        *ret = conn;
    return err;
}

void vmafx_sqlite_reader_give(VmafxSqlite *s, VmafxSqliteConn *conn)
{
    pthread_mutex_lock(&s->lock);
    conn->busy = false;
    pthread_cond_signal(&s->freed);
    pthread_mutex_unlock(&s->lock);
}

/* ---- the file ---- */

/* Who has it, for the sentence; 0: nobody says. */
static long lock_owner(int fd)
{
    char text[32] = { 0 };

    return pread(fd, text, sizeof text - 1, 0) > 0 ? strtol(text, NULL, 10) : 0;
}

/*
 * The lock is on a file of its own: SQLite's locks come and go, and closing any descriptor of the database's file would
 * drop them. It is an open file description's, so that a second store in this process is refused as well.
 */
static VmafxErr take_lock(VmafxSqlite *s, VmafxStoreFault *fault)
{
    VMAFX_AUTO(vmafx_free_p) char *path = vmafx_sprintf("%s.lock", s->path);
    struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

    if (!path)
        return vmafx_fail(&fault->info, VMAFX_ERR_NOMEM, "no memory for the store '%s'", s->path);
    s->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (s->lock_fd < 0)
        return vmafx_fail(&fault->info, VMAFX_ERR_IO, "cannot make '%s' beside the store: %s; see to its folder", path,
                          strerror(errno));
    if (fcntl(s->lock_fd, F_OFD_SETLK, &whole)) {
        if (errno == EAGAIN || errno == EACCES)
            return vmafx_fail(&fault->info, VMAFX_ERR_IO,
                              "cannot open the store '%s': process %ld has it open; end that one, or name another file",
                              s->path, lock_owner(s->lock_fd));
        return vmafx_fail(&fault->info, VMAFX_ERR_IO, "cannot lock '%s': %s; the store needs a file system with locks",
                          path, strerror(errno));
    }
    if (ftruncate(s->lock_fd, 0) || dprintf(s->lock_fd, "%ld\n", (long)getpid()) < 0)
        return VMAFX_OK; /* the number is for people; the lock is what counts */
    return VMAFX_OK;
}

/* A file that was just made survives a loss of power only with its name. What cannot be synced this way need not be. */
static void sync_folder(const char *path)
{
    VMAFX_AUTO(vmafx_free_p) char *folder = vmafx_strdup(path);
    char *slash = folder ? strrchr(folder, '/') : NULL;

    if (slash)
        slash[slash == folder] = 0;
    int fd = open(slash ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        VMAFX_IGNORE(fsync(fd)); /* not every file system can */
        close(fd);
    }
}

/* Jobs are nobody else's business: the file is made for its owner, and SQLite makes the others like it. */
static VmafxErr make_file(VmafxSqlite *s, VmafxStoreFault *fault)
{
    int fd = open(s->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    if (fd < 0)
        return vmafx_fail(&fault->info, VMAFX_ERR_IO,
                          "cannot open or make the store '%s': %s; see to its folder and permissions", s->path,
                          strerror(errno));
    close(fd);
    sync_folder(s->path);
    return VMAFX_OK;
}

static VmafxErr begin_wal(VmafxSqlite *s, VmafxStoreFault *fault)
{
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(s->writer.db, "PRAGMA journal_mode = WAL", -1, &stmt, NULL);

    if (rc == SQLITE_OK)
        rc = sqlite3_step(stmt);
    VmafxErr err = vmafx_sqlite_error(s->writer.db, rc, fault);
    const char *mode = err ? NULL : (const char *)sqlite3_column_text(stmt, 0);
    if (!err && (!mode || strcmp(mode, "wal") != 0))
        err = vmafx_fail(
            &fault->info, VMAFX_ERR_IO,
            "cannot open the store '%s': its file system lacks what write-ahead logs need; name a local one", s->path);
    sqlite3_finalize(stmt);
    return err;
}

static VmafxErr open_writer(VmafxSqlite *s, VmafxDurability durability, VmafxStoreFault *fault)
{
    char settings[512];

    snprintf(settings, sizeof settings,
             "PRAGMA synchronous = %s; PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF;"
             "PRAGMA cell_size_check = ON; PRAGMA cache_size = -16384; PRAGMA temp_store = MEMORY;"
             "PRAGMA journal_size_limit = 67108864",
             durability == VMAFX_DURABILITY_NORMAL ? "NORMAL" : "FULL");
    VmafxErr err = conn_open(&s->writer, s->path, settings, fault);
    if (!err)
        err = vmafx_sqlite_schema_check(s->writer.db, vmafx_sqlite_schema_steps, fault); /* before anything changes */
    if (!err)
        err = begin_wal(s, fault);
    if (!err)
        err = vmafx_sqlite_migrate(s->writer.db, vmafx_sqlite_schema, vmafx_sqlite_schema_steps, fault);
    /* What takes a transaction back is at hand before there is one: memory may be what it failed for. */
    if (!err)
        vmafx_sqlite_stmt(&s->writer, STMT_ROLLBACK, "ROLLBACK", &err, fault);
    return err;
}

VmafxErr vmafx_sqlite_open(const char *path, VmafxDurability durability, void **ret, VmafxStoreFault *fault)
{
    if (!strcmp(path, ":memory:"))
        return vmafx_fail(&fault->info, VMAFX_ERR_UNSUPPORTED, "a store needs a file; ':memory:' is none");
    if (!sqlite3_threadsafe())
        return vmafx_fail(&fault->info, VMAFX_ERR_UNSUPPORTED,
                          "this SQLite was built for one thread only; install another");
    VmafxSqlite *s = calloc(1, sizeof *s);
    if (!s || !(s->path = vmafx_strdup(path))) {
        free(s);
        return vmafx_fail(&fault->info, VMAFX_ERR_NOMEM, "no memory for the store '%s'", path);
    }
    s->lock_fd = -1;
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->freed, NULL);
    VmafxErr err = take_lock(s, fault);
    if (!err)
        err = make_file(s, fault);
    if (!err)
        err = open_writer(s, durability, fault);
    if (err)
        vmafx_sqlite_close((void **)&s);
    else
        *ret = s;
    return err;
}

void vmafx_sqlite_close(void **db)
{
    VmafxSqlite *s = *db;

    for (size_t i = 0; i < VMAFX_SQLITE_READERS; i++)
        conn_close(&s->readers[i]);
    conn_close(&s->writer);
    if (s->lock_fd >= 0)
        close(s->lock_fd); /* last: until here nobody else may write */
    pthread_mutex_destroy(&s->lock);
    pthread_cond_destroy(&s->freed);
    free(s->path);
    free(s);
    *db = NULL;
}

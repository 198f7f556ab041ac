/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* SQLite as a store: the common suite, and what only a file on a disk can do wrong. */

#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base.h"
#include "store/sqlite/sqlite.h"
#include "store_suite.h"

/* ---- a folder, and a database in it for each test ---- */

static char folder[64], path[96];

static void new_database(void)
{
    static unsigned number;

    snprintf(path, sizeof path, "%s/%u.db", folder, number++);
}

static VmafxErr open_here(const VmafxStoreConfig *config, VmafxStore **ret, VmafxErrInfo *reterr)
{
    VmafxStoreConfig here = *config;

    here.url = path;
    return vmafx_store_open(&here, ret, reterr);
}

/* No file may grow: a write fails in the place where it fails on a full disk. SIGXFSZ is ignored, see main. */
static void fail_writes(bool on)
{
    struct rlimit limit;

    getrlimit(RLIMIT_FSIZE, &limit);
    limit.rlim_cur = on ? 1 : limit.rlim_max;
    setrlimit(RLIMIT_FSIZE, &limit);
}

static void break_row(const VmafxJobId *id);

static const StoreSuite sqlite_suite = { open_here, new_database, fail_writes, break_row };

static int remove_one(const char *name, const struct stat *st, int kind, struct FTW *at)
{
    return remove(name);
}

static int make_folder(void)
{
    strcpy(folder, "/tmp/vmafx_store_XXXXXX");
    return mkdtemp(folder) && !chmod(folder, 0755) ? 0 : -1;
}

static int remove_folder(void)
{
    return nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* Opens the test's database with the machine's clock. */
static VmafxErr open_plain(VmafxStore **ret, VmafxErrInfo *reterr)
{
    VmafxStoreConfig config = { .url = path, .durability = VMAFX_DURABILITY_NORMAL, .rules = VMAFX_FLEET_RULES };

    *ret = NULL;
    return vmafx_store_open(&config, ret, reterr);
}

static VmafxErr submit_to(VmafxStore *store, uint32_t number)
{
    VmafxSubmission s = suite_submission(number);
    VmafxStoreOp op = { .kind = VMAFX_STORE_SUBMIT, .submissions = &s, .n_submissions = 1 };
    VmafxErr err = vmafx_store_wait(store, &op);

    if (!err)
        err = op.items[0].err;
    vmafx_store_op_done(&op);
    return err;
}

static void run_sql(const char *sql)
{
    sqlite3 *db = NULL;
    char *message = NULL;

    if (sqlite3_open(path, &db) || sqlite3_exec(db, sql, NULL, NULL, &message))
        fail_msg("%s: %s", sql, message ? message : sqlite3_errmsg(db));
    sqlite3_close(db);
}

static void break_row(const VmafxJobId *id)
{
    char sql[128], hex[2 * sizeof id->bytes + 1];

    for (size_t i = 0; i < sizeof id->bytes; i++)
        snprintf(hex + 2 * i, 3, "%02x", id->bytes[i]);
    snprintf(sql, sizeof sql, "UPDATE job SET ended = 7 WHERE id = x'%s'", hex);
    run_sql(sql);
}

static int64_t ask_sql(const char *sql)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *stmt = NULL;

    if (sqlite3_open(path, &db) || sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) || sqlite3_step(stmt) != SQLITE_ROW)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    int64_t number = sqlite3_column_int64(stmt, 0);
    sqlite3_finalize(stmt);
    sqlite3_close(db);
    return number;
}

/* Runs a part of a test in a process of its own; its exit status. */
static int in_child(int (*body)(int fd), int fd)
{
    int status;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (!pid)
        _exit(body(fd));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

/* ---- one writer ---- */

static int try_to_open(int fd)
{
    VmafxStore *store;
    VmafxErrInfo info = { 0 };
    VmafxErr err = open_plain(&store, &info);
    char owner[32];

    snprintf(owner, sizeof owner, "process %ld", (long)getppid());
    return err != VMAFX_ERR_IO ? 1 : !strstr(info.message, path) ? 2 : !strstr(info.message, owner) ? 3 : 0;
}

static void a_second_process_and_a_second_store_of_this_one_are_refused_with_a_sentence(void **state)
{
    VmafxStore *store, *second;
    VmafxErrInfo info = { 0 };

    new_database();
    assert_int_equal(open_plain(&store, &info), VMAFX_OK);
    assert_int_equal(in_child(try_to_open, -1), 0);
    assert_int_equal(open_plain(&second, &info), VMAFX_ERR_IO);
    assert_non_null(strstr(info.message, path));
    assert_int_equal(submit_to(store, 1), VMAFX_OK); /* the first is none the worse for it */
    vmafx_store_close(&store);
    assert_int_equal(open_plain(&store, &info), VMAFX_OK);
    vmafx_store_close(&store);
}

static void its_files_are_for_their_owner_alone(void **state)
{
    static const char *const suffixes[] = { "", "-wal", "-shm", ".lock" };
    VmafxStore *store;
    VmafxErrInfo info = { 0 };
    mode_t before = umask(0);

    new_database();
    assert_int_equal(open_plain(&store, &info), VMAFX_OK);
    assert_int_equal(submit_to(store, 1), VMAFX_OK);
    for (size_t i = 0; i < VMAFX_LEN(suffixes); i++) {
        VMAFX_AUTO(vmafx_free_p) char *name = vmafx_sprintf("%s%s", path, suffixes[i]);
        struct stat st;

        assert_int_equal(stat(name, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0600);
    }
    umask(before);
    vmafx_store_close(&store);
}

/* ---- what was reported is there ---- */

enum { WRITERS = 4, REPORTS = 300 };

typedef struct Writer {
    VmafxStore *store;
    uint32_t first;
    int fd;
} Writer;

static void *submit_and_report(void *arg)
{
    Writer *w = arg;

    for (uint32_t n = w->first;; n += WRITERS) {
        VmafxSubmission s = suite_submission(0);
        VmafxStoreOp op = { .kind = VMAFX_STORE_SUBMIT, .submissions = &s, .n_submissions = 1 };

        s.job.id = suite_id(n);
        s.spec = "spec";
        s.spec_len = 4;
        if (vmafx_store_wait(w->store, &op) || op.items[0].err || write(w->fd, &n, sizeof n) != sizeof n)
            return NULL;
        vmafx_store_op_done(&op);
    }
}

static int write_until_killed(int fd)
{
    VmafxStore *store;
    Writer writers[WRITERS];
    pthread_t threads[WRITERS];

    if (open_plain(&store, NULL))
        return 1;
    for (uint32_t i = 0; i < WRITERS; i++) {
        writers[i] = (Writer){ store, i + 1, fd };
        if (pthread_create(&threads[i], NULL, submit_and_report, &writers[i]))
            return 2;
    }
    for (uint32_t i = 0; i < WRITERS; i++)
        pthread_join(threads[i], NULL);
    return 3;
}

static void everything_that_was_reported_is_there_after_a_kill(void **state)
{
    int fds[2], status;
    uint32_t reported[REPORTS + 4096];
    size_t n = 0;
    VmafxStore *store;
    VmafxErrInfo info = { 0 };

    new_database();
    assert_int_equal(pipe(fds), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (!pid)
        _exit(write_until_killed(fds[1]));
    close(fds[1]);
    while (n < REPORTS && read(fds[0], &reported[n], sizeof *reported) == sizeof *reported)
        n++;
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(n, REPORTS);
    while (n < VMAFX_LEN(reported) && read(fds[0], &reported[n], sizeof *reported) == sizeof *reported)
        n++; /* reported as well, while we made up our mind */
    close(fds[0]);

    assert_int_equal(open_plain(&store, &info), VMAFX_OK);
    for (size_t i = 0; i < n; i++) {
        VmafxJobId id = suite_id(reported[i]);
        VmafxStoredJob stored;
        VmafxStoredEvents events;

        assert_int_equal(vmafx_store_get(store, &id, &stored), VMAFX_OK);
        vmafx_stored_job_done(&stored);
        assert_int_equal(vmafx_store_events(store, &id, 0, 10, &events), VMAFX_OK);
        assert_int_equal(events.n, 1);
        vmafx_stored_events_done(&events);
    }
    VmafxStoreCounts counts;
    assert_int_equal(vmafx_store_counts(store, &counts), VMAFX_OK);
    assert_true(counts.queued >= n);
    vmafx_store_close(&store);
    assert_int_equal(ask_sql("SELECT count(*) FROM job"), (int64_t)counts.queued); /* the counts are true */
    assert_int_equal(ask_sql("SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'"), 0);
}

/* ---- disks ---- */

static int open_as_nobody(int fd)
{
    VmafxStore *store;
    VmafxErrInfo info = { 0 };

    if (!geteuid() && (setgid(65534) || setuid(65534)))
        return 99;
    VmafxErr err = open_plain(&store, &info);
    return err != VMAFX_ERR_IO ? 1 : !strstr(info.message, path) ? 2 : 0;
}

static void a_folder_that_cannot_be_written_is_refused_with_a_sentence(void **state)
{
    char sub[80];
    VmafxStore *store;
    VmafxErrInfo info = { 0 };

    snprintf(sub, sizeof sub, "%s/read-only", folder);
    assert_int_equal(mkdir(sub, 0555), 0);
    snprintf(path, sizeof path, "%s/a.db", sub);
    assert_int_equal(in_child(open_as_nobody, -1), 0);
    snprintf(path, sizeof path, "%s/no/such/folder/a.db", folder);
    assert_int_equal(open_plain(&store, &info), VMAFX_ERR_IO);
    assert_non_null(strstr(info.message, "No such file"));
}

static VmafxErr end_with(VmafxStore *store, uint32_t number, const char *data, size_t len, VmafxErrInfo *why)
{
    VmafxStoreOp op = {
        .kind = VMAFX_STORE_END, .job = suite_id(number), .report = suite_success("n", 1), .result = { data, len }
    };

    VmafxErr err = vmafx_store_wait(store, &op);
    *why = op.why;
    vmafx_store_op_done(&op);
    return err;
}

static VmafxErr lease_from(VmafxStore *store)
{
    static const uint8_t random[8] = { 1 };
    VmafxStoreOp op = { .kind = VMAFX_STORE_LEASE, .capacity = { "n", 1, 1000 }, .random = random };
    VmafxErr err = vmafx_store_wait(store, &op);

    if (!err && !op.n_items)
        err = VMAFX_ERR_NOT_FOUND;
    vmafx_store_op_done(&op);
    return err;
}

#define EXPECT(condition, number)                                                                                      \
    if (!(condition))                                                                                                  \
    return number

/* The disk is full where a file may not grow past a limit: the write fails in the same place. */
static int fill_the_disk(int fd)
{
    enum { LEN = 4 << 20 };
    char *large = malloc(LEN);
    struct rlimit limit = { 1 << 20, RLIM_INFINITY }, none = { RLIM_INFINITY, RLIM_INFINITY };
    VmafxStore *store;
    VmafxErrInfo info = { 0 };
    VmafxStoreCounts counts;
    VmafxStoredEvents events;

    EXPECT(large && !open_plain(&store, &info), 1);
    for (size_t i = 0; i < LEN; i++)
        large[i] = (char)(i * 2654435761u >> 13);
    signal(SIGXFSZ, SIG_IGN);
    EXPECT(!submit_to(store, 1) && !submit_to(store, 2) && !lease_from(store), 2);
    EXPECT(!setrlimit(RLIMIT_FSIZE, &limit), 3);
    EXPECT(end_with(store, 1, large, LEN, &info) == VMAFX_ERR_IO, 4);
    EXPECT(strstr(info.message, path), 5);
    EXPECT(!vmafx_store_counts(store, &counts) && counts.running == 1 && counts.succeeded == 0, 6);
    EXPECT(!vmafx_store_events(store, NULL, 0, 100, &events) && events.n == 3, 7); /* nothing half-changed */
    vmafx_stored_events_done(&events);
    EXPECT(!end_with(store, 1, large, 1000, &info), 8); /* what is small still fits */
    EXPECT(!setrlimit(RLIMIT_FSIZE, &none), 9);
    EXPECT(!lease_from(store) && !end_with(store, 2, large, LEN, &info), 10); /* room again: on it goes */
    EXPECT(!vmafx_store_ready(store, &info), 11);
    EXPECT(!vmafx_store_counts(store, &counts) && counts.succeeded == 2, 12);
    vmafx_store_close(&store);
    free(large);
    return 0;
}

static void a_full_disk_changes_nothing_and_room_on_it_is_enough_to_go_on(void **state)
{
    new_database();
    assert_int_equal(in_child(fill_the_disk, -1), 0);
    assert_int_equal(ask_sql("SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'"), 0);
}

typedef struct Pending {
    VmafxStoreOp op;
    VmafxSubmission submission;
    VmafxErr err;
} Pending;

static void keep_err(VmafxStoreOp *op)
{
    Pending *p = op->ctx;

    p->err = op->err ? op->err : op->n_items ? op->items[0].err : VMAFX_OK;
}

/* The writer waits here once, so that a group gathers behind it. */
static sem_t entered, go_on;
static atomic_bool hold;

static void hold_writer(void *ctx, const VmafxEvent *events, const VmafxJob *const *jobs, size_t n)
{
    if (!atomic_exchange(&hold, false))
        return;
    sem_post(&entered);
    sem_wait(&go_on);
}

/* Opens the test's database, and has the writer held after the next operation. */
static VmafxErr open_held(VmafxStore **ret)
{
    VmafxStoreConfig config = {
        .url = path, .durability = VMAFX_DURABILITY_NORMAL, .rules = VMAFX_FLEET_RULES, .on_events = hold_writer
    };

    sem_init(&entered, 0, 0);
    sem_init(&go_on, 0, 0);
    return vmafx_store_open(&config, ret, NULL);
}

/* One operation of a group needs more room than there is; the others are small. */
static int fill_the_disk_with_one_of_many(int fd)
{
    enum { LEN = 8 << 20, N = 20 };
    char *large = malloc(LEN);
    Pending *pending = calloc(N, sizeof *pending);
    struct rlimit limit = { 4 << 20, RLIM_INFINITY };
    VmafxStore *store;

    EXPECT(large && pending && !open_held(&store), 1);
    for (size_t i = 0; i < LEN; i++)
        large[i] = (char)(i * 2654435761u >> 13);
    signal(SIGXFSZ, SIG_IGN);
    EXPECT(!submit_to(store, 1) && !lease_from(store), 2);
    EXPECT(!setrlimit(RLIMIT_FSIZE, &limit), 3);
    hold = true;
    for (uint32_t i = 0; i < N; i++) {
        Pending *p = &pending[i];

        p->submission = suite_submission(10 + i);
        p->op = (VmafxStoreOp){
            .kind = VMAFX_STORE_SUBMIT, .submissions = &p->submission, .n_submissions = 1, .done = keep_err, .ctx = p
        };
        if (i == N / 2) {
            p->op.kind = VMAFX_STORE_END;
            p->op.job = suite_id(1);
            p->op.report = suite_success("n", 1);
            p->op.result = (VmafxStoreBlob){ large, LEN };
        }
        vmafx_store_submit_op(store, &p->op);
        if (i == 0)
            sem_wait(&entered); /* all the others are one group */
    }
    sem_post(&go_on);
    vmafx_store_close(&store);
    for (int i = 0; i < N; i++) {
        EXPECT(pending[i].err == (i == N / 2 ? VMAFX_ERR_IO : VMAFX_OK), 10 + i);
        vmafx_store_op_done(&pending[i].op);
    }
    free(pending);
    free(large);
    return 0;
}

static void an_operation_that_does_not_fit_does_not_take_its_group_with_it(void **state)
{
    new_database();
    assert_int_equal(in_child(fill_the_disk_with_one_of_many, -1), 0);
    assert_int_equal(ask_sql("SELECT count(*) FROM job WHERE state = 1"), 19);
    assert_int_equal(ask_sql("SELECT count(*) FROM event"), 21);
    assert_int_equal(ask_sql("SELECT n FROM count WHERE state = 1"), 19);
}

/* The database refuses a row in the middle of an operation: a trigger of the test's. */
static void an_operation_that_fails_halfway_is_undone_alone_and_nobody_hears_of_it(void **state)
{
    VmafxStore *store;
    Pending pending[4] = { 0 };
    VmafxErrInfo info = { 0 };
    int64_t newest = 0;

    new_database();
    assert_int_equal(open_plain(&store, NULL), VMAFX_OK);
    assert_int_equal(submit_to(store, 1), VMAFX_OK);
    assert_int_equal(lease_from(store), VMAFX_OK);
    vmafx_store_close(&store);
    run_sql("CREATE TRIGGER refuse BEFORE INSERT ON result BEGIN SELECT RAISE(ABORT, 'no'); END");
    assert_int_equal(open_held(&store), VMAFX_OK);
    hold = true;
    for (uint32_t i = 0; i < VMAFX_LEN(pending); i++) {
        Pending *p = &pending[i];

        p->submission = suite_submission(10 + i);
        p->op = (VmafxStoreOp){
            .kind = VMAFX_STORE_SUBMIT, .submissions = &p->submission, .n_submissions = 1, .done = keep_err, .ctx = p
        };
        if (i == 2) {
            p->op.kind = VMAFX_STORE_END;
            p->op.job = suite_id(1);
            p->op.report = suite_success("n", 1);
            p->op.result = (VmafxStoreBlob){ "r", 1 };
        }
        vmafx_store_submit_op(store, &p->op);
        if (i == 0)
            sem_wait(&entered);
    }
    sem_post(&go_on);
    assert_int_equal(submit_to(store, 20), VMAFX_OK);
    for (uint32_t i = 0; i < VMAFX_LEN(pending); i++) {
        assert_int_equal(pending[i].err, i == 2 ? VMAFX_ERR_INTERNAL : VMAFX_OK);
        vmafx_store_op_done(&pending[i].op);
    }
    assert_int_equal(end_with(store, 1, "r", 1, &info), VMAFX_ERR_INTERNAL);
    assert_non_null(strstr(info.message, "no"));
    assert_int_equal(vmafx_store_wait_events(store, 0, 0, &newest), VMAFX_OK);
    vmafx_store_close(&store);
    assert_int_equal(ask_sql("SELECT state FROM job WHERE n = 1"), VMAFX_JOB_RUNNING);
    assert_int_equal(ask_sql("SELECT count(*) FROM event"), 6);
    assert_int_equal(ask_sql("SELECT max(sequence) FROM event"), newest);
    run_sql("DROP TRIGGER refuse");
    assert_int_equal(open_plain(&store, NULL), VMAFX_OK);
    assert_int_equal(end_with(store, 1, "r", 1, &info), VMAFX_OK);
    vmafx_store_close(&store);
}

/* ---- damage ---- */

static void write_at(off_t at, const void *data, size_t len)
{
    int fd = open(path, O_RDWR | O_CREAT, 0600);

    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, data, len, at), (ssize_t)len);
    close(fd);
}

static void fill_database(uint32_t jobs)
{
    VmafxStore *store;

    new_database();
    assert_int_equal(open_plain(&store, NULL), VMAFX_OK);
    for (uint32_t i = 1; i <= jobs; i++)
        assert_int_equal(submit_to(store, i), VMAFX_OK);
    vmafx_store_close(&store);
}

static void a_file_that_is_no_database_is_damaged_and_left_as_it_is(void **state)
{
    VmafxStore *store;
    VmafxErrInfo info = { 0 };
    char text[4096], after[4096];

    new_database();
    memset(text, 'x', sizeof text);
    write_at(0, text, sizeof text);
    assert_int_equal(open_plain(&store, &info), VMAFX_ERR_CORRUPT);
    assert_non_null(strstr(info.message, path));
    int fd = open(path, O_RDONLY);
    assert_int_equal(read(fd, after, sizeof after), sizeof after);
    close(fd);
    assert_memory_equal(text, after, sizeof text);
}

static void damaged_pages_are_reported_and_never_crash(void **state)
{
    char noise[512];
    int damaged = 0;

    for (size_t i = 0; i < sizeof noise; i++)
        noise[i] = (char)(i * 37 + 11);
    for (int page = 1; page < 60; page += 2) {
        VmafxStore *store;
        VmafxErrInfo info = { 0 };
        VmafxStoreFilter filter = { .limit = 1000 };
        VmafxStoredJobs jobs = { 0 };

        fill_database(60);
        struct stat st;
        assert_int_equal(stat(path, &st), 0);
        if (page * 4096 >= st.st_size)
            break;
        write_at((off_t)page * 4096 + page % 7, noise, sizeof noise);
        VmafxErr err = open_plain(&store, &info);
        if (err) {
            assert_true(err == VMAFX_ERR_CORRUPT || err == VMAFX_ERR_INTERNAL);
            assert_true(info.message[0]);
            damaged++;
            continue;
        }
        err = vmafx_store_list(store, &filter, &jobs);
        vmafx_stored_jobs_done(&jobs);
        VmafxErr leased = lease_from(store), submitted = submit_to(store, 100);
        damaged += err == VMAFX_ERR_CORRUPT || leased == VMAFX_ERR_CORRUPT || submitted == VMAFX_ERR_CORRUPT;
        vmafx_store_close(&store);
    }
    assert_true(damaged > 5);
}

static void a_result_whose_bytes_have_changed_is_not_handed_out(void **state)
{
    VmafxStore *store;
    VmafxErrInfo info = { 0 };
    VmafxJobId id = suite_id(1);
    void *data = NULL;
    size_t len;

    fill_database(1);
    assert_int_equal(open_plain(&store, NULL), VMAFX_OK);
    assert_int_equal(lease_from(store), VMAFX_OK);
    assert_int_equal(end_with(store, 1, "a result", 8, &info), VMAFX_OK);
    assert_int_equal(vmafx_store_result(store, &id, &data, &len), VMAFX_OK);
    free(data);
    vmafx_store_close(&store);
    run_sql("UPDATE result SET data = x'00'");
    assert_int_equal(open_plain(&store, NULL), VMAFX_OK);
    assert_int_equal(vmafx_store_result(store, &id, &data, &len), VMAFX_ERR_CORRUPT);
    vmafx_store_close(&store);
}

static void a_row_that_breaks_the_rules_is_damage_and_its_job_is_named(void **state)
{
    VmafxStore *store;
    VmafxErrInfo info = { 0 };
    VmafxJobId id = suite_id(1), other = suite_id(2);
    VmafxStoredJob stored;
    VmafxStoreOp op = { .kind = VMAFX_STORE_CANCEL, .job = id, .reason = "" };
    char text[VMAFX_JOB_ID_TEXT];

    fill_database(2);
    run_sql("UPDATE job SET ended = 7 WHERE n = 1");
    assert_int_equal(open_plain(&store, &info), VMAFX_OK);
    assert_int_equal(vmafx_store_get(store, &id, &stored), VMAFX_ERR_CORRUPT);
    assert_int_equal(vmafx_store_get(store, &other, &stored), VMAFX_OK);
    vmafx_stored_job_done(&stored);
    assert_int_equal(vmafx_store_wait(store, &op), VMAFX_ERR_CORRUPT);
    vmafx_job_id_text(&id, text);
    assert_non_null(strstr(op.why.message, text));
    vmafx_store_op_done(&op);
    vmafx_store_close(&store);
}

/** A message may stem from a version that cut texts anywhere. */
static void a_text_that_is_not_utf_8_is_mended_when_it_is_read(void **state)
{
    VmafxStore *store;
    VmafxJobId id = suite_id(1);
    VmafxStoredJob stored;
    VmafxStoredEvents events;

    fill_database(1);
    run_sql("UPDATE job SET message = CAST(x'61ff62c3' AS TEXT); UPDATE event SET message = CAST(x'c3' AS TEXT)");
    assert_int_equal(open_plain(&store, NULL), VMAFX_OK);
    assert_int_equal(vmafx_store_get(store, &id, &stored), VMAFX_OK);
    assert_string_equal(stored.job.message, "a?b");
    assert_int_equal(vmafx_store_events(store, &id, 0, 10, &events), VMAFX_OK);
    assert_string_equal(events.items[0].message, "");
    vmafx_stored_events_done(&events);
    vmafx_stored_job_done(&stored);
    vmafx_store_close(&store);
}

static void a_job_without_its_request_is_set_aside_and_a_stale_mark_made_right(void **state)
{
    VmafxStore *store;
    VmafxErrInfo info = { 0 };

    fill_database(3);
    run_sql("DELETE FROM spec WHERE job = 1");
    run_sql("UPDATE job SET not_before = 9223372036854775806 WHERE n = 2"); /* yet it is marked as ready */
    assert_int_equal(open_plain(&store, &info), VMAFX_OK);
    assert_int_equal(lease_from(store), VMAFX_OK);
    assert_int_equal(lease_from(store), VMAFX_ERR_NOT_FOUND);
    vmafx_store_close(&store);
    assert_int_equal(ask_sql("SELECT state FROM job WHERE n = 1"), 0);
    assert_int_equal(ask_sql("SELECT state FROM aside WHERE job = 1 AND why LIKE '%request%'"), VMAFX_JOB_QUEUED);
    assert_int_equal(ask_sql("SELECT ready FROM job WHERE n = 2"), 0);
    assert_int_equal(ask_sql("SELECT state FROM job WHERE n = 3"), VMAFX_JOB_RUNNING);
    assert_int_equal(ask_sql("SELECT count(*) FROM event WHERE job = 1"), 1); /* of the lease it did not get, none */
}

/* An operation that is undone alone takes back the grace that it gave, but its group is written. */
static void a_grace_that_was_undone_is_still_owed(void **state)
{
    VmafxSubmission s = suite_submission(2);
    VmafxStoreOp expire = { .kind = VMAFX_STORE_EXPIRE, .limit = 10 };

    suite_setup(state);
    s.job.deadline = SUITE_EPOCH + SUITE_SECOND;
    suite_submit_plain(1);
    suite_assert_leased("n", 1);
    assert_int_equal(suite_submit(&s, NULL), VMAFX_OK);
    suite_fail_writes(true);
    assert_int_equal(suite_renew("n", 1, 1), VMAFX_ERR_IO);
    suite_fail_writes(false);
    suite_pass(suite_config()->rules.lease_us);
    run_sql("CREATE TRIGGER refuse BEFORE INSERT ON event BEGIN SELECT RAISE(ABORT, 'no'); END");
    assert_int_equal(vmafx_store_wait(suite_store(), &expire), VMAFX_ERR_INTERNAL); /* the deadline's event */
    vmafx_store_op_done(&expire);
    run_sql("DROP TRIGGER refuse");
    assert_int_equal(suite_expire(), 1);
    assert_int_equal(suite_get(1).state, VMAFX_JOB_RUNNING);
    assert_int_equal(suite_get(2).state, VMAFX_JOB_FAILED);
    suite_teardown(state);
}

/* ---- lists ---- */

enum { OLD = 40, NEW = 4000 };

/* Jobs a second apart, with ids of their time: a few in question, and more behind them. */
static void fill_timeline(void)
{
    VmafxSubmission s = suite_submission(0);
    static const VmafxStoreLabel label = { "k", "v" };
    VmafxStoreOp op = { .kind = VMAFX_STORE_SUBMIT, .submissions = &s, .n_submissions = 1 };

    s.labels = &label;
    s.n_labels = 1;
    for (uint32_t i = 0; i < OLD + NEW; i++) {
        uint8_t random[10] = { 0 };

        memcpy(random + 6, &i, sizeof i);
        vmafx_job_id_make(vmafx_store_now(suite_store()), random, &s.job.id);
        assert_int_equal(vmafx_store_wait(suite_store(), &op), VMAFX_OK);
        vmafx_store_op_done(&op);
        suite_pass(SUITE_SECOND);
    }
}

/* How many steps SQLite takes for a list; n rows must come out. */
static int steps_of(VmafxSqliteConn *conn, const VmafxStoreFilter *filter, int n)
{
    VmafxStoreFault fault = { 0 };
    sqlite3_stmt *stmt = NULL;

    assert_int_equal(vmafx_sqlite_list_prepare(conn, filter, &stmt, &fault), VMAFX_OK);
    while (sqlite3_step(stmt) == SQLITE_ROW)
        n--;
    assert_int_equal(n, 0);
    int steps = sqlite3_stmt_status(stmt, SQLITE_STMTSTATUS_VM_STEP, 0);
    sqlite3_finalize(stmt);
    return steps;
}

static void a_list_by_time_is_sought_and_does_not_walk_what_is_newer_or_older(void **state)
{
    static const VmafxStoreLabel label = { "k", "v" };
    static const VmafxWall newest = SUITE_EPOCH + (OLD + NEW - 1) * (int64_t)SUITE_SECOND;
    static const struct {
        const char *why;
        VmafxStoreFilter filter;
    } cases[] = {
        { "all", { .limit = 20 } },
        { "a state", { .states = 1u << VMAFX_JOB_QUEUED, .limit = 20 } },
        { "a submitter", { .submitter = "alice", .limit = 20 } },
        { "a label", { .labels = &label, .n_labels = 1, .limit = 20 } },
    };
    VmafxSqliteConn conn = { 0 };

    suite_setup(state);
    fill_timeline();
    assert_int_equal(sqlite3_open(path, &conn.db), SQLITE_OK);
    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        VmafxStoreFilter filter = cases[i].filter;
        int plain = steps_of(&conn, &filter, 21);

        filter.created_before = SUITE_EPOCH + OLD * SUITE_SECOND;
        int before = steps_of(&conn, &filter, 21);
        filter.created_before = 0;
        filter.created_from = newest + 1;
        int from = steps_of(&conn, &filter, 0);
        if (before > plain + plain / 2 || from > plain)
            fail_msg("%s: %d steps for the newest, %d for old ones, %d for none", cases[i].why, plain, before, from);
    }
    for (size_t i = 0; i < STMTS; i++)
        sqlite3_finalize(conn.stmts[i]);
    sqlite3_close(conn.db);
    suite_teardown(state);
}

/* ---- versions ---- */

static void a_newer_database_and_one_of_another_program_are_refused_unchanged(void **state)
{
    VmafxStore *store;
    VmafxErrInfo info = { 0 };

    fill_database(1);
    run_sql("PRAGMA user_version = 99");
    assert_int_equal(open_plain(&store, &info), VMAFX_ERR_UNSUPPORTED);
    assert_non_null(strstr(info.message, "newer"));
    assert_int_equal(ask_sql("PRAGMA user_version"), 99);
    new_database();
    run_sql("CREATE TABLE theirs (x)");
    assert_int_equal(open_plain(&store, &info), VMAFX_ERR_UNSUPPORTED);
    assert_int_equal(ask_sql("SELECT count(*) FROM sqlite_schema"), 1);
    assert_int_equal(ask_sql("PRAGMA user_version"), 0);
}

/* A migration of the sqlite room's, with steps of the test's behind those there are. */
static VmafxErr migrate(const char *further, VmafxErrInfo *reterr)
{
    const char *steps[16];
    size_t n = vmafx_sqlite_schema_steps;
    sqlite3 *db = NULL;
    VmafxStoreFault fault = { 0 };

    assert_true(n + 1 < VMAFX_LEN(steps));
    memcpy(steps, vmafx_sqlite_schema, n * sizeof *steps);
    steps[n++] = further;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    VmafxErr err = vmafx_sqlite_migrate(db, steps, n, &fault);
    sqlite3_close(db);
    if (reterr)
        *reterr = fault.info;
    return err;
}

static void an_older_database_is_brought_up_to_date_whole_or_not_at_all(void **state)
{
    VmafxErrInfo info = { 0 };
    int64_t version = (int64_t)vmafx_sqlite_schema_steps;

    fill_database(3);
    assert_int_equal(migrate("ALTER TABLE job ADD COLUMN x INTEGER; CREATE TABLE job (twice)", &info),
                     VMAFX_ERR_INTERNAL);
    assert_int_equal(ask_sql("PRAGMA user_version"), version);
    assert_int_equal(ask_sql("SELECT count(*) FROM pragma_table_info('job') WHERE name = 'x'"), 0);
    assert_int_equal(migrate("ALTER TABLE job ADD COLUMN x INTEGER NOT NULL DEFAULT 5", &info), VMAFX_OK);
    assert_int_equal(ask_sql("PRAGMA user_version"), version + 1);
    assert_int_equal(ask_sql("SELECT sum(x) FROM job"), 15);
    VmafxStore *store;
    assert_int_equal(open_plain(&store, &info), VMAFX_ERR_UNSUPPORTED); /* this program is the older one now */
    new_database();
    assert_int_equal(migrate("CREATE TABLE further (x)", &info), VMAFX_OK); /* from nothing, all steps at once */
    assert_int_equal(ask_sql("PRAGMA user_version"), version + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_second_process_and_a_second_store_of_this_one_are_refused_with_a_sentence),
        cmocka_unit_test(its_files_are_for_their_owner_alone),
        cmocka_unit_test(everything_that_was_reported_is_there_after_a_kill),
        cmocka_unit_test(a_folder_that_cannot_be_written_is_refused_with_a_sentence),
        cmocka_unit_test(a_full_disk_changes_nothing_and_room_on_it_is_enough_to_go_on),
        cmocka_unit_test(an_operation_that_does_not_fit_does_not_take_its_group_with_it),
        cmocka_unit_test(an_operation_that_fails_halfway_is_undone_alone_and_nobody_hears_of_it),
        cmocka_unit_test(a_file_that_is_no_database_is_damaged_and_left_as_it_is),
        cmocka_unit_test(damaged_pages_are_reported_and_never_crash),
        cmocka_unit_test(a_result_whose_bytes_have_changed_is_not_handed_out),
        cmocka_unit_test(a_row_that_breaks_the_rules_is_damage_and_its_job_is_named),
        cmocka_unit_test(a_text_that_is_not_utf_8_is_mended_when_it_is_read),
        cmocka_unit_test(a_job_without_its_request_is_set_aside_and_a_stale_mark_made_right),
        cmocka_unit_test(a_grace_that_was_undone_is_still_owed),
        cmocka_unit_test(a_list_by_time_is_sought_and_does_not_walk_what_is_newer_or_older),
        cmocka_unit_test(a_newer_database_and_one_of_another_program_are_refused_unchanged),
        cmocka_unit_test(an_older_database_is_brought_up_to_date_whole_or_not_at_all),
    };

    if (make_folder())
        return 1;
    signal(SIGXFSZ, SIG_IGN);
    int failed = store_suite_run(&sqlite_suite);
    failed += cmocka_run_group_tests_name("sqlite", tests, NULL, NULL);
    remove_folder();
    return failed;
}

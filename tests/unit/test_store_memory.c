/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * A store's life with its first, second, third … allocation failing: an operation that says so has changed nothing and
 * does its work when it is handed over again, one that says nothing has done it, and nothing crashes or leaks (under
 * AddressSanitizer). The linker puts these allocators before the C library's, for this program's own code; SQLite is
 * given one that asks the same counter.
 *
 * What is in the database after each step is compared with a life in which nothing fails, bit for bit.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <unistd.h>

#include <cmocka.h>

#include "base/base.h"
#include "store/sqlite/sqlite.h"

#define EPOCH  ((VmafxWall)1750000000000000)
#define SECOND 1000000

/* ---- allocators ---- */

static atomic_bool counting;                               /* not for what the test itself does */
static atomic_long allocations, fail_at, fail_for, failed; /* fail_for of them, from the fail_at-th on; 0: none */
static bool of_sqlite;                                     /* whose allocations count */

static bool refused(bool sqlite)
{
    if (sqlite != of_sqlite || !atomic_load(&counting))
        return false;
    long n = atomic_fetch_add(&allocations, 1) + 1, first = atomic_load(&fail_at);

    if (!first || n < first || n - first >= atomic_load(&fail_for))
        return false;
    atomic_fetch_add(&failed, 1);
    return true;
}

/* The names are the linker's: __wrap_f is called where f stands, __real_f is the C library's. */
#define WRAPPED(Type, name, parameters, arguments)                                                                     \
    Type __real_##name parameters;                                                                                     \
    Type __wrap_##name parameters;                                                                                     \
    Type __wrap_##name parameters                                                                                      \
    {                                                                                                                  \
        return refused(false) ? NULL : __real_##name arguments;                                                        \
    }

WRAPPED(void *, malloc, (size_t size), (size))
WRAPPED(void *, calloc, (size_t n, size_t size), (n, size))
WRAPPED(void *, realloc, (void *memory, size_t size), (memory, size))
WRAPPED(char *, strdup, (const char *text), (text))
WRAPPED(char *, strndup, (const char *text, size_t len), (text, len))

static sqlite3_mem_methods sqlite_memory;

static void *sqlite_malloc(int size)
{
    return refused(true) ? NULL : sqlite_memory.xMalloc(size);
}

static void *sqlite_realloc(void *memory, int size)
{
    return refused(true) ? NULL : sqlite_memory.xRealloc(memory, size);
}

static int wrap_sqlite(void)
{
    sqlite3_mem_methods wrapped;

    if (sqlite3_config(SQLITE_CONFIG_GETMALLOC, &sqlite_memory))
        return -1;
    wrapped = sqlite_memory;
    wrapped.xMalloc = sqlite_malloc;
    wrapped.xRealloc = sqlite_realloc;
    /* Without small blocks of its own, so that each of them is asked for. */
    return sqlite3_config(SQLITE_CONFIG_MALLOC, &wrapped) || sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 0, 0) ||
           sqlite3_initialize();
}

/* ---- a database ---- */

static char path[96];
static VmafxStore *store;
static bool thoroughly; /* every allocation of SQLite's */
static atomic_int aside;
static int64_t passed;

static void remove_database(void)
{
    static const char *const suffixes[] = { "", "-wal", "-shm", ".lock" };

    for (size_t i = 0; i < VMAFX_LEN(suffixes); i++) {
        char name[128];

        snprintf(name, sizeof name, "%s%s", path, suffixes[i]);
        unlink(name);
    }
}

static sqlite3 *open_beside(void)
{
    sqlite3 *db = NULL;

    if (sqlite3_open(path, &db))
        fail_msg("%s", sqlite3_errmsg(db));
    return db;
}

static uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ ((const uint8_t *)bytes)[i]) * UINT64_C(1099511628211); /* FNV-1a */
    return hash;
}

static uint64_t hash_rows(uint64_t hash, sqlite3 *db, const char *sql)
{
    sqlite3_stmt *stmt = NULL;
    int rc;

    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
    while ((rc = sqlite3_step(stmt)) == SQLITE_ROW)
        for (int i = 0; i < sqlite3_column_count(stmt); i++) {
            const void *value = sqlite3_column_blob(stmt, i);

            hash = hash_bytes(hash, value ? value : "", value ? (size_t)sqlite3_column_bytes(stmt, i) : 1);
            hash = hash_bytes(hash, "|", 1);
        }
    assert_int_equal(rc, SQLITE_DONE);
    sqlite3_finalize(stmt);
    return hash;
}

/* Everything that is in it, but for how late it is. */
static uint64_t contents(void)
{
    static const char *const tables[] = { "store",  "job",   "count",       "aside", "spec",
                                          "result", "label", "idempotency", "turn",  "event" };
    uint64_t hash = UINT64_C(14695981039346656037);
    sqlite3 *db = open_beside();

    hash = hash_rows(hash, db, "SELECT lease_us, id_early_us, id_late_us FROM store");
    for (size_t i = 0; i < VMAFX_LEN(tables); i++) {
        char sql[64];

        snprintf(sql, sizeof sql, "SELECT * FROM %s ORDER BY 1, 2", tables[i]);
        hash = hash_rows(hash, db, sql);
    }
    sqlite3_close(db);
    return hash;
}

static VmafxWall read_wall(void *ctx)
{
    return EPOCH + passed;
}

static int64_t read_monotonic(void *ctx)
{
    return 1 + passed;
}

static void count_events(void *ctx, const VmafxEvent *events, const VmafxJob *const *jobs, size_t n)
{
    *(size_t *)ctx += n;
}

static void count_aside(void *ctx, const VmafxJobId *job, const char *why)
{
    atomic_fetch_add(&aside, 1);
}

/* ---- steps: each does one thing, and can be taken again when it has failed ---- */

static size_t events_told;

static VmafxErr open_store(void)
{
    static const VmafxStoreClock clock = { read_wall, read_monotonic, NULL };
    VmafxStoreConfig config = { .url = path,
                                .durability = VMAFX_DURABILITY_NORMAL,
                                .rules = VMAFX_FLEET_RULES,
                                .on_events = count_events,
                                .on_events_ctx = &events_told,
                                .on_set_aside = count_aside,
                                .clock = &clock };
    VmafxErrInfo why = { 0 };
    VmafxErr err = vmafx_store_open(&config, &store, &why);

    if (err)
        assert_true(why.message[0]);
    return err;
}

static VmafxErr close_store(void)
{
    vmafx_store_close(&store);
    return VMAFX_OK;
}

static VmafxErr take(VmafxStoreOp *op)
{
    VmafxErr err = vmafx_store_wait(store, op);

    for (size_t i = 0; !err && i < op->n_items; i++)
        err = op->items[i].err;
    if (err && err != VMAFX_ERR_NOMEM)
        print_error("%s\n", op->why.message);
    vmafx_store_op_done(op);
    return err;
}

static VmafxJobId id_of(uint32_t number)
{
    const uint8_t random[10] = { [9] = (uint8_t)number };
    VmafxJobId id;

    vmafx_job_id_make(EPOCH, random, &id);
    return id;
}

static VmafxErr submit(uint32_t first, size_t n)
{
    static const VmafxStoreLabel labels[] = { { "show", "a" }, { "codec", "av1" } };
    VmafxSubmission s[4] = { 0 };

    for (size_t i = 0; i < n; i++) {
        s[i] = (VmafxSubmission){ .job = { .id = id_of(first + (uint32_t)i),
                                           .timeout_us = (int64_t)3600 * SECOND,
                                           .attempt_limit = 3,
                                           .submitter = "alice",
                                           .trace = { .trace_id = { 1 }, .job_span_id = { 2 } } },
                                  .spec = "a request",
                                  .spec_len = 9,
                                  .labels = labels,
                                  .n_labels = i % 3 };
        if (first + i == 3)
            s[i].job.deadline = EPOCH + 100 * (int64_t)SECOND;
    }
    s[0].idempotency_key = first == 1 ? "one" : "another";
    return take(&(VmafxStoreOp){ .kind = VMAFX_STORE_SUBMIT, .submissions = s, .n_submissions = n });
}

static VmafxErr submit_four(void)
{
    return submit(1, 4);
}

static VmafxErr submit_again(void)
{
    return submit(1, 1);
}

/* Damage comes from elsewhere; there is nothing to fail here. */
static VmafxErr break_first(void)
{
    sqlite3 *db;

    atomic_store(&counting, false);
    db = open_beside();
    assert_int_equal(sqlite3_exec(db, "UPDATE job SET ended = 7 WHERE n = 1", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    return VMAFX_OK;
}

static VmafxErr lease_two(void)
{
    return take(&(VmafxStoreOp){
        .kind = VMAFX_STORE_LEASE, .capacity = { "n", 2, 1000 }, .random = (const uint8_t *)"0123456789abcdef" });
}

static VmafxErr renew_two(void)
{
    VmafxAttemptRef held[] = { { id_of(2), 1 }, { id_of(3), 1 } };

    return take(&(VmafxStoreOp){ .kind = VMAFX_STORE_RENEW, .node = "n", .held = held, .n_held = VMAFX_LEN(held) });
}

static VmafxErr end_second(void)
{
    VmafxAttemptReport report = {
        .node = "n", .attempt = 1, .outcome = VMAFX_OUTCOME_SUCCEEDED, .complete = true, .has_result = true
    };

    return take(
        &(VmafxStoreOp){ .kind = VMAFX_STORE_END, .job = id_of(2), .report = report, .result = { "its result", 10 } });
}

static VmafxErr grace(void)
{
    return take(&(VmafxStoreOp){ .kind = VMAFX_STORE_GRACE });
}

/* The third job's deadline. A grace comes first, when something has failed: so the step before is one, at this time. */
static VmafxErr pass_time(void)
{
    passed = 100 * (int64_t)SECOND;
    return VMAFX_OK;
}

static VmafxErr expire(void)
{
    return take(&(VmafxStoreOp){ .kind = VMAFX_STORE_EXPIRE, .limit = 10 });
}

static VmafxErr cancel_fourth(void)
{
    return take(&(VmafxStoreOp){ .kind = VMAFX_STORE_CANCEL, .job = id_of(4), .reason = "no more" });
}

static VmafxErr submit_more(void)
{
    return submit(5, 2);
}

static VmafxErr read_one(void)
{
    VmafxJobId id = id_of(2);
    VmafxStoredJob stored;
    VmafxErr err = vmafx_store_get(store, &id, &stored);

    if (!err) {
        assert_int_equal(stored.spec_len, 9);
        vmafx_stored_job_done(&stored);
    }
    return err;
}

static VmafxErr read_list(void)
{
    static const VmafxStoreLabel label = { "show", "a" };
    const VmafxStoreFilter filters[] = {
        { .created_from = EPOCH, .created_before = EPOCH + 1000 * (int64_t)SECOND, .limit = 10 },
        { .states = 1u << VMAFX_JOB_QUEUED, .submitter = "alice", .limit = 10 },
        { .labels = &label, .n_labels = 1, .limit = 10 },
    };
    static const size_t expected[] = { 5, 2, 3 };
    VmafxErr err = VMAFX_OK;

    for (size_t i = 0; !err && i < VMAFX_LEN(filters); i++) {
        VmafxStoredJobs jobs;

        err = vmafx_store_list(store, &filters[i], &jobs);
        if (!err) {
            assert_int_equal(jobs.n, expected[i]);
            vmafx_stored_jobs_done(&jobs);
        }
    }
    return err;
}

static VmafxErr read_events(void)
{
    VmafxStoredEvents events;
    VmafxErr err = vmafx_store_events(store, NULL, 0, 100, &events);

    if (!err) {
        assert_int_equal(events.n, events_told); /* each was told of, once */
        vmafx_stored_events_done(&events);
    }
    return err;
}

static VmafxErr read_held(void)
{
    VmafxStoredJobs jobs;
    VmafxErr err = vmafx_store_held(store, "n", &jobs);

    if (!err) {
        assert_int_equal(jobs.n, 0);
        vmafx_stored_jobs_done(&jobs);
    }
    return err;
}

static VmafxErr read_result(void)
{
    VmafxJobId id = id_of(2);
    void *data = NULL;
    size_t len = 0;
    VmafxErr err = vmafx_store_result(store, &id, &data, &len);

    if (!err)
        assert_memory_equal(data, "its result", len);
    free(data);
    return err;
}

static VmafxErr read_counts(void)
{
    VmafxStoreCounts counts;
    VmafxErr err = vmafx_store_counts(store, &counts);

    if (!err)
        assert_int_equal(counts.queued + counts.succeeded + counts.failed + counts.cancelled + counts.set_aside, 6);
    return err;
}

static VmafxErr delete_first(void)
{
    return take(&(VmafxStoreOp){ .kind = VMAFX_STORE_DELETE, .job = id_of(1) });
}

static VmafxErr retain(void)
{
    return take(&(VmafxStoreOp){ .kind = VMAFX_STORE_RETAIN, .count = 1, .limit = 10 });
}

static VmafxErr ready(void)
{
    VmafxErrInfo why;

    return vmafx_store_ready(store, &why);
}

typedef struct Step {
    const char *name;
    VmafxErr (*take)(void);
} Step;

#define STEP(name)                                                                                                     \
    {                                                                                                                  \
#name, name                                                                                                    \
    }

static const Step life[] = {
    STEP(open_store), STEP(ready),         STEP(submit_four), STEP(submit_again), STEP(break_first), STEP(lease_two),
    STEP(renew_two),  STEP(end_second),    STEP(close_store), STEP(open_store),   STEP(pass_time),   STEP(grace),
    STEP(expire),     STEP(cancel_fourth), STEP(submit_more), STEP(read_one),     STEP(read_list),   STEP(read_events),
    STEP(read_held),  STEP(read_result),   STEP(read_counts), STEP(delete_first), STEP(retain),      STEP(close_store),
};
static uint64_t expected[VMAFX_LEN(life)];

static void new_life(void)
{
    remove_database();
    passed = 0;
    events_told = 0;
    atomic_store(&aside, 0);
    atomic_store(&allocations, 0);
    atomic_store(&failed, 0);
}

static VmafxErr count_and_take(const Step *step)
{
    atomic_store(&counting, true);
    VmafxErr err = step->take();
    atomic_store(&counting, false);
    return err;
}

/* What every life is compared with. */
static void live_well(void)
{
    new_life();
    atomic_store(&fail_at, 0);
    for (size_t i = 0; i < VMAFX_LEN(life); i++) {
        VmafxErr err = count_and_take(&life[i]);

        if (err)
            fail_msg("%s: %s", life[i].name, vmafx_err_name(err));
        expected[i] = contents();
    }
    assert_int_equal(aside, 1);
}

/* One life in which n allocations fail, from the first on. How many did. */
static long live_without(long first, long n)
{
    uint64_t before = 0;

    new_life();
    atomic_store(&fail_for, n);
    atomic_store(&fail_at, first);
    for (size_t i = 0; i < VMAFX_LEN(life); i++) {
        VmafxErr err = count_and_take(&life[i]);
        bool met = atomic_load(&failed);

        if (err && (err != VMAFX_ERR_NOMEM || !met))
            fail_msg("allocation %ld: %s: %s", first, life[i].name, vmafx_err_name(err));
        if (err && i > 0 && contents() != before)
            fail_msg("allocation %ld: %s has changed something, and says that it failed", first, life[i].name);
        if (err) {
            atomic_store(&fail_at, 0); /* there is memory again */
            err = count_and_take(&life[i]);
            if (err)
                fail_msg("allocation %ld: %s, again: %s", first, life[i].name, vmafx_err_name(err));
        }
        if (met || i == VMAFX_LEN(life) - 1) {
            before = contents();
            if (before != expected[i])
                fail_msg("allocation %ld: after %s the store is another", first, life[i].name);
        } else {
            before = expected[i];
        }
    }
    assert_int_equal(aside, 1); /* told of, once */
    atomic_store(&fail_at, 0);
    return atomic_load(&failed);
}

static void each_allocation_of_its_own_may_fail(void **state)
{
    long n = 1;

    of_sqlite = false;
    live_well();
    while (live_without(n, 1))
        n++;
    assert_in_range(n, 40, 10000); /* it did meet something */
}

static void all_of_its_own_may_fail_from_somewhere_on(void **state)
{
    of_sqlite = false;
    live_well();
    for (long n = 1; live_without(n, 1000000); n++)
        ;
}

static void each_allocation_of_the_database_may_fail(void **state)
{
    long n = 1;

    of_sqlite = true;
    live_well();
    while (live_without(n, 1))
        n += thoroughly ? 1 : 97;
    assert_in_range(n, 1000, 1000000);
}

static void all_of_the_database_may_fail_from_somewhere_on(void **state)
{
    of_sqlite = true;
    live_well();
    for (long n = 1; live_without(n, 1000000); n += thoroughly ? 1 + n / 64 : 1 + n / 8)
        ;
}

/* With an argument it takes minutes. */
int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_allocation_of_its_own_may_fail),
        cmocka_unit_test(all_of_its_own_may_fail_from_somewhere_on),
        cmocka_unit_test(each_allocation_of_the_database_may_fail),
        cmocka_unit_test(all_of_the_database_may_fail_from_somewhere_on),
    };
    thoroughly = argc > 1;
    char folder[] = "/tmp/vmafx_store_XXXXXX";

    if (wrap_sqlite() || !mkdtemp(folder))
        return 1;
    snprintf(path, sizeof path, "%s/a.db", folder);
    int wrong = cmocka_run_group_tests(tests, NULL, NULL);
    remove_database();
    rmdir(folder);
    return wrong;
}

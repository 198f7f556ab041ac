/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What the store tells of itself: one span and one duration for a group of changes and for a read. */

#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <dirent.h>
#include <ftw.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base.h"
#include "otel/sdk/trace_provider.h"
#include "signals/signals.h"
#include "store/sqlite/sqlite.h"

enum { KEPT_MAX = 64 };

/* ---- what ends is kept; what is measured too ---- */

typedef struct Keeper {
    VmafxSpanProcessor base;
    pthread_mutex_t lock; /* covers everything below */
    VmafxFinishedSpan *spans[KEPT_MAX];
    size_t n;
    char measured[KEPT_MAX][256]; /* "key=value key=value" */
    size_t n_measured;
} Keeper;

static Keeper keeper;

static void keep_span(VmafxSpanProcessor *p, VmafxFinishedSpan *span, unsigned lane)
{
    pthread_mutex_lock(&keeper.lock);
    if (keeper.n < KEPT_MAX)
        keeper.spans[keeper.n++] = VMAFX_TAKE(span);
    pthread_mutex_unlock(&keeper.lock);
    vmafx_finished_span_unref(&span);
}

static VmafxExportResult all_well(VmafxSpanProcessor *p, uint64_t deadline_ns)
{
    return VMAFX_EXPORT_OK;
}

static bool free_nothing(VmafxSpanProcessor *p)
{
    return true;
}

static void *the_instrument(void *provider, const VmafxMeterInfo *meter, const VmafxInstrumentInfo *info)
{
    assert_null(vmafx_metric_check(info->name, info->kind, info->unit));
    return provider;
}

static void measure(void *instrument, double value, VmafxAttrs attrs, VmafxContext *context)
{
    size_t len = 0;

    assert_null(vmafx_metric_attributes_check(VMAFX_METRIC_NAME_DB_DURATION, attrs, NULL));
    assert_true(value >= 0);
    pthread_mutex_lock(&keeper.lock);
    if (keeper.n_measured < KEPT_MAX) {
        char *text = keeper.measured[keeper.n_measured++];

        for (size_t i = 0; i < attrs.n; i++)
            len +=
                (size_t)snprintf(text + len, sizeof *keeper.measured - len, "%s%s=%.*s", i ? " " : "",
                                 attrs.items[i].key, (int)attrs.items[i].value.str.len, attrs.items[i].value.str.ptr);
    }
    pthread_mutex_unlock(&keeper.lock);
}

static bool is_enabled(void *instrument)
{
    return true;
}

/* ---- the fixture ---- */

static char folder[64], path[96];
static VmafxStore *store;
static VmafxTraceProvider *provider;
static VmafxTracer *tracer;
static sem_t entered, go_on;
static bool hold;

/* The writer waits here when a test wants a group to gather behind it. */
static void hold_writer(void *ctx, const VmafxEvent *events, const VmafxJob *const *jobs, size_t n)
{
    if (!hold)
        return;
    hold = false;
    sem_post(&entered);
    sem_wait(&go_on);
}

static void forget(void)
{
    while (keeper.n)
        vmafx_finished_span_unref(&keeper.spans[--keeper.n]);
    keeper.n_measured = 0;
}

static int setup(void **state)
{
    static unsigned number;
    static VmafxMetricsSdk metrics;
    VmafxTraceProviderConfig config = VMAFX_TRACE_PROVIDER_DEFAULT;
    VmafxStoreConfig store_config = {
        .url = path, .durability = VMAFX_DURABILITY_NORMAL, .rules = VMAFX_FLEET_RULES, .on_events = hold_writer
    };

    keeper =
        (Keeper){ .base = { .on_end = keep_span, .force_flush = all_well, .shutdown = all_well, .free = free_nothing },
                  .lock = PTHREAD_MUTEX_INITIALIZER };
    config.processors[0] = &keeper.base;
    config.n_processors = 1;
    provider = vmafx_trace_provider_new(&config);
    vmafx_tracer_provider_set(vmafx_trace_provider_api(provider));
    metrics = (VmafxMetricsSdk){
        .provider = &keeper, .instrument = the_instrument, .enabled = is_enabled, .measure_double = measure
    };
    vmafx_metrics_sdk_set(&metrics);
    tracer = vmafx_tracer_get("test", "");
    sem_init(&entered, 0, 0);
    sem_init(&go_on, 0, 0);
    hold = false;
    snprintf(path, sizeof path, "%s/%u.db", folder, number++);
    return vmafx_store_open(&store_config, &store, NULL) ? -1 : 0;
}

static int teardown(void **state)
{
    vmafx_store_close(&store);
    forget();
    vmafx_metrics_sdk_set(NULL);
    vmafx_tracer_provider_set(NULL);
    vmafx_trace_provider_free(&provider);
    return 0;
}

static VmafxSubmission submission(uint8_t number)
{
    VmafxSubmission s = { .job = { .timeout_us = 1000000, .attempt_limit = 1, .submitter = "alice" } };

    s.job.id.bytes[6] = 0x70;
    s.job.id.bytes[8] = 0x80;
    s.job.id.bytes[15] = number;
    s.job.trace.trace_id[0] = s.job.trace.job_span_id[0] = 1;
    return s;
}

static void submit(uint8_t number)
{
    VmafxSubmission s = submission(number);
    VmafxStoreOp op = { .kind = VMAFX_STORE_SUBMIT, .submissions = &s, .n_submissions = 1 };

    assert_int_equal(vmafx_store_wait(store, &op), VMAFX_OK);
    assert_int_equal(op.items[0].err, VMAFX_OK);
    vmafx_store_op_done(&op);
}

static const char *text_of(VmafxAttrs attrs, const char *key)
{
    for (size_t i = 0; i < attrs.n; i++)
        if (!strcmp(attrs.items[i].key, key) && attrs.items[i].value.type == VMAFX_VALUE_STR) {
            static char text[128];

            snprintf(text, sizeof text, "%.*s", (int)attrs.items[i].value.str.len, attrs.items[i].value.str.ptr);
            return text;
        }
    return "";
}

static const VmafxSpanData *kept(size_t i)
{
    assert_true(i < keeper.n);
    const VmafxSpanData *span = vmafx_finished_span_data(keeper.spans[i]);
    assert_int_equal(span->kind, VMAFX_SPAN_CLIENT);
    assert_null(vmafx_attributes_check(span->attrs, NULL));
    return span;
}

static void assert_child(const VmafxSpanData *span, const VmafxSpan *parent)
{
    VmafxSpanContext context;

    assert_true(vmafx_span_context(parent, &context));
    assert_memory_equal(span->trace_id, context.trace_id, sizeof context.trace_id);
    assert_memory_equal(span->parent_span_id, context.span_id, sizeof context.span_id);
}

/* ---- the tests ---- */

static void a_change_has_one_span_under_the_callers_and_one_duration(void **state)
{
    VmafxSpan *span = vmafx_span_start(tracer, "caller");
    VmafxContextToken token = vmafx_span_attach(span);

    submit(1);
    vmafx_span_detach(&token);
    assert_int_equal(keeper.n, 1);
    assert_string_equal(kept(0)->name, "submit job");
    assert_child(kept(0), span);
    assert_string_equal(text_of(kept(0)->attrs, "db.system.name"), "sqlite");
    assert_string_equal(text_of(kept(0)->attrs, "db.operation.name"), "submit");
    assert_string_equal(text_of(kept(0)->attrs, "db.collection.name"), "job");
    assert_int_equal(keeper.n_measured, 1);
    assert_string_equal(keeper.measured[0], "db.system.name=sqlite db.operation.name=submit db.collection.name=job");
    vmafx_span_end(&span);
}

static void without_a_span_of_the_callers_there_is_a_duration_only(void **state)
{
    VmafxStoreCounts counts;

    submit(1);
    assert_int_equal(vmafx_store_counts(store, &counts), VMAFX_OK);
    assert_int_equal(keeper.n, 0);
    assert_int_equal(keeper.n_measured, 2);
    assert_string_equal(keeper.measured[1], "db.system.name=sqlite db.operation.name=read db.collection.name=count");
}

static void a_read_has_a_span_and_not_finding_is_no_failure(void **state)
{
    VmafxSpan *span = vmafx_span_start(tracer, "caller");
    VmafxContextToken token = vmafx_span_attach(span);
    VmafxSubmission s = submission(9);
    VmafxStoredJob stored;

    assert_int_equal(vmafx_store_get(store, &s.job.id, &stored), VMAFX_ERR_NOT_FOUND);
    vmafx_span_detach(&token);
    assert_int_equal(keeper.n, 1);
    assert_string_equal(kept(0)->name, "get job");
    assert_child(kept(0), span);
    assert_int_equal(kept(0)->status, VMAFX_STATUS_UNSET);
    vmafx_span_end(&span);
}

static void ignore(VmafxStoreOp *op)
{
}

static void a_group_has_one_span_with_links_to_the_others_contexts(void **state)
{
    VmafxSubmission s[4] = { submission(1), submission(2), submission(3), submission(4) };
    VmafxStoreOp ops[4], last = { .kind = VMAFX_STORE_GRACE };
    VmafxSpan *spans[3];
    VmafxSpanContext second;

    hold = true;
    for (size_t i = 0; i < VMAFX_LEN(ops); i++)
        ops[i] = (VmafxStoreOp){ .kind = VMAFX_STORE_SUBMIT, .submissions = &s[i], .n_submissions = 1, .done = ignore };
    vmafx_store_submit_op(store, &ops[0]);
    sem_wait(&entered); /* the writer is busy: what follows is one group */
    for (size_t i = 0; i < VMAFX_LEN(spans); i++) {
        spans[i] = vmafx_span_start(tracer, "caller");
        VmafxContextToken token = vmafx_span_attach(spans[i]);
        vmafx_store_submit_op(store, &ops[i + 1]);
        vmafx_span_detach(&token);
    }
    sem_post(&go_on);
    assert_int_equal(vmafx_store_wait(store, &last), VMAFX_OK);

    assert_int_equal(keeper.n, 1);
    const VmafxSpanData *span = kept(0);
    assert_child(span, spans[0]);
    assert_int_equal(span->n_links, 2);
    assert_true(vmafx_span_context(spans[1], &second));
    assert_memory_equal(span->links[0].span_id, second.span_id, sizeof second.span_id);
    assert_true(!strcmp(span->name, "BATCH submit job") || !strcmp(span->name, "BATCH job")); /* last may be in it */
    for (size_t i = 0; i < VMAFX_LEN(ops); i++)
        vmafx_store_op_done(&ops[i]);
    for (size_t i = 0; i < VMAFX_LEN(spans); i++)
        vmafx_span_end(&spans[i]);
}

static void a_failure_of_the_database_is_on_span_and_duration(void **state)
{
    VmafxSubmission s = submission(1);
    VmafxStoredJob stored;
    sqlite3 *db = NULL;

    submit(1);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "UPDATE job SET ended = 7", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    forget();
    VmafxSpan *span = vmafx_span_start(tracer, "caller");
    VmafxContextToken token = vmafx_span_attach(span);
    assert_int_equal(vmafx_store_get(store, &s.job.id, &stored), VMAFX_ERR_CORRUPT);
    vmafx_span_detach(&token);
    assert_int_equal(kept(0)->status, VMAFX_STATUS_ERROR);
    assert_string_equal(text_of(kept(0)->attrs, "error.type"), "CORRUPT");
    assert_string_equal(text_of(kept(0)->attrs, "db.response.status_code"), "11");
    assert_null(strstr(kept(0)->status_description, path)); /* paths stay out of telemetry */
    assert_non_null(strstr(keeper.measured[0], "error.type=CORRUPT db.response.status_code=11"));
    vmafx_span_end(&span);
}

static void a_row_that_is_set_aside_is_no_failure_of_the_operation_that_met_it(void **state)
{
    VmafxStoreOp op = { .kind = VMAFX_STORE_LEASE, .capacity = { "n", 1, 10 }, .random = (const uint8_t *)"12345678" };
    sqlite3 *db = NULL;

    submit(1);
    submit(2);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "UPDATE job SET ended = 7 WHERE n = 1", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    forget();
    assert_int_equal(vmafx_store_wait(store, &op), VMAFX_OK);
    assert_int_equal(op.n_items, 1);
    vmafx_store_op_done(&op);
    assert_int_equal(keeper.n_measured, 1);
    assert_null(strstr(keeper.measured[0], "error.type"));
}

static int remove_one(const char *name, const struct stat *st, int kind, struct FTW *at)
{
    return remove(name);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_change_has_one_span_under_the_callers_and_one_duration),
        CASE(without_a_span_of_the_callers_there_is_a_duration_only),
        CASE(a_read_has_a_span_and_not_finding_is_no_failure),
        CASE(a_group_has_one_span_with_links_to_the_others_contexts),
        CASE(a_failure_of_the_database_is_on_span_and_duration),
        CASE(a_row_that_is_set_aside_is_no_failure_of_the_operation_that_met_it),
    };

    strcpy(folder, "/tmp/vmafx_store_XXXXXX");
    if (!mkdtemp(folder))
        return 1;
    int failed = cmocka_run_group_tests_name("store telemetry", tests, NULL, NULL);
    nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    return failed;
}

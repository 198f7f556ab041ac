/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Metrics while a program runs: periodic export, shutdown, forks, many threads. Threads are waited for with conditions
 * and joins.
 */

#include <pthread.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "metrics_fixture.h"

/* ---- Periodic export ---- */

typedef struct TestExporter {
    VmafxExporter base;
    pthread_mutex_t lock;
    pthread_cond_t change;
    int exports, flushes, shutdowns;
    bool block; /* export waits until shutdown interrupts it */
    bool deaf;  /* … and not even then, until released */
    bool interrupted;
    int64_t sum;
    bool *freed;
} TestExporter;

static VmafxExportResult test_export(VmafxExporter *exporter, const VmafxBatch *batch, uint64_t deadline_ns)
{
    TestExporter *e = (TestExporter *)exporter;

    pthread_mutex_lock(&e->lock);
    e->exports++;
    for (size_t i = 0; i < batch->n; i++)
        for (size_t p = 0; p < batch->metrics[i].n_points; p++)
            e->sum += batch->metrics[i].points[p].i;
    pthread_cond_broadcast(&e->change);
    while (e->block && !e->interrupted)
        pthread_cond_wait(&e->change, &e->lock);
    pthread_mutex_unlock(&e->lock);
    return e->block ? VMAFX_EXPORT_TIMEOUT : VMAFX_EXPORT_OK;
}

static VmafxExportResult test_flush(VmafxExporter *exporter, uint64_t deadline_ns)
{
    ((TestExporter *)exporter)->flushes++;
    return VMAFX_EXPORT_OK;
}

static VmafxExportResult test_shutdown(VmafxExporter *exporter, uint64_t deadline_ns)
{
    TestExporter *e = (TestExporter *)exporter;

    pthread_mutex_lock(&e->lock);
    e->shutdowns++;
    e->interrupted = !e->deaf;
    pthread_cond_broadcast(&e->change);
    pthread_mutex_unlock(&e->lock);
    return VMAFX_EXPORT_OK;
}

static void test_exporter_free(VmafxExporter *exporter)
{
    TestExporter *e = (TestExporter *)exporter;

    if (e->freed)
        *e->freed = true;
}

static void exporter_init(TestExporter *e)
{
    *e = (TestExporter){ .base = { .component_type = "test_metric_exporter",
                                   .export_batch = test_export,
                                   .force_flush = test_flush,
                                   .shutdown = test_shutdown,
                                   .free = test_exporter_free } };
    pthread_mutex_init(&e->lock, NULL);
    pthread_cond_init(&e->change, NULL);
}

static uint64_t deadline_in(uint64_t ns)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec + ns;
}

static void wait_for_exports(TestExporter *e, int n)
{
    pthread_mutex_lock(&e->lock);
    while (e->exports < n)
        pthread_cond_wait(&e->change, &e->lock);
    pthread_mutex_unlock(&e->lock);
}

static void the_periodic_reader_exports_at_its_interval(void **unused)
{
    TestExporter e; /* outlives the provider */
    FIXTURE(f);

    exporter_init(&e);
    open_with(&f, (VmafxReaderOptions){ .exporter = &e.base, .interval_ms = 1 }, NULL,
              (VmafxMeterProviderOptions){ 0 });
    vmafx_counter_add(vmafx_counter(f.meter, "c", "", ""), 1);
    wait_for_exports(&e, 3);
    assert_int_equal(vmafx_meter_provider_shutdown(f.provider, deadline_in(10ull * SECOND)), VMAFX_EXPORT_OK);
}

static void flush_and_shutdown_export_what_was_measured_before(void **unused)
{
    bool freed = false; /* these outlive the provider */
    TestExporter e;
    FIXTURE(f);
    VmafxMetricCounts counts;

    exporter_init(&e);
    e.freed = &freed;
    open_with(&f, (VmafxReaderOptions){ .exporter = &e.base, .temporality = VMAFX_TEMPORALITY_DELTA }, NULL,
              (VmafxMeterProviderOptions){ 0 });
    VmafxCounter *c = vmafx_counter(f.meter, "c", "", "");
    vmafx_counter_add(c, 1);
    assert_int_equal(vmafx_meter_provider_flush(f.provider, deadline_in(10ull * SECOND)), VMAFX_EXPORT_OK);
    assert_int_equal(e.sum, 1);
    assert_int_equal(e.flushes, 1);
    assert_int_equal(vmafx_meter_provider_flush(f.provider, deadline_in(10ull * SECOND)), VMAFX_EXPORT_OK);
    assert_int_equal(e.exports, 1); /* nothing new: nothing sent */
    vmafx_counter_add(c, 2);
    assert_int_equal(vmafx_meter_provider_shutdown(f.provider, deadline_in(10ull * SECOND)), VMAFX_EXPORT_OK);
    assert_int_equal(e.sum, 3);
    assert_int_equal(e.shutdowns, 1);
    assert_int_equal(vmafx_meter_provider_shutdown(f.provider, deadline_in(SECOND)), VMAFX_EXPORT_FAILED);
    assert_int_equal(vmafx_meter_provider_flush(f.provider, deadline_in(SECOND)), VMAFX_EXPORT_FAILED);
    assert_null(vmafx_metric_reader_collect(f.readers[0]));
    assert_null(vmafx_meter_provider_meter(f.provider, "late", "", "", VMAFX_NO_ATTRS));
    vmafx_counter_add(c, 4); /* harmless */
    vmafx_meter_provider_counts(f.provider, &counts);
    assert_int_equal(counts.exported, 2);
    assert_int_equal(counts.export_failed, 0);
    vmafx_meter_provider_free(&f.provider);
    assert_true(freed);
}

static void shutdown_interrupts_an_export_that_hangs(void **unused)
{
    bool freed = false; /* these outlive the provider */
    TestExporter e;
    FIXTURE(f);

    exporter_init(&e);
    e.freed = &freed;
    e.block = true;
    open_with(&f, (VmafxReaderOptions){ .exporter = &e.base, .interval_ms = 1 }, NULL,
              (VmafxMeterProviderOptions){ 0 });
    vmafx_counter_add(vmafx_counter(f.meter, "c", "", ""), 1);
    wait_for_exports(&e, 1);
    assert_int_equal(vmafx_meter_provider_flush(f.provider, deadline_in(1000)), VMAFX_EXPORT_TIMEOUT);
    assert_int_equal(vmafx_meter_provider_shutdown(f.provider, deadline_in(SECOND / 5)), VMAFX_EXPORT_TIMEOUT);
    assert_int_equal(e.shutdowns, 1);
    vmafx_meter_provider_free(&f.provider);
    assert_true(freed); /* its thread has ended */
}

/* What the abandoned thread still uses outlives the test. */
static Fixture abandoned;
static TestExporter abandoned_exporter;
static VmafxMeterProvider *abandoned_provider;
static bool abandoned_freed;

static void shutdown_leaves_a_thread_alone_that_does_not_come_back(void **unused)
{
    TestExporter *e = &abandoned_exporter;

    exporter_init(e);
    e->freed = &abandoned_freed;
    e->block = e->deaf = true;
    open_with(&abandoned, (VmafxReaderOptions){ .exporter = &e->base, .interval_ms = 1 }, NULL,
              (VmafxMeterProviderOptions){ 0 });
    abandoned_provider = abandoned.provider;
    vmafx_counter_add(vmafx_counter(abandoned.meter, "c", "", ""), 1);
    wait_for_exports(e, 1);
    assert_int_equal(vmafx_meter_provider_shutdown(abandoned.provider, deadline_in(SECOND / 100)),
                     VMAFX_EXPORT_TIMEOUT);
    vmafx_meter_provider_free(&abandoned.provider);
    assert_null(abandoned.provider);
    assert_false(abandoned_freed);

    pthread_mutex_lock(&e->lock); /* let it go, and wait until it has taken the last turn it was asked for */
    int before = e->exports;
    e->block = false;
    e->interrupted = true;
    pthread_cond_broadcast(&e->change);
    pthread_mutex_unlock(&e->lock);
    wait_for_exports(e, before + 1);
}

static void a_forked_child_is_silent_and_does_not_wait(void **unused)
{
    TestExporter e; /* outlives the provider */
    FIXTURE(f);

    exporter_init(&e);
    open_with(&f, (VmafxReaderOptions){ .exporter = &e.base }, NULL, (VmafxMeterProviderOptions){ 0 });
    VmafxCounter *c = vmafx_counter(f.meter, "c", "", "");
    vmafx_counter_add(c, 1);
    fflush(NULL);
    pid_t child = fork();
    if (!child) {
        vmafx_counter_add(c, 1);
        bool silent = !vmafx_metric_reader_collect(f.readers[0]) &&
                      vmafx_meter_provider_flush(f.provider, UINT64_MAX) == VMAFX_EXPORT_FAILED &&
                      vmafx_meter_provider_shutdown(f.provider, UINT64_MAX) == VMAFX_EXPORT_FAILED;
        _exit(silent ? 0 : 1);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_int_equal(vmafx_meter_provider_shutdown(f.provider, deadline_in(10ull * SECOND)), VMAFX_EXPORT_OK);
}

/* Another thread is inside a callback, with the lock of callbacks, while this one forks. */
typedef struct Inside {
    pthread_mutex_t lock;
    pthread_cond_t change;
    bool inside, leave;
} Inside;

static void stay_inside(VmafxObserver *observer, VmafxObservable *self, void *state)
{
    Inside *in = state;

    pthread_mutex_lock(&in->lock);
    in->inside = true;
    pthread_cond_broadcast(&in->change);
    while (!in->leave)
        pthread_cond_wait(&in->change, &in->lock);
    pthread_mutex_unlock(&in->lock);
}

static void observe_nothing(VmafxObserver *observer, VmafxObservable *self, void *state)
{
}

static void *collect_once(void *reader)
{
    return vmafx_metric_reader_collect(reader);
}

/* What instrumented code may do in the child, with what it has from its parent; it must neither wait nor crash. */
static bool child_goes_on(Fixture *f, VmafxMeter *meter, VmafxCallback *running)
{
    vmafx_callback_remove(&running);
    vmafx_meter_callback(meter, observe_nothing, NULL);
    vmafx_counter_add(vmafx_counter(meter, "new", "", ""), 1);
    vmafx_counter_add_with(vmafx_counter(meter, "old", "", ""), 1, TAG("new"), NULL);
    vmafx_bound_int(vmafx_counter_bind(vmafx_counter(meter, "old", "", ""), TAG("newer")), 1);
    bool none = !vmafx_meter_provider_meter(f->provider, "another", "", "", VMAFX_NO_ATTRS);

    vmafx_metrics_sdk_set(NULL);
    vmafx_meter_provider_free(&f->provider);

    FIXTURE(own);
    open_plain(&own);
    vmafx_metrics_sdk_set(vmafx_meter_provider_sdk(own.provider));
    vmafx_counter_add(vmafx_counter(meter, "old", "", ""), 3);
    AUTO_SNAPSHOT s = vmafx_metric_reader_collect(own.readers[0]);
    const VmafxPointData *p = s ? point(metric(s, "old"), VMAFX_NO_ATTRS) : NULL;
    bool counted = p && p->i == 3;
    vmafx_metrics_sdk_set(NULL);
    return none && counted;
}

static void a_forked_child_changes_callbacks_and_providers_without_waiting(void **unused)
{
    Inside in = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false, false };
    FIXTURE(f);
    pthread_t thread;
    void *snapshot = NULL;
    int status = 0;

    open_plain(&f);
    vmafx_metrics_sdk_set(vmafx_meter_provider_sdk(f.provider));
    VmafxMeter *meter = vmafx_meter_get("forked", "", "", VMAFX_NO_ATTRS);
    vmafx_counter_add(vmafx_counter(meter, "old", "", ""), 1);
    VmafxCallback *other = vmafx_meter_callback(meter, observe_nothing, NULL);
    VmafxCallback *running = vmafx_meter_callback(meter, stay_inside, &in);
    assert_int_equal(pthread_create(&thread, NULL, collect_once, f.readers[0]), 0);
    pthread_mutex_lock(&in.lock);
    while (!in.inside)
        pthread_cond_wait(&in.change, &in.lock);
    pthread_mutex_unlock(&in.lock);

    fflush(NULL);
    pid_t child = fork();
    if (!child) {
        alarm(60); /* waiting for ever is what must not happen */
        _exit(child_goes_on(&f, meter, running) ? 0 : 1);
    }
    pthread_mutex_lock(&in.lock);
    in.leave = true;
    pthread_cond_broadcast(&in.change);
    pthread_mutex_unlock(&in.lock);
    pthread_join(thread, &snapshot);
    VmafxMetricSnapshot *collected = snapshot;
    vmafx_snapshot_free(&collected);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    vmafx_callback_remove(&other);
    vmafx_callback_remove(&running);
    vmafx_metrics_sdk_set(NULL);
}

/* ---- Threads ---- */

enum { THREADS = 6, ROUNDS = 20000 };

typedef struct Worker {
    pthread_t thread;
    VmafxCounter *counter;
    VmafxHistogram *histogram;
    VmafxGauge *gauge;
    VmafxBound *bound;
} Worker;

static void *measure_much(void *arg)
{
    static const char *const tags[] = { "a", "b", "c", "d" };
    Worker *w = arg;

    for (int i = 0; i < ROUNDS; i++) {
        vmafx_counter_add_with(w->counter, 1, TAG(tags[i % 4]), NULL);
        vmafx_bound_int(w->bound, 1);
        vmafx_histogram_record(w->histogram, i % 100);
        vmafx_gauge_record(w->gauge, i);
    }
    return NULL;
}

static void nothing_is_lost_between_threads_and_two_readers(void **unused)
{
    FIXTURE(f);
    VmafxReaderOptions delta = { .temporality = VMAFX_TEMPORALITY_DELTA };
    VmafxView view = { .instrument_name = "h", .aggregation = { .kind = VMAFX_AGG_EXP_HISTOGRAM } };
    Worker workers[THREADS];
    int64_t deltas = 0;
    uint64_t records = 0;

    open_with(&f, (VmafxReaderOptions){ 0 }, &delta,
              (VmafxMeterProviderOptions){ .views = &view, .n_views = 1, .exemplars = VMAFX_EXEMPLARS_ALWAYS_ON });
    for (int round = 0; round < 2; round++) { /* the second round's threads take over the first one's slots */
        for (int i = 0; i < THREADS; i++) {
            workers[i] = (Worker){ .counter = vmafx_counter(f.meter, "c", "", ""),
                                   .histogram = vmafx_histogram(f.meter, "h", "", ""),
                                   .gauge = vmafx_gauge(f.meter, "g", "", "") };
            workers[i].bound = vmafx_counter_bind(workers[i].counter, TAG("a"));
            assert_int_equal(pthread_create(&workers[i].thread, NULL, measure_much, &workers[i]), 0);
        }
        for (int i = 0; i < 300; i++) {
            AUTO_SNAPSHOT part = vmafx_metric_reader_collect(f.readers[1]);
            AUTO_SNAPSHOT total = i % 7 ? NULL : vmafx_metric_reader_collect(f.readers[0]);
            const VmafxMetricData *c = metric(part, "c"), *h = metric(part, "h");

            for (size_t p = 0; c && p < c->n_points; p++)
                deltas += c->points[p].i;
            records += h ? h->points[0].count : 0;
            assert_true(i % 7 || total);
        }
        for (int i = 0; i < THREADS; i++)
            pthread_join(workers[i].thread, NULL);
    }
    AUTO_SNAPSHOT part = vmafx_metric_reader_collect(f.readers[1]);
    AUTO_SNAPSHOT total = vmafx_metric_reader_collect(f.readers[0]);
    const VmafxMetricData *c = metric(part, "c"), *h = metric(part, "h");
    for (size_t p = 0; c && p < c->n_points; p++)
        deltas += c->points[p].i;
    records += h ? h->points[0].count : 0;

    assert_int_equal(deltas, 2 * THREADS * ROUNDS * 2);
    assert_int_equal(point(metric(total, "c"), TAG("a"))->i, 2 * THREADS * (ROUNDS + ROUNDS / 4));
    assert_int_equal(records, 2 * THREADS * ROUNDS);
    assert_int_equal(metric(total, "h")->points[0].count, 2 * THREADS * ROUNDS);
    assert_int_equal(metric(total, "g")->points[0].i, ROUNDS - 1);
}

static void *count_many_sets(void *arg)
{
    count_tags(arg, 0, 300);
    return NULL;
}

static void racing_threads_respect_the_limit_and_lose_nothing(void **unused)
{
    FIXTURE(f);
    VmafxReaderOptions reader = { 0 };
    pthread_t threads[THREADS];
    int64_t total = 0;

    reader.cardinality_limit[VMAFX_KIND_COUNTER] = 100;
    open_with(&f, reader, NULL, (VmafxMeterProviderOptions){ 0 });
    VmafxCounter *c = vmafx_counter(f.meter, "c", "", "");
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count_many_sets, c), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    AUTO_SNAPSHOT s = collect_at(&f, 0, 200);
    assert_int_equal(metric(s, "c")->n_points, 101);
    for (size_t i = 0; i < metric(s, "c")->n_points; i++)
        total += metric(s, "c")->points[i].i;
    assert_int_equal(total, THREADS * 300);
}

enum { MANY_THREADS = VMAFX_THREAD_SLOTS + 16 };

static pthread_barrier_t many_barrier;

static void *add_thousand(void *arg)
{
    vmafx_bound_int(arg, 1); /* takes a slot, if there is one left */
    pthread_barrier_wait(&many_barrier);
    for (int i = 0; i < 999; i++)
        vmafx_bound_int(arg, 1);
    return NULL;
}

static void threads_beyond_the_slots_share_cells(void **unused)
{
    FIXTURE(f);
    pthread_t threads[MANY_THREADS];

    open_plain(&f);
    pthread_barrier_init(&many_barrier, NULL, MANY_THREADS);
    VmafxBound *bound = vmafx_counter_bind(vmafx_counter(f.meter, "c", "", ""), VMAFX_NO_ATTRS);
    for (int i = 0; i < MANY_THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, add_thousand, bound), 0);
    for (int i = 0; i < MANY_THREADS; i++)
        pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&many_barrier);
    AUTO_SNAPSHOT s = collect_at(&f, 0, 200);
    assert_int_equal(metric(s, "c")->points[0].i, MANY_THREADS * 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_periodic_reader_exports_at_its_interval),
        cmocka_unit_test(flush_and_shutdown_export_what_was_measured_before),
        cmocka_unit_test(shutdown_interrupts_an_export_that_hangs),
        cmocka_unit_test(shutdown_leaves_a_thread_alone_that_does_not_come_back),
        cmocka_unit_test(a_forked_child_is_silent_and_does_not_wait),
        cmocka_unit_test(a_forked_child_changes_callbacks_and_providers_without_waiting),
        cmocka_unit_test(nothing_is_lost_between_threads_and_two_readers),
        cmocka_unit_test(racing_threads_respect_the_limit_and_lose_nothing),
        cmocka_unit_test(threads_beyond_the_slots_share_cells),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

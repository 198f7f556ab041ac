/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The batch processor: what triggers an export, what is dropped, and that every wait ends. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pthread.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base.h"
#include "otel/sdk/batch.h"
#include "otel/sdk/trace_provider.h"

#define MS 1000000ull

#if defined(__SANITIZE_THREAD__)
#define THREAD_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define THREAD_SANITIZER 1
#endif
#endif
#ifndef THREAD_SANITIZER
#define THREAD_SANITIZER 0
#endif

static uint64_t mono_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t in_ms(uint64_t ms)
{
    return mono_ns() + ms * MS;
}

/* Long enough that only a hang reaches it. */
static uint64_t long_enough(void)
{
    return in_ms(60000);
}

/* ---- an exporter in memory ---- */

enum Mood { WILLING, FAILING, HOLDING, DEAF };

typedef struct Memory {
    VmafxExporter base;
    pthread_mutex_t lock; /* covers the following */
    pthread_cond_t changed;
    enum Mood mood; /* HOLDING: waits until the mood changes, shutdown or the deadline; DEAF: for the mood only */
    size_t spans, batches, largest, flushes;
    uint64_t sum; /* of the attribute "n" */
    bool inside, was_inside_twice, down, freed;
} Memory;

static VmafxExportResult memory_export(VmafxExporter *e, const VmafxBatch *batch, uint64_t deadline_ns)
{
    Memory *m = (Memory *)e;
    VmafxExportResult result = VMAFX_EXPORT_OK;
    struct timespec at = { (time_t)VMAFX_MIN(deadline_ns / 1000000000u, 1ull << 31),
                           (long)(deadline_ns % 1000000000u) };

    pthread_mutex_lock(&m->lock);
    m->was_inside_twice |= m->inside;
    m->inside = true;
    m->batches++;
    pthread_cond_broadcast(&m->changed);
    while (m->mood == DEAF)
        pthread_cond_wait(&m->changed, &m->lock);
    while (m->mood == HOLDING && !m->down && !result)
        if (pthread_cond_timedwait(&m->changed, &m->lock, &at))
            result = VMAFX_EXPORT_TIMEOUT;
    if (m->mood == FAILING || (m->mood == HOLDING && m->down))
        result = VMAFX_EXPORT_FAILED;
    for (size_t i = 0; !result && i < batch->n; i++) {
        VmafxAttrs attrs = batch->spans[i]->attrs;

        m->sum += attrs.n ? (uint64_t)attrs.items[0].value.i : 0;
    }
    m->spans += result ? 0 : batch->n;
    m->largest = VMAFX_MAX(m->largest, batch->n);
    m->inside = false;
    pthread_cond_broadcast(&m->changed);
    pthread_mutex_unlock(&m->lock);
    return result;
}

static VmafxExportResult memory_flush(VmafxExporter *e, uint64_t deadline_ns)
{
    Memory *m = (Memory *)e;

    pthread_mutex_lock(&m->lock);
    m->flushes++;
    pthread_mutex_unlock(&m->lock);
    return VMAFX_EXPORT_OK;
}

static VmafxExportResult memory_shutdown(VmafxExporter *e, uint64_t deadline_ns)
{
    Memory *m = (Memory *)e;

    pthread_mutex_lock(&m->lock);
    m->down = true;
    pthread_cond_broadcast(&m->changed);
    pthread_mutex_unlock(&m->lock);
    return VMAFX_EXPORT_OK;
}

static void memory_free(VmafxExporter *e)
{
    ((Memory *)e)->freed = true;
}

static void set_mood(Memory *m, enum Mood mood)
{
    pthread_mutex_lock(&m->lock);
    m->mood = mood;
    pthread_cond_broadcast(&m->changed);
    pthread_mutex_unlock(&m->lock);
}

static void wait_for_spans(Memory *m, size_t n)
{
    pthread_mutex_lock(&m->lock);
    while (m->spans < n)
        pthread_cond_wait(&m->changed, &m->lock);
    pthread_mutex_unlock(&m->lock);
}

static void wait_for_batches(Memory *m, size_t n)
{
    pthread_mutex_lock(&m->lock);
    while (m->batches < n)
        pthread_cond_wait(&m->changed, &m->lock);
    pthread_mutex_unlock(&m->lock);
}

/* ---- a pipeline ---- */

typedef struct Pipeline {
    Memory memory;
    VmafxSpanProcessor *processor;
    VmafxTraceProvider *provider;
    VmafxTracer *tracer;
    unsigned complaints;
} Pipeline;

static void complain(void *ctx, int severity, const char *message)
{
    __atomic_fetch_add(&((Pipeline *)ctx)->complaints, 1, __ATOMIC_RELAXED);
}

static void pipeline_open(Pipeline *p, size_t max_queue, size_t max_batch, uint64_t delay_ms, uint64_t timeout_ms)
{
    VmafxTraceProviderConfig config = VMAFX_TRACE_PROVIDER_DEFAULT;
    pthread_condattr_t clock;

    *p = (Pipeline){ .memory.base = { "memory_span_exporter", memory_export, memory_flush, memory_shutdown,
                                      memory_free } };
    pthread_mutex_init(&p->memory.lock, NULL);
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_cond_init(&p->memory.changed, &clock);
    p->processor = vmafx_batch_processor_new(&(VmafxBatchConfig){ .exporter = &p->memory.base,
                                                                  .max_queue = max_queue,
                                                                  .max_batch = max_batch,
                                                                  .delay_ms = delay_ms,
                                                                  .export_timeout_ms = timeout_ms,
                                                                  .error = complain,
                                                                  .error_ctx = p });
    assert_non_null(p->processor);
    config.processors[0] = p->processor;
    config.n_processors = 1;
    p->provider = vmafx_trace_provider_new(&config);
    p->tracer = vmafx_trace_provider_tracer(p->provider, "test", "", NULL, VMAFX_NO_ATTRS);
}

enum { NEVER_MS = 3600000 };

static void pipeline_close(Pipeline *p)
{
    vmafx_trace_provider_free(&p->provider);
    assert_false(p->memory.was_inside_twice);
    assert_true(p->memory.freed);
    pthread_mutex_destroy(&p->memory.lock);
    pthread_cond_destroy(&p->memory.changed);
}

static void make_spans(Pipeline *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        VmafxSpan *span = vmafx_span_start(p->tracer, "x");

        vmafx_span_set_int(span, "n", (int64_t)i);
        vmafx_span_end(&span);
    }
}

static VmafxBatchCounts counts_of(const Pipeline *p)
{
    VmafxBatchCounts counts;

    vmafx_batch_counts(p->processor, &counts);
    return counts;
}

/* ---- triggers ---- */

static void a_full_batch_is_exported_at_once(void **state)
{
    static const size_t sizes[] = { 1, 2, 3, 7, 64, 512 };

    for (size_t i = 0; i < VMAFX_LEN(sizes); i++) {
        Pipeline p;

        pipeline_open(&p, 2048, sizes[i], NEVER_MS, 0);
        make_spans(&p, sizes[i]);
        wait_for_spans(&p.memory, sizes[i]);
        make_spans(&p, sizes[i]);
        wait_for_spans(&p.memory, 2 * sizes[i]);
        assert_true(p.memory.largest <= sizes[i]);
        pipeline_close(&p);
    }
}

static void what_the_delay_finds_is_exported_though_no_batch_is_full(void **state)
{
    static const uint64_t delays[] = { 0, 1, 5 };

    for (size_t i = 0; i < VMAFX_LEN(delays); i++) {
        Pipeline p;

        pipeline_open(&p, 2048, 512, delays[i], 0);
        make_spans(&p, 3);
        wait_for_spans(&p.memory, 3);
        pipeline_close(&p);
    }
}

static void a_flush_exports_all_in_batches_that_are_never_too_large(void **state)
{
    Pipeline p;

    pipeline_open(&p, 2048, 300, NEVER_MS, 0);
    set_mood(&p.memory, HOLDING); /* so that the spans are still there when the flush begins */
    make_spans(&p, 1000);
    set_mood(&p.memory, WILLING);
    assert_int_equal(vmafx_trace_provider_force_flush(p.provider, long_enough()), VMAFX_EXPORT_OK);
    assert_int_equal(p.memory.spans, 1000);
    assert_int_equal(p.memory.sum, 999 * 1000 / 2);
    assert_true(p.memory.largest <= 300);
    assert_int_equal(p.memory.flushes, 1);
    assert_int_equal(counts_of(&p).exported, 1000);
    assert_int_equal(counts_of(&p).processed, 1000);
    assert_int_equal(counts_of(&p).queue_size, 0);
    assert_int_equal(vmafx_trace_provider_force_flush(p.provider, long_enough()), VMAFX_EXPORT_OK);
    pipeline_close(&p);
}

static void shutdown_exports_what_is_left_and_happens_once(void **state)
{
    Pipeline p;

    pipeline_open(&p, 100, 7, NEVER_MS, 0);
    make_spans(&p, 50);
    assert_int_equal(vmafx_trace_provider_shutdown(p.provider, long_enough()), VMAFX_EXPORT_OK);
    assert_int_equal(p.memory.spans, 50);
    assert_true(p.memory.largest <= 7);
    assert_true(p.memory.down);
    assert_int_equal(vmafx_trace_provider_shutdown(p.provider, long_enough()), VMAFX_EXPORT_FAILED);
    assert_int_equal(p.processor->force_flush(p.processor, long_enough()), VMAFX_EXPORT_FAILED);
    make_spans(&p, 5);
    assert_int_equal(p.memory.spans, 50);
    pipeline_close(&p);
}

static void spans_that_are_only_recorded_are_never_exported(void **state)
{
    Pipeline p;

    pipeline_open(&p, 100, 10, NEVER_MS, 0);
    vmafx_span_record(p.tracer,
                      &(VmafxSpanRecord){ .context = { .trace_id = { 1 }, .span_id = { 1 } }, .name = "not sampled" });
    vmafx_span_record(p.tracer, &(VmafxSpanRecord){ .context = { .trace_id = { 1 }, .span_id = { 2 }, .flags = 1 },
                                                    .name = "sampled" });
    assert_int_equal(vmafx_trace_provider_force_flush(p.provider, long_enough()), VMAFX_EXPORT_OK);
    assert_int_equal(p.memory.spans, 1);
    pipeline_close(&p);
}

/* ---- drops ---- */

static void a_full_queue_drops_the_newest_and_counts_them(void **state)
{
    static const struct {
        size_t queue, batch;
    } sizes[] = { { 1, 1 }, { 2, 1 }, { 10, 10 }, { 100, 9 }, { 2048, 512 } };

    for (size_t i = 0; i < VMAFX_LEN(sizes); i++) {
        Pipeline p;
        size_t queue = sizes[i].queue, batch = sizes[i].batch;

        pipeline_open(&p, queue, batch, NEVER_MS, 0);
        set_mood(&p.memory, HOLDING);
        make_spans(&p, batch);
        wait_for_batches(&p.memory, 1); /* these are no longer in the queue */
        make_spans(&p, queue + 13);
        assert_int_equal(counts_of(&p).dropped_full, 13);
        assert_int_equal(counts_of(&p).queue_size, queue);
        assert_int_equal(counts_of(&p).queue_capacity, queue);
        assert_int_equal(counts_of(&p).inflight, batch);
        set_mood(&p.memory, WILLING);
        assert_int_equal(vmafx_trace_provider_force_flush(p.provider, long_enough()), VMAFX_EXPORT_OK);
        assert_int_equal(p.memory.spans, batch + queue);
        /* The oldest are there: 0 … batch − 1, then 0 … queue − 1. */
        assert_int_equal(p.memory.sum, batch * (batch - 1) / 2 + queue * (queue - 1) / 2);
        assert_int_equal(vmafx_trace_provider_shutdown(p.provider, long_enough()), VMAFX_EXPORT_OK);
        assert_int_equal(__atomic_load_n(&p.complaints, __ATOMIC_RELAXED), 1);
        pipeline_close(&p);
    }
}

typedef struct Producer {
    Pipeline *pipeline;
    size_t n;
} Producer;

static void *produce(void *arg)
{
    Producer *producer = arg;

    make_spans(producer->pipeline, producer->n);
    return NULL;
}

static void a_batch_that_several_threads_fill_is_noticed(void **state)
{
    enum { THREADS = 4 };

    for (size_t each = 1; each <= 64; each++) {
        Pipeline p;
        Producer part = { &p, each };
        pthread_t threads[THREADS];

        pipeline_open(&p, 2048, THREADS * each, NEVER_MS, 0);
        for (int t = 0; t < THREADS; t++)
            assert_int_equal(pthread_create(&threads[t], NULL, produce, &part), 0);
        for (int t = 0; t < THREADS; t++)
            pthread_join(threads[t], NULL);
        wait_for_batches(&p.memory, 1);
        pipeline_close(&p);
    }
}

static void room_that_idle_threads_hold_goes_to_busy_ones(void **state)
{
    enum { THREADS = 8 };
    Pipeline p;

    /* Each thread takes credits for more than it makes; together they may still fill the queue to the last place. */
    pipeline_open(&p, 1000, 1000, NEVER_MS, 0);
    set_mood(&p.memory, HOLDING);
    for (int t = 0; t < THREADS; t++) {
        Producer one = { &p, 1 };
        pthread_t thread;

        assert_int_equal(pthread_create(&thread, NULL, produce, &one), 0);
        pthread_join(thread, NULL);
    }
    make_spans(&p, 1000 - THREADS);
    assert_int_equal(counts_of(&p).dropped_full, 0);
    set_mood(&p.memory, WILLING);
    assert_int_equal(vmafx_trace_provider_force_flush(p.provider, long_enough()), VMAFX_EXPORT_OK);
    assert_int_equal(p.memory.spans, 1000);
    pipeline_close(&p);
}

static void every_span_is_exported_or_counted_whatever_the_threads_do(void **state)
{
    enum { THREADS = 4, EACH = 5000 };
    static const size_t queues[] = { 64, 2048, 65536 };

    for (size_t i = 0; i < VMAFX_LEN(queues); i++) {
        Pipeline p;
        Producer one = { &p, EACH };
        pthread_t threads[THREADS];

        pipeline_open(&p, queues[i], VMAFX_MIN(queues[i], (size_t)512), 1, 0);
        for (int t = 0; t < THREADS; t++)
            assert_int_equal(pthread_create(&threads[t], NULL, produce, &one), 0);
        for (int f = 0; f < 20; f++) {
            counts_of(&p);
            assert_int_equal(vmafx_trace_provider_force_flush(p.provider, long_enough()), VMAFX_EXPORT_OK);
        }
        for (int t = 0; t < THREADS; t++)
            pthread_join(threads[t], NULL);
        assert_int_equal(vmafx_trace_provider_shutdown(p.provider, long_enough()), VMAFX_EXPORT_OK);

        VmafxBatchCounts counts = counts_of(&p);
        VmafxTraceCounts made;

        vmafx_trace_provider_counts(p.provider, &made);
        assert_int_equal(made.dropped_memory + counts.exported + counts.dropped_full, THREADS * EACH);
        assert_int_equal(p.memory.spans, counts.exported);
        if (queues[i] > THREADS * EACH)
            assert_int_equal(counts.dropped_full, 0);
        pipeline_close(&p);
    }
}

static void ten_thousand_short_threads_lose_no_span(void **state)
{
    Pipeline p;
    Producer one = { &p, 1 };

    pipeline_open(&p, 2048, 512, 1, 0);
    for (int i = 0; i < 10000; i++) {
        pthread_t thread;

        assert_int_equal(pthread_create(&thread, NULL, produce, &one), 0);
        pthread_join(thread, NULL);
        if (i % 1000 == 0) /* so that the producer stays below capacity however slow the machine is */
            assert_int_equal(vmafx_trace_provider_force_flush(p.provider, long_enough()), VMAFX_EXPORT_OK);
    }
    assert_int_equal(vmafx_trace_provider_shutdown(p.provider, long_enough()), VMAFX_EXPORT_OK);
    assert_int_equal(p.memory.spans, 10000);
    assert_int_equal(counts_of(&p).dropped_full, 0);
    pipeline_close(&p);
}

/* ---- exporters that fail ---- */

static void a_failed_batch_is_dropped_and_the_worker_goes_on(void **state)
{
    Pipeline p;

    pipeline_open(&p, 100, 10, NEVER_MS, 0);
    set_mood(&p.memory, FAILING);
    make_spans(&p, 9); /* too few for any export but the flush's */
    assert_int_equal(vmafx_trace_provider_force_flush(p.provider, long_enough()), VMAFX_EXPORT_FAILED);
    assert_int_equal(counts_of(&p).failed, 9);
    set_mood(&p.memory, WILLING);
    make_spans(&p, 10);
    wait_for_spans(&p.memory, 10);
    pipeline_close(&p);
}

static void an_export_is_given_its_timeout(void **state)
{
    Pipeline p;

    pipeline_open(&p, 100, 10, NEVER_MS, 5);
    set_mood(&p.memory, HOLDING);
    make_spans(&p, 9); /* too few for any export but the flush's */
    assert_int_equal(vmafx_trace_provider_force_flush(p.provider, long_enough()), VMAFX_EXPORT_TIMEOUT);
    assert_int_equal(counts_of(&p).timed_out, 9);
    set_mood(&p.memory, WILLING);
    pipeline_close(&p);
}

static void a_flush_returns_at_its_deadline_though_the_exporter_does_not(void **state)
{
    Pipeline p;

    pipeline_open(&p, 100, 10, NEVER_MS, 0);
    set_mood(&p.memory, HOLDING);
    make_spans(&p, 10);
    assert_int_equal(vmafx_trace_provider_force_flush(p.provider, in_ms(10)), VMAFX_EXPORT_TIMEOUT);
    assert_int_equal(vmafx_trace_provider_force_flush(p.provider, 0), VMAFX_EXPORT_TIMEOUT);
    set_mood(&p.memory, WILLING);
    assert_int_equal(vmafx_trace_provider_force_flush(p.provider, long_enough()), VMAFX_EXPORT_OK);
    assert_int_equal(p.memory.spans, 10);
    pipeline_close(&p);
}

static void shutdown_interrupts_an_export_that_hangs(void **state)
{
    Pipeline p;

    pipeline_open(&p, 100, 10, NEVER_MS, 0);
    set_mood(&p.memory, HOLDING);
    make_spans(&p, 25);
    wait_for_batches(&p.memory, 1);
    assert_int_equal(vmafx_trace_provider_shutdown(p.provider, in_ms(200)), VMAFX_EXPORT_TIMEOUT);
    assert_true(p.memory.down);
    assert_int_equal(counts_of(&p).exported, 0);
    pipeline_close(&p); /* the worker is gone, so all is freed */
}

static void shutdown_leaves_a_worker_that_cannot_be_stopped_and_its_memory(void **state)
{
    static Pipeline p; /* for whoever looks for leaks, it holds what is left alone */

    pipeline_open(&p, 100, 10, NEVER_MS, 0);
    set_mood(&p.memory, DEAF);
    make_spans(&p, 25);
    wait_for_batches(&p.memory, 1);
    assert_int_equal(vmafx_trace_provider_shutdown(p.provider, in_ms(20)), VMAFX_EXPORT_TIMEOUT);

    VmafxTraceProvider *provider = p.provider;

    vmafx_trace_provider_free(&provider);
    assert_false(p.memory.freed);
    set_mood(&p.memory, WILLING); /* it wakes up to memory that is still there */
    wait_for_spans(&p.memory, 25);
}

static void a_span_still_held_when_its_provider_goes_may_end_later(void **state)
{
    static Pipeline p;
    VmafxSpan *span;

    pipeline_open(&p, 100, 10, NEVER_MS, 0);
    span = vmafx_span_start(p.tracer, "held");

    VmafxTraceProvider *provider = p.provider;

    vmafx_trace_provider_free(&provider);
    vmafx_span_set_int(span, "a", 1);
    vmafx_span_end(&span);
    assert_int_equal(p.memory.spans, 0);
}

static void values_out_of_range_are_brought_into_it(void **state)
{
    Pipeline p;

    assert_null(vmafx_batch_processor_new(NULL));
    assert_null(vmafx_batch_processor_new(&VMAFX_BATCH_DEFAULT));
    pipeline_open(&p, 0, 0, 0, UINT64_MAX);
    assert_int_equal(counts_of(&p).queue_capacity, 1);
    make_spans(&p, 1);
    wait_for_spans(&p.memory, 1);
    pipeline_close(&p);
    pipeline_open(&p, SIZE_MAX, SIZE_MAX, UINT64_MAX, 0);
    assert_int_equal(counts_of(&p).queue_capacity, 65536);
    make_spans(&p, 1);
    assert_int_equal(vmafx_trace_provider_force_flush(p.provider, long_enough()), VMAFX_EXPORT_OK);
    assert_int_equal(p.memory.spans, 1);
    pipeline_close(&p);
}

/* ---- fork, the simple processor ---- */

static void a_forked_child_neither_exports_nor_waits(void **state)
{
    Pipeline p;
    int status;

    pipeline_open(&p, 100, 50, NEVER_MS, 0);
    make_spans(&p, 5);

    pid_t child = fork();

    assert_true(child >= 0);
    if (!child) {
        bool good = vmafx_trace_provider_force_flush(p.provider, UINT64_MAX) == VMAFX_EXPORT_FAILED;

        make_spans(&p, 100);
        good &= p.processor->force_flush(p.processor, UINT64_MAX) == VMAFX_EXPORT_FAILED;
        good &= p.processor->shutdown(p.processor, UINT64_MAX) == VMAFX_EXPORT_FAILED;
        good &= !p.processor->free(p.processor);
        vmafx_trace_provider_free(&p.provider);
        good &= p.memory.batches == 0;

#if !THREAD_SANITIZER /* it refuses new threads after such a fork */
        static Pipeline mine;

        pipeline_open(&mine, 100, 50, NEVER_MS, 0);
        make_spans(&mine, 50);
        wait_for_spans(&mine.memory, 50);
#endif
        _exit(good ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(vmafx_trace_provider_force_flush(p.provider, long_enough()), VMAFX_EXPORT_OK);
    assert_int_equal(p.memory.spans, 5);
    pipeline_close(&p);
}

static void the_simple_processor_exports_each_sampled_span_when_it_ends(void **state)
{
    Pipeline p = { .memory.base = { "memory", memory_export, memory_flush, memory_shutdown, memory_free } };
    VmafxTraceProviderConfig config = VMAFX_TRACE_PROVIDER_DEFAULT;

    pthread_mutex_init(&p.memory.lock, NULL);
    pthread_cond_init(&p.memory.changed, NULL);
    config.processors[0] = p.processor = vmafx_simple_processor_new(&p.memory.base, NULL);
    config.n_processors = 1;
    p.provider = vmafx_trace_provider_new(&config);
    p.tracer = vmafx_trace_provider_tracer(p.provider, "", NULL, NULL, VMAFX_NO_ATTRS);
    make_spans(&p, 3);
    assert_int_equal(p.memory.spans, 3);
    assert_int_equal(p.memory.largest, 1);
    assert_int_equal(vmafx_trace_provider_force_flush(p.provider, long_enough()), VMAFX_EXPORT_OK);
    assert_int_equal(counts_of(&p).queue_capacity, 0);
    assert_int_equal(vmafx_trace_provider_shutdown(p.provider, long_enough()), VMAFX_EXPORT_OK);
    pipeline_close(&p);
    assert_null(vmafx_simple_processor_new(NULL, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_batch_is_exported_at_once),
        cmocka_unit_test(what_the_delay_finds_is_exported_though_no_batch_is_full),
        cmocka_unit_test(a_flush_exports_all_in_batches_that_are_never_too_large),
        cmocka_unit_test(shutdown_exports_what_is_left_and_happens_once),
        cmocka_unit_test(spans_that_are_only_recorded_are_never_exported),
        cmocka_unit_test(a_full_queue_drops_the_newest_and_counts_them),
        cmocka_unit_test(a_batch_that_several_threads_fill_is_noticed),
        cmocka_unit_test(room_that_idle_threads_hold_goes_to_busy_ones),
        cmocka_unit_test(every_span_is_exported_or_counted_whatever_the_threads_do),
        cmocka_unit_test(ten_thousand_short_threads_lose_no_span),
        cmocka_unit_test(a_failed_batch_is_dropped_and_the_worker_goes_on),
        cmocka_unit_test(an_export_is_given_its_timeout),
        cmocka_unit_test(a_flush_returns_at_its_deadline_though_the_exporter_does_not),
        cmocka_unit_test(shutdown_interrupts_an_export_that_hangs),
        cmocka_unit_test(shutdown_leaves_a_worker_that_cannot_be_stopped_and_its_memory),
        cmocka_unit_test(a_span_still_held_when_its_provider_goes_may_end_later),
        cmocka_unit_test(values_out_of_range_are_brought_into_it),
        cmocka_unit_test(a_forked_child_neither_exports_nor_waits),
        cmocka_unit_test(the_simple_processor_exports_each_sampled_span_when_it_ends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The batch processor.
 *
 * A wake-up is a store and at most one futex call; the worker sleeps on the word `signalled`.
 *
 * The worker may be stuck in an exporter that breaks its contract. Then shutdown detaches it at the deadline, and
 * nothing it may still touch is ever freed.
 */

#include "otel/sdk/batch.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/base.h"
#include "base/clock.h"
#include "otel/sdk/resource.h"
#include "otel/sdk/span_queue.h"

enum {
    QUEUE_MAX = 1 << 16,
    STACK_BYTES = 256 << 10,
};

#define NS_PER_MS    1000000ull
#define REPORT_EVERY (60000 * NS_PER_MS) /* between two lines about drops */
#define SHUTDOWN_REST                                                                                                  \
    (200 * NS_PER_MS) /* of a shutdown's time, at most: to interrupt the exporter and see it return                    \
                       */

typedef struct Batcher {
    VmafxSpanProcessor base;
    unsigned generation; /* of forks */
    VmafxExporter *exporter;
    VmafxResource *resource; /* our own, since an abandoned worker keeps it; NULL: no memory for one */
    size_t max_batch;
    uint64_t delay_ns, timeout_ns;
    VmafxOtelErrorHandler error;
    void *error_ctx;
    pthread_t worker;
    bool has_worker, abandoned; /* abandoned: detached while still running */

    SpanQueue queue;
    _Alignas(64) atomic_uint signalled; /* 1: the worker has something to look at */
    atomic_bool down;                   /* no more spans are accepted */

    atomic_uint_least64_t processed, dropped_shutdown, dropped_memory, exported, failed, timed_out, inflight, batches;
    atomic_uint_least64_t stop_deadline; /* 0: not stopping; shortens exports */

    pthread_mutex_t lock; /* covers the following; held for moments only */
    pthread_cond_t done;  /* a flush or the worker is done */
    uint64_t flush_wanted, flush_done, flush_deadline;
    VmafxExportResult flush_result;
    bool stop, stopped;

    /* the worker's own */
    VmafxFinishedSpan **taken;
    const VmafxSpanData **batch;
    uint64_t drops_reported, drops_reported_at;
    bool dropping;
} Batcher;

static struct timespec timespec_of(uint64_t ns)
{
    return (struct timespec){ .tv_sec = (time_t)VMAFX_MIN(ns / 1000000000u, (uint64_t)INT_MAX),
                              .tv_nsec = (long)(ns % 1000000000u) };
}

static uint64_t add_ns(uint64_t a, uint64_t b)
{
    uint64_t sum;

    return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

static bool here(const Batcher *b)
{
    return b->generation == vmafx_fork_generation();
}

/* ---- the lanes' side ---- */

/* The exchange orders what was pushed before it against the worker's look; a mere load could not. */
static void wake(Batcher *b)
{
    if (!atomic_exchange_explicit(&b->signalled, 1, memory_order_acq_rel))
        syscall(SYS_futex, &b->signalled, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void on_end(VmafxSpanProcessor *processor, VmafxFinishedSpan *span, unsigned lane)
{
    Batcher *b = (Batcher *)processor;
    bool to_wake = false;

    if (!(vmafx_finished_span_data(span)->flags & VMAFX_TRACE_FLAG_SAMPLED)) {
        vmafx_finished_span_unref(&span);
        return;
    }
    if (atomic_load_explicit(&b->down, memory_order_relaxed)) {
        atomic_fetch_add_explicit(&b->dropped_shutdown, 1, memory_order_relaxed);
        vmafx_finished_span_unref(&span);
        return;
    }

    switch (vmafx_span_queue_push(&b->queue, span, lane, &to_wake)) {
    case SPAN_PUSHED:
        break;
    case SPAN_NO_MEMORY:
        atomic_fetch_add_explicit(&b->dropped_memory, 1, memory_order_relaxed);
        vmafx_finished_span_unref(&span);
        break;
    case SPAN_QUEUE_FULL:
        vmafx_finished_span_unref(&span);
        to_wake &= !atomic_load_explicit(&b->signalled, memory_order_relaxed); /* nothing new to be seen */
        break;
    }
    if (to_wake)
        wake(b);
}

/* ---- the worker ---- */

/* The first drop, then a line a minute, then that it is over. */
static void report_drops(Batcher *b)
{
    uint64_t total = vmafx_span_queue_dropped(&b->queue), now;
    char line[160];

    if (total == b->drops_reported) {
        if (!b->dropping || vmafx_monotonic_ns() - b->drops_reported_at < REPORT_EVERY)
            return;
        b->dropping = false;
        snprintf(line, sizeof line, "spans are exported in full again");
        b->error(b->error_ctx, 9, line);
        return;
    }
    now = vmafx_monotonic_ns();
    if (b->dropping && now - b->drops_reported_at < REPORT_EVERY)
        return;
    snprintf(line, sizeof line, "the span queue is full: %llu spans dropped",
             (unsigned long long)(total - b->drops_reported));
    b->drops_reported = total;
    b->drops_reported_at = now;
    b->dropping = true;
    b->error(b->error_ctx, 13, line);
}

static void add(atomic_uint_least64_t *counter, uint64_t n)
{
    atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

static VmafxExportResult export_taken(Batcher *b, size_t n)
{
    uint64_t deadline = b->timeout_ns ? add_ns(vmafx_monotonic_ns(), b->timeout_ns) : UINT64_MAX;
    uint64_t stop = atomic_load_explicit(&b->stop_deadline, memory_order_acquire);
    static const VmafxResource no_resource = { .schema_url = "" };
    VmafxBatch batch = {
        .signal = VMAFX_SIGNAL_TRACES, .resource = b->resource ? b->resource : &no_resource, .spans = b->batch, .n = n
    };

    if (stop)
        deadline = VMAFX_MIN(deadline, stop);
    for (size_t i = 0; i < n; i++)
        b->batch[i] = vmafx_finished_span_data(b->taken[i]);
    add(&b->processed, n);
    add(&b->batches, 1);
    atomic_store_explicit(&b->inflight, n, memory_order_relaxed);

    VmafxExportResult result = b->exporter->export_batch(b->exporter, &batch, deadline);

    atomic_store_explicit(&b->inflight, 0, memory_order_relaxed);
    add(result == VMAFX_EXPORT_OK ? &b->exported : result == VMAFX_EXPORT_TIMEOUT ? &b->timed_out : &b->failed, n);
    for (size_t i = 0; i < n; i++)
        vmafx_finished_span_unref(&b->taken[i]);
    return result;
}

/* Everything that was accepted until now. Failures do not stop it; a deadline of shutdown makes the rest quick. */
static VmafxExportResult drain(Batcher *b)
{
    VmafxExportResult result = VMAFX_EXPORT_OK;
    size_t got;

    vmafx_span_queue_mark(&b->queue);
    while ((got = vmafx_span_queue_collect(&b->queue, true, b->taken))) {
        VmafxExportResult one = export_taken(b, got);

        result = VMAFX_MAX(result, one);
    }
    return result;
}

static void serve_flush(Batcher *b, uint64_t wanted, uint64_t deadline)
{
    VmafxExportResult result = drain(b), flushed = b->exporter->force_flush(b->exporter, deadline);

    pthread_mutex_lock(&b->lock);
    b->flush_result = VMAFX_MAX(result, flushed);
    b->flush_done = wanted;
    pthread_cond_broadcast(&b->done);
    pthread_mutex_unlock(&b->lock);
}

static void sleep_until(Batcher *b, uint64_t due)
{
    struct timespec at = timespec_of(due);

    syscall(SYS_futex, &b->signalled, FUTEX_WAIT_BITSET_PRIVATE, 0, &at, NULL, FUTEX_BITSET_MATCH_ANY);
}

static void *work(void *arg)
{
    Batcher *b = arg;
    uint64_t due = add_ns(vmafx_monotonic_ns(), b->delay_ns);

    for (;;) {
        /* Cleared before looking: what is signalled from here on is looked at in the next round. */
        bool told = atomic_exchange_explicit(&b->signalled, 0, memory_order_acq_rel);
        uint64_t wanted = 0, deadline = 0;
        bool stop = false;

        if (told) {
            pthread_mutex_lock(&b->lock);
            stop = b->stop;
            if (b->flush_wanted != b->flush_done) {
                wanted = b->flush_wanted;
                deadline = b->flush_deadline;
            }
            pthread_mutex_unlock(&b->lock);
        }
        if (wanted)
            serve_flush(b, wanted, deadline);
        if (stop)
            break;
        if (wanted) {
            due = add_ns(vmafx_monotonic_ns(), b->delay_ns);
            atomic_store_explicit(&b->signalled, 1, memory_order_relaxed); /* a size trigger may have been in there */
            continue;
        }

        size_t n = vmafx_span_queue_used(&b->queue);
        bool late = vmafx_monotonic_ns() >= due;

        if (n >= b->max_batch) {
            vmafx_span_queue_recount(&b->queue);
            n = vmafx_span_queue_used(&b->queue);
        }
        if (n >= b->max_batch || late) {
            size_t got = vmafx_span_queue_collect(&b->queue, false, b->taken);

            if (got)
                export_taken(b, got); /* a failed batch is gone: trying again is the exporter's business */
            due = add_ns(vmafx_monotonic_ns(), b->delay_ns);
            report_drops(b);
            if (got)
                continue;
        }
        sleep_until(b, due);
    }

    VmafxExportResult last = drain(b);

    report_drops(b);
    pthread_mutex_lock(&b->lock);
    b->flush_result = last;
    b->stopped = true;
    pthread_cond_broadcast(&b->done);
    pthread_mutex_unlock(&b->lock);
    return NULL;
}

/* ---- flush, shutdown, free ---- */

static VmafxExportResult force_flush(VmafxSpanProcessor *processor, uint64_t deadline_ns)
{
    Batcher *b = (Batcher *)processor;
    struct timespec at = timespec_of(deadline_ns);
    VmafxExportResult result = VMAFX_EXPORT_TIMEOUT;

    if (!here(b) || !b->has_worker || atomic_load_explicit(&b->down, memory_order_acquire))
        return VMAFX_EXPORT_FAILED;
    pthread_mutex_lock(&b->lock);

    uint64_t ticket = ++b->flush_wanted;

    if (ticket == b->flush_done + 1 || deadline_ns > b->flush_deadline)
        b->flush_deadline = deadline_ns;
    pthread_mutex_unlock(&b->lock);
    wake(b);

    pthread_mutex_lock(&b->lock);
    while (b->flush_done < ticket && !b->stopped)
        if (pthread_cond_timedwait(&b->done, &b->lock, &at))
            break;
    if (b->flush_done >= ticket || b->stopped)
        result = b->flush_result;
    pthread_mutex_unlock(&b->lock);
    return result;
}

/* Waits for the worker's end; false at the deadline. */
static bool wait_stopped(Batcher *b, uint64_t deadline_ns)
{
    struct timespec at = timespec_of(deadline_ns);
    bool stopped;

    pthread_mutex_lock(&b->lock);
    while (!b->stopped)
        if (pthread_cond_timedwait(&b->done, &b->lock, &at))
            break;
    stopped = b->stopped;
    pthread_mutex_unlock(&b->lock);
    return stopped;
}

static VmafxExportResult shut_down(VmafxSpanProcessor *processor, uint64_t deadline_ns)
{
    Batcher *b = (Batcher *)processor;
    uint64_t now = vmafx_monotonic_ns(),
             rest = deadline_ns > now ? VMAFX_MIN((deadline_ns - now) / 4, SHUTDOWN_REST) : 0;
    bool in_time;

    if (!here(b) || atomic_exchange_explicit(&b->down, true, memory_order_acq_rel))
        return VMAFX_EXPORT_FAILED;
    if (!b->has_worker) {
        b->exporter->shutdown(b->exporter, deadline_ns);
        return VMAFX_EXPORT_FAILED;
    }

    uint64_t lost_before = atomic_load(&b->failed) + atomic_load(&b->timed_out);

    atomic_store_explicit(&b->stop_deadline, VMAFX_MAX(deadline_ns - rest, 1ull), memory_order_release);
    pthread_mutex_lock(&b->lock);
    b->stop = true;
    pthread_mutex_unlock(&b->lock);
    wake(b);

    /* A quarter of the time is kept for the second try: the exporter interrupted, whatever it waits for. */
    in_time = wait_stopped(b, deadline_ns - rest);

    VmafxExportResult result = b->exporter->shutdown(b->exporter, deadline_ns);

    if (in_time || wait_stopped(b, deadline_ns)) {
        pthread_join(b->worker, NULL);
    } else {
        pthread_detach(b->worker);
        b->abandoned = true;
    }
    if (!in_time)
        return VMAFX_EXPORT_TIMEOUT;
    if (atomic_load(&b->failed) + atomic_load(&b->timed_out) != lost_before)
        result = VMAFX_MAX(result, VMAFX_EXPORT_FAILED);
    return result;
}

/* Spans that came in while it went down. */
static void empty_rings(Batcher *b)
{
    size_t got;

    while ((got = vmafx_span_queue_collect(&b->queue, false, b->taken))) {
        add(&b->dropped_shutdown, got);
        for (size_t i = 0; i < got; i++)
            vmafx_finished_span_unref(&b->taken[i]);
    }
}

static bool free_batcher(VmafxSpanProcessor *processor)
{
    Batcher *b = (Batcher *)processor;

    if (!here(b))
        return false;
    (void)shut_down(processor, add_ns(vmafx_monotonic_ns(), SHUTDOWN_REST)); /* fails when it is down already */
    if (b->abandoned)
        return false;
    empty_rings(b);
    vmafx_span_queue_done(&b->queue);
    b->exporter->free(b->exporter);
    vmafx_resource_free(&b->resource);
    pthread_mutex_destroy(&b->lock);
    pthread_cond_destroy(&b->done);
    free(b->taken);
    free(b->batch);
    free(b);
    return true;
}

/* ---- making one ---- */

static void say_on_stderr(void *ctx, int severity, const char *message)
{
    fprintf(stderr, "otel: %s\n", message);
}

static bool start_worker(Batcher *b)
{
    pthread_attr_t attr;
    sigset_t all, old;
    bool started;

    if (pthread_attr_init(&attr))
        return false;
    pthread_attr_setstacksize(&attr, STACK_BYTES); /* refused values leave the default */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old); /* the worker inherits it: signals are the program's business */
    started = !pthread_create(&b->worker, &attr, work, b);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    pthread_attr_destroy(&attr);
    if (started)
        pthread_setname_np(b->worker, "otel-spans");
    return started;
}

VmafxSpanProcessor *vmafx_batch_processor_new(const VmafxBatchConfig *config)
{
    Batcher *b;

    if (!config || !config->exporter)
        return NULL;
    b = vmafx_alloc_aligned(1, sizeof *b);
    if (!b)
        goto no_memory;

    size_t max_queue = VMAFX_MAX(VMAFX_MIN(config->max_queue, (size_t)QUEUE_MAX), (size_t)1);

    b->max_batch = VMAFX_MAX(VMAFX_MIN(config->max_batch, max_queue), (size_t)1);
    vmafx_span_queue_init(&b->queue, max_queue, b->max_batch);
    b->taken = calloc(b->max_batch, sizeof *b->taken);
    b->batch = calloc(b->max_batch, sizeof *b->batch);
    if (!b->taken || !b->batch)
        goto no_memory;

    vmafx_fork_watch();
    b->base = (VmafxSpanProcessor){ NULL, on_end, force_flush, shut_down, free_batcher };
    b->generation = vmafx_fork_generation();
    b->exporter = config->exporter;
    if (config->resource)
        b->resource = vmafx_resource_new(config->resource->attrs, config->resource->schema_url);
    b->delay_ns = VMAFX_MIN(VMAFX_MAX(config->delay_ms, (uint64_t)1), (uint64_t)INT_MAX) * NS_PER_MS;
    b->timeout_ns = VMAFX_MIN(config->export_timeout_ms, (uint64_t)INT_MAX) * NS_PER_MS;
    b->error = config->error ? config->error : say_on_stderr;
    b->error_ctx = config->error_ctx;
    pthread_mutex_init(&b->lock, NULL);

    pthread_condattr_t clock;

    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_cond_init(&b->done, &clock);
    pthread_condattr_destroy(&clock);

    b->has_worker = start_worker(b);
    if (!b->has_worker)
        b->error(b->error_ctx, 17, "no thread to export spans: they will be dropped");
    return &b->base;

no_memory:
    if (b) {
        free(b->taken);
        free(b->batch);
    }
    free(b);
    config->exporter->free(config->exporter);
    return NULL;
}

void vmafx_batch_counts(const VmafxSpanProcessor *processor, VmafxBatchCounts *ret)
{
    const Batcher *b = (const Batcher *)processor;

    *ret = (VmafxBatchCounts){ 0 };
    if (!processor || processor->on_end != on_end)
        return;

    ret->queue_size = vmafx_span_queue_size(&b->queue);
    ret->queue_capacity = b->queue.max;
    ret->processed = atomic_load(&b->processed);
    ret->dropped_full = vmafx_span_queue_dropped(&b->queue);
    ret->dropped_shutdown = atomic_load(&b->dropped_shutdown);
    ret->dropped_memory = atomic_load(&b->dropped_memory);
    ret->exported = atomic_load(&b->exported);
    ret->failed = atomic_load(&b->failed);
    ret->timed_out = atomic_load(&b->timed_out);
    ret->inflight = atomic_load(&b->inflight);
    ret->batches = atomic_load(&b->batches);
}

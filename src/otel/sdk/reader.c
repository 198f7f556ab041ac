/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Readers. Collections of one reader queue up on collect_lock, as do exports. The thread of a periodic reader does all
 * its work; flush and shutdown only ask and wait. A thread that does not come back by the deadline of shutdown is
 * detached, and its reader is never freed.
 */

#include "otel/sdk/reader.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "base/base.h"
#include "base/clock.h"
#include "otel/sdk/ids.h"
#include "otel/sdk/meter_provider.h"

enum { STACK_BYTES = 256 * 1024, WARN = 13, FREE_NS = 1000000000, INTERRUPT_NS = 500000000 };

struct VmafxMetricReader {
    VmafxReaderOptions options;
    VmafxMeterProvider *provider; /* NULL until started; set once, before the thread */
    unsigned index, fork_generation;
    atomic_bool stopped; /* collects no more */

    pthread_mutex_t collect_lock; /* one collection at a time; callbacks run under it */

    pthread_mutex_t lock; /* covers everything below */
    pthread_cond_t wake;  /* the thread: something is asked for */
    pthread_cond_t done;  /* whoever waits: a turn is over */
    pthread_t thread;
    bool has_thread, stopping, ended, stuck;
    uint64_t asked, answered; /* turns: a flush waits until its number is answered */
    uint64_t asked_deadline;  /* the latest that is wanted of the next turn */
    VmafxExportResult result; /* of the last turn */
};

static struct timespec timespec_of(uint64_t ns)
{
    uint64_t s = ns / 1000000000u;

    return (struct timespec){ .tv_sec = s > INT_MAX ? INT_MAX : (time_t)s, .tv_nsec = (long)(ns % 1000000000u) };
}

static uint64_t later(uint64_t from, uint64_t by)
{
    return from > UINT64_MAX - by ? UINT64_MAX : from + by;
}

static uint64_t ns_of_ms(uint32_t ms)
{
    return (uint64_t)ms * 1000000u;
}

/* ---- Making ---- */

static bool copy_bounds(VmafxReaderOptions *options)
{
    bool whole = true;

    for (size_t k = 0; k < VMAFX_KINDS; k++) {
        VmafxAggregation *a = &options->aggregation[k];
        const double *from = a->bounds;

        a->bounds = NULL;
        if (!from || !vmafx_histogram_bounds_valid(from, a->n_bounds))
            continue;
        double *bounds = malloc((a->n_bounds ? a->n_bounds : 1) * sizeof *bounds);
        if (bounds)
            memcpy(bounds, from, a->n_bounds * sizeof *bounds);
        a->bounds = bounds;
        whole &= bounds != NULL;
    }
    return whole;
}

static void cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t attr;

    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(cond, &attr);
    pthread_condattr_destroy(&attr);
}

VmafxMetricReader *vmafx_metric_reader_new(const VmafxReaderOptions *options)
{
    static const VmafxReaderOptions defaults = { 0 };
    VmafxMetricReader *reader = calloc(1, sizeof *reader);

    if (!options)
        options = &defaults;
    if (!reader) {
        if (options->exporter)
            options->exporter->free(options->exporter);
        return NULL;
    }
    reader->options = *options;
    if (!reader->options.interval_ms)
        reader->options.interval_ms = VMAFX_READER_INTERVAL_MS;
    if (!reader->options.timeout_ms)
        reader->options.timeout_ms = VMAFX_READER_TIMEOUT_MS;
    pthread_mutex_init(&reader->collect_lock, NULL);
    pthread_mutex_init(&reader->lock, NULL);
    cond_init(&reader->wake);
    cond_init(&reader->done);
    vmafx_fork_watch();
    reader->fork_generation = vmafx_fork_generation();
    if (!copy_bounds(&reader->options))
        VMAFX_IGNORE(!vmafx_metric_reader_free(&reader)); /* it never ran */
    return reader;
}

bool vmafx_metric_reader_free(VmafxMetricReader **reader)
{
    VmafxMetricReader *r = reader ? *reader : NULL;

    if (!r)
        return true;
    *reader = NULL;
    if (r->fork_generation != vmafx_fork_generation())
        return false; /* our locks may be held by threads that are no more */
    if (r->has_thread && !r->stopped)
        VMAFX_IGNORE(
            vmafx_metric_reader_shutdown(r, later(vmafx_monotonic_ns(), FREE_NS))); /* should have been done before */
    if (r->stuck) {
        vmafx_keep(r); /* and with it its provider */
        return false;
    }
    if (r->options.exporter)
        r->options.exporter->free(r->options.exporter);
    for (size_t k = 0; k < VMAFX_KINDS; k++)
        free((void *)r->options.aggregation[k].bounds);
    pthread_mutex_destroy(&r->collect_lock);
    pthread_mutex_destroy(&r->lock);
    pthread_cond_destroy(&r->wake);
    pthread_cond_destroy(&r->done);
    free(r);
    return true;
}

const VmafxReaderOptions *vmafx_metric_reader_options(const VmafxMetricReader *reader)
{
    return &reader->options;
}

bool vmafx_metric_reader_delta(const VmafxMetricReader *reader, VmafxInstrumentKind kind)
{
    bool sync = kind == VMAFX_KIND_COUNTER || kind == VMAFX_KIND_HISTOGRAM;

    switch (reader->options.temporality) {
    case VMAFX_TEMPORALITY_DELTA:
        return sync || kind == VMAFX_KIND_OBSERVABLE_COUNTER;
    case VMAFX_TEMPORALITY_LOWMEMORY:
        return sync;
    default:
        return false;
    }
}

/* ---- One turn: collect and export ---- */

static VmafxMetricSnapshot *collect(VmafxMetricReader *r)
{
    pthread_mutex_lock(&r->collect_lock);
    uint64_t started = vmafx_monotonic_ns();
    VmafxMetricSnapshot *snapshot = vmafx_meter_provider_collect(r->provider, r->index);
    uint64_t took = vmafx_monotonic_ns() - started;
    pthread_mutex_unlock(&r->collect_lock);
    if (r->options.collected)
        r->options.collected(r->options.collected_ctx, took, snapshot != NULL);
    return snapshot;
}

VmafxMetricSnapshot *vmafx_metric_reader_collect(VmafxMetricReader *r)
{
    if (!r || !r->provider || atomic_load_explicit(&r->stopped, memory_order_acquire) ||
        r->fork_generation != vmafx_fork_generation() || vmafx_meter_provider_in_callback())
        return NULL;
    return collect(r);
}

static VmafxExportResult turn(VmafxMetricReader *r, uint64_t deadline_ns)
{
    VmafxMetricCounters *counts = vmafx_meter_provider_counters(r->provider);
    VMAFX_AUTO(vmafx_snapshot_free) VmafxMetricSnapshot *snapshot = collect(r);

    if (!snapshot)
        return VMAFX_EXPORT_FAILED;
    if (!snapshot->n)
        return VMAFX_EXPORT_OK; /* empty envelopes are not sent */
    VmafxBatch batch = {
        .signal = VMAFX_SIGNAL_METRICS, .resource = snapshot->resource, .metrics = snapshot->metrics, .n = snapshot->n
    };
    VmafxExportResult result = r->options.exporter->export_batch(r->options.exporter, &batch, deadline_ns);

    atomic_fetch_add_explicit(result ? &counts->export_failed : &counts->exported, snapshot->n_points,
                              memory_order_relaxed);
    return result;
}

/* ---- The thread ---- */

static bool wait_for_turn(VmafxMetricReader *r, uint64_t next)
{
    struct timespec until = timespec_of(next);

    while (!r->stopping && r->answered == r->asked) {
        int err = pthread_cond_timedwait(&r->wake, &r->lock, &until);

        if (err == ETIMEDOUT)
            break;
    }
    return !r->stopping || r->answered != r->asked;
}

/* Lock held on entry and exit, not while collecting. */
static void take_turn(VmafxMetricReader *r)
{
    uint64_t answers = r->asked, deadline = later(vmafx_monotonic_ns(), ns_of_ms(r->options.timeout_ms));

    if (r->answered != answers && r->asked_deadline < deadline)
        deadline = r->asked_deadline;
    pthread_mutex_unlock(&r->lock);
    VmafxExportResult result = turn(r, deadline);
    pthread_mutex_lock(&r->lock);
    r->result = result;
    r->answered = answers;
    pthread_cond_broadcast(&r->done);
}

static void *run(void *arg)
{
    VmafxMetricReader *r = arg;
    uint64_t interval = ns_of_ms(r->options.interval_ms), next = later(vmafx_monotonic_ns(), interval);

    pthread_mutex_lock(&r->lock);
    while (wait_for_turn(r, next)) {
        uint64_t now = vmafx_monotonic_ns();

        while (next <= now) /* start to start; turns that were missed are not made up for */
            next = later(next, ((now - next) / interval + 1) * interval);
        take_turn(r);
    }
    r->ended = true;
    pthread_cond_broadcast(&r->done);
    pthread_mutex_unlock(&r->lock);
    return NULL;
}

static bool start_thread(VmafxMetricReader *r)
{
    pthread_attr_t attr;
    sigset_t all, old;

    if (pthread_attr_init(&attr))
        return false;
    pthread_attr_setstacksize(&attr, STACK_BYTES);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old); /* signals are for the program's threads */
    int err = pthread_create(&r->thread, &attr, run, r);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    pthread_attr_destroy(&attr);
    if (!err)
        pthread_setname_np(r->thread, "otel-metrics");
    return !err;
}

void vmafx_metric_reader_start(VmafxMetricReader *r, VmafxMeterProvider *provider, unsigned index)
{
    if (r->provider)
        return;
    r->provider = provider;
    r->index = index;
    if (!r->options.exporter)
        return;
    pthread_mutex_lock(&r->lock);
    r->has_thread = start_thread(r);
    pthread_mutex_unlock(&r->lock);
    if (!r->has_thread)
        vmafx_meter_provider_report(provider, WARN, "cannot start the thread that exports metrics");
}

/* Asks for a turn and waits for it. Lock held. */
static VmafxExportResult ask(VmafxMetricReader *r, uint64_t deadline_ns)
{
    struct timespec until = timespec_of(deadline_ns);
    uint64_t mine = ++r->asked;

    if (r->answered + 1 == mine || deadline_ns > r->asked_deadline)
        r->asked_deadline = deadline_ns;
    pthread_cond_signal(&r->wake);
    while (r->answered < mine && !r->ended)
        if (pthread_cond_timedwait(&r->done, &r->lock, &until) == ETIMEDOUT)
            return VMAFX_EXPORT_TIMEOUT;
    return r->answered < mine ? VMAFX_EXPORT_FAILED : r->result;
}

VmafxExportResult vmafx_metric_reader_flush(VmafxMetricReader *r, uint64_t deadline_ns)
{
    if (!r || !r->provider || r->fork_generation != vmafx_fork_generation() || vmafx_meter_provider_in_callback())
        return VMAFX_EXPORT_FAILED;
    if (!r->options.exporter)
        return VMAFX_EXPORT_OK;
    pthread_mutex_lock(&r->lock);
    VmafxExportResult result = r->has_thread && !r->stopping ? ask(r, deadline_ns) : VMAFX_EXPORT_FAILED;
    pthread_mutex_unlock(&r->lock);
    if (!result)
        result = r->options.exporter->force_flush(r->options.exporter, deadline_ns);
    return result;
}

/* Lock held. */
static void await_end(VmafxMetricReader *r, uint64_t deadline_ns)
{
    struct timespec until = timespec_of(deadline_ns);

    while (!r->ended)
        if (pthread_cond_timedwait(&r->done, &r->lock, &until) == ETIMEDOUT)
            break;
}

VmafxExportResult vmafx_metric_reader_shutdown(VmafxMetricReader *r, uint64_t deadline_ns)
{
    VmafxExportResult result = VMAFX_EXPORT_OK;

    if (!r || r->fork_generation != vmafx_fork_generation() || vmafx_meter_provider_in_callback() ||
        atomic_exchange_explicit(&r->stopped, true, memory_order_acq_rel))
        return VMAFX_EXPORT_FAILED;
    if (!r->options.exporter || !r->provider)
        return result;

    /* A quarter of the time, and not more than half a second, is kept for interrupting an export that hangs. */
    uint64_t now = vmafx_monotonic_ns(), left = deadline_ns > now ? deadline_ns - now : 0;
    uint64_t ask_until = deadline_ns - VMAFX_MIN(left / 4, (uint64_t)INTERRUPT_NS);

    pthread_mutex_lock(&r->lock);
    if (r->has_thread)
        result = ask(r, ask_until);
    r->stopping = true;
    pthread_cond_signal(&r->wake);
    pthread_mutex_unlock(&r->lock);

    /* Also when there is no time left: it interrupts an export in flight. */
    VmafxExportResult stopped = r->options.exporter->shutdown(r->options.exporter, deadline_ns);
    result = result ? result : stopped;

    pthread_mutex_lock(&r->lock);
    if (r->has_thread)
        await_end(r, deadline_ns);
    bool ended = r->ended || !r->has_thread;
    r->stuck = !ended;
    pthread_mutex_unlock(&r->lock);
    if (r->has_thread) {
        if (ended)
            pthread_join(r->thread, NULL); /* at its last line */
        else
            pthread_detach(r->thread);
    }
    return !ended && !result ? VMAFX_EXPORT_TIMEOUT : result;
}

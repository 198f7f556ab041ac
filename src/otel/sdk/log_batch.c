/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The batching and the simple log processor.
 *
 *     callers ── copy ──► ring (bounded in records and bytes) ──► worker ── batch ──► exporter
 *
 * Whichever of worker and owner ends last frees everything, so that a worker stuck in an exporter at the end of a
 * shutdown can be left behind with everything it needs. That is why resource and scopes are copies of the processor's
 * own.
 */

#include "otel/sdk/log_provider.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/base.h"
#include "base/clock.h"
#include "otel/sdk/ids.h"
#include "otel/sdk/resource.h"
#include "otel/sdk/values.h"

typedef struct Entry {
    VmafxLogData data;
    size_t bytes;
} Entry;

typedef struct ScopeCopy {
    struct ScopeCopy *next;
    const VmafxScope *of; /* the provider's scope, by address: it lives as long as we are called */
    VmafxScope scope;
} ScopeCopy;

typedef struct Batch {
    VmafxLogProcessor api; /* first */
    VmafxResource *resource;
    VmafxExporter *exporter;
    VmafxBatchSettings settings;
    size_t queue_bytes;
    unsigned generation;

    pthread_mutex_t lock; /* covers everything below; never held while exporting */
    pthread_cond_t wake;  /* to the worker: something to do */
    pthread_cond_t done;  /* from the worker: taken or exited changed */
    Entry **ring;         /* settings.queue_size */
    size_t first, n, bytes;
    ScopeCopy *scopes;
    uint64_t added, finished;   /* records: queued ever, and done with (exported or given up) */
    uint64_t flush_to;          /* export without delay until finished reaches this */
    uint64_t flush_deadline_ns; /* of the most patient flush or of shutdown */
    uint64_t first_ns;          /* when the oldest queued record came */
    bool owner_gone, stopping, exited, quit;
    VmafxLogBatchCounts counts;
} Batch;

/* False when the time has come. */
static bool wait_until(pthread_cond_t *cond, pthread_mutex_t *lock, uint64_t deadline_ns)
{
    struct timespec t = { (time_t)VMAFX_MIN(deadline_ns / 1000000000u, (uint64_t)1 << 40),
                          (long)(deadline_ns % 1000000000u) };

    return pthread_cond_timedwait(cond, lock, &t) == 0;
}

static bool forked(const Batch *b)
{
    return b->generation != vmafx_fork_generation();
}

static void batch_destroy(Batch *b)
{
    for (size_t i = 0; i < b->n; i++)
        free(b->ring[(b->first + i) % (size_t)b->settings.queue_size]);
    for (ScopeCopy *s = b->scopes, *next; s; s = next) {
        next = s->next;
        free(s);
    }
    if (b->exporter && b->exporter->free)
        b->exporter->free(b->exporter);
    pthread_cond_destroy(&b->wake);
    pthread_cond_destroy(&b->done);
    pthread_mutex_destroy(&b->lock);
    vmafx_resource_free(&b->resource);
    free(b->ring);
    free(b);
}

/* ---- Queueing ---- */

static const VmafxScope *own_scope(Batch *b, const VmafxScope *of)
{
    VmafxBump bump = { NULL, 0, false };

    for (ScopeCopy *s = b->scopes; s; s = s->next)
        if (s->of == of)
            return &s->scope;
    for (;;) {
        ScopeCopy *copy = vmafx_bump_take(&bump, sizeof *copy);
        VmafxScope scope = { vmafx_bump_str(&bump, of ? of->name : ""), vmafx_bump_str(&bump, of ? of->version : ""),
                             vmafx_bump_str(&bump, of ? of->schema_url : ""),
                             vmafx_bump_attrs(&bump, of ? of->attrs : VMAFX_NO_ATTRS, &vmafx_attr_unlimited, NULL) };

        if (copy) {
            *copy = (ScopeCopy){ b->scopes, of, scope };
            b->scopes = copy;
            return &copy->scope;
        }
        char *memory = bump.saturated ? NULL : malloc(bump.used);
        if (!memory)
            return NULL;
        bump = (VmafxBump){ memory, 0, false };
    }
}

/* A copy in one block, the scope still the caller's; NULL without memory or when it is larger than room. */
static Entry *copy_record(const VmafxLogData *from, size_t room)
{
    VmafxBump bump = { NULL, 0, false };

    for (;;) {
        Entry *entry = vmafx_bump_take(&bump, sizeof *entry);
        VmafxLogData data = *from;

        data.severity_text = vmafx_bump_str(&bump, from->severity_text);
        data.event_name = vmafx_bump_str(&bump, from->event_name);
        data.body = vmafx_bump_value(&bump, &from->body, &vmafx_attr_unlimited);
        data.attrs = vmafx_bump_attrs(&bump, from->attrs, &vmafx_attr_unlimited, NULL);
        if (entry) {
            *entry = (Entry){ data, bump.used };
            return entry;
        }
        char *memory = bump.saturated || bump.used > room ? NULL : malloc(bump.used);
        if (!memory)
            return NULL;
        bump = (VmafxBump){ memory, 0, false };
    }
}

static void batch_emit(VmafxLogProcessor *processor, VmafxLogData *record)
{
    Batch *b = (Batch *)processor;

    if (forked(b))
        return;
    Entry *entry = copy_record(record, b->queue_bytes);

    pthread_mutex_lock(&b->lock);
    size_t size = (size_t)b->settings.queue_size, batch = (size_t)b->settings.batch_size;
    const VmafxScope *scope = entry && !b->stopping ? own_scope(b, record->scope) : NULL;
    if (b->stopping) {
        b->counts.dropped_late++;
    } else if (!scope || b->n >= size || b->bytes + entry->bytes > b->queue_bytes) {
        b->counts.dropped_full++;
    } else {
        entry->data.scope = scope;
        b->ring[(b->first + b->n++) % size] = entry;
        b->bytes += entry->bytes;
        b->added++;
        b->counts.accepted++;
        entry = NULL;
        if (b->n == 1)
            b->first_ns = vmafx_monotonic_ns();
        if (b->n == 1 || b->n == batch)
            pthread_cond_signal(&b->wake);
    }
    pthread_mutex_unlock(&b->lock);
    free(entry);
}

/* ---- The worker ---- */

static bool due(const Batch *b, uint64_t now)
{
    uint64_t delay = (uint64_t)b->settings.schedule_delay_ms * 1000000u;

    return b->n && (b->stopping || b->finished < b->flush_to || b->n >= (size_t)b->settings.batch_size ||
                    now >= b->first_ns + delay);
}

/* Takes one batch off the ring, exports it with the lock released, and counts. */
static void export_one(Batch *b, const VmafxLogData **records)
{
    size_t n = VMAFX_MIN(b->n, (size_t)b->settings.batch_size), size = (size_t)b->settings.queue_size;
    uint64_t now = vmafx_monotonic_ns(), deadline = now + (uint64_t)b->settings.export_timeout_ms * 1000000u;

    for (size_t i = 0; i < n; i++) {
        records[i] = &b->ring[b->first]->data;
        b->bytes -= b->ring[b->first]->bytes;
        b->first = (b->first + 1) % size;
    }
    b->n -= n;
    b->first_ns = now;
    if (b->stopping)
        deadline = VMAFX_MIN(deadline, b->flush_deadline_ns);
    pthread_mutex_unlock(&b->lock);

    VmafxBatch batch = { .signal = VMAFX_SIGNAL_LOGS, .resource = b->resource, .logs = records, .n = n };
    VmafxExportResult result = b->exporter->export_batch(b->exporter, &batch, deadline);
    for (size_t i = 0; i < n; i++)
        free((void *)(uintptr_t)records[i]); /* the record is its entry's first member */

    pthread_mutex_lock(&b->lock);
    b->finished += n;
    *(result ? &b->counts.failed : &b->counts.exported) += n;
    pthread_cond_broadcast(&b->done);
}

static void *work(void *arg)
{
    Batch *b = arg;
    const VmafxLogData **records = calloc((size_t)b->settings.batch_size, sizeof *records);

    pthread_setname_np(pthread_self(), "otel-logs");
    pthread_mutex_lock(&b->lock);
    while (records && !b->quit) {
        if (due(b, vmafx_monotonic_ns()))
            export_one(b, records);
        else if (b->stopping)
            break;
        else if (b->n)
            wait_until(&b->wake, &b->lock, b->first_ns + (uint64_t)b->settings.schedule_delay_ms * 1000000u);
        else
            pthread_cond_wait(&b->wake, &b->lock);
    }
    b->exited = true;
    pthread_cond_broadcast(&b->done);
    bool left_behind = b->owner_gone;
    pthread_mutex_unlock(&b->lock);
    free(records);
    if (left_behind)
        batch_destroy(b);
    return NULL;
}

static bool start(Batch *b)
{
    pthread_attr_t attr;
    pthread_t thread;
    sigset_t all, before;

    if (pthread_attr_init(&attr))
        return false;
    pthread_attr_setstacksize(&attr, (size_t)256 << 10);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED); /* the end is told by exited, not by a join */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool started = !pthread_create(&thread, &attr, work, b);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    return started;
}

/* ---- Flush, shutdown, end ---- */

static VmafxExportResult batch_flush(VmafxLogProcessor *processor, uint64_t deadline_ns)
{
    Batch *b = (Batch *)processor;
    VmafxExportResult result = VMAFX_EXPORT_OK;

    if (forked(b))
        return VMAFX_EXPORT_FAILED;
    pthread_mutex_lock(&b->lock);
    uint64_t to = b->added, failed = b->counts.failed;
    if (b->stopping)
        result = VMAFX_EXPORT_FAILED;
    b->flush_to = VMAFX_MAX(b->flush_to, to);
    pthread_cond_signal(&b->wake);
    while (!result && b->finished < to && !b->exited)
        if (!wait_until(&b->done, &b->lock, deadline_ns) && vmafx_monotonic_ns() >= deadline_ns && b->finished < to)
            result = VMAFX_EXPORT_TIMEOUT;
    if (!result && (b->counts.failed != failed || b->finished < to))
        result = VMAFX_EXPORT_FAILED;
    pthread_mutex_unlock(&b->lock);
    if (result || !b->exporter->force_flush)
        return result;
    return b->exporter->force_flush(b->exporter, deadline_ns);
}

static VmafxExportResult batch_shutdown(VmafxLogProcessor *processor, uint64_t deadline_ns)
{
    Batch *b = (Batch *)processor;
    VmafxExportResult result = VMAFX_EXPORT_OK, ended = VMAFX_EXPORT_OK;

    if (forked(b))
        return VMAFX_EXPORT_FAILED;
    pthread_mutex_lock(&b->lock);
    if (b->stopping) {
        pthread_mutex_unlock(&b->lock);
        return VMAFX_EXPORT_FAILED;
    }
    uint64_t failed = b->counts.failed;
    b->stopping = true;
    b->flush_deadline_ns = deadline_ns;
    pthread_cond_signal(&b->wake);
    while (!result && !b->exited)
        if (!wait_until(&b->done, &b->lock, deadline_ns) && vmafx_monotonic_ns() >= deadline_ns && !b->exited)
            result = VMAFX_EXPORT_TIMEOUT;
    b->quit = true; /* a worker that comes back later gives up what is queued */
    if (!result && b->counts.failed != failed)
        result = VMAFX_EXPORT_FAILED;
    pthread_mutex_unlock(&b->lock);
    if (b->exporter->shutdown)
        ended = b->exporter->shutdown(b->exporter, deadline_ns); /* interrupts an export that still runs */
    return result ? result : ended;
}

static void batch_free(VmafxLogProcessor *processor)
{
    Batch *b = (Batch *)processor;

    if (forked(b))
        return; /* locks and exporter may be in any state */
    pthread_mutex_lock(&b->lock);
    bool shut = b->stopping;
    b->stopping = b->quit = true;
    pthread_cond_signal(&b->wake);
    pthread_mutex_unlock(&b->lock);
    if (!shut && b->exporter->shutdown)
        b->exporter->shutdown(b->exporter, vmafx_monotonic_ns());

    pthread_mutex_lock(&b->lock);
    b->owner_gone = true; /* from here on a worker that still runs may free everything */
    bool last = b->exited;
    pthread_mutex_unlock(&b->lock);
    if (last)
        batch_destroy(b);
}

static int32_t inside(int32_t value, int32_t fallback, int32_t min, int32_t max)
{
    return !value ? fallback : VMAFX_MAX(min, VMAFX_MIN(value, max));
}

VmafxLogProcessor *vmafx_log_batch_new(const VmafxResource *resource, VmafxExporter *exporter,
                                       const VmafxLogBatchSettings *settings)
{
    static const VmafxLogBatchSettings defaults = { .queue_bytes = 0 };
    Batch *b = calloc(1, sizeof *b);
    pthread_condattr_t attr;

    if (!b || !exporter || !exporter->export_batch || pthread_condattr_init(&attr)) {
        if (exporter && exporter->free)
            exporter->free(exporter);
        free(b);
        return NULL;
    }
    settings = settings ? settings : &defaults;
    vmafx_fork_watch();
    b->settings.queue_size = inside(settings->batch.queue_size, 2048, 1, 1 << 22);
    b->settings.batch_size = inside(settings->batch.batch_size, 512, 1, b->settings.queue_size);
    b->settings.batch_size = VMAFX_MIN(b->settings.batch_size, b->settings.queue_size);
    b->settings.schedule_delay_ms =
        inside(settings->batch.schedule_delay_ms, settings == &defaults ? 1000 : 0, 0, INT32_MAX);
    b->settings.export_timeout_ms = inside(settings->batch.export_timeout_ms, 30000, 1, INT32_MAX);
    b->queue_bytes = settings->queue_bytes ? settings->queue_bytes : (size_t)16 << 20;
    b->generation = vmafx_fork_generation();
    b->exporter = exporter;
    b->resource = vmafx_resource_new(resource ? resource->attrs : VMAFX_NO_ATTRS, resource ? resource->schema_url : "");
    b->ring = calloc((size_t)b->settings.queue_size, sizeof(Entry *));
    b->api = (VmafxLogProcessor){
        .on_emit = batch_emit, .force_flush = batch_flush, .shutdown = batch_shutdown, .free = batch_free
    };
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&b->lock, NULL);
    pthread_cond_init(&b->wake, &attr);
    pthread_cond_init(&b->done, &attr);
    pthread_condattr_destroy(&attr);
    if (!b->ring || !start(b)) {
        batch_destroy(b);
        return NULL;
    }
    return &b->api;
}

VmafxLogBatchCounts vmafx_log_batch_counts(VmafxLogProcessor *processor)
{
    Batch *b = processor && processor->on_emit == batch_emit ? (Batch *)processor : NULL;
    VmafxLogBatchCounts counts = { 0 };

    if (!b || forked(b))
        return counts;
    pthread_mutex_lock(&b->lock);
    counts = b->counts;
    counts.queued = b->n;
    counts.queue_capacity = (uint64_t)b->settings.queue_size;
    pthread_mutex_unlock(&b->lock);
    return counts;
}

/* ---- Simple ---- */

typedef struct Simple {
    VmafxLogProcessor api; /* first */
    VmafxResource *resource;
    VmafxExporter *exporter;
    pthread_mutex_t lock; /* makes exports one after another, which is why this one is for tests */
    bool shut;
} Simple;

enum { SIMPLE_TIMEOUT_S = 30 };

static void simple_emit(VmafxLogProcessor *processor, VmafxLogData *record)
{
    Simple *s = (Simple *)processor;
    const VmafxLogData *const one[] = { record };
    VmafxBatch batch = { .signal = VMAFX_SIGNAL_LOGS, .resource = s->resource, .logs = one, .n = 1 };

    pthread_mutex_lock(&s->lock);
    if (!s->shut)
        s->exporter->export_batch(s->exporter, &batch, vmafx_monotonic_ns() + SIMPLE_TIMEOUT_S * UINT64_C(1000000000));
    pthread_mutex_unlock(&s->lock);
}

static VmafxExportResult simple_flush(VmafxLogProcessor *processor, uint64_t deadline_ns)
{
    Simple *s = (Simple *)processor;

    return s->exporter->force_flush ? s->exporter->force_flush(s->exporter, deadline_ns) : VMAFX_EXPORT_OK;
}

static VmafxExportResult simple_shutdown(VmafxLogProcessor *processor, uint64_t deadline_ns)
{
    Simple *s = (Simple *)processor;
    VmafxExportResult result =
        s->exporter->shutdown ? s->exporter->shutdown(s->exporter, deadline_ns) : VMAFX_EXPORT_OK;

    pthread_mutex_lock(&s->lock);
    s->shut = true;
    pthread_mutex_unlock(&s->lock);
    return result;
}

static void simple_free(VmafxLogProcessor *processor)
{
    Simple *s = (Simple *)processor;

    if (s->exporter->free)
        s->exporter->free(s->exporter);
    vmafx_resource_free(&s->resource);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

VmafxLogProcessor *vmafx_log_simple_new(const VmafxResource *resource, VmafxExporter *exporter)
{
    Simple *s = exporter && exporter->export_batch ? calloc(1, sizeof *s) : NULL;

    if (!s) {
        if (exporter && exporter->free)
            exporter->free(exporter);
        return NULL;
    }
    s->exporter = exporter;
    s->resource = vmafx_resource_new(resource ? resource->attrs : VMAFX_NO_ATTRS, resource ? resource->schema_url : "");
    s->api = (VmafxLogProcessor){ NULL, simple_emit, simple_flush, simple_shutdown, simple_free };
    pthread_mutex_init(&s->lock, NULL);
    return &s->api;
}

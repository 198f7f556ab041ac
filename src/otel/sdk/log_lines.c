/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Lines on their way to stderr: a bounded ring of bytes, a thread that writes them, and a memory for repeats. */

#include "otel/sdk/log_lines.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/base.h"
#include "base/clock.h"
#include "otel/api/attr_set.h"
#include "otel/sdk/ids.h"

enum { REPEATS = 128, REPEAT_WAYS = 4 };

/* One message of one logger; found by hash, the least recently begun window of its set makes room. */
typedef struct Repeat {
    uint64_t hash, from_ns, suppressed;
    int lines;
} Repeat;

typedef struct Lines {
    VmafxLogProcessor api; /* first */
    VmafxLogLinesSettings settings;
    unsigned generation;

    pthread_mutex_t lock; /* covers everything below; never held while writing */
    pthread_cond_t wake, done;
    char *ring;
    size_t first, n;
    uint64_t added, written; /* bytes */
    uint64_t dropped, dropped_told, suppressed;
    bool owner_gone, stopping, exited, quit, failed;
    Repeat repeats[REPEATS];
} Lines;

static bool forked(const Lines *l)
{
    return l->generation != vmafx_fork_generation();
}

static void lines_destroy(Lines *l)
{
    pthread_cond_destroy(&l->wake);
    pthread_cond_destroy(&l->done);
    pthread_mutex_destroy(&l->lock);
    free(l->ring);
    free(l);
}

/* ---- Repeats ---- */

static uint64_t identity(const VmafxLogData *r)
{
    uint64_t hash = vmafx_text_hash(r->scope ? r->scope->name : "", (uint64_t)r->severity);

    return vmafx_value_hash(&r->body, hash) | 1; /* 0 is a free place */
}

/* False for a line that is one too many; *ret_missed is how many were left out before this one. */
static bool may_pass(Lines *l, const VmafxLogData *r, uint64_t *ret_missed)
{
    uint64_t hash = identity(r), window = (uint64_t)l->settings.repeat_window_ms * 1000000u;
    Repeat *set = &l->repeats[hash / 2 % (REPEATS / REPEAT_WAYS) * REPEAT_WAYS], *it = set;

    *ret_missed = 0;
    if (l->settings.repeat_burst < 0 || r->severity >= VMAFX_FATAL)
        return true;
    for (int i = 0; i < REPEAT_WAYS; i++) {
        if (set[i].hash == hash) {
            it = &set[i];
            break;
        }
        if (set[i].from_ns < it->from_ns)
            it = &set[i];
    }
    if (it->hash != hash)
        *it = (Repeat){ .hash = hash, .from_ns = r->observed_ns };
    if (r->observed_ns < it->from_ns || r->observed_ns - it->from_ns >= window) {
        *ret_missed = it->suppressed;
        *it = (Repeat){ .hash = hash, .from_ns = r->observed_ns };
    }
    if (it->lines >= l->settings.repeat_burst) {
        it->suppressed++;
        l->suppressed++;
        return false;
    }
    it->lines++;
    return true;
}

/* ---- Queueing ---- */

static bool enqueue(Lines *l, const char *text, size_t len)
{
    size_t size = l->settings.queue_bytes, at = (l->first + l->n) % size;

    if (len > size - l->n)
        return false;
    size_t head = VMAFX_MIN(len, size - at);
    memcpy(l->ring + at, text, head);
    memcpy(l->ring, text + head, len - head);
    l->n += len;
    l->added += len;
    return true;
}

/* A line of the log about itself. */
static bool enqueue_count(Lines *l, const char *message, uint64_t count, uint64_t now_ns)
{
    VmafxAttr attr = VMAFX_ATTR_INT("count", (int64_t)count);
    VmafxLogData r = { .observed_ns = now_ns, .severity = VMAFX_WARN, .severity_text = "WARN", .attrs = { &attr, 1 } };
    char text[VMAFX_LOG_LINE_MAX + 1];

    r.body = vmafx_value_str(message);
    return enqueue(l, text, vmafx_log_line_format(&r, l->settings.format, text));
}

static void lines_emit(VmafxLogProcessor *processor, VmafxLogData *record)
{
    Lines *l = (Lines *)processor;
    VmafxLogData r = *record;
    VMAFX_AUTO(vmafx_free_p) VmafxAttr *more = NULL;
    char text[VMAFX_LOG_LINE_MAX + 1];
    uint64_t missed;

    if (forked(l))
        return;
    pthread_mutex_lock(&l->lock);
    bool pass = !l->stopping && may_pass(l, record, &missed);
    pthread_mutex_unlock(&l->lock);
    if (!pass)
        return;
    if (missed && (more = calloc(r.attrs.n + 1, sizeof *more))) {
        more[0] = VMAFX_ATTR_INT("suppressed", (int64_t)missed);
        if (r.attrs.n)
            memcpy(more + 1, r.attrs.items, r.attrs.n * sizeof *more);
        r.attrs = (VmafxAttrs){ more, r.attrs.n + 1 };
    }
    size_t len = vmafx_log_line_format(&r, l->settings.format, text);

    pthread_mutex_lock(&l->lock);
    if (!enqueue(l, text, len))
        l->dropped++;
    else if (l->dropped > l->dropped_told &&
             enqueue_count(l, "log lines dropped, since they could not be written as fast",
                           l->dropped - l->dropped_told, r.observed_ns))
        l->dropped_told = l->dropped;
    pthread_cond_signal(&l->wake);
    pthread_mutex_unlock(&l->lock);
}

static bool lines_enabled(VmafxLogProcessor *processor, int severity, const char *event_name)
{
    (void)event_name;
    return !severity || severity >= ((Lines *)processor)->settings.minimum_severity;
}

/* ---- The writer ---- */

static void *work(void *arg)
{
    Lines *l = arg;
    static const size_t at_once = 65536;

    pthread_setname_np(pthread_self(), "log-lines");
    pthread_mutex_lock(&l->lock);
    while (!l->quit) {
        if (!l->n && l->stopping)
            break;
        if (!l->n) {
            pthread_cond_wait(&l->wake, &l->lock);
            continue;
        }
        const char *from = l->ring + l->first; /* nobody writes here until n shrinks */
        size_t len = VMAFX_MIN(VMAFX_MIN(l->n, l->settings.queue_bytes - l->first), at_once);
        pthread_mutex_unlock(&l->lock);

        ssize_t got = write(l->settings.fd, from, len);
        int error = got < 0 ? errno : 0;

        pthread_mutex_lock(&l->lock);
        if (error == EINTR || error == EAGAIN) {
            /* a descriptor that does not block, and is full: try again soon, or when told to end */
            struct timespec t;
            clock_gettime(CLOCK_MONOTONIC, &t);
            t.tv_nsec += 10000000;
            t.tv_sec += t.tv_nsec / 1000000000;
            t.tv_nsec %= 1000000000;
            pthread_cond_timedwait(&l->wake, &l->lock, &t);
            continue;
        }
        if (got < 0) { /* nobody reads any more */
            l->failed = true;
            got = (ssize_t)len;
        }
        l->first = (l->first + (size_t)got) % l->settings.queue_bytes;
        l->n -= (size_t)got;
        l->written += (size_t)got;
        pthread_cond_broadcast(&l->done);
    }
    l->exited = true;
    pthread_cond_broadcast(&l->done);
    bool left_behind = l->owner_gone;
    pthread_mutex_unlock(&l->lock);
    if (left_behind)
        lines_destroy(l);
    return NULL;
}

static bool start(Lines *l)
{
    pthread_attr_t attr;
    pthread_t thread;
    sigset_t all, before;

    if (pthread_attr_init(&attr))
        return false;
    pthread_attr_setstacksize(&attr, (size_t)256 << 10);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    sigfillset(&all); /* SIGPIPE too: a closed pipe is an error of write then */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool started = !pthread_create(&thread, &attr, work, l);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    return started;
}

/* Waits, lock held, for everything queued so far to be written. */
static VmafxExportResult drain(Lines *l, uint64_t deadline_ns)
{
    uint64_t to = l->added;

    pthread_cond_signal(&l->wake);
    while (l->written < to && !l->exited) {
        struct timespec t = { (time_t)VMAFX_MIN(deadline_ns / 1000000000u, (uint64_t)1 << 40),
                              (long)(deadline_ns % 1000000000u) };

        if (pthread_cond_timedwait(&l->done, &l->lock, &t) && vmafx_monotonic_ns() >= deadline_ns && l->written < to)
            return VMAFX_EXPORT_TIMEOUT;
    }
    return l->failed || l->written < to ? VMAFX_EXPORT_FAILED : VMAFX_EXPORT_OK;
}

static VmafxExportResult lines_flush(VmafxLogProcessor *processor, uint64_t deadline_ns)
{
    Lines *l = (Lines *)processor;

    if (forked(l))
        return VMAFX_EXPORT_FAILED;
    pthread_mutex_lock(&l->lock);
    VmafxExportResult result = drain(l, deadline_ns);
    pthread_mutex_unlock(&l->lock);
    return result;
}

static VmafxExportResult lines_shutdown(VmafxLogProcessor *processor, uint64_t deadline_ns)
{
    Lines *l = (Lines *)processor;
    VmafxExportResult result = VMAFX_EXPORT_FAILED;
    uint64_t pending = 0;

    if (forked(l))
        return result;
    uint64_t now = vmafx_wall_ns();
    pthread_mutex_lock(&l->lock);
    if (!l->stopping) {
        for (size_t i = 0; i < REPEATS; i++)
            pending += l->repeats[i].suppressed;
        if (pending)
            enqueue_count(l, "repeated log lines left out", pending, now);
        l->stopping = true;
        result = drain(l, deadline_ns);
        l->quit = true;
        pthread_cond_signal(&l->wake);
    }
    pthread_mutex_unlock(&l->lock);
    return result;
}

static void lines_free(VmafxLogProcessor *processor)
{
    Lines *l = (Lines *)processor;

    if (forked(l))
        return;
    pthread_mutex_lock(&l->lock);
    l->stopping = l->quit = l->owner_gone = true;
    bool last = l->exited;
    pthread_cond_signal(&l->wake);
    pthread_mutex_unlock(&l->lock);
    if (last)
        lines_destroy(l);
}

VmafxLogProcessor *vmafx_log_lines_new(const VmafxLogLinesSettings *settings)
{
    Lines *l = settings ? calloc(1, sizeof *l) : NULL;
    pthread_condattr_t attr;

    if (!l || pthread_condattr_init(&attr)) {
        free(l);
        return NULL;
    }
    vmafx_fork_watch();
    l->settings = *settings;
    l->settings.queue_bytes =
        VMAFX_MAX(settings->queue_bytes ? settings->queue_bytes : (size_t)1 << 20, (size_t)2 * VMAFX_LOG_LINE_MAX);
    l->settings.repeat_burst = settings->repeat_burst ? settings->repeat_burst : 50;
    l->settings.repeat_window_ms = settings->repeat_window_ms > 0 ? settings->repeat_window_ms : 10000;
    l->generation = vmafx_fork_generation();
    l->ring = malloc(l->settings.queue_bytes);
    l->api = (VmafxLogProcessor){ lines_enabled, lines_emit, lines_flush, lines_shutdown, lines_free };
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->wake, &attr);
    pthread_cond_init(&l->done, &attr);
    pthread_condattr_destroy(&attr);
    if (!l->ring || !start(l)) {
        lines_destroy(l);
        return NULL;
    }
    return &l->api;
}

void vmafx_log_lines_counts(VmafxLogProcessor *processor, uint64_t *ret_dropped, uint64_t *ret_suppressed)
{
    Lines *l = processor && processor->on_emit == lines_emit ? (Lines *)processor : NULL;

    *ret_dropped = *ret_suppressed = 0;
    if (!l || forked(l))
        return;
    pthread_mutex_lock(&l->lock);
    *ret_dropped = l->dropped;
    *ret_suppressed = l->suppressed;
    pthread_mutex_unlock(&l->lock);
}

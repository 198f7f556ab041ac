/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * One batch's way out. Each request of it is attempted, and again after a backoff while the batch's deadline allows.
 * In a hurry the backoffs are short, and there are as many as the deadline allows; one that is under way begins anew.
 * A collector that answers may thus still take what it refused a moment ago; one that is not there gets a single
 * attempt from then on, since a program's end is not the time to wait for somebody to start it.
 *
 * Shutdown ends a backoff; the request then has one last attempt if there is time. Whatever is under way when
 * shutdown's own deadline comes is cancelled.
 */

#include "otel/export/otlp_exporter.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "base/base.h"
#include "base/clock.h"
#include "otel/export/otlp_encode.h"

#define NS_PER_S  UINT64_C(1000000000)
#define NS_PER_MS UINT64_C(1000000)

enum { TIMEOUT_MS_DEFAULT = 10000, COMPLAIN_EVERY_S = 60, WARNING = 13, INFO = 9 };

/* What may be complained of, each kind as often as the others: one must not hide another. */
typedef enum Complaint { AGAIN, GAVE_UP, REJECTED, WARNS, TOO_LARGE, COMPLAINTS } Complaint;

static const VmafxRetryPolicy hurried = { .first_ns = 75 * NS_PER_MS, /* 50 … 100 ms with the jitter */
                                          .cap_ns = NS_PER_S,
                                          .factor_percent = 200,
                                          .jitter_percent = 33,
                                          .attempts_max = UINT32_MAX };

typedef struct Counters {
    atomic_uint_fast64_t exported, rejected, failed, timed_out, too_large, requests, attempts, retries, warnings;
} Counters;

typedef struct OtlpExporter {
    VmafxExporter base; /* first: an exporter is one of ours when its functions are */
    VmafxOtlpTransport transport;
    void *self;
    VmafxRetryPolicy retry;
    uint64_t timeout_ns;
    size_t target, request_max;
    VmafxOtelErrorHandler on_error;
    void *on_error_ctx;
    Counters counts;

    /* the exporting thread's alone */
    uint64_t random;
    uint64_t complained_ns[COMPLAINTS]; /* 0: never */
    int status;                         /* of the last answer; -1: none */
    bool deserted;                      /* in the hurry nobody was there */

    pthread_mutex_t lock; /* covers what follows */
    pthread_cond_t changed;
    bool busy, hurry, stopping;
    uint64_t stop_ns; /* while stopping: its deadline */
} OtlpExporter;

static void count(atomic_uint_fast64_t *counter, uint64_t n)
{
    atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

void vmafx_otlp_complain(const VmafxOtlpConfig *config, int severity, const char *fmt, ...)
{
    char text[512];
    va_list args;

    if (!config->on_error)
        return;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    config->on_error(config->on_error_ctx, severity, text);
}

void vmafx_otlp_user_agent(const VmafxOtlpConfig *config, char *ret, size_t size)
{
    snprintf(ret, size, "%s%s" VMAFX_OTLP_USER_AGENT "/%s", config->product ? config->product : "",
             config->product ? " " : "", config->version ? config->version : "0");
}

/* An absent collector, or one that comes and goes, is a quiet state: of each kind a line, and then one a minute. */
static void complain(OtlpExporter *exporter, Complaint kind, const char *what, const char *why)
{
    uint64_t now = vmafx_monotonic_ns(), *last = &exporter->complained_ns[kind];
    char text[512];

    if (*last && now - *last < COMPLAIN_EVERY_S * NS_PER_S)
        return;
    *last = now;
    if (!exporter->on_error)
        return;
    snprintf(text, sizeof text, "%s: %s: %s", exporter->base.component_type, what, why);
    exporter->on_error(exporter->on_error_ctx, WARNING, text);
}

static struct timespec timespec_of(uint64_t ns)
{
    return (struct timespec){ .tv_sec = (time_t)VMAFX_MIN(ns / NS_PER_S, (uint64_t)INT32_MAX),
                              .tv_nsec = (long)(ns % NS_PER_S) };
}

/* ---- one request ---- */

/* One request's attempts. */
typedef struct Attempts {
    VmafxBackoff backoff;
    uint64_t deadline_ns;
    bool hurry, last; /* last: shutdown has begun, after this one there is no other */
    bool ending;      /* a hurry or shutdown had begun before the latest one */
} Attempts;

static void hurry_up(OtlpExporter *exporter, Attempts *attempts)
{
    attempts->hurry = true;
    vmafx_backoff_init(&attempts->backoff, &hurried, &exporter->random);
}

/*
 * Sleeps until another attempt is due, or until shutdown, which gives its deadline. False: there is no point in it. The
 * delay that the server asked for is kept also when a hurry begins in the middle of it; where nobody was, the hurry's
 * only attempt is due at once.
 */
static bool back_off(OtlpExporter *exporter, Attempts *attempts, const VmafxOtlpAttempt *failed)
{
    uint64_t now = vmafx_monotonic_ns(), earliest = now + VMAFX_MIN(failed->server_delay_ns, UINT64_MAX / 2);
    uint64_t wait_ns;
    bool told = false;

    pthread_mutex_lock(&exporter->lock);
    do {
        now = vmafx_monotonic_ns();
        if (exporter->hurry && !attempts->hurry)
            hurry_up(exporter, attempts);
        if (attempts->last || !vmafx_backoff_next(&attempts->backoff, earliest > now ? earliest - now : 0, now,
                                                  attempts->deadline_ns, &wait_ns)) {
            pthread_mutex_unlock(&exporter->lock);
            return false;
        }
        if (!told) {
            pthread_mutex_unlock(&exporter->lock);
            complain(exporter, AGAIN, "will try again", failed->message);
            pthread_mutex_lock(&exporter->lock);
            told = true;
        }
        struct timespec until = timespec_of(now + wait_ns);
        while (!exporter->stopping && exporter->hurry == attempts->hurry &&
               pthread_cond_timedwait(&exporter->changed, &exporter->lock, &until) == 0)
            ;
        attempts->last = exporter->stopping;
        if (exporter->stopping)
            attempts->deadline_ns = VMAFX_MIN(attempts->deadline_ns, exporter->stop_ns);
    } while (!exporter->stopping && exporter->hurry != attempts->hurry && !failed->unreached);
    pthread_mutex_unlock(&exporter->lock);
    return true;
}

static void delivered(OtlpExporter *exporter, const VmafxOtlpAttempt *attempt, uint64_t items)
{
    uint64_t rejected = VMAFX_MIN(attempt->partial.rejected, items);

    count(&exporter->counts.exported, items - rejected);
    count(&exporter->counts.rejected, rejected);
    if (rejected) {
        char what[80];

        snprintf(what, sizeof what, "the collector rejected %" PRIu64 " of %" PRIu64, rejected, items);
        complain(exporter, REJECTED, what, attempt->partial.message);
    } else if (attempt->partial.present || attempt->unreadable) {
        count(&exporter->counts.warnings, 1);
        complain(exporter, WARNS, "the collector warns",
                 attempt->partial.present ? attempt->partial.message : "its answer cannot be read");
    }
}

static bool is_ending(OtlpExporter *exporter)
{
    pthread_mutex_lock(&exporter->lock);
    bool ending = exporter->hurry || exporter->stopping;
    pthread_mutex_unlock(&exporter->lock);
    return ending;
}

static VmafxExportResult send_request(OtlpExporter *exporter, const VmafxWire *wire, uint64_t items,
                                      uint64_t deadline_ns)
{
    Attempts attempts = { .deadline_ns = deadline_ns };

    vmafx_backoff_init(&attempts.backoff, &exporter->retry, &exporter->random);
    count(&exporter->counts.requests, 1);
    for (;;) {
        VmafxOtlpAttempt attempt = { .outcome = VMAFX_OTLP_GIVE_UP, .status = -1 };

        attempts.ending = is_ending(exporter);
        if (exporter->deserted)
            snprintf(attempt.message, sizeof attempt.message, "nobody was there a moment ago");
        else if (vmafx_monotonic_ns() >= attempts.deadline_ns)
            attempt.outcome = VMAFX_OTLP_DEADLINE;
        else {
            count(&exporter->counts.attempts, 1);
            exporter->transport.attempt(exporter->self, wire->bytes, wire->len, attempts.deadline_ns, &attempt);
        }
        exporter->status = attempt.status;
        if (attempt.outcome == VMAFX_OTLP_DELIVERED) {
            delivered(exporter, &attempt, items);
            return VMAFX_EXPORT_OK;
        }
        if (attempt.outcome == VMAFX_OTLP_DEADLINE) {
            count(&exporter->counts.timed_out, items);
            complain(exporter, GAVE_UP, "gave up on a batch", "the deadline passed");
            return VMAFX_EXPORT_TIMEOUT;
        }
        exporter->deserted |= attempt.unreached && attempts.ending;
        if (attempt.outcome == VMAFX_OTLP_GIVE_UP || exporter->deserted || !back_off(exporter, &attempts, &attempt)) {
            count(&exporter->counts.failed, items);
            complain(exporter, GAVE_UP, "gave up on a batch", attempt.message);
            return VMAFX_EXPORT_FAILED;
        }
        count(&exporter->counts.retries, 1);
    }
}

/* ---- the exporter's functions ---- */

/* False when shutdown has begun: such a batch is dropped. */
static bool enter(OtlpExporter *exporter)
{
    pthread_mutex_lock(&exporter->lock);
    bool entered = !exporter->stopping;
    exporter->busy |= entered;
    pthread_mutex_unlock(&exporter->lock);
    return entered;
}

static void leave(OtlpExporter *exporter)
{
    pthread_mutex_lock(&exporter->lock);
    exporter->busy = false;
    pthread_cond_broadcast(&exporter->changed);
    pthread_mutex_unlock(&exporter->lock);
}

static VmafxExportResult otlp_export(VmafxExporter *base, const VmafxBatch *batch, uint64_t deadline_ns)
{
    OtlpExporter *exporter = (OtlpExporter *)base;
    VmafxExportResult result = VMAFX_EXPORT_OK;
    VmafxOtlpEncoder encoder;
    uint64_t now = vmafx_monotonic_ns();

    if (!enter(exporter)) {
        count(&exporter->counts.failed, vmafx_otlp_batch_items(batch));
        return VMAFX_EXPORT_FAILED;
    }
    if (deadline_ns > now && deadline_ns - now > exporter->timeout_ns)
        deadline_ns = now + exporter->timeout_ns;
    vmafx_otlp_encoder_init(&encoder, batch, exporter->target, exporter->request_max);
    while (vmafx_otlp_encoder_next(&encoder)) {
        VmafxExportResult one = send_request(exporter, &encoder.wire, encoder.items, deadline_ns);

        if (!result)
            result = one;
    }
    if (encoder.dropped) {
        count(&exporter->counts.too_large, encoder.dropped);
        complain(exporter, TOO_LARGE, "dropped a part of a batch", "it exceeds the size of a request");
        if (!result)
            result = VMAFX_EXPORT_FAILED;
    }
    vmafx_otlp_encoder_done(&encoder);
    leave(exporter);
    return result;
}

/* Until nothing is under way. False when the deadline came first. */
static bool wait_idle(OtlpExporter *exporter, uint64_t deadline_ns)
{
    struct timespec until = timespec_of(deadline_ns);

    while (exporter->busy)
        if (pthread_cond_timedwait(&exporter->changed, &exporter->lock, &until) != 0)
            break;
    return !exporter->busy;
}

static VmafxExportResult otlp_flush(VmafxExporter *base, uint64_t deadline_ns)
{
    OtlpExporter *exporter = (OtlpExporter *)base;

    pthread_mutex_lock(&exporter->lock);
    bool idle = wait_idle(exporter, deadline_ns);
    pthread_mutex_unlock(&exporter->lock);
    return idle ? VMAFX_EXPORT_OK : VMAFX_EXPORT_TIMEOUT;
}

static VmafxExportResult otlp_shutdown(VmafxExporter *base, uint64_t deadline_ns)
{
    OtlpExporter *exporter = (OtlpExporter *)base;

    pthread_mutex_lock(&exporter->lock);
    bool again = exporter->stopping;
    exporter->stop_ns = again ? VMAFX_MIN(exporter->stop_ns, deadline_ns) : deadline_ns;
    exporter->stopping = true;
    pthread_cond_broadcast(&exporter->changed);
    bool idle = wait_idle(exporter, deadline_ns);
    pthread_mutex_unlock(&exporter->lock);
    if (!idle)
        exporter->transport.cancel(exporter->self);
    return again ? VMAFX_EXPORT_FAILED : idle ? VMAFX_EXPORT_OK : VMAFX_EXPORT_TIMEOUT;
}

static void otlp_free(VmafxExporter *base)
{
    OtlpExporter *exporter = (OtlpExporter *)base;

    exporter->transport.free(exporter->self);
    pthread_cond_destroy(&exporter->changed);
    pthread_mutex_destroy(&exporter->lock);
    free(exporter);
}

/* ---- nothing at all ---- */

static VmafxExportResult none_export(VmafxExporter *base, const VmafxBatch *batch, uint64_t deadline_ns)
{
    return VMAFX_EXPORT_FAILED;
}

static VmafxExportResult none_wait(VmafxExporter *base, uint64_t deadline_ns)
{
    return VMAFX_EXPORT_OK;
}

static void none_free(VmafxExporter *base)
{
}

VmafxExporter *vmafx_otlp_exporter_none(void)
{
    static VmafxExporter none = { "none", none_export, none_wait, none_wait, none_free };

    return &none;
}

/* ---- making one ---- */

static uint64_t seed_of(const VmafxOtlpConfig *config)
{
    uint64_t seed = config->random_seed;

    if (!seed && getrandom(&seed, sizeof seed, GRND_NONBLOCK) != sizeof seed)
        seed = vmafx_monotonic_ns();
    return seed;
}

VmafxExporter *vmafx_otlp_exporter_new(const VmafxOtlpConfig *config, const char *component_type,
                                       const VmafxOtlpTransport *transport, void *self)
{
    OtlpExporter *exporter = calloc(1, sizeof *exporter);
    pthread_condattr_t attr;

    if (!exporter) {
        transport->free(self);
        vmafx_otlp_complain(config, WARNING, "%s: no memory; nothing is exported", component_type);
        return vmafx_otlp_exporter_none();
    }
    exporter->base = (VmafxExporter){ component_type, otlp_export, otlp_flush, otlp_shutdown, otlp_free };
    exporter->transport = *transport;
    exporter->self = self;
    exporter->retry = config->retry.attempts_max ? config->retry : VMAFX_RETRY_POLICY_DEFAULT;
    exporter->timeout_ns = (config->timeout_ms ? config->timeout_ms : TIMEOUT_MS_DEFAULT) * NS_PER_MS;
    exporter->target = config->target_bytes;
    exporter->request_max = config->request_max_bytes;
    exporter->on_error = config->on_error;
    exporter->on_error_ctx = config->on_error_ctx;
    exporter->random = seed_of(config);
    exporter->status = -1;
    pthread_mutex_init(&exporter->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&exporter->changed, &attr);
    pthread_condattr_destroy(&attr);
    return &exporter->base;
}

void vmafx_otlp_exporter_hurry(VmafxExporter *base)
{
    OtlpExporter *exporter = (OtlpExporter *)base;

    if (!base || base->export_batch != otlp_export)
        return;
    pthread_mutex_lock(&exporter->lock);
    exporter->hurry = true;
    pthread_cond_broadcast(&exporter->changed);
    pthread_mutex_unlock(&exporter->lock);
}

int vmafx_otlp_exporter_status(const VmafxExporter *base, bool *ret_grpc)
{
    const OtlpExporter *exporter = (const OtlpExporter *)base;

    if (!base || base->export_batch != otlp_export)
        return -1;
    *ret_grpc = exporter->transport.grpc;
    return exporter->status;
}

void vmafx_otlp_exporter_counts(const VmafxExporter *base, VmafxOtlpCounts *ret)
{
    *ret = (VmafxOtlpCounts){ 0 };
    if (!base || base->export_batch != otlp_export)
        return;
    OtlpExporter *exporter = (OtlpExporter *)base;
    Counters *counts = &exporter->counts;
#define READ(field) ret->field = atomic_load_explicit(&counts->field, memory_order_relaxed)
    READ(exported);
    READ(rejected);
    READ(failed);
    READ(timed_out);
    READ(too_large);
    READ(requests);
    READ(attempts);
    READ(retries);
    READ(warnings);
#undef READ
}

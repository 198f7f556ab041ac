/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The provider: callbacks, collection, and its life from options to shutdown. */

#include "otel/sdk/meter_provider.h"

#include <pthread.h>
#include <stdarg.h>
#include <string.h>

#include "base/base.h"
#include "base/clock.h"
#include "base/clock.h"
#include "otel/api/attr_set.h"
#include "otel/sdk/ids.h"
#include "otel/sdk/meter_provider_impl.h"
#include "otel/sdk/metric_view.h"

enum { METERS_MAX = 1024, WARN = 13 };
#define CALLBACK_BUDGET_NS 1000000000u

static _Thread_local VmafxObserver *observing; /* set while this thread is inside a callback */

static uint64_t wall_now(void *ctx)
{
    return vmafx_wall_ns();
}

static void count(atomic_uint_fast64_t *counter)
{
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

void vmafx_meter_provider_report(VmafxMeterProvider *provider, int severity, const char *message)
{
    if (provider && provider->error_handler)
        provider->error_handler(provider->error_ctx, severity, message);
}

static void report(VmafxMeterProvider *provider, const char *fmt, ...) VMAFX_PRINTF(2, 3);
static void report(VmafxMeterProvider *provider, const char *fmt, ...)
{
    char message[VMAFX_METRIC_MESSAGE_MAX];
    va_list args;

    va_start(args, fmt);
    vsnprintf(message, sizeof message, fmt, args);
    va_end(args);
    vmafx_meter_provider_report(provider, WARN, message);
}

/* What vmafx_sdk_conflict left to be told. */
static void tell_messages(VmafxMeterProvider *p)
{
    char message[VMAFX_METRIC_MESSAGE_MAX];
    bool any;

    do {
        pthread_mutex_lock(&p->lock);
        any = p->n_messages > 0;
        if (any) {
            memcpy(message, p->messages[0], VMAFX_METRIC_MESSAGE_MAX);
            memmove(p->messages[0], p->messages[1], (--p->n_messages) * sizeof p->messages[0]);
        }
        pthread_mutex_unlock(&p->lock);
        if (any)
            vmafx_meter_provider_report(p, WARN, message);
    } while (any);
}

/* ---- Callbacks ---- */

static void *sdk_callback_add(void *provider, VmafxObserveFn fn, VmafxObservable *self, void *state)
{
    VmafxMeterProvider *p = provider;
    SdkCallback *callback = vmafx_metric_env_alive(&p->env) ? calloc(1, sizeof *callback) : NULL;

    if (!callback)
        return NULL;
    callback->fn = fn;
    callback->self = self;
    callback->state = state;
    pthread_mutex_lock(&p->lock);
    callback->next = p->callbacks;
    p->callbacks = callback;
    pthread_mutex_unlock(&p->lock);
    return callback;
}

/* Both locks held. */
static void free_removed(VmafxMeterProvider *p)
{
    for (SdkCallback **at = &p->callbacks; *at;) {
        SdkCallback *callback = *at;

        if (atomic_load_explicit(&callback->removed, memory_order_acquire)) { /* pairs with the store of the removal */
            *at = callback->next;
            free(callback);
        } else {
            at = &callback->next;
        }
    }
}

static void sdk_callback_remove(void *provider, void *callback)
{
    VmafxMeterProvider *p = provider;

    if (!vmafx_metric_env_alive(&p->env))
        return; /* no collection will ever run it here */
    atomic_store_explicit(&((SdkCallback *)callback)->removed, true, memory_order_release);
    if (observing)
        return; /* the round we are in passes over it, the next one frees it */
    pthread_mutex_lock(&p->callbacks_lock);
    pthread_mutex_lock(&p->lock);
    free_removed(p);
    pthread_mutex_unlock(&p->lock);
    pthread_mutex_unlock(&p->callbacks_lock);
}

static void observe(VmafxObserver *observer, SdkInstrument *instrument, VmafxNumber value, VmafxAttrs attrs)
{
    if (!observer || observer != observing || observer->provider != instrument->provider ||
        !vmafx_kind_observable(instrument->info.kind)) {
        count(&instrument->provider->env.counts.stray_observations);
        return;
    }
    if (!usable(instrument, value))
        return;
    for (size_t i = 0; i < instrument->n_streams; i++)
        vmafx_stream_observe(instrument->streams[i], observer->reader, observer->round, value, attrs);
}

static void sdk_observe_int(VmafxObserver *observer, void *instrument, int64_t value, VmafxAttrs attrs)
{
    observe(observer, instrument, number_of_int(value), attrs);
}

static void sdk_observe_double(VmafxObserver *observer, void *instrument, double value, VmafxAttrs attrs)
{
    observe(observer, instrument, number_of_double(((SdkInstrument *)instrument)->info.is_int, value), attrs);
}

/* False: one took too long. */
static bool run_callbacks(VmafxMeterProvider *p, VmafxObserver *observer)
{
    bool in_time = true;

    pthread_mutex_lock(&p->callbacks_lock);
    pthread_mutex_lock(&p->lock);
    free_removed(p);
    SdkCallback *callback = p->callbacks; /* new ones are put in front; none goes while we hold callbacks_lock */
    pthread_mutex_unlock(&p->lock);

    observing = observer;
    for (; callback; callback = callback->next) {
        if (atomic_load_explicit(&callback->removed, memory_order_relaxed))
            continue;
        uint64_t start = vmafx_monotonic_ns();

        callback->fn(observer, callback->self, callback->state);
        if (vmafx_monotonic_ns() - start > CALLBACK_BUDGET_NS) {
            in_time = false;
            count(&p->env.counts.late_callbacks);
        }
    }
    observing = NULL;
    pthread_mutex_unlock(&p->callbacks_lock);
    if (!in_time)
        report(p, "a metrics callback took more than a second");
    return in_time;
}

/* ---- Collecting ---- */

static void tell_what_happened(SdkInstrument *instrument)
{
    if (atomic_exchange_explicit(&instrument->invalid, false, memory_order_relaxed) &&
        !atomic_exchange_explicit(&instrument->invalid_told, true, memory_order_relaxed))
        report(instrument->provider, "negative or not finite values are ignored: '%.200s'", instrument->info.name);
    for (size_t i = 0; i < instrument->n_streams; i++)
        if (vmafx_stream_overflow_to_report(instrument->streams[i]))
            report(instrument->provider, "more than %u attribute sets, the others go to one overflow series: '%.200s'",
                   vmafx_stream_info(instrument->streams[i])->limit, vmafx_stream_info(instrument->streams[i])->name);
}

VmafxMetricSnapshot *vmafx_meter_provider_collect(VmafxMeterProvider *p, unsigned index)
{
    if (!p || observing || !vmafx_metric_env_alive(&p->env))
        return NULL;
    VmafxObserver *observer = &p->observers[index];
    observer->round++;
    bool in_time = run_callbacks(p, observer);

    pthread_mutex_lock(&p->lock);
    SdkInstrument *first = p->instruments; /* the list only grows at its end, which is read under the lock */
    size_t n = p->n_instruments;
    VmafxMetricSnapshot *snapshot = vmafx_snapshot_new(p->n_streams, &p->resource);
    VMAFX_AUTO(vmafx_free_p) SdkInstrument **all = malloc((n ? n : 1) * sizeof *all);
    for (size_t i = 0; all && i < n; i++, first = first->next)
        all[i] = first;
    pthread_mutex_unlock(&p->lock);
    count(&p->env.counts.collections);
    if (!snapshot || !all) {
        count(&p->env.counts.collections_failed);
        vmafx_snapshot_free(&snapshot);
        return NULL;
    }

    uint64_t now = p->env.now(p->env.now_ctx);
    snapshot->partial = !in_time;
    for (size_t i = 0; i < n; i++) {
        for (size_t s = 0; s < all[i]->n_streams; s++)
            if (!vmafx_stream_collect(all[i]->streams[s], index, observer->round, now, snapshot))
                snapshot->partial = true;
    }
    for (size_t i = 0; i < n; i++)
        tell_what_happened(all[i]);
    tell_messages(p);
    if (snapshot->partial)
        count(&p->env.counts.collections_failed);
    return snapshot;
}

bool vmafx_meter_provider_in_callback(void)
{
    return observing != NULL;
}

VmafxMetricCounters *vmafx_meter_provider_counters(VmafxMeterProvider *provider)
{
    return &provider->env.counts;
}

void vmafx_meter_provider_counts(VmafxMeterProvider *provider, VmafxMetricCounts *ret)
{
    *ret = (VmafxMetricCounts){ 0 };
    if (!provider)
        return;
    VmafxMetricCounters *from = &provider->env.counts;

#define COPY(name) ret->name = atomic_load_explicit(&from->name, memory_order_relaxed)
    COPY(invalid);
    COPY(overflowed);
    COPY(no_memory);
    COPY(saturated);
    COPY(conflicts);
    COPY(late_callbacks);
    COPY(stray_observations);
    COPY(collections);
    COPY(collections_failed);
    COPY(exported);
    COPY(export_failed);
#undef COPY
}

/* ---- Providers ---- */

static bool copy_views(VmafxMeterProvider *p, const VmafxMeterProviderOptions *options)
{
    size_t n = VMAFX_MIN(options->n_views, (size_t)VMAFX_VIEWS_MAX);

    p->views = calloc(n ? n : 1, sizeof *p->views);
    if (!p->views)
        return false;
    for (size_t i = 0; i < n; i++) {
        const VmafxView *view = &options->views[i];
        const char *unfit = vmafx_aggregation_unfit(&view->aggregation, view->kind);

        if (unfit) {
            vmafx_sdk_conflict(p, unfit, view->instrument_name ? view->instrument_name : "a view");
            continue;
        }
        if (!vmafx_view_copy(view, &p->views[p->n_views++]))
            return false;
    }
    return true;
}

static bool copy_resource(VmafxMeterProvider *p, const VmafxResource *resource)
{
    p->resource.schema_url = vmafx_strdup(resource && resource->schema_url ? resource->schema_url : "");
    return p->resource.schema_url && (!resource || vmafx_attr_set_copy(resource->attrs, &p->resource.attrs));
}

static void take_readers(VmafxMeterProvider *p, const VmafxMeterProviderOptions *options)
{
    for (size_t i = 0; i < options->n_readers; i++) {
        VmafxMetricReader *reader = options->readers[i];

        if (!reader)
            continue;
        if (p->env.n_readers < VMAFX_METRIC_READERS_MAX) {
            p->observers[p->env.n_readers] = (VmafxObserver){ .provider = p, .reader = p->env.n_readers };
            p->readers[p->env.n_readers++] = reader;
        } else {
            report(p, "more than %d metric readers", VMAFX_METRIC_READERS_MAX);
            VMAFX_IGNORE(!vmafx_metric_reader_free(&reader)); /* it never ran */
        }
    }
}

static void sdk_table(VmafxMeterProvider *p)
{
    p->sdk = (VmafxMetricsSdk){
        .provider = p,
        .instrument = vmafx_sdk_instrument,
        .bind = vmafx_sdk_bind,
        .enabled = vmafx_sdk_enabled,
        .measure_int = vmafx_sdk_measure_int,
        .measure_double = vmafx_sdk_measure_double,
        .bound_int = vmafx_sdk_bound_int,
        .bound_double = vmafx_sdk_bound_double,
        .callback_add = sdk_callback_add,
        .callback_remove = sdk_callback_remove,
        .observe_int = sdk_observe_int,
        .observe_double = sdk_observe_double,
    };
}

VmafxMeterProvider *vmafx_meter_provider_new(const VmafxMeterProviderOptions *options)
{
    VmafxMeterProvider *p = calloc(1, sizeof *p);

    if (!p) {
        for (size_t i = 0; i < options->n_readers; i++) {
            VmafxMetricReader *reader = options->readers[i];
            VMAFX_IGNORE(!vmafx_metric_reader_free(&reader)); /* it never ran */
        }
        return NULL;
    }
    pthread_mutex_init(&p->lock, NULL);
    pthread_mutex_init(&p->callbacks_lock, NULL);
    p->instruments_end = &p->instruments;
    p->error_handler = options->error_handler;
    p->error_ctx = options->error_ctx;
    p->env.now = options->now ? options->now : wall_now;
    p->env.now_ctx = options->now_ctx;
    p->env.hash_seed = vmafx_ids_u64();
    p->env.exemplars = options->exemplars;
    p->env.asymmetric = vmafx_series_prepare();
    vmafx_fork_watch();
    p->env.fork_generation = vmafx_fork_generation();
    sdk_table(p);
    take_readers(p, options);
    if (!copy_resource(p, options->resource) || !copy_views(p, options)) {
        vmafx_meter_provider_free(&p);
        return NULL;
    }
    for (unsigned r = 0; r < p->env.n_readers; r++)
        vmafx_metric_reader_start(p->readers[r], p, r);
    return p;
}

void vmafx_meter_provider_free(VmafxMeterProvider **provider)
{
    VmafxMeterProvider *p = provider ? *provider : NULL;

    if (!p)
        return;
    *provider = NULL;
    if (!vmafx_metric_env_alive(&p->env))
        return; /* a forked child: a thread that is not there may have been in the middle of anything */
    for (unsigned r = 0; r < p->env.n_readers; r++)
        if (!vmafx_metric_reader_free(&p->readers[r]))
            return; /* its thread still uses all this */
    while (p->meters) {
        struct Meter *meter = p->meters;

        p->meters = meter->next;
        vmafx_meter_free(&meter->handle);
        free(meter);
    }
    while (p->instruments) {
        SdkInstrument *instrument = p->instruments;

        p->instruments = instrument->next;
        vmafx_sdk_instrument_free(instrument);
    }
    while (p->callbacks) {
        SdkCallback *callback = p->callbacks;

        p->callbacks = callback->next;
        free(callback);
    }
    while (p->scopes) {
        Scope *scope = p->scopes;

        p->scopes = scope->next;
        free((void *)scope->data.name);
        free((void *)scope->data.version);
        free((void *)scope->data.schema_url);
        free((void *)scope->data.attrs.items);
        free(scope);
    }
    for (size_t i = 0; i < p->n_views; i++)
        vmafx_view_done(&p->views[i]);
    free(p->views);
    free((void *)p->resource.schema_url);
    free((void *)p->resource.attrs.items);
    pthread_mutex_destroy(&p->lock);
    pthread_mutex_destroy(&p->callbacks_lock);
    free(p);
}

const VmafxMetricsSdk *vmafx_meter_provider_sdk(VmafxMeterProvider *provider)
{
    return provider ? &provider->sdk : NULL;
}

/* Lock held. */
static struct Meter *meter_add(VmafxMeterProvider *p, const Scope *scope)
{
    struct Meter *meter = p->n_meters < METERS_MAX ? calloc(1, sizeof *meter) : NULL;

    if (!meter)
        return NULL;
    meter->scope = scope;
    meter->handle = vmafx_meter_new(
        &p->sdk, &(VmafxMeterInfo){ scope->data.name, scope->data.version, scope->data.schema_url, scope->data.attrs });
    meter->next = p->meters;
    p->meters = meter;
    p->n_meters++;
    return meter;
}

VmafxMeter *vmafx_meter_provider_meter(VmafxMeterProvider *p, const char *name, const char *version,
                                       const char *schema_url, VmafxAttrs attrs)
{
    VmafxMeterInfo info = { name ? name : "", version ? version : "", schema_url ? schema_url : "", VMAFX_NO_ATTRS };
    struct Meter *meter = NULL;

    if (!p || atomic_load_explicit(&p->stopped, memory_order_relaxed) || !vmafx_metric_env_alive(&p->env) ||
        !vmafx_attr_set_copy(attrs, &info.attrs))
        return NULL;
    if (!*info.name)
        report(p, "a meter has no name");
    pthread_mutex_lock(&p->lock);
    const Scope *scope = vmafx_sdk_scope(p, &info);

    for (meter = p->meters; scope && meter && meter->scope != scope;)
        meter = meter->next;
    if (scope && !meter)
        meter = meter_add(p, scope);
    pthread_mutex_unlock(&p->lock);
    free((void *)info.attrs.items);
    return scope && meter ? meter->handle : NULL;
}

VmafxExportResult vmafx_meter_provider_flush(VmafxMeterProvider *p, uint64_t deadline_ns)
{
    VmafxExportResult result = VMAFX_EXPORT_OK;

    if (!p || atomic_load_explicit(&p->stopped, memory_order_relaxed))
        return VMAFX_EXPORT_FAILED;
    for (unsigned r = 0; r < p->env.n_readers; r++) {
        VmafxExportResult one = vmafx_metric_reader_flush(p->readers[r], deadline_ns);

        result = result ? result : one;
    }
    return result;
}

VmafxExportResult vmafx_meter_provider_shutdown(VmafxMeterProvider *p, uint64_t deadline_ns)
{
    VmafxExportResult result = VMAFX_EXPORT_OK;

    if (!p || atomic_exchange_explicit(&p->stopped, true, memory_order_relaxed))
        return VMAFX_EXPORT_FAILED;
    for (unsigned r = 0; r < p->env.n_readers; r++) {
        VmafxExportResult one = vmafx_metric_reader_shutdown(p->readers[r], deadline_ns);

        result = result ? result : one;
    }
    return result;
}

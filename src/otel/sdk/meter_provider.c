/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Provider, instruments, callbacks. An instrument is a handful of streams: one for each view it meets, shared by the
 * readers that want the same of it. Measuring walks these streams; there is nearly always one.
 *
 * Two locks: `lock` covers the lists and is held for moments; `callbacks_lock` is held while callbacks run, so that
 * removing one can wait for it. callbacks_lock is taken first. User code runs under callbacks_lock only, and what a
 * callback may call (making handles, adding and removing callbacks, observing) does not take it.
 */

#include "otel/sdk/meter_provider.h"

#include <math.h>
#include <pthread.h>
#include <stdarg.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/base.h"
#include "otel/api/attr_set.h"
#include "otel/sdk/ids.h"
#include "otel/sdk/metric_stream.h"
#include "otel/sdk/metric_view.h"

enum { INSTRUMENTS_MAX = 10000, METERS_MAX = 1024, WARN = 13, MESSAGE_MAX = 384, MESSAGES_MAX = 8 };
#define CALLBACK_BUDGET_NS 1000000000u

typedef struct Scope {
    VmafxScope data;
    struct Scope *next;
} Scope;

typedef struct SdkInstrument {
    VmafxMeterProvider *provider;
    const Scope *scope;
    VmafxInstrumentInfo info;
    atomic_bool invalid; /* a value was ignored and no one has been told */
    atomic_bool invalid_told;
    size_t n_streams;
    VmafxStream **streams;
    struct SdkBound *bounds;
    struct SdkInstrument *next;
} SdkInstrument;

typedef struct SdkBound {
    SdkInstrument *instrument;
    VmafxAttrs attrs; /* whole, for exemplars */
    struct SdkBound *next;
    VmafxSeries *series[]; /* one for each stream; NULL on no memory */
} SdkBound;

typedef struct SdkCallback {
    VmafxObserveFn fn;
    VmafxObservable *self;
    void *state;
    atomic_bool removed; /* from inside a callback; freed before the next round */
    struct SdkCallback *next;
} SdkCallback;

struct VmafxObserver {
    VmafxMeterProvider *provider;
    unsigned reader;
    uint64_t round;
};

struct VmafxMeterProvider {
    VmafxMetricEnv env;
    VmafxMetricsSdk sdk;
    VmafxResource resource;
    VmafxMetricReader *readers[VMAFX_METRIC_READERS_MAX];
    VmafxObserver observers[VMAFX_METRIC_READERS_MAX]; /* each by its reader's collections, one at a time */
    VmafxView *views;
    size_t n_views;
    VmafxOtelErrorHandler error_handler;
    void *error_ctx;
    unsigned fork_generation;
    atomic_bool stopped;

    pthread_mutex_t callbacks_lock; /* a round of callbacks, or their removal */
    pthread_mutex_t lock;           /* covers everything below */
    SdkCallback *callbacks;
    Scope *scopes;
    SdkInstrument *instruments, **instruments_end;
    size_t n_instruments, n_streams;
    struct Meter {
        VmafxMeter *handle;
        const Scope *scope;
        struct Meter *next;
    } *meters;
    size_t n_meters;
    char messages[MESSAGES_MAX + 1][MESSAGE_MAX]; /* not told yet; the last is never used */
    size_t n_messages;
};

static _Thread_local VmafxObserver *observing; /* set while this thread is inside a callback */

static uint64_t wall_now(void *ctx)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t mono_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
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
    char message[MESSAGE_MAX];
    va_list args;

    va_start(args, fmt);
    vsnprintf(message, sizeof message, fmt, args);
    va_end(args);
    vmafx_meter_provider_report(provider, WARN, message);
}

/* Counted now and told by the next collection, because locks are held: ours, and the API's. */
static void conflict(VmafxMeterProvider *provider, const char *what, const char *name)
{
    count(&provider->env.counts.conflicts);
    if (provider->n_messages < MESSAGES_MAX)
        snprintf(provider->messages[provider->n_messages++], MESSAGE_MAX, "%s: '%.200s'", what, name);
}

static void tell_messages(VmafxMeterProvider *p)
{
    char message[MESSAGE_MAX];
    bool any;

    do {
        pthread_mutex_lock(&p->lock);
        any = p->n_messages > 0;
        if (any) {
            memcpy(message, p->messages[0], MESSAGE_MAX);
            memmove(p->messages[0], p->messages[1], (--p->n_messages) * sizeof p->messages[0]);
        }
        pthread_mutex_unlock(&p->lock);
        if (any)
            vmafx_meter_provider_report(p, WARN, message);
    } while (any);
}

/* ---- Instruments and their streams ---- */

static bool same_config(const VmafxAggConfig *a, const VmafxAggConfig *b)
{
    return a->kind == b->kind && a->has_min_max == b->has_min_max && a->max_size == b->max_size &&
           a->max_scale == b->max_scale && a->n_bounds == b->n_bounds &&
           (!a->n_bounds || !memcmp(a->bounds, b->bounds, a->n_bounds * sizeof *a->bounds));
}

/* A stream for one view (NULL: none) and one reader; shares the one another reader has for the same view. */
static void add_stream(SdkInstrument *instrument, const VmafxView *view, size_t first, unsigned reader)
{
    VmafxMeterProvider *p = instrument->provider;
    const VmafxReaderOptions *options = vmafx_metric_reader_options(p->readers[reader]);
    VmafxInstrumentKind kind = instrument->info.kind;
    bool delta = vmafx_metric_reader_delta(p->readers[reader], kind);
    VmafxStreamInfo info = {
        .scope = &instrument->scope->data,
        .name = view && view->name ? view->name : instrument->info.name,
        .description = view && view->description ? view->description : instrument->info.description,
        .unit = instrument->info.unit,
        .observable = vmafx_kind_observable(kind),
        .monotonic = vmafx_kind_monotonic(kind),
        .limit = view && view->cardinality_limit          ? view->cardinality_limit
                 : options->cardinality_limit[kind]       ? options->cardinality_limit[kind]
                                                          : VMAFX_CARDINALITY_DEFAULT,
        .readers = 1u << reader,
        .delta = (unsigned)delta << reader,
    };

    if (view)
        info.filter = (VmafxAttrFilter){ view->filter_attributes, view->exclude, view->attribute_keys,
                                         view->n_attribute_keys };
    if (!vmafx_aggregation_decide(view ? &view->aggregation : NULL, &options->aggregation[kind], &instrument->info,
                                  &info.config))
        return;
    if (info.config.kind != VMAFX_AGG_SUM)
        info.monotonic = false;

    for (size_t i = first; i < instrument->n_streams; i++) {
        const VmafxStreamInfo *other = vmafx_stream_info(instrument->streams[i]);

        if (!(other->readers >> reader & 1) && other->limit == info.limit && same_config(&other->config, &info.config)) {
            vmafx_stream_add_reader(instrument->streams[i], reader, delta);
            return;
        }
    }
    VmafxStream **streams = realloc(instrument->streams, (instrument->n_streams + 1) * sizeof *streams);
    if (!streams)
        return;
    instrument->streams = streams;
    streams[instrument->n_streams] = vmafx_stream_new(&p->env, &info);
    if (streams[instrument->n_streams])
        instrument->n_streams++;
}

static void add_view_streams(SdkInstrument *instrument, const VmafxView *view)
{
    size_t first = instrument->n_streams;

    for (unsigned r = 0; r < instrument->provider->env.n_readers; r++)
        add_stream(instrument, view, first, r);
}

/* Two streams of one meter with one name: both are exported, and whoever reads them cannot tell them apart. */
static void warn_of_same_names(SdkInstrument *instrument)
{
    VmafxMeterProvider *p = instrument->provider;

    for (size_t i = 0; i < instrument->n_streams; i++) {
        const VmafxStreamInfo *mine = vmafx_stream_info(instrument->streams[i]);

        for (SdkInstrument *other = p->instruments; other; other = other->next)
            for (size_t j = 0; other->scope == instrument->scope && j < other->n_streams; j++)
                if (!strcasecmp(mine->name, vmafx_stream_info(other->streams[j])->name)) {
                    conflict(p, "two different instruments have one name (a view can rename one)", mine->name);
                    return;
                }
        for (size_t j = 0; j < i; j++)
            if (!strcasecmp(mine->name, vmafx_stream_info(instrument->streams[j])->name) &&
                (mine->readers & vmafx_stream_info(instrument->streams[j])->readers)) {
                conflict(p, "two views make streams of one name", mine->name);
                return;
            }
    }
}

static void make_streams(SdkInstrument *instrument)
{
    VmafxMeterProvider *p = instrument->provider;
    bool met = false;

    for (size_t i = 0; i < p->n_views; i++) {
        const VmafxView *view = &p->views[i];

        if (!vmafx_view_matches(view, &instrument->scope->data, &instrument->info))
            continue;
        const char *unfit = vmafx_aggregation_unfit(&view->aggregation, instrument->info.kind);
        if (unfit) {
            conflict(p, unfit, instrument->info.name);
            continue;
        }
        met = true;
        add_view_streams(instrument, view);
    }
    if (!met)
        add_view_streams(instrument, NULL);
    warn_of_same_names(instrument);
}

static void sdk_instrument_free(SdkInstrument *instrument)
{
    while (instrument->bounds) {
        SdkBound *bound = instrument->bounds;

        instrument->bounds = bound->next;
        free((void *)bound->attrs.items);
        free(bound);
    }
    for (size_t i = 0; i < instrument->n_streams; i++)
        vmafx_stream_free(&instrument->streams[i]);
    free(instrument->streams);
    free((void *)instrument->info.name);
    free((void *)instrument->info.unit);
    free((void *)instrument->info.description);
    free((void *)instrument->info.bounds);
    free(instrument);
}

static SdkInstrument *sdk_instrument_new(VmafxMeterProvider *p, const Scope *scope, const VmafxInstrumentInfo *info)
{
    SdkInstrument *instrument = calloc(1, sizeof *instrument);
    double *bounds = NULL;

    if (!instrument)
        return NULL;
    instrument->provider = p;
    instrument->scope = scope;
    instrument->info = *info;
    instrument->info.name = vmafx_strdup(info->name);
    instrument->info.unit = vmafx_strdup(info->unit);
    instrument->info.description = vmafx_strdup(info->description);
    if (info->n_bounds && (bounds = malloc(info->n_bounds * sizeof *bounds)))
        memcpy(bounds, info->bounds, info->n_bounds * sizeof *bounds);
    instrument->info.bounds = bounds;
    if (!instrument->info.name || !instrument->info.unit || !instrument->info.description ||
        (info->n_bounds && !bounds)) {
        sdk_instrument_free(instrument);
        return NULL;
    }
    return instrument;
}

static const Scope *scope_get(VmafxMeterProvider *p, const VmafxMeterInfo *info)
{
    for (Scope *s = p->scopes; s; s = s->next)
        if (!strcmp(s->data.name, info->name) && !strcmp(s->data.version, info->version) &&
            !strcmp(s->data.schema_url, info->schema_url) && vmafx_attr_set_equal(s->data.attrs, info->attrs))
            return s;

    Scope *scope = calloc(1, sizeof *scope);
    if (!scope)
        return NULL;
    scope->data.name = vmafx_strdup(info->name);
    scope->data.version = vmafx_strdup(info->version);
    scope->data.schema_url = vmafx_strdup(info->schema_url);
    if (!vmafx_attr_set_copy(info->attrs, &scope->data.attrs) || !scope->data.name || !scope->data.version ||
        !scope->data.schema_url) {
        free((void *)scope->data.name);
        free((void *)scope->data.version);
        free((void *)scope->data.schema_url);
        free((void *)scope->data.attrs.items);
        free(scope);
        return NULL;
    }
    scope->next = p->scopes;
    p->scopes = scope;
    return scope;
}

static SdkInstrument *find_instrument(VmafxMeterProvider *p, const Scope *scope, const VmafxInstrumentInfo *info)
{
    for (SdkInstrument *i = p->instruments; i; i = i->next)
        if (i->scope == scope && !strcasecmp(i->info.name, info->name) && i->info.kind == info->kind &&
            i->info.is_int == info->is_int && !strcmp(i->info.unit, info->unit) &&
            !strcmp(i->info.description, info->description))
            return i;
    return NULL;
}

static void warn_of_differences(SdkInstrument *known, const VmafxInstrumentInfo *info)
{
    if (strcmp(known->info.name, info->name) != 0)
        conflict(known->provider, "an instrument is known by a name in other letters", info->name);
    if (known->info.n_bounds != info->n_bounds ||
        (info->n_bounds && memcmp(known->info.bounds, info->bounds, info->n_bounds * sizeof *info->bounds) != 0))
        conflict(known->provider, "an instrument is known with other advisory boundaries", info->name);
}

/* Lock held. */
static SdkInstrument *get_instrument(VmafxMeterProvider *p, const VmafxMeterInfo *meter, VmafxInstrumentInfo info)
{
    const Scope *scope = scope_get(p, meter);
    SdkInstrument *instrument = scope ? find_instrument(p, scope, &info) : NULL;

    if (instrument) {
        warn_of_differences(instrument, &info);
        return instrument;
    }
    if (!scope || p->n_instruments >= INSTRUMENTS_MAX)
        return NULL;
    if (info.n_bounds && !vmafx_histogram_bounds_valid(info.bounds, info.n_bounds)) {
        conflict(p, "advisory boundaries are not finite and increasing", info.name);
        info.bounds = NULL;
        info.n_bounds = 0;
    }
    instrument = sdk_instrument_new(p, scope, &info);
    if (!instrument)
        return NULL;
    make_streams(instrument);
    *p->instruments_end = instrument;
    p->instruments_end = &instrument->next;
    p->n_instruments++;
    p->n_streams += instrument->n_streams;
    return instrument;
}

static void *sdk_instrument(void *provider, const VmafxMeterInfo *meter, const VmafxInstrumentInfo *info)
{
    VmafxMeterProvider *p = provider;

    if (atomic_load_explicit(&p->stopped, memory_order_relaxed))
        return NULL;
    if (!vmafx_instrument_name_valid(info->name)) {
        pthread_mutex_lock(&p->lock);
        conflict(p, "this is no name for an instrument, it will count nothing", info->name);
        pthread_mutex_unlock(&p->lock);
        return NULL;
    }
    pthread_mutex_lock(&p->lock);
    SdkInstrument *instrument = get_instrument(p, meter, *info);
    pthread_mutex_unlock(&p->lock);
    return instrument;
}

/* ---- Measuring ---- */

static bool sdk_enabled(void *instrument)
{
    return ((SdkInstrument *)instrument)->n_streams > 0;
}

static inline bool usable(SdkInstrument *instrument, VmafxNumber value)
{
    VmafxInstrumentKind kind = instrument->info.kind;
    bool negative = value.d < 0 && (kind == VMAFX_KIND_COUNTER || kind == VMAFX_KIND_HISTOGRAM);

    if (__builtin_expect(isfinite(value.d) && !negative, 1))
        return true;
    count(&instrument->provider->env.counts.invalid);
    atomic_store_explicit(&instrument->invalid, true, memory_order_relaxed);
    return false;
}

/* Toward zero; what is too large, or not a number, is at the end, or zero. */
static int64_t to_int(double v)
{
    return v >= 0x1p63 ? INT64_MAX : v <= -0x1p63 ? INT64_MIN : isnan(v) ? 0 : (int64_t)v;
}

static inline VmafxNumber number_of_int(int64_t v)
{
    return (VmafxNumber){ v, (double)v };
}

static inline VmafxNumber number_of_double(const SdkInstrument *instrument, double v)
{
    return (VmafxNumber){ instrument->info.is_int ? to_int(v) : 0, v };
}

static inline void measure(SdkInstrument *instrument, VmafxNumber value, VmafxAttrs attrs, VmafxContext *context)
{
    if (!usable(instrument, value))
        return;
    for (size_t i = 0; i < instrument->n_streams; i++) {
        VmafxSeries *series = vmafx_stream_series(instrument->streams[i], attrs);

        if (!series)
            continue;
        vmafx_series_record(series, value);
        if (series->reservoir)
            vmafx_stream_exemplar(instrument->streams[i], series, value, attrs, context);
    }
}

static void sdk_measure_int(void *instrument, int64_t value, VmafxAttrs attrs, VmafxContext *context)
{
    measure(instrument, number_of_int(value), attrs, context);
}

static void sdk_measure_double(void *instrument, double value, VmafxAttrs attrs, VmafxContext *context)
{
    measure(instrument, number_of_double(instrument, value), attrs, context);
}

static void *sdk_bind(void *instrument, VmafxAttrs attrs)
{
    SdkInstrument *i = instrument;
    SdkBound *bound = calloc(1, sizeof *bound + i->n_streams * sizeof bound->series[0]);

    if (!bound || !vmafx_attr_set_copy(attrs, &bound->attrs)) {
        free(bound);
        return NULL;
    }
    bound->instrument = i;
    for (size_t s = 0; s < i->n_streams; s++)
        bound->series[s] = vmafx_kind_observable(i->info.kind) ? NULL : vmafx_stream_series(i->streams[s], attrs);
    pthread_mutex_lock(&i->provider->lock);
    bound->next = i->bounds;
    i->bounds = bound;
    pthread_mutex_unlock(&i->provider->lock);
    return bound;
}

static inline void measure_bound(SdkBound *bound, VmafxNumber value)
{
    SdkInstrument *instrument = bound->instrument;

    if (!usable(instrument, value))
        return;
    for (size_t i = 0; i < instrument->n_streams; i++) {
        VmafxSeries *series = bound->series[i];

        if (!series)
            continue;
        vmafx_series_record(series, value);
        if (series->reservoir)
            vmafx_stream_exemplar(instrument->streams[i], series, value, bound->attrs, NULL);
    }
}

static void sdk_bound_int(void *bound, int64_t value)
{
    measure_bound(bound, number_of_int(value));
}

static void sdk_bound_double(void *bound, double value)
{
    measure_bound(bound, number_of_double(((SdkBound *)bound)->instrument, value));
}

/* ---- Callbacks ---- */

static void *sdk_callback_add(void *provider, VmafxObserveFn fn, VmafxObservable *self, void *state)
{
    VmafxMeterProvider *p = provider;
    SdkCallback *callback = calloc(1, sizeof *callback);

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

        if (atomic_load_explicit(&callback->removed, memory_order_relaxed)) {
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

    atomic_store_explicit(&((SdkCallback *)callback)->removed, true, memory_order_relaxed);
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
    observe(observer, instrument, number_of_double(instrument, value), attrs);
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
        uint64_t start = mono_now();

        callback->fn(observer, callback->self, callback->state);
        if (mono_now() - start > CALLBACK_BUDGET_NS) {
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
    if (!p || observing || p->fork_generation != vmafx_fork_generation())
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

static void view_done(VmafxView *view)
{
    free((void *)view->instrument_name);
    free((void *)view->unit);
    free((void *)view->meter_name);
    free((void *)view->meter_version);
    free((void *)view->meter_schema_url);
    free((void *)view->name);
    free((void *)view->description);
    for (size_t i = 0; view->attribute_keys && i < view->n_attribute_keys; i++)
        free((void *)view->attribute_keys[i]);
    free((void *)view->attribute_keys);
    free((void *)view->aggregation.bounds);
}

/* Half a copy can be undone with view_done too. */
static bool view_copy(const VmafxView *from, VmafxView *to)
{
    bool whole = true;

    *to = *from;
    to->attribute_keys = NULL;
    to->aggregation.bounds = NULL;
#define COPY(name) whole &= !!(to->name = vmafx_strdup(from->name)) == !!from->name
    COPY(instrument_name);
    COPY(unit);
    COPY(meter_name);
    COPY(meter_version);
    COPY(meter_schema_url);
    COPY(name);
    COPY(description);
#undef COPY
    if (from->n_attribute_keys) {
        const char **keys = calloc(from->n_attribute_keys, sizeof *keys);

        to->attribute_keys = keys;
        for (size_t i = 0; keys && i < from->n_attribute_keys; i++)
            whole &= !!(keys[i] = vmafx_strdup(from->attribute_keys[i] ? from->attribute_keys[i] : ""));
        whole &= keys != NULL;
    }
    if (from->aggregation.bounds) {
        double *bounds = malloc((from->aggregation.n_bounds ? from->aggregation.n_bounds : 1) * sizeof *bounds);

        if (bounds)
            memcpy(bounds, from->aggregation.bounds, from->aggregation.n_bounds * sizeof *bounds);
        to->aggregation.bounds = bounds;
        whole &= bounds != NULL;
    }
    return whole;
}

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
            conflict(p, unfit, view->instrument_name ? view->instrument_name : "a view");
            continue;
        }
        if (!view_copy(view, &p->views[p->n_views++]))
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
        .instrument = sdk_instrument,
        .bind = sdk_bind,
        .enabled = sdk_enabled,
        .measure_int = sdk_measure_int,
        .measure_double = sdk_measure_double,
        .bound_int = sdk_bound_int,
        .bound_double = sdk_bound_double,
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
    p->fork_generation = vmafx_fork_generation();
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
        sdk_instrument_free(instrument);
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
        view_done(&p->views[i]);
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
    meter->handle = vmafx_meter_new(&p->sdk, &(VmafxMeterInfo){ scope->data.name, scope->data.version,
                                                                scope->data.schema_url, scope->data.attrs });
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

    if (!p || atomic_load_explicit(&p->stopped, memory_order_relaxed) || !vmafx_attr_set_copy(attrs, &info.attrs))
        return NULL;
    if (!*info.name)
        report(p, "a meter has no name");
    pthread_mutex_lock(&p->lock);
    const Scope *scope = scope_get(p, &info);

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

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Handles. A handle knows what it was asked to be (to connect later) and, once connected, whom to call: the SDK's table
 * and the SDK's object. The hot path is one acquire load, one branch, one indirect call.
 *
 * At file scope: the global slot and the list of meters that hang on it, under one lock that is only taken to make
 * handles and to fill the slot.
 */

#include "otel/api/metrics.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/base.h"
#include "otel/api/attr_set.h"

enum { INSTRUMENTS_MAX = 4096, BOUND_MAX = 2000, BOUNDS_MAX = 1000, METERS_MAX = 1024 };

typedef struct Instrument {
    VmafxMetricLink link;
    VmafxInstrumentInfo info;
    double *bounds;
    VmafxMeter *meter;
    VmafxBound *bound;
    size_t n_bound;
    struct Instrument *next;
} Instrument;

struct VmafxObservable {
    Instrument base;
};

struct VmafxCallback {
    VmafxMeter *meter;
    const VmafxMetricsSdk *sdk; /* where impl is registered; NULL: nowhere */
    void *impl;
    VmafxObserveFn fn;
    VmafxObservable *self;
    void *state;
    VmafxCallback *next;
};

struct VmafxMeter {
    const VmafxMetricsSdk *sdk; /* NULL until connected */
    VmafxMeterInfo info;
    Instrument *instruments;
    size_t n_instruments;
    VmafxCallback *callbacks;
    VmafxMeter *next;
};

static pthread_mutex_t handles_lock = PTHREAD_MUTEX_INITIALIZER; /* covers every list of handles, and: */
static const VmafxMetricsSdk *global_sdk;
static VmafxMeter *global_meters;
static size_t n_global_meters;

/* A fork waits for who is at the lists, so that the child finds them whole and the lock free. */
static void lock_for_fork(void)
{
    pthread_mutex_lock(&handles_lock);
}

static void unlock_handles(void)
{
    pthread_mutex_unlock(&handles_lock);
}

static void watch_forks(void)
{
    /* Fails on no memory only; then the lock may be held for ever in a child. */
    (void)pthread_atfork(lock_for_fork, unlock_handles, unlock_handles);
}

static void lock_handles(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, watch_forks);
    pthread_mutex_lock(&handles_lock);
}

static inline const VmafxMetricsSdk *live(const VmafxMetricLink *link)
{
    return atomic_load_explicit(&link->sdk, memory_order_acquire);
}

static void link_set(VmafxMetricLink *link, const VmafxMetricsSdk *sdk, void *impl)
{
    atomic_store_explicit(&link->sdk, NULL, memory_order_release);
    atomic_store_explicit(&link->impl, impl, memory_order_release);
    if (impl)
        atomic_store_explicit(&link->sdk, sdk, memory_order_release);
}

static inline void *impl_of(const VmafxMetricLink *link)
{
    return atomic_load_explicit(&link->impl, memory_order_relaxed);
}

static const char *or_empty(const char *s)
{
    return s ? s : "";
}

/* ---- Connecting ---- */

static void connect_bound(Instrument *instrument, VmafxBound *bound)
{
    const VmafxMetricsSdk *sdk = live(&instrument->link);

    link_set(&bound->link, sdk, sdk ? sdk->bind(impl_of(&instrument->link), bound->attrs) : NULL);
}

static void connect_instrument(Instrument *instrument, const VmafxMetricsSdk *sdk)
{
    link_set(&instrument->link, sdk,
             sdk ? sdk->instrument(sdk->provider, &instrument->meter->info, &instrument->info) : NULL);
    for (VmafxBound *bound = instrument->bound; bound; bound = bound->next)
        connect_bound(instrument, bound);
}

static void connect_callback(VmafxCallback *callback, const VmafxMetricsSdk *sdk)
{
    callback->impl = sdk ? sdk->callback_add(sdk->provider, callback->fn, callback->self, callback->state) : NULL;
    callback->sdk = callback->impl ? sdk : NULL;
}

static void connect_meter(VmafxMeter *meter, const VmafxMetricsSdk *sdk)
{
    meter->sdk = sdk;
    for (Instrument *i = meter->instruments; i; i = i->next)
        connect_instrument(i, sdk);
    for (VmafxCallback *c = meter->callbacks; c; c = c->next)
        connect_callback(c, sdk);
}

/* The SDK object of some callback that is still with it, taken from its handle; NULL when there is none left. */
static void *take_callback_of(const VmafxMetricsSdk *sdk)
{
    for (VmafxMeter *meter = global_meters; meter; meter = meter->next)
        for (VmafxCallback *c = meter->callbacks; c; c = c->next)
            if (c->sdk == sdk) {
                c->sdk = NULL;
                return c->impl;
            }
    return NULL;
}

void vmafx_metrics_sdk_set(const VmafxMetricsSdk *sdk)
{
    void *callback;

    lock_handles();
    const VmafxMetricsSdk *old = global_sdk;

    global_sdk = NULL;
    while (old && (callback = take_callback_of(old))) {
        unlock_handles(); /* the removal waits for a running callback, which may make handles */
        old->callback_remove(old->provider, callback);
        lock_handles();
    }
    global_sdk = sdk;
    for (VmafxMeter *meter = global_meters; meter; meter = meter->next)
        connect_meter(meter, sdk);
    unlock_handles();
}

/* ---- Meters ---- */

static VmafxMeter *meter_make(const VmafxMeterInfo *info)
{
    VmafxMeter *meter = calloc(1, sizeof *meter);

    if (!meter)
        return NULL;
    meter->info.name = vmafx_strdup(or_empty(info->name));
    meter->info.version = vmafx_strdup(or_empty(info->version));
    meter->info.schema_url = vmafx_strdup(or_empty(info->schema_url));
    if (!vmafx_attr_set_copy(info->attrs, &meter->info.attrs) || !meter->info.name || !meter->info.version ||
        !meter->info.schema_url)
        vmafx_meter_free(&meter);
    return meter;
}

static bool meter_is(const VmafxMeter *meter, const VmafxMeterInfo *info)
{
    return !strcmp(meter->info.name, or_empty(info->name)) && !strcmp(meter->info.version, or_empty(info->version)) &&
           !strcmp(meter->info.schema_url, or_empty(info->schema_url)) &&
           vmafx_attr_set_equal(meter->info.attrs, info->attrs);
}

VmafxMeter *vmafx_meter_get(const char *name, const char *version, const char *schema_url, VmafxAttrs attrs)
{
    VmafxMeterInfo info = { name, version, schema_url, VMAFX_NO_ATTRS };
    VmafxMeter *meter = NULL;

    if (!vmafx_attr_set_copy(attrs, &info.attrs))
        return NULL;
    lock_handles();
    for (meter = global_meters; meter && !meter_is(meter, &info);)
        meter = meter->next;
    if (!meter && n_global_meters < METERS_MAX && (meter = meter_make(&info))) {
        meter->sdk = global_sdk;
        meter->next = global_meters;
        global_meters = meter;
        n_global_meters++;
    }
    unlock_handles();
    free((void *)info.attrs.items);
    return meter;
}

VmafxMeter *vmafx_meter_new(const VmafxMetricsSdk *sdk, const VmafxMeterInfo *info)
{
    VmafxMeter *meter = meter_make(info);

    if (meter)
        meter->sdk = sdk;
    return meter;
}

static void instrument_free(Instrument *instrument)
{
    while (instrument->bound) {
        VmafxBound *bound = instrument->bound;

        instrument->bound = bound->next;
        free((void *)bound->attrs.items);
        free(bound);
    }
    free((void *)instrument->info.name);
    free((void *)instrument->info.unit);
    free((void *)instrument->info.description);
    free(instrument->bounds);
    free(instrument);
}

void vmafx_meter_free(VmafxMeter **meter)
{
    VmafxMeter *m = *meter;

    if (!m)
        return;
    while (m->instruments) {
        Instrument *instrument = m->instruments;

        m->instruments = instrument->next;
        instrument_free(instrument);
    }
    while (m->callbacks) {
        VmafxCallback *callback = m->callbacks;

        m->callbacks = callback->next;
        free(callback);
    }
    free((void *)m->info.name);
    free((void *)m->info.version);
    free((void *)m->info.schema_url);
    free((void *)m->info.attrs.items);
    free(m);
    *meter = NULL;
}

/* ---- Making instruments ---- */

static bool same_bounds(const Instrument *instrument, const VmafxInstrumentInfo *info)
{
    return instrument->info.n_bounds == info->n_bounds &&
           (!info->n_bounds || !memcmp(instrument->bounds, info->bounds, info->n_bounds * sizeof *info->bounds));
}

static bool instrument_is(const Instrument *instrument, const VmafxInstrumentInfo *info)
{
    return instrument->info.kind == info->kind && instrument->info.is_int == info->is_int &&
           !strcmp(instrument->info.name, info->name) && !strcmp(instrument->info.unit, info->unit) &&
           !strcmp(instrument->info.description, info->description) && same_bounds(instrument, info);
}

static Instrument *instrument_make(VmafxMeter *meter, const VmafxInstrumentInfo *info)
{
    Instrument *instrument = calloc(1, sizeof *instrument);

    if (!instrument)
        return NULL;
    instrument->meter = meter;
    instrument->info = *info;
    instrument->info.name = vmafx_strdup(info->name);
    instrument->info.unit = vmafx_strdup(info->unit);
    instrument->info.description = vmafx_strdup(info->description);
    if (info->n_bounds) {
        instrument->bounds = malloc(info->n_bounds * sizeof *info->bounds);
        if (instrument->bounds)
            memcpy(instrument->bounds, info->bounds, info->n_bounds * sizeof *info->bounds);
    }
    instrument->info.bounds = instrument->bounds;
    if (!instrument->info.name || !instrument->info.unit || !instrument->info.description ||
        (info->n_bounds && !instrument->bounds)) {
        instrument_free(instrument);
        return NULL;
    }
    return instrument;
}

static Instrument *instrument_get(VmafxMeter *meter, VmafxInstrumentInfo info)
{
    Instrument *instrument;

    if (!meter)
        return NULL;
    info.name = or_empty(info.name);
    info.unit = or_empty(info.unit);
    info.description = or_empty(info.description);
    if (!info.bounds || info.n_bounds > BOUNDS_MAX)
        info.bounds = NULL, info.n_bounds = 0;

    lock_handles();
    for (instrument = meter->instruments; instrument && !instrument_is(instrument, &info);)
        instrument = instrument->next;
    if (!instrument && meter->n_instruments < INSTRUMENTS_MAX && (instrument = instrument_make(meter, &info))) {
        connect_instrument(instrument, meter->sdk);
        instrument->next = meter->instruments;
        meter->instruments = instrument;
        meter->n_instruments++;
    }
    unlock_handles();
    return instrument;
}

static VmafxBound *bound_make(Instrument *instrument, VmafxAttrs attrs)
{
    VmafxBound *bound = calloc(1, sizeof *bound);

    if (!bound)
        return NULL;
    if (!vmafx_attr_set_copy(attrs, &bound->attrs)) {
        free(bound);
        return NULL;
    }
    connect_bound(instrument, bound);
    bound->next = instrument->bound;
    instrument->bound = bound;
    instrument->n_bound++;
    return bound;
}

static VmafxBound *bound_find(Instrument *instrument, VmafxAttrs attrs)
{
    VmafxBound *bound = instrument->bound;

    while (bound && !vmafx_attr_set_equal(bound->attrs, attrs))
        bound = bound->next;
    return bound;
}

static VmafxBound *instrument_bind(Instrument *instrument, VmafxAttrs attrs)
{
    VmafxAttrs set;

    if (!instrument || !vmafx_attr_set_copy(attrs, &set))
        return NULL;
    lock_handles();
    VmafxBound *bound = bound_find(instrument, set);

    if (!bound && instrument->n_bound < BOUND_MAX) {
        bound = bound_make(instrument, set);
    } else if (!bound) {
        VmafxAttrs overflow = VMAFX_ATTRS(VMAFX_ATTR_BOOL("otel.metric.overflow", true));

        bound = bound_find(instrument, overflow);
        if (!bound)
            bound = bound_make(instrument, overflow);
    }
    unlock_handles();
    free((void *)set.items);
    return bound;
}

/* ---- Measuring ---- */

static inline void measure_int64_t(Instrument *instrument, int64_t value, VmafxAttrs attrs, VmafxContext *context)
{
    const VmafxMetricsSdk *sdk = instrument ? live(&instrument->link) : NULL;

    if (sdk)
        sdk->measure_int(impl_of(&instrument->link), value, attrs, context);
}

static inline void measure_double(Instrument *instrument, double value, VmafxAttrs attrs, VmafxContext *context)
{
    const VmafxMetricsSdk *sdk = instrument ? live(&instrument->link) : NULL;

    if (sdk)
        sdk->measure_double(impl_of(&instrument->link), value, attrs, context);
}

static bool instrument_enabled(Instrument *instrument)
{
    const VmafxMetricsSdk *sdk = instrument ? live(&instrument->link) : NULL;

    return sdk && sdk->enabled(impl_of(&instrument->link));
}

#define INSTRUMENT(Type, thing, verb, Number, which, integer)                                                          \
    struct Type {                                                                                                      \
        Instrument base;                                                                                               \
    };                                                                                                                 \
                                                                                                                       \
    Type *vmafx_##thing(VmafxMeter *meter, const char *name, const char *unit, const char *description)                \
    {                                                                                                                  \
        return (Type *)instrument_get(                                                                                 \
            meter, (VmafxInstrumentInfo){ name, unit, description, .kind = (which), .is_int = (integer) });            \
    }                                                                                                                  \
                                                                                                                       \
    void vmafx_##thing##_##verb(Type *instrument, Number value)                                                        \
    {                                                                                                                  \
        measure_##Number((Instrument *)instrument, value, VMAFX_NO_ATTRS, NULL);                                       \
    }                                                                                                                  \
                                                                                                                       \
    void vmafx_##thing##_##verb##_with(Type *instrument, Number value, VmafxAttrs attrs, VmafxContext *context)        \
    {                                                                                                                  \
        measure_##Number((Instrument *)instrument, value, attrs, context);                                             \
    }                                                                                                                  \
                                                                                                                       \
    VmafxBound *vmafx_##thing##_bind(Type *instrument, VmafxAttrs attrs)                                               \
    {                                                                                                                  \
        return instrument_bind((Instrument *)instrument, attrs);                                                       \
    }                                                                                                                  \
                                                                                                                       \
    bool vmafx_##thing##_enabled(Type *instrument)                                                                     \
    {                                                                                                                  \
        return instrument_enabled((Instrument *)instrument);                                                           \
    }

INSTRUMENT(VmafxCounter, counter, add, int64_t, VMAFX_KIND_COUNTER, true)
INSTRUMENT(VmafxCounterDouble, counter_double, add, double, VMAFX_KIND_COUNTER, false)
INSTRUMENT(VmafxUpDownCounter, up_down_counter, add, int64_t, VMAFX_KIND_UP_DOWN_COUNTER, true)
INSTRUMENT(VmafxUpDownCounterDouble, up_down_counter_double, add, double, VMAFX_KIND_UP_DOWN_COUNTER, false)
INSTRUMENT(VmafxGauge, gauge, record, int64_t, VMAFX_KIND_GAUGE, true)
INSTRUMENT(VmafxGaugeDouble, gauge_double, record, double, VMAFX_KIND_GAUGE, false)
INSTRUMENT(VmafxHistogram, histogram, record, double, VMAFX_KIND_HISTOGRAM, false)
INSTRUMENT(VmafxHistogramInt, histogram_int, record, int64_t, VMAFX_KIND_HISTOGRAM, true)

VmafxHistogram *vmafx_histogram_bounds(VmafxMeter *meter, const char *name, const char *unit, const char *description,
                                       const double *bounds, size_t n_bounds)
{
    return (VmafxHistogram *)instrument_get(
        meter, (VmafxInstrumentInfo){ name, unit, description, VMAFX_KIND_HISTOGRAM, false, bounds, n_bounds });
}

/* ---- Observable instruments ---- */

static VmafxCallback *callback_make(VmafxMeter *meter, VmafxObserveFn fn, VmafxObservable *self, void *state)
{
    VmafxCallback *callback = meter && fn ? calloc(1, sizeof *callback) : NULL;

    if (!callback)
        return NULL;
    *callback = (VmafxCallback){ .meter = meter, .fn = fn, .self = self, .state = state };
    lock_handles();
    connect_callback(callback, meter->sdk);
    callback->next = meter->callbacks;
    meter->callbacks = callback;
    unlock_handles();
    return callback;
}

static VmafxObservable *observable(VmafxMeter *meter, VmafxInstrumentInfo info, VmafxObserveFn fn, void *state)
{
    VmafxObservable *self = (VmafxObservable *)instrument_get(meter, info);

    if (self && fn)
        callback_make(meter, fn, self, state); /* the meter keeps it */
    return self;
}

#define OBSERVABLE(thing, which, integer)                                                                              \
    VmafxObservable *vmafx_observable_##thing(VmafxMeter *meter, const char *name, const char *unit,                   \
                                              const char *description, VmafxObserveFn fn, void *state)                 \
    {                                                                                                                  \
        return observable(                                                                                             \
            meter, (VmafxInstrumentInfo){ name, unit, description, .kind = (which), .is_int = (integer) }, fn, state); \
    }

OBSERVABLE(counter, VMAFX_KIND_OBSERVABLE_COUNTER, true)
OBSERVABLE(counter_double, VMAFX_KIND_OBSERVABLE_COUNTER, false)
OBSERVABLE(up_down_counter, VMAFX_KIND_OBSERVABLE_UP_DOWN_COUNTER, true)
OBSERVABLE(up_down_counter_double, VMAFX_KIND_OBSERVABLE_UP_DOWN_COUNTER, false)
OBSERVABLE(gauge, VMAFX_KIND_OBSERVABLE_GAUGE, true)
OBSERVABLE(gauge_double, VMAFX_KIND_OBSERVABLE_GAUGE, false)

VmafxCallback *vmafx_meter_callback(VmafxMeter *meter, VmafxObserveFn fn, void *state)
{
    return callback_make(meter, fn, NULL, state);
}

void vmafx_callback_remove(VmafxCallback **callback)
{
    VmafxCallback *c = callback ? *callback : NULL;

    if (!c)
        return;
    *callback = NULL;
    lock_handles();
    const VmafxMetricsSdk *sdk = c->sdk;
    VmafxCallback **at = &c->meter->callbacks;

    while (*at && *at != c)
        at = &(*at)->next;
    if (*at)
        *at = c->next;
    unlock_handles();
    if (sdk)
        sdk->callback_remove(sdk->provider, c->impl); /* may wait for a running callback, which may make handles */
    free(c);
}

void vmafx_observe_int(VmafxObserver *observer, VmafxObservable *instrument, int64_t value, VmafxAttrs attrs)
{
    const VmafxMetricsSdk *sdk = observer && instrument ? live(&instrument->base.link) : NULL;

    if (sdk)
        sdk->observe_int(observer, impl_of(&instrument->base.link), value, attrs);
}

void vmafx_observe_double(VmafxObserver *observer, VmafxObservable *instrument, double value, VmafxAttrs attrs)
{
    const VmafxMetricsSdk *sdk = observer && instrument ? live(&instrument->base.link) : NULL;

    if (sdk)
        sdk->observe_double(observer, impl_of(&instrument->base.link), value, attrs);
}

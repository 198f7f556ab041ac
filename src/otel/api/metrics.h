/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Metrics for instrumented code: meters, instruments, bound series, observable instruments. Without an SDK every call
 * is a cheap nothing; handles taken before an SDK is installed start to count once it is.
 *
 *     VmafxMeter *meter = vmafx_meter_get("vmafx.node", VERSION, "", VMAFX_NO_ATTRS);
 *     VmafxCounter *lost = vmafx_counter(meter, "vmafx.lease.lost", "{lease}", "leases that went to another node");
 *     VmafxBound *gpu = vmafx_counter_bind(lost, VMAFX_ATTRS(VMAFX_ATTR_STR("vmafx.device", "gpu")));
 *
 *     vmafx_counter_add(lost, 1);                                     no attributes
 *     vmafx_counter_add_with(lost, 1, VMAFX_ATTRS(…), NULL);          looks the series up: tens of nanoseconds
 *     vmafx_bound_int(gpu, 1);                                        the hot path: a few nanoseconds
 *
 * Nothing here fails, blocks or needs to be checked: NULL handles are accepted and do nothing, what cannot be made is a
 * handle that counts nothing. Any thread may call everything. Handles of vmafx_meter_get live until the process ends,
 * handles of a provider of one's own until it is freed. Names and units: OpenTelemetry specification, Metrics API.
 */
#ifndef VMAFX_OTEL_API_METRICS_H
#define VMAFX_OTEL_API_METRICS_H

#include <stdatomic.h>

#include "otel/api/attr.h"
#include "otel/api/context.h"

typedef struct VmafxMeter VmafxMeter;
typedef struct VmafxBound VmafxBound;

typedef enum VmafxInstrumentKind {
    VMAFX_KIND_ANY = 0, /* in selectors only */
    VMAFX_KIND_COUNTER,
    VMAFX_KIND_UP_DOWN_COUNTER,
    VMAFX_KIND_HISTOGRAM,
    VMAFX_KIND_GAUGE,
    VMAFX_KIND_OBSERVABLE_COUNTER,
    VMAFX_KIND_OBSERVABLE_UP_DOWN_COUNTER,
    VMAFX_KIND_OBSERVABLE_GAUGE,
    VMAFX_KINDS,
} VmafxInstrumentKind;

/** What an instrument is. */
typedef struct VmafxInstrumentInfo {
    const char *name;        /* 1 … 255 of a-z A-Z 0-9 _ . - /, a letter first */
    const char *unit;        /* UCUM, at most 63 characters; "" when none */
    const char *description; /* UTF-8 */
    VmafxInstrumentKind kind;
    bool is_int;          /* values are int64_t; else double */
    const double *bounds; /* histograms: advice on bucket boundaries, strictly increasing; NULL: none */
    size_t n_bounds;
} VmafxInstrumentInfo;

/** Who makes measurements. Equal ones (attributes in any order) are one meter. */
typedef struct VmafxMeterInfo {
    const char *name, *version, *schema_url; /* NULL is "" */
    VmafxAttrs attrs;
} VmafxMeterInfo;

/** A meter of the global slot. The same arguments give the same meter. */
VmafxMeter *vmafx_meter_get(const char *name, const char *version, const char *schema_url, VmafxAttrs attrs);

/* ---- Synchronous instruments ---- */

/**
 * One kind of instrument for one type of number:
 *
 *     VmafxCounter *vmafx_counter(meter, name, unit, description);
 *     void vmafx_counter_add(counter, value);
 *     void vmafx_counter_add_with(counter, value, attrs, context);
 *     VmafxBound *vmafx_counter_bind(counter, attrs);
 *     bool vmafx_counter_enabled(counter);              false: no one would see a measurement
 *
 * attrs are borrowed for the call. context serves exemplars only; NULL is the current one. Counters take values of 0
 * and more, histograms too; others, and NaN and infinities, are ignored and reported. A handle for the same name, unit
 * and description is the same handle. Beyond 2000 bound sets of one instrument, bind gives the overflow series.
 */
#define VMAFX_INSTRUMENT(Type, thing, verb, Number)                                                                    \
    typedef struct Type Type;                                                                                          \
    Type *vmafx_##thing(VmafxMeter *meter, const char *name, const char *unit, const char *description);               \
    void vmafx_##thing##_##verb(Type *instrument, Number value);                                                       \
    void vmafx_##thing##_##verb##_with(Type *instrument, Number value, VmafxAttrs attrs, VmafxContext *context);       \
    VmafxBound *vmafx_##thing##_bind(Type *instrument, VmafxAttrs attrs);                                              \
    bool vmafx_##thing##_enabled(Type *instrument);

VMAFX_INSTRUMENT(VmafxCounter, counter, add, int64_t)
VMAFX_INSTRUMENT(VmafxCounterDouble, counter_double, add, double)
VMAFX_INSTRUMENT(VmafxUpDownCounter, up_down_counter, add, int64_t)
VMAFX_INSTRUMENT(VmafxUpDownCounterDouble, up_down_counter_double, add, double)
VMAFX_INSTRUMENT(VmafxGauge, gauge, record, int64_t)
VMAFX_INSTRUMENT(VmafxGaugeDouble, gauge_double, record, double)
VMAFX_INSTRUMENT(VmafxHistogram, histogram, record, double)
VMAFX_INSTRUMENT(VmafxHistogramInt, histogram_int, record, int64_t)

/** A histogram with advice on its boundaries: at most 1000, finite, strictly increasing; else reported and ignored. */
VmafxHistogram *vmafx_histogram_bounds(VmafxMeter *meter, const char *name, const char *unit, const char *description,
                                       const double *bounds, size_t n_bounds);

/** Adds to or records on a bound series; a number of the instrument's other type is converted (toward zero). */
static inline void vmafx_bound_int(VmafxBound *bound, int64_t value);
static inline void vmafx_bound_double(VmafxBound *bound, double value);

/* ---- Observable instruments ---- */

typedef struct VmafxObservable VmafxObservable;
typedef struct VmafxObserver VmafxObserver;
typedef struct VmafxCallback VmafxCallback;

/**
 * Called once per collection of each reader, on the collecting thread and never twice at a time; it says what there is
 * with vmafx_observe_…. self is the instrument it was given to at creation, NULL when it was added to a meter. It must
 * not collect, flush or shut down, and should be done within a second.
 */
typedef void (*VmafxObserveFn)(VmafxObserver *observer, VmafxObservable *self, void *state);

/** fn may be NULL: callbacks of the meter may serve it. Counters report absolute values. */
#define VMAFX_OBSERVABLE(thing)                                                                                        \
    VmafxObservable *vmafx_observable_##thing(VmafxMeter *meter, const char *name, const char *unit,                   \
                                              const char *description, VmafxObserveFn fn, void *state);

VMAFX_OBSERVABLE(counter)
VMAFX_OBSERVABLE(counter_double)
VMAFX_OBSERVABLE(up_down_counter)
VMAFX_OBSERVABLE(up_down_counter_double)
VMAFX_OBSERVABLE(gauge)
VMAFX_OBSERVABLE(gauge_double)

/** A callback for any observable instruments of a meter. */
VmafxCallback *vmafx_meter_callback(VmafxMeter *meter, VmafxObserveFn fn, void *state);
/** Once this returns the callback does not run and never will (unless called from inside one). Sets *callback NULL. */
void vmafx_callback_remove(VmafxCallback **callback);

/** Only inside a callback, with its observer; of the same attribute set observed twice the last counts. */
void vmafx_observe_int(VmafxObserver *observer, VmafxObservable *instrument, int64_t value, VmafxAttrs attrs);
void vmafx_observe_double(VmafxObserver *observer, VmafxObservable *instrument, double value, VmafxAttrs attrs);

/* ---- For SDKs ---- */

/**
 * An SDK's function table; lives as long as it is in the slot or has meters. The void pointers are the SDK's own
 * objects, which live as long as the provider. instrument gives NULL for a no-op, and the same object for an identity
 * it knows. All functions: any thread, no failure.
 */
typedef struct VmafxMetricsSdk {
    void *provider;
    void *(*instrument)(void *provider, const VmafxMeterInfo *meter, const VmafxInstrumentInfo *info);
    void *(*bind)(void *instrument, VmafxAttrs attrs);
    bool (*enabled)(void *instrument);
    void (*measure_int)(void *instrument, int64_t value, VmafxAttrs attrs, VmafxContext *context);
    void (*measure_double)(void *instrument, double value, VmafxAttrs attrs, VmafxContext *context);
    void (*bound_int)(void *bound, int64_t value);
    void (*bound_double)(void *bound, double value);
    void *(*callback_add)(void *provider, VmafxObserveFn fn, VmafxObservable *self, void *state);
    void (*callback_remove)(void *provider, void *callback);
    void (*observe_int)(VmafxObserver *observer, void *instrument, int64_t value, VmafxAttrs attrs);
    void (*observe_double)(VmafxObserver *observer, void *instrument, double value, VmafxAttrs attrs);
} VmafxMetricsSdk;

/**
 * Fills the global slot (NULL empties it) and connects or disconnects every handle of vmafx_meter_get. Before a
 * provider is freed the slot must be emptied and instrumented threads must have stopped.
 */
void vmafx_metrics_sdk_set(const VmafxMetricsSdk *sdk);

/** A meter of one provider, made for it and freed by it with all its handles. NULL on no memory. */
VmafxMeter *vmafx_meter_new(const VmafxMetricsSdk *sdk, const VmafxMeterInfo *info);
void vmafx_meter_free(VmafxMeter **meter);

/* ---- What instrumented code has of bound series in itself ---- */

/** Whom a handle calls. Connected when sdk is not NULL: its release store pairs with the acquire load below. */
typedef struct VmafxMetricLink {
    _Atomic(const VmafxMetricsSdk *) sdk;
    _Atomic(void *) impl; /* the SDK's object */
} VmafxMetricLink;

/** Made and changed by metrics.c alone. */
struct VmafxBound {
    VmafxMetricLink link;
    VmafxAttrs attrs;
    VmafxBound *next;
};

static inline void vmafx_bound_int(VmafxBound *bound, int64_t value)
{
    const VmafxMetricsSdk *sdk = bound ? atomic_load_explicit(&bound->link.sdk, memory_order_acquire) : NULL;

    if (sdk)
        sdk->bound_int(atomic_load_explicit(&bound->link.impl, memory_order_relaxed), value);
}

static inline void vmafx_bound_double(VmafxBound *bound, double value)
{
    const VmafxMetricsSdk *sdk = bound ? atomic_load_explicit(&bound->link.sdk, memory_order_acquire) : NULL;

    if (sdk)
        sdk->bound_double(atomic_load_explicit(&bound->link.impl, memory_order_relaxed), value);
}
#endif

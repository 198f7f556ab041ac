/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * What the two halves of the provider share: meter_instrument.c makes instruments and measures, meter_provider.c has
 * callbacks, collection and the provider's life. For these two files only.
 *
 * Two locks: `lock` covers the lists and is held for moments; `callbacks_lock` is held while callbacks run, so that
 * removing one can wait for it. callbacks_lock is taken first. User code runs under callbacks_lock only, and what a
 * callback may call (making handles, adding and removing callbacks, observing) does not take it.
 */
#ifndef VMAFX_OTEL_SDK_METER_PROVIDER_IMPL_H
#define VMAFX_OTEL_SDK_METER_PROVIDER_IMPL_H

#include <float.h>
#include <math.h>
#include <pthread.h>

#include "otel/sdk/meter_provider.h"
#include "otel/sdk/metric_stream.h"

enum { VMAFX_METRIC_MESSAGE_MAX = 384, VMAFX_METRIC_MESSAGES_MAX = 8 };

typedef struct Scope {
    VmafxScope data;
    struct Scope *next;
} Scope;

typedef struct SdkInstrument {
    VmafxMeterProvider *provider;
    const Scope *scope;
    VmafxInstrumentInfo info;
    double least;        /* that is not ignored: 0, or all that is finite */
    atomic_bool invalid; /* a value was ignored and no one has been told */
    atomic_bool invalid_told;
    size_t n_streams;
    VmafxStream **streams;
    struct SdkBound *bounds;
    struct SdkInstrument *next;
} SdkInstrument;

typedef struct SdkBound {
    VmafxSeries *only; /* the series, when there is one stream */
    double least;      /* this and the next: the instrument's, at hand */
    bool is_int;
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
    } * meters;
    size_t n_meters;
    char messages[VMAFX_METRIC_MESSAGES_MAX + 1][VMAFX_METRIC_MESSAGE_MAX]; /* not told yet; the last is never used */
    size_t n_messages;
};

/** Counts a contradiction now and has the next collection tell it, because locks are held: ours, and the API's. Lock
 *  held. */
void vmafx_sdk_conflict(VmafxMeterProvider *provider, const char *what, const char *name);

/** The scope of a meter, made when it is new. NULL on no memory. Lock held. */
const Scope *vmafx_sdk_scope(VmafxMeterProvider *p, const VmafxMeterInfo *info);
void vmafx_sdk_instrument_free(SdkInstrument *instrument);

/* Of the table for the API; their contracts are VmafxMetricsSdk's. */
void *vmafx_sdk_instrument(void *provider, const VmafxMeterInfo *meter, const VmafxInstrumentInfo *info);
bool vmafx_sdk_enabled(void *instrument);
void vmafx_sdk_measure_int(void *instrument, int64_t value, VmafxAttrs attrs, VmafxContext *context);
void vmafx_sdk_measure_double(void *instrument, double value, VmafxAttrs attrs, VmafxContext *context);
void *vmafx_sdk_bind(void *instrument, VmafxAttrs attrs);
void vmafx_sdk_bound_int(void *bound, int64_t value);
void vmafx_sdk_bound_double(void *bound, double value);

static inline bool in_range(double value, double least)
{
    return value >= least && value <= DBL_MAX; /* not a number is neither */
}

/* False: it is to be ignored, and that was counted. */
static inline bool usable(SdkInstrument *instrument, VmafxNumber value)
{
    if (__builtin_expect(in_range(value.d, instrument->least), 1))
        return true;
    atomic_fetch_add_explicit(&instrument->provider->env.counts.invalid, 1, memory_order_relaxed);
    atomic_store_explicit(&instrument->invalid, true, memory_order_relaxed);
    return false;
}

/* Toward zero; what is too large, or not a number, is at the end, or zero. */
static inline int64_t to_int(double v)
{
    return v >= 0x1p63 ? INT64_MAX : v <= -0x1p63 ? INT64_MIN : isnan(v) ? 0 : (int64_t)v;
}

static inline VmafxNumber number_of_int(int64_t v)
{
    return (VmafxNumber){ v, (double)v };
}

static inline VmafxNumber number_of_double(bool is_int, double v)
{
    return (VmafxNumber){ is_int ? to_int(v) : 0, v };
}
#endif

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Instruments: their identity, the streams that views and readers make of them, and measuring. An instrument is a
 * handful of streams: one for each view it meets, shared by the readers that want the same of it. Measuring walks these
 * streams; there is nearly always one.
 */

#include <string.h>
#include <strings.h>

#include "base/base.h"
#include "otel/api/attr_set.h"
#include "otel/sdk/meter_provider_impl.h"
#include "otel/sdk/metric_view.h"

enum { INSTRUMENTS_MAX = 10000 };

void vmafx_sdk_conflict(VmafxMeterProvider *provider, const char *what, const char *name)
{
    atomic_fetch_add_explicit(&provider->env.counts.conflicts, 1, memory_order_relaxed);
    if (provider->n_messages < VMAFX_METRIC_MESSAGES_MAX)
        snprintf(provider->messages[provider->n_messages++], VMAFX_METRIC_MESSAGE_MAX, "%s: '%.200s'", what, name);
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
        .limit = view && view->cardinality_limit    ? view->cardinality_limit
                 : options->cardinality_limit[kind] ? options->cardinality_limit[kind]
                                                    : VMAFX_CARDINALITY_DEFAULT,
        .readers = 1u << reader,
        .delta = (unsigned)delta << reader,
    };

    if (view)
        info.filter =
            (VmafxAttrFilter){ view->filter_attributes, view->exclude, view->attribute_keys, view->n_attribute_keys };
    if (!vmafx_aggregation_decide(view ? &view->aggregation : NULL, &options->aggregation[kind], &instrument->info,
                                  &info.config))
        return;
    if (info.config.kind != VMAFX_AGG_SUM)
        info.monotonic = false;

    for (size_t i = first; i < instrument->n_streams; i++) {
        const VmafxStreamInfo *other = vmafx_stream_info(instrument->streams[i]);

        if (!(other->readers >> reader & 1) && other->limit == info.limit &&
            same_config(&other->config, &info.config)) {
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
                    vmafx_sdk_conflict(p, "two different instruments have one name (a view can rename one)",
                                       mine->name);
                    return;
                }
        for (size_t j = 0; j < i; j++)
            if (!strcasecmp(mine->name, vmafx_stream_info(instrument->streams[j])->name) &&
                (mine->readers & vmafx_stream_info(instrument->streams[j])->readers)) {
                vmafx_sdk_conflict(p, "two views make streams of one name", mine->name);
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
            vmafx_sdk_conflict(p, unfit, instrument->info.name);
            continue;
        }
        met = true;
        add_view_streams(instrument, view);
    }
    if (!met)
        add_view_streams(instrument, NULL);
    warn_of_same_names(instrument);
}

void vmafx_sdk_instrument_free(SdkInstrument *instrument)
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
    instrument->least = info->kind == VMAFX_KIND_COUNTER || info->kind == VMAFX_KIND_HISTOGRAM ? 0 : -DBL_MAX;
    instrument->info.name = vmafx_strdup(info->name);
    instrument->info.unit = vmafx_strdup(info->unit);
    instrument->info.description = vmafx_strdup(info->description);
    if (info->n_bounds && (bounds = malloc(info->n_bounds * sizeof *bounds)))
        memcpy(bounds, info->bounds, info->n_bounds * sizeof *bounds);
    instrument->info.bounds = bounds;
    if (!instrument->info.name || !instrument->info.unit || !instrument->info.description ||
        (info->n_bounds && !bounds)) {
        vmafx_sdk_instrument_free(instrument);
        return NULL;
    }
    return instrument;
}

const Scope *vmafx_sdk_scope(VmafxMeterProvider *p, const VmafxMeterInfo *info)
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
        vmafx_sdk_conflict(known->provider, "an instrument is known by a name in other letters", info->name);
    if (known->info.n_bounds != info->n_bounds ||
        (info->n_bounds && memcmp(known->info.bounds, info->bounds, info->n_bounds * sizeof *info->bounds) != 0))
        vmafx_sdk_conflict(known->provider, "an instrument is known with other advisory boundaries", info->name);
}

/* Lock held. */
static SdkInstrument *get_instrument(VmafxMeterProvider *p, const VmafxMeterInfo *meter, VmafxInstrumentInfo info)
{
    const Scope *scope = vmafx_sdk_scope(p, meter);
    SdkInstrument *instrument = scope ? find_instrument(p, scope, &info) : NULL;

    if (instrument) {
        warn_of_differences(instrument, &info);
        return instrument;
    }
    if (!scope || p->n_instruments >= INSTRUMENTS_MAX)
        return NULL;
    if (info.n_bounds && !vmafx_histogram_bounds_valid(info.bounds, info.n_bounds)) {
        vmafx_sdk_conflict(p, "advisory boundaries are not finite and increasing", info.name);
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

void *vmafx_sdk_instrument(void *provider, const VmafxMeterInfo *meter, const VmafxInstrumentInfo *info)
{
    VmafxMeterProvider *p = provider;

    if (atomic_load_explicit(&p->stopped, memory_order_relaxed) || !vmafx_metric_env_alive(&p->env))
        return NULL;
    if (!vmafx_instrument_name_valid(info->name)) {
        pthread_mutex_lock(&p->lock);
        vmafx_sdk_conflict(p, "this is no name for an instrument, it will count nothing", info->name);
        pthread_mutex_unlock(&p->lock);
        return NULL;
    }
    pthread_mutex_lock(&p->lock);
    SdkInstrument *instrument = get_instrument(p, meter, *info);
    pthread_mutex_unlock(&p->lock);
    return instrument;
}

/* ---- Measuring ---- */

bool vmafx_sdk_enabled(void *instrument)
{
    return ((SdkInstrument *)instrument)->n_streams > 0;
}

/* Not the whole filter, but what keeps nearly every measurement away from it. */
static inline bool may_be_exemplar(const VmafxSeries *series, const VmafxContext *context)
{
    return context || vmafx_context_current() || series->exemplars_anywhere;
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
        if (may_be_exemplar(series, context))
            vmafx_stream_exemplar(instrument->streams[i], series, value, attrs, context);
    }
}

void vmafx_sdk_measure_int(void *instrument, int64_t value, VmafxAttrs attrs, VmafxContext *context)
{
    measure(instrument, number_of_int(value), attrs, context);
}

void vmafx_sdk_measure_double(void *instrument, double value, VmafxAttrs attrs, VmafxContext *context)
{
    measure(instrument, number_of_double(((SdkInstrument *)instrument)->info.is_int, value), attrs, context);
}

void *vmafx_sdk_bind(void *instrument, VmafxAttrs attrs)
{
    SdkInstrument *i = instrument;

    if (!vmafx_metric_env_alive(&i->provider->env))
        return NULL;
    SdkBound *bound = calloc(1, sizeof *bound + i->n_streams * sizeof bound->series[0]);

    if (!bound || !vmafx_attr_set_copy(attrs, &bound->attrs)) {
        free(bound);
        return NULL;
    }
    bound->instrument = i;
    bound->least = i->least;
    bound->is_int = i->info.is_int;
    for (size_t s = 0; s < i->n_streams; s++)
        bound->series[s] = vmafx_kind_observable(i->info.kind) ? NULL : vmafx_stream_series(i->streams[s], attrs);
    if (i->n_streams == 1)
        bound->only = bound->series[0];
    pthread_mutex_lock(&i->provider->lock);
    bound->next = i->bounds;
    i->bounds = bound;
    pthread_mutex_unlock(&i->provider->lock);
    return bound;
}

static __attribute__((noinline)) void measure_bound_slowly(SdkBound *bound, VmafxNumber value)
{
    SdkInstrument *instrument = bound->instrument;

    if (!usable(instrument, value))
        return;
    for (size_t i = 0; i < instrument->n_streams; i++) {
        VmafxSeries *series = bound->series[i];

        if (!series)
            continue;
        vmafx_series_record(series, value);
        if (may_be_exemplar(series, NULL))
            vmafx_stream_exemplar(instrument->streams[i], series, value, bound->attrs, NULL);
    }
}

static inline void measure_bound(SdkBound *bound, VmafxNumber value)
{
    VmafxSeries *series = bound->only;

    if (__builtin_expect(!series || may_be_exemplar(series, NULL) || !in_range(value.d, bound->least), 0))
        measure_bound_slowly(bound, value);
    else
        vmafx_series_record(series, value);
}

void vmafx_sdk_bound_int(void *bound, int64_t value)
{
    measure_bound(bound, number_of_int(value));
}

void vmafx_sdk_bound_double(void *bound, double value)
{
    measure_bound(bound, number_of_double(((SdkBound *)bound)->is_int, value));
}

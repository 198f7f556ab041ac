/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Views: matching and deciding. */

#include "otel/sdk/metric_view.h"

#include <stdlib.h>
#include <string.h>

#include "base/base.h"

bool vmafx_kind_observable(VmafxInstrumentKind kind)
{
    return kind >= VMAFX_KIND_OBSERVABLE_COUNTER;
}

bool vmafx_kind_monotonic(VmafxInstrumentKind kind)
{
    return kind == VMAFX_KIND_COUNTER || kind == VMAFX_KIND_OBSERVABLE_COUNTER;
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

static bool is_letter(char c)
{
    return lower(c) >= 'a' && lower(c) <= 'z';
}

bool vmafx_instrument_name_valid(const char *name)
{
    size_t n = 0;

    if (!is_letter(*name))
        return false;
    for (; name[n]; n++)
        if (n == 255 || !(is_letter(name[n]) || (name[n] >= '0' && name[n] <= '9') || strchr("_.-/", name[n])))
            return false;
    return true;
}

bool vmafx_wildcard_match(const char *pattern, const char *text)
{
    const char *star = NULL, *from = NULL; /* where to go on after the last '*' when it has to take one more */

    while (*text) {
        if (*pattern == '*') {
            star = pattern++;
            from = text;
        } else if (*pattern && (*pattern == '?' || lower(*pattern) == lower(*text))) {
            pattern++;
            text++;
        } else if (star) {
            pattern = star + 1;
            text = ++from;
        } else {
            return false;
        }
    }
    while (*pattern == '*')
        pattern++;
    return !*pattern;
}

static bool same(const char *wanted, const char *text)
{
    return !wanted || !strcmp(wanted, text);
}

bool vmafx_view_matches(const VmafxView *view, const VmafxScope *scope, const VmafxInstrumentInfo *instrument)
{
    return (!view->instrument_name || vmafx_wildcard_match(view->instrument_name, instrument->name)) &&
           (view->kind == VMAFX_KIND_ANY || view->kind == instrument->kind) && same(view->unit, instrument->unit) &&
           same(view->meter_name, scope->name) && same(view->meter_version, scope->version) &&
           same(view->meter_schema_url, scope->schema_url);
}

const char *vmafx_aggregation_unfit(const VmafxAggregation *aggregation, VmafxInstrumentKind kind)
{
    switch (aggregation->kind) {
    case VMAFX_AGG_DEFAULT:
    case VMAFX_AGG_DROP:
    case VMAFX_AGG_LAST_VALUE:
        return NULL;
    case VMAFX_AGG_SUM:
        return kind == VMAFX_KIND_GAUGE || kind == VMAFX_KIND_OBSERVABLE_GAUGE ? "a gauge has no sum" : NULL;
    case VMAFX_AGG_HISTOGRAM:
        if (aggregation->bounds && !vmafx_histogram_bounds_valid(aggregation->bounds, aggregation->n_bounds))
            return "the boundaries are not finite and increasing";
        break;
    case VMAFX_AGG_EXP_HISTOGRAM:
        break;
    default:
        return "there is no such aggregation";
    }
    return vmafx_kind_observable(kind) ? "an observable instrument has no histogram" : NULL;
}

static VmafxAggregationKind default_of(VmafxInstrumentKind kind)
{
    switch (kind) {
    case VMAFX_KIND_HISTOGRAM:
        return VMAFX_AGG_HISTOGRAM;
    case VMAFX_KIND_GAUGE:
    case VMAFX_KIND_OBSERVABLE_GAUGE:
        return VMAFX_AGG_LAST_VALUE;
    default:
        return VMAFX_AGG_SUM;
    }
}

static void use_bounds(VmafxAggConfig *config, const double *bounds, size_t n_bounds)
{
    config->bounds = bounds;
    config->n_bounds = n_bounds;
}

bool vmafx_aggregation_decide(const VmafxAggregation *view, const VmafxAggregation *reader,
                              const VmafxInstrumentInfo *instrument, VmafxAggConfig *ret)
{
    VmafxAggregation wanted = { 0 };
    bool by_view = view && view->kind != VMAFX_AGG_DEFAULT;

    if (by_view)
        wanted = *view;
    else if (reader && !vmafx_aggregation_unfit(reader, instrument->kind))
        wanted = *reader;
    if (wanted.kind == VMAFX_AGG_DEFAULT)
        wanted = (VmafxAggregation){ .kind = default_of(instrument->kind) };
    if (wanted.kind == VMAFX_AGG_DROP)
        return false;

    *ret = (VmafxAggConfig){ .kind = wanted.kind, .is_int = instrument->is_int };
    ret->has_sum = instrument->kind == VMAFX_KIND_HISTOGRAM || instrument->kind == VMAFX_KIND_COUNTER;
    ret->is_signed = !ret->has_sum;
    ret->has_min_max = !wanted.no_min_max;
    ret->max_size = wanted.max_size > 0 ? (uint32_t)wanted.max_size : 0;
    ret->max_scale = wanted.has_scale ? wanted.max_scale : VMAFX_EXP_SCALE_MAX;
    if (wanted.kind == VMAFX_AGG_HISTOGRAM) {
        if (wanted.bounds)
            use_bounds(ret, wanted.bounds, wanted.n_bounds);
        else if (!by_view && instrument->bounds &&
                 vmafx_histogram_bounds_valid(instrument->bounds, instrument->n_bounds))
            use_bounds(ret, instrument->bounds, instrument->n_bounds);
        else
            use_bounds(ret, vmafx_histogram_default_bounds, VMAFX_HISTOGRAM_DEFAULTS);
    }
    vmafx_agg_config_done(ret);
    return true;
}

void vmafx_view_done(VmafxView *view)
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

bool vmafx_view_copy(const VmafxView *from, VmafxView *to)
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

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What an engine tells: values, their names, and pooled over frames. */

#include <string.h>

#include "engine/kernels/cpu.h"
#include "engine/state.h"

double vmafx_engine_seconds(const VmafxEngine *engine, const char *extractor)
{
    for (size_t i = 0; i < engine->n_groups; i++)
        if (!strcmp(engine->groups[i].extractor->name, extractor))
            return (double)atomic_load_explicit(&engine->groups[i].spent_ns, memory_order_relaxed) / 1e9;
    return 0;
}

const char *vmafx_engine_kernels(const VmafxEngine *engine)
{
    return vmafx_cpu_name(engine->cpu);
}

uint32_t vmafx_engine_frames(const VmafxEngine *engine)
{
    return engine->n_frames;
}

size_t vmafx_engine_series(const VmafxEngine *engine)
{
    return engine->series.n;
}

const char *vmafx_engine_series_name(const VmafxEngine *engine, size_t series)
{
    return engine->series.names[series];
}

bool vmafx_engine_value(const VmafxEngine *engine, size_t series, uint32_t frame, double *ret_value)
{
    if (series >= engine->series.n || frame >= (engine->finished ? engine->n_frames : engine->n_settled))
        return false; /* a worker may be writing into the rows of others */
    double v = vmafx_series_row(&engine->series, frame)[series];
    if (!vmafx_series_present(v))
        return false;
    *ret_value = v;
    return true;
}

size_t vmafx_engine_aggregates(const VmafxEngine *engine)
{
    return engine->n_aggregates;
}

const char *vmafx_engine_aggregate_name(const VmafxEngine *engine, size_t aggregate)
{
    return engine->aggregates[aggregate].name;
}

double vmafx_engine_aggregate(const VmafxEngine *engine, size_t aggregate)
{
    return engine->aggregates[aggregate].value;
}

size_t vmafx_engine_find(const VmafxEngine *engine, const char *name)
{
    return vmafx_series_find(&engine->series, name);
}

VmafxErr vmafx_engine_pool(const VmafxEngine *engine, size_t series, uint32_t lo, uint32_t hi, VmafxPooled *ret_pooled)
{
    uint32_t step = (uint32_t)engine->settings.subsample;
    VmafxPooled pooled = { 0 };
    double sum = 0, inverse_sum = 0;

    if (lo > hi || hi >= engine->n_frames || series >= engine->series.n)
        return VMAFX_ERR_INVALID;
    for (uint64_t i = ((uint64_t)lo + step - 1) / step * step; i <= hi; i += step) {
        double v;
        if (!vmafx_engine_value(engine, series, (uint32_t)i, &v))
            return VMAFX_ERR_MISSING;
        if (pooled.n == 0 || v < pooled.min)
            pooled.min = v;
        if (pooled.n == 0 || v > pooled.max)
            pooled.max = v;
        sum += v;
        inverse_sum += 1.0 / (v + 1.0);
        pooled.n++;
    }
    pooled.mean = sum / pooled.n;
    pooled.harmonic_mean = pooled.n / inverse_sum - 1.0;
    *ret_pooled = pooled;
    return VMAFX_OK;
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Instruments as the table has them. */

#include "signals/instruments.h"

#include <assert.h>

static const VmafxMetricRow *row_of(VmafxMetricId id, VmafxInstrumentKind kind)
{
    const VmafxMetricRow *row = vmafx_metric_row(id);

    assert(row->kind == kind);
    return row;
}

VmafxCounter *vmafx_signal_counter(VmafxMeter *meter, VmafxMetricId id)
{
    const VmafxMetricRow *row = row_of(id, VMAFX_KIND_COUNTER);

    return vmafx_counter(meter, row->name, row->unit, row->text);
}

VmafxUpDownCounter *vmafx_signal_up_down_counter(VmafxMeter *meter, VmafxMetricId id)
{
    const VmafxMetricRow *row = row_of(id, VMAFX_KIND_UP_DOWN_COUNTER);

    return vmafx_up_down_counter(meter, row->name, row->unit, row->text);
}

VmafxHistogram *vmafx_signal_histogram(VmafxMeter *meter, VmafxMetricId id)
{
    const VmafxMetricRow *row = row_of(id, VMAFX_KIND_HISTOGRAM);

    return vmafx_histogram_bounds(meter, row->name, row->unit, row->text, row->bounds, row->n_bounds);
}

typedef VmafxObservable *Make(VmafxMeter *meter, const char *name, const char *unit, const char *description,
                              VmafxObserveFn fn, void *state);

static VmafxObservable *observable(VmafxMeter *meter, VmafxMetricId id, Make *counter, Make *up_down_counter,
                                   Make *gauge)
{
    const VmafxMetricRow *row = vmafx_metric_row(id);
    Make *make = row->kind == VMAFX_KIND_OBSERVABLE_COUNTER           ? counter
                 : row->kind == VMAFX_KIND_OBSERVABLE_UP_DOWN_COUNTER ? up_down_counter
                                                                      : gauge;

    assert(make != gauge || row->kind == VMAFX_KIND_OBSERVABLE_GAUGE);
    return make(meter, row->name, row->unit, row->text, NULL, NULL);
}

VmafxObservable *vmafx_signal_observable(VmafxMeter *meter, VmafxMetricId id)
{
    return observable(meter, id, vmafx_observable_counter, vmafx_observable_up_down_counter, vmafx_observable_gauge);
}

VmafxObservable *vmafx_signal_observable_double(VmafxMeter *meter, VmafxMetricId id)
{
    return observable(meter, id, vmafx_observable_counter_double, vmafx_observable_up_down_counter_double,
                      vmafx_observable_gauge_double);
}

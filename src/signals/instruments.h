/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Instruments as the table has them: name, kind, unit, description and buckets come from the row, so that code says
 * only which. As with the API itself nothing fails, and the same call gives the same handle.
 */
#ifndef VMAFX_SIGNALS_INSTRUMENTS_H
#define VMAFX_SIGNALS_INSTRUMENTS_H

#include "signals/signals.h"

/** Of a row of that kind; another is a mistake of ours. */
VmafxCounter *vmafx_signal_counter(VmafxMeter *meter, VmafxMetricId id);
VmafxUpDownCounter *vmafx_signal_up_down_counter(VmafxMeter *meter, VmafxMetricId id);
VmafxHistogram *vmafx_signal_histogram(VmafxMeter *meter, VmafxMetricId id);

/** Of whichever observable kind the row has, for a callback of the meter to serve with whole numbers. */
VmafxObservable *vmafx_signal_observable(VmafxMeter *meter, VmafxMetricId id);
/** The same with fractions. */
VmafxObservable *vmafx_signal_observable_double(VmafxMeter *meter, VmafxMetricId id);
#endif

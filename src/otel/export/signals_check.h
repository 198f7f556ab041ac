/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Holds a running program to src/signals/signals.def: what it makes is looked up where it is made, so that a debugger
 * stands at the line at fault.
 *
 *     spans     when they end: scope, name, kind, attributes, events, the text of the status
 *     logs      when they are emitted: scope, attributes
 *     metrics   when an instrument is made: scope, name, kind, unit; when something is measured: its attributes
 *
 * Only what is ours is looked at: a scope, a name or a key that begins with "vmafx." (and all that our scopes say).
 *
 * VMAFX_SIGNALS_CHECK in the environment says what happens to what does not fit: `abort` (one line on stderr, then
 * abort(); for tests), `log` (each kind of fault once, through the error handler) or `off`. Without it a build with
 * debug information and no optimisation, or with a sanitizer, logs; any other does not even install the checks, and
 * costs one look at the environment at start.
 */
#ifndef VMAFX_OTEL_EXPORT_SIGNALS_CHECK_H
#define VMAFX_OTEL_EXPORT_SIGNALS_CHECK_H

#include "otel/api/metrics.h"
#include "otel/sdk/log_provider.h"
#include "otel/sdk/trace_provider.h"

typedef struct VmafxSignalsCheck VmafxSignalsCheck;

/**
 * NULL when nothing is to be checked, or there is no memory; all functions accept that and then do nothing.
 * @param environment  as environ; borrowed for the call
 * @param on_error     for `log`; from any thread; must not trace, measure or log by the API
 */
VmafxSignalsCheck *vmafx_signals_check_new(char *const *environment, VmafxOtelErrorHandler on_error, void *ctx);
/** Once providers and the metrics' table it was given to are gone. Sets *check NULL. */
void vmafx_signals_check_free(VmafxSignalsCheck **check);

/** Before the provider is made: one more processor, in front of the others where there is room for it. */
void vmafx_signals_check_traces(VmafxSignalsCheck *check, VmafxTraceProviderConfig *config);
/** Before the provider is made: puts one more behind n processors, where there is room for it; how many there are. */
size_t vmafx_signals_check_logs(VmafxSignalsCheck *check, VmafxLogProcessor **processors, size_t n);
/** What to give to vmafx_metrics_sdk_set instead of sdk, which must outlive the check. Once per check. */
const VmafxMetricsSdk *vmafx_signals_check_metrics(VmafxSignalsCheck *check, const VmafxMetricsSdk *sdk);
#endif

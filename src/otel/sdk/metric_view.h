/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Which view an instrument meets, and which aggregation comes of it. Pure functions. */
#ifndef VMAFX_OTEL_SDK_METRIC_VIEW_H
#define VMAFX_OTEL_SDK_METRIC_VIEW_H

#include "otel/sdk/meter_provider.h"

bool vmafx_kind_observable(VmafxInstrumentKind kind);
bool vmafx_kind_monotonic(VmafxInstrumentKind kind);

/** 1 … 255 of letters, digits and _ . - /, a letter first. */
bool vmafx_instrument_name_valid(const char *name);

/** '*' any text, '?' any one character; ASCII case does not matter. */
bool vmafx_wildcard_match(const char *pattern, const char *text);

bool vmafx_view_matches(const VmafxView *view, const VmafxScope *scope, const VmafxInstrumentInfo *instrument);

/** What is wrong with a view for a kind of instrument (ANY: for all); NULL when nothing is. */
const char *vmafx_aggregation_unfit(const VmafxAggregation *aggregation, VmafxInstrumentKind kind);

/**
 * Decides everything: the view's aggregation (NULL: none), else the reader's, else the kind's. Advisory boundaries
 * count where neither asks for boundaries or another kind. Boundaries are borrowed from where they come from.
 * @return false for DROP
 */
bool vmafx_aggregation_decide(const VmafxAggregation *view, const VmafxAggregation *reader,
                              const VmafxInstrumentInfo *instrument, VmafxAggConfig *ret);

/** A deep copy. False on no memory; what there is then must be _done too. */
bool vmafx_view_copy(const VmafxView *from, VmafxView *to);
void vmafx_view_done(VmafxView *view);
#endif

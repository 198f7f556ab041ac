/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What base/features.def says of features and their results, as JSON for tools. */
#ifndef VMAFX_PROGRAMS_MCP_METRICS_H
#define VMAFX_PROGRAMS_MCP_METRICS_H

#include <jansson.h>

#include "base/features.h"

/** { metric, feature, kind, better, range, what }; NULL without memory. */
json_t *metric_document(const VmafxResultFacts *facts);
/** { feature, what, good_for, misleads }; NULL without memory. */
json_t *feature_document(const VmafxFeatureFacts *facts);
#endif

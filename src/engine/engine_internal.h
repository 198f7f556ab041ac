/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The engine's side door, for tests: extractors that are not in the register. */
#ifndef VMAFX_ENGINE_ENGINE_INTERNAL_H
#define VMAFX_ENGINE_ENGINE_INTERNAL_H

#include "engine/extractor.h"

/** Adds an extractor with options, or finds the instance that has them already. */
VMAFX_CHECK VmafxErr vmafx_engine_add_instance(VmafxEngine *engine, const VmafxExtractor *extractor,
                                               const VmafxOptions *options, bool strict, size_t *ret_instance,
                                               VmafxErrInfo *reterr);
#endif

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Features as golden files name them. */
#ifndef VMAFX_TESTS_GOLDEN_FEATURE_TEXT_H
#define VMAFX_TESTS_GOLDEN_FEATURE_TEXT_H

#include <vmafx/engine.h>

/** Adds the feature of a text like "psnr=enable_mse=true:min_sse=0.5": at most 32 options, each with a value. */
VmafxErr feature_text_add(VmafxEngine *engine, const char *text, VmafxErrInfo *reterr);
#endif

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What the reference tool's --aom_ctc and --nflx_ctc stand for. */
#ifndef VMAFX_PROGRAMS_CLI_VMAF_PRESETS_H
#define VMAFX_PROGRAMS_CLI_VMAF_PRESETS_H

#include <stdbool.h>

/** Features and models in the syntax of --feature and --model; both end with NULL. */
typedef struct VmafPreset {
    const char *const *features, *const *models;
    bool larger_depth; /* both inputs are taken with the larger of their bit depths */
} VmafPreset;

#define VMAF_AOM_VERSIONS  "v1.0 v2.0 v3.0 v4.0 v5.0 v6.0 v7.0"
#define VMAF_NFLX_VERSIONS "v1.0"

/** NULL: there is no such version. Static. */
const VmafPreset *vmaf_preset_aom(const char *version);
const VmafPreset *vmaf_preset_nflx(const char *version);
#endif

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The VMAF v1 models: which of them fits pictures, and where their files come from. */
#ifndef VMAFX_SCORE_MODEL_AUTO_H
#define VMAFX_SCORE_MODEL_AUTO_H

#include <stdbool.h>

#include "base/model_auto.h"

/** What pictures are, as far as it matters to the choice. */
typedef struct VmafxModelPictures {
    int w, h;
    int rate_num, rate_den; /* frames per second; rate_num 0: unknown, taken as an ordinary one */
} VmafxModelPictures;

typedef struct VmafxModelChoice {
    char version[48];
    char why[160]; /* "3840x2160 is nearer to 4K than to 1080p, and 50 frames per second are a high rate" */
} VmafxModelChoice;

/**
 * One of VMAFX_MODELS_AUTO. 4K is what has more than twice the samples of 1920x1080, the geometric mean of both; a high
 * rate is 40 frames per second or more, between the 30 and 50 that the models were made for.
 */
void vmafx_model_choose(const VmafxModelPictures *pictures, VmafxModelChoice *ret);

/** Both are of the v1 family, but `version` was made for other sizes or rates; the one of the same kind that fits. */
bool vmafx_model_fits_better(const char *version, const VmafxModelPictures *pictures, VmafxModelChoice *ret);

/** "vmaf_v1.0.16_3d0h" and its like, whatever the version. */
bool vmafx_model_is_v1(const char *version);
/** A sentence's end that says where a v1 model's file is published; NULL for other versions. */
const char *vmafx_model_origin(const char *version);
#endif

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Is a JobSpec within what proto/vmafx/v1/jobs.proto promises? Everything that can be told from the message alone: no
 * model, no file, no engine and no encoder is asked, so a controller can refuse at submit. What only those know (is
 * there such a model, such a feature, such an option? does this encoder take this preset?) the scorer finds out.
 *
 * The sentence begins with the field's path, "job.comparison.subsample: -1 is below 0". Pure; any thread.
 */
#ifndef VMAFX_RPC_SPEC_CHECK_H
#define VMAFX_RPC_SPEC_CHECK_H

#include "rpc/message.h"

#define VMAFX_SPEC_BYTES_MAX       65536 /* encoded */
#define VMAFX_SPEC_URI_MAX         4096
#define VMAFX_SPEC_MODELS_MAX      16
#define VMAFX_SPEC_FEATURES_MAX    32
#define VMAFX_SPEC_OPTIONS_MAX     64 /* of one model, feature or encoder */
#define VMAFX_SPEC_NAME_MAX        127
#define VMAFX_SPEC_VALUE_MAX       255
#define VMAFX_SPEC_LABELS_MAX      32
#define VMAFX_SPEC_LABEL_KEY_MAX   63
#define VMAFX_SPEC_KEY_MAX         255        /* idempotency key */
#define VMAFX_SPEC_FRAMES_MAX      2000000000 /* any number or count of frames */
#define VMAFX_SPEC_DIMENSION_MAX   65536
#define VMAFX_SPEC_CRF_MIN         (-64.0) /* of any encoder; each has its own range */
#define VMAFX_SPEC_CRF_MAX         255.0
#define VMAFX_SPEC_BITRATE_MAX     INT64_C(100000000000)
#define VMAFX_SPEC_GOP_MAX         1000000
#define VMAFX_SPEC_PRIORITY_MAX    100
#define VMAFX_SPEC_TIMEOUT_MS_MAX  ((int64_t)7 * 24 * 3600 * 1000)
#define VMAFX_SPEC_ATTEMPTS_MAX    20
#define VMAFX_SPEC_DEFAULT_VERSION "vmaf_v0.6.1" /* of the model, where a job names none */

/**
 * The whole job, as somebody submits it.
 * @param path  what the message is called in sentences: "job", "jobs[3]"
 * @return VMAFX_ERR_INVALID; VMAFX_ERR_LIMIT (too many, too long); VMAFX_ERR_ENCODER (something in the encode recipe)
 */
VMAFX_CHECK VmafxErr vmafx_spec_check(const Vmafx__V1__JobSpec *spec, const char *path, VmafxErrInfo *reterr);

/** The distorted video as it is given, or how it is made; NULL: the other one, or neither, is. */
const Vmafx__V1__Input *vmafx_spec_distorted(const Vmafx__V1__JobSpec *spec);
const Vmafx__V1__EncodeRecipe *vmafx_spec_recipe(const Vmafx__V1__JobSpec *spec);

/** Only what a scorer reads of it: raw formats, the recipe, models, features, comparison. Inputs need no uri. */
VMAFX_CHECK VmafxErr vmafx_spec_check_scoring(const Vmafx__V1__JobSpec *spec, const char *path, VmafxErrInfo *reterr);
#endif

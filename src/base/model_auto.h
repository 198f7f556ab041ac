/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The word that stands for a VMAF v1 model in place of its version. Whoever decodes the pictures takes one of four by
 * their size and rate (score/model_auto.h); who places a job has to find a machine that has all four.
 */
#ifndef VMAFX_BASE_MODEL_AUTO_H
#define VMAFX_BASE_MODEL_AUTO_H

#define VMAFX_MODEL_AUTO "auto"

#define VMAFX_MODEL_1080     "vmaf_v1.0.16_3d0h"
#define VMAFX_MODEL_1080_HFR "vmaf_v1.0.16_hfr_3d0h"
#define VMAFX_MODEL_2160     "vmaf_v1.0.16_1d5h_2160"
#define VMAFX_MODEL_2160_HFR "vmaf_v1.0.16_hfr_1d5h_2160"
/** As an initialiser of an array of strings. */
#define VMAFX_MODELS_AUTO                                                                                              \
    {                                                                                                                  \
        VMAFX_MODEL_1080, VMAFX_MODEL_1080_HFR, VMAFX_MODEL_2160, VMAFX_MODEL_2160_HFR                                 \
    }
#define VMAFX_MODELS_AUTO_N 4
#endif

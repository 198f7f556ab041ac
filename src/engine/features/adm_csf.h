/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Contrast sensitivity of ADM: how much each band of each scale counts at a viewing distance. */
#ifndef VMAFX_ENGINE_FEATURES_ADM_CSF_H
#define VMAFX_ENGINE_FEATURES_ADM_CSF_H

#include <vmafx/error.h>

#define VMAFX_ADM_SCALES 4

typedef struct VmafxAdmCsfSettings {
    int mode;                 /* 0: Watson's wavelet thresholds; 1: Barten; 2, 3: tables */
    double view_distance;     /* in picture heights */
    int display_height;       /* in samples */
    double scale, diag_scale; /* mode 1: multiply the H and V gain, the D gain */
} VmafxAdmCsfSettings;

/** By scale: gain of H and V, gain of D. */
typedef struct VmafxAdmCsf {
    float hv[VMAFX_ADM_SCALES], d[VMAFX_ADM_SCALES];
} VmafxAdmCsf;

/** @return VMAFX_ERR_FEATURE when modes 2 and 3 have no row for the display, naming it */
VMAFX_CHECK VmafxErr vmafx_adm_csf(const VmafxAdmCsfSettings *settings, VmafxAdmCsf *ret_csf, VmafxErrInfo *reterr);
#endif

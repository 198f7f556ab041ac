/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The parts of CIEDE2000 that can be looked at on their own. */
#ifndef VMAFX_ENGINE_FEATURES_CIEDE_H
#define VMAFX_ENGINE_FEATURES_CIEDE_H

typedef struct VmafxLab {
    float l, a, b; /* L*: 0 … 100 for colours that exist */
} VmafxLab;

/** Of BT.709 samples of limited range and 8 … 16 bits. */
VmafxLab vmafx_ciede_lab(int luma, int cb, int cr, int bpc);
/** ΔE; 0 for equal colours. */
float vmafx_ciede_difference(const VmafxLab *ref, const VmafxLab *dis);
#endif

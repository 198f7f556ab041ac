/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The kernel of CIEDE2000: differences of colours along a row. */
#ifndef VMAFX_ENGINE_KERNELS_CIEDE_H
#define VMAFX_ENGINE_KERNELS_CIEDE_H

#include <stddef.h>
#include <stdint.h>

#define VMAFX_CIEDE_KNOWN_BITS 16
#define VMAFX_CIEDE_KNOWN      ((size_t)1 << VMAFX_CIEDE_KNOWN_BITS)

typedef struct VmafxLab {
    float l, a, b; /* L*: 0 … 100 for colours that exist */
} VmafxLab;

/** A colour whose coordinates were worked out; a picture has few that are different, and they lie together. */
typedef struct VmafxCiedeKnown {
    uint64_t colour; /* its samples, and a bit that says that there is one */
    VmafxLab lab;
} VmafxCiedeKnown;

/** Samples at n positions: luma, Cb, Cr. */
typedef const uint16_t *const VmafxCiedeRows[3];

typedef struct VmafxCiedeKernels {
    /**
     * ret[x] = ΔE of position x, exactly 0 where the samples are equal. known: scratch of VMAFX_CIEDE_KNOWN entries,
     * all 0 at first, and always with the same bpc, 8 … 16. n ≥ 0
     */
    void (*row)(VmafxCiedeRows ref, VmafxCiedeRows dis, int n, int bpc, VmafxCiedeKnown *known, float *ret);
} VmafxCiedeKernels;

extern const VmafxCiedeKernels vmafx_ciede_kernels_c;

void vmafx_ciede_kernels_init(VmafxCiedeKernels *k, unsigned cpu);

/* Parts of it: */

/** Of BT.709 samples of limited range and 8 … 16 bits. */
VmafxLab vmafx_ciede_lab(int luma, int cb, int cr, int bpc);
/** ΔE; 0 for equal colours. */
float vmafx_ciede_difference(const VmafxLab *ref, const VmafxLab *dis);
#endif

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Row kernels of VIF in binary32. Every sum is one of binary32, in the order of the taps. */
#ifndef VMAFX_ENGINE_KERNELS_FLOAT_VIF_H
#define VMAFX_ENGINE_KERNELS_FLOAT_VIF_H

#define VMAFX_FLOAT_VIF_MOMENTS 5 /* x, y, xx, yy, xy */

typedef struct VmafxFloatVifNoise {
    double variance; /* of the eye's noise */
    float gain_max, k;
} VmafxFloatVifNoise;

typedef struct VmafxFloatVifKernels {
    /**
     * Sums over n_taps rows of both pictures, of w values: ret[0][j] = Σ taps[t] · x[t][j], and so on for y, x², y² and
     * x · y, t ascending from +0; reads and may write whole groups (VMAFX_FLOATS_GROUP).
     */
    void (*moments)(const float *const *x, const float *const *y, const float *taps, int n_taps, int w,
                    float *const ret[VMAFX_FLOAT_VIF_MOMENTS]);
    /** What the distorted and the reference picture tell about the scene at n places, from their filtered moments. */
    void (*information)(const float *const moments[VMAFX_FLOAT_VIF_MOMENTS], const VmafxFloatVifNoise *noise, int n,
                        float *ret_num, float *ret_den);
} VmafxFloatVifKernels;

void vmafx_float_vif_kernels_init(VmafxFloatVifKernels *k, unsigned cpu);
#endif

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
    /** ret[j] += tap · in[j] */
    void (*add)(const float *in, float tap, int w, float *ret);
    /** The same for two rows and their products. */
    void (*add_moments)(const float *x, const float *y, float tap, int w, float *const ret[VMAFX_FLOAT_VIF_MOMENTS]);
    /** ret[j] = Σ taps[t] · in[j · step + t − n_taps div 2], step 1 or 2; in is mirrored beyond its ends as far as need
     * be. */
    void (*along)(const float *in, const float *taps, int n_taps, int step, int n, float *ret);
    /** What the distorted and the reference picture tell about the scene at n places, from their filtered moments. */
    void (*information)(const float *const moments[VMAFX_FLOAT_VIF_MOMENTS], const VmafxFloatVifNoise *noise, int n,
                        float *ret_num, float *ret_den);
} VmafxFloatVifKernels;

void vmafx_float_vif_kernels_init(VmafxFloatVifKernels *k, unsigned cpu);
#endif

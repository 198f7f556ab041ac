/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * SpEED of one plane: what each block of 5 x 5 of its coarse, locally flattened picture carries. From a model of the
 * blocks as Gaussian (covariance K, the same everywhere) times a scale S of their own, the entropy E of each.
 * Bampis, Gupta, Soundararajan, Bovik, "SpEED-QA: spatial efficient entropic differencing for image and video quality",
 * 2017.
 */
#ifndef VMAFX_ENGINE_FEATURES_SPEED_PLANE_H
#define VMAFX_ENGINE_FEATURES_SPEED_PLANE_H

#include "engine/features/speed_algebra.h"
#include "engine/features/speed_scale.h"
#include "engine/kernels/kernels.h"

#define VMAFX_SPEED_STEP       16 /* samples that become one */
#define VMAFX_SPEED_TAPS_MAX   41 /* of a kernel scale of 4 */
#define VMAFX_SPEED_SIDE_MIN   (VMAFX_SPEED_STEP * VMAFX_SPEED_SIDE)
#define VMAFX_SPEED_LOG2_2PI_E 0x1.06073a671183dp+2 /* of the entropy of a Gaussian */

typedef struct VmafxSpeedSettings {
    double prescale;
    VmafxSpeedMethod method;
    float kernel_scale;
    float sigma_nn; /* variance of what is not seen */
} VmafxSpeedSettings;

/** Whether a kernel scale is near one of those that are defined. */
bool vmafx_speed_kernel_scale_known(float kernel_scale);

typedef struct VmafxSpeedTaps {
    int n;
    float taps[VMAFX_SPEED_TAPS_MAX];
} VmafxSpeedTaps;

/** One side's results. */
typedef struct VmafxSpeedBlocks {
    float *energy;  /* S, one per block */
    float *entropy; /* E */
    bool singular;  /* K could not be inverted; every S is 0 */
} VmafxSpeedBlocks;

/** Everything that measuring takes, for planes of one size. What is between is left in it for tests to see. */
typedef struct VmafxSpeedPlane {
    VmafxSpeedSettings settings;
    const VmafxSpeedKernels *kernels;
    VmafxSpeedScale scale;
    int w, h;              /* of the coarse picture */
    int bx, by, n_blocks;  /* blocks across, down, in all */
    VmafxSpeedTaps coarse; /* the low-pass before decimation */
    VmafxSpeedTaps local;  /* the local mean */
    float *row, *filtered; /* scaled; filtered padded on either side */
    float *low, *residual; /* w x h */
    float means[VMAFX_SPEED_N];
    VmafxSpeedMatrix covariance;
    VmafxSpeedEigen eigen;
    VmafxSpeedSystem system;
    VmafxSpeedBlocks sides[2]; /* for the reference's and the distorted plane's results */
} VmafxSpeedPlane;

/** @return VMAFX_ERR_NOMEM; vmafx_speed_plane_done frees what there is. The planes must have a block or more. */
VMAFX_CHECK VmafxErr vmafx_speed_plane_init(VmafxSpeedPlane *plane, const VmafxKernels *kernels,
                                            const VmafxSpeedSettings *settings, int w, int h);
void vmafx_speed_plane_done(VmafxSpeedPlane *plane);

/** Fills sides[side]. */
void vmafx_speed_plane_measure(VmafxSpeedPlane *plane, const VmafxSpeedSource *source, int side);
#endif

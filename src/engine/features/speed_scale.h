/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What SpEED begins with: a plane, or the difference of two, in binary32 on the scale of 8 bits, resized row by row. */
#ifndef VMAFX_ENGINE_FEATURES_SPEED_SCALE_H
#define VMAFX_ENGINE_FEATURES_SPEED_SCALE_H

#include <vmafx/engine.h>

#include "engine/kernels/floats.h"

#define VMAFX_SPEED_REACH_MAX 9 /* samples to and fro that a method looks at */

typedef enum VmafxSpeedMethod {
    VMAFX_SPEED_NEAREST,
    VMAFX_SPEED_BILINEAR,
    VMAFX_SPEED_BICUBIC,
    VMAFX_SPEED_LANCZOS4
} VmafxSpeedMethod;

/** c = plane − minus; without minus c = plane − 128. Both of one shape. */
typedef struct VmafxSpeedSource {
    const VmafxPlane *plane, *minus;
} VmafxSpeedSource;

/** The way from w0 x h0 to w x h. A zeroed one may be done. */
typedef struct VmafxSpeedScale {
    const VmafxFloatsKernels *kernels;
    int w0, h0, w, h;
    bool resizes;
    VmafxSpeedMethod method;
    int reach, first;                   /* samples looked at, and where the first is from the position rounded down */
    float ratio_y;                      /* h0 / h */
    int *index;                         /* by column and sample: where it is */
    float *weight;                      /* likewise; of a method with a reach of 2, of the column alone: dx */
    float *rows[VMAFX_SPEED_REACH_MAX]; /* of the source */
} VmafxSpeedScale;

/**
 * Makes room and tables. prescale within 0.001 of 1: nothing is resized, though w and h are those that it gives, which
 * must not be larger than w0 and h0.
 * @return VMAFX_ERR_NOMEM; vmafx_speed_scale_done frees what there is
 */
VMAFX_CHECK VmafxErr vmafx_speed_scale_init(VmafxSpeedScale *scale, const VmafxFloatsKernels *kernels, int w0, int h0,
                                            double prescale, VmafxSpeedMethod method);
void vmafx_speed_scale_done(VmafxSpeedScale *scale);

/** w or h from that of the plane: trunc(n0 · prescale + 0.5). */
int vmafx_speed_scaled(int n0, double prescale);
/** Whether a prescale is taken as none. */
bool vmafx_speed_is_unscaled(double prescale);

/** Row y of the resized plane: w values, of which there is room for w0 too. Uses the scale's own rows. */
void vmafx_speed_scale_row(const VmafxSpeedScale *scale, const VmafxSpeedSource *source, int y, float *ret);
#endif

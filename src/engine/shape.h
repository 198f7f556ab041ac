/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What every picture of a clip looks like, and whether one does. */
#ifndef VMAFX_ENGINE_SHAPE_H
#define VMAFX_ENGINE_SHAPE_H

#include <vmafx/engine.h>

/** What every picture of a clip looks like. */
typedef struct VmafxShape {
    int w, h, bpc; /* of the luma */
    VmafxChroma chroma;
} VmafxShape;

/** Width and height of plane 0, 1 or 2: chroma is rounded down. */
void vmafx_shape_plane(const VmafxShape *shape, int plane, int *ret_w, int *ret_h);

VmafxShape vmafx_shape_of(const VmafxPicture *picture);
/** Whether there can be such pictures. VMAFX_ERR_INVALID */
VMAFX_CHECK VmafxErr vmafx_shape_check(const VmafxShape *shape, VmafxErrInfo *reterr);
/** Whether a picture of a frame has the shape that the reference has. @param what in the message. VMAFX_ERR_MISMATCH */
VMAFX_CHECK VmafxErr vmafx_shape_check_same(const VmafxShape *shape, const VmafxPicture *picture, const char *what,
                                            uint32_t frame, VmafxErrInfo *reterr);
/** Whether chroma planes are as large as they should be, or one sample larger where halves are rounded up.
    VMAFX_ERR_INVALID */
VMAFX_CHECK VmafxErr vmafx_shape_check_planes(const VmafxPicture *picture, const char *which, uint32_t frame,
                                              VmafxErrInfo *reterr);
#endif

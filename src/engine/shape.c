/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Shapes of pictures. */

#include "engine/shape.h"

#include "base/base.h"

void vmafx_shape_plane(const VmafxShape *shape, int plane, int *ret_w, int *ret_h)
{
    bool half_w = plane && shape->chroma != VMAFX_CHROMA_444, half_h = plane && shape->chroma == VMAFX_CHROMA_420;

    *ret_w = half_w ? shape->w / 2 : shape->w;
    *ret_h = half_h ? shape->h / 2 : shape->h;
}

VmafxShape vmafx_shape_of(const VmafxPicture *picture)
{
    const VmafxPlane *luma = &picture->planes[0];

    return (VmafxShape){ luma->w, luma->h, luma->bpc, picture->chroma };
}

VmafxErr vmafx_shape_check(const VmafxShape *shape, VmafxErrInfo *reterr)
{
    if (shape->bpc < 8 || shape->bpc > 16)
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "%d bits per sample; 8 to 16 are possible", shape->bpc);
    if (shape->w < 1 || shape->h < 1 || shape->w > VMAFX_DIMENSION_MAX || shape->h > VMAFX_DIMENSION_MAX)
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "a picture of %dx%d; 1 to %d are possible", shape->w, shape->h,
                          VMAFX_DIMENSION_MAX);
    return VMAFX_OK;
}

VmafxErr vmafx_shape_check_same(const VmafxShape *a, const VmafxPicture *picture, const char *what, uint32_t frame,
                                VmafxErrInfo *reterr)
{
    const VmafxPlane *b = &picture->planes[0];

    if (a->chroma != picture->chroma)
        return vmafx_fail(reterr, VMAFX_ERR_MISMATCH, "frame %u: %s has other chroma planes than the reference", frame,
                          what);
    if (a->w == b->w && a->h == b->h && a->bpc == b->bpc)
        return VMAFX_OK;
    return vmafx_fail(reterr, VMAFX_ERR_MISMATCH,
                      "frame %u: %s is %dx%d with %d bits, the reference %dx%d with %d bits", frame, what, b->w, b->h,
                      b->bpc, a->w, a->h, a->bpc);
}

VmafxErr vmafx_shape_check_planes(const VmafxPicture *picture, const char *which, uint32_t frame, VmafxErrInfo *reterr)
{
    const VmafxPlane *luma = &picture->planes[0];
    const VmafxShape shape = vmafx_shape_of(picture);

    for (int i = 1; i < 3 && picture->chroma; i++) {
        const VmafxPlane *plane = &picture->planes[i];
        int w, h;

        vmafx_shape_plane(&shape, i, &w, &h);
        bool wide = plane->w == w || (w < luma->w && plane->w == luma->w - w);
        bool high = plane->h == h || (h < luma->h && plane->h == luma->h - h);
        if ((!plane->data && w && h) || !wide || !high || plane->bpc != luma->bpc)
            return vmafx_fail(reterr, VMAFX_ERR_INVALID,
                              "frame %u: chroma plane %d of the %s picture is %dx%d with %d bits; it should be %dx%d "
                              "with %d",
                              frame, i, which, plane->w, plane->h, plane->bpc, w, h, luma->bpc);
    }
    return VMAFX_OK;
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Bringing one video's luma, or a chroma plane, to another shape, when the user asked for it. In this order:
 *
 *   range  at the source's depth b, M = 2^b − 1, black = 16 · 2^(b−8), span = 219 · 2^(b−8):
 *              to full      v' = clamp(round((v − black) · M / span), 0, M)
 *              to limited   v' = round(v · span / M) + black
 *              chroma lies around M' = 2^(b−1) with a span of 224 · 2^(b−8):
 *              to full      v' = clamp(round((v − M') · M / span) + M', 0, M)
 *              to limited   v' = round((v − M') · span / M) + M'           round: ties away from zero
 *   size   libswscale, bicubic, with its bit-exact and accurate-rounding flags;
 *          above 8 bits as 16-bit samples, v << (16 − b)
 *   depth  up:   v << n
 *          down: min((v + 2^(n−1)) >> n, peak)
 */
#ifndef VMAFX_MEDIA_CONVERT_H
#define VMAFX_MEDIA_CONVERT_H

#include <vmafx/engine.h>

typedef struct VmafxConverter VmafxConverter;

typedef enum VmafxRange {
    VMAFX_RANGE_SAME = 0,
    VMAFX_RANGE_TO_FULL,
    VMAFX_RANGE_TO_LIMITED,
    VMAFX_RANGE_CHROMA_TO_FULL,
    VMAFX_RANGE_CHROMA_TO_LIMITED,
} VmafxRange;

typedef struct VmafxConvertSpec {
    int w_in, h_in, bpc_in;    /* what comes */
    int w_out, h_out, bpc_out; /* what is wanted; equal values mean nothing to do for that property */
    VmafxRange range;
} VmafxConvertSpec;

/** @return VMAFX_ERR_UNSUPPORTED when libswscale cannot do it, VMAFX_ERR_INVALID, VMAFX_ERR_NOMEM */
VMAFX_CHECK VmafxErr vmafx_converter_new(const VmafxConvertSpec *spec, VmafxConverter **ret_converter,
                                         VmafxErrInfo *reterr);
void vmafx_converter_free(VmafxConverter **converter);

/** The result stays valid until the next call. VMAFX_ERR_MISMATCH when luma is not as the spec said. */
VMAFX_CHECK VmafxErr vmafx_converter_run(VmafxConverter *converter, const VmafxPlane *luma, VmafxPlane *ret_luma);
#endif

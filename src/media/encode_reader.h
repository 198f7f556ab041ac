/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The encoding pipeline as reader.c sees it; the contract is encode.h. */
#ifndef VMAFX_MEDIA_ENCODE_READER_H
#define VMAFX_MEDIA_ENCODE_READER_H

#include "media/encode.h"

typedef struct VmafxEncode VmafxEncode;

/** Takes the source over, closing it on failure too. */
VMAFX_CHECK VmafxErr vmafx_encode_open(VmafxReader *source, const char *name, const VmafxRecipe *recipe,
                                       const VmafxEncodeOptions *options, VmafxEncode **ret_encode,
                                       VmafxVideoInfo *ret_info, VmafxErrInfo *reterr);
void vmafx_encode_close(VmafxEncode **encode);
VMAFX_CHECK VmafxErr vmafx_encode_next(VmafxEncode *encode, VmafxVideoInfo *info, VmafxPlane *ret_luma, bool *ret_more,
                                       VmafxErrInfo *reterr);
/** As vmafx_decoder_planes. */
VMAFX_CHECK VmafxErr vmafx_encode_planes(const VmafxEncode *encode, VmafxPlane ret_planes[3], VmafxErrInfo *reterr);
const VmafxEncodeFacts *vmafx_encode_facts(VmafxEncode *encode);
#endif

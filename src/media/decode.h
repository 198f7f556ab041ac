/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What FFmpeg's libraries decode, from a descriptor that is already open. */
#ifndef VMAFX_MEDIA_DECODE_H
#define VMAFX_MEDIA_DECODE_H

#include "media/pipe.h"
#include "media/reader.h"

struct AVFrame;

typedef struct VmafxDecoder VmafxDecoder;

/**
 * Takes over the descriptor, closing it on failure too.
 * @param pipe  what to read instead, borrowed while the decoder lives; fd is -1 then. Else NULL: the file can be sought
 * @param head, head_len  bytes just read from it, at most 64; they come before the rest
 */
VMAFX_CHECK VmafxErr vmafx_decoder_open(int fd, VmafxPipe *pipe, const char *name, const void *head, size_t head_len,
                                        VmafxDecoder **ret_decoder, VmafxVideoInfo *ret_info, VmafxErrInfo *reterr);
void vmafx_decoder_close(VmafxDecoder **decoder);

/** As vmafx_reader_next; info is brought up to date by the first frame. */
VMAFX_CHECK VmafxErr vmafx_decoder_next(VmafxDecoder *decoder, VmafxVideoInfo *info, VmafxPlane *ret_luma,
                                        bool *ret_more, VmafxErrInfo *reterr);
/** The planes of the frame whose luma was given last. VMAFX_ERR_UNSUPPORTED when Cb and Cr lie in one plane */
VMAFX_CHECK VmafxErr vmafx_decoder_planes(const VmafxDecoder *decoder, VmafxPlane ret_planes[3], VmafxErrInfo *reterr);
/** A reference to the whole frame whose luma was given last, with the container's sample aspect ratio. */
VMAFX_CHECK VmafxErr vmafx_decoder_frame(const VmafxDecoder *decoder, struct AVFrame *ret_frame, VmafxErrInfo *reterr);
#endif

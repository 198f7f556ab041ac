/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Whole pictures out of any reader, as FFmpeg holds them. */

#include "media/encode_internal.h"

#include <string.h>

#include <libavutil/pixdesc.h>

#include "media/reader_internal.h"

VmafxErr encode_source_prepare(VmafxReader *source, VmafxErrInfo *reterr)
{
    VmafxRaw *raw = reader_raw(source);

    return raw ? vmafx_raw_keep_chroma(raw, reterr) : VMAFX_OK;
}

/* The formats FFmpeg has names for; AV_PIX_FMT_NONE for 11, 13 and 15 bits, and the like. */
static enum AVPixelFormat raw_format(const VmafxRawFormat *f)
{
    static const char *const chroma[] = { "yuv420p", "yuv422p", "yuv444p", "gray" };
    char name[32];

    snprintf(name, sizeof name, f->bpc > 8 ? "%s%dle" : "%s", chroma[f->pix], f->bpc);
    return av_get_pix_fmt(name);
}

static VmafxErr raw_frame(const VmafxRaw *raw, AVFrame *frame, VmafxErrInfo *reterr)
{
    static const enum AVChromaLocation sitings[] = {
        [VMAFX_SITING_LEFT] = AVCHROMA_LOC_LEFT,
        [VMAFX_SITING_CENTRE] = AVCHROMA_LOC_CENTER,
        [VMAFX_SITING_TOP_LEFT] = AVCHROMA_LOC_TOPLEFT,
    };
    const VmafxY4mHeader *header = vmafx_raw_header(raw);
    const VmafxRawFormat *f = &header->format;
    VmafxPlane planes[3];
    int n = vmafx_raw_planes(raw, planes);

    frame->format = raw_format(f);
    if (frame->format == AV_PIX_FMT_NONE)
        return vmafx_fail(reterr, VMAFX_ERR_UNSUPPORTED, "raw video of %d bits per sample cannot be encoded", f->bpc);
    if (f->chroma_down && ((f->pix != VMAFX_PIX_444 && f->w % 2) || (f->pix == VMAFX_PIX_420 && f->h % 2)))
        return vmafx_fail(reterr, VMAFX_ERR_UNSUPPORTED,
                          "raw pictures of %dx%d whose chroma is rounded down cannot be encoded: chroma is missing for "
                          "the last column or row",
                          f->w, f->h);
    frame->width = f->w;
    frame->height = f->h;
    frame->sample_aspect_ratio = (AVRational){ header->aspect_num, VMAFX_MAX(header->aspect_den, 1) };
    frame->chroma_location = sitings[header->siting];
    frame->color_range = !header->range || !strcmp(header->range, "unknown") ? AVCOL_RANGE_UNSPECIFIED
                         : !strcmp(header->range, "pc")                      ? AVCOL_RANGE_JPEG
                                                                             : AVCOL_RANGE_MPEG;
    for (int i = 0; i < n; i++) {
        frame->data[i] = (uint8_t *)planes[i].data;
        frame->linesize[i] = (int)planes[i].stride;
    }
    return VMAFX_OK;
}

VmafxErr encode_source_frame(const VmafxReader *source, AVFrame *frame, VmafxErrInfo *reterr)
{
    av_frame_unref(frame);
    if (reader_raw(source))
        return raw_frame(reader_raw(source), frame, reterr);
    return vmafx_decoder_frame(reader_decoder(source), frame, reterr);
}

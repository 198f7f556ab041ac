/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What a stream and its pictures say of themselves: size, luma, colours, rate, and how much was promised. */

#include "media/decode_internal.h"

#include <stdio.h>
#include <string.h>

#include <libavutil/pixdesc.h>

#include "base/base.h"

const char *decode_known(const char *text)
{
    return text ? text : "unknown";
}

VmafxErr decode_luma_format(const char *name, int pix_fmt, int *ret_bpc, VmafxPixFmt *ret_pix, VmafxErrInfo *reterr)
{
    const AVPixFmtDescriptor *desc = av_pix_fmt_desc_get(pix_fmt);
    const uint64_t foreign = AV_PIX_FMT_FLAG_RGB | AV_PIX_FMT_FLAG_PAL | AV_PIX_FMT_FLAG_HWACCEL |
                             AV_PIX_FMT_FLAG_BITSTREAM | AV_PIX_FMT_FLAG_FLOAT | AV_PIX_FMT_FLAG_BAYER;

    if (!desc)
        return vmafx_fail(reterr, VMAFX_ERR_INPUT, "'%s': the pixel format is not known", name);
    int depth = desc->comp[0].depth, step = depth > 8 ? 2 : 1, w = desc->log2_chroma_w, h = desc->log2_chroma_h;
    bool grey = desc->nb_components<3, byte_order = depth> 8 && (desc->flags & AV_PIX_FMT_FLAG_BE);
    bool layout =
        desc->comp[0].plane == 0 && !desc->comp[0].shift && !desc->comp[0].offset && desc->comp[0].step == step;

    if ((desc->flags & foreign) || byte_order || !layout || depth < 8 || depth > 16 || (!grey && (w > 1 || h > w)))
        return vmafx_fail(
            reterr, VMAFX_ERR_UNSUPPORTED,
            "'%s' has the pixel format %s; planar YUV or grey of 8 to 16 bits can be measured: convert it, "
            "for example with ffmpeg -pix_fmt yuv420p",
            name, desc->name);
    *ret_bpc = depth;
    *ret_pix = grey ? VMAFX_PIX_400 : h ? VMAFX_PIX_420 : w ? VMAFX_PIX_422 : VMAFX_PIX_444;
    return VMAFX_OK;
}

VmafxErr decode_planes(const char *name, const AVFrame *frame, VmafxPlane ret_planes[3], VmafxErrInfo *reterr)
{
    const AVPixFmtDescriptor *desc = av_pix_fmt_desc_get(frame->format);
    int depth = desc->comp[0].depth;

    for (int i = 0; i < 3; i++) {
        const AVComponentDescriptor *c = &desc->comp[i];

        ret_planes[i] = (VmafxPlane){ .bpc = depth };
        if (i && desc->nb_components < 3)
            continue;
        if (c->plane != i || c->shift || c->offset || c->step != desc->comp[0].step || c->depth != depth)
            return vmafx_fail(reterr, VMAFX_ERR_UNSUPPORTED,
                              "'%s' has the pixel format %s, whose chroma planes cannot be read: convert it, for "
                              "example with ffmpeg -pix_fmt yuv420p, or leave out the features that want chroma",
                              name, desc->name);
        ret_planes[i].data = frame->data[i];
        ret_planes[i].stride = frame->linesize[i];
        ret_planes[i].w = i ? AV_CEIL_RSHIFT(frame->width, desc->log2_chroma_w) : frame->width;
        ret_planes[i].h = i ? AV_CEIL_RSHIFT(frame->height, desc->log2_chroma_h) : frame->height;
    }
    return VMAFX_OK;
}

const char *decode_range_name(int pix_fmt, enum AVColorRange range)
{
    const char *name = av_get_pix_fmt_name(pix_fmt);

    return name && !strncmp(name, "yuvj", 4) ? "pc" : decode_known(av_color_range_name(range));
}

VmafxErr decode_check_size(const VmafxDecoder *decoder, int w, int h, VmafxErrInfo *reterr)
{
    if (w < 1 || h < 1)
        return vmafx_fail(reterr, VMAFX_ERR_INPUT, "'%s': the size of the pictures is not known", decoder->name);
    if (w > VMAFX_DIMENSION_MAX || h > VMAFX_DIMENSION_MAX || (long long)w * h > DECODE_SAMPLES_MAX)
        return vmafx_fail(reterr, VMAFX_ERR_LIMIT, "'%s': a picture of %dx%d; at most %lld samples are possible",
                          decoder->name, w, h, DECODE_SAMPLES_MAX);
    return VMAFX_OK;
}

/* Containers with a full index say exactly how many frames there are; edit lists hide some of them. */
static void count_index(VmafxDecoder *decoder, VmafxVideoInfo *info)
{
    AVStream *stream = decoder->format->streams[decoder->stream];
    int n = avformat_index_get_entries_count(stream), shown = 0;

    /* AVI's demuxer looks for the next chunk behind damage without a word. Its index leaves out the empty ones. */
    if (!strcmp(decoder->format->iformat->name, "avi"))
        decoder->promised_chunks = n;
    /* MXF's does so too; its tracks count in edit units, one packet each where that is the frame rate. */
    if (!strcmp(decoder->format->iformat->name, "mxf") && stream->duration > 0 &&
        !av_cmp_q(stream->avg_frame_rate, av_inv_q(stream->time_base)))
        decoder->promised_chunks = stream->duration;
    if (strncmp(decoder->format->iformat->name, "mov", 3) != 0 || stream->nb_frames <= 0)
        return; /* elsewhere the index may be partial, and fragments come later */
    for (int i = 0; i < n; i++)
        shown += !(avformat_index_get_entry(stream, i)->flags & AVINDEX_DISCARD_FRAME);
    decoder->promised_packets = n;
    decoder->promised_frames = shown;
    if (decoder->source.seekable) /* on a pipe there may be fragments to come */
        info->frames = shown;
}

VmafxErr decode_gather_info(VmafxDecoder *decoder, VmafxVideoInfo *info, VmafxErrInfo *reterr)
{
    AVStream *stream = decoder->format->streams[decoder->stream];
    const AVCodecParameters *par = stream->codecpar;
    AVRational rate = av_guess_frame_rate(decoder->format, stream, NULL);

    *info = (VmafxVideoInfo){ .w = par->width, .h = par->height, .rate_num = 0, .rate_den = 1 };
    VmafxErr err = decode_check_size(decoder, par->width, par->height, reterr);
    if (!err)
        err = decode_luma_format(decoder->name, par->format, &info->bpc, &info->pix, reterr);
    if (err)
        return err;
    if (rate.num > 0 && rate.den > 0) {
        info->rate_num = rate.num;
        info->rate_den = rate.den;
    }
    if (stream->start_time != AV_NOPTS_VALUE)
        info->start_s = (double)stream->start_time * av_q2d(stream->time_base);
    count_index(decoder, info);
    info->frames_estimate = info->frames ? info->frames : stream->nb_frames;
    if (info->frames_estimate <= 0 && decoder->format->duration > 0 && info->rate_num)
        info->frames_estimate = av_rescale_q(decoder->format->duration, AV_TIME_BASE_Q, av_inv_q(rate));
    info->range = decode_range_name(par->format, par->color_range);
    info->matrix = decode_known(av_color_space_name(par->color_space));
    info->transfer = decode_known(av_color_transfer_name(par->color_trc));
    info->primaries = decode_known(av_color_primaries_name(par->color_primaries));
    snprintf(info->container, sizeof info->container, "%s", decoder->format->iformat->name);
    snprintf(info->codec, sizeof info->codec, "%s", avcodec_get_name(par->codec_id));
    return VMAFX_OK;
}

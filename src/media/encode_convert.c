/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Pictures as an encoder wants them. What is done to them is what this filter of FFmpeg's does, RANGE being the one of
 * the source in both places, so that no sample changes its meaning:
 *
 *     scale=W:H:flags=bicubic+accurate_rnd+bitexact+full_chroma_int:in_range=RANGE:out_range=RANGE,format=FORMAT
 */

#include "media/encode_internal.h"

#include <string.h>

#include <libavutil/opt.h>
#include <libavutil/pixdesc.h>
#include <libswscale/swscale.h>

#include "base/nearest.h"

#define FORMATS_MAX 64

/* ---- Formats ---- */

static const enum AVPixelFormat *formats_of(const AVCodec *codec)
{
#if LIBAVCODEC_VERSION_INT >= AV_VERSION_INT(61, 13, 100)
    const void *formats = NULL;

    return avcodec_get_supported_config(NULL, codec, AV_CODEC_CONFIG_PIX_FORMAT, 0, &formats, NULL) < 0 ? NULL
                                                                                                        : formats;
#else
    return codec->pix_fmts;
#endif
}

/* YUV or grey, in memory; the yuvj formats are others with a range, which travels beside them here. */
static bool usable(enum AVPixelFormat format)
{
    const uint64_t foreign = AV_PIX_FMT_FLAG_RGB | AV_PIX_FMT_FLAG_PAL | AV_PIX_FMT_FLAG_HWACCEL |
                             AV_PIX_FMT_FLAG_BITSTREAM | AV_PIX_FMT_FLAG_FLOAT | AV_PIX_FMT_FLAG_BAYER |
                             AV_PIX_FMT_FLAG_ALPHA;
    const AVPixFmtDescriptor *desc = av_pix_fmt_desc_get(format);

    return desc && !(desc->flags & foreign) && strncmp(desc->name, "yuvj", 4) != 0;
}

static size_t list_formats(const EncodeKind *kind, enum AVPixelFormat formats[FORMATS_MAX + 1])
{
    const enum AVPixelFormat *p = formats_of(encode_kind_codec(kind));
    size_t n = 0;

    for (; p && *p != AV_PIX_FMT_NONE && n < FORMATS_MAX; p++)
        if (usable(*p))
            formats[n++] = *p;
    formats[n] = AV_PIX_FMT_NONE;
    return n;
}

VmafxErr encode_format_check(const EncodeKind *kind, const char *name, VmafxErrInfo *reterr)
{
    enum AVPixelFormat formats[FORMATS_MAX + 1];
    const char *names[FORMATS_MAX];
    char list[320] = "";
    size_t n = list_formats(kind, formats);

    if (!name || !*name)
        return VMAFX_OK;
    for (size_t i = 0, at = 0; i < n; i++) {
        names[i] = av_get_pix_fmt_name(formats[i]);
        if (!strcmp(names[i], name))
            return VMAFX_OK;
        if (at < sizeof list)
            at += (size_t)snprintf(list + at, sizeof list - at, i ? ", %s" : "%s", names[i]);
    }
    const char *nearest = vmafx_nearest(name, names, (int)n);
    return vmafx_fail(reterr, VMAFX_ERR_ENCODER, "%s does not take the pixel format '%.32s', but %s%s%s%s", kind->name,
                      name, list, nearest ? "; did you mean '" : "", nearest ? nearest : "", nearest ? "'?" : "");
}

/* The formats that mean full range by their name, as others that do so by a range beside them. */
static enum AVPixelFormat plain_format(enum AVPixelFormat format)
{
    static const enum AVPixelFormat pairs[][2] = {
        { AV_PIX_FMT_YUVJ420P, AV_PIX_FMT_YUV420P }, { AV_PIX_FMT_YUVJ422P, AV_PIX_FMT_YUV422P },
        { AV_PIX_FMT_YUVJ444P, AV_PIX_FMT_YUV444P }, { AV_PIX_FMT_YUVJ440P, AV_PIX_FMT_YUV440P },
        { AV_PIX_FMT_YUVJ411P, AV_PIX_FMT_YUV411P },
    };

    for (size_t i = 0; i < VMAFX_LEN(pairs); i++)
        if (format == pairs[i][0])
            return pairs[i][1];
    return format;
}

/* Where there is no grey, the least chroma is enough to hold none; FFmpeg would take the most. */
static enum AVPixelFormat with_chroma(enum AVPixelFormat grey)
{
    const AVPixFmtDescriptor *desc = av_pix_fmt_desc_get(grey);
    int depth = desc ? desc->comp[0].depth : 0;
    char name[32];

    snprintf(name, sizeof name, depth > 8 ? "yuv420p%dle" : "yuv420p", depth);
    return desc && desc->nb_components == 1 ? av_get_pix_fmt(name) : grey;
}

enum AVPixelFormat encode_format_choose(const EncodeKind *kind, const char *name, enum AVPixelFormat source)
{
    enum AVPixelFormat formats[FORMATS_MAX + 1];
    size_t n = list_formats(kind, formats), i = 0;

    if (name && *name)
        return av_get_pix_fmt(name);
    source = plain_format(source);
    while (i < n && formats[i] != source)
        i++;
    return i < n ? source : avcodec_find_best_pix_fmt_of_list(formats, with_chroma(source), 0, NULL);
}

/* ---- Conversion ---- */

/* FFmpeg's scale filter takes the chroma of the commonest format to lie where MPEG-2 has it. */
static bool set_vertical_chroma(struct SwsContext *scaler, const char *key, int format)
{
    return format != AV_PIX_FMT_YUV420P || av_opt_set_int(scaler, key, 128, 0) >= 0;
}

static bool is_full(const AVFrame *frame)
{
    return frame->color_range == AVCOL_RANGE_JPEG || plain_format(frame->format) != (enum AVPixelFormat)frame->format;
}

static bool set_up(const EncodeConverter *converter, const AVFrame *in)
{
    struct SwsContext *scaler = converter->scaler;
    const struct {
        const char *key;
        int value;
    } options[] = {
        { "srcw", in->width },
        { "srch", in->height },
        { "src_format", in->format },
        { "dstw", converter->w },
        { "dsth", converter->h },
        { "dst_format", converter->format },
        { "sws_flags", SWS_BICUBIC | SWS_ACCURATE_RND | SWS_BITEXACT | SWS_FULL_CHR_H_INT },
    };
    int full = is_full(in), *inverse, *table, old_in, old_out, bright, contrast, saturation;

    for (size_t i = 0; i < VMAFX_LEN(options); i++)
        if (av_opt_set_int(scaler, options[i].key, options[i].value, 0) < 0)
            return false;
    if (!set_vertical_chroma(scaler, "src_v_chr_pos", in->format) ||
        !set_vertical_chroma(scaler, "dst_v_chr_pos", converter->format) || sws_init_context(scaler, NULL, NULL) < 0)
        return false;
    /* The same range on both sides; swscale by itself takes grey for full and the rest for limited. */
    return sws_getColorspaceDetails(scaler, &inverse, &old_in, &table, &old_out, &bright, &contrast, &saturation) >=
               0 &&
           sws_setColorspaceDetails(scaler, inverse, full, table, full, bright, contrast, saturation) >= 0;
}

VmafxErr encode_converter_init(EncodeConverter *converter, const AVFrame *first, enum AVPixelFormat format, int w,
                               int h, VmafxErrInfo *reterr)
{
    converter->format = format;
    converter->w = w;
    converter->h = h;
    if (plain_format(first->format) == format && first->width == w && first->height == h)
        return VMAFX_OK;
    converter->result = av_frame_alloc();
    converter->scaler = sws_alloc_context();
    if (!converter->result || !converter->scaler)
        return vmafx_fail(reterr, VMAFX_ERR_NOMEM, "no memory to convert pictures");
    if (!set_up(converter, first))
        return vmafx_fail(reterr, VMAFX_ERR_UNSUPPORTED, "pictures of %dx%d %s cannot be converted to %dx%d %s",
                          first->width, first->height, av_get_pix_fmt_name(first->format), w, h,
                          av_get_pix_fmt_name(format));
    return VMAFX_OK;
}

void encode_converter_done(EncodeConverter *converter)
{
    sws_freeContext(converter->scaler);
    converter->scaler = NULL;
    av_frame_free(&converter->result);
}

/* A sample's shape changes where width and height do not change alike. */
static AVRational scaled_aspect(const AVFrame *in, int w, int h)
{
    AVRational aspect = in->sample_aspect_ratio;
    int num, den;

    if (!aspect.num)
        return aspect;
    av_reduce(&num, &den, (int64_t)h * in->width, (int64_t)w * in->height, INT32_MAX);
    return av_mul_q((AVRational){ num, den }, aspect);
}

/* Each picture has memory of its own, since the encoder may hold on to it. */
VmafxErr encode_converter_run(EncodeConverter *converter, AVFrame *frame, AVFrame **ret_frame, VmafxErrInfo *reterr)
{
    AVFrame *result = converter->result;

    if (is_full(frame))
        frame->color_range = AVCOL_RANGE_JPEG;
    if (!converter->scaler) {
        frame->format = converter->format;
        *ret_frame = frame;
        return VMAFX_OK;
    }
    av_frame_unref(result);
    if (av_frame_copy_props(result, frame) < 0)
        return vmafx_fail(reterr, VMAFX_ERR_NOMEM, "no memory to convert pictures");
    result->format = converter->format;
    result->width = converter->w;
    result->height = converter->h;
    result->sample_aspect_ratio = scaled_aspect(frame, converter->w, converter->h);
    if (av_frame_get_buffer(result, 0) < 0)
        return vmafx_fail(reterr, VMAFX_ERR_NOMEM, "no memory to convert pictures");
    if (sws_scale(converter->scaler, (const uint8_t *const *)frame->data, frame->linesize, 0, frame->height,
                  result->data, result->linesize) != converter->h)
        return vmafx_fail(reterr, VMAFX_ERR_INTERNAL, "a picture could not be converted");
    *ret_frame = result;
    return VMAFX_OK;
}

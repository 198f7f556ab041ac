/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* One encoder at work: what the ffmpeg program tells it, pictures in, packets out. */

#include "media/encode_internal.h"

#include <string.h>

#include <libavutil/pixdesc.h>

#include "base/clock.h"
#include "media/decode_internal.h"

#if defined(__SANITIZE_ADDRESS__)
#define LEAKS_ARE_LOOKED_FOR 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define LEAKS_ARE_LOOKED_FOR 1
#endif
#endif

#define DRAIN_PACKETS_MAX 4096 /* no encoder holds so many back */

#ifdef LEAKS_ARE_LOOKED_FOR
const char *__lsan_default_suppressions(void);

/* x265 3.5 never frees the filters of its frame threads, some kilobytes for each encoder; fontconfig, below the plots
   of `vmafx ladder`, some of its patterns. A program can say that only once. */
const char *__lsan_default_suppressions(void)
{
    return "leak:libx265.so\nleak:libfontconfig.so\n";
}

const char *__lsan_default_options(void);

const char *__lsan_default_options(void)
{
    return "print_suppressions=0";
}
#endif

static VmafxErr codec_fail(const EncodeCodec *codec, const char *what, int averror, VmafxErrInfo *reterr)
{
    char why[DECODE_DESCRIPTION_MAX];

    if (averror == AVERROR(ENOMEM))
        return vmafx_fail(reterr, VMAFX_ERR_NOMEM, "no memory for %s", codec->kind->name);
    decode_describe(averror, why, sizeof why);
    return vmafx_fail(reterr, VMAFX_ERR_ENCODER, "%s %s: %s", codec->kind->name, what, why);
}

VmafxErr encode_codec_open(EncodeCodec *codec, const EncodeKind *kind, AVCodecContext **context_p, const AVFrame *like,
                           AVRational rate, VmafxErrInfo *reterr)
{
    AVCodecContext *context = VMAFX_TAKE(*context_p);

    codec->kind = kind;
    codec->context = context;
    codec->packet = av_packet_alloc();
    if (!codec->packet)
        return vmafx_fail(reterr, VMAFX_ERR_NOMEM, "no memory for %s", kind->name);
    context->width = like->width;
    context->height = like->height;
    context->pix_fmt = like->format;
    context->sample_aspect_ratio = like->sample_aspect_ratio;
    context->color_range = like->color_range;
    context->color_primaries = like->color_primaries;
    context->color_trc = like->color_trc;
    context->colorspace = like->colorspace;
    context->chroma_sample_location = like->chroma_location;
    context->framerate = rate;
    context->time_base = av_inv_q(rate);
    context->flags |= AV_CODEC_FLAG_GLOBAL_HEADER; /* as Matroska, which keeps the packets, wants it */
    decode_log_forget();
    int rc = avcodec_open2(context, context->codec, NULL);
    if (rc < 0)
        return codec_fail(codec, "cannot be started", rc, reterr);
    codec->started = true;
    if (decode_heard_of_refusal())
        return codec_fail(codec, "does not take a parameter", AVERROR(EINVAL), reterr);
    return VMAFX_OK;
}

/* A picture of no matter what. */
static bool send_any(AVCodecContext *context)
{
    AVFrame *picture = av_frame_alloc();
    bool sent = false;

    if (picture) {
        picture->format = context->pix_fmt;
        picture->width = context->width;
        picture->height = context->height;
        picture->pts = 0;
        sent = av_frame_get_buffer(picture, 0) >= 0 && avcodec_send_frame(context, picture) >= 0;
    }
    av_frame_free(&picture);
    return sent;
}

/* SVT-AV1 waits for ever for its own threads when it is closed before it has seen a picture, and the end. */
static void drain(EncodeCodec *codec)
{
    if (!codec->n_in && !send_any(codec->context))
        return;
    if (!codec->draining && avcodec_send_frame(codec->context, NULL) < 0)
        return;
    for (int i = 0; i < DRAIN_PACKETS_MAX && avcodec_receive_packet(codec->context, codec->packet) >= 0; i++)
        av_packet_unref(codec->packet);
}

void encode_codec_close(EncodeCodec *codec)
{
    if (codec->started && !codec->ended && codec->kind->drain)
        drain(codec);
    avcodec_free_context(&codec->context);
    av_packet_free(&codec->packet);
}

VmafxErr encode_codec_send(EncodeCodec *codec, AVFrame *frame, VmafxErrInfo *reterr)
{
    uint64_t began = vmafx_monotonic_ns();

    if (frame) {
        frame->pts = codec->n_in;
        frame->pict_type = AV_PICTURE_TYPE_NONE; /* the encoder decides, whatever the source had there */
        frame->quality = codec->context->global_quality;
    }
    decode_log_forget();
    int rc = avcodec_send_frame(codec->context, frame);
    codec->ns += vmafx_monotonic_ns() - began;
    if (rc < 0)
        return codec_fail(codec, frame ? "has failed" : "cannot be emptied", rc, reterr);
    if (frame)
        codec->n_in++;
    else
        codec->draining = true;
    return VMAFX_OK;
}

VmafxErr encode_codec_receive(EncodeCodec *codec, bool *ret_got, VmafxErrInfo *reterr)
{
    uint64_t began = vmafx_monotonic_ns();

    decode_log_forget();
    int rc = avcodec_receive_packet(codec->context, codec->packet);
    codec->ns += vmafx_monotonic_ns() - began;
    codec->ended = rc == AVERROR_EOF || (rc == AVERROR(EAGAIN) && codec->draining);
    *ret_got = rc >= 0;
    if (rc < 0 && rc != AVERROR_EOF && rc != AVERROR(EAGAIN))
        return codec_fail(codec, "has failed", rc, reterr);
    if (*ret_got)
        codec->n_bytes += codec->packet->size;
    return VMAFX_OK;
}

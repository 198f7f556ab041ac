/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The pipeline, pulled from its end: whoever wants a picture asks the decoder; a decoder that has none gets a packet of
 * the encoder's; an encoder that has none gets a picture of the source's.
 *
 *     source ─→ size and format ─→ encoder ─┬→ decoder ─→ luma
 *                                           └→ file, if it is kept
 *
 * At any time there are in memory what encoder and decoder hold back by themselves, one packet and three pictures.
 *
 * Pictures are paired by their number, so one that an encoder leaves out or makes up would spoil every score after it:
 * each that comes back must bear the number of the one that went in, and as many come back as went in.
 */

#include "media/encode_internal.h"

#include <stdlib.h>
#include <string.h>

#include <libavutil/cpu.h>
#include <libavutil/pixdesc.h>

#include "media/decode_internal.h"
#include "media/decoders.h"

#define DEFAULT_RATE 25 /* frames per second of a source that does not tell: as the ffmpeg program takes it */

struct VmafxEncode {
    VmafxReader *source;
    char *name;
    const atomic_bool *stop;
    EncodeSettings settings;
    EncodeConverter converter;
    EncodeCodec codec;
    EncodeKeep *keep; /* NULL: not kept */
    AVCodecContext *decoder;
    AVFrame *picture, *decoded;
    bool first_waits;    /* the first picture was read to open the encoder, and has not gone into it */
    VmafxErr source_err; /* the source broke off; told behind the pictures before */
    VmafxErrInfo source_info;
    int64_t n_out;
    VmafxEncodeFacts facts;
};

static VmafxErr no_memory(const VmafxEncode *encode, VmafxErrInfo *reterr)
{
    return vmafx_fail(reterr, VMAFX_ERR_NOMEM, "no memory to encode '%s'", encode->name);
}

static VmafxErr check_stop(const VmafxEncode *encode, VmafxErrInfo *reterr)
{
    if (encode->stop && atomic_load_explicit(encode->stop, memory_order_relaxed))
        return vmafx_fail(reterr, VMAFX_ERR_CANCELLED, "encoding '%s' was stopped", encode->name);
    return VMAFX_OK;
}

/* ---- Opening ---- */

static VmafxErr read_first(VmafxEncode *encode, VmafxErrInfo *reterr)
{
    VmafxPlane luma;
    bool more;
    VmafxErr err = encode_source_prepare(encode->source, reterr);

    if (!err)
        err = vmafx_reader_next(encode->source, &luma, &more, reterr);
    if (err)
        return err;
    if (!more)
        return vmafx_fail(reterr, VMAFX_ERR_INPUT, "'%s' has no frames that could be encoded", encode->name);
    encode->first_waits = true;
    return encode_source_frame(encode->source, encode->picture, reterr);
}

/* Chroma of half the width has no place for an odd column; encoders refuse it, each in its own words or none. */
static VmafxErr check_even(const VmafxEncode *encode, int w, int h, enum AVPixelFormat format, VmafxErrInfo *reterr)
{
    const AVPixFmtDescriptor *desc = av_pix_fmt_desc_get(format);
    bool odd_w = w & ((1 << desc->log2_chroma_w) - 1), odd_h = h & ((1 << desc->log2_chroma_h) - 1);

    if (desc->nb_components < 3 || (!odd_w && !odd_h))
        return VMAFX_OK;
    return vmafx_fail(
        reterr, VMAFX_ERR_ENCODER,
        "'%s': pictures of %dx%d cannot be encoded as %s, which needs an even %s: give the recipe another "
        "size, or a pixel format with whole chroma such as yuv444p",
        encode->name, w, h, desc->name, odd_w ? "width" : "height");
}

/* From the first picture to one as the encoder will get them; *ret_like is borrowed. */
static VmafxErr open_converter(VmafxEncode *encode, const VmafxRecipe *recipe, AVFrame **ret_like, VmafxErrInfo *reterr)
{
    const EncodeKind *kind = encode->settings.kind;
    AVFrame *first = encode->picture;
    enum AVPixelFormat format = encode_format_choose(kind, recipe->pixel_format, first->format);
    int w = recipe->w ? recipe->w : first->width, h = recipe->h ? recipe->h : first->height;

    if (format == AV_PIX_FMT_NONE)
        return vmafx_fail(reterr, VMAFX_ERR_ENCODER, "%s takes no pixel format that is near to %s", kind->name,
                          decode_known(av_get_pix_fmt_name(first->format)));
    VmafxErr err = check_even(encode, w, h, format, reterr);
    if (!err)
        err = encode_converter_init(&encode->converter, first, format, w, h, reterr);
    if (!err)
        err = encode_converter_run(&encode->converter, first, ret_like, reterr);
    return err;
}

/* Strict, as the one that reads files, so that nothing an encoder spoils passes for quality. */
static VmafxErr open_decoder(VmafxEncode *encode, VmafxErrInfo *reterr)
{
    const AVCodecContext *encoder = encode->codec.context;
    const AVCodec *codec = avcodec_find_decoder(encoder->codec_id);
    AVCodecParameters *par = avcodec_parameters_alloc();

    if (!codec) {
        avcodec_parameters_free(&par);
        return vmafx_fail(reterr, VMAFX_ERR_UNSUPPORTED, "this machine's FFmpeg cannot decode what %s encodes",
                          encode->settings.kind->name);
    }
    encode->decoder = avcodec_alloc_context3(codec);
    bool ok = par && encode->decoder && avcodec_parameters_from_context(par, encoder) >= 0 &&
              avcodec_parameters_to_context(encode->decoder, par) >= 0;
    avcodec_parameters_free(&par);
    if (!ok)
        return no_memory(encode, reterr);
    encode->decoder->pkt_timebase = encoder->time_base;
    encode->decoder->max_pixels = DECODE_SAMPLES_MAX;
    encode->decoder->flags |= AV_CODEC_FLAG_OUTPUT_CORRUPT;
    encode->decoder->thread_count = av_cpu_count() > 1 ? 2 : 1;
    encode->decoder->err_recognition = AV_EF_CRCCHECK | AV_EF_BITSTREAM | AV_EF_BUFFER | AV_EF_EXPLODE;
    decode_log_forget();
    int rc = avcodec_open2(encode->decoder, codec, NULL);
    if (rc < 0)
        return vmafx_fail(reterr, VMAFX_ERR_ENCODER, "what %s encodes cannot be decoded", encode->settings.kind->name);
    return VMAFX_OK;
}

static AVRational rate_of(const VmafxVideoInfo *info)
{
    bool known = info->rate_num > 0 && info->rate_den > 0;

    return known ? (AVRational){ info->rate_num, info->rate_den } : (AVRational){ DEFAULT_RATE, 1 };
}

static void fill_facts(VmafxEncode *encode, const AVCodecContext *context)
{
    const EncodeSettings *settings = &encode->settings;
    VmafxEncodeFacts *facts = &encode->facts;

    *facts = (VmafxEncodeFacts){ .encoder = settings->kind->name,
                                 .codec = settings->kind->codec,
                                 .version = vmafx_media_version(),
                                 .reason = settings->reason,
                                 .preset = "",
                                 .pixel_format = decode_known(av_get_pix_fmt_name(context->pix_fmt)),
                                 .w = context->width,
                                 .h = context->height,
                                 .options = settings->options,
                                 .n_options = settings->n_options };
    for (size_t i = 0; i < settings->n_options; i++)
        if (settings->kind->preset && !strcmp(settings->options[i].key, settings->kind->preset))
            facts->preset = settings->options[i].value;
}

static void fill_info(const VmafxEncode *encode, const AVCodecContext *context, VmafxVideoInfo *info)
{
    const AVPixFmtDescriptor *desc = av_pix_fmt_desc_get(context->pix_fmt);

    *info = *vmafx_reader_info(encode->source);
    info->w = context->width;
    info->h = context->height;
    info->bpc = desc->comp[0].depth;
    info->pix = desc->nb_components < 3 ? VMAFX_PIX_400
                : desc->log2_chroma_h   ? VMAFX_PIX_420
                : desc->log2_chroma_w   ? VMAFX_PIX_422
                                        : VMAFX_PIX_444;
    snprintf(info->container, sizeof info->container, "none");
    snprintf(info->codec, sizeof info->codec, "%s", encode->settings.kind->codec);
}

static VmafxErr open_all(VmafxEncode *encode, const VmafxRecipe *recipe, const VmafxEncodeOptions *options,
                         VmafxVideoInfo *ret_info, VmafxErrInfo *reterr)
{
    AVCodecContext *context = NULL;
    AVFrame *like = NULL;
    VmafxErr err = encode_settings_make(&encode->settings, recipe, true, options->threads, &context, reterr);

    if (!err)
        err = read_first(encode, reterr);
    if (!err)
        err = open_converter(encode, recipe, &like, reterr);
    if (!err)
        err = encode_codec_open(&encode->codec, encode->settings.kind, &context, like,
                                rate_of(vmafx_reader_info(encode->source)), reterr);
    avcodec_free_context(&context);
    if (!err && options->keep_fd >= 0)
        err = encode_keep_open(&encode->keep, options->keep_fd, options->keep_max, encode->codec.context, reterr);
    if (!err)
        err = open_decoder(encode, reterr);
    if (!err) {
        fill_facts(encode, encode->codec.context);
        fill_info(encode, encode->codec.context, ret_info);
    }
    return err;
}

VmafxErr vmafx_encode_open(VmafxReader *source, const char *name, const VmafxRecipe *recipe,
                           const VmafxEncodeOptions *options, VmafxEncode **ret_encode, VmafxVideoInfo *ret_info,
                           VmafxErrInfo *reterr)
{
    VMAFX_AUTO(vmafx_encode_close) VmafxEncode *encode = calloc(1, sizeof *encode);

    if (!encode) {
        vmafx_reader_close(&source);
        return vmafx_fail(reterr, VMAFX_ERR_NOMEM, "no memory to encode '%s'", name);
    }
    encode->source = source;
    encode->stop = options->stop;
    encode->name = vmafx_strdup(name);
    encode->picture = av_frame_alloc();
    encode->decoded = av_frame_alloc();
    if (!encode->name || !encode->picture || !encode->decoded)
        return vmafx_fail(reterr, VMAFX_ERR_NOMEM, "no memory to encode '%s'", name);
    VmafxErr err = open_all(encode, recipe, options, ret_info, reterr);
    if (err)
        return err;
    *ret_encode = VMAFX_TAKE(encode);
    return VMAFX_OK;
}

void vmafx_encode_close(VmafxEncode **encode_p)
{
    VmafxEncode *encode = *encode_p;

    if (!encode)
        return;
    encode_codec_close(&encode->codec);
    avcodec_free_context(&encode->decoder);
    encode_keep_free(&encode->keep);
    encode_converter_done(&encode->converter);
    av_frame_free(&encode->picture);
    av_frame_free(&encode->decoded);
    encode_settings_done(&encode->settings);
    vmafx_reader_close(&encode->source);
    free(encode->name);
    free(encode);
    *encode_p = NULL;
}

/* ---- Pictures ---- */

/* The next of the source's. *ret_more false: it has ended, or broken off; what came before is good and is encoded. */
static VmafxErr next_picture(VmafxEncode *encode, bool *ret_more, VmafxErrInfo *reterr)
{
    VmafxPlane luma;

    *ret_more = true;
    if (encode->first_waits) {
        encode->first_waits = false;
        return VMAFX_OK;
    }
    VmafxErr err = vmafx_reader_next(encode->source, &luma, ret_more, &encode->source_info);
    if (!err)
        return *ret_more ? encode_source_frame(encode->source, encode->picture, reterr) : VMAFX_OK;
    *ret_more = false;
    encode->source_err = err;
    return check_stop(encode, reterr); /* then the source was only told to give up */
}

static VmafxErr feed_encoder(VmafxEncode *encode, VmafxErrInfo *reterr)
{
    AVFrame *picture = NULL;
    bool more;
    VmafxErr err = next_picture(encode, &more, reterr);

    if (!err && more)
        err = encode_converter_run(&encode->converter, encode->picture, &picture, reterr);
    return err ? err : encode_codec_send(&encode->codec, picture, reterr);
}

/* One packet, or the end, goes to the decoder and into the file. */
static VmafxErr feed_decoder(VmafxEncode *encode, VmafxErrInfo *reterr)
{
    EncodeCodec *codec = &encode->codec;
    VmafxErr err = VMAFX_OK;
    bool got = false;

    while (!got && !codec->ended && !err) {
        err = check_stop(encode, reterr);
        if (!err)
            err = encode_codec_receive(codec, &got, reterr);
        if (!err && !got && !codec->ended)
            err = feed_encoder(encode, reterr);
    }
    if (!err && encode->keep)
        err = got ? encode_keep_write(encode->keep, codec->packet, reterr) : encode_keep_finish(encode->keep, reterr);
    if (err)
        return err;
    decode_log_forget();
    int rc = avcodec_send_packet(encode->decoder, got ? codec->packet : NULL);
    av_packet_unref(codec->packet);
    if (rc == AVERROR(ENOMEM))
        return no_memory(encode, reterr);
    if (rc < 0)
        return vmafx_fail(reterr, VMAFX_ERR_ENCODER, "what %s made of frame %lld cannot be decoded",
                          encode->settings.kind->name, (long long)encode->n_out);
    return VMAFX_OK;
}

static VmafxErr check_decoded(const VmafxEncode *encode, VmafxVideoInfo *info, VmafxErrInfo *reterr)
{
    const AVFrame *frame = encode->decoded;
    const char *name = encode->settings.kind->name;
    long long n = (long long)encode->n_out;

    if (frame->decode_error_flags || (frame->flags & AV_FRAME_FLAG_CORRUPT))
        return vmafx_fail(reterr, VMAFX_ERR_ENCODER, "what %s made of frame %lld is damaged", name, n);
    if (frame->pts != AV_NOPTS_VALUE && frame->pts != encode->n_out)
        return vmafx_fail(reterr, VMAFX_ERR_ENCODER, "%s left out frame %lld: the next that came is %lld", name, n,
                          (long long)frame->pts);
    if (frame->width != encode->facts.w || frame->height != encode->facts.h)
        return vmafx_fail(reterr, VMAFX_ERR_ENCODER, "%s made a picture of %dx%d out of frame %lld, which has %dx%d",
                          name, frame->width, frame->height, n, encode->facts.w, encode->facts.h);
    return decode_luma_format(name, frame->format, &info->bpc, &info->pix, reterr);
}

static VmafxErr check_end(const VmafxEncode *encode, VmafxErrInfo *reterr)
{
    if (encode->source_err)
        return vmafx_fail(reterr, encode->source_err, "%s", encode->source_info.message);
    if (encode->n_out != encode->codec.n_in)
        return vmafx_fail(reterr, VMAFX_ERR_ENCODER, "%s took %lld frames and made %lld", encode->settings.kind->name,
                          (long long)encode->codec.n_in, (long long)encode->n_out);
    return VMAFX_OK;
}

VmafxErr vmafx_encode_next(VmafxEncode *encode, VmafxVideoInfo *info, VmafxPlane *ret_luma, bool *ret_more,
                           VmafxErrInfo *reterr)
{
    AVFrame *frame = encode->decoded;
    int rc;

    *ret_more = false;
    while ((rc = avcodec_receive_frame(encode->decoder, frame)) == AVERROR(EAGAIN)) {
        if (encode->codec.ended) /* and the decoder has been told */
            return check_end(encode, reterr);
        VmafxErr err = feed_decoder(encode, reterr);
        if (err)
            return err;
    }
    if (rc == AVERROR_EOF)
        return check_end(encode, reterr);
    if (rc == AVERROR(ENOMEM))
        return no_memory(encode, reterr);
    if (rc < 0)
        return vmafx_fail(reterr, VMAFX_ERR_ENCODER, "what %s made of frame %lld cannot be decoded",
                          encode->settings.kind->name, (long long)encode->n_out);
    VmafxErr err = check_decoded(encode, info, reterr);
    if (err)
        return err;
    encode->n_out++;
    *ret_luma = (VmafxPlane){ frame->data[0], frame->linesize[0], frame->width, frame->height, info->bpc };
    *ret_more = true;
    return VMAFX_OK;
}

VmafxErr vmafx_encode_planes(const VmafxEncode *encode, VmafxPlane ret_planes[3], VmafxErrInfo *reterr)
{
    return decode_planes(encode->settings.kind->name, encode->decoded, ret_planes, reterr);
}

const VmafxEncodeFacts *vmafx_encode_facts(VmafxEncode *encode)
{
    encode->facts.frames = encode->n_out;
    encode->facts.size_bytes = encode->codec.n_bytes;
    encode->facts.seconds = (double)encode->codec.ns / 1e9;
    return &encode->facts;
}

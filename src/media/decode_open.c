/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* From a descriptor to a running decoder: which containers are read, and how FFmpeg is set up for it. */

#include "media/decode_internal.h"

#include <errno.h>
#include <string.h>

#include <libavutil/cpu.h>
#include <libavutil/opt.h>

#include "base/base.h"

#define IO_BYTES 65536

/*
 * Frames of a pipe that are looked at for the frame rate, where the container does not tell it: FFmpeg's default of 20
 * is most of a second in which nothing is scored. Rates are rounded to the usual ones, so a few do.
 */
#define PIPE_RATE_FRAMES 3

/* Ordinary containers and elementary streams: they hold what they play, and point nowhere else. */
static const char *const demuxers[] = {
    "asf",       "av1",    "avi",           "dnxhd",   "dv",
    "flv",       "h261",   "h263",          "h264",    "hevc",
    "ivf",       "m4v",    "matroska,webm", "mjpeg",   "mov,mp4,m4a,3gp,3g2,mj2",
    "mpeg",      "mpegts", "mpegvideo",     "mxf",     "nut",
    "obu",       "ogg",    "vc1",           "vc1test", "vvc",
    "cavsvideo", "dirac",  "wtv",           "rm",
};

static int refuse_open(AVFormatContext *format, AVIOContext **pb, const char *url, int flags, AVDictionary **options)
{
    (void)format, (void)pb, (void)url, (void)flags, (void)options;
    return AVERROR(EPERM);
}

static bool allowed(const AVInputFormat *format)
{
    for (size_t i = 0; i < VMAFX_LEN(demuxers); i++)
        if (!strcmp(demuxers[i], format->name))
            return true;
    return false;
}

VmafxErr decode_open_io(VmafxDecoder *decoder)
{
    unsigned char *buffer = av_malloc(IO_BYTES);

    if (!buffer)
        return VMAFX_ERR_NOMEM;
    decoder->io = avio_alloc_context(buffer, IO_BYTES, 0, &decoder->source, decode_source_read, NULL,
                                     decoder->source.seekable ? decode_source_seek : NULL);
    if (!decoder->io) {
        av_free(buffer);
        return VMAFX_ERR_NOMEM;
    }
    return VMAFX_OK;
}

static VmafxErr check_streamable(const VmafxDecoder *decoder, const AVInputFormat *input, VmafxErrInfo *reterr)
{
    if (decoder->source.seekable || strncmp(input->name, "mov,", 4) != 0 || !decode_index_comes_last(&decoder->source))
        return VMAFX_OK;
    return vmafx_fail(
        reterr, VMAFX_ERR_INPUT,
        "'%s' comes through a pipe, and its index is at its end: an MP4 or MOV that is read as it arrives "
        "must be written with -movflags +faststart or -movflags +frag_keyframe+empty_moov",
        decoder->name);
}

VmafxErr decode_open_format(VmafxDecoder *decoder, VmafxErrInfo *reterr)
{
    const AVInputFormat *input = NULL;
    int rc = av_probe_input_buffer2(decoder->io, &input, "", NULL, 0, 0);

    if (rc == AVERROR(ENOMEM) || decoder->source.error)
        return decode_fail(reterr, VMAFX_ERR_INPUT, decoder, "the container cannot be read", rc);
    if (rc < 0 || !input)
        return vmafx_fail(
            reterr, VMAFX_ERR_INPUT,
            "'%s' is not a video this program knows; for raw video give its size, pixel format and bit depth",
            decoder->name);
    if (!allowed(input))
        return vmafx_fail(reterr, VMAFX_ERR_INPUT,
                          "'%s' is of the kind '%s', which is not read here: only containers that hold the video "
                          "themselves are (mp4, mkv, ts, avi, y4m and the like)",
                          decoder->name, input->name);
    VmafxErr err = check_streamable(decoder, input, reterr);
    if (err)
        return err;
    decoder->format = avformat_alloc_context();
    if (!decoder->format)
        return VMAFX_ERR_NOMEM;
    decoder->format->pb = decoder->io;
    decoder->format->flags |= AVFMT_FLAG_CUSTOM_IO;
    decoder->format->io_open = refuse_open;
    /* Both are also held to by refuse_open; a demuxer may ask the lists first. */
    if (av_opt_set(decoder->format, "protocol_whitelist", "file,pipe,fd", 0) < 0 ||
        av_opt_set(decoder->format, "format_whitelist", input->name, 0) < 0)
        return VMAFX_ERR_NOMEM;
    if (!decoder->source.seekable)
        decoder->format->fps_probe_size = PIPE_RATE_FRAMES;
    rc = avformat_open_input(&decoder->format, "", input, NULL);
    if (rc < 0)
        return decode_fail(reterr, VMAFX_ERR_INPUT, decoder, "the container cannot be read", rc);
    rc = avformat_find_stream_info(decoder->format, NULL);
    if (rc < 0)
        return decode_fail(reterr, VMAFX_ERR_INPUT, decoder, "the streams cannot be read", rc);
    return VMAFX_OK;
}

VmafxErr decode_open_codec(VmafxDecoder *decoder, VmafxErrInfo *reterr)
{
    const AVCodec *codec = NULL;
    int rc = av_find_best_stream(decoder->format, AVMEDIA_TYPE_VIDEO, -1, -1, &codec, 0);

    if (rc == AVERROR_DECODER_NOT_FOUND)
        return vmafx_fail(reterr, VMAFX_ERR_UNSUPPORTED, "'%s': this machine's FFmpeg has no decoder for its video",
                          decoder->name);
    if (rc < 0 || (decoder->format->streams[rc]->disposition & AV_DISPOSITION_ATTACHED_PIC)) /* a cover is no video */
        return vmafx_fail(reterr, VMAFX_ERR_INPUT, "'%s' has no video stream", decoder->name);
    decoder->stream = rc;
    if (decode_is_elsewhere(rc))
        return vmafx_fail(reterr, VMAFX_ERR_INPUT,
                          "'%s' refers to another file for its pictures; only files that hold them are read",
                          decoder->name);
    decoder->codec = avcodec_alloc_context3(codec);
    decoder->packet = av_packet_alloc();
    decoder->frame = av_frame_alloc();
    if (!decoder->codec || !decoder->packet || !decoder->frame ||
        avcodec_parameters_to_context(decoder->codec, decoder->format->streams[rc]->codecpar) < 0)
        return VMAFX_ERR_NOMEM;
    decoder->codec->pkt_timebase = decoder->format->streams[rc]->time_base;
    decoder->codec->opaque = decoder;
    decoder->codec->max_pixels = DECODE_SAMPLES_MAX;
    decoder->codec->flags |= AV_CODEC_FLAG_OUTPUT_CORRUPT; /* else some decoders drop such frames unseen */
    decoder->codec->thread_count = av_cpu_count() > 1 ? 2 : 1;
    /* With frame threads, the strictness below makes FFmpeg 5.1's MPEG-4 decoder abort the process on a damaged
       picture: it counts a frame that it has let go. */
    decoder->codec->thread_type = codec->id == AV_CODEC_ID_MPEG4 ? FF_THREAD_SLICE : FF_THREAD_FRAME | FF_THREAD_SLICE;
    /* Strict: without it H.264 conceals most damage unmarked. The price: a clip copied out of the middle of an open
       GOP, whose first pictures refer to what is missing, is an error at frame 0. */
    decoder->codec->err_recognition = AV_EF_CRCCHECK | AV_EF_BITSTREAM | AV_EF_BUFFER | AV_EF_EXPLODE;
    rc = avcodec_open2(decoder->codec, codec, NULL);
    return rc < 0 ? decode_fail(reterr, VMAFX_ERR_INPUT, decoder, "the decoder cannot be started", rc) : VMAFX_OK;
}

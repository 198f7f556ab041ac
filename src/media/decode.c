/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * FFmpeg's door. Two things are held to here that the libraries do not promise by themselves:
 *
 *   - nothing is opened by name: they read through one descriptor, and whatever a file asks to be opened besides
 *     (playlists, references into other files) is refused;
 *   - nothing is missing without a word: a decoding error, a concealed one, a packet marked corrupt, or an end before
 *     what the container promises all come out as VMAFX_ERR_TRUNCATED. The demuxers alone would let many a cut file end
 *     as if it were whole, so the end is looked at here as well: frames, time, and the bytes (decode_bytes.c).
 *
 * What stays invisible: a cut between two pictures of a stream that promises nothing (elementary streams, transport
 * streams, fragments), because such a file is whole; a transport stream cut between two of its packets inside a picture
 * of open length, where the decoder does not notice; some cuts of NUT; packets that damage makes ASF pass over, and
 * pictures nobody refers to in elementary streams; and on a pipe, where the end cannot be looked at again, a cut inside
 * the headers of mp4 fragments, FLV, Ogg and AV1 streams.
 *
 * Here is the life of a decoder: open, frame after frame, and whether the end is the end. decode_internal.h says what
 * lies beside it.
 */

#include "media/decode.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libavutil/pixdesc.h>

#include "base/base.h"
#include "media/decode_internal.h"

/* ---- Ends ---- */

/* Packets and frames, where there is an index of all. Fields in packets of their own, and MPEG-4's "no change"
   pictures, are two packets to a frame or a packet without one. */
static VmafxErr check_count(const VmafxDecoder *decoder, VmafxErrInfo *reterr)
{
    const AVCodecParameters *par = decoder->format->streams[decoder->stream]->codecpar;
    bool one_to_one = par->field_order <= AV_FIELD_PROGRESSIVE && par->codec_id != AV_CODEC_ID_MPEG4;
    char what[96];

    if ((int64_t)decoder->n_packets >= decoder->promised_packets &&
        (!one_to_one || (int64_t)decoder->n_frames >= decoder->promised_frames))
        return VMAFX_OK;
    snprintf(what, sizeof what, "it ends after %llu of %lld frames", (unsigned long long)decoder->n_frames,
             (long long)decoder->promised_frames);
    return decode_broken(decoder, what, 0, reterr);
}

/* Time, where the container has a duration of its own, with room for two frames and the rounding of other streams.
   Containers count from 0 or from their first time stamp; the later end decides. */
static VmafxErr check_time(const VmafxDecoder *decoder, VmafxErrInfo *reterr)
{
    const AVFormatContext *format = decoder->format;
    AVRational rate = format->streams[decoder->stream]->avg_frame_rate;
    int64_t room = AV_TIME_BASE / 10, start = format->start_time != AV_NOPTS_VALUE ? format->start_time : 0;
    char what[96];

    if (format->duration <= 0 || format->duration_estimation_method != AVFMT_DURATION_FROM_STREAM ||
        decoder->last_end_us == INT64_MIN || decode_length_is_placeholder(&decoder->source, format->iformat->name))
        return VMAFX_OK;
    if (rate.num > 0 && rate.den > 0)
        room = VMAFX_MAX(room, av_rescale(2 * AV_TIME_BASE, rate.den, rate.num));

    double end = (double)decoder->last_end_us - (double)VMAFX_MIN(start, 0);
    if (end + (double)room >= (double)format->duration)
        return VMAFX_OK;
    snprintf(what, sizeof what, "it ends at %.2f s of %.2f s", end / AV_TIME_BASE,
             (double)format->duration / AV_TIME_BASE);
    return decode_broken(decoder, what, 0, reterr);
}

/* Whether the file ended where it should have. */
static VmafxErr check_whole(const VmafxDecoder *decoder, VmafxErrInfo *reterr)
{
    if (decoder->source.error)
        return decode_fail(reterr, VMAFX_ERR_IO, decoder, "", 0);
    if (decoder->last_corrupt)
        return decode_broken(decoder, "its last packet is incomplete", 0, reterr);
    if (decode_bytes_are_cut(&decoder->source, decoder->format->iformat->name))
        return decode_broken(decoder, "the file is shorter than it says", 0, reterr);
    if (!decoder->n_frames)
        return decode_broken(decoder, "it ends without a single frame", 0, reterr);
    if (decoder->n_chunks < decoder->promised_chunks)
        return decode_broken(decoder, "its index tells of more pictures", 0, reterr);
    return decoder->promised_packets ? check_count(decoder, reterr) : check_time(decoder, reterr);
}

/* ---- Packets and frames ---- */

static void note_packet(VmafxDecoder *decoder)
{
    const AVPacket *packet = decoder->packet;
    int64_t pts = packet->pts != AV_NOPTS_VALUE ? packet->pts : packet->dts;

    decoder->last_corrupt = packet->flags & AV_PKT_FLAG_CORRUPT;
    if (pts == AV_NOPTS_VALUE)
        return;
    int64_t end = av_rescale_q(pts + VMAFX_MAX(packet->duration, 0),
                               decoder->format->streams[packet->stream_index]->time_base, AV_TIME_BASE_Q);
    decoder->last_end_us = VMAFX_MAX(decoder->last_end_us, end);
}

/* Sends the decoder one packet of the stream, or the end. */
static VmafxErr feed(VmafxDecoder *decoder, VmafxErrInfo *reterr)
{
    for (;;) {
        decode_log_forget_damage();
        int rc = av_read_frame(decoder->format, decoder->packet);

        if (decode_heard_of_damage(decoder->format, decoder->stream)) {
            av_packet_unref(decoder->packet);
            return decode_broken(decoder, "the container is damaged", rc < 0 ? rc : AVERROR_INVALIDDATA, reterr);
        }
        if (rc == AVERROR_EOF) {
            decoder->draining = true;
            rc = avcodec_send_packet(decoder->codec, NULL);
            return rc < 0 ? decode_broken(decoder, "the decoder cannot be emptied", rc, reterr) : VMAFX_OK;
        }
        if (rc == AVERROR(ENOMEM) && decode_bytes_are_cut(&decoder->source, decoder->format->iformat->name))
            rc = AVERROR_INVALIDDATA; /* an absurd length was asked for */
        if (rc < 0)
            return decoder->source.error ? decode_fail(reterr, VMAFX_ERR_IO, decoder, "", rc)
                                         : decode_broken(decoder, "reading failed", rc, reterr);
        note_packet(decoder);
        bool ours = decoder->packet->stream_index == decoder->stream;
        bool corrupt = decoder->packet->flags & AV_PKT_FLAG_CORRUPT;
        bool empty = !decoder->packet->size; /* a frame AVI repeats; the decoder would take it for the end */
        if (ours && !corrupt && !empty)
            rc = avcodec_send_packet(decoder->codec, decoder->packet);
        av_packet_unref(decoder->packet);
        if (ours)
            decoder->n_packets++;
        if (ours && !empty)
            decoder->n_chunks++;
        if (!ours || (empty && !corrupt))
            continue;
        if (corrupt)
            return decode_broken(decoder, "the container marks a damaged packet", 0, reterr);
        return rc < 0 ? decode_broken(decoder, "decoding failed", rc, reterr) : VMAFX_OK;
    }
}

static VmafxErr check_frame(VmafxDecoder *decoder, VmafxVideoInfo *info, VmafxErrInfo *reterr)
{
    const AVFrame *frame = decoder->frame;

    if (atomic_load(&decoder->complained))
        return decode_broken(decoder,
                             decoder->codec->codec_id == AV_CODEC_ID_FFV1 ? "a check sum is wrong"
                                                                          : "a picture that others refer to is missing",
                             0, reterr);
    if (frame->decode_error_flags || (frame->flags & AV_FRAME_FLAG_CORRUPT))
        return decode_broken(decoder, "the decoder had to conceal errors", 0, reterr);
    if (decoder->n_frames == 0) {
        VmafxErr err = decode_check_size(decoder, frame->width, frame->height, reterr);
        if (!err)
            err = decode_luma_format(decoder->name, frame->format, &info->bpc, &info->pix, reterr);
        decoder->first_format = frame->format;
        info->w = frame->width;
        info->h = frame->height;
        info->range = decode_range_name(frame->format, frame->color_range);
        info->matrix = decode_known(av_color_space_name(frame->colorspace));
        info->transfer = decode_known(av_color_transfer_name(frame->color_trc));
        info->primaries = decode_known(av_color_primaries_name(frame->color_primaries));
        return err;
    }
    if (frame->width != info->w || frame->height != info->h || frame->format != decoder->first_format)
        return vmafx_fail(reterr, VMAFX_ERR_MISMATCH, "'%s' changes from %dx%d %s to %dx%d %s at frame %llu",
                          decoder->name, info->w, info->h, decode_known(av_get_pix_fmt_name(decoder->first_format)),
                          frame->width, frame->height, decode_known(av_get_pix_fmt_name(frame->format)),
                          (unsigned long long)decoder->n_frames);
    return VMAFX_OK;
}

/* ---- The door ---- */

VmafxErr vmafx_decoder_open(int fd, VmafxPipe *pipe, const char *name, const void *head, size_t head_len,
                            VmafxDecoder **ret_decoder, VmafxVideoInfo *ret_info, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(vmafx_decoder_close) VmafxDecoder *decoder = calloc(1, sizeof *decoder);

    decode_listen();
    decode_log_forget();
    if (!decoder) {
        if (fd >= 0)
            close(fd);
        return vmafx_fail(reterr, VMAFX_ERR_NOMEM, "no memory to read '%s'", name);
    }
    decoder->source.fd = fd;
    decoder->source.pipe = pipe;
    decoder->source.base = pipe ? -1 : lseek(fd, -(off_t)head_len, SEEK_CUR);
    decoder->source.seekable = !pipe;
    decoder->name = vmafx_strdup(name);
    decoder->last_end_us = INT64_MIN;
    if (!decoder->source.seekable) {
        memcpy(decoder->source.head, head, VMAFX_MIN(head_len, (size_t)DECODE_HEAD_MAX));
        decoder->source.head_len = VMAFX_MIN(head_len, (size_t)DECODE_HEAD_MAX);
    }

    VmafxErr err = decoder->name ? decode_open_io(decoder) : VMAFX_ERR_NOMEM;
    if (!err)
        err = decode_open_format(decoder, reterr);
    if (!err)
        err = decode_open_codec(decoder, reterr);
    if (!err)
        err = decode_gather_info(decoder, ret_info, reterr);
    if (!err)
        decoder->damaged_early = decode_heard_of_damage(decoder->format, decoder->stream);
    if (err == VMAFX_ERR_NOMEM)
        return vmafx_fail(reterr, err, "no memory to read '%s'", name);
    if (err)
        return err;
    *ret_decoder = VMAFX_TAKE(decoder);
    return VMAFX_OK;
}

VmafxErr vmafx_decoder_next(VmafxDecoder *decoder, VmafxVideoInfo *info, VmafxPlane *ret_luma, bool *ret_more,
                            VmafxErrInfo *reterr)
{
    int rc;

    decode_log_forget_complaint();
    *ret_more = false;
    if (decoder->damaged_early)
        return decode_broken(decoder, "the container is damaged within its first seconds", 0, reterr);
    while ((rc = avcodec_receive_frame(decoder->codec, decoder->frame)) < 0) {
        if (rc == AVERROR_EOF || (rc == AVERROR(EAGAIN) && decoder->draining))
            return check_whole(decoder, reterr);
        if (rc != AVERROR(EAGAIN))
            return decode_broken(decoder, "decoding failed", rc, reterr);
        VmafxErr err = feed(decoder, reterr);
        if (err)
            return err;
    }

    VmafxErr err = check_frame(decoder, info, reterr);
    if (err)
        return err;
    *ret_luma = (VmafxPlane){ decoder->frame->data[0], decoder->frame->linesize[0], info->w, info->h, info->bpc };
    *ret_more = true;
    decoder->n_frames++;
    return VMAFX_OK;
}

VmafxErr vmafx_decoder_planes(const VmafxDecoder *decoder, VmafxPlane ret_planes[3], VmafxErrInfo *reterr)
{
    return decode_planes(decoder->name, decoder->frame, ret_planes, reterr);
}

VmafxErr vmafx_decoder_frame(const VmafxDecoder *decoder, AVFrame *ret_frame, VmafxErrInfo *reterr)
{
    AVRational aspect = decoder->format->streams[decoder->stream]->sample_aspect_ratio;

    if (av_frame_ref(ret_frame, decoder->frame) < 0)
        return vmafx_fail(reterr, VMAFX_ERR_NOMEM, "no memory for a picture of '%s'", decoder->name);
    if (aspect.num)
        ret_frame->sample_aspect_ratio = aspect;
    return VMAFX_OK;
}

void vmafx_decoder_close(VmafxDecoder **decoder_p)
{
    VmafxDecoder *decoder = *decoder_p;

    if (!decoder)
        return;
    av_frame_free(&decoder->frame);
    av_packet_free(&decoder->packet);
    avcodec_free_context(&decoder->codec);
    avformat_close_input(&decoder->format);
    if (decoder->io)
        av_freep(&decoder->io->buffer);
    avio_context_free(&decoder->io);
    if (decoder->source.fd >= 0)
        close(decoder->source.fd);
    free(decoder->name);
    free(decoder);
    *decoder_p = NULL;
}

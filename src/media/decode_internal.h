/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * What the files of the decoder share, and nobody else needs. Who calls whom:
 *
 *     decode.c           open, next, close, and whether the end is the end; calls all of those below
 *       decode_open.c    callbacks → container → codec
 *       decode_facts.c   what stream and pictures say of themselves; once when opened, once with the first frame
 *       decode_log.c     FFmpeg calls it, from any of its threads, with what it logs; the others ask it afterwards, and
 *                        make their sentences with it
 *     decode_source.h    the bytes: FFmpeg reads through decode_source.c, decode.c asks decode_bytes.c about the end
 */
#ifndef VMAFX_MEDIA_DECODE_INTERNAL_H
#define VMAFX_MEDIA_DECODE_INTERNAL_H

#include <stdatomic.h>

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>

#include "media/decode.h"
#include "media/decode_source.h"

#define DECODE_SAMPLES_MAX (1ll << 28)

struct VmafxDecoder {
    char *name;
    DecodeSource source;
    AVIOContext *io;
    AVFormatContext *format;
    AVCodecContext *codec;
    AVPacket *packet;
    AVFrame *frame;
    int stream;
    bool draining;
    uint64_t n_frames, n_packets;
    int64_t promised_packets; /* of this stream, by the container's index; 0: unknown */
    int64_t promised_frames;  /* those of them that are shown */
    int64_t promised_chunks;  /* AVI, MXF: packets with something in them, of this stream; 0: unknown */
    int64_t n_chunks;         /* … and those that came */
    int64_t last_end_us;      /* the latest end of any packet of any stream */
    atomic_bool complained;   /* set by decoding threads, see hear_decoder */
    bool damaged_early;       /* damage was met while the streams were being looked at */
    bool last_corrupt;        /* the last packet of any stream was marked corrupt */
    int first_format;         /* AVPixelFormat of the first frame */
};

/* ---- decode_open.c, in this order. VMAFX_ERR_NOMEM may come without a message. ---- */

VMAFX_CHECK VmafxErr decode_open_io(VmafxDecoder *decoder);
VMAFX_CHECK VmafxErr decode_open_format(VmafxDecoder *decoder, VmafxErrInfo *reterr);
VMAFX_CHECK VmafxErr decode_open_codec(VmafxDecoder *decoder, VmafxErrInfo *reterr);

/* ---- decode_facts.c ---- */

/** The text, or "unknown" for NULL. */
const char *decode_known(const char *text);
/** Planar YUV or grey with the luma in a plane of its own; VMAFX_ERR_UNSUPPORTED and a sentence for anything else. */
/** The planes of a frame whose format decode_luma_format took; chroma planes are empty where there are none. */
VMAFX_CHECK VmafxErr decode_planes(const char *name, const AVFrame *frame, VmafxPlane ret_planes[3],
                                   VmafxErrInfo *reterr);
VMAFX_CHECK VmafxErr decode_luma_format(const char *name, int pix_fmt, int *ret_bpc, VmafxPixFmt *ret_pix,
                                        VmafxErrInfo *reterr);
/** Every decoder that still uses the yuvj formats means full range by them. */
const char *decode_range_name(int pix_fmt, enum AVColorRange range);
VMAFX_CHECK VmafxErr decode_check_size(const VmafxDecoder *decoder, int w, int h, VmafxErrInfo *reterr);
/** Of the stream; and what the container promises, into the decoder. */
VMAFX_CHECK VmafxErr decode_gather_info(VmafxDecoder *decoder, VmafxVideoInfo *info, VmafxErrInfo *reterr);

/* ---- decode_log.c. What was heard is the calling thread's. ---- */

#define DECODE_COMPLAINT_MAX   120
#define DECODE_DESCRIPTION_MAX (AV_ERROR_MAX_STRING_SIZE + DECODE_COMPLAINT_MAX + 4)

/** Takes FFmpeg's log over, when that has not been done yet; any thread. */
void decode_listen(void);
/** Before a video is opened; before a frame; before a packet. */
void decode_log_forget(void);
void decode_log_forget_complaint(void);
void decode_log_forget_damage(void);
/** A stream's data are in another file, which was not opened. */
bool decode_is_elsewhere(int stream);
/** The demuxers that go on behind damage and say so in the log only; and transport streams, whose marks the parsers
    lose. Elsewhere a damaged packet arrives with its mark. */
bool decode_heard_of_damage(const AVFormatContext *format, int stream);

/** An encoder's wrapper met a parameter of its library that this does not take, and would go on without it. */
bool decode_heard_of_refusal(void);
/** FFmpeg's words for an error, and what it logged last. */
void decode_describe(int averror, char *text, size_t size);
/** err with "'name': what: FFmpeg's words"; VMAFX_ERR_IO when reading failed, VMAFX_ERR_NOMEM without a message. */
VmafxErr decode_fail(VmafxErrInfo *reterr, VmafxErr err, const VmafxDecoder *decoder, const char *what, int averror);
/** VMAFX_ERR_TRUNCATED with the frame it happened at; averror 0: there is none. VMAFX_ERR_NOMEM */
VmafxErr decode_broken(const VmafxDecoder *decoder, const char *what, int averror, VmafxErrInfo *reterr);
#endif

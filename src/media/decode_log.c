/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * What FFmpeg says in its log only. Nothing of it is printed: our errors are sentences of our own, and some damage is
 * told nowhere else.
 */

#include "media/decode_internal.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libavutil/log.h>

#include "base/base.h"

/* What FFmpeg's log said in this thread since it was last asked; what its own threads say is lost. */
static _Thread_local struct {
    char complaint[DECODE_COMPLAINT_MAX];
    bool refused;          /* a setting of an encoder's library; the complaint says which */
    const void *by;        /* who complained last, at the level of errors */
    const void *marked_by; /* who marked a packet as corrupt … */
    long marked_stream;    /* … and of which stream */
    uint64_t elsewhere;    /* a bit for each of the first 64 streams whose data are in another file */
} heard;

/*
 * FFV1's decoder puts the previous frame's pixels where a slice fails its check sum, HEVC's makes up a grey picture for
 * a missing one; both say so in the log only, from whichever thread they run in. The threads' contexts are copies of
 * ours, opaque pointer included; no other room opens decoders, and those that libavformat opens have none. A frame is
 * delivered after its thread is done, so the flag is seen in time; it may be one frame early.
 */
static void hear_decoder(void *context, const char *fmt)
{
    const AVClass *const *class = context;

    if (!class || *class != avcodec_get_class())
        return;
    const AVCodecContext *codec = context;
    bool ffv1 = codec->codec_id == AV_CODEC_ID_FFV1;
    bool hevc = codec->codec_id == AV_CODEC_ID_HEVC && !strncmp(fmt, "Could not find ref", 18);
    if ((ffv1 || hevc) && codec->opaque)
        atomic_store(&((VmafxDecoder *)codec->opaque)->complained, true);
}

/* The wrappers of encoders pass over such parameters of the libraries with a warning. */
static bool refuses_setting(void *context, const char *fmt)
{
    static const char *const beginnings[] = { "Unknown option", "Error parsing option", "Invalid value for" };
    const AVClass *const *class = context;

    if (!class || *class != avcodec_get_class() || !av_codec_is_encoder(((AVCodecContext *)context)->codec))
        return false;
    for (size_t i = 0; i < VMAFX_LEN(beginnings); i++)
        if (!strncmp(fmt, beginnings[i], strlen(beginnings[i])))
            return true;
    return false;
}

static void listen_to(void *context, int level, const char *fmt, va_list args)
{
    static const char mark[] = "Packet corrupt (stream = ";
    static const char skip[] = "Skipped opening external track: stream ";
    bool refuses = level <= AV_LOG_WARNING && refuses_setting(context, fmt);
    bool marks = level == AV_LOG_WARNING && !strncmp(fmt, mark, sizeof mark - 1);
    bool skips = level == AV_LOG_WARNING && !strncmp(fmt, skip, sizeof skip - 1);
    char line[sizeof heard.complaint];

    if (level > AV_LOG_ERROR && !marks && !skips && !refuses)
        return;
    vsnprintf(line, sizeof line, fmt, args);
    if (skips) {
        unsigned long stream = strtoul(line + sizeof skip - 1, NULL, 10);
        heard.elsewhere |= stream < 64 ? 1ull << stream : 0;
        return;
    }
    if (marks) {
        heard.marked_by = context;
        heard.marked_stream = strtol(line + sizeof mark - 1, NULL, 10);
        return;
    }
    heard.refused |= refuses;
    hear_decoder(context, fmt);
    heard.by = context;
    size_t n = strcspn(line, "\n");
    line[n] = 0;
    for (size_t i = 0; i <= n; i++) /* a file's own bytes may be quoted there */
        heard.complaint[i] = line[i] && (line[i] < ' ' || line[i] > '~') ? '?' : line[i];
}

static void take_over(void)
{
    av_log_set_level(AV_LOG_QUIET);
    av_log_set_callback(listen_to);
}

void decode_listen(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, take_over);
}

void decode_log_forget(void)
{
    memset(&heard, 0, sizeof heard);
}

void decode_log_forget_complaint(void)
{
    heard.complaint[0] = 0;
}

bool decode_heard_of_refusal(void)
{
    return heard.refused;
}

void decode_log_forget_damage(void)
{
    heard.by = heard.marked_by = NULL;
}

bool decode_is_elsewhere(int stream)
{
    return stream < 64 && (heard.elsewhere >> stream & 1);
}

bool decode_heard_of_damage(const AVFormatContext *format, int stream)
{
    const char *kind = format->iformat->name;

    if (!strcmp(kind, "matroska,webm") || !strcmp(kind, "flv") || !strcmp(kind, "ogg"))
        return heard.by == format;
    return !strcmp(kind, "mpegts") && heard.marked_by == format && heard.marked_stream == stream;
}

/* ---- sentences ---- */

/* "Invalid data found when processing input (moov atom not found)" */
void decode_describe(int averror, char *text, size_t size)
{
    char plain[AV_ERROR_MAX_STRING_SIZE] = "";

    av_strerror(averror, plain, sizeof plain);
    snprintf(text, size, heard.complaint[0] ? "%s (%s)" : "%s", plain, heard.complaint);
}

VmafxErr decode_fail(VmafxErrInfo *reterr, VmafxErr err, const VmafxDecoder *decoder, const char *what, int averror)
{
    char text[DECODE_DESCRIPTION_MAX];

    if (averror == AVERROR(ENOMEM))
        return VMAFX_ERR_NOMEM;
    if (decoder->source.error)
        return vmafx_fail(reterr, VMAFX_ERR_IO, "cannot read '%s': %s", decoder->name, strerror(decoder->source.error));
    decode_describe(averror, text, sizeof text);
    return vmafx_fail(reterr, err, "'%s': %s: %s", decoder->name, what, text);
}

VmafxErr decode_broken(const VmafxDecoder *decoder, const char *what, int averror, VmafxErrInfo *reterr)
{
    char text[DECODE_DESCRIPTION_MAX] = "";

    if (averror == AVERROR(ENOMEM))
        return vmafx_fail(reterr, VMAFX_ERR_NOMEM, "no memory to decode '%s'", decoder->name);
    if (averror)
        decode_describe(averror, text, sizeof text);
    return vmafx_fail(reterr, VMAFX_ERR_TRUNCATED, "'%s' is cut or corrupt at frame %llu: %s%s%s", decoder->name,
                      (unsigned long long)decoder->n_frames, what, averror ? ": " : "", text);
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The packets, kept as a Matroska file that is the same whenever they are. */

#include "media/encode_internal.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <libavformat/avformat.h>

#include "media/decode_internal.h"

#define IO_BYTES 65536

#if LIBAVFORMAT_VERSION_MAJOR >= 61
typedef const uint8_t WrittenByte;
#else
typedef uint8_t WrittenByte;
#endif

struct EncodeKeep {
    int fd;          /* borrowed */
    off_t base;      /* offset in the file of our position 0 */
    int64_t at, max; /* position of the next write; bytes there may be */
    int error;       /* errno of a failed write, … */
    int64_t held;    /* … and how many bytes there were then */
    bool full;       /* max was not enough */
    AVRational unit; /* of the packets' time stamps */
    AVIOContext *io;
    AVFormatContext *format;
    AVPacket *packet;
};

static int write_bytes(void *opaque, WrittenByte *bytes, int size)
{
    EncodeKeep *keep = opaque;

    if (keep->error || keep->full)
        return AVERROR(EIO);
    if (size > keep->max - keep->at) {
        keep->full = true;
        return AVERROR(EFBIG);
    }
    for (int done = 0; done < size;) {
        ssize_t n = pwrite(keep->fd, bytes + done, (size_t)(size - done), keep->base + keep->at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            keep->error = n < 0 ? errno : EIO;
            keep->held = keep->at;
            return AVERROR(keep->error);
        }
        done += (int)n;
        keep->at += n;
    }
    return size;
}

static int64_t seek_bytes(void *opaque, int64_t offset, int whence)
{
    EncodeKeep *keep = opaque;

    if (whence != SEEK_SET || offset < 0) /* the only way a muxer goes back; sizes are not asked for */
        return AVERROR(ENOSYS);
    return keep->at = offset;
}

static int refuse_open(AVFormatContext *format, AVIOContext **io, const char *url, int flags, AVDictionary **options)
{
    (void)format, (void)io, (void)url, (void)flags, (void)options;
    return AVERROR(EPERM);
}

static VmafxErr keep_fail(const EncodeKeep *keep, int averror, VmafxErrInfo *reterr)
{
    char why[DECODE_DESCRIPTION_MAX];

    if (keep->full)
        return vmafx_fail(reterr, VMAFX_ERR_LIMIT, "the encoded video that is to be kept is larger than %lld bytes",
                          (long long)keep->max);
    if (keep->error)
        return vmafx_fail(reterr, VMAFX_ERR_IO,
                          keep->error == ENOSPC || keep->error == EDQUOT
                              ? "there is no space left to keep the encoded video: %s after %lld bytes"
                              : "the encoded video cannot be kept: %s after %lld bytes",
                          strerror(keep->error), (long long)keep->held);
    if (averror == AVERROR(ENOMEM))
        return vmafx_fail(reterr, VMAFX_ERR_NOMEM, "no memory to keep the encoded video");
    decode_describe(averror, why, sizeof why);
    return vmafx_fail(reterr, VMAFX_ERR_ENCODER, "the encoded video does not fit into Matroska: %s", why);
}

/* What failed behind the muxer's back counts as well. */
static VmafxErr check(const EncodeKeep *keep, int rc, VmafxErrInfo *reterr)
{
    return rc < 0 || keep->error || keep->full ? keep_fail(keep, rc, reterr) : VMAFX_OK;
}

static VmafxErr open_muxer(EncodeKeep *keep, const AVCodecContext *context, VmafxErrInfo *reterr)
{
    unsigned char *buffer = av_malloc(IO_BYTES);

    keep->io = buffer ? avio_alloc_context(buffer, IO_BYTES, 1, keep, NULL, write_bytes, seek_bytes) : NULL;
    if (!keep->io)
        av_free(buffer);
    keep->packet = av_packet_alloc();
    int rc = avformat_alloc_output_context2(&keep->format, NULL, "matroska", NULL);
    AVStream *stream = rc >= 0 ? avformat_new_stream(keep->format, NULL) : NULL;
    if (!keep->io || !keep->packet || !stream)
        return vmafx_fail(reterr, VMAFX_ERR_NOMEM, "no memory to keep the encoded video");
    keep->format->pb = keep->io;
    keep->format->io_open = refuse_open;
    keep->format->flags |= AVFMT_FLAG_CUSTOM_IO | AVFMT_FLAG_BITEXACT;
    stream->time_base = context->time_base;
    stream->avg_frame_rate = context->framerate;
    stream->sample_aspect_ratio = context->sample_aspect_ratio;
    keep->unit = context->time_base;
    decode_log_forget();
    rc = avcodec_parameters_from_context(stream->codecpar, context);
    if (rc >= 0)
        rc = avformat_write_header(keep->format, NULL);
    return check(keep, rc, reterr);
}

VmafxErr encode_keep_open(EncodeKeep **ret_keep, int fd, int64_t max, const AVCodecContext *context,
                          VmafxErrInfo *reterr)
{
    VMAFX_AUTO(encode_keep_free) EncodeKeep *keep = calloc(1, sizeof *keep);

    if (!keep)
        return vmafx_fail(reterr, VMAFX_ERR_NOMEM, "no memory to keep the encoded video");
    keep->fd = fd;
    keep->max = max;
    keep->base = lseek(fd, 0, SEEK_CUR);
    if (keep->base < 0)
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "the encoded video can be kept in a file only: %s",
                          strerror(errno));
    VmafxErr err = open_muxer(keep, context, reterr);
    if (err)
        return err;
    *ret_keep = VMAFX_TAKE(keep);
    return VMAFX_OK;
}

VmafxErr encode_keep_write(EncodeKeep *keep, const AVPacket *packet, VmafxErrInfo *reterr)
{
    if (av_packet_ref(keep->packet, packet) < 0)
        return vmafx_fail(reterr, VMAFX_ERR_NOMEM, "no memory to keep the encoded video");
    av_packet_rescale_ts(keep->packet, keep->unit, keep->format->streams[0]->time_base);
    keep->packet->stream_index = 0;
    decode_log_forget();
    int rc = av_write_frame(keep->format, keep->packet);
    av_packet_unref(keep->packet);
    return check(keep, rc, reterr);
}

VmafxErr encode_keep_finish(EncodeKeep *keep, VmafxErrInfo *reterr)
{
    decode_log_forget();
    int rc = av_write_trailer(keep->format);
    avio_flush(keep->io);
    return check(keep, rc, reterr);
}

void encode_keep_free(EncodeKeep **keep_p)
{
    EncodeKeep *keep = *keep_p;

    if (!keep)
        return;
    avformat_free_context(keep->format);
    if (keep->io)
        av_freep(&keep->io->buffer);
    avio_context_free(&keep->io);
    av_packet_free(&keep->packet);
    free(keep);
    *keep_p = NULL;
}

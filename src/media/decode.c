/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * FFmpeg's door. Two things are held to here that the libraries do not promise by themselves:
 *
 *   - nothing is opened by name: they read through one descriptor, and whatever a file asks to be opened besides
 *     (playlists, references into other files) is refused;
 *   - nothing is missing without a word: a decoding error, a concealed one, a packet marked corrupt, or an end before
 *     what the container promises all come out as VMAFX_ERR_TRUNCATED. The demuxers alone would let many a cut file end
 *     as if it were whole, so the end is looked at here as well: frames, time, and the bytes (section "Ends").
 *
 * What stays invisible: a cut between two pictures of a stream that promises nothing (elementary streams, transport
 * streams, fragments), because such a file is whole; a transport stream cut between two of its packets inside a picture
 * of open length, where the decoder does not notice; some cuts of NUT; packets that damage makes ASF pass over, and
 *     pictures nobody refers to in elementary streams; and on a pipe, where the end cannot be looked at
 * again, a cut inside the headers of mp4 fragments, FLV, Ogg and AV1 streams.
 */

#include "media/decode.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/cpu.h>
#include <libavutil/opt.h>
#include <libavutil/pixdesc.h>

#include "base/base.h"

#define IO_BYTES    65536
#define HEAD_MAX    64
#define FIRST_BYTES 4096 /* what is kept of a file's beginning, to read its promises from */
#define SAMPLES_MAX (1ll << 28)

/* Ordinary containers and elementary streams: they hold what they play, and point nowhere else. */
static const char *const demuxers[] = {
    "asf",       "av1",    "avi",           "dnxhd",   "dv",
    "flv",       "h261",   "h263",          "h264",    "hevc",
    "ivf",       "m4v",    "matroska,webm", "mjpeg",   "mov,mp4,m4a,3gp,3g2,mj2",
    "mpeg",      "mpegts", "mpegvideo",     "mxf",     "nut",
    "obu",       "ogg",    "vc1",           "vc1test", "vvc",
    "cavsvideo", "dirac",  "wtv",           "rm",
};

/*
 * What the callbacks work on. A seekable file is read with pread at a position of our own, so that two readers of one
 * descriptor ("fd:3" given twice) do not disturb each other. Positions count from where the descriptor stood.
 */
typedef struct Source {
    int fd;
    bool seekable;
    off_t base;                   /* offset in the file of our position 0 */
    int64_t at;                   /* position of the next read; on a pipe: bytes delivered */
    unsigned char head[HEAD_MAX]; /* of a pipe: read before we came, to be delivered first */
    size_t head_len;
    unsigned char first[FIRST_BYTES];
    size_t first_len;
    bool ended; /* a read has met the end */
    int error;  /* errno of a failed read, which demuxers take for an end */
} Source;

struct VmafxDecoder {
    char *name;
    Source source;
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

/* ---- Reading ---- */

static ssize_t read_some(Source *source, uint8_t *buffer, size_t size)
{
    if (!source->seekable && (uint64_t)source->at < source->head_len) {
        size_t n = VMAFX_MIN(size, source->head_len - (size_t)source->at);
        memcpy(buffer, source->head + source->at, n);
        return (ssize_t)n;
    }
    for (;;) {
        ssize_t n = source->seekable ? pread(source->fd, buffer, size, source->base + source->at)
                                     : read(source->fd, buffer, size);
        if (n >= 0 || errno != EINTR)
            return n;
    }
}

static int read_source(void *opaque, uint8_t *buffer, int size)
{
    Source *source = opaque;
    ssize_t n = read_some(source, buffer, (size_t)size);

    if (n < 0) {
        source->error = errno;
        return AVERROR(errno);
    }
    if (n == 0) {
        source->ended = true;
        return AVERROR_EOF;
    }
    if (source->at == (int64_t)source->first_len && source->first_len < FIRST_BYTES) {
        size_t keep = VMAFX_MIN((size_t)n, FIRST_BYTES - source->first_len);
        memcpy(source->first + source->first_len, buffer, keep);
        source->first_len += keep;
    }
    source->at += n;
    return (int)n;
}

/* The bytes there are; -1 when that is not known (yet). */
static int64_t source_size(const Source *source)
{
    struct stat st;

    if (!source->seekable)
        return source->ended ? source->at : -1;
    return fstat(source->fd, &st) || !S_ISREG(st.st_mode) ? -1 : st.st_size - source->base;
}

static int64_t seek_source(void *opaque, int64_t offset, int whence)
{
    Source *source = opaque;
    int64_t size = source_size(source), at = offset;

    if (whence & AVSEEK_SIZE)
        return size < 0 ? AVERROR(ENOSYS) : size;
    switch (whence & ~AVSEEK_FORCE) {
    case SEEK_SET:
        break;
    case SEEK_CUR:
        at = source->at + offset;
        break;
    case SEEK_END:
        if (size < 0)
            return AVERROR(ENOSYS);
        at = size + offset;
        break;
    default:
        return AVERROR(EINVAL);
    }
    if (at < 0)
        return AVERROR(EINVAL);
    return source->at = at;
}

static bool peek(const Source *source, int64_t at, unsigned char *buffer, size_t size)
{
    return source->seekable && at >= 0 && pread(source->fd, buffer, size, source->base + at) == (ssize_t)size;
}

static int refuse_open(AVFormatContext *format, AVIOContext **pb, const char *url, int flags, AVDictionary **options)
{
    (void)format, (void)pb, (void)url, (void)flags, (void)options;
    return AVERROR(EPERM);
}

/* What FFmpeg's log said in this thread since it was last asked; what its own threads say is lost. */
static _Thread_local struct {
    char complaint[120];
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

static void listen_to(void *context, int level, const char *fmt, va_list args)
{
    static const char mark[] = "Packet corrupt (stream = ";
    static const char skip[] = "Skipped opening external track: stream ";
    bool marks = level == AV_LOG_WARNING && !strncmp(fmt, mark, sizeof mark - 1);
    bool skips = level == AV_LOG_WARNING && !strncmp(fmt, skip, sizeof skip - 1);
    char line[sizeof heard.complaint];

    if (level > AV_LOG_ERROR && !marks && !skips)
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
    hear_decoder(context, fmt);
    heard.by = context;
    size_t n = strcspn(line, "\n");
    line[n] = 0;
    for (size_t i = 0; i <= n; i++) /* a file's own bytes may be quoted there */
        heard.complaint[i] = line[i] && (line[i] < ' ' || line[i] > '~') ? '?' : line[i];
}

/* The demuxers that go on behind damage and say so in the log only; and transport streams, whose marks the parsers
   lose. Elsewhere a damaged packet arrives with its mark. */
static bool heard_of_damage(const AVFormatContext *format, int stream)
{
    const char *kind = format->iformat->name;

    if (!strcmp(kind, "matroska,webm") || !strcmp(kind, "flv") || !strcmp(kind, "ogg"))
        return heard.by == format;
    return !strcmp(kind, "mpegts") && heard.marked_by == format && heard.marked_stream == stream;
}

/* Nothing is printed: our errors are sentences of our own. */
static void take_log(void)
{
    av_log_set_level(AV_LOG_QUIET);
    av_log_set_callback(listen_to);
}

/* "Invalid data found when processing input (moov atom not found)" */
static void describe(int averror, char *text, size_t size)
{
    char plain[AV_ERROR_MAX_STRING_SIZE] = "";

    av_strerror(averror, plain, sizeof plain);
    snprintf(text, size, heard.complaint[0] ? "%s (%s)" : "%s", plain, heard.complaint);
}

static VmafxErr av_fail(VmafxErrInfo *reterr, VmafxErr err, const VmafxDecoder *decoder, const char *what, int averror)
{
    char text[AV_ERROR_MAX_STRING_SIZE + sizeof heard.complaint];

    if (averror == AVERROR(ENOMEM))
        return VMAFX_ERR_NOMEM;
    if (decoder->source.error)
        return vmafx_fail(reterr, VMAFX_ERR_IO, "cannot read '%s': %s", decoder->name, strerror(decoder->source.error));
    describe(averror, text, sizeof text);
    return vmafx_fail(reterr, err, "'%s': %s: %s", decoder->name, what, text);
}

/* ---- Opening ---- */

static bool allowed(const AVInputFormat *format)
{
    for (size_t i = 0; i < VMAFX_LEN(demuxers); i++)
        if (!strcmp(demuxers[i], format->name))
            return true;
    return false;
}

static VmafxErr open_io(VmafxDecoder *decoder)
{
    unsigned char *buffer = av_malloc(IO_BYTES);

    if (!buffer)
        return VMAFX_ERR_NOMEM;
    decoder->io = avio_alloc_context(buffer, IO_BYTES, 0, &decoder->source, read_source, NULL,
                                     decoder->source.seekable ? seek_source : NULL);
    if (!decoder->io) {
        av_free(buffer);
        return VMAFX_ERR_NOMEM;
    }
    return VMAFX_OK;
}

static VmafxErr open_format(VmafxDecoder *decoder, VmafxErrInfo *reterr)
{
    const AVInputFormat *input = NULL;
    int rc = av_probe_input_buffer2(decoder->io, &input, "", NULL, 0, 0);

    if (rc == AVERROR(ENOMEM) || decoder->source.error)
        return av_fail(reterr, VMAFX_ERR_INPUT, decoder, "the container cannot be read", rc);
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
    rc = avformat_open_input(&decoder->format, "", input, NULL);
    if (rc < 0)
        return av_fail(reterr, VMAFX_ERR_INPUT, decoder, "the container cannot be read", rc);
    rc = avformat_find_stream_info(decoder->format, NULL);
    if (rc < 0)
        return av_fail(reterr, VMAFX_ERR_INPUT, decoder, "the streams cannot be read", rc);
    return VMAFX_OK;
}

static VmafxErr open_codec(VmafxDecoder *decoder, VmafxErrInfo *reterr)
{
    const AVCodec *codec = NULL;
    int rc = av_find_best_stream(decoder->format, AVMEDIA_TYPE_VIDEO, -1, -1, &codec, 0);

    if (rc == AVERROR_DECODER_NOT_FOUND)
        return vmafx_fail(reterr, VMAFX_ERR_UNSUPPORTED, "'%s': this machine's FFmpeg has no decoder for its video",
                          decoder->name);
    if (rc < 0 || (decoder->format->streams[rc]->disposition & AV_DISPOSITION_ATTACHED_PIC)) /* a cover is no video */
        return vmafx_fail(reterr, VMAFX_ERR_INPUT, "'%s' has no video stream", decoder->name);
    decoder->stream = rc;
    if (rc < 64 && (heard.elsewhere >> rc & 1))
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
    decoder->codec->max_pixels = SAMPLES_MAX;
    decoder->codec->flags |= AV_CODEC_FLAG_OUTPUT_CORRUPT; /* else some decoders drop such frames unseen */
    decoder->codec->thread_count = av_cpu_count() > 1 ? 2 : 1;
    /* With frame threads, the strictness below makes FFmpeg 5.1's MPEG-4 decoder abort the process on a damaged
       picture: it counts a frame that it has let go. */
    decoder->codec->thread_type = codec->id == AV_CODEC_ID_MPEG4 ? FF_THREAD_SLICE : FF_THREAD_FRAME | FF_THREAD_SLICE;
    /* Strict: without it H.264 conceals most damage unmarked. The price: a clip copied out of the middle of an open
       GOP, whose first pictures refer to what is missing, is an error at frame 0. */
    decoder->codec->err_recognition = AV_EF_CRCCHECK | AV_EF_BITSTREAM | AV_EF_BUFFER | AV_EF_EXPLODE;
    rc = avcodec_open2(decoder->codec, codec, NULL);
    return rc < 0 ? av_fail(reterr, VMAFX_ERR_INPUT, decoder, "the decoder cannot be started", rc) : VMAFX_OK;
}

/* ---- Facts ---- */

static const char *known(const char *text)
{
    return text ? text : "unknown";
}

/* Planar YUV or grey with the luma in a plane of its own. */
static VmafxErr luma_format(const VmafxDecoder *decoder, int pix_fmt, int *ret_bpc, VmafxPixFmt *ret_pix,
                            VmafxErrInfo *reterr)
{
    const AVPixFmtDescriptor *desc = av_pix_fmt_desc_get(pix_fmt);
    const uint64_t foreign = AV_PIX_FMT_FLAG_RGB | AV_PIX_FMT_FLAG_PAL | AV_PIX_FMT_FLAG_HWACCEL |
                             AV_PIX_FMT_FLAG_BITSTREAM | AV_PIX_FMT_FLAG_FLOAT | AV_PIX_FMT_FLAG_BAYER;

    if (!desc)
        return vmafx_fail(reterr, VMAFX_ERR_INPUT, "'%s': the pixel format is not known", decoder->name);
    int depth = desc->comp[0].depth, step = depth > 8 ? 2 : 1, w = desc->log2_chroma_w, h = desc->log2_chroma_h;
    bool grey = desc->nb_components<3, byte_order = depth> 8 && (desc->flags & AV_PIX_FMT_FLAG_BE);
    bool layout =
        desc->comp[0].plane == 0 && !desc->comp[0].shift && !desc->comp[0].offset && desc->comp[0].step == step;

    if ((desc->flags & foreign) || byte_order || !layout || depth < 8 || depth > 16 || (!grey && (w > 1 || h > w)))
        return vmafx_fail(
            reterr, VMAFX_ERR_UNSUPPORTED,
            "'%s' has the pixel format %s; planar YUV or grey of 8 to 16 bits can be measured: convert it, "
            "for example with ffmpeg -pix_fmt yuv420p",
            decoder->name, desc->name);
    *ret_bpc = depth;
    *ret_pix = grey ? VMAFX_PIX_400 : h ? VMAFX_PIX_420 : w ? VMAFX_PIX_422 : VMAFX_PIX_444;
    return VMAFX_OK;
}

/* Every decoder that still uses the yuvj formats means full range by them. */
static const char *range_name(int pix_fmt, enum AVColorRange range)
{
    const char *name = av_get_pix_fmt_name(pix_fmt);

    return name && !strncmp(name, "yuvj", 4) ? "pc" : known(av_color_range_name(range));
}

static VmafxErr check_size(const VmafxDecoder *decoder, int w, int h, VmafxErrInfo *reterr)
{
    if (w < 1 || h < 1)
        return vmafx_fail(reterr, VMAFX_ERR_INPUT, "'%s': the size of the pictures is not known", decoder->name);
    if (w > VMAFX_DIMENSION_MAX || h > VMAFX_DIMENSION_MAX || (long long)w * h > SAMPLES_MAX)
        return vmafx_fail(reterr, VMAFX_ERR_LIMIT, "'%s': a picture of %dx%d; at most %lld samples are possible",
                          decoder->name, w, h, SAMPLES_MAX);
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

static VmafxErr gather_info(VmafxDecoder *decoder, VmafxVideoInfo *info, VmafxErrInfo *reterr)
{
    AVStream *stream = decoder->format->streams[decoder->stream];
    const AVCodecParameters *par = stream->codecpar;
    AVRational rate = av_guess_frame_rate(decoder->format, stream, NULL);

    *info = (VmafxVideoInfo){ .w = par->width, .h = par->height, .rate_num = 0, .rate_den = 1 };
    VmafxErr err = check_size(decoder, par->width, par->height, reterr);
    if (!err)
        err = luma_format(decoder, par->format, &info->bpc, &info->pix, reterr);
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
    info->range = range_name(par->format, par->color_range);
    info->matrix = known(av_color_space_name(par->color_space));
    info->transfer = known(av_color_transfer_name(par->color_trc));
    info->primaries = known(av_color_primaries_name(par->color_primaries));
    snprintf(info->container, sizeof info->container, "%s", decoder->format->iformat->name);
    snprintf(info->codec, sizeof info->codec, "%s", avcodec_get_name(par->codec_id));
    return VMAFX_OK;
}

VmafxErr vmafx_decoder_open(int fd, const char *name, const void *head, size_t head_len, VmafxDecoder **ret_decoder,
                            VmafxVideoInfo *ret_info, VmafxErrInfo *reterr)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    VMAFX_AUTO(vmafx_decoder_close) VmafxDecoder *decoder = calloc(1, sizeof *decoder);

    pthread_once(&once, take_log);
    memset(&heard, 0, sizeof heard);
    if (!decoder) {
        close(fd);
        return vmafx_fail(reterr, VMAFX_ERR_NOMEM, "no memory to read '%s'", name);
    }
    decoder->source.fd = fd;
    decoder->source.base = lseek(fd, -(off_t)head_len, SEEK_CUR);
    decoder->source.seekable = decoder->source.base >= 0;
    decoder->name = vmafx_strdup(name);
    decoder->last_end_us = INT64_MIN;
    if (!decoder->source.seekable) {
        memcpy(decoder->source.head, head, VMAFX_MIN(head_len, (size_t)HEAD_MAX));
        decoder->source.head_len = VMAFX_MIN(head_len, (size_t)HEAD_MAX);
    }

    VmafxErr err = decoder->name ? open_io(decoder) : VMAFX_ERR_NOMEM;
    if (!err)
        err = open_format(decoder, reterr);
    if (!err)
        err = open_codec(decoder, reterr);
    if (!err)
        err = gather_info(decoder, ret_info, reterr);
    if (!err)
        decoder->damaged_early = heard_of_damage(decoder->format, decoder->stream);
    if (err == VMAFX_ERR_NOMEM)
        return vmafx_fail(reterr, err, "no memory to read '%s'", name);
    if (err)
        return err;
    *ret_decoder = VMAFX_TAKE(decoder);
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
    close(decoder->source.fd);
    free(decoder->name);
    free(decoder);
    *decoder_p = NULL;
}

/* ---- What is reported ---- */

static VmafxErr broken(const VmafxDecoder *decoder, const char *what, int averror, VmafxErrInfo *reterr)
{
    char text[AV_ERROR_MAX_STRING_SIZE + sizeof heard.complaint] = "";

    if (averror == AVERROR(ENOMEM))
        return vmafx_fail(reterr, VMAFX_ERR_NOMEM, "no memory to decode '%s'", decoder->name);
    if (averror)
        describe(averror, text, sizeof text);
    return vmafx_fail(reterr, VMAFX_ERR_TRUNCATED, "'%s' is cut or corrupt at frame %llu: %s%s%s", decoder->name,
                      (unsigned long long)decoder->n_frames, what, averror ? ": " : "", text);
}

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

/*
 * ---- Ends ----
 * Each looks at bytes only, knows one family of containers, and tells whether the file is shorter than it must be.
 * Where a file promises nothing, or is laid out as none of them expects, the answer is no.
 */

static uint64_t big_endian(const unsigned char *p, size_t n)
{
    uint64_t v = 0;

    while (n--)
        v = v << 8 | *p++;
    return v;
}

static uint64_t little_endian(const unsigned char *p, size_t n)
{
    uint64_t v = 0;

    while (n--)
        v = v << 8 | p[n];
    return v;
}

/* EBML's variable-length number. 0 in the result: none, or the all-ones of "unknown". */
static uint64_t ebml_size(const unsigned char *p, size_t len, size_t *ret_n)
{
    size_t n = 1;

    while (n <= 8 && len && !(p[0] & (0x80 >> (n - 1))))
        n++;
    *ret_n = n;
    if (n > 8 || n > len)
        return 0;
    uint64_t v = big_endian(p, n) & ((1ull << (7 * n)) - 1);
    return v == (1ull << (7 * n)) - 1 ? 0 : v;
}

/* The EBML header, then the segment, whose size the muxer fills in at the end. */
static uint64_t matroska_end(const unsigned char *p, size_t len)
{
    static const unsigned char segment[] = { 0x18, 0x53, 0x80, 0x67 };
    size_t n, at = 4;

    if (len < 16)
        return 0;
    uint64_t header = ebml_size(p + at, len - at, &n);
    at += n + header;
    if (!header || header > len || at + sizeof segment + 8 > len || memcmp(p + at, segment, sizeof segment) != 0)
        return 0;
    at += sizeof segment;
    uint64_t size = ebml_size(p + at, len - at, &n);
    return size ? at + n + size : 0;
}

/* The first RIFF chunk; 0 and all ones are what streaming muxers leave there. */
static uint64_t avi_end(const unsigned char *p, size_t len)
{
    uint64_t size = len < 12 || memcmp(p, "RIFF", 4) != 0 ? 0 : little_endian(p + 4, 4);

    return size && size < 0xFFFFFF00 ? size + 8 : 0;
}

/* The file properties object holds the size of the file. */
static uint64_t asf_end(const unsigned char *p, size_t len)
{
    static const unsigned char properties[] = { 0xA1, 0xDC, 0xAB, 0x8C, 0x47, 0xA9, 0xCF, 0x11,
                                                0x8E, 0xE4, 0x00, 0xC0, 0x0C, 0x20, 0x53, 0x65 };
    const unsigned char *at = memmem(p, len, properties, sizeof properties);

    return at && (size_t)(p + len - at) >= 48 ? little_endian(at + 40, 8) : 0;
}

/* The header partition tells where the footer partition begins; 0 while it was not known. */
static uint64_t mxf_end(const unsigned char *p, size_t len)
{
    static const unsigned char partition[] = { 0x06, 0x0E, 0x2B, 0x34, 0x02, 0x05, 0x01,
                                               0x01, 0x0D, 0x01, 0x02, 0x01, 0x01, 0x02 };

    if (len < 64 || memcmp(p, partition, sizeof partition) != 0)
        return 0;
    size_t at = 17 + (p[16] & 0x80 ? p[16] & 0x7F : 0);
    uint64_t footer = at + 32 <= len ? big_endian(p + at + 24, 8) : 0;
    return footer ? footer + 1 : 0;
}

/* What one stream's packet of a transport stream (PES) said of its length, and what has come of it. */
typedef struct Pes {
    uint32_t want, got; /* bytes; want is 0 while it is open, as pictures often are */
} Pes;

/* One transport packet of 188 bytes. */
static void follow_pes(Pes *all, const unsigned char *p)
{
    Pes *pes = &all[(p[1] & 0x1F) << 8 | p[2]];
    size_t at = p[3] & 0x20 ? 5 + (size_t)p[4] : 4; /* after the adaptation field */

    if (p[0] != 0x47 || !(p[3] & 0x10) || at >= 188)
        return;
    if (p[1] & 0x40) { /* something begins here; a table has no start code and no want */
        bool start = at + 6 <= 188 && !p[at] && !p[at + 1] && p[at + 2] == 1;
        uint32_t length = start ? (uint32_t)big_endian(p + at + 4, 2) : 0;
        *pes = (Pes){ length ? length + 6 : 0, 0 };
    }
    pes->got += (uint32_t)(188 - at);
}

/* Whether some stream's last packet is incomplete. The longest PES with a length has 64 KiB; other streams interleave.
 */
static bool pes_is_cut(const Source *source, uint64_t size, size_t length, size_t sync)
{
    enum { PIDS = 8192, TAIL_PACKETS = 4096 };
    size_t n = (size_t)VMAFX_MIN(size / length, (uint64_t)TAIL_PACKETS);
    VMAFX_AUTO(vmafx_free_p) unsigned char *tail = malloc(n * length);
    VMAFX_AUTO(vmafx_free_p) Pes *all = calloc(PIDS, sizeof *all);

    if (!tail || !all || !peek(source, (int64_t)(size - n * length), tail, n * length))
        return false;
    for (size_t i = 0; i < n; i++)
        follow_pes(all, tail + i * length + sync);
    for (size_t i = 0; i < PIDS; i++)
        if (all[i].want > all[i].got)
            return true;
    return false;
}

/* Transport packets are 188 bytes, or 192 with a time stamp before them, or 204 with a check sum behind. */
static bool mpegts_is_cut(const Source *source, uint64_t size)
{
    static const struct {
        size_t length, sync;
    } kinds[] = { { 188, 0 }, { 192, 4 }, { 204, 0 } };

    for (size_t i = 0; i < VMAFX_LEN(kinds); i++) {
        size_t at = kinds[i].sync;
        while (at < source->first_len && source->first[at] == 0x47)
            at += kinds[i].length;
        if (at >= source->first_len)
            return size % kinds[i].length || pes_is_cut(source, size, kinds[i].length, kinds[i].sync);
    }
    return false;
}

/* Tags of audio, video and data, each followed by its length, which some writers leave out at the very end. */
static bool flv_is_cut(const Source *source, uint64_t size)
{
    unsigned char tag[11];
    uint64_t at;

    if (source->first_len < 9)
        return false;
    for (at = big_endian(source->first + 5, 4) + 4; at < size;) {
        if (size - at < sizeof tag)
            return true;
        if (!peek(source, (int64_t)at, tag, sizeof tag) || (tag[0] != 8 && tag[0] != 9 && tag[0] != 18))
            return false;
        at += sizeof tag + big_endian(tag + 1, 3);
        if (at == size)
            return false;
        at += 4;
    }
    return at > size;
}

/* IVF: after a header that tells its own length, frames, each behind its length and a time stamp. */
static bool ivf_is_cut(const Source *source, uint64_t size)
{
    unsigned char head[12];
    uint64_t at = source->first_len < 8 ? size : little_endian(source->first + 6, 2);

    while (at < size) {
        if (size - at < sizeof head)
            return true;
        if (!peek(source, (int64_t)at, head, sizeof head))
            return false;
        at += sizeof head + little_endian(head, 4);
    }
    return at > size;
}

/* The boxes on top, one behind the other; the last one may have size 0, "to the end". */
static bool mov_is_cut(const Source *source, uint64_t size)
{
    uint64_t at = 0;
    unsigned char box[16];

    while (size - at >= 8) {
        if (!peek(source, (int64_t)at, box, 8))
            return false;
        uint64_t length = big_endian(box, 4);
        if (length == 1) {
            if (size - at < 16)
                return true;
            if (!peek(source, (int64_t)at, box, 16))
                return false;
            length = big_endian(box + 8, 8);
        }
        if (length < 8)
            return false; /* to the end, or padding */
        if (length > size - at)
            return true;
        at += length;
    }
    return at < size; /* not even the head of a box */
}

/* AV1: chained units, each with its size in LEB128, before it (Annex B) or behind a header of one or two bytes. */
static bool av1_is_cut(const Source *source, uint64_t size, bool annex_b)
{
    uint64_t at = 0;

    while (at < size) {
        unsigned char head[10] = { 0 };
        size_t room = (size_t)VMAFX_MIN(sizeof head, size - at), n = 0;
        uint64_t length = 0;

        if (!peek(source, (int64_t)at, head, room))
            return false;
        if (!annex_b) {
            if (!(head[0] & 2))
                return false; /* without a size nothing can be told */
            n = head[0] & 4 ? 2 : 1;
        }
        for (int shift = 0; shift < 56; shift += 7, n++) {
            if (n >= room)
                return true;
            length |= (uint64_t)(head[n] & 0x7F) << shift;
            if (!(head[n] & 0x80))
                break;
        }
        n++;
        if (length > size - at || n > size - at - length)
            return true;
        at += n + length;
    }
    return false;
}

/* The last page must reach to the end exactly. */
static bool ogg_is_cut(const Source *source, uint64_t size)
{
    enum { PAGE_MAX = 27 + 255 + 255 * 255 };
    size_t n = (size_t)VMAFX_MIN((uint64_t)PAGE_MAX, size);
    VMAFX_AUTO(vmafx_free_p) unsigned char *tail = malloc(n);

    if (!tail || !peek(source, (int64_t)(size - n), tail, n))
        return false;
    for (size_t at = 0; at + 27 <= n; at++) {
        if (memcmp(tail + at, "OggS", 4) != 0)
            continue;
        size_t segments = tail[at + 26], length = 27 + segments;
        for (size_t i = 0; i < segments && at + 27 + i < n; i++)
            length += tail[at + 27 + i];
        if (length == n - at)
            return false;
    }
    return true;
}

/* Whether the bytes end before they should. */
static bool bytes_are_cut(const VmafxDecoder *decoder)
{
    const Source *source = &decoder->source;
    const char *kind = decoder->format->iformat->name;
    int64_t size = source_size(source);
    uint64_t end = 0;

    if (size <= 0)
        return false;
    if (!strcmp(kind, "matroska,webm"))
        end = matroska_end(source->first, source->first_len);
    else if (!strcmp(kind, "avi"))
        end = avi_end(source->first, source->first_len);
    else if (!strcmp(kind, "asf"))
        end = asf_end(source->first, source->first_len);
    else if (!strcmp(kind, "mxf"))
        end = mxf_end(source->first, source->first_len);
    else if (!strcmp(kind, "mpegts"))
        return mpegts_is_cut(source, (uint64_t)size);
    else if (!source->seekable)
        return false;
    else if (!strncmp(kind, "mov,", 4))
        return mov_is_cut(source, (uint64_t)size);
    else if (!strcmp(kind, "ivf"))
        return ivf_is_cut(source, (uint64_t)size);
    else if (!strcmp(kind, "flv"))
        return flv_is_cut(source, (uint64_t)size);
    else if (!strcmp(kind, "obu") || !strcmp(kind, "av1"))
        return av1_is_cut(source, (uint64_t)size, kind[0] == 'a');
    else if (!strcmp(kind, "ogg"))
        return ogg_is_cut(source, (uint64_t)size);
    return (uint64_t)size < end;
}

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
    return broken(decoder, what, 0, reterr);
}

/* Streaming muxers leave zeros or all ones where the length belongs, and demuxers believe them. */
static bool length_is_placeholder(const VmafxDecoder *decoder)
{
    const Source *source = &decoder->source;
    const char *kind = decoder->format->iformat->name;

    if (!strcmp(kind, "avi"))
        return !avi_end(source->first, source->first_len);
    return !strcmp(kind, "ivf") && source->first_len >= 28 && little_endian(source->first + 24, 4) >= INT32_MAX;
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
        decoder->last_end_us == INT64_MIN || length_is_placeholder(decoder))
        return VMAFX_OK;
    if (rate.num > 0 && rate.den > 0)
        room = VMAFX_MAX(room, av_rescale(2 * AV_TIME_BASE, rate.den, rate.num));

    double end = (double)decoder->last_end_us - (double)VMAFX_MIN(start, 0);
    if (end + (double)room >= (double)format->duration)
        return VMAFX_OK;
    snprintf(what, sizeof what, "it ends at %.2f s of %.2f s", end / AV_TIME_BASE,
             (double)format->duration / AV_TIME_BASE);
    return broken(decoder, what, 0, reterr);
}

/* Whether the file ended where it should have. */
static VmafxErr check_whole(const VmafxDecoder *decoder, VmafxErrInfo *reterr)
{
    if (decoder->source.error)
        return av_fail(reterr, VMAFX_ERR_IO, decoder, "", 0);
    if (decoder->last_corrupt)
        return broken(decoder, "its last packet is incomplete", 0, reterr);
    if (bytes_are_cut(decoder))
        return broken(decoder, "the file is shorter than it says", 0, reterr);
    if (!decoder->n_frames)
        return broken(decoder, "it ends without a single frame", 0, reterr);
    if (decoder->n_chunks < decoder->promised_chunks)
        return broken(decoder, "its index tells of more pictures", 0, reterr);
    return decoder->promised_packets ? check_count(decoder, reterr) : check_time(decoder, reterr);
}

/* ---- Frames ---- */

/* Sends the decoder one packet of the stream, or the end. */
static VmafxErr feed(VmafxDecoder *decoder, VmafxErrInfo *reterr)
{
    for (;;) {
        heard.by = heard.marked_by = NULL;
        int rc = av_read_frame(decoder->format, decoder->packet);

        if (heard_of_damage(decoder->format, decoder->stream)) {
            av_packet_unref(decoder->packet);
            return broken(decoder, "the container is damaged", rc < 0 ? rc : AVERROR_INVALIDDATA, reterr);
        }
        if (rc == AVERROR_EOF) {
            decoder->draining = true;
            rc = avcodec_send_packet(decoder->codec, NULL);
            return rc < 0 ? broken(decoder, "the decoder cannot be emptied", rc, reterr) : VMAFX_OK;
        }
        if (rc == AVERROR(ENOMEM) && bytes_are_cut(decoder))
            rc = AVERROR_INVALIDDATA; /* an absurd length was asked for */
        if (rc < 0)
            return decoder->source.error ? av_fail(reterr, VMAFX_ERR_IO, decoder, "", rc)
                                         : broken(decoder, "reading failed", rc, reterr);
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
            return broken(decoder, "the container marks a damaged packet", 0, reterr);
        return rc < 0 ? broken(decoder, "decoding failed", rc, reterr) : VMAFX_OK;
    }
}

static VmafxErr check_frame(VmafxDecoder *decoder, VmafxVideoInfo *info, VmafxErrInfo *reterr)
{
    const AVFrame *frame = decoder->frame;

    if (atomic_load(&decoder->complained))
        return broken(decoder,
                      decoder->codec->codec_id == AV_CODEC_ID_FFV1 ? "a check sum is wrong"
                                                                   : "a picture that others refer to is missing",
                      0, reterr);
    if (frame->decode_error_flags || (frame->flags & AV_FRAME_FLAG_CORRUPT))
        return broken(decoder, "the decoder had to conceal errors", 0, reterr);
    if (decoder->n_frames == 0) {
        VmafxErr err = check_size(decoder, frame->width, frame->height, reterr);
        if (!err)
            err = luma_format(decoder, frame->format, &info->bpc, &info->pix, reterr);
        decoder->first_format = frame->format;
        info->w = frame->width;
        info->h = frame->height;
        info->range = range_name(frame->format, frame->color_range);
        info->matrix = known(av_color_space_name(frame->colorspace));
        info->transfer = known(av_color_transfer_name(frame->color_trc));
        info->primaries = known(av_color_primaries_name(frame->color_primaries));
        return err;
    }
    if (frame->width != info->w || frame->height != info->h || frame->format != decoder->first_format)
        return vmafx_fail(reterr, VMAFX_ERR_MISMATCH, "'%s' changes from %dx%d %s to %dx%d %s at frame %llu",
                          decoder->name, info->w, info->h, known(av_get_pix_fmt_name(decoder->first_format)),
                          frame->width, frame->height, known(av_get_pix_fmt_name(frame->format)),
                          (unsigned long long)decoder->n_frames);
    return VMAFX_OK;
}

VmafxErr vmafx_decoder_next(VmafxDecoder *decoder, VmafxVideoInfo *info, VmafxPlane *ret_luma, bool *ret_more,
                            VmafxErrInfo *reterr)
{
    int rc;

    heard.complaint[0] = 0;
    *ret_more = false;
    if (decoder->damaged_early)
        return broken(decoder, "the container is damaged within its first seconds", 0, reterr);
    while ((rc = avcodec_receive_frame(decoder->codec, decoder->frame)) < 0) {
        if (rc == AVERROR_EOF || (rc == AVERROR(EAGAIN) && decoder->draining))
            return check_whole(decoder, reterr);
        if (rc != AVERROR(EAGAIN))
            return broken(decoder, "decoding failed", rc, reterr);
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

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * A video as a row of frames: raw planar .yuv, .y4m, or whatever FFmpeg's libraries decode.
 * FFmpeg's headers stay inside this room.
 */
#ifndef VMAFX_MEDIA_READER_H
#define VMAFX_MEDIA_READER_H

#include <stdatomic.h>

#include <vmafx/engine.h>

#include "base/digest.h"

typedef struct VmafxReader VmafxReader;

typedef enum VmafxPixFmt { VMAFX_PIX_420 = 0, VMAFX_PIX_422, VMAFX_PIX_444, VMAFX_PIX_400 } VmafxPixFmt;

/** How to read a file that says nothing of itself; all four fields are required. */
typedef struct VmafxRawFormat {
    int w, h, bpc; /* 1 … VMAFX_DIMENSION_MAX; 8 … 16, in two bytes, low bits, little endian, above 8 */
    VmafxPixFmt pix;
    /* Chroma planes of odd sizes are rounded down, as the reference tool reads them, when set; else up. */
    bool chroma_down;
} VmafxRawFormat;

/**
 * What a file says of itself. Strings are FFmpeg's names or "unknown"; rate is 0/1 when unknown. After the first
 * vmafx_reader_next, w, h, bpc, pix and the colour fields are those of the first decoded frame.
 */
typedef struct VmafxVideoInfo {
    int w, h, bpc;
    VmafxPixFmt pix;
    int rate_num, rate_den;
    double start_s;          /* presentation time of the first frame where the container tells, else 0 */
    int64_t frames;          /* exactly what the container or the file size promises; 0 when it promises nothing */
    int64_t frames_estimate; /* for progress: frames, or what duration and rate suggest; 0 when unknown */
    const char *range, *matrix, *transfer, *primaries; /* static strings */
    char container[64], codec[64];
} VmafxVideoInfo;

/**
 * Opens a file or FIFO by name ("file:NAME" too), standard input ("-", "pipe:") or a descriptor ("fd:N", "pipe:N").
 * Nothing else is reached: FFmpeg reads through the descriptor opened here and cannot open further ones. raw is NULL
 * unless the file is raw planar video. y4m is recognised by its magic; everything else goes to FFmpeg, with the
 * demuxers of an allow-list of ordinary containers.
 * @return VMAFX_ERR_NOT_FOUND, VMAFX_ERR_INPUT (not a video, refused demuxer, no video stream), VMAFX_ERR_UNSUPPORTED
 *         (pixel format that is not planar YUV or grey of 8 to 16 bits; no decoder), VMAFX_ERR_INVALID (raw format out
 *         of range), VMAFX_ERR_LIMIT (a picture beyond VMAFX_DIMENSION_MAX or 2^28 samples), VMAFX_ERR_IO,
 *         VMAFX_ERR_NOMEM
 */
VMAFX_CHECK VmafxErr vmafx_reader_open(const char *path, const VmafxRawFormat *raw, VmafxReader **ret_reader,
                                       VmafxErrInfo *reterr);
/** The same for a descriptor that is open already; it is taken over, and closed on failure too. name: for messages. */
VMAFX_CHECK VmafxErr vmafx_reader_open_fd(int fd, const char *name, const VmafxRawFormat *raw, VmafxReader **ret_reader,
                                          VmafxErrInfo *reterr);
/** For inputs that arrive while they are read. */
typedef struct VmafxReaderLive {
    const atomic_bool *stop; /* once set, a read that waits for a pipe or socket fails within 100 ms; NULL: never */
    bool digest;             /* compute the digest of a pipe or socket on the way */
} VmafxReaderLive;
/**
 * Both of the above: fd -1 opens `name`. Pipes, FIFOs and sockets are read from front to back; a first frame comes as
 * soon as its bytes are there (y4m, raw) or as the container allows, which is refused when it cannot be read so.
 */
VMAFX_CHECK VmafxErr vmafx_reader_open_live(int fd, const char *name, const VmafxRawFormat *raw,
                                            const VmafxReaderLive *live, VmafxReader **ret_reader,
                                            VmafxErrInfo *reterr);
void vmafx_reader_close(VmafxReader **reader);

/** SHA-256 of a pipe that was read to its end, and was to be digested; false else, and for files. Once. */
bool vmafx_reader_digest(VmafxReader *reader, char ret_hex[VMAFX_SHA256_TEXT]);

const VmafxVideoInfo *vmafx_reader_info(const VmafxReader *reader);

/**
 * The next frame's luma. At the end *ret_more is false. The plane stays valid until the next call on this reader.
 * @return VMAFX_ERR_TRUNCATED when the file ends inside a frame or is corrupt there, or holds fewer frames than its
 *         container promises; VMAFX_ERR_MISMATCH when the size or format changes midway; VMAFX_ERR_IO when reading
 *         fails; VMAFX_ERR_NOMEM. The frames before are good; after an error the reader is only good for closing.
 */
VMAFX_CHECK VmafxErr vmafx_reader_next(VmafxReader *reader, VmafxPlane *ret_luma, bool *ret_more, VmafxErrInfo *reterr);

/**
 * Where the next frame's luma may be written, when that saves a copy (a raw file whose rows have that length; chroma is
 * not wanted): the plane that comes next is then this one, else the reader's own as ever. For one frame.
 * @param luma  writable; w, h and bpc as the video has them, else it is ignored
 */
void vmafx_reader_into(VmafxReader *reader, const VmafxPlane *luma);

/** Before the first frame: chroma is wanted as well, else it may be passed over. VMAFX_ERR_NOMEM */
VMAFX_CHECK VmafxErr vmafx_reader_keep_chroma(VmafxReader *reader, VmafxErrInfo *reterr);
/**
 * The whole picture whose luma was given last; valid as long as that. Chroma planes of odd sizes are rounded up, unless
 * the raw format says down.
 * @return VMAFX_ERR_UNSUPPORTED when Cb and Cr lie in one plane
 */
VMAFX_CHECK VmafxErr vmafx_reader_picture(const VmafxReader *reader, VmafxPicture *ret_picture, VmafxErrInfo *reterr);
#endif

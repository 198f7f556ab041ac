/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The bytes of a video as FFmpeg's callbacks read them, and what containers promise in them. Private to decode*.c; no
 * FFmpeg in here, so that the promises (decode_bytes.c) can be read without knowing it.
 */
#ifndef VMAFX_MEDIA_DECODE_SOURCE_H
#define VMAFX_MEDIA_DECODE_SOURCE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "media/pipe.h"

#define DECODE_HEAD_MAX    64
#define DECODE_FIRST_BYTES 4096 /* what is kept of a file's beginning, to read its promises from */

/*
 * What the callbacks work on. A seekable file is read with pread at a position of our own, so that two readers of one
 * descriptor ("fd:3" given twice) do not disturb each other. Positions count from where the descriptor stood.
 */
typedef struct DecodeSource {
    int fd;          /* -1 with a pipe */
    VmafxPipe *pipe; /* NULL: seekable */
    bool seekable;
    off_t base;                          /* offset in the file of our position 0 */
    int64_t at;                          /* position of the next read; on a pipe: bytes delivered */
    unsigned char head[DECODE_HEAD_MAX]; /* of a pipe: read before we came, to be delivered first */
    size_t head_len;
    unsigned char first[DECODE_FIRST_BYTES];
    size_t first_len;
    bool ended; /* a read has met the end */
    int error;  /* errno of a failed read, which demuxers take for an end */
} DecodeSource;

/* ---- Reading (decode_source.c) ---- */

/** FFmpeg's callback; opaque is the source. Bytes, AVERROR_EOF, or AVERROR of errno, which is kept in source->error. */
int decode_source_read(void *opaque, uint8_t *buffer, int size);
/** FFmpeg's other callback, of seekable sources. */
int64_t decode_source_seek(void *opaque, int64_t offset, int whence);
/** The bytes there are; -1 when that is not known (yet). */
int64_t decode_source_size(const DecodeSource *source);
/** Reads without moving the position; false when they are not all there, and on a pipe. */
bool decode_source_peek(const DecodeSource *source, int64_t at, unsigned char *buffer, size_t size);

/* ---- Promises (decode_bytes.c). kind is the name of FFmpeg's demuxer. ---- */

/** MP4's index (moov) behind its data (mdat), as encoders leave it: of use only to those who can go back. Judged by the
    boxes on top that have been read so far. */
bool decode_index_comes_last(const DecodeSource *source);
/** Whether the bytes end before they should. */
bool decode_bytes_are_cut(const DecodeSource *source, const char *kind);
/** Streaming muxers leave zeros or all ones where the length belongs, and demuxers believe them. */
bool decode_length_is_placeholder(const DecodeSource *source, const char *kind);
#endif

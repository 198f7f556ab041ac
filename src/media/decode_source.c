/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Reading: the callbacks through which FFmpeg gets bytes, and has no other way to get any. */

#include "media/decode_source.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <libavformat/avformat.h>

#include "base/base.h"

static ssize_t read_some(DecodeSource *source, uint8_t *buffer, size_t size)
{
    if (!source->seekable && (uint64_t)source->at < source->head_len) {
        size_t n = VMAFX_MIN(size, source->head_len - (size_t)source->at);
        memcpy(buffer, source->head + source->at, n);
        return (ssize_t)n;
    }
    for (;;) {
        ssize_t n = source->seekable ? pread(source->fd, buffer, size, source->base + source->at)
                                     : vmafx_pipe_read(source->pipe, buffer, size);
        if (n >= 0 || errno != EINTR)
            return n;
    }
}

int decode_source_read(void *opaque, uint8_t *buffer, int size)
{
    DecodeSource *source = opaque;
    ssize_t n = read_some(source, buffer, (size_t)size);

    if (n < 0) {
        source->error = errno;
        return AVERROR(errno);
    }
    if (n == 0) {
        source->ended = true;
        return AVERROR_EOF;
    }
    if (source->at == (int64_t)source->first_len && source->first_len < DECODE_FIRST_BYTES) {
        size_t keep = VMAFX_MIN((size_t)n, DECODE_FIRST_BYTES - source->first_len);
        memcpy(source->first + source->first_len, buffer, keep);
        source->first_len += keep;
    }
    source->at += n;
    return (int)n;
}

int64_t decode_source_size(const DecodeSource *source)
{
    struct stat st;

    if (!source->seekable)
        return source->ended ? source->at : -1;
    return fstat(source->fd, &st) || !S_ISREG(st.st_mode) ? -1 : st.st_size - source->base;
}

int64_t decode_source_seek(void *opaque, int64_t offset, int whence)
{
    DecodeSource *source = opaque;
    int64_t size = decode_source_size(source), at = offset;

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

bool decode_source_peek(const DecodeSource *source, int64_t at, unsigned char *buffer, size_t size)
{
    return source->seekable && at >= 0 && pread(source->fd, buffer, size, source->base + at) == (ssize_t)size;
}

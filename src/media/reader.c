/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Which reader a name gets. */

#include "media/reader.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"
#include "media/decode.h"
#include "media/encode.h"
#include "media/encode_reader.h"
#include "media/pipe.h"
#include "media/raw.h"
#include "media/reader_internal.h"

struct VmafxReader {
    VmafxRaw *raw;         /* either this … */
    VmafxDecoder *decoder; /* … or that … */
    VmafxEncode *encode;   /* … or this, which has a reader of its own */
    VmafxPipe pipe;        /* what they read, when it cannot be sought; else fd is -1 */
    VmafxVideoInfo info;
};

/* "fd:3" and "pipe:3"; "pipe:" is standard input. -1: no such name. */
static int named_descriptor(const char *path)
{
    const char *number = !strncmp(path, "fd:", 3) ? path + 3 : !strncmp(path, "pipe:", 5) ? path + 5 : NULL;
    char *end;

    if (!strcmp(path, "-") || !strcmp(path, "pipe:"))
        return STDIN_FILENO;
    if (!number || !isdigit((unsigned char)*number))
        return -1;
    long fd = strtol(number, &end, 10);
    return *end || fd > INT32_MAX ? -1 : (int)fd;
}

/* "http:", "concat:" and the like: at least two letters, so that no drive letter is meant. */
static bool has_scheme(const char *path)
{
    size_t n = strspn(path, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+.-");

    return n > 1 && isalpha((unsigned char)path[0]) && path[n] == ':';
}

/* stoppable: opening a FIFO does not wait for its writer; reading will. */
static VmafxErr open_path(const char *path, bool stoppable, int *ret_fd, VmafxErrInfo *reterr)
{
    const int flags = O_RDONLY | O_CLOEXEC | (stoppable ? O_NONBLOCK : 0);
    struct stat st;
    int given = named_descriptor(path);

    if (given >= 0) {
        int fd = fcntl(given, F_DUPFD_CLOEXEC, 0);
        if (fd < 0)
            return vmafx_fail(reterr, VMAFX_ERR_INPUT, "'%s' is not an open descriptor: %s", path, strerror(errno));
        *ret_fd = fd;
        return VMAFX_OK;
    }

    int fd = open(path, flags);
    int why = errno;
    if (fd < 0 && !strncmp(path, "file:", 5)) {
        fd = open(path + 5, flags);
        why = errno;
    }
    if (fd < 0 && why == ENOENT && has_scheme(path) && strncmp(path, "file:", 5) != 0)
        return vmafx_fail(reterr, VMAFX_ERR_INPUT,
                          "'%s' is an address; only local files, pipes and descriptors are read: fetch it first", path);
    if (fd < 0)
        return vmafx_fail(reterr, why == ENOENT ? VMAFX_ERR_NOT_FOUND : VMAFX_ERR_INPUT, "cannot open '%s': %s", path,
                          strerror(why));
    if (!fstat(fd, &st) && S_ISDIR(st.st_mode)) {
        close(fd);
        return vmafx_fail(reterr, VMAFX_ERR_INPUT, "'%s' is a folder, not a video", path);
    }
    *ret_fd = fd;
    return VMAFX_OK;
}

/* The first bytes, fewer only where the file ends. False with errno: they cannot be read. */
static bool read_head(int fd, VmafxPipe *pipe, char *head, size_t size, size_t *ret_n)
{
    size_t n = 0;

    while (n < size) {
        ssize_t got = pipe ? vmafx_pipe_read(pipe, head + n, size - n) : read(fd, head + n, size - n);
        if (got < 0 && errno != EINTR)
            return false;
        if (got == 0)
            break;
        n += got > 0 ? (size_t)got : 0;
    }
    *ret_n = n;
    return true;
}

/* fd is taken over; -1: there is a pipe. */
static VmafxErr open_described(VmafxReader *reader, int fd, VmafxPipe *pipe, const char *name, VmafxErrInfo *reterr)
{
    char head[sizeof VMAFX_Y4M_MAGIC - 1];
    size_t n = 0;
    bool readable = read_head(fd, pipe, head, sizeof head, &n);

    if (!readable || !n) {
        int why = errno;
        if (fd >= 0)
            close(fd);
        return readable ? vmafx_fail(reterr, VMAFX_ERR_INPUT, "'%s' is empty", name)
                        : vmafx_fail(reterr, VMAFX_ERR_IO, "cannot read '%s': %s", name, strerror(why));
    }
    if (n == sizeof head && !memcmp(head, VMAFX_Y4M_MAGIC, n))
        return vmafx_raw_open(fd, pipe, name, NULL, &reader->raw, &reader->info, reterr);
    return vmafx_decoder_open(fd, pipe, name, head, n, &reader->decoder, &reader->info, reterr);
}

static VmafxErr open_reader(int fd, const char *name, const VmafxRawFormat *raw, const VmafxReaderLive *live,
                            VmafxReader **ret_reader, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(vmafx_reader_close) VmafxReader *reader = calloc(1, sizeof *reader);
    VmafxPipe *pipe = NULL;

    if (!reader) {
        close(fd);
        return vmafx_fail(reterr, VMAFX_ERR_NOMEM, "no memory to read '%s'", name);
    }
    reader->pipe.fd = -1;
    if (vmafx_pipe_is_one(fd)) {
        pipe = &reader->pipe;
        *pipe = (VmafxPipe){ .fd = fd, .stop = live->stop, .digesting = live->digest };
        vmafx_sha256_init(&pipe->sha);
        fd = -1;
    }
    VmafxErr err = raw ? vmafx_raw_open(fd, pipe, name, raw, &reader->raw, &reader->info, reterr)
                       : open_described(reader, fd, pipe, name, reterr);
    if (err)
        return err;
    *ret_reader = VMAFX_TAKE(reader);
    return VMAFX_OK;
}

VmafxErr vmafx_reader_open_live(int fd, const char *name, const VmafxRawFormat *raw, const VmafxReaderLive *live,
                                VmafxReader **ret_reader, VmafxErrInfo *reterr)
{
    VmafxErr err = fd < 0 ? open_path(name, live->stop, &fd, reterr) : VMAFX_OK;

    return err ? err : open_reader(fd, name, raw, live, ret_reader, reterr);
}

VmafxErr vmafx_reader_open_fd(int fd, const char *name, const VmafxRawFormat *raw, VmafxReader **ret_reader,
                              VmafxErrInfo *reterr)
{
    return open_reader(fd, name, raw, &(VmafxReaderLive){ 0 }, ret_reader, reterr);
}

VmafxErr vmafx_reader_open(const char *path, const VmafxRawFormat *raw, VmafxReader **ret_reader, VmafxErrInfo *reterr)
{
    return vmafx_reader_open_live(-1, path, raw, &(VmafxReaderLive){ 0 }, ret_reader, reterr);
}

VmafxErr vmafx_reader_open_encode(int fd, const char *name, const VmafxRawFormat *raw, const VmafxRecipe *recipe,
                                  const VmafxEncodeOptions *options, VmafxReader **ret_reader, VmafxErrInfo *reterr)
{
    VmafxReader *source = NULL;
    VmafxErr err = vmafx_reader_open_live(fd, name, raw, &(VmafxReaderLive){ .stop = options->stop }, &source, reterr);

    if (err)
        return err;
    VMAFX_AUTO(vmafx_reader_close) VmafxReader *reader = calloc(1, sizeof *reader);
    if (!reader) {
        vmafx_reader_close(&source);
        return vmafx_fail(reterr, VMAFX_ERR_NOMEM, "no memory to encode '%s'", name);
    }
    reader->pipe.fd = -1;
    err = vmafx_encode_open(source, name, recipe, options, &reader->encode, &reader->info, reterr);
    if (err)
        return err;
    *ret_reader = VMAFX_TAKE(reader);
    return VMAFX_OK;
}

const VmafxEncodeFacts *vmafx_reader_encode_facts(const VmafxReader *reader)
{
    return reader->encode ? vmafx_encode_facts(reader->encode) : NULL;
}

VmafxRaw *reader_raw(const VmafxReader *reader)
{
    return reader->raw;
}

VmafxDecoder *reader_decoder(const VmafxReader *reader)
{
    return reader->decoder;
}

void vmafx_reader_close(VmafxReader **reader)
{
    if (!*reader)
        return;
    vmafx_raw_close(&(*reader)->raw);
    vmafx_decoder_close(&(*reader)->decoder);
    vmafx_encode_close(&(*reader)->encode);
    if ((*reader)->pipe.fd >= 0)
        close((*reader)->pipe.fd);
    free(*reader);
    *reader = NULL;
}

bool vmafx_reader_digest(VmafxReader *reader, char ret_hex[VMAFX_SHA256_TEXT])
{
    return vmafx_pipe_digest(&reader->pipe, ret_hex);
}

const VmafxVideoInfo *vmafx_reader_info(const VmafxReader *reader)
{
    return &reader->info;
}

VmafxErr vmafx_reader_keep_chroma(VmafxReader *reader, VmafxErrInfo *reterr)
{
    return reader->raw ? vmafx_raw_keep_chroma(reader->raw, reterr) : VMAFX_OK;
}

void vmafx_reader_into(VmafxReader *reader, const VmafxPlane *luma)
{
    if (reader->raw)
        vmafx_raw_into(reader->raw, luma);
}

static VmafxChroma chroma_of(VmafxPixFmt pix)
{
    static const VmafxChroma of[] = { [VMAFX_PIX_420] = VMAFX_CHROMA_420,
                                      [VMAFX_PIX_422] = VMAFX_CHROMA_422,
                                      [VMAFX_PIX_444] = VMAFX_CHROMA_444,
                                      [VMAFX_PIX_400] = VMAFX_CHROMA_400 };

    return of[pix];
}

VmafxErr vmafx_reader_picture(const VmafxReader *reader, VmafxPicture *ret_picture, VmafxErrInfo *reterr)
{
    VmafxPicture picture = { .chroma = chroma_of(reader->info.pix) };
    VmafxErr err = VMAFX_OK;

    if (reader->raw)
        vmafx_raw_planes(reader->raw, picture.planes);
    else if (reader->encode)
        err = vmafx_encode_planes(reader->encode, picture.planes, reterr);
    else
        err = vmafx_decoder_planes(reader->decoder, picture.planes, reterr);
    if (!err)
        *ret_picture = picture;
    return err;
}

VmafxErr vmafx_reader_next(VmafxReader *reader, VmafxPlane *ret_luma, bool *ret_more, VmafxErrInfo *reterr)
{
    if (reader->encode)
        return vmafx_encode_next(reader->encode, &reader->info, ret_luma, ret_more, reterr);
    if (reader->raw)
        return vmafx_raw_next(reader->raw, ret_luma, ret_more, reterr);
    return vmafx_decoder_next(reader->decoder, &reader->info, ret_luma, ret_more, reterr);
}

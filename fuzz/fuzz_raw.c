/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Raw video of any format and length: the first five bytes choose width, height, depth, pixel format and the rounding
 * of chroma; the rest is the file. Whatever comes out is compared with the file, byte for byte.
 */

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/base.h"
#include "media/reader.h"

enum { OPTIONS = 5 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The definition, spelled out. */
static size_t frame_bytes(const VmafxRawFormat *f)
{
    size_t w = (size_t)f->w, h = (size_t)f->h, sample = f->bpc > 8 ? 2 : 1;
    size_t cw = f->chroma_down ? w / 2 : (w + 1) / 2, ch = f->chroma_down ? h / 2 : (h + 1) / 2;

    switch (f->pix) {
    case VMAFX_PIX_420:
        return (w * h + 2 * cw * ch) * sample;
    case VMAFX_PIX_422:
        return (w * h + 2 * cw * h) * sample;
    case VMAFX_PIX_444:
        return 3 * w * h * sample;
    default:
        return w * h * sample;
    }
}

static void check_frames(VmafxReader *reader, const VmafxRawFormat *f, const uint8_t *file, size_t size)
{
    size_t frame = frame_bytes(f), row = (size_t)f->w * (f->bpc > 8 ? 2 : 1), n = 0;
    VmafxErrInfo info = { 0 };
    VmafxErr err;
    VmafxPlane luma;
    bool more;

    if (vmafx_reader_info(reader)->frames != (int64_t)(size / frame))
        abort();
    while (!(err = vmafx_reader_next(reader, &luma, &more, &info)) && more) {
        if (luma.w != f->w || luma.h != f->h || luma.bpc != f->bpc || (n + 1) * frame > size)
            abort();
        for (int y = 0; y < luma.h; y++)
            if (memcmp((const uint8_t *)luma.data + y * luma.stride, file + n * frame + (size_t)y * row, row) != 0)
                abort();
        n++;
    }
    if (n != size / frame || err != (size % frame ? VMAFX_ERR_TRUNCATED : VMAFX_OK) || (err && !info.message[0]))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    VmafxReader *reader = NULL;
    VmafxErrInfo info = { 0 };

    if (size < OPTIONS)
        return 0;
    VmafxRawFormat f = { data[0], data[1], data[2] % 20, (VmafxPixFmt)(data[3] % 5), data[4] & 1 };
    bool good = f.w && f.h && f.bpc >= 8 && f.bpc <= 16 && f.pix <= VMAFX_PIX_400;
    int fd = memfd_create("fuzz", MFD_CLOEXEC);

    data += OPTIONS;
    size -= OPTIONS;
    if (fd < 0 || (size && write(fd, data, size) != (ssize_t)size) || lseek(fd, 0, SEEK_SET) < 0)
        abort();
    VmafxErr err = vmafx_reader_open_fd(fd, "fuzz", &f, &reader, &info);
    if (good != !err || (err && (reader || !info.message[0])))
        abort();
    if (!err)
        check_frames(reader, &f, data, size);
    vmafx_reader_close(&reader);
    return 0;
}

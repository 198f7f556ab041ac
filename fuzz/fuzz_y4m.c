/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * y4m: any bytes behind the magic are read to the end or refused with a sentence, and every frame that is handed out
 * has the size the header says.
 */

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/base.h"
#include "media/raw.h"
#include "media/reader.h"

#define PIXELS_MAX (1 << 20) /* larger pictures only cost time here */

/* Written to so that the samples are read. */
volatile uint8_t fuzz_sink;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The header alone; false when a picture would be too large to go on. */
static bool parse_header(const uint8_t *data, size_t size)
{
    VMAFX_AUTO(vmafx_free_p) char *line = malloc(sizeof VMAFX_Y4M_MAGIC + size);
    VmafxY4mHeader header;
    VmafxErrInfo info = { 0 };
    const uint8_t *end = memchr(data, '\n', size);
    size_t len = end ? (size_t)(end - data) : size;

    if (!line)
        return false;
    memcpy(line, VMAFX_Y4M_MAGIC, sizeof VMAFX_Y4M_MAGIC - 1);
    memcpy(line + sizeof VMAFX_Y4M_MAGIC - 1, data, len);
    line[sizeof VMAFX_Y4M_MAGIC - 1 + len] = 0;
    if (vmafx_y4m_parse_header(line, &header, &info)) {
        if (!info.message[0])
            abort(); /* an error has a sentence */
        return true;
    }
    const VmafxRawFormat *f = &header.format;
    if (f->w < 1 || f->h < 1 || f->w > VMAFX_DIMENSION_MAX || f->h > VMAFX_DIMENSION_MAX || f->bpc < 8 || f->bpc > 16 ||
        header.rate_den < 1 || header.rate_num < 0)
        abort();
    return (long long)f->w * f->h <= PIXELS_MAX;
}

static void read_frames(VmafxReader *reader)
{
    const VmafxVideoInfo *video = vmafx_reader_info(reader);
    VmafxErrInfo info = { 0 };
    VmafxPlane luma;
    bool more = true;

    while (more) {
        if (vmafx_reader_next(reader, &luma, &more, &info)) {
            if (!info.message[0])
                abort();
            return;
        }
        if (more && (luma.w != video->w || luma.h != video->h || luma.bpc != video->bpc))
            abort();
        for (int y = 0; more && y < luma.h; y++) {
            const uint8_t *row = (const uint8_t *)luma.data + y * luma.stride;
            fuzz_sink ^= row[0] ^ row[luma.w * (luma.bpc > 8 ? 2 : 1) - 1];
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    VmafxReader *reader = NULL;
    VmafxErrInfo info = { 0 };

    if (!parse_header(data, size))
        return 0;
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    if (fd < 0 || write(fd, VMAFX_Y4M_MAGIC, sizeof VMAFX_Y4M_MAGIC - 1) < 0 || write(fd, data, size) < 0 ||
        lseek(fd, 0, SEEK_SET) < 0)
        abort();
    if (vmafx_reader_open_fd(fd, "fuzz", NULL, &reader, &info)) {
        if (reader || !info.message[0])
            abort();
        return 0;
    }
    read_frames(reader);
    vmafx_reader_close(&reader);
    return 0;
}

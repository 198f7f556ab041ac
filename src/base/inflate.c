/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* zlib's inflate into a buffer that doubles until the limit. */

#include "base/inflate.h"

#include <zlib.h>

#include "base/base.h"

enum { WINDOW_ZLIB = 15, WINDOW_GZIP = 15 + 16, ROOM_FIRST = 64 << 10 };

static const char *name_of(VmafxPacking packing)
{
    return packing == VMAFX_PACKED_GZIP ? "gzip" : "deflate";
}

VmafxErr vmafx_inflate(VmafxPacking packing, const void *data, size_t len, size_t max, uint8_t **ret, size_t *ret_len,
                       VmafxErrInfo *reterr)
{
    VMAFX_AUTO(vmafx_free_p) uint8_t *out = NULL;
    size_t room = 0;
    int code = Z_OK;

    if (len > max)
        return vmafx_fail(reterr, VMAFX_ERR_LIMIT, "%zu bytes of %s; at most %zu are taken", len, name_of(packing),
                          max);
    z_stream stream = { .next_in = (Bytef *)(uintptr_t)data, .avail_in = (uInt)len };
    if (inflateInit2(&stream, packing == VMAFX_PACKED_GZIP ? WINDOW_GZIP : WINDOW_ZLIB) != Z_OK)
        return vmafx_fail(reterr, VMAFX_ERR_NOMEM, "no memory to unpack %s", name_of(packing));
    /* One byte more than the limit, to tell what just fits from what does not. */
    while (code == Z_OK && stream.total_out <= max) {
        room = VMAFX_MIN(room ? 2 * room : (size_t)ROOM_FIRST, max + 1);
        uint8_t *more = realloc(out, room);
        if (!more) {
            code = Z_MEM_ERROR;
            break;
        }
        out = more;
        stream.next_out = out + stream.total_out;
        stream.avail_out = (uInt)(room - stream.total_out);
        code = inflate(&stream, Z_NO_FLUSH);
        if (code == Z_OK && stream.avail_out)
            code = Z_BUF_ERROR; /* it wants more than there is */
    }
    size_t unpacked = stream.total_out;
    bool rest = stream.avail_in != 0;
    inflateEnd(&stream);
    if (code == Z_MEM_ERROR)
        return vmafx_fail(reterr, VMAFX_ERR_NOMEM, "no memory to unpack %s", name_of(packing));
    if (unpacked > max)
        return vmafx_fail(reterr, VMAFX_ERR_LIMIT, "the %s unpacks to more than %zu bytes", name_of(packing), max);
    if (code != Z_STREAM_END || rest)
        return vmafx_fail(reterr, VMAFX_ERR_SYNTAX, "this is not %s, or it is cut", name_of(packing));
    *ret = VMAFX_TAKE(out);
    *ret_len = unpacked;
    return VMAFX_OK;
}

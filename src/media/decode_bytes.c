/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * What containers promise in their own bytes, for the end that the demuxers do not look at. Each function knows one
 * family of containers, and tells whether the file is shorter than it must be. Where a file promises nothing, or is
 * laid out as none of them expects, the answer is no. No FFmpeg here.
 */

#include "media/decode_source.h"

#include <stdlib.h>
#include <string.h>

#include "base/base.h"

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

bool decode_index_comes_last(const DecodeSource *source)
{
    uint64_t at = 0;

    while (at + 8 <= source->first_len) {
        const unsigned char *box = source->first + at;
        uint64_t length = big_endian(box, 4);

        if (!memcmp(box + 4, "moov", 4) || !memcmp(box + 4, "moof", 4))
            return false;
        if (!memcmp(box + 4, "mdat", 4))
            return true;
        if (length < 8)
            return false; /* a length of 64 bits, or damage: not before the index */
        at += length;
    }
    return false;
}

/* ---- containers that say how long they are ---- */

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

/* ---- containers that are walked ---- */

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
static bool pes_is_cut(const DecodeSource *source, uint64_t size, size_t length, size_t sync)
{
    enum { PIDS = 8192, TAIL_PACKETS = 4096 };
    size_t n = (size_t)VMAFX_MIN(size / length, (uint64_t)TAIL_PACKETS);
    VMAFX_AUTO(vmafx_free_p) unsigned char *tail = malloc(n * length);
    VMAFX_AUTO(vmafx_free_p) Pes *all = calloc(PIDS, sizeof *all);

    if (!tail || !all || !decode_source_peek(source, (int64_t)(size - n * length), tail, n * length))
        return false;
    for (size_t i = 0; i < n; i++)
        follow_pes(all, tail + i * length + sync);
    for (size_t i = 0; i < PIDS; i++)
        if (all[i].want > all[i].got)
            return true;
    return false;
}

/* Transport packets are 188 bytes, or 192 with a time stamp before them, or 204 with a check sum behind. */
static bool mpegts_is_cut(const DecodeSource *source, uint64_t size)
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
static bool flv_is_cut(const DecodeSource *source, uint64_t size)
{
    unsigned char tag[11];
    uint64_t at;

    if (source->first_len < 9)
        return false;
    for (at = big_endian(source->first + 5, 4) + 4; at < size;) {
        if (size - at < sizeof tag)
            return true;
        if (!decode_source_peek(source, (int64_t)at, tag, sizeof tag) || (tag[0] != 8 && tag[0] != 9 && tag[0] != 18))
            return false;
        at += sizeof tag + big_endian(tag + 1, 3);
        if (at == size)
            return false;
        at += 4;
    }
    return at > size;
}

/* IVF: after a header that tells its own length, frames, each behind its length and a time stamp. */
static bool ivf_is_cut(const DecodeSource *source, uint64_t size)
{
    unsigned char head[12];
    uint64_t at = source->first_len < 8 ? size : little_endian(source->first + 6, 2);

    while (at < size) {
        if (size - at < sizeof head)
            return true;
        if (!decode_source_peek(source, (int64_t)at, head, sizeof head))
            return false;
        at += sizeof head + little_endian(head, 4);
    }
    return at > size;
}

/* The boxes on top, one behind the other; the last one may have size 0, "to the end". */
static bool mov_is_cut(const DecodeSource *source, uint64_t size)
{
    uint64_t at = 0;
    unsigned char box[16];

    while (size - at >= 8) {
        if (!decode_source_peek(source, (int64_t)at, box, 8))
            return false;
        uint64_t length = big_endian(box, 4);
        if (length == 1) {
            if (size - at < 16)
                return true;
            if (!decode_source_peek(source, (int64_t)at, box, 16))
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
static bool av1_is_cut(const DecodeSource *source, uint64_t size, bool annex_b)
{
    uint64_t at = 0;

    while (at < size) {
        unsigned char head[10] = { 0 };
        size_t room = (size_t)VMAFX_MIN(sizeof head, size - at), n = 0;
        uint64_t length = 0;

        if (!decode_source_peek(source, (int64_t)at, head, room))
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
static bool ogg_is_cut(const DecodeSource *source, uint64_t size)
{
    enum { PAGE_MAX = 27 + 255 + 255 * 255 };
    size_t n = (size_t)VMAFX_MIN((uint64_t)PAGE_MAX, size);
    VMAFX_AUTO(vmafx_free_p) unsigned char *tail = malloc(n);

    if (!tail || !decode_source_peek(source, (int64_t)(size - n), tail, n))
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

/* ---- all of them ---- */

bool decode_bytes_are_cut(const DecodeSource *source, const char *kind)
{
    int64_t size = decode_source_size(source);
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

bool decode_length_is_placeholder(const DecodeSource *source, const char *kind)
{
    if (!strcmp(kind, "avi"))
        return !avi_end(source->first, source->first_len);
    return !strcmp(kind, "ivf") && source->first_len >= 28 && little_endian(source->first + 24, 4) >= INT32_MAX;
}

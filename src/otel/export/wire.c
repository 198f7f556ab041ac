/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The protobuf wire format: one growing buffer written front to back, one cursor over untrusted bytes. */

#include "otel/export/wire.h"

#include <stdlib.h>
#include <string.h>

enum { VARINT_BYTES_MAX = 10, ROOM_FIRST = 4096, GROUP_START = 3, GROUP_END = 4 };

/* ---- writing ---- */

void vmafx_wire_init(VmafxWire *wire, size_t limit_bytes)
{
    *wire = (VmafxWire){ .limit = limit_bytes };
}

void vmafx_wire_done(VmafxWire *wire)
{
    free(wire->bytes);
    *wire = (VmafxWire){ 0 };
}

void vmafx_wire_reset(VmafxWire *wire)
{
    wire->len = 0;
    wire->err = VMAFX_OK;
}

void vmafx_wire_rewind(VmafxWire *wire, size_t len)
{
    if (len <= wire->len)
        wire->len = len;
    wire->err = VMAFX_OK;
}

/* Room for n more bytes, or NULL with the error noted. */
static uint8_t *extend(VmafxWire *wire, size_t n)
{
    if (wire->err)
        return NULL;
    if (n > wire->limit || wire->len > wire->limit - n) {
        wire->err = VMAFX_ERR_LIMIT;
        return NULL;
    }
    size_t needed = wire->len + n;
    if (needed > wire->room) {
        size_t room = wire->room ? wire->room : ROOM_FIRST;

        while (room < needed)
            room = room > wire->limit / 2 ? wire->limit : room * 2;
        uint8_t *bytes = realloc(wire->bytes, room);
        if (!bytes) {
            wire->err = VMAFX_ERR_NOMEM;
            return NULL;
        }
        wire->bytes = bytes;
        wire->room = room;
    }
    uint8_t *at = wire->bytes + wire->len;
    wire->len = needed;
    return at;
}

static size_t varint_put(uint8_t out[VARINT_BYTES_MAX], uint64_t value)
{
    size_t n = 0;

    while (value >= 0x80) {
        out[n++] = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    out[n++] = (uint8_t)value;
    return n;
}

static void append(VmafxWire *wire, const void *bytes, size_t len)
{
    uint8_t *at = len ? extend(wire, len) : NULL;

    if (at)
        memcpy(at, bytes, len);
}

static void tag(VmafxWire *wire, uint32_t field, VmafxWireType type)
{
    uint8_t out[VARINT_BYTES_MAX];

    append(wire, out, varint_put(out, (uint64_t)field << 3 | type));
}

void vmafx_wire_packed_varint(VmafxWire *wire, uint64_t value)
{
    uint8_t out[VARINT_BYTES_MAX];

    append(wire, out, varint_put(out, value));
}

void vmafx_wire_packed_fixed64(VmafxWire *wire, uint64_t value)
{
    uint8_t out[8];

    for (int i = 0; i < 8; i++)
        out[i] = (uint8_t)(value >> (8 * i));
    append(wire, out, sizeof out);
}

void vmafx_wire_varint(VmafxWire *wire, uint32_t field, uint64_t value)
{
    tag(wire, field, VMAFX_WIRE_VARINT);
    vmafx_wire_packed_varint(wire, value);
}

void vmafx_wire_sint32(VmafxWire *wire, uint32_t field, int32_t value)
{
    vmafx_wire_varint(wire, field, (uint32_t)value << 1 ^ (value < 0 ? UINT32_MAX : 0));
}

void vmafx_wire_fixed64(VmafxWire *wire, uint32_t field, uint64_t value)
{
    tag(wire, field, VMAFX_WIRE_FIXED64);
    vmafx_wire_packed_fixed64(wire, value);
}

void vmafx_wire_fixed32(VmafxWire *wire, uint32_t field, uint32_t value)
{
    uint8_t out[4] = { (uint8_t)value, (uint8_t)(value >> 8), (uint8_t)(value >> 16), (uint8_t)(value >> 24) };

    tag(wire, field, VMAFX_WIRE_FIXED32);
    append(wire, out, sizeof out);
}

void vmafx_wire_double(VmafxWire *wire, uint32_t field, double value)
{
    uint64_t bits;

    memcpy(&bits, &value, sizeof bits);
    vmafx_wire_fixed64(wire, field, bits);
}

void vmafx_wire_bytes(VmafxWire *wire, uint32_t field, const void *bytes, size_t len)
{
    tag(wire, field, VMAFX_WIRE_BYTES);
    vmafx_wire_packed_varint(wire, len);
    append(wire, bytes, len);
}

/*
 * One code point or one maximal invalid piece at text[0 .. len), len > 0: its length, and whether it is a code point.
 * The second byte's range settles overlong forms, surrogates and what lies beyond U+10FFFF.
 */
static size_t utf8_step(const uint8_t *text, size_t len, bool *ret_valid)
{
    uint8_t lead = text[0], low = 0x80, high = 0xbf;
    size_t n = lead < 0x80 ? 1 : lead >= 0xc2 && lead <= 0xdf ? 2 : lead >= 0xe0 && lead <= 0xef ? 3 : 4;

    *ret_valid = n == 1;
    if (n == 1 || (n == 4 && (lead < 0xf0 || lead > 0xf4)))
        return 1;
    if (lead == 0xe0)
        low = 0xa0;
    else if (lead == 0xed)
        high = 0x9f;
    else if (lead == 0xf0)
        low = 0x90;
    else if (lead == 0xf4)
        high = 0x8f;
    for (size_t i = 1; i < n; i++) {
        if (i == len || text[i] < low || text[i] > high)
            return i;
        low = 0x80;
        high = 0xbf;
    }
    *ret_valid = true;
    return n;
}

size_t vmafx_utf8_valid_prefix(const char *text, size_t len)
{
    size_t at = 0;

    while (at < len) {
        bool valid;
        size_t n = utf8_step((const uint8_t *)text + at, len - at, &valid);

        if (!valid)
            break;
        at += n;
    }
    return at;
}

void vmafx_wire_text(VmafxWire *wire, uint32_t field, const char *text, size_t len)
{
    size_t good = vmafx_utf8_valid_prefix(text, len);

    if (good == len) {
        vmafx_wire_bytes(wire, field, text, len);
        return;
    }
    size_t mark = vmafx_wire_begin(wire, field);
    while (len && !wire->err) {
        bool valid;

        append(wire, text, good);
        text += good;
        len -= good;
        if (!len)
            break;
        size_t bad = utf8_step((const uint8_t *)text, len, &valid);
        append(wire, "\xef\xbf\xbd", 3);
        text += bad;
        len -= bad;
        good = vmafx_utf8_valid_prefix(text, len);
    }
    vmafx_wire_end(wire, mark);
}

size_t vmafx_wire_begin(VmafxWire *wire, uint32_t field)
{
    tag(wire, field, VMAFX_WIRE_BYTES);
    extend(wire, 1); /* most messages are below 128 bytes: one byte of length, and the rest is moved when it is not */
    return wire->len;
}

void vmafx_wire_end(VmafxWire *wire, size_t mark)
{
    if (wire->err || mark > wire->len || !mark)
        return;
    uint8_t out[VARINT_BYTES_MAX];
    size_t len = wire->len - mark, n = varint_put(out, len);

    if (n > 1) {
        if (!extend(wire, n - 1))
            return;
        memmove(wire->bytes + mark + n - 1, wire->bytes + mark, len);
    }
    memcpy(wire->bytes + mark - 1, out, n);
}

/* ---- reading ---- */

void vmafx_wire_reader_init(VmafxWireReader *reader, const void *bytes, size_t len)
{
    *reader = (VmafxWireReader){ .at = bytes, .end = bytes ? (const uint8_t *)bytes + len : NULL };
}

static bool fail(VmafxWireReader *reader)
{
    reader->bad = true;
    reader->at = reader->end;
    return false;
}

static bool varint_get(VmafxWireReader *reader, uint64_t *ret)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < VARINT_BYTES_MAX && reader->at < reader->end; i++) {
        uint8_t byte = *reader->at++;

        if (i == VARINT_BYTES_MAX - 1 && byte > 1)
            break; /* more than 64 bits */
        value |= (uint64_t)(byte & 0x7f) << (7 * i);
        if (byte < 0x80) {
            *ret = value;
            return true;
        }
    }
    return fail(reader);
}

static bool fixed_get(VmafxWireReader *reader, size_t n, uint64_t *ret)
{
    if ((size_t)(reader->end - reader->at) < n)
        return fail(reader);
    *ret = 0;
    for (size_t i = 0; i < n; i++)
        *ret |= (uint64_t)reader->at[i] << (8 * i);
    reader->at += n;
    return true;
}

static bool value_get(VmafxWireReader *reader, unsigned type, VmafxWireField *ret)
{
    switch (type) {
    case VMAFX_WIRE_VARINT:
        return varint_get(reader, &ret->value);
    case VMAFX_WIRE_FIXED64:
        return fixed_get(reader, 8, &ret->value);
    case VMAFX_WIRE_FIXED32:
        return fixed_get(reader, 4, &ret->value);
    case VMAFX_WIRE_BYTES:
        if (!varint_get(reader, &ret->value))
            return false;
        if (ret->value > (size_t)(reader->end - reader->at))
            return fail(reader);
        ret->bytes = reader->at;
        ret->len = (size_t)ret->value;
        reader->at += ret->len;
        return true;
    default:
        return fail(reader);
    }
}

bool vmafx_wire_next(VmafxWireReader *reader, VmafxWireField *ret)
{
    uint32_t open[VMAFX_WIRE_DEPTH_MAX]; /* groups we are inside of */
    unsigned n_open = 0;

    while (!reader->bad && reader->at < reader->end) {
        uint64_t key;

        *ret = (VmafxWireField){ 0 };
        if (!varint_get(reader, &key))
            return false;
        unsigned type = key & 7;
        if (key > UINT32_MAX || key < 8)
            return fail(reader);
        ret->number = (uint32_t)(key >> 3);
        if (type == GROUP_START) {
            if (reader->depth + n_open >= VMAFX_WIRE_DEPTH_MAX)
                return fail(reader);
            open[n_open++] = ret->number;
        } else if (type == GROUP_END) {
            if (!n_open || open[--n_open] != ret->number)
                return fail(reader);
        } else {
            ret->type = (VmafxWireType)type;
            if (!value_get(reader, type, ret))
                return false;
            if (!n_open)
                return true;
        }
    }
    return n_open ? fail(reader) : false;
}

bool vmafx_wire_enter(VmafxWireReader *reader, const VmafxWireField *field, VmafxWireReader *ret)
{
    if (field->type != VMAFX_WIRE_BYTES || reader->depth + 1 >= VMAFX_WIRE_DEPTH_MAX)
        return fail(reader);
    *ret = (VmafxWireReader){ .at = field->bytes, .end = field->bytes + field->len, .depth = reader->depth + 1 };
    return true;
}

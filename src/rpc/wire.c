/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Protobuf's wire format: fields off the front of a view, fields onto the end of a buffer. */

#include "rpc/wire.h"

#include <stdlib.h>
#include <string.h>

static bool take_varint(RpcBytes *rest, uint64_t *ret)
{
    uint64_t value = 0;

    for (size_t i = 0; i < rest->len && i < 10; i++) {
        value |= (uint64_t)(rest->ptr[i] & 0x7f) << (7 * i);
        if (!(rest->ptr[i] & 0x80)) {
            rest->ptr += i + 1;
            rest->len -= i + 1;
            *ret = value;
            return true;
        }
    }
    return false;
}

static bool take_fixed(RpcBytes *rest, size_t n, uint64_t *ret)
{
    uint64_t value = 0;

    if (rest->len < n)
        return false;
    for (size_t i = 0; i < n; i++)
        value |= (uint64_t)rest->ptr[i] << (8 * i);
    rest->ptr += n;
    rest->len -= n;
    *ret = value;
    return true;
}

bool rpc_wire_next(RpcBytes *rest, RpcField *ret)
{
    RpcBytes left = *rest;
    RpcField field = { 0 };
    uint64_t tag;
    bool good = false;

    if (!left.len || !take_varint(&left, &tag) || tag >> 3 == 0 || tag >> 3 > 0x1fffffff)
        return false;
    field.number = (uint32_t)(tag >> 3);
    field.type = (int)(tag & 7);
    switch (field.type) {
    case RPC_WIRE_VARINT:
        good = take_varint(&left, &field.value);
        break;
    case RPC_WIRE_64:
        good = take_fixed(&left, 8, &field.value);
        break;
    case RPC_WIRE_32:
        good = take_fixed(&left, 4, &field.value);
        break;
    case RPC_WIRE_BYTES:
        good = take_varint(&left, &field.value) && field.value <= left.len;
        if (good) {
            field.bytes = (RpcBytes){ left.ptr, (size_t)field.value };
            left.ptr += field.bytes.len;
            left.len -= field.bytes.len;
        }
        break;
    }
    if (!good)
        return false;
    *rest = left;
    *ret = field;
    return true;
}

RpcBytes rpc_wire_find(RpcBytes message, uint32_t number)
{
    RpcBytes found = { NULL, 0 };
    RpcField field;

    while (rpc_wire_next(&message, &field))
        if (field.number == number && field.type == RPC_WIRE_BYTES)
            found = field.bytes;
    return found;
}

bool rpc_bytes_are(RpcBytes bytes, const char *text)
{
    return bytes.len == strlen(text) && (!bytes.len || memcmp(bytes.ptr, text, bytes.len) == 0);
}

void rpc_out_bytes(RpcOut *out, const void *ptr, size_t len)
{
    if (out->failed || !len)
        return;
    if (out->room - out->len < len) {
        size_t room = out->room ? out->room : 256;

        while (room - out->len < len && room <= SIZE_MAX / 2)
            room *= 2;
        uint8_t *more = room - out->len < len ? NULL : realloc(out->ptr, room);
        if (!more) {
            out->failed = true;
            return;
        }
        out->ptr = more;
        out->room = room;
    }
    memcpy(out->ptr + out->len, ptr, len);
    out->len += len;
}

void rpc_out_text(RpcOut *out, const char *text)
{
    rpc_out_bytes(out, text, strlen(text));
}

static void put_varint(RpcOut *out, uint64_t value)
{
    uint8_t bytes[10];
    size_t n = 0;

    for (; value >= 0x80; value >>= 7)
        bytes[n++] = (uint8_t)(value | 0x80);
    bytes[n++] = (uint8_t)value;
    rpc_out_bytes(out, bytes, n);
}

void rpc_wire_put_varint(RpcOut *out, uint32_t number, uint64_t value)
{
    put_varint(out, (uint64_t)number << 3 | RPC_WIRE_VARINT);
    put_varint(out, value);
}

void rpc_wire_put_bytes(RpcOut *out, uint32_t number, RpcBytes bytes)
{
    put_varint(out, (uint64_t)number << 3 | RPC_WIRE_BYTES);
    put_varint(out, bytes.len);
    rpc_out_bytes(out, bytes.ptr, bytes.len);
}

void rpc_wire_put_text(RpcOut *out, uint32_t number, const char *text)
{
    rpc_wire_put_bytes(out, number, (RpcBytes){ (const uint8_t *)text, strlen(text) });
}

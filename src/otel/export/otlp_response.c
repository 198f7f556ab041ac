/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* A collector's answers, read field by field. */

#include "otel/export/otlp_response.h"

#include <string.h>

#include "otel/export/wire.h"

#define NS_PER_S UINT64_C(1000000000)

void vmafx_otlp_printable(const void *text, size_t len, char *ret, size_t size)
{
    const char *in = text;
    size_t at = 0, out = 0;

    while (at < len && out + 1 < size) {
        unsigned char c = (unsigned char)in[at];

        if (c < 0x80) {
            ret[out++] = c < 0x20 || c == 0x7f ? '?' : (char)c;
            at++;
            continue;
        }
        /* a whole character starts here, or none does: its length is what the lead byte says */
        size_t n = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
        if (n > len - at || vmafx_utf8_valid_prefix(in + at, n) != n ||
            (c == 0xc2 && (unsigned char)in[at + 1] < 0xa0)) {
            ret[out++] = '?';
            at++;
            continue;
        }
        if (out + n >= size)
            break;
        memcpy(ret + out, in + at, n);
        out += n;
        at += n;
    }
    if (size)
        ret[out] = 0;
}

static void parse_partial(VmafxWireReader *reader, VmafxOtlpPartial *ret)
{
    VmafxWireField field;

    while (vmafx_wire_next(reader, &field)) {
        if (field.number == 1 && field.type == VMAFX_WIRE_VARINT)
            ret->rejected = field.value <= INT64_MAX ? field.value : 0;
        else if (field.number == 2 && field.type == VMAFX_WIRE_BYTES)
            vmafx_otlp_printable(field.bytes, field.len, ret->message, sizeof ret->message);
    }
}

VmafxErr vmafx_otlp_partial_parse(const void *bytes, size_t len, VmafxOtlpPartial *ret)
{
    VmafxWireReader reader, inner;
    VmafxWireField field;

    *ret = (VmafxOtlpPartial){ 0 };
    vmafx_wire_reader_init(&reader, bytes, len);
    while (vmafx_wire_next(&reader, &field)) {
        if (field.number != 1 || field.type != VMAFX_WIRE_BYTES || !vmafx_wire_enter(&reader, &field, &inner))
            continue;
        parse_partial(&inner, ret);
        reader.bad |= inner.bad;
    }
    if (reader.bad) {
        *ret = (VmafxOtlpPartial){ 0 };
        return VMAFX_ERR_TRUNCATED;
    }
    ret->present = ret->rejected || ret->message[0];
    return VMAFX_OK;
}

/* RetryInfo { Duration retry_delay = 1 { int64 seconds = 1; int32 nanos = 2 } }; a negative delay is none. */
static void parse_retry_info(VmafxWireReader *reader, VmafxRpcStatus *ret)
{
    VmafxWireReader duration;
    VmafxWireField field;
    int64_t seconds = 0, nanos = 0;

    while (vmafx_wire_next(reader, &field)) {
        if (field.number != 1 || field.type != VMAFX_WIRE_BYTES || !vmafx_wire_enter(reader, &field, &duration))
            continue;
        while (vmafx_wire_next(&duration, &field)) {
            if (field.number == 1 && field.type == VMAFX_WIRE_VARINT)
                seconds = (int64_t)field.value;
            else if (field.number == 2 && field.type == VMAFX_WIRE_VARINT)
                nanos = (int32_t)(uint32_t)field.value;
        }
        reader->bad |= duration.bad;
    }
    if (reader->bad || seconds < 0 || nanos < 0 || nanos >= (int64_t)NS_PER_S)
        return;
    ret->has_retry_delay = true;
    ret->retry_delay_ns = (uint64_t)seconds >= UINT64_MAX / NS_PER_S ? UINT64_MAX / NS_PER_S * NS_PER_S
                                                                     : (uint64_t)seconds * NS_PER_S + (uint64_t)nanos;
}

static bool ends_in(const uint8_t *text, size_t len, const char *end)
{
    size_t n = strlen(end);

    return len >= n && memcmp(text + len - n, end, n) == 0;
}

static void parse_any(VmafxWireReader *reader, VmafxRpcStatus *ret)
{
    VmafxWireField field, type = { 0 }, value = { .type = VMAFX_WIRE_BYTES };
    VmafxWireReader info;

    while (vmafx_wire_next(reader, &field)) {
        if (field.number == 1 && field.type == VMAFX_WIRE_BYTES)
            type = field;
        else if (field.number == 2 && field.type == VMAFX_WIRE_BYTES)
            value = field;
    }
    if (reader->bad || !type.len || !ends_in(type.bytes, type.len, "google.rpc.RetryInfo"))
        return;
    if (!value.len) { /* an empty RetryInfo: retry, with no delay of the server's */
        ret->has_retry_delay = true;
        ret->retry_delay_ns = 0;
    } else if (vmafx_wire_enter(reader, &value, &info)) {
        parse_retry_info(&info, ret);
        reader->bad |= info.bad;
    }
}

VmafxErr vmafx_rpc_status_parse(const void *bytes, size_t len, VmafxRpcStatus *ret)
{
    VmafxWireReader reader, any;
    VmafxWireField field;

    *ret = (VmafxRpcStatus){ 0 };
    vmafx_wire_reader_init(&reader, bytes, len);
    while (vmafx_wire_next(&reader, &field)) {
        if (field.number == 1 && field.type == VMAFX_WIRE_VARINT)
            ret->code = (int32_t)(uint32_t)field.value;
        else if (field.number == 2 && field.type == VMAFX_WIRE_BYTES)
            vmafx_otlp_printable(field.bytes, field.len, ret->message, sizeof ret->message);
        else if (field.number == 3 && field.type == VMAFX_WIRE_BYTES && vmafx_wire_enter(&reader, &field, &any)) {
            parse_any(&any, ret);
            reader.bad |= any.bad;
        }
    }
    if (reader.bad) {
        *ret = (VmafxRpcStatus){ 0 };
        return VMAFX_ERR_TRUNCATED;
    }
    return VMAFX_OK;
}

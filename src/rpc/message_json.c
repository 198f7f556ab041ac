/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Messages as JSON, by proto3's mapping ("JSON Mapping" of protobuf.dev) with its two options that suit programs which
 * read it: names as in the .proto files, and numbers, texts and lists are there even when they have their default
 * value. Unset messages and oneofs are left out. 64-bit integers are numbers where a double holds them exactly.
 */

#include "rpc/message.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>

#include "base/base.h"
#include "rpc/message_internal.h"
#include "rpc/wire.h"

#define EXACT_MAX ((int64_t)1 << 53) /* of an integer that a reader with doubles gets right */

static void put_format(RpcOut *out, const char *fmt, ...) VMAFX_PRINTF(2, 3);
static void put_message(RpcOut *out, const ProtobufCMessage *message);

static void put_format(RpcOut *out, const char *fmt, ...)
{
    char text[64];
    va_list args;

    va_start(args, fmt);
    int n = vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    rpc_out_bytes(out, text, n < 0 ? 0 : VMAFX_MIN((size_t)n, sizeof text - 1));
}

static void put_text(RpcOut *out, const char *text)
{
    rpc_out_text(out, "\"");
    for (; text && *text; text++) {
        unsigned char c = (unsigned char)*text;

        if (c == '"' || c == '\\')
            put_format(out, "\\%c", c);
        else if (c == '\n')
            rpc_out_text(out, "\\n");
        else if (c < 0x20 || c == 0x7f)
            put_format(out, "\\u%04x", c);
        else
            rpc_out_bytes(out, text, 1);
    }
    rpc_out_text(out, "\"");
}

static void put_bytes(RpcOut *out, const ProtobufCBinaryData *data)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    rpc_out_text(out, "\"");
    for (size_t i = 0; i < data->len; i += 3) {
        size_t n = VMAFX_MIN(data->len - i, (size_t)3);
        uint32_t bits = (uint32_t)data->data[i] << 16;

        if (n > 1)
            bits |= (uint32_t)data->data[i + 1] << 8;
        if (n > 2)
            bits |= data->data[i + 2];
        char quad[4] = { digits[bits >> 18], digits[bits >> 12 & 63], n > 1 ? digits[bits >> 6 & 63] : '=',
                         n > 2 ? digits[bits & 63] : '=' };
        rpc_out_bytes(out, quad, sizeof quad);
    }
    rpc_out_text(out, "\"");
}

/* The shortest text that reads back as the same number. */
static void put_double(RpcOut *out, double value, bool is_float)
{
    char text[40] = "";

    if (!isfinite(value)) {
        rpc_out_text(out, isnan(value) ? "\"NaN\"" : value < 0 ? "\"-Infinity\"" : "\"Infinity\"");
        return;
    }
    for (int digits = is_float ? 6 : 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (is_float ? strtof(text, NULL) == (float)value : strtod(text, NULL) == value)
            break;
    }
    rpc_out_text(out, value == 0 && signbit(value) ? "-0.0" : text); /* "-0" is a whole number, which has no sign */
}

static void put_int(RpcOut *out, int64_t value)
{
    bool exact = value <= EXACT_MAX && value >= -EXACT_MAX;

    put_format(out, exact ? "%" PRId64 : "\"%" PRId64 "\"", value);
}

static void put_uint(RpcOut *out, uint64_t value)
{
    put_format(out, value <= (uint64_t)EXACT_MAX ? "%" PRIu64 : "\"%" PRIu64 "\"", value);
}

static void put_enum(RpcOut *out, const ProtobufCEnumDescriptor *type, int value)
{
    const ProtobufCEnumValue *known = protobuf_c_enum_descriptor_get_value(type, value);

    if (known)
        put_format(out, "\"%s\"", known->name);
    else
        put_format(out, "%d", value); /* of a newer peer */
}

size_t message_value_size(ProtobufCType type)
{
    switch (type) {
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        return 8;
    case PROTOBUF_C_TYPE_DOUBLE:
        return sizeof(double);
    case PROTOBUF_C_TYPE_BOOL:
        return sizeof(protobuf_c_boolean);
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_MESSAGE:
        return sizeof(void *);
    case PROTOBUF_C_TYPE_BYTES:
        return sizeof(ProtobufCBinaryData);
    default:
        return 4;
    }
}

static void put_value(RpcOut *out, const ProtobufCFieldDescriptor *field, const void *at)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
        put_int(out, *(const int32_t *)at);
        break;
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
        put_int(out, *(const int64_t *)at);
        break;
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
        put_uint(out, *(const uint32_t *)at);
        break;
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        put_uint(out, *(const uint64_t *)at);
        break;
    case PROTOBUF_C_TYPE_FLOAT:
        put_double(out, (double)*(const float *)at, true);
        break;
    case PROTOBUF_C_TYPE_DOUBLE:
        put_double(out, *(const double *)at, false);
        break;
    case PROTOBUF_C_TYPE_BOOL:
        rpc_out_text(out, *(const protobuf_c_boolean *)at ? "true" : "false");
        break;
    case PROTOBUF_C_TYPE_ENUM:
        put_enum(out, field->descriptor, *(const int *)at);
        break;
    case PROTOBUF_C_TYPE_STRING:
        put_text(out, *(char *const *)at);
        break;
    case PROTOBUF_C_TYPE_BYTES:
        put_bytes(out, at);
        break;
    case PROTOBUF_C_TYPE_MESSAGE:
        put_message(out, *(ProtobufCMessage *const *)at);
        break;
    }
}

static bool is_set(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    const char *base = (const char *)message;

    if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF)
        return *(const uint32_t *)(base + field->quantifier_offset) == field->id;
    return field->type != PROTOBUF_C_TYPE_MESSAGE || *(ProtobufCMessage *const *)(base + field->offset);
}

static void put_list(RpcOut *out, const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    const char *base = (const char *)message;
    size_t n = *(const size_t *)(base + field->quantifier_offset);
    const char *items = *(char *const *)(base + field->offset);

    rpc_out_text(out, "[");
    for (size_t i = 0; i < n; i++) {
        if (i)
            rpc_out_text(out, ",");
        put_value(out, field, items + i * message_value_size(field->type));
    }
    rpc_out_text(out, "]");
}

static void put_message(RpcOut *out, const ProtobufCMessage *message)
{
    const char *comma = "";

    rpc_out_text(out, "{");
    for (unsigned i = 0; message && i < message->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &message->descriptor->fields[i];
        bool list = field->label == PROTOBUF_C_LABEL_REPEATED;

        if (!list && !is_set(message, field))
            continue;
        rpc_out_text(out, comma);
        put_text(out, field->name);
        rpc_out_text(out, ":");
        if (list)
            put_list(out, message, field);
        else
            put_value(out, field, (const char *)message + field->offset);
        comma = ",";
    }
    rpc_out_text(out, "}");
}

char *vmafx_message_json(const ProtobufCMessage *message)
{
    RpcOut out = { 0 };

    put_message(&out, message);
    rpc_out_bytes(&out, "", 1);
    if (out.failed) {
        free(out.ptr);
        return NULL;
    }
    return (char *)out.ptr;
}

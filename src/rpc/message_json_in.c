/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * JSON to messages, by the type's own description, so that every field there is can be given under the name it has in
 * the .proto files. The other way is message_json.c; what that writes is read here.
 *
 * The text is looked at once before it is parsed: how deep it is nested, and what a tree of it would take. A tree costs
 * many times its text (16 MiB of empty objects are 2 GiB of them), so the budget counts for the tree and for the
 * message, each by itself.
 */

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/base.h"
#include "rpc/message_internal.h"

enum {
    PATH_MAX_BYTES = 256,
    NAME_MAX_BYTES = 64, /* of a member that is not ours, in a sentence */
    OBJECT_BYTES = 320,  /* of an object, a list, a value in jansson 2.14 with the allocator's own, rounded up */
    LIST_BYTES = 160,
    VALUE_BYTES = 96, /* with the entry in its object or list */
};

typedef struct Reading {
    const ProtobufCMessageDescriptor *type; /* the outermost, for sentences */
    VmafxMessage *message;
    char path[PATH_MAX_BYTES]; /* of the value being read */
    VmafxErrInfo *reterr;
} Reading;

/* ---- before parsing ---- */

static VmafxErr look_over(Reading *reading, const char *text, size_t len, size_t budget)
{
    size_t bytes = 0;
    int depth = 0;
    bool in_string = false;

    for (size_t i = 0; i < len; i++) {
        char c = text[i];

        if (in_string) {
            bytes++;
            if (c == '\\')
                i++;
            else if (c == '"')
                in_string = false;
            continue;
        }
        in_string = c == '"';
        if (c == '{' || c == '[') {
            depth++;
            bytes += c == '{' ? OBJECT_BYTES : LIST_BYTES;
        } else if (c == '}' || c == ']') {
            depth--;
        } else if (c == ',' || c == ':') {
            bytes += VALUE_BYTES;
        }
        if (depth > 2 * MESSAGE_DEPTH_MAX) /* a level of messages may be two of JSON: a list, and what is in it */
            return vmafx_fail(reading->reterr, VMAFX_ERR_LIMIT, "the JSON is nested deeper than %d levels",
                              2 * MESSAGE_DEPTH_MAX);
        if (bytes > budget)
            return vmafx_fail(reading->reterr, VMAFX_ERR_LIMIT, "the JSON takes more than %zu bytes of memory", budget);
    }
    return VMAFX_OK;
}

static json_t *parse(Reading *reading, const char *text, size_t len, VmafxErr *ret_err)
{
    json_error_t error;
    json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);

    if (root)
        return root;
    *ret_err = json_error_code(&error) == json_error_out_of_memory
                   ? vmafx_fail(reading->reterr, VMAFX_ERR_NOMEM, "no memory for a %s", reading->type->name)
                   : vmafx_fail(reading->reterr, VMAFX_ERR_SYNTAX, "not JSON: %.200s, in line %d at byte %d",
                                error.text, error.line, error.position);
    return NULL;
}

/* ---- sentences ---- */

static VmafxErr wants(Reading *reading, const char *what)
{
    return vmafx_fail(reading->reterr, VMAFX_ERR_SYNTAX, "%s: must be %s",
                      *reading->path ? reading->path : "the document", what);
}

/** Adds ".name" to the path; what is not ours may have any length and control characters. */
static void path_push(Reading *reading, const char *name)
{
    size_t len = strlen(reading->path), n = strnlen(name, NAME_MAX_BYTES);

    while (n && n == NAME_MAX_BYTES && ((unsigned char)name[n] & 0xC0) == 0x80)
        n--; /* not inside a character */
    snprintf(reading->path + len, sizeof reading->path - len, "%s%.*s", len ? "." : "", (int)n, name);
    for (char *c = reading->path + len; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 127)
            *c = '?';
}

/* ---- values ---- */

static VmafxErr no_room(Reading *reading)
{
    return message_failure(reading->message, reading->type, reading->reterr);
}

static VmafxErr read_message(Reading *reading, json_t *value, const ProtobufCMessageDescriptor *type, int depth,
                             ProtobufCMessage **ret);

static VmafxErr read_text(Reading *reading, json_t *value, char **ret)
{
    if (!json_is_string(value))
        return wants(reading, "a string");
    size_t size = json_string_length(value) + 1; /* the parser refuses a zero inside */
    char *copy = message_take(reading->message, size);
    if (!copy)
        return no_room(reading);
    memcpy(copy, json_string_value(value), size);
    *ret = copy;
    return VMAFX_OK;
}

static int base64_digit(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/** RFC 4648 section 4, the canonical form only: padded, no stray bits, nothing else in it. */
static VmafxErr read_bytes(Reading *reading, json_t *value, ProtobufCBinaryData *ret)
{
    const char *text = json_string_value(value);
    size_t len = json_is_string(value) ? json_string_length(value) : 1;
    size_t pad = len && len % 4 == 0 ? (text[len - 1] == '=') + (text[len - 1] == '=' && text[len - 2] == '=') : 0;

    if (len % 4)
        return wants(reading, "bytes in base64, padded");
    uint8_t *bytes = message_take(reading->message, len / 4 * 3);
    if (!bytes)
        return no_room(reading);
    uint32_t bits = 0;
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        int digit = i < len - pad ? base64_digit(text[i]) : 0;
        if (digit < 0)
            return wants(reading, "bytes in base64, padded");
        bits = bits << 6 | (uint32_t)digit;
        if (i % 4 == 3)
            for (int shift = 16; shift >= 0; shift -= 8)
                bytes[n++] = (uint8_t)(bits >> shift);
    }
    for (size_t i = 0; i < pad; i++)
        if (bytes[--n])
            return wants(reading, "bytes in base64, without stray bits at the end");
    *ret = (ProtobufCBinaryData){ n, bytes };
    return VMAFX_OK;
}

static VmafxErr read_enum(Reading *reading, json_t *value, const ProtobufCEnumDescriptor *type, int *ret)
{
    const ProtobufCEnumValue *found =
        json_is_string(value) ? protobuf_c_enum_descriptor_get_value_by_name(type, json_string_value(value)) : NULL;
    char names[256] = "";
    size_t len = 0;

    if (found) {
        *ret = found->value;
        return VMAFX_OK;
    }
    for (unsigned i = 0; i < type->n_values && len < sizeof names; i++)
        len += (size_t)snprintf(names + len, sizeof names - len, "%s%s", i ? ", " : "", type->values[i].name);
    return vmafx_fail(reading->reterr, VMAFX_ERR_SYNTAX, "%s: must be one of %s%s", reading->path, names,
                      len < sizeof names ? "" : "…");
}

/** The digits of a text: -?(0|[1-9][0-9]*), as the writer makes them. */
static bool is_whole(const char *text)
{
    text += *text == '-';
    return (*text >= '1' && *text <= '9' && !text[strspn(text, "0123456789")]) || !strcmp(text, "0");
}

static VmafxErr out_of_range(Reading *reading, int bits, bool is_signed)
{
    return vmafx_fail(reading->reterr, VMAFX_ERR_SYNTAX, "%s: must be a whole number of %d bits%s", reading->path, bits,
                      is_signed ? "" : ", not below 0");
}

static VmafxErr read_signed(Reading *reading, json_t *value, int bits, int64_t *ret)
{
    int64_t limit = bits == 32 ? INT32_MAX : INT64_MAX;

    if (json_is_integer(value)) {
        *ret = json_integer_value(value);
    } else if (bits == 64 && json_is_string(value) && is_whole(json_string_value(value))) {
        errno = 0;
        *ret = strtoll(json_string_value(value), NULL, 10);
        if (errno)
            return out_of_range(reading, bits, true);
    } else {
        return wants(reading, "a whole number");
    }
    return *ret > limit || *ret < -limit - 1 ? out_of_range(reading, bits, true) : VMAFX_OK;
}

static VmafxErr read_unsigned(Reading *reading, json_t *value, int bits, uint64_t *ret)
{
    if (json_is_integer(value)) {
        if (json_integer_value(value) < 0)
            return out_of_range(reading, bits, false);
        *ret = (uint64_t)json_integer_value(value);
    } else if (bits == 64 && json_is_string(value) && is_whole(json_string_value(value))) {
        errno = 0;
        *ret = strtoull(json_string_value(value), NULL, 10);
        if (errno || *json_string_value(value) == '-')
            return out_of_range(reading, bits, false);
    } else {
        return wants(reading, "a whole number");
    }
    return bits == 32 && *ret > UINT32_MAX ? out_of_range(reading, bits, false) : VMAFX_OK;
}

static VmafxErr read_double(Reading *reading, json_t *value, bool is_float, double *ret)
{
    const char *text = json_string_value(value);

    if (json_is_number(value))
        *ret = json_number_value(value);
    else if (text && !strcmp(text, "NaN"))
        *ret = NAN;
    else if (text && (!strcmp(text, "Infinity") || !strcmp(text, "-Infinity")))
        *ret = *text == '-' ? -INFINITY : INFINITY;
    else
        return wants(reading, "a number");
    if (is_float && isfinite(*ret) && !isfinite((float)*ret))
        return wants(reading, "a number that single precision can hold");
    return VMAFX_OK;
}

static VmafxErr read_value(Reading *reading, json_t *value, const ProtobufCFieldDescriptor *field, int depth, void *to)
{
    union {
        int64_t i;
        uint64_t u;
        double d;
    } number = { 0 };
    VmafxErr err;

    switch (field->type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
        err = read_signed(reading, value, 32, &number.i);
        *(int32_t *)to = (int32_t)number.i;
        return err;
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
        return read_signed(reading, value, 64, to);
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
        err = read_unsigned(reading, value, 32, &number.u);
        *(uint32_t *)to = (uint32_t)number.u;
        return err;
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        return read_unsigned(reading, value, 64, to);
    case PROTOBUF_C_TYPE_FLOAT:
        err = read_double(reading, value, true, &number.d);
        *(float *)to = err ? 0 : (float)number.d;
        return err;
    case PROTOBUF_C_TYPE_DOUBLE:
        return read_double(reading, value, false, to);
    case PROTOBUF_C_TYPE_BOOL:
        if (!json_is_boolean(value))
            return wants(reading, "true or false");
        *(protobuf_c_boolean *)to = json_is_true(value);
        return VMAFX_OK;
    case PROTOBUF_C_TYPE_ENUM:
        return read_enum(reading, value, field->descriptor, to);
    case PROTOBUF_C_TYPE_STRING:
        return read_text(reading, value, to);
    case PROTOBUF_C_TYPE_BYTES:
        return read_bytes(reading, value, to);
    case PROTOBUF_C_TYPE_MESSAGE:
        return read_message(reading, value, field->descriptor, depth + 1, to);
    }
    return VMAFX_ERR_INTERNAL;
}

static VmafxErr read_list(Reading *reading, json_t *value, const ProtobufCFieldDescriptor *field, int depth,
                          ProtobufCMessage *message)
{
    size_t n = json_array_size(value), size = message_value_size(field->type), len = strlen(reading->path);

    if (!json_is_array(value))
        return wants(reading, "a list");
    if (!n)
        return VMAFX_OK;
    char *items = message_take(reading->message, n * size); /* n is below the text's length */
    if (!items)
        return no_room(reading);
    for (size_t i = 0; i < n; i++) {
        snprintf(reading->path + len, sizeof reading->path - len, "[%zu]", i);
        VmafxErr err = read_value(reading, json_array_get(value, i), field, depth, items + i * size);
        if (err)
            return err;
    }
    reading->path[len] = 0;
    *(void **)((char *)message + field->offset) = items;
    *(size_t *)((char *)message + field->quantifier_offset) = n;
    return VMAFX_OK;
}

static VmafxErr read_member(Reading *reading, const char *key, json_t *value, int depth, ProtobufCMessage *message)
{
    const ProtobufCFieldDescriptor *field = protobuf_c_message_descriptor_get_field_by_name(message->descriptor, key);

    if (!field)
        return vmafx_fail(reading->reterr, VMAFX_ERR_SYNTAX, "%s: there is no such member", reading->path);
    if (json_is_null(value))
        return VMAFX_OK;
    if (field->label == PROTOBUF_C_LABEL_REPEATED)
        return read_list(reading, value, field, depth, message);
    if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) {
        uint32_t *which = (uint32_t *)((char *)message + field->quantifier_offset);
        if (*which)
            return vmafx_fail(reading->reterr, VMAFX_ERR_SYNTAX, "%s: only one of its kind may be given, and %s is",
                              reading->path,
                              protobuf_c_message_descriptor_get_field(message->descriptor, *which)->name);
        *which = field->id;
    }
    return read_value(reading, value, field, depth, (char *)message + field->offset);
}

static VmafxErr read_message(Reading *reading, json_t *value, const ProtobufCMessageDescriptor *type, int depth,
                             ProtobufCMessage **ret)
{
    size_t len = strlen(reading->path);
    const char *key;
    json_t *member;

    if (!json_is_object(value))
        return wants(reading, "an object");
    if (depth >= MESSAGE_DEPTH_MAX)
        return vmafx_fail(reading->reterr, VMAFX_ERR_LIMIT, "%s: nested deeper than %d messages", reading->path,
                          MESSAGE_DEPTH_MAX);
    ProtobufCMessage *message = message_take(reading->message, type->sizeof_message);
    if (!message)
        return no_room(reading);
    type->message_init(message);
    json_object_foreach(value, key, member)
    {
        path_push(reading, key);
        VmafxErr err = read_member(reading, key, member, depth, message);
        if (err)
            return err;
        reading->path[len] = 0;
    }
    *ret = message;
    return VMAFX_OK;
}

VmafxErr vmafx_message_from_json(const ProtobufCMessageDescriptor *type, const char *text, size_t len, size_t budget,
                                 const char *path, VmafxMessage **ret, VmafxErrInfo *reterr)
{
    Reading reading = { .type = type, .reterr = reterr };
    ProtobufCMessage *root = NULL;
    VmafxErr err;

    if (!budget)
        budget = VMAFX_MESSAGE_BUDGET;
    VMAFX_AUTO(vmafx_message_free) VmafxMessage *message = message_new(budget);
    if (!message)
        return vmafx_fail(reterr, VMAFX_ERR_NOMEM, "no memory for a %s", type->name);
    reading.message = message;
    snprintf(reading.path, sizeof reading.path, "%s", path);
    err = look_over(&reading, text, len, budget);
    if (err)
        return err;
    json_t *tree = parse(&reading, text, len, &err);
    if (!tree)
        return err;
    err = read_message(&reading, tree, type, 0, &root);
    json_decref(tree);
    if (err)
        return err;
    message_set(message, root);
    *ret = VMAFX_TAKE(message);
    return VMAFX_OK;
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Messages in and out. What comes in is walked on the wire first, by the type's descriptor and before anything is
 * allocated: generated code neither looks at strings (it cuts one at its first NUL) nor limits how deep it recurses.
 * Only then protobuf-c unpacks it, into an arena with a budget, because 4 MiB of empty submessages would take 144 MiB.
 */

#include "rpc/message.h"

#include <stdalign.h>
#include <string.h>

#include "base/base.h"
#include "base/text.h"
#include "rpc/message_internal.h"
#include "rpc/wire.h"

enum {
    CHUNK_FIRST = 4096,
    CHUNK_MAX = 256 << 10,
    PATH_MAX_BYTES = 256,
};

/* ---- the arena ---- */

typedef struct Chunk {
    struct Chunk *next;
    size_t used, size;
    alignas(max_align_t) unsigned char bytes[];
} Chunk;

struct VmafxMessage {
    Chunk *chunks; /* the first is the one being filled */
    size_t budget, left;
    size_t chunk_size;
    bool over_budget, no_memory;
    ProtobufCMessage *root;
};

VmafxMessage *message_new(size_t budget)
{
    VmafxMessage *message = calloc(1, sizeof *message);

    if (message) {
        message->budget = message->left = budget ? budget : VMAFX_MESSAGE_BUDGET;
        message->chunk_size = CHUNK_FIRST;
    }
    return message;
}

void *message_take(VmafxMessage *message, size_t size)
{
    const size_t align = alignof(max_align_t);

    if (size > message->left || (size + align - 1) / align * align > message->left) {
        message->over_budget = true;
        return NULL;
    }
    size = VMAFX_MAX((size + align - 1) / align * align, align);
    Chunk *chunk = message->chunks;
    if (!chunk || chunk->size - chunk->used < size) {
        size_t bytes = VMAFX_MAX(message->chunk_size, size);

        chunk = malloc(sizeof *chunk + bytes);
        if (!chunk) {
            message->no_memory = true;
            return NULL;
        }
        *chunk = (Chunk){ .next = message->chunks, .size = bytes };
        message->chunks = chunk;
        message->chunk_size = VMAFX_MIN(message->chunk_size * 2, (size_t)CHUNK_MAX);
    }
    void *p = chunk->bytes + chunk->used;
    chunk->used += size;
    message->left -= VMAFX_MIN(size, message->left);
    return p;
}

VmafxErr message_failure(const VmafxMessage *message, const ProtobufCMessageDescriptor *type, VmafxErrInfo *reterr)
{
    if (message->no_memory)
        return vmafx_fail(reterr, VMAFX_ERR_NOMEM, "no memory for a %s", type->name);
    if (message->over_budget)
        return vmafx_fail(reterr, VMAFX_ERR_LIMIT, "the %s takes more than %zu bytes of memory", type->name,
                          message->budget);
    return VMAFX_OK;
}

void message_set(VmafxMessage *message, ProtobufCMessage *root)
{
    message->root = root;
}

static void *arena_alloc(void *data, size_t size)
{
    return message_take(data, size);
}

static void arena_free(void *data, void *p)
{
    /* everything goes at once, with the message */
}

/* ---- the walk over the wire ---- */

/* One level: a message, and which of its fields is being looked at. The levels form the path that errors name. */
typedef struct Level {
    const struct Level *up;
    const ProtobufCMessageDescriptor *type;
    RpcBytes message;
    const ProtobufCFieldDescriptor *field;
    const uint8_t *at; /* behind the field being looked at */
    int depth;
} Level;

static size_t count_before(const Level *level)
{
    RpcBytes rest = level->message;
    RpcField field;
    size_t n = 0;

    while (rpc_wire_next(&rest, &field) && rest.ptr < level->at)
        n += field.number == level->field->id && field.type == RPC_WIRE_BYTES;
    return n;
}

/* "spec.inputs[2].url"; cut at the front when it does not fit, as the end says more. */
static void path_of(const Level *level, char ret[PATH_MAX_BYTES])
{
    char text[PATH_MAX_BYTES];

    ret[0] = 0;
    for (; level; level = level->up) {
        char index[24] = "";

        if (level->field->label == PROTOBUF_C_LABEL_REPEATED)
            snprintf(index, sizeof index, "[%zu]", count_before(level));
        int n = snprintf(text, sizeof text, "%s%s%s%s", level->field->name, index, *ret ? "." : "", ret);
        if (n < 0 || (size_t)n >= sizeof text)
            return;
        memcpy(ret, text, (size_t)n + 1);
    }
}

/* UTF-8 without U+0000. */
static bool text_is_good(RpcBytes text)
{
    const char *p = (const char *)text.ptr;

    for (size_t i = 0, n; i < text.len; i += n) {
        n = vmafx_utf8_length(p + i, text.len - i);
        if (!n || !p[i])
            return false;
    }
    return true;
}

static VmafxErr walk(Level *level, VmafxErrInfo *reterr)
{
    RpcBytes rest = level->message;
    char path[PATH_MAX_BYTES];
    RpcField field;
    VmafxErr err;

    while (rpc_wire_next(&rest, &field)) {
        level->field = protobuf_c_message_descriptor_get_field(level->type, field.number);
        level->at = rest.ptr;
        if (!level->field || field.type != RPC_WIRE_BYTES)
            continue;
        if (level->field->type == PROTOBUF_C_TYPE_STRING && !text_is_good(field.bytes)) {
            path_of(level, path);
            return vmafx_fail(reterr, VMAFX_ERR_SYNTAX, "the text in field %s is not UTF-8, or has a zero byte", path);
        }
        if (level->field->type == PROTOBUF_C_TYPE_MESSAGE) {
            Level below = {
                .up = level, .type = level->field->descriptor, .message = field.bytes, .depth = level->depth + 1
            };

            if (below.depth >= MESSAGE_DEPTH_MAX)
                return vmafx_fail(reterr, VMAFX_ERR_SYNTAX, "%s is nested deeper than %d messages", level->type->name,
                                  MESSAGE_DEPTH_MAX);
            err = walk(&below, reterr);
            if (err)
                return err;
        }
    }
    if (!rest.len)
        return VMAFX_OK;
    if (!level->up)
        return vmafx_fail(reterr, VMAFX_ERR_SYNTAX, "this is not a %s: byte %zu begins no field", level->type->name,
                          (size_t)(rest.ptr - level->message.ptr));
    path_of(level->up, path);
    return vmafx_fail(reterr, VMAFX_ERR_SYNTAX, "field %s is not a %s", path, level->type->name);
}

/* ---- what the header promises ---- */

VmafxErr vmafx_message_unpack(const ProtobufCMessageDescriptor *type, const void *data, size_t len, size_t budget,
                              VmafxMessage **ret, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(vmafx_message_free) VmafxMessage *message = NULL;
    Level top = { .type = type, .message = { len ? data : (const void *)"", len } };
    VmafxErr err = walk(&top, reterr);

    if (err)
        return err;
    message = message_new(budget);
    if (!message)
        return vmafx_fail(reterr, VMAFX_ERR_NOMEM, "no memory for a %s", type->name);
    ProtobufCAllocator allocator = { arena_alloc, arena_free, message };
    message->root = protobuf_c_message_unpack(type, &allocator, len, top.message.ptr);
    err = message_failure(message, type, reterr);
    if (err)
        return err;
    if (!message->root)
        return vmafx_fail(reterr, VMAFX_ERR_SYNTAX, "this is not a %s: a field has a type that is not its own",
                          type->name);
    *ret = VMAFX_TAKE(message);
    return VMAFX_OK;
}

const void *vmafx_message_get(const VmafxMessage *message)
{
    return message->root;
}

void vmafx_message_free(VmafxMessage **message)
{
    VmafxMessage *gone = VMAFX_TAKE(*message);

    if (!gone)
        return;
    while (gone->chunks) {
        Chunk *next = gone->chunks->next;

        free(gone->chunks);
        gone->chunks = next;
    }
    free(gone);
}

VmafxErr vmafx_message_pack(const ProtobufCMessage *message, uint8_t **ret, size_t *ret_len)
{
    size_t size = protobuf_c_message_get_packed_size(message);
    uint8_t *bytes = malloc(VMAFX_MAX(size, (size_t)1));

    if (!bytes)
        return VMAFX_ERR_NOMEM;
    *ret_len = protobuf_c_message_pack(message, bytes);
    *ret = bytes;
    return VMAFX_OK;
}

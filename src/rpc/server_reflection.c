/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * gRPC server reflection, v1alpha and v1, which are the same on the wire (reflection.proto of gRPC), over a
 * FileDescriptorSet (descriptor.proto of protobuf). The set is small and asked for by people, so everything is searched
 * for each time and nothing is indexed.
 */

#include <string.h>

#include "base/base.h"
#include "rpc/server_internal.h"

/* Fields of ServerReflectionRequest. */
enum { REQUEST_FILE = 3, REQUEST_SYMBOL = 4, REQUEST_EXTENSION = 5, REQUEST_EXTENSION_NUMBERS = 6, REQUEST_LIST = 7 };
/* Of ServerReflectionResponse, ListServiceResponse and ErrorResponse. */
enum { VALID_HOST = 1, ORIGINAL_REQUEST = 2, FILES = 4, LIST = 6, ERROR = 7, SERVICE = 1, SERVICE_NAME = 1 };
/* Of FileDescriptorSet, FileDescriptorProto and the descriptors in it. */
enum { SET_FILE = 1, NAME = 1, PACKAGE = 2, FILE_MESSAGE = 4, FILE_ENUM = 5, FILE_SERVICE = 6, FILE_EXTENSION = 7 };
enum { MESSAGE_FIELD = 2, MESSAGE_NESTED = 3, MESSAGE_ENUM = 4, MESSAGE_EXTENSION = 6, MESSAGE_ONEOF = 8 };
enum { MEMBERS = 2 }; /* values of an enum, methods of a service */

/* Takes "name" or "name." off the front of a symbol; what is left is empty when that was all. */
static bool take_name(RpcBytes *symbol, RpcBytes name)
{
    if (!name.len || symbol->len < name.len || memcmp(symbol->ptr, name.ptr, name.len) != 0)
        return false;
    if (symbol->len > name.len && symbol->ptr[name.len] != '.')
        return false;
    size_t taken = VMAFX_MIN(symbol->len, name.len + 1);
    symbol->ptr += taken;
    symbol->len -= taken;
    return true;
}

/* Does a descriptor with this name and members (of field number `members`) have the symbol? */
static bool has(RpcBytes descriptor, RpcBytes symbol, uint32_t members)
{
    RpcField field;

    if (!take_name(&symbol, rpc_wire_find(descriptor, NAME)))
        return false;
    if (!symbol.len)
        return true;
    while (members && rpc_wire_next(&descriptor, &field)) {
        RpcBytes rest = symbol;

        if (field.number == members && field.type == RPC_WIRE_BYTES &&
            take_name(&rest, rpc_wire_find(field.bytes, NAME)) && !rest.len)
            return true;
    }
    return false;
}

/* Recurses over nested message types of our own descriptor set, not over what a peer sends. */
static bool message_has(RpcBytes descriptor, RpcBytes symbol)
{
    RpcField field;

    if (!take_name(&symbol, rpc_wire_find(descriptor, NAME)))
        return false;
    if (!symbol.len)
        return true;
    while (rpc_wire_next(&descriptor, &field)) {
        if (field.type != RPC_WIRE_BYTES)
            continue;
        bool leaf = field.number == MESSAGE_FIELD || field.number == MESSAGE_EXTENSION || field.number == MESSAGE_ONEOF;
        if ((leaf && has(field.bytes, symbol, 0)) ||
            (field.number == MESSAGE_NESTED && message_has(field.bytes, symbol)) ||
            (field.number == MESSAGE_ENUM && has(field.bytes, symbol, MEMBERS)))
            return true;
    }
    return false;
}

static bool file_has(RpcBytes file, RpcBytes symbol)
{
    RpcBytes package = rpc_wire_find(file, PACKAGE);
    RpcField field;

    if (package.len && !take_name(&symbol, package))
        return false;
    while (rpc_wire_next(&file, &field)) {
        if (field.type != RPC_WIRE_BYTES)
            continue;
        if ((field.number == FILE_MESSAGE && message_has(field.bytes, symbol)) ||
            (field.number == FILE_EXTENSION && has(field.bytes, symbol, 0)) ||
            ((field.number == FILE_ENUM || field.number == FILE_SERVICE) && has(field.bytes, symbol, MEMBERS)))
            return true;
    }
    return false;
}

static bool is_file(RpcBytes file, RpcBytes name)
{
    RpcBytes its = rpc_wire_find(file, NAME);

    return its.len == name.len && its.len && memcmp(its.ptr, name.ptr, its.len) == 0;
}

/* ---- answers ---- */

static void put_error(RpcOut *out, int status, const char *message)
{
    RpcOut error = { 0 };

    rpc_wire_put_varint(&error, 1, (uint64_t)status);
    rpc_wire_put_text(&error, 2, message);
    rpc_wire_put_bytes(out, ERROR, (RpcBytes){ error.ptr, error.len });
    out->failed |= error.failed;
    free(error.ptr);
}

static void put_file(RpcOut *out, const VmafxRpcServer *server, RpcBytes name, bool (*matches)(RpcBytes, RpcBytes),
                     const char *missing)
{
    RpcBytes set = server->descriptor_set;
    RpcField field;

    while (rpc_wire_next(&set, &field)) {
        RpcOut files = { 0 };

        if (field.number != SET_FILE || field.type != RPC_WIRE_BYTES || !matches(field.bytes, name))
            continue;
        rpc_wire_put_bytes(&files, 1, field.bytes);
        rpc_wire_put_bytes(out, FILES, (RpcBytes){ files.ptr, files.len });
        out->failed |= files.failed;
        free(files.ptr);
        return;
    }
    put_error(out, GRPC_STATUS_NOT_FOUND, missing);
}

static bool described(const VmafxRpcServer *server, RpcBytes service)
{
    RpcBytes set = server->descriptor_set;
    RpcField field;

    while (rpc_wire_next(&set, &field))
        if (field.number == SET_FILE && field.type == RPC_WIRE_BYTES && file_has(field.bytes, service))
            return true;
    return false;
}

/* The services that are served and described; naming one that cannot be described would stop those who ask. */
static void put_services(RpcOut *out, const VmafxRpcServer *server)
{
    RpcBytes before = { NULL, 0 };
    RpcOut list = { 0 };

    for (size_t i = 0; i < server->n_entries; i++) {
        const char *name = server->entries[i].method.path + 1;
        RpcBytes service = { (const uint8_t *)name, strcspn(name, "/") };
        RpcOut one = { 0 };

        if (service.len == before.len && memcmp(service.ptr, before.ptr, before.len) == 0)
            continue; /* they are sorted */
        before = service;
        if (!described(server, service))
            continue;
        rpc_wire_put_bytes(&one, SERVICE_NAME, service);
        rpc_wire_put_bytes(&list, SERVICE, (RpcBytes){ one.ptr, one.len });
        list.failed |= one.failed;
        free(one.ptr);
    }
    rpc_wire_put_bytes(out, LIST, (RpcBytes){ list.ptr, list.len });
    out->failed |= list.failed;
    free(list.ptr);
}

static void put_answer(RpcOut *out, const VmafxRpcServer *server, RpcBytes request)
{
    RpcBytes rest = request;
    RpcField field, asked = { 0 };

    while (rpc_wire_next(&rest, &field))
        if (field.type == RPC_WIRE_BYTES && field.number >= REQUEST_FILE && field.number <= REQUEST_LIST)
            asked = field; /* of a oneof the last counts */
    rpc_wire_put_bytes(out, VALID_HOST, rpc_wire_find(request, 1));
    rpc_wire_put_bytes(out, ORIGINAL_REQUEST, request);
    switch (asked.number) {
    case REQUEST_FILE:
        put_file(out, server, asked.bytes, is_file, "there is no such file");
        break;
    case REQUEST_SYMBOL:
        put_file(out, server, asked.bytes, file_has, "there is no such symbol");
        break;
    case REQUEST_EXTENSION:
    case REQUEST_EXTENSION_NUMBERS:
        put_error(out, GRPC_STATUS_NOT_FOUND, "there are no extensions here");
        break;
    case REQUEST_LIST:
        put_services(out, server);
        break;
    default:
        put_error(out, GRPC_STATUS_UNIMPLEMENTED, "this question is not known here");
    }
}

static VmafxErr reflection_open(void *ctx, VmafxRpcStream *stream, void **ret_state, VmafxErrInfo *reterr)
{
    *ret_state = ctx;
    return VMAFX_OK;
}

static void reflection_message(void *state, VmafxRpcStream *stream, const void *data, size_t len)
{
    RpcOut out = { 0 };

    put_answer(&out, state, (RpcBytes){ data, len });
    if (out.failed)
        vmafx_rpc_stream_finish(stream, VMAFX_ERR_NOMEM, NULL);
    else
        VMAFX_IGNORE(vmafx_rpc_stream_send(stream, out.ptr, out.len)); /* one that does not read is ended by it */
    free(out.ptr);
}

static void reflection_half_closed(void *state, VmafxRpcStream *stream)
{
    vmafx_rpc_stream_finish(stream, VMAFX_OK, NULL);
}

void rpc_reflection_methods(VmafxRpcServer *server, VmafxRpcMethod ret[2])
{
    static const char *const paths[2] = { "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
                                          "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo" };

    for (size_t i = 0; i < 2; i++)
        ret[i] = (VmafxRpcMethod){ .path = paths[i],
                                   .open = reflection_open,
                                   .message = reflection_message,
                                   .half_closed = reflection_half_closed,
                                   .ctx = server };
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * A walk through ONNX's protobuf messages (onnx.proto3), as far as they may hold tensors: the graph with its nodes,
 * attributes and the graphs in them, functions, training. The bytes of tensors are stepped over.
 */

#include "infer/onnx_file.h"

#include <string.h>

#include "base/base.h"
#include "infer/onnx_internal.h"

typedef enum Message { MODEL = 0, GRAPH, NODE, ATTRIBUTE, TENSOR, SPARSE_TENSOR, TRAINING, FUNCTION, OTHER } Message;

/* Fields of the model itself. */
enum { IR_VERSION = 1, PRODUCER_NAME = 2, MODEL_GRAPH = 7, OPSET_IMPORT = 8, METADATA_PROPS = 14 };
/* Fields of a tensor. */
enum { EXTERNAL_DATA = 13, DATA_LOCATION = 14 };

/* Where messages are that may hold tensors. */
static const struct {
    uint8_t in, field, is;
} parts[] = {
    { MODEL, MODEL_GRAPH, GRAPH },
    { MODEL, 20, TRAINING },
    { MODEL, 25, FUNCTION },
    { TRAINING, 1, GRAPH },
    { TRAINING, 2, GRAPH },
    { FUNCTION, 7, NODE },
    { FUNCTION, 11, ATTRIBUTE },
    { GRAPH, 1, NODE },
    { GRAPH, 5, TENSOR },
    { GRAPH, 15, SPARSE_TENSOR },
    { NODE, 5, ATTRIBUTE },
    { ATTRIBUTE, 5, TENSOR },
    { ATTRIBUTE, 6, GRAPH },
    { ATTRIBUTE, 10, TENSOR },
    { ATTRIBUTE, 11, GRAPH },
    { ATTRIBUTE, 22, SPARSE_TENSOR },
    { ATTRIBUTE, 23, SPARSE_TENSOR },
    { SPARSE_TENSOR, 1, TENSOR },
    { SPARSE_TENSOR, 2, TENSOR },
};

static Message part_of(Message in, const RpcField *field)
{
    for (size_t i = 0; i < VMAFX_LEN(parts); i++)
        if (parts[i].in == in && parts[i].field == field->number && field->type == RPC_WIRE_BYTES)
            return parts[i].is;
    return OTHER;
}

static VmafxErr no_model(const char *why, VmafxErrInfo *reterr)
{
    return vmafx_fail(reterr, VMAFX_ERR_SYNTAX, "it is no ONNX model: %s", why);
}

/* Recurses as deep as graphs are nested, which has a limit. */
static VmafxErr walk(Message is, RpcBytes message, int nesting, VmafxErrInfo *reterr)
{
    RpcField field;
    VmafxErr err = VMAFX_OK;

    nesting += is == GRAPH;
    if (nesting > VMAFX_ONNX_NESTING_MAX)
        return vmafx_fail(reterr, VMAFX_ERR_LIMIT, "its graphs are nested deeper than %d", VMAFX_ONNX_NESTING_MAX);
    while (!err && rpc_wire_next(&message, &field)) {
        if (is == TENSOR && (field.number == EXTERNAL_DATA || (field.number == DATA_LOCATION && field.value)))
            return vmafx_fail(
                reterr, VMAFX_ERR_MODEL,
                "it keeps tensors in other files, which are not read: save it as one file, without external "
                "data");
        Message part = part_of(is, &field);
        if (part != OTHER)
            err = walk(part, field.bytes, nesting, reterr);
    }
    return err || !message.len ? err : no_model("it is cut or corrupt", reterr);
}

/* As much of a text as fits, and what cannot be printed as '?'. */
static void put_text(char *to, size_t room, RpcBytes from)
{
    size_t n = VMAFX_MIN(from.len, room - 1);

    for (size_t i = 0; i < n; i++)
        to[i] = from.ptr[i] >= 0x20 && from.ptr[i] < 0x7f ? (char)from.ptr[i] : '?';
    to[n] = 0;
}

static bool is_onnx_domain(RpcBytes domain)
{
    return !domain.len || rpc_bytes_are(domain, "ai.onnx");
}

static void take_opset(VmafxOnnxFile *file, RpcBytes import)
{
    RpcField field;
    RpcBytes domain = rpc_wire_find(import, 1);

    while (rpc_wire_next(&import, &field))
        if (field.number == 2 && field.type == RPC_WIRE_VARINT && is_onnx_domain(domain))
            file->opset = (int64_t)field.value;
}

/* The fields of the model itself, apart from its graph. */
static VmafxErr take_field(VmafxOnnxFile *file, OnnxMetadata *metadata, size_t *n_metadata, const RpcField *field,
                           VmafxErrInfo *reterr)
{
    if (field->number == IR_VERSION && field->type == RPC_WIRE_VARINT)
        file->ir_version = (int64_t)field->value;
    if (field->type != RPC_WIRE_BYTES)
        return VMAFX_OK;
    switch (field->number) {
    case PRODUCER_NAME:
        put_text(file->producer, sizeof file->producer, field->bytes);
        return VMAFX_OK;
    case OPSET_IMPORT:
        take_opset(file, field->bytes);
        return VMAFX_OK;
    case METADATA_PROPS:
        if (++*n_metadata > VMAFX_ONNX_METADATA_MAX)
            return vmafx_fail(reterr, VMAFX_ERR_LIMIT, "it has more than %d metadata", VMAFX_ONNX_METADATA_MAX);
        return onnx_metadata_take(metadata, rpc_wire_find(field->bytes, 1), rpc_wire_find(field->bytes, 2), reterr);
    default:
        return VMAFX_OK;
    }
}

static VmafxErr read_model(RpcBytes model, VmafxOnnxFile *file, VmafxErrInfo *reterr)
{
    OnnxMetadata metadata = { 0 };
    RpcBytes rest = model;
    RpcField field;
    size_t n_metadata = 0;
    bool has_graph = false;
    VmafxErr err = walk(MODEL, model, 0, reterr);

    while (!err && rpc_wire_next(&rest, &field)) {
        has_graph |= field.number == MODEL_GRAPH && field.type == RPC_WIRE_BYTES;
        err = take_field(file, &metadata, &n_metadata, &field, reterr);
    }
    if (err)
        return err;
    if (file->ir_version < 1 || !has_graph)
        return no_model(has_graph ? "it has no format version" : "it has no graph", reterr);
    if (file->opset < 1)
        return no_model("it does not say which operator set it uses", reterr);
    return onnx_metadata_read(&metadata, file, reterr);
}

VmafxErr vmafx_onnx_read(const void *data, size_t len, VmafxOnnxFile *ret, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(vmafx_onnx_file_done) VmafxOnnxFile file = { 0 };
    VmafxErr err;

    if (len > VMAFX_ONNX_BYTES_MAX)
        return vmafx_fail(reterr, VMAFX_ERR_LIMIT, "it has more than %zu MiB", VMAFX_ONNX_BYTES_MAX >> 20);
    if (!len)
        return no_model("it is empty", reterr);
    err = read_model((RpcBytes){ data, len }, &file, reterr);
    if (err)
        return err;
    *ret = file;
    file = (VmafxOnnxFile){ 0 };
    return VMAFX_OK;
}

void vmafx_onnx_file_done(VmafxOnnxFile *file)
{
    for (size_t i = 0; i < file->n_features; i++)
        free(file->features[i].options.items);
    free(file->text);
    *file = (VmafxOnnxFile){ 0 };
}

const char *vmafx_onnx_kind_name(VmafxOnnxKind kind)
{
    static const char *const names[] = {
        [VMAFX_ONNX_FEATURES] = "features", [VMAFX_ONNX_LUMA_PAIR] = "luma_pair", [VMAFX_ONNX_LUMA] = "luma"
    };

    return names[kind];
}

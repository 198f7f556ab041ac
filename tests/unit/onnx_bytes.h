/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* ONNX files written field by field, for tests. */
#ifndef VMAFX_TESTS_ONNX_BYTES_H
#define VMAFX_TESTS_ONNX_BYTES_H

#include <string.h>

#include "rpc/wire.h"

static inline RpcBytes view(const RpcOut *out)
{
    return (RpcBytes){ out->ptr, out->len };
}

/* Appends one message as a field of another, and frees it. */
static inline void put_message(RpcOut *out, uint32_t number, RpcOut *message)
{
    rpc_wire_put_bytes(out, number, message->ptr ? view(message) : (RpcBytes){ (const uint8_t *)"", 0 });
    free(message->ptr);
    *message = (RpcOut){ 0 };
}

/* A tensor of float32. */
static inline RpcOut a_tensor(const char *name, const int64_t *dims, size_t n_dims, const float *values, size_t n)
{
    RpcOut tensor = { 0 };

    for (size_t i = 0; i < n_dims; i++)
        rpc_wire_put_varint(&tensor, 1, (uint64_t)dims[i]);
    rpc_wire_put_varint(&tensor, 2, 1);
    rpc_wire_put_text(&tensor, 8, name);
    rpc_wire_put_bytes(&tensor, 9, (RpcBytes){ (const uint8_t *)values, n * sizeof *values });
    return tensor;
}

/* A float32 input or output; a dimension of 0 is open. */
static inline RpcOut a_port(const char *name, const int64_t *dims, size_t n_dims)
{
    RpcOut port = { 0 }, type = { 0 }, tensor = { 0 }, shape = { 0 };

    for (size_t i = 0; i < n_dims; i++) {
        RpcOut dim = { 0 };

        if (dims[i])
            rpc_wire_put_varint(&dim, 1, (uint64_t)dims[i]);
        else
            rpc_wire_put_text(&dim, 2, "open");
        put_message(&shape, 1, &dim);
    }
    rpc_wire_put_varint(&tensor, 1, 1);
    put_message(&tensor, 2, &shape);
    put_message(&type, 1, &tensor);
    rpc_wire_put_text(&port, 1, name);
    put_message(&port, 2, &type);
    return port;
}

static inline RpcOut a_node(const char *op, const char *const *inputs, size_t n_inputs, const char *output)
{
    RpcOut node = { 0 };

    for (size_t i = 0; i < n_inputs; i++)
        rpc_wire_put_text(&node, 1, inputs[i]);
    rpc_wire_put_text(&node, 2, output);
    rpc_wire_put_text(&node, 4, op);
    return node;
}

static inline void put_metadata(RpcOut *model, const char *key, const char *value)
{
    RpcOut pair = { 0 };

    rpc_wire_put_text(&pair, 1, key);
    rpc_wire_put_text(&pair, 2, value);
    put_message(model, 14, &pair);
}

/* The graph and opset 13, without metadata; the graph is freed. */
static inline RpcOut a_model(RpcOut *graph)
{
    RpcOut model = { 0 }, opset = { 0 };

    rpc_wire_put_varint(&model, 1, 8);
    rpc_wire_put_text(&model, 2, "test");
    put_message(&model, 7, graph);
    rpc_wire_put_varint(&opset, 2, 13);
    put_message(&model, 8, &opset);
    return model;
}

/* y = x · w + b for two features; batch 0: open. */
static inline RpcOut a_linear_graph(float w0, float w1, float b, int64_t batch)
{
    static const char *const names[] = { "x", "w", "b" };
    const float w[] = { w0, w1 };
    RpcOut graph = { 0 };
    RpcOut node = a_node("Gemm", names, 3, "y"), tensor_w = a_tensor("w", (const int64_t[]){ 2, 1 }, 2, w, 2),
           tensor_b = a_tensor("b", (const int64_t[]){ 1 }, 1, &b, 1),
           x = a_port("x", (const int64_t[]){ batch, 2 }, 2), y = a_port("y", (const int64_t[]){ batch, 1 }, 2);

    put_message(&graph, 1, &node);
    rpc_wire_put_text(&graph, 2, "graph");
    put_message(&graph, 5, &tensor_w);
    put_message(&graph, 5, &tensor_b);
    put_message(&graph, 11, &x);
    put_message(&graph, 12, &y);
    return graph;
}

/* The same as a model of adm2 and motion2. */
static inline RpcOut a_linear_model(float w0, float w1, float b, int64_t batch)
{
    RpcOut graph = a_linear_graph(w0, w1, b, batch), model = a_model(&graph);

    put_metadata(&model, "vmafx.format", "1");
    put_metadata(&model, "vmafx.kind", "features");
    put_metadata(&model, "vmafx.features", "VMAF_integer_feature_adm2_score VMAF_integer_feature_motion2_score");
    return model;
}
#endif

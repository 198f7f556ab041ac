# SPDX-License-Identifier: BSD-2-Clause-Patent
"""Writes ONNX files, as far as our training and our tests need them: protobuf by hand (onnx.proto3), no package."""
import struct

FLOAT, INT64, DOUBLE = 1, 7, 11


def varint(value):
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def number(field, value):
    return varint(field << 3) + varint(value)


def data(field, value):
    value = value.encode() if isinstance(value, str) else value
    return varint(field << 3 | 2) + varint(len(value)) + value


def floats(name, dims, values):
    """A TensorProto of float32."""
    head = b"".join(number(1, d) for d in dims) + number(2, FLOAT) + data(8, name)
    return head + data(9, struct.pack(f"<{len(values)}f", *values))


def external(name, dims, path):
    """A TensorProto of float32 whose values are in another file."""
    head = b"".join(number(1, d) for d in dims) + number(2, FLOAT) + data(8, name)
    return head + data(13, data(1, "location") + data(2, path)) + number(14, 1)


def node(op, inputs, outputs, domain="", **attributes):
    """A NodeProto; attributes are ints, floats, lists of ints, or tensors as bytes."""
    out = b"".join(data(1, i) for i in inputs) + b"".join(data(2, o) for o in outputs) + data(4, op)
    for name, value in attributes.items():
        a = data(1, name)
        if isinstance(value, bytes):
            a += data(5, value) + number(20, 4)
        elif isinstance(value, float):
            a += varint(2 << 3 | 5) + struct.pack("<f", value) + number(20, 1)
        elif isinstance(value, int):
            a += number(3, value) + number(20, 2)
        else:
            a += b"".join(number(8, v) for v in value) + number(20, 7)
        out += data(5, a)
    return out + (data(7, domain) if domain else b"")


def value(name, dims, element=FLOAT):
    """A ValueInfoProto; a dimension is a number, or a name, which leaves it open."""
    shape = b"".join(data(1, number(1, d) if isinstance(d, int) else data(2, d)) for d in dims)
    return data(1, name) + data(2, data(1, number(1, element) + data(2, shape)))


def model(nodes, inputs, outputs, tensors=(), metadata=None, opset=13, ir=8, producer="vmafx"):
    """A ModelProto. metadata: a dict, or a list of pairs."""
    graph = b"".join(data(1, n) for n in nodes) + data(2, "graph") + b"".join(data(5, t) for t in tensors)
    graph += b"".join(data(11, i) for i in inputs) + b"".join(data(12, o) for o in outputs)
    out = number(1, ir) + data(2, producer) + data(7, graph) + data(8, number(2, opset))
    pairs = metadata.items() if isinstance(metadata, dict) else metadata or []
    return out + b"".join(data(14, data(1, k) + data(2, v)) for k, v in pairs)

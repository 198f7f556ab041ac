# SPDX-License-Identifier: BSD-2-Clause-Patent
"""Small ONNX models, written byte by byte, for whatever tests have them measured with."""
import json
import os
import struct
import sys

from harness import Skip, need_models, run

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tools"))
from onnx_file import DOUBLE, data, external, floats, model, node, number, value  # noqa: E402

ADM2, MOTION2 = "VMAF_integer_feature_adm2_score", "VMAF_integer_feature_motion2_score"
FEATURES = {"vmafx.format": "1", "vmafx.kind": "features", "vmafx.features": f"{ADM2}, {MOTION2}"}
PAIR = {"vmafx.format": "1", "vmafx.kind": "luma_pair"}
LUMA = {"vmafx.format": "1", "vmafx.kind": "luma"}


def need_runtime():
    """Whether there is an ONNX Runtime, as the program itself finds it."""
    checks = {c["check"]: c for c in json.loads(run("doctor", "--json").stdout)["checks"]}
    if checks["onnx"]["verdict"] != "ok":
        raise Skip("no ONNX Runtime; install libonnxruntime1.21 (Debian 13), or run tools/fetch-onnxruntime")


def write(name, content):
    with open(name, "wb") as f:
        f.write(content)
    return name


def linear(metadata=None, weights=(80.0, 0.25), bias=1.5, batch="N", **more):
    """weights · features + bias"""
    return model([node("Gemm", ["x", "w", "b"], ["y"])], [value("x", [batch, len(weights)])], [value("y", [batch, 1])],
                 [floats("w", [len(weights), 1], weights), floats("b", [1], [bias])], metadata or FEATURES, **more)


def squares(dims=("N", 1, "H", "W"), metadata=None):
    """The mean squared difference of luma."""
    return model([node("Sub", ["reference", "distorted"], ["d"]), node("Mul", ["d", "d"], ["q"]),
                  node("ReduceMean", ["q"], ["m"], axes=[1, 2, 3], keepdims=0)],
                 [value("reference", dims), value("distorted", dims)], [value("m", dims[:1])], [], metadata or PAIR)


def mean(dims=("N", 1, "H", "W"), metadata=None):
    """Mean luma of the distorted video."""
    return model([node("ReduceMean", ["picture"], ["m"], axes=[1, 2, 3], keepdims=0)], [value("picture", dims)],
                 [value("m", dims[:1])], [], metadata or LUMA)


def through(op, **attributes):
    """Features through one operator and a sum."""
    return model([node(op, ["x"], ["z"], **attributes), node("ReduceSum", ["z", "axes"], ["y"], keepdims=1)],
                 [value("x", ["N", 2])], [value("y", ["N", 1])],
                 [number(1, 1) + number(2, 7) + data(8, "axes") + data(9, struct.pack("<q", 1))], FEATURES)


def not_a_number():
    """0 / 0 for every frame."""
    return model([node("Sub", ["x", "x"], ["zero"]), node("Div", ["zero", "zero"], ["z"]),
                  node("ReduceSum", ["z", "axes"], ["y"], keepdims=1)], [value("x", ["N", 2])], [value("y", ["N", 1])],
                 [number(1, 1) + number(2, 7) + data(8, "axes") + data(9, struct.pack("<q", 1))], FEATURES)


def installed():
    """An environment in which linear and mean are installed beside the usual models."""
    os.makedirs("installed", exist_ok=True)
    write("installed/linear.onnx", linear())
    write("installed/mean.onnx", mean())
    write("installed/nan.onnx", not_a_number())
    return {"VMAFX_MODEL_PATH": os.path.abspath("installed") + ":" + need_models()}

# SPDX-License-Identifier: BSD-2-Clause-Patent
"""ONNX models: what they give, what is refused, and every door through which they can be asked for. The models are written
here, byte by byte.

usage: test_onnx.py VMAFX [CASE…]
"""
import csv
import json
import math
import os
import struct

from fleet import Fleet
from harness import PROGRAM, absolute_pair, built_with, case, expect, load, main, need_models, pair, run, write_y4m
from mcp import Mcp
from onnx_models import (ADM2, DOUBLE, FEATURES, LUMA, MOTION2, PAIR, ROOT, data, external, floats, installed, linear, mean, model,
                         need_runtime, node, not_a_number, number, squares, through, value, write)
from otlp import Receiver, metrics_of
from server import Server, by_path, events, wait_for
from trees import check_tree, spans_by_trace


def score(*arguments, **more):
    return run("score", "--reference", "ref.y4m", "--distorted", "dis.y4m", *arguments, **more)


def columns(path="out.csv"):
    with open(path, newline="", encoding="utf-8") as f:
        rows = list(csv.DictReader(f))
    return {name: [float(row[name]) if row[name] else None for row in rows] for name in rows[0]}


def luma(path, w, h):
    """The frames of a y4m file, as lists of samples."""
    found = []
    with open(path, "rb") as f:
        f.readline()
        while f.readline():
            frame = f.read(w * h + 2 * ((w + 1) // 2) * ((h + 1) // 2))
            found.append(frame[:w * h])
    return found


def close(got, wanted, tolerance=1e-5):
    assert len(got) == len(wanted), (len(got), len(wanted))
    for a, b in zip(got, wanted):
        assert abs(a - b) <= tolerance * max(1, abs(b)), (got, wanted)


# ---- what they give


@case
def a_model_of_features_gets_their_values():
    need_runtime()
    pair(n=30)
    write("linear.onnx", linear())
    expect(score("--model", "onnx:path=linear.onnx", "--output", "out.csv"), 0, "score", "linear", "integer_adm2")
    c = columns()
    close(c["linear"], [80 * a + 0.25 * m + 1.5 for a, m in zip(c["integer_adm2"], c["integer_motion2"])])


@case
def a_long_clip_goes_through_in_several_batches_and_with_threads_the_same():
    need_runtime()
    pair(w=32, h=32, n=2100)
    write("linear.onnx", linear(FEATURES | {"vmafx.features": f"{MOTION2} {MOTION2}"}))
    for threads in ("0", "2"):
        expect(score("--model", "path=linear.onnx", "--threads", threads, "--output", "out.csv"), 0)
        c = columns()
        close(c["linear"], [80.25 * m + 1.5 for m in c["integer_motion2"]])


@case
def options_of_features_and_the_range_come_from_the_metadata():
    need_runtime()
    pair()
    write("limited.onnx", linear(FEATURES | {"vmafx.range": "10 20.5"}, weights=(80.0, 0.0)))
    write("gain.onnx", linear(FEATURES | {"vmafx.features": f"{ADM2}:adm_enhn_gain_limit=1.0\n{MOTION2}"}))
    expect(score("--model", "onnx:path=limited.onnx", "--model", "onnx:path=limited.onnx:disable_clip:name=free", "--model",
                 "path=gain.onnx", "--output", "out.csv"), 0)
    c = columns()
    assert set(c["limited"]) == {20.5} and min(c["free"]) > 70, c
    close(c["gain"], [80 * a + 0.25 * m + 1.5 for a, m in zip(c["integer_adm2_egl_1"], c["integer_motion2"])])


@case
def a_model_of_luma_gets_the_pictures():
    need_runtime()
    pair(n=40)
    write("squares.onnx", squares())
    write("mean.onnx", mean(metadata=LUMA | {"vmafx.peak": "255"}))
    expect(score("--model", "onnx:path=squares.onnx", "--model", "onnx:path=mean.onnx", "--output", "out.csv"), 0)
    c, ref, dis = columns(), luma("ref.y4m", 64, 48), luma("dis.y4m", 64, 48)
    close(c["squares"], [sum((a - b) ** 2 for a, b in zip(r, d)) / len(r) / 255 ** 2 for r, d in zip(ref, dis)])
    close(c["mean"], [sum(d) / len(d) for d in dis])


@case
def luma_of_ten_bits_has_the_same_scale():
    need_runtime()
    pair(n=3, depth=10)
    write("mean.onnx", mean())
    expect(score("--model", "onnx:path=mean.onnx", "--output", "ten.csv"), 0)
    pair(n=3)
    expect(score("--model", "onnx:path=mean.onnx", "--output", "eight.csv"), 0)
    close(columns("ten.csv")["mean"], [v * 4 / 1023 * 255 for v in columns("eight.csv")["mean"]])


@case
def a_batch_that_is_fixed_at_one_is_run_frame_by_frame():
    need_runtime()
    pair(n=9)
    write("open.onnx", linear())
    write("one.onnx", linear(batch=1))
    write("pictures.onnx", squares())
    write("picture.onnx", squares((1, 1, 48, 64)))
    expect(score(*(f"--model=path={n}.onnx" for n in ("open", "one", "pictures", "picture")), "--output", "out.csv"), 0)
    c = columns()
    close(c["one"], c["open"])
    close(c["picture"], c["pictures"])


@case
def with_subsampling_only_those_frames_have_scores():
    need_runtime()
    pair(n=50)
    write("linear.onnx", linear())
    write("mean.onnx", mean())
    models = ("--model", "path=linear.onnx", "--model", "path=mean.onnx")
    expect(score(*models, "--output", "all.csv"), 0)
    expect(score(*models, "--subsample", "3", "--output", "some.csv"), 0)
    every, some = columns("all.csv"), columns("some.csv")
    assert len(some["mean"]) == 17, len(some["mean"])
    close(some["mean"], every["mean"][::3])
    close(some["linear"], every["linear"][::3])


@case
def they_stand_beside_other_models_and_do_not_change_them():
    need_runtime()
    need_models()
    pair(n=20)
    write("linear.onnx", linear())
    write("mean.onnx", mean())
    expect(score("--output", "alone.json"), 0)
    expect(score("--model", "vmaf_v0.6.1", "--model", "path=linear.onnx", "--model", "path=mean.onnx:name=brightness",
                 "--output", "both.json"), 0)
    alone, both = load("alone.json"), load("both.json")
    assert both["verdict"] == alone["verdict"]
    assert [m["name"] for m in both["models"]] == ["vmaf", "linear", "brightness"], both["models"]
    assert all(len(m["sha256"]) == 64 for m in both["models"])
    assert both["options"]["onnx"].startswith("linear=opset 13, ONNX Runtime "), both["options"]
    assert {"linear", "brightness"} <= set(both["pooled"])


@case
def sizes_are_fixed_where_the_model_says_so():
    need_runtime()
    pair()
    write("small.onnx", squares(("N", 1, 90, 160)))
    expect(score("--model", "path=small.onnx"), 4, "small", "160x90", "64x48", "--scale 160x90")
    expect(score("--model", "path=small.onnx", "--scale", "160x90"), 0)


# ---- what is refused

BROKEN = [
    ("empty", b"", 5, "it is no ONNX model", "empty"),
    ("text", b"once upon a time\n", 5, "it is no ONNX model"),
    ("cut", linear()[:-30], 5, "it is no ONNX model", "cut or corrupt"),
    ("no_graph", number(1, 8) + data(8, number(2, 13)), 5, "it has no graph"),
    ("plain", linear({"author": "somebody"}), 5, "vmafx.format", "docs/onnx.md"),
    ("typo", linear(FEATURES | {"vmafx.feature": "x"}), 5, "vmafx.feature,"),
    ("format", linear(FEATURES | {"vmafx.format": "2"}), 5, "vmafx.format"),
    ("kind", linear(FEATURES | {"vmafx.kind": "chroma"}), 5, "vmafx.kind"),
    ("twice", linear([*FEATURES.items(), ("vmafx.kind", "luma")]), 5, "twice"),
    ("no_features", linear({"vmafx.format": "1", "vmafx.kind": "features"}), 5, "vmafx.features"),
    ("range", linear(FEATURES | {"vmafx.range": "100 0"}), 5, "vmafx.range"),
    ("huge_metadata", linear(FEATURES | {"vmafx.features": "x" * 20000}), 5, "16384 bytes"),
    ("many_metadata", linear([(f"k{i}", "") for i in range(300)]), 5, "more than 256 metadata"),
    ("unknown_feature", linear(FEATURES | {"vmafx.features": f"{ADM2} sharpness"}), 5, "sharpness"),
    ("bad_option", linear(FEATURES | {"vmafx.features": f"{ADM2}:adm_enhn_gain_limit=0 {MOTION2}"}), 5,
     "adm_enhn_gain_limit"),
    ("three_features", linear(FEATURES, weights=(1.0, 2.0, 3.0)), 5, "[?, 3]", "[N, 2]"),
    ("rank", model([node("Identity", ["x"], ["y"])], [value("x", ["N"])], [value("y", ["N"])], [], FEATURES), 5, "[?]"),
    ("float64", model([node("Identity", ["x"], ["y"])], [value("x", ["N", 2], DOUBLE)], [value("y", ["N", 2], DOUBLE)], [],
                      FEATURES), 5, "float32"),
    ("two_values", model([node("Identity", ["x"], ["y"])], [value("x", ["N", 2])], [value("y", ["N", 2])], [], FEATURES), 5,
     "output", "[?, 2]"),
    ("two_inputs", squares(metadata=LUMA), 5, "2 inputs"),
    ("names", model([node("Sub", ["a", "b"], ["d"]), node("ReduceMean", ["d"], ["m"], axes=[1, 2, 3], keepdims=0)],
                    [value("a", ["N", 1, "H", "W"]), value("b", ["N", 1, "H", "W"])], [value("m", ["N"])], [], PAIR), 5,
     "reference and distorted", "'a'"),
    ("no_such_operator", model([node("Sharpen", ["x"], ["y"])], [value("x", ["N", 2])], [value("y", ["N", 1])], [], FEATURES),
     5, "ONNX Runtime", "refuses it", "Sharpen"),
    ("next_opset", linear(opset=99), 5, "ONNX Runtime", "99"),
    ("external", model([node("Gemm", ["x", "w"], ["y"])], [value("x", ["N", 2])], [value("y", ["N", 1])],
                       [external("w", [2, 1], "/etc/passwd")], FEATURES), 5, "other files", "external data"),
    ("external_constant",
     model([node("Constant", [], ["w"], value=external("w", [2, 1], "w.bin")), node("MatMul", ["x", "w"], ["y"])],
           [value("x", ["N", 2])], [value("y", ["N", 1])], [], FEATURES), 5, "other files"),
    ("nan", not_a_number(), 5, "NaN", "frame 0"),
    ("infinite", through("Reciprocal"), 5, "infinity", "frame 0"),  # motion2 of the first frame is 0
]


@case
def what_cannot_be_used_is_refused_with_a_sentence():
    need_runtime()
    pair()
    for name, content, code, *words in BROKEN:
        write(f"{name}.onnx", content)
        got = expect(score("--model", f"onnx:path={name}.onnx"), code, name, *words)
        assert len(got.stderr.splitlines()) == 1 and not got.stdout, (name, got.stderr, got.stdout)
    expect(score("--model", "onnx:path=none.onnx"), 5, "none.onnx")
    expect(score("--model", "onnx:version=vmaf_v0.6.1"), 2, "onnx:path=FILE")
    write("linear.onnx", linear())
    expect(score("--model", "path=linear.onnx:enable_transform"), 5, "no transform")
    expect(score("--model", "path=linear.onnx:motion.motion_force_zero=true"), 5, "fixed in the file")


@case
def a_size_that_does_not_fit_within_the_model_is_no_crash():
    """A reshape that only fits 32x32: the runtime says so in the middle of a scoring."""
    need_runtime()
    pair()
    shape = number(1, 2) + number(2, 7) + data(8, "s") + data(9, struct.pack("<qq", -1, 1024))
    write("only.onnx", model(
        [node("Reshape", ["x", "s"], ["r"]), node("ReduceMean", ["r"], ["m"], axes=[1], keepdims=0)],
        [value("x", ["N", 1, "H", "W"])], [value("m", ["M"])], [shape], LUMA))
    got = expect(score("--model", "path=only.onnx"), 5, "only")
    assert len(got.stderr.splitlines()) == 1, got.stderr


@case
def without_a_runtime_the_sentence_says_what_to_do():
    pair()
    write("linear.onnx", linear())
    gone = {"VMAFX_ONNXRUNTIME": "/nonexistent/libonnxruntime.so"}
    expect(score("--model", "path=linear.onnx", env=gone), 5, "VMAFX_ONNXRUNTIME", "/nonexistent")
    expect(score("--features-only", "--feature", "motion", env=gone), 0)
    expect(run("doctor", env=gone), run("doctor").returncode, "warn  onnx")
    listed = json.loads(expect(run("models", "list", "--json", env={**gone, "VMAFX_MODEL_PATH": "."}), 0).stdout)["models"]
    mine = next(m for m in listed if m["version"] == "linear")
    assert not mine["usable"] and "VMAFX_ONNXRUNTIME" in mine["reason"], mine
    with open("/proc/self/maps", encoding="ascii") as maps:
        other = next(line.split()[-1] for line in maps if "/libc.so" in line or "/libc-" in line)
    expect(score("--model", "path=linear.onnx", env={"VMAFX_ONNXRUNTIME": other}), 5, "OrtGetApiBase")


# ---- models as files


@case
def installed_ones_are_listed_shown_imported_and_found_by_version():
    need_runtime()
    pair()
    write("linear.onnx", linear(FEATURES | {"vmafx.name": "Two features", "vmafx.version": "3"}))
    write("broken.onnx", b"junk")
    expect(run("models", "import", "linear.onnx", "--directory", "models"), 0, "models/linear.onnx")
    expect(run("models", "import", "broken.onnx", "--directory", "models"), 5, "no ONNX model")
    env = {"VMAFX_MODEL_PATH": os.path.abspath("models")}
    listed = {m["version"]: m for m in json.loads(expect(run("models", "list", "--json", env=env), 0).stdout)["models"]}
    assert listed["linear"]["format"] == "onnx" and listed["linear"]["inputs"] == 2, listed
    expect(run("models", "show", "linear", env=env), 0, "opset 13", ADM2, "Two features 3", "ONNX Runtime")
    shown = json.loads(expect(run("models", "show", "linear", "--json", env=env), 0).stdout)
    assert shown["kind"] == "features" and [i["feature"] for i in shown["inputs"]] == [ADM2, MOTION2], shown
    expect(score("--model", "linear", env=env), 0, "linear")
    expect(score("--model", "lineal", env=env), 5, "linear")


@case
def ours_is_near_vmaf():
    """The model that the project ships, on clips it has not seen."""
    need_runtime()
    need_models()
    pair(w=192, h=108, n=12)
    path = os.path.join(ROOT, "models", "vmafx_features_v1.onnx")
    expect(score("--model", "vmaf_v0.6.1", "--model", f"onnx:path={path}", "--output", "out.json"), 0)
    pooled = load("out.json")["pooled"]
    assert abs(pooled["vmafx_features_v1"]["mean"] - pooled["vmaf"]["mean"]) < 10, pooled


# ---- signals


@case
def a_batch_is_a_span_and_a_measurement():
    need_runtime()
    pair(n=10)
    write("mean.onnx", mean())
    receiver = Receiver()
    expect(score("--model", "path=mean.onnx", env=receiver.environment()), 0)
    (spans,) = spans_by_trace(receiver).values()
    scoring = next(s for s in spans if s[2] == "vmafx.scoring")
    batches = sorted((s for s in spans if s[2] == "vmafx.onnx.inference"), key=lambda s: s[5]["vmafx.frame.first"])
    assert [s[5]["vmafx.frame.first"] for s in batches] == [0, 4, 8], batches
    assert [s[5]["vmafx.inference.batch_size"] for s in batches] == [4, 4, 2], batches
    for s in batches:
        assert s[1] == scoring[0] and s[5]["vmafx.backend"] == b"cpu" and s[5]["vmafx.model.name"] == b"mean", s
    _, metrics = metrics_of(receiver.bodies["/v1/metrics"][-1][1])
    assert "vmafx.inference.duration" in metrics, list(metrics)


# ---- the other doors


@case
def a_server_takes_installed_ones_by_version_only():
    need_runtime()
    pair(n=40)
    env = installed()
    report = json.loads(expect(score("--model", "linear", "--model", "mean", "--output", "report.json", "--json", env=env), 0).stdout)
    report["frames"] = load("report.json")["frames"]
    with Server(env=env) as server:
        got = server.score(by_path(models=[{"version": "linear"}, {"version": "mean"}]))["outcome"]["result"]
        means = {s["name"]: s["mean"] for s in got["series"]}
        for name in ("linear", "mean"):
            assert means[name] == report["pooled"][name]["mean"], (name, means, report["pooled"])
        assert "onnx" in {o["key"] for o in got["options"]}, got["options"]
        _, _, body = server.ask("GET", "/v1/models")
        assert {"linear", "mean"} <= set(json.loads(body)["versions"]), body
        status, _, body = server.ask("POST", "/v1/score", by_path(models=[{"version": "linear"}, {"version": "mean"}],
                                                                  frames=True, progress=True),
                                     {"Accept": "text/event-stream"})
        told = events(body)
        names = next(d for kind, d in told if kind == "series")["names"]
        live = {name: [] for name in names}
        for run_ in (d for kind, d in told if kind == "frames"):
            for name, column in zip(names, run_["columns"]):
                live[name] += column["values"]
        assert status == 200 and told[-1][0] == "outcome", body
        for name in ("linear", "mean"):
            assert live[name] == [f["metrics"][name] for f in report["frames"]], name
        server.refused(400, "mean", request=by_path(models=[{"version": os.path.abspath("installed/mean.onnx")}]))
        server.refused(400, "NaN", request=by_path(models=[{"version": "nan"}]))


@case
def a_server_without_a_runtime_says_why_and_does_not_offer_them():
    pair()
    env = installed() | {"VMAFX_ONNXRUNTIME": "/nonexistent"}
    with Server(env=env) as server:
        _, _, body = server.ask("GET", "/v1/models")
        models = json.loads(body)["versions"]
        assert "mean" not in models and "vmaf_v0.6.1" in models, models
        server.refused(400, "VMAFX_ONNXRUNTIME", request=by_path(models=[{"version": "mean"}]))
        server.score(by_path())


@case
def a_job_is_one_trace_with_its_inferences():
    need_runtime()
    env = installed()
    ref, dis = absolute_pair(n=40)
    receiver = Receiver()
    environment = receiver.environment(OTEL_SDK_DISABLED="", OTEL_METRIC_EXPORT_INTERVAL="500", **env)
    with Fleet(nodes=1, env=environment) as fleet:
        done = fleet.submit(ref, dis, "--model", "mean", "--model", "linear:name=second")
        fleet.wait_state(done, "succeeded")
        bad = fleet.submit(ref, dis, "--model", "nan")
        job = fleet.wait_state(bad, "failed")
        assert job["failure_class"] == "FAILURE_CLASS_MODEL" and "NaN" in json.dumps(job), job
        expect(fleet.cli("submit", "--reference", ref, "--distorted", dis, "--model", "onnx:path=installed/mean.onnx"), 2,
               "by its version")
        result = json.loads(fleet.ok("result", done, "--json"))
        assert "mean" in json.dumps(result), result
        wait_for(lambda: any("vmafx.inference.duration" in metrics_of(body)[1]
                             for _, body in list(receiver.bodies.get("/v1/metrics", []))), "the metric", 30)
        trees = wait_for(lambda: [s for s in spans_by_trace(receiver).values()
                                  if {"vmafx.job", "vmafx.onnx.inference"} <= {x[2] for x in s} and
                                  any(x[2] == "vmafx.result.store" for x in s)], "the trace", 30)
    check_tree(trees[0])
    spans = [s for s in trees[0] if s[2] == "vmafx.onnx.inference"]
    runs = {s[0] for s in trees[0] if s[2] == "vmafx.task.run"}
    assert {s[5]["vmafx.model.name"] for s in spans} == {b"mean", b"linear"}, spans
    assert all(s[1] in runs for s in spans), "an inference that is no child of the attempt"


@case
def an_assistant_finds_and_uses_them():
    need_runtime()
    ref, dis = absolute_pair()
    with Mcp("--roots", os.getcwd(), env=installed()) as mcp:
        names = {m.get("version") for m in mcp.ok("list_models")["models"] if m.get("installed", True)}
        assert {"linear", "mean"} <= names, names
        got = mcp.ok("score_videos", reference=ref, distorted=dis, models=["linear"])
        assert "linear" in json.dumps(got), got


main()

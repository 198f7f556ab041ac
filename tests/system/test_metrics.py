# SPDX-License-Identifier: BSD-2-Clause-Patent
"""A job with many metrics: every door tells of each of them what `vmafx score` does.

usage: test_metrics.py VMAFX [CASE…]
"""
import http.client
import json
import math
import os

from fleet import Fleet
from harness import absolute_pair, case, expect, load, main, need_models, pair, run
from mcp import Mcp
from server import Server, by_path

FEATURES = {"psnr": {"enable_apsnr": "true"}, "psnr_hvs": {}, "float_ssim": {}, "float_ms_ssim": {}, "ciede": {}, "cambi": {}}
SERIES = {"psnr_y", "psnr_cb", "psnr_hvs", "psnr_hvs_y", "float_ssim", "float_ms_ssim", "ciede2000", "cambi"}
POOLED = ("mean", "harmonic_mean", "min", "max", "p1", "p5")
WHOLE = ["apsnr_y", "apsnr_cb", "apsnr_cr"]


def arguments():
    """As options of a command line; as the list of a request."""
    texts = [name + "".join(f"={key}={value}" for key, value in options.items()) for name, options in FEATURES.items()]
    return ([x for text in texts for x in ("--feature", text)],
            [{"name": name, "options": [{"key": k, "value": v} for k, v in options.items()]}
             for name, options in FEATURES.items()])


def number(value):
    """null, which JSON has where there is none; "Infinity" and "NaN", which JSON of messages has."""
    value = float(value) if isinstance(value, str) else value
    return value if value is not None and math.isfinite(value) else None


def check_summary(summary, local):
    """A Result as JSON says what the report says."""
    assert {s["name"] for s in summary["series"] if s["n"]} == {name for name, p in local["pooled"].items() if p}
    for series in summary["series"]:
        for name in POOLED if series["n"] else ():
            assert number(series[name]) == local["pooled"][series["name"]][name], (series, name)
    assert [a["name"] for a in summary["aggregates"]] == WHOLE
    assert {a["name"]: a["value"] for a in summary["aggregates"]} == local["aggregates"], summary["aggregates"]


def check_report(report, local):
    for name in ("verdict", "pooled", "aggregates", "frames", "frames_scored", "complete"):
        assert report[name] == local[name], (name, report[name], local[name])
    assert report["timing"].keys() == local["timing"].keys() and all(v > 0 for v in report["timing"].values()), report["timing"]


def check_tool(got, local):
    assert got["aggregates"] == local["aggregates"], got
    assert got["features_pooled"] == {name: p for name, p in local["pooled"].items() if name != "vmaf" and p}, got
    assert got["pooled"] == local["pooled"]["vmaf"], got


def check_explanation(mcp, job, local):
    told = mcp.ok("explain_score", job_id=job)
    metrics = {m["series"]: m for m in told["metrics"]}
    assert set(metrics) == {name for name, p in local["pooled"].items() if p and name != "vmaf"}, metrics.keys()
    for name, m in metrics.items():
        assert [m[k] for k in ("mean", "min", "max")] == [local["pooled"][name][k] for k in ("mean", "min", "max")], m
    assert {a["feature"] for a in told["about"]} == {"adm", "motion", "vif", *FEATURES}, told["about"]
    assert len(told["features"]) == 5 and any("CAMBI" in one for one in told["findings"]), told
    listed = mcp.ok("list_metrics")
    assert {a["feature"] for a in told["about"]} < {f["feature"] for f in listed["features"]}
    known = {m["metric"]: m for m in listed["metrics"]}
    for m in metrics.values():
        assert {**known[m["metric"]], **m} == m, m
    few = mcp.ok("list_metrics", features=["cambi", "psnr"])
    assert [f["feature"] for f in few["features"]] == ["cambi", "psnr"] and len(few["metrics"]) == 9, few
    mcp.refused("list_metrics", "no feature 'sharpness'", features=["sharpness"])
    for series, worst in (("cambi", max), ("psnr_y", min)):
        values = [frame["metrics"][series] for frame in local["frames"]]
        found = mcp.ok("worst_frames", job_id=job, series=series, count=1)["frames"]
        assert found[0]["value"] == worst(values), (found, values)


def measured():
    """Videos, and what this machine finds: values that are no numbers among it, since chroma is the same in both."""
    reference, distorted = absolute_pair(w=240, h=224, n=3)
    done = run("score", "--reference", reference, "--distorted", distorted, "--json", *arguments()[0])
    local = json.loads(expect(done, 0).stdout)
    assert SERIES <= set(local["pooled"]) and local["pooled"]["psnr_hvs_cb"]["mean"] is None, local["pooled"]
    assert list(local["aggregates"]) == WHOLE and local["aggregates"]["apsnr_y"] > 20, local
    table = expect(run("score", "--reference", reference, "--distorted", distorted, *arguments()[0]), 0, "apsnr_cb").stdout
    assert f"{local['aggregates']['apsnr_y']:.4f}" in table, table
    return reference, distorted, local


@case
def a_job_has_them_by_grpc_by_rest_and_through_tools():
    reference, distorted, local = measured()
    with Fleet() as fleet:
        job = fleet.submit(reference, distorted, *arguments()[0])
        fleet.wait_state(job, "succeeded")
        check_summary(json.loads(fleet.ok("result", job, "--json")), local)
        assert f"{local['aggregates']['apsnr_y']:.4f}" in fleet.ok("result", job)
        fleet.ok("result", job, "--output", "by-grpc.json")
        check_report(load("by-grpc.json"), local)

        connection = http.client.HTTPConnection("127.0.0.1", int(fleet.controller.wait_line(
            r"HTTP ready.*server\.port=(\d+)").group(1)), timeout=60)
        for query, check in (("summary=true", check_summary), ("format=json", check_report)):
            connection.request("GET", f"/v1/jobs/{job}/result?{query}")
            answer = connection.getresponse()
            assert answer.status == 200, (answer.status, answer.read())
            check(json.loads(answer.read()), local)
        connection.request("GET", f"/v1/jobs/{job}/result?format=xml")
        assert b'<aggregate_metrics apsnr_y="' in connection.getresponse().read()
        connection.close()
        with Mcp("--controller", f"127.0.0.1:{fleet.port}") as mcp:
            check_tool(mcp.ok("job_result", job_id=job), local)
            check_explanation(mcp, job, local)


def stepped(path, chroma, w=320, h=240):
    """Two frames of luma in steps of one code, and plain chroma."""
    luma = bytes(60 + (x + y // 4) // 24 for y in range(h) for x in range(w))
    with open(path, "wb") as f:
        f.write(f"YUV4MPEG2 W{w} H{h} F25:1 Ip A1:1 C420jpeg\n".encode())
        f.write((b"FRAME\n" + luma + bytes([chroma]) * (w * h // 2)) * 2)


@case
def an_explanation_says_what_the_score_does_not_see():
    need_models()
    pair(w=64, h=48, n=2)
    os.rename("dis.y4m", "noisy.y4m")
    os.rename("ref.y4m", "small.y4m")
    stepped("ref.y4m", 128)
    stepped("dis.y4m", 133)
    with Mcp() as mcp:
        done = mcp.ok("score_videos", reference="ref.y4m", distorted="dis.y4m", features=["cambi", "psnr", "speed_chroma", "ciede"])
        assert done["score"] > 90 and done["features"]["cambi"] > 5, done
        told = " ".join(mcp.ok("explain_score", job_id=done["job_id"])["findings"])
        for words in ("There is banding (CAMBI", "hardly sees", "psnr_cb (34.2 dB) is well below psnr_y", "Chroma had nothing to measure"):
            assert words in told, (words, told)
        done = mcp.ok("score_videos", reference="small.y4m", distorted="small.y4m", features=["ciede", "float_ssim"])
        told = " ".join(mcp.ok("explain_score", job_id=done["job_id"])["findings"])
        assert "ciede2000 has no finite mean" in told and "float_ssim" not in told and "banding" not in told, told
        done = mcp.ok("score_videos", reference="small.y4m", distorted="noisy.y4m", models=["vmaf_v0.6.1neg"])
        told = mcp.ok("explain_score", job_id=done["job_id"])
        assert len(told["features"]) == 5 and not any("typically show is known" in one for one in told["findings"]), told


@case
def a_scoring_on_request_has_them_too():
    reference, distorted, local = measured()
    with Server() as server:
        request = by_path(reference, distorted, features=arguments()[1])
        check_summary(server.score(request)["outcome"]["result"], local)
        check_report(server.score(request, "/v1/score?format=json"), local)


main()

# SPDX-License-Identifier: BSD-2-Clause-Patent
"""What `vmafx score` exports, as a receiver written here sees it: arrival is tested, not sending."""
import json
import struct

from harness import case, expect, main, need_models, pair, run
from metric_points import from_otlp
from otlp import Receiver, attributes, fields, metrics_of, spans_of

FEATURES = ("--features-only", "--feature", "vif", "--feature", "motion")


def score(environment, *arguments):
    return run("score", "--reference", "ref.y4m", "--distorted", "dis.y4m", *arguments, env=environment)


@case
def a_scoring_is_one_tree_of_spans():
    pair()
    receiver = Receiver()
    expect(score(receiver.environment(), *FEATURES), 0)
    resource, spans = spans_of(receiver.bodies["/v1/traces"][0][1])
    names = sorted(span[5][0].decode() for span in spans)
    assert names == ["vmafx.frame.extraction", "vmafx.input.open", "vmafx.input.open", "vmafx.scoring"], names
    assert resource["service.name"] == b"vmafx", resource
    root = next(span for span in spans if span[5][0] == b"vmafx.scoring")
    assert 4 not in root, "the scoring has a parent"
    for span in spans:
        assert span[1] == root[1], "another trace"
        assert span is root or span[4] == root[2], "not a child of the scoring"
    assert attributes(root, 9)["vmafx.frame.count"] == 6


@case
def every_feature_that_runs_is_timed():
    pair(w=224, h=224, n=4)
    receiver = Receiver()
    asked = ("cambi", "ciede", "float_ms_ssim", "psnr", "psnr_hvs", "speed_chroma", "speed_temporal", "vif")
    expect(score(receiver.environment(), "--features-only", *(x for feature in asked for x in ("--feature", feature))), 0)
    _, spans = spans_of(receiver.bodies["/v1/traces"][0][1])
    timed = {}
    for span in spans:
        if span[5][0] == b"vmafx.frame.extraction":
            timed.update({key: struct.unpack("<d", value)[0] for key, value in attributes(span, 9).items()
                          if key.startswith("vmafx.feature.")})
    assert set(timed) == {f"vmafx.feature.{name}.time" for name in asked}, timed
    assert all(value >= 0 for value in timed.values()) and sum(timed.values()) > 0, timed


@case
def the_parent_comes_from_the_environment():
    pair()
    receiver = Receiver()
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    expect(score(receiver.environment(TRACEPARENT=parent), *FEATURES), 0)
    _, spans = spans_of(receiver.bodies["/v1/traces"][0][1])
    root = next(span for span in spans if span[5][0] == b"vmafx.scoring")
    assert root[1][0].hex() == parent[3:35] and root[4][0].hex() == parent[36:52]


@case
def metrics_arrive_with_their_values():
    need_models()
    pair()
    receiver = Receiver()
    expect(score(receiver.environment(OTEL_EXPORTER_OTLP_COMPRESSION="gzip", OTEL_SERVICE_NAME="named")), 0)
    headers, body = receiver.bodies["/v1/metrics"][-1]
    assert headers["Content-Encoding"] == "gzip"
    resource, metrics = metrics_of(body)
    assert resource["service.name"] == b"named", resource
    assert {"vmafx.frames", "vmafx.score", "vmafx.score.duration"} <= set(metrics), list(metrics)
    point = fields(fields(metrics["vmafx.frames"][7][0])[1][0])
    assert int.from_bytes(point[6][0], "little") == 6, point


@case
def means_are_counted_by_model_and_metric():
    need_models()
    pair(w=224, h=224, n=3)
    receiver = Receiver()
    features = ("psnr=enable_mse=true", "psnr_hvs", "cambi=eotf=pq", "cambi", "float_ssim", "float_moment")
    done = score(receiver.environment(), "--model", "vmaf_v0.6.1", "--model", "vmaf_v0.6.1neg:name=psnr_y_too", "--json",
                 *(x for feature in features for x in ("--feature", feature)))
    pooled = json.loads(expect(done, 0).stdout)["pooled"]
    found = {(dict(labels).get("vmafx_metric_name"), dict(labels).get("vmafx_model_name")): value
             for (name, labels), value in from_otlp(receiver.bodies["/v1/metrics"][-1][1])[0].items() if name == "vmafx_score"}
    wanted = {("score", "vmaf_v0.6.1"): "vmaf", ("score", "vmaf_v0.6.1neg"): "psnr_y_too", ("psnr_y", None): "psnr_y",
              ("psnr_cb", None): "psnr_cb", ("psnr_cr", None): "psnr_cr", ("cambi", None): "cambi_eotf_pq",
              ("float_ssim", None): "float_ssim", ("psnr_hvs", None): "psnr_hvs"}
    assert set(found) == set(wanted), (set(found), set(wanted))
    for labels, name in wanted.items():
        count, total, _ = found[labels]
        assert count == 1 and abs(total - pooled[name]["mean"]) < 1e-9, (labels, found[labels], pooled[name])


@case
def a_failed_scoring_says_so_in_its_span():
    pair()
    receiver = Receiver()
    expect(run("score", "--reference", "none.y4m", "--distorted", "dis.y4m", *FEATURES, env=receiver.environment()), 3)
    _, spans = spans_of(receiver.bodies["/v1/traces"][0][1])
    root = next(span for span in spans if span[5][0] == b"vmafx.scoring")
    assert fields(root[15][0])[3] == [2] and attributes(root, 9)["error.type"] == b"NOT_FOUND", root


@case
def a_receiver_that_refuses_changes_nothing_but_a_line():
    pair()
    for status in (400, 503):
        receiver = Receiver(status)
        environment = receiver.environment(OTEL_EXPORTER_OTLP_TIMEOUT="300")
        process = expect(score(environment, *FEATURES, "--json"), 0)
        assert process.stdout.startswith("{") and receiver.bodies["/v1/traces"], process
        assert "telemetry:" in process.stderr, process.stderr


@case
def no_receiver_changes_nothing_but_a_line():
    pair()
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_EXPORTER_OTLP_TIMEOUT": "300"}
    for protocol in ("grpc", "http/protobuf"):
        process = expect(score({**environment, "OTEL_EXPORTER_OTLP_PROTOCOL": protocol}, *FEATURES), 0)
        assert "features only, 6 frames" in process.stdout


@case
def without_an_endpoint_nothing_is_said():
    pair()
    process = expect(score({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, *FEATURES), 0)
    assert process.stderr == "", process.stderr


@case
def the_console_exporter_shows_the_spans():
    pair()
    process = expect(score({"OTEL_TRACES_EXPORTER": "console"}, *FEATURES), 0)
    assert "vmafx.scoring" in process.stderr, process.stderr


main()

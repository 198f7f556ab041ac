# SPDX-License-Identifier: BSD-2-Clause-Patent
"""What `vmafx score` exports, as a receiver written here sees it: arrival is tested, not sending."""
import gzip
import http.server
import threading

from harness import case, expect, main, need_models, pair, run

FEATURES = ("--features-only", "--feature", "vif", "--feature", "motion")


class Receiver:
    """An OTLP/HTTP receiver that keeps what arrives, by path."""

    def __init__(self, status=200):
        bodies = self.bodies = {}

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                bodies.setdefault(self.path, []).append((dict(self.headers), body))
                self.send_response(status)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def environment(self, **more):
        return {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{self.server.server_port}",
                "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf", **more}


def fields(data):
    """field number -> values of a protobuf message; numbers as int, the rest as bytes."""
    found, at = {}, 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(data):
        key = varint()
        kind = key & 7
        if kind == 0:
            value = varint()
        else:
            size = {1: 8, 5: 4}.get(kind) or varint()
            value = data[at:at + size]
            at += size
        found.setdefault(key >> 3, []).append(value)
    return found


def attributes(message, number):
    result = {}
    for one in message.get(number, []):
        pair_ = fields(one)
        value = fields(pair_[2][0]) if 2 in pair_ else {}
        result[pair_[1][0].decode()] = next(iter(value.values()))[0] if value else None
    return result


def spans_of(body):
    """(resource attributes, spans) of an ExportTraceServiceRequest."""
    resource, spans = {}, []
    for resource_spans in fields(body)[1]:
        message = fields(resource_spans)
        resource = attributes(fields(message[1][0]), 1)
        for scope_spans in message[2]:
            spans += [fields(span) for span in fields(scope_spans)[2]]
    return resource, spans


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
    message = fields(fields(body)[1][0])
    assert attributes(fields(message[1][0]), 1)["service.name"] == b"named"
    metrics = {}
    for scope in message[2]:
        for metric in fields(scope)[2]:
            found = fields(metric)
            metrics[found[1][0].decode()] = found
    assert {"vmafx.frames", "vmafx.score", "vmafx.score.duration"} <= set(metrics), list(metrics)
    point = fields(fields(metrics["vmafx.frames"][7][0])[1][0])
    assert int.from_bytes(point[6][0], "little") == 6, point


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

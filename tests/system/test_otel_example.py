# SPDX-License-Identifier: BSD-2-Clause-Patent
"""The program of docs/otel-c.md does what that page says, and the page shows that program."""
import os
import struct

from harness import case, expect, main, run
from otlp import Receiver, attributes, fields, logs_of, metrics_of, spans_of

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
CALLS = {"TRACEPARENT": PARENT, "OTEL_SERVICE_NAME": "", "OTEL_RESOURCE_ATTRIBUTES": ""}


def spans_by_name(receiver):
    resource, spans = spans_of(receiver.bodies["/v1/traces"][0][1])
    assert resource["service.name"] == b"thumbnails" and resource["service.version"] == b"1.0", resource
    found = {}
    for span in spans:
        found.setdefault(span[5][0].decode(), []).append(span)
    return found


@case
def the_spans_arrive_below_the_parent_from_the_environment():
    receiver = Receiver()
    process = expect(run(env=receiver.environment(**CALLS)), 0)
    assert process.stderr == "", process.stderr
    spans = spans_by_name(receiver)
    assert {name: len(all_) for name, all_ in spans.items()} == {"make thumbnails": 1, "shrink picture": 4}, spans
    root = spans["make thumbnails"][0]
    assert root[1][0].hex() == PARENT[3:35] and root[4][0].hex() == PARENT[36:52], root
    for span in spans["shrink picture"]:
        assert span[1] == root[1] and span[4] == root[2], "not a child"
    assert [attributes(span, 9)["example.width"] for span in spans["shrink picture"]] == [1024, 2048, 4096, 8192]
    events = [fields(event) for span in spans["shrink picture"] for event in span.get(11, [])]
    assert [event[2][0] for event in events] == [b"cut into tiles"] and attributes(events[0], 3) == {"example.tiles": 3}


@case
def the_metrics_arrive_with_their_values():
    receiver = Receiver()
    expect(run(env=receiver.environment(**CALLS)), 0)
    _, metrics = metrics_of(receiver.bodies["/v1/metrics"][-1][1])
    assert metrics["example.pictures"][3] == [b"{picture}"] and metrics["example.duration"][3] == [b"s"]
    point = fields(fields(metrics["example.pictures"][7][0])[1][0])
    assert int.from_bytes(point[6][0], "little") == 4, point
    point = fields(fields(metrics["example.duration"][9][0])[1][0])
    assert int.from_bytes(point[4][0], "little") == 4, point
    assert struct.unpack("<5d", point[7][0]) == (0.001, 0.01, 0.1, 1, 10), point


@case
def the_log_line_arrives_with_its_span():
    receiver = Receiver()
    expect(run(env=receiver.environment(**CALLS)), 0)
    _, records = logs_of(receiver.bodies["/v1/logs"][0][1])
    assert len(records) == 1, records
    record = records[0]
    assert record[2] == [13] and fields(record[5][0])[1] == [b"a picture is very large"], record
    assert attributes(record, 6) == {"example.width": 8192}, record
    large = next(span for span in spans_by_name(receiver)["shrink picture"] if 11 in span)
    assert record[9] == large[1] and record[10] == large[2], "of another span"


@case
def without_a_collector_it_works_all_the_same():
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_EXPORTER_OTLP_TIMEOUT": "300"}
    process = expect(run(env={**CALLS, **environment}), 0)
    assert "telemetry:" in process.stderr, process.stderr
    process = expect(run(env={**CALLS, "OTEL_SDK_DISABLED": "true"}), 0)
    assert process.stderr == "", process.stderr


@case
def the_page_shows_exactly_this_program():
    with open(os.path.join(ROOT, "examples", "otel.c"), encoding="utf-8", newline="") as f:
        program = f.read()
    with open(os.path.join(ROOT, "docs", "otel-c.md"), encoding="utf-8", newline="") as f:
        page = f.read()
    assert page.count("```c\n" + program + "```\n") == 1, "docs/otel-c.md differs from examples/otel.c"


main()

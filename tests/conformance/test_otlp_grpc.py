# SPDX-License-Identifier: BSD-2-Clause-Patent
"""OTLP/gRPC to a receiver that is none of ours: every field arrives as emitted, and its answers are understood."""
from foreign import GrpcReceiver, certificates, emit  # first: it knows where the harness is

import decode
import expected
from harness import case, expect, main

TRACES_ONLY = {"OTEL_METRICS_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none"}


def requests_of(lines, signal):
    return [decode.from_receiver(line["request"]) for line in lines if line["signal"] == signal and line["step"] == "ok"]


def everything_arrives(receiver, temporality="cumulative", exponential=False, **environment):
    """Emits all three signals and compares all fields; the receiver's lines."""
    expect(emit(receiver.environment(**environment)), 0)
    lines = receiver.lines()
    expected.traces(requests_of(lines, "traces"))
    expected.logs(requests_of(lines, "logs"))
    expected.metrics(requests_of(lines, "metrics"), temporality, exponential)
    return lines


def steps(lines, signal="traces"):
    return [line["step"] for line in lines if line["signal"] == signal]


@case
def every_field_of_every_signal_arrives():
    with GrpcReceiver() as receiver:
        for line in everything_arrives(receiver):
            assert line["encoding"] == "identity", line["encoding"]
            assert line["metadata"]["user-agent"].startswith("OTel-OTLP-Exporter-C/9.8.7"), line["metadata"]


@case
def every_field_arrives_compressed():
    with GrpcReceiver() as receiver:
        for line in everything_arrives(receiver, OTEL_EXPORTER_OTLP_COMPRESSION="gzip"):
            assert line["encoding"] == "gzip", line["encoding"]


@case
def metrics_arrive_as_deltas():
    with GrpcReceiver() as receiver:
        everything_arrives(receiver, "delta", OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE="delta")


@case
def metrics_arrive_with_low_memory_temporality():
    with GrpcReceiver() as receiver:
        everything_arrives(receiver, "lowmemory", OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE="lowmemory")


@case
def histograms_arrive_exponential():
    name = "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION"
    for temporality in ("cumulative", "delta"):
        with GrpcReceiver() as receiver:
            everything_arrives(receiver, temporality, True, **{
                name: "base2_exponential_bucket_histogram",
                "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": temporality})


@case
def headers_arrive_as_metadata():
    with GrpcReceiver() as receiver:
        headers = {"OTEL_EXPORTER_OTLP_HEADERS": "api-key=s%20e,tenant=a", "OTEL_EXPORTER_OTLP_TRACES_HEADERS": "tenant=b"}
        expect(emit(receiver.environment(**headers)), 0)
        for line in receiver.lines():
            want = {"tenant": "b"} if line["signal"] == "traces" else {"api-key": "s e", "tenant": "a"}
            assert {key: line["metadata"][key] for key in want} == want, line["metadata"]


@case
def tls_with_the_authority_given_delivers():
    certificates()
    with GrpcReceiver(tls=("--cert", "server.pem", "--key", "server.key"), scheme="https") as receiver:
        everything_arrives(receiver, OTEL_EXPORTER_OTLP_CERTIFICATE="ca.pem", OTEL_EXPORTER_OTLP_COMPRESSION="gzip")


@case
def tls_with_an_unknown_authority_delivers_nothing():
    certificates()
    with GrpcReceiver(tls=("--cert", "server.pem", "--key", "server.key"), scheme="https") as receiver:
        expect(emit(receiver.environment(**TRACES_ONLY, OTEL_EXPORTER_OTLP_TIMEOUT="1000")), 1, "telemetry:")
        assert receiver.lines() == []


@case
def mutual_tls_delivers_only_with_the_client_s_certificate():
    certificates()
    tls = ("--cert", "server.pem", "--key", "server.key", "--ca", "ca.pem")
    with GrpcReceiver(tls=tls, scheme="https") as receiver:
        known = {"OTEL_EXPORTER_OTLP_CERTIFICATE": "ca.pem"}
        expect(emit(receiver.environment(**TRACES_ONLY, **known, OTEL_EXPORTER_OTLP_TIMEOUT="1000")), 1, "telemetry:")
        assert receiver.lines() == []
        everything_arrives(receiver, **known, OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE="client.pem",
                           OTEL_EXPORTER_OTLP_CLIENT_KEY="client.key")


@case
def an_unavailable_receiver_is_asked_again():
    with GrpcReceiver(script="unavailable,unavailable") as receiver:
        expect(emit(receiver.environment(**TRACES_ONLY)), 0)
        lines = receiver.lines()
        assert steps(lines) == ["unavailable", "unavailable", "ok"], steps(lines)
        assert lines[0]["request"] == lines[2]["request"], "another request the third time"
        expected.traces(requests_of(lines, "traces"))


@case
def exhausted_with_a_delay_is_asked_again_and_without_one_is_not():
    with GrpcReceiver(script="exhausted:20") as receiver:
        expect(emit(receiver.environment(**TRACES_ONLY)), 0)
        assert steps(receiver.lines()) == ["exhausted", "ok"], steps(receiver.lines())
    with GrpcReceiver(script="exhausted") as receiver:
        expect(emit(receiver.environment(**TRACES_ONLY)), 1, "telemetry:")
        assert steps(receiver.lines()) == ["exhausted"], steps(receiver.lines())


@case
def what_is_wrong_for_good_is_not_asked_again():
    for status in ("invalid_argument", "unimplemented", "internal", "unauthenticated", "permission_denied", "not_found"):
        with GrpcReceiver(script=status) as receiver:
            expect(emit(receiver.environment(**TRACES_ONLY)), 1, "telemetry:")
            assert steps(receiver.lines()) == [status], receiver.lines()


@case
def what_passes_by_itself_is_asked_again():
    for status in ("cancelled", "deadline_exceeded", "aborted", "out_of_range", "data_loss"):
        with GrpcReceiver(script=status) as receiver:
            expect(emit(receiver.environment(**TRACES_ONLY)), 0)
            assert steps(receiver.lines()) == [status, "ok"], receiver.lines()


@case
def a_partial_success_is_said_and_not_sent_again():
    with GrpcReceiver(script="partial:2") as receiver:
        process = emit(receiver.environment(**TRACES_ONLY))
        assert "rejected 2 of 5: refused by the script" in process.stderr, process.stderr
        assert steps(receiver.lines()) == ["partial"], steps(receiver.lines())


@case
def a_slow_receiver_is_waited_for_and_a_stuck_one_is_not():
    with GrpcReceiver(script="delay:200") as receiver:
        expect(emit(receiver.environment(**TRACES_ONLY)), 0)
    with GrpcReceiver(script=",".join(["delay:60000"] * 50)) as receiver:
        expect(emit(receiver.environment(**TRACES_ONLY, OTEL_EXPORTER_OTLP_TIMEOUT="300")), 1, "telemetry:")


@case
def limits_are_counted():
    limits = {"OTEL_ATTRIBUTE_COUNT_LIMIT": "2", "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT": "3",
              "OTEL_SPAN_EVENT_COUNT_LIMIT": "3", "OTEL_SPAN_LINK_COUNT_LIMIT": "4",
              "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT": "1", "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT": "0"}
    with GrpcReceiver() as receiver:
        expect(emit(receiver.environment(**limits), "limits"), 0)
        lines = receiver.lines()
        span = requests_of(lines, "traces")[0]["resource_spans"][0]["scope_spans"][0]["spans"][0]
        cut = expected.attribute("a", "äöü")
        expected.same("attributes", span["attributes"], [cut, expected.attribute("b", 1)])
        counts = {key: span[key] for key in span if key.startswith("dropped_")}
        assert counts == {"dropped_attributes_count": 3, "dropped_events_count": 2, "dropped_links_count": 1}, counts
        assert len(span["events"]) == 3 and len(span["links"]) == 4
        for event in span["events"]:
            assert event["attributes"] == [cut] and event["dropped_attributes_count"] == 4, event
        for link in span["links"]:
            assert "attributes" not in link and link["dropped_attributes_count"] == 5, link
        record = requests_of(lines, "logs")[0]["resource_logs"][0]["scope_logs"][0]["log_records"][0]
        expected.same("record", record["attributes"], [cut, expected.attribute("b", 1)])
        assert record["dropped_attributes_count"] == 3, record


main()

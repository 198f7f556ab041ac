# SPDX-License-Identifier: BSD-2-Clause-Patent
"""OTLP/HTTP bodies as protoc reads them with the official .proto files: every field is known and has its value."""
import subprocess

from foreign import PROTO, emit, need_proto  # first: it knows where the harness is

import decode
import expected
from harness import case, expect, main, need
from otlp import Receiver


def decoded(body, signal):
    service = {"traces": "trace"}.get(signal, signal)
    kind = f"opentelemetry.proto.collector.{service}.v1.Export{service.capitalize()}ServiceRequest"
    process = subprocess.run(["protoc", f"--proto_path={PROTO}", f"--decode={kind}",
                              f"opentelemetry/proto/collector/{service}/v1/{service}_service.proto"],
                             input=body, capture_output=True, check=False)
    assert process.returncode == 0, process.stderr.decode()
    return decode.from_protoc(process.stdout.decode())


def everything_is_read(temporality="cumulative", exponential=False, **environment):
    need("protoc", "protobuf-compiler")
    need_proto()
    receiver = Receiver()
    expect(emit(receiver.environment(**expected.ENVIRONMENT, **environment)), 0)
    requests = {signal: [decoded(body, signal) for _, body in receiver.bodies[f"/v1/{signal}"]]
                for signal in ("traces", "metrics", "logs")}
    expected.traces(requests["traces"])
    expected.logs(requests["logs"])
    expected.metrics(requests["metrics"], temporality, exponential)
    return receiver


@case
def protoc_reads_every_field_of_every_signal():
    everything_is_read()


@case
def protoc_reads_deltas_and_exponential_histograms():
    everything_is_read("delta", True, OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE="delta",
                       OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION="base2_exponential_bucket_histogram")


@case
def protoc_reads_what_was_compressed():
    receiver = everything_is_read(OTEL_EXPORTER_OTLP_COMPRESSION="gzip")
    for bodies in receiver.bodies.values():
        for headers, _ in bodies:
            assert headers["Content-Encoding"] == "gzip" and headers["Content-Type"] == "application/x-protobuf", headers


main()

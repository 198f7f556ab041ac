# SPDX-License-Identifier: BSD-2-Clause-Patent
"""OTLP to an OpenTelemetry Collector: what its file exporter wrote is what was emitted. tools/interop runs it."""
from foreign import certificates, emit  # first: it knows where the harness is

import expected
from collector_process import Collector
from harness import case, expect, main

MUTUAL = {"cert_file": "server.pem", "key_file": "server.key", "client_ca_file": "ca.pem"}


def everything_passes(protocol, tls=None, temporality="cumulative", exponential=False, **environment):
    collector = Collector(tls)
    try:
        scheme, port = "https" if tls else "http", collector.ports["grpc" if protocol == "grpc" else "http"]
        process = emit({**expected.ENVIRONMENT, "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
                        "OTEL_EXPORTER_OTLP_ENDPOINT": f"{scheme}://127.0.0.1:{port}", **environment})
    finally:
        written = collector.stop()
    expect(process, 0)
    assert process.stderr == "", process.stderr
    expected.traces(written["traces"])
    expected.logs(written["logs"])
    expected.metrics(written["metrics"], temporality, exponential)


def mutual_tls(protocol):
    certificates()
    everything_passes(protocol, MUTUAL, OTEL_EXPORTER_OTLP_CERTIFICATE="ca.pem", OTEL_EXPORTER_OTLP_COMPRESSION="gzip",
                      OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE="client.pem", OTEL_EXPORTER_OTLP_CLIENT_KEY="client.key")


def delta(protocol):
    everything_passes(protocol, None, "delta", True, OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE="delta",
                      OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION="base2_exponential_bucket_histogram")


@case
def a_collector_gets_everything_over_grpc():
    everything_passes("grpc")


@case
def a_collector_gets_everything_over_http():
    everything_passes("http/protobuf")


@case
def a_collector_gets_everything_compressed_over_grpc():
    everything_passes("grpc", OTEL_EXPORTER_OTLP_COMPRESSION="gzip")


@case
def a_collector_gets_everything_compressed_over_http():
    everything_passes("http/protobuf", OTEL_EXPORTER_OTLP_COMPRESSION="gzip")


@case
def a_collector_gets_everything_over_grpc_with_mutual_tls():
    mutual_tls("grpc")


@case
def a_collector_gets_everything_over_http_with_mutual_tls():
    mutual_tls("http/protobuf")


@case
def a_collector_gets_deltas_and_exponential_histograms_over_grpc():
    delta("grpc")


@case
def a_collector_gets_deltas_and_exponential_histograms_over_http():
    delta("http/protobuf")


main()

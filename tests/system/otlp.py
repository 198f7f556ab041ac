# SPDX-License-Identifier: BSD-2-Clause-Patent
"""A little OTLP/HTTP receiver, and enough of protobuf to look into what it got."""
import gzip
import http.server
import struct
import threading


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


def items_of(body):
    """(resource attributes, messages) of an export request: its spans, metrics or log records."""
    resource, items = {}, []
    for one_resource in fields(body)[1]:
        message = fields(one_resource)
        resource = attributes(fields(message[1][0]), 1)
        for scope in message[2]:
            items += [fields(item) for item in fields(scope)[2]]
    return resource, items


def spans_of(body):
    """(resource attributes, spans) of an ExportTraceServiceRequest."""
    return items_of(body)


def metrics_of(body):
    """(resource attributes, name -> metric) of an ExportMetricsServiceRequest."""
    resource, metrics = items_of(body)
    return resource, {metric[1][0].decode(): metric for metric in metrics}


def points_of(metric):
    """[(attributes, value)] of a gauge or a sum."""
    data = fields((metric.get(5) or metric.get(7))[0])
    return [(attributes(point, 7), struct.unpack("<d", point[4][0])[0] if 4 in point else struct.unpack("<q", point[6][0])[0])
            for point in map(fields, data[1])]


def logs_of(body):
    """(resource attributes, records) of an ExportLogsServiceRequest."""
    return items_of(body)

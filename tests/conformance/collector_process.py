# SPDX-License-Identifier: BSD-2-Clause-Patent
"""A real OpenTelemetry Collector as a child process, and what it wrote. Its program is the second argument."""
import json
import os
import signal
import socket
import subprocess
import sys
import time

import decode

COLLECTOR = os.path.abspath(sys.argv[2])


def free_ports(n):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(n)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


class Collector:
    """The program, with an OTLP receiver for both protocols and a file. stop() gives what it wrote, by signal."""

    def __init__(self, tls=None):
        self.ports = dict(zip(("grpc", "http"), free_ports(2)))
        protocols = {name: {"endpoint": f"127.0.0.1:{port}", **({"tls": tls} if tls else {})}
                     for name, port in self.ports.items()}
        pipeline = {"receivers": ["otlp"], "exporters": ["file"]}
        with open("collector.json", "w", encoding="utf-8") as f:  # JSON is YAML too
            json.dump({"receivers": {"otlp": {"protocols": protocols}}, "exporters": {"file": {"path": "written.jsonl"}},
                       "service": {"telemetry": {"metrics": {"level": "none"}, "logs": {"level": "warn"}},
                                   "pipelines": {name: pipeline for name in ("traces", "metrics", "logs")}}}, f)
        self.log = open("collector.log", "w+", encoding="utf-8")
        self.process = subprocess.Popen([COLLECTOR, "--config", "collector.json"], stdin=subprocess.DEVNULL,
                                        stdout=self.log, stderr=subprocess.STDOUT)
        for port in self.ports.values():
            self.wait_for(port)

    def wait_for(self, port):
        until = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return
            except OSError as error:
                assert self.process.poll() is None and time.monotonic() < until, f"no Collector: {error}\n{self.said()}"
                time.sleep(0.02)

    def said(self):
        self.log.seek(0)
        return self.log.read()

    def stop(self):
        """Ends it, so that everything is in the file."""
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        assert status == 0, f"the Collector ended with {status}:\n{self.said()}"
        self.log.close()
        written = {"traces": [], "metrics": [], "logs": []}
        with open("written.jsonl", encoding="utf-8") as f:
            for line in f:
                request = decode.from_collector(json.loads(line))
                written[next(iter(request)).replace("resource_", "").replace("spans", "traces")].append(request)
        os.remove("written.jsonl")
        return written


def spans_by_trace(requests):
    """trace id -> list of (span id, parent id, name, start, end), as trees.py wants them."""
    traces, seen = {}, set()
    for request in requests:
        for resource in request["resource_spans"]:
            for scope in resource["scope_spans"]:
                for span in scope["spans"]:
                    key = (span["trace_id"], span["span_id"])
                    assert key not in seen, f"span {key} was exported twice"
                    seen.add(key)
                    traces.setdefault(span["trace_id"], []).append(
                        (span["span_id"], span.get("parent_span_id", ""), span["name"], int(span["start_time_unix_nano"]),
                         int(span["end_time_unix_nano"])))
    return traces

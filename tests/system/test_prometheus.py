# SPDX-License-Identifier: BSD-2-Clause-Patent
"""A real Prometheus server reads the page of tests/unit/page_main.c, and says what it has understood."""
import http.server
import json
import math
import shutil
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

from harness import Skip, case, expect, main, need, run

TRACE = "0af7651916cd43dd8448eb211c80319c"
PATIENCE_S = 60
CONFIG = """
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
  - job_name: page
    static_configs: [{{targets: ["127.0.0.1:{}"]}}]
"""


def page(accept):
    """(content type, body) as the program answers this Accept header."""
    head, body = expect(run(accept), 0).stdout.split("\n\n", 1)
    return head.removeprefix("Content-Type: "), body


def serve():
    """An HTTP server that hands out the page, negotiated once per Accept header; returns port and a list of headers."""
    pages, accepted, lock = {}, [], threading.Lock()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            accept = self.headers.get("Accept", "")
            with lock:  # one page for all scrapes, so that values stand still
                if accept not in pages:
                    pages[accept] = page(accept)
                accepted.append(accept)
            kind, body = pages[accept]
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_port, accepted


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Prometheus:
    """A server in the current folder that scrapes one port."""

    def __init__(self, target):
        if not shutil.which("prometheus"):
            raise Skip("the program prometheus is missing; install prometheus")
        with open("prometheus.yml", "w", encoding="utf-8") as f:
            f.write(CONFIG.format(target))
        self.process = None
        self.target = target

    def __enter__(self):
        for _ in range(3):  # somebody else may take the port in between
            self.port = free_port()
            with open("log", "wb") as log:
                self.process = subprocess.Popen(
                    ["prometheus", "--config.file=prometheus.yml", "--storage.tsdb.path=data",
                     "--enable-feature=exemplar-storage", f"--web.listen-address=127.0.0.1:{self.port}"],
                    stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            try:
                self.wait_for_target()
                return self
            except ChildProcessError as error:
                last = error
            except BaseException:
                self.__exit__()
                raise
        raise last

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(PATIENCE_S)

    def get(self, path, **query):
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(url, timeout=PATIENCE_S) as answer:
            return json.load(answer)["data"]

    def wait_for_target(self):
        """Until the page was read and can be queried."""
        until = time.monotonic() + PATIENCE_S
        seen = None
        while time.monotonic() < until:
            if self.process.poll() is not None:
                with open("log", encoding="utf-8") as log:
                    raise ChildProcessError(log.read())
            try:
                seen = self.get("targets")["activeTargets"]
                assert not seen or not seen[0]["lastError"], seen[0]["lastError"]
                if seen and seen[0]["health"] == "up" and self.values("up{job=\"page\"}") == [1]:
                    return
            except (urllib.error.URLError, ConnectionError):
                pass
            time.sleep(0.1)
        raise TimeoutError(f"no target after {PATIENCE_S} s: {seen}")

    def series(self, query):
        return self.get("query", query=query)["result"]

    def values(self, query):
        return [float(one["value"][1]) for one in self.series(query)]


@case
def a_server_understands_values_types_and_exemplars():
    need("prometheus", "prometheus")
    target, accepted = serve()
    with Prometheus(target) as prometheus:
        assert "openmetrics" in accepted[0], accepted

        jobs = prometheus.series("page_jobs_total")
        assert len(jobs) == 1 and float(jobs[0]["value"][1]) == 3, jobs
        assert jobs[0]["metric"]["page_outcome"] == 'so "so"\\\nla la', jobs
        assert jobs[0]["metric"]["otel_scope_name"] == "page.test", jobs
        assert prometheus.values("page_temperature_celsius") == [41.5]
        assert prometheus.values("page_room_bytes") == [-4096]
        assert prometheus.values("page_duration_seconds_count") == [2]
        assert prometheus.values("page_duration_seconds_sum") == [7.75]
        buckets = {float(one["metric"]["le"]): float(one["value"][1])
                   for one in prometheus.series("page_duration_seconds_bucket")}
        assert buckets == {0.5: 1, 5: 1, 50: 2, math.inf: 2}, buckets
        info = prometheus.series("target_info")[0]["metric"]
        assert info["deployment_environment_name"] == "test" and info["service_name"] == "page", info

        assert prometheus.values('otel_sdk_span_started_total{otel_span_parent_origin="remote",'
                                 'otel_span_sampling_result="RECORD_AND_SAMPLE"}') == [1]
        assert prometheus.values("otel_sdk_processor_span_queue_capacity") == [2048]
        assert prometheus.values('sum(otel_sdk_processor_span_processed_total{error_type!=""})') == [0]

        types = {name: one[0]["type"] for name, one in prometheus.get("metadata").items()}
        for name, kind in (("page_jobs", "counter"), ("page_duration_seconds", "histogram"),
                           ("page_temperature_celsius", "gauge"), ("page_room_bytes", "gauge"), ("target", "info"),
                           ("otel_sdk_span_started", "counter"), ("otel_sdk_span_live", "gauge")):
            assert types.get(name) == kind, (name, types)
        metadata = prometheus.get("metadata", metric="page_duration_seconds")["page_duration_seconds"][0]
        assert metadata == {"type": "histogram", "help": "how long things take", "unit": "seconds"} or \
            metadata["help"] == "how long things take", metadata

        now = time.time()
        for query, values in (("page_jobs_total", [3]), ("page_duration_seconds_bucket", [0.25, 7.5])):
            found = prometheus.get("query_exemplars", query=query, start=now - 3600, end=now + 3600)
            exemplars = [one for series in found for one in series["exemplars"]]
            assert sorted(float(one["value"]) for one in exemplars) == values, found
            for one in exemplars:
                assert one["labels"]["trace_id"] == TRACE and len(one["labels"]["span_id"]) == 16, one


@case
def a_server_that_knows_only_the_old_format_gets_it():
    kind, body = page("text/plain;version=0.0.4")
    assert kind == "text/plain; version=0.0.4; charset=utf-8", kind
    assert "trace_id" not in body and "# EOF" not in body
    need("promtool", "prometheus")
    process = subprocess.run(["promtool", "check", "metrics"], input=body, capture_output=True, text=True, check=False)
    assert process.returncode == 0 and not process.stderr, process


main()

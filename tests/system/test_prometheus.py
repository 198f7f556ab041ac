# SPDX-License-Identifier: BSD-2-Clause-Patent
"""A real Prometheus server reads the page of tests/unit/page_main.c, and says what it has understood."""
import http.server
import math
import subprocess
import threading

from harness import case, expect, main, need, run
from prometheus import Prometheus

TRACE = "0af7651916cd43dd8448eb211c80319c"


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


@case
def a_server_understands_values_types_and_exemplars():
    need("prometheus", "prometheus")
    target, accepted = serve()
    with Prometheus({"page": [target]}) as prometheus:
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

        for query, values in (("page_jobs_total", [3]), ("page_duration_seconds_bucket", [0.25, 7.5])):
            found = prometheus.exemplars(query)
            assert sorted(value for _, _, value in found) == values, found
            for _, labels, _ in found:
                assert labels["trace_id"] == TRACE and len(labels["span_id"]) == 16, found


@case
def a_server_that_knows_only_the_old_format_gets_it():
    kind, body = page("text/plain;version=0.0.4")
    assert kind == "text/plain; version=0.0.4; charset=utf-8", kind
    assert "trace_id" not in body and "# EOF" not in body
    need("promtool", "prometheus")
    process = subprocess.run(["promtool", "check", "metrics"], input=body, capture_output=True, text=True, check=False)
    assert process.returncode == 0 and not process.stderr, process


main()

# SPDX-License-Identifier: BSD-2-Clause-Patent
"""A fleet that exports to an OpenTelemetry Collector: each job is one tree there too. tools/interop runs it.

usage: collector_fleet.py VMAFX COLLECTOR
"""
import json
import os
import signal
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "system"))

from collector_process import Collector, spans_by_trace  # noqa: E402  (the path comes first)
from fleet import Fleet  # noqa: E402
from harness import case, main, pair  # noqa: E402
from trees import check_tree  # noqa: E402

JOBS = 60


def jobs_through(protocol):
    reference, distorted = [os.path.abspath(path) for path in pair(n=30, w=160, h=120)]
    with open("jobs.ndjson", "w", encoding="utf-8") as f:
        for _ in range(JOBS):
            f.write(json.dumps({"reference": {"uri": reference}, "distorted": {"uri": distorted}, "attempt_limit": 20}) + "\n")
    collector = Collector()
    endpoint = f"http://127.0.0.1:{collector.ports['grpc' if protocol == 'grpc' else 'http']}"
    env = {"OTEL_SDK_DISABLED": "false", "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
           "OTEL_BSP_SCHEDULE_DELAY": "200"}
    try:
        with Fleet(nodes=2, slots=2, lease="1500ms", env=env) as fleet:
            ids = fleet.ok("submit", "--from", "jobs.ndjson", "--quiet").split()
            time.sleep(0.5)
            fleet.nodes["node-1"].kill()
            fleet.start_node("node-1")
            jobs = fleet.wait_all_ended()
            wanted = {job["id"]: job["trace_id"] for job in jobs}
            assert sorted(wanted) == sorted(ids)
            for process in [*fleet.nodes.values(), fleet.controller]:
                assert process.kill(signal.SIGTERM) == 0, process.lines()
    finally:
        written = collector.stop()
    traces = spans_by_trace(written["traces"])
    for job_id, trace in wanted.items():
        try:
            check_tree(traces[trace], whole=False)
        except AssertionError as wrong:
            raise AssertionError(f"job {job_id}: {wrong}") from None
    names = {metric["name"] for request in written["metrics"] for resource in request["resource_metrics"]
             for scope in resource["scope_metrics"] for metric in scope["metrics"]}
    missing = {"vmafx.jobs.completed", "vmafx.job.duration", "vmafx.job.wait.duration", "vmafx.jobs.queued", "vmafx.nodes",
               "vmafx.frames", "rpc.server.call.duration", "db.client.operation.duration", "process.cpu.time"} - names
    assert not missing, f"no metric {missing}"


@case
def the_jobs_of_a_fleet_are_trees_in_a_collector_over_grpc():
    jobs_through("grpc")


@case
def the_jobs_of_a_fleet_are_trees_in_a_collector_over_http():
    jobs_through("http/protobuf")


if __name__ == "__main__":
    main()

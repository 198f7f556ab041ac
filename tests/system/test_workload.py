# SPDX-License-Identifier: BSD-2-Clause-Patent
"""A fleet at work as a real Prometheus sees it: what it counted is what was done, value by value, and what an alert is for.

usage: test_workload.py VMAFX [CASE…]; VMAFX_WORKLOAD_JOBS is the number of jobs
"""
import os
import sys
import time

from harness import built_with, case, main
from otlp import Receiver, attributes, logs_of
from prometheus import Prometheus, rules_without_waiting
from trees import check_tree, spans_by_trace
from workload import Workload, wait_for_scrape

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "deploy"))
import signals  # noqa: E402

JOBS = int(os.environ.get("VMAFX_WORKLOAD_JOBS", "60" if built_with("asan") or built_with("tsan") else "200"))
# Of rules whose alerts wait for nothing: a node was killed with leases on it, and more than a fifth of the jobs is bad on purpose.
ALERTS = {"VmafxLeasesExpire", "VmafxComparisonsRefused"}


def prometheus_names():
    """OpenTelemetry's name of a metric -> Prometheus' for its value, or for its count."""
    doc = signals.tool("signals-doc")
    rows = doc.rows_of((signals.ROOT / "src/signals/signals.def").read_text(encoding="utf-8"))["METRIC"]
    return {row["name"]: doc.prometheus(row) + ("_count" if row["kind"] == "HISTOGRAM" else "") for row in rows}


def look(work, prometheus):
    names = prometheus_names()

    def number(metric, attributes):
        selector = ", ".join(f'{signals.underscored(key)}!=""' if value is any else f'{signals.underscored(key)}="{value}"'
                             for key, value in attributes.items())
        return prometheus.number(f"sum({names[metric]}{{{selector}}})")

    work.check(number)
    assert prometheus.by("vmafx_node_state", "vmafx_nodes") == {"ready": 2, "busy": 0, "draining": 0, "lost": 0}
    assert prometheus.by("vmafx_slot_state", "vmafx_node_slots") == {"free": 4, "busy": 0}
    assert prometheus.by("vmafx_slot_state", "vmafx_server_slots") == {"free": 1, "busy": 0}


def look_at_exemplars(work, prometheus):
    """They lead to traces of jobs that there are."""
    traces = {job["trace_id"] for job in work.jobs}
    for metric in ("vmafx_job_duration_seconds_bucket", "vmafx_job_wait_duration_seconds_bucket",
                   "vmafx_job_run_duration_seconds_bucket", "vmafx_score_duration_seconds_bucket", "vmafx_score_bucket",
                   "vmafx_jobs_completed_total", "vmafx_jobs_failed_total"):
        found = [labels["trace_id"] for series, labels, _ in prometheus.exemplars(metric)
                 if series["job"] in ("vmafx-controller", "vmafx-node")]
        assert found and set(found) <= traces, (metric, found)


def logged_jobs(receiver):
    """job id -> trace ids of the log records that have it."""
    found = {}
    for _, body in list(receiver.bodies.get("/v1/logs", [])):
        for record in logs_of(body)[1]:
            job = attributes(record, 6).get("vmafx.job.id")
            if job:
                found.setdefault(job.decode(), set()).add(record[9][0].hex())
    return found


@case
def a_prometheus_counts_what_was_done_and_alerts_over_what_is_wrong():
    receiver = Receiver()
    began = time.monotonic()
    with Workload(receiver.environment(OTEL_METRICS_EXPORTER="none")) as work, \
            Prometheus(work.targets(), rules_without_waiting()) as prometheus:
        wait_for_scrape(prometheus)  # so that what happens from now on is an increase
        work.run(JOBS)
        print(f"{JOBS} jobs in {time.monotonic() - began:.1f} s")
        wait_for_scrape(prometheus)
        look(work, prometheus)
        look_at_exemplars(work, prometheus)
        wait_for_scrape(prometheus)
        assert prometheus.alerts("firing") == ALERTS, prometheus.get("alerts")
        work.fleet.controller.kill()
        prometheus.wait("did the alert of a dead controller fire", lambda: "VmafxControllerDown" in prometheus.alerts("firing"))
    traces, logged = spans_by_trace(receiver), logged_jobs(receiver)
    for job in work.jobs:
        check_tree(traces[job["trace_id"]], whole=False)
        assert job["id"] in logged or not work.wanted[job["id"]], f"no log record of {job}"
        assert logged.get(job["id"], set()) <= {job["trace_id"]}, (job, logged[job["id"]])


if __name__ == "__main__":
    main()

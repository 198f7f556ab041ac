# SPDX-License-Identifier: BSD-2-Clause-Patent
"""Mixed jobs whose signals go to an OpenTelemetry Collector: what it wrote tells what was done. tools/interop runs it.

usage: collector_workload.py VMAFX COLLECTOR; VMAFX_WORKLOAD_JOBS is the number of jobs
"""
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "system"))

from collector_process import Collector, spans_by_trace  # noqa: E402  (the path comes first)
from harness import case, main  # noqa: E402
from trees import check_tree  # noqa: E402
from workload import Workload  # noqa: E402

JOBS = int(os.environ.get("VMAFX_WORKLOAD_JOBS", "200"))


def attributes(item):
    return {one["key"]: str(next(iter(one["value"].values()))) for one in item.get("attributes", [])}


def last_points(requests):
    """metric -> [(attributes, value or count)], the newest point of each series of each program."""
    series = {}
    for request in requests:
        for resource in request["resource_metrics"]:
            program = attributes(resource["resource"])["service.instance.id"]
            for scope in resource["scope_metrics"]:
                for metric in scope["metrics"]:
                    kind = next(name for name in ("sum", "gauge", "histogram") if name in metric)
                    if kind != "gauge":
                        assert metric[kind]["aggregation_temporality"] == "AGGREGATION_TEMPORALITY_CUMULATIVE", metric["name"]
                    for point in metric[kind]["data_points"]:
                        key = program, metric["name"], tuple(sorted(attributes(point).items()))
                        value = point.get("count", 0) if kind == "histogram" else point.get("as_int", point.get("as_double", 0))
                        if kind == "histogram":
                            assert sum(point["bucket_counts"]) == value, (metric["name"], point)
                        if key not in series or series[key][0] <= point["time_unix_nano"]:
                            series[key] = point["time_unix_nano"], value
    found = {}
    for (_, name, attrs), (_, value) in series.items():
        found.setdefault(name, []).append((dict(attrs), value))
    return found


def summed(points, metric, wanted):
    return sum(value for attrs, value in points.get(metric, [])
               if all(attrs.get(key) not in (None, "") if text is any else attrs.get(key) == text for key, text in wanted.items()))


def log_records(requests):
    """[(program, record, its attributes)]"""
    return [(attributes(resource["resource"])["service.name"], record, attributes(record)) for request in requests
            for resource in request["resource_logs"] for scope in resource["scope_logs"] for record in scope["log_records"]]


@case
def a_collector_is_told_what_was_done():
    collector = Collector()
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.ports['grpc']}", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}
    try:
        with Workload(env) as work:
            work.run(JOBS)
            work.end()
    finally:
        written = collector.stop()
    points = last_points(written["metrics"])
    work.check(lambda metric, wanted: summed(points, metric, wanted))

    traces, logs = spans_by_trace(written["traces"]), log_records(written["logs"])
    for job in work.jobs:
        kind = work.wanted[job["id"]]
        try:
            check_tree(traces[job["trace_id"]], whole=bool(kind) and not kind.failure and not kind.encodes)
        except AssertionError as wrong:
            raise AssertionError(f"job {job['id']} ({kind and kind.name}): {wrong}") from None
        own = [(name, record) for name, record, attrs in logs if attrs.get("vmafx.job.id") == job["id"]]
        assert own or not kind, f"no log record has the id of job {job['id']} ({kind.name})"
        for name, record in own:
            assert record.get("trace_id") == job["trace_id"] and record.get("span_id"), (name, record)


if __name__ == "__main__":
    main()

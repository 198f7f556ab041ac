# SPDX-License-Identifier: BSD-2-Clause-Patent
"""The page of metrics and OTLP tell the same, series by series, both ways, for each daemon after its work.

usage: test_page_otlp.py VMAFX [CASE…]
"""
import time
import urllib.request

from fleet import DEADLINE_S
from harness import case, main
from metric_points import from_otlp, from_page
from otlp import Receiver, attributes, fields
from workload import Workload

JOBS = 24
FORMATS = {"text": "text/plain;version=0.0.4", "OpenMetrics": "application/openmetrics-text;version=1.0.0"}
# What moves by itself, so that two looks differ: its series have to be on both sides all the same.
MOVES = {
    "process_cpu_time_seconds_total": "looking costs time",
    "process_cpu_utilization_ratio": "since the look before",
    "process_memory_usage_bytes": "as the system gives and takes",
    "process_memory_virtual_bytes": "the same",
    "process_disk_io_bytes_total": "log lines",
    "process_thread_count": "a connection may have one",
    "process_unix_file_descriptor_count": "a connection has one",
    "process_context_switches_total": "of every look",
    "process_paging_faults_total": "of every look",
    "process_uptime_seconds": "a clock",
    "vmafx_store_disk_free_bytes": "other programs write on that disk",
    "vmafx_store_usage_bytes": "a log of the database that is cut at times",
    "vmafx_node_cpu_utilization_ratio": "of the machine",
    "vmafx_node_memory_usage_bytes": "of the machine",
    "vmafx_scorers_cpu_utilization_ratio": "since the look before",
    "vmafx_scorers_memory_usage_bytes": "as the system gives and takes",
    "vmafx_scorers_processes": "a trial of encoders may end late",
    "system_cpu_utilization_ratio": "of the machine",
    "system_memory_usage_bytes": "of the machine",
    "otel_sdk_exporter_metric_data_point_exported_total": "by each export of metrics",
    "otel_sdk_exporter_metric_data_point_inflight": "by each export of metrics",
    "otel_sdk_exporter_operation_duration_seconds": "by each export",
    "otel_sdk_metric_reader_collection_duration_seconds": "by each collection, also the page's",
}

# Of one metric only these: the store is looked at for its gauges, and swept.
SWEEPS = {("db_operation_name", name) for name in ("read", "expire", "grace", "retain")}


def stands_still(key):
    name, labels = key
    return name not in MOVES and not (name == "db_client_operation_duration_seconds" and SWEEPS & set(labels))


def newest(receiver, service):
    """The newest metrics of a program, by its service.name; None: none yet."""
    for _, body in reversed(list(receiver.bodies.get("/v1/metrics", []))):
        resource = attributes(fields(fields(fields(body)[1][0])[1][0]), 1)
        if resource["service.name"] == service.encode():
            return body
    return None


def page(port, accept):
    request = urllib.request.Request(f"http://127.0.0.1:{port}/metrics", headers={"Accept": accept})
    with urllib.request.urlopen(request, timeout=DEADLINE_S) as answer:
        return answer.read().decode()


def same(a, b):
    """Values, or histograms (count, sum, buckets)."""
    if isinstance(a, tuple):
        return a[0] == b[0] and abs(a[1] - b[1]) <= 1e-9 * abs(a[1]) and a[2] == b[2]
    return a == b or abs(a - b) <= 1e-12 * abs(a)


def differences(receiver, service, port, kind, accept):
    pushed, pushed_kinds = from_otlp(newest(receiver, service))
    shown, shown_kinds = from_page(page(port, accept))
    found = [f"only by OTLP: {key}" for key in pushed.keys() - shown.keys()] + \
            [f"only on the page: {key}" for key in shown.keys() - pushed.keys()]
    for key in pushed.keys() & shown.keys():
        if stands_still(key) and not same(pushed[key], shown[key]):
            found.append(f"{key}: {pushed[key]} by OTLP, {shown[key]} on the page")
        elif isinstance(pushed[key], tuple):
            assert set(pushed[key][2]) == set(shown[key][2]), f"other buckets: {key}"
    for name, wanted in pushed_kinds.items():
        base = name.removesuffix("_total") if wanted == "counter" and kind == "OpenMetrics" else name
        if shown_kinds.get(base) != wanted:
            found.append(f"{base} is a {wanted} by OTLP, a {shown_kinds.get(base)} on the page")
    return found


@case
def each_series_is_on_both_sides_with_one_value():
    receiver = Receiver()
    with Workload(receiver.environment()) as work:
        work.run(JOBS)
        for service, port in (("vmafx-controller", work.ports["controller"]), ("vmafx-server", work.ports["server"]),
                              ("vmafx-mcp", work.ports["mcp"])):
            compare(receiver, service, port)
        work.fleet.nodes["node-2"].kill(15)  # two of them have one service.name
        time.sleep(1)
        compare(receiver, "vmafx-node", work.ports["node-1"])


def compare(receiver, service, port):
    for kind, accept in FORMATS.items():
        end = time.monotonic() + 20  # until the last spans are exported and their counters stand still
        while (wrong := differences(receiver, service, port, kind, accept)) and time.monotonic() < end:
            time.sleep(0.3)
        assert not wrong, f"{service}, {kind}: {len(wrong)} differences\n" + "\n".join(sorted(wrong)[:60])


if __name__ == "__main__":
    main()

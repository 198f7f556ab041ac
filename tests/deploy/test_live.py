# SPDX-License-Identifier: BSD-2-Clause-Patent
"""A real Prometheus scrapes real programs at work; then the boards have something to show and the rules their answers.

usage: test_live.py VMAFX [CASE…]
"""
import http.client
import json
import os
import time

import signals
from boards import expressions
from fleet import DEADLINE_S, Fleet, Process, program
from harness import Skip, case, main, pair, write_y4m
from mcp import CLIENT
from onnx_models import installed, need_runtime
from pages import free_port, stand_in
from prometheus import RULES, Prometheus
from server import Server

# Two of each group of panels, and what they are measured with besides a model.
FEATURES = ("psnr", "float_ssim", "cambi")


def http_port(process):
    return int(process.wait_line(r'(?:HTTP ready|over HTTP).*server\.port=(\d+)').group(1))


def start_node(fleet):
    """A node, which does not tell its port, on one that was free a moment ago."""
    port = free_port()
    node = Process("node", [program("vmafx-node"), "--name", "node-1", "--controller", f"127.0.0.1:{fleet.port}", "--slots", "2",
                            "--state", os.path.abspath("node"), "--input-roots", "/", "--http", f"127.0.0.1:{port}",
                            "--nvml", stand_in(), "--load-period", "500ms"],
                   fleet.env, os.path.abspath("node.log"))
    fleet.processes.append(node)
    node.wait_line("connected")
    return port


def ask_assistant_server(port, name):
    """One session: a tool call of vmafx-mcp by HTTP."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_S)
    headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
    for method, params in (("initialize", CLIENT), ("tools/call", {"name": name, "arguments": {}})):
        body = json.dumps({"jsonrpc": "2.0", "id": method, "method": method, "params": params})
        connection.request("POST", "/mcp", body, headers)
        answer = connection.getresponse()
        assert answer.status == 200, (answer.status, answer.read())
        headers["MCP-Protocol-Version"] = CLIENT["protocolVersion"]
        if answer.getheader("Mcp-Session-Id"):
            headers["Mcp-Session-Id"] = answer.getheader("Mcp-Session-Id")
        answer.read()
    connection.close()


def work(fleet, server, mcp, onnx, n):
    """Something of everything that boards show."""
    reference, distorted = (os.path.abspath(path) for path in ("ref.y4m", "dis.y4m"))
    for i in range(n):
        fleet.ok("submit", "--reference", reference, "--distorted", distorted, "--wait")
        fleet.ok("submit", "--reference", os.path.abspath("large.y4m"), "--distorted", os.path.abspath("noisy.y4m"),
                 *(x for feature in FEATURES for x in ("--feature", feature)), "--wait")
        fleet.ok("submit", "--reference", reference, "--codec", "h264", "--preset", "ultrafast", "--crf", "30", "--wait")
        if onnx:
            fleet.ok("submit", "--reference", reference, "--distorted", distorted, "--model", "mean", "--wait")
        fleet.cli("submit", "--reference", reference, "--distorted", os.path.abspath("small.y4m"), "--wait")
        server.score({"reference": {"uri": reference}, "distorted": {"uri": distorted}})
        ask_assistant_server(mcp, "list_models")
    assert len(fleet.jobs("--state", "succeeded")) >= n


@case
def boards_and_rules_have_answers_from_programs_at_work():
    pair()
    write_y4m("small.y4m", w=32, h=32)
    for name, noise in (("large.y4m", 0), ("noisy.y4m", 1)):
        write_y4m(name, w=224, h=224, n=2, noise=noise)
    telemetry = {"OTEL_SDK_DISABLED": "false", "OTEL_EXPORTER_OTLP_TIMEOUT": "200", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9",
                 "OTEL_BSP_SCHEDULE_DELAY": "200", "OTEL_METRIC_EXPORT_INTERVAL": "500"}
    onnx = models_are_there(telemetry)
    with Fleet(nodes=0, env=telemetry) as fleet, Server(env=telemetry) as server:
        mcp = Process("mcp", [program("vmafx-mcp"), "--http", "127.0.0.1:0", "--controller", f"127.0.0.1:{fleet.port}", "--roots",
                              os.getcwd()], {**os.environ, **telemetry}, os.path.abspath("mcp.log"))
        fleet.processes.append(mcp)
        targets = {"vmafx-controller": [http_port(fleet.controller)], "vmafx-node": [start_node(fleet)],
                   "vmafx-server": [server.http], "vmafx-mcp": [http_port(mcp)]}
        with Prometheus(targets, RULES) as prometheus:
            work(fleet, server, targets["vmafx-mcp"][0], onnx, 1)
            # A rate needs two scrapes with the series in them, and then something has to happen.
            prometheus.wait("was the first work scraped", lambda: all(
                prometheus.number(f"sum(count_over_time({name}[1m]))") >= 2
                for name in ("vmafx_job_duration_seconds_count", "vmafx_frames_total", "mcp_server_operation_duration_seconds_count")))
            work(fleet, server, targets["vmafx-mcp"][0], onnx, 2)
            prometheus.wait("was the second work scraped", lambda: prometheus.number("sum(increase(vmafx_jobs_completed_total[1m]))") > 0)
            look(prometheus, () if onnx else ("vmafx_inference_",))
            look_at_rules(prometheus)
            fleet.controller.kill()
            prometheus.wait("was the alert of a dead controller pending", lambda: "VmafxControllerDown" in prometheus.alerts("pending", "firing"))


def models_are_there(env):
    """Whether there is ONNX Runtime; then with models for it, which programs with this environment find."""
    try:
        need_runtime()
    except Skip as reason:
        print(f"without inference: {reason}")
        return False
    env.update(installed())
    return True


def look(prometheus, not_here):
    """Every query has an answer, but for those about what is not here, or does not happen."""
    silent = []
    for board, title, query in expressions():
        names = [name for name, _ in signals.selectors(query)]
        if any(name.startswith(not_here) for name in names) or "ALERTS" in names:
            continue
        end = time.monotonic() + 10
        while not (found := prometheus.series(query)) and time.monotonic() < end:
            time.sleep(0.5)
        if not found:
            silent.append((board, title, query))
    assert not silent, "\n".join(map(str, silent))
    found = prometheus.exemplars("vmafx_job_duration_seconds_bucket")
    assert any(len(labels["trace_id"]) == 32 for _, labels, _ in found), found


def look_at_rules(prometheus):
    groups = prometheus.get("rules")["groups"]
    assert len(groups) == 5, [group["name"] for group in groups]
    for group in groups:
        for rule in group["rules"]:
            assert rule["health"] in ("ok", "unknown") and not rule.get("lastError"), rule
    # All came within five minutes, and mismatches are not the fleet's.
    for name in ("vmafx:jobs_late:ratio_rate5m", "vmafx:jobs_failed_by_fleet:ratio_rate5m"):
        prometheus.wait(f"was {name} 0", lambda name=name: prometheus.series(f"{name} == 0"))
    assert not prometheus.alerts("firing"), prometheus.get("alerts")
    free, limit = (prometheus.number(f"vmafx_store_disk_{name}_bytes") for name in ("free", "limit"))
    disk = os.statvfs(".")
    assert limit == disk.f_blocks * disk.f_frsize and 0 < free <= limit, (free, limit)


main()

# SPDX-License-Identifier: BSD-2-Clause-Patent
"""A real Prometheus scrapes real programs at work; then the boards have something to show and the rules their answers.

usage: test_live.py VMAFX [CASE…]
"""
import http.client
import json
import os
import subprocess
import time
import urllib.parse
import urllib.request

import signals
from boards import expressions
from fleet import DEADLINE_S, Fleet, Process, program
from harness import case, main, need, pair, write_y4m
from mcp import CLIENT
from pages import free_port, stand_in
from server import Server

# What a fleet without encoding and inference has not, and what a moment is too short for.
NOT_HERE = ("vmafx_encoder_", "vmafx_inference_")
CONFIG = """
global: {{ scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s }}
rule_files: ["{rules}"]
scrape_configs:
"""


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


class Prometheus:
    """with Prometheus({"job": [port]}) as prometheus: …; in the current folder."""

    def __init__(self, targets):
        need("prometheus", "prometheus")
        with open("prometheus.yml", "w", encoding="utf-8") as f:
            f.write(CONFIG.format(rules=signals.ROOT / "deploy/prometheus/vmafx.rules.yaml"))
            for job, ports in targets.items():
                f.write(f"  - job_name: {job}\n    static_configs: [{{ targets: {json.dumps([f'127.0.0.1:{port}' for port in ports])} }}]\n")

    def __enter__(self):
        self.port = free_port()
        with open("prometheus.log", "wb") as log:
            self.process = subprocess.Popen(
                ["prometheus", "--config.file=prometheus.yml", "--storage.tsdb.path=data", "--enable-feature=exemplar-storage",
                 f"--web.listen-address=127.0.0.1:{self.port}"], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def get(self, path, **query):
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(url, timeout=DEADLINE_S) as answer:
            return json.load(answer)["data"]

    def ask(self, query):
        return self.get("query", query=query)["result"]

    def number(self, query):
        """Of a query with one value; 0 where there is none."""
        found = self.ask(query)
        return float(found[0]["value"][1]) if found else 0

    def wait(self, what, ready):
        """Until ready() is true; what that was about, when it never is."""
        end = time.monotonic() + DEADLINE_S
        while time.monotonic() < end:
            if self.process.poll() is not None:
                with open("prometheus.log", encoding="utf-8") as log:
                    raise AssertionError(log.read()[-4000:])
            try:
                if ready():
                    return
            except OSError:
                pass
            time.sleep(0.2)
        raise AssertionError(f"never {what}")


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


def work(fleet, server, mcp, n):
    """Something of everything that boards show."""
    reference, distorted = (os.path.abspath(path) for path in ("ref.y4m", "dis.y4m"))
    for i in range(n):
        fleet.ok("submit", "--reference", reference, "--distorted", distorted, "--wait")
        fleet.cli("submit", "--reference", reference, "--distorted", os.path.abspath("small.y4m"), "--wait")
        server.score({"reference": {"uri": reference}, "distorted": {"uri": distorted}})
        ask_assistant_server(mcp, "list_models")
    assert len(fleet.jobs("--state", "succeeded")) >= n


@case
def boards_and_rules_have_answers_from_programs_at_work():
    pair()
    write_y4m("small.y4m", w=32, h=32)
    telemetry = {"OTEL_SDK_DISABLED": "false", "OTEL_EXPORTER_OTLP_TIMEOUT": "200", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9",
                 "OTEL_BSP_SCHEDULE_DELAY": "200", "OTEL_METRIC_EXPORT_INTERVAL": "500"}
    with Fleet(nodes=0, env=telemetry) as fleet, Server(env=telemetry) as server:
        mcp = Process("mcp", [program("vmafx-mcp"), "--http", "127.0.0.1:0", "--controller", f"127.0.0.1:{fleet.port}", "--roots",
                              os.getcwd()], {**os.environ, **telemetry}, os.path.abspath("mcp.log"))
        fleet.processes.append(mcp)
        targets = {"vmafx-controller": [http_port(fleet.controller)], "vmafx-node": [start_node(fleet)],
                   "vmafx-server": [server.http], "vmafx-mcp": [http_port(mcp)]}
        with Prometheus(targets) as prometheus:
            prometheus.wait("were all targets up", lambda: len(prometheus.ask("up == 1")) == 4)
            work(fleet, server, targets["vmafx-mcp"][0], 1)
            # A rate needs two scrapes with the series in them, and then something has to happen.
            prometheus.wait("was the first work scraped", lambda: all(
                prometheus.number(f"sum(count_over_time({name}[1m]))") >= 2
                for name in ("vmafx_job_duration_seconds_count", "vmafx_frames_total", "mcp_server_operation_duration_seconds_count")))
            work(fleet, server, targets["vmafx-mcp"][0], 2)
            prometheus.wait("was the second work scraped", lambda: prometheus.number("sum(increase(vmafx_jobs_completed_total[1m]))") > 0)
            look(prometheus)
            look_at_rules(prometheus)
            fleet.controller.kill()
            prometheus.wait("was the alert of a dead controller pending", lambda: any(
                alert["labels"]["alertname"] == "VmafxControllerDown" for alert in prometheus.get("alerts")["alerts"]))


def look(prometheus):
    """Every query has an answer, but for those about what is not here, or does not happen."""
    silent = []
    for board, title, query in expressions():
        names = [name for name, _ in signals.selectors(query)]
        if any(name.startswith(NOT_HERE) for name in names) or "ALERTS" in names:
            continue
        end = time.monotonic() + 10
        while not (found := prometheus.ask(query)) and time.monotonic() < end:
            time.sleep(0.5)
        if not found:
            silent.append((board, title, query))
    assert not silent, "\n".join(map(str, silent))
    now = time.time()
    found = prometheus.get("query_exemplars", query="vmafx_job_duration_seconds_bucket", start=now - 600, end=now + 60)
    assert any(len(one["labels"]["trace_id"]) == 32 for series in found for one in series["exemplars"]), found


def look_at_rules(prometheus):
    groups = prometheus.get("rules")["groups"]
    assert len(groups) == 5, [group["name"] for group in groups]
    for group in groups:
        for rule in group["rules"]:
            assert rule["health"] in ("ok", "unknown") and not rule.get("lastError"), rule
    # All came within five minutes, and mismatches are not the fleet's.
    for name in ("vmafx:jobs_late:ratio_rate5m", "vmafx:jobs_failed_by_fleet:ratio_rate5m"):
        prometheus.wait(f"was {name} 0", lambda name=name: prometheus.ask(f"{name} == 0"))
    firing = {alert["labels"]["alertname"] for alert in prometheus.get("alerts")["alerts"] if alert["state"] == "firing"}
    assert not firing, firing
    free, limit = (float(prometheus.ask(f"vmafx_store_disk_{name}_bytes")[0]["value"][1]) for name in ("free", "limit"))
    disk = os.statvfs(".")
    assert limit == disk.f_blocks * disk.f_frsize and 0 < free <= limit, (free, limit)


main()

# SPDX-License-Identifier: BSD-2-Clause-Patent
"""A real Prometheus server, of the machine, that scrapes what a test started and answers queries."""
import json
import os
import re
import subprocess
import time
import urllib.parse
import urllib.request

from harness import need
from pages import free_port

PATIENCE_S = 60
RULES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "deploy", "prometheus", "vmafx.rules.yaml")


def rules_without_waiting():
    """A copy of the rules, in the current folder, whose alerts fire as soon as their condition is true; but for those that wait
    for hours, which are about trends."""
    with open(RULES, encoding="utf-8") as f, open("rules.yaml", "w", encoding="utf-8") as out:
        out.write(re.sub(r"(?m)^( +)for: \d+m$", r"\1for: 0s", f.read()))
    return "rules.yaml"


class Prometheus:
    """with Prometheus({"job": [port]}, rules=RULES) as prometheus: …; its files lie in the current folder. Inside it answers."""

    def __init__(self, targets, rules=None):
        need("prometheus", "prometheus")
        self.n_targets = sum(map(len, targets.values()))
        with open("prometheus.yml", "w", encoding="utf-8") as f:  # JSON is YAML too
            json.dump({"global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
                       "rule_files": [os.path.abspath(rules)] if rules else [],
                       "scrape_configs": [{"job_name": job, "static_configs": [{"targets": [f"127.0.0.1:{port}" for port in ports]}]}
                                          for job, ports in targets.items()]}, f)

    def __enter__(self):
        for more in (2, 1, 0):  # somebody else may take the port in between
            self.port = free_port()
            with open("prometheus.log", "wb") as log:
                self.process = subprocess.Popen(
                    ["prometheus", "--config.file=prometheus.yml", "--storage.tsdb.path=data",
                     "--enable-feature=exemplar-storage", f"--web.listen-address=127.0.0.1:{self.port}"],
                    stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            try:
                self.wait("were all targets up", lambda: len(self.series("up == 1")) == self.n_targets)
                return self
            except ChildProcessError:
                if not more:
                    raise
            except BaseException:
                self.__exit__()
                raise

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def get(self, path, **query):
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(url, timeout=PATIENCE_S) as answer:
            return json.load(answer)["data"]

    def series(self, query):
        return self.get("query", query=query)["result"]

    def values(self, query):
        return [float(one["value"][1]) for one in self.series(query)]

    def number(self, query):
        """Of a query with one value; 0 where there is none."""
        found = self.values(query)
        return found[0] if found else 0

    def by(self, label, metric, **matchers):
        """Value of the label -> sum over the series that have it."""
        selector = ", ".join(f'{name}="{value}"' for name, value in matchers.items())
        found = self.series(f"sum by ({label}) ({metric}{{{selector}}})")
        return {one["metric"].get(label, ""): float(one["value"][1]) for one in found}

    def alerts(self, *states):
        """Names of the alerts in these states: pending, firing."""
        return {alert["labels"]["alertname"] for alert in self.get("alerts")["alerts"] if alert["state"] in states}

    def exemplars(self, query):
        """[(labels of the series, labels of the exemplar, value)] of the last hour."""
        now = time.time()
        found = self.get("query_exemplars", query=query, start=now - 3600, end=now + 60)
        return [(one["seriesLabels"], exemplar["labels"], float(exemplar["value"])) for one in found for exemplar in one["exemplars"]]

    def wait(self, what, ready):
        """Until ready() is true; what that was about, when it never is."""
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            if self.process.poll() is not None:
                with open("prometheus.log", encoding="utf-8") as log:
                    raise ChildProcessError(log.read()[-4000:])
            try:
                if ready():
                    return
            except OSError:
                pass
            time.sleep(0.1)
        raise AssertionError(f"never {what}")

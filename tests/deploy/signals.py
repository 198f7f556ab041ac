# SPDX-License-Identifier: BSD-2-Clause-Patent
"""What the tests of deploy/ share: the tree, its table of signals by the names that Prometheus has for them, and what a query of
PromQL names. Brings the harness of the system tests along."""
import importlib.machinery
import importlib.util
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "system"))

HISTOGRAM = ("_bucket", "_count", "_sum")
# What scraping, pushing and histograms add to what a program says.
EVERYWHERE = {"job", "instance", "le"}
OTHERS = {"up": {"job", "instance"}, "ALERTS": {"alertname", "alertstate", "severity"}}
WORDS = {"by", "on", "and", "or", "unless", "without", "ignoring", "group_left", "group_right", "bool", "offset", "inf", "nan"}
INTERVALS = {"$__rate_interval": "5m", "$__interval": "5m", "$__range": "1h"}


def tool(name):
    """A program of tools/ as a module."""
    loader = importlib.machinery.SourceFileLoader(name.replace("-", "_"), str(ROOT / "tools" / name))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module


def underscored(key):
    return re.sub(r"[^a-zA-Z0-9_]", "_", key)


def table():
    """(metrics: Prometheus name -> (row, labels), closed sets: label -> values)"""
    doc = tool("signals-doc")
    rows = doc.rows_of((ROOT / "src/signals/signals.def").read_text(encoding="utf-8"))
    metrics = {}
    for row in rows["METRIC"]:
        name = doc.prometheus(row)
        labels = {underscored(key) for key in row["attributes"].split()}
        for full in [name + end for end in HISTOGRAM] if row["kind"] == "HISTOGRAM" else [name]:
            metrics[full] = (row, labels)
    closed = {underscored(a["key"]): set(a["values"].split("|")) for a in rows["ATTRIBUTE"] if a["values"]}
    return metrics, closed


def made_somewhere(row):
    """Whether a program has code that makes this metric: names it, or the SDK's own text does."""
    for path in (ROOT / "src").rglob("*.c"):
        if path.parent.name != "signals":
            text = path.read_text(encoding="utf-8")
            if re.search(rf"\bVMAFX_METRIC_ID_{row['id']}\b", text) or f'"{row["name"]}"' in text or \
                    (path.name == "process_metrics.c" and re.search(rf"\b{row['id']}\b", text)):
                return True
    return False


def plain(query, variables=()):
    """A query as promtool takes it: no variables of Grafana."""
    for name, value in {**INTERVALS, **{f"${name}": ".*" for name in variables}}.items():
        query = query.replace(name, value)
    assert "$" not in query.replace("$$", ""), f"what is this variable? {query}"
    return query


def selectors(query):
    """[(metric, [(label, operator, value)])] of a query."""
    query = re.sub(r"\[[^]]*\]", "", query)
    texts = []

    def keep(match):
        texts.append(match[0])
        return f"\x00{len(texts) - 1}\x00"

    query = re.sub(r'"(?:[^"\\]|\\.)*"', keep, query)
    query = re.sub(r"\b(by|on|without|ignoring|group_left|group_right)\s*\([^)]*\)", " ", query)
    found = []
    for match in re.finditer(r"([a-zA-Z_:][a-zA-Z0-9_:]*)\s*(\{[^}]*\}|\(|)", query):
        name, rest = match.groups()
        if rest == "(" or name.lower() in WORDS:
            continue
        matchers = [(label, operator, texts[int(text)][1:-1])
                    for label, operator, text in re.findall(r"(\w+)\s*(=~|!~|!=|=)\s*\x00(\d+)\x00", rest)]
        found.append((name, matchers))
    return found


def grouped(query):
    """Labels that a query groups by."""
    return {label.strip() for inside in re.findall(r"\b(?:by|on)\s*\(([^)]*)\)", query) for label in inside.split(",") if label.strip()}


def wrong_with(query, metrics, closed, known=()):
    """What a query names that is not there: sentences."""
    wrong, labels = [], set(EVERYWHERE)
    for name, matchers in selectors(query):
        if name in metrics:
            own = metrics[name][1] | EVERYWHERE
        elif name in OTHERS:
            own = OTHERS[name]
        elif name in known:
            own = set()
        else:
            wrong.append(f"no program makes {name}")
            continue
        labels |= own
        for label, operator, value in matchers:
            if label not in own:
                wrong.append(f"{name} has no label {label}")
            if label in closed and operator in ("=", "=~"):
                values = value.split("|") if operator == "=~" else [value]
                wrong += [f"{label} is never {one!r}" for one in values if one and one not in closed[label]]
    wrong += [f"nothing in it has the label {label}" for label in sorted(grouped(query) - labels)]
    return wrong


def promtool(*arguments, cwd=None, text=None):
    """The finished process, or a skip."""
    from harness import need
    need("promtool", "prometheus")
    return subprocess.run(["promtool", *map(str, arguments)], input=text, capture_output=True, text=True, cwd=cwd, check=False,
                          env={**os.environ, "LC_ALL": "C"})


def read(path):
    return (ROOT / path).read_text(encoding="utf-8")


def yaml_of(text):
    """Every document of a text, or a skip."""
    from harness import Skip
    try:
        import yaml
    except ImportError:
        raise Skip("the Python module yaml is missing; install python3-yaml") from None
    return [document for document in yaml.safe_load_all(text) if document is not None]

# SPDX-License-Identifier: BSD-2-Clause-Patent
"""Metrics in one form, from OTLP and from a page in either of Prometheus' formats: (name, labels) -> value, where a histogram is
(count, sum, buckets). Names of OTLP are turned into Prometheus' by the rules of "Prometheus and OpenMetrics Compatibility"
of OpenTelemetry's specification, written anew here."""
import re
import struct

from otlp import fields

UNITS = {"s": "seconds", "By": "bytes", "1": "ratio", "Cel": "celsius"}
HISTOGRAM, SUM, GAUGE = 9, 7, 5  # field numbers of Metric.data


def value_of(any_value):
    """An AnyValue as the text that a label has."""
    message = fields(any_value)
    if 1 in message:
        return message[1][0].decode()
    if 2 in message:
        return "true" if message[2][0] else "false"
    if 3 in message:
        number = message[3][0]
        return str(number - (1 << 64) if number >> 63 else number)
    if 4 in message:
        return repr(struct.unpack("<d", message[4][0])[0])
    return ""


def labels_of(attributes):
    found = {}
    for one in attributes:
        pair = fields(one)
        found[re.sub(r"[^a-zA-Z0-9_]", "_", pair[1][0].decode())] = value_of(pair[2][0]) if 2 in pair else ""
    return found


def prometheus_name(name, unit, kind, monotonic):
    name = re.sub(r"[^a-zA-Z0-9_]", "_", name)
    per = ""
    if "/" in unit:
        unit, per = unit.split("/", 1)
        per = {"s": "_per_second"}[per]
    if unit == "1" and kind != GAUGE:
        unit = ""
    suffix = "" if unit.startswith("{") or not unit else "_" + UNITS[unit]
    for end in (suffix, per):
        if end and not name.endswith(end):
            name += end
    return name + ("_total" if kind == SUM and monotonic and not name.endswith("_total") else "")


def doubles(data):
    return [one[0] for one in struct.iter_unpack("<d", b"".join(data))]


def histogram_of(point):
    counts = [one[0] for one in struct.iter_unpack("<Q", b"".join(point.get(6, [])))]
    bounds = [*doubles(point.get(7, [])), float("inf")]
    total, buckets = 0, {}
    for bound, count in zip(bounds, counts):
        total += count
        buckets[bound] = total
    return int.from_bytes(point[4][0], "little") if 4 in point else 0, doubles(point[5])[0] if 5 in point else 0.0, buckets


def number_of(point):
    if 4 in point:
        return struct.unpack("<d", point[4][0])[0]
    return float(struct.unpack("<q", point[6][0])[0]) if 6 in point else 0.0


def from_otlp(body):
    """{(name, labels): value} and {name: kind} of an ExportMetricsServiceRequest with cumulative points."""
    series, kinds = {}, {}
    for one_resource in fields(body)[1]:
        for one_scope in fields(one_resource)[2]:
            scope_message = fields(one_scope)
            scope = fields(scope_message[1][0]) if 1 in scope_message else {}
            for one in scope_message.get(2, []):
                metric = fields(one)
                kind = next(number for number in (GAUGE, SUM, HISTOGRAM) if number in metric)
                data = fields(metric[kind][0])
                monotonic = bool(data.get(3, [0])[0]) if kind == SUM else False
                assert kind == GAUGE or data[2] == [2], f"{metric[1]} is not cumulative"
                name = prometheus_name(metric[1][0].decode(), metric[3][0].decode() if 3 in metric else "", kind, monotonic)
                kinds[name] = "histogram" if kind == HISTOGRAM else "counter" if monotonic else "gauge"
                for text in data.get(1, []):
                    point = fields(text)
                    labels = labels_of(point.get(9 if kind == HISTOGRAM else 7, []))
                    labels["otel_scope_name"] = scope[1][0].decode()
                    if 2 in scope:
                        labels["otel_scope_version"] = scope[2][0].decode()
                    key = name, tuple(sorted(labels.items()))
                    assert key not in series, f"twice in one request: {key}"
                    series[key] = histogram_of(point) if kind == HISTOGRAM else number_of(point)
    return series, kinds


LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"')
LINE = re.compile(r'([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{((?:[^"}]|"(?:[^"\\]|\\.)*")*)\})? (\S+)(?: (?!#)\S+)?(?: # .*)?')


def unescaped(text):
    return re.sub(r"\\(.)", lambda found: "\n" if found[1] == "n" else found[1], text)


def from_page(text):
    """The same of a page; target_info and what else says nothing of a metric is left out."""
    series, kinds, parts = {}, {}, {}
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            kinds[name] = kind
        if not line or line.startswith("#"):
            continue
        found = LINE.fullmatch(line)
        assert found, f"no sample: {line}"
        name, value = found[1], float(found[3])
        labels = {key: unescaped(one) for key, one in LABEL.findall(found[2] or "")}
        base = re.sub(r"_(bucket|count|sum)$", "", name)
        if kinds.get(base) == "histogram" and base != name:
            le = labels.pop("le", None)
            parts.setdefault((base, tuple(sorted(labels.items()))), {})[float(le) if le else name[len(base) + 1:]] = value
            continue
        if name.endswith(("_created", "target_info")):
            continue
        key = name, tuple(sorted(labels.items()))
        assert key not in series, f"twice on the page: {key}"
        series[key] = value
    for key, found in parts.items():
        count, total = found.pop("count"), found.pop("sum")
        series[key] = int(count), total, {bound: int(n) for bound, n in found.items()}
    return series, kinds

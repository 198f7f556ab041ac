# SPDX-License-Identifier: BSD-2-Clause-Patent
"""What emit.c emits, in the form of decode.py, and the comparison. Every field is compared: the known ones by value, ids
that are random and times that are now by what they must fit."""
import os
import time

TRACE = "0af7651916cd43dd8448eb211c80319c"
SECOND = 1000000000
START = 1700000000 * SECOND
ENVIRONMENT = {"OTEL_SERVICE_NAME": "conformance", "OTEL_METRIC_EXPORT_INTERVAL": "50",
               "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test,odd=a%2Cb%3D%C3%BC"}
NUMBERS = {"array_value": {"values": [{"int_value": -2 ** 63}, {"int_value": 0}, {"int_value": 2 ** 63 - 1}]}}
INNER = {"kvlist_value": {"values": [{"key": "deep", "value": NUMBERS},
                                     {"key": "text", "value": {"string_value": "grüße ☃"}}]}}


def attribute(key, value):
    kind = {bool: "bool_value", int: "int_value", float: "double_value", str: "string_value"}.get(type(value))
    return {"key": key, "value": {kind: value} if kind else value}


def attributes(**values):
    return {"attributes": [attribute(key, value) for key, value in values.items()]}


EVERYTHING = [attribute("str", 'a "quoted"\n\\line'), attribute("str.empty", ""), attribute("bool.true", True),
              attribute("bool.false", False), attribute("int.min", -2 ** 63), attribute("int.zero", 0),
              attribute("double", -1.0 / 3.0), attribute("double.zero", 0.0),
              attribute("bytes", {"bytes_value": "00ff7f80"}), attribute("array", NUMBERS),
              attribute("array.empty", {"array_value": {}}), attribute("map", INNER), attribute("empty", {})]


def span_id(first, last):
    return f"{first:02x}{'00' * 6}{last:02x}"


def trace_id(first, last):
    return f"{first:02x}{'00' * 14}{last:02x}"


def same(what, got, wanted):
    """Equal, or a sentence that names the first difference."""
    if isinstance(got, dict) and isinstance(wanted, dict):
        assert got.keys() == wanted.keys(), f"{what}: fields {sorted(got)}, not {sorted(wanted)}"
        for key in wanted:
            same(f"{what}.{key}", got[key], wanted[key])
    elif isinstance(got, list) and isinstance(wanted, list):
        assert len(got) == len(wanted), f"{what}: {len(got)} of them, not {len(wanted)}: {got}"
        for i, item in enumerate(wanted):
            same(f"{what}[{i}]", got[i], item)
    else:
        assert type(got) is type(wanted) and got == wanted, f"{what}: {got!r:.300}, not {wanted!r:.300}"


# ---- resource and scopes ----

def is_resource(group):
    assert set(group) <= {"resource", "schema_url", "scope_spans", "scope_metrics", "scope_logs"}, list(group)
    assert group["schema_url"] == "https://opentelemetry.io/schemas/1.44.0", group["schema_url"]
    found = {one["key"]: one["value"] for one in group["resource"]["attributes"]}
    assert len(found) == len(group["resource"]["attributes"]), "a key twice in the resource"
    for key, value in {"service.name": "conformance", "service.version": "9.8.7", "odd": "a,b=ü",
                       "deployment.environment.name": "test", "telemetry.sdk.language": "c"}.items():
        same(key, found.get(key), {"string_value": value})
    assert found["telemetry.sdk.name"]["string_value"] and found["telemetry.sdk.version"]["string_value"]
    assert len(found["service.instance.id"]["string_value"]) == 36
    assert found["process.pid"]["int_value"] != os.getpid()


def items_of(requests, signal, scope, schema_url=None):
    """All items of requests of one signal, after a look at what is around them."""
    outer, inner, name = {"traces": ("resource_spans", "scope_spans", "spans"),
                          "metrics": ("resource_metrics", "scope_metrics", "metrics"),
                          "logs": ("resource_logs", "scope_logs", "log_records")}[signal]
    items = []
    for request in requests:
        assert list(request) == [outer], list(request)
        for group in request[outer]:
            is_resource(group)
            for one in group[inner]:
                if one["scope"]["name"] == "vmafx.otel":  # the SDK about itself
                    assert all(item["name"].startswith("otel.sdk.") for item in one[name]), one[name]
                    continue
                same("scope", one["scope"], scope)
                assert one.get("schema_url") == schema_url, one.get("schema_url")
                items += one[name]
    return items


# ---- traces ----

def traces(requests):
    spans = {span["name"]: span for span in
             items_of(requests, "traces", {"name": "conformance.trace", "version": "1.0"})}
    same("names", sorted(spans), ["bare", "client", "consumer", "full", "server"])
    same("full", spans["full"], {
        "trace_id": TRACE, "span_id": span_id(0x11, 0x18), "parent_span_id": span_id(0x21, 0x28),
        "trace_state": "vmafx=1,other=a:b", "flags": 0x303, "name": "full", "kind": "SPAN_KIND_PRODUCER",
        "start_time_unix_nano": START, "end_time_unix_nano": START + 5 * SECOND + 7, "attributes": EVERYTHING,
        "events": [{"time_unix_nano": START + 10, "name": "first", **attributes(n=1)},
                   {"time_unix_nano": START + 20, "name": "second", "attributes": EVERYTHING}],
        "links": [{"trace_id": trace_id(0xaa, 1), "span_id": span_id(0xbb, 2), "trace_state": "linked=yes",
                   "flags": 0x303, **attributes(why="remote")},
                  {"trace_id": trace_id(0xcc, 3), "span_id": span_id(0xdd, 4), "flags": 0x100}],
        "status": {"code": "STATUS_CODE_ERROR", "message": "it broke"}})
    same("bare", spans["bare"], {
        "trace_id": trace_id(0x77, 1), "span_id": span_id(0x77, 2), "flags": 0x101, "name": "bare",
        "kind": "SPAN_KIND_INTERNAL", "start_time_unix_nano": START, "end_time_unix_nano": START,
        "status": {"code": "STATUS_CODE_OK"}})

    client = spans["client"]
    exception = client["events"][1]
    assert abs(exception.pop("time_unix_nano") - time.time_ns()) < 600 * SECOND, "the exception's time is not now"
    same("client", client, {
        "trace_id": TRACE, "span_id": fresh(client["span_id"]), "parent_span_id": span_id(0x31, 0x38), "flags": 0x301,
        "name": "client", "kind": "SPAN_KIND_CLIENT", "start_time_unix_nano": START + SECOND,
        "end_time_unix_nano": START + 4 * SECOND,
        "attributes": [attribute("at", "start"), attribute("n", 2)] + EVERYTHING,
        "events": [{"time_unix_nano": START + SECOND + 1, "name": "happened", **attributes(d=0.1)},
                   {"name": "exception", "attributes": [attribute("exception.type", "NOT_FOUND"),
                                                        attribute("exception.message", "no such file"),
                                                        attribute("exception.stacktrace", "here\nthere")]}],
        "links": [{"trace_id": trace_id(0xee, 5), "span_id": span_id(0xff, 6), "flags": 0x101, **attributes(late=True)}],
        "status": {"code": "STATUS_CODE_ERROR", "message": "not found"}})
    for name, end in (("server", 0), ("consumer", 1)):
        same(name, spans[name], {
            "trace_id": TRACE, "span_id": fresh(spans[name]["span_id"]), "parent_span_id": client["span_id"],
            "flags": 0x101, "name": name, "kind": f"SPAN_KIND_{name.upper()}",
            "start_time_unix_nano": START + 2 * SECOND, "end_time_unix_nano": START + 3 * SECOND + end})
    assert len({span["span_id"] for span in spans.values()}) == 5, "an id twice"


def fresh(random_id):
    assert len(random_id) == 16 and int(random_id, 16), random_id
    return random_id


# ---- logs ----

def logs(requests):
    scope = {"name": "conformance.log", "version": "3.0", "attributes": [attribute("scope.kind", "log")]}
    records = items_of(requests, "logs", scope, "https://schema.example/log")
    observed = records[2].pop("observed_time_unix_nano")
    assert abs(observed - time.time_ns()) < 600 * SECOND, "a time of observation that is not now"
    context = {"trace_id": TRACE, "span_id": span_id(0x31, 0x38), "flags": 1}
    same("records", records, [
        {"time_unix_nano": START + 1, "observed_time_unix_nano": START + 2, "severity_text": "crit",
         "severity_number": "SEVERITY_NUMBER_ERROR2", "event_name": "conformance.event", "body": INNER,
         "attributes": [attribute("exception.type", "LIMIT"), attribute("exception.message", "too much")] + EVERYTHING,
         **context},
        {"observed_time_unix_nano": START + 3},
        {"severity_text": "WARN", "severity_number": "SEVERITY_NUMBER_WARN", "body": {"string_value": "a message"},
         "attributes": [attribute("log.attempt", 3)], **context}])


# ---- metrics ----

DEFAULT_BOUNDS = [0.0, 5.0, 10.0, 25.0, 50.0, 75.0, 100.0, 250.0, 500.0, 750.0, 1000.0, 2500.0, 5000.0, 7500.0, 10000.0]
GPU = [attribute("device", "gpu")]
OK = [attribute("ok", True)]

# name: (unit, description, kind, monotonic, [(attributes, total of both rounds)])
NUMBER_METRICS = {
    "c.int": ("{frame}", "frames, counted", "sum", True, [(EVERYTHING, 10), (GPU, 14)]),
    "c.double": ("s", None, "sum", True, [([], 0.5)]),
    "u.int": (None, None, "sum", False, [([], -3)]),
    "u.double": ("By", None, "sum", False, [([], -3.0)]),
    "g.int": (None, None, "gauge", False, [([], 2 ** 63 - 1)]),
    "g.double": (None, None, "gauge", False, [([], 1e308)]),
    "oc.int": (None, None, "sum", True, [(GPU, 9)]),
    "oc.double": (None, None, "sum", True, [([], 0.25)]),
    "ou.int": (None, None, "sum", False, [([], -9)]),
    "ou.double": (None, None, "sum", False, [([], -0.5)]),
    "og.int": ("{thing}", None, "gauge", False, [(GPU, 9)]),
    "og.double": (None, None, "gauge", False, [([], -0.5)])}

# name: (unit, description, bounds, counts, count, sum, min, max, attributes)
HISTOGRAMS = {
    "h.default": ("ms", None, DEFAULT_BOUNDS, [2, 0, 0, 0, 2] + [0] * 10 + [2], 6, 40060.0, 0.0, 20000.0, []),
    "h.bounds": ("s", "with advice", [0.1, 1.0, 10.0], [0, 4, 0, 2], 6, 203.0, 0.5, 100.0, OK),
    "h.int": (None, None, DEFAULT_BOUNDS, [0, 2] + [0] * 14, 2, 6.0, 3.0, 3.0, [])}


def is_delta(name, kind, temporality):
    """The specification's table: up-down counters stay cumulative; lowmemory leaves observable counters too."""
    if temporality == "cumulative" or kind == "gauge" or name[0] == "u" or name.startswith("ou"):
        return False
    return temporality == "delta" or not name.startswith("oc")


def identity(attrs):
    """The attributes of a series as text: their order means nothing."""
    return str(sorted(attrs, key=lambda one: one["key"]))


def series(metrics, name, unit, description, kind, delta, monotonic=False):
    """attributes as text -> points in order of time; what surrounds them is compared here."""
    found = {}
    for metric in (one for one in metrics if one["name"] == name):
        data = dict(metric[kind])
        points = data.pop("data_points")
        wanted = {}
        if kind != "gauge":
            wanted["aggregation_temporality"] = f"AGGREGATION_TEMPORALITY_{'DELTA' if delta else 'CUMULATIVE'}"
        if monotonic:
            wanted["is_monotonic"] = True
        same(name, data, wanted)
        around = {"name": name, "unit": unit, "description": description, kind: metric[kind]}
        same(name, metric, {key: value for key, value in around.items() if value is not None})
        for point in points:
            found.setdefault(identity(point.get("attributes", [])), []).append(point)
    for points in found.values():
        chain(name, points, kind, delta)
    return found


def chain(name, points, kind, delta):
    """Start and end of the intervals: deltas follow each other, cumulative ones begin at the same time."""
    now = time.time_ns()
    for before, after in zip([None] + points, points):
        assert abs(after["time_unix_nano"] - now) < 600 * SECOND, f"{name}: the time is not now"
        if kind == "gauge":
            assert after.get("start_time_unix_nano", 0) <= after["time_unix_nano"], name
            continue
        assert after["start_time_unix_nano"] <= after["time_unix_nano"], f"{name}: it ends before it starts"
        if before:
            wanted = before["time_unix_nano"] if delta else before["start_time_unix_nano"]
            ok = after["start_time_unix_nano"] >= wanted if delta else after["start_time_unix_nano"] == wanted
            assert ok, f"{name}: the start does not fit the point before"
            assert before["time_unix_nano"] < after["time_unix_nano"], f"{name}: two points at one time"


def numbers(metrics, temporality):
    for name, (unit, description, kind, monotonic, wanted) in NUMBER_METRICS.items():
        delta = is_delta(name, kind, temporality)
        found = series(metrics, name, unit, description, kind, delta, monotonic)
        same(f"series of {name}", sorted(found), sorted(identity(attrs) for attrs, _ in wanted))
        for attrs, total in wanted:
            points = found[identity(attrs)]
            field = "as_int" if isinstance(total, int) else "as_double"
            assert len(points) >= (1 if delta else 2), f"{name}: {len(points)} points"
            for point in points:
                extra = set(point) - {"attributes", "start_time_unix_nano", "time_unix_nano", "exemplars", field}
                assert not extra, f"{name}: unexpected {extra}"
            value = sum(point[field] for point in points) if delta else points[-1][field]
            same(name, value, total)
            exemplars(name, points, kind == "sum" and attrs in (EVERYTHING, []) and name[0] == "c",
                      {"as_int": 5} if field == "as_int" else {"as_double": 0.25})


def exemplars(name, points, wanted, value):
    """One per round where a measurement was made under a sampled span, and none elsewhere."""
    found = [one for point in points for one in point.get("exemplars", [])]
    if not wanted:
        assert not found, f"{name}: exemplars without a span: {found}"
        return
    assert found, f"{name}: no exemplar"
    for one in found:
        one = dict(one)
        assert abs(one.pop("time_unix_nano") - time.time_ns()) < 600 * SECOND
        same(f"exemplar of {name}", one, {"trace_id": TRACE, "span_id": span_id(0x31, 0x38), **value})


def explicit(metrics, temporality):
    for name, (unit, description, bounds, counts, count, total, low, high, attrs) in HISTOGRAMS.items():
        delta = temporality != "cumulative"
        points = series(metrics, name, unit, description, "histogram", delta)[identity(attrs)]
        taken = points if delta else points[-1:]
        summed = [sum(column) for column in zip(*(point["bucket_counts"] for point in taken))]
        got = {"bounds": taken[0]["explicit_bounds"], "counts": summed,
               "count": sum(point.get("count", 0) for point in taken), "sum": sum(point["sum"] for point in taken),
               "min": min(point["min"] for point in taken), "max": max(point["max"] for point in taken)}
        same(name, got, {"bounds": bounds, "counts": counts, "count": count, "sum": total, "min": low, "max": high})
        exemplars(name, points, name == "h.bounds", {"as_double": 0.5})


def exponential(metrics, temporality):
    """Counts by what falls where: bucket i of a scale holds what is over base^i and at most base^(i+1)."""
    values = {"h.default": [0.0, 30.0, 20000.0] * 2, "h.bounds": [0.5, 1.0, 100.0] * 2, "h.int": [3.0] * 2}
    for name, recorded in values.items():
        unit, description, *_, attrs = HISTOGRAMS[name]
        delta = temporality != "cumulative"
        points = series(metrics, name, unit, description, "exponential_histogram", delta)[identity(attrs)]
        taken = points if delta else points[-1:]
        assert sum(point["count"] for point in taken) == len(recorded), name
        assert sum(point["sum"] for point in taken) == sum(recorded), name
        assert sum(point.get("zero_count", 0) for point in taken) == recorded.count(0.0), name
        assert min(point["min"] for point in taken) == min(recorded), name
        assert max(point["max"] for point in taken) == max(recorded), name
        for point in taken:
            assert "negative" not in point or not any(point["negative"].get("bucket_counts", [])), name
            base = 2.0 ** (2.0 ** -point.get("scale", 0))
            at, counts = point["positive"].get("offset", 0), point["positive"]["bucket_counts"]
            assert sum(counts) + point.get("zero_count", 0) == point["count"], name
            for i, n in enumerate(counts):
                low, high = base ** (at + i), base ** (at + i + 1)
                fits = sum(1 for v in recorded if low * (1 - 1e-9) < v <= high * (1 + 1e-9))
                assert not n or fits >= n, f"{name}: nothing recorded is in bucket {at + i} of scale {point.get('scale')}"


def metrics(requests, temporality="cumulative", exponential_histograms=False):
    scope = {"name": "conformance.metrics", "version": "2.0", "attributes": [attribute("scope.number", 1)]}
    found = items_of(requests, "metrics", scope, "https://schema.example/metrics")
    same("names", sorted({one["name"] for one in found}), sorted([*NUMBER_METRICS, *HISTOGRAMS]))
    numbers(found, temporality)
    (exponential if exponential_histograms else explicit)(found, temporality)


CHECKS = {"traces": traces, "metrics": metrics, "logs": logs}

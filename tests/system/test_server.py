# SPDX-License-Identifier: BSD-2-Clause-Patent
"""vmafx-server from outside, over HTTP: what every door answers, limits, overload, clients that leave, telemetry.

usage: test_server.py VMAFX [CASE…]
"""
import contextlib
import hashlib
import json
import os
import re
import signal
import socket
import subprocess
import threading
import time

from fleet import program
from harness import built_with, case, ffmpeg, main, need, pair, run, write_y4m, write_yuv
from openapi import Answer, Description, check_document
from otlp import Receiver
from server import Server, Slow, bits, by_path, children_of, events, expected, form, wait_for
from trees import spans_by_trace

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
JSON = {"Content-Type": "application/json"}
METRICS = {"OTEL_SDK_DISABLED": "", "OTEL_TRACES_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none",
           "OTEL_METRICS_EXPORTER": "prometheus"}
TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"


def same_means(outcome, report):
    """Pooled means to the bit, and all of them."""
    series = {s["name"]: s for s in outcome["result"]["series"]}
    assert list(series) == list(report["pooled"]), (list(series), list(report["pooled"]))
    for name, pooled in report["pooled"].items():
        assert bits(series[name]["mean"]) == bits(pooled["mean"]), (name, series[name]["mean"], pooled["mean"])
        assert bits(series[name]["harmonic_mean"]) == bits(pooled["harmonic_mean"]), name
    assert bits(outcome["score"]) == bits(report["verdict"]["score"])
    assert outcome["failure_class"] == "FAILURE_CLASS_UNSPECIFIED" and outcome["result"]["complete"], outcome


def same_frames(columns, frames, names):
    assert len(columns) == len(names)
    for name, column in zip(names, columns):
        assert [bits(float(v)) for v in column] == [bits(v) for v in frames[name]], name


def in_thread(function, *arguments):
    """Starts it; a function that waits for what it gives."""
    box = []
    thread = threading.Thread(target=lambda: box.append(function(*arguments)), daemon=True)
    thread.start()

    def result():
        thread.join(60)
        assert box, "it did not end"
        return box[0]

    return result


# ---- the doors


@case
def every_door_gives_the_scores_of_vmafx_score_to_the_bit():
    pair(n=12)
    report, frames = expected()
    names = list(report["pooled"])
    with Server() as server:
        answer = server.score(by_path(frames=True))
        same_means(answer["outcome"], report)
        same_frames([c["values"] for c in answer["frames"]["columns"]], frames, names)

        body, headers = form(reference="ref.y4m", distorted="dis.y4m")
        status, _, text = server.ask("POST", "/v1/score", body, headers)
        assert status == 200, text
        uploaded = json.loads(text)
        same_means(uploaded["outcome"], report)
        assert "frames" not in uploaded
        assert [i["uri"] for i in uploaded["outcome"]["result"]["inputs"]] == ["ref.y4m", "dis.y4m"]
        assert uploaded["outcome"]["result"]["inputs"] == answer["outcome"]["result"]["inputs"]

        body, headers = form(request=json.dumps({"frames": True, "distorted": by_path()["distorted"]}).encode(),
                             reference="ref.y4m")
        status, _, text = server.ask("POST", "/v1/score", body, headers)
        assert status == 200, text
        same_frames([c["values"] for c in json.loads(text)["frames"]["columns"]], frames, names)

        status, headers, text = server.ask("POST", "/v1/score", by_path(frames=True, progress=True),
                                           {"Accept": "text/event-stream"})
        assert status == 200 and headers["content-type"].startswith("text/event-stream"), headers
        told = events(text)
        assert told[0][0] in ("progress", "series") and told[-1][0] == "outcome", [t[0] for t in told]
        same_means(told[-1][1], report)
        assert next(d for e, d in told if e == "series")["names"] == names
        columns = [[] for _ in names]
        for _, run_ in (t for t in told if t[0] == "frames"):
            assert run_["first"] == len(columns[0])
            for column, more in zip(columns, run_["columns"]):
                column += more["values"]
        same_frames(columns, frames, names)


@case
def a_report_is_the_one_that_vmafx_score_writes():
    pair(n=8)
    for form_ in ("json", "csv", "ndjson", "xml"):
        got = run("score", "--reference", "ref.y4m", "--distorted", "dis.y4m", "--output", f"out.{form_}", "--format", form_)
        assert got.returncode == 0, got
    with Server() as server:
        for form_, type_ in (("csv", "text/csv"), ("xml", "application/xml"), ("json", "application/json"),
                             ("ndjson", "application/x-ndjson")):
            status, headers, body = server.ask("POST", f"/v1/score?format={form_}", by_path())
            assert status == 200 and headers["content-type"].startswith(type_), (form_, status, headers, body)
            with open(f"out.{form_}", "rb") as f:
                own = f.read()
            if form_ == "csv":
                assert body == own
            elif form_ == "json":
                got, wanted = json.loads(body), json.loads(own)
                assert got["frames"] == wanted["frames"] and got["pooled"] == wanted["pooled"], got
            elif form_ == "ndjson":
                assert [line for line in body.splitlines() if b'"frame"' in line] == [
                    line for line in own.splitlines() if b'"frame"' in line]
            else:
                without = re.compile(rb'(fps="[^"]*"|<fyi[^>]*>)')
                assert without.sub(b"", body) == without.sub(b"", own)
        server.refused(400, "json, ndjson, csv or xml", request=by_path(), path="/v1/score?format=pdf")
        server.refused(400, "event stream", request=by_path(), path="/v1/score?format=csv",
                       headers={"Accept": "text/event-stream"})


@case
def a_batch_tells_of_each_pair_and_one_that_fails_stops_no_other():
    pair(n=6)
    write_y4m("other.y4m", w=32, h=32, n=6)
    report, frames = expected()
    pairs = [by_path(frames=True), by_path(distorted="none.y4m"), by_path(distorted="other.y4m"), by_path(),
             {"reference": {"uri": "/etc/hostname"}, "distorted": {"uri": "relative"}}, by_path()]
    with Server("--batch", "2") as server:
        status, headers, body = server.ask("POST", "/v1/score/batch", {"pairs": pairs})
        assert status == 200 and headers["content-type"] == "application/x-ndjson", (status, body)
        lines = [json.loads(line) for line in body.splitlines()]
        outcomes = {line["index"]: line["event"]["outcome"] for line in lines if "outcome" in line.get("event", {})}
        errors = {line["index"]: (line["error"], line["message"]) for line in lines if line["error"]}
        assert sorted(outcomes) == [0, 2, 3, 5] and sorted(errors) == [1, 4], (outcomes.keys(), errors)
        for index in (0, 3, 5):
            same_means(outcomes[index], report)
        assert outcomes[2]["failure_class"] == "FAILURE_CLASS_MISMATCH" and "32" in outcomes[2]["message"], outcomes[2]
        assert errors[1][0] == "NOT_FOUND" and "none.y4m" in errors[1][1], errors
        assert errors[4][0] == "INVALID" and errors[4][1].startswith("pairs[4]."), errors
        same_frames([c["values"] for line in lines if "frames" in line.get("event", {})
                     for c in line["event"]["frames"]["columns"]], frames, list(report["pooled"]))

        _, _, text = server.ask("POST", "/v1/score/batch", {"pairs": pairs}, {"Accept": "text/event-stream"})
        told = events(text)
        ends = {d["index"]: e for e, d in told if e in ("outcome", "error")}
        assert ends == {0: "outcome", 1: "error", 2: "outcome", 3: "outcome", 4: "error", 5: "outcome"}, ends
        server.refused(400, "1 … 100", request={"pairs": []}, path="/v1/score/batch")
        server.refused(400, "1 … 100", request={"pairs": [by_path()] * 101}, path="/v1/score/batch")


@case
def models_and_capabilities_can_be_asked_for():
    with Server("--slots", "3", "--frames-max", "77") as server:
        status, _, body = server.ask("GET", "/v1/models")
        assert status == 200 and "vmaf_v0.6.1" in json.loads(body)["versions"]
        status, _, body = server.ask("GET", "/v1/capabilities")
        got = json.loads(body)
        assert status == 200 and got["slots"] == 3 and got["frames_max"] == 77 and got["paths"] and not got["urls"], got
        pair(n=3, w=224, h=176)  # the smallest that all of them take
        for feature in got["features"]:  # what it says it can, it can
            server.score(by_path(features=[{"name": feature}]))


@case
def values_that_are_no_numbers_come_through():
    pair(n=3, w=224, h=176)
    with Server() as server:
        equal = by_path(distorted="ref.y4m", features=[{"name": "ciede"}, {"name": "psnr", "options": [{"key": "enable_mse", "value": "true"}]}])
        series = {s["name"]: s for s in server.score(equal)["outcome"]["result"]["series"]}
        assert series["ciede2000"]["n"] == 3 and series["ciede2000"]["mean"] == "Infinity", series["ciede2000"]
        assert series["psnr_y"]["mean"] == 60 and series["mse_cr"]["mean"] == 0, series


@case
def every_described_route_answers_as_described_and_no_other_exists():
    pair(n=3)
    document = check_document(os.path.join(ROOT, "docs", "openapi-server.json"))
    with Server() as server:
        with open(os.path.join(ROOT, "docs", "openapi-server.json"), "rb") as f:
            assert server.ask("GET", "/openapi.json")[2] == f.read(), "the program's description is an old one"
        seen = Description(document)

        def ask(method, path, body=None, headers=None):
            status, got, text = server.ask(method, path, body, headers)
            seen.check(method, path, Answer(status, got, text))
            return status, got, text

        files, form_type = form(reference="ref.y4m", distorted="dis.y4m", request=b'{"frames": true}')
        for wanted, method, path, body, headers in (
                (200, "GET", "/v1/models", None, None), (200, "GET", "/v1/capabilities", None, None),
                (200, "POST", "/v1/score", by_path(frames=True), None), (200, "POST", "/v1/score", files, form_type),
                *((200, "POST", f"/v1/score?format={name}", by_path(), None) for name in ("json", "ndjson", "csv", "xml")),
                (200, "POST", "/v1/score/batch", {"pairs": [by_path(), by_path(distorted="none.y4m")]}, None),
                (404, "POST", "/v1/score", by_path(distorted="none.y4m"), None),
                (400, "POST", "/v1/score", by_path(models=[{"version": "vmaf_v9"}]), None),
                (400, "POST", "/v1/score?format=json&format=csv", by_path(), None),
                *((400, "GET", path + "?format=json", None, None) for path in ("/v1/models", "/v1/capabilities",
                                                                                "/openapi.json")),
                (400, "GET", "/v1/models", b"{}", None)):
            got = ask(method, path, body, headers)
            assert got[0] == wanted, (method, path, got)
        wants_events = {"Accept": "text/event-stream"}
        for path, body in (("/v1/score", by_path(progress=True, frames=True)), ("/v1/score", by_path(timeout_ms=10**9)),
                           ("/v1/score/batch", {"pairs": [by_path(frames=True), by_path(distorted="none.y4m")]})):
            status, got, text = ask("POST", path, body, wants_events)
            if status == 200:
                data = document["paths"][path]["post"]["responses"]["200"]["content"]["text/event-stream"]["x-event-data"]
                assert [seen.validate(data, value) for _, value in events(text)], path
        lines = ask("POST", "/v1/score/batch", {"pairs": [by_path(frames=True), by_path(distorted="none.y4m")]})[2]
        data = document["paths"]["/v1/score/batch"]["post"]["responses"]["200"]["content"]["application/x-ndjson"]
        for line in lines.decode().splitlines():
            seen.validate(data["x-line-data"], json.loads(line))

        described = {(method.upper(), path) for path, operations in document["paths"].items() for method in operations}
        with open(os.path.join(ROOT, "src", "auth", "permissions.def"), encoding="utf-8") as f:
            allowed = set(re.findall(r'VMAFX_PERMISSION\("([A-Z]+) (/\S*)"', f.read()))
        assert described <= allowed
        for method, path in allowed - described - {("GET", p) for p in ("/livez", "/readyz", "/startupz", "/metrics")}:
            assert server.ask(method, path)[0] in (404, 405), f"{method} {path} is served and not described"


# ---- what is refused


@case
def what_is_wrong_in_a_request_is_named():
    pair(n=3)
    text = json.dumps(by_path()).encode()
    with Server() as server:
        server.refused(400, "SYNTAX", body=b"{", headers=JSON)
        server.refused(400, "request", "speed", body=b'{"speed": 1}', headers=JSON)
        for path in ("/v1/score", "/v1/score/batch"):
            server.refused(415, "UNSUPPORTED", "Content-Type", "application/json", path=path, body=text,
                           headers={"Content-Type": "text/plain"})
        server.refused(415, "application/json", path="/v1/score/batch", body=form(distorted="dis.y4m")[0],
                       headers=form(distorted="dis.y4m")[1])
        server.refused(400, "request.comparison.subsample", request=by_path(comparison={"subsample": -1}))
        server.refused(400, "request.timeout_ms", request=by_path(timeout_ms=10**9))
        server.refused(404, "none.y4m", "NOT_FOUND", request=by_path(distorted="none.y4m"))
        server.refused(403, "VMAFX_SERVER_INPUT_ROOTS", request={"reference": {"uri": "/etc/passwd"},
                                                                  "distorted": {"uri": "/etc/passwd"}})
        os.symlink("/etc/passwd", "link.y4m")
        server.refused(403, request=by_path(distorted="link.y4m"))
        server.refused(400, "the only one is 'format'", request=by_path(), path="/v1/score?frames=1")
        problem, _ = server.refused(400, "MODEL", request=by_path(models=[{"version": "vmaf_v9"}]))
        assert problem["failure_class"] == "FAILURE_CLASS_MODEL" and problem["error"] == "MODEL", problem
        write_y4m("other.y4m", w=32, h=32, n=3)
        problem, _ = server.refused(400, "MISMATCH", request=by_path(distorted="other.y4m"))
        assert problem["failure_class"] == "FAILURE_CLASS_MISMATCH", problem
        with open("text.y4m", "wb") as f:
            f.write(b"no video at all\n")
        problem, _ = server.refused(400, "INPUT", request=by_path(distorted="text.y4m"))
        assert problem["failure_class"] == "FAILURE_CLASS_INPUT", problem
        for parts, words in (({"reference": "ref.y4m"}, ("distorted", "neither a uri nor data")),
                             ({"reference": "ref.y4m", "distorted": "dis.y4m", "more": b"x"}, ("more", "the parts are")),
                             ({"reference": "ref.y4m", "distorted": "dis.y4m", "request": text}, ("leave one out",)),
                             ({"reference": "ref.y4m", "distorted": "dis.y4m", "request": b"[]"}, ("SYNTAX",))):
            body, headers = form(**parts)
            server.refused(400, *words, body=body, headers=headers)
        server.score(by_path())


@case
def without_roots_only_what_is_sent_is_scored():
    pair(n=3)
    with Server(roots=False) as server:
        server.refused(403, "VMAFX_SERVER_INPUT_ROOTS", request=by_path())
        body, headers = form(reference="ref.y4m", distorted="dis.y4m")
        assert server.ask("POST", "/v1/score", body, headers)[0] == 200


@case
def a_video_that_breaks_off_gives_the_part_before_it():
    pair(n=10)
    with open("dis.y4m", "rb") as f:
        data = f.read()
    with open("cut.y4m", "wb") as f:
        f.write(data[:len(data) * 7 // 10])
    with Server() as server:
        outcome = server.score(by_path(distorted="cut.y4m"))["outcome"]
        assert outcome["failure_class"] == "FAILURE_CLASS_INPUT", outcome
        assert not outcome["result"]["complete"] and 0 < outcome["result"]["frames"] < 10, outcome["result"]


@case
def each_limit_is_tried_and_holds():
    pair(n=30)
    write_y4m("wide.y4m", w=128, h=96, n=2)
    write_yuv("wide.yuv", w=128, h=96, n=2)
    with Server("--frames-max", "20", "--pixels-max", 64 * 48, "--upload-max", "100000", "--timeout", "3s") as server:
        server.refused(400, "LIMIT", "more than 20 frames", "frame_count", request=by_path())
        server.score(by_path(comparison={"frame_count": 20}))
        raw = {"width": 128, "height": 96, "bit_depth": 8, "pixel_format": "420"}
        server.refused(400, "LIMIT", "request.reference.raw", "128x96", "3072", request={
            side: {"uri": os.path.abspath("wide.yuv"), "raw": raw} for side in ("reference", "distorted")})
        server.refused(400, "128", "96", "3072", request=by_path("wide.y4m", "wide.y4m"))
        server.refused(400, "request.comparison", request=by_path(comparison={
            "scaling": "SCALING_SIZE", "scale_width": 1000, "scale_height": 1000}))
        body, headers = form(reference="ref.y4m", distorted="dis.y4m")  # 138 KB each
        server.refused(413, "LIMIT", "100000", body=body, headers=headers)
        slow = Slow()
        began = time.monotonic()
        problem, _ = server.refused(504, "DEADLINE", request={**slow.request, "timeout_ms": 300})
        assert problem["failure_class"] == "FAILURE_CLASS_TIMEOUT", problem
        assert time.monotonic() - began < 3, "the request's own limit was not the one that counted"
        server.refused(504, request=slow.request)
        server.wait_children(0)
    with Server("--upload-max", "60000") as server:  # two of them and 1 MiB may come at all
        body, headers = form(reference="ref.y4m", distorted="dis.y4m", request=b" " * 100)
        server.refused(413, body=body + b" " * (2 << 20), headers=headers)
    with open("black.yuv", "wb") as f:
        f.write(bytes(7680 * 4320 * 3 // 2) * 2)
    raw = {"width": 7680, "height": 4320, "bit_depth": 8, "pixel_format": "420"}
    request = {side: {"uri": os.path.abspath("black.yuv"), "raw": raw} for side in ("reference", "distorted")}
    if not built_with("asan"):  # which maps more than any limit allows, so there is none
        with Server("--task-memory", "64M") as server:
            problem, _ = server.refused(503, "NOMEM", request=request)
            assert problem["failure_class"] == "FAILURE_CLASS_RESOURCE", problem
    with Server() as server:
        server.score(request)


# ---- overload


@case
def what_finds_no_place_is_refused_with_advice_and_later_served():
    pair(n=4)
    with Server("--slots", "1", "--waiting-max", "1", env=METRICS) as server:
        slow, waiting = Slow("a"), Slow("b")
        first = in_thread(server.ask, "POST", "/v1/score", slow.request)
        server.wait_children(1)
        second = in_thread(server.ask, "POST", "/v1/score", waiting.request)
        wait_for(lambda: server.metric("vmafx_server_waiting") == 1, "one waits")
        for path, request in (("/v1/score", by_path()), ("/v1/score/batch", {"pairs": [by_path()] * 3})):
            for accept in ("application/json", "text/event-stream"):
                _, headers = server.refused(429, "BUSY", "all 1 slots are busy", request=request, path=path,
                                            headers={"Accept": accept})
                assert 1 <= int(headers["retry-after"]) <= 60, headers
        assert server.metric("vmafx_server_refused_total") == 4
        assert server.ask("GET", "/readyz")[0] == 200
        slow.finish()
        assert first()[0] == 200
        waiting.finish()
        assert second()[0] == 200
        server.score(by_path())
        assert server.metric("vmafx_server_waiting") == 0
        assert server.metric("vmafx_server_wait_duration_seconds_count") == 3


@case
def nobody_has_more_than_half_of_the_places_to_wait_whatever_its_tokens():
    pair(n=4)
    rows = {"A": "writer alice tenant=studio", "B": "writer bob tenant=studio", "C": "writer carol"}
    with open("tokens", "w", encoding="utf-8") as f:
        for letter, row in rows.items():
            f.write(f"sha256:{hashlib.sha256(('vmafx_' + letter * 43).encode()).hexdigest()} {row}\n")
    os.chmod("tokens", 0o600)
    with Server("--slots", "1", "--waiting-max", "6", "--tokens", os.path.abspath("tokens"), env=METRICS) as server:
        def of(letter):
            return {"Authorization": f"Bearer vmafx_{letter * 43}"} if letter else {}
        slow = Slow()
        open_calls = [server.open(slow.request, headers=of("A"))]
        server.wait_children(1)
        for n, letter in enumerate("AABC"):
            open_calls.append(server.open(slow.request, headers=of(letter)))
            wait_for(lambda n=n: server.metric("vmafx_server_waiting") == n + 1, f"{n + 1} wait")
        body, headers = form(request=json.dumps({"reference": slow.request["reference"]}).encode(), distorted="dis.y4m")
        for letter in "AB":
            for path, request in (("/v1/score", slow.request), ("/v1/score/batch", {"pairs": [slow.request] * 3})):
                for accept in ("application/json", "text/event-stream"):
                    server.refused(429, "BUSY", "half of the 6 places", request=request, path=path,
                                   headers={"Accept": accept, **of(letter)})
            server.refused(429, "BUSY", "half of the 6 places", body=body, headers={**headers, **of(letter)})
        for n, letter in enumerate(("C", "")):  # who shows no token is somebody too, where others do
            open_calls.append(server.open(slow.request, headers=of(letter)))
            wait_for(lambda n=n: server.metric("vmafx_server_waiting") == n + 5, f"{n + 5} wait")
        server.refused(429, "BUSY", "6 calls wait already", request=slow.request, headers=of("C"))
        for call in open_calls:
            call.close()
        wait_for(lambda: server.metric("vmafx_server_waiting") == 0 and not server.children(), "all have left", 5)
        assert server.ask("POST", "/v1/score", by_path(), of("A"))[0] == 200


@case
def who_shows_no_token_has_at_most_half_of_the_uploads_where_others_do():
    with open("tokens", "w", encoding="utf-8") as f:
        f.write(f"sha256:{hashlib.sha256(('vmafx_' + 'A' * 43).encode()).hexdigest()} writer alice\n")
    os.chmod("tokens", 0o600)
    for options, mine in (((), 64), (("--tokens", os.path.abspath("tokens")), 32)):
        with Server(*options) as server, contextlib.ExitStack() as stack:
            def begin(server=server, stack=stack, extra=""):
                """What is said to who asks whether to send a form."""
                sender = stack.enter_context(socket.create_connection(("127.0.0.1", server.http), timeout=60))
                sender.sendall(("POST /v1/score HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 99\r\n"
                                f"Content-Type: multipart/form-data; boundary=x\r\n{extra}\r\n").encode())
                return sender.recv(1000).split(b" ")[1]

            assert [begin() for _ in range(mine + 1)] == [b"100"] * mine + [b"503"]
            if options:
                assert begin(extra=f"Authorization: Bearer vmafx_{'A' * 43}\r\n") == b"100"


@case
def a_tenant_sees_no_figures_of_others():
    with open("tokens", "w", encoding="utf-8") as f:
        for letter, row in (("A", "admin alice tenant=studio"), ("B", "reader bob")):
            f.write(f"sha256:{hashlib.sha256(('vmafx_' + letter * 43).encode()).hexdigest()} {row}\n")
    os.chmod("tokens", 0o600)
    with Server("--tokens", os.path.abspath("tokens"), env=METRICS) as server:
        def got(letter, path):
            return server.ask("GET", path, None, {"Authorization": f"Bearer vmafx_{letter * 43}"})
        assert got("B", "/metrics")[0] == 200
        for _ in range(2):
            status, _, text = got("A", "/metrics")
            problem = json.loads(text)
            assert status == 403 and problem["error"] == "FORBIDDEN" and "'studio'" in problem["detail"], problem
        assert got("A", "/v1/capabilities")[0] == got("A", "/readyz")[0] == 200


@case
def a_client_that_leaves_frees_its_slot_and_its_place_within_a_second():
    pair(n=4)
    with Server("--slots", "1", "--waiting-max", "4", env=METRICS) as server:
        for accept in ("application/json", "text/event-stream"):
            slow = Slow(accept.split("/")[0])
            leaver = server.open(slow.request, headers={"Accept": accept})
            server.wait_children(1)
            second = server.open(slow.request, headers={"Accept": accept})  # waits
            wait_for(lambda: server.metric("vmafx_server_waiting") == 1, "one waits")
            second.close()
            wait_for(lambda: server.metric("vmafx_server_waiting") == 0, "the place is free", 2)
            leaver.close()
            wait_for(lambda: not server.children(), "the child is gone", 2)
            server.score(by_path())
        batch = Slow("batch")
        leaver = server.open({"pairs": [batch.request] * 5}, "/v1/score/batch")
        server.wait_children(1)
        leaver.close()
        wait_for(lambda: not server.children(), "the children of the batch are gone", 2)
        server.score(by_path())


@case
def who_does_not_read_its_events_is_cut_and_others_are_served():
    pair(n=4)
    with open("ref.y4m", "rb") as f:
        head, frames = f.readline(), f.read()
    with open("long.y4m", "wb") as f:
        for piece in (head, *[frames] * 8000):
            f.write(piece)
    with Server("--slots", "1", "--events-max", "64K") as server:
        sock = server.open(by_path("long.y4m", "long.y4m", frames=True), headers={"Accept": "text/event-stream"})
        server.wait_children(1)
        wait_for(lambda: not server.children(), "the child is gone", 60)
        assert "scoring ended" not in server.process.lines(), "it was scored to its end: nothing was cut"
        server.score(by_path())
        sock.settimeout(20)
        got = b""
        try:
            while piece := sock.recv(1 << 20):
                got += piece
        except ConnectionResetError:
            pass
        assert b"event: frames" in got and b"event: outcome" not in got
        sock.close()


@case
def a_killed_scoring_is_an_error_and_the_next_call_works():
    pair(n=4)
    with Server("--slots", "2") as server:
        slow = Slow()
        waits = in_thread(server.ask, "POST", "/v1/score", slow.request)
        server.wait_children(1)
        os.kill(server.children()[0], signal.SIGKILL)
        status, _, text = waits()
        problem = json.loads(text)
        assert status == 503 and problem["failure_class"] == "FAILURE_CLASS_RESOURCE" and "killed" in problem["detail"], (status, problem)
        server.score(by_path())
        waits = in_thread(server.ask, "POST", "/v1/score", slow.request)
        server.wait_children(1)
        os.kill(children_of(server.process.process.pid)[0], signal.SIGKILL)  # vmafx-scorer itself
        status, _, text = waits()
        assert status == 503, (status, text)
        server.process.wait_line("the scorer is there again")
        server.score(by_path())


# ---- life


@case
def a_term_signal_lets_what_runs_end_and_refuses_the_rest():
    pair(n=4)
    with Server("--slots", "1") as server:
        slow = Slow()
        first = in_thread(server.ask, "POST", "/v1/score", slow.request)
        server.wait_children(1)
        server.process.process.send_signal(signal.SIGTERM)
        server.process.wait_line("msg=stopping")
        server.refused(503, "STOPPED", request=by_path())
        assert server.ask("GET", "/readyz")[0] == 503 and server.ask("GET", "/livez")[0] == 200
        slow.finish()
        assert first()[0] == 200
        assert server.process.process.wait(20) == 0
    with Server("--slots", "1", "--grace", "200ms") as server:
        slow = Slow("never")
        first = in_thread(server.ask, "POST", "/v1/score", slow.request)
        server.wait_children(1)
        server.process.process.send_signal(signal.SIGTERM)
        assert server.process.process.wait(20) == 0
        assert first()[0] in (499, 503), first()


@case
def settings_are_shown_and_wrong_ones_refused():
    server = program("vmafx-server")
    shown = subprocess.run([server, "--slots", "3", "--print-config"], capture_output=True, text=True, timeout=60, check=True)
    for word in ("VMAFX_SERVER_HTTP=127.0.0.1:7810", "VMAFX_SERVER_GRPC=127.0.0.1:7811", "VMAFX_SERVER_SLOTS=3"):
        assert word in shown.stdout, shown.stdout
    for option, value in (("--slots", "0x"), ("--stream-window", "1"), ("--waiting-max", "-1")):
        got = subprocess.run([server, option, value], capture_output=True, text=True, timeout=60, check=False)
        assert got.returncode == 2 and option.strip("-").upper().replace("-", "_") in got.stderr.replace(" ", "_").upper(), got
    got = subprocess.run([server, "--http", "", "--grpc", ""], capture_output=True, text=True, timeout=60, check=False)
    assert got.returncode == 1 and "nobody could call" in got.stderr, got
    got = subprocess.run([server, "--http", "0.0.0.0:0"], capture_output=True, text=True, timeout=60, check=False)
    assert got.returncode == 1 and "--insecure-listen" in got.stderr, got


@case
def roles_decide_what_a_token_may():
    pair(n=3)
    tokens = {}
    for role in ("reader", "writer"):
        got = run("tokens", "new", role[0], "--role", role, "--file", "tokens")
        assert got.returncode == 0, got
        tokens[role] = re.search(r"vmafx_[A-Za-z0-9_-]{43}", got.stdout).group()
    with Server("--tokens", "tokens") as server:
        bearer = {role: {"Authorization": f"Bearer {token}"} for role, token in tokens.items()}
        server.refused(403, request=by_path(), headers=bearer["reader"])
        server.refused(403, request={"pairs": [by_path()]}, path="/v1/score/batch", headers=bearer["reader"])
        server.refused(401, request=by_path(), headers={"Authorization": "Bearer vmafx_" + "A" * 43})
        assert server.ask("GET", "/v1/capabilities", headers=bearer["reader"])[0] == 200
        assert server.ask("POST", "/v1/score", by_path(), bearer["writer"])[0] == 200
        server.refused(401, request=by_path(), headers={"Host": "elsewhere.example"})
        assert "vmafx.audit.outcome=denied" in server.process.lines()


@case
def a_scoring_is_one_tree_in_the_trace_of_whoever_asked():
    pair(n=6)
    receiver = Receiver()
    environment = {"OTEL_SDK_DISABLED": "", **receiver.environment(OTEL_BSP_SCHEDULE_DELAY="100",
                                                                   OTEL_METRICS_EXPORTER="none")}
    with Server(env=environment) as server:
        server.score(by_path(), traceparent=f"00-{TRACE}-{PARENT}-01")
        body, headers = form(reference="ref.y4m", distorted="dis.y4m")
        assert server.ask("POST", "/v1/score", body, headers)[0] == 200
        server.process.process.send_signal(signal.SIGTERM)
        assert server.process.process.wait(30) == 0
    traces = spans_by_trace(receiver)
    spans = traces.pop(TRACE)
    by_name = {}
    for span in spans:
        by_name.setdefault(span[2], []).append(span)
    (call,), (scoring,) = by_name["POST /v1/score"], by_name["vmafx.scoring"]
    assert call[1] == PARENT
    assert scoring[1] == call[0]
    for parent in (call, scoring):  # found by the server, then probed by the child
        roles = [s[5]["vmafx.input.role"] for s in by_name["vmafx.input.open"] if s[1] == parent[0]]
        assert sorted(roles) == [b"distorted", b"reference"], (parent, by_name)
    assert len(by_name["vmafx.input.open"]) == 4
    assert by_name["vmafx.frame.extraction"] and all(s[1] == scoring[0] for s in by_name["vmafx.frame.extraction"])
    assert all(call[3] <= s[3] and s[4] <= call[4] for s in spans), "a span outside its call"
    uploaded = [spans for spans in traces.values() if any(s[2] == "vmafx.scoring" for s in spans)]
    assert len(uploaded) == 1 and sum(s[2] == "vmafx.input.open" for s in uploaded[0]) == 2, traces


@case
def an_encoded_pair_is_scored_as_by_the_command_line():
    write_y4m("ref.y4m", w=128, h=96, n=20)
    need("ffmpeg", "ffmpeg")
    ffmpeg("-i", "ref.y4m", "-c:v", "libx264", "-crf", "35", "dis.mp4")
    report, _ = expected("ref.y4m", "dis.mp4")
    with Server() as server:
        same_means(server.score(by_path(distorted="dis.mp4"))["outcome"], report)
        body, headers = form(reference="ref.y4m", distorted="dis.mp4")
        same_means(json.loads(server.ask("POST", "/v1/score", body, headers)[2])["outcome"], report)


@case
def the_examples_of_the_documentation_run():
    need("curl", "curl")
    pair(n=6)
    os.rename("ref.y4m", "ref.mp4"), os.rename("dis.y4m", "dist.mp4")
    with open(os.path.join(ROOT, "docs", "server.md"), encoding="utf-8") as f:
        blocks = re.findall(r"```sh test\n(.*?)```", f.read(), re.S)
    assert len(blocks) >= 4, "docs/server.md has lost its examples"
    with Server() as server:
        for block in blocks:
            script = block.replace("127.0.0.1:7810", f"127.0.0.1:{server.http}").replace("/media", os.getcwd())
            got = subprocess.run(["bash", "-euo", "pipefail", "-c", script], capture_output=True, text=True, timeout=60,
                                 check=False)
            assert got.returncode == 0, (script, got.stdout, got.stderr)
            assert re.search(r'"score":|"first":|^0,', got.stdout, re.M), (script, got.stdout)
            assert not re.search(r'"error":"\w|about:blank|FAILURE_CLASS_[^U]', got.stdout), (script, got.stdout)


@case
def the_readmes_line_runs():
    need("curl", "curl")
    pair(n=3)
    os.rename("ref.y4m", "master.mp4"), os.rename("dis.y4m", "encode.mp4")
    with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as f:
        line = re.search(r"^curl .*/v1/score\b.*$", f.read(), re.M).group()
    with Server() as server:
        got = subprocess.run(["bash", "-c", line.replace("127.0.0.1:7810", f"127.0.0.1:{server.http}")], capture_output=True,
                             text=True, timeout=60, check=True)
        assert json.loads(got.stdout)["outcome"]["score"] > 0, got


main()

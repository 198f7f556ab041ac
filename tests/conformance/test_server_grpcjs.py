# SPDX-License-Identifier: BSD-2-Clause-Patent
"""vmafx-server with grpc-js as its client, made from the .proto file by code that is not ours.

usage: test_server_grpcjs.py VMAFX [CASE…]
"""
from foreign import HERE, MODULES, ROOT  # first: it knows where the harness is

import json
import os
import signal
import subprocess

from harness import Skip, case, ffmpeg, main, need, pair, run, write_y4m, write_yuv
from otlp import Receiver
from server import Server, Slow, bits, by_path, expected, wait_for
from trees import spans_by_trace

CODES = ("OK CANCELLED UNKNOWN INVALID_ARGUMENT DEADLINE_EXCEEDED NOT_FOUND ALREADY_EXISTS PERMISSION_DENIED "
         "RESOURCE_EXHAUSTED FAILED_PRECONDITION ABORTED OUT_OF_RANGE UNIMPLEMENTED INTERNAL UNAVAILABLE DATA_LOSS "
         "UNAUTHENTICATED").split()
FRAME = 6 + 64 * 48 * 3 // 2  # bytes of one in the small y4m files
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


class Client:
    """server_client.mjs as a process."""

    def __init__(self, port, *tls, host="127.0.0.1"):
        need("node", "nodejs")
        if not os.path.isdir(os.path.join(MODULES, "node_modules", "@grpc", "grpc-js")):
            raise Skip("grpc-js is missing; './run test' fetches it")
        self.process = subprocess.Popen(
            ["node", os.path.join(HERE, "server_client.mjs"), "--proto", os.path.join(ROOT, "proto"), "--modules",
             MODULES, "--target", f"{host}:{port}", *tls], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.names = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()

    def do(self, order, **what):
        self.process.stdin.write(json.dumps({"do": order, **what}) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, f"the client has ended at {order} {what}"
        got = json.loads(line)
        assert "failed" not in got or order == "rate", f"{order}: {got}"
        return got

    def open(self, method, request=None, **more):
        self.names += 1
        name = f"stream {self.names}"
        self.do("open", stream=name, method=method, **({"request": request} if request else {}), **more)
        return Stream(self, name)

    def stream(self, **setup):
        stream = self.open("ScoreStream")
        self.do("setup", stream=stream.name, setup=setup)
        return stream


class Stream:
    def __init__(self, client, name):
        self.client, self.name = client, name
        self.names, self.columns, self.outcome, self.progress = None, [], None, 0

    def next(self):
        return self.client.do("next", stream=self.name)

    def take(self):
        """The next item; frames are added up."""
        item = self.next()
        if "code" in item:
            return item
        kind = item["message"]["kind"]
        value = item["message"][kind]
        if kind == "series":
            assert self.names is None and not self.columns
            self.names = value["names"]
        elif kind == "frames":
            columns = [c["values"] for c in value["columns"]]
            self.columns = self.columns or [[] for _ in columns]
            assert int(value["first"]) == len(self.columns[0]), value["first"]
            for mine, more in zip(self.columns, columns, strict=True):
                mine += more
        elif kind == "outcome":
            self.outcome = value
        else:
            self.progress += 1
        return item

    def rest(self):
        """Everything to the end; its status."""
        while True:
            item = self.take()
            if "code" in item:
                return CODES[item["code"]], item["details"], item["trailer"]

    def until(self, n_frames):
        """Until the scores of so many frames are there."""
        while len(self.columns[0] if self.columns else []) < n_frames:
            item = self.take()
            assert "code" not in item, item

    def send(self, video, file, start=0, end=None, **more):
        return self.client.do("data", stream=self.name, video=video, file=os.path.abspath(file), **{"from": start}, to=end,
                              **more)

    def both(self, start=0, end=None, reference="ref.y4m", distorted="dis.y4m"):
        self.send("reference", reference, start, end)
        self.send("distorted", distorted, start, end)

    def finish(self, **which):
        self.client.do("finish", stream=self.name, **which)

    def end(self):
        self.client.do("end", stream=self.name)

    def cancel(self):
        self.client.do("cancel", stream=self.name)


def header_of(path):
    with open(path, "rb") as f:
        return len(f.readline())


def check_scores(stream, report, frames):
    """An outcome and all frames, to the bit those of `vmafx score`."""
    names = list(report["pooled"])
    assert stream.outcome["failure_class"] == "FAILURE_CLASS_UNSPECIFIED", stream.outcome
    assert [s["name"] for s in stream.outcome["result"]["series"]] == names
    for series in stream.outcome["result"]["series"]:
        assert bits(series["mean"]) == bits(report["pooled"][series["name"]]["mean"]), series
    assert bits(stream.outcome["score"]) == bits(report["verdict"]["score"])
    for name, column in zip(names, stream.columns, strict=True):
        assert [bits(v) for v in column] == [bits(v) for v in frames[name]], name


@case
def score_by_path_gives_what_the_command_line_gives():
    pair(n=12)
    report, frames = expected()
    with Server() as server, Client(server.grpc) as client:
        stream = client.open("Score", by_path(frames=True, progress=True))
        assert stream.rest()[0] == "OK"
        check_scores(stream, report, frames)
        assert stream.progress >= 1 and stream.names is None
        quiet = client.open("Score", by_path())
        assert quiet.rest()[0] == "OK" and not quiet.columns and quiet.outcome and not quiet.progress
        models = client.do("call", method="ListModels")["response"]["versions"]
        assert "vmaf_v0.6.1" in models
        got = client.do("call", method="GetCapabilities")["response"]
        assert got["paths"] and not got["urls"] and int(got["upload_bytes_max"]) == 1 << 30, got


@case
def what_is_wrong_is_the_status_of_the_call_or_the_class_of_the_outcome():
    pair(n=3)
    write_y4m("other.y4m", w=32, h=32, n=3)
    with Server("--frames-max", "5") as server, Client(server.grpc) as client:
        for request, status, word in (
                (by_path(distorted="none.y4m"), "NOT_FOUND", "none.y4m"),
                ({"reference": {"uri": "/etc/passwd"}, "distorted": {"uri": "/etc/passwd"}}, "PERMISSION_DENIED", "ROOTS"),
                (by_path(comparison={"subsample": -1}), "INVALID_ARGUMENT", "request.comparison.subsample"),
                ({"reference": {"uri": "x"}}, "INVALID_ARGUMENT", "request.reference.uri")):
            stream = client.open("Score", request)
            got = stream.rest()
            assert got[0] == status and word in got[1] and not stream.outcome, (request, got)
        for request, failure in ((by_path(distorted="other.y4m"), "MISMATCH"),
                                 (by_path(models=[{"version": "vmaf_v9"}]), "MODEL")):
            stream = client.open("Score", request)
            assert stream.rest()[0] == "OK" and stream.outcome["failure_class"] == f"FAILURE_CLASS_{failure}", stream.outcome
        pair(n=8)
        got = client.open("Score", by_path()).rest()
        assert got[0] == "INVALID_ARGUMENT" and "more than 5 frames" in got[1], got


@case
def a_full_queue_is_refused_with_advice_in_the_trailer():
    pair(n=3)
    with Server("--slots", "1", "--waiting-max", "0") as server, Client(server.grpc) as client:
        slow = Slow()
        first = client.open("Score", slow.request)
        server.wait_children(1)
        for method, request in (("Score", by_path()), ("ScoreBatch", {"pairs": [by_path()] * 2})):
            status, details, trailer = client.open(method, request).rest()
            assert status == "RESOURCE_EXHAUSTED" and "busy" in details, (status, details)
            assert 100 <= int(trailer["retry-after-ms"]) <= 60000, trailer
        status, _, trailer = client.stream().rest()
        assert status == "RESOURCE_EXHAUSTED" and int(trailer["retry-after-ms"]) >= 100, (status, trailer)
        first.cancel()
        wait_for(lambda: not server.children(), "the child is gone", 2)
        again = client.open("Score", by_path())
        assert again.rest()[0] == "OK" and again.outcome["score"] > 0


@case
def a_batch_gives_each_pair_its_end_and_more_than_the_queue_holds():
    pair(n=4)
    report, _ = expected()
    pairs = [by_path(frames=i % 3 == 0) if i % 7 else by_path(distorted="none.y4m") for i in range(40)]
    with Server("--slots", "2", "--waiting-max", "1", "--batch", "8") as server, Client(server.grpc) as client:
        stream = client.open("ScoreBatch", {"pairs": pairs})
        ends, frames = {}, {}
        while True:
            item = stream.next()
            if "code" in item:
                break
            message = item["message"]
            if message["error"]:
                ends[message["index"]] = message["error"]
            elif message["event"]["kind"] == "outcome":
                ends[message["index"]] = message["event"]["outcome"]["score"]
            else:
                frames[message["index"]] = frames.get(message["index"], 0) + len(message["event"]["frames"]["columns"][0]["values"])
        assert CODES[item["code"]] == "OK", item
        assert sorted(ends) == list(range(40))
        for i, end in ends.items():
            assert end == (report["verdict"]["score"] if i % 7 else "NOT_FOUND"), (i, end)
        assert frames == {i: 4 for i in range(40) if i % 3 == 0 and i % 7}, frames
        for n in (0, 101):
            assert client.open("ScoreBatch", {"pairs": [by_path()] * n}).rest()[0] == "INVALID_ARGUMENT"


@case
def frames_are_scored_while_more_of_them_arrive():
    pair(n=20)
    report, frames = expected()
    header = header_of("ref.y4m")
    with Server() as server, Client(server.grpc) as client:
        stream = client.stream(reference_name="mine.y4m")
        stream.both(0, header)
        for n in range(20):
            stream.both(header + n * FRAME, header + (n + 1) * FRAME)
            if n >= 2:
                stream.until(n - 1)  # scores of frame n - 2 are here, and frame n + 1 was not sent
        stream.finish(reference=True)
        stream.finish(distorted=True)
        assert stream.rest()[0] == "OK"
        check_scores(stream, report, frames)
        assert stream.names == list(report["pooled"])
        assert [i["uri"] for i in stream.outcome["result"]["inputs"]] == ["mine.y4m", "distorted"]
        assert [i["sha256"] for i in stream.outcome["result"]["inputs"]] == [i["sha256"] for i in report["inputs"].values()] \
            if isinstance(report.get("inputs"), dict) else True


@case
def raw_frames_and_encoded_files_can_be_streamed_too():
    pair(n=15)
    report, frames = expected()
    raw = {"width": 64, "height": 48, "bit_depth": 8, "pixel_format": "420"}
    write_yuv("ref.yuv", n=15)
    write_yuv("dis.yuv", n=15, noise=1)
    with Server() as server, Client(server.grpc) as client:
        stream = client.stream(raw_reference=raw, raw_distorted=raw, comparison={"ignore_rate": True})
        stream.both(reference="ref.yuv", distorted="dis.yuv")
        stream.end()
        assert stream.rest()[0] == "OK"
        check_scores(stream, report, frames)
        mixed = client.stream(raw_distorted=raw, comparison={"ignore_rate": True})
        mixed.both(distorted="dis.yuv")
        mixed.end()
        assert mixed.rest()[0] == "OK"
        check_scores(mixed, report, frames)
        ffmpeg("-i", "dis.y4m", "-c:v", "libx264", "-crf", "30", "dis.mkv")
        report, frames = expected("ref.y4m", "dis.mkv")
        stream = client.stream()
        stream.both(distorted="dis.mkv")
        stream.end()
        got = stream.rest()
        assert got[0] == "OK", got
        check_scores(stream, report, frames)


@case
def who_sends_one_video_only_is_told_to_send_both_in_turns():
    write_y4m("big.y4m", w=640, h=360, n=2)
    with open("big.y4m", "rb") as f:
        head, data = f.readline(), f.read()
    with open("big.y4m", "wb") as f:
        f.write(head + data * 10)  # 7 MB
    with Server("--stream-window", "1M") as server, Client(server.grpc) as client:
        stream = client.stream()
        stream.send("reference", "big.y4m", wait=False)
        got = stream.rest()
        assert got[0] == "INVALID_ARGUMENT" and "in turns" in got[1], got
        wait_for(lambda: not server.children(), "the child is gone", 2)
        turns = client.stream()  # the same window, far smaller than the videos
        piece = 200000
        for at in range(0, len(head) + 10 * len(data), piece):
            turns.both(at, at + piece, "big.y4m", "big.y4m")
        turns.end()
        assert turns.rest()[0] == "OK" and int(turns.outcome["result"]["frames"]) == 20, turns.outcome


@case
def a_stream_that_breaks_off_gives_the_part_before():
    pair(n=12)
    header = header_of("ref.y4m")
    with Server() as server, Client(server.grpc) as client:
        stream = client.stream()
        stream.both(0, header + 7 * FRAME)
        stream.send("reference", "ref.y4m", header + 7 * FRAME)
        stream.send("distorted", "dis.y4m", header + 7 * FRAME, header + 7 * FRAME + 1000)
        stream.end()
        assert stream.rest()[0] == "OK"
        assert stream.outcome["failure_class"] == "FAILURE_CLASS_INPUT", stream.outcome
        assert stream.outcome["result"]["complete"] is False and int(stream.outcome["result"]["frames"]) == 7
        assert len(stream.columns[0]) == 7


@case
def leaving_and_silence_end_a_stream_and_free_its_slot():
    pair(n=6)
    header = header_of("ref.y4m")
    with Server("--slots", "1", "--stream-idle", "700ms") as server, Client(server.grpc) as client:
        stream = client.stream()
        stream.both(0, header + 3 * FRAME)
        stream.until(1)
        stream.cancel()
        wait_for(lambda: not server.children(), "the child is gone", 2)
        silent = client.stream()
        silent.both(0, header + 3 * FRAME)
        got = silent.rest()
        assert got[0] == "DEADLINE_EXCEEDED" and "nothing came for 700 ms" in got[1], got
        gone = client.stream()
        gone.both(0, header + FRAME)
        server.wait_children(1)
        client.process.kill()
        wait_for(lambda: not server.children(), "the child is gone", 2)
    with Server("--slots", "1") as server, Client(server.grpc) as client:
        waiting = Slow()
        first = client.open("Score", waiting.request)
        server.wait_children(1)
        second = client.stream()  # waits for the slot, with data in its window
        second.both()
        second.end()
        waiting.finish()
        assert first.rest()[0] == "OK"
        assert second.rest()[0] == "OK" and int(second.outcome["result"]["frames"]) == 6


@case
def messages_that_make_no_sense_are_refused_by_name():
    pair(n=3)
    with Server("--upload-max", "10000") as server, Client(server.grpc) as client:
        stream = client.open("ScoreStream")
        stream.send("reference", "ref.y4m", 0, 100)
        assert stream.rest()[:2] == ("INVALID_ARGUMENT", "setup: has to be the first message")
        stream = client.open("ScoreStream")
        stream.end()
        assert stream.rest()[0] == "INVALID_ARGUMENT"
        for setup, word in (({"timeout_ms": -1}, "setup.timeout_ms"), ({"comparison": {"first_frame": -3}}, "first_frame"),
                            ({"raw_reference": {"width": 1}}, "setup.reference.raw"), ({"reference_name": "a\nb"}, "setup.reference_name")):
            got = client.stream(**setup).rest()
            assert got[0] == "INVALID_ARGUMENT" and word in got[1], (setup, got)
        stream = client.stream()
        stream.client.do("setup", stream=stream.name, setup={})
        got = stream.rest()
        assert got[0] == "INVALID_ARGUMENT" and "one already" in got[1], got
        stream = client.stream()
        stream.finish(reference=True)
        stream.send("reference", "ref.y4m", 0, 100)
        got = stream.rest()
        assert got[0] == "INVALID_ARGUMENT" and "after its end" in got[1], got
        stream = client.stream()
        stream.both()
        got = stream.rest()
        assert got[0] == "INVALID_ARGUMENT" and "10000 bytes" in got[1], got
        wait_for(lambda: not server.children(), "no child is left", 2)


@case
def a_killed_child_ends_the_outcome_and_not_the_server():
    pair(n=6)
    header = header_of("ref.y4m")
    with Server() as server, Client(server.grpc) as client:
        stream = client.stream()
        stream.both(0, header + FRAME)
        server.wait_children(1)
        os.kill(server.children()[0], signal.SIGKILL)
        assert stream.rest()[0] == "OK" and stream.outcome["failure_class"] == "FAILURE_CLASS_RESOURCE", stream.outcome
        again = client.open("Score", by_path())
        assert again.rest()[0] == "OK" and again.outcome["score"] > 0


@case
def certificates_decide_who_may_score():
    pair(n=3)
    env = {"VMAFX_CERTS": "certs"}
    for arguments in (("init",), ("server", "s", "--host", "localhost"), ("client", "w", "--role", "writer"),
                      ("client", "r", "--role", "reader"), ("node", "n")):
        assert run("certs", *arguments, env=env).returncode == 0

    def tls(name):
        return "--cert", f"certs/{name}.crt", "--key", f"certs/{name}.key", "--ca", "certs/ca.crt"

    with Server("--tls-cert", "certs/server-s.crt", "--tls-key", "certs/server-s.key", "--tls-ca", "certs/ca.crt") as server:
        for name, scores, asks in (("client-w", "OK", 0), ("client-r", "PERMISSION_DENIED", 0),
                                   ("node-n", "PERMISSION_DENIED", 7)):
            with Client(server.grpc, *tls(name), host="localhost") as client:
                for stream in (client.open("Score", by_path()), client.open("ScoreBatch", {"pairs": [by_path()]})):
                    got = stream.rest() if stream.name == "stream 1" else None
                    assert got is None or got[0] == scores, (name, got)
                assert client.do("call", method="GetCapabilities")["code"] == asks, name
        with Client(server.grpc, "--ca", "certs/ca.crt", host="localhost") as client:
            assert client.open("Score", by_path()).rest()[0] == "UNAVAILABLE"  # no handshake without a certificate


@case
def calls_are_spans_in_the_trace_of_whoever_called():
    pair(n=4)
    receiver = Receiver()
    environment = {"OTEL_SDK_DISABLED": "", **receiver.environment(OTEL_BSP_SCHEDULE_DELAY="100", OTEL_METRICS_EXPORTER="none")}
    with Server(env=environment) as server, Client(server.grpc) as client:
        stream = client.open("Score", by_path(), metadata={"traceparent": f"00-{TRACE}-{PARENT}-01"})
        assert stream.rest()[0] == "OK"
        other = client.stream()
        other.both()
        other.end()
        assert other.rest()[0] == "OK"
        server.process.process.send_signal(signal.SIGTERM)
        assert server.process.process.wait(30) == 0
    traces = spans_by_trace(receiver)
    for trace, method, inputs in ((TRACE, "Score", 4), (None, "ScoreStream", 2)):
        found = [s for t, s in traces.items() if any(x[2] == f"vmafx.v1.Scoring/{method}" for x in s) and trace in (None, t)]
        assert len(found) == 1, (method, traces)
        spans = {}
        for span in found[0]:
            spans.setdefault(span[2], []).append(span)
        (call,), (scoring,) = spans[f"vmafx.v1.Scoring/{method}"], spans["vmafx.scoring"]
        assert call[5]["rpc.status_code"] == b"OK" and call[1] == (PARENT if trace else ""), call
        assert scoring[1] == call[0] and len(spans["vmafx.input.open"]) == inputs, spans


main()

# SPDX-License-Identifier: BSD-2-Clause-Patent
"""vmafx dev and vmafx trace: with stand-ins for controller and node, then with the real ones."""
import gzip
import http.client
import json
import os
import re
import signal
import socket
import struct
import subprocess
import time

from harness import PROGRAM, Skip, case, expect, main, pair, run

DEADLINE_S = 60
TRACE = "0af7651916cd43dd8448eb211c80319c"

CONTROLLER = r'''#!/usr/bin/env python3
import os, signal, socket, sys
a = dict(zip(sys.argv[1::2], sys.argv[2::2]))
if os.environ.get("STAND_IN_REFUSES"):
    print("setting X is wrong"); sys.exit(2)
host, port = a["--grpc"].rsplit(":", 1)
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); s.bind((host, int(port))); s.listen()
if os.environ.get("STAND_IN_IS_STUBBORN"):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("endpoint", os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT"), "pid", os.getpid(), flush=True)
while True:
    s.accept()[0].close()
'''

NODE = r'''#!/usr/bin/env python3
import os, subprocess, sys, time
child = subprocess.Popen(["sleep", "1000"])
print("arguments", " ".join(sys.argv[1:]), flush=True)
print("pid", os.getpid(), "scorer", child.pid, flush=True)
time.sleep(1000)
'''


def stand_ins():
    os.mkdir("programs")
    for name, text in (("vmafx-controller", CONTROLLER), ("vmafx-node", NODE)):
        path = os.path.join("programs", name)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        os.chmod(path, 0o755)
    return os.path.abspath("programs")


class Dev:
    """with Dev(…) as dev: a running `vmafx dev` on free ports, its output in a file."""

    def __init__(self, *arguments, programs=None, wait="Ctrl-C stops", env=None, nodes=1, ports=True):
        free = ["--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0", "--otlp", "127.0.0.1:0", "--otlp-http", "127.0.0.1:0"]
        self.arguments = [PROGRAM, "dev", "--dir", "state", "--nodes", str(nodes), *(free if ports else []),
                          *map(str, arguments)]
        self.env = {**os.environ, **({"VMAFX_LIBEXEC": programs} if programs else {}), **(env or {})}
        self.wait = wait

    def __enter__(self):
        with open("dev.log", "wb") as out:
            self.process = subprocess.Popen(self.arguments, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                            env=self.env)
        try:
            if self.wait:
                self.line(self.wait)
        except BaseException:
            self.process.kill()
            raise
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(DEADLINE_S)
            finally:
                self.process.kill()

    def said(self):
        with open("dev.log", encoding="utf-8", errors="replace") as f:
            return f.read()

    def line(self, pattern, alive=True):
        """Waits until this was printed; the match."""
        end = time.monotonic() + DEADLINE_S
        while time.monotonic() < end:
            ended = alive and self.process.poll() is not None
            found = re.search(pattern, self.said())
            if found:
                return found
            assert not ended, f"vmafx dev has ended with {self.process.returncode}:\n{self.said()}"
            time.sleep(0.02)
        raise AssertionError(f"never {pattern!r}:\n{self.said()}")

    def otlp(self):
        return self.line(r"OTLP (\S+), http://(\S+);").groups()

    def grpc(self):
        return self.line(r"gRPC (\S+),").group(1)

    def interrupt(self, number=signal.SIGINT):
        self.process.send_signal(number)
        return self.process.wait(DEADLINE_S)


def gone(*pids):
    """Waits until none of these processes is there (one that nobody has waited for counts as gone)."""
    end = time.monotonic() + DEADLINE_S
    left = list(pids)
    while left and time.monotonic() < end:
        for pid in list(left):
            try:
                with open(f"/proc/{pid}/stat", encoding="utf-8") as f:
                    if f.read().rsplit(")", 1)[1].split()[0] in "ZX":
                        left.remove(pid)
            except OSError:
                left.remove(pid)
        time.sleep(0.02)
    assert not left, f"still running: {left}"


def pids_of(dev):
    controller = dev.line(r"endpoint \S+ pid (\d+)").group(1)
    node, scorer = dev.line(r"pid (\d+) scorer (\d+)").groups()
    return int(controller), int(node), int(scorer)


# ---- a little OTLP ----

def field(number, payload):
    if isinstance(payload, int):
        return bytes([number << 3]) + bytes([payload])
    assert len(payload) < 1 << 21
    length, more = b"", len(payload)
    while more > 127:
        length, more = length + bytes([more & 127 | 128]), more >> 7
    return bytes([number << 3 | 2]) + length + bytes([more]) + payload


def attribute(key, value):
    return field(1, key.encode()) + field(2, field(1, value.encode()))


def span(span_id, parent, name, start_ms, end_ms, error=None, more=b""):
    message = field(1, bytes.fromhex(TRACE)) + field(2, struct.pack(">Q", span_id))
    if parent:
        message += field(4, struct.pack(">Q", parent))
    message += field(5, name.encode()) + bytes([7 << 3 | 1]) + struct.pack("<Q", start_ms * 10**6)
    message += bytes([8 << 3 | 1]) + struct.pack("<Q", end_ms * 10**6) + field(9, attribute("vmafx.frames", "48"))
    return message + (field(15, field(2, error.encode()) + field(3, 2)) if error else b"") + more


def exception(kind, text, at_ms):
    return field(11, bytes([1 << 3 | 1]) + struct.pack("<Q", at_ms * 10**6) + field(2, b"exception")
                 + field(3, attribute("exception.type", kind)) + field(3, attribute("exception.message", text)))


def link(trace, span_id):
    return field(13, field(1, bytes.fromhex(trace)) + field(2, struct.pack(">Q", span_id)))


def request(*spans, service="vmafx-scorer"):
    scope = b"".join(field(2, one) for one in spans)
    return field(1, field(1, field(1, attribute("service.name", service))) + field(2, scope))


def post(address, body, path="/v1/traces", **headers):
    connection = http.client.HTTPConnection(address, timeout=DEADLINE_S)
    connection.request("POST", path, body, {"Content-Type": "application/x-protobuf",
                                            **{k.replace("_", "-"): v for k, v in headers.items()}})
    answer = connection.getresponse()
    return answer.status, answer.read()


# ---- stand-ins ----

@case
def everything_starts_in_order_with_its_addresses_and_stops_on_one_interrupt():
    with Dev(programs=stand_ins(), nodes=2) as dev:
        controller, node, scorer = pids_of(dev)
        dev.line(r"node-1 +\| arguments")  # two programs print at the same time: each line is waited for
        dev.line(r"node-2 +\| arguments")
        said = dev.said()
        assert said.index("controller | endpoint") < said.index("node-1     | arguments")
        arguments = dev.line(r"node-2 +\| arguments (.*)").group(1)
        for word in (f"--controller {dev.grpc()}", "--name node-2", "--input-roots /", "/state/node-2"):
            assert word in arguments, arguments
        assert f"endpoint http://{dev.otlp()[0]} " in said
        assert dev.interrupt() == 0, dev.said()
        gone(controller, node, scorer)
    assert os.path.isdir("state/node-2")


@case
def what_ends_by_itself_is_started_again_and_takes_its_own_children_with_it():
    with Dev(programs=stand_ins()) as dev:
        _, node, scorer = pids_of(dev)
        os.kill(node, signal.SIGKILL)
        dev.line(r"node-1 ended with signal 9 .*starting it again in 0\.5 s")
        dev.line(r"(?s)pid \d+ scorer.*pid \d+ scorer")
        gone(node, scorer)
        assert dev.interrupt(signal.SIGTERM) == 0


@case
def a_second_interrupt_kills_what_does_not_want_to_end():
    with Dev(programs=stand_ins(), env={"STAND_IN_IS_STUBBORN": "1"}) as dev:
        pids = pids_of(dev)
        dev.process.send_signal(signal.SIGINT)
        dev.line("once more ends it at once")
        dev.line("node-1 ended")  # the stubborn one stays
        time.sleep(0.3)  # two that come at once count as one
        assert dev.process.poll() is None
        assert dev.interrupt() == 0
        assert "controller ended with signal 9" in dev.said(), dev.said()
        gone(*pids)


@case
def nothing_is_left_behind_when_vmafx_dev_is_killed():
    with Dev(programs=stand_ins(), env={"STAND_IN_IS_STUBBORN": "1"}) as dev:
        controller, node, scorer = pids_of(dev)
        dev.process.kill()
        dev.process.wait()
        gone(controller, node)
        os.kill(scorer, signal.SIGKILL)  # a real one sees its node's end by itself
    with Dev(programs=os.path.abspath("programs")) as dev:  # and the folder is free again
        assert dev.interrupt() == 0


@case
def settings_that_a_program_refuses_end_it_with_the_same_code():
    with Dev(programs=stand_ins(), env={"STAND_IN_REFUSES": "1"}, wait=None) as dev:
        assert dev.process.wait(DEADLINE_S) == 2
        dev.line(r"controller \| setting X is wrong", alive=False)
        dev.line("controller does not take its settings", alive=False)


@case
def two_in_one_folder_refuse_and_a_file_that_is_left_does_not_count():
    programs = stand_ins()
    os.mkdir("state")
    with open("state/dev.lock", "w", encoding="utf-8") as f:
        f.write("1\n")
    with Dev(programs=programs) as dev:
        second = run("dev", "--dir", "state", env={"VMAFX_LIBEXEC": programs})
        expect(second, 2, "another one is running", f"(process {dev.process.pid})", "--dir")


@case
def a_taken_port_is_named_with_the_option_that_takes_another():
    programs = stand_ins()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        for option in ("--grpc", "--http"):
            others = {"--grpc": "127.0.0.1:0", "--http": "127.0.0.1:0", option: address}
            got = run("dev", "--dir", "state", *[x for pair_ in others.items() for x in pair_],
                      env={"VMAFX_LIBEXEC": programs})
            expect(got, 2, f"{address} is taken", option + " ADDRESS")


@case
def a_receiver_that_is_there_already_is_used():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with Dev("--otlp", address, programs=stand_ins()) as dev:
            dev.line(f"goes to what listens on {address} already")
            dev.line(f"endpoint http://{address} ")


@case
def arguments_that_cannot_be_are_refused_before_anything_starts():
    programs = stand_ins()
    for arguments, code, words in (
            (["--otlp", "0.0.0.0:4317"], 2, ["loopback"]),
            (["--grpc", "nonsense"], 2, ["HOST:PORT"]),
            (["--nodes", "99"], 2, ["from 0 to 16"]),
            (["--input-root", "nowhere"], 3, ["nowhere"]),
            (["more"], 2, ["too much"])):
        expect(run("dev", "--dir", "state", *arguments, env={"VMAFX_LIBEXEC": programs}), code, *words)
    expect(run("dev", "--dir", "state", env={"VMAFX_LIBEXEC": "/nowhere"}), 2, "VMAFX_LIBEXEC")


@case
def log_lines_of_any_length_and_kind_come_out_with_their_name():
    programs = stand_ins()
    with open("programs/vmafx-node", "w", encoding="utf-8") as f:
        f.write("#!/bin/sh\nprintf 'x%.0s' $(seq 20000)\nprintf 'no end'\nexec sleep 1000 >/dev/null 2>&1\n")
    with Dev(programs=programs) as dev:
        dev.line(r"x+no end\n")
        lines = [line for line in dev.said().splitlines() if line.startswith("node-1     | x")]
        assert len(lines) == 3 and sum(line.count("x") for line in lines) == 20000, [len(line) for line in lines]


# ---- the receiver ----

@case
def spans_that_came_over_http_are_drawn_as_a_tree():
    with Dev(programs=stand_ins()) as dev:
        grpc, http_ = dev.otlp()
        assert post(http_, request(span(3, 2, "vmafx.scoring", 30, 90, error="ends after frame 12"))) == (200, b"")
        assert post(http_, request(span(1, 0, "vmafx.job", 0, 100), span(2, 1, "vmafx.task.run", 20, 95),
                                   span(9, 8, "of a lost one", 1, 2), service="vmafx-controller")) == (200, b"")
        drawn = expect(run("trace", TRACE, env={"VMAFX_TRACE_SOURCE": grpc, "LC_ALL": "C"}), 0).stdout
        lines = drawn.splitlines()
        for row in ("vmafx.job ", "`- vmafx.task.run ", "(parent not here)"):
            assert any(line.startswith(row) for line in lines), (row, drawn)
        assert "   `- ! vmafx.scoring" in drawn and "! ends after frame 12" in drawn, drawn
        assert drawn.isascii()
        tree = json.loads(expect(run("trace", TRACE, "--json", "--source", grpc), 0).stdout)
        assert [(s["name"], s["depth"]) for s in tree["spans"]] == [
            ("vmafx.job", 0), ("vmafx.task.run", 1), ("vmafx.scoring", 2), ("of a lost one", 0)]
        assert tree["spans"][2]["attributes"] == {"vmafx.frames": "48"}
        assert tree["spans"][2]["service"] == "vmafx-scorer"
        attributes = expect(run("trace", TRACE, "-a", "--source", grpc), 0).stdout
        assert "vmafx.frames = 48" in attributes


@case
def exceptions_and_links_are_drawn_below_their_span():
    with Dev(programs=stand_ins()) as dev:
        grpc, http_ = dev.otlp()
        other = "0" * 31 + "7"
        more = exception("EOFError", "no more packets", 40) + link(TRACE, 1) + link(other, 9)
        assert post(http_, request(span(1, 0, "vmafx.job", 0, 100), span(2, 1, "vmafx.scoring", 30, 90, more=more)))[0] == 200
        drawn = expect(run("trace", TRACE, "--source", grpc, env={"LC_ALL": "C"}), 0).stdout
        for text in ("* at 10 ms: exception: EOFError: no more packets", "-> span 0000000000000001\n",
                     f"-> span 0000000000000009 of trace {other}"):
            assert text in drawn, (text, drawn)
        scoring = json.loads(expect(run("trace", TRACE, "--json", "--source", grpc), 0).stdout)["spans"][1]
        assert scoring["events"] == [{"name": "exception", "time_unix_us": 40000, "attributes": {
            "exception.type": "EOFError", "exception.message": "no more packets"}}], scoring
        assert scoring["links"] == [{"trace_id": TRACE, "span_id": "0000000000000001"},
                                    {"trace_id": other, "span_id": "0000000000000009"}], scoring


@case
def bodies_over_http_may_be_gzip_but_no_bomb():
    with Dev(programs=stand_ins()) as dev:
        _, address = dev.otlp()
        status, body = post(address, gzip.compress(request(span(1, 0, "root", 1, 2))), Content_Encoding="gzip")
        if status == 415:
            raise Skip("src/http/server.h takes no body with Content-Encoding")
        assert (status, body) == (200, b""), (status, body)
        for why, packed in (("no gzip", b"plain"), ("a bomb", gzip.compress(bytes(64 << 20)))):
            status, body = post(address, packed, Content_Encoding="gzip")
            assert status in (400, 413) and body[:1] == b"\x08", (why, status, body)


@case
def what_is_no_request_is_answered_with_a_status_message():
    with Dev(programs=stand_ins()) as dev:
        _, address = dev.otlp()
        for why, got in (("bytes", post(address, b"\xff\xff\xff")),
                         ("a page", post(address, b"{}", Content_Type="application/json"))):
            status, body = got
            assert status in (400, 415), (why, status)
            assert body[:1] == b"\x08", (why, body)  # google.rpc.Status.code
        assert post(address, b"", Content_Length=str(5 << 20), Expect="100-continue")[0] == 413  # before the body is sent
        assert post(address, b"", path="/v1/metrics") == (200, b"")
        assert post(address, b"", path="/v1/logs") == (200, b"")
        status, body = post(address, request(span(0, 0, "bad id", 1, 2)))
        assert status == 200 and b"not valid" in body, body


@case
def ten_thousand_spans_are_kept_and_the_next_are_said_to_be_too_many():
    with Dev(programs=stand_ins()) as dev:
        grpc, address = dev.otlp()
        for start in range(0, 11000, 1000):
            post(address, request(*[span(i + 1, i and 1, "one of many", i, i + 1) for i in range(start, start + 1000)]))
        drawn = expect(run("trace", TRACE, "--source", grpc), 0, "more here", "--all",
                       "1000 more spans came than the receiver keeps").stdout
        assert len(drawn.splitlines()) < 100
        everything = expect(run("trace", TRACE, "--source", grpc, "--all"), 0).stdout
        assert everything.count("one of many") == 10000


@case
def a_trace_that_is_not_there_or_nobody_who_has_any_is_said():
    with Dev(programs=stand_ins()) as dev:
        expect(run("trace", TRACE, "--source", dev.otlp()[0]), 8, "has no trace")
    expect(run("trace", TRACE, "--source", "127.0.0.1:1"), 8, "no spans from 127.0.0.1:1")


@case
def a_scoring_here_exports_to_it_over_grpc():
    reference, distorted = pair()
    with Dev(programs=stand_ins()) as dev:
        grpc, _ = dev.otlp()
        for compression, trace in (("none", TRACE), ("gzip", "0" * 31 + "2")):
            got = run("score", "--reference", reference, "--distorted", distorted, "--features-only", "--feature", "vif",
                      env={"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{grpc}", "OTEL_EXPORTER_OTLP_COMPRESSION": compression,
                           "TRACEPARENT": f"00-{trace}-00f067aa0ba902b7-01"})
            expect(got, 0)
            assert not got.stderr, got.stderr
            tree = json.loads(expect(run("trace", trace, "--json", "--source", grpc), 0).stdout)
            assert "vmafx.scoring" in [s["name"] for s in tree["spans"]], (compression, tree)
            assert {s["service"] for s in tree["spans"]} == {"vmafx"}


# ---- the real ones ----

def model():
    """A folder with a model that says 77 whatever it sees: fetched ones are not needed here."""
    svm = "svm_type nu_svr\nkernel_type rbf\ngamma 0.5\nnr_class 2\ntotal_sv 1\nrho -77\nSV\n0\n"
    os.mkdir("models")
    with open("models/vmaf_v0.6.1.json", "w", encoding="utf-8") as f:
        json.dump({"model_dict": {"model_type": "LIBSVMNUSVR", "norm_type": "none", "model": svm,
                                  "feature_names": ["VMAF_integer_feature_motion2_score"]}}, f)
    return {"VMAFX_MODEL_PATH": os.path.abspath("models")}


def real():
    for name in ("vmafx-controller", "vmafx-node", "vmafx-scorer"):
        if not os.path.exists(os.path.join(os.path.dirname(PROGRAM), name)):
            raise Skip(f"{name} is not built beside vmafx")


@case
def a_job_of_a_real_fleet_is_one_trace_from_submit_to_score():
    real()
    reference, distorted = pair()
    with Dev(env=model()) as dev:
        address = {"VMAFX_CONTROLLER": dev.grpc(), "VMAFX_TRACE_SOURCE": dev.otlp()[0]}
        got = expect(run("submit", "--reference", os.path.abspath(reference), "--distorted",
                         os.path.abspath(distorted), "--wait", "--json", env=address), 0)
        job = json.loads(got.stdout.splitlines()[-1])["id"]
        end = time.monotonic() + DEADLINE_S
        while True:  # exporters send in batches
            tree = json.loads(expect(run("trace", job, "--json", env=address), 0).stdout)
            found = {(s["name"].split(" ")[0], s["service"]) for s in tree["spans"]}
            services = {service for _, service in found}
            if {"vmafx-controller", "vmafx-node"} <= services and any(name == "vmafx.scoring" for name, _ in found):
                break
            assert time.monotonic() < end, found
            time.sleep(0.1)
        assert not [s for s in tree["spans"] if s["parent_missing"] and s["name"].startswith("vmafx.")], tree
        drawn = expect(run("trace", job, env=address), 0, job, "vmafx.task.run").stdout
        assert "vmafx.job.queue" in drawn, drawn
        only_events = expect(run("trace", job, "--source", "none", env=address), 0, "vmafx.task.run").stdout
        assert "vmafx.scoring" not in only_events
        assert dev.interrupt() == 0, dev.said()
    assert "ended with" not in dev.said(), dev.said()


@case
def jobs_are_there_again_the_next_time():
    real()
    reference, distorted = map(os.path.abspath, pair())
    with Dev() as dev:
        got = expect(run("submit", "--reference", reference, "--distorted", distorted,
                         env={"VMAFX_CONTROLLER": dev.grpc()}), 0)
        job = got.stdout.strip()
    with Dev() as dev:
        expect(run("job", job, env={"VMAFX_CONTROLLER": dev.grpc()}), 0, job)


main()

# SPDX-License-Identifier: BSD-2-Clause-Patent
"""Videos sent to the controller and fetched by nodes that see none of our folders: gRPC by the command line, HTTP by curl.

usage: test_uploads.py VMAFX [CASE…]
"""
import base64
import contextlib
import hashlib
import json
import os
import random
import re
import signal
import socket
import subprocess
import threading
import time

from fleet import DEADLINE_S, Fleet, Process, program
from harness import case, expect, main, need, pair, run, write_y4m
from otlp import Receiver
from trees import spans_by_trace

ENV = {"OTEL_SDK_DISABLED": "true"}


class Uploads(Fleet):
    """A fleet whose nodes may read no folder of ours."""

    def __init__(self, nodes=1, controller=(), node=(), **more):
        super().__init__(nodes=nodes, controller=controller, **more)
        self.node_options = list(node)

    def start_node(self, name, wait=True, slots=None, port=None):
        os.makedirs("nothing", exist_ok=True)
        arguments = [program("vmafx-node"), "--name", name, "--controller", f"127.0.0.1:{port or self.port}", "--slots",
                     str(slots or self.slots), "--state", os.path.abspath(name), "--input-roots",
                     os.path.abspath("nothing"), "--http", "127.0.0.1:0", *self.node_options]
        node = Process(name, arguments, self.env, os.path.abspath(name + ".log"))
        self.processes.append(node)
        self.nodes[name] = node
        if wait:
            node.wait_line("connected")
        return node

    def upload(self, reference, distorted, *more):
        return self.submit(reference, distorted, "--upload", *more)

    def curl(self, path, file=None, *more):
        """POST of a file; status and body."""
        need("curl", "curl")
        port = self.controller.wait_line(r"HTTP ready.*server\.port=(\d+)").group(1)
        body = ["--upload-file", file] if file else []
        got = subprocess.run(["curl", "-sS", "--max-time", str(DEADLINE_S), "-w", "\n%{http_code}", *body, "--request", "POST",
                              *more, f"http://127.0.0.1:{port}{path}"], capture_output=True, text=True, check=True).stdout
        text, _, status = got.rpartition("\n")
        return int(status), json.loads(text)


def digest_of(path):
    with open(path, "rb") as f:
        return hashlib.sha256(f.read()).hexdigest()


def uri_of(path):
    return "upload:" + digest_of(path)


def kept(folder="uploads"):
    """Digest and path of everything that is kept, without what is on its way."""
    return {name: os.path.join(where, name) for where, _, names in os.walk(folder) for name in names
            if not name.startswith("tmp-")}


def on_their_way(folder="uploads"):
    return [name for name in os.listdir(folder) if name.startswith("tmp-")]


def until(what, text):
    end = time.monotonic() + DEADLINE_S
    while time.monotonic() < end:
        got = what()
        if got:
            return got
        time.sleep(0.02)
    raise AssertionError(f"never: {text}")


def score_here(reference, distorted):
    return json.loads(expect(run("score", "--reference", reference, "--distorted", distorted, "--format", "json"), 0).stdout)


def score_of(fleet, job):
    return json.loads(fleet.ok("result", job, "--format", "json"))


def noise(path, size, seed=1):
    with open(path, "wb") as f:
        f.write(random.Random(seed).randbytes(size))
    return path


def aged(path, hours):
    then = time.time() - hours * 3600
    os.utime(path, (then, then))


@case
def what_is_uploaded_is_scored_like_here_by_a_node_that_sees_no_folder():
    ref, dis = pair(n=4)
    with Uploads() as fleet:
        refused = fleet.submit(os.path.abspath(ref), os.path.abspath(dis), "--quiet")
        assert fleet.wait_state(refused, "failed")["failure_class"] == "FAILURE_CLASS_INPUT"
        job = fleet.upload(ref, dis)
        fleet.wait_state(job, "succeeded")
        here, there = score_here(ref, dis), score_of(fleet, job)
        assert here["pooled"] == there["pooled"] and here["frames"] == there["frames"], (here["pooled"], there["pooled"])
        spec = fleet.job(job)["job"]["spec"]
        assert spec["reference"]["uri"] == uri_of(ref) and spec["distorted"]["uri"] == uri_of(dis), spec
        assert set(kept()) == {digest_of(ref), digest_of(dis)}, kept()
        assert not on_their_way()


@case
def the_same_file_is_sent_once_also_for_lines_of_a_file():
    ref, dis = pair(n=3)
    os.makedirs("lines")
    with open("lines/jobs.ndjson", "w", encoding="utf-8") as f:
        for name in ("../dis.y4m", os.path.abspath(dis), "../missing.y4m"):
            f.write(json.dumps({"reference": {"uri": "../ref.y4m"}, "distorted": {"uri": name}}) + "\n")
    with Uploads() as fleet:
        fleet.upload(ref, dis)
        times = {path: os.stat(path).st_ino for path in kept().values()}
        got = expect(fleet.cli("submit", "--upload", "--from", "lines/jobs.ndjson"), 2, "line 3", "missing.y4m",
                     "2 submitted, 1 refused")
        assert len(got.stdout.split()) == 2
        assert times == {path: os.stat(path).st_ino for path in kept().values()}, "nothing was written again"
        lines = [line for line in fleet.controller.lines().splitlines() if "upload.keep" in line]
        assert len(lines) == 2, lines
        assert all(job["state"] == "JOB_STATE_SUCCEEDED" for job in fleet.wait_all_ended())


@case
def curl_uploads_and_the_uri_is_for_jobs():
    ref, dis = pair(n=3)
    with Uploads() as fleet:
        uris = []
        for path in (ref, dis):
            sha = base64.b64encode(bytes.fromhex(digest_of(path))).decode()
            status, body = fleet.curl("/v1/uploads", path, "-H", f"Content-Digest: sha-512=:AAAA:, sha-256=:{sha}:")
            assert status == 201 and body["uri"] == uri_of(path), (status, body)
            assert body["size_bytes"] == os.path.getsize(path) and body["kept_until_unix_us"] > time.time() * 1e6, body
            uris.append(body["uri"])
        status, body = fleet.curl("/v1/uploads", ref)
        assert status == 200 and body["already_there"], (status, body)
        status, job = fleet.curl("/v1/jobs", None, "-H", "Content-Type: application/json", "-d",
                                 json.dumps({"reference": {"uri": uris[0]}, "distorted": {"uri": uris[1]}}))
        assert status == 201, job
        fleet.wait_state(job["id"], "succeeded")
        assert score_here(ref, dis)["pooled"] == score_of(fleet, job["id"])["pooled"]


@case
def who_sends_is_decided_once_and_stays_who_it_is():
    token = "vmafx_" + "A" * 43
    line = f"sha256:{hashlib.sha256(token.encode()).hexdigest()} writer alice tenant=studio\n"
    with open("tokens", "w", encoding="utf-8") as f:
        f.write(line)
    os.chmod("tokens", 0o600)
    with Uploads(nodes=0, controller=["--tokens", os.path.abspath("tokens")]) as fleet:
        port = int(fleet.controller.wait_line(r"HTTP ready.*server\.port=(\d+)").group(1))
        with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_S) as sender:
            sender.sendall((f"POST /v1/uploads HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n"
                            "Content-Length: 10\r\nExpect: 100-continue\r\n\r\n").encode())
            assert sender.recv(1000).startswith(b"HTTP/1.1 100"), "let in"
            with open("tokens", "w", encoding="utf-8") as f:
                f.write("# nobody\n")
            as_alice = ("-H", f"Authorization: Bearer {token}")
            until(lambda: fleet.curl("/v1/jobs", None, *as_alice)[0] == 401, "the token is revoked")
            sender.sendall(b"0123456789")
            got = sender.recv(4000).decode()
            assert got.startswith("HTTP/1.1 201"), got
        audit = fleet.controller.wait_line("msg=audit.*upload.keep").string
        assert "vmafx.audit.identity=alice " in audit and "vmafx.audit.tenant=studio" in audit, audit


@case
def a_tenant_has_at_most_half_of_the_places_whatever_its_tokens():
    rows = {"A": "writer alice tenant=studio", "B": "writer bob tenant=studio", "C": "writer carol"}
    with open("tokens", "w", encoding="utf-8") as f:
        for letter, row in rows.items():
            f.write(f"sha256:{hashlib.sha256(('vmafx_' + letter * 43).encode()).hexdigest()} {row}\n")
    os.chmod("tokens", 0o600)
    with Uploads(nodes=0, controller=["--tokens", os.path.abspath("tokens")]) as fleet, contextlib.ExitStack() as stack:
        port = int(fleet.controller.wait_line(r"HTTP ready.*server\.port=(\d+)").group(1))

        def begin(letter):
            """What is said to who asks whether to send a body."""
            sender = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_S))
            sender.sendall((f"POST /v1/uploads HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer vmafx_{letter * 43}\r\n"
                            "Content-Length: 10\r\nExpect: 100-continue\r\n\r\n").encode())
            return sender.recv(1000).split(b" ")[1]

        assert [begin("A") for _ in range(20)] + [begin("B") for _ in range(12)] == [b"100"] * 32
        assert begin("A") == begin("B") == b"503"
        assert begin("C") == b"100", "others have the other half"


@case
def what_cannot_be_taken_is_refused_with_a_reason():
    ref, dis = pair(n=3)
    noise("large.bin", 300000)
    open("empty.y4m", "wb").close()
    with Uploads(nodes=0, controller=["--upload-bytes-max", "200000"]) as fleet:
        expect(fleet.cli("submit", "--upload", "--reference", "large.bin", "--distorted", dis), 3, "large.bin", "200000",
               "VMAFX_UPLOAD_BYTES_MAX")
        expect(fleet.cli("submit", "--upload", "--reference", "empty.y4m", "--distorted", dis), 3, "empty")
        expect(fleet.cli("submit", "--upload", "--reference", os.getcwd(), "--distorted", dis), 3, "no regular file")
        expect(fleet.cli("submit", "--upload", "--reference", os.path.abspath("missing"), "--distorted", dis), 3, "missing")
        status, body = fleet.curl("/v1/uploads", "large.bin")
        assert status == 413, (status, body)
        status, body = fleet.curl("/v1/uploads", ref, "-H", "Content-Digest: sha-256=:" + "A" * 43 + "=:")
        assert status == 400 and "damaged" in body["detail"], (status, body)
        status, body = fleet.curl("/v1/uploads", ref, "-H", "Content-Digest: sha-256=:short:")
        assert status == 400 and "RFC 9530" in body["detail"], (status, body)
        status, body = fleet.curl("/v1/uploads", None, "-F", f"file=@{ref}")
        assert status == 415 and "--upload-file" in body["detail"], (status, body)
        status, body = fleet.curl("/v1/uploads", "empty.y4m")
        assert status == 400 and "one byte" in body["detail"], (status, body)
        assert not kept(), "nothing of it is kept"
        for uri in ("upload:", "upload:" + "0" * 63, "upload:" + "A" * 64, "upload:" + "0" * 65):
            status, body = fleet.curl("/v1/jobs", None, "-H", "Content-Type: application/json", "-d",
                                      json.dumps({"reference": {"uri": uri}, "distorted": {"uri": "/b"}}))
            assert status == 400 and "job.reference.uri" in body["detail"], (status, body)
        status, body = fleet.curl("/v1/jobs", None, "-H", "Content-Type: application/json", "-d",
                                  json.dumps({"reference": {"uri": "/a"}, "distorted": {"uri": "upload:" + "0" * 64}}))
        assert status == 404 and "job.distorted.uri" in body["detail"] and "--upload" in body["detail"], (status, body)


@case
def a_controller_may_take_none():
    ref, dis = pair(n=3)
    with Uploads(nodes=0, controller=["--uploads-bytes-max", "0"]) as fleet:
        expect(fleet.cli("submit", "--upload", "--reference", ref, "--distorted", dis), 8, "VMAFX_UPLOADS_BYTES_MAX is 0")
        status, body = fleet.curl("/v1/uploads", ref)
        assert status == 501, (status, body)
        assert not os.path.exists("uploads")


@case
def what_is_full_is_full_until_nobody_needs_what_is_there():
    size = 100000
    for i in range(4):
        noise(f"{i}.bin", size, seed=i)
    with Uploads(nodes=0, controller=["--uploads-bytes-max", "250000"]) as fleet:
        job = fleet.upload("0.bin", "1.bin")
        expect(fleet.cli("submit", "--upload", "--reference", "2.bin", "--distorted", "0.bin"), 8, "VMAFX_UPLOADS_BYTES_MAX")
        for path in kept().values(): # not fresh any more, and still named by a job
            aged(path, 30)
        expect(fleet.cli("submit", "--upload", "--reference", "2.bin", "--distorted", "3.bin"), 8, "there is no room")
        assert set(kept()) == {digest_of("0.bin"), digest_of("1.bin")}, "a queued job names them"
        fleet.controller.kill(signal.SIGTERM)
        fleet.start_controller() # sweeps
        assert set(kept()) == {digest_of("0.bin"), digest_of("1.bin")}
        fleet.ok("cancel", job)
        fleet.upload("2.bin", "3.bin")
        assert set(kept()) == {digest_of("2.bin"), digest_of("3.bin")}, "the room was needed, and nobody else needed it"
        got = expect(fleet.cli("retry", job), 8, "upload", "not kept any more")
        assert digest_of("0.bin")[:12] in got.stderr


@case
def what_is_old_goes_at_the_next_start():
    ref, dis = pair(n=3)
    with Uploads() as fleet:
        job = fleet.upload(ref, dis)
        fleet.wait_state(job, "succeeded")
        fleet.controller.kill(signal.SIGTERM)
        aged(kept()[digest_of(ref)], 25)
        aged(kept()[digest_of(dis)], 23)
        fleet.start_controller()
        until(lambda: set(kept()) == {digest_of(dis)}, "the older one is gone")


@case
def a_controller_killed_in_the_middle_of_an_upload_leaves_nothing():
    noise("large.bin", 200 << 20)
    with Uploads(nodes=0) as fleet:
        client = subprocess.Popen([program("vmafx"), "submit", "--upload", "--reference", "large.bin", "--distorted",
                                   "large.bin", "--controller", f"127.0.0.1:{fleet.port}"], stderr=subprocess.PIPE, text=True)
        until(lambda: os.path.exists("uploads") and on_their_way(), "the upload has begun")
        fleet.controller.kill()
        _, said = client.communicate(timeout=DEADLINE_S)
        assert client.returncode == 8, (client.returncode, said)
        assert on_their_way() and not kept()
        fleet.start_controller()
        assert not on_their_way() and not kept()
        fleet.upload("large.bin", "large.bin")
        assert set(kept()) == {digest_of("large.bin")}


@case
def many_who_send_the_same_at_the_same_time_all_have_it():
    noise("large.bin", 30 << 20)
    with Uploads(nodes=0) as fleet:
        clients = [subprocess.Popen([program("vmafx"), "submit", "--upload", "--reference", "large.bin", "--distorted",
                                     "large.bin", "--controller", f"127.0.0.1:{fleet.port}"], stdout=subprocess.PIPE,
                                    text=True, env=fleet.env) for _ in range(6)]
        for client in clients:
            out, _ = client.communicate(timeout=DEADLINE_S)
            assert client.returncode == 0 and out.strip(), client.returncode
        assert set(kept()) == {digest_of("large.bin")} and not on_their_way()


class Tap:
    """Passes connections on, and cuts those that have brought `cut` bytes; slow: a little at a time."""

    def __init__(self, port, cut=None):
        self.target, self.cut, self.bytes, self.cuts = port, cut, 0, 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self.target))
            except OSError:  # nobody is there for now
                client.close()
                continue
            threading.Thread(target=self.pass_on, args=(client, server, False), daemon=True).start()
            threading.Thread(target=self.pass_on, args=(server, client, True), daemon=True).start()

    def pass_on(self, source, sink, counted):
        came = 0
        try:
            while data := source.recv(65536):
                came += len(data)
                if counted:
                    self.bytes += len(data)
                if counted and self.cut and came > self.cut:
                    self.cuts += 1
                    break
                sink.sendall(data)
        except OSError:
            pass
        for each in (source, sink):
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


def long_pair(megabytes):
    for name, level in (("ref.y4m", 0), ("dis.y4m", 1)):
        write_y4m("few.y4m", w=320, h=240, n=5, noise=level)
        with open("few.y4m", "rb") as f:
            head, frames = f.readline(), f.read()
        with open(name, "wb") as f:
            f.write(head + frames * max(1, (megabytes << 20) // len(frames)))
    return "ref.y4m", "dis.y4m"


@case
def a_broken_transfer_goes_on_where_it_broke():
    ref, dis = long_pair(12)
    with Uploads(nodes=0) as fleet:
        tap = Tap(fleet.port, cut=5 << 20)
        fleet.start_node("node-1", port=tap.port)
        job = fleet.upload(ref, dis)
        fleet.wait_state(job, "succeeded")
        assert tap.cuts >= 4 and os.path.getsize(ref) > 2 * tap.cut, "no connection has brought a whole one"
        assert fleet.job(job)["job"]["attempts"] == 1


@case
def a_node_killed_while_it_fetches_is_replaced_by_another():
    ref, dis = long_pair(12)
    with Uploads(nodes=0) as fleet:
        tap = Tap(fleet.port)
        node = fleet.start_node("node-1", port=tap.port)
        before = tap.bytes
        job = fleet.upload(ref, dis)
        until(lambda: tap.bytes > before + (1 << 20), "the node fetches")
        node.kill()
        fleet.start_node("node-2")
        ended = fleet.wait_state(job, "succeeded")
        assert ended["node"] == "node-2" and ended["attempts"] == 2, ended


@case
def a_controller_that_goes_away_while_a_node_fetches_is_waited_for():
    ref, dis = long_pair(12)
    with Uploads(nodes=0, lease="20s", heartbeat="300ms") as fleet:
        tap = Tap(fleet.port)
        fleet.start_node("node-1", port=tap.port)
        before = tap.bytes
        job = fleet.upload(ref, dis)
        until(lambda: tap.bytes > before + (1 << 20), "the node fetches")
        fleet.controller.kill()
        fleet.start_controller()
        fleet.wait_state(job, "succeeded")


@case
def uploads_are_counted_by_how_they_end_and_each_is_a_span():
    ref, dis = pair(n=3)
    noise("large.bin", 200 << 20)
    noise("larger.bin", (200 << 20) + 1)
    receiver = Receiver()
    env = receiver.environment(OTEL_SDK_DISABLED="false", OTEL_BSP_SCHEDULE_DELAY="100")
    with Uploads(controller=["--upload-bytes-max", str(200 << 20)], env=env) as fleet:
        job = fleet.upload(ref, dis)
        fleet.wait_state(job, "succeeded")
        assert fleet.curl("/v1/uploads", ref)[0] == 200
        expect(fleet.cli("submit", "--upload", "--reference", "larger.bin", "--distorted", dis), 3)
        client = subprocess.Popen([program("vmafx"), "submit", "--upload", "--reference", "large.bin", "--distorted",
                                   "large.bin", "--controller", f"127.0.0.1:{fleet.port}"], env=fleet.env)
        until(on_their_way, "the upload has begun")
        client.kill()
        client.wait()

        def metrics():
            port = fleet.controller.wait_line(r"HTTP ready.*server\.port=(\d+)").group(1)
            page = subprocess.run(["curl", "-sS", f"http://127.0.0.1:{port}/metrics"], capture_output=True, text=True,
                                  check=True).stdout
            return {(name, label): float(value) for name, label, value in
                    re.findall(r'^(vmafx_uploads?_\w+)\{(?:.*vmafx_upload_\w+="(\w+)")?[^}]*\} (\S+)', page, re.M)}

        until(lambda: metrics()["vmafx_uploads_total", "broken"] == 1, "the broken one is counted")
        got = metrics()
        sizes = os.path.getsize(ref) + os.path.getsize(dis)
        ended = {label: value for (name, label), value in got.items() if name == "vmafx_uploads_total"}
        assert ended == {"kept": 2, "there": 1, "refused": 1, "broken": 1, "failed": 0}, got
        assert got["vmafx_upload_io_bytes_total", "kept"] == sizes == got["vmafx_uploads_usage_bytes", "kept"], got
        assert got["vmafx_uploads_kept", ""] == 2 and got["vmafx_uploads_limit_bytes", ""] > 1e9, got
        assert got["vmafx_uploads_usage_bytes", "coming"] == 0, got
        for process in (*fleet.nodes.values(), fleet.controller):
            assert process.kill(signal.SIGTERM) == 0
    spans = [span for spans in spans_by_trace(receiver).values() for span in spans]
    names = [span[2] for span in spans if span[2] in ("vmafx.v1.Jobs/UploadInput", "vmafx.v1.Fleet/FetchUpload")]
    assert sorted(names) == ["vmafx.v1.Fleet/FetchUpload"] * 2 + ["vmafx.v1.Jobs/UploadInput"] * 4, names


@case
def nodes_keep_what_they_fetched_where_they_have_a_cache():
    ref, dis = pair(n=3)
    with Uploads(node=["--input-cache", os.path.abspath("cache")]) as fleet:
        for _ in range(2):
            fleet.wait_state(fleet.upload(ref, dis), "succeeded")
        data = [name for name in os.listdir("cache") if name.endswith(".data")]
        assert len(data) == 2, data


@case
def the_documents_examples_work():
    need("curl", "curl")
    need("jq", "jq")
    pair(n=3)
    page = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "docs", "inputs.md")
    with open(page, encoding="utf-8") as f:
        submit, curl = re.findall(r"<!-- tested -->\n```sh\n(.*?)```", f.read().split("## Uploads")[1], re.S)
    assert submit.startswith("vmafx "), submit
    with Uploads() as fleet:
        port = fleet.controller.wait_line(r"HTTP ready.*server\.port=(\d+)").group(1)
        env = {**fleet.env, "VMAFX": program("vmafx"), "HERE": os.getcwd(), "API": f"http://127.0.0.1:{port}"}
        for command in (f'"$VMAFX" {submit[6:].strip()} --controller 127.0.0.1:{fleet.port}', curl):
            got = subprocess.run(["sh", "-c", command], text=True, env=env, capture_output=True, timeout=100, check=False)
            assert got.returncode == 0, got.stdout + got.stderr
        assert got.stdout.strip() == uri_of("ref.y4m"), got.stdout


@case
def two_controllers_do_not_share_a_folder():
    with Uploads(nodes=0, controller=["--uploads", os.path.abspath("mine")]):
        got = subprocess.run([program("vmafx-controller"), "--grpc", "127.0.0.1:0", "--http", "", "--store",
                              os.path.abspath("other.db"), "--uploads", os.path.abspath("mine")], capture_output=True, text=True,
                             env={**os.environ, **ENV}, timeout=DEADLINE_S, check=False)
        assert got.returncode and "VMAFX_UPLOADS" in got.stdout + got.stderr, got


main()

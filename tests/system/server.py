# SPDX-License-Identifier: BSD-2-Clause-Patent
"""vmafx-server as a real process for tests, and small ways to call it over HTTP with nothing of ours."""
import fcntl
import http.client
import json
import os
import signal
import socket
import struct
import sys
import termios
import time

from fleet import DEADLINE_S, Process, program
from harness import PROGRAM, Skip, is_task, need_models, run


class Server:
    """with Server("--slots", "1") as server: …; everything lies in the current folder."""

    def __init__(self, *options, roots=True, env=None):
        need_models()
        self.env = {**os.environ, "OTEL_SDK_DISABLED": "true", **(env or {})}
        self.options = [*options, *(["--input-roots", os.getcwd()] if roots else [])]

    def __enter__(self):
        arguments = [program("vmafx-server"), "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0", *map(str, self.options)]
        self.process = Process("server", arguments, self.env, os.path.abspath("server.log"))
        self.http = int(self.process.wait_line(r'ready for HTTP.*server\.port=(\d+)').group(1))
        self.grpc = int(self.process.wait_line(r'ready for gRPC.*server\.port=(\d+)').group(1))
        return self

    def __exit__(self, kind, *_):
        self.process.kill(signal.SIGKILL)
        if kind and kind is not Skip:
            print(f"--- server\n{self.process.lines()[-6000:]}", file=sys.stdout)

    def ask(self, method, path, body=None, headers=None, timeout=120):
        """(status, headers in lower case, body) of one request."""
        connection = http.client.HTTPConnection("127.0.0.1", self.http, timeout=timeout)
        try:
            if isinstance(body, (dict, list)):
                body, headers = json.dumps(body), {"Content-Type": "application/json", **(headers or {})}
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    def score(self, request, path="/v1/score", **headers):
        """The JSON of an answer that has to be 200."""
        status, _, body = self.ask("POST", path, request, headers)
        assert status == 200, (status, body)
        return json.loads(body)

    def refused(self, status, *words, request=None, path="/v1/score", body=None, headers=None):
        """The problem of a request that has to fail so, with these words in it."""
        got, got_headers, text = self.ask("POST", path, body if body is not None else request, headers)
        assert got == status, (got, text)
        assert got_headers["content-type"] == "application/problem+json", got_headers
        problem = json.loads(text)
        for word in words:
            assert word in json.dumps(problem, ensure_ascii=False), f"no {word!r} in {problem}"
        return problem, got_headers

    def open(self, request, path="/v1/score", headers=None):
        """A socket with the request sent and nothing read."""
        text = json.dumps(request)
        extra = "".join(f"{k}: {v}\r\n" for k, v in (headers or {}).items())
        sock = socket.create_connection(("127.0.0.1", self.http))
        sock.sendall(f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n{extra}"
                     f"Content-Length: {len(text)}\r\n\r\n{text}".encode())
        return sock

    def metric(self, name):
        """Sum over the series of a metric of /metrics; needs a server with telemetry."""
        _, _, page = self.ask("GET", "/metrics")
        found = [float(line.rsplit(" ", 1)[1]) for line in page.decode().splitlines()
                 if line.split("{")[0].split(" ")[0] == name]
        return sum(found) if found else None

    def children(self):
        """Processes that score: children of the scorer's children."""
        return [grandchild for child in children_of(self.process.process.pid) for grandchild in children_of(child)]

    def wait_children(self, n):
        """Until so many score."""
        return wait_for(lambda: len(self.children()) == n and [True], f"{n} children", 20)


def children_of(pid):
    """Started by any of its threads."""
    found = []
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/children", encoding="ascii") as f:
                found += [int(p) for p in f.read().split() if is_task(p)]
    except OSError:
        pass  # it has ended
    return found


def wait_for(condition, what, seconds=DEADLINE_S):
    """What the condition gives, once it is true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.01)
    raise AssertionError(f"{what}: not within {seconds} s")


def by_path(reference="ref.y4m", distorted="dis.y4m", **more):
    return {"reference": {"uri": os.path.abspath(reference)}, "distorted": {"uri": os.path.abspath(distorted)}, **more}


def form(**parts):
    """(body, headers) of multipart/form-data: name=bytes is a text, name=path of a file that exists a file."""
    boundary = "----part"
    out = b""
    for name, value in parts.items():
        if isinstance(value, bytes):
            out += f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'.encode() + value + b"\r\n"
            continue
        with open(value, "rb") as f:
            out += (f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; filename="{os.path.basename(value)}"'
                    f"\r\nContent-Type: application/octet-stream\r\n\r\n").encode() + f.read() + b"\r\n"
    return out + f"--{boundary}--\r\n".encode(), {"Content-Type": f"multipart/form-data; boundary={boundary}"}


def events(body):
    """[(event, data)] of server-sent events."""
    found = []
    for block in body.decode().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line)
        if "data" in fields:
            found.append((fields.get("event"), json.loads(fields["data"])))
    return found


def bits(value):
    return struct.pack("<d", value)


def expected(reference="ref.y4m", distorted="dis.y4m", *options):
    """name -> list of values and the pooled means, as `vmafx score` finds them here."""
    got = run("score", "--reference", reference, "--distorted", distorted, "--output", "expected.json", *options)
    assert got.returncode in (0, 7), got.stdout + got.stderr
    with open("expected.json", encoding="utf-8") as f:
        report = json.load(f)
    frames = {}
    for frame in report["frames"]:
        for name, value in frame["metrics"].items() if "metrics" in frame else frame.items():
            frames.setdefault(name, []).append(value)
    return report, frames


class Slow:
    """A pair whose distorted video is a FIFO: its scoring takes until the test lets it end."""

    def __init__(self, name="slow"):
        self.path = f"{name}.y4m"
        os.mkfifo(self.path)
        self.fd = os.open(self.path, os.O_RDWR)  # with somebody to write the reader does not see an end
        self.request = by_path("ref.y4m", self.path)

    def finish(self, video="dis.y4m"):
        with open(video, "rb") as f:
            data = f.read()
        while data:
            data = data[os.write(self.fd, data):]
        wait_for(lambda: not self._unread(), "somebody has read it: what is unread is lost when nobody has it open")
        os.close(self.fd)

    def _unread(self):
        return int.from_bytes(fcntl.ioctl(self.fd, termios.FIONREAD, bytes(4)), sys.byteorder)


__all__ = ["PROGRAM", "children_of", "Server", "Slow", "by_path", "bits", "events", "expected", "form", "wait_for"]

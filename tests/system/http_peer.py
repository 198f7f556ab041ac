# SPDX-License-Identifier: BSD-2-Clause-Patent
"""The HTTP server of tests/unit/http_main.c as a child, and what its tests ask of it."""
import contextlib
import http.client
import json
import os
import socket
import subprocess
import time

from harness import PROGRAM, need

PATIENCE_S = 60  # for what should come at once; a failing test waits this long


class Server:
    def __init__(self, *arguments, env=None, **settings):
        words = list(arguments) + [f"{name}={value}" for name, value in settings.items()]
        self.errors = open("stderr", "wb")
        self.process = subprocess.Popen([PROGRAM, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=self.errors, env={**os.environ, **(env or {})})
        line = self.process.stdout.readline().split()
        assert line[:1] == [b"PORT"], (line, open("stderr", encoding="utf-8").read())
        self.port = int(line[1])

    def __enter__(self):
        return self

    def stop(self):
        """Ends it; what it printed then, and how long that took."""
        begin = time.monotonic()
        out, _ = self.process.communicate(timeout=PATIENCE_S)
        self.errors.close()
        assert self.process.returncode == 0, (self.process.returncode, open("stderr", encoding="utf-8").read())
        return out.decode().split(), time.monotonic() - begin

    def __exit__(self, kind, *_):
        if self.process.returncode is None:
            if kind:
                self.process.kill()
                self.process.wait()
            else:
                self.stop()

    def request(self, method, path, body=None, headers=None, connection=None):
        c = connection or http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        c.request(method, path, body, headers or {})
        answer = c.getresponse()
        answer.text = answer.read().decode()
        if not connection:
            c.close()
        return answer

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_S)

    def raw(self, data):
        """What comes back until the server closes."""
        with self.connect() as s:
            try:
                s.sendall(data)
            except OSError:
                pass  # it may have closed already; its answer is still there to be read
            return drain(s)


def drain(s):
    got = b""
    try:
        while piece := s.recv(65536):
            got += piece
    except ConnectionResetError:
        pass
    return got


def problem(answer, status, words=""):
    assert answer.status == status, (answer.status, answer.text)
    assert answer.headers["Content-Type"] == "application/problem+json"
    value = json.loads(answer.text)
    assert value["status"] == status and value["type"] == "about:blank" and value["title"], value
    assert words in value.get("detail", ""), value
    assert value["error"].isupper(), value
    assert (answer.headers["Retry-After"] is not None) == (status in (429, 503)), answer.headers
    return value


def until(what):
    """Asks again until it is so."""
    end = time.monotonic() + PATIENCE_S
    while not what():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.005)


def open_files(server):
    """How many files without a name the server has open."""
    folder, n = f"/proc/{server.process.pid}/fd", 0
    for fd in os.listdir(folder):
        with contextlib.suppress(FileNotFoundError):
            n += os.readlink(os.path.join(folder, fd)).endswith("(deleted)")
    return n


def make_pair(cert, key, name):
    need("openssl", "openssl")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
                    key, "-out", cert, "-subj", f"/CN={name}", "-addext", "subjectAltName=DNS:localhost", "-days", "2"],
                   check=True, capture_output=True)

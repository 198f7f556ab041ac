# SPDX-License-Identifier: BSD-2-Clause-Patent
"""Bodies that go to files, files as answers, clients that leave: the HTTP server from outside."""
import contextlib
import hashlib
import http.client
import json
import os
import re
import socket
import subprocess
import time

from harness import PROGRAM, Skip, case, main, need
from http_peer import PATIENCE_S, Server, drain, open_files, problem, until


def form(*parts, boundary="edge"):
    """(name, filename or None, data) as a body, and its Content-Type."""
    body = b""
    for name, filename, data in parts:
        file = f'; filename="{filename}"' if filename is not None else ""
        body += f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'.encode() + data + b"\r\n"
    return body + f"--{boundary}--\r\n".encode(), {"Content-Type": f"multipart/form-data; boundary={boundary}"}


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def curl(server, *arguments, path="/parts"):
    need("curl", "curl")
    got = subprocess.run(["curl", "--silent", "--show-error", "--max-time", str(PATIENCE_S), "--write-out", "\n%{http_code}",
                          "--trace-ascii", "trace", *arguments, f"http://127.0.0.1:{server.port}{path}"],
                         capture_output=True, text=True, check=False)
    assert got.returncode == 0, got
    text, _, status = got.stdout.rpartition("\n")
    with open("trace", encoding="utf-8", errors="replace") as f:
        return int(status), text, f.read()


def sent_bytes(trace):
    """Bytes of a body that curl sent, as its trace has them."""
    return sum(int(n) for n in re.findall(r"=> Send data, (\d+) bytes", trace))


@case
def a_form_of_curls_comes_apart_into_files_and_texts():
    big, small = os.urandom(5_000_003), b"tiny"
    with open("big.bin", "wb") as f:
        f.write(big)
    with open("small clip.y4m", "wb") as f:
        f.write(small)
    with Server() as server:
        status, text, _ = curl(server, "-F", "spec={};type=application/json", "-F", "reference=@big.bin", "-F",
                               "distorted=@small clip.y4m;type=video/x-yuv4mpeg", "-F", "clip=inline")
        assert status == 200, text
        assert text.splitlines() == [
            "parts 4, body 0 ''", "spec|-|application/json|2|memory|{}",
            f"reference|big.bin|application/octet-stream|5000003|file|{sha256(big)}|whole",
            f"distorted|small clip.y4m|video/x-yuv4mpeg|4|file|{sha256(small)}|whole",
            f"clip|-|-|6|file|{sha256(b'inline')}|whole"], text
        assert open_files(server) == 0


@case
def a_body_of_another_type_comes_to_the_same_route_as_always():
    with Server() as server:
        answer = server.request("POST", "/parts", b'{"a":1}', {"Content-Type": "application/json"})
        assert answer.text == "parts 0, body 7 '{\"a\":1}'\n", answer.text
        problem(server.request("POST", "/parts", b"x" * (1 << 20) + b"x", {"Content-Type": "application/json"}), 413)
        problem(server.request("POST", "/parts", b"", {"Content-Type": "multipart/form-data"}), 400, "boundary")
        raw = server.raw(b"POST /parts HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
                         b"Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 2\r\n\r\n{}")
        assert raw.startswith(b"HTTP/1.1 400"), raw


@case
def a_form_arrives_the_same_in_whatever_pieces():
    body, headers = form(("spec", None, b"\r\n--edg"), ("reference", "a/b.y4m", b"\r\n--edge-not\r\n".replace(b"edge", b"edg")))
    head = f"POST /parts HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: {headers['Content-Type']}\r\n"
    with Server() as server:
        whole = server.request("POST", "/parts", body, headers).text
        assert "reference|b.y4m|-|" in whole and "whole" in whole
        with server.connect() as s:
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            s.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode())
            for i in range(len(body)):
                s.sendall(body[i:i + 1])
            assert drain(s).decode().endswith(whole)
        chunks = b"".join(b"3\r\n" + body[i:i + 3] + b"\r\n" for i in range(0, len(body) - len(body) % 3, 3))
        rest = body[len(body) - len(body) % 3:]
        chunks += f"{len(rest)}\r\n".encode() + rest + b"\r\n" if rest else b""
        assert server.raw(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode() + chunks + b"0\r\n\r\n").decode().endswith(whole)


@case
def a_form_that_is_none_is_refused_and_the_connection_serves_on():
    small = ("a", None, b"1")
    cases = [
        (form(*[small] * 33), "more than 32 parts"),
        (form(*[("f", "x", b"1")] * 9), "more than 8 files"),
        (form(("a", None, b"x" * 65537)), "65536"),
        ((form(small)[0][:-9], form(small)[1]), "last boundary"),
        ((b"--other--\r\n", form(small)[1]), "boundary"),
        ((form(small)[0] + b"more", form(small)[1]), "follows"),
        (form(("a\x01", None, b"1")), "control characters"),
    ]
    with Server() as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE_S)
        for (body, headers), words in cases:
            assert problem(server.request("POST", "/parts", body, headers, connection), 400, words)
        for body, headers in (form(*[small] * 32), form(*[("f", "x", b"1")] * 8), form(("a", None, b"x" * 65536))):
            assert server.request("POST", "/parts", body, headers, connection).status == 200
        assert open_files(server) == 0


@case
def a_body_goes_to_a_file_with_its_digest():
    with Server() as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE_S)
        for size in (0, 1, 131071, 131072, 131073, 3_000_000):
            data = os.urandom(size)
            answer = server.request("PUT", "/files/1", data, connection=connection)
            assert (answer.status, answer.text) == (201, f"{size} {sha256(data)}\n"), answer.text
            connection.request("PUT", "/files/1?echo=1", iter([data[i:i + 70000] for i in range(0, size, 70000)]))
            assert connection.getresponse().read() == data
        assert server.request("PUT", "/files/1?leave=1", b"x").text == f"0 {sha256(b'x')}\n"
        assert server.request("PUT", "/tiny/1", b"x" * 1000).text == "1000 \n"
        assert open_files(server) == 0


@case
def what_the_headers_show_is_refused_before_the_body_is_sent():
    with open("big.bin", "wb") as f:
        f.truncate(50_000_000)
    with Server(upload_max_bytes=40_000_000) as server:
        expect = ["-H", "Expect: 100-continue", "--expect100-timeout", str(PATIENCE_S)]
        for words, status in ((["-T", "big.bin"], 413), (["-F", "x=@big.bin", "-X", "POST"], 413),
                              (["-T", "big.bin", "-H", "X-Who: nobody"], 401), (["-T", "big.bin", "-H", "X-Who: reader"], 403)):
            got, text, trace = curl(server, *expect, *words, path="/parts" if "-F" in words else "/files/1")
            assert got == status and json.loads(text)["status"] == status, text
            assert sent_bytes(trace) == 0 and "100 Continue" not in trace, trace[:3000]
        with open("big.bin", "wb") as f:
            f.truncate(30_000_000)
        got, text, trace = curl(server, *expect, "-T", "big.bin", path="/files/1")
        assert got == 201 and text.startswith("30000000 ") and "100 Continue" in trace, text
        assert open_files(server) == 0


@case
def a_body_without_a_length_is_cut_at_the_limit_and_told():
    with Server(upload_max_bytes=1_000_000) as server:
        c = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE_S)
        c.request("PUT", "/files/1", iter([b"x" * 100_000] * 11))
        answer = c.getresponse()
        answer.text = answer.read().decode()
        assert problem(answer, 413)["error"] == "LIMIT"
        c.request("PUT", "/files/1", iter([b"x" * 100_000] * 10))  # the connection goes on, and so much is allowed
        assert c.getresponse().read().startswith(b"1000000 ")


@case
def uploads_together_have_a_limit_in_bytes_and_in_number():
    def begin(server, length):
        s = server.connect()
        s.sendall(f"PUT /files/1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {length}\r\n\r\nx".encode())
        return s
    with Server(uploads_max_bytes=1000, upload_max_bytes=10_000) as server, begin(server, 900) as first:
        until(lambda: open_files(server) == 1)
        problem(server.request("PUT", "/files/2", b"y" * 101), 503, "uploads")
        assert server.request("PUT", "/files/2", b"y" * 100).status == 201
        first.sendall(b"x" * 899)
        assert b" 201 " in drain(first)
        assert server.request("PUT", "/files/2", b"y" * 1000).status == 201
    with Server(uploads_max=1) as server, begin(server, 2) as first:
        until(lambda: open_files(server) == 1)
        problem(server.request("PUT", "/files/2", b"y"), 503, "uploads")
        first.close()  # a client that leaves makes room
        until(lambda: server.request("PUT", "/files/2", b"y").status == 201)
        assert open_files(server) == 0


@case
def one_owner_has_at_most_half_of_the_places():
    def begin(server, who, headers=""):
        s = server.connect()
        s.sendall(f"PUT /files/1 HTTP/1.1\r\nHost: a\r\nX-Who: {who}\r\nConnection: close\r\nContent-Length: 2\r\n{headers}"
                  "\r\nx".encode())
        return s

    with Server(uploads_max=4) as server, contextlib.ExitStack() as stack:
        own = [stack.enter_context(begin(server, "alice")) for _ in range(2)]
        until(lambda: open_files(server) == 2)
        refused = [stack.enter_context(begin(server, "alice")) for _ in range(3)]  # whose bodies go on to come
        problem(server.request("PUT", "/files/2", b"y", {"X-Who": "alice"}), 503, "half of the places")
        others = [stack.enter_context(begin(server, "bob"))]
        until(lambda: open_files(server) == 3)
        assert server.request("PUT", "/files/2", b"y", {"X-Who": "bob"}).status == 201
        others.append(stack.enter_context(begin(server, "carol")))
        until(lambda: open_files(server) == 4)
        problem(server.request("PUT", "/files/2", b"y", {"X-Who": "dave"}), 503, "too many uploads")
        for s, status in [(s, b" 201 ") for s in own + others] + [(s, b" 503 ") for s in refused]:
            s.sendall(b"x")
            assert status in drain(s).split(b"\r\n")[0], status
        assert server.request("PUT", "/files/2", b"y", {"X-Who": "alice"}).status == 201


@case
def a_client_that_leaves_midway_leaves_nothing_behind():
    body, headers = form(("a", None, b"1"), ("f", "x", b"y" * 700_000), ("g", "x", b"z" * 700_000))
    head = (f"POST /parts HTTP/1.1\r\nHost: a\r\nContent-Type: {headers['Content-Type']}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n").encode()
    with Server(uploads_max_bytes=2 * len(body)) as server:
        for cut in (1, 100, 200_000, 1_000_000, len(body) - 1):
            with server.connect() as s:
                s.sendall(head + body[:cut])
        until(lambda: open_files(server) == 0 and server.request("POST", "/parts", body, headers).status == 200)
        assert server.request("POST", "/parts", body, headers).status == 200


@case
def an_upload_may_take_its_time_but_not_stand_still():
    with Server(body_timeout_ms=300, body_min_rate=1000, send_timeout_ms=60_000) as server:
        with server.connect() as fast, server.connect() as still:
            for s in (fast, still):
                s.sendall(b"PUT /files/1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 15000\r\n\r\n")
            end = time.monotonic() + 1.2  # four times the limit of a body in memory
            n = 0
            while time.monotonic() < end or n < 15000:
                fast.sendall(b"x" * min(100, 15000 - n))
                n += min(100, 15000 - n)
                time.sleep(0.008)
            assert b" 201 " in drain(fast)
            assert drain(still) == b""  # and not before long: this test would hang


@contextlib.contextmanager
def small_disk(size):
    """A file system of its own of so many bytes."""
    os.mkdir("disk")
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", "disk"], check=False, capture_output=True).returncode:
        raise Skip("this needs the right to mount a file system")
    try:
        yield os.path.abspath("disk")
    finally:
        subprocess.run(["umount", "disk"], check=True)


@case
def a_full_disk_is_507_and_told_before_or_after():
    def free(folder):
        disk = os.statvfs(folder)
        return disk.f_bavail * disk.f_frsize
    with small_disk(4 << 20) as folder, Server(upload_folder=folder) as server:
        room = free(folder)
        assert problem(server.request("PUT", "/files/1", b"x" * (5 << 20)), 507, "no room")["error"] == "IO"
        c = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE_S)
        for path, data, headers in (("/files/1", iter([b"x" * (1 << 20)] * 6), {}),
                                    ("/parts", iter([form(("f", "x", b"y" * (5 << 20)))[0]]), form()[1])):
            c.request("POST" if path == "/parts" else "PUT", path, data, headers)  # without a length
            answer = c.getresponse()
            answer.text = answer.read().decode()
            problem(answer, 507, "no room")
            assert free(folder) == room
        assert server.request("PUT", "/files/1", b"x" * (3 << 20)).status == 201
        c.close()
    got = subprocess.run([PROGRAM, "upload_folder=/nowhere"], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert got.returncode == 1 and "/nowhere" in got.stderr, got


@case
def the_server_stops_while_uploads_are_under_way():
    with Server(env={"GRACE_MS": "200"}) as server:
        uploads = [server.connect() for _ in range(4)]
        for i, s in enumerate(uploads):
            s.sendall(b"PUT /files/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 9000000\r\n\r\n" + b"x" * (i * 200_000))
        until(lambda: open_files(server) == 4)
        out, took = server.stop()
        assert out[0] == "STOPPED" and took < 30, (out, took)
        for s in uploads:
            s.close()


# ---- files as answers, clients that leave ----

def memory_kib(server):
    with open(f"/proc/{server.process.pid}/status", encoding="ascii") as f:
        return int(re.search(r"VmHWM:\s+(\d+)", f.read()).group(1))


@case
def a_file_is_an_answer_of_any_size_and_takes_no_memory():
    with Server() as server:
        server.request("GET", "/zeros/1")
        before = memory_kib(server)
        c = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE_S)
        c.request("GET", f"/zeros/{1 << 30}")
        answer = c.getresponse()
        assert answer.headers["Content-Length"] == str(1 << 30) and answer.headers["ETag"] == '"zeros"'
        total, block = 0, bytearray(1 << 20)
        while n := answer.readinto(block):
            total += n
        assert total == 1 << 30
        assert memory_kib(server) < before + 20_000, (before, memory_kib(server))
        c.request("HEAD", "/zeros/123")
        answer = c.getresponse()
        assert answer.headers["Content-Length"] == "123" and answer.read() == b""
        c.request("GET", "/zeros/0")
        answer = c.getresponse()
        assert answer.status == 200 and answer.headers["Content-Length"] == "0" and answer.read() == b""
        problem(server.request("GET", "/no-file"), 400)
        with server.connect() as s:  # leaves midway
            s.sendall(b"GET /zeros/100000000 HTTP/1.1\r\nHost: a\r\n\r\n")
            s.recv(1000)
        until(lambda: open_files(server) == 0)
        c.close()


@case
def a_handler_notices_that_its_client_left():
    def numbers():
        return [int(n) for n in server.request("GET", "/left").text.split()]
    with Server() as server:
        quiet, talker, half, stays = (server.connect() for _ in range(4))
        for s in (quiet, half, stays):
            s.sendall(b"GET /work HTTP/1.1\r\nHost: a\r\n\r\n")
        talker.sendall(b"GET /work HTTP/1.1\r\nHost: a\r\n\r\nGET /livez HTTP/1.1\r\nHost: a\r\n\r\n")
        until(lambda: numbers() == [4, 0, 0])
        quiet.close()
        until(lambda: numbers() == [3, 1, 0])
        talker.close()  # its next request waits in the socket all the while
        until(lambda: numbers() == [2, 2, 0])
        half.shutdown(socket.SHUT_WR)
        until(lambda: numbers() == [1, 3, 0])
        heard = drain(half)  # libmicrohttpd closes now and then before the answer is there
        assert not heard or b" 499 " in heard, heard
        stays.sendall(b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n")
        for _ in range(20):
            assert numbers() == [1, 3, 0]
        for s in (half, stays):
            s.close()
        until(lambda: numbers() == [0, 4, 0])


if __name__ == "__main__":
    main()

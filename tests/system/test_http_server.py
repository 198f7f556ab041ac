# SPDX-License-Identifier: BSD-2-Clause-Patent
"""The HTTP server from outside: Python's client where a well-behaved one will do, raw sockets where not."""
import contextlib
import http.client
import json
import os
import re
import socket
import ssl
import subprocess
import threading
import time
import warnings

from harness import PROGRAM, case, main
from http_peer import PATIENCE_S, Server, drain, make_pair, problem, until


@case
def a_request_arrives_whole_and_its_answer_too():
    with Server() as server:
        answer = server.request("POST", "/v1/things/a%20b?x=1&y=%C3%A4+z", b"the body", {"X-Test": "yes"})
        assert answer.status == 200 and answer.headers["X-Answer"] == "yes"
        for line in ("route POST /v1/things/{id}", "id a b", "header yes", "loopback 1", "encrypted 0", "len 8",
                     "query x=1", "query y=ä z", "body the body"):
            assert line in answer.text.split("\n"), (line, answer.text)
        assert answer.headers["X-Content-Type-Options"] == "nosniff" and answer.headers["Cache-Control"] == "no-store"
        answer = server.request("PUT", "/v1/things/7/inline", b"x" * 1000)
        assert "len 1000" in answer.text


@case
def what_is_not_there_is_404_and_another_method_405_with_allow():
    with Server() as server:
        problem(server.request("GET", "/nothing"), 404)
        problem(server.request("GET", "/v1/things/"), 404)
        answer = server.request("DELETE", "/v1/things/1")
        problem(answer, 405)
        assert answer.headers["Allow"] == "GET, HEAD, POST", answer.headers["Allow"]
        problem(server.request("GET", "/a/../b"), 400)
        problem(server.request("GET", "/a?%zz"), 400)


@case
def head_has_the_headers_of_get_and_no_body():
    with Server() as server:
        got, head = (server.request(method, "/v1/things/1") for method in ("GET", "HEAD"))
        assert head.status == 200 and head.text == "" and head.headers["Content-Length"] == got.headers["Content-Length"]
        raw = server.raw(b"HEAD /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert raw.endswith(b"\r\n\r\n") and b"200" in raw.split(b"\r\n")[0]
        problem(server.request("GET", "/fail/STATE"), 409)


@case
def errors_of_handlers_become_problems_by_the_table_of_errors():
    with Server() as server:
        for name, status in (("NOT_FOUND", 404), ("FORBIDDEN", 403), ("BUSY", 429), ("INTERNAL", 500), ("UNSUPPORTED", 501),
                             ("UNREACHABLE", 503), ("DEADLINE", 504), ("CANCELLED", 499)):
            answer = server.request("GET", f"/fail/{name}")
            value = problem(answer, status)
            assert value["detail"] == 'a "quoted" reason\nwith a line break' and value["error"] == name, value
        answer = server.request("GET", "/fail/UNAUTHENTICATED")
        problem(answer, 401)
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        answer = server.request("GET", "/fail/UNAUTHENTICATED", headers={"Authorization": "Bearer of bad news"})
        assert answer.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'


@case
def authorization_is_asked_before_the_body_comes():
    with Server() as server:
        problem(server.request("GET", "/v1/things/1", headers={"X-Who": "nobody"}), 401, "who are you")
        assert "kept admin\n" in server.request("GET", "/v1/things/1", headers={"X-Who": "admin"}).text
        assert "kept" not in server.request("GET", "/v1/things/1").text
        problem(server.request("HEAD", "/v1/things/1", headers={"X-Who": "admin"}) and
                server.request("GET", "/v1/things/1", headers={"X-Who": "reader"}), 403, "for GET /v1/things/{id}")
        with server.connect() as s:  # the body never comes, the answer does
            s.sendall(b"POST /v1/things/1 HTTP/1.1\r\nHost: a\r\nX-Who: nobody\r\nContent-Length: 1000\r\n\r\n")
            assert b"401" in drain(s).split(b"\r\n")[0]


@case
def an_early_refusal_is_heard_by_who_sends_everything_before_it_listens():
    body = b"x" * (16 << 20)
    refusals = (("/v1/things/1", {"X-Who": "nobody"}, 401), ("/v1/things/1", {"X-Who": "reader"}, 403),
                ("/nothing", {}, 404), ("/livez", {}, 405), ("/v1/things/1", {"Content-Encoding": "gzip"}, 415))
    with Server() as server:
        for path, headers, status in refusals:
            problem(server.request("POST", path, body, headers), status)
        problem(server.request("POST", "/nothing", (body[:1 << 20] for _ in range(16))), 404)  # chunked
        raw = server.raw(b"GET /livez HTTP/1.1\r\nHost: a\r\nX-Long: " + body + b"\r\n\r\n")
        assert b"431" in raw.split(b"\r\n")[0], raw[:100]
        raw = server.raw(b"GET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" + body)  # more behind it
        assert b"200" in raw.split(b"\r\n")[0], raw[:100]
    make_pair("cert.pem", "key.pem", "localhost")
    with Server(cert="cert.pem", key="key.pem") as server:
        context = ssl.create_default_context(cafile="cert.pem")
        c = http.client.HTTPSConnection("localhost", server.port, timeout=PATIENCE_S, context=context)
        problem(server.request("POST", "/v1/things/1", body, {"X-Who": "nobody"}, c), 401)
        c.close()


@case
def who_was_refused_and_does_not_go_holds_nothing_for_long():
    head = b"POST /v1/things/1 HTTP/1.1\r\nHost: a\r\nX-Who: nobody\r\nContent-Length: 1000000000\r\n\r\n"
    with Server(connections_max=8) as server, contextlib.ExitStack() as stack:
        def sockets():
            links = (os.path.join(f"/proc/{server.process.pid}/fd", fd) for fd in os.listdir(f"/proc/{server.process.pid}/fd"))
            return sum(os.readlink(link).startswith("socket:") for link in links if os.path.islink(link))
        before = sockets()
        silent = [stack.enter_context(server.connect()) for _ in range(40)]
        for s in silent:  # more than there are places: each leaves its own at once
            s.sendall(head)
            assert b"401" in drain(s).split(b"\r\n")[0]
        until(lambda: sockets() == before)
        s, sent = stack.enter_context(server.connect()), 0
        s.sendall(head)
        try:
            while sent < 1_000_000_000:
                sent += s.send(b"x" * 65536)
        except OSError:
            pass
        assert sent < 500_000_000, sent


@case
def who_leaves_amid_the_headers_gives_the_place_back():
    with Server(connections_max=20, comment_ms=100, **dict.fromkeys(
            ("receive_timeout_ms", "body_timeout_ms", "send_timeout_ms"), 600000)) as server:
        for first in (b"GET /v1/things/1 HTTP/1.1\r\nHost: a\r\nX-Half: a", b"GET /v1/th"):
            leavers = [server.connect() for _ in range(19)]
            last = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE_S)
            assert server.request("GET", "/livez", connection=last).status == 200  # so all before it have their places
            for i, s in enumerate(leavers):
                s.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)  # what is sent and the end arrive together
                s.sendall(first)
                s.shutdown(socket.SHUT_WR) if i % 2 else s.close()
            for _ in range(19):  # each waits for a place, and keeps it
                leavers.append(http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE_S))
                assert server.request("GET", "/v1/things/1", connection=leavers[-1]).status == 200
            for s in (last, *leavers):
                s.close()


@case
def a_body_above_its_limit_is_413_by_its_announced_length_or_when_it_gets_there():
    with Server() as server:
        for more in ("Content-Length: 524288000", "Content-Length: 52428800\r\nExpect: 100-continue"):  # before any body
            raw = server.raw(f"POST /v1/things/1 HTTP/1.1\r\nHost: a\r\n{more}\r\n\r\n".encode())
            assert b"413" in raw.split(b"\r\n")[0], raw[:200]
        problem(server.request("POST", "/v1/things/1", b"x" * (5 << 20)), 413)  # a client that listens when all is sent
        chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
        raw = server.raw(b"POST /v1/things/1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n" +
                         chunk * 32 + b"0\r\n\r\n")
        assert b"413" in raw.split(b"\r\n")[0], raw[:200]
        assert server.request("POST", "/small/1", b"x" * 100).status == 200
        problem(server.request("POST", "/small/1", b"x" * 101), 413)
        assert server.request("POST", "/small/1", (b"x" for _ in range(100))).status == 200  # chunked
        problem(server.request("POST", "/small/1", (b"x" for _ in range(101))), 413)
        assert "len 1048576" in server.request("POST", "/v1/things/1", b"x" * (1 << 20)).text


@case
def fifty_megabytes_are_refused_and_cost_no_memory():
    with Server() as server:
        def peak_kb():
            with open(f"/proc/{server.process.pid}/status", encoding="ascii") as f:
                return int(re.search(r"VmHWM:\s+(\d+)", f.read())[1])
        before = peak_kb()
        body = b"x" * (50 << 20)
        raw = server.raw(b"POST /v1/things/1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body) +
                         body)
        assert b"413" in raw.split(b"\r\n")[0], raw[:200]
        chunked = b"".join(b"100000\r\n" + body[:1 << 20] + b"\r\n" for _ in range(50)) + b"0\r\n\r\n"
        raw = server.raw(b"POST /v1/things/1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n" +
                         chunked)
        assert b"413" in raw.split(b"\r\n")[0], raw[:200]
        if "libasan" not in open(f"/proc/{server.process.pid}/maps", encoding="utf-8").read():
            assert peak_kb() - before < 20000, (before, peak_kb())
        assert server.request("GET", "/livez").status == 200


@case
def all_bodies_together_have_a_limit():
    with Server(bodies_max_bytes=200000) as server:
        problem(server.request("POST", "/v1/things/1", b"x" * 300000), 503, "too many bodies")
        assert server.request("POST", "/v1/things/1", b"x" * 100000).status == 200
        for _ in range(5):  # what was taken is given back
            assert server.request("POST", "/v1/things/1", b"x" * 100000).status == 200


@case
def a_request_whose_end_is_ambiguous_is_refused():
    both = b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n"
    two = b"Content-Length: 4\r\nContent-Length: 5\r\n"
    for headers in (both, two, b"Content-Length: 4\r\nContent-Length: 4\r\n", b"Content-Length: +4\r\n",
                    b"Transfer-Encoding: gzip, chunked\r\n", b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"):
        with Server() as server:
            smuggled = b"0\r\n\r\nGET /v1/things/smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
            raw = server.raw(b"POST /v1/things/1 HTTP/1.1\r\nHost: a\r\n" + headers + b"\r\n" + smuggled)
            assert raw.split(b" ")[1] in (b"400", b"501"), raw[:200]
            assert b"smuggled" not in raw and set(re.findall(rb"HTTP/1.1 (\d+)", raw)) <= {b"400", b"501"}, raw


@case
def headers_above_their_limit_are_refused():
    with Server() as server:
        raw = server.raw(b"GET /livez HTTP/1.1\r\nHost: a\r\nX-Long: " + b"x" * 60000 + b"\r\n\r\n")
        assert b"431" in raw.split(b"\r\n")[0], raw[:100]
        raw = server.raw(b"GET /" + b"x" * 60000 + b" HTTP/1.1\r\nHost: a\r\n\r\n")
        assert raw.split(b" ")[1] in (b"414", b"431"), raw[:100]
        raw = server.raw(b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert b"400" in raw.split(b"\r\n")[0], raw[:100]
        raw = server.raw(b"GET /livez HTTP/1.1\r\nConnection: close\r\n\r\n")  # no Host
        assert b"400" in raw.split(b"\r\n")[0], raw[:100]
        assert server.request("GET", "/livez").status == 200


@case
def pipelined_requests_are_answered_in_order():
    with Server() as server:
        requests = b"".join(b"POST /v1/things/%d HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc" % i for i in range(50))
        raw = server.raw(requests + b"GET /v1/things/last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert re.findall(rb"\nid (\w+)\n", raw) == [b"%d" % i for i in range(50)] + [b"last"]


@case
def a_connection_serves_many_requests():
    with Server() as server:
        c = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE_S)
        for i in range(100):
            assert f"id {i}\n" in server.request("GET", f"/v1/things/{i}", connection=c).text
        port = c.sock.getsockname()[1]
        problem(server.request("GET", "/fail/STATE", connection=c), 409)
        assert c.sock.getsockname()[1] == port
        c.close()


@case
def senders_that_take_their_time_are_cut_whatever_they_send():
    with Server(receive_timeout_ms=1500, body_timeout_ms=1500, send_timeout_ms=60000) as server:
        def slowly(first, drop):
            """Sends a byte every 50 ms for as long as it is let."""
            with server.connect() as s:
                try:
                    s.sendall(first)
                    end = time.monotonic() + PATIENCE_S
                    while time.monotonic() < end:
                        s.sendall(drop)
                        s.settimeout(0.05)
                        try:
                            return s.recv(1000) == b""
                        except socket.timeout:
                            pass
                except OSError:
                    return True
            return False
        assert slowly(b"", b"G"), "the first line"
        assert slowly(b"GET /livez HTTP/1.1\r\nHost: a\r\n", b"X: y\r\n"), "headers"
        assert slowly(b"POST /v1/things/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n", b"x"), "a body"
        with server.connect() as s:  # says nothing at all
            assert s.recv(1) == b""
        with server.connect() as s:  # says nothing more
            s.sendall(b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n")
            assert b"alive" in drain(s)
        assert server.request("GET", "/livez").status == 200


@case
def a_handler_that_waits_is_not_cut_and_a_full_pool_says_503():
    with Server(threads=2, waiting_max=1, receive_timeout_ms=2000, body_timeout_ms=2000) as server:
        answers = []
        threads = [threading.Thread(target=lambda: answers.append(server.request("GET", "/wait"))) for _ in range(3)]
        threads[0].start()
        threads[1].start()
        until(lambda: server.request("POST", "/release?n=0").text == "2")
        with server.connect() as s:
            assert s.recv(1) == b""  # who says nothing was cut, so those inside have been there for longer than that
        assert server.request("POST", "/release?n=0").text == "2"
        threads[2].start()  # waits for a thread
        deadline = time.monotonic() + PATIENCE_S
        refused = None
        while time.monotonic() < deadline:  # the third may not have arrived yet: then this one waits in its place
            with server.connect() as s:
                s.settimeout(0.3)
                s.sendall(b"GET /wait HTTP/1.1\r\nHost: a\r\n\r\n")
                try:
                    refused = s.recv(1000)
                    break
                except socket.timeout:
                    pass
        assert refused and b" 503 " in refused.split(b"\r\n")[0], refused
        assert b"Retry-After" in refused
        assert server.request("GET", "/livez").status == 200 and server.request("GET", "/readyz").status == 200
        until(lambda: server.request("POST", "/release?n=1").text == "0")
        for thread in threads:
            thread.join()
        assert sorted(a.status for a in answers) in ([200, 200, 200], [200, 200, 503]), [a.status for a in answers]


@case
def probes_say_what_is_missing():
    with Server() as server:
        assert server.request("GET", "/livez").text == "alive\n"
        assert server.request("GET", "/readyz").text == "ready\n"
        assert server.request("GET", "/startupz").text == "started\n"
        problem(server.request("GET", "/metrics"), 404, "OTEL_METRICS_EXPORTER")
        problem(server.request("POST", "/livez", b""), 405)
        for name in ("not-ready", "hangs"):
            open(name, "w", encoding="ascii").close()
        problem(server.request("GET", "/readyz"), 503, "the store is not open: 'jobs.db'")
        problem(server.request("GET", "/livez"), 503, "has not turned")


@case
def requests_are_counted_by_route_and_probes_are_not():
    with Server(env={"OTEL_METRICS_EXPORTER": "prometheus"}) as server:
        for i in range(3):
            server.request("GET", f"/v1/things/{i}?token=secret")
        server.request("GET", "/no/such/path")
        server.request("BREW", "/v1/things/1")
        server.request("GET", "/fail/INTERNAL")
        server.request("GET", "/livez")
        def counts():
            page = server.request("GET", "/metrics")
            assert page.status == 200 and page.headers["Content-Type"].startswith("text/plain")
            lines = re.findall(r"^http_server_request_duration_seconds_count\{(.*)\} (\d+)", page.text, re.M)
            return {tuple(sorted(re.findall(r'(\w+)="([^"]*)"', labels))): int(n) for labels, n in lines}, page.text
        def of(**labels):
            wanted = {(k, str(v)) for k, v in labels.items()}
            return sum(n for have, n in counts()[0].items() if wanted <= set(have))
        until(lambda: sum(counts()[0].values()) == 6)  # an answer is counted just after it was sent
        assert of(http_route="/v1/things/{id}", http_request_method="GET", http_response_status_code=200,
                  url_scheme="http", network_protocol_version="1.1") == 3
        assert of(http_response_status_code=404) == 1 and of(http_request_method="_OTHER", http_response_status_code=405) == 1
        assert of(error_type=500, http_route="/fail/{name}") == 1
        text = counts()[1]
        assert "livez" not in text and "secret" not in text and "/no/such" not in text
        assert re.search(r'^http_server_active_requests\{.*http_request_method="GET".*\} 0$', text, re.M), text


def read_events(s, n, got=b""):
    """Reads until n events came; the events, and what follows."""
    while got.count(b"\n\n") < n:
        piece = s.recv(65536)
        assert piece, got
        got += piece
    return got


def open_stream(server, query="", headers=""):
    s = server.connect()
    s.sendall(f"GET /events{query} HTTP/1.1\r\nHost: a\r\n{headers}\r\n".encode())
    return s, read_events(s, 2)  # a comment, and hello


@case
def an_event_stream_carries_events_in_order_until_it_is_finished():
    with Server() as server:
        s, got = open_stream(server, headers="Last-Event-ID: 41\r\n")
        head = got.split(b"\r\n\r\n")[0].lower()
        assert b" 200 " in head and b"content-type: text/event-stream" in head and b"cache-control: no-store" in head
        assert b"event: hello\ndata: 41\n\n" in got
        server.request("POST", "/publish?id=42&event=state", b"one\ntwo")
        got = read_events(s, 3, got)
        assert b"id: 42\nevent: state\ndata: one\ndata: two\n\n" in got
        server.request("POST", "/finish")
        rest = drain_chunked(s)
        assert rest.endswith(b"0\r\n\r\n"), rest
        problem(server.request("HEAD", "/events") and server.request("GET", "/fail/STATE"), 409)
        s.close()


def drain_chunked(s):
    got = b""
    while not got.endswith(b"0\r\n\r\n"):
        piece = s.recv(65536)
        if not piece:
            break
        got += piece
    return got


@case
def a_hundred_readers_hear_everything_and_half_of_them_may_leave():
    with Server() as server:
        readers = [open_stream(server) for _ in range(100)]
        until(lambda: json.loads(server.request("POST", "/publish", b"count").text)["readers"] == 100)
        for i in range(20):
            server.request("POST", f"/publish?id={i}", b"x" * 1000)
        for s, _ in readers[::2]:
            s.close()
        for i in range(20, 40):
            server.request("POST", f"/publish?id={i}", b"y" * 1000)
        for k, (s, got) in enumerate(readers):
            if k % 2 == 0:
                continue
            while b"id: 39\n" not in got:
                piece = s.recv(65536)
                assert piece
                got += piece
            ids = re.findall(rb"id: (\d+)\n", got)
            assert ids == [b"%d" % i for i in range(40)], ids
        until(lambda: json.loads(server.request("POST", "/publish", b"").text)["readers"] == 50)
        for s, _ in readers[1::2]:
            s.close()
        until(lambda: json.loads(server.request("POST", "/publish", b"").text)["readers"] == 0)
        out, _ = server.stop()
        assert out == ["STOPPED", "100", "0"], out


@case
def a_silent_stream_sends_comments_and_so_notices_who_has_left():
    with Server(comment_ms=50) as server:
        s, got = open_stream(server)
        read_events(s, 5, got)  # nothing was published: these are comments
        s.close()
        until(lambda: json.loads(server.request("POST", "/publish", b"").text)["closed"] == 1)


@case
def a_reader_that_does_not_read_is_cut_and_disturbs_nobody():
    with Server() as server:
        lazy, _ = open_stream(server, "?room=100000")
        keen, got = open_stream(server)
        big = b"z" * 90000
        n = 0
        while True:
            answer = json.loads(server.request("POST", f"/publish?id={n}", big).text)
            got = read_events(keen, n + 3, got)
            n += 1
            if answer["readers"] != answer["got"] or answer["readers"] < 2:
                break
            assert n < 1000, "the lazy one is still there"
        until(lambda: json.loads(server.request("POST", "/publish", b"").text)["readers"] == 1)
        assert re.findall(rb"id: (\d+)\n", got) == [b"%d" % i for i in range(n)]
        lazy.close()
        keen.close()


@case
def event_streams_have_a_limit():
    with Server(streams_max=2) as server:
        first, second = open_stream(server), open_stream(server)
        problem(server.request("GET", "/events"), 429)
        first[0].close()
        def again():  # the place is free once the server has noticed
            server.request("POST", "/publish", b"x")
            s = server.connect()
            s.sendall(b"GET /events HTTP/1.1\r\nHost: a\r\n\r\n")
            status = s.recv(12)
            s.close()
            return status == b"HTTP/1.1 200"
        until(again)
        second[0].close()


@case
def stopping_ends_streams_lets_requests_finish_and_closes_idle_connections():
    with Server(env={"GRACE_MS": "60000"}) as server:
        stream, _ = open_stream(server)
        idle = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE_S)
        server.request("GET", "/livez", connection=idle)
        answers = []
        thread = threading.Thread(target=lambda: answers.append(server.request("GET", "/wait")))
        thread.start()
        release = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE_S)
        until(lambda: server.request("POST", "/release?n=0", connection=release).text == "1")
        server.request("POST", "/release?n=1", connection=release)
        out, took = server.stop()
        assert took < 30, took
        thread.join()
        assert answers[0].status == 200 and answers[0].text == "released\n"
        assert drain_chunked(stream).endswith(b"0\r\n\r\n")
        assert out == ["STOPPED", "1", "0"], out
        assert idle.sock.recv(1) == b""


@case
def what_does_not_end_within_the_grace_is_told_and_answered():
    with Server(threads=1, env={"GRACE_MS": "100"}) as server:
        waiting = [server.connect() for _ in range(3)]
        for s in waiting:
            s.sendall(b"GET /wait HTTP/1.1\r\nHost: a\r\n\r\n")
        until(lambda: server.request("POST", "/release?n=0").text == "1")
        for _ in range(3):  # the server takes what has arrived before what comes later
            server.request("GET", "/livez")
        out, _ = server.stop()
        answers = [drain(s) for s in waiting]
        assert all(a.startswith(b"HTTP/1.1 503") for a in answers), answers
        assert sum(b"cancelled" in a for a in answers) == 1 and sum(b"stopping" in a for a in answers) == 2, answers
        assert out[0] == "STOPPED"


@case
def tls_is_served_by_a_certificate_and_old_versions_are_not():
    make_pair("cert.pem", "key.pem", "localhost")
    with Server(cert="cert.pem", key="key.pem") as server:
        context = ssl.create_default_context(cafile="cert.pem")
        c = http.client.HTTPSConnection("localhost", server.port, timeout=PATIENCE_S, context=context)
        answer = server.request("POST", "/v1/things/1", b"x" * 200000, connection=c)
        assert answer.status == 200 and "encrypted 1" in answer.text and "len 200000" in answer.text
        data = os.urandom(3_000_000)
        c.request("PUT", "/files/1?echo=1", data)
        assert c.getresponse().read() == data
        c.close()
        old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
        warnings.simplefilter("ignore", DeprecationWarning)  # that they are old is the point
        old.options |= ssl.OP_NO_TLSv1_2 | ssl.OP_NO_TLSv1_3
        try:
            with server.connect() as s, old.wrap_socket(s):
                raise AssertionError("TLS 1.1 was taken")
        except (ssl.SSLError, OSError):
            pass
        assert b"HTTP/1.1 200" not in server.raw(b"GET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")


@case
def a_handler_says_when_to_come_back_and_otherwise_it_is_in_a_second():
    with Server() as server:
        answer = server.request("GET", "/busy")
        assert problem(answer, 429, "three clips")["error"] == "BUSY" and answer.headers["Retry-After"] == "7"
        assert server.request("GET", "/fail/BUSY").headers["Retry-After"] == "1"


@case
def a_renewed_certificate_is_served_without_a_restart_and_a_broken_one_is_not():
    def served():
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with server.connect() as s, context.wrap_socket(s) as tls:
            return tls.getpeercert(binary_form=True)

    def pem(path):
        with open(path, encoding="ascii") as f:
            return ssl.PEM_cert_to_DER_cert(f.read())
    def read(path):
        with open(path, "rb") as f:
            return f.read()
    for i in (1, 2, 3):
        make_pair(f"cert{i}", f"key{i}", f"n{i}")
    for what in ("cert", "key"):
        os.link(f"{what}1", what)
    log = {"OTEL_LOGS_EXPORTER": "console"}
    with Server(cert="cert", key="key", cert_check_ms=20, env=log) as server:
        context = ssl.create_default_context(cafile="cert1")
        old = http.client.HTTPSConnection("localhost", server.port, timeout=PATIENCE_S, context=context)
        assert server.request("GET", "/v1/things/1", connection=old).status == 200
        assert served() == pem("cert1")
        os.replace("cert2", "cert.new")
        os.replace("cert.new", "cert")  # the pair does not fit yet
        for _ in range(5):
            assert served() == pem("cert1")
        os.replace("key2", "key")
        until(lambda: served() == pem("cert"))
        assert server.request("GET", "/v1/things/1", connection=old).status == 200  # as it was
        renewed, told = pem("cert"), read("stderr").count(b"cannot be used")  # maybe once, while the pair did not fit
        with open("cert.new", "w", encoding="ascii") as f:
            f.write("junk")
        os.replace("cert.new", "cert")
        until(lambda: read("stderr").count(b"cannot be used") > told)
        assert served() == renewed
        os.replace("key3", "key")
        os.replace("cert3", "cert")
        until(lambda: served() == pem("cert"))
        old.close()


@case
def a_start_that_cannot_be_says_why():
    def refused(*words, **settings):
        got = subprocess.run([PROGRAM, *[f"{k}={v}" for k, v in settings.items()]], stdin=subprocess.DEVNULL,
                             capture_output=True, text=True, timeout=PATIENCE_S, check=False)
        assert got.returncode == 1, got
        for word in words:
            assert word in got.stderr, got.stderr
    with open("junk", "w", encoding="ascii") as f:
        f.write("junk")
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        taken = f"127.0.0.1:{s.getsockname()[1]}"
        refused(taken, "in use", address=taken)
    for address in ("7800", "127.0.0.1", "127.0.0.1:x", "127.0.0.1:70000", "::1:80", "example.org:80", "[::1:80", ""):
        refused("cannot listen", address=address)
    refused("198.51.100.77", address="198.51.100.77:0")
    refused("both", cert="junk")
    refused("none.pem", cert="none.pem", key="junk")
    refused("junk", cert="junk", key="junk")


if __name__ == "__main__":
    main()

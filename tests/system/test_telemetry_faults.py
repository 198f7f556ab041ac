# SPDX-License-Identifier: BSD-2-Clause-Patent
"""Collectors that misbehave: scoring goes on as if telemetry were off, and each exporter says each thing once."""
import re
import socket
import struct
import threading

from harness import case, expect, main, pair, run

FEATURES = ("--features-only", "--feature", "vif", "--feature", "motion")
SHORT_MS, STUCK_S = 400, 60  # OTEL_EXPORTER_OTLP_TIMEOUT; after STUCK_S a run counts as unbounded
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n"
PATHS = {"span": "/v1/traces", "metric": "/v1/metrics"}
GAVE_UP, AGAIN = "gave up on a batch", "will try again"
LINE = re.compile(r"telemetry: otlp_(grpc|http)_(span|metric)_exporter: ([^:]+): (.+)")


def status(line, *headers):
    return "\r\n".join([f"HTTP/1.1 {line}", *headers, "Content-Length: 0", "", ""]).encode()


def reset(connection):
    """Closes with RST instead of FIN."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


class Peer:
    """Listens on 127.0.0.1 and does to each connection, on a thread of its own, what `behave(peer, connection)` says."""

    def __init__(self, behave):
        self.lock, self.requests, self.kept = threading.Lock(), [], []  # paths, in order; connections
        self.behave = behave
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with self.lock:
                self.kept.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        try:
            self.behave(self, connection)
        except OSError:
            pass  # the exporter has gone away, as it may

    def request(self, connection):
        """Reads a whole HTTP request and returns its path; None at the end of the connection."""
        data = b""
        while b"\r\n\r\n" not in data:
            more = connection.recv(65536)
            if not more:
                return None
            data += more
        head, _, body = data.partition(b"\r\n\r\n")
        rest = int(re.search(rb"(?i)content-length: *(\d+)", head)[1]) - len(body)
        while rest > 0:
            more = connection.recv(rest)
            if not more:
                return None
            rest -= len(more)
        path = head.split()[1].decode()
        with self.lock:
            self.requests.append(path)
        return path

    def seen(self, path):
        with self.lock:
            return self.requests.count(path)


# ---- What collectors do ----

def answers(*replies):
    """The first request of a signal gets the first reply and so on; the last one again and again. b'': hangs up."""
    def behave(peer, connection):
        while (path := peer.request(connection)) is not None:
            reply = replies[min(peer.seen(path), len(replies)) - 1]
            connection.sendall(reply)
            if not reply:
                connection.close()
                return
    return behave


def resets(_, connection):
    reset(connection)


def swallows(_, connection):
    while connection.recv(65536):
        pass


def drips(peer, connection):
    """An answer that goes on and never ends."""
    peer.request(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nX-Slow: ")
    while not threading.Event().wait(0.02):
        connection.sendall(b"z")


def answers_in_pieces(peer, connection):
    while peer.request(connection) is not None:
        for byte in OK:
            connection.sendall(bytes([byte]))


def dies_in_the_request(_, connection):
    connection.recv(16)
    reset(connection)


def dies_in_the_answer(peer, connection):
    peer.request(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc")
    connection.close()


def babbles(_, connection):
    connection.recv(65536)
    connection.sendall(bytes(range(256)) * 4)
    connection.close()


# ---- Checks ----

def score(env):
    return run("score", "--reference", "ref.y4m", "--distorted", "dis.y4m", *FEATURES, env=env, timeout=STUCK_S)


def complaints(stderr, protocol):
    """signal -> {what: why}. Every line is one of ours, and no exporter says a thing twice."""
    found = {}
    for line in stderr.splitlines():
        match = LINE.fullmatch(line)
        assert match and match[1] == protocol, f"an unexpected line: {line!r}\n{stderr}"
        said = found.setdefault(match[2], {})
        assert match[3] not in said, f"the {match[2]} exporter says it twice:\n{stderr}"
        said[match[3]] = match[4]
    return found


def results(process):
    """What it prints, but for the time it took."""
    return re.sub(r"^took .*", "", process.stdout, flags=re.M)


def check(name, port, protocol, timeout_ms, what, why, signals=("span", "metric")):
    """Exit code and results are those of a run without telemetry. It says `what`, or nothing for None, and before it
    perhaps that it will try again."""
    plain = expect(score({"OTEL_SDK_DISABLED": "true"}), 0)
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}",
           "OTEL_EXPORTER_OTLP_PROTOCOL": {"http": "http/protobuf"}.get(protocol, protocol)}
    if timeout_ms:
        env["OTEL_EXPORTER_OTLP_TIMEOUT"] = str(timeout_ms)
    if len(signals) == 1:
        env["OTEL_LOGS_EXPORTER"] = "none"
        env["OTEL_METRICS_EXPORTER" if signals[0] == "span" else "OTEL_TRACES_EXPORTER"] = "none"
    process = expect(score(env), plain.returncode)
    assert results(process) == results(plain), f"{name}: another stdout\n{process.stdout}\n{plain.stdout}"
    found = complaints(process.stderr, protocol)
    if what is None:
        assert not found, f"{name}: {process.stderr}"
        return
    assert set(found) == set(signals), f"{name}: not one line per exporter\n{process.stderr}"
    for said in found.values():
        assert what in said and set(said) <= {what, AGAIN}, f"{name}: {said!r}\n{process.stderr}"
        assert re.search(why, said[what]), f"{name}: {said!r}\n{process.stderr}"


def check_http(name, behave, timeout_ms, what, why, requests=None, signals=("span", "metric")):
    """requests: how many of each signal the collector must have seen."""
    peer = Peer(behave)
    check(name, peer.port, "http", timeout_ms, what, why, signals)
    for signal in signals if requests is not None else ():
        assert peer.seen(PATHS[signal]) == requests, f"{name}: {peer.requests}"


def check_second_try(name, behave, why):
    """Everything arrives at the end of the program, at the second attempt: of all signals, and of each alone."""
    check_http(name, behave, None, AGAIN, why, requests=2)
    for signal in PATHS:
        check_http(f"{name}, {signal}", behave, None, AGAIN, why, requests=2, signals=(signal,))


@case
def an_absent_collector_is_mentioned_once_per_signal():
    pair()
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    check("HTTP", port, "http", SHORT_MS, GAVE_UP, "connect")
    check("gRPC", port, "grpc", SHORT_MS, GAVE_UP, "gRPC status 14: .*connect")


@case
def one_that_resets_connections_is_given_up_on():
    pair()
    check_http("RST", resets, SHORT_MS, GAVE_UP, ".", requests=0)
    check("gRPC", Peer(resets).port, "grpc", SHORT_MS, GAVE_UP, "gRPC status 14|deadline")


@case
def one_that_never_answers_is_left_at_the_timeout():
    pair()
    check_http("black hole", swallows, SHORT_MS, GAVE_UP, "the deadline passed")
    check("gRPC", Peer(swallows).port, "grpc", SHORT_MS, GAVE_UP, "the deadline passed|gRPC status (4|14)")


@case
def without_a_timeout_of_ones_own_stopping_ends_the_wait():
    pair()
    check("HTTP", Peer(swallows).port, "http", None, GAVE_UP, "the deadline passed")


@case
def a_slow_answer_counts_and_one_without_end_does_not():
    pair()
    check_http("byte by byte", answers_in_pieces, None, None, None, requests=1)
    check_http("drips", drips, SHORT_MS, GAVE_UP, "the deadline passed", requests=1)


@case
def being_told_to_come_back_later_is_obeyed_within_the_timeout():
    pair()
    soon, late = (status("429 Too Many Requests", f"Retry-After: {s}") for s in (1, 3600))
    for signal in PATHS:  # a second is half of what stopping may take, and all of it is needed
        check_http(f"in a second, {signal}", answers(soon, OK), None, AGAIN, "429", requests=2, signals=(signal,))
    check_http("in an hour", answers(late, OK), None, GAVE_UP, "HTTP status 429", requests=1)


@case
def an_overloaded_collector_is_tried_again_only_while_there_is_time():
    pair()
    check_http("for good", answers(status("503 Service Unavailable")), SHORT_MS, GAVE_UP, "HTTP status 503|deadline")
    check_second_try("for once", answers(status("503 Service Unavailable"), OK), "HTTP status 503")


@case
def refusals_are_not_tried_again():
    pair()
    for line in ("400 Bad Request", "401 Unauthorized", "404 Not Found", "500 Internal Server Error"):
        check_http(line, answers(status(line)), None, GAVE_UP, f"HTTP status {line[:3]}", requests=1)


@case
def garbage_for_an_answer_is_harmless():
    pair()
    check_http("no HTTP", babbles, SHORT_MS, GAVE_UP, ".")
    body = b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"
    good = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 12\r\n\r\n" + body
    check_http("no protobuf", answers(good), None, "the collector warns", "its answer cannot be read", requests=1)
    check("gRPC", Peer(babbles).port, "grpc", SHORT_MS, GAVE_UP, "gRPC status|the deadline passed")


@case
def one_that_dies_in_between_is_given_up_on():
    pair()
    check_http("in the request", dies_in_the_request, SHORT_MS, GAVE_UP, ".")
    check_http("in the answer", dies_in_the_answer, SHORT_MS, GAVE_UP, ".")


@case
def one_that_restarts_gets_everything_after_all():
    pair()
    check_second_try("hung up once", answers(b"", OK), ".")


main()

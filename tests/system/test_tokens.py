# SPDX-License-Identifier: BSD-2-Clause-Patent
"""`vmafx tokens`, and a controller whose HTTP port is open to other machines and lets in who has one."""
import hashlib
import json
import os
import re
import socket
import stat
import subprocess
import time

from faults import Namespace
from fleet import DEADLINE_S, Process, program
from harness import Skip, case, expect, main, need, run

TOKEN = re.compile(r"vmafx_[A-Za-z0-9_-]{43}")
REFUSED_WITHIN_S = 2


def tokens(code, *arguments, words=(), env=None):
    return expect(run("tokens", *arguments, env={"VMAFX_TOKENS": "tokens", **(env or {})}), code, *words)


def new(name, role, *more):
    """Makes a token; its text."""
    text = tokens(0, "new", name, "--role", role, *more).stdout.strip()
    assert TOKEN.fullmatch(text), text
    return text


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def write(path, text):
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)


def hash_of(token):
    return hashlib.sha256(token.encode()).hexdigest()


# ---- The command ----


@case
def a_token_is_printed_once_and_only_its_hash_is_kept():
    made = tokens(0, "new", "alice", "--role", "writer", "--tenant", "films", words=["curl", "only its hash"])
    token = made.stdout.strip()
    assert TOKEN.fullmatch(token), made.stdout
    assert token not in made.stderr
    text = read("tokens")
    assert token not in text and f"sha256:{hash_of(token)} writer alice tenant=films expires=" in text
    assert stat.S_IMODE(os.stat("tokens").st_mode) == 0o600
    assert os.listdir(".") == ["tokens"]


@case
def tokens_are_listed_and_revoked_by_name_and_by_id():
    first, second, other = new("alice", "reader"), new("alice", "reader", "--days", "0"), new("bob", "admin", "--days", "7")
    listed = json.loads(tokens(0, "list", "--json").stdout)
    assert listed["schema"] == "vmafx.tokens" and listed["schema_version"] == 1
    assert [(t["id"], t["name"], t["role"], t["expired"]) for t in listed["tokens"]] == [
        (hash_of(first)[:12], "alice", "reader", False), (hash_of(second)[:12], "alice", "reader", False),
        (hash_of(other)[:12], "bob", "admin", False)], listed
    assert "expires" not in listed["tokens"][1]
    in_a_week = time.strftime("%Y-%m-%d", time.gmtime(time.time() + 7 * 86400))
    assert listed["tokens"][2]["expires"].startswith(in_a_week), listed
    tokens(0, "list", words=["alice", "never", "bob"])
    tokens(0, "revoke", hash_of(first)[:12], words=["1 token"])
    assert [t["id"] for t in json.loads(tokens(0, "list", "--json").stdout)["tokens"]] == [
        hash_of(second)[:12], hash_of(other)[:12]]
    assert json.loads(tokens(0, "revoke", "alice", "--json").stdout)["revoked"] == 1
    tokens(3, "revoke", "alice", words=["there is no token of 'alice'", "tokens list"])
    made = json.loads(tokens(0, "new", "carol", "--role", "reader", "--tenant", "t1", "--json").stdout)
    assert TOKEN.fullmatch(made["token"]) and made["tenant"] == "t1" and made["id"] == hash_of(made["token"])[:12], made


@case
def expired_tokens_are_shown_as_such():
    write("tokens", f"sha256:{'a' * 64} reader old expires=2020-01-01T00:00:00Z\n")
    tokens(0, "list", words=["2020-01-01T00:00:00Z EXPIRED"])
    assert json.loads(tokens(0, "list", "--json").stdout)["tokens"][0]["expired"] is True


@case
def mistakes_are_explained_and_change_nothing():
    tokens(3, "list", words=["there is no file 'tokens'", "tokens new"])
    tokens(3, "revoke", "alice", words=["tokens"])
    assert not os.path.exists("tokens")
    tokens(2, words=["new, list or revoke"])
    tokens(2, "nwe", "n", words=["did you mean 'new'"])
    tokens(2, "new", "--role", "reader", words=["whose token"])
    tokens(2, "revoke", words=["whose token"])
    tokens(2, "new", "alice", words=["--role"])
    tokens(2, "new", "alice", "--role", "boss", words=["there is no role 'boss'"])
    tokens(2, "new", "node-1", "--role", "node", words=["vmafx certs node"])
    tokens(2, "new", "a b", "--role", "reader", words=["cannot be a name"])
    tokens(2, "new", "x" * 64, "--role", "reader", words=["63"])
    tokens(2, "new", "alice", "--role", "reader", "--tenant", "a/b", words=["cannot be a tenant"])
    tokens(2, "new", "alice", "--role", "reader", "--tenant=", words=["empty"])
    tokens(2, "new", "alice", "--role", "reader", "--days", "3651", words=["0 to 3650"])
    tokens(2, "new", "alice", "bob", "--role", "reader", words=["one name at a time"])
    tokens(2, "list", "--role", "reader", words=["does not take"])
    tokens(2, "list", "alice", words=["does not take another argument"])
    tokens(6, "new", "alice", "--role", "reader", "--file", "/proc/nowhere", words=["/proc/nowhere"])
    assert not os.path.exists("tokens")
    new("alice", "reader")
    before = read("tokens")
    tokens(6, "new", "alice", "--role", "admin", words=["'alice' is reader there", "revoke alice"])
    assert read("tokens") == before
    write("tokens", before + "broken\n")
    for arguments in (("list",), ("new", "bob", "--role", "reader"), ("revoke", "alice")):
        tokens(3, *arguments, words=["line 3"])
    assert read("tokens") == before + "broken\n"


@case
def the_file_is_the_options_then_the_settings_then_the_homes():
    none = {"VMAFX_TOKENS": "", "HOME": "/nowhere"}
    tokens(0, "new", "a", "--role", "reader", env={**none, "XDG_CONFIG_HOME": os.path.abspath("config")})
    assert os.path.exists("config/vmafx/tokens")
    tokens(0, "new", "a", "--role", "reader", env={**none, "XDG_CONFIG_HOME": "", "HOME": os.path.abspath("home")})
    assert os.path.exists("home/.config/vmafx/tokens")
    assert stat.S_IMODE(os.stat("home/.config/vmafx").st_mode) == 0o700
    tokens(0, "new", "a", "--role", "reader", "--file", "named")
    assert os.path.exists("named") and not os.path.exists("tokens")


@case
def many_at_a_time_lose_nothing():
    """Adding and revoking, each a program of its own."""
    new("keep", "reader")
    command = [program("vmafx"), "tokens", "--file", "tokens"]
    running = [subprocess.Popen([*command, "new", f"n{i}", "--role", "reader"], stdout=subprocess.DEVNULL,
                                stderr=subprocess.DEVNULL) for i in range(16)]
    assert [p.wait(DEADLINE_S) for p in running] == [0] * 16
    running = [subprocess.Popen([*command, "revoke", f"n{i}"], stdout=subprocess.DEVNULL) for i in range(0, 16, 2)]
    assert [p.wait(DEADLINE_S) for p in running] == [0] * 8
    names = [t["name"] for t in json.loads(tokens(0, "list", "--json").stdout)["tokens"]]
    assert sorted(names) == sorted(["keep", *(f"n{i}" for i in range(1, 16, 2))]), names


# ---- A controller ----


def own_address():
    """An address of this machine that is not loopback, and what to close in the end."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        try:
            s.connect(("198.51.100.1", 9))  # sends nothing: it only chooses the way out
            if not s.getsockname()[0].startswith("127."):
                return s.getsockname()[0], None
        except OSError:
            pass
    if why := Namespace.missing():
        raise Skip(f"this machine has no address but loopback's, and cannot be given one: {why}")
    namespace = Namespace()
    return namespace.address, namespace


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as s:
        return s.getsockname()[1]


def start(*options, wait=True):
    """A controller with telemetry off but for its log lines."""
    arguments = [program("vmafx-controller"), "--grpc", "127.0.0.1:0", "--store", os.path.abspath("jobs.db"), *options]
    env = {**os.environ, "OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none",
           "HOME": os.getcwd()}
    controller = Process("controller", arguments, env, os.path.abspath("controller.log"))
    if wait:
        controller.wait_line(r'ready.*server\.port=')
    return controller


class Server:
    """A controller with TLS on HTTP, reached by this machine's own address."""

    def __init__(self, *options, address="0.0.0.0", tls=True):
        need("curl", "curl")
        self.host, self.namespace = own_address()
        self.port = free_port()
        self.scheme = "https" if tls else "http"
        if tls:
            expect(run("certs", "init", "-d", "certs"), 0)
            expect(run("certs", "server", "http", "--host", self.host, "--host", "127.0.0.1", "-d", "certs"), 0)
            options = ("--http-tls-cert", "certs/server-http.crt", "--http-tls-key", "certs/server-http.key", *options)
        self.options = ("--http", f"{address}:{self.port}", *options)
        self.controller = None

    def __enter__(self):
        self.controller = start(*self.options)
        return self

    def __exit__(self, kind, *_):
        code = self.controller.kill(15)
        if self.namespace:
            self.namespace.close()
        if kind:
            print(self.controller.lines()[-8000:])
        else:
            assert code == 0, f"ended with {code}:\n{self.controller.lines()}"

    def curl(self, path, *headers, host=None, more=()):
        """Status, headers and body."""
        options = [word for header in headers for word in ("-H", header)]
        if self.scheme == "https":
            options += ["--cacert", "certs/ca.crt"]
        got = subprocess.run(["curl", "-sS", "-i", "--http1.1", "--noproxy", "*", "-m", "30", *options, *more,
                              f"{self.scheme}://{host or self.host}:{self.port}{path}"], capture_output=True, text=True,
                             timeout=60, check=False)
        assert got.returncode == 0, got
        head, _, body = got.stdout.partition("\n\n")  # text mode has taken the \r away
        return int(head.split()[1]), head, body

    def status(self, path, token=None, host=None):
        return self.curl(path, *([f"Authorization: Bearer {token}"] if token else []), host=host)[0]

    def wait_status(self, path, token, wanted):
        """Until it answers so; how long that took, in seconds."""
        begin = time.monotonic()
        while self.status(path, token) != wanted:
            assert time.monotonic() - begin < DEADLINE_S, f"{path} never answers {wanted}"
            time.sleep(0.05)
        return time.monotonic() - begin

    def audits(self):
        """The audit lines so far, each as a dict of its attributes."""
        found = []
        for line in self.controller.lines().splitlines():
            if re.search(r"\baudit\b.*vmafx\.audit\.action=", line):
                found.append({key: value.strip('"') for key, value in re.findall(r'([\w.]+)=("[^"]*"|\S*)', line)})
        return found


@case
def off_loopback_probes_are_open_and_everything_else_needs_a_token():
    reader, writer = new("prometheus", "reader"), new("alice", "writer")
    with Server("--tokens", "tokens") as server:
        for path in ("/livez", "/readyz", "/startupz"):
            assert server.status(path) == 200, path
            assert server.status(path, "wrong") == 200, path  # a probe's mistake restarts nothing
        status, head, body = server.curl("/metrics")
        assert status == 401 and re.search(r"(?im)^www-authenticate: bearer$", head), head
        problem = json.loads(body)
        assert problem["status"] == 401 and "vmafx tokens new" in problem["detail"], problem
        for token in (reader, writer):
            status, _, body = server.curl("/metrics", f"Authorization: Bearer {token}")
            assert status == 200 and "process_cpu_time_seconds_total" in body, (status, body)
        assert server.status("/metrics", reader, host="127.0.0.1") == 200
        assert server.status("/metrics", host="127.0.0.1") == 401  # with TLS loopback is no identity either
        assert server.status("/nothing", reader) == 404


@case
def every_wrong_header_is_refused():
    token = new("alice", "reader")
    stranger = new("stranger", "reader", "--file", "others")
    with Server("--tokens", "tokens") as server:
        for header, status in ((f"Authorization: Bearer {token}", 200), (f"authorization: bearer {token}", 200),
                               (f"Authorization: BEARER   {token}", 200), (f"Authorization: Bearer {stranger}", 401),
                               (f"Authorization: Basic {token}", 401), (f"Authorization: {token}", 401),
                               (f"Authorization: Bearer {token}x", 401), (f"Authorization: Bearer {token[:-1]}", 401),
                               ("Authorization: Bearer", 401), ("Authorization;", 401),
                               (f"Authorization: Bearer {hash_of(token)}", 401),
                               (f"Authorization: Bearer {token}, Bearer {token}", 401),
                               ("Authorization: Bearer " + "x" * 8000, 401), (f"Proxy-Authorization: Bearer {token}", 401),
                               (f"X-Authorization: Bearer {token}", 401)):
            got, head, body = server.curl("/metrics", header)
            assert got == status, (header, got, body)
            if got == 401:  # RFC 6750, section 3: an error only where a token was shown
                shown = re.match(r"(?i)authorization: bearer( |$)", header)
                wanted = 'Bearer error="invalid_token"' if shown else "Bearer"
                assert f"www-authenticate: {wanted}".lower() in head.lower().splitlines(), (header, head)
            assert token not in body and token not in head
        assert server.curl(f"/metrics?access_token={token}")[0] == 401  # addresses are logged: no tokens in them
        assert token not in server.controller.lines() and stranger not in server.controller.lines()


@case
def revoking_expiring_and_adding_need_no_restart():
    alice, bob = new("alice", "reader"), new("bob", "reader")
    with Server("--tokens", "tokens") as server:
        assert server.status("/metrics", alice) == 200 and server.status("/metrics", bob) == 200
        tokens(0, "revoke", "alice")
        took = server.wait_status("/metrics", alice, 401)
        assert took < REFUSED_WITHIN_S, took
        assert server.status("/metrics", bob) == 200
        carol = new("carol", "admin")
        server.wait_status("/metrics", carol, 200)
        ended = hash_of(bob)
        write("tokens", read("tokens") + "# a line by hand\n")
        os.rename("tokens", "kept")
        write("tokens", f"sha256:{ended} reader bob expires=2020-01-01T00:00:00Z\n")
        server.wait_status("/metrics", bob, 401)
        assert "not valid since 2020-01-01T00:00:00Z" in server.curl("/metrics", f"Authorization: Bearer {bob}")[2]
        soon = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 4))
        write("tokens", f"sha256:{ended} reader bob expires={soon}\n")
        server.wait_status("/metrics", bob, 200)
        server.wait_status("/metrics", bob, 401)  # nothing but time has passed


@case
def a_broken_file_keeps_the_tokens_from_before_and_is_logged_once_with_its_line():
    alice = new("alice", "reader")
    good = read("tokens")
    with Server("--tokens", "tokens") as server:
        write("tokens", good + "sha256:abc reader bob\n")
        line = server.controller.wait_line(r"changed file of tokens cannot be used.*")[0]
        assert "line 3" in line and "sha256:" in line, line
        assert server.status("/metrics", alice) == 200
        os.remove("tokens")
        server.controller.wait_line(r"cannot be used.*NOT_FOUND")
        assert server.status("/metrics", alice) == 200
        write("tokens", "")
        server.wait_status("/metrics", alice, 401)
        assert server.controller.lines().count("line 3") == 1, server.controller.lines()


@case
def refusals_leave_audit_lines_and_a_flood_of_them_few():
    stranger = new("stranger", "admin", "--file", "others")
    new("alice", "reader")
    with Server("--tokens", "tokens") as server:
        server.status("/metrics", stranger)
        server.status("/metrics")
        end = time.monotonic() + DEADLINE_S
        while len(lines := server.audits()) < 2:  # a line may come after the answer
            assert time.monotonic() < end, server.controller.lines()
            time.sleep(0.05)
        assert len(lines) == 2, lines
        for line in lines:
            assert line["vmafx.audit.action"] == "call" and line["vmafx.audit.subject"] == "GET /metrics", line
            assert line["vmafx.audit.outcome"] == "denied" and line["client.address"] == server.host, line
            assert line["vmafx.audit.role"] == "anyone", line
        url = f"https://{server.host}:{server.port}/metrics?[1-200]"
        subprocess.run(["curl", "-sS", "-o", "/dev/null", "--noproxy", "*", "--cacert", "certs/ca.crt", "-H",
                        f"Authorization: Bearer {stranger}", url], check=True, timeout=120)
        end = time.monotonic() + DEADLINE_S
        while not any("vmafx.audit.left_out" in line for line in server.audits()):
            assert time.monotonic() < end, server.controller.lines()
            server.status("/metrics", stranger)
            time.sleep(0.1)
        assert len(server.audits()) < 100, len(server.audits())


@case
def on_loopback_a_header_has_to_be_right_and_none_is_needed():
    token = new("alice", "reader")
    with Server("--tokens", "tokens", address="127.0.0.1", tls=False) as server:
        server.host = "127.0.0.1"
        assert server.status("/metrics") == 200
        assert server.status("/metrics", token) == 200
        assert server.status("/metrics", token[:-1] + ("a" if token[-1] != "a" else "b")) == 401
        assert server.curl("/metrics", "Authorization: Basic YTpi")[0] == 401
        assert server.curl("/metrics", "Host: evil.example")[0] == 401
        assert server.curl("/metrics", "Host: evil.example", f"Authorization: Bearer {token}")[0] == 200
    with Server(address="127.0.0.1", tls=False) as server:
        server.host = "127.0.0.1"
        status, _, body = server.curl("/metrics", f"Authorization: Bearer {token}")
        assert status == 401 and "VMAFX_TOKENS" in body, body


@case
def open_metrics_need_none():
    new("alice", "reader")
    with Server("--tokens", "tokens", "--open-metrics") as server:
        assert server.status("/metrics") == 200


@case
def what_would_let_everybody_in_or_nobody_does_not_start_or_says_so():
    new("alice", "reader")
    write("broken", "hello\n")
    expect(run("certs", "init", "-d", "certs"), 0)
    expect(run("certs", "server", "http", "--host", "localhost", "-d", "certs"), 0)
    certificate = ("--http-tls-cert", "certs/server-http.crt")
    key = ("--http-tls-key", "certs/server-http.key")
    for options, words in ((("--http", f"0.0.0.0:{free_port()}", "--tokens", "tokens"), ["plain text", "--insecure-listen"]),
                           (("--http", "127.0.0.1:0", *certificate), ["VMAFX_HTTP_TLS_KEY", "--http-tls-key"]),
                           (("--http", "127.0.0.1:0", *key), ["VMAFX_HTTP_TLS_CERT"]),
                           (("--http", "127.0.0.1:0", *certificate, "--http-tls-key", "none"), ["none"]),
                           (("--http", "127.0.0.1:0", "--tokens", "none"), ["there is no file of tokens 'none'", "tokens new"]),
                           (("--http", "127.0.0.1:0", "--tokens", "broken"), ["'broken', line 1", "sha256:"])):
        controller = start(*options, wait=False)
        assert controller.process.wait(DEADLINE_S) == 1, (options, controller.lines())
        for word in words:
            assert word in controller.lines(), (options, word, controller.lines())
    for options, line in (((*certificate, *key), "knows no tokens"), (("--tokens", "tokens"), "others may read or write")):
        os.chmod("tokens", 0o644)
        controller = start("--http", "127.0.0.1:0", *options)
        controller.wait_line(line)
        assert controller.kill(15) == 0


if __name__ == "__main__":
    main()

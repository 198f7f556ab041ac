# SPDX-License-Identifier: BSD-2-Clause-Patent
"""Secrets planted wherever users may put some, in what goes well and in what fails, through every door; then all that the
programs said, sent, showed and left behind is searched for them.

usage: test_secrets.py VMAFX [CASE…]
"""
import base64
import http.client
import json
import os
import re
import subprocess
import urllib.parse
from concurrent.futures import ThreadPoolExecutor

from fleet import DEADLINE_S, Fleet, Process, program
from harness import PROGRAM, Skip, absolute_pair, built_with, case, expect, main, need, run
from mcp import Mcp, McpHttp
from media_server import Server as Media
from otlp import Receiver
from pages import free_port, wait
from server import Server

# Every planted secret begins so, and then says where it was planted.
MARK = "hUsH7"


def secret(where):
    return MARK + where


def signed(url, where):
    """The URL with user, password, a signature and a fragment."""
    scheme, rest = url.split("://", 1)
    return (f"{scheme}://{secret('User' + where)}:{secret('Password' + where)}@{rest}{'&' if '?' in rest else '?'}"
            f"X-Amz-Credential={secret('Credential' + where)}&X-Amz-Signature={secret('Signature' + where)}"
            f"#{secret('Fragment' + where)}")


def found_in(data):
    """The planted secrets that are in these bytes: as they are, in base 64 at any offset, as hexadecimal digits."""
    patterns = [MARK.encode(), MARK.encode().hex().encode(), MARK.encode("utf-16-le")]
    for shift in range(3):
        text = base64.b64encode(b"\0" * shift + MARK.encode())
        patterns.append(text[(shift * 4 + 2) // 3:len(MARK.encode() + b"\0" * shift) * 4 // 3])
    return [data[max(0, at.start() - 200):at.end() + 60] for pattern in patterns for at in re.finditer(re.escape(pattern), data)]


class Search:
    """What was seen, by where it was seen; seen() says no word, clean() does."""

    def __init__(self):
        self.texts = []

    def seen(self, where, data):
        self.texts.append((where, data if isinstance(data, bytes) else data.encode()))

    def process(self, got):
        self.seen(" ".join(map(str, got.args))[:60], got.stdout + got.stderr)
        return got

    def folder(self, path, but=()):
        """Names and contents of the files in it, but for those whose names begin so."""
        for folder, folders, names in os.walk(path):
            for name in [*folders, *names]:
                self.seen(f"the name of {name}", name)
            for name in names:
                if not name.startswith(tuple(but)):
                    with open(os.path.join(folder, name), "rb") as f:
                        self.seen(os.path.join(folder, name), f.read())

    def clean(self):
        wrong = [f"{where}: …{text.decode(errors='replace')}…" for where, data in self.texts for text in found_in(data)[:1]]
        assert not wrong, f"{len(wrong)} places:\n" + "\n".join(dict.fromkeys(wrong))
        assert self.texts


def ask(search, port, method, path, body=None, **headers):
    """(status, text) of a request over HTTP; what came back is looked at."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_S)
    connection.request(method, path, body if isinstance(body, (str, bytes, type(None))) else json.dumps(body),
                       {"Content-Type": "application/json", **{name.replace("_", "-"): text for name, text in headers.items()}})
    answer = connection.getresponse()
    text = answer.read()
    search.seen(f"{method} {path[:40]}", str(answer.getheaders()).encode() + text)
    connection.close()
    return answer.status, text


def pages(search, *ports):
    for port in ports:
        for accept in ("text/plain", "application/openmetrics-text; version=1.0.0"):
            assert ask(search, port, "GET", "/metrics", Accept=accept)[0] == 200


def open_urls(folder):
    """Settings of whoever fetches, with secrets in those that take some."""
    return {"VMAFX_INPUT_URL_HOSTS": "127.0.0.1,nowhere.invalid", "VMAFX_INPUT_URL_PRIVATE": "1", "VMAFX_INPUT_URL_PLAIN": "1",
            "VMAFX_INPUT_CACHE": os.path.abspath(folder), "AWS_ACCESS_KEY_ID": "access", "AWS_SECRET_ACCESS_KEY": secret("AwsKey"),
            "AWS_SESSION_TOKEN": secret("AwsSession")}


def loud(receiver):
    """Everything is said and sent, and the receiver wants a key."""
    return {**receiver.environment(OTEL_SDK_DISABLED="false", OTEL_EXPORTER_OTLP_HEADERS=f"api-key={secret('Otlp')}",
                                   OTEL_EXPORTER_OTLP_TRACES_HEADERS=f"authorization=Bearer%20{secret('OtlpTraces')}"),
            "OTEL_BSP_SCHEDULE_DELAY": "100", "OTEL_BLRP_SCHEDULE_DELAY": "100", "OTEL_METRIC_EXPORT_INTERVAL": "300",
            "OTEL_LOG_LEVEL": "trace", "VMAFX_LOG_LEVEL": "trace"}


def bad_urls(media, https):
    """why -> URL, all of them with secrets."""
    return {
        "refused": signed(media.url("/status/403"), "Refused"),
        "not there": signed(media.url("/nothing/here.y4m"), "Missing"),
        "cut off": signed(media.url("/cut_always"), "Cut"),
        "no video": signed(media.url("/ok"), "NoVideo"),
        "no such host": signed("http://nowhere.invalid/a.y4m", "Unreachable"),
        "host not allowed": signed("https://other.example/a.y4m", "Forbidden"),
        "nobody there": signed("http://127.0.0.1:9/a.y4m", "Closed"),
        "bad certificate": signed(https.url("/ok"), "Certificate"),
        "on to a refusal": media.url("/to?u=" + urllib.parse.quote(signed(media.url("/status/403"), "Target"), safe="")),
        "on to elsewhere": media.url("/to?u=" + urllib.parse.quote(signed("http://elsewhere.invalid/x", "Elsewhere"), safe="")),
        "password with a slash": f"http://user:{secret('Slash')}/{secret('Path')}@127.0.0.1/a.y4m",
        "port that is none": f"https://user:{secret('Port')}",
        "blank": signed("https://127.0.0.1/a b.y4m", "Blank"),
        "unknown scheme": signed("ftp://127.0.0.1/a.y4m", "Scheme"),
        "one slash": f"https:/user:{secret('OneSlash')}@127.0.0.1/a.y4m?sig={secret('OneSlashQuery')}",
        "object": f"s3://bucket/a.y4m?X-Amz-Signature={secret('Object')}",
    }


def certificate():
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                    "-subj", "/CN=localhost", "-keyout", "media.key", "-out", "media.pem"], check=True, capture_output=True)
    return "media.pem", "media.key"


def ends(text):
    """Of a job in JSON: whether it has ended."""
    return json.loads(text)["state"] in ("JOB_STATE_SUCCEEDED", "JOB_STATE_FAILED", "JOB_STATE_CANCELLED")


def through_assistant(search, mcp, place):
    """Good and bad measurements by an assistant's program in front of others."""
    asked = [mcp.begin("tools/call", {"name": "score_videos", "arguments": {"reference": url, "distorted": place.distorted}})
             for url in [*place.good, *place.bad.values()]]
    for request in asked:
        search.seen("through an assistant", json.dumps(mcp.answer(request)))
    search.seen("list_jobs", json.dumps(mcp.call("list_jobs")))
    search.seen("list_nodes", json.dumps(mcp.call("list_nodes")))
    assert mcp.finish() == 0


class Place:
    """A web server with videos, one whose certificate nobody knows, a receiver of telemetry, and the settings for them."""

    def __enter__(self):
        need("openssl", "openssl")
        if built_with("tsan"):
            raise Skip("what is said does not depend on threads, and takes minutes under ThreadSanitizer")
        self.reference, self.distorted = absolute_pair()
        files = {}
        for name in ("ref", "dis"):
            with open(name + ".y4m", "rb") as f:
                files[f"/{name}.y4m"] = f.read()
        self.media, self.https, self.receiver = Media(files=files), Media(certificate()), Receiver()
        self.env = {**loud(self.receiver), **open_urls("cache")}
        self.good = signed(self.media.url("/ref.y4m"), "Good"), signed(self.media.url("/dis.y4m"), "Good")
        self.bad = bad_urls(self.media, self.https)
        self.search = Search()
        return self

    def __exit__(self, *_):
        self.media.__exit__()
        self.https.__exit__()

    def clean(self, *paths, but=()):
        """Looks at what the receiver got and at these files, and says what was found anywhere."""
        for path, bodies in self.receiver.bodies.items():
            for headers, body in bodies:
                wanted = ("authorization", f"Bearer {secret('OtlpTraces')}") if "traces" in path else ("api-key", secret("Otlp"))
                assert wanted in [(name.lower(), text) for name, text in headers.items()], headers  # where it belongs
                self.search.seen(f"OTLP {path}", body)
        for path in paths:
            if os.path.isdir(path):
                self.search.folder(path, but)
            elif os.path.exists(path):
                with open(path, "rb") as f:
                    self.search.seen(path, f.read())
        self.search.clean()


@case
def the_search_finds_what_it_should():
    for text in (f"a {secret('X')} b", base64.b64encode(f"user:{secret('X')}".encode()).decode(),
                 base64.b64encode(f"ab{secret('X')}".encode()).decode(), base64.b64encode(secret("X").encode()).decode(),
                 secret("X").encode().hex()):
        assert found_in(text.encode()), text
    assert not found_in(b"nothing of that kind")


@case
def the_command_line_repeats_none():
    with Place() as place:
        def said(*arguments):
            return place.search.process(run(*arguments, env={**place.env, "VMAFX_CONTROLLER": "127.0.0.1:9"}))

        for url in [*place.bad.values(), *place.good]:
            said("score", "--reference", url, "--distorted", place.distorted)
            said("score", "--reference", place.reference, "--distorted", url)
            said("score", f"--refrence={url}", "--distorted", url)
            said("score", url)
            said("submit", "--referense", url, "--distorted", url)
            said("submit", "--reference", url, "--distorted", url)
            said("encode-score", "--reference", url, "--codec", "h264")
            said("vmaf", "--reference", url, "--distorted", url, "--model", f"path={url}", "--output", url)
            said("submit", "--reference", place.reference, "--distorted", place.distorted, "--controller", url)
            said("trace", url)
            said("watch", url)
            said(url)
            said("score", "--reference", place.reference, "--distorted", place.distorted, "--model", f"path={url}")
            said("score", "--reference", place.reference, "--distorted", place.distorted, "--output", url)
            said("score", "--reference", place.reference, "--distorted", place.distorted, "--threads", url)
        with open("jobs.ndjson", "w", encoding="utf-8") as f:
            for url in place.bad.values():
                f.write(json.dumps({"reference": {"uri": url}, "distort": {"uri": url}}) + "\n")
                f.write(f'{{"reference": {{"uri": "{url}"}}, "distorted": "{url}"\n')
        said("submit", "--from", "jobs.ndjson")
        place.clean()


@case
def settings_are_shown_and_refused_without_them():
    search, url = Search(), signed("http://127.0.0.1:9/a", "Setting")
    env = {**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": signed("http://127.0.0.1:9", "Endpoint"), "VMAFX_LOG_LEVEL": "trace",
           "OTEL_EXPORTER_OTLP_HEADERS": f"api-key={secret('Header')}", "OTEL_LOG_LEVEL": "trace", "OTEL_SDK_DISABLED": "false",
           "OTEL_EXPORTER_OTLP_TIMEOUT": "200", "https_proxy": signed("http://127.0.0.1:9", "Proxy"),
           "VMAFX_INPUT_URL_PROXY": "1", **{key: value for key, value in open_urls("c").items() if key.startswith("AWS")}}
    for name in ("vmafx-controller", "vmafx-node", "vmafx-server", "vmafx-mcp"):
        help_text = subprocess.run([program(name), "--help"], capture_output=True, text=True, check=True).stdout
        flags = re.findall(r"(?m)^  (--[a-z0-9-]+) ", help_text)
        assert len(flags) > 8, help_text
        for arguments in (["--print-config"], [url], [f"--nothing={url}"], ["--http", url, "--grpc", url], ["--config", url],
                          *[[flag, url, "--print-config"] for flag in flags if flag not in ("--help", "--version", "--print-config")]):
            got = subprocess.run([program(name), *arguments], capture_output=True, text=True, env=env, timeout=60, check=False,
                                 stdin=subprocess.DEVNULL)
            if arguments[-1] == "--print-config" and got.returncode == 0 and len(arguments) > 1:
                continue  # whoever prints the settings is shown what was set
            search.process(got)
    search.process(run("--print-config", env=env))
    search.process(run("doctor", env=env))
    search.clean()


@case
def a_fleet_tells_and_keeps_none_but_in_its_database():
    with Place() as place:
        search, port = place.search, free_port()
        with Fleet(nodes=0, env=place.env) as fleet:
            node = Process("node-1", [program("vmafx-node"), "--name", "node-1", "--controller", f"127.0.0.1:{fleet.port}", "--slots", "4",
                                      "--state", os.path.abspath("node-1"), "--input-roots", "/", "--http", f"127.0.0.1:{port}"],
                           fleet.env, os.path.abspath("node-1.log"))
            fleet.processes.append(node)
            node.wait_line("connected")
            rest = int(fleet.controller.wait_line(r"HTTP ready.*server\.port=(\d+)").group(1))
            expect(search.process(fleet.cli("submit", "--reference", place.good[0], "--distorted", place.good[1], "--wait")), 0)
            held = expect(search.process(fleet.cli("submit", "--reference", signed(place.media.url("/held"), "Held"), "--distorted",
                                                   place.good[1], "--attempts", "1")), 0).stdout.strip()
            fleet.wait_state(held, "running")
            search.process(fleet.cli("nodes", "--json"))
            ask(search, rest, "GET", "/v1/nodes")
            ids = [held]
            for url in place.bad.values():
                spec = {"reference": {"uri": url}, "distorted": {"uri": place.good[1]}, "attempt_limit": 1}
                got = search.process(fleet.cli("submit", "--reference", place.good[0], "--distorted", url, "--attempts", "1"))
                ids += got.stdout.split() if got.returncode == 0 else []
                status, text = ask(search, rest, "POST", "/v1/jobs", spec)
                ids += [json.loads(text)["id"]] if status == 201 else []
                ask(search, rest, "POST", "/v1/jobs/batch", {"jobs": [spec, {**spec, "distort": url}]})
                ask(search, rest, "POST", "/v1/jobs", json.dumps(spec)[:-3])
                ask(search, rest, "POST", "/v1/jobs", {**spec, url: url})
                ask(search, rest, "POST", "/v1/jobs", {**spec, "models": [{"version": url}]})
            ask(search, rest, "GET", f"/v1/jobs?token={secret('Query')}&state=queued")
            ask(search, rest, "GET", f"/v1/jobs?access_token={secret('Query')}", Authorization=f"Bearer {secret('Rest')}",
                Cookie=f"session={secret('Cookie')}")
            place.media.release.set()
            assert len(ids) > 10, ids
            for job in ids:
                wait(lambda job=job: ask(search, rest, "GET", f"/v1/jobs/{job}")[1], ends)
                ask(search, rest, "GET", f"/v1/jobs/{job}/events")
                ask(search, rest, "GET", f"/v1/jobs/{job}/result")
                for command in ("job", "trace", "result", "watch"):
                    search.process(fleet.cli(command, job))
                search.process(fleet.cli("job", job, "--json"))
            with Mcp("--controller", f"127.0.0.1:{fleet.port}", "--roots", os.getcwd(), env=place.env) as mcp:
                through_assistant(search, mcp, place)
            retried = expect(search.process(fleet.cli("retry", ids[0])), 0).stdout.split()[-1]
            for command in (["jobs"], ["jobs", "--json", "--all"], ["nodes"], ["nodes", "--json"], ["job", retried, "--json"]):
                search.process(fleet.cli(*command))
            fleet.wait_all_ended()
            pages(search, rest, port)
            wait(lambda: len(place.receiver.bodies), lambda n: n == 3)
            for process in (node, fleet.controller):
                assert process.kill(15) == 0, process.lines()[-2000:]
        with open("jobs.db", "rb") as f:
            assert found_in(f.read()), "the controller has nothing to fetch by"
        place.clean("node-1.log", "controller.log", "mcp.log", "node-1", "cache")


@case
def a_server_tells_and_keeps_none():
    with Place() as place:
        search = place.search
        token = expect(run("tokens", "new", "alice", "--role", "writer", env={"VMAFX_TOKENS": "tokens"}), 0).stdout.strip()
        with Server("--tokens", os.path.abspath("tokens"), env=place.env) as server:
            with_token = {"Authorization": f"Bearer {token}"}
            status, text = ask(search, server.http, "POST", "/v1/score", {"reference": {"uri": place.good[0]},
                                                                          "distorted": {"uri": place.good[1]}}, **with_token)
            assert status == 200, text

            def try_bad(url):
                request = {"reference": {"uri": url}, "distorted": {"uri": place.good[1]}}
                assert ask(search, server.http, "POST", "/v1/score", request, **with_token)[0] >= 400, url
                ask(search, server.http, "POST", "/v1/score", {**request, url: url}, **with_token)
                ask(search, server.http, "POST", "/v1/score", json.dumps(request)[:-2], **with_token)

            with ThreadPoolExecutor(len(place.bad)) as threads:  # they are tried again and again, in their own time
                list(threads.map(try_bad, place.bad.values()))
            request = {"reference": {"uri": place.good[0]}, "distorted": {"uri": place.good[1]}}
            for header in (f"Bearer {secret('Wrong')}", f"Bearer vmafx_{secret('Wrong'):x<43}", f"Basic {secret('Basic')}"):
                assert ask(search, server.http, "POST", "/v1/score", request, Authorization=header)[0] == 401
            ask(search, server.http, "POST", f"/v1/score?token={secret('Query')}", request)
            ask(search, server.http, "GET", f"/v1/nothing/{urllib.parse.quote(place.good[0], safe='')}?key={secret('Query')}")
            search.seen("the token", b"" if token not in server.process.lines() else secret("Token"))
            with Mcp("--server", f"127.0.0.1:{server.grpc}", "--roots", os.getcwd(), env=place.env) as mcp:  # its gRPC door
                through_assistant(search, mcp, place)
            pages(search, server.http)
            wait(lambda: len(place.receiver.bodies), lambda n: n == 3)
            assert server.process.kill(15) == 0, server.process.lines()
        for path, bodies in place.receiver.bodies.items():
            assert not any(token.encode() in body for _, body in bodies), f"the token went to {path}"
        place.clean("server.log", "mcp.log", "cache", "tokens")


@case
def an_assistant_is_told_none():
    with Place() as place:
        search = place.search
        with Mcp("--roots", os.getcwd(), env=place.env) as mcp:
            search.seen("good", json.dumps(mcp.call("score_videos", reference=place.good[0], distorted=place.good[1])))
            asked = []
            for url in place.bad.values():
                for tool, named in (("score_videos", {"reference": url, "distorted": place.distorted}),
                                    ("start_job", {"reference": place.reference, "distorted": url})):
                    asked.append(mcp.begin("tools/call", {"name": tool, "arguments": named}))
                for named in ({"referense": url}, {"reference": url, "models": url}, {"reference": place.reference, url: 1},
                              {"reference": place.reference, "distorted": place.distorted, "models": [url]}):
                    search.seen("wrong", json.dumps(mcp.answer(mcp.begin("tools/call", {"name": "score_videos", "arguments": named}))))
                search.seen("no tool", json.dumps(mcp.answer(mcp.begin("tools/call", {"name": url, "arguments": {}}))))
                search.seen("no method", json.dumps(mcp.answer(mcp.begin(url, {}))))
                search.seen("resource", json.dumps(mcp.answer(mcp.begin("resources/read", {"uri": url}))))
            for request in asked:
                search.seen("a bad URL", json.dumps(mcp.answer(request)))
            search.seen("list_jobs", json.dumps(mcp.call("list_jobs")))
            search.seen("others", json.dumps(mcp.others))
            assert mcp.finish() == 0
        expect(run("tokens", "new", "alice", "--role", "reader", env={"VMAFX_TOKENS": "tokens"}), 0)
        with McpHttp("--roots", os.getcwd(), "--tokens", os.path.abspath("tokens"), env=place.env) as mcp:
            for header, wanted in ((f"Bearer {secret('Wrong')}", 401), (f"Basic {secret('Basic')}", 401), (None, 400)):
                status, headers, text = mcp.send("POST", {"jsonrpc": "2.0", "id": 1, "method": "ping"}, Authorization=header)
                search.seen("over HTTP", str(headers) + text.decode())
                assert status == wanted, (status, text)
            mcp.process.kill(15)
        place.clean("mcp.log", "mcp-http.log", "cache")


@case
def keys_of_certificates_are_in_no_line():
    receiver, search = Receiver(), Search()
    for arguments in (("init",), ("server", "controller", "--host", "127.0.0.1"), ("node", "node-1"), ("client", "me", "--role", "admin")):
        search.process(expect(run("certs", *arguments, env={"VMAFX_CERTS": "certs"}), 0))
    keys = []
    for name in os.listdir("certs"):
        if name.endswith(".key"):
            with open(os.path.join("certs", name), encoding="ascii") as f:
                keys += [line.encode() for line in f.read().splitlines() if "-" not in line and len(line) > 40]
    assert len(keys) >= 4, keys

    def tls(name):
        return ["--tls-cert", os.path.abspath(f"certs/{name}.crt"), "--tls-key", os.path.abspath(f"certs/{name}.key"),
                "--tls-ca", os.path.abspath("certs/ca.crt")]

    with Fleet(nodes=0, env=loud(receiver), controller=tls("server-controller")) as fleet:
        node = Process("node-1", [program("vmafx-node"), "--name", "node-1", "--controller", f"127.0.0.1:{fleet.port}", "--state",
                                  os.path.abspath("node-1"), "--http", "127.0.0.1:0", *tls("node-node-1")], fleet.env,
                       os.path.abspath("node-1.log"))
        fleet.processes.append(node)
        node.wait_line("connected")
        search.process(expect(fleet.cli("nodes", *tls("client-me")), 0))
        swapped = ["--tls-cert", os.path.abspath("certs/client-me.key"), "--tls-key", os.path.abspath("certs/client-me.crt"),
                   "--tls-ca", os.path.abspath("certs/ca.crt")]
        search.process(fleet.cli("nodes", *swapped))
        search.process(subprocess.run([PROGRAM, "certs", "show", "certs/client-me.key"], capture_output=True, text=True, check=False))
        got = subprocess.run([program("vmafx-controller"), "--grpc", "127.0.0.1:0", "--store", "other.db", *swapped], env=fleet.env,
                             capture_output=True, text=True, timeout=60, check=False)
        search.process(got)
        wait(lambda: len(receiver.bodies), lambda n: n == 3)
        for process in (node, fleet.controller):
            assert process.kill(15) == 0, process.lines()[-2000:]
    for log in ("node-1.log", "controller.log"):
        with open(log, "rb") as f:
            search.seen(log, f.read())
    for path, bodies in receiver.bodies.items():
        for _, body in bodies:
            search.seen(f"OTLP {path}", body)
    for where, data in search.texts:
        assert not any(key in data for key in keys), f"a private key came out: {where}"
    search.clean()


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: BSD-2-Clause-Patent
"""Inputs by path and by URL: a server with bad manners, a cache that is killed, a fleet that scores what it fetches.

usage: test_inputs.py VMAFX INPUTS_MAIN [CASE…]
"""
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time

import harness
from fleet import Fleet
from harness import absolute_pair, case, expect, load, main, need, run
from media_server import CUT, DATA, Server
from otlp import Receiver

MAIN = os.path.abspath(sys.argv[2])
harness.ONLY[:] = sys.argv[3:]
SHA256 = hashlib.sha256(DATA).hexdigest()
OPEN = ["hosts=*", "private=1", "plain=1"]
SECRET = "s3cr3tSignature"


def get(*arguments, env=None, timeout=100):
    """The answers, one for each URI and thread."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}
    got = subprocess.run([MAIN, *map(str, arguments)], capture_output=True, text=True, env={**clean, **(env or {})},
                         timeout=timeout, stdin=subprocess.DEVNULL, check=False)
    assert got.returncode == 0, f"exit {got.returncode}: {got.stderr}"
    return [json.loads(line) for line in got.stdout.splitlines()]


def one(*arguments, **more):
    return get(*arguments, **more)[0]


def good(answer, data=DATA):
    assert answer["err"] == "OK", answer
    assert answer["sha256"] == hashlib.sha256(data).hexdigest() and answer["read"] == answer["size"] == len(data), answer
    return answer


def bad(answer, err, *words, may_pass=False):
    assert answer["err"] == err and answer["may_pass"] == may_pass and answer["size"] == -1, answer
    for word in words:
        assert word in answer["message"], f"no {word!r} in {answer['message']!r}"
    return answer


# ---- Downloads ----

@case
def a_url_is_fetched_whole_and_its_digest_told():
    with Server() as server:
        for path in ("/ok", "/chunks", "/sized?n=1", "/dated", "/hops?n=5", f"/to?u={server.url('/ok')}&status=308"):
            data = DATA[:1] if "sized" in path else DATA
            answer = good(one(*OPEN, server.url(path)), data)
            assert answer["told_sha256"] == answer["sha256"] and answer["fetched"] == len(data), answer
        headers = server.asked("/ok")[0]
        assert not {"Cookie", "Accept-Encoding", "Range", "traceparent"} & set(headers), headers
        assert headers["User-Agent"].startswith("vmafx/"), headers


@case
def a_broken_transfer_is_continued_where_it_broke():
    with Server() as server:
        for path in ("/cut", "/parts", "/stall"):
            answer = good(one(*OPEN, "stall=1000", server.url(path)))
            assert answer["fetched"] == len(DATA), answer
        ranges = [(h.get("Range"), h.get("If-Range")) for h in server.asked("/cut")]
        assert ranges == [(None, None), (f"bytes={CUT}-", '"one"'), (f"bytes={2 * CUT}-", '"one"')], ranges


@case
def what_cannot_be_continued_is_begun_anew():
    with Server() as server:
        good(one(*OPEN, server.url("/cut-without-ranges")))
        good(one(*OPEN, server.url("/changes")), DATA[::-1])
        good(one(*OPEN, server.url("/changes-unasked")), DATA[::-1])
        good(one(*OPEN, server.url("/shrinks")), DATA[:10])


@case
def a_transfer_that_always_breaks_ends_and_says_how_far_it_came():
    with Server() as server:
        bad(one(*OPEN, server.url("/cut-always")), "TRUNCATED", "only 1000000 of 3000000 bytes came", may_pass=True)
        bad(one(*OPEN, server.url("/promises-more")), "TRUNCATED", "only 3000000 of 3000005", may_pass=True)
        bad(one(*OPEN, server.url("/chunks?cut=1")), "TRUNCATED", may_pass=True)
        assert len(server.asked("/cut-always")) == 7, len(server.asked("/cut-always"))


@case
def no_more_is_taken_than_was_promised():
    with Server() as server:
        good(one(*OPEN, server.url("/promises-less")), DATA[:-5])


@case
def answers_that_make_no_sense_are_refused():
    with Server() as server:
        for path, err, *words in (("/wrong-range", "INPUT", "another part"), ("/other-total", "INPUT", "another part"),
                                  ("/part-unasked", "INPUT", "with a part"), ("/gzip", "INPUT", "compressed"),
                                  ("/unframed", "INPUT", "where it ends"), ("/lost", "INPUT", "answered 302"),
                                  ("/headers-without-end", "INPUT", "64 KiB"), ("/status/204", "INPUT", "204"),
                                  ("/status/304", "INPUT", "304"), ("/status/418", "INPUT", "418"),
                                  ("/no-http", "INPUT", "HTTP/0.9")):
            bad(one(*OPEN, server.url(path)), err, *words)


@case
def limits_hold_for_promised_and_for_endless_bodies():
    with Server() as server:
        bad(one(*OPEN, "max=2999999", server.url("/ok")), "LIMIT", "2999999", "VMAFX_INPUT_URL_MAX_BYTES")
        bad(one(*OPEN, "max=2999999", server.url("/chunks")), "LIMIT", "2999999")
        bad(one(*OPEN, "max=50000000", server.url("/endless")), "LIMIT", "50000000")
        good(one(*OPEN, "max=3000000", server.url("/ok")))
        bad(one(*OPEN, "timeout=1000", server.url("/hang")), "DEADLINE", may_pass=True)
        bad(one(*OPEN, "timeout=1000", server.url("/silent")), "DEADLINE", may_pass=True)


@case
def final_answers_are_final_and_others_are_tried_again():
    with Server() as server:
        bad(one(*OPEN, server.url("/nothing")), "NOT_FOUND", "answered 404")
        bad(one(*OPEN, server.url("/status/410")), "NOT_FOUND", "410")
        bad(one(*OPEN, server.url("/status/403")), "FORBIDDEN", "403")
        bad(one(*OPEN, server.url("/status/401")), "FORBIDDEN", "401")
        assert len(server.asked("/nothing")) == 1
        good(one(*OPEN, server.url("/flaky")))
        start = time.monotonic()
        good(one(*OPEN, server.url("/busy")))
        assert time.monotonic() - start >= 2, "Retry-After was not waited for"
        bad(one(*OPEN, server.url("/busy-for-long")), "UNREACHABLE", "429", may_pass=True)
        assert len(server.asked("/busy-for-long")) == 1
        bad(one(*OPEN, server.url("/status/500")), "UNREACHABLE", "500", may_pass=True)
        assert len(server.asked("/status/500")) == 6
    bad(one(*OPEN, server.url("/ok")), "UNREACHABLE", may_pass=True)


@case
def a_cancelled_download_ends_within_a_second():
    with Server() as server:
        for path, at in (("/hang", 1), ("/slow", 100_000), ("/endless", 100_000)):
            answer = bad(one(*OPEN, f"stop_at={at}", server.url(path)), "CANCELLED")
            assert 0 <= answer["stop_ms"] < 1000, answer
        answer = one(*OPEN, "stop_at=0", "threads=1", "cache=cache", server.url("/slow"))
        assert answer["err"] == "CANCELLED" and not [n for n in os.listdir("cache") if n], os.listdir("cache")


# ---- Policy ----

@case
def redirects_are_followed_to_allowed_places_only():
    with Server() as server, Server() as other:
        bad(one(*OPEN, server.url("/loop")), "INPUT", "more than 5 times")
        assert len(server.asked("/loop")) == 6
        allowed = ["hosts=127.0.0.1", "private=1", "plain=1"]
        good(one(*allowed, server.url(f"/to?u={other.url('/ok')}")))
        bad(one(*allowed, server.url(f"/to?u={other.url('/ok', 'localhost')}")), "FORBIDDEN", "'localhost'",
            "VMAFX_INPUT_URL_HOSTS")
        for target in ("file:///etc/passwd", "ftp://127.0.0.1/", "gopher://127.0.0.1/", "http://u:p@127.0.0.1/",
                       "http://127.0.0.1:0/", "http://[::1/"):
            answer = one(*allowed, server.url(f"/to?u={target}"))
            assert answer["err"] in ("FORBIDDEN", "INPUT"), (target, answer)
        assert [path for path, _ in other.requests] == ["/ok"]


@case
def addresses_that_are_not_public_are_refused_after_the_name_was_looked_up():
    with Server() as server:
        for host in ("127.0.0.1", "localhost", "127.1", "2130706433", "0x7f000001", "[::ffff:127.0.0.1]"):
            bad(one("hosts=*", "plain=1", server.url("/ok", host)), "FORBIDDEN", "not public", "VMAFX_INPUT_URL_PRIVATE")
        bad(one("hosts=*", "plain=1", "timeout=5000", "http://169.254.169.254/latest/meta-data/"), "FORBIDDEN",
            "169.254.169.254")
        assert not server.requests
        proxy = {"http_proxy": server.url(""), "HTTP_PROXY": server.url(""), "all_proxy": server.url("")}
        bad(one("hosts=*", "plain=1", "http://127.0.0.1:1/", env=proxy), "FORBIDDEN")
        assert not server.requests, "a proxy was asked that nobody named"


@case
def nothing_remote_is_allowed_unless_it_was_said():
    with Server() as server:
        bad(one("private=1", "plain=1", server.url("/ok")), "FORBIDDEN", "VMAFX_INPUT_URL_HOSTS")
        bad(one("hosts=other.example", "private=1", "plain=1", server.url("/ok")), "FORBIDDEN", "'127.0.0.1'")
        bad(one("hosts=*", "private=1", server.url("/ok")), "FORBIDDEN", "without TLS", "VMAFX_INPUT_URL_PLAIN")
        bad(one(*OPEN, "ftp://127.0.0.1/a"), "INPUT", "neither")
        bad(one(*OPEN, "relative/path"), "INPUT", "neither")
        bad(one(*OPEN, "/etc/passwd"), "FORBIDDEN", "below none of the input roots (--roots)")
        assert not server.requests


def certificate(name="IP:127.0.0.1"):
    need("openssl", "openssl")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days",
                    "2", "-subj", "/CN=test", "-addext", f"subjectAltName={name}", "-keyout", "key.pem", "-out",
                    "cert.pem"], check=True, capture_output=True)
    return "cert.pem", "key.pem"


@case
def certificates_are_verified_and_https_does_not_become_http():
    with Server(certificate()) as server, Server() as plain:
        good(one(*OPEN, "ca=cert.pem", server.url("/ok")))
        bad(one(*OPEN, server.url("/ok")), "FORBIDDEN", "certificate is not trusted")
        bad(one(*OPEN, "ca=cert.pem", server.url("/ok", "localhost")), "FORBIDDEN", "certificate is not trusted")
        bad(one(*OPEN, "ca=cert.pem", server.url(f"/to?u={plain.url('/ok')}")), "FORBIDDEN", "from https to http")
        assert not plain.requests


@case
def a_password_is_sent_to_its_own_host_only_and_shown_nowhere():
    with Server() as server, Server() as other:
        user = server.url("/guarded").replace("://", "://u:p%3Aw%40rd@")
        good(one(*OPEN, user))
        answer = bad(one(*OPEN, server.url("/guarded")), "FORBIDDEN", "401")
        assert "p%3A" not in json.dumps(answer)
        good(one(*OPEN, user.replace("/guarded", f"/to?u={server.url('/guarded')}")))
        bad(one(*OPEN, user.replace("/guarded", f"/to?u={other.url('/guarded')}")), "FORBIDDEN", "401")
        assert "Authorization" not in other.asked("/guarded")[0]


# ---- Objects ----

STORE = {"AKTEST": ("s/ecret+key", None), "ASIATEST": ("another", "FwoGZXIvYXdzEJr/token+with/signs==")}


@case
def objects_are_signed_as_the_documents_say_whatever_they_are_called():
    with Server(secrets=STORE) as server:
        env = {"AWS_ENDPOINT_URL_S3": server.url(""), "AWS_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "AKTEST",
               "AWS_SECRET_ACCESS_KEY": STORE["AKTEST"][0]}
        for key in ("a.mp4", "dir/a b+c.mp4", "a%20b", "ä/ö?x=1&y#z", "a~b_c-d.e", "a'b(c)!*;:@$=,", "a//b", "../a"):
            good(one(*OPEN, f"s3://bucket/{key}", env=env))
        token = {**env, "AWS_ACCESS_KEY_ID": "ASIATEST", "AWS_SECRET_ACCESS_KEY": STORE["ASIATEST"][0],
                 "AWS_SESSION_TOKEN": STORE["ASIATEST"][1]}
        good(one(*OPEN, "s3://bucket/dir/a b.mp4", env=token))
        assert good(one(*OPEN, "s3://bucket/cut.mp4", env=token))["fetched"] == len(DATA)  # with Range and If-Range
        good(one(*OPEN, "cache=cache", "s3://bucket/a.mp4", env=token))
        assert good(one(*OPEN, "cache=cache", "s3://bucket/a.mp4", env=token))["cached"]
        bad(one(*OPEN, "s3://bucket/a", env={**env, "AWS_SECRET_ACCESS_KEY": "wrong"}), "FORBIDDEN", "403")
        bad(one(*OPEN, "s3://bucket/a", env={"AWS_ENDPOINT_URL": server.url("")}), "FORBIDDEN", "403")
        bad(one("hosts=a.example", "private=1", "plain=1", "s3://bucket/a", env=env), "FORBIDDEN", "'127.0.0.1'")
        bad(one("hosts=a.example", "s3://bucket/a"), "FORBIDDEN", "'bucket.s3.us-east-1.amazonaws.com'")


# ---- The cache ----

def age(folder, name_ends):
    return [name for name in os.listdir(folder) if name.endswith(name_ends)]


@case
def what_is_kept_is_asked_about_and_not_fetched_again():
    with Server() as server:
        for path in ("/ok", "/dated"):
            first = good(one(*OPEN, "cache=cache", server.url(path)))
            again = good(one(*OPEN, "cache=cache", server.url(path)))
            assert not first["cached"] and again["cached"] and again["fetched"] == 0, (first, again)
            assert again["told_sha256"] == SHA256
        assert server.asked("/ok")[1]["If-None-Match"] == '"one"'
        for _ in range(3):
            good(one(*OPEN, "cache=cache", server.url("/fresh")))
        assert len(server.asked("/fresh")) == 1, "fresh, and asked about"
        for path in ("/unproven", "/private"):
            good(one(*OPEN, "cache=cache", server.url(path)))
            assert not good(one(*OPEN, "cache=cache", server.url(path)))["cached"]
        assert len(age("cache", ".data")) == 3 and len(age("cache", ".meta")) == 3 and len(os.listdir("cache")) == 6
        server.files["/ok"] = DATA[::-1]  # same validator: a server that lies gets what it asked for
        assert good(one(*OPEN, "cache=cache", server.url("/ok")))["cached"]


@case
def not_modified_is_an_answer_only_where_that_was_asked():
    with Server() as server:
        good(one(*OPEN, "cache=cache", server.url("/swaps")))
        bad(one(*OPEN, "cache=cache", server.url("/swaps")), "INPUT", "answered 304", "not the question")
        asked = server.asked("/swaps")
        assert asked[1]["If-None-Match"] == '"one"' and "If-None-Match" not in asked[2] and "Range" in asked[2], asked
        assert not good(one(*OPEN, "cache=cache", server.url("/swaps")), DATA[::-1])["cached"]
        good(one(*OPEN, "cache=cache", server.url("/returns")))
        assert good(one(*OPEN, "cache=cache", server.url("/returns")))["cached"]  # after a part of another file
        assert len(server.asked("/returns")) == 3
        assert len(os.listdir("cache")) == 4, os.listdir("cache")  # of which nothing is left


@case
def what_is_kept_is_only_for_those_who_may_ask_for_it():
    with Server() as server:
        good(one(*OPEN, "cache=cache", server.url("/fresh?X-Amz-Signature=good")))
        assert good(one(*OPEN, "cache=cache", server.url("/fresh?X-Amz-Signature=good")))["cached"]
        assert len(server.asked("/fresh")) == 1
        assert good(one(*OPEN, "cache=cache", server.url("/fresh?X-Amz-Signature=new")))["cached"]
        assert len(server.asked("/fresh")) == 2, "another signature was not asked about"
        bad(one("hosts=a.example", "private=1", "plain=1", "cache=cache", server.url("/fresh?X-Amz-Signature=new")),
            "FORBIDDEN")
        assert not good(one(*OPEN, "cache=cache", server.url("/fresh?id=2")))["cached"]


@case
def a_kept_file_that_was_changed_is_noticed():
    with Server() as server:
        url = server.url("/fresh")
        for spoil in (lambda path: os.truncate(path, 5), lambda path: os.utime(path)):
            good(one(*OPEN, "cache=cache", url))
            data = os.path.join("cache", age("cache", ".data")[0])
            os.chmod(data, 0o600)
            spoil(data)
            assert not good(one(*OPEN, "cache=cache", url))["cached"]
        before = os.stat(data)
        os.chmod(data, 0o600)
        with open(data, "r+b") as f:
            f.write(b"spoilt")
        os.utime(data, ns=(before.st_atime_ns, before.st_mtime_ns))
        assert good(one(*OPEN, "cache=cache", "verify=1", url))["cached"] is False


@case
def those_who_want_the_same_at_the_same_time_share_one_download():
    with Server() as server:
        answers = get(*OPEN, "cache=cache", "threads=8", server.url("/slow"))
        assert len(answers) == 8 and all(good(a) for a in answers)
        assert len(server.asked("/slow")) == 1, len(server.asked("/slow"))
        processes = [subprocess.Popen([MAIN, *OPEN, "cache=cache", server.url("/slow?2")], stdout=subprocess.PIPE,
                                      text=True) for _ in range(4)]
        assert all(good(json.loads(p.communicate(timeout=60)[0])) for p in processes)
        assert len(server.asked("/slow")) == 2


@case
def the_cache_keeps_to_its_size_and_what_is_in_use():
    with Server() as server:
        def sized(n, size):
            return server.url(f"/sized?n={size}&{n}")
        for n in range(5):
            good(one(*OPEN, "cache=cache", "cache_max=1000000", sized(n, 300_000)), DATA[:300_000])
        assert len(age("cache", ".data")) == 3
        held = subprocess.Popen([MAIN, *OPEN, "cache=cache", "cache_max=1000000", "hold=1", sized(2, 300_000)],
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert json.loads(held.stdout.readline())["cached"], "the oldest that is left was not there"
        for n in range(5, 9):
            good(one(*OPEN, "cache=cache", "cache_max=1000000", sized(n, 300_000)), DATA[:300_000])
        good(one(*OPEN, "cache=cache", "cache_max=1000000", sized(9, 900_000)), DATA[:900_000])  # no room: not kept
        assert good(one(*OPEN, "cache=cache", "cache_max=1000000", sized(2, 300_000)), DATA[:300_000])["cached"]
        held.communicate("\n", timeout=60)
        good(one(*OPEN, "cache=cache", "cache_max=1000000", sized(9, 900_000)), DATA[:900_000])
        assert len(age("cache", ".data")) == 1
        good(one(*OPEN, "cache=cache", "cache_max=1000000", server.url("/ok")))  # larger than all
        assert sum(os.path.getsize(os.path.join("cache", name)) for name in os.listdir("cache")) < 1_000_000


@case
def a_process_that_is_killed_leaves_nothing_that_counts():
    with Server() as server:
        for path in ("/hang", "/ok"):
            process = subprocess.Popen([MAIN, *OPEN, "cache=cache", server.url("/hang")], stdout=subprocess.PIPE)
            end = time.monotonic() + 30
            while not os.path.isdir("cache") or not any(name.startswith("tmp-") for name in os.listdir("cache")):
                assert time.monotonic() < end
                time.sleep(0.01)
            process.send_signal(signal.SIGKILL)
            process.wait(30)
            process.stdout.close()
            good(one(*OPEN, "cache=cache", server.url("/ok")))
            assert sorted(name.rsplit(".")[-1] for name in os.listdir("cache")) == ["data", "meta"], (path, os.listdir("cache"))


@case
def a_full_disk_is_this_machines_fault_and_may_pass():
    os.mkdir("small")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=700", "tmpfs", "small"], capture_output=True,
                             check=False)
    if mounted.returncode:
        raise harness.Skip("no file system of one's own can be mounted here")
    try:
        with Server() as server:
            for arguments, env in ((["cache=small/cache"], {}), ([], {"TMPDIR": os.path.abspath("small")})):
                for path in ("/ok", "/chunks"):
                    answer = bad(one(*OPEN, *arguments, server.url(path), env=env), "IO", may_pass=True)
                    assert answer["resource"], answer
                    left = os.listdir("small/cache") if arguments else os.listdir("small")
                    assert not left or not arguments and left == ["cache"], left
    finally:
        subprocess.run(["umount", "small"], check=False)


@case
def a_folder_that_cannot_be_a_cache_is_refused_at_the_start():
    os.mkdir("open")
    os.chmod("open", 0o777)
    with open("file", "w", encoding="utf-8"):
        pass
    for folder, word in (("open", "written to by everyone"), ("file", "file"), ("/proc/nothing", "/proc/nothing")):
        got = subprocess.run([MAIN, f"cache={folder}", "x"], capture_output=True, text=True, check=False)
        assert got.returncode == 1 and word in got.stderr, got.stderr


# ---- The fleet ----

class MediaFleet(Fleet):
    def __init__(self, settings, **more):
        super().__init__(env={"VMAFX_INPUT_URL_PRIVATE": "1", "VMAFX_INPUT_URL_PLAIN": "1",
                              "VMAFX_INPUT_URL_HOSTS": "127.0.0.1", **settings}, **more)


def files_of(*paths):
    files = {}
    for path in paths:
        with open(path, "rb") as f:
            files["/media/" + os.path.basename(path)] = f.read()
    return files


def everything_in(folder):
    for root, _, names in os.walk(folder):
        for name in names:
            with open(os.path.join(root, name), "rb") as f:
                yield os.path.join(root, name), f.read()


@case
def a_fleet_scores_what_it_fetches_as_if_it_were_a_file():
    reference, distorted = absolute_pair(n=12)
    expect(run("score", "--reference", reference, "--distorted", distorted, "--output", "local.csv"), 0)
    receiver = Receiver()
    with Server(files=files_of(reference, distorted)) as server, MediaFleet(
            {**receiver.environment(OTEL_SDK_DISABLED="false", OTEL_BSP_SCHEDULE_DELAY="100",
                                    OTEL_METRIC_EXPORT_INTERVAL="500"),
             "VMAFX_INPUT_CACHE": os.path.abspath("cache")}) as fleet:
        urls = [server.url(f"/media/{name}?X-Amz-Signature={SECRET}").replace("://", f"://user:{SECRET}@")
                for name in ("ref.y4m", "dis.y4m")]
        job_id = fleet.submit(*urls)
        shown = expect(fleet.cli("watch", job_id), 0, "succeeded").stdout
        for _ in range(2):
            shown += fleet.ok("result", job_id, "--output", "fleet.csv")
        shown += fleet.ok("result", job_id, "--json") + fleet.ok("job", job_id) + fleet.ok("job", job_id, "--json")
        shown += fleet.ok("jobs", "--all") + fleet.ok("jobs", "--all", "--json")
        with open("fleet.csv", encoding="utf-8") as a, open("local.csv", encoding="utf-8") as b:
            assert a.read() == b.read(), "the reports differ"
        spec = fleet.job(job_id)["job"]["spec"]
        assert spec["reference"]["uri"] == server.url("/media/ref.y4m?…"), spec
        assert SECRET not in shown, shown

        retried = fleet.cli("retry", job_id)  # only what failed can be; what is stored is looked at below
        failing = fleet.submit(server.url(f"/status/403?X-Amz-Signature={SECRET}"), urls[1])
        job = fleet.wait_state(failing, "failed")
        assert job["failure_class"] == "FAILURE_CLASS_INPUT" and "answered 403" in job["message"], job
        assert SECRET not in json.dumps(job) + retried.stdout + retried.stderr, job
        again = re.search(r"[0-9a-f-]{36}", fleet.ok("retry", failing).replace(failing, "")).group(0)
        fleet.wait_state(again, "failed")
        assert any(SECRET in path for path, _ in server.requests if path.startswith("/status/403")), "retry lost the query"
        assert len([p for p, _ in server.requests if p.startswith("/status/403")]) >= 2
        elsewhere = fleet.submit(f"https://other.example/a.mp4?sig={SECRET}", urls[1])
        job = fleet.wait_state(elsewhere, "failed")
        assert "other.example" in job["message"] and "VMAFX_INPUT_URL_HOSTS" in job["message"], job
        again = fleet.submit(*urls)
        fleet.wait_state(again, "succeeded")
        for process in fleet.processes[::-1]:
            process.kill(signal.SIGTERM)

        for path, data in everything_in("."):
            if not re.search(r"jobs\.db|/cache/", path):
                assert SECRET.encode() not in data, f"the secret is in {path}"
        everything = [body for bodies in receiver.bodies.values() for _, body in bodies]
        assert everything and not any(SECRET.encode() in body for body in everything), "the secret is in a signal"
        text = b"".join(everything)
        for name in (b"vmafx.input.open", b"vmafx.input.fetched_size", b"vmafx.input.sha256", b"http.client.request.duration",
                     b"url.full", server.url("/media/ref.y4m").encode()):
            assert name in text, f"no {name} in what was exported"


@case
def the_documents_example_works():
    page = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "docs", "inputs.md")
    with open(page, encoding="utf-8") as f:
        command = re.search(r"<!-- tested -->\n```sh\n(.*?)```", f.read(), re.S).group(1).strip()
    assert command.startswith("vmafx "), command
    with Server(files=files_of(*absolute_pair())) as server, MediaFleet({}) as fleet:
        got = subprocess.run(["sh", "-c", f'"$VMAFX" {command[6:]} --controller 127.0.0.1:{fleet.port}'], text=True,
                             env={**fleet.env, "VMAFX": harness.PROGRAM, "BASE": server.url("/media")}, capture_output=True,
                             timeout=100, check=False)
        assert got.returncode == 0, got.stdout + got.stderr
    with open(page, encoding="utf-8") as f:
        said = set(re.findall(r"VMAFX_INPUT_\w+", f.read()))
    shown = subprocess.run([os.path.join(os.path.dirname(harness.PROGRAM), "vmafx-node"), "--help"], text=True,
                           capture_output=True, check=True).stdout
    assert all(name in shown for name in said), said


@case
def a_cancelled_job_stops_its_download():
    reference, distorted = absolute_pair()
    with Server(files=files_of(reference, distorted)) as server, MediaFleet({}) as fleet:
        job_id = fleet.submit(server.url("/silent"), server.url("/media/dis.y4m"))
        end = time.monotonic() + 30
        while not server.asked("/silent"):
            assert time.monotonic() < end
            time.sleep(0.02)
        fleet.ok("cancel", job_id)
        fleet.wait_state(job_id, "cancelled")
        start = time.monotonic()
        assert fleet.nodes["node-1"].kill(signal.SIGTERM) == 0
        assert time.monotonic() - start < 10, "the download went on"


@case
def a_submission_of_something_else_is_refused_without_its_secrets():
    with Fleet(nodes=0) as fleet:
        for uri, word in ((f"https://u:{SECRET}@h:x/a", "port"), (f"ftp://u:{SECRET}@h/a?{SECRET}", "neither"),
                          ("s3://bucket", "s3://BUCKET/KEY"), (f"https://h ost/a?{SECRET}", "blank")):
            got = fleet.cli("submit", "--reference", uri, "--distorted", "https://h/a")
            assert got.returncode != 0 and word in got.stderr and SECRET not in got.stdout + got.stderr, got


if __name__ == "__main__":
    main()

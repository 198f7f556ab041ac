# SPDX-License-Identifier: BSD-2-Clause-Patent
"""The controller's HTTP door: every route and refusal with curl, events by hand, the description held to what is served.

usage: test_rest.py VMAFX [CASE…]
"""
import hashlib
import http.client
import json
import os
import re
import signal
import subprocess
import time

from fleet import DEADLINE_S, Fleet
from harness import absolute_pair, case, main, need, write_y4m
from openapi import Answer, Description, check_document
from otlp import Receiver
from trees import check_tree, spans_by_trace

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
JSON = {"Content-Type": "application/json"}
UNKNOWN = "0192f0c1-7b1c-7d3e-8a55-3f1b2c4d5e6f"


def long_pair(n):
    """Few small frames, many times: made quickly."""
    for name, noise in (("ref.y4m", 0), ("dis.y4m", 1)):
        write_y4m("few.y4m", n=5, noise=noise)
        with open("few.y4m", "rb") as f:
            head, frames = f.readline(), f.read()
        with open(name, "wb") as f:
            f.write(head + frames * (n // 5))
    return os.path.abspath("ref.y4m"), os.path.abspath("dis.y4m")


class Rest:
    """curl against a fleet's controller; what it answers is held to the description."""

    def __init__(self, fleet, check=True):
        need("curl", "curl")
        self.port = int(fleet.controller.wait_line(r"HTTP ready.*server\.port=(\d+)").group(1))
        self.base = f"http://127.0.0.1:{self.port}"
        self.seen = Description(self.ask("GET", "/openapi.json").json()) if check else None

    def ask(self, method, path, body=None, headers=(), more=()):
        """body: an object, sent as JSON; bytes or a text as they are."""
        arguments = ["curl", "-sS", "--globoff", "-D", "head.txt", "-o", "body.bin", "--max-time", str(DEADLINE_S), *more]
        arguments += ["--head"] if method == "HEAD" else ["-X", method]
        headers = dict(headers)
        if body is not None:
            if not isinstance(body, (bytes, str)):
                body, headers = json.dumps(body), {**JSON, **headers}
            arguments += ["--data-binary", "@-"]
            headers.setdefault("Content-Type", "")
        for name, value in headers.items():
            arguments += ["-H", f"{name}: {value}" if value else f"{name}:"]
        with open("body.bin", "wb"):
            pass
        subprocess.run([*arguments, self.base + path], input=body.encode() if isinstance(body, str) else body or b"",
                       check=True)
        with open("head.txt", encoding="latin-1", newline="") as f:
            lines = f.read().split("\r\n\r\n")[-2].split("\r\n")
        with open("body.bin", "rb") as f:
            answer = Answer(int(lines[0].split()[1]), {}, f.read() if method != "HEAD" else b"")
        for line in lines[1:]:
            name, _, value = line.partition(":")
            answer.headers[name.lower()] = value.strip()
        if getattr(self, "seen", None):
            self.seen.check(method, path, answer)
        return answer

    def ok(self, method, path, body=None, status=200, **more):
        answer = self.ask(method, path, body, **more)
        assert answer.status == status, f"{method} {path}: {answer.status} {answer.body[:2000]}"
        return answer.json() if answer.body and "json" in answer.headers.get("content-type", "") else answer

    def refused(self, status, words, method, path, body=None, **more):
        answer = self.ask(method, path, body, **more)
        assert answer.status == status, f"{method} {path}: {answer.status} {answer.body[:2000]}"
        assert answer.headers["content-type"] == "application/problem+json", answer.headers
        problem = answer.json()
        assert problem["status"] == status and problem["error"], problem
        for word in [words] if isinstance(words, str) else words:
            assert word in problem["detail"], f"no {word!r} in {problem}"
        if status in (429, 503):
            assert int(answer.headers["retry-after"]) > 0, answer.headers
        return problem

    def wait_state(self, job_id, *states):
        end = time.monotonic() + DEADLINE_S
        while time.monotonic() < end:
            job = self.ok("GET", f"/v1/jobs/{job_id}")
            if job["state"] in ["JOB_STATE_" + state.upper() for state in states]:
                return job
            time.sleep(0.02)
        raise AssertionError(f"job {job_id} is {job['state']}, never {states}: {job}")


def spec(reference, distorted, **more):
    return {"reference": {"uri": reference}, "distorted": {"uri": distorted}, **more}


class Events:
    """A reader of server-sent events over a connection of its own."""

    def __init__(self, rest, job_id, last=None, status=200, headers=()):
        self.connection = http.client.HTTPConnection("127.0.0.1", rest.port, timeout=DEADLINE_S)
        self.rest = rest
        self.connection.request("GET", f"/v1/jobs/{job_id}/events",
                                headers={**dict(headers), **({"Last-Event-ID": str(last)} if last is not None else {})})
        self.response = self.connection.getresponse()
        assert self.response.status == status, f"{self.response.status} {self.response.read(2000)}"

    def __iter__(self):
        """(id or None, event, data) until the stream ends."""
        event = {}
        for line in iter(self.response.readline, b""):
            name, _, value = line.decode().rstrip("\n").partition(": ")
            if line == b"\n" and event:
                data = json.loads(event["data"])
                if self.rest.seen:
                    self.rest.seen.validate({"$ref": "#/components/schemas/WatchJobResponse"}, data)
                yield int(event["id"]) if "id" in event else None, event["event"], data
                event = {}
            elif name in ("id", "event", "data"):
                event[name] = value

    def close(self):
        self.connection.close()


# ---- Routes ----


@case
def a_job_goes_from_submit_to_result_and_is_deleted():
    reference, distorted = absolute_pair(n=12)
    with Fleet() as fleet:
        rest = Rest(fleet)
        answer = rest.ask("POST", "/v1/jobs", spec(reference, distorted, labels=[{"key": "show", "value": "pilot"}]))
        assert answer.status == 201, answer.body
        job = answer.json()
        assert answer.headers["location"] == f"/v1/jobs/{job['id']}"
        assert job["submitter"] == "local" and job["state"] == "JOB_STATE_QUEUED"
        assert rest.wait_state(job["id"], "succeeded", "failed")["state"] == "JOB_STATE_SUCCEEDED"
        assert fleet.job(job["id"])["job"]["spec"]["labels"] == job["spec"]["labels"], "gRPC says something else"

        for name, media in (("json", "application/json"), ("ndjson", "application/x-ndjson"), ("csv", "text/csv"),
                            ("xml", "application/xml")):
            fleet.ok("result", job["id"], "--output", "cli." + name)
            with open("cli." + name, "rb") as f:
                wanted = f.read()
            by_format = rest.ask("GET", f"/v1/jobs/{job['id']}/result?format={name}")
            by_accept = rest.ask("GET", f"/v1/jobs/{job['id']}/result", headers={"Accept": media})
            for got in (by_format, by_accept):
                assert got.status == 200 and got.headers["content-type"] == media, got.headers
                assert got.body == wanted, f"{name}: not what the command line writes"
        assert rest.ask("GET", f"/v1/jobs/{job['id']}/result").headers["content-type"] == "application/json"
        summary = rest.ok("GET", f"/v1/jobs/{job['id']}/result?summary=true")
        assert summary["frames"] == 12 and any(s["name"] == "vmaf" for s in summary["series"]), summary
        assert rest.ask("HEAD", f"/v1/jobs/{job['id']}").status == 200

        rest.refused(409, "has ended already: succeeded", "POST", f"/v1/jobs/{job['id']}/cancel")
        rest.refused(409, "only failed and cancelled", "POST", f"/v1/jobs/{job['id']}/retry")
        assert rest.ask("DELETE", f"/v1/jobs/{job['id']}").status == 204
        rest.refused(404, job["id"], "GET", f"/v1/jobs/{job['id']}")
        rest.refused(404, job["id"], "DELETE", f"/v1/jobs/{job['id']}")


@case
def a_large_result_comes_out_of_a_file_and_is_the_same():
    reference, distorted = long_pair(10000)
    with Fleet() as fleet:
        rest = Rest(fleet, check=False)
        job = rest.ok("POST", "/v1/jobs", spec(reference, distorted), status=201)
        rest.wait_state(job["id"], "succeeded")
        fleet.ok("result", job["id"], "--output", "cli.csv")
        got = rest.ask("GET", f"/v1/jobs/{job['id']}/result?format=csv")
        with open("cli.csv", "rb") as f:
            assert got.status == 200 and got.body == f.read(), "not what the command line writes"
        assert len(got.body) > 1000000 and int(got.headers["content-length"]) == len(got.body)


@case
def a_batch_is_accepted_or_refused_job_by_job():
    with Fleet(nodes=0) as fleet:
        rest = Rest(fleet)
        outcomes = rest.ok("POST", "/v1/jobs/batch", {"jobs": [
            spec("/a", "/b"), spec("/a", "/b", priority=1000), spec("/a", "/b", idempotency_key="k"),
            spec("/a", "/b", idempotency_key="k"), {}]})["outcomes"]
        assert [o["error"] for o in outcomes] == ["", "INVALID", "", "", "INVALID"], outcomes
        assert outcomes[1]["message"].startswith("jobs[1].priority"), outcomes[1]
        assert outcomes[2]["job"]["id"] == outcomes[3]["job"]["id"] and outcomes[3]["already_there"], outcomes
        many = rest.ok("POST", "/v1/jobs/batch", {"jobs": [spec("/a", "/b")] * 1000})["outcomes"]
        assert len({o["job"]["id"] for o in many}) == 1000
        rest.refused(400, "1001 of them", "POST", "/v1/jobs/batch", {"jobs": [spec("/a", "/b")] * 1001})
        rest.refused(400, "0 of them", "POST", "/v1/jobs/batch", {"jobs": []})
        rest.refused(400, "jobs[1].referense", "POST", "/v1/jobs/batch", {"jobs": [spec("/a", "/b"), {"referense": {}}]})
        rest.refused(400, "Idempotency-Key", "POST", "/v1/jobs/batch", {"jobs": [spec("/a", "/b")]},
                     headers={"Idempotency-Key": "k"})
        rest.refused(413, "longer", "POST", "/v1/jobs/batch", b" " * (16 * 1024 * 1024 + 1), headers=JSON)


@case
def an_idempotency_key_may_be_a_member_or_a_header():
    with Fleet(nodes=0) as fleet:
        rest = Rest(fleet)
        key = {"Idempotency-Key": "k1"}
        first = rest.ok("POST", "/v1/jobs", spec("/a", "/b"), status=201, headers=key)
        assert first["spec"]["idempotency_key"] == "k1", first
        for body, headers in ((spec("/a", "/b"), key), (spec("/a", "/b"), {"Idempotency-Key": '"k1"'}),
                              (spec("/a", "/b", idempotency_key="k1"), {}), (spec("/a", "/b", idempotency_key="k1"), key)):
            again = rest.ask("POST", "/v1/jobs", body, headers=headers)
            assert again.status == 200 and again.json()["id"] == first["id"], again.body
            assert again.headers["location"] == f"/v1/jobs/{first['id']}"
        rest.refused(409, first["id"], "POST", "/v1/jobs", spec("/a", "/c"), headers=key)
        rest.refused(400, ["k1", "k2"], "POST", "/v1/jobs", spec("/a", "/b", idempotency_key="k2"), headers=key)
        rest.refused(400, "empty", "POST", "/v1/jobs", spec("/a", "/b"), headers={"Idempotency-Key": '""'})
        rest.refused(400, "ASCII", "POST", "/v1/jobs", spec("/a", "/b"), headers={"Idempotency-Key": "k\u00e4"})
        rest.refused(400, "idempotency_key", "POST", "/v1/jobs", spec("/a", "/b"), headers={"Idempotency-Key": "k" * 300})
        assert len(rest.ok("GET", "/v1/jobs")["jobs"]) == 1
        rest.ok("POST", f"/v1/jobs/{first['id']}/cancel")
        assert rest.ok("POST", "/v1/jobs", spec("/a", "/b"), status=201, headers=key)["id"] != first["id"]


@case
def lists_are_filtered_and_paged():
    with Fleet(nodes=0) as fleet:
        rest = Rest(fleet)
        jobs = [rest.ok("POST", "/v1/jobs", spec("/a", "/b", labels=[{"key": "n", "value": str(i)},
                                                                     {"key": "half", "value": "a=b, c&d"[i % 2:]}]),
                        status=201) for i in range(7)]
        rest.ok("POST", f"/v1/jobs/{jobs[3]['id']}/cancel", {"reason": "why not"})

        def ids(query):
            return [job["id"] for job in rest.ok("GET", "/v1/jobs" + query)["jobs"]]

        every = [job["id"] for job in reversed(jobs)]
        assert ids("") == every
        assert ids("?state=cancelled") == [jobs[3]["id"]]
        assert ids("?state=JOB_STATE_CANCELLED") == [jobs[3]["id"]]
        assert ids("?state=queued,cancelled") == ids("?state=queued&state=cancelled") == every
        assert ids("?label=n%3D5") == [jobs[5]["id"]]
        assert ids("?label=half=a%3Db%2C%20c%26d") == every[::2]
        assert ids("?label=half=a%3Db%2C+c%26d&label=n=1") == []
        assert ids("?submitter=local") == every and ids("?submitter=nobody") == []
        at = jobs[2]["created_unix_us"]
        iso = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at // 1000000)) + f".{at % 1000000:06}Z"
        for text in (str(at), iso, iso.replace("Z", "%2B00:00")):
            assert ids(f"?created_from={text}") == every[:-2], text
            assert ids(f"?created_before={text}") == every[-2:], text

        got, path = [], "/v1/jobs?page_size=3&label=half%3Da%3Db%2C%20c%26d&state=queued,cancelled"
        pages = 0
        while path:
            answer = rest.ask("GET", path)
            got += [job["id"] for job in answer.json()["jobs"]]
            link = re.fullmatch(r'<([^>]+)>; rel="next"', answer.headers.get("link", ""))
            assert bool(link) == bool(answer.json()["next_page_token"])
            path, pages = link and link.group(1), pages + 1
        assert got == every[::2] and pages == 2, (got, pages)

        for query, words in (("?state=queed", "state: 'queed'"), ("?state=", "state: ''"), ("?stat=queued", "'stat'"),
                             ("?state=queued,", "state: ''"), ("?state=JOB_STATE_UNSPECIFIED", "state: "),
                             ("?label=n", "KEY=VALUE"), ("?label==n", "KEY=VALUE"), ("?page_size=0", "page_size"),
                             ("?page_size=1001", "page_size"), ("?page_size=99999", "page_size"), ("?page_size=x", "page_size"),
                             ("?page_token=x", "page_token"), ("?page_token=", "page_token"), ("?submitter=", "submitter"),
                             ("?created_from=now", "created_from"), (f"?created_from={iso.replace('Z', '+00:00')}", "%2B"),
                             ("?page_size=1&page_size=2", "twice"), ("?label=" + "k" * 64 + "=v", "63"),
                             ("?state=" + ",".join(["queued"] * 17), "16"), ("?" + "&".join(["label=a=b"] * 33), "32")):
            rest.refused(400, words, "GET", "/v1/jobs" + query)
        rest.refused(400, "body", "GET", "/v1/jobs", {})


@case
def what_is_not_a_job_is_refused_with_what_and_where():
    with Fleet(nodes=0) as fleet:
        rest = Rest(fleet)
        good = spec("/a", "/b")
        for status, words, body in (
                (400, "body: missing", b""), (400, "not JSON", b"{"), (400, "not JSON", b"{} x"), (400, "not JSON", b"\xff"),
                (400, "job: must be an object", b"[]"), (400, "not JSON: duplicate", b'{"priority":1,"priority":2}'),
                (400, "job.referense", {"referense": {}}), (400, "job.reference", {}),
                (400, "job.priority", {**good, "priority": "1"}), (400, "job.priority", {**good, "priority": 101}),
                (400, "job.comparison.subsample", {**good, "comparison": {"subsample": -1}}),
                (400, "job.encode", {**good, "encode": {"encoder": "libx264"}}),
                (400, "job.encode.codec", {"reference": {"uri": "/a"}, "encode": {"codec": "mpeg2", "crf": 23}}),
                (400, "deadline_unix_us", {**good, "deadline_unix_us": 1}),
                (400, "65536", {**good, "models": [{"version": "v" * 100, "overloads": [
                    {"key": f"e.o{i}", "value": "v" * 250} for i in range(60)]}] * 6})):
            rest.refused(status, words, "POST", "/v1/jobs", body, headers=JSON)
        rest.refused(413, "longer", "POST", "/v1/jobs", b" " * (128 * 1024 + 1), headers=JSON)
        for media in ("text/plain", "application/x-www-form-urlencoded", "application/jsonx", None):
            rest.refused(415, "application/json", "POST", "/v1/jobs", json.dumps(good), headers={"Content-Type": media or ""})
        assert rest.ask("POST", "/v1/jobs", json.dumps(good),
                        headers={"Content-Type": "application/json; charset=utf-8"}).status == 201
        rest.refused(400, "'x'", "POST", "/v1/jobs?x=1", good)
        for path in ("/v1", "/v1/", "/v1/jobs/", "/v1/job", f"/v1/jobs/{UNKNOWN}/", f"/v1/jobs/{UNKNOWN}/resul", "/openapi.yaml"):
            assert rest.ask("GET", path).status == 404, path
        for method, path, allowed in (("PUT", "/v1/jobs", {"GET", "POST"}), ("DELETE", "/v1/jobs", {"GET", "POST"}),
                                      ("POST", f"/v1/jobs/{UNKNOWN}", {"GET", "DELETE"}),
                                      ("GET", f"/v1/jobs/{UNKNOWN}/cancel", {"POST"}), ("POST", "/v1/nodes", {"GET"})):
            answer = rest.ask(method, path)
            assert answer.status == 405, (method, path, answer.status)
            assert allowed <= set(re.findall(r"\w+", answer.headers["allow"])), answer.headers["allow"]


@case
def every_route_says_so_when_there_is_no_such_thing():
    with Fleet(nodes=0) as fleet:
        rest = Rest(fleet)
        for method, rest_of_path in (("GET", ""), ("DELETE", ""), ("POST", "/cancel"), ("POST", "/retry"), ("GET", "/result"),
                                     ("GET", "/events")):
            rest.refused(404, UNKNOWN, method, f"/v1/jobs/{UNKNOWN}{rest_of_path}")
            rest.refused(400, "'x1'", method, f"/v1/jobs/x1{rest_of_path}")
            rest.refused(400, "'y'", method, f"/v1/jobs/{UNKNOWN}{rest_of_path}?y=1")
        rest.refused(404, "node-9", "POST", "/v1/nodes/node-9/drain")
        job = rest.ok("POST", "/v1/jobs", spec("/a", "/b"), status=201)["id"]
        rest.refused(404, ["no result", "queued"], "GET", f"/v1/jobs/{job}/result")
        rest.refused(409, "cancel it first", "DELETE", f"/v1/jobs/{job}")
        rest.refused(400, "in the path", "POST", f"/v1/jobs/{job}/cancel", {"id": job})
        rest.refused(400, "reason", "POST", f"/v1/jobs/{job}/cancel", {"reason": "x" * 256})
        rest.refused(400, "reason", "POST", f"/v1/jobs/{job}/cancel", {"reason": "a\nb"})
        rest.refused(400, "why", "POST", f"/v1/jobs/{job}/cancel", {"why": ""})
        rest.refused(400, "body", "DELETE", f"/v1/jobs/{job}", {})
        for query, status, words, headers in (("?format=yaml", 400, "format", {}), ("?summary=yes", 400, "summary", {}),
                                              ("?summary=true&format=csv", 400, "JSON only", {}),
                                              ("?format=", 400, "format", {}), ("", 406, "Accept", {"Accept": "image/png"})):
            rest.refused(status, words, "GET", f"/v1/jobs/{job}/result{query}", headers=headers)
        rest.refused(406, "event-stream", "GET", f"/v1/jobs/{job}/events", headers={"Accept": "application/json"})
        for last in ("x", "-1", "1.5", "99999999999999999999"):
            rest.refused(400, "Last-Event-ID", "GET", f"/v1/jobs/{job}/events", headers={"Last-Event-ID": last})
        assert rest.ask("HEAD", f"/v1/jobs/{job}/events").headers["content-type"] == "text/event-stream"

        cancelled = rest.ok("POST", f"/v1/jobs/{job}/cancel", {"reason": "not needed"})
        assert cancelled["state"] == "JOB_STATE_CANCELLED" and cancelled["message"] == "not needed", cancelled
        rest.ok("POST", f"/v1/jobs/{job}/cancel")
        again = rest.ask("POST", f"/v1/jobs/{job}/retry", {})
        assert again.status == 201 and again.json()["retry_of"] == job
        assert again.headers["location"] == f"/v1/jobs/{again.json()['id']}"
        rest.refused(400, "Idempotency-Key", "POST", f"/v1/jobs/{job}/retry", headers={"Idempotency-Key": "k"})


@case
def a_full_queue_says_when_to_come_back():
    with Fleet(nodes=0, controller=["--queue-max", "2"]) as fleet:
        rest = Rest(fleet)
        for _ in range(2):
            rest.ok("POST", "/v1/jobs", spec("/a", "/b"), status=201)
        assert rest.refused(429, "full", "POST", "/v1/jobs", spec("/a", "/b"))["error"] == "BUSY"


@case
def nodes_are_listed_and_drained_and_say_which_models_they_have():
    with Fleet(nodes=2) as fleet:
        rest = Rest(fleet)
        nodes = rest.ok("GET", "/v1/nodes")["nodes"]
        assert [node["name"] for node in nodes] == ["node-1", "node-2"] and nodes[0]["state"] == "NODE_STATE_READY", nodes
        models = rest.ok("GET", "/v1/models")
        assert models["nodes"] == 2 and models["silent_nodes"] == 0, models
        assert {"version": "vmaf_v0.6.1", "nodes": 2} in models["models"], models
        rest.refused(400, "in the path", "POST", "/v1/nodes/node-1/drain", {"name": "node-2"})
        assert rest.ok("POST", "/v1/nodes/node-1/drain", {"finish": True})["state"] == "NODE_STATE_DRAINING"
        end = time.monotonic() + DEADLINE_S
        while rest.ok("GET", "/v1/models")["nodes"] > 1 and time.monotonic() < end:
            time.sleep(0.05)
        assert {"version": "vmaf_v0.6.1", "nodes": 1} in rest.ok("GET", "/v1/models")["models"]


# ---- Events ----


@case
def a_follower_is_told_everything_once_and_in_order():
    reference, distorted = absolute_pair(n=30)
    with Fleet() as fleet:
        rest = Rest(fleet)
        job = rest.ok("POST", "/v1/jobs", spec(reference, distorted), status=201)["id"]
        got = list(Events(rest, job))
        assert got[0][1] == "job" and got[0][2]["job"]["id"] == job and "event" not in got[0][2], got[0]
        changes = [(at, data) for at, kind, data in got if kind == "change"]
        assert [at for at, _ in changes] == sorted({at for at, _ in changes}), "twice, or out of order"
        assert all(data["event"]["sequence"] == at for at, data in changes)
        assert changes[-1][1]["event"]["kind"] == "EVENT_KIND_ENDED", changes[-1]
        assert changes[-1][1]["job"]["state"] == "JOB_STATE_SUCCEEDED"
        assert got[-1][1] == "change" and got[0][0] < changes[0][0]
        ended = list(Events(rest, job))
        assert len(ended) == 1 and ended[0][2]["job"]["state"] == "JOB_STATE_SUCCEEDED" and ended[0][0] == changes[-1][0]
        history = [e["sequence"] for e in json.loads(fleet.ok("job", job, "--json"))["events"]]
        replayed = list(Events(rest, job, last=0))
        assert replayed[0][0] is None and replayed[0][1] == "job", "the first message of a resumption has no id"
        assert [at for at, kind, _ in replayed if kind == "change"] == history, (replayed, history)
        Events(rest, job, last=history[-1], status=204).close()


@case
def a_follower_whose_connection_broke_resumes_without_a_gap():
    reference, distorted = absolute_pair(n=30)
    with Fleet(nodes=0) as fleet:
        rest = Rest(fleet)
        job = rest.ok("POST", "/v1/jobs", spec(reference, distorted), status=201)["id"]
        stream = Events(rest, job)
        last, kind, _ = next(iter(stream))
        assert kind == "job" and last, "the first message says up to where it knows"
        stream.close()
        fleet.start_node("node-1")
        rest.wait_state(job, "succeeded", "failed")
        missed = [data["event"] for _, kind, data in Events(rest, job, last=last) if kind == "change"]
        assert [e["kind"] for e in missed][0] == "EVENT_KIND_LEASED" and missed[-1]["kind"] == "EVENT_KIND_ENDED", missed
        history = [e["sequence"] for e in json.loads(fleet.ok("job", job, "--json"))["events"]]
        assert [last] + [e["sequence"] for e in missed] == history, (last, missed, history)


@case
def a_follower_that_breaks_after_every_event_still_gets_each_once():
    reference, _ = absolute_pair(n=6)
    with Fleet(nodes=1) as fleet:
        rest = Rest(fleet)
        job = rest.ok("POST", "/v1/jobs", spec(reference, os.path.abspath("missing.y4m")), status=201)["id"]
        seen, last = [], 0
        while True:
            stream = Events(rest, job, last=last)
            change = next(((at, data) for at, kind, data in stream if kind == "change"), None)
            stream.close()
            assert change, "the stream ended without an event"
            last = change[0]
            seen.append(last)
            if change[1]["event"]["kind"] == "EVENT_KIND_ENDED":
                break
        history = [e["sequence"] for e in json.loads(fleet.ok("job", job, "--json"))["events"]]
        assert seen == history, (seen, history)


@case
def followers_end_when_the_controller_stops_and_resume_with_the_next():
    with Fleet(nodes=0) as fleet:
        rest = Rest(fleet)
        job = rest.ok("POST", "/v1/jobs", spec("/a", "/b"), status=201)["id"]
        stream = iter(Events(rest, job))
        last, _, _ = next(stream)
        assert fleet.controller.kill(signal.SIGTERM) == 0
        assert list(stream) == []
        fleet.start_controller()
        rest = Rest(fleet)
        rest.ok("POST", f"/v1/jobs/{job}/cancel")
        missed = [data["event"]["kind"] for _, kind, data in Events(rest, job, last=last) if kind == "change"]
        assert missed == ["EVENT_KIND_ENDED"], missed


@case
def a_page_of_another_site_may_not_follow_and_a_flood_of_followers_is_cut():
    with Fleet(nodes=0) as fleet:
        rest = Rest(fleet)
        job = rest.ok("POST", "/v1/jobs", spec("/a", "/b"), status=201)["id"]
        rest.refused(401, "", "GET", f"/v1/jobs/{job}/events", headers={"Origin": "https://example.com"})
        streams = [Events(rest, job) for _ in range(100)]
        firsts = [next(iter(stream)) for stream in streams]
        assert all(first[1] == "job" for first in firsts)
        rest.ok("POST", f"/v1/jobs/{job}/cancel")
        for stream in streams:
            assert [kind for _, kind, _ in stream] == ["change"]


# ---- Who ----


@case
def a_tenant_sees_its_own_jobs_whatever_it_asks():
    tokens = {name: "vmafx_" + letter * 43 for name, letter in (("studio", "A"), ("archive", "B"), ("reader", "C"), ("root", "D"))}
    rows = {"studio": "admin ci tenant=studio", "archive": "admin ci2 tenant=archive", "reader": "reader eve", "root": "admin alice"}
    with open("tokens", "w", encoding="utf-8") as f:
        for name, token in tokens.items():
            f.write(f"sha256:{hashlib.sha256(token.encode()).hexdigest()} {rows[name]}\n")
    os.chmod("tokens", 0o600)

    def as_(name):
        return {"Authorization": f"Bearer {tokens[name]}"}

    reference, distorted = absolute_pair(n=6)
    with Fleet(controller=["--tokens", os.path.abspath("tokens")]) as fleet:
        rest = Rest(fleet)
        mine = rest.ok("POST", "/v1/jobs", spec(reference, distorted), status=201, headers=as_("studio"))
        assert mine["submitter"] == "studio", mine
        path = f"/v1/jobs/{mine['id']}"
        rest.wait_state(mine["id"], "succeeded")
        for method, more in (("GET", ""), ("GET", "/result"), ("GET", "/events"), ("POST", "/cancel"), ("POST", "/retry"),
                             ("DELETE", "")):
            rest.refused(404, "there is no job", method, path + more, headers=as_("archive"))
        assert rest.ok("GET", "/v1/jobs", headers=as_("archive"))["jobs"] == []
        assert rest.ok("GET", "/v1/jobs?submitter=studio", headers=as_("archive"))["jobs"] == []
        theirs = rest.ok("POST", "/v1/jobs/batch", {"jobs": [spec("/a", "/b")]}, headers=as_("archive"))["outcomes"][0]["job"]
        assert theirs["submitter"] == "archive"
        for name, wanted in (("studio", [mine]), ("archive", [theirs]), ("reader", [theirs, mine]), ("root", [theirs, mine])):
            got = rest.ok("GET", "/v1/jobs", headers=as_(name))["jobs"]
            assert [job["id"] for job in got] == [job["id"] for job in wanted], name
        assert rest.ok("GET", path + "/result", headers=as_("studio"))["complete"]
        assert rest.ok("GET", path, headers=as_("root"))["id"] == mine["id"]
        assert [kind for _, kind, _ in Events(rest, mine["id"], headers=as_("studio"))] == ["job"]

        rest.refused(403, "studio", "POST", "/v1/nodes/node-1/drain", headers=as_("studio"))
        plain = Rest(fleet, check=False)  # /metrics is in no description
        plain.refused(403, "not kept apart by tenant", "GET", "/metrics", headers=as_("studio"))
        assert plain.ask("GET", "/metrics", headers=as_("reader")).status not in (401, 403)  # telemetry is off here
        rest.refused(403, "", "POST", "/v1/jobs", spec("/a", "/b"), headers=as_("reader"))
        rest.refused(403, "", "DELETE", path, headers=as_("reader"))
        rest.refused(401, "", "GET", path, headers={"Authorization": "Bearer vmafx_" + "E" * 43})
        audit = [line for line in fleet.controller.lines().splitlines() if "msg=audit" in line]
        assert any("job.submit" in line and "vmafx.audit.identity=ci " in line + " " for line in audit), audit
        assert rest.ask("DELETE", path, headers=as_("studio")).status == 204


# ---- Traces ----


@case
def the_callers_trace_goes_through_http_to_the_last_span():
    reference, distorted = absolute_pair(n=12)
    receiver = Receiver()
    env = receiver.environment(OTEL_SDK_DISABLED="false", OTEL_BSP_SCHEDULE_DELAY="200")
    trace, parent = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
    with Fleet(nodes=1, env=env) as fleet:
        rest = Rest(fleet)
        job = rest.ok("POST", "/v1/jobs", spec(reference, distorted), status=201,
                      headers={"traceparent": f"00-{trace}-{parent}-01", "tracestate": "vendor=1"})
        assert job["trace_id"] == trace, job
        rest.wait_state(job["id"], "succeeded")
        lone = rest.ok("POST", "/v1/jobs", spec(reference, distorted), status=201)
        rest.wait_state(lone["id"], "succeeded")
        for node in fleet.nodes.values():
            assert node.kill(signal.SIGTERM) == 0
        assert fleet.controller.kill(signal.SIGTERM) == 0
    traces = spans_by_trace(receiver)
    for trace_id, outside in ((trace, parent), (lone["trace_id"], None)):
        spans = traces[trace_id]
        server = [s for s in spans if s[2] == "POST /v1/jobs"]
        submit = [s for s in spans if s[2] == "vmafx.job.submit"]
        assert len(server) == 1 and len(submit) == 1, [s[2] for s in spans]
        assert submit[0][1] == server[0][0], "vmafx.job.submit is not below the server's span"
        assert [s for s in spans if s[1] == submit[0][0]], "no span of the store below the submission"
        if outside:
            jobs = [s for s in spans if s[2] == "vmafx.job"]
            assert jobs[0][1] == server[0][1] == outside, (jobs, server)
            spans = spans + [(outside, "", "caller", server[0][3], server[0][4])]
        check_tree(spans)


# ---- The description, and the page ----


@case
def every_described_route_answers_and_no_other_exists():
    with Fleet(nodes=1) as fleet:
        rest = Rest(fleet)
        described = {(method.upper(), pattern) for pattern, operations in rest.seen.document["paths"].items()
                     for method in operations}
        for method, pattern in sorted(described):
            path = pattern.replace("{id}", UNKNOWN).replace("{name}", "node-9")
            answer = rest.ask(method, path)
            assert answer.status != 405 and (answer.status != 404 or UNKNOWN in answer.body.decode() or "node-9" in
                                             answer.body.decode()), f"{method} {pattern}: {answer.status} {answer.body}"
        with open(os.path.join(ROOT, "src", "auth", "permissions.def"), encoding="utf-8") as f:
            allowed = set(re.findall(r'VMAFX_PERMISSION\("([A-Z]+) (/\S*)"', f.read()))
        probes = {("GET", path) for path in ("/livez", "/readyz", "/startupz", "/metrics")}
        for method, pattern in allowed - described - probes: # other programs' routes are not here
            answer = rest.ask(method, pattern.replace("{id}", UNKNOWN).replace("{name}", "node-9"))
            assert answer.status in (404, 405), f"{method} {pattern} is served and not described"
        assert described <= allowed
        for pattern, operations in rest.seen.document["paths"].items():
            path = pattern.replace("{id}", UNKNOWN).replace("{name}", "node-9")
            for method in {"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"} - {m.upper() for m in operations}:
                wanted = 400 if (method, path) in (("GET", "/v1/jobs/batch"), ("DELETE", "/v1/jobs/batch")) else 405  # no id
                assert rest.ask(method, path).status == wanted, f"{method} {pattern} is served and not described"
        served = rest.ask("GET", "/openapi.json").body
        with open(os.path.join(ROOT, "docs", "openapi.json"), "rb") as f:
            assert served == f.read(), "the program's description is an old one"


@case
def the_description_is_openapi_3_1():
    check_document(os.path.join(ROOT, "docs", "openapi.json"))


@case
def the_examples_of_the_page_work():
    need("jq", "jq")
    reference, distorted = absolute_pair(n=12)
    with open(os.path.join(ROOT, "docs", "rest.md"), encoding="utf-8") as f:
        blocks = re.findall(r"^```sh\n(.*?)^```$", f.read(), re.DOTALL | re.MULTILINE)
    assert len(blocks) > 10
    with Fleet() as fleet:
        rest = Rest(fleet, check=False)
        script = "set -euo pipefail\n" + "\n".join(f"echo '--- block {i}' >&2\n{block}" for i, block in enumerate(blocks, 1))
        for old, new in (("http://127.0.0.1:7800", rest.base), ("/clips/reference.y4m", reference),
                         ("/clips/distorted.y4m", distorted)):
            assert old in script
            script = script.replace(old, new)
        got = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=300, check=False)
        assert got.returncode == 0, got.stdout + got.stderr
        for words in ("jobs[2].priority", "frame,time", "204", "vmaf_v0.6.1", "node-1 ", "there is no parameter 'stat'",
                      "job.referense: there is no such member", "job.comparison.subsample"):
            assert words in got.stdout, f"no {words!r} in:\n{got.stdout}{got.stderr}"


if __name__ == "__main__":
    main()

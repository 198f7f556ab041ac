# SPDX-License-Identifier: BSD-2-Clause-Patent
"""The real controller with grpc-js as its clients and as a node, made from the .proto files by code that is not ours.

usage: test_fleet_grpcjs.py VMAFX [CASE…]
"""
from foreign import HERE, MODULES, ROOT  # first: it knows where the harness is

import base64
import hashlib
import json
import os
import re
import signal
import subprocess
import time

from fleet import Fleet, Process, program
from harness import PROGRAM, Skip, case, main, need, pair, run

CODES = ("OK CANCELLED UNKNOWN INVALID_ARGUMENT DEADLINE_EXCEEDED NOT_FOUND ALREADY_EXISTS PERMISSION_DENIED "
         "RESOURCE_EXHAUSTED FAILED_PRECONDITION ABORTED OUT_OF_RANGE UNIMPLEMENTED INTERNAL UNAVAILABLE DATA_LOSS "
         "UNAUTHENTICATED").split()
NOBODY = "0192f0c1-7b1c-7d3e-8a55-3f1b2c4d5e6f"  # well formed, and no job's
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
JOB = {"reference": {"uri": "/media/größe.y4m"}, "distorted": {"uri": "/media/b.y4m"}}


def code_of(error):
    """The status that include/vmafx/errors.def has for one of our errors."""
    with open(os.path.join(ROOT, "include", "vmafx", "errors.def"), encoding="utf-8") as f:
        return CODES.index(re.search(rf"VMAFX_E\({error},\s+(\w+)", f.read())[1])


class Client:
    """fleet_client.mjs as a process."""

    def __init__(self, port, *tls, host="127.0.0.1"):
        self.process = subprocess.Popen(
            ["node", os.path.join(HERE, "fleet_client.mjs"), "--proto", os.path.join(ROOT, "proto"), "--modules", MODULES,
             "--target", f"{host}:{port}", *tls], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.names = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()

    def do(self, order, **what):
        self.process.stdin.write(json.dumps({"do": order, **what}) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, f"the client has ended at {order} {what}"
        return json.loads(line)

    def call(self, method, request=None, service="Jobs", **more):
        return self.do("call", service=service, method=method, request=request or {}, **more)

    def ok(self, method, request=None, **more):
        got = self.call(method, request, **more)
        assert got["code"] == 0, f"{method}: {got}"
        return got["response"]

    def refused(self, error, method, request=None, words=(), **more):
        got = self.call(method, request, **more)
        assert got["code"] == code_of(error), f"{method}: {got} is not {error}"
        for word in words:
            assert word in got["details"], f"{method}: no {word!r} in {got['details']!r}"
        return got["details"]

    def upload(self, *messages):
        return self.do("send", service="Jobs", method="UploadInput", messages=messages)

    def submit(self, job=None, **more):
        return self.ok("SubmitJob", {"job": {**(job or JOB), **more}})["job"]

    def stream(self, service, method, request=None, idle=False):
        self.names += 1
        name = f"stream {self.names}"
        self.do("open", stream=name, service=service, method=method, idle=idle, **({"request": request} if request else {}))
        return Stream(self, name)

    def pack(self, kind, message):
        return base64.b64decode(self.do("pack", type=f"vmafx.v1.{kind}", message=message)["base64"])


class Stream:
    def __init__(self, client, name):
        self.client, self.name = client, name

    def next(self):
        """Its next message; an error when it ends."""
        got = self.client.do("next", stream=self.name)
        assert "message" in got, f"the stream has ended: {got}"
        return got["message"]

    def until(self, kind):
        """The next message of a kind; the others are passed over."""
        while True:
            got = self.next()
            if got["kind"] == kind:
                return got[kind]

    def end(self):
        """All that still comes, and its status."""
        messages = []
        while True:
            got = self.client.do("next", stream=self.name)
            if "message" not in got:
                return messages, got
            messages.append(got["message"])

    def write(self, **message):
        self.client.do("write", stream=self.name, message=message)

    def write_bytes(self, data):
        self.client.do("write", stream=self.name, base64=base64.b64encode(data).decode())

    def close(self):
        self.client.do("end", stream=self.name)


class Node(Stream):
    """A node of grpc-js, welcomed."""

    def __init__(self, client, name="foreign-1", slots=2, **more):
        stream = client.stream("Fleet", "Connect")
        super().__init__(client, stream.name)
        self.write(hello={"protocol_version": 1, "name": name, "version": "9.9", "slots": slots, "cpu_level": "c",
                          "memory_bytes": str(1 << 34), **more})
        self.welcome = self.next()["welcome"]

    def finish(self, attempt, result=b"", chunk=1000, **end):
        """Sends a result in chunks, then the end; the answer to it."""
        for offset in range(0, len(result), chunk):
            self.write(result={"attempt": attempt, "offset": str(offset),
                               "data": base64.b64encode(result[offset:offset + chunk]).decode()})
        digest = hashlib.sha256(result).digest() if result else b""
        self.write(end={"attempt": attempt, "result_bytes": str(len(result)),
                        "result_sha256": base64.b64encode(digest).decode(), **end})
        return self.until("end_ack")


class Controller:
    """One of ours, with a client: with Controller(…) as c."""

    def __init__(self, *options):
        need("node", "nodejs")
        if not os.path.isdir(os.path.join(MODULES, "node_modules", "@grpc", "grpc-js")):
            raise Skip("the client's npm packages are missing; './run test' fetches them")
        self.options = options

    def __enter__(self):
        arguments = [program("vmafx-controller"), "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0", "--store",
                     os.path.abspath("jobs.db"), "--heartbeat", "200ms", "--lease", "5s", "--backoff", "50ms", *self.options]
        self.process = Process("controller", arguments, {**os.environ, "OTEL_SDK_DISABLED": "true"},
                               os.path.abspath("controller.log"))
        self.port = int(self.process.wait_line(r"server\.port=(\d+)")[1])
        self.client = Client(self.port)
        return self

    def __exit__(self, kind, *_):
        self.client.__exit__()
        code = self.process.kill(signal.SIGTERM)
        if kind:
            print(self.process.lines()[-4000:])
        else:
            assert code == 0, f"the controller ends with {code}:\n{self.process.lines()}"


def wait_state(client, job_id, state):
    """Until the job is in that state; the job."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        job = client.ok("GetJob", {"id": job_id})["job"]
        if job["state"] == f"JOB_STATE_{state}":
            return job
        time.sleep(0.02)
    raise AssertionError(f"the job is never {state}: {job}")


def stored_result(client, mean=93.5, complete=True):
    """The bytes of a result without frames."""
    return client.pack("StoredResult", {"summary": {
        "complete": complete, "frames": 50, "width": 64, "height": 48, "bitDepth": 8, "complete_reason": "",
        "series": [{"name": "vmaf", "kind": "SERIES_KIND_SCORE", "n": 50, "mean": mean}],
        "models": [{"name": "vmaf", "version": "vmaf_v0.6.1"}], "node": "foreign-1"}})


# ---- Jobs ----


@case
def a_job_is_submitted_read_cancelled_tried_again_and_deleted():
    with Controller() as c:
        job = c.client.submit(priority=-5, labels=[{"key": "show", "value": "größe"}], timeout_ms="604800000",
                              comparison={"subsample": 3})
        assert job["state"] == "JOB_STATE_QUEUED" and job["submitter"] == "local" and job["attempts"] == 0, job
        assert abs(int(job["created_unix_us"]) / 1e6 - time.time()) < 3600 and job["ended_unix_us"] == "0", job
        assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", job["id"]), job
        got = c.client.ok("GetJob", {"id": job["id"]})["job"]
        assert got == job, f"{got} is not {job}"
        assert got["spec"]["reference"]["uri"] == JOB["reference"]["uri"] and got["spec"]["comparison"]["subsample"] == 3

        ended = c.client.ok("CancelJob", {"id": job["id"], "reason": "no longer wanted"})["job"]
        assert ended["state"] == "JOB_STATE_CANCELLED" and "no longer wanted" in ended["message"], ended
        assert c.client.ok("CancelJob", {"id": job["id"]})["job"]["state"] == "JOB_STATE_CANCELLED", "not twice"
        again = c.client.ok("RetryJob", {"id": job["id"]})["job"]
        assert again["id"] != job["id"] and again["retry_of"] == job["id"] and again["state"] == "JOB_STATE_QUEUED", again
        assert again["trace_id"] != job["trace_id"] and again["spec"]["labels"] == job["spec"]["labels"], again

        events = c.client.ok("GetJobEvents", {"id": job["id"]})["events"]
        assert [e["kind"] for e in events] == ["EVENT_KIND_SUBMITTED", "EVENT_KIND_ENDED"], events
        assert int(events[0]["sequence"]) < int(events[1]["sequence"]), events
        c.client.ok("DeleteJob", {"id": job["id"]})
        c.client.refused("NOT_FOUND", "GetJob", {"id": job["id"]}, words=[job["id"]])


@case
def a_job_is_part_of_the_callers_trace():
    with Controller() as c:
        job = c.client.ok("SubmitJob", {"job": JOB}, metadata={"traceparent": TRACEPARENT})["job"]
        assert job["trace_id"] == TRACEPARENT.split("-")[1], job
        assert len(base64.b64decode(job["job_span_id"])) == 8, job
        bad = c.client.ok("SubmitJob", {"job": JOB}, metadata={"traceparent": "00-nonsense"})["job"]
        assert re.fullmatch("[0-9a-f]{32}", bad["trace_id"]) and bad["trace_id"] != job["trace_id"], bad


@case
def of_a_batch_the_bad_ones_are_refused_and_the_others_stored_in_order():
    with Controller() as c:
        jobs = [{**JOB, "labels": [{"key": "n", "value": str(i)}]} for i in range(5)]
        jobs[1] = {**JOB, "priority": 101}
        jobs[3] = {}
        outcomes = c.client.ok("SubmitJobs", {"jobs": jobs}, metadata={"traceparent": TRACEPARENT})["outcomes"]
        assert [o["error"] for o in outcomes] == ["", "INVALID", "", "INVALID", ""], outcomes
        assert "jobs[1].priority: 101 is above 100" in outcomes[1]["message"], outcomes[1]
        assert "jobs[3].reference: missing" in outcomes[3]["message"] and outcomes[3]["job"] is None, outcomes[3]
        good = [outcomes[i]["job"] for i in (0, 2, 4)]
        for n, job in zip((0, 2, 4), good):
            assert c.client.ok("GetJob", {"id": job["id"]})["job"]["spec"]["labels"][0]["value"] == str(n)
        traces = {job["trace_id"] for job in good}
        assert len(traces) == 3 and TRACEPARENT.split("-")[1] not in traces, "each has a trace of its own"
        for n in (0, 1001):
            c.client.refused("INVALID", "SubmitJobs", {"jobs": [JOB] * n}, words=["jobs: "])


@case
def jobs_are_listed_in_pages_newest_first_and_filtered():
    with Controller() as c:
        made = [c.client.submit(labels=[{"key": "n", "value": str(i % 2)}, {"key": "all", "value": "yes"}])
                for i in range(7)]
        pages, token = [], ""
        while True:
            got = c.client.ok("ListJobs", {"page_size": 3, "page_token": token})
            pages.append([job["id"] for job in got["jobs"]])
            token = got["next_page_token"]
            if not token:
                break
        assert [len(page) for page in pages] == [3, 3, 1], pages
        assert sum(pages, []) == [job["id"] for job in reversed(made)], pages
        c.client.ok("CancelJob", {"id": made[2]["id"]})
        middle = made[3]["created_unix_us"]
        for why, request, wanted in (
                ("all", {}, range(7)),
                ("by state", {"states": ["JOB_STATE_CANCELLED"]}, [2]),
                ("by two states", {"states": ["JOB_STATE_CANCELLED", "JOB_STATE_QUEUED"]}, range(7)),
                ("none is there", {"states": ["JOB_STATE_RUNNING"]}, []),
                ("by label", {"labels": [{"key": "n", "value": "1"}]}, [1, 3, 5]),
                ("all labels count", {"labels": [{"key": "n", "value": "1"}, {"key": "all", "value": "no"}]}, []),
                ("by submitter", {"submitter": "local"}, range(7)),
                ("by another submitter", {"submitter": "loca"}, []),
                ("from", {"created_from_unix_us": middle}, [3, 4, 5, 6]),
                ("before", {"created_before_unix_us": middle}, [0, 1, 2]),
                ("both", {"created_from_unix_us": middle, "labels": [{"key": "n", "value": "0"}]}, [4, 6])):
            got = [job["id"] for job in c.client.ok("ListJobs", request)["jobs"]]
            assert got == [made[i]["id"] for i in reversed(wanted)], f"{why}: {got}"


@case
def a_watcher_sees_each_change_and_then_the_end():
    with Controller() as c:
        job = c.client.submit()
        stream = c.client.stream("Jobs", "WatchJob", {"id": job["id"]})
        first = stream.next()
        assert first["job"]["id"] == job["id"] and first["event"] is None, first
        c.client.ok("CancelJob", {"id": job["id"]})
        messages, status = stream.end()
        assert status["code"] == 0, status
        assert [m["event"]["kind"] for m in messages] == ["EVENT_KIND_ENDED"], messages
        assert messages[0]["job"]["state"] == messages[0]["event"]["state"] == "JOB_STATE_CANCELLED", messages
        messages, status = c.client.stream("Jobs", "WatchJob", {"id": job["id"]}).end()
        assert status["code"] == 0 and len(messages) == 1, "one that has ended is told once"
        _, status = c.client.stream("Jobs", "WatchJob", {"id": NOBODY}).end()
        assert status["code"] == code_of("NOT_FOUND") and NOBODY in status["details"], status


# ---- What is refused ----


@case
def a_value_that_cannot_be_is_refused_with_the_fields_path():
    def job(**more):
        return {"job": {**JOB, **more}}

    table = [  # why, method, request, what the sentence says
        ("nothing", "SubmitJob", {}, "job: missing"),
        ("no reference", "SubmitJob", {"job": {"distorted": JOB["distorted"]}}, "job.reference: missing"),
        ("no distorted video", "SubmitJob", {"job": {"reference": JOB["reference"]}}, "job.distorted: missing"),
        ("empty", "SubmitJob", job(reference={"uri": ""}), "job.reference.uri: missing"),
        ("relative", "SubmitJob", job(reference={"uri": "a.y4m"}), "job.reference.uri: 'a.y4m'"),
        ("another scheme", "SubmitJob", job(reference={"uri": "ftp://example.org/a"}), "job.reference.uri"),
        ("an upload that is none", "SubmitJob", job(reference={"uri": "upload:0123"}), "job.reference.uri: an upload is"),
        ("too long", "SubmitJob", job(distorted={"uri": "/" + 4096 * "a"}), "job.distorted.uri: longer than 4096"),
        ("a line break", "SubmitJob", job(distorted={"uri": "/a\nb"}), "job.distorted.uri: has a control character"),
        ("no width", "SubmitJob", job(reference={"uri": "/a", "raw": {"height": 2}}), "job.reference.raw.width: 0 is below 1"),
        ("7 bits", "SubmitJob", job(reference={"uri": "/a", "raw": {"width": 2, "height": 2, "bit_depth": 7}}),
         "job.reference.raw.bit_depth: 7 is below 8"),
        ("a layout nobody has", "SubmitJob",
         job(reference={"uri": "/a", "raw": {"width": 2, "height": 2, "bit_depth": 8, "pixel_format": "421"}}),
         "job.reference.raw.pixel_format: '421'"),
        ("a model with a slash", "SubmitJob", job(models=[{"version": "../vmaf"}]), "job.models[0].version"),
        ("two of one name", "SubmitJob", job(models=[{"version": "a", "name": "x"}, {"version": "b", "name": "x"}]),
         "job.models[1].name: 'x' is the name of models[0] too"),
        ("17 models", "SubmitJob", job(models=[{"version": f"m{i}"} for i in range(17)]), "job.models: 17 items"),
        ("an overload without extractor", "SubmitJob",
         job(models=[{"version": "a", "overloads": [{"key": "x", "value": "1"}]}]), "job.models[0].overloads[0].key"),
        ("a feature without a name", "SubmitJob", job(features=[{}]), "job.features[0].name: missing"),
        ("an encoder that nobody knows", "SubmitJob", {"job": {"reference": JOB["reference"], "encode": {"encoder": "x"}}},
         "job.encode.encoder: 'x'"),
        ("negative", "SubmitJob", job(comparison={"subsample": -1}), "job.comparison.subsample: -1 is below 0"),
        ("a size without its kind", "SubmitJob", job(comparison={"scale_width": 64}), "job.comparison.scale_width"),
        ("a kind without its size", "SubmitJob", job(comparison={"scaling": "SCALING_SIZE"}), "job.comparison.scale_width"),
        ("an unknown kind", "SubmitJob", job(comparison={"scaling": 99}), "job.comparison.scaling: 99 is above 2"),
        ("above the highest", "SubmitJob", job(priority=101), "job.priority: 101 is above 100"),
        ("in the past", "SubmitJob", job(deadline_unix_us="1"), "job.deadline_unix_us: 1 has passed"),
        ("negative time", "SubmitJob", job(timeout_ms="-1"), "job.timeout_ms: -1 is below 0"),
        ("more than 7 days", "SubmitJob", job(timeout_ms="604800001"), "job.timeout_ms: 604800001 is above 604800000"),
        ("21 attempts", "SubmitJob", job(attempt_limit=21), "job.attempt_limit: 21 is above 20"),
        ("a label's key", "SubmitJob", job(labels=[{"key": "a b"}]), "job.labels[0].key: 'a b'"),
        ("a label twice", "SubmitJob", job(labels=[{"key": "a"}, {"key": "a"}]), "job.labels[1].key: 'a' is there twice"),
        ("a long key", "SubmitJob", job(idempotency_key=256 * "k"), "job.idempotency_key: longer than 255"),
        ("no id", "GetJob", {}, "id: ''"),
        ("something else", "CancelJob", {"id": "job-1"}, "id: 'job-1'"),
        ("a long reason", "CancelJob", {"id": NOBODY, "reason": 256 * "r"}, "reason: longer than 255"),
        ("a large page", "ListJobs", {"page_size": 1001}, "page_size: 1001"),
        ("a negative one", "ListJobs", {"page_size": -1}, "page_size: -1"),
        ("a token of somebody else", "ListJobs", {"page_token": "x"}, "page_token: "),
        ("a state that is none", "ListJobs", {"states": [99]}, "states[0]: 99"),
    ]
    wrong = []
    with Controller() as c:
        for why, method, request, words in table:
            got = c.client.call(method, request)
            if got["code"] != code_of("INVALID") or not got["details"].startswith(words.split(" ")[0][:-1]) or \
                    words not in got["details"]:
                wrong.append(f"{why}: {got} and not {words!r}")
        assert not c.client.ok("ListJobs")["jobs"], "something of that was stored"
    assert not wrong, "\n".join(wrong)


@case
def bytes_that_are_no_message_are_refused_and_harm_nobody():
    def field(number, data):
        return bytes([number << 3 | 2, len(data)]) + data

    with Controller() as c:
        for why, data in (("a number where a text belongs", b"\x08\x01"), ("a length beyond the end", b"\x0a\x7fabc"),
                          ("text that is not UTF-8", field(1, b"\xff\xfe")), ("a group without its end", b"\x0b"),
                          ("field number 0", b"\x02\x00"), ("noise", bytes(range(255, 200, -1)))):
            got = c.client.do("bytes", path="/vmafx.v1.Jobs/GetJob", base64=base64.b64encode(data).decode())
            assert got["code"] == code_of("SYNTAX"), f"{why}: {got}"
        more = NOBODY.encode()
        got = c.client.do("bytes", path="/vmafx.v1.Jobs/GetJob",
                          base64=base64.b64encode(field(1, more) + field(15, b"of a newer version")).decode())
        assert got["code"] == code_of("NOT_FOUND"), f"an unknown field is passed over: {got}"
        got = c.client.do("bytes", path="/vmafx.v1.Jobs/Explode", base64="")
        assert got["code"] == CODES.index("UNIMPLEMENTED"), got
        c.client.submit()


@case
def each_refusal_has_the_status_of_the_table_of_errors():
    with Controller("--queue-max", "2") as c:
        waiting = c.client.submit(idempotency_key="k")
        same = c.client.ok("SubmitJob", {"job": {**JOB, "idempotency_key": "k"}})
        assert same["already_there"] and same["job"]["id"] == waiting["id"], same
        c.client.refused("CONFLICT", "SubmitJob", {"job": {**JOB, "idempotency_key": "k", "priority": 1}},
                         words=["job.idempotency_key", waiting["id"]])
        c.client.refused("STATE", "DeleteJob", {"id": waiting["id"]}, words=["cancel it first"])
        c.client.refused("STATE", "RetryJob", {"id": waiting["id"]}, words=["queued"])
        for method in ("GetJob", "GetJobEvents", "CancelJob", "RetryJob", "DeleteJob"):
            c.client.refused("NOT_FOUND", method, {"id": NOBODY}, words=[NOBODY])
        _, status = c.client.stream("Jobs", "GetResult", {"id": waiting["id"]}).end()
        assert status["code"] == code_of("NOT_FOUND"), status
        c.client.submit()
        c.client.refused("BUSY", "SubmitJob", {"job": JOB}, words=["queue is full"])
        outcome = c.client.ok("SubmitJobs", {"jobs": [JOB]})["outcomes"][0]
        assert outcome["error"] == "BUSY", outcome
        c.client.ok("CancelJob", {"id": waiting["id"]})
        freed = c.client.ok("SubmitJob", {"job": {**JOB, "idempotency_key": "k", "priority": 1}})
        assert not freed["already_there"], "a cancelled job frees its key"


@case
def health_and_reflection_are_answered():
    with Controller() as c:
        def step(name):
            done = subprocess.run(
                ["node", os.path.join(HERE, "rpc_client.mjs"), "--proto", os.path.join(ROOT, "proto"), "--modules",
                 MODULES, "--target", f"127.0.0.1:{c.port}", "--do", name], stdin=subprocess.DEVNULL, capture_output=True,
                text=True, timeout=120, check=False)
            assert done.returncode == 0, done.stdout + done.stderr
            return json.loads(done.stdout)

        health = step("health")
        assert health["all"]["response"]["status"] == health["jobs"]["response"]["status"] == "SERVING", health
        for version in ("v1", "v1alpha"):
            got = step(f"reflection:{version}")
            assert {"vmafx.v1.Jobs", "vmafx.v1.Fleet"} <= set(got["services"]), got
            assert got["call"]["code"] == code_of("SYNTAX") and "id: 'reflected'" in got["call"]["details"], got


# ---- A node that is not ours ----


@case
def a_foreign_node_gets_a_task_and_its_result_is_kept_once():
    with Controller() as c:
        watched = c.client.submit(models=[{"version": "vmaf_v0.6.1"}], timeout_ms="60000")
        watch = c.client.stream("Jobs", "WatchJob", {"id": watched["id"]})
        node = Node(c.client, models=["vmaf_v0.6.1"], slots=1)
        assert node.welcome["protocol_version"] == 1 and not node.welcome["lost"], node.welcome
        assert node.welcome["lease_ms"] == "5000" and node.welcome["heartbeat_ms"] == "200", node.welcome
        task = node.until("assign")
        assert task["attempt"] == {"job_id": watched["id"], "attempt": 1} and task["timeout_ms"] == "60000", task
        assert task["spec"]["reference"]["uri"] == JOB["reference"]["uri"], task
        version, trace, parent, flags = task["traceparent"].split("-")
        assert (version, trace, len(parent), len(flags)) == ("00", watched["trace_id"], 16, 2), task
        running = wait_state(c.client, watched["id"], "RUNNING")
        assert running["node"] == "foreign-1" and running["attempts"] == 1, running
        events = c.client.ok("GetJobEvents", {"id": watched["id"]})["events"]
        assert base64.b64decode(events[1]["span_id"]).hex() == parent, "the attempt's span is the parent of its work"

        node.write(heartbeat={"sequence": "7", "held": [task["attempt"]], "slots_free": 0, "load": {"cpu": 0.5}})
        assert node.until("heartbeat_ack") == {"sequence": "7", "lost": []}
        node.write(progress={"attempt": task["attempt"], "progress": {"frames": "10", "frames_total": "50", "frame_rate": 5}})
        while not (progress := watch.next()["job"]["progress"]):
            pass
        assert progress == {"frames": "10", "frames_total": "50", "frame_rate": 5}, progress
        listed = c.client.ok("ListNodes", service="Fleet")["nodes"]
        assert [(n["name"], n["state"], n["slots_busy"], n["load"]["cpu"]) for n in listed] == [
            ("foreign-1", "NODE_STATE_BUSY", 1, 0.5)], listed
        assert listed[0]["running"] == [task["attempt"]], listed

        result = stored_result(c.client)
        assert node.finish(task["attempt"], result, chunk=7, outcome="ATTEMPT_OUTCOME_SUCCEEDED") == {
            "attempt": task["attempt"], "kept": True, "resend": False}
        again = node.finish(task["attempt"], stored_result(c.client, mean=1), outcome="ATTEMPT_OUTCOME_SUCCEEDED")
        assert not again["kept"] and not again["resend"], again
        job = c.client.ok("GetJob", {"id": watched["id"]})["job"]
        assert job["state"] == "JOB_STATE_SUCCEEDED" and job["score"] == 93.5 and job["complete"], job
        messages, status = watch.end()
        assert status["code"] == 0 and messages[-1]["event"]["kind"] == "EVENT_KIND_ENDED", messages
        parts, status = c.client.stream("Jobs", "GetResult", {"id": watched["id"]}).end()
        assert status["code"] == 0 and [p["part"] for p in parts] == ["summary"], parts
        assert parts[0]["summary"]["series"][0]["mean"] == 93.5, parts
        c.client.refused("STATE", "CancelJob", {"id": watched["id"]}, words=["succeeded"])
        c.client.refused("STATE", "RetryJob", {"id": watched["id"]}, words=["succeeded"])
        node.close()
        assert node.end()[1]["code"] == 0


@case
def a_cancelled_job_is_taken_from_its_node_and_a_late_end_is_fenced_off():
    with Controller() as c:
        job = c.client.submit()
        node = Node(c.client)
        task = node.until("assign")
        c.client.ok("CancelJob", {"id": job["id"]})
        told = node.until("cancel")
        assert told == {"attempt": task["attempt"], "reason": "CANCEL_REASON_CANCELLED"}, told
        late = node.finish(task["attempt"], stored_result(c.client), outcome="ATTEMPT_OUTCOME_SUCCEEDED")
        assert not late["kept"], late
        got = c.client.ok("GetJob", {"id": job["id"]})["job"]
        assert got["state"] == "JOB_STATE_CANCELLED" and not got["has_result"], got


@case
def a_damaged_result_is_asked_for_again():
    with Controller() as c:
        job = c.client.submit()
        node = Node(c.client)
        task = node.until("assign")
        result = stored_result(c.client)
        node.write(result={"attempt": task["attempt"], "offset": "0", "data": base64.b64encode(result[1:]).decode()})
        ack = node.finish(task["attempt"], b"", outcome="ATTEMPT_OUTCOME_SUCCEEDED",
                          result_bytes=str(len(result)), result_sha256=base64.b64encode(hashlib.sha256(result).digest()).decode())
        assert ack["resend"] and not ack["kept"], ack
        assert node.finish(task["attempt"], result, outcome="ATTEMPT_OUTCOME_SUCCEEDED")["kept"]
        assert c.client.ok("GetJob", {"id": job["id"]})["job"]["state"] == "JOB_STATE_SUCCEEDED"


@case
def a_result_that_is_never_whole_ends_its_attempt():
    with Controller("--job-attempts", "1") as c:
        node, result = Node(c.client), stored_result(c.client)
        announced = {"result_bytes": str(len(result)), "outcome": "ATTEMPT_OUTCOME_SUCCEEDED",
                     "result_sha256": base64.b64encode(hashlib.sha256(result).digest()).decode()}
        for why, sent, announces in (
                ("nothing came", [], announced),
                ("a gap", [(0, result[:10]), (11, result[11:])], announced),
                ("the second half alone", [(10, result[10:])], announced),
                ("in another order", [(10, result[10:]), (0, result[:10])], announced),
                ("more than announced", [(0, result + b"x")], announced),
                ("less than announced", [(0, result)], {**announced, "result_bytes": str(len(result) + 1)}),
                ("another content", [(0, bytes(len(result)))], announced),
                ("no digest", [(0, result)], {**announced, "result_sha256": ""}),
                ("a negative length", [(0, result)], {**announced, "result_bytes": "-1"})):
            job = c.client.submit()
            attempt = node.until("assign")["attempt"]
            answers = []
            for _ in range(3):
                for offset, data in sent:
                    node.write(result={"attempt": attempt, "offset": str(offset), "data": base64.b64encode(data).decode()})
                node.write(end={"attempt": attempt, **announces})
                answers.append(node.until("end_ack"))
            assert [(a["resend"], a["kept"]) for a in answers] == [(True, False)] * 2 + [(False, True)], f"{why}: {answers}"
            got = wait_state(c.client, job["id"], "FAILED")
            assert got["failure_class"] == "FAILURE_CLASS_NODE" and "damaged 3 times" in got["message"], f"{why}: {got}"
            assert not got["has_result"], f"{why}: {got}"
        job = c.client.submit()
        ack = node.finish(node.until("assign")["attempt"], b"", **{**announced, "result_bytes": str((256 << 20) + 1)})
        assert ack["kept"] and not ack["resend"], f"one that is too long is not asked for again: {ack}"
        got = wait_state(c.client, job["id"], "FAILED")
        assert got["failure_class"] == "FAILURE_CLASS_INTERNAL" and "268435457 bytes" in got["message"], got
        job = c.client.submit()
        assert node.finish(node.until("assign")["attempt"], result, outcome="ATTEMPT_OUTCOME_SUCCEEDED")["kept"]
        wait_state(c.client, job["id"], "SUCCEEDED")


@case
def a_result_of_somebody_elses_attempt_is_answered_and_harms_nobody():
    with Controller() as c:
        job = c.client.submit()
        node, result = Node(c.client, "holder"), stored_result(c.client)
        attempt = node.until("assign")["attempt"]
        other = Node(c.client, "other")
        for why, ref in (("another node's", attempt), ("a later attempt", {**attempt, "attempt": 2}),
                         ("nobody's", {"job_id": NOBODY, "attempt": 1})):
            ack = other.finish(ref, result, chunk=10, outcome="ATTEMPT_OUTCOME_SUCCEEDED")
            assert ack == {"attempt": ref, "kept": False, "resend": False}, f"{why}: {ack}"
        assert c.client.ok("GetJob", {"id": job["id"]})["job"]["state"] == "JOB_STATE_RUNNING"
        other.write(heartbeat={"sequence": "1"})
        assert other.until("heartbeat_ack")["sequence"] == "1", "its stream stands"
        assert node.finish(attempt, result, outcome="ATTEMPT_OUTCOME_SUCCEEDED")["kept"]


@case
def a_message_that_no_node_sends_ends_its_stream_with_a_sentence():
    with Controller() as c:
        for why, error, words, message in (
                ("an end of nothing", "INVALID", "end.attempt", {"end": {"outcome": "ATTEMPT_OUTCOME_FAILED"}}),
                ("an end of no job", "INVALID", "end.attempt", {"end": {"attempt": {"job_id": "x", "attempt": 1}}}),
                ("a part of nothing", "INVALID", "result.attempt", {"result": {"data": "AAAA"}}),
                ("attempt 0", "INVALID", "result.attempt", {"result": {"attempt": {"job_id": NOBODY}}}),
                ("a part that is too long", "LIMIT", "1048577 bytes", {"result": {
                    "attempt": {"job_id": NOBODY, "attempt": 1}, "data": base64.b64encode(bytes((1 << 20) + 1)).decode()}})):
            node = Node(c.client)
            node.write(**message)
            status = node.end()[1]
            assert status["code"] == code_of(error) and words in status["details"], f"{why}: {status}"


@case
def a_node_that_talks_faster_than_the_disk_writes_is_answered_all_the_same():
    with Controller() as c:
        c.client.submit()
        node = Node(c.client)
        attempt = node.until("assign")["attempt"]
        for i in range(1, 301):  # far more than are let wait in the store at a time
            node.write(heartbeat={"sequence": str(i), "held": [attempt] * 500})
        assert [node.until("heartbeat_ack")["sequence"] for _ in range(300)] == [str(i) for i in range(1, 301)]
        assert node.finish(attempt, stored_result(c.client), outcome="ATTEMPT_OUTCOME_SUCCEEDED")["kept"]


@case
def texts_that_are_too_long_are_cut_between_characters_and_can_be_read():
    with Controller("--job-attempts", "1") as c:
        node = Node(c.client)
        for before in ("", "x"):  # one of them puts the limit into the middle of a character
            job = c.client.submit()
            task = node.until("assign")
            node.write(heartbeat={"sequence": "1", "slots_free": 0, "load": {"gpus": [{"id": before + 60 * "ä"}]}})
            node.until("heartbeat_ack")
            node.finish(task["attempt"], b"",
                        outcome="ATTEMPT_OUTCOME_FAILED", failure_class="FAILURE_CLASS_INPUT", message=before + 600 * "ä")
            got = wait_state(c.client, job["id"], "FAILED")
            events = c.client.ok("GetJobEvents", {"id": job["id"]})["events"]
            for text in [got["message"], *(e["message"] for e in events if e["message"])]:
                assert text.startswith(before + 200 * "ä") and text.strip("x") == (len(text) - len(before)) * "ä", text
            nodes = c.client.ok("ListNodes", service="Fleet")["nodes"]
            assert nodes[0]["load"]["gpus"][0]["id"].startswith(before + 30 * "ä"), nodes
            for words in (("job", job["id"]), ("jobs", "--all"), ("nodes",)):  # our own reader refuses what is not UTF-8
                done = run(*words, "--json", "--controller", f"127.0.0.1:{c.port}")
                assert done.returncode == 0, f"{words}: {done.stderr}"


@case
def an_end_that_makes_no_sense_fails_its_job_and_no_other():
    with Controller("--job-attempts", "1") as c:
        good, node = stored_result(c.client), Node(c.client)
        for why, result, end in (
                ("no outcome", b"", {}),
                ("an outcome that no node has", b"", {"outcome": "ATTEMPT_OUTCOME_LOST"}),
                ("a number beyond", b"", {"outcome": 99}),
                ("a class beyond", b"", {"outcome": "ATTEMPT_OUTCOME_FAILED", "failure_class": 99}),
                ("failed without a class", b"", {"outcome": "ATTEMPT_OUTCOME_FAILED"}),
                ("success without a result", b"", {"outcome": "ATTEMPT_OUTCOME_SUCCEEDED"}),
                ("a result that is noise", bytes(range(64)), {"outcome": "ATTEMPT_OUTCOME_SUCCEEDED"}),
                ("success of a part", stored_result(c.client, complete=False), {"outcome": "ATTEMPT_OUTCOME_SUCCEEDED"})):
            job = c.client.submit()
            node.finish(node.until("assign")["attempt"], result, **end)
            got = wait_state(c.client, job["id"], "FAILED")
            assert got["message"] or why == "success of a part", f"{why}: {got}"
        job = c.client.submit()
        assert node.finish(node.until("assign")["attempt"], good, outcome="ATTEMPT_OUTCOME_SUCCEEDED")["kept"]
        wait_state(c.client, job["id"], "SUCCEEDED")


@case
def a_node_that_leaves_gives_its_task_to_another():
    with Controller("--lease", "1s") as c:
        job = c.client.submit()
        first = Node(c.client, "first")
        task = first.until("assign")
        c.client.do("cancel", stream=first.name)
        wait_state(c.client, job["id"], "QUEUED")
        second = Node(c.client, "second")
        next_task = second.until("assign")
        assert next_task["attempt"] == {"job_id": job["id"], "attempt": 2}, next_task
        assert next_task["traceparent"].split("-")[1] == task["traceparent"].split("-")[1], "one job is one trace"
        assert next_task["traceparent"] != task["traceparent"], "each attempt has a span of its own"
        back = Node(c.client, "first", held=[task["attempt"]])
        assert back.welcome["lost"] == [task["attempt"]], back.welcome
        assert not back.finish(task["attempt"], stored_result(c.client), outcome="ATTEMPT_OUTCOME_SUCCEEDED")["kept"]
        assert second.finish(next_task["attempt"], stored_result(c.client), outcome="ATTEMPT_OUTCOME_SUCCEEDED")["kept"]
        kinds = [e["kind"][11:] for e in c.client.ok("GetJobEvents", {"id": job["id"]})["events"]]
        assert kinds == ["SUBMITTED", "LEASED", "ATTEMPT_ENDED", "QUEUED", "LEASED", "ATTEMPT_ENDED", "ENDED"], kinds


@case
def a_node_that_comes_back_keeps_what_it_holds_and_its_old_stream_ends():
    with Controller() as c:
        job = c.client.submit()
        old = Node(c.client)
        task = old.until("assign")
        new = Node(c.client, held=[task["attempt"]])
        assert not new.welcome["lost"], new.welcome
        status = old.end()[1]
        assert status["code"] == CODES.index("ABORTED"), status
        assert new.finish(task["attempt"], stored_result(c.client), outcome="ATTEMPT_OUTCOME_SUCCEEDED")["kept"]
        assert c.client.ok("GetJob", {"id": job["id"]})["job"]["attempts"] == 1


@case
def a_node_is_drained_from_afar():
    with Controller() as c:
        node = Node(c.client)
        for finish in (True, False):
            got = c.client.ok("DrainNode", {"name": "foreign-1", "finish": finish}, service="Fleet")["node"]
            assert got["state"] == "NODE_STATE_DRAINING", got
            assert node.until("drain") == {"finish": finish}
        c.client.refused("NOT_FOUND", "DrainNode", {"name": "foreign-2"}, service="Fleet", words=["foreign-2"])
        job = c.client.submit()
        other = Node(c.client, "foreign-2")
        task = other.until("assign")
        assert task["attempt"]["job_id"] == job["id"], "a draining node gets nothing"
        assert other.finish(task["attempt"], outcome="ATTEMPT_OUTCOME_HANDED_BACK")["kept"]
        other.write(heartbeat={"sequence": "1", "slots_free": 1})  # it had no room, and has now
        again = other.until("assign")
        assert again["attempt"]["attempt"] == 2, again
        node.close()
        node.end()
        names = [n["name"] for n in c.client.ok("ListNodes", service="Fleet")["nodes"]]
        assert names == ["foreign-2"], "a drained node that leaves is missed by nobody"


@case
def a_node_that_does_not_introduce_itself_properly_is_refused():
    hello = {"protocol_version": 1, "name": "foreign-1", "slots": 1}
    with Controller() as c:
        for why, messages, code, words in (
                ("two versions ahead", [{"hello": {**hello, "protocol_version": 3}}], "UNSUPPORTED",
                 "hello.protocol_version: 3"),
                ("no version", [{"hello": {**hello, "protocol_version": 0}}], "UNSUPPORTED", "hello.protocol_version: 0"),
                ("heartbeat first", [{"heartbeat": {}}], "INVALID", "hello"),
                ("nothing in it", [{}], "INVALID", "hello"),
                ("noise", b"\xff\xff\xff\xff", "SYNTAX", ""),
                ("a name with a space", [{"hello": {**hello, "name": "a b"}}], "INVALID", "hello.name: 'a b'"),
                ("no name", [{"hello": {**hello, "name": ""}}], "INVALID", "hello.name"),
                ("no slots", [{"hello": {**hello, "slots": 0}}], "INVALID", "hello.slots: 0"),
                ("too many slots", [{"hello": {**hello, "slots": 257}}], "INVALID", "hello.slots: 257"),
                ("negative memory", [{"hello": {**hello, "memory_bytes": "-1"}}], "INVALID", "hello.memory_bytes"),
                ("twice", [{"hello": hello}, {"hello": hello}], "INVALID", "hello: said twice")):
            stream = c.client.stream("Fleet", "Connect")
            if isinstance(messages, bytes):
                stream.write_bytes(messages)
            else:
                for message in messages:
                    stream.write(**message)
            status = stream.end()[1]
            assert status["code"] == code_of(code) and words in status["details"], f"{why}: {status}"
        assert Node(c.client, protocol_version=2).welcome["protocol_version"] == 1, "one version ahead is served"


@case
def nonsense_on_a_nodes_stream_ends_that_stream_only():
    with Controller() as c:
        node = Node(c.client, "bad")
        node.write(heartbeat={"sequence": "1", "held": [{"job_id": "nonsense", "attempt": -1}, {"job_id": NOBODY, "attempt": 1}]})
        assert node.until("heartbeat_ack")["lost"] == [{"job_id": NOBODY, "attempt": 1}], "nobody holds that"
        node.write(progress={"progress": {"frames": "-5"}})
        node.write(result={"attempt": {"job_id": NOBODY, "attempt": 1}, "offset": "-9", "data": "AAAA"})
        assert not node.finish({"job_id": NOBODY, "attempt": 1}, outcome="ATTEMPT_OUTCOME_SUCCEEDED")["kept"]
        node.write_bytes(b"\x0a\xff")
        assert node.end()[1]["code"] == code_of("SYNTAX")
        good = Node(c.client, "good")
        job = c.client.submit()
        assert good.until("assign")["attempt"]["job_id"] == job["id"]


# ---- With mutual TLS ----


@case
def a_certificate_says_who_one_is_and_what_one_may():
    for arguments in (("init",), ("server", "controller", "--host", "localhost"), ("node", "node-1"),
                      *(("client", role, "--role", role) for role in ("reader", "writer", "admin"))):
        done = run("certs", *arguments, "--directory", "certs")
        assert done.returncode == 0, done.stderr
    certs = os.path.abspath("certs")

    def tls(name):
        return ["--ca", f"{certs}/ca.crt", "--cert", f"{certs}/{name}.crt", "--key", f"{certs}/{name}.key"]

    with Controller("--tls-cert", f"{certs}/server-controller.crt", "--tls-key", f"{certs}/server-controller.key",
                    "--tls-ca", f"{certs}/ca.crt") as c:
        with Client(c.port, *tls("client-reader"), host="localhost") as reader, \
                Client(c.port, *tls("client-writer"), host="localhost") as writer, \
                Client(c.port, *tls("client-admin"), host="localhost") as admin, \
                Client(c.port, *tls("node-node-1"), host="localhost") as node, \
                Client(c.port, "--ca", f"{certs}/ca.crt", host="localhost") as stranger:
            job = writer.submit()
            assert job["submitter"] == "writer", job
            assert reader.ok("GetJob", {"id": job["id"]})["job"]["id"] == job["id"]
            for client, method, request in ((reader, "SubmitJob", {"job": JOB}), (reader, "CancelJob", {"id": job["id"]}),
                                            (writer, "DeleteJob", {"id": job["id"]}), (node, "GetJob", {"id": job["id"]})):
                client.refused("FORBIDDEN", method, request)
            writer.refused("FORBIDDEN", "DrainNode", {"name": "node-1"}, service="Fleet")
            for client in (stranger, c.client):
                got = client.call("GetJob", {"id": job["id"]})
                assert got["code"] == CODES.index("UNAVAILABLE"), got
            as_other = node.stream("Fleet", "Connect")
            as_other.write(hello={"protocol_version": 1, "name": "node-2", "slots": 1})
            status = as_other.end()[1]
            assert status["code"] == code_of("FORBIDDEN") and "node-2" in status["details"], status
            as_writer = writer.stream("Fleet", "Connect")
            as_writer.write(hello={"protocol_version": 1, "name": "writer", "slots": 1})
            assert as_writer.end()[1]["code"] == code_of("FORBIDDEN")
            itself = Node(node, "node-1")
            assert itself.until("assign")["attempt"]["job_id"] == job["id"]
            writer.ok("CancelJob", {"id": job["id"]})
            admin.ok("DeleteJob", {"id": job["id"]})
        assert "vmafx.audit.outcome=denied" in c.process.lines(), c.process.lines()


# ---- Uploads ----


def text64(data):
    return base64.b64encode(data).decode()


def upload_of(data, piece=1000, **begin):
    """What an upload says, as messages."""
    digest = text64(hashlib.sha256(data).digest())
    yield {"begin": {"size_bytes": str(len(data)), "sha256": digest, "name": "größe.y4m", **begin}}
    for i in range(0, len(data), piece):
        yield {"data": text64(data[i:i + piece])}


@case
def an_upload_is_kept_once_and_only_when_it_is_what_was_promised():
    data, other = b"a video" * 1000, b"another" * 1000
    with Controller("--upload-bytes-max", "10000") as c:
        for error, words, messages in (
                ("INVALID", "comes first", [{"data": text64(data)}]),
                ("INVALID", "said anything", []),
                ("INVALID", "not the promised", upload_of(data, sha256=text64(hashlib.sha256(other).digest()))),
                ("INVALID", "a SHA-256 has 32", upload_of(data, sha256=text64(b"short"))),
                ("INVALID", "longer than", upload_of(data, size_bytes="6999")),
                ("INVALID", "ended after 7000 of 7001", upload_of(data, size_bytes="7001")),
                ("INVALID", "at least one byte", upload_of(b"")),
                ("INVALID", "begin.name", upload_of(data, name="a\nb")),
                ("INVALID", "all that follows", [*list(upload_of(data))[:2], list(upload_of(data))[0]]),
                ("LIMIT", "VMAFX_UPLOAD_BYTES_MAX", upload_of(b"x" * 10001)),
        ):
            got = c.client.upload(*messages)
            assert got["code"] == code_of(error) and words in got["details"], got
        sha = {"sha256": text64(hashlib.sha256(data).digest())}
        c.client.refused("NOT_FOUND", "FindUpload", sha)
        c.client.refused("INVALID", "FindUpload", {"sha256": ""})
        got = c.client.upload(*upload_of(data))
        assert got["code"] == 0 and not got["response"]["already_there"], got
        uri = "upload:" + hashlib.sha256(data).hexdigest()
        assert got["response"]["uri"] == uri and got["response"]["size_bytes"] == str(len(data)), got
        assert int(got["response"]["kept_until_unix_us"]) / 1e6 > time.time() + 23 * 3600, got
        assert c.client.ok("FindUpload", sha)["uri"] == uri
        stream = c.client.stream("Jobs", "UploadInput") # answered before any data
        stream.write(**list(upload_of(data))[0])
        messages, status = stream.end()
        assert status["code"] == 0 and messages[0]["already_there"] and messages[0]["uri"] == uri, (messages, status)


@case
def an_upload_is_the_submitters_and_for_the_node_that_works_on_it():
    def certs(*arguments):
        done = run("certs", *arguments, "--directory", "certs")
        assert done.returncode == 0, done.stderr
    certs("init")
    certs("server", "controller", "--host", "localhost")
    for role, name in (("reader", "reader"), ("writer", "writer"), ("writer", "other"), ("admin", "admin")):
        certs("client", name, "--role", role)
    certs("node", "node-1")
    certs("node", "node-2")
    folder = os.path.abspath("certs")

    def tls(name):
        return ["--ca", f"{folder}/ca.crt", "--cert", f"{folder}/{name}.crt", "--key", f"{folder}/{name}.key"]

    def fetch(client, **request):
        return client.stream("Fleet", "FetchUpload", request).end()

    data = os.urandom(3 << 20)
    uri = "upload:" + hashlib.sha256(data).hexdigest()
    sha = {"sha256": text64(hashlib.sha256(data).digest())}
    job = {"reference": {"uri": "/media/a.y4m"}, "distorted": {"uri": uri}}
    with Controller("--tls-cert", f"{folder}/server-controller.crt", "--tls-key", f"{folder}/server-controller.key",
                    "--tls-ca", f"{folder}/ca.crt") as c:
        with Client(c.port, *tls("client-reader"), host="localhost") as reader, \
                Client(c.port, *tls("client-writer"), host="localhost") as writer, \
                Client(c.port, *tls("client-other"), host="localhost") as other, \
                Client(c.port, *tls("client-admin"), host="localhost") as admin, \
                Client(c.port, *tls("node-node-1"), host="localhost") as first, \
                Client(c.port, *tls("node-node-2"), host="localhost") as second:
            for client in (reader, first):
                assert client.upload(*upload_of(data, piece=1 << 19))["code"] == code_of("FORBIDDEN")
            assert writer.upload(*upload_of(data, piece=1 << 19))["code"] == 0
            assert writer.ok("FindUpload", sha)["uri"] == uri
            for client in (other, admin): # who knows the digest gets nothing by it
                client.refused("NOT_FOUND", "FindUpload", sha)
                client.refused("NOT_FOUND", "SubmitJob", {"job": job}, words=["job.distorted.uri", "--upload"])
            submitted = writer.submit(job)
            node = Node(first, "node-1")
            attempt = node.until("assign")["attempt"]
            messages, status = fetch(first, attempt=attempt, uri=uri)
            assert status["code"] == 0 and b"".join(base64.b64decode(m["data"]) for m in messages) == data, status
            assert {m["size_bytes"] for m in messages} == {str(len(data))}, "the size of the whole"
            messages, status = fetch(first, attempt=attempt, uri=uri, offset=str((3 << 20) - 10))
            assert status["code"] == 0 and base64.b64decode(messages[0]["data"]) == data[-10:], status
            messages, status = fetch(first, attempt=attempt, uri=uri, offset=str(3 << 20))
            assert status["code"] == 0 and len(messages) == 1 and not messages[0]["data"], (messages, status)
            for error, client, request in (
                    ("FORBIDDEN", second, {"attempt": attempt, "uri": uri}),
                    ("FORBIDDEN", writer, {"attempt": attempt, "uri": uri}),
                    ("FORBIDDEN", first, {"attempt": {**attempt, "attempt": attempt["attempt"] + 1}, "uri": uri}),
                    ("FORBIDDEN", first, {"attempt": {**attempt, "job_id": NOBODY}, "uri": uri}),
                    ("FORBIDDEN", first, {"attempt": attempt, "uri": "upload:" + "0" * 64}),
                    ("INVALID", first, {"attempt": attempt, "uri": "/media/a.y4m"}),
                    ("INVALID", first, {"uri": uri}),
                    ("INVALID", first, {"attempt": attempt, "uri": uri, "offset": "-1"}),
                    ("INVALID", first, {"attempt": attempt, "uri": uri, "offset": str((3 << 20) + 1)}),
            ):
                messages, status = fetch(client, **request)
                assert status["code"] == code_of(error) and not messages, (error, request, status)
            writer.ok("CancelJob", {"id": submitted["id"]})
            _, status = fetch(first, attempt=attempt, uri=uri)
            assert status["code"] == code_of("FORBIDDEN"), status
            again = admin.ok("RetryJob", {"id": submitted["id"]})["job"] # who may try it again gets what it needs
            attempt = node.until("assign")["attempt"]
            assert attempt["job_id"] == again["id"]
            _, status = fetch(first, attempt=attempt, uri=uri)
            assert status["code"] == 0, status


# ---- With nodes of ours ----


@case
def a_node_that_fetches_without_reading_keeps_no_other_out():
    data = os.urandom(8 << 20)  # more than lies in queues and windows
    uri = "upload:" + hashlib.sha256(data).hexdigest()
    job = {"reference": {"uri": "/media/a.y4m"}, "distorted": {"uri": uri}}
    with Controller("--lease", "120s") as c:
        assert c.client.upload(*upload_of(data, piece=1 << 19))["code"] == 0
        with Client(c.port) as slow, Client(c.port) as other:
            c.client.submit(job)
            attempt = Node(slow, "slow", slots=1).until("assign")["attempt"]

            def start_idle():
                return slow.stream("Fleet", "FetchUpload", {"attempt": attempt, "uri": uri}, idle=True)

            idle = [start_idle() for _ in range(64)]

            def fetch_end(ref):
                """The last bytes, by another connection: the slow one's window is full."""
                return other.stream("Fleet", "FetchUpload", {"attempt": ref, "uri": uri, "offset": str(len(data) - 9)}).end()

            def fetch_until(code):
                end = time.monotonic() + 120
                while True:
                    messages, status = fetch_end(attempt)
                    if status["code"] == code:
                        return messages, status
                    assert status["code"] in (0, code_of("BUSY")) and time.monotonic() < end, status
                    if not status["code"]:  # which may have had the place that one of the idle came for
                        idle.append(start_idle())
                    time.sleep(0.05)

            messages, status = fetch_until(code_of("BUSY"))  # when all of them have their place
            assert "node slow" in status["details"] and not messages, status
            c.client.submit(job)
            messages, status = fetch_end(Node(other, "other", slots=1).until("assign")["attempt"])
            assert status["code"] == 0 and base64.b64decode(messages[0]["data"]) == data[-9:], status
            for stream in idle:
                slow.do("cancel", stream=stream.name)
            fetch_until(0)  # its places are free again


@case
def a_real_result_comes_in_columns_that_the_summary_names():
    reference, distorted = map(os.path.abspath, pair(n=12))
    need("node", "nodejs")
    for name in ("vmafx-node", "vmafx-scorer"):
        program(name)
    with Fleet(nodes=1) as fleet, Client(fleet.port) as client:
        job = client.submit({"reference": {"uri": reference}, "distorted": {"uri": distorted}})
        done = wait_state(client, job["id"], "SUCCEEDED")
        messages, status = client.stream("Jobs", "GetResult", {"id": job["id"]}).end()
        assert status["code"] == 0 and messages[0]["part"] == "summary", status
        summary = messages[0]["summary"]
        frames = [m["frames"] for m in messages[1:]]
        assert summary["complete"] and summary["frames"] == "12" and frames[0]["first"] == "0", summary
        columns = [sum((f["columns"][i]["values"] for f in frames), []) for i in range(len(summary["series"]))]
        assert {len(column) for column in columns} == {12}, [len(column) for column in columns]
        scores = [s for s in summary["series"] if s["kind"] == "SERIES_KIND_SCORE"]
        assert scores[0]["mean"] == done["score"] and scores[0]["n"] == 12, (scores, done)
        of_score = columns[summary["series"].index(scores[0])]
        assert abs(sum(of_score) / 12 - done["score"]) < 1e-9, (of_score, done)
        assert len(summary["inputs"]) == 2 and all(re.fullmatch("[0-9a-f]{64}", i["sha256"]) for i in summary["inputs"])
        only, status = client.stream("Jobs", "GetResult", {"id": job["id"], "summary_only": True}).end()
        assert status["code"] == 0 and [m["part"] for m in only] == ["summary"], only
        node = client.ok("ListNodes", service="Fleet")["nodes"][0]
        assert node["name"] == "node-1" and node["version"] and node["slots"] == 2, node


main()

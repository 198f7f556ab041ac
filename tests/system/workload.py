# SPDX-License-Identifier: BSD-2-Clause-Patent
"""Mixed jobs on a fleet at work: good and bad ones, encodes, ONNX models, uploads, cancelled ones, and some whose node is killed;
through the command line (one by one and many at once, by gRPC), REST and MCP, and scorings by vmafx-server. What each comes to
is known beforehand, so that whoever received the signals can be asked whether they tell just that: see check()."""
import collections
import http.client
import json
import os
import time

from fleet import DEADLINE_S, Fleet, Process, program
from harness import Skip, built_with, long_pair, need, write_y4m
from mcp import McpHttp
from onnx_models import installed, need_runtime
from pages import free_port, wait
from server import Server, by_path

FRAMES, CUT = 12, 5  # frames of a clip, and of what is left of the cut one
# Of those that are killed and cancelled: some seconds, which are few steps of instrumented programs around a plain scorer.
LONG = 8000 if built_with("tsan") else 3000
BATCHES = FRAMES // 4  # of a model of luma: four pictures each
NEG, MEAN, VMAF = "vmaf_v0.6.1neg", "mean", "vmaf_v0.6.1"
DOORS = ("cli", "batch", "rest", "mcp")


class Kind:
    """What a job is, and what has to become of it. A failure is its class; a result without one is a whole one."""

    def __init__(self, name, spec, failure=None, frames=FRAMES, doors=DOORS, upload=False):
        self.name, self.spec, self.failure, self.frames = name, spec, failure, frames
        self.doors, self.upload = doors, upload
        self.encodes, self.models = "encode" in spec, [m["version"] for m in spec.get("models") or [{"version": VMAF}]]
        self.features = [f["name"] for f in spec.get("features", [])]


def clips():
    """name -> absolute path."""
    write_y4m("ref.y4m", n=FRAMES, w=96, h=64)
    write_y4m("dis.y4m", n=FRAMES, w=96, h=64, noise=1)
    write_y4m("small.y4m", n=FRAMES, w=64, h=48)
    with open("dis.y4m", "rb") as f, open("cut.y4m", "wb") as out:
        head = f.readline()
        size = 6 + 96 * 64 * 3 // 2
        out.write(head + f.read(CUT * size + size // 2))
    with open("text.y4m", "w", encoding="utf-8") as f:
        f.write("This is no video.\n")
    paths = {name: os.path.abspath(name + ".y4m") for name in ("ref", "dis", "small", "cut", "text", "missing")}
    paths["long_ref"], paths["long_dis"] = long_pair(LONG)
    return paths


def kinds(paths, onnx):
    """The mix. A cycle of them is gone through again and again; cancelled jobs and killed ones come on top."""
    def pair(distorted="dis", **more):
        return {"reference": {"uri": paths["ref"]}, "distorted": {"uri": paths[distorted]}, **more}

    def encode(**recipe):
        return {"reference": {"uri": paths["ref"]}, "encode": {"codec": "h264", **recipe}}

    return [
        Kind("plain", pair()),
        Kind("labelled", pair(labels=[{"key": "show", "value": "pilot"}], priority=10), doors=("cli", "batch", "rest")),
        Kind("another model", pair(models=[{"version": NEG}])),
        Kind("two models", pair(models=[{"version": VMAF}, {"version": NEG}])),
        Kind("another feature", pair(features=[{"name": "psnr"}], priority=-10), doors=("cli", "batch", "rest")),
        Kind("encode", encode(preset="ultrafast", crf=30), doors=("cli", "batch", "rest")),
        Kind("encode by bit rate", encode(preset="ultrafast", bitrate=100000), doors=("batch", "rest")),
        Kind("no such preset", encode(preset="quick"), "encoder", 0, doors=("cli", "batch", "rest")),
        Kind("upload", pair(), doors=("cli",), upload=True),
        Kind("text file", pair("text"), "input", 0),
        Kind("missing file", pair("missing"), "input", 0),
        Kind("cut file", pair("cut"), "input", CUT),
        Kind("other size", pair("small"), "mismatch", 0),
        *([Kind("onnx", pair(models=[{"version": MEAN}])), Kind("not a number", pair(models=[{"version": "nan"}]), "model", 0)]
          if onnx else []),
    ]


def flags(spec):
    """A job as the command line takes it."""
    found = ["--reference", spec["reference"]["uri"]]
    if "distorted" in spec:
        found += ["--distorted", spec["distorted"]["uri"]]
    for name, value in spec.get("encode", {}).items():
        found += [f"--{name}", value]
    for name, values in (("model", [m["version"] for m in spec.get("models", [])]),
                         ("feature", [f["name"] for f in spec.get("features", [])]),
                         ("label", [f"{one['key']}={one['value']}" for one in spec.get("labels", [])])):
        for value in values:
            found += [f"--{name}", value]
    return found + ([f"--priority={spec['priority']}"] if "priority" in spec else [])


def arguments(spec):
    """A job as the tool start_job takes it."""
    models = [m["version"] for m in spec.get("models", [])]
    return {"reference": spec["reference"]["uri"], "distorted": spec["distorted"]["uri"], **({"models": models} if models else {})}


class Workload:
    """with Workload(env) as work: work.run(200); look at its metrics; check(). Everything lies in the current folder."""

    def __init__(self, env):
        self.env = {"OTEL_SDK_DISABLED": "false", "OTEL_BSP_SCHEDULE_DELAY": "200", "OTEL_BLRP_SCHEDULE_DELAY": "200",
                    "OTEL_METRIC_EXPORT_INTERVAL": "500", "OTEL_BSP_MAX_QUEUE_SIZE": "65536", **env}
        try:
            need_runtime()
            self.onnx = True
            self.env.update(installed())
        except Skip as reason:
            self.onnx = False
            print(f"without ONNX models: {reason}")
        self.fleet = Fleet(nodes=0, lease="1500ms", env=self.env)
        self.server = Server("--slots", "1", env=self.env)
        self.paths = clips()
        self.wanted = {}  # job id -> Kind; those that are cancelled have None
        self.calls = collections.Counter()  # (door, what was called) -> how often
        self.scorings, self.killed, self.uploaded = collections.Counter(), 0, False
        self.ports, self.jobs, self.results = {}, [], {}

    def __enter__(self):
        self.fleet.__enter__()
        try:
            self.server.__enter__()
            for name in ("node-1", "node-2"):
                self.ports[name] = free_port()
                self.start_node(name)
            self.ports["controller"] = int(self.fleet.controller.wait_line(r"HTTP ready.*server\.port=(\d+)").group(1))
            self.mcp = McpHttp("--controller", f"127.0.0.1:{self.fleet.port}", "--roots", os.getcwd(), env=self.env)
            self.mcp.__enter__()
            self.fleet.processes.append(self.mcp.process)
        except BaseException:
            self.__exit__(None)
            raise
        self.ports.update(server=self.server.http, mcp=self.mcp.port)
        return self

    def __exit__(self, kind, *more):
        self.fleet.__exit__(kind, *more)
        self.server.__exit__(kind, *more)

    def targets(self):
        """For a Prometheus: job -> ports."""
        return {"vmafx-controller": [self.ports["controller"]], "vmafx-server": [self.ports["server"]],
                "vmafx-node": [self.ports["node-1"], self.ports["node-2"]], "vmafx-mcp": [self.ports["mcp"]]}

    def start_node(self, name):
        node = Process(name, [program("vmafx-node"), "--name", name, "--controller", f"127.0.0.1:{self.fleet.port}", "--slots", "2",
                              "--state", os.path.abspath(name), "--input-roots", "/", "--http", f"127.0.0.1:{self.ports[name]}"],
                       self.fleet.env, os.path.abspath(name + ".log"))
        self.fleet.processes.append(node)
        self.fleet.nodes[name] = node
        node.wait_line("connected")

    # ---- doors

    def rest(self, method, path, body, route=None, status=200):
        """The answer to a message, or to bytes."""
        connection = http.client.HTTPConnection("127.0.0.1", self.ports["controller"], timeout=DEADLINE_S)
        connection.request(method, path, *((body, {}) if isinstance(body, bytes) else
                                           (json.dumps(body), {"Content-Type": "application/json"})))
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        assert answer.status == status, (method, path, answer.status, text)
        self.calls["http", method, route or path, str(status)] += 1
        return json.loads(text)

    def tool(self, name, **named):
        """A tool call of a session of its own; its content."""
        status, _, answer = self.mcp.modern("tools/call", {"name": name, "arguments": named})
        assert status == 200 and not answer["result"].get("isError"), answer
        self.calls["mcp", name] += 1
        return answer["result"]["structuredContent"]

    def submit(self, door, kind):
        """The job's id; those of the door batch come later."""
        if door == "rest":
            job = self.rest("POST", "/v1/jobs", kind.spec, status=201)["id"]
        elif door == "mcp":
            job = self.tool("start_job", **arguments(kind.spec))["job_id"]
            self.calls["rpc", "SubmitJob"] += 1
        else:
            job = self.fleet.ok("submit", *flags(kind.spec), *(["--upload"] if kind.upload else [])).strip()
            self.calls["rpc", "SubmitJob"] += 1
            self.uploaded |= kind.upload
        self.wanted[job] = kind

    def submit_batch(self, many):
        with open("batch.ndjson", "w", encoding="utf-8") as f:
            f.writelines(json.dumps(kind.spec) + "\n" for kind in many)
        ids = self.fleet.ok("submit", "--from", "batch.ndjson", "--quiet").split()
        self.calls["rpc", "SubmitJobs"] += 1
        assert len(ids) == len(many), ids
        self.wanted.update(zip(ids, many))

    def cancel(self, job, door):
        if door == "rest":
            self.rest("POST", f"/v1/jobs/{job}/cancel", {"reason": "workload"}, "/v1/jobs/{id}/cancel")
        else:
            self.fleet.ok("cancel", job)
            self.calls["rpc", "CancelJob"] += 1
        self.wanted[job] = None

    # ---- work

    def lose_a_node(self):
        """Long jobs in all slots: those of one node are cancelled, and the other one is killed."""
        long = Kind("long", {"reference": {"uri": self.paths["long_ref"]}, "distorted": {"uri": self.paths["long_dis"]}}, frames=LONG)
        self.submit_batch([long] * 4)
        held = wait(self.fleet.jobs, lambda jobs: all(job["state"] == "JOB_STATE_RUNNING" for job in jobs))
        self.fleet.nodes["node-1"].kill()
        self.killed = sum(job["node"] == "node-1" for job in held)
        for job, door in zip([job["id"] for job in held if job["node"] == "node-2"], ("rest", "cli")):
            self.cancel(job, door)
        assert self.killed == 2, held
        for lost in (job["id"] for job in held if job["node"] == "node-1"):  # a node that is back before that says so itself
            wait(lambda job=lost: self.fleet.job(job)["job"],
                 lambda now: now["attempts"] > 1 or now["state"] != "JOB_STATE_RUNNING")
        self.start_node("node-1")

    def cancel_waiting(self, n):
        """Jobs behind all others, cancelled at once."""
        long = {"reference": {"uri": self.paths["long_ref"]}, "distorted": {"uri": self.paths["long_dis"]}, "priority": -100}
        for i in range(n):
            before = set(self.wanted)
            self.submit("rest" if i % 2 else "cli", Kind("long", long))
            self.cancel((set(self.wanted) - before).pop(), "cli" if i % 3 else "rest")

    def score(self, n):
        """By vmafx-server: good ones, and one of two sizes for every third."""
        for i in range(n):
            bad = i % 3 == 2
            status, _, body = self.server.ask("POST", "/v1/score", by_path(self.paths["ref"], self.paths["small" if bad else "dis"]))
            assert status == (400 if bad else 200), (status, body)
            self.scorings[status] += 1

    def run(self, n):
        """n jobs to their ends."""
        need("ffmpeg", "ffmpeg")
        cycle, waiting = kinds(self.paths, self.onnx), []
        self.lose_a_node()
        cancelled = max(2, n // 20)
        turns = [0] * len(cycle)
        for i in range(n - len(self.wanted) - cancelled):
            kind = cycle[i % len(cycle)]
            door = kind.doors[(turns[i % len(cycle)] + i) % len(kind.doors)]
            turns[i % len(cycle)] += 1
            if door == "batch":
                waiting.append(kind)
            else:
                self.submit(door, kind)
            if len(waiting) == 10:
                self.submit_batch(waiting)
                waiting = []
        if waiting:
            self.submit_batch(waiting)
        self.cancel_waiting(cancelled)
        self.score(max(3, n // 20))
        self.tool("list_models")
        if self.uploaded:  # the command line asks first; whoever sends the same again is told that it is there
            with open("dis.y4m", "rb") as f:
                self.rest("POST", "/v1/uploads", f.read())
        self.fleet.wait_all_ended()
        self.jobs = self.fleet.jobs()
        self.compare(n)

    def compare(self, n):
        """What the controller says of each job is what was to be."""
        assert len(self.jobs) == n == len(self.wanted), (len(self.jobs), len(self.wanted))
        for job in self.jobs:
            kind = self.wanted[job["id"]]
            state, failure = job["state"].removeprefix("JOB_STATE_"), job["failure_class"].removeprefix("FAILURE_CLASS_").lower()
            if not kind:
                assert state == "CANCELLED", job
                continue
            assert (state, failure) == (("FAILED", kind.failure) if kind.failure else ("SUCCEEDED", "unspecified")), (kind.name, job)
            if job["has_result"]:
                self.results[job["id"]] = json.loads(self.fleet.cli("result", job["id"], "--json").stdout)
            got = self.results.get(job["id"], {}).get("frames", 0)
            assert int(got) == kind.frames, (kind.name, got, job)

    # ---- what must have been counted

    def expected(self):
        """(metric, attributes, value): of sums their value, of histograms their count, over all programs."""
        ended = [self.wanted[job["id"]] for job in self.jobs]
        good = [kind for kind in ended if kind and not kind.failure]
        failed = collections.Counter(kind.failure for kind in ended if kind and kind.failure)
        encoded = [self.results[job["id"]]["encode"] for job in self.jobs if job["id"] in self.results and
                   self.wanted[job["id"]].encodes]
        attempts = sum(job["attempts"] for job in self.jobs)
        n_cancelled = sum(kind is None for kind in ended)
        scored, refused = self.scorings[200], self.scorings[400]
        yield "vmafx.jobs.submitted", {}, len(self.jobs)
        yield "vmafx.jobs.completed", {}, len(good)
        yield "vmafx.jobs.cancelled", {}, n_cancelled
        for name in ("input", "mismatch", "model", "encoder", "resource", "node", "timeout", "internal"):
            yield "vmafx.jobs.failed", {"vmafx.job.failure_class": name}, failed[name]
        yield "vmafx.jobs.retried", {}, self.killed
        yield "vmafx.leases.expired", {}, self.killed
        yield "vmafx.results.fenced", {}, 0
        for state, count in (("succeeded", len(good)), ("failed", failed.total()), ("cancelled", n_cancelled)):
            yield "vmafx.job.duration", {"vmafx.job.state": state}, count
        yield "vmafx.job.wait.duration", {}, attempts
        yield "vmafx.job.run.duration", {}, attempts
        for outcome, count in (("succeeded", len(good)), ("failed", failed.total()), ("lost", self.killed)):
            yield "vmafx.job.run.duration", {"vmafx.task.outcome": outcome}, count
        yield "vmafx.jobs.queued", {}, 0
        yield "vmafx.jobs.in_flight", {}, 0
        yield "vmafx.job.queue.age", {}, 0
        yield "vmafx.jobs.unplaceable", {}, 0
        yield "vmafx.frames", {}, sum(kind.frames for kind in ended if kind) + FRAMES * scored
        yield "vmafx.frame.rate", {}, len(self.results) + scored
        for model in (VMAF, NEG, *([MEAN] if self.onnx else [])):
            yield "vmafx.score", {"vmafx.model.name": model, "vmafx.metric.name": "score"}, \
                sum(model in kind.models for kind in good) + (scored if model == VMAF else 0)
        yield "vmafx.score", {"vmafx.metric.name": "psnr_y"}, sum("psnr" in kind.features for kind in good)
        yield "vmafx.score", {"vmafx.metric.name": any}, \
            sum(len(kind.models) + 3 * ("psnr" in kind.features) for kind in good) + scored
        yield "vmafx.score.duration", {}, len(self.results) + scored
        yield "vmafx.encoder.frames", {}, sum(int(one["frames"]) for one in encoded)
        yield "vmafx.encoder.io", {}, sum(int(one["size_bytes"]) for one in encoded)
        yield "vmafx.encoder.frames", {"vmafx.encoder.name": "libx264"}, FRAMES * sum(kind.encodes for kind in good)
        if self.onnx:
            yield "vmafx.inference.duration", {"vmafx.model.name": MEAN}, BATCHES * sum(MEAN in kind.models for kind in good)
        size = os.path.getsize("ref.y4m") + os.path.getsize("dis.y4m")
        for outcome, count in (("kept", 2), ("there", 1), ("refused", 0), ("broken", 0), ("failed", 0)):
            yield "vmafx.uploads", {"vmafx.upload.outcome": outcome}, count * self.uploaded
        yield "vmafx.uploads.kept", {}, 2 * self.uploaded
        yield "vmafx.upload.io", {"vmafx.upload.outcome": "kept"}, size * self.uploaded
        yield "vmafx.uploads.usage", {}, size * self.uploaded
        yield "vmafx.server.refused", {}, 0
        yield "vmafx.server.wait.duration", {}, scored + refused
        yield "http.server.request.duration", {"http.route": "/v1/score", "http.response.status_code": "200"}, scored
        yield "http.server.request.duration", {"http.route": "/v1/score", "http.response.status_code": "400"}, refused
        for call, count in self.calls.items():
            if call[0] == "http":
                yield "http.server.request.duration", dict(zip(("http.request.method", "http.route", "http.response.status_code"),
                                                               call[1:])), count
            elif call[0] == "rpc":
                yield "rpc.server.call.duration", {"rpc.method": f"vmafx.v1.Jobs/{call[1]}"}, count
            else:
                yield "mcp.server.operation.duration", {"gen_ai.tool.name": call[1]}, count
        for thing in ("processor.span.processed", "processor.log.processed", "exporter.span.exported", "exporter.log.exported",
                      "exporter.metric_data_point.exported"):
            yield f"otel.sdk.{thing}", {"error.type": any}, 0

    def check(self, number):
        """number(metric, attributes) sums over whatever else there is; any stands for every value but none."""
        wrong = [f"{metric} {attributes}: {got:g}, not {wanted}" for metric, attributes, wanted in self.expected()
                 if (got := number(metric, attributes)) != wanted]
        assert not wrong, "\n".join(wrong)

    def end(self):
        """Ends all programs as an operator does, so that their last signals go out."""
        for process in [*self.fleet.nodes.values(), self.mcp.process, self.server.process, self.fleet.controller]:
            assert process.kill(15) == 0, process.lines()[-2000:]


def wait_for_scrape(prometheus):
    """Until every target was read after this moment."""
    since = time.time()
    prometheus.wait("was everything read again", lambda: min(prometheus.values("timestamp(up)")) > since)

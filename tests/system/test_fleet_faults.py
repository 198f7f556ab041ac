# SPDX-License-Identifier: BSD-2-Clause-Patent
"""What a fleet makes of parts that fail: a scorer that dies while a node starts, a controller that is killed.

usage: test_fleet_faults.py VMAFX [CASE…]
"""
import base64
import os
import random
import signal
import socket
import stat
import threading
import time
import urllib.error
import urllib.request

from fleet import Fleet, Process, program
from harness import absolute_pair, case, expect, main, slow_pair
from otlp import Receiver
from trees import check_tree, spans_by_trace

PATIENCE_S = 120


def wait_until(what, done):
    end = time.monotonic() + PATIENCE_S
    while not done():
        assert time.monotonic() < end, f"it never came to this: {what}"
        time.sleep(0.02)


# ---- A node whose scorer does not start ----


SCORER = os.environ.get("VMAFX_SCORER") or program("vmafx-scorer")  # one that forks, where ours cannot


def scorer_script(text):
    with open("scorer.sh", "w", encoding="utf-8") as f:
        f.write("#!/bin/sh\n" + text)
    os.chmod("scorer.sh", stat.S_IRWXU)
    return os.path.abspath("scorer.sh")


def node_with(fleet, port, **env):
    arguments = [program("vmafx-node"), "--name", "node-1", "--controller", f"127.0.0.1:{fleet.port}", "--state",
                 os.path.abspath("node-1"), "--input-roots", "/", "--http", f"127.0.0.1:{port}"]
    node = Process("node-1", arguments, {**fleet.env, **env}, os.path.abspath("node-1.log"))
    fleet.processes.append(node)
    fleet.nodes["node-1"] = node
    return node


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def readiness(port):
    """(status, text) of /readyz."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=PATIENCE_S) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, refused.read().decode()


@case
def a_scorer_that_is_killed_while_a_node_starts_is_started_again():
    reference, distorted = absolute_pair()
    script = scorer_script(f'test -e "{os.getcwd()}/allowed" || kill -9 $$\nexec "{SCORER}"\n')
    with Fleet(nodes=0) as fleet:
        port = free_port()
        node = node_with(fleet, port, VMAFX_SCORER=script)
        node.wait_line("the scorer does not start; trying again.*signal 9(?s:.*)the scorer does not start")
        status, text = readiness(port)
        assert status == 503 and "scorer" in text, (status, text)
        assert "connected to the controller" not in node.lines()
        with open("allowed", "w", encoding="utf-8"):
            pass
        node.wait_line("connected to the controller")
        wait_until("the node is ready", lambda: readiness(port)[0] == 200)
        job_id = fleet.submit(reference, distorted)
        expect(fleet.cli("watch", job_id), 0, "succeeded")
        assert node.kill(signal.SIGTERM) == 0


@case
def a_node_that_waits_for_its_scorer_ends_on_sigterm():
    with Fleet(nodes=0) as fleet:
        node = node_with(fleet, free_port(), VMAFX_SCORER=scorer_script("exit 3\n"))
        node.wait_line("the scorer does not start; trying again.*exit code 3")
        assert node.kill(signal.SIGTERM) == 0


@case
def a_node_without_its_scorer_program_ends_with_1_and_says_where_it_looked():
    with Fleet(nodes=0) as fleet:
        node = node_with(fleet, free_port(), VMAFX_SCORER="/nowhere/vmafx-scorer")
        node.process.wait(PATIENCE_S)
        assert node.process.returncode == 1, node.lines()
        assert "/nowhere/vmafx-scorer" in node.lines() and "VMAFX_SCORER" in node.lines(), node.lines()


# ---- A job that fits nowhere ----


@case
def a_job_that_needs_more_memory_than_any_node_has_says_so_while_it_waits():
    reference, distorted = absolute_pair()
    with Fleet(nodes=0) as fleet:
        small = node_with(fleet, free_port(), VMAFX_NODE_MEMORY="128MiB")
        small.wait_line("connected to the controller")
        job_id = fleet.submit(reference, distorted)
        expect(fleet.cli("job", job_id), 0, "queued", "MiB, and the largest connected node has 128 MiB")
        fleet.start_node("node-2")
        expect(fleet.cli("watch", job_id), 0, "succeeded")
        assert "MiB" not in fleet.job(job_id)["job"].get("message", "")


# ---- A disk that forgets ----


def spooled(name):
    """The results that a node keeps until its controller has them."""
    folder = os.path.join(name, "spool")
    return [os.path.join(folder, file) for file in os.listdir(folder) if not file.startswith(".")]


@case
def a_result_that_is_damaged_in_its_nodes_spool_is_computed_again():
    reference, distorted = slow_pair()
    with Fleet(slots=1, lease="30s") as fleet:
        job_id = fleet.submit(reference, distorted)
        fleet.wait_state(job_id, "running")
        fleet.controller.kill()
        wait_until("the result is in the spool", lambda: spooled("node-1"))
        with open(spooled("node-1")[0], "r+b") as f:
            f.seek(-1, os.SEEK_END)
            last = f.read(1)[0]
            f.seek(-1, os.SEEK_END)
            f.write(bytes([last ^ 1]))
        fleet.start_controller()
        expect(fleet.cli("watch", job_id), 0, "succeeded")
        job = fleet.job(job_id)
        assert job["job"]["attempts"] == 2, job
        assert any("lost the result" in e.get("message", "") for e in job["events"]), job["events"]


# ---- A controller that is killed ----


class Submitter(threading.Thread):
    """Submits one job after the other, each in a trace of its own, whether a controller is there or not."""

    def __init__(self, fleet, reference, distorted):
        super().__init__()
        self.fleet, self.paths, self.enough = fleet, (reference, distorted), threading.Event()
        self.ids, self.open = [], False

    def run(self):
        while not self.enough.is_set() or self.open:  # what may have been accepted is asked for until that is known
            key = f"job-{len(self.ids)}"
            got = self.fleet.cli("submit", "--reference", self.paths[0], "--distorted", self.paths[1],
                                 "--idempotency-key", key)
            self.open = got.returncode != 0
            if self.open:
                time.sleep(0.1)
            else:
                self.ids.append(got.stdout.strip())


# Spans that only a controller makes, and what may be below one that died in its memory.
CONTROLLERS = {"vmafx.job.submit", "vmafx.job", "vmafx.job.queue", "vmafx.task.run", "vmafx.result.store"}
BELOW_AN_ATTEMPT = {"vmafx.input.open", "vmafx.scoring", "vmafx.frame.extraction"}


def attempts_of(events):
    """span id -> (number, time of its end in µs, outcome), of the attempts that have ended."""
    return {base64.b64decode(e["span_id"]).hex(): (e["attempt"], int(e["time_unix_us"]), e["outcome"])
            for e in events if e["kind"] == "EVENT_KIND_ATTEMPT_ENDED"}


def check_after_kills(job, events, spans, kill_us):
    """What of a job's tree may be missing: controllers' spans that had ended before the last kill."""
    by_id = {span[0]: span for span in spans}
    attempts = attempts_of(events)
    jobs = [span for span in spans if span[2] == "vmafx.job"]
    assert len(jobs) == 1 or (not jobs and int(job["ended_unix_us"]) < kill_us), [s[2] for s in spans]
    roots = [span for span in spans if not span[1]]
    assert len(roots) == 1, f"{len(roots)} spans without a parent: {[s[2] for s in spans]}"
    for span in spans:
        span_id, parent, name, start = span[:4]
        if not parent or parent in by_id:
            continue
        if name in ("vmafx.job.queue", "vmafx.task.run", "vmafx.result.store"):  # the job's span
            assert int(job["ended_unix_us"]) < kill_us, f"{name} {span_id} has lost its job"
        elif parent in attempts:
            assert name in BELOW_AN_ATTEMPT and attempts[parent][1] < kill_us, f"{name} {span_id} has lost its attempt"
        else:  # below the call that submitted it; what is not ours by name is the store's
            assert name in CONTROLLERS or not name.startswith("vmafx."), f"{name} {span_id} is not a controller's"
            assert start < kill_us * 1000, f"{name} {span_id} has lost its parent {parent}"
    for span_id, (number, _, outcome) in attempts.items():
        if outcome != "ATTEMPT_OUTCOME_SUCCEEDED":
            continue
        below = {span[2] for span in spans if span[1] == span_id}
        wanted = {"vmafx.input.open", "vmafx.scoring"}
        assert wanted <= below, f"attempt {number} lacks {wanted - below}, although neither node nor scorer was killed"
        assert any(span[2] == "vmafx.frame.extraction" for span in spans)


@case
def a_killed_controller_loses_only_the_spans_that_were_in_its_memory():
    reference, distorted = absolute_pair(n=12)
    seed = int(os.environ.get("VMAFX_TEST_SEED", "0")) or random.randrange(1 << 30)
    dice = random.Random(seed)
    print(f"seed {seed}")  # VMAFX_TEST_SEED repeats the moments, as far as time can be repeated
    receiver = Receiver()
    env = receiver.environment(OTEL_SDK_DISABLED="false", OTEL_BSP_SCHEDULE_DELAY="100")
    with Fleet(nodes=2, slots=2, env=env) as fleet:
        submitter = Submitter(fleet, reference, distorted)
        submitter.start()
        try:
            for _ in range(4):
                time.sleep(dice.uniform(0.1, 1.5))  # the moment of the kill, and not a wait for anything
                fleet.controller.kill()
                kill_us = time.time_ns() // 1000
                time.sleep(dice.uniform(0, 0.5))
                fleet.start_controller()
        finally:
            submitter.enough.set()
            submitter.join()
        after = [fleet.submit(reference, distorted) for _ in range(4)]
        jobs = {job["id"]: job for job in fleet.wait_all_ended()}
        assert set(jobs) == set(submitter.ids) | set(after)
        events = {job_id: fleet.job(job_id)["events"] for job_id in jobs}
        for node in fleet.nodes.values():
            assert node.kill(signal.SIGTERM) == 0
        assert fleet.controller.kill(signal.SIGTERM) == 0
        traces = spans_by_trace(receiver)  # no id came twice
        assert len({job["trace_id"] for job in jobs.values()}) == len(jobs)
        for job_id, job in jobs.items():
            assert job["state"] == "JOB_STATE_SUCCEEDED", job
            spans = traces[job["trace_id"]]
            try:
                check_after_kills(job, events[job_id], spans, kill_us)
                if job_id in after:
                    check_tree(spans)
            except AssertionError as wrong:
                tree = "\n".join(f"{s[0]} < {s[1] or '-':16} {s[2]}" for s in spans)
                raise AssertionError(f"seed {seed}, job {job_id}: {wrong}\n{job}\n{events[job_id]}\n{tree}") from None


if __name__ == "__main__":
    main()

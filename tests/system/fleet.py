# SPDX-License-Identifier: BSD-2-Clause-Patent
"""A fleet of real processes for system tests: one controller, any number of nodes, killed and frozen at will."""
import json
import os
import re
import signal
import subprocess
import sys
import time

from harness import PROGRAM, Skip, need_models

FOLDER = os.path.dirname(PROGRAM)
DEADLINE_S = 60


def program(name):
    path = os.path.join(FOLDER, name)
    if not os.path.exists(path):
        raise Skip(f"{name} is not built beside vmafx")
    return path


class Process:
    """One of our daemons, its log lines in a file."""

    def __init__(self, name, arguments, env, log):
        self.name, self.log = name, log
        with open(log, "ab") as out:
            self.start = out.tell()
            self.process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=env)

    def lines(self):
        with open(self.log, encoding="utf-8", errors="replace") as f:
            f.seek(self.start)
            return f.read()

    def wait_line(self, pattern):
        """Waits for a line; the match."""
        end = time.monotonic() + DEADLINE_S
        while time.monotonic() < end:
            found = re.search(pattern, self.lines())
            if found:
                return found
            assert self.process.poll() is None, f"{self.name} has ended with {self.process.returncode}:\n{self.lines()}"
            time.sleep(0.02)
        raise AssertionError(f"{self.name} never said {pattern!r}:\n{self.lines()}")

    def kill(self, number=signal.SIGKILL, wait=True):
        if self.process.poll() is None:
            self.process.send_signal(number)
        if wait:
            try:
                self.process.wait(DEADLINE_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                raise AssertionError(f"{self.name} does not end on signal {number}:\n{self.lines()}") from None
        return self.process.returncode


class Fleet:
    """with Fleet(nodes=2) as fleet: …; everything lies in the current folder."""

    def __init__(self, nodes=1, slots=2, lease="2s", heartbeat="300ms", backoff="100ms", env=None, controller=()):
        need_models()
        self.env = {**os.environ, "OTEL_SDK_DISABLED": "true", **(env or {})}
        self.options = ["--lease", lease, "--heartbeat", heartbeat, "--backoff", backoff, *controller]
        self.slots, self.n_nodes, self.port = slots, nodes, 0
        self.processes, self.controller, self.nodes = [], None, {}

    def __enter__(self):
        self.start_controller()
        for i in range(self.n_nodes):
            self.start_node(f"node-{i + 1}")
        return self

    def __exit__(self, kind, *_):
        for process in self.processes:
            process.kill(signal.SIGKILL)
        if kind and kind is not Skip:
            for process in self.processes:
                print(f"--- {process.name}\n{process.lines()[-4000:]}", file=sys.stdout)

    def start_controller(self):
        arguments = [program("vmafx-controller"), "--grpc", f"127.0.0.1:{self.port}", "--http", "127.0.0.1:0", "--store",
                     os.path.abspath("jobs.db"), *self.options]
        self.controller = Process("controller", arguments, self.env, os.path.abspath("controller.log"))
        self.processes.append(self.controller)
        self.port = int(self.controller.wait_line(r'server\.port=(\d+)').group(1))
        return self.controller

    def start_node(self, name, wait=True, slots=None):
        arguments = [program("vmafx-node"), "--name", name, "--controller", f"127.0.0.1:{self.port}", "--slots",
                     str(slots or self.slots), "--state", os.path.abspath(name), "--input-roots", "/", "--http",
                     "127.0.0.1:0"]
        node = Process(name, arguments, self.env, os.path.abspath(name + ".log"))
        self.processes.append(node)
        self.nodes[name] = node
        if wait:
            node.wait_line("connected")
        return node

    def cli(self, *arguments, timeout=120):
        return subprocess.run([PROGRAM, *map(str, arguments), "--controller", f"127.0.0.1:{self.port}"],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, env=self.env, timeout=timeout,
                              check=False)

    def ok(self, *arguments, timeout=120):
        got = self.cli(*arguments, timeout=timeout)
        assert got.returncode == 0, f"exit {got.returncode}: {' '.join(map(str, arguments))}\n{got.stdout}{got.stderr}"
        return got.stdout

    def submit(self, reference, distorted, *more):
        return self.ok("submit", "--reference", reference, "--distorted", distorted, *more).strip()

    def job(self, job_id):
        return json.loads(self.ok("job", job_id, "--json"))

    def jobs(self, *more):
        return [json.loads(line) for line in self.ok("jobs", "--all", "--json", *more).splitlines()]

    def wait_state(self, job_id, *states):
        """Until the job is in one of these states; the job."""
        end = time.monotonic() + DEADLINE_S
        while time.monotonic() < end:
            job = self.job(job_id)["job"]
            if job["state"] in ["JOB_STATE_" + state.upper() for state in states]:
                return job
            time.sleep(0.02)
        raise AssertionError(f"job {job_id} is {job['state']}, never {states}: {job}")

    def wait_all_ended(self, seconds=300):
        """Until no job is queued or running; all of them."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            got = self.cli("jobs", "--state", "queued", "--state", "running", "--json")
            if got.returncode == 0 and not got.stdout.strip():
                return self.jobs()
            time.sleep(0.1)
        raise AssertionError(f"jobs do not end:\n{got.stdout[-2000:]}{got.stderr}")

# SPDX-License-Identifier: BSD-2-Clause-Patent
"""Rounds of jobs on a fleet under faults (faults.py), and what must be true of every job when the faults are over."""
import json
import os
import random
import re
import signal
import sqlite3
import threading
import time
import uuid
from contextlib import closing

from faults import Faults, FragileFleet, Log, adopt_orphans, children, is_zombie, open_files, reap, resident_kb
from harness import built_with, run, write_y4m

QUEUED, RUNNING, SUCCEEDED, FAILED, CANCELLED = range(1, 6)
SUBMITTED, LEASED, ATTEMPT_ENDED, QUEUED_AGAIN, ENDED = range(1, 6)
INPUT, RESOURCE, NODE, INTERNAL = 1, 5, 6, 8  # failure classes
ATTEMPT_LIMIT = 20
SETTLE_S = 240  # everything has ended this long after the last fault
FILES_MAX = 200
GROWTH_MAX_KB = 8192  # of a controller that does the same work again
TELEMETRY = [{}, {"OTEL_SDK_DISABLED": "false", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}]


class Wrong(Exception):
    """What must not be, with all that was found."""


class Clips:
    """Kinds of jobs: files, weight, and how such a job must end."""

    def __init__(self):
        self.kinds = {}
        os.makedirs("clips", exist_ok=True)
        for noise in (1, 2, 3):
            self.add(f"short-{noise}", 24, self.clip("short", w=96, h=64, n=6),
                     self.clip(f"short-{noise}", w=96, h=64, n=6, noise=noise))
        self.add("long", 24, self.repeated("long", 0), self.repeated("long-1", 1))
        with open(self.path("short-1"), "rb") as f, open(self.path("cut"), "wb") as out:
            out.write(f.read()[:-3000])
        with open(self.path("text"), "wb") as f:
            f.write(b"this is no video\n" * 100)
        self.kinds["cut"] = (4, self.path("short"), self.path("cut"), None)
        self.kinds["text"] = (4, self.path("short"), self.path("text"), None)
        self.kinds["missing"] = (4, self.path("short"), self.path("missing"), None)

    def path(self, name):
        return os.path.abspath(f"clips/{name}.y4m")

    def clip(self, name, **arguments):
        return write_y4m(self.path(name), **arguments)

    def repeated(self, name, noise):
        path = self.clip(name, w=320, h=240, n=4, noise=noise)
        with open(path, "rb") as f:
            head, frames = f.readline(), f.read()
        with open(path, "wb") as f:
            f.write(head + frames * 100)
        return path

    def add(self, kind, weight, reference, distorted):
        got = run("score", "--reference", reference, "--distorted", distorted, "--json")
        assert got.returncode == 0, got.stderr
        self.kinds[kind] = (weight, reference, distorted, json.loads(got.stdout)["verdict"]["score"])

    def choose(self, dice):
        return dice.choices(list(self.kinds), [weight for weight, *_ in self.kinds.values()])[0]

    def request(self, kind, key):
        _, reference, distorted, _ = self.kinds[kind]
        return {"reference": {"uri": reference}, "distorted": {"uri": distorted}, "attempt_limit": ATTEMPT_LIMIT,
                "idempotency_key": key, "labels": [{"key": "kind", "value": kind}]}


class Submitter:
    """Gives jobs in batches, each until it is acknowledged, at a pace that spreads them over the faults."""

    def __init__(self, soak, name, jobs, dice, pause_s):
        self.soak, self.name, self.jobs, self.dice, self.pause_s = soak, name, jobs, dice, pause_s
        self.tries = 0
        self.problem = None
        self.thread = threading.Thread(target=self.guarded, daemon=True)
        self.thread.start()

    def guarded(self):
        try:
            self.run()
        except Exception as problem:  # where it is waited for, it is raised
            self.problem = problem

    def run(self):
        left = self.jobs
        while left and not self.soak.ending.is_set():
            n = min(left, self.dice.choice([1, 3, 10, 20]))
            keys = {f"{self.name}-{left - i}": self.soak.clips.choose(self.dice) for i in range(n)}
            self.give(keys)
            left -= n
            if self.dice.random() < 0.3:
                self.cancel(self.dice.choice(list(keys)))
            self.soak.ending.wait(self.dice.uniform(0, 2 * self.pause_s))

    def give(self, keys):
        path = os.path.abspath(f"submit-{self.name}.ndjson")
        while not self.soak.ending.is_set():
            waiting = {key: kind for key, kind in keys.items() if key not in self.soak.accepted}
            if not waiting:
                return
            with open(path, "w", encoding="utf-8") as f:
                for key, kind in waiting.items():
                    f.write(json.dumps(self.soak.clips.request(kind, key)) + "\n")
            self.tries += 1
            got = self.soak.fleet.cli("submit", "--from", path, "--quiet")
            refused = {int(number) for number in re.findall(r"line (\d+):", got.stderr)}
            taken = [key for line, key in enumerate(waiting, 1) if line not in refused]
            ids = got.stdout.split()
            if ids:  # else the call failed, and nobody knows what became of it: the keys make asking again safe
                assert len(ids) == len(taken), f"{len(ids)} ids for {len(taken)} jobs: {got.stdout}{got.stderr}"
                for key, job in zip(taken, ids):
                    self.soak.accept(key, job, waiting)
            if got.returncode:
                self.soak.ending.wait(0.2)

    def cancel(self, key):
        job = self.soak.accepted.get(key)
        if job:
            self.soak.cancelled.add(job)  # asked for, whatever comes of it
            self.soak.fleet.cli("cancel", job)


class Soak:
    """with Soak(seed, log) as soak: soak.round(jobs, …) as often as wanted; soak.finish(). In the current folder."""

    def __init__(self, seed, nodes=3, say=print):
        self.seed, self.n_nodes, self.say = seed, nodes, say
        self.log = Log("faults.log")
        self.accepted, self.kind_of, self.cancelled, self.crashed = {}, {}, set(), set()
        self.checked_to = 0
        self.lock = threading.Lock()
        self.ending = threading.Event()
        self.rounds, self.counts = 0, {}
        self.fleet = self.clips = None

    def __enter__(self):
        adopt_orphans()
        self.clips = Clips()
        self.fleet = FragileFleet(self.log, nodes=self.n_nodes)
        try:
            self.fleet.__enter__()
        except BaseException:
            self.__exit__(None)
            raise
        for what, why in self.fleet.left_out.items():
            self.say(f"left out: {what}: {why}")
        return self

    def __exit__(self, kind, *_):
        self.ending.set()
        self.fleet.__exit__(None)
        if kind:  # the store stays for whoever looks into it
            os.makedirs("kept", exist_ok=True)
            os.system("cp -r store state kept/")
        self.fleet.close_disks()

    def accept(self, key, job, kinds):
        with self.lock:
            before = self.accepted.setdefault(key, job)
            if before != job:
                self.fleet.wrong.append(f"idempotency key {key} was accepted as {before} and as {job}")
            self.kind_of[job] = kinds[key]

    # ---- a round ----

    def round(self, jobs, seconds, faults=True):
        """Submits so many jobs; faults go on until nearly all have ended, or so long at most. Then all is checked."""
        self.rounds += 1
        dice = random.Random(f"{self.seed} {self.rounds}")
        if faults:
            self.fleet.telemetry = TELEMETRY[self.rounds % 2]
        self.log.write(f"round {self.rounds}: {jobs} jobs, seed {self.seed}")
        start = time.monotonic()
        pace = 0.6 * seconds / (jobs / 2 / 8.5) if faults else 0
        submitters = [Submitter(self, f"{self.seed}-{self.rounds}-{i}", jobs // 2 + i * (jobs % 2),
                                random.Random(dice.random()), pace) for i in range(2)]
        running = Faults(self.fleet, dice.random(), self.log) if faults else None
        try:
            while faults and time.monotonic() - start < seconds and not (
                    all(not s.thread.is_alive() for s in submitters) and self.unended() <= jobs // 20):
                time.sleep(0.2)
        finally:
            if running:
                running.stop()
        self.log.write("faults are over")
        calm = time.monotonic()
        for submitter in submitters:
            submitter.thread.join(SETTLE_S)
            if submitter.problem:
                raise submitter.problem
            if submitter.thread.is_alive():
                raise Wrong(f"submitting does not end {SETTLE_S} s after the last fault")
        for kind, n in (running.counts if running else {}).items():
            self.counts[kind] = self.counts.get(kind, 0) + n
        self.wait_ended()
        self.check()
        faulty = f", {sum(running.counts.values())} faults" if running else ""
        self.say(f"round {self.rounds}: {jobs} jobs{faulty}, {time.monotonic() - start:.0f} s, settled in "
                 f"{time.monotonic() - calm:.0f} s; controller {resident_kb(self.fleet.controller.process.pid) // 1024} MB")

    def database(self):
        return closing(sqlite3.connect(f"file:{self.fleet.store()}?mode=ro", uri=True, timeout=10))

    def unended(self):
        """How many jobs wait or run; many when that cannot be read just now."""
        try:
            with self.database() as db:
                return db.execute("SELECT count(*) FROM job WHERE state IN (1, 2)").fetchone()[0]
        except sqlite3.Error:
            return 1 << 30

    def wait_for(self, what, done, seconds):
        end = time.monotonic() + seconds
        while not done():
            if time.monotonic() > end:
                raise Wrong(f"{what}: not {seconds} s after the last fault")
            time.sleep(0.1)

    def wait_ended(self):
        fleet = self.fleet
        try:
            self.wait_for("all jobs have ended", lambda: self.unended() == 0, SETTLE_S)
        except Wrong as wrong:
            nodes = fleet.cli("nodes")
            with self.database() as db:
                left = db.execute("SELECT hex(id), state, node, attempt, failures, lease_until, not_before, ready FROM job "
                                  "WHERE state IN (1, 2) LIMIT 10").fetchall()
            raise Wrong(f"{wrong}\n{left}\n{nodes.stdout}{nodes.stderr}") from None

    # ---- what must be true ----

    def check(self):
        fleet = self.fleet
        self.wait_for("spools are empty", lambda: not self.spooled(), 60)
        self.wait_for("the scorers have no children", lambda: not fleet.tasks(), 20)
        wrong = list(fleet.wrong)
        for name, process in fleet.daemons().items():
            pid = process.process.pid
            family = children(pid) + [child for one in children(pid) for child in children(one)]
            wrong += [f"{name} leaves process {child} as a zombie" for child in family if is_zombie(child)]
            if name != "controller" and len(children(pid)) > 1:
                wrong.append(f"{name} has {len(children(pid))} scorers")
            if open_files(pid) > FILES_MAX:
                wrong.append(f"{name} has {open_files(pid)} open files")
        with self.database() as db:
            wrong += self.check_store(db)
        if wrong:
            raise Wrong("\n".join(wrong[:20]) + (f"\nand {len(wrong) - 20} more" if len(wrong) > 20 else ""))

    def spooled(self):
        found = []
        for name in self.fleet.names:
            folder = f"state/{name}/spool"
            folder = folder if os.path.isdir(folder) else f"state/{name}"
            found += [entry for entry in os.listdir(folder) if entry != "filler"]
        return found

    def check_store(self, db):
        wrong = [f"integrity: {row[0]}" for row in db.execute("PRAGMA integrity_check") if row[0] != "ok"]
        wrong += [f"foreign key: {row}" for row in db.execute("PRAGMA foreign_key_check")]
        wrong += [f"set aside: {row}" for row in db.execute("SELECT job, why FROM aside")]
        for state, counted in db.execute("SELECT state, n FROM count"):
            there = db.execute("SELECT count(*) FROM job WHERE state = ?", (state,)).fetchone()[0]
            if there != counted:
                wrong.append(f"{there} jobs in state {state}, {counted} by the table of counts")
        db.row_factory = sqlite3.Row
        there, last = {}, self.checked_to
        for job in db.execute("SELECT job.*, spec.data IS NOT NULL AS spec, result.data IS NOT NULL AS result, "
                              "(SELECT key FROM idempotency i WHERE i.job = job.n) AS key FROM job "
                              "LEFT JOIN spec ON spec.job = job.n LEFT JOIN result ON result.job = job.n WHERE n > ?",
                              (self.checked_to,)):
            job_id = str(uuid.UUID(bytes=job["id"]))
            there[job_id] = job
            last = max(last, job["n"])
            events = db.execute("SELECT * FROM event WHERE job = ? ORDER BY sequence", (job["n"],)).fetchall()
            wrong += [f"job {job_id} ({self.kind_of.get(job_id)}): {what}" for what in
                      [*check_events(job, events), *self.check_job(job_id, job)]]
        known = {str(uuid.UUID(bytes=row[0])) for row in db.execute("SELECT id FROM job")}
        wrong += [f"job {job} was accepted as {key} and is not there" for key, job in self.accepted.items()
                  if job not in known]
        wrong += [f"job {job} is there, and nobody was told" for job in there if job not in self.kind_of]
        ours = self.counts.get("crash child", 0)
        if len(self.crashed) > ours:
            wrong.append(f"{len(self.crashed)} jobs crashed, {ours} by us: {sorted(self.crashed)}")
        self.checked_to = last
        return wrong

    def check_job(self, job_id, job):
        kind = self.kind_of.get(job_id)
        if job["state"] == CANCELLED and job_id in self.cancelled or kind is None:
            return
        if job["state"] == FAILED and job["failures"] >= ATTEMPT_LIMIT and job["failure"] in (NODE, RESOURCE):
            self.log.write(f"job {job_id} has used up its {ATTEMPT_LIMIT} attempts")
            return
        if job["state"] == FAILED and job["failure"] == INTERNAL and "signal 11" in job["message"]:
            self.crashed.add(job_id)  # a crash is not tried again; there may be as many as we have made
            return
        score = self.clips.kinds[kind][3]
        if score is None:
            if job["state"] != FAILED or job["failure"] != INPUT:
                yield f"state {job['state']}, failure {job['failure']} ({job['message']}), not failed as input"
            if kind == "cut" and (not job["has_result"] or job["complete"]):
                yield f"has_result {job['has_result']}, complete {job['complete']}, not the scores of a part"
        elif job["state"] != SUCCEEDED:
            yield f"state {job['state']}, failure {job['failure']} ({job['message']}), not succeeded"
        elif not job["has_score"] or abs(job["score"] - score) > 1e-9:
            yield f"score {job['score']}, not {score}"
        elif not job["complete"]:
            yield "not complete"

    # ---- the end ----

    def calm(self, jobs, times):
        """The same work again and again, without faults: the controller does not grow."""
        sizes = []
        for _ in range(times):
            self.round(jobs, 0, faults=False)
            sizes.append(resident_kb(self.fleet.controller.process.pid))
        if built_with("asan") or built_with("tsan"):  # one keeps what was freed, the other what is known of all memory
            return
        if sizes[-1] - sizes[len(sizes) // 2 - 1] > GROWTH_MAX_KB:
            raise Wrong(f"the controller grows with each round of {jobs} jobs: {sizes} kB")

    def finish(self):
        """Everything ends when it is told to, and leaves nothing behind."""
        fleet = self.fleet
        fleet.keeping.clear()
        fleet.keeper.join()
        wrong = list(fleet.wrong)
        for name in [*fleet.names, "controller"]:
            code = fleet.daemons()[name].kill(signal.SIGTERM)
            if code:
                wrong.append(f"{name} ends with {code} when it is told to end")
        end = time.monotonic() + 10
        while children(os.getpid()) and time.monotonic() < end:
            reap()
            time.sleep(0.02)
        wrong += [f"process {pid} is left over: {command_of(pid)}" for pid in children(os.getpid())]
        if self.spooled():
            wrong.append(f"in the spools: {self.spooled()}")
        with self.database() as db:
            self.checked_to = 0
            wrong += self.check_store(db)
            states = dict(db.execute("SELECT state, count(*) FROM job GROUP BY state").fetchall())
            attempts = db.execute("SELECT sum(attempt) FROM job").fetchone()[0]
        if wrong:
            raise Wrong("\n".join(wrong[:20]))
        self.say(f"{sum(states.values())} jobs: {states.get(SUCCEEDED, 0)} succeeded, {states.get(FAILED, 0)} failed as "
                 f"they should, {states.get(CANCELLED, 0)} cancelled; {attempts} attempts; faults: "
                 + ", ".join(f"{n} × {kind}" for kind, n in sorted(self.counts.items())))


def command_of(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as f:
            return f.read().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return "?"


def check_events(job, events):
    """One life: queue stays and attempts follow each other without a gap, numbered from 1, and one end."""
    if job["state"] not in (SUCCEEDED, FAILED, CANCELLED):
        yield f"state {job['state']} is not terminal"
        return
    if not job["spec"]:
        yield "its request is gone"
    if bool(job["result"]) != bool(job["has_result"]) or (job["state"] == SUCCEEDED and not job["result"]):
        yield f"has_result {job['has_result']}, and the result is {'there' if job['result'] else 'missing'}"
    kinds = [event["kind"] for event in events]
    if kinds.count(ENDED) != 1 or not kinds or kinds[-1] != ENDED or kinds[0] != SUBMITTED:
        yield f"events {kinds}: not one beginning and one end"
        return
    attempt, since, place, outcome = 0, job["created"], "queue", None
    for event in events:
        kind, at = event["kind"], event["time"]
        said = f"event {event['sequence']} (kind {kind}, attempt {event['attempt']})"
        if at < since:
            yield f"{said} lies {since - at} µs before the one before"
        if kind in (SUBMITTED, QUEUED_AGAIN):
            if at != since:
                yield f"{said}: a gap of {at - since} µs"
            place = "queue"
        elif kind == LEASED:
            attempt += 1
            if place != "queue" or event["since"] != since or event["attempt"] != attempt:
                yield f"{said}: from {place}, since {event['since']} not {since}, expected attempt {attempt}"
            place, since = "attempt", at
        elif kind == ATTEMPT_ENDED:
            if place != "attempt" or event["since"] != since or event["attempt"] != attempt:
                yield f"{said}: from {place}, since {event['since']} not {since}, expected attempt {attempt}"
            place, since, outcome = "between", at, event["outcome"]
        elif kind == ENDED:
            if place == "attempt" or (place == "between" and at != since) or (place == "queue" and event["since"] != since):
                yield f"{said}: from {place}, at {at}, since {event['since']} not {since}"
            if event["state"] != job["state"] or at != job["ended"]:
                yield f"{said}: state {event['state']} at {at}, the job's {job['state']} at {job['ended']}"
    if attempt != job["attempt"]:
        yield f"{attempt} attempts began, its row says {job['attempt']}"
    if (job["state"] == SUCCEEDED) != (outcome == 1 and place == "between"):
        yield f"state {job['state']} after an attempt that ended with {outcome}"

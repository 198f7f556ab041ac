# SPDX-License-Identifier: BSD-2-Clause-Patent
"""Faults for a fleet of real processes: kinds, a seeded run of them, and the log that says what was done when.

Each kind is named in KINDS with its weight. A fault that this machine cannot have (no root) is left out
by name, with the reason, in Faults.left_out.
"""
import ctypes
import glob
import heapq
import os
import random
import re
import selectors
import shutil
import signal
import socket
import struct
import subprocess
import threading
import time

from fleet import FOLDER, Fleet, Process, program
from harness import is_task

PROXY_CHUNK = 16384
SLOW_BYTES, SLOW_PAUSE_S = 256, 0.05


class Log:
    """What was done, with the seconds since the start, in memory and in a file."""

    def __init__(self, path):
        self.start, self.lines, self.lock = time.monotonic(), [], threading.Lock()
        self.file = open(path, "a", encoding="utf-8")

    def write(self, text):
        line = f"{time.monotonic() - self.start:9.3f}  {text}"
        with self.lock:
            self.lines.append(line)
            self.file.write(line + "\n")
            self.file.flush()


# ---- Processes ----


def children(pid):
    """Of all its threads."""
    found = []
    for path in glob.glob(f"/proc/{pid}/task/*/children"):
        try:
            with open(path, encoding="utf-8") as f:
                found += [int(word) for word in f.read().split() if is_task(word)]
        except OSError:
            pass
    return found


def status_of(pid):
    """The lines of /proc/PID/status as a dict; empty when there is no such process."""
    try:
        with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as f:
            return dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)
    except OSError:
        return {}


def is_zombie(pid):
    return status_of(pid).get("State", "").startswith("Z")


def resident_kb(pid):
    return int(status_of(pid).get("VmRSS", "0 kB").split()[0])


def open_files(pid):
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return 0


def send(pid, number):
    """True when the process was there to get it."""
    try:
        os.kill(pid, number)
        return True
    except ProcessLookupError:
        return False


def adopt_orphans():
    """Whoever loses its parent among our descendants becomes our child, so that nothing is left over unseen."""
    pr_set_child_subreaper = 36
    ctypes.CDLL(None).prctl(pr_set_child_subreaper, 1, 0, 0, 0)


def reap():
    """Takes the ends of adopted processes (those of Popen objects have been waited for, or are waited for elsewhere)."""
    for pid in children(os.getpid()):
        if is_zombie(pid) and pid not in Popens.pids:
            try:
                os.waitpid(pid, os.WNOHANG)
            except ChildProcessError:
                pass


class Popens:
    """Process ids that a Popen object waits for: not ours to reap."""
    pids = set()


# ---- The network ----


class Proxy:
    """Between a node and its controller. mode: pass, cut (refused and reset), hole (taken, and nothing comes through),
    slow (a few bytes at a time)."""

    def __init__(self, port_of):
        """port_of: says where the controller listens."""
        self.port_of, self.mode, self.pairs = port_of, "pass", set()
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self.accept, daemon=True)
        self.thread.start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        if self.mode == "cut":
            client.close()
            return
        try:
            server = socket.create_connection(("127.0.0.1", self.port_of()), 5)
        except OSError:
            client.close()
            return
        with self.lock:
            self.pairs.add((client, server))
        try:
            self.pump(client, server)
        except OSError:
            pass
        with self.lock:
            self.pairs.discard((client, server))
        for end in (client, server):
            end.close()

    def pump(self, client, server):
        with selectors.DefaultSelector() as selector:
            selector.register(client, selectors.EVENT_READ, server)
            selector.register(server, selectors.EVENT_READ, client)
            while self.mode != "cut":
                if self.mode == "hole":
                    time.sleep(0.02)
                    continue
                for key, _ in selector.select(0.05):
                    slow = self.mode == "slow"
                    data = key.fileobj.recv(SLOW_BYTES if slow else PROXY_CHUNK)
                    if not data:
                        return
                    if slow:
                        time.sleep(SLOW_PAUSE_S)
                    key.data.sendall(data)

    def set(self, mode):
        self.mode = mode
        if mode != "cut":
            return
        with self.lock:
            pairs = list(self.pairs)
        for pair in pairs:
            for end in pair:
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def close(self):
        self.set("cut")
        self.listener.close()


class Namespace:
    """A network of its own for one node, joined to ours by a cable that can be pulled. Needs root and `ip`."""

    @staticmethod
    def missing():
        if os.geteuid() != 0:
            return "not root"
        return None if shutil.which("ip") else "no program ip (package iproute2)"

    def __init__(self):
        tag = f"{os.getpid() % 100000}"
        self.name, self.ours, self.theirs = f"vmafx-soak-{tag}", f"vs{tag}a", f"vs{tag}b"
        net = f"10.{200 + os.getpid() % 50}.{os.getpid() // 50 % 250}"
        self.address = f"{net}.1"
        ip = ["ip", "netns", "exec", self.name, "ip"]
        try:
            for command in (["ip", "netns", "add", self.name],
                            ["ip", "link", "add", self.ours, "type", "veth", "peer", "name", self.theirs, "netns",
                             self.name],
                            ["ip", "address", "add", f"{net}.1/24", "dev", self.ours],
                            ["ip", "link", "set", self.ours, "up"],
                            [*ip, "address", "add", f"{net}.2/24", "dev", self.theirs],
                            [*ip, "link", "set", self.theirs, "up"], [*ip, "link", "set", "lo", "up"]):
                subprocess.run(command, check=True, capture_output=True, text=True)
        except subprocess.CalledProcessError as problem:
            self.close()
            raise OSError(problem.stderr.strip()) from None

    def inside(self):
        """What to put before a command that shall run in it."""
        return ["ip", "netns", "exec", self.name]

    def plug(self, up):
        subprocess.run(["ip", "link", "set", self.ours, "up" if up else "down"], check=False, capture_output=True)

    def close(self):
        for command in (["ip", "link", "delete", self.ours], ["ip", "netns", "delete", self.name]):
            subprocess.run(command, check=False, capture_output=True)


# ---- The disk ----


class Disk:
    """A small file system that can be filled. Needs root; else missing() says so and it is an ordinary folder."""

    def __init__(self, path, megabytes):
        self.path, self.mounted, self.why = path, False, "not root"
        os.makedirs(path, exist_ok=True)
        if os.geteuid() == 0:
            got = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "vmafx-soak", path], check=False,
                                 capture_output=True, text=True)
            self.mounted, self.why = got.returncode == 0, got.stderr.strip()

    def fill(self):
        with open(os.path.join(self.path, "filler"), "wb", buffering=0) as f:
            for size in (1 << 20, 4096, 1):
                try:
                    while True:
                        f.write(b"\0" * size)
                except OSError:
                    pass

    def free(self):
        try:
            os.unlink(os.path.join(self.path, "filler"))
        except FileNotFoundError:
            pass

    def close(self):
        if self.mounted:
            subprocess.run(["umount", "-l", self.path], check=False, capture_output=True)


# ---- The clock ----


class Clock:
    """The wall clock of controller, nodes and scorers (wall_clock.c); the one that never jumps is left alone."""

    def __init__(self, path):
        self.path, self.offset_s = path, 0
        self.library = os.path.join(FOLDER, "..", "tests", "libwall_clock.so")
        self.set(0)

    def missing(self):
        return None if os.path.exists(self.library) else "libwall_clock.so is not built beside the programs"

    def set(self, offset_s):
        self.offset_s = offset_s
        with open(self.path, "r+b" if os.path.exists(self.path) else "wb") as f:
            f.write(struct.pack("=q", offset_s * 1000000))  # in one piece: it is mapped where it is read

    def environment(self):
        if self.missing():
            return {}
        # A child that crashes has to die of the signal also where a sanitizer would catch it.
        options = "verify_asan_link_order=0:handle_segv=0:handle_abort=0:" + os.environ.get("ASAN_OPTIONS", "")
        return {"LD_PRELOAD": os.path.abspath(self.library), "VMAFX_TEST_WALL_CLOCK": self.path,
                "ASAN_OPTIONS": options}


# ---- A fleet that faults can be put upon ----


class FragileFleet(Fleet):
    """A controller on a small disk, each node behind a proxy or in a network of its own, clocks that can be set, and a
    keeper that starts again whatever has ended, as systemd would."""

    def __init__(self, log, nodes=3, slots=2):
        super().__init__(nodes=nodes, slots=slots, controller=["--backoff-max", "2s"])
        self.telemetry = {}  # environment of the daemons alone
        self.fault_log, self.wrong, self.left_out = log, [], {}
        self.names = [f"node-{i + 1}" for i in range(nodes)]
        self.disks, self.proxies, self.namespace, self.clock = {}, {}, None, None
        self.down = {}  # name: not before this time is it started again
        self.killed = set()  # process ids that we have killed ourselves
        self.disk_trouble_until = 0
        self.lock = threading.RLock()
        self.keeping = threading.Event()
        self.keeper = None

    def __enter__(self):
        self.disks = {"store": Disk(os.path.abspath("store"), 192), "spool": Disk(os.path.abspath("state"), 16)}
        if not self.disks["store"].mounted:
            self.left_out["disk"] = self.disks["store"].why
        self.clock = Clock(os.path.abspath("clock"))
        if self.clock.missing():
            self.left_out["clock"] = self.clock.missing()
        self.left_out["cable"] = Namespace.missing()
        if not self.left_out["cable"]:
            try:
                self.namespace = Namespace()
                del self.left_out["cable"]
            except OSError as problem:
                self.left_out["cable"] = str(problem)
        self.start_controller()
        for name in self.names:
            if not self.namespaced(name):
                self.proxies[name] = Proxy(lambda: self.port)
        for name in self.names:
            self.start_node(name)
        self.keeping.set()
        self.keeper = threading.Thread(target=self.keep, daemon=True)
        self.keeper.start()
        return self

    def __exit__(self, kind, *_):
        self.keeping.clear()
        if self.keeper:
            self.keeper.join()
        for proxy in self.proxies.values():
            proxy.close()
        for process in self.processes:
            process.kill(signal.SIGKILL)
        if self.namespace:
            self.namespace.close()
        end = time.monotonic() + 10
        while children(os.getpid()) and time.monotonic() < end:
            reap()
            time.sleep(0.02)

    def namespaced(self, name):
        return self.namespace and name == self.names[-1]

    def close_disks(self):
        for disk in self.disks.values():
            disk.close()

    def store(self):
        return os.path.abspath("store/jobs.db")

    def environment(self):
        return {**self.env, **self.telemetry, **self.clock.environment()}

    def start_controller(self):
        host = "0.0.0.0" if self.namespace else "127.0.0.1"
        arguments = [program("vmafx-controller"), "--grpc", f"{host}:{self.port}", "--http", "127.0.0.1:0", "--store",
                     self.store(), *self.options, *(["--insecure-listen"] if self.namespace else [])]
        self.begin("controller", arguments)
        self.controller = self.processes[-1]
        if not self.port:
            self.port = int(self.controller.wait_line(r"server\.port=(\d+)").group(1))
        return self.controller

    def start_node(self, name, wait=False, slots=None):
        away = self.namespaced(name)
        where = f"{self.namespace.address}:{self.port}" if away else f"127.0.0.1:{self.proxies[name].port}"
        arguments = [*(self.namespace.inside() if away else []), program("vmafx-node"), "--name", name, "--controller",
                     where, "--slots", str(slots or self.slots), "--state", os.path.abspath(f"state/{name}"),
                     "--input-roots", "/", "--http", "127.0.0.1:0"]
        self.begin(name, arguments)
        self.nodes[name] = self.processes[-1]
        return self.nodes[name]

    def begin(self, name, arguments):
        process = Process(name, arguments, self.environment(), os.path.abspath(name + ".log"))
        Popens.pids.add(process.process.pid)
        self.processes = [p for p in self.processes if p.name != name] + [process]

    def daemons(self):
        return {"controller": self.controller, **self.nodes}

    def kill_daemon(self, name, back_in_s):
        with self.lock:
            process = self.daemons()[name]
            self.killed.add(process.process.pid)
            self.down[name] = time.monotonic() + back_in_s
            process.kill(signal.SIGKILL)

    def keep(self):
        """Starts again what has ended, and takes down who ended without our doing."""
        while self.keeping.is_set():
            with self.lock:
                for name, process in self.daemons().items():
                    code = process.process.poll()
                    if code is None or time.monotonic() < self.down.get(name, 0):
                        continue
                    if process.process.pid not in self.killed:
                        self.unexpected(name, process, code)
                        self.killed.add(process.process.pid)
                        self.down[name] = time.monotonic() + 0.3
                        continue
                    Popens.pids.discard(process.process.pid)
                    self.fault_log.write(f"starting {name}")
                    if name == "controller":
                        self.start_controller()
                    else:
                        self.start_node(name)
                reap()
            time.sleep(0.02)

    def unexpected(self, name, process, code):
        tail = process.lines()[-600:]
        self.fault_log.write(f"{name} has ended by itself with {code}")
        full = time.monotonic() < self.disk_trouble_until and re.search(r"no room|No space", tail)
        scorer = "cannot start" in tail and "vmafx-scorer was ended by signal" in tail
        if code < 0 or code >= 70 or not (full or scorer):
            self.wrong.append(f"{name} has ended by itself with {code}; the end of its log:\n{tail}")

    def scorers(self):
        return [pid for node in self.nodes.values() for pid in children(node.process.pid)]

    def tasks(self):
        """The children that scorers have forked."""
        return [pid for scorer in self.scorers() for pid in children(scorer)]


# ---- Faults ----

KINDS = {  # name: weight
    "kill controller": 3, "kill node": 4, "kill scorer": 4, "kill child": 5, "crash child": 1,
    "freeze controller": 2, "freeze node": 3, "freeze scorer": 2, "freeze child": 3,
    "cut": 3, "hole": 2, "slow": 2, "cable": 3,
    "disk store": 2, "disk spool": 2,
    "clock": 3,
}


class Faults:
    """One after the other, and sometimes one while another lasts, until stop() undoes all of them. The order and the
    lengths come from the seed; which process is hit also from what is there at that moment."""

    def __init__(self, fleet, seed, log, pause_s=(0.05, 0.9)):
        self.fleet, self.random, self.log, self.pause_s = fleet, random.Random(seed), log, pause_s
        self.undo, self.turn, self.counts = [], 0, {}
        self.active = set()  # what cannot be had twice at a time
        self.stopping = threading.Event()
        self.kinds = {kind: weight for kind, weight in KINDS.items() if kind.split()[0] not in fleet.left_out}
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.stopping.is_set():
            self.undo_due()
            kind = self.random.choices(list(self.kinds), list(self.kinds.values()))[0]
            seconds = self.random.uniform(0.1, 4)
            if getattr(self, kind.split()[0])(*kind.split()[1:], seconds):
                self.counts[kind] = self.counts.get(kind, 0) + 1
            self.stopping.wait(self.random.uniform(*self.pause_s))

    def later(self, seconds, what, function):
        self.turn += 1
        heapq.heappush(self.undo, (time.monotonic() + seconds, self.turn, what, function))

    def undo_due(self, everything=False):
        while self.undo and (everything or self.undo[0][0] <= time.monotonic()):
            _, _, what, function = heapq.heappop(self.undo)
            self.log.write(what)
            function()

    def stop(self):
        self.stopping.set()
        self.thread.join()
        self.undo_due(everything=True)

    def target(self, which):
        """(what it is called, pid) of one that is there, or None."""
        fleet = self.fleet
        with fleet.lock:
            if which in ("controller", "node"):
                name = "controller" if which == "controller" else self.random.choice(fleet.names)
                process = fleet.daemons()[name]
                return (name, process.process.pid) if process.process.poll() is None else None
            there = fleet.scorers() if which == "scorer" else fleet.tasks()
            if not there:
                return None
            pid = self.random.choice(there)
            return f"{which} {pid}", pid

    def kill(self, which, seconds):
        found = self.target(which)
        if not found:
            return False
        name, pid = found
        self.log.write(f"kill {name}")
        if which in ("controller", "node"):
            self.fleet.kill_daemon(name, min(seconds, 1.5))
            return True
        return send(pid, signal.SIGKILL)

    def crash(self, which, seconds):
        found = self.target(which)
        if found:
            self.log.write(f"crash {found[0]}")
        return found and send(found[1], signal.SIGSEGV)

    def freeze(self, which, seconds):
        found = self.target(which)
        if not found or not send(found[1], signal.SIGSTOP):
            return False
        self.log.write(f"freeze {found[0]} for {seconds:.2f} s")
        self.later(seconds, f"continue {found[0]}", lambda: send(found[1], signal.SIGCONT))
        return True

    def lasting(self, what, seconds, begin, begun, end, ended):
        """A fault that ends after a while and is not put upon the same thing twice."""
        if what in self.active:
            return False
        self.active.add(what)
        self.log.write(f"{what}: {begun} for {seconds:.2f} s")
        begin()

        def over():
            self.active.discard(what)
            end()
        self.later(seconds, f"{what}: {ended}", over)
        return True

    def network(self, mode, seconds):
        if not self.fleet.proxies:
            return False
        name = self.random.choice(sorted(self.fleet.proxies))
        proxy = self.fleet.proxies[name]
        return self.lasting(f"network of {name}", seconds, lambda: proxy.set(mode), mode, lambda: proxy.set("pass"),
                            "pass")

    def cut(self, seconds):
        return self.network("cut", seconds)

    def hole(self, seconds):
        return self.network("hole", seconds)

    def slow(self, seconds):
        return self.network("slow", seconds)

    def cable(self, seconds):
        plug = self.fleet.namespace.plug
        return self.lasting(f"cable of {self.fleet.names[-1]}", seconds, lambda: plug(False), "pulled",
                            lambda: plug(True), "in")

    def disk(self, which, seconds):
        disk, seconds = self.fleet.disks[which], min(seconds, 2)
        self.fleet.disk_trouble_until = time.monotonic() + seconds + 5
        return self.lasting(f"disk of {which}", seconds, disk.fill, "full", disk.free, "has room")

    def clock(self, seconds):
        clock = self.fleet.clock
        step = self.random.choice([-1, 1]) * self.random.choice([1, 3, 30, 600, 7200, 86400])
        if abs(clock.offset_s + step) > 7 * 86400:
            step = -step
        self.log.write(f"clock set {step:+d} s, to {clock.offset_s + step:+d} s")
        clock.set(clock.offset_s + step)
        return True


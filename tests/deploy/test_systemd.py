# SPDX-License-Identifier: BSD-2-Clause-Patent
"""The units of deploy/systemd on a machine of their own whose first process is systemd (systemd_host makes it).

usage: test_systemd.py VMAFX [CASE…]
"""
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import time

import signals
from fleet import DEADLINE_S, FOLDER
from harness import Skip, built_with, case, main, need, need_models, pair, run

# Of systemd itself: there is no network to wait for, nor a clock to set.
MASKED = ("systemd-networkd.service", "systemd-networkd-wait-online.service", "systemd-timesyncd.service", "dbus.service",
          "dbus.socket", "systemd-machine-id-commit.service", "getty.target", "systemd-update-utmp.service")
SANDBOX = ["rlimits", "unprivileged", "namespaces", "chroot", "no_new_privs", "landlock", "seccomp"]


def install():
    """usr-local, media and etc, as systemd_host wants them."""
    if os.geteuid():
        raise Skip("units are tried on a machine of their own, which needs root to make")
    if not os.path.exists("/lib/systemd/systemd"):
        raise Skip("systemd is missing; install systemd")
    for name, package in (("unshare", "util-linux"), ("nsenter", "util-linux"), ("meson", "meson")):
        need(name, package)
    if built_with("asan") or built_with("tsan"):
        raise Skip("a sanitizer needs what the units forbid")
    build = pathlib.Path(FOLDER).parent
    options = json.loads(subprocess.run(["meson", "introspect", build, "--buildoptions"], capture_output=True, check=True).stdout)
    prefix = next(option["value"] for option in options if option["name"] == "prefix")
    if prefix != "/usr/local":
        raise Skip(f"the build is for {prefix}, and this test for /usr/local")
    got = subprocess.run([signals.ROOT / "tools/install", "--systemd", build, prefix, need_models(), os.path.abspath("image")],
                         capture_output=True, text=True, check=False)
    assert got.returncode == 0, got.stdout + got.stderr
    os.rename("image/usr/local", "usr-local")
    os.mkdir("media")
    os.chdir("media")
    pair(w=160, h=120, n=20)
    os.chdir("..")
    os.makedirs("etc/systemd/system")
    os.makedirs("etc/vmafx")
    for unit in MASKED:
        os.symlink("/dev/null", f"etc/systemd/system/{unit}")
    for name, text in {"controller": "", "node": "VMAFX_NODE_INPUT_ROOTS=/media\nVMAFX_NODE_SLOTS=1\n",
                       "server": "VMAFX_SERVER_INPUT_ROOTS=/media\n", "mcp": "VMAFX_MCP_ROOTS=/media\n"}.items():
        pathlib.Path(f"etc/vmafx/{name}.conf").write_text(text, encoding="utf-8")
    pathlib.Path("etc/vmafx/telemetry.env").write_text("OTEL_SDK_DISABLED=true\n", encoding="utf-8")


class Host:
    """with Host() as host: host.run("systemctl", "start", …); in the current folder."""

    def __enter__(self):
        install()
        self.pid = None
        self.log = open("host.log", "wb")
        self.process = subprocess.Popen([signals.ROOT / "tests/deploy/systemd_host", "."], stdin=subprocess.DEVNULL,
                                        stdout=self.log, stderr=self.log)
        try:
            self.pid = self.wait(self.first_process, lambda pid: pid)
            self.wait(lambda: self.ask("systemctl", "is-system-running"), lambda got: got.stdout.strip() in ("running", "degraded"))
            self.run("systemd-sysusers", "/usr/local/lib/sysusers.d/vmafx.conf")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if self.pid:
            os.kill(int(self.pid), signal.SIGKILL)  # and with it all that it has started
        else:
            self.process.kill()
        self.process.wait()
        self.log.close()
        group = pathlib.Path("/sys/fs/cgroup/systemd" if os.path.isdir("/sys/fs/cgroup/systemd") else "/sys/fs/cgroup")
        for folder, _, _ in os.walk(group / f"vmafx-test-{self.process.pid}", topdown=False):
            for _ in range(50):  # its processes are still ending
                try:
                    os.rmdir(folder)
                    break
                except OSError:
                    time.sleep(0.02)

    def first_process(self):
        """systemd, when it has taken over from the script that made its machine."""
        if self.process.poll() is not None:
            raise Skip(f"a machine of its own cannot be made here: {self.said()[-300:].strip()}")
        try:
            [child] = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text(encoding="ascii").split()
            return child if pathlib.Path(f"/proc/{child}/comm").read_text(encoding="ascii").strip() == "systemd" else None
        except (OSError, ValueError):
            return None

    def said(self):
        """By the first process."""
        return pathlib.Path("host.log").read_text(encoding="utf-8", errors="replace")

    def wait(self, ask, ready):
        end = time.monotonic() + DEADLINE_S
        while time.monotonic() < end:
            got = ask()
            if ready(got):
                return got
            time.sleep(0.05)
        raise AssertionError(f"never came: {got}\n" + self.journal())

    def ask(self, *arguments):
        return subprocess.run(["nsenter", "--target", self.pid, "--all", "--wd=/", "--", *arguments],
                              capture_output=True, text=True, timeout=DEADLINE_S, check=False,
                              env={"PATH": "/usr/local/bin:/usr/bin:/usr/sbin"})

    def run(self, *arguments):
        got = self.ask(*arguments)
        assert got.returncode == 0, f"{arguments}: {got.returncode}\n{got.stdout}{got.stderr}\n{self.journal()}"
        return got.stdout

    def journal(self, *arguments):
        return self.ask("journalctl", "--no-pager", "-o", "cat", *(arguments or ("-n", "60"))).stdout

    def show(self, unit, *properties):
        lines = self.run("systemctl", "show", unit, "--property", ",".join(properties)).splitlines()
        return dict(line.split("=", 1) for line in lines)

    def main_pid(self, unit):
        return int(self.show(unit, "MainPID")["MainPID"])

    def write(self, path, text):
        """A file of /etc, through the root of a process there."""
        place = pathlib.Path(f"/proc/{self.pid}/root{path}")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8")


def score(host, *more):
    job = host.run("vmafx", "submit", "--reference", "/media/ref.y4m", "--distorted", "/media/dis.y4m", "--wait", "--quiet", *more)
    return json.loads(host.run("vmafx", "result", re.search(r"[0-9a-f-]{36}", job).group(0), "--json"))


@case
def the_units_run_reload_restart_and_stop():
    with Host() as host:
        started_and_hardened(host)
        a_reload_is_one(host)
        a_program_that_hangs_is_started_again(host)
        what_is_set_wrong_is_said_and_not_tried_again(host)
        all_end_well(host)


def started_and_hardened(host):
    host.run("systemctl", "start", "vmafx-controller", "vmafx-node", "vmafx-server", "vmafx-mcp")
    for name in ("controller", "node", "server", "mcp"):
        got = host.show(f"vmafx-{name}", "ActiveState", "Type", "WatchdogUSec", "User")
        assert got == {"ActiveState": "active", "Type": "notify", "WatchdogUSec": "1min", "User": "vmafx"}, got
        pid = host.main_pid(f"vmafx-{name}")
        status = host.run("cat", f"/proc/{pid}/status")
        assert re.search(r"^CapBnd:\s0+$", status, re.M) and re.search(r"^NoNewPrivs:\s1$", status, re.M), status
        assert "Uid:\t0" not in status, status
    # A job, in the sandbox that the unit has to leave room for.
    result = score(host)
    assert set(SANDBOX) - set(result["sandbox_layers"]) <= {"landlock"}, result["sandbox_layers"]  # that one is the kernel's choice
    here = json.loads(run("score", "--reference", "media/ref.y4m", "--distorted", "media/dis.y4m", "--json").stdout)
    mean = next(s for s in result["series"] if s.get("kind") == "SERIES_KIND_SCORE")["mean"]
    assert abs(mean - here["verdict"]["score"]) < 1e-6, (mean, here["verdict"])
    answer = host.run("curl", "-s", "-H", "Content-Type: application/json", "-d",
                      '{"reference": {"uri": "/media/ref.y4m"}, "distorted": {"uri": "/media/dis.y4m"}}',
                      "http://127.0.0.1:7810/v1/score") if shutil.which("curl") else None
    assert answer is None or "score" in answer, answer
    outside = host.ask("vmafx", "submit", "--reference", "/etc/passwd", "--distorted", "/media/dis.y4m", "--wait")
    assert outside.returncode and "input roots" in outside.stdout + outside.stderr, outside


def a_reload_is_one(host):
    host.write("/etc/vmafx/controller.conf", "VMAFX_LOG_LEVEL=debug\n")
    host.run("systemctl", "reload", "vmafx-controller")
    host.wait(lambda: host.journal("-u", "vmafx-controller"),
              lambda said: re.search(r"settings read again.*value=debug.*controller\.conf, line 1", said))
    assert host.show("vmafx-controller", "ActiveState", "NRestarts") == {"ActiveState": "active", "NRestarts": "0"}


def a_program_that_hangs_is_started_again(host):
    """The watchdog, made quick; and jobs outlive it."""
    host.write("/etc/systemd/system/vmafx-controller.service.d/quick.conf", "[Service]\nWatchdogSec=4s\nRestartSec=100ms\n")
    host.run("systemctl", "daemon-reload")
    host.run("systemctl", "restart", "vmafx-controller")
    first = host.main_pid("vmafx-controller")
    score(host)
    host.run("kill", f"-{int(signal.SIGSTOP)}", str(first))
    host.wait(lambda: host.show("vmafx-controller", "NRestarts", "ActiveState", "MainPID"),
              lambda got: int(got["NRestarts"]) >= 1 and got["ActiveState"] == "active" and got["MainPID"] != str(first))
    host.wait(lambda: host.journal("-u", "vmafx-controller"), lambda said: "Watchdog timeout" in said)
    assert len(host.run("vmafx", "jobs", "--state", "succeeded", "--json").splitlines()) == 2
    score(host)


def what_is_set_wrong_is_said_and_not_tried_again(host):
    host.write("/etc/vmafx/mcp.conf", "VMAFX_MCP_MEMORY=lots\n")
    assert host.ask("systemctl", "restart", "vmafx-mcp").returncode
    got = host.wait(lambda: host.show("vmafx-mcp", "ActiveState", "ExecMainStatus", "NRestarts"),
                    lambda got: got["ActiveState"] == "failed")
    assert got == {"ActiveState": "failed", "ExecMainStatus": "2", "NRestarts": "0"}, got
    assert "mcp.conf, line 1" in host.journal("-u", "vmafx-mcp")


def all_end_well(host):
    host.run("systemctl", "stop", "vmafx-node", "vmafx-server", "vmafx-controller")
    for name in ("node", "server", "controller"):
        got = host.show(f"vmafx-{name}", "ActiveState", "Result", "ExecMainStatus")
        assert got == {"ActiveState": "inactive", "Result": "success", "ExecMainStatus": "0"}, (name, got, host.journal())


main()

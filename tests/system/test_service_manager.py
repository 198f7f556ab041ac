# SPDX-License-Identifier: BSD-2-Clause-Patent
"""Daemons and a service manager that speaks systemd's protocol (this test is one), and what SIGHUP does.

usage: test_service_manager.py VMAFX [CASE…]
"""
import contextlib
import os
import pty
import shutil
import signal
import socket
import subprocess
import time

from faults import children
from fleet import DEADLINE_S, Process, program
from harness import Skip, case, expect, main, need_models, run
from pages import wait

ON = {"OTEL_SDK_DISABLED": "true"}
DAEMONS = {"vmafx-controller": ("--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0", "--store", "jobs.db"),
           "vmafx-node": ("--controller", "127.0.0.1:1", "--state", "node", "--input-roots", "/"),
           "vmafx-server": ("--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0"),
           "vmafx-mcp": ("--http", "127.0.0.1:0")}


class Manager:
    """Starts one daemon with a socket to tell things to: with Manager("vmafx-node") as m: m.hears("READY=1")."""

    def __init__(self, name, *arguments, env=None, socket_name=None, watchdog_us=None):
        need_models()
        self.name = socket_name or os.path.abspath("notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.name.replace("@", "\0", 1))
        self.socket.settimeout(0.1)
        self.heard = []
        all_ = {**os.environ, **ON, "NOTIFY_SOCKET": self.name, **(env or {})}
        if watchdog_us:
            all_["WATCHDOG_USEC"] = str(watchdog_us)
        self.process = Process(name, [program(name), *DAEMONS[name], *arguments], all_, os.path.abspath("log"))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.socket.close()

    def listen(self):
        with contextlib.suppress(TimeoutError):
            self.heard += self.socket.recv(4096).decode().splitlines()

    def hears(self, line):
        """Waits for a line that begins so, and takes it and those before it away."""
        end = time.monotonic() + DEADLINE_S
        while time.monotonic() < end:
            for i, one in enumerate(self.heard):
                if one.startswith(line):
                    self.heard = self.heard[i + 1:]
                    return one
            self.listen()
        raise AssertionError(f"never told {line!r}: {self.heard}\n{self.process.lines()}")


def settings(text):
    with open("settings", "w", encoding="utf-8") as f:
        f.write(text)
    return {"VMAFX_CONFIG": os.path.abspath("settings")}


@case
def every_daemon_tells_that_it_is_ready_alive_and_stopping():
    for name in DAEMONS:
        with Manager(name, socket_name=f"@vmafx-test-{os.getpid()}-{name}", watchdog_us=400000) as manager:
            manager.hears("READY=1")
            for _ in range(3):
                manager.hears("WATCHDOG=1")
            manager.process.process.send_signal(signal.SIGTERM)
            manager.hears("STOPPING=1")
            assert manager.process.process.wait(DEADLINE_S) == 0, manager.process.lines()


@case
def a_loop_that_stands_still_gives_no_sign_of_life():
    with Manager("vmafx-controller", watchdog_us=200000) as manager:
        manager.hears("READY=1")
        manager.hears("WATCHDOG=1")
        manager.process.process.send_signal(signal.SIGSTOP)
        manager.listen()  # what was on its way
        manager.heard.clear()
        for _ in range(10):
            manager.listen()
        assert not manager.heard, manager.heard
        manager.process.process.send_signal(signal.SIGCONT)
        manager.hears("WATCHDOG=1")


@case
def no_watchdog_that_was_not_asked_for_and_no_harm_by_what_is_nonsense():
    with Manager("vmafx-controller", env={"WATCHDOG_USEC": "soon"}) as manager:
        manager.hears("READY=1")
        for _ in range(5):
            manager.listen()
        assert not manager.heard, manager.heard
    for name in ("", "relative", "@", "/" + "x" * 200, "/nobody/listens/here"):
        process = Process("controller", [program("vmafx-controller"), *DAEMONS["vmafx-controller"]],
                          {**os.environ, **ON, "NOTIFY_SOCKET": name}, os.path.abspath("log"))
        process.wait_line("ready")
        assert process.kill(signal.SIGTERM) == 0


def names_in_environment(pid):
    """As a program was started with it."""
    with open(f"/proc/{pid}/environ", encoding="utf-8", errors="replace") as f:
        return {one.split("=")[0] for one in f.read().split("\0")}


@case
def children_do_not_speak_for_their_parent():
    with Manager("vmafx-server", watchdog_us=30000000) as manager:
        manager.hears("READY=1")
        wait(lambda: [names_in_environment(pid) for pid in children(manager.process.process.pid)],
             lambda got: got and not any({"NOTIFY_SOCKET", "WATCHDOG_USEC"} & names for names in got))


@case
def a_reload_takes_the_log_level_from_the_settings_file():
    with Manager("vmafx-controller", env=settings("VMAFX_LOG_LEVEL=error\n")) as manager:
        manager.hears("READY=1")
        assert "level=info" not in manager.process.lines(), "the file counts from the start"

        def reload():
            manager.process.process.send_signal(signal.SIGHUP)
            manager.hears("RELOADING=1")
            assert int(manager.hears("MONOTONIC_USEC=").split("=")[1]) > 0
            manager.hears("READY=1")

        settings("VMAFX_LOG_LEVEL=info\n")
        reload()
        manager.process.wait_line(r'settings read again.*value=info.*source=.*settings, line 1')
        settings("# nothing\nVMAFX_LOG_LEVEL=loud\n")
        reload()
        manager.process.wait_line(r"level=error.*stays as it was.*settings, line 2\): 'loud' is none of trace, debug")
        settings("this is no settings file\n")
        reload()
        manager.process.wait_line(r"level=error.*cannot be read again.*line 1")
        settings("VMAFX_LOG_LEVEL=none\n")
        reload()
        assert manager.process.kill(signal.SIGTERM) == 0
        assert "stopping" not in manager.process.lines()


@case
def the_environment_wins_over_the_file():
    with Manager("vmafx-node", env={**settings("VMAFX_LOG_LEVEL=error\n"), "VMAFX_LOG_LEVEL": "info"}) as manager:
        manager.hears("READY=1")
        manager.process.process.send_signal(signal.SIGHUP)
        manager.process.wait_line(r"settings read again.*value=info.*source=environment")


@case
def a_reload_says_of_a_certificate_that_does_not_fit_its_key():
    for arguments in (("init",), ("server", "controller", "--host", "127.0.0.1"), ("server", "other", "--host", "127.0.0.1")):
        expect(run("certs", *arguments, env={"VMAFX_CERTS": "certs"}), 0)
    tls = ["--tls-cert", "certs/server-controller.crt", "--tls-key", "certs/server-controller.key", "--tls-ca", "certs/ca.crt"]
    with Manager("vmafx-controller", *tls) as manager:
        manager.hears("READY=1")
        manager.process.process.send_signal(signal.SIGHUP)
        manager.process.wait_line("settings read again")
        assert "level=error" not in manager.process.lines()
        shutil.copy("certs/server-other.crt", "certs/server-controller.crt")
        manager.process.process.send_signal(signal.SIGHUP)
        manager.process.wait_line(r"level=error.*cannot be taken up; the one from before stays.*server-controller")


@case
def in_a_terminal_a_reload_is_one_while_the_terminal_is_there():
    """Then the end of the terminal is the end of what ran in it."""
    pid, terminal = pty.fork()
    if not pid:
        os.execve(program("vmafx-controller"),
                  ["vmafx-controller", "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0", "--store", "jobs.db"],
                  {**os.environ, **ON})
    said = b""

    def wait_for(word):
        nonlocal said
        while word not in said:
            said += os.read(terminal, 4096)
        said = said.split(word, 1)[1]

    wait_for(b"msg=ready")
    os.kill(pid, signal.SIGHUP)
    wait_for(b"settings read again")
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


@case
def units_are_what_systemd_understands():
    if not shutil.which("systemd-analyze"):
        raise Skip("the program systemd-analyze is missing; install systemd")
    root = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "deploy", "systemd")
    for name in os.listdir(root):
        if not name.endswith(".service"):
            continue
        with open(os.path.join(root, name), encoding="utf-8") as f:
            text = f.read().replace("/usr/local/bin/", os.path.dirname(program("vmafx-controller")) + "/")
        with open(name, "w", encoding="utf-8") as f:
            f.write(text)
        got = subprocess.run(["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", f"./{name}"], capture_output=True,
                             text=True, check=False)
        assert got.returncode == 0 and name not in got.stderr, got.stdout + got.stderr


if __name__ == "__main__":
    main()

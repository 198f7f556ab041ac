# SPDX-License-Identifier: BSD-2-Clause-Patent
"""Pages of metrics of programs at work, and the ports that they are on."""
import os
import re
import socket
import time
import urllib.request

from fleet import DEADLINE_S, FOLDER
from harness import Skip


def stand_in():
    """The library in the place of NVIDIA's (tests/unit/nvml_stand_in.c)."""
    path = os.path.join(FOLDER, "..", "tests", "libnvml_stand_in.so")
    if not os.path.exists(path):
        raise Skip("nvml_stand_in is not built beside the tests")
    return os.path.abspath(path)


def free_port():
    """For programs that do not tell theirs: one that was free a moment ago."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def value(port, metric, **labels):
    """Of a series of the page on this port that has these labels; None: there is none."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=DEADLINE_S) as answer:
        page = answer.read().decode()
    for line in page.splitlines():
        found = re.fullmatch(r"(\w+)(?:\{(.*)\})? (\S+)( \S+)?", line)
        if found and found[1] == metric and set(labels.items()) <= set(re.findall(r'(\w+)="([^"]*)"', found[2] or "")):
            return float(found[3])
    return None


def wait(ask, ready):
    """Until what is asked for is as it shall be; it."""
    end = time.monotonic() + DEADLINE_S
    while time.monotonic() < end:
        got = ask()
        if ready(got):
            return got
        time.sleep(0.05)
    raise AssertionError(f"never came: {got}")

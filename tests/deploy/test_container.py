# SPDX-License-Identifier: BSD-2-Clause-Patent
"""deploy/container/Containerfile: what cannot be built here is held against the programs that were.

usage: test_container.py VMAFX [CASE…]
"""
import os
import re
import shutil
import subprocess

import signals
from fleet import FOLDER
from harness import Skip, built_with, case, main

PROGRAMS = ("vmafx", "vmafx-controller", "vmafx-node", "vmafx-scorer", "vmafx-server", "vmafx-mcp")


def stages():
    """Of each stage the instructions, as (word, rest)."""
    text = signals.read("deploy/container/Containerfile")
    text = re.sub(r"^#.*\n", "", text, flags=re.M).replace("\\\n", " ")
    found = []
    for line in filter(str.strip, text.splitlines()):
        word, rest = line.split(None, 1)
        if word == "FROM":
            found.append([])
        if found:
            found[-1].append((word, " ".join(rest.split())))
    return found


def packages():
    """That the last stage installs."""
    [line] = [rest for word, rest in stages()[-1] if word == "RUN" and "apt-get install" in rest]
    return set(re.search(r"--no-install-recommends ([^&]*)", line)[1].split())


@case
def the_image_runs_as_nobody_in_particular():
    build, last = stages()
    said = dict(last)
    assert re.fullmatch(r"[1-9][0-9]*:[1-9][0-9]*", said["USER"]), said["USER"]
    assert said["USER"].split(":")[0] in signals.read("deploy/helm/vmafx/templates/_pod.tpl"), "the chart has another user"
    assert said["ENTRYPOINT"] == '["/usr/bin/tini", "--"]' and "tini" in packages()
    assert [rest for word, rest in last if word == "COPY"] == ["--from=build /image/usr/local /usr/local"], "nothing of the build comes along"
    assert build[0][1].endswith("AS build") and any("./run install" in rest for word, rest in build if word == "RUN")
    assert last.index(("USER", said["USER"])) > max(i for i, (word, _) in enumerate(last) if word in ("RUN", "COPY"))


@case
def the_image_has_every_library_that_the_programs_need():
    if not shutil.which("dpkg") or "VERSION_CODENAME=bookworm" not in open("/etc/os-release", encoding="utf-8").read():
        raise Skip("this is not Debian 12, which the image is made of")
    if built_with("asan") or built_with("tsan"):
        raise Skip("programs with sanitizers need libraries that the image has not")
    needed = set()
    for name in PROGRAMS:
        path = os.path.join(FOLDER, name)
        if not os.path.exists(path):
            raise Skip(f"{name} is not built")
        header = subprocess.run(["objdump", "-p", path], capture_output=True, text=True, check=True).stdout
        direct = set(re.findall(r"NEEDED\s+(\S+)", header))
        loaded = dict(re.findall(r"(\S+) => (/\S+)", subprocess.run(["ldd", path], capture_output=True, text=True, check=True).stdout))
        needed |= {os.path.realpath(loaded[one]) for one in direct if one in loaded}
    assert len(needed) > 10, needed
    got = subprocess.run(["dpkg", "-S", *sorted(needed)], capture_output=True, text=True, check=False)
    owners = {line.split(":")[0] for line in got.stdout.splitlines()}
    missing = owners - packages() - {"libc6", "libgcc-s1"}
    assert not missing, f"the image lacks {missing}"


@case
def the_image_has_what_the_chart_and_its_page_call():
    scripts = signals.read("deploy/helm/vmafx/templates/certificates-job.yaml")
    assert "curl " in scripts and "curl" in packages()
    assert "sqlite3" in packages() and "-- sqlite3 /var/lib/vmafx/jobs.db" in signals.read("docs/kubernetes.md"), "backups"
    assert "ca-certificates" in packages(), "inputs by https need the authorities of the world"


main()

# SPDX-License-Identifier: BSD-2-Clause-Patent
"""tools/install into a folder: what a package would contain.

usage: test_install.py VMAFX [CASE…]
"""
import glob
import json
import os
import re
import subprocess

from harness import PROGRAM, Skip, case, expect, main, need, run

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
BUILD = os.path.join(os.path.dirname(PROGRAM), "..")


def prefix():
    """Of the build: meson installs where it was set up for."""
    need("meson", "meson")
    got = subprocess.run(["meson", "introspect", BUILD, "--buildoptions"], capture_output=True, text=True, check=False)
    if got.returncode:
        raise Skip("there is no build folder around the program")
    return next(option["value"] for option in json.loads(got.stdout) if option["name"] == "prefix")


def install(*options, models="nothing"):
    """The finished process, and the folder that stands for PREFIX."""
    at = prefix()
    for part in ("vmafx-controller", "vmafx-node", "vmafx-scorer"):
        if not os.path.exists(os.path.join(os.path.dirname(PROGRAM), part)):
            raise Skip(f"{part} is not built")
    got = subprocess.run([os.path.join(ROOT, "tools", "install"), *options, BUILD, at, models, os.path.abspath("root")],
                         capture_output=True, text=True, check=False)
    if got.returncode and "not found" in got.stdout + got.stderr:
        raise Skip("the build is not complete")
    assert got.returncode == 0, got.stdout + got.stderr
    return os.path.abspath("root") + at, at


def commands():
    text = expect(run("man"), 0).stdout
    return re.findall(r"vmafx\\-([a-z]+)\\fR\(1\)", text)


@case
def every_command_has_a_page_and_every_program_is_there():
    place, _ = install("--no-systemd")
    names = commands()
    assert {"score", "submit", "jobs", "trace", "certs", "dev"} <= set(names), names
    pages = {os.path.basename(path) for path in glob.glob(f"{place}/share/man/man1/*.1")}
    assert {"vmafx.1"} | {f"vmafx-{name}.1" for name in names} <= pages, (names, pages)
    for path in glob.glob(f"{place}/share/man/man1/*.1"):
        with open(path, encoding="utf-8") as f:
            assert f.read(3) in (".TH", '.\\"'), path
    for name in ("vmafx", "vmafx-controller", "vmafx-node"):
        assert os.access(f"{place}/bin/{name}", os.X_OK), name
    assert not os.path.exists(f"{place}/lib/systemd"), "units were not wanted"
    for path in ("bash-completion/completions/vmafx", "zsh/site-functions/_vmafx", "fish/vendor_completions.d/vmafx.fish"):
        assert os.path.getsize(f"{place}/share/{path}") > 100, path


@case
def units_name_programs_that_were_installed():
    place, at = install("--systemd")
    units = glob.glob(f"{place}/lib/systemd/system/*.service")
    assert {"vmafx-controller.service", "vmafx-node.service"} <= {os.path.basename(u) for u in units}, units
    for unit in units:
        with open(unit, encoding="utf-8") as f:
            program = re.search(r"^ExecStart=(\S+)", f.read(), re.MULTILINE).group(1)
        assert program.startswith(at.rstrip("/") + "/bin/"), (unit, program)
        if os.path.exists(os.path.join(os.path.dirname(PROGRAM), os.path.basename(program))):
            assert os.access(os.path.abspath("root") + program, os.X_OK), (unit, program)
    with open(f"{place}/lib/sysusers.d/vmafx.conf", encoding="utf-8") as f:
        assert re.search(r"^u vmafx ", f.read(), re.MULTILINE)


@case
def where_systemd_looks_units_come_without_being_asked_for():
    place, at = install()
    assert os.path.isdir(f"{place}/lib/systemd/system") == (at.rstrip("/") in ("/usr", "/usr/local"))


@case
def a_wrong_call_says_how_it_is_called():
    for arguments in ([], ["a", "b"], ["--nonsense", "a", "b", "c"]):
        got = subprocess.run([os.path.join(ROOT, "tools", "install"), *arguments], capture_output=True, text=True,
                             check=False)
        expect(got, 2, "BUILD PREFIX MODELS")


if __name__ == "__main__":
    main()

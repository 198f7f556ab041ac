# SPDX-License-Identifier: BSD-2-Clause-Patent
"""Helm on our chart, as nobody and without a network where that can be had; and objects by what they are."""
import atexit
import functools
import json
import os
import pathlib
import shutil
import subprocess
import tempfile

import signals
from harness import Skip

CHART = signals.ROOT / "deploy/helm/vmafx"
KUBERNETES = "1.30.0"
WORKLOADS = ("Deployment", "StatefulSet", "Job")


@functools.lru_cache(maxsize=None)
def place():
    """(helm, chart, command to begin with): copies that anybody may read, links in the chart followed."""
    helm = pathlib.Path(os.environ.get("VMAFX_HELM") or signals.ROOT / ".cache/helm")
    if not helm.is_file():
        raise Skip("the program helm is missing; './run test' fetches it, or set VMAFX_HELM")
    folder = pathlib.Path(tempfile.mkdtemp(prefix="vmafx-chart-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    folder.chmod(0o755)
    shutil.copy(helm, folder / "helm")
    (folder / "helm").chmod(0o755)
    shutil.copytree(CHART, folder / "vmafx")
    for path in (folder / "vmafx").rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    alone = []
    for words in (["unshare", "--net"], ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs"]):
        if shutil.which(words[0]) and subprocess.run([*alone, *words, "true"], capture_output=True, check=False).returncode == 0:
            alone += words
    return folder / "helm", folder / "vmafx", alone


def helm(*arguments, chart=None, values=None):
    """The finished process of a command on the chart."""
    program, ours, alone = place()
    command = [*alone, str(program), arguments[0], *(["vmafx"] if arguments[0] == "template" else []), str(chart or ours),
               *map(str, arguments[1:])]
    if values is not None:
        command += ["--values", "-"]
        values = json.dumps(values)  # which is YAML
    return subprocess.run(command, input=values, capture_output=True, text=True, check=False, timeout=120, cwd="/",
                          env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", "HELM_CACHE_HOME": "/nonexistent",
                               "HELM_CONFIG_HOME": "/nonexistent", "HELM_DATA_HOME": "/nonexistent"})


def template(values=None, *options, kubernetes=KUBERNETES):
    return helm("template", "--namespace", "video", "--kube-version", kubernetes, *options, values=values or {})


class Objects(list):
    """What a template has rendered."""

    def all(self, *kinds):
        return [one for one in self if one["kind"] in kinds]

    def get(self, kind, name):
        found = [one for one in self if one["kind"] == kind and one["metadata"]["name"] == name]
        assert len(found) == 1, f"{len(found)} {kind} {name}: {sorted((one['kind'], one['metadata']['name']) for one in self)}"
        return found[0]

    def names(self, *kinds):
        return sorted(one["metadata"]["name"] for one in self.all(*kinds))

    def pod(self, component):
        """The spec of the pods of controller, node, server or mcp."""
        kind = "StatefulSet" if component == "controller" else "Deployment"
        return self.get(kind, f"vmafx-{component}")["spec"]["template"]["spec"]


def render(values=None, *options, kubernetes=KUBERNETES):
    got = template(values, *options, kubernetes=kubernetes)
    assert got.returncode == 0, got.stdout[-2000:] + got.stderr
    return Objects(signals.yaml_of(got.stdout))


def refused(words, values, *options):
    """The template fails, and says these words."""
    got = template(values, *options)
    assert got.returncode != 0, f"taken: {values}"
    assert words in got.stderr, f"no {words!r} in: {got.stderr}"


def containers(spec):
    return spec.get("initContainers", []) + spec["containers"]


def main_container(spec):
    return next(one for one in spec["containers"] if one["name"] != "otel-collector")


def variables(container):
    """name -> value, or what it comes from"""
    return {one["name"]: one.get("value", one.get("valueFrom")) for one in container.get("env", [])}


def values_of(selector, labels):
    return all(labels.get(key) == value for key, value in selector.items())

# SPDX-License-Identifier: BSD-2-Clause-Patent
"""What the chart renders, over the matrix of values, is what Kubernetes and its operators take. tools/interop runs it.

usage: kubernetes_types.py VMAFX CHECKER, the program of kubernetes/main.go
"""
import subprocess
import sys

from chart import template
from chart_values import MATRIX
from harness import case, main

CHECKER = sys.argv[2]


def check(text):
    return subprocess.run([CHECKER], input=text, capture_output=True, text=True, check=False)


@case
def every_object_has_its_type():
    for name, values in MATRIX.items():
        rendered = template(values)
        assert rendered.returncode == 0, rendered.stderr
        got = check(rendered.stdout)
        assert got.returncode == 0 and rendered.stdout.count("\nkind: ") == int(got.stdout.split()[-4]), (name, got.stdout)


@case
def what_has_not_is_found():
    rendered = template({}).stdout
    for right, wrong in (("replicas:", "replicsa:"), ("kind: StatefulSet", "kind: StatefullSet"), ("runAsNonRoot: true", "runAsNonRoot: maybe")):
        assert right in rendered
        got = check(rendered.replace(right, wrong))
        assert got.returncode == 1 and not got.stdout.endswith(" 0 wrong\n"), (wrong, got.stdout)


if __name__ == "__main__":
    main()

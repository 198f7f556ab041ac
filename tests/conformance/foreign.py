# SPDX-License-Identifier: BSD-2-Clause-Patent
"""What the conformance tests share: the foreign parts and where they are, certificates, the receiver of receiver.mjs."""
import json
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, "tests", "system"))

from harness import Skip, need, run  # noqa: E402  (the path comes first)

import expected  # noqa: E402

PROTO = os.environ.get("VMAFX_OTEL_PROTO", os.path.join(ROOT, ".cache", "otel-proto"))
MODULES = os.environ.get("VMAFX_CONFORMANCE_MODULES", os.path.join(ROOT, ".cache", "conformance"))


def need_proto():
    if not os.path.isdir(os.path.join(PROTO, "opentelemetry", "proto")):
        raise Skip("the official .proto files are missing; tools/fetch-otel-proto fetches them")


def need_receiver():
    need_proto()
    need("node", "nodejs")
    if not os.path.isdir(os.path.join(MODULES, "node_modules", "@grpc", "grpc-js")):
        raise Skip("the receiver's npm packages are missing; './run test' fetches them")


def openssl(*arguments):
    need("openssl", "openssl")
    subprocess.run(["openssl", *arguments], check=True, stdin=subprocess.DEVNULL, capture_output=True)


def certificates():
    """ca.pem, and server.pem, client.pem with their .key, made here."""
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")
    openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=conformance CA", "-addext",
            "basicConstraints=critical,CA:TRUE")
    with open("names.cnf", "w", encoding="ascii") as f:
        f.write("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    for name in ("server", "client"):
        openssl("req", "-new", *key[:5], "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
                "-extfile", "names.cnf", "-out", f"{name}.pem")


class GrpcReceiver:
    """receiver.mjs as a process: with GrpcReceiver(…) as receiver. Its lines are read from its file when asked."""

    started = 0

    def __init__(self, script="", tls=(), scheme="http"):
        need_receiver()
        GrpcReceiver.started += 1
        self.out = os.path.abspath(f"received{GrpcReceiver.started}.jsonl")
        self.process = subprocess.Popen(
            ["node", os.path.join(HERE, "receiver.mjs"), "--proto", PROTO, "--modules", MODULES, "--out", self.out,
             "--script", script, *tls], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        assert line.startswith("port "), "the receiver did not start"
        self.endpoint = f"{scheme}://127.0.0.1:{int(line.split()[1])}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(30)
        self.process.stdout.close()

    def environment(self, **more):
        return {**expected.ENVIRONMENT, "OTEL_EXPORTER_OTLP_ENDPOINT": self.endpoint,
                "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", **more}

    def lines(self):
        if not os.path.exists(self.out):
            return []
        with open(self.out, encoding="utf-8") as f:
            return [json.loads(line) for line in f]


def emit(environment, *arguments):
    """emit.c's program; whatever OTEL_… is in our own environment does not reach it."""
    return run(*arguments, env={**{name: "" for name in os.environ if name.startswith("OTEL_")}, **environment})

# SPDX-License-Identifier: BSD-2-Clause-Patent
"""Our gRPC server with grpc-js, made from the .proto files: calls, streams, ends, health, reflection, mutual TLS."""
from foreign import HERE, MODULES, ROOT, certificates  # first: it knows where the harness is

import json
import os
import subprocess

from harness import PROGRAM, Skip, case, main, need

UNKNOWN, INVALID_ARGUMENT, DEADLINE_EXCEEDED, NOT_FOUND, RESOURCE_EXHAUSTED = 2, 3, 4, 5, 8
UNIMPLEMENTED, UNAVAILABLE, CANCELLED, OK = 12, 14, 1, 0


def need_client():
    need("node", "nodejs")
    if not os.path.isdir(os.path.join(MODULES, "node_modules", "@grpc", "grpc-js")):
        raise Skip("the client's npm packages are missing; './run test' fetches them")


class Server:
    """rpc_main as a process: with Server(…) as server."""

    def __init__(self, *files):
        need_client()
        self.process = subprocess.Popen([PROGRAM, *files], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        assert line.startswith("port "), self.process.stderr.read()
        self.port = int(line.split()[1])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        _, errors = self.process.communicate(timeout=30)
        assert self.process.returncode == 0 and errors == "", f"exit {self.process.returncode}: {errors}"

    def do(self, step, *options, host="127.0.0.1"):
        done = subprocess.run(
            ["node", os.path.join(HERE, "rpc_client.mjs"), "--proto", os.path.join(ROOT, "proto"), "--modules", MODULES,
             "--target", f"{host}:{self.port}", "--do", step, *options], stdin=subprocess.DEVNULL, capture_output=True,
            text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)


@case
def a_message_arrives_with_all_its_fields_and_the_trace():
    with Server() as server:
        got = server.do("submit")
        assert got["code"] == OK, got
        job = got["response"]["job"]
        assert job["state"] == "JOB_STATE_QUEUED" and job["created_unix_us"] == "1700000000123456", job
        assert job["message"] == "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", job
        spec = job["spec"]
        assert spec["reference"]["uri"] == "/clips/größe.y4m" and spec["priority"] == -5, spec
        assert spec["encode"]["crf"] == 0 and spec["encode"]["rate"] == "crf", spec
        assert spec["timeout_ms"] == "9007199254740993" and spec["labels"] == [{"key": "k", "value": "v"}], spec


@case
def failures_have_their_status_and_a_sentence():
    with Server() as server:
        for step, code, sentence in (
                ("get:missing", NOT_FOUND, "there is no job 'missing': größer"),
                ("deadline", DEADLINE_EXCEEDED, ""),
                ("unknown", UNIMPLEMENTED, "no such method"),
                ("malformed", INVALID_ARGUMENT, "GetJobRequest"),
                ("large", RESOURCE_EXHAUSTED, ""),
                ("bomb:gzip", RESOURCE_EXHAUSTED, "unpacks to more than 4194304 bytes"),
                ("bomb:deflate", RESOURCE_EXHAUSTED, "unpacks to more than 4194304 bytes")):
            got = server.do(step)
            assert got["code"] == code and sentence in got["details"], f"{step}: {got}"
        for packing in ("gzip", "deflate"):
            assert server.do(f"packed:{packing}")["response"]["job"]["id"] == "compressed", packing
        assert server.do("get:still there")["response"]["job"]["id"] == "still there"


@case
def a_server_stream_arrives_whole_and_in_order():
    with Server() as server:
        got = server.do("watch:1000")
        assert got["code"] == OK, got["details"]
        assert [message["job"]["attempts"] for message in got["messages"]] == list(range(1000))
        assert server.do("watch:0") == {"code": OK, "details": "", "messages": []}
        assert server.do("cancel")["code"] == CANCELLED


@case
def a_stream_in_both_directions_talks_until_the_client_ends_it():
    with Server() as server:
        for step in ("connect", "connect:gzip", "connect:deflate"):
            got = server.do(step)
            assert got["code"] == OK, got
            assert got["messages"][0]["welcome"]["controller"] == "node-1", got["messages"][0]
            assert [m["heartbeat_ack"]["sequence"] for m in got["messages"][1:]] == [str(n) for n in range(1, 101)]


@case
def health_is_answered_and_watched():
    with Server() as server:
        got = server.do("health")
        assert got["all"]["response"]["status"] == "SERVING" and got["jobs"]["response"]["status"] == "SERVING", got
        assert got["other"]["code"] == NOT_FOUND and got["watched"]["status"] == "SERVING", got


@case
def a_client_can_be_made_from_reflection_alone():
    with Server() as server:
        for version in ("v1alpha", "v1"):
            got = server.do(f"reflection:{version}")
            assert got["services"] == ["vmafx.v1.Fleet", "vmafx.v1.Jobs"], got
            assert got["missing"]["error_code"] == NOT_FOUND, got
            assert got["call"]["response"]["job"]["id"] == "reflected", got


@case
def mutual_tls_lets_in_who_has_a_certificate():
    certificates()
    with Server("server.pem", "server.key", "ca.pem") as server:
        got = server.do("get:x", "--cert", "client.pem", "--key", "client.key", "--ca", "ca.pem", host="localhost")
        assert got["response"]["job"]["submitter"] == "localhost", got  # its certificate's first name
        assert server.do("get:x", "--ca", "ca.pem", host="localhost")["code"] == UNAVAILABLE
        assert server.do("get:x")["code"] == UNAVAILABLE


main()

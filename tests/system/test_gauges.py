# SPDX-License-Identifier: BSD-2-Clause-Patent
"""Gauges that alerts stand on: waiting jobs that nobody can do, and when certificates end.

usage: test_gauges.py VMAFX [CASE…]
"""
import os
import shutil
import time

from fleet import Fleet, Process, program
from harness import absolute_pair, case, expect, long_pair, main, run
from otlp import Receiver, metrics_of, points_of
from pages import free_port, value, wait

DAY_S = 86400
ON = {"OTEL_SDK_DISABLED": "false", "OTEL_TRACES_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none",
      "OTEL_METRICS_EXPORTER": "none"}


@case
def waiting_jobs_that_nobody_can_do_are_counted_by_what_is_in_their_way():
    small, long, port = absolute_pair(), long_pair(20000), free_port()

    def unplaceable():
        found = {name: value(port, "vmafx_jobs_unplaceable", vmafx_job_obstacle=name)
                 for name in ("no_node", "encoder", "model", "memory", "draining")}
        assert None not in found.values(), found  # each is there from the start, so that alerts have an end
        return {name: int(n) for name, n in found.items() if n}

    with Fleet(nodes=0, slots=1, env={**ON, "VMAFX_NODE_MEMORY": "128MiB"},
               controller=["--http", f"127.0.0.1:{port}"]) as fleet:
        assert unplaceable() == {}
        waits = fleet.submit(*small)
        wait(unplaceable, lambda got: got == {"no_node": 1})
        fleet.start_node("node-1")
        wait(unplaceable, lambda got: got == {"memory": 1})
        expect(fleet.cli("cancel", waits), 0)
        wait(unplaceable, lambda got: got == {})

        fleet.env["VMAFX_NODE_MEMORY"] = "64GiB"
        fleet.start_node("node-2")
        fleet.wait_state(fleet.submit(*long), "running")
        fleet.submit(*small)  # waits for a slot, and that one comes
        fleet.submit(*small, "--model", "vmaf_v99")
        wait(unplaceable, lambda got: got == {"model": 1})
        fleet.ok("drain", "node-2")
        wait(unplaceable, lambda got: got == {"model": 1, "draining": 1})


def days_left(port, use):
    ends = value(port, "vmafx_tls_certificate_not_after_seconds", vmafx_tls_certificate_use=use)
    return None if ends is None else round((ends - time.time()) / DAY_S)


@case
def certificates_tell_their_end_and_renewed_ones_are_followed():
    for arguments in (("init", "--days", "3000"), ("server", "controller", "--host", "127.0.0.1", "--days", "30"),
                      ("node", "node-1", "--days", "20"), ("node", "other", "--days", "9")):
        expect(run("certs", *arguments, env={"VMAFX_CERTS": "certs"}), 0)

    def tls(name):
        return ["--tls-cert", os.path.abspath(f"certs/{name}.crt"), "--tls-key", os.path.abspath(f"certs/{name}.key"),
                "--tls-ca", os.path.abspath("certs/ca.crt")]

    ports = free_port(), free_port()
    with Fleet(nodes=0, env=ON, controller=["--http", f"127.0.0.1:{ports[0]}", *tls("server-controller")]) as fleet:
        node = Process("node-1", [program("vmafx-node"), "--name", "node-1", "--controller", f"127.0.0.1:{fleet.port}",
                                  "--state", os.path.abspath("node-1"), "--http", f"127.0.0.1:{ports[1]}",
                                  *tls("node-node-1")], fleet.env, os.path.abspath("node-1.log"))
        fleet.processes.append(node)
        node.wait_line("connected")
        assert [days_left(ports[0], use) for use in ("grpc", "grpc_ca", "http")] == [30, 3000, None]
        assert [days_left(ports[1], use) for use in ("grpc", "grpc_ca", "http")] == [20, 3000, None]

        shutil.copy("certs/node-other.crt", "certs/node-node-1.crt")  # fits another key: nobody takes it up
        assert days_left(ports[1], "grpc") == 20
        expect(run("certs", "node", "node-1", "--days", "40", "--force", env={"VMAFX_CERTS": "certs"}), 0)
        wait(lambda: days_left(ports[1], "grpc"), lambda got: got == 40)
        os.remove("certs/node-node-1.crt")
        assert days_left(ports[1], "grpc") == 40  # what is in use still ends then


@case
def without_tls_there_is_no_certificate_to_tell_of():
    port = free_port()
    with Fleet(nodes=0, env=ON, controller=["--http", f"127.0.0.1:{port}"]):
        assert value(port, "process_uptime_seconds") is not None
        assert days_left(port, "grpc") is None


@case
def the_certificate_of_the_http_port_tells_its_end_too():
    """By what the controller sends: its page wants a token."""
    expect(run("certs", "init", env={"VMAFX_CERTS": "certs"}), 0)
    expect(run("certs", "server", "controller", "--host", "127.0.0.1", "--days", "50", env={"VMAFX_CERTS": "certs"}), 0)
    receiver = Receiver()
    env = {**ON, **receiver.environment(OTEL_METRICS_EXPORTER="otlp", OTEL_METRIC_EXPORT_INTERVAL="200")}

    def told():
        for _, body in list(receiver.bodies.get("/v1/metrics", [])):
            metric = metrics_of(body)[1].get("vmafx.tls.certificate.not_after")
            if metric:
                return [(point, round((ends - time.time()) / DAY_S)) for point, ends in points_of(metric)]
        return None

    with Fleet(nodes=0, env=env, controller=["--http-tls-cert", os.path.abspath("certs/server-controller.crt"),
                                             "--http-tls-key", os.path.abspath("certs/server-controller.key")]):
        assert wait(told, lambda got: got) == [({"vmafx.tls.certificate.use": b"http"}, 50)]


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: BSD-2-Clause-Patent
"""How busy machines and devices are: from a node with made-up devices, by heartbeats, to lists, pages and OTLP.

usage: test_load.py VMAFX [CASE…]
"""
import json
import os
import re
import urllib.request

from fleet import DEADLINE_S, Fleet, Process, program
from harness import case, main
from otlp import Receiver, metrics_of, points_of
from pages import free_port, stand_in, value, wait

GIB = 1 << 30
GPU = "GPU-00000000-0000-0000-0000-00000000000"
AMD = "d4b1a52e5e2fb9e0"


def say(text):
    """What the library says from now on."""
    with open("nvml.new", "w", encoding="utf-8") as f:
        f.write(text)
    os.rename("nvml.new", "nvml")


def put(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)


def amd_card():
    for name, text in {"vendor": "0x1002", "device": "0x744c", "uevent": "DRIVER=amdgpu\nPCI_SLOT_NAME=0000:03:00.0",
                       "unique_id": AMD, "product_name": "Radeon Pro W7900", "gpu_busy_percent": "37",
                       "mem_info_vram_used": str(GIB), "mem_info_vram_total": str(48 * GIB)}.items():
        put(f"sys/class/drm/card1/device/{name}", text + "\n")


class Machine(Fleet):
    """A fleet whose nodes find their devices in the current folder, and whose pages can be read."""

    def __init__(self, env=None, nvml=None):
        self.http = {"controller": free_port()}
        self.nvml = stand_in() if nvml is None else nvml
        super().__init__(nodes=0, controller=["--http", f"127.0.0.1:{self.http['controller']}"],
                         env={"OTEL_SDK_DISABLED": "false", "OTEL_TRACES_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none",
                              "OTEL_METRICS_EXPORTER": "none", "NVML_STAND_IN": os.path.abspath("nvml"), **(env or {})})

    def start(self, name="node-1"):
        self.http[name] = free_port()
        node = Process(name, [program("vmafx-node"), "--name", name, "--controller", f"127.0.0.1:{self.port}", "--slots", "2",
                              "--state", os.path.abspath(name), "--input-roots", "/", "--http", f"127.0.0.1:{self.http[name]}",
                              "--nvml", self.nvml, "--sysfs", os.path.abspath("sys"), "--load-period", "100ms"],
                       self.env, os.path.abspath(name + ".log"))
        self.processes.append(node)
        self.nodes[name] = node
        node.wait_line("connected")
        return node

    def load(self, name="node-1"):
        nodes = json.loads(self.ok("nodes", "--json"))["nodes"]
        return next(node["load"] for node in nodes if node["name"] == name)

    def wait_load(self, ready):
        return wait(self.load, ready)

    def value(self, name, metric, **labels):
        return value(self.http[name], metric, **labels)


@case
def devices_go_from_the_node_to_lists_and_pages():
    say("devices 2\n")
    amd_card()
    with Machine() as fleet:
        fleet.start()
        load = fleet.wait_load(lambda got: len(got["gpus"]) == 3 and got.get("scorers", {}).get("processes"))
        first, second, amd = load["gpus"]
        assert first == {"id": GPU + "0", "utilization": 0.1, "memory_used_bytes": GIB, "memory_total_bytes": 80 * GIB,
                         "vendor": "NVIDIA", "model": "NVIDIA Stand-in 0", "index": 0, "pci": "0000:10:00.0",
                         "encoder_utilization": 0.05, "decoder_utilization": 0, "frequency_mhz": 0,
                         "frequency_max_mhz": 0}, first
        assert (second["id"], second["utilization"], second["index"]) == (GPU + "1", 0.2, 1), second
        assert (amd["id"], amd["model"], amd["utilization"], amd["encoder_utilization"]) == \
            (AMD, "Radeon Pro W7900", 0.37, -1), amd
        assert load["memory_total_bytes"] >= load["memory_used_bytes"] > 0, load
        assert load["node"]["processes"] == 1 and load["node"]["memory_bytes"] > 0, load
        assert load["scorers"]["memory_bytes"] > 0, load

        table = fleet.ok("nodes")
        assert re.search(r"SLOTS +CPU +MEM +GPU +KERNELS", table), table
        assert re.search(r"node-1 .* 3x 22 %", table), table  # (10 + 20 + 37) / 3

        with urllib.request.urlopen(f"http://127.0.0.1:{fleet.http['controller']}/v1/nodes", timeout=DEADLINE_S) as answer:
            listed = json.load(answer)
        assert [gpu["id"] for gpu in listed["nodes"][0]["load"]["gpus"]] == [GPU + "0", GPU + "1", AMD], listed

        at = {"vmafx_node_name": "node-1", "hw_id": GPU + "1"}
        assert fleet.value("controller", "vmafx_node_gpu_utilization_ratio", **at) == 0.2
        assert fleet.value("controller", "vmafx_node_gpu_memory_usage_bytes", **at) == 2 * GIB
        assert fleet.value("controller", "vmafx_node_gpu_memory_limit_bytes", **at) == 80 * GIB
        assert fleet.value("controller", "vmafx_node_memory_limit_bytes", vmafx_node_name="node-1") > 0

        at = {"hw_id": GPU + "1", "hw_name": "nvidia1", "hw_model": "NVIDIA Stand-in 1", "hw_vendor": "NVIDIA"}
        assert fleet.value("node-1", "hw_gpu_utilization_ratio", hw_gpu_task="general", **at) == 0.2
        assert fleet.value("node-1", "hw_gpu_utilization_ratio", hw_gpu_task="encoder", **at) == 0.05
        assert fleet.value("node-1", "hw_gpu_memory_usage_bytes", **at) == 2 * GIB
        assert fleet.value("node-1", "hw_gpu_memory_limit_bytes", **at) == 80 * GIB
        assert fleet.value("node-1", "hw_gpu_memory_utilization_ratio", **at) == 0.025
        assert fleet.value("node-1", "hw_gpu_utilization_ratio", hw_id=AMD, hw_gpu_task="encoder") is None
        assert fleet.value("node-1", "system_cpu_logical_count") >= 1
        assert fleet.value("node-1", "vmafx_scorers_processes") >= 1
        states = [fleet.value("node-1", "system_memory_usage_bytes", system_memory_state=state)
                  for state in ("used", "free", "buffers", "cached")]
        assert all(state is not None for state in states) and sum(states) > 0, states
        modes = wait(lambda: [fleet.value("node-1", "system_cpu_utilization_ratio", cpu_mode=mode)
                              for mode in ("user", "nice", "system", "idle", "iowait", "interrupt", "steal")],
                     lambda got: None not in got)
        assert all(0 <= mode <= 1 for mode in modes), modes


@case
def otlp_has_the_same_values():
    say("devices 1\n")
    receiver = Receiver()
    env = receiver.environment(OTEL_METRICS_EXPORTER="otlp", OTEL_METRIC_EXPORT_INTERVAL="200")
    with Machine(env) as fleet:
        fleet.start()

        def points(service, name):
            """[(attributes, value)] of the last export of a program that has the metric."""
            for _, body in reversed(list(receiver.bodies.get("/v1/metrics", []))):
                resource, metrics = metrics_of(body)
                if resource["service.name"] == service and name in metrics:
                    return points_of(metrics[name])
            return []

        node = wait(lambda: points(b"vmafx-node", "hw.gpu.utilization"), lambda got: len(got) == 3)
        assert {point["hw.gpu.task"]: value for point, value in node} == {b"general": 0.1, b"encoder": 0.05, b"decoder": 0}
        assert all(point["hw.id"].decode() == GPU + "0" and point["hw.vendor"] == b"NVIDIA" for point, _ in node), node
        (point, value), = points(b"vmafx-node", "hw.gpu.memory.usage")
        assert value == GIB and set(point) == {"hw.id", "hw.name", "hw.model", "hw.vendor"}, (point, value)
        seen = wait(lambda: points(b"vmafx-controller", "vmafx.node.gpu.utilization"), lambda got: len(got) == 1)
        assert seen == [({"vmafx.node.name": b"node-1", "hw.id": (GPU + "0").encode()}, 0.1)], seen


@case
def a_library_that_hangs_delays_no_heartbeat_and_is_told_once():
    say("devices 1\n")
    with Machine() as fleet:
        node = fleet.start()
        fleet.wait_load(lambda got: len(got["gpus"]) == 1)
        say("devices 1\nhang nvmlDeviceGetMemoryInfo\n")
        load = fleet.wait_load(lambda got: not got["gpus"])  # dropped, as they are too old
        assert load["cpus"] > 0, load
        assert fleet.value("node-1", "hw_gpu_utilization_ratio") is None
        node.wait_line(r"the load of these cannot be read.*NVIDIA")
        job_free = json.loads(fleet.ok("nodes", "--json"))["nodes"][0]
        assert job_free["state"] == "NODE_STATE_READY", job_free
        assert node.lines().count("cannot be read: whoever answers hangs") == 1, node.lines()
        say("devices 2\n")
        fleet.wait_load(lambda got: len(got["gpus"]) == 2)
        node.wait_line(r"the load of these can be read again")
        say("hang nvmlDeviceGetCount_v2\n")
        fleet.wait_load(lambda got: not got["gpus"])
        assert node.kill(15) == 0  # its end does not wait either


@case
def a_machine_without_devices_lacks_nothing():
    with Machine(nvml=os.path.abspath("nowhere.so")) as fleet:
        node = fleet.start()
        load = fleet.wait_load(lambda got: got.get("cpus"))
        assert load["memory_total_bytes"] > 0, load
        assert load["gpus"] == [], load
        assert re.search(r"node-1 .* - +(c|avx2|avx512|neon|sse41) ", fleet.ok("nodes"))
        assert "level=warn" not in node.lines() and "level=error" not in node.lines(), node.lines()
        assert fleet.value("node-1", "hw_gpu_utilization_ratio") is None
        assert fleet.value("controller", "vmafx_node_gpu_utilization_ratio") is None


@case
def what_lies_is_held_to_its_ranges():
    say("lie count\nlie utilization\nlie memory\nlie name\n")
    put("sys/class/drm/card0/device/vendor", "0x1002\n")
    put("sys/class/drm/card0/device/gpu_busy_percent", "many\n")
    with Machine() as fleet:
        fleet.start()
        load = fleet.wait_load(lambda got: got["gpus"])
        assert len(load["gpus"]) == 16, load
        assert all(gpu["utilization"] == -1 and gpu["memory_used_bytes"] == 80 * GIB for gpu in load["gpus"]), load
        assert re.search(r"node-1 .* 16x \? ", fleet.ok("nodes")), fleet.ok("nodes")
        assert fleet.value("controller", "vmafx_node_gpu_utilization_ratio") is None
        assert fleet.value("controller", "vmafx_node_gpu_memory_usage_bytes", hw_id=GPU + "3") == 80 * GIB


if __name__ == "__main__":
    main()

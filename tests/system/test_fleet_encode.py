# SPDX-License-Identifier: BSD-2-Clause-Patent
"""Jobs that encode: which node does it, the scores of this machine, what is kept, one trace, and what goes wrong."""
import glob
import json
import os
import signal
import struct
import subprocess
import time
import urllib.request

from fleet import Fleet
from harness import Skip, case, expect, ffmpeg, is_task, load, main, run
from otlp import Receiver, metrics_of
from trees import check_tree, spans_by_trace


def reference(n=20, size="256x128"):
    ffmpeg("-f", "lavfi", "-i", f"testsrc2=s={size}:r=25:d={n / 25}", "-pix_fmt", "yuv420p", "ref.y4m")
    return os.path.abspath("ref.y4m")


def wait_encoders(fleet):
    """Until every node has said which of its encoders work; those of the first."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        nodes = json.loads(fleet.ok("nodes", "--json")).get("nodes", [])
        if len(nodes) == len(fleet.nodes) and all(node.get("encoders") for node in nodes):
            return nodes[0]["encoders"]
        time.sleep(0.05)
    raise AssertionError(f"no encoders: {nodes}")


def submit(fleet, path, *recipe):
    return fleet.ok("submit", "--reference", path, *recipe).strip()


def tasks_of(node):
    """Children of its scorers that score."""
    found = []
    for scorer in children(node.process.pid):
        found += [pid for pid in children(scorer) if is_task(pid)]
    return found


def children(pid):
    found = []
    for path in glob.glob(f"/proc/{pid}/task/*/children"):
        try:
            with open(path, encoding="utf-8") as f:
                found += [int(word) for word in f.read().split()]
        except OSError:
            pass
    return found


def wait_task(fleet):
    end = time.monotonic() + 60
    while time.monotonic() < end:
        for node in fleet.nodes.values():
            found = tasks_of(node)
            if found:
                return found[0]
        time.sleep(0.005)
    raise AssertionError("nothing is scored")


@case
def a_job_with_a_recipe_gets_the_score_that_this_machine_computes():
    path = reference()
    recipe = ("--codec", "h264", "--preset", "fast", "--crf", "30", "--option", "bf=1", "--gop", "10")
    with Fleet() as fleet:
        encoders = wait_encoders(fleet)
        assert "libx264" in encoders, encoders
        expect(fleet.cli("submit", "--reference", path, *recipe, "--wait"), 0, "succeeded", "VMAF")
        local = json.loads(expect(run("encode-score", "-r", path, *recipe, "--threads", "1", "--json"), 0).stdout)
        job = fleet.jobs()[0]
        fleet.ok("result", job["id"], "--output", "fleet.json")
        remote = load("fleet.json")
        assert remote["frames"] == local["frames"] and remote["pooled"] == local["pooled"]
        for name in ("encoder", "codec", "version", "preset", "pixel_format", "width", "height", "frames", "size_bytes",
                     "bit_rate", "options", "kept"):
            assert remote["encode"][name] == local["encode"][name], (name, remote["encode"], local["encode"])
        assert remote["encode"]["seconds"] > 0 and remote["encode"]["frames_per_second"] > 0
        expect(fleet.cli("result", job["id"]), 0, "libx264", "crf=30", "kbit/s")
        expect(fleet.cli("job", job["id"]), 0, "h264 fast crf 30")
        expect(fleet.cli("jobs"), 0, "h264 fast crf 30")
        named = json.loads(fleet.ok("job", job["id"], "--json"))["job"]["spec"]["encode"]
        wanted = {"codec": "h264", "preset": "fast", "crf": 30, "gop": 10, "options": [{"key": "bf", "value": "1"}]}
        assert {key: named.get(key) for key in wanted} == wanted and not named["encoder"], named


@case
def a_job_that_comes_before_the_node_knows_its_encoders_is_done_too():
    path = reference()
    with Fleet(nodes=0) as fleet:
        job = submit(fleet, path, "--codec", "vp9", "--preset", "8", "--crf", "40")
        fleet.start_node("node-1", wait=False)
        expect(fleet.cli("watch", job), 0, "succeeded")


@case
def another_size_and_a_bit_rate_are_carried_out():
    path = reference()
    with Fleet() as fleet:
        job = submit(fleet, path, "--encoder", "libsvtav1", "--preset", "12", "--bitrate", "150k", "--size", "128x64")
        expect(fleet.cli("watch", job), 0, "succeeded")
        fleet.ok("result", job, "--output", "r.json")
        facts = load("r.json")["encode"]
        assert (facts["width"], facts["height"], facts["encoder"]) == (128, 64, "libsvtav1"), facts
        assert facts["options"]["b"] == "150000", facts


@case
def encoders_fail_with_their_class_and_a_sentence():
    path = reference()
    with Fleet() as fleet:
        wait_encoders(fleet)
        for words, recipe in ((("no encoder 'h264_nvenc'",), ("--encoder", "h264_nvenc")),
                              (("preset", "medium"), ("--codec", "h264", "--preset", "quick")),
                              (("crf", "51"), ("--codec", "h264", "--crf", "77")),
                              (("stats",), ("--codec", "h264", "--option", "stats=/tmp/x")),
                              (("keeps no encoded videos", "VMAFX_NODE_KEEP"), ("--codec", "h264", "--keep"))):
            expect(fleet.cli("submit", "--reference", path, *recipe, "--wait", "--quiet"), 11, "encoder", *words)
            job = fleet.jobs()[0]
            assert job["failure_class"] == "FAILURE_CLASS_ENCODER" and job["attempts"] == 1, job
        expect(fleet.cli("submit", "--reference", path, "--codec", "mpeg2"), 2, "job.encode.codec", "mpeg2")
        expect(fleet.cli("submit", "--reference", path, "--codec", "h264", "--distorted", path), 2, "exclude")
        expect(fleet.cli("submit", "--reference", path, "--crf", "20"), 2, "--codec or --encoder")
        os.mkfifo("fifo")
        got = fleet.cli("submit", "--reference", os.path.abspath("fifo"), "--codec", "h264", "--wait", "--quiet")
        expect(got, 3, "input")


@case
def what_is_kept_lies_on_the_node_and_goes_with_the_attempt():
    path = reference(n=30)
    os.mkdir("kept")
    with Fleet(env={"VMAFX_NODE_KEEP": os.path.abspath("kept")}) as fleet:
        job = submit(fleet, path, "--codec", "h264", "--crf", "30", "--keep")
        expect(fleet.cli("watch", job), 0, "succeeded")
        fleet.ok("result", job, "--output", "r.json")
        result = load("r.json")
        kept = result["encode"]["kept"]
        assert kept == os.path.abspath(f"kept/{job}-1.mkv"), kept
        again = json.loads(expect(run("score", "-r", path, "-d", kept, "--json", "--ignore-start"), 0).stdout)
        assert again["verdict"]["score"] == result["verdict"]["score"]
        cancelled = submit(fleet, path, "--encoder", "libaom-av1", "--preset", "0", "--keep")
        wait_task(fleet)
        expect(fleet.cli("cancel", cancelled), 0)
        failed = submit(fleet, path, "--codec", "h264", "--preset", "quick", "--keep")
        expect(fleet.cli("watch", failed), 11)
        end = time.monotonic() + 30
        while tasks_of(fleet.nodes["node-1"]) and time.monotonic() < end:
            time.sleep(0.05)
        assert os.listdir("kept") == [f"{job}-1.mkv"], os.listdir("kept")
    with Fleet(env={"VMAFX_NODE_KEEP": os.path.abspath("kept"), "VMAFX_NODE_KEEP_BYTES_MAX": "5000"}) as fleet:
        big = submit(fleet, path, "--codec", "h264", "--crf", "5", "--keep")
        expect(fleet.cli("watch", big), 11, "5000")
        assert os.listdir("kept") == [f"{job}-1.mkv"], os.listdir("kept")


@case
def a_full_disk_while_keeping_is_tried_again_and_leaves_nothing():
    path = reference()
    os.mkdir("small")
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8k", "tmpfs", "small"], capture_output=True, check=False).returncode:
        raise Skip("no tmpfs can be mounted here: that takes root")
    try:
        with Fleet(env={"VMAFX_NODE_KEEP": os.path.abspath("small")}) as fleet:
            job = submit(fleet, path, "--codec", "h264", "--crf", "5", "--keep", "--attempts", "2")
            expect(fleet.cli("watch", job), 9, "resource")
            ended = fleet.job(job)["job"]
            assert ended["attempts"] == 2 and "space" in ended["message"], ended
            assert os.listdir("small") == [], os.listdir("small")
    finally:
        subprocess.run(["umount", "small"], check=True)


@case
def an_encode_whose_process_is_killed_is_tried_again():
    path = reference(n=100, size="640x360")
    os.mkdir("kept")
    with Fleet(env={"VMAFX_NODE_KEEP": os.path.abspath("kept")}) as fleet:
        wait_encoders(fleet)
        job = submit(fleet, path, "--encoder", "libx264", "--preset", "veryslow", "--keep")
        task = wait_task(fleet)
        with open(f"/proc/{task}/stat", encoding="utf-8") as f:
            scorer = int(f.read().rsplit(")", 1)[1].split()[1])
        os.kill(scorer, signal.SIGKILL)
        expect(fleet.cli("watch", job), 0, "succeeded")
        events = fleet.job(job)["events"]
        ended = [e for e in events if e["kind"] == "EVENT_KIND_ATTEMPT_ENDED"]
        assert ended[0]["failure_class"] == "FAILURE_CLASS_NODE" and fleet.job(job)["job"]["attempts"] == 2, events
        assert os.listdir("kept") == [f"{job}-2.mkv"], os.listdir("kept")


@case
def one_encode_is_one_trace_from_rest_to_store():
    path = reference()
    receiver = Receiver()
    env = receiver.environment(OTEL_SDK_DISABLED="false", OTEL_BSP_SCHEDULE_DELAY="200")
    with Fleet(nodes=1, env=env) as fleet:
        port = fleet.controller.wait_line(r"HTTP ready.*server\.port=(\d+)").group(1)
        body = {"reference": {"uri": path}, "encode": {"codec": "hevc", "preset": "ultrafast", "crf": 30}}
        request = urllib.request.Request(f"http://127.0.0.1:{port}/v1/jobs", json.dumps(body).encode(),
                                         {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            job = json.load(answer)
        job_id = (job.get("job") or job)["id"]
        expect(fleet.cli("watch", job_id), 0)
        for node in fleet.nodes.values():
            assert node.kill(signal.SIGTERM) == 0
        assert fleet.controller.kill(signal.SIGTERM) == 0
        traces = [spans for spans in spans_by_trace(receiver).values() if any(s[2] == "vmafx.job" for s in spans)]
        assert len(traces) == 1
        check_tree(traces[0])
        names = [s[2] for s in traces[0]]
        assert names.count("vmafx.encoder.dispatch") == 1 and names.count("vmafx.input.open") == 1, names
        dispatch = next(s for s in traces[0] if s[2] == "vmafx.encoder.dispatch")[5]
        assert (dispatch["vmafx.encoder.name"], dispatch["vmafx.encoder.codec"]) == (b"libx265", b"hevc"), dispatch
        assert dispatch["vmafx.encoder.reason"] and dispatch["vmafx.frame.count"] == 20, dispatch
        assert dispatch["vmafx.encoder.size"] > 0, dispatch
        assert struct.unpack("<d", dispatch["vmafx.encoder.crf"]) == (30,), dispatch
        metrics = {name for _, body in receiver.bodies.get("/v1/metrics", []) for name in metrics_of(body)[1]}
        assert {"vmafx.encoder.frames", "vmafx.encoder.io"} <= metrics, sorted(metrics)


if __name__ == "__main__":
    main()

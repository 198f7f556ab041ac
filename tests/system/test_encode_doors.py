# SPDX-License-Identifier: BSD-2-Clause-Patent
"""Encode recipes through vmafx-server and vmafx-mcp: the scores of the command line, and clear refusals."""
import json
import os
import time
import uuid

from fleet import Fleet
from harness import case, expect, ffmpeg, main, need_models, run
from mcp import Mcp
from server import Server

RECIPE = {"codec": "h264", "preset": "fast", "crf": 30}
ARGUMENTS = ("--codec", "h264", "--preset", "fast", "--crf", "30", "--threads", "1")


def reference(n=20):
    ffmpeg("-f", "lavfi", "-i", f"testsrc2=s=256x128:r=25:d={n / 25}", "-pix_fmt", "yuv420p", "ref.y4m")
    return os.path.abspath("ref.y4m")


def local(path, *arguments):
    return json.loads(expect(run("encode-score", "-r", path, *(arguments or ARGUMENTS), "--json"), 0).stdout)


def form(**parts):
    """multipart/form-data: files by bytes, the rest as text."""
    boundary = uuid.uuid4().hex
    body = b""
    for name, content in parts.items():
        is_file = isinstance(content, bytes)
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"'
        head += f'; filename="{name}.y4m"\r\n' if is_file else "\r\n"
        body += head.encode() + b"\r\n" + (content if is_file else content.encode()) + b"\r\n"
    return body + f"--{boundary}--\r\n".encode(), {"Content-Type": f"multipart/form-data; boundary={boundary}"}


@case
def the_server_encodes_and_scores():
    path = reference()
    ours = local(path)
    with Server() as server:
        outcome = server.score({"reference": {"uri": path}, "encode": RECIPE, "frames": True})["outcome"]
        assert outcome["score"] == ours["verdict"]["score"], (outcome["score"], ours["verdict"])
        facts = outcome["result"]["encode"]
        assert facts["encoder"] == "libx264" and int(facts["size_bytes"]) == ours["encode"]["size_bytes"], facts
        with open(path, "rb") as f:
            body, headers = form(reference=f.read(), request=json.dumps({"encode": RECIPE}))
        status, _, answer = server.ask("POST", "/v1/score", body, headers)
        assert status == 200 and json.loads(answer)["outcome"]["score"] == ours["verdict"]["score"], answer
        pairs = [{"reference": {"uri": path}, "encode": {**RECIPE, "crf": crf}} for crf in (20, 40)]
        status, _, lines = server.ask("POST", "/v1/score/batch", {"pairs": pairs})
        assert status == 200 and lines.count(b"libx264") >= 2, lines
        end = time.monotonic() + 60
        while True:
            encoders = json.loads(server.ask("GET", "/v1/capabilities")[2]).get("encoders", [])
            if encoders or time.monotonic() > end:
                break
            time.sleep(0.05)
        assert "libx264" in encoders, encoders


@case
def the_server_refuses_recipes_with_a_sentence():
    path = reference()
    video = {"uri": path}
    with Server("--pixels-max", "100000") as server:
        server.refused(400, "request.encode.codec", "mpeg2", request={"reference": video, "encode": {"codec": "mpeg2"}})
        server.refused(400, "request.distorted", "leave one", request={"reference": video, "distorted": video, "encode": RECIPE})
        server.refused(400, "keeps no encoded", request={"reference": video, "encode": {**RECIPE, "keep": True}})
        server.refused(400, "request.encode", "pixels", request={"reference": video,
                                                                 "encode": {**RECIPE, "width": 1280, "height": 720}})
        server.refused(400, "request.reference", request={"encode": RECIPE})
        server.refused(400, "FAILURE_CLASS_ENCODER", "medium", request={"reference": video,
                                                                        "encode": {"codec": "h264", "preset": "quick"}})
        os.mkfifo("fifo")
        server.refused(400, "file", request={"reference": {"uri": os.path.abspath("fifo")}, "encode": RECIPE})


def check_measurement(got, ours):
    assert got["done"] and got["score"] == ours["verdict"]["score"], (got["score"], ours["verdict"])
    assert got["encode"]["encoder"] == "libx264" and got["encode"]["size_bytes"] == ours["encode"]["size_bytes"], got
    assert "crf=30" in got["encode"]["options"], got["encode"]


@case
def assistants_have_videos_encoded():
    need_models()
    path = reference()
    ours = local(path)
    with Mcp() as mcp:
        check_measurement(mcp.ok("score_videos", reference="ref.y4m", encode=RECIPE), ours)
        job = mcp.ok("start_job", reference="ref.y4m", encode={"encoder": "libx265", "preset": "ultrafast",
                                                               "bits_per_second": 200000, "width": 128, "height": 64,
                                                               "options": ["bf=1"]})
        assert "libx265" in job["distorted"], job
        done = mcp.ok("wait_for_job", job_id=job["job_id"])
        assert done["encode"]["width"] == 128 and done["width"] == 256 and "bf=1" in done["encode"]["options"], done
        for words, arguments in ((("distorted", "encode"), {}),
                                 (("not both",), {"distorted": "ref.y4m", "encode": RECIPE}),
                                 (("crf or bits_per_second",), {"encode": {**RECIPE, "bits_per_second": 1000}}),
                                 (("KEY=VALUE",), {"encode": {**RECIPE, "options": ["fast"]}}),
                                 (("libx256", "libx265"), {"encode": {"encoder": "libx256"}}),
                                 (("medium",), {"encode": {**RECIPE, "preset": "quick"}})):
            mcp.refused("score_videos", *words, reference="ref.y4m", **arguments)
        assert mcp.finish() == 0


@case
def assistants_have_a_server_or_a_fleet_encode():
    path = reference()
    ours = local(path)
    with Server() as server:
        with Mcp("--server", f"127.0.0.1:{server.grpc}") as mcp:
            check_measurement(mcp.ok("score_videos", reference=path, encode=RECIPE), ours)
    with Fleet() as fleet:
        with Mcp("--controller", f"127.0.0.1:{fleet.port}") as mcp:
            check_measurement(mcp.ok("score_videos", reference=path, encode=RECIPE), ours)
            assert "h264" in mcp.ok("list_jobs")["jobs"][0]["distorted"]


if __name__ == "__main__":
    main()

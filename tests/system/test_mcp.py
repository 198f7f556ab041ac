# SPDX-License-Identifier: BSD-2-Clause-Patent
"""vmafx-mcp as assistants use it: alone, and in front of a controller with a node.

usage: test_mcp.py VMAFX [CASE…]
"""
import base64
import json
import os
import re
import socket
import subprocess
import time

from fleet import DEADLINE_S, Fleet, program
from harness import case, expect, long_pair, main, need_models, pair, run, write_y4m
from mcp import CLIENT, MODERN, Mcp, McpHttp, scorers_of, wait_until
from otlp import Receiver, attributes, metrics_of, spans_of
from server import Server
from trees import check_tree

HERE = os.path.dirname(os.path.abspath(__file__))
NOBODY = "0192f0c1-7b1c-7d3e-8a55-3f1b2c4d5e6f"  # well formed, and no job's


@case
def a_tool_gives_the_score_that_the_command_line_gives():
    need_models()
    pair(n=12)
    local = json.loads(expect(run("score", "--reference", "ref.y4m", "--distorted", "dis.y4m", "--json"), 0).stdout)
    with Mcp() as mcp:
        got = mcp.ok("score_videos", reference="ref.y4m", distorted="dis.y4m")
        assert got["done"] and got["state"] == "succeeded"
        for name, value in local["pooled"]["vmaf"].items():
            assert got["pooled"][name] == value, f"{name}: {got['pooled'][name]} is not {value}"
        for name, value in got["features"].items():
            assert value == local["pooled"][name]["mean"], name
        assert got["score"] == local["pooled"]["vmaf"]["mean"]
        csv = mcp.request("resources/read", {"uri": f"vmafx://jobs/{got['job_id']}/frames.csv"})["contents"][0]["text"]
        expect(run("score", "--reference", "ref.y4m", "--distorted", "dis.y4m", "--output", "local.csv"), 0)
        with open("local.csv", encoding="utf-8", newline="") as f:
            assert csv == f.read(), "the frames differ"
        document = json.loads(mcp.request("resources/read", {"uri": f"vmafx://jobs/{got['job_id']}/result"})
                              ["contents"][0]["text"])
        assert document["frames"] == 12
        assert mcp.finish() == 0


@case
def a_job_is_started_followed_and_looked_into():
    need_models()
    pair(n=12)
    with Mcp() as mcp:
        started = mcp.ok("start_job", reference="ref.y4m", distorted="dis.y4m", models=["vmaf_v0.6.1neg", "vmaf_v0.6.1"],
                         frames={"first": 2, "count": 6})
        job = started["job_id"]
        done = mcp.ok("wait_for_job", job_id=job, wait_seconds=30)
        assert done["done"] and done["frames"] == 6 and done["model"] == "vmaf_v0.6.1neg"
        assert mcp.ok("job_status", job_id=job)["state"] == "succeeded"
        assert len(mcp.ok("job_result", job_id=job)["scores"]) == 2
        worst = mcp.ok("worst_frames", job_id=job, count=2)
        assert len(worst["frames"]) == 2 and worst["frames"][0]["value"] <= worst["frames"][1]["value"]
        assert 2 <= worst["frames"][0]["frame"] < 8 and worst["frames"][0]["seconds"] == worst["frames"][0]["frame"] / 25
        spread = mcp.ok("worst_frames", job_id=job, count=6, min_gap_seconds=0.1)["frames"]
        assert all(abs(a["frame"] - b["frame"]) >= 2.5 for a in spread for b in spread if a is not b)
        explained = mcp.ok("explain_score", job_id=job)
        assert explained["rating"] and explained["findings"] and len(explained["features"]) == 5
        assert [j["job_id"] for j in mcp.ok("list_jobs", states=["succeeded"])["jobs"]] == [job]
        assert mcp.ok("list_jobs", states=["failed"])["jobs"] == []


@case
def encodes_are_compared_and_ranked():
    need_models()
    pair(n=6)
    write_y4m("worse.y4m", n=6, noise=9)
    with Mcp() as mcp:
        got = mcp.ok("compare_encodes", reference="ref.y4m", distorted=["worse.y4m", "dis.y4m"])
        assert got["done"] and [os.path.basename(e["distorted"]) for e in got["encodes"]] == ["dis.y4m", "worse.y4m"]
        assert got["encodes"][0]["score"] > got["encodes"][1]["score"] and got["best"] == got["encodes"][0]["job_id"]
        again = mcp.ok("compare_encodes", job_ids=got["job_ids"])
        assert again["encodes"] == got["encodes"]
        mcp.refused("compare_encodes", "either", reference="ref.y4m")
        mcp.refused("compare_encodes", "no job", job_ids=[NOBODY])


@case
def arguments_that_are_wrong_are_refused_with_what_would_be_right():
    with Mcp() as mcp:
        for tool, arguments, word in [
                ("score_videos", {"reference": "a"}, "arguments.distorted is missing"),
                ("score_videos", {"reference": "a", "distorted": 5}, "must be a string"),
                ("score_videos", {"reference": "a", "distorted": "b", "model": "x"}, "is not known"),
                ("score_videos", {"reference": "a", "distorted": "b", "wait_seconds": 26}, "at most 25"),
                ("score_videos", {"reference": "a", "distorted": "b", "allow": ["everything"]}, "one of: scaling"),
                ("score_videos", {"reference": "a", "distorted": "b", "frames": {"every": 0}}, "at least 1"),
                ("wait_for_job", {"job_id": NOBODY, "wait_seconds": 31}, "at most 30"),
                ("job_status", {"job_id": "x"}, "at least 36"),
                ("job_status", {"job_id": NOBODY}, "no job"),
                ("job_result", {"job_id": NOBODY}, "no job"),
                ("worst_frames", {"job_id": NOBODY, "count": 101}, "at most 100"),
                ("cancel_job", {"job_id": NOBODY}, "no job"),
                ("compare_encodes", {"reference": "a", "distorted": ["b", "b"]}, "same as")]:
            mcp.refused(tool, word, **arguments)
        error = mcp.error("tools/call", {"name": "no_such_tool", "arguments": {}})
        assert error["code"] == -32602 and "no_such_tool" in error["message"]


@case
def only_files_below_the_roots_may_be_named():
    need_models()
    pair(n=2)
    os.mkdir("inside")
    os.rename("dis.y4m", "inside/dis.y4m")
    os.symlink(os.path.abspath("ref.y4m"), "inside/link.y4m")
    with Mcp("--roots", os.path.abspath("inside")) as mcp:
        mcp.refused("score_videos", "not below", reference="ref.y4m", distorted="inside/dis.y4m")
        mcp.refused("score_videos", "'..'", reference="inside/../ref.y4m", distorted="inside/dis.y4m")
        mcp.refused("score_videos", "not below", reference=os.path.abspath("inside") + "-not/a", distorted="inside/dis.y4m")
        mcp.refused("score_videos", "(input)", reference="inside/link.y4m", distorted="inside/dis.y4m")
        mcp.refused("score_videos", "failed", reference="https://example.org/a.mp4", distorted="inside/dis.y4m")
        mcp.refused("score_videos", "(input)", reference="inside/none.y4m", distorted="inside/dis.y4m")
        assert mcp.ok("score_videos", reference="inside/dis.y4m", distorted="file://" + os.path.abspath("inside/dis.y4m"))
    with McpHttp() as mcp:
        status, _, answer = mcp.modern("tools/call", {"name": "score_videos",
                                                      "arguments": {"reference": os.path.abspath("ref.y4m"), "distorted": "/a"}})
        assert status == 200 and answer["result"]["isError"] and "VMAFX_MCP_ROOTS" in answer["result"]["content"][0]["text"]


@case
def what_is_no_request_is_answered_by_the_codes_of_json_rpc():
    with Mcp() as mcp:
        for text, code in [(b"{", -32700), (b"nonsense", -32700), (b'{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}', -32700),
                           (b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":"\xff"}}', -32700),
                           (b"[" * 65 + b"]" * 65, -32700), (b"7", -32600), (b"[]", -32600),
                           (b'[{"jsonrpc":"2.0","id":1,"method":"ping"}]', -32600),
                           (b'{"jsonrpc":"1.0","id":1,"method":"ping"}', -32600), (b'{"id":1,"method":"ping"}', -32600),
                           (b'{"jsonrpc":"2.0","id":null,"method":"ping"}', -32600),
                           (b'{"jsonrpc":"2.0","id":1.5,"method":"ping"}', -32600),
                           (b'{"jsonrpc":"2.0","id":1,"method":5}', -32600),
                           (b'{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}', -32602),
                           (b'{"jsonrpc":"2.0","id":1,"method":"no/such"}', -32601),
                           (b" " * (4 << 20) + b"{}", -32600)]:
            mcp.write(text + b"\n")
            got = mcp.next()
            assert got["error"]["code"] == code, f"{text[:60]}: {got}"
        assert mcp.request("ping") == {}


@case
def every_revision_is_spoken_and_batches_only_where_they_exist():
    for revision in ("2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"):
        with Mcp(initialize=False) as mcp:
            assert mcp.request("initialize", {**CLIENT, "protocolVersion": revision})["protocolVersion"] == revision
            assert mcp.error("initialize", CLIENT)["code"] == -32600
            mcp.send([{"jsonrpc": "2.0", "id": "a", "method": "ping"}, {"jsonrpc": "2.0", "method": "notifications/x"},
                      {"jsonrpc": "2.0", "id": "b", "method": "tools/list"}])
            got = mcp.next()
            if revision == "2025-03-26":
                assert [a["id"] for a in got] == ["a", "b"]
            else:
                assert got["error"]["code"] == -32600
    with Mcp(initialize=False) as mcp:
        assert mcp.request("initialize", {**CLIENT, "protocolVersion": "1999-01-01"})["protocolVersion"] == "2025-11-25"
    with Mcp(initialize=False) as mcp:
        found = mcp.request("server/discover", {"_meta": MODERN})
        assert found["supportedVersions"][0] == "2026-07-28" and found["resultType"] == "complete" and found["ttlMs"] > 0
        assert mcp.request("tools/list", {"_meta": MODERN})["cacheScope"] == "public"
        assert mcp.error("ping", {"_meta": MODERN})["code"] == -32601
        future = {**MODERN, "io.modelcontextprotocol/protocolVersion": "2031-01-01"}
        error = mcp.error("tools/list", {"_meta": future})
        assert error["code"] == -32022 and "2026-07-28" in error["data"]["supported"]
        lacking = {"io.modelcontextprotocol/protocolVersion": "2026-07-28"}
        assert mcp.error("tools/list", {"_meta": lacking})["code"] == -32602


@case
def a_wait_is_bounded_tells_progress_and_can_be_cancelled():
    need_models()
    reference, distorted = long_pair(20000)
    with Mcp("--threads", 1) as mcp:
        began = time.monotonic()
        got = mcp.ok("score_videos", reference=reference, distorted=distorted, wait_seconds=1, _meta={"progressToken": "p"})
        assert not got["done"] and got["state"] in ("queued", "running")
        assert time.monotonic() - began < DEADLINE_S
        told = mcp.begin("tools/call", {"name": "wait_for_job", "arguments": {"job_id": got["job_id"], "wait_seconds": 30},
                                        "_meta": {"progressToken": 7}})
        progress = []
        while len(progress) < 2:
            message = mcp.next()
            assert message["method"] == "notifications/progress", message
            progress += [message["params"]["progress"]] if message["params"]["progressToken"] == 7 else []
        assert progress[0] < progress[1]
        mcp.send({"jsonrpc": "2.0", "id": told, "method": "ping"})
        while True:
            message = mcp.next()
            if "error" in message:
                break
        assert message["error"]["code"] == -32600, "an id that is in use was taken"
        mcp.send({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": told}})
        assert mcp.request("ping") == {}, "the program does not answer while a call waits"
        cancelled = mcp.ok("cancel_job", job_id=got["job_id"])
        assert cancelled["state"] == "cancelled"
        assert told not in mcp.answers, "a cancelled request was answered"
        scoring = mcp.begin("tools/call", {"name": "score_videos", "arguments": {"reference": reference, "distorted": distorted}})
        wait_until(lambda: mcp.ok("list_jobs", states=["running"])["jobs"], "the second job runs")
        mcp.send({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": scoring}})
        wait_until(lambda: not mcp.ok("list_jobs", states=["running", "queued"])["jobs"], "its call's end ends the job")


@case
def the_end_of_the_input_ends_the_scorer_too():
    need_models()
    reference, distorted = long_pair(20000)
    with Mcp() as mcp:
        mcp.ok("start_job", reference=reference, distorted=distorted)
        mcp.begin("tools/call", {"name": "score_videos", "arguments": {"reference": reference, "distorted": distorted}})
        wait_until(lambda: mcp.ok("list_jobs", states=["running"])["jobs"] and scorers_of(mcp.process.pid), "it scores")
        scorers = scorers_of(mcp.process.pid)
        assert mcp.finish() == 0
        wait_until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in scorers), "the scorer has gone")


def full_of_answers(out):
    """A vmafx-mcp whose output nobody has read, and which could take no more."""
    process = subprocess.Popen([program("vmafx-mcp")], stdin=subprocess.PIPE, stdout=out, stderr=subprocess.DEVNULL,
                               env={**os.environ, "OTEL_SDK_DISABLED": "true"})
    os.set_blocking(process.stdin.fileno(), False)
    request, waited = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}).encode() + b"\n", 0
    while waited < 5:  # it reads no more, as it cannot write
        try:
            waited, sent = 0, os.write(process.stdin.fileno(), request)
            assert sent == len(request) or sent < 0, "a line is shorter than what a pipe takes at once"
        except BlockingIOError:
            waited += 1
            time.sleep(0.1)
    return process


@case
def a_client_that_does_not_read_cannot_keep_it_from_ending():
    ours, theirs = socket.socketpair()
    for out in (subprocess.PIPE, theirs):
        process = full_of_answers(out)
        try:
            process.terminate()
            assert process.wait(DEADLINE_S) == 0
        finally:
            process.kill()
            process.wait()
            process.stdin.close()
            if process.stdout:
                process.stdout.close()
    ours.close()
    theirs.close()


@case
def what_was_asked_before_the_end_of_the_input_is_answered_to_who_reads_late():
    with Mcp() as mcp:
        asked = [json.dumps({"jsonrpc": "2.0", "id": n, "method": "tools/list"}) for n in range(100, 160)]
        got = subprocess.run(["sh", "-c", '"$0" | { sleep 0.5; cat; }', mcp.arguments[0]], input="\n".join(asked),
                             capture_output=True, text=True, timeout=DEADLINE_S, check=True, env=mcp.env)
        answers = [json.loads(line) for line in got.stdout.splitlines()]
        assert [a["id"] for a in answers] == list(range(100, 160)) and all(a["result"]["tools"] for a in answers)


@case
def starting_and_probing_starts_no_scorer():
    with Mcp(initialize=False) as mcp:
        mcp.request("server/discover", {"_meta": MODERN})
        mcp.request("tools/list", {"_meta": MODERN})
        assert not scorers_of(mcp.process.pid)
        assert mcp.finish() == 0


@case
def over_http_sessions_and_headers_are_held_to():
    with McpHttp() as mcp:
        begin = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": CLIENT}
        ping = {"jsonrpc": "2.0", "id": 2, "method": "ping"}
        status, headers, answer = mcp.post(begin)
        session = headers["Mcp-Session-Id"]
        assert status == 200 and session and answer["result"]["protocolVersion"] == "2025-11-25"
        own = {"Mcp_Session_Id": session, "MCP_Protocol_Version": "2025-11-25"}
        assert mcp.post({"jsonrpc": "2.0", "method": "notifications/initialized"}, **own)[0] == 202
        assert mcp.post(ping, **own)[2]["result"] == {}
        for status, message, changed in [(400, ping, {"Mcp_Session_Id": None}), (404, ping, {"Mcp_Session_Id": "0" * 32}),
                                         (400, ping, {"MCP_Protocol_Version": "1999-01-01"}),
                                         (400, ping, {"MCP_Protocol_Version": "2026-07-28"}),
                                         (400, b"{", {}), (400, [ping], {}), (415, ping, {"Content_Type": "text/plain"}),
                                         (415, ping, {"Content_Type": "application/json-patch+json"}),
                                         (200, ping, {"Content_Type": "Application/JSON; charset=utf-8"}),
                                         (406, ping, {"Accept": "text/html"})]:
            got = mcp.post(message, **{**own, **changed})[0]
            assert got == status, f"{changed}: {got}, not {status}"
        assert mcp.send("GET", None)[0] == 405
        for origin, status in (("http://localhost:3000", 200), ("https://evil.example", 401)):
            got = mcp.post(ping, Origin=origin, **own)[0]
            assert got == status, f"{origin}: {got}"
        assert mcp.send("DELETE", None, Mcp_Session_Id=session)[0] == 204
        assert mcp.post(ping, **own)[0] == 404

        assert mcp.modern("tools/list")[0] == 200
        assert mcp.modern("server/discover")[2]["result"]["resultType"] == "complete"
        assert mcp.modern("ping")[0] == 404
        health = {"name": "health", "arguments": {}}
        encoded = "=?base64?" + base64.b64encode(b"health").decode() + "?="
        for changed, status in [({}, 200), ({"Mcp_Name": encoded}, 200), ({"Mcp_Name": "doctor"}, 400), ({"Mcp_Name": None}, 400),
                                ({"Mcp_Name": "=?base64?!?="}, 400), ({"Mcp_Method": None}, 400),
                                ({"Mcp_Method": "tools/list"}, 400), ({"MCP_Protocol_Version": None}, 400),
                                ({"MCP_Protocol_Version": "2025-11-25"}, 400)]:
            got, _, answer = mcp.modern("tools/call", health, **changed)
            assert got == status, f"{changed}: {got}, not {status}"
            assert status == 200 or answer["error"]["code"] == -32020, answer


@case
def over_http_roles_decide_which_tools_may_be_called():
    made = {role: expect(run("tokens", "new", f"{role}-1", "--role", role, "--file", "tokens"), 0).stdout.strip()
            for role in ("reader", "writer")}
    with McpHttp("--tokens", os.path.abspath("tokens"), "--roots", os.getcwd()) as mcp:
        start = {"name": "start_job", "arguments": {"reference": os.path.abspath("a"), "distorted": os.path.abspath("b")}}
        for role, refused in (("reader", True), ("writer", False)):
            bearer = {"Authorization": f"Bearer {made[role]}"}
            assert mcp.modern("tools/call", {"name": "list_jobs", "arguments": {}}, **bearer)[0] == 200
            got = mcp.modern("tools/call", start, **bearer)[2]["result"]
            assert got["isError"] == refused, got
        line = mcp.process.wait_line(r"msg=audit.*vmafx\.audit\.action=tool\.call").string
        for word in ("subject=start_job", "identity=reader-1", "role=reader", "outcome=denied", "client.address=127.0.0.1"):
            assert word in line, f"no {word} in {line}"
        assert mcp.process.lines().count("tool.call") == 1, "what is allowed is not written down here"
        assert mcp.modern("tools/list", Authorization="Bearer nonsense")[0] == 401


@case
def over_http_a_tenant_is_refused_as_its_jobs_could_not_be_told_from_others():
    token = expect(run("tokens", "new", "t", "--role", "admin", "--tenant", "studio", "--file", "tokens"), 0).stdout.strip()
    with McpHttp("--tokens", os.path.abspath("tokens")) as mcp:
        bearer = {"Authorization": f"Bearer {token}"}
        for got in (mcp.modern("tools/list", **bearer), mcp.post({"jsonrpc": "2.0", "id": 1, "method": "initialize",
                                                                  "params": CLIENT}, **bearer)):
            assert got[0] == 403 and got[2]["error"] == "FORBIDDEN" and "'studio'" in got[2]["detail"], got
        assert mcp.send("DELETE", None, Mcp_Session_Id="0" * 32, **bearer)[0] == 403
        assert "vmafx.audit.tenant=studio" in mcp.process.wait_line("msg=audit.*outcome=denied").string
        assert mcp.modern("tools/list")[0] == 200


@case
def over_http_nobody_has_more_than_half_of_the_calls():
    need_models()
    reference, distorted = long_pair(20000)
    made = [expect(run("tokens", "new", name, "--role", "writer", "--file", "tokens"), 0).stdout.strip()
            for name in ("alice", "bob")]
    with McpHttp("--threads", 1, "--roots", os.getcwd(), "--tokens", os.path.abspath("tokens")) as mcp:
        alice, bob = ({"Authorization": f"Bearer {token}"} for token in made)
        start = {"name": "start_job", "arguments": {"reference": reference, "distorted": distorted}}
        job = last_of_many(lambda: mcp.modern("tools/call", start, **alice)[2]["result"]["structuredContent"]["job_id"])
        status = {"name": "job_status", "arguments": {"job_id": job}}
        calls = []
        for i in range(8):  # programs/mcp/mcp.h; half with a stream
            meta = {**MODERN, **({"progressToken": i} if i % 2 else {})}
            body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"_meta": meta, **wait_call(job)}}
            calls.append(mcp.begin("POST", body, MCP_Protocol_Version="2026-07-28", Mcp_Method="tools/call",
                                   Mcp_Name="wait_for_job", **alice))

        def refused(**meta):
            error = mcp.modern("tools/call", {**status, "_meta": {**MODERN, **meta}}, **alice)[2].get("error", {})
            return error.get("code") == -32000 and "yours" in error["message"]
        wait_until(refused, "all of them wait")
        assert refused(progressToken="p") and mcp.modern("tools/list", **alice)[2]["result"]["tools"]
        assert "result" in mcp.modern("tools/call", status, **bob)[2], "others have the other half"
        for call in calls:
            call.close()
        wait_until(lambda: "result" in mcp.modern("tools/call", status, **alice)[2], "there is room again")


@case
def over_http_progress_comes_as_events():
    need_models()
    pair(n=12)
    with McpHttp("--roots", os.getcwd()) as mcp:
        status, headers, body = mcp.send("POST", {
            "jsonrpc": "2.0", "id": 9, "method": "tools/call",
            "params": {"name": "score_videos", "_meta": {**MODERN, "progressToken": "t"},
                       "arguments": {"reference": os.path.abspath("ref.y4m"), "distorted": os.path.abspath("dis.y4m")}}},
            MCP_Protocol_Version="2026-07-28", Mcp_Method="tools/call", Mcp_Name="score_videos")
        assert status == 200 and headers["Content-Type"].startswith("text/event-stream")
        events = [json.loads(line[5:]) for line in body.decode().splitlines() if line.startswith("data:")]
        assert [e["method"] for e in events[:-1]] == ["notifications/progress"] * (len(events) - 1) and len(events) > 1
        assert events[-1]["id"] == 9 and events[-1]["result"]["structuredContent"]["done"]


@case
def a_job_through_a_controller_is_one_trace_from_the_tool_call_on():
    receiver = Receiver()
    pair(n=12)
    telemetry = receiver.environment(OTEL_SDK_DISABLED="", OTEL_BSP_SCHEDULE_DELAY="100")
    trace = "0af7651916cd43dd8448eb211c80319c"
    with Fleet(env=telemetry) as fleet:
        with Mcp("--controller", f"127.0.0.1:{fleet.port}", env=telemetry) as mcp:
            got = mcp.ok("score_videos", reference="ref.y4m", distorted="dis.y4m",
                         _meta={"traceparent": f"00-{trace}-b7ad6b7169203331-01"})
            assert got["done"], got
            job = got["job_id"]
            assert got["job"]["trace_id"] == trace
            local = json.loads(expect(run("score", "--reference", "ref.y4m", "--distorted", "dis.y4m", "--json"), 0).stdout)
            assert got["score"] == local["pooled"]["vmaf"]["mean"]
            assert mcp.ok("health")["healthy"] and mcp.ok("list_nodes")["nodes"][0]["name"] == "node-1"
            assert "frame,time" in mcp.request("resources/read", {"uri": f"vmafx://jobs/{job}/frames.csv"})["contents"][0]["text"]
            assert mcp.ok("worst_frames", job_id=job)["frames"]
            mcp.refused("score_videos", "not below", reference="/etc/hostname", distorted="dis.y4m")
            assert mcp.ok("list_jobs", limit=1)["jobs"][0]["job_id"] == job
            assert mcp.finish() == 0
        for process in (fleet.nodes["node-1"], fleet.controller):
            process.kill(15)

    def spans():
        found = []
        for _, body in receiver.bodies.get("/v1/traces", []):
            resource, items = spans_of(body)
            for s in items:
                if s[1][0].hex() == trace:
                    found.append((s[2][0].hex(), s.get(4, [b""])[0].hex(), s[5][0].decode(), int.from_bytes(s[7][0], "little"),
                                  int.from_bytes(s[8][0], "little"), resource["service.name"].decode(), attributes(s, 9)))
        return found

    wait_until(lambda: {"vmafx.job", "vmafx.mcp.tool", "vmafx.scoring", "vmafx.result.store"} <= {s[2] for s in spans()},
               "the whole trace has arrived")
    found = spans()
    tool = [s for s in found if s[2] == "vmafx.mcp.tool"]
    assert len(tool) == 1 and tool[0][1] == "b7ad6b7169203331" and tool[0][5] == "vmafx-mcp"
    assert tool[0][6]["mcp.method.name"] == b"tools/call" and tool[0][6]["gen_ai.tool.name"] == b"score_videos"
    assert tool[0][6]["vmafx.job.id"].decode() == job
    check_tree(found)
    assert {s[5] for s in found} >= {"vmafx-mcp", "vmafx-controller", "vmafx-node"}
    names = set()
    for _, body in receiver.bodies.get("/v1/metrics", []):
        names |= set(metrics_of(body)[1])
    assert "mcp.server.operation.duration" in names, names


@case
def through_a_server_videos_are_scored_followed_compared_and_cancelled():
    pair(n=12)
    write_y4m("worse.y4m", n=12, noise=9)
    reference, distorted = long_pair(20000)
    local = json.loads(expect(run("score", "--reference", "ref.y4m", "--distorted", "dis.y4m", "--json"), 0).stdout)
    expect(run("score", "--reference", "ref.y4m", "--distorted", "dis.y4m", "--output", "local.csv"), 0)
    with Server("--slots", 2) as server, Mcp("--server", f"127.0.0.1:{server.grpc}", "--slots", 2) as mcp:
        assert mcp.ok("health")["healthy"] and mcp.ok("list_nodes")["nodes"][0]["slots"] == 2
        assert "vmaf_v0.6.1" in json.dumps(mcp.ok("list_models"))
        got = mcp.ok("score_videos", reference="ref.y4m", distorted="dis.y4m")
        assert got["done"] and got["score"] == local["pooled"]["vmaf"]["mean"], got
        for name, value in got["features"].items():
            assert value == local["pooled"][name]["mean"], name
        csv = mcp.request("resources/read", {"uri": f"vmafx://jobs/{got['job_id']}/frames.csv"})["contents"][0]["text"]
        with open("local.csv", encoding="utf-8", newline="") as f:
            assert csv == f.read(), "the frames differ"
        compared = mcp.ok("compare_encodes", reference="ref.y4m", distorted=["worse.y4m", "dis.y4m"])
        assert [os.path.basename(e["distorted"]) for e in compared["encodes"]] == ["dis.y4m", "worse.y4m"], compared
        assert compared["encodes"][0]["score"] == got["score"]
        with open("cut.y4m", "wb") as f:
            f.write(b"YUV4MPEG2 W64 H64 F25:1 C420jpeg\nFRAME\n")
        mcp.refused("score_videos", "cut.y4m", reference="ref.y4m", distorted="cut.y4m")

        told = mcp.begin("tools/call", {"name": "score_videos", "_meta": {"progressToken": "p"},
                                        "arguments": {"reference": reference, "distorted": distorted}})
        progress = []
        while len(progress) < 2:
            message = mcp.next()
            assert message.get("method") == "notifications/progress", message
            progress.append(message["params"]["progress"])
        assert progress[0] < progress[1] and server.children()
        mcp.send({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": told}})
        server.wait_children(0)  # who leaves is not scored for
        job = mcp.ok("start_job", reference=reference, distorted=distorted)["job_id"]
        server.wait_children(1)
        assert mcp.ok("cancel_job", job_id=job)["state"] == "cancelled"
        server.wait_children(0)
        assert mcp.finish() == 0


def last_of_many(start):
    """A job that does not end while a test lasts: others are before it. start: starts one, gives its id."""
    return [start() for _ in range(20)][-1]


def wait_call(job):
    return {"name": "wait_for_job", "arguments": {"job_id": job, "wait_seconds": 25}}


@case
def over_pipes_so_many_calls_run_and_wait_and_the_rest_is_refused():
    need_models()
    reference, distorted = long_pair(20000)
    running, waiting, more = 16, 64, 10  # programs/mcp/mcp.h
    with Mcp("--threads", 1) as mcp:
        job = last_of_many(lambda: mcp.ok("start_job", reference=reference, distorted=distorted)["job_id"])
        accepted = []

        def refused_of_many():
            """Fills all places, says who found none, and leaves."""
            calls = [mcp.begin("tools/call", wait_call(job)) for _ in range(running + waiting + more)]
            assert mcp.request("ping") == {} and len(mcp.request("tools/list")["tools"]) > 10, "what takes no time has to go on"
            refused = [call for call in calls if call in mcp.answers]
            for answer in [mcp.answers.pop(call) for call in refused]:
                assert answer.get("error", {}).get("code") == -32000 and "too many" in answer["error"]["message"], answer
            stay = [call for call in calls if call not in refused]
            for call in stay:
                mcp.send({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": call}})
            accepted.extend(stay)
            assert len(refused) >= more, refused
            time.sleep(0.2)  # some of the calls before have their places a moment longer than their answers
            return len(refused)

        wait_until(lambda: refused_of_many() in (more, more + 1), "none but so many are refused")
        wait_until(lambda: "result" in mcp.answer(mcp.begin("tools/call", {"name": "job_status", "arguments": {"job_id": job}})),
                   "there is room again")
        assert mcp.ok("cancel_job", job_id=job)["state"] == "cancelled"
        assert not [call for call in accepted if call in mcp.answers], "a cancelled call was answered"


@case
def over_http_so_many_calls_run_and_those_of_clients_that_left_end():
    need_models()
    reference, distorted = long_pair(20000)
    with McpHttp("--threads", 1, "--roots", os.getcwd()) as mcp:
        start = {"name": "start_job", "arguments": {"reference": reference, "distorted": distorted}}
        job = last_of_many(lambda: mcp.modern("tools/call", start)[2]["result"]["structuredContent"]["job_id"])
        status = {"name": "job_status", "arguments": {"job_id": job}}
        body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"_meta": MODERN, **wait_call(job)}}
        calls = [mcp.begin("POST", body, MCP_Protocol_Version="2026-07-28", Mcp_Method="tools/call", Mcp_Name="wait_for_job")
                 for _ in range(16 + 8)]  # programs/mcp/mcp.h; the rest is refused, and so may be one that meets a question
        wait_until(lambda: mcp.modern("tools/call", status)[2].get("error", {}).get("code") == -32000, "all of them wait")
        assert mcp.modern("tools/list")[2]["result"]["tools"], "what takes no time has to go on"
        for call in calls:
            call.close()
        wait_until(lambda: "result" in mcp.modern("tools/call", status)[2], "there is room again")

        streams = [mcp.begin("POST", {**body, "params": {**body["params"], "_meta": {**MODERN, "progressToken": i}}},
                             MCP_Protocol_Version="2026-07-28", Mcp_Method="tools/call", Mcp_Name="wait_for_job")
                   for i in range(16 + 64)]
        answers = [stream.getresponse() for stream in streams]  # all are open
        assert {answer.status for answer in answers} == {200}
        refused = mcp.send("POST", {**body, "params": {**body["params"], "_meta": {**MODERN, "progressToken": "x"}}},
                           MCP_Protocol_Version="2026-07-28", Mcp_Method="tools/call", Mcp_Name="wait_for_job")[2]
        assert b"-32000" in refused and b"too many" in refused, refused
        for answer, stream in zip(answers, streams):
            answer.close()
            stream.close()
        assert mcp.modern("tools/call", {"name": "cancel_job", "arguments": {"job_id": job}})[2]["result"]


@case
def a_resource_that_is_too_large_is_refused_with_what_to_do_instead():
    need_models()
    for name, noise in (("ref.y4m", 0), ("dis.y4m", 1)):
        write_y4m("few.y4m", w=48, h=48, n=5, noise=noise)
        with open("few.y4m", "rb") as f:
            head, frames = f.readline(), f.read()
        with open(name, "wb") as f:
            f.write(head + frames * 7000)
    with Mcp() as mcp:
        job = mcp.ok("start_job", reference="ref.y4m", distorted="dis.y4m")
        wait_until(lambda: mcp.ok("wait_for_job", job_id=job["job_id"], wait_seconds=25)["done"], "it is scored")
        error = mcp.error("resources/read", {"uri": f"vmafx://jobs/{job['job_id']}/frames.csv"})
        assert "4194304" in error["message"] and "worst_frames" in error["message"], error
        assert mcp.request("resources/read", {"uri": f"vmafx://jobs/{job['job_id']}/result"})["contents"]
        assert len(mcp.ok("worst_frames", job_id=job["job_id"], count=3)["frames"]) == 3


@case
def of_jobs_here_the_oldest_that_ended_goes_and_none_that_runs():
    most = 256  # programs/mcp/local_jobs.h
    pair = {"reference": "ref.y4m", "distorted": "dis.y4m"}
    with socket.create_server(("127.0.0.1", 0)) as silent, \
            Mcp("--server", f"127.0.0.1:{silent.getsockname()[1]}") as mcp:  # so that the first one does not end
        jobs = [mcp.ok("start_job", **pair)["job_id"] for _ in range(most)]
        mcp.refused("start_job", f"{most} jobs run or wait", **pair)
        mcp.ok("cancel_job", job_id=jobs[7])
        mcp.ok("cancel_job", job_id=jobs[5])
        jobs.append(mcp.ok("start_job", **pair)["job_id"])
        mcp.refused("job_status", "no job", f"the last {most}", job_id=jobs[5])
        for job in (jobs[0], jobs[7], jobs[-2], jobs[-1]):
            assert mcp.ok("job_status", job_id=job)
        mcp.ok("start_job", **pair)
        mcp.refused("job_status", "no job", job_id=jobs[7])
        mcp.refused("start_job", f"{most} jobs run or wait", **pair)


@case
def over_tls_a_token_is_needed_and_enough():
    expect(run("certs", "init", "-d", "certs"), 0)
    expect(run("certs", "server", "mcp", "--host", "127.0.0.1", "-d", "certs"), 0)
    token = expect(run("tokens", "new", "alice", "--role", "reader", "--file", "tokens"), 0).stdout.strip()
    with McpHttp("--http-tls-cert", "certs/server-mcp.crt", "--http-tls-key", "certs/server-mcp.key", "--tokens",
                 os.path.abspath("tokens"), ca="certs/ca.crt") as mcp:
        status, headers, answer = mcp.modern("tools/list")  # loopback is no identity here
        assert status == 401 and headers["WWW-Authenticate"] == "Bearer" and "token" in answer["detail"], answer
        status, headers, _ = mcp.modern("tools/list", Authorization="Bearer vmafx_" + "A" * 43)
        assert status == 401 and headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'
        bearer = {"Authorization": f"Bearer {token}"}
        status, headers, answer = mcp.post({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": CLIENT}, **bearer)
        assert status == 200, answer
        session = {"Mcp_Session_Id": headers["Mcp-Session-Id"], "MCP_Protocol_Version": "2025-11-25"}
        call = {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "list_jobs", "arguments": {}}}
        assert mcp.post(call, **session)[0] == 401, "a session is no credential"
        assert not mcp.post(call, **session, **bearer)[2]["result"]["isError"]
        assert mcp.modern("tools/list", **bearer)[2]["result"]["tools"]
        assert token not in mcp.process.lines()


@case
def a_controller_that_is_not_there_is_told_with_what_to_do():
    with Mcp("--controller", "127.0.0.1:1") as mcp:
        mcp.refused("list_nodes", "cannot reach", "127.0.0.1:1")
        got = mcp.ok("health")
        assert not got["healthy"] and "cannot reach" in got["checks"][0]["text"]
    with Mcp("--server", "127.0.0.1:1") as mcp:
        mcp.refused("list_models", "cannot reach a vmafx-server")
        pair(n=2)
        mcp.refused("score_videos", "cannot reach", reference="ref.y4m", distorted="dis.y4m")
    both = subprocess.run([program("vmafx-mcp"), "--server", "a:1", "--controller", "b:1"], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=60, check=False)
    assert both.returncode == 1 and "only one of them" in both.stderr


@case
def the_examples_of_the_page_work():
    need_models()
    pair(n=3)
    with open(os.path.join(os.path.dirname(os.path.dirname(HERE)), "docs", "mcp.md"), encoding="utf-8") as f:
        page = f.read()
    configurations = [json.loads(text) for text in re.findall(r"```json\n(.*?)```", page, re.S) if "mcpServers" in text
                      or '"servers"' in text]
    assert len(configurations) >= 2
    for configuration in configurations:
        for name, server in {**configuration.get("mcpServers", {}), **configuration.get("servers", {})}.items():
            if "command" not in server:
                assert server["url"].endswith("/mcp"), name
                continue
            arguments = [os.getcwd() if a == "/media/encodes" else a for a in server["args"]]
            arguments = ["127.0.0.1:1" if ":7801" in a else a for a in arguments]
            if any(a.endswith(".crt") for a in arguments):
                continue  # needs certificates; its flags are those of --help
            with Mcp(*arguments) as mcp:
                assert mcp.request("tools/list")["tools"]
    shown = re.findall(r"^\$ (vmafx-mcp .*)$", page, re.M)
    assert shown
    for line in shown:
        words = line.split("|")[0].split()
        got = subprocess.run([program("vmafx-mcp"), *words[1:]], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                             timeout=60, check=False)
        assert got.returncode == 0, got.stderr


if __name__ == "__main__":
    main()

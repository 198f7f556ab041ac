# SPDX-License-Identifier: BSD-2-Clause-Patent
"""vmafx ladder with real encoders, here and on a fleet: tables, curves, targets, plots, and what goes wrong."""
import csv
import glob
import json
import os
import re
import signal
import subprocess
import time
import xml.etree.ElementTree

from fleet import Fleet
from harness import PROGRAM, Skip, case, expect, load, main, need_models, run, write_y4m

THREADS = ("--threads", "2", "--encoder-threads", "1")
TIMEOUT = 280


def clip(n=8, w=128, h=96):
    need_models()
    return write_y4m("ref.y4m", w=w, h=h, n=n)


def ladder(codecs, *arguments, **options):
    """Of the clip, with the fastest presets where none are given."""
    presets = [word for codec in codecs.split(",") if codec in ("h264", "hevc") and "--preset" not in arguments
               for word in ("--preset", codec + "=ultrafast")]
    return run("ladder", "--reference", "ref.y4m", "--codec", codecs, *presets, *THREADS, *arguments, timeout=TIMEOUT,
               **options)


def encoders():
    """Those that work here, by codec, and the names of those that do not."""
    listed = json.loads(expect(run("encoders", "--json", timeout=TIMEOUT), 0).stdout)["encoders"]
    return {e["codec"] for e in listed if e["works"]}, [e["encoder"] for e in listed if not e["works"]]


def need_codecs(*codecs):
    there, _ = encoders()
    for codec in codecs:
        if codec not in there:
            raise Skip(f"no encoder for {codec} works here")


@case
def recipes_of_two_codecs_make_a_table_with_bd_rates():
    clip()
    need_codecs("h264", "hevc")
    got = expect(ladder("h264,hevc", "--crf", "24-40:8"), 0)
    lines = got.stdout.splitlines()
    for codec in ("h264", "hevc"):
        for crf in (24, 32, 40):
            assert any(re.search(rf"{codec} +128x96 +crf {crf} .*bit/s +\d", line) for line in lines), got.stdout
    assert re.search(r"hevc +BD-rate [+-]\d+\.\d\d %", got.stdout), got.stdout
    assert "nan" not in got.stdout.lower() and "inf" not in got.stdout.lower(), got.stdout
    assert not got.stderr, got.stderr


@case
def a_recipe_of_a_ladder_scores_as_encode_score_does():
    clip()
    need_codecs("h264")
    got = json.loads(expect(ladder("h264", "--crf", "30", "--json"), 0).stdout)
    alone = json.loads(expect(run("encode-score", "--reference", "ref.y4m", "--codec", "h264", "--crf", "30", "--preset",
                                  "ultrafast", *THREADS, "--json"), 0).stdout)
    one, facts = got["recipes"][0], alone["encode"]
    assert one["score"] == alone["verdict"]["score"], (one, alone["verdict"])
    assert one["size_bytes"] == facts["size_bytes"] and one["encoder"] == facts["encoder"], (one, facts)
    assert abs(one["bit_rate"] - one["size_bytes"] * 8 * 25 / 8) < 1e-6, one


@case
def output_and_plots_are_written_in_all_formats():
    clip()
    need_codecs("h264", "hevc")
    expect(ladder("h264,hevc", "--crf", "h264=24,34", "--crf", "hevc=28,38", "--size", "128x96,96x72",
                  "--output", "a.json", "--plot", "a.svg", "--plot", "a.PNG"), 0)
    report = load("a.json")
    assert report["schema"] == "vmafx.ladder" and report["model"] == "vmaf_v0.6.1", report
    assert [(r["codec"], r["crf"], r["size"]) for r in report["recipes"]] == [
        (codec, crf, size) for codec, steps in (("h264", (24, 34)), ("hevc", (28, 38))) for size in ("128x96", "96x72")
        for crf in steps]
    assert all(r["state"] == "scored" and f"{r['width']}x{r['height']}" == r["size"] for r in report["recipes"]), report
    assert report["bd"]["anchor"] == "h264" and report["bd"]["results"][0]["codec"] == "hevc", report["bd"]
    hull = sorted((r for r in report["recipes"] if r["hull"]), key=lambda r: r["bit_rate"])
    assert hull and all(a["score"] < b["score"] for a, b in zip(hull, hull[1:])), hull
    assert min(r["bit_rate"] for r in report["recipes"]) == hull[0]["bit_rate"]
    root = xml.etree.ElementTree.parse("a.svg").getroot()
    assert root.tag.endswith("svg") and root.get("viewBox") == "0 0 900 600", root.attrib
    with open("a.PNG", "rb") as f:
        assert f.read(8) == b"\x89PNG\r\n\x1a\n"
    got = expect(ladder("h264", "--bitrate", "200k,1M", "--format", "csv"), 0)
    rows = list(csv.DictReader(got.stdout.splitlines()))
    assert [(row["codec"], row["preset"], row["bitrate"], row["crf"], row["state"]) for row in rows] == [
        ("h264", "ultrafast", "200000", "", "scored"), ("h264", "ultrafast", "1000000", "", "scored")], rows
    assert float(rows[0]["bit_rate"]) < float(rows[1]["bit_rate"]) and float(rows[0]["score"]) < float(rows[1]["score"])


@case
def a_target_is_reached_by_the_cheapest_recipe_in_few_encodes():
    clip()
    need_codecs("h264", "hevc")
    every = json.loads(expect(ladder("h264", "--crf", "1-51", "--json"), 0).stdout)["recipes"]
    scores = sorted(r["score"] for r in every)
    target = round((scores[15] + scores[35]) / 2, 1)
    got = json.loads(expect(ladder("h264", "--target-vmaf", target, "--json"), 0).stdout)
    best = got["recipes"][got["target"]["recipe"]]
    assert got["target"]["reached"] and best["score"] >= target, got["target"]
    cheaper = next(r for r in every if r["crf"] == best["crf"] + 1)
    assert cheaper["score"] < target, (best, cheaper)
    assert len(got["recipes"]) <= 9, [r["crf"] for r in got["recipes"]]
    text = expect(ladder("h264,hevc", "--crf", "20-44:4", "--target-vmaf", target, "--plot", "t.png"), 0).stdout
    assert re.search(rf"> \S+ crf \d+ reaches {target:g} with", text), text
    assert os.path.getsize("t.png") > 1000


@case
def a_target_out_of_reach_is_told_with_a_code_of_its_own():
    clip()
    need_codecs("h264")
    got = expect(ladder("h264", "--crf", "40-50:5", "--target-vmaf", "100"), 12, "no recipe reaches 100")
    assert "crf 40" in got.stdout, got.stdout
    report = json.loads(expect(ladder("h264", "--crf", "45", "--target-vmaf", "100", "--json"), 12).stdout)
    assert report["target"] == {"score": 100, "reached": False}, report["target"]


@case
def an_encoder_that_is_not_here_does_not_end_the_others():
    clip()
    there, missing = encoders()
    if "h264" not in there or not missing:
        raise Skip("all encoders work here")
    got = expect(ladder(f"h264,{missing[0]}", "--crf", "30,40", "--output", "a.csv"), 0, "2 of 4 failed", "no BD-rate")
    assert got.stdout.count("failed: ") == 2, got.stdout
    with open("a.csv", encoding="utf-8", newline="") as f:
        rows = list(csv.DictReader(f))
    assert [row["state"] for row in rows] == ["scored", "scored", "failed", "failed"], rows
    assert rows[2]["error"] and not rows[2]["score"], rows[2]
    expect(ladder(missing[0], "--crf", "30", "--plot", "a.svg"), 11, "failed: ", "no plot")
    assert not os.path.exists("a.svg")
    expect(ladder(f"{missing[0]},h264", "--crf", "20-40:4", "--target-vmaf", "10"), 0, "failed: ", "reaches 10")
    expect(ladder("h264", "--crf", "30", "--preset", "fats"), 11, "fats")


@case
def arguments_that_make_no_ladder_are_usage_errors():
    clip(n=2)
    for arguments, word in (
            ((), "--codec"),
            (("--codec", "h246", "--crf", "30"), "did you mean 'h264'"),
            (("--codec", "h265", "--crf", "30"), "did you mean 'hevc'? `vmafx"),
            (("--codec", "x265", "--crf", "30"), "did you mean 'libx265'?"),
            (("--codec", "h264,h264", "--crf", "30"), "twice"),
            (("--codec", "h264"), "--crf or --bitrate is missing for h264"),
            (("--codec", "h264,av1", "--crf", "av1=30"), "missing for h264"),
            (("--codec", "h264", "--crf", "hevc=30"), "'hevc' is not in --codec"),
            (("--codec", "h264", "--crf", "30-20"), "smaller"),
            (("--codec", "h264", "--crf", "30-20:2"), "as in 20-30"),
            (("--codec", "h264", "--crf", "20-30:0"), "cannot be 0"),
            (("--codec", "h264", "--crf", "256"), "between 0 and 255"),
            (("--codec", "h264", "--crf", "1-255:0.000000001"), "more than 64 values"),
            (("--codec", "h264", "--crf", "30", "--bitrate", "1M"), "'30' and '1M' are for the same codecs"),
            (("--codec", "h264", "--crf", "30", "--crf", "20"), "'30' and '20' are for the same codecs"),
            (("--codec", "h264", "--crf", "h264=30", "--bitrate", "h264=1M"), "'h264=30' and 'h264=1M'"),
            (("--codec", "h264", "--crf", "30", "--preset", "slow", "--preset", "fast"), "'slow' and 'fast'"),
            (("--codec", "h264", "--crf", "30", "--plot", "a.svg", "--plot", "a.svg"), "something else is written there"),
            (("--codec", "h264", "--crf", "30", "--plot", "a.svg", "--output", "a.svg"), "something else is written there"),
            (("--codec", "h264", "--crf", "30", "--output", "ref.y4m"), "would replace the video"),
            (("--codec", "h264", "--bitrate", "1X"), "1X"),
            (("--codec", "h264", "--crf", "30", "--size", "640"), "640"),
            (("--codec", "h264", "--crf", "30", "--size", "1x1,2x2,3x3,4x4,5x5,6x6,7x7,8x8,9x9"), "at most 8"),
            (("--codec", "h264,hevc,av1,vp9,vp8", "--crf", "0-63", "--size", "64x64"), "320 recipes"),
            (("--codec", "h264", "--crf", "30", "--target-vmaf", "101"), "--target-vmaf"),
            (("--codec", "h264", "--crf", "30", "--target-vmaf", "1,2"), "--target-vmaf"),
            (("--codec", "h264", "--crf", "30", "--plot", "a.gif"), ".svg or .png"),
            (("--codec", "h264", "--crf", "30", "--format", "xml"), "json or csv"),
            (("--codec", "h264", "--crf", "30", "--bd", "akima"), "piecewise or cubic"),
            (("--codec", "h264", "--crf", "30", "--json", "--output", "-"), "standard output"),
            (("--codec", "h264", "--crf", "30", "--label", "a=b"), "--controller"),
            (("--codec", "h264", "--crf", "30", "--controller", "127.0.0.1:1", "--threads", "2"), "nodes have their own"),
            (("--codec", "h264", "--crf", "30", "--preset", "av1=8"), "'av1' is not in --codec"),
            (("ref.y4m",), "stands alone")):
        expect(run("ladder", "--reference", "ref.y4m", *arguments), 2, word)
    expect(run("ladder", "--codec", "h264", "--crf", "30"), 2, "--reference")
    expect(run("ladder", "--reference", "-", "--codec", "h264", "--crf", "30"), 2, "name a file")


@case
def what_is_wrong_with_everything_ends_it_at_once():
    clip(n=2)
    expect(run("ladder", "--reference", "none.y4m", "--codec", "h264", "--crf", "20-50"), 3, "none.y4m")
    expect(ladder("h264", "--crf", "20-50", "--model", "vmaf_v9"), 5, "vmaf_v9")
    expect(ladder("h264", "--crf", "20-50", "--plot", "none/a.svg"), 6, "none/a.svg")
    expect(ladder("h264", "--crf", "20-50", "--output", "none/a.json"), 6, "none/a.json")
    os.mkfifo("fifo")
    expect(run("ladder", "--reference", "fifo", "--codec", "h264", "--crf", "30"), 3, "only once")


def interrupted(arguments, env=None, until=lambda: True):
    """Starts a ladder, sends SIGINT once `until` says so; the finished process."""
    process = subprocess.Popen([PROGRAM, "ladder", *map(str, arguments)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True, env=env)
    end = time.monotonic() + 60
    while not until():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end, "it never came so far"
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


@case
def ctrl_c_ends_it_and_writes_no_file():
    clip(n=60, w=320, h=240)
    need_codecs("h264")
    begun = time.monotonic()
    got = interrupted(["--reference", "ref.y4m", "--codec", "h264", "--crf", "10-51", "--preset", "veryslow", "--output",
                       "a.json", "--plot", "a.svg"], until=lambda: time.monotonic() > begun + 1)
    expect(got, 10, "cancelled")
    assert sorted(os.listdir(".")) == ["ref.y4m"], os.listdir(".")


@case
def a_fleet_scores_the_same_as_this_machine():
    clip()
    need_codecs("h264")
    with Fleet(nodes=2) as fleet:
        asked = ["ladder", "--reference", "ref.y4m", "--codec", "h264", "--crf", "24-40:8", "--preset", "ultrafast",
                 "--size", "128x96,96x72", "--label", "show=7", "--json"]
        got = fleet.cli(*asked, timeout=TIMEOUT)
        expect(got, 0)
        there = json.loads(got.stdout)
        here = json.loads(expect(run(*asked[:-3], "--json", "--encoder-threads", "1", timeout=TIMEOUT), 0).stdout)
        assert [r["state"] for r in there["recipes"]] == ["scored"] * 6, there
        for a, b in zip(there["recipes"], here["recipes"]):
            assert (a["score"], a["size_bytes"], a["bit_rate"]) == (b["score"], b["size_bytes"], b["bit_rate"]), (a, b)
        label = re.search(r"ladder=(\w+)", got.stderr).group(0)
        jobs = fleet.jobs("--label", label, "--label", "show=7")
        assert {job["id"] for job in jobs} == {r["job"] for r in there["recipes"]}, jobs
        assert {kv["value"] for job in jobs for kv in job["spec"]["labels"] if kv["key"] == "recipe"} == {
            f"h264 {size} crf {crf}" for size in ("128x96", "96x72") for crf in (24, 32, 40)}
        found = fleet.cli("ladder", "--reference", "ref.y4m", "--codec", "h264", "--preset", "ultrafast", "--crf", "24-40:4",
                          "--target-vmaf", "1", timeout=TIMEOUT)
        expect(found, 0, "reaches 1")


@case
def a_fleet_tells_what_fails_and_ctrl_c_cancels_its_jobs():
    clip(n=60, w=320, h=240)
    need_codecs("h264")
    with Fleet(nodes=1, slots=1) as fleet:
        expect(fleet.cli("ladder", "--reference", "/none.y4m", "--codec", "h264", "--crf", "30,40", "--quiet",
                         timeout=TIMEOUT), 3, "failed: ", "/none.y4m")
        expect(fleet.cli("ladder", "--reference", "ref.y4m", "--codec", "h264", "--crf", "30", "--preset", "fats",
                         timeout=TIMEOUT), 11, "failed: ", "fats")
        got = interrupted(["--reference", "ref.y4m", "--codec", "h264", "--crf", "10-51", "--preset", "veryslow", "--plot",
                           "a.svg", "--label", "run=long", "--controller", f"127.0.0.1:{fleet.port}"], env=fleet.env,
                          until=lambda: fleet.jobs("--label", "run=long", "--state", "running"))
        expect(got, 10, "cancelled")
        assert not glob.glob("a.svg*"), os.listdir(".")
        ended = fleet.wait_all_ended()
        states = [job["state"] for job in ended if {"key": "run", "value": "long"} in job["spec"]["labels"]]
        assert len(states) == 42 and states.count("JOB_STATE_CANCELLED") >= 30, states
    expect(run("ladder", "--reference", "ref.y4m", "--codec", "h264", "--crf", "30", "--controller", "127.0.0.1:1"), 8,
           "127.0.0.1:1")


main()

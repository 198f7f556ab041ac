# SPDX-License-Identifier: BSD-2-Clause-Patent
"""The command line as its user meets it: verdicts, exit codes, wrong inputs, reports."""
import csv
import json
import os
import signal
import subprocess
import xml.etree.ElementTree

from harness import PROGRAM, Skip, case, expect, ffmpeg, load, main, need_models, pair, run, write_y4m, write_yuv

FEATURES = ("--features-only", "--feature", "vif", "--feature", "motion", "--feature", "adm")


def score(*arguments, **options):
    return run("score", "--reference", "ref.y4m", "--distorted", "dis.y4m", *arguments, **options)


@case
def every_command_has_help_with_an_example_first():
    for command in ("score", "vmaf", "models", "doctor", "completion"):
        text = expect(run(command, "--help"), 0).stdout
        assert "vmafx " + command in text.split("\n\n")[0] + text.split("\n\n")[1], text[:400]
    expect(run("--help"), 0, "score", "models", "doctor")
    expect(run("--version"), 0, "vmafx")


@case
def a_typo_gets_a_suggestion():
    expect(run("scroe"), 2, "score")
    expect(run("score", "--referense", "a"), 2, "--reference")
    expect(run(), 2)


@case
def missing_and_doubtful_arguments_are_usage_errors():
    pair()
    expect(run("score", "--reference", "ref.y4m"), 2, "--distorted")
    expect(score("--threads", "many"), 2, "--threads")
    expect(score("--format", "yaml"), 2, "yaml")
    expect(score("--subsample", "0"), 2, "--subsample")
    expect(score("--frames", "5:none"), 2, "--frames")


@case
def a_file_from_here_means_nothing_to_a_controller_elsewhere():
    pair()
    expect(run("submit", "--controller", "192.0.2.1:7801", "--reference", "ref.y4m", "--distorted", "dis.y4m"), 2,
           "ref.y4m", "192.0.2.1:7801", "--upload")


@case
def inputs_that_cannot_be_read_give_3():
    need_models()
    pair()
    expect(run("score", "--reference", "none.y4m", "--distorted", "dis.y4m", *FEATURES), 3, "none.y4m")
    with open("text.txt", "w", encoding="utf-8") as f:
        f.write("This is no video.\n" * 40)
    expect(run("score", "--reference", "text.txt", "--distorted", "dis.y4m", *FEATURES), 3, "text.txt")
    open("empty.mp4", "w", encoding="utf-8").close()
    expect(run("score", "--reference", "ref.y4m", "--distorted", "empty.mp4", *FEATURES), 3, "empty.mp4")
    expect(run("score", "--reference", "http://example.org/a.mp4", "--distorted", "dis.y4m", *FEATURES), 3, "http:")
    os.mkdir("folder")
    expect(run("score", "--reference", "folder", "--distorted", "dis.y4m", *FEATURES), 3, "folder")


@case
def pairs_that_do_not_match_give_4_and_name_the_option():
    need_models()
    write_y4m("ref.y4m")
    for arguments, option in (({"w": 60}, "--scale"), ({"depth": 10}, "--convert-depth"), ({"rate": "30:1"}, "--ignore-rate")):
        write_y4m("dis.y4m", noise=1, **arguments)
        expect(score(*FEATURES), 4, option)
    write_y4m("ref.y4m", extra=" XCOLORRANGE=FULL")
    write_y4m("dis.y4m", extra=" XCOLORRANGE=LIMITED")
    expect(score(*FEATURES), 4, "--convert-range")


@case
def a_shorter_input_gives_4_when_its_size_tells_and_7_when_its_end_does():
    need_models()
    raw = ("--width", 64, "--height", 48, "--pixel-format", "420", "--bit-depth", 8)
    write_yuv("ref.yuv")
    write_yuv("dis.yuv", noise=1, n=5)
    files = ("--reference", "ref.yuv", "--distorted", "dis.yuv")
    expect(run("score", *files, *raw, *FEATURES), 4, "--accept-shorter")
    expect(run("score", *files, *raw, *FEATURES, "--accept-shorter"), 0)
    write_y4m("ref.y4m")
    write_y4m("dis.y4m", noise=1, n=5)
    expect(score(*FEATURES), 7, "--accept-shorter")
    expect(score(*FEATURES, "--accept-shorter"), 0)


@case
def what_was_adapted_is_in_the_report():
    need_models()
    write_y4m("ref.y4m", w=64, h=48)
    write_y4m("dis.y4m", w=48, h=40, depth=10, noise=1, n=4)
    report = json.loads(expect(score("--scale", "reference", "--convert-depth", "--accept-shorter", "--json"), 0).stdout)
    text = json.dumps(report)
    assert "48x40" in text and "64x48" in text and "bicubic" in text, text
    assert report["complete"] is True and len(report["frames"]) == 4


@case
def models_and_features_that_cannot_be_used_give_5():
    need_models()
    pair()
    expect(score("--model", "vmaf_v9.9.9"), 5, "vmaf_v9.9.9")
    expect(score("--feature", "float_ansnr"), 5, "not available in this version")
    expect(score("--feature", "vif=vif_enhn_gain_limit=1000"), 5, "vif_enhn_gain_limit")
    expect(score("--feature", "vif=egl=1"), 5, "egl")
    with open("bad.json", "w", encoding="utf-8") as f:
        f.write('{"model_dict": 3}')
    expect(score("--model", "path=bad.json"), 5, "bad.json")


@case
def an_output_that_cannot_be_written_gives_6():
    need_models()
    pair()
    expect(score(*FEATURES, "--output", "no/such/folder/r.json"), 6, "no/such/folder")
    if os.path.exists("/dev/full"):
        with open("/dev/full", "w", encoding="utf-8") as full:
            process = subprocess.run([PROGRAM, "score", "--reference", "ref.y4m", "--distorted", "dis.y4m", *FEATURES,
                                      "--json"], stdout=full, stderr=subprocess.PIPE, check=False)
        assert process.returncode == 6, process


@case
def a_cut_input_gives_7_and_keeps_what_was_scored():
    need_models()
    pair()
    size = os.path.getsize("dis.y4m")
    os.truncate("dis.y4m", size - 2000)
    process = expect(score(*FEATURES, "--json"), 7, "dis.y4m")
    report = json.loads(process.stdout)
    assert report["complete"] is False and len(report["frames"]) == 5, report
    expect(score(*FEATURES, "--accept-shorter"), 7)


@case
def a_cut_mp4_gives_7():
    need_models()
    ffmpeg("-f", "lavfi", "-i", "testsrc2=size=192x112:rate=25:duration=3", "-pix_fmt", "yuv420p", "-c:v", "libx264",
           "-preset", "ultrafast", "-movflags", "+faststart", "ref.mp4")
    with open("ref.mp4", "rb") as f:
        data = f.read()
    with open("dis.mp4", "wb") as f:
        f.write(data[: len(data) * 6 // 10])
    process = expect(run("score", "--reference", "ref.mp4", "--distorted", "dis.mp4", *FEATURES, "--json"), 7, "dis.mp4")
    report = json.loads(process.stdout)
    assert report["complete"] is False and 10 < len(report["frames"]) < 75, len(report["frames"])


@case
def pipes_are_read_like_files():
    need_models()
    pair()
    wanted = json.loads(expect(score("--json", "--no-digest"), 0).stdout)["pooled"]
    os.mkfifo("pipe")
    with open("dis.y4m", "rb") as f:
        writer = subprocess.Popen(["sh", "-c", "cat ref.y4m > pipe"])
        got = run("score", "--reference", "pipe", "--distorted", "-", "--json", stdin=f)
        writer.wait()
    assert json.loads(expect(got, 0).stdout)["pooled"] == wanted


@case
def every_format_has_every_frame_and_value():
    need_models()
    pair()
    for kind in ("json", "ndjson", "csv", "xml"):
        expect(score("--format", kind, "--output", "report." + kind), 0)
    frames = load("report.json")["frames"]
    assert len(frames) == 6
    rows = list(csv.reader(open("report.csv", newline="", encoding="utf-8")))
    assert len(rows) == 7 and len({len(row) for row in rows}) == 1, rows[0]
    lines = [json.loads(line) for line in open("report.ndjson", encoding="utf-8")]
    assert len(lines) == 8
    root = xml.etree.ElementTree.parse("report.xml").getroot()
    assert len(root.find("frames")) == 6
    column = rows[0].index("vmaf")
    for i, frame in enumerate(frames):
        assert float(rows[i + 1][column]) == frame["metrics"]["vmaf"]


@case
def the_table_shows_the_verdict_first():
    need_models()
    pair()
    text = expect(score(), 0).stdout
    assert text.splitlines()[0].startswith("VMAF "), text
    for word in ("mean", "harmonic", "min", "p5", "p1", "00:00:0"):
        assert word in text, text


@case
def an_ensemble_shows_its_confidence_interval():
    need_models()
    if run("models", "path", "vmaf_b_v0.6.3").returncode:
        raise Skip("the model vmaf_b_v0.6.3 is missing")
    pair()
    report = json.loads(expect(score("--model", "vmaf_b_v0.6.3", "--json"), 0).stdout)
    names = [name for name in report["pooled"] if name.endswith("_ci_p95_lo")]
    assert names, list(report["pooled"])


def start_an_endless_one():
    """A scoring into report.json in the middle of its frames: the distorted video is a pipe that stays open."""
    write_y4m("ref.y4m", w=320, h=240, n=8)
    with open("ref.y4m", "rb") as f:
        data = f.read()
    process = subprocess.Popen([PROGRAM, "score", "--reference", "ref.y4m", "--distorted", "-", *FEATURES, "--output",
                                "report.json"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdin.write(data[: len(data) * 3 // 4])  # far more than a pipe holds: most of it has been read by now
    process.stdin.flush()
    assert process.poll() is None
    return process


@case
def interrupting_gives_10_and_leaves_no_output_behind():
    process = start_an_endless_one()
    process.send_signal(signal.SIGINT)
    output = process.communicate(timeout=60)
    assert process.returncode == 10, (process.returncode, output)
    assert os.listdir(".") == ["ref.y4m"], os.listdir(".")


@case
def a_kill_in_the_middle_leaves_the_old_report():
    with open("report.json", "w", encoding="utf-8") as f:
        f.write("old")
    process = start_an_endless_one()
    process.kill()
    process.communicate(timeout=60)
    with open("report.json", encoding="utf-8") as f:
        assert f.read() == "old"


@case
def raw_video_needs_its_four_facts():
    need_models()
    write_yuv("ref.yuv")
    write_yuv("dis.yuv", noise=1)
    raw = ("--reference", "ref.yuv", "--distorted", "dis.yuv")
    expect(run("score", *raw, *FEATURES, "--width", 64, "--height", 48), 2, "--pixel-format")
    expect(run("score", *raw, *FEATURES, "--width", 64, "--height", 48, "--pixel-format", "420", "--bit-depth", 8), 0)


@case
def features_alone_need_no_model():
    pair()
    nowhere = {"VMAFX_MODEL_PATH": "/nonexistent", "HOME": os.getcwd(), "XDG_DATA_HOME": os.getcwd()}
    expect(score(*FEATURES, env=nowhere), 0, "features only, 6 frames", "integer_vif_scale0")
    report = json.loads(expect(score(*FEATURES, "--json", env=nowhere), 0).stdout)
    assert report["verdict"] is None and "integer_adm2" in report["pooled"], report
    expect(score("--features-only"), 2, "--feature")
    expect(score(*FEATURES, "--model", "vmaf_v0.6.1"), 2, "--model")


@case
def a_picture_too_small_is_named():
    need_models()
    pair(w=20, h=20)
    process = score("--feature", "adm")
    assert process.returncode in (4, 5), process
    assert "33x33" in process.stderr, process.stderr


@case
def the_report_says_where_it_comes_from():
    need_models()
    pair()
    report = json.loads(expect(score("--json"), 0).stdout)
    text = json.dumps(report)
    for word in ("sha256", "y4m", "vmaf_v0.6.1"):
        assert word in text, text[:2000]


@case
def doctor_and_models_agree_about_the_model():
    need_models()
    expect(run("doctor"), 0, "vmaf_v0.6.1")
    listing = json.loads(expect(run("models", "list", "--json"), 0).stdout)
    assert "vmaf_v0.6.1" in json.dumps(listing)
    expect(run("models", "show", "vmaf_v0.6.1"), 0, "VMAF_integer_feature_adm2_score")
    expect(run("models", "show", "vmaf_v0.6.0"), 5, "vmaf_v0.6.1")


@case
def importing_from_a_file_without_models_says_so():
    with open("junk", "wb") as f:
        f.write(b'\0{"model_dict": [1, 2' + b"{" * 100000)
    process = run("models", "import", "junk", "--directory", "models")
    assert process.returncode in (3, 5), process
    assert "junk" in process.stderr, process.stderr


@case
def without_any_model_the_way_to_get_one_is_told():
    pair()
    nowhere = {"VMAFX_MODEL_PATH": "/nonexistent", "HOME": os.getcwd(), "XDG_DATA_HOME": os.getcwd()}
    process = score(env=nowhere)
    if process.returncode == 0:
        raise Skip("models are installed on this machine")
    expect(process, 5, "vmafx models import")


def delays_libraries():
    """Whether this build loads FFmpeg when it is called; a build of static libraries, or for other machines, does not."""
    listing = run("--version", env={"LD_TRACE_LOADED_OBJECTS": "1"}).stdout
    if "libavformat" in listing:
        raise Skip("this build has its libraries from the start")


@case
def a_scoring_of_y4m_loads_no_library_that_it_does_not_need():
    delays_libraries()
    pair()
    process = expect(score(*FEATURES, env={"LD_DEBUG": "files"}), 0)
    assert "libcrypto" in process.stderr, process.stderr[:2000]
    for library in ("libavformat", "libgrpc", "libcurl", "libcairo", "libgnutls", "libmicrohttpd"):
        assert library not in process.stderr, [line for line in process.stderr.splitlines() if library in line]


@case
def a_library_that_cannot_be_loaded_is_named_and_gives_127():
    delays_libraries()
    pair()
    os.mkdir("broken")
    for version in range(57, 70):  # one of them is what this build wants
        with open(f"broken/libavformat.so.{version}", "wb") as f:
            f.write(b"\x7fELF, but no library")
    with open("text.mkv", "wb") as f:
        f.write(b"\x1a\x45\xdf\xa3" + bytes(1000))
    broken = {"LD_LIBRARY_PATH": os.path.abspath("broken")}
    expect(run("score", "--reference", "text.mkv", "--distorted", "dis.y4m", *FEATURES, env=broken), 127, "libavformat.so")
    expect(score(*FEATURES, env=broken), 0)


main()

# SPDX-License-Identifier: BSD-2-Clause-Patent
"""`vmafx encode-score` and `vmafx encoders`: the scores of ffmpeg followed by `vmafx score`, what is kept, what goes wrong."""
import json
import os
import resource
import signal
import subprocess
import time

from harness import PROGRAM, Skip, case, expect, ffmpeg, main, need, need_models, run

os.environ["SVT_LOG"] = "0"  # the ffmpeg program would print its settings
SIZE = "256x128"  # narrower pictures make libx264 differ from run to run

# One row for each software encoder: what is asked for.
RECIPES = {
    "libx264": ("--preset", "fast", "--crf", "30", "--option", "bf=2"),
    "libx265": ("--preset", "ultrafast", "--crf", "32"),
    "libsvtav1": ("--preset", "10", "--crf", "45"),
    "libaom-av1": ("--preset", "8", "--crf", "50"),
    "librav1e": ("--preset", "10", "--crf", "150"),
    "libvpx-vp9": ("--preset", "8", "--crf", "45", "--gop", "12"),
    "libvpx": ("--preset", "8", "--bitrate", "150k"),
}


def make_reference(path="ref.y4m", n=24, pix_fmt="yuv420p", size=SIZE, rate=25):
    need("ffmpeg", "ffmpeg")
    ffmpeg("-f", "lavfi", "-i", f"testsrc2=s={size}:r={rate}:d={n / rate}", "-pix_fmt", pix_fmt, "-strict", "-1", path)
    return path


def encode(*arguments, **options):
    return run("encode-score", "--reference", "ref.y4m", *arguments, **options)


def report(*arguments, **options):
    return json.loads(expect(encode("--json", *arguments, **options), 0).stdout)


def working():
    listed = json.loads(expect(run("encoders", "--json"), 0).stdout)
    return {e["encoder"]: e for e in listed["encoders"] if e["works"]}


def with_ffmpeg(facts, out, filters=()):
    """What the ffmpeg program makes at the settings that a report names."""
    settings = [word for key, value in facts["options"].items() for word in ("-" + key, value)]
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        if facts["encoder"] == "libx264" and " avx512f " in f.read():
            settings += ["-x264-params", "asm=avx2"]
    ffmpeg("-i", "ref.y4m", "-fps_mode", "passthrough", *filters, "-c:v", facts["encoder"], "-pix_fmt", facts["pixel_format"],
           *settings, out)
    return out


def frames_of(one):
    return [frame["metrics"] for frame in one["frames"]]


@case
def scores_are_those_of_ffmpeg_followed_by_score():
    need_models()
    make_reference()
    usable = working()
    tried = [name for name in RECIPES if name in usable]
    if not tried:
        raise Skip("this machine's FFmpeg has no encoder; install ffmpeg")
    for name in tried:
        ours = report("--encoder", name, *RECIPES[name])
        facts = ours["encode"]
        assert facts["encoder"] == name and facts["frames"] == 24 and facts["size_bytes"] > 0, facts
        assert facts["version"] and facts["reason"] and facts["seconds"] > 0 and facts["frames_per_second"] > 0, facts
        assert abs(facts["bit_rate"] - facts["size_bytes"] * 8 * 25 / 24) < 1e-6 * facts["bit_rate"], facts
        out = with_ffmpeg(facts, name + ".mkv")
        theirs = json.loads(expect(run("score", "--reference", "ref.y4m", "--distorted", out, "--json", "--ignore-start"),
                                   0).stdout)
        assert frames_of(ours) == frames_of(theirs), (name, ours["verdict"], theirs["verdict"])
        assert ours["verdict"] == theirs["verdict"] and ours["complete"]
        packets = subprocess.run(["ffprobe", "-v", "error", "-show_entries", "packet=size", "-of", "csv=p=0", out],
                                 capture_output=True, text=True, check=True).stdout
        more = sum(int(line.strip(",")) for line in packets.split()) - facts["size_bytes"]
        # Matroska writes each unit's length of H.264 and HEVC in four bytes, where encoders may begin one with three, and
        # leaves out AV1's two bytes before each picture.
        assert abs(more) <= (0 if facts["codec"].startswith("vp") else 2 * 24), (name, more)


@case
def another_size_is_scaled_encoded_and_scored_at_the_references():
    need_models()
    make_reference()
    if "libx264" not in working():
        raise Skip("no libx264")
    ours = report("--codec", "h264", "--crf", "30", "--size", "128x64")
    assert ours["encode"]["width"] == 128 and ours["encode"]["height"] == 64
    assert ours["compared"] == {"width": 256, "height": 128} and "scaled from 128x64" in str(ours["adaptations"])
    out = with_ffmpeg(ours["encode"], "small.mkv", ("-vf", "scale=128:64:flags=bicubic+accurate_rnd+bitexact+full_chroma_int"))
    theirs = json.loads(expect(run("score", "-r", "ref.y4m", "-d", out, "--json", "--scale", "reference", "--ignore-start"),
                               0).stdout)
    assert frames_of(ours) == frames_of(theirs)
    both = report("--codec", "h264", "--crf", "30", "--size", "128x64", "--scale", "128x64")
    assert both["compared"] == {"width": 128, "height": 64}


@case
def ten_bits_stay_ten_bits():
    need_models()
    make_reference(pix_fmt="yuv420p10le")
    if "libx265" not in working():
        raise Skip("no libx265")
    ours = report("--codec", "hevc", "--preset", "ultrafast", "--crf", "30")
    assert ours["encode"]["pixel_format"] == "yuv420p10le" and ours["inputs"]["distorted"]["bit_depth"] == 10, ours
    expect(encode("--codec", "hevc", "--preset", "ultrafast", "--pix-fmt", "yuv420p"), 4, "--convert-depth")


@case
def what_is_kept_is_what_was_scored():
    need_models()
    make_reference()
    ours = report("--codec", "vp9", "--preset", "8", "--crf", "40", "--keep", "kept.mkv")
    assert ours["encode"]["kept"] == "kept.mkv"
    theirs = json.loads(expect(run("score", "-r", "ref.y4m", "-d", "kept.mkv", "--json", "--ignore-start"), 0).stdout)
    assert frames_of(ours) == frames_of(theirs)
    expect(encode("--codec", "vp9", "--preset", "8", "--frames", "0:5", "--keep", "cut.mkv"), 11, "frame count")
    expect(encode("--codec", "vp9", "--keep", "none/kept.mkv"), 6, "none/kept.mkv")
    expect(encode("--codec", "vp9", "--keep", "."), 6, "plain file")
    assert sorted(os.listdir(".")) == ["kept.mkv", "ref.y4m"], os.listdir(".")


@case
def nothing_is_left_of_a_file_that_did_not_fit():
    need_models()
    make_reference(n=50)
    with open("kept.mkv", "w", encoding="utf-8") as f:
        f.write("from before")

    def small_files():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

    done = subprocess.run([PROGRAM, "encode-score", "-r", "ref.y4m", "--codec", "h264", "--crf", "1", "--keep", "kept.mkv"],
                          capture_output=True, text=True, timeout=120, preexec_fn=small_files, check=False)
    expect(done, 6, "File too large after 4096 bytes")
    with open("kept.mkv", encoding="utf-8") as f:
        assert f.read() == "from before"
    assert sorted(os.listdir(".")) == ["kept.mkv", "ref.y4m"], os.listdir(".")


@case
def a_reference_from_a_pipe_is_staged_first():
    need_models()
    make_reference()
    recipe = ("--codec", "h264", "--crf", "30", "--json")
    by_name = json.loads(expect(encode(*recipe), 0).stdout)
    with open("ref.y4m", "rb") as f, subprocess.Popen(["cat"], stdin=f, stdout=subprocess.PIPE) as cat:
        piped = run("encode-score", "-r", "-", *recipe, stdin=cat.stdout, env={"TMPDIR": os.getcwd()})
    assert frames_of(json.loads(expect(piped, 0).stdout)) == frames_of(by_name)
    os.mkfifo("fifo")
    with subprocess.Popen(["sh", "-c", "sleep 0.3; cat ref.y4m > fifo"]):
        fifo = run("encode-score", "-r", "fifo", *recipe)
    assert frames_of(json.loads(expect(fifo, 0).stdout)) == frames_of(by_name)
    with subprocess.Popen(["cat", "ref.y4m"], stdout=subprocess.PIPE) as cat:
        expect(run("encode-score", "-r", "-", *recipe, "--stage-max", "100k", stdin=cat.stdout), 3, "--stage-max")
        cat.stdout.close()
    with open("ref.y4m", "rb") as f:
        expect(run("encode-score", "-r", "-", *recipe, stdin=f, env={"TMPDIR": "/nonexistent"}), 3, "TMPDIR")
    expect(run("encode-score", "-r", "-", *recipe), 3, "empty")
    assert sorted(os.listdir(".")) == ["fifo", "ref.y4m"], os.listdir(".")


@case
def raw_references_are_encoded_too():
    need_models()
    make_reference()
    ffmpeg("-i", "ref.y4m", "-f", "rawvideo", "ref.yuv")
    raw = ("--width", "256", "--height", "128", "--pixel-format", "420", "--bit-depth", "8")
    named = report("--codec", "h264", "--crf", "30")
    ours = json.loads(expect(run("encode-score", "-r", "ref.yuv", *raw, "--codec", "h264", "--crf", "30", "--json"), 0).stdout)
    assert frames_of(ours) == frames_of(named)
    assert ours["encode"]["bit_rate"] is None  # nobody knows how many frames a second there are


@case
def a_cut_reference_gives_7_and_the_part_before():
    need_models()
    make_reference()
    with open("ref.y4m", "r+b") as f:
        f.truncate(os.path.getsize("ref.y4m") - 60000)
    done = expect(encode("--codec", "h264", "--crf", "30", "--json", "--keep", "kept.mkv"), 7, "ends inside")
    cut = json.loads(done.stdout)
    assert not cut["complete"] and 20 <= cut["frames_scored"] <= 23 and cut["encode"]["kept"] is None, cut["frames_scored"]
    assert not os.path.exists("kept.mkv")


@case
def what_an_encoder_cannot_do_gives_11():
    need_models()
    make_reference()
    for arguments, words in (
            (("--codec", "mpeg2"), ("mpeg2", "h264")),
            (("--encoder", "libx256"), ("libx256", "libx265")),
            (("--encoder", "libx264", "--codec", "av1"), ("libx264", "h264")),
            (("--codec", "h264", "--preset", "quick"), ("quick", "medium")),
            (("--codec", "h264", "--crf", "99"), ("crf", "99", "51")),
            (("--codec", "h264", "--option", "bff=2"), ("bff",)),
            (("--codec", "h264", "--option", "stats=/tmp/x"), ("stats",)),
            (("--codec", "h264", "--option", "x264-params=stats=/tmp/x"), ("stats",)),
            (("--codec", "h264", "--pix-fmt", "rgb24"), ("rgb24", "yuv420p")),
            (("--codec", "h264", "--size", "127x63"), ("127x63", "even")),
            (("--encoder", "h264_nvenc"), ("h264_nvenc",)),
    ):
        done = expect(encode(*arguments, "--json"), 11, *words)
        assert json.loads(done.stdout)["error"]["code"] == "ENCODER", done.stdout


@case
def arguments_that_make_no_sense_are_usage_errors():
    make_reference()
    expect(run("encode-score", "--codec", "h264"), 2, "--reference")
    expect(encode(), 2, "--codec")
    expect(encode("--codec", "h264", "--crf", "20", "--bitrate", "1M"), 2, "exclude")
    expect(encode("--codec", "h264", "--crf", "good"), 2, "good")
    expect(encode("--codec", "h264", "--bitrate", "1Q"), 2, "1Q")
    expect(encode("--codec", "h264", "--bitrate", "0"), 2, "--bitrate")
    expect(encode("--codec", "h264", "--size", "12"), 2, "--size")
    expect(encode("--codec", "h264", "--option", "novalue"), 2, "KEY=VALUE")
    expect(encode("--codec", "h264", "--gop", "0"), 2, "--gop")
    expect(encode("--codec", "h264", "--stage-max", "much"), 2, "--stage-max")
    expect(encode("--codec", "h264", "stray.mp4"), 2, "stray.mp4")
    expect(run("encode-score", "-r", "none.y4m", "--codec", "h264"), 3, "none.y4m")


@case
def nothing_is_written_over_the_reference_or_over_each_other():
    make_reference()
    os.symlink("ref.y4m", "link.mkv")
    with open("ref.y4m", "rb") as f:
        before = f.read()
    for arguments, words in (
            (("--keep", "ref.y4m"), ("--keep", "would replace the reference")),
            (("--keep", "link.mkv"), ("--keep", "would replace the reference")),
            (("--keep", "-"), ("--keep takes a file",)),
            (("--output", "ref.y4m"), ("--output", "would replace")),
            (("--keep", "new.mkv", "--output", "new.mkv"), ("--keep and --output", "new.mkv")),
    ):
        expect(encode("--codec", "h264", *arguments), 2, *words)
    expect(run("score", "-r", "ref.y4m", "-d", "ref.y4m", "--output", "./ref.y4m"), 2, "would replace")
    with open("ref.y4m", "rb") as f:
        assert f.read() == before
    assert sorted(os.listdir(".")) == ["link.mkv", "ref.y4m"], os.listdir(".")


@case
def a_standard_input_that_is_closed_is_an_error_and_no_wait():
    need_models()
    for arguments in (("encode-score", "-r", "-", "--codec", "h264"), ("score", "-r", "-", "-d", "none.y4m")):
        done = subprocess.run([PROGRAM, *arguments], preexec_fn=lambda: os.close(0), stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, timeout=60, check=False)
        expect(done, 3, "'-'", "Bad file descriptor")


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="utf-8") as f:
        user, system = f.read().rsplit(")", 1)[1].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


@case
def a_signal_ends_an_encode_and_leaves_nothing():
    need_models()
    make_reference(n=200, size="1280x720")
    command = [PROGRAM, "encode-score", "-r", "ref.y4m", "-e", "libaom-av1", "--preset", "0", "--keep", "kept.mkv"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        while child.poll() is None and cpu_seconds(child.pid) < 0.5:  # by then it encodes
            time.sleep(0.02)
        child.send_signal(signal.SIGTERM)
        out, err = child.communicate(timeout=60)
    assert child.returncode == 10, (child.returncode, out, err)
    assert "cancelled" in err and sorted(os.listdir(".")) == ["ref.y4m"], (err, os.listdir("."))


@case
def encoders_are_listed_with_what_they_can():
    text = expect(run("encoders"), 0, "libx264", "software").stdout
    assert "hardware" in text and text.count("\n") > 10
    listed = json.loads(expect(run("encoders", "--json"), 0).stdout)
    assert listed["schema"] == "vmafx.encoders"
    for e in listed["encoders"]:
        assert e["works"] or e["reason"], e
        assert e["codec"] in ("h264", "hevc", "av1", "vp9", "vp8"), e
    expect(run("encoders", "all"), 2, "all")
    expect(run("encode-score", "--help"), 0, "vmafx encode-score", "--crf")


@case
def other_formats_of_reports_say_how_it_was_encoded():
    need_models()
    make_reference()
    expect(encode("--codec", "h264", "--crf", "30", "--output", "a.ndjson"), 0, "encoded by libx264", "kbit/s")
    with open("a.ndjson", encoding="utf-8") as f:
        lines = [json.loads(line) for line in f]
    assert lines[-1]["encode"]["encoder"] == "libx264" and len(lines) == 26
    expect(encode("--codec", "h264", "--crf", "30", "-o", "a.xml", "-q"), 0, "VMAF ")
    with open("a.xml", encoding="utf-8") as f:
        assert f.read().startswith("<VMAF ")  # the reference tool's format has no place for it


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: BSD-2-Clause-Patent
"""vmafx-scorer through the library that runs it: scores, ends of every kind, faults from outside, the sandbox."""
import hashlib
import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

from harness import Skip, built_with, case, expect, ffmpeg, is_task, load, long_pair, main, need_models, pair, \
    run, write_y4m, write_yuv

SCORER, DRIVER, PROBE = (os.path.abspath(path) for path in sys.argv[2:5])
SUCCEEDED, FAILED, CANCELLED, TIMEOUT = 1, 2, 3, 5
INPUT, MISMATCH, MODEL, RESOURCE, NODE, TIMED_OUT, INTERNAL = 1, 2, 3, 5, 6, 7, 8
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
# Where a sanitizer is built in, deaths by signal are to be what they are elsewhere.
SANITIZERS = {"ASAN_OPTIONS": "handle_segv=0:handle_abort=0:" + os.environ.get("ASAN_OPTIONS", "")}
PATIENCE = 120  # seconds; a machine under load is no failure


def children(pid):
    """Process ids, zombies included."""
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/stat", encoding="utf-8", errors="replace") as f:
                if int(f.read().rsplit(")", 1)[1].split()[1]) == pid and is_task(entry):
                    found.append(int(entry))
        except OSError:
            pass
    return found


def until(condition, what):
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.002)
    raise AssertionError(f"waited in vain: {what}")


class Runner:
    """The driver process and its events."""

    def __init__(self, scorer=SCORER, wrapper=(), env=None):
        self.process = subprocess.Popen([*wrapper, DRIVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        env={**os.environ, "VMAFX_SCORER": scorer, **SANITIZERS, **(env or {})})
        self.events, self.kept = queue.Queue(), []
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self.events.put(json.loads(line))
        self.events.put(None)

    def __enter__(self):
        self.ready = self.wait("ready")
        self.scorer = until(lambda: children(self.process.pid), "the scorer")[0]
        return self

    def __exit__(self, *_):
        try:
            self.process.stdin.close()
            assert self.process.wait(PATIENCE) == 0
        finally:
            self.process.kill()

    def tell(self, *words):
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()

    def wait(self, event, tag=None):
        """The next event of this kind, and of this tag; others are kept."""
        for kept in self.kept:
            if kept["event"] == event and tag in (None, kept["tag"]):
                self.kept.remove(kept)
                return kept
        while True:
            came = self.events.get(timeout=PATIENCE)
            assert came is not None, f"the driver ended before {event}"
            if came["event"] == event and tag in (None, came["tag"]):
                return came
            self.kept.append(came)

    def run(self, tag, reference="ref.y4m", distorted="dis.y4m", **options):
        self.tell("run", tag, os.path.abspath(reference), os.path.abspath(distorted),
                  *(f"{key}={value}" for key, value in options.items()))

    def score(self, tag, *files, **options):
        self.run(tag, *files, **options)
        return self.wait("ended", tag)

    def child(self):
        return until(lambda: children(self.scorer), "a child of the scorer")[0]


def models():
    """For every case: the folder with models goes to the scorer by its environment."""
    os.environ["VMAFX_MODEL_PATH"] = need_models()


class Endless:
    """A y4m video that comes through a pipe and never ends, so that its scoring is still there when it is looked for."""

    def __init__(self, name):
        self.name = os.path.abspath(name)
        os.mkfifo(self.name)
        self.over = threading.Event()
        threading.Thread(target=self._write, daemon=True).start()

    def _write(self):
        try:
            with open(self.name, "wb", buffering=0) as f:
                f.write(b"YUV4MPEG2 W64 H48 F25:1 Ip A1:1 C420jpeg\n")
                frame = b"FRAME\n" + bytes(range(256)) * 18
                while not self.over.is_set():
                    f.write(frame)
                    time.sleep(0.001)
        except OSError:
            pass


def endless_pair():
    Endless("endless_ref.y4m")
    Endless("endless_dis.y4m")
    return "endless_ref.y4m", "endless_dis.y4m"


def fails(ended, failure, *words):
    assert ended["outcome"] == FAILED and ended["failure"] == failure, ended
    for word in words:
        assert word in ended["message"], ended
    return ended


def same_scores(ended, report):
    """Every value of every frame, to the bit, against the report of `vmafx score`."""
    frames = report["frames"]
    assert ended["outcome"] == SUCCEEDED and ended["complete"] and ended["frames"] == len(frames), ended
    names = list(ended["series"])
    assert len(names) > 5 and "vmaf" in names
    for name in names:
        expected = [value_of(frame, name) for frame in frames]
        assert ended["series"][name] == expected, name
    assert ended["pooled"]["vmaf"] == report["pooled"]["vmaf"]["mean"], (ended["pooled"], report["pooled"])


def value_of(frame, name):
    for values in (frame, *[part for part in frame.values() if isinstance(part, dict)]):
        if name in values:
            return values[name]
    raise AssertionError(f"no {name} in {frame}")


@case
def scores_equal_those_of_the_command_line_to_the_bit():
    models()
    pair(w=160, h=120, n=12)
    expect(run("score", "--reference", "ref.y4m", "--distorted", "dis.y4m", "--output", "report.json"), 0)
    with Runner() as runner:
        for tag, threads in ((1, 0), (2, 3)):
            ended = runner.score(tag, threads=threads)
            same_scores(ended, load("report.json"))
            for i, name in enumerate(("ref.y4m", "dis.y4m")):
                with open(name, "rb") as f:
                    data = f.read()
                facts = ended["inputs"][i]
                assert facts["sha256"] == hashlib.sha256(data).hexdigest() and facts["size"] == len(data), facts
                assert facts["uri"] == os.path.abspath(name), facts
            assert len(ended["model_sha256"]) == 64 and ended["kernels"] == runner.ready["kernels"], ended


@case
def coded_video_is_decoded_in_the_sandbox_with_threads():
    models()
    need_ffmpeg = ("-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25:duration=2", "-pix_fmt", "yuv420p")
    ffmpeg(*need_ffmpeg, "-c:v", "libx264", "-crf", "10", "-g", "10", "ref.mp4")
    ffmpeg(*need_ffmpeg, "-c:v", "libx264", "-crf", "35", "dis.mp4")
    ffmpeg("-i", "ref.mp4", "-c:v", "libvpx-vp9", "-crf", "40", "-b:v", "0", "-deadline", "realtime", "dis.webm")
    ffmpeg("-i", "ref.mp4", "-c:v", "mpeg4", "-q:v", "5", "dis.avi")
    ffmpeg("-i", "ref.mp4", "-c:v", "libx265", "-crf", "35", "-x265-params", "log-level=error", "dis.mkv")
    with Runner() as runner:
        for tag, name in enumerate(("dis.mp4", "dis.webm", "dis.avi", "dis.mkv"), 1):
            expected = run("score", "--reference", "ref.mp4", "--distorted", name, "--output", "report.json")
            ended = runner.score(tag, "ref.mp4", name, threads=2)
            if expected.returncode == 4:  # a container that says something else of its start or rate
                fails(ended, MISMATCH)
                continue
            expect(expected, 0)
            same_scores(ended, load("report.json"))


@case
def other_models_and_subsampling_are_taken():
    models()
    pair(n=9)
    with Runner() as runner:
        assert "vmaf_v0.6.1" in runner.ready["models"], runner.ready
        ended = runner.score(1, model="vmaf_v0.6.1neg", subsample=3)
        assert ended["outcome"] == SUCCEEDED and ended["series"]["vmaf"][1] is None, ended
        assert [v is not None for v in ended["series"]["vmaf"]] == [True, False, False] * 3
        assert runner.score(2, count=4)["frames"] == 4
        fails(runner.score(3, model="vmaf_v9"), MODEL, "vmaf_v9", "vmaf_v0.6.1")


@case
def raw_video_is_read():
    models()
    write_yuv("ref.yuv")
    write_yuv("dis.yuv", noise=1)
    with Runner() as runner:
        assert runner.score(1, "ref.yuv", "dis.yuv", raw="64x48")["frames"] == 6


@case
def the_sandbox_reports_its_layers():
    models()
    pair()
    with Runner() as runner:
        for layer in ("rlimits", "no_new_privs", "seccomp"):
            assert layer in runner.ready["layers"], runner.ready
        runner.run(1)
        assert runner.wait("begun", 1)["layers"] == runner.ready["layers"]
        assert runner.wait("ended", 1)["outcome"] == SUCCEEDED


@case
def spans_are_siblings_below_the_attempt_unless_nested():
    models()
    pair()
    with Runner() as runner:
        before = time.time_ns()
        ended = runner.score(1, trace=TRACE)
        assert ended["outcome"] == SUCCEEDED
        spans = [event for event in runner.kept if event["event"] == "span"]
        names = [span["name"] for span in spans]
        assert names.count("vmafx.scoring") == 1 and names.count("vmafx.frame.extraction") >= 1, names
        assert all(span["parent"] == "" and len(span["id"]) == 16 for span in spans), spans
        assert len({span["id"] for span in spans}) == len(spans)
        assert all(before <= span["start"] <= span["end"] <= time.time_ns() for span in spans), spans
        scoring = next(span for span in spans if span["name"] == "vmafx.scoring")
        assert {"vmafx.sandbox.layers", "vmafx.score.value", "vmafx.kernel.level", "vmafx.open.time"} <= \
            set(scoring["keys"]), scoring
        assert "vmafx.input.open" not in names, names  # whoever has the attempt makes these
        log = runner.wait("log", 1)
        assert log["body"] == "scoring ended", log

        runner.kept.clear()
        runner.score(2, trace=TRACE, nested=1)
        spans = {event["name"]: event for event in runner.kept if event["event"] == "span"}
        assert spans["vmafx.scoring"]["parent"] == ""
        for name in ("vmafx.frame.extraction", "vmafx.input.open"):
            assert spans[name]["parent"] == spans["vmafx.scoring"]["id"], spans

        runner.kept.clear()
        runner.score(3)
        runner.score(4, trace=TRACE[:-1] + "0")
        assert not [event for event in runner.kept if event["event"] == "span"], runner.kept


@case
def inputs_that_are_no_videos_fail_with_a_class_and_a_sentence():
    models()
    pair()
    with open("text.txt", "w", encoding="utf-8") as f:
        f.write("This is no video.\n" * 40)
    open("empty.mp4", "w", encoding="utf-8").close()
    write_y4m("small.y4m", w=60)
    with open("noise.bin", "wb") as f:
        f.write(os.urandom(100000))
    with Runner() as runner:
        fails(runner.score(1, "ref.y4m", "text.txt"), INPUT, "text.txt", "not a video")
        fails(runner.score(2, "ref.y4m", "empty.mp4"), INPUT, "empty.mp4", "empty")
        fails(runner.score(3, "ref.y4m", "small.y4m"), MISMATCH, "60x48", "64x48")
        fails(runner.score(4, "noise.bin", "dis.y4m"), INPUT, "noise.bin")


@case
def a_cut_input_fails_and_keeps_what_was_scored():
    models()
    pair(n=8)
    expect(run("score", "--reference", "ref.y4m", "--distorted", "dis.y4m", "--output", "report.json"), 0)
    whole = load("report.json")
    with open("dis.y4m", "r+b") as f:
        f.truncate(os.path.getsize("dis.y4m") * 5 // 8)
    with Runner() as runner:
        ended = fails(runner.score(1), INPUT, "dis.y4m", "broke off")
        assert ended["complete"] is False and 3 <= ended["frames"] < 8, ended
        n = ended["frames"] - 1  # the last one's motion2 looks ahead
        assert ended["series"]["integer_adm2"][:n] == [value_of(f, "integer_adm2") for f in whole["frames"][:n]]


# ---- frames that are scored while more arrive ----


class Piped:
    """Two FIFOs being written by turns, from this thread. The writes wait for the scorer to read."""

    def __init__(self, runner, tag, **options):
        self.names = []
        for name in ("ref", "dis"):
            self.names.append(os.path.abspath(f"{name}{tag}.fifo"))
            os.mkfifo(self.names[-1])
        self.runner, self.tag, self.columns, self.seen = runner, tag, None, 0
        runner.run(tag, *self.names, live=1, **options)
        self.files = [open(name, "wb", buffering=0) for name in self.names]

    def write(self, *pieces):
        """The next bytes of each."""
        for f, piece in zip(self.files, pieces):
            if piece:
                f.write(piece)

    def close(self, *which):
        for i in which or (0, 1):
            self.files[i].close()

    def take(self, event):
        if self.columns is None:
            self.names = self.runner.wait("series", self.tag)["names"]
            self.columns = [[] for _ in self.names]
        assert event["first"] == self.seen and len(event["columns"]) == len(self.columns), event
        for column, values in zip(self.columns, event["columns"]):
            column += values
        self.seen = len(self.columns[0])

    def until(self, n):
        """Waits until n frames have been told of."""
        while self.seen < n:
            self.take(self.runner.wait("frames", self.tag))

    def end(self):
        """The end of the task; all its frames were told of before."""
        ended = self.runner.wait("ended", self.tag)
        for event in [kept for kept in self.runner.kept if kept["event"] == "frames" and kept["tag"] == self.tag]:
            self.runner.kept.remove(event)
            self.take(event)
        return ended

    def equal(self, ended):
        assert dict(zip(self.names, self.columns)) == ended["series"], (self.names, self.columns, ended)


def y4m_pieces(name):
    """The header with the first frame, then one frame each."""
    with open(name, "rb") as f:
        head, *frames = f.read().split(b"FRAME\n")
    return [head + b"FRAME\n" + frames[0], *(b"FRAME\n" + frame for frame in frames[1:])]


@case
def frames_are_told_while_the_writer_waits_for_them():
    models()
    n = 12
    pair(n=n)
    write_yuv("ref.yuv", n=n)
    write_yuv("dis.yuv", n=n, noise=1)
    kinds = {"y4m": [y4m_pieces("ref.y4m"), y4m_pieces("dis.y4m")], "yuv": []}
    for name in ("ref.yuv", "dis.yuv"):
        with open(name, "rb") as f:
            data = f.read()
        kinds["yuv"].append([data[i * len(data) // n:(i + 1) * len(data) // n] for i in range(n)])
    with Runner() as runner:
        tag = 0
        for kind, (ref, dis) in kinds.items():
            raw = {"raw": "64x48"} if kind == "yuv" else {}
            for threads in (0, 2):
                tag += 1
                piped = Piped(runner, tag, threads=threads, **raw)
                for i in range(n):
                    piped.until(i - 1)  # a frame is final when the next one is done: nothing else may be waited for
                    assert piped.seen <= i, piped.seen
                    piped.write(ref[i], dis[i])
                piped.until(n - 1)
                piped.close()
                ended = piped.end()
                assert ended["outcome"] == SUCCEEDED and ended["frames"] == piped.seen == n, ended
                piped.equal(ended)
                assert piped.names[0] == "integer_adm2" or "vmaf" in piped.names, piped.names
                assert [fact["sha256"] for fact in ended["inputs"]] == \
                    [hashlib.sha256(b"".join(pieces)).hexdigest() for pieces in (ref, dis)], ended["inputs"]
                tag += 1
                whole = runner.score(tag, f"ref.{kind}", f"dis.{kind}", threads=threads, **raw)
                assert whole["series"] == ended["series"] and whole["pooled"] == ended["pooled"], (whole, ended)
        assert not [kept for kept in runner.kept if kept["event"] in ("frames", "series")], runner.kept


@case
def coded_video_is_scored_as_it_arrives():
    models()
    source = ("-f", "lavfi", "-i", "testsrc2=size=160x96:rate=25:duration=3", "-pix_fmt", "yuv420p")
    ffmpeg(*source, "-c:v", "libx264", "-bf", "0", "-crf", "30", "-g", "25", "a.mkv")
    copies = {"a.ts": (), "fast.mp4": ("-movflags", "+faststart"),
              "frag.mp4": ("-movflags", "+empty_moov+frag_every_frame+default_base_moof")}
    for name, flags in copies.items():
        ffmpeg("-i", "a.mkv", "-c", "copy", *flags, name)
    with Runner() as runner:
        for tag, name in enumerate(("a.mkv", *copies), 1):
            with open(name, "rb") as f:
                data = f.read()
            piped = Piped(runner, tag, threads=1)
            half = len(data) * 2 // 3  # of 75 frames; what probing, decoder and motion hold back is a few of them
            for at in range(0, half, 1000):
                piped.write(data[at:min(at + 1000, half)], data[at:min(at + 1000, half)])
            piped.until(10)
            piped.write(data[half:], data[half:])
            piped.close()
            ended = piped.end()
            assert ended["outcome"] == SUCCEEDED and ended["frames"] == 75, (name, ended)
            piped.equal(ended)
            assert ended["inputs"][0]["sha256"] == hashlib.sha256(data).hexdigest(), (name, ended["inputs"])


@case
def a_file_that_cannot_be_read_from_front_to_back_is_refused_with_the_way_out():
    models()
    ffmpeg("-f", "lavfi", "-i", "testsrc2=size=160x96:rate=25:duration=1", "-pix_fmt", "yuv420p", "plain.mp4")
    with open("plain.mp4", "rb") as f:
        data = f.read()
    with Runner() as runner:
        piped = Piped(runner, 1)
        try:
            piped.write(data, data)
            piped.close()
        except BrokenPipeError:
            pass
        fails(piped.end(), INPUT, "index is at its end", "-movflags +faststart")


@case
def a_cut_pipe_tells_the_frames_before_the_cut():
    models()
    pair(n=6)
    ref, dis = y4m_pieces("ref.y4m"), y4m_pieces("dis.y4m")
    with Runner() as runner:
        piped = Piped(runner, 1, threads=2)
        for i in range(5):
            piped.write(ref[i], dis[i])
        piped.write(ref[5], dis[5][:1000])
        piped.until(4)
        piped.close(1)  # the reference stays open, and silent
        ended = fails(piped.end(), INPUT, "dis1.fifo", "broke off")
        assert ended["frames"] == piped.seen == 5 and ended["complete"] is False, ended
        piped.equal(ended)
        assert [fact["sha256"] for fact in ended["inputs"]][0] == "", ended  # not read to its end
        piped.close(0)


@case
def an_input_that_ends_first_does_not_wait_for_the_other_to_end():
    models()
    pair(n=6)
    ref, dis = y4m_pieces("ref.y4m"), y4m_pieces("dis.y4m")
    with Runner() as runner:
        piped = Piped(runner, 1)
        for i in range(4):
            piped.write(ref[i], dis[i])
        piped.close(0)
        piped.write(b"", dis[4])
        ended = fails(piped.end(), INPUT, "ended after 4 frames")
        assert ended["frames"] == piped.seen == 4, ended
        piped.close(1)


@case
def an_input_that_is_none_is_told_while_the_other_says_nothing():
    models()
    with Runner() as runner:
        for which in (0, 1):
            piped = Piped(runner, which + 1)
            piped.files[which].write(b"This is no video.\n" * 4000)
            piped.close(which)
            fails(piped.end(), INPUT, "not a video")
            piped.close(1 - which)


@case
def a_child_that_dies_has_told_its_frames_and_tells_no_more():
    models()
    pair(n=8)
    ref, dis = y4m_pieces("ref.y4m"), y4m_pieces("dis.y4m")
    with Runner() as runner:
        piped = Piped(runner, 1)
        for i in range(5):
            piped.write(ref[i], dis[i])
        piped.until(4)
        os.kill(runner.child(), signal.SIGKILL)
        ended = fails(piped.end(), RESOURCE)
        assert piped.seen == 4 and "frames" not in ended, ended
        piped.close()

        piped = Piped(runner, 2)
        for i in range(5):
            piped.write(ref[i], dis[i])
        piped.until(4)
        runner.tell("stop", 2)
        assert piped.end()["outcome"] == CANCELLED and piped.seen == 4
        piped.close()


@case
def frames_that_come_fast_are_told_together():
    models()
    n = 1500
    write_y4m("ref.y4m", n=n, w=64, h=48)
    write_y4m("dis.y4m", n=n, w=64, h=48, noise=1)
    with Runner() as runner:
        ended = runner.score(1, threads=2, live=1)
        assert ended["frames"] == n, ended
        runs = [event for event in runner.kept if event["event"] == "frames"]
        assert [run["first"] for run in runs] == [sum(len(r["columns"][0]) for r in runs[:i]) for i in range(len(runs))]
        assert len(runs) < n / 2 and all(1 <= len(run["columns"][0]) <= 64 for run in runs), len(runs)
        columns = [sum((run["columns"][c] for run in runs), []) for c in range(len(runs[0]["columns"]))]
        names = next(event for event in runner.kept if event["event"] == "series")["names"]
        assert dict(zip(names, columns)) == ended["series"]


@case
def limits_end_a_task_and_say_so():
    models()
    pair()
    sanitized = built_with("asan", SCORER)  # that one takes terabytes of addresses
    with Runner() as runner:
        if not sanitized:
            with open("large.y4m", "wb") as f:  # more than fits into what the scorer's warm-up has left free
                f.write(b"YUV4MPEG2 W7680 H4320 F25:1 Ip A1:1 C420jpeg\n" + 2 * (b"FRAME\n" + bytes(7680 * 4320 * 3 // 2)))
            fails(runner.score(1, "large.y4m", "large.y4m", as_mib=1), RESOURCE, "memory")
        ended = runner.score(2, *endless_pair(), wall_ms=300)
        assert ended["outcome"] == TIMEOUT and ended["failure"] == TIMED_OUT and "300 ms" in ended["message"], ended
        assert runner.score(3)["outcome"] == SUCCEEDED  # the others have not suffered


@case
def cpu_time_is_limited():
    models()
    long_pair(40000)  # many times as much
    with Runner() as runner:
        fails(runner.score(1, "long-ref.y4m", "long-dis.y4m", cpu_s=1), RESOURCE, "CPU time")


@case
def a_child_that_dies_is_told_by_how_it_died():
    models()
    pair()
    with Runner() as runner:
        reasons = ((signal.SIGSEGV, INTERNAL, "crashed"), (signal.SIGABRT, INTERNAL, "crashed"),
                   (signal.SIGKILL, RESOURCE, "killed"), (signal.SIGSYS, INTERNAL, "sandbox"),
                   (signal.SIGXCPU, RESOURCE, "CPU time"))
        for tag, (number, failure, word) in enumerate(reasons, 1):
            folder = tempfile.mkdtemp(dir=".")
            os.chdir(folder)
            files = [os.path.abspath(name) for name in endless_pair()]
            os.chdir("..")
            runner.run(tag, *files)
            runner.wait("begun", tag)
            os.kill(runner.child(), number)
            fails(runner.wait("ended", tag), failure, word)
        assert runner.score(99)["outcome"] == SUCCEEDED
        assert not children(runner.scorer)


@case
def a_child_that_hangs_is_ended_by_its_time():
    models()
    with Runner() as runner:
        runner.run(1, *endless_pair(), wall_ms=2000)
        runner.wait("begun", 1)
        os.kill(runner.child(), signal.SIGSTOP)
        assert runner.wait("ended", 1)["outcome"] == TIMEOUT


@case
def a_task_can_be_stopped():
    models()
    pair()
    with Runner() as runner:
        runner.run(1, *endless_pair())
        runner.wait("progress", 1)
        begun = time.monotonic()
        runner.tell("stop", 1)
        ended = runner.wait("ended", 1)
        took = time.monotonic() - begun
        assert ended["outcome"] == CANCELLED and ended["failure"] == 0, ended
        print(f"stopped after {took * 1000:.1f} ms")
        assert runner.score(1)["outcome"] == SUCCEEDED  # and its tag is free
        runner.tell("stop", 77)  # nobody


@case
def tags_and_tasks_are_limited():
    models()
    with Runner() as runner:
        runner.run(1, *endless_pair())
        runner.wait("begun", 1)
        runner.run(1)
        assert "tag" in runner.wait("not_run", 1)["message"]
        os.kill(runner.scorer, signal.SIGSTOP)  # so that none of them ends before the last is asked for
        for tag in range(2, 66):
            runner.run(tag, "endless_ref.y4m", "/dev/null")
        assert "64 tasks" in runner.wait("not_run", 65)["message"]
        os.kill(runner.scorer, signal.SIGCONT)


@case
def a_scorer_that_dies_is_started_again():
    models()
    pair()
    with Runner() as runner:
        runner.run(1, *endless_pair())
        runner.wait("begun", 1)
        child, old = runner.child(), runner.scorer
        os.kill(old, signal.SIGKILL)
        fails(runner.wait("ended", 1), NODE, "signal 9")
        gone = runner.wait("changed")
        assert gone["ready"] is False and "signal 9" in gone["message"], gone
        until(lambda: not os.path.exists(f"/proc/{child}"), "the end of the dead scorer's child")
        runner.run(2)  # waits for the next one
        assert runner.wait("changed")["ready"] is True
        assert runner.wait("ended", 2)["outcome"] == SUCCEEDED
        now = children(runner.process.pid)
        assert len(now) == 1 and now[0] != old, now


@case
def a_scorer_that_hangs_is_replaced():
    models()
    pair()
    with Runner() as runner:
        runner.run(1, *endless_pair())
        runner.wait("begun", 1)
        os.kill(runner.scorer, signal.SIGSTOP)
        runner.tell("stop", 1)
        assert runner.wait("ended", 1)["outcome"] == CANCELLED
        assert runner.wait("changed")["ready"] is False
        assert runner.score(2)["outcome"] == SUCCEEDED


@case
def nothing_is_left_when_the_program_dies():
    models()
    runner = Runner()
    with_ready = runner.__enter__()
    with_ready.run(1, *endless_pair())
    with_ready.wait("begun", 1)
    child, scorer = with_ready.child(), with_ready.scorer
    runner.process.kill()
    runner.process.wait()
    for pid in (child, scorer):
        until(lambda pid=pid: not alive(pid), f"the end of {pid}")


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as f:
            return f.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


@case
def a_hundred_tasks_leave_no_descriptor_thread_or_zombie():
    models()
    pair(n=2)

    def held():
        return {pid: (sorted(os.listdir(f"/proc/{pid}/fd")), len(os.listdir(f"/proc/{pid}/task")))
                for pid in (runner.process.pid, runner.scorer)}

    with Runner() as runner:
        runner.wait("encoders")  # of the child that tries them nothing is left
        assert runner.score(1)["outcome"] == SUCCEEDED
        before = held()
        assert before[runner.scorer][1] == 1, "a program that forks has a single thread"
        for first in range(2, 102, 10):
            for tag in range(first, first + 10):
                runner.run(tag)
            for tag in range(first, first + 10):
                assert runner.wait("ended", tag)["outcome"] == SUCCEEDED
        assert held() == before
        assert not children(runner.scorer)


@case
def a_program_that_is_no_scorer_is_told_at_once():
    for scorer, error in (("/nowhere/vmafx-scorer", "NOT_FOUND"), ("/bin/true", "UNREACHABLE")):
        runner = Runner(scorer=scorer)
        answer = runner.wait("no_start")
        assert answer["error"] == error and answer["message"], answer
        assert runner.process.wait(PATIENCE) == 1


@case
def the_scorer_explains_itself_to_people():
    process = subprocess.run([SCORER], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    assert process.returncode == 2 and "vmafx score" in process.stderr, process
    process = subprocess.run([SCORER, "--version"], capture_output=True, text=True, check=False)
    assert process.returncode == 0 and process.stdout.startswith("vmafx-scorer "), process


def as_nobody(*command):
    """A wrapper that gives up root, with nothing but what everybody may read."""
    if os.getuid() != 0:
        raise Skip("only root can become somebody else")
    if not shutil.which("setpriv"):
        raise Skip("the program setpriv is missing; install util-linux")
    return ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *command)


def probe(wrapper=()):
    folder = tempfile.mkdtemp()
    try:
        given = os.path.join(folder, "given")
        with open(given, "w", encoding="utf-8") as f:
            f.write("something\n")
        os.chmod(folder, 0o755)
        os.chmod(given, 0o666)
        shutil.copy(PROBE, os.path.join(folder, "probe"))
        process = subprocess.run([*wrapper, os.path.join(folder, "probe"), given], capture_output=True, text=True,
                                 check=False, timeout=PATIENCE, cwd="/")
    finally:
        shutil.rmtree(folder)
    print(process.stdout, end="")
    assert process.returncode == 0, process.stdout + process.stderr


@case
def the_sandbox_refuses_what_it_should_as_root():
    if os.getuid() != 0:
        raise Skip("not root")
    probe()


@case
def the_sandbox_refuses_what_it_should_as_an_unprivileged_user():
    probe(as_nobody() if os.getuid() == 0 else ())


@case
def an_unprivileged_user_scores_too():
    models()
    pair()
    folder = tempfile.mkdtemp()
    try:
        os.chmod(folder, 0o755)
        for path in (SCORER, DRIVER, "ref.y4m", "dis.y4m"):
            shutil.copy(path, folder)
        copies = shutil.copytree(os.environ["VMAFX_MODEL_PATH"], os.path.join(folder, "models"),
                                 ignore=lambda _, names: [name for name in names if "_b_" in name])
        os.chmod(copies, 0o755)
        for name in os.listdir(copies):
            os.chmod(os.path.join(copies, name), 0o644)
        wrapper = as_nobody("env", f"--chdir={folder}", f"HOME={folder}") if os.getuid() == 0 else ()
        with Runner(scorer=os.path.join(folder, "vmafx-scorer"), wrapper=wrapper,
                    env={"VMAFX_MODEL_PATH": copies}) as runner:
            ended = runner.score(1, os.path.join(folder, "ref.y4m"), os.path.join(folder, "dis.y4m"), threads=2)
            assert ended["outcome"] == SUCCEEDED, ended
            assert "seccomp" in runner.ready["layers"] and "landlock" in runner.ready["layers"], runner.ready
    finally:
        shutil.rmtree(folder)


# ---- Encoding ----


def moving(path="ref.y4m", n=20, pix_fmt="yuv420p"):
    ffmpeg("-f", "lavfi", "-i", f"testsrc2=s=256x128:r=25:d={n / 25}", "-pix_fmt", pix_fmt, "-strict", "-1", path)
    return path


@case
def encoders_are_tried_inside_the_sandbox_after_the_start():
    models()
    with Runner() as runner:
        known = runner.wait("encoders")
        assert known["known"]
        listed = json.loads(expect(run("encoders", "--json"), 0).stdout)["encoders"]
        software = [e["encoder"] for e in listed if e["works"] and not e["hardware"]]
        assert [name for name in known["names"] if name in software] == software, (known, software)
        os.kill(runner.scorer, signal.SIGKILL)  # and the next scorer tries again
        assert runner.wait("encoders")["names"] == known["names"]


@case
def every_encoder_gives_in_the_sandbox_what_it_gives_outside():
    models()
    moving()
    with Runner() as runner:
        for number, name in enumerate(runner.wait("encoders")["names"], 1):
            end = runner.score(number, "ref.y4m", "ref.y4m", encoder=name, threads=2, trace=TRACE)
            assert end["outcome"] == 1, (name, end["message"])
            outside = json.loads(expect(run("encode-score", "-r", "ref.y4m", "-e", name, "--threads", "2", "--json"), 0).stdout)
            assert end["pooled"]["vmaf"] == outside["verdict"]["score"], (name, end["pooled"]["vmaf"], outside["verdict"])
            assert end["encode"]["size"] == outside["encode"]["size_bytes"] and end["encode"]["frames"] == 20
            assert end["encode"]["encoder"] == name and end["encode"]["reason"] and end["encode"]["version"]
            assert end["inputs"][1]["size"] == 0 and not end["inputs"][1]["sha256"], end["inputs"]
            spans = {s["name"]: s for s in runner.kept if s["event"] == "span" and s["tag"] == number}
            keys = spans["vmafx.encoder.dispatch"]["keys"]
            for key in ("codec", "name", "reason", "size", "time"):
                assert "vmafx.encoder." + key in keys, keys
            assert "vmafx.frame.count" in keys and "vmafx.scoring" in spans and "vmafx.frame.extraction" in spans


@case
def ten_bits_are_encoded_in_the_sandbox_too():
    models()
    moving(pix_fmt="yuv420p10le")
    with Runner() as runner:
        for number, name in enumerate([n for n in runner.wait("encoders")["names"] if n in ("libx265", "libsvtav1")], 1):
            end = runner.score(number, "ref.y4m", "ref.y4m", encoder=name)
            assert end["outcome"] == 1 and end["encode"]["pixel_format"] == "yuv420p10le", (name, end)


@case
def what_is_encoded_can_be_kept_within_a_limit():
    models()
    moving()
    with Runner() as runner:
        end = runner.score(1, "ref.y4m", "ref.y4m", encoder="libx264", crf=20, keep=os.path.abspath("a.mkv"), keep_bytes=10**7)
        assert end["outcome"] == 1, end["message"]
        by_file = json.loads(expect(run("score", "-r", "ref.y4m", "-d", "a.mkv", "--json", "--ignore-start"), 0).stdout)
        assert by_file["verdict"]["score"] == end["pooled"]["vmaf"]
        end = runner.score(2, "ref.y4m", "ref.y4m", encoder="libx264", crf=1, keep=os.path.abspath("b.mkv"), keep_bytes=9000)
        assert (end["outcome"], end["failure"]) == (2, 4) and "9000" in end["message"], end  # ENCODER
        assert os.path.getsize("b.mkv") <= 9000
        end = runner.score(3, "ref.y4m", "ref.y4m", encoder="libx264", keep=os.path.abspath("c.mkv"))
        assert end["failure"] == 4 and "no place" in end["message"], end


@case
def a_full_disk_is_no_fault_of_the_encoders():
    models()
    moving()
    os.mkdir("small")
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8k", "tmpfs", "small"], capture_output=True, check=False).returncode:
        raise Skip("no tmpfs can be mounted here: that takes root")
    try:
        with Runner() as runner:
            end = runner.score(1, "ref.y4m", "ref.y4m", encoder="libx264", crf=1, keep=os.path.abspath("small/a.mkv"),
                               keep_bytes=10**8)
            assert (end["outcome"], end["failure"]) == (2, 5) and "space" in end["message"], end  # RESOURCE
    finally:
        subprocess.run(["umount", "small"], check=True)


@case
def what_an_encoder_refuses_is_of_its_class():
    models()
    moving()
    with Runner() as runner:
        for tag, (words, options) in enumerate([("preset", {"encoder": "libx264", "preset": "quick"}),
                                                ("crf", {"encoder": "libx264", "crf": 200}),
                                                ("h264_nvenc", {"encoder": "h264_nvenc"}),
                                                ("not known", {"encoder": "libx777"})], 1):
            end = runner.score(tag, "ref.y4m", "ref.y4m", **options)
            assert (end["outcome"], end["failure"]) == (2, 4) and words in end["message"], end
        live = Endless("fifo")
        runner.run(9, "fifo", "fifo", encoder="libx264")
        end = runner.wait("ended", 9)
        assert end["failure"] == 1 and "only once" in end["message"], end
        live.over.set()


@case
def a_child_that_is_killed_while_it_encodes_is_told_of():
    models()
    moving(n=100)
    with Runner() as runner:
        runner.wait("encoders")
        runner.run(1, "ref.y4m", "ref.y4m", encoder="libaom-av1", preset=0)
        os.kill(runner.child(), signal.SIGKILL)
        end = runner.wait("ended", 1)
        assert (end["outcome"], end["failure"]) == (2, 5), end
        runner.run(2, "ref.y4m", "ref.y4m", encoder="libaom-av1", preset=0)
        runner.child()
        os.kill(runner.scorer, signal.SIGKILL)
        end = runner.wait("ended", 2)
        assert (end["outcome"], end["failure"]) == (2, 6), end  # NODE: worth another try
        runner.run(3, "ref.y4m", "ref.y4m", encoder="libaom-av1", preset=0)
        runner.tell("stop", 3)
        assert runner.wait("ended", 3)["outcome"] == 3


if built_with("tsan", SCORER):
    print("ThreadSanitizer does not survive a fork of a program with threads\n[  SKIPPED ] a_scorer_with_ThreadSanitizer")
    sys.exit(0)
main()

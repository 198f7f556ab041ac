# SPDX-License-Identifier: BSD-2-Clause-Patent
"""What the system tests share: cases with sentence-like names, running the program, making small clips."""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import traceback

_cases = []


class Skip(Exception):
    """Raised with the reason by a case that cannot run here."""


def case(function):
    _cases.append(function)
    return function


def main():
    """Runs every case in a folder of its own and prints a line per case, as the C tests do."""
    failed = 0
    wanted = ONLY or [function.__name__ for function in _cases]
    for function in (f for f in _cases if f.__name__ in wanted):
        name = function.__name__
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            try:
                function()
                print(f"[       OK ] {name}", flush=True)
            except Skip as reason:
                print(f"{reason}\n[  SKIPPED ] {name}", flush=True)
            except Exception:  # a failing case must not stop the others
                traceback.print_exc(file=sys.stdout)
                print(f"[  FAILED  ] {name}", flush=True)
                failed += 1
            os.chdir("/")
    sys.exit(1 if failed else 0)


os.environ.setdefault("VMAFX_SIGNALS_CHECK", "abort")  # what a program emits is what signals.def says, or it ends
PROGRAM = os.path.abspath(sys.argv[1])
ONLY = sys.argv[2:] if sys.argv[2:] and all(a.isidentifier() for a in sys.argv[2:]) else []


def is_task(pid):
    """Not the child in which a scorer tries its encoders after its start."""
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as f:
            return f.read().strip() != "vmafx-encoders"
    except OSError:
        return True


def built_with(sanitizer, program=None):
    """Whether a program (ours) was built with "asan" or "tsan"."""
    with open(program or PROGRAM, "rb") as f:
        return f"__{sanitizer}_init".encode() in f.read()


def run(*arguments, env=None, stdin=subprocess.DEVNULL, cwd=None, timeout=120):
    """The finished process, with text in stdout and stderr."""
    return subprocess.run([PROGRAM, *map(str, arguments)], stdin=stdin, capture_output=True, text=True, cwd=cwd,
                          env={**os.environ, **(env or {})}, timeout=timeout, check=False)


def expect(process, code, *words):
    """The exit code, and words that must be on stdout or stderr."""
    output = process.stdout + process.stderr
    assert process.returncode == code, f"exit {process.returncode}, not {code}: {' '.join(map(str, process.args))}\n{output}"
    for word in words:
        assert word in output, f"no {word!r} in:\n{output}"
    return process


def need(program, package):
    if not shutil.which(program):
        raise Skip(f"the program {program} is missing; install {package}")


def need_models():
    """Path of the folder that has vmaf_v0.6.1, or a skip."""
    found = run("models", "path", "vmaf_v0.6.1")
    if found.returncode:
        raise Skip("no model files; './run test' fetches them, or set VMAFX_MODEL_PATH")
    return os.path.dirname(found.stdout.strip())


def sample(x, y, t, noise):
    """Luma of the small clips, 8 bit."""
    return (x * 5 + y * 3 + t * 11 + (x * y) % 7) % 200 + noise * ((x * 31 + y * 17 + t) % 5)


def frames(w, h, n, noise=0, depth=8):
    """n frames of luma and grey 4:2:0 chroma."""
    for t in range(n):
        values = [sample(x, y, t, noise) << (depth - 8) for y in range(h) for x in range(w)]
        grey = [1 << (depth - 1)] * (2 * ((w + 1) // 2) * ((h + 1) // 2))
        if depth == 8:
            yield bytes(values + grey)
        else:
            yield b"".join(v.to_bytes(2, "little") for v in values + grey)


def write_y4m(path, w=64, h=48, n=6, noise=0, depth=8, rate="25:1", extra=""):
    chroma = "420jpeg" if depth == 8 else f"420p{depth}"
    with open(path, "wb") as f:
        f.write(f"YUV4MPEG2 W{w} H{h} F{rate} Ip A1:1 C{chroma}{extra}\n".encode())
        for frame in frames(w, h, n, noise, depth):
            f.write(b"FRAME\n" + frame)
    return path


def write_yuv(path, w=64, h=48, n=6, noise=0, depth=8):
    with open(path, "wb") as f:
        for frame in frames(w, h, n, noise, depth):
            f.write(frame)
    return path


def pair(**arguments):
    """Two y4m files, named ref.y4m and dis.y4m."""
    return write_y4m("ref.y4m", **arguments), write_y4m("dis.y4m", noise=1, **arguments)


def absolute_pair(**arguments):
    return [os.path.abspath(path) for path in pair(**arguments)]


def long_pair(n, w=320, h=240):
    """Two y4m files of n black frames that are holes in them: as long to score as others, but not to write."""
    for path in ("long-ref.y4m", "long-dis.y4m"):
        with open(path, "wb") as f:
            f.write(f"YUV4MPEG2 W{w} H{h} F25:1 Ip A1:1 C420jpeg\n".encode())
            for _ in range(n):
                f.write(b"FRAME\n")
                f.seek(w * h * 3 // 2, os.SEEK_CUR)
            f.truncate()
    return os.path.abspath("long-ref.y4m"), os.path.abspath("long-dis.y4m")


def slow_pair():
    """long_pair of some seconds of one thread's work, for programs as they are built here."""
    return long_pair(1000 if built_with("asan") else 8000)


def ffmpeg(*arguments):
    need("ffmpeg", "ffmpeg")
    subprocess.run(["ffmpeg", "-hide_banner", "-loglevel", "error", "-nostdin", "-y", *map(str, arguments)], check=True,
                   stdin=subprocess.DEVNULL)


def load(path):
    with open(path, encoding="utf-8") as f:
        return json.load(f)

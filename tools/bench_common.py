# SPDX-License-Identifier: BSD-2-Clause-Patent
"""What the benchmarks have in common: complaints, tables, where they are kept, the clips that they measure."""
import os
import re
import subprocess
import sys

PAGE = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "docs", "performance.md")


def fail(sentence, details=""):
    sys.exit(f"bench: {sentence}" + (f"\n{details.strip()}" if details.strip() else ""))


def table(head, rows):
    """In Markdown."""
    return "\n".join(["| " + " | ".join(head) + " |", "|" + "---|" * len(head),
                      *("| " + " | ".join(row) + " |" for row in rows)]) + "\n"


def cpu_model():
    with open("/proc/cpuinfo", encoding="utf-8") as info:
        model = re.search(r"model name\s*: (.*)", info.read())
    return model[1] if model else "unknown CPU"


def keep(name, text):
    """Puts a text into docs/performance.md, between the markers of that name."""
    begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->\n"
    with open(PAGE, encoding="utf-8") as f:
        page = f.read()
    if page.count(begin) != 1 or page.count(end) != 1:
        fail(f"{PAGE} has no place between {begin.strip()} and {end.strip()}")
    with open(PAGE, "w", encoding="utf-8") as f:
        f.write(page[:page.index(begin) + len(begin)] + text + page[page.index(end):])


def output_of(command):
    got = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", check=False)
    if got.returncode:
        fail(f"this command failed: {' '.join(command)}", got.stderr)
    return got.stdout


def ffmpeg(*arguments):
    output_of(["ffmpeg", "-hide_banner", "-loglevel", "error", "-nostdin", "-y", *map(str, arguments)])


def make_pair(folder, size, depth, frames):
    """A moving, noisy clip, and what libx264 made of it, both as y4m: their paths."""
    pix_fmt = "yuv420p" if depth == 8 else "yuv420p10le"
    ref, mp4, dis = (os.path.join(folder, name) for name in ("ref.y4m", "dis.mp4", "dis.y4m"))
    ffmpeg("-f", "lavfi", "-i", f"testsrc2=size={size}:rate=25,noise=alls=8:allf=t:all_seed=1", "-frames:v", frames,
           "-pix_fmt", pix_fmt, "-strict", "-1", ref)
    ffmpeg("-i", ref, "-c:v", "libx264", "-preset", "veryfast", "-crf", "32", "-pix_fmt", pix_fmt, mp4)
    ffmpeg("-i", mp4, "-pix_fmt", pix_fmt, "-strict", "-1", dis)
    return ref, dis

# SPDX-License-Identifier: BSD-2-Clause-Patent
"""Features that read chroma, on their way from files to reports."""
import csv
import json
import math
import os
import re
import signal
import struct
import subprocess
import xml.etree.ElementTree

from harness import PROGRAM, case, expect, ffmpeg, main, need_models, pair, run

ALL = ("psnr", "psnr_hvs", "ciede", "float_ssim", "cambi", "float_vif", "float_adm", "float_motion")


def make(path, pix_fmt="yuv420p", size="256x216", noise=0, frames=3, extra=()):
    """A clip with textured chroma; the container is the name's ending, and nothing is lost."""
    coding = () if path.endswith((".y4m", ".yuv")) else ("-c:v", "ffv1")
    ffmpeg("-f", "lavfi", "-i", f"testsrc2=size={size}:rate=25", "-frames:v", frames, "-vf",
           f"hue=s=0.6,noise=alls={noise}:all_seed=3,format={pix_fmt}", *extra, *coding,
           *(("-strict", "-1") if path.endswith(".y4m") else ()), *(("-f", "rawvideo") if path.endswith(".yuv") else ()), path)
    return path


def score(reference, distorted, *arguments, features=ALL, code=0):
    done = run("score", "--reference", reference, "--distorted", distorted, "--features-only", "--json",
               *(x for f in features for x in ("--feature", f)), *arguments)
    expect(done, code)
    return json.loads(done.stdout) if code == 0 else done.stdout + done.stderr


def metrics(report):
    return [frame["metrics"] for frame in report["frames"]]


@case
def the_container_makes_no_difference():
    for pix_fmt, pixel_format, depth in (("yuv420p", "420", 8), ("yuv422p", "422", 8), ("yuv444p", "444", 8),
                                         ("yuv420p10le", "420", 10), ("yuv444p12le", "444", 12)):
        results = []
        for ending in ("y4m", "yuv", "mkv"):
            make("ref." + ending, pix_fmt)
            make("dis." + ending, pix_fmt, noise=12)
            raw = ("--width", 256, "--height", 216, "--pixel-format", pixel_format, "--bit-depth", depth)
            results.append(metrics(score("ref." + ending, "dis." + ending, *(raw if ending == "yuv" else ()))))
        assert results[0] == results[1] == results[2], (pix_fmt, results)
        first = results[0][0]
        assert first["psnr_cb"] < 60 and first["psnr_cr"] < 60 and first["psnr_cb"] != first["psnr_cr"], first
        assert all(name in first for name in ("psnr_hvs", "ciede2000", "float_ssim", "cambi", "vif_scale0", "adm2", "motion2"))


@case
def psnr_is_the_one_that_ffmpeg_computes():
    for pix_fmt in ("yuv420p", "yuv422p", "yuv444p", "yuv420p10le"):
        make("ref.mkv", pix_fmt)
        make("dis.mkv", pix_fmt, noise=20)
        ffmpeg("-i", "dis.mkv", "-i", "ref.mkv", "-lavfi", "psnr=stats_file=psnr.txt", "-f", "null", "-")
        with open("psnr.txt", encoding="utf-8") as f:
            theirs = [dict(item.split(":") for item in line.split()) for line in f]
        mine = metrics(score("ref.mkv", "dis.mkv", features=("psnr=enable_mse=true",)))
        assert len(theirs) == len(mine) == 3
        for their, my in zip(theirs, mine):
            for a, b in (("y", "y"), ("u", "cb"), ("v", "cr")):
                assert abs(float(their["mse_" + a]) - my["mse_" + b]) <= 0.0051, (pix_fmt, a, their, my)
                assert abs(float(their["psnr_" + a]) - my["psnr_" + b]) <= 0.0051, (pix_fmt, a, their, my)


@case
def pictures_of_odd_sizes_lose_their_last_half_sample_of_chroma():
    make("ref.y4m", "yuv444p", "253x219")
    make("dis.y4m", "yuv444p", "253x219", noise=12)
    whole = metrics(score("ref.y4m", "dis.y4m", features=("psnr", "ciede")))
    for name in ("ref", "dis"):
        ffmpeg("-i", name + ".y4m", "-pix_fmt", "yuv420p", name + ".mkv")
        ffmpeg("-i", name + ".mkv", name + "2.y4m")
        ffmpeg("-i", name + ".mkv", "-c:v", "ffv1", name + "2.mkv")
    small = metrics(score("ref2.y4m", "dis2.y4m", features=("psnr", "ciede")))
    assert small == metrics(score("ref2.mkv", "dis2.mkv", features=("psnr", "ciede")))
    assert small[0]["psnr_y"] != 60 and all(math.isfinite(v) for v in small[0].values()), (small, whole)


@case
def chroma_is_adapted_with_the_luma():
    make("ref.mkv", "yuv420p")
    make("dis.mkv", "yuv420p", noise=12)
    plain = metrics(score("ref.mkv", "dis.mkv", features=("psnr",)))[0]

    ffmpeg("-i", "dis.mkv", "-pix_fmt", "yuv420p10le", "-sws_flags", "accurate_rnd+bitexact", "-c:v", "ffv1", "deep.mkv")
    deep = metrics(score("ref.mkv", "deep.mkv", "--convert-depth", features=("psnr",)))[0]
    assert all(abs(deep[name] - plain[name]) < 0.05 for name in plain), (deep, plain)

    ffmpeg("-i", "dis.mkv", "-vf", "scale=128:108:flags=bicubic", "-pix_fmt", "yuv420p", "-c:v", "ffv1", "small.mkv")
    small = score("ref.mkv", "small.mkv", "--scale", "reference", features=("psnr", "ciede"))
    assert "scaled from 128x108 to 256x216" in json.dumps(small["adaptations"])
    assert all(10 < metrics(small)[0][name] < 45 for name in ("psnr_y", "psnr_cb", "psnr_cr")), metrics(small)
    odd = metrics(score("ref.mkv", "dis.mkv", "--scale", "255x217", features=("psnr", "psnr_hvs")))[0]
    assert all(10 < odd[name] < 60 for name in ("psnr_cb", "psnr_cr", "psnr_hvs_cb")), odd

    ffmpeg("-i", "dis.mkv", "-vf", "scale=in_range=tv:out_range=pc,setrange=full", "-pix_fmt", "yuv420p", "-c:v", "ffv1",
           "-color_range", "pc", "full.mkv")
    ffmpeg("-i", "ref.mkv", "-vf", "setrange=limited", "-c:v", "ffv1", "-color_range", "tv", "limited.mkv")
    full = metrics(score("limited.mkv", "full.mkv", "--convert-range", features=("psnr",)))[0]
    assert all(abs(full[name] - plain[name]) < 0.3 for name in plain), (full, plain)


@case
def grey_and_mixed_formats_are_told_apart():
    make("grey.mkv", "gray")
    make("ref.mkv", "yuv420p")
    make("other.mkv", "yuv444p", noise=12)
    assert list(metrics(score("grey.mkv", "grey.mkv", features=("psnr",)))[0]) == ["psnr_y"]
    assert "grey" in score("grey.mkv", "grey.mkv", features=("ciede",), code=4)
    assert "psnr_y" in metrics(score("ref.mkv", "other.mkv", "--ignore-pixel-format",
                                     features=("psnr=enable_chroma=false",)))[0]
    assert "chroma" in score("ref.mkv", "other.mkv", "--ignore-pixel-format", features=("psnr",), code=4)


def banded(path, frames=3):
    """A slow gradient whose steps stay: bands that move."""
    ffmpeg("-f", "lavfi", "-i", f"gradients=size=320x240:rate=25:c0=0x101010:c1=0x303030:x0=0:y0=0:x1=320:y1=240:seed=5:"
           f"speed=0.02:duration=1,format=yuv420p", "-frames:v", frames, path)
    return path


def heat_maps(folder):
    """By scale: width, height, bytes."""
    maps = {}
    for name in sorted(os.listdir(folder)):
        k, w, h = map(int, re.fullmatch(r"cambi_heatmap_scale_(\d)_(\d+)x(\d+)_16b\.gray", name).groups())
        with open(os.path.join(folder, name), "rb") as f:
            maps[k] = (w, h, f.read())
    return maps


@case
def heat_maps_say_where_the_score_comes_from():
    banded("clip.y4m")
    report = score("clip.y4m", "clip.y4m", features=("cambi=heatmaps_path=a/maps",))
    maps = heat_maps("a/maps")
    assert [maps[k][:2] for k in range(5)] == [(320, 240), (160, 120), (80, 60), (40, 30), (20, 15)], maps.keys()
    window, weight = 7, 4
    for frame in report["frames"]:
        total, n = 0, frame["frame"]
        for k, (w, h, data) in maps.items():
            assert len(data) == 2 * 3 * w * h
            values = sorted(struct.unpack(f"<{w * h}H", data[2 * n * w * h:][:2 * w * h]), reverse=True)
            most = values[:int(0.6 * w * h)]
            total += (16 >> k) * sum(most) / len(most) * (weight * window * window // 4) / 65535
        assert frame["metrics"]["cambi"] > 0.5
        assert abs(total / window ** 2 - frame["metrics"]["cambi"]) < 0.02, (total / window ** 2, frame)
    once = score("clip.y4m", "clip.y4m", "--threads", "3", features=("cambi=heatmaps_path=b",))
    assert metrics(once) == metrics(report) and heat_maps("b") == maps
    score("clip.y4m", "clip.y4m", "--subsample", "2", features=("cambi=heatmaps_path=c",))
    for k, (w, h, data) in heat_maps("c").items():
        assert data == maps[k][2][:2 * w * h] + maps[k][2][4 * w * h:], k
    done = run("vmaf", "-r", "clip.y4m", "-d", "clip.y4m", "-n", "--feature", "cambi=heatmaps_path=d")
    expect(done, 0)
    assert heat_maps("d") == maps


@case
def heat_maps_that_cannot_be_written_are_a_sentence():
    banded("clip.y4m", frames=2)
    with open("file", "w", encoding="utf-8") as f:
        f.write("kept")
    os.makedirs("pipes")
    os.mkfifo("pipes/cambi_heatmap_scale_3_40x30_16b.gray")
    for path, code, says in (("file", 3, "Not a directory"), ("file/below", 3, "cannot make the folder 'file/below'"),
                             ("pipes", 3, "not an ordinary file"), ("", 5, "path of 1 to"),
                             ("x" * 300, 3, "File name too long"), ("y" * 4000, 5, "path of 1 to")):
        told = score("clip.y4m", "clip.y4m", features=(f"cambi=heatmaps_path={path}",), code=code)
        assert says in told, (path, told)
    assert open("file", encoding="utf-8").read() == "kept"
    assert os.listdir("pipes") == ["cambi_heatmap_scale_3_40x30_16b.gray"]
    twice = score("clip.y4m", "clip.y4m", features=("cambi=heatmaps_path=m", "cambi=heatmaps_path=m:eotf=pq"), code=5)
    assert "a folder of its own" in twice, twice

    os.makedirs("old")
    with open("old/cambi_heatmap_scale_0_320x240_16b.gray", "w", encoding="utf-8") as f:
        f.write("kept")
    full = subprocess.run(["prlimit", "--fsize=20000", PROGRAM, "score", "--reference", "clip.y4m", "--distorted", "clip.y4m",
                           "--features-only", "--feature", "cambi=heatmaps_path=old"], capture_output=True, text=True,
                          timeout=60, check=False, preexec_fn=lambda: signal.signal(signal.SIGXFSZ, signal.SIG_IGN))
    expect(full, 3, "cannot write the heat map 'old/cambi_heatmap_scale_0_320x240_16b.gray'", "File too large")
    assert os.listdir("old") == ["cambi_heatmap_scale_0_320x240_16b.gray"], os.listdir("old")
    assert open("old/cambi_heatmap_scale_0_320x240_16b.gray", encoding="utf-8").read() == "kept"


@case
def values_without_a_number_and_those_of_the_clip_are_in_every_report():
    make("ref.y4m")
    features = ("--feature", "psnr=enable_apsnr=true", "--feature", "psnr_hvs", "--feature", "ciede")
    own = score("ref.y4m", "ref.y4m", features=("psnr=enable_apsnr=true", "psnr_hvs", "ciede"))
    assert metrics(own)[0]["ciede2000"] is None and metrics(own)[0]["psnr_y"] == 60
    assert own["pooled"]["psnr_hvs"]["mean"] is None and list(own["aggregates"]) == ["apsnr_y", "apsnr_cb", "apsnr_cr"]
    files = ("-r", "ref.y4m", "-d", "ref.y4m", "-n", *features, "-q")
    expect(run("vmaf", *files, "--json", "-o", "out.json"), 0)
    with open("out.json", encoding="utf-8") as f:
        text = f.read()
    assert '"ciede2000": null' in text and re.search(r'"apsnr_cb": \d+\.0', text), text
    expect(run("vmaf", *files, "-o", "out.xml"), 0)
    root = xml.etree.ElementTree.parse("out.xml").getroot()
    assert float(root.find("aggregate_metrics").get("apsnr_y")) > 60
    assert math.isinf(float(root.find("frames")[0].get("psnr_hvs")))
    expect(run("score", "--reference", "ref.y4m", "--distorted", "ref.y4m", "--features-only", *features, "--format", "csv",
               "--output", "out.csv"), 0)
    with open("out.csv", encoding="utf-8", newline="") as f:
        rows = list(csv.DictReader(f))
    assert len(rows) == 3 and rows[0]["psnr_cb"] == "60", rows[0]


@case
def the_presets_are_their_features():
    need_models()
    make("ref.y4m")
    make("dis.y4m", noise=12)
    make("deep.y4m", "yuv420p10le", noise=12)
    files = ("-r", "ref.y4m", "-d", "dis.y4m", "--json", "-o", "out.json", "-q")

    def names(*arguments):
        expect(run("vmaf", *arguments), 0)
        with open("out.json", encoding="utf-8") as f:
            report = json.load(f)
        return set(report["frames"][0]["metrics"]), report
    first, report = names(*files, "--aom_ctc", "v1.0")
    assert {"psnr_y", "psnr_cb", "psnr_cr", "ciede2000", "float_ssim", "float_ms_ssim", "psnr_hvs", "vmaf", "vmaf_neg"} <= first
    assert "cambi" not in first and "apsnr_y" in report["aggregate_metrics"]
    assert names(*files, "--aom_ctc", "v3.0")[0] - first == {"cambi"}
    assert {"psnr_cb", "float_ssim", "cambi"} <= names(*files, "--nflx_ctc", "v1.0")[0]
    mixed = ("-r", "ref.y4m", "-d", "deep.y4m", "--json", "-o", "out.json", "-q")
    expect(run("vmaf", *mixed, "--aom_ctc", "v5.0"), 255, "bitdepths do not match")
    assert "psnr_y" in names(*mixed, "--aom_ctc", "v6.0")[0]
    expect(run("vmaf", *files, "--aom_ctc", "v8.0"), 1, "v7.0")


@case
def the_models_of_features_in_binary32_score():
    folder = need_models()
    pair(w=192, h=108, n=4)
    for name in ("vmaf_float_v0.6.1", "vmaf_float_v0.6.1neg", "vmaf_float_4k_v0.6.1", "vmaf_float_b_v0.6.3"):
        path = os.path.join(folder, name + ".json")
        if not os.path.exists(path):
            continue
        integer = name.replace("_float", "")
        report = json.loads(expect(run("score", "--reference", "ref.y4m", "--distorted", "dis.y4m", "--json", "--model",
                                       f"path={path}:name=float", "--model", f"{integer}:name=integer"), 0).stdout)
        pooled = report["pooled"]
        assert abs(pooled["float"]["mean"] - pooled["integer"]["mean"]) < 1, (name, pooled["float"], pooled["integer"])


main()

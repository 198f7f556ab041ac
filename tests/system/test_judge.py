# SPDX-License-Identifier: BSD-2-Clause-Patent
"""An independent judge: the libvmaf inside a published ffmpeg, on encoded pairs.

Its release is older than the specification's reference. VIF is the same in both, ADM too at widths where that
release's SIMD code follows its plain code: both must agree in every digit the judge prints. Motion is computed in
another way there (blur, round, subtract; here subtract, blur), so motion and VMAF get a tolerance; exactness comes
from the golden values.
"""
import json
import os
import subprocess

from harness import Skip, case, expect, ffmpeg, load, main, need_models, run

MOTION_TOLERANCE = 0.02  # of a value around 3 to 10
VMAF_TOLERANCE = 0.05


def judge(reference, distorted, features=""):
    """The frames of the judge's log."""
    program = os.environ.get("VMAFX_JUDGE")
    if not program or not os.path.exists(program):
        raise Skip("no ffmpeg with libvmaf; './run test' fetches one, or set VMAFX_JUDGE")
    subprocess.run([program, "-hide_banner", "-loglevel", "error", "-nostdin", "-i", distorted, "-i", reference, "-lavfi",
                    "libvmaf=log_fmt=json:log_path=judge.json:n_threads=2" +
                    (":feature=" + features.replace(":", "\\\\:") if features else ""), "-f", "null", "-"], check=True)
    return [frame["metrics"] for frame in load("judge.json")["frames"]]


def ours(reference, distorted):
    report = expect(run("score", "--reference", reference, "--distorted", distorted, "--json"), 0).stdout
    return [frame["metrics"] for frame in json.loads(report)["frames"]]


def compare(reference, distorted):
    need_models()
    theirs, mine = judge(reference, distorted), ours(reference, distorted)
    assert len(theirs) == len(mine) and len(mine) >= 10, (len(theirs), len(mine))
    exact = [name for name in theirs[0] if name.startswith(("integer_vif_scale", "integer_adm"))]
    assert len(exact) == 9, exact
    worst_motion = worst_vmaf = 0
    for index, (their, my) in enumerate(zip(theirs, mine)):
        for name in exact:
            assert abs(their[name] - my[name]) <= 0.51e-6, f"frame {index} {name}: {their[name]} and {my[name]}"
        worst_motion = max(worst_motion, abs(their["integer_motion2"] - my["integer_motion2"]))
        worst_vmaf = max(worst_vmaf, abs(their["vmaf"] - my["vmaf"]))
    print(f"{distorted}: {len(mine)} frames, motion2 within {worst_motion:.4f}, VMAF within {worst_vmaf:.4f}")
    assert worst_motion <= MOTION_TOLERANCE and worst_vmaf <= VMAF_TOLERANCE, (worst_motion, worst_vmaf)


def make_pair(size, pix_fmt, crf):
    ffmpeg("-f", "lavfi", "-i", f"testsrc2=size={size}:rate=25:duration=0.5,noise=alls=8:allf=t:all_seed=3",
           "-pix_fmt", pix_fmt, "-strict", "-1", "ref.y4m")
    ffmpeg("-i", "ref.y4m", "-c:v", "libx264", "-preset", "veryfast", "-crf", crf, "-pix_fmt", pix_fmt, "dis.mp4")
    ffmpeg("-i", "dis.mp4", "-pix_fmt", pix_fmt, "-strict", "-1", "dis.y4m")


@case
def the_judge_agrees_on_h264_of_8_bits():
    make_pair("640x360", "yuv420p", 34)
    compare("ref.y4m", "dis.mp4")


@case
def the_judge_agrees_on_h264_of_10_bits():
    make_pair("640x360", "yuv420p10le", 30)
    compare("ref.y4m", "dis.mp4")


@case
def the_judge_agrees_on_y4m_of_8_bits():
    make_pair("480x270", "yuv420p", 28)
    compare("ref.y4m", "dis.y4m")


@case
def the_judge_agrees_on_y4m_of_10_bits():
    make_pair("480x270", "yuv420p10le", 38)
    compare("ref.y4m", "dis.y4m")


@case
def the_judge_agrees_on_the_other_features():
    exact = ("psnr=enable_mse=true", "ciede", "psnr_hvs", "float_ssim=enable_lcs=true", "float_ms_ssim=enable_lcs=true",
             "cambi=full_ref=true")
    near = ("float_vif", "float_adm", "float_motion")  # borders are folded in another way there, and taps are rounded
    for size, pix_fmt, crf in (("480x270", "yuv420p", 36), ("320x240", "yuv422p10le", 40)):
        make_pair(size, pix_fmt, crf)
        names = [f.replace("=", ":", 1) for f in (*exact, *near)]
        # as in the published filter, 4:2:2 goes through a swap of directions in ciede: both sides imitate it
        theirs = judge("ref.y4m", "dis.mp4", "|".join("name=" + name for name in names))
        done = run("score", "--reference", "ref.y4m", "--distorted", "dis.mp4", "--json", "--features-only",
                   *(x for f in (*exact, *near) for x in ("--feature", f)))
        mine = [frame["metrics"] for frame in json.loads(expect(done, 0).stdout)["frames"]]
        assert len(theirs) == len(mine) and len(mine) >= 10, (len(theirs), len(mine))
        for index, (their, my) in enumerate(zip(theirs, mine)):
            for name, value in my.items():
                if name not in their or value is None:
                    continue
                floats = name.startswith(("vif_", "adm2", "adm_scale", "motion"))
                limit = MOTION_TOLERANCE if floats else 0.51e-6
                assert abs(their[name] - value) <= limit, f"frame {index} {name}: {their[name]} and {value}"
            assert len([name for name in my if name in their]) >= 40, (sorted(my), sorted(their))


main()

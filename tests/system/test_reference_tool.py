# SPDX-License-Identifier: BSD-2-Clause-Patent
"""`vmafx vmaf`, and the program under the name vmaf: scripts made for the reference tool run unchanged."""
import json
import os
import subprocess
import xml.etree.ElementTree

from harness import PROGRAM, case, expect, load, main, need_models, pair, run, write_y4m, write_yuv


def vmaf(*arguments, **options):
    return run("vmaf", *arguments, **options)


@case
def y4m_files_need_no_format_and_give_xml():
    need_models()
    pair()
    expect(vmaf("-r", "ref.y4m", "-d", "dis.y4m", "-o", "out.xml", "-q"), 0)
    root = xml.etree.ElementTree.parse("out.xml").getroot()
    assert root.tag == "VMAF" and root.find("params").attrib == {"qualityWidth": "64", "qualityHeight": "48"}
    assert [frame.attrib["frameNum"] for frame in root.find("frames")] == [str(i) for i in range(6)]
    names = [metric.attrib["name"] for metric in root.find("pooled_metrics")]
    assert names == ["integer_adm2", "integer_aim", "integer_adm3", "integer_adm_scale0", "integer_adm_scale1",
                     "integer_adm_scale2", "integer_adm_scale3", "VMAF_integer_feature_motion_sad_score",
                     "integer_vif_scale0", "integer_vif_scale1", "integer_vif_scale2", "integer_vif_scale3",
                     "integer_motion2", "integer_motion3", "vmaf"], names


@case
def raw_video_gives_the_same_scores_as_y4m():
    need_models()
    pair()
    write_yuv("ref.yuv")
    write_yuv("dis.yuv", noise=1)
    expect(vmaf("-r", "ref.y4m", "-d", "dis.y4m", "--json", "-o", "a.json", "-q"), 0)
    expect(vmaf("--reference", "ref.yuv", "--distorted", "dis.yuv", "-w", 64, "-h", 48, "-p", "420", "-b", 8, "--json",
                "--output", "b.json", "--quiet"), 0)
    a, b = load("a.json"), load("b.json")
    assert a["frames"] == b["frames"] and a["pooled_metrics"] == b["pooled_metrics"]
    assert list(a) == ["version", "fps", "frames", "pooled_metrics", "aggregate_metrics"]


@case
def several_models_and_overloads_come_out_under_their_names():
    need_models()
    pair()
    expect(vmaf("-r", "ref.y4m", "-d", "dis.y4m", "-m", "version=vmaf_v0.6.1:name=a", "-m",
                "version=vmaf_v0.6.1:name=b:vif.vif_enhn_gain_limit=1.0", "--json", "-o", "o.json", "-q"), 0)
    metrics = load("o.json")["frames"][0]["metrics"]
    assert {"a", "b", "integer_vif_scale0", "integer_vif_scale0_egl_1"} <= set(metrics), list(metrics)


@case
def counts_skips_and_subsampling_choose_the_frames():
    pair()
    features = ("--feature", "motion", "--feature", "vif", "-n", "--json", "-q")
    expect(vmaf("-r", "ref.y4m", "-d", "dis.y4m", *features, "--subsample", 2, "--frame_cnt", 5, "-o", "o.json"), 0)
    assert [frame["frameNum"] for frame in load("o.json")["frames"]] == [0, 2, 4]
    expect(vmaf("-r", "ref.y4m", "-d", "dis.y4m", *features, "--frame_skip_ref", 2, "--frame_skip_dist", 2, "-o", "o.json"), 0)
    assert [frame["frameNum"] for frame in load("o.json")["frames"]] == [0, 1, 2, 3]


@case
def csv_and_sub_have_their_shape():
    pair()
    for kind in ("csv", "sub"):
        expect(vmaf("-r", "ref.y4m", "-d", "dis.y4m", "-n", "--feature", "vif", "--" + kind, "-o", "o." + kind, "-q"), 0)
    lines = open("o.csv", encoding="utf-8").read().splitlines()
    assert lines[0] == "Frame,integer_vif_scale0,integer_vif_scale1,integer_vif_scale2,integer_vif_scale3,", lines[0]
    assert lines[1].startswith("0,0.") and lines[1].endswith(","), lines[1]
    lines = open("o.sub", encoding="utf-8").read().splitlines()
    assert lines[0].startswith("{0}{1}frame: 0|integer_vif_scale0: 0."), lines[0]


@case
def a_shorter_clip_is_told_and_scored():
    write_y4m("ref.y4m", n=6)
    write_y4m("dis.y4m", n=4, noise=1)
    expect(vmaf("-r", "ref.y4m", "-d", "dis.y4m", "-n", "--feature", "vif", "--json", "-o", "o.json"), 0,
           '"dis.y4m" ended before "ref.y4m".')
    assert len(load("o.json")["frames"]) == 4


@case
def the_exit_codes_are_the_reference_tools():
    pair()
    files = ("-r", "ref.y4m", "-d", "dis.y4m")
    expect(vmaf("-r", "ref.y4m"), 1)
    expect(vmaf(*files, "--bitdepth", 9, "-w", 64, "-h", 48, "-p", "420"), 1)
    expect(vmaf(*files, "-w", 64), 1)
    expect(vmaf("-r", "none.y4m", "-d", "dis.y4m"), 255, "none.y4m")
    expect(vmaf(*files, "-m", "version=vmaf_v9"), 255, "vmaf_v9")
    expect(vmaf(*files, "-n", "--feature", "float_ansnr"), 255, "not available in this version")
    expect(vmaf(*files, "-n", "--feature", "vif=vif_enhn_gain_limit=1000"), 255)
    expect(vmaf(*files, "-n", "--feature", "vif=no_such_option=1", "-q"), 0)
    expect(vmaf(*files, "-n", "--feature", "vif", "-o", "no/such/folder.xml"), 255, "no/such/folder.xml")
    write_y4m("small.y4m", w=60)
    expect(vmaf("-r", "ref.y4m", "-d", "small.y4m", "-n", "--feature", "vif"), 255, "do not match")
    os.truncate("dis.y4m", os.path.getsize("dis.y4m") - 100)
    expect(vmaf(*files, "-n", "--feature", "vif"), 255, "dis.y4m")


@case
def a_link_named_vmaf_is_the_reference_tool():
    pair()
    os.symlink(PROGRAM, "vmaf")
    process = subprocess.run(["./vmaf", "-r", "ref.y4m", "-d", "dis.y4m", "-n", "--feature", "vif", "--json", "-o",
                              "o.json", "-q"], capture_output=True, text=True, check=False)
    assert process.returncode == 0, process
    assert json.load(open("o.json", encoding="utf-8"))["frames"][0]["metrics"]


main()

# SPDX-License-Identifier: BSD-2-Clause-Patent
"""The VMAF v1 models from the command line: notes, refusals, the model that is taken by itself."""
import json
import os

from fleet import Fleet
from harness import Skip, case, expect, ffmpeg, load, main, need_models, run
from mcp import Mcp
from server import Server

SHARED = os.path.join(os.environ.get("VMAFX_SHARED", ""), "models")


def models():
    """An environment in which the eight models are found."""
    if not os.path.exists(os.path.join(SHARED, "vmaf_v1.0.16_hfr_3d0h_2160.json")):
        raise Skip("no v1 model files; VMAFX_SHARED names the folder that has models/")
    return {"VMAFX_MODEL_PATH": SHARED}


def nothing():
    """An environment in which no model is found."""
    home = os.path.abspath("home")
    os.makedirs(home, exist_ok=True)
    return {"VMAFX_MODEL_PATH": "", "HOME": home, "XDG_DATA_HOME": os.path.join(home, "data"), "VMAFX_CONFIG": ""}


def pair(size="640x360", rate=25, pix_fmt="yuv420p10le", frames=3):
    for name, noise in (("ref.mkv", 0), ("dis.mkv", 14)):
        ffmpeg("-f", "lavfi", "-i", f"testsrc2=size={size}:rate={rate}", "-frames:v", frames, "-vf",
               f"hue=s=0.6,noise=alls={noise}:all_seed=3,format={pix_fmt}", "-c:v", "ffv1", name)


def score(*arguments, env):
    return run("score", "--reference", "ref.mkv", "--distorted", "dis.mkv", "--json", *arguments, env=env)


def report(*arguments, env):
    return json.loads(expect(score(*arguments, env=env), 0).stdout)


@case
def series_have_the_names_and_the_order_of_the_reference():
    env = models()
    pair()
    names = list(report("--model", "vmaf_v1.0.16_3d0h_2160", env=env)["frames"][0]["metrics"])
    speed, adm = "mxv_45_nnf_0.1_ps_0.5_psm_bilinear_snn_0.19_wvm_5", "csf_2_dlmw_0.7_egl_1_min_0.5_nw_0.02_rdh_2160"
    assert names == ["cambi_hrs_1080_cmxv_17_vlt_0.06", *(f"speed_chroma_{p}_{speed}" for p in ("u", "v", "uv")),
                     *(f"integer_{n}_{adm}" for n in ("adm2", "aim", "adm3", *(f"adm_scale{i}" for i in range(4)))),
                     "VMAF_integer_feature_motion_sad_score_mmxv_18", "integer_motion2_mmxv_18", "integer_motion3_mmxv_18",
                     "vmaf"], names


@case
def overloads_show_in_names_and_change_the_score():
    env = models()
    pair()
    plain = report("--model", "vmaf_v1.0.16_3d0h", env=env)
    coded = report("--model", "version=vmaf_v1.0.16_3d0h:cambi.enc_width=320:cambi.enc_height=180:cambi.enc_bitdepth=8", env=env)
    assert "cambi_hrs_1080_cmxv_17_vlt_0.06_encbd_8_ench_180_encw_320" in coded["frames"][0]["metrics"]
    assert "cambi_hrs_1080_cmxv_17_vlt_0.06" in plain["frames"][0]["metrics"]
    expect(score("--model", "vmaf_v1.0.16_3d0h:cambi.enc_width=0", env=env), 5, "enc_width", "180 to 7680")
    expect(score("--model", "vmaf_v1.0.16_3d0h:adm.adm_norm_view_dist=4", env=env), 5, "4 heights")
    expect(score("--model", "vmaf_v1.0.16_3d0h:nosuch.option=1", env=env), 5, "nosuch")


@case
def pictures_that_cannot_be_measured_are_refused_with_a_sentence():
    env = models()
    pair(pix_fmt="gray10le")
    expect(score("--model", "vmaf_v1.0.16_3d0h", env=env), 4, "these pictures are grey", "vmaf_v0.6.1 does not")
    pair(size="310x318")
    expect(score("--model", "vmaf_v1.0.16_3d0h_2160", env=env), 4, "chroma planes of at least 159x159")
    pair(size="318x318")
    report("--model", "vmaf_v1.0.16_3d0h_2160", env=env)
    pair(size="214x214")
    expect(score("--model", "vmaf_v1.0.16_3d0h", env=env), 4, "cambi", "216")


@case
def eight_bits_bring_a_note_about_banding():
    env = models()
    pair(pix_fmt="yuv420p")
    notes = " ".join(report("--model", "vmaf_v1.0.16_3d0h", env=env)["warnings"])
    assert "made for 10 bits per sample, these have 8" in notes, notes
    assert not report("--model", "vmaf_v0.6.1", env=env)["warnings"]
    assert not report("--model", "vmaf_v1.0.16_3d0h:cambi.enc_bitdepth=8", env=env)["warnings"]
    os.rename("dis.mkv", "eight.mkv")
    pair()
    assert not report("--model", "vmaf_v1.0.16_3d0h", env=env)["warnings"]
    os.rename("eight.mkv", "dis.mkv")
    notes = " ".join(report("--model", "vmaf_v1.0.16_3d0h", "--convert-depth", env=env)["warnings"])
    assert "cambi.enc_bitdepth=8" in notes, notes


@case
def auto_takes_a_model_by_size_and_rate_and_says_why():
    env = models()
    for size, rate, version in (("640x360", 25, "vmaf_v1.0.16_3d0h"), ("640x360", 50, "vmaf_v1.0.16_hfr_3d0h"),
                                ("3840x1080", 24, "vmaf_v1.0.16_3d0h"), ("3840x1600", 60, "vmaf_v1.0.16_hfr_1d5h_2160")):
        pair(size, rate, frames=1)
        done = report("--model", "auto", env=env)
        assert done["models"][0]["version"] == version, (size, rate, done["models"])
        assert f"model auto: {version}, because" in done["adaptations"][0] and not done["warnings"], done["adaptations"]
    pair("3840x1600", 60, frames=1)
    done = report("--model", "auto:name=x:disable_clip", "--model", "vmaf_v0.6.1", "--scale", "640x360", env=env)
    assert [m["version"] for m in done["models"]] == ["vmaf_v1.0.16_hfr_3d0h", "vmaf_v0.6.1"], done["models"]
    assert done["models"][0]["name"] == "x"
    auto, named = (report("--model", m, env=env)["frames"] for m in ("auto", "vmaf_v1.0.16_hfr_1d5h_2160"))
    assert auto == named


@case
def a_job_takes_its_model_from_what_the_node_decodes():
    env = models()
    pair("640x360", 50)
    local = report("--model", "auto", env=env)
    paths = [os.path.abspath(name) for name in ("ref.mkv", "dis.mkv")]
    with Fleet(env=env) as fleet:
        job = fleet.submit(*paths, "--model", "auto")
        expect(fleet.cli("watch", job), 0, "succeeded")
        fleet.ok("result", job, "--output", "fleet.json")
        remote = load("fleet.json")
    assert remote["frames"] == local["frames"] and remote["models"][0]["version"] == "vmaf_v1.0.16_hfr_3d0h"
    assert "model auto: vmaf_v1.0.16_hfr_3d0h" in remote["adaptations"][0], remote["adaptations"]


@case
def servers_and_assistants_may_say_auto_too():
    env = models()
    pair("640x360", 50)
    local = report("--model", "auto", env=env)
    want = local["pooled"]["vmaf"]["mean"]
    with Server(env=env) as server:
        got = server.score({"reference": {"uri": os.path.abspath("ref.mkv")}, "distorted": {"uri": os.path.abspath("dis.mkv")},
                            "models": [{"version": "auto"}]})
        assert "model auto: vmaf_v1.0.16_hfr_3d0h" in json.dumps(got), got
        assert str(want)[:12] in json.dumps(got), (want, got)
    with Mcp(env=env) as mcp:
        got = mcp.ok("score_videos", reference="ref.mkv", distorted="dis.mkv", models=["auto"])
        assert got["model"] == "vmaf_v1.0.16_hfr_3d0h" and got["score"] == want, got
        told = mcp.ok("explain_score", job_id=got["job_id"])
        metrics = {m["metric"]: m for m in told["metrics"]}
        assert {"cambi", "speed_chroma_uv", "integer_adm3", "integer_motion3"} <= set(metrics), metrics
        assert {a["feature"] for a in told["about"]} == {"adm", "cambi", "motion", "speed_chroma"}, told["about"]
        for name, m in metrics.items():
            assert m["series"].startswith(name) and m["mean"] == local["pooled"][m["series"]]["mean"] and m["range"], m
        assert metrics["cambi"]["better"] == "lower" and metrics["integer_adm3"]["better"] == "higher", metrics
        assert not told["features"] and any("CAMBI" in one for one in told["findings"]), told
        assert not any("as in very good encodes" in one for one in told["findings"]), told["findings"]


@case
def a_node_without_v1_models_does_not_take_such_a_job():
    folder = need_models()
    if os.path.exists(os.path.join(folder, "vmaf_v1.0.16_3d0h.json")):
        raise Skip("the folder of models has those of v1")
    pair()
    paths = [os.path.abspath(name) for name in ("ref.mkv", "dis.mkv")]
    with Fleet(env={"VMAFX_MODEL_PATH": folder}) as fleet:
        expect(fleet.cli("submit", "--reference", paths[0], "--distorted", paths[1], "--model", "auto", "--wait", "--quiet"), 5,
               "vmaf_v1.0.16_3d0h")


@case
def who_has_no_file_is_told_where_they_are():
    pair()
    for model in ("auto", "vmaf_v1.0.16_5d0h"):
        expect(score("--model", model, env=nothing()), 5, "Netflix/vmaf", "vmafx models import", "vmafx models path")
    expect(run("doctor", env=nothing()), 5, "`--model auto` lacks vmaf_v1.0.16_3d0h")


@case
def doctor_lists_what_is_there():
    expect(run("doctor", env=models()), 0, "vmaf_v1.0.16_hfr_5d0h", "`--model auto` has all it chooses from")


main()

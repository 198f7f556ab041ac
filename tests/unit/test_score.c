/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Scoring a pair: what is refused before the first frame, how a pair may end, models and features from text. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base.h"
#include "score/score.h"

/* ---- the pair check ---- */

static const VmafxVideoInfo hd = { .w = 1280,
                                   .h = 720,
                                   .bpc = 8,
                                   .pix = VMAFX_PIX_420,
                                   .rate_num = 25,
                                   .rate_den = 1,
                                   .frames = 150,
                                   .range = "tv",
                                   .matrix = "bt709",
                                   .transfer = "bt709",
                                   .primaries = "bt709",
                                   .container = "mov,mp4",
                                   .codec = "h264" };

/* One property of hd changed. */
typedef void (*Change)(VmafxVideoInfo *info);

static void smaller(VmafxVideoInfo *info)
{
    info->w = 640;
    info->h = 360;
}

static void pixels_444(VmafxVideoInfo *info)
{
    info->pix = VMAFX_PIX_444;
}

static void deeper(VmafxVideoInfo *info)
{
    info->bpc = 10;
}

static void full(VmafxVideoInfo *info)
{
    info->range = "pc";
}

static void matrix_601(VmafxVideoInfo *info)
{
    info->matrix = "smpte170m";
}

static void srgb(VmafxVideoInfo *info)
{
    info->transfer = "iec61966-2-1";
}

static void primaries_2020(VmafxVideoInfo *info)
{
    info->primaries = "bt2020";
}

static void slower(VmafxVideoInfo *info)
{
    info->rate_num = 24000;
    info->rate_den = 1001;
}

static void later(VmafxVideoInfo *info)
{
    info->start_s = 1.4;
}

static void fewer(VmafxVideoInfo *info)
{
    info->frames = 148;
}

static void allow_scale(VmafxPairOptions *o)
{
    o->scale = VMAFX_SCALING_REFERENCE;
}

static void allow_pixel_format(VmafxPairOptions *o)
{
    o->ignore_pixel_format = true;
}

static void allow_depth(VmafxPairOptions *o)
{
    o->convert_depth = true;
}

static void allow_range(VmafxPairOptions *o)
{
    o->convert_range = true;
}

static void allow_colour(VmafxPairOptions *o)
{
    o->ignore_colour = true;
}

static void allow_rate(VmafxPairOptions *o)
{
    o->ignore_rate = true;
}

static void allow_start(VmafxPairOptions *o)
{
    o->ignore_start = true;
}

static void allow_frames(VmafxPairOptions *o)
{
    o->accept_shorter = true;
}

static const struct {
    VmafxPairProperty property;
    Change change;
    void (*allow)(VmafxPairOptions *o);
    const char *ref, *dis, *option; /* what the sentence names */
    bool reference_tool;            /* it refuses that too */
} mismatches[] = {
    { VMAFX_PAIR_SIZE, smaller, allow_scale, "1280x720", "640x360", "--scale", true },
    { VMAFX_PAIR_PIXEL_FORMAT, pixels_444, allow_pixel_format, "4:2:0", "4:4:4", "--ignore-pixel-format", true },
    { VMAFX_PAIR_DEPTH, deeper, allow_depth, "8", "10 bits", "--convert-depth", true },
    { VMAFX_PAIR_RANGE, full, allow_range, "limited", "full", "--convert-range", false },
    { VMAFX_PAIR_MATRIX, matrix_601, allow_colour, "bt709", "smpte170m", "--ignore-colour", false },
    { VMAFX_PAIR_TRANSFER, srgb, allow_colour, "bt709", "iec61966-2-1", "--ignore-colour", false },
    { VMAFX_PAIR_PRIMARIES, primaries_2020, allow_colour, "bt709", "bt2020", "--ignore-colour", false },
    { VMAFX_PAIR_RATE, slower, allow_rate, "25/1", "24000/1001", "--ignore-rate", false },
    { VMAFX_PAIR_START, later, allow_start, "0.000 s", "1.400 s", "--ignore-start", false },
    { VMAFX_PAIR_FRAMES, fewer, allow_frames, "150", "148", "--accept-shorter", false },
};

static const VmafxPairOptions strict = { .strict = true };

static size_t problems_of(const VmafxVideoInfo *ref, const VmafxVideoInfo *dis, const VmafxPairOptions *o)
{
    VmafxProblem problems[VMAFX_PAIR_PROBLEMS_MAX];

    return vmafx_pair_check(ref, dis, o, problems);
}

static void equal_videos_are_compared(void **state)
{
    assert_int_equal(problems_of(&hd, &hd, &strict), 0);
}

static void a_mismatch_names_both_values_and_the_option(void **state)
{
    for (size_t i = 0; i < VMAFX_LEN(mismatches); i++) {
        VmafxProblem problems[VMAFX_PAIR_PROBLEMS_MAX];
        VmafxVideoInfo dis = hd;

        mismatches[i].change(&dis);
        assert_int_equal(vmafx_pair_check(&hd, &dis, &strict, problems), 1);
        assert_int_equal(problems[0].property, mismatches[i].property);

        const char *sentence = problems[0].sentence;
        if (!strstr(sentence, mismatches[i].ref) || !strstr(sentence, mismatches[i].dis) ||
            !strstr(sentence, mismatches[i].option))
            fail_msg("'%s' lacks %s, %s or %s", sentence, mismatches[i].ref, mismatches[i].dis, mismatches[i].option);
        assert_true(strlen(sentence) + 1 < sizeof problems[0].sentence); /* not cut */
    }
}

static void an_option_allows_its_mismatch_and_no_other(void **state)
{
    for (size_t i = 0; i < VMAFX_LEN(mismatches); i++)
        for (size_t k = 0; k < VMAFX_LEN(mismatches); k++) {
            VmafxPairOptions options = strict;
            VmafxVideoInfo dis = hd;
            bool allowed = mismatches[i].allow == mismatches[k].allow;

            mismatches[i].change(&dis);
            mismatches[k].allow(&options);
            if (problems_of(&hd, &dis, &options) != !allowed)
                fail_msg("%s and a mismatch that %s is for", mismatches[k].option, mismatches[i].option);
        }
}

static void all_mismatches_are_told_at_once(void **state)
{
    VmafxVideoInfo dis = hd;

    for (size_t i = 0; i < VMAFX_LEN(mismatches); i++)
        mismatches[i].change(&dis);
    dis.transfer = "smpte2084"; /* HDR on top */
    assert_int_equal(problems_of(&hd, &dis, &strict), VMAFX_LEN(mismatches) + 1);
}

static void the_reference_tool_looks_at_size_format_and_depth_only(void **state)
{
    const VmafxPairOptions lenient = { .accept_shorter = true };

    for (size_t i = 0; i < VMAFX_LEN(mismatches); i++) {
        VmafxVideoInfo dis = hd;

        mismatches[i].change(&dis);
        assert_int_equal(problems_of(&hd, &dis, &lenient), mismatches[i].reference_tool);
    }
}

static void unknown_goes_with_anything(void **state)
{
    VmafxVideoInfo dis = hd;

    dis.range = dis.matrix = dis.transfer = dis.primaries = "unknown";
    dis.rate_num = 0;
    dis.rate_den = 1;
    dis.frames = 0;
    assert_int_equal(problems_of(&hd, &dis, &strict), 0);
    assert_int_equal(problems_of(&dis, &hd, &strict), 0);

    VmafxVideoInfo ts = hd, y4m = hd;
    ts.start_s = 1.4;
    snprintf(y4m.container, sizeof y4m.container, "y4m"); /* has no times */
    assert_int_equal(problems_of(&y4m, &ts, &strict), 0);
}

static void hdr_is_refused_until_allowed(void **state)
{
    static const char *const curves[] = { "smpte2084", "arib-std-b67" };

    for (size_t i = 0; i < VMAFX_LEN(curves); i++) {
        VmafxProblem problems[VMAFX_PAIR_PROBLEMS_MAX];
        VmafxPairOptions allow = { .strict = true, .allow_hdr = true };
        VmafxVideoInfo hdr = hd;

        hdr.transfer = curves[i];
        assert_int_equal(vmafx_pair_check(&hdr, &hdr, &strict, problems), 1);
        assert_int_equal(problems[0].property, VMAFX_PAIR_HDR);
        assert_non_null(strstr(problems[0].sentence, "--allow-hdr"));
        assert_non_null(strstr(problems[0].sentence, curves[i]));
        assert_int_equal(problems_of(&hdr, &hdr, &allow), 0);
    }
}

static void what_containers_round_is_no_difference(void **state)
{
    VmafxVideoInfo ref = hd, dis = hd;

    slower(&ref);
    dis.rate_num = 2997; /* 23.976 */
    dis.rate_den = 125;
    dis.start_s = 0.02; /* less than half a frame */
    assert_int_equal(problems_of(&ref, &dis, &strict), 0);
    dis.rate_num = 24;
    dis.rate_den = 1;
    assert_int_equal(problems_of(&ref, &dis, &strict), 1);
}

static void frame_counts_matter_as_far_as_frames_are_used(void **state)
{
    VmafxPairOptions options = strict;
    VmafxVideoInfo dis = hd;

    fewer(&dis);
    options.skip_ref = 2;
    assert_int_equal(problems_of(&hd, &dis, &options), 0);
    options.skip_ref = 0;
    options.first = 100;
    options.count = 48;
    assert_int_equal(problems_of(&hd, &dis, &options), 0);
    options.count = 49;
    assert_int_equal(problems_of(&hd, &dis, &options), 1);
}

/* ---- whole pairs ---- */

typedef struct Clips {
    char folder[32];
    char ref[64], dis[64];
} Clips;

enum { CLIP_W = 48, CLIP_H = 40 };

/* n frames of y4m; the last one lacks `missing` bytes. */
static void write_clip(const char *path, int w, int h, int n, int noise, int missing)
{
    FILE *f = fopen(path, "wbe");

    assert_non_null(f);
    fprintf(f, "YUV4MPEG2 W%d H%d F25:1 Ip A1:1 C420jpeg\n", w, h);
    for (int t = 0; t < n; t++) {
        int bytes = w * h + 2 * ((w + 1) / 2) * ((h + 1) / 2) - (t == n - 1 ? missing : 0);

        fputs("FRAME\n", f);
        for (int i = 0; i < bytes; i++)
            putc(i < w * h ? (i % w * 5 + i / w * 3 + t * 11 + (i * i) % 7 + noise * (i * 31 % 5)) % 200 : 128, f);
    }
    assert_int_equal(fclose(f), 0);
}

static int make_folder(void **state)
{
    Clips *clips = calloc(1, sizeof *clips);

    if (!clips)
        return -1;
    snprintf(clips->folder, sizeof clips->folder, "/tmp/vmafx-score-XXXXXX");
    if (!mkdtemp(clips->folder))
        return -1;
    snprintf(clips->ref, sizeof clips->ref, "%s/ref.y4m", clips->folder);
    snprintf(clips->dis, sizeof clips->dis, "%s/dis.y4m", clips->folder);
    *state = clips;
    return 0;
}

static int remove_folder(void **state)
{
    Clips *clips = *state;

    unlink(clips->ref);
    unlink(clips->dis);
    rmdir(clips->folder);
    free(clips);
    return 0;
}

static const VmafxFeatureRequest vif = { .name = "vif" };

static VmafxPairOptions vif_only(void)
{
    return (VmafxPairOptions){ .features = &vif, .n_features = 1, .strict = true };
}

static VmafxErr score(const Clips *clips, const VmafxPairOptions *o, VmafxResult *result)
{
    VmafxErrInfo info = { 0 };
    VmafxErr err = vmafx_score_pair(clips->ref, clips->dis, o, result, &info);

    assert_true(!err == !*info.message); /* a failure has its sentence */
    return err;
}

static void a_pair_that_ends_together_is_complete(void **state)
{
    const Clips *clips = *state;
    VMAFX_AUTO(vmafx_result_done) VmafxResult result = { 0 };
    VmafxPairOptions options = vif_only();
    VmafxReportData data;
    VmafxSeriesPooled p;

    options.threads = 2;
    options.digest = true;
    write_clip(clips->ref, CLIP_W, CLIP_H, 9, 0, 0);
    write_clip(clips->dis, CLIP_W, CLIP_H, 9, 1, 0);
    assert_int_equal(score(clips, &options, &result), VMAFX_OK);
    assert_true(result.complete && result.ending == VMAFX_ENDING_TOGETHER && result.frames == 9);
    assert_int_equal(strlen(result.inputs[0].sha256), 64);
    assert_string_not_equal(result.inputs[0].sha256, result.inputs[1].sha256);

    assert_int_equal(vmafx_result_report(&result, &data), VMAFX_OK);
    size_t series = vmafx_report_find(&data, "integer_vif_scale0");
    assert_true(series != SIZE_MAX);
    assert_int_equal(vmafx_report_pool(&data, series, &p), VMAFX_OK);
    assert_true(p.n == 9 && p.mean > 0.1 && p.mean < 1);
}

static void a_shorter_input_is_told_or_accepted(void **state)
{
    const Clips *clips = *state;
    VmafxPairOptions options = vif_only();

    options.strict = false; /* so that the promised counts do not end it before the first frame */
    for (int accept = 0; accept < 2; accept++)
        for (int shorter = 0; shorter < 2; shorter++) {
            VMAFX_AUTO(vmafx_result_done) VmafxResult result = { 0 };

            options.accept_shorter = accept;
            write_clip(clips->ref, CLIP_W, CLIP_H, shorter == 0 ? 5 : 8, 0, 0);
            write_clip(clips->dis, CLIP_W, CLIP_H, shorter == 1 ? 5 : 8, 1, 0);
            assert_int_equal(score(clips, &options, &result), VMAFX_OK);
            assert_true(result.frames == 5 && result.ending == VMAFX_ENDING_SHORTER);
            assert_int_equal(result.ended_first, shorter);
            assert_int_equal(result.complete, accept);
            assert_int_equal(result.adaptations.n, accept);
            assert_int_equal(result.incomplete_reason == NULL, accept);
        }
}

static void a_cut_input_is_never_complete(void **state)
{
    const Clips *clips = *state;
    VmafxPairOptions options = vif_only();

    options.accept_shorter = true;
    for (int cut = 0; cut < 2; cut++) {
        VMAFX_AUTO(vmafx_result_done) VmafxResult result = { 0 };

        write_clip(clips->ref, CLIP_W, CLIP_H, 6, 0, cut == 0 ? 100 : 0);
        write_clip(clips->dis, CLIP_W, CLIP_H, 6, 1, cut == 1 ? 100 : 0);
        assert_int_equal(score(clips, &options, &result), VMAFX_OK);
        assert_true(result.frames == 5 && !result.complete && result.ending == VMAFX_ENDING_BROKEN);
        assert_int_equal(result.ended_first, cut);
        assert_non_null(result.incomplete_reason);
    }
}

static void no_frame_at_all_is_an_error(void **state)
{
    const Clips *clips = *state;
    VMAFX_AUTO(vmafx_result_done) VmafxResult skipped = { 0 };
    VMAFX_AUTO(vmafx_result_done) VmafxResult empty = { 0 };
    VmafxPairOptions options = vif_only();

    write_clip(clips->ref, CLIP_W, CLIP_H, 4, 0, 0);
    write_clip(clips->dis, CLIP_W, CLIP_H, 4, 1, 0);
    options.skip_ref = options.skip_dis = 4;
    assert_int_equal(score(clips, &options, &skipped), VMAFX_ERR_INPUT);

    write_clip(clips->dis, CLIP_W, CLIP_H, 0, 1, 0);
    options.skip_ref = options.skip_dis = 0;
    assert_int_equal(score(clips, &options, &empty), VMAFX_ERR_INPUT);
    assert_int_equal(empty.stage, VMAFX_STAGE_INPUTS);
}

static void a_range_of_frames_is_scored_and_told(void **state)
{
    const Clips *clips = *state;
    VMAFX_AUTO(vmafx_result_done) VmafxResult result = { 0 };
    VmafxPairOptions options = vif_only();
    VmafxReportData data;
    double seconds;

    write_clip(clips->ref, CLIP_W, CLIP_H, 12, 0, 0);
    write_clip(clips->dis, CLIP_W, CLIP_H, 10, 1, 0);
    options.skip_ref = 2;
    options.first = 3;
    options.count = 4;
    assert_int_equal(score(clips, &options, &result), VMAFX_OK);
    assert_true(result.complete && result.frames == 4);
    assert_int_equal(result.adaptations.n, 2);
    assert_int_equal(vmafx_result_report(&result, &data), VMAFX_OK);
    assert_true(vmafx_report_time(&data, 0, &seconds) && seconds == 5 / 25.0);
}

static void a_pair_of_two_sizes_is_refused_with_the_reason(void **state)
{
    const Clips *clips = *state;
    VMAFX_AUTO(vmafx_result_done) VmafxResult result = { 0 };
    VmafxPairOptions options = vif_only();

    write_clip(clips->ref, CLIP_W, CLIP_H, 3, 0, 0);
    write_clip(clips->dis, CLIP_W * 2, CLIP_H, 3, 1, 0);
    assert_int_equal(score(clips, &options, &result), VMAFX_ERR_MISMATCH);
    assert_true(result.stage == VMAFX_STAGE_PAIR && result.n_problems == 1);
    assert_true(result.problems[0].property == VMAFX_PAIR_SIZE && result.frames == 0);
}

static bool cancel_after_two(void *ctx, const VmafxProgress *progress)
{
    return progress->frames < 2;
}

static void progress_can_cancel(void **state)
{
    const Clips *clips = *state;
    VMAFX_AUTO(vmafx_result_done) VmafxResult result = { 0 };
    VmafxPairOptions options = vif_only();

    write_clip(clips->ref, CLIP_W, CLIP_H, 30, 0, 0);
    write_clip(clips->dis, CLIP_W, CLIP_H, 30, 1, 0);
    options.progress = cancel_after_two;
    options.threads = 2;
    options.digest = true;
    assert_int_equal(score(clips, &options, &result), VMAFX_OK);
    assert_true(result.ending == VMAFX_ENDING_CANCELLED && !result.complete && result.frames == 2);
}

static void strictness_decides_about_unknown_feature_options(void **state)
{
    const Clips *clips = *state;
    VmafxOption option = { "no_such_option", "1" };
    const VmafxFeatureRequest feature = { .name = "vif", .options = { &option, 1 } };
    VMAFX_AUTO(vmafx_result_done) VmafxResult refused = { 0 };
    VMAFX_AUTO(vmafx_result_done) VmafxResult ignored = { 0 };
    VmafxPairOptions options = vif_only();

    write_clip(clips->ref, CLIP_W, CLIP_H, 2, 0, 0);
    write_clip(clips->dis, CLIP_W, CLIP_H, 2, 1, 0);
    options.features = &feature;
    assert_int_equal(score(clips, &options, &refused), VMAFX_ERR_FEATURE);
    assert_int_equal(refused.stage, VMAFX_STAGE_MODELS);
    options.strict = false;
    assert_int_equal(score(clips, &options, &ignored), VMAFX_OK);
}

/* ---- models and features from text ---- */

static void models_are_read_from_text(void **state)
{
    VMAFX_AUTO(vmafx_model_request_done) VmafxModelRequest m = { 0 };

    assert_int_equal(vmafx_model_request_parse("path=a\\:b.json:name=neg:disable_clip:enable_transform=true:"
                                               "adm.adm_enhn_gain_limit=1.0",
                                               false, &m, NULL),
                     VMAFX_OK);
    assert_string_equal(m.path, "a:b.json");
    assert_string_equal(m.name, "neg");
    assert_null(m.version);
    assert_int_equal(m.flags, VMAFX_MODEL_DISABLE_CLIP | VMAFX_MODEL_ENABLE_TRANSFORM);
    assert_int_equal(m.overloads.n, 1);
    assert_string_equal(m.overloads.items[0].key, "adm.adm_enhn_gain_limit");
    assert_string_equal(m.overloads.items[0].value, "1.0");

    vmafx_model_request_done(&m);
    assert_int_equal(vmafx_model_request_parse("vmaf_v0.6.1:name=x", true, &m, NULL), VMAFX_OK);
    assert_string_equal(m.version, "vmaf_v0.6.1");
}

static void malformed_models_are_refused_with_a_sentence(void **state)
{
    static const char *const bad[] = {
        "",
        "vmaf_v0.6.1", /* bare, where that is not allowed */
        "version=",
        "name=x",
        "version=a:path=b",
        "version=a:disable_clip=maybe",
        "version=a:colour=blue",
        "version=a:",
        "version=a:vif.debug",
    };

    for (size_t i = 0; i < VMAFX_LEN(bad); i++) {
        VmafxModelRequest m = { 0 };
        VmafxErrInfo info = { 0 };

        if (vmafx_model_request_parse(bad[i], false, &m, &info) != VMAFX_ERR_SYNTAX || !*info.message)
            fail_msg("'%s' was not refused", bad[i]);
    }
}

static void features_are_read_from_text(void **state)
{
    VMAFX_AUTO(vmafx_feature_request_done) VmafxFeatureRequest f = { 0 };

    assert_int_equal(vmafx_feature_request_parse("vif=debug=true:vif_enhn_gain_limit=1", &f, NULL), VMAFX_OK);
    assert_string_equal(f.name, "vif");
    assert_int_equal(f.options.n, 2);
    assert_string_equal(f.options.items[1].key, "vif_enhn_gain_limit");
    assert_string_equal(f.options.items[1].value, "1");
    vmafx_feature_request_done(&f);
    assert_int_equal(vmafx_feature_request_parse("vif", &f, NULL), VMAFX_OK);
    assert_int_equal(f.options.n, 0);
    vmafx_feature_request_done(&f);
    assert_int_equal(vmafx_feature_request_parse("=a=1", &f, NULL), VMAFX_ERR_SYNTAX);
    assert_int_equal(vmafx_feature_request_parse("vif=debug", &f, NULL), VMAFX_ERR_SYNTAX);
    assert_int_equal(vmafx_feature_request_parse("vif=", &f, NULL), VMAFX_ERR_SYNTAX);
}

#define WITH_CLIPS(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_videos_are_compared),
        cmocka_unit_test(a_mismatch_names_both_values_and_the_option),
        cmocka_unit_test(an_option_allows_its_mismatch_and_no_other),
        cmocka_unit_test(all_mismatches_are_told_at_once),
        cmocka_unit_test(the_reference_tool_looks_at_size_format_and_depth_only),
        cmocka_unit_test(unknown_goes_with_anything),
        cmocka_unit_test(hdr_is_refused_until_allowed),
        cmocka_unit_test(what_containers_round_is_no_difference),
        cmocka_unit_test(frame_counts_matter_as_far_as_frames_are_used),
        WITH_CLIPS(a_pair_that_ends_together_is_complete),
        WITH_CLIPS(a_shorter_input_is_told_or_accepted),
        WITH_CLIPS(a_cut_input_is_never_complete),
        WITH_CLIPS(no_frame_at_all_is_an_error),
        WITH_CLIPS(a_range_of_frames_is_scored_and_told),
        WITH_CLIPS(a_pair_of_two_sizes_is_refused_with_the_reason),
        WITH_CLIPS(progress_can_cancel),
        WITH_CLIPS(strictness_decides_about_unknown_feature_options),
        cmocka_unit_test(models_are_read_from_text),
        cmocka_unit_test(malformed_models_are_refused_with_a_sentence),
        cmocka_unit_test(features_are_read_from_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

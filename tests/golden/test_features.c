/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * What features do around the numbers that golden values hold them to: every size, format and depth, pictures that are
 * equal or grey, options and names, threads; and parts of them that can be looked at on their own.
 */

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "feature_text.h"
#include "patterns.h"
#include "base/base.h"
#include "base/features.h"
#include "engine/extractor.h"
#include "engine/features/cambi_model.h"
#include "engine/kernels/ciede.h"
#include "engine/kernels/psnr_hvs.h"

static VmafxEngine *new_engine(int threads, int subsample)
{
    VmafxEngine *engine = NULL;

    assert_int_equal(vmafx_engine_new(&(VmafxEngineSettings){ .threads = threads, .subsample = subsample }, &engine),
                     VMAFX_OK);
    return engine;
}

/* Measures a synthetic clip; the engine has ended well, or the error comes back. */
static VmafxErr measure(VmafxEngine *engine, const char *clip, VmafxErrInfo *reterr)
{
    VmafxPicture ref, dis;
    VmafxErr err = VMAFX_OK;
    Pattern pattern;

    assert_true(pattern_parse(clip, &pattern));
    pattern_picture_init(&pattern.shape, &ref);
    pattern_picture_init(&pattern.shape, &dis);
    for (int t = 0; !err && t < pattern.frames; t++) {
        assert_true(pattern_frame(&pattern, t, &ref, &dis));
        err = vmafx_engine_push_pictures(engine, &ref, &dis, reterr);
    }
    pattern_picture_done(&ref);
    pattern_picture_done(&dis);
    return err ? err : vmafx_engine_finish(engine, reterr);
}

static double value(const VmafxEngine *engine, const char *name, uint32_t frame)
{
    double v;

    if (!vmafx_engine_value(engine, vmafx_engine_find(engine, name), frame, &v))
        fail_msg("no %s at frame %u", name, frame);
    return v;
}

static double measured(const char *feature, const char *clip, const char *name)
{
    VMAFX_AUTO(vmafx_engine_free) VmafxEngine *engine = new_engine(0, 1);
    VmafxErrInfo info = { 0 };

    if (feature_text_add(engine, feature, &info) || measure(engine, clip, &info))
        fail_msg("%s of %s: %s", feature, clip, info.message);
    return value(engine, name, 0);
}

static void the_list_of_names_is_the_one_in_the_header(void **state)
{
    char all[512] = "";
    size_t n, used = 0;
    const char *const *names = vmafx_engine_features(&n);

    (void)state;
    for (size_t i = 0; i < n; i++) {
        const VmafxExtractor *extractor;

        used += (size_t)snprintf(all + used, sizeof all - used, "%s%s", i ? " " : "", names[i]);
        assert_true(i == 0 || strcmp(names[i - 1], names[i]) < 0);
        assert_int_equal(vmafx_extractor_find(names[i], &extractor, NULL), VMAFX_OK);
        assert_string_equal(extractor->name, names[i]);
        for (size_t j = 1; j < extractor->n_options; j++)
            if (strcmp(extractor->options[j - 1].name, extractor->options[j].name) >= 0)
                fail_msg("the options of %s are not sorted: %s", names[i], extractor->options[j].name);
        assert_true(extractor->n_options <= VMAFX_OPTIONS_MAX && extractor->n_features <= VMAFX_EXTRACTOR_FEATURES_MAX);
    }
    assert_string_equal(all, VMAFX_FEATURE_NAMES);
}

/* Every result but those for debugging is told of, as its feature's; and nothing else is. */
static void every_result_has_its_row_in_the_table(void **state)
{
    bool given[128] = { false };
    size_t n_features, n;
    const char *const *names = vmafx_engine_features(&n_features);
    const VmafxResultFacts *facts = vmafx_result_facts(&n);

    (void)state;
    assert_true(n <= VMAFX_LEN(given));
    for (size_t i = 0; i < n_features; i++) {
        const VmafxExtractor *extractor = NULL;

        assert_int_equal(vmafx_extractor_find(names[i], &extractor, NULL), VMAFX_OK);
        for (size_t j = 0; j < extractor->n_features; j++) {
            const VmafxFeatureSpec *spec = &extractor->features[j];
            const VmafxResultFacts *found = vmafx_result_facts_of(spec->report);

            if (spec->debug || spec->hidden)
                continue;
            if (!found || strcmp(vmafx_feature_names[found->feature], names[i]) != 0)
                fail_msg("base/features.def does not have %s of %s", spec->report, names[i]);
            given[found - facts] = true;
        }
    }
    for (size_t i = 0; i < n; i++)
        if (!given[i])
            fail_msg("base/features.def has %s, which no feature gives", facts[i].name);
}

/* Where a feature is defined. */
static bool takes(const char *feature, int w, int h, int bpc, int format)
{
    static const struct {
        const char *feature;
        int least;
    } least[] = { { "adm", 33 },        { "motion", 3 },       { "vif", 16 },
                  { "float_adm", 17 },  { "float_motion", 3 }, { "float_ms_ssim", 176 },
                  { "float_ssim", 11 }, { "float_vif", 16 },   { "speed_temporal", 80 } };

    for (size_t i = 0; i < VMAFX_LEN(least); i++)
        if (!strcmp(feature, least[i].feature))
            return w >= least[i].least && h >= least[i].least;
    if (!strcmp(feature, "cambi"))
        return w >= 216 || h >= 216;
    if (!strcmp(feature, "float_psnr") || !strcmp(feature, "float_moment"))
        return bpc <= 12 || strcmp(feature, "float_moment") != 0;
    if (!strcmp(feature, "speed_chroma"))
        return format != 400 && (format == 444 ? w : w / 2) >= 80 && (format == 420 ? h / 2 : h) >= 80;
    if (!strcmp(feature, "psnr"))
        return format == 400 || format == 444 || (w > 1 && (h > 1 || format == 422));
    return format != 400 && (strcmp(feature, "psnr_hvs") || bpc <= 12);
}

static void every_size_format_and_depth_gives_numbers_or_a_sentence(void **state)
{
    static const int sizes[][2] = { { 1, 1 },   { 2, 1 },   { 1, 2 },   { 3, 5 },     { 7, 8 },    { 8, 9 },
                                    { 11, 10 }, { 12, 11 }, { 16, 17 }, { 33, 21 },   { 37, 35 },  { 65, 67 },
                                    { 216, 3 }, { 1, 217 }, { 217, 9 }, { 175, 176 }, { 177, 179 } };
    static const int depths[] = { 8, 10, 12, 16 }, formats[] = { 400, 420, 422, 444 };
    size_t n;
    const char *const *names = vmafx_engine_features(&n);

    (void)state;
    for (size_t i = 0; i < n * VMAFX_LEN(sizes) * VMAFX_LEN(depths) * VMAFX_LEN(formats); i++) {
        const char *name = names[i % n];
        size_t rest = i / n;
        const int *size = sizes[rest % VMAFX_LEN(sizes)];
        int bpc = depths[rest / VMAFX_LEN(sizes) % VMAFX_LEN(depths)];
        int format = formats[rest / VMAFX_LEN(sizes) / VMAFX_LEN(depths)];
        VMAFX_AUTO(vmafx_engine_free) VmafxEngine *engine = new_engine(0, 1);
        VmafxErrInfo info = { 0 };
        char clip[64];

        if (size[0] > 100 && size[1] > 100 && bpc != 8 && format != 420)
            continue; /* large ones need not meet everything */
        snprintf(clip, sizeof clip, "ramp_%dx%d_%d_%db_2f_s%zu", size[0], size[1], format, bpc, i);
        assert_int_equal(vmafx_engine_add_feature(engine, name, NULL, true, NULL), VMAFX_OK);
        VmafxErr err = measure(engine, clip, &info);
        if (err != (takes(name, size[0], size[1], bpc, format) ? VMAFX_OK : VMAFX_ERR_INVALID))
            fail_msg("%s of %s: %s", name, clip, err ? info.message : "it was measured");
        if (err && !strstr(info.message, name))
            fail_msg("%s of %s: '%s' does not name it", name, clip, info.message);
    }
}

static void depths_without_a_definition_are_refused(void **state)
{
    size_t n;
    const char *const *names = vmafx_engine_features(&n);

    (void)state;
    for (size_t i = 0; i < n; i++) {
        VMAFX_AUTO(vmafx_engine_free) VmafxEngine *engine = new_engine(0, 1);
        bool wide = !strcmp(names[i], "adm") || !strcmp(names[i], "motion") || !strcmp(names[i], "vif") ||
                    !strncmp(names[i], "speed_", 6);
        VmafxErrInfo info = { 0 };

        assert_int_equal(vmafx_engine_add_feature(engine, names[i], NULL, true, NULL), VMAFX_OK);
        assert_int_equal(measure(engine, "ramp_217x216_420_9b_1f_s1", &info), wide ? VMAFX_OK : VMAFX_ERR_INVALID);
        assert_true(wide || strstr(info.message, "not for 9"));
    }
}

static void equal_pictures_have_the_best_value(void **state)
{
    static const struct {
        const char *feature, *name;
        double best;
    } features[] = {
        { "psnr", "psnr_y", 60 },
        { "psnr", "psnr_cr", 60 },
        { "float_ssim", "float_ssim", 1 },
        { "float_ms_ssim", "float_ms_ssim", 1 },
        { "float_ssim=enable_db=true", "float_ssim", INFINITY },
        { "float_ssim=enable_db=true:clip_db=true", "float_ssim", 98 },
        { "ciede", "ciede2000", INFINITY },
        { "psnr_hvs", "psnr_hvs", INFINITY },
        { "float_adm", "adm2", 1 },
        { "float_adm", "aim", 0 },
        { "float_motion", "motion2", 0 },
    };

    (void)state;
    for (size_t i = 0; i < VMAFX_LEN(features); i++) {
        double got = measured(features[i].feature, "ident_240x200_420_8b_1f_s1", features[i].name);
        if (got != features[i].best)
            fail_msg("%s is %.17g, not %g", features[i].feature, got, features[i].best);
    }
    assert_true(fabs(measured("float_vif", "ident_240x200_420_8b_1f_s1", "vif_scale0") - 1) < 1e-6);
}

static void grey_pictures_have_a_psnr_and_no_colour_difference(void **state)
{
    VMAFX_AUTO(vmafx_engine_free) VmafxEngine *engine = new_engine(0, 1);

    (void)state;
    assert_int_equal(feature_text_add(engine, "psnr=enable_apsnr=true", NULL), VMAFX_OK);
    assert_int_equal(measure(engine, "ramp_33x21_400_8b_2f_s1", NULL), VMAFX_OK);
    assert_int_equal(vmafx_engine_series(engine), 1);
    assert_true(value(engine, "psnr_y", 0) == measured("psnr", "ramp_33x21_444_8b_2f_s1", "psnr_y"));
    assert_int_equal(vmafx_engine_aggregates(engine), 3);
    assert_true(isinf(vmafx_engine_aggregate(engine, 1)));

    VmafxErrInfo info = { 0 };
    VMAFX_AUTO(vmafx_engine_free) VmafxEngine *other = new_engine(0, 1);
    uint8_t grey[4] = { 0 };
    VmafxPlane luma = { grey, 2, 2, 2, 8 };
    assert_int_equal(feature_text_add(other, "ciede", NULL), VMAFX_OK);
    assert_int_equal(vmafx_engine_push(other, &luma, &luma, &info), VMAFX_ERR_INVALID); /* a luma plane alone is one */
    assert_non_null(strstr(info.message, "grey"));
}

/* Planes whose halves are rounded up, as most tools store them, are read as if rounded down. */
static void chroma_may_be_rounded_up_but_not_be_wrong(void **state)
{
    VMAFX_AUTO(vmafx_engine_free) VmafxEngine *engine = new_engine(0, 1);
    uint8_t luma[5 * 3] = { 0 }, small[2 * 1] = { 9, 9 }, large[3 * 2] = { 9, 9, 200, 200, 200, 200 };
    VmafxPicture down = { { { luma, 5, 5, 3, 8 }, { small, 2, 2, 1, 8 }, { small, 2, 2, 1, 8 } }, VMAFX_CHROMA_420 };
    VmafxPicture up = { { { luma, 5, 5, 3, 8 }, { large, 3, 3, 2, 8 }, { large, 3, 3, 2, 8 } }, VMAFX_CHROMA_420 };
    VmafxErrInfo info = { 0 };

    (void)state;
    assert_int_equal(feature_text_add(engine, "psnr", NULL), VMAFX_OK);
    assert_true(vmafx_engine_reads_chroma(engine));
    assert_int_equal(vmafx_engine_push_pictures(engine, &down, &up, NULL), VMAFX_OK);
    up.planes[2].w = 4;
    assert_int_equal(vmafx_engine_push_pictures(engine, &down, &up, &info), VMAFX_ERR_INVALID);
    assert_non_null(strstr(info.message, "chroma plane 2 of the distorted picture is 4x2"));
    up.planes[2].w = 3;
    up.planes[1].bpc = 10;
    assert_int_equal(vmafx_engine_push_pictures(engine, &down, &up, NULL), VMAFX_ERR_INVALID);
    up.planes[1].bpc = 8;
    up.planes[1].data = NULL;
    assert_int_equal(vmafx_engine_push_pictures(engine, &down, &up, NULL), VMAFX_ERR_INVALID);
    up.chroma = VMAFX_CHROMA_444;
    assert_int_equal(vmafx_engine_push_pictures(engine, &down, &up, &info), VMAFX_ERR_MISMATCH);
    assert_int_equal(vmafx_engine_finish(engine, NULL), VMAFX_OK);
    assert_true(value(engine, "psnr_cb", 0) == 60);
}

static void threads_change_neither_values_nor_aggregates(void **state)
{
    static const char *const features[] = { "psnr=enable_apsnr=true:enable_mse=true",
                                            "ciede",
                                            "psnr_hvs",
                                            "float_ssim=enable_lcs=true",
                                            "float_motion",
                                            "float_vif=debug=true",
                                            "float_adm=debug=true",
                                            "cambi=full_ref=true" };
    enum { FRAMES = 9 };

    (void)state;
    VMAFX_AUTO(vmafx_engine_free) VmafxEngine *plain = new_engine(0, 1), *busy = new_engine(3, 1);
    for (size_t i = 0; i < VMAFX_LEN(features); i++) {
        assert_int_equal(feature_text_add(plain, features[i], NULL), VMAFX_OK);
        assert_int_equal(feature_text_add(busy, features[i], NULL), VMAFX_OK);
    }
    assert_int_equal(measure(plain, "ramp_218x50_420_10b_9f_s3", NULL), VMAFX_OK);
    assert_int_equal(measure(busy, "ramp_218x50_420_10b_9f_s3", NULL), VMAFX_OK);
    assert_int_equal(vmafx_engine_series(plain), vmafx_engine_series(busy));
    for (size_t s = 0; s < vmafx_engine_series(plain); s++)
        for (uint32_t t = 0; t < FRAMES; t++) {
            const char *name = vmafx_engine_series_name(plain, s);
            double a = value(plain, name, t), b = value(busy, name, t);
            if (memcmp(&a, &b, sizeof a) != 0)
                fail_msg("%s at frame %u is %.17g and %.17g", name, t, a, b);
        }
    assert_int_equal(vmafx_engine_aggregates(plain), 3);
    for (size_t i = 0; i < 3; i++)
        assert_true(vmafx_engine_aggregate(plain, i) == vmafx_engine_aggregate(busy, i));
}

static void the_clips_psnr_covers_frames_that_are_not_reported(void **state)
{
    VMAFX_AUTO(vmafx_engine_free) VmafxEngine *all = new_engine(0, 1), *some = new_engine(2, 3);

    (void)state;
    assert_int_equal(feature_text_add(all, "psnr=enable_apsnr=true", NULL), VMAFX_OK);
    assert_int_equal(feature_text_add(some, "psnr=enable_apsnr=true", NULL), VMAFX_OK);
    assert_int_equal(vmafx_engine_aggregates(some), 0);
    assert_int_equal(measure(all, "ramp_40x30_420_8b_5f_s3", NULL), VMAFX_OK);
    assert_int_equal(measure(some, "ramp_40x30_420_8b_5f_s3", NULL), VMAFX_OK);
    for (size_t i = 0; i < 3; i++)
        assert_true(vmafx_engine_aggregate(all, i) == vmafx_engine_aggregate(some, i));
}

static void one_name_has_one_set_of_options(void **state)
{
    VMAFX_AUTO(vmafx_engine_free) VmafxEngine *engine = new_engine(0, 1);
    VmafxErrInfo info = { 0 };

    (void)state;
    assert_int_equal(feature_text_add(engine, "psnr", NULL), VMAFX_OK);
    assert_int_equal(feature_text_add(engine, "psnr=enable_chroma=true", NULL), VMAFX_OK); /* the same */
    assert_int_equal(feature_text_add(engine, "psnr=enable_mse=true", &info), VMAFX_ERR_FEATURE);
    assert_non_null(strstr(info.message, "twice"));
    assert_int_equal(feature_text_add(engine, "cambi", NULL), VMAFX_OK);
    assert_int_equal(feature_text_add(engine, "cambi=eotf=pq", NULL), VMAFX_OK); /* its name says so */
    assert_int_equal(feature_text_add(engine, "cambi=full_ref=true", NULL), VMAFX_ERR_FEATURE);
    assert_int_equal(feature_text_add(engine, "vif", NULL), VMAFX_OK);
    assert_int_equal(feature_text_add(engine, "vif=debug=true", NULL), VMAFX_OK); /* changes no value */
}

static void options_show_in_names_where_the_reference_shows_them(void **state)
{
    static const struct {
        const char *feature, *name;
    } cases[] = {
        { "cambi=enc_width=240:enc_height=216:eotf=pq", "cambi_ench_216_encw_240_eotf_pq" },
        { "cambi=topk=0.5:cambi_topk=0.7:cambi_eotf=pq", "cambi_ceot_pq_ctpk_0.7_topk_0.5" },
        { "cambi=full_ref=true:window_size=33", "cambi_full_reference" },
        { "float_ssim=scale=2:enable_lcs=true", "float_ssim_s" },
        { "float_adm=adm_ref_display_height=720:debug=true", "adm" },
        { "float_adm=adm_f1s2=0.5:adm_ref_display_height=720", "adm3_f1s2_0.5_rdf_720" },
        { "float_adm=adm_skip_aim_scale=0:adm_adm3_apply_hm=true", "aim_aah_sasc_0" },
        { "float_vif=vif_scale1_min_val=0.25:vif_skip_scale0=true", "vif_scale3_s1miv_0.25_ssclz" },
        { "float_motion=motion_add_uv=true:motion_filter_size=3", "motion2_mau_mfs_3" },
    };

    (void)state;
    for (size_t i = 0; i < VMAFX_LEN(cases); i++)
        measured(cases[i].feature, "ramp_240x216_420_8b_2f_s1", cases[i].name);
}

static void options_that_cannot_be_are_refused(void **state)
{
    static const struct {
        const char *feature;
        VmafxErr err;
        const char *says;
    } bad[] = {
        { "cambi=eotf=srgb", VMAFX_ERR_FEATURE, "one of: bt1886, pq" },
        { "cambi=enc_width=0", VMAFX_ERR_FEATURE, "180 to 7680" },
        { "cambi=heatmaps_path=here", VMAFX_ERR_FEATURE, "writes files" },
        { "cambi=heatmaps_path=", VMAFX_ERR_FEATURE, "a path of 1 to" },
        { "cambi=src_width=100", VMAFX_ERR_FEATURE, "320" },
        { "psnr=min_sse=-1", VMAFX_ERR_FEATURE, "min_sse" },
        { "psnr=enable_mse=1", VMAFX_ERR_FEATURE, "true or false" },
        { "psnr=peak=3", VMAFX_ERR_FEATURE, "no option 'peak'" },
        { "float_ssim=scale=11", VMAFX_ERR_FEATURE, "0 to 10" },
        { "float_ms_ssim=scale=1", VMAFX_ERR_FEATURE, "no option" },
        { "ciede=debug=true", VMAFX_ERR_FEATURE, "no option" },
        { "float_vif=vif_kernelscale=1.01", VMAFX_ERR_FEATURE, "vif_kernelscale" },
        { "float_vif=vif_prescale=0.5", VMAFX_ERR_UNSUPPORTED, "vif_prescale" },
        { "float_vif=vif_prescale_method=cubic", VMAFX_ERR_FEATURE, "lanczos4" },
        { "float_adm=adm_skip_aim_scale=-1", VMAFX_ERR_FEATURE, "0 to 3" },
        { "speed_chroma=speed_kernelscale=1.01", VMAFX_ERR_FEATURE, "'speed_kernelscale' of feature 'speed_chroma'" },
        { "speed_chroma=speed_kernelscale=4.01", VMAFX_ERR_FEATURE, "0.1 to 4" },
        { "speed_chroma=speed_max_val=1001", VMAFX_ERR_FEATURE, "0 to 1000" },
        { "speed_chroma=speed_nn_floor=1.1", VMAFX_ERR_FEATURE, "0 to 1" },
        { "speed_chroma=speed_prescale=0.05", VMAFX_ERR_FEATURE, "0.1 to 4" },
        { "speed_chroma=speed_prescale_method=cubic", VMAFX_ERR_FEATURE, "lanczos4" },
        { "speed_chroma=speed_sigma_nn=0.05", VMAFX_ERR_FEATURE, "0.1 to 2" },
        { "speed_chroma=speed_weight_var_mode=7", VMAFX_ERR_FEATURE, "0 to 6" },
        { "speed_chroma=wvm=5", VMAFX_ERR_FEATURE, "no option 'wvm'" },
        { "speed_temporal=speed_weight_var_mode=5", VMAFX_ERR_FEATURE, "no option" },
        { "speed_temporal=speed_use_ref_diff=1", VMAFX_ERR_FEATURE, "true or false" },
    };

    (void)state;
    for (size_t i = 0; i < VMAFX_LEN(bad); i++) {
        VMAFX_AUTO(vmafx_engine_free) VmafxEngine *engine = new_engine(0, 1);
        VmafxErrInfo info = { 0 };

        if (feature_text_add(engine, bad[i].feature, &info) != bad[i].err || !strstr(info.message, bad[i].says))
            fail_msg("%s: '%s'", bad[i].feature, info.message);
    }
}

/* Both versions measure the same thing. */
static void features_in_binary32_are_near_those_in_integers(void **state)
{
    static const struct {
        const char *feature, *floats, *integer, *integers;
        double within;
    } pairs[] = {
        { "float_vif", "vif_scale0", "vif", "integer_vif_scale0", 0.01 },
        { "float_vif", "vif_scale1", "vif", "integer_vif_scale1", 0.01 },
        { "float_vif", "vif_scale2", "vif", "integer_vif_scale2", 0.01 },
        { "float_vif", "vif_scale3", "vif", "integer_vif_scale3", 0.01 },
        { "float_vif=vif_enhn_gain_limit=1", "vif_scale1_egl_1", "vif=vif_enhn_gain_limit=1",
          "integer_vif_scale1_egl_1", 0.01 },
        { "float_adm", "adm2", "adm", "integer_adm2", 0.01 },
        { "float_adm", "aim", "adm", "integer_aim", 0.01 },
        { "float_adm=adm_enhn_gain_limit=1", "adm3_egl_1", "adm=adm_enhn_gain_limit=1", "integer_adm3_egl_1", 0.01 },
    };
    static const char *const clips[] = { "ramp_145x133_420_8b_1f_s1", "ramp_146x134_420_10b_1f_s1",
                                         "noise_144x132_420_12b_1f_s1" };

    (void)state;
    for (size_t i = 0; i < VMAFX_LEN(pairs) * VMAFX_LEN(clips); i++) {
        const char *clip = clips[i / VMAFX_LEN(pairs)];
        size_t p = i % VMAFX_LEN(pairs);
        double a = measured(pairs[p].feature, clip, pairs[p].floats);
        double b = measured(pairs[p].integer, clip, pairs[p].integers);

        if (!(fabs(a - b) <= pairs[p].within))
            fail_msg("%s of %s is %g, %s %g", pairs[p].floats, clip, a, pairs[p].integers, b);
    }
}

static void the_two_psnrs_of_luma_differ_by_their_peak_only(void **state)
{
    static const struct {
        const char *clip;
        double peaks; /* of float_psnr and of psnr, both on the latter's scale */
    } cases[] = { { "ramp_65x33_420_8b_1f_s1", 1 },
                  { "ramp_65x33_420_10b_1f_s1", 255.75 * 4 / 1023 },
                  { "ramp_65x33_420_12b_1f_s1", 255.9375 * 16 / 4095 },
                  { "ramp_65x33_420_16b_1f_s1", 255.99609375 * 256 / 65535 } };

    (void)state;
    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        double a = measured("float_psnr", cases[i].clip, "float_psnr");
        double b = measured("psnr", cases[i].clip, "psnr_y");

        assert_true(fabs(a - 20 * log10(cases[i].peaks) - b) < 1e-6);
    }
    assert_true(measured("float_psnr", "ident_40x30_420_10b_1f_s1", "float_psnr") == 72);
}

static void moments_are_those_of_the_samples(void **state)
{
    (void)state;
    assert_true(measured("float_moment", "flat_41x31_420_8b_1f_s5", "float_moment_ref1st") == 100);
    assert_true(measured("float_moment", "flat_41x31_420_8b_1f_s5", "float_moment_dis1st") == 105);
    assert_true(measured("float_moment", "flat_41x31_420_8b_1f_s5", "float_moment_ref2nd") == 10000);
    assert_true(measured("float_moment", "flat_41x31_420_10b_1f_s4", "float_moment_dis2nd") == 104.0 * 104);
    assert_true(measured("float_moment", "extreme_64x64_420_12b_1f_s1", "float_moment_ref1st") == 255.9375 / 2);
}

static void motion_in_binary32_is_that_of_the_integers_but_for_rounding(void **state)
{
    VMAFX_AUTO(vmafx_engine_free) VmafxEngine *engine = new_engine(2, 1);

    (void)state;
    assert_int_equal(feature_text_add(engine, "motion=debug=true", NULL), VMAFX_OK);
    assert_int_equal(feature_text_add(engine, "float_motion", NULL), VMAFX_OK);
    assert_int_equal(measure(engine, "noise_64x48_420_8b_5f_s1", NULL), VMAFX_OK);
    for (uint32_t t = 0; t < 5; t++) {
        assert_true(fabs(value(engine, "motion", t) - value(engine, "integer_motion", t)) < 0.05);
        assert_true(fabs(value(engine, "motion2", t) - value(engine, "integer_motion2", t)) < 0.05);
        assert_true(fabs(value(engine, "motion3", t) - value(engine, "integer_motion3", t)) < 0.05);
    }
}

static void colours_have_the_coordinates_and_distances_of_the_reference(void **state)
{
    static const struct {
        int bpc, ref[3], dis[3];
        float ref_lab[3], de;
    } cases[] = {
        { 8, { 16, 128, 128 }, { 235, 128, 128 }, { -5.96046448e-08F, 0, 0 }, 153.846161F },
        { 8, { 145, 54, 34 }, { 150, 60, 30 }, { 73.3083267F, -74.2059937F, 74.7399979F }, 2.23670411F },
        { 8, { 255, 255, 255 }, { 0, 0, 0 }, { 122.853264F, 139.771164F, -126.249527F }, 132.355423F },
        { 10, { 512, 512, 512 }, { 512, 512, 516 }, { 54.5284195F, 0, 0 }, 1.15653837F },
        { 10, { 800, 400, 600 }, { 400, 600, 400 }, { 86.3100052F, 3.49274278F, 36.7249985F }, 56.0843048F },
    };

    (void)state;
    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        VmafxLab a = vmafx_ciede_lab(cases[i].ref[0], cases[i].ref[1], cases[i].ref[2], cases[i].bpc);
        VmafxLab b = vmafx_ciede_lab(cases[i].dis[0], cases[i].dis[1], cases[i].dis[2], cases[i].bpc);

        assert_true(a.l == cases[i].ref_lab[0] && a.a == cases[i].ref_lab[1] && a.b == cases[i].ref_lab[2]);
        assert_true(vmafx_ciede_difference(&a, &b) == cases[i].de);
        assert_true(vmafx_ciede_difference(&a, &a) == 0 && vmafx_ciede_difference(&b, &b) == 0);
    }
}

static void the_integer_transform_is_the_references(void **state)
{
    static const struct {
        int32_t in[8][8], out[8][8];
    } cases[] = { { { { 0, 17, 34, 51, 68, 85, 5, 22 },
                      { 31, 48, 65, 82, 2, 19, 36, 53 },
                      { 62, 79, 96, 16, 33, 50, 67, 84 },
                      { 93, 13, 30, 47, 64, 81, 1, 18 },
                      { 27, 44, 61, 78, 95, 15, 32, 49 },
                      { 58, 75, 92, 12, 29, 46, 63, 80 },
                      { 89, 9, 26, 43, 60, 77, 94, 14 },
                      { 23, 40, 57, 74, 91, 11, 28, 45 } },
                    { { 385, 9, -29, -7, 12, -1, 25, 19 },
                      { -27, 0, -7, -18, -17, -13, 29, -41 },
                      { -31, -24, -38, -4, -3, 7, -16, -14 },
                      { -8, -21, -15, 7, -14, -6, 0, -3 },
                      { -38, 2, -91, 24, 61, -36, -1, -6 },
                      { -3, -13, 7, 110, -8, 16, 38, -3 },
                      { 26, -5, 33, -41, -39, -52, 15, 22 },
                      { 19, -22, -16, -3, -5, -2, -26, 23 } } },
                  { { { 0, 13, 52, 117, 208, 69, 212, 125 },
                      { 7, 25, 69, 139, 235, 101, 249, 167 },
                      { 28, 51, 100, 175, 20, 147, 44, 223 },
                      { 63, 91, 145, 225, 75, 207, 109, 37 },
                      { 112, 145, 204, 33, 144, 25, 188, 121 },
                      { 175, 213, 21, 111, 227, 113, 25, 219 },
                      { 252, 39, 108, 203, 68, 215, 132, 75 },
                      { 87, 135, 209, 53, 179, 75, 253, 201 } },
                    { { 985, -159, -48, -32, 40, 27, -33, 45 },
                      { -117, -163, -117, -42, 20, 21, -55, -13 },
                      { 22, -137, 0, 25, 25, 38, -64, 111 },
                      { 3, 48, 29, 91, 82, -77, -81, 66 },
                      { -8, 2, -24, -54, -127, 26, -59, 143 },
                      { -37, 71, -74, 78, 17, 117, 108, -193 },
                      { -27, -8, 64, -74, 58, -158, 0, -45 },
                      { -45, 17, 71, -54, -28, 64, 57, 34 } } },
                  { { { 0, 37, 74, 111, 148, 185, 222, 259 },
                      { 101, 4095, 175, 4095, 249, 4095, 323, 4095 },
                      { 202, 239, 276, 313, 350, 387, 424, 461 },
                      { 303, 4095, 377, 4095, 451, 4095, 525, 4095 },
                      { 404, 441, 478, 515, 552, 589, 626, 663 },
                      { 505, 4095, 579, 4095, 653, 4095, 727, 4095 },
                      { 606, 643, 680, 717, 754, 791, 828, 865 },
                      { 707, 4095, 781, 4095, 855, 4095, 929, 4095 } },
                    { { 10948, -1791, -57, -1567, -75, -2281, -137, -6459 },
                      { -2677, 122, 11, 174, 14, 267, 25, 760 },
                      { -156, 28, 0, 32, 0, 49, 0, 138 },
                      { -1672, 233, 12, 313, 16, 472, 30, 1347 },
                      { -204, 36, 0, 42, 0, 65, 0, 182 },
                      { -2329, 359, 20, 479, 24, 724, 44, 2069 },
                      { -373, 67, 0, 79, 0, 119, 0, 338 },
                      { -6521, 1027, 52, 1374, 68, 2077, 124, 5925 } } } };
    int32_t flat[8][8];

    (void)state;
    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        int32_t block[8][8];

        memcpy(block, cases[i].in, sizeof block);
        vmafx_hvs_transform(block);
        assert_memory_equal(block, cases[i].out, sizeof block);
    }
    for (int i = 0; i < 64; i++)
        flat[i / 8][i % 8] = 255;
    vmafx_hvs_transform(flat);
    for (int i = 1; i < 64; i++)
        assert_int_equal(flat[i / 8][i % 8], 0);
}

static void banding_is_visible_where_the_reference_says(void **state)
{
    static const struct {
        CambiEotf eotf;
        double threshold;
        int to[4];
    } visible[] = {
        { CAMBI_BT1886, 0.019, { 178, 305, 432, 559 } },
        { CAMBI_PQ, 0.019, { 233, 1023, 1023, 1023 } },
        { CAMBI_BT1886, 0.3, { 0, 69, 77, 86 } },
        { CAMBI_BT1886, 1, { 0, 0, 0, 0 } },
        { CAMBI_PQ, 1, { 66, 68, 70, 72 } },
    };

    (void)state;
    for (size_t i = 0; i < VMAFX_LEN(visible); i++)
        for (int d = 1; d <= 4; d++)
            assert_int_equal(cambi_visible_to(visible[i].eotf, visible[i].threshold, d), visible[i].to[d - 1]);
    assert_int_equal(cambi_dark_bound(CAMBI_BT1886, 0), 0);
    assert_int_equal(cambi_dark_bound(CAMBI_BT1886, 1), 135);
    assert_int_equal(cambi_dark_bound(CAMBI_BT1886, 300), 940);
    assert_int_equal(cambi_dark_bound(CAMBI_PQ, 5), 282);
    assert_int_equal(cambi_window(65, 1920, 1080, false), 33);
    assert_int_equal(cambi_window(65, 3840, 2160, false), 65);
    assert_int_equal(cambi_window(65, 352, 288, false), 7);
    assert_int_equal(cambi_mask_threshold(3840, 2160), 24);
    assert_int_equal(cambi_mask_threshold(352, 288), 15);
    assert_int_equal(cambi_mask_threshold(216, 216), 13);
}

static void a_window_or_a_shape_that_cannot_be_is_refused(void **state)
{
    static const struct {
        const char *feature, *clip, *says;
    } bad[] = {
        { "cambi=window_size=127", "flat_4096x2160_400_8b_1f_s1", "at most 65" },
        { "cambi=full_ref=true:src_width=1000:src_height=200", "flat_400x400_400_8b_1f_s1", "wider and lower" },
        { "cambi=enc_width=200:enc_height=200", "flat_400x400_400_8b_1f_s1", "side of at least 216" },
        { "float_ssim=scale=10", "flat_90x200_400_8b_1f_s1", "a scale of 10" },
        { "float_motion=motion_add_uv=true", "flat_40x40_400_8b_1f_s1", "chroma planes" },
        { "float_vif=vif_kernelscale=3", "flat_40x24_400_8b_1f_s1", "vif_kernelscale" },
        { "speed_chroma", "flat_400x400_400_8b_1f_s1", "these pictures are grey" },
        { "speed_chroma", "flat_400x159_420_8b_1f_s1", "at least 80x80" },
        { "speed_chroma=speed_prescale=0.6", "flat_264x400_420_8b_1f_s1", "at least 133x133" },
        { "speed_chroma=speed_prescale=0.5", "flat_400x158_422_8b_1f_s1", "at least 159x159" },
        { "speed_chroma=speed_prescale=1.0009", "flat_600x600_444_8b_1f_s1", "leave it at 1" },
        { "speed_temporal=speed_prescale=0.5", "flat_158x400_400_8b_1f_s1", "pictures of at least 159x159" },
    };

    (void)state;
    for (size_t i = 0; i < VMAFX_LEN(bad); i++) {
        VMAFX_AUTO(vmafx_engine_free) VmafxEngine *engine = new_engine(0, 1);
        VmafxErrInfo info = { 0 };

        assert_int_equal(feature_text_add(engine, bad[i].feature, NULL), VMAFX_OK);
        if (measure(engine, bad[i].clip, &info) != VMAFX_ERR_INVALID || !strstr(info.message, bad[i].says))
            fail_msg("%s: '%s'", bad[i].feature, info.message);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_list_of_names_is_the_one_in_the_header),
        cmocka_unit_test(every_result_has_its_row_in_the_table),
        cmocka_unit_test(every_size_format_and_depth_gives_numbers_or_a_sentence),
        cmocka_unit_test(depths_without_a_definition_are_refused),
        cmocka_unit_test(equal_pictures_have_the_best_value),
        cmocka_unit_test(grey_pictures_have_a_psnr_and_no_colour_difference),
        cmocka_unit_test(chroma_may_be_rounded_up_but_not_be_wrong),
        cmocka_unit_test(threads_change_neither_values_nor_aggregates),
        cmocka_unit_test(the_clips_psnr_covers_frames_that_are_not_reported),
        cmocka_unit_test(one_name_has_one_set_of_options),
        cmocka_unit_test(options_show_in_names_where_the_reference_shows_them),
        cmocka_unit_test(options_that_cannot_be_are_refused),
        cmocka_unit_test(features_in_binary32_are_near_those_in_integers),
        cmocka_unit_test(the_two_psnrs_of_luma_differ_by_their_peak_only),
        cmocka_unit_test(moments_are_those_of_the_samples),
        cmocka_unit_test(motion_in_binary32_is_that_of_the_integers_but_for_rounding),
        cmocka_unit_test(colours_have_the_coordinates_and_distances_of_the_reference),
        cmocka_unit_test(the_integer_transform_is_the_references),
        cmocka_unit_test(banding_is_visible_where_the_reference_says),
        cmocka_unit_test(a_window_or_a_shape_that_cannot_be_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

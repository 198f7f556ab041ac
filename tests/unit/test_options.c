/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Option values and the names they leave. */

#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"
#include "engine/extractor.h"

static VmafxErr read_one(const VmafxExtractor *extractor, const char *key, const char *value, bool strict,
                         double *values, VmafxErrInfo *info)
{
    VmafxOption option = { (char *)key, (char *)value };
    VmafxOptions options = { &option, 1 };

    return vmafx_options_read(extractor->name, extractor->options, extractor->n_options, &options, strict, values,
                              info);
}

static void values_out_of_range_or_of_the_wrong_kind_are_refused(void **state)
{
    static const struct {
        const char *why, *key, *value;
    } bad[] = {
        { "below the range", "vif_enhn_gain_limit", "0.5" }, { "above the range", "vif_enhn_gain_limit", "100.5" },
        { "not a number", "vif_enhn_gain_limit", "nan" },    { "infinite", "vif_enhn_gain_limit", "inf" },
        { "text", "vif_enhn_gain_limit", "much" },           { "nothing", "vif_enhn_gain_limit", "" },
        { "a bool is not a digit", "vif_skip_scale0", "1" }, { "a bool is lower case", "vif_skip_scale0", "True" },
    };

    (void)state;
    for (size_t i = 0; i < VMAFX_LEN(bad); i++) {
        double values[VMAFX_OPTIONS_MAX];
        VmafxErrInfo info = { 0 };

        for (int strict = 0; strict < 2; strict++)
            if (read_one(&vmafx_extractor_vif, bad[i].key, bad[i].value, strict, values, &info) != VMAFX_ERR_FEATURE ||
                !strstr(info.message, bad[i].key))
                fail_msg("%s: '%s'", bad[i].why, info.message);
    }
}

static void unknown_options_and_trailing_garbage_matter_only_when_strict(void **state)
{
    static const char *const loose[][2] = { { "egl", "1" }, { "vif_enhn_gain_limit", "2x" } };

    (void)state;
    for (size_t i = 0; i < VMAFX_LEN(loose); i++) {
        double values[VMAFX_OPTIONS_MAX];
        VmafxErrInfo info = { 0 };

        assert_int_equal(read_one(&vmafx_extractor_vif, loose[i][0], loose[i][1], false, values, &info), VMAFX_OK);
        assert_int_equal(read_one(&vmafx_extractor_vif, loose[i][0], loose[i][1], true, values, &info),
                         VMAFX_ERR_FEATURE);
    }
}

static void a_zero_must_look_like_one(void **state)
{
    double values[VMAFX_OPTIONS_MAX];

    (void)state;
    assert_int_equal(read_one(&vmafx_extractor_motion, "motion_blend_offset", "0", false, values, NULL), VMAFX_OK);
    assert_int_equal(read_one(&vmafx_extractor_motion, "motion_blend_offset", "none", false, values, NULL),
                     VMAFX_ERR_FEATURE);
}

static void numbers_pass_through_binary32(void **state)
{
    double values[VMAFX_OPTIONS_MAX];
    const VmafxExtractor *vif = &vmafx_extractor_vif;

    (void)state;
    assert_int_equal(read_one(vif, "vif_enhn_gain_limit", "1.23456789", true, values, NULL), VMAFX_OK);
    VMAFX_AUTO(vmafx_free_p) char *suffix = vmafx_options_suffix(vif->options, vif->n_options, values);
    assert_string_equal(suffix, "_egl_1.23457");
    assert_true(values[1] == 1.23457);
}

static void only_values_other_than_the_default_show_in_names(void **state)
{
    static const struct {
        const char *key, *value, *suffix;
    } cases[] = {
        { "adm_enhn_gain_limit", "100.0", "" },
        { "adm_enhn_gain_limit", "1.0", "_egl_1" },
        { "adm_ref_display_height", "2160", "_rdh_2160" },
        { "adm_skip_scale0", "true", "_ssz" },
        { "adm_skip_aim", "true", "" },
        { "debug", "true", "" },
    };

    (void)state;
    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        double values[VMAFX_OPTIONS_MAX];
        const VmafxExtractor *adm = &vmafx_extractor_adm;

        assert_int_equal(read_one(adm, cases[i].key, cases[i].value, true, values, NULL), VMAFX_OK);
        VMAFX_AUTO(vmafx_free_p) char *suffix = vmafx_options_suffix(adm->options, adm->n_options, values);
        assert_string_equal(suffix, cases[i].suffix);
    }
}

static void suffixes_follow_the_full_option_names(void **state)
{
    VmafxOption items[] = {
        { "adm_skip_scale0", "true" },   { "adm_ref_display_height", "2160" },
        { "adm_norm_view_dist", "1.5" }, { "adm_noise_weight", "0.02" },
        { "adm_min_val", "0.5" },        { "adm_enhn_gain_limit", "1" },
        { "adm_dlm_weight", "0.7" },     { "adm_csf_mode", "2" },
    };
    VmafxOptions options = { items, VMAFX_LEN(items) };
    const VmafxExtractor *adm = &vmafx_extractor_adm;
    double values[VMAFX_OPTIONS_MAX];

    (void)state;
    assert_int_equal(vmafx_options_read("adm", adm->options, adm->n_options, &options, true, values, NULL), VMAFX_OK);
    VMAFX_AUTO(vmafx_free_p) char *suffix = vmafx_options_suffix(adm->options, adm->n_options, values);
    assert_string_equal(suffix, "_csf_2_dlmw_0.7_egl_1_min_0.5_nw_0.02_nvd_1.5_rdh_2160_ssz");
}

static void option_tables_are_sorted_by_name(void **state)
{
    static const VmafxExtractor *const all[] = { &vmafx_extractor_adm, &vmafx_extractor_motion, &vmafx_extractor_vif };

    (void)state;
    for (size_t i = 0; i < VMAFX_LEN(all); i++)
        for (size_t j = 1; j < all[i]->n_options; j++)
            assert_true(strcmp(all[i]->options[j - 1].name, all[i]->options[j].name) < 0);
}

static void the_locale_does_not_matter(void **state)
{
    double values[VMAFX_OPTIONS_MAX];
    const VmafxExtractor *vif = &vmafx_extractor_vif;

    (void)state;
    if (!setlocale(LC_ALL, "de_DE.UTF-8")) {
        print_message("the locale de_DE.UTF-8 is not installed\n");
        skip();
    }
    assert_int_equal(read_one(vif, "vif_enhn_gain_limit", "1.5", true, values, NULL), VMAFX_OK);
    VMAFX_AUTO(vmafx_free_p) char *suffix = vmafx_options_suffix(vif->options, vif->n_options, values);
    setlocale(LC_ALL, "C");
    assert_string_equal(suffix, "_egl_1.5");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_out_of_range_or_of_the_wrong_kind_are_refused),
        cmocka_unit_test(unknown_options_and_trailing_garbage_matter_only_when_strict),
        cmocka_unit_test(a_zero_must_look_like_one),
        cmocka_unit_test(numbers_pass_through_binary32),
        cmocka_unit_test(only_values_other_than_the_default_show_in_names),
        cmocka_unit_test(suffixes_follow_the_full_option_names),
        cmocka_unit_test(option_tables_are_sorted_by_name),
        cmocka_unit_test(the_locale_does_not_matter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

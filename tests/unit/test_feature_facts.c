/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The table of what can be measured: names with options, texts, order. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"
#include "base/features.h"

static void a_series_is_known_by_its_name_and_by_that_before_options(void **state)
{
    static const struct {
        const char *series, *result; /* NULL: none */
    } cases[] = {
        { "psnr_y", "psnr_y" },
        { "psnr_hvs", "psnr_hvs" },
        { "psnr_hvs_y", "psnr_hvs_y" },
        { "cambi", "cambi" },
        { "cambi_eotf_pq", "cambi" },
        { "cambi_source", "cambi_source" },
        { "cambi_full_reference", "cambi_full_reference" },
        { "integer_adm3_dlmw_0.7", "integer_adm3" },
        { "integer_vif_scale0_egl_1", "integer_vif_scale0" },
        { "speed_chroma_uv_ps_0.6", "speed_chroma_uv" },
        { "float_ssim", "float_ssim" },
        { "float_ssim_l", "float_ssim_l" },
        { "float_ms_ssim_c_scale4", "float_ms_ssim_c" },
        { "motion3", "motion3" },
        { "psnr", NULL },
        { "psnr_yy", NULL },
        { "vmaf", NULL },
        { "vmaf_neg", NULL },
        { "integer_adm_num_scale0", NULL },
        { "", NULL },
        { "cambix", NULL },
        { "Cambi", NULL },
    };

    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        const VmafxResultFacts *found = vmafx_result_facts_of(cases[i].series);

        if (!found != !cases[i].result || (found && strcmp(found->name, cases[i].result) != 0))
            fail_msg("'%s' is %s", cases[i].series, found ? found->name : "nothing");
    }
}

static void is_a_text(const char *of, const char *text)
{
    if (strlen(text) < 4 || strlen(text) > 400 || text[strlen(text) - 1] == '.' || strpbrk(text, "`*|\n\"\\<>"))
        fail_msg("%s: '%s'", of, text);
}

static void features_are_sorted_and_everything_has_plain_words(void **state)
{
    size_t n;
    const VmafxResultFacts *results = vmafx_result_facts(&n);

    for (size_t i = 0; i < VMAFX_FEATURES_N; i++) {
        const VmafxFeatureFacts *f = &vmafx_feature_facts[i];

        assert_string_equal(f->name, vmafx_feature_names[i]);
        assert_true(i == 0 || strcmp(vmafx_feature_names[i - 1], f->name) < 0);
        is_a_text(f->name, f->what);
        is_a_text(f->name, f->good_for);
        is_a_text(f->name, f->misleads);
    }
    for (size_t i = 0; i < n; i++) {
        is_a_text(results[i].name, results[i].what);
        is_a_text(results[i].name, results[i].range);
        assert_true(i == 0 || results[i - 1].feature <= results[i].feature);
        /* what judges has a direction, what does not has none */
        assert_int_equal(results[i].use == VMAFX_RESULT_FACT, results[i].better == VMAFX_BETTER_NEITHER);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_series_is_known_by_its_name_and_by_that_before_options),
        cmocka_unit_test(features_are_sorted_and_everything_has_plain_words),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

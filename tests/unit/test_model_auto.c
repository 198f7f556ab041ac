/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Which of the VMAF v1 models fits which pictures. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"
#include "score/model_auto.h"

static void size_and_rate_decide(void **state)
{
    static const struct {
        VmafxModelPictures pictures;
        const char *version, *why;
    } table[] = {
        { { 1920, 1080, 25, 1 }, VMAFX_MODEL_1080, "25 frames per second are an ordinary rate" },
        { { 1920, 1080, 30000, 1001 }, VMAFX_MODEL_1080, "29.97 frames per second" },
        { { 1920, 1080, 0, 1 }, VMAFX_MODEL_1080, "an unknown rate is taken as an ordinary one" },
        { { 1920, 1080, 50, 1 }, VMAFX_MODEL_1080_HFR, "50 frames per second are a high rate" },
        { { 1280, 720, 60000, 1001 }, VMAFX_MODEL_1080_HFR, "59.94 frames" },
        { { 1280, 720, 40, 1 }, VMAFX_MODEL_1080_HFR, "40 frames" },
        { { 1280, 720, 39, 1 }, VMAFX_MODEL_1080, "39 frames" },
        { { 3840, 2160, 24, 1 }, VMAFX_MODEL_2160, "nearer to 4K than to 1080p" },
        { { 3840, 1600, 24, 1 }, VMAFX_MODEL_2160, "3840x1600" }, /* a wide film */
        { { 2160, 3840, 60, 1 }, VMAFX_MODEL_2160_HFR, "2160x3840" },
        { { 7680, 4320, 60, 1 }, VMAFX_MODEL_2160_HFR, "nearer to 4K" },
        { { 2560, 1440, 25, 1 }, VMAFX_MODEL_1080, "nearer to 1080p than to 4K" },
        { { 1920, 2160, 25, 1 }, VMAFX_MODEL_1080, "" }, /* twice as many samples, and not more */
        { { 1922, 2160, 25, 1 }, VMAFX_MODEL_2160, "" },
        { { 65536, 65536, 2147483647, 1 }, VMAFX_MODEL_2160_HFR, "" },
    };

    (void)state;
    for (size_t i = 0; i < VMAFX_LEN(table); i++) {
        VmafxModelChoice choice;

        vmafx_model_choose(&table[i].pictures, &choice);
        assert_string_equal(choice.version, table[i].version);
        if (!strstr(choice.why, table[i].why))
            fail_msg("'%s'", choice.why);
    }
}

static void a_model_for_something_else_is_told_the_one_that_fits(void **state)
{
    static const struct {
        const char *version;
        VmafxModelPictures pictures;
        const char *better; /* NULL: it fits */
    } table[] = {
        { "vmaf_v1.0.16_3d0h", { 1920, 1080, 25, 1 }, NULL },
        { "vmaf_v1.0.16_5d0h", { 1280, 720, 25, 1 }, NULL },
        { "vmaf_v1.0.16_3d0h_2160", { 3840, 2160, 25, 1 }, NULL },
        { "vmaf_v1.0.16_hfr_5d0h", { 1280, 720, 0, 1 }, NULL }, /* the rate may be what it should be */
        { "vmaf_v1.0.16_3d0h", { 3840, 2160, 25, 1 }, "vmaf_v1.0.16_1d5h_2160" },
        { "vmaf_v1.0.16_5d0h", { 1280, 720, 50, 1 }, "vmaf_v1.0.16_hfr_5d0h" },
        { "vmaf_v1.0.16_hfr_3d0h_2160", { 3840, 2160, 25, 1 }, "vmaf_v1.0.16_3d0h_2160" },
        { "vmaf_v1.0.16_hfr_1d5h_2160", { 640, 360, 25, 1 }, "vmaf_v1.0.16_3d0h" },
        { "vmaf_v1.0.16", { 640, 360, 60, 1 }, "vmaf_v1.0.16_hfr_3d0h" },
        { "vmaf_v0.6.1", { 3840, 2160, 60, 1 }, NULL }, /* of another family */
        { "mine", { 3840, 2160, 60, 1 }, NULL },
    };

    (void)state;
    for (size_t i = 0; i < VMAFX_LEN(table); i++) {
        VmafxModelChoice choice = { .version = "" };
        bool better = vmafx_model_fits_better(table[i].version, &table[i].pictures, &choice);

        assert_int_equal(better, table[i].better != NULL);
        if (better)
            assert_string_equal(choice.version, table[i].better);
    }
}

static void the_origin_of_v1_models_is_known(void **state)
{
    (void)state;
    assert_non_null(strstr(vmafx_model_origin("vmaf_v1.0.16_3d0h"), "Netflix/vmaf"));
    assert_null(vmafx_model_origin("vmaf_v0.6.1"));
    assert_null(vmafx_model_origin("vmaf_v10"));
    assert_true(vmafx_model_is_v1("vmaf_v1.0.16_hfr_5d0h"));
    assert_false(vmafx_model_is_v1("auto"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(size_and_rate_decide),
        cmocka_unit_test(a_model_for_something_else_is_told_the_one_that_fits),
        cmocka_unit_test(the_origin_of_v1_models_is_known),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

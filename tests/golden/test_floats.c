/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Features in binary32: what sets of options share, and with which kernels it is measured, is not to be seen in values.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "feature_text.h"
#include "patterns.h"
#include "base/base.h"

static VmafxEngine *measured(const char *const *features, size_t n, const char *clip, unsigned cpu_disabled)
{
    VmafxErrInfo info = { 0 };
    VmafxEngine *engine = NULL;
    VmafxPicture ref, dis;
    Pattern pattern;

    assert_true(pattern_parse(clip, &pattern));
    assert_int_equal(vmafx_engine_new(&(VmafxEngineSettings){ .cpu_disabled = cpu_disabled }, &engine), VMAFX_OK);
    for (size_t i = 0; i < n; i++)
        if (feature_text_add(engine, features[i], &info))
            fail_msg("%s: %s", features[i], info.message);
    pattern_picture_init(&pattern.shape, &ref);
    pattern_picture_init(&pattern.shape, &dis);
    for (int t = 0; t < pattern.frames; t++) {
        assert_true(pattern_frame(&pattern, t, &ref, &dis));
        assert_int_equal(vmafx_engine_push_pictures(engine, &ref, &dis, &info), VMAFX_OK);
    }
    assert_int_equal(vmafx_engine_finish(engine, &info), VMAFX_OK);
    pattern_picture_done(&ref);
    pattern_picture_done(&dis);
    return engine;
}

static double value(const VmafxEngine *engine, const char *name, uint32_t frame)
{
    double v;

    if (!vmafx_engine_value(engine, vmafx_engine_find(engine, name), frame, &v))
        fail_msg("no %s at frame %u", name, frame);
    return v;
}

/* Each alone in plain C, and all together with the kernels that are left. */
static void check_together(const char *const *features, size_t n, const char *clip, unsigned cpu_disabled)
{
    VMAFX_AUTO(vmafx_engine_free) VmafxEngine *together = measured(features, n, clip, cpu_disabled);

    for (size_t i = 0; i < n; i++) {
        VMAFX_AUTO(vmafx_engine_free) VmafxEngine *alone = measured(&features[i], 1, clip, ~0u);

        for (size_t s = 0; s < vmafx_engine_series(alone); s++)
            for (uint32_t t = 0; t < 3; t++) {
                const char *name = vmafx_engine_series_name(alone, s);
                double want = value(alone, name, t), got = value(together, name, t);

                if (memcmp(&want, &got, sizeof want) != 0)
                    fail_msg("%s of %s, frame %u, without kernels %x: %.17g, alone %.17g", name, clip, t, cpu_disabled,
                             got, want);
            }
    }
}

static void values_do_not_depend_on_company_or_kernels(void **state)
{
    static const char *const features[] = {
        "float_vif",
        "float_vif=vif_enhn_gain_limit=1",
        "float_vif=vif_skip_scale0=true:vif_sigma_nsq=0.5",
        "float_vif=vif_kernelscale=0.5",
        "float_vif=vif_kernelscale=0.5:vif_skip_scale0=true",
        "float_adm",
        "float_adm=adm_enhn_gain_limit=1",
        "float_adm=adm_p_norm=2.5",
        "float_adm=adm_bypass_cm=1",
        "float_adm=adm_skip_scale0=true:adm_csf_mode=2",
        "float_motion",
        "float_motion=motion_filter_size=3",
        "float_motion=motion_filter_size=1:motion_add_uv=true",
        "float_motion=motion_add_scale1=true:motion_add_uv=true",
    };
    static const char *const clips[] = { "bands_143x75_420_8b_3f_s1", "ramp_130x66_444_10b_3f_s2",
                                         "bands_76x131_422_16b_3f_s3" };
    static const unsigned disabled[] = { 0, VMAFX_CPU_AVX512, ~0u };

    (void)state;
    for (size_t c = 0; c < VMAFX_LEN(clips); c++)
        for (size_t d = 0; d < VMAFX_LEN(disabled); d++)
            check_together(features, VMAFX_LEN(features), clips[c], disabled[d]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_do_not_depend_on_company_or_kernels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

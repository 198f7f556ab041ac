/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * PSNR, SSIM, MS-SSIM, PSNR-HVS, CIEDE2000 and CAMBI against the golden values, to the last bit.
 *
 *     test_secondary FILE         the cases carried along (secondary.json): synthetic clips that are not large
 *     VMAFX_SHARED=DIR …          also every other case of DIR/spec/golden/secondary, on the real clips of DIR/clips
 *
 * A case names a clip, a feature with its options, and what each frame should give; "result": "error" where the
 * reference refuses. Its number of worker threads and its kernels vary with its place, because results must not.
 */

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/base.h"
#include "feature_text.h"
#include "patterns.h"
#include "real_clips.h"

#define CASES_MAX 512

static const char *const files[] = { "psnr", "float_ssim", "float_ms_ssim", "ciede", "psnr_hvs", "cambi" };

typedef struct Case {
    char name[192];
    json_t *json;
    int threads;
    unsigned cpu_disabled;
} Case;

static Case cases[CASES_MAX];
static struct CMUnitTest tests[CASES_MAX];
static size_t n_cases;

/* ---- Clips ---- */

typedef struct Source {
    bool synthetic;
    Pattern pattern;
    RealClip real;
    VmafxPicture pictures[2];
} Source;

static void open_clip(const Case *c, Source *source)
{
    const char *name = json_string_value(json_object_get(c->json, "clip"));
    VmafxPicture shape;

    *source = (Source){ .synthetic = json_is_true(json_object_get(c->json, "synthetic")) };
    pattern_shape((int)json_integer_value(json_object_get(c->json, "width")),
                  (int)json_integer_value(json_object_get(c->json, "height")),
                  (int)json_integer_value(json_object_get(c->json, "bitdepth")),
                  atoi(json_string_value(json_object_get(c->json, "pixel_format"))), &shape);
    for (int i = 0; i < 2; i++)
        pattern_picture_init(&shape, &source->pictures[i]);
    if (source->synthetic)
        assert_true(pattern_parse(name, &source->pattern));
    else
        assert_true(real_clip_open(name, &source->pictures[1], &source->real));
}

static void next_frame(Source *source, int t)
{
    if (source->synthetic)
        assert_true(pattern_frame(&source->pattern, t, &source->pictures[0], &source->pictures[1]));
    else
        assert_true(real_clip_frame(&source->real, &source->pictures[0], &source->pictures[1]));
}

static void close_clip(Source *source)
{
    for (int i = 0; i < 2; i++)
        pattern_picture_done(&source->pictures[i]);
    real_clip_close(&source->real);
}

/* ---- One case ---- */

static VmafxErr measure(const Case *c, VmafxEngine *engine, VmafxErrInfo *reterr)
{
    VmafxErr err = feature_text_add(engine, json_string_value(json_object_get(c->json, "feature")), reterr);
    Source source;

    if (err)
        return err;
    open_clip(c, &source);
    for (int t = 0; !err && t < json_integer_value(json_object_get(c->json, "frame_count")); t++) {
        next_frame(&source, t);
        err = vmafx_engine_push_pictures(engine, &source.pictures[0], &source.pictures[1], reterr);
    }
    close_clip(&source);
    return err ? err : vmafx_engine_finish(engine, reterr);
}

static bool same(double got, json_t *want)
{
    const char *text = json_string_value(want);

    if (!text)
        return got == json_number_value(want);
    return !strcmp(text, "nan") ? isnan(got) : isinf(got) && (got < 0) == (text[0] == '-');
}

static void compare(const char *what, long frame, double got, json_t *want)
{
    VMAFX_AUTO(vmafx_free_p) char *text = json_dumps(want, JSON_ENCODE_ANY | JSON_REAL_PRECISION(17));

    if (!same(got, want))
        fail_msg("%s at frame %ld is %.17g, not %s", what, frame, got, text);
}

static void check_frames(const VmafxEngine *engine, json_t *frames)
{
    json_t *frame, *want;
    const char *name;
    size_t i;

    assert_int_equal(vmafx_engine_frames(engine), json_array_size(frames));
    json_array_foreach(frames, i, frame)
    {
        size_t place = 0;

        if (json_object_size(frame))
            assert_int_equal(vmafx_engine_series(engine), json_object_size(frame));
        json_object_foreach(frame, name, want)
        {
            double got;

            assert_string_equal(vmafx_engine_series_name(engine, place), name); /* their order is the reference's */
            assert_true(vmafx_engine_value(engine, place++, (uint32_t)i, &got));
            compare(name, (long)i, got, want);
        }
    }
}

static void check_aggregates(const VmafxEngine *engine, json_t *aggregates)
{
    const char *name;
    json_t *want;
    size_t i = 0;

    assert_int_equal(vmafx_engine_aggregates(engine), json_object_size(aggregates));
    json_object_foreach(aggregates, name, want)
    {
        assert_string_equal(vmafx_engine_aggregate_name(engine, i), name);
        compare(name, -1, vmafx_engine_aggregate(engine, i++), want);
    }
}

/* Without a single window the reference divides nothing by something; we say so. */
static bool has_no_window(const Case *c)
{
    return strstr(c->name, "float_ssim") && (json_integer_value(json_object_get(c->json, "width")) < 11 ||
                                             json_integer_value(json_object_get(c->json, "height")) < 11);
}

static void check_case(void **state)
{
    const Case *c = *state;
    VMAFX_AUTO(vmafx_engine_free) VmafxEngine *engine = NULL;
    bool refused = json_object_get(c->json, "result") || has_no_window(c);
    VmafxErrInfo info = { 0 };

    assert_int_equal(
        vmafx_engine_new(&(VmafxEngineSettings){ .threads = c->threads, .cpu_disabled = c->cpu_disabled }, &engine),
        VMAFX_OK);
    VmafxErr err = measure(c, engine, &info);
    if (refused && err) {
        assert_true(*info.message);
        return;
    }
    if (refused != (err != VMAFX_OK))
        fail_msg("%s: %s", refused ? "the reference refuses it" : "refused", err ? info.message : "it was measured");
    check_frames(engine, json_object_get(c->json, "frames"));
    check_aggregates(engine, json_object_get(c->json, "aggregate"));
}

/* ---- Collecting cases ---- */

static bool is_known(const char *name)
{
    for (size_t i = 0; i < n_cases; i++)
        if (!strcmp(cases[i].name, name))
            return true;
    return false;
}

static bool add_file(const char *path)
{
    json_error_t error;
    json_t *file = json_load_file(path, 0, &error), *one;
    size_t i;

    if (!file) {
        print_error("%s: %s\n", path, error.text);
        return false;
    }
    json_array_foreach(json_object_get(file, "cases"), i, one)
    {
        Case *c = &cases[n_cases];

        if (n_cases == CASES_MAX) {
            print_error("more than %d cases\n", CASES_MAX);
            return false;
        }
        snprintf(c->name, sizeof c->name, "%s of %s", json_string_value(json_object_get(one, "feature")),
                 json_string_value(json_object_get(one, "clip")));
        if (is_known(c->name))
            continue;
        c->json = json_incref(one);
        c->threads = (int)(n_cases % 4);
        c->cpu_disabled = n_cases % 3 ? 0 : ~0u;
        tests[n_cases] = (struct CMUnitTest){ c->name, check_case, NULL, NULL, c };
        n_cases++;
    }
    json_decref(file);
    return true;
}

int main(int argc, char **argv)
{
    const char *shared = getenv("VMAFX_SHARED");
    bool good = argc == 2 && add_file(argv[1]);

    for (size_t i = 0; good && shared && *shared && i < VMAFX_LEN(files); i++) {
        VMAFX_AUTO(vmafx_free_p)
        char *path = vmafx_sprintf("%s/spec/golden/secondary/%s.json", shared, files[i]);
        good = add_file(path);
    }
    if (!good)
        return 2;
    int failed = _cmocka_run_group_tests("secondary", tests, n_cases, NULL, NULL);
    for (size_t i = 0; i < n_cases; i++)
        json_decref(cases[i].json);
    return failed;
}

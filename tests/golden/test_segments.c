/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * A clip in segments, each with the context that vmafx_engine_segment asks for, has the values of the whole clip: every
 * feature, every model that is there, every place where a clip can be cut.
 *
 *     VMAFX_SHARED=DIR, VMAFX_MODEL_PATH   where model files are; without them features alone are tried
 */

#include <dirent.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"
#include "feature_text.h"
#include "fields.h"
#include "patterns.h"
#include "sanitized.h"

#define FRAMES     9
#define SERIES_MAX 64

/* What is measured: a feature in the words of golden files, or a model. */
typedef struct Subject {
    const char *feature;
    const VmafxModel *model;
    int subsample;
} Subject;

static VmafxPicture clip[FRAMES][2];

typedef struct Values {
    size_t n_series;
    bool there[FRAMES][SERIES_MAX];
    double values[FRAMES][SERIES_MAX];
} Values;

static VmafxEngine *engine_for(const Subject *subject)
{
    VmafxEngine *engine = NULL;
    VmafxErrInfo info = { 0 };

    assert_int_equal(vmafx_engine_new(&(VmafxEngineSettings){ .subsample = subject->subsample }, &engine), VMAFX_OK);
    if (subject->model ? vmafx_engine_add_model(engine, subject->model, &(VmafxModelUse){ 0 }, &info)
                       : feature_text_add(engine, subject->feature, &info))
        fail_msg("%s", info.message);
    return engine;
}

/* Pushes frames from … to and keeps the values of first … last. */
static void measure(const Subject *subject, uint32_t from, uint32_t to, uint32_t first, uint32_t last, Values *ret)
{
    VMAFX_AUTO(vmafx_engine_free) VmafxEngine *engine = engine_for(subject);
    VmafxErrInfo info = { 0 };

    for (uint32_t t = from; t <= to; t++)
        if (vmafx_engine_push_pictures(engine, &clip[t][0], &clip[t][1], &info))
            fail_msg("%s", info.message);
    if (vmafx_engine_finish(engine, &info))
        fail_msg("%s", info.message);
    ret->n_series = vmafx_engine_series(engine);
    assert_true(ret->n_series <= SERIES_MAX);
    for (uint32_t t = first; t <= last; t++)
        for (size_t s = 0; s < ret->n_series; s++)
            ret->there[t][s] = vmafx_engine_value(engine, s, t - from, &ret->values[t][s]);
}

static bool same(const Values *a, const Values *b, uint32_t first, uint32_t last)
{
    for (uint32_t t = first; t <= last; t++)
        for (size_t s = 0; s < a->n_series; s++)
            if (a->there[t][s] != b->there[t][s] ||
                (a->there[t][s] && memcmp(&a->values[t][s], &b->values[t][s], sizeof(double)) != 0))
                return false;
    return a->n_series == b->n_series;
}

static VmafxSegment segment_of(const Subject *subject, uint32_t first, uint32_t last)
{
    VMAFX_AUTO(vmafx_engine_free) VmafxEngine *engine = engine_for(subject);
    VmafxSegment segment = vmafx_engine_segment(engine, first, last);

    segment.to = VMAFX_MIN(segment.to, (uint32_t)FRAMES - 1);
    return segment;
}

static void check_segment(const Subject *subject, const Values *whole, uint32_t first, uint32_t last)
{
    const VmafxSegment segment = segment_of(subject, first, last);
    Values part = { 0 };

    measure(subject, segment.from, segment.to, first, last, &part);
    if (!same(whole, &part, first, last))
        fail_msg("frames %u to %u of %u to %u differ (%s)", first, last, segment.from, segment.to,
                 subject->feature ? subject->feature : "a model");
}

/* All segments where something reaches beyond a frame, else a few. */
static void check_subject(const Subject *subject)
{
    const VmafxSegment middle = segment_of(subject, 5, 6);
    bool reaches = middle.from != 5 || middle.to != 6;
    Values whole = { 0 };

    measure(subject, 0, FRAMES - 1, 0, FRAMES - 1, &whole);
    for (uint32_t first = 0; first < FRAMES; first += ONE_OF_MANY)
        for (uint32_t last = first; last < FRAMES; last++)
            if (reaches || (first % 4 == 0 && last == VMAFX_MIN(first + 3, (uint32_t)FRAMES - 1)))
                check_segment(subject, &whole, first, last);
}

static void every_feature_can_be_cut_anywhere(void **state)
{
    size_t n;
    const char *const *names = vmafx_engine_features(&n);

    (void)state;
    for (size_t i = 0; i < n; i++)
        check_subject(&(Subject){ .feature = names[i] });
}

/* Somewhere a frame's values are others with a frame less before it, and somewhere with one less after it. */
static bool all_is_needed(const Subject *subject, uint32_t before, uint32_t after)
{
    bool needed[2] = { false, false };
    Values whole = { 0 }, part = { 0 };

    measure(subject, 0, FRAMES - 1, 0, FRAMES - 1, &whole);
    for (uint32_t t = before + 1; t + after < FRAMES; t++) {
        measure(subject, t - before + 1, t + after, t, t, &part);
        needed[0] |= !same(&whole, &part, t, t);
        measure(subject, t - before, t + after - 1, t, t, &part);
        needed[1] |= !same(&whole, &part, t, t);
    }
    return needed[0] && needed[1];
}

#define FIVE    "motion_five_frame_window=true"
#define AVERAGE "motion_moving_average=true"

static void context_is_what_options_make_it(void **state)
{
    static const struct {
        const char *feature;
        uint32_t before, after;
    } table[] = {
        { "motion", 1, 1 },
        { "motion=" AVERAGE, 2, 1 },
        { "motion=" FIVE, 3, 1 },
        { "motion=" FIVE ":" AVERAGE, 4, 1 },
        { "motion=motion_blend_factor=0.5:motion_blend_offset=1:" AVERAGE, 2, 1 },
        { "motion=motion_force_zero=true", 0, 1 },
        { "float_motion", 1, 1 },
        { "float_motion=motion_add_uv=true:motion_add_scale1=true", 1, 1 },
        { "speed_temporal=speed_use_ref_diff=true", 1, 0 },
        { "speed_chroma", 0, 0 },
        { "cambi=full_ref=true", 0, 0 },
        { "adm", 0, 0 },
        { "vif", 0, 0 },
    };

    (void)state;
    for (size_t i = 0; i < VMAFX_LEN(table); i++) {
        const Subject subject = { .feature = table[i].feature };
        const VmafxSegment segment = segment_of(&subject, 5, 6);

        assert_int_equal(segment.from, 5 - table[i].before);
        assert_int_equal(segment.to, 6 + table[i].after);
        check_subject(&subject);
        if (table[i].before && table[i].after)
            assert_true(all_is_needed(&subject, table[i].before, table[i].after));
    }
}

static void the_first_frame_of_a_long_window_waits_for_the_third(void **state)
{
    const Subject subject = { .feature = "motion=" FIVE };

    (void)state;
    assert_int_equal(segment_of(&subject, 0, 0).to, 2);
    assert_int_equal(segment_of(&subject, 0, 1).to, 2);
    assert_int_equal(segment_of(&subject, 0, 2).to, 3);
    assert_int_equal(segment_of(&subject, 1, 1).to, 2);
}

static void subsampled_segments_begin_at_multiples(void **state)
{
    static const char *const features[] = { "motion=" FIVE ":" AVERAGE, "psnr", "speed_temporal", "adm" };

    (void)state;
    for (size_t i = 0; i < VMAFX_LEN(features); i++)
        for (int step = 2; step <= 3; step++) {
            const Subject subject = { .feature = features[i], .subsample = step };

            for (uint32_t first = 0; first < FRAMES; first++)
                assert_int_equal(segment_of(&subject, first, FRAMES - 1).from % (uint32_t)step, 0);
            check_subject(&subject);
        }
}

/* ---- Models ---- */

static void check_model(const char *folder, const char *name)
{
    VMAFX_AUTO(vmafx_free_p) char *path = vmafx_sprintf("%s/%s", folder, name);
    VMAFX_AUTO(vmafx_model_free) VmafxModel *model = NULL;
    VmafxErrInfo info = { 0 };

    if (vmafx_model_load(path, &model, &info))
        fail_msg("%s", info.message);
    const Subject subject = { .model = model };
    const VmafxSegment segment = segment_of(&subject, 5, 6);
    print_message("%s: %u before, %u after\n", name, 5 - segment.from, segment.to - 6);
    assert_int_equal(segment.from, strstr(name, "hfr") ? 1 : 4);
    assert_int_equal(segment.to, 7);
    Values whole = { 0 };
    measure(&subject, 0, FRAMES - 1, 0, FRAMES - 1, &whole);
    for (uint32_t first = 0; first < FRAMES; first += 2 * ONE_OF_MANY)
        check_segment(&subject, &whole, first, VMAFX_MIN(first + 1, (uint32_t)FRAMES - 1));
    check_segment(&subject, &whole, 0, 0);
    check_segment(&subject, &whole, 3, FRAMES - 1);
}

static void every_model_can_be_cut(void **state)
{
    const char *shared = getenv("VMAFX_SHARED"), *own = getenv("VMAFX_MODEL_PATH");
    char folder[512];
    struct dirent **entries = NULL;
    int tried = 0;

    (void)state;
    snprintf(folder, sizeof folder, "%s%s", shared ? shared : own ? own : ".", shared ? "/models" : "");
    int n = scandir(folder, &entries, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        const char *end = strstr(entries[i]->d_name, ".json");

        if (!strncmp(entries[i]->d_name, "vmaf_", 5) && end && !end[5]) {
            check_model(folder, entries[i]->d_name);
            tried++;
        }
        free(entries[i]);
    }
    free(entries);
    if (!tried)
        skip();
}

static int make_clip(void **state)
{
    static const Field field = { "nat", 3, { "blur:1+noise:4", "blur:3" } };
    static const int at[FRAMES] = { 0, 3, 4, 9, 10, 17, 19, 28, 29 }; /* more and less motion by turns */
    VmafxPicture shape;

    (void)state;
    pattern_shape(336, 322, 8, 420, &shape);
    for (int t = 0; t < FRAMES; t++) {
        for (int i = 0; i < 2; i++)
            pattern_picture_init(&shape, &clip[t][i]);
        field_frame(&field, at[t], &clip[t][0], &clip[t][1]);
    }
    return 0;
}

static int free_clip(void **state)
{
    (void)state;
    for (int t = 0; t < FRAMES; t++)
        for (int i = 0; i < 2; i++)
            pattern_picture_done(&clip[t][i]);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_feature_can_be_cut_anywhere),
        cmocka_unit_test(context_is_what_options_make_it),
        cmocka_unit_test(the_first_frame_of_a_long_window_waits_for_the_third),
        cmocka_unit_test(subsampled_segments_begin_at_multiples),
        cmocka_unit_test(every_model_can_be_cut),
    };

    return cmocka_run_group_tests(tests, make_clip, free_clip);
}

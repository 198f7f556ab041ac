/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Guests of the engine: scores that others compute, from features or as they are given. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <vmafx/engine.h>

#include "base/base.h"

enum { SIDE = 32 };

static const char *const motion2[] = { "VMAF_integer_feature_motion2_score" };
static const VmafxOptions no_options[1];

/* Doubles its only input; counts. */
typedef struct Doubler {
    uint32_t next; /* frame that has to come */
    size_t calls, most;
    bool fails;
} Doubler;

static VmafxErr twice(void *ctx, uint32_t first, uint32_t step, size_t n, const double *rows, double *ret_scores,
                      VmafxErrInfo *reterr)
{
    Doubler *d = ctx;

    assert_int_equal(first, d->next);
    d->next = first + (uint32_t)n * step;
    d->calls++;
    d->most = VMAFX_MAX(d->most, n);
    for (size_t i = 0; i < n; i++)
        ret_scores[i] = 2 * rows[i];
    return d->fails ? vmafx_fail(reterr, VMAFX_ERR_MODEL, "it will not") : VMAFX_OK;
}

static VmafxEngine *an_engine(int threads, int subsample)
{
    VmafxEngine *engine = NULL;

    assert_int_equal(vmafx_engine_new(&(VmafxEngineSettings){ .threads = threads, .subsample = subsample }, &engine),
                     VMAFX_OK);
    return engine;
}

static void add_doubler(VmafxEngine *engine, Doubler *d)
{
    const VmafxGuest guest = {
        .name = "twice", .features = motion2, .options = no_options, .n_features = 1, .predict = twice, .ctx = d
    };

    assert_int_equal(vmafx_engine_add_guest(engine, &guest, NULL, NULL), VMAFX_OK);
}

static void push(VmafxEngine *engine, unsigned n)
{
    for (; n; n--) {
        uint8_t samples[SIDE * SIDE];
        const VmafxPlane plane = { samples, SIDE, SIDE, SIDE, 8 };

        for (int i = 0; i < SIDE * SIDE; i++)
            samples[i] = (uint8_t)(i * 7 + (int)vmafx_engine_frames(engine) * 13);
        assert_int_equal(vmafx_engine_push(engine, &plane, &plane, NULL), VMAFX_OK);
    }
}

static double value(const VmafxEngine *engine, const char *series, uint32_t frame)
{
    double v = -1;

    assert_true(vmafx_engine_value(engine, vmafx_engine_find(engine, series), frame, &v));
    return v;
}

static void a_guest_predicts_in_batches_at_the_end(void **state)
{
    for (int threads = 0; threads < 3; threads++) {
        VMAFX_AUTO(vmafx_engine_free) VmafxEngine *engine = an_engine(threads, 1);
        Doubler d = { 0 };
        VmafxPooled feature, score;

        add_doubler(engine, &d);
        push(engine, 2100);
        assert_int_equal(d.calls, 0);
        assert_int_equal(vmafx_engine_finish(engine, NULL), VMAFX_OK);
        assert_int_equal(d.next, 2100);
        assert_int_equal(d.calls, 3);
        assert_int_equal(d.most, VMAFX_GUEST_ROWS);
        assert_int_equal(vmafx_engine_pool(engine, vmafx_engine_find(engine, "integer_motion2"), 0, 2099, &feature),
                         VMAFX_OK);
        assert_int_equal(vmafx_engine_pool(engine, vmafx_engine_find(engine, "twice"), 0, 2099, &score), VMAFX_OK);
        assert_true(score.mean == 2 * feature.mean && score.n == 2100);
    }
}

static void on_the_way_it_predicts_what_is_final(void **state)
{
    VMAFX_AUTO(vmafx_engine_free) VmafxEngine *engine = an_engine(0, 1);
    Doubler d = { 0 };
    uint32_t final;

    add_doubler(engine, &d);
    push(engine, 5);
    assert_int_equal(vmafx_engine_settle(engine, &final, NULL), VMAFX_OK);
    assert_int_equal(final, 4); /* motion2 looks one frame ahead */
    assert_int_equal(d.next, 4);
    assert_true(value(engine, "twice", 3) == 2 * value(engine, "integer_motion2", 3));
    push(engine, 1);
    assert_int_equal(vmafx_engine_finish(engine, NULL), VMAFX_OK);
    assert_int_equal(d.next, 6);
    assert_true(value(engine, "twice", 5) == 2 * value(engine, "integer_motion2", 5));
}

static void with_subsampling_it_sees_those_frames_only(void **state)
{
    VMAFX_AUTO(vmafx_engine_free) VmafxEngine *engine = an_engine(1, 3);
    Doubler d = { 0 };
    size_t given;
    double v;

    add_doubler(engine, &d);
    assert_int_equal(vmafx_engine_add_guest(engine, &(VmafxGuest){ .name = "given" }, &given, NULL), VMAFX_OK);
    push(engine, 8); /* 0, 3, 6 */
    assert_int_equal(vmafx_engine_give(engine, given, (const double[]){ 1, 2, 3 }, 3, NULL), VMAFX_OK);
    assert_int_equal(vmafx_engine_give(engine, given, (const double[]){ 4 }, 1, NULL), VMAFX_ERR_INVALID);
    assert_int_equal(vmafx_engine_finish(engine, NULL), VMAFX_OK);
    assert_int_equal(d.calls, 1);
    assert_int_equal(d.next, 9);
    assert_true(value(engine, "given", 3) == 2 && value(engine, "given", 6) == 3);
    assert_false(vmafx_engine_value(engine, vmafx_engine_find(engine, "given"), 1, &v));
}

static void a_frame_is_final_when_its_value_was_given(void **state)
{
    VMAFX_AUTO(vmafx_engine_free) VmafxEngine *engine = an_engine(0, 1);
    size_t guest;
    uint32_t final;

    assert_int_equal(vmafx_engine_add_guest(engine, &(VmafxGuest){ .name = "given" }, &guest, NULL), VMAFX_OK);
    push(engine, 3);
    assert_int_equal(vmafx_engine_settle(engine, &final, NULL), VMAFX_OK);
    assert_int_equal(final, 0);
    assert_int_equal(vmafx_engine_give(engine, guest, (const double[]){ 5, 6 }, 2, NULL), VMAFX_OK);
    assert_int_equal(vmafx_engine_settle(engine, &final, NULL), VMAFX_OK);
    assert_int_equal(final, 2);
    assert_true(value(engine, "given", 1) == 6);
    VmafxErrInfo info = { 0 };
    assert_int_equal(vmafx_engine_finish(engine, &info), VMAFX_ERR_MISSING);
    assert_non_null(strstr(info.message, "'given' for frame 2"));
    assert_int_equal(vmafx_engine_give(engine, guest, (const double[]){ 7 }, 1, NULL), VMAFX_ERR_FINISHED);
}

static void what_is_wrong_with_a_guest_is_said(void **state)
{
    VMAFX_AUTO(vmafx_engine_free) VmafxEngine *engine = an_engine(0, 1);
    const char *const nothing[] = { "sharpness" };
    Doubler d = { .fails = true };
    VmafxErrInfo info = { 0 };

    assert_int_equal(
        vmafx_engine_add_guest(
            engine,
            &(VmafxGuest){
                .name = "no", .features = nothing, .options = no_options, .n_features = 1, .predict = twice },
            NULL, &info),
        VMAFX_ERR_FEATURE);
    assert_non_null(strstr(info.message, "sharpness"));
    assert_int_equal(
        vmafx_engine_add_guest(engine, &(VmafxGuest){ .name = "no", .features = motion2, .n_features = 1 }, NULL, NULL),
        VMAFX_ERR_INVALID);
    add_doubler(engine, &d);
    assert_int_equal(vmafx_engine_add_guest(engine, &(VmafxGuest){ .name = "twice" }, NULL, NULL), VMAFX_ERR_INVALID);
    assert_int_equal(vmafx_engine_give(engine, 0, (const double[]){ 1 }, 1, NULL), VMAFX_ERR_INVALID);
    push(engine, 2);
    assert_int_equal(vmafx_engine_add_guest(engine, &(VmafxGuest){ .name = "late" }, NULL, NULL), VMAFX_ERR_INVALID);
    assert_int_equal(vmafx_engine_finish(engine, &info), VMAFX_ERR_MODEL);
    assert_string_equal(info.message, "it will not");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_guest_predicts_in_batches_at_the_end),
        cmocka_unit_test(on_the_way_it_predicts_what_is_final),
        cmocka_unit_test(with_subsampling_it_sees_those_frames_only),
        cmocka_unit_test(a_frame_is_final_when_its_value_was_given),
        cmocka_unit_test(what_is_wrong_with_a_guest_is_said),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

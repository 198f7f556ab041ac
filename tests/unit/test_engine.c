/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The engine's behaviour around the numbers: order of calls, errors, threads. */

#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"
#include "engine/engine_internal.h"

#define W 64
#define H 48

/* Any picture that is not flat and differs from frame to frame. */
static void paint(uint8_t *pixels, int t, int noise)
{
    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++)
            pixels[y * W + x] =
                (uint8_t)((x * 5 + y * 3 + t * 11 + (x * y) % 7) % 200 + noise * ((x * 31 + y * 17) % 5));
}

static VmafxEngine *new_engine(int threads, int subsample)
{
    VmafxEngine *engine = NULL;

    assert_int_equal(vmafx_engine_new(&(VmafxEngineSettings){ .threads = threads, .subsample = subsample }, &engine),
                     VMAFX_OK);
    return engine;
}

static VmafxErr push(VmafxEngine *engine, int t, VmafxErrInfo *info)
{
    uint8_t ref[W * H], dis[W * H];

    paint(ref, t, 0);
    paint(dis, t, 1);
    return vmafx_engine_push(engine, &(VmafxPlane){ ref, W, W, H, 8 }, &(VmafxPlane){ dis, W, W, H, 8 }, info);
}

static void add_all(VmafxEngine *engine)
{
    static const char *const names[] = { "adm", "vif", "motion" };

    for (size_t i = 0; i < VMAFX_LEN(names); i++)
        assert_int_equal(vmafx_engine_add_feature(engine, names[i], NULL, true, NULL), VMAFX_OK);
}

static void any_number_of_threads_gives_the_same_values(void **state)
{
    enum { FRAMES = 24 };
    VMAFX_AUTO(vmafx_engine_free) VmafxEngine *plain = new_engine(0, 1);

    (void)state;
    add_all(plain);
    for (int t = 0; t < FRAMES; t++)
        assert_int_equal(push(plain, t, NULL), VMAFX_OK);
    assert_int_equal(vmafx_engine_finish(plain, NULL), VMAFX_OK);

    for (int threads = 1; threads <= 5; threads++) {
        VMAFX_AUTO(vmafx_engine_free) VmafxEngine *engine = new_engine(threads, 1);
        add_all(engine);
        for (int t = 0; t < FRAMES; t++)
            assert_int_equal(push(engine, t, NULL), VMAFX_OK);
        assert_int_equal(vmafx_engine_finish(engine, NULL), VMAFX_OK);
        assert_int_equal(vmafx_engine_series(engine), vmafx_engine_series(plain));
        for (size_t s = 0; s < vmafx_engine_series(plain); s++)
            for (uint32_t i = 0; i < FRAMES; i++) {
                double a, b;
                assert_true(vmafx_engine_value(plain, s, i, &a) && vmafx_engine_value(engine, s, i, &b));
                assert_memory_equal(&a, &b, sizeof a);
            }
    }
}

static void the_calling_order_is_held_to(void **state)
{
    VMAFX_AUTO(vmafx_engine_free) VmafxEngine *engine = new_engine(1, 1);
    VmafxErrInfo info = { 0 };

    (void)state;
    assert_int_equal(push(engine, 0, &info), VMAFX_ERR_INVALID);
    add_all(engine);
    assert_int_equal(push(engine, 0, &info), VMAFX_OK);
    assert_int_equal(vmafx_engine_add_feature(engine, "vif", NULL, true, &info), VMAFX_ERR_INVALID);
    assert_int_equal(vmafx_engine_finish(engine, &info), VMAFX_OK);
    assert_int_equal(vmafx_engine_finish(engine, &info), VMAFX_ERR_FINISHED);
    assert_int_equal(push(engine, 1, &info), VMAFX_ERR_FINISHED);
}

static void a_clip_without_frames_is_an_error(void **state)
{
    VMAFX_AUTO(vmafx_engine_free) VmafxEngine *engine = new_engine(1, 1);
    VmafxErrInfo info = { 0 };

    (void)state;
    add_all(engine);
    assert_int_equal(vmafx_engine_finish(engine, &info), VMAFX_ERR_MISSING);
    assert_non_null(strstr(info.message, "no frame"));
}

static void planes_that_do_not_match_are_refused(void **state)
{
    static uint16_t pixels[2 * W * H];
    static const struct {
        const char *why;
        VmafxPlane ref, dis;
        VmafxErr err;
    } bad[] = {
        { "width", { pixels, W, W, H, 8 }, { pixels, W, W - 1, H, 8 }, VMAFX_ERR_MISMATCH },
        { "height", { pixels, W, W, H, 8 }, { pixels, W, W, H - 1, 8 }, VMAFX_ERR_MISMATCH },
        { "depth", { pixels, W, W, H, 8 }, { pixels, 2 * W, W, H, 10 }, VMAFX_ERR_MISMATCH },
        { "both unlike the first", { pixels, W, W - 2, H, 8 }, { pixels, W, W - 2, H, 8 }, VMAFX_ERR_MISMATCH },
        { "no data", { NULL, W, W, H, 8 }, { pixels, W, W, H, 8 }, VMAFX_ERR_INVALID },
    };
    VMAFX_AUTO(vmafx_engine_free) VmafxEngine *engine = new_engine(0, 1);

    (void)state;
    add_all(engine);
    assert_int_equal(push(engine, 0, NULL), VMAFX_OK);
    for (size_t i = 0; i < VMAFX_LEN(bad); i++) {
        VmafxErrInfo info = { 0 };
        if (vmafx_engine_push(engine, &bad[i].ref, &bad[i].dis, &info) != bad[i].err || !info.message[0])
            fail_msg("%s: '%s'", bad[i].why, info.message);
    }
    assert_int_equal(vmafx_engine_frames(engine), 1);
}

static void pictures_below_a_features_minimum_are_refused(void **state)
{
    static const struct {
        const char *feature;
        int min;
    } cases[] = { { "adm", 33 }, { "vif", 16 }, { "motion", 3 } };
    static uint8_t pixels[W * H];

    (void)state;
    for (size_t i = 0; i < VMAFX_LEN(cases); i++)
        for (int d = -1; d <= 0; d++) {
            VMAFX_AUTO(vmafx_engine_free) VmafxEngine *engine = new_engine(0, 1);
            int size = cases[i].min + d;
            VmafxPlane plane = { pixels, W, size, size, 8 };
            VmafxErrInfo info = { 0 };

            assert_int_equal(vmafx_engine_add_feature(engine, cases[i].feature, NULL, true, NULL), VMAFX_OK);
            assert_int_equal(vmafx_engine_push(engine, &plane, &plane, &info), d ? VMAFX_ERR_INVALID : VMAFX_OK);
            if (d)
                assert_non_null(strstr(info.message, cases[i].feature));
        }
}

static void features_of_later_versions_are_told_from_unknown_ones(void **state)
{
    VMAFX_AUTO(vmafx_engine_free) VmafxEngine *engine = new_engine(0, 1);
    VmafxErrInfo info = { 0 };

    (void)state;
    assert_int_equal(vmafx_engine_add_feature(engine, "float_ansnr", NULL, true, &info), VMAFX_ERR_UNSUPPORTED);
    assert_non_null(strstr(info.message, "not available in this version"));
    assert_int_equal(vmafx_engine_add_feature(engine, "psnrr", NULL, true, &info), VMAFX_ERR_FEATURE);
}

static void option_combinations_without_meaning_are_refused(void **state)
{
    static const struct {
        const char *why, *key[2], *value[2];
    } bad[] = {
        { "closer than the gains can express", { "adm_norm_view_dist", "debug" }, { "1", "false" } },
        { "no row in the table", { "adm_csf_mode", "adm_norm_view_dist" }, { "2", "4" } },
        { "no row in the other table", { "adm_csf_mode", "adm_ref_display_height" }, { "3", "1081" } },
    };

    (void)state;
    for (size_t i = 0; i < VMAFX_LEN(bad); i++) {
        VMAFX_AUTO(vmafx_engine_free) VmafxEngine *engine = new_engine(0, 1);
        VmafxErrInfo info = { 0 };
        VmafxOption items[] = { { (char *)bad[i].key[0], (char *)bad[i].value[0] },
                                { (char *)bad[i].key[1], (char *)bad[i].value[1] } };

        if (vmafx_engine_add_feature(engine, "adm", &(VmafxOptions){ items, 2 }, true, &info) != VMAFX_ERR_FEATURE)
            fail_msg("%s", bad[i].why);
    }
}

static void equal_configurations_are_computed_once(void **state)
{
    VMAFX_AUTO(vmafx_engine_free) VmafxEngine *engine = new_engine(0, 1);
    VmafxOption same = { "vif_enhn_gain_limit", "100" }, other = { "vif_enhn_gain_limit", "1" };

    (void)state;
    assert_int_equal(vmafx_engine_add_feature(engine, "vif", NULL, true, NULL), VMAFX_OK);
    assert_int_equal(vmafx_engine_add_feature(engine, "vif", &(VmafxOptions){ &same, 1 }, true, NULL), VMAFX_OK);
    assert_int_equal(vmafx_engine_add_feature(engine, "vif", &(VmafxOptions){ &other, 1 }, true, NULL), VMAFX_OK);
    assert_int_equal(push(engine, 0, NULL), VMAFX_OK);
    assert_int_equal(vmafx_engine_series(engine), 8);
    assert_int_not_equal(vmafx_engine_find(engine, "integer_vif_scale3_egl_1"), SIZE_MAX);
}

static void subsampling_leaves_out_everything_but_motion(void **state)
{
    VMAFX_AUTO(vmafx_engine_free) VmafxEngine *engine = new_engine(2, 3);
    VmafxPooled pooled;
    double v;

    (void)state;
    add_all(engine);
    for (int t = 0; t < 7; t++)
        assert_int_equal(push(engine, t, NULL), VMAFX_OK);
    assert_int_equal(vmafx_engine_finish(engine, NULL), VMAFX_OK);
    size_t vif = vmafx_engine_find(engine, "integer_vif_scale0"), motion = vmafx_engine_find(engine, "integer_motion2");
    for (uint32_t i = 0; i < 7; i++) {
        assert_int_equal(vmafx_engine_value(engine, vif, i, &v), i % 3 == 0);
        assert_true(vmafx_engine_value(engine, motion, i, &v));
    }
    assert_int_equal(vmafx_engine_pool(engine, vif, 0, 6, &pooled), VMAFX_OK);
    assert_int_equal(pooled.n, 3);
    assert_int_equal(vmafx_engine_pool(engine, vif, 3, 2, &pooled), VMAFX_ERR_INVALID);
    assert_int_equal(vmafx_engine_pool(engine, vif, 0, 7, &pooled), VMAFX_ERR_INVALID);
}

static void samples_above_the_depth_count_as_its_peak(void **state)
{
    static uint16_t wild[W * H], tame[W * H];
    double values[2];

    (void)state;
    for (int i = 0; i < W * H; i++) {
        wild[i] = (uint16_t)(i * 977);
        tame[i] = VMAFX_MIN(wild[i], 1023);
    }
    for (int i = 0; i < 2; i++) {
        VMAFX_AUTO(vmafx_engine_free) VmafxEngine *engine = new_engine(1, 1);
        VmafxPlane plane = { i ? tame : wild, 2 * W, W, H, 10 };
        add_all(engine);
        assert_int_equal(vmafx_engine_push(engine, &plane, &plane, NULL), VMAFX_OK);
        assert_int_equal(vmafx_engine_finish(engine, NULL), VMAFX_OK);
        assert_true(vmafx_engine_value(engine, vmafx_engine_find(engine, "integer_adm2"), 0, &values[i]));
    }
    assert_true(isfinite(values[0]) && values[0] == values[1]);
}

static void pooling_follows_its_formulas(void **state)
{
    VMAFX_AUTO(vmafx_engine_free) VmafxEngine *engine = new_engine(1, 1);
    VmafxPooled pooled;
    double v[5], sum = 0, inverse = 0;

    (void)state;
    add_all(engine);
    for (int t = 0; t < 5; t++)
        assert_int_equal(push(engine, t * t, NULL), VMAFX_OK);
    assert_int_equal(vmafx_engine_finish(engine, NULL), VMAFX_OK);
    size_t sad = vmafx_engine_find(engine, "VMAF_integer_feature_motion_sad_score");
    for (uint32_t i = 1; i < 5; i++) {
        assert_true(vmafx_engine_value(engine, sad, i, &v[i]));
        sum += v[i];
        inverse += 1 / (v[i] + 1);
    }
    assert_int_equal(vmafx_engine_pool(engine, sad, 1, 4, &pooled), VMAFX_OK);
    assert_true(pooled.mean == sum / 4 && pooled.harmonic_mean == 4 / inverse - 1);
    for (uint32_t i = 1; i < 5; i++)
        assert_true(pooled.min <= v[i] && v[i] <= pooled.max);
}

/* An extractor that fails at frame 3. */
static VmafxErr no_pass(const VmafxPassSetup *setup, void **ret_pass)
{
    (void)setup;
    *ret_pass = NULL;
    return VMAFX_OK;
}

static void no_pass_free(void *pass)
{
    (void)pass;
}

static VmafxErr fails_at_three(void *pass, const VmafxFrameInput *input, VmafxFeatureValues *ret_values)
{
    (void)pass;
    ret_values[0][0] = 1;
    return input->index == 3 ? VMAFX_ERR_INTERNAL : VMAFX_OK;
}

static void a_workers_error_reaches_the_caller(void **state)
{
    static const VmafxFeatureSpec feature = { .stored = "broken", .report = "broken" };
    static const VmafxExtractor broken = { .name = "broken",
                                           .features = &feature,
                                           .n_features = 1,
                                           .pass_new = no_pass,
                                           .pass_free = no_pass_free,
                                           .frame = fails_at_three };

    (void)state;
    for (int threads = 0; threads <= 3; threads++) {
        VMAFX_AUTO(vmafx_engine_free) VmafxEngine *engine = new_engine(threads, 1);
        VmafxErrInfo info = { 0 };
        VmafxErr err = VMAFX_OK;
        size_t instance;

        assert_int_equal(vmafx_engine_add_instance(engine, &broken, NULL, true, &instance, &info), VMAFX_OK);
        for (int t = 0; t < 40 && !err; t++)
            err = push(engine, t, &info);
        uint32_t n;
        if (!err)
            err = vmafx_engine_finish(engine, &info);
        else
            assert_int_equal(vmafx_engine_settle(engine, &n, NULL), err);
        assert_int_equal(err, VMAFX_ERR_INTERNAL);
        assert_non_null(strstr(info.message, "'broken' failed at frame 3"));
    }
}

/* ---- final values on the way ---- */

enum { CLIP = 21, SERIES_ROOM = 64 };

/* What settle let be read, by series and frame; compared with the end. */
typedef struct Early {
    uint32_t n;
    bool present[SERIES_ROOM][CLIP];
    double values[SERIES_ROOM][CLIP];
} Early;

static void read_early(VmafxEngine *engine, Early *early)
{
    uint32_t n = 0;

    assert_int_equal(vmafx_engine_settle(engine, &n, NULL), VMAFX_OK);
    assert_in_range(n, early->n, vmafx_engine_frames(engine));
    assert_true(vmafx_engine_series(engine) <= SERIES_ROOM);
    for (; early->n < n; early->n++)
        for (size_t s = 0; s < vmafx_engine_series(engine); s++)
            early->present[s][early->n] = vmafx_engine_value(engine, s, early->n, &early->values[s][early->n]);
    for (size_t s = 0; s < vmafx_engine_series(engine); s++) {
        double v;
        assert_false(vmafx_engine_value(engine, s, n, &v)); /* not yet */
    }
}

static void check_early(const VmafxEngine *engine, const Early *early)
{
    for (size_t s = 0; s < vmafx_engine_series(engine); s++)
        for (uint32_t i = 0; i < early->n; i++) {
            double v = 0;
            bool present = vmafx_engine_value(engine, s, i, &v);

            if (present != early->present[s][i] || (present && memcmp(&v, &early->values[s][i], sizeof v) != 0))
                fail_msg("%s of frame %u was %.17g, then %.17g", vmafx_engine_series_name(engine, s), i,
                         early->values[s][i], v);
        }
}

/* Each option of motion that has to do with other frames. */
static const struct {
    const char *why, *key, *value;
    uint32_t first; /* frame 0 is final when this one is done, the others one after */
} motions[] = {
    { "three frames", "debug", "true", 1 },
    { "five frames", "motion_five_frame_window", "true", 2 },
    { "averaged", "motion_moving_average", "true", 1 },
    { "blended", "motion_blend_factor", "0.5", 1 },
    { "none", "motion_force_zero", "true", 1 },
};

static VmafxEngine *new_motion_engine(size_t which, int threads, int subsample)
{
    VmafxEngine *engine = new_engine(threads, subsample);
    VmafxOption option = { (char *)motions[which].key, (char *)motions[which].value };

    assert_int_equal(vmafx_engine_add_feature(engine, "motion", &(VmafxOptions){ &option, 1 }, true, NULL), VMAFX_OK);
    return engine;
}

static void settled_values_are_those_of_the_end(void **state)
{
    (void)state;
    for (size_t m = 0; m < VMAFX_LEN(motions); m++)
        for (int threads = 0; threads <= 3; threads++)
            for (int subsample = 1; subsample <= 3; subsample += 2) {
                VMAFX_AUTO(vmafx_engine_free) VmafxEngine *engine = new_motion_engine(m, threads, subsample);
                static Early early;
                uint32_t n;

                add_all(engine);
                early.n = 0;
                for (int t = 0; t < CLIP; t++) {
                    assert_int_equal(push(engine, t, NULL), VMAFX_OK);
                    read_early(engine, &early);
                }
                assert_int_equal(vmafx_engine_finish(engine, NULL), VMAFX_OK);
                check_early(engine, &early);
                assert_int_equal(vmafx_engine_settle(engine, &n, NULL), VMAFX_OK);
                assert_int_equal(n, CLIP);
            }
}

/* Without workers a frame is done when push comes back, so the lag shows. */
static void a_frame_settles_as_soon_as_no_later_one_can_change_it(void **state)
{
    (void)state;
    for (size_t m = 0; m < VMAFX_LEN(motions); m++) {
        VMAFX_AUTO(vmafx_engine_free) VmafxEngine *engine = new_motion_engine(m, 0, 1);

        for (uint32_t t = 0; t < CLIP; t++) {
            uint32_t n = UINT32_MAX;
            assert_int_equal(push(engine, (int)t, NULL), VMAFX_OK);
            assert_int_equal(vmafx_engine_settle(engine, &n, NULL), VMAFX_OK);
            if (n != (t < motions[m].first ? 0 : t))
                fail_msg("%s: after frame %u %u frames are final", motions[m].why, t, n);
        }
    }

    VMAFX_AUTO(vmafx_engine_free) VmafxEngine *engine = new_engine(0, 1);
    uint32_t n = UINT32_MAX;
    assert_int_equal(vmafx_engine_add_feature(engine, "vif", NULL, true, NULL), VMAFX_OK);
    assert_int_equal(vmafx_engine_settle(engine, &n, NULL), VMAFX_OK);
    assert_int_equal(n, 0);
    for (uint32_t t = 0; t < 3; t++) {
        assert_int_equal(push(engine, (int)t, NULL), VMAFX_OK);
        assert_int_equal(vmafx_engine_settle(engine, &n, NULL), VMAFX_OK);
        assert_int_equal(n, t + 1); /* vif looks at no other frame */
    }
}

/* Clips of every short length, settled now and then, against those that never were. */
static void asking_or_not_changes_nothing(void **state)
{
    (void)state;
    for (size_t m = 0; m < VMAFX_LEN(motions); m++)
        for (int length = 1; length <= 6; length++)
            for (unsigned asked = 0; asked < 1u << length; asked++) {
                VMAFX_AUTO(vmafx_engine_free) VmafxEngine *plain = new_motion_engine(m, 0, 1);
                VMAFX_AUTO(vmafx_engine_free) VmafxEngine *engine = new_motion_engine(m, 0, 1);

                for (int t = 0; t < length; t++) {
                    uint32_t n;
                    assert_int_equal(push(plain, t, NULL), VMAFX_OK);
                    assert_int_equal(push(engine, t, NULL), VMAFX_OK);
                    if (asked >> t & 1)
                        assert_int_equal(vmafx_engine_settle(engine, &n, NULL), VMAFX_OK);
                }
                assert_int_equal(vmafx_engine_finish(plain, NULL), VMAFX_OK);
                assert_int_equal(vmafx_engine_finish(engine, NULL), VMAFX_OK);
                for (size_t s = 0; s < vmafx_engine_series(plain); s++)
                    for (uint32_t i = 0; i < (uint32_t)length; i++) {
                        double a, b;
                        assert_true(vmafx_engine_value(plain, s, i, &a) && vmafx_engine_value(engine, s, i, &b));
                        assert_memory_equal(&a, &b, sizeof a);
                    }
            }
}

typedef struct Done {
    pthread_mutex_t lock; /* covers n */
    pthread_cond_t more;
    uint32_t n;
} Done;

static void count_done(void *ctx)
{
    Done *done = ctx;

    pthread_mutex_lock(&done->lock);
    done->n++;
    pthread_cond_signal(&done->more);
    pthread_mutex_unlock(&done->lock);
}

/* Whoever waits for the calls need not push a further frame to get at a value. */
static void each_frame_that_is_done_is_told(void **state)
{
    (void)state;
    for (int threads = 0; threads <= 3; threads++) {
        Done done = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0 };
        VmafxEngineSettings settings = { .threads = threads, .frame_done = count_done, .frame_done_ctx = &done };
        VMAFX_AUTO(vmafx_engine_free) VmafxEngine *engine = NULL;

        assert_int_equal(vmafx_engine_new(&settings, &engine), VMAFX_OK);
        add_all(engine);
        for (uint32_t t = 0; t < CLIP; t++) {
            uint32_t n;

            assert_int_equal(push(engine, (int)t, NULL), VMAFX_OK);
            pthread_mutex_lock(&done.lock);
            while (done.n <= t)
                pthread_cond_wait(&done.more, &done.lock);
            pthread_mutex_unlock(&done.lock);
            assert_int_equal(vmafx_engine_settle(engine, &n, NULL), VMAFX_OK);
            assert_int_equal(n, t);
        }
    }
}

/* A picture that counts how often it was given back. */
typedef struct Lent {
    _Alignas(64) uint8_t pixels[W * H];
    atomic_int given_back;
} Lent;

static void count_back(void *owner)
{
    atomic_fetch_add(&((Lent *)owner)->given_back, 1);
}

static VmafxErr push_lent(VmafxEngine *engine, Lent pair[2], int t, int h, VmafxErrInfo *info)
{
    const VmafxLoan loans[2] = { { count_back, &pair[0] }, { count_back, &pair[1] } };

    for (int i = 0; i < 2; i++) {
        paint(pair[i].pixels, t, i);
        atomic_store(&pair[i].given_back, 0);
    }
    return vmafx_engine_push_lent(engine, &(VmafxPicture){ .planes = { { pair[0].pixels, W, W, h, 8 } } },
                                  &(VmafxPicture){ .planes = { { pair[1].pixels, W, W, H, 8 } } }, loans, info);
}

static void lent_pictures_give_the_same_values_and_come_back_once(void **state)
{
    enum { FRAMES = 12 };
    static Lent lent[FRAMES][2];

    (void)state;
    for (int threads = 0; threads < 4; threads += 3) {
        VMAFX_AUTO(vmafx_engine_free) VmafxEngine *copying = new_engine(threads, 1), *lending = new_engine(threads, 1);

        add_all(copying);
        add_all(lending);
        for (int t = 0; t < FRAMES; t++) {
            assert_int_equal(push(copying, t, NULL), VMAFX_OK);
            assert_int_equal(push_lent(lending, lent[t], t, H, NULL), VMAFX_OK);
            for (int before = t - VMAFX_LENT_ENOUGH(0); before >= 0 && !threads; before--)
                assert_int_equal(atomic_load(&lent[before][0].given_back), 1);
        }
        assert_int_equal(vmafx_engine_finish(copying, NULL), VMAFX_OK);
        assert_int_equal(vmafx_engine_finish(lending, NULL), VMAFX_OK);
        for (uint32_t t = 0; t < FRAMES; t++) {
            assert_int_equal(lent[t][0].given_back, 1);
            assert_int_equal(lent[t][1].given_back, 1);
            for (size_t i = 0; i < vmafx_engine_series(copying); i++) {
                double a = 0, b = 0;
                assert_int_equal(vmafx_engine_value(copying, i, t, &a), vmafx_engine_value(lending, i, t, &b));
                assert_memory_equal(&a, &b, sizeof a);
            }
        }
    }
}

static void lent_pictures_come_back_when_a_push_fails_or_nobody_finishes(void **state)
{
    static Lent good[2], bad[2], late[2];
    VMAFX_AUTO(vmafx_engine_free) VmafxEngine *engine = new_engine(2, 1);
    VmafxErrInfo info = { 0 };

    (void)state;
    add_all(engine);
    assert_int_equal(push_lent(engine, good, 0, H, NULL), VMAFX_OK);
    assert_int_equal(push_lent(engine, bad, 1, H - 2, &info), VMAFX_ERR_MISMATCH);
    assert_int_equal(bad[0].given_back, 1);
    assert_int_equal(bad[1].given_back, 1);
    vmafx_engine_recall(engine);
    assert_int_equal(good[0].given_back, 1);
    assert_int_equal(good[1].given_back, 1);
    assert_int_equal(push_lent(engine, late, 1, H, &info), VMAFX_ERR_FINISHED);
    assert_int_equal(late[0].given_back, 1);
    assert_int_equal(late[1].given_back, 1);
    vmafx_engine_recall(NULL);
}

static void a_lent_picture_whose_rows_lie_anyhow_is_copied(void **state)
{
    static uint8_t pixels[W * H + 64];
    static Lent dis;
    VMAFX_AUTO(vmafx_engine_free) VmafxEngine *engine = new_engine(1, 1);
    Lent ref = { .given_back = 0 };
    const VmafxLoan loans[2] = { { count_back, &ref }, { NULL, NULL } };

    (void)state;
    add_all(engine);
    paint(pixels + 1, 0, 0);
    paint(dis.pixels, 0, 1);
    assert_int_equal(vmafx_engine_push_lent(engine, &(VmafxPicture){ .planes = { { pixels + 1, W, W, H, 8 } } },
                                            &(VmafxPicture){ .planes = { { dis.pixels, W, W, H, 8 } } }, loans, NULL),
                     VMAFX_OK);
    assert_int_equal(ref.given_back, 1);
    memset(pixels, 0, sizeof pixels);
    assert_int_equal(vmafx_engine_finish(engine, NULL), VMAFX_OK);
    assert_int_equal(ref.given_back, 1);
}

static void settings_out_of_range_are_refused(void **state)
{
    VmafxEngine *engine = NULL;

    (void)state;
    assert_int_equal(vmafx_engine_new(&(VmafxEngineSettings){ .threads = -1 }, &engine), VMAFX_ERR_INVALID);
    assert_int_equal(vmafx_engine_new(&(VmafxEngineSettings){ .threads = 1 << 20 }, &engine), VMAFX_ERR_INVALID);
    assert_int_equal(vmafx_engine_new(&(VmafxEngineSettings){ .threads = 1, .subsample = -3 }, &engine),
                     VMAFX_ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_number_of_threads_gives_the_same_values),
        cmocka_unit_test(the_calling_order_is_held_to),
        cmocka_unit_test(a_clip_without_frames_is_an_error),
        cmocka_unit_test(planes_that_do_not_match_are_refused),
        cmocka_unit_test(pictures_below_a_features_minimum_are_refused),
        cmocka_unit_test(features_of_later_versions_are_told_from_unknown_ones),
        cmocka_unit_test(option_combinations_without_meaning_are_refused),
        cmocka_unit_test(equal_configurations_are_computed_once),
        cmocka_unit_test(subsampling_leaves_out_everything_but_motion),
        cmocka_unit_test(samples_above_the_depth_count_as_its_peak),
        cmocka_unit_test(pooling_follows_its_formulas),
        cmocka_unit_test(a_workers_error_reaches_the_caller),
        cmocka_unit_test(settled_values_are_those_of_the_end),
        cmocka_unit_test(a_frame_settles_as_soon_as_no_later_one_can_change_it),
        cmocka_unit_test(asking_or_not_changes_nothing),
        cmocka_unit_test(each_frame_that_is_done_is_told),
        cmocka_unit_test(lent_pictures_give_the_same_values_and_come_back_once),
        cmocka_unit_test(lent_pictures_come_back_when_a_push_fails_or_nobody_finishes),
        cmocka_unit_test(a_lent_picture_whose_rows_lie_anyhow_is_copied),
        cmocka_unit_test(settings_out_of_range_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

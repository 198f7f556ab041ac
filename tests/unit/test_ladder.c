/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Points, fronts and hulls; Bjøntegaard's deltas against what others compute; lists as people write them. */

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"
#include "ladder/bd.h"
#include "ladder/lists.h"
#include "ladder/points.h"

/* ---- points ---- */

static void check_recipes(const VmafxLadderPoint *points, size_t n, const size_t *recipes, size_t n_recipes)
{
    assert_int_equal(n, n_recipes);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(points[i].recipe, recipes[i]);
}

static const VmafxLadderPoint cloud[] = {
    { 4e6, 95, 0, 0, 0 }, { 1e6, 70, 0, 0, 1 }, { 2e6, 85, 0, 0, 2 },  { 2e6, 60, 0, 0, 3 },
    { 8e6, 95, 0, 0, 4 }, { 3e6, 86, 0, 0, 5 }, { 16e6, 90, 0, 0, 6 },
};

static void points_are_in_order_of_rate_the_better_of_equal_ones_first(void **state)
{
    VmafxLadderPoint points[VMAFX_LEN(cloud)];

    (void)state;
    memcpy(points, cloud, sizeof points);
    vmafx_ladder_sort(points, VMAFX_LEN(points));
    check_recipes(points, VMAFX_LEN(points), (const size_t[]){ 1, 2, 3, 5, 0, 4, 6 }, 7);
}

static void the_front_has_what_no_other_point_beats(void **state)
{
    VmafxLadderPoint points[VMAFX_LEN(cloud)];

    (void)state;
    memcpy(points, cloud, sizeof points);
    vmafx_ladder_sort(points, VMAFX_LEN(points));
    check_recipes(points, vmafx_ladder_pareto(points, VMAFX_LEN(points)), (const size_t[]){ 1, 2, 5, 0 }, 4);
    assert_int_equal(vmafx_ladder_pareto(points, 0), 0);
}

static void the_hull_leaves_out_what_lies_below_a_line_or_on_it(void **state)
{
    /* 1 to 2 to 4 Mbit/s are equal steps of the logarithm: (2e6, 85) is above the line, (2e6, 82.5) on it. */
    VmafxLadderPoint points[VMAFX_LEN(cloud)];
    VmafxLadderPoint straight[] = { { 1e6, 70, 0, 0, 0 }, { 2e6, 82.5, 0, 0, 1 }, { 4e6, 95, 0, 0, 2 } };
    VmafxLadderPoint falling[] = { { 1e6, 95, 0, 0, 0 }, { 2e6, 90, 0, 0, 1 } };

    (void)state;
    memcpy(points, cloud, sizeof points);
    vmafx_ladder_sort(points, VMAFX_LEN(points));
    check_recipes(points, vmafx_ladder_hull(points, VMAFX_LEN(points)), (const size_t[]){ 1, 2, 0 }, 3);
    check_recipes(straight, vmafx_ladder_hull(straight, 3), (const size_t[]){ 0, 2 }, 2);
    check_recipes(falling, vmafx_ladder_hull(falling, 2), (const size_t[]){ 0 }, 1);
    assert_int_equal(vmafx_ladder_hull(falling, 0), 0);
}

static void no_point_of_many_is_above_the_hull(void **state)
{
    VmafxLadderPoint all[200], hull[200];
    uint32_t seed = 1;

    (void)state;
    for (size_t i = 0; i < VMAFX_LEN(all); i++) {
        seed = seed * 1664525u + 1013904223u;
        double rate = 1e5 * exp((seed >> 8) % 1000 / 200.0);
        seed = seed * 1664525u + 1013904223u;
        all[i] = (VmafxLadderPoint){ rate, (seed >> 8) % 1000 / 10.0, 0, 0, i };
    }
    vmafx_ladder_sort(all, VMAFX_LEN(all));
    memcpy(hull, all, sizeof hull);
    size_t n = vmafx_ladder_hull(hull, VMAFX_LEN(hull));
    assert_in_range(n, 2, 50);
    for (size_t i = 0; i < VMAFX_LEN(all); i++)
        for (size_t k = 0; k + 1 < n; k++) {
            double share = log(all[i].rate / hull[k].rate) / log(hull[k + 1].rate / hull[k].rate);
            if (share >= 0 && share <= 1)
                assert_true(all[i].score <= hull[k].score + share * (hull[k + 1].score - hull[k].score) + 1e-9);
        }
}

static void a_point_is_of_numbers_in_their_range(void **state)
{
    static const VmafxLadderPoint bad[] = { { 0, 50, 0, 0, 0 },        { -1, 50, 0, 0, 0 },   { NAN, 50, 0, 0, 0 },
                                            { INFINITY, 50, 0, 0, 0 }, { 1, NAN, 0, 0, 0 },   { 1, INFINITY, 0, 0, 0 },
                                            { 1e-4, 50, 0, 0, 0 },     { 1e16, 50, 0, 0, 0 }, { 1, -2e6, 0, 0, 0 } };
    static const VmafxLadderPoint good[] = { { 1, -5, 0, 0, 0 }, { 1e15, 1e6, 0, 0, 0 }, { 1e-3, -1e6, 0, 0, 0 } };

    (void)state;
    for (size_t i = 0; i < VMAFX_LEN(good); i++)
        assert_true(vmafx_ladder_point_ok(&good[i]));
    for (size_t i = 0; i < VMAFX_LEN(bad); i++)
        assert_false(vmafx_ladder_point_ok(&bad[i]));
}

/* ---- Bjøntegaard ---- */

#define POINTS_MAX 6

typedef struct Curve {
    double rates[POINTS_MAX], scores[POINTS_MAX];
    size_t n;
} Curve;

static size_t points_of(const Curve *curve, double factor, VmafxLadderPoint ret[POINTS_MAX])
{
    for (size_t i = 0; i < curve->n; i++)
        ret[i] = (VmafxLadderPoint){ curve->rates[i] * factor, curve->scores[i], 0, 0, i };
    vmafx_ladder_sort(ret, curve->n);
    return curve->n;
}

static VmafxErr bd_of(VmafxBdMethod method, const Curve *anchor, const Curve *test, double factor, VmafxBd *ret,
                      VmafxErrInfo *reterr)
{
    VmafxLadderPoint a[POINTS_MAX], t[POINTS_MAX];
    size_t n_a = points_of(anchor, 1, a), n_t = points_of(test, factor, t);

    return vmafx_bd(method, a, n_a, t, n_t, ret, reterr);
}

/*
 * Published curves. The first three are the examples of the Python package bjontegaard (FAU-LMS), whose piecewise
 * values agree with the spreadsheets JCTVC-L1100 and JVET-T2010 to 10 digits by its documentation; the values are what
 * its version 1.3.0 prints. `valenzise` is the example that came with G. Valenzise's Matlab code of VCEG-M33 and is in
 * most ports of it; `videonerd` is that of videonerd.website/how-compute-bd-rate, which gives -12.098 for the cubic.
 * `flat` is a curve of VMAF with its flat end and unequal numbers of points, by the package too.
 */
static const struct {
    const char *name;
    Curve anchor, test;
    double rate, quality;             /* piecewise */
    double cubic_rate, cubic_quality; /* cubic */
} published[] = {
    { "bjontegaard 1",
      { { 9487.76, 4593.60, 2486.44, 1358.24 }, { 40.037, 38.615, 36.845, 34.851 }, 4 },
      { { 9787.80, 4469.00, 2451.52, 1356.24 }, { 40.121, 38.651, 36.970, 34.987 }, 4 },
      -4.417485350589045,
      0.11969278542479489,
      -4.420462706026296,
      0.12040941911471303 },
    { "bjontegaard 2",
      { { 82472.76, 26875.24, 9487.76, 4593.6 }, { 43.825, 41.404, 40.037, 38.615 }, 4 },
      { { 99896.96, 33952.04, 9787.8, 4469.0 }, { 44.731, 41.875, 40.121, 38.651 }, 4 },
      -4.47218200276197,
      0.08887484704747745,
      -4.699437548106711,
      0.09540440289107423 },
    { "bjontegaard 3: six points",
      { { 82472.76, 26875.24, 9487.76, 4593.6, 3600, 2900 }, { 43.825, 41.404, 40.037, 38.615, 36.5, 35.1 }, 6 },
      { { 99896.96, 33952.04, 9787.8, 4469.0, 4040, 3300 }, { 44.731, 41.875, 40.121, 38.651, 37, 36.5 }, 6 },
      -2.9528024116427964,
      0.08953590194998828,
      -0.6392886205030313,
      0.10358085155084948 },
    { "valenzise",
      { { 686.76, 309.58, 157.11, 85.95 }, { 40.28, 37.18, 34.24, 31.42 }, 4 },
      { { 893.34, 407.8, 204.93, 112.75 }, { 40.39, 37.21, 34.17, 31.24 }, 4 },
      31.379878202397627,
      -1.1834724046224592,
      31.397374054908656,
      -1.184897921770328 },
    { "videonerd",
      { { 8.914, 13.330, 17.880, 22.990 }, { 37.02, 38.37, 39.42, 40.35 }, 4 },
      { { 9.525, 14.27, 19.113, 24.393 }, { 37.73, 39.07, 40.07, 40.95 }, 4 },
      -12.073543180888413,
      0.44739524912190404,
      -12.09817666101859,
      0.44879579381804835 },
    { "flat",
      { { 100, 250, 600, 1500, 4000 }, { 31, 55.5, 78, 93, 97.5 }, 5 },
      { { 120, 260, 500, 1200 }, { 45, 66, 82, 95 }, 4 },
      -29.804164395523735,
      8.086612346380434,
      -29.913106058044125,
      8.292552281643438 },
};

static void near(const char *what, const char *name, double got, double wanted)
{
    if (!(fabs(got - wanted) <= 1e-7 * fmax(1, fabs(wanted))))
        fail_msg("%s of %s is %.12g, not %.12g", what, name, got, wanted);
}

static void deltas_are_those_that_others_publish(void **state)
{
    (void)state;
    for (size_t i = 0; i < VMAFX_LEN(published); i++) {
        VmafxBd bd;

        assert_int_equal(bd_of(VMAFX_BD_PIECEWISE, &published[i].anchor, &published[i].test, 1, &bd, NULL), VMAFX_OK);
        assert_true(bd.has_quality);
        near("BD-rate", published[i].name, bd.rate, published[i].rate);
        near("BD-quality", published[i].name, bd.quality, published[i].quality);
        assert_int_equal(bd_of(VMAFX_BD_CUBIC, &published[i].anchor, &published[i].test, 1, &bd, NULL), VMAFX_OK);
        near("cubic BD-rate", published[i].name, bd.rate, published[i].cubic_rate);
        near("cubic BD-quality", published[i].name, bd.quality, published[i].cubic_quality);
    }
}

static void two_and_three_points_are_enough_for_pieces(void **state)
{
    static const Curve two[] = { { { 100, 1000 }, { 50, 80 }, 2 }, { { 90, 800 }, { 52, 79 }, 2 } };
    static const Curve three[] = { { { 100, 300, 1000 }, { 50, 70, 80 }, 3 }, { { 90, 250, 800 }, { 52, 69, 79 }, 3 } };
    VmafxErrInfo info = { 0 };
    VmafxBd bd;

    (void)state; /* values: bjontegaard 1.3.0 */
    assert_int_equal(bd_of(VMAFX_BD_PIECEWISE, &two[0], &two[1], 1, &bd, NULL), VMAFX_OK);
    near("BD-rate", "two", bd.rate, -18.341841543374848);
    near("BD-quality", "two", bd.quality, 2.6046780338230384);
    near("from", "two", bd.from, 52);
    near("to", "two", bd.to, 79);
    near("overlap", "two", bd.overlap, 0.9);
    assert_int_equal(bd_of(VMAFX_BD_PIECEWISE, &three[0], &three[1], 1, &bd, NULL), VMAFX_OK);
    near("BD-rate", "three", bd.rate, -10.227009034721746);
    near("BD-quality", "three", bd.quality, 1.5637302065696104);
    assert_int_equal(bd_of(VMAFX_BD_CUBIC, &three[0], &three[1], 1, &bd, &info), VMAFX_ERR_INVALID);
    assert_non_null(strstr(info.message, "3 points of use, and 4"));
}

static void a_curve_moved_by_so_many_percent_differs_by_just_that(void **state)
{
    static const double factors[] = { 0.25, 0.8, 1, 1.1, 3 };

    (void)state;
    for (size_t i = 0; i < VMAFX_LEN(published); i++)
        for (size_t k = 0; k < VMAFX_LEN(factors); k++)
            for (int method = 0; method < 2; method++) {
                VmafxBd bd;

                assert_int_equal(
                    bd_of((VmafxBdMethod)method, &published[i].anchor, &published[i].anchor, factors[k], &bd, NULL),
                    VMAFX_OK);
                near("BD-rate", published[i].name, bd.rate, (factors[k] - 1) * 100);
                near("overlap", published[i].name, bd.overlap, 1);
            }
}

static void what_cannot_be_compared_is_told_and_no_number(void **state)
{
    static const Curve good = { { 100, 200, 400, 800 }, { 50, 60, 70, 80 }, 4 };
    static const struct {
        Curve curve;
        VmafxErr err;
        const char *word;
    } bad[] = {
        { { { 100, 200, 400, 800 }, { 81, 85, 90, 95 }, 4 }, VMAFX_ERR_MISMATCH, "overlap" },
        { { { 100, 200, 400, 800 }, { 80, 85, 90, 95 }, 4 }, VMAFX_ERR_MISMATCH, "overlap" }, /* they touch */
        { { { 0 }, { 0 }, 0 }, VMAFX_ERR_INVALID, "0 points" },
        { { { 100 }, { 60 }, 1 }, VMAFX_ERR_INVALID, "1 point of" },
        { { { 100, 200, 400, 800 }, { 50, 60, 55, 80 }, 4 }, VMAFX_ERR_INVALID, "does not rise" },
        { { { 100, 200, 400, 800 }, { 50, 60, 60, 80 }, 4 }, VMAFX_ERR_INVALID, "does not rise" },
        { { { 100, 100, 400, 800 }, { 60, 50, 70, 80 }, 4 }, VMAFX_ERR_INVALID, "does not rise" },
        { { { 100, 200, 400, 800 }, { 50, NAN, 70, 80 }, 4 }, VMAFX_ERR_INVALID, "cannot be" },
        { { { 100, 200, 400, INFINITY }, { 50, 60, 70, 80 }, 4 }, VMAFX_ERR_INVALID, "cannot be" },
        { { { 0, 200, 400, 800 }, { 50, 60, 70, 80 }, 4 }, VMAFX_ERR_INVALID, "cannot be" },
    };

    (void)state;
    for (size_t i = 0; i < VMAFX_LEN(bad); i++)
        for (int swapped = 0; swapped < 2; swapped++) {
            VmafxErrInfo info = { 0 };
            VmafxBd bd = { .rate = 4711 };
            VmafxErr err = swapped ? bd_of(VMAFX_BD_PIECEWISE, &bad[i].curve, &good, 1, &bd, &info)
                                   : bd_of(VMAFX_BD_PIECEWISE, &good, &bad[i].curve, 1, &bd, &info);

            if (err != bad[i].err || !strstr(info.message, bad[i].word))
                fail_msg("%zu: %s, '%s'", i, vmafx_err_name(err), info.message);
            assert_true(bd.rate == 4711);
        }
}

static void scores_in_common_do_not_need_rates_in_common(void **state)
{
    static const Curve dear = { { 1000, 2000, 4000 }, { 50, 60, 70 }, 3 },
                       cheap = { { 10, 20, 40 }, { 50, 60, 70 }, 3 };
    VmafxBd bd;

    (void)state;
    assert_int_equal(bd_of(VMAFX_BD_PIECEWISE, &dear, &cheap, 1, &bd, NULL), VMAFX_OK);
    near("BD-rate", "cheap", bd.rate, -99);
    assert_false(bd.has_quality);
    assert_true(bd.quality == 0);
}

static void a_polynomial_that_runs_away_gives_no_infinite_rate(void **state)
{
    /* Rates that leap between two scores next to each other: the cubic swings hundreds of decades beyond them. */
    static const Curve wild = { { 1e-3, 2e-3, 5e14, 1e15 }, { 0, 33, 33.1, 100 }, 4 };
    static const Curve tame = { { 1, 2, 3, 4 }, { 40, 60, 70, 90 }, 4 };
    VmafxErrInfo info = { 0 };
    VmafxBd bd;

    (void)state;
    assert_int_equal(bd_of(VMAFX_BD_CUBIC, &tame, &wild, 1, &bd, &info), VMAFX_ERR_LIMIT);
    assert_non_null(strstr(info.message, "runs away"));
    assert_int_equal(bd_of(VMAFX_BD_PIECEWISE, &tame, &wild, 1, &bd, NULL), VMAFX_OK);
    assert_true(isfinite(bd.rate));
}

/* ---- lists ---- */

static void numbers_and_ranges_are_read(void **state)
{
    static const struct {
        const char *text;
        double values[16];
        size_t n;
    } good[] = {
        { "23", { 23 }, 1 },
        { "20,23,26", { 20, 23, 26 }, 3 },
        { "18-30:4", { 18, 22, 26, 30 }, 4 },
        { "18-29:4", { 18, 22, 26 }, 3 },
        { "18-21", { 18, 19, 20, 21 }, 4 },
        { "20-20", { 20 }, 1 },
        { "35,18-22:2,40.5", { 35, 18, 20, 22, 40.5 }, 5 },
        { "0-1:0.1", { 0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1 }, 11 },
        { "00,63.0", { 0, 63 }, 2 },
    };

    (void)state;
    for (size_t i = 0; i < VMAFX_LEN(good); i++) {
        VmafxLadderNumbers list;

        assert_int_equal(vmafx_ladder_numbers(good[i].text, 0, 63, &list, NULL), VMAFX_OK);
        assert_int_equal(list.n, good[i].n);
        for (size_t k = 0; k < list.n; k++)
            assert_true(list.values[k] == good[i].values[k]);
    }
}

static void bitrates_sizes_and_words_are_read(void **state)
{
    VmafxLadderNumbers rates;
    VmafxLadderSizes sizes;
    VmafxLadderWords words;

    (void)state;
    assert_int_equal(vmafx_ladder_bitrates("500k,1M,2.5m,800000,1g,0.0015k", 2000000000, &rates, NULL), VMAFX_OK);
    static const double wanted[] = { 500e3, 1e6, 2.5e6, 800e3, 1e9, 2 };
    assert_int_equal(rates.n, VMAFX_LEN(wanted));
    for (size_t i = 0; i < rates.n; i++)
        assert_true(rates.values[i] == wanted[i]);
    assert_int_equal(vmafx_ladder_sizes("1920x1080,1280x720,1x1", 16384, &sizes, NULL), VMAFX_OK);
    assert_int_equal(sizes.n, 3);
    assert_int_equal(sizes.values[1].w, 1280);
    assert_int_equal(sizes.values[1].h, 720);
    assert_int_equal(vmafx_ladder_words("h264,libaom-av1,x", &words, NULL), VMAFX_OK);
    assert_int_equal(words.n, 3);
    assert_string_equal(words.values[1], "libaom-av1");
}

typedef VmafxErr ReadList(const char *text, VmafxErrInfo *reterr);

static VmafxErr read_numbers(const char *text, VmafxErrInfo *reterr)
{
    VmafxLadderNumbers list;
    return vmafx_ladder_numbers(text, 0, 63, &list, reterr);
}

static VmafxErr read_bitrates(const char *text, VmafxErrInfo *reterr)
{
    VmafxLadderNumbers list;
    return vmafx_ladder_bitrates(text, 2000000000, &list, reterr);
}

static VmafxErr read_sizes(const char *text, VmafxErrInfo *reterr)
{
    VmafxLadderSizes list;
    return vmafx_ladder_sizes(text, 16384, &list, reterr);
}

static VmafxErr read_words(const char *text, VmafxErrInfo *reterr)
{
    VmafxLadderWords list;
    return vmafx_ladder_words(text, &list, reterr);
}

static void wrong_lists_are_refused_and_the_place_named(void **state)
{
    static const struct {
        ReadList *read;
        const char *text;
        VmafxErr err;
        const char *word;
    } bad[] = {
        { read_numbers, "", VMAFX_ERR_SYNTAX, "empty place" },
        { read_numbers, "20,", VMAFX_ERR_SYNTAX, "empty place" },
        { read_numbers, "20,,23", VMAFX_ERR_SYNTAX, "empty place" },
        { read_numbers, "20,x", VMAFX_ERR_SYNTAX, "'x'" },
        { read_numbers, "20 ", VMAFX_ERR_SYNTAX, "'20 '" },
        { read_numbers, "-5", VMAFX_ERR_SYNTAX, "'-5'" },
        { read_numbers, "1e1", VMAFX_ERR_SYNTAX, "'1e1'" },
        { read_numbers, "5.", VMAFX_ERR_SYNTAX, "'5.'" },
        { read_numbers, ".5", VMAFX_ERR_SYNTAX, "'.5'" },
        { read_numbers, "1.2.3", VMAFX_ERR_SYNTAX, "'1.2.3'" },
        { read_numbers, "nan", VMAFX_ERR_SYNTAX, "'nan'" },
        { read_numbers, "1234567890123456", VMAFX_ERR_SYNTAX, "1234567890123456" },
        { read_numbers, "18-", VMAFX_ERR_SYNTAX, "'18-'" },
        { read_numbers, "18-20:", VMAFX_ERR_SYNTAX, "'18-20:'" },
        { read_numbers, "18-20:1:1", VMAFX_ERR_SYNTAX, "'18-20:1:1'" },
        { read_numbers, "18:2", VMAFX_ERR_SYNTAX, "'18:2'" },
        { read_numbers, "64", VMAFX_ERR_INVALID, "between 0 and 63" },
        { read_numbers, "60-64", VMAFX_ERR_INVALID, "between 0 and 63" },
        { read_numbers, "30-20", VMAFX_ERR_INVALID, "smaller" },
        { read_numbers, "20-30:0", VMAFX_ERR_INVALID, "cannot be 0" },
        { read_numbers, "23,20,23", VMAFX_ERR_INVALID, "twice" },
        { read_numbers, "20-30:5,25", VMAFX_ERR_INVALID, "twice" },
        { read_numbers, "0-63:0.9", VMAFX_ERR_LIMIT, "64" },
        { read_numbers, "0-63:0.00000000001", VMAFX_ERR_LIMIT, "64" },
        { read_numbers, "0-63,0.5", VMAFX_ERR_LIMIT, "64" },
        { read_bitrates, "1X", VMAFX_ERR_SYNTAX, "'1X'" },
        { read_bitrates, "1Mk", VMAFX_ERR_SYNTAX, "'1Mk'" },
        { read_bitrates, "k", VMAFX_ERR_SYNTAX, "'k'" },
        { read_bitrates, "1-2M", VMAFX_ERR_SYNTAX, "'1-2M'" },
        { read_bitrates, "0", VMAFX_ERR_INVALID, "between 1 and" },
        { read_bitrates, "3G", VMAFX_ERR_INVALID, "between 1 and" },
        { read_bitrates, "1M,1000k", VMAFX_ERR_INVALID, "twice" },
        { read_sizes, "1920", VMAFX_ERR_SYNTAX, "'1920'" },
        { read_sizes, "1920x", VMAFX_ERR_SYNTAX, "'1920x'" },
        { read_sizes, "1920x1080x3", VMAFX_ERR_SYNTAX, "x3" },
        { read_sizes, "1920.5x1080", VMAFX_ERR_SYNTAX, "1920.5" },
        { read_sizes, "0x1080", VMAFX_ERR_INVALID, "between 1 and" },
        { read_sizes, "16385x8", VMAFX_ERR_INVALID, "between 1 and" },
        { read_sizes, "640x360,640x360", VMAFX_ERR_INVALID, "twice" },
        { read_words, "h264,", VMAFX_ERR_SYNTAX, "empty place" },
        { read_words, "h264 hevc", VMAFX_ERR_SYNTAX, "h264 hevc" },
        { read_words, "h264,h\xc3\xa9vc", VMAFX_ERR_SYNTAX, "h" },
        { read_words, "abcdefghijklmnopqrstuvwxyzabcdef", VMAFX_ERR_SYNTAX, "abcdef" },
        { read_words, "av1,h264,av1", VMAFX_ERR_INVALID, "twice" },
    };

    (void)state;
    for (size_t i = 0; i < VMAFX_LEN(bad); i++) {
        VmafxErrInfo info = { 0 };
        VmafxErr err = bad[i].read(bad[i].text, &info);

        if (err != bad[i].err || !strstr(info.message, bad[i].word))
            fail_msg("'%s': %s, '%s'", bad[i].text, vmafx_err_name(err), info.message);
    }
}

static void sixty_four_values_are_taken_and_one_more_is_not(void **state)
{
    char words[8 * 66] = "", sizes[12 * 66] = "", rates[8 * 66] = "";

    (void)state;
    assert_int_equal(read_numbers("0-63", NULL), VMAFX_OK);
    for (int i = 1; i <= 65; i++) {
        snprintf(words + strlen(words), sizeof words - strlen(words), "%sw%d", i > 1 ? "," : "", i);
        snprintf(sizes + strlen(sizes), sizeof sizes - strlen(sizes), "%s%dx8", i > 1 ? "," : "", i);
        snprintf(rates + strlen(rates), sizeof rates - strlen(rates), "%s%dk", i > 1 ? "," : "", i);
        assert_int_equal(read_words(words, NULL), i > 64 ? VMAFX_ERR_LIMIT : VMAFX_OK);
        assert_int_equal(read_sizes(sizes, NULL), i > 64 ? VMAFX_ERR_LIMIT : VMAFX_OK);
        assert_int_equal(read_bitrates(rates, NULL), i > 64 ? VMAFX_ERR_LIMIT : VMAFX_OK);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(points_are_in_order_of_rate_the_better_of_equal_ones_first),
        cmocka_unit_test(the_front_has_what_no_other_point_beats),
        cmocka_unit_test(the_hull_leaves_out_what_lies_below_a_line_or_on_it),
        cmocka_unit_test(no_point_of_many_is_above_the_hull),
        cmocka_unit_test(a_point_is_of_numbers_in_their_range),
        cmocka_unit_test(deltas_are_those_that_others_publish),
        cmocka_unit_test(two_and_three_points_are_enough_for_pieces),
        cmocka_unit_test(a_curve_moved_by_so_many_percent_differs_by_just_that),
        cmocka_unit_test(what_cannot_be_compared_is_told_and_no_number),
        cmocka_unit_test(scores_in_common_do_not_need_rates_in_common),
        cmocka_unit_test(a_polynomial_that_runs_away_gives_no_infinite_rate),
        cmocka_unit_test(numbers_and_ranges_are_read),
        cmocka_unit_test(bitrates_sizes_and_words_are_read),
        cmocka_unit_test(wrong_lists_are_refused_and_the_place_named),
        cmocka_unit_test(sixty_four_values_are_taken_and_one_more_is_not),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

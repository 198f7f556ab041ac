/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Plots: they are pictures of what they should show, whatever texts and numbers come in. */

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"
#include "ladder/plot_axis.h"
#include "ladder/plot_text.h"

#if defined(__SANITIZE_ADDRESS__)
#define LEAKS_ARE_LOOKED_FOR 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define LEAKS_ARE_LOOKED_FOR 1
#endif
#endif

#ifdef LEAKS_ARE_LOOKED_FOR
const char *__lsan_default_suppressions(void);

/* It keeps some of its patterns for good, once for each font. */
const char *__lsan_default_suppressions(void)
{
    return "leak:libfontconfig.so\n";
}
#endif

static const char *const series[] = { "h264", "hevc", "av1", "vp9", "vp8", "libx264", "libx265", "libsvtav1" };
static const char *const groups[] = { "1920x1080", "1280x720", "960x540", "640x360", "a", "b", "c", "d" };

#define POINTS 64

static size_t points_of(size_t n_series, size_t n_groups, VmafxLadderPoint ret[POINTS])
{
    size_t n = 0;

    for (size_t s = 0; s < n_series; s++)
        for (size_t g = 0; g < n_groups; g++) {
            ret[n] = (VmafxLadderPoint){ 1e5 * (double)(n + 1), 50 + (double)n / 2, s, g, n };
            n++;
        }
    return n;
}

static VmafxLadderPlot plot_of(const VmafxLadderPoint *points, size_t n, size_t n_series, size_t n_groups)
{
    return (VmafxLadderPlot){ .title = "master.mp4",
                              .score_label = "score (vmaf_v0.6.1)",
                              .series = series,
                              .n_series = n_series,
                              .groups = groups,
                              .n_groups = n_groups,
                              .points = points,
                              .n = n };
}

/* What is written; free() it. */
static char *drawn(const VmafxLadderPlot *plot, VmafxLadderPlotFormat format, size_t *ret_len)
{
    VmafxErrInfo info = { 0 };
    char *text = NULL;
    FILE *out = open_memstream(&text, ret_len);
    VmafxErr err = vmafx_ladder_plot_write(out, format, plot, &info);

    fclose(out);
    if (err)
        fail_msg("%s: %s", vmafx_err_name(err), info.message);
    return text;
}

static size_t count(const char *text, const char *word)
{
    size_t n = 0;

    while ((text = strstr(text, word))) {
        text += strlen(word);
        n++;
    }
    return n;
}

static void an_svg_is_one_of_900_by_600_and_has_a_shape_for_each_point(void **state)
{
    VmafxLadderPoint points[POINTS];
    const VmafxLadderPlot few = plot_of(points, points_of(1, 1, points), 1, 1);
    size_t len, markers[2];

    (void)state;
    VMAFX_AUTO(vmafx_free_p) char *one = drawn(&few, VMAFX_LADDER_SVG, &len);
    assert_non_null(strstr(one, "<svg "));
    assert_non_null(strstr(one, "viewBox=\"0 0 900 600\""));
    assert_string_equal(one + len - 7, "</svg>\n");
    markers[0] = count(one, "fill:rgb(0%,44.705882%,69.803922%)"); /* the first colour: the point and the legend */
    assert_int_equal(markers[0], 2);

    VmafxLadderPoint row[5];
    for (size_t i = 0; i < 5; i++)
        row[i] = (VmafxLadderPoint){ 1e6 * (double)(i + 1), 50 + (double)i, 0, 0, i };
    const VmafxLadderPlot more = plot_of(row, 5, 1, 1);
    VMAFX_AUTO(vmafx_free_p) char *five = drawn(&more, VMAFX_LADDER_SVG, &len);
    markers[1] = count(five, "fill:rgb(0%,44.705882%,69.803922%)");
    assert_int_equal(markers[1], 6);
}

static void target_and_ring_are_drawn_where_asked_for(void **state)
{
    VmafxLadderPoint points[POINTS];
    VmafxLadderPlot plot = plot_of(points, points_of(2, 2, points), 2, 2);
    size_t len;

    (void)state;
    VMAFX_AUTO(vmafx_free_p) char *without = drawn(&plot, VMAFX_LADDER_SVG, &len);
    plot.has_target = true;
    plot.target = 51;
    plot.found = "h264 crf 23";
    plot.found_recipe = 2;
    VMAFX_AUTO(vmafx_free_p) char *with = drawn(&plot, VMAFX_LADDER_SVG, &len);
    static const char red[] = "rgb(54.901961%,10.980392%,7.45098%)";
    assert_null(strstr(without, red));
    assert_true(count(with, red) >= 3); /* line, ring, texts */
}

static uint32_t big_endian(const char *p)
{
    const unsigned char *b = (const unsigned char *)p;

    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static void a_png_is_one_of_twice_that_size(void **state)
{
    VmafxLadderPoint points[POINTS];
    const VmafxLadderPlot plot = plot_of(points, points_of(8, 8, points), 8, 8);
    size_t len;

    (void)state;
    VMAFX_AUTO(vmafx_free_p) char *png = drawn(&plot, VMAFX_LADDER_PNG, &len);
    assert_true(len > 1000);
    assert_memory_equal(png, "\x89PNG\r\n\x1a\n\0\0\0\rIHDR", 16);
    assert_int_equal(big_endian(png + 16), 1800);
    assert_int_equal(big_endian(png + 20), 1200);
    assert_memory_equal(png + len - 8, "IEND", 4);
}

static void any_numbers_are_drawn(void **state)
{
    static const struct {
        const char *why;
        VmafxLadderPoint points[2];
        size_t n;
    } cases[] = {
        { "one point", { { 1e6, 93, 0, 0, 0 } }, 1 },
        { "two equal ones", { { 1e6, 93, 0, 0, 0 }, { 1e6, 93, 0, 0, 1 } }, 2 },
        { "next to each other", { { 1e6, 93, 0, 0, 0 }, { 1.0001e6, 93.00001, 0, 0, 1 } }, 2 },
        { "far from each other", { { 1, -100, 0, 0, 0 }, { 1e10, 100, 0, 0, 1 } }, 2 },
        { "as far as can be", { { 1e-3, -1e6, 0, 0, 0 }, { 1e15, 1e6, 0, 0, 1 } }, 2 },
        { "huge", { { 1e15, 1e6, 0, 0, 0 } }, 1 },
        { "a falling pair", { { 1e6, 93, 0, 0, 0 }, { 2e6, 50, 0, 0, 1 } }, 2 },
    };

    (void)state;
    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        const VmafxLadderPlot plot = plot_of(cases[i].points, cases[i].n, 1, 1);
        size_t len;
        VMAFX_AUTO(vmafx_free_p) char *svg = drawn(&plot, VMAFX_LADDER_SVG, &len);
        VMAFX_AUTO(vmafx_free_p) char *png = drawn(&plot, VMAFX_LADDER_PNG, &len);

        if (strstr(svg, "nan") || strstr(svg, "inf"))
            fail_msg("%s: a coordinate is no number", cases[i].why);
    }
}

static void any_text_is_drawn(void **state)
{
    char all[256], much[5000];
    VmafxLadderPoint points[POINTS];
    VmafxLadderPlot plot = plot_of(points, points_of(2, 2, points), 2, 2);
    size_t len;

    (void)state;
    for (int i = 1; i < 256; i++)
        all[i - 1] = (char)i;
    all[255] = 0;
    memset(much, 'W', sizeof much - 1);
    much[sizeof much - 1] = 0;
    const char *const texts[] = { "",  "<&>\"']]>", "\xff\xfe", "\xc3", "\xe2\x82", "\xf0\x9f\x8e\xac", "a\nb\x1b[2J",
                                  all, much };
    for (size_t i = 0; i < VMAFX_LEN(texts); i++) {
        const char *const named[] = { texts[i], texts[i] };
        plot.title = plot.score_label = plot.found = texts[i];
        plot.series = plot.groups = named;
        VMAFX_AUTO(vmafx_free_p) char *svg = drawn(&plot, VMAFX_LADDER_SVG, &len);
        VMAFX_AUTO(vmafx_free_p) char *png = drawn(&plot, VMAFX_LADDER_PNG, &len);
        for (const char *c = svg; *c; c++)
            assert_true((unsigned char)*c >= 0x20 || *c == '\n');
    }
}

static void texts_are_made_fit_to_be_shown(void **state)
{
    static const struct {
        const char *in;
        int max;
        const char *out;
    } cases[] = {
        { "plain", 10, "plain" },
        { "exactly 10", 10, "exactly 10" },
        { "more than ten", 10, "more than…" },
        { "é€🎬", 3, "é€🎬" },
        { "é€🎬é", 3, "é€…" },
        { "a\xff"
          "b",
          10, "a?b" },
        { "\xc0\xaf", 10, "??" },           /* '/' in two bytes */
        { "\xed\xa0\x80", 10, "???" },      /* half of a pair */
        { "\xf4\x90\x80\x80", 10, "????" }, /* beyond the last one */
        { "\xe2\x82", 10, "??" },           /* cut */
        { "\x1b[2J\x7f\n", 10, "?[2J??" },
        { "\xc2\x9b"
          "x",
          10, "??x" }, /* a control character of two bytes */
        { "", 10, "" },
    };
    char got[VMAFX_LADDER_TEXT_BYTES];

    (void)state;
    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        vmafx_ladder_text(cases[i].in, cases[i].max, got);
        assert_string_equal(got, cases[i].out);
    }
}

static void what_cannot_be_drawn_is_refused(void **state)
{
    VmafxLadderPoint points[POINTS];
    size_t n = points_of(2, 2, points);

    (void)state;
    for (int wrong = 0; wrong < 10; wrong++) {
        VmafxLadderPoint own[POINTS];
        VmafxLadderPlot plot = plot_of(own, n, 2, 2);
        VmafxErrInfo info = { 0 };
        char *text = NULL;
        size_t len;

        memcpy(own, points, sizeof own);
        switch (wrong) {
        case 0:
            plot.n = 0;
            break;
        case 1:
            plot.n_series = 0;
            break;
        case 2:
            plot.n_series = VMAFX_LADDER_SERIES_MAX + 1;
            break;
        case 3:
            plot.n_groups = 0;
            break;
        case 4:
            plot.n_groups = VMAFX_LADDER_GROUPS_MAX + 1;
            break;
        case 5:
            own[1].rate = NAN;
            break;
        case 6:
            own[1].series = 2;
            break;
        case 7:
            own[1].group = 2;
            break;
        case 8:
            own[1].rate = 1;
            break; /* not in order */
        default:
            plot.has_target = true;
            plot.target = INFINITY;
        }
        FILE *out = open_memstream(&text, &len);
        assert_int_equal(vmafx_ladder_plot_write(out, VMAFX_LADDER_SVG, &plot, &info), VMAFX_ERR_INVALID);
        assert_true(*info.message);
        fclose(out);
        assert_int_equal(len, 0);
        free(text);
    }
}

static void a_full_disk_is_told(void **state)
{
    VmafxLadderPoint points[POINTS];
    const VmafxLadderPlot plot = plot_of(points, points_of(2, 2, points), 2, 2);

    (void)state;
    for (int format = 0; format < 2; format++) {
        VmafxErrInfo info = { 0 };
        FILE *out = fopen("/dev/full", "w");

        assert_non_null(out);
        assert_int_equal(vmafx_ladder_plot_write(out, (VmafxLadderPlotFormat)format, &plot, &info), VMAFX_ERR_IO);
        assert_non_null(strstr(info.message, "No space left"));
        fclose(out);
    }
}

static void the_ending_of_a_name_says_the_format(void **state)
{
    VmafxLadderPlotFormat format;

    (void)state;
    assert_true(vmafx_ladder_plot_format_find("a/b.c.svg", &format) && format == VMAFX_LADDER_SVG);
    assert_true(vmafx_ladder_plot_format_find("B.PNG", &format) && format == VMAFX_LADDER_PNG);
    assert_false(vmafx_ladder_plot_format_find("svg", &format));
    assert_false(vmafx_ladder_plot_format_find("a.svg.gz", &format));
    assert_false(vmafx_ladder_plot_format_find("", &format));
}

static void the_legend_covers_no_point_where_there_is_room(void **state)
{
    static const struct {
        const char *why;
        VmafxLadderPoint points[3];
        bool has_target;
        double target;
    } cases[] = {
        { "rising", { { 1e5, 40, 0, 0, 0 }, { 1e6, 80, 0, 0, 1 }, { 1e7, 95, 0, 0, 2 } }, false, 0 },
        { "falling", { { 1e5, 95, 0, 0, 0 }, { 1e6, 60, 0, 0, 1 }, { 1e7, 20, 0, 0, 2 } }, false, 0 },
        { "flat, at the bottom", { { 1e5, 50, 0, 0, 0 }, { 1e6, 50, 0, 0, 1 }, { 1e7, 50, 0, 0, 2 } }, true, 99 },
        { "flat, at the top", { { 1e5, 99, 0, 0, 0 }, { 1e6, 99, 0, 0, 1 }, { 1e7, 99, 0, 0, 2 } }, true, 50 },
        { "down and up", { { 1e5, 95, 0, 0, 0 }, { 1e6, 20, 0, 0, 1 }, { 1e7, 95, 0, 0, 2 } }, true, 20 },
    };

    (void)state;
    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        VmafxLadderPlot plot = plot_of(cases[i].points, 3, 1, 1);
        double lo = cases[i].has_target ? cases[i].target : 20, hi = cases[i].has_target ? cases[i].target : 95;

        plot.has_target = cases[i].has_target;
        plot.target = cases[i].target;
        for (size_t k = 0; k < 3; k++) {
            lo = fmin(lo, cases[i].points[k].score);
            hi = fmax(hi, cases[i].points[k].score);
        }
        PlotAxis rates = plot_axis_rates(1e5, 1e7, 80, 880), scores = plot_axis_scores(lo, hi, 540, 50);
        PlotBox box = plot_place_legend(&plot, &rates, &scores, 150, 80);
        if (box.x < 80 || box.x + box.w > 880 || box.y < 50 || box.y + box.h > 540)
            fail_msg("%s: the legend is outside", cases[i].why);
        for (size_t k = 0; k < 3; k++) {
            double x = plot_at(&rates, cases[i].points[k].rate), y = plot_at(&scores, cases[i].points[k].score);
            if (x > box.x && x < box.x + box.w && y > box.y && y < box.y + box.h)
                fail_msg("%s: point %zu is under the legend", cases[i].why, k);
        }
        double y = plot_at(&scores, plot.target);
        if (plot.has_target && y > box.y && y < box.y + box.h)
            fail_msg("%s: the target's line is under the legend", cases[i].why);
        if (i == 0)
            assert_true(box.x > 480 && box.y > 295); /* the usual place */
    }
}

static void no_tick_is_above_100_where_no_score_is(void **state)
{
    static const double reach[][2] = { { 100, 100 }, { 99.99, 100 }, { 95, 100 }, { 99.7, 99.9 }, { 20, 99 } };

    (void)state;
    for (size_t i = 0; i < VMAFX_LEN(reach); i++) {
        PlotAxis axis = plot_axis_scores(reach[i][0], reach[i][1], 540, 50);
        assert_true(axis.n_ticks >= 3);
        assert_true(axis.ticks[axis.n_ticks - 1] <= 100 * (1 + 1e-9));
        assert_true(plot_at(&axis, reach[i][1]) >= 50); /* and all are in the picture */
    }
    PlotAxis other = plot_axis_scores(20, 140, 540, 50); /* a model of another range */
    assert_true(other.ticks[other.n_ticks - 1] > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_svg_is_one_of_900_by_600_and_has_a_shape_for_each_point),
        cmocka_unit_test(target_and_ring_are_drawn_where_asked_for),
        cmocka_unit_test(a_png_is_one_of_twice_that_size),
        cmocka_unit_test(any_numbers_are_drawn),
        cmocka_unit_test(any_text_is_drawn),
        cmocka_unit_test(texts_are_made_fit_to_be_shown),
        cmocka_unit_test(what_cannot_be_drawn_is_refused),
        cmocka_unit_test(a_full_disk_is_told),
        cmocka_unit_test(the_ending_of_a_name_says_the_format),
        cmocka_unit_test(the_legend_covers_no_point_where_there_is_room),
        cmocka_unit_test(no_tick_is_above_100_where_no_score_is),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

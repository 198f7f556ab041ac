/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The drawing: frame and ticks, the hull, the target, curves, points, the legend.
 *
 *     title
 *     ┌───────────────────────┐
 *     │ ── target ──  o──o    │   Curves rise to the right, so the lower right corner is where the legend finds room;
 *     │        o──o     ┌────┐│   where it would cover something, it goes where it covers least (plot_place.c).
 *     │    o            └────┘│
 *     └───────────────────────┘
 */

#include <math.h>

#include "base/base.h"
#include "ladder/plot_internal.h"

#define LEFT   78.0
#define RIGHT  24.0
#define TOP    52.0
#define BOTTOM 62.0

#define MARKER     PLOT_MARKER
#define FONT       12.0
#define TITLE_FONT 15.0
#define ROW        19.0 /* of the legend */
#define HULL_ALPHA 0.45

typedef struct Colour {
    double r, g, b;
} Colour;

#define RGB(hex)                                                                                                       \
    {                                                                                                                  \
        ((hex) >> 16 & 255) / 255.0, ((hex) >> 8 & 255) / 255.0, ((hex)&255) / 255.0                                   \
    }

static const Colour ground = RGB(0xFCFCFA), edge = RGB(0xB8B8B4), grid = RGB(0xE4E4E0), ink = RGB(0x30302E),
                    faint = RGB(0x6A6A66), hull_ink = RGB(0x9A9A96), target_ink = RGB(0x8C1C13);
static const Colour colours[VMAFX_LADDER_SERIES_MAX] = {
    RGB(0x0072B2), RGB(0xD55E00), RGB(0x009E73), RGB(0xCC79A7),
    RGB(0xE69F00), RGB(0x56B4E9), RGB(0x4D4D4D), RGB(0x7A5195),
};

typedef struct Drawing {
    cairo_t *c;
    const VmafxLadderPlot *plot;
    PlotAxis rates, scores;
} Drawing;

static void ink_of(cairo_t *c, Colour colour)
{
    cairo_set_source_rgb(c, colour.r, colour.g, colour.b);
}

/* ---- texts ---- */

static void font(cairo_t *c, double size, bool bold)
{
    cairo_select_font_face(c, "sans-serif", CAIRO_FONT_SLANT_NORMAL,
                           bold ? CAIRO_FONT_WEIGHT_BOLD : CAIRO_FONT_WEIGHT_NORMAL);
    cairo_set_font_size(c, size);
}

static double width_of(cairo_t *c, const char *text)
{
    cairo_text_extents_t extents;

    cairo_text_extents(c, text, &extents);
    return extents.x_advance;
}

/* anchor: which part of the text is at x: 0 its beginning, 0.5 its middle, 1 its end. y is the middle of small letters.
 */
static void write_at(cairo_t *c, double x, double y, double anchor, const char *text)
{
    cairo_font_extents_t extents;

    cairo_font_extents(c, &extents);
    cairo_move_to(c, x - anchor * width_of(c, text), y + (extents.ascent - extents.descent) / 2 - 0.5);
    cairo_show_text(c, text);
}

/* The same with the ground around the letters, for what stands among lines. */
static void write_over(cairo_t *c, double x, double y, double anchor, const char *text)
{
    double w = width_of(c, text);

    cairo_save(c);
    cairo_set_source_rgba(c, ground.r, ground.g, ground.b, 0.8);
    cairo_rectangle(c, x - anchor * w - 2, y - FONT / 2 - 1, w + 4, FONT + 3);
    cairo_fill(c);
    cairo_restore(c);
    write_at(c, x, y, anchor, text);
}

/* ---- frame and axes ---- */

static void line(cairo_t *c, double x0, double y0, double x1, double y1)
{
    cairo_move_to(c, x0, y0);
    cairo_line_to(c, x1, y1);
    cairo_stroke(c);
}

static void draw_ground(cairo_t *c)
{
    ink_of(c, ground);
    cairo_paint(c);
    ink_of(c, edge);
    cairo_set_line_width(c, 1);
    cairo_rectangle(c, 0.5, 0.5, PLOT_W - 1, PLOT_H - 1);
    cairo_stroke(c);
}

static void draw_rate_axis(const Drawing *d)
{
    cairo_t *c = d->c;

    for (int i = 0; i < d->rates.n_ticks; i++) {
        double x = round(plot_at(&d->rates, d->rates.ticks[i])) + 0.5;
        char text[32];

        ink_of(c, grid);
        line(c, x, d->scores.at1, x, d->scores.at0);
        plot_rate_text(d->rates.ticks[i], text, sizeof text);
        ink_of(c, faint);
        write_at(c, x, d->scores.at0 + 15, 0.5, text);
    }
    ink_of(c, ink);
    write_at(c, (d->rates.at0 + d->rates.at1) / 2, PLOT_H - 19, 0.5, "bitrate");
}

static void draw_score_axis(const Drawing *d)
{
    const PlotAxis *axis = &d->scores;
    cairo_t *c = d->c;
    double step = axis->n_ticks > 1 ? axis->ticks[1] - axis->ticks[0] : 1;
    int digits = step < 1 ? (int)ceil(-log10(step) - 1e-9) : 0;
    char text[VMAFX_LADDER_TEXT_BYTES];

    for (int i = 0; i < axis->n_ticks; i++) {
        double y = round(plot_at(axis, axis->ticks[i])) + 0.5;

        ink_of(c, grid);
        line(c, d->rates.at0, y, d->rates.at1, y);
        snprintf(text, sizeof text, "%.*f", VMAFX_MIN(digits, 9), axis->ticks[i]);
        ink_of(c, faint);
        write_at(c, d->rates.at0 - 9, y, 1, text);
    }
    vmafx_ladder_text(d->plot->score_label, 60, text);
    ink_of(c, ink);
    cairo_save(c);
    cairo_translate(c, 22, (axis->at0 + axis->at1) / 2);
    cairo_rotate(c, -M_PI / 2);
    write_at(c, 0, 0, 0.5, text);
    cairo_restore(c);
}

static void draw_frame(const Drawing *d)
{
    cairo_t *c = d->c;

    draw_ground(c);
    font(c, FONT, false);
    cairo_set_line_width(c, 1);
    draw_rate_axis(d);
    draw_score_axis(d);
    ink_of(c, edge);
    line(c, d->rates.at0, d->scores.at0 + 0.5, d->rates.at1, d->scores.at0 + 0.5);
    line(c, d->rates.at0 + 0.5, d->scores.at1, d->rates.at0 + 0.5, d->scores.at0);
    if (d->plot->title) {
        char text[VMAFX_LADDER_TEXT_BYTES];

        vmafx_ladder_text(d->plot->title, 90, text);
        font(c, TITLE_FONT, true);
        ink_of(c, ink);
        write_at(c, d->rates.at0, TOP / 2 + 2, 0, text);
        font(c, FONT, false);
    }
}

/* ---- what is in it ---- */

/* The path of a marker; each series has another shape, so that colour is not all that tells them apart. */
static void marker(cairo_t *c, size_t series, double x, double y, double r)
{
    static const struct {
        int corners;
        double turn; /* of the first corner, in quarters of a circle from the right */
        double grow;
    } shapes[VMAFX_LADDER_SERIES_MAX] = {
        { 0, 0, 1 },    { 4, 0.5, 1.2 }, { 3, 3, 1.35 }, { 4, 0, 1.3 },
        { 3, 1, 1.35 }, { 5, 3, 1.2 },   { 6, 0, 1.15 }, { 3, 0, 1.35 },
    };

    cairo_new_path(c);
    if (!shapes[series].corners)
        cairo_arc(c, x, y, r, 0, 2 * M_PI);
    for (int i = 0; i < shapes[series].corners; i++) {
        double angle = shapes[series].turn * M_PI / 2 + i * 2 * M_PI / shapes[series].corners;
        cairo_line_to(c, x + r * shapes[series].grow * cos(angle), y + r * shapes[series].grow * sin(angle));
    }
    cairo_close_path(c);
}

static void draw_marker(cairo_t *c, size_t series, double x, double y)
{
    marker(c, series, x, y, MARKER);
    ink_of(c, colours[series]);
    cairo_fill_preserve(c);
    ink_of(c, ground);
    cairo_set_line_width(c, 1);
    cairo_stroke(c);
}

static void point_at(const Drawing *d, const VmafxLadderPoint *point, double *ret_x, double *ret_y)
{
    *ret_x = plot_at(&d->rates, point->rate);
    *ret_y = plot_at(&d->scores, point->score);
}

static void line_to(const Drawing *d, const VmafxLadderPoint *point)
{
    double x, y;

    point_at(d, point, &x, &y);
    cairo_line_to(d->c, x, y);
}

/* Broad and pale, so that the curves on it can be seen; one stroke, so that it is nowhere paler than elsewhere. */
static void hull_style(cairo_t *c)
{
    cairo_set_source_rgba(c, hull_ink.r, hull_ink.g, hull_ink.b, HULL_ALPHA);
    cairo_set_line_width(c, 7);
    cairo_set_line_cap(c, CAIRO_LINE_CAP_ROUND);
    cairo_set_line_join(c, CAIRO_LINE_JOIN_ROUND);
}

static void draw_hull(const Drawing *d, const VmafxLadderPoint *hull, size_t n)
{
    cairo_save(d->c);
    hull_style(d->c);
    cairo_new_path(d->c);
    for (size_t i = 0; i < n; i++)
        line_to(d, &hull[i]);
    cairo_stroke(d->c);
    cairo_restore(d->c);
}

static void draw_target(const Drawing *d)
{
    double y = round(plot_at(&d->scores, d->plot->target)) + 0.5;
    char text[48];

    cairo_save(d->c);
    ink_of(d->c, target_ink);
    cairo_set_line_width(d->c, 1.2);
    cairo_set_dash(d->c, (double[]){ 6, 4 }, 2, 0);
    line(d->c, d->rates.at0, y, d->rates.at1, y);
    snprintf(text, sizeof text, "target %.6g", d->plot->target);
    write_over(d->c, d->rates.at0 + 8, y - 11, 0, text);
    cairo_restore(d->c);
}

/* Lines of a curve: each group of a series is dashed in its own way. */
static void curve_style(cairo_t *c, size_t group)
{
    static const struct {
        double dashes[4];
        int n;
    } styles[VMAFX_LADDER_GROUPS_MAX] = { { { 0 }, 0 },     { { 8, 4 }, 2 }, { { 2, 3 }, 2 }, { { 10, 3, 2, 3 }, 4 },
                                          { { 16, 5 }, 2 }, { { 5, 8 }, 2 }, { { 1, 6 }, 2 }, { { 16, 3, 5, 3 }, 4 } };

    cairo_set_dash(c, styles[group].dashes, styles[group].n, 0);
    cairo_set_line_width(c, 1.6);
    cairo_set_line_join(c, CAIRO_LINE_JOIN_ROUND);
}

/* The points of one group of one series, in their order. */
static void draw_curve(const Drawing *d, size_t series, size_t group)
{
    const VmafxLadderPlot *plot = d->plot;

    cairo_new_path(d->c);
    for (size_t i = 0; i < plot->n; i++)
        if (plot->points[i].series == series && plot->points[i].group == group)
            line_to(d, &plot->points[i]);
    cairo_save(d->c);
    ink_of(d->c, colours[series]);
    curve_style(d->c, group);
    cairo_stroke(d->c);
    cairo_restore(d->c);
}

static void draw_found(const Drawing *d)
{
    const VmafxLadderPlot *plot = d->plot;
    char text[VMAFX_LADDER_TEXT_BYTES];
    double x, y;

    for (size_t i = 0; i < plot->n; i++) {
        if (plot->points[i].recipe != plot->found_recipe)
            continue;
        point_at(d, &plot->points[i], &x, &y);
        ink_of(d->c, target_ink);
        cairo_set_line_width(d->c, 2);
        cairo_new_path(d->c);
        cairo_arc(d->c, x, y, MARKER + 5, 0, 2 * M_PI);
        cairo_stroke(d->c);
        vmafx_ladder_text(plot->found, 48, text);
        bool left = x > (d->rates.at0 + d->rates.at1) / 2;
        write_over(d->c, left ? x - MARKER - 10 : x + MARKER + 10, y - 14, left, text);
        return;
    }
}

/* ---- legend: series, then groups where there are several, then the hull ---- */

static const char *legend_text(const VmafxLadderPlot *plot, size_t row)
{
    size_t groups = plot->n_groups > 1 ? plot->n_groups : 0;

    if (row < plot->n_series)
        return plot->series[row];
    return row < plot->n_series + groups ? plot->groups[row - plot->n_series] : "hull";
}

static void legend_sample(const Drawing *d, size_t row, double x, double y)
{
    cairo_t *c = d->c;
    size_t series = d->plot->n_series, groups = d->plot->n_groups > 1 ? d->plot->n_groups : 0;

    cairo_save(c);
    if (row < series) {
        ink_of(c, colours[row]);
        curve_style(c, 0);
        line(c, x, y, x + 26, y);
        draw_marker(c, row, x + 13, y);
    } else if (row < series + groups) {
        ink_of(c, ink);
        curve_style(c, row - series);
        line(c, x, y, x + 26, y);
    } else {
        hull_style(c);
        line(c, x + 4, y, x + 22, y);
    }
    cairo_restore(c);
}

static void draw_legend(const Drawing *d)
{
    const VmafxLadderPlot *plot = d->plot;
    size_t rows = plot->n_series + (plot->n_groups > 1 ? plot->n_groups : 0) + 1;
    char text[VMAFX_LADDER_TEXT_BYTES];
    double w = 0;

    for (size_t row = 0; row < rows; row++) {
        vmafx_ladder_text(legend_text(plot, row), 32, text);
        w = fmax(w, width_of(d->c, text));
    }
    PlotBox box = plot_place_legend(plot, &d->rates, &d->scores, round(w + 56), round(ROW * (double)rows + 10));
    cairo_set_source_rgba(d->c, ground.r, ground.g, ground.b, 0.88);
    cairo_rectangle(d->c, box.x + 0.5, box.y + 0.5, box.w, box.h);
    cairo_fill_preserve(d->c);
    ink_of(d->c, grid);
    cairo_set_line_width(d->c, 1);
    cairo_stroke(d->c);
    for (size_t row = 0; row < rows; row++) {
        double middle = box.y + 5 + ROW * ((double)row + 0.5);

        legend_sample(d, row, box.x + 10, middle);
        vmafx_ladder_text(legend_text(plot, row), 32, text);
        ink_of(d->c, ink);
        write_at(d->c, box.x + 45, middle, 0, text);
    }
}

static void reach(const VmafxLadderPlot *plot, Drawing *ret)
{
    double rate0 = plot->points[0].rate, rate1 = rate0, score0 = plot->points[0].score, score1 = score0;

    for (size_t i = 0; i < plot->n; i++) {
        rate0 = fmin(rate0, plot->points[i].rate);
        rate1 = fmax(rate1, plot->points[i].rate);
        score0 = fmin(score0, plot->points[i].score);
        score1 = fmax(score1, plot->points[i].score);
    }
    if (plot->has_target) {
        score0 = fmin(score0, plot->target);
        score1 = fmax(score1, plot->target);
    }
    ret->rates = plot_axis_rates(rate0, rate1, LEFT, PLOT_W - RIGHT);
    ret->scores = plot_axis_scores(score0, score1, PLOT_H - BOTTOM, TOP);
}

void plot_draw(cairo_t *c, const VmafxLadderPlot *plot, VmafxLadderPoint *hull)
{
    Drawing d = { .c = c, .plot = plot };

    reach(plot, &d);
    draw_frame(&d);
    for (size_t i = 0; i < plot->n; i++)
        hull[i] = plot->points[i];
    draw_hull(&d, hull, vmafx_ladder_hull(hull, plot->n));
    if (plot->has_target)
        draw_target(&d);
    for (size_t series = 0; series < plot->n_series; series++)
        for (size_t group = 0; group < plot->n_groups; group++)
            draw_curve(&d, series, group);
    for (size_t i = 0; i < plot->n; i++) {
        double x, y;

        point_at(&d, &plot->points[i], &x, &y);
        draw_marker(c, plot->points[i].series, x, y);
    }
    if (plot->found)
        draw_found(&d);
    draw_legend(&d);
}

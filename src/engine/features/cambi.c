/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * CAMBI: how much banding a picture shows. Tandon et al., "CAMBI: contrast-aware multiscale banding index", 2021.
 *
 * A picture of 10 bits is halved four times. At each scale a flat place counts by how many places in its window have
 * its code, and how many one a few codes off: many of both make a band's edge. The strongest places are averaged.
 *
 * Counts are kept per code and column, already summed over the window's width, and slide down the picture: a row that
 * comes adds one to a run of columns for each of its flat places, a row that goes takes it away.
 */

#include <math.h>
#include <string.h>

#include "base/base.h"
#include "engine/extractor.h"
#include "engine/features/cambi_heatmaps.h"
#include "engine/features/cambi_model.h"
#include "engine/features/rows.h"

#define SCALES      CAMBI_SCALES
#define SIDE_MIN    216 /* of the longer side */
#define TOPK        0.6 /* the default of both options of that meaning */
#define MASK_RADIUS 3
#define SUM_MAX     (2 * CAMBI_WINDOW_MAX * CAMBI_WINDOW_MAX)

enum {
    OPT_CAMBI_EOTF,
    OPT_SPEEDUP,
    OPT_MAX,
    OPT_CAMBI_TOPK,
    OPT_DARK,
    OPT_ENC_DEPTH,
    OPT_ENC_H,
    OPT_ENC_W,
    OPT_EOTF,
    OPT_FULL_REF,
    OPT_HEATMAPS,
    OPT_LOG_CONTRAST,
    OPT_SRC_H,
    OPT_SRC_W,
    OPT_TOPK,
    OPT_TVI,
    OPT_WINDOW,
};

static const char *const eotfs[] = { "bt1886", "pq" };

/* 0 stands for "as the input" and cannot be given. */
static const VmafxOptionSpec options[] = {
    [OPT_CAMBI_EOTF] = { "cambi_eotf", "ceot", VMAFX_OPTION_WORD, 0, 0, 1, eotfs },
    [OPT_SPEEDUP] = { "cambi_high_res_speedup", "hrs", VMAFX_OPTION_INT, 0, 0, 2160, NULL },
    [OPT_MAX] = { "cambi_max_val", "cmxv", VMAFX_OPTION_DOUBLE, 1000, 0, 1000, NULL },
    [OPT_CAMBI_TOPK] = { "cambi_topk", "ctpk", VMAFX_OPTION_DOUBLE, TOPK, 0.0001, 1, NULL },
    [OPT_DARK] = { "cambi_vis_lum_threshold", "vlt", VMAFX_OPTION_DOUBLE, 0, 0, 300, NULL },
    [OPT_ENC_DEPTH] = { "enc_bitdepth", "encbd", VMAFX_OPTION_INT, 0, 6, 16, NULL },
    [OPT_ENC_H] = { "enc_height", "ench", VMAFX_OPTION_INT, 0, 150, 7680, NULL },
    [OPT_ENC_W] = { "enc_width", "encw", VMAFX_OPTION_INT, 0, 180, 7680, NULL },
    [OPT_EOTF] = { "eotf", "eotf", VMAFX_OPTION_WORD, 0, 0, 1, eotfs },
    [OPT_FULL_REF] = { .name = "full_ref", .type = VMAFX_OPTION_BOOL, .max = 1 },
    [OPT_HEATMAPS] = { .name = "heatmaps_path", .type = VMAFX_OPTION_PATH, .max = 1 },
    [OPT_LOG_CONTRAST] = { "max_log_contrast", "mlc", VMAFX_OPTION_INT, 2, 0, 5, NULL },
    [OPT_SRC_H] = { "src_height", "srch", VMAFX_OPTION_INT, 0, 200, 4320, NULL },
    [OPT_SRC_W] = { "src_width", "srcw", VMAFX_OPTION_INT, 0, 320, 7680, NULL },
    [OPT_TOPK] = { "topk", "topk", VMAFX_OPTION_DOUBLE, TOPK, 0.0001, 1, NULL },
    [OPT_TVI] = { "tvi_threshold", "tvit", VMAFX_OPTION_DOUBLE, 0.019, 0.0001, 1, NULL },
    [OPT_WINDOW] = { "window_size", "ws", VMAFX_OPTION_INT, 65, 15, 127, NULL },
};

static const VmafxFeatureSpec features[] = {
    { .stored = "Cambi_feature_cambi_score", .report = "cambi" },
    { .stored = "cambi_source", .report = "cambi_source", .plain = true },
    { .stored = "cambi_full_reference", .report = "cambi_full_reference", .plain = true },
};

/* How much steps of 1, 2 … codes count. */
static const uint8_t weights[CAMBI_CONTRASTS_MAX] = { 1, 2, 3, 4, 4, 5, 5, 6, 6, 6, 6, 7, 7, 7, 7, 8,
                                                      8, 8, 8, 8, 8, 8, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9 };

/* The options of an instance, worked out for pictures of a shape. Sizes: of the distorted and the reference picture. */
typedef struct Settings {
    int w[2], h[2], window[2];
    bool antidither, halved;
    int n_contrasts, visible_to[CAMBI_CONTRASTS_MAX], dark;
    int code_min, code_max; /* that are looked at */
    double topk;
} Settings;

enum { DIS_SIDE = 0, REF_SIDE };

typedef struct CambiPass {
    VmafxPassSetup setup;
    Settings *settings; /* by instance */
    float *reciprocals; /* of 0 … SUM_MAX */
    size_t stride;      /* of the next two */
    uint16_t *picture;
    uint8_t *mask;
    float *contrasts; /* rows of the scale's width */
    uint16_t *counts; /* by code, by column */
    uint16_t *rows[3];
    uint8_t *sums; /* of the mask, by column */
} CambiPass;

/* ---- Settings ---- */

static void size_of(const double *values, int opt_w, int opt_h, const VmafxShape *shape, int *ret_w, int *ret_h)
{
    bool given = values[opt_w] != 0 && values[opt_h] != 0;

    *ret_w = given ? (int)values[opt_w] : shape->w;
    *ret_h = given ? (int)values[opt_h] : shape->h;
}

static bool speeds_up(int limit, int w, int h)
{
    const int64_t samples = (int64_t)w * h;

    return (limit == 1080 && samples >= INT64_C(1920) * 1080) || (limit == 1440 && samples >= INT64_C(2560) * 1440) ||
           (limit == 2160 && samples >= INT64_C(3840) * 2160);
}

static void fill_visibility(const double *values, Settings *ret)
{
    CambiEotf eotf = values[OPT_CAMBI_EOTF] != 0 ? (CambiEotf)values[OPT_CAMBI_EOTF] : (CambiEotf)values[OPT_EOTF];
    int most = 0;

    ret->n_contrasts = 1 << (int)values[OPT_LOG_CONTRAST];
    for (int d = 1; d <= ret->n_contrasts; d++) {
        ret->visible_to[d - 1] = cambi_visible_to(eotf, values[OPT_TVI], d);
        most = VMAFX_MAX(most, ret->visible_to[d - 1]);
    }
    ret->dark = cambi_dark_bound(eotf, values[OPT_DARK]);
    ret->code_min = VMAFX_MAX(ret->dark - 3 * ret->n_contrasts + 1, 0);
    ret->code_max = VMAFX_MAX(VMAFX_MIN(most + ret->n_contrasts, CAMBI_CODE_MAX), ret->code_min);
}

static void fill_settings(const double *values, const VmafxShape *shape, Settings *ret)
{
    int depth = values[OPT_ENC_DEPTH] != 0 ? (int)values[OPT_ENC_DEPTH] : shape->bpc;

    size_of(values, OPT_ENC_W, OPT_ENC_H, shape, &ret->w[DIS_SIDE], &ret->h[DIS_SIDE]);
    size_of(values, OPT_SRC_W, OPT_SRC_H, shape, &ret->w[REF_SIDE], &ret->h[REF_SIDE]);
    if (ret->h[DIS_SIDE] > shape->h || ret->w[DIS_SIDE] > shape->w) {
        ret->w[DIS_SIDE] = shape->w;
        ret->h[DIS_SIDE] = shape->h;
    }
    ret->halved = speeds_up((int)values[OPT_SPEEDUP], ret->w[DIS_SIDE], ret->h[DIS_SIDE]);
    for (int i = 0; i < 2; i++)
        ret->window[i] = cambi_window((int)values[OPT_WINDOW], ret->w[i], ret->h[i], ret->halved);
    ret->antidither = depth < 10;
    ret->topk = values[OPT_TOPK] != TOPK ? values[OPT_TOPK] : values[OPT_CAMBI_TOPK];
    fill_visibility(values, ret);
}

static VmafxErr check_shape(const VmafxInstance *instance, const VmafxShape *shape, VmafxErrInfo *reterr)
{
    Settings s = { 0 };

    fill_settings(instance->values, shape, &s);
    for (int i = 0; i < 2; i++) {
        const char *which = i == DIS_SIDE ? "distorted" : "reference";

        if (s.w[i] < SIDE_MIN && s.h[i] < SIDE_MIN)
            return vmafx_fail(reterr, VMAFX_ERR_INVALID,
                              "feature 'cambi' needs pictures with a side of at least %d; the %s one is taken as %dx%d",
                              SIDE_MIN, which, s.w[i], s.h[i]);
        if (s.window[i] > CAMBI_WINDOW_MAX)
            return vmafx_fail(
                reterr, VMAFX_ERR_INVALID,
                "feature 'cambi': window_size %g makes a window of %d for pictures of %dx%d; at most %d is "
                "possible",
                instance->values[OPT_WINDOW], s.window[i], s.w[i], s.h[i], CAMBI_WINDOW_MAX);
    }
    if ((s.w[REF_SIDE] > s.w[DIS_SIDE] && s.h[REF_SIDE] < s.h[DIS_SIDE]) ||
        (s.w[REF_SIDE] < s.w[DIS_SIDE] && s.h[REF_SIDE] > s.h[DIS_SIDE]))
        return vmafx_fail(reterr, VMAFX_ERR_INVALID,
                          "feature 'cambi': a source of %dx%d is wider and lower, or narrower and higher, than the "
                          "encode's %dx%d",
                          s.w[REF_SIDE], s.h[REF_SIDE], s.w[DIS_SIDE], s.h[DIS_SIDE]);
    return VMAFX_OK;
}

static bool gives(const VmafxInstance *instance, const VmafxShape *shape, size_t feature)
{
    (void)shape;
    return feature == 0 || instance->values[OPT_FULL_REF] != 0;
}

static VmafxErr begin_heatmaps(VmafxInstance *instance, const VmafxShape *shape, VmafxErrInfo *reterr)
{
    CambiHeatmaps *maps = NULL;
    Settings s = { 0 };

    fill_settings(instance->values, shape, &s);
    VmafxErr err = cambi_heatmaps_open(instance->path, s.w[DIS_SIDE], s.h[DIS_SIDE], s.window[DIS_SIDE],
                                       weights[s.n_contrasts - 1], &maps, reterr);
    instance->output = maps;
    return err;
}

static VmafxErr end_heatmaps(VmafxInstance *instance, bool keep, VmafxErrInfo *reterr)
{
    CambiHeatmaps *maps = VMAFX_TAKE(instance->output);

    if (keep)
        return cambi_heatmaps_commit(&maps, reterr);
    cambi_heatmaps_abort(&maps);
    return VMAFX_OK;
}

/* ---- The pass ---- */

static void pass_free(void *opaque)
{
    CambiPass *pass = opaque;

    free(pass->settings);
    free(pass->reciprocals);
    free(pass->picture);
    free(pass->mask);
    free(pass->contrasts);
    free(pass->counts);
    for (int i = 0; i < 3; i++)
        free(pass->rows[i]);
    free(pass->sums);
    free(pass);
}

/* The reference's table was printed with nine digits, and that is what its reciprocals are. */
static void fill_reciprocals(float *ret)
{
    for (int i = 1; i <= SUM_MAX; i++) {
        char text[32];

        snprintf(text, sizeof text, "%.9g", 1.0 / i);
        ret[i] = strtof(text, NULL); /* by the locale that printed it */
    }
}

static VmafxErr pass_new(const VmafxPassSetup *setup, void **ret_pass)
{
    const VmafxShape shape = { setup->w, setup->h, setup->bpc, setup->chroma };
    CambiPass *pass = calloc(1, sizeof *pass);
    size_t w = 0, h = 0, codes = 0;

    if (!pass)
        return VMAFX_ERR_NOMEM;
    *ret_pass = pass;
    pass->setup = *setup;
    pass->settings = calloc(setup->n_instances, sizeof *pass->settings);
    for (size_t i = 0; pass->settings && i < setup->n_instances; i++) {
        Settings *s = &pass->settings[i];

        fill_settings(setup->instances[i]->values, &shape, s);
        for (int side = 0; side < (setup->instances[i]->values[OPT_FULL_REF] != 0 ? 2 : 1); side++) {
            w = VMAFX_MAX(w, (size_t)s->w[side]);
            h = VMAFX_MAX(h, (size_t)s->h[side]);
        }
        codes = VMAFX_MAX(codes, (size_t)(s->code_max - s->code_min + 1));
    }
    pass->stride = w;
    pass->reciprocals = calloc(SUM_MAX + 1, sizeof *pass->reciprocals);
    pass->picture = vmafx_alloc_aligned(w * h, sizeof *pass->picture);
    pass->mask = vmafx_alloc_aligned(w * h, sizeof *pass->mask);
    pass->contrasts = vmafx_alloc_aligned(w * h, sizeof *pass->contrasts);
    pass->counts = vmafx_alloc_aligned(codes * w, sizeof *pass->counts);
    bool made = pass->settings && pass->reciprocals && pass->picture && pass->mask && pass->contrasts && pass->counts;
    for (int i = 0; i < 3; i++)
        made = (pass->rows[i] = vmafx_alloc_aligned(w, sizeof *pass->rows[i])) && made;
    made = (pass->sums = vmafx_alloc_aligned(w, sizeof *pass->sums)) && made;
    if (!made)
        return VMAFX_ERR_NOMEM;
    fill_reciprocals(pass->reciprocals);
    return VMAFX_OK;
}

/* ---- Preparing a picture ---- */

static uint16_t to_10_bits(const void *row, int x, int bpc)
{
    if (bpc == 8)
        return (uint16_t)(((const uint8_t *)row)[x] << 2);
    unsigned v = ((const uint16_t *)row)[x];
    return (uint16_t)(bpc > 10 ? (v + (1u << (bpc - 11))) >> (bpc - 10) : v);
}

/* The nearest samples; positions are added up in binary32, as the reference does. */
static void resize(CambiPass *pass, const VmafxPlane *from, int w, int h)
{
    float step_x = (float)from->w / (float)w, step_y = (float)from->h / (float)h;
    float at_y = (float)((double)(step_y / 2) - 0.5);

    for (int y = 0; y < h; y++, at_y = at_y + step_y) {
        const void *row = vmafx_plane_row(from, VMAFX_MIN((int)((double)at_y + 0.5), from->h - 1));
        uint16_t *to = pass->picture + (size_t)y * pass->stride;
        float at_x = (float)((double)(step_x / 2) - 0.5);

        if (from->w == w && from->h == h) {
            row = vmafx_plane_row(from, y);
            for (int x = 0; x < w; x++)
                to[x] = to_10_bits(row, x, from->bpc);
            continue;
        }
        for (int x = 0; x < w; x++, at_x = at_x + step_x)
            to[x] = to_10_bits(row, VMAFX_MIN((int)((double)at_x + 0.5), from->w - 1), from->bpc);
    }
}

/* Means of 2 x 2; each place needs only those right and below of it, so it can be done in place. */
static void undither(CambiPass *pass, int w, int h)
{
    for (int y = 0; y < h; y++) {
        uint16_t *row = pass->picture + (size_t)y * pass->stride, *below = row + pass->stride;

        for (int x = 0; x + 1 < w; x++)
            row[x] = (uint16_t)(y + 1 < h ? (row[x] + row[x + 1] + below[x] + below[x + 1]) >> 2
                                          : (row[x] + row[x + 1]) >> 1);
        if (y + 1 < h)
            row[w - 1] = (uint16_t)((row[w - 1] + below[w - 1]) >> 1);
    }
}

/* Adds or takes away where row y equals its right and lower neighbours. */
static void count_flat(CambiPass *pass, int w, int h, int y, int sign)
{
    const uint16_t *row = pass->picture + (size_t)y * pass->stride, *below = y + 1 < h ? row + pass->stride : row;

    for (int x = 0; x < w; x++) {
        bool flat = (x + 1 == w || row[x] == row[x + 1]) && row[x] == below[x];
        pass->sums[x] = (uint8_t)(pass->sums[x] + (flat ? sign : 0));
    }
}

static void make_mask(CambiPass *pass, int w, int h)
{
    const int threshold = cambi_mask_threshold(w, h);

    memset(pass->sums, 0, (size_t)w);
    for (int y = 0; y < VMAFX_MIN(MASK_RADIUS, h); y++)
        count_flat(pass, w, h, y, 1);
    for (int y = 0; y < h; y++) {
        uint8_t *mask = pass->mask + (size_t)y * pass->stride;
        int sum = 0;

        if (y + MASK_RADIUS < h)
            count_flat(pass, w, h, y + MASK_RADIUS, 1);
        if (y > MASK_RADIUS)
            count_flat(pass, w, h, y - MASK_RADIUS - 1, -1);
        for (int x = 0; x < VMAFX_MIN(MASK_RADIUS, w); x++)
            sum += pass->sums[x];
        for (int x = 0; x < w; x++) {
            sum += x + MASK_RADIUS < w ? pass->sums[x + MASK_RADIUS] : 0;
            sum -= x > MASK_RADIUS ? pass->sums[x - MASK_RADIUS - 1] : 0;
            mask[x] = sum > threshold;
        }
    }
}

/* ---- A scale ---- */

static void halve(CambiPass *pass, int w, int h)
{
    for (int y = 0; y < h; y++) {
        const uint16_t *picture = pass->picture + 2 * (size_t)y * pass->stride;
        const uint8_t *mask = pass->mask + 2 * (size_t)y * pass->stride;
        uint16_t *to = pass->picture + (size_t)y * pass->stride;
        uint8_t *to_mask = pass->mask + (size_t)y * pass->stride;

        for (int x = 0; x < w; x++) {
            to[x] = picture[2 * x];
            to_mask[x] = mask[2 * x];
        }
    }
}

/* The one that comes twice, else the least. */
static inline uint16_t mode(uint16_t a, uint16_t b, uint16_t c)
{
    uint16_t least = VMAFX_MIN(VMAFX_MIN(a, b), c);

    return a == b || a == c ? a : b == c ? b : least;
}

static void mode_along(const uint16_t *row, int w, uint16_t *ret)
{
    ret[0] = row[0];
    for (int x = 1; x + 1 < w; x++)
        ret[x] = mode(row[x - 1], row[x], row[x + 1]);
    ret[w - 1] = row[w - 1];
}

/* Along the rows, then down them; the first and the last row stay. */
static void filter_modes(CambiPass *pass, int w, int h)
{
    if (h < 3)
        return;
    mode_along(pass->picture, w, pass->rows[0]);
    mode_along(pass->picture + pass->stride, w, pass->rows[1]);
    for (int y = 1; y + 1 < h; y++) {
        uint16_t *row = pass->picture + (size_t)y * pass->stride;
        const uint16_t *above = pass->rows[(y - 1) % 3], *here = pass->rows[y % 3], *below = pass->rows[(y + 1) % 3];

        mode_along(row + pass->stride, w, pass->rows[(y + 1) % 3]);
        for (int x = 0; x < w; x++)
            row[x] = mode(above[x], here[x], below[x]);
    }
}

static void count_row(CambiPass *pass, const Settings *s, int w, int y, int radius, int sign)
{
    const uint16_t *row = pass->picture + (size_t)y * pass->stride;
    const uint8_t *mask = pass->mask + (size_t)y * pass->stride;

    for (int x = 0; x < w; x++) {
        if (!mask[x] || row[x] < s->code_min || row[x] > s->code_max)
            continue;
        uint16_t *counts = pass->counts + (size_t)(row[x] - s->code_min) * (size_t)w;
        int to = VMAFX_MIN(x + radius, w - 1);

        for (int i = VMAFX_MAX(x - radius, 0); i <= to; i++)
            counts[i] = (uint16_t)(counts[i] + sign);
    }
}

static int count_at(const CambiPass *pass, const Settings *s, int w, int x, int code)
{
    return code < s->code_min || code > s->code_max
               ? 0
               : pass->counts[(size_t)(code - s->code_min) * (size_t)w + (size_t)x];
}

static float contrast_at(const CambiPass *pass, const Settings *s, int w, int x, int code)
{
    int same = count_at(pass, s, w, x, code);
    float most = 0;

    for (int d = 1; d <= s->n_contrasts; d++) {
        if (code > s->visible_to[d - 1] || code + s->n_contrasts + d <= s->dark)
            continue;
        int above = count_at(pass, s, w, x, code + d), below = count_at(pass, s, w, x, code - d);
        int other = VMAFX_MAX(above, below);
        float v = (float)(weights[d - 1] * same * other) * pass->reciprocals[other + same];
        most = v > most ? v : most;
    }
    return most;
}

static void measure_contrasts(CambiPass *pass, const Settings *s, int w, int h, int window)
{
    int radius = window / 2;

    memset(pass->counts, 0, (size_t)(s->code_max - s->code_min + 1) * (size_t)w * sizeof *pass->counts);
    for (int y = 0; y < VMAFX_MIN(radius, h); y++)
        count_row(pass, s, w, y, radius, 1);
    for (int y = 0; y < h; y++) {
        const uint16_t *row = pass->picture + (size_t)y * pass->stride;
        const uint8_t *mask = pass->mask + (size_t)y * pass->stride;
        float *contrasts = pass->contrasts + (size_t)y * (size_t)w;

        if (y + radius < h)
            count_row(pass, s, w, y + radius, radius, 1);
        if (y > radius)
            count_row(pass, s, w, y - radius - 1, radius, -1);
        for (int x = 0; x < w; x++)
            contrasts[x] = mask[x] ? contrast_at(pass, s, w, x, row[x]) : 0;
    }
}

/* The mean of the largest, added in the order in which this way of finding them leaves them. */
static double pool(float *a, size_t n, double topk)
{
    ptrdiff_t m = (ptrdiff_t)(topk * (double)n), left = 0, right = (ptrdiff_t)n - 1;
    double sum = 0;

    m = VMAFX_MAX(VMAFX_MIN(m, (ptrdiff_t)n), 1);
    while (m < (ptrdiff_t)n && left < right) {
        float pivot = a[m];
        ptrdiff_t i = left, j = right;

        do {
            while (a[i] > pivot)
                i++;
            while (a[j] < pivot)
                j--;
            if (i <= j) {
                float t = a[i];
                a[i++] = a[j];
                a[j--] = t;
            }
        } while (i <= j);
        if (j < m)
            left = i;
        if (m < i)
            right = j;
    }
    for (ptrdiff_t i = 0; i < m; i++)
        sum += (double)a[i];
    return sum / (double)m;
}

/* maps: NULL, or where this frame's go. */
static VmafxErr score(CambiPass *pass, const Settings *s, const VmafxPlane *plane, int side, CambiHeatmaps *maps,
                      const VmafxFrameInput *input, double *ret)
{
    int w = s->w[side], h = s->h[side], window = s->window[side];
    uint32_t place = input->index / (uint32_t)pass->setup.subsample;
    double sum = 0;

    resize(pass, plane, w, h);
    if (s->antidither)
        undither(pass, w, h);
    make_mask(pass, w, h);
    for (int k = 0; k < SCALES; k++) {
        if (k > 0 || s->halved) {
            w = (w + 1) / 2;
            h = (h + 1) / 2;
            halve(pass, w, h);
        }
        filter_modes(pass, w, h);
        measure_contrasts(pass, s, w, h, window);
        VmafxErr err = maps
                           ? cambi_heatmaps_write(maps, k, place, pass->contrasts, (size_t)w * (size_t)h, input->reterr)
                           : VMAFX_OK;
        if (err)
            return err;
        sum += (1 << (SCALES - 1 - k)) * pool(pass->contrasts, (size_t)w * (size_t)h, s->topk);
    }
    *ret = sum / (window * window);
    return VMAFX_OK;
}

static VmafxErr frame(void *opaque, const VmafxFrameInput *input, VmafxFeatureValues *ret_values)
{
    CambiPass *pass = opaque;

    for (size_t i = 0; i < pass->setup.n_instances; i++) {
        const double *values = pass->setup.instances[i]->values;
        double dis = 0, ref = 0;
        VmafxErr err =
            score(pass, &pass->settings[i], input->dis, DIS_SIDE, pass->setup.instances[i]->output, input, &dis);

        if (!err && values[OPT_FULL_REF] != 0)
            err = score(pass, &pass->settings[i], input->ref, REF_SIDE, NULL, input, &ref);
        if (err)
            return err;
        ret_values[i][0] = fmin(dis, values[OPT_MAX]);
        if (values[OPT_FULL_REF] != 0) {
            ret_values[i][1] = fmin(ref, values[OPT_MAX]);
            ret_values[i][2] = fmin(fmax(dis - ref, 0), values[OPT_MAX]);
        }
    }
    return VMAFX_OK;
}

const VmafxExtractor vmafx_extractor_cambi = {
    .name = "cambi",
    .options = options,
    .n_options = VMAFX_LEN(options),
    .features = features,
    .n_features = VMAFX_LEN(features),
    .size_min = 1,
    .check_shape = check_shape,
    .gives = gives,
    .pass_new = pass_new,
    .pass_free = pass_free,
    .frame = frame,
    .begin = begin_heatmaps,
    .end = end_heatmaps,
};

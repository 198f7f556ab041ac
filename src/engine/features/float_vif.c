/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * VIF in binary32: visual information fidelity at four scales (Sheikh, Bovik, "Image information and visual quality",
 * 2006). Rows are filtered as they are needed; of the first scale only as many are kept as lie under the filter. What
 * is filtered serves all instances with the same kernel.
 */

#include <math.h>
#include <string.h>

#include "base/base.h"
#include "engine/extractor.h"
#include "engine/features/float_rows.h"

#define SCALES   4
#define TAPS_MAX 69 /* of the first scale at the largest kernel scale */
#define PAD      48 /* samples beside a row: half a filter and more, so that rows lie at multiples of 64 bytes */
#define MOMENTS  VMAFX_FLOAT_VIF_MOMENTS
#define AT_ONCE  4 /* rows that are summed together */

enum {
    OPT_DEBUG,
    OPT_GAIN_LIMIT,
    OPT_KERNEL,
    OPT_PRESCALE,
    OPT_METHOD,
    OPT_MIN1,
    OPT_MIN2,
    OPT_MIN3,
    OPT_NOISE,
    OPT_SKIP
};

static const char *const methods[] = { "nearest", "bilinear", "bicubic", "lanczos4" };

static const VmafxOptionSpec options[] = {
    [OPT_DEBUG] = { .name = "debug", .type = VMAFX_OPTION_BOOL, .max = 1 },
    [OPT_GAIN_LIMIT] = { "vif_enhn_gain_limit", "egl", VMAFX_OPTION_DOUBLE, 100, 1, 100, NULL },
    [OPT_KERNEL] = { "vif_kernelscale", "ks", VMAFX_OPTION_DOUBLE, 1, 0.1, 4, NULL },
    [OPT_PRESCALE] = { "vif_prescale", "ps", VMAFX_OPTION_DOUBLE, 1, 0.1, 4, NULL },
    [OPT_METHOD] = { "vif_prescale_method", "pm", VMAFX_OPTION_WORD, 0, 0, VMAFX_LEN(methods) - 1, methods },
    [OPT_MIN1] = { "vif_scale1_min_val", "s1miv", VMAFX_OPTION_DOUBLE, 0, 0, 1, NULL },
    [OPT_MIN2] = { "vif_scale2_min_val", "s2miv", VMAFX_OPTION_DOUBLE, 0, 0, 1, NULL },
    [OPT_MIN3] = { "vif_scale3_min_val", "s3miv", VMAFX_OPTION_DOUBLE, 0, 0, 1, NULL },
    [OPT_NOISE] = { "vif_sigma_nsq", "snsq", VMAFX_OPTION_DOUBLE, 2, 0, 5, NULL },
    [OPT_SKIP] = { .name = "vif_skip_scale0", .alias = "ssclz", .type = VMAFX_OPTION_BOOL, .max = 1 },
};

enum { SCORE = 0, VIF = SCALES, VIF_NUM, VIF_DEN, NUM_DEN };

static const VmafxFeatureSpec features[] = {
    { .stored = "VMAF_feature_vif_scale0_score", .report = "vif_scale0" },
    { .stored = "VMAF_feature_vif_scale1_score", .report = "vif_scale1" },
    { .stored = "VMAF_feature_vif_scale2_score", .report = "vif_scale2" },
    { .stored = "VMAF_feature_vif_scale3_score", .report = "vif_scale3" },
    { .stored = "vif", .report = "vif", .debug = true },
    { .stored = "vif_num", .report = "vif_num", .debug = true },
    { .stored = "vif_den", .report = "vif_den", .debug = true },
    { .stored = "vif_num_scale0", .report = "vif_num_scale0", .debug = true },
    { .stored = "vif_den_scale0", .report = "vif_den_scale0", .debug = true },
    { .stored = "vif_num_scale1", .report = "vif_num_scale1", .debug = true },
    { .stored = "vif_den_scale1", .report = "vif_den_scale1", .debug = true },
    { .stored = "vif_num_scale2", .report = "vif_num_scale2", .debug = true },
    { .stored = "vif_den_scale2", .report = "vif_den_scale2", .debug = true },
    { .stored = "vif_num_scale3", .report = "vif_num_scale3", .debug = true },
    { .stored = "vif_den_scale3", .report = "vif_den_scale3", .debug = true },
};

typedef struct Filter {
    int n;
    float taps[TAPS_MAX];
} Filter;

/* A picture at some scale: the frame's plane, or floats in rows of whole groups. */
typedef struct Image {
    const VmafxPlane *plane;
    float *data;
    int w, h;
} Image;

typedef struct Sums {
    float num, den;
} Sums;

/* What an instance makes of the moments. */
typedef struct InstanceState {
    VmafxFloatVifNoise noise;
    float *rows[2 * AT_ONCE]; /* num and den of the rows that are not summed yet */
    Sums sums[SCALES];
} InstanceState;

typedef struct VifPass {
    VmafxPassSetup setup;
    float *pictures[2][SCALES]; /* scales 1 to 3 */
    VmafxFloatRing rings[2];    /* rows of scale 0 */
    float *moments[MOMENTS];    /* filtered down: x, y, xx, yy, xy; padded */
    float *filtered[MOMENTS];   /* and along */
    InstanceState *instances;
} VifPass;

/* ---- Filters ---- */

static int filter_size(int scale, double kernel_scale)
{
    int n = (int)ceil((double)(float)(((1 << (4 - scale)) + 1) * kernel_scale));

    return VMAFX_MAX(n % 2 ? n : n + 1, 3);
}

static void make_filter(int scale, double kernel_scale, Filter *ret)
{
    int n = filter_size(scale, kernel_scale);
    float sigma = (float)(n / 5.0), divisor = (float)(1.0 / ((double)sigma * sqrt(2.0 * M_PI))), sum = 0;

    ret->n = n;
    for (int i = 0; i < n; i++) {
        double u = i - (n - 1) / 2;
        float e = (float)exp(-0.5 * u / (double)sigma * u / (double)sigma);

        ret->taps[i] = e / divisor;
        sum = sum + ret->taps[i];
    }
    for (int i = 0; i < n; i++)
        ret->taps[i] = ret->taps[i] / sum;
}

static VmafxErr check(const VmafxInstance *instance, VmafxErrInfo *reterr)
{
    static const double known[] = { 1,       1.0 / 2, 3.0 / 2,  2,        2.0 / 3,  2.4,      360.0 / 97,
                                    4.0 / 3, 3.5 / 3, 3.75 / 3, 4.25 / 3, 5.0 / 3,  3,        1 / 2.25,
                                    1.4746,  1.54,    1.6,      1.06667,  0.711111, 0.740740, 1.111111 };
    double kernel = instance->values[OPT_KERNEL];
    bool found = false;

    for (size_t i = 0; i < VMAFX_LEN(known); i++)
        found |= fabs(kernel - known[i]) < 1e-3;
    if (!found)
        return vmafx_fail(reterr, VMAFX_ERR_FEATURE,
                          "option 'vif_kernelscale' of feature 'float_vif' is %g; it is 1, 1/2, 3/2, 2, 2/3, 4/3, 5/3, "
                          "3 or another of the ratios that docs/features.md lists",
                          kernel);
    if (instance->values[OPT_PRESCALE] != 1)
        return vmafx_fail(
            reterr, VMAFX_ERR_UNSUPPORTED,
            "option 'vif_prescale' of feature 'float_vif' other than 1 is not available in this version, because "
            "how the reference resamples is described nowhere to the bit");
    return VMAFX_OK;
}

/* One reflection must do. */
static VmafxErr check_shape(const VmafxInstance *instance, const VmafxShape *shape, VmafxErrInfo *reterr)
{
    for (int s = 0; s < SCALES; s++) {
        int half = filter_size(s, instance->values[OPT_KERNEL]) / 2;

        if ((shape->w >> s) <= half || (shape->h >> s) <= half)
            return vmafx_fail(
                reterr, VMAFX_ERR_INVALID,
                "feature 'float_vif' needs pictures of at least %dx%d with this vif_kernelscale, not %dx%d",
                (half + 1) << s, (half + 1) << s, shape->w, shape->h);
    }
    return VMAFX_OK;
}

/* ---- The pass ---- */

static void pass_free(void *opaque)
{
    VifPass *pass = opaque;

    for (int i = 0; i < 2; i++) {
        for (int s = 1; s < SCALES; s++)
            free(pass->pictures[i][s]);
        vmafx_float_ring_done(&pass->rings[i]);
    }
    for (int i = 0; i < MOMENTS; i++) {
        free(pass->moments[i]);
        free(pass->filtered[i]);
    }
    for (size_t i = 0; pass->instances && i < pass->setup.n_instances; i++)
        for (int r = 0; r < 2 * AT_ONCE; r++)
            free(pass->instances[i].rows[r]);
    free(pass->instances);
    free(pass);
}

static float *take(size_t rows, size_t columns, bool *made)
{
    float *values = vmafx_alloc_aligned(rows, columns * sizeof(float));

    *made = *made && values;
    return values;
}

static VmafxErr pass_new(const VmafxPassSetup *setup, void **ret_pass)
{
    size_t room = VMAFX_FLOATS_ROOM(setup->w);
    VifPass *pass = calloc(1, sizeof *pass);
    int longest = 0;

    if (!pass)
        return VMAFX_ERR_NOMEM;
    *ret_pass = pass;
    pass->setup = *setup;
    pass->instances = calloc(setup->n_instances, sizeof *pass->instances);
    if (!pass->instances)
        return VMAFX_ERR_NOMEM;
    bool made = true;
    for (size_t i = 0; i < setup->n_instances; i++) {
        const double *v = setup->instances[i]->values;
        InstanceState *state = &pass->instances[i];

        longest = VMAFX_MAX(longest, filter_size(0, v[OPT_KERNEL]));
        state->noise = (VmafxFloatVifNoise){ v[OPT_NOISE], (float)v[OPT_GAIN_LIMIT],
                                             (float)((double)powf((float)v[OPT_NOISE], 2) / 65025.0) };
        for (int r = 0; r < 2 * AT_ONCE; r++)
            state->rows[r] = take(1, room, &made);
    }
    for (int i = 0; i < 2; i++) {
        for (int s = 1; s < SCALES; s++)
            pass->pictures[i][s] = take((size_t)setup->h >> s, VMAFX_FLOATS_ROOM(setup->w >> s), &made);
        made = vmafx_float_ring_init(&pass->rings[i], &setup->kernels->floats, setup->w, longest) && made;
    }
    for (int i = 0; i < MOMENTS; i++) {
        pass->moments[i] = take(1, room + 2 * PAD + 2 * VMAFX_FLOATS_GROUP, &made); /* what halving reads in groups */
        pass->filtered[i] = take(1, room, &made);
    }
    return made ? VMAFX_OK : VMAFX_ERR_NOMEM;
}

/* The rows of a picture under a filter that is centred on row y. */
static void rows_around(VifPass *pass, int which, const Image *image, const Filter *filter, int y,
                        const float *ret[TAPS_MAX])
{
    for (int t = 0; t < filter->n; t++) {
        const int from = vmafx_mirror(y + t - filter->n / 2, image->h);

        ret[t] = image->plane ? vmafx_float_ring_row(&pass->rings[which], from)
                              : image->data + (size_t)from * VMAFX_FLOATS_ROOM(image->w);
    }
}

/* Along a padded row, every step-th place. */
static void filter_along(const VifPass *pass, float *row, int w, const Filter *filter, int step, int n, float *ret)
{
    int before = filter->n / 2;

    VMAFX_MIRROR_ROW(row, w, before);
    pass->setup.kernels->floats.along(row, filter->taps, filter->n, step, n, ret);
}

/* Local means of both pictures and of their products, around row y. */
static void measure_row(VifPass *pass, const Image images[2], const Filter *filter, int y)
{
    const float *x[TAPS_MAX], *z[TAPS_MAX];
    float *m[MOMENTS];
    int w = images[0].w;

    for (int i = 0; i < MOMENTS; i++)
        m[i] = pass->moments[i] + PAD;
    rows_around(pass, 0, &images[0], filter, y, x);
    rows_around(pass, 1, &images[1], filter, y, z);
    pass->setup.kernels->float_vif.moments(x, z, filter->taps, filter->n, w, m);
    for (int i = 0; i < MOMENTS; i++)
        filter_along(pass, m[i], w, filter, 1, w, pass->filtered[i]);
}

/* Row y / 2 of the next scale, of both pictures. */
static void shrink_rows(VifPass *pass, const Image images[2], const Filter *next, int y, const Image ret[2])
{
    const float *rows[TAPS_MAX];
    float *row = pass->moments[0] + PAD;
    int w = images[0].w;

    for (int i = 0; i < 2; i++) {
        rows_around(pass, i, &images[i], next, y, rows);
        pass->setup.kernels->floats.down(rows, next->taps, next->n, w, row);
        filter_along(pass, row, w, next, 2, ret[i].w, ret[i].data + (size_t)(y / 2) * VMAFX_FLOATS_ROOM(ret[i].w));
    }
}

/* Whether an instance is measured together with another one. */
static bool joins(const VmafxInstance *instance, const VmafxInstance *other)
{
    return instance->values[OPT_KERNEL] == other->values[OPT_KERNEL];
}

static bool looks_at(const VmafxInstance *instance, int scale)
{
    return scale > 0 || instance->values[OPT_SKIP] == 0;
}

/* Adds the first n rows that wait for it. */
static void add_rows(const VifPass *pass, InstanceState *state, int scale, int n, int w)
{
    Sums *sums = &state->sums[scale];
    float of_rows[2 * AT_ONCE];

    pass->setup.kernels->floats.sum((const float *const *)state->rows, 2 * n, w, of_rows);
    for (int i = 0; i < n; i++) {
        sums->num = sums->num + of_rows[2 * i];
        sums->den = sums->den + of_rows[2 * i + 1];
    }
}

/* Scale by scale, for an instance and those that join it. */
static void measure_scale(VifPass *pass, const VmafxInstance *first, const Image images[2], int scale,
                          const Image smaller[2])
{
    int w = images[0].w, h = images[0].h, n = 0;
    bool wanted = false;
    Filter filter, next;

    make_filter(scale, first->values[OPT_KERNEL], &filter);
    if (smaller)
        make_filter(scale + 1, first->values[OPT_KERNEL], &next);
    for (size_t i = 0; i < pass->setup.n_instances; i++)
        wanted |= joins(pass->setup.instances[i], first) && looks_at(pass->setup.instances[i], scale);
    for (int y = 0; y < h; y++) {
        if (wanted)
            measure_row(pass, images, &filter, y);
        for (size_t i = 0; wanted && i < pass->setup.n_instances; i++) {
            InstanceState *state = &pass->instances[i];

            if (!joins(pass->setup.instances[i], first) || !looks_at(pass->setup.instances[i], scale))
                continue;
            pass->setup.kernels->float_vif.information((const float *const *)pass->filtered, &state->noise, w,
                                                       state->rows[2 * n], state->rows[2 * n + 1]);
            if (n + 1 == AT_ONCE || y + 1 == h)
                add_rows(pass, state, scale, n + 1, w);
        }
        n = (n + 1) % AT_ONCE;
        if (smaller && y % 2 == 0 && y / 2 < smaller[0].h)
            shrink_rows(pass, images, &next, y, smaller);
    }
}

static void measure(VifPass *pass, const VmafxInstance *first, const VmafxFrameInput *input)
{
    Image images[2] = { { input->ref, NULL, input->ref->w, input->ref->h },
                        { input->dis, NULL, input->dis->w, input->dis->h } };

    for (int i = 0; i < 2; i++)
        vmafx_float_ring_begin(&pass->rings[i], images[i].plane, filter_size(0, first->values[OPT_KERNEL]));
    for (int s = 0; s < SCALES; s++) {
        Image smaller[2];

        for (int i = 0; i < 2; i++)
            smaller[i] =
                (Image){ NULL, s + 1 < SCALES ? pass->pictures[i][s + 1] : NULL, images[i].w / 2, images[i].h / 2 };
        measure_scale(pass, first, images, s, s + 1 < SCALES ? smaller : NULL);
        memcpy(images, smaller, sizeof images);
    }
}

static void fill_values(const VmafxInstance *instance, const Sums sums[SCALES], double *values)
{
    double num_sum = 0, den_sum = 0;

    for (int s = 0; s < SCALES; s++) {
        double *num_out = &values[NUM_DEN + 2 * s], *den_out = num_out + 1;

        if (s == 0 && instance->values[OPT_SKIP] != 0) {
            values[SCORE] = 0;
            *num_out = 0;
            *den_out = -1;
            continue;
        }
        *num_out = (double)sums[s].num;
        *den_out = (double)sums[s].den;
        values[SCORE + s] = *num_out / *den_out;
        if (s > 0 && values[SCORE + s] < instance->values[OPT_MIN1 + s - 1])
            values[SCORE + s] = instance->values[OPT_MIN1 + s - 1];
        num_sum += *num_out;
        den_sum += *den_out;
    }
    values[VIF_NUM] = num_sum;
    values[VIF_DEN] = den_sum;
    values[VIF] = den_sum == 0 ? 1 : num_sum / den_sum;
}

static VmafxErr frame(void *opaque, const VmafxFrameInput *input, VmafxFeatureValues *ret_values)
{
    VifPass *pass = opaque;

    for (size_t i = 0; i < pass->setup.n_instances; i++)
        memset(pass->instances[i].sums, 0, sizeof pass->instances[i].sums);
    for (size_t i = 0; i < pass->setup.n_instances; i++) {
        size_t first = 0;

        while (!joins(pass->setup.instances[i], pass->setup.instances[first]))
            first++;
        if (first == i)
            measure(pass, pass->setup.instances[i], input);
    }
    for (size_t i = 0; i < pass->setup.n_instances; i++)
        fill_values(pass->setup.instances[i], pass->instances[i].sums, ret_values[i]);
    return VMAFX_OK;
}

const VmafxExtractor vmafx_extractor_float_vif = {
    .name = "float_vif",
    .options = options,
    .n_options = VMAFX_LEN(options),
    .features = features,
    .n_features = VMAFX_LEN(features),
    .size_min = 16,
    .check = check,
    .check_shape = check_shape,
    .pass_new = pass_new,
    .pass_free = pass_free,
    .frame = frame,
};

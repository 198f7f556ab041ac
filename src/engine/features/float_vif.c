/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * VIF in binary32: visual information fidelity at four scales (Sheikh, Bovik, "Image information and visual quality",
 * 2006). Rows are filtered as they are needed; of the first scale only as many are kept as lie under the filter.
 */

#include <math.h>
#include <string.h>

#include "base/base.h"
#include "engine/extractor.h"
#include "engine/features/float_rows.h"

#define SCALES   4
#define TAPS_MAX 69 /* of the first scale at the largest kernel scale */
#define PAD      (TAPS_MAX / 2)
#define MOMENTS  VMAFX_FLOAT_VIF_MOMENTS

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

/* A picture at some scale: the frame's plane, or floats in rows without padding. */
typedef struct Image {
    const VmafxPlane *plane;
    float *data;
    int w, h;
} Image;

typedef struct VifPass {
    VmafxPassSetup setup;
    float *pictures[2][SCALES]; /* scales 1 to 3 */
    float *ring[2][TAPS_MAX];   /* rows of scale 0 by number modulo the filter's length … */
    int in_ring[2][TAPS_MAX];   /* … and which they are; −1: none */
    float *moments[MOMENTS];    /* filtered down: x, y, xx, yy, xy; padded */
    float *filtered[MOMENTS];   /* and along */
    float *num, *den;
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
        for (int t = 0; t < TAPS_MAX; t++)
            free(pass->ring[i][t]);
    }
    for (int i = 0; i < MOMENTS; i++) {
        free(pass->moments[i]);
        free(pass->filtered[i]);
    }
    free(pass->num);
    free(pass->den);
    free(pass);
}

static VmafxErr pass_new(const VmafxPassSetup *setup, void **ret_pass)
{
    size_t w = (size_t)setup->w, h = (size_t)setup->h, padded = w + 2 * PAD;
    VifPass *pass = calloc(1, sizeof *pass);
    int most = 0;

    if (!pass)
        return VMAFX_ERR_NOMEM;
    *ret_pass = pass;
    pass->setup = *setup;
    for (size_t i = 0; i < setup->n_instances; i++)
        most = VMAFX_MAX(most, filter_size(0, setup->instances[i]->values[OPT_KERNEL]));
    bool made =
        (pass->num = vmafx_alloc_aligned(w, sizeof(float))) && (pass->den = vmafx_alloc_aligned(w, sizeof(float)));
    for (int i = 0; i < 2; i++) {
        for (int s = 1; s < SCALES; s++)
            made = (pass->pictures[i][s] = vmafx_alloc_aligned((w >> s) * (h >> s), sizeof(float))) && made;
        for (int t = 0; t < most; t++)
            made = (pass->ring[i][t] = vmafx_alloc_aligned(w, sizeof(float))) && made;
    }
    for (int i = 0; i < MOMENTS; i++)
        made = (pass->moments[i] = vmafx_alloc_aligned(padded, sizeof(float))) &&
               (pass->filtered[i] = vmafx_alloc_aligned(w, sizeof(float))) && made;
    return made ? VMAFX_OK : VMAFX_ERR_NOMEM;
}

static const float *image_row(VifPass *pass, int which, const Image *image, int n_ring, int y)
{
    int slot = y % n_ring;

    if (!image->plane)
        return image->data + (size_t)y * (size_t)image->w;
    if (pass->in_ring[which][slot] != y) {
        vmafx_float_row(image->plane, y, pass->ring[which][slot]);
        pass->in_ring[which][slot] = y;
    }
    return pass->ring[which][slot];
}

/* Along a padded row, every step-th place. */
static void filter_along(const VifPass *pass, float *row, int w, const Filter *filter, int step, int n, float *ret)
{
    int before = filter->n / 2;

    VMAFX_MIRROR_ROW(row, w, before);
    pass->setup.kernels->float_vif.along(row, filter->taps, filter->n, step, n, ret);
}

/* Local means of both pictures and of their products, around row y. */
static void measure_row(VifPass *pass, const Image images[2], const Filter *filter, int n_ring, int y)
{
    float *m[MOMENTS];
    int w = images[0].w, before = filter->n / 2;

    for (int i = 0; i < MOMENTS; i++) {
        m[i] = pass->moments[i] + PAD;
        memset(m[i], 0, (size_t)w * sizeof(float));
    }
    for (int t = 0; t < filter->n; t++) {
        const int from = vmafx_mirror(y + t - before, images[0].h);
        const float *x = image_row(pass, 0, &images[0], n_ring, from);
        const float *z = image_row(pass, 1, &images[1], n_ring, from);

        pass->setup.kernels->float_vif.add_moments(x, z, filter->taps[t], w, m);
    }
    for (int i = 0; i < MOMENTS; i++)
        filter_along(pass, pass->moments[i] + PAD, w, filter, 1, w, pass->filtered[i]);
}

/* Row y / 2 of the next scale, of both pictures. */
static void shrink_rows(VifPass *pass, const Image images[2], const Filter *next, int n_ring, int y, const Image ret[2])
{
    float *row = pass->moments[0] + PAD;
    int w = images[0].w;

    for (int i = 0; i < 2; i++) {
        memset(row, 0, (size_t)w * sizeof(float));
        for (int t = 0; t < next->n; t++) {
            const float *from = image_row(pass, i, &images[i], n_ring, vmafx_mirror(y + t - next->n / 2, images[0].h));

            pass->setup.kernels->float_vif.add(from, next->taps[t], w, row);
        }
        filter_along(pass, pass->moments[0] + PAD, w, next, 2, ret[i].w,
                     ret[i].data + (size_t)(y / 2) * (size_t)ret[i].w);
    }
}

typedef struct Sums {
    float num, den;
} Sums;

static void measure(VifPass *pass, const VmafxInstance *instance, const VmafxFrameInput *input, Sums sums[SCALES])
{
    Image images[2] = { { input->ref, NULL, input->ref->w, input->ref->h },
                        { input->dis, NULL, input->dis->w, input->dis->h } };
    int n_ring = filter_size(0, instance->values[OPT_KERNEL]);
    double variance = instance->values[OPT_NOISE];
    const VmafxFloatVifNoise noise = { variance, (float)instance->values[OPT_GAIN_LIMIT],
                                       (float)((double)powf((float)variance, 2) / 65025.0) };

    memset(pass->in_ring, 0xff, sizeof pass->in_ring);
    for (int s = 0; s < SCALES; s++) {
        Filter filter, next = { 0 };
        Image smaller[2];

        make_filter(s, instance->values[OPT_KERNEL], &filter);
        if (s + 1 < SCALES)
            make_filter(s + 1, instance->values[OPT_KERNEL], &next);
        for (int i = 0; s + 1 < SCALES && i < 2; i++)
            smaller[i] = (Image){ NULL, pass->pictures[i][s + 1], images[i].w / 2, images[i].h / 2 };
        sums[s] = (Sums){ 0, 0 };
        for (int y = 0; y < images[0].h; y++) {
            if (s > 0 || instance->values[OPT_SKIP] == 0) {
                float num = 0, den = 0;

                measure_row(pass, images, &filter, n_ring, y);
                pass->setup.kernels->float_vif.information((const float *const *)pass->filtered, &noise, images[0].w,
                                                           pass->num, pass->den);
                for (int x = 0; x < images[0].w; x++) {
                    num = num + pass->num[x];
                    den = den + pass->den[x];
                }
                sums[s].num = sums[s].num + num;
                sums[s].den = sums[s].den + den;
            }
            if (s + 1 < SCALES && y % 2 == 0 && y / 2 < smaller[0].h)
                shrink_rows(pass, images, &next, n_ring, y, smaller);
        }
        if (s + 1 < SCALES)
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

    for (size_t i = 0; i < pass->setup.n_instances; i++) {
        Sums sums[SCALES];

        measure(pass, pass->setup.instances[i], input, sums);
        fill_values(pass->setup.instances[i], sums, ret_values[i]);
    }
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

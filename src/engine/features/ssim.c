/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * SSIM of the luma: luminance, contrast and structure under a window of 11 x 11, at one scale (float_ssim), by default
 * the one at which the shorter side has about 256 samples, or at five (float_ms_ssim).
 */

#include <math.h>

#include "base/base.h"
#include "engine/extractor.h"
#include "engine/features/ssim_scale.h"

#define SCALES    5
#define STEP_MAX  10 /* of the option; automatic ones may be larger */
#define MS_TAPS   9
#define AUTO_SIDE 256

enum { OPT_CLIP_DB, OPT_DB, OPT_LCS, OPT_SCALE };

/* Names never say which of these were set; the last one is float_ssim's only. */
static const VmafxOptionSpec options[] = {
    [OPT_CLIP_DB] = { .name = "clip_db", .type = VMAFX_OPTION_BOOL, .max = 1 },
    [OPT_DB] = { .name = "enable_db", .type = VMAFX_OPTION_BOOL, .max = 1 },
    [OPT_LCS] = { .name = "enable_lcs", .type = VMAFX_OPTION_BOOL, .max = 1 },
    [OPT_SCALE] = { .name = "scale", .type = VMAFX_OPTION_INT, .max = STEP_MAX },
};

static bool gives(const VmafxInstance *instance, const VmafxShape *shape, size_t feature)
{
    (void)shape;
    return feature == 0 || instance->values[OPT_LCS] != 0;
}

static double in_unit(double score, const VmafxInstance *instance, const VmafxPassSetup *setup)
{
    return instance->values[OPT_DB] ? vmafx_ssim_db(score, instance->values[OPT_CLIP_DB] != 0, setup) : score;
}

/* ---- One scale ---- */

static const VmafxFeatureSpec ssim_features[] = {
    { .stored = "float_ssim", .report = "float_ssim" },
    { .stored = "float_ssim_l", .report = "float_ssim_l" },
    { .stored = "float_ssim_c", .report = "float_ssim_c" },
    { .stored = "float_ssim_s", .report = "float_ssim_s" },
};

typedef struct SsimPass {
    VmafxPassSetup setup;
    SsimRows rows;
    int step;
    float *table; /* of the low-pass: a mean */
    SsimImage small[2];
} SsimPass;

static int step_of(const VmafxInstance *instance, int w, int h)
{
    float ratio = (float)VMAFX_MIN(w, h) / (float)AUTO_SIDE;
    int step = (int)floorf(ratio) + (ratio - floorf(ratio) >= 0.5F);

    if (instance->values[OPT_SCALE] > 0)
        return (int)instance->values[OPT_SCALE];
    return VMAFX_MAX(step, 1);
}

static VmafxErr check_ssim(const VmafxInstance *instance, const VmafxShape *shape, VmafxErrInfo *reterr)
{
    int step = step_of(instance, shape->w, shape->h);
    int w = step > 1 ? vmafx_ssim_decimated(shape->w, step) : shape->w;
    int h = step > 1 ? vmafx_ssim_decimated(shape->h, step) : shape->h;

    if (w < VMAFX_SSIM_TAPS || h < VMAFX_SSIM_TAPS)
        return vmafx_fail(reterr, VMAFX_ERR_INVALID,
                          "feature 'float_ssim' needs pictures of at least %dx%d; %dx%d at a scale of %d are %dx%d",
                          VMAFX_SSIM_TAPS, VMAFX_SSIM_TAPS, shape->w, shape->h, step, w, h);
    return VMAFX_OK;
}

static void ssim_free(void *opaque)
{
    SsimPass *pass = opaque;

    vmafx_ssim_rows_done(&pass->rows);
    free(pass->table);
    free(pass->small[0].data);
    free(pass->small[1].data);
    free(pass);
}

static VmafxErr ssim_new(const VmafxPassSetup *setup, void **ret_pass)
{
    SsimPass *pass = calloc(1, sizeof *pass);

    if (!pass)
        return VMAFX_ERR_NOMEM;
    *ret_pass = pass;
    pass->setup = *setup;
    pass->step = step_of(setup->instances[0], setup->w, setup->h);
    VmafxErr err = vmafx_ssim_rows_init(&pass->rows, &setup->kernels->ssim, setup->w, pass->step / 2 + 1);
    if (err || pass->step == 1)
        return err;

    size_t taps = (size_t)pass->step * (size_t)pass->step;
    size_t samples =
        (size_t)vmafx_ssim_decimated(setup->w, pass->step) * (size_t)vmafx_ssim_decimated(setup->h, pass->step);
    pass->table = malloc(taps * sizeof *pass->table);
    for (int i = 0; i < 2; i++)
        pass->small[i].data = vmafx_alloc_aligned(samples, sizeof(float));
    if (!pass->table || !pass->small[0].data || !pass->small[1].data)
        return VMAFX_ERR_NOMEM;
    for (size_t i = 0; i < taps; i++)
        pass->table[i] = 1.0F / (float)taps;
    return VMAFX_OK;
}

static VmafxErr ssim_frame(void *opaque, const VmafxFrameInput *input, VmafxFeatureValues *ret_values)
{
    SsimPass *pass = opaque;
    const VmafxInstance *instance = pass->setup.instances[0];
    const SsimImage whole[2] = { { input->ref, NULL, input->ref->w, input->ref->h },
                                 { input->dis, NULL, input->dis->w, input->dis->h } };
    const SsimImage *images = pass->step > 1 ? pass->small : whole;

    for (int i = 0; pass->step > 1 && i < 2; i++)
        vmafx_ssim_decimate(&pass->rows, &whole[i], pass->step, pass->table, pass->step, &pass->small[i]);
    SsimMeans means = vmafx_ssim_means(&pass->rows, &images[0], &images[1]);

    ret_values[0][0] = in_unit((double)means.score, instance, &pass->setup);
    ret_values[0][1] = (double)means.l;
    ret_values[0][2] = (double)means.c;
    ret_values[0][3] = (double)means.s;
    return VMAFX_OK;
}

const VmafxExtractor vmafx_extractor_float_ssim = {
    .name = "float_ssim",
    .options = options,
    .n_options = VMAFX_LEN(options),
    .features = ssim_features,
    .n_features = VMAFX_LEN(ssim_features),
    .size_min = VMAFX_SSIM_TAPS,
    .check_shape = check_ssim,
    .gives = gives,
    .pass_new = ssim_new,
    .pass_free = ssim_free,
    .frame = ssim_frame,
};

/* ---- Five scales ---- */

#define NAMED(name)                                                                                                    \
    {                                                                                                                  \
        .stored = name, .report = name                                                                                 \
    }

static const VmafxFeatureSpec ms_features[] = {
    NAMED("float_ms_ssim"),          NAMED("float_ms_ssim_l_scale0"), NAMED("float_ms_ssim_l_scale1"),
    NAMED("float_ms_ssim_l_scale2"), NAMED("float_ms_ssim_l_scale3"), NAMED("float_ms_ssim_l_scale4"),
    NAMED("float_ms_ssim_c_scale0"), NAMED("float_ms_ssim_c_scale1"), NAMED("float_ms_ssim_c_scale2"),
    NAMED("float_ms_ssim_c_scale3"), NAMED("float_ms_ssim_c_scale4"), NAMED("float_ms_ssim_s_scale0"),
    NAMED("float_ms_ssim_s_scale1"), NAMED("float_ms_ssim_s_scale2"), NAMED("float_ms_ssim_s_scale3"),
    NAMED("float_ms_ssim_s_scale4"),
};

/* A quarter of the low-pass between scales, by distance from its middle; not the product of two filters. */
static const float quarter[MS_TAPS / 2 + 1][MS_TAPS / 2 + 1] = {
    { 0.363505F, 0.160885F, -0.047149F, -0.010146F, 0.016114F },
    { 0.160885F, 0.071207F, -0.020867F, -0.004490F, 0.007132F },
    { -0.047149F, -0.020867F, 0.006115F, 0.001316F, -0.002090F },
    { -0.010146F, -0.004490F, 0.001316F, 0.000283F, -0.000450F },
    { 0.016114F, 0.007132F, -0.002090F, -0.000450F, 0.000714F },
};

/* How much a scale counts: luminance at the last one only, contrast and structure alike. */
static const float alpha[SCALES] = { 0, 0, 0, 0, 0.1333F };
static const float beta[SCALES] = { 0.0448F, 0.2856F, 0.3001F, 0.2363F, 0.1333F };

typedef struct MsPass {
    VmafxPassSetup setup;
    SsimRows rows;
    float table[MS_TAPS * MS_TAPS];
    SsimImage images[2][SCALES]; /* the first of each is the frame's plane */
} MsPass;

/* The reference asks for 11 samples after halving with rounding down. */
static VmafxErr check_ms(const VmafxInstance *instance, const VmafxShape *shape, VmafxErrInfo *reterr)
{
    int least = VMAFX_SSIM_TAPS << (SCALES - 1);

    (void)instance;
    if (shape->w < least || shape->h < least)
        return vmafx_fail(reterr, VMAFX_ERR_INVALID,
                          "feature 'float_ms_ssim' needs pictures of at least %dx%d, not %dx%d", least, least, shape->w,
                          shape->h);
    return VMAFX_OK;
}

static void ms_free(void *opaque)
{
    MsPass *pass = opaque;

    vmafx_ssim_rows_done(&pass->rows);
    for (int i = 0; i < 2; i++)
        for (int k = 1; k < SCALES; k++)
            free(pass->images[i][k].data);
    free(pass);
}

static VmafxErr ms_new(const VmafxPassSetup *setup, void **ret_pass)
{
    MsPass *pass = calloc(1, sizeof *pass);

    if (!pass)
        return VMAFX_ERR_NOMEM;
    *ret_pass = pass;
    pass->setup = *setup;
    for (int i = 0; i < MS_TAPS; i++)
        for (int j = 0; j < MS_TAPS; j++)
            pass->table[i * MS_TAPS + j] = quarter[abs(i - MS_TAPS / 2)][abs(j - MS_TAPS / 2)];
    for (int i = 0; i < 2; i++)
        for (int k = 1, w = setup->w, h = setup->h; k < SCALES; k++) {
            w = vmafx_ssim_decimated(w, 2);
            h = vmafx_ssim_decimated(h, 2);
            pass->images[i][k].data = vmafx_alloc_aligned((size_t)w * (size_t)h, sizeof(float));
            if (!pass->images[i][k].data)
                return VMAFX_ERR_NOMEM;
        }
    return vmafx_ssim_rows_init(&pass->rows, &setup->kernels->ssim, setup->w, MS_TAPS / 2 + 1);
}

static VmafxErr ms_frame(void *opaque, const VmafxFrameInput *input, VmafxFeatureValues *ret_values)
{
    MsPass *pass = opaque;
    double score = 1;

    pass->images[0][0] = (SsimImage){ input->ref, NULL, input->ref->w, input->ref->h };
    pass->images[1][0] = (SsimImage){ input->dis, NULL, input->dis->w, input->dis->h };
    for (int k = 0; k < SCALES; k++) {
        for (int i = 0; k > 0 && i < 2; i++)
            vmafx_ssim_decimate(&pass->rows, &pass->images[i][k - 1], 2, pass->table, MS_TAPS, &pass->images[i][k]);
        SsimMeans means = vmafx_ssim_means(&pass->rows, &pass->images[0][k], &pass->images[1][k]);
        double l = (double)means.l, c = (double)means.c, s = (double)means.s;

        /* Where structure is opposite on the whole, its power is no number, and neither is the score. */
        score *= pow(l, (double)alpha[k]) * pow(c, (double)beta[k]) * pow(s, (double)beta[k]);
        ret_values[0][1 + k] = l;
        ret_values[0][1 + SCALES + k] = c;
        ret_values[0][1 + 2 * SCALES + k] = s;
    }
    ret_values[0][0] = in_unit(score, pass->setup.instances[0], &pass->setup);
    return isinf(score) ? VMAFX_ERR_INTERNAL : VMAFX_OK;
}

const VmafxExtractor vmafx_extractor_float_ms_ssim = {
    .name = "float_ms_ssim",
    .options = options,
    .n_options = OPT_SCALE,
    .features = ms_features,
    .n_features = VMAFX_LEN(ms_features),
    .size_min = VMAFX_SSIM_TAPS,
    .check_shape = check_ms,
    .gives = gives,
    .pass_new = ms_new,
    .pass_free = ms_free,
    .frame = ms_frame,
};

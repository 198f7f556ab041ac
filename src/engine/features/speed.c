/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * SpEED: how differently two pictures carry information in their coarse structure. speed_chroma compares the chroma
 * planes of a frame; speed_temporal compares what changes in luma from one frame to the next.
 *
 * A plane's score is the mean over blocks of | E · log2(w) − E' · log2(w') |, E the entropy of a block and w a weight
 * from its scale S; blocks that neither side would see are left out.
 */

#include <math.h>

#include "base/base.h"
#include "engine/extractor.h"
#include "engine/features/speed_plane.h"

enum {
    OPT_KERNEL,
    OPT_MAX,
    OPT_FLOOR,
    OPT_PRESCALE,
    OPT_METHOD,
    OPT_SIGMA,
    OPT_WEIGHT,                /* speed_chroma */
    OPT_REF_DIFF = OPT_WEIGHT, /* speed_temporal */
};

static const char *const methods[] = { "nearest", "bilinear", "bicubic", "lanczos4" };

#define COMMON_OPTIONS                                                                                                 \
    [OPT_KERNEL] = { "speed_kernelscale", "ks", VMAFX_OPTION_DOUBLE, 1, 0.1, 4, NULL },                                \
    [OPT_MAX] = { "speed_max_val", "mxv", VMAFX_OPTION_DOUBLE, 1000, 0, 1000, NULL },                                  \
    [OPT_FLOOR] = { "speed_nn_floor", "nnf", VMAFX_OPTION_DOUBLE, 0, 0, 1, NULL },                                     \
    [OPT_PRESCALE] = { "speed_prescale", "ps", VMAFX_OPTION_DOUBLE, 1, 0.1, 4, NULL },                                 \
    [OPT_METHOD] = { "speed_prescale_method", "psm", VMAFX_OPTION_WORD, 0, 0, VMAFX_LEN(methods) - 1, methods },       \
    [OPT_SIGMA] = { "speed_sigma_nn", "snn", VMAFX_OPTION_DOUBLE, 0.29, 0.1, 2, NULL }

static const VmafxOptionSpec chroma_options[] = {
    COMMON_OPTIONS,
    [OPT_WEIGHT] = { "speed_weight_var_mode", "wvm", VMAFX_OPTION_INT, 0, 0, 6, NULL },
};

static const VmafxOptionSpec temporal_options[] = {
    COMMON_OPTIONS,
    [OPT_REF_DIFF] = { "speed_use_ref_diff", "urd", VMAFX_OPTION_BOOL, 0, 0, 1, NULL },
};

enum { CHROMA_U, CHROMA_V, CHROMA_UV };

static const VmafxFeatureSpec chroma_features[] = {
    { .stored = "Speed_chroma_feature_speed_chroma_u_score", .report = "speed_chroma_u" },
    { .stored = "Speed_chroma_feature_speed_chroma_v_score", .report = "speed_chroma_v" },
    { .stored = "Speed_chroma_feature_speed_chroma_uv_score", .report = "speed_chroma_uv" },
};

static const VmafxFeatureSpec temporal_features[] = {
    { .stored = "Speed_temporal_feature_speed_temporal_score", .report = "speed_temporal" },
};

typedef struct SpeedPass {
    VmafxPassSetup setup;
    VmafxSpeedPlane *planes; /* by instance */
} SpeedPass;

/* ---- What is refused ---- */

static VmafxErr check(const VmafxInstance *instance, VmafxErrInfo *reterr)
{
    double kernel = instance->values[OPT_KERNEL];

    if (!vmafx_speed_kernel_scale_known((float)kernel))
        return vmafx_fail(reterr, VMAFX_ERR_FEATURE,
                          "option 'speed_kernelscale' of feature '%s' is %g; it is 1, 1/2, 3/2, 2, 2/3, 4/3, 5/3, 3 or "
                          "another of the ratios that docs/features.md lists",
                          instance->extractor->name, kernel);
    return VMAFX_OK;
}

/* The smallest size that is scaled to `wanted` samples. */
static int least_for(int wanted, double prescale)
{
    int n = (int)(wanted / prescale);

    while (n > 1 && vmafx_speed_scaled(n - 1, prescale) >= wanted)
        n--;
    while (vmafx_speed_scaled(n, prescale) < wanted)
        n++;
    return n;
}

static VmafxErr check_plane(const VmafxInstance *instance, const char *what, int w, int h, VmafxErrInfo *reterr)
{
    const char *name = instance->extractor->name;
    double prescale = instance->values[OPT_PRESCALE];
    int ws = vmafx_speed_scaled(w, prescale), hs = vmafx_speed_scaled(h, prescale);
    int least = least_for(VMAFX_SPEED_SIDE_MIN, prescale);

    if (ws < VMAFX_SPEED_SIDE_MIN || hs < VMAFX_SPEED_SIDE_MIN)
        return vmafx_fail(reterr, VMAFX_ERR_INVALID,
                          "feature '%s' needs %s of at least %dx%d with this speed_prescale, not %dx%d", name, what,
                          least, least, w, h);
    if (vmafx_speed_is_unscaled(prescale) && (ws > w || hs > h))
        return vmafx_fail(reterr, VMAFX_ERR_INVALID,
                          "feature '%s' cannot enlarge %s of %dx%d by a speed_prescale of %g, which is taken for 1; "
                          "leave it at 1",
                          name, what, w, h, prescale);
    return VMAFX_OK;
}

static VmafxErr chroma_check_shape(const VmafxInstance *instance, const VmafxShape *shape, VmafxErrInfo *reterr)
{
    int w, h;

    if (!shape->chroma)
        return vmafx_fail(reterr, VMAFX_ERR_INVALID,
                          "feature 'speed_chroma' compares chroma planes, and these pictures are grey; the VMAF v1 "
                          "models need it, vmaf_v0.6.1 does not");
    vmafx_shape_plane(shape, 1, &w, &h);
    return check_plane(instance, "chroma planes", w, h, reterr);
}

static VmafxErr temporal_check_shape(const VmafxInstance *instance, const VmafxShape *shape, VmafxErrInfo *reterr)
{
    return check_plane(instance, "pictures", shape->w, shape->h, reterr);
}

static bool reads_chroma(const VmafxInstance *instance)
{
    (void)instance;
    return true;
}

/* ---- The score of a plane ---- */

/* log2 of the two weights. What is a float sum here is one in the definition too. */
static void log_weights(int mode, float s, float t, double *ret_w, double *ret_v)
{
    double w = (double)(1 + s), v = (double)(1 + t), mean = 1 + (double)(s + t) / 2;

    switch (mode) {
    case 1:
        v = w;
        break;
    case 2:
        w = v;
        break;
    case 3:
        w = v = mean;
        break;
    case 4:
        v = mean;
        break;
    case 5:
        v = 1 + (0.75 * (double)s + 0.25 * (double)t);
        break;
    case 6:
        v = 1 + (0.25 * (double)s + 0.75 * (double)t);
        break;
    default:
        break;
    }
    *ret_w = log2(w);
    *ret_v = log2(v);
}

/* What a block without content would have; below it, a block is not seen. */
static float least_entropy(const VmafxInstance *instance)
{
    const float seen = (1 + (float)instance->values[OPT_FLOOR]) * (float)instance->values[OPT_SIGMA];

    return (float)(VMAFX_SPEED_N * (log2((double)seen) + VMAFX_SPEED_LOG2_2PI_E));
}

static float compare_blocks(const VmafxInstance *instance, int mode, const VmafxSpeedPlane *plane)
{
    const VmafxSpeedBlocks *ref = &plane->sides[0], *dis = &plane->sides[1];
    const float least = least_entropy(instance);
    float sum = 0;

    if (ref->singular != dis->singular)
        return 0;
    for (int j = 0; j < plane->n_blocks; j++) {
        double w, v;

        if (ref->entropy[j] < least && dis->entropy[j] < least)
            continue;
        log_weights(mode, ref->energy[j], dis->energy[j], &w, &v);
        float g = (float)((double)ref->entropy[j] * w), h = (float)((double)dis->entropy[j] * v);
        sum += fabsf(g - h);
    }
    return sum / (float)plane->n_blocks;
}

/* ---- The pass ---- */

static void pass_free(void *opaque)
{
    SpeedPass *pass = opaque;

    for (size_t i = 0; pass->planes && i < pass->setup.n_instances; i++)
        vmafx_speed_plane_done(&pass->planes[i]);
    free(pass->planes);
    free(pass);
}

static VmafxErr pass_new(const VmafxPassSetup *setup, int plane, void **ret_pass)
{
    const VmafxShape shape = { setup->w, setup->h, setup->bpc, setup->chroma };
    SpeedPass *pass = calloc(1, sizeof *pass);
    int w, h;

    if (!pass)
        return VMAFX_ERR_NOMEM;
    *ret_pass = pass;
    pass->setup = *setup;
    pass->planes = calloc(setup->n_instances, sizeof *pass->planes);
    if (!pass->planes)
        return VMAFX_ERR_NOMEM;
    vmafx_shape_plane(&shape, plane, &w, &h);
    for (size_t i = 0; i < setup->n_instances; i++) {
        const double *values = setup->instances[i]->values;
        const VmafxSpeedSettings settings = { values[OPT_PRESCALE], (VmafxSpeedMethod)values[OPT_METHOD],
                                              (float)values[OPT_KERNEL], (float)values[OPT_SIGMA] };
        VmafxErr err = vmafx_speed_plane_init(&pass->planes[i], setup->kernels, &settings, w, h);

        if (err)
            return err;
    }
    return VMAFX_OK;
}

static VmafxErr chroma_pass_new(const VmafxPassSetup *setup, void **ret_pass)
{
    return pass_new(setup, 1, ret_pass);
}

static VmafxErr temporal_pass_new(const VmafxPassSetup *setup, void **ret_pass)
{
    return pass_new(setup, 0, ret_pass);
}

static double limited(const VmafxInstance *instance, float score)
{
    const double most = instance->values[OPT_MAX];

    return (double)score < most ? (double)score : most;
}

static void measure_chroma(const VmafxInstance *instance, VmafxSpeedPlane *plane, const VmafxFrameInput *input,
                           double *values)
{
    float score[2];
    bool bad[2];

    for (int i = 0; i < 2; i++) {
        vmafx_speed_plane_measure(plane, &(VmafxSpeedSource){ &input->ref[1 + i], NULL }, 0);
        vmafx_speed_plane_measure(plane, &(VmafxSpeedSource){ &input->dis[1 + i], NULL }, 1);
        bad[i] = plane->sides[0].singular || plane->sides[1].singular;
        score[i] = compare_blocks(instance, (int)instance->values[OPT_WEIGHT], plane);
    }
    float both = bad[0] && !bad[1]   ? score[1]
                 : bad[1] && !bad[0] ? score[0]
                                     : (float)((double)(score[0] + score[1]) / 2);

    values[CHROMA_U] = limited(instance, score[0]);
    values[CHROMA_V] = limited(instance, score[1]);
    values[CHROMA_UV] = limited(instance, both);
}

static VmafxErr chroma_frame(void *opaque, const VmafxFrameInput *input, VmafxFeatureValues *ret_values)
{
    SpeedPass *pass = opaque;

    for (size_t i = 0; i < pass->setup.n_instances; i++)
        measure_chroma(pass->setup.instances[i], &pass->planes[i], input, ret_values[i]);
    return VMAFX_OK;
}

/* The reference does not apply speed_max_val here, though it is in the name. */
static VmafxErr temporal_frame(void *opaque, const VmafxFrameInput *input, VmafxFeatureValues *ret_values)
{
    SpeedPass *pass = opaque;

    for (size_t i = 0; i < pass->setup.n_instances; i++) {
        const VmafxInstance *instance = pass->setup.instances[i];
        VmafxSpeedPlane *plane = &pass->planes[i];

        ret_values[i][0] = 0;
        if (!input->earlier[0])
            continue;
        const VmafxPlane *minus = instance->values[OPT_REF_DIFF] ? input->ref : input->dis;
        vmafx_speed_plane_measure(plane, &(VmafxSpeedSource){ input->earlier[0], input->ref }, 0);
        vmafx_speed_plane_measure(plane, &(VmafxSpeedSource){ input->earlier_dis, minus }, 1);
        ret_values[i][0] = (double)compare_blocks(instance, 0, plane);
    }
    return VMAFX_OK;
}

static uint32_t temporal_context(const VmafxInstance *instance)
{
    (void)instance;
    return 1;
}

const VmafxExtractor vmafx_extractor_speed_chroma = {
    .name = "speed_chroma",
    .options = chroma_options,
    .n_options = VMAFX_LEN(chroma_options),
    .features = chroma_features,
    .n_features = VMAFX_LEN(chroma_features),
    .size_min = 1, /* check_shape knows */
    .wide = true,
    .check = check,
    .check_shape = chroma_check_shape,
    .reads_chroma = reads_chroma,
    .pass_new = chroma_pass_new,
    .pass_free = pass_free,
    .frame = chroma_frame,
};

const VmafxExtractor vmafx_extractor_speed_temporal = {
    .name = "speed_temporal",
    .options = temporal_options,
    .n_options = VMAFX_LEN(temporal_options),
    .features = temporal_features,
    .n_features = VMAFX_LEN(temporal_features),
    .size_min = 1,
    .temporal = true,
    .reads_earlier_dis = true,
    .wide = true,
    .check = check,
    .check_shape = temporal_check_shape,
    .pass_new = temporal_pass_new,
    .pass_free = pass_free,
    .frame = temporal_frame,
    .context = temporal_context,
};

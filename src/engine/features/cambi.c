/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * CAMBI: how much banding a picture shows. Tandon et al., "CAMBI: contrast-aware multiscale banding index", 2021.
 */

#include <math.h>

#include "base/base.h"
#include "engine/extractor.h"
#include "engine/features/cambi_score.h"

#define SIDE_MIN 216 /* of the longer side */
#define TOPK     0.6 /* the default of both options of that meaning */

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

enum { DIS_SIDE = 0, REF_SIDE };

typedef struct CambiPass {
    VmafxPassSetup setup;
    CambiSettings *settings; /* by instance */
    CambiScratch scratch;
} CambiPass;

/* ---- CambiSettings ---- */

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

static void fill_visibility(const double *values, CambiSettings *ret)
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

static void fill_settings(const double *values, const VmafxShape *shape, CambiSettings *ret)
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
    CambiSettings s = { 0 };

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
    CambiSettings s = { 0 };

    fill_settings(instance->values, shape, &s);
    VmafxErr err = cambi_heatmaps_open(instance->path, s.w[DIS_SIDE], s.h[DIS_SIDE], s.window[DIS_SIDE],
                                       cambi_weight(s.n_contrasts), &maps, reterr);
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
    cambi_scratch_done(&pass->scratch);
    free(pass);
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
        CambiSettings *s = &pass->settings[i];

        fill_settings(setup->instances[i]->values, &shape, s);
        for (int side = 0; side < (setup->instances[i]->values[OPT_FULL_REF] != 0 ? 2 : 1); side++) {
            w = VMAFX_MAX(w, (size_t)s->w[side]);
            h = VMAFX_MAX(h, (size_t)s->h[side]);
        }
        codes = VMAFX_MAX(codes, (size_t)(s->code_max - s->code_min + 1));
    }
    return pass->settings ? cambi_scratch_init(&pass->scratch, &setup->kernels->cambi, w, h, codes) : VMAFX_ERR_NOMEM;
}

static VmafxErr frame(void *opaque, const VmafxFrameInput *input, VmafxFeatureValues *ret_values)
{
    CambiPass *pass = opaque;

    for (size_t i = 0; i < pass->setup.n_instances; i++) {
        const double *values = pass->setup.instances[i]->values;
        double dis = 0, ref = 0;
        uint32_t place = input->index / (uint32_t)pass->setup.subsample;
        VmafxErr err = cambi_score(&pass->scratch, &pass->settings[i], input->dis, DIS_SIDE,
                                   pass->setup.instances[i]->output, place, &dis, input->reterr);

        if (!err && values[OPT_FULL_REF] != 0)
            err =
                cambi_score(&pass->scratch, &pass->settings[i], input->ref, REF_SIDE, NULL, place, &ref, input->reterr);
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

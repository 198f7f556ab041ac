/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * ADM in binary32: detail loss (adm2), additive impairment (aim) and their mix (adm3); Li et al., "Image quality
 * assessment by separately evaluating detail losses and additive impairments", 2011. Rows as in the integer version:
 * wavelet of an output row, its split, and one row behind that what is left of it under masking.
 */

#include <math.h>
#include <string.h>

#include "base/base.h"
#include "engine/extractor.h"
#include "engine/features/adm_csf.h"
#include "engine/features/adm_window.h"
#include "engine/features/float_rows.h"

#define SCALES VMAFX_ADM_SCALES
#define BANDS  3 /* H, V, D */
#define RING   3
#define TAPS   4
#define PAD    4 /* samples beside a row; the wavelet needs 2, masking 1 */

enum {
    OPT_APPLY_HM,
    OPT_BYPASS_CM,
    OPT_CSF_DIAG_SCALE,
    OPT_CSF_MODE,
    OPT_CSF_SCALE,
    OPT_DLM_WEIGHT,
    OPT_GAIN_LIMIT,
    OPT_F1,
    OPT_F2 = OPT_F1 + SCALES,
    OPT_MIN_VAL = OPT_F2 + SCALES,
    OPT_NOISE_WEIGHT,
    OPT_VIEW_DISTANCE,
    OPT_P_NORM,
    OPT_DISPLAY_HEIGHT,
    OPT_SKIP_AIM_SCALE,
    OPT_SKIP_SCALE0,
    OPT_DEBUG,
};

static const VmafxOptionSpec options[] = {
    [OPT_APPLY_HM] = { .name = "adm_adm3_apply_hm", .alias = "aah", .type = VMAFX_OPTION_BOOL, .max = 1 },
    [OPT_BYPASS_CM] = { "adm_bypass_cm", "bcm", VMAFX_OPTION_INT, 0, 0, 1, NULL },
    [OPT_CSF_DIAG_SCALE] = { "adm_csf_diag_scale", "scfd", VMAFX_OPTION_DOUBLE, 1, 0, 50, NULL },
    [OPT_CSF_MODE] = { "adm_csf_mode", "csf", VMAFX_OPTION_INT, 0, 0, 9, NULL },
    [OPT_CSF_SCALE] = { "adm_csf_scale", "scf", VMAFX_OPTION_DOUBLE, 1, 0, 50, NULL },
    [OPT_DLM_WEIGHT] = { "adm_dlm_weight", "dlmw", VMAFX_OPTION_DOUBLE, 0.5, 0, 1, NULL },
    [OPT_GAIN_LIMIT] = { "adm_enhn_gain_limit", "egl", VMAFX_OPTION_DOUBLE, 100, 1, 100, NULL },
    [OPT_F1] = { "adm_f1s0", "f1s0", VMAFX_OPTION_DOUBLE, -1, -1, 10, NULL },
    [OPT_F1 + 1] = { "adm_f1s1", "f1s1", VMAFX_OPTION_DOUBLE, -1, -1, 10, NULL },
    [OPT_F1 + 2] = { "adm_f1s2", "f1s2", VMAFX_OPTION_DOUBLE, -1, -1, 10, NULL },
    [OPT_F1 + 3] = { "adm_f1s3", "f1s3", VMAFX_OPTION_DOUBLE, -1, -1, 10, NULL },
    [OPT_F2] = { "adm_f2s0", "f2s0", VMAFX_OPTION_DOUBLE, -1, -1, 10, NULL },
    [OPT_F2 + 1] = { "adm_f2s1", "f2s1", VMAFX_OPTION_DOUBLE, -1, -1, 10, NULL },
    [OPT_F2 + 2] = { "adm_f2s2", "f2s2", VMAFX_OPTION_DOUBLE, -1, -1, 10, NULL },
    [OPT_F2 + 3] = { "adm_f2s3", "f2s3", VMAFX_OPTION_DOUBLE, -1, -1, 10, NULL },
    [OPT_MIN_VAL] = { "adm_min_val", "min", VMAFX_OPTION_DOUBLE, 0, 0, 1, NULL },
    [OPT_NOISE_WEIGHT] = { "adm_noise_weight", "nw", VMAFX_OPTION_DOUBLE, 0.03125, 0, 1500, NULL },
    [OPT_VIEW_DISTANCE] = { "adm_norm_view_dist", "nvd", VMAFX_OPTION_DOUBLE, 3, 0.75, 24, NULL },
    [OPT_P_NORM] = { "adm_p_norm", "apn", VMAFX_OPTION_DOUBLE, 3, 1, 20, NULL },
    /* the alias is the reference's; the integer version's is rdh */
    [OPT_DISPLAY_HEIGHT] = { "adm_ref_display_height", "rdf", VMAFX_OPTION_INT, 1080, 1, 4320, NULL },
    [OPT_SKIP_AIM_SCALE] = { "adm_skip_aim_scale", "sasc", VMAFX_OPTION_INT, -1, 0, 3, NULL },
    [OPT_SKIP_SCALE0] = { .name = "adm_skip_scale0", .alias = "ssz", .type = VMAFX_OPTION_BOOL, .max = 1 },
    [OPT_DEBUG] = { .name = "debug", .type = VMAFX_OPTION_BOOL, .max = 1 },
};

enum { ADM2, AIM, ADM3, ADM_SCALE, ADM = ADM_SCALE + SCALES, ADM_NUM, ADM_DEN, NUM_DEN };

static const VmafxFeatureSpec features[] = {
    { .stored = "VMAF_feature_adm2_score", .report = "adm2" },
    { .stored = "VMAF_feature_aim_score", .report = "aim" },
    { .stored = "VMAF_feature_adm3_score", .report = "adm3" },
    { .stored = "VMAF_feature_adm_scale0_score", .report = "adm_scale0" },
    { .stored = "VMAF_feature_adm_scale1_score", .report = "adm_scale1" },
    { .stored = "VMAF_feature_adm_scale2_score", .report = "adm_scale2" },
    { .stored = "VMAF_feature_adm_scale3_score", .report = "adm_scale3" },
    { .stored = "adm", .report = "adm", .debug = true, .plain = true },
    { .stored = "adm_num", .report = "adm_num", .debug = true },
    { .stored = "adm_den", .report = "adm_den", .debug = true },
    { .stored = "adm_num_scale0", .report = "adm_num_scale0", .debug = true },
    { .stored = "adm_den_scale0", .report = "adm_den_scale0", .debug = true },
    { .stored = "adm_num_scale1", .report = "adm_num_scale1", .debug = true },
    { .stored = "adm_den_scale1", .report = "adm_den_scale1", .debug = true },
    { .stored = "adm_num_scale2", .report = "adm_num_scale2", .debug = true },
    { .stored = "adm_den_scale2", .report = "adm_den_scale2", .debug = true },
    { .stored = "adm_num_scale3", .report = "adm_num_scale3", .debug = true },
    { .stored = "adm_den_scale3", .report = "adm_den_scale3", .debug = true },
};

static const float low_taps[TAPS] = { 0.482962913144690F, 0.836516303737469F, 0.224143868041857F, -0.129409522550921F };
static const float high_taps[TAPS] = { -0.129409522550921F, -0.224143868041857F, 0.836516303737469F,
                                       -0.482962913144690F };

enum { DLM, AIM_PART, PARTS };

/* One part of one instance: a ring of three rows. Index -1 is valid. */
typedef struct Part {
    float *bands[RING][BANDS];  /* r for DLM, a for AIM */
    float *weight[RING][BANDS]; /* their magnitude after the CSF, which masks the other part */
    float sums[BANDS];
} Part;

typedef struct InstanceState {
    VmafxAdmCsf csf;
    Part parts[PARTS];
    float den_sums[BANDS];
    float num[SCALES], den[SCALES], aim[SCALES];
} InstanceState;

typedef struct AdmPass {
    VmafxPassSetup setup;
    float *low[2][2];       /* by picture: low-pass bands of even and odd scales, whole */
    float *source;          /* a row of samples */
    float *down[2];         /* a row filtered down: low, high; padded */
    float *bands[2][BANDS]; /* by picture: one row */
    float *threshold;
    InstanceState *instances;
    float *rows; /* what all rows lie in */
} AdmPass;

typedef struct Image {
    const VmafxPlane *plane; /* NULL: data */
    float *data;
    int w, h;
} Image;

/* The reflection of wavelet and masking: the first sample comes once, the last one twice. */
static int reflect(int i, int n)
{
    return i < 0 ? -i : i >= n ? 2 * n - 1 - i : i;
}

/* ---- Gains ---- */

static VmafxErr csf_of(const VmafxInstance *instance, VmafxAdmCsf *ret_csf, VmafxErrInfo *reterr)
{
    const double *v = instance->values;
    int mode = (int)v[OPT_CSF_MODE];
    VmafxAdmCsfSettings settings = { mode == 1 ? 1 : 0, v[OPT_VIEW_DISTANCE], (int)v[OPT_DISPLAY_HEIGHT],
                                     v[OPT_CSF_SCALE], v[OPT_CSF_DIAG_SCALE] };
    VmafxErr err = vmafx_adm_csf(&settings, ret_csf, reterr);

    for (int s = 0; !err && s < SCALES; s++) {
        if (mode == 2) {
            float rho = (float)(v[OPT_VIEW_DISTANCE] * v[OPT_DISPLAY_HEIGHT] * M_PI / 180);
            float nu = rho / (float)(2 << s), nu_d = (float)((double)nu / 0.7);

            ret_csf->hv[s] = (float)((0.31 + 0.69 * (double)nu) * exp(-0.29 * (double)nu));
            ret_csf->d[s] = (float)((0.31 + 0.69 * (double)nu_d) * exp(-0.29 * (double)nu_d));
        }
        if (v[OPT_F1 + s] >= 0)
            ret_csf->hv[s] = (float)v[OPT_F1 + s];
        if (v[OPT_F2 + s] >= 0)
            ret_csf->d[s] = (float)v[OPT_F2 + s];
    }
    return err;
}

/* ---- The pass ---- */

static void pass_free(void *opaque)
{
    AdmPass *pass = opaque;

    for (int i = 0; i < 4; i++)
        free(pass->low[i / 2][i % 2]);
    free(pass->instances);
    free(pass->rows);
    free(pass);
}

/* Hands out padded rows one after the other. */
typedef struct RowMaker {
    float *next;
    size_t stride;
} RowMaker;

static float *take_row(RowMaker *maker)
{
    float *row = maker->next + PAD;

    maker->next += maker->stride;
    return row;
}

static void hand_out_rows(AdmPass *pass, RowMaker maker)
{
    pass->source = take_row(&maker);
    pass->threshold = take_row(&maker);
    for (int i = 0; i < 2; i++) {
        pass->down[i] = take_row(&maker);
        for (int b = 0; b < BANDS; b++)
            pass->bands[i][b] = take_row(&maker);
    }
    for (size_t i = 0; i < pass->setup.n_instances; i++)
        for (int p = 0; p < PARTS; p++)
            for (int r = 0; r < RING; r++)
                for (int b = 0; b < BANDS; b++) {
                    pass->instances[i].parts[p].bands[r][b] = take_row(&maker);
                    pass->instances[i].parts[p].weight[r][b] = take_row(&maker);
                }
}

static VmafxErr pass_new(const VmafxPassSetup *setup, void **ret_pass)
{
    size_t n_rows = 2 + 2 * (1 + BANDS) + setup->n_instances * PARTS * RING * BANDS * 2;
    size_t stride = ((size_t)setup->w + 2 * PAD + 15) / 16 * 16;
    AdmPass *pass = calloc(1, sizeof *pass);

    if (!pass)
        return VMAFX_ERR_NOMEM;
    *ret_pass = pass;
    pass->setup = *setup;
    pass->instances = calloc(setup->n_instances, sizeof *pass->instances);
    pass->rows = vmafx_alloc_aligned(n_rows * stride, sizeof(float));
    if (!pass->instances || !pass->rows)
        return VMAFX_ERR_NOMEM;
    hand_out_rows(pass, (RowMaker){ pass->rows, stride });
    for (int i = 0, w = vmafx_adm_half(setup->w), h = vmafx_adm_half(setup->h); i < 2;
         i++, w = vmafx_adm_half(w), h = vmafx_adm_half(h))
        for (int picture = 0; picture < 2; picture++) {
            pass->low[picture][i] = vmafx_alloc_aligned((size_t)w * (size_t)h, sizeof(float));
            if (!pass->low[picture][i])
                return VMAFX_ERR_NOMEM;
        }
    for (size_t i = 0; i < setup->n_instances; i++) {
        VmafxErr err = csf_of(setup->instances[i], &pass->instances[i].csf, NULL);
        if (err)
            return err;
    }
    return VMAFX_OK;
}

/* ---- Wavelet ---- */

static const float *image_row(const AdmPass *pass, const Image *image, int y)
{
    if (!image->plane)
        return image->data + (size_t)y * (size_t)image->w;
    vmafx_float_row(image->plane, y, pass->source);
    return pass->source;
}

static void analyse_along(const float *row, const float *taps, int n, float *restrict ret)
{
    for (int x = 0; x < n; x++) {
        float sum = 0;
        for (int t = 0; t < TAPS; t++)
            sum = sum + taps[t] * row[2 * x - 1 + t];
        ret[x] = sum;
    }
}

/* Output row y of all bands of one picture; low NULL: the last scale. */
static void analyse_row(const AdmPass *pass, const Image *image, int y, float *const bands[BANDS], float *low)
{
    float *restrict lo = pass->down[0], *restrict hi = pass->down[1];
    int w = image->w, n = vmafx_adm_half(w);

    memset(lo, 0, (size_t)w * sizeof *lo);
    memset(hi, 0, (size_t)w * sizeof *hi);
    for (int t = 0; t < TAPS; t++) {
        const float *restrict from = image_row(pass, image, reflect(2 * y - 1 + t, image->h));
        const float lo_tap = low_taps[t], hi_tap = high_taps[t];

        for (int x = 0; x < w; x++) {
            lo[x] = lo[x] + lo_tap * from[x];
            hi[x] = hi[x] + hi_tap * from[x];
        }
    }
    for (int i = 0; i < 2; i++) {
        float *row = pass->down[i];

        row[-1] = row[1];
        row[w] = row[w - 1];
        row[w + 1] = row[w - 2];
    }
    if (low)
        analyse_along(pass->down[0], low_taps, n, low);
    analyse_along(pass->down[1], low_taps, n, bands[0]);
    analyse_along(pass->down[0], high_taps, n, bands[1]);
    analyse_along(pass->down[1], high_taps, n, bands[2]);
}

/* ---- The split ---- */

/* Whether the change at a place is one of contrast only: less than a degree in the plane of H and V. */
static bool is_aligned(float o_h, float o_v, float t_h, float t_v)
{
    const float cos_1deg_squared = 0x1.ffd814p-1F;
    float p = o_h * t_h + o_v * t_v, o = o_h * o_h + o_v * o_v, t = t_h * t_h + t_v * t_v;

    return p >= 0 && p * p >= (cos_1deg_squared * o) * t;
}

static float restored(float o, float t, bool aligned, double limit)
{
    float k = t / (o + 1e-30F);

    k = k < 0 ? 0 : k > 1 ? 1 : k;
    float r = k * o;
    if (aligned && r > 0)
        r = (float)fmin((double)r * limit, (double)t);
    if (aligned && r < 0)
        r = (float)fmax((double)r * limit, (double)t);
    return r;
}

static void split_row(const AdmPass *pass, InstanceState *state, double limit, int scale, int slot, int n)
{
    float *const *o = pass->bands[0], *const *t = pass->bands[1];
    Part *dlm = &state->parts[DLM], *aim = &state->parts[AIM_PART];

    for (int x = 0; x < n; x++) {
        bool aligned = is_aligned(o[0][x], o[1][x], t[0][x], t[1][x]);

        for (int b = 0; b < BANDS; b++) {
            float gain = b < 2 ? state->csf.hv[scale] : state->csf.d[scale];
            float r = restored(o[b][x], t[b][x], aligned, limit), a = t[b][x] - r;

            dlm->bands[slot][b][x] = r;
            aim->bands[slot][b][x] = a;
            dlm->weight[slot][b][x] = fabsf(gain * r);
            aim->weight[slot][b][x] = fabsf(gain * a);
        }
    }
    for (int p = 0; p < PARTS; p++)
        for (int b = 0; b < BANDS; b++) {
            float *row = state->parts[p].weight[slot][b];

            row[-1] = row[1];
            row[n] = row[n - 1];
        }
}

/* ---- Energies ---- */

static float power(float m, float p)
{
    return p == 3 ? m * m * m : powf(m, p);
}

/* How much of row y is hidden by the other part, whose rows lie in the ring. */
static void mask_row(const Part *masker, const VmafxAdmWindow *win, int y, float *restrict ret)
{
    for (int x = win->left; x < win->right; x++)
        ret[x] = 0;
    for (int b = 0; b < BANDS; b++)
        for (int x = win->left; x < win->right; x++) {
            float sum = 0;

            for (int i = -1; i <= 1; i++) {
                const float *row = masker->weight[reflect(y + i, win->h) % RING][b];
                for (int j = -1; j <= 1; j++)
                    sum = i || j ? sum + (float)(0.0333333351 * (double)row[x + j])
                                 : (float)((double)sum + 0.0666666701 * (double)row[x]);
            }
            ret[x] = ret[x] + sum;
        }
}

/* Adds row y's visible energy. */
static void add_row(const AdmPass *pass, const VmafxInstance *instance, const VmafxAdmCsf *csf, Part *part,
                    const Part *masker, const VmafxAdmWindow *win, int scale, int y)
{
    const float p = (float)instance->values[OPT_P_NORM];
    float *threshold = pass->threshold;

    if (instance->values[OPT_BYPASS_CM] != 0)
        memset(threshold, 0, (size_t)win->w * sizeof *threshold);
    else
        mask_row(masker, win, y, threshold);
    for (int b = 0; b < BANDS; b++) {
        const float *band = part->bands[y % RING][b], gain = b < 2 ? csf->hv[scale] : csf->d[scale];
        float sum = 0;

        for (int x = win->left; x < win->right; x++) {
            float m = fabsf(gain * band[x]) - threshold[x];
            sum = sum + power(m > 0 ? m : 0, p);
        }
        part->sums[b] = part->sums[b] + sum;
    }
}

static void add_reference_row(const AdmPass *pass, const VmafxInstance *instance, InstanceState *state,
                              const VmafxAdmWindow *win, int scale)
{
    const float p = (float)instance->values[OPT_P_NORM];

    for (int b = 0; b < BANDS; b++) {
        const float *o = pass->bands[0][b], gain = b < 2 ? state->csf.hv[scale] : state->csf.d[scale];
        float sum = 0;

        for (int x = win->left; x < win->right; x++)
            sum = sum + power(fabsf(gain * o[x]), p);
        state->den_sums[b] = state->den_sums[b] + sum;
    }
}

static float pooled(const float sums[BANDS], const VmafxAdmWindow *win, double noise, double p_norm)
{
    float root = (float)(1 / p_norm);
    float area = (float)((win->bottom - win->top) * (double)(win->right - win->left) * noise);
    float floor_ = powf(area, root), total = 0;

    for (int b = 0; b < BANDS; b++)
        total = total + (powf(sums[b], root) + floor_);
    return total;
}

/* ---- Scales ---- */

static void begin_scale(AdmPass *pass)
{
    for (size_t i = 0; i < pass->setup.n_instances; i++) {
        InstanceState *state = &pass->instances[i];

        memset(state->den_sums, 0, sizeof state->den_sums);
        for (int p = 0; p < PARTS; p++)
            memset(state->parts[p].sums, 0, sizeof state->parts[p].sums);
    }
}

static void end_scale(AdmPass *pass, const VmafxAdmWindow *win, int scale)
{
    for (size_t i = 0; i < pass->setup.n_instances; i++) {
        const double *v = pass->setup.instances[i]->values;
        InstanceState *state = &pass->instances[i];

        if (scale == 0 && v[OPT_SKIP_SCALE0] != 0) {
            state->num[0] = state->aim[0] = 0;
            state->den[0] = 1e-10F;
            continue;
        }
        state->num[scale] = pooled(state->parts[DLM].sums, win, v[OPT_NOISE_WEIGHT], v[OPT_P_NORM]);
        state->aim[scale] = pooled(state->parts[AIM_PART].sums, win, 0, v[OPT_P_NORM]);
        state->den[scale] = pooled(state->den_sums, win, v[OPT_NOISE_WEIGHT], v[OPT_P_NORM]);
    }
}

/* Both parts of all instances, of the row before the last that was split. */
static void add_rows(AdmPass *pass, const VmafxAdmWindow *win, int scale, int y)
{
    for (size_t i = 0; y >= win->top && y < win->bottom && i < pass->setup.n_instances; i++) {
        InstanceState *state = &pass->instances[i];

        for (int p = 0; p < PARTS; p++)
            add_row(pass, pass->setup.instances[i], &state->csf, &state->parts[p], &state->parts[1 - p], win, scale, y);
    }
}

static void measure_scale(AdmPass *pass, const Image images[2], int scale, float *const low[2])
{
    VmafxAdmWindow win = vmafx_adm_window(vmafx_adm_half(images[0].w), vmafx_adm_half(images[0].h));

    begin_scale(pass);
    for (int y = 0; y < win.h; y++) {
        for (int i = 0; i < 2; i++)
            analyse_row(pass, &images[i], y, pass->bands[i], low[i] ? low[i] + (size_t)y * (size_t)win.w : NULL);
        for (size_t i = 0; i < pass->setup.n_instances; i++) {
            const VmafxInstance *instance = pass->setup.instances[i];

            split_row(pass, &pass->instances[i], instance->values[OPT_GAIN_LIMIT], scale, y % RING, win.w);
            if (y >= win.top && y < win.bottom)
                add_reference_row(pass, instance, &pass->instances[i], &win, scale);
        }
        add_rows(pass, &win, scale, y - 1);
    }
    add_rows(pass, &win, scale, win.h - 1);
    end_scale(pass, &win, scale);
}

static void fill_values(const VmafxInstance *instance, const InstanceState *state, double area, double *values)
{
    const double *v = instance->values;
    double num = 0, den = 0, aim = 0, aim_den = 0, least = 1e-10 * area / (1920.0 * 1080.0);

    for (int s = 0; s < SCALES; s++) {
        num += (double)state->num[s];
        den += (double)state->den[s];
        if (s != (int)v[OPT_SKIP_AIM_SCALE]) {
            aim += (double)state->aim[s];
            aim_den += (double)state->den[s];
        }
        values[ADM_SCALE + s] = (double)state->num[s] / (double)state->den[s];
        values[NUM_DEN + 2 * s] = (double)state->num[s];
        values[NUM_DEN + 2 * s + 1] = (double)state->den[s];
    }
    num = num < least ? 0 : num;
    den = den < least ? 0 : den;
    double adm2 = den == 0 ? 1 : num / den, additive = aim / aim_den;
    additive = additive < 1 ? additive : 1;
    double adm3 = v[OPT_APPLY_HM] != 0 ? 2 * adm2 * additive / (adm2 + additive)
                                       : adm2 * v[OPT_DLM_WEIGHT] + (1 - additive) * (1 - v[OPT_DLM_WEIGHT]);
    values[ADM2] = values[ADM] = adm2;
    values[AIM] = additive;
    values[ADM3] = adm3 > v[OPT_MIN_VAL] ? adm3 : v[OPT_MIN_VAL];
    values[ADM_NUM] = num;
    values[ADM_DEN] = den;
}

static VmafxErr frame(void *opaque, const VmafxFrameInput *input, VmafxFeatureValues *ret_values)
{
    AdmPass *pass = opaque;
    Image images[2] = { { input->ref, NULL, input->ref->w, input->ref->h },
                        { input->dis, NULL, input->dis->w, input->dis->h } };

    for (int s = 0; s < SCALES; s++) {
        float *const low[2] = { s + 1 < SCALES ? pass->low[0][s % 2] : NULL,
                                s + 1 < SCALES ? pass->low[1][s % 2] : NULL };

        measure_scale(pass, images, s, low);
        for (int i = 0; i < 2; i++)
            images[i] = (Image){ NULL, low[i], vmafx_adm_half(images[i].w), vmafx_adm_half(images[i].h) };
    }
    for (size_t i = 0; i < pass->setup.n_instances; i++)
        fill_values(pass->setup.instances[i], &pass->instances[i], (double)input->ref->w * input->ref->h,
                    ret_values[i]);
    return VMAFX_OK;
}

static VmafxErr check(const VmafxInstance *instance, VmafxErrInfo *reterr)
{
    VmafxAdmCsf csf;

    return csf_of(instance, &csf, reterr);
}

const VmafxExtractor vmafx_extractor_float_adm = {
    .name = "float_adm",
    .options = options,
    .n_options = VMAFX_LEN(options),
    .features = features,
    .n_features = VMAFX_LEN(features),
    .size_min = 17,
    .check = check,
    .pass_new = pass_new,
    .pass_free = pass_free,
    .frame = frame,
};

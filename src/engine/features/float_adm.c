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
#define BANDS  VMAFX_FLOAT_ADM_BANDS
#define RING   3
#define TAPS   VMAFX_FLOAT_ADM_TAPS
#define PAD    16 /* samples beside a row: the wavelet needs 2, masking 1, and rows lie at multiples of 64 bytes */

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

enum { DLM, AIM_PART, PARTS };

/* Rows of one instance, in rings of three, and its sums. */
typedef struct InstanceState {
    VmafxAdmCsf csf;
    VmafxFloatAdmSplit parts[PARTS][RING]; /* what is restored, and the rest; index -1 is valid */
    float *reference[RING][BANDS];         /* its energy */
    float *visible[PARTS][BANDS];          /* the energy that is left of one row */
    float sums[PARTS][BANDS], den_sums[BANDS];
    float num[SCALES], den[SCALES], aim[SCALES];
} InstanceState;

typedef struct AdmPass {
    VmafxPassSetup setup;
    VmafxFloatRing rings[2]; /* by picture: rows of samples */
    float *low[2][2];        /* by picture: low-pass bands of even and odd scales, whole */
    float *last_low;         /* a row that nobody reads */
    float *down[2];          /* a row filtered down: low, high; padded */
    float *bands[2][BANDS];  /* by picture: one row */
    InstanceState *instances;
    float *rows; /* what all of these rows lie in */
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
    for (int i = 0; i < 2; i++)
        vmafx_float_ring_done(&pass->rings[i]);
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

static void hand_out_rows(AdmPass *pass, RowMaker *maker)
{
    pass->last_low = take_row(maker);
    for (int i = 0; i < 2; i++) {
        pass->down[i] = take_row(maker);
        for (int b = 0; b < BANDS; b++)
            pass->bands[i][b] = take_row(maker);
    }
    for (size_t i = 0; i < pass->setup.n_instances; i++) {
        InstanceState *state = &pass->instances[i];

        for (int b = 0; b < BANDS; b++)
            for (int r = 0; r < RING; r++) {
                state->reference[r][b] = take_row(maker);
                for (int p = 0; p < PARTS; p++) {
                    state->parts[p][r].weight[b] = take_row(maker);
                    state->parts[p][r].spread[b] = take_row(maker);
                }
            }
        for (int p = 0; p < PARTS; p++)
            for (int b = 0; b < BANDS; b++)
                state->visible[p][b] = take_row(maker);
    }
}

static VmafxErr pass_new(const VmafxPassSetup *setup, void **ret_pass)
{
    size_t n_rows = 1 + 2 * (1 + BANDS) + setup->n_instances * BANDS * (RING * (1 + 2 * PARTS) + PARTS);
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
    hand_out_rows(pass, &(RowMaker){ pass->rows, stride });
    for (int i = 0; i < 2; i++)
        if (!vmafx_float_ring_init(&pass->rings[i], &setup->kernels->floats, setup->w, TAPS))
            return VMAFX_ERR_NOMEM;
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

static const float *image_row(AdmPass *pass, int which, const Image *image, int y)
{
    return image->plane ? vmafx_float_ring_row(&pass->rings[which], y) : image->data + (size_t)y * (size_t)image->w;
}

/* Output row y of all bands of one picture. */
static void analyse_row(AdmPass *pass, int which, const Image *image, int y, float *low)
{
    const VmafxFloatAdmKernels *k = &pass->setup.kernels->float_adm;
    const float *rows[TAPS];
    int w = image->w;

    for (int t = 0; t < TAPS; t++)
        rows[t] = image_row(pass, which, image, reflect(2 * y - 1 + t, image->h));
    k->wavelet_down(rows, w, pass->down[0], pass->down[1]);
    for (int i = 0; i < 2; i++) {
        float *row = pass->down[i];

        row[-1] = row[1];
        row[w] = row[w - 1];
        row[w + 1] = row[w - 2];
    }
    k->wavelet_along(pass->down[0], pass->down[1], vmafx_adm_half(w), low, pass->bands[which]);
}

/* ---- The split ---- */

static void split_row(const AdmPass *pass, const VmafxInstance *instance, InstanceState *state, int scale, int slot,
                      int n)
{
    const float hv = state->csf.hv[scale], d = state->csf.d[scale];
    const VmafxFloatAdmGains gains = { { hv, hv, d }, instance->values[OPT_GAIN_LIMIT] };

    pass->setup.kernels->float_adm.split((const float *const *)pass->bands[0], (const float *const *)pass->bands[1], n,
                                         &gains, &state->parts[DLM][slot], &state->parts[AIM_PART][slot]);
    for (int p = 0; p < PARTS; p++)
        for (int b = 0; b < BANDS; b++) {
            float *row = state->parts[p][slot].spread[b];

            row[-1] = row[1];
            row[n] = row[n - 1];
        }
}

/* ---- Energies ---- */

/* Kernels raise to the third power. */
static bool is_cubic(const VmafxInstance *instance)
{
    return (float)instance->values[OPT_P_NORM] == 3;
}

static void raise_row(const VmafxInstance *instance, const VmafxAdmWindow *win, float *row)
{
    const float p = (float)instance->values[OPT_P_NORM];

    for (int x = win->left; !is_cubic(instance) && x < win->right; x++)
        row[x] = powf(row[x], p);
}

static void weigh_reference_row(const AdmPass *pass, const VmafxInstance *instance, InstanceState *state,
                                const VmafxAdmWindow *win, int scale, int slot)
{
    const int n = win->right - win->left;

    for (int b = 0; b < BANDS; b++) {
        float gain = b < 2 ? state->csf.hv[scale] : state->csf.d[scale], *row = state->reference[slot][b];

        pass->setup.kernels->float_adm.magnitude(pass->bands[0][b] + win->left, gain, n, is_cubic(instance),
                                                 row + win->left);
        raise_row(instance, win, row);
    }
}

/* The energy of row y that a part keeps under what the other part, whose rows lie in the ring, hides of it. */
static void mask_row(const AdmPass *pass, const VmafxInstance *instance, InstanceState *state, int part,
                     const VmafxAdmWindow *win, int y)
{
    const VmafxFloatAdmKernels *k = &pass->setup.kernels->float_adm;
    const VmafxFloatAdmSplit *own = &state->parts[part][y % RING];
    const int left = win->left, n = win->right - left;
    const bool cubed = is_cubic(instance);
    VmafxFloatAdmSplit masker[3];
    const float *weight[BANDS];
    float *ret[BANDS];

    for (int b = 0; b < BANDS; b++) {
        weight[b] = own->weight[b] + left;
        ret[b] = state->visible[part][b] + left;
        for (int i = 0; i < 3; i++) {
            const VmafxFloatAdmSplit *other = &state->parts[1 - part][reflect(y + i - 1, win->h) % RING];
            masker[i].weight[b] = other->weight[b] + left;
            masker[i].spread[b] = other->spread[b] + left;
        }
    }
    if (instance->values[OPT_BYPASS_CM] == 0)
        k->visible((const VmafxFloatAdmSplit *const[]){ &masker[0], &masker[1], &masker[2] }, weight, n, cubed, ret);
    for (int b = 0; b < BANDS; b++) {
        if (instance->values[OPT_BYPASS_CM] != 0)
            k->magnitude(weight[b], 1, n, cubed, ret[b]);
        raise_row(instance, win, state->visible[part][b]);
    }
}

/* Adds row y's energies: of both parts, and of the reference. */
static void add_row(const AdmPass *pass, InstanceState *state, const VmafxAdmWindow *win, int y)
{
    enum { N = (PARTS + 1) * BANDS };
    const float *rows[N];
    float *to[N], sums[N];

    for (int b = 0; b < BANDS; b++) {
        for (int p = 0; p < PARTS; p++) {
            rows[p * BANDS + b] = state->visible[p][b] + win->left;
            to[p * BANDS + b] = &state->sums[p][b];
        }
        rows[PARTS * BANDS + b] = state->reference[y % RING][b] + win->left;
        to[PARTS * BANDS + b] = &state->den_sums[b];
    }
    pass->setup.kernels->floats.sum(rows, N, win->right - win->left, sums);
    for (int i = 0; i < N; i++)
        *to[i] = *to[i] + sums[i];
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

/* Whether an instance looks at what a scale holds. */
static bool looks_at(const VmafxInstance *instance, int scale)
{
    return scale > 0 || instance->values[OPT_SKIP_SCALE0] == 0;
}

static void begin_scale(AdmPass *pass)
{
    for (size_t i = 0; i < pass->setup.n_instances; i++) {
        InstanceState *state = &pass->instances[i];

        memset(state->den_sums, 0, sizeof state->den_sums);
        memset(state->sums, 0, sizeof state->sums);
    }
}

static void end_scale(AdmPass *pass, const VmafxAdmWindow *win, int scale)
{
    for (size_t i = 0; i < pass->setup.n_instances; i++) {
        const double *v = pass->setup.instances[i]->values;
        InstanceState *state = &pass->instances[i];

        if (!looks_at(pass->setup.instances[i], scale)) {
            state->num[0] = state->aim[0] = 0;
            state->den[0] = 1e-10F;
            continue;
        }
        state->num[scale] = pooled(state->sums[DLM], win, v[OPT_NOISE_WEIGHT], v[OPT_P_NORM]);
        state->aim[scale] = pooled(state->sums[AIM_PART], win, 0, v[OPT_P_NORM]);
        state->den[scale] = pooled(state->den_sums, win, v[OPT_NOISE_WEIGHT], v[OPT_P_NORM]);
    }
}

/* Row y of all instances, when the one below has been split. */
static void add_rows(AdmPass *pass, const VmafxAdmWindow *win, int scale, int y)
{
    for (size_t i = 0; y >= win->top && y < win->bottom && i < pass->setup.n_instances; i++) {
        const VmafxInstance *instance = pass->setup.instances[i];
        InstanceState *state = &pass->instances[i];

        if (!looks_at(instance, scale))
            continue;
        for (int p = 0; p < PARTS; p++)
            mask_row(pass, instance, state, p, win, y);
        add_row(pass, state, win, y);
    }
}

static void measure_scale(AdmPass *pass, const Image images[2], int scale, float *const low[2])
{
    VmafxAdmWindow win = vmafx_adm_window(vmafx_adm_half(images[0].w), vmafx_adm_half(images[0].h));

    begin_scale(pass);
    for (int y = 0; y < win.h; y++) {
        for (int i = 0; i < 2; i++)
            analyse_row(pass, i, &images[i], y, low[i] ? low[i] + (size_t)y * (size_t)win.w : pass->last_low);
        for (size_t i = 0; i < pass->setup.n_instances; i++) {
            const VmafxInstance *instance = pass->setup.instances[i];

            if (!looks_at(instance, scale))
                continue;
            split_row(pass, instance, &pass->instances[i], scale, y % RING, win.w);
            if (y >= win.top && y < win.bottom)
                weigh_reference_row(pass, instance, &pass->instances[i], &win, scale, y % RING);
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

    for (int i = 0; i < 2; i++)
        vmafx_float_ring_begin(&pass->rings[i], images[i].plane, TAPS);
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

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Integer ADM: detail loss (adm2), additive impairment (aim) and their mix (adm3).
 *
 * Per scale one pass over rows: wavelet of an output row; for every instance its split into restored and additive
 * part and the masking weights of both; then, one row behind because masking looks at 3×3 positions, the two
 * numerators. The denominator needs the reference alone and is shared. Only the low-pass band, the next scale's
 * input, is stored whole; everything else is a ring of three rows.
 */

#include <math.h>

#include "base/base.h"
#include "engine/extractor.h"
#include "engine/features/adm_csf.h"
#include "engine/features/adm_window.h"
#include "engine/features/rows.h"

#define SCALES VMAFX_ADM_SCALES
#define BANDS  VMAFX_ADM_BANDS
#define RING   3
#define THIRD  0x1.555556p-2f /* binary32 nearest to 1/3; powf with it is not cbrtf */
#define SPECIAL_DISPLAY                                                                                                \
    3240 /* view distance × display height with hand-made gains; smaller ones do not fit 16 bits                      \
          */

enum {
    OPT_CSF_DIAG_SCALE,
    OPT_CSF_MODE,
    OPT_CSF_SCALE,
    OPT_DLM_WEIGHT,
    OPT_GAIN_LIMIT,
    OPT_MIN_VAL,
    OPT_NOISE_WEIGHT,
    OPT_VIEW_DISTANCE,
    OPT_DISPLAY_HEIGHT,
    OPT_SKIP_AIM,
    OPT_SKIP_SCALE0,
    OPT_DEBUG,
};

static const VmafxOptionSpec options[] = {
    [OPT_CSF_DIAG_SCALE] = { "adm_csf_diag_scale", "scfd", VMAFX_OPTION_DOUBLE, 1, 0, 50, NULL },
    [OPT_CSF_MODE] = { "adm_csf_mode", "csf", VMAFX_OPTION_INT, 0, 0, 3, NULL },
    [OPT_CSF_SCALE] = { "adm_csf_scale", "scf", VMAFX_OPTION_DOUBLE, 1, 0, 50, NULL },
    [OPT_DLM_WEIGHT] = { "adm_dlm_weight", "dlmw", VMAFX_OPTION_DOUBLE, 0.5, 0, 1, NULL },
    [OPT_GAIN_LIMIT] = { "adm_enhn_gain_limit", "egl", VMAFX_OPTION_DOUBLE, 100, 1, 100, NULL },
    [OPT_MIN_VAL] = { "adm_min_val", "min", VMAFX_OPTION_DOUBLE, 0, 0, 1, NULL },
    [OPT_NOISE_WEIGHT] = { "adm_noise_weight", "nw", VMAFX_OPTION_DOUBLE, 0.03125, 0, 1500, NULL },
    [OPT_VIEW_DISTANCE] = { "adm_norm_view_dist", "nvd", VMAFX_OPTION_DOUBLE, 3, 0.75, 24, NULL },
    [OPT_DISPLAY_HEIGHT] = { "adm_ref_display_height", "rdh", VMAFX_OPTION_INT, 1080, 1, 4320, NULL },
    [OPT_SKIP_AIM] = { "adm_skip_aim", NULL, VMAFX_OPTION_BOOL, 0, 0, 1, NULL },
    [OPT_SKIP_SCALE0] = { "adm_skip_scale0", "ssz", VMAFX_OPTION_BOOL, 0, 0, 1, NULL },
    [OPT_DEBUG] = { "debug", NULL, VMAFX_OPTION_BOOL, 0, 0, 1, NULL },
};

enum { ADM2, AIM, ADM3, ADM_SCALE, ADM = ADM_SCALE + SCALES, ADM_NUM, ADM_DEN, NUM_DEN };

static const VmafxFeatureSpec features[] = {
    { "VMAF_integer_feature_adm2_score", "integer_adm2", false, false, false, false },
    { "VMAF_integer_feature_aim_score", "integer_aim", false, false, false, false },
    { "VMAF_integer_feature_adm3_score", "integer_adm3", false, false, false, false },
    { "integer_adm_scale0", "integer_adm_scale0", false, false, false, false },
    { "integer_adm_scale1", "integer_adm_scale1", false, false, false, false },
    { "integer_adm_scale2", "integer_adm_scale2", false, false, false, false },
    { "integer_adm_scale3", "integer_adm_scale3", false, false, false, false },
    { "integer_adm", "integer_adm", true, false, false, false },
    { "integer_adm_num", "integer_adm_num", true, false, false, false },
    { "integer_adm_den", "integer_adm_den", true, false, false, false },
    { "integer_adm_num_scale0", "integer_adm_num_scale0", true, false, false, false },
    { "integer_adm_den_scale0", "integer_adm_den_scale0", true, false, false, false },
    { "integer_adm_num_scale1", "integer_adm_num_scale1", true, false, false, false },
    { "integer_adm_den_scale1", "integer_adm_den_scale1", true, false, false, false },
    { "integer_adm_num_scale2", "integer_adm_num_scale2", true, false, false, false },
    { "integer_adm_den_scale2", "integer_adm_den_scale2", true, false, false, false },
    { "integer_adm_num_scale3", "integer_adm_num_scale3", true, false, false, false },
    { "integer_adm_den_scale3", "integer_adm_den_scale3", true, false, false, false },
};

/* The two ways of reading the split: the restored part masked by the additive one, and the reverse. */
enum { DLM, AIM_PART, PARTS };

/* One part of one instance: a ring of three rows of everything the masking looks back at. Index -1 is valid. */
typedef struct PartRows {
    int32_t *bands[RING][BANDS];        /* r for DLM, a for AIM */
    int32_t *n[RING], *z_minus_n[RING]; /* weights of these bands, used to mask the other part */
    int64_t sums[BANDS];                /* S of the numerator so far */
} PartRows;

typedef struct InstanceRows {
    VmafxAdmCsf csf;
    PartRows parts[PARTS];
    float num[SCALES], den[SCALES], aim[SCALES];
} InstanceRows;

typedef struct AdmPass {
    VmafxPassSetup setup;
    void *low[2][2];        /* by picture: low-pass bands of even and odd scales, whole; 16 bits at scale 0, else 32 */
    int32_t *lo[2], *hi[2]; /* by picture: one vertically filtered row, padded */
    int32_t *bands[2][BANDS]; /* by picture: one row */
    InstanceRows *instances;
    int32_t *rows; /* what all rows lie in */
} AdmPass;

static int ceil_log2(int64_t n)
{
    return n > 1 ? 64 - __builtin_clzll((uint64_t)n - 1) : 0;
}

static VmafxErr csf_of(const VmafxInstance *instance, VmafxAdmCsf *ret_csf, VmafxErrInfo *reterr)
{
    const double *values = instance->values;
    VmafxAdmCsfSettings settings = { (int)values[OPT_CSF_MODE], values[OPT_VIEW_DISTANCE],
                                     (int)values[OPT_DISPLAY_HEIGHT], values[OPT_CSF_SCALE],
                                     values[OPT_CSF_DIAG_SCALE] };

    return vmafx_adm_csf(&settings, ret_csf, reterr);
}

static VmafxErr check(const VmafxInstance *instance, VmafxErrInfo *reterr)
{
    double distance = instance->values[OPT_VIEW_DISTANCE], height = instance->values[OPT_DISPLAY_HEIGHT];
    VmafxAdmCsf csf;

    if (distance * height < SPECIAL_DISPLAY)
        return vmafx_fail(reterr, VMAFX_ERR_FEATURE,
                          "feature 'adm' cannot stand adm_norm_view_dist %g with adm_ref_display_height %g: their "
                          "product must be at least %d",
                          distance, height, SPECIAL_DISPLAY);
    return csf_of(instance, &csf, reterr);
}

static void pass_free(void *opaque)
{
    AdmPass *pass = opaque;

    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 2; j++)
            free(pass->low[i][j]);
    free(pass->instances);
    free(pass->rows);
    free(pass);
}

/* Hands out padded rows one after the other. */
typedef struct RowMaker {
    int32_t *next;
    size_t stride;
} RowMaker;

#define ROW_PAD 8 /* on either side; the wavelet needs 2, masking 1 */

static int32_t *take_row(RowMaker *maker)
{
    int32_t *row = maker->next + ROW_PAD;

    maker->next += maker->stride;
    return row;
}

static void part_rows_init(PartRows *part, RowMaker *maker)
{
    for (int i = 0; i < RING; i++) {
        for (int b = 0; b < BANDS; b++)
            part->bands[i][b] = take_row(maker);
        part->n[i] = take_row(maker);
        part->z_minus_n[i] = take_row(maker);
    }
}

static VmafxErr instance_rows_init(InstanceRows *rows, const VmafxInstance *instance, RowMaker *maker)
{
    for (int p = 0; p < PARTS; p++)
        part_rows_init(&rows->parts[p], maker);
    return csf_of(instance, &rows->csf, NULL);
}

static VmafxErr pass_new(const VmafxPassSetup *setup, void **ret_pass)
{
    AdmPass *pass = calloc(1, sizeof *pass);
    size_t n_rows = 2 * (2 + BANDS) + setup->n_instances * PARTS * RING * (BANDS + 2);
    RowMaker maker = { .stride = ((size_t)setup->w + 2 * ROW_PAD + 15) / 16 * 16 };

    if (!pass)
        return VMAFX_ERR_NOMEM;
    *ret_pass = pass;
    pass->setup = *setup;
    pass->instances = calloc(setup->n_instances, sizeof *pass->instances);
    pass->rows = maker.next = vmafx_alloc_aligned(n_rows, maker.stride * sizeof(int32_t));
    if (!pass->instances || !pass->rows)
        return VMAFX_ERR_NOMEM;

    for (int i = 0; i < 2; i++) {
        size_t w = (size_t)vmafx_adm_half(setup->w), h = (size_t)vmafx_adm_half(setup->h);

        for (int j = 0; j < 2; j++) {
            pass->low[i][j] = vmafx_alloc_aligned(w * h, sizeof(int32_t));
            if (!pass->low[i][j])
                return VMAFX_ERR_NOMEM;
            w = (w + 1) / 2;
            h = (h + 1) / 2;
        }
        pass->lo[i] = take_row(&maker);
        pass->hi[i] = take_row(&maker);
        for (int b = 0; b < BANDS; b++)
            pass->bands[i][b] = take_row(&maker);
    }
    for (size_t i = 0; i < setup->n_instances; i++) {
        VmafxErr err = instance_rows_init(&pass->instances[i], setup->instances[i], &maker);
        if (err)
            return err;
    }
    return VMAFX_OK;
}

/* The wavelet reflects without repeating the first sample, but repeats the last. */
static int wavelet_index(int i, int n)
{
    return i < 0 ? 1 : i >= n ? 2 * n - 1 - i : i;
}

/* The same for the three columns that the horizontal filter reads beyond a row. */
#define REFLECT(row, n)                                                                                                \
    do {                                                                                                               \
        (row)[-1] = (row)[1];                                                                                          \
        (row)[n] = (row)[(n)-1];                                                                                       \
        (row)[(n) + 1] = (row)[(n)-2];                                                                                 \
    } while (0)

/* One output row of one picture at one scale. `in` is the picture at scale 0, else the low-pass band before. Rows of 16
   bits, of scale 0, lie where those of 32 bits do. */
static void wavelet_row(const AdmPass *pass, int picture, int scale, const VmafxPlane *in, int y, void *ret_a)
{
    static const int horz_shift[SCALES] = { 16, 15, 16, 15 };
    const VmafxAdmKernels *k = &pass->setup.kernels->adm;
    int32_t *lo = pass->lo[picture], *hi = pass->hi[picture];
    int16_t *fine_lo = (int16_t *)lo, *fine_hi = (int16_t *)hi;
    const void *rows[4];
    int w = in->w;

    for (int i = 0; i < 4; i++)
        rows[i] = vmafx_plane_row(in, wavelet_index(2 * y - 1 + i, in->h));
    for (int i = 3; i < 5; i++) /* of the next output row */
        vmafx_prefetch_row(in, 2 * y + i, 0, (ptrdiff_t)w * ((in->bpc + 7) / 8));
    if (scale == 0) {
        if (in->bpc == 8)
            k->dwt_vert8((const uint8_t *const *)rows, w, fine_lo, fine_hi);
        else
            k->dwt_vert16((const uint16_t *const *)rows, in->bpc, w, fine_lo, fine_hi);
        REFLECT(fine_lo, w);
        REFLECT(fine_hi, w);
        k->dwt_horz_fine(fine_lo, fine_hi, vmafx_adm_half(w), ret_a, pass->bands[picture]);
        return;
    }
    if (scale == 1)
        k->dwt_vert_second((const int16_t *const *)rows, w, lo, hi);
    else
        k->dwt_vert((const int32_t *const *)rows, w, lo, hi);
    REFLECT(lo, w);
    REFLECT(hi, w);
    k->dwt_horz(lo, hi, horz_shift[scale], vmafx_adm_half(w), ret_a, pass->bands[picture]);
}

static VmafxAdmGains gains_of(const VmafxInstance *instance, const VmafxAdmCsf *csf, int scale,
                              const VmafxAdmWindow *win)
{
    double product = instance->values[OPT_VIEW_DISTANCE] * instance->values[OPT_DISPLAY_HEIGHT];
    float hv = csf->hv[scale], d = csf->d[scale];
    int c = ceil_log2(win->w);
    VmafxAdmGains gains;

    if (scale > 0) {
        gains.r[VMAFX_ADM_H] = (uint32_t)(uint64_t)((double)hv * 0x1p32);
        gains.r[VMAFX_ADM_D] = (uint32_t)(uint64_t)((double)d * 0x1p32);
        gains.cube_shift[VMAFX_ADM_H] = gains.cube_shift[VMAFX_ADM_D] = c;
    } else {
        bool special = instance->values[OPT_CSF_MODE] == 0 && fabs(product - SPECIAL_DISPLAY) < 1e-8;
        gains.r[VMAFX_ADM_H] = special ? 36453 : (uint16_t)(uint64_t)((double)hv * 0x1p21);
        gains.r[VMAFX_ADM_D] = special ? 49417 : (uint16_t)(uint64_t)((double)d * 0x1p23);
        gains.cube_shift[VMAFX_ADM_H] = VMAFX_MAX(c - 4, 0);
        gains.cube_shift[VMAFX_ADM_D] = VMAFX_MAX(c - 3, 0);
    }
    gains.r[VMAFX_ADM_V] = gains.r[VMAFX_ADM_H];
    gains.cube_shift[VMAFX_ADM_V] = gains.cube_shift[VMAFX_ADM_H];
    return gains;
}

/* Columns and rows that the window and its 3×3 neighbourhoods touch. */
static int first_touched(int start)
{
    return VMAFX_MAX(start - 1, 0);
}

static int last_touched(int end, int size)
{
    return VMAFX_MIN(end, size - 1);
}

/* Splits the row and weighs both parts into the ring. */
static void split_row(const AdmPass *pass, InstanceRows *rows, const VmafxInstance *instance,
                      const VmafxAdmGains *gains, int scale, const VmafxAdmWindow *win, int y)
{
    const VmafxAdmKernels *k = &pass->setup.kernels->adm;
    int x0 = first_touched(win->left), n = last_touched(win->right, win->w) + 1 - x0, slot = y % RING;
    const int32_t *o[BANDS], *t[BANDS];
    int32_t *r[BANDS], *a[BANDS];

    for (int b = 0; b < BANDS; b++) {
        o[b] = pass->bands[0][b] + x0;
        t[b] = pass->bands[1][b] + x0;
        r[b] = rows->parts[DLM].bands[slot][b] + x0;
        a[b] = rows->parts[AIM_PART].bands[slot][b] + x0;
    }
    k->decouple[scale > 0](o, t, n, instance->values[OPT_GAIN_LIMIT], r, a);

    for (int p = 0; p < PARTS; p++) {
        if (p == DLM && instance->values[OPT_SKIP_AIM])
            continue; /* the restored part masks nothing then */
        PartRows *part = &rows->parts[p];
        int32_t *n_row = part->n[slot];

        k->weigh[scale > 0]((const int32_t *const *)(p == DLM ? r : a), n, gains, n_row + x0,
                            part->z_minus_n[slot] + x0);
        if (x0 == 0)
            n_row[-1] = n_row[1];
        if (x0 + n == win->w)
            n_row[win->w] = n_row[win->w - 1];
    }
}

/* Adds row y of the window to the numerators; its neighbours are in the ring. */
static void numerator_row(const AdmPass *pass, InstanceRows *rows, const VmafxInstance *instance,
                          const VmafxAdmGains *gains, int scale, const VmafxAdmWindow *win, int y)
{
    int above = (y == 0 ? 1 : y - 1) % RING, below = (y + 1 == win->h ? y : y + 1) % RING, slot = y % RING;
    int row_shift = ceil_log2(win->h);
    uint64_t half = 1ull << row_shift >> 1;

    for (int p = 0; p < PARTS; p++) {
        if (p == AIM_PART && instance->values[OPT_SKIP_AIM])
            continue;
        PartRows *signal = &rows->parts[p];
        const PartRows *masker = &rows->parts[p == DLM ? AIM_PART : DLM];
        const int32_t *n_rows[3] = { masker->n[above] + win->left, masker->n[slot] + win->left,
                                     masker->n[below] + win->left };
        const int32_t *x[BANDS];
        int64_t row_sums[BANDS] = { 0 };

        for (int b = 0; b < BANDS; b++)
            x[b] = signal->bands[slot][b] + win->left;
        pass->setup.kernels->adm.numerator[scale > 0](x, n_rows, masker->z_minus_n[slot] + win->left,
                                                      win->right - win->left, gains, row_sums);
        for (int b = 0; b < BANDS; b++)
            signal->sums[b] =
                (int64_t)((uint64_t)signal->sums[b] + (uint64_t)((int64_t)((uint64_t)row_sums[b] + half) >> row_shift));
    }
}

/* Shifts of the denominator at one scale: of the square, of the cube, of the row sum; and the bits left over. */
typedef struct DenShifts {
    int square, cube, row, rest;
} DenShifts;

static DenShifts den_shifts(int scale, const VmafxAdmWindow *win)
{
    static const int square[SCALES] = { 0, 31, 30, 31 }, total[SCALES] = { 18, 32, 27, 23 };
    int cols = win->right - win->left, rows = win->bottom - win->top;

    if (scale == 0) {
        int g = VMAFX_MAX(0, ceil_log2((int64_t)cols * rows) - 20);
        return (DenShifts){ 0, 0, g, total[0] - g };
    }
    int b = ceil_log2(cols), e = ceil_log2(rows);
    return (DenShifts){ square[scale], b, e, total[scale] - e - b };
}

static void denominator_row(const AdmPass *pass, int scale, const VmafxAdmWindow *win, const DenShifts *shifts,
                            uint64_t sums[BANDS])
{
    const int32_t *o[BANDS];
    uint64_t row_sums[BANDS] = { 0 };

    for (int b = 0; b < BANDS; b++)
        o[b] = pass->bands[0][b] + win->left;
    pass->setup.kernels->adm.denominator[scale > 0](o, win->right - win->left, shifts->square, shifts->cube, row_sums);
    for (int b = 0; b < BANDS; b++)
        sums[b] += (row_sums[b] + (1ull << shifts->row >> 1)) >> shifts->row;
}

static float noise_term(const VmafxAdmWindow *win, double weight)
{
    int64_t area = (int64_t)(win->right - win->left) * (win->bottom - win->top);

    return powf((float)((double)area * weight), THIRD);
}

static float cube_root_sum(const float energy[BANDS], float noise)
{
    float h = powf(energy[VMAFX_ADM_H], THIRD) + noise, v = powf(energy[VMAFX_ADM_V], THIRD) + noise,
          d = powf(energy[VMAFX_ADM_D], THIRD) + noise, hv = h + v;

    return hv + d;
}

static float numerator_of(const int64_t sums[BANDS], const VmafxAdmGains *gains, int scale, const VmafxAdmWindow *win,
                          float noise)
{
    static const int fine_bits[BANDS] = { 52, 52, 57 }, coarse_bits[SCALES] = { 0, 45, 39, 36 };
    int e = ceil_log2(win->h);
    float energy[BANDS];

    for (int b = 0; b < BANDS; b++) {
        int bits = (scale > 0 ? coarse_bits[scale] : fine_bits[b]) - gains->cube_shift[b] - e;
        energy[b] = scale > 0 ? ldexpf((float)sums[b], -bits) : (float)ldexp((double)sums[b], -bits);
    }
    return cube_root_sum(energy, noise);
}

static float denominator_of(const uint64_t sums[BANDS], const VmafxAdmCsf *csf, int scale, const DenShifts *shifts,
                            float noise)
{
    float energy[BANDS];

    for (int b = 0; b < BANDS; b++) {
        double gain = (double)(b == VMAFX_ADM_D ? csf->d[scale] : csf->hv[scale]);
        energy[b] = (float)(ldexp((double)sums[b], -shifts->rest) * pow(gain, 3));
    }
    return cube_root_sum(energy, noise);
}

static bool counts(const VmafxInstance *instance, int scale)
{
    return scale > 0 || !instance->values[OPT_SKIP_SCALE0];
}

static void scale_results(const AdmPass *pass, int scale, const VmafxAdmWindow *win, const VmafxAdmGains *gains,
                          const DenShifts *shifts, const uint64_t den_sums[BANDS])
{
    for (size_t i = 0; i < pass->setup.n_instances; i++) {
        const VmafxInstance *instance = pass->setup.instances[i];
        InstanceRows *rows = &pass->instances[i];
        float noise = noise_term(win, instance->values[OPT_NOISE_WEIGHT]);

        if (!counts(instance, scale)) {
            rows->num[scale] = rows->aim[scale] = 0;
            rows->den[scale] = 1e-10f;
            continue;
        }
        rows->num[scale] = numerator_of(rows->parts[DLM].sums, &gains[i], scale, win, noise);
        rows->den[scale] = denominator_of(den_sums, &rows->csf, scale, shifts, noise);
        rows->aim[scale] =
            instance->values[OPT_SKIP_AIM] ? 0 : numerator_of(rows->parts[AIM_PART].sums, &gains[i], scale, win, 0);
    }
}

/* Of a value of a scale's low-pass band. */
static size_t low_bytes(int scale)
{
    return scale ? sizeof(int32_t) : sizeof(int16_t);
}

static void measure_scale(const AdmPass *pass, const VmafxPlane *ref, const VmafxPlane *dis, int scale)
{
    VmafxAdmWindow win = vmafx_adm_window(vmafx_adm_half(ref->w), vmafx_adm_half(ref->h));
    int first = first_touched(win.top), last = last_touched(win.bottom, win.h);
    DenShifts shifts = den_shifts(scale, &win);
    VmafxAdmGains gains[VMAFX_INSTANCES_MAX];
    uint64_t den_sums[BANDS] = { 0 };

    for (size_t i = 0; i < pass->setup.n_instances; i++) {
        gains[i] = gains_of(pass->setup.instances[i], &pass->instances[i].csf, scale, &win);
        for (int p = 0; p < PARTS; p++)
            for (int b = 0; b < BANDS; b++)
                pass->instances[i].parts[p].sums[b] = 0;
    }

    for (int y = 0; y < win.h; y++) {
        size_t at = (size_t)y * (size_t)win.w * low_bytes(scale);

        wavelet_row(pass, 0, scale, ref, y, (char *)pass->low[0][scale % 2] + at);
        wavelet_row(pass, 1, scale, dis, y, (char *)pass->low[1][scale % 2] + at);
        if (y < first || y > last)
            continue;
        if (y >= win.top && y < win.bottom)
            denominator_row(pass, scale, &win, &shifts, den_sums);
        for (size_t i = 0; i < pass->setup.n_instances; i++) {
            const VmafxInstance *instance = pass->setup.instances[i];
            InstanceRows *rows = &pass->instances[i];

            if (!counts(instance, scale))
                continue;
            split_row(pass, rows, instance, &gains[i], scale, &win, y);
            if (y > win.top)
                numerator_row(pass, rows, instance, &gains[i], scale, &win, y - 1);
            if (y + 1 == win.bottom && win.bottom == win.h)
                numerator_row(pass, rows, instance, &gains[i], scale, &win, y);
        }
    }
    scale_results(pass, scale, &win, gains, &shifts, den_sums);
}

static void fill_values(const AdmPass *pass, size_t i, double *values)
{
    const VmafxInstance *instance = pass->setup.instances[i];
    const InstanceRows *rows = &pass->instances[i];
    double num = 0, den = 0, aim_num = 0, limit = 1e-10 * ((double)pass->setup.w * pass->setup.h) / 2073600;

    for (int s = 0; s < SCALES; s++) {
        num += (double)rows->num[s];
        den += (double)rows->den[s];
        aim_num += (double)rows->aim[s];
        values[ADM_SCALE + s] = (double)rows->num[s] / (double)rows->den[s];
        values[NUM_DEN + 2 * s] = (double)rows->num[s];
        values[NUM_DEN + 2 * s + 1] = (double)rows->den[s];
    }
    if (num < limit)
        num = 0;
    if (den < limit)
        den = 0;

    double adm2 = den == 0 ? 1 : num / den, aim = den == 0 ? 0 : aim_num / den;
    double weight = instance->values[OPT_DLM_WEIGHT];
    double adm3 = adm2 * weight + (1 - aim) * (1 - weight);

    values[ADM2] = values[ADM] = adm2;
    values[AIM] = aim;
    values[ADM3] = adm3 > instance->values[OPT_MIN_VAL] ? adm3 : instance->values[OPT_MIN_VAL];
    values[ADM_NUM] = num;
    values[ADM_DEN] = den;
}

static VmafxErr frame(void *opaque, const VmafxFrameInput *input, VmafxFeatureValues *ret_values)
{
    const AdmPass *pass = opaque;
    VmafxPlane ref = *input->ref, dis = *input->dis;

    for (int s = 0; s < SCALES; s++) {
        measure_scale(pass, &ref, &dis, s);
        int w = vmafx_adm_half(ref.w), h = vmafx_adm_half(ref.h);
        int bytes = (int)low_bytes(s);
        ref = (VmafxPlane){ pass->low[0][s % 2], w * (ptrdiff_t)bytes, w, h, 8 * bytes };
        dis = (VmafxPlane){ pass->low[1][s % 2], w * (ptrdiff_t)bytes, w, h, 8 * bytes };
    }
    for (size_t i = 0; i < pass->setup.n_instances; i++)
        fill_values(pass, i, ret_values[i]);
    return VMAFX_OK;
}

const VmafxExtractor vmafx_extractor_adm = {
    .name = "adm",
    .options = options,
    .n_options = VMAFX_LEN(options),
    .features = features,
    .n_features = VMAFX_LEN(features),
    .size_min = 33,
    .check = check,
    .wide = true,
    .pass_new = pass_new,
    .pass_free = pass_free,
    .frame = frame,
};

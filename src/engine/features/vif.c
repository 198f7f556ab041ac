/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Integer VIF: visual information fidelity at four scales. Rows go through the kernels one at a time; only the
 * pictures of scales 1 to 3 are stored whole. Instances differ in the gain limit, which touches one of four sums,
 * so all of them share everything else.
 */

#include <string.h>

#include "base/base.h"
#include "engine/extractor.h"
#include "engine/features/rows.h"

#define SCALES        4
#define ROWS          2 /* that are measured at a time: most of what a row needs, the next one needs too */
#define ROWS_OF_WORDS (ROWS * VMAFX_VIF_MOMENTS + 1)

static const VmafxVifFilter filters[SCALES] = {
    { 17, { 489, 935, 1640, 2640, 3896, 5274, 6547, 7455, 7784, 7455, 6547, 5274, 3896, 2640, 1640, 935, 489 } },
    { 9, { 1244, 3663, 7925, 12590, 14692, 12590, 7925, 3663, 1244 } },
    { 5, { 3571, 16004, 26386, 16004, 3571 } },
    { 3, { 10904, 43728, 10904 } },
};

enum { OPT_DEBUG, OPT_GAIN_LIMIT, OPT_SKIP_SCALE0 };

static const VmafxOptionSpec options[] = {
    [OPT_DEBUG] = { "debug", NULL, VMAFX_OPTION_BOOL, 0, 0, 1, NULL },
    [OPT_GAIN_LIMIT] = { "vif_enhn_gain_limit", "egl", VMAFX_OPTION_DOUBLE, 100, 1, 100, NULL },
    [OPT_SKIP_SCALE0] = { "vif_skip_scale0", "ssclz", VMAFX_OPTION_BOOL, 0, 0, 1, NULL },
};

enum { SCORE = 0, VIF = SCALES, VIF_NUM, VIF_DEN, NUM_DEN };

static const VmafxFeatureSpec features[] = {
    { "VMAF_integer_feature_vif_scale0_score", "integer_vif_scale0", false, false, false, false },
    { "VMAF_integer_feature_vif_scale1_score", "integer_vif_scale1", false, false, false, false },
    { "VMAF_integer_feature_vif_scale2_score", "integer_vif_scale2", false, false, false, false },
    { "VMAF_integer_feature_vif_scale3_score", "integer_vif_scale3", false, false, false, false },
    { "integer_vif", "integer_vif", true, false, false, false },
    { "integer_vif_num", "integer_vif_num", true, false, false, false },
    { "integer_vif_den", "integer_vif_den", true, false, false, false },
    { "integer_vif_num_scale0", "integer_vif_num_scale0", true, false, false, false },
    { "integer_vif_den_scale0", "integer_vif_den_scale0", true, false, false, false },
    { "integer_vif_num_scale1", "integer_vif_num_scale1", true, false, false, false },
    { "integer_vif_den_scale1", "integer_vif_den_scale1", true, false, false, false },
    { "integer_vif_num_scale2", "integer_vif_num_scale2", true, false, false, false },
    { "integer_vif_den_scale2", "integer_vif_den_scale2", true, false, false, false },
    { "integer_vif_num_scale3", "integer_vif_num_scale3", true, false, false, false },
    { "integer_vif_den_scale3", "integer_vif_den_scale3", true, false, false, false },
};

typedef struct VifPass {
    VmafxPassSetup setup;
    const uint16_t *log2_table;
    double limits[VMAFX_INSTANCES_MAX];
    bool wants_scale0;

    uint16_t *pictures[2][SCALES];    /* reference and distorted at scales 1 to 3, without padding */
    VmafxVifMoments moments[ROWS];    /* of neighbouring rows; a padded row each */
    uint16_t *down;                   /* one padded row */
    uint16_t *storage[ROWS_OF_WORDS]; /* what the rows above lie in */
} VifPass;

typedef struct ScaleSums {
    VmafxVifSums common;
    int64_t numlog[VMAFX_INSTANCES_MAX];
} ScaleSums;

static void pass_free(void *opaque)
{
    VifPass *pass = opaque;

    for (int i = 0; i < 2; i++)
        for (int s = 1; s < SCALES; s++)
            free(pass->pictures[i][s]);
    for (size_t i = 0; i < VMAFX_LEN(pass->storage); i++)
        free(pass->storage[i]);
    free(pass);
}

static VmafxErr pass_new(const VmafxPassSetup *setup, void **ret_pass)
{
    VifPass *pass = calloc(1, sizeof *pass);
    size_t w = (size_t)setup->w, h = (size_t)setup->h;

    if (!pass)
        return VMAFX_ERR_NOMEM;
    *ret_pass = pass;
    pass->setup = *setup;
    pass->log2_table = vmafx_vif_log2_table();
    for (size_t i = 0; i < setup->n_instances; i++) {
        pass->limits[i] = setup->instances[i]->values[OPT_GAIN_LIMIT];
        pass->wants_scale0 |= !setup->instances[i]->values[OPT_SKIP_SCALE0];
    }

    for (int i = 0; i < 2; i++)
        for (int s = 1; s < SCALES; s++) {
            pass->pictures[i][s] = vmafx_alloc_aligned((w >> s) * (h >> s), sizeof(uint16_t));
            if (!pass->pictures[i][s])
                return VMAFX_ERR_NOMEM;
        }
    for (size_t i = 0; i < VMAFX_LEN(pass->storage); i++) {
        pass->storage[i] = vmafx_alloc_aligned(w + 2 * VMAFX_VIF_PAD + VMAFX_VIF_SLACK, sizeof(uint16_t));
        if (!pass->storage[i])
            return VMAFX_ERR_NOMEM;
    }
    for (int i = 0; i < ROWS; i++)
        for (int j = 0; j < VMAFX_VIF_MOMENTS; j++)
            pass->moments[i].row[j] = pass->storage[i * VMAFX_VIF_MOMENTS + j] + VMAFX_VIF_PAD;
    pass->down = pass->storage[ROWS * VMAFX_VIF_MOMENTS] + VMAFX_VIF_PAD;
    return VMAFX_OK;
}

/* The rows under a filter centred on row y, and those that n_rows − 1 rows further down need besides. */
static void rows_around(const VmafxPlane *plane, const VmafxVifFilter *filter, int y, int n_rows, const void **ret_rows)
{
    for (int k = 0; k < filter->n + n_rows - 1; k++)
        ret_rows[k] = vmafx_plane_row(plane, vmafx_mirror(y + k - filter->n / 2, plane->h));
}

/* Asks for rows that filters will come to next. */
static void prefetch(const VmafxPlane *plane, int y, int n_rows)
{
    for (int i = 0; i < n_rows; i++)
        vmafx_prefetch_row(plane, y + i, 0, (ptrdiff_t)plane->w * (plane->bpc > 8 ? 2 : 1));
}

/* n_rows rows from y on, at most ROWS. */
static void measure_rows(const VifPass *pass, const VmafxPlane *ref, const VmafxPlane *dis, int scale, int y,
                         int n_rows, ScaleSums *sums)
{
    const VmafxVifKernels *k = &pass->setup.kernels->vif;
    const VmafxVifFilter *filter = &filters[scale];
    const void *r[VMAFX_VIF_TAPS_MAX + ROWS - 1], *d[VMAFX_VIF_TAPS_MAX + ROWS - 1];
    int w = ref->w, pad = filter->n / 2;

    prefetch(ref, y + pad + ROWS, ROWS);
    prefetch(dis, y + pad + ROWS, ROWS);
    rows_around(ref, filter, y, n_rows, r);
    rows_around(dis, filter, y, n_rows, d);
    if (ref->bpc == 8)
        k->vert8((const uint8_t *const *)r, (const uint8_t *const *)d, filter, w, n_rows, pass->moments);
    else
        k->vert16((const uint16_t *const *)r, (const uint16_t *const *)d, filter, ref->bpc, 2 * (ref->bpc - 8), w,
                  n_rows, pass->moments);
    for (int i = 0; i < n_rows; i++) {
        for (int j = 0; j < VMAFX_VIF_MOMENTS; j++)
            VMAFX_MIRROR_ROW(pass->moments[i].row[j], w, pad);
        k->measure(&pass->moments[i], filter, w, pass->log2_table, pass->limits, (int)pass->setup.n_instances,
                   &sums->common, sums->numlog);
    }
}

/* Row y / 2 of the next scale, from the rows around the even row y of this one. */
static void shrink_row(const VifPass *pass, const VmafxPlane *from, int next_scale, int y, uint16_t *ret_row)
{
    const VmafxVifKernels *k = &pass->setup.kernels->vif;
    const VmafxVifFilter *filter = &filters[next_scale];
    const void *rows[VMAFX_VIF_TAPS_MAX];
    rows_around(from, filter, y, 1, rows);
    if (from->bpc == 8)
        k->down_vert8((const uint8_t *const *)rows, filter, from->w, pass->down);
    else
        k->down_vert16((const uint16_t *const *)rows, filter, from->bpc, from->w, pass->down);
    VMAFX_MIRROR_ROW(pass->down, from->w, filter->n / 2);
    k->down_horz(pass->down, filter, from->w / 2, ret_row);
}

/* A scale: its sums, and the pictures of the next one from the same rows while they are near. */
static void measure_scale(const VifPass *pass, const VmafxPlane *ref, const VmafxPlane *dis, int scale, ScaleSums *sums)
{
    bool measured = scale > 0 || pass->wants_scale0;
    size_t next_w = (size_t)ref->w / 2;

    for (int y = 0; y < ref->h; y += ROWS) {
        int n_rows = VMAFX_MIN(ROWS, ref->h - y);

        if (measured)
            measure_rows(pass, ref, dis, scale, y, n_rows, sums);
        if (scale + 1 < SCALES && n_rows == ROWS) {
            shrink_row(pass, ref, scale + 1, y, pass->pictures[0][scale + 1] + (size_t)(y / 2) * next_w);
            shrink_row(pass, dis, scale + 1, y, pass->pictures[1][scale + 1] + (size_t)(y / 2) * next_w);
        }
    }
}

static void fill_values(const VmafxInstance *instance, size_t i, const ScaleSums *sums, double *values)
{
    double num_sum = 0, den_sum = 0;

    for (int s = 0; s < SCALES; s++) {
        double *num_out = &values[NUM_DEN + 2 * s], *den_out = num_out + 1;

        if (s == 0 && instance->values[OPT_SKIP_SCALE0]) {
            values[SCORE] = 0.0;
            *num_out = 0.0;
            *den_out = -1.0;
            continue;
        }
        const VmafxVifSums *common = &sums[s].common;
        float num = (float)((double)sums[s].numlog[i] / 2048.0 +
                            ((double)common->cnt - ((double)common->nonlog / 16384.0) / 65025.0));
        float den = (float)((double)common->denlog / 2048.0 + (double)common->cnt);
        values[SCORE + s] = (double)(num / den);
        *num_out = (double)num;
        *den_out = (double)den;
        num_sum += (double)num;
        den_sum += (double)den;
    }
    values[VIF_NUM] = num_sum;
    values[VIF_DEN] = den_sum;
    values[VIF] = den_sum == 0 ? 1.0 : num_sum / den_sum;
}

static VmafxErr frame(void *opaque, const VmafxFrameInput *input, VmafxFeatureValues *ret_values)
{
    const VifPass *pass = opaque;
    ScaleSums sums[SCALES] = { 0 };
    VmafxPlane ref = *input->ref, dis = *input->dis;

    for (int s = 0; s < SCALES; s++) {
        measure_scale(pass, &ref, &dis, s, &sums[s]);
        if (s + 1 == SCALES)
            break;
        int w = ref.w / 2, h = ref.h / 2;
        ref = (VmafxPlane){ pass->pictures[0][s + 1], w * (ptrdiff_t)sizeof(uint16_t), w, h, 16 };
        dis = (VmafxPlane){ pass->pictures[1][s + 1], w * (ptrdiff_t)sizeof(uint16_t), w, h, 16 };
    }
    for (size_t i = 0; i < pass->setup.n_instances; i++)
        fill_values(pass->setup.instances[i], i, sums, ret_values[i]);
    return VMAFX_OK;
}

const VmafxExtractor vmafx_extractor_vif = {
    .name = "vif",
    .options = options,
    .n_options = VMAFX_LEN(options),
    .features = features,
    .n_features = VMAFX_LEN(features),
    .size_min = 16,
    .wide = true,
    .pass_new = pass_new,
    .pass_free = pass_free,
    .frame = frame,
};

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * PSNR-HVS-M: blocks of 8 x 8 that overlap by a sample, transformed; differences of coefficients count by how well the
 * eye sees their frequency, less what the block's own texture masks.
 *
 * Ponomarenko et al., "On between-coefficient contrast masking of DCT basis functions", 2007, with an integer transform
 * of lifting steps. One binary32 sum runs over a whole plane, block after block: its rounding shows in the last digits,
 * so it stays one sum.
 */

#include <math.h>

#include "base/base.h"
#include "engine/extractor.h"
#include "engine/features/rows.h"

#define SIDE     VMAFX_HVS_SIDE
#define STEP     VMAFX_HVS_STEP
#define BPC_MAX  VMAFX_HVS_BPC_MAX
#define PLANES   3
#define TRIANGLE 36 /* numbers of a symmetric table */

static const VmafxFeatureSpec features[] = {
    { .stored = "psnr_hvs_y", .report = "psnr_hvs_y" },
    { .stored = "psnr_hvs_cb", .report = "psnr_hvs_cb" },
    { .stored = "psnr_hvs_cr", .report = "psnr_hvs_cr" },
    { .stored = "psnr_hvs", .report = "psnr_hvs" },
};

/* How well frequencies are seen: row i begins at column i, and the rest mirrors it. */
static const float sensitivity[PLANES][TRIANGLE] = {
    { /* luma */
      1.6193873005F,   2.2901594831F,   2.08509755623F,  1.48366094411F,  1.00227514334F,  0.678296995242F,
      0.466224900598F, 0.3265091542F,   1.94321815382F,  2.04793073064F,  1.68731108984F,  1.2305666963F,
      0.868920337363F, 0.61280991668F,  0.436405793551F, 1.34329019223F,  1.09205635862F,  0.875748795257F,
      0.670882927016F, 0.501731932449F, 0.372504254596F, 0.772819797575F, 0.605636379554F, 0.48309405692F,
      0.380429446972F, 0.295774038565F, 0.448996256676F, 0.352889268808F, 0.283006984131F, 0.226951348204F,
      0.27032073436F,  0.215017739696F, 0.17408067321F,  0.168869545842F, 0.136153931001F, 0.109083846276F },
    { /* Cb */
      1.91113096927F,  2.46074210438F,  1.18284184739F,  1.14982565193F,  1.05017074788F,  0.898018824055F,
      0.74725392039F,  0.615105596242F, 1.58529308355F,  1.21363250036F,  1.38190029285F,  1.33100189972F,
      1.17428548929F,  0.996404342439F, 0.830890433625F, 0.978712413627F, 1.02624506078F,  1.03145147362F,
      0.960060382087F, 0.849823426169F, 0.731221236837F, 0.861317501629F, 0.801821139099F, 0.751437590932F,
      0.685398513368F, 0.608694761374F, 0.676555426187F, 0.605503172737F, 0.55002013668F,  0.495804539034F,
      0.514674450957F, 0.454353482512F, 0.407050308965F, 0.389234902883F, 0.342353999733F, 0.295530605237F },
    { /* Cr */
      2.03871978502F,  2.62502345193F,  1.26180942886F,  1.11019789803F,  1.01397751469F,  0.867069376285F,
      0.721500455585F, 0.593906509971F, 1.69112867013F,  1.17180569821F,  1.3342742857F,   1.28513006198F,
      1.13381474809F,  0.962064122248F, 0.802254508198F, 0.944981930573F, 0.990876405848F, 0.995903384143F,
      0.926972725286F, 0.820534991409F, 0.706020324706F, 0.831632933426F, 0.77418706195F,  0.725539939514F,
      0.661776842059F, 0.587716619023F, 0.653238524286F, 0.584635025748F, 0.531064164893F, 0.478717061273F,
      0.496936637883F, 0.438694579826F, 0.393021669543F, 0.375820256136F, 0.330555063063F, 0.285345396658F },
};

typedef struct HvsPass {
    int bpc;
    const VmafxHvsKernels *k;
    VmafxHvsTables tables[PLANES];
} HvsPass;

static VmafxErr check_shape(const VmafxInstance *instance, const VmafxShape *shape, VmafxErrInfo *reterr)
{
    (void)instance;
    if (shape->bpc > BPC_MAX)
        return vmafx_fail(reterr, VMAFX_ERR_INVALID,
                          "feature 'psnr_hvs' is defined for at most %d bits per sample, not for %d", BPC_MAX,
                          shape->bpc);
    if (!shape->chroma)
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "feature 'psnr_hvs' reads chroma, and these pictures are grey");
    return VMAFX_OK;
}

static bool reads_chroma(const VmafxInstance *instance)
{
    (void)instance;
    return true;
}

static void fill_tables(int plane, VmafxHvsTables *ret)
{
    const double unit = 0.3885746225901003;
    const float *next = sensitivity[plane];

    for (int i = 0; i < SIDE; i++)
        for (int j = i; j < SIDE; j++, next++) {
            double c = (double)*next * unit;
            ret->seen[i][j] = ret->seen[j][i] = *next;
            ret->masks[i][j] = ret->masks[j][i] = (float)(c * c);
        }
}

static VmafxErr pass_new(const VmafxPassSetup *setup, void **ret_pass)
{
    HvsPass *pass = calloc(1, sizeof *pass);

    if (!pass)
        return VMAFX_ERR_NOMEM;
    pass->bpc = setup->bpc;
    pass->k = &setup->kernels->hvs;
    for (int p = 0; p < PLANES; p++)
        fill_tables(p, &pass->tables[p]);
    *ret_pass = pass;
    return VMAFX_OK;
}

/* A plane without a single block gives no number. */
static double plane_error(const VmafxHvsKernels *k, const VmafxPlane *ref, const VmafxPlane *dis,
                          const VmafxHvsTables *tables)
{
    const int32_t peak = (1 << ref->bpc) - 1, across = ref->w < SIDE ? 0 : (ref->w - 1) / STEP;
    int32_t n = 0;
    float sum = 0;

    for (int y = 0; y < ref->h - STEP; y += STEP) {
        const void *rows[2][SIDE];

        for (int i = 0; i < SIDE; i++) {
            rows[0][i] = vmafx_plane_row(ref, y + i);
            rows[1][i] = vmafx_plane_row(dis, y + i);
        }
        n += across * SIDE * SIDE;
        sum = ref->bpc == 8
                  ? k->row8((const uint8_t *const *)rows[0], (const uint8_t *const *)rows[1], across, tables, sum)
                  : k->row16((const uint16_t *const *)rows[0], (const uint16_t *const *)rows[1], across, tables, sum);
    }
    sum = sum / (float)n;
    sum = sum / (float)(peak * peak);
    return (double)sum;
}

static double decibels(double error)
{
    return 10 * (-1 * log10(error));
}

static VmafxErr frame(void *opaque, const VmafxFrameInput *input, VmafxFeatureValues *ret_values)
{
    const HvsPass *pass = opaque;
    double errors[PLANES];

    for (int p = 0; p < PLANES; p++) {
        errors[p] = plane_error(pass->k, &input->ref[p], &input->dis[p], &pass->tables[p]);
        ret_values[0][p] = decibels(errors[p]);
    }
    ret_values[0][PLANES] = decibels(errors[0] * 0.8 + 0.1 * (errors[1] + errors[2]));
    return VMAFX_OK;
}

const VmafxExtractor vmafx_extractor_psnr_hvs = {
    .name = "psnr_hvs",
    .features = features,
    .n_features = VMAFX_LEN(features),
    .size_min = 1,
    .check_shape = check_shape,
    .reads_chroma = reads_chroma,
    .pass_new = pass_new,
    .pass_free = free,
    .frame = frame,
};

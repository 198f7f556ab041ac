/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * PSNR of each plane, of a frame and of the whole clip:
 *
 *     sse  = Σ (ref − dis)²,  mse = sse / samples
 *     psnr = min(10 · log10(peak² / max(mse, 1e-16)), cap)     cap = 6 · bpc + 12, unless min_sse says otherwise
 *
 * Sums are exact. Those of the clip are kept by every pass on its own and added when it has ended: which worker had
 * which frame changes nothing.
 */

#include <math.h>

#include "base/base.h"
#include "engine/extractor.h"
#include "engine/features/rows.h"

#define PLANES 3

enum { OPT_APSNR, OPT_CHROMA, OPT_MSE, OPT_MIN_SSE, OPT_REDUCED_PEAK };

/* Names never say which of these were set. */
static const VmafxOptionSpec options[] = {
    [OPT_APSNR] = { .name = "enable_apsnr", .type = VMAFX_OPTION_BOOL, .max = 1 },
    [OPT_CHROMA] = { .name = "enable_chroma", .type = VMAFX_OPTION_BOOL, .initial = 1, .max = 1 },
    [OPT_MSE] = { .name = "enable_mse", .type = VMAFX_OPTION_BOOL, .max = 1 },
    [OPT_MIN_SSE] = { .name = "min_sse", .type = VMAFX_OPTION_DOUBLE, .max = 1.79769313486231570815e308 },
    [OPT_REDUCED_PEAK] = { .name = "reduced_hbd_peak", .type = VMAFX_OPTION_BOOL, .max = 1 },
};

/* Two per plane. */
static const VmafxFeatureSpec features[] = {
    { .stored = "psnr_y", .report = "psnr_y" },   { .stored = "mse_y", .report = "mse_y" },
    { .stored = "psnr_cb", .report = "psnr_cb" }, { .stored = "mse_cb", .report = "mse_cb" },
    { .stored = "psnr_cr", .report = "psnr_cr" }, { .stored = "mse_cr", .report = "mse_cr" },
};

static const char *const aggregate_names[PLANES] = { "apsnr_y", "apsnr_cb", "apsnr_cr" };

typedef struct PsnrPass {
    const VmafxInstance *instance; /* there is one: names do not tell several apart */
    const VmafxSseKernels *k;
    int n_planes;
    double peak2; /* squared */
    double cap[PLANES], samples[PLANES];
    uint64_t sse[PLANES], n[PLANES]; /* over all frames of this pass */
} PsnrPass;

static bool reads_chroma(const VmafxInstance *instance)
{
    return instance->values[OPT_CHROMA] != 0;
}

static bool gives(const VmafxInstance *instance, const VmafxShape *shape, size_t feature)
{
    return (feature < 2 || (reads_chroma(instance) && shape->chroma)) &&
           (feature % 2 == 0 || instance->values[OPT_MSE] != 0);
}

static VmafxErr check_shape(const VmafxInstance *instance, const VmafxShape *shape, VmafxErrInfo *reterr)
{
    int w, h;

    vmafx_shape_plane(shape, 1, &w, &h);
    if (reads_chroma(instance) && shape->chroma && (!w || !h))
        return vmafx_fail(reterr, VMAFX_ERR_INVALID,
                          "pictures of %dx%d have no chroma samples for feature 'psnr'; it goes without with "
                          "enable_chroma=false",
                          shape->w, shape->h);
    return VMAFX_OK;
}

static VmafxErr pass_new(const VmafxPassSetup *setup, void **ret_pass)
{
    const VmafxShape shape = { setup->w, setup->h, setup->bpc, setup->chroma };
    const VmafxInstance *instance = setup->instances[0];
    double min_sse = instance->values[OPT_MIN_SSE];
    PsnrPass *pass = calloc(1, sizeof *pass);

    if (!pass)
        return VMAFX_ERR_NOMEM;
    double peak = instance->values[OPT_REDUCED_PEAK] ? 255 << (setup->bpc - 8) : (1 << setup->bpc) - 1;
    pass->peak2 = peak * peak;
    pass->instance = instance;
    pass->k = &setup->kernels->sse;
    pass->n_planes = reads_chroma(instance) && setup->chroma ? PLANES : 1;
    for (int p = 0; p < PLANES; p++) {
        int w, h;

        vmafx_shape_plane(&shape, p, &w, &h);
        pass->samples[p] = (double)w * h;
        pass->cap[p] =
            min_sse == 0 ? 6 * setup->bpc + 12 : ceil(10 * log10(pass->peak2 / (min_sse / pass->samples[p])));
    }
    *ret_pass = pass;
    return VMAFX_OK;
}

static uint64_t squared_error(const VmafxSseKernels *k, const VmafxPlane *a, const VmafxPlane *b)
{
    uint64_t sum = 0;

    for (int y = 0; y < a->h; y++) {
        const void *row_a = vmafx_plane_row(a, y), *row_b = vmafx_plane_row(b, y);

        sum += a->bpc == 8    ? k->row8(row_a, row_b, a->w)
               : a->bpc <= 12 ? k->row12(row_a, row_b, a->w)
                              : k->row16(row_a, row_b, a->w);
    }
    return sum;
}

static VmafxErr frame(void *opaque, const VmafxFrameInput *input, VmafxFeatureValues *ret_values)
{
    PsnrPass *pass = opaque;

    for (int p = 0; p < pass->n_planes; p++) {
        uint64_t sse = squared_error(pass->k, &input->ref[p], &input->dis[p]);
        double mse = (double)sse / pass->samples[p];

        ret_values[0][2 * p] = fmin(10 * log10(pass->peak2 / fmax(mse, 1e-16)), pass->cap[p]);
        ret_values[0][2 * p + 1] = mse;
        pass->sse[p] += sse;
        pass->n[p] += (uint64_t)pass->samples[p];
    }
    return VMAFX_OK;
}

static size_t aggregate(void *const *passes, size_t n_passes, size_t i, double *ret_values)
{
    const PsnrPass *first = passes[0];

    (void)i;
    if (!first->instance->values[OPT_APSNR])
        return 0;
    for (int p = 0; p < PLANES; p++) {
        uint64_t sse = 0, n = 0;

        for (size_t j = 0; j < n_passes; j++) {
            sse += ((const PsnrPass *)passes[j])->sse[p];
            n += ((const PsnrPass *)passes[j])->n[p];
        }
        double a = 10 * (log10(first->peak2) + log10((double)n) - log10((double)sse));
        double most = ceil(10 * log10((double)((uint64_t)first->peak2 * n * 2))); /* modulo 2^64, as the reference */
        ret_values[p] = a < most ? a : most; /* a plane that was not looked at gives NaN, and then −infinity */
    }
    return PLANES;
}

const VmafxExtractor vmafx_extractor_psnr = {
    .name = "psnr",
    .options = options,
    .n_options = VMAFX_LEN(options),
    .features = features,
    .n_features = VMAFX_LEN(features),
    .size_min = 1,
    .temporal = true,
    .check_shape = check_shape,
    .reads_chroma = reads_chroma,
    .gives = gives,
    .pass_new = pass_new,
    .pass_free = free,
    .frame = frame,
    .aggregate = aggregate,
    .aggregate_names = aggregate_names,
};

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * PSNR of the luma on the scale of 8 bits, whatever the depth:
 *
 *     float_psnr = min(10 · log10(peak² / max(mse, 1e-10)), 6 · bpc + 12)      peak = 256 − 2^(8 − bpc)
 *
 * The reference rounds differences and their squares to binary32. Up to 12 bits both are exact, and so is their sum.
 */

#include <math.h>

#include "base/base.h"
#include "engine/extractor.h"
#include "engine/features/rows.h"

static const VmafxFeatureSpec features[] = { { .stored = "float_psnr", .report = "float_psnr" } };

typedef struct PsnrPass {
    VmafxPassSetup setup;
} PsnrPass;

static VmafxErr pass_new(const VmafxPassSetup *setup, void **ret_pass)
{
    PsnrPass *pass = calloc(1, sizeof *pass);

    if (!pass)
        return VMAFX_ERR_NOMEM;
    pass->setup = *setup;
    *ret_pass = pass;
    return VMAFX_OK;
}

static double add_row16(const uint16_t *a, const uint16_t *b, int n, double sum)
{
    for (int x = 0; x < n; x++) {
        float d = (float)a[x] / 256.0F - (float)b[x] / 256.0F;
        sum += (double)(d * d);
    }
    return sum;
}

static double squared_error(const VmafxSseKernels *k, const VmafxPlane *a, const VmafxPlane *b)
{
    uint64_t exact = 0;
    double sum = 0;

    for (int y = 0; y < a->h; y++) {
        const void *row_a = vmafx_plane_row(a, y), *row_b = vmafx_plane_row(b, y);

        if (a->bpc > 12)
            sum = add_row16(row_a, row_b, a->w, sum);
        else
            exact += a->bpc == 8 ? k->row8(row_a, row_b, a->w) : k->row12(row_a, row_b, a->w);
    }
    return a->bpc > 12 ? sum : (double)exact / (double)(1 << 2 * (a->bpc - 8));
}

static VmafxErr frame(void *opaque, const VmafxFrameInput *input, VmafxFeatureValues *ret_values)
{
    const PsnrPass *pass = opaque;
    const VmafxPlane *ref = &input->ref[0];
    double peak = 256 - 1.0 / (1 << (ref->bpc - 8));
    double mse = squared_error(&pass->setup.kernels->sse, ref, &input->dis[0]) / ((double)ref->w * ref->h);

    ret_values[0][0] = fmin(10 * log10(peak * peak / fmax(mse, 1e-10)), 6 * ref->bpc + 12);
    return VMAFX_OK;
}

const VmafxExtractor vmafx_extractor_float_psnr = {
    .name = "float_psnr",
    .features = features,
    .n_features = VMAFX_LEN(features),
    .size_min = 1,
    .pass_new = pass_new,
    .pass_free = free,
    .frame = frame,
};

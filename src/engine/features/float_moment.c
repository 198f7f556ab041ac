/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Means of the luma's samples and of their squares, of both pictures, on the scale of 8 bits. Exact up to 12 bits per
 * sample; how the reference rounds squares of 16 bits is not known, so these are refused.
 */

#include "base/base.h"
#include "engine/extractor.h"
#include "engine/features/rows.h"

#define BPC_MAX 12

static const VmafxFeatureSpec features[] = {
    { .stored = "float_moment_ref1st", .report = "float_moment_ref1st" },
    { .stored = "float_moment_dis1st", .report = "float_moment_dis1st" },
    { .stored = "float_moment_ref2nd", .report = "float_moment_ref2nd" },
    { .stored = "float_moment_dis2nd", .report = "float_moment_dis2nd" },
};

static VmafxErr check_shape(const VmafxInstance *instance, const VmafxShape *shape, VmafxErrInfo *reterr)
{
    (void)instance;
    if (shape->bpc > BPC_MAX)
        return vmafx_fail(reterr, VMAFX_ERR_INVALID,
                          "feature 'float_moment' is defined for at most %d bits per sample, not for %d", BPC_MAX,
                          shape->bpc);
    return VMAFX_OK;
}

/* There is nothing to keep. */
static VmafxErr pass_new(const VmafxPassSetup *setup, void **ret_pass)
{
    (void)setup;
    *ret_pass = malloc(1);
    return *ret_pass ? VMAFX_OK : VMAFX_ERR_NOMEM;
}

static void moments(const VmafxPlane *plane, double *ret_first, double *ret_second)
{
    const double scale = 1 << (plane->bpc - 8), samples = (double)plane->w * plane->h;
    uint64_t sum = 0, squares = 0;

    for (int y = 0; y < plane->h; y++) {
        const void *row = vmafx_plane_row(plane, y);
        uint32_t row_sum = 0;

        for (int x = 0; x < plane->w; x++) {
            uint32_t v = plane->bpc == 8 ? ((const uint8_t *)row)[x] : ((const uint16_t *)row)[x];

            row_sum += v; /* 65536 samples of 12 bits */
            squares += v * v;
        }
        sum += row_sum;
    }
    *ret_first = (double)sum / scale / samples;
    *ret_second = (double)squares / (scale * scale) / samples;
}

static VmafxErr frame(void *pass, const VmafxFrameInput *input, VmafxFeatureValues *ret_values)
{
    (void)pass;
    moments(&input->ref[0], &ret_values[0][0], &ret_values[0][2]);
    moments(&input->dis[0], &ret_values[0][1], &ret_values[0][3]);
    return VMAFX_OK;
}

const VmafxExtractor vmafx_extractor_float_moment = {
    .name = "float_moment",
    .features = features,
    .n_features = VMAFX_LEN(features),
    .size_min = 1,
    .check_shape = check_shape,
    .pass_new = pass_new,
    .pass_free = free,
    .frame = frame,
};

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The mean colour difference CIEDE2000 between two pictures, on a scale like that of decibels:
 *
 *     ciede2000 = 45 − 20 · log10(mean of ΔE)
 *
 * BT.709 Y'CbCr of limited range → R'G'B' → linear → XYZ → L*a*b* (D65), then Sharma, Wu, Dalal, "The CIEDE2000
 * color-difference formula", 2005, with weights of 0.65, 1 and 4 for lightness, chroma and hue. Where chroma is found
 * is the reference's choice.
 */

#include <math.h>

#include "base/base.h"
#include "engine/extractor.h"
#include "engine/features/rows.h"

static const VmafxFeatureSpec features[] = { { .stored = "ciede2000", .report = "ciede2000" } };

typedef struct CiedePass {
    VmafxShape shape;
    const VmafxCiedeKernels *k;
    VmafxCiedeKnown *known;
    uint16_t *rows[2][3]; /* of the reference and the distorted picture: luma, Cb, Cr at each position */
    float *differences;
} CiedePass;

static VmafxErr check_shape(const VmafxInstance *instance, const VmafxShape *shape, VmafxErrInfo *reterr)
{
    (void)instance;
    if (!shape->chroma)
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "feature 'ciede' compares colours, and these pictures are grey");
    return VMAFX_OK;
}

static bool reads_chroma(const VmafxInstance *instance)
{
    (void)instance;
    return true;
}

static void pass_free(void *opaque)
{
    CiedePass *pass = opaque;

    for (int i = 0; i < 2; i++)
        for (int p = 0; p < 3; p++)
            free(pass->rows[i][p]);
    free(pass->known);
    free(pass->differences);
    free(pass);
}

static VmafxErr pass_new(const VmafxPassSetup *setup, void **ret_pass)
{
    CiedePass *pass = calloc(1, sizeof *pass);

    if (!pass)
        return VMAFX_ERR_NOMEM;
    *ret_pass = pass;
    pass->k = &setup->kernels->ciede;
    pass->known = calloc(VMAFX_CIEDE_KNOWN, sizeof *pass->known);
    pass->differences = vmafx_alloc_aligned((size_t)setup->w, sizeof *pass->differences);
    if (!pass->known || !pass->differences)
        return VMAFX_ERR_NOMEM;
    pass->shape = (VmafxShape){ setup->w, setup->h, setup->bpc, setup->chroma };
    for (int i = 0; i < 2; i++)
        for (int p = 0; p < 3; p++) {
            pass->rows[i][p] = vmafx_alloc_aligned((size_t)setup->w, sizeof(uint16_t));
            if (!pass->rows[i][p])
                return VMAFX_ERR_NOMEM;
        }
    return VMAFX_OK;
}

static uint16_t sample(const VmafxPlane *plane, int x, int y)
{
    const void *row = vmafx_plane_row(plane, y);

    return plane->bpc == 8 ? ((const uint8_t *)row)[x] : ((const uint16_t *)row)[x];
}

#define FETCH(type)                                                                                                    \
    do {                                                                                                               \
        const type *in = vmafx_plane_row(plane, y);                                                                    \
                                                                                                                       \
        if (doubled)                                                                                                   \
            for (int x = 0; x < plane->w; x++)                                                                         \
                ret[2 * x] = ret[2 * x + 1] = in[x];                                                                   \
        else                                                                                                           \
            for (int x = 0; x < plane->w; x++)                                                                         \
                ret[x] = in[x];                                                                                        \
    } while (0)

/* A row, each sample once or twice. */
static void fetch(const VmafxPlane *plane, int y, bool doubled, uint16_t *restrict ret)
{
    if (plane->bpc == 8)
        FETCH(uint8_t);
    else
        FETCH(uint16_t);
}

/*
 * Chroma as the reference finds it: at an index into a plane whose rows are filled up with zeros to a multiple of 32
 * samples, and which Cr follows upon Cb. It leaves the plane where sizes are odd, and in 4:2:2, where the reference
 * takes the halved direction for the other one. Beyond Cr, where it reads what it finds, we read zeros.
 */
static uint16_t flat_sample(const VmafxPlane *planes, int first, size_t index)
{
    size_t pitch = ((size_t)planes[1].w + 31) / 32 * 32, size = pitch * (size_t)planes[1].h;

    for (int p = first; p < 3; p++, index -= size)
        if (index < size)
            return index % pitch < (size_t)planes[p].w ? sample(&planes[p], (int)(index % pitch), (int)(index / pitch))
                                                       : 0;
    return 0;
}

static void fetch_chroma(const CiedePass *pass, const VmafxPlane *planes, int p, int y, uint16_t *ret)
{
    const VmafxPlane *plane = &planes[p];
    size_t pitch = ((size_t)plane->w + 31) / 32 * 32;
    bool whole = pass->shape.chroma == VMAFX_CHROMA_444, half = pass->shape.chroma == VMAFX_CHROMA_420;
    int inside = 0;

    if (whole || (half && y / 2 < plane->h)) {
        fetch(plane, whole ? y : y / 2, half, ret);
        inside = whole ? plane->w : 2 * plane->w;
    }
    for (int x = inside; x < pass->shape.w; x++)
        ret[x] = flat_sample(planes, p, (size_t)(y / 2) * pitch + (size_t)(half ? x / 2 : x));
}

static VmafxErr frame(void *opaque, const VmafxFrameInput *input, VmafxFeatureValues *ret_values)
{
    CiedePass *pass = opaque;
    const VmafxPlane *planes[2] = { input->ref, input->dis };
    double sum = 0;

    for (int y = 0; y < pass->shape.h; y++) {
        for (int i = 0; i < 2; i++) {
            fetch(&planes[i][0], y, false, pass->rows[i][0]);
            for (int p = 1; p < 3; p++)
                if (y % 2 == 0 || pass->shape.chroma == VMAFX_CHROMA_444) /* else it is that of the row above */
                    fetch_chroma(pass, planes[i], p, y, pass->rows[i][p]);
        }
        pass->k->row((const uint16_t *const *)pass->rows[0], (const uint16_t *const *)pass->rows[1], pass->shape.w,
                     pass->shape.bpc, pass->known, pass->differences);
        for (int x = 0; x < pass->shape.w; x++)
            sum += (double)pass->differences[x];
    }
    ret_values[0][0] = 45 - 20 * log10(sum / ((double)pass->shape.w * pass->shape.h));
    return VMAFX_OK;
}

const VmafxExtractor vmafx_extractor_ciede = {
    .name = "ciede",
    .features = features,
    .n_features = VMAFX_LEN(features),
    .size_min = 1,
    .check_shape = check_shape,
    .reads_chroma = reads_chroma,
    .pass_new = pass_new,
    .pass_free = pass_free,
    .frame = frame,
};

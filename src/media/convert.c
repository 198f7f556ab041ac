/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Range, size and depth of a luma plane. */

#include "media/convert.h"

#include <string.h>

#include <libavutil/pixfmt.h>
#include <libswscale/swscale.h>

#include "base/base.h"

/*
 * Range and depth are tables from sample to sample. Scaling above 8 bits works on samples brought to 16 bits, the
 * only deep grey format whose scaler keeps all bits at every source depth.
 */
struct VmafxConverter {
    VmafxConvertSpec spec;
    uint16_t *before, *after;  /* tables, or NULL: before and after scaling */
    int bpc_scaled;            /* depth between the tables: 8 or 16 when scaling, else bpc_in */
    struct SwsContext *scaler; /* NULL when the size stays */
    VmafxPlane mapped, scaled, result;
    void *storage[3];
};

static size_t plane_stride(int w, int bpc)
{
    return ((size_t)w * (bpc > 8 ? 2 : 1) + 63) / 64 * 64;
}

static bool make_plane(VmafxPlane *plane, void **storage, int w, int h, int bpc)
{
    size_t stride = plane_stride(w, bpc);

    *storage = vmafx_alloc_aligned(stride, (size_t)h);
    *plane = (VmafxPlane){ *storage, (ptrdiff_t)stride, w, h, bpc };
    return *storage;
}

/* numerator / denominator; ties away from zero */
static int64_t rounded(int64_t numerator, int64_t denominator)
{
    int64_t half = numerator < 0 ? -denominator : denominator;

    return (2 * numerator + half) / (2 * denominator);
}

static uint32_t map_chroma_range(uint32_t v, int bpc, VmafxRange range)
{
    int64_t peak = (1 << bpc) - 1, middle = 1 << (bpc - 1), span = 224 << (bpc - 8), above = (int64_t)v - middle;

    if (range == VMAFX_RANGE_CHROMA_TO_LIMITED)
        return (uint32_t)(rounded(above * span, peak) + middle);
    int64_t mapped = rounded(above * peak, span) + middle;
    return (uint32_t)VMAFX_MAX(VMAFX_MIN(mapped, peak), 0);
}

static uint32_t map_range(uint32_t v, int bpc, VmafxRange range)
{
    int64_t peak = (1 << bpc) - 1, black = 16 << (bpc - 8), span = 219 << (bpc - 8);

    if (range == VMAFX_RANGE_TO_FULL) {
        int64_t above = VMAFX_MAX((int64_t)v - black, 0);
        return (uint32_t)VMAFX_MIN((2 * above * peak + span) / (2 * span), peak);
    }
    if (range == VMAFX_RANGE_TO_LIMITED)
        return (uint32_t)((2 * (int64_t)v * span + peak) / (2 * peak) + black);
    return range == VMAFX_RANGE_SAME ? v : map_chroma_range(v, bpc, range);
}

static uint32_t map_depth(uint32_t v, int from, int to)
{
    if (to >= from)
        return v << (to - from);
    return VMAFX_MIN((v + (1u << (from - to - 1))) >> (from - to), (1u << to) - 1);
}

/* NULL in *ret when nothing is to be done. */
static bool make_table(int from, int to, VmafxRange range, uint16_t **ret)
{
    if (from == to && range == VMAFX_RANGE_SAME)
        return true;
    *ret = calloc(1u << from, sizeof **ret);
    for (uint32_t v = 0; *ret && v < 1u << from; v++)
        (*ret)[v] = (uint16_t)map_depth(map_range(v, from, range), from, to);
    return *ret;
}

static VmafxErr make_scaler(VmafxConverter *converter, VmafxErrInfo *reterr)
{
    const VmafxConvertSpec *s = &converter->spec;
    enum AVPixelFormat format = converter->bpc_scaled == 8 ? AV_PIX_FMT_GRAY8 : AV_PIX_FMT_GRAY16;

    converter->scaler =
        sws_getContext(s->w_in, s->h_in, format, s->w_out, s->h_out, format,
                       SWS_BICUBIC | SWS_ACCURATE_RND | SWS_BITEXACT | SWS_FULL_CHR_H_INT, NULL, NULL, NULL);
    if (!converter->scaler)
        return vmafx_fail(reterr, VMAFX_ERR_UNSUPPORTED, "pictures of %dx%d cannot be scaled to %dx%d", s->w_in,
                          s->h_in, s->w_out, s->h_out);
    return VMAFX_OK;
}

static bool in_range(int w, int h, int bpc)
{
    return w >= 1 && h >= 1 && w <= VMAFX_DIMENSION_MAX && h <= VMAFX_DIMENSION_MAX && bpc >= 8 && bpc <= 16;
}

VmafxErr vmafx_converter_new(const VmafxConvertSpec *spec, VmafxConverter **ret_converter, VmafxErrInfo *reterr)
{
    bool scales = spec->w_in != spec->w_out || spec->h_in != spec->h_out;

    if (!in_range(spec->w_in, spec->h_in, spec->bpc_in) || !in_range(spec->w_out, spec->h_out, spec->bpc_out))
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "a conversion from %dx%d with %d bits to %dx%d with %d bits",
                          spec->w_in, spec->h_in, spec->bpc_in, spec->w_out, spec->h_out, spec->bpc_out);
    VMAFX_AUTO(vmafx_converter_free) VmafxConverter *converter = calloc(1, sizeof *converter);
    if (!converter)
        return vmafx_fail(reterr, VMAFX_ERR_NOMEM, "no memory to convert pictures");
    converter->spec = *spec;
    converter->bpc_scaled = !scales ? spec->bpc_out : spec->bpc_in > 8 ? 16 : 8;
    if (!make_table(spec->bpc_in, converter->bpc_scaled, spec->range, &converter->before) ||
        !make_table(converter->bpc_scaled, spec->bpc_out, VMAFX_RANGE_SAME, &converter->after) ||
        !make_plane(&converter->mapped, &converter->storage[0], spec->w_in, spec->h_in, converter->bpc_scaled) ||
        !make_plane(&converter->scaled, &converter->storage[1], spec->w_out, spec->h_out, converter->bpc_scaled) ||
        !make_plane(&converter->result, &converter->storage[2], spec->w_out, spec->h_out, spec->bpc_out))
        return vmafx_fail(reterr, VMAFX_ERR_NOMEM, "no memory to convert pictures");
    VmafxErr err = scales ? make_scaler(converter, reterr) : VMAFX_OK;
    if (err)
        return err;
    *ret_converter = VMAFX_TAKE(converter);
    return VMAFX_OK;
}

void vmafx_converter_free(VmafxConverter **converter_p)
{
    VmafxConverter *converter = *converter_p;

    if (!converter)
        return;
    sws_freeContext(converter->scaler);
    for (size_t i = 0; i < VMAFX_LEN(converter->storage); i++)
        free(converter->storage[i]);
    free(converter->before);
    free(converter->after);
    free(converter);
    *converter_p = NULL;
}

static uint32_t sample(const VmafxPlane *plane, int x, int y)
{
    const void *row = (const char *)plane->data + y * plane->stride;

    return plane->bpc > 8 ? ((const uint16_t *)row)[x] : ((const uint8_t *)row)[x];
}

/* Samples above the depth's peak count as the peak. */
static void run_table(const VmafxPlane *from, const uint16_t *table, const VmafxPlane *to, void *to_data)
{
    uint32_t peak = (1u << from->bpc) - 1;

    for (int y = 0; y < from->h; y++) {
        void *row = (char *)to_data + y * to->stride;

        for (int x = 0; x < from->w; x++) {
            uint32_t v = sample(from, x, y);
            uint16_t mapped = table[VMAFX_MIN(v, peak)];
            if (to->bpc > 8)
                ((uint16_t *)row)[x] = mapped;
            else
                ((uint8_t *)row)[x] = (uint8_t)mapped;
        }
    }
}

VmafxErr vmafx_converter_run(VmafxConverter *converter, const VmafxPlane *luma, VmafxPlane *ret_luma)
{
    const VmafxConvertSpec *s = &converter->spec;
    VmafxPlane plane = *luma;

    if (luma->w != s->w_in || luma->h != s->h_in || luma->bpc != s->bpc_in)
        return VMAFX_ERR_MISMATCH;
    if (converter->before) {
        run_table(&plane, converter->before, &converter->mapped, converter->storage[0]);
        plane = converter->mapped;
    }
    if (converter->scaler) {
        const uint8_t *in[4] = { plane.data };
        uint8_t *out[4] = { converter->storage[1] };
        int in_stride[4] = { (int)plane.stride }, out_stride[4] = { (int)converter->scaled.stride };

        if (sws_scale(converter->scaler, in, in_stride, 0, s->h_in, out, out_stride) != s->h_out)
            return VMAFX_ERR_INTERNAL;
        plane = converter->scaled;
    }
    if (converter->after) {
        run_table(&plane, converter->after, &converter->result, converter->storage[2]);
        plane = converter->result;
    }
    *ret_luma = plane;
    return VMAFX_OK;
}

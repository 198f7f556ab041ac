/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The mean colour difference CIEDE2000 between two pictures, on a scale like that of decibels:
 *
 *     ciede2000 = 45 − 20 · log10(mean of ΔE)
 *
 * BT.709 Y'CbCr of limited range → R'G'B' → linear → XYZ → L*a*b* (D65), then Sharma, Wu, Dalal, "The CIEDE2000
 * color-difference formula", 2005, with weights of 0.65, 1 and 4 for lightness, chroma and hue. What is binary32 and
 * what binary64 is the reference's choice, and so is where it finds chroma.
 */

#include <math.h>

#include "base/base.h"
#include "engine/extractor.h"
#include "engine/features/ciede.h"
#include "engine/features/rows.h"

static const VmafxFeatureSpec features[] = { { .stored = "ciede2000", .report = "ciede2000" } };

#define KNOWN_BITS 16

/* A colour whose coordinates were worked out; a picture has few that are different, and they lie together. */
typedef struct Known {
    uint64_t colour; /* its samples, and a bit that says that there is one */
    VmafxLab lab;
} Known;

typedef struct CiedePass {
    VmafxShape shape;
    Known *known;         /* 2^KNOWN_BITS of them, by a hash of the samples */
    uint16_t *rows[2][3]; /* of the reference and the distorted picture: luma, Cb, Cr at each position */
} CiedePass;

/* ---- Colours ---- */

static double linear(double c)
{
    return c > 10.0 / 255.0 ? pow((c + 0.055) * (1.0 / 1.055), 2.4) : c * (1.0 / 12.92);
}

static float root(double t)
{
    return (float)(t > 216.0 / 24389.0 ? pow(t, 1.0 / 3.0) : ((24389.0 / 27.0) * t + 16.0) * (1.0 / 116.0));
}

VmafxLab vmafx_ciede_lab(int luma, int cb, int cr, int bpc)
{
    const double k = 1 << (bpc - 8);
    double y = (luma - 16.0 * k) * (1.0 / (219.0 * k));
    double u = (cb - 128.0 * k) * (1.0 / (224.0 * k));
    double v = (cr - 128.0 * k) * (1.0 / (224.0 * k));
    double r = linear(y + 1.28033 * v), g = linear(y - 0.21482 * u - 0.38059 * v), b = linear(y + 2.12798 * u);
    double x_ = r * 0.4124564390896921 + g * 0.357576077643909 + b * 0.18043748326639894;
    double y_ = r * 0.21267285140562248 + g * 0.715152155287818 + b * 0.07217499330655958;
    double z_ = r * 0.019333895582329317 + g * 0.119192025881303 + b * 0.9503040785363677;
    double fx = (double)root(x_ * (1.0 / 0.95047)), fy = (double)root(y_), fz = (double)root(z_ * (1.0 / 1.08883));

    return (VmafxLab){ (float)(116.0 * fy - 16.0), (float)(500.0 * (fx - fy)), (float)(200.0 * (fy - fz)) };
}

/* ---- Differences ---- */

static double square(float z)
{
    return (double)z * (double)z;
}

static float length(float a, float b)
{
    return (float)sqrt(square(a) + square(b));
}

static float hue(float b, float a)
{
    if (b == 0 && a == 0)
        return 0;
    float t = (float)atan2((double)b, (double)a);
    return t < 0 ? (float)((double)t + 2 * M_PI) : t;
}

static float hue_difference(float c1, float c2, float h1, float h2)
{
    float d = h2 - h1;

    if (c1 == 0 || c2 == 0)
        return 0;
    if ((double)fabsf(h1 - h2) <= M_PI)
        return d;
    return h2 <= h1 ? (float)((double)d + 2 * M_PI) : (float)((double)d - 2 * M_PI);
}

static float mean_hue(float h1, float h2)
{
    double sum = (double)(h1 + h2);

    return (float)((double)fabsf(h1 - h2) > M_PI ? (sum + 2 * M_PI) / 2 : sum / 2);
}

/* The turn that blue colours need. */
static float rotation(float mean_chroma, float mean_h)
{
    float power = powf(mean_chroma, 7);
    float q = power / (power + 6103515625.0F);
    float degrees = (float)((double)mean_h * (180 / M_PI));
    float z = (float)(((double)degrees - 275) * (1.0 / 25));
    float w = z * z;
    float angle = (float)(60 * exp(-(double)w));
    float radians = (float)((double)angle * (M_PI / 180));

    return (float)((-2 * sqrt((double)q)) * sin((double)radians));
}

float vmafx_ciede_difference(const VmafxLab *ref, const VmafxLab *dis)
{
    const float weight_l = 0.65F, weight_c = 1, weight_h = 4;
    float dl = dis->l - ref->l, mean_l = (ref->l + dis->l) / 2;
    float c1 = length(ref->a, ref->b), c2 = length(dis->a, dis->b), mean_c = (c1 + c2) / 2;
    double mean_c7 = pow((double)mean_c, 7);
    double g = 1 - sqrt(mean_c7 / (mean_c7 + 6103515625.0));
    float a1 = (float)((double)ref->a + (double)(ref->a / 2) * g);
    float a2 = (float)((double)dis->a + (double)(dis->a / 2) * g);
    float chroma1 = length(a1, ref->b), chroma2 = length(a2, dis->b), mean_chroma = (chroma1 + chroma2) / 2;
    float dc = chroma2 - chroma1, e = mean_l - 50;
    float sl = (float)(1 + (0.015 * square(e)) / sqrt(20 + square(e)));
    float sc = (float)(1 + 0.045 * (double)mean_chroma);
    float h1 = hue(ref->b, a1), h2 = hue(dis->b, a2);
    float dh = hue_difference(c1, c2, h1, h2);
    float d_hue = (float)((2 * sqrt((double)(chroma1 * chroma2))) * sin((double)dh / 2));
    float mean_h = mean_hue(h1, h2);
    double h = (double)mean_h;
    float t = (float)(1 - 0.17 * cos(h - M_PI / 6) + 0.24 * cos(2 * h) + 0.32 * cos(3 * h + M_PI / 30) -
                      0.20 * cos(4 * h - (7 * M_PI) / 20));
    float sh = (float)(1 + (0.015 * (double)mean_chroma) * (double)t);
    float turn = rotation(mean_chroma, mean_h);
    float p = dl / (weight_l * sl), q = dc / (weight_c * sc), r = d_hue / (weight_h * sh);

    return (float)sqrt(((square(p) + square(q)) + square(r)) + (double)((turn * q) * r));
}

/* ---- Pictures ---- */

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
    free(pass);
}

static VmafxErr pass_new(const VmafxPassSetup *setup, void **ret_pass)
{
    CiedePass *pass = calloc(1, sizeof *pass);

    if (!pass)
        return VMAFX_ERR_NOMEM;
    *ret_pass = pass;
    pass->known = calloc((size_t)1 << KNOWN_BITS, sizeof *pass->known);
    if (!pass->known)
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

static void fetch_luma(const VmafxPlane *plane, int y, uint16_t *ret)
{
    for (int x = 0; x < plane->w; x++)
        ret[x] = sample(plane, x, y);
}

static void fetch_chroma(const CiedePass *pass, const VmafxPlane *planes, int p, int y, uint16_t *ret)
{
    const VmafxPlane *plane = &planes[p];
    size_t pitch = ((size_t)plane->w + 31) / 32 * 32;
    bool whole = pass->shape.chroma == VMAFX_CHROMA_444, half = pass->shape.chroma == VMAFX_CHROMA_420;
    int inside = 0;

    if (whole || (half && y / 2 < plane->h))
        for (; inside < (whole ? plane->w : 2 * plane->w); inside++)
            ret[inside] = sample(plane, whole ? inside : inside / 2, whole ? y : y / 2);
    for (int x = inside; x < pass->shape.w; x++)
        ret[x] = flat_sample(planes, p, (size_t)(y / 2) * pitch + (size_t)(half ? x / 2 : x));
}

static VmafxLab colour(CiedePass *pass, uint16_t *const rows[3], int x)
{
    int y = rows[0][x], u = rows[1][x], v = rows[2][x];
    uint64_t samples = (uint64_t)1 << 48 | (uint64_t)y << 32 | (uint64_t)u << 16 | (uint64_t)v;
    Known *known = &pass->known[samples * UINT64_C(0x9e3779b97f4a7c15) >> (64 - KNOWN_BITS)];

    if (known->colour != samples)
        *known = (Known){ samples, vmafx_ciede_lab(y, u, v, pass->shape.bpc) };
    return known->lab;
}

static VmafxErr frame(void *opaque, const VmafxFrameInput *input, VmafxFeatureValues *ret_values)
{
    CiedePass *pass = opaque;
    const VmafxPlane *planes[2] = { input->ref, input->dis };
    uint16_t *const *ref = pass->rows[0], *const *dis = pass->rows[1];
    double sum = 0;

    for (int y = 0; y < pass->shape.h; y++) {
        for (int i = 0; i < 2; i++) {
            fetch_luma(planes[i], y, pass->rows[i][0]);
            for (int p = 1; p < 3; p++)
                fetch_chroma(pass, planes[i], p, y, pass->rows[i][p]);
        }
        for (int x = 0; x < pass->shape.w; x++) {
            if (ref[0][x] == dis[0][x] && ref[1][x] == dis[1][x] && ref[2][x] == dis[2][x])
                continue; /* the difference is exactly 0 */
            VmafxLab a = colour(pass, ref, x), b = colour(pass, dis, x);
            sum += (double)vmafx_ciede_difference(&a, &b);
        }
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

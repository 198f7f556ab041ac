/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* CIEDE2000 in plain C: the definition. What is binary32 and what binary64 is the reference's choice. */

#include "engine/kernels/ciede.h"

#include <math.h>

#include <vmafx/engine.h>

#include "engine/kernels/cpu.h"
#if VMAFX_ARCH_ARM64
#include "engine/kernels/arm/arm.h"
#elif VMAFX_ARCH_X86
#include "engine/kernels/x86/x86.h"
#endif

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

/* ---- Rows ---- */

static VmafxLab colour(VmafxCiedeRows rows, int x, int bpc, VmafxCiedeKnown *all)
{
    int y = rows[0][x], u = rows[1][x], v = rows[2][x];
    uint64_t samples = (uint64_t)1 << 48 | (uint64_t)y << 32 | (uint64_t)u << 16 | (uint64_t)v;
    VmafxCiedeKnown *known = &all[samples * UINT64_C(0x9e3779b97f4a7c15) >> (64 - VMAFX_CIEDE_KNOWN_BITS)];

    if (known->colour != samples)
        *known = (VmafxCiedeKnown){ samples, vmafx_ciede_lab(y, u, v, bpc) };
    return known->lab;
}

static void row(VmafxCiedeRows ref, VmafxCiedeRows dis, int n, int bpc, VmafxCiedeKnown *known, float *ret)
{
    for (int x = 0; x < n; x++) {
        ret[x] = 0;
        if (ref[0][x] == dis[0][x] && ref[1][x] == dis[1][x] && ref[2][x] == dis[2][x])
            continue;
        VmafxLab a = colour(ref, x, bpc, known), b = colour(dis, x, bpc, known);
        ret[x] = vmafx_ciede_difference(&a, &b);
    }
}

const VmafxCiedeKernels vmafx_ciede_kernels_c = { .row = row };

void vmafx_ciede_kernels_init(VmafxCiedeKernels *k, unsigned cpu)
{
    *k = vmafx_ciede_kernels_c;
#if VMAFX_ARCH_X86
    if (cpu & VMAFX_CPU_AVX2)
        vmafx_ciede_kernels_init_avx2(k);
    if (cpu & VMAFX_CPU_AVX512)
        vmafx_ciede_kernels_init_avx512(k);
#elif VMAFX_ARCH_ARM64
    if (cpu & VMAFX_CPU_NEON)
        vmafx_ciede_kernels_init_neon(k);
#endif
}

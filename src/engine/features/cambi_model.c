/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Display models (ITU-R BT.1886, SMPTE ST 2084) and bounds that follow from them. */

#include "engine/features/cambi_model.h"

#include <math.h>

#include "base/base.h"

#define FOOT 64
#define HEAD 940

static double bt1886(double v)
{
    const double gamma = 2.4, white = 300, black = 0.01;
    double u = pow(white, 1 / gamma), z = pow(black, 1 / gamma);
    double a = pow(u - z, gamma), b = z / (u - z);

    return a * pow(fmax(v + b, 0), gamma);
}

static double pq(double v)
{
    const double m1 = 0.1593017578125, m2 = 78.84375, c1 = 0.8359375, c2 = 18.8515625, c3 = 18.6875;
    double t = pow(v, 1 / m2);

    return 10000 * pow(fmax(t - c1, 0) / (c2 - c3 * t), 1 / m1);
}

double cambi_luminance(CambiEotf eotf, int code)
{
    double v = (double)(VMAFX_MAX(VMAFX_MIN(code, HEAD), FOOT) - FOOT) / (HEAD - FOOT);

    return eotf == CAMBI_PQ ? pq(v) : bt1886(v);
}

static bool is_visible(CambiEotf eotf, double threshold, int code, int d)
{
    double here = cambi_luminance(eotf, code);

    return cambi_luminance(eotf, code + d) - here > threshold * here;
}

/* Against the border between visible and not: 1 beyond it, 0 at it, −1 before it. */
static int beyond(CambiEotf eotf, double threshold, int code, int d)
{
    if (!is_visible(eotf, threshold, code, d))
        return 1;
    return is_visible(eotf, threshold, code + 1, d) ? -1 : 0;
}

int cambi_visible_to(CambiEotf eotf, double threshold, int d)
{
    int lo = FOOT, hi = HEAD - d - 1, at_lo = beyond(eotf, threshold, lo, d), at_hi = beyond(eotf, threshold, hi, d);

    if (at_lo >= 0)
        return at_lo > 0 ? 0 : lo;
    if (at_hi <= 0)
        return at_hi < 0 ? 1023 : hi;
    for (;;) {
        int middle = lo + (hi - lo) / 2, at = beyond(eotf, threshold, middle, d);

        if (at == 0 || middle == lo)
            return middle;
        if (at > 0)
            hi = middle;
        else
            lo = middle;
    }
}

int cambi_dark_bound(CambiEotf eotf, double luminance)
{
    int code = FOOT;

    while (code < HEAD && cambi_luminance(eotf, code) < luminance)
        code++;
    return code == FOOT ? 0 : code;
}

int cambi_window(int window_size, int w, int h, bool halved)
{
    int side = window_size * (w + h) / 375 / 16;

    return (halved ? (side + 1) / 2 : side) | 1;
}

int cambi_mask_threshold(int w, int h)
{
    int blocks = (w / 64) * (h / 64), log2 = 0;

    while ((int64_t)1 << log2 < blocks)
        log2++;
    return (49 + 3 * (log2 - 11) - 1) / 2;
}

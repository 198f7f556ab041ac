/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The gains. Where a value is rounded to binary32 is part of the definition, so every such place is written out:
 * float variables and (float) casts round, everything else is binary64.
 */

#include "engine/features/adm_csf.h"

#include <math.h>
#include <stddef.h>

#include "base/base.h"

/* Samples per degree of visual angle. */
static float density(const VmafxAdmCsfSettings *settings)
{
    return (float)(settings->view_distance * settings->display_height * M_PI / 180);
}

/* Watson et al., "Visibility of wavelet quantization noise": the threshold of a band is its reciprocal gain. */
static float watson_gain(float rho, int scale, int diagonal)
{
    static const float a = 0.495f, k = 0.466f, f0 = 0.401f, g[2] = { 1.0f, 0.534f };
    static const float amplitude[VMAFX_ADM_SCALES][2] = {
        { 0.67234f, 0.72709f }, { 0.41317f, 0.49428f }, { 0.22727f, 0.28688f }, { 0.11792f, 0.15214f }
    };
    float u = (float)log10((double)(2 << scale) * (double)f0 * (double)g[diagonal] / (double)rho);
    float exponent = k * u;
    exponent = exponent * u;
    float threshold = (float)((double)(2 * a) * pow(10, (double)exponent) / (double)amplitude[scale][diagonal]);

    return 1 / threshold;
}

/* Barten's luminance sensitivity at 100 cd/m², its parameters interpolated between 20 and 150 cd/m². */
static float barten_gain(float rho, int scale, double factor)
{
    static const float at_20[4] = { 0.334278f, 3.79542f, 1.07327f, 6.4635f };
    static const float at_150[4] = { 0.394533f, 2.7755f, 1.16577f, 7.45665f };
    static const float sa[4] = { 30.162f, 4.0627f, 1.6596f, 0.2712f };
    static const float ma[4] = { 0.424838596301290f, 0.572435103936480f, 0.000167576239164937f, 0.00255872352306433f };
    static const float mb[4] = { 0.028f, 0.37f, 37, 360 };
    float x0 = (float)log10(20), x1 = (float)log10(150), xs = (float)log10(100), p[4];

    for (int i = 0; i < 4; i++) {
        float rise = at_150[i] - at_20[i], run = x1 - x0, step = xs - x0;
        float slope = rise / run;
        float change = slope * step;
        p[i] = at_20[i] + change;
    }

    float nu = rho / (float)(2 << scale);
    float p0_nu = p[0] * nu, nu_7 = nu / 7;
    float a1 = (float)(1 + pow((double)p0_nu, (double)p[1]));
    float nu_7_sq = (float)pow((double)nu_7, 2);
    float b1 = (float)(1 / pow(1 - exp(-(double)nu_7_sq), (double)p[2]));
    float a1_b1 = a1 * b1;
    float c1 = (float)((double)p[3] / pow((double)a1_b1, 0.5));
    float m = 0;
    for (int i = 0; i < 4; i++) {
        float decay = -mb[i] * nu;
        m = (float)((double)m + (double)ma[i] * exp((double)decay));
    }
    float sa1_100 = sa[1] / 100;
    float s = (float)((double)sa[0] * pow(pow((double)sa1_100, (double)sa[2]) + 1, (double)-sa[3]));
    float c1_m = c1 * m;
    float gain = c1_m * s;

    return (float)((double)gain * factor);
}

typedef struct TableRow {
    int display_height;
    double view_distance;
    float hv[VMAFX_ADM_SCALES], d[VMAFX_ADM_SCALES];
} TableRow;

static const TableRow mode2[] = {
    { 1080, 3, { 0.01183f, 0.025026f, 0.04295f, 0.058621f }, { 0.004302f, 0.011778f, 0.023918f, 0.035901f } },
    { 2160, 1.5, { 0.01183f, 0.025026f, 0.04295f, 0.058621f }, { 0.004302f, 0.011778f, 0.023918f, 0.035901f } },
    { 1080, 5, { 0.004212f, 0.014809f, 0.029642f, 0.047464f }, { 0.000984f, 0.005852f, 0.0146f, 0.027574f } },
    { 2160, 3, { 0.00226f, 0.01183f, 0.025026f, 0.04295f }, { 0.000479f, 0.004302f, 0.011778f, 0.023918f } },
    { 2160, 5, { 0.000092f, 0.004212f, 0.014809f, 0.029642f }, { 0.00005f, 0.000984f, 0.005852f, 0.0146f } },
    { 720, 5, { 0.010144f, 0.022561f, 0.040309f, 0.05672f }, { 0.003463f, 0.010282f, 0.021839f, 0.034641f } },
};

static const TableRow mode3[] = {
    { 1080, 3, { 0.011249f, 0.022606f, 0.035930f, 0.045673f }, { 0.004097f, 0.010921f, 0.021430f, 0.031313f } },
    { 2160, 1.5, { 0.011249f, 0.022606f, 0.035930f, 0.045673f }, { 0.004097f, 0.010921f, 0.021430f, 0.031313f } },
    { 1080, 5, { 0.004052f, 0.013939f, 0.026298f, 0.038833f }, { 0.000927f, 0.005544f, 0.013415f, 0.024515f } },
    { 2160, 3, { 0.002166f, 0.011249f, 0.022606f, 0.035930f }, { 0.000447f, 0.004097f, 0.010921f, 0.021430f } },
    { 2160, 5, { 0.000077f, 0.004052f, 0.013939f, 0.026298f }, { 0.000045f, 0.000927f, 0.005544f, 0.013415f } },
    { 720, 5, { 0.009689f, 0.020577f, 0.034162f, 0.044523f }, { 0.003302f, 0.009579f, 0.019661f, 0.030318f } },
};

static VmafxErr from_table(const VmafxAdmCsfSettings *settings, const TableRow *rows, size_t n_rows,
                           VmafxAdmCsf *ret_csf, VmafxErrInfo *reterr)
{
    for (size_t i = 0; i < n_rows; i++) {
        if (rows[i].display_height != settings->display_height || rows[i].view_distance != settings->view_distance)
            continue;
        for (int s = 0; s < VMAFX_ADM_SCALES; s++) {
            ret_csf->hv[s] = rows[i].hv[s];
            ret_csf->d[s] = rows[i].d[s];
        }
        return VMAFX_OK;
    }
    return vmafx_fail(reterr, VMAFX_ERR_FEATURE,
                      "adm_csf_mode %d of feature 'adm' knows no display of %d lines seen from %g heights; it has "
                      "1080 at 3 and 5, 2160 at 1.5, 3 and 5, 720 at 5",
                      settings->mode, settings->display_height, settings->view_distance);
}

VmafxErr vmafx_adm_csf(const VmafxAdmCsfSettings *settings, VmafxAdmCsf *ret_csf, VmafxErrInfo *reterr)
{
    float rho = density(settings);

    if (settings->mode == 2)
        return from_table(settings, mode2, VMAFX_LEN(mode2), ret_csf, reterr);
    if (settings->mode == 3)
        return from_table(settings, mode3, VMAFX_LEN(mode3), ret_csf, reterr);
    for (int s = 0; s < VMAFX_ADM_SCALES; s++) {
        bool watson = settings->mode == 0;
        ret_csf->hv[s] = watson ? watson_gain(rho, s, 0) : barten_gain(rho, s, settings->scale);
        ret_csf->d[s] = watson ? watson_gain(rho, s, 1) : barten_gain(rho, s, settings->diag_scale);
    }
    return VMAFX_OK;
}

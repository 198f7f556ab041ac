/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Choosing among the VMAF v1 models. They differ in what they were made for, not in what they cost. */

#include "score/model_auto.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define SAMPLES_1080 (INT64_C(1920) * 1080)
#define HIGH_RATE    40

static bool is_4k(const VmafxModelPictures *p)
{
    return (int64_t)p->w * p->h > 2 * SAMPLES_1080;
}

static bool is_high_rate(const VmafxModelPictures *p)
{
    return p->rate_num > 0 && p->rate_den > 0 && p->rate_num >= (int64_t)HIGH_RATE * p->rate_den;
}

void vmafx_model_choose(const VmafxModelPictures *p, VmafxModelChoice *ret)
{
    bool large = is_4k(p), fast = is_high_rate(p);
    char rate[64] = "an unknown rate is taken as an ordinary one";

    if (p->rate_num > 0 && p->rate_den > 0)
        snprintf(rate, sizeof rate, "%.4g frames per second are %s rate", (double)p->rate_num / p->rate_den,
                 fast ? "a high" : "an ordinary");
    snprintf(ret->version, sizeof ret->version, "%s",
             large  ? fast ? VMAFX_MODEL_2160_HFR : VMAFX_MODEL_2160
             : fast ? VMAFX_MODEL_1080_HFR
                    : VMAFX_MODEL_1080);
    snprintf(ret->why, sizeof ret->why, "%dx%d is nearer to %s than to %s, and %s", p->w, p->h, large ? "4K" : "1080p",
             large ? "1080p" : "4K", rate);
}

/* "vmaf_v1.0.16_5d0h" and "vmaf_v1.0.16_hfr_5d0h" are each other's. */
static void other_rate(const char *version, bool fast, char *ret, size_t size)
{
    const char *kind = strchr(version + 8, '_');

    if (!kind)
        return;
    kind += strncmp(kind, "_hfr_", 5) ? 1 : 5;
    snprintf(ret, size, "%.*s_%s%s", (int)strcspn(version + 8, "_") + 8, version, fast ? "hfr_" : "", kind);
}

bool vmafx_model_fits_better(const char *version, const VmafxModelPictures *p, VmafxModelChoice *ret)
{
    bool large = strstr(version, "_2160") != NULL, fast = strstr(version, "_hfr_") != NULL;

    if (!vmafx_model_is_v1(version))
        return false;
    vmafx_model_choose(p, ret);
    if (large != is_4k(p))
        return true;
    if (p->rate_num <= 0 || fast == is_high_rate(p))
        return false;
    other_rate(version, !fast, ret->version, sizeof ret->version);
    return true;
}

bool vmafx_model_is_v1(const char *version)
{
    return !strncmp(version, "vmaf_v1.", 8);
}

const char *vmafx_model_origin(const char *version)
{
    return vmafx_model_is_v1(version)
               ? "the v1 models are files of the Netflix VMAF project (github.com/Netflix/vmaf, folders "
                 "model/vmaf_v1.0.16 and model/vmaf_v1.0.16_hfr) and are built into libvmaf 3.2 and later; `vmafx "
                 "models "
                 "import FILE` takes either"
               : NULL;
}

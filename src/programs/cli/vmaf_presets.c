/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The metrics of the AOM common test conditions, version by version, and of Netflix's. */

#include "programs/cli/vmaf_presets.h"

#include <string.h>

#include "base/base.h"

#define AOM_PSNR "psnr=reduced_hbd_peak=true:enable_apsnr=true:min_sse=0.5"
#define SSIM_DB  "float_ssim=enable_db=true:clip_db=true"
#define MS_DB    "float_ms_ssim=enable_db=true:clip_db=true"

static const char *const aom_v1[] = { AOM_PSNR, "ciede", SSIM_DB, MS_DB, "psnr_hvs", NULL };
static const char *const aom_v3[] = { AOM_PSNR, "ciede", SSIM_DB, MS_DB, "psnr_hvs", "cambi", NULL };
static const char *const aom_v7[] = { AOM_PSNR, "ciede",    "float_ssim=scale=1:enable_db=true:clip_db=true",
                                      MS_DB,    "psnr_hvs", "cambi",
                                      NULL };
static const char *const nflx_v1[] = { "psnr=enable_chroma=true:enable_apsnr=true", SSIM_DB, "cambi", NULL };

static const char *const hd_models[] = { "version=vmaf_v0.6.1:name=vmaf", "version=vmaf_v0.6.1neg:name=vmaf_neg",
                                         NULL };
static const char *const uhd_models[] = { "version=vmaf_4k_v0.6.1:name=vmaf", "version=vmaf_4k_v0.6.1neg:name=vmaf_neg",
                                          NULL };

const VmafPreset *vmaf_preset_aom(const char *version)
{
    static const struct {
        const char *version;
        VmafPreset preset;
    } versions[] = {
        { "v1.0", { aom_v1, hd_models, false } }, { "v2.0", { aom_v1, hd_models, false } },
        { "v3.0", { aom_v3, hd_models, false } }, { "v4.0", { aom_v3, hd_models, false } },
        { "v5.0", { aom_v3, hd_models, false } }, { "v6.0", { aom_v3, hd_models, true } },
        { "v7.0", { aom_v7, hd_models, true } },
    };

    for (size_t i = 0; i < VMAFX_LEN(versions); i++)
        if (!strcmp(versions[i].version, version))
            return &versions[i].preset;
    return NULL;
}

const VmafPreset *vmaf_preset_nflx(const char *version)
{
    static const VmafPreset v1 = { nflx_v1, uhd_models, false };

    return strcmp(version, "v1.0") ? NULL : &v1;
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * CAMBI's heat maps as files: where in a picture banding is, one file a scale, one map a frame.
 *
 *     FOLDER/cambi_heatmap_scale_<k>_<w>x<h>_16b.gray
 *
 * A map is w · h uint16_t, little endian, rows without padding: trunc(65535 / (weight · window² div 4) · contrast), so
 * that 65535 is the strongest there can be. Files appear at the end, all of them or none.
 */
#ifndef VMAFX_ENGINE_FEATURES_CAMBI_HEATMAPS_H
#define VMAFX_ENGINE_FEATURES_CAMBI_HEATMAPS_H

#include <stdint.h>

#include <vmafx/engine.h>

#define CAMBI_SCALES 5

typedef struct CambiHeatmaps CambiHeatmaps;

/**
 * Makes the folder if it is missing and begins the files.
 * @param w, h       of the largest scale, as names have it; maps may be half of that (cambi_high_res_speedup), as
 *                   in the reference
 * @param strongest  what the largest step counts
 * @return VMAFX_ERR_IO naming path and reason, VMAFX_ERR_NOMEM
 */
VMAFX_CHECK VmafxErr cambi_heatmaps_open(const char *folder, int w, int h, int window, int strongest,
                                         CambiHeatmaps **ret_maps, VmafxErrInfo *reterr);
/**
 * A scale of the place-th map, in any order; any number of threads, each with other places.
 * @param n  samples of the scale
 */
VMAFX_CHECK VmafxErr cambi_heatmaps_write(CambiHeatmaps *maps, int scale, uint32_t place, const float *contrasts,
                                          size_t n, VmafxErrInfo *reterr);
/** Puts the files in place; frees whatever happens. */
VMAFX_CHECK VmafxErr cambi_heatmaps_commit(CambiHeatmaps **maps, VmafxErrInfo *reterr);
/** Drops them. */
void cambi_heatmaps_abort(CambiHeatmaps **maps);
#endif

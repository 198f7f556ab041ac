/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What banding is visible: luminances, contrasts, and how large the window is. */
#ifndef VMAFX_ENGINE_FEATURES_CAMBI_MODEL_H
#define VMAFX_ENGINE_FEATURES_CAMBI_MODEL_H

#include <stdbool.h>

#define CAMBI_CONTRASTS_MAX 32
#define CAMBI_WINDOW_MAX    65
#define CAMBI_CODE_MAX      1024 /* of 10 bits, and what rounding 16 bits can give */

typedef enum CambiEotf { CAMBI_BT1886 = 0, CAMBI_PQ } CambiEotf;

/** cd/m² of a limited-range code of 10 bits; codes outside 64 … 940 count as these. */
double cambi_luminance(CambiEotf eotf, int code);
/** The highest code at which a step of d codes is seen, when that takes a relative difference of threshold. */
int cambi_visible_to(CambiEotf eotf, double threshold, int d);
/** The lowest code that is at least that bright; 0 when all are. */
int cambi_dark_bound(CambiEotf eotf, double luminance);
/** The window's side for a picture of w x h, given the one for a sum of 6000; always odd. */
int cambi_window(int window_size, int w, int h, bool halved);
/** How many of the 7 x 7 places around one must be flat, less one, for it to count. */
int cambi_mask_threshold(int w, int h);

#endif

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What the features in binary32 begin with: samples on the scale of 8 bits, around 0. */
#ifndef VMAFX_ENGINE_FEATURES_FLOAT_ROWS_H
#define VMAFX_ENGINE_FEATURES_FLOAT_ROWS_H

#include "engine/features/rows.h"

/** ret[x] = sample / 2^(bpc − 8) − 128, rounded to binary32; exact up to 12 bits. */
static inline void vmafx_float_row(const VmafxPlane *plane, int y, float *restrict ret)
{
    const void *row = vmafx_plane_row(plane, y);

    if (plane->bpc == 8) {
        const uint8_t *samples = row;
        for (int x = 0; x < plane->w; x++)
            ret[x] = (float)samples[x] - 128.0F;
    } else {
        const uint16_t *samples = row;
        const float scale = 1.0F / (float)(1 << (plane->bpc - 8));
        for (int x = 0; x < plane->w; x++)
            ret[x] = (float)samples[x] * scale - 128.0F;
    }
}
#endif

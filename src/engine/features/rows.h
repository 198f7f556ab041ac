/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What the passes share: rows of planes, mirroring, padded scratch rows. */
#ifndef VMAFX_ENGINE_FEATURES_ROWS_H
#define VMAFX_ENGINE_FEATURES_ROWS_H

#include <vmafx/engine.h>

/** Index i of n samples, mirrored without repeating the edge sample; one reflection suffices for every legal size. */
static inline int vmafx_mirror(int i, int n)
{
    return i < 0 ? -i : i >= n ? 2 * n - 2 - i : i;
}

static inline const void *vmafx_plane_row(const VmafxPlane *plane, int y)
{
    return (const char *)plane->data + y * plane->stride;
}

/** Asks for n bytes of a row, if there is such a row, so that they are near when a filter comes to them. */
static inline void vmafx_prefetch_row(const VmafxPlane *plane, int y, ptrdiff_t from, ptrdiff_t n)
{
    const char *row = (const char *)plane->data + y * plane->stride;

    for (ptrdiff_t i = from; y < plane->h && i < from + n; i += 64)
        __builtin_prefetch(row + i);
}

/** Writes the pad values that mirror a row of n samples on either side. */
#define VMAFX_MIRROR_ROW(row, n, pad)                                                                                  \
    do {                                                                                                               \
        for (int i_ = 1; i_ <= (pad); i_++) {                                                                          \
            (row)[-i_] = (row)[vmafx_mirror(-i_, n)];                                                                  \
            (row)[(n)-1 + i_] = (row)[vmafx_mirror((n)-1 + i_, n)];                                                    \
        }                                                                                                              \
    } while (0)
#endif

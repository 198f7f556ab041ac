/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The loops of cambi.h that compilers make vectors of by themselves: included once for each instruction set. */
#ifndef VMAFX_ENGINE_KERNELS_CAMBI_ROWS_H
#define VMAFX_ENGINE_KERNELS_CAMBI_ROWS_H

#include "engine/kernels/cambi.h"

static void widen8(const uint8_t *restrict in, int w, uint16_t *restrict ret)
{
    for (int x = 0; x < w; x++)
        ret[x] = (uint16_t)(in[x] << 2);
}

static void flat(const uint16_t *restrict row, const uint16_t *below, int w, uint8_t *restrict ret)
{
    for (int x = 0; x + 1 < w; x++)
        ret[x] = (uint8_t)((row[x] == row[x + 1]) & (row[x] == below[x]));
    ret[w - 1] = row[w - 1] == below[w - 1];
}

static void slide(const uint8_t *restrict come, const uint8_t *restrict go, int w, uint8_t *restrict sums)
{
    for (int x = 0; x < w; x++)
        sums[x] = (uint8_t)(sums[x] + come[x] - go[x]);
}

static void mask(const uint8_t *restrict sums, int w, int threshold, uint8_t *restrict ret)
{
    const uint8_t limit = (uint8_t)(threshold < 0 ? 0 : threshold);

    for (int x = 0; x < w; x++) {
        uint8_t sum =
            (uint8_t)(sums[x - 3] + sums[x - 2] + sums[x - 1] + sums[x] + sums[x + 1] + sums[x + 2] + sums[x + 3]);
        ret[x] = sum > limit;
    }
}

static void mode(const uint16_t *a, const uint16_t *b, const uint16_t *c, int n, uint16_t *restrict ret)
{
    for (int x = 0; x < n; x++) {
        uint16_t p = a[x], q = b[x], r = c[x], least = p < q ? p : q;

        least = least < r ? least : r;
        uint16_t v = q == r ? q : least;
        ret[x] = p == q ? p : p == r ? p : v;
    }
}

static void halve(const uint16_t *codes, const uint8_t *is_flat, int n, uint16_t *ret_codes, uint8_t *ret_mask)
{
    for (int x = 0; x < n; x++)
        ret_codes[x] = codes[2 * x];
    for (int x = 0; x < n; x++)
        ret_mask[x] = is_flat[2 * x];
}
#endif

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* One scale of SSIM: rows come in, are blurred, and leave three numbers per place. */

#include "engine/features/ssim_scale.h"

#include <math.h>
#include <string.h>

#include "base/base.h"
#include "engine/features/rows.h"

int vmafx_ssim_decimated(int side, int step)
{
    return side / step + side % 2;
}

VmafxErr vmafx_ssim_rows_init(SsimRows *rows, const VmafxSsimKernels *k, int w, int pad)
{
    const float c1 = 0.01F * 255, c2 = 0.03F * 255;
    size_t n = (size_t)w + 2 * (size_t)pad;
    bool made = true;

    rows->k = k;
    rows->pad = pad;
    rows->constants = (VmafxSsimConstants){ c1 * c1, c2 * c2, c2 * c2 / 2 };
    for (int i = 0; i < 2; i++)
        made = (rows->source[i] = vmafx_alloc_aligned(n, sizeof(float))) && made;
    made = (rows->product = vmafx_alloc_aligned(n, sizeof(float))) && made;
    for (int i = 0; i < 5; i++) {
        for (int t = 0; t < VMAFX_SSIM_TAPS; t++)
            made = (rows->blurred[i][t] = vmafx_alloc_aligned(n, sizeof(float))) && made;
        made = (rows->moments[i] = vmafx_alloc_aligned(n, sizeof(float))) && made;
    }
    for (int i = 0; i < 3; i++)
        made = (rows->similarity[i] = vmafx_alloc_aligned(n, sizeof(double))) && made;
    made = (rows->sum = vmafx_alloc_aligned(n, sizeof(double))) && made;
    return made ? VMAFX_OK : VMAFX_ERR_NOMEM;
}

void vmafx_ssim_rows_done(SsimRows *rows)
{
    for (int i = 0; i < 2; i++)
        free(rows->source[i]);
    free(rows->product);
    for (int i = 0; i < 5; i++) {
        for (int t = 0; t < VMAFX_SSIM_TAPS; t++)
            free(rows->blurred[i][t]);
        free(rows->moments[i]);
    }
    for (int i = 0; i < 3; i++)
        free(rows->similarity[i]);
    free(rows->sum);
}

/* A row as floats on the scale of 8 bits; dividing by a power of two is exact. */
static void fetch(const SsimImage *image, int y, float *restrict ret)
{
    if (!image->plane) {
        memcpy(ret, image->data + (size_t)y * (size_t)image->w, (size_t)image->w * sizeof *ret);
    } else if (image->plane->bpc == 8) {
        const uint8_t *row = vmafx_plane_row(image->plane, y);
        for (int x = 0; x < image->w; x++)
            ret[x] = row[x];
    } else {
        const uint16_t *row = vmafx_plane_row(image->plane, y);
        const float scale = 1.0F / (float)(1 << (image->plane->bpc - 8));
        for (int x = 0; x < image->w; x++)
            ret[x] = (float)row[x] * scale;
    }
}

/* Folds an index back into 0 … n − 1; the sample at the border comes twice. */
static int fold(int i, int n)
{
    return i < 0 ? -1 - i : i >= n ? 2 * n - 1 - i : i;
}

void vmafx_ssim_decimate(SsimRows *rows, const SsimImage *from, int step, const float *table, int taps, SsimImage *to)
{
    float *row = rows->source[0] + rows->pad;
    int before = taps / 2;

    to->plane = NULL;
    to->w = vmafx_ssim_decimated(from->w, step);
    to->h = vmafx_ssim_decimated(from->h, step);
    for (int y = 0; y < to->h; y++) {
        memset(rows->sum, 0, (size_t)to->w * sizeof *rows->sum);
        for (int t = 0; t < taps; t++) {
            fetch(from, fold(y * step + t - before, from->h), row);
            for (int i = 0; i < before; i++)
                row[-1 - i] = row[fold(-1 - i, from->w)];
            for (int i = 0; i < taps - before; i++)
                row[from->w + i] = row[fold(from->w + i, from->w)];
            rows->k->decimate(row - before, table + (ptrdiff_t)t * taps, taps, step, to->w, rows->sum);
        }
        for (int x = 0; x < to->w; x++)
            to->data[(size_t)y * (size_t)to->w + (size_t)x] = (float)rows->sum[x];
    }
}

/* Blurs row y of both pictures and of their products along the row. */
static void blur_rows(SsimRows *rows, const SsimImage *ref, const SsimImage *dis, int y, int n)
{
    float *x = rows->source[0], *z = rows->source[1], *product = rows->product;
    const float *const factors[3][2] = { { x, x }, { z, z }, { x, z } };
    int slot = y % VMAFX_SSIM_TAPS;

    fetch(ref, y, x);
    fetch(dis, y, z);
    rows->k->blur_row(x, n, rows->blurred[0][slot]);
    rows->k->blur_row(z, n, rows->blurred[1][slot]);
    for (int i = 0; i < 3; i++) {
        for (int j = 0; j < ref->w; j++)
            product[j] = factors[i][0][j] * factors[i][1][j];
        rows->k->blur_row(product, n, rows->blurred[2 + i][slot]);
    }
}

/* The window whose last row is y. */
static void compare_row(SsimRows *rows, int y, int n)
{
    for (int i = 0; i < 5; i++) {
        const float *under[VMAFX_SSIM_TAPS];

        for (int t = 0; t < VMAFX_SSIM_TAPS; t++)
            under[t] = rows->blurred[i][(y + 1 + t) % VMAFX_SSIM_TAPS];
        rows->k->blur_column(under, n, rows->moments[i]);
    }
    const VmafxSsimMoments moments = { rows->moments[0], rows->moments[1], rows->moments[2], rows->moments[3],
                                       rows->moments[4] };
    rows->k->similarity(&moments, &rows->constants, n, rows->similarity[0], rows->similarity[1], rows->similarity[2]);
}

SsimMeans vmafx_ssim_means(SsimRows *rows, const SsimImage *ref, const SsimImage *dis)
{
    int n = ref->w - VMAFX_SSIM_TAPS + 1, n_rows = ref->h - VMAFX_SSIM_TAPS + 1;
    double score = 0, l = 0, c = 0, s = 0;

    for (int y = 0; y < ref->h; y++) {
        blur_rows(rows, ref, dis, y, n);
        if (y < VMAFX_SSIM_TAPS - 1)
            continue;
        compare_row(rows, y, n);
        for (int x = 0; x < n; x++) {
            double here[3] = { rows->similarity[0][x], rows->similarity[1][x], rows->similarity[2][x] };

            score += here[0] * here[1] * here[2];
            l += here[0];
            c += here[1];
            s += here[2];
        }
    }
    double places = (double)n * n_rows;
    return (SsimMeans){ (float)(score / places), (float)(l / places), (float)(c / places), (float)(s / places) };
}

double vmafx_ssim_db(double score, bool clip, const VmafxPassSetup *setup)
{
    double peak = (1 << setup->bpc) - 1, most = INFINITY, db = -10 * log10(1 - score);

    if (clip)
        most = ceil(10 * log10(peak * peak / (0.5 / ((double)setup->w * setup->h))));
    return db < most ? db : most; /* a score above 1 has no logarithm, and gives the most as well */
}

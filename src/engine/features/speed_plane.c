/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* A plane on its way to block statistics. What is binary32 and what binary64 is part of the definition. */

#include "engine/features/speed_plane.h"

#include <math.h>
#include <string.h>

#include "base/base.h"
#include "engine/features/rows.h"

#define N           VMAFX_SPEED_N
#define SIDE        VMAFX_SPEED_SIDE
#define STEP        VMAFX_SPEED_STEP
#define PAD         ((VMAFX_SPEED_TAPS_MAX - 1) / 2)
#define EIGEN_LEAST 1e-6 /* a smaller one makes K singular */

bool vmafx_speed_kernel_scale_known(float kernel_scale)
{
    static const double known[] = { 1,       1.0 / 2, 3.0 / 2,  2,        2.0 / 3,  2.4,      360.0 / 97,
                                    4.0 / 3, 3.5 / 3, 3.75 / 3, 4.25 / 3, 5.0 / 3,  3,        1 / 2.25,
                                    1.4746,  1.54,    1.6,      1.06667,  0.711111, 0.740740, 1.111111 };

    for (size_t i = 0; i < VMAFX_LEN(known); i++)
        if ((double)fabsf(kernel_scale - (float)known[i]) < 0.001)
            return true;
    return false;
}

/* ---- Filters ---- */

static int odd_size(float v)
{
    int n = (int)ceilf(v);

    return VMAFX_MAX(n % 2 ? n : n + 1, 3);
}

static void gaussian(int n, float width, VmafxSpeedTaps *ret)
{
    float m = (float)(1 / ((double)width * sqrt(2 * M_PI))), sum = 0;

    ret->n = n;
    for (int i = 0; i < n; i++) {
        double t = i - (n - 1) / 2;
        float e = (float)exp(-0.5 * t / (double)width * t / (double)width);

        ret->taps[i] = e / m;
        sum += ret->taps[i];
    }
    for (int i = 0; i < n; i++)
        ret->taps[i] = ret->taps[i] / sum;
}

static float filter(const VmafxSpeedTaps *taps, const float *in)
{
    float sum = 0;

    for (int k = 0; k < taps->n; k++)
        sum += taps->taps[k] * in[k];
    return sum;
}

/* The low-pass is computed where the decimation looks: in every 16th row and column. */
static void coarsen(VmafxSpeedPlane *p, const VmafxSpeedSource *source)
{
    const int half = (p->coarse.n - 1) / 2, w = p->scale.w, h = p->scale.h;
    float *filtered = p->filtered + PAD;

    for (int y = 0; y < p->h; y++) {
        memset(filtered, 0, (size_t)w * sizeof *filtered);
        for (int k = 0; k < p->coarse.n; k++) {
            vmafx_speed_scale_row(&p->scale, source, vmafx_mirror(STEP * y + k - half, h), p->row);
            p->kernels->add_scaled(p->row, p->coarse.taps[k], w, filtered);
        }
        VMAFX_MIRROR_ROW(filtered, w, half);
        for (int x = 0; x < p->w; x++)
            p->low[(size_t)y * (size_t)p->w + (size_t)x] = filter(&p->coarse, filtered + (ptrdiff_t)STEP * x - half);
    }
}

/* Takes the local mean away. */
static void flatten(VmafxSpeedPlane *p)
{
    const int half = (p->local.n - 1) / 2, w = p->w;
    float *filtered = p->filtered + PAD;

    for (int y = 0; y < p->h; y++) {
        const float *low = p->low + (size_t)y * (size_t)w;
        float *residual = p->residual + (size_t)y * (size_t)w;

        memset(filtered, 0, (size_t)w * sizeof *filtered);
        for (int k = 0; k < p->local.n; k++)
            p->kernels->add_scaled(p->low + (size_t)vmafx_mirror(y + k - half, p->h) * (size_t)w, p->local.taps[k], w,
                                   filtered);
        VMAFX_MIRROR_ROW(filtered, w, half);
        for (int x = 0; x < w; x++)
            residual[x] = low[x] - filter(&p->local, filtered + x - half);
    }
}

/* ---- Statistics of the whole plane ---- */

/* The five rows that windows starting in row i see. */
static void window_rows(const VmafxSpeedPlane *p, int i, const float *ret_rows[SIDE])
{
    for (int r = 0; r < SIDE; r++)
        ret_rows[r] = p->residual + (size_t)(i + r) * (size_t)p->w;
}

static void covary(VmafxSpeedPlane *p)
{
    const int nw = SIDE * p->bx - 4, nh = SIDE * p->by - 4;
    VmafxSpeedSums sums = { { 0 } };
    const float *rows[SIDE];

    memset(p->means, 0, sizeof p->means);
    for (int i = 0; i < nh; i++) {
        window_rows(p, i, rows);
        p->kernels->sum_row(rows, nw, p->means);
    }
    const double n = (double)nw * nh;
    for (int a = 0; a < N; a++)
        p->means[a] = p->means[a] / (float)n;
    for (int i = 0; i < nh; i++) {
        window_rows(p, i, rows);
        p->kernels->covary_row(rows, nw, p->means, sums);
    }
    for (int a = 0; a < N; a++)
        for (int b = 0; b <= a; b++)
            p->covariance[a][b] = p->covariance[b][a] = (float)(sums[a][VMAFX_SPEED_WIDE * (b / SIDE) + b % SIDE] / n);
}

/* ---- Blocks ---- */

static void gather_blocks(VmafxSpeedPlane *p)
{
    for (int a = 0; a < N; a++) {
        float *y = p->system.y + (size_t)a * p->system.pitch;

        for (int row = 0; row < p->by; row++) {
            const float *in = p->residual + (size_t)(SIDE * row + a / SIDE) * (size_t)p->w + a % SIDE;
            for (int col = 0; col < p->bx; col++)
                *y++ = in[SIDE * col];
        }
    }
}

static bool is_regular(const VmafxSpeedEigen *eigen)
{
    for (int k = 0; k < N; k++)
        if (!((double)eigen->values[k] >= EIGEN_LEAST))
            return false;
    return true;
}

static void fill_entropy(const VmafxSpeedPlane *p, const float *energy, float *ret_entropy)
{
    const float sigma = p->settings.sigma_nn;

    for (int j = 0; j < p->n_blocks; j++) {
        float entropy = 0;

        for (int k = 0; k < N; k++) {
            float lambda = p->eigen.values[k] > 0 ? p->eigen.values[k] : 0;
            entropy = (float)((double)entropy + (log2((double)(lambda * energy[j] + sigma)) + VMAFX_SPEED_LOG2_2PI_E));
        }
        ret_entropy[j] = entropy;
    }
}

void vmafx_speed_plane_measure(VmafxSpeedPlane *p, const VmafxSpeedSource *source, int side)
{
    VmafxSpeedBlocks *blocks = &p->sides[side];

    coarsen(p, source);
    flatten(p);
    covary(p);
    vmafx_speed_eigen(p->covariance, &p->eigen);
    gather_blocks(p);
    blocks->singular = !is_regular(&p->eigen) || !vmafx_speed_solve(p->kernels, p->covariance, &p->system);
    if (blocks->singular)
        memset(blocks->energy, 0, (size_t)p->n_blocks * sizeof *blocks->energy);
    else
        p->kernels->block_energy(p->system.x, p->system.y, p->system.pitch, p->n_blocks, blocks->energy);
    fill_entropy(p, blocks->energy, blocks->entropy);
}

/* ---- Room ---- */

static float *take(size_t rows, size_t columns, VmafxErr *err)
{
    float *values = vmafx_alloc_aligned(rows, columns * sizeof(float));

    if (!values)
        *err = VMAFX_ERR_NOMEM;
    return values;
}

static VmafxErr allocate(VmafxSpeedPlane *p)
{
    const size_t samples = (size_t)p->w * (size_t)p->h + VMAFX_SPEED_SLACK, blocks = (size_t)p->n_blocks;
    VmafxErr err = VMAFX_OK;

    p->system.n = p->n_blocks;
    p->system.pitch = (blocks + VMAFX_SPEED_COLUMNS - 1) / VMAFX_SPEED_COLUMNS * VMAFX_SPEED_COLUMNS;
    p->row = take(1, (size_t)VMAFX_MAX(p->scale.w, p->scale.w0), &err);
    p->filtered = take(1, (size_t)p->scale.w + 2 * (size_t)PAD, &err);
    p->low = take(1, samples, &err);
    p->residual = take(1, samples, &err);
    p->system.y = take(N, p->system.pitch, &err);
    p->system.t = take(N, p->system.pitch, &err);
    p->system.x = take(N, p->system.pitch, &err);
    for (int i = 0; i < 2; i++) {
        p->sides[i].energy = take(1, blocks, &err);
        p->sides[i].entropy = take(1, blocks, &err);
    }
    return err;
}

VmafxErr vmafx_speed_plane_init(VmafxSpeedPlane *p, const VmafxKernels *kernels, const VmafxSpeedSettings *settings,
                                int w, int h)
{
    *p = (VmafxSpeedPlane){ .settings = *settings, .kernels = &kernels->speed };
    VmafxErr err = vmafx_speed_scale_init(&p->scale, &kernels->floats, w, h, settings->prescale, settings->method);
    if (err)
        return err;
    p->w = p->scale.w / STEP;
    p->h = p->scale.h / STEP;
    p->bx = p->w / SIDE;
    p->by = p->h / SIDE;
    p->n_blocks = p->bx * p->by;
    int n1 = odd_size(9 * settings->kernel_scale), n4 = odd_size(2 * settings->kernel_scale);
    gaussian(n1, (float)(2 * n1 / 5.0), &p->coarse);
    gaussian(n4, (float)n4 / 5, &p->local);
    return allocate(p);
}

void vmafx_speed_plane_done(VmafxSpeedPlane *p)
{
    vmafx_speed_scale_done(&p->scale);
    free(p->row);
    free(p->filtered);
    free(p->low);
    free(p->residual);
    free(p->system.y);
    free(p->system.t);
    free(p->system.x);
    for (int i = 0; i < 2; i++) {
        free(p->sides[i].energy);
        free(p->sides[i].entropy);
    }
    *p = (VmafxSpeedPlane){ 0 };
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Resizing, one row at a time, because most rows are not needed. Everything is binary32 but for what is cast. Positions
 * reach a little beyond the edges, where samples are reflected; the distance to a reflected sample is taken as it is.
 */

#include "engine/features/speed_scale.h"

#include <math.h>

#include "base/base.h"
#include "engine/features/float_rows.h"

int vmafx_speed_scaled(int n0, double prescale)
{
    return (int)(n0 * prescale + 0.5);
}

bool vmafx_speed_is_unscaled(double prescale)
{
    return fabs(prescale - 1) < 0.001;
}

/* Where sample x of the resized plane lies in the other. */
static float position(int x, float ratio)
{
    return (float)((x + 0.5) * (double)ratio - 0.5);
}

static float bicubic(float distance)
{
    const float a = -0.75F, t = fabsf(distance);

    if (t < 1)
        return ((a + 2) * t - (a + 3)) * t * t + 1;
    return t < 2 ? (((t - 5) * t + 8) * t - 4) * a : 0;
}

static float lanczos4(float distance)
{
    const double t = (double)distance;

    if (t == 0)
        return 1;
    if (!(t > -4 && t < 4))
        return 0;
    return (float)(4 * sin(M_PI * t) * sin(M_PI * t / 4) / (M_PI * M_PI * t * t));
}

static float weigh(VmafxSpeedMethod method, float distance)
{
    return method == VMAFX_SPEED_BICUBIC ? bicubic(distance) : lanczos4(distance);
}

static int reflect(int i, int n)
{
    return i < 0 ? -i : i > n - 1 ? 2 * (n - 1) - i : i;
}

/* The samples that position p (of sample x) looks at, and their weights. */
static void sample_at(const VmafxSpeedScale *s, int x, float ratio, int n, int *ret_index, float *ret_weight)
{
    const float p = position(x, ratio);

    switch (s->method) {
    case VMAFX_SPEED_NEAREST:
        ret_index[0] = VMAFX_MIN((int)((float)x * ratio), n - 1);
        return;
    case VMAFX_SPEED_BILINEAR:
        ret_index[0] = reflect((int)floorf(p), n);
        ret_index[1] = reflect((int)ceilf(p), n);
        ret_weight[0] = p - (float)ret_index[0];
        return;
    default:
        for (int i = 0; i < s->reach; i++) {
            const float base = floorf(p);

            ret_index[i] = reflect((int)base + s->first + i, n);
            ret_weight[i] = weigh(s->method, (float)(s->first + i) - (p - base));
        }
    }
}

VmafxErr vmafx_speed_scale_init(VmafxSpeedScale *s, const VmafxFloatsKernels *kernels, int w0, int h0, double prescale,
                                VmafxSpeedMethod method)
{
    static const int reach[] = { 1, 2, 4, 9 }, first[] = { 0, 0, -1, -4 };

    *s = (VmafxSpeedScale){ .kernels = kernels,
                            .w0 = w0,
                            .h0 = h0,
                            .w = vmafx_speed_scaled(w0, prescale),
                            .h = vmafx_speed_scaled(h0, prescale),
                            .method = method,
                            .reach = reach[method],
                            .first = first[method] };
    s->resizes = !vmafx_speed_is_unscaled(prescale) && (s->w != w0 || s->h != h0);
    s->ratio_y = (float)h0 / (float)s->h;
    if (!s->resizes)
        return VMAFX_OK;
    for (int i = 0; i < s->reach; i++) {
        s->rows[i] = vmafx_alloc_aligned((size_t)w0, sizeof(float));
        if (!s->rows[i])
            return VMAFX_ERR_NOMEM;
    }
    s->index = calloc((size_t)s->w * (size_t)s->reach, sizeof *s->index);
    s->weight = calloc((size_t)s->w * (size_t)s->reach, sizeof *s->weight);
    if (!s->index || !s->weight)
        return VMAFX_ERR_NOMEM;
    for (int x = 0; x < s->w; x++)
        sample_at(s, x, (float)w0 / (float)s->w, w0, s->index + (ptrdiff_t)x * s->reach,
                  s->weight + (ptrdiff_t)x * s->reach);
    return VMAFX_OK;
}

void vmafx_speed_scale_done(VmafxSpeedScale *s)
{
    for (int i = 0; i < VMAFX_SPEED_REACH_MAX; i++)
        free(s->rows[i]);
    free(s->index);
    free(s->weight);
    *s = (VmafxSpeedScale){ 0 };
}

static void difference_row(const VmafxSpeedSource *source, int y, float *restrict ret)
{
    const VmafxPlane *plane = source->plane;
    const void *row = vmafx_plane_row(plane, y), *minus = vmafx_plane_row(source->minus, y);
    const float scale = 1.0F / (float)(1 << (plane->bpc - 8));

    if (plane->bpc == 8)
        for (int x = 0; x < plane->w; x++)
            ret[x] = (float)(((const uint8_t *)row)[x] - ((const uint8_t *)minus)[x]);
    else
        for (int x = 0; x < plane->w; x++)
            ret[x] = (float)(((const uint16_t *)row)[x] - ((const uint16_t *)minus)[x]) * scale;
}

static void source_row(const VmafxSpeedScale *s, const VmafxSpeedSource *source, int y, float *ret)
{
    if (source->minus)
        difference_row(source, y, ret);
    else
        vmafx_float_row(s->kernels, source->plane, y, ret);
}

static void bilinear_row(const VmafxSpeedScale *s, float dy, float *restrict ret)
{
    const float *top = s->rows[0], *bottom = s->rows[1];

    for (int x = 0; x < s->w; x++) {
        const int x1 = s->index[2 * x], x2 = s->index[2 * x + 1];
        const float dx = s->weight[2 * x];

        ret[x] =
            (1 - dy) * (1 - dx) * top[x1] + (1 - dy) * dx * top[x2] + dy * (1 - dx) * bottom[x1] + dy * dx * bottom[x2];
    }
}

static void weighted_row(const VmafxSpeedScale *s, const float *weight_y, float *restrict ret)
{
    for (int x = 0; x < s->w; x++) {
        const int *index = s->index + (ptrdiff_t)x * s->reach;
        const float *weight_x = s->weight + (ptrdiff_t)x * s->reach;
        float value = 0, sum = 0;

        for (int j = 0; j < s->reach; j++)
            for (int i = 0; i < s->reach; i++) {
                const float w = weight_x[i] * weight_y[j];
                value += s->rows[j][index[i]] * w;
                sum += w;
            }
        ret[x] = s->method == VMAFX_SPEED_LANCZOS4 ? value / sum : value;
    }
}

void vmafx_speed_scale_row(const VmafxSpeedScale *s, const VmafxSpeedSource *source, int y, float *ret)
{
    int index[VMAFX_SPEED_REACH_MAX] = { 0 };
    float weight[VMAFX_SPEED_REACH_MAX] = { 0 };

    if (!s->resizes) {
        source_row(s, source, y, ret);
        return;
    }
    sample_at(s, y, s->ratio_y, s->h0, index, weight);
    for (int i = 0; i < s->reach; i++)
        source_row(s, source, index[i], s->rows[i]);
    if (s->method == VMAFX_SPEED_NEAREST)
        for (int x = 0; x < s->w; x++)
            ret[x] = s->rows[0][s->index[x]];
    else if (s->method == VMAFX_SPEED_BILINEAR)
        bilinear_row(s, weight[0], ret);
    else
        weighted_row(s, weight, ret);
}

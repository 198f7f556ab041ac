/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The formulas: contents as numbers of 16 bits, of which a clip keeps the upper ones; operators on what it keeps. */

#include "fields.h"

#include <stdio.h>
#include <string.h>

#include "base/base.h"

static uint32_t hash(uint32_t seed, int32_t x, int32_t y)
{
    uint32_t z = seed * 2654435761u + (uint32_t)x * 2246822519u + (uint32_t)y * 3266489917u;

    z = (z ^ z >> 15) * 2246822519u;
    z = (z ^ z >> 13) * 3266489917u;
    return (z ^ z >> 16) >> 16;
}

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

/* Value noise: four corners of a cell, interpolated. */
static int64_t cell_noise(uint32_t seed, int cell, int64_t x, int64_t y)
{
    int32_t ix = (int32_t)floor_div(x, cell), iy = (int32_t)floor_div(y, cell);
    int64_t fx = x - (int64_t)ix * cell, fy = y - (int64_t)iy * cell;
    int64_t top = hash(seed, ix, iy) * (cell - fx) + hash(seed, ix + 1, iy) * fx;
    int64_t bottom = hash(seed, ix, iy + 1) * (cell - fx) + hash(seed, ix + 1, iy + 1) * fx;

    return (top * (cell - fy) + bottom * fy) / ((int64_t)cell * cell);
}

static int64_t octaves(uint32_t seed, int plane, int64_t x, int64_t y)
{
    int64_t sum = 0, total = 0, weight = 64;

    for (int o = 0, cell = 128; o < (plane ? 5 : 7); o++, cell /= 2, weight /= 2) {
        sum += weight * cell_noise(seed + 101u * (uint32_t)plane + (uint32_t)o, cell, x, y);
        total += weight;
    }
    return sum / total;
}

/* x, y: in luma samples. */
static int64_t content_at(const Field *field, int plane, int64_t x, int64_t y, int t)
{
    const char *content = field->content;
    bool slow = !strcmp(content, "slow"), still = !strcmp(content, "still");
    int64_t v = 0;

    if ((!strcmp(content, "flatc") && plane) || (!strcmp(content, "flatu") && plane == 1))
        return 32768;
    if (!strcmp(content, "hard") && !plane)
        return (x / 16 + y / 16 + t) & 1 ? 60160 : 4096;
    if (!strcmp(content, "band") && !plane)
        v = 6144 + (6 * x + 2 * y + 16 * t) % 49152;
    else
        v = octaves(field->seed, plane, x + (still ? 0 : slow ? t : 5 * t), y + (still || slow ? 0 : 2 * t));
    if (!strcmp(content, "band") && plane)
        v = v / 8 + 28672;
    if (!strcmp(content, "dimc") && plane)
        v = 32768 + (v - 32768) / 64;
    return VMAFX_MIN(VMAFX_MAX(v, 0), 65535);
}

/* ---- Operators ---- */

/* One operator at work on one plane: w x h samples that it reads. */
typedef struct Step {
    const Field *field;
    const uint16_t *in;
    int w, h, bpc, t, plane;
    char name[16];
    int a, b;
} Step;

static int64_t in_at(const Step *s, int x, int y)
{
    int cx = VMAFX_MIN(VMAFX_MAX(x, 0), s->w - 1), cy = VMAFX_MIN(VMAFX_MAX(y, 0), s->h - 1);

    return s->in[(size_t)cy * (size_t)s->w + (size_t)cx];
}

static int64_t blurred(const Step *s, int x, int y)
{
    int side = 2 * s->a + 1;
    int64_t sum = 0;

    for (int j = -s->a; j <= s->a; j++)
        for (int i = -s->a; i <= s->a; i++)
            sum += in_at(s, x + i, y + j);
    return sum / (side * side);
}

static int64_t noisy(const Step *s, int x, int y)
{
    int most = s->a << (s->bpc - 8);
    uint32_t v = hash(s->field->seed + 7u + 31u * (uint32_t)s->plane, x + y * s->w, s->t);

    return in_at(s, x, y) + (int64_t)(v % (uint32_t)(2 * most + 1)) - most;
}

static int64_t gained(const Step *s, int x, int y)
{
    int middle = 1 << (s->bpc - 1);

    return middle + (in_at(s, x, y) - middle) * s->a / s->b;
}

static int64_t operated(const Step *s, int x, int y)
{
    int low_bits = s->a + s->bpc - 8;

    if (!strcmp(s->name, "blur"))
        return blurred(s, x, y);
    if (!strcmp(s->name, "quant"))
        return in_at(s, x, y) >> low_bits << low_bits;
    if (!strcmp(s->name, "noise"))
        return noisy(s, x, y);
    if (!strcmp(s->name, "shift"))
        return in_at(s, x - s->a, y);
    return !strcmp(s->name, "gain") ? gained(s, x, y) : in_at(s, x, y);
}

static void run_operators(Step s, const char *chain, uint16_t *samples)
{
    size_t n = (size_t)s.w * (size_t)s.h;
    VMAFX_AUTO(vmafx_free_p) uint16_t *in = calloc(n, sizeof *in);

    if (!in)
        abort();
    s.in = in;
    for (; chain; chain = strchr(chain, '+') ? strchr(chain, '+') + 1 : NULL) {
        s.a = 0;
        s.b = 1;
        sscanf(chain, "%15[a-z]:%d,%d", s.name, &s.a, &s.b);
        memcpy(in, samples, n * sizeof *in);
        for (int y = 0; y < s.h; y++)
            for (int x = 0; x < s.w; x++)
                samples[(size_t)y * (size_t)s.w + (size_t)x] =
                    (uint16_t)VMAFX_MIN(VMAFX_MAX(operated(&s, x, y), 0), (1 << s.bpc) - 1);
    }
}

static void store(const VmafxPlane *plane, const uint16_t *samples)
{
    for (int y = 0; y < plane->h; y++) {
        char *row = (char *)(uintptr_t)plane->data + y * plane->stride;

        for (int x = 0; x < plane->w; x++) {
            uint16_t v = samples[(size_t)y * (size_t)plane->w + (size_t)x];
            if (plane->bpc > 8)
                ((uint16_t *)(void *)row)[x] = v;
            else
                ((uint8_t *)row)[x] = (uint8_t)v;
        }
    }
}

void field_frame(const Field *field, int t, const VmafxPicture *ref, const VmafxPicture *dis)
{
    const VmafxPlane *luma = &ref->planes[0];
    VMAFX_AUTO(vmafx_free_p) uint16_t *samples = calloc((size_t)luma->w * (size_t)luma->h, sizeof *samples);

    if (!samples)
        abort();
    for (int p = 0; p < 3; p++) {
        const VmafxPlane *plane = &ref->planes[p];
        int sx = p && ref->chroma != VMAFX_CHROMA_444 ? 2 : 1, sy = p && ref->chroma == VMAFX_CHROMA_420 ? 2 : 1;

        for (int y = 0; y < plane->h; y++)
            for (int x = 0; x < plane->w; x++)
                samples[(size_t)y * (size_t)plane->w + (size_t)x] =
                    (uint16_t)(content_at(field, p, (int64_t)x * sx, (int64_t)y * sy, t) >> (16 - plane->bpc));
        store(plane, samples);
        run_operators((Step){ .field = field, .w = plane->w, .h = plane->h, .bpc = plane->bpc, .t = t, .plane = p },
                      field->operators[p > 0], samples);
        store(&dis->planes[p], samples);
    }
}

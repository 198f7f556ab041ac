/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The formulas of the synthetic clips with chroma. */

#include "patterns.h"

#include <stdio.h>
#include <string.h>

#include "base/base.h"

static uint32_t mix(uint32_t v)
{
    v = (v ^ v >> 16) * 0x7feb352du;
    v = (v ^ v >> 15) * 0x846ca68bu;
    return v ^ v >> 16;
}

/* Where a sample is. */
typedef struct Place {
    int t, p, y, x;
} Place;

static int noise(uint32_t seed, const Place *at, int below)
{
    uint32_t v = mix(seed);

    v = mix(v ^ (uint32_t)at->p);
    v = mix(v ^ (uint32_t)at->t);
    v = mix(v ^ (uint32_t)at->y);
    return (int)(mix(v ^ (uint32_t)at->x) % (uint32_t)below);
}

void pattern_shape(int w, int h, int bpc, int format, VmafxPicture *ret)
{
    int cw = format == 444 ? w : w / 2, ch = format == 420 ? h / 2 : h;

    *ret = (VmafxPicture){ .planes = { { .w = w, .h = h, .bpc = bpc } },
                           .chroma = format == 420   ? VMAFX_CHROMA_420
                                     : format == 422 ? VMAFX_CHROMA_422
                                     : format == 444 ? VMAFX_CHROMA_444
                                                     : VMAFX_CHROMA_400 };
    for (int p = 1; p < 3 && ret->chroma; p++)
        ret->planes[p] = (VmafxPlane){ .w = cw, .h = ch, .bpc = bpc };
}

bool pattern_parse(const char *name, Pattern *ret)
{
    int w, h, format, bpc, used = 0;

    *ret = (Pattern){ 0 };
    if (sscanf(name, "%15[a-z]_%dx%d_%d_%db_%df_s%u%n", ret->kind, &w, &h, &format, &bpc, &ret->frames, &ret->seed,
               &used) != 7 ||
        name[used])
        return false;
    pattern_shape(w, h, bpc, format, &ret->shape);
    return true;
}

void pattern_picture_init(const VmafxPicture *shape, VmafxPicture *ret)
{
    *ret = *shape;
    for (int p = 0; p < (shape->chroma ? 3 : 1); p++) {
        VmafxPlane *plane = &ret->planes[p];

        plane->stride = (ptrdiff_t)plane->w * (plane->bpc > 8 ? 2 : 1);
        plane->data = calloc((size_t)plane->stride * (size_t)plane->h + 1, 1);
        if (!plane->data)
            abort();
    }
}

void pattern_picture_done(VmafxPicture *picture)
{
    for (int p = 0; p < 3; p++)
        free((void *)(uintptr_t)picture->planes[p].data);
    *picture = (VmafxPicture){ 0 };
}

static void put(const VmafxPlane *plane, const Place *at, int v)
{
    char *row = (char *)(uintptr_t)plane->data + at->y * plane->stride;

    if (plane->bpc > 8)
        ((uint16_t *)(void *)row)[at->x] = (uint16_t)v;
    else
        ((uint8_t *)row)[at->x] = (uint8_t)v;
}

/* Luma whose steps are seen as bands; chroma is grey. */
static void banding(const Pattern *pattern, const Place *at, int *ret_ref, int *ret_dis)
{
    const char *kind = pattern->kind;
    int w = pattern->shape.planes[0].w, h = pattern->shape.planes[0].h, bpc = pattern->shape.planes[0].bpc;
    int x = at->x, y = at->y, r = 1 << (bpc - 1), d = r;

    if (at->p == 0 && !strcmp(kind, "bands")) {
        int b = 200 + 8 * at->t + (3 * x + 2 * y) * 120 / (3 * w + 2 * h);
        if ((x / 32 + y / 32) % 7 == 0)
            b += noise(pattern->seed, at, 16);
        r = bpc == 8 ? (b + noise(pattern->seed + 1, at, 4)) / 4 : b << (bpc - 10);
        d = bpc == 8 ? b / 4 : b / 4 * 4 << (bpc - 10);
    } else if (at->p == 0 && !strcmp(kind, "dark")) {
        int b = 56 + (2 * x + 5 * y) * 60 / (2 * w + 5 * h);
        d = bpc == 8 ? b / 4 : b << (bpc - 10);
        if ((x / 40 + y / 24) % 5 == 0)
            d += noise(pattern->seed, at, 2);
        r = d;
    } else if (at->p == 0) {
        int q = (3 * x + 2 * y) * (bpc == 8 ? 16 : 64) / (3 * w + 2 * h);
        if ((x / 16 + y / 16) % 9 == 0)
            q += noise(pattern->seed, at, 2);
        if (bpc > 8)
            q <<= bpc - 10;
        r = d = kind[0] == 't' ? (1 << bpc) - 1 - q : q;
    }
    *ret_ref = r;
    *ret_dis = d;
}

static bool sample(const Pattern *pattern, const Place *at, int *ret_ref, int *ret_dis)
{
    const char *kind = pattern->kind;
    int bpc = pattern->shape.planes[0].bpc, k = 1 << (bpc - 8), peak = (1 << bpc) - 1;

    if (!strcmp(kind, "ramp") || !strcmp(kind, "ident")) {
        int g = (at->x * (3 + at->p) + at->y * (5 + 2 * at->p) + 7 * at->t) % 512, triangle = g < 256 ? g : 511 - g;
        int r = (16 + triangle * 219 / 255) * k + (bpc > 8 ? noise(pattern->seed, at, k) : 0);
        int d = r + noise(pattern->seed + 1, at, 9 * k) - 4 * k;
        *ret_ref = r;
        *ret_dis = kind[0] == 'i' ? r : VMAFX_MAX(VMAFX_MIN(d, peak), 0);
    } else if (!strcmp(kind, "noise")) {
        *ret_ref = noise(pattern->seed, at, peak + 1);
        *ret_dis = noise(pattern->seed + 1, at, peak + 1);
    } else if (!strcmp(kind, "flat")) {
        *ret_ref = (100 + 10 * at->p) * k;
        *ret_dis = *ret_ref + (int)pattern->seed * k;
    } else if (!strcmp(kind, "extreme")) {
        *ret_ref = (at->x + at->y + at->p) % 2 ? peak : 0;
        *ret_dis = (at->x / 2 + at->y) % 2 ? peak : 0;
    } else if (!strcmp(kind, "bands") || !strcmp(kind, "dark") || !strcmp(kind, "top") || !strcmp(kind, "low")) {
        banding(pattern, at, ret_ref, ret_dis);
    } else {
        return false;
    }
    return true;
}

bool pattern_frame(const Pattern *pattern, int t, VmafxPicture *ref, VmafxPicture *dis)
{
    for (int p = 0; p < (ref->chroma ? 3 : 1); p++)
        for (int y = 0; y < ref->planes[p].h; y++)
            for (int x = 0; x < ref->planes[p].w; x++) {
                const Place at = { t, p, y, x };
                int r, d;

                if (!sample(pattern, &at, &r, &d))
                    return false;
                put(&ref->planes[p], &at, r);
                put(&dis->planes[p], &at, d);
            }
    return true;
}

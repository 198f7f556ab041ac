/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Patterns and operators, each one sample at a time. */

#include "clips.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"

/* One pattern or operator at work on one frame. */
typedef struct Maker {
    const Clip *clip;
    int t;
    long arg[3];
    uint32_t *noise;
    const uint16_t *in; /* operators: the frame before this step */
} Maker;

static uint32_t next_noise(const Maker *m)
{
    *m->noise = *m->noise * 1664525u + 1013904223u;
    return *m->noise;
}

static int64_t peak(const Maker *m)
{
    return (1 << m->clip->bpc) - 1;
}

/* Uniform in −spread … spread. */
static int64_t symmetric_noise(const Maker *m, int64_t spread)
{
    return (int64_t)((next_noise(m) >> 16) % (uint32_t)(2 * spread + 1)) - spread;
}

static int64_t triangle(int64_t u, int64_t period)
{
    int64_t r = u % period;

    return r < period / 2 ? r : period - r;
}

/* Stripes, a second slope and a chequerboard, all moving with t, and four bits of noise; low bits are noise too. */
static int64_t moving_mixture(const Maker *m, int x, int y, int t)
{
    int k = m->clip->bpc - 8;
    uint32_t noise = next_noise(m);
    int64_t v = 40 + 2 * triangle(3 * x + 2 * y + 5 * t, 64) + triangle(x + 4 * y + 3 * t, 96) +
                40 * (((x + 2 * t) / 8 + (y + t) / 8) & 1) + (noise >> 28);

    return (v << k) | ((noise >> 8) & ((1u << k) - 1));
}

static int64_t pat_wave(const Maker *m, int x, int y)
{
    return moving_mixture(m, x, y, m->t);
}

static int64_t pat_still(const Maker *m, int x, int y)
{
    return moving_mixture(m, x, y, 0);
}

static int64_t pat_flat(const Maker *m, int x, int y)
{
    (void)x, (void)y;
    return m->arg[0];
}

static int64_t pat_noise(const Maker *m, int x, int y)
{
    (void)x, (void)y;
    return next_noise(m) >> (32 - m->clip->bpc);
}

static int64_t pat_lownoise(const Maker *m, int x, int y)
{
    int k = m->clip->bpc - 8;

    (void)x, (void)y;
    return ((int64_t)m->arg[1] << k) + symmetric_noise(m, (int64_t)m->arg[2] << k);
}

static int64_t pat_checker(const Maker *m, int x, int y)
{
    return (x / m->arg[0] + y / m->arg[0] + m->t) & 1 ? peak(m) : 0;
}

static int64_t pat_binoise(const Maker *m, int x, int y)
{
    (void)x, (void)y;
    return next_noise(m) >> 31 ? peak(m) : 0;
}

static int64_t pat_ramp(const Maker *m, int x, int y)
{
    (void)y;
    return (x * peak(m) / (m->clip->w - 1) + m->t * peak(m) / 16) % (peak(m) + 1);
}

static int64_t pat_impulse(const Maker *m, int x, int y)
{
    return x == m->clip->w / 2 + m->t && y == m->clip->h / 2 ? peak(m) : 0;
}

/* A sample of the frame before, the edge repeated outwards. */
static int64_t before(const Maker *m, int x, int y)
{
    int cx = VMAFX_MIN(VMAFX_MAX(x, 0), m->clip->w - 1), cy = VMAFX_MIN(VMAFX_MAX(y, 0), m->clip->h - 1);

    return m->in[(size_t)cy * (size_t)m->clip->w + (size_t)cx];
}

static int64_t op_same(const Maker *m, int x, int y)
{
    return before(m, x, y);
}

static int64_t op_blur(const Maker *m, int x, int y)
{
    int64_t sum = 4;

    for (int dy = -1; dy <= 1; dy++)
        for (int dx = -1; dx <= 1; dx++)
            sum += before(m, x + dx, y + dy);
    return sum / 9;
}

static int64_t op_quant(const Maker *m, int x, int y)
{
    int bits = (int)m->arg[0] + m->clip->bpc - 8;

    return before(m, x, y) >> bits << bits;
}

static int64_t op_contrast(const Maker *m, int x, int y)
{
    int64_t n = before(m, x, y) * m->arg[0] - (1ll << (m->clip->bpc - 1)) * (m->arg[0] - m->arg[1]);

    return n < 0 ? 0 : n / m->arg[1];
}

static int64_t op_addnoise(const Maker *m, int x, int y)
{
    return before(m, x, y) + symmetric_noise(m, (int64_t)m->arg[1] << (m->clip->bpc - 8));
}

static int64_t op_shift(const Maker *m, int x, int y)
{
    return before(m, x - (int)m->arg[0], y - (int)m->arg[1]);
}

static int64_t op_invert(const Maker *m, int x, int y)
{
    return peak(m) - before(m, x, y);
}

static int64_t op_gain(const Maker *m, int x, int y)
{
    return before(m, x, y) * m->arg[0] / m->arg[1];
}

static const struct {
    const char *name;
    int64_t (*sample)(const Maker *m, int x, int y);
    bool reseeds; /* every frame starts from the seed */
} makers[] = {
    { "wave", pat_wave, false },        { "still", pat_still, true },        { "flat", pat_flat, false },
    { "noise", pat_noise, false },      { "lownoise", pat_lownoise, false }, { "checker", pat_checker, false },
    { "binoise", pat_binoise, false },  { "ramp", pat_ramp, false },         { "impulse", pat_impulse, false },
    { "same", op_same, false },         { "blur", op_blur, false },          { "quant", op_quant, false },
    { "contrast", op_contrast, false }, { "addnoise", op_addnoise, false },  { "shift", op_shift, false },
    { "invert", op_invert, false },     { "gain", op_gain, false },
};

/* Runs one step of a recipe ("addnoise 5 6", up to the end or a '+'). */
static bool run_step(const Clip *clip, const char *step, int t, uint32_t *noise, const uint16_t *in, uint16_t *out)
{
    Maker m = { .clip = clip, .t = t, .noise = noise, .in = in };
    char name[16] = "";

    sscanf(step, "%15[a-z] %ld %ld %ld", name, &m.arg[0], &m.arg[1], &m.arg[2]);
    for (size_t i = 0; i < VMAFX_LEN(makers); i++) {
        if (strcmp(makers[i].name, name) != 0)
            continue;
        if (t == 0 || makers[i].reseeds)
            *noise = (uint32_t)m.arg[0];
        for (int y = 0; y < clip->h; y++)
            for (int x = 0; x < clip->w; x++) {
                int64_t v = makers[i].sample(&m, x, y);
                out[(size_t)y * (size_t)clip->w + (size_t)x] = (uint16_t)VMAFX_MIN(VMAFX_MAX(v, 0), peak(&m));
            }
        return true;
    }
    return false;
}

bool clip_frame(Clip *clip, int t, uint16_t *ref, uint16_t *dis)
{
    size_t n = (size_t)clip->w * (size_t)clip->h;
    VMAFX_AUTO(vmafx_free_p) uint16_t *in = calloc(n, sizeof *in);
    const char *step = clip->dis;

    if (!in || !run_step(clip, clip->ref, t, &clip->ref_noise, NULL, ref))
        return false;
    if (*step == '=')
        return run_step(clip, step + 1, t, &clip->dis_noise[0], NULL, dis);

    memcpy(dis, ref, n * sizeof *dis);
    for (int i = 0; step && i < CLIP_CHAIN_MAX; i++) {
        memcpy(in, dis, n * sizeof *in);
        if (!run_step(clip, step, t, &clip->dis_noise[i], in, dis))
            return false;
        step = strchr(step, '+');
        step = step ? step + 1 : NULL;
    }
    return true;
}

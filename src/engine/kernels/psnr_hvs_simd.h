/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * PSNR-HVS-M with vectors of whatever instruction set and width: BLOCKS blocks abreast, each in a lane, so that every
 * sum of a block has a lane of its own and keeps its order. Included by those who define
 *
 *     BLOCKS, VEC, get(p), put(p, v)  lanes of 16 bits, their vector, load, store; all16(v) has v in each
 *     add16, sub16, max16             modulo 2^16; the larger of two signed ones
 *     half16(v), scaled16(v, f)       v / 2 towards zero; v · f / 2^15, rounded, halves upwards
 *     low_bytes(v), high_bytes(v)     of each lane
 *     firsts16(a, b), seconds16(a, b) lanes of a and of b in turn: first and second half of each 128 bits
 *     firsts32 … seconds64            the same with pairs and fours of lanes
 *     pairs(p), eights(p)             from each of p, p + 56 …: bytes 0 … 7 and 7 … 14, of which 16 are read; 8 samples
 *     FLOATS, all_floats(v)           BLOCKS / 2 numbers of binary32, with the operators of C
 *     get_floats(p), put_floats(p, v) load, store
 *     floats(p), whole_floats(p)      from integers of 16 bits, signed and unsigned
 *     apart(p, q)                     |p − q|, of signed ones
 *     larger(a, b), magnitude(a)      max(a, b); |a|
 *     root(a), rounded(a)             √a; to nearest integers, even ones of two
 *     quotient(a, b)                  a / b where b > 0, else 0
 *
 * Three things are not as in plain C, and give the same bits:
 *
 * Steps of lifting in 16 bits. (v · f + 2^(n − 1)) >> n is what multiplying by f · 2^(15 − n), rounding and shifting by
 * 15 gives. What the steps can make of samples up to 4094, with all roundings at their worst, stays below 2^15; blocks
 * with larger samples are left to plain C.
 *
 * Squares of coefficients in binary32: an exact product rounded once, as where the product of integers is converted.
 * Square roots in binary32: rounding a root to 53 bits first, then to 24, gives the same.
 *
 * The sum of a plane. While it stays below the next power of two, it is a multiple of a unit, and to add a term is to
 * add that term rounded to units; only where a term lies exactly between two multiples does the sum decide. So the
 * rounded terms of a block may be added in any order. Blocks that have such a term, or that lead to the next power,
 * are added term by term.
 */

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "base/base.h"

#define SIDE      VMAFX_HVS_SIDE
#define STEP      VMAFX_HVS_STEP
#define AREA      (SIDE * SIDE)
#define FLOATS_N  (BLOCKS / 2)
#define SPAN      (STEP * BLOCKS + 1) /* samples in a row of so many blocks */
#define LARGEST   4094
#define LEAST_SUM 0x1p-80F /* that has units */

typedef int16_t Lanes[BLOCKS];

/* Samples or coefficients, by row and column. */
typedef struct Blocks {
    _Alignas(64) Lanes at[AREA];
} Blocks;

typedef struct Terms {
    _Alignas(64) float at[AREA][BLOCKS];
} Terms;

/* ---- Samples into lanes ---- */

/* Of a block: from_bytes finds even and odd blocks in different halves of 128 bits. */
static inline int lane(int block)
{
    return (block & ~7) | (block & 1) << 2 | (block >> 1 & 3);
}

static void from_bytes(const uint8_t *row, Lanes *ret)
{
    VEC a = pairs(row), b = pairs(row + 14);
    VEC c = pairs(row + 28), d = pairs(row + 42);
    VEC ab_even = firsts16(a, b), ab_odd = seconds16(a, b);
    VEC cd_even = firsts16(c, d), cd_odd = seconds16(c, d);
    VEC even[2] = { firsts32(ab_even, cd_even), seconds32(ab_even, cd_even) };
    VEC odd[2] = { firsts32(ab_odd, cd_odd), seconds32(ab_odd, cd_odd) };

    for (int i = 0; i < 2; i++) {
        VEC first = firsts64(even[i], odd[i]), second = seconds64(even[i], odd[i]);

        put(ret[4 * i], low_bytes(first));
        put(ret[4 * i + 1], high_bytes(first));
        put(ret[4 * i + 2], low_bytes(second));
        put(ret[4 * i + 3], high_bytes(second));
    }
}

/* Returns the largest sample of each block. */
static VEC from_words(const uint16_t *row, Lanes *ret)
{
    VEC in[SIDE], two[SIDE], four[SIDE], largest = all16(0);

    for (int i = 0; i < SIDE; i++) /* of eight blocks, the one whose lane is i */
        in[i] = eights(row + STEP * ((i & 3) << 1 | i >> 2));
    for (int i = 0; i < 4; i++) {
        two[2 * i] = firsts16(in[2 * i], in[2 * i + 1]);
        two[2 * i + 1] = seconds16(in[2 * i], in[2 * i + 1]);
    }
    for (int i = 0; i < 2; i++)
        for (int half = 0; half < 2; half++) {
            four[4 * i + 2 * half] = firsts32(two[4 * i + half], two[4 * i + 2 + half]);
            four[4 * i + 2 * half + 1] = seconds32(two[4 * i + half], two[4 * i + 2 + half]);
        }
    for (int i = 0; i < 4; i++) {
        VEC first = firsts64(four[i], four[4 + i]), second = seconds64(four[i], four[4 + i]);

        largest = max16(largest, max16(first, second));
        put(ret[2 * i], first);
        put(ret[2 * i + 1], second);
    }
    return largest;
}

/* ---- What a block's texture hides ---- */

static void texture(const Blocks *v, float *ret)
{
    const float whole_scale = 1.0F / 63.0F * 64.0F, quarter_scale = 1.0F / 15.0F * 16.0F;
    uint16_t sums[4][BLOCKS]; /* of the quarters at the top, then at the bottom */

    for (int q = 0; q < 4; q++) {
        const Lanes *from = &v->at[q / 2 * 4 * SIDE + q % 2 * 4];
        VEC sum = all16(0);

        for (int i = 0; i < 4; i++)
            for (int j = 0; j < 4; j++)
                sum = add16(sum, get(from[i * SIDE + j]));
        put(sums[q], sum);
    }
    for (int l = 0; l < BLOCKS; l += FLOATS_N) {
        FLOATS mean = all_floats(0), whole = mean, quarters[4], means[4];

        for (int q = 0; q < 4; q++) {
            means[q] = whole_floats(sums[q] + l);
            mean = mean + means[q]; /* below 2^24, so exact */
            means[q] = means[q] * (1.0F / 16);
            quarters[q] = all_floats(0);
        }
        mean = mean * (1.0F / 64);
        for (int down = 0; down < 2; down++)
            for (int i = 0; i < 4; i++)
                for (int j = 0; j < SIDE; j++) {
                    const int q = 2 * down + j / 4;
                    FLOATS sample = floats(v->at[(4 * down + i) * SIDE + j] + l);
                    FLOATS from_whole = sample - mean, from_quarter = sample - means[q];

                    whole = whole + from_whole * from_whole;
                    quarters[q] = quarters[q] + from_quarter * from_quarter;
                }
        whole = whole * whole_scale;
        for (int q = 0; q < 4; q++)
            quarters[q] = quarters[q] * quarter_scale;
        put_floats(ret + l, quotient(quarters[0] + quarters[2] + quarters[1] + quarters[3], whole));
    }
}

/* ---- The transform ---- */

static inline VEC lift(VEC v, int factor, int bits)
{
    return scaled16(v, (int16_t)(factor << (15 - bits)));
}

/* Eight vectors, `step` apart. */
static inline void transform(Lanes *v, int step)
{
    VEC v0 = get(v[0]), v1 = get(v[step]), v2 = get(v[2 * step]), v3 = get(v[3 * step]);
    VEC v4 = get(v[4 * step]), v5 = get(v[5 * step]), v6 = get(v[6 * step]), v7 = get(v[7 * step]);
    VEC d = sub16(v0, v7), d_half = half16(d), a = sub16(v0, d_half);
    VEC b = add16(v1, v6), b_half = half16(b), e = sub16(v6, b_half);
    VEC f = sub16(v2, v5), c = sub16(v2, half16(f));
    VEC g = add16(v3, v4), g_half = half16(g), h = sub16(g_half, v4);

    a = add16(a, g_half);
    g = sub16(a, g);
    c = sub16(b_half, c);
    b = sub16(c, b);
    a = sub16(a, lift(b, 13573, 15));
    b = add16(b, lift(a, 11585, 14));
    a = sub16(a, lift(b, 13573, 15));
    g = sub16(g, lift(c, 21895, 15));
    c = add16(c, lift(g, 15137, 14));
    g = sub16(g, lift(c, 21895, 15));

    f = add16(f, lift(e, 19195, 15));
    e = add16(e, lift(f, 11585, 14));
    f = sub16(f, lift(e, 7489, 13));
    h = sub16(half16(e), h);
    e = sub16(e, h);
    f = sub16(d_half, f);
    d = sub16(d, f);
    h = add16(h, lift(d, 3227, 15));
    d = sub16(d, lift(h, 6393, 15));
    h = add16(h, lift(d, 3227, 15));
    e = add16(e, lift(f, 2485, 13));
    f = sub16(f, lift(e, 18205, 15));
    e = add16(e, lift(f, 2485, 13));

    put(v[0], a);
    put(v[step], d);
    put(v[2 * step], c);
    put(v[3 * step], f);
    put(v[4 * step], b);
    put(v[5 * step], e);
    put(v[6 * step], g);
    put(v[7 * step], h);
}

/* ---- What blocks differ by ---- */

static FLOATS masking(const Blocks *t, int l, const float *texture_of_it, const VmafxHvsTables *tables)
{
    FLOATS energy = all_floats(0);

    for (int k = 1; k < AREA; k++) {
        FLOATS c = floats(t->at[k] + l);

        energy = energy + c * c * tables->masks[k / SIDE][k % SIDE];
    }
    return root(energy * get_floats(texture_of_it)) * (1.0F / 32);
}

static inline void term(const Blocks *ref, const Blocks *dis, int k, int l, FLOATS hidden, float seen, Terms *ret)
{
    FLOATS d = larger(apart(ref->at[k] + l, dis->at[k] + l) - hidden, all_floats(0)) * seen;

    put_floats(ret->at[k] + l, d * d);
}

/* The samples become coefficients. */
static void all_terms(Blocks *ref, Blocks *dis, const VmafxHvsTables *tables, Terms *ret)
{
    float texture_ref[BLOCKS], texture_dis[BLOCKS];

    texture(ref, texture_ref);
    texture(dis, texture_dis);
    for (int i = 0; i < SIDE; i++) {
        transform(ref->at + i, SIDE);
        transform(dis->at + i, SIDE);
    }
    for (int i = 0; i < SIDE; i++) {
        transform(&ref->at[i * SIDE], 1);
        transform(&dis->at[i * SIDE], 1);
    }
    for (int l = 0; l < BLOCKS; l += FLOATS_N) {
        FLOATS mask_ref = masking(ref, l, texture_ref + l, tables), mask_dis = masking(dis, l, texture_dis + l, tables);
        FLOATS mask = larger(mask_dis, mask_ref);

        term(ref, dis, 0, l, all_floats(0), tables->seen[0][0], ret);
        for (int i = 0; i < SIDE; i++)
            for (int j = VMAFX_MAX(i, 1); j < SIDE; j++) { /* one division for two places */
                FLOATS hidden = mask / tables->masks[i][j];

                term(ref, dis, SIDE * i + j, l, hidden, tables->seen[i][j], ret);
                term(ref, dis, SIDE * j + i, l, hidden, tables->seen[i][j], ret);
            }
    }
}

/* ---- The sum ---- */

/* Sums of terms that are rounded to multiples of a unit, in units, and how far the roundings went at most. */
static void rounded_sums(const Terms *terms, float per_unit, float *ret_sums, float *ret_furthest)
{
    for (int l = 0; l < BLOCKS; l += FLOATS_N) {
        FLOATS sum = all_floats(0), furthest = sum;

        for (int k = 0; k < AREA; k++) {
            FLOATS v = get_floats(terms->at[k] + l) * per_unit, whole = rounded(v);

            sum = sum + whole;
            furthest = larger(furthest, magnitude(v - whole));
        }
        put_floats(ret_sums + l, sum);
        put_floats(ret_furthest + l, furthest);
    }
}

static float add_terms(const Terms *terms, int n, float so_far)
{
    float sums[BLOCKS] = { 0 }, furthest[BLOCKS] = { 0 }, unit = 0, limit = 0; /* 2^24 units */

    for (int b = 0; b < n; b++) {
        const int l = lane(b);

        if (so_far >= limit && so_far >= LEAST_SUM) {
            int exponent;

            (void)frexpf(so_far, &exponent); /* so_far < 2^exponent */
            unit = ldexpf(1, exponent - 24);
            limit = ldexpf(1, exponent);
            rounded_sums(terms, 1 / unit, sums, furthest);
        }
        float next = so_far + sums[l] * unit;
        if (next < limit && furthest[l] < 0.5F)
            so_far = next;
        else
            for (int k = 0; k < AREA; k++)
                so_far = so_far + terms->at[k][l];
    }
    return so_far;
}

/* ---- Rows ---- */

static bool equal_rows(const void *const *ref, const void *const *dis, size_t from, size_t size)
{
    bool equal = true;

    for (int i = 0; i < SIDE && equal; i++)
        equal = !memcmp((const char *)ref[i] + from, (const char *)dis[i] + from, size);
    return equal;
}

static float row8_fast(const uint8_t *const *ref, const uint8_t *const *dis, int n, const VmafxHvsTables *tables,
                       float so_far)
{
    const uint8_t *const *sides[2] = { ref, dis };
    Blocks blocks[2];
    Terms terms;

    for (int b = 0; b < n; b += BLOCKS) {
        const int m = VMAFX_MIN(n - b, BLOCKS), from = b * STEP;
        const size_t size = (size_t)(m * STEP + 1);

        if (equal_rows((const void *const *)ref, (const void *const *)dis, (size_t)from, size))
            continue;
        for (int s = 0; s < 2; s++)
            for (int i = 0; i < SIDE; i++) {
                const uint8_t *row = sides[s][i] + from;
                uint8_t copy[SPAN + 1] = { 0 };

                if (n - b <= BLOCKS) /* what comes after the last block is read, too */
                    row = memcpy(copy, row, size);
                from_bytes(row, &blocks[s].at[i * SIDE]);
            }
        all_terms(&blocks[0], &blocks[1], tables, &terms);
        so_far = add_terms(&terms, m, so_far);
    }
    return so_far;
}

static bool any_above(VEC largest, int limit)
{
    Lanes lanes;
    bool above = false;

    put(lanes, largest);
    for (int l = 0; l < BLOCKS; l++)
        above |= lanes[l] > limit;
    return above;
}

static float row16_fast(const uint16_t *const *ref, const uint16_t *const *dis, int n, const VmafxHvsTables *tables,
                        float so_far)
{
    const uint16_t *const *sides[2] = { ref, dis };
    Blocks blocks[2];
    Terms terms;

    for (int b = 0; b < n; b += BLOCKS) {
        const int m = VMAFX_MIN(n - b, BLOCKS), from = b * STEP;
        const size_t size = (size_t)(m * STEP + 1) * sizeof **ref;
        const uint16_t *rows[2][SIDE];
        VEC largest = all16(0);

        if (equal_rows((const void *const *)ref, (const void *const *)dis, (size_t)from * sizeof **ref, size))
            continue;
        for (int s = 0; s < 2; s++)
            for (int i = 0; i < SIDE; i++) {
                const uint16_t *row = rows[s][i] = sides[s][i] + from;
                uint16_t copy[SPAN] = { 0 };

                if (m < BLOCKS)
                    row = memcpy(copy, row, size);
                largest = max16(largest, from_words(row, &blocks[s].at[i * SIDE]));
            }
        if (any_above(largest, LARGEST)) {
            so_far = vmafx_hvs_kernels_c.row16(rows[0], rows[1], m, tables, so_far);
            continue;
        }
        all_terms(&blocks[0], &blocks[1], tables, &terms);
        so_far = add_terms(&terms, m, so_far);
    }
    return so_far;
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * PSNR-HVS-M for any width of vector: BLOCKS blocks abreast, each in a lane, so that every sum of a block has a lane
 * of its own and keeps its order. Included by those who define
 *
 *     BLOCKS, VEC, FLOATS, V(op)    lanes of 16 bits, the types, an intrinsic of that width
 *     get(p), put(p, v), both(a, b) load, store, bitwise and
 *     pairs(p)                      16 bytes from each of p, p + 56 …, of which 0 … 7 and 7 … 14 are kept
 *     eights(p)                     8 samples of 16 bits from each of p, p + 56 …
 *     floats(p), whole_floats(p)    from BLOCKS / 2 integers, signed and unsigned
 *     rounded(f), farther(a, b)     to nearest integers, even ones of two; the larger of a and |b|, where a ≥ 0
 *     quotient(a, b)                a / b where b > 0, else 0
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
    VEC ab_even = V(unpacklo_epi16)(a, b), ab_odd = V(unpackhi_epi16)(a, b);
    VEC cd_even = V(unpacklo_epi16)(c, d), cd_odd = V(unpackhi_epi16)(c, d);
    VEC even[2] = { V(unpacklo_epi32)(ab_even, cd_even), V(unpackhi_epi32)(ab_even, cd_even) };
    VEC odd[2] = { V(unpacklo_epi32)(ab_odd, cd_odd), V(unpackhi_epi32)(ab_odd, cd_odd) };
    const VEC low = V(set1_epi16)(255);

    for (int i = 0; i < 2; i++) {
        VEC first = V(unpacklo_epi64)(even[i], odd[i]), second = V(unpackhi_epi64)(even[i], odd[i]);

        put(ret[4 * i], both(first, low));
        put(ret[4 * i + 1], V(srli_epi16)(first, 8));
        put(ret[4 * i + 2], both(second, low));
        put(ret[4 * i + 3], V(srli_epi16)(second, 8));
    }
}

/* Returns the largest sample of each block. */
static VEC from_words(const uint16_t *row, Lanes *ret)
{
    VEC in[SIDE], two[SIDE], four[SIDE], largest = V(set1_epi16)(0);

    for (int i = 0; i < SIDE; i++) /* of eight blocks, the one whose lane is i */
        in[i] = eights(row + STEP * ((i & 3) << 1 | i >> 2));
    for (int i = 0; i < 4; i++) {
        two[2 * i] = V(unpacklo_epi16)(in[2 * i], in[2 * i + 1]);
        two[2 * i + 1] = V(unpackhi_epi16)(in[2 * i], in[2 * i + 1]);
    }
    for (int i = 0; i < 2; i++)
        for (int half = 0; half < 2; half++) {
            four[4 * i + 2 * half] = V(unpacklo_epi32)(two[4 * i + half], two[4 * i + 2 + half]);
            four[4 * i + 2 * half + 1] = V(unpackhi_epi32)(two[4 * i + half], two[4 * i + 2 + half]);
        }
    for (int i = 0; i < 4; i++) {
        VEC first = V(unpacklo_epi64)(four[i], four[4 + i]), second = V(unpackhi_epi64)(four[i], four[4 + i]);

        largest = V(max_epi16)(largest, V(max_epi16)(first, second));
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
        VEC sum = V(set1_epi16)(0);

        for (int i = 0; i < 4; i++)
            for (int j = 0; j < 4; j++)
                sum = V(add_epi16)(sum, get(from[i * SIDE + j]));
        put(sums[q], sum);
    }
    for (int l = 0; l < BLOCKS; l += FLOATS_N) {
        FLOATS mean = V(set1_ps)(0), whole = mean, quarters[4], means[4];

        for (int q = 0; q < 4; q++) {
            means[q] = whole_floats(sums[q] + l);
            mean = V(add_ps)(mean, means[q]); /* below 2^24, so exact */
            means[q] = V(mul_ps)(means[q], V(set1_ps)(1.0F / 16));
            quarters[q] = V(set1_ps)(0);
        }
        mean = V(mul_ps)(mean, V(set1_ps)(1.0F / 64));
        for (int down = 0; down < 2; down++)
            for (int i = 0; i < 4; i++)
                for (int j = 0; j < SIDE; j++) {
                    const int q = 2 * down + j / 4;
                    FLOATS sample = floats(v->at[(4 * down + i) * SIDE + j] + l);
                    FLOATS from_whole = V(sub_ps)(sample, mean), from_quarter = V(sub_ps)(sample, means[q]);

                    whole = V(add_ps)(whole, V(mul_ps)(from_whole, from_whole));
                    quarters[q] = V(add_ps)(quarters[q], V(mul_ps)(from_quarter, from_quarter));
                }
        whole = V(mul_ps)(whole, V(set1_ps)(whole_scale));
        for (int q = 0; q < 4; q++)
            quarters[q] = V(mul_ps)(quarters[q], V(set1_ps)(quarter_scale));
        FLOATS sum = V(add_ps)(V(add_ps)(V(add_ps)(quarters[0], quarters[2]), quarters[1]), quarters[3]);
        V(storeu_ps)(ret + l, quotient(sum, whole));
    }
}

/* ---- The transform ---- */

static inline VEC add(VEC a, VEC b)
{
    return V(add_epi16)(a, b);
}

static inline VEC sub(VEC a, VEC b)
{
    return V(sub_epi16)(a, b);
}

static inline VEC half(VEC v)
{
    return V(srai_epi16)(add(v, V(srli_epi16)(v, 15)), 1);
}

static inline VEC lift(VEC v, int factor, int bits)
{
    return V(mulhrs_epi16)(v, V(set1_epi16)((int16_t)(factor << (15 - bits))));
}

/* Eight vectors, `step` apart. */
static inline void transform(Lanes *v, int step)
{
    VEC v0 = get(v[0]), v1 = get(v[step]), v2 = get(v[2 * step]), v3 = get(v[3 * step]);
    VEC v4 = get(v[4 * step]), v5 = get(v[5 * step]), v6 = get(v[6 * step]), v7 = get(v[7 * step]);
    VEC d = sub(v0, v7), d_half = half(d), a = sub(v0, d_half);
    VEC b = add(v1, v6), b_half = half(b), e = sub(v6, b_half);
    VEC f = sub(v2, v5), c = sub(v2, half(f));
    VEC g = add(v3, v4), g_half = half(g), h = sub(g_half, v4);

    a = add(a, g_half);
    g = sub(a, g);
    c = sub(b_half, c);
    b = sub(c, b);
    a = sub(a, lift(b, 13573, 15));
    b = add(b, lift(a, 11585, 14));
    a = sub(a, lift(b, 13573, 15));
    g = sub(g, lift(c, 21895, 15));
    c = add(c, lift(g, 15137, 14));
    g = sub(g, lift(c, 21895, 15));

    f = add(f, lift(e, 19195, 15));
    e = add(e, lift(f, 11585, 14));
    f = sub(f, lift(e, 7489, 13));
    h = sub(half(e), h);
    e = sub(e, h);
    f = sub(d_half, f);
    d = sub(d, f);
    h = add(h, lift(d, 3227, 15));
    d = sub(d, lift(h, 6393, 15));
    h = add(h, lift(d, 3227, 15));
    e = add(e, lift(f, 2485, 13));
    f = sub(f, lift(e, 18205, 15));
    e = add(e, lift(f, 2485, 13));

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
    FLOATS energy = V(set1_ps)(0);

    for (int k = 1; k < AREA; k++) {
        FLOATS c = floats(t->at[k] + l);

        energy = V(add_ps)(energy, V(mul_ps)(V(mul_ps)(c, c), V(set1_ps)(tables->masks[k / SIDE][k % SIDE])));
    }
    return V(mul_ps)(V(sqrt_ps)(V(mul_ps)(energy, V(loadu_ps)(texture_of_it))), V(set1_ps)(1.0F / 32));
}

static inline void term(const Blocks *ref, const Blocks *dis, int k, int l, FLOATS hidden, float seen, Terms *ret)
{
    FLOATS d = V(sub_ps)(floats(ref->at[k] + l), floats(dis->at[k] + l));

    d = V(max_ps)(V(sub_ps)(farther(V(set1_ps)(0), d), hidden), V(set1_ps)(0));
    d = V(mul_ps)(d, V(set1_ps)(seen));
    V(storeu_ps)(ret->at[k] + l, V(mul_ps)(d, d));
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
        FLOATS mask = V(max_ps)(mask_dis, mask_ref);

        term(ref, dis, 0, l, V(set1_ps)(0), tables->seen[0][0], ret);
        for (int i = 0; i < SIDE; i++)
            for (int j = VMAFX_MAX(i, 1); j < SIDE; j++) { /* one division for two places */
                FLOATS hidden = V(div_ps)(mask, V(set1_ps)(tables->masks[i][j]));

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
        FLOATS sum = V(set1_ps)(0), furthest = sum;

        for (int k = 0; k < AREA; k++) {
            FLOATS v = V(mul_ps)(V(loadu_ps)(terms->at[k] + l), V(set1_ps)(per_unit)), whole = rounded(v);

            sum = V(add_ps)(sum, whole);
            furthest = farther(furthest, V(sub_ps)(v, whole));
        }
        V(storeu_ps)(ret_sums + l, sum);
        V(storeu_ps)(ret_furthest + l, furthest);
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
        VEC largest = V(set1_epi16)(0);

        if (equal_rows((const void *const *)ref, (const void *const *)dis, (size_t)from * sizeof **ref, size))
            continue;
        for (int s = 0; s < 2; s++)
            for (int i = 0; i < SIDE; i++) {
                const uint16_t *row = rows[s][i] = sides[s][i] + from;
                uint16_t copy[SPAN] = { 0 };

                if (m < BLOCKS)
                    row = memcpy(copy, row, size);
                largest = V(max_epi16)(largest, from_words(row, &blocks[s].at[i * SIDE]));
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

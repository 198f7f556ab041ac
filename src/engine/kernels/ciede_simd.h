/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * CIEDE2000 with vectors of whatever instruction set and width. Included by those who define
 *
 *     LANES, DOUBLES, FLOATS      positions at a time, and vectors of so many numbers, with the operators of C
 *     all(v), all_floats(v)       v in each lane
 *     get(p), put(p, v)           FLOATS
 *     widen(v), narrow(v)         to DOUBLES, to FLOATS
 *     samples(p)                  DOUBLES from LANES samples of 16 bits
 *     mul_add(a, b, c)            a · b + c, rounded once or twice
 *     square_root(a), magnitude(a), nearest(a)    √a; |a|; a rounded to an integer
 *     min_doubles(a, b), max_doubles(a, b), min_floats(a, b)
 *     above(a, b), choose(m, a, b)                a > b in each lane, a MASK to choose by; m ? a : b
 *     less(a, b), differ(a, b)    FLOATS: a bit for each lane, from the lowest, in which a < b, a ≠ b
 *     mantissa(a)                 1 … 2, of a > 0
 *     at_exponent(table, a)       table[biased exponent of a modulo 16]
 *     scaled(a, n)                a · 2^n, for integers n of −1000 … 0
 *
 * Plain C asks the C library for powers, roots, sines, cosines, arctangents and exponentials in binary64, and keeps
 * what it makes of them in binary32. Here polynomials give the same values with a relative error below 2^-43, some of
 * them far below; the C library's are wrong by less than 2^-51. So where a value rounds to the same binary32 number
 * with a little more (`1 + SLACK` times it) and with a little less, plain C has that number, too. Where it does not,
 * the position is marked as a doubt, and plain C decides. Whatever else is computed takes the same steps as plain C, in
 * the same precision, and is equal.
 *
 * Blue colours need powf(chroma, 7), whose own error is larger. It is asked itself where the power is within POWF_SLACK
 * of the middle between two numbers; glibc's has the nearest number wherever it is farther than a tenth of that.
 *
 * The work is done in stages over a chunk of positions, so that the CPU finds independent work close by.
 */

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "base/base.h"

#define CHUNK      64 /* a bit for each in a mask of doubts */
#define SLACK      0x1p-42
#define POWF_SLACK 0x1p-29
#define FAINT      14 /* (hue − 275°)² / 25² from which the turn of blue colours cannot move a difference by SLACK */
#define NO_TURN    30 /* … from which it cannot even where it is left out */

typedef struct Chunk {
    int bpc;
    const uint16_t *rows[2][3];
    uint64_t doubts; /* where plain C decides */
    uint64_t turned; /* where blue colours turn, and all of it counts */
    _Alignas(64) float l[2][CHUNK];
    float a[2][CHUNK], b[2][CHUNK]; /* a* is corrected on the way */
    float chroma[2][CHUNK], hue[2][CHUNK], least_chroma[CHUNK], mean_chroma[CHUNK];
    float d_hue[CHUNK], mean_hue[CHUNK], weight_of_hue[CHUNK];
    float away[CHUNK], power[CHUNK], turn[CHUNK]; /* away: of the hue from 275°, squared */
    float difference[CHUNK];
} Chunk;

/* ---- Numbers ---- */

static inline DOUBLES square(FLOATS v)
{
    DOUBLES wide = widen(v);

    return wide * wide;
}

static inline FLOATS length(FLOATS a, FLOATS b)
{
    return narrow(square_root(square(a) + square(b)));
}

/* What lies between two values, rounded; places from x on where that could be either of two are added to doubts. */
static inline FLOATS rounded(DOUBLES least, DOUBLES most, int x, uint64_t *doubts)
{
    FLOATS low = narrow(least), high = narrow(most);

    *doubts |= differ(low, high) << x;
    return high;
}

static inline FLOATS rounded_near(DOUBLES v, double slack, int x, uint64_t *doubts)
{
    return rounded(v * (1 - slack), v * (1 + slack), x, doubts);
}

/* ---- Functions ---- */

#define POLYNOMIAL(terms, x) polynomial(terms, VMAFX_LEN(terms), x)

static inline __attribute__((always_inline)) DOUBLES polynomial(const double *terms, size_t n, DOUBLES x)
{
    DOUBLES v = all(terms[n - 1]);

    for (size_t i = n - 1; i-- > 0;)
        v = mul_add(v, x, all(terms[i]));
    return v;
}

/*
 * t^(12/5) and t^(1/3): with z near t^(-1/n) and r = 1 − t · z^n, t^(-1/n) is z · (1 − r)^(-1/n), and powers of it are
 * short series in r. z comes from the mantissa, by a polynomial with an error below 2^-11, and the exponent, from a
 * table of 2^(-e/n) for e = −7 … 8, by the lowest bits of the biased exponent.
 */
static inline DOUBLES power_12_5(DOUBLES t)
{
    static const double terms[] = { 1.3124420534942605, -0.45616769723712602, 0.16955706657844943,
                                    -0.02598369234000561 };
    static const double table[16] = { 0.87055056329612412,
                                      0.75785828325519899,
                                      0.6597539553864471,
                                      0.57434917749851755,
                                      0.5,
                                      0.43527528164806206,
                                      0.3789291416275995,
                                      0.32987697769322355,
                                      2.6390158215457884,
                                      2.2973967099940702,
                                      2,
                                      1.7411011265922482,
                                      1.515716566510398,
                                      1.3195079107728942,
                                      1.1486983549970351,
                                      1 };
    static const double series[] = { 1, 3.0 / 5, 12.0 / 25, 52.0 / 125, 234.0 / 625 };
    DOUBLES z = POLYNOMIAL(terms, mantissa(t)) * at_exponent(table, t), tz = t * z, z2 = z * z;

    return tz * tz * tz * POLYNOMIAL(series, mul_add(tz, -(z2 * z2), all(1)));
}

static inline DOUBLES power_1_3(DOUBLES t)
{
    static const double terms[] = { 1.53776026627287, -0.80127456966373733, 0.31184726817315961, -0.04863305334283885 };
    static const double table[16] = { 0.79370052598409979,
                                      0.6299605249474366,
                                      0.5,
                                      0.3968502629920499,
                                      0.3149802624737183,
                                      0.25,
                                      0.19842513149602495,
                                      0.15749013123685915,
                                      5.0396841995794928,
                                      4,
                                      3.1748021039363992,
                                      2.5198420997897464,
                                      2,
                                      1.5874010519681996,
                                      1.2599210498948732,
                                      1 };
    static const double series[] = { 1, 2.0 / 3, 5.0 / 9, 40.0 / 81, 110.0 / 243 };
    DOUBLES z = POLYNOMIAL(terms, mantissa(t)) * at_exponent(table, t), tz = t * z;

    return tz * z * POLYNOMIAL(series, mul_add(tz, -(z * z), all(1)));
}

static inline DOUBLES power_7(FLOATS v)
{
    DOUBLES v1 = widen(v), v2 = v1 * v1;

    return v2 * v2 * (v2 * v1);
}

/* Of −π/2 … π/2. */
static inline DOUBLES sine(DOUBLES v)
{
    static const double terms[] = { 0.99999999999999989,     -0.16666666666666072,   0.0083333333332827556,
                                    -0.00019841269824861797, 2.7557316609061061e-06, -2.5051881945894725e-08,
                                    1.6048168292054317e-10,  -7.3743871782922409e-13 };

    return v * POLYNOMIAL(terms, v * v);
}

static inline DOUBLES cosine(DOUBLES v)
{
    static const double terms[] = { 0.99999999999999811,    -0.49999999999989936,   0.041666666665809725,
                                    -0.0013888888861087016, 2.4801582870351626e-05, -2.7556935430197313e-07,
                                    2.0858317978690721e-09, -1.1007956021800106e-11 };

    return POLYNOMIAL(terms, v * v);
}

/* The angle of a point that is above the axis, or on it; 0 where there is none. */
static inline DOUBLES angle(DOUBLES y, DOUBLES x)
{
    static const double terms[] = { 0.99999999999997324,  -0.33333333330803361,  0.19999999604880364,
                                    -0.14285690423246775, 0.1111038503141264,    -0.090783918751898188,
                                    0.07563702089613121,  -0.058745000171406214, 0.030662353475389113 };
    DOUBLES ax = magnitude(x), small = min_doubles(y, ax), large = max_doubles(y, ax);
    MASK steep = above(small, large * 0.41421356237309503); /* more than π/8: from π/4 on */
    DOUBLES tangent = choose(steep, small - large, small) / choose(steep, small + large, large);
    DOUBLES v = tangent * POLYNOMIAL(terms, tangent * tangent) + choose(steep, all(M_PI / 4), all(0));

    v = choose(above(y, ax), M_PI / 2 - v, v);
    v = choose(above(all(0), x), M_PI - v, v);
    return choose(above(large, all(0)), v, all(0));
}

/* 0 … −100 */
static inline DOUBLES exponential(DOUBLES v)
{
    static const double terms[] = { 1.0000000000000135,    0.69314718055994617,    0.24022650695640341,
                                    0.05550410866465167,   0.0096181291939343126,  0.0013333558200794592,
                                    0.0001540343375125101, 1.5252672924850737e-05, 1.3259645244887111e-06,
                                    1.0205905413765595e-07 };
    DOUBLES bits = v * 1.4426950408889634, whole = nearest(bits);

    return scaled(POLYNOMIAL(terms, bits - whole), whole);
}

/* ---- Colours ---- */

static inline DOUBLES linear(DOUBLES c)
{
    return choose(above(c, all(10.0 / 255.0)), power_12_5((c + 0.055) * (1.0 / 1.055)), c * (1.0 / 12.92));
}

/* Near black, powers are multiplied by up to 8 and cancel: so the slack is one of a value near 1. */
static inline DOUBLES root(DOUBLES t, int x, uint64_t *doubts)
{
    DOUBLES v = choose(above(t, all(216.0 / 24389.0)), power_1_3(t), ((24389.0 / 27.0) * t + 16.0) * (1.0 / 116.0));

    return widen(rounded(v - SLACK, v + SLACK, x, doubts));
}

static void to_lab(Chunk *c, int side, int x)
{
    const double k = 1 << (c->bpc - 8);
    DOUBLES y = (samples(c->rows[side][0] + x) - 16.0 * k) * (1.0 / (219.0 * k));
    DOUBLES u = (samples(c->rows[side][1] + x) - 128.0 * k) * (1.0 / (224.0 * k));
    DOUBLES v = (samples(c->rows[side][2] + x) - 128.0 * k) * (1.0 / (224.0 * k));
    DOUBLES r = linear(y + 1.28033 * v), g = linear(y - 0.21482 * u - 0.38059 * v), b = linear(y + 2.12798 * u);
    DOUBLES x_ = r * 0.4124564390896921 + g * 0.357576077643909 + b * 0.18043748326639894;
    DOUBLES y_ = r * 0.21267285140562248 + g * 0.715152155287818 + b * 0.07217499330655958;
    DOUBLES z_ = r * 0.019333895582329317 + g * 0.119192025881303 + b * 0.9503040785363677;
    DOUBLES fx = root(x_ * (1.0 / 0.95047), x, &c->doubts), fy = root(y_, x, &c->doubts);
    DOUBLES fz = root(z_ * (1.0 / 1.08883), x, &c->doubts);

    put(c->l[side] + x, narrow(116.0 * fy - 16.0));
    put(c->a[side] + x, narrow(500.0 * (fx - fy)));
    put(c->b[side] + x, narrow(200.0 * (fy - fz)));
}

/* a* of colours with little chroma grows by half; and chroma after that. */
static void correct(Chunk *c, int x)
{
    FLOATS c1 = length(get(c->a[0] + x), get(c->b[0] + x)), c2 = length(get(c->a[1] + x), get(c->b[1] + x));
    DOUBLES mean_c7 = power_7((c1 + c2) * 0.5F), s = square_root(mean_c7 / (mean_c7 + 6103515625.0));
    DOUBLES least = 1 - s * (1 + SLACK), most = 1 - s * (1 - SLACK);

    put(c->least_chroma + x, min_floats(c1, c2));
    for (int side = 0; side < 2; side++) {
        FLOATS a = get(c->a[side] + x);
        DOUBLES wide = widen(a), half = widen(a * 0.5F);

        a = rounded(wide + half * least, wide + half * most, x, &c->doubts);
        put(c->a[side] + x, a);
        put(c->chroma[side] + x, length(a, get(c->b[side] + x)));
    }
    put(c->mean_chroma + x, (get(c->chroma[0] + x) + get(c->chroma[1] + x)) * 0.5F);
}

static void to_hue(Chunk *c, int side, int x)
{
    DOUBLES b = widen(get(c->b[side] + x)), a = widen(get(c->a[side] + x));
    FLOATS v = rounded_near(angle(magnitude(b), a), SLACK, x, &c->doubts);

    put(c->hue[side] + x, narrow(choose(above(all(0), b), 2 * M_PI - widen(v), widen(v))));
}

static void compare_hues(Chunk *c, int x)
{
    FLOATS h1 = get(c->hue[0] + x), h2 = get(c->hue[1] + x);
    DOUBLES d = widen(h2 - h1), sum = widen(h1 + h2);
    MASK far = above(magnitude(d), all(M_PI));
    DOUBLES other_way = choose(above(widen(h2), widen(h1)), d - 2 * M_PI, d + 2 * M_PI);
    DOUBLES dh = widen(narrow(choose(far, other_way, d)));

    dh = choose(above(widen(get(c->least_chroma + x)), all(0)), dh, all(0));
    DOUBLES chroma = 2 * square_root(widen(get(c->chroma[0] + x) * get(c->chroma[1] + x)));
    put(c->d_hue + x, rounded_near(chroma * sine(dh * 0.5), SLACK, x, &c->doubts));
    put(c->mean_hue + x, narrow(choose(far, sum + 2 * M_PI, sum) * 0.5));
}

/* The weight of hue; cosines of multiples of an angle come from its own sine and cosine, and half turns change signs.
 */
static void weigh_hue(Chunk *c, int x)
{
    DOUBLES h = widen(get(c->mean_hue + x)), halves = nearest(h * (1 / M_PI)), rest = h - halves * M_PI; /* 0, 1, 2 */
    DOUBLES sign = 2 * magnitude(halves - 1) - 1, sin1 = sine(rest), cos1 = cosine(rest);
    DOUBLES cos2 = 2 * cos1 * cos1 - 1, sin2 = 2 * sin1 * cos1, cos4 = 2 * cos2 * cos2 - 1, sin4 = 2 * sin2 * cos2;
    DOUBLES cos3 = cos1 * (2 * cos2 - 1), sin3 = sin1 * (2 * cos2 + 1);
    DOUBLES odd = 0.32 * (cos3 * 0.99452189536827333 - sin3 * 0.10452846326765347) -
                  0.17 * (cos1 * 0.86602540378443865 + sin1 * 0.5);                                /* 6° and 30° */
    DOUBLES even = 0.24 * cos2 - 0.20 * (cos4 * 0.45399049973954675 + sin4 * 0.89100652418836786); /* 63° */
    DOUBLES t = 1 + even + sign * odd, chroma = widen(get(c->mean_chroma + x));

    t = widen(rounded(t - SLACK, t + SLACK, x, &c->doubts));
    put(c->weight_of_hue + x, narrow(1 + (0.015 * chroma) * t));
}

/* Where blue colours turn; returns a bit for each place where only powf knows the chroma's power. */
static uint64_t find_turns(Chunk *c, int x)
{
    FLOATS degrees = narrow(widen(get(c->mean_hue + x)) * (180 / M_PI));
    FLOATS z = narrow((widen(degrees) - 275) * (1.0 / 25)), away = z * z;
    DOUBLES power = power_7(get(c->mean_chroma + x));
    uint64_t unsure = 0;

    put(c->away + x, away);
    put(c->power + x, rounded_near(power, POWF_SLACK, x, &unsure));
    c->turned |= less(away, all_floats(FAINT)) << x;
    return unsure & c->turned;
}

static void turn(Chunk *c, int x)
{
    FLOATS away = get(c->away + x), power = get(c->power + x), q = power / (power + 6103515625.0F);
    uint64_t doubts = 0;

    if (!less(away, all_floats(NO_TURN))) {
        put(c->turn + x, all_floats(0));
        return;
    }
    DOUBLES v = 60 * exponential(-widen(min_floats(away, all_floats(64))));
    DOUBLES radians = widen(narrow(widen(rounded_near(v, SLACK, x, &doubts)) * (M_PI / 180)));
    put(c->turn + x, rounded_near((-2 * square_root(widen(q))) * sine(radians), SLACK, x, &doubts));
    c->doubts |= doubts & c->turned;
}

static void finish(Chunk *c, int x)
{
    FLOATS l1 = get(c->l[0] + x), l2 = get(c->l[1] + x), turned = get(c->turn + x);
    DOUBLES e2 = square((l1 + l2) * 0.5F - 50);
    FLOATS sl = narrow(1 + (0.015 * e2) / square_root(20 + e2));
    FLOATS sc = narrow(1 + 0.045 * widen(get(c->mean_chroma + x))), sh = get(c->weight_of_hue + x);
    FLOATS p = (l2 - l1) / (0.65F * sl), q = (get(c->chroma[1] + x) - get(c->chroma[0] + x)) / sc;
    FLOATS r = get(c->d_hue + x) / (4 * sh);
    DOUBLES sum = ((square(p) + square(q)) + square(r)) + widen((turned * q) * r);

    put(c->difference + x, rounded_near(square_root(sum), 2 * SLACK, x, &c->doubts));
}

/* ---- Rows ---- */

#define EACH(stage)                                                                                                    \
    for (int x = 0; x < n; x += LANES)                                                                                 \
    stage

static void compare(Chunk *c, int n)
{
    uint64_t unsure = 0;

    c->doubts = c->turned = 0;
    EACH(to_lab(c, 0, x));
    EACH(to_lab(c, 1, x));
    EACH(correct(c, x));
    EACH(to_hue(c, 0, x));
    EACH(to_hue(c, 1, x));
    EACH(compare_hues(c, x));
    EACH(weigh_hue(c, x));
    EACH(unsure |= find_turns(c, x));
    for (; unsure; unsure &= unsure - 1) {
        int x = __builtin_ctzll(unsure);
        c->power[x] = powf(c->mean_chroma[x], 7);
    }
    EACH(turn(c, x));
    EACH(finish(c, x));
}

/* Those of n places from a row's start where samples are not equal; returns how many. */
static int find_unequal(const uint16_t *const *ref, const uint16_t *const *dis, int from, int n, uint8_t *ret)
{
    int found = 0;

    for (int x = from; x < from + n; x++) {
        ret[found] = (uint8_t)(x - from);
        found += (ref[0][x] != dis[0][x]) | (ref[1][x] != dis[1][x]) | (ref[2][x] != dis[2][x]);
    }
    return found;
}

static void row_fast(VmafxCiedeRows ref, VmafxCiedeRows dis, int n, int bpc, VmafxCiedeKnown *known, float *ret)
{
    const uint16_t *const *sides[2] = { ref, dis };
    Chunk c;

    c.bpc = bpc;
    memset(ret, 0, (size_t)n * sizeof *ret);
    for (int from = 0; from < n; from += CHUNK) {
        uint8_t places[CHUNK];
        const int m = find_unequal(ref, dis, from, VMAFX_MIN(n - from, CHUNK), places);
        uint16_t copies[2][3][CHUNK + LANES];

        for (int s = 0; s < 2; s++)
            for (int p = 0; p < 3; p++) {
                c.rows[s][p] = sides[s][p] + from;
                if (m == CHUNK)
                    continue;
                for (int i = 0; i < m; i++)
                    copies[s][p][i] = c.rows[s][p][places[i]];
                memset(copies[s][p] + m, 0, LANES * sizeof **ref); /* the last lanes have something, too */
                c.rows[s][p] = copies[s][p];
            }
        compare(&c, m);
        for (int i = 0; i < m; i++) {
            const int x = from + places[i];

            if (c.doubts >> i & 1)
                vmafx_ciede_kernels_c.row((VmafxCiedeRows){ ref[0] + x, ref[1] + x, ref[2] + x },
                                          (VmafxCiedeRows){ dis[0] + x, dis[1] + x, dis[2] + x }, 1, bpc, known,
                                          ret + x);
            else
                ret[x] = c.difference[i];
        }
    }
}

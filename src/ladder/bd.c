/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Bjøntegaard's deltas: curves as pieces of cubic polynomials, and their integrals. */

#include "ladder/bd.h"

#include <math.h>

#include "base/base.h"

#define DEGREE 3
#define TERMS  (DEGREE + 1)

/* y = Σ c[k] · (x − x0)^k for from ≤ x ≤ to. */
typedef struct Piece {
    double from, to, x0;
    double c[TERMS];
} Piece;

typedef struct Curve {
    Piece pieces[VMAFX_LADDER_RECIPES_MAX];
    size_t n;
    double from, to;
} Curve;

/* ---- piecewise ---- */

/* The slope at an end, from the two nearest intervals; never one that would make the curve turn. */
static double end_slope(double h0, double h1, double d0, double d1)
{
    double slope = ((2 * h0 + h1) * d0 - h0 * d1) / (h0 + h1);

    if (slope * d0 <= 0)
        return 0;
    return d0 * d1 <= 0 && fabs(slope) > fabs(3 * d0) ? 3 * d0 : slope;
}

/* The weighted harmonic mean of the slopes on both sides; flat where they disagree. */
static double inner_slope(double h0, double h1, double d0, double d1)
{
    double w0 = 2 * h1 + h0, w1 = h1 + 2 * h0;

    return d0 * d1 <= 0 ? 0 : (w0 + w1) / (w0 / d0 + w1 / d1);
}

static void slopes(const double *h, const double *d, size_t n, double *ret)
{
    if (n == 2) {
        ret[0] = ret[1] = d[0];
        return;
    }
    ret[0] = end_slope(h[0], h[1], d[0], d[1]);
    for (size_t i = 1; i + 1 < n; i++)
        ret[i] = inner_slope(h[i - 1], h[i], d[i - 1], d[i]);
    ret[n - 1] = end_slope(h[n - 2], h[n - 3], d[n - 2], d[n - 3]);
}

static void piecewise(const double *x, const double *y, size_t n, Curve *ret)
{
    double h[VMAFX_LADDER_RECIPES_MAX] = { 0 }, d[VMAFX_LADDER_RECIPES_MAX] = { 0 }, m[VMAFX_LADDER_RECIPES_MAX];

    for (size_t i = 0; i + 1 < n; i++) {
        h[i] = x[i + 1] - x[i];
        d[i] = (y[i + 1] - y[i]) / h[i];
    }
    slopes(h, d, n, m);
    for (size_t i = 0; i + 1 < n; i++) {
        double bend = (3 * d[i] - 2 * m[i] - m[i + 1]) / h[i], twist = (m[i] + m[i + 1] - 2 * d[i]) / (h[i] * h[i]);

        ret->pieces[i] = (Piece){ x[i], x[i + 1], x[i], { y[i], m[i], bend, twist } };
    }
    ret->n = n - 1;
}

/* ---- one polynomial ---- */

/* Gauss with pivots; the matrix is that of least squares over −1 … 1, and so not singular for 4 different places. */
static void solve(double a[TERMS][TERMS + 1], double ret[TERMS])
{
    for (int col = 0; col < TERMS; col++) {
        int pivot = col;

        for (int row = col + 1; row < TERMS; row++)
            pivot = fabs(a[row][col]) > fabs(a[pivot][col]) ? row : pivot;
        for (int k = 0; k <= TERMS; k++) {
            double swapped = a[col][k];
            a[col][k] = a[pivot][k];
            a[pivot][k] = swapped;
        }
        for (int row = col + 1; row < TERMS; row++) {
            double f = a[row][col] / a[col][col];
            for (int k = col; k <= TERMS; k++)
                a[row][k] -= f * a[col][k];
        }
    }
    for (int row = TERMS - 1; row >= 0; row--) {
        ret[row] = a[row][TERMS];
        for (int k = row + 1; k < TERMS; k++)
            ret[row] -= a[row][k] * ret[k];
        ret[row] /= a[row][row];
    }
}

/* Places are brought to −1 … 1 first: powers of rates or scores would eat the digits. */
static void fitted(const double *x, const double *y, size_t n, Curve *ret)
{
    double middle = (x[0] + x[n - 1]) / 2, half = (x[n - 1] - x[0]) / 2, a[TERMS][TERMS + 1] = { 0 }, c[TERMS];

    for (size_t i = 0; i < n; i++) {
        double u = (x[i] - middle) / half, powers[2 * TERMS] = { 1 };

        for (int k = 1; k < 2 * TERMS; k++)
            powers[k] = powers[k - 1] * u;
        for (int row = 0; row < TERMS; row++) {
            for (int col = 0; col < TERMS; col++)
                a[row][col] += powers[row + col];
            a[row][TERMS] += powers[row] * y[i];
        }
    }
    solve(a, c);
    ret->pieces[0] =
        (Piece){ x[0], x[n - 1], middle, { c[0], c[1] / half, c[2] / (half * half), c[3] / pow(half, 3) } };
    ret->n = 1;
}

/* ---- both ---- */

static void curve_of(VmafxBdMethod method, const double *x, const double *y, size_t n, Curve *ret)
{
    if (method == VMAFX_BD_CUBIC)
        fitted(x, y, n, ret);
    else
        piecewise(x, y, n, ret);
    ret->from = x[0];
    ret->to = x[n - 1];
}

static double antiderivative(const Piece *piece, double x)
{
    double u = x - piece->x0, sum = 0;

    for (int k = DEGREE; k >= 0; k--)
        sum = sum * u + piece->c[k] / (k + 1);
    return sum * u;
}

static double integral(const Curve *curve, double from, double to)
{
    double sum = 0;

    for (size_t i = 0; i < curve->n; i++) {
        const Piece *piece = &curve->pieces[i];
        double lo = fmax(from, piece->from), hi = fmin(to, piece->to);

        if (lo < hi)
            sum += antiderivative(piece, hi) - antiderivative(piece, lo);
    }
    return sum;
}

/* The mean of test − anchor over what they share; false: that is nothing. */
static bool mean_difference(const Curve *anchor, const Curve *test, double *ret)
{
    double from = fmax(anchor->from, test->from), to = fmin(anchor->to, test->to);

    if (!(from < to))
        return false;
    *ret = (integral(test, from, to) - integral(anchor, from, to)) / (to - from);
    return true;
}

static VmafxErr check(VmafxBdMethod method, const char *whose, const VmafxLadderPoint *points, size_t n,
                      VmafxErrInfo *reterr)
{
    size_t least = method == VMAFX_BD_CUBIC ? TERMS : 2;

    if (n < least)
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "%s has %zu point%s of use, and %zu are needed", whose, n,
                          n == 1 ? "" : "s", least);
    if (n > VMAFX_LADDER_RECIPES_MAX)
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "%s has %zu points, and %d are taken", whose, n,
                          VMAFX_LADDER_RECIPES_MAX);
    for (size_t i = 0; i < n; i++) {
        if (!vmafx_ladder_point_ok(&points[i]))
            return vmafx_fail(reterr, VMAFX_ERR_INVALID, "%s has a rate or a score that cannot be", whose);
        if (i && !(log10(points[i].rate) > log10(points[i - 1].rate) && points[i].score > points[i - 1].score))
            return vmafx_fail(reterr, VMAFX_ERR_INVALID, "%s does not rise: more rate does not always score more",
                              whose);
    }
    return VMAFX_OK;
}

typedef struct Both {
    Curve rate, quality; /* log10 of the rate over quality; quality over that */
} Both;

static void both_of(VmafxBdMethod method, const VmafxLadderPoint *points, size_t n, Both *ret)
{
    double rates[VMAFX_LADDER_RECIPES_MAX], scores[VMAFX_LADDER_RECIPES_MAX];

    for (size_t i = 0; i < n; i++) {
        rates[i] = log10(points[i].rate);
        scores[i] = points[i].score;
    }
    curve_of(method, scores, rates, n, &ret->rate);
    curve_of(method, rates, scores, n, &ret->quality);
}

static VmafxErr compare(const Both *anchor, const Both *test, VmafxBd *ret, VmafxErrInfo *reterr)
{
    double log_rate, from = fmax(anchor->rate.from, test->rate.from), to = fmin(anchor->rate.to, test->rate.to);

    if (!mean_difference(&anchor->rate, &test->rate, &log_rate))
        return vmafx_fail(reterr, VMAFX_ERR_MISMATCH, "the scores do not overlap: %.2f to %.2f, and %.2f to %.2f",
                          anchor->rate.from, anchor->rate.to, test->rate.from, test->rate.to);
    VmafxBd bd = {
        .rate = (pow(10, log_rate) - 1) * 100,
        .from = from,
        .to = to,
        .overlap = (to - from) / (fmax(anchor->rate.to, test->rate.to) - fmin(anchor->rate.from, test->rate.from)),
    };
    bd.has_quality = mean_difference(&anchor->quality, &test->quality, &bd.quality);
    if (!isfinite(bd.rate) || !isfinite(bd.quality))
        return vmafx_fail(reterr, VMAFX_ERR_LIMIT, "the polynomial through the points runs away");
    *ret = bd;
    return VMAFX_OK;
}

VmafxErr vmafx_bd(VmafxBdMethod method, const VmafxLadderPoint *anchor, size_t n_anchor, const VmafxLadderPoint *test,
                  size_t n_test, VmafxBd *ret, VmafxErrInfo *reterr)
{
    VmafxErr err = check(method, "the anchor", anchor, n_anchor, reterr);
    VMAFX_AUTO(vmafx_free_p) Both *both = NULL;

    if (!err)
        err = check(method, "the curve under test", test, n_test, reterr);
    if (err)
        return err;
    both = calloc(2, sizeof *both);
    if (!both)
        return vmafx_fail(reterr, VMAFX_ERR_NOMEM, "out of memory");
    both_of(method, anchor, n_anchor, &both[0]);
    both_of(method, test, n_test, &both[1]);
    return compare(&both[0], &both[1], ret, reterr);
}

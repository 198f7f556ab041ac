/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Golub, Van Loan, "Matrix Computations", 8.3 and 5.2, in one fixed order of operations. */

#include "engine/features/speed_algebra.h"

#include <math.h>
#include <string.h>

#include "base/base.h"

#define N           VMAFX_SPEED_N
#define STEPS_MAX   500
#define PIVOT_LEAST 1e-6

/* sqrt(a² + b²), the sum in binary32. */
static float hypotenuse(float a, float b)
{
    return (float)sqrt((double)(a * a + b * b));
}

/* ---- Tridiagonal form ---- */

/* A = H A H for the rest of the matrix from row p on, H = I − tau v vᵀ. A is symmetric, so its rows stand in for its
   columns: that is what can be done for all r at once. */
static void apply_both_sides(VmafxSpeedMatrix a, int p, float tau, const float *v)
{
    float x[VMAFX_SPEED_PITCH] = { 0 }, xv = 0;

    for (int c = p; c < N; c++)
        for (int r = p; r < N; r++)
            x[r] += tau * a[c][r] * v[c];
    for (int r = p; r < N; r++)
        xv += x[r] * v[r];

    float al2 = (float)(-0.5 * (double)tau * (double)xv);
    for (int r = p; r < N; r++)
        x[r] = x[r] + al2 * v[r];
    for (int r = p; r < N; r++)
        for (int c = p; c < N; c++)
            a[r][c] = a[r][c] - (x[r] * v[c] + v[r] * x[c]);
}

/* One column's reflection: everything below the place beside the diagonal becomes 0. */
static void reduce_column(VmafxSpeedMatrix a, int i)
{
    const int p = i + 1;
    float q = 0, tau = 0, v[VMAFX_SPEED_PITCH] = { 0 };

    for (int r = p + 1; r < N; r++)
        q += a[r][i] * a[r][i];
    float norm = (float)sqrt((double)q);
    if (norm != 0) {
        float al = a[p][i], be = al >= 0 ? -hypotenuse(al, norm) : hypotenuse(al, norm);
        float u = al - be;

        tau = (be - al) / be;
        if (u != 0) {
            for (int r = p; r < N; r++)
                a[r][i] = a[r][i] / u;
            a[p][i] = be;
        }
    }
    if (tau == 0)
        return;
    v[p] = 1;
    for (int r = p + 1; r < N; r++)
        v[r] = a[r][i];
    apply_both_sides(a, p, tau, v);
}

/* ---- QR iteration ---- */

static void chop(const float *d, float *e, int n)
{
    for (int i = 0; i < n - 1; i++)
        if ((double)fabsf(e[i]) < 1e-6 * (double)(fabsf(d[i]) + fabsf(d[i + 1])))
            e[i] = 0;
}

static float shift_of(const float *d, const float *e, int m)
{
    float ta = d[m - 2], tb = d[m - 1], te = e[m - 2], h = (ta - tb) / 2, mu;

    if (h > 0)
        mu = tb - te * (te / (h + hypotenuse(h, te)));
    else if (h == 0)
        mu = tb - fabsf(te);
    else
        mu = tb + te * (te / (-h + hypotenuse(h, te)));
    return 1e-6 * (double)fabsf(mu) > (double)(fabsf(d[0]) + fabsf(e[0])) ? 0 : mu;
}

/* The rotation that turns (a, b) onto its first axis. */
static void rotation(float a, float b, float *ret_c, float *ret_s)
{
    if (b == 0) {
        *ret_c = 1;
        *ret_s = 0;
    } else if (fabsf(b) > fabsf(a)) {
        float t = -a / b;
        *ret_s = (float)(1 / sqrt((double)(1 + t * t)));
        *ret_c = *ret_s * t;
    } else {
        float t = -b / a;
        *ret_c = (float)(1 / sqrt((double)(1 + t * t)));
        *ret_s = *ret_c * t;
    }
}

/* One implicit step on m >= 2 diagonal values. */
static void qr_step(float *d, float *e, int m)
{
    float mu = shift_of(d, e, m);
    float x = d[0] - mu, z = e[0], ap = d[0], bp = e[0], aq = d[1], bq = m > 2 ? e[1] : 0, bk = 0, zk = 0;

    for (int k = 0; k < m - 1; k++) {
        float c, s;

        rotation(x, z, &c, &s);
        float b1 = c * bk - s * zk;
        float a2 = c * (c * ap - s * bp) + s * (s * aq - c * bp);
        float b2 = c * (s * ap + c * bp) - s * (s * bp + c * aq);
        float q2 = s * (s * ap + c * bp) + c * (s * bp + c * aq);
        if (m == 2) {
            d[0] = a2;
            e[0] = b2;
            d[1] = q2;
            return;
        }
        float z2 = -s * bq, bq2 = c * bq;
        d[k] = a2;
        if (k > 0)
            e[k - 1] = b1;
        bk = b2;
        zk = z2;
        ap = q2;
        bp = bq2;
        if (k < m - 2) {
            e[k + 1] = bp;
            aq = d[k + 2];
        }
        if (k < m - 3)
            bq = e[k + 2];
        x = bk;
        z = zk;
    }
    d[m - 1] = ap;
    e[m - 2] = bk;
}

void vmafx_speed_eigen(const VmafxSpeedMatrix k, VmafxSpeedEigen *ret)
{
    VmafxSpeedMatrix a;
    float e[N - 1], *d = ret->values;
    int hi = N - 1;

    memcpy(a, k, sizeof a);
    for (int i = 0; i < N - 2; i++)
        reduce_column(a, i);
    for (int i = 0; i < N; i++)
        ret->diagonal[i] = d[i] = a[i][i];
    for (int i = 0; i < N - 1; i++)
        ret->beside[i] = e[i] = a[i + 1][i];

    ret->steps = 0;
    chop(d, e, N);
    while (hi > 0 && ret->steps < STEPS_MAX) {
        if (e[hi - 1] == 0) {
            hi--;
            continue;
        }
        int lo = hi - 1;
        while (lo > 0 && e[lo - 1] != 0)
            lo--;
        qr_step(d + lo, e + lo, hi - lo + 1);
        chop(d + lo, e + lo, hi - lo + 1);
        ret->steps++;
    }
}

/* ---- The system ---- */

static float length(const float *v, int from)
{
    float q = 0;

    for (int i = from; i < N; i++)
        q += v[i] * v[i];
    return (float)sqrt((double)q);
}

/* P = I − 2 v vᵀ for rows and columns from k on, v the column of z, turned onto its axis. */
static void reflection(const VmafxSpeedMatrix z, int k, VmafxSpeedMatrix p)
{
    float v[VMAFX_SPEED_PITCH] = { 0 };

    for (int i = k; i < N; i++)
        v[i] = z[i][k];
    v[k] = v[k] + length(v, k);
    float norm = length(v, k);
    for (int i = k; i < N; i++)
        v[i] = v[i] / norm;
    for (int i = k; i < N; i++) {
        for (int j = k; j < N; j++)
            p[i][j] = -2 * v[i] * v[j];
        p[i][i] = p[i][i] + 1;
    }
}

/* Rows from k on of m become those of P · m, columns from `first` on. */
static void reflect(const VmafxSpeedKernels *kernels, const VmafxSpeedMatrix p, int k, int first, VmafxSpeedMatrix m)
{
    VmafxSpeedMatrix product;

    kernels->multiply(p, m[0], VMAFX_SPEED_PITCH, k, first, N, product[0], VMAFX_SPEED_PITCH);
    for (int i = k; i < N; i++)
        memcpy(m[i] + first, product[i] + first, (size_t)(N - first) * sizeof(float));
}

static bool substitute(const VmafxSpeedKernels *kernels, VmafxSpeedSystem *s)
{
    for (int i = N - 1; i >= 0; i--) {
        float *x = s->x + (size_t)i * s->pitch, pivot = s->r[i][i];

        if ((double)fabsf(pivot) < PIVOT_LEAST)
            return false;
        memcpy(x, s->t + (size_t)i * s->pitch, (size_t)s->n * sizeof *x);
        for (int m = i + 1; m < N; m++)
            kernels->subtract_scaled(s->x + (size_t)m * s->pitch, s->r[i][m], s->n, x);
        for (int j = 0; j < s->n; j++)
            x[j] = x[j] / pivot;
    }
    return true;
}

bool vmafx_speed_solve(const VmafxSpeedKernels *kernels, const VmafxSpeedMatrix k, VmafxSpeedSystem *s)
{
    VmafxSpeedMatrix z, p;

    memcpy(z, k, sizeof z);
    memset(s->q, 0, sizeof s->q);
    for (int i = 0; i < N; i++)
        s->q[i][i] = 1;
    for (int i = 0; i < N - 1; i++) {
        reflection(z, i, p);
        reflect(kernels, p, i, i, z);
        reflect(kernels, p, i, 0, s->q);
    }
    kernels->multiply(s->q, k[0], VMAFX_SPEED_PITCH, 0, 0, N, s->r[0], VMAFX_SPEED_PITCH);
    kernels->multiply(s->q, s->y, s->pitch, 0, 0, s->n, s->t, s->pitch);
    return substitute(kernels, s);
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * From feature values to a score, and from an ensemble's scores to a confidence interval.
 *
 * Every sum below has its order of operations from the specification (50.5 to 50.7) and is compared with the
 * reference to the bit. So: no reordering, no fused multiply-add (the build says -ffp-contract=off), no vector code.
 */

#include "engine/model/model.h"

#include <assert.h>
#include <math.h>

#include "base/base.h"

/* Replaces a chroma input that is exactly 0 by (−P) · adm3 + P. Both are taken back through the rescaling rather than
   from the raw values: that is where the rounding of the reference comes from. */
static void correct_chroma(const VmafxModelMember *m, double *x)
{
    const VmafxModelInput *adm3 = &m->inputs[m->chroma.adm3], *chroma = &m->inputs[m->chroma.chroma];
    double a = x[m->chroma.adm3], c = x[m->chroma.chroma];

    if (m->rescale) {
        a = (a - adm3->intercept) / adm3->slope;
        c = (c - chroma->intercept) / chroma->slope;
    }
    if (c != 0.0)
        return;
    c = -m->chroma.p * a + m->chroma.p;
    x[m->chroma.chroma] = m->rescale ? chroma->slope * c + chroma->intercept : c;
}

/* sum a · exp(−gamma · |x − s|²) − rho, vectors in file order, dimensions ascending. */
static double regress(const VmafxSvm *svm, size_t n_inputs, const double *x)
{
    double sum = 0.0;

    for (size_t i = 0; i < svm->n; i++) {
        const double *s = svm->vector + i * n_inputs;
        double q = 0.0;

        for (size_t j = 0; j < n_inputs; j++) {
            double t = x[j] - s[j];
            q = q + t * t;
        }
        sum = sum + svm->coef[i] * exp(-svm->gamma * q);
    }
    return sum - svm->rho;
}

static double polynomial(const VmafxTransform *t, double y)
{
    if (!t->has_p[0] && !t->has_p[1] && !t->has_p[2])
        return y;

    double u = 0.0;
    if (t->has_p[0])
        u += t->p[0];
    if (t->has_p[1])
        u += t->p[1] * y;
    if (t->has_p[2])
        u += (t->p[2] * y) * y;
    return u;
}

/* The piecewise linear curve through the knots; its end segments go on for ever. A value that is a knot belongs to the
   segment on its right. */
static double interpolate(const VmafxTransform *t, double u)
{
    size_t i = 0;

    if (t->n_knots < 2)
        return u;
    while (i + 2 < t->n_knots && u >= t->knots[i + 1].x)
        i++;

    VmafxKnot a = t->knots[i], b = t->knots[i + 1];
    if (a.y == b.y)
        return a.y;
    if (a.x == 0.0) {
        double slope = (b.y - a.y) / b.x;
        return slope * u + a.y;
    }
    double slope = (b.y - a.y) / (b.x - a.x);
    double offset = a.y - a.x * slope;
    return slope * u + offset;
}

static double transform(const VmafxTransform *t, double y)
{
    double u = interpolate(t, polynomial(t, y));

    if (t->out_lte_in && y < u)
        u = y;
    if (t->out_gte_in && y > u)
        u = y;
    return u;
}

/* Steps 4 and 5: transform, then clip, as far as file and flags want them. A score that is not a number stays one. */
static double finish(const VmafxModelMember *m, double y, unsigned flags)
{
    bool enabled = m->transform.enabled || (flags & VMAFX_MODEL_ENABLE_TRANSFORM);

    if (m->transform.present && enabled && !(flags & VMAFX_MODEL_DISABLE_TRANSFORM))
        y = transform(&m->transform, y);
    if (m->has_clip && !(flags & VMAFX_MODEL_DISABLE_CLIP)) {
        if (y < m->clip_min)
            y = m->clip_min;
        if (y > m->clip_max)
            y = m->clip_max;
    }
    return y;
}

double vmafx_model_predict(const VmafxModel *model, size_t member, const double *inputs, unsigned flags)
{
    assert(member < model->n_members);

    const VmafxModelMember *m = &model->members[member];
    double x[VMAFX_MODEL_FEATURES_MAX];

    for (size_t j = 0; j < m->n_inputs; j++)
        x[j] = m->rescale ? m->inputs[j].slope * inputs[j] + m->inputs[j].intercept : inputs[j];
    if (m->chroma.present)
        correct_chroma(m, x);

    double y = regress(&m->svm, m->n_inputs, x);
    if (m->rescale)
        y = (y - m->intercept) / m->slope;
    return finish(m, y, flags);
}

/* By insertion: an ensemble has a handful of members, and a value that is not a number does no harm here. */
static void sort(double *v, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        double x = v[i];
        size_t k = i;

        for (; k > 0 && v[k - 1] > x; k--)
            v[k] = v[k - 1];
        v[k] = x;
    }
}

static double percentile(const double *sorted, size_t n, double p)
{
    double r = p * (double)(n - 1) / 100.0;
    double l = floor(r), u = ceil(r);

    if (l == u)
        return sorted[(size_t)l];
    return sorted[(size_t)l] * (u - r) + sorted[(size_t)u] * (r - l);
}

void vmafx_model_confidence(const VmafxModel *model, double *raw, unsigned flags, VmafxConfidence *ret)
{
    static const double delta = 0.01;
    size_t k = model->n_members - 1;

    if (k == 0) { /* no ensemble, no interval */
        *ret = (VmafxConfidence){ NAN, NAN, NAN, NAN };
        return;
    }

    const VmafxModelMember *first = &model->members[1];
    double sum = 0.0, squares = 0.0;

    for (size_t i = 0; i < k; i++)
        sum = sum + raw[i];
    double mean = sum / (double)k;
    for (size_t i = 0; i < k; i++) {
        double d = raw[i] - mean;
        squares = squares + d * d;
    }
    double sd = sqrt(squares / (double)k);

    /* The deviation is brought to the final scale by the slope that transform and clip have at the mean. */
    double slope = (finish(first, mean + delta, flags) - finish(first, mean - delta, flags)) / (2.0 * delta);

    sort(raw, k);
    *ret = (VmafxConfidence){
        .bagging = finish(first, mean, flags),
        .stddev = sd * slope,
        .ci_p95_lo = finish(first, percentile(raw, k, 2.5), flags),
        .ci_p95_hi = finish(first, percentile(raw, k, 97.5), flags),
    };
}

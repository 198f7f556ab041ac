/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Sums, last values, histograms. Exponential buckets of one sign live in a ring: bucket i is at i modulo a power of two
 * that is not smaller than the most buckets there may be, so growing at either end moves nothing.
 */

#include "otel/sdk/aggregation.h"

#include <float.h>
#include <limits.h>
#include <math.h>
#include <string.h>

const double vmafx_histogram_default_bounds[VMAFX_HISTOGRAM_DEFAULTS] = { 0,   5,   10,   25,   50,   75,   100,  250,
                                                                          500, 750, 1000, 2500, 5000, 7500, 10000 };

bool vmafx_histogram_bounds_valid(const double *bounds, size_t n_bounds)
{
    if (n_bounds > VMAFX_HISTOGRAM_MAX || (n_bounds && !bounds))
        return false;
    for (size_t i = 0; i < n_bounds; i++)
        if (!isfinite(bounds[i]) || (i && bounds[i] <= bounds[i - 1]))
            return false;
    return true;
}

static size_t n_counts(const VmafxAggConfig *config)
{
    if (config->kind == VMAFX_AGG_HISTOGRAM)
        return config->n_bounds + 1;
    if (config->kind == VMAFX_AGG_EXP_HISTOGRAM)
        return (size_t)config->ring * (config->is_signed ? 2 : 1);
    return 0;
}

size_t vmafx_agg_size(const VmafxAggConfig *config)
{
    return sizeof(VmafxAggState) + n_counts(config) * sizeof(uint64_t);
}

void vmafx_agg_init(VmafxAggState *state, const VmafxAggConfig *config)
{
    state->min = INFINITY;
    state->max = -INFINITY;
    state->scale = config->max_scale;
    state->range[0] = state->range[1] = (VmafxExpRange){ 0, -1 };
}

void vmafx_agg_reset(VmafxAggState *state, const VmafxAggConfig *config)
{
    if (!state->count)
        return; /* as it was after init */
    memset(state, 0, vmafx_agg_size(config));
    vmafx_agg_init(state, config);
}

/* ---- Explicit buckets ---- */

enum { LINEAR_MAX = 32 }; /* counting without branches beats halving up to about here */

typedef double Pair __attribute__((vector_size(16)));
typedef int64_t PairMask __attribute__((vector_size(16)));

/* How many of n boundaries are below a value: two comparisons at a time, each −1 when true. More at a time was slower
   for the usual 14 or 15. */
static inline size_t count_below(const double *bounds, size_t n, double value)
{
    Pair wanted = { value, value };
    PairMask below = { 0, 0 };
    size_t i = 0;

    for (; i + 2 <= n; i += 2) {
        Pair two;

        memcpy(&two, bounds + i, sizeof two);
        below += two < wanted;
    }
    size_t count = (size_t) - (below[0] + below[1]);
    return i < n ? count + (bounds[i] < value) : count;
}

static inline size_t histogram_index(const double *bounds, size_t n_bounds, double value)
{
    size_t lo = 0, n = n_bounds;

    while (n > LINEAR_MAX) {
        size_t half = n / 2;

        if (bounds[lo + half - 1] < value)
            lo += half, n -= half;
        else
            n = half;
    }
    return lo + count_below(bounds + lo, n, value);
}

size_t vmafx_histogram_index(const double *bounds, size_t n_bounds, double value)
{
    return histogram_index(bounds, n_bounds, value);
}

/* ---- The table of a config: a cell is a power of two, or one of a few equal parts of it ---- */

enum { CELL_BITS_MAX = 4 };

static int64_t cell_of(double value, uint32_t shift)
{
    int64_t bits;

    memcpy(&bits, &value, sizeof bits);
    return bits >> shift;
}

static size_t n_below_cell(const VmafxAggConfig *config, int64_t cell, uint32_t shift)
{
    int64_t bits = (int64_t)((uint64_t)cell << shift);
    double edge;

    memcpy(&edge, &bits, sizeof edge);
    return histogram_index(config->bounds, config->n_bounds, edge);
}

/* False where cells of this size do not keep the boundaries apart, or are too many; then there is no table. */
static bool make_table(VmafxAggConfig *config, uint32_t shift)
{
    size_t n = config->n_bounds, positive = histogram_index(config->bounds, n, 0);

    positive += positive < n && config->bounds[positive] == 0;
    if (positive == n || n > UINT8_MAX)
        return false;

    int64_t first = cell_of(config->bounds[positive], shift) - 1; /* the cell of all that is smaller */
    int64_t n_cells = cell_of(config->bounds[n - 1], shift) - first + 2;

    if (n_cells > VMAFX_HISTOGRAM_CELLS)
        return false;
    for (int64_t i = 0; i < n_cells; i++) {
        size_t start = i ? n_below_cell(config, first + i, shift) : 0;

        if (i + 1 < n_cells && n_below_cell(config, first + i + 1, shift) > start + 1)
            return false;
        config->starts[i] = (uint8_t)(start < n ? start : n - 1); /* above all: that one is below the value too */
    }
    config->shift = shift;
    config->first = first;
    config->n_cells = (uint32_t)n_cells;
    return true;
}

void vmafx_agg_config_done(VmafxAggConfig *config)
{
    uint32_t size = config->max_size ? config->max_size : VMAFX_EXP_SIZE_DEFAULT;

    size = size < 2 ? 2 : size > VMAFX_EXP_SIZE_MAX ? VMAFX_EXP_SIZE_MAX : size;
    config->max_size = size;
    for (config->ring = 2; config->ring < size;)
        config->ring *= 2;
    if (config->max_scale > VMAFX_EXP_SCALE_MAX)
        config->max_scale = VMAFX_EXP_SCALE_MAX;
    if (config->max_scale < VMAFX_EXP_SCALE_MIN)
        config->max_scale = VMAFX_EXP_SCALE_MIN;
    config->n_cells = 0;
    for (uint32_t bits = 0; config->kind == VMAFX_AGG_HISTOGRAM && bits <= CELL_BITS_MAX; bits++)
        if (make_table(config, 52 - bits))
            return;
}

/* ---- Exponential buckets ---- */

int32_t vmafx_exp_index(double value, int32_t scale)
{
    int exp;
    double v = fmax(fabs(value), DBL_MIN);
    double frac = frexp(v, &exp); /* v = frac · 2^exp, frac in [0.5, 1) */

    if (scale <= 0)
        return (frac == 0.5 ? exp - 2 : exp - 1) >> -scale;
    if (frac == 0.5)
        return (int32_t)((uint32_t)(exp - 1) << scale) - 1;

    /* Between the powers of two around it; log2 of the fraction keeps the precision that log(v) has lost far from 1. */
    int32_t low = (int32_t)((uint32_t)(exp - 1) << scale), high = low + (1 << scale) - 1;
    double at = floor(log2(2 * frac) * (double)(1 << scale));
    int32_t index = low + (int32_t)at;

    return index < low ? low : index > high ? high : index;
}

double vmafx_exp_lower(int32_t index, int32_t scale)
{
    if (scale <= 0) {
        int64_t exp = index * ((int64_t)1 << -scale); /* left of what a double can say at the ends */

        return exp < -1074 ? 0 : exp > 1023 ? INFINITY : ldexp(1, (int)exp);
    }
    int32_t whole = index >> scale; /* floor */
    double part = (double)(index - (int32_t)((uint32_t)whole << scale)) / (double)(1 << scale);

    return ldexp(exp2(part), whole);
}

static uint64_t *ring_of(VmafxAggState *state, const VmafxAggConfig *config, int sign)
{
    return state->counts + (size_t)sign * config->ring;
}

static bool is_empty(VmafxExpRange range)
{
    return range.hi < range.lo;
}

static void downscale_sign(VmafxAggState *state, const VmafxAggConfig *config, int sign, int32_t by)
{
    VmafxExpRange old = state->range[sign];
    uint64_t kept[512]; /* ≥ the ring of VMAFX_EXP_SIZE_MAX */
    uint64_t *ring = ring_of(state, config, sign);
    uint32_t mask = config->ring - 1;

    if (is_empty(old))
        return;
    memcpy(kept, ring, config->ring * sizeof *ring);
    memset(ring, 0, config->ring * sizeof *ring);
    for (int32_t i = old.lo; i <= old.hi; i++)
        ring[(uint32_t)(i >> by) & mask] += kept[(uint32_t)i & mask];
    state->range[sign] = (VmafxExpRange){ old.lo >> by, old.hi >> by };
}

void vmafx_exp_downscale(VmafxAggState *state, const VmafxAggConfig *config, int32_t by)
{
    if (by <= 0)
        return;
    downscale_sign(state, config, 0, by);
    if (config->is_signed)
        downscale_sign(state, config, 1, by);
    state->scale -= by;
}

/* The smallest shift after which lo … hi fits into the buckets there may be. */
static int32_t shift_to_fit(int64_t lo, int64_t hi, uint32_t max_size)
{
    int32_t shift = 0;

    while ((hi >> shift) - (lo >> shift) >= (int64_t)max_size)
        shift++;
    return shift;
}

static VmafxExpRange joined(VmafxExpRange a, VmafxExpRange b)
{
    if (is_empty(a))
        return b;
    if (is_empty(b))
        return a;
    return (VmafxExpRange){ a.lo < b.lo ? a.lo : b.lo, a.hi > b.hi ? a.hi : b.hi };
}

static void exp_add(VmafxAggState *state, const VmafxAggConfig *config, double v)
{
    int sign = v < 0;

    if (v == 0 || (sign && !config->is_signed)) {
        state->zero_count += 1;
        return;
    }
    int32_t index = vmafx_exp_index(v, state->scale);
    VmafxExpRange range = joined(state->range[sign], (VmafxExpRange){ index, index });
    int32_t shift = shift_to_fit(range.lo, range.hi, config->max_size);

    if (shift) {
        vmafx_exp_downscale(state, config, shift);
        index >>= shift;
        range = joined(state->range[sign], (VmafxExpRange){ index, index });
    }
    state->range[sign] = range;
    ring_of(state, config, sign)[(uint32_t)index & (config->ring - 1)]++;
}

static void merge_exp(VmafxAggState *dst, const VmafxAggConfig *config, const VmafxAggState *src)
{
    int signs = config->is_signed ? 2 : 1;
    int32_t scale = dst->scale < src->scale ? dst->scale : src->scale;
    int32_t shift = 0;

    for (int s = 0; s < signs; s++) {
        VmafxExpRange a = dst->range[s], b = src->range[s];

        a = is_empty(a) ? a : (VmafxExpRange){ a.lo >> (dst->scale - scale), a.hi >> (dst->scale - scale) };
        b = is_empty(b) ? b : (VmafxExpRange){ b.lo >> (src->scale - scale), b.hi >> (src->scale - scale) };
        a = joined(a, b);
        int32_t need = is_empty(a) ? 0 : shift_to_fit(a.lo, a.hi, config->max_size);
        shift = need > shift ? need : shift;
    }
    scale -= shift;
    vmafx_exp_downscale(dst, config, dst->scale - scale);
    for (int s = 0; s < signs; s++) {
        int32_t by = src->scale - scale;
        VmafxExpRange b = src->range[s];

        if (is_empty(b))
            continue;
        for (int32_t i = b.lo; i <= b.hi; i++)
            ring_of(dst, config, s)[(uint32_t)(i >> by) & (config->ring - 1)] += vmafx_exp_count(src, config, s, i);
        dst->range[s] = joined(dst->range[s], (VmafxExpRange){ b.lo >> by, b.hi >> by });
    }
    dst->zero_count += src->zero_count;
}

/* ---- All of them ---- */

void vmafx_agg_record_exp(VmafxAggState *state, const VmafxAggConfig *config, double v)
{
    exp_add(state, config, v);
    vmafx_agg_record_value(state, v);
}

void vmafx_agg_merge(VmafxAggState *dst, const VmafxAggConfig *config, const VmafxAggState *src)
{
    if (!src->count)
        return;
    dst->count += src->count;
    dst->saturated |= src->saturated;
    switch (config->kind) {
    case VMAFX_AGG_SUM:
        if (config->is_int) {
            vmafx_agg_add_int(dst, src->sum_int);
            return;
        }
        break;
    case VMAFX_AGG_LAST_VALUE:
        dst->last = src->last;
        return;
    case VMAFX_AGG_HISTOGRAM:
        for (size_t i = 0; i <= config->n_bounds; i++)
            dst->counts[i] += src->counts[i];
        break;
    case VMAFX_AGG_EXP_HISTOGRAM:
        merge_exp(dst, config, src);
        break;
    case VMAFX_AGG_DEFAULT:
    case VMAFX_AGG_DROP:
        return;
    }
    vmafx_agg_add_double(dst, src->sum);
    if (isfinite(src->sum))
        vmafx_agg_add_double(dst, src->sum_low);
    dst->min = src->min < dst->min ? src->min : dst->min;
    dst->max = src->max > dst->max ? src->max : dst->max;
}

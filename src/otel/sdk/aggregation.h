/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Aggregations: how measurements become a sum, a last value or a histogram. Pure arithmetic on states that the caller
 * owns and guards; nothing here allocates. Source of the rules: OpenTelemetry Metrics SDK and Data Model.
 *
 * A state is one block of vmafx_agg_size(config) zeroed bytes, made usable by vmafx_agg_init. States of one config can
 * be merged, so threads may aggregate apart and be added up later.
 */
#ifndef VMAFX_OTEL_SDK_AGGREGATION_H
#define VMAFX_OTEL_SDK_AGGREGATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define VMAFX_EXP_SIZE_DEFAULT   160
#define VMAFX_EXP_SIZE_MAX       320
#define VMAFX_EXP_SCALE_MAX      20
#define VMAFX_EXP_SCALE_MIN      (-10)
#define VMAFX_HISTOGRAM_MAX      1000 /* boundaries */
#define VMAFX_HISTOGRAM_DEFAULTS 15
#define VMAFX_HISTOGRAM_CELLS    64

/** 0 5 10 25 50 75 100 250 500 750 1000 2500 5000 7500 10000 */
extern const double vmafx_histogram_default_bounds[VMAFX_HISTOGRAM_DEFAULTS];

typedef enum VmafxAggregationKind {
    VMAFX_AGG_DEFAULT = 0, /* by the instrument's kind; in settings only */
    VMAFX_AGG_DROP,
    VMAFX_AGG_SUM,
    VMAFX_AGG_LAST_VALUE,
    VMAFX_AGG_HISTOGRAM,
    VMAFX_AGG_EXP_HISTOGRAM,
} VmafxAggregationKind;

/** What a view or a reader asks for. Zeroed: the default of everything. */
typedef struct VmafxAggregation {
    VmafxAggregationKind kind;
    const double *bounds; /* HISTOGRAM; NULL: the default ones */
    size_t n_bounds;
    bool no_min_max;   /* histograms */
    int max_size;      /* EXP_HISTOGRAM: buckets per sign, 2 … 320; 0: 160 */
    bool has_scale;    /* max_scale is given; else 20 */
    int32_t max_scale; /* −10 … 20 */
} VmafxAggregation;

/** One aggregation with everything decided. */
typedef struct VmafxAggConfig {
    VmafxAggregationKind kind; /* SUM … EXP_HISTOGRAM */
    bool is_int;               /* sums and last values are int64_t */
    bool is_signed;            /* EXP_HISTOGRAM: negative values can come */
    bool has_sum, has_min_max; /* histograms */
    const double *bounds;      /* HISTOGRAM: strictly increasing and finite; borrowed */
    size_t n_bounds;           /* counts are n_bounds + 1 */
    uint32_t max_size;         /* EXP_HISTOGRAM: most buckets per sign */
    uint32_t ring;             /* EXP_HISTOGRAM: counts kept per sign, a power of two ≥ max_size */
    int32_t max_scale;
    /* HISTOGRAM, where it can be: a table from the first bits of a value to its bucket (vmafx_histogram_bucket) */
    uint32_t n_cells; /* 0: no table */
    uint32_t shift;   /* a cell is what doubles have in common without their last bits */
    int64_t first;    /* of cell 0, which also has whatever is below */
    uint8_t starts[VMAFX_HISTOGRAM_CELLS];
} VmafxAggConfig;

/** A measurement in both forms; instruments of integers use i for sums, and d for histograms. */
typedef struct VmafxNumber {
    int64_t i;
    double d;
} VmafxNumber;

/** Bucket indices of one sign in use, hi below lo when none. The count of index i is at i modulo ring. */
typedef struct VmafxExpRange {
    int32_t lo, hi;
} VmafxExpRange;

/**
 * A state. sum + sum_low is the compensated sum (Kahan, Babuška, Neumaier): its error does not grow with the number of
 * terms. Histograms: count is the sum of all counts. EXP_HISTOGRAM: counts are positive[ring], then negative[ring] if
 * signed.
 */
typedef struct VmafxAggState {
    uint64_t count; /* measurements since init or reset */
    int64_t sum_int;
    double sum, sum_low;
    double min, max; /* +inf and −inf while empty */
    VmafxNumber last;
    bool saturated; /* an integer sum would have wrapped; it stayed at its end */
    int32_t scale;
    uint64_t zero_count;
    VmafxExpRange range[2]; /* positive, negative */
    uint64_t counts[];
} VmafxAggState;

/** Fills the derived fields of a config (ring, table) and puts the others into their ranges. */
void vmafx_agg_config_done(VmafxAggConfig *config);

/** False when there are more than 1000, one is not finite, or they do not increase strictly. */
bool vmafx_histogram_bounds_valid(const double *bounds, size_t n_bounds);

size_t vmafx_agg_size(const VmafxAggConfig *config);
void vmafx_agg_init(VmafxAggState *state, const VmafxAggConfig *config); /* of zeroed memory */
void vmafx_agg_reset(VmafxAggState *state, const VmafxAggConfig *config);

/** Takes one measurement; d is finite. */
static inline void vmafx_agg_record(VmafxAggState *state, const VmafxAggConfig *config, VmafxNumber value);

/** Adds src to dst; the LAST_VALUE of src wins when it has one. An exponential dst takes the smaller scale or less. */
void vmafx_agg_merge(VmafxAggState *dst, const VmafxAggConfig *config, const VmafxAggState *src);

static inline void vmafx_agg_add_int(VmafxAggState *state, int64_t v)
{
    if (__builtin_expect(__builtin_add_overflow(state->sum_int, v, &state->sum_int), 0)) {
        state->sum_int = v < 0 ? INT64_MIN : INT64_MAX;
        state->saturated = true;
    }
}

/** Compensated: what the addition rounds away (Knuth's TwoSum, exact) is collected in sum_low. */
static inline void vmafx_agg_add_double(VmafxAggState *state, double v)
{
    double sum = state->sum + v, part = sum - state->sum;
    double lost = (state->sum - (sum - part)) + (v - part);

    state->sum = sum;
    state->sum_low += lost; /* of no meaning once the sum has overflowed */
}

static inline double vmafx_agg_sum(const VmafxAggState *state)
{
    return __builtin_isfinite(state->sum) ? state->sum + state->sum_low : state->sum;
}

/** First i with value ≤ bounds[i], else n_bounds: buckets are (lower, upper]. */
size_t vmafx_histogram_index(const double *bounds, size_t n_bounds, double value);

/**
 * Bucket index of |value| at a scale: the i with base^i < |value| ≤ base^(i+1), base = 2^(2^−scale). Exact for powers
 * of two and for scales ≤ 0; elsewhere the neighbour is possible within rounding of a boundary. Subnormals count as
 * 2^−1022. value is finite and not zero; scale −10 … 20.
 */
int32_t vmafx_exp_index(double value, int32_t scale);

/** Lower boundary of bucket i: 2^(i / 2^scale), correctly ordered at both ends of the range of doubles. */
double vmafx_exp_lower(int32_t index, int32_t scale);

/** Halves the resolution `by` times: index i becomes i >> by. */
void vmafx_exp_downscale(VmafxAggState *state, const VmafxAggConfig *config, int32_t by);

/** The count of one index inside a range. */
static inline uint64_t vmafx_exp_count(const VmafxAggState *state, const VmafxAggConfig *config, int sign,
                                       int32_t index)
{
    return state->counts[(size_t)sign * config->ring + ((uint32_t)index & (config->ring - 1))];
}

/**
 * vmafx_histogram_index for a config. A cell of the table has one boundary at most, the first that is not below the
 * cell, so one comparison decides; the last cell has whatever is above.
 */
static inline size_t vmafx_histogram_bucket(const VmafxAggConfig *config, double value)
{
    int64_t cell;

    if (__builtin_expect(!config->n_cells, 0))
        return vmafx_histogram_index(config->bounds, config->n_bounds, value);
    memcpy(&cell, &value, sizeof cell); /* the bits of doubles are in the order of their values, negative ones first */
    cell = (cell >> config->shift) - config->first;
    cell = cell < 0 ? 0 : cell;
    cell = cell < config->n_cells ? cell : config->n_cells - 1;

    size_t start = config->starts[cell];

    return start + (config->bounds[start] < value);
}

void vmafx_agg_record_exp(VmafxAggState *state, const VmafxAggConfig *config, double v);

/** What explicit and exponential histograms have in common. */
static inline void vmafx_agg_record_value(VmafxAggState *state, double v)
{
    vmafx_agg_add_double(state, v);
    state->min = v < state->min ? v : state->min;
    state->max = v > state->max ? v : state->max;
}

static inline void vmafx_agg_record(VmafxAggState *state, const VmafxAggConfig *config, VmafxNumber value)
{
    state->count++;
    if (config->kind == VMAFX_AGG_SUM) {
        if (config->is_int)
            vmafx_agg_add_int(state, value.i);
        else
            vmafx_agg_add_double(state, value.d);
    } else if (config->kind == VMAFX_AGG_HISTOGRAM) {
        state->counts[vmafx_histogram_bucket(config, value.d)]++;
        vmafx_agg_record_value(state, value.d);
    } else if (config->kind == VMAFX_AGG_EXP_HISTOGRAM) {
        vmafx_agg_record_exp(state, config, value.d);
    } else {
        state->last = value;
    }
}
#endif

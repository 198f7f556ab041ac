/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Aggregations: sums that keep their digits, bucket rules at their boundaries, exponential histograms at every scale.
 */

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"
#include "otel/sdk/aggregation.h"

static VmafxAggState *state_new(const VmafxAggConfig *config)
{
    VmafxAggState *state = calloc(1, vmafx_agg_size(config));

    assert_non_null(state);
    vmafx_agg_init(state, config);
    return state;
}

static VmafxAggConfig exp_config(uint32_t size, bool is_signed)
{
    VmafxAggConfig config = { .kind = VMAFX_AGG_EXP_HISTOGRAM,
                              .is_signed = is_signed,
                              .has_sum = true,
                              .max_size = size,
                              .max_scale = VMAFX_EXP_SCALE_MAX };

    vmafx_agg_config_done(&config);
    return config;
}

static void record(VmafxAggState *state, const VmafxAggConfig *config, double v)
{
    vmafx_agg_record(state, config, (VmafxNumber){ 0, v });
}

static uint64_t total(const VmafxAggState *state, const VmafxAggConfig *config)
{
    uint64_t sum = state->zero_count;

    for (int sign = 0; sign < (config->is_signed ? 2 : 1); sign++)
        for (int32_t i = state->range[sign].lo; i <= state->range[sign].hi; i++)
            sum += vmafx_exp_count(state, config, sign, i);
    return sum;
}

static void histogram_buckets_include_their_upper_boundary(void **unused)
{
    static const double bounds[] = { 0, 5, 10 };
    static const struct {
        double value;
        size_t bucket;
    } cases[] = {
        { -1, 0 }, { 0, 0 }, { 0x1p-1074, 1 }, { 5, 1 }, { 0x1.4000000000001p+2, 2 }, { 10, 2 }, { 10.5, 3 },
    };

    for (size_t i = 0; i < VMAFX_LEN(cases); i++)
        assert_int_equal(vmafx_histogram_index(bounds, VMAFX_LEN(bounds), cases[i].value), cases[i].bucket);
}

static void long_and_short_boundary_lists_follow_one_rule(void **unused)
{
    double bounds[VMAFX_HISTOGRAM_MAX];

    for (size_t i = 0; i < VMAFX_LEN(bounds); i++)
        bounds[i] = (double)i * 2;
    for (size_t n = 0; n <= VMAFX_LEN(bounds); n = n < 70 ? n + 1 : n + 93)
        for (size_t i = 0; i < n; i++) {
            assert_int_equal(vmafx_histogram_index(bounds, n, bounds[i]), i);
            assert_int_equal(vmafx_histogram_index(bounds, n, bounds[i] + 1), i + 1);
        }
}

/* Every boundary of a list, its neighbours, and what lies far away. */
static void check_buckets(const double *bounds, size_t n, bool has_table)
{
    static const double far[] = { -DBL_MAX, -1, -0.0, 0, 0x1p-1074, DBL_MIN, 1e-9, 1, 1e9, DBL_MAX };
    VmafxAggConfig config = { .kind = VMAFX_AGG_HISTOGRAM, .bounds = bounds, .n_bounds = n };

    vmafx_agg_config_done(&config);
    assert_int_equal(config.n_cells > 0, has_table);
    for (size_t i = 0; i < 3 * n + VMAFX_LEN(far); i++) {
        double v = i < n       ? bounds[i]
                   : i < 2 * n ? nextafter(bounds[i - n], -INFINITY)
                   : i < 3 * n ? nextafter(bounds[i - 2 * n], INFINITY)
                               : far[i - 3 * n];
        size_t below = 0;

        while (below < n && bounds[below] < v)
            below++;
        assert_int_equal(vmafx_histogram_index(bounds, n, v), below);
        assert_int_equal(vmafx_histogram_bucket(&config, v), below);
    }
}

static void buckets_are_the_same_with_a_table_and_without(void **unused)
{
    static const struct {
        const char *why;
        double bounds[8];
        size_t n;
        bool has_table;
    } cases[] = {
        { "no boundary", { 0 }, 0, false },
        { "one", { 3 }, 1, true },
        { "zero alone has no power of two", { 0 }, 1, false },
        { "negative ones only", { -3, -2 }, 2, false },
        { "one that is not positive, and small ones", { -1, 0.005, 0.01, 0.025 }, 4, true },
        { "two that are not positive", { -1, 0, 1 }, 3, false },
        { "on powers of two", { 0, 1, 2, 4, 8 }, 5, true },
        { "halves of one", { 2, 3, 4, 6 }, 4, true },
        { "sixteenths of one", { 16, 17, 18, 19, 20, 30, 31 }, 7, true },
        { "too close for any", { 1, 1.001, 1.002 }, 3, false },
        { "too far apart", { 1e-300, 1e300 }, 2, false },
        { "the ends of all doubles", { 0x1p-1074, 0x1p-1073 }, 2, false },
        { "the largest", { 0x1p1000, DBL_MAX }, 2, true },
    };

    for (size_t i = 0; i < VMAFX_LEN(cases); i++)
        check_buckets(cases[i].bounds, cases[i].n, cases[i].has_table);
    check_buckets(vmafx_histogram_default_bounds, VMAFX_HISTOGRAM_DEFAULTS, true);
}

static void boundaries_must_be_finite_and_increase(void **unused)
{
    static const struct {
        const char *why;
        double bounds[3];
        bool valid;
    } cases[] = {
        { "increasing", { 1, 2, 3 }, true },      { "equal", { 1, 1, 2 }, false },
        { "decreasing", { 1, 3, 2 }, false },     { "infinite", { 1, 2, INFINITY }, false },
        { "not a number", { 1, NAN, 3 }, false },
    };

    for (size_t i = 0; i < VMAFX_LEN(cases); i++)
        assert_int_equal(vmafx_histogram_bounds_valid(cases[i].bounds, 3), cases[i].valid);
    assert_true(vmafx_histogram_bounds_valid(NULL, 0));
    assert_true(vmafx_histogram_bounds_valid(vmafx_histogram_default_bounds, VMAFX_HISTOGRAM_DEFAULTS));
}

static void powers_of_two_are_exact_at_every_scale(void **unused)
{
    for (int32_t scale = VMAFX_EXP_SCALE_MIN; scale <= VMAFX_EXP_SCALE_MAX; scale++)
        for (int exp = -1022; exp <= 1023; exp++) {
            double v = ldexp(1, exp);
            int64_t want = scale > 0 ? (int64_t)exp * (1 << scale) - 1 : ((int64_t)exp - 1) >> -scale;

            assert_int_equal(vmafx_exp_index(v, scale), want);
            assert_int_equal(vmafx_exp_index(-v, scale), want);
        }
}

static void values_lie_between_the_boundaries_of_their_bucket(void **unused)
{
    uint64_t random = 88172645463325252u;

    for (int i = 0; i < 200000; i++) {
        random ^= random << 13, random ^= random >> 7, random ^= random << 17;
        double v = ldexp(1 + (double)(random >> 12) * 0x1p-52, (int)(random % 2045) - 1022);
        int32_t scale = (int32_t)(random >> 32) % 11 + 10;
        scale -= 10 + (int32_t)(random >> 40) % 11; /* −10 … 20 */
        int32_t index = vmafx_exp_index(v, scale);

        /* one bucket of error is allowed next to a boundary: a few ulp */
        assert_true(vmafx_exp_lower(index, scale) <= v * (1 + 8 * DBL_EPSILON));
        assert_true(v * (1 - 8 * DBL_EPSILON) <= vmafx_exp_lower(index + 1, scale));
    }
}

static void the_ends_of_the_double_range_have_buckets(void **unused)
{
    for (int32_t scale = VMAFX_EXP_SCALE_MIN; scale <= VMAFX_EXP_SCALE_MAX; scale++) {
        int64_t least = scale > 0 ? (int64_t)-1022 * (1 << scale) - 1 : -1023 >> -scale;
        int64_t most = scale > 0 ? (int64_t)1024 * (1 << scale) - 1 : 1023 >> -scale;

        assert_int_equal(vmafx_exp_index(DBL_MAX, scale), most);
        assert_int_equal(vmafx_exp_index(DBL_MIN, scale), least);
        assert_int_equal(vmafx_exp_index(0x1p-1074, scale), least); /* subnormals count as 2^-1022 */
    }
}

static void one_value_keeps_the_finest_scale(void **unused)
{
    VmafxAggConfig config = exp_config(0, true);
    VMAFX_AUTO(vmafx_free_p) VmafxAggState *state = state_new(&config);

    record(state, &config, 3);
    record(state, &config, -3);
    record(state, &config, 0);
    assert_int_equal(state->scale, VMAFX_EXP_SCALE_MAX);
    assert_int_equal(total(state, &config), 3);
    assert_int_equal(state->zero_count, 1);
}

static void downscaling_is_the_least_that_fits(void **unused)
{
    VmafxAggConfig config = exp_config(4, false);
    VMAFX_AUTO(vmafx_free_p) VmafxAggState *state = state_new(&config);

    /* 1, 2, 4: at scale 0 indices -1, 0, 1; at scale 1 -1, 1, 3, which is five buckets and one too many */
    record(state, &config, 1);
    record(state, &config, 2);
    record(state, &config, 4);
    assert_int_equal(state->scale, 0);
    assert_int_equal(state->range[0].lo, -1);
    assert_int_equal(state->range[0].hi, 1);
    for (int32_t i = -1; i <= 1; i++)
        assert_int_equal(vmafx_exp_count(state, &config, 0, i), 1);
}

static void downscaling_keeps_totals_for_any_values(void **unused)
{
    static const uint32_t sizes[] = { 2, 3, 20, 160, 320 };
    uint64_t random = 88172645463325252u;

    for (size_t s = 0; s < VMAFX_LEN(sizes); s++) {
        VmafxAggConfig config = exp_config(sizes[s], true);
        VMAFX_AUTO(vmafx_free_p) VmafxAggState *state = state_new(&config);

        for (uint64_t i = 1; i <= 3000; i++) {
            random ^= random << 13, random ^= random >> 7, random ^= random << 17;
            double v = ldexp(1 + (double)(random >> 12) * 0x1p-52, (int)(random % i) % 2045 - 1022);
            record(state, &config, random & 1 ? v : -v);
            assert_int_equal(total(state, &config), i);
            for (int sign = 0; sign < 2; sign++)
                assert_true((int64_t)state->range[sign].hi - state->range[sign].lo < (int64_t)sizes[s]);
        }
        assert_true(state->scale >= VMAFX_EXP_SCALE_MIN);
    }
}

static void merging_equals_recording_together(void **unused)
{
    VmafxAggConfig config = exp_config(20, true);
    VMAFX_AUTO(vmafx_free_p) VmafxAggState *a = state_new(&config), *b = state_new(&config), *both = state_new(&config);
    uint64_t random = 1234567891011u;

    for (int i = 0; i < 4000; i++) {
        random ^= random << 13, random ^= random >> 7, random ^= random << 17;
        double v = (double)(int64_t)(random >> 40) / (i + 1) - 1000;
        record(i % 3 ? a : b, &config, v);
        record(both, &config, v);
    }
    vmafx_agg_merge(a, &config, b);
    assert_int_equal(a->count, both->count);
    assert_int_equal(a->scale, both->scale);
    assert_int_equal(total(a, &config), total(both, &config));
    assert_true(a->min == both->min && a->max == both->max);
    assert_true(fabs(vmafx_agg_sum(a) - vmafx_agg_sum(both)) <= 1e-15 * fabs(vmafx_agg_sum(both)));
    for (int sign = 0; sign < 2; sign++)
        for (int32_t i = both->range[sign].lo; i <= both->range[sign].hi; i++)
            assert_int_equal(vmafx_exp_count(a, &config, sign, i), vmafx_exp_count(both, &config, sign, i));
}

static void merging_with_an_empty_state_changes_nothing(void **unused)
{
    VmafxAggConfig config = exp_config(20, false);
    VMAFX_AUTO(vmafx_free_p) VmafxAggState *a = state_new(&config), *empty = state_new(&config);

    record(a, &config, 1);
    record(a, &config, 1000);
    int32_t scale = a->scale;
    vmafx_agg_merge(a, &config, empty);
    assert_int_equal(a->scale, scale);
    vmafx_agg_merge(empty, &config, a);
    assert_int_equal(empty->scale, scale);
    assert_int_equal(total(empty, &config), 2);
}

static void a_reset_state_starts_again_at_the_finest_scale(void **unused)
{
    VmafxAggConfig config = exp_config(2, false);
    VMAFX_AUTO(vmafx_free_p) VmafxAggState *state = state_new(&config);

    record(state, &config, 1e-300);
    record(state, &config, 1e300);
    assert_true(state->scale < 0);
    vmafx_agg_reset(state, &config);
    record(state, &config, 7);
    assert_int_equal(state->scale, VMAFX_EXP_SCALE_MAX);
    assert_int_equal(total(state, &config), 1);
}

static void double_sums_keep_what_addition_rounds_away(void **unused)
{
    VmafxAggConfig config = { .kind = VMAFX_AGG_SUM };
    VMAFX_AUTO(vmafx_free_p) VmafxAggState *state = state_new(&config);

    record(state, &config, 1e16);
    for (int i = 0; i < 1000; i++)
        record(state, &config, 0.5);
    assert_true(vmafx_agg_sum(state) == 1e16 + 500);
    vmafx_agg_reset(state, &config);
    for (int i = 0; i < 1000000; i++)
        record(state, &config, 0.1);
    assert_true(vmafx_agg_sum(state) == 1000000 * 0.1);
    VMAFX_AUTO(vmafx_free_p) VmafxAggState *huge = state_new(&config);
    record(huge, &config, DBL_MAX);
    record(huge, &config, DBL_MAX);
    record(huge, &config, 1);
    vmafx_agg_merge(state, &config, huge);
    assert_true(isinf(vmafx_agg_sum(state))); /* and not NaN */
}

static void integer_sums_stay_at_their_ends(void **unused)
{
    VmafxAggConfig config = { .kind = VMAFX_AGG_SUM, .is_int = true };
    VMAFX_AUTO(vmafx_free_p) VmafxAggState *state = state_new(&config);

    vmafx_agg_record(state, &config, (VmafxNumber){ INT64_MAX, 0 });
    assert_false(state->saturated);
    vmafx_agg_record(state, &config, (VmafxNumber){ 1, 0 });
    assert_true(state->saturated);
    assert_int_equal(state->sum_int, INT64_MAX);
    vmafx_agg_reset(state, &config);
    vmafx_agg_record(state, &config, (VmafxNumber){ INT64_MIN, 0 });
    vmafx_agg_record(state, &config, (VmafxNumber){ -1, 0 });
    assert_int_equal(state->sum_int, INT64_MIN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(histogram_buckets_include_their_upper_boundary),
        cmocka_unit_test(long_and_short_boundary_lists_follow_one_rule),
        cmocka_unit_test(buckets_are_the_same_with_a_table_and_without),
        cmocka_unit_test(boundaries_must_be_finite_and_increase),
        cmocka_unit_test(powers_of_two_are_exact_at_every_scale),
        cmocka_unit_test(values_lie_between_the_boundaries_of_their_bucket),
        cmocka_unit_test(the_ends_of_the_double_range_have_buckets),
        cmocka_unit_test(one_value_keeps_the_finest_scale),
        cmocka_unit_test(downscaling_is_the_least_that_fits),
        cmocka_unit_test(downscaling_keeps_totals_for_any_values),
        cmocka_unit_test(merging_equals_recording_together),
        cmocka_unit_test(merging_with_an_empty_state_changes_nothing),
        cmocka_unit_test(a_reset_state_starts_again_at_the_finest_scale),
        cmocka_unit_test(double_sums_keep_what_addition_rounds_away),
        cmocka_unit_test(integer_sums_stay_at_their_ends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

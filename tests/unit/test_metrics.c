/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Metrics from the API down to what a reader gets: temporality, views, limits, callbacks, exemplars. What goes on by
 * itself meanwhile is in test_metrics_run.c.
 */

#include <math.h>

#include "metrics_fixture.h"
#include "otel/sdk/metric_view.h"

/* ---- API ---- */

static void without_an_sdk_everything_is_a_quiet_nothing(void **unused)
{
    VmafxMeter *meter = vmafx_meter_get("nobody.listens", NULL, NULL, VMAFX_NO_ATTRS);
    VmafxCallback *callback = NULL;

    vmafx_counter_add(vmafx_counter(meter, "c", "", ""), 1);
    vmafx_bound_int(vmafx_counter_bind(vmafx_counter(meter, "c", "", ""), TAG("a")), 1);
    assert_false(vmafx_counter_enabled(vmafx_counter(meter, "c", "", "")));
    vmafx_histogram_record_with(NULL, 1, TAG("a"), NULL);
    vmafx_gauge_record(vmafx_gauge(NULL, "g", NULL, NULL), 1);
    vmafx_bound_int(NULL, 1);
    vmafx_bound_double(NULL, 1);
    assert_null(vmafx_counter_bind(NULL, TAG("a")));
    vmafx_observe_int(NULL, NULL, 1, VMAFX_NO_ATTRS);
    vmafx_callback_remove(&callback);
    vmafx_callback_remove(NULL);
    assert_null(vmafx_meter_provider_meter(NULL, "m", "", "", VMAFX_NO_ATTRS));
    assert_null(vmafx_metric_reader_collect(NULL));
}

static void observe_seven(VmafxObserver *observer, VmafxObservable *self, void *state)
{
    vmafx_observe_int(observer, self, 7, VMAFX_NO_ATTRS);
}

static void handles_made_before_the_sdk_count_once_it_is_there(void **unused)
{
    FIXTURE(f);
    VmafxMeter *meter = vmafx_meter_get("early", "1", "", VMAFX_NO_ATTRS);
    VmafxCounter *counter = vmafx_counter(meter, "c", "", "");
    VmafxBound *bound = vmafx_counter_bind(counter, TAG("a"));

    assert_ptr_equal(meter, vmafx_meter_get("early", "1", NULL, VMAFX_NO_ATTRS));
    assert_ptr_equal(counter, vmafx_counter(meter, "c", NULL, ""));
    assert_ptr_equal(bound, vmafx_counter_bind(counter, TAG("a")));
    vmafx_observable_gauge(meter, "g", "", "", observe_seven, NULL);
    vmafx_bound_int(bound, 100); /* before: gone */

    open_plain(&f);
    vmafx_metrics_sdk_set(vmafx_meter_provider_sdk(f.provider));
    assert_true(vmafx_counter_enabled(counter));
    vmafx_bound_int(bound, 2);
    vmafx_counter_add_with(counter, 3, TAG("a"), NULL);
    {
        AUTO_SNAPSHOT s = collect_at(&f, 0, 200);
        assert_int_equal(point(metric(s, "c"), TAG("a"))->i, 5);
        assert_int_equal(point(metric(s, "g"), VMAFX_NO_ATTRS)->i, 7);
        assert_string_equal(metric(s, "c")->scope->name, "early");
    }
    vmafx_metrics_sdk_set(NULL);
    vmafx_bound_int(bound, 100); /* after: gone */
    AUTO_SNAPSHOT s = collect_at(&f, 0, 300);
    assert_int_equal(point(metric(s, "c"), TAG("a"))->i, 5);
    assert_null(metric(s, "g"));
}

/* ---- Temporality ---- */

static void readers_get_deltas_and_totals_of_their_own(void **unused)
{
    FIXTURE(f);
    VmafxReaderOptions delta = { .temporality = VMAFX_TEMPORALITY_DELTA };

    open_with(&f, (VmafxReaderOptions){ 0 }, &delta, (VmafxMeterProviderOptions){ 0 });
    VmafxCounter *c = vmafx_counter(f.meter, "c", "", "");
    VmafxUpDownCounter *u = vmafx_up_down_counter(f.meter, "u", "", "");
    VmafxHistogram *h = vmafx_histogram(f.meter, "h", "", "");
    VmafxGaugeDouble *g = vmafx_gauge_double(f.meter, "g", "", "");

    f.now = 150;
    vmafx_counter_add_with(c, 3, TAG("a"), NULL);
    vmafx_up_down_counter_add(u, -4);
    vmafx_histogram_record(h, 7);
    vmafx_gauge_double_record(g, 1.5);
    {
        AUTO_SNAPSHOT total = collect_at(&f, 0, 200);
        AUTO_SNAPSHOT part = collect_at(&f, 1, 210);
        const VmafxPointData *p = point(metric(total, "c"), TAG("a"));

        assert_false(metric(total, "c")->delta);
        assert_true(metric(total, "c")->monotonic);
        assert_int_equal(p->i, 3);
        assert_int_equal(p->start_ns, 150); /* its first measurement */
        assert_int_equal(p->time_ns, 200);
        p = point(metric(part, "c"), TAG("a"));
        assert_true(metric(part, "c")->delta);
        assert_int_equal(p->i, 3);
        assert_int_equal(p->start_ns, 100); /* the instrument's creation */
        assert_int_equal(p->time_ns, 210);
        assert_false(metric(part, "u")->delta); /* never */
        assert_false(metric(part, "u")->monotonic);
    }
    f.now = 220;
    vmafx_counter_add_with(c, 4, TAG("b"), NULL);
    vmafx_histogram_record(h, 70);
    vmafx_histogram_record(h, 0.5);
    {
        AUTO_SNAPSHOT total = collect_at(&f, 0, 300);
        AUTO_SNAPSHOT part = collect_at(&f, 1, 310);
        const VmafxPointData *p;

        assert_int_equal(point(metric(total, "c"), TAG("a"))->i, 3); /* every known series, every time */
        assert_int_equal(point(metric(total, "c"), TAG("b"))->i, 4);
        assert_int_equal(point(metric(total, "c"), TAG("b"))->start_ns, 220);
        assert_null(point(metric(part, "c"), TAG("a"))); /* only what was measured */
        p = point(metric(part, "c"), TAG("b"));
        assert_int_equal(p->i, 4);
        assert_int_equal(p->start_ns, 210);
        assert_int_equal(point(metric(part, "u"), VMAFX_NO_ATTRS)->i, -4);
        assert_true(point(metric(part, "g"), VMAFX_NO_ATTRS)->d == 1.5);

        p = point(metric(total, "h"), VMAFX_NO_ATTRS);
        assert_int_equal(p->count, 3);
        assert_true(p->sum == 77.5 && p->min == 0.5 && p->max == 70);
        p = point(metric(part, "h"), VMAFX_NO_ATTRS);
        assert_int_equal(p->count, 2);
        assert_true(p->sum == 70.5 && p->min == 0.5 && p->max == 70);
        assert_int_equal(p->counts[1], 1);
        assert_int_equal(p->counts[5], 1);
        assert_int_equal(p->n_bounds, VMAFX_HISTOGRAM_DEFAULTS);
    }
    AUTO_SNAPSHOT part = collect_at(&f, 1, 400);
    assert_null(metric(part, "c")); /* nothing new, nothing said */
}

static void temporality_preferences_follow_their_table(void **unused)
{
    static const struct {
        VmafxTemporality preference;
        bool delta[VMAFX_KINDS]; /* by kind, from COUNTER on */
    } rows[] = {
        { VMAFX_TEMPORALITY_CUMULATIVE, { 0 } },
        { VMAFX_TEMPORALITY_DELTA, { 0, 1, 0, 1, 0, 1, 0, 0 } },
        { VMAFX_TEMPORALITY_LOWMEMORY, { 0, 1, 0, 1, 0, 0, 0, 0 } },
    };

    for (size_t i = 0; i < VMAFX_LEN(rows); i++) {
        VmafxMetricReader *reader = vmafx_metric_reader_new(&(VmafxReaderOptions){ .temporality = rows[i].preference });

        for (int kind = VMAFX_KIND_COUNTER; kind < VMAFX_KINDS; kind++)
            assert_int_equal(vmafx_metric_reader_delta(reader, (VmafxInstrumentKind)kind), rows[i].delta[kind]);
        assert_true(vmafx_metric_reader_free(&reader));
    }
}

/* What the callback observes: one value for each tag; 0: not observed. */
typedef struct Observed {
    VmafxObservable *counter;
    int64_t values[3];
    int calls;
} Observed;

static void observe_all(VmafxObserver *observer, VmafxObservable *self, void *state)
{
    static const char *const tags[] = { "a", "b", "c" };
    Observed *o = state;

    o->calls++;
    for (size_t i = 0; i < VMAFX_LEN(tags); i++)
        if (o->values[i])
            vmafx_observe_int(observer, self ? self : o->counter, o->values[i], TAG(tags[i]));
}

static void observed_totals_become_differences_for_each_reader(void **unused)
{
    FIXTURE(f);
    VmafxReaderOptions delta = { .temporality = VMAFX_TEMPORALITY_DELTA };
    Observed o = { .values = { 10, 0, 0 } };

    open_with(&f, (VmafxReaderOptions){ 0 }, &delta, (VmafxMeterProviderOptions){ 0 });
    vmafx_observable_counter(f.meter, "o", "", "", observe_all, &o);
    {
        AUTO_SNAPSHOT total = collect_at(&f, 0, 200);
        AUTO_SNAPSHOT part = collect_at(&f, 1, 210);

        assert_int_equal(o.calls, 2); /* once for each reader */
        assert_int_equal(point(metric(total, "o"), TAG("a"))->i, 10);
        assert_int_equal(point(metric(total, "o"), TAG("a"))->start_ns, 100);
        assert_int_equal(point(metric(part, "o"), TAG("a"))->i, 10);
        assert_int_equal(point(metric(part, "o"), TAG("a"))->start_ns, 100);
    }
    o = (Observed){ .values = { 15, 4, 0 } };
    {
        AUTO_SNAPSHOT other = collect_at(&f, 0, 250); /* another reader's collection changes nothing */
        assert_int_equal(other->n, 1);
    }
    {
        AUTO_SNAPSHOT total = collect_at(&f, 0, 300);
        AUTO_SNAPSHOT part = collect_at(&f, 1, 310);

        assert_int_equal(point(metric(total, "o"), TAG("b"))->i, 4);
        assert_int_equal(point(metric(total, "o"), TAG("b"))->start_ns, 200); /* the collection before its first */
        assert_int_equal(point(metric(part, "o"), TAG("a"))->i, 5);
        assert_int_equal(point(metric(part, "o"), TAG("a"))->start_ns, 210);
        assert_int_equal(point(metric(part, "o"), TAG("b"))->i, 4);
    }
    o = (Observed){ .values = { 0, 6, 0 } };
    AUTO_SNAPSHOT total = collect_at(&f, 0, 400);
    AUTO_SNAPSHOT part = collect_at(&f, 1, 410);
    assert_int_equal(metric(total, "o")->n_points, 1); /* only what was observed */
    assert_int_equal(metric(part, "o")->n_points, 1);
    assert_int_equal(point(metric(part, "o"), TAG("b"))->i, 2);
}

/* ---- Callbacks ---- */

static void observe_twice(VmafxObserver *observer, VmafxObservable *self, void *state)
{
    vmafx_observe_int(observer, self, 1, TAG("a"));
    vmafx_observe_int(observer, self, 2, TAG("a"));
}

static VmafxObserver *kept_observer;

static void keep_observer(VmafxObserver *observer, VmafxObservable *self, void *state)
{
    kept_observer = observer;
    assert_null(vmafx_metric_reader_collect(state)); /* would wait for itself */
}

static void remove_itself(VmafxObserver *observer, VmafxObservable *self, void *state)
{
    vmafx_callback_remove(state);
}

static void callbacks_serve_several_instruments_and_can_be_removed(void **unused)
{
    FIXTURE(f);

    open_plain(&f);
    Observed o = { .values = { 1, 2, 3 }, .counter = vmafx_observable_counter(f.meter, "o", "", "", NULL, NULL) };
    VmafxCallback *callback = vmafx_meter_callback(f.meter, observe_all, &o);
    VmafxCallback *self = NULL;
    self = vmafx_meter_callback(f.meter, remove_itself, &self);
    {
        AUTO_SNAPSHOT s = collect_at(&f, 0, 200);
        assert_int_equal(metric(s, "o")->n_points, 3);
        assert_null(self);
    }
    vmafx_callback_remove(&callback);
    assert_null(callback);
    AUTO_SNAPSHOT s = collect_at(&f, 0, 300);
    assert_null(metric(s, "o"));
    assert_int_equal(o.calls, 1);
}

static void observations_outside_their_callback_are_ignored(void **unused)
{
    FIXTURE(f);
    VmafxMetricCounts counts;

    open_plain(&f);
    VmafxObservable *g = vmafx_observable_gauge(f.meter, "g", "", "", observe_twice, NULL);
    VmafxCallback *callback = vmafx_meter_callback(f.meter, keep_observer, f.readers[0]);
    AUTO_SNAPSHOT s = collect_at(&f, 0, 200);

    assert_int_equal(metric(s, "g")->n_points, 1);
    assert_int_equal(point(metric(s, "g"), TAG("a"))->i, 2); /* of duplicates the last */
    vmafx_observe_int(kept_observer, g, 9, TAG("late"));
    AUTO_SNAPSHOT after = collect_at(&f, 0, 300);
    assert_null(point(metric(after, "g"), TAG("late")));
    vmafx_meter_provider_counts(f.provider, &counts);
    assert_int_equal(counts.stray_observations, 1);
    vmafx_callback_remove(&callback);
}

/* ---- Values ---- */

static void values_that_cannot_be_are_ignored_and_reported_once(void **unused)
{
    FIXTURE(f);
    static const double bad[] = { NAN, INFINITY, -INFINITY };
    VmafxMetricCounts counts;

    open_plain(&f);
    VmafxCounterDouble *c = vmafx_counter_double(f.meter, "c", "", "");
    VmafxHistogram *h = vmafx_histogram(f.meter, "h", "", "");
    VmafxGaugeDouble *g = vmafx_gauge_double(f.meter, "g", "", "");
    for (size_t i = 0; i < VMAFX_LEN(bad); i++) {
        vmafx_counter_double_add(c, bad[i]);
        vmafx_histogram_record(h, bad[i]);
        vmafx_gauge_double_record(g, bad[i]);
    }
    vmafx_counter_double_add(c, -1);
    vmafx_histogram_record(h, -1);
    vmafx_counter_add(vmafx_counter(f.meter, "i", "", ""), -1);
    vmafx_counter_double_add(c, 0);
    vmafx_gauge_double_record(g, -1);
    AUTO_SNAPSHOT s = collect_at(&f, 0, 200);
    AUTO_SNAPSHOT again = collect_at(&f, 0, 300);

    assert_true(point(metric(s, "c"), VMAFX_NO_ATTRS)->d == 0);
    assert_null(metric(s, "h"));
    assert_true(point(metric(s, "g"), VMAFX_NO_ATTRS)->d == -1);
    vmafx_meter_provider_counts(f.provider, &counts);
    assert_int_equal(counts.invalid, 12);
    assert_string_equal(f.messages, "negative or not finite values are ignored: 'c'\n"
                                    "negative or not finite values are ignored: 'h'\n"
                                    "negative or not finite values are ignored: 'g'\n"
                                    "negative or not finite values are ignored: 'i'\n");
    assert_int_equal(again->n_points, 2);
}

static void attribute_order_and_repetition_do_not_make_new_series(void **unused)
{
    FIXTURE(f);

    open_plain(&f);
    VmafxCounter *c = vmafx_counter(f.meter, "c", "", "");
    VmafxAttr a = VMAFX_ATTR_STR("a", "1"), b = VMAFX_ATTR_INT("b", 2), old = VMAFX_ATTR_STR("a", "old");
    vmafx_counter_add_with(c, 1, VMAFX_ATTRS(a, b), NULL);
    vmafx_counter_add_with(c, 2, VMAFX_ATTRS(b, a), NULL);
    vmafx_counter_add_with(c, 4, VMAFX_ATTRS(old, b, a), NULL); /* the last of a key counts */
    vmafx_counter_add_with(c, 8, VMAFX_ATTRS(a), NULL);
    vmafx_counter_add_with(c, 16, VMAFX_ATTRS(a, VMAFX_ATTR_DOUBLE("b", 2)), NULL); /* another type */
    AUTO_SNAPSHOT s = collect_at(&f, 0, 200);

    assert_int_equal(metric(s, "c")->n_points, 3);
    assert_int_equal(point(metric(s, "c"), VMAFX_ATTRS(a, b))->i, 7);
    assert_int_equal(point(metric(s, "c"), VMAFX_ATTRS(a))->i, 8);
}

/* ---- Cardinality ---- */

static void the_set_beyond_the_limit_goes_to_the_overflow_series(void **unused)
{
    static const int limits[] = { 1, 2, 10, 2000 };
    VmafxAttrs overflow = VMAFX_ATTRS(VMAFX_ATTR_BOOL("otel.metric.overflow", true));

    for (size_t l = 0; l < VMAFX_LEN(limits); l++) {
        FIXTURE(f);
        VmafxReaderOptions reader = { 0 };
        int limit = limits[l];
        int64_t total = 0;

        reader.cardinality_limit[VMAFX_KIND_COUNTER] = (uint32_t)limit;
        open_with(&f, reader, NULL, (VmafxMeterProviderOptions){ 0 });
        VmafxCounter *c = vmafx_counter(f.meter, "c", "", "");
        count_tags(c, 0, limit);
        {
            AUTO_SNAPSHOT s = collect_at(&f, 0, 200);
            assert_int_equal(metric(s, "c")->n_points, limit);
            assert_null(point(metric(s, "c"), overflow));
        }
        count_tags(c, 0, limit + 5);
        vmafx_bound_int(vmafx_counter_bind(c, TAG("too late")), 1);
        AUTO_SNAPSHOT s = collect_at(&f, 0, 300);
        assert_int_equal(metric(s, "c")->n_points, limit + 1);
        assert_int_equal(point(metric(s, "c"), overflow)->i, 6);
        for (size_t i = 0; i < metric(s, "c")->n_points; i++)
            total += metric(s, "c")->points[i].i;
        assert_int_equal(total, 2 * limit + 6); /* nothing lost, nothing twice */
        assert_non_null(strstr(f.messages, "overflow series: 'c'\n"));
    }
}

static void observe_tags(VmafxObserver *observer, VmafxObservable *self, void *state)
{
    const int *range = state;

    for (int i = range[0]; i < range[1]; i++)
        vmafx_observe_int(observer, self, 1, VMAFX_ATTRS(VMAFX_ATTR_INT("n", i)));
}

static void a_full_observable_adds_up_and_makes_room_later(void **unused)
{
    FIXTURE(f);
    VmafxReaderOptions reader = { 0 };
    int range[2] = { 0, 6 };

    reader.cardinality_limit[VMAFX_KIND_OBSERVABLE_COUNTER] = 4;
    open_with(&f, reader, NULL, (VmafxMeterProviderOptions){ 0 });
    vmafx_observable_counter(f.meter, "o", "", "", observe_tags, range);
    {
        AUTO_SNAPSHOT s = collect_at(&f, 0, 200);
        assert_int_equal(metric(s, "o")->n_points, 5);
        assert_int_equal(point(metric(s, "o"), VMAFX_ATTRS(VMAFX_ATTR_BOOL("otel.metric.overflow", true)))->i, 2);
    }
    range[0] = 10, range[1] = 10; /* nothing */
    AUTO_SNAPSHOT none = collect_at(&f, 0, 300);
    assert_null(metric(none, "o"));
    range[0] = 20, range[1] = 24; /* four others fit now */
    AUTO_SNAPSHOT s = collect_at(&f, 0, 400);
    assert_int_equal(metric(s, "o")->n_points, 4);
    assert_non_null(point(metric(s, "o"), VMAFX_ATTRS(VMAFX_ATTR_INT("n", 23))));
}

/* ---- Identity ---- */

static void instrument_identity_follows_the_specification(void **unused)
{
    FIXTURE(f);

    open_plain(&f);
    vmafx_counter_add(vmafx_counter(f.meter, "same", "By", "d"), 1);
    vmafx_counter_add(vmafx_counter(f.meter, "Same", "By", "d"), 2); /* first spelling wins */
    vmafx_counter_add(vmafx_counter(f.meter, "same", "s", "d"), 4);  /* both work, with a warning */
    vmafx_counter_add(vmafx_counter(f.meter, "0bad", "", ""), 1);
    vmafx_counter_add(
        vmafx_counter(vmafx_meter_provider_meter(f.provider, "other", "", "", VMAFX_NO_ATTRS), "same", "By", "d"),
        8); /* another meter: nothing in common */
    AUTO_SNAPSHOT s = collect_at(&f, 0, 200);

    assert_int_equal(s->n, 3);
    assert_string_equal(s->metrics[0].name, "same");
    assert_int_equal(s->metrics[0].points[0].i, 3);
    assert_int_equal(s->metrics[1].points[0].i, 4);
    assert_int_equal(s->metrics[2].points[0].i, 8);
    assert_non_null(strstr(f.messages, "in other letters: 'Same'"));
    assert_non_null(strstr(f.messages, "two different instruments have one name (a view can rename one): 'same'"));
    assert_non_null(strstr(f.messages, "'0bad'"));
}

static void instrument_names_are_checked(void **unused)
{
    char longest[257];
    static const struct {
        const char *name;
        bool valid;
    } cases[] = {
        { "a", true },   { "a.b_c-d/e9", true }, { "", false },    { "9a", false },
        { "_a", false }, { "a b", false },       { "a,b", false }, { "\xc3\xa9", false },
    };

    for (size_t i = 0; i < VMAFX_LEN(cases); i++)
        assert_int_equal(vmafx_instrument_name_valid(cases[i].name), cases[i].valid);
    memset(longest, 'a', sizeof longest);
    longest[255] = 0;
    assert_true(vmafx_instrument_name_valid(longest));
    longest[255] = 'a';
    longest[256] = 0;
    assert_false(vmafx_instrument_name_valid(longest));
}

static void advisory_boundaries_count_unless_they_are_wrong(void **unused)
{
    FIXTURE(f);
    static const double good[] = { 1, 2 }, bad[] = { 2, 1 };

    open_plain(&f);
    vmafx_histogram_record(vmafx_histogram_bounds(f.meter, "good", "", "", good, 2), 1);
    vmafx_histogram_record(vmafx_histogram_bounds(f.meter, "bad", "", "", bad, 2), 1);
    AUTO_SNAPSHOT s = collect_at(&f, 0, 200);
    assert_int_equal(metric(s, "good")->points[0].n_bounds, 2);
    assert_int_equal(metric(s, "bad")->points[0].n_bounds, VMAFX_HISTOGRAM_DEFAULTS);
    assert_non_null(strstr(f.messages, "'bad'"));
}

/* ---- Views ---- */

static void wildcards_match_as_in_file_names(void **unused)
{
    static const struct {
        const char *pattern, *text;
        bool match;
    } cases[] = {
        { "*", "anything", true },
        { "*", "", true },
        { "http.*", "http.server", true },
        { "http.*", "http", false },
        { "a?c", "abc", true },
        { "a?c", "ac", false },
        { "*.b*.c", "a.bb.c", true },
        { "*ab", "aab", true },
        { "ABC", "abc", true },
        { "", "", true },
        { "abc", "abcd", false },
    };

    for (size_t i = 0; i < VMAFX_LEN(cases); i++)
        assert_int_equal(vmafx_wildcard_match(cases[i].pattern, cases[i].text), cases[i].match);
}

static void views_rename_filter_and_aggregate_anew(void **unused)
{
    FIXTURE(f);
    static const char *const keep[] = { "k" };
    static const double bounds[] = { 10 };
    VmafxView views[] = {
        { .instrument_name = "c",
          .name = "renamed",
          .description = "new",
          .filter_attributes = true,
          .attribute_keys = keep,
          .n_attribute_keys = 1 },
        { .instrument_name = "h", .aggregation = { .kind = VMAFX_AGG_HISTOGRAM, .bounds = bounds, .n_bounds = 1 } },
        { .instrument_name = "h", .name = "h.exp", .aggregation = { .kind = VMAFX_AGG_EXP_HISTOGRAM } },
        { .instrument_name = "drop*", .aggregation = { .kind = VMAFX_AGG_DROP } },
        { .instrument_name = "e",
          .filter_attributes = true,
          .exclude = true,
          .attribute_keys = keep,
          .n_attribute_keys = 1 },
        { .instrument_name = "o",
          .kind = VMAFX_KIND_OBSERVABLE_COUNTER,
          .aggregation = { .kind = VMAFX_AGG_HISTOGRAM } }, /* cannot be: ignored */
        { .instrument_name = "h2", .aggregation = { .kind = VMAFX_AGG_HISTOGRAM } },
    };

    open_with(&f, (VmafxReaderOptions){ 0 }, NULL,
              (VmafxMeterProviderOptions){ .views = views, .n_views = VMAFX_LEN(views) });
    VmafxAttr k = VMAFX_ATTR_STR("k", "v"), x = VMAFX_ATTR_INT("x", 1), y = VMAFX_ATTR_INT("x", 2);
    VmafxCounter *c = vmafx_counter(f.meter, "c", "", "old");
    vmafx_counter_add_with(c, 1, VMAFX_ATTRS(k, x), NULL);
    vmafx_counter_add_with(c, 2, VMAFX_ATTRS(y, k), NULL);
    vmafx_bound_int(vmafx_counter_bind(c, VMAFX_ATTRS(k, y)), 4);
    vmafx_counter_add_with(vmafx_counter(f.meter, "e", "", ""), 1, VMAFX_ATTRS(k, x), NULL);
    vmafx_histogram_record(vmafx_histogram(f.meter, "h", "", ""), 8);
    vmafx_histogram_record(vmafx_histogram_bounds(f.meter, "h2", "", "", bounds, 1), 8);
    assert_false(vmafx_counter_enabled(vmafx_counter(f.meter, "dropped", "", "")));
    vmafx_observable_counter(f.meter, "o", "", "", observe_seven, NULL);
    AUTO_SNAPSHOT s = collect_at(&f, 0, 200);

    assert_null(metric(s, "c"));
    assert_string_equal(metric(s, "renamed")->description, "new");
    assert_int_equal(metric(s, "renamed")->n_points, 1);
    assert_int_equal(point(metric(s, "renamed"), VMAFX_ATTRS(k))->i, 7);
    assert_non_null(point(metric(s, "e"), VMAFX_ATTRS(x)));
    assert_int_equal(metric(s, "h")->points[0].n_bounds, 1);
    assert_int_equal(metric(s, "h.exp")->type, VMAFX_METRIC_EXP_HISTOGRAM);
    assert_int_equal(metric(s, "h.exp")->points[0].scale, VMAFX_EXP_SCALE_MAX);
    assert_int_equal(metric(s, "h.exp")->points[0].positive.n, 1);
    assert_int_equal(metric(s, "h.exp")->points[0].positive.offset, (3 << 20) - 1);
    assert_int_equal(metric(s, "h2")->points[0].n_bounds, VMAFX_HISTOGRAM_DEFAULTS); /* not the advisory ones */
    assert_int_equal(metric(s, "o")->type, VMAFX_METRIC_SUM);
}

static void observe_filtered(VmafxObserver *observer, VmafxObservable *self, void *state)
{
    VmafxAttr k = VMAFX_ATTR_STR("k", "v");

    vmafx_observe_int(observer, self, 1, VMAFX_ATTRS(k, VMAFX_ATTR_INT("x", 1)));
    vmafx_observe_int(observer, self, 50, VMAFX_ATTRS(k, VMAFX_ATTR_INT("x", 2)));
    vmafx_observe_int(observer, self, 3, VMAFX_ATTRS(k, VMAFX_ATTR_INT("x", 2))); /* replaces the 50 */
}

static void filtered_observations_of_one_series_add_up(void **unused)
{
    FIXTURE(f);
    static const char *const keep[] = { "k" };
    VmafxView view = { .filter_attributes = true, .attribute_keys = keep, .n_attribute_keys = 1 };

    open_with(&f, (VmafxReaderOptions){ 0 }, NULL, (VmafxMeterProviderOptions){ .views = &view, .n_views = 1 });
    vmafx_observable_counter(f.meter, "o", "", "", observe_filtered, NULL);
    for (uint64_t now = 200; now < 500; now += 100) {
        AUTO_SNAPSHOT s = collect_at(&f, 0, now);
        assert_int_equal(metric(s, "o")->n_points, 1);
        assert_int_equal(point(metric(s, "o"), TAG("v"))->i, 4);
    }
}

static void exponential_deltas_start_at_the_finest_scale_again(void **unused)
{
    FIXTURE(f);
    VmafxReaderOptions cumulative = { 0 }, delta = { .temporality = VMAFX_TEMPORALITY_DELTA };

    cumulative.aggregation[VMAFX_KIND_HISTOGRAM].kind = VMAFX_AGG_EXP_HISTOGRAM;
    delta.aggregation[VMAFX_KIND_HISTOGRAM].kind = VMAFX_AGG_EXP_HISTOGRAM;
    open_with(&f, cumulative, &delta, (VmafxMeterProviderOptions){ 0 });
    VmafxHistogram *h = vmafx_histogram(f.meter, "h", "", "");
    vmafx_histogram_record(h, 1);
    vmafx_histogram_record(h, 1e9);
    {
        AUTO_SNAPSHOT part = collect_at(&f, 1, 200);
        assert_true(metric(part, "h")->points[0].scale < 5);
    }
    vmafx_histogram_record(h, 3);
    AUTO_SNAPSHOT part = collect_at(&f, 1, 300);
    AUTO_SNAPSHOT total = collect_at(&f, 0, 310);
    assert_int_equal(metric(part, "h")->points[0].scale, VMAFX_EXP_SCALE_MAX);
    assert_true(metric(total, "h")->points[0].scale < 5);
    assert_int_equal(metric(total, "h")->points[0].count, 3);
}

/* ---- Exemplars ---- */

static void exemplars_are_kept_under_sampled_spans_only(void **unused)
{
    static const struct {
        const char *why;
        VmafxExemplarFilter filter;
        bool span, sampled;
        size_t want;
    } cases[] = {
        { "sampled", VMAFX_EXEMPLARS_TRACE_BASED, true, true, 1 },
        { "not sampled", VMAFX_EXEMPLARS_TRACE_BASED, true, false, 0 },
        { "no span", VMAFX_EXEMPLARS_TRACE_BASED, false, false, 0 },
        { "always, no span", VMAFX_EXEMPLARS_ALWAYS_ON, false, false, 1 },
        { "always, not sampled", VMAFX_EXEMPLARS_ALWAYS_ON, true, false, 1 },
        { "never", VMAFX_EXEMPLARS_ALWAYS_OFF, true, true, 0 },
    };
    static const char *const keep[] = { "k" };
    VmafxView view = { .filter_attributes = true, .attribute_keys = keep, .n_attribute_keys = 1 };

    for (size_t i = 0; i < VMAFX_LEN(cases); i++) {
        FIXTURE(f);
        VmafxSpanContext span = { .trace_id = { 1 }, .span_id = { 2 }, .flags = cases[i].sampled };

        open_with(&f, (VmafxReaderOptions){ 0 }, NULL,
                  (VmafxMeterProviderOptions){ .views = &view, .n_views = 1, .exemplars = cases[i].filter });
        VmafxCounter *c = vmafx_counter(f.meter, "c", "", "");
        VmafxContext *context = cases[i].span ? vmafx_context_with_span(NULL, &span) : NULL;
        VmafxContextToken token = vmafx_context_attach(context);
        f.now = 150;
        vmafx_counter_add_with(c, 5, VMAFX_ATTRS(VMAFX_ATTR_STR("k", "v"), VMAFX_ATTR_STR("job", "j1")), NULL);
        vmafx_context_detach(token);
        vmafx_context_unref(&context);

        AUTO_SNAPSHOT s = collect_at(&f, 0, 200);
        const VmafxPointData *p = point(metric(s, "c"), TAG("v"));
        assert_int_equal(p->n_exemplars, cases[i].want);
        if (p->n_exemplars) {
            assert_int_equal(p->exemplars[0].i, 5);
            assert_int_equal(p->exemplars[0].time_ns, 150);
            assert_int_equal(p->exemplars[0].trace_id[0], cases[i].span);
            assert_int_equal(p->exemplars[0].filtered.n, 1);
            assert_string_equal(p->exemplars[0].filtered.items[0].key, "job");
            assert_memory_equal(p->exemplars[0].filtered.items[0].value.str.ptr, "j1", 2);
        }
        AUTO_SNAPSHOT later = collect_at(&f, 0, 300);
        assert_int_equal(point(metric(later, "c"), TAG("v"))->n_exemplars, 0); /* of the interval */
    }
}

static void a_histogram_keeps_one_exemplar_for_each_bucket(void **unused)
{
    FIXTURE(f);
    static const double bounds[] = { 1, 2 };

    open_with(&f, (VmafxReaderOptions){ 0 }, NULL,
              (VmafxMeterProviderOptions){ .exemplars = VMAFX_EXEMPLARS_ALWAYS_ON });
    VmafxBound *h = vmafx_histogram_bind(vmafx_histogram_bounds(f.meter, "h", "", "", bounds, 2), VMAFX_NO_ATTRS);
    vmafx_bound_double(h, 0.5);
    vmafx_bound_double(h, 1.5);
    vmafx_bound_double(h, 0.75);
    AUTO_SNAPSHOT s = collect_at(&f, 0, 200);
    const VmafxPointData *p = point(metric(s, "h"), VMAFX_NO_ATTRS);
    assert_int_equal(p->n_exemplars, 2);
    assert_true(p->exemplars[0].d == 0.75 && p->exemplars[1].d == 1.5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_an_sdk_everything_is_a_quiet_nothing),
        cmocka_unit_test(handles_made_before_the_sdk_count_once_it_is_there),
        cmocka_unit_test(readers_get_deltas_and_totals_of_their_own),
        cmocka_unit_test(temporality_preferences_follow_their_table),
        cmocka_unit_test(observed_totals_become_differences_for_each_reader),
        cmocka_unit_test(callbacks_serve_several_instruments_and_can_be_removed),
        cmocka_unit_test(observations_outside_their_callback_are_ignored),
        cmocka_unit_test(values_that_cannot_be_are_ignored_and_reported_once),
        cmocka_unit_test(attribute_order_and_repetition_do_not_make_new_series),
        cmocka_unit_test(the_set_beyond_the_limit_goes_to_the_overflow_series),
        cmocka_unit_test(a_full_observable_adds_up_and_makes_room_later),
        cmocka_unit_test(instrument_identity_follows_the_specification),
        cmocka_unit_test(instrument_names_are_checked),
        cmocka_unit_test(advisory_boundaries_count_unless_they_are_wrong),
        cmocka_unit_test(wildcards_match_as_in_file_names),
        cmocka_unit_test(views_rename_filter_and_aggregate_anew),
        cmocka_unit_test(filtered_observations_of_one_series_add_up),
        cmocka_unit_test(exponential_deltas_start_at_the_finest_scale_again),
        cmocka_unit_test(exemplars_are_kept_under_sampled_spans_only),
        cmocka_unit_test(a_histogram_keeps_one_exemplar_for_each_bucket),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

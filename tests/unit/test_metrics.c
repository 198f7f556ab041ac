/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Metrics from the API down to what a reader gets: temporality, views, limits, callbacks, exemplars, periodic export.
 * Time is a counter that the tests move; threads are waited for with conditions and joins.
 */

#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base.h"
#include "otel/api/attr_set.h"
#include "otel/sdk/meter_provider.h"
#include "otel/sdk/metric_view.h"

#define AUTO_SNAPSHOT VMAFX_AUTO(vmafx_snapshot_free) VmafxMetricSnapshot *

enum { SECOND = 1000000000 };

/* ---- A provider with a clock and up to two pull readers ---- */

typedef struct Fixture {
    uint64_t now;
    char messages[4096];
    VmafxMetricReader *readers[2];
    VmafxMeterProvider *provider;
    VmafxMeter *meter;
} Fixture;

static uint64_t fixture_now(void *ctx)
{
    return __atomic_load_n(&((Fixture *)ctx)->now, __ATOMIC_RELAXED);
}

static void fixture_error(void *ctx, int severity, const char *message)
{
    Fixture *f = ctx;
    size_t used = strlen(f->messages);

    snprintf(f->messages + used, sizeof f->messages - used, "%s\n", message);
}

static void open_with(Fixture *f, VmafxReaderOptions first, const VmafxReaderOptions *second,
                      VmafxMeterProviderOptions options)
{
    *f = (Fixture){ .now = 100 };
    f->readers[0] = vmafx_metric_reader_new(&first);
    f->readers[1] = second ? vmafx_metric_reader_new(second) : NULL;
    options.readers = f->readers;
    options.n_readers = second ? 2 : 1;
    options.now = fixture_now;
    options.now_ctx = f;
    options.error_handler = fixture_error;
    options.error_ctx = f;
    f->provider = vmafx_meter_provider_new(&options);
    f->meter = vmafx_meter_provider_meter(f->provider, "test", "1", "", VMAFX_NO_ATTRS);
    assert_non_null(f->meter);
}

static void open_plain(Fixture *f)
{
    open_with(f, (VmafxReaderOptions){ 0 }, NULL, (VmafxMeterProviderOptions){ 0 });
}

static void fixture_done(Fixture *f)
{
    vmafx_meter_provider_shutdown(f->provider, 0);
    vmafx_meter_provider_free(&f->provider);
}

#define FIXTURE(f) VMAFX_AUTO(fixture_done) Fixture f = { 0 }

static VmafxMetricSnapshot *collect_at(Fixture *f, int reader, uint64_t now)
{
    f->now = now;
    VmafxMetricSnapshot *snapshot = vmafx_metric_reader_collect(f->readers[reader]);

    assert_non_null(snapshot);
    assert_false(snapshot->partial);
    return snapshot;
}

static const VmafxMetricData *metric(const VmafxMetricSnapshot *s, const char *name)
{
    for (size_t i = 0; i < s->n; i++)
        if (!strcmp(s->metrics[i].name, name))
            return &s->metrics[i];
    return NULL;
}

static const VmafxPointData *point(const VmafxMetricData *m, VmafxAttrs attrs)
{
    for (size_t i = 0; m && i < m->n_points; i++)
        if (vmafx_attr_set_equal(m->points[i].attrs, attrs))
            return &m->points[i];
    return NULL;
}

#define TAG(v) VMAFX_ATTRS(VMAFX_ATTR_STR("k", v))

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

static void count_tags(VmafxCounter *c, int from, int to)
{
    for (int i = from; i < to; i++)
        vmafx_counter_add_with(c, 1, VMAFX_ATTRS(VMAFX_ATTR_INT("n", i)), NULL);
}

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

/* ---- Periodic export ---- */

typedef struct TestExporter {
    VmafxExporter base;
    pthread_mutex_t lock;
    pthread_cond_t change;
    int exports, flushes, shutdowns;
    bool block; /* export waits until shutdown interrupts it */
    bool deaf;  /* … and not even then, until released */
    bool interrupted;
    int64_t sum;
    bool *freed;
} TestExporter;

static VmafxExportResult test_export(VmafxExporter *exporter, const VmafxBatch *batch, uint64_t deadline_ns)
{
    TestExporter *e = (TestExporter *)exporter;

    pthread_mutex_lock(&e->lock);
    e->exports++;
    for (size_t i = 0; i < batch->n; i++)
        for (size_t p = 0; p < batch->metrics[i].n_points; p++)
            e->sum += batch->metrics[i].points[p].i;
    pthread_cond_broadcast(&e->change);
    while (e->block && !e->interrupted)
        pthread_cond_wait(&e->change, &e->lock);
    pthread_mutex_unlock(&e->lock);
    return e->block ? VMAFX_EXPORT_TIMEOUT : VMAFX_EXPORT_OK;
}

static VmafxExportResult test_flush(VmafxExporter *exporter, uint64_t deadline_ns)
{
    ((TestExporter *)exporter)->flushes++;
    return VMAFX_EXPORT_OK;
}

static VmafxExportResult test_shutdown(VmafxExporter *exporter, uint64_t deadline_ns)
{
    TestExporter *e = (TestExporter *)exporter;

    pthread_mutex_lock(&e->lock);
    e->shutdowns++;
    e->interrupted = !e->deaf;
    pthread_cond_broadcast(&e->change);
    pthread_mutex_unlock(&e->lock);
    return VMAFX_EXPORT_OK;
}

static void test_exporter_free(VmafxExporter *exporter)
{
    TestExporter *e = (TestExporter *)exporter;

    if (e->freed)
        *e->freed = true;
}

static void exporter_init(TestExporter *e)
{
    *e = (TestExporter){ .base = { .component_type = "test_metric_exporter",
                                   .export_batch = test_export,
                                   .force_flush = test_flush,
                                   .shutdown = test_shutdown,
                                   .free = test_exporter_free } };
    pthread_mutex_init(&e->lock, NULL);
    pthread_cond_init(&e->change, NULL);
}

static uint64_t deadline_in(uint64_t ns)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec + ns;
}

static void wait_for_exports(TestExporter *e, int n)
{
    pthread_mutex_lock(&e->lock);
    while (e->exports < n)
        pthread_cond_wait(&e->change, &e->lock);
    pthread_mutex_unlock(&e->lock);
}

static void the_periodic_reader_exports_at_its_interval(void **unused)
{
    TestExporter e; /* outlives the provider */
    FIXTURE(f);

    exporter_init(&e);
    open_with(&f, (VmafxReaderOptions){ .exporter = &e.base, .interval_ms = 1 }, NULL,
              (VmafxMeterProviderOptions){ 0 });
    vmafx_counter_add(vmafx_counter(f.meter, "c", "", ""), 1);
    wait_for_exports(&e, 3);
    assert_int_equal(vmafx_meter_provider_shutdown(f.provider, deadline_in(10ull * SECOND)), VMAFX_EXPORT_OK);
}

static void flush_and_shutdown_export_what_was_measured_before(void **unused)
{
    bool freed = false; /* these outlive the provider */
    TestExporter e;
    FIXTURE(f);
    VmafxMetricCounts counts;

    exporter_init(&e);
    e.freed = &freed;
    open_with(&f, (VmafxReaderOptions){ .exporter = &e.base, .temporality = VMAFX_TEMPORALITY_DELTA }, NULL,
              (VmafxMeterProviderOptions){ 0 });
    VmafxCounter *c = vmafx_counter(f.meter, "c", "", "");
    vmafx_counter_add(c, 1);
    assert_int_equal(vmafx_meter_provider_flush(f.provider, deadline_in(10ull * SECOND)), VMAFX_EXPORT_OK);
    assert_int_equal(e.sum, 1);
    assert_int_equal(e.flushes, 1);
    assert_int_equal(vmafx_meter_provider_flush(f.provider, deadline_in(10ull * SECOND)), VMAFX_EXPORT_OK);
    assert_int_equal(e.exports, 1); /* nothing new: nothing sent */
    vmafx_counter_add(c, 2);
    assert_int_equal(vmafx_meter_provider_shutdown(f.provider, deadline_in(10ull * SECOND)), VMAFX_EXPORT_OK);
    assert_int_equal(e.sum, 3);
    assert_int_equal(e.shutdowns, 1);
    assert_int_equal(vmafx_meter_provider_shutdown(f.provider, deadline_in(SECOND)), VMAFX_EXPORT_FAILED);
    assert_int_equal(vmafx_meter_provider_flush(f.provider, deadline_in(SECOND)), VMAFX_EXPORT_FAILED);
    assert_null(vmafx_metric_reader_collect(f.readers[0]));
    assert_null(vmafx_meter_provider_meter(f.provider, "late", "", "", VMAFX_NO_ATTRS));
    vmafx_counter_add(c, 4); /* harmless */
    vmafx_meter_provider_counts(f.provider, &counts);
    assert_int_equal(counts.exported, 2);
    assert_int_equal(counts.export_failed, 0);
    vmafx_meter_provider_free(&f.provider);
    assert_true(freed);
}

static void shutdown_interrupts_an_export_that_hangs(void **unused)
{
    bool freed = false; /* these outlive the provider */
    TestExporter e;
    FIXTURE(f);

    exporter_init(&e);
    e.freed = &freed;
    e.block = true;
    open_with(&f, (VmafxReaderOptions){ .exporter = &e.base, .interval_ms = 1 }, NULL,
              (VmafxMeterProviderOptions){ 0 });
    vmafx_counter_add(vmafx_counter(f.meter, "c", "", ""), 1);
    wait_for_exports(&e, 1);
    assert_int_equal(vmafx_meter_provider_flush(f.provider, deadline_in(1000)), VMAFX_EXPORT_TIMEOUT);
    assert_int_equal(vmafx_meter_provider_shutdown(f.provider, deadline_in(SECOND / 5)), VMAFX_EXPORT_TIMEOUT);
    assert_int_equal(e.shutdowns, 1);
    vmafx_meter_provider_free(&f.provider);
    assert_true(freed); /* its thread has ended */
}

/* What the abandoned thread still uses outlives the test. */
static Fixture abandoned;
static TestExporter abandoned_exporter;
static VmafxMeterProvider *abandoned_provider;
static bool abandoned_freed;

static void shutdown_leaves_a_thread_alone_that_does_not_come_back(void **unused)
{
    TestExporter *e = &abandoned_exporter;

    exporter_init(e);
    e->freed = &abandoned_freed;
    e->block = e->deaf = true;
    open_with(&abandoned, (VmafxReaderOptions){ .exporter = &e->base, .interval_ms = 1 }, NULL,
              (VmafxMeterProviderOptions){ 0 });
    abandoned_provider = abandoned.provider;
    vmafx_counter_add(vmafx_counter(abandoned.meter, "c", "", ""), 1);
    wait_for_exports(e, 1);
    assert_int_equal(vmafx_meter_provider_shutdown(abandoned.provider, deadline_in(SECOND / 100)),
                     VMAFX_EXPORT_TIMEOUT);
    vmafx_meter_provider_free(&abandoned.provider);
    assert_null(abandoned.provider);
    assert_false(abandoned_freed);

    pthread_mutex_lock(&e->lock); /* let it go, and wait until it has taken the last turn it was asked for */
    int before = e->exports;
    e->block = false;
    e->interrupted = true;
    pthread_cond_broadcast(&e->change);
    pthread_mutex_unlock(&e->lock);
    wait_for_exports(e, before + 1);
}

static void a_forked_child_is_silent_and_does_not_wait(void **unused)
{
    TestExporter e; /* outlives the provider */
    FIXTURE(f);

    exporter_init(&e);
    open_with(&f, (VmafxReaderOptions){ .exporter = &e.base }, NULL, (VmafxMeterProviderOptions){ 0 });
    VmafxCounter *c = vmafx_counter(f.meter, "c", "", "");
    vmafx_counter_add(c, 1);
    fflush(NULL);
    pid_t child = fork();
    if (!child) {
        vmafx_counter_add(c, 1);
        bool silent = !vmafx_metric_reader_collect(f.readers[0]) &&
                      vmafx_meter_provider_flush(f.provider, UINT64_MAX) == VMAFX_EXPORT_FAILED &&
                      vmafx_meter_provider_shutdown(f.provider, UINT64_MAX) == VMAFX_EXPORT_FAILED;
        _exit(silent ? 0 : 1);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_int_equal(vmafx_meter_provider_shutdown(f.provider, deadline_in(10ull * SECOND)), VMAFX_EXPORT_OK);
}

/* ---- Threads ---- */

enum { THREADS = 6, ROUNDS = 20000 };

typedef struct Worker {
    pthread_t thread;
    VmafxCounter *counter;
    VmafxHistogram *histogram;
    VmafxGauge *gauge;
    VmafxBound *bound;
} Worker;

static void *measure_much(void *arg)
{
    static const char *const tags[] = { "a", "b", "c", "d" };
    Worker *w = arg;

    for (int i = 0; i < ROUNDS; i++) {
        vmafx_counter_add_with(w->counter, 1, TAG(tags[i % 4]), NULL);
        vmafx_bound_int(w->bound, 1);
        vmafx_histogram_record(w->histogram, i % 100);
        vmafx_gauge_record(w->gauge, i);
    }
    return NULL;
}

static void nothing_is_lost_between_threads_and_two_readers(void **unused)
{
    FIXTURE(f);
    VmafxReaderOptions delta = { .temporality = VMAFX_TEMPORALITY_DELTA };
    VmafxView view = { .instrument_name = "h", .aggregation = { .kind = VMAFX_AGG_EXP_HISTOGRAM } };
    Worker workers[THREADS];
    int64_t deltas = 0;
    uint64_t records = 0;

    open_with(&f, (VmafxReaderOptions){ 0 }, &delta,
              (VmafxMeterProviderOptions){ .views = &view, .n_views = 1, .exemplars = VMAFX_EXEMPLARS_ALWAYS_ON });
    for (int round = 0; round < 2; round++) { /* the second round's threads take over the first one's slots */
        for (int i = 0; i < THREADS; i++) {
            workers[i] = (Worker){ .counter = vmafx_counter(f.meter, "c", "", ""),
                                   .histogram = vmafx_histogram(f.meter, "h", "", ""),
                                   .gauge = vmafx_gauge(f.meter, "g", "", "") };
            workers[i].bound = vmafx_counter_bind(workers[i].counter, TAG("a"));
            assert_int_equal(pthread_create(&workers[i].thread, NULL, measure_much, &workers[i]), 0);
        }
        for (int i = 0; i < 300; i++) {
            AUTO_SNAPSHOT part = vmafx_metric_reader_collect(f.readers[1]);
            AUTO_SNAPSHOT total = i % 7 ? NULL : vmafx_metric_reader_collect(f.readers[0]);
            const VmafxMetricData *c = metric(part, "c"), *h = metric(part, "h");

            for (size_t p = 0; c && p < c->n_points; p++)
                deltas += c->points[p].i;
            records += h ? h->points[0].count : 0;
            assert_true(i % 7 || total);
        }
        for (int i = 0; i < THREADS; i++)
            pthread_join(workers[i].thread, NULL);
    }
    AUTO_SNAPSHOT part = vmafx_metric_reader_collect(f.readers[1]);
    AUTO_SNAPSHOT total = vmafx_metric_reader_collect(f.readers[0]);
    const VmafxMetricData *c = metric(part, "c"), *h = metric(part, "h");
    for (size_t p = 0; c && p < c->n_points; p++)
        deltas += c->points[p].i;
    records += h ? h->points[0].count : 0;

    assert_int_equal(deltas, 2 * THREADS * ROUNDS * 2);
    assert_int_equal(point(metric(total, "c"), TAG("a"))->i, 2 * THREADS * (ROUNDS + ROUNDS / 4));
    assert_int_equal(records, 2 * THREADS * ROUNDS);
    assert_int_equal(metric(total, "h")->points[0].count, 2 * THREADS * ROUNDS);
    assert_int_equal(metric(total, "g")->points[0].i, ROUNDS - 1);
}

static void *count_many_sets(void *arg)
{
    count_tags(arg, 0, 300);
    return NULL;
}

static void racing_threads_respect_the_limit_and_lose_nothing(void **unused)
{
    FIXTURE(f);
    VmafxReaderOptions reader = { 0 };
    pthread_t threads[THREADS];
    int64_t total = 0;

    reader.cardinality_limit[VMAFX_KIND_COUNTER] = 100;
    open_with(&f, reader, NULL, (VmafxMeterProviderOptions){ 0 });
    VmafxCounter *c = vmafx_counter(f.meter, "c", "", "");
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count_many_sets, c), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    AUTO_SNAPSHOT s = collect_at(&f, 0, 200);
    assert_int_equal(metric(s, "c")->n_points, 101);
    for (size_t i = 0; i < metric(s, "c")->n_points; i++)
        total += metric(s, "c")->points[i].i;
    assert_int_equal(total, THREADS * 300);
}

enum { MANY_THREADS = VMAFX_THREAD_SLOTS + 16 };

static pthread_barrier_t many_barrier;

static void *add_thousand(void *arg)
{
    vmafx_bound_int(arg, 1); /* takes a slot, if there is one left */
    pthread_barrier_wait(&many_barrier);
    for (int i = 0; i < 999; i++)
        vmafx_bound_int(arg, 1);
    return NULL;
}

static void threads_beyond_the_slots_share_cells(void **unused)
{
    FIXTURE(f);
    pthread_t threads[MANY_THREADS];

    open_plain(&f);
    pthread_barrier_init(&many_barrier, NULL, MANY_THREADS);
    VmafxBound *bound = vmafx_counter_bind(vmafx_counter(f.meter, "c", "", ""), VMAFX_NO_ATTRS);
    for (int i = 0; i < MANY_THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, add_thousand, bound), 0);
    for (int i = 0; i < MANY_THREADS; i++)
        pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&many_barrier);
    AUTO_SNAPSHOT s = collect_at(&f, 0, 200);
    assert_int_equal(metric(s, "c")->points[0].i, MANY_THREADS * 1000);
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
        cmocka_unit_test(the_periodic_reader_exports_at_its_interval),
        cmocka_unit_test(flush_and_shutdown_export_what_was_measured_before),
        cmocka_unit_test(shutdown_interrupts_an_export_that_hangs),
        cmocka_unit_test(shutdown_leaves_a_thread_alone_that_does_not_come_back),
        cmocka_unit_test(a_forked_child_is_silent_and_does_not_wait),
        cmocka_unit_test(nothing_is_lost_between_threads_and_two_readers),
        cmocka_unit_test(racing_threads_respect_the_limit_and_lose_nothing),
        cmocka_unit_test(threads_beyond_the_slots_share_cells),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

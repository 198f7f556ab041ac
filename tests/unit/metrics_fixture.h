/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What the tests of metrics share: a provider whose clock they move, with one or two readers that they pull. */
#ifndef VMAFX_TESTS_METRICS_FIXTURE_H
#define VMAFX_TESTS_METRICS_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"
#include "otel/api/attr_set.h"
#include "otel/sdk/meter_provider.h"

#define AUTO_SNAPSHOT VMAFX_AUTO(vmafx_snapshot_free) VmafxMetricSnapshot *

enum { SECOND = 1000000000 };

typedef struct Fixture {
    uint64_t now;
    char messages[4096];
    VmafxMetricReader *readers[2];
    VmafxMeterProvider *provider;
    VmafxMeter *meter;
} Fixture;

static inline uint64_t fixture_now(void *ctx)
{
    return __atomic_load_n(&((Fixture *)ctx)->now, __ATOMIC_RELAXED);
}

static inline void fixture_error(void *ctx, int severity, const char *message)
{
    Fixture *f = ctx;
    size_t used = strlen(f->messages);

    snprintf(f->messages + used, sizeof f->messages - used, "%s\n", message);
}

static inline void open_with(Fixture *f, VmafxReaderOptions first, const VmafxReaderOptions *second,
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

static inline void open_plain(Fixture *f)
{
    open_with(f, (VmafxReaderOptions){ 0 }, NULL, (VmafxMeterProviderOptions){ 0 });
}

static inline void fixture_done(Fixture *f)
{
    vmafx_meter_provider_shutdown(f->provider, 0);
    vmafx_meter_provider_free(&f->provider);
}

#define FIXTURE(f) VMAFX_AUTO(fixture_done) Fixture f = { 0 }

static inline VmafxMetricSnapshot *collect_at(Fixture *f, int reader, uint64_t now)
{
    f->now = now;
    VmafxMetricSnapshot *snapshot = vmafx_metric_reader_collect(f->readers[reader]);

    assert_non_null(snapshot);
    assert_false(snapshot->partial);
    return snapshot;
}

static inline const VmafxMetricData *metric(const VmafxMetricSnapshot *s, const char *name)
{
    for (size_t i = 0; i < s->n; i++)
        if (!strcmp(s->metrics[i].name, name))
            return &s->metrics[i];
    return NULL;
}

static inline const VmafxPointData *point(const VmafxMetricData *m, VmafxAttrs attrs)
{
    for (size_t i = 0; m && i < m->n_points; i++)
        if (vmafx_attr_set_equal(m->points[i].attrs, attrs))
            return &m->points[i];
    return NULL;
}

#define TAG(v) VMAFX_ATTRS(VMAFX_ATTR_STR("k", v))

/* One each on the sets from … to − 1. */
static inline void count_tags(VmafxCounter *c, int from, int to)
{
    for (int i = from; i < to; i++)
        vmafx_counter_add_with(c, 1, VMAFX_ATTRS(VMAFX_ATTR_INT("n", i)), NULL);
}
#endif

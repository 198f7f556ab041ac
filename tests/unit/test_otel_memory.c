/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The whole of telemetry with its first, second, third … allocation failing: it may record less, but it neither crashes
 * nor waits nor leaks (under AddressSanitizer). The linker puts these allocators before the C library's, for this
 * program's own code only; what it counts depends a little on how its threads take turns.
 */

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base.h"
#include "otel/api/log.h"
#include "otel/api/metrics.h"
#include "otel/export/otel.h"

enum { STOP_MS = 20000 };

static atomic_long allocations, fail_at, fail_for; /* fail_for of them fail, from the fail_at-th on; 0: none */
static atomic_long failed;

static bool refused(void)
{
    long n = atomic_fetch_add(&allocations, 1) + 1, first = atomic_load(&fail_at);

    if (!first || n < first || n - first >= atomic_load(&fail_for))
        return false;
    atomic_fetch_add(&failed, 1);
    return true;
}

/* The names are the linker's: __wrap_f is called where f stands, __real_f is the C library's. */
#define WRAPPED(Type, name, parameters, arguments)                                                                     \
    Type __real_##name parameters;                                                                                     \
    Type __wrap_##name parameters;                                                                                     \
    Type __wrap_##name parameters                                                                                      \
    {                                                                                                                  \
        return refused() ? NULL : __real_##name arguments;                                                             \
    }

WRAPPED(void *, malloc, (size_t size), (size))
WRAPPED(void *, calloc, (size_t n, size_t size), (n, size))
WRAPPED(void *, realloc, (void *memory, size_t size), (memory, size))
WRAPPED(void *, aligned_alloc, (size_t alignment, size_t size), (alignment, size))
WRAPPED(char *, strdup, (const char *text), (text))
WRAPPED(char *, strndup, (const char *text, size_t len), (text, len))

static void observe(VmafxObserver *observer, VmafxObservable *self, void *state)
{
    vmafx_observe_int(observer, self, 7, VMAFX_ATTRS(VMAFX_ATTR_STR("which", "observed")));
}

static void hear(void *ctx, int severity, const char *message)
{
}

/* Some of everything: handles made anew, attributes that have to be copied, a span that outgrows its record. */
static void instrumented_code(int round)
{
    static VmafxObservable *observed;
    char name[32], text[200];
    VmafxMeter *meter = vmafx_meter_get("test", "1", "", VMAFX_NO_ATTRS);
    VMAFX_AUTO(vmafx_logger_free) VmafxLogger *logger = vmafx_logger_new("test", "1", "", VMAFX_NO_ATTRS);
    VMAFX_AUTO(vmafx_span_end) VmafxSpan *span = vmafx_span_start(vmafx_tracer_get("test", "1"), "work");
    VMAFX_AUTO(vmafx_span_detach) VmafxContextToken token = vmafx_span_attach(span);

    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = 0;
    snprintf(name, sizeof name, "round %d", round);
    for (int i = 0; i < 40; i++)
        vmafx_span_add_event(span, "event", VMAFX_ATTRS(VMAFX_ATTR_STR("text", text), VMAFX_ATTR_INT("i", i)));
    vmafx_counter_add_with(vmafx_counter(meter, "test.count", "{thing}", "things"), 1,
                           VMAFX_ATTRS(VMAFX_ATTR_STR("round", name)), NULL);
    vmafx_bound_int(vmafx_counter_bind(vmafx_counter(meter, "test.count", "{thing}", "things"),
                                       VMAFX_ATTRS(VMAFX_ATTR_STR("bound", "yes"))),
                    1);
    vmafx_histogram_record(vmafx_histogram(meter, "test.duration", "s", "durations"), 0.5);
    if (!observed) /* each call would add a callback, for the life of the process */
        observed = vmafx_observable_gauge(meter, "test.observed", "", "always seven", observe, NULL);
    vmafx_log(logger, VMAFX_WARN, "a record", VMAFX_ATTR_STR("text", text));
}

static void one_life(int round)
{
    char *environment[] = { (char *)"OTEL_TRACES_EXPORTER=console",
                            (char *)"OTEL_METRICS_EXPORTER=console,prometheus",
                            (char *)"OTEL_LOGS_EXPORTER=console",
                            (char *)"OTEL_RESOURCE_ATTRIBUTES=a=b,c=d",
                            (char *)"OTEL_TRACES_SAMPLER=parentbased_traceidratio",
                            (char *)"OTEL_PROPAGATORS=b3,tracecontext",
                            NULL };
    VmafxOtel *otel = vmafx_otel_start(&(VmafxOtelStart){
        .service = "test", .version = "1", .environment = environment, .log_lines = true, .on_error = hear });
    VmafxOtelCounts counts;
    const char *type;
    size_t len;

    instrumented_code(round);
    (void)vmafx_otel_flush(otel, STOP_MS);
    vmafx_otel_counts(otel, &counts);
    free(vmafx_otel_prometheus_page(otel, NULL, &len, &type));
    instrumented_code(round);
    (void)vmafx_otel_stop(&otel, STOP_MS);
}

static long life_without(long first, long n, int round)
{
    atomic_store(&failed, 0);
    atomic_store(&allocations, 0);
    atomic_store(&fail_for, n);
    atomic_store(&fail_at, first);
    one_life(round);
    atomic_store(&fail_at, 0);
    return atomic_load(&failed);
}

static void it_survives_each_allocation_that_fails(void **state)
{
    long n = 1;

    one_life(0); /* what is made once for the whole process; the loop then meets all the rest */
    while (life_without(n, 1, 1) || n < 32)
        n++;
    assert_in_range(n, 100, 100000); /* it did meet something */
}

static void it_survives_having_no_memory_from_somewhere_on(void **state)
{
    for (long n = 1; life_without(n, 1000000, 2); n += 1 + n / 16)
        ;
}

/* The first life of a process meets more: handles, lists and tables that stay. */
static void it_survives_that_from_its_first_life_on(void **state)
{
    for (long n = 1; n < 200; n++)
        life_without(n, 3, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_survives_that_from_its_first_life_on),
        cmocka_unit_test(it_survives_each_allocation_that_fails),
        cmocka_unit_test(it_survives_having_no_memory_from_somewhere_on),
    };
    int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC), real = dup(2);

    dup2(nowhere, 2); /* the console's lines */
    int wrong = cmocka_run_group_tests(tests, NULL, NULL);
    dup2(real, 2);
    close(nowhere);
    close(real);
    return wrong;
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * What one measurement costs: CPU nanoseconds per call, best of 40 rounds, for one thread and for more at once.
 *
 *     bench-otel-metrics [threads]
 *
 * Budgets: counter add and histogram record below 30 ns, bound below 5 ns, and the same with more threads than one.
 */

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/base.h"
#include "otel/api/metrics.h"
#include "otel/sdk/meter_provider.h"

enum { CALLS = 200000, ROUNDS = 40, THREADS_MAX = 64 };

typedef struct Bench {
    VmafxCounter *counter;
    VmafxCounterDouble *seconds;
    VmafxHistogram *histogram;
    VmafxGauge *gauge;
    VmafxBound *bound_counter, *bound_seconds, *bound_histogram, *bound_exp, *bound_gauge;
} Bench;

typedef void (*Loop)(const Bench *bench);

static void counter_plain(const Bench *b)
{
    for (int i = 0; i < CALLS; i++)
        vmafx_counter_add(b->counter, 1);
}

static void counter_two_attributes(const Bench *b)
{
    for (int i = 0; i < CALLS; i++)
        vmafx_counter_add_with(
            b->counter, 1, VMAFX_ATTRS(VMAFX_ATTR_STR("rpc.method", "Score"), VMAFX_ATTR_STR("rpc.status_code", "OK")),
            NULL);
}

static void histogram_two_attributes(const Bench *b)
{
    for (int i = 0; i < CALLS; i++)
        vmafx_histogram_record_with(
            b->histogram, i & 1023,
            VMAFX_ATTRS(VMAFX_ATTR_STR("rpc.method", "Score"), VMAFX_ATTR_STR("rpc.status_code", "OK")), NULL);
}

static void bound_counter(const Bench *b)
{
    for (int i = 0; i < CALLS; i++)
        vmafx_bound_int(b->bound_counter, 1);
}

static void bound_double_counter(const Bench *b)
{
    for (int i = 0; i < CALLS; i++)
        vmafx_bound_double(b->bound_seconds, 0.25);
}

static void bound_histogram(const Bench *b)
{
    for (int i = 0; i < CALLS; i++)
        vmafx_bound_double(b->bound_histogram, i & 1023);
}

static void bound_exponential(const Bench *b)
{
    for (int i = 0; i < CALLS; i++)
        vmafx_bound_double(b->bound_exp, (i & 1023) + 1);
}

static void bound_gauge(const Bench *b)
{
    for (int i = 0; i < CALLS; i++)
        vmafx_bound_int(b->bound_gauge, i);
}

typedef struct Worker {
    pthread_t thread;
    pthread_barrier_t *start;
    Loop loop;
    const Bench *bench;
    double ns;
} Worker;

static double seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void *work(void *arg)
{
    Worker *w = arg;

    pthread_barrier_wait(w->start);
    double start = seconds();
    w->loop(w->bench);
    w->ns = (seconds() - start) * 1e9 / CALLS;
    return NULL;
}

/* The slowest thread of a round; the best round. */
static double measure(Loop loop, const Bench *bench, int threads)
{
    double best = 1e9;

    for (int round = 0; round < ROUNDS; round++) {
        Worker workers[THREADS_MAX];
        pthread_barrier_t start;
        double slowest = 0;

        pthread_barrier_init(&start, NULL, (unsigned)threads);
        for (int i = 0; i < threads; i++) {
            workers[i] = (Worker){ .start = &start, .loop = loop, .bench = bench };
            if (pthread_create(&workers[i].thread, NULL, work, &workers[i]))
                abort();
        }
        for (int i = 0; i < threads; i++) {
            pthread_join(workers[i].thread, NULL);
            slowest = VMAFX_MAX(slowest, workers[i].ns);
        }
        pthread_barrier_destroy(&start);
        best = VMAFX_MIN(best, slowest);
    }
    return best;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        Loop loop;
        double budget;
    } benches[] = {
        { "counter, no attributes", counter_plain, 30 },
        { "counter, two attributes", counter_two_attributes, 30 },
        { "histogram, two attributes", histogram_two_attributes, 30 },
        { "bound counter", bound_counter, 5 },
        { "bound counter of doubles", bound_double_counter, 5 },
        { "bound histogram, 15 boundaries", bound_histogram, 5 },
        { "bound exponential histogram", bound_exponential, 30 },
        { "bound gauge", bound_gauge, 5 },
    };
    int threads = argc > 1 ? VMAFX_MAX(1, VMAFX_MIN(atoi(argv[1]), THREADS_MAX)) : 2;
    VmafxView view = { .instrument_name = "exp", .aggregation = { .kind = VMAFX_AGG_EXP_HISTOGRAM } };
    VmafxMetricReader *reader = vmafx_metric_reader_new(NULL);
    VmafxMeterProvider *provider = vmafx_meter_provider_new(
        &(VmafxMeterProviderOptions){ .readers = &reader, .n_readers = 1, .views = &view, .n_views = 1 });
    VmafxMeter *meter = vmafx_meter_provider_meter(provider, "bench", "", "", VMAFX_NO_ATTRS);
    VmafxAttrs attrs = VMAFX_ATTRS(VMAFX_ATTR_STR("rpc.method", "Score"));
    Bench b = { .counter = vmafx_counter(meter, "counter", "", ""),
                .seconds = vmafx_counter_double(meter, "seconds", "s", ""),
                .histogram = vmafx_histogram(meter, "histogram", "", ""),
                .gauge = vmafx_gauge(meter, "gauge", "", "") };

    b.bound_counter = vmafx_counter_bind(b.counter, attrs);
    b.bound_seconds = vmafx_counter_double_bind(b.seconds, attrs);
    b.bound_histogram = vmafx_histogram_bind(b.histogram, attrs);
    b.bound_exp = vmafx_histogram_bind(vmafx_histogram(meter, "exp", "", ""), attrs);
    b.bound_gauge = vmafx_gauge_bind(b.gauge, attrs);

    printf("%-32s %10s %10s %8s\n", "ns per call", "1 thread", "all", "budget");
    for (size_t i = 0; i < VMAFX_LEN(benches); i++)
        printf("%-32s %10.1f %10.1f %8.0f\n", benches[i].name, measure(benches[i].loop, &b, 1),
               measure(benches[i].loop, &b, threads), benches[i].budget);
    vmafx_meter_provider_free(&provider);
    return 0;
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * What a span costs its caller: nanoseconds per operation on one and two threads, the median of several rounds. Spans
 * go through the batch processor to an exporter that does nothing; a round is small enough for the queue, and the
 * queue is flushed between rounds, outside the time, so no number is that of a dropped span.
 */

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/base.h"
#include "otel/sdk/batch.h"
#include "otel/sdk/trace_provider.h"

enum { ROUNDS = 201, PER_ROUND = 800, THREADS_MAX = 2 };

static VmafxTracer *tracer;
static pthread_barrier_t barrier;

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static VmafxExportResult ignore_batch(VmafxExporter *exporter, const VmafxBatch *batch, uint64_t deadline_ns)
{
    return VMAFX_EXPORT_OK;
}

static VmafxExportResult ignore(VmafxExporter *exporter, uint64_t deadline_ns)
{
    return VMAFX_EXPORT_OK;
}

static void no_free(VmafxExporter *exporter)
{
}

static void nothing(void)
{
    __asm__ volatile("" ::: "memory");
}

static void bare_span(void)
{
    VmafxSpan *span = vmafx_span_start(tracer, "score segment");

    vmafx_span_end(&span);
}

static void span_with_attributes(void)
{
    VmafxSpan *span = vmafx_span_start(tracer, "score segment");

    vmafx_span_set_str(span, "vmafx.model", "vmaf_v0.6.1");
    vmafx_span_set_int(span, "vmafx.frames", 240);
    vmafx_span_set_int(span, "vmafx.segment", 17);
    vmafx_span_set_bool(span, "vmafx.retry", false);
    vmafx_span_end(&span);
}

static void span_started_with_attributes(void)
{
    VmafxSpan *span = vmafx_span_start_with(
        tracer, "score segment",
        &(VmafxSpanOptions){
            .attrs = VMAFX_ATTRS(VMAFX_ATTR_STR("vmafx.model", "vmaf_v0.6.1"), VMAFX_ATTR_INT("vmafx.frames", 240),
                                 VMAFX_ATTR_INT("vmafx.segment", 17), VMAFX_ATTR_BOOL("vmafx.retry", false)) });

    vmafx_span_end(&span);
}

typedef struct Job {
    void (*operation)(void);
    uint64_t ns[ROUNDS];
} Job;

static void *run(void *arg)
{
    Job *job = arg;

    for (int r = 0; r < ROUNDS; r++) {
        pthread_barrier_wait(&barrier); /* the main thread has flushed */
        uint64_t begin = now_ns();
        for (int i = 0; i < PER_ROUND; i++)
            job->operation();
        job->ns[r] = now_ns() - begin;
        pthread_barrier_wait(&barrier);
    }
    return NULL;
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

static void measure(const char *what, VmafxTraceProvider *provider, void (*operation)(void), unsigned threads)
{
    static Job jobs[THREADS_MAX];
    pthread_t ids[THREADS_MAX];

    pthread_barrier_init(&barrier, NULL, threads + 1);
    for (unsigned t = 0; t < threads; t++) {
        jobs[t].operation = operation;
        if (pthread_create(&ids[t], NULL, run, &jobs[t]))
            exit(1);
    }
    for (int r = 0; r < ROUNDS; r++) {
        pthread_barrier_wait(&barrier);
        pthread_barrier_wait(&barrier);
        vmafx_trace_provider_force_flush(provider, UINT64_MAX);
    }
    for (unsigned t = 0; t < threads; t++)
        pthread_join(ids[t], NULL);
    pthread_barrier_destroy(&barrier);
    for (unsigned t = 0; t < threads; t++) {
        qsort(jobs[t].ns, ROUNDS, sizeof jobs[t].ns[0], by_value);
        printf("%-44s %u thread%s  %7.1f ns\n", what, threads, threads > 1 ? "s" : " ",
               (double)jobs[t].ns[ROUNDS / 2] / PER_ROUND);
    }
}

static VmafxTraceProvider *provider_with(VmafxSampler *sampler, VmafxSpanProcessor **ret_processor)
{
    static VmafxExporter exporter = { "none", ignore_batch, ignore, ignore, no_free };
    VmafxBatchConfig batch = VMAFX_BATCH_DEFAULT;
    VmafxTraceProviderConfig config = VMAFX_TRACE_PROVIDER_DEFAULT;

    batch.exporter = &exporter;
    config.sampler = sampler;
    config.processors[0] = *ret_processor = vmafx_batch_processor_new(&batch);
    config.n_processors = 1;
    return vmafx_trace_provider_new(&config);
}

int main(void)
{
    VmafxSpanProcessor *processor;

    tracer = vmafx_tracer_get("bench", "1");
    measure("(the loop itself, in every number)", NULL, nothing, 1);
    for (unsigned threads = 1; threads <= THREADS_MAX; threads++)
        measure("no SDK: start, end", NULL, bare_span, threads);

    VmafxTraceProvider *off = provider_with(vmafx_sampler_always_off(), &processor);

    vmafx_tracer_provider_set(vmafx_trace_provider_api(off));
    for (unsigned threads = 1; threads <= THREADS_MAX; threads++)
        measure("not sampled: start, end", off, bare_span, threads);

    VmafxTraceProvider *on = provider_with(NULL, &processor);

    vmafx_tracer_provider_set(vmafx_trace_provider_api(on));
    for (unsigned threads = 1; threads <= THREADS_MAX; threads++) {
        measure("sampled: start, end", on, bare_span, threads);
        measure("sampled: start, 4 set_attr, end", on, span_with_attributes, threads);
        measure("sampled: start with 4 attributes, end", on, span_started_with_attributes, threads);
    }

    VmafxBatchCounts counts;

    vmafx_batch_counts(processor, &counts);
    printf("exported %llu, dropped %llu\n", (unsigned long long)counts.exported,
           (unsigned long long)counts.dropped_full);
    vmafx_tracer_provider_set(NULL);
    vmafx_trace_provider_free(&off);
    vmafx_trace_provider_free(&on);
    return 0;
}

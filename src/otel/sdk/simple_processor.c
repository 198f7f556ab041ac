/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The processor that exports every sampled span at once. Its lock covers the exporter, for as long as that takes. */

#include "otel/sdk/batch.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/base.h"

typedef struct Simple {
    VmafxSpanProcessor base;
    VmafxExporter *exporter;
    const VmafxResource *resource;
    atomic_bool down;
    unsigned generation;  /* of forks */
    pthread_mutex_t lock; /* one export at a time */
} Simple;

static const VmafxResource no_resource = { .schema_url = "" };

static void on_end(VmafxSpanProcessor *processor, VmafxFinishedSpan *span, unsigned lane)
{
    Simple *s = (Simple *)processor;
    const VmafxSpanData *data = vmafx_finished_span_data(span);

    if (data->flags & VMAFX_TRACE_FLAG_SAMPLED && !atomic_load(&s->down)) {
        VmafxBatch batch = { .signal = VMAFX_SIGNAL_TRACES, .resource = s->resource, .spans = &data, .n = 1 };

        pthread_mutex_lock(&s->lock);
        s->exporter->export_batch(s->exporter, &batch, UINT64_MAX); /* what fails is gone, as with every processor */
        pthread_mutex_unlock(&s->lock);
    }
    vmafx_finished_span_unref(&span);
}

static VmafxExportResult force_flush(VmafxSpanProcessor *processor, uint64_t deadline_ns)
{
    Simple *s = (Simple *)processor;

    if (s->generation != vmafx_fork_generation() || atomic_load(&s->down))
        return VMAFX_EXPORT_FAILED;
    return s->exporter->force_flush(s->exporter, deadline_ns);
}

static VmafxExportResult shut_down(VmafxSpanProcessor *processor, uint64_t deadline_ns)
{
    Simple *s = (Simple *)processor;

    if (s->generation != vmafx_fork_generation() || atomic_exchange(&s->down, true))
        return VMAFX_EXPORT_FAILED;
    return s->exporter->shutdown(s->exporter, deadline_ns);
}

static bool free_simple(VmafxSpanProcessor *processor)
{
    Simple *s = (Simple *)processor;

    if (s->generation != vmafx_fork_generation())
        return false;
    (void)shut_down(processor, 0); /* fails when it is down already */
    s->exporter->free(s->exporter);
    pthread_mutex_destroy(&s->lock);
    free(s);
    return true;
}

VmafxSpanProcessor *vmafx_simple_processor_new(VmafxExporter *exporter, const VmafxResource *resource)
{
    if (!exporter)
        return NULL;

    Simple *s = calloc(1, sizeof *s);

    if (!s) {
        exporter->free(exporter);
        return NULL;
    }
    vmafx_fork_watch();
    s->base = (VmafxSpanProcessor){ NULL, on_end, force_flush, shut_down, free_simple };
    s->exporter = exporter;
    s->resource = resource ? resource : &no_resource;
    s->generation = vmafx_fork_generation();
    pthread_mutex_init(&s->lock, NULL);
    return &s->base;
}

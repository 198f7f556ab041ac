/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* One callback for all instruments: it reads each part's counters once, so that series of one part fit together. */

#include "otel/export/self.h"

#include <stdio.h>

#include "base/base.h"
#include "otel/export/otlp_exporter.h"
#include "otel/sdk/ids.h"

#define READER_TYPE "periodic_metric_reader"
#define PAGE_TYPE   "prometheus_http_text_metric_exporter"

enum { COMPONENT_MAX = 64, ATTRS_MAX = 5 };

/* Instruments of one signal; metrics have only the last. */
typedef struct Instruments {
    VmafxObservable *made, *live, *queue_size, *queue_capacity, *processed, *inflight, *exported;
} Instruments;

typedef struct Names {
    const char *processor_type; /* NULL: none */
    char processor[COMPONENT_MAX], exporter[COMPONENT_MAX], reader[COMPONENT_MAX];
} Names;

struct VmafxSelf {
    VmafxOtelParts *parts;
    unsigned fork_generation;
    Instruments of[3]; /* by signal */
    Names names[VMAFX_OTEL_WAYS];
    VmafxCallback *callback;
};

/* ---- What a way out has counted ---- */

typedef struct Processed {
    uint64_t queued, capacity, handed_on, full, late, no_memory;
} Processed;

typedef struct Exported {
    bool known;
    uint64_t inflight, exported, rejected, failed, timed_out, too_large;
} Exported;

static uint64_t minus(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

static bool alone(const VmafxOtelParts *parts, const VmafxOtelWay *way)
{
    for (size_t i = 0; i < parts->n_ways; i++)
        if (&parts->ways[i] != way && parts->ways[i].signal == way->signal)
            return false;
    return true;
}

static void read_spans(const VmafxOtelWay *way, Processed *p, Exported *e)
{
    VmafxBatchCounts c;

    vmafx_batch_counts(way->spans, &c);
    *p = (Processed){
        c.queue_size, c.queue_capacity, c.processed, c.dropped_full, c.dropped_shutdown, c.dropped_memory
    };
    *e = (Exported){ true, c.inflight, c.exported, .failed = c.failed, .timed_out = c.timed_out };
}

/* Of what was accepted, what is neither queued nor finished is with the exporter: all are read under one lock. */
static void read_logs(const VmafxOtelWay *way, Processed *p, Exported *e)
{
    VmafxLogBatchCounts c = vmafx_log_batch_counts(way->logs);
    uint64_t handed_on = minus(c.accepted, c.queued);

    *p = (Processed){ c.queued, c.queue_capacity, handed_on, c.dropped_full, c.dropped_late, 0 };
    *e = (Exported){ true, minus(handed_on, c.exported + c.failed), c.exported, .failed = c.failed };
}

/* The provider counts for all its exporters together, which says something of one only when it is the only one. */
static void read_points(const VmafxOtelParts *parts, const VmafxOtelWay *way, Exported *e)
{
    VmafxMetricCounts c;

    vmafx_meter_provider_counts(parts->metrics, &c);
    *e = (Exported){ alone(parts, way), .exported = c.exported, .failed = c.export_failed };
}

static void read_way(const VmafxOtelParts *parts, const VmafxOtelWay *way, Processed *p, Exported *e)
{
    *p = (Processed){ .queued = 0 };
    if (way->signal == VMAFX_SIGNAL_TRACES)
        read_spans(way, p, e);
    else if (way->signal == VMAFX_SIGNAL_LOGS)
        read_logs(way, p, e);
    else
        read_points(parts, way, e);
    if (way->otlp) { /* by item, where the others know of batches only */
        VmafxOtlpCounts c;

        vmafx_otlp_exporter_counts(way->exporter, &c);
        *e = (Exported){ true, e->inflight, c.exported, c.rejected, c.failed, c.timed_out, c.too_large };
    }
}

/* ---- Publishing ---- */

static int64_t number(uint64_t v)
{
    return (int64_t)VMAFX_MIN(v, (uint64_t)INT64_MAX);
}

/* One more attribute, error.type, unless it is NULL; items has room for it. */
static void observe(VmafxObserver *observer, VmafxObservable *instrument, uint64_t value, VmafxAttr *items, size_t n,
                    const char *error)
{
    if (error)
        items[n++] = VMAFX_ATTR_STR("error.type", error);
    vmafx_observe_int(observer, instrument, number(value), (VmafxAttrs){ items, n });
}

static void observe_processor(VmafxObserver *observer, const Instruments *to, const Names *names, const Processed *p)
{
    VmafxAttr items[ATTRS_MAX] = { VMAFX_ATTR_STR("otel.component.name", names->processor),
                                   VMAFX_ATTR_STR("otel.component.type", names->processor_type) };

    observe(observer, to->queue_size, p->queued, items, 2, NULL);
    observe(observer, to->queue_capacity, p->capacity, items, 2, NULL);
    observe(observer, to->processed, p->handed_on, items, 2, NULL);
    observe(observer, to->processed, p->full, items, 2, "queue_full");
    observe(observer, to->processed, p->late, items, 2, "already_shutdown");
    if (p->no_memory)
        observe(observer, to->processed, p->no_memory, items, 2, "no_memory");
}

/* Who an exporter is; items has room for ATTRS_MAX, and one of them stays free. */
static size_t exporter_attrs(const Names *names, const VmafxOtelWay *way, VmafxAttr *items)
{
    size_t n = 0;

    items[n++] = VMAFX_ATTR_STR("otel.component.name", names->exporter);
    items[n++] = VMAFX_ATTR_STR("otel.component.type", way->exporter->component_type);
    if (way->address[0])
        items[n++] = VMAFX_ATTR_STR("server.address", way->address);
    if (way->port)
        items[n++] = VMAFX_ATTR_INT("server.port", way->port);
    return n;
}

static void observe_exporter(VmafxObserver *observer, const Instruments *to, const Names *names,
                             const VmafxOtelWay *way, const Exported *e)
{
    VmafxAttr items[ATTRS_MAX];
    size_t n = exporter_attrs(names, way, items);

    if (to->inflight)
        observe(observer, to->inflight, e->inflight, items, n, NULL);
    observe(observer, to->exported, e->exported, items, n, NULL);
    observe(observer, to->exported, e->failed, items, n, "_OTHER");
    if (!way->otlp)
        return;
    observe(observer, to->exported, e->rejected, items, n, "rejected");
    observe(observer, to->exported, e->timed_out, items, n, "timeout");
    observe(observer, to->exported, e->too_large, items, n, "too_large");
}

static void observe_traces(VmafxObserver *observer, const Instruments *to, const VmafxTraceProvider *traces)
{
    static const char *const origins[] = {
        [VMAFX_PARENT_NONE] = "none", [VMAFX_PARENT_LOCAL] = "local", [VMAFX_PARENT_REMOTE] = "remote"
    };
    static const char *const results[] = { [VMAFX_SAMPLE_DROP] = "DROP",
                                           [VMAFX_SAMPLE_RECORD_ONLY] = "RECORD_ONLY",
                                           [VMAFX_SAMPLE_RECORD_AND_SAMPLE] = "RECORD_AND_SAMPLE" };
    VmafxTraceCounts c;

    vmafx_trace_provider_counts(traces, &c);
    for (size_t d = 0; d < VMAFX_LEN(results); d++) {
        VmafxAttr items[ATTRS_MAX] = { VMAFX_ATTR_STR("otel.span.sampling_result", results[d]) };

        if (d !=
            VMAFX_SAMPLE_DROP) /* the counters of threads are read one by one: a little less than none may be seen */
            observe(observer, to->live, (uint64_t)VMAFX_MAX(c.live[d], 0), items, 1, NULL);
        for (size_t origin = 0; origin < VMAFX_LEN(origins); origin++) {
            items[1] = VMAFX_ATTR_STR("otel.span.parent.origin", origins[origin]);
            observe(observer, to->made, c.started[origin][d], items, 2, NULL);
        }
    }
}

static void publish(VmafxObserver *observer, VmafxObservable *none, void *state)
{
    const VmafxSelf *self = state;
    const VmafxOtelParts *parts = self->parts;

    if (parts->traces)
        observe_traces(observer, &self->of[VMAFX_SIGNAL_TRACES], parts->traces);
    if (parts->logs) {
        VmafxAttr items[ATTRS_MAX];
        uint64_t created, lost;

        vmafx_log_provider_counts(parts->logs, &created, &lost);
        observe(observer, self->of[VMAFX_SIGNAL_LOGS].made, created + lost, items, 0, NULL);
    }
    for (size_t i = 0; i < parts->n_ways; i++) {
        const VmafxOtelWay *way = &parts->ways[i];
        const Instruments *to = &self->of[way->signal];
        Processed processed;
        Exported exported;

        read_way(parts, way, &processed, &exported);
        if (self->names[i].processor_type)
            observe_processor(observer, to, &self->names[i], &processed);
        if (exported.known)
            observe_exporter(observer, to, &self->names[i], way, &exported);
    }
}

/* ---- Making ---- */

static void make_trace_instruments(VmafxMeter *meter, Instruments *to)
{
    to->made =
        vmafx_observable_counter(meter, "otel.sdk.span.started", "{span}", "The number of created spans.", NULL, NULL);
    to->live = vmafx_observable_up_down_counter(meter, "otel.sdk.span.live", "{span}",
                                                "The number of recording spans that have not ended yet.", NULL, NULL);
    to->queue_size = vmafx_observable_up_down_counter(meter, "otel.sdk.processor.span.queue.size", "{span}",
                                                      "The number of spans in the processor's queue.", NULL, NULL);
    to->queue_capacity =
        vmafx_observable_up_down_counter(meter, "otel.sdk.processor.span.queue.capacity", "{span}",
                                         "The number of spans the processor's queue can hold.", NULL, NULL);
    to->processed =
        vmafx_observable_counter(meter, "otel.sdk.processor.span.processed", "{span}",
                                 "The number of spans handed to the exporter, or with an error dropped.", NULL, NULL);
    to->inflight =
        vmafx_observable_up_down_counter(meter, "otel.sdk.exporter.span.inflight", "{span}",
                                         "The number of spans with the exporter, not exported yet.", NULL, NULL);
    to->exported =
        vmafx_observable_counter(meter, "otel.sdk.exporter.span.exported", "{span}",
                                 "The number of spans whose export has finished, or with an error failed.", NULL, NULL);
}

static void make_log_instruments(VmafxMeter *meter, Instruments *to)
{
    to->made = vmafx_observable_counter(meter, "otel.sdk.log.created", "{log_record}",
                                        "The number of log records given to the SDK.", NULL, NULL);
    to->queue_size =
        vmafx_observable_up_down_counter(meter, "otel.sdk.processor.log.queue.size", "{log_record}",
                                         "The number of log records in the processor's queue.", NULL, NULL);
    to->queue_capacity =
        vmafx_observable_up_down_counter(meter, "otel.sdk.processor.log.queue.capacity", "{log_record}",
                                         "The number of log records the processor's queue can hold.", NULL, NULL);
    to->processed = vmafx_observable_counter(meter, "otel.sdk.processor.log.processed", "{log_record}",
                                             "The number of log records handed to the exporter, or with an error "
                                             "dropped.",
                                             NULL, NULL);
    to->inflight =
        vmafx_observable_up_down_counter(meter, "otel.sdk.exporter.log.inflight", "{log_record}",
                                         "The number of log records with the exporter, not exported yet.", NULL, NULL);
    to->exported = vmafx_observable_counter(meter, "otel.sdk.exporter.log.exported", "{log_record}",
                                            "The number of log records whose export has finished, or with an error "
                                            "failed.",
                                            NULL, NULL);
}

/* "type/0", "type/1": the how many-th of its type it is. */
static void name_component(const VmafxOtelParts *parts, const VmafxOtelWay *way, Names *ret)
{
    static const char *const processors[] = {
        [VMAFX_SIGNAL_TRACES] = "batching_span_processor",
        [VMAFX_SIGNAL_METRICS] = NULL,
        [VMAFX_SIGNAL_LOGS] = "batching_log_processor",
    };
    unsigned same_signal = 0, same_exporter = 0;

    for (const VmafxOtelWay *before = parts->ways; before < way; before++) {
        same_signal += before->signal == way->signal;
        same_exporter += !strcmp(before->exporter->component_type, way->exporter->component_type);
    }
    ret->processor_type = processors[way->signal];
    if (ret->processor_type)
        snprintf(ret->processor, sizeof ret->processor, "%s/%u", ret->processor_type, same_signal);
    snprintf(ret->exporter, sizeof ret->exporter, "%s/%u", way->exporter->component_type, same_exporter);
    snprintf(ret->reader, sizeof ret->reader, READER_TYPE "/%u", same_signal);
}

static void begin_durations(VmafxMeter *meter, VmafxSelf *self)
{
    /* signals.def, CALL: the bounds of the conventions for calls, in seconds */
    static const double bounds[] = { 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10 };
    VmafxHistogram *exports = vmafx_histogram_bounds(meter, "otel.sdk.exporter.operation.duration", "s",
                                                     "The duration of exporting a batch.", bounds, VMAFX_LEN(bounds));
    VmafxHistogram *collections =
        vmafx_histogram_bounds(meter, "otel.sdk.metric_reader.collection.duration", "s",
                               "The duration of a collection by a metric reader.", bounds, VMAFX_LEN(bounds));

    for (size_t i = 0; i < self->parts->n_ways; i++) {
        VmafxOtelWay *way = &self->parts->ways[i];
        VmafxAttr items[ATTRS_MAX];

        if (!way->timed)
            continue;
        vmafx_timed_begin(&way->timed->exports, exports,
                          (VmafxAttrs){ items, exporter_attrs(&self->names[i], way, items) });
        if (way->signal == VMAFX_SIGNAL_METRICS)
            vmafx_timed_begin(&way->timed->collections, collections,
                              VMAFX_ATTRS(VMAFX_ATTR_STR("otel.component.name", self->names[i].reader),
                                          VMAFX_ATTR_STR("otel.component.type", READER_TYPE)));
    }
    if (self->parts->has_page)
        vmafx_timed_begin(&self->parts->page, collections,
                          VMAFX_ATTRS(VMAFX_ATTR_STR("otel.component.name", PAGE_TYPE "/0"),
                                      VMAFX_ATTR_STR("otel.component.type", PAGE_TYPE)));
}

static void end_durations(VmafxSelf *self)
{
    for (size_t i = 0; i < self->parts->n_ways; i++)
        if (self->parts->ways[i].timed) {
            vmafx_timed_end(&self->parts->ways[i].timed->exports);
            vmafx_timed_end(&self->parts->ways[i].timed->collections);
        }
    vmafx_timed_end(&self->parts->page);
}

VmafxSelf *vmafx_self_new(VmafxOtelParts *parts, const char *version)
{
    VmafxMeter *meter = vmafx_meter_provider_meter(parts->metrics, VMAFX_SELF_METER, version, "", VMAFX_NO_ATTRS);
    VmafxSelf *self = meter ? calloc(1, sizeof *self) : NULL;

    if (!self)
        return NULL;
    self->parts = parts;
    self->fork_generation = vmafx_fork_generation();
    if (parts->traces)
        make_trace_instruments(meter, &self->of[VMAFX_SIGNAL_TRACES]);
    if (parts->logs)
        make_log_instruments(meter, &self->of[VMAFX_SIGNAL_LOGS]);
    for (size_t i = 0; i < parts->n_ways; i++) {
        name_component(parts, &parts->ways[i], &self->names[i]);
        if (parts->ways[i].signal == VMAFX_SIGNAL_METRICS)
            self->of[VMAFX_SIGNAL_METRICS].exported =
                vmafx_observable_counter(meter, "otel.sdk.exporter.metric_data_point.exported", "{data_point}",
                                         "The number of data points whose export has finished, or with an error "
                                         "failed.",
                                         NULL, NULL);
    }
    begin_durations(meter, self);
    self->callback = vmafx_meter_callback(meter, publish, self);
    if (!self->callback)
        vmafx_self_free(&self);
    return self;
}

void vmafx_self_free(VmafxSelf **self)
{
    VmafxSelf *s = *self;

    if (!s)
        return;
    *self = NULL;
    if (s->fork_generation != vmafx_fork_generation())
        return; /* the lock that the removal takes may be held by a thread that is no more */
    vmafx_callback_remove(&s->callback);
    end_durations(s);
    free(s);
}

/* ---- Totals ---- */

static void count_points(const VmafxOtelParts *parts, VmafxOtelSignalCounts *points)
{
    VmafxMetricCounts c;
    bool by_item = true;

    vmafx_meter_provider_counts(parts->metrics, &c);
    for (size_t i = 0; i < parts->n_ways; i++)
        by_item &= parts->ways[i].otlp || parts->ways[i].signal != VMAFX_SIGNAL_METRICS;
    points->dropped = c.no_memory;
    if (!by_item) {
        points->exported = c.exported;
        points->failed = c.export_failed;
    }
    points->started = points->exported + points->failed;
}

void vmafx_self_counts(const VmafxOtelParts *parts, VmafxOtelCounts *ret)
{
    VmafxOtelSignalCounts *const of[] = {
        [VMAFX_SIGNAL_TRACES] = &ret->spans, [VMAFX_SIGNAL_METRICS] = &ret->points, [VMAFX_SIGNAL_LOGS] = &ret->logs
    };
    VmafxTraceCounts traces;
    uint64_t created, lost;

    *ret = (VmafxOtelCounts){ .spans = { 0 } };
    vmafx_trace_provider_counts(parts->traces, &traces);
    for (size_t i = 0; i < 9; i++)
        ret->spans.started += traces.started[i / 3][i % 3];
    ret->spans.dropped = traces.dropped_memory;
    vmafx_log_provider_counts(parts->logs, &created, &lost);
    ret->logs.started = created + lost;
    ret->logs.dropped = lost;
    for (size_t i = 0; i < parts->n_ways; i++) {
        VmafxOtelSignalCounts *to = of[parts->ways[i].signal];
        Processed p;
        Exported e;

        read_way(parts, &parts->ways[i], &p, &e);
        to->dropped += p.full + p.late + p.no_memory;
        if (e.known) {
            to->exported += e.exported;
            to->failed += e.rejected + e.failed + e.timed_out + e.too_large;
        }
    }
    count_points(parts, &ret->points);
}

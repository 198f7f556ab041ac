/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * A job's spans and metrics, from the events that were stored.
 *
 *     vmafx.job             SUBMITTED … ENDED
 *     ├ vmafx.job.queue     each stay: … LEASED, or … ENDED out of the queue
 *     ├ vmafx.task.run      each attempt: LEASED … ATTEMPT_ENDED; spans of node and scorer are below it
 *     └ vmafx.result.store
 */

#include "programs/controller/telemetry.h"

#include <string.h>
#include <sys/random.h>

#include "base/base.h"
#include "base/clock.h"
#include "otel/api/metrics.h"
#include "signals/instruments.h"

struct JobTelemetry {
    VmafxStore *store;
    FleetView fleet;

    VmafxTracer *tracer;
    VmafxCounter *submitted, *completed, *failed, *cancelled, *retried, *expired, *fenced;
    VmafxHistogram *wait, *run, *whole, *score;
    VmafxObservable *queued, *in_flight, *queue_age, *nodes, *slots, *unplaceable;
    VmafxObservable *node_cpu, *node_memory, *node_memory_limit, *gpu, *gpu_memory, *gpu_memory_limit;
    VmafxCallback *callback;
};

uint64_t wall_now_ns(void)
{
    return vmafx_wall_ns();
}

void random_bytes(void *ret, size_t n)
{
    for (size_t done = 0; done < n;) {
        ssize_t got = getrandom((char *)ret + done, n - done, 0);
        if (got > 0)
            done += (size_t)got;
    }
}

static void random_id(uint8_t *id, size_t n)
{
    do
        random_bytes(id, n);
    while (!memcmp(id, (const uint8_t[16]){ 0 }, n));
}

void job_trace_make(const VmafxSpanContext *context, VmafxJobTrace *ret)
{
    *ret = (VmafxJobTrace){ 0 };
    random_id(ret->job_span_id, sizeof ret->job_span_id);
    if (!context || !vmafx_span_context_valid(context)) {
        random_id(ret->trace_id, sizeof ret->trace_id); /* for people to name it by; not sampled, so nothing is sent */
        return;
    }
    memcpy(ret->trace_id, context->trace_id, sizeof ret->trace_id);
    memcpy(ret->parent_span_id, context->span_id, sizeof ret->parent_span_id);
    ret->flags = context->flags;
    const char *state = context->state ? vmafx_tracestate_text(context->state) : NULL;
    if (state)
        snprintf(ret->state, sizeof ret->state, "%s", state);
}

/* ---- Spans ---- */

static VmafxSpanContext span_context(const VmafxJob *job, const uint8_t span_id[8])
{
    VmafxSpanContext context = { .flags = job->trace.flags };

    memcpy(context.trace_id, job->trace.trace_id, sizeof context.trace_id);
    memcpy(context.span_id, span_id, sizeof context.span_id);
    if (job->trace.state[0])
        context.state = vmafx_tracestate_parse(job->trace.state, strlen(job->trace.state));
    return context;
}

static bool is_sampled(const VmafxJob *job)
{
    return job->trace.flags & VMAFX_TRACE_FLAG_SAMPLED;
}

static uint64_t ns(VmafxWall time)
{
    return time > 0 ? (uint64_t)time * 1000u : 0;
}

static void record(JobTelemetry *t, const VmafxJob *job, const char *name, const uint8_t span_id[8],
                   const uint8_t parent[8], VmafxSpanRecord *span)
{
    span->context = span_context(job, span_id);
    memcpy(span->parent_span_id, parent, sizeof span->parent_span_id);
    span->name = name;
    vmafx_span_record(t->tracer, span);
    vmafx_tracestate_unref(&span->context.state);
}

static void record_queue(JobTelemetry *t, const VmafxJob *job, const VmafxEvent *event, const char *outcome)
{
    char id[VMAFX_JOB_ID_TEXT];
    uint8_t span_id[8];

    random_id(span_id, sizeof span_id);
    vmafx_job_id_text(&job->id, id);
    record(
        t, job, VMAFX_SPAN_NAME_JOB_QUEUE, span_id, job->trace.job_span_id,
        &(VmafxSpanRecord){
            .start_ns = ns(event->since),
            .end_ns = ns(event->time),
            .attrs = VMAFX_ATTRS(VMAFX_ATTR_STR(VMAFX_KEY_JOB_ID, id), VMAFX_ATTR_STR(VMAFX_KEY_QUEUE_OUTCOME, outcome),
                                 VMAFX_ATTR_INT(VMAFX_KEY_JOB_PRIORITY, job->priority)),
        });
}

static void record_attempt(JobTelemetry *t, const VmafxJob *job, const VmafxEvent *event)
{
    char id[VMAFX_JOB_ID_TEXT];
    bool good = event->outcome == VMAFX_OUTCOME_SUCCEEDED || event->outcome == VMAFX_OUTCOME_HANDED_BACK ||
                event->outcome == VMAFX_OUTCOME_CANCELLED;
    bool has_previous = memcmp(event->previous_span_id, (const uint8_t[8]){ 0 }, 8) != 0;
    VmafxAttr attrs[7];
    size_t n = 0;

    vmafx_job_id_text(&job->id, id);
    attrs[n++] = VMAFX_ATTR_STR(VMAFX_KEY_JOB_ID, id);
    attrs[n++] = VMAFX_ATTR_INT(VMAFX_KEY_TASK_ATTEMPT, event->attempt);
    attrs[n++] = VMAFX_ATTR_STR(VMAFX_KEY_NODE_NAME, event->node);
    attrs[n++] = VMAFX_ATTR_STR(VMAFX_KEY_TASK_OUTCOME, vmafx_outcome_name(event->outcome));
    if (event->failure) {
        attrs[n++] = VMAFX_ATTR_STR(VMAFX_KEY_JOB_FAILURE_CLASS, vmafx_failure_name(event->failure));
        attrs[n++] = VMAFX_ATTR_STR(VMAFX_KEY_ERROR_TYPE, vmafx_failure_name(event->failure));
    }

    VmafxSpanLink link = { .context = span_context(job, event->previous_span_id) };
    record(t, job, VMAFX_SPAN_NAME_TASK_RUN, event->span_id, job->trace.job_span_id,
           &(VmafxSpanRecord){
               .start_ns = ns(event->since),
               .end_ns = ns(event->time),
               .attrs = { attrs, n },
               .links = &link,
               .n_links = has_previous,
               .status = good ? VMAFX_STATUS_UNSET : VMAFX_STATUS_ERROR,
               .status_description = good ? NULL : vmafx_failure_name(event->failure),
           });
    vmafx_tracestate_unref(&link.context.state);
}

static void record_job(JobTelemetry *t, const VmafxJob *job)
{
    char id[VMAFX_JOB_ID_TEXT], retry_of[VMAFX_JOB_ID_TEXT];
    bool failed = job->state == VMAFX_JOB_FAILED;
    VmafxAttr attrs[9];
    size_t n = 0;

    vmafx_job_id_text(&job->id, id);
    attrs[n++] = VMAFX_ATTR_STR(VMAFX_KEY_JOB_ID, id);
    attrs[n++] = VMAFX_ATTR_STR(VMAFX_KEY_JOB_STATE, vmafx_job_state_name(job->state));
    attrs[n++] = VMAFX_ATTR_INT(VMAFX_KEY_JOB_PRIORITY, job->priority);
    attrs[n++] = VMAFX_ATTR_STR(VMAFX_KEY_JOB_SUBMITTER, job->submitter);
    attrs[n++] = VMAFX_ATTR_INT(VMAFX_KEY_JOB_TASK_COUNT, 1);
    if (job->has_result)
        attrs[n++] = VMAFX_ATTR_BOOL(VMAFX_KEY_JOB_COMPLETE, job->complete);
    if (job->failure) {
        attrs[n++] = VMAFX_ATTR_STR(VMAFX_KEY_JOB_FAILURE_CLASS, vmafx_failure_name(job->failure));
        attrs[n++] = VMAFX_ATTR_STR(VMAFX_KEY_ERROR_TYPE, vmafx_failure_name(job->failure));
    }
    if (!vmafx_job_id_is_zero(&job->retry_of)) {
        vmafx_job_id_text(&job->retry_of, retry_of);
        attrs[n++] = VMAFX_ATTR_STR(VMAFX_KEY_JOB_RETRY_OF, retry_of);
    }
    record(t, job, VMAFX_SPAN_NAME_JOB, job->trace.job_span_id, job->trace.parent_span_id,
           &(VmafxSpanRecord){
               .parent_remote = true,
               .start_ns = ns(job->created),
               .end_ns = ns(job->ended),
               .attrs = { attrs, n },
               .status = failed ? VMAFX_STATUS_ERROR : VMAFX_STATUS_UNSET,
               .status_description = failed ? vmafx_failure_name(job->failure) : NULL,
           });
}

/* ---- Metrics ---- */

/** So that a histogram's exemplar leads to the job's trace. */
static VmafxContext *exemplar_context(const VmafxJob *job)
{
    VmafxSpanContext span = span_context(job, job->trace.job_span_id);
    VmafxContext *context = vmafx_context_with_span(NULL, &span);

    vmafx_tracestate_unref(&span.state);
    return context;
}

static double seconds(VmafxWall from, VmafxWall to)
{
    return to > from ? (double)(to - from) / 1e6 : 0;
}

static void count(JobTelemetry *t, const VmafxEvent *event, const VmafxJob *job)
{
    VMAFX_AUTO(vmafx_context_unref) VmafxContext *context = exemplar_context(job);

    switch (event->kind) {
    case VMAFX_EVENT_SUBMITTED:
        vmafx_counter_add_with(t->submitted, 1, VMAFX_NO_ATTRS, context);
        break;
    case VMAFX_EVENT_LEASED:
        vmafx_histogram_record_with(t->wait, seconds(event->since, event->time), VMAFX_NO_ATTRS, context);
        break;
    case VMAFX_EVENT_ATTEMPT_ENDED:
        vmafx_histogram_record_with(
            t->run, seconds(event->since, event->time),
            VMAFX_ATTRS(VMAFX_ATTR_STR(VMAFX_KEY_TASK_OUTCOME, vmafx_outcome_name(event->outcome))), context);
        if (event->outcome == VMAFX_OUTCOME_LOST)
            vmafx_counter_add_with(t->expired, 1, VMAFX_NO_ATTRS, context);
        break;
    case VMAFX_EVENT_QUEUED:
        vmafx_counter_add_with(t->retried, 1, VMAFX_NO_ATTRS, context);
        break;
    case VMAFX_EVENT_ENDED:
        if (event->state == VMAFX_JOB_SUCCEEDED)
            vmafx_counter_add_with(t->completed, 1, VMAFX_NO_ATTRS, context);
        else if (event->state == VMAFX_JOB_CANCELLED)
            vmafx_counter_add_with(t->cancelled, 1, VMAFX_NO_ATTRS, context);
        else
            vmafx_counter_add_with(
                t->failed, 1,
                VMAFX_ATTRS(VMAFX_ATTR_STR(VMAFX_KEY_JOB_FAILURE_CLASS, vmafx_failure_name(job->failure))), context);
        vmafx_histogram_record_with(t->whole, seconds(job->created, job->ended),
                                    VMAFX_ATTRS(VMAFX_ATTR_STR(VMAFX_KEY_JOB_STATE, vmafx_job_state_name(job->state))),
                                    context);
        break;
    }
}

static void observe_store(JobTelemetry *t, VmafxObserver *observer)
{
    VmafxStoreCounts counts;

    if (vmafx_store_counts(t->store, &counts))
        return; /* no value is better than a wrong one; the store's own errors are told elsewhere */
    vmafx_observe_int(observer, t->queued, (int64_t)counts.queued, VMAFX_NO_ATTRS);
    vmafx_observe_int(observer, t->in_flight, (int64_t)counts.running, VMAFX_NO_ATTRS);
    vmafx_observe_double(observer, t->queue_age,
                         counts.oldest_queued ? seconds(counts.oldest_queued, vmafx_store_now(t->store)) : 0,
                         VMAFX_NO_ATTRS);
}

static void observe_fleet(JobTelemetry *t, VmafxObserver *observer)
{
    FleetCounts counts = { 0 };

    t->fleet.counts(t->fleet.ctx, &counts);
    const struct {
        const char *state;
        uint64_t n;
    } nodes[] = {
        { "ready", counts.ready }, { "busy", counts.busy }, { "draining", counts.draining }, { "lost", counts.lost }
    };
    for (size_t i = 0; i < VMAFX_LEN(nodes); i++)
        vmafx_observe_int(observer, t->nodes, (int64_t)nodes[i].n,
                          VMAFX_ATTRS(VMAFX_ATTR_STR(VMAFX_KEY_NODE_STATE, nodes[i].state)));
    for (VmafxObstacle i = VMAFX_OBSTACLE_NO_NODE; i < VMAFX_OBSTACLES; i++)
        vmafx_observe_int(observer, t->unplaceable, (int64_t)counts.unplaceable[i],
                          VMAFX_ATTRS(VMAFX_ATTR_STR(VMAFX_KEY_JOB_OBSTACLE, vmafx_obstacle_name(i))));
    vmafx_observe_int(observer, t->slots, (int64_t)counts.slots_free,
                      VMAFX_ATTRS(VMAFX_ATTR_STR(VMAFX_KEY_SLOT_STATE, "free")));
    vmafx_observe_int(observer, t->slots, (int64_t)counts.slots_busy,
                      VMAFX_ATTRS(VMAFX_ATTR_STR(VMAFX_KEY_SLOT_STATE, "busy")));
}

#define NODES_OBSERVED_MAX 1000

static void observe_node(JobTelemetry *t, VmafxObserver *observer, const NodeLoad *load)
{
    VmafxAttr node = VMAFX_ATTR_STR(VMAFX_KEY_NODE_NAME, load->name);

    vmafx_observe_double(observer, t->node_cpu, load->cpu, (VmafxAttrs){ &node, 1 });
    if (load->memory_total) {
        vmafx_observe_int(observer, t->node_memory, load->memory_used, (VmafxAttrs){ &node, 1 });
        vmafx_observe_int(observer, t->node_memory_limit, load->memory_total, (VmafxAttrs){ &node, 1 });
    }
    for (size_t g = 0; g < load->n_gpus; g++) {
        VmafxAttrs attrs = VMAFX_ATTRS(node, VMAFX_ATTR_STR(VMAFX_KEY_HW_ID, load->gpus[g].id));
        if (load->gpus[g].utilization >= 0)
            vmafx_observe_double(observer, t->gpu, load->gpus[g].utilization, attrs);
        if (!load->gpus[g].total)
            continue;
        vmafx_observe_int(observer, t->gpu_memory, load->gpus[g].used, attrs);
        vmafx_observe_int(observer, t->gpu_memory_limit, load->gpus[g].total, attrs);
    }
}

static void observe_nodes(JobTelemetry *t, VmafxObserver *observer)
{
    VMAFX_AUTO(vmafx_free_p) NodeLoad *loads = calloc(NODES_OBSERVED_MAX, sizeof *loads);
    size_t n = loads ? t->fleet.loads(t->fleet.ctx, loads, NODES_OBSERVED_MAX) : 0;

    for (size_t i = 0; i < n; i++)
        observe_node(t, observer, &loads[i]);
}

static void observe(VmafxObserver *observer, VmafxObservable *self, void *state)
{
    observe_store(state, observer);
    observe_fleet(state, observer);
    observe_nodes(state, observer);
}

/* ---- The header's functions ---- */

JobTelemetry *job_telemetry_new(VmafxStore *store, const FleetView *fleet)
{
    JobTelemetry *t = calloc(1, sizeof *t);
    VmafxMeter *meter = vmafx_meter_get("vmafx.controller", "", "", VMAFX_NO_ATTRS);

    if (!t)
        return NULL;
    t->store = store;
    t->fleet = *fleet;
    t->tracer = vmafx_tracer_get("vmafx.controller", "");
    t->submitted = vmafx_signal_counter(meter, VMAFX_METRIC_ID_JOBS_SUBMITTED);
    t->completed = vmafx_signal_counter(meter, VMAFX_METRIC_ID_JOBS_COMPLETED);
    t->failed = vmafx_signal_counter(meter, VMAFX_METRIC_ID_JOBS_FAILED);
    t->cancelled = vmafx_signal_counter(meter, VMAFX_METRIC_ID_JOBS_CANCELLED);
    t->retried = vmafx_signal_counter(meter, VMAFX_METRIC_ID_JOBS_RETRIED);
    t->expired = vmafx_signal_counter(meter, VMAFX_METRIC_ID_LEASES_EXPIRED);
    t->fenced = vmafx_signal_counter(meter, VMAFX_METRIC_ID_RESULTS_FENCED);
    t->wait = vmafx_signal_histogram(meter, VMAFX_METRIC_ID_JOB_WAIT_DURATION);
    t->run = vmafx_signal_histogram(meter, VMAFX_METRIC_ID_JOB_RUN_DURATION);
    t->whole = vmafx_signal_histogram(meter, VMAFX_METRIC_ID_JOB_DURATION);
    t->score = vmafx_signal_histogram(meter, VMAFX_METRIC_ID_SCORE);
    t->queued = vmafx_signal_observable(meter, VMAFX_METRIC_ID_JOBS_QUEUED);
    t->in_flight = vmafx_signal_observable(meter, VMAFX_METRIC_ID_JOBS_IN_FLIGHT);
    t->queue_age = vmafx_signal_observable_double(meter, VMAFX_METRIC_ID_JOB_QUEUE_AGE);
    t->unplaceable = vmafx_signal_observable(meter, VMAFX_METRIC_ID_JOBS_UNPLACEABLE);
    t->node_cpu = vmafx_signal_observable_double(meter, VMAFX_METRIC_ID_NODE_CPU_UTILIZATION);
    t->node_memory = vmafx_signal_observable(meter, VMAFX_METRIC_ID_NODE_MEMORY_USAGE);
    t->node_memory_limit = vmafx_signal_observable(meter, VMAFX_METRIC_ID_NODE_MEMORY_LIMIT);
    t->gpu = vmafx_signal_observable_double(meter, VMAFX_METRIC_ID_NODE_GPU_UTILIZATION);
    t->gpu_memory = vmafx_signal_observable(meter, VMAFX_METRIC_ID_NODE_GPU_MEMORY_USAGE);
    t->gpu_memory_limit = vmafx_signal_observable(meter, VMAFX_METRIC_ID_NODE_GPU_MEMORY_LIMIT);
    t->nodes = vmafx_signal_observable(meter, VMAFX_METRIC_ID_NODES);
    t->slots = vmafx_signal_observable(meter, VMAFX_METRIC_ID_NODE_SLOTS);
    t->callback = vmafx_meter_callback(meter, observe, t);

    /* A counter that shows up with its first failure cannot be alerted on. */
    VmafxCounter *const whole[] = { t->submitted, t->completed, t->cancelled, t->retried, t->expired, t->fenced };
    for (size_t i = 0; i < VMAFX_LEN(whole); i++)
        vmafx_counter_add(whole[i], 0);
    for (VmafxFailure f = VMAFX_FAILURE_INPUT; f <= VMAFX_FAILURE_INTERNAL; f++)
        vmafx_counter_add_with(t->failed, 0,
                               VMAFX_ATTRS(VMAFX_ATTR_STR(VMAFX_KEY_JOB_FAILURE_CLASS, vmafx_failure_name(f))), NULL);
    return t;
}

void job_telemetry_quiet(JobTelemetry *t)
{
    if (t)
        vmafx_callback_remove(&t->callback);
}

void job_telemetry_free(JobTelemetry **telemetry)
{
    job_telemetry_quiet(*telemetry);
    free(*telemetry);
    *telemetry = NULL;
}

void job_telemetry_events(JobTelemetry *t, const VmafxEvent *events, const VmafxJob *const *jobs, size_t n)
{
    for (size_t i = 0; t && i < n; i++) {
        const VmafxEvent *event = &events[i];
        const VmafxJob *job = jobs[i];

        count(t, event, job);
        if (!is_sampled(job))
            continue;
        if (event->kind == VMAFX_EVENT_LEASED)
            record_queue(t, job, event, "leased");
        else if (event->kind == VMAFX_EVENT_ATTEMPT_ENDED)
            record_attempt(t, job, event);
        else if (event->kind == VMAFX_EVENT_ENDED) {
            if (event->since)
                record_queue(t, job, event, event->state == VMAFX_JOB_CANCELLED ? "cancelled" : "timeout");
            record_job(t, job);
        }
    }
}

void job_telemetry_fenced(JobTelemetry *t)
{
    if (t)
        vmafx_counter_add(t->fenced, 1);
}

void job_telemetry_stored(JobTelemetry *t, const VmafxJob *job, size_t size, uint64_t start_ns, uint64_t end_ns,
                          VmafxErr err)
{
    char id[VMAFX_JOB_ID_TEXT];
    uint8_t span_id[8];
    VmafxAttr attrs[3];
    size_t n = 0;

    if (!t || !is_sampled(job))
        return;
    random_id(span_id, sizeof span_id);
    vmafx_job_id_text(&job->id, id);
    attrs[n++] = VMAFX_ATTR_STR(VMAFX_KEY_JOB_ID, id);
    attrs[n++] = VMAFX_ATTR_INT(VMAFX_KEY_RESULT_SIZE, (int64_t)size);
    if (err)
        attrs[n++] = VMAFX_ATTR_STR(VMAFX_KEY_ERROR_TYPE, vmafx_err_name(err));
    record(t, job, VMAFX_SPAN_NAME_RESULT_STORE, span_id, job->trace.job_span_id,
           &(VmafxSpanRecord){
               .start_ns = start_ns,
               .end_ns = end_ns,
               .attrs = { attrs, n },
               .status = err ? VMAFX_STATUS_ERROR : VMAFX_STATUS_UNSET,
               .status_description = err ? vmafx_err_text(err) : NULL,
           });
}

void job_telemetry_scored(JobTelemetry *t, const VmafxJob *job, const VmafxScoredList *scored)
{
    VMAFX_AUTO(vmafx_context_unref) VmafxContext *context = exemplar_context(job);

    for (size_t i = 0; t && i < scored->n; i++) {
        const VmafxScored *one = &scored->items[i];
        VmafxAttr attrs[2] = { VMAFX_ATTR_STR(VMAFX_KEY_METRIC_NAME, one->metric),
                               VMAFX_ATTR_STR(VMAFX_KEY_MODEL_NAME, one->model) };

        vmafx_histogram_record_with(t->score, one->value, (VmafxAttrs){ attrs, *one->model ? 2 : 1 }, context);
    }
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Work for nodes. Who gets how much is decided by fleet/assign.h; this file keeps the table that it looks at and turns
 * its answer into leases and assignments.
 *
 *     event: queued ──┐                           ┌─► Assign to the node
 *     node has room ──┼─► dispatch ─► LEASE (store) ┤
 *     tick ───────────┘                           └─► nothing: the node starves until there is news
 */

#include <inttypes.h>
#include <string.h>

#include "base/base.h"
#include "base/clock.h"
#include "base/model_auto.h"
#include "base/text.h"
#include "otel/api/log.h"
#include "otel/api/propagation.h"
#include "programs/controller/convert.h"
#include "programs/controller/nodes_internal.h"
#include "rpc/spec_check.h"
#include "signals/signals.h"

#define FORGET_NS ((uint64_t)600 * 1000000000) /* a node that is gone stays listed this long */

/* ---- Ends that no node waits for ---- */

typedef struct LooseEnd {
    VmafxStoreOp op;
    char node[VMAFX_NODE_NAME_MAX], message[256];
} LooseEnd;

static void loose_end_done(VmafxStoreOp *op)
{
    LooseEnd *end = op->ctx; /* whatever came of it: if it was not kept, its lease runs out */

    vmafx_store_op_done(op);
    free(end);
}

void end_for(NodeTable *table, const char *node, const VmafxAttemptRef *ref, VmafxOutcome outcome, VmafxFailure failure,
             bool may_pass, const char *message)
{
    LooseEnd *end = calloc(1, sizeof *end);

    if (!end)
        return; /* its lease runs out */
    snprintf(end->node, sizeof end->node, "%s", node);
    vmafx_text_copy(end->message, sizeof end->message, message);
    end->op = (VmafxStoreOp){
        .kind = VMAFX_STORE_END,
        .job = ref->job,
        .report = { .node = end->node,
                    .attempt = ref->attempt,
                    .outcome = outcome,
                    .failure = failure,
                    .may_pass = may_pass,
                    .message = end->message },
        .done = loose_end_done,
        .ctx = end,
    };
    vmafx_store_submit_op(table->config.store, &end->op);
}

/* ---- Leases ---- */

typedef struct LeaseCall {
    VmafxStoreOp op;
    Session *session;
    uint32_t asked;
    uint64_t generation;
    uint8_t random[]; /* a span id for each */
} LeaseCall;

static void trace_texts(const VmafxJob *job, char traceparent[VMAFX_TRACEPARENT_SIZE])
{
    VmafxSpanContext context = { .flags = job->trace.flags };

    memcpy(context.trace_id, job->trace.trace_id, sizeof context.trace_id);
    memcpy(context.span_id, job->task.span_id, sizeof context.span_id);
    if (!vmafx_traceparent_format(&context, traceparent))
        traceparent[0] = 0;
}

static void send_assign(Session *session, const VmafxStoreItem *item, Vmafx__V1__JobSpec *spec)
{
    char text[VMAFX_JOB_ID_TEXT], traceparent[VMAFX_TRACEPARENT_SIZE];
    VmafxAttemptRef ref = { item->job.id, item->job.task.attempt };
    Vmafx__V1__AttemptRef attempt = attempt_message(&ref, text);
    Vmafx__V1__Assign assign = VMAFX__V1__ASSIGN__INIT;
    Vmafx__V1__ControllerMessage message = VMAFX__V1__CONTROLLER_MESSAGE__INIT;

    trace_texts(&item->job, traceparent);
    assign.attempt = &attempt;
    assign.spec = spec;
    assign.timeout_ms = item->job.timeout_us / 1000;
    assign.traceparent = traceparent;
    assign.tracestate = (char *)item->job.trace.state;
    message.kind_case = VMAFX__V1__CONTROLLER_MESSAGE__KIND_ASSIGN;
    message.assign = &assign;
    session_send(session, &message);
}

/** No stream, or one on which nothing came for a lease: a frozen node. */
bool session_is_lost(const Session *s)
{
    return s->gone || !s->ready || vmafx_monotonic_ns() - s->seen_ns >= (uint64_t)s->table->config.lease_ms * 1000000u;
}

void view_of(const Session *s, uint64_t generation, VmafxNodeView *ret)
{
    *ret = (VmafxNodeView){
        .name = s->name,
        .ready = !session_is_lost(s) && s->starved != generation,
        .draining = s->draining,
        .slots = s->slots,
        .slots_free = s->slots_free,
        .held = (uint32_t)s->n_held,
        .asked = s->asked,
        .memory_mib = s->memory_mib,
        .memory_held_mib = s->held_memory_mib,
        .load = s->cpu,
        .encoders = (const char *const *)s->encoders,
        .n_encoders = s->n_encoders,
        .encoders_later = s->encoders_later,
        .models = (const char *const *)s->models,
        .n_models = s->n_models,
    };
}

static size_t views_of(NodeTable *table, VmafxNodeView *views)
{
    for (size_t i = 0; i < table->n_sessions; i++)
        view_of(table->sessions[i], table->generation, &views[i]);
    return table->n_sessions;
}

static void recipe_needs(const Vmafx__V1__JobSpec *spec, VmafxNeeds *needs)
{
    const Vmafx__V1__EncodeRecipe *recipe = vmafx_spec_recipe(spec);

    if (!recipe)
        return;
    needs->encoder = *recipe->encoder ? recipe->encoder : NULL;
    needs->codec = *recipe->codec ? recipe->codec : NULL;
}

static void add_need(VmafxNeeds *needs, const char **models, const char *version)
{
    if (needs->n_models < NEEDS_MODELS_MAX)
        models[needs->n_models++] = version;
}

void needs_of(const Vmafx__V1__JobSpec *spec, int32_t memory_mib, const char **models, VmafxNeeds *ret)
{
    static const char *const any_of_auto[] = VMAFX_MODELS_AUTO; /* which one is known when a node has decoded a frame */

    *ret = (VmafxNeeds){ .memory_mib = memory_mib, .models = models };
    for (size_t i = 0; i < spec->n_models; i++) {
        const char *version = spec->models[i]->version;

        if (strcmp(version, VMAFX_MODEL_AUTO) != 0)
            add_need(ret, models, version);
        for (size_t k = 0; !strcmp(version, VMAFX_MODEL_AUTO) && k < VMAFX_MODELS_AUTO_N; k++)
            add_need(ret, models, any_of_auto[k]);
    }
    recipe_needs(spec, ret);
}

/** Another node may have what this one lacks; all of them are looked at only when this one lacks something. */
static bool fits(NodeTable *table, const Session *session, const Vmafx__V1__JobSpec *spec, int32_t memory_mib,
                 VmafxAttemptReport *report, char *message, size_t size)
{
    VMAFX_AUTO(vmafx_free_p) VmafxNodeView *views = NULL;
    const char *models[NEEDS_MODELS_MAX], *lacks = "";
    VmafxNeeds needs;
    VmafxNodeView view;

    needs_of(spec, memory_mib, models, &needs);
    if (!session->n_models) /* one that does not say which models it has finds out by itself */
        needs.n_models = 0;
    view_of(session, table->generation, &view);
    if (!vmafx_node_fits(&view, &needs, NULL, NULL))
        return true;

    views = calloc(table->n_sessions, sizeof *views);
    size_t n = views ? views_of(table, views) : 0, own = 0;
    while (own < n && table->sessions[own] != session)
        own++;
    if (own == n || !vmafx_assign_misfit(views, n, own, &needs, report, &lacks))
        return true;
    snprintf(message, size, "node %s has no %s'%s'", session->name,
             report->failure != VMAFX_FAILURE_ENCODER ? ""
             : needs.encoder                          ? "encoder "
                                                      : "encoder for ",
             lacks);
    return false;
}

static void assign_one(NodeTable *table, Session *session, const VmafxStoreItem *item)
{
    VMAFX_AUTO(vmafx_message_free) VmafxMessage *spec = NULL;
    VmafxAttemptRef ref = { item->job.id, item->job.task.attempt };
    VmafxAttemptReport misfit = { 0 };
    char message[256] = "";
    bool gone, fit = true, held = false;
    VmafxErr err = vmafx_message_unpack(&vmafx__v1__job_spec__descriptor, item->spec, item->spec_len, 0, &spec, NULL);

    if (err) {
        end_for(table, session->name, &ref, VMAFX_OUTCOME_FAILED, VMAFX_FAILURE_INTERNAL, false,
                "the stored request is damaged");
        return;
    }
    pthread_mutex_lock(&table->lock);
    gone = session->gone || !session->listed;
    if (!gone)
        fit =
            fits(table, session, vmafx_message_get(spec), item->job.need_memory_mib, &misfit, message, sizeof message);
    if (!gone && fit)
        held = session_hold(session, &ref, item->job.need_memory_mib);
    if (held)
        send_assign(session, item, (Vmafx__V1__JobSpec *)vmafx_message_get(spec));
    pthread_mutex_unlock(&table->lock);

    if (!fit)
        end_for(table, session->name, &ref, misfit.outcome, misfit.failure, misfit.may_pass, message);
    else if (!held)
        end_for(table, session->name, &ref, VMAFX_OUTCOME_HANDED_BACK, VMAFX_FAILURE_NONE, false,
                "the node left before it was told");
}

static void lease_done(VmafxStoreOp *op)
{
    LeaseCall *call = op->ctx;
    Session *session = call->session;
    NodeTable *table = session->table;
    size_t n = op->err ? 0 : op->n_items;

    for (size_t i = 0; i < n; i++)
        if (!op->items[i].err)
            assign_one(table, session, &op->items[i]);
    pthread_mutex_lock(&table->lock);
    session->asked -= call->asked;
    if (n < call->asked)
        session->starved = call->generation;
    bool more = table->waiting > 0;
    pthread_mutex_unlock(&table->lock);
    vmafx_store_op_done(op);
    session_unref(&call->session);
    free(call);
    if (more)
        table_dispatch(table);
}

static LeaseCall *lease_call(Session *session, const VmafxAsk *ask, uint64_t generation)
{
    LeaseCall *call = calloc(1, sizeof *call + 8 * (size_t)ask->slots);

    if (!call)
        return NULL;
    call->asked = ask->slots; /* at most the node's, VMAFX_NODE_SLOTS_MAX */
    call->generation = generation;
    call->session = session_ref(session);
    random_bytes(call->random, 8 * call->asked);
    call->op = (VmafxStoreOp){
        .kind = VMAFX_STORE_LEASE,
        .capacity = { .node = session->name, .slots = call->asked, .memory_free_mib = ask->memory_free_mib },
        .random = call->random,
        .done = lease_done,
        .ctx = call,
    };
    session->asked += call->asked;
    return call;
}

void table_dispatch(NodeTable *table)
{
    VMAFX_AUTO(vmafx_free_p) VmafxNodeView *views = NULL;
    VMAFX_AUTO(vmafx_free_p) VmafxAsk *asks = NULL;
    VMAFX_AUTO(vmafx_free_p) LeaseCall **calls = NULL;
    size_t n = 0;

    if (atomic_load(&table->stopping))
        return;
    pthread_mutex_lock(&table->lock);
    if (table->waiting > 0 && table->n_sessions) {
        views = calloc(table->n_sessions, sizeof *views);
        asks = calloc(table->n_sessions, sizeof *asks);
        calls = calloc(table->n_sessions, sizeof *calls);
    }
    if (views && asks && calls) {
        size_t n_views = views_of(table, views);
        size_t n_asks = vmafx_assign_plan(views, n_views, (uint64_t)table->waiting, &table->cursor, asks);
        for (size_t i = 0; i < n_asks; i++)
            if ((calls[n] = lease_call(table->sessions[asks[i].node], &asks[i], table->generation)))
                n++;
    }
    pthread_mutex_unlock(&table->lock);
    for (size_t i = 0; i < n; i++)
        vmafx_store_submit_op(table->config.store, &calls[i]->op);
}

/* ---- Events ---- */

/** A node that works on an attempt that somebody else ended has to be told. */
static void tell_node(NodeTable *table, const VmafxEvent *event)
{
    VmafxAttemptRef ref = { event->job, event->attempt };
    Session *session = table_find(table, event->node);
    Held *held = session ? session_held(session, &ref) : NULL;

    if (!held || held->ending)
        return; /* its own report */
    session_release(session, &ref);
    if (!session->gone)
        session_cancel(session, &ref,
                       event->outcome == VMAFX_OUTCOME_CANCELLED ? VMAFX__V1__CANCEL_REASON__CANCEL_REASON_CANCELLED
                       : event->outcome == VMAFX_OUTCOME_TIMEOUT ? VMAFX__V1__CANCEL_REASON__CANCEL_REASON_TIMEOUT
                                                                 : VMAFX__V1__CANCEL_REASON__CANCEL_REASON_LEASE_LOST);
}

void node_table_events(NodeTable *table, const VmafxEvent *events, const VmafxJob *const *jobs, size_t n)
{
    bool news = false;

    pthread_mutex_lock(&table->lock);
    for (size_t i = 0; i < n; i++) {
        const VmafxEvent *event = &events[i];
        switch (event->kind) {
        case VMAFX_EVENT_SUBMITTED:
        case VMAFX_EVENT_QUEUED:
            table->waiting++;
            news = true;
            break;
        case VMAFX_EVENT_LEASED:
            table->waiting--;
            break;
        case VMAFX_EVENT_ENDED:
            table->waiting -= event->since != 0; /* out of the queue */
            break;
        case VMAFX_EVENT_ATTEMPT_ENDED:
            tell_node(table, event);
            break;
        }
    }
    table->generation += news;
    pthread_mutex_unlock(&table->lock);
    if (news)
        table_dispatch(table);
}

void node_table_tick(NodeTable *table)
{
    VmafxStoreCounts counts;
    uint64_t now = vmafx_monotonic_ns();
    bool known = !vmafx_store_counts(table->config.store, &counts);

    pthread_mutex_lock(&table->lock);
    if (known)
        table->waiting = (int64_t)counts.queued;
    table->generation++;
    for (size_t i = table->n_sessions; i-- > 0;) {
        Session *session = table->sessions[i];
        if (session->gone && now - session->seen_ns > FORGET_NS) {
            table_remove(table, session);
            continue;
        }
        for (size_t h = 0; h < session->n_held && !session->gone; h++) {
            char text[VMAFX_JOB_ID_TEXT];
            Vmafx__V1__AttemptRef attempt = attempt_message(&session->held[h].ref, text);
            Vmafx__V1__EndAck ack = VMAFX__V1__END_ACK__INIT;
            Vmafx__V1__ControllerMessage message = VMAFX__V1__CONTROLLER_MESSAGE__INIT;
            if (!session->held[h].ask_again)
                continue;
            session->held[h].ask_again = false;
            ack.attempt = &attempt;
            ack.resend = true;
            message.kind_case = VMAFX__V1__CONTROLLER_MESSAGE__KIND_END_ACK;
            message.end_ack = &ack;
            session_send(session, &message);
        }
    }
    pthread_mutex_unlock(&table->lock);
    table_dispatch(table);
    obstacles_turn(table, now);
}

void node_table_counts(void *ctx, FleetCounts *ret)
{
    NodeTable *table = ctx;

    *ret = (FleetCounts){ 0 };
    pthread_mutex_lock(&table->lock);
    for (size_t i = 0; i < table->n_sessions; i++) {
        const Session *s = table->sessions[i];
        uint64_t busy = VMAFX_MIN(s->n_held, s->slots);
        if (session_is_lost(s)) {
            ret->lost++;
            continue;
        }
        if (s->draining)
            ret->draining++;
        else if (busy == s->slots)
            ret->busy++;
        else
            ret->ready++;
        if (!s->draining)
            ret->memory_max_mib = VMAFX_MAX(ret->memory_max_mib, s->memory_mib > 0 ? s->memory_mib : INT64_MAX);
        ret->slots_busy += busy;
        ret->slots_free += s->draining ? 0 : s->slots - busy;
    }
    memcpy(ret->unplaceable, table->unplaceable, sizeof ret->unplaceable);
    pthread_mutex_unlock(&table->lock);
}

size_t node_table_loads(void *ctx, NodeLoad *ret, size_t max)
{
    NodeTable *table = ctx;
    size_t n = 0;

    pthread_mutex_lock(&table->lock);
    for (size_t i = 0; i < table->n_sessions && n < max; i++) {
        const Session *s = table->sessions[i];
        if (session_is_lost(s))
            continue;
        NodeLoad *load = &ret[n++];
        *load = (NodeLoad){ .cpu = s->cpu,
                            .memory_used = s->memory_used,
                            .memory_total = s->memory_total,
                            .n_gpus = VMAFX_MIN(s->n_gpus, NODE_LOAD_GPUS_MAX) };
        snprintf(load->name, sizeof load->name, "%s", s->name);
        for (size_t g = 0; g < load->n_gpus; g++) {
            snprintf(load->gpus[g].id, sizeof load->gpus[g].id, "%s", s->gpus[g].id);
            load->gpus[g].utilization = s->gpus[g].utilization;
            load->gpus[g].used = s->gpus[g].memory_used;
            load->gpus[g].total = s->gpus[g].memory_total;
        }
    }
    pthread_mutex_unlock(&table->lock);
    return n;
}

/* ---- The table ---- */

NodeTable *node_table_new(const NodeTableConfig *config)
{
    NodeTable *table = calloc(1, sizeof *table);

    if (!table)
        return NULL;
    table->config = *config;
    table->generation = 1;
    pthread_mutex_init(&table->lock, NULL);
    return table;
}

void node_table_set_telemetry(NodeTable *table, JobTelemetry *telemetry)
{
    table->config.telemetry = telemetry;
}

void node_table_stop(NodeTable *table)
{
    atomic_store(&table->stopping, true);
    pthread_mutex_lock(&table->lock);
    for (size_t i = 0; i < table->n_sessions; i++)
        if (!table->sessions[i]->gone)
            vmafx_rpc_stream_finish(table->sessions[i]->stream, VMAFX_ERR_STOPPED, "the controller is stopping");
    pthread_mutex_unlock(&table->lock);
}

void node_table_free(NodeTable **at)
{
    NodeTable *table = VMAFX_TAKE(*at);

    if (!table)
        return;
    while (table->n_sessions)
        table_remove(table, table->sessions[0]);
    pthread_mutex_destroy(&table->lock);
    free(table);
}

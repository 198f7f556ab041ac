/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What people ask about nodes: ListNodes, DrainNode, ListFleetModels. */

#include <string.h>

#include "base/base.h"
#include "programs/controller/nodes_internal.h"

typedef struct NodeViewMessage {
    Vmafx__V1__Node node;
    Vmafx__V1__Load load;
    Vmafx__V1__ProcessLoad own, scorers;
    NodeGpu *gpus; /* copies: a heartbeat writes them anew */
    Vmafx__V1__GpuLoad *gpu_messages, *gpu_list[NODE_GPUS_MAX];
    Session *session; /* keeps the texts of its Hello, which do not change */
    Vmafx__V1__AttemptRef *refs, **ref_list;
    char (*ids)[VMAFX_JOB_ID_TEXT];
} NodeViewMessage;

static Vmafx__V1__NodeState state_of(const Session *s)
{
    if (session_is_lost(s))
        return VMAFX__V1__NODE_STATE__NODE_STATE_LOST;
    if (s->draining)
        return VMAFX__V1__NODE_STATE__NODE_STATE_DRAINING;
    return s->n_held >= s->slots ? VMAFX__V1__NODE_STATE__NODE_STATE_BUSY : VMAFX__V1__NODE_STATE__NODE_STATE_READY;
}

static void process_message(const NodeProcesses *load, Vmafx__V1__ProcessLoad *ret)
{
    vmafx__v1__process_load__init(ret);
    ret->cpu = load->cpu;
    ret->memory_bytes = load->memory;
    ret->processes = load->n;
}

static void gpu_message(NodeGpu *gpu, Vmafx__V1__GpuLoad *ret)
{
    vmafx__v1__gpu_load__init(ret);
    ret->id = gpu->id;
    ret->vendor = gpu->vendor;
    ret->model = gpu->model;
    ret->pci = gpu->pci;
    ret->index = gpu->index;
    ret->utilization = gpu->utilization;
    ret->encoder_utilization = gpu->encoder;
    ret->decoder_utilization = gpu->decoder;
    ret->memory_used_bytes = gpu->memory_used;
    ret->memory_total_bytes = gpu->memory_total;
    ret->frequency_mhz = gpu->frequency_mhz;
    ret->frequency_max_mhz = gpu->frequency_max_mhz;
}

/** With the lock. False: no memory. */
static bool load_message(NodeViewMessage *view, const Session *s)
{
    view->gpus = calloc(s->n_gpus + 1, sizeof *view->gpus);
    view->gpu_messages = calloc(s->n_gpus + 1, sizeof *view->gpu_messages);
    if (!view->gpus || !view->gpu_messages)
        return false;
    vmafx__v1__load__init(&view->load);
    view->load.cpu = s->cpu;
    view->load.cpus = s->cpus;
    view->load.memory_used_bytes = s->memory_used;
    view->load.memory_total_bytes = s->memory_total;
    process_message(&s->own, &view->own);
    process_message(&s->scorers, &view->scorers);
    view->load.node = &view->own;
    view->load.scorers = &view->scorers;
    for (size_t i = 0; i < s->n_gpus; i++) {
        view->gpus[i] = s->gpus[i];
        gpu_message(&view->gpus[i], &view->gpu_messages[i]);
        view->gpu_list[i] = &view->gpu_messages[i];
    }
    view->load.n_gpus = s->n_gpus;
    view->load.gpus = view->gpu_list;
    view->node.load = &view->load;
    return true;
}

/** With the lock. False: no memory. */
static bool node_message(NodeViewMessage *view, Session *s)
{
    Vmafx__V1__Node *m = &view->node;

    vmafx__v1__node__init(m);
    view->session = session_ref(s);
    view->refs = calloc(s->n_held + 1, sizeof *view->refs);
    view->ref_list = calloc(s->n_held + 1, sizeof *view->ref_list);
    view->ids = calloc(s->n_held + 1, sizeof *view->ids);
    if (!view->refs || !view->ref_list || !view->ids || !load_message(view, s))
        return false;
    m->name = s->name;
    m->state = state_of(s);
    m->version = s->version;
    m->address = s->address;
    m->slots = (int32_t)s->slots;
    m->slots_busy = (int32_t)VMAFX_MIN(s->n_held, s->slots);
    m->cpu_level = s->cpu_level;
    m->n_backends = s->n_backends;
    m->backends = s->backends;
    m->n_encoders = s->n_encoders;
    m->encoders = s->encoders;
    m->connected_unix_us = s->connected;
    m->seen_unix_us = s->seen;
    for (size_t i = 0; i < s->n_held; i++) {
        view->refs[i] = attempt_message(&s->held[i].ref, view->ids[i]);
        view->ref_list[i] = &view->refs[i];
    }
    m->n_running = s->n_held;
    m->running = view->ref_list;
    return true;
}

static void node_message_done(NodeViewMessage *view)
{
    session_unref(&view->session);
    free(view->gpus);
    free(view->gpu_messages);
    free(view->refs);
    free(view->ref_list);
    free(view->ids);
}

static int by_name(const void *a, const void *b)
{
    return strcmp((*(Vmafx__V1__Node *const *)a)->name, (*(Vmafx__V1__Node *const *)b)->name);
}

static VmafxErr list_nodes(void *ctx, const ApiCall *call, const void *request, VmafxErrInfo *reterr)
{
    NodeTable *table = ctx;
    Vmafx__V1__ListNodesResponse response = VMAFX__V1__LIST_NODES_RESPONSE__INIT;
    VMAFX_AUTO(vmafx_free_p) NodeViewMessage *views = calloc(VMAFX_FLEET_NODES_MAX, sizeof *views);
    VMAFX_AUTO(vmafx_free_p) Vmafx__V1__Node **list = calloc(VMAFX_FLEET_NODES_MAX, sizeof(Vmafx__V1__Node *));
    size_t n = 0;
    bool ok = views && list, all = !caller_tenant(&call->caller);

    pthread_mutex_lock(&table->lock);
    for (size_t i = 0; ok && i < table->n_sessions; i++, n++) {
        ok = node_message(&views[i], table->sessions[i]);
        list[i] = &views[i].node;
        if (!all)
            views[i].node.n_running = 0;
    }
    pthread_mutex_unlock(&table->lock);
    response.n_nodes = n;
    response.nodes = list;
    if (ok)
        qsort(list, n, sizeof *list, by_name);
    VmafxErr err = ok ? call->answer(call->ctx, &response.base) : VMAFX_ERR_NOMEM;
    for (size_t i = 0; views && i < n; i++)
        node_message_done(&views[i]);
    return err;
}

static VmafxErr drain_node(void *ctx, const ApiCall *call, const void *message, VmafxErrInfo *reterr)
{
    NodeTable *table = ctx;
    const Vmafx__V1__DrainNodeRequest *request = message;
    Vmafx__V1__DrainNodeResponse response = VMAFX__V1__DRAIN_NODE_RESPONSE__INIT;
    Vmafx__V1__ControllerMessage told = VMAFX__V1__CONTROLLER_MESSAGE__INIT;
    Vmafx__V1__Drain drain = VMAFX__V1__DRAIN__INIT;
    VMAFX_AUTO(node_message_done) NodeViewMessage view = { 0 };
    VmafxErr err = caller_may_operate(&call->caller, reterr);

    if (err)
        return err;
    drain.finish = request->finish;
    told.kind_case = VMAFX__V1__CONTROLLER_MESSAGE__KIND_DRAIN;
    told.drain = &drain;
    pthread_mutex_lock(&table->lock);
    Session *session = table_find(table, request->name);
    bool there = session && !session->gone, ok = true;
    if (there) {
        session->draining = true;
        session_send(session, &told);
        ok = node_message(&view, session);
    }
    pthread_mutex_unlock(&table->lock);
    if (!there)
        return vmafx_fail(reterr, VMAFX_ERR_NOT_FOUND, "there is no node '%.63s' connected", request->name);
    if (!ok)
        return VMAFX_ERR_NOMEM;
    if (table->config.api)
        table->config.api->audit(table->config.api->ctx, &call->caller, "node.drain", request->name);
    response.node = &view.node;
    return call->answer(call->ctx, &response.base);
}

/* ---- Models ---- */

/** Versions, with how many nodes have each; the texts are copies, as their nodes may leave. */
typedef struct ModelList {
    Vmafx__V1__FleetModel *items;
    Vmafx__V1__FleetModel **list;
    size_t n, room;
} ModelList;

static void model_list_done(ModelList *models)
{
    for (size_t i = 0; i < models->n; i++)
        free(models->items[i].version);
    free(models->items);
    free(models->list);
}

static bool count_model(ModelList *models, const char *version)
{
    for (size_t i = 0; i < models->n; i++)
        if (!strcmp(models->items[i].version, version)) {
            models->items[i].nodes++;
            return true;
        }
    if (models->n == models->room) {
        size_t room =
            VMAFX_MAX(2 * models->room, (size_t)32); /* a few dozen are installed; each node has at most 256 */
        Vmafx__V1__FleetModel *items = realloc(models->items, room * sizeof *items);
        if (!items)
            return false;
        models->items = items;
        models->room = room;
    }
    Vmafx__V1__FleetModel *item = &models->items[models->n];
    vmafx__v1__fleet_model__init(item);
    item->version = vmafx_strdup(version);
    item->nodes = 1;
    models->n += item->version != NULL;
    return item->version != NULL;
}

static int by_version(const void *a, const void *b)
{
    return strcmp((*(Vmafx__V1__FleetModel *const *)a)->version, (*(Vmafx__V1__FleetModel *const *)b)->version);
}

static VmafxErr list_models(void *ctx, const ApiCall *call, const void *request, VmafxErrInfo *reterr)
{
    NodeTable *table = ctx;
    VMAFX_AUTO(model_list_done) ModelList models = { 0 };
    Vmafx__V1__ListFleetModelsResponse response = VMAFX__V1__LIST_FLEET_MODELS_RESPONSE__INIT;
    bool ok = true;

    pthread_mutex_lock(&table->lock);
    for (size_t i = 0; i < table->n_sessions; i++) {
        const Session *s = table->sessions[i];
        if (session_is_lost(s) || !s->ready)
            continue;
        response.nodes++;
        response.silent_nodes += !s->n_models;
        for (size_t k = 0; ok && k < s->n_models; k++)
            ok = count_model(&models, s->models[k]);
    }
    pthread_mutex_unlock(&table->lock);
    models.list = calloc(models.n + 1, sizeof(Vmafx__V1__FleetModel *));
    if (!ok || !models.list)
        return VMAFX_ERR_NOMEM;
    for (size_t i = 0; i < models.n; i++)
        models.list[i] = &models.items[i];
    qsort(models.list, models.n, sizeof *models.list, by_version);
    response.n_models = models.n;
    response.models = models.list;
    return call->answer(call->ctx, &response.base);
}

void node_table_api(NodeTable *table, Api *api)
{
    const ApiMethod methods[] = {
        { "/vmafx.v1.Fleet/ListNodes", &vmafx__v1__list_nodes_request__descriptor, list_nodes, table, 0, NULL },
        { "/vmafx.v1.Fleet/DrainNode", &vmafx__v1__drain_node_request__descriptor, drain_node, table, 0, NULL },
        { "/vmafx.v1.Fleet/ListFleetModels", &vmafx__v1__list_fleet_models_request__descriptor, list_models, table, 0,
          NULL },
    };

    table->config.api = api;
    api_add(api, methods, VMAFX_LEN(methods));
}

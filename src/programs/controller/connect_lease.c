/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Heartbeats: a node is alive, how it fares, and which leases it wants to keep. */

#include <string.h>

#include "base/base.h"
#include "base/text.h"
#include "programs/controller/connect_internal.h"

#define CPUS_MAX      1e6
#define RENEWAL_BYTES ((size_t)64 << 10) /* what one weighs at least: a node at work sends one in several seconds */

typedef struct Renewal {
    VmafxStoreOp op;
    Session *session;
    int64_t sequence;
    bool answer;
    Toll toll;
    VmafxAttemptRef held[];
} Renewal;

static void heartbeat_ack(Session *session, int64_t sequence, const VmafxAttemptRef *lost, size_t n)
{
    Vmafx__V1__HeartbeatAck ack = VMAFX__V1__HEARTBEAT_ACK__INIT;
    Vmafx__V1__ControllerMessage message = VMAFX__V1__CONTROLLER_MESSAGE__INIT;
    VMAFX_AUTO(vmafx_free_p) Vmafx__V1__AttemptRef *refs = calloc(n + 1, sizeof *refs);
    VMAFX_AUTO(vmafx_free_p) Vmafx__V1__AttemptRef **list = calloc(n + 1, sizeof(Vmafx__V1__AttemptRef *));
    char(*ids)[VMAFX_JOB_ID_TEXT] = calloc(n + 1, sizeof *ids);

    for (size_t i = 0; refs && list && ids && i < n; i++) {
        refs[i] = attempt_message(&lost[i], ids[i]);
        list[i] = &refs[i];
        ack.n_lost = i + 1;
    }
    ack.sequence = sequence;
    ack.lost = list;
    message.kind_case = VMAFX__V1__CONTROLLER_MESSAGE__KIND_HEARTBEAT_ACK;
    message.heartbeat_ack = &ack;
    session_send(session, &message);
    free(ids);
}

static void renewal_done(VmafxStoreOp *op)
{
    Renewal *renewal = op->ctx;
    Session *session = renewal->session;
    NodeTable *table = session->table;
    VMAFX_AUTO(vmafx_free_p) VmafxAttemptRef *lost = calloc(op->n_held + 1, sizeof *lost);
    size_t n = 0;

    pthread_mutex_lock(&table->lock);
    for (size_t i = 0; !op->err && lost && i < op->n_items && i < op->n_held; i++) {
        Held *held = session_held(session, &renewal->held[i]);
        if (op->items[i].err != VMAFX_ERR_LEASE_LOST && op->items[i].err != VMAFX_ERR_NOT_FOUND)
            continue;
        if (held && held->ending)
            continue; /* its own end was faster; the answer to that is on its way */
        session_release(session, &renewal->held[i]);
        lost[n++] = renewal->held[i];
    }
    if (renewal->answer || n)
        heartbeat_ack(session, renewal->sequence, lost, n);
    pthread_mutex_unlock(&table->lock);
    vmafx_store_op_done(op);
    toll_give(session, &renewal->toll);
    session_unref(&renewal->session);
    free(renewal);
}

void connect_renew(Session *session, const VmafxAttemptRef *refs, size_t n, int64_t sequence, bool answer)
{
    Renewal *renewal = calloc(1, sizeof *renewal + n * sizeof *refs);

    if (!renewal)
        return; /* the next heartbeat tries again */
    memcpy(renewal->held, refs, n * sizeof *refs);
    renewal->session = session_ref(session);
    renewal->sequence = sequence;
    renewal->answer = answer;
    renewal->toll = toll_take(session, RENEWAL_BYTES + n * sizeof *refs);
    renewal->op = (VmafxStoreOp){
        .kind = VMAFX_STORE_RENEW,
        .node = session->name,
        .held = renewal->held,
        .n_held = n,
        .done = renewal_done,
        .ctx = renewal,
    };
    vmafx_store_submit_op(session->table->config.store, &renewal->op);
}

/** What is said from outside, as a fraction. */
static double fraction(double v)
{
    return v >= 0 && v <= 1 ? v : v > 1 ? 1 : 0; /* NaN: 0 */
}

/** One that may be unknown. */
static double fraction_or_none(double v)
{
    return v < 0 ? -1 : fraction(v);
}

static NodeProcesses processes(const Vmafx__V1__ProcessLoad *load)
{
    return load ? (NodeProcesses){ .cpu = fraction(load->cpu),
                                   .memory = VMAFX_MAX(load->memory_bytes, 0),
                                   .n = VMAFX_MAX(load->processes, 0) }
                : (NodeProcesses){ 0 };
}

static void take_gpu(NodeGpu *gpu, const Vmafx__V1__GpuLoad *load)
{
    vmafx_text_copy(gpu->id, sizeof gpu->id, load->id);
    vmafx_text_copy(gpu->vendor, sizeof gpu->vendor, load->vendor);
    vmafx_text_copy(gpu->model, sizeof gpu->model, load->model);
    vmafx_text_copy(gpu->pci, sizeof gpu->pci, load->pci);
    gpu->index = VMAFX_MAX(load->index, 0);
    gpu->utilization = fraction_or_none(load->utilization);
    gpu->encoder = fraction_or_none(load->encoder_utilization);
    gpu->decoder = fraction_or_none(load->decoder_utilization);
    gpu->memory_total = VMAFX_MAX(load->memory_total_bytes, 0);
    gpu->memory_used = VMAFX_MIN(VMAFX_MAX(load->memory_used_bytes, 0), gpu->memory_total);
    gpu->frequency_mhz = VMAFX_MAX(load->frequency_mhz, 0);
    gpu->frequency_max_mhz = VMAFX_MAX(load->frequency_max_mhz, 0);
}

/** The one behind the last: has it an id, and no other device the same? Two of one id would be two values of one
 * series. */
static bool is_new_gpu(const Session *session)
{
    const char *id = session->gpus[session->n_gpus].id;

    for (size_t i = 0; i < session->n_gpus; i++)
        if (!strcmp(session->gpus[i].id, id))
            return false;
    return *id;
}

void connect_load(Session *session, const Vmafx__V1__Load *load)
{
    session->cpu = fraction(load->cpu);
    session->cpus = load->cpus > 0 && load->cpus < CPUS_MAX ? load->cpus : 0;
    session->memory_total = VMAFX_MAX(load->memory_total_bytes, 0);
    session->memory_used = VMAFX_MIN(VMAFX_MAX(load->memory_used_bytes, 0), session->memory_total);
    session->own = processes(load->node);
    session->scorers = processes(load->scorers);
    session->n_gpus = 0;
    for (size_t i = 0; i < load->n_gpus && session->n_gpus < NODE_GPUS_MAX; i++) {
        take_gpu(&session->gpus[session->n_gpus], load->gpus[i]);
        session->n_gpus += is_new_gpu(session);
    }
}

static bool names(const VmafxAttemptRef *refs, size_t n, const VmafxAttemptRef *ref)
{
    for (size_t i = 0; i < n; i++)
        if (vmafx_attempt_same(&refs[i], ref))
            return true;
    return false;
}

/**
 * What the store gives to this node and the node does not know of, neither at hello nor now. Not at hello alone: one
 * that we read late, after standing still, may be older than what the node has been given since.
 */
static void end_missing(Session *session, const VmafxAttemptRef *refs, size_t n)
{
    for (size_t i = 0; i < session->n_missing; i++)
        if (!names(refs, n, &session->missing[i]))
            end_for(session->table, session->name, &session->missing[i], VMAFX_OUTCOME_FAILED, VMAFX_FAILURE_NODE,
                    false, "the node came back without it");
    session->n_missing = 0;
}

void connect_heartbeat(Session *session, const Vmafx__V1__Heartbeat *heartbeat)
{
    NodeTable *table = session->table;
    size_t n_said = VMAFX_MIN(heartbeat->n_held, HELD_MAX), n = 0;
    VMAFX_AUTO(vmafx_free_p) VmafxAttemptRef *refs = calloc(n_said + 1, sizeof *refs);

    if (!refs)
        return;
    for (size_t i = 0; i < n_said; i++)
        n += attempt_from(heartbeat->held[i], &refs[n]);
    end_missing(session, refs, n);
    pthread_mutex_lock(&table->lock);
    session->slots_free = (uint32_t)VMAFX_MAX(0, VMAFX_MIN(heartbeat->slots_free, (int32_t)session->slots));
    if (heartbeat->load)
        connect_load(session, heartbeat->load);
    if (!n)
        heartbeat_ack(session, heartbeat->sequence, NULL, 0);
    pthread_mutex_unlock(&table->lock);
    if (n)
        connect_renew(session, refs, n, heartbeat->sequence, true);
    table_dispatch(table);
}

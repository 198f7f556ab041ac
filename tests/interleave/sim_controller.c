/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * A controller: streams of nodes in memory, everything else in the store. It asks fleet/assign.h who gets work and what
 * to make of a node that comes back. A crash loses all of this struct.
 */

#include "sim_internal.h"

#include <string.h>

static bool same(const VmafxAttemptRef *a, const VmafxAttemptRef *b)
{
    return a->attempt == b->attempt && !memcmp(&a->job, &b->job, sizeof a->job);
}

static Op new_op(World *w, uint32_t c, OpKind kind, uint32_t node)
{
    return (Op){ .kind = kind, .controller = c, .life = w->controllers[c].life, .node = node };
}

static void hold(World *w, Stream *stream, const VmafxAttemptRef *ref)
{
    if (stream->n_held == HELD_MAX) {
        sim_broken(w, "a node is given more than it could ever hold");
        return;
    }
    stream->held[stream->n_held++] = *ref;
    stream->view.held = (uint32_t)stream->n_held;
    stream->view.memory_held_mib += w->wanted[sim_job_index(&ref->job)].need_memory_mib;
}

static bool let_go(World *w, Stream *stream, const VmafxAttemptRef *ref)
{
    for (size_t i = 0; i < stream->n_held; i++)
        if (same(&stream->held[i], ref)) {
            stream->held[i] = stream->held[--stream->n_held];
            stream->view.held = (uint32_t)stream->n_held;
            stream->view.memory_held_mib -= w->wanted[sim_job_index(&ref->job)].need_memory_mib;
            return true;
        }
    return false;
}

static void slot_freed(Stream *stream)
{
    if (stream->view.slots_free < stream->view.slots)
        stream->view.slots_free++;
}

/* ---- Giving out work ---- */

static void assign(World *w, uint32_t c)
{
    Controller *controller = &w->controllers[c];
    VmafxNodeView views[N_NODES_MAX];
    VmafxAsk asks[N_NODES_MAX];

    for (uint32_t n = 0; n < w->n_nodes; n++) {
        views[n] = controller->streams[n].view;
        controller->again = controller->again || views[n].asked;
    }
    size_t n_asks = vmafx_assign_plan(views, w->n_nodes, sim_store_queued(w), &controller->cursor, asks);
    for (size_t i = 0; i < n_asks; i++) {
        Op op = new_op(w, c, OP_LEASE, (uint32_t)asks[i].node);
        Stream *stream = &controller->streams[asks[i].node];

        op.slots = asks[i].slots;
        op.memory = asks[i].memory_free_mib;
        op.conn = stream->conn;
        stream->view.asked = asks[i].slots;
        sim_store_op(w, &op);
    }
}

static void end_for_node(World *w, uint32_t c, uint32_t node, const VmafxAttemptRef *ref, VmafxOutcome outcome)
{
    Op op = new_op(w, c, OP_END, node);

    op.end = (Message){ .ref = *ref, .outcome = outcome };
    if (outcome == VMAFX_OUTCOME_FAILED)
        op.end.failure = VMAFX_FAILURE_NODE;
    sim_store_op(w, &op);
}

/* ---- A node says hello ---- */

static void send_assign(World *w, uint32_t c, uint32_t n, const VmafxAttemptRef *ref)
{
    Message message = { .kind = MSG_ASSIGN, .ref = *ref };

    hold(w, &w->controllers[c].streams[n], ref);
    w->ledgers[sim_job_index(&ref->job)].sent = true;
    sim_to_node(w, c, n, &message);
}

static bool is_among(const VmafxAttemptRef *refs, size_t n, const VmafxAttemptRef *ref)
{
    for (size_t i = 0; i < n; i++)
        if (same(&refs[i], ref))
            return true;
    return false;
}

/* fresh: what was leased for the stream before and could not be sent on it any more. It goes out on this one. */
static void welcome(World *w, uint32_t c, uint32_t n, const VmafxAttemptRef *fresh, size_t n_fresh)
{
    Stream *stream = &w->controllers[c].streams[n];
    VmafxAttemptRef stored[HELD_MAX];
    size_t n_stored = sim_store_held(w, n, stored);
    VmafxReturn verdicts[HELD_MAX + HOLDINGS_MAX];
    size_t count = vmafx_node_return(stream->hello.refs, stream->hello.n_refs, stored, n_stored, verdicts);
    Message answer = { .kind = MSG_WELCOME };

    stream->hello_waits = false;
    for (size_t i = 0; i < count; i++) {
        if (verdicts[i].verdict == VMAFX_RETURN_KEPT) {
            hold(w, stream, &verdicts[i].ref);
        } else if (verdicts[i].verdict == VMAFX_RETURN_LOST) {
            answer.refs[answer.n_refs++] = verdicts[i].ref;
        } else if (!is_among(fresh, n_fresh, &verdicts[i].ref)) {
            stream->missing[stream->n_missing++] = verdicts[i].ref;
        }
    }
    SIM_TRACE(w, "c%u: welcome n%u, %zu lost", c, n, answer.n_refs);
    stream->welcomed = stream->view.ready = true;
    sim_to_node(w, c, n, &answer);
    for (size_t i = 0; i < count; i++)
        if (verdicts[i].verdict == VMAFX_RETURN_MISSING && is_among(fresh, n_fresh, &verdicts[i].ref))
            send_assign(w, c, n, &verdicts[i].ref);
    assign(w, c);
}

static void close_stream(World *w, uint32_t c, uint32_t n)
{
    Stream *stream = &w->controllers[c].streams[n];
    uint32_t asked = stream->view.asked; /* the operation goes on, and its answer will come */
    uint32_t conn = stream->conn;

    SIM_TRACE(w, "c%u: stream of n%u ends", c, n);
    memset(stream, 0, sizeof *stream);
    stream->conn = conn;
    stream->view.asked = asked;
}

static void hello(World *w, uint32_t c, uint32_t n, const Message *message)
{
    Stream *stream = &w->controllers[c].streams[n];

    if (message->conn <= stream->conn)
        return; /* from a connection before the one that stands */
    if (stream->open)
        close_stream(w, c, n);
    stream->open = true;
    stream->conn = message->conn;
    stream->heard = w->now;
    stream->hello = *message;
    stream->view.slots = w->nodes[n].slots;
    stream->view.slots_free = message->slots_free;
    stream->view.memory_mib = w->nodes[n].memory;
    stream->view.draining = message->flag;
    if (stream->view.asked)
        stream->hello_waits = true;
    else
        welcome(w, c, n, NULL, 0);
}

/* ---- What nodes send ---- */

static void heartbeat(World *w, uint32_t c, uint32_t n, const Message *message)
{
    Stream *stream = &w->controllers[c].streams[n];
    Op op = new_op(w, c, OP_RENEW, n);

    op.conn = message->conn;
    memcpy(op.refs, message->refs, message->n_refs * sizeof *message->refs);
    op.n_refs = message->n_refs;
    stream->view.slots_free = message->slots_free;
    sim_store_op(w, &op);
    for (size_t i = 0; i < stream->n_missing; i++)
        if (!is_among(message->refs, message->n_refs, &stream->missing[i])) {
            sim_check_missing(w, c, n, &stream->missing[i]);
            end_for_node(w, c, n, &stream->missing[i], VMAFX_OUTCOME_FAILED);
        }
    stream->n_missing = 0;
}

static void end(World *w, uint32_t c, uint32_t n, const Message *message)
{
    Op op = new_op(w, c, OP_END, n);

    slot_freed(&w->controllers[c].streams[n]);
    if (message->flag) { /* its digest is wrong */
        Message resend = { .kind = MSG_END_ACK, .ref = message->ref, .flag = true };
        sim_to_node(w, c, n, &resend);
        return;
    }
    op.conn = message->conn;
    op.end = *message;
    op.has_message = true;
    sim_store_op(w, &op);
}

void sim_controller_message(World *w, uint32_t c, uint32_t n, const Message *message)
{
    Stream *stream = &w->controllers[c].streams[n];

    if (message->kind == MSG_HELLO) {
        hello(w, c, n, message);
        return;
    }
    if (!stream->open || message->conn != stream->conn)
        return;
    stream->heard = w->now;
    if (message->kind == MSG_CLOSED)
        close_stream(w, c, n);
    else if (message->kind == MSG_HEARTBEAT)
        heartbeat(w, c, n, message);
    else if (message->kind == MSG_END)
        end(w, c, n, message);
    else if (message->kind == MSG_DRAINING)
        stream->view.draining = true;
}

/* ---- What the store answers ---- */

static void leased(World *w, uint32_t c, Op *op)
{
    Stream *stream = &w->controllers[c].streams[op->node];
    bool stands = stream->open && stream->welcomed && stream->conn == op->conn;

    stream->view.asked = 0;
    if (stream->hello_waits) {
        welcome(w, c, op->node, op->refs, op->n_refs);
    } else {
        for (size_t i = 0; i < op->n_refs; i++) {
            if (stands) {
                send_assign(w, c, op->node, &op->refs[i]);
                continue;
            }
            w->ledgers[sim_job_index(&op->refs[i].job)].sent = true; /* it will never be, and is back at once */
            end_for_node(w, c, op->node, &op->refs[i], VMAFX_OUTCOME_HANDED_BACK);
        }
    }
    if (op->n_refs == op->slots || w->controllers[c].again) {
        w->controllers[c].again = false;
        assign(w, c);
    }
}

static void renewed(World *w, uint32_t c, const Op *op)
{
    Stream *stream = &w->controllers[c].streams[op->node];
    Message ack = { .kind = MSG_HEARTBEAT_ACK };

    if (!stream->open || stream->conn != op->conn)
        return;
    for (size_t i = 0; !op->err && i < op->n_refs; i++)
        if (op->errs[i] == VMAFX_ERR_LEASE_LOST) {
            ack.refs[ack.n_refs++] = op->refs[i];
            let_go(w, stream, &op->refs[i]);
        }
    sim_to_node(w, c, op->node, &ack);
}

void sim_controller_end(World *w, uint32_t c, const Op *op)
{
    sim_store_op(w, op);
}

static void ended(World *w, uint32_t c, Op *op)
{
    Stream *stream = &w->controllers[c].streams[op->node];
    Message ack = { .kind = MSG_END_ACK, .ref = op->end.ref, .kept = !op->err };

    if (op->err == VMAFX_ERR_IO) { /* only its disk knows how long; the node keeps its spool meanwhile */
        sim_event(w, w->now + SECOND, EV_RETRY_END, c, op->life)->op = *op;
        return;
    }
    if (op->err && op->err != VMAFX_ERR_LEASE_LOST)
        sim_broken(w, "an end is neither stored nor fenced off");
    if (!op->has_message)
        return;
    let_go(w, stream, &op->end.ref);
    if (stream->open && stream->conn == op->conn)
        sim_to_node(w, c, op->node, &ack);
    assign(w, c);
}

static void client_answer(World *w, const Op *op)
{
    Ledger *ledger = &w->ledgers[op->job];

    if (op->kind == OP_SUBMIT && !op->err)
        ledger->accepted = true;
    if (op->kind == OP_CANCEL && !op->err)
        ledger->cancel_told = true;
}

void sim_controller_answer(World *w, uint32_t c, Op *op)
{
    Controller *controller = &w->controllers[c];

    if (op->err == VMAFX_ERR_IO)
        vmafx_sweep_store_failed(&controller->sweep);
    switch (op->kind) {
    case OP_SUBMIT:
    case OP_CANCEL:
        client_answer(w, op);
        break;
    case OP_LEASE:
        leased(w, c, op);
        break;
    case OP_RENEW:
        renewed(w, c, op);
        break;
    case OP_END:
        ended(w, c, op);
        break;
    case OP_EXPIRE:
        break;
    case OP_GRACE:
        vmafx_sweep_answered(&controller->sweep, op->at, !op->err);
        break;
    }
}

/* ---- News and timers ---- */

/* Another than the node has ended what it has: it is told at once. */
static void attempt_ended(World *w, uint32_t c, const LogEntry *entry)
{
    Stream *stream = &w->controllers[c].streams[entry->node];
    bool said_by_node = entry->outcome != VMAFX_OUTCOME_CANCELLED && entry->outcome != VMAFX_OUTCOME_LOST &&
                        entry->outcome != VMAFX_OUTCOME_TIMEOUT;
    Message cancel = { .kind = MSG_CANCEL, .ref = entry->ref };

    /* Whoever said so: an end may have come on a stream before the one that stands now. */
    if (!stream->welcomed || !let_go(w, stream, &entry->ref) || said_by_node)
        return;
    slot_freed(stream);
    sim_to_node(w, c, entry->node, &cancel);
}

void sim_controller_notify(World *w, uint32_t c)
{
    Controller *controller = &w->controllers[c];

    for (; controller->log_cursor < w->store.n_log; controller->log_cursor++) {
        const LogEntry *entry = &w->store.log[controller->log_cursor];

        if (entry->kind == VMAFX_EVENT_ATTEMPT_ENDED)
            attempt_ended(w, c, entry);
    }
    assign(w, c);
}

void sim_controller_sweep(World *w, uint32_t c)
{
    Controller *controller = &w->controllers[c];
    bool stalled = w->now - controller->sweep.ticked > LEASE / 3; /* then what nodes have sent is still to be read */
    VmafxSweepDo what = vmafx_sweep_tick(&controller->sweep, &sim_rules, w->now);

    for (uint32_t n = 0; n < w->n_nodes; n++)
        if (controller->streams[n].open && w->now - controller->streams[n].heard > SILENCE && !stalled)
            close_stream(w, c, n);
    if (what != VMAFX_SWEEP_NOTHING) {
        Op op = new_op(w, c, what == VMAFX_SWEEP_EXPIRE ? OP_EXPIRE : OP_GRACE, 0);
        sim_store_op(w, &op);
    }
    assign(w, c);
    sim_event(w, w->now + SWEEP, EV_SWEEP, c, controller->life);
}

void sim_controller_start(World *w, uint32_t c)
{
    Controller *controller = &w->controllers[c];
    uint32_t life = controller->life;

    SIM_TRACE(w, "c%u starts", c);
    *controller = (Controller){ .up = true,
                                .life = life,
                                .frozen_until = controller->frozen_until,
                                .serving_since = w->now,
                                .log_cursor = w->store.n_log };
    sim_event(w, w->now, EV_SWEEP, c, life);
}

void sim_controller_crash(World *w, uint32_t c)
{
    w->controllers[c].up = false;
    w->controllers[c].life++;
    sim_store_forget(w, c);
}

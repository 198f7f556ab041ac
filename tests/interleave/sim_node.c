/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* A node: fleet/holdings.h decides, this does as it is told. A crash leaves the spool and nothing else. */

#include "sim_internal.h"

#include <string.h>

static bool same(const VmafxAttemptRef *a, const VmafxAttemptRef *b)
{
    return a->attempt == b->attempt && !memcmp(&a->job, &b->job, sizeof a->job);
}

static Spooled *spooled(Node *node, const VmafxAttemptRef *ref)
{
    for (size_t i = 0; i < node->n_spool; i++)
        if (same(&node->spool[i].ref, ref))
            return &node->spool[i];
    return NULL;
}

/* ---- What holdings.h says ---- */

static void drop(World *w, uint32_t n, const VmafxAttemptRef *ref)
{
    Node *node = &w->nodes[n];
    Spooled *entry = spooled(node, ref);

    sim_check_drop(w, n, ref);
    if (entry)
        *entry = node->spool[--node->n_spool];
}

static void send_end(World *w, uint32_t n, const VmafxHoldingAction *action)
{
    Node *node = &w->nodes[n];
    Spooled *entry = spooled(node, &action->ref);
    Message end = { .kind = MSG_END, .ref = action->ref, .outcome = action->outcome };

    if (!entry != (action->outcome == VMAFX_OUTCOME_HANDED_BACK))
        sim_broken(w, "node n%u is to send what is not in its spool", n);
    if (!node->holdings.connected)
        sim_broken(w, "node n%u is to send without a stream", n);
    if (entry) {
        entry->sent_on = node->conn;
        end.failure = entry->failure;
        end.may_pass = entry->may_pass;
        if (entry->outcome != action->outcome)
            sim_broken(w, "node n%u is to send another outcome than it spooled", n);
    }
    if (node->corrupt) {
        node->corrupt--;
        end.flag = true;
    }
    sim_to_controller(w, n, &end);
}

static void work(World *w, uint32_t n, const VmafxAttemptRef *ref)
{
    Node *node = &w->nodes[n];
    uint32_t kind = (uint32_t)sim_between(w, 0, 99);
    int64_t span = sim_chance(w, 70) ? sim_between(w, 20 * MS, SECOND) : sim_between(w, SECOND, 8 * SECOND);

    if (kind == 0)
        return; /* it hangs, and its node does not see it: the controller must */
    sim_event(w, w->now + w->wanted[sim_job_index(&ref->job)].timeout_us, EV_WORK_TIMEOUT, n, node->life)->work.ref =
        *ref;
    if (kind == 1)
        return; /* it hangs */
    Event *event = sim_event(w, w->now + span, EV_WORK_ENDED, n, node->life);
    event->work.ref = *ref;
    event->work.killed = false;
    event->work.may_pass = kind < 6;
    event->work.outcome = kind < 16 ? VMAFX_OUTCOME_FAILED : VMAFX_OUTCOME_SUCCEEDED;
    event->work.failure = kind >= 16  ? VMAFX_FAILURE_NONE
                          : kind < 10 ? VMAFX_FAILURE_INPUT
                          : kind < 13 ? VMAFX_FAILURE_NODE
                                      : VMAFX_FAILURE_RESOURCE;
}

static void stop(World *w, uint32_t n, const VmafxAttemptRef *ref)
{
    Event *event = sim_event(w, w->now + sim_between(w, MS, 100 * MS), EV_WORK_ENDED, n, w->nodes[n].life);

    event->work.ref = *ref;
    event->work.killed = true;
    event->work.may_pass = false;
    event->work.outcome = VMAFX_OUTCOME_FAILED;
    event->work.failure = VMAFX_FAILURE_NODE;
}

static void carry_out(World *w, uint32_t n)
{
    Node *node = &w->nodes[n];
    VmafxHoldingAction action;

    sim_check_node(w, n);
    while (vmafx_holdings_next(&node->holdings, &action)) {
        static const char *const words[] = { "", "drops", "stops", "sends the end of", "starts" };

        SIM_TRACE(w, "n%u %s job %u attempt %d", n, words[action.what], sim_job_index(&action.ref.job),
                  action.ref.attempt);
        if (action.what == VMAFX_DO_DROP)
            drop(w, n, &action.ref);
        else if (action.what == VMAFX_DO_STOP)
            stop(w, n, &action.ref);
        else if (action.what == VMAFX_DO_SEND)
            send_end(w, n, &action);
        else
            work(w, n, &action.ref);
        sim_check_node(w, n);
    }
}

/* ---- Life ---- */

static void plan_connect(World *w, uint32_t n)
{
    sim_event(w, w->now + sim_between(w, 5 * MS, 400 * MS), EV_CONNECT, n, w->nodes[n].life);
}

void sim_node_boot(World *w, uint32_t n)
{
    Node *node = &w->nodes[n];

    SIM_TRACE(w, "n%u starts, %zu in its spool", n, node->n_spool);
    if (node->up) { /* restarted after a drain */
        node->lost_upto = node->conn;
        node->life++;
    }
    node->up = true;
    node->heard = INT64_MAX;
    if (vmafx_holdings_init(&node->holdings, node->items, HOLDINGS_MAX, node->slots))
        sim_broken(w, "holdings cannot be made");
    for (size_t i = 0; i < node->n_spool; i++)
        if (vmafx_holdings_restore(&node->holdings, &node->spool[i].ref, node->spool[i].outcome))
            sim_broken(w, "the spool of n%u cannot be taken up", n);
    carry_out(w, n);
    plan_connect(w, n);
    sim_event(w, w->now + sim_between(w, 1, HEARTBEAT), EV_BEAT, n, node->life);
}

void sim_node_crash(World *w, uint32_t n)
{
    w->nodes[n].up = false;
    w->nodes[n].life++;
}

void sim_node_connect(World *w, uint32_t n)
{
    Node *node = &w->nodes[n];
    Message hello = { .kind = MSG_HELLO, .slots_free = vmafx_holdings_slots_free(&node->holdings) };

    if (node->heard != INT64_MAX)
        return; /* it has a stream by now */
    node->to = (uint32_t)sim_between(w, 0, w->n_controllers - 1);
    node->conn++;
    node->heard = w->now;
    node->last_to_node = node->last_to_controller = w->now;
    hello.n_refs = vmafx_holdings_held(&node->holdings, hello.refs);
    hello.flag = node->holdings.draining;
    SIM_TRACE(w, "n%u says hello to c%u, holding %zu", n, node->to, hello.n_refs);
    sim_to_controller(w, n, &hello);
}

void sim_node_closed(World *w, uint32_t n)
{
    SIM_TRACE(w, "n%u has lost its stream", n);
    vmafx_holdings_disconnect(&w->nodes[n].holdings);
    w->nodes[n].conn++; /* what still comes on the old one is not for us */
    w->nodes[n].heard = INT64_MAX;
    carry_out(w, n);
    plan_connect(w, n);
}

void sim_node_beat(World *w, uint32_t n)
{
    Node *node = &w->nodes[n];
    Message beat = { .kind = MSG_HEARTBEAT, .slots_free = vmafx_holdings_slots_free(&node->holdings) };

    sim_event(w, w->now + HEARTBEAT, EV_BEAT, n, node->life);
    if (node->heard < w->now - SILENCE) {
        sim_node_closed(w, n);
        return;
    }
    if (!node->holdings.connected)
        return;
    for (size_t i = 0; i < node->n_spool; i++)
        if (node->spool[i].sent_on != node->conn)
            sim_broken(w, "node n%u has not sent an end of its spool on the stream that stands", n);
    beat.n_refs = vmafx_holdings_held(&node->holdings, beat.refs);
    sim_to_controller(w, n, &beat);
}

void sim_node_message(World *w, uint32_t n, const Message *message)
{
    Node *node = &w->nodes[n];
    VmafxHoldings *h = &node->holdings;

    node->heard = w->now;
    switch (message->kind) {
    case MSG_WELCOME:
        vmafx_holdings_welcome(h, message->refs, message->n_refs);
        break;
    case MSG_ASSIGN:
        if (vmafx_holdings_assign(h, &message->ref)) {
            Message end = { .kind = MSG_END, .ref = message->ref, .outcome = VMAFX_OUTCOME_HANDED_BACK };
            SIM_TRACE(w, "n%u has no room", n);
            sim_to_controller(w, n, &end);
        }
        break;
    case MSG_CANCEL:
        vmafx_holdings_cancel(h, &message->ref);
        break;
    case MSG_END_ACK:
        vmafx_holdings_ack(h, &message->ref, message->flag);
        break;
    case MSG_HEARTBEAT_ACK:
        for (size_t i = 0; i < message->n_refs; i++)
            vmafx_holdings_cancel(h, &message->refs[i]);
        break;
    default:
        break;
    }
    carry_out(w, n);
}

void sim_node_drain(World *w, uint32_t n, bool finish)
{
    Message draining = { .kind = MSG_DRAINING };

    if (!w->nodes[n].up)
        return;
    vmafx_holdings_drain(&w->nodes[n].holdings, finish);
    if (w->nodes[n].holdings.connected)
        sim_to_controller(w, n, &draining);
    carry_out(w, n);
}

/* ---- Work ---- */

void sim_node_work_ended(World *w, uint32_t n, const Event *event)
{
    Node *node = &w->nodes[n];
    const VmafxHolding *item = vmafx_holdings_find(&node->holdings, &event->work.ref);
    VmafxOutcome reported;

    /* The end of a process that was killed comes once: either it got done before, or this is it. */
    if (!item || (item->state != VMAFX_HOLDING_RUNNING && item->state != VMAFX_HOLDING_STOPPING))
        return;
    if (vmafx_holdings_ended(&node->holdings, &event->work.ref, event->work.outcome, &reported)) {
        sim_broken(w, "an end is refused by the node that made it");
        return;
    }
    if (reported && reported != VMAFX_OUTCOME_HANDED_BACK) {
        if (node->n_spool == HOLDINGS_MAX)
            sim_broken(w, "the spool of n%u has run over", n);
        else
            node->spool[node->n_spool++] =
                (Spooled){ event->work.ref, reported, event->work.failure, event->work.may_pass, 0 };
    }
    carry_out(w, n);
}

void sim_node_work_timeout(World *w, uint32_t n, const Event *event)
{
    vmafx_holdings_timeout(&w->nodes[n].holdings, &event->work.ref);
    carry_out(w, n);
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The world: time, chance, the network, clients, and faults as they come. */

#include "sim_internal.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

const VmafxFleetRules sim_rules = { .lease_us = LEASE, .backoff_us = 100 * MS, .backoff_max_us = 2 * SECOND };

/* ---- Chance and time ---- */

/* splitmix64 (Steele, Lea, Flood, 2014): one number of state, so an episode is its seed. */
static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

uint64_t sim_random(World *w)
{
    return next_random(&w->random);
}

static int64_t between(uint64_t *state, int64_t low, int64_t high)
{
    return low + (int64_t)(next_random(state) % (uint64_t)(high - low + 1));
}

int64_t sim_between(World *w, int64_t low, int64_t high)
{
    return between(&w->random, low, high);
}

bool sim_chance(World *w, unsigned percent)
{
    return sim_random(w) % 100 < percent;
}

static bool is_sooner(const Event *a, const Event *b)
{
    return a->at < b->at || (a->at == b->at && a->seq < b->seq);
}

static void *need(void *p)
{
    if (p)
        return p;
    fprintf(stderr, "simulation: out of memory\n");
    exit(1);
}

static void push(World *w, Event *event)
{
    if (w->n_heap == w->cap_heap) {
        w->cap_heap = w->cap_heap ? 2 * w->cap_heap : 256;
        w->heap = need(realloc(w->heap, w->cap_heap * sizeof *w->heap));
    }
    event->seq = w->seq++;
    size_t i = w->n_heap++;
    for (; i && is_sooner(event, w->heap[(i - 1) / 2]); i = (i - 1) / 2)
        w->heap[i] = w->heap[(i - 1) / 2];
    w->heap[i] = event;
}

static Event *pop(World *w)
{
    Event *first = w->heap[0], *last = w->heap[--w->n_heap];
    size_t i = 0;

    for (size_t child; (child = 2 * i + 1) < w->n_heap; i = child) {
        if (child + 1 < w->n_heap && is_sooner(w->heap[child + 1], w->heap[child]))
            child++;
        if (!is_sooner(w->heap[child], last))
            break;
        w->heap[i] = w->heap[child];
    }
    w->heap[i] = last;
    return first;
}

Event *sim_event(World *w, int64_t at, EventKind kind, uint32_t who, uint32_t life)
{
    Event *event = w->n_spare ? w->spare[--w->n_spare] : need(malloc(sizeof *event));

    event->at = at;
    event->kind = kind;
    event->who = who;
    event->life = life;
    push(w, event);
    return event;
}

static void let_go(World *w, Event *event)
{
    if (w->n_spare < VMAFX_LEN(w->spare))
        w->spare[w->n_spare++] = event;
    else
        free(event);
}

void sim_line(World *w, const char *fmt, ...)
{
    char *line = w->lines[w->n_lines++ % TRACE_LINES];
    int n = snprintf(line, sizeof w->lines[0], "%10.6f  ", (double)w->now / 1e6);
    va_list args;

    va_start(args, fmt);
    vsnprintf(line + n, sizeof w->lines[0] - (size_t)n, fmt, args);
    va_end(args);
}

/* ---- The network ---- */

/* Messages of a connection arrive in order, each once, or it is broken. */
static int64_t arrival(World *w, int64_t *last)
{
    int64_t at = w->now + (sim_chance(w, 4) ? sim_between(w, 40 * MS, 300 * MS) : sim_between(w, 200, 20 * MS));

    return *last = VMAFX_MAX(at, *last + 1);
}

static bool comes_twice(World *w, Node *node, const Message *message)
{
    if (!node->duplicate || message->kind == MSG_HELLO || message->kind == MSG_WELCOME)
        return false;
    node->duplicate--;
    return true;
}

static void deliver(World *w, EventKind kind, uint32_t who, Node *node, int64_t *last, const Message *message)
{
    for (int times = comes_twice(w, node, message) ? 2 : 1; times; times--)
        sim_event(w, arrival(w, last), kind, who, 0)->message = *message;
}

void sim_to_node(World *w, uint32_t controller, uint32_t node, const Message *message)
{
    Message copy = *message;

    copy.node = node;
    copy.conn = w->controllers[controller].streams[node].conn;
    deliver(w, EV_TO_NODE, node, &w->nodes[node], &w->nodes[node].last_to_node, &copy);
}

void sim_to_controller(World *w, uint32_t node, const Message *message)
{
    Message copy = *message;

    copy.node = node;
    copy.conn = w->nodes[node].conn;
    deliver(w, EV_TO_CONTROLLER, w->nodes[node].to, &w->nodes[node], &w->nodes[node].last_to_controller, &copy);
}

static void tell_closed(World *w, EventKind kind, uint32_t who, uint32_t node, uint32_t conn)
{
    Message closed = { .kind = MSG_CLOSED, .node = node, .conn = conn };

    sim_event(w, w->now + sim_between(w, 1, 50 * MS), kind, who, 0)->message = closed;
}

static void lose_connection(World *w, uint32_t n, bool node_notices, bool controller_notices)
{
    Node *node = &w->nodes[n];

    if (node->conn <= node->lost_upto)
        return;
    node->lost_upto = node->conn;
    if (node_notices)
        tell_closed(w, EV_TO_NODE, n, n, node->conn);
    if (controller_notices)
        tell_closed(w, EV_TO_CONTROLLER, node->to, n, node->conn);
}

/* Does it get through? What does not breaks the connection: nothing after it may arrive. */
static bool gets_through(World *w, const Message *message)
{
    Node *node = &w->nodes[message->node];

    if (message->kind == MSG_CLOSED)
        return true;
    if (message->conn > node->lost_upto && node->cut_until > w->now)
        node->lost_upto = message->conn;
    return message->conn > node->lost_upto;
}

static void arrive_at_controller(World *w, uint32_t c, const Message *message)
{
    if (!gets_through(w, message))
        return;
    if (w->controllers[c].up)
        sim_controller_message(w, c, message->node, message);
    else if (message->conn == w->nodes[message->node].conn)
        lose_connection(w, message->node, true, false); /* nobody listens there */
}

static void arrive_at_node(World *w, uint32_t n, const Message *message)
{
    Node *node = &w->nodes[n];

    if (!gets_through(w, message) || !node->up || message->conn != node->conn)
        return;
    if (message->kind == MSG_CLOSED)
        sim_node_closed(w, n);
    else
        sim_node_message(w, n, message);
}

/* ---- Faults ---- */

const char *sim_fault_name(SimFaultKind kind)
{
    static const char *const names[SIM_FAULT_KINDS] = {
        [SIM_CONTROLLER_CRASH] = "controller crashes",
        [SIM_CONTROLLER_FREEZE] = "controller stands still",
        [SIM_NODE_CRASH] = "node crashes",
        [SIM_NODE_FREEZE] = "node stands still",
        [SIM_CONNECTION_LOSS] = "connection lost, node",
        [SIM_CONNECTION_HALF] = "connection half open, node",
        [SIM_CUT] = "nothing gets through, node",
        [SIM_DUPLICATE] = "messages come twice, node",
        [SIM_CORRUPT] = "result damaged, node",
        [SIM_STORE_ERRORS] = "store cannot write",
        [SIM_STORE_SLOW] = "store is slow",
        [SIM_CLOCK_JUMP] = "store's clock jumps forward",
        [SIM_CLOCK_STOP] = "store's clock stands still",
        [SIM_DRAIN] = "node drains",
        [SIM_DRAIN_HARD] = "node drains, handing back",
    };

    return names[kind];
}

size_t sim_make_faults(uint64_t seed, SimFault ret[SIM_FAULTS_MAX])
{
    uint64_t state = seed ^ 0x5eedfa017ull;
    size_t n = (size_t)between(&state, 0, 40);

    for (size_t i = 0; i < n; i++) {
        SimFault *fault = &ret[i];
        int64_t longest = between(&state, 0, 3) ? 2 * SECOND : 12 * SECOND;

        fault->kind = (SimFaultKind)between(&state, 0, SIM_FAULT_KINDS - 1);
        fault->at = between(&state, 0, FAULTS_END - 1);
        fault->target = (uint32_t)between(&state, 0, 15);
        fault->span = VMAFX_MIN(between(&state, 10 * MS, longest), FAULTS_END - fault->at);
        if (fault->kind == SIM_CLOCK_JUMP && !between(&state, 0, 3))
            fault->span = between(&state, 60 * SECOND, 7200 * SECOND);
    }
    return n;
}

static void crash_controller(World *w, uint32_t c, int64_t span)
{
    if (!w->controllers[c].up)
        return;
    sim_controller_crash(w, c);
    for (uint32_t n = 0; n < w->n_nodes; n++)
        if (w->nodes[n].to == c)
            lose_connection(w, n, sim_chance(w, 70), false);
    sim_event(w, w->now + span, EV_START, c, 0);
}

static void crash_node(World *w, uint32_t n, int64_t span)
{
    if (!w->nodes[n].up)
        return;
    lose_connection(w, n, false, sim_chance(w, 60));
    sim_node_crash(w, n);
    sim_event(w, w->now + span, EV_BOOT, n, w->nodes[n].life);
}

static void strike(World *w, const SimFault *fault)
{
    uint32_t c = fault->target % w->n_controllers, n = fault->target % w->n_nodes;
    int64_t until = w->now + fault->span;
    Store *store = &w->store;

    SIM_TRACE(w, "*** %s %u, %.3f s", sim_fault_name(fault->kind), fault->target, (double)fault->span / 1e6);
    switch (fault->kind) {
    case SIM_CONTROLLER_CRASH:
        crash_controller(w, c, fault->span);
        break;
    case SIM_CONTROLLER_FREEZE:
        w->controllers[c].frozen_until = VMAFX_MAX(w->controllers[c].frozen_until, until);
        if (fault->span > LEASE / 2)
            w->controllers[c].serving_since = w->controllers[c].frozen_until;
        break;
    case SIM_NODE_CRASH:
        crash_node(w, n, fault->span);
        break;
    case SIM_NODE_FREEZE:
        w->nodes[n].frozen_until = VMAFX_MAX(w->nodes[n].frozen_until, until);
        break;
    case SIM_CONNECTION_LOSS:
        lose_connection(w, n, true, true);
        break;
    case SIM_CONNECTION_HALF:
        if (w->nodes[n].conn > w->nodes[n].lost_upto)
            tell_closed(w, EV_TO_NODE, n, n, w->nodes[n].conn);
        break;
    case SIM_CUT:
        w->nodes[n].cut_until = VMAFX_MAX(w->nodes[n].cut_until, until);
        break;
    case SIM_DUPLICATE:
        w->nodes[n].duplicate += 1 + fault->target / 2;
        break;
    case SIM_CORRUPT:
        w->nodes[n].corrupt++;
        break;
    case SIM_STORE_ERRORS:
        store->errors_until = VMAFX_MAX(store->errors_until, until);
        break;
    case SIM_STORE_SLOW:
        store->slow_until = VMAFX_MAX(store->slow_until, until);
        break;
    case SIM_CLOCK_JUMP:
        store->offset += fault->span;
        store->jump += fault->span;
        break;
    case SIM_CLOCK_STOP:
        store->offset -= fault->span;
        break;
    case SIM_DRAIN:
    case SIM_DRAIN_HARD:
        sim_node_drain(w, n, fault->kind == SIM_DRAIN);
        sim_event(w, until, EV_BOOT, n, w->nodes[n].life);
        break;
    case SIM_FAULT_KINDS:
        break;
    }
}

/* ---- Clients ---- */

static void client_op(World *w, OpKind kind, EventKind again, uint32_t job)
{
    uint32_t c = (uint32_t)sim_between(w, 0, w->n_controllers - 1);
    bool known = kind == OP_SUBMIT ? w->ledgers[job].accepted : w->ledgers[job].cancel_told;

    if (known)
        return;
    sim_event(w, w->now + sim_between(w, SECOND, 4 * SECOND), again, 0, 0)->index = job; /* in case no answer comes */
    if (!w->controllers[c].up || w->controllers[c].frozen_until > w->now)
        return;
    Op op = { .kind = kind, .controller = c, .life = w->controllers[c].life, .job = job };
    sim_store_op(w, &op);
}

static void make_job(World *w, uint32_t i)
{
    VmafxJob *job = &w->wanted[i];
    uint8_t random[10] = { 0 };

    random[9] = (uint8_t)(i + 1);
    w->submitter[i] = i < N_JOBS / 3 ? 0 : (uint32_t)sim_between(w, 0, N_SUBMITTERS - 1);
    w->level[i] = sim_chance(w, 15);
    int64_t at = i < N_JOBS / 3 ? sim_between(w, 0, SECOND) : sim_between(w, 0, FAULTS_END - 5 * SECOND);
    *job = (VmafxJob){ .priority = w->level[i] ? 5 : 0,
                       .deadline = sim_chance(w, 15) ? WALL_BEGIN + at + sim_between(w, SECOND, 50 * SECOND) : 0,
                       .timeout_us = sim_between(w, 4, 20) * SECOND,
                       .attempt_limit = (int32_t)sim_between(w, 1, 5),
                       .need_memory_mib = w->even ? 1 : (int32_t)sim_between(w, 0, 2) };
    snprintf(job->submitter, sizeof job->submitter, "s%u", w->submitter[i]);
    vmafx_job_id_make(WALL_BEGIN + at, random, &job->id);
    sim_event(w, at, EV_SUBMIT, 0, 0)->index = i;
    if (sim_chance(w, 12))
        sim_event(w, at + sim_between(w, 0, 30 * SECOND), EV_CANCEL, 0, 0)->index = i;
}

/* ---- The loop ---- */

static int64_t frozen_until(const World *w, const Event *event)
{
    switch (event->kind) {
    case EV_TO_CONTROLLER:
    case EV_ANSWER:
    case EV_NOTIFY:
    case EV_SWEEP:
    case EV_RETRY_END:
        return w->controllers[event->who].frozen_until;
    case EV_TO_NODE:
    case EV_CONNECT:
    case EV_BEAT:
    case EV_WORK_ENDED:
    case EV_WORK_TIMEOUT:
        return w->nodes[event->who].frozen_until;
    default:
        return 0;
    }
}

/* Planned before a crash, for one who did not live to see it? */
static bool is_void(const World *w, const Event *event)
{
    switch (event->kind) {
    case EV_ANSWER:
    case EV_NOTIFY:
    case EV_SWEEP:
    case EV_RETRY_END:
        return !w->controllers[event->who].up || event->life != w->controllers[event->who].life;
    case EV_BOOT:
    case EV_CONNECT:
    case EV_BEAT:
    case EV_WORK_ENDED:
    case EV_WORK_TIMEOUT:
        return event->life != w->nodes[event->who].life;
    default:
        return false;
    }
}

static void happen(World *w, Event *event)
{
    uint32_t who = event->who;

    switch (event->kind) {
    case EV_FAULT:
        strike(w, &w->faults[event->index]);
        break;
    case EV_TO_CONTROLLER:
        arrive_at_controller(w, who, &event->message);
        break;
    case EV_TO_NODE:
        arrive_at_node(w, who, &event->message);
        break;
    case EV_COMMIT:
        sim_store_commit(w);
        break;
    case EV_ANSWER:
        sim_controller_answer(w, who, &event->op);
        break;
    case EV_NOTIFY:
        sim_controller_notify(w, who);
        break;
    case EV_SWEEP:
        sim_controller_sweep(w, who);
        break;
    case EV_RETRY_END:
        sim_controller_end(w, who, &event->op);
        break;
    case EV_START:
        sim_controller_start(w, who);
        break;
    case EV_SUBMIT:
        client_op(w, OP_SUBMIT, EV_SUBMIT, event->index);
        break;
    case EV_CANCEL:
        client_op(w, OP_CANCEL, EV_CANCEL, event->index);
        break;
    case EV_BOOT:
        sim_node_boot(w, who);
        break;
    case EV_CONNECT:
        sim_node_connect(w, who);
        break;
    case EV_BEAT:
        sim_node_beat(w, who);
        break;
    case EV_WORK_ENDED:
        sim_node_work_ended(w, who, event);
        break;
    case EV_WORK_TIMEOUT:
        sim_node_work_timeout(w, who, event);
        break;
    case EV_AUDIT:
        sim_check_audit(w);
        sim_event(w, w->now + 500 * MS, EV_AUDIT, 0, 0);
        break;
    }
}

static void begin(World *w, uint64_t seed)
{
    w->random = seed;
    w->n_controllers = (uint32_t)sim_between(w, 1, N_CONTROLLERS_MAX);
    w->n_nodes = (uint32_t)sim_between(w, 1, N_NODES_MAX);
    w->even = sim_chance(w, 50);
    for (size_t i = 0; i < w->n_faults; i++)
        sim_event(w, w->faults[i].at, EV_FAULT, 0, 0)->index = (uint32_t)i;
    for (uint32_t c = 0; c < w->n_controllers; c++)
        sim_event(w, sim_between(w, 0, SECOND), EV_START, c, 0);
    for (uint32_t n = 0; n < w->n_nodes; n++) {
        w->nodes[n].slots = (uint32_t)sim_between(w, 1, SLOTS_MAX);
        w->nodes[n].memory = w->even ? w->nodes[n].slots : (int64_t)sim_between(w, 2, 4);
        sim_event(w, sim_between(w, 0, SECOND), EV_BOOT, n, 0);
    }
    for (uint32_t i = 0; i < N_JOBS; i++)
        make_job(w, i);
    sim_event(w, FAULTS_END + 4 * LEASE, EV_AUDIT, 0, 0);
}

static bool is_over(const World *w)
{
    return w->now > FAULTS_END && sim_check_all_ended(w);
}

static void print_trace(const World *w, FILE *trace)
{
    for (size_t i = w->n_lines > TRACE_LINES ? w->n_lines - TRACE_LINES : 0; i < w->n_lines; i++)
        fprintf(trace, "  %s\n", w->lines[i % TRACE_LINES]);
}

static void free_world(World *w)
{
    for (size_t i = 0; i < w->n_heap; i++)
        free(w->heap[i]);
    for (size_t i = 0; i < w->n_spare; i++)
        free(w->spare[i]);
    free(w->heap);
    free(w->lines);
    free(w);
}

void sim_run(uint64_t seed, const SimFault *faults, size_t n_faults, FILE *trace, SimResult *ret)
{
    World *w = need(calloc(1, sizeof *w));

    *ret = (SimResult){ 0 };
    w->result = ret;
    w->faults = faults;
    w->n_faults = n_faults;
    if (trace)
        w->lines = need(calloc(TRACE_LINES, sizeof *w->lines));
    begin(w, seed);
    while (!ret->failed && !(ret->steps % 64 == 0 && is_over(w))) {
        Event *event = pop(w);

        w->now = event->at;
        ret->steps++;
        if (is_void(w, event)) {
            let_go(w, event);
        } else if (frozen_until(w, event) > w->now) {
            event->at = frozen_until(w, event);
            push(w, event);
        } else {
            happen(w, event);
            let_go(w, event);
        }
        if (w->now > EPISODE_LIMIT)
            sim_broken(w, "not everything has ended, long after the last fault");
    }
    if (!ret->failed)
        sim_check_end(w);
    if (trace && ret->failed)
        print_trace(w, trace);
    free_world(w);
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The store: an array of rows, stepped by the same functions as the real one steps its own. Operations wait for the
 * next group; a group is on disk at once or not at all; answers and news come after it.
 */

#include "sim_internal.h"

#include <string.h>

VmafxWall sim_wall(World *w)
{
    return w->store.last = VMAFX_MAX(w->store.last, WALL_BEGIN + w->now + w->store.offset);
}

uint32_t sim_job_index(const VmafxJobId *id)
{
    return (uint32_t)id->bytes[15] - 1;
}

static uint32_t node_index(const char *name)
{
    return (uint32_t)(name[1] - '0');
}

static void node_name(uint32_t node, char ret[4])
{
    snprintf(ret, 4, "n%u", node % 10);
}

void sim_store_op(World *w, const Op *op)
{
    Store *store = &w->store;

    if (store->n == OPS_MAX) {
        sim_broken(w, "the store's queue of operations has run full");
        return;
    }
    store->queue[(store->first + store->n) % OPS_MAX] = *op;
    Op *mine = &store->queue[(store->first + store->n++) % OPS_MAX];
    mine->at = w->now;
    mine->wall = sim_wall(w);
    mine->serving_since = w->controllers[op->controller].serving_since;
    if (store->commit_planned)
        return;
    store->commit_planned = true;
    bool slow = store->slow_until > w->now;
    sim_event(w, w->now + (slow ? sim_between(w, 300 * MS, 2500 * MS) : sim_between(w, MS, 8 * MS)), EV_COMMIT, 0, 0);
}

void sim_store_forget(World *w, uint32_t controller)
{
    Store *store = &w->store;
    size_t n = store->n, kept = 0;
    bool forget = false;

    /* What was handed over first may just have made it. */
    for (size_t i = 0; i < n; i++) {
        Op *op = &store->queue[(store->first + i) % OPS_MAX];

        forget = forget || sim_chance(w, 30);
        if (op->controller != controller || !forget)
            store->queue[(store->first + kept++) % OPS_MAX] = *op;
    }
    store->n = kept;
}

size_t sim_store_held(const World *w, uint32_t node, VmafxAttemptRef *ret)
{
    size_t n = 0;

    for (uint32_t i = 0; i < N_JOBS && n < HELD_MAX; i++) {
        const VmafxJob *job = &w->store.jobs[i];

        if (job->state == VMAFX_JOB_RUNNING && node_index(job->task.node) == node)
            ret[n++] = (VmafxAttemptRef){ job->id, job->task.attempt };
    }
    return n;
}

uint64_t sim_store_queued(const World *w)
{
    uint64_t n = 0;

    for (uint32_t i = 0; i < N_JOBS; i++)
        n += w->store.jobs[i].state == VMAFX_JOB_QUEUED;
    return n;
}

/* ---- Steps ---- */

/* The row is stored with its events; all that the rules say is looked at here. */
static void write_step(World *w, uint32_t i, const VmafxJob *row, const VmafxStep *step)
{
    Store *store = &w->store;
    VmafxJob before = store->jobs[i];

    store->jobs[i] = *row;
    sim_check_step(w, i, step, &before);
    for (size_t e = 0; e < step->n; e++) {
        const VmafxEvent *event = &step->events[e];

        SIM_TRACE(w, "store: job %u %s, attempt %d %s %s", i, vmafx_event_kind_name(event->kind), event->attempt,
                  event->node, event->kind == VMAFX_EVENT_ATTEMPT_ENDED ? vmafx_outcome_name(event->outcome) : "");
        if (store->n_log == LOG_MAX)
            sim_broken(w, "there are more events than any good run has");
        else
            store->log[store->n_log++] = (LogEntry){ i,
                                                     event->kind,
                                                     { event->job, event->attempt },
                                                     event->outcome,
                                                     event->node[0] ? node_index(event->node) : 0 };
    }
}

static bool expire_row(World *w, uint32_t i, VmafxWall wall)
{
    VmafxJob row = w->store.jobs[i];
    VmafxStep step;
    bool was_new = row.state == VMAFX_JOB_QUEUED;

    if (vmafx_job_expire(&row, &sim_rules, wall, &step))
        return false;
    write_step(w, i, &row, &step);
    if (was_new)
        sim_check_taken_out(w, i);
    return true;
}

static void run_submit(World *w, Op *op)
{
    uint32_t s = w->submitter[op->job], level = w->level[op->job];
    VmafxJob row = w->wanted[op->job];
    VmafxStep step;

    if (w->store.jobs[op->job].state)
        return; /* by its key it is there already */
    int64_t virtual_turn = w->store.virtual_turn[level], *last = &w->store.last_turn[s][level];
    if (!sim_is_waiting(w, s, level))
        *last = vmafx_turn_settled(virtual_turn, *last);
    row.turn = vmafx_turn_next(virtual_turn, *last, last);
    op->err = vmafx_job_submit(&row, sim_wall(w), &step);
    if (op->err)
        sim_broken(w, "a good job is refused");
    else
        write_step(w, op->job, &row, &step);
}

static bool may_start(const VmafxJob *job, VmafxWall wall, int64_t memory)
{
    return job->state == VMAFX_JOB_QUEUED && wall >= job->task.not_before && job->need_memory_mib <= memory;
}

static int first_work(const World *w, VmafxWall wall, int64_t memory)
{
    int first = -1;

    for (int i = 0; i < N_JOBS; i++)
        if (may_start(&w->store.jobs[i], wall, memory) &&
            (first < 0 || vmafx_job_goes_before(&w->store.jobs[i], &w->store.jobs[first])))
            first = i;
    return first;
}

static void lease_row(World *w, Op *op, uint32_t i)
{
    VmafxJob row = w->store.jobs[i];
    uint8_t span[8] = { w->store.next_span++ };
    VmafxStep step;
    char name[4];

    node_name(op->node, name);
    if (row.task.attempt == 0 && w->even)
        sim_check_fair(w, i);
    if (vmafx_job_lease(&row, &sim_rules, name, span, sim_wall(w), &step)) {
        sim_broken(w, "job %u is first in the order of work, but cannot be leased", i);
        return;
    }
    write_step(w, i, &row, &step);
    sim_check_alive(w, i);
    w->ledgers[i].lessee = op->controller;
    w->ledgers[i].lessee_life = op->life;
    w->ledgers[i].sent = false;
    w->store.virtual_turn[w->level[i]] = vmafx_turn_leased(w->store.virtual_turn[w->level[i]], row.turn);
    SIM_TRACE(w, "  of s%u, level %u, turn %lld", w->submitter[i], w->level[i], (long long)row.turn);
    op->refs[op->n_refs++] = (VmafxAttemptRef){ row.id, row.task.attempt };
    op->memory -= row.need_memory_mib;
}

static void run_lease(World *w, Op *op)
{
    VmafxWall wall = sim_wall(w);

    while (op->n_refs < op->slots && !w->result->failed) {
        int i = first_work(w, wall, op->memory);

        if (i < 0)
            return;
        if (!expire_row(w, (uint32_t)i, wall)) /* its deadline may have passed */
            lease_row(w, op, (uint32_t)i);
    }
}

static void run_renew(World *w, Op *op)
{
    char name[4];

    node_name(op->node, name);
    for (size_t k = 0; k < op->n_refs; k++) {
        uint32_t i = sim_job_index(&op->refs[k].job);

        op->errs[k] = vmafx_job_renew(&w->store.jobs[i], &sim_rules, name, op->refs[k].attempt, sim_wall(w));
        if (!op->errs[k])
            sim_check_alive(w, i);
    }
}

static void run_end(World *w, Op *op)
{
    uint32_t i = sim_job_index(&op->end.ref.job);
    bool good = op->end.outcome == VMAFX_OUTCOME_SUCCEEDED;
    VmafxJob row = w->store.jobs[i];
    VmafxStep step;
    char name[4];

    node_name(op->node, name);
    VmafxAttemptReport report = { .node = name,
                                  .attempt = op->end.ref.attempt,
                                  .outcome = op->end.outcome,
                                  .failure = op->end.failure,
                                  .may_pass = op->end.may_pass,
                                  .complete = good,
                                  .has_result = good };
    op->err = vmafx_job_end_attempt(&row, &sim_rules, &report, sim_wall(w), &step);
    if (op->err) {
        w->result->fenced++;
        return;
    }
    write_step(w, i, &row, &step);
    if (row.has_result) {
        w->ledgers[i].results++;
        w->ledgers[i].result_of = op->end.ref.attempt;
    }
}

static void run_cancel(World *w, Op *op)
{
    VmafxJob row = w->store.jobs[op->job];
    bool was_new = row.state == VMAFX_JOB_QUEUED;
    VmafxStep step;

    if (!row.state)
        op->err = VMAFX_ERR_NOT_FOUND;
    else if (row.state != VMAFX_JOB_CANCELLED)
        op->err = vmafx_job_cancel(&row, "by its client", sim_wall(w), &step);
    if (op->err || row.state == w->store.jobs[op->job].state)
        return;
    write_step(w, op->job, &row, &step);
    if (was_new)
        sim_check_taken_out(w, op->job);
}

static void run_grace(World *w)
{
    for (uint32_t i = 0; i < N_JOBS; i++)
        if (!vmafx_job_grace(&w->store.jobs[i], &sim_rules, w->store.jump, sim_wall(w)))
            sim_check_alive(w, i);
    w->store.jump = 0;
    w->store.failed = false;
}

/*
 * As of the time at which it was handed over: what would have come in between (its controller stood still, the disk was
 * slow) is no node's fault. And after a jump or a group that failed it gives grace itself, since nobody could renew:
 * the controller may have handed it over before it heard of either.
 */
static void run_expire(World *w, const Op *op)
{
    if (w->store.jump || w->store.failed)
        run_grace(w);
    w->store.expire = op;
    for (uint32_t i = 0; i < N_JOBS; i++)
        if (w->store.jobs[i].state && vmafx_job_due(&w->store.jobs[i], &sim_rules) <= op->wall &&
            w->store.jobs[i].task.leased_at <= op->wall && !expire_row(w, i, op->wall))
            sim_broken(w, "job %u is due, but nothing is to be done", i);
    w->store.expire = NULL;
    sim_check_expired(w, op);
}

static void run(World *w, Op *op)
{
    op->err = VMAFX_OK;
    switch (op->kind) {
    case OP_SUBMIT:
        run_submit(w, op);
        break;
    case OP_LEASE:
        run_lease(w, op);
        break;
    case OP_RENEW:
        run_renew(w, op);
        break;
    case OP_END:
        run_end(w, op);
        break;
    case OP_CANCEL:
        run_cancel(w, op);
        break;
    case OP_EXPIRE:
        run_expire(w, op);
        break;
    case OP_GRACE:
        run_grace(w);
        break;
    }
}

void sim_store_commit(World *w)
{
    Store *store = &w->store;
    bool fails = store->errors_until > w->now;
    size_t before = store->n_log;

    store->commit_planned = false;
    if (fails) {
        store->failed = true;
        store->failed_at = w->now;
    }
    for (size_t n = store->n; n && !w->result->failed; n--) {
        Op *op = &store->queue[store->first];
        int64_t at = w->now + sim_between(w, 50, MS);

        if (fails)
            op->err = VMAFX_ERR_IO;
        else
            run(w, op);
        sim_event(w, at, EV_ANSWER, op->controller, op->life)->op = *op;
        store->first = (store->first + 1) % OPS_MAX;
        store->n--;
    }
    for (uint32_t c = 0; store->n_log > before && c < w->n_controllers; c++)
        if (w->controllers[c].up)
            sim_event(w, w->now + sim_between(w, 100, 5 * MS), EV_NOTIFY, c, w->controllers[c].life);
}

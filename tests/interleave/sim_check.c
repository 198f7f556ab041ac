/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The rules of the fleet. Each is looked at where it could break, so that a failure points at the step that broke it.
 */

#include "sim_internal.h"

#include <stdarg.h>
#include <string.h>

void sim_broken(World *w, const char *fmt, ...)
{
    va_list args;

    if (w->result->failed)
        return; /* the first one explains the others */
    w->result->failed = true;
    w->result->at = w->now;
    va_start(args, fmt);
    vsnprintf(w->result->rule, sizeof w->result->rule, fmt, args);
    va_end(args);
    SIM_TRACE(w, "BROKEN: %s", w->result->rule);
}

#define HOLDS(condition, i)                                                                                            \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            sim_broken(w, "job %u: %s", i, #condition);                                                                \
    } while (0)

/* ---- One job: its events tile its life ---- */

/* A lease is lost only when its node had a full term to renew it, whatever clocks, controllers and disks did. */
static void check_lost(World *w, uint32_t i, const Ledger *ledger)
{
    const Op *op = w->store.expire;

    HOLDS(op != NULL, i);
    if (!op)
        return;
    HOLDS(op->at - ledger->alive_at >= LEASE, i);
    if (w->n_controllers > 1)
        return; /* the other one may have been well all the time */
    HOLDS(op->at - op->serving_since >= LEASE, i);
    HOLDS(!w->store.failed_at || w->now - w->store.failed_at >= LEASE, i);
}

static void check_attempt_end(World *w, uint32_t i, const VmafxEvent *event, const VmafxJob *job, const Ledger *ledger)
{
    bool at_deadline = job->deadline && event->time >= job->deadline;

    HOLDS(ledger->open == VMAFX_EVENT_LEASED, i);
    HOLDS(event->since == ledger->until, i);
    if (event->outcome == VMAFX_OUTCOME_LOST)
        check_lost(w, i, ledger);
    if (event->outcome == VMAFX_OUTCOME_TIMEOUT && !at_deadline)
        HOLDS(w->now - ledger->leased_at >= job->timeout_us, i);
    w->result->lost += event->outcome == VMAFX_OUTCOME_LOST;
    w->result->handed_back += event->outcome == VMAFX_OUTCOME_HANDED_BACK;
}

static void check_event(World *w, uint32_t i, const VmafxEvent *event, const VmafxJob *job)
{
    Ledger *ledger = &w->ledgers[i];

    HOLDS(!ledger->ended, i);
    HOLDS(event->state == job->state, i);
    HOLDS(event->time >= ledger->until, i);
    switch (event->kind) {
    case VMAFX_EVENT_SUBMITTED:
        HOLDS(!ledger->open, i);
        w->result->jobs++;
        break;
    case VMAFX_EVENT_LEASED:
        HOLDS(ledger->open == VMAFX_EVENT_SUBMITTED || ledger->open == VMAFX_EVENT_QUEUED, i);
        HOLDS(event->since == ledger->until, i);
        HOLDS(event->attempt == ledger->attempts + 1, i);
        ledger->attempts++;
        ledger->leased_at = w->now;
        w->result->attempts++;
        break;
    case VMAFX_EVENT_ATTEMPT_ENDED:
        HOLDS(event->attempt == ledger->attempts, i);
        check_attempt_end(w, i, event, job, ledger);
        break;
    case VMAFX_EVENT_QUEUED:
        HOLDS(ledger->open == VMAFX_EVENT_ATTEMPT_ENDED && event->time == ledger->until, i);
        break;
    case VMAFX_EVENT_ENDED:
        HOLDS(ledger->open != VMAFX_EVENT_LEASED, i);
        HOLDS(event->since == (ledger->open == VMAFX_EVENT_ATTEMPT_ENDED ? 0 : ledger->until), i);
        ledger->ended++;
        ledger->end_state = job->state;
        break;
    }
    ledger->until = event->time;
    ledger->open = event->kind;
}

void sim_check_step(World *w, uint32_t i, const VmafxStep *step, const VmafxJob *before)
{
    const VmafxJob *job = &w->store.jobs[i];
    const char *wrong = vmafx_job_check(job);

    if (wrong)
        sim_broken(w, "job %u: %s", i, wrong);
    HOLDS(!vmafx_job_has_ended(before), i);
    HOLDS(step->n >= 1 && step->n <= VMAFX_STEP_EVENTS_MAX, i);
    for (size_t e = 0; e < step->n; e++)
        check_event(w, i, &step->events[e], job);
    HOLDS((job->state == VMAFX_JOB_RUNNING) == (w->ledgers[i].open == VMAFX_EVENT_LEASED), i);
    if (job->state == VMAFX_JOB_SUCCEEDED)
        HOLDS(!job->deadline || job->ended < job->deadline, i);
}

void sim_check_alive(World *w, uint32_t i)
{
    w->ledgers[i].alive_at = w->now;
}

void sim_check_expired(World *w, const Op *op)
{
    for (uint32_t i = 0; i < N_JOBS; i++)
        if (w->store.jobs[i].state)
            HOLDS(vmafx_job_due(&w->store.jobs[i], &sim_rules) > op->wall || w->store.jobs[i].task.leased_at > op->wall,
                  i);
}

/* ---- Fairness: of two submitters with new jobs waiting all the while, none is ever more than two ahead ---- */

bool sim_is_waiting(const World *w, uint32_t submitter, uint32_t level)
{
    for (uint32_t i = 0; i < N_JOBS; i++)
        if (w->submitter[i] == submitter && w->level[i] == level && w->store.jobs[i].state == VMAFX_JOB_QUEUED &&
            !w->store.jobs[i].task.attempt)
            return true;
    return false;
}

static void begin_anew(World *w, uint32_t level, uint32_t a, uint32_t b)
{
    memset(w->fair[level][a][b], 0, sizeof w->fair[level][a][b]);
    memset(w->fair[level][b][a], 0, sizeof w->fair[level][b][a]);
    w->lead[level][a][b] = w->lead[level][b][a] = 0;
}

static void count_lead(World *w, uint32_t level, uint32_t a, uint32_t b, int32_t by)
{
    int32_t lead = w->lead[level][a][b] += by;
    int32_t *range = w->fair[level][a][b];

    range[0] = VMAFX_MIN(range[0], lead);
    range[1] = VMAFX_MAX(range[1], lead);
    if (range[1] - range[0] > 2)
        sim_broken(w, "submitters %u and %u both wait, and one is given %d more than the other", a, b,
                   range[1] - range[0]);
}

void sim_check_fair(World *w, uint32_t leased)
{
    uint32_t a = w->submitter[leased], level = w->level[leased];

    for (uint32_t b = 0; b < N_SUBMITTERS; b++) {
        if (a == b)
            continue;
        if (!sim_is_waiting(w, b, level))
            w->gaps[level][b] = false;
        if (!sim_is_waiting(w, b, level) || w->gaps[level][a] || w->gaps[level][b]) {
            begin_anew(w, level, a, b);
            continue;
        }
        count_lead(w, level, a, b, 1);
        count_lead(w, level, b, a, -1);
    }
    /* Was it the submitter's last one? Then it does not wait all the while. */
    VmafxJobState kept = w->store.jobs[leased].state;
    w->store.jobs[leased].state = VMAFX_JOB_RUNNING;
    bool waits = sim_is_waiting(w, a, level);
    w->store.jobs[leased].state = kept;
    for (uint32_t b = 0; b < N_SUBMITTERS && !waits; b++)
        begin_anew(w, level, a, b);
    w->gaps[level][a] = w->gaps[level][a] && waits;
}

/* Its turn is lost, and its submitter may be one behind for that when it would have come: not counted until the
   submitter's queue has been empty. */
void sim_check_taken_out(World *w, uint32_t job)
{
    w->gaps[w->level[job]][w->submitter[job]] = true;
    for (uint32_t b = 0; b < N_SUBMITTERS; b++)
        begin_anew(w, w->level[job], w->submitter[job], b);
}

/* ---- Nodes ---- */

void sim_check_node(World *w, uint32_t n)
{
    const char *wrong = vmafx_holdings_check(&w->nodes[n].holdings);

    if (wrong)
        sim_broken(w, "node n%u: %s", n, wrong);
}

/* The store gives an attempt to a node that did not name it: then the node must not have it, and it must have been sent
   unless whoever asked for it has died. */
void sim_check_missing(World *w, uint32_t c, uint32_t n, const VmafxAttemptRef *ref)
{
    const Ledger *ledger = &w->ledgers[sim_job_index(&ref->job)];
    const VmafxHolding *item = vmafx_holdings_find(&w->nodes[n].holdings, ref);
    bool same_life = ledger->lessee == c && ledger->lessee_life == w->controllers[c].life;

    if (item && item->state == VMAFX_HOLDING_ENDED)
        sim_broken(w, "an end that n%u has in its spool is given up", n);
    if (same_life && !ledger->sent && ledger->attempts == ref->attempt)
        sim_broken(w, "job %u counts as failed, but was never sent to n%u", sim_job_index(&ref->job), n);
}

void sim_check_drop(World *w, uint32_t n, const VmafxAttemptRef *ref)
{
    uint32_t i = sim_job_index(&ref->job);
    const VmafxJob *job = &w->store.jobs[i];

    /* What a node drops, nobody waits for: the store has its end, or has given it up. */
    if (job->state == VMAFX_JOB_RUNNING && job->task.attempt == ref->attempt)
        sim_broken(w, "node n%u drops job %u, whose attempt %d the store still takes for running", n, i, ref->attempt);
}

/* ---- The quiet end ---- */

static bool could_start(const World *w, uint32_t i, const Node *node)
{
    const VmafxJob *job = &w->store.jobs[i];

    return job->state == VMAFX_JOB_QUEUED && w->store.last >= job->task.not_before &&
           job->need_memory_mib <= node->memory;
}

void sim_check_audit(World *w)
{
    bool idle = false;

    for (uint32_t n = 0; n < w->n_nodes; n++) {
        const Node *node = &w->nodes[n];

        if (node->holdings.n)
            continue;
        for (uint32_t i = 0; i < N_JOBS; i++)
            idle = idle || could_start(w, i, node);
    }
    w->idle_audits = idle ? w->idle_audits + 1 : 0;
    if (w->idle_audits > 3)
        sim_broken(w, "long after the last fault, work waits while a node has nothing to do");
}

bool sim_check_all_ended(const World *w)
{
    for (uint32_t i = 0; i < N_JOBS; i++)
        if (!w->ledgers[i].accepted || !w->ledgers[i].ended)
            return false;
    for (uint32_t n = 0; n < w->n_nodes; n++)
        if (!w->nodes[n].up || w->nodes[n].holdings.n || w->nodes[n].n_spool)
            return false;
    return true;
}

void sim_check_end(World *w)
{
    for (uint32_t i = 0; i < N_JOBS; i++) {
        const VmafxJob *job = &w->store.jobs[i];
        const Ledger *ledger = &w->ledgers[i];

        HOLDS(ledger->accepted && ledger->ended == 1, i);
        HOLDS(job->state == ledger->end_state, i);
        HOLDS(ledger->results == (job->state == VMAFX_JOB_SUCCEEDED), i);
        HOLDS(!ledger->results || ledger->result_of == job->task.attempt, i);
        HOLDS(!ledger->cancel_told || job->state == VMAFX_JOB_CANCELLED, i);
        w->result->succeeded += job->state == VMAFX_JOB_SUCCEEDED;
        w->result->job_failed += job->state == VMAFX_JOB_FAILED;
        w->result->cancelled += job->state == VMAFX_JOB_CANCELLED;
    }
    for (uint32_t c = 0; c < w->n_controllers; c++)
        for (uint32_t n = 0; n < w->n_nodes; n++) {
            const Stream *stream = &w->controllers[c].streams[n];

            if (stream->welcomed && stream->conn == w->nodes[n].conn && stream->n_held)
                sim_broken(w, "c%u believes that n%u holds something, but all has ended", c, n);
        }
}

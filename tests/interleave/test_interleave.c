/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Everything that can happen to one job with two nodes, in every order, up to a depth: claim, renew, report (each
 * outcome, on time, late, twice), cancel, expire, grace, and time that passes, jumps and goes back. After each step the
 * rules below are checked.
 *
 * Level by level over states, each state once: two orders that lead to the same state have the same future, so all
 * orders are covered without walking each. What the checks know of the past (the ledger) is part of the state.
 *
 *     test_interleave [DEPTH]
 */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "fleet/fleet.h"

#define DEPTH_DEFAULT 9
#define N_NODES       2
#define CREATED       100
#define DEADLINE      170

static const char *const node_names[N_NODES] = { "a", "b" };
static const VmafxFleetRules rules = { .lease_us = 10, .backoff_us = 4, .backoff_max_us = 8 };

/* What of a row can change, without its texts. */
typedef struct Packed {
    VmafxWall started, ended, queued_since, not_before, lease_until, leased_at;
    int64_t paused_us;
    int32_t attempt, failures;
    uint8_t state, failure, node, has_message, complete, has_result, span, previous_span;
} Packed;

/* What the events have told so far. */
typedef struct Ledger {
    VmafxWall until;      /* the life of the job is accounted for up to here */
    uint8_t open;         /* what goes on since: a VmafxEventKind, QUEUED or LEASED; ENDED: nothing */
    uint8_t ended_events; /* 0 or 1 */
    uint8_t succeeded;    /* results that were kept */
    uint8_t attempts;     /* LEASED events */
} Ledger;

typedef struct State {
    VmafxWall now;
    Packed row;
    Ledger ledger;
    uint8_t latest[N_NODES]; /* each node's latest attempt; 0: none */
    uint8_t before[N_NODES]; /* and the one before, which it may still report about */
} State;

/* How a state was first reached. */
typedef struct Origin {
    uint32_t from;
    uint8_t action;
} Origin;

typedef struct Search {
    State *states; /* in the order found: a level is a range */
    Origin *origins;
    size_t n, cap;
    uint32_t *table; /* open addressing; index + 1 */
    size_t table_size;
    uint64_t steps, refused;
} Search;

typedef enum What {
    CLAIM,
    RENEW,
    RENEW_LATE,
    IMPOSTOR,
    SUCCEED,
    SUCCEED_LATE,
    FAIL_INPUT,
    FAIL_NODE,
    FAIL_NODE_LATE,
    TIME_OUT,
    HAND_BACK,
    KILLED,
    CANCEL,
    EXPIRE,
    GRACE,
    PASS, /* time */
} What;

static const struct {
    What what;
    int arg; /* node, or how much time */
    const char *name;
} actions[] = {
    { CLAIM, 0, "claim a" },
    { CLAIM, 1, "claim b" },
    { RENEW, 0, "renew a" },
    { RENEW, 1, "renew b" },
    { RENEW_LATE, 0, "renew a, the attempt before" },
    { IMPOSTOR, 0, "report a, about the attempt that another node has" },
    { IMPOSTOR, 1, "report b, about the attempt that another node has" },
    { SUCCEED, 0, "report a: succeeded" },
    { SUCCEED, 1, "report b: succeeded" },
    { SUCCEED_LATE, 0, "report a, the attempt before: succeeded" },
    { SUCCEED_LATE, 1, "report b, the attempt before: succeeded" },
    { FAIL_INPUT, 0, "report a: failed for good" },
    { FAIL_NODE, 0, "report a: failed, may pass" },
    { FAIL_NODE, 1, "report b: failed, may pass" },
    { FAIL_NODE_LATE, 1, "report b, the attempt before: failed" },
    { TIME_OUT, 1, "report b: timeout" },
    { HAND_BACK, 0, "report a: handed back" },
    { HAND_BACK, 1, "report b: handed back" },
    { KILLED, 0, "report a: cancelled by its operator" },
    { CANCEL, 0, "cancel" },
    { EXPIRE, 0, "expire" },
    { GRACE, 0, "grace" },
    { GRACE, 9, "grace after a jump" },
    { PASS, 3, "3 pass" },
    { PASS, 11, "11 pass" },
    { PASS, 40, "40 pass" },
    { PASS, -7, "the clock goes back by 7" },
};

static const char *broken_rule; /* set by the first rule that breaks */
static void broken(const char *rule)
{
    if (!broken_rule)
        broken_rule = rule;
}

#define HOLDS(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            broken(#condition);                                                                                        \
    } while (0)

/* ---- Rows ---- */

static VmafxJob new_job(void)
{
    return (VmafxJob){ .id = { { 1 } }, .deadline = DEADLINE, .timeout_us = 25, .attempt_limit = 3, .submitter = "s" };
}

static Packed pack(const VmafxJob *job)
{
    const VmafxTask *task = &job->task;
    Packed row;

    memset(&row, 0, sizeof row); /* padding too: it is hashed */
    row.started = job->started;
    row.ended = job->ended;
    row.queued_since = task->queued_since;
    row.not_before = task->not_before;
    row.lease_until = task->lease_until;
    row.leased_at = task->leased_at;
    row.paused_us = task->paused_us;
    row.attempt = task->attempt;
    row.failures = task->failures;
    row.state = (uint8_t)job->state;
    row.failure = (uint8_t)job->failure;
    row.node = (uint8_t)task->node[0];
    row.has_message = job->message[0] != 0;
    row.complete = job->complete;
    row.has_result = job->has_result;
    row.span = task->span_id[0];
    row.previous_span = task->previous_span_id[0];
    return row;
}

static VmafxJob unpack(const Packed *row)
{
    VmafxJob job = new_job();

    job.state = (VmafxJobState)row->state;
    job.failure = (VmafxFailure)row->failure;
    job.created = CREATED;
    job.started = row->started;
    job.ended = row->ended;
    job.complete = row->complete;
    job.has_result = row->has_result;
    job.message[0] = row->has_message ? 'm' : 0;
    job.task = (VmafxTask){ .attempt = row->attempt,
                            .failures = row->failures,
                            .queued_since = row->queued_since,
                            .not_before = row->not_before,
                            .node = { (char)row->node },
                            .lease_until = row->lease_until,
                            .leased_at = row->leased_at,
                            .paused_us = row->paused_us,
                            .span_id = { row->span },
                            .previous_span_id = { row->previous_span } };
    return job;
}

/* ---- The rules ---- */

static void check_event(const VmafxEvent *event, const VmafxJob *job, Ledger *ledger)
{
    HOLDS(event->state == job->state);
    HOLDS(!memcmp(&event->job, &job->id, sizeof job->id));
    HOLDS(event->attempt == job->task.attempt);
    HOLDS(!strcmp(event->node, job->task.node));
    HOLDS(ledger->open != VMAFX_EVENT_ENDED); /* nothing is told after the end */
    HOLDS(event->time >= ledger->until);

    switch (event->kind) {
    case VMAFX_EVENT_SUBMITTED:
        ledger->until = event->time;
        ledger->open = VMAFX_EVENT_QUEUED;
        break;
    case VMAFX_EVENT_LEASED:
        HOLDS(ledger->open == VMAFX_EVENT_QUEUED);
        HOLDS(event->since == ledger->until); /* the stay in the queue begins where the last thing ended */
        HOLDS(event->attempt == ledger->attempts + 1);
        HOLDS(event->span_id[0] == event->attempt);
        ledger->attempts++;
        ledger->until = event->time;
        ledger->open = VMAFX_EVENT_LEASED;
        break;
    case VMAFX_EVENT_ATTEMPT_ENDED:
        HOLDS(ledger->open == VMAFX_EVENT_LEASED);
        HOLDS(event->since == ledger->until); /* and so does the attempt */
        HOLDS(event->outcome != VMAFX_OUTCOME_NONE);
        HOLDS(event->span_id[0] == event->attempt && event->previous_span_id[0] == event->attempt - 1);
        ledger->until = event->time;
        ledger->open = VMAFX_EVENT_ATTEMPT_ENDED;
        break;
    case VMAFX_EVENT_QUEUED:
        HOLDS(ledger->open == VMAFX_EVENT_ATTEMPT_ENDED);
        HOLDS(event->time == ledger->until);
        HOLDS(event->not_before == job->task.not_before);
        ledger->open = VMAFX_EVENT_QUEUED;
        break;
    case VMAFX_EVENT_ENDED:
        HOLDS(ledger->open == VMAFX_EVENT_ATTEMPT_ENDED ? event->time == ledger->until && !event->since
                                                        : event->since == ledger->until);
        HOLDS(event->time == job->ended);
        HOLDS(event->failure == job->failure);
        HOLDS(!strcmp(event->message, job->message));
        ledger->ended_events++;
        ledger->succeeded += job->state == VMAFX_JOB_SUCCEEDED;
        ledger->until = event->time;
        ledger->open = VMAFX_EVENT_ENDED;
        break;
    }
}

/* Does this action speak for a node's latest attempt? */
static bool speaks(What what)
{
    return what == RENEW || what == SUCCEED || what == FAIL_INPUT || what == FAIL_NODE || what == TIME_OUT ||
           what == HAND_BACK || what == KILLED;
}

static void check_holder(const State *before, size_t action, VmafxErr err)
{
    int node = actions[action].arg;
    bool holds = before->row.state == VMAFX_JOB_RUNNING && before->row.node == node_names[node][0] &&
                 before->row.attempt == before->latest[node];

    HOLDS(err == (holds ? VMAFX_OK : VMAFX_ERR_LEASE_LOST)); /* who holds the lease is heard, nobody else */
}

static void check_after(const State *before, const State *after, const VmafxJob *job, What what, VmafxErr err)
{
    const char *wrong = vmafx_job_check(job);
    bool ended = vmafx_job_has_ended(job);

    if (wrong)
        broken(wrong);
    if (err || before->row.state >= VMAFX_JOB_SUCCEEDED) /* a refusal changes nothing, and an end is one for ever */
        HOLDS(!memcmp(&before->row, &after->row, sizeof after->row));
    HOLDS(after->ledger.ended_events == ended);
    HOLDS(after->ledger.succeeded == (job->state == VMAFX_JOB_SUCCEEDED));
    HOLDS(after->row.attempt == before->row.attempt ||
          (what == CLAIM && after->row.attempt == before->row.attempt + 1));
    HOLDS((job->state == VMAFX_JOB_RUNNING) == (after->ledger.open == VMAFX_EVENT_LEASED)); /* one holder at most */
    if (what == CLAIM && before->row.state == VMAFX_JOB_RUNNING)
        HOLDS(err == VMAFX_ERR_STATE);
    if (what == CANCEL)
        HOLDS(ended);
    if (what == IMPOSTOR || what == RENEW_LATE || what == SUCCEED_LATE || what == FAIL_NODE_LATE)
        HOLDS(err == VMAFX_ERR_LEASE_LOST); /* fenced */
    if (what == RENEW && !err)
        HOLDS(after->row.lease_until >= before->row.lease_until);
    if (job->state == VMAFX_JOB_SUCCEEDED)
        HOLDS(job->ended < DEADLINE);
    if (what == EXPIRE)
        HOLDS(vmafx_job_due(job, &rules) > after->now || vmafx_job_due(job, &rules) > job->task.leased_at);
}

/* ---- Steps ---- */

static VmafxErr report(VmafxJob *job, int node, uint8_t attempt, VmafxOutcome outcome, VmafxFailure failure,
                       VmafxWall now, VmafxStep *step)
{
    bool good = outcome == VMAFX_OUTCOME_SUCCEEDED;
    VmafxAttemptReport said = { .node = node_names[node],
                                .attempt = attempt,
                                .outcome = outcome,
                                .failure = failure,
                                .message = "said the node",
                                .complete = good,
                                .has_result = good };

    return vmafx_job_end_attempt(job, &rules, &said, now, step);
}

static VmafxErr claim(State *state, VmafxJob *job, int node, VmafxStep *step)
{
    uint8_t span[8] = { (uint8_t)(job->task.attempt + 1) };
    VmafxErr err = vmafx_job_lease(job, &rules, node_names[node], span, state->now, step);

    if (!err) {
        state->before[node] = state->latest[node];
        state->latest[node] = (uint8_t)job->task.attempt;
    }
    return err;
}

static VmafxErr act(State *state, VmafxJob *job, size_t action, VmafxStep *step)
{
    int arg = actions[action].arg;
    VmafxWall now = state->now;

    switch (actions[action].what) {
    case CLAIM:
        return claim(state, job, arg, step);
    case RENEW:
        return vmafx_job_renew(job, &rules, node_names[arg], state->latest[arg], now);
    case RENEW_LATE:
        return vmafx_job_renew(job, &rules, node_names[arg], state->before[arg], now);
    case IMPOSTOR:
        if (job->task.node[0] == node_names[arg][0])
            return VMAFX_ERR_LEASE_LOST; /* its own: not what is meant here */
        return report(job, arg, (uint8_t)job->task.attempt, VMAFX_OUTCOME_SUCCEEDED, VMAFX_FAILURE_NONE, now, step);
    case SUCCEED:
        return report(job, arg, state->latest[arg], VMAFX_OUTCOME_SUCCEEDED, VMAFX_FAILURE_NONE, now, step);
    case SUCCEED_LATE:
        return report(job, arg, state->before[arg], VMAFX_OUTCOME_SUCCEEDED, VMAFX_FAILURE_NONE, now, step);
    case FAIL_INPUT:
        return report(job, arg, state->latest[arg], VMAFX_OUTCOME_FAILED, VMAFX_FAILURE_INPUT, now, step);
    case FAIL_NODE:
        return report(job, arg, state->latest[arg], VMAFX_OUTCOME_FAILED, VMAFX_FAILURE_NODE, now, step);
    case FAIL_NODE_LATE:
        return report(job, arg, state->before[arg], VMAFX_OUTCOME_FAILED, VMAFX_FAILURE_NODE, now, step);
    case TIME_OUT:
        return report(job, arg, state->latest[arg], VMAFX_OUTCOME_TIMEOUT, VMAFX_FAILURE_NONE, now, step);
    case HAND_BACK:
        return report(job, arg, state->latest[arg], VMAFX_OUTCOME_HANDED_BACK, VMAFX_FAILURE_NONE, now, step);
    case KILLED:
        return report(job, arg, state->latest[arg], VMAFX_OUTCOME_CANCELLED, VMAFX_FAILURE_NONE, now, step);
    case CANCEL:
        return vmafx_job_cancel(job, "cancelled", now, step);
    case EXPIRE:
        return vmafx_job_expire(job, &rules, now, step);
    case GRACE:
        return vmafx_job_grace(job, &rules, arg, now);
    case PASS:
        state->now += arg;
        return VMAFX_OK;
    }
    return VMAFX_ERR_INTERNAL;
}

static State next_state(Search *search, const State *from, size_t action)
{
    State state = *from;
    VmafxJob job = unpack(&from->row);
    VmafxStep step;

    step.n = 0;
    VmafxErr err = act(&state, &job, action, &step);
    if (err)
        HOLDS(step.n == 0);
    state.row = pack(&job);
    for (size_t i = 0; i < step.n; i++)
        check_event(&step.events[i], &job, &state.ledger);
    check_after(from, &state, &job, actions[action].what, err);
    if (speaks(actions[action].what))
        check_holder(from, action, err);
    search->steps++;
    search->refused += err != VMAFX_OK;
    return state;
}

/* ---- The search ---- */

static uint64_t hash(const State *state)
{
    const unsigned char *bytes = (const unsigned char *)state;
    uint64_t h = 0xcbf29ce484222325u;

    for (size_t i = 0; i < sizeof *state; i++)
        h = (h ^ bytes[i]) * 0x100000001b3u;
    return h ^ h >> 29;
}

static void *need(void *p)
{
    if (p)
        return p;
    fprintf(stderr, "interleave: out of memory\n");
    exit(1);
}

static uint32_t *slot_of(const Search *search, const State *state)
{
    size_t i = hash(state) & (search->table_size - 1);

    while (search->table[i] && memcmp(&search->states[search->table[i] - 1], state, sizeof *state))
        i = (i + 1) & (search->table_size - 1);
    return &search->table[i];
}

static void grow(Search *search)
{
    search->cap = search->cap ? 2 * search->cap : 1u << 12;
    search->states = need(realloc(search->states, search->cap * sizeof *search->states));
    search->origins = need(realloc(search->origins, search->cap * sizeof *search->origins));
    free(search->table);
    search->table_size = 4 * search->cap;
    search->table = need(calloc(search->table_size, sizeof *search->table));
    for (size_t i = 0; i < search->n; i++)
        *slot_of(search, &search->states[i]) = (uint32_t)i + 1;
}

static void add(Search *search, const State *state, size_t from, size_t action)
{
    if (search->n == search->cap)
        grow(search);
    uint32_t *slot = slot_of(search, state);
    if (*slot)
        return;
    search->states[search->n] = *state;
    search->origins[search->n] = (Origin){ (uint32_t)from, (uint8_t)action };
    *slot = (uint32_t)++search->n;
}

static void print_way(const Search *search, size_t state)
{
    if (state == 0)
        return;
    print_way(search, search->origins[state].from);
    fprintf(stderr, "    %s\n", actions[search->origins[state].action].name);
}

static State first_state(void)
{
    VmafxJob job = new_job();
    VmafxStep step;
    State state;

    memset(&state, 0, sizeof state);
    state.now = CREATED;
    if (vmafx_job_submit(&job, CREATED, &step) || step.n != 1)
        broken("a good job is taken, and one event tells of it");
    else
        check_event(&step.events[0], &job, &state.ledger);
    state.row = pack(&job);
    return state;
}

int main(int argc, char **argv)
{
    int depth = argc > 1 ? atoi(argv[1]) : DEPTH_DEFAULT;
    Search search = { 0 };
    State state = first_state();
    size_t begin = 0;

    add(&search, &state, 0, 0);
    for (int level = 0; level < depth && !broken_rule; level++) {
        size_t end = search.n;

        for (size_t i = begin; i < end; i++)
            for (size_t action = 0; action < VMAFX_LEN(actions); action++) {
                State from = search.states[i];

                state = next_state(&search, &from, action);
                if (broken_rule) {
                    fprintf(stderr, "interleave: broken: %s\n  after\n", broken_rule);
                    print_way(&search, i);
                    fprintf(stderr, "    %s\n", actions[action].name);
                    return 1;
                }
                add(&search, &state, i, action);
            }
        begin = end;
    }
    printf("interleave: every order of %zu actions to a depth of %d: %zu states, %" PRIu64 " steps, %" PRIu64
           " of them refused\n",
           VMAFX_LEN(actions), depth, search.n, search.steps, search.refused);
    free(search.states);
    free(search.origins);
    free(search.table);
    return broken_rule != NULL;
}

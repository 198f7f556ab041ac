/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * A store of the plainest kind: an array, looked through from end to end. Random operations go to it and to the real
 * one; answers, rows, events, counts and lists must agree. The seed is in the message of a failure.
 */

#include "store_suite.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"

enum { JOBS_MAX = 600, EVENTS_MAX = 8000, SUBMITTERS = 3, NODES = 3, KEYS = 4, STEPS = 1500, CHECK_EVERY = 25 };

typedef struct ModelJob {
    bool there;
    uint32_t number;
    VmafxJob job;
    int key; /* −1: none */
    uint8_t digest;
    char result[16]; /* "": none */
    int label;       /* −1: none */
} ModelJob;

typedef struct Model {
    ModelJob jobs[JOBS_MAX]; /* in the order of arrival */
    size_t n;
    VmafxEvent events[EVENTS_MAX];
    size_t n_events;
    int64_t last_turn[3][SUBMITTERS], virtual_turn[3]; /* for priorities −1, 0, 1 */
    VmafxFleetRules rules;
    VmafxWall now;
    bool failed; /* a group was not written since the last grace */
    unsigned seed, state;
    int step;
} Model;

static const char *const submitters[SUBMITTERS] = { "alice", "bob", "carol" };
static const char *const node_names[NODES] = { "n0", "n1", "n2" };
static const char *const keys[KEYS] = { "k0", "k1", "k2", "k3" };
static const VmafxStoreLabel labels[2] = { { "show", "a" }, { "show", "b" } };

static unsigned draw(Model *m, unsigned below)
{
    m->state = m->state * 1664525u + 1013904223u;
    return (m->state >> 8) % below;
}

#define AGREE(m, condition, ...)                                                                                       \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            print_error("seed %u, step %d: ", (m)->seed, (m)->step);                                                   \
            print_error(__VA_ARGS__);                                                                                  \
            fail_msg(" (%s)", #condition);                                                                             \
        }                                                                                                              \
    } while (0)

static void agree_job(const Model *m, const VmafxJob *mine, const VmafxJob *theirs)
{
    const char *differs = suite_job_differs(mine, theirs);

    AGREE(m, !differs, "job %d: %s differs", mine->id.bytes[14] * 256 + mine->id.bytes[15], differs ? differs : "");
}

static void add_events(Model *m, const VmafxStep *step)
{
    for (size_t i = 0; i < step->n; i++) {
        AGREE(m, m->n_events < EVENTS_MAX, "too many events for the model");
        m->events[m->n_events++] = step->events[i];
    }
}

static void stepped(Model *m, ModelJob *j, const VmafxStep *step)
{
    add_events(m, step);
    if (j->job.state == VMAFX_JOB_FAILED || j->job.state == VMAFX_JOB_CANCELLED)
        j->key = -1;
}

static int64_t *virtual_turn(Model *m, const VmafxJob *job)
{
    return &m->virtual_turn[job->priority + 1];
}

static ModelJob *find(Model *m, uint32_t number)
{
    for (size_t i = 0; i < m->n; i++)
        if (m->jobs[i].there && m->jobs[i].number == number)
            return &m->jobs[i];
    return NULL;
}

/* Any number that was ever given, and now and then one that was not. */
static uint32_t any_number(Model *m)
{
    return 1 + draw(m, (unsigned)m->n + 1);
}

/* ---- operations ---- */

static bool has_new(const Model *m, const VmafxJob *job)
{
    for (size_t i = 0; i < m->n; i++) {
        const VmafxJob *other = &m->jobs[i].job;

        if (m->jobs[i].there && other->state == VMAFX_JOB_QUEUED && !other->task.attempt &&
            other->priority == job->priority && !strcmp(other->submitter, job->submitter))
            return true;
    }
    return false;
}

/* No submission reaches the disk: nothing is changed by it, but what follows knows. */
static void do_fail(Model *m)
{
    VmafxSubmission s = suite_submission((uint32_t)m->n + 1);

    suite_fail_writes(true);
    VmafxErr err = suite_submit(&s, NULL);
    suite_fail_writes(false);
    AGREE(m, err == VMAFX_ERR_IO, "a disk that cannot be written: %s", vmafx_err_name(err));
    m->failed = true;
}

static void do_submit(Model *m)
{
    uint32_t number = (uint32_t)m->n + 1;
    unsigned who = draw(m, SUBMITTERS);
    VmafxSubmission s = suite_submission(number);
    ModelJob *j = &m->jobs[m->n], *other = NULL;
    VmafxJob theirs = { 0 };
    VmafxStep step = { 0 };

    if (m->n == JOBS_MAX)
        return;
    *j = (ModelJob){ .number = number, .key = draw(m, 3) ? -1 : (int)draw(m, KEYS), .label = (int)draw(m, 3) - 1 };
    j->digest = (uint8_t)draw(m, 2);
    strcpy(s.job.submitter, submitters[who]);
    s.job.priority = (int32_t)draw(m, 3) - 1;
    s.job.need_memory_mib = (int32_t)draw(m, 4) * 100;
    s.job.attempt_limit = (int32_t)draw(m, 4); /* 0 is refused */
    s.job.timeout_us = (int64_t)(20 + draw(m, 100)) * SUITE_SECOND;
    s.job.deadline = draw(m, 3) ? 0 : m->now + (int64_t)draw(m, 300) * SUITE_SECOND + 1;
    s.spec_sha256[0] = j->digest;
    if (j->key >= 0)
        s.idempotency_key = keys[j->key];
    if (j->label >= 0) {
        s.labels = &labels[j->label];
        s.n_labels = 1;
    }
    for (size_t i = 0; i < m->n && j->key >= 0; i++)
        if (m->jobs[i].there && m->jobs[i].key == j->key && !strcmp(m->jobs[i].job.submitter, submitters[who]))
            other = &m->jobs[i];

    VmafxErr err = suite_submit(&s, &theirs);
    if (other) {
        AGREE(m, err == (other->digest == j->digest ? VMAFX_OK : VMAFX_ERR_CONFLICT), "the same key: %s",
              vmafx_err_name(err));
        agree_job(m, &other->job, &theirs);
        return;
    }
    j->job = s.job;
    int64_t last = m->last_turn[j->job.priority + 1][who];
    if (!has_new(m, &j->job))
        last = vmafx_turn_settled(*virtual_turn(m, &j->job), last);
    j->job.turn = vmafx_turn_next(*virtual_turn(m, &j->job), last, &last);
    VmafxErr expected = vmafx_job_submit(&j->job, m->now, &step);
    AGREE(m, err == expected, "submit: %s", vmafx_err_name(err));
    if (err)
        return;
    m->last_turn[j->job.priority + 1][who] = last;
    j->there = true;
    m->n++;
    stepped(m, j, &step);
    agree_job(m, &j->job, &theirs);
}

static ModelJob *next_work(Model *m, int64_t memory)
{
    ModelJob *best = NULL;

    for (size_t i = 0; i < m->n; i++) {
        ModelJob *j = &m->jobs[i];

        if (j->there && j->job.state == VMAFX_JOB_QUEUED && j->job.task.not_before <= m->now &&
            j->job.need_memory_mib <= memory && (!best || vmafx_job_goes_before(&j->job, &best->job)))
            best = j;
    }
    return best;
}

static void do_lease(Model *m)
{
    const char *node = node_names[draw(m, NODES)];
    uint32_t slots = draw(m, 4);
    int64_t memory = (int64_t)draw(m, 6) * 100;
    uint8_t random[8 * 4];
    size_t n = 0;

    for (size_t i = 0; i < sizeof random; i++)
        random[i] = (uint8_t)(1 + draw(m, 255));
    VmafxStoreOp op = { .kind = VMAFX_STORE_LEASE, .capacity = { node, slots, memory }, .random = random };
    AGREE(m, !vmafx_store_wait(suite_store(), &op), "lease: %s", op.why.message);
    while (n < slots) {
        ModelJob *j = next_work(m, memory);
        VmafxStep step = { 0 };

        if (!j)
            break;
        VmafxErr err = vmafx_job_lease(&j->job, &m->rules, node, random + 8 * n, m->now, &step);
        if (err == VMAFX_ERR_DEADLINE) {
            AGREE(m, !vmafx_job_expire(&j->job, &m->rules, m->now, &step), "expire");
            stepped(m, j, &step);
            continue;
        }
        AGREE(m, !err, "model's lease: %s", vmafx_err_name(err));
        stepped(m, j, &step);
        AGREE(m, n < op.n_items, "a job is missing from the lease");
        agree_job(m, &j->job, &op.items[n].job);
        memory -= j->job.need_memory_mib;
        *virtual_turn(m, &j->job) = vmafx_turn_leased(*virtual_turn(m, &j->job), j->job.turn);
        n++;
    }
    AGREE(m, n == op.n_items, "%zu leased instead of %zu", op.n_items, n);
    vmafx_store_op_done(&op);
}

static void do_renew(Model *m)
{
    VmafxAttemptRef held[4];
    uint32_t numbers[4];
    const char *node = node_names[draw(m, NODES)];

    for (size_t i = 0; i < VMAFX_LEN(held); i++) {
        numbers[i] = any_number(m);
        ModelJob *j = find(m, numbers[i]);
        held[i] = (VmafxAttemptRef){ suite_id(numbers[i]), j ? j->job.task.attempt - (draw(m, 5) == 0) : 1 };
    }
    VmafxStoreOp op = { .kind = VMAFX_STORE_RENEW, .node = node, .held = held, .n_held = VMAFX_LEN(held) };
    AGREE(m, !vmafx_store_wait(suite_store(), &op), "renew: %s", op.why.message);
    for (size_t i = 0; i < VMAFX_LEN(held); i++) {
        ModelJob *j = find(m, numbers[i]);
        VmafxErr expected =
            j ? vmafx_job_renew(&j->job, &m->rules, node, held[i].attempt, m->now) : VMAFX_ERR_LEASE_LOST;

        AGREE(m, op.items[i].err == expected, "renew: %s", vmafx_err_name(op.items[i].err));
        if (j)
            agree_job(m, &j->job, &op.items[i].job);
    }
    vmafx_store_op_done(&op);
}

static void do_end(Model *m)
{
    uint32_t number = any_number(m);
    ModelJob *j = find(m, number);
    VmafxJob theirs = { 0 };
    VmafxStep step = { 0 };
    char result[16];
    bool has_result = draw(m, 2);
    VmafxAttemptReport report = { .node = j && j->job.task.node[0] && draw(m, 8) ? j->job.task.node : "n0",
                                  .attempt = j ? j->job.task.attempt - (draw(m, 8) == 0) : 1,
                                  .outcome = (VmafxOutcome)(1 + draw(m, 6)),
                                  .message = "so it went",
                                  .may_pass = draw(m, 2),
                                  .has_result = has_result };

    if (report.outcome == VMAFX_OUTCOME_FAILED)
        report.failure = (VmafxFailure)(1 + draw(m, 8));
    if (report.outcome == VMAFX_OUTCOME_SUCCEEDED)
        report.complete = report.has_result = has_result = true;
    if (has_result && draw(m, 2)) {
        report.has_score = true;
        report.score = draw(m, 1000) / 8.0;
    }
    snprintf(result, sizeof result, "result %u", m->step % 1000u);
    VmafxErr err = suite_end(&report, number, has_result ? result : NULL, &theirs);
    VmafxErr expected = j ? vmafx_job_end_attempt(&j->job, &m->rules, &report, m->now, &step) : VMAFX_ERR_NOT_FOUND;
    AGREE(m, err == expected, "end: %s instead of %s", vmafx_err_name(err), vmafx_err_name(expected));
    if (j)
        agree_job(m, &j->job, &theirs);
    if (err)
        return;
    stepped(m, j, &step);
    if (j->job.has_result)
        strcpy(j->result, result);
}

static void do_cancel(Model *m)
{
    uint32_t number = any_number(m);
    ModelJob *j = find(m, number);
    VmafxJob theirs = { 0 };
    VmafxStep step = { 0 };
    VmafxErr expected = VMAFX_ERR_NOT_FOUND;

    if (j && j->job.state == VMAFX_JOB_CANCELLED)
        expected = VMAFX_OK;
    else if (j)
        expected = vmafx_job_cancel(&j->job, "changed my mind", m->now, &step);
    VmafxErr err = suite_cancel(number, &theirs);
    AGREE(m, err == expected, "cancel: %s", vmafx_err_name(err));
    if (j) {
        agree_job(m, &j->job, &theirs);
        stepped(m, j, &step);
    }
}

static void grace_all(Model *m, int64_t jump_us)
{
    for (size_t k = 0; k < m->n; k++)
        if (m->jobs[k].there && m->jobs[k].job.state == VMAFX_JOB_RUNNING)
            AGREE(m, !vmafx_job_grace(&m->jobs[k].job, &m->rules, jump_us, m->now), "grace");
    m->failed = false;
}

/* Sometimes the writer comes to it later than it was handed over. */
static void do_expire(Model *m)
{
    VmafxStoreOp op = { .kind = VMAFX_STORE_EXPIRE, .limit = VMAFX_STORE_LIMIT_MAX, .done = suite_ignore_done };
    VmafxWall as_of = m->now;
    size_t n = 0;

    if (draw(m, 2)) {
        suite_hold_writer();
        vmafx_store_submit_op(suite_store(), &op);
        suite_pass((int64_t)draw(m, 60) * SUITE_SECOND);
        m->now = vmafx_store_now(suite_store());
        suite_let_writer_go();
    } else {
        VMAFX_IGNORE(vmafx_store_wait(suite_store(), &op)); /* stands in the operation */
    }
    AGREE(m, !op.err, "expire: %s", op.why.message);
    if (m->failed)
        grace_all(m, 0);
    for (size_t i = 0; i < op.n_items; i++) { /* ties may come in any order: the model follows */
        ModelJob *j = NULL;
        VmafxStep step = { 0 };

        for (size_t k = 0; k < m->n && !j; k++)
            if (m->jobs[k].there && !memcmp(&m->jobs[k].job.id, &op.items[i].job.id, sizeof(VmafxJobId)))
                j = &m->jobs[k];
        AGREE(m, j, "expired: an unknown job");
        AGREE(m, !vmafx_job_expire(&j->job, &m->rules, as_of, &step), "expired: was not due");
        stepped(m, j, &step);
        agree_job(m, &j->job, &op.items[i].job);
    }
    for (size_t k = 0; k < m->n; k++)
        n += m->jobs[k].there && vmafx_job_due(&m->jobs[k].job, &m->rules) <= as_of;
    AGREE(m, n == 0, "%zu are due and were not found", n);
    vmafx_store_op_done(&op);
}

static void do_grace(Model *m)
{
    VmafxStoreOp op = { .kind = VMAFX_STORE_GRACE };

    AGREE(m, !vmafx_store_wait(suite_store(), &op), "grace: %s", op.why.message);
    grace_all(m, 0);
    vmafx_store_op_done(&op);
}

static void remove_events(Model *m, const VmafxJobId *id)
{
    size_t kept = 0;

    for (size_t i = 0; i < m->n_events; i++)
        if (memcmp(&m->events[i].job, id, sizeof *id) != 0)
            m->events[kept++] = m->events[i];
    m->n_events = kept;
}

static void do_delete(Model *m)
{
    uint32_t number = any_number(m);
    ModelJob *j = find(m, number);
    VmafxErr expected = !j ? VMAFX_ERR_NOT_FOUND : vmafx_job_has_ended(&j->job) ? VMAFX_OK : VMAFX_ERR_STATE;
    VmafxErr err = suite_delete(number);

    AGREE(m, err == expected, "delete: %s", vmafx_err_name(err));
    if (!err) {
        j->there = false;
        remove_events(m, &j->job.id);
    }
}

/* Removes ended jobs, the earliest first, as long as they ended before a time. */
static uint64_t remove_ended(Model *m, VmafxWall before, uint64_t limit)
{
    uint64_t n = 0;

    for (; n < limit; n++) {
        ModelJob *first = NULL;

        for (size_t k = 0; k < m->n; k++) {
            ModelJob *j = &m->jobs[k];

            if (j->there && vmafx_job_has_ended(&j->job) && j->job.ended < before &&
                (!first || j->job.ended < first->job.ended))
                first = j;
        }
        if (!first)
            break;
        first->there = false;
        remove_events(m, &first->job.id);
    }
    return n;
}

static void do_retain(Model *m)
{
    int64_t age = draw(m, 2) ? (int64_t)(1 + draw(m, 2000)) * SUITE_SECOND : 0;
    uint64_t count = draw(m, 2) ? 1 + draw(m, 40) : 0, n = 0, ended = 0;
    VmafxStoreOp op = { .kind = VMAFX_STORE_RETAIN, .age_us = age, .count = count, .limit = 1 + draw(m, 20) };

    AGREE(m, !vmafx_store_wait(suite_store(), &op), "retain: %s", op.why.message);
    if (age)
        n = remove_ended(m, m->now - age, op.limit);
    for (size_t k = 0; k < m->n; k++)
        ended += m->jobs[k].there && vmafx_job_has_ended(&m->jobs[k].job);
    if (count && ended > count)
        n += remove_ended(m, INT64_MAX, VMAFX_MIN(ended - count, op.limit - n));
    AGREE(m, n == op.n_done, "%d removed instead of %d", (int)op.n_done, (int)n);
    vmafx_store_op_done(&op);
}

/* ---- comparing ---- */

static void check_rows(Model *m)
{
    VmafxStoreCounts mine = { 0 }, theirs = suite_counts();

    for (size_t k = 0; k < m->n; k++) {
        ModelJob *j = &m->jobs[k];
        void *data;
        size_t len;
        VmafxStoredJob stored;
        VmafxErr err = vmafx_store_get(suite_store(), &j->job.id, &stored);

        AGREE(m, err == (j->there ? VMAFX_OK : VMAFX_ERR_NOT_FOUND), "get: %s", vmafx_err_name(err));
        if (err)
            continue;
        agree_job(m, &j->job, &stored.job);
        vmafx_stored_job_done(&stored);
        err = vmafx_store_result(suite_store(), &j->job.id, &data, &len);
        AGREE(m, err == (j->result[0] ? VMAFX_OK : VMAFX_ERR_NOT_FOUND), "result: %s", vmafx_err_name(err));
        if (!err) {
            AGREE(m, len == strlen(j->result) && !memcmp(data, j->result, len), "another result");
            free(data);
        }
        mine.queued += j->job.state == VMAFX_JOB_QUEUED;
        mine.running += j->job.state == VMAFX_JOB_RUNNING;
        mine.succeeded += j->job.state == VMAFX_JOB_SUCCEEDED;
        mine.failed += j->job.state == VMAFX_JOB_FAILED;
        mine.cancelled += j->job.state == VMAFX_JOB_CANCELLED;
        if (j->job.state == VMAFX_JOB_QUEUED && (!mine.oldest_queued || j->job.task.queued_since < mine.oldest_queued))
            mine.oldest_queued = j->job.task.queued_since;
    }
    AGREE(m,
          mine.queued == theirs.queued && mine.running == theirs.running && mine.succeeded == theirs.succeeded &&
              mine.failed == theirs.failed && mine.cancelled == theirs.cancelled &&
              mine.oldest_queued == theirs.oldest_queued,
          "counts");
}

static void check_events(Model *m)
{
    int64_t after = 0;

    for (size_t i = 0; i < m->n_events;) {
        VmafxStoredEvents events;

        AGREE(m, !vmafx_store_events(suite_store(), NULL, after, 100, &events), "events");
        AGREE(m, events.n > 0, "events are missing");
        for (size_t k = 0; k < events.n; k++, i++) {
            const char *differs = suite_event_differs(&m->events[i], &events.items[k]);

            AGREE(m, i < m->n_events && !differs, "event %zu: %s differs", i, differs ? differs : "");
            AGREE(m, events.items[k].sequence > after, "events out of order");
            after = events.items[k].sequence;
        }
        vmafx_stored_events_done(&events);
    }
}

static bool fits(const ModelJob *j, const VmafxStoreFilter *f, uint32_t before)
{
    return j->there && (!f->states || (f->states & (1u << j->job.state))) &&
           (!f->submitter || !strcmp(f->submitter, j->job.submitter)) &&
           (!f->n_labels || (j->label >= 0 && f->labels == &labels[j->label])) &&
           (!f->created_from || j->job.created >= f->created_from) &&
           (!f->created_before || j->job.created < f->created_before) && (!before || j->number < before);
}

static void check_list(Model *m)
{
    uint32_t before = draw(m, 2) ? 1 + draw(m, JOBS_MAX) : 0;
    VmafxStoreFilter f = { .states = draw(m, 2) ? 2 * draw(m, 32) : 0,
                           .submitter = draw(m, 2) ? submitters[draw(m, SUBMITTERS)] : NULL,
                           .created_from = draw(m, 2) ? SUITE_EPOCH + (int64_t)draw(m, 2000) * SUITE_SECOND : 0,
                           .created_before = draw(m, 2) ? SUITE_EPOCH + (int64_t)draw(m, 4000) * SUITE_SECOND : 0,
                           .limit = 1 + draw(m, 20) };
    VmafxStoredJobs jobs;
    size_t n = 0;

    if (before)
        f.before = suite_id(before);
    if (draw(m, 3) == 0) {
        f.labels = &labels[draw(m, 2)];
        f.n_labels = 1;
    }
    AGREE(m, !vmafx_store_list(suite_store(), &f, &jobs), "list");
    for (size_t k = m->n; k-- > 0;) { /* numbers, and so ids, were given in order */
        if (!fits(&m->jobs[k], &f, before))
            continue;
        if (n < f.limit) {
            AGREE(m, n < jobs.n, "a job is missing from a list");
            agree_job(m, &m->jobs[k].job, &jobs.items[n].job);
        }
        n++;
    }
    AGREE(m, jobs.n == VMAFX_MIN(n, f.limit) && jobs.more == (n > f.limit), "%zu listed of %zu", jobs.n, n);
    vmafx_stored_jobs_done(&jobs);
}

static void check_held(Model *m)
{
    const char *node = node_names[draw(m, NODES)];
    VmafxStoredJobs jobs;
    size_t n = 0;

    AGREE(m, !vmafx_store_held(suite_store(), node, &jobs), "held");
    for (size_t k = 0; k < m->n; k++)
        if (m->jobs[k].there && m->jobs[k].job.state == VMAFX_JOB_RUNNING && !strcmp(m->jobs[k].job.task.node, node)) {
            AGREE(m, n < jobs.n, "a job is missing from what a node holds");
            agree_job(m, &m->jobs[k].job, &jobs.items[n++].job);
        }
    AGREE(m, n == jobs.n, "a node holds more than it should");
    vmafx_stored_jobs_done(&jobs);
}

/* The clock goes forward: the store gives a grace before whatever comes next. */
static void jump(Model *m)
{
    int64_t us = (int64_t)(1 + draw(m, 500)) * SUITE_SECOND;

    suite_set_clock(us);
    m->now = vmafx_store_now(suite_store());
    grace_all(m, us);
    do_grace(m);
}

static void do_something(Model *m)
{
    static void (*const what[])(Model *) = {
        do_submit, do_submit, do_submit,  do_submit,  do_lease,  do_lease,  do_lease,  do_renew,
        do_end,    do_end,    do_end,     do_end,     do_end,    do_cancel, do_expire, do_expire,
        do_delete, do_grace,  check_list, check_held, do_retain, do_fail,
    };

    what[draw(m, VMAFX_LEN(what))](m);
}

void random_operations_do_to_the_store_what_they_do_to_a_plain_model(void **state)
{
    for (unsigned seed = 1; seed <= 3; seed++) {
        Model *m = calloc(1, sizeof *m);

        assert_non_null(m);
        suite_teardown(state);
        suite_setup(state);
        m->seed = m->state = seed;
        m->rules = suite_config()->rules;
        for (m->step = 0; m->step < STEPS; m->step++) {
            if (draw(m, 3) == 0)
                suite_pass((int64_t)draw(m, 8 * SUITE_SECOND));
            if (draw(m, 200) == 0)
                jump(m);
            m->now = vmafx_store_now(suite_store());
            do_something(m);
            if (m->step % (STEPS / 4) == STEPS / 8) {
                suite_reopen();
                m->failed = false; /* a start is the caller's to follow with a grace */
            }
            if (m->step % CHECK_EVERY == 0 || m->step == STEPS - 1) {
                check_rows(m);
                check_events(m);
            }
        }
        free(m);
    }
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * What each operation does: load rows, ask fleet's step function, write row and events. The same for every database;
 * whether it becomes true is decided by the commit of the group, in queue.c.
 */

#include "store/internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/base.h"

typedef struct Run {
    const VmafxStoreBackend *backend;
    void *db;
    VmafxStore *store;
    VmafxStoreOp *op;
    VmafxStoreGroup *group;
    VmafxStoreFault *fault;
} Run;

/* ---- answers ---- */

void vmafx_store_op_done(VmafxStoreOp *op)
{
    for (size_t i = 0; i < op->n_items; i++)
        free(op->items[i].spec);
    free(op->items);
    op->items = NULL;
    op->n_items = 0;
    op->n_done = 0;
}

static VmafxErr make_items(Run *run, size_t n)
{
    run->op->items = calloc(n ? n : 1, sizeof *run->op->items);
    return run->op->items ? VMAFX_OK : VMAFX_ERR_NOMEM;
}

/* The answer of an operation about one job. */
static VmafxErr make_item(Run *run, const VmafxJob *job)
{
    VmafxErr err = make_items(run, 1);

    if (err)
        return err;
    run->op->items[0].job = *job;
    run->op->n_items = 1;
    return VMAFX_OK;
}

static VmafxErr defect(Run *run, const VmafxJob *job, const char *what)
{
    char id[VMAFX_JOB_ID_TEXT];

    vmafx_job_id_text(&job->id, id);
    return vmafx_fail(&run->fault->info, VMAFX_ERR_INTERNAL, "job %s: %s", id, what);
}

/* ---- rows ---- */

static VmafxErr update(Run *run, const VmafxStoreRow *row)
{
    return run->backend->update(run->db, row, vmafx_job_due(&row->job, &run->store->rules), run->fault);
}

/* The events of a step, for the row they belong to. */
static VmafxErr add_events(Run *run, int64_t key, const VmafxJob *job, VmafxStep *step)
{
    for (size_t i = 0; i < step->n; i++) {
        VmafxErr err = run->backend->event_add(run->db, key, &step->events[i], run->fault);

        if (err)
            return err;
    }
    return vmafx_store_batch_add(&run->group->batch, step, job);
}

static VmafxErr set_aside(Run *run, const VmafxStoreRow *row, const char *why)
{
    return vmafx_store_set_aside(run->store, run->group, row, why, run->fault);
}

/* Writes what a step did to a row. */
static VmafxErr write_step(Run *run, const VmafxStoreRow *row, VmafxStep *step)
{
    VmafxErr err = update(run, row);

    if (!err && (row->job.state == VMAFX_JOB_FAILED || row->job.state == VMAFX_JOB_CANCELLED))
        err = run->backend->key_free(run->db, row->key, run->fault);
    return err ? err : add_events(run, row->key, &row->job, step);
}

static VmafxErr expire_row(Run *run, VmafxStoreRow *row, VmafxWall now, bool *ret_expired)
{
    VmafxStep step = { 0 };
    VmafxErr err = vmafx_job_expire(&row->job, &run->store->rules, now, &step);

    *ret_expired = !err;
    if (err == VMAFX_ERR_STATE && vmafx_job_due(&row->job, &run->store->rules) <= now)
        return defect(run, &row->job, "due, but there is nothing to be done");
    if (err == VMAFX_ERR_STATE)
        return update(run, row); /* its due time was stale */
    return err ? err : write_step(run, row, &step);
}

/* ---- the operations ---- */

/* NULL, or what is wrong with it. */
static const char *check_submission(const VmafxSubmission *s)
{
    if (s->spec_len > VMAFX_STORE_SPEC_MAX)
        return "the request is too long";
    if (s->idempotency_key && (!s->idempotency_key[0] || strlen(s->idempotency_key) > VMAFX_STORE_TEXT_MAX))
        return "the idempotency key is empty or too long";
    if (s->n_labels > VMAFX_STORE_LABELS_MAX)
        return "there are too many labels";
    for (size_t i = 0; i < s->n_labels; i++) {
        if (strlen(s->labels[i].key) > VMAFX_STORE_TEXT_MAX || strlen(s->labels[i].value) > VMAFX_STORE_TEXT_MAX)
            return "a label is too long";
        for (size_t j = 0; j < i; j++)
            if (!strcmp(s->labels[i].key, s->labels[j].key))
                return "a label comes twice";
    }
    return vmafx_job_id_is_zero(&s->job.id) ? "it has no id" : NULL;
}

/* The job's turn, and its submitter's next. What was taken out of the queue again does not count against it. */
static VmafxErr take_turn(Run *run, VmafxJob *job, int64_t *ret_last)
{
    const VmafxStoreBackend *backend = run->backend;
    int64_t virtual_turn, last;
    bool has_new = false;
    VmafxErr err = backend->turn_get(run->db, job->priority, "", &virtual_turn, run->fault);

    if (!err)
        err = backend->turn_get(run->db, job->priority, job->submitter, &last, run->fault);
    if (err)
        return err;
    int64_t settled = vmafx_turn_settled(virtual_turn, last);
    if (settled != last)
        err = backend->has_new(run->db, job->priority, job->submitter, &has_new, run->fault);
    if (!err)
        job->turn = vmafx_turn_next(virtual_turn, has_new ? last : settled, ret_last);
    return err;
}

/* Keeps how far ids lie from the times of their rows; see VmafxStoreMeta. */
static void note_id(VmafxStoreMeta *meta, const VmafxJob *job)
{
    int64_t made_ms = 0;

    for (int i = 0; i < 6; i++)
        made_ms = made_ms << 8 | job->id.bytes[i];
    int64_t early_us = job->created - made_ms * 1000;
    meta->id_early_us = VMAFX_MAX(meta->id_early_us, early_us);
    meta->id_late_us = VMAFX_MAX(meta->id_late_us, -early_us);
}

/* An error is the database's; what the submission is refused for stands in its item. */
static VmafxErr submit_one(Run *run, const VmafxSubmission *s, uint64_t *queued, VmafxStoreItem *item)
{
    uint8_t sha256[32];
    int64_t last, key;
    VmafxStep step = { 0 };
    VmafxErr err = VMAFX_ERR_NOT_FOUND;

    if (check_submission(s)) {
        item->err = VMAFX_ERR_INVALID;
        return VMAFX_OK;
    }
    if (s->idempotency_key) {
        VmafxStoreRow row = { 0 };

        err = run->backend->key_find(run->db, s->job.submitter, s->idempotency_key, &row, sha256, run->fault);
        if (vmafx_store_is_broken(err, &row)) {
            err = set_aside(run, &row, row.wrong);
            err = err ? err : VMAFX_ERR_NOT_FOUND;
        }
        if (!err) {
            item->job = row.job;
            item->existed = !memcmp(sha256, s->spec_sha256, sizeof sha256);
            item->err = item->existed ? VMAFX_OK : VMAFX_ERR_CONFLICT;
            return VMAFX_OK;
        }
    }
    if (err != VMAFX_ERR_NOT_FOUND)
        return err;
    if (*queued >= run->store->queued_max) {
        item->err = VMAFX_ERR_BUSY;
        return VMAFX_OK;
    }

    VmafxJob job = s->job;
    err = take_turn(run, &job, &last);
    if (err)
        return err;
    item->err = vmafx_job_submit(&job, run->group->now, &step);
    if (item->err)
        return VMAFX_OK;
    err = run->backend->insert(run->db, s, &job, vmafx_job_due(&job, &run->store->rules), &key, run->fault);
    if (err == VMAFX_ERR_CONFLICT) {
        item->err = err;
        return VMAFX_OK;
    }
    if (!err)
        err = run->backend->turn_set(run->db, job.priority, job.submitter, last, run->fault);
    if (!err)
        err = add_events(run, key, &job, &step);
    note_id(&run->group->meta, &job);
    item->job = job;
    ++*queued;
    return err;
}

static VmafxErr run_submit(Run *run)
{
    VmafxStoreOp *op = run->op;
    VmafxStoreCounts counts;
    VmafxErr err = make_items(run, op->n_submissions);

    if (!err)
        err = run->backend->counts(run->db, &counts, run->fault);
    for (size_t i = 0; !err && i < op->n_submissions; i++) {
        op->n_items = i + 1;
        err = submit_one(run, &op->submissions[i], &counts.queued, &op->items[i]);
    }
    return err;
}

/* Turns begin where work is being done. */
static VmafxErr lease_moves_turn(Run *run, const VmafxJob *job)
{
    int64_t before = 0;
    VmafxErr err = run->backend->turn_get(run->db, job->priority, "", &before, run->fault);
    int64_t after = err ? before : vmafx_turn_leased(before, job->turn);

    if (err || after == before)
        return err;
    return run->backend->turn_set(run->db, job->priority, "", after, run->fault);
}

/* The first row in the order of work goes to the node, as the next item; or, if it may not, out of the way. */
static VmafxErr lease_row(Run *run, VmafxStoreRow *row)
{
    VmafxStoreOp *op = run->op;
    VmafxStoreItem *item = &op->items[op->n_items];
    VmafxStep step = { 0 };
    bool expired;
    VmafxErr err = vmafx_job_lease(&row->job, &run->store->rules, op->capacity.node, op->random + 8 * op->n_items,
                                   run->group->now, &step);

    if (err == VMAFX_ERR_DEADLINE)
        return expire_row(run, row, run->group->now, &expired);
    if (err == VMAFX_ERR_TOO_EARLY)
        return update(run, row); /* that it may start was stale */
    if (err == VMAFX_ERR_STATE)
        return defect(run, &row->job, "next in the order of work, but not to be leased");
    if (!err)
        err = run->backend->spec_get(run->db, row->key, &item->spec, &item->spec_len, run->fault);
    if (err == VMAFX_ERR_NOT_FOUND)
        return set_aside(run, row, "it has lost its request");
    if (err)
        return err;
    item->job = row->job;
    op->n_items++;
    err = write_step(run, row, &step);
    return err ? err : lease_moves_turn(run, &row->job);
}

static VmafxErr run_lease(Run *run)
{
    VmafxStoreOp *op = run->op;
    size_t slots = VMAFX_MIN(op->capacity.slots, VMAFX_STORE_LEASES_MAX), looked = 0;
    int64_t memory = op->capacity.memory_free_mib;
    VmafxErr err = make_items(run, slots);

    while (!err && op->n_items < slots && looked++ < 2 * VMAFX_STORE_LEASES_MAX) {
        VmafxStoreRow row = { 0 };
        size_t before = op->n_items;

        err = run->backend->next_work(run->db, run->group->now, memory, &row, run->fault);
        if (err == VMAFX_ERR_NOT_FOUND)
            return VMAFX_OK;
        if (vmafx_store_is_broken(err, &row))
            err = set_aside(run, &row, row.wrong);
        else if (!err)
            err = lease_row(run, &row);
        if (op->n_items > before)
            memory -= row.job.need_memory_mib;
    }
    return err;
}

static VmafxErr run_renew(Run *run)
{
    VmafxStoreOp *op = run->op;
    VmafxErr err = make_items(run, op->n_held);

    for (size_t i = 0; !err && i < op->n_held; i++) {
        VmafxStoreItem *item = &op->items[i];
        VmafxStoreRow row = { 0 };

        op->n_items = i + 1;
        err = run->backend->load(run->db, &op->held[i].job, &row, run->fault);
        if (err == VMAFX_ERR_NOT_FOUND) {
            item->err = VMAFX_ERR_LEASE_LOST;
            err = VMAFX_OK;
        } else if (vmafx_store_is_broken(err, &row)) {
            item->err = VMAFX_ERR_LEASE_LOST;
            err = row.job.state ? set_aside(run, &row, row.wrong) : VMAFX_OK;
        } else if (!err) {
            item->err = vmafx_job_renew(&row.job, &run->store->rules, op->node, op->held[i].attempt, run->group->now);
            item->job = row.job;
            if (!item->err)
                err = update(run, &row);
        }
    }
    return err;
}

/* The row breaks a rule: its node shall not send its end for ever. As with a renewal, nobody holds it any more. */
static VmafxErr end_broken(Run *run, const VmafxStoreRow *row)
{
    VmafxErr err = row->job.state ? set_aside(run, row, row->wrong) : VMAFX_OK;

    if (!err)
        err = make_item(run, &row->job);
    if (err)
        return err;
    *run->fault = (VmafxStoreFault){ 0 };
    run->op->items[0].err = VMAFX_ERR_LEASE_LOST;
    return VMAFX_OK;
}

static VmafxErr run_end(Run *run)
{
    VmafxStoreOp *op = run->op;
    VmafxStep step = { 0 };
    VmafxStoreRow row = { 0 };
    VmafxErr err = run->backend->load(run->db, &op->job, &row, run->fault);

    if (vmafx_store_is_broken(err, &row))
        return end_broken(run, &row);
    if (err)
        return err;
    VmafxErr refused = vmafx_job_end_attempt(&row.job, &run->store->rules, &op->report, run->group->now, &step);
    err = make_item(run, &row.job);
    if (err || refused)
        return err ? err : refused;
    err = write_step(run, &row, &step);
    if (!err && op->result.data && row.job.has_result)
        err = run->backend->result_put(run->db, row.key, &op->result, run->fault);
    return err;
}

static VmafxErr run_cancel(Run *run)
{
    VmafxStep step = { 0 };
    VmafxStoreRow row;
    VmafxErr err = run->backend->load(run->db, &run->op->job, &row, run->fault);

    if (err)
        return err;
    VmafxErr refused = VMAFX_OK;
    bool already = row.job.state == VMAFX_JOB_CANCELLED;
    if (!already)
        refused = vmafx_job_cancel(&row.job, run->op->reason, run->group->now, &step);
    err = make_item(run, &row.job);
    if (err || refused || already)
        return err ? err : refused;
    return write_step(run, &row, &step);
}

static VmafxErr run_expire(Run *run)
{
    VmafxStoreOp *op = run->op;
    VmafxWall as_of = VMAFX_MIN(op->handed_over, run->group->now);
    size_t cap = 0;
    uint64_t graced;
    VmafxErr err = VMAFX_OK;

    if (run->store->failed && !run->group->graced)
        err = vmafx_store_grace(run->store, run->group, 0, &graced, run->fault);
    for (uint32_t looked = 0; !err && looked < op->limit; looked++) {
        VmafxStoreRow row = { 0 };
        bool expired = false;

        err = run->backend->next_due(run->db, as_of, &row, run->fault);
        if (err == VMAFX_ERR_NOT_FOUND)
            return VMAFX_OK;
        if (vmafx_store_is_broken(err, &row))
            err = set_aside(run, &row, row.wrong);
        else if (!err)
            err = expire_row(run, &row, as_of, &expired);
        if (!err && !expired)
            continue;
        if (!err && !vmafx_store_grow(&op->items, &cap, sizeof *op->items, op->n_items + 1))
            err = VMAFX_ERR_NOMEM;
        if (err)
            break;
        op->items[op->n_items++] = (VmafxStoreItem){ .job = row.job };
        op->n_done++;
    }
    return err;
}

static VmafxErr run_delete(Run *run)
{
    VmafxStoreRow row = { 0 };
    VmafxErr err = run->backend->load(run->db, &run->op->job, &row, run->fault);
    bool broken = vmafx_store_is_broken(err, &row);

    if (broken) {
        *run->fault = (VmafxStoreFault){ 0 };
        row.job = (VmafxJob){ .id = run->op->job };
        err = VMAFX_OK;
    }
    if (!err)
        err = make_item(run, &row.job);
    if (!err && !broken && !vmafx_job_has_ended(&row.job))
        err = VMAFX_ERR_STATE;
    return err ? err : run->backend->remove(run->db, row.key, run->fault);
}

static VmafxErr run_retain(Run *run)
{
    VmafxStoreOp *op = run->op;
    uint64_t n = 0;
    VmafxErr err = VMAFX_OK;

    if (op->age_us) {
        err = run->backend->remove_ended(run->db, run->group->now - op->age_us, op->limit, &n, run->fault);
        op->n_done = n;
    }
    if (!err && op->count && op->n_done < op->limit) {
        VmafxStoreCounts counts;

        err = run->backend->counts(run->db, &counts, run->fault);
        uint64_t ended = err ? 0 : counts.succeeded + counts.failed + counts.cancelled;
        if (ended > op->count) {
            err = run->backend->remove_ended(run->db, INT64_MAX, VMAFX_MIN(ended - op->count, op->limit - op->n_done),
                                             &n, run->fault);
            op->n_done += n;
        }
    }
    return err ? err : run->backend->turns_prune(run->db, run->fault);
}

VmafxErr vmafx_store_op_run(VmafxStore *store, VmafxStoreOp *op, VmafxStoreGroup *group, VmafxStoreFault *fault)
{
    Run run = { store->backend, store->db, store, op, group, fault };

    switch ((int)op->kind) {
    case VMAFX_STORE_SUBMIT:
        return run_submit(&run);
    case VMAFX_STORE_LEASE:
        return run_lease(&run);
    case VMAFX_STORE_RENEW:
        return run_renew(&run);
    case VMAFX_STORE_END:
        return run_end(&run);
    case VMAFX_STORE_CANCEL:
        return run_cancel(&run);
    case VMAFX_STORE_EXPIRE:
        return run_expire(&run);
    case VMAFX_STORE_GRACE:
        return vmafx_store_grace(store, group, 0, &op->n_done, fault);
    case VMAFX_STORE_DELETE:
        return run_delete(&run);
    case VMAFX_STORE_RETAIN:
        return run_retain(&run);
    default: /* the probe */
        group->write = true;
        return VMAFX_OK;
    }
}

/* ---- before they wait ---- */

VmafxErr vmafx_store_op_check(VmafxStoreOp *op)
{
    const char *wrong = NULL;

    switch ((int)op->kind) {
    case VMAFX_STORE_SUBMIT:
        if (op->n_submissions < 1 || op->n_submissions > VMAFX_STORE_SUBMISSIONS_MAX)
            wrong = "submissions: 1 … 1000 in one operation";
        break;
    case VMAFX_STORE_LEASE:
        if (!op->capacity.node || !vmafx_node_name_is_valid(op->capacity.node))
            wrong = "capacity.node: not the name of a node";
        else if (!op->random && op->capacity.slots)
            wrong = "random: 8 bytes are needed for each slot";
        break;
    case VMAFX_STORE_RENEW:
        if (!op->node || !vmafx_node_name_is_valid(op->node))
            wrong = "node: not the name of a node";
        else if (op->n_held > VMAFX_STORE_LIMIT_MAX)
            wrong = "held: at most 10 000 in one operation";
        break;
    case VMAFX_STORE_END:
        if (!op->report.node)
            wrong = "report.node: missing";
        else if (!op->result.data != !op->report.has_result)
            wrong = "result: the report and the bytes contradict each other";
        else if (op->result.data && op->result.len > VMAFX_STORE_RESULT_MAX)
            wrong = "result: longer than 256 MiB";
        break;
    case VMAFX_STORE_RETAIN:
        if (op->age_us < 0)
            wrong = "age_us: below 0";
        /* fall through */
    case VMAFX_STORE_EXPIRE:
        if (op->limit < 1 || op->limit > VMAFX_STORE_LIMIT_MAX)
            wrong = "limit: 1 … 10 000";
        break;
    case VMAFX_STORE_CANCEL:
    case VMAFX_STORE_GRACE:
    case VMAFX_STORE_DELETE:
    case VMAFX_STORE_CALL_PROBE:
        break;
    default:
        wrong = "kind: no such operation";
    }
    return wrong ? vmafx_fail(&op->why, VMAFX_ERR_INVALID, "%s", wrong) : VMAFX_OK;
}

size_t vmafx_store_op_weight(const VmafxStoreOp *op)
{
    switch (op->kind) {
    case VMAFX_STORE_SUBMIT:
        return op->n_submissions;
    case VMAFX_STORE_LEASE:
        return VMAFX_MIN(op->capacity.slots, VMAFX_STORE_LEASES_MAX);
    case VMAFX_STORE_RENEW:
        return op->n_held;
    case VMAFX_STORE_EXPIRE:
    case VMAFX_STORE_RETAIN:
        return op->limit / 10; /* mostly, little is due */
    default:
        return 1;
    }
}

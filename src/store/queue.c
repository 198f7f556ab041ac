/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The writer. Operations wait in line; the writer takes as many as came while it was busy, does each inside a savepoint
 * of one transaction, flushes once, and answers. Nobody waits for a group to fill up: the flush itself is the time in
 * which the next group gathers.
 *
 * What could not be written may have been renewals; `failed` remembers that until a grace is on disk, and EXPIRE looks
 * at it (operations.c).
 *
 * One operation that fails is undone alone. When the transaction as a whole is lost (a full disk), the operations of
 * the group are tried again one by one, so that a result that is too large does not take the rest with it.
 */

#include "store/internal.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "base/clock.h"

#define GROUP_OPS    1024
#define GROUP_WEIGHT 4096
#define KEEP_EVENTS  8192 /* a batch that grew larger gives its memory back */

#define READY_FRESH_NS 1000000000u
#define READY_WAIT_NS  2000000000u

/* ---- one transaction ---- */

static bool is_database_error(VmafxErr err, const VmafxStoreFault *fault)
{
    return fault->status[0] || err == VMAFX_ERR_NOMEM || err == VMAFX_ERR_CORRUPT || err == VMAFX_ERR_INTERNAL;
}

/* One operation in its savepoint. An error: the transaction is lost. */
static VmafxErr run_op(VmafxStore *store, VmafxStoreOp *op, VmafxStoreFault *fault)
{
    const VmafxStoreBackend *backend = store->backend;
    VmafxStoreGroup *group = &store->group;
    VmafxStoreMark mark = vmafx_store_batch_mark(&group->batch);
    VmafxStoreMeta meta = group->meta;
    bool graced = group->graced;

    VmafxErr err = backend->savepoint(store->db, fault);
    if (err)
        return err;
    op->err = vmafx_store_op_run(store, op, group, fault);
    if (!op->err)
        return backend->release(store->db, fault);

    vmafx_store_batch_cut(&group->batch, mark);
    group->meta = meta;
    group->graced = graced;
    if (is_database_error(op->err, fault)) {
        op->why = fault->info;
        vmafx_store_op_done(op);
        if (op->kind == VMAFX_STORE_RENEW) {
            store->failed = true;
            group->graced = false; /* what was given before does not count */
        }
    }
    VmafxStoreFault second = { 0 };
    err = backend->undo(store->db, &second);
    return err && is_database_error(op->err, fault) ? op->err : err; /* the first fault tells more */
}

/*
 * All operations of a group. When the clock has jumped, what runs is given its grace before anything else happens: no
 * order of calls lets a lease end for time that nobody lived through.
 */
static VmafxErr run_ops(VmafxStore *store, VmafxStoreOp *ops, size_t n, bool jumped, int64_t forward_us,
                        VmafxStoreFault *fault)
{
    uint64_t graced;
    VmafxErr err = VMAFX_OK;

    if (jumped)
        err = vmafx_store_grace(store, &store->group, forward_us, &graced, fault);
    for (size_t i = 0; !err && i < n; i++, ops = ops->next) {
        VmafxStoreFault own = { 0 };

        err = run_op(store, ops, &own);
        if (own.status[0])
            *fault = own;
    }
    return err;
}

static VmafxErr try_group(VmafxStore *store, VmafxStoreOp *ops, size_t n, VmafxStoreFault *fault)
{
    const VmafxStoreBackend *backend = store->backend;
    VmafxStoreGroup *group = &store->group;
    int64_t forward_us;

    vmafx_store_batch_cut(&group->batch, (VmafxStoreMark){ 0 });
    group->write = group->graced = false;
    VmafxErr err = backend->begin(store->db, fault);
    if (err)
        return err;
    VmafxWall now = vmafx_store_time_now(&store->time);
    bool jumped = vmafx_store_time_take_jump(&store->time, &forward_us);
    err = backend->meta_get(store->db, &group->meta, fault);
    if (!err) {
        group->now = VMAFX_MAX(now, group->meta.clock);
        err = run_ops(store, ops, n, jumped, forward_us, fault);
    }
    group->write |= !err && backend->has_changes(store->db);
    if (!err && group->write) {
        group->meta.clock = group->now;
        err = backend->meta_set(store->db, &group->meta, fault);
    }
    if (!err)
        err = backend->commit(store->db, fault);
    if (err) {
        backend->rollback(store->db);
        vmafx_store_batch_cut(&group->batch, (VmafxStoreMark){ 0 });
        if (jumped)
            vmafx_store_time_give_jump(&store->time, forward_us);
    } else if (group->graced) {
        store->failed = false;
    }
    return err;
}

/* ---- what follows a commit ---- */

void vmafx_store_tell_asides(VmafxStore *store)
{
    VmafxStoreBatch *batch = &store->group.batch;

    for (size_t i = 0; store->on_set_aside && i < batch->n_asides; i++)
        store->on_set_aside(store->on_set_aside_ctx, &batch->asides[i].job, batch->asides[i].why);
}

static void publish(VmafxStore *store, VmafxErr err)
{
    VmafxStoreBatch *batch = &store->group.batch;

    pthread_mutex_lock(&store->lock);
    if (err || store->group.write)
        store->wrote_ns = err ? 0 : vmafx_monotonic_ns();
    if (batch->n_events)
        store->newest = batch->events[batch->n_events - 1].sequence;
    pthread_cond_broadcast(&store->news);
    pthread_mutex_unlock(&store->lock);

    if (batch->n_events && store->on_events) {
        const VmafxJob **rows = malloc(batch->n_events * sizeof *rows);

        if (rows) {
            for (size_t i = 0; i < batch->n_events; i++)
                rows[i] = &batch->rows[batch->row_of[i]];
            store->on_events(store->on_events_ctx, batch->events, rows, batch->n_events);
            free(rows);
        } else { /* one by one: what was stored is told */
            for (size_t i = 0; i < batch->n_events; i++) {
                const VmafxJob *row = &batch->rows[batch->row_of[i]];

                store->on_events(store->on_events_ctx, &batch->events[i], &row, 1);
            }
        }
    }
    vmafx_store_tell_asides(store);
    if (batch->cap_events > KEEP_EVENTS)
        vmafx_store_batch_done(batch);
}

static void answer(VmafxStoreOp *op)
{
    vmafx_context_unref(&op->context);
    op->next = NULL;
    op->done(op);
}

static VmafxErr run_traced(VmafxStore *store, VmafxStoreOp *ops, size_t n, VmafxStoreFault *fault)
{
    VmafxStoreTrace trace = vmafx_store_trace_group(store, ops, n);
    VmafxErr err = try_group(store, ops, n, fault);
    VmafxErr seen = err;

    if (!err && fault->status[0])
        seen = VMAFX_ERR_IO; /* one of its operations met an error of the database */
    vmafx_store_trace_end(&trace, seen, fault);
    return err;
}

/* The answers of the group are complete when this returns. */
static void run_group(VmafxStore *store, VmafxStoreOp *ops, size_t n)
{
    VmafxStoreFault fault = { 0 };
    VmafxErr err = run_traced(store, ops, n, &fault);

    if (err)
        for (VmafxStoreOp *op = ops; op; op = n > 1 ? op->next : NULL) {
            vmafx_store_op_done(op);
            op->err = n > 1 ? VMAFX_OK : err;
            op->why = n > 1 ? (VmafxErrInfo){ 0 } : fault.info;
        }
    if (err && n > 1) {
        for (VmafxStoreOp *op = ops; op; op = op->next)
            run_group(store, op, 1);
        return;
    }
    store->failed |= err != VMAFX_OK;
    publish(store, err);
}

/* Takes a group out of the line; NULL when the writer may go. Waits. */
static VmafxStoreOp *take_group(VmafxStore *store, size_t *ret_n)
{
    size_t n = 0, weight = 0;

    pthread_mutex_lock(&store->lock);
    while (!store->head && !store->stopping)
        pthread_cond_wait(&store->work, &store->lock);
    VmafxStoreOp *first = store->head, *last = NULL;
    for (VmafxStoreOp *op = first; op && n < GROUP_OPS; op = op->next) {
        weight += vmafx_store_op_weight(op);
        if (last && weight > GROUP_WEIGHT)
            break;
        last = op;
        n++;
    }
    if (last) {
        store->head = last->next;
        if (!store->head)
            store->tail = NULL;
        last->next = NULL;
    }
    pthread_mutex_unlock(&store->lock);
    *ret_n = n;
    return first;
}

static void answer_group(VmafxStore *store, VmafxStoreOp *ops, size_t n)
{
    pthread_mutex_lock(&store->lock);
    store->n_pending -= (uint32_t)n;
    pthread_mutex_unlock(&store->lock);
    while (ops) {
        VmafxStoreOp *next = ops->next;

        answer(ops);
        ops = next;
    }
}

static void *write_all(void *arg)
{
    VmafxStore *store = arg;
    VmafxStoreOp *ops;
    size_t n;

    while ((ops = take_group(store, &n))) {
        run_group(store, ops, n);
        answer_group(store, ops, n);
    }
    return NULL;
}

/* ---- handing over ---- */

void vmafx_store_submit_op(VmafxStore *store, VmafxStoreOp *op)
{
    op->items = NULL;
    op->n_items = 0;
    op->n_done = 0;
    op->next = NULL;
    op->context = NULL;
    op->why.message[0] = 0;
    op->handed_over = op->kind == VMAFX_STORE_EXPIRE ? vmafx_store_time_now(&store->time) : 0;
    op->err = vmafx_store_op_check(op);
    if (!op->err && vmafx_context_span_at(vmafx_context_current()))
        op->context = vmafx_context_ref(vmafx_context_current());

    pthread_mutex_lock(&store->lock);
    if (!op->err && store->stopping)
        op->err = VMAFX_ERR_STOPPED;
    else if (!op->err && store->n_pending >= store->pending_max)
        op->err = VMAFX_ERR_LIMIT;
    bool refused = op->err;
    if (!refused) {
        if (store->tail)
            store->tail->next = op;
        else
            store->head = op;
        store->tail = op;
        store->n_pending++;
        pthread_cond_signal(&store->work);
    }
    pthread_mutex_unlock(&store->lock);
    if (refused)
        answer(op);
}

typedef struct Waiter {
    pthread_mutex_t lock; /* covers everything below */
    pthread_cond_t answered;
    bool done;
} Waiter;

static void wake_waiter(VmafxStoreOp *op)
{
    Waiter *waiter = op->ctx;

    pthread_mutex_lock(&waiter->lock);
    waiter->done = true;
    pthread_cond_signal(&waiter->answered);
    pthread_mutex_unlock(&waiter->lock);
}

VmafxErr vmafx_store_wait(VmafxStore *store, VmafxStoreOp *op)
{
    Waiter waiter = { .lock = PTHREAD_MUTEX_INITIALIZER, .answered = PTHREAD_COND_INITIALIZER };

    assert(!pthread_equal(pthread_self(), store->writer)); /* it would wait for itself */
    op->done = wake_waiter;
    op->ctx = &waiter;
    vmafx_store_submit_op(store, op);
    pthread_mutex_lock(&waiter.lock);
    while (!waiter.done)
        pthread_cond_wait(&waiter.answered, &waiter.lock);
    pthread_mutex_unlock(&waiter.lock);
    pthread_cond_destroy(&waiter.answered);
    pthread_mutex_destroy(&waiter.lock);
    op->done = NULL;
    op->ctx = NULL;
    return op->err;
}

/* ---- waiting for news ---- */

static struct timespec in_ns(uint64_t wait_ns)
{
    uint64_t until = vmafx_monotonic_ns() + wait_ns;

    return (struct timespec){ .tv_sec = (time_t)(until / 1000000000u), .tv_nsec = (long)(until % 1000000000u) };
}

VmafxErr vmafx_store_wait_events(VmafxStore *store, int64_t after, uint32_t timeout_ms, int64_t *ret_newest)
{
    struct timespec until = in_ns((uint64_t)timeout_ms * 1000000u);
    int late = 0;

    pthread_mutex_lock(&store->lock);
    while (store->newest <= after && !store->stopping && !late)
        late = pthread_cond_timedwait(&store->news, &store->lock, &until);
    bool stopped = store->stopping && store->newest <= after;
    int64_t newest = store->newest;
    pthread_mutex_unlock(&store->lock);
    if (stopped)
        return VMAFX_ERR_STOPPED;
    *ret_newest = newest;
    return VMAFX_OK;
}

static void probe_done(VmafxStoreOp *op)
{
    VmafxStore *store = op->ctx;

    pthread_mutex_lock(&store->lock);
    store->probing = false;
    store->probe_err = op->err;
    store->probe_why = op->why;
    pthread_cond_broadcast(&store->news);
    pthread_mutex_unlock(&store->lock);
}

VmafxErr vmafx_store_ready(VmafxStore *store, VmafxErrInfo *reterr)
{
    struct timespec until = in_ns(READY_WAIT_NS);
    bool hand_over = false;
    int late = 0;

    pthread_mutex_lock(&store->lock);
    if (store->stopping || (store->wrote_ns && vmafx_monotonic_ns() - store->wrote_ns < READY_FRESH_NS)) {
        bool stopping = store->stopping;

        pthread_mutex_unlock(&store->lock);
        return stopping ? vmafx_fail(reterr, VMAFX_ERR_STOPPED, "the store is closing") : VMAFX_OK;
    }
    if (!store->probing) {
        store->probing = hand_over = true;
        store->probe = (VmafxStoreOp){ .kind = VMAFX_STORE_PROBE, .done = probe_done, .ctx = store };
    }
    pthread_mutex_unlock(&store->lock);
    if (hand_over)
        vmafx_store_submit_op(store, &store->probe);

    pthread_mutex_lock(&store->lock);
    while (store->probing && !late)
        late = pthread_cond_timedwait(&store->news, &store->lock, &until);
    bool silent = store->probing;
    VmafxErr err = store->probe_err;
    VmafxErrInfo why = store->probe_why;
    pthread_mutex_unlock(&store->lock);
    if (silent)
        return vmafx_fail(reterr, VMAFX_ERR_IO,
                          "the database has not finished a write for 2 s: its disk is slow or hangs");
    return err ? vmafx_fail(reterr, err, "%s", why.message[0] ? why.message : vmafx_err_text(err)) : VMAFX_OK;
}

/* ---- the writer's life ---- */

VmafxErr vmafx_store_queue_start(VmafxStore *store)
{
    pthread_condattr_t monotonic;

    pthread_mutex_init(&store->lock, NULL);
    pthread_cond_init(&store->work, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&store->news, &monotonic);
    pthread_condattr_destroy(&monotonic);
    if (!pthread_create(&store->writer, NULL, write_all, store))
        return VMAFX_OK;
    pthread_mutex_destroy(&store->lock);
    pthread_cond_destroy(&store->work);
    pthread_cond_destroy(&store->news);
    return VMAFX_ERR_NOMEM;
}

void vmafx_store_stop(VmafxStore *store)
{
    pthread_mutex_lock(&store->lock);
    store->stopping = true;
    pthread_cond_broadcast(&store->work);
    pthread_cond_broadcast(&store->news);
    pthread_mutex_unlock(&store->lock);
}

void vmafx_store_queue_end(VmafxStore *store)
{
    vmafx_store_stop(store);
    pthread_join(store->writer, NULL);
    vmafx_store_batch_done(&store->group.batch);
    pthread_mutex_destroy(&store->lock);
    pthread_cond_destroy(&store->work);
    pthread_cond_destroy(&store->news);
}

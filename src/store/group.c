/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * What a group of operations gathers beside rows: events to be told of, rows that were set aside. And what is done for
 * all that runs at once. The same for every database.
 */

#include "store/internal.h"

#include <stdlib.h>

#include "base/base.h"

/* ---- the batch ---- */

void vmafx_store_batch_done(VmafxStoreBatch *batch)
{
    free(batch->events);
    free(batch->row_of);
    free(batch->rows);
    free(batch->asides);
    *batch = (VmafxStoreBatch){ 0 };
}

VmafxStoreMark vmafx_store_batch_mark(const VmafxStoreBatch *batch)
{
    return (VmafxStoreMark){ batch->n_events, batch->n_rows, batch->n_asides };
}

void vmafx_store_batch_cut(VmafxStoreBatch *batch, VmafxStoreMark mark)
{
    batch->n_events = mark.n_events;
    batch->n_rows = mark.n_rows;
    batch->n_asides = mark.n_asides;
}

bool vmafx_store_grow(void *array, size_t *cap, size_t size, size_t need)
{
    if (need <= *cap)
        return true;
    size_t n = VMAFX_MAX(need, *cap * 2);
    void *more = realloc(*(void **)array, n * size);

    if (!more)
        return false;
    *(void **)array = more;
    *cap = n;
    return true;
}

VmafxErr vmafx_store_batch_add(VmafxStoreBatch *batch, const VmafxStep *step, const VmafxJob *job)
{
    size_t need = batch->n_events + step->n, cap = batch->cap_events;

    if (!step->n)
        return VMAFX_OK;
    if (!vmafx_store_grow(&batch->row_of, &cap, sizeof *batch->row_of, need) ||
        !vmafx_store_grow(&batch->events, &batch->cap_events, sizeof *batch->events, need) ||
        !vmafx_store_grow(&batch->rows, &batch->cap_rows, sizeof *batch->rows, batch->n_rows + 1))
        return VMAFX_ERR_NOMEM;
    for (size_t i = 0; i < step->n; i++) {
        batch->row_of[batch->n_events] = batch->n_rows;
        batch->events[batch->n_events++] = step->events[i];
    }
    batch->rows[batch->n_rows++] = *job;
    return VMAFX_OK;
}

/* ---- rows that break a rule ---- */

/*
 * The row is out of the way with this transaction, and its submitter's key free for another try. What was found is no
 * fault of the operation that came across it.
 */
VmafxErr vmafx_store_set_aside(VmafxStore *store, VmafxStoreGroup *group, const VmafxStoreRow *row, const char *why,
                               VmafxStoreFault *fault)
{
    VmafxStoreBatch *batch = &group->batch;

    *fault = (VmafxStoreFault){ 0 };
    VmafxErr err = store->backend->set_aside(store->db, row->key, group->now, why, fault);
    if (!err)
        err = store->backend->key_free(store->db, row->key, fault);
    if (!err && !vmafx_store_grow(&batch->asides, &batch->cap_asides, sizeof *batch->asides, batch->n_asides + 1))
        err = VMAFX_ERR_NOMEM;
    if (!err)
        batch->asides[batch->n_asides++] = (VmafxStoreAside){ row->job.id, why };
    return err;
}

bool vmafx_store_is_broken(VmafxErr err, const VmafxStoreRow *row)
{
    return err == VMAFX_ERR_CORRUPT && row->wrong;
}

/* ---- for all that run ---- */

/* One after the other, by their keys; those that break a rule are set aside. VMAFX_ERR_NOT_FOUND: there is none. */
static VmafxErr next_running(VmafxStore *store, VmafxStoreGroup *group, int64_t after, VmafxStoreRow *ret,
                             VmafxStoreFault *fault)
{
    for (;;) {
        ret->wrong = NULL;
        VmafxErr err = store->backend->next_running(store->db, after, ret, fault);

        if (!vmafx_store_is_broken(err, ret))
            return err;
        after = ret->key;
        err = vmafx_store_set_aside(store, group, ret, ret->wrong, fault);
        if (err)
            return err;
    }
}

VmafxErr vmafx_store_grace(VmafxStore *store, VmafxStoreGroup *group, int64_t forward_us, uint64_t *ret_n,
                           VmafxStoreFault *fault)
{
    VmafxStoreRow row = { 0 };

    group->graced = true;
    for (*ret_n = 0;; ++*ret_n) {
        VmafxErr err = next_running(store, group, row.key, &row, fault);

        if (err)
            return err == VMAFX_ERR_NOT_FOUND ? VMAFX_OK : err;
        err = vmafx_job_grace(&row.job, &store->rules, forward_us, group->now);
        if (err)
            return vmafx_fail(&fault->info, VMAFX_ERR_INTERNAL, "a job that runs cannot be given a grace");
        err = store->backend->update(store->db, &row, vmafx_job_due(&row.job, &store->rules), fault);
        if (err)
            return err;
    }
}

VmafxErr vmafx_store_rules_apply(VmafxStore *store, VmafxStoreGroup *group, VmafxStoreFault *fault)
{
    VmafxStoreRow row = { 0 };

    for (;;) {
        VmafxErr err = next_running(store, group, row.key, &row, fault);

        if (err == VMAFX_ERR_NOT_FOUND)
            break;
        if (!err)
            err = store->backend->update(store->db, &row, vmafx_job_due(&row.job, &store->rules), fault);
        if (err)
            return err;
    }
    group->meta.lease_us = store->rules.lease_us;
    return store->backend->meta_set(store->db, &group->meta, fault);
}

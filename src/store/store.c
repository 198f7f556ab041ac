/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Opening, closing and reading: which database a URL names, and the reads with their spans. */

#include "store/store.h"

#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "store/internal.h"

#define PENDING_MAX 100000u
#define QUEUED_MAX  1000000u
#define SQLITE_URL  "sqlite:"

/* ---- opening ---- */

/* What is read and brought in order before the writer starts. */
static VmafxErr begin_life(VmafxStore *store, const VmafxStoreConfig *config, VmafxStoreFault *fault)
{
    const VmafxStoreBackend *backend = store->backend;
    VmafxStoreMeta *meta = &store->group.meta;
    VmafxErr err = backend->begin(store->db, fault);

    if (err)
        return err;
    err = backend->meta_get(store->db, meta, fault);
    store->group.now = meta->clock;
    if (!err && meta->lease_us != store->rules.lease_us)
        err = vmafx_store_rules_apply(store, &store->group, fault);
    if (!err)
        err = backend->commit(store->db, fault);
    if (err) {
        backend->rollback(store->db);
        return err;
    }
    err = backend->newest(store->db, &store->newest, fault);
    if (!err) {
        vmafx_store_time_init(&store->time, config->clock, meta->clock);
        vmafx_store_tell_asides(store);
    }
    return err;
}

static VmafxErr fail_open(VmafxStore *store, VmafxErr err, const VmafxStoreFault *fault, VmafxErrInfo *reterr)
{
    if (store->db)
        store->backend->close(&store->db);
    vmafx_store_batch_done(&store->group.batch);
    free(store);
    return vmafx_fail(reterr, err, "%s", fault->info.message[0] ? fault->info.message : vmafx_err_text(err));
}

VmafxErr vmafx_store_open(const VmafxStoreConfig *config, VmafxStore **ret, VmafxErrInfo *reterr)
{
    const char *address = config->url;
    VmafxStoreFault fault = { 0 };

    if (address && !strncmp(address, SQLITE_URL, strlen(SQLITE_URL)))
        address += strlen(SQLITE_URL);
    else if (address && strstr(address, "://"))
        return vmafx_fail(reterr, VMAFX_ERR_UNSUPPORTED, "no database of this kind: '%s'; give a path, or sqlite:PATH",
                          address);
    if (!address || !*address)
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "no database named: give a path, or sqlite:PATH");
    VmafxStore *store = calloc(1, sizeof *store);
    if (!store)
        return vmafx_fail(reterr, VMAFX_ERR_NOMEM, "no memory for a store");
    store->backend = &vmafx_store_sqlite;
    store->rules = config->rules;
    store->pending_max = config->pending_max ? config->pending_max : PENDING_MAX;
    store->queued_max = config->queued_max ? config->queued_max : QUEUED_MAX;
    store->on_events = config->on_events;
    store->on_events_ctx = config->on_events_ctx;
    store->on_set_aside = config->on_set_aside;
    store->on_set_aside_ctx = config->on_set_aside_ctx;
    vmafx_store_trace_init(store);
    VmafxErr err = store->backend->open(address, config->durability, &store->db, &fault);
    if (!err)
        err = begin_life(store, config, &fault);
    if (err)
        return fail_open(store, err, &fault, reterr);
    err = vmafx_store_queue_start(store);
    if (err) {
        vmafx_store_time_done(&store->time);
        return fail_open(store, err, &fault, reterr);
    }
    *ret = store;
    return VMAFX_OK;
}

void vmafx_store_close(VmafxStore **store)
{
    if (!*store)
        return;
    vmafx_store_queue_end(*store);
    (*store)->backend->close(&(*store)->db);
    vmafx_store_time_done(&(*store)->time);
    free(*store);
    *store = NULL;
}

VmafxWall vmafx_store_now(VmafxStore *store)
{
    return vmafx_store_time_now(&store->time);
}

bool vmafx_store_clock_jumped(VmafxStore *store, int64_t *ret_step_us)
{
    return vmafx_store_time_jumped(&store->time, ret_step_us);
}

const char *vmafx_store_system(const VmafxStore *store)
{
    return store->backend->system;
}

/* ---- reading ---- */

/* One read: its span, its duration. */
#define READ(store, which, call)                                                                                       \
    do {                                                                                                               \
        VmafxStoreFault fault = { 0 };                                                                                 \
        VmafxStoreTrace trace = vmafx_store_trace_read(store, which);                                                  \
        VmafxErr err = (store)->backend->call;                                                                         \
        vmafx_store_trace_end(&trace, err, &fault);                                                                    \
        return err;                                                                                                    \
    } while (0)

VmafxErr vmafx_store_get(VmafxStore *store, const VmafxJobId *id, VmafxStoredJob *ret)
{
    READ(store, VMAFX_STORE_CALL_GET, get(store->db, id, ret, &fault));
}

VmafxErr vmafx_store_list(VmafxStore *store, const VmafxStoreFilter *filter, VmafxStoredJobs *ret)
{
    if (filter->limit < 1 || filter->limit > VMAFX_STORE_PAGE_MAX || filter->n_labels > VMAFX_STORE_LABELS_MAX)
        return VMAFX_ERR_INVALID;
    READ(store, VMAFX_STORE_CALL_LIST, list(store->db, filter, ret, &fault));
}

VmafxErr vmafx_store_events(VmafxStore *store, const VmafxJobId *job, int64_t after, uint32_t limit,
                            VmafxStoredEvents *ret)
{
    if (limit < 1 || limit > VMAFX_STORE_PAGE_MAX)
        return VMAFX_ERR_INVALID;
    READ(store, VMAFX_STORE_CALL_EVENTS, events(store->db, job, after, limit, ret, &fault));
}

VmafxErr vmafx_store_result(VmafxStore *store, const VmafxJobId *id, void **ret_data, size_t *ret_len)
{
    READ(store, VMAFX_STORE_CALL_RESULT, result(store->db, id, ret_data, ret_len, &fault));
}

VmafxErr vmafx_store_held(VmafxStore *store, const char *node, VmafxStoredJobs *ret)
{
    READ(store, VMAFX_STORE_CALL_HELD, held(store->db, node, ret, &fault));
}

VmafxErr vmafx_store_counts(VmafxStore *store, VmafxStoreCounts *ret)
{
    READ(store, VMAFX_STORE_CALL_COUNTS, read_counts(store->db, ret, &fault));
}

/* ---- what reads gave ---- */

void vmafx_stored_job_done(VmafxStoredJob *job)
{
    free(job->spec);
    *job = (VmafxStoredJob){ 0 };
}

void vmafx_stored_jobs_done(VmafxStoredJobs *jobs)
{
    for (size_t i = 0; i < jobs->n; i++)
        free(jobs->items[i].spec);
    free(jobs->items);
    *jobs = (VmafxStoredJobs){ 0 };
}

void vmafx_stored_events_done(VmafxStoredEvents *events)
{
    free(events->items);
    *events = (VmafxStoredEvents){ 0 };
}

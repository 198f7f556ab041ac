/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Spans and durations of the database, by the semantic conventions for database clients: one for a read, one for a
 * group of changes, none for a statement. Durations are always measured; spans only belong somewhere where a context
 * was handed over.
 */

#include "store/internal.h"

#include <stdio.h>

#include "base/base.h"
#include "base/clock.h"
#include "signals/instruments.h"

#define SCOPE     "vmafx.store"
#define LINKS_MAX 16 /* of a group's span, to the contexts of its further operations */

typedef struct CallName {
    const char *operation, *batch, *collection, *summary, *batch_summary;
} CallName;

#define NAMES(operation, collection)                                                                                   \
    {                                                                                                                  \
        operation, "BATCH " operation, collection, operation " " collection, "BATCH " operation " " collection         \
    }

static const CallName names[VMAFX_STORE_CALLS] = {
    [VMAFX_STORE_SUBMIT] = NAMES("submit", "job"),
    [VMAFX_STORE_LEASE] = NAMES("lease", "job"),
    [VMAFX_STORE_RENEW] = NAMES("renew", "job"),
    [VMAFX_STORE_END] = NAMES("end", "job"),
    [VMAFX_STORE_CANCEL] = NAMES("cancel", "job"),
    [VMAFX_STORE_EXPIRE] = NAMES("expire", "job"),
    [VMAFX_STORE_GRACE] = NAMES("grace", "job"),
    [VMAFX_STORE_DELETE] = NAMES("delete", "job"),
    [VMAFX_STORE_RETAIN] = NAMES("retain", "job"),
    [VMAFX_STORE_CALL_PROBE] = NAMES("probe", "store"),
    [VMAFX_STORE_CALL_MIXED] = { "BATCH", "BATCH", "job", "BATCH job", "BATCH job" },
    [VMAFX_STORE_CALL_GET] = NAMES("get", "job"),
    [VMAFX_STORE_CALL_LIST] = NAMES("list", "job"),
    [VMAFX_STORE_CALL_EVENTS] = NAMES("read", "event"),
    [VMAFX_STORE_CALL_RESULT] = NAMES("read", "result"),
    [VMAFX_STORE_CALL_HELD] = NAMES("held", "job"),
    [VMAFX_STORE_CALL_COUNTS] = NAMES("read", "count"),
};

void vmafx_store_trace_init(VmafxStore *store)
{
    store->tracer = vmafx_tracer_get(SCOPE, "");
    store->durations =
        vmafx_signal_histogram(vmafx_meter_get(SCOPE, "", "", VMAFX_NO_ATTRS), VMAFX_METRIC_ID_DB_DURATION);
}

static const char *operation_name(const VmafxStoreTrace *trace)
{
    return trace->batch ? names[trace->call].batch : names[trace->call].operation;
}

static VmafxSpan *start_span(const VmafxStoreTrace *trace, VmafxContext *parent, const VmafxSpanLink *links,
                             size_t n_links)
{
    const CallName *name = &names[trace->call];
    const char *summary = trace->batch ? name->batch_summary : name->summary;
    VmafxAttr attrs[] = {
        VMAFX_ATTR_STR(VMAFX_KEY_DB_SYSTEM, trace->store->backend->system),
        VMAFX_ATTR_STR(VMAFX_KEY_DB_OPERATION, operation_name(trace)),
        VMAFX_ATTR_STR(VMAFX_KEY_DB_COLLECTION, name->collection),
        VMAFX_ATTR_STR(VMAFX_KEY_DB_QUERY_SUMMARY, summary),
    };
    VmafxSpanOptions options = { .kind = VMAFX_SPAN_CLIENT,
                                 .parent = parent,
                                 .attrs = { attrs, VMAFX_LEN(attrs) },
                                 .links = links,
                                 .n_links = n_links };

    return vmafx_span_start_with(trace->store->tracer, summary, &options);
}

VmafxStoreTrace vmafx_store_trace_read(const VmafxStore *store, VmafxStoreCall call)
{
    VmafxStoreTrace trace = { .call = call, .store = store, .started_ns = vmafx_monotonic_ns() };

    if (vmafx_context_span_at(vmafx_context_current()))
        trace.span = start_span(&trace, NULL, NULL, 0);
    return trace;
}

VmafxStoreTrace vmafx_store_trace_group(const VmafxStore *store, const VmafxStoreOp *ops, size_t n)
{
    VmafxStoreTrace trace = {
        .call = (VmafxStoreCall)ops->kind, .store = store, .started_ns = vmafx_monotonic_ns(), .batch = n > 1
    };
    VmafxSpanLink links[LINKS_MAX];
    size_t n_links = 0;
    VmafxContext *parent = NULL;

    for (size_t i = 0; i < n; i++, ops = ops->next) {
        if ((VmafxStoreCall)ops->kind != trace.call)
            trace.call = VMAFX_STORE_CALL_MIXED;
        if (!ops->context)
            continue;
        if (!parent)
            parent = ops->context;
        else if (n_links < LINKS_MAX && vmafx_context_span(ops->context, &links[n_links].context))
            links[n_links++].attrs = VMAFX_NO_ATTRS;
    }
    if (parent) {
        trace.span = start_span(&trace, parent, links, n_links);
        if (n > 1)
            vmafx_span_set_int(trace.span, VMAFX_KEY_DB_BATCH_SIZE, (int64_t)n);
    }
    return trace;
}

/* Answers that are no failure of the database. */
static bool is_answer(VmafxErr err, const VmafxStoreFault *fault)
{
    return !err || (err == VMAFX_ERR_NOT_FOUND && !fault->status[0]);
}

void vmafx_store_trace_end(VmafxStoreTrace *trace, VmafxErr err, const VmafxStoreFault *fault)
{
    VmafxAttr attrs[5] = {
        VMAFX_ATTR_STR(VMAFX_KEY_DB_SYSTEM, trace->store->backend->system),
        VMAFX_ATTR_STR(VMAFX_KEY_DB_OPERATION, operation_name(trace)),
        VMAFX_ATTR_STR(VMAFX_KEY_DB_COLLECTION, names[trace->call].collection),
    };
    size_t n = 3;
    VmafxContextToken token = { 0 };

    if (trace->span)
        token = vmafx_span_attach(trace->span); /* so that exemplars lead to it */

    if (!is_answer(err, fault)) {
        attrs[n++] = VMAFX_ATTR_STR(VMAFX_KEY_ERROR_TYPE, vmafx_err_name(err));
        if (fault->status[0])
            attrs[n++] = VMAFX_ATTR_STR(VMAFX_KEY_DB_STATUS, fault->status);
        vmafx_span_set_attrs(trace->span, (VmafxAttrs){ attrs + 3, n - 3 });
        vmafx_span_set_status(trace->span, VMAFX_STATUS_ERROR, vmafx_err_text(err)); /* the sentence may name a path */
    }
    vmafx_histogram_record_with(trace->store->durations, (double)(vmafx_monotonic_ns() - trace->started_ns) / 1e9,
                                (VmafxAttrs){ attrs, n }, NULL);
    vmafx_span_detach(&token);
    vmafx_span_end(&trace->span);
}
